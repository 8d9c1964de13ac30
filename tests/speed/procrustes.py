"""Procrustes alignment on its own: hands per second, one thread, noisy hands with all joints."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from hand_bench.alignment import procrustes_align

HANDS = 20_000
LOOP_HANDS = 2_000


def hands_per_second() -> tuple[float, float, float | None]:
    """Rates of a loop of SVDs, of NumPy's batches and of the numba kernel (None without numba)."""
    generator = np.random.default_rng(0)
    gt = generator.normal([0, 0, 900], 40, (HANDS, 21, 3)).astype(np.float32)
    pred = gt + generator.normal(0, 12, gt.shape).astype(np.float32)
    loop = _rate(lambda: loop_of_svds(pred[:LOOP_HANDS], gt[:LOOP_HANDS]), LOOP_HANDS)
    numpy = _rate(lambda: batches(pred, gt), HANDS)
    try:
        kernel = numba_kernel()
    except ImportError:
        return loop, numpy, None
    valid, means = np.ones((HANDS, 21), bool), np.empty(HANDS)
    numba = _rate(lambda: kernel(pred, gt, valid, means), HANDS)
    np.testing.assert_allclose(means, batches(pred, gt), atol=1e-9)
    np.testing.assert_allclose(means[:LOOP_HANDS], loop_of_svds(pred[:LOOP_HANDS], gt[:LOOP_HANDS]),
                               atol=1e-9)  # fmt: skip
    return loop, numpy, numba


def loop_of_svds(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """PA-MPJPE of hands, one SVD after the other, as evaluation scripts do it."""
    errors = np.empty(len(pred))
    for i in range(len(pred)):
        p, g = pred[i].astype(np.float64), gt[i].astype(np.float64)
        p_mean, g_mean = p.mean(0), g.mean(0)
        x, y = p - p_mean, g - g_mean
        U, s, Vt = np.linalg.svd(x.T @ y)
        signs = np.array([1.0, 1.0, np.sign(np.linalg.det(U @ Vt))])
        scale = (s * signs).sum() / (x * x).sum()
        aligned = scale * x @ (U * signs) @ Vt + g_mean
        errors[i] = np.linalg.norm(aligned - g, axis=1).mean()
    return errors


def batches(pred: np.ndarray, gt: np.ndarray, size: int = 1024) -> np.ndarray:
    """Return the same with the package's readable function, in batches that fit the cache."""
    parts = []
    for start in range(0, len(pred), size):
        p, g = pred[start : start + size], gt[start : start + size].astype(np.float64)
        parts.append(np.linalg.norm(procrustes_align(p, g) - g, axis=-1).mean(axis=-1))
    return np.concatenate(parts)


def numba_kernel() -> Callable[..., None]:
    """Return the same with the compiled engine's kernel: one thread, no histograms."""
    import numba

    from hand_bench import engine_numba

    load, distances = engine_numba._load, engine_numba._procrustes_distances

    @numba.njit
    def kernel(pred, gt, valid, means):
        d, q = np.empty(21), np.empty((7, 21))
        for i in range(len(pred)):
            load(pred[i], gt[i], valid[i], q)
            distances(q, 21, d)
            means[i] = d.mean()

    return kernel


def _rate(function: Callable[[], object], hands: int, repeats: int = 5) -> float:
    function()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return hands / best
