"""Commands of the outer packages, found through the entry-point group."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

GROUP = "hand_bench.commands"


def find() -> dict[str, EntryPoint]:
    """Return what other packages offer: name -> entry point, nothing imported yet."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load(name: str) -> Callable[..., Any] | None:
    """Import a command of an outer package; None where it or what it needs is not installed."""
    point = find().get(name)
    try:
        return point.load() if point else None
    except ImportError:
        return None
