"""Data for the site's scripts: it gives the published numbers, and what `compare` says."""

import json

import numpy as np
import pytest

from hand_bench import bootstrap
from hand_bench.comparison import compare
from hand_leaderboard.board import read_board
from hand_leaderboard.board.columns import slug
from hand_leaderboard.board.digests import ClusterParts, digest
from hand_leaderboard.board.interactive import (
    pck_curve,
    progress,
    sums_data,
    track_data,
    worst_samples,
)
from leaderboard.board_world import BoardWorld
from leaderboard.test_board_exports import row, table_of

POSES, PLANAR, CLIPS = "assemblyhands", "epic-handkps", "h2o-action-val"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> BoardWorld:
    folder = tmp_path_factory.mktemp("interactive")
    made = BoardWorld(folder / "submissions", folder / "home")
    for track, one, two in ((POSES, 4, 6), (PLANAR, 3, 9), (CLIPS, 0.9, 0.6)):
        made.noisy(track, "one", one, errors=True)
        made.noisy(track, "two", two, seed=2, errors=True)
    return made


@pytest.fixture(scope="module")
def board(world):
    return read_board(world.root)


def of(board, track):
    return [s for s in board.submissions if s.track.name == track]


@pytest.mark.parametrize("track", [POSES, PLANAR, CLIPS])
def test_ratios_are_the_published_numbers(board, track):
    found = of(board, track)
    shared = track_data(found)
    assert shared["metrics"][0]["primary"]
    for submission in found:
        data = sums_data(submission, shared)
        for metric in shared["metrics"]:
            for subset, ratio in data["ratios"][metric["key"]].items():
                assert len(ratio["total"]) == len(ratio["weight"]) == len(shared["clusters"])
                value = sum(ratio["total"]) / sum(ratio["weight"])
                score = submission.result.score(metric["label"], subset)
                assert value == pytest.approx(score.value, rel=1e-5)


@pytest.mark.parametrize(("track", "metric"), [(POSES, "AUC(0-50)"), (PLANAR, "PCK@0.2"),
                                               (CLIPS, "accuracy")])  # fmt: skip
def test_a_browser_finds_the_paired_difference_of_the_compare_command(board, world, track, metric):
    one, two = of(board, track)
    shared = track_data([one, two])
    a, b = (sums_data(s, shared)["ratios"][slug(metric)]["all"] for s in (one, two))
    files = [world.home / f"{track}-{s.name}.parquet" for s in (one, two)]
    made = world.track(track)
    known = compare(*files, track=track, annotations=made.annotations, resamples=1000)
    expected = next(d for d in known.differences if (d.metric, d.subset) == (metric, "all"))
    value = sum(b["total"]) / sum(b["weight"]) - sum(a["total"]) / sum(a["weight"])
    assert value == pytest.approx(expected.difference, abs=1e-5)
    counts = bootstrap.resample_counts(len(shared["clusters"]), 1000, 0)
    drawn = [counts @ r["total"] / (counts @ r["weight"]) for r in (a, b)]
    assert bootstrap.interval(drawn[1] - drawn[0]) == pytest.approx(expected.ci95, abs=1e-5)


def test_missed_hands_weigh_in_shares_and_not_in_distances(world, board):
    made = world.track(PLANAR)
    path = world.home / "misses.parquet"
    present = made.present.copy()
    present[::3] = False
    place = world.add(made, "misses", made.write(path, made.noisy(3), present))
    try:
        found = next(s for s in of(read_board(world.root), PLANAR) if s.name == "misses")
        parts = digest(found).parts
        full = digest(next(s for s in of(board, PLANAR) if s.name == "one")).parts
        assert parts["PCK@0.2"]["all"].value == pytest.approx(
            found.result.primary.value, rel=1e-6
        )  # fmt: skip
        share, distance = (
            parts[m]["all"].weights.sum() / full[m]["all"].weights.sum()
            for m in ("PCK@0.2", "L2 error 2D")
        )
        assert share == 1 and distance < 0.8
    finally:
        import shutil

        shutil.rmtree(place)


def test_joints_have_their_mean_errors(board):
    submission = of(board, POSES)[0]
    data = sums_data(submission, track_data(of(board, POSES)))
    known = submission.result.details["all"]["per_joint"]
    for side in ("right", "left"):
        expected = list(known[side].values())
        # A wrist that is aligned has no error and is none of the 20 joints.
        assert data["joints"][side][1:] == pytest.approx(expected[1:], rel=1e-4)
    both = np.array([data["joints"][side] for side in ("right", "left")], float)
    assert both.min(0)[5] <= data["joints"]["both"][5] <= both.max(0)[5]
    assert sums_data(of(board, CLIPS)[0], track_data(of(board, CLIPS)))["joints"] is None


