"""Clips of poses: where they come from, their form, what must not matter, balance."""

# ruff: noqa: E402 (what follows the check needs torch)

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines import poses as reading
from hand_baselines.msg3d.clips import (
    Clip,
    Variation,
    VerbClips,
    as_input,
    balanced,
    read_clips,
    resample,
)
from hand_baselines.msg3d.config import MSG3DConfig
from hand_baselines.poses import Poses, Recording
from hand_bench.annotations import AnnotationBatch, encode
from hand_bench.errors import BaselineError

#: 10 poses a second, 6 of them.
CONFIG = MSG3DConfig(frames=6, rate=10.0, context=0.2, cyclic=(4, 5))


def walk(times, *, step: float = 10.0) -> Clip:
    """Both hands move along x by `step` mm in 0.1 s, the left one 200 mm beside the right one."""
    times = np.asarray(times, float)
    joints = np.zeros((len(times), 2, 21, 3), np.float32)
    joints[..., 0] = (10 * step * times)[:, None, None]
    joints[:, 1, :, 1] = 200
    return Clip(times, joints)


def test_between_instants_poses_are_linear_and_at_them_they_are_the_data():
    clip = walk([0.0, 0.2, 0.3])
    clip.joints[2, ..., 0] = 100  # 20 mm, then 100 mm at 0.3 s
    seen, known = resample(clip, np.array([-0.5, 0.0, 0.1, 0.2, 0.25, 0.3, 9.0]))
    assert np.allclose(seen[:, 0, 5, 0], [0, 0, 10, 20, 60, 100, 100])
    assert known.all()


def test_joints_that_are_not_known_are_bridged_and_those_never_known_are_zero():
    clip = walk([0.0, 0.1, 0.2])
    clip.joints[1, 0, 3] = np.nan
    clip.joints[:, 1] = np.nan
    seen, known = resample(clip, clip.time)
    assert np.allclose(seen[:, 0, 3, 0], [0, 10, 20])
    assert not known[1].any() and not seen[:, 1].any()
    assert not as_input(clip, CONFIG)[:, 1].any()


def test_short_clips_are_repeated_and_long_ones_cut_at_the_end():
    short = as_input(walk([0.0, 0.1, 0.2, 0.3]), CONFIG)
    assert np.allclose(short[:, 0, 0, 0], [0, 10, 20, 30, 0, 10])
    long = as_input(walk(np.arange(30) / 10), CONFIG)
    assert np.allclose(long[:, 0, 0, 0], np.arange(6) * 10)


def test_what_is_cut_off_or_not_known_has_no_influence():
    clip = walk(np.arange(12) / 10)
    other = Clip(clip.time, clip.joints.copy())
    other.joints[6:] = 1e6
    assert np.array_equal(as_input(clip, CONFIG), as_input(other, CONFIG))


def test_origins_by_hand():
    clip = walk([0.0, 0.1])
    clip.joints[..., 2] = 500  # 500 mm away
    first = as_input(clip, replace(CONFIG, origin="first", unit=100.0))
    assert np.allclose(first[1, 0, 0], [0.1, -1, 0]) and np.allclose(first[1, 1, 0], [0.1, 1, 0])
    clip.joints[:, 0, 7, 1] += 30
    wrists = as_input(clip, replace(CONFIG, origin="wrists"))
    assert np.allclose(wrists[1, 0, 7], [0, 30, 0]) and not wrists[:, :, 0].any()


def test_a_variation_turns_resizes_and_speeds_up_about_the_first_wrists():
    clip = walk([0.0, 0.1, 0.2, 0.3])
    turned = as_input(clip, CONFIG, Variation(turn=np.pi / 2))
    assert np.allclose(turned[1, 0, 0], [0, 0, -10], atol=1e-4)  # x becomes -z about y
    twice = as_input(clip, CONFIG, Variation(scale=2.0))
    assert np.allclose(twice[1, :, 0, :2], [[20, -100], [20, 300]])  # about (0, 100, 0)
    fast = as_input(clip, CONFIG, Variation(speed=1.5))
    assert np.allclose(fast[:, 0, 0, 0], [0, 15, 30, 0, 15, 30])
    late = as_input(clip, CONFIG, Variation(start=1 / 3))
    assert np.allclose(late[:4, 0, 0, 0], [10, 20, 30, 10])


