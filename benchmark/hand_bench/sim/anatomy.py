"""The skeleton and girth of HandSim's hand: how long, how wide, how thick, and how people differ.

Conventions
-----------
The flat right hand in MANO's axes: fingers along -x, palm facing -y (the back of the hand is +y),
thumb towards +z; the wrist (joint 0) at `WRIST`, the origin near the knuckle of the middle finger.
Millimetres here; the model file is in metres. Joints are MANO's 16: wrist, then index, middle,
pinky, ring, thumb with three each from the palm outwards (for the thumb: CMC, MCP, IP). Tips are
thumb, index, middle, ring, pinky, as `HandModel.tips`.

Every joint has a frame (flexion axis, abduction axis, bone direction), right-handed; turning about
the first by a positive angle brings the tip towards the palm.

Sources
-------
Recalled from the literature and not checked against the printed tables:

* lengths of phalanges and metacarpals and of the soft tissue beyond the bone: Buryanov and Kotiuk,
  "Proportions of hand segments", Int. J. Morphol. 28(3), 2010 (X-rays of adults);
* hand length about 194 (SD 10) mm in men, 181 (10) in women, breadth at the knuckles about 90 (4)
  and 79 (4) mm: the US Army surveys (Greiner 1991; ANSUR 1988). The mean hand here is between;
* girths: finger breadths of 16 to 21 mm and depths a tenth less: the same surveys, rounded.

The rest (places of the carpal ends, splay of the fingers, plane of the thumb) is a modelling
choice, set by eye against anatomical drawings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from hand_bench.array_types import Float

#: MANO's order of fingers; finger k has the joints 1 + 3 k to 3 + 3 k.
FINGERS = ("index", "middle", "pinky", "ring", "thumb")
#: Order of the tips.
TIP_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
BETAS = 10
WRIST = np.array([90.0, 4.0, 0.0])

#: Segment lengths, mm: proximal, middle, distal phalanx with soft tissue (thumb: metacarpal first).
LENGTHS = {
    "index": (39.8, 22.4, 15.8 + 3.8),
    "middle": (44.6, 26.3, 17.4 + 4.0),
    "pinky": (32.7, 18.1, 16.0 + 3.7),
    "ring": (41.4, 25.7, 17.3 + 4.0),
    "thumb": (46.2, 31.6, 21.7 + 5.7),
}
#: Standard deviations of the same, mm.
DEVIATIONS = {
    "index": (4.9, 2.5, 2.3),
    "middle": (3.8, 3.0, 1.9),
    "pinky": (2.8, 2.5, 2.5),
    "ring": (3.9, 3.3, 2.2),
    "thumb": (3.9, 3.1, 1.6),
}
#: First joint of each finger from the wrist, mm: (towards the fingers, to the thumb, to the back).
BASES = {
    "index": (86.0, 23.0, 1.5),
    "middle": (87.5, 2.5, 3.0),
    "pinky": (72.0, -34.0, -3.5),
    "ring": (81.5, -16.5, 1.0),
    "thumb": (17.0, 23.0, -9.0),
}
#: Degrees: splay of the flat hand towards the thumb, dip below the palm's plane, and roll of the
#: flexion axis about the bone (positive: the pad turns towards the little finger).
DIRECTIONS = {
    "index": (7.0, 1.0, 4.0),
    "middle": (0.5, 0.0, 0.0),
    "pinky": (-17.0, 3.0, -14.0),
    "ring": (-7.5, 1.0, -5.0),
    "thumb": (43.0, 15.0, 66.0),
}
#: Half breadths, mm, at the three joints and at the tip's ball.
RADII = {
    "index": (11.0, 9.7, 8.5, 7.4),
    "middle": (11.5, 9.9, 8.7, 7.6),
    "pinky": (9.8, 8.4, 7.4, 6.4),
    "ring": (10.8, 9.4, 8.2, 7.1),
    "thumb": (14.0, 11.4, 10.6, 8.8),
}
#: Depth over breadth of the fingers.
FLATNESS = {"index": 0.9, "middle": 0.9, "pinky": 0.9, "ring": 0.9, "thumb": 0.82}

#: What the ten shape directions change, as a fraction for one unit: "length:FINGER" or
#: "length:FINGER:SEGMENT", "girth:FINGER", and of the palm "palm:length", "palm:breadth",
#: "palm:depth". At |beta| <= 2 all segments stay within four standard deviations.
SHAPE_NAMES = (
    *("size", "finger length", "palm breadth", "thickness", "finger girth"),
    *("palm length", "thumb length", "index against ring", "pinky length", "distal segments"),
)
_LONG = ("index", "middle", "pinky", "ring")
SHAPE: tuple[dict[str, float], ...] = (
    {f"{kind}:{finger}": 0.045 for kind in ("length", "girth") for finger in FINGERS}
    | {f"palm:{axis}": 0.045 for axis in ("length", "breadth", "depth")},
    {f"length:{finger}": 0.03 for finger in _LONG} | {"length:thumb": 0.015},
    {"palm:breadth": 0.045} | {f"girth:{finger}": 0.015 for finger in FINGERS},
    {"palm:depth": 0.06} | {f"girth:{finger}": 0.025 for finger in FINGERS},
    {f"girth:{finger}": 0.05 for finger in FINGERS},
    {"palm:length": 0.035},
    {"length:thumb": 0.035, "girth:thumb": 0.01},
    {"length:index": 0.025, "length:ring": -0.02},
    {"length:pinky": 0.045, "girth:pinky": 0.02},
    {f"length:{finger}:2": 0.03 for finger in FINGERS}
    | {f"length:{finger}:0": -0.01 for finger in FINGERS},
)


@dataclass(frozen=True)
class Skeleton:
    """Joints, tips and girths of one hand, mm."""

    joints: Float[np.ndarray, "16 3"]
    tips: Float[np.ndarray, "5 3"]
    #: Half breadth at each joint of a finger (rows in the order of `FINGERS`) and at its tip.
    radii: Float[np.ndarray, "5 4"]
    #: Factors of the palm's length, breadth and depth.
    palm: Float[np.ndarray, 3]

    def chain(self, finger: str) -> Float[np.ndarray, "4 3"]:
        """The three joints of a finger and its tip."""
        first = first_joint(finger)
        tip = self.tips[TIP_FINGERS.index(finger)]
        return np.concatenate([self.joints[first : first + 3], tip[None]])


def first_joint(finger: str) -> int:
    """Return the number of a finger's joint next to the palm."""
    return 1 + 3 * FINGERS.index(finger)


