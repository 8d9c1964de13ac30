"""Free motion of hands: their range of motion, alone and together, and where joints are.

Wrist frames are those of the model: MANO's axes at the root joint. The right hand's fingers point
along -x, its palm faces -y, its thumb +z, so its forearm is +x; the left hand is the mirror image.
An `orient`ed hand is given by where its forearm points, how far it is turned about the forearm
(0: pronated, palm down or away; towards -pi: palm up), and how the wrist is bent. Millimetres,
radians, seconds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hand_bench.array_types import Float
from hand_bench.hand_model import rotmat_to_rotvec, rotvec_to_rotmat
from hand_bench.joint_sets import OPENPOSE, convert
from hand_bench.sim import poses
from hand_bench.sim.hand import models
from hand_bench.sim.scene import NO_GRASP, RATE, WORKSPACE, Clip, Subject
from hand_bench.sim.trajectories import (
    MIRROR,
    about,
    envelope,
    rigid,
    sway,
    through,
)

#: Lowest that a joint may be above the table, mm.
CLEARANCE = 15.0
#: Which hands are there.
PRESENT = {"right": (True, False), "left": (False, True), "interacting": (True, True)}
#: Where the forearm of the right hand points from the wrist, on the whole: to the person, outwards.
FOREARM = np.array([0.42, -0.1, 0.9]) / np.linalg.norm([0.42, -0.1, 0.9])
#: Radius of the spheres that keep two hands apart, mm.
_SPHERE = 8.5
#: Distance of joints that an idle hand keeps from the other one, and the farthest it gives way, mm.
_ROOM, _FARTHEST = 26.0, 150.0


def joints(clip: Clip) -> Float[np.ndarray, "frames 2 21 3"]:
    """Return the joints of both hands, mm, world, OpenPose order; zeros for an absent hand."""
    found = np.zeros((len(clip), 2, 21, 3))
    for side, model in enumerate(models()):
        if clip.present[side]:
            posed = model.joints(
                rotvec=clip.rotvec[:, side],
                betas=clip.subject.betas,
                translation=clip.translation[:, side],
                flat_hand_mean=True,
            )
            found[:, side] = convert(posed, "mano21", "openpose21")
    return found


def wrists(clip: Clip) -> Float[np.ndarray, "frames 2 4 4"]:
    """Return where the wrist frames are in the world."""
    roots = np.stack([model.root(clip.subject.betas) for model in models()])
    return rigid(rotvec_to_rotmat(clip.rotvec[:, :, 0]), clip.translation + roots)


def place(
    subject: Subject, T_world_from_wrist: Float[np.ndarray, "frames 2 4 4"], fingers: np.ndarray
) -> tuple[Float[np.ndarray, "frames 2 16 3"], Float[np.ndarray, "frames 2 3"]]:
    """Return pose and translation of hands whose wrists are where they are wanted.

    The hand turns about its root joint J0, so that joint is at J0 + translation.
    """
    roots = np.stack([model.root(subject.betas) for model in models()])
    turned = rotmat_to_rotvec(T_world_from_wrist[..., :3, :3])
    rotvec = np.concatenate([turned[:, :, None], fingers], axis=2)
    return rotvec, T_world_from_wrist[..., :3, 3] - roots


def orient(
    forearm: Float[np.ndarray, "*keys 3"],
    turn: Float[np.ndarray, "*keys"],
    flexion: Float[np.ndarray, "*keys"],
    deviation: Float[np.ndarray, "*keys"],
) -> Float[np.ndarray, "*keys 3 3"]:
    """Orientation of right hands; `flexion` bends the palm towards the forearm.

    Parameters
    ----------
    forearm
        Direction from the wrist to the elbow.
    turn
        Turn about it: 0 palm down, -pi / 2 palm inwards, -pi palm up.
    flexion, deviation
        Bend of the wrist to the palm, and towards the little finger.
    """
    x = forearm / np.linalg.norm(forearm, axis=-1, keepdims=True)
    # The back of a hand whose fingers point up faces the person.
    rise = x[..., 1:2]
    up = np.array([0.0, 1.0, 0.0]) - np.array([0.0, 0.0, 1.0]) * rise * np.abs(rise) ** 3
    y = up - np.sum(up * x, axis=-1, keepdims=True) * x
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    frame = np.stack([x, y, np.cross(x, y)], axis=-1)
    return frame @ about(0, turn) @ about(2, flexion) @ about(1, -deviation)


def range_of_motion(rng: np.random.Generator, subject: Subject, *, hands: str, frames: int) -> Clip:
    """Move hands freely, as in InterHand2.6M's recordings of the range of motion.

    Natural and extreme poses, fingers one after the other, fists, spread hands, turning wrists; of
    two hands that are near each other, touch, cross, clasp and hide each other.

    Parameters
    ----------
    rng
        Drawn from in a fixed order.
    subject
        Who moves; `style` sets pace and extent.
    hands
        "right", "left" or "interacting".
    frames
        At 30 Hz.

    Raises
    ------
    ValueError
        For other hands.
    """
    if hands not in PRESENT:
        raise ValueError(f"hands {hands!r} is none of {', '.join(PRESENT)}")
    present, together = PRESENT[hands], hands == "interacting"
    time = np.arange(frames) / RATE
    style = np.random.default_rng([subject.style, 11])
    pace, extent = style.uniform(0.8, 1.25), style.uniform(0.85, 1.15)
    angles = np.stack([_finger_motion(rng, time, pace) for _ in range(2)], axis=1)
    turned = np.stack([_turning(rng, time, pace, together=together) for _ in range(2)], axis=1)
    turned[:, 1] = MIRROR @ turned[:, 1] @ MIRROR
    start = WORKSPACE + np.array([0.0, 50.0, 0.0]) + rng.uniform([-90, -20, -60], [90, 70, 60])
    middle = start + extent * np.array([70, 45, 60]) * sway(rng, time, 3, fastest=1.6)
    clip = free_clip(subject, present, rigid(turned, middle[:, None]), angles)
    clip = _centred(clip, middle)
    meeting = _meeting(rng, time, pace)
    if together:
        clip = _apart(clip, *meeting)
    return above_table(clip)


def free_clip(
    subject: Subject,
    present: tuple[bool, bool],
    T_world_from_wrist: Float[np.ndarray, "frames 2 4 4"],
    angles: Float[np.ndarray, "frames 2 15 3"],
) -> Clip:
    """Return a clip of empty hands.

    `angles` are anatomical (degrees, of a right hand), as in `poses`; they are brought into their
    limits.
    """
    fingers = poses.rotvec_of(poses.clamp_angles(angles))
    fingers[:, 1] = poses.mirror(fingers[:, 1])
    rotvec, translation = place(subject, T_world_from_wrist, fingers)
    frames = len(rotvec)
    return Clip(
        subject=subject,
        present=present,
        rotvec=rotvec,
        translation=translation,
        grasp=np.full((frames, 2), NO_GRASP),
        phase=np.linspace(0.0, 1.0, frames),
        verb="range of motion",
    )


def above_table(clip: Clip) -> Clip:
    """Lift hands and object so that no joint comes too near to the table.

    By one height for the whole clip, so that nothing else about the motion changes.
    """
    height = joints(clip)[:, list(clip.present)][..., 1]
    lack = CLEARANCE - float(height.min(initial=np.inf))
    if lack <= 0:
        return clip
    up = np.array([0.0, lack, 0.0])
    pose = clip.object_pose
    if pose is not None:
        pose = pose.copy()
        pose[:, :3, 3] += up
    return replace(clip, translation=clip.translation + up, object_pose=pose)


def keep_off(clip: Clip, side: int, share: Float[np.ndarray, " frames"] | float = 1.0) -> Clip:
    """Move one of two hands outwards where it would run into the other one, by a share of it."""
    points = joints(clip)
    offset = points[:, side, :, None] - points[:, 1 - side, None]
    outwards = np.array([0.8 * (1 - 2 * side), 0.0, 0.6])
    along = offset @ outwards
    reach = _ROOM**2 - (np.sum(offset**2, axis=-1) - along**2)
    needed = np.where(reach > 0, np.sqrt(np.maximum(reach, 0)) - along, 0.0).max(axis=(1, 2))
    translation = clip.translation.copy()
    away = share * envelope(np.clip(needed, 0, _FARTHEST), 9)
    translation[:, side] += away[:, None] * outwards
    return replace(clip, translation=translation)


def _finger_motion(rng: np.random.Generator, time: np.ndarray, pace: float) -> np.ndarray:
    """Finger angles (time, 15, 3), degrees, from one drawn exercise to the next."""
    keys, times = [_natural(rng)[0]], [-float(rng.uniform(0, 0.5))]
    while times[-1] <= time[-1]:
        exercise = _EXERCISES[int(rng.integers(len(_EXERCISES)))](rng)
        step = rng.uniform(0.4, 0.95, len(exercise)) * pace
        keys += list(exercise)
        times += list(times[-1] + np.cumsum(step))
    smooth = through(np.stack(keys), np.array(times), time)
    jitter = sway(rng, time, 5, fastest=0.8).repeat(3, axis=1)
    smooth[..., poses.FLEXION] += 2.5 * jitter
    return smooth


def _natural(rng: np.random.Generator) -> list[np.ndarray]:
    """One or two poses of the prior."""
    return list(poses.angles_of(poses.sample_pose(rng, int(rng.integers(1, 3)))))


def _named(rng: np.random.Generator) -> list[np.ndarray]:
    """Two of the named poses, done more or less fully."""
    names = rng.choice(len(poses.NAMES), 2)
    return [poses.named(poses.NAMES[k]) + rng.normal(0, 4, (15, 3)) * _FLEX for k in names]


def _one_by_one(rng: np.random.Generator) -> list[np.ndarray]:
    """Bend the fingers one after the other, in order."""
    low, high = poses.named("flat"), poses.named("fist" if rng.random() < 0.6 else "hook")
    pose, keys = low.copy(), [low]
    fingers = (12, 0, 3, 9, 6) if rng.random() < 0.5 else (6, 9, 3, 0)
    for first in fingers:
        pose = pose.copy() if rng.random() < 0.7 else low.copy()
        pose[first : first + 3] = high[first : first + 3]
        keys.append(pose)
    return keys


def _fists(rng: np.random.Generator) -> list[np.ndarray]:
    """Make a fist and open the hand, twice."""
    wide = poses.named("spread" if rng.random() < 0.6 else "flat")
    return [poses.named("fist"), wide] * 2


def _fan(rng: np.random.Generator) -> list[np.ndarray]:
    """Spread the fingers and close them, twice."""
    together = poses.named("tabletop" if rng.random() < 0.3 else "flat")
    return [poses.named("spread"), together] * 2


_FLEX = np.array([1.0, 0.3, 0.2])
_EXERCISES = (_natural, _natural, _named, _named, _one_by_one, _fists, _fan)


def _turning(
    rng: np.random.Generator, time: np.ndarray, pace: float, *, together: bool
) -> np.ndarray:
    """Orientations (time, 3, 3) of a right wrist that turns, bends and tips from key to key."""
    times = _key_times(rng, time, pace, 0.7, 1.7)
    keys = len(times)
    forearm = np.array([0.55, -0.45, 0.7] if together else [0.35, -0.5, 0.75])
    forearm = forearm + rng.normal(0, [0.16, 0.3, 0.2], (keys, 3))
    turn = rng.normal(-1.4, 0.7, keys) if together else rng.uniform(-2.9, 0.4, keys)
    flexion = np.clip(rng.normal(0, 0.35, keys), -0.9, 0.9)
    deviation = np.clip(rng.normal(0.05, 0.2, keys), -0.35, 0.5)
    forearm = through(forearm, times, time)
    bends = through(np.stack([turn, flexion, deviation], axis=1), times, time)
    bends += 0.05 * sway(rng, time, 3, fastest=0.9)
    return orient(forearm, bends[:, 0], bends[:, 1], bends[:, 2])


def _key_times(rng, time: np.ndarray, pace: float, shortest: float, longest: float) -> np.ndarray:
    """Times of keys that cover `time`."""
    count = int((time[-1] + longest) / (shortest * pace)) + 3
    return np.cumsum(rng.uniform(shortest, longest, count) * pace) - longest * pace


def _centred(clip: Clip, middle: Float[np.ndarray, "frames 3"]) -> Clip:
    """Put the middle of each palm, not the wrist, where it is wanted."""
    palm = joints(clip)[:, :, [0, 5, 17]].mean(axis=2)
    here = np.array(clip.present)[:, None]
    return replace(clip, translation=clip.translation + (middle[:, None] - palm) * here)


def _meeting(
    rng: np.random.Generator, time: np.ndarray, pace: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How two hands meet: direction from left to right (time, 3), gap in mm, size of fingers.

    Beside each other, touching, crossed one before the other, or clasped (fingers between fingers,
    so those count as thinner).
    """
    times = _key_times(rng, time, pace, 0.9, 1.9)
    kind = rng.integers(4, size=len(times))
    wide = rng.uniform(10, 110, len(times))
    sign = np.where(rng.random(len(times)) < 0.5, -1.0, 1.0)
    aside = rng.normal(0, 0.25, (len(times), 3)) + np.array([1.0, 0.0, 0.0])
    crossed = np.stack([rng.uniform(-0.3, 0.4, len(times)), 0 * sign, sign], axis=1)
    direction = np.where((kind == 2)[:, None], crossed, aside)
    gap = np.choose(kind, [wide, 0 * wide, 0.15 * wide, 0 * wide])
    size = np.where(kind == 3, 0.65, 1.0)
    direction = through(direction, times, time) + np.array([0.05, 0.0, 0.0])
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction, through(gap, times, time), through(size, times, time)


def _apart(clip: Clip, direction: np.ndarray, gap: np.ndarray, size: np.ndarray) -> Clip:
    """Move two hands apart along a direction until they are `gap` from touching each other."""
    right, left = np.moveaxis(_spheres(joints(clip)), 1, 0)
    offset = right[:, :, None] - left[:, None]
    along = np.einsum("fijk,fk->fij", offset, direction)
    beside = np.sum(offset**2, axis=-1) - along**2
    reach = (2 * _SPHERE * size[:, None, None]) ** 2 - beside
    needed = np.where(reach > 0, np.sqrt(np.maximum(reach, 0)) - along, -60.0).max(axis=(1, 2))
    half = 0.5 * (envelope(needed, 6) + gap)[:, None] * direction
    return replace(clip, translation=clip.translation + np.stack([half, -half], axis=1))


def _spheres(points: Float[np.ndarray, "frames 2 21 3"]) -> Float[np.ndarray, "frames 2 41 3"]:
    """Joints and the middles of the bones."""
    return np.concatenate([points, (points[:, :, 1:] + points[:, :, list(_PARENTS)]) / 2], axis=2)


_PARENTS = OPENPOSE.parents[1:]
