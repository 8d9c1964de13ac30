"""Augmentation: everything of a sample moves together."""

# ruff: noqa: E402 (what follows the check needs torch)

from dataclasses import fields, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines import augmentation
from hand_baselines.augmentation import (
    INTERNET,
    NOTHING,
    HandSample,
    Ranges,
    as_tensors,
    crop,
    flip,
    move,
    random_affine,
    random_colour,
    random_crop,
)
from hand_baselines.crops import apply, crop_affine
from hand_bench.geometry import project

RNG = np.random.default_rng
HEIGHT, WIDTH = 60, 80


def sample(seed: int = 0, fy: float = 100.0) -> HandSample:
    """Two hands in front of a camera; the left one is only half annotated and has no box."""
    rng = RNG(seed)
    K = np.array([[100.0, 0, 39], [0, fy, 31], [0, 0, 1]])
    joints = rng.normal([0, 0, 900], [80, 60, 40], (2, 21, 3))
    valid = rng.random((2, 21)) < 0.8
    points = project(joints, K)
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    return HandSample(
        image=rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8),
        K=K,
        joints=joints,
        joints_2d=points,
        valid=valid,
        in_view=valid & (rng.random((2, 21)) < 0.8),
        present=np.array([True, False]),
        present_known=True,
        bbox=np.concatenate([low, high - low]),
        hand_bbox=np.array([[*low, *(high - low)], [np.nan] * 4]),
        affine=np.eye(2, 3),
    )


def reprojected(moved: HandSample) -> np.ndarray:
    """Pixels of the moved joints with the full matrix of the moved intrinsics."""
    ratio = moved.joints[..., :2] / moved.joints[..., 2:]
    return ratio @ moved.K[:2, :2].T + moved.K[:2, 2]


