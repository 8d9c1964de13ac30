"""HandOccNet: sizes by hand, the gated attention by its formula, KPE, learning."""

# ruff: noqa: E402 (what follows the check needs torch)

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from baselines.crop_networks import are_rotations, given, learn, shapes, without_gradient
from hand_baselines.handoccnet.config import PRESETS, HandOccNetConfig, preset
from hand_baselines.handoccnet.model import HandOccNet
from hand_baselines.resnet import ResNet, parameter_count
from hand_bench.errors import BaselineError

PAPER, SMALL = PRESETS["paper"], PRESETS["small"]
SIZES = {"width": 0.125, "input_size": 64, "channels": 16, "heads": 2, "halvings": 2}
TINY = replace(SMALL, **SIZES, hidden=(32, 16))
BARE = replace(TINY, kpe=False)


def test_the_paper_preset_has_the_size_of_the_facts():
    sides = 256 * (256 + 512 + 1024 + 2048) + 4 * 256
    pyramid = sides + 9 * 256 * 256 + 256
    spatial_gate = 2 * 7 * 7 + 2
    mlp = 256 * 1024 + 1024 + 1024 * 256 + 256
    block = (3 * 256 * 256 + 2 * 256) + 2 * 256 * 32 * 32 + 2 * 256 + mlp
    gate = 2 * (256 * 256 + 256)
    merge = (9 * 512 * 256 + 256) + (9 * 256 * 256 + 256) + (512 * 256 + 256)
    transformers = 2 * (block + gate) + merge + 2 * block
    residual = 256 * 128 + 9 * 128 * 128 + (128 * 256 + 256) + 2 * (256 + 128 + 128)
    hourglass = (4 * 3 + 1) * residual + residual + (256 * 256 + 2 * 256)
    encoder = (21 * 256 + 21) + (21 * 256 + 256) + (256 * 256 + 256) + 8 * residual
    layers = (1024 * 1024 + 1024) + (1024 * 512 + 512)
    head = (512 + 1) * (96 + 10 + 3)
    parts = (23_508_032, pyramid, spatial_gate, transformers, hourglass, encoder, layers, head)
    kpe = (80 * 256 + 256) + (256 * 256 + 256)
    with torch.device("meta"):
        network, bare = HandOccNet(PAPER), HandOccNet(replace(PAPER, kpe=False))
        output = network(torch.empty(2, 3, 256, 256), torch.empty(2, 80))
    assert parameter_count(bare) == sum(parts) == 38_723_878
    assert parameter_count(network) == sum(parts) + kpe == 38_810_406
    assert shapes(output) == [(2, 16, 3, 3), (2, 10), (2, 3)]


def test_the_small_preset_has_at_most_3_million_parameters():
    network = HandOccNet(SMALL).eval()
    assert parameter_count(network) == 2_450_686
    with torch.no_grad():
        output = network(*given(SMALL, 2))
    assert shapes(output) == [(2, 16, 3, 3), (2, 10), (2, 3)] and are_rotations(output.rotations)
    with torch.device("meta"):
        assert parameter_count(HandOccNet(replace(SMALL, kpe=False))) == 2_441_342


def test_unknown_presets_and_sizes_that_do_not_fit_are_refused():
    with pytest.raises(BaselineError, match=r"no preset of HandOccNet 'papr'.\s+Did you mean"):
        preset("papr")
    with pytest.raises(ValueError, match="cannot be halved 7 times"):
        HandOccNetConfig(input_size=96)
    with pytest.raises(ValueError, match="fit no 3 heads"):
        HandOccNetConfig(heads=3)
    with pytest.raises(ValueError, match="none of released, torch"):
        HandOccNetConfig(initialisation="xavier")  # pyright: ignore


@pytest.mark.parametrize("config", [TINY, BARE, replace(TINY, identity=False)])
def test_answers_are_rotations_shapes_and_cameras(config):
    output = HandOccNet(config)(*given(config))
    assert shapes(output) == [(4, 16, 3, 3), (4, 10), (4, 3)] and are_rotations(output.rotations)


def test_the_released_initialisation_gives_rotations_too():
    config = replace(PAPER, depth=18, **SIZES, hidden=(32, 16))
    network = HandOccNet(config)
    assert network.injecting.merge[0].weight.std().item() == pytest.approx(0.001, rel=0.1)
    assert network.regressor.layers[1].weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert are_rotations(network.eval()(*given(config)).rotations)


