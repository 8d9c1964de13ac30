"""Triangulation: where in the world the points are that several calibrated cameras see.

Conventions
-----------
Points are pixels of pictures without lens distortion (`undistort` takes it away), with the axes
(..., views, joints, 2). A projection is ``P = K [R|t]`` (..., views, 3, 4) from world millimetres
to pixels; its third row gives the depth. A point that is not known is NaN or has weight 0. Every
joint is found from the views that know it, so views may lack for some joints and samples only. A
joint that fewer than two views know is NaN.

Methods
-------
`triangulate`: the direct linear transform (DLT), rows ``u P3 - P1`` and ``v P3 - P2`` of each view,
times its weight; the smallest right singular vector. With confidences as weights it is the
algebraic triangulation of Iskakov et al., Learnable triangulation of human pose, ICCV 2019.
`ransac`: pairs of views propose, all views vote, the DLT of the voters answers, and Gauss-Newton
steps on the reprojection errors (Huber's loss) make it exact. Pairs are all that there are, or
`tries` of them, drawn once for all joints.

Source of the forms and of the 15 px: facts/assemblyhands.md 4.2.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from hand_bench.array_types import Bool, Float
from hand_bench.calibration import invert_pose, project_opencv

#: Pixels within which a view agrees with a proposed joint.
THRESHOLD = 15.0
#: Pairs of views that propose, at most: all pairs of 12 views are 66.
TRIES = 100
_STEPS = 5
#: Rounds of the inverse lens, and the pixels within which it must have come.
_LENS_STEPS, _LENS_LIMIT = 20, 1e-2


class Triangulated(NamedTuple):
    """What `ransac` found.

    | field | shape | meaning |
    |---|---|---|
    | joints | (..., joints, 3) | mm, world; NaN below two views |
    | used | (..., views, joints) | which views agreed |
    """

    joints: np.ndarray
    used: np.ndarray


def projections(
    K: Float[np.ndarray, "*batch 3 3"], T_world_from_camera: Float[np.ndarray, "*batch 4 4"]
) -> Float[np.ndarray, "*batch 3 4"]:
    """Return ``K [R|t]`` of cameras by intrinsics and pose."""
    return K @ invert_pose(np.asarray(T_world_from_camera, float))[..., :3, :]


def undistort(
    points: Float[np.ndarray, "*batch points 2"],
    K: Float[np.ndarray, "*cameras 3 3"],
    distortion: Float[np.ndarray, "*cameras 8"],
) -> Float[np.ndarray, "*batch points 2"]:
    """Return where points would be without the lens (OpenCV's rational model), in pixels.

    A point that no ray falls on within the model's reach, beyond the lens's field, is NaN. Cameras
    broadcast against the batch.
    """
    points = np.asarray(points, float)
    if not np.any(distortion):
        return points.copy()
    # Fixed point: what the lens adds at the guess is taken off the point.
    guess = points
    with np.errstate(invalid="ignore", over="ignore"):
        for _ in range(_LENS_STEPS):
            guess = guess + points - project_opencv(_rays(guess, K), K, distortion)
        off = np.abs(project_opencv(_rays(guess, K), K, distortion) - points).max(axis=-1)
        return np.where((off < _LENS_LIMIT)[..., None], guess, np.nan)


def triangulate(
    points: Float[np.ndarray, "*batch views joints 2"],
    P: Float[np.ndarray, "*batch views 3 4"],
    weights: Float[np.ndarray, "*batch views joints"] | None = None,
) -> Float[np.ndarray, "*batch joints 3"]:
    """Return joints in the world by the weighted direct linear transform, mm.

    Weights are not negative; default: 1. In front of a camera or behind it makes no difference.
    """
    known, points = _known(points, weights)
    P = P[..., :, None, :, :]
    u, v = points[..., 0, None], points[..., 1, None]
    rows = np.stack([u * P[..., 2, :] - P[..., 0, :], v * P[..., 2, :] - P[..., 1, :]], axis=-2)
    rows = np.moveaxis(rows * known[..., None, None], -4, -3)
    rows = rows.reshape(*rows.shape[:-3], -1, 4)
    # The three axes and the fourth number get the same size; the answer is scaled back.
    scale = np.array([1.0, 1.0, 1.0, 1000.0])
    solution = np.linalg.svd(rows / scale)[2][..., -1, :] / scale
    with np.errstate(divide="ignore", invalid="ignore"):
        joints = solution[..., :3] / solution[..., 3:]
    enough = (known > 0).sum(axis=-2) >= 2
    return np.where(enough[..., None] & np.isfinite(joints), joints, np.nan)


def ransac(
    points: Float[np.ndarray, "*batch views joints 2"],
    P: Float[np.ndarray, "*batch views 3 4"],
    weights: Float[np.ndarray, "*batch views joints"] | None = None,
    *,
    threshold: float = THRESHOLD,
    tries: int = TRIES,
    seed: int = 0,
) -> Triangulated:
    """Return joints in the world from the views that agree, mm.

    The proposal wins on which the largest sum of weights agrees, within `threshold` pixels and in
    front of the camera. Where no two views agree, all views answer and none counts as `used`.
    """
    known, _ = _known(points, weights)
    used, best = np.zeros(known.shape, bool), np.zeros(known.sum(axis=-2).shape)
    for pair in _pairs(known.shape[-2], tries, seed):
        proposed = triangulate(points[..., pair, :, :], P[..., pair, :, :], known[..., pair, :])
        agrees = (reprojection_errors(proposed, points, P) < threshold) & (known > 0)
        votes = (agrees * known).sum(axis=-2)
        better = (agrees.sum(axis=-2) >= 2) & (votes > best)
        used = np.where(better[..., None, :], agrees, used)
        best = np.where(better, votes, best)
    kept = np.where(used.any(axis=-2, keepdims=True), known * used, known)
    joints = triangulate(points, P, kept)
    return Triangulated(polish(joints, points, P, kept), used)


def polish(
    joints: Float[np.ndarray, "*batch joints 3"],
    points: Float[np.ndarray, "*batch views joints 2"],
    P: Float[np.ndarray, "*batch views 3 4"],
    weights: Float[np.ndarray, "*batch views joints"] | None = None,
    *,
    width: float = 3.0,
) -> Float[np.ndarray, "*batch joints 3"]:
    """Return joints at the least weighted sum of Huber's loss of the reprojection errors.

    Gauss-Newton steps from `joints`; errors beyond `width` pixels count linearly. A step that does
    not make the sum smaller is not taken.
    """
    known, points = _known(points, weights)
    cost = _huber(joints, points, P, known, width)
    for _ in range(_STEPS):
        moved = joints + _step(joints, points, P, known, width)
        new = _huber(moved, points, P, known, width)
        better = new < cost
        joints = np.where(better[..., None], moved, joints)
        cost = np.where(better, new, cost)
    return joints


def reproject(
    joints: Float[np.ndarray, "*batch joints 3"], P: Float[np.ndarray, "*batch views 3 4"]
) -> Float[np.ndarray, "*batch views joints 2"]:
    """Return where joints are in every view, px without lens; NaN behind a camera."""
    seen = _seen(joints, P)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(seen[..., 2:] > 0, seen[..., :2] / seen[..., 2:], np.nan)


def reprojection_errors(
    joints: Float[np.ndarray, "*batch joints 3"],
    points: Float[np.ndarray, "*batch views joints 2"],
    P: Float[np.ndarray, "*batch views 3 4"],
) -> Float[np.ndarray, "*batch views joints"]:
    """Return the distance of joints to the points in every view, px; NaN where one lacks."""
    return np.linalg.norm(reproject(joints, P) - points, axis=-1)


def mean_errors(
    errors: Float[np.ndarray, "*batch views joints"], counted: Bool[np.ndarray, "*batch views j"]
) -> Float[np.ndarray, "*batch joints"]:
    """Return the mean of errors over the views that count; NaN where none does."""
    counted = counted & np.isfinite(errors)
    total = np.where(counted, errors, 0.0).sum(axis=-2)
    with np.errstate(invalid="ignore"):
        return total / counted.sum(axis=-2)


def _known(points: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Weights that are 0 where a point is not known, and points without NaN."""
    there = np.isfinite(points).all(axis=-1)
    known = there.astype(float) if weights is None else np.where(there, weights, 0.0)
    return np.nan_to_num(known), np.where(there[..., None], points, 0.0)


def _pairs(views: int, tries: int, seed: int) -> list[list[int]]:
    pairs = [list(pair) for pair in itertools.combinations(range(views), 2)]
    if len(pairs) <= tries:
        return pairs
    drawn = np.random.default_rng(seed).choice(len(pairs), tries, replace=False)
    return [pairs[k] for k in sorted(drawn)]


def _seen(joints: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Homogeneous pixels (..., views, joints, 3)."""
    return joints[..., None, :, :] @ np.swapaxes(P[..., :3], -1, -2) + P[..., None, :, 3]


def _differences(
    joints: np.ndarray, points: np.ndarray, P: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Reprojection minus point, and weights without the views that are behind."""
    away = reproject(joints, P) - points
    there = np.isfinite(away).all(axis=-1)
    return np.where(there[..., None], away, 0.0), np.where(there, known, 0.0)


def _huber(
    joints: np.ndarray, points: np.ndarray, P: np.ndarray, known: np.ndarray, width: float
) -> np.ndarray:
    away, known = _differences(joints, points, P, known)
    size = np.linalg.norm(away, axis=-1)
    loss = np.where(size <= width, size**2 / 2, width * (size - width / 2))
    return (known * loss).sum(axis=-2)


def _step(
    joints: np.ndarray, points: np.ndarray, P: np.ndarray, known: np.ndarray, width: float
) -> np.ndarray:
    """One Gauss-Newton step (..., joints, 3), with errors beyond `width` weighed down."""
    away, known = _differences(joints, points, P, known)
    size = np.linalg.norm(away, axis=-1)
    known = known * np.minimum(1.0, width / np.maximum(size, width))
    seen = _seen(joints, P)
    depth = np.where(np.abs(seen[..., 2]) > 1e-9, seen[..., 2], 1.0)[..., None, None]
    pixels = (seen[..., :2] / depth[..., 0])[..., None]
    slope = (P[..., None, :2, :3] - pixels * P[..., None, 2:, :3]) / depth
    normal = np.einsum("...vj,...vjki,...vjkl->...jil", known, slope, slope)
    pull = np.einsum("...vj,...vjki,...vjk->...ji", known, slope, away)
    damping = 1e-9 * np.trace(normal, axis1=-2, axis2=-1)[..., None, None] + 1e-12
    return -np.linalg.solve(normal + damping * np.eye(3), pull[..., None])[..., 0]


def _rays(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Camera points at depth 1 that a pinhole sees at pixels."""
    y = (points[..., 1] - K[..., 1, 2, None]) / K[..., 1, 1, None]
    x = (points[..., 0] - K[..., 0, 2, None] - K[..., 0, 1, None] * y) / K[..., 0, 0, None]
    return np.stack([x, y, np.ones_like(x)], axis=-1)
