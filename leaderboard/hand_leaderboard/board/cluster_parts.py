"""A measure taken apart by clusters: its value is sum(totals) / sum(weights)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hand_bench.array_types import Float
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.protocols import Measure
from hand_bench.sums import OneSide

if TYPE_CHECKING:
    from hand_leaderboard.submissions.sums import Sums


@dataclass(frozen=True)
class ClusterParts:
    """What every cluster adds to a measure.

    Attributes
    ----------
    clusters
        Their names.
    totals, weights
        The value is sum(totals) / sum(weights).
    """

    clusters: tuple[str, ...]
    totals: Float[np.ndarray, " clusters"]
    weights: Float[np.ndarray, " clusters"]

    @property
    def value(self) -> float:
        """The measure's value; NaN where there is nothing."""
        weight = self.weights.sum()
        return float(self.totals.sum() / weight) if weight else float("nan")


def cluster_parts(sums: Sums, measure: Measure, subset: str = "all") -> ClusterParts | None:
    """Take a measure apart; None where it is no ratio of sums (average precision, class means).

    What a cluster weighs is the number of things that are averaged over, so a measure is a ratio
    of sums if the weighted mean over clusters is its value; that is looked at, not assumed.
    """
    view = sums.view(subset)
    side = sums.track.subset(subset).side
    sided = OneSide(view, HAND_SIDES.index(side)) if side else view
    weights = np.asarray(measure.count(sided), np.float64)
    values = np.asarray(measure.value(sided), np.float64)
    known = (weights > 0) & ~np.isnan(values)
    totals = np.where(known, values * weights, 0.0)
    parts = ClusterParts(tuple(view.names), totals, np.where(known, weights, 0.0))
    whole = sums.value(measure, subset)
    if np.isnan(whole) or not np.isclose(parts.value, whole, rtol=1e-9, atol=0):
        return None
    return parts
