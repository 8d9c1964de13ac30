"""Ranks that say how sure they are: rank intervals and tie groups from sums of clusters.

All rows of a group are compared pair by pair on the same clusters. A difference is clear when both
hold, which is what `hand-bench compare` reports for two methods:

* the randomisation test (signs of clusters are flipped) is significant after Holm's correction over
  all pairs of the group, 5 % in all;
* the 95 % interval of the paired difference, clusters resampled, leaves out zero.

10,000 flips cannot give a p below 1/10,001, and Holm asks for far less where there are hundreds of
pairs. There the Gaussian bound of Bentkus and Dzindzalieta (Bernoulli 21, 2015) takes over: the
sum of randomly signed terms with variance s² exceeds x with a probability of at most 3.18 times
that of a normal variable. It is never below the exact p of the test, so it can only be too careful.
The flips are drawn only where they can decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hand_bench import bootstrap
from hand_bench.array_types import Bool, Float
from hand_bench.protocols import ratio

ALPHA = 0.05
#: Of the interval (as the evaluator's own intervals) and of the randomisation test.
RESAMPLES, FLIPS, SEED = 1000, 10_000, 0
#: 1 / (4 P(Z >= sqrt(2))), the constant of the Gaussian bound.
_BOUND = 1 / (2 * math.erfc(1.0))
_erfc = np.frompyfunc(math.erfc, 1, 1)


@dataclass(frozen=True)
class Standing:
    """Where a row stands in its group; see `Row` for the words."""

    rank: int
    interval: tuple[int, int] | None
    ties: int | None


def standings(
    values: Float[np.ndarray, " rows"],
    clear: Bool[np.ndarray, "rows rows"] | None,
    *,
    higher_is_better: bool,
) -> list[Standing]:
    """Rank rows.

    Parameters
    ----------
    values
        What ranks; finite.
    clear
        [a, b]: a's value is clearly larger than b's, as `clear_differences` says; None where
        differences cannot be judged.
    higher_is_better
        Direction of the values.
    """
    merit = np.asarray(values, np.float64) * (1 if higher_is_better else -1)
    ranks = [1 + int((merit > own).sum()) for own in merit]
    if clear is None:
        return [Standing(rank, None, None) for rank in ranks]
    beats = clear if higher_is_better else clear.T
    lows, highs = 1 + beats.sum(axis=0), len(merit) - beats.sum(axis=1)
    ties = _tie_groups(merit, beats)
    return [
        Standing(rank, (int(low), int(high)), tie)
        for rank, low, high, tie in zip(ranks, lows, highs, ties, strict=True)
    ]


def _tie_groups(merit: np.ndarray, beats: np.ndarray) -> list[int]:
    """Number the tie groups: the best row and what it does not clearly beat, then the next best."""
    groups = np.zeros(len(merit), int)
    left = np.argsort(-merit, kind="stable")
    number = 0
    while len(left):
        number += 1
        # Rows as good as the best are leaders all alike, so that their order changes nothing.
        leaders = left[merit[left] == merit[left[0]]]
        tied = ~beats[np.ix_(leaders, left)].any(axis=0)
        tied[: len(leaders)] = True
        groups[left[tied]] = number
        left = left[~tied]
    return groups.tolist()


def clear_differences(
    totals: Float[np.ndarray, "rows clusters"],
    weights: Float[np.ndarray, "rows clusters"],
    *,
    resamples: int = RESAMPLES,
    flips: int = FLIPS,
    seed: int = SEED,
) -> Bool[np.ndarray, "rows rows"] | None:
    """Say which rows have clearly larger values than which others.

    Parameters
    ----------
    totals, weights
        The value of a row is sum(totals) / sum(weights); the clusters are the same for all rows.
    resamples, flips, seed
        Of the interval, and of the randomisation test.

    Returns
    -------
    array or None
        [a, b] is True where a is clearly larger than b; None with fewer than five clusters.
    """
    rows, clusters = totals.shape
    if clusters < bootstrap.MIN_CLUSTERS:
        return None
    clear = np.zeros((rows, rows), bool)
    if rows < 2:
        return clear
    values = totals.sum(axis=1) / weights.sum(axis=1)
    order = np.argsort(-values, kind="stable")  # larger values first: of a pair, the first is
    parts = (totals / weights.sum(axis=1, keepdims=True))[order]
    significant = _significant(parts, flips, seed)
    counts = bootstrap.resample_counts(clusters, resamples, seed)
    drawn = ratio(totals[order] @ counts.T, weights[order] @ counts.T)
    significant &= _apart(drawn)
    clear[np.ix_(order, order)] = significant
    return clear


def _apart(drawn: Float[np.ndarray, "rows resamples"]) -> Bool[np.ndarray, "rows rows"]:
    """Whether the interval of a row minus a later one is above zero; never where it has none."""
    rows, resamples = drawn.shape
    larger = np.zeros((rows, rows), int)
    for a in range(rows - 1):
        larger[a, a + 1 :] = np.count_nonzero(drawn[a] > drawn[a + 1 :], axis=1)
    # The 2.5 % percentile lies between this sorted value and the next.
    at = int(0.025 * (resamples - 1))
    return np.triu(larger >= resamples - at, 1)


def _significant(
    parts: Float[np.ndarray, "rows clusters"], flips: int, seed: int
) -> Bool[np.ndarray, "rows rows"]:
    """Return the pairs [a, b > a] whose difference Holm's procedure calls significant."""
    rows = len(parts)
    first, second = np.triu_indices(rows, 1)
    p = np.ones(len(first))
    start = 0
    for a in range(rows - 1):
        p[start : start + rows - 1 - a] = _bound(parts[a] - parts[a + 1 :])
        start += rows - 1 - a
    rejected = holm(p)
    left = np.flatnonzero(~rejected)
    if 0 < len(left) <= ALPHA * (1 + flips):  # else no p of the flips is small enough
        differences = parts[first[left]] - parts[second[left]]
        p[left] = np.minimum(p[left], _flip_p(differences, flips, seed))
        rejected = holm(p)
    out = np.zeros((rows, rows), bool)
    out[first[rejected], second[rejected]] = True
    return out


def _flip_p(
    sums: Float[np.ndarray, "pairs clusters"], flips: int, seed: int
) -> Float[np.ndarray, " pairs"]:
    """`bootstrap.randomisation_p` of many differences."""
    drawn = np.abs(sums @ bootstrap.sign_flips(sums.shape[1], flips, seed).T)
    as_large = drawn >= np.abs(sums.sum(axis=1, keepdims=True)) * (1 - 1e-12)
    return (1 + as_large.sum(axis=1)) / (1 + flips)


def _bound(sums: Float[np.ndarray, "pairs clusters"]) -> Float[np.ndarray, " pairs"]:
    """Upper bound of the exact two-sided p of each difference."""
    spread = np.sqrt((sums**2).sum(axis=1))
    z = ratio(np.abs(sums.sum(axis=1)), spread)
    tail = _erfc(np.nan_to_num(z) / math.sqrt(2)).astype(float)
    return np.minimum(1.0, _BOUND * tail)


def holm(p: Float[np.ndarray, " pairs"], alpha: float = ALPHA) -> Bool[np.ndarray, " pairs"]:
    """Return which hypotheses Holm's step-down procedure rejects."""
    order = np.argsort(p, kind="stable")
    allowed = alpha / np.arange(len(p), 0, -1)
    passed = np.cumprod(p[order] <= allowed).astype(bool)
    out = np.zeros(len(p), bool)
    out[order[passed]] = True
    return out
