"""How things other than containers are put together: functions of sides (mm), colours and a seed.

All return a closed solid about the origin within its box (handles, spouts and cables may stick
out), y up; flat and long things lie.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hand_bench.sim import solids
from hand_bench.sim.solids import Solid, arc, ball, join, lathe, rod, shifted, tube, turned

Size = tuple[float, float, float]
Colours = tuple[tuple[float, float, float], ...]
Maker = Callable[[Size, Colours, int], Solid]


def levels(low: float, high: float, count: int) -> list[float]:
    """Heights between two, evenly spaced."""
    return list(np.linspace(low, high, count))


def plain_box(size: Size, colours: Colours, seed: int) -> Solid:
    """A block with two coloured ends."""
    first, second = colours[0], colours[1]
    return solids.box(size, [second, second, first, first, first, first], cells=2)


def sponge(size: Size, colours: Colours, seed: int) -> Solid:
    """A soft block with a rough side."""
    x, y, z = size
    soft = shifted(solids.box((x, 0.75 * y, z), colours[0], cells=3), (0, -0.125 * y, 0))
    return join(soft, shifted(solids.box((x, 0.25 * y, z), colours[1], cells=3), (0, 0.375 * y, 0)))


def book(size: Size, colours: Colours, seed: int) -> Solid:
    """A closed book (or wallet): two covers, a back, and pages between them."""
    x, y, z = size
    low, high = (-0.3 * x, -1e3, -0.35 * z), (0.3 * x, 1e3, 0.35 * z)
    cover = solids.box(
        (x, 0.14 * y, z), solids.label(colours[:1] + colours, low, high, seed, z / 6), 4
    )
    back = shifted(solids.box((0.04 * x, y, z), colours[0]), (-0.48 * x, 0, 0))
    pages = solids.box((0.93 * x, 0.72 * y, 0.95 * z), (0.93, 0.91, 0.84))
    covers = [shifted(cover, (0, side * 0.43 * y, 0)) for side in (-1, 1)]
    return join(*covers, back, pages)


def sheet(size: Size, colours: Colours, seed: int) -> Solid:
    """A thin plate with lines on it."""
    x, _, z = size
    ink = solids.label(
        (colours[0], colours[0], *colours[1:]),
        (-0.42 * x, -1e3, -0.42 * z),
        (0.42 * x, 1e3, 0.42 * z),
        seed,
        max(x, z) / 9,
    )
    side = colours[0]
    return solids.box(size, [side, side, ink, ink, side, side], cells=6)


def disc(size: Size, colours: Colours, seed: int) -> Solid:
    """A coin."""
    r, h = size[0] / 2, size[1] / 2
    profile = [(0, -h), (0.8 * r, -h), (r, -h), (r, h), (0.8 * r, h), (0, h)]
    first, second = colours
    return lathe(profile, [second, first, first, first, second], sides=24)


def keyed(size: Size, colours: Colours, seed: int) -> Solid:
    """A flat device with a screen and keys: calculator, telephone."""
    x, y, z = size
    case, screen, key = colours
    parts = [solids.box((x, 0.8 * y, z), case)]
    top = 0.4 * y
    shown = (0.84 * x, 0.1 * y, 0.28 * z)
    parts.append(shifted(solids.box(shown, screen), (0, top, -0.3 * z)))
    for row in range(3):
        for column in range(3):
            at = ((column - 1) * 0.28 * x, top, (0.0 + 0.16 * row) * z)
            parts.append(shifted(solids.box((0.2 * x, 0.3 * y, 0.1 * z), key), at))
    return join(*parts)


def pen(size: Size, colours: Colours, seed: int) -> Solid:
    """A rod that lies along x, with a tip."""
    length, r = size[0], size[1] / 2
    x = 0.5 * length
    profile = [(0, -x), (0.2 * r, -x), (0.7 * r, -0.88 * x), (r, -0.85 * x), (r, 0.2 * x)]
    profile += [(r, 0.9 * x), (0.7 * r, x), (0, x)]
    first, second, last = colours[0], colours[1], colours[-1]
    solid = lathe(profile, [last, second, first, first, second, last, last], sides=10)
    return turned(solid, "z", -90)


def screwdriver(size: Size, colours: Colours, seed: int) -> Solid:
    """A grip and a blade along x, the grip at +x."""
    x, r = 0.5 * size[0], size[1] / 2
    profile = [(0, -x), (0.2 * r, -x), (0.22 * r, -0.05 * x), (0.7 * r, 0.0), (r, 0.15 * x)]
    profile += [(0.85 * r, 0.45 * x), (r, 0.75 * x), (0.8 * r, x), (0, x)]
    grip, metal, dark = colours
    paints = [metal, metal, dark, grip, grip, grip, dark, dark]
    return turned(lathe(profile, paints, sides=14), "z", -90)


def screw(size: Size, colours: Colours, seed: int) -> Solid:
    """A bolt that stands on its thread."""
    r, h = size[0] / 2, size[1] / 2
    y = levels(-0.9 * h, 0.55 * h, 7)
    thread = [((0.45 if k % 2 else 0.58) * r, at) for k, at in enumerate(y)]
    profile = [(0, -h), (0.3 * r, -h), *thread, (r, 0.55 * h), (r, 0.9 * h), (0.6 * r, h), (0, h)]
    metal, dark = colours
    return lathe(profile, [dark, dark, *[metal, dark] * 3, metal, metal, metal, dark], sides=10)


def wheel(size: Size, colours: Colours, seed: int) -> Solid:
    """A tyre on a rim; its axis is y."""
    r, h = size[0] / 2, size[1] / 2
    half = [(0.25 * r, 0.8 * h), (0.62 * r, 0.7 * h), (0.66 * r, h), (0.92 * r, h), (r, 0.7 * h)]
    profile = [(0, -0.8 * h), *((a, -b) for a, b in half), *reversed(half), (0, 0.8 * h)]
    tyre, rim = colours
    paints = [rim, rim, tyre, tyre, tyre, tyre, tyre, tyre, tyre, rim, rim]
    return lathe(profile, paints, sides=20)


def fork(size: Size, colours: Colours, seed: int) -> Solid:
    """A handle at +x and four tines."""
    x, y, z = size
    parts = [
        solids.stretched(rod((-0.1 * x, 0, 0), (0.5 * x, 0, 0), 0.45 * y, colours[0]), (1, 1, 2))
    ]
    parts.append(shifted(solids.box((0.2 * x, 0.5 * y, z), colours[0], cells=2), (-0.2 * x, 0, 0)))
    for k in range(4):
        across = (k - 1.5) * 0.29 * z
        parts.append(rod((-0.29 * x, 0, across), (-0.5 * x, 0.1 * y, across), 0.25 * y, colours[1]))
    return join(*parts)


def spoon(size: Size, colours: Colours, seed: int) -> Solid:
    """A handle at +x and a bowl."""
    x, y, z = size
    handle = rod((-0.22 * x, 0, 0), (0.5 * x, 0.2 * y, 0), 0.25 * y, colours[0])
    bowl = ball((0.32 * x, 0.9 * y, z), colours[0])
    # The upper half is pressed in.
    dent = np.where(bowl.vertices[:, 1:2] > 0, [[1, -0.55, 1]], 1.0)
    bowl = bowl._replace(vertices=bowl.vertices * dent)
    return join(solids.stretched(handle, (1, 1, 2)), shifted(bowl, (-0.34 * x, 0, 0)))


def match(size: Size, colours: Colours, seed: int) -> Solid:
    """A stick with a head at -x."""
    x, y, _ = size
    head = shifted(ball((1.6 * y, 1.2 * y, 1.2 * y), colours[1], 6, 8), (-0.48 * x, 0, 0))
    return join(solids.box((x, 0.7 * y, 0.7 * y), colours[0]), head)


def tea_bag(size: Size, colours: Colours, seed: int) -> Solid:
    """A bag, a string and a tag."""
    x, y, z = size
    bag = ball((x, y, z), colours[0], 6, 12)
    square = np.sign(bag.vertices) * np.abs(bag.vertices / [x / 2, y / 2, z / 2]) ** 0.6
    bag = bag._replace(vertices=square * [x / 2, y / 2, z / 2])
    path = np.array([[0, 0, -0.5 * z], [0.2 * x, 0, -0.9 * z], [-0.1 * x, 0, -1.3 * z]])
    tag = shifted(solids.box((0.5 * x, 0.1 * y, 0.5 * x), colours[1]), (-0.1 * x, 0, -1.6 * z))
    return join(bag, tube(path, 0.8, colours[2], sides=5), tag)


def charger(size: Size, colours: Colours, seed: int) -> Solid:
    """A plug with two pins and a cable."""
    x, y, z = size
    parts = [solids.box(size, colours[0], cells=2)]
    for side in (-1, 1):
        pin = rod(
            (side * 0.2 * x, 0, -0.5 * z), (side * 0.2 * x, 0, -0.85 * z), 2.2, (0.8, 0.8, 0.8)
        )
        parts.append(pin)
    t = np.linspace(0, 1, 12)[:, None]
    cable = np.hstack([0.8 * x * np.sin(4 * t), -0.4 * y * t, z * (0.5 + 1.2 * t)])
    return join(*parts, tube(cable, 2.5, colours[1], sides=6))


def glasses(size: Size, colours: Colours, seed: int) -> Solid:
    """Two rimmed lenses across x and two arms towards +z."""
    x, y, z = size
    frame, lens = colours
    parts, r = [], 0.45 * y
    for side in (-1, 1):
        at = (side * 0.25 * x, 0, -0.5 * z)
        parts.append(shifted(tube(arc((0, 0, 0), r, 0, 360, 13), 1.8, frame, sides=6), at))
        parts.append(shifted(turned(ball((1.9 * r, 1.5, 1.9 * r), lens, 4, 12), "x", 90), at))
        start, bend = (side * 0.48 * x, 0.1 * y, -0.5 * z), (side * 0.5 * x, 0.1 * y, 0.3 * z)
        parts.append(
            tube(np.array([start, bend, (side * 0.46 * x, -0.4 * y, 0.5 * z)]), 2, frame, 6)
        )
    bridge = rod((-0.25 * x + r, 0.1 * y, -0.5 * z), (0.25 * x - r, 0.1 * y, -0.5 * z), 1.8, frame)
    return join(*parts, bridge)


def scissors(size: Size, colours: Colours, seed: int) -> Solid:
    """Two crossed blades towards -x and two rings at +x."""
    x, y, z = size
    metal, grip = colours
    parts = []
    for side in (-1, 1):
        blade = solids.box((0.62 * x, 0.3 * y, 0.12 * z), metal, cells=2)
        tip = np.where(blade.vertices[:, :1] < -0.2 * x, [[1, 1, 0.15]], 1.0)
        blade = shifted(
            blade._replace(vertices=blade.vertices * tip), (-0.19 * x, 0.18 * side * y, 0)
        )
        ring = turned(tube(arc((0, 0, 0), 0.24 * z, 0, 360, 15), 0.5 * y, grip, 6), "x", 90)
        arm = rod((0.08 * x, 0, 0), (0.25 * x, 0, 0.2 * z * side), 0.4 * y, grip)
        parts += [turned(blade, "y", 6 * side), shifted(ring, (0.36 * x, 0, 0.25 * z * side)), arm]
    return join(*parts)


def chassis(size: Size, colours: Colours, seed: int) -> Solid:
    """A plate with rails, pegs and holes: the base of a toy vehicle."""
    x, y, z = size
    plate, dark = colours
    parts = [shifted(solids.box((x, 0.4 * y, z), plate, cells=3), (0, -0.1 * y, 0))]
    for side in (-1, 1):
        rail = shifted(solids.box((0.9 * x, 0.4 * y, 0.1 * z), dark), (0, 0.3 * y, side * 0.4 * z))
        axle = rod(
            (side * 0.33 * x, -0.35 * y, -0.5 * z),
            (side * 0.33 * x, -0.35 * y, 0.5 * z),
            0.15 * y,
            dark,
        )
        parts += [rail, axle]
    peg = lathe([(0, 0), (4, 0), (4, 0.4 * y), (0, 0.4 * y)], [dark, dark, dark], sides=8)
    return join(*parts, *(shifted(peg, (k * 0.25 * x, 0.1 * y, 0)) for k in (-1, 0, 1)))


def cabin(size: Size, colours: Colours, seed: int) -> Solid:
    """The cab of a toy vehicle: a block with windows all round."""
    x, y, z = size
    paint, window, dark = colours
    parts = [solids.box(size, paint, cells=2)]
    for wide, at in (((1.02 * x, 0.35 * y, 0.7 * z), 0.18), ((0.7 * x, 0.35 * y, 1.02 * z), 0.18)):
        parts.append(shifted(solids.box(wide, window), (0, at * y, 0)))
    return join(
        *parts, shifted(solids.box((1.02 * x, 0.08 * y, 1.02 * z), dark), (0, -0.45 * y, 0))
    )


def ladder(size: Size, colours: Colours, seed: int) -> Solid:
    """Two rails and rungs."""
    x, y, z = size
    parts = [
        shifted(solids.box((x, y, 0.15 * z), colours[0]), (0, 0, side * 0.42 * z))
        for side in (-1, 1)
    ]
    for place in np.linspace(-0.42, 0.42, 6):
        parts.append(
            shifted(solids.box((0.05 * x, 0.6 * y, 0.8 * z), colours[1]), (place * x, 0, 0))
        )
    return join(*parts)


def laptop(size: Size, colours: Colours, seed: int) -> Solid:
    """Keyboard and screen, open; the hinge is at -z."""
    x, y, z = size
    case, dark, screen = colours
    everywhere = (-1e3,) * 3, (1e3,) * 3
    keys = solids.label((dark, dark, (0.3, 0.3, 0.32)), *everywhere, seed, x / 14)
    shown = solids.label((screen, screen, (0.9, 0.9, 0.92), dark), *everywhere, seed, x / 6)
    floor = shifted(solids.box((x, 10, z), case, cells=2), (0, 5 - y / 2, 0))
    board = solids.box((0.85 * x, 1.5, 0.5 * z), keys, cells=4)
    glass = shifted(solids.box((0.92 * x, 0.86 * y, 1), shown, cells=4), (0, 0, 3.6))
    lid = join(solids.box((x, y - 10, 7), case), glass)
    board, lid = shifted(board, (0, 10.5 - y / 2, -0.1 * z)), shifted(lid, (0, 5, 4 - z / 2))
    return join(floor, board, lid)


def machine(size: Size, colours: Colours, seed: int) -> Solid:
    """A kitchen machine: a case with a dark front, a door or spout, buttons and feet."""
    x, y, z = size
    case, dark, trim = colours
    parts = [solids.box(size, case, cells=2)]
    parts.append(shifted(solids.box((0.6 * x, 0.6 * y, 2), dark), (-0.12 * x, -0.05 * y, 0.5 * z)))
    bar = rod((0.22 * x, -0.3 * y, 0.5 * z + 10), (0.22 * x, 0.22 * y, 0.5 * z + 10), 5, trim)
    parts.append(bar)
    button = turned(lathe([(0, 0), (8, 0), (8, 6), (0, 6)], [trim] * 3, sides=10), "x", 90)
    for k in range(3):
        parts.append(shifted(button, (0.37 * x, (0.3 - 0.22 * k) * y, 0.5 * z)))
    return join(*parts)


def mixer(size: Size, colours: Colours, seed: int) -> Solid:
    """A hand mixer: body, grip above it, two whisks below."""
    x, y, z = size
    case, trim, metal = colours
    body = shifted(ball((x, 0.4 * y, 0.8 * z), case, 7, 12), (0, 0.1 * y, 0))
    path = np.array([[-0.35, 0.2], [-0.3, 0.38], [0, 0.42], [0.3, 0.38], [0.35, 0.2]])
    path = np.hstack([path * [x, y], np.zeros((5, 1))])
    parts = [body, tube(path, 0.13 * z, trim)]
    for side in (-1, 1):
        at = (0.3 * x, side * 0.18 * z)
        parts.append(rod((at[0], 0.0, at[1]), (at[0], -0.3 * y, at[1]), 3, metal))
        whisk = ball((0.2 * z, 0.3 * y, 0.2 * z), metal, 4, 8)
        parts.append(shifted(whisk, (at[0], -0.36 * y, at[1])))
    return join(*parts)


def waffleiron(size: Size, colours: Colours, seed: int) -> Solid:
    """Two round plates and a grip at +x."""
    r, h = size[0] / 2, size[1] / 2
    case, metal, light = colours
    profile = [(0, -h), (0.7 * r, -h), (r, -0.5 * h), (r, -0.05 * h), (0.94 * r, 0), (r, 0.05 * h)]
    profile += [(r, 0.5 * h), (0.7 * r, h), (0, h)]
    paints = [case, case, case, metal, metal, case, case, case]
    grip = rod((0.95 * r, 0, 0), (1.75 * r, 0, 0), 12, case)
    lamp = shifted(ball((14, 8, 14), light, 4, 8), (0.4 * r, h, 0))
    return join(lathe(profile, paints, sides=24), grip, lamp)
