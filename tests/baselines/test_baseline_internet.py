"""InterNet: sizes, the worked example of its targets, a loss by hand, decoding, learning."""

# ruff: noqa: E402 (what follows the check needs torch)

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.crops import apply, crop_affine
from hand_baselines.heads import gaussian_heatmaps
from hand_baselines.internet.config import PRESETS, InterNetConfig, preset
from hand_baselines.internet.model import (
    InterNet,
    InterNetOutput,
    decode,
    integral_losses,
    losses,
)
from hand_baselines.internet.targets import (
    InterNetTargets,
    bins_to_depth,
    bins_to_root_depth,
    depth_to_bins,
    make_targets,
    root_depth_to_bins,
)
from hand_baselines.lifting import left_root, lift_hands, project
from hand_baselines.resnet import parameter_count
from hand_bench.errors import BaselineError
from hand_bench.geometry import square_box

PAPER = PRESETS["paper"]
TINY = InterNetConfig(18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16, sigma=1.0)
THUMB_TIP = 4


def test_the_paper_preset_has_the_size_of_the_facts():
    with torch.device("meta"):
        network = InterNet(PAPER)
        assert parameter_count(network) == 47_305_474
        output = network(torch.empty(2, 3, 256, 256))
    assert [tuple(part.shape) for part in output] == [(2, 42, 64, 64, 64), (2,), (2, 2)]


def test_the_small_preset_has_at_most_3_million_parameters():
    with torch.device("meta"):
        network = InterNet(PRESETS["small"])
        assert parameter_count(network) == 2_377_562
        assert network(torch.empty(1, 3, 128, 128)).heatmaps.shape == (1, 42, 32, 32, 32)


def test_unknown_presets_and_sizes_that_do_not_fit_are_refused():
    with pytest.raises(
        BaselineError, match=r"no preset of InterNet 'papr'.\s+Did you mean 'paper'"
    ):
        preset("papr")
    with pytest.raises(ValueError, match="quarter of its input"):
        InterNetConfig(input_size=128)


def example_batch(example, **changes) -> dict:
    """The worked example as a crop; only wrists and the right thumb's tip are there."""
    affine = crop_affine(example.square, 256)
    joints, pixels = np.zeros((2, 21, 3)), np.zeros((2, 21, 2))
    seen = np.zeros((2, 21), bool)
    for hand, joint, name in (
        (0, 0, "right_wrist"),
        (1, 0, "left_wrist"),
        (0, THUMB_TIP, "right_thumb_tip"),
    ):
        joints[hand, joint] = getattr(example, name)
        pixels[hand, joint] = getattr(example, f"{name}_2d")
        seen[hand, joint] = True
    parts = {
        "joints": joints,
        "joints_2d": apply(affine, pixels),
        "valid": seen,
        "in_view": seen,
        "present": np.array([True, True]),
        "present_known": np.array(True),
        "affine": affine,
        "K": example.K,
    }
    return {name: torch.as_tensor(value).clone()[None] for name, value in (parts | changes).items()}


def test_the_worked_example_of_the_targets(example):
    targets = make_targets(example_batch(example), PAPER)
    expected = {20: (10.66667, 33.48936, 32), 41: (50.58954, 38.65446, 32)}
    for joint, place in expected.items():
        assert targets.joints[0, joint].tolist() == pytest.approx(place, abs=1e-4)
    assert targets.joints[0, 0, 2].item() == pytest.approx(37.67130, abs=1e-4)  # r_thumb4
    assert targets.root_depth.item() == pytest.approx(41.24683, abs=1e-4)
    assert targets.joints_valid[0].nonzero().flatten().tolist() == [0, 20, 41]
    assert targets.root_depth_valid.tolist() == [True] and targets.present.tolist() == [[1, 1]]


def test_without_its_wrist_a_hand_is_not_trained_on(example):
    batch = example_batch(example)
    batch["in_view"][0, 0, 0] = False
    targets = make_targets(batch, PAPER)
    assert targets.joints_valid[0].nonzero().flatten().tolist() == [41]
    assert targets.root_depth_valid.tolist() == [False]
    hidden_wrist = make_targets(batch, replace(PAPER, wrist_in_view=False))
    assert hidden_wrist.joints_valid[0].nonzero().flatten().tolist() == [0, 41]


