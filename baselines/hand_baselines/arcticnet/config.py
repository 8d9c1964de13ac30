"""Presets of ArcticNet-SF: WildHands without some of its parts."""

from __future__ import annotations

from hand_baselines.presets import find_preset
from hand_baselines.wildhands.config import PRESETS as WILDHANDS
from hand_baselines.wildhands.config import WildHandsConfig, without_crops

PRESETS = {name: without_crops(config) for name, config in WILDHANDS.items()}


def preset(name: str) -> WildHandsConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "ArcticNet-SF", name)
