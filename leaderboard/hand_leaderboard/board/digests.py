"""What the board keeps of a submission's sums: the metrics that are compared, by cluster.

A digest holds the metrics that `hand-bench compare` compares, each as totals and weights of every
cluster, in every subset that the protocol prints it for. It is made once for a file and kept; with
many submissions several processes can read the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hand_bench import sums as core
from hand_bench.array_types import Float
from hand_bench.comparison import HAND_METRICS
from hand_bench.errors_file import planar_rules
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.protocols import Measure
from hand_bench.sums import OneSide, SumsView
from hand_bench.tracks import Track
from hand_leaderboard.submissions.sums import Sums

if TYPE_CHECKING:
    from pathlib import Path

    from hand_leaderboard.submissions.folder import Submission

PROTOCOL = "recommended"
#: Fields that the compared metrics of 3D poses need; others are not read.
_NEEDED = {
    "histogram", "missed_joints", "hand_error", "found_hands", "pa_hand_error", "pa_hands",
    "absolute", "mrrpe", "mrrpe_count", "error", "count",
}  # fmt: skip
#: From so many files on, more than one process reads them.
_MANY = 100
_known: dict[tuple[str, int, int], Digest | None] = {}


@dataclass(frozen=True)
class ClusterParts:
    """What every cluster adds to a metric: its value is sum(totals) / sum(weights)."""

    totals: Float[np.ndarray, " clusters"]
    weights: Float[np.ndarray, " clusters"]

    @property
    def value(self) -> float:
        """The metric's value; NaN where there is nothing."""
        weight = self.weights.sum()
        return float(self.totals.sum() / weight) if weight else float("nan")


@dataclass(frozen=True)
class Digest:
    """The compared metrics of one submission.

    Attributes
    ----------
    clusters
        Names of all clusters, sorted; arrays of a subset have zeros where it has none of them.
    parts
        By metric, then by subset. A metric that is no ratio of sums is lacking.
    joints
        Sums of the errors of each joint of the right and the left hand, and how many there are;
        None for clips. mm after wrist alignment, or px.
    """

    clusters: tuple[str, ...]
    parts: Mapping[str, Mapping[str, ClusterParts]]
    joints: tuple[Float[np.ndarray, "2 21"], Float[np.ndarray, "2 21"]] | None = None


def compared_metrics(track: Track) -> tuple[str, ...]:
    """Return the metrics that are compared, that which ranks first."""
    names = [metric.name for metric in HAND_METRICS.get(track.kind, ())]
    names += {"pose": ["MRRPE"], "action": ["accuracy"]}.get(track.kind, [])
    primary = track.primary.metric
    printed = {m.metric for m, _ in track.protocol(PROTOCOL).measures}
    return tuple(dict.fromkeys(n for n in (primary, *names) if n in printed))


def digest(submission: Submission) -> Digest | None:
    """Return a submission's digest; None where it has no sums.

    Raises
    ------
    SubmissionError
        HB146 where the file of sums is damaged.
    """
    path = submission.sums
    if path is None:
        return None
    key = _key(path)
    if key not in _known:
        _known[key] = _read(path, submission.track)
    return _known[key]


def prepare(submissions: Sequence[Submission], *, workers: int = 1) -> None:
    """Read the digests of many submissions at once, so that `digest` has them.

    With several workers a script needs the usual guard, ``if __name__ == "__main__"``.

    Raises
    ------
    SubmissionError
        HB146 with the first file that is damaged.
    """
    paths = [(s.sums, s.track) for s in submissions if s.sums is not None]
    left = [(path, track) for path, track in paths if path and _key(path) not in _known]
    if len(left) < _MANY or workers < 2:
        for path, track in left:
            _known[_key(path)] = _read(path, track)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    names = [(str(path), track.name) for path, track in left]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        made = pool.map(_read_named, names, chunksize=32)
        for (path, _), found in zip(left, made, strict=True):
            _known[_key(path)] = found


def _key(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path.resolve()), status.st_size, status.st_mtime_ns


