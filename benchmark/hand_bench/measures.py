"""Measures over rules: the numbers that official scorers print, as reductions of a rule's sums.

How errors are averaged (`mean`)
    "joint"        mean over the 2 x 21 joints of both hands of each joint's mean
    "joint21"      the same with both hands' joints of a name pooled: mean over 21
    "pooled"       mean over all joints of all hands
    "hand"         mean over hands of a hand's mean
    "image"        mean over images of the mean over the image's hands
    "image, zeros" mean over images of half the sum of both hands, 0 for a hand that does not count
                   (the released code of WildHands)
"""

from __future__ import annotations

import numpy as np

from hand_bench.metrics import auc
from hand_bench.protocols import Measure, Reduce, View, ratio
from hand_bench.rules import Rule
from hand_bench.sums import OneSide


def mean_error(
    over: Rule, *, mean: str, metric: str = "MPJPE", unit: str = "mm", missing: str = "error"
) -> Measure:
    """Return the mean distance under a rule."""
    return Measure(
        metric,
        unit,
        False,
        f"{over.signature}|mean:{mean}",
        _MEANS[mean](over.name),
        lambda view: view.total(f"{over.name}.hands"),
        missing,
        unanswered=f"{over.name}.unanswered" if missing == "error" else "",
        needs_camera_space=over.align == "none" and not over.frame,
        over=over,
        weight=_joints(over, missing="found") if mean == "pooled" else None,
    )


def area(
    over: Rule, low: float, high: float, *, metric: str, mean: str = "pooled", unit: str = "",
    missing: str = "error", edges: tuple[float, ...] | None = None,
) -> Measure:  # fmt: skip
    """Return the area under the PCK curve of a rule from `low` to `high`, as a share (or in %).

    The steps are the rule's edges within the range, or those that are given; the area is divided
    by their range, which is what scorers do whose grid does not begin at `low`.
    """
    grid = np.array(edges if edges is not None else [e for e in over.edges if low <= e <= high])
    at = np.searchsorted(np.array(over.edges), grid)
    scale = 100.0 if unit == "%" else 1.0

    def value(view: View) -> np.ndarray:
        return scale * auc(_curve(view, over, mean, missing)[..., at], grid)

    rule = f"{over.signature}|mean:{mean}|steps:{len(grid)}|area:trapezoid"
    return _share(over, metric, unit, rule, value, missing)


def share_within(
    over: Rule, threshold: float, *, metric: str, mean: str = "pooled", missing: str = "error"
) -> Measure:
    """Return the share of joints within a threshold of the rule."""
    at = over.edges.index(threshold)
    rule = f"{over.signature}|mean:{mean}"
    return _share(
        over, metric, "", rule, lambda view: _curve(view, over, mean, missing)[..., at], missing
    )


def mrrpe(over: Rule) -> Measure:
    """Return the error of the left wrist seen from the right, where both hands count."""
    name = over.name
    return Measure(
        "MRRPE",
        "mm",
        False,
        f"root:wrist|counts:{over.counts}|mean:sample",
        lambda view: ratio(view[f"{name}.mrrpe"], view[f"{name}.mrrpe_count"]),
        lambda view: view[f"{name}.mrrpe_count"],
        "error",
        unanswered=f"{name}.mrrpe_unanswered",
        over=over,
    )


def recall(over: Rule) -> Measure:
    """Return the share of hands that count which are answered."""
    hands, missed = f"{over.name}.hands", f"{over.name}.unanswered"
    return Measure(
        "hand recall",
        "",
        True,
        f"true hands answered|counts:{over.counts}",
        lambda view: ratio(view.total(hands), view.total(hands) + view.total(missed)),
        lambda view: view.total(hands) + view.total(missed),
        "fail",
        over=over,
    )


def _share(over: Rule, metric: str, unit: str, rule: str, value: Reduce, missing: str) -> Measure:
    return Measure(
        metric,
        unit,
        True,
        rule,
        value,
        lambda view: view.total(f"{over.name}.count").sum(axis=-1),
        missing,
        unanswered=f"{over.name}.unanswered" if missing == "error" else "",
        needs_camera_space=over.align == "none" and not over.frame,
        over=over,
        weight=_joints(over, missing),
    )