def test_curves_end_where_the_result_says(board):
    curve = pck_curve(of(board, POSES)[0])
    assert curve["at"][0] == 0 and curve["at"][-1] == 50 and len(curve["pck"]) == 51
    area = np.trapezoid(curve["pck"], curve["at"]) / 50
    assert area == pytest.approx(of(board, POSES)[0].result.primary.value, abs=1e-4)
    assert pck_curve(of(board, PLANAR)[0]) is None


def test_other_clusters_cannot_be_paired(board):
    one, two = of(board, POSES)
    shared = track_data([one, two])
    assert sums_data(one, {**shared, "clusters": shared["clusters"][1:]}) is None
    assert track_data([]) is None


@pytest.mark.parametrize("track", [POSES, PLANAR])
def test_worst_samples_are_those_with_the_largest_errors(board, world, track):
    import pyarrow.parquet as pq

    submission = of(board, track)[1]
    found = worst_samples(submission, 5)
    errors = [one["error"] for one in found]
    assert errors == sorted(errors, reverse=True) and len(found) == 5
    table = pq.read_table(submission.errors)
    kind = "mpjpe" if track == POSES else "l2"
    values = [v for side in ("right", "left") for v in table.column(f"{side}_{kind}").to_pylist()]
    assert errors[0] == pytest.approx(max(v for v in values if v is not None), rel=1e-5)
    clusters = [one["cluster"] for one in found]
    assert max(clusters.count(name) for name in clusters) <= 3


def test_wrong_clips_name_truth_and_answer(tmp_path):
    # The clips' errors file is what `evaluate --errors` writes.
    from benchmark.small_tracks import clip_track
    from hand_bench.evaluator import evaluate

    world = BoardWorld(tmp_path / "submissions", tmp_path / "home")
    made = clip_track(tmp_path, CLIPS)
    path = made.write(tmp_path / "p.parquet", label=made.answers(0.5))
    place = world.add(made, "half", path)
    evaluate(path, track=CLIPS, annotations=made.annotations, errors=place / "errors.parquet")
    (submission,) = read_board(world.root).submissions
    found = worst_samples(submission)
    assert len(found) == 12 and all(one["truth"] != one["answer"] for one in found)
    assert found[0]["truth"] in made.track.classes


def test_errors_of_hidden_truth_are_never_read(board, tmp_path):
    from dataclasses import replace

    submission = of(board, POSES)[0]
    assert worst_samples(submission)
    hidden = replace(submission, track=replace(submission.track, truth="hidden"))
    assert worst_samples(hidden) == []


def test_everything_is_json_and_small(board):
    for track in (POSES, PLANAR, CLIPS):
        shared = track_data(of(board, track))
        for submission in of(board, track):
            data = sums_data(submission, shared), shared, worst_samples(submission)
            text = json.dumps(data, allow_nan=False)
            assert json.loads(text) == json.loads(json.dumps(data)) and len(text) < 50_000


def test_progress_marks_what_was_best_when_it_came():
    rows = [
        row("a", 3, 0.5, 9.0, date="2026-01-01"),
        row("b", 4, 0.4, 9.0, date="2026-02-01"),
        row("c", 1, 0.9, 9.0, date="2026-03-01"),
        row("d", 2, 0.8, 9.0, date="2026-03-01"),
        row("listed", None, 0.99, 9.0, date="2026-01-01"),
    ]
    (group,) = progress(table_of(rows))
    assert [(p["slug"], p["best"]) for p in group["points"]] == [
        ("a", True), ("b", False), ("c", True), ("d", False)
    ]  # fmt: skip


def test_a_digest_has_a_value_of_nothing_where_there_is_nothing():
    assert np.isnan(ClusterParts(np.zeros(3), np.zeros(3)).value)


def test_several_processes_read_the_same_digests(board, monkeypatch):
    from hand_leaderboard.board import digests

    expected = [digest(s) for s in board.submissions]
    monkeypatch.setattr(digests, "_known", {})
    monkeypatch.setattr(digests, "_MANY", 2)
    digests.prepare(board.submissions, workers=2)
    assert len(digests._known) == len(board.submissions)
    for one, other in zip(expected, map(digest, board.submissions), strict=True):
        assert one.clusters == other.clusters
        for metric, subsets in one.parts.items():
            for name, parts in subsets.items():
                assert np.array_equal(parts.totals, other.parts[metric][name].totals)