def test_balance_by_hand():
    labels = np.array([0, 4, 0, 0, 1, 4, 5, 0, 0])
    # Five clips of class 0: the two of class 4 and the one of class 5 are seen five times.
    assert balanced(labels, (4, 5)).tolist() == [0, 1, 1, 1, 2, 3, 4, 5, 5, 6, 6, 6, 6, 6, 7, 8]
    assert balanced(labels[:1], (4, 5)).tolist() == [0]
    data = VerbClips([walk([0.0, 0.1])] * 9, labels, CONFIG)
    seen = [int(data[k]["label"]) for k in range(len(data))]
    assert np.bincount(seen).tolist() == [5, 1, 0, 0, 5, 5]


def test_what_is_drawn_depends_on_seed_epoch_and_number_alone():
    clips, labels = [walk(np.arange(9) / 10)] * 3, np.array([0, 4, 4])
    data, other = (VerbClips(clips, labels, CONFIG, seed=seed) for seed in (0, 1))

    def seen(source, *place):
        return source[place]["joints"]

    assert torch.equal(seen(data, 1, 1), seen(data, 1, 1))
    assert not torch.equal(seen(data, 1, 1), seen(data, 2, 1))
    assert not torch.equal(seen(data, 1, 1), seen(data, 1, 2))  # no two repetitions are alike
    assert not torch.equal(seen(data, 1, 1), seen(other, 1, 1))
    assert torch.equal(seen(data, 1, 0), torch.from_numpy(as_input(clips[0], CONFIG)))
    varied = VerbClips(clips, labels, replace(CONFIG, varied="all"))
    assert not torch.equal(seen(varied, 1, 0), seen(data, 1, 0))


def rows(**columns) -> AnnotationBatch:
    return AnnotationBatch(0, encode(columns))


def test_a_clip_holds_its_segment_and_the_context():
    clip = walk(np.arange(20) / 20)  # frames 100, 103, ...: 60 numbers a second
    recording = Recording(100 + 3 * np.arange(20), clip.time, clip.joints)
    poses = Poses({"a": recording}, "truth", "")
    assert poses.frames_per_second == pytest.approx(60)
    asked = rows(sample_id=["1", "2"], sequence=["a", "b"], frame=[130, 0], end_frame=[136, 9])
    found, lacking = read_clips(asked, poses, CONFIG)
    assert found.time.tolist() == clip.time[6:17].tolist()  # 118 to 148: 0.2 s are 12 numbers
    assert found.usable and not lacking.usable
    with pytest.raises(BaselineError, match=r"HB302 .*relative to their wrists"):
        read_clips(asked, replace(poses, from_wrists=True), CONFIG)


def test_cameras_of_an_instant_are_averaged_in_the_world():
    moved = np.eye(4)
    moved[:3, 3] = (0, 0, 100)
    joints = np.ones((3, 21, 3), np.float32)
    joints[1:, :, 2] = -99 + np.array([4, 0])[:, None]  # in the world: 1, 5 and 1
    valid = np.ones((3, 21), bool)
    valid[:2, 20] = False
    batch = rows(
        sample_id=["1", "2", "3"],
        sequence=["a"] * 3,
        frame=[7, 7, 8],
        time=[0.7, 0.7, 0.8],
        T_world_from_camera=np.stack([np.eye(4), moved, moved]).reshape(3, 16),
        right_joints=joints.reshape(3, 63),
        right_valid=valid,
    )
    recording = reading._recordings([reading._annotated(batch)])["a"]
    assert recording.frame.tolist() == [7, 8] and recording.time.tolist() == [0.7, 0.8]
    assert np.allclose(recording.joints[:, 0, 0, 2], [3, 1])
    assert np.isnan(recording.joints[0, 0, 20]).all() and np.isnan(recording.joints[:, 1]).all()
