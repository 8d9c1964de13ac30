"""Models of annotation noise: mean errors, correlation in time, what is missing."""

from functools import cache

import numpy as np
import pytest

from hand_bench.joint_sets import joint_set
from hand_bench.sim.label_noise import ANNOTATORS, Labels, annotate, drift
from hand_bench.sim.rigs import RIGS, look_at
from hand_bench.sim.scene import RATE, WORKSPACE, View
from hand_bench.sim.sightlines import sightlines

MANO = joint_set("mano21")
#: Bones (mm) of each finger, wrist to tip, and the angle of its knuckle at the wrist (degrees).
FINGERS = {
    "thumb": (50, (35, 40, 32, 27)),
    "index": (15, (88, 42, 25, 22)),
    "middle": (3, (86, 46, 29, 23)),
    "ring": (-10, (80, 42, 27, 23)),
    "pinky": (-24, (76, 33, 20, 20)),
}


@cache
def hands(frames: int = 150, seed: int = 0) -> np.ndarray:
    """Two hands that move and bend before a person, (frames, 2, 21, 3), mm."""
    time = np.arange(frames) / RATE
    joints = np.zeros((frames, 2, 21, 3))
    for hand, side in enumerate((1, -1)):
        wave = [np.sin(f * time + 2 * hand + seed) for f in (0.9, 1.1, 0.7, 0.8, 2.0)]
        wrist = WORKSPACE + np.stack(
            [side * (90 + 45 * wave[0]), -20 + 50 * wave[1], 70 + 50 * wave[2]], axis=1
        )
        joints[:, hand, MANO.root] = wrist
        for finger, (angle, lengths) in FINGERS.items():
            around, down, place = 0.5 * wave[3] - side * np.radians(angle), 0.15, wrist
            for k, length in enumerate(lengths):
                along = np.stack(
                    [np.sin(around) * np.cos(down), -np.sin(down) + 0 * around,
                     -np.cos(around) * np.cos(down)], axis=1)  # fmt: skip
                place = place + length * along
                joints[:, hand, MANO.joints.index(f"{finger}{k + 1}")] = place
                down = down + (0.5 if finger == "thumb" else 1.0) * (0.55 + 0.5 * wave[4])
    return joints


@cache
def cameras(frames: int, seed: int, ego: bool) -> list[list[View]]:
    return RIGS["assembly"].place(seed).clip_views(frames, ego=ego)


@cache
def labelled(kind: str, seed: int) -> tuple[Labels, np.ndarray]:
    joints = hands(150, seed)
    labels = annotate(kind, joints, seed, views=cameras(150, seed, kind == "tracker"))
    return labels, labels.joints - joints


def mean_error(kind: str, seeds: range = range(8)) -> float:
    return float(np.nanmean([np.linalg.norm(labelled(kind, s)[1], axis=-1) for s in seeds]))


def memory(kind: str, frames: int) -> float:
    """Correlation of errors that lie some frames apart."""
    pairs = [labelled(kind, seed)[1] for seed in range(4)]
    before, after = (
        np.concatenate(x) for x in zip(*((e[:-frames], e[frames:]) for e in pairs), strict=True)
    )
    both = np.isfinite(before) & np.isfinite(after)
    return float(np.corrcoef(before[both], after[both])[0, 1])


def test_exact_labels_are_the_truth():
    labels = annotate("exact", hands(), 0)
    assert np.array_equal(labels.joints, hands()) and labels.valid.all()


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("manual", 2.3, 2.7), ("machine", 2.6, 2.95), ("annotator", 3.9, 4.5), ("tracker", 27, 33)],
)
def test_mean_errors_are_near_what_they_aim_at(kind, low, high):
    assert low < mean_error(kind) < high


def test_tracker_is_as_wrong_relative_to_the_wrist():
    errors = [labelled("tracker", seed)[1] for seed in range(8)]
    relative = [np.linalg.norm(e - e[:, :, :1], axis=-1) for e in errors]
    assert 25 < np.nanmean(relative) < 34


def test_models_without_cameras_keep_their_mean():
    errors = [annotate("machine", hands(), seed).joints - hands() for seed in range(8)]
    assert np.linalg.norm(errors, axis=-1).mean() == pytest.approx(2.78, rel=0.08)


def test_people_label_one_instant_a_second():
    labels, _ = labelled("manual", 0)
    (instants,) = np.nonzero(labels.valid.any(axis=(1, 2)))
    assert len(instants) == 5 and np.all(np.diff(instants) == 30)
    assert np.isnan(labels.joints[~labels.valid]).all()
    assert annotate("manual", hands()[:7], 0).valid.any()


def test_people_do_not_label_what_no_two_cameras_see():
    seen = np.ones((150, 3, 2, 21), bool)
    seen[:, 1:, 0, 4] = False
    labels = annotate("manual", hands(), 0, seen=seen)
    assert not labels.valid[:, 0, 4].any() and labels.valid[:, 1, 4].any()


@pytest.mark.parametrize("kind", ["manual", "machine"])
def test_hidden_joints_are_worse(kind):
    seen = np.ones((150, 4, 2, 21), bool)
    seen[:, :2, 0] = False
    errors = np.array([annotate(kind, hands(), s, seen=seen).joints - hands() for s in range(20)])
    length = np.nanmean(np.linalg.norm(errors, axis=-1), axis=(0, 1, 3))
    assert length[0] / length[1] == pytest.approx(2.0, rel=0.2)


def test_errors_drift_except_those_of_people():
    assert memory("machine", 1) > 0.85 and memory("machine", 15) < 0.6
    assert 0.6 < memory("annotator", 1) < 0.9
    assert memory("tracker", 1) > 0.85 and memory("tracker", 30) < 0.5
    assert abs(memory("manual", 30)) < 0.15


