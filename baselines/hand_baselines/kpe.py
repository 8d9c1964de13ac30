"""KPE: where in the camera's field of view a crop lies, as an encoding, and what it is compared to.

Conventions
-----------
Everything is in pixels of one square picture (WildHands' letterbox of 224 pixels a side) and of its
intrinsics ``K``, which have no skew. A box is (x0, y0, x1, y1); WildHands stores the scaled square
of a crop clipped to the picture, whole numbers, and the whole picture where there is no hand. Axes
written ``...`` are batch axes, which broadcast. Results have the wider type of boxes and ``K``, and
gradients flow to both. Whenever a box is sampled, the first sample is at its first edge and the
last one at its last edge (``align_corners``).

Sources: 3D Hand Pose Estimation in Everyday Egocentric Images (WildHands, ECCV 2024), tables 4 and
5 (facts/wildhands.md 5.2, which also tells the paper from the ``released`` code); CamConv: Facil et
al., CVPR 2019; perspective crop layers (PCL): Yu et al., CVPR 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from hand_bench.errors import BaselineError, unknown_name

#: Pixels of the side of the letterbox picture.
SIDE = 224
FREQUENCIES = 4

MapForm = Literal["intended", "released"]
RotationForm = Literal["geometric", "released"]


@dataclass(frozen=True)
class Encoding:
    """How many ``channels`` are concatenated to what it ``joins``: feature map or input picture."""

    channels: int
    joins: Literal["features", "input"] = "features"


#: ``focal`` and ``coordinates`` are the two readings of table 5's row without intrinsics.
ENCODINGS = {
    "none": Encoding(0),
    "sparse": Encoding(80),
    "dense": Encoding(16),
    "sparse-input": Encoding(80, "input"),
    "dense-input": Encoding(16, "input"),
    "focal": Encoding(80),
    "coordinates": Encoding(80),
    "camconv": Encoding(6),
}


def encode_map(
    name: str, boxes: Tensor, K: Tensor, size: int, *, form: MapForm = "intended", side: int = SIDE
) -> Tensor:
    """Return what an encoding of `ENCODINGS` concatenates to a map of `size` pixels a side.

    | tensor | shape |
    |---|---|
    | boxes | (batch, 4), px |
    | K | (batch, 3, 3) or (3, 3), px |
    | result | (batch, channels, size, size); a vector is the same at every pixel |

    `form` matters to ``dense``, ``dense-input`` and ``camconv`` only.

    Raises
    ------
    BaselineError
        HB301 for an unknown encoding or form.
    """
    _known("encoding", name, *ENCODINGS)
    boxes = _promoted(boxes, K)
    kind = name.removesuffix("-input")
    if kind == "dense":
        return dense(boxes, K, size, form=form, side=side)
    if kind == "camconv":
        return cam_conv(boxes, K, size, form=form, side=side)
    if kind == "none":
        vectors = boxes[..., :0]
    elif kind == "sparse":
        vectors = sparse(boxes, K)
    else:
        vectors = no_intrinsics(boxes, atan=kind == "focal", side=side)
    return vectors[..., None, None].expand(*vectors.shape, size, size)


def camera_rays(points: Tensor, K: Tensor) -> Tensor:
    """Return the rays (..., 3) of pixels (..., 2) for intrinsics (..., 3, 3): (x, y, 1)."""
    tangents = (points - K[..., :2, 2]) / K[..., :2, :2].diagonal(dim1=-2, dim2=-1)
    return torch.cat([tangents, torch.ones_like(tangents[..., :1])], dim=-1)


def angles(points: Tensor, K: Tensor) -> Tensor:
    """Return the angles (..., 2) of pixels (..., 2) for intrinsics (..., 3, 3), in radians.

    They are atan((x - cx) / fx) and atan((y - cy) / fy).
    """
    return camera_rays(points, K)[..., :2].atan()


def encode(values: Tensor, frequencies: int = FREQUENCIES) -> Tensor:
    """Return sines and cosines of values (..., n): (..., 2 n frequencies).

    For each frequency 1, 2, 4, ... (no factor pi), for each value: the sine, then the cosine.
    """
    factors = 2 ** torch.arange(frequencies, device=values.device)
    scaled = values[..., None, :] * factors.to(values.dtype)[:, None]
    return torch.stack([scaled.sin(), scaled.cos()], dim=-1).flatten(-3)


def sparse(boxes: Tensor, K: Tensor, frequencies: int = FREQUENCIES) -> Tensor:
    """Return the encoded angles of the centre and the corners of boxes (the paper's KPE).

    | tensor | shape |
    |---|---|
    | boxes | (..., 4), px |
    | K | (..., 3, 3), px |
    | result | (..., 20 frequencies): the centre's 4, then the corners' 16 of each frequency |

    The order of the corners is (x0, y0), (x0, y1), (x1, y0), (x1, y1).
    """
    points = _centre_and_corners(_promoted(boxes, K))
    return _encode_parts(angles(points, K[..., None, :, :]), frequencies)


def no_intrinsics(
    boxes: Tensor, *, atan: bool, side: int = SIDE, frequencies: int = FREQUENCIES
) -> Tensor:
    """Return the sparse encoding (..., 20 frequencies) of boxes (..., 4) without intrinsics.

    With `atan`: the angles of a camera of focal length and principal point side / 2, the released
    code's flag. Without: the coordinates 2 x / side - 1 themselves, the paper's words. What the
    paper's figures were made with is not known.
    """
    coordinates = 2 * _centre_and_corners(boxes) / side - 1
    return _encode_parts(coordinates.atan() if atan else coordinates, frequencies)


def dense(
    boxes: Tensor,
    K: Tensor,
    size: int,
    frequencies: int = FREQUENCIES,
    form: MapForm = "intended",
    side: int = SIDE,
) -> Tensor:
    """Return the encoded angles of the pixels of boxes.

    | tensor | shape |
    |---|---|
    | boxes | (..., 4), px |
    | K | (..., 3, 3), px |
    | result | (..., 4 frequencies, size, size) |

    ``intended``: the box is stretched over the map, rows go along y; angles are computed at the
    map's own places, not interpolated.

    ``released``: a canvas of `side` pixels holds the encoded angles of pixel (x0 + i, y0 + j) in
    row i and column j, for i < x1 - x0 and j < y1 - y0, and zeros elsewhere; the canvas is then
    resampled to `size` bilinearly. So x goes along the rows, the box keeps its size but not its
    place, and most of the map is zero. The source says no more than that; that the encoding comes
    before the resampling, and that the last edge is not part of the box, is our reading.

    Raises
    ------
    BaselineError
        HB301 for an unknown form.
    """

    def values(points: Tensor) -> Tensor:
        return encode(angles(points, K[..., None, None, :, :]), frequencies)

    return _box_maps(values, _promoted(boxes, K), size, form, side)


def cam_conv(
    boxes: Tensor, K: Tensor, size: int, form: MapForm = "intended", side: int = SIDE
) -> Tensor:
    """Return CamConv's maps (..., 6, size, size) of boxes (..., 4).

    The channels are, for x and y each: the angle (rad), the distance from the principal point (px),
    and the place in the picture (2 x / side - 1). The forms are those of `dense`.

    Raises
    ------
    BaselineError
        HB301 for an unknown form.
    """
    K = K[..., None, None, :, :]

    def values(points: Tensor) -> Tensor:
        field_of_view, centred = angles(points, K), points - K[..., :2, 2]
        return torch.cat([field_of_view, centred, (2 * points / side - 1).expand_as(centred)], -1)

    return _box_maps(values, _promoted(boxes, K), size, form, side)


def perspective_rotation(boxes: Tensor, K: Tensor, form: RotationForm = "geometric") -> Tensor:
    """Return the rotations (..., 3, 3) that correct the global rotation of hands in boxes (..., 4).

    A network that sees only a crop predicts R as if the crop were in the middle of the picture; in
    the camera's frame it is ``correction @ R``. The translation is not corrected.

    ``geometric``: `pcl_rotation` of the box's centre, which turns the optical axis onto its ray.
    ``released``: Rx(-a) Ry(-b) of the centre's angles (a, b), which is how we read the source's
    "Euler XYZ angles (-a, -b, 0)"; the horizontal angle turns about the horizontal axis.

    Raises
    ------
    BaselineError
        HB301 for an unknown form.
    """
    _known("form", form, "geometric", "released")
    centres = _centres(_promoted(boxes, K))
    if form == "geometric":
        return pcl_rotation(camera_rays(centres, K))
    turn = angles(centres, K)
    (sin_a, sin_b), (cos_a, cos_b) = turn.sin().unbind(-1), turn.cos().unbind(-1)
    zero = torch.zeros_like(sin_a)
    return _matrices(
        (cos_b, zero, -sin_b),
        (sin_a * sin_b, cos_a, sin_a * cos_b),
        (cos_a * sin_b, -sin_a, cos_a * cos_b),
    )


def pcl_rotation(rays: Tensor) -> Tensor:
    """Return the rotations (..., 3, 3) from virtual cameras that look along rays to the camera.

    Rays (..., 3) point forwards and may have any length. The third column is the unit ray; the
    virtual camera's x axis stays level (it has no y component).
    """
    x, y = (rays[..., :2] / rays[..., 2:]).unbind(-1)
    a, b = (1 + x**2).sqrt(), (1 + x**2 + y**2).sqrt()
    return _matrices(
        (1 / a, -x * y / (a * b), x / b),
        (torch.zeros_like(a), a / b, y / b),
        (-x / a, -y / (a * b), 1 / b),
    )


def pcl_intrinsics(boxes: Tensor, K: Tensor) -> Tensor:
    """Return the intrinsics (..., 3, 3) of the virtual cameras of boxes (..., 4).

    In units of the crop's side: the crop is 0 to 1 in x and y, the principal point its middle. At
    its middle a crop is as wide and as high as the box's longer side, in pixels of the picture.
    Each axis has its own focal length, as in WildHands; the PCL authors' code takes one for both.
    """
    boxes = _promoted(boxes, K)
    x, y, _ = camera_rays(_centres(boxes), K).unbind(-1)
    longer = (boxes[..., 2:] - boxes[..., :2]).amax(dim=-1)
    a, b = (1 + x**2).sqrt(), (1 + x**2 + y**2).sqrt()
    # The distance of the ray's point, divided by the slants 1 / a and a / b of the picture plane.
    focal_x, focal_y = b * a * K[..., 0, 0] / longer, b * (b / a) * K[..., 1, 1] / longer
    zero, one = torch.zeros_like(focal_x), torch.ones_like(focal_x)
    return _matrices((focal_x, zero, one / 2), (zero, focal_y, one / 2), (zero, zero, one))


def pcl_grid(boxes: Tensor, K: Tensor, size: int) -> Tensor:
    """Return the pixels (..., size, size, 2) of the picture at which a crop is sampled, rows = y.

    What would lie behind the camera is put far outside the picture.
    """
    boxes = _promoted(boxes, K)
    rotation = pcl_rotation(camera_rays(_centres(boxes), K))
    rays = camera_rays(_unit_grid(size, boxes), pcl_intrinsics(boxes, K)[..., None, None, :, :])
    places = rays @ (K.to(rays.dtype) @ rotation).mT[..., None, :, :]
    behind = places[..., 2:] <= 0
    return (places[..., :2] / places[..., 2:].masked_fill(behind, 1)).masked_fill(behind, -1e4)


def pcl_crop(pictures: Tensor, boxes: Tensor, K: Tensor, size: int) -> Tensor:
    """Return the pictures that virtual cameras see which look at the middle of boxes.

    | tensor | shape |
    |---|---|
    | pictures | (batch, channels, height, width), floating; a pixel's integers are its centre |
    | boxes | (batch, 4), px, of positive size |
    | K | (batch, 3, 3) or (3, 3), px |
    | result | (batch, channels, size, size), type of the pictures; zero outside the picture |
    """
    height, width = pictures.shape[-2:]
    pixels = pcl_grid(boxes, K, size)
    kind = torch.promote_types(pictures.dtype, pixels.dtype)
    x, y = pixels.to(kind).unbind(-1)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    crops = functional.grid_sample(pictures.to(kind), grid, mode="bilinear", align_corners=False)
    return crops.to(pictures.dtype)


def _centres(boxes: Tensor) -> Tensor:
    """Middle (..., 2) of boxes (..., 4)."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _centre_and_corners(boxes: Tensor) -> Tensor:
    """Points (..., 5, 2) of boxes (..., 4): the centre, then the corners in the order of KPE."""
    corners = boxes[..., [0, 1, 0, 3, 2, 1, 2, 3]].unflatten(-1, (4, 2))
    return torch.cat([_centres(boxes)[..., None, :], corners], dim=-2)


def _encode_parts(values: Tensor, frequencies: int) -> Tensor:
    """Encode values (..., 5, 2) of the centre and of the corners, each for itself."""
    centre, corners = values[..., 0, :], values[..., 1:, :].flatten(-2)
    return torch.cat([encode(centre, frequencies), encode(corners, frequencies)], dim=-1)


def _unit_grid(size: int, like: Tensor) -> Tensor:
    """Points (size, size, 2) from 0 to 1, both included; rows = y."""
    steps = torch.linspace(0, 1, size, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1)


def _box_maps(
    values: Callable[[Tensor], Tensor], boxes: Tensor, size: int, form: MapForm, side: int
) -> Tensor:
    """Maps (..., n, size, size) of what `values` gives at points (..., rows, columns, 2)."""
    _known("form", form, "intended", "released")
    low, high = boxes[..., None, None, :2], boxes[..., None, None, 2:]
    if form == "intended":
        return values(low + _unit_grid(size, boxes) * (high - low)).movedim(-1, -3)
    steps = torch.arange(side, device=boxes.device, dtype=boxes.dtype)
    offset = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    outside = (offset >= high - low).any(dim=-1, keepdim=True)
    canvas = values(low + offset).masked_fill(outside, 0).movedim(-1, -3)
    flat = canvas.reshape(-1, *canvas.shape[-3:])
    small = functional.interpolate(flat, (size, size), mode="bilinear", align_corners=True)
    return small.reshape(*canvas.shape[:-2], size, size)


def _matrices(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Matrices (..., 3, 3) of their entries (...)."""
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _promoted(boxes: Tensor, K: Tensor) -> Tensor:
    """Boxes in the wider type of both."""
    return boxes.to(torch.promote_types(boxes.dtype, K.dtype))


def _known(what: str, name: str, *names: str) -> None:
    if name not in names:
        raise BaselineError(unknown_name(what, name, names))
