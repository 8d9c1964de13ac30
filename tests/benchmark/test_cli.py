"""The command line in process: exit codes, what goes to stdout and what to stderr."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from benchmark.conftest import as_arrays
from hand_bench import cli, evaluate, write_predictions
from hand_bench.cli import main
from hand_bench.cli.score import print_result
from hand_bench.tracks import TRACKS


@pytest.fixture
def preds(world, tmp_path):
    path = tmp_path / "preds.parquet"
    write_predictions(path, **as_arrays(world.predictions(seed=7)), track="demo")
    return path


def test_evaluate_prints_a_table_for_every_protocol(preds, capsys):
    main(["evaluate", str(preds), "--track", "demo", "--resamples", "100"])
    out, err = capsys.readouterr()
    for word in ("official", "mmpose", "recommended", "PA-MPJPE", "ranked by AUC(0-50) all:"):
        assert word in out
    assert err == ""


def test_json_is_one_object_equal_to_the_library_result(preds, capsys):
    main(["evaluate", str(preds), "--track", "demo", "--json", "--resamples", "100"])
    found = json.loads(capsys.readouterr().out)
    assert found == evaluate(preds, track="demo", resamples=100).to_json()
    assert found["predictions"]["path"] == str(preds) and len(found["predictions"]["sha256"]) == 64


def test_result_and_errors_files_are_written(preds, tmp_path, capsys):
    main(
        [
            "evaluate",
            str(preds),
            "--track",
            "demo",
            "-o",
            str(tmp_path / "r.json"),
            "--errors",
            str(tmp_path / "e.parquet"),
            "--resamples",
            "0",
        ]
    )
    assert json.loads((tmp_path / "r.json").read_text())["track"]["name"] == "demo"
    assert pq.read_metadata(tmp_path / "e.parquet").num_rows == pq.read_metadata(preds).num_rows
    assert "wrote" in capsys.readouterr().err


def test_partial_runs_say_so(preds, capsys):
    main(["evaluate", str(preds), "--track", "demo", "--limit", "20", "--resamples", "0"])
    assert "PARTIAL: the first 20 samples; not comparable" in capsys.readouterr().out


def test_a_problem_of_the_user_exits_with_1_and_prints_no_traceback(preds, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(preds), "--track", "interhand26m"])
    out, err = capsys.readouterr()
    assert stop.value.code == 1 and out == ""
    assert err.startswith("HB201 interhand26m test: is not prepared under ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [["evaluate"], ["evaluate", "p", "--trak", "demo"], ["nonsense"]]
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_an_unknown_track_names_the_nearest(preds, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", str(preds), "--track", "interhand"])
    assert capsys.readouterr().err == (
        "HB301 there is no track 'interhand'.\n"
        "      Did you mean 'interhand26m'?\n"
        f"      Known: {', '.join(TRACKS)}.\n"
    )


def test_validate_describes_a_good_file(preds, world, capsys):
    main(["validate", str(preds), "--track", "demo"])
    out, err = capsys.readouterr()
    assert out.startswith(
        f"preds.parquet: fits track demo: {len(world.samples):,} rows (samples), "
    )
    assert err.startswith("note: no inputs are declared")


def test_tracks_are_listed_and_described(capsys):
    main(["tracks", "ls"])
    assert "interhand26m" in capsys.readouterr().out
    main(["tracks", "show", "interhand26m"])
    shown = capsys.readouterr().out
    for word in ("849160", "H-IH", "official", "boxes", "CC-BY-NC"):
        assert word in shown


def test_data_is_prepared_listed_and_verified(interhand26m_sample, home, capsys):
    main(["data", "prepare", "interhand26m", str(interhand26m_sample)])
    out, err = capsys.readouterr()
    assert out.startswith("interhand26m test: prepared, 4 samples of 4 sequences, release")
    assert "2 single hand, 2 interacting" in out
    assert err.startswith("warning: HB205") and "aid_human_annot_test.txt was not found" in err
    main(["data", "ls"])
    assert "interhand26m" in capsys.readouterr().out
    main(["data", "verify", "interhand26m"])
    assert capsys.readouterr().out == "interhand26m test: 4 samples, unchanged\n"


def test_nothing_prepared_says_what_to_do(home, capsys):
    main(["data", "ls"])
    assert "hand-bench demo" in capsys.readouterr().err


def test_compare_prints_differences(preds, world, tmp_path, capsys):
    write_predictions(tmp_path / "b.parquet", **as_arrays(world.predictions(seed=8, noise=30.0)))
    main(
        [
            "compare",
            str(preds),
            str(tmp_path / "b.parquet"),
            "--track",
            "demo",
            "--resamples",
            "200",
        ]
    )
    out = capsys.readouterr().out
    assert "A = preds.parquet, B = b.parquet" in out and "MPJPE" in out


def test_the_template_command_writes_ids(world, tmp_path, capsys):
    main(["template", "--track", "demo", "-o", str(tmp_path / "t.parquet"), "--inputs"])
    assert (
        capsys.readouterr().out == f"{tmp_path / 't.parquet'}: {len(world.samples):,} ids of demo\n"
    )


def test_the_version_is_printed(capsys):
    main(["--version"])
    assert capsys.readouterr().out.strip() == cli.__version__


def test_a_command_whose_extra_is_missing_says_which(monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "hand_leaderboard.report", raising=False)
    with pytest.raises(SystemExit) as stop:
        main(["report", "p.parquet", "--track", "demo"])
    assert stop.value.code == 1
    assert capsys.readouterr().err == (
        "HB401 report: jinja2 is not installed.\n      pip install 'hand-bench[leaderboard]'\n"
    )


def test_zero_shot_says_why(tmp_path, capsys):
    (tmp_path / "submission.yaml").write_text("training:\n  - assembly101/train\n")
    main(["zero-shot", str(tmp_path / "submission.yaml"), "--track", "assemblyhands/val"])
    assert capsys.readouterr().out == (
        "assemblyhands/val: same corpus\n"
        "      trained on assembly101/train; assemblyhands comes from assembly101\n"
        "      under the rule of WildHands (not trained on the dataset): zero-shot\n"
    )


def test_reported_numbers_are_shown_apart(capsys):
    main(["tracks", "show", "interhand26m"])
    assert "reported in papers, not computed here" in capsys.readouterr().out
    main(["tracks", "show", "interhand26m", "--json"])
    rows = json.loads(capsys.readouterr().out)["reported"]
    assert {"table", "paper", "protocol", "value"} <= set(rows[0])


@pytest.mark.parametrize(("partial", "said"), [("", True), ("the first 5 samples", False)])
def test_a_complete_score_is_placed_among_reported_ones(world, capsys, partial, said):
    result = evaluate(as_arrays(world.predictions()), track="demo", resamples=0)
    track = result.track | {"name": "interhand26m"}
    print_result(replace(result, track=track, partial=partial))
    assert ("reported, MPJPE SH (official): would stand" in capsys.readouterr().out) == said