def test_joints_outside_the_crop_or_the_depth_range_are_not_trained_on(example):
    batch = example_batch(example)
    batch["joints_2d"][0, 0, THUMB_TIP, 0] = 256.0
    assert not make_targets(batch, PAPER).joints_valid[0, 0]
    batch = example_batch(example)
    batch["joints"][0, 0, THUMB_TIP, 2] = batch["joints"][0, 0, 0, 2] + 200
    assert not make_targets(batch, PAPER).joints_valid[0, 0]
    batch["joints"][0, 1, 0, 2] += 200
    assert not make_targets(batch, PAPER).root_depth_valid[0]


def test_a_single_hand_has_no_relative_root_depth(example):
    targets = make_targets(example_batch(example, present=np.array([True, False])), PAPER)
    assert not targets.root_depth_valid[0] and targets.root_depth[0] == 0


def test_what_is_not_annotated_may_be_nan(example):
    batch = example_batch(example)
    batch["joints"][0, 1], batch["joints_2d"][0, 1], batch["in_view"][0, 1] = (
        torch.nan,
        torch.nan,
        False,
    )
    targets = make_targets(batch, PAPER)
    assert torch.isfinite(targets.joints).all() and torch.isfinite(targets.root_depth).all()


def test_depths_and_bins_are_inverse():
    depth = torch.tensor([-200.0, -6.25, 0.0, 150.0])
    assert depth_to_bins(depth, PAPER).tolist() == [0, 31, 32, 56]
    assert torch.allclose(bins_to_depth(depth_to_bins(depth, PAPER), PAPER), depth)
    assert torch.allclose(bins_to_root_depth(root_depth_to_bins(depth, PAPER), PAPER), depth)


def hand_made() -> tuple[InterNetOutput, InterNetTargets, float]:
    """Two pictures, two joints, volumes of 2 x 2 x 2, a sigma that halves with each squared bin."""
    output = InterNetOutput(
        torch.zeros(2, 2, 2, 2, 2),
        torch.tensor([10.0, 3.0]),
        torch.tensor([[math.log(3), -math.log(3)], [5.0, 5.0]]),
    )
    valid = torch.tensor([[True, False], [False, False]])
    targets = InterNetTargets(
        torch.zeros(2, 2, 3),
        valid,
        torch.tensor([12.5, 0.0]),
        torch.tensor([True, False]),
        torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
        torch.tensor([True, False]),
    )
    return output, targets, 1 / math.sqrt(2 * math.log(2))


def test_the_losses_by_hand():
    output, targets, sigma = hand_made()
    terms = losses(output, targets, sigma)
    # One valid joint of four; its target is 255 times 1, 3 x 1/2, 3 x 1/4, 1/8 on eight voxels.
    pose = 255**2 * (1 + 3 / 4 + 3 / 16 + 1 / 64) / 8 / 4
    assert terms.pose.item() == pytest.approx(pose) == pytest.approx(3968.811, abs=1e-3)
    assert terms.root_depth.item() == pytest.approx(2.5 / 2)
    assert terms.presence.item() == pytest.approx(-math.log(0.75) / 2)
    assert terms.total.item() == pytest.approx(pose + 1.25 + 0.1438410)


def test_perfect_heatmaps_have_no_pose_loss():
    _, targets, sigma = hand_made()
    heatmaps = gaussian_heatmaps(targets.joints, (2, 2, 2), sigma)
    output = InterNetOutput(heatmaps, targets.root_depth, 40 * (2 * targets.present - 1))
    assert losses(output, targets, sigma).total.item() < 1e-6


def perfect_output(batch, config) -> InterNetOutput:
    targets = make_targets(batch, config)
    heatmaps = gaussian_heatmaps(targets.joints.float(), (config.bins,) * 3, config.sigma)
    return InterNetOutput(heatmaps, targets.root_depth, 8 * (2 * targets.present - 1))


def test_decoding_by_argmax_gives_pixels_of_whole_bins(example):
    batch = example_batch(example)
    decoded = decode(perfect_output(batch, PAPER), batch["affine"], PAPER)
    x, y, side = example.square[:3]
    expected = [x + 11 * 4 * side / 256, y + 33 * 4 * side / 256]  # bins 10.67 and 33.49
    assert decoded.joints_2d[0, 0, 0].tolist() == pytest.approx(expected, abs=1e-3)
    assert decoded.relative_depth[0, 0, THUMB_TIP].item() == pytest.approx((38 - 32) * 6.25)
    assert decoded.relative_root_depth.item() == pytest.approx(57.79271, abs=1e-3)
    assert decoded.present[0].tolist() == pytest.approx([1, 1], abs=1e-3)


