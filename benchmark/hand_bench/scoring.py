"""From sums to a result: values, intervals, details and the notes that belong beside them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hand_bench import bootstrap
from hand_bench.errors import DatasetError, Problem
from hand_bench.joint_sets import FINGERS, HAND_SIDES, OPENPOSE
from hand_bench.protocols import (
    Measure,
    Protocol,
    View,
    joint_means,
    pck_curve,
    ratio,
    with_meshes,
)
from hand_bench.results import Result, Score, nine_digits
from hand_bench.sums import ClusterView, OneSide, SumsView
from hand_bench.tracks import Subset, Track

if TYPE_CHECKING:
    from hand_bench.actions import ClipEvaluator
    from hand_bench.evaluator import Evaluator

    Scorer = Evaluator | ClipEvaluator


def result(evaluator: Scorer, protocol: str) -> Result:
    """Reduce an evaluator's sums; `protocol` is a name or "all"."""
    track, declared = evaluator.track, evaluator.declared
    chosen = _protocols(evaluator, protocol)
    wanted = {name for p in chosen for _, subsets in p.measures for name in subsets}
    reduce = _Reduction(evaluator)
    tables = {s.name: reduce.subset(s) for s in track.subsets if s.name in wanted}
    found: dict[tuple[str, int, str], Score] = {}
    for name, table in tables.items():
        for p in chosen:
            for k, (measure, subsets) in enumerate(p.measures):
                if name in subsets:
                    found[p.name, k, name] = table.score(measure, p.name)
        table.forget_resamples()
    scores = [
        found[p.name, k, name]
        for p in chosen
        for k, (_, subsets) in enumerate(p.measures)
        for name in subsets
        if name in tables
    ]
    manifest = evaluator.annotations.manifest
    return Result(
        track={
            "name": track.name,
            "version": track.version,
            "dataset": track.dataset,
            "split": track.split,
            "primary": vars(track.primary),
        },
        predictions=evaluator.predictions
        | {"inputs": list(declared.inputs), "method": declared.method},
        annotations={
            "sha256": evaluator.annotations.sha256,
            "samples": evaluator.annotations.rows,
            "release": manifest.get("release", "unknown"),
        },
        coverage=evaluator.coverage.counts(),
        scores=scores,
        details=_details(track, tables),
        partial="; ".join(_partial(evaluator)),
        intervals=reduce.intervals
        if any(s.ci95 for s in scores)
        else "none: fewer than five sequences (or ten-second blocks) to resample",
        notes=_notes(evaluator, scores),
    )


def _protocols(evaluator: Scorer, protocol: str) -> tuple[Protocol, ...]:
    """Return the protocols that are asked for; MPVPE is there where meshes were compared."""
    track = evaluator.track
    chosen = track.protocols if protocol == "all" else (track.protocol(protocol),)
    meshes = getattr(evaluator, "meshes", None)
    if meshes is None or not _compared(evaluator):
        return chosen
    return tuple(with_meshes(p, meshes.name) if p.name == "recommended" else p for p in chosen)


def _compared(evaluator: Scorer) -> bool:
    """Whether any answered hand has a true mesh."""
    view = evaluator.sums.clusters(lambda _: True).whole()
    return bool(view.total("mesh_hands") + view.total("mesh_lacking"))


#: How notes begin that say why predictions with meshes have no MPVPE.
NO_MPVPE = "The meshes are not scored (MPVPE)"
_NOUNS = {"pose": "hands", "pose-2d": "hands", "action": "clips"}


