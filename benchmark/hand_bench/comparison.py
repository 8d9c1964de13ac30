"""Paired comparison of two methods on the samples both answer.

The difference of two means is not judged by two separate intervals: both methods see the same
hands, so differences are taken hand by hand (clip by clip on action tracks), summed over clusters
and resampled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hand_bench import bootstrap, errors_file, scoring
from hand_bench.arrow import numbers
from hand_bench.data import open_annotations
from hand_bench.errors import Problem, SubmissionError, TrackError, unknown_name
from hand_bench.evaluator import Evaluator
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.predictions import open_for_track
from hand_bench.protocols import ratio
from hand_bench.results import rounded
from hand_bench.tracks import Subset, Track, find_track


@dataclass(frozen=True)
class Difference:
    """One paired difference, B minus A: value, 95 % interval, p, and who is better if anybody."""

    metric: str
    subset: str
    a: float
    b: float
    difference: float
    unit: str
    ci95: tuple[float, float] | None
    p: float | None
    n: int
    better: str


@dataclass(frozen=True)
class Comparison:
    """All differences of two methods, and on what they were measured."""

    track: str
    a: str
    b: str
    samples: int
    only_a: int
    only_b: int
    clusters: int
    intervals: str
    differences: list[Difference]

    def to_json(self) -> dict[str, Any]:
        """Return plain data with nine significant digits."""
        return rounded(asdict(self))


@dataclass(frozen=True)
class HandMetric:
    """A mean over hands: its column in the errors file, and what a hand weighs (None: 1).

    One `of_samples` is a mean over pictures, not of the sides apart.
    """

    name: str
    column: str
    unit: str
    higher_is_better: bool
    weight: str | None = None
    of_samples: bool = False


#: By kind of track, as its `recommended` protocol defines them.
HAND_METRICS = {
    "pose": (
        HandMetric("AUC(0-50)", "auc", "", True, "joints"),
        HandMetric("MPJPE", "mpjpe", "mm", False),
        HandMetric("PA-MPJPE", "pa_mpjpe", "mm", False),
        HandMetric("MEPE", "mepe", "mm", False),
        HandMetric("MRRPE", "mrrpe", "mm", False, of_samples=True),
    ),
    "pose-2d": (
        HandMetric("PCK@0.2", "pck", "", True, "joints"),
        HandMetric("L2 error 2D", "l2", "px", False, "joints"),
    ),
}


def main_subsets(track: Track) -> tuple[Subset, ...]:
    """The subsets that matter most: every sample, hand sides, and those of the first stratum."""
    first = set(track.strata[:1])
    return tuple(s for s in track.subsets if set(s.where) <= first)


def compare(
    a: Any,
    b: Any,
    *,
    track: str | Track,
    annotations: str | Path | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    workers: int | None = None,
    units: str | None = None,
) -> Comparison:
    """Compare two methods on the samples (and, for distances, the hands) that both answer.

    Parameters
    ----------
    a, b
        Predictions as in `evaluate`, or errors files that `evaluate --errors` wrote.
    track, annotations, workers, units
        As `evaluate`.
    resamples, seed
        Of the clustered interval and of the randomisation test (signs of clusters).

    Returns
    -------
    Comparison
        For the track's main subsets, as its `recommended` protocol defines them: the share that
        ranks (AUC or PCK) of all true hands, where a missed hand has 0, and mean distances over
        the hands both found; of action tracks accuracy and class-mean accuracy.

    Raises
    ------
    SubmissionError
        As `evaluate`; HB104 where no sample is answered by both.
    DatasetError
        HB209 where the truth is withheld.
    """
    known = find_track(track)
    with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
        tables = [
            _errors(preds, known, annotations, Path(folder) / f"{k}.parquet", workers, units)
            for k, preds in enumerate((a, b))
        ]
    names = [_name(a, "A"), _name(b, "B")]
    left, right = _shared(*tables, f"{names[0]} and {names[1]}")
    clusters, count = _clusters(left)
    test = PairedTest(resamples, seed)
    compared = _clip_differences if known.kind == "action" else _hand_differences
    differences = [
        difference
        for subset in main_subsets(known)
        for difference in compared(left, right, clusters, known, subset, test)
    ]
    return Comparison(
        known.name,
        names[0],
        names[1],
        len(left),
        len(tables[0]) - len(left),
        len(tables[1]) - len(left),
        count,
        f"95 %, {resamples:,} bootstrap resamples of {count:,} clusters; "
        "p by flipping signs of clusters",
        differences,
    )


def _shared(a: pa.Table, b: pa.Table, what: str) -> tuple[pa.Table, pa.Table]:
    """Return the rows of the samples that both have, in the order of the first."""
    rows = pc.index_in(a.column("sample_id"), value_set=b.column("sample_id"))
    shared = rows.is_valid()
    if not pc.any(shared).as_py():
        cause = "Files of two tracks or splits?"
        raise SubmissionError(Problem("HB104", what, "answer no common sample.", cause=cause))
    return a.filter(shared), b.take(rows.filter(shared))


def _name(preds: Any, fallback: str) -> str:
    return Path(preds).name if isinstance(preds, str | Path) else fallback


def _errors(preds, track: Track, annotations, path: Path, workers, units) -> pa.Table:
    """Read an errors file, or make one."""
    if isinstance(preds, str | Path) and Path(preds).is_file():
        try:
            metadata = pq.read_schema(preds).metadata or {}
        except (pa.ArrowException, OSError):
            metadata = {}
        if metadata.get(b"format") == errors_file.FORMAT.encode():
            written_for = metadata.get(b"track", b"").decode()
            if written_for != track.name:
                raise SubmissionError(
                    Problem(
                        "HB113",
                        Path(preds).name,
                        f"holds errors of track {written_for!r}, not {track.name!r}.",
                        fix=f"`--track {written_for}`",
                    )
                )
            return pq.read_table(preds)
    machine = Evaluator(track, open_annotations(track, annotations), resamples=0)
    scoring.require_truth(machine)
    source = open_for_track(preds, track, units=units)
    if track.kind == "action":
        from hand_bench.clip_answers import clip_errors

        return clip_errors(source, track, machine.annotations)
    machine.score_file(source, errors=path, workers=workers, trust_units=units is not None)
    return pq.read_table(path)


def _clusters(table: pa.Table) -> tuple[np.ndarray, int]:
    column = table.column("cluster").combine_chunks()
    coded = column.unify_dictionaries() if isinstance(column, pa.ChunkedArray) else column
    names = coded.cast(pa.string()).dictionary_encode()
    return numbers(names.indices), len(names.dictionary)


def _member(table: pa.Table, subset: Subset) -> np.ndarray:
    keep = np.ones(len(table), bool)
    for column, allowed in subset.where.items():
        values = table.column(column).cast(pa.string())
        keep &= numbers(pc.is_in(values, value_set=pa.array(allowed)))
    return keep


def _hand_differences(
    a: pa.Table, b: pa.Table, clusters: np.ndarray, track: Track, subset: Subset, test: PairedTest
) -> list[Difference]:
    found = []
    for metric in HAND_METRICS[track.kind]:
        if metric.of_samples and subset.side:
            continue
        *values, weights, rows = _hand_values(a, b, metric, subset)
        mean = test.of_means(*values, weights, clusters[rows])
        found.append(
            mean.difference(metric.name, subset.name, metric.unit, metric.higher_is_better)
        )
    return [d for d in found if d.n]


def _hand_values(
    a: pa.Table, b: pa.Table, metric: HandMetric, subset: Subset
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what both have of each hand (or sample), its weight, and in which row it is."""
    rows = np.flatnonzero(_member(a, subset))
    sides = [""] if metric.of_samples else [f"{s}_" for s in HAND_SIDES if subset.side in ("", s)]

    def column(table: pa.Table, name: str) -> np.ndarray:
        return np.concatenate([_floats(table, f"{side}{name}")[rows] for side in sides])

    values = column(a, metric.column), column(b, metric.column)
    weights = column(a, metric.weight) if metric.weight else np.ones(len(values[0]))
    return values[0], values[1], weights, np.tile(rows, len(sides))


