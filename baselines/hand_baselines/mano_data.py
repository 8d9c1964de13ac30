"""Pictures with a crop of each hand as samples of the models that say MANO parameters.

Conventions
-----------
Numbers are those of the letterbox: the whole picture in the middle of a square of `SIDE` pixels,
``p' = k (p - c) + SIDE / 2`` with ``k = SIDE / max(W, H)`` (facts/wildhands.md 0.3), whatever size
the network looks at. Boxes are x0, y0, x1, y1: what a crop shows of the letterbox, as far as it is
inside. A hand without a box has the whole letterbox as its crop. The right hand comes first.

In training a picture is turned about its middle, as a camera that turns about its axis: joints and
global rotations turn along (the released code leaves the 3D joints as they are), intrinsics move
such that they still project to where they are seen. Pictures of cameras that lie on their side
(`UPRIGHT`) are turned upright likewise, always, and what is answered is turned back.

Labels that a source does not have are not known. What is learned from pictures without 3D labels
is chosen (`AUXILIARY`): masks and grasps by default, as the paper does with VISOR and Ego4D; masks
of hands that nothing covers alone, for silhouettes are of whole hands. Without intrinsics a camera
of EPIC's width of view is assumed: 1000 px for 1920.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hand_baselines.augmentation import HandSample, move
from hand_baselines.crops import apply, compose, crop_affine, invert
from hand_baselines.pictures import Pictures, hands_of, touched_outlines
from hand_baselines.samples import read_sample
from hand_baselines.warping import warp_image
from hand_bench.annotations import AnnotationBatch
from hand_bench.geometry import square_box
from hand_bench.hand_model import rotmat_to_rotvec, rotvec_to_rotmat
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.meshes import MEAN_ADDED

#: Pixels of the letterbox that numbers are of, and the focal length that is assumed in it.
SIDE = 224
ASSUMED_FOCAL = 1000 / 1920 * SIDE
#: Rows as they are answered, and what training reads besides.
GIVEN = ("image", "width", "height", "K", "distortion", "bbox", "right_bbox", "left_bbox")
LABELS = (
    *("hand_type", "hand_type_valid", "mask"),
    *(
        f"{side}_{what}"
        for side in HAND_SIDES
        for what in ("joints", "joints_2d", "valid", "in_view", "visible", "mano", "grasp")
    ),
)
#: A hand whose outline is touched by at most this share counts as not occluded.
UNOCCLUDED = 0.1
#: Radians by which the frame of pictures is turned where their camera lies on its side: the top of
#: Ego-Exo4D's points to the wearer's right (facts 2.3).
UPRIGHT = dict.fromkeys(("egoexo4d", "handsim-egoexo4d"), -np.pi / 2)
#: What may be learned from pictures without 3D labels.
AUXILIARY = ("mask", "grasp", "points")


@dataclass(frozen=True)
class Ranges:
    """How far training pictures vary: WildHands' values.

    Attributes
    ----------
    shift
        Of the middle of a crop, in parts of its box.
    turn, turn_limit, turn_probability
        Degrees (standard deviation, most) and how often.
    colour
        Each channel is multiplied by 1 - colour to 1 + colour.
    """

    shift: float = 0.2
    turn: float = 30.0
    turn_limit: float = 60.0
    turn_probability: float = 0.4
    colour: float = 0.4


@dataclass(frozen=True)
class Variation:
    """What was drawn for a picture.

    Attributes
    ----------
    turn
        Radians.
    shift
        (2, 2), of each hand's crop, in parts of its box.
    factors
        (3,), of the colours.
    """

    turn: float
    shift: np.ndarray
    factors: np.ndarray

    @classmethod
    def draw(cls, ranges: Ranges, rng: np.random.Generator) -> Variation:
        """Draw a variation."""
        limit = ranges.turn_limit
        degrees = float(np.clip(rng.standard_normal() * ranges.turn, -limit, limit))
        turned = rng.random() < ranges.turn_probability
        shift = rng.uniform(-ranges.shift, ranges.shift, (2, 2))
        factors = rng.uniform(1 - ranges.colour, 1 + ranges.colour, 3)
        return cls(np.deg2rad(degrees) if turned else 0.0, shift, factors)


STILL = Variation(0.0, np.zeros((2, 2)), np.ones(3))


@dataclass(frozen=True)
class Cut:
    """How pictures and crops are cut.

    Attributes
    ----------
    size
        Pixels of the side of both.
    expansion
        Side of a crop over the longer side of its box.
    from_letterbox
        Whether crops are cut from the letterbox as it is looked at, as released, or from the
        picture as it is stored.
    """

    size: int
    expansion: float
    from_letterbox: bool = False

    def views(self, sample: HandSample, variation: Variation = STILL) -> dict[str, np.ndarray]:
        """Return what a network looks at.

        | value | shape | meaning |
        |---|---|---|
        | picture | (3, size, size) | bytes: the letterbox |
        | crops | (2, 3, size, size) | bytes |
        | boxes | (2, 4) | px of the letterbox |
        | there | (2,) | whether the hand has a box |
        | K | (3, 3) | px of the letterbox |
        | affine | (2, 3) | from the picture as it is stored to the letterbox |
        """
        affine = letterbox(sample.image.shape[1], sample.image.shape[0], variation.turn)
        picture = warped(sample.image, affine * (self.size / SIDE), self.size)
        boxes = _moved_boxes(sample, affine)
        squares, there = self._squares(boxes, variation.shift)
        made = [self._crop(sample.image, picture, affine, square) for square in squares]
        coloured = [_coloured(image, variation.factors) for image in (picture, *made)]
        return {
            "picture": coloured[0],
            "crops": np.stack(coloured[1:]),
            "boxes": np.clip(_corners(squares), 0, SIDE - 1).astype(np.float32),
            "there": there,
            "affine": affine.astype(np.float32),
        }

    def _squares(self, boxes: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return square boxes (2, 4), x, y, w, h, and which hands have one."""
        there = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        moved = np.concatenate([boxes[:, :2] + shift * boxes[:, 2:], boxes[:, 2:]], axis=1)
        whole = np.array([0.0, 0.0, SIDE, SIDE])
        squares = [
            square_box(box, self.expansion) if known else whole
            for box, known in zip(moved, there, strict=True)
        ]
        return np.stack(squares), np.asarray(there)

    def _crop(
        self, image: np.ndarray, picture: np.ndarray, affine: np.ndarray, square: np.ndarray
    ) -> np.ndarray:
        if not self.from_letterbox:
            return warped(image, compose(crop_affine(square, self.size), affine), self.size)
        inner = crop_affine(square * self.size / SIDE, self.size)
        return warped(picture, inner, self.size)


