"""Finger poses: angles and back, limits, a prior that draws natural poses."""

import numpy as np
import pytest

from hand_bench.hand_model import rotvec_to_rotmat
from hand_bench.sim import poses, self_contact

DRAWN = poses.sample_pose(np.random.default_rng(0), 200)


def test_angles_and_rotation_vectors_are_inverse():
    low, high = poses.limits()
    angles = np.random.default_rng(1).uniform(low, high, (100, 15, 3))
    np.testing.assert_allclose(poses.angles_of(poses.rotvec_of(angles)), angles, atol=1e-6)


def test_flexion_alone_turns_about_the_flexion_axis():
    angles = np.zeros((15, 3))
    angles[3, poses.FLEXION] = 90
    R = rotvec_to_rotmat(poses.rotvec_of(angles)[3])
    # The middle finger lies along -x: bent by 90 degrees it points down, to where the palm faces.
    np.testing.assert_allclose(R @ [-1, 0, 0], [0, -1, 0], atol=0.02)


def test_abduction_moves_fingers_to_the_thumb_and_the_thumb_off_the_palm():
    angles = np.zeros((15, 3))
    angles[::3, poses.ABDUCTION] = 10
    moved = self_contact.chains(poses.rotvec_of(angles)[None])[0, :, 3]
    still = self_contact.chains(np.zeros((1, 15, 3)))[0, :, 3]
    assert np.all((moved - still)[:4, 2] > 5)
    assert (moved - still)[4, 1] < -8


@pytest.mark.parametrize("name", poses.NAMES)
def test_named_poses_are_possible(name):
    rotvec = poses.rotvec_of(poses.named(name))[None]
    assert poses.within_limits(rotvec).all()
    assert self_contact.overlap(rotvec)[0] <= poses.OVERLAP


@pytest.mark.parametrize("style", ["natural", "free", "fist", "spread"])
def test_drawn_poses_are_within_limits_and_apart(style):
    drawn = poses.sample_pose(np.random.default_rng(2), 100, style)
    assert drawn.shape == (100, 15, 3)
    assert poses.within_limits(drawn).all()
    assert self_contact.overlap(drawn).max() <= poses.OVERLAP
    assert np.ptp(poses.angles_of(drawn)[:, 0, 0]) > 5


def test_drawn_poses_depend_on_the_generator_alone():
    again = poses.sample_pose(np.random.default_rng(0), 200)
    np.testing.assert_array_equal(again, DRAWN)
    assert not np.array_equal(poses.sample_pose(np.random.default_rng(1), 200), DRAWN)
    assert poses.sample_pose(np.random.default_rng(0), 0).shape == (0, 15, 3)


def test_neighbouring_fingers_bend_together():
    flexion = poses.angles_of(DRAWN)[:, [0, 3, 9, 6], poses.FLEXION]
    together = np.corrcoef(flexion.T)
    assert together[0, 1] > 0.4 and together[1, 2] > 0.6 and together[2, 3] > 0.6
    bends = poses.angles_of(DRAWN)[..., poses.FLEXION]
    assert np.corrcoef(bends[:, 4], bends[:, 5])[0, 1] > 0.8


def test_clamp_reaches_the_limits_and_keeps_what_is_inside():
    wild = np.random.default_rng(3).normal(0, 0.9, (50, 15, 3))
    clamped = poses.clamp(wild)
    assert not poses.within_limits(wild).any()
    assert poses.within_limits(clamped).all()
    np.testing.assert_allclose(poses.clamp(clamped), clamped, atol=1e-6)


def test_bent_fingers_spread_less():
    angles = np.zeros((2, 15, 3))
    angles[:, 0, poses.ABDUCTION] = 12
    angles[1, 0, poses.FLEXION] = 90
    assert list(poses.within_limits(poses.rotvec_of(angles))) == [True, False]


def test_interpolation_starts_and_ends_where_it_should():
    fist, flat = (poses.rotvec_of(poses.named(name)) for name in ("fist", "flat"))
    path = poses.interpolate(fist, flat, np.linspace(0, 1, 5))
    np.testing.assert_allclose(path[0], fist, atol=1e-9)
    np.testing.assert_allclose(path[-1], flat, atol=1e-9)
    halfway = (poses.named("fist") + poses.named("flat")) / 2
    np.testing.assert_allclose(poses.angles_of(path[2]), halfway, atol=1e-6)


def test_mirror_twice_is_nothing():
    np.testing.assert_array_equal(poses.mirror(poses.mirror(DRAWN)), DRAWN)


def test_overlap_sees_fingers_in_each_other():
    angles = np.zeros((15, 3))
    angles[0, poses.ABDUCTION], angles[3, poses.ABDUCTION] = -20, 20
    assert self_contact.overlap(poses.rotvec_of(angles)[None])[0] > 5


def test_unknown_style_is_refused():
    with pytest.raises(ValueError, match="none of natural, free, relaxed"):
        poses.sample_pose(np.random.default_rng(0), 1, "elegant")
