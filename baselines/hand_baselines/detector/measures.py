"""How good boxes of hands are, measured on a table with true ones.

Conventions
-----------
A sample has at most one true box and one said box for each side, so nothing has to be matched. A
hand is found where the said box of its side overlaps with its true one by at least `OVERLAP`
(intersection over union). Hands of which it is not known whether they are there count nowhere.

| measure | meaning |
|---|---|
| AP50 | mean over both sides of the average precision: boxes by falling score, the area under the steps of precision over recall |
| recall | share of the true hands that are found |
| precision | share of the said boxes that find a hand |
| mean IoU | over the found hands |
| confusion | rows: true right and left hands; columns: the side whose said box covers it best by at least `OVERLAP`: right, left, none |
| sides told right | of the covered hands, those that their own side's box covers best |

AP50 takes all boxes that are given; the others those with a score of at least `LEAST`.
"""  # noqa: E501 (a table)

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hand_bench.metrics import average_precision

OVERLAP = 0.5
#: From this score on a box counts as a hand.
LEAST = 0.3


@dataclass(frozen=True)
class BoxMeasures:
    """The measures of a table (see above); NaN where there is nothing to average."""

    ap50: float
    recall: float
    precision: float
    mean_iou: float
    confusion: tuple[tuple[int, int, int], tuple[int, int, int]]
    hands: int
    samples: int

    @property
    def sides_right(self) -> float:
        """Share of the covered hands whose own side's box covers them best."""
        table = np.array(self.confusion)[:, :2]
        return float(np.trace(table) / table.sum()) if table.sum() else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return plain values; null for what cannot be said."""
        values = {**asdict(self), "sides_right": self.sides_right}
        return {k: None if v != v else v for k, v in values.items()}

    def __str__(self) -> str:
        right, left = self.confusion
        return "\n".join(
            [
                f"{self.hands:,} hands in {self.samples:,} pictures",
                f"AP50 {_text(self.ap50)}  recall {_text(self.recall)}  "
                f"precision {_text(self.precision)}  mean IoU {_text(self.mean_iou)}  "
                f"sides told right {_text(self.sides_right)}",
                "true hand   right   left   none (what covers it best)",
                f"right      {right[0]:6,} {right[1]:6,} {right[2]:6,}",
                f"left       {left[0]:6,} {left[1]:6,} {left[2]:6,}",
            ]
        )


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of boxes (..., 4), x, y, w, h; 0 where one is NaN."""
    boxes, others = np.asarray(boxes, float), np.asarray(others, float)
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., :2] + boxes[..., 2:], others[..., :2] + others[..., 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    whole = boxes[..., 2:].prod(axis=-1) + others[..., 2:].prod(axis=-1) - common
    return np.nan_to_num(np.divide(common, whole, out=np.zeros_like(whole), where=whole > 0))


def measure(
    truth: np.ndarray,
    known: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    least: float = LEAST,
) -> BoxMeasures:
    """Measure boxes; right hand first everywhere.

    Parameters
    ----------
    truth
        (n, 2, 4), NaN where there is no box.
    known
        (n, 2), whether it is known whether the hand is there.
    boxes, scores
        (n, 2, 4) and (n, 2), NaN where there is none.
    least
        From which score on a box counts, except for AP50.
    """
    there = np.isfinite(truth).all(axis=-1)
    given = np.isfinite(boxes).all(axis=-1)
    scores = np.where(given, np.nan_to_num(scores, nan=0.0), -1.0)
    said = given & (scores >= least)
    same = overlaps(truth, boxes)
    hits = there & given & (same >= OVERLAP)
    found, counted = hits & said, said & (known | there)
    return BoxMeasures(
        ap50=float(np.mean([_precision(scores, hits, there, given & known, k) for k in (0, 1)])),
        recall=_share(found.sum(), there.sum()),
        precision=_share(found.sum(), counted.sum()),
        mean_iou=_share(same[found].sum(), found.sum()),
        confusion=_confusion(truth, there, np.where(said[..., None], boxes, np.nan)),
        hands=int(there.sum()),
        samples=len(truth),
    )


def _precision(
    scores: np.ndarray, hits: np.ndarray, there: np.ndarray, given: np.ndarray, side: int
) -> float:
    """Average precision of one side; NaN without true hands."""
    ranked = given[:, side] | hits[:, side]
    hands = there[:, side].sum()
    if not hands:
        return float("nan")
    right = hits[ranked, side]
    if not right.any():
        return 0.0
    # The core's is over the hands that are found: those that are not have no score.
    return average_precision(scores[ranked, side], right) * right.sum() / hands


def _confusion(truth: np.ndarray, there: np.ndarray, boxes: np.ndarray) -> Any:
    counts = np.zeros((2, 3), int)
    for side in (0, 1):
        hands = there[:, side]
        cover = overlaps(truth[hands, side, None], boxes[hands])
        # Where both cover a hand equally well, its own side's box is taken.
        cover[:, side] += 1e-9
        best = np.where(cover.max(axis=1, initial=0) >= OVERLAP, cover.argmax(axis=1), 2)
        counts[side] = np.bincount(best, minlength=3)
    right, left = counts.tolist()
    return tuple(right), tuple(left)


def _text(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.3f}"


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
