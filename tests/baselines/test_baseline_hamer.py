"""HaMeR: sizes by hand, the columns that are looked at, KPE, drop path, learning."""

# ruff: noqa: E402 (what follows the check needs torch)

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from baselines.crop_networks import are_rotations, given, learn, shapes, without_gradient
from hand_baselines.hamer.config import PRESETS, HaMeRConfig, preset
from hand_baselines.hamer.model import HaMeR
from hand_baselines.hamer.vit import attend
from hand_baselines.resnet import parameter_count
from hand_bench.errors import BaselineError

PAPER, SMALL = PRESETS["paper"], PRESETS["small"]
TINY = HaMeRConfig(
    input_size=64,
    patch=16,
    padding=2,
    width=24,
    layers=3,
    heads=2,
    mlp=2,
    drop_path=0.0,
    query=16,
    decoder_layers=2,
    decoder_heads=2,
    head_width=8,
    decoder_mlp=16,
    camera=(3.0, 0.0, 0.0),
)
BARE = replace(TINY, kpe=False)


def test_the_paper_preset_has_the_size_of_the_facts():
    patches, places, norm = 3 * 16 * 16 * 1280 + 1280, 193 * 1280, 2 * 1280
    attention = (1280 * 3 * 1280 + 3 * 1280) + (1280 * 1280 + 1280)
    mlp = (1280 * 5120 + 5120) + (5120 * 1280 + 1280)
    block = 2 * norm + attention + mlp
    assert block == 19_677_440
    encoder = patches + places + 32 * block + norm
    own = 1024 * 3 * 512 + (512 * 1024 + 1024)
    across = 1024 * 512 + 1280 * 2 * 512 + (512 * 1024 + 1024)
    layer = 3 * 2 * 1024 + own + across + 2 * (1024 * 1024 + 1024)
    decoder = 1024 + 6 * layer + (1024 + 1) * (96 + 10 + 3)
    kpe = (80 * 1280 + 1280) + (1280 * 1280 + 1280)
    with torch.device("meta"):
        network, bare = HaMeR(PAPER), HaMeR(replace(PAPER, kpe=False))
        output = network(torch.empty(2, 3, 256, 256), torch.empty(2, 80))
    assert parameter_count(network.vit) == encoder == 630_912_000
    assert parameter_count(bare) == encoder + decoder == 670_407_789
    assert parameter_count(network) == encoder + decoder + kpe == 672_151_149
    assert shapes(output) == [(2, 16, 3, 3), (2, 10), (2, 3)]


def test_the_small_preset_has_at_most_3_million_parameters():
    network = HaMeR(SMALL).eval()
    assert parameter_count(network) == 2_811_565
    with torch.no_grad():
        output = network(*given(SMALL, 2))
    assert shapes(output) == [(2, 16, 3, 3), (2, 10), (2, 3)] and are_rotations(output.rotations)
    with torch.device("meta"):
        assert parameter_count(HaMeR(replace(SMALL, kpe=False))) == 2_758_957


