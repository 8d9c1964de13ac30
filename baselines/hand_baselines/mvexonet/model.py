"""The MVExoNet: features of every view, one volume of them all, a heatmap for every joint in it.

Source: Ohkawa et al., AssemblyHands, CVPR 2023, section 3.2. What it leaves open follows Iskakov et
al., Learnable triangulation of human pose, ICCV 2019 (facts/assemblyhands.md 4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hand_baselines.crops import as_float
from hand_baselines.heads import soft_argmax_3d
from hand_baselines.instants import Views
from hand_baselines.mvexonet.config import MVExoNetConfig
from hand_baselines.mvexonet.v2v import V2V
from hand_baselines.mvexonet.volumes import aggregate, from_bins, grid, to_bins, unproject
from hand_baselines.pretrained import Pretrained
from hand_baselines.pyramid import Pyramid, make_encoder

#: Joints of a hand.
JOINTS = 21


class MVExoNetTargets(NamedTuple):
    """What the volumes of a batch should say.

    | field | shape | meaning |
    |---|---|---|
    | places | (batch, 21, 3) | x, y, z in points of the volume |
    | valid | (batch, 21) | bool: annotated |
    """

    places: Tensor
    valid: Tensor


class MVExoNetLosses(NamedTuple):
    """The two terms, with their weights; the loss is their sum."""

    joints: Tensor
    volumes: Tensor

    @property
    def total(self) -> Tensor:
        """The loss."""
        return self.joints + self.volumes


class Hands(NamedTuple):
    """Hands in their world.

    | field | shape | meaning |
    |---|---|---|
    | joints | (batch, 21, 3) | mm |
    | confidence | (batch, 21) | 0 to 1: how much of the heatmap lies within a point of the joint |
    """

    joints: Tensor
    confidence: Tensor


class MVExoNet(nn.Module, Pretrained):
    """The network; views may be any number, and any cameras."""

    #: Layers that learn faster (`training_options.Options.head_rate`).
    HEADS = ("pyramid", "reduce", "v2v")

    def __init__(self, config: MVExoNetConfig):
        super().__init__()
        self.config = config
        self.backbone, channels = make_encoder(config.encoder, config.width)
        self.pyramid = Pyramid(channels, config.pyramid)
        self.reduce = nn.Conv2d(config.pyramid, config.features, 1)
        self.v2v = V2V(config.features, JOINTS, config.stem, config.channels, config.blocks)

    def forward(self, views: Views, centre: Tensor) -> Tensor:
        """Return logits of heatmaps (batch, 21, bins, bins, bins) around centres (batch, 3), mm."""
        images = as_float(views.image[views.there])
        images = images.contiguous(memory_format=torch.channels_last)
        found = self.reduce(self.pyramid(self.backbone.stages(images))).float()
        features = found.new_zeros(*views.there.shape, *found.shape[1:])
        features = features.index_put((views.there,), found)
        bins = self.config.bins
        points = grid(centre, self.config.side, bins)
        volume = aggregate(unproject(features, points, views), views.there)
        return self.v2v(volume.unflatten(-1, (bins, bins, bins)))

    def targets(self, batch: Mapping[str, Tensor]) -> MVExoNetTargets:
        """Return the targets of a batch of `instants.HandViews`."""
        places = to_bins(batch["joints"], batch["centre"], self.config.side, self.config.bins)
        return MVExoNetTargets(places, batch["valid"])

    def losses(self, output: Tensor, targets: MVExoNetTargets) -> MVExoNetLosses:
        """Return the terms of the loss (see `joint_loss` and `volume_loss`), weighed."""
        pitch = self.config.side / (self.config.bins - 1)
        joints = joint_loss(soft_argmax_3d(output), targets) * pitch
        return MVExoNetLosses(
            self.config.joint_weight * joints,
            self.config.volume_weight * volume_loss(output.float(), targets),
        )

    def decode(self, output: Tensor, batch: Mapping[str, Tensor]) -> Hands:
        """Return the joints in the hand's world, and how sure they are."""
        places = soft_argmax_3d(output)
        joints = from_bins(places, batch["centre"], self.config.side, self.config.bins)
        return Hands(joints, _share_nearby(output.float(), places))


def joint_loss(places: Tensor, targets: MVExoNetTargets) -> Tensor:
    """Return the mean absolute difference over valid joints and the three axes, points."""
    away = (places - targets.places).abs().mean(dim=-1)
    return (away * targets.valid).sum() / targets.valid.sum().clamp_min(1)


def volume_loss(logits: Tensor, targets: MVExoNetTargets) -> Tensor:
    """Return the mean of ``-log`` of the heatmap at the point nearest to the joint, nats.

    Over the valid joints that are inside the volume.
    """
    bins = logits.shape[-1]
    nearest = targets.places.round().long()
    inside = targets.valid & ((nearest >= 0) & (nearest < bins)).all(dim=-1)
    x, y, z = nearest.clamp(0, bins - 1).unbind(-1)
    flat = logits.flatten(-3)
    there = flat.gather(-1, ((z * bins + y) * bins + x)[..., None])[..., 0]
    entropy = flat.logsumexp(dim=-1) - there
    return (entropy * inside).sum() / inside.sum().clamp_min(1)


def _share_nearby(logits: Tensor, places: Tensor, reach: float = 1.5) -> Tensor:
    """Return how much of the heatmaps lies within `reach` points of places along every axis."""
    shares = logits.flatten(-3).softmax(dim=-1).view(logits.shape)
    line = torch.arange(logits.shape[-1], device=logits.device, dtype=shares.dtype)
    near = ((line - places[..., None]).abs() <= reach).to(shares.dtype)
    x, y, z = near.unbind(-2)
    return torch.einsum("...zyx,...z,...y,...x->...", shares, z, y, x)
