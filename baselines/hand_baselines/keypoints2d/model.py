"""The 2D keypoint network: one heatmap for each of the 21 joints of a hand, in every view.

A heatmap is a softmax over its pixels. It is trained by the cross-entropy with a Gaussian around
the joint, and read by its expectation. How much of it lies on its highest pixel, compared with that
Gaussian, is the confidence: 1 where the network is as sure as it can be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hand_baselines.crops import as_float
from hand_baselines.heads import soft_argmax_2d
from hand_baselines.instants import Views, views_of
from hand_baselines.keypoints2d.config import KeypointsConfig
from hand_baselines.mvexonet.volumes import NEAR, project
from hand_baselines.pretrained import Pretrained
from hand_baselines.pyramid import STRIDE, Pyramid, make_encoder

#: Joints of a hand.
JOINTS = 21


class KeypointTargets(NamedTuple):
    """What the heatmaps of a batch should be.

    | field | shape | meaning |
    |---|---|---|
    | places | (batch, views, 21, 2) | x, y in pixels of the heatmap |
    | valid | (batch, views, 21) | bool: annotated, and inside the crop |
    """

    places: Tensor
    valid: Tensor


class KeypointLosses(NamedTuple):
    """The only term: the cross-entropy above its least value, nats."""

    heatmap: Tensor

    @property
    def total(self) -> Tensor:
        """The loss."""
        return self.heatmap


class Keypoints(NamedTuple):
    """Joints in crops.

    | field | shape | meaning |
    |---|---|---|
    | points | (batch, views, 21, 2) | px of the crop |
    | confidence | (batch, views, 21) | 0 to 1; 0 where the view is not there |
    """

    points: Tensor
    confidence: Tensor


class KeypointNet(nn.Module, Pretrained):
    """The network; `PRESETS["small"]` has 1.7 million parameters."""

    #: Layers that learn faster (`training_options.Options.head_rate`).
    HEADS = ("pyramid", "heatmaps")

    def __init__(self, config: KeypointsConfig):
        super().__init__()
        self.config = config
        self.backbone, channels = make_encoder(config.encoder, config.width)
        self.pyramid = Pyramid(channels, config.features)
        self.heatmaps = nn.Conv2d(config.features, JOINTS, 1)

    def forward(self, views: Views) -> Tensor:
        """Return logits of heatmaps (batch, views, 21, h, w); zeros where a view is not there."""
        images = as_float(views.image[views.there])
        images = images.contiguous(memory_format=torch.channels_last)
        logits = self.heatmaps(self.pyramid(self.backbone.stages(images))).float()
        whole = logits.new_zeros(*views.there.shape, *logits.shape[1:])
        return whole.index_put((views.there,), logits)

    def targets(self, batch: Mapping[str, Tensor]) -> KeypointTargets:
        """Return the targets of a batch of `instants.HandViews`."""
        views = views_of(dict(batch))
        pixels, depth = project(batch["joints"], views)
        places, side = pixels / STRIDE, views.image.shape[-1] / STRIDE
        inside = ((places > -0.5) & (places < side - 0.5)).all(dim=-1) & (depth > NEAR)
        valid = inside & batch["valid"][:, None] & views.there[..., None]
        return KeypointTargets(torch.where(valid[..., None], places, 0.0), valid)

    def losses(self, output: Tensor, targets: KeypointTargets) -> KeypointLosses:
        """Return the loss (see `heatmap_loss`)."""
        return KeypointLosses(heatmap_loss(output, targets, self.config.sigma))

    def decode(self, output: Tensor, batch: Mapping[str, Tensor]) -> Keypoints:
        """Return the joints in the crops, and how sure they are."""
        shares = output.flatten(-2).softmax(dim=-1)
        confidence = shares.amax(dim=-1) * (2 * math.pi * self.config.sigma**2)
        confidence = confidence.clamp_max(1.0) * batch["there"][..., None]
        return Keypoints(soft_argmax_2d(output) * STRIDE, confidence)


def heatmap_loss(logits: Tensor, targets: KeypointTargets, sigma: float) -> Tensor:
    """Return the mean over valid joints of the divergence of heatmaps from their targets, nats.

    The target of a joint is a Gaussian of width `sigma` that sums to one over the heatmap; the
    divergence of a distribution q from it is ``sum p log(p / q)``, 0 where they are equal.
    """
    height, width = logits.shape[-2:]
    x = _profile(targets.places[..., 0], width, sigma)
    y = _profile(targets.places[..., 1], height, sigma)
    target = y[..., :, None] * x[..., None, :]
    entropy = (torch.xlogy(x, x).sum(dim=-1) + torch.xlogy(y, y).sum(dim=-1)).detach()
    normal = logits.flatten(-2).logsumexp(dim=-1)
    divergence = entropy + normal - (target * logits).sum(dim=(-2, -1))
    return (divergence * targets.valid).sum() / targets.valid.sum().clamp_min(1)


def _profile(centres: Tensor, count: int, sigma: float) -> Tensor:
    """A Gaussian over 0, 1, ... count - 1 that sums to one."""
    bins = torch.arange(count, device=centres.device, dtype=centres.dtype)
    return (-((bins - centres[..., None]) ** 2) / (2 * sigma**2)).softmax(dim=-1)
