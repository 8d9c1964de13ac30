"""The demo: a world of HandSim, three prediction files, and everything that is done with them.

The three methods are the truth with errors of known kinds added, so what the scores should say is
known. They are no hand pose methods and say nothing about any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand_bench import data
from hand_bench.annotations import AnnotationBatch
from hand_bench.array_types import Bool, Float
from hand_bench.data import open_annotations, quiet
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.predictions import write_predictions
from hand_bench.sim import making
from hand_bench.tracks import TRACKS, Track

TRACK = TRACKS["handsim-interhand26m"]
#: Made by the demo where nothing is prepared yet.
SIZE = "mini"
#: What the made-up methods declare.
INPUTS = ["boxes:standard", "root_depth:own"]


@dataclass(frozen=True)
class Truth:
    """What the made-up methods start from."""

    sample_id: np.ndarray
    sequence: np.ndarray
    joints: Float[np.ndarray, "samples 2 21 3"]
    present: Bool[np.ndarray, "samples 2"]


def make_track(progress: Callable[[str, int, int], None] = quiet) -> dict:
    """Make HandSim's look-alike of InterHand2.6M, unless it is there already in any size.

    Returns the manifest of its test split.

    Raises
    ------
    HandBenchError
        HB401 without the extra `sim`.
    """
    prepared = {m["split"]: m for m in data.prepared() if m["dataset"] == TRACK.dataset}
    if TRACK.table not in prepared:
        making.make(TRACK.name, size=SIZE, progress=progress)
    path = data.open_annotations(TRACK)
    return dict(path.manifest)


def read_truth(track: Track = TRACK) -> Truth:
    """Read the annotations of a small track into memory."""
    columns = ["sample_id", "sequence"]
    columns += [f"{side}_{kind}" for side in HAND_SIDES for kind in ("joints", "valid")]
    ids, sequences, joints, present = [], [], [], []
    for batch in open_annotations(track).batches(columns):
        ids += batch.sample_id.to_pylist()
        sequences += batch.table.column("sequence").to_pylist()
        hands = [_without_placeholders(batch, side) for side in HAND_SIDES]
        joints.append(np.stack(hands, axis=1))
        present.append(np.stack([batch.present(side) for side in HAND_SIDES], axis=1))
    return Truth(
        np.array(ids), np.array(sequences), np.concatenate(joints), np.concatenate(present)
    )


def _without_placeholders(batch: AnnotationBatch, side: str) -> np.ndarray:
    """Put joints that are not annotated in the middle of their hand: methods predict them too."""
    joints, valid = batch[f"{side}_joints"], batch[f"{side}_valid"][..., None]
    middle = (joints * valid).sum(axis=1, keepdims=True) / np.maximum(valid.sum(axis=1), 1)[:, None]
    return np.where(valid, joints, middle)


def sample_with_two_hands() -> str:
    """Return the id of a sample that shows both hands."""
    for batch in open_annotations(TRACK).batches(["sample_id", "hand_type"]):
        both = np.flatnonzero(batch["hand_type"] == "interacting")
        if both.size:
            return batch.sample_id[int(both[len(both) // 2])].as_py()
    raise LookupError(TRACK.name)


def write_methods(folder: Path, truth: Truth, seed: int = 0) -> dict[str, Path]:
    """Write the three prediction files: good, worse, and good in metres by mistake."""
    rng = np.random.default_rng(seed)
    good, _ = _method(truth, rng, noise=5.0, depth=12.0, missed=0.0)
    worse, scores = _method(truth, rng, noise=9.0, depth=40.0, missed=0.02)
    paths = {name: folder / f"{name}.parquet" for name in ("good", "worse", "metres")}
    for name, joints in (("good", good), ("worse", worse), ("metres", good / 1000)):
        write_predictions(
            paths[name],
            truth.sample_id,
            joints[:, 0],
            joints[:, 1],
            right_score=scores[:, 0],
            left_score=scores[:, 1],
            track=TRACK.name,
            inputs=INPUTS,
            method=f"truth with noise ({name})",
        )
    return paths


def write_description(path: Path, name: str, trained: bool) -> Path:
    """Write the submission.yaml of one of the demo's methods, or of shipped weights (`trained`)."""
    import yaml

    made_up = {
        "method": f"Truth with noise ({name})",
        "description": "No method: the truth with noise of a known kind, which the demo adds.",
        "training": [],
    }
    baseline = {
        "method": name,
        "description": "A baseline of this repository with the weights that it ships.",
        "training": [f"{TRACK.dataset}/train"],
        "kind": "baseline",
        "weights": [name],
    }
    written = (baseline if trained else made_up) | {
        "date": "2025-01-01",
        "team": "hand-bench demo",
        "licence": "Apache-2.0",
        "inputs": INPUTS,
    }
    path.write_text(yaml.safe_dump(written, sort_keys=False, allow_unicode=True), "utf-8")
    return path


def _method(
    truth: Truth, rng: np.random.Generator, *, noise: float, depth: float, missed: float
) -> tuple[np.ndarray, np.ndarray]:
    """Add errors as networks make them: larger at the tips, alike in a sequence, and in depth.

    `noise` is the standard deviation at a fingertip (mm), `depth` that of the whole hand along z.
    """
    n = len(truth.sample_id)
    reach = np.concatenate([[0.2], np.tile([0.4, 0.6, 0.8, 1.0], 5)])[:, None]
    _, code = np.unique(truth.sequence, return_inverse=True)
    habit = rng.normal(0, noise * 0.7, (code.max() + 1, 2, 21, 3))[code]
    jitter = rng.normal(0, noise, (n, 2, 21, 3))
    joints = truth.joints + (habit + jitter) * reach
    joints[..., 2] += rng.normal(0, depth, (n, 2, 1))
    gone = ~truth.present | (rng.random((n, 2)) < missed)
    joints[gone] = np.nan
    logit = np.where(truth.present, 3.0, -3.0) + rng.normal(0, 1.5, (n, 2))
    return joints.astype(np.float32), 1 / (1 + np.exp(-logit))
