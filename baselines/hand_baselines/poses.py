"""Hand poses over time: recordings in the world frame, from the truth or a predictions file.

Conventions
-----------
Millimetres, world frame, OpenPose order, right hand first; NaN where nothing is known. Several
pictures of one instant become one pose: the mean over the cameras that know a joint. A predicted
hand counts where its score is at least one half, as for the scorer.

Clips lie in a table of their own ("verbs-val"); their poses in the table of images of the same
split ("val"), or in that of the track that a predictions file was written for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hand_bench import pairing
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.array_types import Float, Int
from hand_bench.blocks import Canonical
from hand_bench.checks import ValueChecks
from hand_bench.data import folder
from hand_bench.errors import BaselineError, DatasetError, Problem, SubmissionError
from hand_bench.geometry import camera_to_world
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.predictions import open_for_track, open_predictions
from hand_bench.sources import PredictionSource
from hand_bench.tracks import TRACKS, Track, find_track
from hand_bench.validation import file_problems

#: Prefix of the tables of clips.
CLIPS = "verbs-"
TRUTH = "truth"
_WHEN = ("sequence", "frame", "time")
_LABELS = tuple(f"{side}_{what}" for side in HAND_SIDES for what in ("joints", "valid"))
_CAMERA = "T_world_from_camera"


class Recording(NamedTuple):
    """The instants of a recording in time order, those at which anything is known.

    | field | shape | meaning |
    |---|---|---|
    | frame | (instants,) | frame numbers |
    | time | (instants,) | seconds |
    | joints | (instants, 2, 21, 3) | mm, world; NaN where not known |
    """

    frame: Int[np.ndarray, " instants"]
    time: Float[np.ndarray, " instants"]
    joints: Float[np.ndarray, "instants 2 21 3"]


@dataclass(frozen=True)
class Poses:
    """The poses of a table.

    Attributes
    ----------
    recordings
        By the name of the sequence.
    source, sha256
        "truth", or the method of a predictions file; and the hash of what was read.
    from_wrists
        Whether joints are only known from the wrist of their hand.
    """

    recordings: Mapping[str, Recording]
    source: str
    sha256: str
    from_wrists: bool = False

    @property
    def frames_per_second(self) -> float:
        """How many frame numbers a second has."""
        spans = [
            (r.frame[-1] - r.frame[0], r.time[-1] - r.time[0]) for r in self.recordings.values()
        ]
        frames, seconds = np.sum(spans, axis=0) if spans else (0, 0.0)
        return float(frames / seconds) if seconds > 0 else 30.0


class _Part(NamedTuple):
    """Rows as they are read: names, numbers, seconds and joints (rows, 2, 21, 3)."""

    sequence: np.ndarray
    frame: np.ndarray
    time: np.ndarray
    joints: np.ndarray


def clip_poses(clips: Annotations, preds: Any = None) -> Poses:
    """Return the poses that belong to a table of clips: the truth, or those of predictions.

    Parameters
    ----------
    clips
        A prepared table of clips.
    preds
        Predictions of a pose track of the same dataset, complete for the clips' split; default:
        the truth.

    Raises
    ------
    BaselineError
        HB302 where the table is none of clips, or the predictions are of another dataset.
    DatasetError
        HB201 where the table of images is not prepared.
    SubmissionError
        As `hand_bench.evaluate`.
    """
    dataset, split = _place(clips)
    if preds is None:
        return truth_poses(Annotations.open(folder(dataset, split) / "annotations.parquet"))
    track = pose_track(dataset, split, open_predictions(preds).declared.track)
    table = track.table.removesuffix(track.split.rsplit("-", 1)[-1]) + split
    opened = Annotations.open(folder(dataset, table) / "annotations.parquet")
    return predicted_poses(preds, track, opened)


def table_poses(preds: Any, table: Annotations) -> Poses:
    """Return the poses of predictions of a table of poses itself; errors as `clip_poses`.

    Units that the file declares are believed, however small its hands are.
    """
    where, declared = table.manifest, open_predictions(preds).declared
    track = pose_track(where["dataset"], where["split"], declared.track)
    return predicted_poses(preds, track, table, trust_units=bool(declared.units))


def pose_track(dataset: str, split: str, declared: str | None) -> Track:
    """Return the track that predictions are of: the declared one, else that of the images.

    Raises
    ------
    BaselineError
        HB302 where there is none, or the declared one asks for something else.
    """
    if declared is not None:
        track = find_track(declared)
        if track.dataset == dataset and track.kind == "pose":
            return track
        what = f"is a file of {declared}; 3D poses of {dataset} are needed."
        raise BaselineError(Problem("HB302", "predictions", what))
    found = [t for t in TRACKS.values() if t.dataset == dataset and t.kind == "pose"]
    if not found:
        what = f"no track of {dataset} asks for 3D poses."
        raise BaselineError(Problem("HB302", "predictions", what))
    return next((t for t in found if t.table == split), found[0])


def truth_poses(annotations: Annotations) -> Poses:
    """Read the annotated poses of a table of images, or of instants in the world frame."""
    columns = [*_WHEN, *_LABELS, _CAMERA]
    parts = (_annotated(rows) for rows in annotations.batches(columns))
    return Poses(_recordings(parts), TRUTH, annotations.sha256)


def predicted_poses(
    preds: Any, track: Track, annotations: Annotations, *, trust_units: bool = False
) -> Poses:
    """Read predictions of a table; units, joint order and frame are converted as for scoring.

    With `trust_units` hands of a strange size are no error.

    Raises
    ------
    SubmissionError
        With every problem of the file, as `hand_bench.evaluate`.
    """
    source = open_for_track(preds, track)
    recordings = _recordings(_predicted(source, track, annotations, trust_units))
    relative = source.declared.frame == "root-relative"
    name = source.declared.method or source.name
    return Poses(recordings, name, source.sha256 or "", relative)


def _place(clips: Annotations) -> tuple[str, str]:
    """Dataset and split of a table of clips."""
    split = str(clips.manifest.get("split", ""))
    if not split.startswith(CLIPS):
        what = "is no prepared table of verb clips: nothing says where its poses are."
        fix = "Its folder needs the manifest.json that `hand-bench data prepare` wrote."
        raise BaselineError(Problem("HB302", str(clips.path), what, fix=fix))
    return clips.manifest["dataset"], split.removeprefix(CLIPS)


def _annotated(rows: AnnotationBatch) -> _Part:
    joints = np.stack([rows[f"{side}_joints"] for side in HAND_SIDES], axis=1).astype(np.float64)
    valid = np.stack(
        [rows[f"{side}_valid"] & rows.present(side)[:, None] for side in HAND_SIDES], axis=1
    )
    return _part(rows, np.where(valid[..., None], joints, np.nan))


def _predicted(
    source: PredictionSource, track: Track, annotations: Annotations, trust_units: bool
) -> Iterator[_Part]:
    selection = pairing.Selection(annotations)
    position, coverage = pairing.join(selection, source)
    canonical = Canonical(track, source.declared, source.layout.image_space, False)
    known = source.name, source.declared, track.hand_length, source.layout.image_space
    checks = ValueChecks(*known, trust_units)
    problems = file_problems(source, track, coverage)
    if problems:
        checks.look_at_all(source.blocks())
        raise SubmissionError(problems + checks.problems())
    columns = list(dict.fromkeys([*canonical.columns, *_WHEN, _CAMERA]))
    for pair in pairing.reordered(selection, columns, source, checks, position):
        block = canonical.block(pair)
        there = np.stack([side.found for side in block.sides], axis=1) & (block.scores >= 0.5)
        joints = np.stack([side.pred for side in block.sides], axis=1).astype(np.float64)
        yield _part(pair.truth, np.where(there[..., None, None], joints, np.nan))
    if found := checks.problems():
        raise SubmissionError(found)


def _part(rows: AnnotationBatch, joints: np.ndarray) -> _Part:
    """Rows with their joints in the world; without a camera they are there already."""
    known = rows.given(_CAMERA)
    joints[known] = camera_to_world(joints[known], rows[_CAMERA][known][:, None])
    return _Part(*(rows[name] for name in _WHEN), joints)


def _recordings(parts: Iterable[_Part]) -> dict[str, Recording]:
    """Put rows together by recording and instant.

    Raises
    ------
    DatasetError
        HB202 where no joint is known.
    """
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if not columns or not np.isfinite(columns[3]).any():
        raise DatasetError(Problem("HB202", "poses", "no joint is known in 3D."))
    rows = _Part(*columns)
    names, codes = np.unique(rows.sequence.astype(str), return_inverse=True)
    return {str(name): _recording(rows, np.flatnonzero(codes == k)) for k, name in enumerate(names)}


def _recording(rows: _Part, at: np.ndarray) -> Recording:
    """Merge the pictures of every instant of a recording (rows `at`)."""
    frame, first, instant = np.unique(rows.frame[at], return_index=True, return_inverse=True)
    joints, known = rows.joints[at], np.isfinite(rows.joints[at]).all(axis=-1)
    total, count = np.zeros((len(frame), 2, 21, 3)), np.zeros((len(frame), 2, 21))
    np.add.at(total, instant, np.where(known[..., None], joints, 0.0))
    np.add.at(count, instant, known)
    merged = np.where(count[..., None] > 0, total / np.maximum(count, 1)[..., None], np.nan)
    seen = count.any(axis=(1, 2))
    return Recording(frame[seen], rows.time[at][first][seen], merged[seen].astype(np.float32))
