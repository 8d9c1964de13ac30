"""Cameras: inverse maps, worked examples of the official sample."""

import numpy as np

from hand_bench.geometry import (
    back_project,
    camera_pose,
    camera_to_world,
    project,
    square_box,
    world_to_camera,
)

RNG = np.random.default_rng(3)


def random_pose() -> np.ndarray:
    Q, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    return camera_pose(Q * np.linalg.det(Q), RNG.normal(size=3) * 100)


def test_world_and_camera_are_inverse():
    joints, pose = RNG.normal(size=(5, 21, 3)) * 100, random_pose()
    there = world_to_camera(joints, pose)
    assert np.allclose(camera_to_world(there, pose), joints, atol=1e-10)


def test_camera_pose_follows_the_official_convention():
    rotation, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    position, point = RNG.normal(size=3), RNG.normal(size=(1, 3))
    official = rotation @ (point[0] - position)  # X_C = R (X_W - c)
    assert np.allclose(world_to_camera(point, camera_pose(rotation, position))[0], official)


def test_poses_broadcast_over_samples():
    joints = RNG.normal(size=(4, 21, 3))
    poses = np.stack([random_pose() for _ in range(4)])
    one_by_one = np.stack([world_to_camera(j, p) for j, p in zip(joints, poses, strict=True)])
    assert np.allclose(world_to_camera(joints, poses), one_by_one)


def test_back_projection_undoes_projection():
    K = np.array([[1261.5, 0, 155.8], [0, 1261.7, 258.8], [0, 0, 1.0]])
    joints = RNG.normal(size=(6, 21, 3)) * 50 + [0, 0, 1000]
    assert np.allclose(back_project(project(joints, K), joints[..., 2], K), joints)


def test_the_square_box_of_the_worked_example():
    # facts 6.1, annotation 326750: bbox -> InterNet's square box.
    bbox = np.array([33.56839, 164.92374, 185.05786, 142.72566])
    expected = [10.43616, 120.62540, 231.32233, 231.32233]
    assert np.allclose(square_box(bbox), expected, atol=1e-4)
