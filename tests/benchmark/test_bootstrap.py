"""Clustered intervals: known cases, coverage, seeds."""

import numpy as np
import pytest

from hand_bench import bootstrap
from hand_bench.sums import Sums, SumsLayout, SumsView

RNG = np.random.default_rng(0)
LAYOUT = SumsLayout((0.0, 1.0, 2.0))


def test_resamples_are_seeded_and_draw_as_many_clusters_as_there_are():
    counts = bootstrap.resample_counts(30, 200, seed=1)
    assert (counts.sum(axis=1) == 30).all()
    assert np.array_equal(counts, bootstrap.resample_counts(30, 200, seed=1))
    assert not np.array_equal(counts, bootstrap.resample_counts(30, 200, seed=2))


def test_resampled_sums_are_read_by_name_like_the_sums_themselves():
    view = SumsView(RNG.random((6, LAYOUT.width)), LAYOUT)
    counts = bootstrap.resample_counts(6, 10, 0)
    found, whole = bootstrap.Resampled(view, counts), SumsView(counts @ view.values, LAYOUT)
    for name in LAYOUT.slices:
        assert np.allclose(found[name], whole[name])
    assert np.allclose(found.total("histogram"), whole.total("histogram"))


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        clusters = 10 + rng.normal(0, 2, 40)  # clusters differ; their sizes too
        sizes = rng.integers(5, 50, 40)
        interval = bootstrap.paired_interval(
            clusters * sizes, sizes.astype(float), resamples=400, seed=0
        )
        covered += interval[0] <= 10 <= interval[1]
    assert 0.88 <= covered / 200 <= 0.99


def test_too_few_clusters_give_no_interval():
    few = np.ones(bootstrap.MIN_CLUSTERS - 1)
    assert bootstrap.paired_interval(few, few, resamples=10, seed=0) is None
    assert bootstrap.randomisation_p(few, resamples=10, seed=0) is None


def test_the_interval_is_numpys_quantiles():
    values = RNG.normal(size=997)
    assert np.allclose(bootstrap.interval(values), np.quantile(values, [0.025, 0.975]))


def test_a_resample_without_a_value_gives_no_interval():
    assert bootstrap.interval(np.array([1.0, np.nan])) is None


def test_the_randomisation_test_tells_a_shift_from_noise():
    noise = RNG.normal(0, 1, 60)
    assert bootstrap.randomisation_p(noise + 1, resamples=2000, seed=0) < 0.001
    assert bootstrap.randomisation_p(noise - noise.mean(), resamples=2000, seed=0) > 0.5


def test_sums_merge_in_any_grouping():
    keys = [(("single", "human"), f"s{k}") for k in range(100)]
    rows = RNG.random((100, LAYOUT.width))
    whole, first, second = Sums(LAYOUT), Sums(LAYOUT), Sums(LAYOUT)
    whole.add(keys, rows)
    first.add(keys[:30], rows[:30])
    second.add(keys[30:], rows[30:])
    first.merge(second)
    assert first.rows == whole.rows
    assert all(np.array_equal(first[row], whole[row]) for row in range(100))


def test_clusters_add_up_the_cells_that_are_chosen():
    sums, rows = Sums(LAYOUT), RNG.random((6, LAYOUT.width))
    sums.add([((kind,), name) for kind in ("a", "b") for name in ("z", "y", "x")], rows)
    view = sums.clusters(lambda cell: True)
    assert view.names == ["x", "y", "z"]
    added = SumsView(rows[[2, 1, 0]] + rows[[5, 4, 3]], LAYOUT)
    for name in LAYOUT.slices:
        assert np.allclose(view[name], added[name])
    assert np.allclose(view.total("error"), added.total("error"))
    assert np.allclose(view.whole().values, rows.sum(axis=0))
    assert sums.clusters(lambda cell: cell == ("a",))["mrrpe"].shape == (3,)


def test_sums_of_other_thresholds_do_not_merge():
    with pytest.raises(ValueError, match="another layout"):
        Sums(LAYOUT).merge(Sums(SumsLayout((0.0, 5.0))))