def require_truth(evaluator: Scorer) -> None:
    """Refuse to score against annotations that hold no truth.

    Raises
    ------
    DatasetError
        HB209 for a track whose truth is withheld, with who can score it.
    """
    track, annotations = evaluator.track, evaluator.annotations
    if track.truth == "public":
        return
    planar = "_2d" if track.kind == "pose-2d" else ""
    sides = [f"{side}_joints{planar}" for side in HAND_SIDES]
    for batch in annotations.batches(["label"] if track.kind == "action" else sides):
        if any(batch.given(name).any() for name in batch.table.schema.names):
            return
    raise DatasetError(
        Problem(
            "HB209",
            track.name,
            "cannot be scored here: its truth is withheld by the owners of the dataset.",
            cause=f"To get it scored: {track.obtain}.",
            fix="`hand-bench validate` checks the file; whoever has the truth scores it with "
            "`--annotations FILE`.",
        )
    )


class _Reduction:
    """Reduces subsets; the last number of clusters keeps its resamples."""

    def __init__(self, evaluator: Scorer):
        self.evaluator = evaluator
        self.inputs = tuple(_input_parts(evaluator.track, evaluator.declared.inputs))
        self.camera_space = evaluator.declared.frame != "root-relative"
        self.counts: dict[int, np.ndarray] = {}
        unit = "ten-second blocks, conditional on these recordings"
        self.intervals = (
            f"95 %, {evaluator.resamples:,} bootstrap resamples of "
            f"{unit if evaluator.time_blocks else 'sequences'}"
        )

    def subset(self, subset: Subset) -> _SubsetTable:
        track = self.evaluator.track
        view = self.evaluator.sums.clusters(lambda cell: subset.contains(cell, track.strata))
        return _SubsetTable(subset, view, self)

    def resamples(self, clusters: int) -> np.ndarray | None:
        """Return how often each cluster is drawn; None where there are too few for an interval."""
        if clusters < bootstrap.MIN_CLUSTERS or not self.evaluator.resamples:
            return None
        if clusters not in self.counts:
            self.counts = {
                clusters: bootstrap.resample_counts(
                    clusters, self.evaluator.resamples, self.evaluator.seed
                )
            }
        return self.counts[clusters]


class _SubsetTable:
    """The sums of a subset; its resamples are made when a score asks for them."""

    def __init__(self, subset: Subset, view: ClusterView, reduction: _Reduction):
        self.name, self.view, self.reduction = subset.name, view, reduction
        self.side = HAND_SIDES.index(subset.side) if subset.side else None
        self.total: View = self._sided(view.whole())

    @cached_property
    def resampled(self) -> View | None:
        counts = self.reduction.resamples(len(self.view.names))
        return None if counts is None else self._sided(bootstrap.Resampled(self.view, counts))

    def _sided(self, view: SumsView | bootstrap.Resampled) -> View:
        return view if self.side is None else OneSide(view, self.side)

    def forget_resamples(self) -> None:
        """Give the memory back: with many clusters the tables of all subsets would add up."""
        self.__dict__.pop("resampled", None)

    def score(self, measure: Measure, protocol: str) -> Score:
        value, note = self._value(measure)
        interval = None
        if value is not None and self.resampled is not None:
            interval = bootstrap.interval(measure.value(self.resampled))
        return Score(
            metric=measure.metric,
            subset=self.name,
            protocol=protocol,
            value=value,
            unit=measure.unit,
            ci95=interval and tuple(nine_digits(v) for v in interval),  # type: ignore[arg-type]
            n=round(float(measure.count(self.total))),
            signature=measure.signature(self.name, self.reduction.inputs),
            higher_is_better=measure.higher_is_better,
            note=note,
        )

    def _value(self, measure: Measure) -> tuple[float | None, str]:
        reduction, track = self.reduction, self.reduction.evaluator.track
        if measure.needs_camera_space and not reduction.camera_space:
            return None, "the predictions are root-relative"
        if measure.unanswered == "mesh_lacking":
            lacking = int(self.total.total(measure.unanswered))
            if lacking:
                return None, f"{lacking:,} answered hands have no MANO parameters"
        elif (
            measure.missing == "error"
            and measure.unanswered
            and not reduction.evaluator.allow_missing
        ):
            lacking = int(np.sum(self.total[measure.unanswered]))
            if lacking:
                pairs = measure.unanswered.endswith("mrrpe_unanswered")
                return None, (
                    f"{lacking:,} pairs of wrists are not answered"
                    if pairs
                    else f"{lacking:,} true {_NOUNS[track.kind]} are not answered, which this "
                    "scorer does not allow"
                )
        value = nine_digits(float(measure.value(self.total)))
        return value, "" if value is not None else "no sample"


