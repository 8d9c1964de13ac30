"""`hand-bench leaderboard ls` and `table`."""

import json

import pytest

from hand_bench.cli import main
from leaderboard.board_world import BoardWorld

TRACK = "handsim-stb"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> BoardWorld:
    folder = tmp_path_factory.mktemp("commands")
    made = BoardWorld(folder / "submissions", folder / "home")
    made.noisy(TRACK, "good", 2, method="[bold]Good[/bold]")
    made.noisy(TRACK, "bad", 20)
    return made


def run(capsys, *arguments) -> tuple[str, str]:
    try:
        main(["leaderboard", *map(str, arguments)])
    except SystemExit as stopped:
        assert not stopped.code, capsys.readouterr().err
    done = capsys.readouterr()
    return done.out, done.err


def test_ls_counts_rows_of_every_kind(world, capsys):
    out, _ = run(capsys, "ls", "--root", world.root, "--json")
    boards = {one["name"]: one for one in json.loads(out)["boards"]}
    assert (boards[TRACK]["re-scored"], boards[TRACK]["reproduced"]) == (2, 0)
    assert boards[TRACK]["procedural"] and not boards["interhand26m"]["procedural"]
    assert boards["h2o-action"]["reported"] == 18
    assert len(boards[TRACK]["top group"]) == 1


def test_a_table_is_printed_as_text_without_markup(world, capsys):
    out, _ = run(capsys, "table", TRACK, "--root", world.root)
    assert "[bold]Good[/bold]" in out and "\x1b" not in out
    assert "procedural data, says nothing about real data" in out
    assert "re-scored; boxes: gt, scale: own, hand side: own, root depth: own" in out


@pytest.mark.parametrize(
    ("name", "begins"),
    [("csv", '"kind",'), ("json", "{"), ("latex", "% "), ("markdown", "HandSim"),
     ("bibtex", "@misc{")],
)  # fmt: skip
def test_every_format_is_printed_or_written(world, capsys, tmp_path, name, begins):
    out, _ = run(capsys, "table", TRACK, "--root", world.root, "--format", name)
    assert out.startswith(begins)
    path = tmp_path / "table.txt"
    written, _ = run(capsys, "table", TRACK, "--root", world.root, "--format", name, "-o", path)
    assert written.strip() == str(path) and path.read_text("utf-8").rstrip("\n") == out.rstrip("\n")


def test_a_protocol_is_chosen_and_others_are_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, err = run(capsys, "table", "h2o-pose")
    assert "protocol official" in out and "`--protocol` gives htt too" in err
    assert "published numbers alone" in err
    out, _ = run(capsys, "table", "h2o-pose", "--protocol", "htt")
    assert "protocol htt" in out


def test_a_suite_is_a_table_too(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, _ = run(capsys, "table", "wildhands-zero-shot", "--format", "markdown")
    assert "mean rank" in out and "Prakash et al. 2024" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["handsim-st"], "'handsim-stb'"), ([TRACK, "--protocol", "x"], "HB301"),
     ([TRACK, "--root", "nowhere"], "HB142")],
)  # fmt: skip
def test_what_is_unknown_is_said(world, capsys, arguments, said):
    root = [] if "--root" in arguments else ["--root", str(world.root)]
    with pytest.raises(SystemExit) as stopped:
        main(["leaderboard", "table", *arguments, *root])
    assert stopped.value.code == 1 and said in capsys.readouterr().err
