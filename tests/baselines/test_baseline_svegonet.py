"""SVEgoNet: InterNet's network on grey crops of its own rule."""

# ruff: noqa: E402 (what follows the check needs torch)

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.internet.model import InterNet, InterNetOutput
from hand_baselines.resnet import parameter_count
from hand_baselines.svegonet.config import PRESETS, SVEgoNetConfig, preset
from hand_baselines.svegonet.model import SVEgoNet, crop_box
from hand_bench.errors import BaselineError

TINY = SVEgoNetConfig(18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16)


@pytest.mark.parametrize(("name", "count"), [("paper", 47_305_474), ("small", 2_377_562)])
def test_parameter_counts_and_shapes(name, count):
    config = preset(name)
    with torch.device("meta"):
        network = SVEgoNet(config)
        output = network(torch.empty(2, 1, config.input_size, config.input_size))
    assert parameter_count(network) == count
    assert output.heatmaps.shape == (2, 42, *[config.bins] * 3)
    assert output.root_depth.shape == (2,) and output.presence.shape == (2, 2)


def test_a_grey_picture_is_one_with_equal_channels():
    network, grey = SVEgoNet(TINY).eval(), torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        one, three = network(grey), network(grey.expand(-1, 3, -1, -1))
    assert torch.equal(one.heatmaps, three.heatmaps)


def test_weights_are_interchangeable_with_internets():
    ours, theirs = SVEgoNet(TINY), InterNet(TINY)
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(ours.eval()(images).heatmaps, theirs.eval()(images).heatmaps)


def test_both_hands_are_told_by_independent_probabilities():
    logits = torch.tensor([[3.0, -3.0], [-3.0, 3.0], [3.0, 3.0]])
    output = InterNetOutput(torch.rand(3, 42, 8, 8, 8), torch.zeros(3), logits)
    present = SVEgoNet(TINY).decode(output, {"affine": torch.eye(2, 3).expand(3, 2, 3)}).present
    assert (present > 0.5).tolist() == [[True, False], [False, True], [True, True]]
    assert present[0, 0].item() == pytest.approx(1 / (1 + math.exp(-3)))


def test_the_crop_is_1_75_times_the_box_in_whole_pixels():
    config = PRESETS["paper"]
    assert np.array_equal(crop_box(np.array([200.0, 100, 120, 90]), config), [155, 40, 210, 210])
    assert np.array_equal(crop_box(np.array([200.0, 100, 20, 30]), config), [160, 65, 100, 100])


def test_the_presets_differ_from_internets_only_where_they_should():
    assert (PRESETS["paper"].joint_set, PRESETS["paper"].wrist_in_view) == (
        "assemblyhands21",
        False,
    )
    assert PRESETS["small"].decoding == "expected" and PRESETS["small"].sigma == 1.25
    with pytest.raises(BaselineError, match="no preset of SVEgoNet"):
        preset("tiny")
