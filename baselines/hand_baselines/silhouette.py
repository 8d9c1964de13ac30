"""Soft silhouettes of meshes, for supervision by masks: differentiable to vertices and cameras.

Conventions
-----------
A pixel's integer coordinates are its centre, as in `crops`. Vertices are millimetres in the camera
frame (x right, y down, z forward), lengths in a picture are pixels. A face covers a pixel with the
probability ``p = sigmoid(s d^2 / sigma)``, where d is the distance of the pixel's centre to the
face's outline as projected, and s is 1 inside of it and -1 outside; the silhouette of a mesh is
``1 - prod(1 - p)`` over its faces: the form of SoftRasterizer (Liu et al., ICCV 2019) and of
pytorch3d's silhouettes. Both sides of a face count. A face with a vertex at or behind the camera,
or without area in the picture, is left out.

By this form alone the inside of a mesh of small faces leaks: all its pixels are near some edge and
come out as 0.95 to 0.99, with a gradient. So a pixel is covered, its value 1 without a gradient,
where it and all pixels around it, up to `reach` along both axes, lie inside of faces.

Every face adds to a pixel's value, so the silhouette of a mesh is wider than its outline: by some
``sqrt(sigma ln n)`` where n faces are near. A hand fitted to a mask makes up for it by going back:
HandSim's, 45 px wide and 450 mm away, by 8 mm with the default `SIGMA` and by 40 mm with
`WILDHANDS_SIGMA`. A mask draws a hand that it overlaps from any distance, whatever the blur; a wide
one is for hands that are clear of their masks.

WildHands (facts/wildhands.md 5.3) renders 224 px squares by pytorch3d, whose unit of length is half
a picture: its sigma is `WILDHANDS_SIGMA`; its faces end at `WILDHANDS_REACH`, where p is 0.2; ten
faces count in a pixel (here all), and no pixel is covered by its surroundings. Its K puts the
centre of the first pixel at (0.5, 0.5): take 0.5 from its principal point.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from hand_baselines import lifting
from hand_baselines.silhouette_pairs import (
    NEAR,
    Pairs,
    covered_pixels,
    distances,
    find_pairs,
    seen_faces,
)

#: Default blur, px^2: p goes from 0.01 to 0.99 within 0.7 px of an edge.
SIGMA = 0.1
#: 1e-4 in squares of half a picture, px^2 at 224 px.
WILDHANDS_SIGMA = 1e-4 * 112**2
#: The root of 1e-5 ln(1e6 - 1) in halves of a picture, px at 224 px.
WILDHANDS_REACH = 1.3164
#: Default reach in roots of sigma: beyond it p is below 4.8e-6.
REACH = 3.5


def soft_silhouette(
    vertices: Tensor,
    faces: Tensor,
    K: Tensor,
    size: tuple[int, int],
    *,
    sigma: float = SIGMA,
    reach: float | None = None,
) -> Tensor:
    """Return the soft silhouettes of meshes, in 0 to 1.

    Time and memory go with the pixels near the outlines of the meshes and the faces there.
    Gradients are of first order: a second derivative of the result is wrong.

    | tensor | shape |
    |---|---|
    | vertices | (batch, v, 3), mm, camera frame |
    | faces | (f, 3), rows of `vertices`, in any orientation |
    | K | (batch, 3, 3) or (3, 3) |
    | result | (batch, *size) |

    Parameters
    ----------
    vertices, faces, K
        See the table.
    size
        Height and width of the pictures.
    sigma
        Blur, px^2: p goes from 0.27 to 0.73 within ``sqrt(sigma)`` of an edge.
    reach
        Distance up to which a face counts around itself, px; default ``3.5 sqrt(sigma)``.

    Raises
    ------
    ValueError
        For shapes, a sigma or a reach that cannot be.
    """
    points, depths = project(vertices, K)
    return silhouette_of_points(points, depths, faces, size, sigma=sigma, reach=reach)


def silhouette_of_points(
    points: Tensor,
    depths: Tensor,
    faces: Tensor,
    size: tuple[int, int],
    *,
    sigma: float = SIGMA,
    reach: float | None = None,
) -> Tensor:
    """Return the soft silhouettes of projected meshes, as `soft_silhouette` does.

    | tensor | shape |
    |---|---|
    | points | (batch, v, 2), px |
    | depths | (batch, v), mm; they have no gradient |
    | faces | (f, 3) |
    | result | (batch, *size) |
    """
    reach = _checked(points, depths, faces, sigma, reach)
    if not len(points):
        return points.new_zeros(0, *size)
    with torch.no_grad():
        pairs, covered = find_pairs(points, seen_faces(points, depths, faces), size, sigma, reach)
    terms = functional.logsigmoid(-_signed_squares(points, pairs, size) / sigma)
    logs = terms.new_zeros(covered.numel()).index_add(0, pairs.pixel, terms)
    return torch.where(covered, 1, -torch.expm1(logs).view(covered.shape))


def dense_silhouette(
    vertices: Tensor,
    faces: Tensor,
    K: Tensor,
    size: tuple[int, int],
    *,
    sigma: float = SIGMA,
    reach: float | None = None,
) -> Tensor:
    """Return the same as `soft_silhouette`, from all pixels and all faces: for small pictures.

    Without a `reach` every face counts in every pixel. A gradient takes some 200 bytes for each
    pixel and face.
    """
    points, depths = project(vertices, K)
    around = _checked(points, depths, faces, sigma, reach)
    seen = seen_faces(points.detach(), depths, faces)
    y, x = torch.meshgrid(*(torch.arange(side) for side in size), indexing="ij")
    places = torch.stack([x.flatten(), y.flatten()], dim=1).to(points)
    pictures = []
    for picture in range(len(points)):
        logs = places.new_zeros(len(places))
        inside = torch.zeros_like(logs, dtype=torch.bool)
        for corners in seen.corners[seen.picture == picture].split(256):
            squares, _, within = distances(points.flatten(0, 1)[corners], places[:, None])
            square = squares.amin(dim=-1)
            terms = functional.logsigmoid(torch.where(within, -square, square) / sigma)
            if reach is not None:
                terms = torch.where(within | (square <= reach**2), terms, 0)
            logs, inside = logs + terms.sum(dim=1), inside | within.any(dim=1)
        covered = covered_pixels(inside.view(1, *size), around)[0]
        pictures.append(torch.where(covered, 1, -torch.expm1(logs).view(size)))
    return torch.stack(pictures) if pictures else points.new_zeros(0, *size)


def mask_loss(
    silhouette: Tensor, mask: Tensor, known: Tensor, *, over: Literal["known", "batch"] = "known"
) -> Tensor:
    """Return the mean absolute difference of silhouettes to masks; zero where no mask is known.

    | tensor | shape |
    |---|---|
    | silhouette | (batch, height, width), 0 to 1 |
    | mask | (batch, height, width), bool or 0 to 1; anything where it is not known |
    | known | (batch,), bool |

    Parameters
    ----------
    silhouette, mask, known
        See the table.
    over
        What the mean is of: the pixels of the samples whose mask is known, or those of the whole
        batch, where the other samples count as zero, as in the released WildHands
        (facts/wildhands.md 5.4).

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    if silhouette.shape != mask.shape:
        raise ValueError(f"silhouettes {tuple(silhouette.shape)}, but masks {tuple(mask.shape)}")
    errors = (silhouette[known] - mask[known].to(silhouette.dtype)).abs()
    samples = max(len(errors), 1) if over == "known" else len(silhouette)
    return errors.mean(dim=(1, 2)).sum() / samples