def letterbox(width: int, height: int, turn: float = 0.0) -> np.ndarray:
    """Return the map (2, 3) from a picture to the letterbox, turned about its middle by radians."""
    longer = max(width, height)
    square = np.array([width / 2 - longer / 2, height / 2 - longer / 2, longer, longer])
    return crop_affine(square, SIDE, turn)


def turned(radians: float) -> np.ndarray:
    """Return the motion (3, 3) of the camera's frame that goes with a turn of the picture's."""
    motion = np.eye(3)
    motion[:2, :2] = letterbox(SIDE, SIDE, radians)[:, :2]
    return motion


def warped(image: np.ndarray, affine: np.ndarray, size: int) -> np.ndarray:
    """Return the square (size, size, 3) that a map shows of a picture, bytes.

    Where the map shrinks to less than a half, blocks of pixels are averaged first.
    """
    from PIL import Image

    factor = int(1 / np.sqrt(abs(np.linalg.det(affine[:, :2]))) + 1e-9)
    if factor > 1:
        image = np.asarray(Image.fromarray(image).reduce(factor))
        # The middle of the first pixel now lies where the middle of the first block was.
        middle = (factor - 1) / 2
        affine = compose(affine, np.array([[factor, 0, middle], [0, factor, middle]]))
    return np.rint(warp_image(image, affine, (size, size))).astype(np.uint8)


