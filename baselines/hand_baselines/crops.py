"""Square crops: boxes, the affine map of a crop, its intrinsics, and the warp of pictures.

Conventions
-----------
A box is (x, y, w, h) in pixels. A pixel's integer coordinates are its centre. An affine map is a
2x3 matrix ``A`` that takes picture coordinates to crop coordinates, ``A @ (u, v, 1)``.

A square box of side s is mapped as in InterNet's code: its corner to (0, 0), its centre to
``size / 2``, so ``u = x + u_crop * s / size``. The centre of the first crop pixel is the corner of
the box, half a crop pixel away from the map that aligns the pixels' outer edges; predictions of the
official code are decoded with the same map, so the half pixel cancels.

A warp samples bilinearly; beyond the border everything is zero, so the outermost pixel fades out
over one pixel (OpenCV's constant border does the same; its coordinates are rounded to 1/32 pixel,
these are not). `warp` (torch) and `warping.warp_image` (one picture, compiled) give equal values.

Sources: facebookresearch/InterHand2.6M, common/utils/preprocessing.py; RootNet,
common/utils/pose_utils.py; facebookresearch/assemblyhands-toolkit (facts/assemblyhands.md 4.1).
"""

from __future__ import annotations

from typing import overload

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def clip_box(bbox: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the part of boxes (..., 4) that is inside the picture, as RootNet's code clips them.

    Raises
    ------
    ValueError
        Where nothing of a box is inside the picture.
    """
    bbox = np.asarray(bbox, float)
    low = np.maximum(bbox[..., :2], 0)
    last = np.array([width - 1, height - 1])
    high = np.minimum(last, low + np.maximum(0, bbox[..., 2:] - 1))
    if not (high > low).all():
        raise ValueError(f"a box has no part inside the picture of {width} x {height} pixels")
    return np.concatenate([low, high - low], axis=-1)


def integer_square_box(
    bbox: np.ndarray, expansion: float = 1.75, smallest: float = 100.0
) -> np.ndarray:
    """Return SVEgoNet's square box (..., 4): whole pixels, and at least `smallest` of them.

    The square is `expansion` times the longer side of the box; its side is rounded down, then its
    corner (towards zero, as Python's int does).
    """
    bbox = np.asarray(bbox, float)
    side = expansion * np.maximum(bbox[..., 2], bbox[..., 3])
    side = np.maximum(np.trunc(side), smallest)[..., None]
    corner = np.trunc(bbox[..., :2] + bbox[..., 2:] / 2 - side / 2)
    return np.concatenate([corner, side, side], axis=-1)


def crop_affine(box: np.ndarray, size: int, rotation: float | np.ndarray = 0.0) -> np.ndarray:
    """Return the map (..., 2, 3) from picture to crop of square boxes (..., 4).

    Parameters
    ----------
    box
        x, y, side, side.
    size
        Pixels of the crop's side.
    rotation
        Radians by which the box is turned, from x towards y (clockwise as seen); what is in the
        crop turns the other way.
    """
    box, angle = np.asarray(box, float), np.asarray(rotation, float)
    cosine, sine = np.cos(angle), np.sin(angle)
    # The box's half axes, turned, go to (size / 2, 0) and (0, size / 2).
    turn = np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], -2)
    linear = turn * (size / box[..., 2])[..., None, None]
    shift = size / 2 - linear @ (box[..., :2] + box[..., 2:] / 2)[..., None]
    return np.concatenate([linear, shift], axis=-1)


def flip_affine(width: int) -> np.ndarray:
    """Return the map (2, 3) that mirrors a picture: u becomes width - 1 - u."""
    return np.array([[-1.0, 0.0, width - 1], [0.0, 1.0, 0.0]])


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return the map (..., 2, 3) that applies `inner` first, then `outer`."""
    linear = outer[..., :2] @ inner[..., :2]
    shift = outer[..., :2] @ inner[..., 2:] + outer[..., 2:]
    return np.concatenate([linear, shift], axis=-1)


@overload
def invert(affine: np.ndarray) -> np.ndarray: ...
@overload
def invert(affine: Tensor) -> Tensor: ...
def invert(affine: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """Return the inverse maps of maps (..., 2, 3)."""
    if isinstance(affine, Tensor):
        linear = torch.linalg.inv(affine[..., :2])
        return torch.cat([linear, -linear @ affine[..., 2:]], dim=-1)
    linear = np.linalg.inv(affine[..., :2])
    return np.concatenate([linear, -linear @ affine[..., 2:]], axis=-1)


@overload
def apply(affine: np.ndarray, points: np.ndarray) -> np.ndarray: ...
@overload
def apply(affine: Tensor, points: Tensor) -> Tensor: ...
def apply(affine: np.ndarray | Tensor, points: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """Map points (..., n, 2) by maps (..., 2, 3); batch axes broadcast."""
    return points @ affine[..., :2].mT + affine[..., None, :, 2]


def crop_intrinsics(K: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the intrinsics (..., 3, 3) of the crop: ``A K``.

    They are exact: a camera point projects to the crop as it does to the picture and from there
    through the affine map. A turned crop's matrix is not diagonal; `augmentation.move` turns the
    camera instead.
    """
    return homogeneous(affine) @ K


def homogeneous(affine: np.ndarray) -> np.ndarray:
    """Return maps (..., 2, 3) as matrices (..., 3, 3)."""
    last = np.broadcast_to([[0.0, 0.0, 1.0]], (*affine.shape[:-2], 1, 3))
    return np.concatenate([affine, last], axis=-2)


def as_float(images: Tensor) -> Tensor:
    """Return pictures as floats in 0 to 1: bytes are divided by 255, floats stay."""
    return images if images.is_floating_point() else images.float() / 255


def warp(images: Tensor, affine: Tensor, size: tuple[int, int]) -> Tensor:
    """Warp pictures on their device.

    | tensor | shape |
    |---|---|
    | images | (batch, channels, height, width), floating |
    | affine | (batch, 2, 3), picture to crop |
    | size | height, width of the crop |
    | result | (batch, channels, *size) |
    """
    height, width = images.shape[-2:]
    rows, columns = size
    # affine_grid works in coordinates where the outer edges of the pixels are -1 and 1.
    from_unit = _unit_edges(columns, rows, affine)
    to_unit = torch.linalg.inv(_unit_edges(width, height, affine))
    inverse = invert(affine.double())
    last = inverse.new_tensor([[[0.0, 0.0, 1.0]]]).expand(len(inverse), 1, 3)
    theta = to_unit @ torch.cat([inverse, last], dim=1) @ from_unit
    grid = functional.affine_grid(
        theta[:, :2].to(images.dtype), [len(images), 1, rows, columns], align_corners=False
    )
    return functional.grid_sample(images, grid, mode="bilinear", align_corners=False)


def _unit_edges(width: int, height: int, like: Tensor) -> Tensor:
    """Matrix from unit coordinates (edges at -1 and 1) to pixel centres, in float64."""
    rows = [[width / 2, 0, (width - 1) / 2], [0, height / 2, (height - 1) / 2], [0, 0, 1]]
    return torch.tensor(rows, dtype=torch.float64, device=like.device)
