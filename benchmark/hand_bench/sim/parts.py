"""Where objects are taken hold of: the body, a handle, the cap, an edge; and with which grasps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hand_bench.array_types import Float
from hand_bench.sim.grasp_table import VARIANTS, Key
from hand_bench.sim.objects import OBJECTS, Object
from hand_bench.sim.trajectories import about, rigid

#: What one hand can hold between thumb and fingers, mm; wider things are held between two palms.
SPAN = 92.0
#: Breadth of a bottle's cap, mm.
CAP = 34.0


@dataclass(frozen=True)
class Part:
    """A primitive somewhere in an object, and the classes of grasp that fit it."""

    primitive: str
    size: tuple[float, float, float]
    T_object_from_part: Float[np.ndarray, "4 4"]
    grasps: tuple[str, ...]


@cache
def ways_to_hold(thing: Object, name: str, side: int) -> tuple[Part, ...]:
    """Return what a hand may take hold of, one of several.

    Parameters
    ----------
    thing
        The object.
    name
        "whole" (its handle, where it has one), "body" (never the handle), "low" (its lower half),
        "top" (a cap or lid), "side" (an edge).
    side
        0 for the right hand, 1 for the left.
    """
    if name == "top":
        return (_top(thing),)
    if name == "side":
        return (_edge(thing),)
    if name == "low":
        return (_low(_body(thing, side)),)
    if name == "whole" and thing.handle is not None:
        return (_handle(thing),)
    body = _body(thing, side)
    return (body, _from_above(body)) if _lies_flat(body) else (body,)


def bodies() -> list[Key]:
    """Return every grasp of every object's parts: what the table of grasps holds."""
    known = [
        part
        for thing in OBJECTS.values()
        for name in ("whole", "body", "low", "top", "side")
        for side in (0, 1)
        for part in ways_to_hold(thing, name, side)
    ]
    return [(g, p.primitive, p.size, k) for p in known for g in p.grasps for k in range(VARIANTS)]


@cache
def symmetries(primitive: str) -> Float[np.ndarray, "ways 4 4"]:
    """Return the turns after which a primitive looks the same; about its axis y in eight steps."""
    if primitive in ("box", "plate", "card"):
        ways = np.stack([np.eye(3), *(about(axis, np.pi) for axis in range(3))])
    else:
        around = about(1, np.linspace(0, 2 * np.pi, 8, endpoint=False))
        ways = np.concatenate([around, about(0, np.pi) @ around])
    if primitive == "sphere":
        ways = np.concatenate([about(0, tilt) @ ways for tilt in (0.0, np.pi / 2)])
    return rigid(ways, np.zeros(3))


def _handle(thing: Object) -> Part:
    """The rod that an object is held by."""
    handle = thing.handle
    assert handle is not None
    y = np.array(handle.axis) / np.linalg.norm(handle.axis)
    x = np.cross(y, [0.0, 0.0, 1.0])
    T = rigid(np.stack([x, y, np.cross(x, y)], axis=1), np.array(handle.centre))
    size = (2 * handle.radius, handle.length, 2 * handle.radius)
    grasps = ("Pre-Pris", "Later") if handle.radius < 5.5 else ("Pow-Pris",)
    if thing.name == "mug":
        grasps = ("Other", "Pow-Pris")
    return Part("handle", size, T, grasps)


def _body(thing: Object, side: int) -> Part:
    """The whole object."""
    size, here = thing.dimensions, np.eye(4)
    if thing.primitive == "cylinder":
        wide, tall = size[0], size[1]
        if wide > SPAN:
            return _between_palms(thing, side)
        if wide < 32:
            return Part("cylinder", size, here, ("Pre-Pris", "Pre-Circ"))
        if tall < 40:
            return Part("cylinder", size, here, ("Pre-Circ",))
        return Part(
            "cylinder", size, here, ("Pow-Pris", "Pre-Pris") if wide < 78 else ("Pow-Pris",)
        )
    thin, middle, _ = sorted(size)
    if thing.primitive == "box" and middle < 30:
        return _rod(size)
    if thing.primitive == "sphere":
        return Part("sphere", size, here, ("Pow-Circ", "Pre-Circ"))
    if thin > SPAN:
        return _between_palms(thing, side)
    if thing.primitive == "plate" or thin < 18:
        grasps = ("Pre-Pris", "Later") if thin < 16 else ("Pre-Pris",)
        return Part("plate", size, here, grasps)
    return Part("box", size, here, ("Pre-Pris", "Pow-Pris") if thin < 65 else ("Pre-Pris",))


def _rod(size: tuple[float, float, float]) -> Part:
    """A long thin box, held as a rod."""
    axis = int(np.argmax(size))
    turned = (about(2, -np.pi / 2), np.eye(3), about(0, np.pi / 2))[axis]
    thick = min(size)
    rod = (thick, max(size), thick)
    return Part("handle", rod, rigid(turned, np.zeros(3)), ("Pre-Pris", "Pow-Pris"))


def is_large(thing: Object) -> bool:
    """Whether it takes two hands."""
    return ways_to_hold(thing, "whole", 0)[0].grasps == ("NP-Palm",)


def _lies_flat(body: Part) -> bool:
    """Whether it lies, and is narrow enough to be taken from above, across."""
    x, y, z = body.size
    return body.primitive in ("plate", "box") and y < 0.8 * min(x, z) and min(x, z) <= SPAN


def _from_above(body: Part) -> Part:
    """A flat thing taken across: as if it were higher than it is wide, its top where it is."""
    x, y, z = body.size
    tall = min(x, z) + 1.0
    # The pads meet the faces a little below the upper edge.
    T = rigid(np.eye(3), np.array([0.0, max(y / 2 - 6.0, 0.0), 0.0]))
    return Part("box", (x, min(tall, max(x, z) - 0.5), z), T, ("Pre-Pris",))


def _low(body: Part) -> Part:
    """The lower half of something upright."""
    down = max(0.0, body.size[1] / 2 - 45.0)
    return replace(body, T_object_from_part=rigid(np.eye(3), np.array([0.0, -0.7 * down, 0.0])))


def _between_palms(thing: Object, side: int) -> Part:
    """The right or left face of a large thing, for a flat hand."""
    x, y, z = thing.dimensions
    turned = about(2, -np.pi / 2 if side == 0 else np.pi / 2)
    return Part("box", (y, x, z), rigid(turned, np.zeros(3)), ("NP-Palm",))


def _top(thing: Object) -> Part:
    """A cap on a bottle, or what is at the top of other things."""
    x, y, z = thing.dimensions
    narrow = thing.primitive == "cylinder" and y < 1.7 * x
    wide = min(x, z, 0.92 * SPAN) if narrow else min(x, z, CAP)
    tall = min(24.0, y)
    T = rigid(np.eye(3), np.array([0.0, y / 2 - tall / 2 + 2, 0.0]))
    return Part("button", (wide, tall, wide), T, ("Pre-Circ",))


def _edge(thing: Object) -> Part:
    """The upper edge at the object's +x end."""
    x, y, z = thing.dimensions
    size = (min(x, 44.0), min(y, 12.0), min(z, 80.0))
    T = rigid(np.eye(3), np.array([x / 2 - size[0] / 2, y / 2 - size[1] / 2, 0.0]))
    return Part("plate", size, T, ("Later", "Pre-Pris"))