@dataclass(frozen=True)
class PairedSums:
    """What two methods have of the same hands, summed over clusters.

    | field | meaning |
    |---|---|
    | clusters | names |
    | a, b, weights | (clusters,): sums of weighted values, and of weights |
    | n | hands, or samples |
    """

    clusters: list[str]
    a: np.ndarray
    b: np.ndarray
    weights: np.ndarray
    unit: str
    higher_is_better: bool
    n: int


def paired_sums(
    a: pa.Table, b: pa.Table, track: Track, metric: str, subset: str = "all"
) -> PairedSums:
    """Sum a metric of two methods over clusters, from the rows of their errors files.

    Parameters
    ----------
    a, b
        Rows of two errors files of the track.
    metric, subset
        A mean of `recommended`, as `compare` has it.

    Raises
    ------
    SubmissionError
        HB104 where nothing is answered by both.
    TrackError
        HB301 for an unknown metric or subset.
    """
    chosen = next((s for s in track.subsets if s.name == subset), None)
    if chosen is None:
        raise TrackError(unknown_name("subset", subset, [s.name for s in track.subsets]))
    left, right = _shared(a, b, "the two files")
    measured, values, weights, rows = _measured(left, right, track, metric, chosen)
    both = ~np.isnan(values[0]) & ~np.isnan(values[1]) & (weights > 0)
    if not both.any():
        raise SubmissionError(Problem("HB104", "the two files", "answer no common hand."))
    names = left.column("cluster").cast(pa.string()).take(pa.array(rows[both]))
    clusters, code = np.unique(names.to_numpy(), return_inverse=True)
    terms = [weights[both] * v for v in (values[0][both], values[1][both], 1.0)]
    sums = [np.bincount(code, term, len(clusters)) for term in terms]
    kind = measured.unit, measured.higher_is_better
    return PairedSums(clusters.tolist(), *sums, *kind, int(both.sum()))


