"""Documents cannot go stale: codes, commands, tracks and the README's example are compared."""

import re
from pathlib import Path

import pytest

from hand_bench import cli
from hand_bench.cli import main
from hand_bench.errors import CODES, Problem, codes_table
from hand_bench.tracks import TRACKS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_page_of_codes_is_what_the_command_prints(capsys):
    main(["codes"])
    page = (ROOT / "benchmark/docs/problem-codes.md").read_text("utf-8")
    assert capsys.readouterr().out == page == codes_table()


def test_every_code_is_used_somewhere_and_every_used_code_is_known():
    folders = (ROOT / "benchmark", ROOT / "baselines", ROOT / "leaderboard")
    paths = [p for f in folders for p in f.rglob("*.py") if p.name != "errors.py"]
    used = set(re.findall(r"HB\d{3}", "".join(p.read_text("utf-8") for p in paths)))
    assert used == set(CODES)


def test_a_problem_with_an_unknown_code_cannot_be_made():
    with pytest.raises(KeyError, match="HB999"):
        Problem("HB999", "", "")


@pytest.mark.parametrize("command", [*cli.COMMANDS, *cli.OUTER, "tracks ls", "tracks show",
                                     "data prepare", "data ls", "data verify", "suites ls",
                                     "suites show", "sim ls", "sim show", "sim make",
                                     "sim preview", "sim export-hand"])  # fmt: skip
def test_every_command_is_in_the_readme(command):
    assert f"hand-bench {command}" in README


@pytest.mark.parametrize("track", TRACKS)
def test_every_track_is_in_the_readme(track):
    assert f"`{track}`" in README


def test_the_readme_example_prints_what_the_readme_shows(tmp_path, monkeypatch, home, capsys):
    from hand_bench import demo

    monkeypatch.chdir(tmp_path)
    demo.make_track()
    demo.write_methods(Path("hand-bench-demo"), demo.read_truth())
    shown = re.search(r"```console\n\$ (hand-bench evaluate .*?)\n(.*?)```", README, re.S)
    main(shown[1].split()[1:])
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    expected = [line.rstrip() for line in shown[2].splitlines() if line.strip()]
    assert printed == expected
