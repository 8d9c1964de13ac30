"""Closed solids with coloured vertices, to put objects together from: turned, boxes, tubes.

Millimetres, y up; triangles run counter-clockwise seen from outside. Where colour or direction
jumps, vertices are doubled, so that shading stays smooth within a surface only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

#: A colour, or a function of places (n, 3) within a surface that gives one for each.
Colour = Sequence[float] | np.ndarray
Paint = Colour | Callable[[np.ndarray], np.ndarray]


class Solid(NamedTuple):
    """Vertices (n, 3), triangles (m, 3), colours of vertices (n, 3; 0 to 1)."""

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray


def join(*solids: Solid) -> Solid:
    """Return several solids as one."""
    starts = np.cumsum([0, *(len(solid.vertices) for solid in solids)])
    faces = [solid.faces + start for solid, start in zip(solids, starts, strict=False)]
    return Solid(
        np.concatenate([solid.vertices for solid in solids]),
        np.concatenate(faces),
        np.concatenate([solid.colours for solid in solids]),
    )


def shifted(solid: Solid, by: Sequence[float]) -> Solid:
    """Return a solid elsewhere."""
    return solid._replace(vertices=solid.vertices + np.asarray(by, float))


def turned(solid: Solid, axis: str, degrees: float) -> Solid:
    """Return a solid turned about an axis through the origin ("x", "y" or "z")."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    R = np.eye(3)
    R[i, i], R[i, j], R[j, i], R[j, j] = c, -s, s, c
    return solid._replace(vertices=solid.vertices @ R.T)


def stretched(solid: Solid, by: Sequence[float]) -> Solid:
    """Return a solid stretched along the axes by positive factors."""
    return solid._replace(vertices=solid.vertices * np.asarray(by, float))


def lathe(
    profile: Sequence[tuple[float, float]], paints: Sequence[Paint], sides: int = 18
) -> Solid:
    """Turn a profile about the y axis: (radius, height) from the bottom up, a paint for each band.

    A vessel's profile goes up outside and down inside; it is closed where it starts and ends at
    radius 0.
    """
    angle = np.arange(sides) * 2 * np.pi / sides
    round_ = np.stack([np.cos(angle), np.zeros(sides), np.sin(angle)], axis=1)
    up = np.array([0.0, 1.0, 0.0])
    bands = []
    for (r0, y0), (r1, y1), paint in zip(profile[:-1], profile[1:], paints, strict=True):
        vertices = np.concatenate([round_ * r0 + up * y0, round_ * r1 + up * y1])
        j = np.arange(sides)
        a, b, c, d = j, (j + 1) % sides, sides + j, sides + (j + 1) % sides
        faces = [] if r0 == 0 else [np.stack([a, c, b], axis=1)]
        faces += [] if r1 == 0 else [np.stack([b, c, d], axis=1)]
        bands.append(Solid(vertices, np.concatenate(faces), painted(vertices, paint)))
    return join(*bands)


def box(size: Sequence[float], paints: Sequence[Paint] | Paint, cells: int = 1) -> Solid:
    """Return a box about the origin; paints of -x, +x, -y, +y, -z, +z or one for all.

    `cells` squares along each side of a face: enough of them show what a paint draws.
    """
    each = list(paints) if isinstance(paints, list) else [paints] * 6
    s, t = np.meshgrid(np.linspace(-0.5, 0.5, cells + 1), np.linspace(-0.5, 0.5, cells + 1))
    n = cells + 1
    a = (np.arange(cells)[:, None] * n + np.arange(cells)).ravel()
    squares = np.concatenate(
        [np.stack([a, a + 1, a + n + 1], axis=1), np.stack([a, a + n + 1, a + n], axis=1)]
    )
    sides = []
    for axis in range(3):
        for sign, paint in zip((-1, 1), each[2 * axis : 2 * axis + 2], strict=True):
            vertices = np.empty((n * n, 3))
            vertices[:, axis] = 0.5 * sign
            vertices[:, (axis + 1) % 3], vertices[:, (axis + 2) % 3] = s.ravel(), t.ravel()
            faces = squares if sign > 0 else squares[:, ::-1]
            vertices = vertices * np.asarray(size, float)
            sides.append(Solid(vertices, faces, painted(vertices, paint)))
    return join(*sides)


