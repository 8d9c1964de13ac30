"""Data for the interactive parts of the site, as plain values for JSON.

Every function returns dictionaries, lists, texts, finite numbers and None only, with short keys and
numbers of six significant digits, so that files stay small. Made from `Sums` (published for every
track, hidden ones too); only `worst_samples` reads per-sample errors, which exist where the truth
is public.

The sums of one submission are meant for a file of their own that the compare page loads when it is
chosen (a `<script src>` works from `file://`): with 300 sequences they are about 20 to 60 kB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import pyarrow.parquet as pq

from hand_bench.joint_sets import OPENPOSE
from hand_bench.protocols import Measure, ratio
from hand_bench.tracks import Track
from hand_leaderboard.board.columns import slug
from hand_leaderboard.board.digests import PROTOCOL, Digest, compared_metrics, digest, prepare
from hand_leaderboard.board.tables import Group, Row, Table
from hand_leaderboard.hand_errors import HandErrors

if TYPE_CHECKING:
    from hand_leaderboard.submissions.folder import Submission


class MetricInfo(TypedDict):
    """One metric that can be compared: `key` as in `Column.key`, without the subset."""

    key: str
    label: str
    unit: str
    higher: bool
    primary: bool


class TrackData(TypedDict):
    """What the sums of all submissions of a track share.

    `clusters` are the names of what is resampled (sequences, or "sequence 10s" time blocks), in the
    order of every array of `SumsData`. `subsets` maps a name to its meaning, "all" first. `joints`
    are names in OpenPose order; empty on action tracks. `conditional` is True where clusters are
    time blocks, so that intervals are conditional on these recordings.
    """

    track: str
    clusters: list[str]
    metrics: list[MetricInfo]
    subsets: dict[str, str]
    joints: list[str]
    conditional: bool


class Ratio(TypedDict):
    """A metric of one subset by cluster: its value is sum(total) / sum(weight).

    Both lists are as long as `TrackData["clusters"]`, zeros where a cluster has nothing: leave out
    those where both submissions have nothing, then resample. A paired difference resamples the
    clusters once and takes both submissions' ratios of the same draw.
    """

    total: list[float]
    weight: list[float]


class SumsData(TypedDict):
    """The sums of one submission.

    `ratios[metric key][subset]`; a metric that has no value (no camera space) is lacking. `joints`
    holds mean errors in mm (px on 2D tracks): {"right": [21], "left": [21], "both": [21]}, None
    where there is nothing. `curve` is {"at": thresholds, "pck": shares, "pa_pck": shares} or None.
    """

    name: str
    ratios: dict[str, dict[str, Ratio]]
    joints: dict[str, list[float | None]] | None
    curve: dict[str, list[float]] | None


def track_data(submissions: Sequence[Submission]) -> TrackData | None:
    """Return what the compare page needs once for a track; None where nothing is scored.

    Parameters
    ----------
    submissions
        Of one track; those without a result are passed over, and so are those that were scored
        against other annotations than most (they cannot be paired).
    """
    scored = [s for s in submissions if s.result is not None and s.sums is not None]
    if not scored:
        return None
    prepare(scored)
    counts = Counter(known.clusters for s in scored if (known := digest(s)) is not None)
    clusters = max(sorted(counts), key=counts.__getitem__)
    track = scored[0].track
    measures = {m.metric: (m, subsets) for m, subsets in track.protocol(PROTOCOL).measures}
    metrics = compared_metrics(track)
    named = dict.fromkeys(name for metric in metrics for name in measures[metric][1])
    meanings = {s.name: s.meaning for s in track.subsets}
    return {
        "track": track.name,
        "clusters": list(clusters),
        "metrics": [_metric(track, measures[name][0]) for name in metrics],
        "subsets": {
            n: meanings[n] for n in sorted(named, key=lambda n: n != "all") if n in meanings
        },
        "joints": [] if track.kind == "action" else list(OPENPOSE.joints),
        "conditional": any(s.result and "conditional" in s.result.intervals for s in scored),
    }


def _metric(track: Track, measure: Measure) -> MetricInfo:
    return {
        "key": slug(measure.metric),
        "label": measure.metric,
        "unit": measure.unit,
        "higher": measure.higher_is_better,
        "primary": measure.metric == track.primary.metric,
    }


def sums_data(submission: Submission, shared: TrackData) -> SumsData | None:
    """Return one submission's sums in the order of `shared`; None where it cannot be paired."""
    known, result = digest(submission), submission.result
    if known is None or result is None or list(known.clusters) != shared["clusters"]:
        return None
    without = {
        (s.metric, s.subset) for s in result.scores if s.protocol == PROTOCOL and s.value is None
    }
    ratios: dict[str, dict[str, Ratio]] = {}
    for metric, subsets in known.parts.items():
        of_subset: dict[str, Ratio] = {
            name: {"total": _numbers(part.totals), "weight": _numbers(part.weights)}
            for name, part in subsets.items()
            if (metric, name) not in without and part.weights.any()
        }
        if of_subset:
            ratios[slug(metric)] = of_subset
    curve = pck_curve(submission)
    return {"name": submission.name, "ratios": ratios, "joints": _joints(known), "curve": curve}


