"""Alignment: equal to the SVD solution on every kind of hand, and its laws."""

import numpy as np
import pytest

from hand_bench.alignment import (
    fit_similarity,
    procrustes_align,
    procrustes_align_unguarded,
    root_align,
)
from hand_bench.errors import HandBenchError

RNG = np.random.default_rng(0)
HANDS = RNG.normal(size=(300, 21, 3)) * 50
LINE = HANDS[:, :, :1]
CASES = {
    "noisy": (HANDS + RNG.normal(size=HANDS.shape) * 10, HANDS),
    "mirrored": (HANDS * [-1, 1, 1], HANDS),
    "perfect": (HANDS * 1.1 + 5, HANDS),
    "unrelated": (RNG.normal(size=HANDS.shape) * 50, HANDS),
    "planar": (HANDS * [1, 1, 0] + 3, HANDS * [1, 1, 0]),
    "collinear": (LINE * [1.0, 2.0, 3.0], LINE * [2.0, -1.0, 0.5]),
    "nearly collinear": (HANDS * [1, 1e-3, 1e-3], HANDS),
    "turned inside out": (-HANDS, HANDS),
    "far away": (HANDS * 0.9 + [0, 0, 1e4], HANDS),
}


def svd_align(pred, gt):
    """Umeyama's solution for one hand, the plain way."""
    x, y = pred - pred.mean(axis=0), gt - gt.mean(axis=0)
    U, s, Vt = np.linalg.svd(x.T @ y)
    signs = np.array([1, 1, np.sign(np.linalg.det(U @ Vt))])
    scale = (s * signs).sum() / (x * x).sum()
    return scale * x @ (U * signs) @ Vt + gt.mean(axis=0)


@pytest.mark.parametrize("case", CASES)
def test_procrustes_equals_the_svd_solution(case):
    pred, gt = CASES[case]
    expected = np.stack([svd_align(p, g) for p, g in zip(pred, gt, strict=True)])
    found = np.linalg.norm(procrustes_align(pred, gt) - gt, axis=-1)
    assert np.abs(found - np.linalg.norm(expected - gt, axis=-1)).max() < 1e-9


def test_procrustes_is_unmoved_by_a_similarity_of_the_prediction():
    pred, gt = CASES["noisy"]
    Q, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    moved = 2.7 * pred @ (Q * np.linalg.det(Q)) + [10, -20, 300]
    assert np.allclose(procrustes_align(moved, gt), procrustes_align(pred, gt), atol=1e-8)


def test_procrustes_estimates_on_valid_joints_only():
    pred, gt = CASES["perfect"]
    broken = pred.copy()
    broken[:, 7] += 1000
    valid = np.ones(pred.shape[:2], bool)
    valid[:, 7] = False
    assert np.allclose(procrustes_align(broken, gt, valid)[valid], gt[valid])


def test_procrustes_never_reflects_but_the_unguarded_form_does():
    pred, gt = CASES["mirrored"]
    assert np.linalg.norm(procrustes_align(pred, gt) - gt, axis=-1).mean() > 10
    assert np.allclose(procrustes_align_unguarded(pred, gt), gt)


def test_rotations_are_proper_and_scales_positive():
    for pred, gt in CASES.values():
        fit = fit_similarity(pred, gt, np.ones(pred.shape[:2], bool))
        assert np.allclose(np.linalg.det(fit.R), 1)
        assert (fit.scale > 0).all()


def test_a_hand_without_extent_raises_and_is_nan_unguarded():
    gt = HANDS[:1]
    with pytest.raises(HandBenchError, match="HB122 Procrustes alignment is undefined"):
        procrustes_align(np.ones_like(gt), gt)
    assert np.isnan(procrustes_align_unguarded(np.ones_like(gt), gt)).all()


def test_two_valid_joints_are_too_few():
    valid = np.zeros((1, 21), bool)
    valid[:, :2] = True
    with pytest.raises(HandBenchError, match="needs three valid joints"):
        procrustes_align(HANDS[:1], HANDS[:1], valid)


def test_root_alignment_moves_the_root_to_the_origin_only():
    aligned = root_align(HANDS, 3)
    assert np.array_equal(aligned[:, 3], np.zeros((300, 3)))
    assert np.allclose(np.diff(aligned, axis=1), np.diff(HANDS, axis=1))
