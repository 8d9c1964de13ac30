"""Sizes of backbones: `PRESETS["small"]`, "resnet18", "resnet34" and "resnet50"."""

from __future__ import annotations

from dataclasses import dataclass

from hand_baselines.internet.config import InterNetConfig
from hand_baselines.presets import SMALL_DEPTH, SMALL_INPUT, SMALL_WIDTH, find_preset


@dataclass(frozen=True)
class BackboneConfig(InterNetConfig):
    """A backbone and the small head it is trained with; `InterNetConfig` describes the spaces.

    Attributes
    ----------
    reduced
        Channels to which the last feature map is reduced before it is flattened.
    """

    hidden: int = 512
    reduced: int = 64
    wrist_in_view: bool = False


PRESETS = {
    "small": BackboneConfig(
        depth=SMALL_DEPTH,
        width=SMALL_WIDTH,
        input_size=SMALL_INPUT,
        bins=32,
        hidden=256,
        branch_hidden=128,
    ),
    "resnet18": BackboneConfig(depth=18),
    "resnet34": BackboneConfig(depth=34),
    "resnet50": BackboneConfig(depth=50),
}


def preset(name: str) -> BackboneConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "backbone", name)