def skeleton(betas: np.ndarray | None = None) -> Skeleton:
    """Return the skeleton of a shape; joints and girths are linear in `betas` (10,).

    The arrays are shared between calls of the same shape: they must not be changed.
    """
    given = np.zeros(BETAS) if betas is None else np.asarray(betas, float)
    return _skeleton(tuple(given.tolist()))


@lru_cache(maxsize=64)
def _skeleton(shape: tuple[float, ...]) -> Skeleton:
    betas = np.array(shape)
    palm = np.array([_factor(betas, f"palm:{axis}") for axis in ("length", "breadth", "depth")])
    joints, tips, radii = np.zeros((16, 3)), np.zeros((5, 3)), np.zeros((5, 4))
    joints[0] = WRIST
    for finger in FINGERS:
        first = first_joint(finger)
        chain = _chain(finger, betas, palm)
        joints[first : first + 3] = chain[:3]
        tips[TIP_FINGERS.index(finger)] = chain[3]
        radii[FINGERS.index(finger)] = np.array(RADII[finger]) * _factor(betas, f"girth:{finger}")
    for shared in (joints, tips, radii, palm):
        shared.setflags(write=False)
    return Skeleton(joints, tips, radii, palm)


def in_palm(towards: float, radial: float, dorsal: float) -> Float[np.ndarray, 3]:
    """Return the model's coordinates of a vector given as (to the fingers, thumb, back)."""
    return np.array([-towards, dorsal, radial])


@cache
def finger_frame(finger: str) -> Float[np.ndarray, "3 3"]:
    """Columns: flexion axis, abduction axis, bone direction of a finger in the flat hand.

    Right-handed. A positive turn about the second column swings the finger towards the thumb's
    side (for the thumb: away from the palm).
    """
    splay, dip, roll = np.deg2rad(DIRECTIONS[finger])
    bone = in_palm(np.cos(dip) * np.cos(splay), np.cos(dip) * np.sin(splay), -np.sin(dip))
    back = np.array([0.0, 1.0, 0.0])
    back = back - (back @ bone) * bone
    back /= np.linalg.norm(back)
    side = np.cross(back, bone)
    # The pad turns away from the thumb's side by the roll, so the back leans towards it.
    back = np.cos(roll) * back + np.sin(roll) * side
    flexion = np.cross(bone, -back)
    return _fixed(np.stack([flexion, np.cross(bone, flexion), bone], axis=1))


@cache
def joint_frames() -> Float[np.ndarray, "15 3 3"]:
    """The frames of joints 1 to 15, as `finger_frame`; the joints of a finger share theirs."""
    return _fixed(np.stack([finger_frame(finger) for finger in FINGERS for _ in range(3)]))


def _fixed(array: np.ndarray) -> np.ndarray:
    """The array, which nobody may write to any more: it is shared."""
    array.setflags(write=False)
    return array


def _factor(betas: np.ndarray, *names: str) -> float:
    """One plus the changes of one measure by all shape directions."""
    changes = [sum(direction.get(name, 0.0) for name in names) for direction in SHAPE]
    return 1.0 + float(betas @ np.array(changes))


def _chain(finger: str, betas: np.ndarray, palm: np.ndarray) -> np.ndarray:
    """Joints and tip of a straight finger."""
    place = WRIST + in_palm(*(np.array(BASES[finger]) * palm))
    bone = finger_frame(finger)[:, 2]
    chain = [place]
    for segment, length in enumerate(LENGTHS[finger]):
        names = (f"length:{finger}", f"length:{finger}:{segment}")
        chain.append(chain[-1] + length * _factor(betas, *names) * bone)
    return np.array(chain)
