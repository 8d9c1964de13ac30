"""Clips as samples: every start of every video in training, single frames to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hand_baselines.augmentation import HandSample
from hand_baselines.htt.config import HTTConfig
from hand_baselines.htt.model import REFERENCE
from hand_baselines.htt.recordings import Recordings, whole
from hand_baselines.htt.segmentation import clip_from, training_starts
from hand_baselines.htt.views import Ranges, Variation, resized
from hand_baselines.pictures import Pictures
from hand_baselines.samples import read_sample
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.joint_sets import HAND_SIDES


class Clip(NamedTuple):
    """A clip to train on: rows of its frames, and the label of its action (-1: not known)."""

    rows: np.ndarray
    label: int


def training_clips(frames: Annotations, clips: Annotations, config: HTTConfig) -> list[Clip]:
    """Return a clip for every start of every video (`segmentation.training_starts`)."""
    rows = whole(clips, ("sequence", "frame", "end_frame", "label"))
    labels = np.where(rows.given("label"), rows["label"], -1)
    found = []
    for video, label in zip(Recordings(frames).of(rows), labels.tolist(), strict=True):
        given = config.clip, config.spacing
        for start in training_starts(video.numbers, *given, config.offsets):
            found.append(Clip(video.rows[clip_from(video.numbers, start, *given)], label))
    return found


class TrainingClips(Dataset):
    """Clips with their labels, varied at random; by number, or by (epoch, number).

    | tensor | shape | meaning |
    |---|---|---|
    | image | (frames, 3, height, width) | bytes |
    | valid | (frames,) | which frames are there; the others are black |
    | pixels | (frames, joints, 2) | px of a picture of 480 x 270, as it is shifted |
    | depth | (frames, joints) | metres |
    | known | (frames, joints) | annotated, and in front of the camera |
    | K | (frames, 3, 3) | intrinsics of the picture of 480 x 270, as it is shifted |
    | object, action | () | class, -1 where it is not known |

    All clips are as long as the longest one.

    Parameters
    ----------
    parts
        For each table of frames: its rows (`samples.read_table`'s columns), its pictures, clips.
    config
        Sizes, and the taxonomy.
    ranges
        How far clips vary; None: not at all.
    seed
        Of the variations.
    """

    def __init__(
        self,
        parts: Sequence[tuple[pa.RecordBatch, Pictures, Sequence[Clip]]],
        config: HTTConfig,
        ranges: Ranges | None = None,
        seed: int = 0,
    ):
        self.tables = [(table, pictures) for table, pictures, _ in parts]
        self.clips = [(k, clip) for k, (_, _, clips) in enumerate(parts) for clip in clips]
        self.longest = max((len(clip.rows) for _, clip in self.clips), default=0)
        self.config, self.ranges, self.seed = config, ranges, seed

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Tensor]:
        """Return a clip."""
        epoch, index = place if isinstance(place, tuple) else (0, place)
        source, clip = self.clips[index]
        variation = None
        if self.ranges is not None:
            rng = np.random.default_rng([self.seed, epoch, index])
            width = self.config.picture_size[0]
            variation = Variation.draw(self.ranges, width, len(clip.rows), rng)
        made = self._empty(clip.label)
        for frame, row in enumerate(clip.rows.tolist()):
            values = self._frame(*self.tables[source], row, variation, frame)
            for name, value in values.items():
                made[name][frame] = value
        return {name: torch.from_numpy(np.asarray(value)) for name, value in made.items()}

    def _empty(self, label: int) -> dict[str, np.ndarray]:
        frames, (width, height) = self.longest, self.config.picture_size
        shows = self.config.shows
        thing = shows.object_of[label] if label >= 0 else -1
        return {
            "image": np.zeros((frames, 3, height, width), np.uint8),
            "valid": np.zeros(frames, bool),
            "pixels": np.zeros((frames, shows.joints, 2), np.float32),
            "depth": np.ones((frames, shows.joints), np.float32),
            "known": np.zeros((frames, shows.joints), bool),
            "K": np.tile(np.eye(3, dtype=np.float32), (frames, 1, 1)),
            "object": np.array(thing, np.int64),
            "action": np.array(label, np.int64),
        }

    def _frame(
        self,
        table: pa.RecordBatch,
        pictures: Pictures,
        row: int,
        variation: Variation | None,
        frame: int,
    ) -> dict[str, np.ndarray | bool]:
        one = AnnotationBatch(row, table.slice(row, 1))
        sample = read_sample(one, pictures.read(table.column("image")[row].as_py()))
        picture, size = resized(sample.image, self.config.picture_size), self.config.picture_size
        values = labels(sample, self.config.shows.hands)
        if variation is not None:
            picture = variation.apply(picture, frame)
            moved = np.array(variation.shift) * np.array(REFERENCE) / np.array(size)
            values["pixels"] -= moved
            values["K"][:2, 2] -= moved
        return {"image": np.moveaxis(picture, 2, 0), "valid": True, **values}


def labels(sample: HandSample, hands: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what is trained on of a frame: pixels, depth, known and K (see `TrainingClips`)."""
    order = [HAND_SIDES.index(side) for side in hands]
    depth = sample.joints[order, :, 2].reshape(-1) / 1000
    points = sample.joints_2d[order].reshape(-1, 2) * _factors(sample.image)
    known = sample.valid[order].reshape(-1) & np.isfinite(points).all(axis=1) & (depth > 0)
    return {
        "pixels": np.where(known[:, None], points, 0.0),
        "depth": np.where(known, depth, 1.0),
        "known": known,
        "K": reference_intrinsics(sample.K, sample.image),
    }


def reference_intrinsics(K: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Return the intrinsics of a picture as if it were `REFERENCE`: plain multiplication."""
    return np.diag([*_factors(picture), 1.0]) @ K


def _factors(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return np.array([REFERENCE[0] / width, REFERENCE[1] / height])


class Frames(Dataset):
    """Frames of a table as they are answered: the picture, and K of `REFERENCE`.

    Parameters
    ----------
    table
        Rows with `samples.INPUTS`.
    rows
        Which of them, in which order.
    pictures, config
        Where the pictures are, and their size.
    """

    def __init__(
        self, table: pa.RecordBatch, rows: np.ndarray, pictures: Pictures, config: HTTConfig
    ):
        self.table, self.rows = table, rows
        self.pictures, self.config = pictures, config

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        """Return a frame."""
        row = int(self.rows[index])
        one = AnnotationBatch(row, self.table.slice(row, 1))
        picture = self.pictures.read(self.table.column("image")[row].as_py())
        sample = read_sample(one, picture, labels=False)
        image = resized(sample.image, self.config.picture_size)
        return {
            "image": torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, 2, 0))),
            "K": torch.from_numpy(reference_intrinsics(sample.K, sample.image)),
        }