@pytest.mark.parametrize(
    ("config", "grid"),
    [(PAPER, (16, 12)), (SMALL, (8, 6)), (replace(SMALL, patch=8, padding=0), (16, 12))],
)
def test_the_grid_is_that_of_the_patches(config, grid):
    assert config.grid == grid
    with torch.device("meta"):
        vit = HaMeR(config).vit
        picture = torch.empty(1, 3, config.input_size, config.input_size * 3 // 4)
        assert vit.patches(picture).shape[2:] == grid
        assert vit(picture).shape == (1, grid[0] * grid[1], config.width)


def test_unknown_presets_and_sizes_that_do_not_fit_are_refused():
    with pytest.raises(BaselineError, match=r"no preset of HaMeR 'papr'.\s+Did you mean 'paper'"):
        preset("papr")
    with pytest.raises(ValueError, match="no whole eighth"):
        HaMeRConfig(input_size=100)
    with pytest.raises(ValueError, match="do not fit 3 heads"):
        HaMeRConfig(heads=3)
    with pytest.raises(ValueError, match="no chance below 1"):
        HaMeRConfig(drop_path=1.0)


@pytest.mark.parametrize("config", [TINY, BARE])
def test_answers_are_rotations_shapes_and_cameras(config):
    output = HaMeR(config)(*given(config))
    assert shapes(output) == [(4, 16, 3, 3), (4, 10), (4, 3)] and are_rotations(output.rotations)


def test_a_new_network_says_nearly_the_mean_hand():
    output = HaMeR(TINY)(*given(TINY))
    assert (output.rotations - torch.eye(3)).abs().max() < 0.3
    assert (output.camera - torch.tensor([3.0, 0.0, 0.0])).abs().max() < 0.3


def test_only_the_middle_columns_are_looked_at():
    network, (crops, encoding) = HaMeR(TINY).eval(), given(TINY)
    sides, middle = crops.clone(), crops.clone()
    sides[..., :8], sides[..., 56:] = 0, 0
    middle[..., 8] = 0
    with torch.no_grad():
        camera, unmoved, moved = (network(x, encoding).camera for x in (crops, sides, middle))
    assert torch.equal(camera, unmoved) and not torch.equal(camera, moved)


def test_an_encoding_is_needed_with_kpe_and_refused_without():
    (crops, encoding), network = given(TINY), HaMeR(TINY)
    with pytest.raises(ValueError, match="needs an encoding"):
        network(crops)
    with pytest.raises(ValueError, match="takes no encoding"):
        HaMeR(BARE)(crops, encoding)


def test_the_place_of_a_crop_changes_the_answer():
    network, (crops, encoding) = HaMeR(TINY).eval(), given(TINY)
    with torch.no_grad():
        first, second = network(crops, encoding), network(crops, -encoding)
    assert (first.camera - second.camera).abs().max() > 1e-4


def test_attention_is_its_formula():
    q, k, v = torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    heads = [
        (q[..., at] @ k[..., at].mT / 2).softmax(dim=-1) @ v[..., at]
        for at in (slice(0, 4), slice(4, 8))
    ]
    assert torch.allclose(attend(q, k, v, 2), torch.cat(heads, dim=-1), atol=1e-6)


def test_drop_path_grows_in_a_line_to_the_last_block():
    with torch.device("meta"):
        drops = [block.drop for block in HaMeR(PAPER).vit.blocks]
    assert drops == pytest.approx([0.55 * k / 31 for k in range(32)])


def test_drop_path_leaves_whole_samples_out_in_training_only():
    torch.manual_seed(0)
    block = HaMeR(replace(TINY, drop_path=0.5)).vit.blocks[-1]
    kept = block._kept(torch.ones(2000, 2, 3))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert (kept == kept[:, :1, :1]).all() and kept.mean().item() == pytest.approx(1, abs=0.1)
    change = torch.randn(4, 2, 3)
    assert torch.equal(block.eval()._kept(change), change)


@pytest.mark.parametrize("config", [replace(TINY, drop_path=0.2), BARE])
def test_a_tiny_network_learns_four_crops(config):
    torch.manual_seed(0)
    totals = learn(HaMeR(config), 25, 3e-3)
    assert totals[-1] < 0.7 * totals[0]


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    assert not without_gradient(HaMeR(TINY))


def test_answers_of_crops_are_the_same_again_and_alone():
    network, (crops, encoding) = HaMeR(replace(TINY, drop_path=0.5)).eval(), given(TINY)
    with torch.no_grad():
        together, again = network(crops, encoding), network(crops, encoding)
        alone = [network(crops[k : k + 1], encoding[k : k + 1]) for k in range(4)]
    assert all(torch.equal(one, other) for one, other in zip(together, again, strict=True))
    for whole, *parts in zip(together, *alone, strict=True):
        assert torch.allclose(whole, torch.cat(parts), atol=1e-5)
