"""Fingers that close around a body until their skin touches it, and bodies brought near a hand.

The right hand at its mean shape, in the hand's frame: origin at the wrist joint, the model's axes,
millimetres. Angles are those of `poses` (15, 3), degrees. Fingers close joint after joint: all
three together until any part touches, then the outer two, then the last.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import numpy as np

from hand_bench.array_types import Float, Int
from hand_bench.hand_model import MM, HandModel
from hand_bench.sim import anatomy, poses, self_contact
from hand_bench.sim.bodies import Body
from hand_bench.sim.hand import models

#: How deep skin is pressed where it touches, mm, and how far fingers may press each other.
PRESSED, CROWDED = 0.6, 0.8
#: Steps of a closing finger, and of a body that is brought near, with the reach of that (mm).
_STEPS, _NEARING, _REACH = 21, 46, 90.0
THUMB = anatomy.FINGERS.index("thumb")
#: Where the thumb's base may go when it looks for the far side of a body, degrees.
_BASES = tuple(itertools.product((-14.0, 0.0, 14.0, 28.0, 40.0), (-16.0, -2.0, 12.0, 26.0, 38.0)))


def close(
    start: Float[np.ndarray, "15 3"],
    end: Float[np.ndarray, "15 3"],
    T: Float[np.ndarray, "4 4"],
    body: Body,
    fingers: tuple[int, ...],
    *,
    stages: int = 3,
) -> Float[np.ndarray, "15 3"]:
    """Move fingers from one pose towards another (angles) until their skin touches.

    Parameters
    ----------
    start, end
        Angles; where nothing is in the way, a finger reaches `end`.
    T
        ``T_hand_from_object``.
    body
        What is held.
    fingers
        Numbers in `anatomy.FINGERS`, which close at the same time. The thumb alone also stops at
        other fingers.
    stages
        1: the joints of a finger stop together; 2 or 3: the outer ones go on.
    """
    angles = start.copy()
    shares = np.linspace(0, 1, _STEPS)
    for stage in range(stages):
        moving = [3 * k + joint for k in fingers for joint in range(stage, 3)]
        path = np.repeat(angles[None], _STEPS, axis=0)
        path[:, moving] += shares[:, None, None] * (end - angles)[moving]
        rotvec = poses.rotvec_of(path)
        near = bone_gaps(rotvec, T, body)[:, 1:].reshape(_STEPS, 5, 3)[:, :, stage:].min(axis=2)
        crowded = self_contact.overlap(rotvec) if fingers == (THUMB,) else np.zeros(_STEPS)
        for k in fingers:
            room = np.minimum(near[:, k] + PRESSED, max(crowded[0], CROWDED) + 0.1 - crowded)
            joints = [3 * k + joint for joint in range(stage, 3)]
            angles[joints] += _first_touch(room) * (end - angles)[joints]
    return angles


def oppose(
    angles: Float[np.ndarray, "15 3"], T: Float[np.ndarray, "4 4"], body: Body
) -> Float[np.ndarray, "15 3"]:
    """Bring the thumb to the body from wherever its pad gets nearest, fingers as they are.

    Of a grid of places for the thumb's base, those are left out where it is inside of something;
    in each of the others the outer joints bend until they touch.
    """
    bends = np.linspace(-8, 62, 6)
    tried = np.repeat(angles[None], len(_BASES) * len(bends), axis=0)
    bases = np.repeat(np.array(_BASES), len(bends), axis=0)
    bend = np.tile(bends, len(_BASES))
    tried[:, 12] = np.stack([*bases.T, 4 + 0.4 * bases[:, 1]], axis=1)
    tried[:, 13, 0], tried[:, 14, 0] = np.clip(0.7 * bend, -8, 55), bend
    tried = poses.clamp_angles(np.concatenate([angles[None], tried]))
    rotvec = poses.rotvec_of(tried)
    places = skin(rotvec, thumb_only=True)
    away = body.distance(in_object(places, T))
    crowded = self_contact.overlap(rotvec)
    pad = np.abs(body.distance(in_object(places[:, _thumb_pads()], T))).mean(axis=1)
    strain = 0.03 * np.abs(tried[:, 12, 0] - 22) + 0.04 * np.abs(tried[:, 12, 1] - 10)
    deep = np.maximum(-2 * PRESSED - away.min(axis=1), 0)
    wrong = 10 * (deep + np.maximum(crowded - CROWDED, 0))
    found = tried[int(np.argmin(pad + strain + wrong))]
    end = found.copy()
    end[13, 0], end[14, 0] = 55, 75
    end[12, 0] = min(end[12, 0] + 8, 45)
    return close(found, end, T, body, (THUMB,))


def approach(
    angles: Float[np.ndarray, "15 3"],
    T: Float[np.ndarray, "4 4"],
    body: Body,
    away: Float[np.ndarray, " 3"],
    bones: tuple[int, ...] = (),
) -> Float[np.ndarray, "4 4"]:
    """Bring the body from 90 mm along `away` to where it first touches the hand (or some bones).

    Where it touches nothing on 135 mm, or already at the start, it stays where it is.
    """
    points = skin(poses.rotvec_of(angles)[None])[0]
    if bones:
        points = points[np.isin(models()[0].weights.argmax(axis=1), bones)]

    def room(shift: float) -> float:
        moved = in_object(points - shift * away, T)
        return float(body.distance(moved).min()) + PRESSED

    shifts = np.linspace(_REACH, -_REACH / 2, _NEARING)
    full = np.flatnonzero(np.array([room(shift) for shift in shifts]) < 0)
    if not len(full) or full[0] == 0:
        return T
    far, near = shifts[full[0] - 1], shifts[full[0]]
    for _ in range(8):
        middle = (far + near) / 2
        far, near = (middle, near) if room(middle) >= 0 else (far, middle)
    moved = T.copy()
    moved[:3, 3] += far * away
    return moved


def bone_gaps(
    rotvec: Float[np.ndarray, "hands 15 3"], T: Float[np.ndarray, "4 4"], body: Body
) -> Float[np.ndarray, "hands 16"]:
    """Return the smallest signed distance of the skin of each bone from a body, mm."""
    away = body.distance(in_object(skin(rotvec), T))
    order, starts = _by_bone()
    return np.minimum.reduceat(away[:, order], starts, axis=1)


def skin(
    rotvec: Float[np.ndarray, "hands 15 3"], *, thumb_only: bool = False
) -> Float[np.ndarray, "hands vertices 3"]:
    """Return the vertices of posed hands, or only those of the thumb."""
    pose = np.concatenate([np.zeros((len(rotvec), 1, 3)), rotvec], axis=1)
    betas = np.zeros(anatomy.BETAS)
    if thumb_only:
        model = _thumb()
        places = model.joints(rotvec=pose, betas=betas, flat_hand_mean=True)[:, 16:]
    else:
        model = models()[0]
        places = model.vertices(rotvec=pose, betas=betas, flat_hand_mean=True)
    return places - model.root(betas)


def in_object(points: np.ndarray, T: Float[np.ndarray, "4 4"]) -> np.ndarray:
    """Return points (..., 3) of the hand's frame in the object's, of ``T_hand_from_object``."""
    return (points - T[:3, 3]) @ T[:3, :3]


@cache
def pads() -> Int[np.ndarray, " 5"]:
    """The vertex in the middle of each fingertip's pad, in the order of `anatomy.FINGERS`."""
    skeleton, found = anatomy.skeleton(), []
    vertices = models()[0].v_template * MM
    for k, finger in enumerate(anatomy.FINGERS):
        chain, frame = skeleton.chain(finger), anatomy.finger_frame(finger)
        place = chain[2] + 0.6 * (chain[3] - chain[2]) - frame[:, 1] * skeleton.radii[k, 2]
        found.append(int(np.argmin(np.linalg.norm(vertices - place, axis=1))))
    return np.array(found)


