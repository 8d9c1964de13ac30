"""Backbones: the regressor that trains them, and models that start from them."""

# ruff: noqa: E402 (what follows the check needs torch)

import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("safetensors", reason="safetensors is not installed: .[baselines]")

from safetensors.torch import save_file

from hand_baselines import runs, tables
from hand_baselines.backbone.config import PRESETS, BackboneConfig, preset
from hand_baselines.backbone.model import Regressor
from hand_baselines.backbone.weights import start_from
from hand_baselines.internet.model import InterNet
from hand_baselines.models import find_model
from hand_baselines.resnet import ResNet
from hand_baselines.weights import load_weights, save_weights
from hand_bench.errors import BaselineError
from hand_bench.tracks import find_track

TINY = BackboneConfig(18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16, reduced=4)


@pytest.fixture
def backbone(tmp_path):
    """A folder with a tiny backbone."""
    torch.manual_seed(1)
    save_weights(tmp_path / "bb", find_model("backbone"), "tiny", Regressor(TINY), {})
    return tmp_path / "bb"


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("name", ["small", "resnet18", "resnet50"])
def test_every_preset_has_the_backbone_of_the_models(name):
    config = PRESETS[name]
    with torch.device("meta"):
        network = Regressor(config)
        output = network(torch.empty(2, 3, config.input_size, config.input_size))
    assert [tuple(part.shape) for part in output] == [(2, 42, 3), (2,), (2, 2)]
    with pytest.raises(BaselineError, match="no preset of backbone"):
        preset("resnet19")


def test_small_fits_the_small_models(tmp_path):
    save_weights(tmp_path, find_model("backbone"), "small", Regressor(PRESETS["small"]), {})
    for name in ("internet", "svegonet", "rootnet"):
        model = find_model(name)
        network = model.network_class()(model.preset("small"))
        start_from(network, tmp_path)
        assert equal(network.backbone, load_weights(tmp_path).network.backbone)


def test_the_middle_of_the_crop_is_said_at_first():
    output = Regressor(TINY).eval()(torch.zeros(1, 3, 32, 32))
    assert (output.joints - 4).abs().max() < 2 and (output.root_depth - 32).abs().max() < 16


def test_a_model_starts_from_the_backbone_of_another(backbone, tiny_preset):
    network = InterNet(tiny_preset)
    sentence = start_from(network, backbone)
    loaded = load_weights(backbone)
    assert equal(network.backbone, loaded.network.backbone)
    assert sentence == f"backbone of bb (sha256 {loaded.sha256[:16]}); the rest random"


def test_a_file_with_torchvisions_names_is_read(tmp_path, tiny_preset):
    source = ResNet(18, width=0.125)
    state = {
        **source.state_dict(),
        "fc.weight": torch.zeros(1000, 64),
        "fc.bias": torch.zeros(1000),
    }
    save_file(state, tmp_path / "resnet.safetensors")
    network = InterNet(tiny_preset)
    assert start_from(network, tmp_path / "resnet.safetensors").startswith("backbone of resnet.")
    assert equal(network.backbone, source)


def test_what_is_no_fitting_backbone_is_named(tmp_path, backbone, tiny_preset):
    network = InterNet(PRESETS["small"])
    with pytest.raises(BaselineError, match="HB402 backbone weights"):
        start_from(network, backbone)
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(BaselineError, match=r"HB402 .*broken.safetensors: cannot be read"):
        start_from(network, tmp_path / "broken.safetensors")
    with pytest.raises(BaselineError, match="HB301"):
        start_from(network, tmp_path / "nothing")


def test_a_run_starts_from_a_backbone_and_its_record_says_so(
    mini_world, backbone, tiny_preset, tmp_path
):
    model, track = find_model("internet"), "handsim-interhand26m"
    given = {"steps": 1, "batch": 2, "workers": 0, "validated": 0, "score": False}
    given |= {"learning_rate": 0.0, "backbone_weights": backbone}
    runs.run(model, [track, track], "tiny", tmp_path / "run", **given)
    record = json.loads((tmp_path / "run/record.json").read_text())
    assert record["initial_weights"].startswith("backbone of bb")
    single = tables.open_table(find_track(track), "train").rows
    assert record["data"]["samples"] == 2 * single
    assert record["data"]["also"][0]["sha256"] == record["data"]["sha256"]
    trained = load_weights(tmp_path / "run/last").network.backbone
    assert torch.equal(trained.conv1.weight, load_weights(backbone).network.backbone.conv1.weight)
