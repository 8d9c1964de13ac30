"""Weights: saved and loaded exactly, found by path and name, damage named; cards."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("safetensors", reason="safetensors is not installed: .[baselines]")

from hand_baselines import weights
from hand_baselines.cards import card, shareable
from hand_baselines.crop_task import CROPS
from hand_baselines.models import MODELS, find_model
from hand_baselines.weights import find_weights, load_weights, save_weights, shipped, take_weights
from hand_bench.errors import BaselineError
from hand_bench.results import Result

FACTS = {"root_depth": [1000.0, 1010.5]}
MODEL = find_model("internet")


@pytest.fixture
def saved(tiny_preset, tmp_path):
    """A network, and the folder that holds it."""
    torch.manual_seed(0)
    network = MODEL.network_class()(tiny_preset)
    save_weights(tmp_path / "tiny", MODEL, "tiny", network, FACTS)
    return network, tmp_path / "tiny"


def test_weights_come_back_exactly_with_their_configuration(saved):
    network, folder = saved
    loaded = load_weights(folder)
    assert loaded.name == "tiny" and loaded.preset == "tiny" and loaded.facts == FACTS
    assert loaded.network.config == network.config and not loaded.network.training
    state = loaded.network.state_dict()
    assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())


def test_half_precision_is_half_as_large_and_close(saved, tmp_path):
    network, folder = saved
    save_weights(tmp_path / "half", MODEL, "tiny", network, FACTS, store="half")
    sizes = [(f / "model.safetensors").stat().st_size for f in (folder, tmp_path / "half")]
    assert sizes[1] < 0.65 * sizes[0]
    state = load_weights(tmp_path / "half").network.state_dict()
    for name, value in network.state_dict().items():
        assert state[name].dtype == value.dtype
        assert torch.allclose(state[name].double(), value.double(), rtol=1e-3, atol=1e-6)


def test_bytes_are_a_quarter_as_large_and_answer_alike(saved, tmp_path):
    network, folder = saved
    save_weights(tmp_path / "byte", MODEL, "tiny", network, FACTS, store="byte")
    sizes = [(f / "model.safetensors").stat().st_size for f in (folder, tmp_path / "byte")]
    assert sizes[1] < 0.45 * sizes[0]  # of a tiny network; names and small tensors stay
    loaded = load_weights(tmp_path / "byte").network
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        ours, theirs = loaded(images), network.eval()(images)
    assert torch.allclose(ours.presence, theirs.presence, rtol=0.05, atol=0.02)


def test_what_fits_of_other_weights_is_taken(saved, tiny_preset):
    network, folder = saved
    torch.manual_seed(1)
    other = MODEL.network_class()(replace(tiny_preset, branch_hidden=8))
    before = {k: v.clone() for k, v in other.state_dict().items()}
    said = take_weights(other, folder)
    own, state = other.state_dict(), network.state_dict()
    fitting = {k for k, v in own.items() if v.shape == state[k].shape}
    assert said.startswith(f"{len(fitting)} of {len(own)} tensors of tiny (sha256 ")
    assert 0 < len(fitting) < len(own)
    assert all(torch.equal(own[k], state[k] if k in fitting else before[k]) for k in own)
    with pytest.raises(BaselineError, match=r"HB302 --initial-weights .*: has no tensor that fits"):
        take_weights(torch.nn.Linear(2, 2), folder)


def test_numbers_too_large_for_half_precision_are_refused(saved, tmp_path):
    network, _ = saved
    with torch.no_grad():
        network.backbone.conv1.weight[0, 0, 0, 0] = 1e6
    with pytest.raises(BaselineError, match=r"not finite, e.g. backbone.conv1.weight"):
        save_weights(tmp_path / "half", MODEL, "tiny", network, FACTS, store="half")
    assert not (tmp_path / "half").exists()


def test_a_path_goes_before_a_name(saved, tmp_path, monkeypatch):
    network, folder = saved
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    save_weights(tmp_path / "shipped/tiny", MODEL, "tiny", network, FACTS)
    assert shipped() == ["tiny"]
    monkeypatch.chdir(tmp_path / "shipped")
    assert find_weights("tiny").resolve() == (tmp_path / "shipped/tiny").resolve()
    monkeypatch.chdir(tmp_path)
    assert find_weights("tiny").resolve() == folder.resolve()


def test_an_unknown_name_lists_the_shipped_ones(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    with pytest.raises(BaselineError, match=r"(?s)HB301 .*'tini'.*Did you mean 'tiny'"):
        load_weights("tini")


def _cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _other_config(folder):
    path = folder / "config.json"
    about = json.loads(path.read_text())
    about["config"]["hidden"] = 16
    path.write_text(json.dumps(about))


def _no_weights(folder):
    (folder / "model.safetensors").unlink()


def _other_form(folder):
    (folder / "config.json").write_text('{"format": "something else"}')


@pytest.mark.parametrize("damage", [_cut, _other_config, _no_weights, _other_form])
def test_damaged_or_unfitting_weights_are_named(saved, damage):
    _, folder = saved
    damage(folder)
    with pytest.raises(BaselineError, match=r"HB402 .*holds no usable weights"):
        load_weights(folder)


def test_an_unknown_model_in_a_configuration_is_named(saved):
    _, folder = saved
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": "internett"}))
    with pytest.raises(BaselineError, match="Did you mean 'internet'"):
        load_weights(folder)


@pytest.mark.parametrize("name", shipped())
def test_shipped_weights_are_whole_small_and_described(name):
    folder = find_weights(name)
    loaded = load_weights(folder)
    assert (folder / "model.safetensors").stat().st_size <= 16 * 2**20
    assert loaded.network.config == loaded.model.preset(loaded.preset)
    record = json.loads((folder / "record.json").read_text())
    result = Result.load(folder / "result.json")
    text = (folder / "README.md").read_text()
    assert f"{record['steps']:,} steps" in text and record["data"]["sha256"][:16] in text
    assert result.primary.text() in text and (folder / "log.csv").stat().st_size > 100
    assert record["parameters"] == sum(p.numel() for p in loaded.network.parameters())


@pytest.mark.parametrize("name", shipped())
def test_shipped_files_name_no_folder_of_a_machine(name):
    for path in find_weights(name).glob("*.*"):
        if path.suffix in (".json", ".csv", ".md"):
            text = path.read_text("utf-8")
            assert not re.search(r"(?<![\w/:.)])/\w+/\w", text), path


def test_every_model_has_the_presets_of_its_options():
    for model in MODELS.values():
        assert set(model.options) <= set(model.presets())
        assert "paper" in model.presets() or model.name == "backbone"
        assert model.preset("small") is not None and callable(model.task().answers)
        assert model.task() is not CROPS or callable(model.answer())


@pytest.mark.parametrize("name", shipped())
def test_a_card_compares_with_what_it_is_given(name):
    folder = find_weights(name)
    record = json.loads((folder / "record.json").read_text())
    result = Result.load(folder / "result.json")
    text = card(name, record, result, size=2**20, floors={"floor": result})
    shown = f"| recommended | {result.primary.metric}, "
    row = next(line for line in text.splitlines() if line.startswith(shown))
    assert row.count(result.primary.text()) >= 2
    assert "1.0 MiB" in text


@pytest.mark.parametrize("name", shipped())
def test_a_shareable_result_keeps_names_and_hashes(name):
    result = Result.load(find_weights(name) / "result.json")
    moved = replace(result, predictions=result.predictions | {"path": "/some/where/preds.parquet"})
    assert shareable(moved).predictions["path"] == "preds.parquet"
    assert shareable(moved).predictions["sha256"] == result.predictions["sha256"]
