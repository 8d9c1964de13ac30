"""How containers are put together: functions of their sides (mm), colours and a seed.

As in `shapes`: closed solids about the origin within their box, standing upright.
"""

from __future__ import annotations

import numpy as np

from hand_bench.sim import solids
from hand_bench.sim.shapes import Colours, Size, levels
from hand_bench.sim.solids import Solid, arc, join, lathe, rod, shifted, tube


def _print(size: Size, colours: Colours, seed: int, share: float = 0.36) -> solids.Paint:
    """A label all round between two heights."""
    low, high = (-1e3, -share * size[1], -1e3), (1e3, share * size[1], 1e3)
    inks = (colours[0], *(colours[1:] if len(colours) > 1 else colours))
    return solids.label(inks, low, high, seed, max(size) / 7)


def can(size: Size, colours: Colours, seed: int) -> Solid:
    """A tin: a printed cylinder with metal ends."""
    r, h = size[0] / 2, size[1] / 2
    paint, metal = _print(size, colours, seed, 0.45), (0.72, 0.72, 0.74)
    wall = [(r, y) for y in levels(-0.94 * h, 0.94 * h, 7)]
    profile = [(0, -h), (0.9 * r, -h), *wall, (0.9 * r, h), (0, h)]
    return lathe(profile, [metal, metal, *[paint] * 6, metal, metal])


def bottle(size: Size, colours: Colours, seed: int, neck: float = 0.36) -> Solid:
    """A bottle: body with a label, shoulder, neck and cap."""
    r, h = size[0] / 2, size[1] / 2
    n, cap = neck * r, colours[-1]
    body = [(r, y) for y in levels(-0.95 * h, 0.25 * h, 6)]
    profile = [(0, -h), (0.85 * r, -h), *body, (0.6 * r, 0.55 * h), (n, 0.65 * h), (n, 0.8 * h)]
    profile += [(1.15 * n, 0.8 * h), (1.15 * n, h), (0, h)]
    paint, base = _print((*size[:2], size[2]), colours, seed, 0.34), colours[0]
    return lathe(profile, [base, base, *[paint] * 5, base, base, base, cap, cap, cap])


def jar(size: Size, colours: Colours, seed: int) -> Solid:
    """A wide glass with a screw cap."""
    r, h = size[0] / 2, size[1] / 2
    body = [(r, y) for y in levels(-0.9 * h, 0.6 * h, 6)]
    profile = [(0, -h), (0.85 * r, -h), *body, (0.9 * r, 0.66 * h), (0.95 * r, 0.68 * h)]
    profile += [(0.95 * r, h), (0, h)]
    paint, cap = _print(size, colours, seed, 0.28), colours[1]
    return lathe(profile, [colours[0], colours[0], *[paint] * 5, colours[0], colours[0], cap, cap])


def spray(size: Size, colours: Colours, seed: int) -> Solid:
    """A bottle with a trigger head."""
    r, h = size[0] / 2, size[1] / 2
    body = [(r, y) for y in levels(-0.95 * h, 0.1 * h, 5)]
    profile = [(0, -h), (0.9 * r, -h), *body, (0.4 * r, 0.45 * h), (0.4 * r, 0.65 * h)]
    profile += [(0, 0.65 * h)]
    paint, head = _print(size, colours, seed, 0.3), colours[-1]
    vessel = lathe(profile, [colours[0], colours[0], *[paint] * 4, head, head, head], sides=16)
    top = shifted(solids.box((1.9 * r, 0.3 * h, 0.7 * r), head), (0.35 * r, 0.85 * h, 0))
    trigger = rod((0.8 * r, 0.7 * h, 0), (0.95 * r, 0.3 * h, 0), 0.14 * r, colours[1])
    return join(vessel, top, trigger)


def pump(size: Size, colours: Colours, seed: int) -> Solid:
    """A soap dispenser: a bottle with a spout to press."""
    r, h = size[0] / 2, size[1] / 2
    body = [(r, y) for y in levels(-0.95 * h, 0.35 * h, 6)]
    profile = [(0, -h), (0.9 * r, -h), *body, (0.4 * r, 0.5 * h), (0.4 * r, 0.65 * h)]
    profile += [(0.14 * r, 0.65 * h), (0.14 * r, 0.9 * h), (0, 0.9 * h)]
    paint, head = _print(size, colours, seed, 0.3), colours[1]
    paints = [colours[0], colours[0], *[paint] * 5, head, head, head, head, head]
    spout = rod((-0.3 * r, 0.94 * h, 0), (1.1 * r, 0.94 * h, 0), 0.2 * r, head)
    return join(lathe(profile, paints, sides=16), spout)


def mug(size: Size, colours: Colours, seed: int) -> Solid:
    """An open cup with an ear."""
    r, h = size[0] / 2, size[1] / 2
    wall = [(r, y) for y in levels(-h, h, 6)]
    profile = [(0, -h), *wall, (0.9 * r, h), (0.9 * r, 0.6 * h), (0, 0.6 * h)]
    paint = _print(size, colours, seed, 0.25)
    drink = (0.25, 0.14, 0.08)
    cup = lathe(profile, [colours[0], *[paint] * 5, colours[0], colours[0], drink])
    ear = tube(arc((r, 0, 0), 0.6 * h, -80, 80), 0.12 * r, colours[0])
    return join(cup, ear)


def wine_glass(size: Size, colours: Colours, seed: int) -> Solid:
    """A bowl on a stem, half full."""
    r, h = size[0] / 2, size[1] / 2
    stem = 0.07 * r
    profile = [(0, -h), (0.85 * r, -h), (0.2 * r, -0.95 * h), (stem, -0.85 * h), (stem, -0.1 * h)]
    profile += [(0.7 * r, 0.08 * h), (r, 0.4 * h), (0.8 * r, h), (0.74 * r, h)]
    profile += [(0.92 * r, 0.45 * h), (0, 0.45 * h)]
    glass, wine = colours[0], colours[1]
    return lathe(profile, [glass] * 5 + [wine, glass, glass, glass, wine])


def carton(size: Size, colours: Colours, seed: int, roof: float = 0.0) -> Solid:
    """A printed box; with a `roof`, that share of its height is a gable."""
    paint = solids.label(
        colours, (-1e3, -0.36 * size[1], -1e3), (1e3, 0.3 * size[1], 1e3), seed, max(size) / 7
    )
    if not roof:
        return solids.box(size, paint, cells=5)
    x, y, z = size
    body = shifted(solids.box((x, (1 - roof) * y, z), paint, cells=5), (0, -roof * y / 2, 0))
    top = solids.box((x, roof * y, z), colours[0])
    narrow = np.where(top.vertices[:, 1:2] > 0, [[1, 1, 0.08]], 1.0)
    top = top._replace(vertices=top.vertices * narrow)
    return join(body, shifted(top, (0, (1 - roof) * y / 2, 0)))


def tray(size: Size, colours: Colours, seed: int) -> Solid:
    """An open box, wider at the top: the bucket of a toy digger."""
    x, y, z = size
    wall, t = colours[0], 3.0
    parts = [shifted(solids.box((x, t, z), wall), (0, -0.5 * y + t / 2, 0))]
    for side in (-1, 1):
        parts.append(shifted(solids.box((t, y, z), wall), (side * (x - t) / 2, 0, 0)))
        parts.append(shifted(solids.box((x, y, t), colours[1]), (0, 0, side * (z - t) / 2)))
    return join(*parts)
