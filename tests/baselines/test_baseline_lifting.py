"""Lifting: the core's geometry in torch, the worked example, weak and full perspective."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.lifting import (
    back_project,
    crop_to_picture,
    full_to_weak,
    left_root,
    lift_hands,
    paper_root_depths,
    project,
    project_weak,
    to_2d_and_depth,
    weak_to_full,
)
from hand_bench import geometry

RNG = np.random.default_rng


def cameras(count: int) -> np.ndarray:
    K = np.tile(np.eye(3), (count, 1, 1))
    K[:, 0, 0], K[:, 1, 1], K[:, :2, 2] = 1261.5, 1263.5, RNG(0).uniform(100, 300, (count, 2))
    return K


def test_projection_and_its_inverse_equal_the_cores():
    joints, K = RNG(1).normal([0, 0, 1000], 80, (5, 21, 3)), cameras(5)
    pixels = geometry.project(joints, K)
    ours = project(torch.as_tensor(joints), torch.as_tensor(K))
    assert np.allclose(ours.numpy(), pixels, rtol=1e-12)
    back = back_project(ours, torch.as_tensor(joints[..., 2]), torch.as_tensor(K))
    assert np.allclose(back.numpy(), geometry.back_project(pixels, joints[..., 2], K), rtol=1e-12)


def test_intrinsics_of_a_turned_camera_are_inverted_too():
    K = torch.tensor([[900.0, 12, 100], [15, 950, 120], [0, 0, 1]], dtype=torch.float64)
    joints = torch.as_tensor(RNG(2).normal([0, 0, 1000], 80, (21, 3)))
    assert torch.allclose(back_project(project(joints, K), joints[:, 2], K), joints)


def test_two_and_a_half_d_and_back():
    joints = torch.as_tensor(RNG(3).normal([0, 0, 1000], 80, (4, 2, 21, 3)))
    K = torch.as_tensor(cameras(4))
    pixels, relative, root = to_2d_and_depth(joints, K)
    assert not relative[..., 0].any() and torch.equal(root, joints[..., 0, 2])
    assert torch.allclose(lift_hands(pixels, relative, root, K), joints)


def wrists(example) -> tuple:
    pixels = np.zeros((2, 21, 2))
    pixels[:, 0] = example.right_wrist_2d, example.left_wrist_2d
    return (
        torch.as_tensor(pixels),
        torch.zeros(2, 21, dtype=torch.float64),
        torch.as_tensor(example.K),
    )


def test_the_worked_example_of_lifting(example):
    pixels, relative, K = wrists(example)
    roots = torch.tensor([1111.0215, 1168.8142], dtype=torch.float64)
    lifted = lift_hands(pixels, relative, roots, K)[:, 0].numpy()
    assert np.allclose(lifted, [example.right_wrist, example.left_wrist], atol=1e-3)


def test_the_worked_example_of_the_relative_root(example):
    pixels, relative, K = wrists(example)
    vector = left_root(pixels, relative, torch.tensor(1111.0215), torch.tensor(57.79271), K)
    assert np.allclose(vector.numpy(), [128.79873, 16.50854, 57.79271], atol=1e-3)
    assert vector.norm().item() == pytest.approx(142.13248, abs=1e-3)


def test_the_relative_root_keeps_the_wrists_own_residual_depth(example):
    pixels, relative, K = wrists(example)
    relative[:, 0] = torch.tensor([3.0, -4.0])
    vector = left_root(pixels, relative, torch.tensor(1111.0), torch.tensor(50.0), K)
    assert vector[2].item() == pytest.approx(50 - 4 - 3)


def test_the_paper_lifts_the_left_hand_by_the_right_one_where_it_is_there():
    roots = torch.tensor([[1000.0, 1100.0], [1000.0, 1100.0]])
    chosen = paper_root_depths(
        roots, torch.tensor([20.0, 20.0]), torch.tensor([[0.5, 1], [0.4, 1]])
    )
    assert chosen.tolist() == [[1000.0, 1020.0], [1000.0, 1100.0]]


def test_weak_perspective_golden_value():
    focal = torch.tensor(116.666667)
    full = weak_to_full(torch.tensor([2.0, 0.1, -0.2]), focal)
    assert full.tolist() == pytest.approx([0.1, -0.2, 0.520833], abs=1e-6)
    assert weak_to_full(torch.tensor([0.01, 0.0, 0.0]), focal)[2].item() == pytest.approx(
        2 * 116.666667 / 22.4, rel=1e-6
    )


def test_weak_and_full_are_inverse():
    camera = torch.as_tensor(RNG(4).uniform([0.5, -1, -1], [5, 1, 1], (8, 3)))
    focal = torch.full((8,), 300.0, dtype=torch.float64)
    assert torch.allclose(full_to_weak(weak_to_full(camera, focal), focal), camera)


def test_both_perspectives_agree_at_the_depth_of_the_root():
    camera, focal = torch.tensor([2.0, 0.1, -0.2], dtype=torch.float64), torch.tensor(300.0)
    flat = torch.as_tensor(RNG(5).normal(0, 0.05, (21, 3)) * [1, 1, 0])
    K = torch.tensor([[300.0, 0, 112], [0, 300, 112], [0, 0, 1]], dtype=torch.float64)
    full = project(flat + weak_to_full(camera, focal), K)
    assert torch.allclose(project_weak(flat, camera), full, atol=1e-6)


def test_a_crops_camera_becomes_the_pictures():
    camera, side = torch.tensor([1.5, 0.02, -0.03], dtype=torch.float64), torch.tensor(180.0)
    centre = torch.tensor([400.0, 150.0], dtype=torch.float64)
    principal = torch.tensor([320.0, 240.0], dtype=torch.float64)
    shift = crop_to_picture(camera, centre, side, torch.tensor(600.0), principal)
    K = torch.tensor([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]], dtype=torch.float64)
    flat = torch.as_tensor(RNG(6).normal(0, 0.05, (21, 3)) * [1, 1, 0])
    in_crop = project_weak(flat, camera, 180.0)
    assert torch.allclose(in_crop + centre - 90, project(flat + shift, K), atol=1e-6)