def intrinsics(sample: HandSample) -> np.ndarray:
    """Return the sample's intrinsics (3, 3), or those that are assumed where it has none."""
    if not np.array_equal(sample.K, np.eye(3)):
        return sample.K
    height, width = sample.image.shape[:2]
    focal = ASSUMED_FOCAL * max(width, height) / SIDE
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])


class Part(NamedTuple):
    """A table of pictures.

    | field | meaning |
    |---|---|
    | rows | annotations |
    | pictures | where their pictures are |
    | mean_added | whether their ``*_mano`` is added to the model's mean pose (ARCTIC) |
    | turn | by what they are turned upright, radians (`UPRIGHT`) |
    """

    rows: pa.RecordBatch
    pictures: Pictures
    mean_added: bool = False
    turn: float = 0.0

    @classmethod
    def of(cls, rows: pa.RecordBatch, pictures: Pictures, dataset: str | None) -> Part:
        """Return a part of a dataset."""
        return cls(rows, pictures, dataset in MEAN_ADDED, UPRIGHT.get(dataset or "", 0.0))


class HandPictures(Dataset):
    """Rows of annotations as samples: `Cut.views`, and for training `labels`.

    Parameters
    ----------
    parts
        The tables.
    cut
        How they are cut.
    ranges
        How far they vary; None: not at all.
    labels
        How labels are read; None: they are not.
    seed
        Of the variations.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        cut: Cut,
        ranges: Ranges | None = None,
        *,
        labels: Labels | None = None,
        seed: int = 0,
    ):
        self.parts, self.cut, self.ranges = list(parts), cut, ranges
        self.labels, self.seed = labels, seed
        self.starts = np.cumsum([0, *(part.rows.num_rows for part in parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Tensor]:
        """Return a sample: by number, or by (epoch, number)."""
        epoch, index = place if isinstance(place, tuple) else (0, place)
        source = int(np.searchsorted(self.starts, index, side="right")) - 1
        rows, pictures, mean_added, turn = self.parts[source]
        row = AnnotationBatch(0, rows.slice(index - int(self.starts[source]), 1))
        variation = STILL
        if self.ranges is not None:
            rng = np.random.default_rng([self.seed, epoch, index])
            variation = Variation.draw(self.ranges, rng)
        variation = replace(variation, turn=variation.turn + turn)
        image = pictures.read(row.table.column("image")[0].as_py())
        sample = read_sample(row, image, labels=self.labels is not None)
        sample = replace(sample, K=intrinsics(sample))
        made = self.cut.views(sample, variation)
        moved = move(replace(sample, image=_NOTHING), made["affine"].astype(float), (1, 1))
        made["K"] = moved.K.astype(np.float32)
        if self.labels is not None:
            made |= self.labels.read(row, sample, moved, variation.turn, pictures)
            made["mean_added"] = np.array(mean_added)
        views = {k: np.moveaxis(v, -1, -3) if k in _IMAGES else v for k, v in made.items()}
        return {k: torch.from_numpy(np.array(v, order="C")) for k, v in views.items()}


_IMAGES = ("picture", "crops")
_NOTHING = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True)
class Labels:
    """What is trained on.

    Attributes
    ----------
    mask_size
        Pixels of the side of masks.
    auxiliary
        What is learned from pictures without 3D labels: some of `AUXILIARY`.
    """

    mask_size: int = SIDE
    auxiliary: tuple[str, ...] = AUXILIARY[:2]

    def read(
        self,
        row: AnnotationBatch,
        sample: HandSample,
        moved: HandSample,
        turn: float,
        pictures: Pictures,
    ) -> dict[str, np.ndarray]:
        """Return the labels of a row; the right hand first.

        | value | shape | meaning |
        |---|---|---|
        | joints | (2, 21, 3) | mm, camera frame, order of the annotations; where `joints_known` |
        | joints_2d | (2, 21, 2) | px of the letterbox; where `seen` |
        | mano | (2, 61) | as the annotations' ``*_mano``, turned; where `mano_known` |
        | mask | (2, size, size) | bytes 0 and 1; where `mask_known` |
        | grasp | (2,) | class, -1 where it is not known |
        """
        solid = bool(moved.valid.any())
        seen = moved.in_view & np.isfinite(moved.joints_2d).all(axis=-1)
        seen &= solid or "points" in self.auxiliary
        mano = [_mano(row, side, turn) for side in HAND_SIDES]
        grasp, masks = np.full(2, -1), None
        if not solid and "grasp" in self.auxiliary:
            grasp = np.array([row[f"{side}_grasp"][0] for side in HAND_SIDES])
        if not solid and "mask" in self.auxiliary and row["mask"][0] is not None:
            masks = _masks(pictures.read_parts(row["mask"][0]), turn, self.mask_size)
        if masks is None:
            size = (2, self.mask_size, self.mask_size)
            masks = np.zeros(size, np.uint8), np.zeros(2, bool)
        return {
            "joints": np.nan_to_num(moved.joints).astype(np.float32),
            "joints_known": moved.valid,
            "joints_2d": np.where(seen[..., None], moved.joints_2d, 0).astype(np.float32),
            "seen": seen,
            "mano": np.stack([values for values, _ in mano]).astype(np.float32),
            "mano_known": np.array([there for _, there in mano]),
            "mask": masks[0],
            "mask_known": masks[1],
            "grasp": grasp.astype(np.int64),
        }


def _mano(row: AnnotationBatch, side: str, turn: float) -> tuple[np.ndarray, bool]:
    """Parameters of a hand in the turned camera; the translation is not turned and not used."""
    if not row.given(f"{side}_mano")[0]:
        return np.zeros(61), False
    values = row[f"{side}_mano"][0].astype(float)
    if turn:
        # What is in a turned box turns the other way.
        about = rotvec_to_rotmat(np.array([0.0, 0.0, -turn]))
        values[:3] = rotmat_to_rotvec(about @ rotvec_to_rotmat(values[:3]))
    return values, True


def _masks(parts: np.ndarray, turn: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks (2, size, size) of the letterbox, and which of them are whole hands."""
    height, width = parts.shape
    with np.errstate(invalid="ignore"):
        known = touched_outlines(parts) <= UNOCCLUDED
    affine = letterbox(width, height, turn) * (size / SIDE)
    return np.stack([_nearest(hand, affine, size) for hand in hands_of(parts)]), known


