"""InterNet: heatmaps of both hands, the difference of their depths, and which hands are there.

Source: Moon et al., InterHand2.6M, ECCV 2020, sections 4 and 5; facebookresearch/InterHand2.6M,
main/model.py, common/nets/module.py, common/nets/loss.py (facts/interhand26m.md 3.1 to 3.3). What
differs between the two, and from them, is listed in this folder's README.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.crops import apply, as_float, invert
from hand_baselines.heads import (
    DepthBranch,
    PoseHead,
    PresenceBranch,
    argmax_3d,
    heatmap_errors,
    pooled,
    refined_argmax_3d,
    soft_argmax_3d,
)
from hand_baselines.internet.config import InterNetConfig
from hand_baselines.internet.targets import (
    InterNetTargets,
    bins_to_depth,
    bins_to_pixels,
    bins_to_root_depth,
    make_targets,
    network_to_openpose,
)
from hand_baselines.pretrained import Pretrained
from hand_baselines.resnet import ResNet
from hand_bench.joint_sets import joint_set


class InterNetOutput(NamedTuple):
    """What the network says about a batch.

    | field | shape | meaning |
    |---|---|---|
    | heatmaps | (batch, 42, bins z, bins y, bins x) | right hand first, peak 255 |
    | root_depth | (batch,) | left minus right wrist depth, in bins |
    | presence | (batch, 2) | logits: right, left |
    """

    heatmaps: Tensor
    root_depth: Tensor
    presence: Tensor


class InterNetLosses(NamedTuple):
    """The three terms; the loss is their sum, without weights."""

    pose: Tensor
    root_depth: Tensor
    presence: Tensor

    @property
    def total(self) -> Tensor:
        """L = L_pose + L_rel + L_h of the paper."""
        return self.pose + self.root_depth + self.presence


class Decoded(NamedTuple):
    """2.5D hands in the picture; (batch, 2, 21) joints, right hand first, OpenPose order.

    | field | shape | unit |
    |---|---|---|
    | joints_2d | (batch, 2, 21, 2) | px of the source picture |
    | relative_depth | (batch, 2, 21) | mm from the wrist of the same hand |
    | relative_root_depth | (batch,) | mm, left minus right wrist |
    | present | (batch, 2) | probability |
    """

    joints_2d: Tensor
    relative_depth: Tensor
    relative_root_depth: Tensor
    present: Tensor


class InterNet(nn.Module, Pretrained):
    """The network; `PRESETS["paper"]` has 47,305,474 parameters."""

    #: Layers that learn faster (`training_options.Options.head_rate`).
    HEADS = ("right_pose.convolution", "left_pose.convolution")

    def __init__(self, config: InterNetConfig):
        super().__init__()
        self.config = config
        self.backbone = ResNet(config.depth, width=config.width)
        channels = self.backbone.out_channels
        joints = len(joint_set(config.joint_set).joints)
        self.right_pose = PoseHead(channels, joints, config.bins, config.hidden)
        self.left_pose = PoseHead(channels, joints, config.bins, config.hidden)
        self.root_depth = DepthBranch(channels, config.root_bins, config.branch_hidden)
        self.presence = PresenceBranch(channels, config.branch_hidden)

    def forward(self, images: Tensor) -> InterNetOutput:
        """Return heatmaps, relative root depth and presence.

        `images` are crops (batch, 3, input_size, input_size), bytes or floats in 0 to 1; as in the
        official code no mean is subtracted.
        """
        features = self.backbone(as_float(images))
        flat = pooled(features)
        heatmaps = torch.cat([self.right_pose(features), self.left_pose(features)], dim=1)
        return InterNetOutput(heatmaps, self.root_depth(flat), self.presence(flat))

    def targets(self, batch: Mapping[str, Tensor]) -> InterNetTargets:
        """Return the targets of a batch of crops (see `make_targets`)."""
        return make_targets(batch, self.config)

    def losses(self, output: InterNetOutput, targets: InterNetTargets) -> InterNetLosses:
        """Return the three terms of the loss (see `losses` and `integral_losses`)."""
        if self.config.pose_loss == "integral":
            return integral_losses(output, targets)
        return losses(output, targets, self.config.sigma)

    def decode(self, output: InterNetOutput, batch: Mapping[str, Tensor]) -> Decoded:
        """Return 2.5D hands in the source picture (see the function `decode`)."""
        return decode(output, batch["affine"], self.config)


def losses(output: InterNetOutput, targets: InterNetTargets, sigma: float) -> InterNetLosses:
    """Return the terms as the official code has them.

    * pose: mean over pictures, 42 joints and all voxels of the squared difference to the target
      heatmap (peak 255); what is not valid counts as zero in the mean;
    * root_depth: mean over pictures of the absolute difference in bins, zero where not valid;
    * presence: mean over pictures of the mean binary cross-entropy of the two hands, zero where
      not known.
    """
    squares = heatmap_errors(output.heatmaps.float(), targets.joints, sigma)
    pose = (squares * targets.joints_valid).mean()
    depth = (output.root_depth.float() - targets.root_depth).abs() * targets.root_depth_valid
    return InterNetLosses(pose, depth.mean(), presence_loss(output.presence, targets))


def integral_losses(output: InterNetOutput, targets: InterNetTargets) -> InterNetLosses:
    """Return the terms with the heatmaps' expected places instead of their squares.

    * pose: mean over joints that are valid of ``|dx| + |dy| + |dz|``, bins;
    * root_depth: a tenth of the mean absolute difference where it is valid, bins;
    * presence: as in `losses`.
    """
    away = (soft_argmax_3d(output.heatmaps) - targets.joints).abs().sum(dim=-1)
    depth = (output.root_depth.float() - targets.root_depth).abs()
    return InterNetLosses(
        mean_of_valid(away, targets.joints_valid),
        0.1 * mean_of_valid(depth, targets.root_depth_valid),
        presence_loss(output.presence, targets),
    )


def presence_loss(logits: Tensor, targets: InterNetTargets) -> Tensor:
    """Return the mean binary cross-entropy of the two hands (batch, 2), zero where not known."""
    entropy = functional.binary_cross_entropy_with_logits(
        logits.float(), targets.present, reduction="none"
    )
    return (entropy.mean(dim=1) * targets.present_known).mean()


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over what is valid; zero where nothing is."""
    return (values * valid).sum() / valid.sum().clamp_min(1)


