"""Confidence intervals: resampling clusters, from their sums.

Samples of one sequence resemble each other, so sequences are resampled as a whole. Every score is
a ratio of sums, so a resample is a row of counts times the table of sums.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hand_bench.array_types import Float
from hand_bench.sums import ClusterView, SumsView

#: With fewer clusters an interval would be a guess: none is given.
MIN_CLUSTERS = 5


def resample_counts(
    clusters: int, resamples: int, seed: int
) -> Float[np.ndarray, "resamples clusters"]:
    """Return how often each cluster is drawn in each resample (seeded, with replacement)."""
    rng = np.random.default_rng([seed, clusters])
    counts = np.empty((resamples, clusters))
    some = max(1, 100_000 // clusters)
    for start in range(0, resamples, some):
        part = counts[start : start + some]
        draws = rng.integers(0, clusters, part.shape)
        draws += np.arange(len(part))[:, None] * clusters
        part[:] = np.bincount(draws.ravel(), minlength=part.size).reshape(part.shape)
    return counts


class Resampled:
    """The sums of every resample, field by field as they are asked for; read like a `SumsView`."""

    leading = 1

    def __init__(
        self, view: SumsView | ClusterView, counts: Float[np.ndarray, "resamples clusters"]
    ):
        self.view, self.counts, self.layout = view, counts, view.layout
        self._known: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._product(name, self.view[name])

    def total(self, name: str) -> np.ndarray:
        """Return a field summed over both hands."""
        return self._product(f"total {name}", self.view.total(name))

    def _product(self, key: str, values: np.ndarray) -> np.ndarray:
        if key not in self._known:
            flat = np.ascontiguousarray(values.reshape(len(values), -1))
            out = self.counts @ flat
            self._known[key] = out.reshape(len(self.counts), *values.shape[1:])
        return self._known[key]


def interval(
    values: Float[np.ndarray, " resamples"], level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile interval of resampled values; None where some resample has no value."""
    if np.isnan(values).any():
        return None
    tail = (1 - level) / 2
    # What np.quantile gives, without its start-up cost (there are many small intervals).
    at = np.array([tail, 1 - tail]) * (len(values) - 1)
    low, high = np.interp(at, np.arange(len(values)), np.sort(values))
    return float(low), float(high)


def paired_interval(
    sums: Float[np.ndarray, " clusters"],
    weights: Float[np.ndarray, " clusters"],
    *,
    resamples: int,
    seed: int,
    reduce: Callable[[np.ndarray, np.ndarray], np.ndarray] = np.divide,
) -> tuple[float, float] | None:
    """Interval of a ratio of sums over clusters (for paired differences)."""
    if len(sums) < MIN_CLUSTERS:
        return None
    counts = resample_counts(len(sums), resamples, seed)
    return interval(reduce(counts @ sums, counts @ weights))


def sign_flips(clusters: int, resamples: int, seed: int) -> Float[np.ndarray, "resamples clusters"]:
    """Return the random signs, 1 or -1, that each cluster's sum is given (seeded)."""
    rng = np.random.default_rng([seed, clusters, 1])
    return rng.integers(0, 2, (resamples, clusters)) * 2.0 - 1.0


def randomisation_p(
    sums: Float[np.ndarray, " clusters"], *, resamples: int, seed: int
) -> float | None:
    """Two-sided p of a paired difference: the sign of each cluster's sum is flipped at random."""
    if len(sums) < MIN_CLUSTERS:
        return None
    signs = sign_flips(len(sums), resamples, seed)
    as_large = np.abs(signs @ sums) >= abs(sums.sum()) * (1 - 1e-12)
    return float((1 + as_large.sum()) / (1 + resamples))
