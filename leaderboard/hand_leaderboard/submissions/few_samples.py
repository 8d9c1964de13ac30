"""A few samples of a procedural world, truth and prediction, for the site's view in 3D.

Only of worlds that a procedure makes: the truth of a real dataset is not ours to publish. The
scorer writes them, so that the site can be built where the world is not prepared.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.annotations import Annotations
from hand_bench.errors import Problem, SubmissionError
from hand_bench.samples import Sample, SampleHand, read_samples
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track
from hand_leaderboard.hand_errors import HandErrors

#: Which samples, by the mean error of the worse hand: label -> share of the samples below it.
CHOSEN = {"an easy one": 0.1, "median": 0.5, "a hard one": 0.9, "the worst": 1.0}


def write_few_samples(
    path: Path, source: PredictionSource, annotations: Annotations, track: Track, errors: Path
) -> None:
    """Write a few samples as JSON; no file where no hand was found.

    Parameters
    ----------
    path
        The file.
    source, annotations, track
        Predictions of 3D poses, the truth, and the track, which is on a procedural world.
    errors
        The errors of every sample, as the scorer wrote them.
    """
    chosen = choose(HandErrors.read(errors, track), pq.ParquetFile(errors).metadata.num_rows)
    if not chosen:
        return
    samples = read_samples(source, annotations, track, list(chosen.values()))
    plain = [_plain(s, label) for label, s in zip(chosen, samples, strict=True)]
    with files.replacing(path) as temporary:
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        temporary.write_text(text + "\n", "utf-8")


def choose(hands: HandErrors, rows: int) -> dict[str, str]:
    """Return ids of samples by label; fewer where there are few samples."""
    worst = np.where(hands.found, hands.main, -1.0).max(axis=1, initial=-1.0)
    order = np.argsort(worst, kind="stable")
    order = order[worst[order] >= 0]
    if rows == 0 or not len(order):
        return {}
    ids: dict[str, str] = {}
    for label, share in CHOSEN.items():
        name = hands.sample_id[int(order[round(share * (len(order) - 1))])].as_py()
        if name not in ids.values():
            ids[label] = name
    return ids


def _plain(sample: Sample, label: str) -> dict[str, Any]:
    """Return one sample: joints in mm around the middle of its true hands, axes of its view."""
    shown = [hand for hand in sample.hands if hand.true or hand.found]
    known = [hand.gt[hand.annotated] for hand in shown if hand.true]
    middle = np.concatenate(known).mean(axis=0) if known else shown[0].pred.mean(axis=0)
    return {
        "id": sample.sample_id,
        "label": label,
        "lines": [hand.text() for hand in shown],
        "hands": [_hand(sample, hand, middle) for hand in shown],
    }


def _hand(sample: Sample, hand: SampleHand, middle: np.ndarray) -> dict[str, Any]:
    gt = _places(sample, hand.gt - middle)
    return {
        "side": hand.side,
        "gt": [p if there else None for p, there in zip(gt, hand.annotated, strict=True)],
        "pred": _places(sample, hand.at_true_wrist - middle) if hand.found else None,
    }


def _places(sample: Sample, joints: np.ndarray) -> list[list[float]]:
    turned = sample.turned(joints) - sample.turned(np.zeros((1, 3)))
    return [[round(float(v), 1) + 0.0 for v in joint] for joint in turned]


def read_few_samples(path: Path | None) -> list[dict[str, Any]]:
    """Read what `write_few_samples` wrote; [] where there is no file.

    Raises
    ------
    SubmissionError
        HB146 for anything else.
    """
    if path is None:
        return []
    try:
        stored = json.loads(path.read_text("utf-8"))
        if isinstance(stored, list) and len(stored) <= len(CHOSEN) and all(map(_is_sample, stored)):
            return stored
    except (OSError, ValueError, RecursionError):
        pass
    what = "is not what the scorer writes."
    fix = "`hand-bench rescore` writes it; nobody else does."
    raise SubmissionError(Problem("HB146", str(path), what, fix=fix))


def _is_sample(value: Any) -> bool:
    if not (isinstance(value, Mapping) and set(value) == {"id", "label", "lines", "hands"}):
        return False
    texts = [value["id"], value["label"], *value["lines"]]
    return all(isinstance(text, str) for text in texts) and all(map(_is_hand, value["hands"]))


def _is_hand(value: Any) -> bool:
    if not (isinstance(value, Mapping) and set(value) == {"side", "gt", "pred"}):
        return False
    pred = [] if value["pred"] is None else value["pred"]
    lengths = len(value["gt"]) == 21 and len(pred) in (0, 21)
    return lengths and all(p is None or _is_place(p) for p in value["gt"]) and all(
        map(_is_place, pred)
    )  # fmt: skip


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, int | float) and math.isfinite(v) for v in value)
    )
