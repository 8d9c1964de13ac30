"""Natural finger poses: joint limits, anatomical angles and back, named poses, a prior.

Conventions
-----------
A finger pose is MANO's 15 rotation vectors relative to the flat hand (`flat_hand_mean=True`), or 15
rows of anatomical angles in degrees: flexion (positive towards the palm), abduction (positive
towards the thumb's side; for the thumb: away from the palm), twist about the bone. The rotation is
flexion after abduction after twist, each about an axis of `anatomy.joint_frames`. Everything here
is the right hand; `mirror` gives the left one. The wrist's rotation is no part of a finger pose.

Limits are active ranges of adults as textbooks give them (about those of the American Academy of
Orthopaedic Surgeons: MCP 0 to 90, PIP 0 to 100, DIP 0 to 80 degrees; thumb MCP 50 to 60, IP 80),
recalled and rounded. Sideways ranges leave the largest angles between neighbouring fingers near the
17, 14 and 32 degrees of Chatzioglou et al., Anat. Cell Biol. 57(2), 2024, and end where fingers
touch.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hand_bench.array_types import Bool, Float
from hand_bench.hand_model import rotmat_to_rotvec, rotvec_to_rotmat
from hand_bench.sim import anatomy, self_contact

FLEXION, ABDUCTION, TWIST = 0, 1, 2
#: Degrees, (low, high) of flexion, abduction and twist at each joint of a finger.
LIMITS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "index": (
        ((-25, 90), (-9, 12), (-6, 6)),
        ((-3, 105), (-2, 2), (-3, 3)),
        ((-6, 80), (-2, 2), (-3, 3)),
    ),
    "middle": (
        ((-25, 92), (-8, 8), (-6, 6)),
        ((-3, 105), (-2, 2), (-3, 3)),
        ((-6, 80), (-2, 2), (-3, 3)),
    ),
    "pinky": (
        ((-30, 95), (-12, 14), (-6, 6)),
        ((-3, 100), (-2, 2), (-3, 3)),
        ((-6, 80), (-2, 2), (-3, 3)),
    ),
    "ring": (
        ((-25, 93), (-9, 9), (-6, 6)),
        ((-3, 105), (-2, 2), (-3, 3)),
        ((-6, 80), (-2, 2), (-3, 3)),
    ),
    "thumb": (
        ((-15, 45), (-20, 40), (-15, 35)),
        ((-10, 60), (-8, 8), (-6, 6)),
        ((-15, 80), (-2, 2), (-3, 3)),
    ),
}
#: Named poses: MCP flexion, MCP abduction, PIP and DIP flexion of index, middle, ring, pinky; CMC
#: flexion, abduction, twist, MCP and IP flexion of the thumb. Degrees.
_NAMED: dict[str, tuple[tuple[float, ...], ...]] = {
    "relaxed": ((20, 0, 28, 14), (27, 0, 34, 17), (31, 2, 36, 18), (33, 3, 32, 16),
                (8, 6, 8, 10, 15)),
    "flat": ((0, -4, 2, 1), (0, 0, 2, 1), (0, 4, 2, 1), (0, 8, 2, 1), (4, -6, 0, 2, 2)),
    "spread": ((-6, 9, 2, 1), (-4, 0, 2, 1), (-5, -6, 2, 1), (-6, -10, 3, 1), (-10, 4, 0, 0, -4)),
    "fist": ((78, 0, 96, 58), (82, 0, 98, 60), (84, 0, 98, 60), (84, 0, 94, 58),
             (32, 16, -12, 30, 34)),
    "half fist": ((45, 0, 62, 36), (50, 0, 66, 38), (52, 1, 66, 38), (52, 2, 62, 36),
                  (31, 5, -6, 6, 6)),
    "hook": ((8, -2, 88, 52), (8, 0, 92, 54), (8, 3, 92, 54), (8, 5, 86, 50), (10, 0, 4, 12, 14)),
    "tabletop": ((70, -3, 8, 4), (74, 0, 8, 4), (74, 3, 8, 4), (72, 5, 8, 4), (14, 12, 8, 10, 8)),
    "point": ((2, 0, 6, 4), (74, 0, 94, 56), (80, 0, 96, 58), (80, 0, 92, 56),
              (42, 4, -12, 10, 24)),
    "pinch": ((34, -7, 58, 52), (36, 0, 40, 20), (34, 2, 38, 18), (32, 3, 34, 16),
              (35, -8, 18, 3, 4)),
    "ok": ((36, -7, 54, 50), (12, 0, 16, 8), (4, -2, 10, 5), (-2, -6, 8, 4),
           (35, -8, 15, 8, -8)),
    "tripod": ((62, -6, 30, 14), (66, -1, 42, 24), (50, 2, 56, 30), (48, 2, 54, 28),
               (37, 13, 0, 14, 11)),
    "lateral": ((44, 0, 62, 34), (54, 0, 70, 38), (58, 1, 70, 38), (58, 2, 66, 36),
                (23, -4, 4, 13, 18)),
    "thumbs-up": ((80, 0, 96, 58), (82, 0, 98, 60), (84, 0, 98, 60), (84, 0, 94, 58),
                  (-12, -6, 0, -6, -10)),
    "victory": ((2, 8, 4, 2), (2, -4, 4, 2), (78, 0, 94, 56), (80, 0, 92, 56),
                (44, 6, -8, 28, 28)),
    "three": ((2, 4, 4, 2), (2, 0, 4, 2), (2, -4, 6, 3), (72, 0, 88, 52),
              (45, 2, -4, 48, 6)),
    "four": ((2, 2, 4, 2), (2, 0, 4, 2), (2, -2, 4, 2), (2, -5, 6, 3),
             (40, -8, -4, 36, 24)),
    "horns": ((2, 2, 4, 2), (78, 0, 94, 56), (80, 0, 96, 58), (6, -4, 8, 4),
              (41, 9, -9, 18, 34)),
    "call": ((76, 0, 94, 56), (80, 0, 96, 58), (78, 0, 94, 56), (0, -8, 6, 3),
             (-10, 6, 0, -4, -8)),
    "claw": ((-8, 4, 62, 40), (-8, 0, 66, 42), (-8, -2, 66, 42), (-8, -5, 60, 38),
             (4, 16, 10, 16, 34)),
    "cup": ((40, -5, 26, 14), (42, -1, 26, 14), (44, 4, 26, 14), (46, 8, 26, 14),
            (18, 22, 14, 8, 10)),
}  # fmt: skip
NAMES = tuple(_NAMED)
#: How far fingers of a drawn pose may run into each other (`self_contact.overlap`), mm.
OVERLAP = 2.0
#: How often the prior starts from each named pose, where not evenly.
_OFTEN = {"relaxed": 5.0, "half fist": 2.0, "cup": 2.0, "pinch": 2.0, "flat": 2.0, "fist": 2.0}


def named(name: str) -> Float[np.ndarray, "15 3"]:
    """Return the angles (degrees) of a named pose."""
    rows = dict(zip(("index", "middle", "ring", "pinky", "thumb"), _NAMED[name], strict=True))
    angles = np.zeros((15, 3))
    for finger in ("index", "middle", "ring", "pinky"):
        at = anatomy.first_joint(finger) - 1
        bend, aside, middle, last = rows[finger]
        angles[at, :2] = bend, aside
        angles[at + 1, 0], angles[at + 2, 0] = middle, last
    at = anatomy.first_joint("thumb") - 1
    angles[at] = rows["thumb"][:3]
    angles[at + 1, 0], angles[at + 2, 0] = rows["thumb"][3:]
    return angles


def rotvec_of(angles: Float[np.ndarray, "*batch 15 3"]) -> Float[np.ndarray, "*batch 15 3"]:
    """Return the rotation vectors of anatomical angles (degrees)."""
    frames = anatomy.joint_frames()
    turns = [
        rotvec_to_rotmat(np.deg2rad(angles[..., axis, None]) * frames[:, :, axis])
        for axis in (FLEXION, ABDUCTION, TWIST)
    ]
    return rotmat_to_rotvec(turns[0] @ turns[1] @ turns[2])


def angles_of(rotvec: Float[np.ndarray, "*batch 15 3"]) -> Float[np.ndarray, "*batch 15 3"]:
    """Return the anatomical angles (degrees) of rotation vectors; abduction within 90 degrees."""
    frames = anatomy.joint_frames()
    turned = np.swapaxes(frames, -1, -2) @ rotvec_to_rotmat(rotvec) @ frames
    flexion = np.arctan2(-turned[..., 1, 2], turned[..., 2, 2])
    abduction = np.arcsin(np.clip(turned[..., 0, 2], -1, 1))
    twist = np.arctan2(-turned[..., 0, 1], turned[..., 0, 0])
    return np.rad2deg(np.stack([flexion, abduction, twist], axis=-1))


def mirror(rotvec: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    """Return the same rotations for the other hand (mirrored in x)."""
    return rotvec * np.array([1.0, -1.0, -1.0])


@cache
def limits() -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest angles (15, 3), degrees."""
    rows = np.array([joint for finger in anatomy.FINGERS for joint in LIMITS[finger]], float)
    return rows[..., 0], rows[..., 1]


