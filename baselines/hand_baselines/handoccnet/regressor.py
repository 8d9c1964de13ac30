"""HandOccNet's regressor: an hourglass, heatmaps of the joints, and a vector of both.

Source: Park et al., HandOccNet, CVPR 2022; the hourglass is that of Newell et al., ECCV 2016, with
one residual block in each place (facts/wildhands.md 5.7). The loss on heatmaps is not used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.handoccnet.config import HandOccNetConfig


class Regressor(nn.Module):
    """From a feature map to a vector.

    Attributes
    ----------
    out_features
        Values of the vector.
    """

    def __init__(self, config: HandOccNetConfig):
        super().__init__()
        wide, joints = config.channels, config.joints
        self.hourglass = Hourglass(wide, config.halvings)
        self.after = nn.Sequential(
            Residual(wide), nn.Conv2d(wide, wide, 1, bias=False), *_activated(wide)
        )
        # A bias would move all places of a heatmap alike, which changes no share.
        self.heatmaps = nn.Conv2d(wide, joints, 1, bias=False)
        self.temperature = nn.Parameter(torch.ones(joints))
        self.from_heatmaps = nn.Conv2d(joints, wide, 1)
        self.from_features = nn.Conv2d(wide, wide, 1)
        self.encoder = nn.Sequential(*(_Halving(wide) for _ in range(config.halvings)))
        first, self.out_features = config.hidden
        left = config.side >> config.halvings
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(wide * left**2, first),
            nn.LeakyReLU(inplace=True),
            nn.Linear(first, self.out_features),
            nn.LeakyReLU(inplace=True),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, channels, side, side) to (n, out_features)."""
        found = self.after(self.hourglass(features))
        shares = self._shares(self.heatmaps(found)).to(found.dtype)
        return self.layers(self.encoder(self.from_heatmaps(shares) + self.from_features(found)))

    def _shares(self, maps: Tensor) -> Tensor:
        """Return heatmaps (n, joints, h, w) of sum 1, sharper at a higher temperature."""
        sharp = maps * self.temperature[:, None, None]
        return sharp.flatten(2).softmax(dim=-1).view(maps.shape)


class Hourglass(nn.Module):
    """One level, with all smaller ones inside; maps (n, channels, h, w) to the same shape."""

    def __init__(self, channels: int, levels: int):
        super().__init__()
        self.skip = Residual(channels)
        self.before, self.behind = Residual(channels), Residual(channels)
        self.inner = Hourglass(channels, levels - 1) if levels > 1 else Residual(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Halve, look, double, and add what was kept."""
        small = self.behind(self.inner(self.before(functional.max_pool2d(features, 2))))
        return self.skip(features) + functional.interpolate(small, scale_factor=2)


class Residual(nn.Module):
    """A bottleneck of half the channels: 1x1, 3x3, 1x1, each after normalisation and ReLU."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.layers = nn.Sequential(
            *_activated(channels),
            nn.Conv2d(channels, half, 1, bias=False),
            *_activated(half),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            *_activated(half),
            nn.Conv2d(half, channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, channels, h, w) to the same shape."""
        return features + self.layers(features)


class _Halving(nn.Sequential):
    """Two residual blocks, and the maximum of every 2x2 places."""

    def __init__(self, channels: int):
        super().__init__(Residual(channels), Residual(channels), nn.MaxPool2d(2))


def _activated(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
