"""How far fingers run into each other or into the palm: balls along the bones of the mean hand.

Right hand, millimetres, the wrist's rotation left out (fingers relative to the palm).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hand_bench.array_types import Float
from hand_bench.hand_model import rotvec_to_rotmat
from hand_bench.sim import anatomy

#: Balls along one segment, and along one ray of the palm.
BALLS = 4
#: What soft tissue gives way, mm; overlaps are reported beyond it.
SOFT = 1.5


def chains(rotvec: Float[np.ndarray, "hands 15 3"]) -> Float[np.ndarray, "hands 5 4 3"]:
    """Return joints and tip of every finger, in the order of `anatomy.FINGERS`."""
    skeleton, turns = anatomy.skeleton(), rotvec_to_rotmat(rotvec)
    posed = np.empty((len(turns), 5, 4, 3))
    for k, finger in enumerate(anatomy.FINGERS):
        rest = skeleton.chain(finger)
        turned = np.broadcast_to(np.eye(3), (len(turns), 3, 3))
        posed[:, k, 0] = rest[0]
        for segment in range(3):
            turned = turned @ turns[:, 3 * k + segment]
            bone = rest[segment + 1] - rest[segment]
            posed[:, k, segment + 1] = posed[:, k, segment] + turned @ bone
    return posed


def overlap(rotvec: Float[np.ndarray, "hands 15 3"]) -> Float[np.ndarray, " hands"]:
    """Return the deepest overlap of fingers with each other and the palm, mm, or 0."""
    balls = _finger_balls(chains(rotvec))
    palm, palm_radii = _palm_balls()
    radii, group, far = _ball_table()
    worst = np.zeros(len(balls))
    for a in range(5):
        mine = group == a
        for b in range(a + 1, 5):
            other = group == b
            deep = _deepest(balls[:, mine], radii[mine], balls[:, other], radii[other])
            worst = np.maximum(worst, deep)
        outer = mine & far
        here = np.broadcast_to(palm, (len(balls), *palm.shape))
        deep = _deepest(balls[:, outer], radii[outer], here, palm_radii)
        worst = np.maximum(worst, deep)
    return np.maximum(worst - SOFT, 0)


def _finger_balls(posed: np.ndarray) -> np.ndarray:
    """Places of all balls (hands, balls, 3): beyond the web, on the thumb beyond the MCP."""
    skeleton, made = anatomy.skeleton(), []
    for k in range(5):
        ends = posed[:, k].copy()
        last = ends[:, 3] - ends[:, 2]
        length = np.linalg.norm(last, axis=-1, keepdims=True)
        ends[:, 3] -= last / length * skeleton.radii[k, 3]
        for segment in range(3):
            for share in _shares(k, segment):
                made.append(ends[:, segment] * (1 - share) + ends[:, segment + 1] * share)
    return np.stack(made, axis=1)


def _shares(finger: int, segment: int) -> list[float]:
    """Where the balls of a segment lie along it."""
    shares = [k / BALLS for k in range(1, BALLS + 1)]
    thumb = anatomy.FINGERS[finger] == "thumb"
    if segment == 0:
        return [1.0] if thumb else [share for share in shares if share > 0.6]
    return shares


@cache
def _ball_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radius, finger, and whether it lies beyond the first segment, of each ball."""
    rows = []
    radii = anatomy.skeleton().radii * np.array(list(anatomy.FLATNESS.values()))[:, None] ** 0.5
    for k in range(5):
        for segment in range(3):
            for share in _shares(k, segment):
                size = radii[k, segment] * (1 - share) + radii[k, segment + 1] * share
                rows.append((size, k, segment > 0 and share > 0.3))
    size, group, far = (np.array(column) for column in zip(*rows, strict=True))
    return size, group, far


@cache
def _palm_balls() -> tuple[np.ndarray, np.ndarray]:
    """Balls along the palm's rays, and their radii."""
    skeleton, places = anatomy.skeleton(), []
    for finger, radial in (("index", 10), ("middle", 3), ("ring", -6), ("pinky", -13)):
        start = anatomy.WRIST + anatomy.in_palm(20, radial, -2)
        end = skeleton.chain(finger)[0] - np.array([0, 2.5, 0])
        places += [start + share * (end - start) for share in np.linspace(0, 1, BALLS + 1)]
    return np.array(places), np.full(len(places), 12.0)


def _deepest(
    one: np.ndarray, one_radii: np.ndarray, two: np.ndarray, two_radii: np.ndarray
) -> np.ndarray:
    away = np.linalg.norm(one[:, :, None] - two[:, None], axis=-1)
    return (one_radii[:, None] + two_radii - away).max(axis=(1, 2))
