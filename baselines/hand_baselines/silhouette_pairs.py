"""The pairs of a pixel and a face that a soft silhouette is made of.

Conventions as in `silhouette`. The pairs are found without gradients: compiled on a processor
(`silhouette_compiled`), by torch on other devices and where numba is not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

try:
    from hand_baselines import silhouette_compiled as compiled
except ImportError:  # numba is not installed
    compiled = None

#: A depth (mm) and twice an area (px^2) that a face must exceed.
NEAR, FLAT = 1.0, 1e-6
#: Squared lengths of edges are at least this where they divide, px^2.
TINY = 1e-12
#: -ln(1 - silhouette) from which a pixel counts as covered: the difference to 1 is 6e-6.
FULL = 12.0
#: Pairs that torch looks at in one go.
BLOCK = 2**22


class Faces(NamedTuple):
    """The faces that are seen in the pictures of a batch.

    | tensor | shape |
    |---|---|
    | corners | (f, 3): rows of the points of all pictures, (batch * v, 2) |
    | picture | (f,): the picture of each face, ascending |
    """

    corners: Tensor
    picture: Tensor


class Pairs(NamedTuple):
    """Pixels, and the nearest points on the outlines of faces in or near which they are.

    | tensor | shape |
    |---|---|
    | pixel | (n,): place in the flattened pictures (batch * height * width,) |
    | start, end | (n,): rows of the points (batch * v, 2), the ends of the nearest edge |
    | share | (n,): where on the edge the nearest point is, 0 at its start, 1 at its end |
    | sign | (n,): 1 inside of the face, -1 outside |
    """

    pixel: Tensor
    start: Tensor
    end: Tensor
    share: Tensor
    sign: Tensor


def find_pairs(
    points: Tensor, seen: Faces, size: tuple[int, int], sigma: float, reach: float
) -> tuple[Pairs, Tensor]:
    """Find the pixels inside of faces or within `reach` of them.

    | tensor | shape |
    |---|---|
    | points | (batch, v, 2), px |
    | seen | faces with an area |
    | first result | pairs in pixels that are not covered |
    | second result | (batch, *size), bool: the covered pixels |
    """
    if compiled and points.device.type == "cpu":
        return compiled_pairs(points, seen, size, sigma, reach)
    return torch_pairs(points, seen, size, sigma, reach)


def compiled_pairs(
    points: Tensor, seen: Faces, size: tuple[int, int], sigma: float, reach: float
) -> tuple[Pairs, Tensor]:
    """Find the pairs in one thread of a processor, as `find_pairs` describes."""
    assert compiled is not None
    height, width = size
    # One precision: it is compiled once.
    flat, corners = points.flatten(0, 1).double().numpy(), seen.corners.numpy()
    ends = np.searchsorted(seen.picture.numpy(), np.arange(len(points) + 1))
    inside = torch.zeros(len(points), height, width, dtype=torch.bool)
    low, extent = (each.numpy() for each in _boxes(points, seen, size, 0))
    for picture, (first, last) in enumerate(pairwise(ends)):
        chosen = slice(first, last)
        compiled.mark_inside(
            flat, corners[chosen], low[chosen], extent[chosen], inside[picture].numpy()
        )
    covered = covered_pixels(inside, reach)
    low, extent = (each.numpy() for each in _boxes(points, seen, size, reach))
    found = []
    for picture, (first, last) in enumerate(pairwise(ends)):
        faces = (each[first:last] for each in (corners, low, extent))
        done = covered[picture].numpy()
        pixel, *others = compiled.nearby_pairs(flat, *faces, sigma, reach, FULL, done)
        found.append([pixel + picture * height * width, *others])
    joined = (torch.from_numpy(np.concatenate(each)) for each in zip(*found, strict=True))
    pixel, start, end, share, sign = joined
    return Pairs(pixel, start, end, share.to(points.dtype), sign.to(points.dtype)), covered


def torch_pairs(
    points: Tensor, seen: Faces, size: tuple[int, int], sigma: float, reach: float
) -> tuple[Pairs, Tensor]:
    """Find the pairs on any device, as `find_pairs` describes."""
    flat = points.flatten(0, 1)
    inside = torch.zeros(len(points), *size, dtype=torch.bool, device=points.device)
    for face, pixel, place in _candidates(points, seen, size, 0):
        _, _, within = distances(flat[seen.corners[face]], place)
        inside.view(-1)[pixel[within]] = True
    covered = covered_pixels(inside, reach).flatten()
    load = torch.zeros_like(covered, dtype=points.dtype)
    found = []
    for face, pixel, place in _candidates(points, seen, size, reach, covered):
        corners = seen.corners[face]
        squares, shares, within = distances(flat[corners], place)
        square, edge = squares.min(dim=1, keepdim=True)
        near = within | (square[:, 0] <= reach**2)
        ends = corners.gather(1, edge), corners.roll(-1, dims=1).gather(1, edge)
        sign = torch.where(within, 1, -1).to(points.dtype)
        load.index_add_(0, pixel[near], functional.softplus(sign * square[:, 0] / sigma)[near])
        pairs = (pixel, *(each[:, 0] for each in ends), shares.gather(1, edge)[:, 0], sign)
        found.append(Pairs(*(each[near] for each in pairs)))
    covered |= load > FULL
    pairs = Pairs(*(torch.cat(each) for each in zip(*found, strict=True)))
    kept = ~covered[pairs.pixel]
    return Pairs(*(each[kept] for each in pairs)), covered.view(-1, *size)


def seen_faces(points: Tensor, depths: Tensor, faces: Tensor) -> Faces:
    """Choose the faces (f, 3) that are in front of the camera and have an area in the picture.

    | tensor | shape |
    |---|---|
    | points | (batch, v, 2), px |
    | depths | (batch, v), mm |
    """
    faces = faces.long()
    a, b, c = (points[:, each] for each in faces.unbind(1))
    area = _cross(b - a, c - a).abs()
    seen = (depths[:, faces] > NEAR).all(dim=2) & (area > FLAT) & area.isfinite()
    picture, face = seen.nonzero().unbind(1)
    return Faces(faces[face] + picture[:, None] * points.shape[1], picture)


def covered_pixels(inside: Tensor, reach: float) -> Tensor:
    """Return the pixels (batch, height, width) around which all are inside, up to `reach`.

    What is beyond the picture's border counts as inside.
    """
    radius = int(np.ceil(reach))
    side = 2 * radius + 1
    holes = (~inside)[:, None].float()
    holes = functional.max_pool2d(holes, (side, 1), 1, (radius, 0))
    return functional.max_pool2d(holes, (1, side), 1, (0, radius))[:, 0] == 0


def distances(corners: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distances of places (..., 2) to the edges of triangles (..., 3, 2).

    Returns the squared distances (..., 3), where the nearest points are on the edges (..., 3), 0 to
    1, and whether the places are inside (...).
    """
    edges = corners.roll(-1, dims=-2) - corners
    offsets = places[..., None, :] - corners
    lengths = edges.square().sum(dim=-1).clamp_min(TINY)
    shares = ((offsets * edges).sum(dim=-1) / lengths).clamp(0, 1)
    squares = (offsets - shares[..., None] * edges).square().sum(dim=-1)
    sides = _cross(edges, offsets)
    return squares, shares, (sides >= 0).all(dim=-1) | (sides <= 0).all(dim=-1)


