"""Paired comparison: worked cases, errors files, signs."""

import numpy as np
import pytest

from benchmark.conftest import as_arrays
from hand_bench import SubmissionError, compare, evaluate, write_predictions


@pytest.fixture
def methods(world, tmp_path):
    paths = {}
    for name, noise in (("good", 5.0), ("same", 5.0), ("worse", 9.0)):
        seed = {"good": 1, "same": 2, "worse": 3}[name]
        paths[name] = tmp_path / f"{name}.parquet"
        write_predictions(paths[name], **as_arrays(world.predictions(seed=seed, noise=noise)))
    return paths


def difference(result, metric, subset="all"):
    return next(d for d in result.differences if (d.metric, d.subset) == (metric, subset))


def test_a_worse_method_is_found_worse_in_every_metric(methods):
    result = compare(methods["good"], methods["worse"], track="demo", resamples=1000)
    for metric in ("MPJPE", "PA-MPJPE", "AUC(0-50)", "MEPE"):
        found = difference(result, metric)
        assert found.better == "A" and found.p < 0.01
        assert found.ci95[0] <= found.difference <= found.ci95[1]
        assert (found.difference < 0) == (metric == "AUC(0-50)")


def test_a_method_against_itself_is_a_tie_with_difference_zero(methods):
    result = compare(methods["good"], methods["good"], track="demo", resamples=200)
    assert {d.better for d in result.differences} == {"tie"}
    assert {d.difference for d in result.differences} == {0.0}
    assert difference(result, "MPJPE").p == 1.0


def test_two_draws_of_the_same_noise_are_a_tie(methods):
    result = compare(methods["good"], methods["same"], track="demo", resamples=1000)
    assert difference(result, "MPJPE").better == "tie"


def test_exchanging_the_methods_changes_the_sign(methods):
    there = compare(methods["good"], methods["worse"], track="demo", resamples=200)
    back = compare(methods["worse"], methods["good"], track="demo", resamples=200)
    for a, b in zip(there.differences, back.differences, strict=True):
        assert a.difference == pytest.approx(-b.difference)


def test_errors_files_give_the_same_comparison(methods, tmp_path):
    files = []
    for name in ("good", "worse"):
        files.append(tmp_path / f"{name}-errors.parquet")
        evaluate(methods[name], track="demo", errors=files[-1], resamples=0)
    direct = compare(methods["good"], methods["worse"], track="demo", resamples=200)
    stored = compare(*files, track="demo", resamples=200)
    assert stored.to_json()["differences"] == direct.to_json()["differences"]


def test_means_are_those_of_evaluate_on_common_hands(methods):
    result = compare(methods["good"], methods["worse"], track="demo", resamples=200)
    for name, side in (("good", "a"), ("worse", "b")):
        scores = evaluate(methods[name], track="demo", resamples=0)
        for metric in ("MPJPE", "PA-MPJPE", "AUC(0-50)", "MEPE", "MRRPE"):
            expected = scores.score(metric).value
            assert getattr(difference(result, metric), side) == pytest.approx(expected, rel=1e-6)


def test_a_method_that_misses_hands_loses_auc_not_mpjpe(world, methods, tmp_path):
    missing = world.predictions(seed=1, noise=5.0)
    rng = np.random.default_rng(0)
    for prediction in missing.values():
        if prediction["right"] is not None and rng.random() < 0.2:
            prediction |= {"right": None, "left_root": None}
    write_predictions(tmp_path / "m.parquet", **as_arrays(missing))
    result = compare(methods["good"], tmp_path / "m.parquet", track="demo", resamples=500)
    assert difference(result, "AUC(0-50)").better == "A"
    assert difference(result, "MPJPE").difference == 0.0


def test_errors_of_another_track_are_refused(methods, tmp_path):
    evaluate(methods["good"], track="demo", errors=tmp_path / "e.parquet", resamples=0)
    with pytest.raises(SubmissionError, match=r"HB113 e\.parquet: holds errors of track 'demo'"):
        compare(tmp_path / "e.parquet", tmp_path / "e.parquet", track="interhand26m")
