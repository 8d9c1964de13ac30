"""The reference engine: sums of one hand side of a block of rows, in NumPy.

`engine_numba` has the same two functions; a test holds them equal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hand_bench.alignment import NO_EXTENT, fit_similarity, spread
from hand_bench.array_types import Bool, Float, Int
from hand_bench.sums import SumsLayout

#: A distance this little beyond a threshold (mm: a nanometre, below what 32-bit coordinates can
#: tell apart) is within it; otherwise the rounding of a perfect alignment would fail PCK at 0.
EDGE_TOLERANCE = 1e-6
#: Hands worked on at a time: small enough for the processor's cache.
CHUNK = 2048


class SideErrors(NamedTuple):
    """Distances of every joint, mm; NaN where a joint does not count or is not answered."""

    wrist: Float[np.ndarray, "rows 21"]
    procrustes: Float[np.ndarray, "rows 21"]
    absolute: Float[np.ndarray, "rows 21"]


def side_sums(
    layout: SumsLayout,
    pred: Float[np.ndarray, "rows 21 3"],
    gt: Float[np.ndarray, "rows 21 3"],
    counts: Bool[np.ndarray, "rows 21"],
    found: Bool[np.ndarray, " rows"],
    group: Int[np.ndarray, " rows"],
    groups: int,
    errors: SideErrors | None = None,
) -> tuple[Float[np.ndarray, "groups side_width"], int]:
    """Return the sums of each group and the first row whose prediction has no extent (or -1).

    Parameters
    ----------
    layout
        Which fields there are and the histogram edges.
    pred, gt
        Camera-space joints in mm, OpenPose order. Rows not `found` may hold anything.
    counts
        Joints that count; a hand counts only with its wrist (root rule).
    found
        Hands that are answered.
    group, groups
        Group of each row, and how many there are.
    errors
        Arrays to fill with the distances of every joint, if they are wanted.
    """
    out = np.zeros((groups, layout.side_width))
    valid = counts & counts[:, :1]
    answered = np.flatnonzero(found & valid[:, 0])
    _count_hands(layout, out, valid, found, group)
    collapsed = -1
    for start in range(0, len(answered), CHUNK):
        rows = answered[start : start + CHUNK]
        distances = _distances(pred[rows], gt[rows], valid[rows])
        flat = rows[distances.collapsed]
        if flat.size and collapsed < 0:
            collapsed = int(flat[0])
        _add_distances(layout, out, distances, valid[rows], group[rows])
        if errors is not None:
            keep = valid[rows]
            errors.wrist[rows] = np.where(keep, distances.wrist, np.nan)
            errors.absolute[rows] = np.where(keep, distances.absolute, np.nan)
            keep = keep & distances.aligned[:, None]
            errors.procrustes[rows] = np.where(keep, distances.procrustes, np.nan)
    return out, collapsed


class _Distances(NamedTuple):
    wrist: np.ndarray
    absolute: np.ndarray
    procrustes: np.ndarray
    aligned: np.ndarray
    collapsed: np.ndarray


def _distances(pred, gt, valid) -> _Distances:
    pred, gt = pred.astype(np.float64), gt.astype(np.float64)
    offset = pred - gt
    absolute = _length(offset)
    wrist = _length(offset - offset[:, :1])
    collapsed = spread(pred, valid) < NO_EXTENT
    aligned = (valid.sum(axis=1) >= 3) & ~collapsed
    procrustes = _length(fit_similarity(pred, gt, valid)(pred) - gt)
    return _Distances(wrist, absolute, procrustes, aligned, collapsed & (valid.sum(axis=1) >= 3))


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("hjx,hjx->hj", vectors, vectors))


def _count_hands(layout, out, valid, found, group) -> None:
    groups = len(out)
    joints = valid[:, 1:].sum(axis=1)
    true = joints > 0
    missed = valid[:, 0] & ~found

    def put(name: str, values: np.ndarray) -> None:
        out[:, layout.slices[name][0].start] = np.bincount(group, values, groups)

    put("true_hands", true)
    put("found_hands", true & found)
    put("unanswered", missed)
    put("missed_joints", np.where(missed, joints, 0))
    put("pa_missed_joints", np.where(missed & (joints >= 2), joints, 0))


def _add_distances(layout, out, distances: _Distances, valid, group) -> None:
    groups = len(out)
    others = valid[:, 1:]
    joints = others.sum(axis=1)
    true = joints > 0
    aligned = valid & distances.aligned[:, None]

    def add(name: str, values: np.ndarray) -> None:
        where = layout.slices[name][0]
        out[:, where] += _group_sums(values.reshape(len(group), -1), group, groups)

    def mean_of_others(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
        return np.where(keep, (values[:, 1:] * others).sum(axis=1) / np.maximum(joints, 1), 0.0)

    add("error", distances.wrist * valid)
    add("count", valid)
    add("pa_error", np.where(aligned, distances.procrustes, 0.0))
    add("pa_count", aligned)
    add("hand_error", mean_of_others(distances.wrist, true))
    add("pa_hand_error", mean_of_others(distances.procrustes, distances.aligned))
    add("pa_hands", distances.aligned)
    mean_absolute = (distances.absolute * valid).sum(axis=1) / np.maximum(valid.sum(axis=1), 1)
    add("absolute", np.where(true, mean_absolute, 0.0))
    for name, values, keep in (
        ("histogram", distances.wrist, others),
        ("pa_histogram", distances.procrustes, aligned[:, 1:]),
    ):
        flat = (group[:, None] * layout.bins + histogram_bin(values[:, 1:], layout.edge_array))[
            keep
        ]
        where = layout.slices[name][0]
        counted = np.bincount(flat, minlength=groups * layout.bins)
        out[:, where] += counted.reshape(groups, layout.bins)


def histogram_bin(
    values: Float[np.ndarray, "*batch"], edges: Float[np.ndarray, " edges"]
) -> Int[np.ndarray, "*batch"]:
    """Return how many edges lie below each value: PCK at an edge counts bins up to its own."""
    values = np.maximum(values - EDGE_TOLERANCE, 0.0)
    if len(edges) > 1 and np.array_equal(edges, np.arange(len(edges))):
        return np.minimum(np.ceil(values), len(edges)).astype(np.int64)
    return np.searchsorted(edges, values, side="left")


def _group_sums(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Sum rows by group; runs of equal groups (the usual case) are summed without sorting."""
    out = np.zeros((groups, values.shape[1]))
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    np.add.at(out, group[starts], np.add.reduceat(values.astype(np.float64), starts, axis=0))
    return out


