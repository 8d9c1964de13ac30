"""The compiled engine: the sums of `engine_numpy` in one pass over the hands (extra "fast").

Machine code is cached beside this file (or in the user's cache) after the first run.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from hand_bench.alignment import FLAT, ILL_CONDITIONED, NO_EXTENT
from hand_bench.engine_numpy import EDGE_TOLERANCE, SideErrors
from hand_bench.sums import SIDE_FIELDS, SumsLayout

_compiled = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "arcp"})
_NO_ERRORS = SideErrors(*(np.zeros((0, 21)) for _ in range(3)))

# Offsets of the fields in a row; those behind a histogram come after both histograms.
_ERROR, _COUNT, _PA_ERROR, _PA_COUNT, _HISTOGRAM = 0, 21, 42, 63, 84
_SCALARS = {name: k for k, name in enumerate(n for n, size in SIDE_FIELDS if size == 1)}
_TRUE, _FOUND = _SCALARS["true_hands"], _SCALARS["found_hands"]
_UNANSWERED = _SCALARS["unanswered"]
_HAND_ERROR, _PA_HAND_ERROR = _SCALARS["hand_error"], _SCALARS["pa_hand_error"]
_PA_HANDS = _SCALARS["pa_hands"]
_MISSED, _PA_MISSED = _SCALARS["missed_joints"], _SCALARS["pa_missed_joints"]
_ABSOLUTE = _SCALARS["absolute"]


def side_sums(layout: SumsLayout, pred, gt, counts, found, group, groups, errors=None):
    """Return the sums of each group and the first row without extent; see `engine_numpy`."""
    out = np.zeros((groups, layout.side_width))
    wanted = errors if errors is not None else _NO_ERRORS
    collapsed = _side_sums(
        _readable(pred),
        _readable(gt),
        _readable(counts),
        _readable(found),
        group,
        layout.edge_array,
        out,
        wanted.wrist,
        wanted.procrustes,
        wanted.absolute,
    )
    return out, collapsed


def acceleration_sums(pred, gt, counts, found, interval, group, groups):
    """Return sum and count of acceleration errors per group; see `engine_numpy`."""
    out = np.zeros((groups, 2))
    interval = np.ascontiguousarray(interval, np.float64)
    _acceleration_sums(
        _readable(pred), _readable(gt), _readable(counts), _readable(found), interval, group, out
    )
    return out


def _readable(array: np.ndarray) -> np.ndarray:
    """Mark every input read-only, so that one compiled signature serves all."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


@_compiled
def _side_sums(pred, gt, counts, found, group, edges, out, wrist, procrustes, absolute):
    bins = len(edges) + 1
    pa_histogram = _HISTOGRAM + bins
    scalars = _HISTOGRAM + 2 * bins
    collapsed = -1
    scale = (len(edges) - 1) / edges[len(edges) - 1]
    want = len(wrist) > 0
    d = np.empty(21)
    q = np.empty((7, 21))
    for i in range(len(pred)):
        valid = counts[i]
        row = out[group[i]]
        if not valid[0]:
            continue
        others = 0
        for j in range(1, 21):
            others += valid[j]
        if others > 0:
            row[scalars + _TRUE] += 1.0
        if not found[i]:
            row[scalars + _UNANSWERED] += 1.0
            row[scalars + _MISSED] += others
            if others >= 2:
                row[scalars + _PA_MISSED] += others
            continue
        if others > 0:
            row[scalars + _FOUND] += 1.0
        _load(pred[i], gt[i], valid, q)
        _wrist_distances(q, d)
        total = 0.0
        for j in range(21):
            row[_ERROR + j] += q[6, j] * d[j]
            row[_COUNT + j] += q[6, j]
            total += q[6, j] * d[j]
        for j in range(1, 21):
            if valid[j]:
                row[_HISTOGRAM + _bin(d[j], edges, scale)] += 1.0
        if want:
            for j in range(21):
                if valid[j]:
                    wrist[i, j] = d[j]
        if others > 0:
            row[scalars + _HAND_ERROR] += total / others
        total = _absolute_distances(q, d)
        if others > 0:
            row[scalars + _ABSOLUTE] += total / (others + 1)
        if want:
            for j in range(21):
                if valid[j]:
                    absolute[i, j] = d[j]
        if others < 2:
            continue
        if not _procrustes_distances(q, others + 1, d):
            if collapsed < 0:
                collapsed = i
            continue
        total = 0.0
        for j in range(21):
            row[_PA_ERROR + j] += q[6, j] * d[j]
            row[_PA_COUNT + j] += q[6, j]
            total += q[6, j] * d[j]
        total -= d[0]
        for j in range(1, 21):
            if valid[j]:
                row[pa_histogram + _bin(d[j], edges, scale)] += 1.0
        if want:
            for j in range(21):
                if valid[j]:
                    procrustes[i, j] = d[j]
        row[scalars + _PA_HAND_ERROR] += total / others
        row[scalars + _PA_HANDS] += 1.0
    return collapsed


