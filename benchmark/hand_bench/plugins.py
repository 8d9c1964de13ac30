"""Tracks and datasets of other packages, found through entry points.

A package offers a `Track` under the group ``hand_bench.tracks`` and a `Dataset` under
``hand_bench.datasets``; the entry point's name is the value's name. Nothing is imported before a
name is asked for that this package does not have, or a list of all is printed.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TypeVar

from hand_bench.errors import Problem, TrackError

TRACKS, DATASETS = "hand_bench.tracks", "hand_bench.datasets"
Value = TypeVar("Value")


def names(group: str) -> list[str]:
    """Return the names that other packages offer, without importing them."""
    return sorted({point.name for point in entry_points(group=group)})


def find(group: str, name: str, kind: type[Value]) -> Value | None:
    """Import what another package offers under a name; None where nobody does.

    Raises
    ------
    TrackError
        HB301 where the package gives something else, or under another name.
    """
    for point in entry_points(group=group, name=name):
        value = point.load()
        found = getattr(value, "name", None)
        if not isinstance(value, kind) or found != name:
            raise TrackError(
                Problem(
                    "HB301",
                    f"entry point {name!r} of {group}",
                    f"{point.value} is {type(value).__name__} {found or ''}.".replace(" .", "."),
                    fix=f"It must be a {kind.__name__} whose name is {name!r}.",
                )
            )
        return value
    return None
