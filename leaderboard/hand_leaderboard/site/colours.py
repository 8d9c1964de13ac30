"""Colours of numbers: the scale of errors, and the ink that can be read on it."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

#: From small to large errors; light ink on its dark ends, dark ink between (`ink_on`).
ERRORS = ("#2b6cb0", "#5a9bd0", "#a9cfe4", "#f3e3a5", "#f0b35e", "#dd6b3d", "#b02c2c")


LIGHT, DARK = "#ffffff", "#0b0f13"
#: Colours of a scale that are told apart.
LEVELS = 200


def at(share: float, scale: tuple[str, ...] = ERRORS) -> str:
    """Return the colour at a share (0 to 1) of a scale, as "#rrggbb"."""
    return _level(round(min(max(share, 0.0), 1.0) * LEVELS), scale)


@cache
def _level(level: int, scale: tuple[str, ...]) -> str:
    place = level / LEVELS * (len(scale) - 1)
    low = min(int(place), len(scale) - 2)
    parts = zip(_channels(scale[low]), _channels(scale[low + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - low)):02x}" for a, b in parts)


@cache
def ink_on(colour: str) -> str:
    """Return the ink, dark or light, that reads better on a colour (WCAG's contrast)."""
    light, dark, own = (_light(c) + 0.05 for c in (LIGHT, DARK, colour))
    return LIGHT if light / own > own / dark else DARK


def _light(colour: str) -> float:
    weights = (0.2126, 0.7152, 0.0722)
    return sum(
        w * _linear(value / 255) for w, value in zip(weights, _channels(colour), strict=True)
    )


def nice_top(largest: float) -> float:
    """Return a round number that is not below a value: the end of an axis or a scale."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** (len(f"{largest:.0f}") - 1) if largest >= 1 else 0.1
    steps = [s * power for s in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)]
    return steps[min(bisect_right(steps, largest * (1 - 1e-9)), len(steps) - 1)]


def _channels(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return red, green, blue


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