@_compiled
def _bin(value, edges, scale):
    """How many edges lie below the value; `scale` is edges per millimetre."""
    last = len(edges)
    value = max(value - EDGE_TOLERANCE, 0.0)
    if value > edges[last - 1]:
        return last
    k = int(value * scale)
    while k > 0 and edges[k - 1] >= value:
        k -= 1
    while edges[k] < value:
        k += 1
    return k


@_compiled
def _load(p, g, valid, q):
    """Spread a hand over rows of float64: x, y, z of prediction and truth, offset, weight."""
    for j in range(21):
        q[0, j], q[1, j], q[2, j] = p[j, 0], p[j, 1], p[j, 2]
        q[3, j], q[4, j], q[5, j] = g[j, 0], g[j, 1], g[j, 2]
    for j in range(21):
        q[6, j] = 1.0 if valid[j] else 0.0


@_compiled
def _wrist_distances(q, d):
    wx, wy, wz = q[0, 0] - q[3, 0], q[1, 0] - q[4, 0], q[2, 0] - q[5, 0]
    for j in range(21):
        x, y, z = q[0, j] - q[3, j] - wx, q[1, j] - q[4, j] - wy, q[2, j] - q[5, j] - wz
        d[j] = math.sqrt(x * x + y * y + z * z)


@_compiled
def _absolute_distances(q, d):
    total = 0.0
    for j in range(21):
        x, y, z = q[0, j] - q[3, j], q[1, j] - q[4, j], q[2, j] - q[5, j]
        d[j] = math.sqrt(x * x + y * y + z * z)
        total += q[6, j] * d[j]
    return total


@_compiled
def _procrustes_distances(q, n, d):
    """Fill d with the distances after similarity alignment; False where the hand has no extent."""
    px = py = pz = gx = gy = gz = 0.0
    for j in range(21):
        w = q[6, j]
        px += w * q[0, j]
        py += w * q[1, j]
        pz += w * q[2, j]
        gx += w * q[3, j]
        gy += w * q[4, j]
        gz += w * q[5, j]
    px, py, pz, gx, gy, gz = px / n, py / n, pz / n, gx / n, gy / n, gz / n
    size_p = size_g = 0.0
    xx = xy = xz = yx = yy = yz = zx = zy = zz = 0.0
    for j in range(21):
        w = q[6, j]
        ax, ay, az = w * (q[0, j] - px), w * (q[1, j] - py), w * (q[2, j] - pz)
        bx, by, bz = q[3, j] - gx, q[4, j] - gy, q[5, j] - gz
        size_p += ax * ax + ay * ay + az * az
        size_g += w * (bx * bx + by * by + bz * bz)
        xx += ax * bx
        xy += ax * by
        xz += ax * bz
        yx += ay * bx
        yy += ay * by
        yz += ay * bz
        zx += az * bx
        zy += az * by
        zz += az * bz
    if math.sqrt(size_p / n) < NO_EXTENT:
        return False
    norm = math.sqrt(size_p * size_g)
    if norm == 0.0:
        norm = 1.0
    f = 1.0 / norm
    root, qw, qx, qy, qz = _top_eigenvector(
        xx * f, xy * f, xz * f, yx * f, yy * f, yz * f, zx * f, zy * f, zz * f
    )
    s = root * norm / size_p
    r00 = s * (1 - 2 * (qy * qy + qz * qz))
    r01 = s * 2 * (qx * qy - qw * qz)
    r02 = s * 2 * (qx * qz + qw * qy)
    r10 = s * 2 * (qx * qy + qw * qz)
    r11 = s * (1 - 2 * (qx * qx + qz * qz))
    r12 = s * 2 * (qy * qz - qw * qx)
    r20 = s * 2 * (qx * qz - qw * qy)
    r21 = s * 2 * (qy * qz + qw * qx)
    r22 = s * (1 - 2 * (qx * qx + qy * qy))
    for j in range(21):
        ax, ay, az = q[0, j] - px, q[1, j] - py, q[2, j] - pz
        x = r00 * ax + r01 * ay + r02 * az - (q[3, j] - gx)
        y = r10 * ax + r11 * ay + r12 * az - (q[4, j] - gy)
        z = r20 * ax + r21 * ay + r22 * az - (q[5, j] - gz)
        d[j] = math.sqrt(x * x + y * y + z * z)
    return True