def test_drift_is_forgotten_at_the_stated_rate():
    noise = drift(np.random.default_rng(0), (40, 20_000), 0.3)
    assert noise.std(axis=1) == pytest.approx(1, abs=0.03)
    apart = (noise[:-9] * noise[9:]).mean()
    assert apart == pytest.approx(np.exp(-1), abs=0.02)


def test_annotator_has_heavier_tails_than_the_machine():
    def tail(kind: str) -> float:
        errors = np.concatenate([labelled(kind, s)[1].ravel() for s in range(8)])
        return float(np.quantile(np.abs(errors), 0.99) / np.abs(errors).mean())

    assert tail("annotator") > 1.05 * tail("machine")


def test_machine_sometimes_takes_one_finger_for_its_neighbour():
    joints = hands(3000)
    labels = annotate("machine", joints, 1)
    error = np.linalg.norm(labels.joints - joints, axis=-1)
    wrong = (error > 12).any(axis=-1)
    assert 0.001 < wrong.mean() < 0.05
    frame, hand = np.argwhere(wrong)[0]
    outer = {f: [MANO.joints.index(f"{f}{k}") for k in (2, 3, 4)] for f in FINGERS}
    nearest = {
        one: min(outer, key=lambda other, one=one: np.linalg.norm(
            labels.joints[frame, hand, outer[one]] - joints[frame, hand, outer[other]]))
        for one in outer
    }  # fmt: skip
    exchanged = {one for one, other in nearest.items() if one != other}
    assert exchanged in ({"index", "middle"}, {"middle", "ring"}, {"ring", "pinky"})


def turned_camera(aside: float) -> list[list[View]]:
    """One very wide egocentric camera, turned aside from the hands by some degrees."""
    K = np.array([[600.0, 0, 2000], [0, 600, 2000], [0, 0, 1]])
    turn = np.radians(aside)
    pose = look_at((0, 150, 500), (500 * np.sin(turn), 150, 500 - 500 * np.cos(turn)))
    return [[View("wide", 4000, 4000, K, pose, ego=True)]] * 150


def test_depth_is_wrong_most_and_more_away_from_the_middle():
    seen = np.ones((150, 1, 2, 21), bool)
    along, across = [], []
    for aside in (0.0, 45.0):
        views = turned_camera(aside)
        ray = hands() - views[0][0].T_world_from_camera[:3, 3]
        ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
        errors = [
            annotate("tracker", hands(), s, views=views, seen=seen).joints - hands()
            for s in range(6)
        ]
        depth = [(e * ray).sum(-1) for e in errors]
        along.append(np.nanstd(depth))
        across.append(
            np.nanstd([e - d[..., None] * ray for e, d in zip(errors, depth, strict=True)])
        )
    assert along[0] > 1.5 * across[0]
    assert along[1] > 1.5 * along[0]
    assert across[1] < 1.3 * across[0]


def test_tracker_freezes_a_hidden_hand_and_then_loses_it():
    seen = np.ones((150, 4, 2, 21), bool)
    seen[60:110, :, 1] = False
    labels = annotate("tracker", hands(), 3, views=cameras(150, 0, True), seen=seen)
    held = slice(60, 75)
    assert labels.valid[:, 0].all()
    assert labels.valid[held, 1].all() and not labels.valid[75:115, 1].any()
    assert labels.valid[117:, 1].all()
    assert np.all(labels.joints[held, 1] == labels.joints[59, 1])


def test_a_hand_that_is_never_seen_is_never_labelled_by_the_tracker():
    seen = np.zeros((150, 4, 2, 21), bool)
    labels = annotate("tracker", hands(), 0, views=cameras(150, 0, True), seen=seen)
    assert not labels.valid.any()


def test_tracker_needs_worn_cameras():
    for views in (None, cameras(150, 0, False)):
        with pytest.raises(ValueError, match="egocentric"):
            annotate("tracker", hands(), 0, views=views)
    with pytest.raises(ValueError, match="no annotator"):
        annotate("nobody", hands(), 0)


@pytest.mark.parametrize("kind", ANNOTATORS)
def test_absent_hands_are_not_labelled_and_do_not_hide_others(kind):
    views = cameras(150, 0, kind == "tracker")
    nothing = hands().copy()
    nothing[:, 0] = np.nan
    labels = annotate(kind, hands(), 2, views=views, present=(False, True))
    same = annotate(kind, nothing, 2, views=views)
    assert not labels.valid[:, 0].any() and np.isnan(labels.joints[:, 0]).all()
    assert labels.valid[:, 1].any()
    assert np.array_equal(labels.joints, same.joints, equal_nan=True)


@pytest.mark.parametrize("kind", ANNOTATORS)
def test_same_seed_same_labels(kind):
    views = cameras(150, 0, kind == "tracker")
    one, again, other = (annotate(kind, hands(), seed, views=views) for seed in (4, 4, 5))
    assert np.array_equal(one.joints, again.joints, equal_nan=True)
    assert kind == "exact" or not np.array_equal(one.joints, other.joints, equal_nan=True)


def test_a_hand_hides_what_is_behind_it():
    joints = hands()[:1].copy()
    joints[0, 1] = joints[0, 0] - [0, 0, 150]  # the left hand right behind the other
    K = np.array([[500.0, 0, 500], [0, 500, 500], [0, 0, 1]])
    pose = np.diag([1.0, -1, -1, 1])
    pose[:3, 3] = [*joints[0, 0, 5, :2], 900]
    views = [[View("front", 1001, 1001, K, pose)]]
    inside, seen = sightlines(joints, views, MANO)
    assert inside.all()
    assert seen[0, 0, 0].mean() > seen[0, 0, 1].mean()
    assert not seen[0, 0, 1, 5]
