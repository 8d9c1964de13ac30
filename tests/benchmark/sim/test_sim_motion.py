"""Trajectories, where joints are, and the range of motion."""

import numpy as np
import pytest

from hand_bench.hand_model import rotvec_to_rotmat
from hand_bench.sim import motion, poses, trajectories
from hand_bench.sim.hand import models, sample_subject
from hand_bench.sim.scene import NO_GRASP, RATE

HANDS = ("right", "left", "interacting")


def subject(seed=0):
    return sample_subject(np.random.default_rng(seed), f"person{seed}")


@pytest.fixture(scope="module")
def clips():
    """Some clips of free motion: hands -> clips."""
    return {
        hands: [
            motion.range_of_motion(np.random.default_rng(k), subject(k), hands=hands, frames=150)
            for k in range(5)
        ]
        for hands in HANDS
    }


def fingers(clip, side):
    """The finger poses of a hand, as a right hand's."""
    found = clip.rotvec[:, side, 1:]
    return poses.mirror(found) if side else found


def fastest_change(clip):
    """Largest acceleration of any joint, m/s^2."""
    joints = motion.joints(clip)[:, list(clip.present)]
    return np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).max() * RATE**2 / 1000


def test_minimum_jerk_goes_from_rest_to_rest_through_the_middle():
    at = trajectories.minimum_jerk(np.array([-1.0, 0.0, 0.5, 1.0, 3.0]))
    assert at == pytest.approx([0, 0, 0.5, 1, 1])
    slow = trajectories.minimum_jerk(np.array([0.01, 0.99]))
    assert slow[0] < 1e-4 and slow[1] > 1 - 1e-4


def test_a_path_passes_its_keys_and_rests_there():
    keys, times = np.array([[0.0], [4.0], [1.0]]), np.array([0.0, 1.0, 3.0])
    path = trajectories.through(keys, times, np.array([0.0, 0.99, 1.0, 1.01, 2.0, 3.0]))
    assert path[[0, 2, 4, 5], 0] == pytest.approx([0, 4, 2.5, 1])
    assert abs(path[1, 0] - 4) < 1e-3 and abs(path[3, 0] - 4) < 1e-3


def test_turning_past_half_a_turn_does_not_jump():
    angle = np.linspace(2.6, 3.6, 60)
    second = trajectories.about(1, angle)
    first = np.broadcast_to(np.eye(3), second.shape)
    half = trajectories.slerp(first, second, np.full(60, 0.5))
    assert half == pytest.approx(trajectories.about(1, angle / 2), abs=1e-9)


def test_an_envelope_is_nowhere_below():
    values = np.random.default_rng(0).normal(0, 1, 80)
    assert (trajectories.envelope(values, 5) >= values - 1e-12).all()


def test_mirroring_poses_agrees_with_mirroring_points():
    rng = np.random.default_rng(2)
    T = trajectories.rigid(rotvec_to_rotmat(rng.normal(0, 1, (4, 3))), rng.normal(0, 50, (4, 3)))
    point = np.array([3.0, -2.0, 7.0, 1.0])
    turned = trajectories.mirrored(T) @ (point * [-1, 1, 1, 1])
    assert turned == pytest.approx((T @ point) * [-1, 1, 1, 1])


def test_wrists_are_where_they_were_wanted():
    rng, person = np.random.default_rng(3), subject(3)
    T = trajectories.rigid(
        rotvec_to_rotmat(rng.normal(0, 1, (6, 2, 3))), rng.normal(0, 99, (6, 2, 3))
    )
    clip = motion.free_clip(person, (True, True), T, np.zeros((6, 2, 15, 3)))
    assert motion.wrists(clip) == pytest.approx(T, abs=1e-9)
    assert motion.joints(clip)[:, :, 0] == pytest.approx(T[..., :3, 3], abs=1e-9)


