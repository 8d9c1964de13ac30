"""RootNet: sizes, the worked example of k and gamma, a loss by hand, learning."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.crops import (
    apply,
    clip_box,
    crop_affine,
    crop_intrinsics,
)
from hand_baselines.resnet import parameter_count
from hand_baselines.rootnet.config import PRESETS, RootNetConfig, preset
from hand_baselines.rootnet.model import (
    RootNet,
    RootNetOutput,
    RootNetTargets,
    depth_scale,
    losses,
)
from hand_bench.errors import BaselineError
from hand_bench.geometry import square_box

TINY = RootNetConfig(18, 0.125, input_size=32, bins=8, hidden=8)


@pytest.mark.parametrize(
    ("name", "count"), [("body", 33_997_634), ("paper", 33_999_940), ("small", 1_904_732)]
)
def test_parameter_counts(name, count):
    config = preset(name)
    with torch.device("meta"):
        network = RootNet(config)
        output = network(torch.empty(2, 3, config.input_size, config.input_size))
    assert parameter_count(network) == count
    assert output.roots_2d.shape == (2, config.roots, 2) and output.gamma.shape == (2, config.roots)


def test_k_and_gamma_of_the_worked_example(example):
    K = torch.as_tensor(example.K)
    k = depth_scale(K, example.square[2]).item()
    assert k == pytest.approx(1636.1674, abs=1e-3)
    assert 1111.0215 / k == pytest.approx(0.679039, abs=1e-6)
    assert 1168.8142 / k == pytest.approx(0.714361, abs=1e-6)
    box = square_box(clip_box(example.bbox, *example.size))
    assert depth_scale(K, box[2]).item() == pytest.approx(1645.0569, abs=1e-3)


@pytest.mark.parametrize("turn", [0.0, 0.8])
def test_k_of_the_crop_is_that_of_the_picture(example, turn):
    crop = crop_intrinsics(example.K, crop_affine(example.square, 256, turn))
    assert depth_scale(torch.as_tensor(crop), 256.0).item() == pytest.approx(1636.1674, abs=1e-3)


def test_k_of_bodies_uses_two_metres():
    K = torch.diag(torch.tensor([1500.0, 1500.0, 1.0]))
    assert depth_scale(K, 500.0, 2000.0).item() == pytest.approx(6000.0)


def test_the_loss_by_hand():
    output = RootNetOutput(
        torch.tensor([[[1.0, 2.0], [5.0, 5.0]], [[4.0, 4.0], [9.0, 9.0]]]),
        torch.tensor([[0.5, 0.6], [0.7, 0.9]]),
    )
    targets = RootNetTargets(
        torch.tensor([[[2.0, 4.0], [5.0, 5.5]], [[4.0, 4.0], [0.0, 0.0]]]),
        torch.tensor([[1030.0, 1000.0], [1400.0, 0.0]]),
        torch.tensor([2000.0, 2000.0]),
        torch.tensor([[True, True], [True, False]]),
        torch.tensor([[True, False], [True, True]]),
    )
    # (1 + 2 + 30) / 3, (0 + 0.5 + no depth) / 3, nothing, and a root that is not there.
    terms = losses(output, targets)
    assert terms.total.item() == pytest.approx((11 + 0.5 / 3 + 0 + 0) / 4)


def batch_of(example) -> dict:
    affine = crop_affine(example.square, 32)
    joints, pixels = np.zeros((2, 21, 3)), np.zeros((2, 21, 2))
    joints[:, 0] = example.right_wrist, example.left_wrist
    pixels[:, 0] = example.right_wrist_2d, example.left_wrist_2d
    arrays = {
        "joints": joints,
        "joints_2d": apply(affine, pixels),
        "valid": np.ones((2, 21), bool),
        "in_view": np.ones((2, 21), bool),
        "K": crop_intrinsics(example.K, affine),
        "affine": affine,
    }
    return {name: torch.as_tensor(array)[None] for name, array in arrays.items()}


def test_targets_and_decoding_are_inverse(example):
    network, batch = RootNet(TINY), batch_of(example)
    targets = network.targets(batch)
    assert targets.valid.all() and targets.depth_known.all()
    decoded = network.decode(
        RootNetOutput(targets.roots_2d, targets.depth / targets.k[:, None]), batch
    )
    assert np.allclose(decoded.roots_2d[0, 0], example.right_wrist_2d, atol=1e-3)
    assert np.allclose(decoded.depth[0], [1111.0215, 1168.8142], atol=1e-3)


def test_a_wrist_outside_the_crop_is_not_trained_on(example):
    batch = batch_of(example)
    batch["joints_2d"][0, 1, 0, 0] = 32.0
    assert RootNet(TINY).targets(batch).valid.tolist() == [[True, False]]


def test_a_tiny_network_learns_a_depth(example):
    torch.manual_seed(0)
    network, batch = RootNet(TINY), batch_of(example)
    images = torch.rand(2, 3, 32, 32)
    pair = {name: value.expand(2, *value.shape[1:]) for name, value in batch.items()}
    targets, optimiser = network.targets(pair), torch.optim.Adam(network.parameters(), 3e-3)
    values = []
    for _ in range(25):
        loss = losses(network(images), targets).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[-1] < 0.5 * values[0]


def test_unknown_presets_are_refused():
    with pytest.raises(BaselineError, match="Known: paper, small, body"):
        preset("hands")
    assert PRESETS["paper"].real_size == 300 and PRESETS["body"].real_size == 2000