def _read_named(named: tuple[str, str]) -> Digest:
    from pathlib import Path

    from hand_bench.tracks import find_track

    return _read(Path(named[0]), find_track(named[1]))


def _read(path: Path, track: Track) -> Digest:
    return digest_of(Sums.read(path, track, without=_unused(track)))


def _unused(track: Track) -> set[str]:
    """Return the fields that are left out; none for a track that is ranked by something else."""
    if track.primary.metric not in {m.name for m in HAND_METRICS.get(track.kind, ())}:
        return set()
    names = {name for name, _ in (*core.SIDE_FIELDS, *core.SAMPLE_FIELDS)} | set(core.MESH_FIELDS)
    return names - _NEEDED


def digest_of(sums: Sums) -> Digest:
    """Reduce sums to the metrics that are compared."""
    layout, rows = sums.rows.layout, sums.rows.rows
    values = [sums.rows[row] for row in rows.values()]
    view = SumsView(np.stack(values) if values else np.zeros((0, layout.width)), layout)
    names = sorted({cluster for _, cluster in rows})
    at = {name: k for k, name in enumerate(names)}
    places = _Places(
        np.array([at[name] for _, name in rows], int),
        len(names),
        {s.name: np.array([s.contains(cell, sums.track.strata) for cell, _ in rows], bool)
         for s in sums.track.subsets},
    )  # fmt: skip
    known = {m.metric: (m, subsets) for m, subsets in sums.track.protocol(PROTOCOL).measures}
    given = {m.metric for m in sums.measures()}
    parts: dict[str, dict[str, ClusterParts]] = {}
    for metric in compared_metrics(sums.track):
        measure, subsets = known[metric]
        if metric in given and _is_ratio(measure, view):
            parts[metric] = _by_subset(sums.track, measure, subsets, view, places)
    return Digest(tuple(names), parts, _joints(sums.track, view))


@dataclass(frozen=True)
class _Places:
    """The cluster of each row of sums, how many there are, and the rows of every subset."""

    cluster: np.ndarray
    clusters: int
    members: Mapping[str, np.ndarray]


def _is_ratio(measure: Measure, view: SumsView) -> bool:
    """Whether a measure of all rows is the weighted mean of the rows: looked at, not assumed."""
    totals, weights = _of_rows(measure, view)
    whole = SumsView(view.values.sum(axis=0), view.layout)
    expected, weight = float(measure.value(whole)), weights.sum()
    return bool(weight) and bool(np.isclose(totals.sum() / weight, expected, rtol=1e-9, atol=0))


def _of_rows(measure: Measure, view: SumsView | OneSide) -> tuple[np.ndarray, np.ndarray]:
    """Return what each row adds to a measure."""
    weights = np.asarray((measure.weight or measure.count)(view), np.float64)
    values = np.asarray(measure.value(view), np.float64)
    there = (weights > 0) & ~np.isnan(values)
    return np.where(there, values * weights, 0.0), np.where(there, weights, 0.0)


def _by_subset(
    track: Track, measure: Measure, subsets: Sequence[str], view: SumsView, places: _Places
) -> dict[str, ClusterParts]:
    of_side: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    out = {}
    for name in (n for n in subsets if n in places.members):  # a protocol may name more
        side, member = track.subset(name).side, places.members[name]
        if side not in of_side:
            sided = OneSide(view, HAND_SIDES.index(side)) if side else view
            of_side[side] = _of_rows(measure, sided)
        totals, weights = (
            np.bincount(places.cluster[member], values[member], places.clusters)
            for values in of_side[side]
        )
        out[name] = ClusterParts(totals, weights)
    return out


def _joints(track: Track, view: SumsView) -> tuple[np.ndarray, np.ndarray] | None:
    if track.kind == "action":
        return None
    prefix = f"{planar_rules(track)[0].name}." if track.kind == "pose-2d" else ""
    errors, counts = (view[f"{prefix}{name}"].sum(axis=0) for name in ("error", "count"))
    return errors, counts
