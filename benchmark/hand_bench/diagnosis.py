"""Diagnosis of a predictions file that scores badly: which convention is wrong, by how much.

`diagnose` is for every kind of track. What can be wrong, and the rule for a likely fix, stand in a
module for each kind: `pose_diagnosis`, `planar_diagnosis` (2D) and `clip_diagnosis`. This one
chooses the samples that are measured.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hand_bench import pairing, scoring
from hand_bench.annotations import Annotations
from hand_bench.array_types import Int
from hand_bench.arrow import numbers
from hand_bench.data import open_annotations, quiet
from hand_bench.evaluator import Evaluator
from hand_bench.predictions import open_for_track
from hand_bench.tracks import Track, find_track

if TYPE_CHECKING:
    from hand_bench.clip_diagnosis import ClipDiagnosis
    from hand_bench.planar_diagnosis import PlanarDiagnosis
    from hand_bench.pose_diagnosis import Diagnosis

#: What is reported and never applied is likely only where so many hands or clips were measured.
FEWEST = 20
#: Length of the runs of neighbouring frames that are measured.
RUN = 10


def diagnose(
    preds: Any,
    *,
    track: str | Track,
    annotations: str | Path | Annotations | None = None,
    fix: str | Path | None = None,
    max_samples: int = 20_000,
    units: str | None = None,
    joint_set: str | None = None,
    frame: str | None = None,
    progress: Callable[[str, int, int], None] = quiet,
) -> Diagnosis | PlanarDiagnosis | ClipDiagnosis:
    """Find out which convention of a predictions file is wrong.

    Files that `evaluate` refuses for their values or ids are measured on what can be used.
    The findings of 2D poses hold errors in pixels, those of clips accuracies.

    Parameters
    ----------
    preds, track, annotations, units, joint_set, frame
        As in `evaluate`.
    fix
        Write a file here with the likely discrete fixes applied: canonical layout, the track's
        own unit and joint order, all ids; hands that cannot be used become null.
    max_samples
        Measure at most so many rows, in runs of neighbouring frames spread over all sequences.
    progress
        Called with (what, done, total) in rows.

    Raises
    ------
    SubmissionError
        HB101 to HB115, HB125 for a file that cannot be read; its values are only measured.
    DatasetError
        HB209 where the truth is withheld.
    """
    track = find_track(track)
    if not isinstance(annotations, Annotations):
        annotations = open_annotations(track, annotations)
    scoring.require_truth(Evaluator(track, annotations))
    if track.kind == "action":
        from hand_bench.clip_diagnosis import diagnose_clips

        return diagnose_clips(preds, track, annotations, fix=fix)
    source = open_for_track(preds, track, units=units, joint_set=joint_set, frame=frame)
    options = {"fix": fix, "max_samples": max_samples, "progress": progress}
    if track.kind == "pose-2d":
        from hand_bench.planar_diagnosis import diagnose_planar

        return diagnose_planar(source, track, annotations, **options)
    from hand_bench.pose_diagnosis import diagnose_pose

    return diagnose_pose(source, track, annotations, **options)


def chosen(
    annotations: Annotations, position: Int[np.ndarray, " rows"], most: int
) -> tuple[np.ndarray, np.ndarray, pairing.Selection, np.ndarray]:
    """Choose the samples to measure, of those that a file answers.

    Returns
    -------
    tuple
        Their rows, the recording (sequence and camera) of each, a selection of them, and the
        place in it that each row of the file answers (-1: none).
    """
    table = annotations.table(["sequence", "camera"])
    sequence, camera = (_codes(table.column(name)) for name in ("sequence", "camera"))
    there = np.unique(position[position >= 0])
    rows = spread_rows(sequence[there], there, most)
    local, keep = np.full(annotations.rows, -1), np.zeros(annotations.rows, bool)
    local[rows], keep[rows] = np.arange(len(rows)), True
    local = np.where(position >= 0, local[position], -1)
    recording = sequence[rows].astype(np.int64) * (int(camera.max()) + 1) + camera[rows]
    return rows, recording, pairing.Selection(annotations, keep), local


def _codes(column: Any) -> np.ndarray:
    """Number the texts of a column; what is null has a number too."""
    column = column.unify_dictionaries().combine_chunks()
    return numbers(column.indices, null=len(column.dictionary))


def spread_rows(
    sequence: Int[np.ndarray, " rows"], rows: Int[np.ndarray, " rows"], most: int
) -> Int[np.ndarray, " chosen"]:
    """Choose at most `most` rows: runs of neighbours, evenly spread and in every sequence."""
    if len(rows) <= most:
        return rows
    run = min(RUN, most)
    count = most // run
    first = np.flatnonzero(np.diff(sequence, prepend=-1))
    first = first[:: -(-2 * len(first) // count)]
    even = np.linspace(0, len(rows) - run, max(0, count - len(first))).astype(np.int64)
    index = np.unique(np.union1d(first, even)[:, None] + np.arange(run))
    return rows[index[index < len(rows)]]
