"""Alignments that are done before a distance is measured.

Conventions
-----------
Arrays are (..., joints, 3) in millimetres; alignment moves the prediction onto the truth and
estimates on valid joints only. Similarity alignment (scale, rotation, translation) uses Horn's
quaternion form: the rotation is the top eigenvector of a symmetric 4x4 matrix, found in closed
form (Theobald's QCP) and by an eigen-solver where that is ill-conditioned. It equals the usual
SVD solution, without a reflection.

References: B. K. P. Horn, JOSA A 4(4), 1987; D. L. Theobald, Acta Cryst. A61, 2005; S. Umeyama,
PAMI 13(4), 1991.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hand_bench.array_types import Bool, Float
from hand_bench.errors import HandBenchError, Problem

#: Below this squared norm of the adjugate's column the closed form hands over to the eigen-solver.
ILL_CONDITIONED = 1e-7
#: A slope of the quartic this small means a multiple root (collinear joints): left to the solver.
FLAT = 1e-5
#: A prediction whose joints lie closer together than this (mm, root mean square) has no shape.
NO_EXTENT = 1e-3


class Similarity(NamedTuple):
    """The map ``scale * R @ (x - pred_centre) + gt_centre``, one for each hand."""

    scale: Float[np.ndarray, "*hands"]
    R: Float[np.ndarray, "*hands 3 3"]
    pred_centre: Float[np.ndarray, "*hands 3"]
    gt_centre: Float[np.ndarray, "*hands 3"]

    def __call__(
        self, joints: Float[np.ndarray, "*hands joints 3"]
    ) -> Float[np.ndarray, "*hands joints 3"]:
        """Apply the map to the joints of each hand."""
        moved = (joints - self.pred_centre[..., None, :]) @ np.swapaxes(self.R, -1, -2)
        return self.scale[..., None, None] * moved + self.gt_centre[..., None, :]


def root_align(
    joints: Float[np.ndarray, "*hands joints 3"], root: int = 0
) -> Float[np.ndarray, "*hands joints 3"]:
    """Move the root joint of every hand to the origin (a translation, nothing else)."""
    return joints - joints[..., root : root + 1, :]


def procrustes_align(
    pred: Float[np.ndarray, "*hands joints 3"],
    gt: Float[np.ndarray, "*hands joints 3"],
    valid: Bool[np.ndarray, "*hands joints"] | None = None,
) -> Float[np.ndarray, "*hands joints 3"]:
    """Align predictions to the truth by scale, proper rotation and translation (float64).

    Never reflects: a mirrored hand keeps its error.

    Raises
    ------
    HandBenchError
        HB122 where a predicted hand has no extent, HB204 where fewer than three joints are valid:
        the alignment is not defined, and no number is made up for it.
    """
    pred, gt = np.asarray(pred, np.float64), np.asarray(gt, np.float64)
    if valid is None:
        valid = np.ones(pred.shape[:-1], bool)
    if np.any(valid.sum(axis=-1) < 3):
        raise HandBenchError(
            Problem("HB204", "", "Procrustes alignment needs three valid joints in every hand.")
        )
    if np.any(spread(pred, valid) < NO_EXTENT):
        raise HandBenchError(
            Problem("HB122", "", "Procrustes alignment is undefined: all joints at one point.")
        )
    return fit_similarity(pred, gt, valid)(pred)


def procrustes_align_unguarded(
    pred: Float[np.ndarray, "*hands joints 3"], gt: Float[np.ndarray, "*hands joints 3"]
) -> Float[np.ndarray, "*hands joints 3"]:
    """Align as scorers do that call an orthogonal Procrustes routine and check nothing.

    May reflect the hand, and gives NaN where all predicted joints coincide. For parity with such
    scorers (FreiHAND's) only.
    """
    pred, gt = np.asarray(pred, np.float64), np.asarray(gt, np.float64)
    x = pred - pred.mean(axis=-2, keepdims=True)
    y = gt - gt.mean(axis=-2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        U, s, Vt = np.linalg.svd(np.swapaxes(x, -1, -2) @ y)
        scale = s.sum(axis=-1) / (x * x).sum(axis=(-1, -2))
    return scale[..., None, None] * (x @ U @ Vt) + gt.mean(axis=-2, keepdims=True)


def spread(
    joints: Float[np.ndarray, "*hands joints 3"], valid: Bool[np.ndarray, "*hands joints"]
) -> Float[np.ndarray, "*hands"]:
    """Root mean square distance (mm) of the valid joints from their centre."""
    x, _, n = _centred(np.asarray(joints, np.float64), valid)
    return np.sqrt((x * x).sum(axis=(-1, -2)) / np.maximum(n, 1))


def fit_similarity(
    pred: Float[np.ndarray, "*hands joints 3"],
    gt: Float[np.ndarray, "*hands joints 3"],
    valid: Bool[np.ndarray, "*hands joints"],
) -> Similarity:
    """Least-squares similarity from the valid joints of every hand, unchecked.

    Hands without extent get scale 0; `procrustes_align` is the checked form.
    """
    x, pred_centre, _ = _centred(pred, valid)
    y, gt_centre, _ = _centred(gt, valid)
    S = np.swapaxes(x, -1, -2) @ y
    size_x = (x * x).sum(axis=(-1, -2))
    size_y = (y * y).sum(axis=(-1, -2))
    norm = np.sqrt(size_x * size_y)
    norm = np.where(norm > 0, norm, 1.0)
    root, quat_wxyz = top_eigenvector(S / norm[..., None, None])
    scale = root * norm / np.where(size_x > 0, size_x, 1.0)
    return Similarity(scale, rotmat_from_quat(quat_wxyz), pred_centre, gt_centre)


def _centred(joints, valid):
    n = valid.sum(axis=-1)
    weight = valid[..., None].astype(np.float64)
    centre = (joints * weight).sum(axis=-2) / np.maximum(n, 1)[..., None]
    return (joints - centre[..., None, :]) * weight, centre, n


def horn_matrix(S: Float[np.ndarray, "*hands 3 3"]) -> Float[np.ndarray, "*hands 4 4"]:
    """Horn's symmetric matrix, whose top eigenvector is the rotation of the 3x3 correlation S."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.moveaxis(S, (-2, -1), (0, 1))
    rows = (
        (xx + yy + zz, yz - zy, zx - xz, xy - yx),
        (yz - zy, xx - yy - zz, xy + yx, zx + xz),
        (zx - xz, xy + yx, yy - xx - zz, yz + zy),
        (xy - yx, zx + xz, yz + zy, zz - xx - yy),
    )
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def top_eigenvector(
    S: Float[np.ndarray, "*hands 3 3"],
) -> tuple[Float[np.ndarray, "*hands"], Float[np.ndarray, "*hands 4"]]:
    """Largest eigenvalue of Horn's matrix of S and its unit eigenvector (w, x, y, z).

    S is scaled so that the eigenvalue is at most 1: Newton's iteration comes down from there.
    """
    N = horn_matrix(S)
    c2 = -2 * (S * S).sum(axis=(-1, -2))
    c1 = -8 * _det3(S)
    c0 = _det4(N)
    root = np.ones(S.shape[:-2])
    for _ in range(50):
        square = root * root
        slope = 4 * square * root + 2 * c2 * root + c1
        step = ((square + c2) * square + c1 * root + c0) / np.where(slope > FLAT, slope, np.inf)
        root = root - step
        if np.abs(step).max(initial=0.0) < 1e-14:
            break
    shifted = np.moveaxis(N, (-2, -1), (0, 1)).copy()
    for k in range(4):
        shifted[k, k] -= root
    quat, norm2 = _adjugate_column(np.moveaxis(shifted, (0, 1), (-2, -1)))
    quat = quat / np.sqrt(np.where(norm2 > 0, norm2, 1.0))[..., None]
    poor = norm2 < ILL_CONDITIONED
    if poor.any():
        values, vectors = np.linalg.eigh(N[poor])
        root[poor], quat[poor] = values[..., -1], vectors[..., -1]
    return root, quat


def rotmat_from_quat(quat_wxyz: Float[np.ndarray, "*hands 4"]) -> Float[np.ndarray, "*hands 3 3"]:
    """Rotation matrix of a unit quaternion (w, x, y, z)."""
    w, x, y, z = np.moveaxis(quat_wxyz, -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _det3(m):
    return (
        m[..., 0, 0] * (m[..., 1, 1] * m[..., 2, 2] - m[..., 1, 2] * m[..., 2, 1])
        - m[..., 0, 1] * (m[..., 1, 0] * m[..., 2, 2] - m[..., 1, 2] * m[..., 2, 0])
        + m[..., 0, 2] * (m[..., 1, 0] * m[..., 2, 1] - m[..., 1, 1] * m[..., 2, 0])
    )


def _pairs(m, first, second):
    """Minors of two rows, by column pair: (01, 02, 03, 12, 13, 23)."""
    a, b = m[..., first, :], m[..., second, :]
    return [
        a[..., i] * b[..., j] - a[..., j] * b[..., i]
        for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    ]


def _det4(m):
    top, low = _pairs(m, 0, 1), _pairs(m, 2, 3)
    return (
        top[0] * low[5]
        - top[1] * low[4]
        + top[2] * low[3]
        + top[3] * low[2]
        - top[4] * low[1]
        + top[5] * low[0]
    )


def _adjugate_column(m):
    """Longest column of the adjugate of a singular symmetric 4x4 matrix, and its squared norm."""
    s01, s02, s03, s12, s13, s23 = _pairs(m, 0, 1)
    t01, t02, t03, t12, t13, t23 = _pairs(m, 2, 3)
    a, b, c, d = (m[..., k, :] for k in range(4))
    columns = (
        (
            b[..., 1] * t23 - b[..., 2] * t13 + b[..., 3] * t12,
            -(b[..., 0] * t23 - b[..., 2] * t03 + b[..., 3] * t02),
            b[..., 0] * t13 - b[..., 1] * t03 + b[..., 3] * t01,
            -(b[..., 0] * t12 - b[..., 1] * t02 + b[..., 2] * t01),
        ),
        (
            -(a[..., 1] * t23 - a[..., 2] * t13 + a[..., 3] * t12),
            a[..., 0] * t23 - a[..., 2] * t03 + a[..., 3] * t02,
            -(a[..., 0] * t13 - a[..., 1] * t03 + a[..., 3] * t01),
            a[..., 0] * t12 - a[..., 1] * t02 + a[..., 2] * t01,
        ),
        (
            d[..., 1] * s23 - d[..., 2] * s13 + d[..., 3] * s12,
            -(d[..., 0] * s23 - d[..., 2] * s03 + d[..., 3] * s02),
            d[..., 0] * s13 - d[..., 1] * s03 + d[..., 3] * s01,
            -(d[..., 0] * s12 - d[..., 1] * s02 + d[..., 2] * s01),
        ),
        (
            -(c[..., 1] * s23 - c[..., 2] * s13 + c[..., 3] * s12),
            c[..., 0] * s23 - c[..., 2] * s03 + c[..., 3] * s02,
            -(c[..., 0] * s13 - c[..., 1] * s03 + c[..., 3] * s01),
            c[..., 0] * s12 - c[..., 1] * s02 + c[..., 2] * s01,
        ),
    )
    norms = np.stack([sum(v * v for v in column) for column in columns])
    best = norms.argmax(axis=0)
    quat = np.stack([np.choose(best, [column[k] for column in columns]) for k in range(4)], axis=-1)
    return quat, norms.max(axis=0)
