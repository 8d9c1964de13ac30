"""Presets: configurations by name, and the sizes that every ``small`` one has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from hand_bench.errors import BaselineError, unknown_name

Config = TypeVar("Config")
#: The backbone of every ``small`` preset, so that one pretrained backbone serves all of them.
SMALL_DEPTH, SMALL_WIDTH, SMALL_INPUT = 18, 0.375, 128


def find_preset(presets: Mapping[str, Config], model: str, name: str) -> Config:
    """Return a configuration by name.

    Raises
    ------
    BaselineError
        HB301 with the nearest name where there is no such preset.
    """
    if name not in presets:
        raise BaselineError(unknown_name(f"preset of {model}", name, list(presets)))
    return presets[name]