def assert_same(first: HandSample, second: HandSample) -> None:
    for field in fields(HandSample):
        one, two = getattr(first, field.name), getattr(second, field.name)
        assert np.allclose(one, two, equal_nan=True), field.name


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fy", [100.0, 103.0])
def test_moved_joints_project_to_moved_points(seed, fy):
    before = sample(seed, fy)
    after = random_crop(before, np.array([20.0, 10, 40, 40]), 32, INTERNET, RNG(seed))
    assert np.allclose(reprojected(after), after.joints_2d, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_points_move_by_the_map_that_the_sample_carries(seed):
    before = sample(seed)
    after = random_crop(before, np.array([20.0, 10, 40, 40]), 32, INTERNET, RNG(seed))
    mirrored = np.linalg.det(after.affine[:, :2]) < 0
    expected = apply(after.affine, before.joints_2d)
    assert np.allclose(after.joints_2d, expected[::-1] if mirrored else expected)


def test_depth_and_bone_lengths_stay(seed=1):
    before = sample(seed)
    after = crop(before, np.array([20.0, 10, 40, 40]), 32, rotation=0.7)
    assert np.allclose(after.joints[..., 2], before.joints[..., 2])
    lengths = [np.linalg.norm(np.diff(s.joints, axis=1), axis=-1) for s in (before, after)]
    assert np.allclose(*lengths)


def test_a_turned_square_camera_keeps_plain_intrinsics():
    K = crop(sample(), np.array([20.0, 10, 40, 40]), 32, rotation=0.7).K
    assert np.allclose([K[0, 0], K[1, 1]], 80) and np.allclose([K[0, 1], K[1, 0]], 0)


def test_without_turn_and_mirror_the_joints_stay_and_the_focal_length_scales():
    before = sample()
    after = crop(before, np.array([20.0, 10, 40, 40]), 80)
    assert np.array_equal(after.joints, before.joints)
    assert after.K[0, 0] == pytest.approx(200) and after.K[0, 2] == pytest.approx(2 * (39 - 20))


def test_flipping_twice_changes_nothing():
    before = sample(3)
    assert_same(flip(flip(before)), before)


def test_a_flip_mirrors_the_picture_and_exchanges_the_hands():
    before, after = sample(4), flip(sample(4))
    assert np.array_equal(after.image, before.image[:, ::-1])
    assert after.joints_2d[1, 5] == pytest.approx(
        [WIDTH - 1 - before.joints_2d[0, 5, 0], before.joints_2d[0, 5, 1]]
    )
    assert np.allclose(after.joints[0, :, 0], -before.joints[1, :, 0])
    assert np.allclose(after.joints[0, :, 1:], before.joints[1, :, 1:])
    assert after.K[0, 2] == WIDTH - 1 - before.K[0, 2] and after.K[0, 0] == before.K[0, 0]
    assert after.present.tolist() == [False, True]
    assert np.array_equal(after.valid, before.valid[::-1])
    assert np.array_equal(after.in_view, before.in_view[::-1])
    assert np.isnan(after.hand_bbox[0]).all() and np.isfinite(after.hand_bbox[1]).all()


def test_a_flip_changes_the_sign_of_the_relative_root_depth():
    before, after = sample(5), flip(sample(5))
    depths = [s.joints[1, 0, 2] - s.joints[0, 0, 2] for s in (before, after)]
    assert depths[0] == pytest.approx(-depths[1])


def test_crops_of_crops_are_one_crop():
    box = np.array([20.0, 10, 40, 40])
    twice = crop(crop(sample(), box, 64, 0.3), np.array([0.0, 0, 64, 64]), 32, -0.3)
    once = crop(sample(), box, 32)
    for name in ("K", "joints", "joints_2d", "affine"):
        assert np.allclose(getattr(twice, name), getattr(once, name)), name


@pytest.mark.parametrize("seed", range(4))
def test_boxes_still_hold_their_points(seed):
    after = random_crop(sample(seed), np.array([20.0, 10, 40, 40]), 32, INTERNET, RNG(seed))
    low, high = after.bbox[:2], after.bbox[:2] + after.bbox[2:]
    assert (after.joints_2d >= low - 1e-9).all() and (after.joints_2d <= high + 1e-9).all()


def test_a_bright_pixel_moves_with_its_point():
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[25:28, 41:44] = 255
    before = replace(sample(), image=image, joints_2d=np.full((2, 21, 2), [42.0, 26.0]))
    for seed in range(5):
        after = random_crop(before, np.array([22.0, 6, 40, 40]), 64, INTERNET, RNG(seed))
        weights = after.image[..., 0].astype(float)
        rows, columns = np.mgrid[:64, :64]
        centre = [(weights * axis).sum() / weights.sum() for axis in (columns, rows)]
        assert np.allclose(centre, after.joints_2d[0, 0], atol=0.05)


def test_no_ranges_give_the_plain_crop():
    box = np.array([20.0, 10, 40, 40])
    affine = random_affine(box, WIDTH, 32, NOTHING, RNG(0))
    assert np.allclose(affine, crop_affine(box, 32))


def test_random_views_stay_in_their_ranges():
    box, rng = np.array([20.0, 10, 40, 40]), RNG(0)
    maps = np.stack([random_affine(box, WIDTH, 32, INTERNET, rng) for _ in range(2000)])
    determinants = np.linalg.det(maps[..., :2])
    factors = 32 / 40 / np.sqrt(abs(determinants))
    assert factors.min() >= 0.75 - 1e-9 and factors.max() <= 1.25 + 1e-9
    assert 0.45 < (determinants < 0).mean() < 0.55
    angles = np.arctan2(maps[:, 0, 1], maps[:, 1, 1])
    assert abs(np.rad2deg(angles)).max() <= 90 + 1e-6
    assert 0.37 < (abs(angles) < 1e-9).mean() < 0.43
    plain = maps[determinants > 0]
    centre = np.linalg.inv(plain[..., :2]) @ (16 - plain[..., 2:])
    assert abs(centre[..., 0] - [40, 30]).max() <= 0.15 * 40 + 1e-9


def test_every_draw_takes_the_same_number_of_values():
    left = []
    for ranges in (INTERNET, NOTHING, Ranges(flip_probability=1.0)):
        rng = RNG(7)
        random_affine(np.array([20.0, 10, 40, 40]), WIDTH, 32, ranges, rng)
        left.append(rng.random())
    assert len(set(left)) == 1


def test_colours_change_by_channel_and_grey_stays_grey():
    colour = RNG(0).integers(50, 200, (4, 4, 3)).astype(np.uint8)
    factors = random_colour(colour, 0.2, RNG(1)) / colour
    assert (factors > 0.79).all() and (factors < 1.21).all()
    assert np.ptp(factors.mean(axis=(0, 1))) > 0.01
    grey = random_colour(np.repeat(colour[..., :1], 3, axis=2), 0.2, RNG(1))
    assert np.array_equal(grey[..., 0], grey[..., 1]) and np.array_equal(grey[..., 0], grey[..., 2])
    assert random_colour(np.full((2, 2, 3), 255, np.uint8), 0.2, RNG(2)).max() <= 255


def test_a_map_that_shears_is_refused():
    with pytest.raises(ValueError, match="no turn, scale and mirror"):
        move(sample(), np.array([[1.0, 0.5, 0], [0, 1, 0]]), (32, 32))


def test_samples_become_tensors_that_stack():
    tensors = as_tensors(flip(sample()))
    assert set(tensors) == {field.name for field in fields(HandSample)}
    assert tensors["image"].dtype == torch.uint8 and tensors["image"].shape == (3, HEIGHT, WIDTH)
    assert tensors["joints"].dtype == torch.float32 and tensors["in_view"].dtype == torch.bool
    stacked = torch.utils.data.default_collate([tensors, tensors])
    assert stacked["affine"].shape == (2, 2, 3) and stacked["present_known"].tolist() == [
        True,
        True,
    ]


def test_the_official_ranges():
    assert (INTERNET.shift, INTERNET.scale, INTERNET.turn, INTERNET.turn_probability) == (
        0.15,
        0.25,
        45,
        0.6,
    )
    assert (augmentation.ROOTNET.shift, augmentation.ROOTNET.scale, augmentation.ROOTNET.turn) == (
        0,
        0,
        30,
    )
