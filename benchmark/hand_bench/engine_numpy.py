"""The reference engine: sums of one hand side of a block of rows, in NumPy.

`engine_numba` has the same two functions; a test holds them equal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hand_bench.alignment import NO_EXTENT, rotmat_from_quat, top_eigenvector
from hand_bench.array_types import Bool, Float, Int
from hand_bench.sums import SumsLayout

#: A distance this little beyond a threshold (mm: a nanometre, below what 32-bit coordinates can
#: tell apart) is within it; otherwise the rounding of a perfect alignment would fail PCK at 0.
EDGE_TOLERANCE = 1e-6
#: Hands worked on at a time: small enough for the processor's cache.
CHUNK = 1024


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
            errors.wrist[rows] = np.where(keep, distances.wrist.T, np.nan)
            errors.absolute[rows] = np.where(keep, distances.absolute.T, np.nan)
            keep = keep & distances.aligned[:, None]
            errors.procrustes[rows] = np.where(keep, distances.procrustes.T, np.nan)
    return out, collapsed


class _Distances(NamedTuple):
    wrist: np.ndarray
    absolute: np.ndarray
    procrustes: np.ndarray
    aligned: np.ndarray
    collapsed: np.ndarray


def _distances(pred, gt, valid) -> _Distances:
    """Distances (21, hands): axes and joints come first, so that operations run over hands."""
    p, g = (np.ascontiguousarray(a.transpose(2, 1, 0), np.float64) for a in (pred, gt))
    weight = valid.T.astype(np.float64)
    n = weight.sum(axis=0)
    offset = p - g
    absolute = _norm(offset)
    wrist = _norm(offset - offset[:, :1])
    x = p - (np.einsum("xjn,jn->xn", p, weight) / n)[:, None]
    y = g - (np.einsum("xjn,jn->xn", g, weight) / n)[:, None]
    xw, yw = x * weight, y * weight
    size_x, size_y = np.einsum("xjn,xjn->n", xw, xw), np.einsum("xjn,xjn->n", yw, yw)
    S = np.empty((3, 3, len(n)))
    for a in range(3):
        for b in range(3):
            np.einsum("jn,jn->n", xw[a], y[b], out=S[a, b])
    size = np.sqrt(size_x * size_y)
    size[size == 0] = 1.0
    S /= size
    root, quat = top_eigenvector(np.moveaxis(S, (0, 1), (-2, -1)))
    scale = root * size / np.where(size_x > 0, size_x, 1.0)
    R = np.moveaxis(rotmat_from_quat(quat), (-2, -1), (0, 1)) * scale
    for a in range(3):
        moved = R[a, 0] * x[0]
        moved += R[a, 1] * x[1]
        moved += R[a, 2] * x[2]
        y[a] -= moved
    procrustes = _norm(y)
    collapsed = np.sqrt(size_x / n) < NO_EXTENT
    aligned = (n >= 3) & ~collapsed
    return _Distances(wrist, absolute, procrustes, aligned, collapsed & (n >= 3))


def _norm(vectors: np.ndarray) -> np.ndarray:
    x, y, z = vectors
    total = x * x
    total += y * y
    total += z * z
    return np.sqrt(total, out=total)


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
    weight = valid.T.astype(np.float64)
    others = weight[1:]
    joints = others.sum(axis=0)
    divisor = np.maximum(joints, 1)
    true = joints > 0
    aligned = weight * distances.aligned
    error, pa_error = distances.wrist * weight, distances.procrustes * aligned
    absolute = (distances.absolute * weight).sum(axis=0) / (joints + 1)
    scalars = {
        "hand_error": error[1:].sum(axis=0) / divisor,
        "pa_hand_error": pa_error[1:].sum(axis=0) / divisor,
        "pa_hands": distances.aligned,
        "absolute": np.where(true, absolute, 0.0),
    }
    fields = {"error": error, "count": weight, "pa_error": pa_error, "pa_count": aligned, **scalars}
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    table = np.concatenate([np.atleast_2d(v) for v in fields.values()])
    sums = np.add.reduceat(table, starts, axis=1).T
    at = 0
    for name, values in fields.items():
        size = len(np.atleast_2d(values))
        np.add.at(out, (group[starts], layout.slices[name][0]), sums[:, at : at + size])
        at += size
    edges = layout.edge_array
    for name, values, keep in (
        ("histogram", distances.wrist, others),
        ("pa_histogram", distances.procrustes, aligned[1:]),
    ):
        # A bin of its own takes the joints that do not count.
        bins = np.where(keep > 0, histogram_bin(values[1:], edges), layout.bins)
        bins += group * (layout.bins + 1)
        counted = np.bincount(bins.ravel(), minlength=len(out) * (layout.bins + 1))
        out[:, layout.slices[name][0]] += counted.reshape(len(out), -1)[:, : layout.bins]


def histogram_bin(
    values: Float[np.ndarray, "*batch"], edges: Float[np.ndarray, " edges"]
) -> Int[np.ndarray, "*batch"]:
    """Return how many edges lie below each value: PCK at an edge counts bins up to its own."""
    values = np.maximum(values - EDGE_TOLERANCE, 0.0)
    if len(edges) > 1 and np.array_equal(edges, np.arange(len(edges))):
        return np.minimum(np.ceil(values), len(edges)).astype(np.int64)
    return np.searchsorted(edges, values, side="left")


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
    triple = (interval[2:] > 0) & found[2:] & found[1:-1] & found[:-2]
    for start in range(0, len(triple), CHUNK):
        part = slice(start, start + CHUNK + 2)
        offset = pred[part].transpose(2, 1, 0).astype(np.float64, order="C")
        offset -= gt[part].transpose(2, 1, 0)
        offset -= offset[:, :1]
        second = offset[:, 1:, 2:] - 2 * offset[:, 1:, 1:-1] + offset[:, 1:, :-2]
        valid = (counts[part] & counts[part, :1]).T[1:]
        keep = valid[:, 2:] & valid[:, 1:-1] & valid[:, :-2]
        at = slice(start + 2, start + CHUNK + 2)
        keep = keep & triple[start : start + CHUNK]
        total = np.where(keep, _norm(second), 0.0).sum(axis=0)
        total /= np.where(triple[start : start + CHUNK], interval[at] ** 2 * 1000.0, 1.0)
        out[:, 0] += np.bincount(group[at], total, groups)
        out[:, 1] += np.bincount(group[at], keep.sum(axis=0), groups)
    return out
