"""MS-G3D: laws of its graph, its operator in other forms, sizes, and a loss worked by hand."""

# ruff: noqa: E402 (what follows the check needs torch)

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.models import find_model
from hand_baselines.msg3d.config import PRESETS, MSG3DConfig
from hand_baselines.msg3d.graph import (
    HAND_EDGES,
    adjacency,
    exactly,
    hand_adjacency,
    scales,
    windowed,
)
from hand_baselines.msg3d.model import MSG3D, Window, aggregate, unfold
from hand_baselines.resnet import parameter_count
from hand_bench.errors import BaselineError

CHAIN = adjacency([(0, 1), (1, 2), (2, 3)], 4)
TINY = MSG3DConfig(channels=(6, 6, 12), gcn_scales=3, g3d_scales=2, windows=(3,), frames=8)


def test_scales_of_a_chain_by_hand():
    apart = np.abs(np.arange(4)[:, None] - np.arange(4))
    for steps in range(4):
        expected = (apart == steps) | (apart == 0)
        assert np.array_equal(exactly(CHAIN, steps), expected), steps
    assert np.array_equal(exactly(CHAIN, 4), np.eye(4))  # nothing is four steps away


def test_a_chain_of_two_is_normalised_by_hand():
    pair = adjacency([(0, 1)], 2)
    assert np.allclose(scales(pair, 2), [[1, 0], [0, 1], [0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize("joined", [False, True])
def test_scales_of_the_hand_are_symmetric_disjoint_and_whole(joined):
    hand = hand_adjacency(joined=joined)
    joints, reach = len(hand), 13 if joined else 9
    parts = [exactly(hand, k) - np.eye(joints) * (k > 0) for k in range(20)]
    assert all(np.array_equal(part, part.T) for part in parts)
    assert np.array_equal(sum(parts), np.ones((joints, joints)))  # each pair in one scale
    assert parts[8].any()
    if not joined:
        assert not np.any(parts[reach:])  # 8 edges is the longest way
    rows = scales(hand, 13).reshape(13, joints, joints)
    assert np.isfinite(rows).all() and np.allclose(rows, rows.transpose(0, 2, 1))


def test_the_hand_has_24_edges_and_the_hands_meet_at_the_wrists():
    assert len(HAND_EDGES) == len(set(HAND_EDGES)) == 24
    hand, both = hand_adjacency(), hand_adjacency(joined=True)
    assert np.array_equal(both[:21, :21], hand) and np.array_equal(both[21:, 21:], hand)
    assert np.argwhere(both[:21, 21:]).tolist() == [[0, 0]]


def test_a_window_joins_neighbours_in_all_its_frames():
    nodes = windowed(CHAIN, 3)
    for (a, b), joined in np.ndenumerate(nodes):
        assert joined == (abs(a % 4 - b % 4) <= 1), (a, b)


def test_the_dense_operator_is_the_sum_over_neighbours():
    torch.manual_seed(0)
    features, rows = torch.rand(2, 3, 4, 5), torch.rand(2 * 5, 5)
    found = aggregate(features, rows)
    for clip, scale, channel, frame, joint in np.ndindex(2, 2, 3, 4, 5):
        weights, values = rows[scale * 5 + joint], features[clip, channel, frame]
        expected = sum(w * v for w, v in zip(weights.tolist(), values.tolist(), strict=True))
        assert found[clip, scale * 3 + channel, frame, joint].item() == pytest.approx(expected)


def test_the_dense_operator_is_that_of_torch_geometric():
    geometric = pytest.importorskip("torch_geometric.utils", reason="torch-geometric is absent")
    rows = torch.tensor(scales(hand_adjacency(), 4), dtype=torch.float32)
    features = torch.rand(2, 3, 5, 21)
    target, source = rows.nonzero(as_tuple=True)
    messages = features[..., source] * rows[target, source]
    sums = geometric.scatter(messages, target, dim=-1, dim_size=len(rows), reduce="sum")
    by_scale = sums.unflatten(-1, (4, 21)).permute(0, 3, 1, 2, 4).flatten(1, 2)
    assert torch.allclose(aggregate(features, rows), by_scale, atol=1e-6)


def test_frames_of_a_window_lie_side_by_side_with_zeros_beyond_the_ends():
    features = torch.arange(1.0, 9).reshape(1, 1, 4, 2)  # frames (1, 2), (3, 4), (5, 6), (7, 8)
    assert unfold(features, 3, 1)[0, 0, 0].tolist() == [0, 0, 1, 2, 3, 4]
    assert unfold(features, 3, 2)[0, 0].tolist() == [[0, 0, 1, 2, 3, 4], [3, 4, 5, 6, 7, 8]]


def test_a_window_is_collapsed_as_by_a_convolution_over_its_frames():
    torch.manual_seed(0)
    window = Window(3, 4, 5, hand_adjacency(), 2, 3, 1).eval()
    features = torch.rand(2, 3, 6, 21)
    mixed = window.graph(unfold(features, 3, 1)).unflatten(3, (3, 21))
    linear, normal = window.collapse
    kernel = linear.weight.reshape(5, 4, 1, 3, 1)
    expected = torch.nn.functional.conv3d(mixed, kernel, linear.bias).squeeze(3)
    assert torch.allclose(window(features), normal(expected), atol=1e-5)


def test_sizes_are_the_papers():
    paper = PRESETS["paper"]
    counts = {6: 3_053_973, 24: 3_060_903, 1380: 3_582_963}  # facts 3.5
    for classes, expected in counts.items():
        with torch.device("meta"):
            assert parameter_count(MSG3D(replace(paper, classes=classes))) == expected
    with torch.device("meta"):
        assert parameter_count(MSG3D(PRESETS["small"])) <= 3_000_000


def test_200_frames_become_50():
    network = MSG3D(replace(TINY, frames=200)).eval()
    seen = []
    network.blocks.register_forward_hook(lambda *call: seen.append(call[2].shape))
    assert network(torch.rand(3, 200, 2, 21, 3)).shape == (3, 6)
    assert seen == [(6, 12, 50, 21)]  # two hands of three clips


@pytest.mark.parametrize("graph", ["apart", "joined"])
def test_one_hand_reaches_the_other_only_where_they_are_joined(graph):
    torch.manual_seed(0)
    clips = torch.rand(2, 8, 2, 21, 3)
    moved = clips.clone()
    moved[:, :, 1] += 1
    network, seen = MSG3D(replace(TINY, graph=graph)).eval(), []
    network.blocks.register_forward_hook(lambda *call: seen.append(call[2]))
    network(clips), network(moved)
    right = [part[::2] if graph == "apart" else part[..., :21] for part in seen]
    assert torch.equal(*right) == (graph == "apart")


def test_the_loss_by_hand():
    logits = torch.tensor([[0.0, 0, 0, 0, 0, 0], [math.log(5.0), 0, 0, 0, 0, 0]])
    losses = MSG3D(TINY).losses(logits, torch.tensor([3, 0]))
    # One sixth, and 5 of 5 + 5.
    assert losses.total.item() == pytest.approx((math.log(6) + math.log(2)) / 2)


def test_every_part_of_the_network_learns():
    torch.manual_seed(0)
    network = MSG3D(TINY)
    output = network(torch.rand(4, 8, 2, 21, 3))
    network.losses(output, torch.tensor([0, 1, 2, 3])).total.backward()
    assert all(value.grad is not None for value in network.parameters())


def test_unfit_sizes_and_names_are_refused():
    with pytest.raises(ValueError, match="multiples of 6"):
        MSG3DConfig(channels=(96, 192, 100))
    with pytest.raises(ValueError, match="not odd"):
        MSG3DConfig(windows=(4,))
    with pytest.raises(BaselineError, match=r"HB301 .*preset of MS-G3D"):
        find_model("msg3d").preset("huge")
