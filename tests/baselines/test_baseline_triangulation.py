"""Triangulation: worked by hand, laws, views that lack or lie, lenses."""

import numpy as np
import pytest

from hand_baselines.triangulation import (
    mean_errors,
    polish,
    projections,
    ransac,
    reproject,
    reprojection_errors,
    triangulate,
    undistort,
)
from hand_bench.calibration import project_opencv
from hand_bench.geometry import world_to_camera
from hand_bench.sim.viewpoints import look_at

K = np.array([[1200.0, 0, 640], [0, 1210, 360], [0, 0, 1]])
#: Coefficients like those of the rig (facts 6).
LENS = np.array([-0.127, 0.122, 0.001, -0.0012, -0.018, 0, 0, 0])


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def poses(rng, count: int) -> np.ndarray:
    """Cameras around the origin, 0.6 to 1.1 m away."""
    away = rng.standard_normal((count, 3))
    away *= (rng.uniform(600, 1100, count) / np.linalg.norm(away, axis=1))[:, None]
    return np.stack([look_at(tuple(place), (0, 0, 0)) for place in away])


@pytest.fixture
def scene(rng):
    """Joints (5, 21, 3), projections (6, 3, 4) and exact points (5, 6, 21, 2)."""
    P = projections(np.tile(K, (6, 1, 1)), poses(rng, 6))
    joints = rng.uniform(-80, 80, (5, 21, 3))
    return joints, P, reproject(joints, P)


def test_two_cameras_by_hand():
    # f = 100; one looks along z from the origin, one along -x from (1000, 0, 1000).
    first = np.array([[100.0, 0, 0, 0], [0, 100, 0, 0], [0, 0, 1, 0]])
    turned = np.array([[0.0, 0, 1, -1000], [0, 1, 0, 0], [-1, 0, 0, 1000]])
    P = np.stack([first, np.diag([100.0, 100, 1]) @ turned])
    # (100, 50, 1000): x / z = 0.1, y / z = 0.05; then (0, 50 / 900).
    points = np.array([[[10.0, 5]], [[0, 100 * 50 / 900]]])
    assert np.allclose(triangulate(points, P), [[100, 50, 1000]])
    off = points + np.array([[[3, 4]], [[0, 0]]])
    errors = reprojection_errors(np.array([[100.0, 50, 1000]]), off, P)
    assert np.allclose(errors, [[5], [0]])
    assert mean_errors(errors, np.array([[True], [True]])) == pytest.approx(2.5)


def test_exact_points_give_the_joints(scene):
    joints, P, points = scene
    assert np.allclose(triangulate(points, P), joints, atol=1e-6)
    assert np.allclose(ransac(points, P).joints, joints, atol=1e-6)
    assert ransac(points, P).used.all()


def test_the_order_of_the_views_changes_nothing(scene, rng):
    _, P, points = scene
    points, weights = points + rng.normal(0, 2, points.shape), rng.uniform(0.1, 1, (5, 6, 21))
    order = rng.permutation(6)
    turned = triangulate(points[:, order], P[order], weights[:, order])
    assert np.allclose(triangulate(points, P, weights), turned, atol=1e-6)
    turned = ransac(points[:, order], P[order], weights[:, order])
    assert np.allclose(ransac(points, P, weights).joints, turned.joints, atol=1e-4)


def test_a_view_of_weight_0_and_a_view_that_lacks_are_the_same_as_none(scene, rng):
    _, P, points = scene
    points, weights = points + rng.normal(0, 2, points.shape), np.ones((5, 6, 21))
    without = triangulate(points[:, 1:], P[1:])
    weights[:, 0] = 0
    assert np.allclose(triangulate(points, P, weights), without, atol=1e-6)
    points[:, 0] = np.nan
    assert np.allclose(triangulate(points, P), without, atol=1e-6)
    assert not ransac(points, P).used[:, 0].any()


