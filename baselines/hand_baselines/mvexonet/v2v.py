"""V2V: a 3D encoder and decoder from a volume of features to a volume for every joint.

Source: Moon et al., V2V-PoseNet, CVPR 2018, in the form of Iskakov et al., Learnable triangulation
of human pose, ICCV 2019 (karfly/learnable-triangulation-pytorch; facts/assemblyhands.md 4.3): five
levels, skips that are added, Xavier's initialisation. No code is copied.
"""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3x3x3 convolutions and a shortcut."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.layers = nn.Sequential(
            *_normed(channels, out, 3), nn.ReLU(inplace=True), *_normed(out, out, 3)
        )
        self.shortcut = nn.Identity() if channels == out else nn.Sequential(*_normed(channels, out))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (batch, channels, d, h, w) to (batch, out, d, h, w)."""
        return self.relu(self.layers(volume) + self.shortcut(volume))


class Level(nn.Module):
    """One level of the encoder and decoder, with all coarser ones inside.

    Parameters
    ----------
    channels
        Of this level and of the coarser ones.
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__()
        here, below = channels[:2]
        self.skip = Residual(here, here)
        self.down = nn.Sequential(nn.MaxPool3d(2), Residual(here, below))
        # The coarsest level has a block in the middle.
        self.inner = Level(channels[1:]) if len(channels) > 2 else Residual(below, below)
        self.up = nn.Sequential(
            Residual(below, below),
            nn.ConvTranspose3d(below, here, 2, stride=2),
            nn.BatchNorm3d(here),
            nn.ReLU(inplace=True),
        )

    def forward(self, volume: Tensor) -> Tensor:
        """Map (batch, here, d, h, w) to the same shape; every level halves d, h and w."""
        return self.skip(volume) + self.up(self.inner(self.down(volume)))


class V2V(nn.Module):
    """The network.

    Parameters
    ----------
    features, joints
        Channels that come in and go out.
    stem
        Channels and kernel of the first convolution.
    channels
        Of every level, fine to coarse; (32, 64, 128, 128, 128, 128) are the source's.
    blocks
        Residual blocks before the levels; 3 are the source's.
    """

    def __init__(
        self,
        features: int,
        joints: int,
        stem: tuple[int, int],
        channels: tuple[int, ...],
        blocks: int,
    ):
        super().__init__()
        first, kernel = stem
        fine = channels[0]
        self.front = nn.Sequential(
            *_normed(features, first, kernel),
            nn.ReLU(inplace=True),
            *(Residual(first if k == 0 else fine, fine) for k in range(blocks)),
        )
        self.levels = Level(channels)
        self.back = nn.Sequential(
            Residual(fine, fine),
            *_normed(fine, fine),
            nn.ReLU(inplace=True),
            *_normed(fine, fine),
            nn.ReLU(inplace=True),
        )
        self.output = nn.Conv3d(fine, joints, 1)
        _initialise(self)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (batch, features, n, n, n) to (batch, joints, n, n, n)."""
        return self.output(self.back(self.levels(self.front(volume))))


def _normed(channels: int, out: int, kernel: int = 1) -> tuple[nn.Module, nn.Module]:
    """A convolution that keeps the size, and batch normalisation."""
    return nn.Conv3d(channels, out, kernel, padding=kernel // 2), nn.BatchNorm3d(out)


def _initialise(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
            nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