def test_an_encoding_is_needed_with_kpe_and_refused_without():
    (crops, encoding), network = given(TINY), HandOccNet(TINY)
    with pytest.raises(ValueError, match="needs an encoding"):
        network(crops)
    with pytest.raises(ValueError, match="takes no encoding"):
        HandOccNet(BARE)(crops, encoding)


def test_the_place_of_a_crop_changes_the_answer():
    network, (crops, encoding) = HandOccNet(TINY).eval(), given(TINY)
    with torch.no_grad():
        first, second = network(crops, encoding), network(crops, -encoding)
    assert (first.camera - second.camera).abs().max() > 1e-4


@pytest.mark.parametrize("part", ["injecting", "enhancing"])
def test_a_block_is_its_formula(part):
    torch.manual_seed(0)
    block = getattr(HandOccNet(TINY), part).blocks[0]
    query, key, told = torch.randn(2, 16, 8, 8), torch.randn(2, 16, 8, 8), torch.randn(2, 16, 1, 1)

    def heads(layer, features):  # (n, 2 heads, 64 places, 8)
        return layer(features).reshape(2, 2, 8, 64).permute(0, 1, 3, 2)

    asking, answering = query + block.query_places + told, key + block.key_places + told
    q, k, v = heads(block.query, asking), heads(block.key, answering), heads(block.value, key)
    attention = (torch.einsum("nhqc,nhkc->nhqk", q, k) / 8**0.5).softmax(dim=-1)
    if part == "injecting":
        q, k = heads(block.gate_query, asking), heads(block.gate_key, answering)
        products = torch.einsum("nhqc,nhkc->nhqk", q, k) / 8**0.5
        attention = attention * products.sum(dim=-1, keepdim=True).sigmoid()
    tokens = (attention @ v).permute(0, 2, 1, 3).reshape(2, 64, 16)
    if part == "enhancing":
        tokens = tokens + query.reshape(2, 16, 64).permute(0, 2, 1)
    tokens = tokens + block.mlp(block.norm(tokens))
    expected = tokens.permute(0, 2, 1).reshape(2, 16, 8, 8)
    assert torch.allclose(block(query, key, told), expected, atol=1e-5)


def test_heatmaps_are_shares_and_sharper_at_a_higher_temperature():
    regressor = HandOccNet(TINY).regressor
    maps = torch.randn(2, 21, 8, 8)
    before = regressor._shares(maps)
    assert torch.allclose(before.sum(dim=(2, 3)), torch.ones(2, 21))
    with torch.no_grad():
        regressor.temperature += 1
    assert (regressor._shares(maps).amax(dim=(2, 3)) > before.amax(dim=(2, 3))).all()


@pytest.mark.parametrize("leaky", [False, True])
def test_a_shared_backbone_loads_by_name(leaky):
    network, trained = HandOccNet(replace(TINY, leaky=leaky)), ResNet(18, width=0.125)
    network.backbone.load_backbone(trained.state_dict())
    assert torch.equal(network.backbone.layer4[1].conv2.weight, trained.layer4[1].conv2.weight)
    kinds = {type(module.relu) for module in network.backbone.modules() if hasattr(module, "relu")}
    assert kinds == {torch.nn.LeakyReLU if leaky else torch.nn.ReLU}


@pytest.mark.parametrize("config", [TINY, BARE])
def test_a_tiny_network_learns_four_crops(config):
    torch.manual_seed(0)
    totals = learn(HandOccNet(config), 25, 3e-3)
    assert totals[-1] < 0.7 * totals[0]


@pytest.mark.parametrize("initialisation", ["torch", "released"])
def test_gradients_reach_every_parameter(initialisation):
    torch.manual_seed(0)
    assert not without_gradient(HandOccNet(replace(TINY, initialisation=initialisation)))


def test_answers_of_crops_are_the_same_again_and_alone():
    network, (crops, encoding) = HandOccNet(TINY).eval(), given(TINY)
    with torch.no_grad():
        together, again = network(crops, encoding), network(crops, encoding)
        alone = [network(crops[k : k + 1], encoding[k : k + 1]) for k in range(4)]
    assert all(torch.equal(one, other) for one, other in zip(together, again, strict=True))
    for whole, *parts in zip(together, *alone, strict=True):
        assert torch.allclose(whole, torch.cat(parts), atol=1e-5)