def _joints(known: Digest) -> dict[str, list[float | None]] | None:
    if known.joints is None:
        return None
    errors, counts = known.joints
    means = [*ratio(errors, counts), ratio(errors.sum(axis=0), counts.sum(axis=0))]
    return {
        name: [None if np.isnan(v) else _number(v) for v in row]
        for name, row in zip(("right", "left", "both"), means, strict=True)
    }


def pck_curve(submission: Submission, subset: str = "all") -> dict[str, list[float]] | None:
    """Return {"at": mm, "pck": shares, "pa_pck": shares} of a subset; None where there is none."""
    details = submission.result.details if submission.result else {}
    own = details.get(subset)
    if not isinstance(own, dict) or "pck" not in own or "pck_thresholds" not in details:
        return None
    values = [own["pck"], own.get("pa_pck") or own["pck"]]
    if any(v is None for row in values for v in row):
        return None
    at, pck, pa_pck = (_numbers(row) for row in (details["pck_thresholds"], *values))
    return {"at": at, "pck": pck, "pa_pck": pa_pck}


def progress(table: Table) -> list[dict[str, Any]]:
    """Return the primary value over time for each rank group that has dated, ranked rows.

    [{"group": key, "label": label, "kind": kind, "points": [{"date", "slug", "method", "value",
    "best"}]}], points by date; "best" is whether it was better than all before it.
    """
    found = ((group, _points(group, table)) for group in table.groups)
    return [
        {"group": group.key, "label": group.label, "kind": group.kind, "points": points}
        for group, points in found
        if points
    ]


def _points(group: Group, table: Table) -> list[dict[str, Any]]:
    column = table.primary
    if column is None:
        return []
    dated = [row for row in group.rows if row.rank is not None and row.date]
    sign = 1 if column.higher_is_better else -1
    points, best = [], -np.inf
    # Of one day, the better ones come first: the others were never the best.
    for row in sorted(dated, key=lambda r: (r.date, -sign * _value(r, column.key), r.slug)):
        value = _value(row, column.key)
        points.append(
            {
                "date": row.date,
                "slug": row.slug,
                "method": row.method,
                "value": _number(value),
                "best": sign * value > best,
            }
        )
        best = max(best, sign * value)
    return points


def _value(row: Row, key: str) -> float:
    value = row.cells[key].value
    assert value is not None
    return value


#: Worst samples of one cluster at most: they resemble each other.
_OF_CLUSTER = 3


def worst_samples(submission: Submission, count: int = 12) -> list[dict[str, Any]]:
    """Return the samples with the largest error, at most three of one cluster.

    [{"id", "cluster", "error", "side"}] in mm (px on 2D tracks; of clips "truth" and "answer"
    instead of error and side); [] where per-sample errors are not published.
    """
    path = submission.errors
    if path is None or submission.track.truth != "public":
        return []
    if submission.track.kind == "action":
        return _wrong_clips(submission.track, pq.read_table(path), count)
    hands = HandErrors.read(path, submission.track)
    errors = np.where(hands.found & ~np.isnan(hands.main), hands.main, -1.0)
    rows = _spread(errors.max(axis=1), hands.cluster, count)
    return [
        {
            "id": hands.sample_id[int(row)].as_py(),
            "cluster": hands.names[hands.cluster[row]],
            "error": _number(errors[row].max()),
            "side": "right" if errors[row, 0] >= errors[row, 1] else "left",
        }
        for row in rows
    ]


def _spread(worst: np.ndarray, cluster: np.ndarray, count: int) -> list[int]:
    """Return the rows with the largest values, at most a few of each cluster; none below 0."""
    chosen: list[int] = []
    taken: Counter[int] = Counter()
    for row in np.argsort(-worst, kind="stable").tolist():
        if len(chosen) == count or worst[row] < 0:
            break
        if taken[int(cluster[row])] < _OF_CLUSTER:
            taken[int(cluster[row])] += 1
            chosen.append(row)
    return chosen


def _wrong_clips(track: Track, table: Any, count: int) -> list[dict[str, Any]]:
    wrong = table.filter(~np.asarray(table.column("right")))
    clusters = wrong.column("cluster").to_pylist()
    names, code = np.unique(clusters, return_inverse=True) if clusters else ([], np.zeros(0, int))
    truth, answer = (wrong.column(n).to_pylist() for n in ("truth", "answer"))
    ids = wrong.column("sample_id")
    return [
        {
            "id": ids[row].as_py(),
            "cluster": str(names[code[row]]),
            "truth": track.classes[truth[row]],
            "answer": track.classes[answer[row]],
        }
        for row in _spread(np.ones(len(clusters)), code, count)
    ]


def _numbers(values: Any) -> list[float]:
    return [_number(v) for v in np.asarray(values, np.float64).tolist()]


def _number(value: float) -> float:
    """Round to six significant digits; whole numbers without a point, so that files are small."""
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() else short
