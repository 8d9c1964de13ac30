"""The board: which rows stand where, what is ranked with what, and what is refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from hand_bench.errors import SubmissionError, TrackError
from hand_bench.reported import reported
from hand_bench.tracks import TRACKS, find_track, track_names
from hand_leaderboard.board import read_board
from hand_leaderboard.board.columns import column_key, full_inputs, slug, unique
from hand_leaderboard.board.reading import find_tables
from hand_leaderboard.board.tables import KINDS, REPORTED
from leaderboard.board_world import BoardWorld, standard_inputs

TRACK = "handsim-stb"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> BoardWorld:
    """Five submissions to one track: two groups of inputs, a baseline, and one with holes."""
    folder = tmp_path_factory.mktemp("board")
    made = BoardWorld(folder / "submissions", folder / "home")
    made.noisy(TRACK, "good", 2, training=("rhd/training",), method="Good")
    made.noisy(TRACK, "bad", 20, date="2026-02-01", authors=("Jo Doe", "An Other"))
    made.noisy(TRACK, "given", 2, inputs=standard_inputs(TRACK, hand_side="gt"))
    made.noisy(TRACK, "holes", 1, incomplete=5)
    made.noisy(TRACK, "shipped", 3, kind="baseline", weights=("internet-small",))
    return made


@pytest.fixture(scope="module")
def board(world):
    return read_board(world.root)


@pytest.fixture
def copied(world, tmp_path) -> BoardWorld:
    """A copy that a test may change."""
    shutil.copytree(world.root, tmp_path / "submissions")
    return BoardWorld(tmp_path / "submissions", world.home)


def test_rows_of_three_kinds_are_in_lists_of_their_own(board):
    table = board.main_table(TRACK)
    kinds = [(group.kind, [row.slug for row in group.rows]) for group in table.groups]
    assert kinds == [
        ("re-scored", ["good", "bad", "holes"]),
        ("re-scored", ["given"]),
        ("reproduced", ["shipped"]),
    ]
    assert all(row.kind == group.kind for group in table.groups for row in group.rows)
    assert all(row.kind == REPORTED for t in board.tables for row in t.reported)


def test_groups_are_made_of_declared_inputs(board):
    standard, given, shipped = board.main_table(TRACK).groups
    assert standard.inputs == shipped.inputs == standard_inputs(TRACK)
    assert standard.standard and shipped.standard and not given.standard
    assert "hand side: gt" in given.label and "hand side: own" in standard.label
    assert len({group.key for group in (standard, given, shipped)}) == 3


def test_a_clear_difference_has_ranks_of_its_own(board):
    good, bad, holes = board.main_table(TRACK).groups[0].rows
    assert (good.rank, good.rank_interval, good.ties) == (1, (1, 1), 1)
    assert (bad.rank, bad.rank_interval, bad.ties) == (2, (2, 2), 2)
    assert (holes.rank, holes.rank_interval, holes.ties) == (None, None, None)
    assert board.top_group(TRACK) == (good,)


def test_answers_that_lack_samples_are_listed_and_not_ranked(board):
    row = board.main_table(TRACK).groups[0].rows[-1]
    assert row.coverage == pytest.approx(19 / 24)
    assert row.note == "answers 19 of 24 samples (79.1 %): listed, not ranked"
    assert row.cells["auc-0-50"].value > 0.5


def test_a_row_says_what_its_submission_says(board):
    good, bad, *_ = board.main_table(TRACK).groups[0].rows
    assert (good.method, good.submission, good.date) == ("Good", f"{TRACK}/good", "2026-01-31")
    assert (good.training, good.zero_shot) == (("rhd/training",), "zero-shot")
    assert (bad.authors, bad.author_list) == ("Jo Doe, An Other", ("Jo Doe", "An Other"))
    assert bad.zero_shot == "undeclared" and bad.coverage == 1


def test_cells_are_the_scores_of_the_result(board, world):
    for table in board.tracks[TRACK]:
        for row in table.scored:
            result = next(s for s in board.submissions if s.slug == row.submission).result
            for column in table.columns:
                score = result.score(column.metric, column.subset, column.protocol)
                cell = row.cells[column.key]
                assert (cell.value, cell.ci95, cell.text) == (
                    score.value, score.ci95, score.text()
                )  # fmt: skip


def test_the_primary_number_orders_the_main_table_and_it_comes_first(board):
    for name, tables in board.tracks.items():
        primary = find_track(name).primary
        assert tables[0].main and not any(table.main for table in tables[1:])
        column = tables[0].columns[0]
        assert column == tables[0].primary
        assert (column.metric, column.protocol, column.subset) == (
            primary.metric, primary.protocol, primary.subset
        )  # fmt: skip


def test_other_protocols_are_ordered_by_value_and_not_judged(board):
    other = next(table for table in board.tracks[TRACK] if table.protocol == "hand3d")
    rows = other.groups[0].rows
    assert [row.rank for row in rows] == [1, 2, None]
    assert all(row.rank_interval is None and row.ties is None for row in rows)
    assert other.groups[0].method == "ordered by value; differences are not judged"


def test_every_number_of_every_paper_is_in_some_table(board):
    for name in TRACKS:
        expected = sorted(
            (r.paper, r.table, r.row, r.protocol, column_key(r.metric, r.subset), r.printed)
            for r in reported(name)
        )
        shown = sorted(
            (row.paper.name, *_place(row), table.protocol, key, cell.printed)
            for table in board.tracks.get(name, ())
            for row in table.reported
            for key, cell in row.cells.items()
        )
        assert shown == expected
    assert sum(len(t.reported) for tables in board.tracks.values() for t in tables) > 200


def _place(row):
    """Table and row in the paper, out of "PAPER, TABLE, row ROW"."""
    rest = row.source.removeprefix(f"{row.paper.name}, ")
    table, _, name = rest.partition(", row ")
    return table, name


def test_reported_rows_have_no_ranks_and_the_best_is_first(board):
    table = next(t for t in board.tracks["h2o-action"] if t.protocol == "official")
    values = [row.cells["accuracy"].value for row in table.reported]
    assert values == sorted(values, reverse=True) and values[0] == 0.9132
    assert table.reported[0].cells["accuracy"].text == "91.32"
    assert all(row.rank is None and row.rank_interval is None for row in table.reported)


def test_an_error_in_print_shows_what_it_should_be(board):
    rows = [row for table in board.tables for row in table.reported]
    wrong = [c for row in rows for c in row.cells.values() if c.corrected]
    assert wrong and all(float(cell.printed) != cell.value for cell in wrong)
    assert not all(row.verified for row in rows)


def test_procedural_data_is_apart_from_real_data(board):
    assert not set(board.real) & set(board.procedural)
    assert TRACK in board.procedural and "interhand26m" in board.real
    assert all(name.startswith("handsim-") for name in board.procedural)
    assert not any(table.reported for table in board.tables if table.procedural)


def test_every_track_has_a_board_and_keys_are_unique(board):
    assert set(board.tracks) == set(track_names()) - {"demo"}
    names = [table.name for table in board.tables]
    assert len(set(names)) == len(names)
    for table in board.tables:
        keys = [column.key for column in table.columns]
        slugs = [row.slug for row in table.rows]
        assert len(set(keys)) == len(keys) and len(set(slugs)) == len(slugs)
        assert all(key == slug(key) for key in (*keys, *slugs, table.name))
        assert sum(column.primary for column in table.columns) == bool(table.columns)


def test_one_track_alone_gives_the_same_tables(board, world):
    assert read_board(world.root, track=TRACK).tracks == {TRACK: board.tracks[TRACK]}


def test_the_order_of_folders_changes_nothing(board, copied, monkeypatch):
    from hand_leaderboard.board import reading

    turned = tuple(reversed(reading.read_submissions(copied.root)))
    monkeypatch.setattr(reading, "read_submissions", lambda root: turned)
    again = read_board(copied.root)
    assert again.tracks == board.tracks and again.suites == board.suites


def test_a_submission_without_a_row_is_an_error(copied):
    (copied.root / TRACK / "good" / "result.json").unlink()
    (copied.root / TRACK / "good" / "sums.parquet").unlink()
    with pytest.raises(SubmissionError, match=r"HB150 .*good: .*it was never scored"):
        read_board(copied.root)
    with pytest.raises(SubmissionError, match="HB150"):
        read_board(copied.root, track=TRACK)


def test_what_was_withdrawn_has_no_row_and_is_no_error(copied):
    place = copied.root / TRACK / "good"
    for name in ("result.json", "sums.parquet", "predictions.parquet"):
        (place / name).unlink()
    (place / "withdrawn.yaml").write_text('date: "2026-03-01"\nreason: A mistake.\n')
    board = read_board(copied.root)
    assert "good" not in [row.slug for row in board.main_table(TRACK).rows]
    assert [s.name for s in board.submissions if s.withdrawn] == ["good"]


def test_sums_of_other_clusters_are_listed_and_not_ranked(copied):
    from hand_leaderboard.submissions.sums import Sums, write_sums

    path = copied.root / TRACK / "bad" / "sums.parquet"
    sums = Sums.read(path)
    sums.rows.rows = {(cell, f"x{name}"): row for (cell, name), row in sums.rows.rows.items()}
    write_sums(path, sums.rows, sums.track)
    copied.noisy(TRACK, "third", 4)
    rows = read_board(copied.root).main_table(TRACK).groups[0].rows
    assert [(row.slug, row.rank) for row in rows] == [
        ("good", 1), ("third", 2), ("bad", None), ("holes", None)
    ]  # fmt: skip
    assert rows[2].note == "its sums are of other clusters than those of most: listed, not ranked"


def test_damaged_sums_are_an_error_with_their_place(copied):
    (copied.root / TRACK / "bad" / "sums.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(SubmissionError, match=r"HB146 .*bad/sums\.parquet"):
        read_board(copied.root)


def test_an_unknown_board_names_the_nearest(board):
    with pytest.raises(TrackError, match=r"Did you mean 'handsim-stb'"):
        find_tables(board, "handsim-st")
    assert find_tables(board, "wildhands-zero-shot")[0].suite == "wildhands-zero-shot"


def test_inputs_that_are_not_declared_say_so():
    track = replace(find_track("stb"), inputs={"boxes": ("standard",), "K": ("gt", "own")})
    assert full_inputs(track, ("K:own", "zeal:much")) == (
        "boxes:undeclared", "K:own", "zeal:much"
    )  # fmt: skip


def test_names_are_fit_for_addresses_and_unique():
    assert slug("Wén et al. 2023, Table 3 / r*w") == "wen-et-al-2023-table-3-r-w"
    assert slug("手") == "x"
    assert unique(["a", "a", "a-2", "a"]) == ["a", "a-2", "a-2-2", "a-3"]


def test_kinds_are_shown_in_one_order(board):
    for table in board.tables:
        order = [KINDS.index(group.kind) for group in table.groups]
        assert order == sorted(order)


def test_action_tracks_are_ranked_by_accuracy(tmp_path):
    world = BoardWorld(tmp_path / "submissions", tmp_path / "home")
    for name, right in (("often", 0.95), ("seldom", 0.3)):
        world.noisy("handsim-h2o-action", name, right)
    rows = read_board(world.root).main_table("handsim-h2o-action").groups[0].rows
    assert [(r.slug, r.rank_interval) for r in rows] == [("often", (1, 1)), ("seldom", (2, 2))]
    assert np.isclose(rows[0].cells["accuracy"].value, 0.95, atol=0.06)


def test_hidden_tracks_are_ranked_by_published_sums_alone(tmp_path):
    from benchmark.small_tracks import camera_track
    from hand_leaderboard.board.interactive import sums_data, track_data, worst_samples
    from hand_leaderboard.submissions.submitting import submit
    from leaderboard.board_world import described

    made = camera_track(tmp_path, "egoexo4d-hand-test", sequences=6, frames=32)
    for name, noise in (("near", 3.0), ("far", 12.0)):
        preds = made.write(tmp_path / f"{name}.parquet", made.noisy(noise))
        described(made, preds, method=name).write(tmp_path / f"{name}.yaml")
        submit(preds, track=made.track, meta=tmp_path / f"{name}.yaml", name=name,
               root=tmp_path / "submissions", annotations=str(made.annotations))  # fmt: skip
    board = read_board(tmp_path / "submissions")
    rows = board.main_table("egoexo4d-hand-test").groups[0].rows
    assert [(r.slug, r.rank, r.rank_interval) for r in rows] == [
        ("near", 1, (1, 1)), ("far", 2, (2, 2))
    ]  # fmt: skip
    assert all(s.errors is None and worst_samples(s) == [] for s in board.submissions)
    shared = track_data(board.submissions)
    ratio = sums_data(board.submissions[0], shared)["ratios"]["auc-0-50"]["all"]
    value = sum(ratio["total"]) / sum(ratio["weight"])
    assert value == pytest.approx(rows[1].cells["auc-0-50"].value, abs=1e-3)
