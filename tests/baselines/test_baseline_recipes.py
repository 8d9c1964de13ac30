"""Recipes of the shipped weights: what they say, and what the runner makes of them."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from hand_baselines.commands import app
from hand_baselines.models import find_model
from hand_baselines.presets import changed
from hand_baselines.recipes import packing, runner, verdict
from hand_baselines.recipes.plan import Clock, Host, stage_options
from hand_baselines.recipes.recipe import Recipe
from hand_baselines.recipes.shipped import RECIPES, find_recipe
from hand_baselines.recipes.tables import worlds_of
from hand_baselines.tables import training_place
from hand_baselines.tasks import given_options
from hand_baselines.training_options import Options
from hand_baselines.weights import SHIPPED, load_weights, read_config, shipped
from hand_bench.comparison import Comparison, Difference
from hand_bench.data import DATASETS
from hand_bench.errors import BaselineError

ROOT = SHIPPED.parents[1]
#: What a bare GPU host may lack; a module that is None cannot be imported.
BARE = """
import sys
sys.modules.update(dict.fromkeys({blocked}))
if __name__ == "__main__":
    from hand_baselines.recipes.__main__ import main
    main(sys.argv[1:])
"""
BLOCKED = [
    "cyclopts",
    "rich",
    "datasets",
    "jinja2",
    "matplotlib",
    "huggingface_hub",
    "platformdirs",
]
BLOCKED += ["ijson", "scipy", "transformers", "torch_geometric"]
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def record_of(recipe: Recipe) -> dict:
    return json.loads((SHIPPED / recipe.name / "record.json").read_text("utf-8"))


def test_every_shipped_weight_has_a_recipe():
    assert set(RECIPES) == set(shipped())


@every_recipe
def test_a_recipe_is_that_of_the_record(recipe):
    record, stage = record_of(recipe), recipe.stages[-1]
    parts = [record["data"], *record["data"].get("also", ())]
    assert [training_place(name) for name in recipe.data] == [
        (part["dataset"], part["split"]) for part in parts
    ]
    assert (record["model"], record["preset"]) == (recipe.model, recipe.preset)
    assert record["steps"] == (stage.steps or record["steps"])
    usual = {**find_model(recipe.model).options[recipe.preset], **stage.options}
    for name in ("batch", "learning_rate", "augmentation", "precision"):
        assert usual.get(name, getattr(Options(1), name)) == record["options"][name], name


@every_recipe
def test_the_network_of_a_recipe_is_that_of_the_weights(recipe):
    own = read_config(SHIPPED / recipe.name)["config"]
    config = changed(find_model(recipe.model).preset(recipe.preset), recipe.stages[-1].config)
    made = json.loads(json.dumps(vars(config)))
    assert {k: made[k] for k in own} == own


@every_recipe
def test_a_recipe_can_be_built(recipe):
    model = find_model(recipe.model)
    for stage in recipe.stages:
        changed(model.preset(recipe.preset), stage.config)
        for minutes in (None, 4.0):
            given = stage_options(recipe, stage, Host(), size="small", minutes=minutes, steps=None)
            given.pop("validated")
            Options(**{**_without_end(model.options[recipe.preset]), **given})
    for trial in recipe.trials():
        taker = find_model(record["model"]) if (record := _record(trial.weights)) else model
        taker.task().require(trial.track)
        given_options(taker.name, trial.options, taker.task().options)
    assert recipe.uses() <= set(shipped())


def _without_end(options) -> dict:
    return {k: v for k, v in options.items() if k not in ("steps", "minutes", "epochs")}


def _record(name: str) -> dict:
    return json.loads((SHIPPED / name / "record.json").read_text("utf-8")) if name else {}


@every_recipe
def test_the_first_track_of_a_recipe_is_that_of_the_card(recipe):
    result = json.loads((SHIPPED / recipe.name / "result.json").read_text("utf-8"))
    assert recipe.trials()[0].track.name == result["track"]["name"]
    kept = (SHIPPED / recipe.name / verdict.PREDICTIONS).is_file()
    assert kept == recipe.with_predictions


@every_recipe
def test_worlds_are_large_for_training_and_small_for_tests(recipe):
    worlds = worlds_of([recipe], "full", validated=True)
    trained = {training_place(name) for name in recipe.data}
    full = {(w.source.name, table) for w in worlds if w.size == "full" for table in w.tables}
    held = {(w.source.name, table) for w in worlds if w.size == "small" for table in w.tables}
    tests = {(t.track.dataset, t.track.table) for t in recipe.trials()}
    assert trained <= full and tests <= held and not full & held
    assert all(table in DATASETS[source].splits for source, table in full | held)


def test_a_recipe_of_the_paper_starts_from_random_weights():
    made = find_recipe("internet-small", paper=True)
    assert (made.name, made.preset, made.backbone) == ("internet-paper", "paper", None)
    assert made.against == "internet-small" and len(made.stages) == 1
    assert find_recipe("svegonet-small", backbone="timm/resnet50.tv_in1k").backbone
    with pytest.raises(BaselineError, match="HB302 backbone-small: has no preset"):
        find_recipe("backbone-small", paper=True)
    with pytest.raises(BaselineError, match=r"HB301 .*internet-smal"):
        find_recipe("internet-smal")


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "backbone-small"])
def test_a_recipe_of_the_paper_can_be_trained_by_minutes(name):
    recipe = find_recipe(name, paper=True)
    given = {"size": "small", "minutes": 4.0, "steps": None}
    options = stage_options(recipe, recipe.stages[0], Host(), **given)
    options.pop("validated")
    made = Options(**{**_without_end(find_model(recipe.model).options["paper"]), **options})
    assert made.minutes == 4.0 and made.precision == "bf16"


def test_minutes_are_shared_out_over_stages_and_weights_are_not_chosen():
    recipe = RECIPES["htt-small"]
    given = {"size": "small", "minutes": 4.0, "steps": None}
    made = [stage_options(recipe, stage, Host(), **given) for stage in recipe.stages]
    assert sum(one["minutes"] for one in made) == pytest.approx(4.0)
    assert [one["validated"] for one in made] == [0, 0, 0]
    assert all("steps" not in one for one in made)


def test_a_machine_changes_precision_and_batches():
    recipe = RECIPES["rootnet-small"]
    given = {"size": "small", "minutes": None, "steps": None}
    host = Host("no", batch_factor=4, workers=3)
    made = stage_options(recipe, recipe.stages[0], host, **given)
    kept = ("precision", "batch", "workers", "steps", "validated")
    assert [made[k] for k in kept] == ["no", 128, 3, 2000, 512]


def test_a_deadline_keeps_time_back_for_predictions_and_other_recipes():
    two = [replace(RECIPES["internet-small"], writing=1.0)] * 2
    assert Clock(10.0).training(None, two) == pytest.approx(4.0, abs=0.01)
    assert Clock(10.0).training(3.0, two) == 3.0
    assert Clock(None).training(None, two) is None
    with pytest.raises(BaselineError, match=r"HB406 internet-small: 0.0 of 1 minutes are left"):
        Clock(1.0).training(3.0, two)


def test_archives_are_small_and_hold_everything(tmp_path):
    for name, size in (("a", 9_000), ("b", 6_000), ("c", 3_000)):
        (tmp_path / name).write_bytes(os.urandom(size))
    members = {f"sub/{name}": tmp_path / name for name in "abc"}
    made = packing.pack("w", members, tmp_path / "out", most=12_000)
    assert [path.name for path in made] == ["w-1-of-2.zip", "w-2-of-2.zip"]
    for path in made:
        assert path.stat().st_size <= 12_000
        zipfile.ZipFile(path).extractall(tmp_path / "again")
    assert (tmp_path / "again/w/sub/a").read_bytes() == (tmp_path / "a").read_bytes()
    assert packing.pack("w", members, tmp_path / "out") == [tmp_path / "out/w.zip"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["w.zip"]


def compared(better: str) -> Comparison:
    found = [
        Difference("AUC(0-50)", "all", 0.4, 0.5, 0.1, "", (0.05, 0.15), 0.01, 9, better),
        Difference("AUC(0-50)", "right", 0.4, 0.5, 0.1, "", None, None, 9, "?"),
    ]
    return Comparison("handsim-interhand26m", "a", "b", 9, 0, 0, 3, "95 %", found)


def test_only_weights_that_are_better_with_their_interval_replace(monkeypatch):
    recipe = RECIPES["internet-small"]
    monkeypatch.setattr(verdict, "_are_of", lambda folder, track: False)
    monkeypatch.setattr(verdict, "load_weights", lambda folder: SimpleNamespace(sha256="f00d"))
    monkeypatch.setattr(verdict, "predict", lambda *given, **options: None)
    for better, end in (("B", "better, replace"), ("tie", "not better, keep"), ("A", "not better")):
        monkeypatch.setattr(verdict, "compare", lambda *given, b=better, **o: compared(b))
        told = verdict.judge(recipe, Path("preds.parquet"))
        assert told.better == (better == "B") and end in told.line and told.shipped == "f00d"
    assert "AUC(0-50) 0.5 against 0.4, +0.1 (+0.05 to +0.15)" in told.line


def test_new_weights_have_nothing_to_be_compared_with(tmp_path):
    told = verdict.judge(RECIPES["internet-small"], Path("preds.parquet"), shipped=tmp_path)
    assert told.line == "internet-small: there is no internet-small to compare with"
    assert not told.better


def test_the_commands_of_a_recipe_are_printed(capsys):
    app(["make", "htt-small", "--show"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and "--config window=1 --config clip=1 --steps 1500" in lines[0]
    assert "--initial-weights runs/htt-small-2/best" in lines[2]
    assert lines[3].startswith("hand-bench baselines ship runs/htt-small htt-small --track")


def test_the_readme_names_every_recipe():
    text = (ROOT / "baselines/README.md").read_text("utf-8")
    part = text[text.index("## Make the shipped weights again") :]
    assert all(f"`{name}`" in part[: part.index("\n## ", 1)] for name in RECIPES)


def test_a_machine_without_the_device_is_refused():
    other = "cpu" if torch.cuda.is_available() else "cuda"
    with pytest.raises(BaselineError, match=f"HB302 --device {other}: computes on"):
        runner.require_device(other)
    runner.require_device("")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Run the runner as a bare host does, on size mini; the folder with `out` and `work`."""
    place = tmp_path_factory.mktemp("bare")
    (place / "bare.py").write_text(BARE.format(blocked=BLOCKED), "utf-8")
    done = on_bare_host(place, "msg3d-small", "internet-small")
    assert done.returncode == 0, done.stderr
    return place


