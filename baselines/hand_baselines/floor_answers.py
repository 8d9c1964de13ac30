"""Answers of the floors to a track, fitted to its dataset's training table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hand_baselines.floors import COLUMNS, FLOORS, MOST_FREQUENT, Views, class_frequencies
from hand_baselines.tables import open_table
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.data import open_annotations
from hand_bench.geometry import project
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track, find_track

#: What the floors of a 2D track are fitted to: its own training data has no joints.
_POSES_OF = {"handsim-epic-handkps": "handsim-arctic-ego"}


def fitted_to(track: Track) -> Track:
    """Return the track whose training table the floors of a track are fitted to."""
    return find_track(_POSES_OF[track.name]) if track.name in _POSES_OF else track


def floor_names(track: Track) -> tuple[str, ...]:
    """Return the floors of a track; they look at one picture and learn from 3D poses."""
    if track.several_views or (track.kind == "pose-2d" and track.name not in _POSES_OF):
        return ()
    return (MOST_FREQUENT,) if track.kind == "action" else tuple(FLOORS)


def floor_answers(track: Track, names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the answers of floors by name (default: of all), as columns of predictions.

    On 2D tracks they are fitted to another track of poses (`fitted_to`), and projected.
    """
    chosen = [name for name in floor_names(track) if not names or name in names]
    if not chosen:
        return {}
    if track.kind == "action":
        return {MOST_FREQUENT: _most_frequent(track)}
    rows = AnnotationBatch(0, _whole(open_annotations(track, None), ["sample_id", *COLUMNS]))
    trained = open_table(fitted_to(track), "train")
    fitted = Views.of(AnnotationBatch(0, _whole(trained, COLUMNS)))
    asked, ids = Views.of(rows), rows.sample_id.to_pylist()
    found = {name: FLOORS[name](fitted).predict(asked) for name in chosen}
    if track.kind == "pose-2d":
        found = {name: _flat(columns, asked) for name, columns in found.items()}
    return {name: {"sample_id": ids, **columns} for name, columns in found.items()}


def _flat(answers: dict[str, np.ndarray], views: Views) -> dict[str, np.ndarray]:
    """Return the picture of 3D hands."""
    flat = {
        f"{side}_joints_2d": project(answers[f"{side}_joints"], views.K).astype(np.float32)
        for side in HAND_SIDES
    }
    return flat | {f"{side}_score": answers[f"{side}_score"] for side in HAND_SIDES}


def _most_frequent(track: Track) -> dict[str, Any]:
    ids = open_annotations(track, None).ids().to_pylist()
    training = AnnotationBatch(0, _whole(open_table(track, "train"), ["label"]))
    labels = training["label"][training.given("label")]
    scores = class_frequencies(labels, len(track.classes)).repeat(len(ids)).reshape(-1, len(ids)).T
    return {"sample_id": ids, "scores": scores}


def _whole(opened: Annotations, columns: Sequence[str]) -> Any:
    return opened.table(columns).combine_chunks().to_batches()[0]