@cache
def _thumb() -> HandModel:
    """The model with the thumb's vertices for tips: `joints` skins only those."""
    model = models()[0]
    thumb = np.flatnonzero(np.isin(model.weights.argmax(axis=1), (13, 14, 15)))
    return replace(model, tips=tuple(int(v) for v in thumb))


@cache
def _thumb_pads() -> np.ndarray:
    """Among the thumb's vertices, those within 6 mm of the middle of its pad."""
    model = models()[0]
    thumb = np.array(_thumb().tips)
    away = np.linalg.norm(model.v_template[thumb] - model.v_template[pads()[THUMB]], axis=1)
    return np.flatnonzero(away < 0.006)


@cache
def _by_bone() -> tuple[np.ndarray, np.ndarray]:
    """Vertices ordered by the bone that moves them most, and where each bone begins."""
    bone = models()[0].weights.argmax(axis=1)
    order = np.argsort(bone, kind="stable")
    return order, np.searchsorted(bone[order], np.arange(16))


def _first_touch(room: np.ndarray) -> float:
    """The share of a path (0 to 1) after which there is no more room."""
    full = np.flatnonzero(room < 0)
    if not len(full):
        return 1.0
    k = int(full[0])
    if k == 0:
        return 0.0
    return (k - 1 + room[k - 1] / (room[k - 1] - room[k])) / (len(room) - 1)
