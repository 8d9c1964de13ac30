"""Cameras of a rig by where they stand in the world or sit on a head."""

from __future__ import annotations

import numpy as np

from hand_bench.sim.placement import WORLD, RigCamera
from hand_bench.sim.scene import WORKSPACE
from hand_bench.sim.viewpoints import look_at, pinhole

#: Which way the top of an image points, in the frame of the head.
UPRIGHT, TOP_LEFT, TOP_RIGHT, UPSIDE_DOWN = (0, -1, 0), (-1, 0, 0), (1, 0, 0), (0, 1, 0)


def mounted(
    name: str,
    size: tuple[int, int],
    focal: float,
    pose: np.ndarray,
    *,
    centre: tuple[float, float] | None = None,
    mount: str = WORLD,
    grey: bool = False,
    distortion: tuple[float, ...] | None = None,
) -> RigCamera:
    """Return a camera with square pixels; its axis goes through the image's middle by default."""
    middle = centre or ((size[0] - 1) / 2, (size[1] - 1) / 2)
    lens = None if distortion is None else np.array(distortion)
    return RigCamera(name, *size, pinhole(focal, middle), pose, mount, grey, lens)


def standing(
    names: tuple[str, ...],
    places: tuple[tuple[float, float, float], ...],
    size: tuple[int, int],
    focals: tuple[float, ...],
) -> tuple[RigCamera, ...]:
    """Return cameras at places of the world (mm) that look at the workspace."""
    return tuple(
        mounted(name, size, focals[k % len(focals)], look_at(place, WORKSPACE, _top(place)))
        for k, (name, place) in enumerate(zip(names, places, strict=True))
    )


def _top(place: tuple[float, float, float]) -> tuple[float, float, float]:
    """Which way the image's top points: up; from straight above, away from the person."""
    return (0, 0, -1) if np.hypot(place[0], place[2]) < 0.05 * place[1] else (0, 1, 0)


def worn(
    position: tuple[float, float, float], down: float, top: tuple[int, int, int] = UPRIGHT
) -> np.ndarray:
    """Return a pose in the head's frame that is tilted `down` by so many degrees."""
    tilt = np.radians(down)
    place = np.array(position)
    return look_at(place, place + np.array([0, np.sin(tilt), np.cos(tilt)]), top)