@_compiled
def _top_eigenvector(xx, xy, xz, yx, yy, yz, zx, zy, zz):
    """Largest eigenvalue of Horn's matrix and its unit eigenvector; see `alignment`."""
    a00, a01, a02, a03 = xx + yy + zz, yz - zy, zx - xz, xy - yx
    a11, a12, a13 = xx - yy - zz, xy + yx, zx + xz
    a22, a23, a33 = yy - xx - zz, yz + zy, zz - xx - yy
    c2 = -2 * (
        xx * xx + xy * xy + xz * xz + yx * yx + yy * yy + yz * yz + zx * zx + zy * zy + zz * zz
    )
    c1 = -8 * (xx * (yy * zz - yz * zy) - xy * (yx * zz - yz * zx) + xz * (yx * zy - yy * zx))
    m23, m13, m12 = a22 * a33 - a23 * a23, a12 * a33 - a23 * a13, a12 * a23 - a22 * a13
    m03, m02, m01 = a02 * a33 - a23 * a03, a02 * a23 - a22 * a03, a02 * a13 - a12 * a03
    c0 = (
        a00 * (a11 * m23 - a12 * m13 + a13 * m12)
        - a01 * (a01 * m23 - a12 * m03 + a13 * m02)
        + a02 * (a01 * m13 - a11 * m03 + a13 * m01)
        - a03 * (a01 * m12 - a11 * m02 + a12 * m01)
    )
    root = 1.0
    for _ in range(50):
        square = root * root
        slope = 4 * square * root + 2 * c2 * root + c1
        if slope <= FLAT:
            break
        step = ((square + c2) * square + c1 * root + c0) / slope
        root -= step
        if abs(step) < 1e-14:
            break
    norm2, qw, qx, qy, qz = _adjugate_column(
        a00 - root, a01, a02, a03, a11 - root, a12, a13, a22 - root, a23, a33 - root
    )
    if norm2 < ILL_CONDITIONED:
        return _jacobi(a00, a01, a02, a03, a11, a12, a13, a22, a23, a33)
    f = 1.0 / math.sqrt(norm2)
    return root, qw * f, qx * f, qy * f, qz * f


@_compiled
def _adjugate_column(a00, a01, a02, a03, a11, a12, a13, a22, a23, a33):
    """Longest column of the adjugate of a singular symmetric 4x4 matrix, its squared norm first."""
    s01, s02, s03 = a00 * a11 - a01 * a01, a00 * a12 - a02 * a01, a00 * a13 - a03 * a01
    s12, s13, _s23 = a01 * a12 - a02 * a11, a01 * a13 - a03 * a11, a02 * a13 - a03 * a12
    t01, t02, t03 = a02 * a13 - a12 * a03, a02 * a23 - a22 * a03, a02 * a33 - a23 * a03
    t12, t13, t23 = a12 * a23 - a22 * a13, a12 * a33 - a23 * a13, a22 * a33 - a23 * a23
    c00 = a11 * t23 - a12 * t13 + a13 * t12
    c01 = -(a01 * t23 - a12 * t03 + a13 * t02)
    c02 = a01 * t13 - a11 * t03 + a13 * t01
    c03 = -(a01 * t12 - a11 * t02 + a12 * t01)
    best = c00 * c00 + c01 * c01 + c02 * c02 + c03 * c03
    w, x, y, z = c00, c01, c02, c03
    c11 = a00 * t23 - a02 * t03 + a03 * t02
    c12 = -(a00 * t13 - a01 * t03 + a03 * t01)
    c13 = a00 * t12 - a01 * t02 + a02 * t01
    norm2 = c01 * c01 + c11 * c11 + c12 * c12 + c13 * c13
    if norm2 > best:
        best, w, x, y, z = norm2, c01, c11, c12, c13
    c22 = a03 * s13 - a13 * s03 + a33 * s01
    c23 = -(a03 * s12 - a13 * s02 + a23 * s01)
    norm2 = c02 * c02 + c12 * c12 + c22 * c22 + c23 * c23
    if norm2 > best:
        best, w, x, y, z = norm2, c02, c12, c22, c23
    c33 = a02 * s12 - a12 * s02 + a22 * s01
    norm2 = c03 * c03 + c13 * c13 + c23 * c23 + c33 * c33
    if norm2 > best:
        best, w, x, y, z = norm2, c03, c13, c23, c33
    return best, w, x, y, z


