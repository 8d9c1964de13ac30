"""Tables that are written from the files of weights and claims, and texts that hold them."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from hand_baselines import overview, weights
from hand_baselines.commands import app as baselines
from hand_baselines.reproduce import reporting
from hand_baselines.reproduce.commands import app as reproduce
from hand_baselines.reproduce.papers import CLAIMS
from hand_bench.errors import BaselineError


def test_every_shipped_weight_has_a_row_with_its_own_scores():
    lines = overview.table().splitlines()
    for name in weights.shipped():
        (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
        result = json.loads((weights.SHIPPED / name / "result.json").read_text("utf-8"))
        assert f"`{result['track']['name']}`" in row
        values = {s["metric"]: s for s in result["scores"] if s["protocol"] == "recommended"
                  and s["subset"] == "all"}  # fmt: skip
        score = values.get("AUC(0-50)") or values["accuracy"]
        assert f"{100 * score['value']:.2f} (" in row


def test_the_floor_of_a_row_is_the_best_one(tmp_path):
    shutil.copytree(weights.SHIPPED / "svegonet-small", tmp_path / "svegonet-small")
    floors = json.loads((tmp_path / "svegonet-small/floors.json").read_text("utf-8"))
    best = {"AUC(0-50)": [], "MPJPE": []}
    for floor in floors.values():
        for score in floor["scores"]:
            if (score["protocol"], score["subset"]) == ("recommended", "all"):
                best.get(score["metric"], []).append(score["value"])
    row = overview.table(tmp_path).splitlines()[2]
    assert f"floor {100 * max(best['AUC(0-50)']):.2f}" in row
    assert f"floor {min(best['MPJPE']):.2f}" in row


def test_speed_is_measured_once_for_each_model_and_shown(tmp_path):
    for name in ("msg3d-small", "rootnet-small"):
        shutil.copytree(weights.SHIPPED / name, tmp_path / name)
    path = overview.measure_speed(tmp_path, threads=1)
    made = json.loads(path.read_text("utf-8"))
    assert set(made["models"]) == {"msg3d", "rootnet"} and made["device"]
    assert all(one["ms"] > 0 for one in made["models"].values())
    assert f"{made['models']['rootnet']['ms']:.1f} |" in overview.table(tmp_path)


def test_the_readme_is_in_step_with_the_files():
    text = (weights.SHIPPED.parents[1] / "README.md").read_text("utf-8")
    for name, table in (("baselines", overview.table()), ("claims", reporting.table())):
        assert f"<!-- {name} -->\n{table}\n<!-- /{name} -->" in text, f"write {name} again"


def test_a_text_keeps_all_but_what_is_between_its_comments(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("# A\n<!-- claims -->\nold\n<!-- /claims -->\nrest\n", "utf-8")
    overview.put(path, "claims", "new")
    assert path.read_text("utf-8") == "# A\n<!-- claims -->\nnew\n<!-- /claims -->\nrest\n"
    with pytest.raises(BaselineError, match="HB302"):
        overview.put(path, "baselines", "new")


def test_claims_that_did_not_run_say_so(tmp_path):
    lines = reporting.table(tmp_path).splitlines()
    assert len(lines) == len(CLAIMS) + 2
    assert all(line.endswith("| not run |") for line in lines[2:])


def test_a_claims_result_becomes_its_row(tmp_path, capsys):
    effect = {
        "metric": "MRRPE",
        "subset": "all",
        "a": 92.0,
        "b": 32.0,
        "difference": -60.0,
        "unit": "mm",
        "higher_is_better": False,
        "ci95": [-70.0, -50.0],
        "seeds": [-59.0, -61.0],
        "clusters": 9,
        "n": 100,
    }
    made = {"verdict": "consistent", "size": "claim", "seeds": 2}
    made["findings"] = [{"name": "relative against absolute", "effect": effect}]
    (tmp_path / "IH-2.json").write_text(json.dumps(made), "utf-8")
    readme = tmp_path / "README.md"
    readme.write_text("<!-- claims --><!-- /claims -->", "utf-8")
    reproduce(["report", str(tmp_path), "--write", str(readme)])
    text = readme.read_text("utf-8")
    assert "MRRPE -60.00 (-70.00 to -50.00) mm | **consistent** (claim, 2 seeds) |" in text
    reproduce(["report", str(tmp_path)])
    assert "| IH-2 |" in capsys.readouterr().out


def test_the_table_is_printed(capsys):
    baselines(["table"])
    assert "| weights | track |" in capsys.readouterr().out
