"""Samples whose parts move together: cropping, turning, scaling, mirroring and colour.

Conventions
-----------
`HandSample` is one picture with everything that has to move with it. Every geometric change is a
similarity of the picture plane (turn, scale, shift, perhaps a mirror), a 2x3 affine map from old to
new pixels, and `move` applies it to all parts at once:

* the picture is warped, 2D points are mapped, boxes become the axis-aligned hull of their corners;
* the turn and the mirror also act on the camera frame: 3D joints turn about the optical axis (depth
  stays) or change the sign of x; scale and shift act on the intrinsics alone;
* a mirror exchanges the right and the left hand: joints, points, boxes, flags and presence;
* intrinsics become ``A K M^-1`` with the map A of the picture and the motion M of the camera frame,
  so that moved joints project exactly to moved points whatever the map is.

A mirrored or turned camera has no place in the old world any more: samples carry no world.

Source of the random ranges and of their order: facebookresearch/InterHand2.6M,
common/utils/preprocessing.py, data/InterHand2.6M/dataset.py (facts/interhand26m.md 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from hand_baselines.crops import (
    apply,
    compose,
    crop_affine,
    crop_intrinsics,
    flip_affine,
)
from hand_baselines.warping import warp_image


@dataclass(frozen=True)
class HandSample:
    """One picture with two hands, the right one first; joints in OpenPose order.

    Attributes
    ----------
    image
        (height, width, channels), uint8.
    K
        Intrinsics (3, 3) of the picture as it is now; not diagonal where ``fx`` and ``fy`` differ
        and the picture was turned.
    joints
        (2, 21, 3), mm, camera frame of the picture as it is now; anything where not `valid`.
    joints_2d
        (2, 21, 2), pixels of the picture as it is now.
    valid
        (2, 21), annotated in 3D.
    in_view
        (2, 21), annotated and seen in the source picture (InterHand2.6M's ``joint_valid``).
    present
        (2,), whether the hand is there.
    present_known
        Whether `present` may be trained on (InterHand2.6M's ``hand_type_valid``).
    bbox
        (4,), x, y, w, h around all hands.
    hand_bbox
        (2, 4), one box per hand, NaN where there is none.
    affine
        (2, 3), from the source picture to this one.
    """

    image: np.ndarray
    K: np.ndarray
    joints: np.ndarray
    joints_2d: np.ndarray
    valid: np.ndarray
    in_view: np.ndarray
    present: np.ndarray
    present_known: bool
    bbox: np.ndarray
    hand_bbox: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True)
class Ranges:
    """How far random views go; angles in degrees, shifts in parts of the box."""

    shift: float = 0.15
    scale: float = 0.25
    turn: float = 45.0
    turn_limit: float = 2.0
    turn_probability: float = 0.6
    flip_probability: float = 0.5
    colour: float = 0.2


#: InterNet: shift 15 %, scale 25 %, turn N(0, 45) degrees clipped at 90, with probability 0.6.
INTERNET = Ranges()
#: RootNet: the size of the crop is what it learns from, so neither shift nor scale.
ROOTNET = Ranges(shift=0.0, scale=0.0, turn=30.0)
#: Views of one hand whose box is good: left hands are mirrored by their side, not at random.
VIEWED = Ranges(shift=0.1, scale=0.15, turn=15.0, flip_probability=0.0)
#: SVEgoNet as released: its loader switches augmentation off.
NOTHING = Ranges(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def move(sample: HandSample, affine: np.ndarray, size: tuple[int, int]) -> HandSample:
    """Move every part of a sample by a similarity of the picture plane.

    Parameters
    ----------
    affine
        (2, 3), from the pixels of the sample to those of the result.
    size
        Height and width of the result.

    Raises
    ------
    ValueError
        Where the map is no similarity: it would shear the hands.
    """
    motion = _camera_motion(affine)
    moved = replace(
        sample,
        image=_bytes(warp_image(sample.image, affine, size), sample.image.dtype),
        K=crop_intrinsics(sample.K, affine) @ motion.T,
        joints=sample.joints @ motion.T,
        joints_2d=apply(affine, sample.joints_2d),
        bbox=_moved_boxes(affine, sample.bbox),
        hand_bbox=_moved_boxes(affine, sample.hand_bbox),
        affine=compose(affine, sample.affine),
    )
    return exchange_hands(moved) if np.linalg.det(motion) < 0 else moved


def crop(sample: HandSample, box: np.ndarray, size: int, rotation: float = 0.0) -> HandSample:
    """Cut a square box (x, y, side, side) out, turned by radians, to `size` pixels."""
    return move(sample, crop_affine(box, size, rotation), (size, size))


def flip(sample: HandSample) -> HandSample:
    """Mirror a sample left to right: its right hand becomes the left one."""
    height, width = sample.image.shape[:2]
    return move(sample, flip_affine(width), (height, width))


def exchange_hands(sample: HandSample) -> HandSample:
    """Exchange what belongs to the right and to the left hand; nothing moves."""
    names = ("joints", "joints_2d", "valid", "in_view", "present", "hand_bbox")
    return replace(sample, **{name: getattr(sample, name)[::-1] for name in names})


def random_affine(
    box: np.ndarray, width: int, size: int, ranges: Ranges, rng: np.random.Generator
) -> np.ndarray:
    """Draw the map (2, 3) from the picture to a random crop around a square box.

    In the official order: the box is shifted, mirrored with the picture, scaled (a larger box gives
    a smaller hand), turned. Every call draws the same number of values. `width` is the picture's.
    """
    shift = rng.uniform(-ranges.shift, ranges.shift, 2)
    mirrored = rng.random() < ranges.flip_probability
    factor = 1 + ranges.scale * np.clip(rng.standard_normal(), -1, 1)
    turn = np.clip(rng.standard_normal(), -ranges.turn_limit, ranges.turn_limit) * ranges.turn
    turned = rng.random() < ranges.turn_probability
    side = box[2] * factor
    centre = box[:2] + shift * box[2:] + box[2:] / 2
    if mirrored:
        centre = np.array([width - 1 - centre[0], centre[1]])
    view = crop_affine(
        np.array([*(centre - side / 2), side, side]), size, np.deg2rad(turn) if turned else 0.0
    )
    return compose(view, flip_affine(width)) if mirrored else view


def random_crop(
    sample: HandSample, box: np.ndarray, size: int, ranges: Ranges, rng: np.random.Generator
) -> HandSample:
    """Cut a random view of a square box out of a sample, in one warp, and change its colours."""
    affine = random_affine(np.asarray(box, float), sample.image.shape[1], size, ranges, rng)
    moved = move(sample, affine, (size, size))
    return replace(moved, image=random_colour(moved.image, ranges.colour, rng))


def random_colour(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply each channel by a factor in 1 - amount to 1 + amount, clipped to bytes.

    A picture whose channels are equal, as a grey camera's, keeps them equal.
    """
    factors = rng.uniform(1 - amount, 1 + amount, image.shape[2])
    if image.shape[2] == 3 and np.array_equal(image[..., 0], image[..., 2]):
        factors = factors[[0, 0, 0]]
    return _bytes(image * factors, image.dtype)


def as_tensors(sample: HandSample) -> dict[str, Tensor]:
    """Return a sample as tensors by the names of its fields, ready to be stacked into batches.

    The picture is (channels, height, width) bytes, to be brought to floats on the device; numbers
    are float32, flags bool.
    """
    return {
        field.name: _tensor(field.name, getattr(sample, field.name)) for field in fields(sample)
    }


def _camera_motion(affine: np.ndarray) -> np.ndarray:
    """The turn and mirror of the camera frame (3, 3) that go with a similarity of the picture."""
    linear = np.asarray(affine, float)[:, :2]
    scale = np.sqrt(abs(np.linalg.det(linear)))
    motion = np.eye(3)
    motion[:2, :2] = linear / scale
    if not np.allclose(motion @ motion.T, np.eye(3), atol=1e-6):
        raise ValueError(f"{linear.tolist()} is no turn, scale and mirror")
    return motion


def _moved_boxes(affine: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the hulls of moved boxes (..., 4)."""
    corners = boxes[..., None, :2] + boxes[..., None, 2:] * _CORNERS
    corners = apply(affine, corners)
    low, high = corners.min(axis=-2), corners.max(axis=-2)
    return np.concatenate([low, high - low], axis=-1)


_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def _bytes(image: np.ndarray, kind: np.dtype) -> np.ndarray:
    if kind != np.uint8:
        return image.astype(kind)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _tensor(name: str, value: np.ndarray | bool) -> Tensor:
    if name == "image":
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(value), 2, 0)))
    array = np.asarray(value)
    return torch.from_numpy(np.array(array, np.bool_ if array.dtype == bool else np.float32))
