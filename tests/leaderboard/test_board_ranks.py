"""Ranks, rank intervals and tie groups: worked by hand, and their laws."""

import itertools

import numpy as np
import pytest

from hand_bench import bootstrap
from hand_leaderboard.board import ranks
from hand_leaderboard.board.ranks import clear_differences, holm, standings
from leaderboard.board_world import per_cluster


def noisy_rows(levels, clusters=40, spread=0.05, seed=0):
    rng = np.random.default_rng(seed)
    return per_cluster(np.array(levels)[:, None] + rng.normal(0, spread, (len(levels), clusters)))


def test_holm_stops_at_the_first_p_that_is_too_large():
    # Sorted: 0.01 <= 0.05/3, then 0.03 > 0.05/2, so 0.04 <= 0.05/1 is not looked at.
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == [False, True, False]
    assert holm(np.array([0.04, 0.01, 0.02])).tolist() == [True, True, True]
    assert holm(np.array([])).tolist() == []


def test_rank_intervals_and_ties_worked_by_hand():
    # a beats c and d, b beats d.
    clear = np.zeros((4, 4), bool)
    clear[0, 2] = clear[0, 3] = clear[1, 3] = True
    found = standings(np.array([0.9, 0.8, 0.7, 0.6]), clear, higher_is_better=True)
    assert [s.rank for s in found] == [1, 2, 3, 4]
    assert [s.interval for s in found] == [(1, 2), (1, 3), (2, 4), (3, 4)]
    # a and b are in the first group; of what remains c leads, and d is not clearly worse.
    assert [s.ties for s in found] == [1, 1, 2, 2]


def test_lower_is_better_turns_the_order_around():
    clear = np.zeros((3, 3), bool)
    clear[2, 0] = True  # the largest error is clearly larger than the smallest
    found = standings(np.array([5.0, 6.0, 9.0]), clear, higher_is_better=False)
    assert [s.rank for s in found] == [1, 2, 3]
    assert [s.interval for s in found] == [(1, 2), (1, 3), (2, 3)]
    assert [s.ties for s in found] == [1, 1, 2]


def test_equal_values_share_a_rank_and_nothing_is_judged_without_differences():
    found = standings(np.array([0.5, 0.7, 0.5]), None, higher_is_better=True)
    assert [s.rank for s in found] == [2, 1, 2]
    assert {(s.interval, s.ties) for s in found} == {(None, None)}


@pytest.mark.parametrize(("clusters", "clear"), [(5, False), (6, True), (12, True)])
def test_a_constant_lead_is_clear_from_six_clusters_on(clusters, clear):
    # All signs equal: 2 of 2**5 patterns are as large, p = 0.0625; of 2**6, p = 0.031.
    totals, weights = per_cluster([[0.8] * clusters, [0.7] * clusters])
    found = clear_differences(totals, weights)
    assert found.tolist() == [[False, clear], [False, False]]


def test_four_clusters_are_too_few_to_judge():
    assert clear_differences(*per_cluster([[0.8] * 4, [0.1] * 4])) is None


def test_a_lead_that_one_cluster_makes_is_not_clear():
    totals, weights = per_cluster([[0.5] * 19 + [9.0], [0.5] * 20])
    assert not clear_differences(totals, weights).any()


def test_two_rows_are_judged_by_the_p_of_the_compare_command():
    for seed in range(20):
        totals, weights = noisy_rows([0.50, 0.52], clusters=9, spread=0.02, seed=seed)
        p = bootstrap.randomisation_p(totals[1] - totals[0], resamples=ranks.FLIPS, seed=0)
        drawn = bootstrap.paired_interval(
            totals[1] - totals[0], weights[0], resamples=ranks.RESAMPLES, seed=0
        )
        expected = p <= 0.05 and (drawn[0] > 0 or drawn[1] < 0)
        assert clear_differences(totals, weights).any() == expected


def test_the_bound_is_never_below_the_exact_p():
    rng = np.random.default_rng(0)
    signs = np.array(list(itertools.product((-1, 1), repeat=10)))
    for _ in range(50):
        sums = rng.normal(rng.uniform(0, 2), 1, 10) * rng.gamma(1, 1, 10)
        exact = np.mean(np.abs(signs @ sums) >= abs(sums.sum()) * (1 - 1e-12))
        assert ranks._bound(sums[None])[0] >= exact


def test_hundreds_of_pairs_are_still_told_apart():
    totals, weights = noisy_rows([0.9] * 20 + [0.5] * 20, clusters=60)
    clear = clear_differences(totals, weights)
    assert clear[:20, 20:].all()  # 780 pairs: no p of 10,000 flips would be small enough
    assert not clear[:20, :20].any() and not clear[20:, 20:].any() and not clear[20:, :20].any()


@pytest.mark.parametrize("rows", [3, 8, 30])
def test_flips_are_left_out_only_where_they_decide_nothing(rows):
    levels = np.linspace(0.5, 0.56, rows)
    for seed in range(5):
        totals, weights = noisy_rows(levels, clusters=15, spread=0.02, seed=seed)
        order = np.argsort(-totals.sum(axis=1), kind="stable")
        parts = (totals / weights.sum(axis=1, keepdims=True))[order]
        first, second = np.triu_indices(rows, 1)
        sums = parts[first] - parts[second]
        p = np.minimum(ranks._bound(sums), ranks._flip_p(sums, ranks.FLIPS, 0))
        all_of_them = np.zeros((rows, rows), bool)
        all_of_them[first[holm(p)], second[holm(p)]] = True
        assert np.array_equal(ranks._significant(parts, ranks.FLIPS, 0), all_of_them)


def test_the_order_of_rows_changes_nothing():
    totals, weights = noisy_rows([0.5, 0.5, 0.55, 0.6, 0.9, 0.9], clusters=12)
    order = np.random.default_rng(1).permutation(len(totals))
    clear, turned = clear_differences(totals, weights), clear_differences(
        totals[order], weights[order]
    )  # fmt: skip
    assert clear.any() and not clear.all()
    assert np.array_equal(clear[np.ix_(order, order)], turned)
    values = totals.sum(axis=1)
    places = standings(values, clear, higher_is_better=True)
    again = standings(values[order], turned, higher_is_better=True)
    assert [places[k] for k in order] == again


def test_scale_and_direction_change_nothing_but_signs():
    totals, weights = noisy_rows([0.5, 0.53, 0.6], clusters=12)
    clear = clear_differences(totals, weights)
    assert np.array_equal(clear, clear_differences(1000 * totals, 4 * weights))
    assert np.array_equal(clear.T, clear_differences(-totals, weights))


def test_a_row_is_never_clear_of_one_that_is_clear_of_it():
    totals, weights = noisy_rows(np.linspace(0.4, 0.6, 25), clusters=20)
    clear = clear_differences(totals, weights)
    assert clear.any() and not (clear & clear.T).any()
    for place in standings(totals.sum(axis=1), clear, higher_is_better=True):
        low, high = place.interval
        assert low <= place.rank <= high


def test_clusters_without_anything_are_left_out_of_a_ratio():
    totals, weights = per_cluster([[0.8] * 8 + [0.0] * 2, [0.2] * 8 + [0.0] * 2])
    weights[:, 8:] = 0
    assert clear_differences(totals, weights)[0, 1]
