"""A drawing of both hands, each joint a disc with its error in it, coloured by it.

The shape is a drawing and no measurement: a right hand seen from its back, fingers up, in the
order of `openpose21`. A left hand is its mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hand_bench.joint_sets import JOINT_SETS
from hand_leaderboard.site import colours

WIDTH, HEIGHT = 250, 300
#: Places of the joints of a right hand.
PLACES: tuple[tuple[float, float], ...] = (
    (128, 276),
    (92, 252), (62, 222), (42, 190), (24, 160),
    (90, 158), (80, 116), (74, 84), (69, 54),
    (124, 150), (124, 102), (124, 66), (124, 32),
    (157, 158), (166, 114), (172, 80), (177, 50),
    (186, 176), (202, 146), (213, 120), (223, 94),
)  # fmt: skip
PALM = "M104 284 L78 244 L84 160 L124 146 L160 154 L192 174 L184 226 L154 284 Z"


@dataclass(frozen=True)
class Disc:
    """One joint: where, its colour and ink, what is written in it, and what it is called."""

    name: str
    x: float
    y: float
    colour: str
    ink: str
    text: str
    title: str


@dataclass(frozen=True)
class Hand:
    """One hand to draw: bones (x1, y1, x2, y2, colour), discs, and the palm's outline."""

    side: str
    bones: tuple[tuple[float, float, float, float, str], ...]
    discs: tuple[Disc, ...]


def hands(
    errors: Mapping[str, Sequence[float | None]], unit: str, top: float | None = None
) -> tuple[list[Hand], float]:
    """Return the hands to draw, left hand first as one sees one's own, and the scale's end.

    Parameters
    ----------
    errors
        21 errors of "right" and "left" in the order of `openpose21`, None where there is none.
    unit
        Of the errors, "mm" or "px".
    top
        End of the scale; from the errors where it is not given.
    """
    known = {side: values for side in ("left", "right") if any_known(values := errors.get(side))}
    if top is None:
        every = [v for values in known.values() for v in values or () if v is not None]
        top = colours.nice_top(max(every, default=1.0))
    return [_hand(side, values or (), unit, top) for side, values in known.items()], top


def any_known(values: Sequence[float | None] | None) -> bool:
    """Whether a hand has any error to show."""
    return values is not None and any(v is not None and v > 0 for v in values)


def place(side: str, joint: int) -> tuple[float, float]:
    """Where a joint of a hand side is drawn."""
    x, y = PLACES[joint]
    return (x if side == "right" else WIDTH - x), y


def _hand(side: str, values: Sequence[float | None], unit: str, top: float) -> Hand:
    joints = JOINT_SETS["openpose21"]
    shades = [colours.at(v / top) if v is not None else "none" for v in values]
    bones = tuple(
        (*place(side, parent), *place(side, child), shades[child]) for parent, child in joints.bones
    )
    discs = tuple(
        Disc(name, *place(side, k), shades[k],
             "currentColor" if shades[k] == "none" else colours.ink_on(shades[k]),
             "" if values[k] is None else short(values[k]),
             f"{side} {name}: {'n/a' if values[k] is None else f'{values[k]:.1f} {unit}'}")
        for k, name in enumerate(joints.joints)
        if not (k == joints.root and not values[k])
    )  # fmt: skip
    return Hand(side, bones, discs)


def short(value: float | None) -> str:
    """Write an error in at most three characters."""
    if value is None:
        return ""
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