#: Config's `decoding` -> how a volume (..., depth, height, width) is read, in bins.
READINGS = {"argmax": argmax_3d, "refined": refined_argmax_3d, "expected": soft_argmax_3d}


@torch.no_grad()
def decode(output: InterNetOutput, affine: Tensor, config: InterNetConfig) -> Decoded:
    """Read 2.5D hands from the outputs, in pixels of the pictures that the crops come from.

    `affine` (batch, 2, 3) maps a picture to its crop. Hands that are probably not there are decoded
    as well; `lifting.lift_hands` takes the result to camera space.
    """
    bins = READINGS[config.decoding](output.heatmaps.float())
    return decode_bins(bins, output, affine, config)


def decode_bins(bins: Tensor, output: Any, affine: Tensor, config: InterNetConfig) -> Decoded:
    """Read 2.5D hands from the places (batch, 42, 3) of the joints, in bins; see `decode`.

    Of `output` the relative root depth and the presence are read.
    """
    bins = bins.unflatten(1, (2, -1))[:, :, network_to_openpose(config, bins.device)]
    crop_pixels = bins_to_pixels(bins[..., :2], config)
    return Decoded(
        apply(invert(affine)[:, None], crop_pixels.to(affine.dtype)),
        bins_to_depth(bins[..., 2], config),
        bins_to_root_depth(output.root_depth.float(), config),
        output.presence.float().sigmoid(),
    )
