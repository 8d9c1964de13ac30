"""A ResNet with a small head that regresses the joints of both hands directly.

It exists for its backbone: without volumes a step is several times cheaper than InterNet's, so the
features see more pictures in the same time. Its outputs are InterNet's, with places instead of
heatmaps, so targets, decoding and scores are the same. It is no model of a paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from hand_baselines.backbone.config import BackboneConfig
from hand_baselines.crops import as_float
from hand_baselines.heads import PresenceBranch, pooled
from hand_baselines.internet.model import (
    Decoded,
    InterNetLosses,
    decode_bins,
    mean_of_valid,
    presence_loss,
)
from hand_baselines.internet.targets import InterNetTargets, make_targets
from hand_baselines.pretrained import Pretrained
from hand_baselines.resnet import STRIDE, ResNet
from hand_bench.joint_sets import joint_set


class RegressorOutput(NamedTuple):
    """What the network says about a batch; see `InterNetOutput`.

    | field | shape | meaning |
    |---|---|---|
    | joints | (batch, 42, 3) | x, y, z in bins, right hand first |
    | root_depth | (batch,) | left minus right wrist depth, in bins |
    | presence | (batch, 2) | logits: right, left |
    """

    joints: Tensor
    root_depth: Tensor
    presence: Tensor


class Regressor(nn.Module, Pretrained):
    """The network; `backbone` is what other models take over."""

    #: Layers that learn faster (`training_options.Options.head_rate`).
    HEADS = ("places.4",)

    def __init__(self, config: BackboneConfig):
        super().__init__()
        self.config = config
        self.backbone = ResNet(config.depth, width=config.width)
        channels = self.backbone.out_channels
        self.joints = 2 * len(joint_set(config.joint_set).joints)
        side = config.input_size // STRIDE
        self.places = nn.Sequential(
            nn.Conv2d(channels, config.reduced, 1),
            nn.Flatten(),
            nn.Linear(config.reduced * side**2, config.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, 3 * self.joints + 1),
        )
        self.presence = PresenceBranch(channels, config.branch_hidden)

    def forward(self, images: Tensor) -> RegressorOutput:
        """Return places, relative root depth and presence.

        `images` are crops (batch, 3, input_size, input_size), bytes or floats in 0 to 1.
        """
        features = self.backbone(as_float(images))
        # Near 0 is the middle of the volume, and 1 a quarter of its side.
        raw = self.places(features) / 4 + 0.5
        joints = raw[:, :-1].unflatten(1, (self.joints, 3)) * self.config.bins
        return RegressorOutput(
            joints, raw[:, -1] * self.config.root_bins, self.presence(pooled(features))
        )

    def targets(self, batch: Mapping[str, Tensor]) -> InterNetTargets:
        """Return InterNet's targets of a batch of crops."""
        return make_targets(batch, self.config)

    def losses(self, output: RegressorOutput, targets: InterNetTargets) -> InterNetLosses:
        """Return the terms of `internet.model.integral_losses`, of places that are said directly.

        Presence counts ten times: it is what a backbone has to learn first.
        """
        away = (output.joints.float() - targets.joints).abs().sum(dim=-1)
        depth = (output.root_depth.float() - targets.root_depth).abs()
        return InterNetLosses(
            mean_of_valid(away, targets.joints_valid),
            0.1 * mean_of_valid(depth, targets.root_depth_valid),
            10 * presence_loss(output.presence, targets),
        )

    def decode(self, output: RegressorOutput, batch: Mapping[str, Tensor]) -> Decoded:
        """Return 2.5D hands in the source picture (see `internet.model.decode`)."""
        bins = output.joints.float()
        return decode_bins(bins, output, batch["affine"], self.config)
