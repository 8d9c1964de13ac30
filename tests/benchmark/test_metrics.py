"""Metrics: worked by hand, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_bench import metrics

RNG = np.random.default_rng(1)
ERRORS = np.array([[0.0, 3.0, 5.0], [0.0, 1.0, 9.0]])
VALID = np.array([[True, True, True], [True, True, False]])


def test_joint_errors_are_distances():
    assert metrics.joint_errors(np.array([[3.0, 4.0, 0.0]]), np.zeros((1, 3))) == [5.0]


def test_the_three_means_of_mpjpe_worked_by_hand():
    assert metrics.mpjpe(ERRORS, VALID, mean="pooled") == pytest.approx(9 / 5)
    assert metrics.mpjpe(ERRORS, VALID, mean="joint,sample") == pytest.approx((0 + 2 + 5) / 3)
    assert metrics.mpjpe(ERRORS, VALID, mean="hand") == pytest.approx((8 / 3 + 1 / 2) / 2)


def test_the_means_agree_where_every_joint_is_valid():
    errors, valid = RNG.random((50, 21)), np.ones((50, 21), bool)
    values = [metrics.mpjpe(errors, valid, mean=m) for m in ("pooled", "joint,sample", "hand")]
    assert np.allclose(values, errors.mean())


def test_nothing_to_average_gives_nan_not_zero():
    empty = np.zeros((2, 3), bool)
    assert np.isnan(metrics.mpjpe(ERRORS, empty))
    assert np.isnan(metrics.pck_curve(ERRORS, empty, np.array([1.0]))).all()
    assert np.isnan(metrics.average_precision(np.array([0.5]), np.array([False])))


def test_per_joint_leaves_out_joints_that_never_occur():
    only = np.array([[True, False, True], [True, False, False]])
    assert np.allclose(metrics.per_joint(ERRORS, only), [0, np.nan, 5], equal_nan=True)


def test_pck_counts_a_joint_at_the_threshold_and_missed_joints_as_failures():
    curve = metrics.pck_curve(ERRORS, VALID, np.array([0.0, 1.0, 3.0, 5.0]))
    assert np.allclose(curve, [2 / 5, 3 / 5, 4 / 5, 1])
    with_missed = metrics.pck_curve(ERRORS, VALID, np.array([5.0]), missed_joints=5)
    assert np.allclose(with_missed, [0.5])


def test_auc_of_a_straight_line_is_a_half_and_of_perfection_one():
    thresholds = np.linspace(0, 50, 51)
    assert metrics.auc(thresholds / 50, thresholds) == pytest.approx(0.5)
    assert metrics.auc(np.ones(51), thresholds) == pytest.approx(1.0)


def test_presence_accuracy_treats_ties_as_each_scorer_does():
    scores = np.array([[0.9, 0.1], [0.9, 0.5]])
    present = np.array([[True, False], [True, False]])
    assert metrics.presence_accuracy(scores, present) == 0.5
    assert metrics.presence_accuracy(scores, present, ties="absent") == 1.0


def test_average_precision_worked_by_hand_with_a_tie():
    scores = np.array([0.9, 0.8, 0.8, 0.1])
    present = np.array([True, False, True, True])
    assert metrics.average_precision(scores, present) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


@given(st.permutations(range(6)))
def test_average_precision_does_not_depend_on_the_order_of_rows(order):
    scores = np.array([0.9, 0.7, 0.7, 0.5, 0.2, 0.2])
    present = np.array([True, False, True, True, False, True])
    expected = metrics.average_precision(scores, present)
    assert metrics.average_precision(scores[list(order)], present[list(order)]) == expected


def test_mrrpe_is_a_mean_distance_of_relative_roots():
    pred, gt = np.array([[3.0, 0, 0], [0, 0, 4.0]]), np.zeros((2, 3))
    assert metrics.mrrpe(pred, gt) == 3.5


def test_acceleration_of_uniform_motion_is_zero_and_of_a_kick_known():
    frames = np.arange(5.0)[:, None, None] * np.ones((1, 2, 3))
    gt = np.zeros((5, 2, 3))
    assert np.allclose(metrics.acceleration_errors(frames, gt, 0.2), 0)
    kick = gt.copy()
    kick[2, 0, 0] = 10.0  # 10 mm for one frame at 5 fps
    assert np.allclose(
        metrics.acceleration_errors(kick, gt, 0.2)[:, 0], np.array([10, 20, 10]) / 0.04 / 1000
    )


def test_wrist_aligned_errors_do_not_see_a_translation():
    gt = RNG.normal(size=(4, 21, 3))
    assert np.allclose(metrics.wrist_aligned_errors(gt + np.array([1, 2, 3]), gt), 0)


def test_procrustes_errors_are_at_most_the_aligned_ones_on_average_square():
    gt = RNG.normal(size=(20, 21, 3)) * 50
    pred = gt + RNG.normal(size=gt.shape) * 10
    square = (metrics.procrustes_errors(pred, gt) ** 2).sum(axis=1)
    assert (square <= (metrics.wrist_aligned_errors(pred, gt) ** 2).sum(axis=1) + 1e-9).all()


def test_2d_error_is_pooled_over_valid_joints():
    pred = np.array([[[0.0, 0], [3, 4]], [[6, 8], [0, 0]]])
    valid = np.array([[True, True], [True, False]])
    assert metrics.l2_error_2d(pred, np.zeros((2, 2, 2)), valid) == 5.0


def test_the_root_rule_drops_a_hand_without_its_wrist():
    valid = np.array([[True, True], [False, True]])
    assert metrics.root_valid(valid).tolist() == [[True, True], [False, False]]
