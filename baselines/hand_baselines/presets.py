"""Presets: configurations by name, and the sizes that every ``small`` one has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from hand_bench.errors import BaselineError, Problem, unknown_name

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


def changed(config: Config, given: Sequence[str]) -> Config:
    """Return a configuration with some values changed: ``["window=1", "cascade=false"]``.

    A value is JSON, or a text as it is; lists are parts with commas between them.

    Raises
    ------
    BaselineError
        HB301 for an unknown name, HB302 for a value of another kind or one that does not fit.
    """
    values: dict[str, Any] = asdict(config)  # pyright: ignore
    new: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise _unfit(text, "is no NAME=VALUE.")
        if name not in values:
            raise BaselineError(unknown_name("value of a configuration", name, list(values)))
        new[name] = _value(text, value, values[name])
    try:
        return replace(config, **new)  # pyright: ignore
    except (ValueError, TypeError) as error:
        raise _unfit(" ".join(given), f"does not fit: {error}.") from error


def _value(text: str, value: str, old: Any) -> Any:
    """Read a value of the kind of the old one."""
    if isinstance(old, tuple):
        return tuple(_value(text, part, old[0]) for part in value.split(","))
    if isinstance(old, str):
        return value
    try:
        new = json.loads(value)
    except ValueError as error:
        raise _unfit(text, f"is no value like {json.dumps(old)}.") from error
    kinds = (int, float) if isinstance(old, float) else type(old)
    if not isinstance(new, kinds) or isinstance(new, bool) != isinstance(old, bool):
        raise _unfit(text, f"is no value like {json.dumps(old)}.")
    return new


def _unfit(text: str, what: str) -> BaselineError:
    fix = "`hand-bench baselines show MODEL` lists names and values."
    return BaselineError(Problem("HB302", f"--config {text}", what, fix=fix))
