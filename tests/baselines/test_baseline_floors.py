"""Floors: predictors that look at boxes only (no torch)."""

import subprocess
import sys

import numpy as np
import pytest

import hand_bench
from hand_baselines.floors import COLUMNS, FLOORS, MeanPose, NearestBox, Views, class_frequencies
from hand_bench.geometry import project

RNG = np.random.default_rng
K = np.array([[1000.0, 0, 250], [0, 1000, 170], [0, 0, 1]])


def views(count: int = 40, seed: int = 0, *, own: bool = True, noise: float = 3.0) -> Views:
    """Pictures of two stiff hands at varying places, with a box per hand or one around both."""
    rng = RNG(seed)
    shape = RNG(99).normal(0, 40, (2, 21, 3))
    shape -= shape[:, :1]
    wrist = rng.normal([[60, 0, 900], [-60, 0, 1000]], [50, 50, 20], (count, 2, 3))
    joints = wrist[:, :, None] + shape + rng.normal(0, noise, (count, 2, 21, 3))
    points = project(joints, np.broadcast_to(K, (count, 1, 3, 3)))
    low, high = points.min(axis=2), points.max(axis=2)
    hand_box = np.concatenate([low, high - low], axis=-1)
    both_low, both_high = low.min(axis=1), high.max(axis=1)
    bbox = np.concatenate([both_low, both_high - both_low], axis=-1)
    cameras = np.broadcast_to(K, (count, 3, 3))
    return Views.from_boxes(cameras, bbox, hand_box, joints, per_hand=own)


def mean_error(columns, truth: Views, *, aligned: bool) -> float:
    pred = np.stack([columns["right_joints"], columns["left_joints"]], axis=1).astype(float)
    gt = truth.joints
    if aligned:
        pred, gt = pred - pred[:, :, :1], gt - gt[:, :, :1]
    return float(np.linalg.norm(pred - gt, axis=-1).mean())


def test_the_mean_pose_is_exact_for_stiff_hands_at_one_depth():
    train = views(noise=0.0)
    stiff = MeanPose.fit(train)
    assert np.allclose(stiff.pose, train.joints[0] - train.joints[0, :, :1])
    assert (
        mean_error(stiff.predict(views(seed=1, noise=0.0)), views(seed=1, noise=0.0), aligned=True)
        < 1e-3
    )


def test_the_mean_pose_is_placed_where_the_box_is():
    train, test = views(noise=0.0), views(seed=1, noise=0.0)
    columns = MeanPose.fit(train).predict(test)
    pixels = project(columns["right_joints"].astype(float), test.K).mean(axis=1)
    true = project(test.joints[:, 0], test.K).mean(axis=1)
    assert np.abs(pixels - true).max() < 8
    assert np.allclose(columns["right_joints"][:, 0, 2], MeanPose.fit(train).depth[0], atol=1e-3)


def test_with_one_box_for_both_hands_each_side_has_its_place_in_it():
    train, test = views(own=False), views(seed=1, own=False)
    columns = MeanPose.fit(train).predict(test)
    pixels = [
        project(columns[f"{s}_joints"].astype(float), test.K).mean() for s in ("right", "left")
    ]
    assert pixels[0] > pixels[1]


def test_zero_puts_all_joints_at_one_place_but_not_at_one_point():
    columns = FLOORS["zero"](views()).predict(views(seed=1))
    spread = np.ptp(columns["left_joints"], axis=1)
    assert 0 < spread.max() < 0.5


def test_the_nearest_box_returns_its_own_training_hand():
    train = views()
    columns = NearestBox.fit(train).predict(train)
    assert np.allclose(columns["right_joints"], train.joints[:, 0], atol=1e-3)
    assert np.allclose(columns["left_joints"], train.joints[:, 1], atol=1e-3)


def test_the_floors_are_in_the_expected_order_on_stiff_hands():
    train, test = views(400), views(seed=1)
    errors = {
        n: mean_error(fit(train).predict(test), test, aligned=True) for n, fit in FLOORS.items()
    }
    assert errors["mean-pose"] < errors["nearest-box"] < errors["zero"]


def test_hands_without_a_box_are_answered_by_no_such_hand():
    test = views(4, seed=1)
    test.box[2, 1] = np.nan
    for fit in FLOORS.values():
        columns = fit(views()).predict(test)
        assert np.isnan(columns["left_joints"][2]).all() and columns["left_score"].tolist() == [
            1,
            1,
            0,
            1,
        ]
        assert np.isfinite(columns["right_joints"]).all()


