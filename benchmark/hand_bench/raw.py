"""Predictions as their file has them: before units, order, sides or frame are put right.

`diagnosis` and `fixing` look at files that `evaluate` refuses; their values are only counted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hand_bench import pairing
from hand_bench.array_types import Bool
from hand_bench.checks import ValueChecks
from hand_bench.geometry import back_project
from hand_bench.layouts import Hand, PredictionBlock
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track


class RawReading:
    """Looks at the values while a file streams by; used as the checks of `pairing.reordered`.

    Judges values in the file's own unit whatever is declared, and leaves the scores alone.
    """

    def __init__(self, source: PredictionSource, track: Track, progress):
        self.source, self.track, self.progress = source, track, progress
        self.image_space = source.layout.image_space
        self.checks = ValueChecks(
            source.name, replace(source.declared, units="mm"), track.hand_length, self.image_space
        )

    def look(self, start: int, block: PredictionBlock) -> None:
        """Count what is wrong with a block; hands that cannot be used are marked not found."""
        scores = [hand.score for hand in block.hands]
        with np.errstate(invalid="ignore"):
            self.checks.look(start, block)
        for hand, score in zip(block.hands, scores, strict=True):
            hand.score = score
        self.progress("reading", start + len(block), self.source.rows)

    def count(self, *codes: str) -> int:
        """Count hands that cannot be used; values that are not a hand's do not count."""
        others = ("score", "left_root", "relative_root_depth")
        return sum(
            f.count
            for f in self.checks.findings.values()
            if f.code in codes and not f.column.endswith(others)
        )

    def counts(self, coverage: pairing.Coverage) -> dict[str, int]:
        """Return how many rows, hands and ids could not be used."""
        return {
            "rows": self.source.rows,
            "nan_hands": self.count("HB123"),
            "collapsed_hands": self.count("HB122"),
            "unusable_hands": self.count("HB121", "HB126"),
            "missing": coverage.missing,
            "extra": coverage.extra,
            "duplicate": coverage.duplicate,
        }

    def joints(self, block: PredictionBlock, K: np.ndarray | None) -> np.ndarray:
        """Camera points in the file's unit and order (rows, 2, 21, 3); 0 for absent hands."""
        hands = [
            hand.joints if K is None else lift(hand, K, hand.root_depth) for hand in block.hands
        ]
        return np.where(found_hands(block)[..., None, None], np.stack(hands, axis=1), np.float32(0))


def found_hands(block: PredictionBlock) -> Bool[np.ndarray, "rows 2"]:
    """Return which hands are answered, right first."""
    return np.stack([hand.found for hand in block.hands], axis=1)


def lift(hand: Hand, K: np.ndarray, depth: Any) -> np.ndarray:
    """Camera points of a 2.5D hand, its wrist at `depth`, in the file's unit of depth."""
    z = hand.joints[..., 2].astype(np.float64) + depth[:, None]
    return back_project(hand.joints[..., :2].astype(np.float64), z, K).astype(np.float32)
