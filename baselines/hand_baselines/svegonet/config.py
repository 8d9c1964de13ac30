"""What a SVEgoNet is made of: InterNet's sizes and a crop rule of its own."""

from __future__ import annotations

from dataclasses import dataclass

from hand_baselines.internet.config import SMALL, InterNetConfig
from hand_baselines.presets import find_preset


@dataclass(frozen=True)
class SVEgoNetConfig(InterNetConfig):
    """An InterNet on grey crops; `InterNetConfig` describes what is inherited.

    Attributes
    ----------
    expansion
        Side of the square crop over the longer side of the box, before it is rounded.
    smallest_crop
        Pixels of the picture that a crop's side has at least.
    wrist_in_view
        False: what is seen of a hand is trained on even where its wrist is hidden.
    """

    joint_set: str = "assemblyhands21"
    expansion: float = 1.75
    smallest_crop: float = 100.0
    wrist_in_view: bool = False


PRESETS = {"paper": SVEgoNetConfig(), "small": SVEgoNetConfig(**SMALL)}


def preset(name: str) -> SVEgoNetConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "SVEgoNet", name)
