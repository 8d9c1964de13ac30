"""Crops: the worked example, inverse maps, intrinsics, and warps in torch and NumPy."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.crops import (
    apply,
    as_float,
    clip_box,
    compose,
    crop_affine,
    crop_intrinsics,
    flip_affine,
    integer_square_box,
    invert,
    warp,
)
from hand_baselines.warping import warp_image
from hand_bench.geometry import project, square_box

RNG = np.random.default_rng


def test_the_worked_example(example):
    affine = crop_affine(square_box(example.bbox), 256)
    points = np.stack([example.right_wrist_2d, example.left_wrist_2d, example.right_thumb_tip_2d])
    expected = [[42.66669, 133.95743], [202.35815, 154.61782], [186.20236, 71.19457]]
    assert np.allclose(apply(affine, points), expected, atol=2e-4)
    assert affine[0, 0] == pytest.approx(1.1066809, abs=1e-6)


def test_the_corner_of_the_box_is_pixel_zero_and_its_middle_half_the_size():
    affine = crop_affine(np.array([10.0, 20.0, 50.0, 50.0]), 100, 0.0)
    assert np.allclose(apply(affine, np.array([[10.0, 20.0], [35.0, 45.0]])), [[0, 0], [50, 50]])


def test_a_turned_box_takes_its_own_axes_to_the_crops():
    angle, centre = 0.4, np.array([35.0, 45.0])
    affine = crop_affine(np.array([10.0, 20.0, 50.0, 50.0]), 100, angle)
    right = centre + 25 * np.array([np.cos(angle), np.sin(angle)])
    down = centre + 25 * np.array([-np.sin(angle), np.cos(angle)])
    assert np.allclose(
        apply(affine, np.stack([centre, right, down])), [[50, 50], [100, 50], [50, 100]]
    )


def test_rootnet_clips_the_box_before_it_is_squared(example):
    box = square_box(clip_box(example.bbox, *example.size))
    assert np.allclose(box[:3], [10.56116, 120.75040, 230.07233], atol=1e-4)
    whole_width = square_box(clip_box(np.array([-20.0, 60, 400, 100]), 334, 512))
    assert whole_width[2] == pytest.approx(416.25)  # 1.25 * 333, as in an official record
    with pytest.raises(ValueError, match="no part inside the picture of 334 x 512"):
        clip_box(np.array([400.0, 60, 40, 100]), 334, 512)


def test_svegonets_box_is_of_whole_pixels_and_not_too_small():
    assert np.array_equal(integer_square_box(np.array([60.0, 70, 81, 45])), [30, 22, 141, 141])
    assert np.array_equal(integer_square_box(np.array([60.0, 70, 30, 20])), [25, 30, 100, 100])


def test_inverse_and_composition_undo_and_chain():
    rng = RNG(0)
    first = crop_affine(rng.uniform(10, 60, (5, 4)), 64, rng.uniform(-3, 3, 5))
    second, points = flip_affine(64), rng.uniform(0, 64, (5, 7, 2))
    assert np.allclose(apply(compose(second, first), points), apply(second, apply(first, points)))
    assert np.allclose(apply(invert(first), apply(first, points)), points)
    assert np.allclose(compose(second, second), [[1, 0, 0], [0, 1, 0]])
    in_torch = apply(invert(torch.as_tensor(first)), torch.as_tensor(points))
    assert np.allclose(in_torch.numpy(), apply(invert(first), points))


def test_a_crops_intrinsics_project_to_the_crop(example):
    affine = crop_affine(example.square, 256)
    K, joints = crop_intrinsics(example.K, affine), RNG(1).normal([0, 0, 1000], 60, (42, 3))
    assert np.allclose(project(joints, K), apply(affine, project(joints, example.K)))
    wrist = project(example.right_wrist[None], K)[0]
    assert np.allclose(wrist, [42.66669, 133.95743], atol=2e-3)


@pytest.mark.parametrize("flipped", [False, True])
def test_torch_and_numpy_warp_alike(flipped):
    rng = RNG(2)
    images = rng.integers(0, 256, (3, 37, 53, 3)).astype(np.float32)
    affine = crop_affine(rng.uniform(15, 40, (3, 4)), 24, rng.uniform(-3, 3, 3))
    if flipped:
        affine = compose(affine, flip_affine(53))
    batched = warp(torch.as_tensor(images).permute(0, 3, 1, 2), torch.as_tensor(affine), (24, 31))
    one_by_one = np.stack([warp_image(i, a, (24, 31)) for i, a in zip(images, affine, strict=True)])
    assert np.allclose(batched.permute(0, 2, 3, 1).numpy(), one_by_one, atol=0.02)


def test_a_warp_by_whole_pixels_moves_pixels_and_fills_with_zero():
    image = RNG(3).integers(1, 256, (6, 8, 1)).astype(np.uint8)
    moved = warp_image(image, np.array([[1.0, 0, 2], [0, 1, -1]]), (6, 8))
    assert np.array_equal(moved[:5, 2:], image[1:, :6])
    assert not moved[:, :2].any() and not moved[5:].any()


def test_a_warp_between_pixels_is_bilinear_with_zero_outside():
    image = np.array([[[10.0], [20.0]], [[30.0], [50.0]]], np.float32)
    shifted = warp_image(image, np.array([[1.0, 0, -0.5], [0, 1, -0.25]]), (2, 2))
    assert shifted[0, 0, 0] == pytest.approx(21.25)  # 3/4 of (10 + 20) / 2 and 1/4 of (30 + 50) / 2
    assert shifted[1, 1, 0] == pytest.approx(18.75)  # 50, half of it sideways, 3/4 downwards


def test_a_crop_of_a_linear_picture_shows_the_source_coordinates():
    v, u = np.mgrid[:60, :80].astype(np.float32)
    affine = crop_affine(np.array([20.0, 10.0, 40.0, 40.0]), 32, 0.1)
    seen = warp_image(np.stack([u, v], axis=-1), affine, (32, 32))
    y, x = np.mgrid[:32, :32]
    expected = apply(invert(affine), np.stack([x, y], axis=-1).reshape(-1, 2).astype(float))
    assert np.allclose(seen.reshape(-1, 2), expected, atol=1e-3)


def test_bytes_become_floats_in_0_to_1():
    assert as_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0.0, 1.0]
    floats = torch.tensor([0.25])
    assert as_float(floats) is floats
