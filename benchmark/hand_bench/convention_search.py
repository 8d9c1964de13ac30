"""The search for what a file means: every combination, then only the changes that earn a place.

A convention is a dataclass with one field for each group of hypotheses ("units", "hands", ...);
errors, costs and rules come from the caller.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any


def changes(new: Any, old: Any) -> list[str]:
    """Names of the groups in which two conventions differ."""
    return [f.name for f in fields(new) if getattr(new, f.name) != getattr(old, f.name)]


def combinations(kind: type, options: Mapping[str, tuple]) -> Iterator[Any]:
    """Every convention that the options of the groups allow."""
    for values in itertools.product(*options.values()):
        yield kind(**dict(zip(options, values, strict=True)))


def prune(found: Any, declared: Any, earns: Callable[[Any, Any], bool]) -> Any:
    """Take back every change that does not earn its place; `earns(without, with)` is the rule."""
    for group in changes(found, declared):
        without = replace(found, **{group: getattr(declared, group)})
        if not earns(without, found):
            return prune(without, declared, earns)
    return found


def order_changes(declared: Any, final: Any, cost: Callable[[Any], float]) -> list[str]:
    """Order the changes so that each is the best next one: "group: value"."""
    now, names, left = declared, [], changes(final, declared)
    while left:
        steps = {group: replace(now, **{group: getattr(final, group)}) for group in left}
        group = min(left, key=lambda g: cost(steps[g])) if len(left) > 1 else left[0]
        now = steps[group]
        left.remove(group)
        names.append(f"{group}: {getattr(final, group)}")
    return names
