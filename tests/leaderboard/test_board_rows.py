"""The rows that a board starts with: what `baselines submit` writes is accepted and ranked."""

import json
import shutil

import pytest

from hand_baselines import board_rows
from hand_baselines.board_rows import BoardRow, write_row
from hand_baselines.floor_answers import fitted_to, floor_answers, floor_names
from hand_baselines.weights import SHIPPED, shipped
from hand_bench.errors import BaselineError
from hand_bench.tracks import TRACKS, find_track
from hand_leaderboard.board import read_board
from hand_leaderboard.submissions.meta import Meta
from hand_leaderboard.submissions.submitting import submit

HANDSIM = [track for name, track in TRACKS.items() if name.startswith("handsim-")]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """HandSim's STB and its training table, both the same small table of one track."""
    from benchmark.small_tracks import camera_track
    from hand_bench import data

    home = tmp_path_factory.mktemp("rows-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(home))
        track = find_track("handsim-stb")
        for split in (track.table, "train"):
            place = data.folder(track.dataset, split)
            place.mkdir(parents=True)
            made = camera_track(place, "handsim-stb", frames=4)
            rows = made.annotations
            assert rows.is_file()
        yield home


@pytest.fixture
def home(small, monkeypatch):
    monkeypatch.setenv("HAND_BENCH_HOME", str(small))
    return small


def test_floors_are_written_accepted_and_ranked(home, tmp_path):
    found = board_rows.board_rows(track="handsim-stb")
    assert [row.name for row in found] == ["zero", "mean-pose", "nearest-box"]
    for row in found:
        place = write_row(row, tmp_path / "rows", date="2026-01-31")
        submit(place / "predictions.parquet", track=row.track, meta=place / "submission.yaml",
               root=tmp_path / "submissions", name=place.name)  # fmt: skip
    table = read_board(tmp_path / "submissions").main_table("handsim-stb")
    (group,) = table.groups
    assert group.kind == "re-scored" and {row.rank for row in group.rows} == {1, 2, 3}
    assert group.rows[-1].slug == "floor-zero" and group.rows[-1].cells["auc-0-50"].value < 0.1
    assert all(row.zero_shot == "in-domain" for row in group.rows)


def test_a_floor_says_what_it_is_given(home, tmp_path):
    meta = Meta.read(write_row(BoardRow("zero", find_track("handsim-stb")), tmp_path)
                     / "submission.yaml")  # fmt: skip
    assert meta.inputs == ("boxes:gt", "scale:own", "hand_side:own", "root_depth:none")
    assert (meta.training, meta.units, meta.kind) == (("handsim-stb/train",), "mm", "method")


def test_every_kind_of_track_has_its_floors():
    for track in HANDSIM:
        names = floor_names(track)
        assert bool(names) != track.several_views
        assert floor_answers(track, ["nothing"]) == {}
    assert floor_names(find_track("handsim-h2o-action")) == ("most-frequent",)
    assert floor_names(find_track("epic-handkps")) == ()
    assert fitted_to(find_track("handsim-epic-handkps")).name == "handsim-arctic-ego"


#: Weights that answer a track by themselves; the others are parts.
ANSWERING = [name for name in shipped() if (SHIPPED / name / "predictions.parquet").is_file()]


@pytest.mark.parametrize("name", ANSWERING)
def test_shipped_weights_are_described_as_the_schema_asks(name, tmp_path):
    track = find_track(json.loads((SHIPPED / name / "result.json").read_text())["track"]["name"])
    place = write_row(BoardRow(name, track), tmp_path, date="2026-01-31")
    meta = Meta.read(place / "submission.yaml")
    assert meta.check_for(track, "") == []
    assert (meta.kind, meta.weights, meta.method) == ("baseline", (name,), name)
    kept = (SHIPPED / name / "predictions.parquet").read_bytes()
    assert (place / "predictions.parquet").read_bytes() == kept
    assert meta.predictions.weights == name and not meta.predictions.file
    assert all(line.startswith("handsim-") for line in meta.training) and meta.parameters > 1000


def test_predictions_of_another_file_are_not_taken(tmp_path, monkeypatch):
    folder = tmp_path / "weights" / "svegonet-small"
    shutil.copytree(SHIPPED / "svegonet-small", folder)
    track = find_track("handsim-assemblyhands")
    assert board_rows._is_scored(folder, track)
    assert not board_rows._is_scored(folder, find_track("handsim-stb"))
    (folder / "predictions.parquet").write_bytes(b"changed")
    assert not board_rows._is_scored(folder, track)


def test_other_tracks_of_weights_have_rows_where_they_are_prepared(monkeypatch):
    monkeypatch.setattr(board_rows, "_is_prepared", lambda track: True)
    found = {(row.name, row.track.name) for row in board_rows.board_rows()}
    assert ("htt-small", "handsim-h2o-pose") in found
    assert ("htt-small", "handsim-h2o-action") in found
    assert {name for name, _ in found} >= {*ANSWERING, "zero", "mean-pose", "nearest-box"}
    slugs = {row.slug for row in board_rows.board_rows("rootnet-small")}
    assert slugs == {"handsim-interhand26m/internet-small-with-rootnet-small"}
    assert ("zero", "handsim-desktop-activities") not in found


def test_a_row_that_there_is_not_says_what_to_do(home):
    with pytest.raises(BaselineError, match=r"HB302 .*no prepared track has such a row"):
        board_rows.board_rows("most-frequent")
    with pytest.raises(BaselineError, match="HB301"):
        board_rows.board_rows("no-such-weights")


def test_the_command_leaves_alone_what_is_there(home, tmp_path, capsys):
    from hand_bench.cli import main

    arguments = ["baselines", "submit", "mean-pose", "--track", "handsim-stb", "--root",
                 str(tmp_path), "--date"]  # fmt: skip
    for date in ("2026-01-31", "2026-02-01"):
        main([*arguments, date])
    path = tmp_path / "handsim-stb" / "floor-mean-pose" / "submission.yaml"
    assert Meta.read(path).date == "2026-01-31"
    assert capsys.readouterr().out.count("hand-bench submit ") == 2
    main([*arguments, "2026-02-01", "--again"])
    assert Meta.read(path).date == "2026-02-01"