@_compiled
def _jacobi(a00, a01, a02, a03, a11, a12, a13, a22, a23, a33):
    """Top eigenpair of a symmetric 4x4 matrix by cyclic Jacobi rotations; always exact, slower."""
    a = np.array(
        [[a00, a01, a02, a03], [a01, a11, a12, a13], [a02, a12, a22, a23], [a03, a13, a23, a33]]
    )
    v = np.eye(4)
    for _ in range(30):
        rest = 0.0
        for i in range(3):
            for j in range(i + 1, 4):
                rest += a[i, j] * a[i, j]
                if a[i, j] == 0.0:
                    continue
                theta = (a[j, j] - a[i, i]) / (2 * a[i, j])
                t = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1))
                if theta < 0:
                    t = -t
                c = 1.0 / math.sqrt(t * t + 1)
                s = t * c
                for k in range(4):
                    ki, kj = a[k, i], a[k, j]
                    a[k, i], a[k, j] = c * ki - s * kj, s * ki + c * kj
                for k in range(4):
                    ik, jk = a[i, k], a[j, k]
                    a[i, k], a[j, k] = c * ik - s * jk, s * ik + c * jk
                    vi, vj = v[k, i], v[k, j]
                    v[k, i], v[k, j] = c * vi - s * vj, s * vi + c * vj
        if rest < 1e-34:
            break
    top = 0
    for k in range(1, 4):
        if a[k, k] > a[top, top]:
            top = k
    return a[top, top], v[0, top], v[1, top], v[2, top], v[3, top]


@_compiled
def _acceleration_sums(pred, gt, counts, found, interval, group, out):
    for i in range(2, len(pred)):
        dt = interval[i]
        if not (dt > 0.0 and found[i] and found[i - 1] and found[i - 2]):
            continue
        if not (counts[i, 0] and counts[i - 1, 0] and counts[i - 2, 0]):
            continue
        row = out[group[i]]
        f = 1.0 / (dt * dt * 1000.0)
        wx, wy, wz = _second_difference(pred, gt, i, 0)
        total, n = 0.0, 0
        for j in range(1, 21):
            if counts[i, j] and counts[i - 1, j] and counts[i - 2, j]:
                x, y, z = _second_difference(pred, gt, i, j)
                x, y, z = x - wx, y - wy, z - wz
                total += math.sqrt(x * x + y * y + z * z)
                n += 1
        row[0] += total * f
        row[1] += n


@_compiled
def _second_difference(pred, gt, i, j):
    x = (
        (np.float64(pred[i, j, 0]) - gt[i, j, 0])
        - 2 * (np.float64(pred[i - 1, j, 0]) - gt[i - 1, j, 0])
        + (np.float64(pred[i - 2, j, 0]) - gt[i - 2, j, 0])
    )
    y = (
        (np.float64(pred[i, j, 1]) - gt[i, j, 1])
        - 2 * (np.float64(pred[i - 1, j, 1]) - gt[i - 1, j, 1])
        + (np.float64(pred[i - 2, j, 1]) - gt[i - 2, j, 1])
    )
    z = (
        (np.float64(pred[i, j, 2]) - gt[i, j, 2])
        - 2 * (np.float64(pred[i - 1, j, 2]) - gt[i - 1, j, 2])
        + (np.float64(pred[i - 2, j, 2]) - gt[i - 2, j, 2])
    )
    return x, y, z
