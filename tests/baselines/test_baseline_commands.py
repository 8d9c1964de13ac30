"""The command `hand-bench baselines`, and the entries of bare hosts."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
import shutil
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

import hand_bench
from hand_baselines.cards import write_card
from hand_baselines.commands import app
from hand_baselines.models import find_model
from hand_baselines.runs import main as train_main
from hand_baselines.svegonet.config import PRESETS, SVEgoNetConfig
from hand_baselines.weights import read_config, save_weights
from hand_bench import cli
from hand_bench.errors import BaselineError, DatasetError, HandBenchError
from hand_bench.results import Result

TRACK = "handsim-interhand26m"


def run(*arguments: object) -> None:
    app([str(argument) for argument in arguments])


@pytest.fixture
def tiny(tiny_preset, tmp_path):
    model = find_model("internet")
    torch.manual_seed(0)
    network = model.network_class()(tiny_preset)
    save_weights(tmp_path / "tiny", model, "tiny", network, {"root_depth": [1000.0, 1000.0]})
    return tmp_path / "tiny"


def test_the_command_line_offers_the_command():
    assert cli.OUTER["baselines"][0] == "baselines"


def test_models_and_weights_are_listed(capsys):
    run("ls")
    assert "svegonet" in capsys.readouterr().out
    run("ls", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert listed["models"]["internet"]["presets"] == ["paper", "small"]


def test_a_model_and_weights_are_shown(tiny, capsys):
    run("show", "internet")
    assert "47,305,474" in capsys.readouterr().out
    run("show", tiny)
    assert '"model": "internet"' in capsys.readouterr().out
    with pytest.raises(BaselineError, match="HB301"):
        run("show", "internett")


def test_train_then_go_on_then_score(mini_world, tiny_preset, tmp_path, capsys):
    out = tmp_path / "run"
    given = ["train", "internet", "--data", TRACK, "--preset", "tiny", "-o", out, "--workers", 0]
    run(*given, "--steps", 3, "--batch", 4, "--validated", 8, "--no-score")
    assert capsys.readouterr().out == f"{out}\n" and (out / "best/model.safetensors").is_file()
    run(*given, "--steps", 3, "--batch", 4, "--validated", 8)
    shown = capsys.readouterr().out
    assert "MPJPE" in shown and (out / "result.json").is_file()
    record = json.loads((out / "record.json").read_text())
    assert record["data"]["dataset"] == TRACK and record["data"]["samples"] == 96
    assert record["best_validation_score"] is not None


def test_a_run_is_shipped_with_its_scores_and_the_floors(mini_world, tiny_preset, tmp_path):
    given = ["--data", TRACK, "--preset", "tiny", "--steps", "1", "--batch", "2", "--no-score"]
    out, folder = tmp_path / "run", tmp_path / "internet-tiny"
    train_main("internet", [*given, "--workers", "0", "--validated", "8", "-o", str(out)])
    (tmp_path / "notes.txt").write_text("Nothing was learned.")
    given = ["--notes", tmp_path / "notes.txt", "--predictions", tmp_path / "preds.parquet"]
    run("ship", out, folder, "--track", TRACK, "--workers", 0, *given)
    result = Result.load(folder / "result.json")
    names = {"model.safetensors", "config.json", "record.json", "log.csv", "result.json"}
    assert {path.name for path in folder.iterdir()} == names | {"README.md", "floors.json"}
    assert set(read_config(folder)["sha256"]) == {"model.safetensors"}
    text = (folder / "README.md").read_text()
    assert "| this model | zero | mean-pose | nearest-box |" in text and "1 steps" in text
    assert result.score("MPJPE", "SH", "official").text() in text and "Nothing was learned" in text
    again = hand_bench.evaluate(tmp_path / "preds.parquet", track=TRACK, units="mm")
    assert again.primary == result.primary
    assert write_card(folder, title="Again.").read_text().count("nearest-box") == 1
    written = "".join(
        path.read_text() for path in folder.glob("*.*") if path.suffix != ".safetensors"
    )
    assert str(tmp_path) not in written and str(mini_world) not in written


def test_what_ship_cannot_read_is_named(mini_world, tiny, tmp_path):
    run_folder = tmp_path / "run"
    shutil.copytree(tiny, run_folder / "best")
    for track, said in [
        (f"{TRACK} root_depth", "HB302 --track root_depth: no NAME=VALUE"),
        (f"{TRACK} rounds=2", "HB302 --rounds: is nothing that internet takes"),
        ("handsim-h2o-action", "asks for something else"),
        ("handsim-interhand", "HB301"),
    ]:
        with pytest.raises(HandBenchError, match=said):
            run("ship", run_folder, tmp_path / "folder", "--track", track)


def test_svegonet_trains_and_answers(mini_world, tmp_path, monkeypatch):
    tiny = SVEgoNetConfig(18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16, sigma=1.0)
    monkeypatch.setitem(PRESETS, "tiny", tiny)
    given = ["--data", TRACK, "--preset", "tiny", "--steps", "2", "--batch", "2", "--no-score"]
    given += ["--validated", "0", "--workers", "0"]
    train_main("svegonet", [*given, "-o", str(tmp_path)])
    out = tmp_path / "preds.parquet"
    run("predict", tmp_path / "last", "--track", TRACK, "-o", out, "--workers", 0)
    assert out.is_file()


def test_single_hands_of_one_annotator_alone(mini_world, tiny_preset, tmp_path):
    given = ["--data", TRACK, "--preset", "tiny", "--steps", "1", "--batch", "2"]
    given += ["--hands", "single", "--annotators", "machine", "--validated", "0", "--no-score"]
    train_main("internet", [*given, "--workers", "0", "-o", str(tmp_path)])
    data = json.loads((tmp_path / "record.json").read_text())["data"]
    assert data["hands"] == "single" and data["annotators"] == ["machine"]
    assert 0 < data["samples"] < 96 and (tmp_path / "last/config.json").is_file()
    assert not (tmp_path / "best").exists()


def test_predict_and_eval(mini_world, tiny, tmp_path, capsys):
    out = tmp_path / "preds.parquet"
    run("predict", tiny, "--track", TRACK, "-o", out, "--workers", 0)
    assert capsys.readouterr().out.startswith(f"{out}: ")
    run("eval", tiny, "--track", TRACK, "--workers", 0, "--json")
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert any(score["metric"] == "MRRPE" for score in scores)


def test_bench_measures(tiny_preset, capsys):
    run("bench", "internet", "--preset", "tiny", "--batch", 1, "--batch", 2, "--json")
    found = json.loads(capsys.readouterr().out)
    assert [row["batch"] for row in found["rows"]] == [1, 2]
    assert found["gflops"] > 0 and all(row["ms"] > 0 for row in found["rows"])
    run("bench", "internet", "--preset", "tiny", "--batch", 1, "--precision", "bf16")
    assert "pictures/s" in capsys.readouterr().out


def test_what_a_user_gets_wrong_is_named(mini_world, tmp_path, monkeypatch):
    given = ["--data", TRACK, "-o", tmp_path]
    with pytest.raises(BaselineError, match="Did you mean 'internet'"):
        run("train", "intrnet", *given, "--steps", 1)
    with pytest.raises(BaselineError, match="by steps, by minutes or by epochs"):
        run("train", "internet", *given, "--steps", 1, "--epochs", 1)
    monkeypatch.setenv("HAND_BENCH_HOME", str(tmp_path))
    with pytest.raises(DatasetError, match="HB201"):
        run("train", "internet", *given, "--steps", 1)


def test_bare_hosts_need_no_command_line():
    code = (
        "import sys\n"
        "for name in ('cyclopts', 'rich', 'platformdirs', 'ijson', 'yaml', 'matplotlib',\n"
        "             'huggingface_hub'):\n"
        "    sys.modules[name] = None\n"
        "import hand_baselines.internet.train, hand_baselines.svegonet.predict\n"
        "import hand_baselines.htt.train, hand_baselines.htt.predict, hand_baselines.htt.task\n"
        "import hand_baselines.runs, hand_baselines.prediction\n"
        "hand_baselines.internet.train.main(['--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "--backbone-weights" in done.stdout, done.stderr
