"""Tables of suites: who is ranked, and with whom."""

import pytest

from hand_bench.suites import SUITES, printed
from hand_leaderboard.board import read_board
from leaderboard.board_world import BoardWorld

SUITE = SUITES["wildhands-zero-shot"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three methods on every track of the suite; one was trained on one of them."""
    folder = tmp_path_factory.mktemp("suites")
    world = BoardWorld(folder / "submissions", folder / "home")
    for track in SUITE.tracks:
        world.noisy(track, "near", 3, training=("rhd/training",))
        world.noisy(track, "far", 9)
        world.noisy(track, "seen", 1, training=("assemblyhands/train",))
        world.noisy(track, "shipped", 2, kind="baseline", weights=("wildhands-small",))
    world.noisy("assemblyhands", "single", 0.5)
    return read_board(world.root).suites[SUITE.name]


def test_methods_are_joined_by_name_and_kinds_stay_apart(table):
    kinds = {group.kind: [row.slug for row in group.rows] for group in table.groups}
    assert sorted(kinds["re-scored"]) == ["far", "near", "seen", "single"]
    assert kinds["reproduced"] == ["shipped"]


def test_mean_ranks_count_zero_shot_methods_alone(table):
    rows = {row.slug: row for row in table.groups[0].rows}
    # On H2O, Ego-Exo4D and Epic-HandKps `seen` is first and `near` second; on AssemblyHands
    # `single` is first and `near` second, since `seen` was trained on it.
    assert rows["near"].cells["mean-rank"].value == 2
    assert rows["far"].cells["mean-rank"].value == 3
    assert (rows["near"].rank, rows["far"].rank) == (1, 2)
    for name in ("seen", "single"):
        assert rows[name].rank is None and "mean-rank" not in rows[name].cells
        assert rows[name].note == "lacks a ranked number on some track"


def test_a_cell_says_why_it_is_not_ranked(table):
    seen = next(row for row in table.groups[0].rows if row.slug == "seen")
    assert seen.cells["assembly-mpjpe"].note == "not zero-shot (in-domain)"
    assert seen.cells["h2o-mpjpe"].note == ""


def test_reported_rows_are_those_of_the_papers(table):
    known = {row.method: row.mean_rank for row in printed(SUITE)}
    assert len(table.reported) == len(known)
    for row in table.reported:
        tables = row.source.partition(", ")[2]
        mean = row.cells["mean-rank"].value if "mean-rank" in row.cells else None
        assert known[f"{row.method}, {tables}"] == mean and row.rank is None


def test_the_same_name_of_other_people_is_another_method(tmp_path):
    world = BoardWorld(tmp_path / "submissions", tmp_path / "home")
    world.noisy("assemblyhands", "same", 3)
    world.noisy("epic-handkps", "same", 3, team="Others")
    rows = read_board(world.root).suites[SUITE.name].groups[0].rows
    assert sorted((row.slug, row.authors) for row in rows) == [
        ("same", "A team"), ("same-2", "Others")
    ]  # fmt: skip
