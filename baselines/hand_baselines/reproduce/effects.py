"""Effects: differences of two methods, of clusters and of trainings.

Two methods are compared hand by hand on the samples both answer (`hand_bench.comparison`); with
several seeds, seed by seed. The interval is that of the clusters, resampled for all seeds at once,
widened by what the seeds differ (`with_seeds`): a mean over three trainings is no surer than the
trainings agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from hand_bench.bootstrap import MIN_CLUSTERS, interval, resample_counts
from hand_bench.comparison import PairedSums, paired_sums
from hand_bench.tracks import Track, find_track

#: Student's t at 97.5 % for 1, 2, ... degrees of freedom.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Effect:
    """B less A: means over the seeds, the 95 % interval, the difference of each seed.

    `ci95` is None with too few clusters. `clear` says whether it excludes zero.
    """

    metric: str
    subset: str
    a: float
    b: float
    difference: float
    unit: str
    higher_is_better: bool
    ci95: tuple[float, float] | None
    seeds: list[float]
    clusters: int
    n: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.ci95 is not None and (self.ci95[0] > 0 or self.ci95[1] < 0)

    @property
    def better(self) -> str:
        """Who is better: "A", "B", "tie", or "?" where there is no interval."""
        if self.ci95 is None:
            return "?"
        if not self.clear:
            return "tie"
        return "B" if (self.difference > 0) == self.higher_is_better else "A"

    def text(self) -> str:
        """Return "-12.3 (-15.0 to -9.8)"."""
        factor = 1.0 if self.unit else 100.0
        shown = f"{factor * self.difference:+.2f}"
        if self.ci95 is None:
            return shown
        low, high = (f"{factor * end:+.2f}" for end in self.ci95)
        return f"{shown} ({low} to {high})"


def effect(
    a: Sequence[Path],
    b: Sequence[Path],
    track: str | Track,
    metric: str,
    subset: str = "all",
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Effect:
    """Compare two methods by the errors files of their seeds, in pairs.

    Parameters
    ----------
    a, b
        Errors files (`evaluate --errors`), one for each seed, of the same track.
    track, metric, subset
        What is compared: a metric of `recommended` as `hand_bench.compare` has it.
    resamples, seed
        Of the interval.

    Raises
    ------
    SubmissionError
        HB104 where no sample is answered by both.
    TrackError
        HB301 for an unknown metric or subset.
    """
    known = find_track(track)
    pairs = [
        paired_sums(pq.read_table(one), pq.read_table(other), known, metric, subset)
        for one, other in zip(a, b, strict=True)
    ]
    first, clusters = pairs[0], sorted({name for pair in pairs for name in pair.clusters})
    sums = np.stack([_on(clusters, pair, pair.b - pair.a) for pair in pairs])
    weights = np.stack([_on(clusters, pair, pair.weights) for pair in pairs])
    each = sums.sum(axis=1) / weights.sum(axis=1)
    ci95 = None
    if len(clusters) >= MIN_CLUSTERS:
        counts = resample_counts(len(clusters), resamples, seed)
        drawn = ((counts @ sums.T) / (counts @ weights.T)).mean(axis=1)
        ci95 = with_seeds(interval(drawn), each.tolist())
    a_mean, b_mean = (
        float(np.mean([side.sum() / pair.weights.sum() for pair, side in sides]))
        for sides in ([(p, p.a) for p in pairs], [(p, p.b) for p in pairs])
    )
    return Effect(
        metric,
        subset,
        a_mean,
        b_mean,
        float(each.mean()),
        first.unit,
        first.higher_is_better,
        ci95,
        each.tolist(),
        len(clusters),
        first.n,
    )


def _on(clusters: Sequence[str], pair: PairedSums, values: np.ndarray) -> np.ndarray:
    """Return the sums of all clusters; 0 where a seed has none."""
    known = dict(zip(pair.clusters, values.tolist(), strict=True))
    return np.array([known.get(name, 0.0) for name in clusters])


def with_seeds(
    ci95: tuple[float, float] | None, seeds: Sequence[float]
) -> tuple[float, float] | None:
    """Widen the interval of a mean over seeds by what the seeds differ.

    To either side, the clusters' distance from the mean and the seeds' standard error times
    Student's t are added in squares. One seed says nothing of other seeds.
    """
    if ci95 is None or len(seeds) < 2:
        return ci95
    mean, count = float(np.mean(seeds)), len(seeds)
    student = _STUDENT[min(count - 1, len(_STUDENT)) - 1]
    own = student * float(np.std(seeds, ddof=1)) / np.sqrt(count)
    low, high = (float(np.hypot(mean - end, own)) for end in ci95)
    return mean - low, mean + high


def seeds_add(
    values: Sequence[float], intervals: Sequence[tuple[float, float]]
) -> tuple[float, float] | None:
    """Return the interval of a mean over seeds, from each seed's value and interval.

    The seeds share their clusters, whose half width is the mean of theirs; `with_seeds` does the
    rest. None where a seed has no interval.
    """
    if len(intervals) < len(values) or not values:
        return None
    if len(values) == 1:
        return intervals[0]
    mean = float(np.mean(values))
    half = float(np.mean([(high - low) / 2 for low, high in intervals]))
    return with_seeds((mean - half, mean + half), values)