def _input_parts(track: Track, declared: tuple[str, ...]) -> list[str]:
    """Return `boxes:...` and `depth:...` for signatures; "undeclared" where a file is silent."""
    given = dict(item.split(":", 1) for item in declared)
    return [
        f"{'depth' if n == 'root_depth' else n}:{given.get(n, 'undeclared')}" for n in track.inputs
    ]


def _partial(evaluator: Scorer) -> list[str]:
    reasons = list(evaluator.partial)
    if evaluator.coverage.missing:
        reasons.append(f"{evaluator.coverage.missing:,} samples have no prediction")
    return reasons


def _notes(evaluator: Scorer, scores: list[Score]) -> list[str]:
    notes = list(evaluator.notes)
    if getattr(evaluator, "meshes", None) is not None and not _compared(evaluator):
        notes.append(f"{NO_MPVPE}: no answered hand has MANO parameters in the annotations.")
    reasons: dict[str, list[str]] = {}
    for score in scores:
        if score.note and score.note != "no sample":
            reasons.setdefault(score.note, []).append(
                f"{score.protocol} {score.metric} {score.subset}"
            )
    notes += [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    empty = sorted({s.subset for s in scores if s.note == "no sample"})
    if empty:
        notes.append(f"nothing to average in some scores of: {', '.join(empty)}")
    return notes


def _details(track: Track, tables: dict[str, _SubsetTable]) -> dict[str, Any]:
    """Per joint, per finger, per hand side and the PCK curve, for subsets of one condition."""
    if track.kind == "action":
        whole = tables.get("all")
        if whole is None:
            return {}
        counts = whole.total["confusion"].astype(int).tolist()
        return {"classes": list(track.classes), "confusion": counts}
    if track.kind == "pose-2d":
        return {}
    details: dict[str, Any] = {"pck_thresholds": [t for t in track.edges if t <= 50]}
    inside = len(details["pck_thresholds"])
    simple = [s.name for s in track.subsets if len(s.where) < 2]
    for name in (name for name in simple if name in tables):
        view = tables[name].total
        details[name] = {
            "per_joint": _per_joint(joint_means(view)),
            "per_joint_procrustes": _per_joint(joint_means(view, "pa_error", "pa_count")),
            "per_finger": _per_finger(view),
            "per_side": dict(
                zip(
                    HAND_SIDES, _floats(ratio(view["hand_error"], view["found_hands"])), strict=True
                )
            ),
            "pck": _floats(pck_curve(view)[:inside]),
            "pa_pck": _floats(pck_curve(view, "pa_histogram", "pa_missed_joints")[:inside]),
            "hands": {
                "true": int(view.total("true_hands")),
                "found": int(view.total("found_hands")),
            },
        }
    return details


def _per_joint(means: np.ndarray) -> dict[str, dict[str, float | None]]:
    return {
        side: dict(zip(OPENPOSE.joints, _floats(row), strict=True))
        for side, row in zip(HAND_SIDES, means, strict=True)
    }


def _per_finger(view: SumsView) -> dict[str, float | None]:
    error, count = view.total("error"), view.total("count")
    parts = {finger: list(OPENPOSE.finger(finger)) for finger in FINGERS}
    return {f: _floats(ratio(error[p].sum(), count[p].sum()))[0] for f, p in parts.items()}


def _floats(values: np.ndarray) -> list[float | None]:
    return [nine_digits(float(v)) for v in np.atleast_1d(values)]
