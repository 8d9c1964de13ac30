"""Named objects as small coloured meshes, with what a hand needs to know to hold them.

Object frame: millimetres, y up, the origin at the centre of the object's box, so that it stands on
the table when its origin is `height / 2` above it. Flat things lie. `dimensions` are the sides of
the box of the body that is grasped, by primitive:

    cylinder  two diameters and a length: y where it stands, x where it lies (pens, screwdrivers)
    box       (x, y, z)
    plate     (x, y, z), thin along y

A `Handle` is a rod that is held instead of the body: its centre, direction, length and radius.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hand_bench.array_types import Float
from hand_bench.classes import FPHA_ACTIONS, H2O_OBJECTS
from hand_bench.sim import shapes, vessels
from hand_bench.sim.scene import OBJECT, OBJECT_PART, Mesh
from hand_bench.sim.shapes import Colours, Maker
from hand_bench.sim.solids import Solid

PRIMITIVES = ("cylinder", "box", "plate")


@dataclass(frozen=True)
class Handle:
    """A part to hold an object by (mm, object frame)."""

    centre: tuple[float, float, float]
    axis: tuple[float, float, float]
    length: float
    radius: float


@dataclass(frozen=True)
class Object:
    """A thing: what it is made like, its size, and where it is held."""

    name: str
    primitive: str
    #: Sides of the box of its body, x, y, z in mm; see the conventions.
    dimensions: tuple[float, float, float]
    colours: Colours
    maker: Maker
    handle: Handle | None = None

    @property
    def axis(self) -> int:
        """Its long axis: of a cylinder the one it turns about, else that of its longest side."""
        if self.primitive == "cylinder":
            return 1 if self.dimensions[0] == self.dimensions[2] else 0
        return int(np.argmax(self.dimensions))

    @property
    def height(self) -> float:
        """How high it stands, mm."""
        return self.dimensions[1]

    def mesh(
        self,
        pose: Float[np.ndarray, "4 4"],
        scale: float = 1.0,
        seed: int = 0,
        instance: int = OBJECT,
    ) -> Mesh:
        """Return the object, `scale` times its size, at a pose in the world; `seed` colours it."""
        solid = _solid(self.name, seed)
        pose = np.asarray(pose, float)
        vertices = (scale * solid.vertices) @ pose[:3, :3].T + pose[:3, 3]
        parts = np.full(len(solid.faces), OBJECT_PART)
        return Mesh(vertices, solid.faces, solid.colours, parts, instance)


@functools.lru_cache(256)
def _solid(name: str, seed: int) -> Solid:
    """Return the object in its own frame; with another seed its colours are a little different."""
    thing = OBJECTS[name]
    solid = thing.maker(thing.dimensions, thing.colours, seed)
    rng = np.random.default_rng(seed)
    tint = np.clip(solid.colours * rng.uniform(0.85, 1.1, 3) + rng.uniform(-0.04, 0.04, 3), 0, 1)
    for array in (solid.vertices, solid.faces, tint):
        array.flags.writeable = False
    return solid._replace(colours=tint)


def _named(rgb: str) -> tuple[float, float, float]:
    red, green, blue = (int(rgb[k : k + 2], 16) / 255 for k in (0, 2, 4))
    return red, green, blue


def _thing(
    name: str,
    primitive: str,
    dimensions: tuple[float, float, float],
    colours: str,
    maker: Callable[..., Solid],
    handle: Handle | None = None,
    **options: float,
) -> Object:
    """Describe an object; `colours` are hexadecimal, `options` go to its maker."""
    named = tuple(_named(colour) for colour in colours.split())
    return Object(name, primitive, dimensions, named, functools.partial(maker, **options), handle)


def _upright(x: float, length: float, radius: float) -> Handle:
    return Handle((x, 0.0, 0.0), (0.0, 1.0, 0.0), length, radius)


def _lying(x: float, length: float, radius: float) -> Handle:
    return Handle((x, 0.0, 0.0), (1.0, 0.0, 0.0), length, radius)


_H2O = (
    _thing("book", "plate", (150, 26, 210), "7a2230 e8d9a0 30405a", shapes.book),
    _thing("espresso", "box", (75, 95, 55), "2b1d16 c9a15a e8e2d6", vessels.carton),
    _thing("lotion", "cylinder", (62, 175, 62), "f0ece4 6fa8c9 ffffff", vessels.bottle, neck=0.3),
    _thing("spray", "cylinder", (62, 200, 62), "3a7fc4 f4f4f4 d8352a", vessels.spray),
    _thing("milk", "box", (70, 195, 70), "f5f5f2 2f62b8 d43a3a", vessels.carton, roof=0.2),
    _thing("cocoa", "cylinder", (85, 120, 85), "e0702a 2b1d16 f6e7b0", vessels.can),
    _thing("chips", "cylinder", (75, 230, 75), "c62828 f2c230 ffffff", vessels.can),
    _thing("cappuccino", "box", (110, 140, 60), "1f5a40 e9e4d8 a8794a", vessels.carton),
)
_FPHA = (
    _thing("juice_bottle", "cylinder", (72, 225, 72), "e88a1e d63c2a fff0d0", vessels.bottle),
    _thing("peanut_butter", "cylinder", (82, 110, 82), "a8672e d23a2a f7e9c4", vessels.jar),
    _thing("fork", "plate", (190, 5, 24), "c8ccd0 9aa0a6", shapes.fork, _lying(45, 100, 3)),
    _thing("spoon", "plate", (180, 9, 38), "c8ccd0 9aa0a6", shapes.spoon, _lying(40, 100, 3)),
    _thing("mug", "cylinder", (82, 95, 82), "e6e2da 3a6ea5", vessels.mug, _upright(60, 60, 6)),
    _thing("tea_bag", "plate", (52, 9, 62), "d9c49a 4f7f3a f4f0e4", shapes.tea_bag),
    _thing("salt", "cylinder", (62, 130, 62), "2f5fa8 f4f4f4 e2b33a", vessels.can),
    _thing("liquid_soap", "cylinder", (68, 190, 68), "6fc3a0 ffffff 2a8a6a", vessels.pump),
    _thing("sponge", "box", (110, 34, 70), "f2cf3a 3a7a46", shapes.sponge),
    _thing("soda_can", "cylinder", (66, 122, 66), "c4202a f0f0f0 b8bcc0", vessels.can),
    _thing("pen", "cylinder", (150, 10, 10), "20408a d8d8d8 202020", shapes.pen, _lying(0, 120, 5)),
    _thing("paper", "plate", (210, 2, 297), "f6f5f0 707074", shapes.sheet),
    _thing("letter", "plate", (220, 4, 110), "efe6d0 3b4a6b", shapes.sheet),
    _thing("calculator", "plate", (80, 14, 150), "34363a b9c4b0 d8d8dc", shapes.keyed),
    _thing("match", "plate", (48, 4, 4), "d9b98a b3261e", shapes.match, _lying(5, 40, 2)),
    _thing("cell_charger", "box", (45, 30, 60), "1d1d20 4a4a50", shapes.charger),
    _thing("glasses", "plate", (140, 45, 140), "2a2320 b8d0dc", shapes.glasses),
    _thing("wallet", "plate", (115, 20, 92), "5a3a22 2f1d12", shapes.book),
    _thing("coin", "plate", (26, 2.4, 26), "c9a24a a88432", shapes.disc),
    _thing("card", "plate", (86, 1.4, 54), "2a5fae d9b64a e8e8ec", shapes.sheet),
    _thing("wine_bottle", "cylinder", (76, 300, 76), "1f3a24 e9dfc2 7a1c2c", vessels.bottle),
    _thing("wine_glass", "cylinder", (75, 190, 75), "cfdfe4 8a1f38", vessels.wine_glass,
           Handle((0.0, -30.0, 0.0), (0.0, 1.0, 0.0), 70, 4)),
)  # fmt: skip
_TOYS = (
    _thing("chassis", "plate", (150, 22, 70), "d8a84a 3a3a3e", shapes.chassis),
    _thing("cabin", "box", (62, 58, 64), "c43a30 a9d2e2 3a3a3e", shapes.cabin),
    _thing("wheel", "cylinder", (48, 22, 48), "26262a d0d0d4", shapes.wheel),
    _thing("roof", "plate", (64, 10, 66), "2f6fb4 f0f0f0", shapes.sheet),
    _thing("screw", "cylinder", (14, 32, 14), "8a8e94 5c6066", shapes.screw),
    _thing("screwdriver", "cylinder", (185, 26, 26), "e8b020 b8bcc0 2a2a2e", shapes.screwdriver,
           _lying(45, 95, 13)),
    _thing("base", "plate", (120, 16, 80), "4a9a4e 2e6a34", shapes.chassis),
    _thing("bumper", "box", (18, 22, 72), "e8e4d8 3a3a3e", shapes.plain_box),
    _thing("bucket", "box", (60, 42, 70), "f0c020 8a8a8e", vessels.tray),
    _thing("arm", "box", (120, 16, 16), "f0c020 3a3a3e", shapes.plain_box),
    _thing("axle", "cylinder", (90, 8, 8), "a8acb2 5c6066", shapes.pen, _lying(0, 80, 4)),
    _thing("ladder", "plate", (140, 8, 36), "d43a30 e8e8e8", shapes.ladder),
)  # fmt: skip
_ARCTIC = (
    _thing("box", "box", (150, 90, 110), "b08a58 8a6a40 e8e0d0", vessels.carton),
    _thing("laptop", "box", (240, 150, 170), "b8bcc2 26282c 5a8ac0", shapes.laptop),
    _thing("phone", "plate", (70, 12, 145), "1c1c20 5a86b8 d8d8dc", shapes.keyed),
    _thing("scissors", "plate", (170, 10, 70), "c8ccd0 d23a2a", shapes.scissors),
    _thing("ketchup", "cylinder", (68, 185, 68), "c41e20 ffffff 2f8a3a", vessels.bottle, neck=0.45),
    _thing("microwave", "box", (230, 140, 160), "d8d8d6 26282c 6a6a6e", shapes.machine),
    _thing("mixer", "box", (180, 130, 80), "e6e4de c43a30 8a8e94", shapes.mixer,
           Handle((0.0, 50.0, 0.0), (1.0, 0.0, 0.0), 110, 12)),
    _thing("notebook", "plate", (150, 20, 210), "26282c e9e4d8 c43a30", shapes.book),
    _thing("waffleiron", "cylinder", (190, 80, 190), "2c2c30 b8bcc0 c43a30", shapes.waffleiron,
           _lying(125, 90, 12)),
    _thing("capsulemachine", "box", (100, 200, 190), "c42a2a 26282c b8bcc0", shapes.machine),
    _thing("espressomachine", "box", (140, 210, 180), "b8bcc0 26282c 8a5a30", shapes.machine),
)  # fmt: skip

#: Every object by name; H2O's and FPHA's book, milk and spray are the same.
OBJECTS = {thing.name: thing for thing in (*_H2O, *_FPHA, *_TOYS, *_ARCTIC)}
H2O_OBJECT_NAMES = H2O_OBJECTS[1:]
#: FPHA's objects by id (facts/htt-h2o-fpha.md 2.4); the last, a hand, is not an object here.
FPHA_OBJECT_NAMES = (
    *("juice_bottle", "peanut_butter", "fork", "spoon", "milk", "mug", "tea_bag", "salt"),
    *("liquid_soap", "sponge", "soda_can", "spray", "pen", "paper", "letter", "book"),
    *("calculator", "match", "cell_charger", "glasses", "wallet", "coin", "card"),
    *("wine_bottle", "wine_glass", "hand"),
)
TOY_NAMES = tuple(thing.name for thing in _TOYS)
ARCTIC_OBJECT_NAMES = tuple(thing.name for thing in _ARCTIC)
_FPHA_RUNS = (
    *(3, 2, 1, 4, 3, 1, 1, 1, 3, 4, 1, 1, 1, 2, 2),
    *("paper", 1, 1, 1, 1, 2, 1, 2, 1, 1, 1, 2),
)


def fpha_object(action: str) -> str:
    """Return the object of one of FPHA's actions; empty for those of two hands alone."""
    name = _FPHA_OBJECT[FPHA_ACTIONS.index(action)]
    return "" if name == "hand" else name


def _fpha_objects() -> tuple[str, ...]:
    """The object of each action: they come in the order of their ids, but for reading a letter."""
    names, ids = [], iter(FPHA_OBJECT_NAMES)
    for run in _FPHA_RUNS:
        names += [run] if isinstance(run, str) else [next(ids)] * run
    return tuple(names)


_FPHA_OBJECT = _fpha_objects()