def _joints(over: Rule, missing: str) -> Reduce:
    """Return what counts joints; with "fail" those of hands that are not answered too."""
    found, missed = f"{over.name}.count", f"{over.name}.missed_joints"

    def count(view: View) -> np.ndarray:
        joints = view.total(found).sum(axis=-1)
        return joints + view.total(missed).sum(axis=-1) if missing == "fail" else joints

    return count


def _curve(view: View, over: Rule, mean: str, missing: str) -> np.ndarray:
    """PCK at every edge: of all joints pooled, or the mean over joints that have any."""
    bins, misses = view[f"{over.name}.histogram"], view[f"{over.name}.missed_joints"]
    if missing != "fail":
        misses = np.zeros_like(misses)
    if mean != "joint":
        bins, misses = bins.sum(axis=-3), misses.sum(axis=-2)
    if mean == "pooled":
        bins, misses = bins.sum(axis=-2), misses.sum(axis=-1)
    total = bins.sum(axis=-1) + misses
    curve = ratio(
        np.cumsum(bins, axis=-1)[..., :-1], np.broadcast_to(total[..., None], bins[..., :-1].shape)
    )
    if mean == "pooled":
        return curve
    axes = (-3, -2) if mean == "joint" else (-2,)
    known = np.broadcast_to(total[..., None] > 0, curve.shape)
    return ratio(np.where(known, curve, 0.0).sum(axis=axes), known.sum(axis=axes))


def _mean_of_ratios(error: np.ndarray, count: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    means = ratio(error, count)
    known = ~np.isnan(means)
    return ratio(np.where(known, means, 0.0).sum(axis=axes), known.sum(axis=axes))


def _by_joint(name: str) -> Reduce:
    return lambda v: _mean_of_ratios(v[f"{name}.error"], v[f"{name}.count"], (-2, -1))


def _by_joint21(name: str) -> Reduce:
    return lambda v: _mean_of_ratios(v.total(f"{name}.error"), v.total(f"{name}.count"), (-1,))


def _pooled(name: str) -> Reduce:
    return lambda v: ratio(
        v.total(f"{name}.error").sum(axis=-1), v.total(f"{name}.count").sum(axis=-1)
    )


def _by_hand(name: str) -> Reduce:
    return lambda v: ratio(v.total(f"{name}.hand_error"), v.total(f"{name}.hands"))


def _by_image(name: str) -> Reduce:
    """An image's mean over its hands; of one hand side, that is the hand's own."""
    hand = _by_hand(name)
    return lambda v: (
        hand(v) if isinstance(v, OneSide) else ratio(v[f"{name}.image_error"], v[f"{name}.images"])
    )


def _by_image_zeros(name: str) -> Reduce:
    """Zeros would reward hands that are not answered: then there is no value."""

    def value(view: View) -> np.ndarray:
        mean = ratio(view.total(f"{name}.hand_error"), 2 * view["samples"])
        return np.where(view.total(f"{name}.unanswered") > 0, np.nan, mean)

    return value


_MEANS = {
    "joint": _by_joint,
    "joint21": _by_joint21,
    "pooled": _pooled,
    "hand": _by_hand,
    "image": _by_image,
    "image, zeros": _by_image_zeros,
}


# actions


def accuracy(*, missing: str = "error") -> Measure:
    """Return the share of clips whose class is right."""
    return _clip_measure("accuracy", "mean:clip", _accuracy, missing)


def class_mean_accuracy() -> Measure:
    """Return the mean over the classes that occur of the share of their clips that are right."""
    return _clip_measure("class-mean accuracy", "mean:class", _class_mean, "error")


def _clip_measure(metric: str, rule: str, value: Reduce, missing: str) -> Measure:
    return Measure(metric, "", True, rule, value, lambda view: view["clips"], missing)


def _accuracy(view: View) -> np.ndarray:
    right = np.einsum("...kk->...", view["confusion"])
    return ratio(right, view["clips"])


def _class_mean(view: View) -> np.ndarray:
    confusion = view["confusion"]
    right = np.einsum("...kk->...k", confusion)
    return _mean_of_ratios(right, confusion.sum(axis=-1), (-1,))