def test_a_level_pronated_hand_has_its_palm_down_and_its_fingers_away_from_the_elbow():
    R = motion.orient(np.array([0.0, 0.0, 1.0]), np.array(0.0), np.array(0.0), np.array(0.0))
    fingers, palm, thumb = -R[:, 0], -R[:, 1], R[:, 2]
    assert fingers == pytest.approx([0, 0, -1]) and palm == pytest.approx([0, -1, 0])
    assert thumb == pytest.approx([-1, 0, 0])
    bent = motion.orient(np.array([0.0, 0.0, 1.0]), np.array(0.0), np.array(0.5), np.array(0.0))
    assert -bent[1, 0] < -0.4  # fingers towards the palm's side
    aside = motion.orient(np.array([0.0, 0.0, 1.0]), np.array(0.0), np.array(0.0), np.array(0.3))
    assert -aside[0, 0] > 0.2  # towards the little finger


@pytest.mark.parametrize("hands", HANDS)
def test_free_motion_is_smooth_and_within_the_limits(clips, hands):
    for clip in clips[hands]:
        assert len(clip) == 150 and clip.present == motion.PRESENT[hands]
        assert np.isfinite(clip.rotvec).all() and np.isfinite(clip.translation).all()
        assert fastest_change(clip) < 30
        for side in range(2):
            assert poses.within_limits(fingers(clip, side)).all()
        assert (clip.grasp == NO_GRASP).all()
        assert motion.joints(clip)[:, list(clip.present), :, 1].min() > 10


def test_an_absent_hand_has_zeros(clips):
    clip = clips["left"][0]
    joints = motion.joints(clip)
    assert joints.shape == (150, 2, 21, 3)
    assert not joints[:, 0].any() and joints[:, 1].any()


def test_joints_are_those_of_the_model(clips):
    clip = clips["left"][1]
    posed = models()[1].joints(
        rotvec=clip.rotvec[:3, 1],
        betas=clip.subject.betas,
        translation=clip.translation[:3, 1],
        flat_hand_mean=True,
    )
    assert motion.joints(clip)[:3, 1, [0, 5, 8]] == pytest.approx(posed[:, [0, 1, 17]])


def test_wrists_turn_through_a_wide_range(clips):
    palms = np.concatenate([-motion.wrists(c)[:, 0, :3, 1] for c in clips["right"]])
    assert (palms[:, 1] < -0.6).any() and (palms[:, 1] > 0.3).any()
    assert np.ptp(palms, axis=0).min() > 0.9


def test_fingers_go_from_open_to_fist(clips):
    angles = np.concatenate([poses.angles_of(fingers(c, 0)) for c in clips["right"]])
    bent = angles[:, [1, 4, 7, 10], 0]
    assert (np.percentile(bent, 5, axis=0) < 15).all()
    assert (np.percentile(bent, 95, axis=0) > 75).all()


def test_interacting_hands_come_close_and_do_not_run_into_each_other(clips):
    gaps = []
    for clip in clips["interacting"]:
        right, left = np.moveaxis(motion.joints(clip), 1, 0)
        gaps.append(np.linalg.norm(right[:, :, None] - left[:, None], axis=-1).min(axis=(1, 2)))
    gaps = np.concatenate(gaps)
    assert gaps.min() > 9 and np.percentile(gaps, 20) < 35
    assert np.percentile(gaps, 95) < 150


def test_the_same_seed_gives_the_same_motion_and_another_style_another():
    made = [
        motion.range_of_motion(np.random.default_rng(4), subject(k), hands="right", frames=40)
        for k in (1, 1, 2)
    ]
    assert np.array_equal(made[0].rotvec, made[1].rotvec)
    assert not np.array_equal(made[0].rotvec, made[2].rotvec)


def test_an_unknown_choice_of_hands_is_refused():
    with pytest.raises(ValueError, match="both"):
        motion.range_of_motion(np.random.default_rng(0), subject(), hands="both", frames=9)