def on_bare_host(place: Path, *arguments: str) -> subprocess.CompletedProcess:
    given = ["--out", "out", "--work", "work", "--size", "mini", "--workers", "1"]
    given += ["--threads", "1", "--steps", "25", "--precision", "no"]
    paths = os.pathsep.join(str(ROOT / name) for name in ("benchmark", "baselines"))
    environment = {k: v for k, v in os.environ.items() if k != "HAND_BENCH_HOME"}
    environment |= {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "bare.py", *arguments, *given]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)


def test_a_bare_host_gives_back_few_files_with_everything(bare):
    out = bare / "out"
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert sorted(p.name for p in out.iterdir()) == [
        "internet-small.zip", "msg3d-small.zip", "summary.json",
    ]  # fmt: skip
    for name in ("internet-small", "msg3d-small"):
        assert summary[name]["made"] and not summary[name]["better"]
        assert summary[name]["line"].endswith("not better, keep")
        zipfile.ZipFile(out / f"{name}.zip").extractall(bare / "weights")
        there = {path.name for path in (bare / "weights" / name).iterdir()}
        shown = {path.name for path in (SHIPPED / name).iterdir()}
        assert there | {"others.json"} == shown | {verdict.VERDICT, "others.json"}
        assert load_weights(bare / "weights" / name).model.name == RECIPES[name].model
        record = json.loads((bare / "weights" / name / "record.json").read_text("utf-8"))
        assert record["steps"] == 25 and "size mini" in record["data"]["release"]
        told = json.loads((bare / "weights" / name / verdict.VERDICT).read_text("utf-8"))
        assert told["comparison"]["samples"] > 0 and told["old"] > told["new"]


