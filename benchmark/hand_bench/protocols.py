"""Protocols: how each number is made, as data. Every number carries its signature.

A `Measure` reduces rows of sums (any leading axes, so that a bootstrap is one call) to a value;
a `Protocol` is a list of measures over subsets, named after its source.

`recommended` is the project's own rule, the same on every track. Protocols that equal an official
scorer stand with their tracks; `measures` has what they are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hand_bench.bootstrap import Resampled
from hand_bench.metrics import auc
from hand_bench.rules import Rule
from hand_bench.sums import SCORE_LEVELS, OneSide, SumsView

View = SumsView | Resampled | OneSide
Reduce = Callable[[View], np.ndarray]


@dataclass(frozen=True)
class Measure:
    """One number: its name as printed, unit, direction and how it is reduced from sums.

    `rule` is the middle of the signature, `over` the rule whose sums it reduces (none: those of
    `recommended`); `missing` says what a hand that is not answered does:
    "error" (no number if the sum named `unanswered` is not 0), "fail" (fails every threshold),
    "found" (left out, recall stands beside). `weight` is what a mean is divided by where that is
    not what `count` counts; means of means, which are no ratio of sums, have none.
    """

    metric: str
    unit: str
    higher_is_better: bool
    rule: str
    value: Reduce
    count: Reduce
    missing: str
    unanswered: str = ""
    needs_camera_space: bool = False
    over: Rule | None = None
    weight: Reduce | None = None

    def signature(self, subset: str, inputs: Sequence[str]) -> str:
        """Return what a number of this measure must be compared by."""
        parts = (
            self.metric,
            self.rule,
            f"subset:{subset}",
            *inputs,
            f"missing:{self.missing}",
            "v1",
        )
        return "|".join(part for part in parts if part)


@dataclass(frozen=True)
class Protocol:
    """Measures with the subsets they are printed for."""

    name: str
    source: str
    measures: tuple[tuple[Measure, tuple[str, ...]], ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules whose sums its measures reduce."""
        return tuple(dict.fromkeys(m.over for m, _ in self.measures if m.over is not None))


def ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Divide, with NaN where there is nothing."""
    total = np.asarray(total, np.float64)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=np.asarray(count) > 0)


def joint_means(view: View, error: str = "error", count: str = "count") -> np.ndarray:
    """Mean error of each joint of both hands: (..., 2, 21), NaN where there is none."""
    return ratio(view[error], view[count])


def joint_macro(view: View) -> np.ndarray:
    """Mean over the joints of both hands of their mean errors."""
    means = joint_means(view)
    seen = ~np.isnan(means)
    return ratio(np.where(seen, means, 0.0).sum(axis=(-1, -2)), seen.sum(axis=(-1, -2)))


def pooled(view: View) -> np.ndarray:
    """Mean over all joints of all hands."""
    return ratio(view["error"].sum(axis=(-1, -2)), view["count"].sum(axis=(-1, -2)))


def ratio_of(total: str, count: str) -> Reduce:
    """Return a reduction: one sum over another, both hands together."""
    return lambda view: ratio(_sum(view, total), _sum(view, count))


def _sum(view: View, name: str) -> np.ndarray:
    return view.total(name)


def pck_curve(
    view: View, histogram: str = "histogram", missed: str = "missed_joints"
) -> np.ndarray:
    """PCK at every edge of the histogram (..., edges); joints of missed hands fail."""
    bins = view.total(histogram)
    total = bins.sum(axis=-1) + view.total(missed)
    return ratio(np.cumsum(bins, axis=-1)[..., :-1], total[..., None])


def auc_measure(low: float, high: float, *, procrustes: bool = False) -> Measure:
    """Return the area under the PCK curve from `low` to `high` mm in the steps of the edges."""
    prefix = "pa_" if procrustes else ""
    fields = (f"{prefix}histogram", f"{prefix}missed_joints")

    def value(view: View) -> np.ndarray:
        edges = view.layout.edge_array
        inside = (edges >= low) & (edges <= high)
        return auc(pck_curve(view, *fields)[..., inside], edges[inside])

    align = "similarity:valid" if procrustes else "wrist"
    return Measure(
        f"{'PA-' if procrustes else ''}AUC({low:g}-{high:g})",
        "",
        True,
        f"align:{align}|joints:20|mean:pooled|steps:1mm|area:trapezoid",
        value,
        lambda view: view.total(fields[0]).sum(axis=-1) + view.total(fields[1]),
        "fail",
    )


def pck_measure(threshold: float) -> Measure:
    """Return the share of joints within `threshold` mm after wrist alignment."""

    def value(view: View) -> np.ndarray:
        at = view.layout.edges.index(threshold)
        return pck_curve(view)[..., at]

    return Measure(
        f"PCK@{threshold:g}",
        "",
        True,
        "align:wrist|joints:20|mean:pooled",
        value,
        lambda view: view.total("histogram").sum(axis=-1) + view.total("missed_joints"),
        "fail",
    )


def average_precision(view: View) -> np.ndarray:
    """Mean over both sides of the average precision of hand presence (scores in 256 levels)."""
    scores = view["scores"]
    levels = scores.reshape(*scores.shape[:-1], 2, 2, SCORE_LEVELS)[..., ::-1]
    present = levels[..., 1, :]
    positives = np.cumsum(present, axis=-1)
    found = np.cumsum(levels[..., 0, :], axis=-1) + positives
    precision = positives / np.maximum(found, 1)
    return ratio(np.einsum("...k,...k->...", present, precision), positives[..., -1]).mean(axis=-1)


_HAND_MPJPE = Measure(
    "MPJPE",
    "mm",
    False,
    "align:wrist|joints:20|mean:hand",
    ratio_of("hand_error", "found_hands"),
    lambda view: view.total("found_hands"),
    "found",
)
_PA_MPJPE = Measure(
    "PA-MPJPE",
    "mm",
    False,
    "align:similarity:valid|joints:20|mean:hand",
    ratio_of("pa_hand_error", "pa_hands"),
    lambda view: view.total("pa_hands"),
    "found",
)
_MEPE = Measure(
    "MEPE",
    "mm",
    False,
    "align:none|joints:21|mean:hand",
    ratio_of("absolute", "found_hands"),
    lambda view: view.total("found_hands"),
    "found",
    needs_camera_space=True,
)
_FOUND_MRRPE = Measure(
    "MRRPE",
    "mm",
    False,
    "root:wrist|mean:sample",
    ratio_of("mrrpe", "mrrpe_count"),
    lambda view: view["mrrpe_count"],
    "found",
)
_AP = Measure(
    "hand AP",
    "",
    True,
    "mean:side|steps|scores:256 logit levels",
    average_precision,
    lambda view: view["presence_checked"],
    "absent",
)
_RECALL = Measure(
    "hand recall",
    "",
    True,
    "true hands answered",
    ratio_of("found_hands", "true_hands"),
    lambda view: view.total("true_hands"),
    "fail",
)
_ACCELERATION = Measure(
    "acceleration error",
    "m/s²",
    False,
    "align:wrist|joints:20|mean:pooled|gaps:even triples only",
    ratio_of("acceleration", "acceleration_count"),
    lambda view: view.total("acceleration_count"),
    "found",
)


def with_meshes(protocol: Protocol, model: str) -> Protocol:
    """Return `recommended` with MPVPE beside MPJPE, for predictions that carry meshes.

    Parameters
    ----------
    protocol
        As `recommended` gives it.
    model
        Name of the hand model that gives the vertices; part of the signature.
    """
    measure = Measure(
        "MPVPE",
        "mm",
        False,
        f"align:wrist|vertices:{model}|mean:hand",
        ratio_of("mesh_error", "mesh_hands"),
        lambda view: view.total("mesh_hands"),
        "found",
        unanswered="mesh_lacking",
    )
    subsets = next(s for m, s in protocol.measures if m.metric == _HAND_MPJPE.metric)
    return replace(protocol, measures=(*protocol.measures, (measure, subsets)))


def recommended(
    every: Sequence[str] = ("all",), main: Sequence[str] = ("all",), *, without: Sequence[str] = ()
) -> Protocol:
    """Return the rule that is the same on every track of 3D poses.

    Parameters
    ----------
    every
        Subsets for the three numbers that matter most.
    main
        Subsets for the others; what belongs to samples and not to hands is printed for "all".
    without
        Metrics that the dataset cannot give (no time, one hand only, presence not annotated).
    """
    every, main = tuple(every), tuple(main)
    measures = (
        (auc_measure(0, 50), every),
        (_HAND_MPJPE, every),
        (_PA_MPJPE, every),
        (auc_measure(0, 50, procrustes=True), main),
        (pck_measure(20), main),
        (_MEPE, main),
        (_FOUND_MRRPE, ("all",)),
        (_ACCELERATION, main),
        (_AP, ("all",)),
        (_RECALL, main),
    )
    return Protocol(
        "recommended",
        "hand-bench: the same rule on every track",
        tuple((m, subsets) for m, subsets in measures if m.metric not in without),
    )