def clamp_angles(angles: Float[np.ndarray, "*batch 15 3"]) -> Float[np.ndarray, "*batch 15 3"]:
    """Bring angles into their limits; a bent finger moves less to the side (half at 90 degrees)."""
    low, high = limits()
    inside = np.clip(angles, low, high)
    narrow = 1 - 0.5 * np.clip(inside[..., :12:3, FLEXION] / 90, 0, 1)
    aside = inside[..., :12:3, ABDUCTION]
    inside[..., :12:3, ABDUCTION] = np.clip(
        aside, low[:12:3, ABDUCTION] * narrow, high[:12:3, ABDUCTION] * narrow
    )
    return inside


def clamp(rotvec: Float[np.ndarray, "*batch 15 3"]) -> Float[np.ndarray, "*batch 15 3"]:
    """Return the nearest pose (angle by angle) within the limits."""
    return rotvec_of(clamp_angles(angles_of(rotvec)))


def within_limits(
    rotvec: Float[np.ndarray, "*batch 15 3"], *, slack: float = 0.5
) -> Bool[np.ndarray, "*batch"]:
    """Whether all angles of a pose are within the limits, give or take `slack` degrees."""
    angles = angles_of(rotvec)
    beyond = np.abs(angles - clamp_angles(angles))
    return np.all(beyond <= slack, axis=(-1, -2))