def acceleration_sums(
    pred: Float[np.ndarray, "rows 21 3"],
    gt: Float[np.ndarray, "rows 21 3"],
    counts: Bool[np.ndarray, "rows 21"],
    found: Bool[np.ndarray, " rows"],
    interval: Float[np.ndarray, " rows"],
    group: Int[np.ndarray, " rows"],
    groups: int,
) -> Float[np.ndarray, "groups 2"]:
    """Sum and count of acceleration errors (m/s^2) of joints with three evenly spaced rows.

    `interval` is the spacing in seconds where the row and the two before it belong together, else
    0 or NaN; the first two rows of a block have no predecessors here.
    """
    out = np.zeros((groups, 2))
    valid = counts & counts[:, :1] & found[:, None]
    last = np.flatnonzero((interval[2:] > 0) & found[2:] & found[1:-1] & found[:-2]) + 2
    for start in range(0, len(last), CHUNK):
        rows = last[start : start + CHUNK]
        keep = (valid[rows] & valid[rows - 1] & valid[rows - 2])[:, 1:]
        now, before, first = (_wrist_offset(pred[r], gt[r]) for r in (rows, rows - 1, rows - 2))
        second = _length(now - 2 * before + first)[:, 1:] / (interval[rows, None] ** 2 * 1000.0)
        sums = np.stack([np.where(keep, second, 0.0).sum(axis=1), keep.sum(axis=1)], axis=1)
        out += _group_sums(sums, group[rows], groups)
    return out


def _wrist_offset(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    offset = pred.astype(np.float64) - gt
    return offset - offset[:, :1]