def test_one_view_is_not_enough(scene):
    _, P, points = scene
    points[0, 1:, 3] = np.nan
    joints = triangulate(points, P)
    assert np.isnan(joints[0, 3]).all() and np.isfinite(np.delete(joints[0], 3, 0)).all()
    found = ransac(points, P)
    assert np.isnan(found.joints[0, 3]).all() and not found.used[0, :, 3].any()


def test_ransac_leaves_out_views_that_lie(scene, rng):
    joints, P, points = scene
    points = points.copy()
    points[:, 4] += rng.uniform(100, 200, (5, 21, 2))
    points[:, 1] -= rng.uniform(100, 200, (5, 21, 2))
    found = ransac(points, P)
    assert np.allclose(found.joints, joints, atol=1e-5)
    assert not found.used[:, [1, 4]].any() and found.used[:, [0, 2, 3, 5]].all()
    assert np.linalg.norm(triangulate(points, P) - joints, axis=-1).mean() > 5


def test_ransac_with_fewer_pairs_is_the_same_every_time(scene, rng):
    joints, P, points = scene
    points = points + rng.normal(0, 1, points.shape)
    first, again = (ransac(points, P, tries=7, seed=3) for _ in range(2))
    assert np.array_equal(first.joints, again.joints)
    assert np.linalg.norm(first.joints - joints, axis=-1).mean() < 2


def test_where_nothing_agrees_all_views_answer(scene, rng):
    _, P, points = scene
    points = points + rng.uniform(100, 400, points.shape)
    found = ransac(points, P, threshold=0.01)
    assert not found.used.any() and np.isfinite(found.joints).all()


def test_confident_views_weigh_more(scene, rng):
    joints, P, points = scene
    noisy = points.copy()
    noisy[:, 3:] += rng.normal(0, 10, noisy[:, 3:].shape)
    weights = np.ones((5, 6, 21))
    weights[:, 3:] = 0.01

    def error(found):
        return np.linalg.norm(found - joints, axis=-1).mean()

    assert error(triangulate(noisy, P, weights)) < 0.1 * error(triangulate(noisy, P))


def test_polishing_never_makes_reprojection_worse(scene, rng):
    _, P, points = scene
    points = points + rng.normal(0, 3, points.shape)
    start = triangulate(points, P)
    moved = polish(start, points, P, width=1e9)
    squares = [
        (reprojection_errors(found, points, P) ** 2).sum(axis=-2) for found in (start, moved)
    ]
    assert (squares[1] <= squares[0] + 1e-9).all() and (squares[1] < squares[0]).mean() > 0.5


def test_a_point_behind_a_camera_has_no_place_in_its_picture(scene):
    _, P, _ = scene
    behind = np.linalg.inv(np.vstack([P[0], [0, 0, 0, 1]])) @ [0, 0, -500, 1]
    assert np.isnan(reproject(behind[None, :3], P)[0]).all()


def test_undistorting_is_the_inverse_of_the_lens(rng):
    joints = np.concatenate([rng.uniform(-400, 400, (50, 2)), np.full((50, 1), 1000.0)], axis=1)
    pinhole = project_opencv(joints, K, np.zeros(8))
    assert np.allclose(undistort(project_opencv(joints, K, LENS), K, LENS), pinhole, atol=1e-2)
    assert np.array_equal(undistort(pinhole, K, np.zeros(8)), pinhole)
    # Far outside of any picture no ray falls on a point.
    strong = np.array([-0.3, 0, 0, 0, 0, 0, 0, 0])
    assert np.isnan(undistort(np.array([[9000.0, 9000.0]]), K, strong)).all()


def test_cameras_with_lenses_triangulate_after_undistorting(rng):
    T, joints = poses(rng, 4), rng.uniform(-80, 80, (21, 3))
    seen = project_opencv(world_to_camera(joints, T), K, LENS)
    points = undistort(seen, K, LENS)
    found = triangulate(points, projections(np.tile(K, (4, 1, 1)), T))
    assert np.allclose(found, joints, atol=0.02)