def test_what_is_finished_stays_and_what_was_interrupted_goes_on(bare):
    folder = bare / "work/msg3d-small"
    weights = (folder / "msg3d-small/model.safetensors").read_bytes()
    (folder / "msg3d-small/verdict.json").unlink()
    (folder / "stages/1/record.json").unlink()
    (bare / "out/msg3d-small.zip").unlink()
    done = on_bare_host(bare, "msg3d-small", "internet-small")
    assert done.returncode == 0, done.stderr
    assert "msg3d-small: stage 1 of 1" in done.stderr and "internet-small: stage" not in done.stderr
    record = json.loads((folder / "stages/1/record.json").read_text("utf-8"))
    assert record["resumed"] == 1 and (bare / "out/msg3d-small.zip").is_file()
    assert (folder / "msg3d-small/model.safetensors").read_bytes() == weights


def test_a_deadline_that_has_passed_begins_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HAND_BENCH_HOME", str(tmp_path / "home"))
    shop = runner.Workshop(tmp_path / "out", tmp_path / "work", clock=Clock(0.0))
    with pytest.raises(BaselineError, match=r"HB406 internet-small: 0.0 of 0 minutes are left"):
        runner.make_recipes([RECIPES["internet-small"]], shop)
    assert not (tmp_path / "home").exists() and not (tmp_path / "out").exists()


def test_a_recipe_that_fails_does_not_stop_the_others(tmp_path, monkeypatch):
    def made(recipe, left, shop):
        if recipe.name == "internet-small":
            raise RuntimeError("out of memory")
        return {"made": True}

    said: list[str] = []
    monkeypatch.setattr(runner, "_made", made)
    monkeypatch.setattr(runner, "make_worlds", lambda recipes, shop: None)
    shop = runner.Workshop(tmp_path / "out", tmp_path / "work", say=said.append)
    chosen = [RECIPES[name] for name in ("internet-small", "msg3d-small")]
    assert not runner.make_recipes(chosen, shop)
    summary = json.loads((tmp_path / "out/summary.json").read_text("utf-8"))
    assert summary["internet-small"]["reason"] == "RuntimeError: out of memory"
    assert summary["msg3d-small"]["made"] and "Traceback" in said[0]


def test_a_folder_with_another_recipe_is_refused(tmp_path):
    from hand_baselines.recipes.plan import keep_plan, kept_plan

    recipe = RECIPES["htt-small"]
    assert kept_plan(tmp_path, recipe, "mini", Host(), None) is None
    keep_plan(tmp_path, recipe, "mini", Host(), None, [{"minutes": 1.0}])
    assert kept_plan(tmp_path, recipe, "mini", Host(workers=5), None) == [{"minutes": 1.0}]
    with pytest.raises(BaselineError, match=r"HB402 .*holds another recipe"):
        kept_plan(tmp_path, recipe, "small", Host(), None)