def test_without_own_boxes_the_score_is_how_often_the_hand_is_there():
    train = views(40, own=False)
    train.joints[10:, 1] = np.nan
    columns = MeanPose.fit(train).predict(views(3, seed=1, own=False))
    assert (
        columns["left_score"].tolist() == [0.25] * 3 and columns["right_score"].tolist() == [1] * 3
    )
    again = NearestBox.fit(train).predict(train)
    assert np.array_equal(again["left_score"] == 1, np.arange(40) < 10)


def test_a_floor_is_given_the_common_box_or_that_of_each_hand():
    hands = np.array([[[10.0, 20, 30, 40], [50, 10, 10, 10]], [[10, 20, 30, 40], [np.nan] * 4]])
    bbox, joints = np.array([[0.0, 0, 99, 99], [np.nan] * 4]), np.zeros((2, 2, 21, 3))
    common = Views.from_boxes(np.stack([K, K]), bbox, hands, joints)
    assert common.box[0].tolist() == [[0, 0, 99, 99]] * 2 and not common.own.any()
    assert common.box[1].tolist() == [[10, 20, 30, 40]] * 2
    each = Views.from_boxes(np.stack([K, K]), bbox, hands, joints, per_hand=True)
    assert np.array_equal(each.box, hands, equal_nan=True) and each.own.all()
    hull = Views.from_boxes(K[None], bbox[1:], hands[:1], joints[:1])
    assert hull.box[0, 1].tolist() == [10, 10, 50, 50]


def test_a_picture_without_a_usable_box_is_answered_by_no_hands():
    nothing, flat = np.full((1, 2, 4), np.nan), np.array([[5.0, 5, 0, 0]])
    view = Views.from_boxes(K[None], flat, nothing, np.zeros((1, 2, 21, 3)))
    for fit in FLOORS.values():
        columns = fit(views(own=False)).predict(view)
        assert np.isnan(columns["right_joints"]).all() and columns["right_score"].tolist() == [0]


@pytest.mark.parametrize("fit", FLOORS.values())
def test_a_side_that_training_never_shows_is_answered_by_no_such_hand(fit):
    train, asked = views(), views(seed=1)
    train.joints[:, 1] = np.nan
    columns = fit(train).predict(asked)
    assert np.isnan(columns["left_joints"]).all() and not columns["left_score"].any()
    both = fit(views()).predict(asked)
    assert np.allclose(columns["right_joints"], both["right_joints"])
    train.joints[:] = np.nan
    with pytest.raises(ValueError, match="no training picture shows a hand"):
        fit(train)


def test_class_frequencies_leave_out_what_is_not_known():
    shares = class_frequencies(np.array([2, -1, 0, 2, 2]), 4)
    assert shares.tolist() == [0.25, 0, 0.75, 0]
    with pytest.raises(ValueError, match="no training clip"):
        class_frequencies(np.array([-1]), 4)


def test_floors_configs_and_result_files_load_no_torch():
    code = (
        "import sys, hand_baselines, hand_baselines.floors, hand_baselines.rootnet.output_file\n"
        "import hand_baselines.internet.config, hand_baselines.svegonet.config\n"
        "import hand_baselines.rootnet.config\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", list(FLOORS))
def test_floors_answer_a_track_and_are_scored(skeleton_track, name, tmp_path):
    batch = next(skeleton_track.batches(["sample_id", *COLUMNS]))
    seen = Views.of(batch)
    columns = FLOORS[name](seen).predict(seen)
    path = tmp_path / "floor.parquet"
    hand_bench.write_predictions(path, batch.sample_id.to_pylist(), track="demo", **columns)
    result = hand_bench.evaluate(path, track="demo", units="mm", resamples=10)
    assert 0 < result.score("MPJPE").value < 150


def test_what_null_rows_hold_is_not_read():
    class Batch(dict):
        def given(self, name):
            return np.array([True, not name.startswith("left")])

    batch = Batch(K=np.tile(np.eye(3), (2, 1, 1)), bbox=np.full((2, 4), 9.0))
    for side in ("left", "right"):
        batch[f"{side}_bbox"] = np.full((2, 4), 7.0)
        batch[f"{side}_joints"] = np.ones((2, 21, 3))
        batch[f"{side}_valid"] = np.ones((2, 21), np.uint8)
    seen = Views.of(batch, per_hand=True)
    absent = np.isnan(seen.joints).all(axis=(2, 3))
    assert (absent.sum(), np.isnan(seen.box).all(axis=2).tolist()) == (1, absent.tolist())
    assert absent[1].sum() == 1 and seen.present.sum() == 3
