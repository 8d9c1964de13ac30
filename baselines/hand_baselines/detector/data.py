"""Whole pictures with the boxes of their hands as samples of a detector.

Conventions
-----------
A picture lies in the middle of a square; boxes are x, y, w, h in pixels of that square, right hand
first. Whether a hand is there is known where it has a box, and where the annotations say, or do not
contradict, that it is absent: a hand that is said to be there but has no box is no example of
anything, nor are hands without a box where the type of the picture's hands is not to be trusted.

A random view is shifted, scaled, mirrored and coloured (`augmentation.random_affine`), not turned:
the hull of a turned box is no box of the turned hand. A mirror exchanges the hands. Of a hand that
leaves the view the box is clipped; where less than `LEAST` of it is left, it is not known.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hand_baselines.augmentation import Ranges, move, random_affine, random_colour
from hand_baselines.crops import crop_affine
from hand_baselines.mano_data import warped
from hand_baselines.pictures import Pictures
from hand_baselines.samples import read_sample
from hand_bench.annotations import AnnotationBatch
from hand_bench.joint_sets import HAND_SIDES

#: What is read of annotations.
GIVEN = ("image", "width", "height", "K", "distortion", "bbox", "right_bbox", "left_bbox")
PRESENCE = ("hand_type", "hand_type_valid")
#: How far views of whole pictures vary.
VARIED = Ranges(shift=0.2, scale=0.5, turn=0.0, turn_probability=0.0, colour=0.4)
#: Share of a box that has to be inside of a view for the hand to be looked for.
LEAST = 0.3


class WholePictures(Dataset):
    """Rows of annotations as samples.

    | value | shape | meaning |
    |---|---|---|
    | image | (3, size, size) | bytes |
    | affine | (2, 3) | from the picture, in the size that the annotations give, to the square |
    | boxes | (2, 4) | px of the square; 0 where not `there` |
    | there, known | (2,) | whether the hand is there, and whether that is known |

    Parameters
    ----------
    table
        Rows with the columns `GIVEN`, and with `PRESENCE` where presence matters.
    pictures, size
        Where they are, and pixels of the square.
    ranges
        How far they vary; None: not at all.
    seed
        Of the variations.
    """

    def __init__(
        self,
        table: pa.RecordBatch,
        pictures: Pictures,
        size: int,
        ranges: Ranges | None = None,
        *,
        seed: int = 0,
    ):
        self.table, self.pictures, self.size = table, pictures, size
        self.ranges, self.seed = ranges, seed

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Tensor]:
        """Return a view: by number, or by (epoch, number)."""
        epoch, index = place if isinstance(place, tuple) else (0, place)
        row = AnnotationBatch(index, self.table.slice(index, 1))
        sample = read_sample(
            row, self.pictures.read(row.table.column("image")[0].as_py()), labels=False
        )
        image, square = sample.image, whole_square(sample.image)
        if self.ranges is None:
            affine = crop_affine(square, self.size)
            view = warped(image, affine, self.size)
        else:
            rng = np.random.default_rng([self.seed, epoch, index])
            affine = random_affine(square, image.shape[1], self.size, self.ranges, rng)
            view = random_colour(warped(image, affine, self.size), self.ranges.colour, rng)
        # What is known stands in the place of the flags that a mirror exchanges with the hands.
        marked = replace(sample, image=_NOTHING, present=known_sides(row)[0])
        moved = move(marked, affine, (1, 1))
        boxes, share = _clipped(moved.hand_bbox, self.size)
        there = share >= LEAST
        found = {
            "image": np.moveaxis(view, 2, 0),
            "affine": affine @ _annotated_scale(row, image),
            "boxes": np.where(there[:, None], boxes, 0).astype(np.float32),
            "there": there,
            "known": there | (moved.present & ((share == 0) | np.isnan(share))),
        }
        found["affine"] = found["affine"].astype(np.float32)
        return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in found.items()}


_NOTHING = np.zeros((1, 1, 3), np.uint8)


def whole_square(image: np.ndarray) -> np.ndarray:
    """Return the square (4,), px, with a picture in its middle."""
    height, width = image.shape[:2]
    longer = max(width, height)
    return np.array([(width - longer) / 2, (height - longer) / 2, longer, longer])


def true_boxes(rows: AnnotationBatch) -> np.ndarray:
    """Return the annotated boxes of hands (rows, 2, 4), float32; NaN where there is none."""
    columns = [f"{side}_bbox" for side in HAND_SIDES]
    given = np.stack([rows.given(name) for name in columns], axis=1)
    values = np.stack([rows[name] for name in columns], axis=1)
    usable = given & np.isfinite(values).all(axis=-1)
    usable[usable] = (values[usable][:, 2:] > 0).all(axis=-1)
    return np.where(usable[..., None], values, np.float32(np.nan))


def known_sides(rows: AnnotationBatch) -> np.ndarray:
    """Return of which hands (rows, 2) it is known whether they are there."""
    boxed = np.isfinite(true_boxes(rows)).all(axis=-1)
    if not set(PRESENCE) <= set(rows.table.schema.names):
        return np.ones_like(boxed)
    kinds = rows["hand_type"]
    said = np.stack([[kind in (side, "interacting") for kind in kinds] for side in HAND_SIDES], 1)
    trusted = ~rows.given("hand_type_valid") | (rows["hand_type_valid"] != 0)
    return boxed | (~said & trusted[:, None])


def _clipped(boxes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (2, 4) inside of a view, and how much of each is; NaN where there is none."""
    low = np.clip(boxes[:, :2], -0.5, size - 0.5)
    high = np.clip(boxes[:, :2] + boxes[:, 2:], -0.5, size - 0.5)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (high - low).prod(axis=1) / boxes[:, 2:].prod(axis=1)
    return np.concatenate([low, high - low], axis=1), share


def _annotated_scale(row: AnnotationBatch, image: np.ndarray) -> np.ndarray:
    """Matrix (3, 3) from pixels of the annotated size to those of the picture as it is stored."""
    width, height = float(row["width"][0]), float(row["height"][0])
    if min(width, height) <= 0:
        return np.eye(3)
    return np.diag([image.shape[1] / width, image.shape[0] / height, 1.0])