def _boxes(
    points: Tensor, seen: Faces, size: tuple[int, int], reach: float
) -> tuple[Tensor, Tensor]:
    """The faces' boxes, widened: first pixel (f, 2), and columns and rows (f, 2); x before y."""
    corners = points.flatten(0, 1)[seen.corners]
    sides = torch.tensor(size[::-1], device=points.device)
    low = (corners.amin(dim=1) - reach).ceil().clamp_min(0).minimum(sides)
    high = (corners.amax(dim=1) + reach).floor().clamp_min(-1).minimum(sides - 1)
    return low.long(), (high - low + 1).clamp_min(0).long()


def _candidates(
    points: Tensor,
    seen: Faces,
    size: tuple[int, int],
    reach: float,
    covered: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Blocks of faces (n,), pixels (n,) in their boxes that are not covered, and places (n, 2)."""
    low, extent = _boxes(points, seen, size, reach)
    counts = extent.prod(dim=1)
    sizes = torch.bincount(counts.cumsum(0) // BLOCK).tolist()
    for faces in torch.arange(len(counts), device=points.device).split(sizes or [0]):
        face = faces.repeat_interleave(counts[faces])
        before = counts[faces].cumsum(0) - counts[faces]
        step = torch.arange(len(face), device=points.device)
        step -= before.repeat_interleave(counts[faces])
        columns = extent[face, 0]
        place = low[face] + torch.stack([step % columns, step // columns], dim=1)
        pixel = (seen.picture[face] * size[0] + place[:, 1]) * size[1] + place[:, 0]
        if covered is not None:
            kept = ~covered[pixel]
            face, pixel, place = face[kept], pixel[kept], place[kept]
        yield face, pixel, place.to(points.dtype)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