def test_decoding_and_lifting_return_the_hands(example):
    batch = example_batch(example)
    decoded = decode(
        perfect_output(batch, PAPER), batch["affine"], replace(PAPER, decoding="refined")
    )
    roots = torch.tensor([[1111.0215, 1168.8142]], dtype=torch.float64)
    lifted = lift_hands(decoded.joints_2d, decoded.relative_depth, roots, batch["K"])
    for hand, joint, name in (
        (0, 0, "right_wrist"),
        (1, 0, "left_wrist"),
        (0, THUMB_TIP, "right_thumb_tip"),
    ):
        assert np.abs(lifted[0, hand, joint].numpy() - getattr(example, name)).max() < 0.01
    vector = left_root(
        decoded.joints_2d,
        decoded.relative_depth,
        roots[:, 0],
        decoded.relative_root_depth,
        batch["K"],
    )
    assert np.abs(vector[0].numpy() - [128.79873, 16.50854, 57.79271]).max() < 0.01


def test_all_joints_survive_the_networks_order(example):
    rng = np.random.default_rng(0)
    K = torch.as_tensor(example.K)
    joints = torch.as_tensor(rng.normal([0, 0, 1100], [40, 40, 25], (2, 21, 3)))
    picture = project(joints, K).numpy()
    low, high = picture.min(axis=(0, 1)), picture.max(axis=(0, 1))
    affine = crop_affine(square_box(np.concatenate([low, high - low]), 1.5), 256, 0.2)
    seen = np.ones((2, 21), bool)
    batch = example_batch(
        example,
        joints=joints,
        joints_2d=apply(affine, picture),
        affine=affine,
        valid=seen,
        in_view=seen,
    )
    decoded = decode(
        perfect_output(batch, PAPER), batch["affine"], replace(PAPER, decoding="refined")
    )
    assert np.abs(decoded.joints_2d[0].numpy() - picture).max() < 0.05
    relative = joints[..., 2] - joints[:, :1, 2]
    assert (decoded.relative_depth[0] - relative).abs().max() < 0.1


def tiny_batch() -> dict:
    rng = np.random.default_rng(1)
    joints = rng.normal([0, 0, 1000], 50, (2, 2, 21, 3))
    flags = np.ones((2, 2, 21), bool)
    arrays = {
        "image": rng.integers(0, 256, (2, 3, 32, 32)).astype(np.uint8),
        "joints": joints.astype(np.float32),
        "joints_2d": rng.uniform(4, 28, (2, 2, 21, 2)).astype(np.float32),
        "valid": flags,
        "in_view": flags,
        "present": np.array([[True, True], [True, False]]),
        "present_known": np.array([True, True]),
    }
    return {name: torch.as_tensor(value) for name, value in arrays.items()}


def test_a_tiny_network_learns_two_pictures():
    torch.manual_seed(0)
    network, batch = InterNet(TINY), tiny_batch()
    targets, optimiser = network.targets(batch), torch.optim.Adam(network.parameters(), 0.02)
    totals = []
    for _ in range(40):
        terms = network.losses(network(batch["image"]), targets)
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        totals.append(terms.total.item())
    assert totals[-1] < 0.85 * totals[0]
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_bytes_and_floats_are_the_same_pictures():
    network, images = InterNet(TINY).eval(), tiny_batch()["image"]
    with torch.no_grad():
        first, second = network(images), network(images.float() / 255)
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_the_integral_loss_by_hand():
    # Two voxels of the row hold everything: the expected x is 0.25, y and z are 0.
    heatmaps = torch.full((1, 2, 2, 2, 2), -1e9)
    heatmaps[..., 0, 0, 0], heatmaps[..., 0, 0, 1] = math.log(3), 0.0
    output = InterNetOutput(heatmaps, torch.tensor([7.0]), torch.zeros(1, 2))
    targets = InterNetTargets(
        torch.tensor([[[1.0, 0.5, 0.0], [9.0, 9, 9]]]),
        torch.tensor([[True, False]]),
        torch.tensor([4.0]),
        torch.tensor([True]),
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([True]),
    )
    terms = integral_losses(output, targets)
    assert terms.pose.item() == pytest.approx(1.25) and terms.root_depth.item() == pytest.approx(
        0.3
    )
    assert terms.presence.item() == pytest.approx(math.log(2))
    assert terms.total.item() == pytest.approx(1.55 + math.log(2))
