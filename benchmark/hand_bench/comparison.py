"""Paired comparison of two methods on the samples both answer.

The difference of two means is not judged by two separate intervals: both methods see the same
hands, so differences are taken hand by hand, summed over clusters and resampled.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hand_bench import bootstrap, errors_file
from hand_bench.arrow import numbers
from hand_bench.data import open_annotations
from hand_bench.errors import Problem, SubmissionError
from hand_bench.evaluator import Evaluator
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.predictions import open_for_track
from hand_bench.results import rounded
from hand_bench.tracks import Track, find_track


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


#: Metric -> (column of a hand, unit, higher is better, weight column or None for one each).
_HAND_METRICS = {
    "AUC(0-50)": ("auc", "", True, "joints"),
    "MPJPE": ("mpjpe", "mm", False, None),
    "PA-MPJPE": ("pa_mpjpe", "mm", False, None),
    "MEPE": ("mepe", "mm", False, None),
}


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
        For the subsets SH, IH and all: AUC(0-50) of all true hands (a missed hand has 0), and the
        mean distances over the hands both found, as the `recommended` protocol defines them.

    Raises
    ------
    SubmissionError
        As `evaluate`; HB104 where no sample is answered by both.
    """
    known = find_track(track)
    with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
        tables = [
            _errors(preds, known, annotations, Path(folder) / f"{k}.parquet", workers, units)
            for k, preds in enumerate((a, b))
        ]
    names = [_name(a, "A"), _name(b, "B")]
    rows = pc.index_in(tables[0].column("sample_id"), value_set=tables[1].column("sample_id"))
    shared = rows.is_valid()
    if not pc.any(shared).as_py():
        raise SubmissionError(
            Problem(
                "HB104",
                f"{names[0]} and {names[1]}",
                "answer no common sample.",
                cause="Files of two tracks or splits?",
            )
        )
    left, right = tables[0].filter(shared), tables[1].take(rows.filter(shared))
    clusters, count = _clusters(left)
    differences = [
        difference
        for subset in known.subsets
        if subset.name in ("SH", "IH", "all")
        for difference in _differences(
            left, right, clusters, _member(left, known, subset), subset.name, resamples, seed
        )
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
    source = open_for_track(preds, track, units=units)
    machine.score_file(source, errors=path, workers=workers, trust_units=units is not None)
    return pq.read_table(path)


def _clusters(table: pa.Table) -> tuple[np.ndarray, " int"]:
    column = table.column("cluster").combine_chunks()
    coded = column.unify_dictionaries() if isinstance(column, pa.ChunkedArray) else column
    names = coded.cast(pa.string()).dictionary_encode()
    return numbers(names.indices), len(names.dictionary)


def _member(table: pa.Table, track: Track, subset) -> np.ndarray:
    keep = np.ones(len(table), bool)
    for column, allowed in subset.where.items():
        values = table.column(column).cast(pa.string())
        keep &= numbers(pc.is_in(values, value_set=pa.array(allowed)))
    return keep


def _differences(a, b, clusters, keep, subset, resamples, seed) -> list[Difference]:
    found = []
    for metric, (column, unit, higher, weight) in _HAND_METRICS.items():
        values = [
            np.concatenate([_floats(t, f"{s}_{column}")[keep] for s in HAND_SIDES]) for t in (a, b)
        ]
        weights = np.ones(len(values[0]))
        if weight:
            weights = np.concatenate([_floats(a, f"{s}_{weight}")[keep] for s in HAND_SIDES])
        groups = np.concatenate([clusters[keep]] * 2)
        found.append(
            _difference(metric, subset, values, weights, groups, unit, higher, resamples, seed)
        )
    values = [_floats(t, "mrrpe")[keep] for t in (a, b)]
    if subset != "SH":
        found.append(
            _difference(
                "MRRPE",
                subset,
                values,
                np.ones(int(keep.sum())),
                clusters[keep],
                "mm",
                False,
                resamples,
                seed,
            )
        )
    return [d for d in found if d.n]


def _floats(table: pa.Table, name: str) -> np.ndarray:
    return numbers(table.column(name)).astype(np.float64)


def _difference(
    metric, subset, values, weights, groups, unit, higher, resamples, seed
) -> Difference:
    both = ~np.isnan(values[0]) & ~np.isnan(values[1]) & (weights > 0)
    a, b, w = values[0][both], values[1][both], weights[both]
    _, code = np.unique(groups[both], return_inverse=True)
    sums = np.bincount(code, (b - a) * w) if both.any() else np.zeros(0)
    totals = np.bincount(code, w) if both.any() else np.zeros(0)
    interval = bootstrap.paired_interval(sums, totals, resamples=resamples, seed=seed)
    p = bootstrap.randomisation_p(sums, resamples=resamples, seed=seed)
    total = w.sum()
    mean = float(sums.sum() / total) if total else float("nan")
    clear = interval is not None and (interval[0] > 0 or interval[1] < 0)
    better = ("B" if (mean > 0) == higher else "A") if clear else "tie"
    means = [float((v * w).sum() / total) if total else float("nan") for v in (a, b)]
    return Difference(metric, subset, *means, mean, unit, interval, p, int(both.sum()), better)