def project(vertices: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Return points (batch, v, 2), px, and depths (batch, v), mm, of vertices (batch, v, 3).

    Vertices that are not in front of the camera get finite points without a meaning.
    """
    depths = vertices[..., 2:]
    in_front = torch.where(depths > NEAR, depths, NEAR)
    points = lifting.project(torch.cat([vertices[..., :2], in_front], dim=-1), K)
    return points, depths[..., 0].detach()


def _checked(
    points: Tensor, depths: Tensor, faces: Tensor, sigma: float, reach: float | None
) -> float:
    """Check the arguments and return the reach."""
    if points.ndim != 3 or depths.shape != points.shape[:2] or faces.shape[1:] != (3,):
        shapes = ", ".join(str(tuple(each.shape)) for each in (points, depths, faces))
        raise ValueError(f"points (b, v, 2), depths (b, v) and faces (f, 3) have shapes {shapes}")
    if sigma <= 0 or (reach is not None and reach <= 0):
        raise ValueError(f"sigma and reach must be above 0, not {sigma} and {reach}")
    return REACH * sigma**0.5 if reach is None else reach


def _signed_squares(points: Tensor, pairs: Pairs, size: tuple[int, int]) -> Tensor:
    """Squared distances of pairs (n,), px^2, below zero outside of faces.

    A distance does not change, to first order, when its nearest point slides along an edge, and at
    an end of the edge it stays: so the share is held fast, and gradients are right.
    """
    flat, share = points.flatten(0, 1), pairs.share[:, None]
    start, end = flat.index_select(0, pairs.start), flat.index_select(0, pairs.end)
    place = pairs.pixel % (size[0] * size[1])
    centre = torch.stack([place % size[1], place // size[1]], dim=1)
    return pairs.sign * (torch.lerp(start, end, share) - centre).square().sum(dim=1)
