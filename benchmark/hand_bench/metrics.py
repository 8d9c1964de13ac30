"""Metrics of 3D hand pose as pure functions of arrays.

Conventions
-----------
Errors come first, averages last: `joint_errors` gives the distance of every joint (mm), and each
metric is a reduction of that array. `valid` marks the joints that count; what is not valid may
hold anything finite. Hands are rows. An empty selection gives NaN, never 0.

Metrics
-------
MPJPE (mean per joint position error), PA-MPJPE, MEPE (mean absolute error in camera space),
MRRPE (mean relative root position error), PCK and its AUC, hand-presence accuracy, average
precision, acceleration error, 2D L2 error. MPVPE, over the vertices of meshes, is in `meshes`.

The evaluator reduces streams with the same formulas; a test holds the two equal.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from hand_bench.alignment import procrustes_align, root_align
from hand_bench.array_types import Bool, Float

Mean = Literal["joint,sample", "pooled", "hand"]


def joint_errors(
    pred: Float[np.ndarray, "*hands joints dims"], gt: Float[np.ndarray, "*hands joints dims"]
) -> Float[np.ndarray, "*hands joints"]:
    """Distance of every predicted joint to its true position, in the unit of the input."""
    return np.linalg.norm(np.asarray(pred, np.float64) - np.asarray(gt, np.float64), axis=-1)


def wrist_aligned_errors(
    pred: Float[np.ndarray, "*hands joints 3"],
    gt: Float[np.ndarray, "*hands joints 3"],
    root: int = 0,
) -> Float[np.ndarray, "*hands joints"]:
    """Distance of every joint (mm) after both wrists are moved to the origin."""
    pred, gt = np.asarray(pred, np.float64), np.asarray(gt, np.float64)
    return joint_errors(root_align(pred, root), root_align(gt, root))


def procrustes_errors(
    pred: Float[np.ndarray, "*hands joints 3"],
    gt: Float[np.ndarray, "*hands joints 3"],
    valid: Bool[np.ndarray, "*hands joints"] | None = None,
) -> Float[np.ndarray, "*hands joints"]:
    """Distance of every joint (mm) after similarity alignment; raises as `procrustes_align`."""
    return joint_errors(procrustes_align(pred, gt, valid), gt)


def root_valid(
    valid: Bool[np.ndarray, "*hands joints"], root: int = 0
) -> Bool[np.ndarray, "*hands joints"]:
    """Drop a hand whose root is not valid (InterHand2.6M's root rule, facts 1.8)."""
    return valid & valid[..., root : root + 1]


def mpjpe(
    errors: Float[np.ndarray, "hands joints"],
    valid: Bool[np.ndarray, "hands joints"],
    *,
    mean: Mean = "hand",
) -> float:
    """Mean per joint position error.

    Parameters
    ----------
    errors
        Distances, mm.
    valid
        Joints that count.
    mean
        "hand": over the valid joints of a hand, then over hands (the project's rule).
        "pooled": over all valid joints alike (mmpose).
        "joint,sample": over hands for every joint, then over the joints that occur
        (InterHand2.6M's official scorer).
    """
    kept = np.where(valid, errors, 0.0)
    if mean == "pooled":
        return _ratio(kept.sum(), valid.sum())
    axis = 1 if mean == "hand" else 0
    count = valid.sum(axis=axis)
    return _ratio((kept.sum(axis=axis)[count > 0] / count[count > 0]).sum(), (count > 0).sum())


def per_joint(
    errors: Float[np.ndarray, "hands joints"], valid: Bool[np.ndarray, "hands joints"]
) -> Float[np.ndarray, " joints"]:
    """Mean error of each joint over the hands where it is valid; NaN where it never is."""
    count = valid.sum(axis=0)
    total = np.where(valid, errors, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mrrpe(
    pred_left_from_right: Float[np.ndarray, "samples 3"],
    gt_left_from_right: Float[np.ndarray, "samples 3"],
) -> float:
    """Mean relative root position error (mm): the left wrist seen from the right wrist.

    Source: InterHand2.6M, Sec. 5 and official evaluate (facts 2.4).
    """
    errors = joint_errors(pred_left_from_right, gt_left_from_right)
    return _ratio(errors.sum(), errors.size)


def pck_curve(
    errors: Float[np.ndarray, "*hands joints"],
    valid: Bool[np.ndarray, "*hands joints"],
    thresholds: Float[np.ndarray, " thresholds"],
    *,
    missed_joints: int = 0,
) -> Float[np.ndarray, " thresholds"]:
    """Fraction of joints within each threshold (error <= threshold).

    `missed_joints` joints of hands that were not answered fail every threshold.
    """
    ranked = np.sort(errors[valid])
    total = ranked.size + missed_joints
    if total == 0:
        return np.full(len(thresholds), np.nan)
    return np.searchsorted(ranked, thresholds, side="right") / total


def auc(
    curve: Float[np.ndarray, "*batch thresholds"], thresholds: Float[np.ndarray, " thresholds"]
) -> Float[np.ndarray, "*batch"]:
    """Area under a PCK curve by the trapezoid rule, divided by the range of the thresholds."""
    return np.trapezoid(curve, thresholds, axis=-1) / (thresholds[-1] - thresholds[0])


def presence_accuracy(
    scores: Float[np.ndarray, "samples 2"],
    present: Bool[np.ndarray, "samples 2"],
    *,
    ties: Literal["wrong", "absent"] = "wrong",
) -> float:
    """Fraction of samples where both hands' presence is right (official "handedness accuracy").

    A probability of exactly 0.5 is never right in the official code ("wrong") and counts as
    absent in mmpose ("absent"). Facts 2.4 and 2.6.
    """
    right = (scores > 0.5) == present
    if ties == "wrong":
        right &= scores != 0.5
    return _ratio(right.all(axis=1).sum(), len(scores))


def average_precision(
    scores: Float[np.ndarray, " samples"], present: Bool[np.ndarray, " samples"]
) -> float:
    """Area under the precision-recall steps; equal scores enter together. NaN without positives."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    positives = np.cumsum(present[order])[last_of_tie]
    found = np.flatnonzero(last_of_tie) + 1
    if positives.size == 0 or positives[-1] == 0:
        return float("nan")
    return float((np.diff(positives, prepend=0) * positives / found).sum() / positives[-1])


def acceleration_errors(
    pred: Float[np.ndarray, "frames joints 3"],
    gt: Float[np.ndarray, "frames joints 3"],
    interval: float,
) -> Float[np.ndarray, "frames-2 joints"]:
    """Length of the difference of accelerations, m/s^2, of frames `interval` seconds apart.

    Second differences of consecutive frames without a gap; the caller cuts tracks at gaps.
    """
    diff = np.asarray(pred, np.float64) - np.asarray(gt, np.float64)
    second = diff[2:] - 2 * diff[1:-1] + diff[:-2]
    return np.linalg.norm(second, axis=-1) / interval**2 / 1000


def l2_error_2d(
    pred: Float[np.ndarray, "hands joints 2"],
    gt: Float[np.ndarray, "hands joints 2"],
    valid: Bool[np.ndarray, "hands joints"],
) -> float:
    """Mean distance of the valid 2D joints, pooled, in pixels of the frame they are given in."""
    return mpjpe(joint_errors(pred, gt), valid, mean="pooled")


def _ratio(total: float, count: int) -> float:
    return float(total / count) if count else float("nan")
