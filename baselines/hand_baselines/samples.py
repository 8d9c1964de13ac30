"""Canonical annotations and pictures as samples: one torch dataset for every prepared table.

Conventions
-----------
`read_sample` makes an `augmentation.HandSample` of a row: picture, camera, labels as the
annotations hold them, boxes in pixels of the picture. 2D points are projections of the 3D ones, or
the annotated ones where there is no 3D. A joint that is annotated without being marked as seen or
hidden counts as seen where it projects into the picture. The box around the hands is the dataset's
own; else the hull of the hands' boxes; for training else the hull of the labels; else the picture.

`HandCrops` gives crops by their number and an epoch. The random view of a sample depends on the
seed, the epoch and the number alone, not on workers, order or earlier samples.

`Order` is the order of samples of an epoch. Pictures in shards are shuffled within a window of
neighbours, so that each row group is read about once; picture files are shuffled as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor
from torch.utils.data import Dataset

from hand_baselines.augmentation import HandSample, Ranges, as_tensors, crop, random_crop
from hand_baselines.crops import clip_box
from hand_baselines.pictures import Pictures, split_place
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.calibration import project_opencv
from hand_bench.errors import DatasetError, Problem
from hand_bench.joint_sets import HAND_SIDES

#: What a method may look at.
INPUTS = (
    *("sample_id", "annotation_id", "image", "width", "height"),
    *("K", "distortion", "bbox", "right_bbox", "left_bbox"),
)
#: What it is trained on.
LABELS = (
    *("hand_type", "hand_type_valid", "annotator"),
    *(
        f"{side}_{what}"
        for side in HAND_SIDES
        for what in ("joints", "joints_2d", "valid", "in_view")
    ),
)
#: Which pictures are trained on: all, those of one hand, or those of interacting hands.
Hands = Literal["all", "single", "interacting"]
#: Neighbours that are shuffled together, and how many lots of them are mixed.
LOT, WINDOW = 64, 64


def read_table(
    annotations: Annotations, *, hands: Hands = "all", annotators: Sequence[str] = ()
) -> pa.RecordBatch:
    """Read the rows of annotations that are trained on, as they are stored (compact).

    Parameters
    ----------
    annotations
        Of a table of images in the camera frame.
    hands
        By ``hand_type``; pictures of unknown type are no single ones.
    annotators
        Only rows of these annotators ("human", "machine"); none: all.

    Raises
    ------
    DatasetError
        HB202 where no row is left, or the rows have no pictures.
    """
    table = chosen_rows(annotations.table([*INPUTS, *LABELS]), hands, annotators)
    if not len(table) or table["image"].null_count == len(table):
        what = "no sample is left of" if not len(table) else "there are no pictures in"
        raise DatasetError(Problem("HB202", str(annotations.path), f"{what} this table."))
    return table.combine_chunks().to_batches()[0]


def chosen_rows(table: pa.Table, hands: Hands = "all", annotators: Sequence[str] = ()) -> pa.Table:
    """Return the rows that are trained on (see `read_table`)."""
    if hands != "all":
        single = pc.is_in(table["hand_type"], value_set=pa.array(HAND_SIDES))
        both = pc.equal(table["hand_type"], "interacting")
        table = table.filter(single if hands == "single" else both)
    if annotators:
        table = table.filter(pc.is_in(table["annotator"], value_set=pa.array(list(annotators))))
    return table


def join_tables(
    tables: Sequence[pa.RecordBatch], roots: Sequence[Path]
) -> tuple[pa.RecordBatch, Path]:
    """Make one table of several, whose pictures are in several places; return both.

    With one table nothing changes. With several, places of pictures and masks become absolute.
    """
    if len(tables) == 1:
        return tables[0], roots[0]
    parts = []
    for table, root in zip(tables, roots, strict=True):
        part = pa.Table.from_batches([table])
        for name in {"image", "mask"} & set(part.schema.names):
            places = [place and str(root.resolve() / place) for place in table[name].to_pylist()]
            at = part.schema.get_field_index(name)
            part = part.set_column(at, name, pa.array(places, pa.string()))
        parts.append(part.unify_dictionaries())
    whole = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    return whole.to_batches()[0], Path("/")


def read_sample(row: AnnotationBatch, image: np.ndarray, *, labels: bool = True) -> HandSample:
    """Make a sample of one row (a batch of one) and its picture.

    Without `labels` only the columns `INPUTS` are looked at; joints are NaN and nothing is valid.
    """
    height, width = image.shape[:2]
    # Boxes, points and K are those of the annotated size.
    given = row["width"][0], row["height"][0]
    scale = np.array([width / given[0], height / given[1]]) if min(given) > 0 else np.ones(2)
    truth = _labels(row, (width, height), scale) if labels else _NO_LABELS
    hand_bbox = np.stack([_given(row, f"{side}_bbox", 4) for side in HAND_SIDES])
    hand_bbox = hand_bbox * np.tile(scale, 2)
    own = _given(row, "bbox", 4) * np.tile(scale, 2)
    return HandSample(
        image=image,
        K=np.diag([*scale, 1.0]) @ row["K"][0] if row.given("K")[0] else np.eye(3),
        **truth,
        bbox=_box(own, hand_bbox, truth, (width, height)),
        hand_bbox=hand_bbox,
        affine=np.eye(2, 3),
    )


@dataclass(frozen=True)
class Crops:
    """How crops are cut.

    Attributes
    ----------
    box
        The square box of a box (x, y, w, h).
    size
        Pixels of the crop's side.
    ranges
        How far they vary; None: not at all.
    clipped
        Whether boxes are clipped to the picture first (where a part of them is in it).
    """

    box: Callable[[np.ndarray], np.ndarray]
    size: int
    ranges: Ranges | None = None
    clipped: bool = False

    def square(self, bbox: np.ndarray, width: int, height: int) -> np.ndarray:
        """Return the square that is cut for a box in a picture of a size."""
        if self.clipped:
            with suppress(ValueError):
                bbox = clip_box(bbox, width, height)
        return self.box(bbox)


class HandCrops(Dataset):
    """Crops of a table's samples as tensors: fields of `HandSample`, and the number ``index``.

    Parameters
    ----------
    table
        Rows (`read_table`, or any batch with the columns that are needed).
    pictures
        Where their pictures are.
    crops
        How they are cut; random where it has ranges.
    labels
        Whether to give labels; without, the columns `INPUTS` are enough.
    seed
        Of the random views.
    """

    def __init__(
        self,
        table: pa.RecordBatch,
        pictures: Pictures,
        crops: Crops,
        *,
        labels: bool = True,
        seed: int = 0,
    ):
        self.table, self.pictures, self.crops = table, pictures, crops
        self.labels, self.seed = labels, seed

    def __len__(self) -> int:
        return self.table.num_rows

    def sample(self, index: int) -> HandSample:
        """Return a whole picture with its labels."""
        row = AnnotationBatch(index, self.table.slice(index, 1))
        place = row.table.column("image")[0].as_py()
        return read_sample(row, self.pictures.read(place), labels=self.labels)

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Tensor]:
        """Return the crop of a sample: by number, or by (epoch, number)."""
        epoch, index = place if isinstance(place, tuple) else (0, place)
        sample = self.sample(index)
        height, width = sample.image.shape[:2]
        box = self.crops.square(sample.bbox, width, height)
        if self.crops.ranges is None:
            view = crop(sample, box, self.crops.size)
        else:
            rng = np.random.default_rng([self.seed, epoch, index])
            view = random_crop(sample, box, self.crops.size, self.crops.ranges, rng)
        return as_tensors(view)


@dataclass(frozen=True)
class Order:
    """The order of a table's samples in every epoch.

    Attributes
    ----------
    neighbours
        (n,), the samples in the order in which their pictures lie in the shards.
    sharded
        Whether they lie in shards at all.
    seed
        Every seed and epoch has its own order.
    """

    neighbours: np.ndarray
    sharded: bool
    seed: int = 0

    @classmethod
    def of(cls, table: pa.RecordBatch, seed: int = 0) -> Order:
        """Find out where the pictures of a table lie."""
        places = [split_place(place) for place in table.column("image").to_pylist()]
        sharded = all(row is not None for _, row in places)
        keys = sorted(range(len(places)), key=places.__getitem__) if sharded else range(len(places))
        return cls(np.asarray(keys, np.int64), sharded, seed)

    def epoch(self, epoch: int) -> np.ndarray:
        """Return the samples (n,) in the order of an epoch."""
        rng = np.random.default_rng([self.seed, epoch, 1])
        if not self.sharded:
            return rng.permutation(self.neighbours)
        lots = [self.neighbours[k : k + LOT] for k in range(0, len(self.neighbours), LOT)]
        order = rng.permutation(len(lots))
        windows = (order[k : k + WINDOW] for k in range(0, len(lots), WINDOW))
        return np.concatenate(
            [rng.permutation(np.concatenate([lots[k] for k in window])) for window in windows]
        )

    def batches(
        self, size: int, start: int, stop: int, *, part: int = 0, parts: int = 1
    ) -> Iterator[list[tuple[int, int]]]:
        """Give the batches of steps `start` to `stop`: lists of (epoch, number).

        A step takes ``size * parts`` samples, of which every process (`part` of `parts`) gets its
        own. What is left of an epoch and fills no batch is not used in it.

        Raises
        ------
        ValueError
            Where there are fewer samples than a step takes.
        """
        whole = size * parts
        steps = self.steps_per_epoch(whole)
        epoch, order = -1, self.neighbours
        for step in range(start, stop):
            if step // steps != epoch:
                epoch = step // steps
                order = self.epoch(epoch)
            first = (step % steps) * whole + part * size
            yield [(epoch, int(index)) for index in order[first : first + size]]

    def steps_per_epoch(self, whole: int) -> int:
        """How many batches of a size an epoch has."""
        steps = len(self.neighbours) // whole
        if not steps:
            raise ValueError(f"{len(self.neighbours)} samples are less than a batch of {whole}")
        return steps


def picture_root(annotations: Annotations, images: str | Path | None = None) -> Path:
    """Return the folder that pictures are relative to: `images`, or where the dataset is.

    Raises
    ------
    DatasetError
        HB202 where nothing says where it is.
    """
    root = images or annotations.manifest.get("root")
    if root is None:
        what = "nothing says where its pictures are."
        raise DatasetError(
            Problem("HB202", str(annotations.path), what, fix="`--images DIR` names the folder.")
        )
    return Path(root)


_NO_LABELS = {
    "joints": np.full((2, 21, 3), np.nan),
    "joints_2d": np.full((2, 21, 2), np.nan),
    "valid": np.zeros((2, 21), bool),
    "in_view": np.zeros((2, 21), bool),
    "present": np.zeros(2, bool),
    "present_known": False,
}


def _labels(row: AnnotationBatch, size: tuple[int, int], scale: np.ndarray) -> dict:
    joints = np.stack([_given(row, f"{side}_joints", (21, 3)) for side in HAND_SIDES])
    points = np.stack([_given(row, f"{side}_joints_2d", (21, 2)) for side in HAND_SIDES])
    valid = np.stack([_flags(row, f"{side}_valid") for side in HAND_SIDES])
    valid &= np.isfinite(joints).all(axis=-1)
    if row.given("K")[0] and valid.any():
        lens = row["distortion"][0] if row.given("distortion")[0] else np.zeros(8)
        with np.errstate(invalid="ignore", divide="ignore"):
            projected = project_opencv(joints.reshape(-1, 3), row["K"][0], lens).reshape(2, 21, 2)
        front = valid & (joints[..., 2] > 0)
        points = np.where(front[..., None], projected, points)
    points = points * scale
    known = np.isfinite(points).all(axis=-1)
    with np.errstate(invalid="ignore"):
        inside = ((points >= -0.5) & (points < np.array(size) - 0.5)).all(axis=-1)
    in_view = np.stack(
        [
            _flags(row, f"{side}_in_view") if row.given(f"{side}_in_view")[0] else inside[k]
            for k, side in enumerate(HAND_SIDES)
        ]
    )
    present, present_known = _presence(row, valid | known)
    return {
        "joints": joints,
        "joints_2d": points,
        "valid": valid,
        "in_view": in_view & known,
        "present": present,
        "present_known": present_known,
    }


def _presence(row: AnnotationBatch, annotated: np.ndarray) -> tuple[np.ndarray, bool]:
    """Which hands are there: by the annotated type, else by what is annotated."""
    kind = row["hand_type"][0]
    if kind is None:
        return np.asarray(annotated.any(axis=1)), True
    trusted = bool(row["hand_type_valid"][0]) if row.given("hand_type_valid")[0] else True
    return np.array([kind in (side, "interacting") for side in HAND_SIDES]), trusted


def _box(own: np.ndarray, hands: np.ndarray, truth: dict, size: tuple[int, int]) -> np.ndarray:
    if np.isfinite(own).all() and (own[2:] > 0).all():
        return own
    usable = np.isfinite(hands).all(axis=1) & (hands[:, 2:] > 0).all(axis=1)
    if usable.any():
        low, high = hands[usable, :2], hands[usable, :2] + hands[usable, 2:]
    elif truth["in_view"].any():
        low = high = truth["joints_2d"][truth["in_view"]]
    else:
        return np.array([0.0, 0.0, *size])
    corner, extent = low.min(axis=0), np.ptp(np.concatenate([low, high]), axis=0)
    return np.array([*corner, *np.maximum(extent, 1.0)])


def _given(row: AnnotationBatch, name: str, shape: int | tuple[int, ...]) -> np.ndarray:
    """A value in float64, NaN where it is absent."""
    return row[name][0].astype(float) if row.given(name)[0] else np.full(shape, np.nan)


def _flags(row: AnnotationBatch, name: str) -> np.ndarray:
    return row[name][0].astype(bool) if row.given(name)[0] else np.zeros(21, bool)