def ball(size: Sequence[float], paint: Paint, rings: int = 8, sides: int = 14) -> Solid:
    """Return an ellipsoid about the origin with three diameters; its surface is smooth."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    around = np.arange(sides) * 2 * np.pi / sides
    vertices = np.stack(
        [
            np.outer(np.cos(angle), np.cos(around)),
            np.outer(np.sin(angle), np.ones(sides)),
            np.outer(np.cos(angle), np.sin(around)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    vertices = vertices * np.asarray(size, float) / 2
    return Solid(vertices, _net(rings + 1, sides), painted(vertices, paint))


def tube(path: np.ndarray, radius: float, paint: Paint, sides: int = 8) -> Solid:
    """Return a tube along a path (n, 3), closed at both ends by a point a little further on."""
    path = np.asarray(path, float)
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    across = np.cross(ahead[0], [0.31, 0.44, 0.84])
    angle = np.arange(sides) * 2 * np.pi / sides
    rings = [np.repeat(path[:1] - 0.5 * radius * ahead[:1], sides, axis=0)]
    for place, along in zip(path, ahead, strict=True):
        across = across - along * (across @ along)
        across /= np.linalg.norm(across)
        other = np.cross(across, along)
        rings.append(
            place + radius * (np.outer(np.cos(angle), across) + np.outer(np.sin(angle), other))
        )
    rings.append(np.repeat(path[-1:] + 0.5 * radius * ahead[-1:], sides, axis=0))
    vertices = np.concatenate(rings)
    return Solid(vertices, _net(len(rings), sides), painted(vertices, paint))


def arc(centre: Sequence[float], radius: float, start: float, end: float, n: int = 9) -> np.ndarray:
    """Return points of an arc in the x-y plane, angles in degrees."""
    angle = np.deg2rad(np.linspace(start, end, n))
    flat = np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1)
    return np.asarray(centre, float) + radius * flat


def rod(start: Sequence[float], end: Sequence[float], radius: float, paint: Paint) -> Solid:
    """Return a straight tube between two points."""
    ends = np.array([start, end], float)
    return tube(ends[0] + np.linspace(0, 1, 3)[:, None] * (ends[1] - ends[0]), radius, paint)


def painted(places: np.ndarray, paint: Paint) -> np.ndarray:
    """Return the colours of places."""
    colours = paint(places) if callable(paint) else np.asarray(paint, float)
    return np.clip(np.broadcast_to(colours, places.shape), 0, 1)


def label(
    colours: Sequence[Colour], low: Sequence[float], high: Sequence[float], seed: int, grain: float
) -> Paint:
    """Return a paint: `colours[1:]` in lines and spots between two corners, else `colours[0]`."""
    base, *others = (np.asarray(colour, float) for colour in colours)
    ink = np.stack(others)

    def paint(places: np.ndarray) -> np.ndarray:
        inside = ((places >= low) & (places <= high)).all(axis=1)
        cell = np.floor(places / grain).astype(np.int64) @ [73, 151, 283] + seed * 977
        chosen = (cell * 2654435761 >> 7) % (2 * len(ink))
        # Every other spot is the first ink: the ground that the rest is printed on.
        printed = ink[np.where(chosen < len(ink), 0, chosen - len(ink))]
        return np.where(inside[:, None], printed, base)

    return paint


def _net(rings: int, sides: int) -> np.ndarray:
    """Triangles between consecutive rings of points that run as `lathe`'s do, less flat ones."""
    k, j = np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij")
    a, b = k * sides + j, k * sides + (j + 1) % sides
    c, d = a + sides, b + sides
    first = np.stack([a, c, b], axis=-1)[1:].reshape(-1, 3)
    second = np.stack([b, c, d], axis=-1)[:-1].reshape(-1, 3)
    return np.concatenate([first, second])
