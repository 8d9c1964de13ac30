"""Videos of a dataset: the table of frames beside the table of clips.

H2O, FPHA and their siblings have two prepared tables of every split, ``pose-SPLIT`` with a row for
each frame and ``action-SPLIT`` with one for each video. Either leads to the other.

A video is a clip of the second table with its frames of the first. Frames in no clip, and frames
for which there is no table of clips, belong together while their sequence and camera stay the same
and their numbers go on (at most `GAP` apart). Frames that a clip should have and that have no row
are left out: five of H2O's train frames are in a segment but not in the pose list.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import DatasetError, Problem

#: Frame numbers from one frame of a video to the next, at most (HandSim has every second frame).
GAP = 2
#: What is read of a table to find its videos.
COLUMNS = ("sequence", "camera", "frame", "end_frame")
_OTHER = {"pose": "action", "action": "pose"}


class Video(NamedTuple):
    """A video: rows of its frames in their table, and their numbers from its first frame."""

    rows: np.ndarray
    numbers: np.ndarray


class Recordings:
    """Frames by sequence and number.

    Parameters
    ----------
    frames
        Table with a row for each frame.
    """

    def __init__(self, frames: Annotations):
        rows = whole(frames, COLUMNS)
        self.sequence, self.camera = _codes(rows["sequence"]), _codes(rows["camera"])
        self.frame = rows["frame"]
        order = np.lexsort((self.frame, self.camera, self.sequence))
        cuts = np.flatnonzero(np.diff(self.sequence[order])) + 1
        parts = np.split(order, cuts)
        self._rows = {rows["sequence"][part[0]]: part for part in parts if len(part)}

    def clip(self, sequence: str, first: int, last: int) -> Video:
        """Return the frames of a sequence from `first` to `last`, both included.

        Where several cameras recorded them, those of the first one.
        """
        rows = self._rows.get(sequence, np.zeros(0, np.int64))
        rows = rows[self.camera[rows] == self.camera[rows[:1]]]
        rows = rows[(self.frame[rows] >= first) & (self.frame[rows] <= last)]
        return Video(rows, self.frame[rows] - first)

    def videos(self, clips: AnnotationBatch | None) -> list[Video]:
        """Return all videos: those of the clips, and what is in none of them."""
        found = [] if clips is None else self.of(clips)
        free = np.ones(len(self.frame), bool)
        for video in found:
            free[video.rows] = False
        return [video for video in found if len(video.rows)] + self._runs(free)

    def of(self, clips: AnnotationBatch) -> list[Video]:
        """Return the video of each clip; one without any frame is empty."""
        places = zip(clips["sequence"], clips["frame"], clips["end_frame"], strict=True)
        return [self.clip(sequence, int(first), int(last)) for sequence, first, last in places]

    def _runs(self, wanted: np.ndarray) -> list[Video]:
        """Return what follows one another among the rows that are wanted."""
        order = np.lexsort((self.frame, self.camera, self.sequence))
        order = order[wanted[order]]
        same = np.ones(max(len(order) - 1, 0), bool)
        for column in (self.sequence, self.camera):
            same &= np.diff(column[order]) == 0
        same &= np.diff(self.frame[order]) <= GAP
        parts = np.split(order, np.flatnonzero(~same) + 1)
        return [Video(p, self.frame[p] - self.frame[p[0]]) for p in parts if len(p)]


def whole(table: Annotations, columns: Sequence[str]) -> AnnotationBatch:
    """Read whole columns at once."""
    return AnnotationBatch(0, one_batch(table.table(columns)))


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch; an empty one too."""
    batches = table.unify_dictionaries().combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def is_clips(table: Annotations) -> bool:
    """Whether a table has clips, not frames: only these have an end."""
    column = table.table(["end_frame"]).column("end_frame")
    return column.null_count < len(column)


def frames_and_clips(opened: Annotations) -> tuple[Annotations, Annotations | None]:
    """Return the tables of frames and of clips, of which `opened` is one.

    The other one lies beside it: ``pose-test`` beside ``action-test``. Clips may lack.

    Raises
    ------
    DatasetError
        HB201 where the frames of clips are not prepared.
    """
    beside = _beside(opened)
    if not is_clips(opened):
        clips = Annotations.open(beside) if beside is not None and beside.is_file() else None
        return opened, clips
    if beside is None or not beside.is_file():
        what = "has clips, and the table of their frames is not beside it."
        fix = "`hand-bench data prepare` writes both: action-SPLIT and pose-SPLIT."
        raise DatasetError(Problem("HB201", str(opened.path), what, fix=fix))
    return Annotations.open(beside), opened


def _beside(opened: Annotations) -> Path | None:
    folder = opened.path.resolve().parent
    kind, _, split = folder.name.partition("-")
    if kind not in _OTHER:
        return None
    return folder.with_name(f"{_OTHER[kind]}-{split}") / opened.path.name


def _codes(names: np.ndarray) -> np.ndarray:
    """Number texts in their order; none comes first."""
    return np.unique([name or "" for name in names], return_inverse=True)[1]
