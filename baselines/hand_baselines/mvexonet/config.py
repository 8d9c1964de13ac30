"""What an MVExoNet is made of: `PRESETS["paper"]` and `PRESETS["small"]`."""

from __future__ import annotations

from dataclasses import dataclass

from hand_baselines.instants import Variation
from hand_baselines.presets import SMALL_DEPTH, SMALL_INPUT, SMALL_WIDTH, find_preset


@dataclass(frozen=True)
class MVExoNetConfig:
    """Sizes of an MVExoNet; the README says which the paper gives, and where the others are from.

    Attributes
    ----------
    encoder, width
        "efficientnet-b0" (from transformers) or "resnet-18", and by what its channels are
        multiplied.
    pyramid, features
        Channels of the 2D feature map, and of what is unprojected of it.
    input_size
        Pixels of the square crop's side.
    expansion
        Side of the square crop over the longer side of the box, which is itself 1.2 times as large
        as the hand's joints reach.
    side, bins
        Of the volume: millimetres, and points along each axis.
    stem, channels, blocks
        Of the 3D network (`v2v.V2V`).
    root_noise, turn, dropped_views
        What varies in training (`instants.Variation`): mm, degrees, views.
    joint_weight, volume_weight
        Factors of the loss on joints (of millimetres) and of that on volumes (of nats).
    """

    encoder: str = "efficientnet-b0"
    width: float = 1.0
    pyramid: int = 128
    features: int = 32
    input_size: int = 256
    expansion: float = 1.1
    side: float = 300.0
    bins: int = 64
    stem: tuple[int, int] = (16, 7)
    channels: tuple[int, ...] = (32, 64, 128, 128, 128, 128)
    blocks: int = 3
    root_noise: float = 40.0
    turn: float = 45.0
    dropped_views: int = 3
    joint_weight: float = 0.1
    volume_weight: float = 0.01

    def __post_init__(self) -> None:
        halvings = len(self.channels) - 1
        if self.bins % 2**halvings:
            raise ValueError(f"{self.bins} points cannot be halved {halvings} times")

    def variation(self) -> Variation:
        """Return what varies in training besides the crops."""
        return Variation(noise=self.root_noise, turn=self.turn, dropped=self.dropped_views)


PRESETS = {
    "paper": MVExoNetConfig(),
    "small": MVExoNetConfig(
        encoder=f"resnet-{SMALL_DEPTH}",
        width=SMALL_WIDTH,
        pyramid=48,
        features=16,
        input_size=SMALL_INPUT,
        bins=24,
        stem=(16, 3),
        channels=(16, 32, 48, 48),
        blocks=1,
        turn=30.0,
        volume_weight=0.1,
    ),
}


def preset(name: str) -> MVExoNetConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "MVExoNet", name)
