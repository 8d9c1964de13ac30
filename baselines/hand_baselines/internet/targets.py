"""The spaces of InterNet: from crops and millimetres to bins of its heatmaps, and back.

Conventions
-----------
Bins: ``x = bins u / input_size`` and likewise y (no half added); ``z = bins (d / range + 1/2)``
with the depth d relative to the wrist of the same hand, so a wrist is at ``bins / 2``. The relative
root depth is the left wrist's depth minus the right one's, in bins of its own range.

Outside everything is (2, 21) joints per picture, right hand first, in OpenPose order; inside it is
42 joints in the order of the config's joint set (official checkpoints: ``interhand21``).

Source: facebookresearch/InterHand2.6M, common/utils/preprocessing.py
(``transform_input_to_output_space``), data/InterHand2.6M/dataset.py (facts/interhand26m.md 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from hand_baselines.internet.config import InterNetConfig
from hand_bench.joint_sets import joint_set, permutation


class InterNetTargets(NamedTuple):
    """What the outputs of a batch should be.

    | field | shape | meaning |
    |---|---|---|
    | joints | (batch, 42, 3) | x, y, z in bins; zero where not valid |
    | joints_valid | (batch, 42) | bool |
    | root_depth | (batch,) | relative root depth in bins; zero where not valid |
    | root_depth_valid | (batch,) | bool: both hands are there and both wrists valid |
    | present | (batch, 2) | 1 where the hand is there, right first |
    | present_known | (batch,) | bool |
    """

    joints: Tensor
    joints_valid: Tensor
    root_depth: Tensor
    root_depth_valid: Tensor
    present: Tensor
    present_known: Tensor


def make_targets(batch: Mapping[str, Tensor], config: InterNetConfig) -> InterNetTargets:
    """Return the targets of a batch of crops.

    A joint is trained on where it is annotated and seen, its wrist is (or is only annotated, see
    the config's `wrist_in_view`), and it lies inside the crop and inside the depth range. `batch`
    holds stacked `augmentation.HandSample` fields of crops of the config's input size: joints
    (batch, 2, 21, 3), joints_2d, valid, in_view, present, present_known.
    """
    order = openpose_to_network(config, batch["joints"].device)
    root = joint_set(config.joint_set).root
    depth = batch["joints"][..., order, 2]
    relative = depth - depth[..., root, None]
    joints = torch.cat(
        [
            pixels_to_bins(batch["joints_2d"][..., order, :], config),
            depth_to_bins(relative, config)[..., None],
        ],
        dim=-1,
    )
    seen = batch["in_view"][..., order].bool()
    wrist = seen if config.wrist_in_view else batch["valid"][..., order].bool()
    # The crop is half open, and so is the depth range: bins from 0 up to, but without, the last.
    valid = seen & wrist[..., root, None] & ((joints >= 0) & (joints < config.bins)).all(dim=-1)
    difference = root_depth_to_bins(depth[:, 1, root] - depth[:, 0, root], config)
    present = batch["present"].bool()
    known = present.all(dim=1) & valid[..., root].all(dim=1)
    known &= (difference >= 0) & (difference < config.root_bins)
    return InterNetTargets(
        torch.where(valid[..., None], joints, 0.0).flatten(1, 2),
        valid.flatten(1, 2),
        torch.where(known, difference, 0.0),
        known,
        present.float(),
        batch["present_known"].bool(),
    )


def openpose_to_network(config: InterNetConfig, device: torch.device | None = None) -> Tensor:
    """Return the (21,) order that turns OpenPose joints of one hand into the network's."""
    return torch.as_tensor(permutation("openpose21", config.joint_set), device=device)


def network_to_openpose(config: InterNetConfig, device: torch.device | None = None) -> Tensor:
    """Return the (21,) order that turns the network's joints of one hand into OpenPose's."""
    return torch.as_tensor(permutation(config.joint_set, "openpose21"), device=device)


def pixels_to_bins(pixels: Tensor, config: InterNetConfig) -> Tensor:
    """Crop pixels (..., 2) in bins."""
    return pixels * (config.bins / config.input_size)


def bins_to_pixels(bins: Tensor, config: InterNetConfig) -> Tensor:
    """Bins (..., 2) in crop pixels."""
    return bins * (config.input_size / config.bins)


def depth_to_bins(depth: Tensor, config: InterNetConfig) -> Tensor:
    """Wrist-relative depth, mm, in bins."""
    return (depth / config.depth_range + 0.5) * config.bins


def bins_to_depth(bins: Tensor, config: InterNetConfig) -> Tensor:
    """Bins as wrist-relative depth, mm."""
    return (bins / config.bins - 0.5) * config.depth_range


def root_depth_to_bins(depth: Tensor, config: InterNetConfig) -> Tensor:
    """Depth of the left wrist minus that of the right one, mm, in bins of the 1D heatmap."""
    return (depth / config.root_range + 0.5) * config.root_bins


def bins_to_root_depth(bins: Tensor, config: InterNetConfig) -> Tensor:
    """Bins of the 1D heatmap as the difference of the wrists' depths, mm."""
    return (bins / config.root_bins - 0.5) * config.root_range