def _nearest(mask: np.ndarray, affine: np.ndarray, size: int) -> np.ndarray:
    """Warp a mask (height, width) to (size, size): the nearest pixel, 0 outside."""
    y, x = np.mgrid[:size, :size]
    points = apply(invert(affine), np.stack([x.ravel(), y.ravel()], axis=1).astype(float))
    column, line = np.rint(points).astype(int).T
    inside = (column >= 0) & (line >= 0) & (column < mask.shape[1]) & (line < mask.shape[0])
    found = np.zeros(size * size, np.uint8)
    found[inside] = mask[line[inside], column[inside]]
    return found.reshape(size, size)


def _moved_boxes(sample: HandSample, affine: np.ndarray) -> np.ndarray:
    """Boxes (2, 4) of the hands in the letterbox, x, y, w, h; NaN where there is none."""
    corner, extent = sample.hand_bbox[:, None, :2], sample.hand_bbox[:, None, 2:]
    places = apply(affine, corner + extent * _UNIT)
    low, high = places.min(axis=1), places.max(axis=1)
    return np.concatenate([low, high - low], axis=1)


_UNIT = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def _corners(squares: np.ndarray) -> np.ndarray:
    return np.concatenate([squares[:, :2], squares[:, :2] + squares[:, 2:]], axis=1)


def _coloured(image: np.ndarray, factors: np.ndarray) -> np.ndarray:
    if (factors == 1).all():
        return image
    if np.array_equal(image[..., 0], image[..., 2]):
        factors = factors[[0, 0, 0]]
    return np.clip(np.rint(image * factors), 0, 255).astype(np.uint8)


def batch_views(batch: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Return what networks are called with: picture, crops, boxes, K."""
    return batch["picture"], batch["crops"], batch["boxes"], batch["K"]