def _measured(
    a: pa.Table, b: pa.Table, track: Track, metric: str, subset: Subset
) -> tuple[HandMetric, list[np.ndarray], np.ndarray, np.ndarray]:
    """Return a metric, both methods' values, their weights and rows; of clips their accuracy."""
    if track.kind == "action":
        known = {"accuracy": HandMetric("accuracy", "right", "", True, of_samples=True)}
    else:
        known = {one.name: one for one in HAND_METRICS[track.kind]}
    if metric not in known:
        raise TrackError(unknown_name("metric", metric, list(known)))
    *values, weights, rows = _hand_values(a, b, known[metric], subset)
    return known[metric], values, weights, rows


def _clip_differences(
    a: pa.Table, b: pa.Table, clusters: np.ndarray, track: Track, subset: Subset, test: PairedTest
) -> list[Difference]:
    keep = _member(a, subset)
    right = [numbers(t.column("right")).astype(np.float64)[keep] for t in (a, b)]
    truth, groups = numbers(a.column("truth"))[keep], clusters[keep]
    found = [
        test.of_means(*right, np.ones(len(groups)), groups).difference(
            "accuracy", subset.name, "", True
        )
    ]
    if len(np.unique(truth)) > 1:
        mean = test.of_class_means(*right, truth, groups)
        found.append(mean.difference("class-mean accuracy", subset.name, "", True))
    return [d for d in found if d.n]


def _floats(table: pa.Table, name: str) -> np.ndarray:
    return numbers(table.column(name)).astype(np.float64)


@dataclass(frozen=True)
class PairedMeans:
    """Two means over the same things, the interval of their difference and its p."""

    a: float
    b: float
    ci95: tuple[float, float] | None
    p: float | None
    n: int

    def difference(self, metric: str, subset: str, unit: str, higher: bool) -> Difference:
        """Say what was compared, and who is better."""
        mean = self.b - self.a
        clear = self.ci95 is not None and (self.ci95[0] > 0 or self.ci95[1] < 0)
        better = "?" if self.ci95 is None else "tie"
        if clear:
            better = "B" if (mean > 0) == higher else "A"
        return Difference(
            metric, subset, self.a, self.b, mean, unit, self.ci95, self.p, self.n, better
        )


@dataclass(frozen=True)
class PairedTest:
    """The clustered interval and the randomisation test (signs of clusters)."""

    resamples: int
    seed: int

    def of_means(
        self, a: np.ndarray, b: np.ndarray, weights: np.ndarray, groups: np.ndarray
    ) -> PairedMeans:
        """Compare weighted means; what is NaN in one of them is left out of both."""
        both = ~np.isnan(a) & ~np.isnan(b) & (weights > 0)
        a, b, w = a[both], b[both], weights[both]
        code, count = _numbered(groups[both])
        sums, totals = np.bincount(code, (b - a) * w, count), np.bincount(code, w, count)
        return self._compared(a, b, w, sums, totals, np.divide, sums)

    def of_class_means(
        self, a: np.ndarray, b: np.ndarray, classes: np.ndarray, groups: np.ndarray
    ) -> PairedMeans:
        """Compare means over the classes that occur, of the means of each."""
        code, count = _numbered(groups)
        which, kinds = _numbered(classes)
        cell = code * kinds + which
        sums, totals = (
            np.bincount(cell, values, count * kinds).reshape(count, kinds)
            for values in (b - a, np.ones(len(a)))
        )
        of_class = totals.sum(axis=0)
        weights = 1 / (of_class[which] * kinds)
        own = (sums / of_class).sum(axis=1) / kinds
        return self._compared(a, b, weights, sums, totals, _mean_of_classes, own)

    def _compared(
        self,
        a: np.ndarray,
        b: np.ndarray,
        weights: np.ndarray,
        sums: np.ndarray,
        totals: np.ndarray,
        reduce: Callable[[np.ndarray, np.ndarray], np.ndarray],
        of_cluster: np.ndarray,
    ) -> PairedMeans:
        total = weights.sum()
        options = {"resamples": self.resamples, "seed": self.seed}
        return PairedMeans(
            *(float((v * weights).sum() / total) if total else float("nan") for v in (a, b)),
            ci95=bootstrap.paired_interval(sums, totals, reduce=reduce, **options),
            p=bootstrap.randomisation_p(of_cluster, **options),
            n=len(a),
        )


def _numbered(values: np.ndarray) -> tuple[np.ndarray, int]:
    names, code = np.unique(values, return_inverse=True)
    return code, len(names)


def _mean_of_classes(sums: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Mean over the classes that a resample holds (the last axis) of their means."""
    known = totals > 0
    return np.where(known, ratio(sums, totals), 0.0).sum(axis=-1) / known.sum(axis=-1)