def interpolate(
    start: Float[np.ndarray, "*batch 15 3"],
    end: Float[np.ndarray, "*batch 15 3"],
    t: float | np.ndarray,
) -> Float[np.ndarray, "*batch 15 3"]:
    """Return the pose at t (0 to 1) between two rotation vector poses, linear in the angles.

    `t` is a number, or an array that broadcasts against the batch axes after two axes are added.
    """
    share = np.asarray(t, float)[..., None, None]
    return rotvec_of((1 - share) * angles_of(start) + share * angles_of(end))


def sample_pose(
    rng: np.random.Generator, n: int, style: str = "natural"
) -> Float[np.ndarray, "n 15 3"]:
    """Draw n finger poses (rotation vectors) within the limits that do not run into themselves.

    Parameters
    ----------
    rng
        Every draw comes from it.
    n
        How many.
    style
        "natural": between two named poses, with correlated and single deviations; "free": any
        angles within the limits, neighbouring fingers correlated; or a name of `NAMES`: that pose
        with small deviations.

    Raises
    ------
    ValueError
        For another style.
    """
    if style != "free" and style != "natural" and style not in NAMES:
        raise ValueError(f"style {style!r} is none of natural, free, {', '.join(NAMES)}")
    angles = _free(rng, n) if style == "free" else _around(rng, n, style)
    return rotvec_of(_apart(clamp_angles(angles)))


def _around(rng: np.random.Generator, n: int, style: str) -> np.ndarray:
    """Angles between two named poses (or near one), with deviations."""
    shares = np.array([_OFTEN.get(name, 1.0) for name in NAMES])
    every = np.stack([named(name) for name in NAMES])
    picked = rng.choice(len(NAMES), (2, n), p=shares / shares.sum())
    t = rng.beta(0.7, 0.7, n)[:, None, None]
    deviation = _deviation(rng, n)
    if style != "natural":
        return named(style) + 0.5 * deviation
    return (1 - t) * every[picked[0]] + t * every[picked[1]] + deviation


def _deviation(rng: np.random.Generator, n: int) -> np.ndarray:
    """Degrees: all fingers curl together, each a bit by itself, the last two joints coupled."""
    hand, fingers = rng.normal(0, 6, (n, 1)), rng.normal(0, 5, (n, 5))
    joints, aside = rng.normal(0, 4, (n, 5, 3)), rng.normal(0, 2.5, (n, 5))
    spread, twist = rng.normal(0, 2, (n, 1)), rng.normal(0, 1.5, (n, 5))
    moved = np.zeros((n, 5, 3, 3))
    curl = hand + fingers
    moved[..., 0, FLEXION] = 0.8 * curl + joints[..., 0]
    moved[..., 1, FLEXION] = curl + joints[..., 1]
    moved[..., 2, FLEXION] = 0.6 * moved[..., 1, FLEXION] + 0.5 * joints[..., 2]
    moved[:, 4, :, FLEXION] *= 0.6
    outwards = np.array([1.0, 0.2, -1.5, -0.7, 1.0])
    moved[..., 0, ABDUCTION] = aside + spread * outwards
    moved[..., 0, TWIST] = twist
    return moved.reshape(n, 15, 3)


def _free(rng: np.random.Generator, n: int) -> np.ndarray:
    """Angles anywhere within the limits; neighbours bend alike, DIP follows PIP."""
    low, high = limits()
    order = np.array([0, 1, 3, 2, 4])
    steps = rng.normal(0, 1, (n, 5, 3))
    for finger in range(1, 4):
        steps[:, finger] = 0.6 * steps[:, finger - 1] + 0.8 * steps[:, finger]
    share = (0.5 + 0.28 * steps)[:, np.argsort(order)].reshape(n, 15)
    angles = low + rng.beta(2, 2, (n, 15, 3)) * (high - low)
    angles[..., FLEXION] = low[:, FLEXION] + share * (high - low)[:, FLEXION]
    last = np.arange(2, 12, 3)
    angles[:, last, FLEXION] = 0.6 * angles[:, last - 1, FLEXION] + rng.normal(0, 6, (n, 4))
    return angles


def _apart(angles: np.ndarray) -> np.ndarray:
    """Open hands that run into themselves towards the relaxed pose until they do not."""
    rest = named("relaxed")
    for share in (0.75, 0.5, 0.25, 0.0):
        deep = np.concatenate(
            [
                self_contact.overlap(rotvec_of(part))
                for part in np.array_split(angles, len(angles) // 256 + 1)
            ]
        )
        bad = deep > OVERLAP
        angles[bad] = rest + share * (angles[bad] - rest)
    return angles
