"""3D annotations of one's own recordings: hands in the world from calibrated views.

From pictures by a 2D network and triangulation, or by an MVExoNet; or from 2D points that another
detector found, by triangulation alone. What is written can be read back as a dataset
(bring-your-own.md): one row per hand and instant with ``joints`` (mm, world, OpenPose order),
``valid``, and besides ``confidence`` (0 to 1), ``reprojection_error`` (mean of the used views, px)
and ``views`` (how many were used), each for 21 joints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_baselines.annotation_inputs import (
    cameras_at,
    find_pictures,
    read_boxes,
    read_cameras,
    read_points,
    read_table,
    views_table,
)
from hand_baselines.instants import LEAST, keys_of
from hand_baselines.triangulation import (
    THRESHOLD,
    mean_errors,
    projections,
    ransac,
    reprojection_errors,
    undistort,
)
from hand_bench import files
from hand_bench.errors import BaselineError, DatasetError, Problem
from hand_bench.joint_sets import HAND_SIDES

#: Where a smaller part of the views agrees than this, the calibration is doubted.
AGREEING = 1 / 3
SCHEMA = pa.schema(
    [
        ("sequence", pa.string()),
        ("frame", pa.int64()),
        ("hand_side", pa.string()),
        ("joints", pa.list_(pa.float32(), 63)),
        ("valid", pa.list_(pa.bool_(), 21)),
        ("confidence", pa.list_(pa.float32(), 21)),
        ("reprojection_error", pa.list_(pa.float32(), 21)),
        ("views", pa.list_(pa.int32(), 21)),
    ]
)


@dataclass(frozen=True)
class Annotation:
    """One hand at one instant; (21, 3) joints in mm and four numbers for each of them."""

    sequence: str
    frame: int
    side: str
    joints: np.ndarray
    confidence: np.ndarray
    error: np.ndarray
    views: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """Which joints (21,) were found by views that agree, as far as that was measured."""
        agreed = np.isnan(self.error) | (self.error < THRESHOLD)
        return np.isfinite(self.joints).all(axis=1) & (self.views >= LEAST) & agreed


def annotate_points(points: Path, rig: Path, *, sequence: str = "recording") -> list[Annotation]:
    """Triangulate 2D points of views (`annotation_inputs.read_points`) by the views that agree.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204, HB208: see `annotation_inputs`; HB204 also where views do not agree.
    """
    found = read_points(points)
    table = rig.suffix == ".parquet"
    calibration = read_table(rig) if table else read_cameras(rig, sequence)
    annotations, seen = [], 0
    for (frame, side), views in sorted(found.items(), key=_right_first):
        cameras = cameras_at(calibration, sorted(views), frame, rig)
        K, lens, T = (np.stack(part) for part in zip(*cameras.values(), strict=True))
        joints_2d = undistort(np.stack([views[name][0] for name in cameras]), K, lens)
        sure = np.stack([views[name][1] for name in cameras])
        P = projections(K, T)
        joints, used = ransac(joints_2d, P, sure)
        error = mean_errors(reprojection_errors(joints, joints_2d, P), used)
        count = used.sum(axis=0)
        confidence = (sure * used).sum(axis=0) / np.maximum(count, 1)
        annotations.append(Annotation(sequence, frame, side, joints, confidence, error, count))
        seen += int(np.isfinite(joints_2d).all(axis=-1).sum())
    _require_agreement(annotations, seen, rig)
    return annotations


def _right_first(item: tuple[tuple[int, str], Any]) -> tuple[int, int]:
    (frame, side), _ = item
    return frame, HAND_SIDES.index(side)


def annotate_pictures(
    views: Sequence[str],
    rig: Path,
    weights: str | Path,
    *,
    start: str | Path | None = None,
    boxes: Path | None = None,
    sequence: str = "recording",
    missing: bool = False,
    rounds: int | None = None,
    triangulation: str | None = None,
    batch: int = 32,
    workers: int = 0,
    device: str | None = None,
) -> list[Annotation]:
    """Find hands in synchronised pictures.

    Parameters
    ----------
    views
        A folder of pictures for each camera (`annotation_inputs.find_pictures`); with a canonical
        table as calibration, the one folder that its pictures are relative to.
    rig
        Calibration (see `annotation_inputs`).
    weights
        Of a keypoints2d or a mvexonet.
    start
        Weights of the 2D network that a mvexonet starts from; it also measures reprojection.
    boxes
        Table of boxes. Without one the canonical table's are taken, else whole pictures, which does
        for pictures that show little besides the hands.
    missing
        Whether views may lack at some instants.
    rounds, triangulation, batch, workers, device
        As for `mvexonet.predict.answers`.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204, HB208: see `annotation_inputs`; HB204 also where views do not agree.
    BaselineError
        HB302 for weights that find no hands in several views, or too few views.
    """
    from hand_baselines.pictures import Pictures
    from hand_baselines.view_task import ViewAnswers

    table, root = _views(views, rig, boxes, sequence, missing)
    find = _finder(weights, start, rounds, triangulation, device)
    answers = ViewAnswers(find, {}, table, Pictures(root), max(1, batch // 8), workers)
    keys = sorted(set(keys_of(table)))
    annotations = [
        Annotation(*keys[number], side, hand.joints, hand.confidence, hand.error, hand.views)
        for number, side, hand in answers.found(keys)
    ]
    if not annotations:
        what = f"no hand has boxes in {LEAST} views of an instant."
        raise DatasetError(Problem("HB202", str(boxes or rig), what))
    # Without a 2D network nothing is measured: then all views of a hand count as used.
    if any(np.isfinite(one.error).any() or not one.views.all() for one in annotations):
        boxed = sum(len(table) - table.column(f"{side}_bbox").null_count for side in HAND_SIDES)
        _require_agreement(annotations, 21 * boxed, rig)
    return annotations


def _views(
    views: Sequence[str], rig: Path, boxes: Path | None, sequence: str, missing: bool
) -> tuple[pa.RecordBatch, Path]:
    """Return the views, and the folder that their pictures are relative to."""
    if rig.suffix != ".parquet":
        pictures = find_pictures(views, missing=missing)
        cameras = read_cameras(rig, sequence)
        return views_table(pictures, cameras, rig, sequence, read_boxes(boxes)), Path("/")
    if len(views) != 1:
        what = "a canonical table names its pictures: give the one folder they are relative to."
        raise BaselineError(Problem("HB302", "VIEWS", what))
    table = read_table(rig)
    if table.column("image").null_count:
        raise DatasetError(Problem("HB202", str(rig), "names no picture for some views."))
    return table, Path(views[0])


def _finder(
    weights: str | Path,
    start: str | Path | None,
    rounds: int | None,
    triangulation: str | None,
    device: str | None,
) -> Any:
    from hand_baselines.keypoints2d.predict import Detector, Triangulator
    from hand_baselines.mvexonet.predict import ROUNDS, finder
    from hand_baselines.weights import load_weights

    loaded, method = load_weights(weights), triangulation or "ransac"
    if loaded.model.name == "keypoints2d":
        return Triangulator(Detector.of(loaded, device), method)  # pyright: ignore
    if loaded.model.name == "mvexonet":
        chosen = ROUNDS if rounds is None else rounds
        return finder(loaded, start, chosen, method, device)[0]  # pyright: ignore
    what = f"holds weights of {loaded.model.name}, which looks at one picture."
    fix = "Weights of keypoints2d or mvexonet are needed."
    raise BaselineError(Problem("HB302", str(weights), what, fix=fix))


def _require_agreement(annotations: Sequence[Annotation], seen: int, rig: Path) -> None:
    """Raise HB204 where most views contradict each other; `seen` counts points of views."""
    agreed = sum(int(one.views.sum()) for one in annotations)
    if seen and agreed < AGREEING * seen:
        what = f"only {agreed / seen:.0%} of the points agree with those of other views."
        cause = (
            f"Agreeing is within {THRESHOLD:g} px. The calibration is of another recording, the "
            "pictures are not of the same instants, or the 2D points are poor."
        )
        raise DatasetError(Problem("HB204", str(rig), what, cause=cause))


def write_annotations(
    path: str | Path, annotations: Sequence[Annotation], about: Mapping[str, str]
) -> None:
    """Write annotations, all or nothing; `about` goes into the file's metadata."""
    metadata = {"frame": "world", "units": "mm", "joint_set": "openpose21", **about}
    table = pa.Table.from_pylist(list(_rows(annotations)), SCHEMA.with_metadata(metadata))
    with files.replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _rows(annotations: Sequence[Annotation]) -> Iterator[dict[str, Any]]:
    for one in annotations:
        found = np.isfinite(one.joints).any()
        yield {
            "sequence": one.sequence,
            "frame": one.frame,
            "hand_side": one.side,
            "joints": one.joints.ravel().tolist() if found else None,
            "valid": one.valid.tolist(),
            "confidence": one.confidence.tolist(),
            "reprojection_error": one.error.tolist(),
            "views": one.views.tolist(),
        }


def summary(annotations: Sequence[Annotation]) -> dict[str, Any]:
    """Return what there is to say of annotations: counts, and medians of their joints."""
    errors = np.concatenate([one.error for one in annotations])
    errors = errors[np.isfinite(errors)]
    middle = round(float(np.median(errors)), 3) if len(errors) else None
    return {
        "instants": len({(one.sequence, one.frame) for one in annotations}),
        "hands": len(annotations),
        "valid joints": round(float(np.mean([one.valid for one in annotations])), 4),
        "median confidence": round(float(np.median([one.confidence for one in annotations])), 4),
        "median reprojection error, px": middle,
    }
