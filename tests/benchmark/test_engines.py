"""The compiled engine equals the NumPy engine; histograms count exactly at their edges."""

import numpy as np
import pytest

from hand_bench import engine_numba, engine_numpy
from hand_bench.engine_numpy import SideErrors, histogram_bin
from hand_bench.metrics import pck_curve
from hand_bench.sums import SCORE_LEVELS, SumsLayout, SumsView, score_level

RNG = np.random.default_rng(2)
N = 700
GT = (RNG.normal(size=(N, 21, 3)) * 50 + [0, 0, 900]).astype(np.float32)
PREDICTIONS = {
    "noisy": GT + RNG.normal(size=GT.shape) * 12,
    "mirrored": GT * np.array([-1, 1, 1]),
    "perfect": GT,
    "unrelated": RNG.normal(size=GT.shape) * 80,
    "planar": GT * np.array([1, 1, 0]),
    "collinear": GT[:, :, :1] * np.array([1, 2, 3]),
}
COUNTS = RNG.random((N, 21)) < 0.9
FOUND = RNG.random(N) < 0.9
GROUP = np.sort(RNG.integers(0, 6, N))


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("edges", [tuple(float(t) for t in range(101)), (0.0, 2.63, 5.26, 50.0)])
def test_both_engines_give_the_same_sums_and_errors(kind, edges):
    layout, pred = SumsLayout(edges), PREDICTIONS[kind].astype(np.float32)
    found = []
    for engine in (engine_numpy, engine_numba):
        errors = SideErrors(*(np.full((N, 21), np.nan) for _ in range(3)))
        sums, collapsed = engine.side_sums(layout, pred, GT, COUNTS, FOUND, GROUP, 6, errors)
        found.append((sums, *errors))
        assert collapsed == -1
    for a, b in zip(*found, strict=True):
        assert np.allclose(a, b, rtol=1e-11, atol=1e-7, equal_nan=True)
    assert np.nanmax(np.abs(found[0][2] - found[1][2])) < 1e-9


@pytest.mark.parametrize("kind", ["noisy", "unrelated"])
def test_both_engines_give_the_same_acceleration(kind):
    pred = PREDICTIONS[kind].astype(np.float32)
    interval = np.where(RNG.random(N) < 0.8, 0.2, 0.0)
    a, b = (
        e.acceleration_sums(pred, GT, COUNTS, FOUND, interval, GROUP, 6)
        for e in (engine_numpy, engine_numba)
    )
    assert np.allclose(a, b, rtol=1e-11)
    assert a[:, 1].sum() > 0


@pytest.mark.parametrize("engine", [engine_numpy, engine_numba])
def test_a_hand_at_one_point_is_reported_with_its_row(engine):
    pred = PREDICTIONS["noisy"].astype(np.float32)
    row = int(np.flatnonzero(FOUND & COUNTS[:, 0])[3])
    pred[row] = 1.0
    _, collapsed = engine.side_sums(SumsLayout((0.0, 1.0)), pred, GT, COUNTS, FOUND, GROUP, 6)
    assert collapsed == row


def test_the_histogram_gives_the_exact_pck_curve():
    edges = np.arange(51.0)
    errors = np.concatenate([RNG.random(1000) * 60, edges, edges + 1e-5])
    counts = np.bincount(histogram_bin(errors, edges), minlength=52)
    exact = pck_curve(errors[:, None], np.ones((len(errors), 1), bool), edges)
    assert np.allclose(np.cumsum(counts)[:-1] / len(errors), exact)


def test_named_access_finds_every_field_of_both_sides():
    layout = SumsLayout((0.0, 1.0))
    view = SumsView(np.arange(float(layout.width)), layout)
    assert view["error"].shape == (2, 21) and view["mrrpe"].shape == ()
    assert view["error"][1, 0] == layout.side_width
    assert view.total("true_hands") == view["true_hands"].sum()


def test_score_levels_keep_the_order_of_probabilities():
    scores = np.linspace(0, 1, 1001)
    levels = score_level(scores)
    assert (np.diff(levels) >= 0).all()
    assert levels[0] == 0 and levels[-1] == SCORE_LEVELS - 1
    assert len(np.unique(score_level(np.array([0.9, 0.99, 0.999, 0.9999])))) == 4
