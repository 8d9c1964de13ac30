"""The grasp classes as finger poses around simple bodies, closed until the skin touches.

Conventions
-----------
The right hand at its mean shape, millimetres. The hand's frame has its origin at the wrist joint
and the model's axes (fingers -x, palm -y, thumb +z); a mesh of `HandModel` less `model.root(betas)`
is in it. A body is one of `PRIMITIVES`, centred in its own frame, of three extents (x, y, z):
cylinders (also "handle", "button") stand along y, boxes, a "plate" and a "card" are boxes. Each
class of `scene.GRASPS` but "none" has a recipe: how the hand is open, where the body lies, which
fingers close. "Other" is a hook of fingers without thumb or palm. For the left hand mirror both
(`poses.mirror`, and x of the hand's frame).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hand_bench.array_types import Float
from hand_bench.hand_model import rotvec_to_rotmat
from hand_bench.sim import anatomy, poses, self_contact
from hand_bench.sim.bodies import PRIMITIVES, ROUND, Body
from hand_bench.sim.closure import THUMB, approach, bone_gaps, close, oppose, pads, skin

_FOUR = (0, 1, 2, 3)
_DOWN, _UP = np.array([0.0, -1.0, 0.0]), np.array([0.0, 1.0, 0.0])
_ROW = np.array([0.0, 0.0, 1.0])
_STEPS = 21
#: A finger that is nearer than this touches, mm.
TOUCH = 2.0
#: How deep a grasp may press, mm; how often a recipe is tried until it neither misses nor presses
#: deeper (the best is taken).
DEEP, TRIES = 2.0, 4

Held = tuple[Float[np.ndarray, "15 3"], Float[np.ndarray, "4 4"]]


def grasp_pose(
    name: str,
    primitive: str,
    size_mm: float | np.ndarray | tuple[float, float, float],
    rng: np.random.Generator,
) -> Held:
    """Return how a right hand of mean shape holds or touches a body.

    Parameters
    ----------
    name
        One of `scene.GRASPS`, not "none".
    primitive
        One of `PRIMITIVES`.
    size_mm
        The body's three extents, or one for all.
    rng
        Varies how the body lies in the hand and how the fingers stand.

    Returns
    -------
    tuple
        Finger rotation vectors (flat hand = 0) and ``T_hand_from_object``, whose hand frame has its
        origin at the wrist joint.

    Raises
    ------
    ValueError
        For an unknown grasp or primitive.
    """
    if name not in _RECIPES:
        raise ValueError(f"grasp {name!r} is none of {', '.join(_RECIPES)}")
    body = _body(primitive, size_mm)
    tried: list[tuple[float, Held]] = []
    while len(tried) < TRIES and not (tried and tried[-1][0] == 0):
        angles, T = _RECIPES[name](body, rng)
        rotvec = poses.rotvec_of(poses.clamp_angles(angles))
        tried.append((_failing(name, bone_gaps(rotvec[None], T, body)[0]), (rotvec, T)))
    return min(tried, key=lambda one: one[0])[1]


def gaps(
    rotvec: Float[np.ndarray, "*batch 15 3"],
    T_hand_from_object: Float[np.ndarray, "4 4"],
    primitive: str,
    size_mm: float | np.ndarray | tuple[float, float, float],
) -> Float[np.ndarray, "*batch 16"]:
    """Return how far the skin of each of the 16 bones is from a body, mm; negative: pressed in."""
    many = np.asarray(rotvec, float).reshape(-1, 15, 3)
    found = bone_gaps(many, T_hand_from_object, _body(primitive, size_mm))
    return found.reshape(*np.shape(rotvec)[:-2], 16)


def _failing(name: str, near: np.ndarray) -> float:
    """How far (mm) a grasp is from touching where it must, and from not going through."""
    must = {"NP-Fin": [[3]], "NP-Palm": [[0, 1, 4, 7, 10, 13]], "Other": [range(1, 13)]}
    both = [range(13, 16), range(1, 13)]
    miss = max(float(near[list(some)].min()) - TOUCH for some in must.get(name, both))
    return max(miss, 0.0) + max(float(-near.min()) - DEEP, 0.0)


def _body(primitive: str, size_mm: float | np.ndarray | tuple[float, float, float]) -> Body:
    if primitive not in PRIMITIVES:
        raise ValueError(f"primitive {primitive!r} is none of {', '.join(PRIMITIVES)}")
    return Body(primitive, np.broadcast_to(np.asarray(size_mm, float), 3).copy())


def _power_prismatic(body: Body, rng: np.random.Generator) -> Held:
    """A handle: across the palm from below the little finger to the root of the index."""
    long = _turn(_UP, -14 + rng.normal(0, 6)) @ _ROW
    return _wrap(body, rng, 0.15, _laid(body, _UP, long))


def _power_circular(body: Body, rng: np.random.Generator) -> Held:
    """A ball, a knob or a lid: fingers spread around it; a round body's axis meets the palm."""
    long = _turn(_UP, rng.uniform(0, 360)) @ _ROW
    R = _laid(body, _UP, long)
    if body.primitive in ROUND:
        R = np.stack([long, _UP, np.cross(long, _UP)], axis=1)
    return _wrap(body, rng, 1.0, R)


def _wrap(body: Body, rng: np.random.Generator, spread: float, R: np.ndarray) -> Held:
    """A power grasp: the body against the palm, all fingers around it, then the thumb."""
    opened, closed = _opened(spread, rng), poses.named("fist")
    closed[:12, 0] += np.repeat(rng.normal(0, 3, 4), 3)
    closed[:12:3, 1] = opened[:12:3, 1] * 0.6
    thick = body.reach(R.T @ _UP)
    along = 71 + 0.15 * min(thick, 40) + rng.normal(0, 3)
    place = np.array([-along, -25 - thick, 1.0 + rng.normal(0, 4)])
    T = approach(opened, _rigid(R, place), body, _DOWN)
    angles = close(opened, closed, T, body, _FOUR)
    return oppose(angles, T, body), T


def _opened(spread: float, rng: np.random.Generator) -> np.ndarray:
    """The hand that is about to hold: fingers nearly straight, thumb out."""
    share = np.clip(spread + rng.normal(0, 0.1), 0, 1)
    angles = (1 - share) * poses.named("flat") + share * poses.named("spread")
    angles[12:] = ((-12, -8, 0), (-4, 0, 0), (-6, 0, 0))
    return poses.clamp_angles(angles)


def _precision_prismatic(body: Body, rng: np.random.Generator) -> Held:
    """Something long or flat between the pads, along the row of knuckles."""
    thin = body.size[body.axes()[0]] < 12
    meet = "pinch" if thin and rng.random() < 0.6 else "tripod"
    tilt = rng.normal(0, 12)

    def lay(grip: np.ndarray, row: np.ndarray) -> np.ndarray:
        return _laid(body, grip, _turn(grip, tilt) @ row)

    return _between_pads(body, rng, meet, lay)


def _precision_circular(body: Body, rng: np.random.Generator) -> Held:
    """A disc or a ball by its rim: its axis points away from the hand."""

    def lay(grip: np.ndarray, row: np.ndarray) -> np.ndarray:
        return np.stack([grip, np.cross(row, grip), row], axis=1)

    return _between_pads(body, rng, "tripod", lay)


def _between_pads(
    body: Body,
    rng: np.random.Generator,
    meet: str,
    lay: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Held:
    """A precision grasp: pads of thumb and fingers from opposite sides.

    On the way from the open hand to the pose in which the pads would meet, there is a moment when
    they are as far apart as the body is thick: there it lies between them.
    """
    opened, end = _reaching(), poses.named(meet)
    path = opened + np.linspace(0, 1, _STEPS)[:, None, None] * (end - opened)
    places = skin(poses.rotvec_of(path))[:, pads()]
    facing = places[:, 0] if meet == "pinch" else places[:, :2].mean(axis=1)
    between = facing - places[:, THUMB]
    width = np.linalg.norm(between, axis=1)
    grip = between[_STEPS // 2] / width[_STEPS // 2]
    row = places[_STEPS // 2, 0] - places[_STEPS // 2, 2 if meet == "tripod" else 1]
    row = row - (row @ grip) * grip
    R = lay(grip, row / np.linalg.norm(row))
    thick = 2 * body.reach(R.T @ grip)
    k = int(np.argmin(np.abs(width - thick)))
    place = (facing[k] + places[k, THUMB]) / 2
    outwards = _out_of_the_hand(place, grip)
    behind = body.reach(R.T @ outwards) - (12 if thick < 12 else 24)
    if body.primitive != "sphere":
        place = place + max(behind, 0) * outwards
    T = _rigid(R, place)
    if bone_gaps(poses.rotvec_of(opened)[None], T, body).min() < 0:
        T = approach(opened, T, body, outwards)
    return _pinched(opened, end, T, body, rng, 1 if meet == "pinch" else 4 if thick > 25 else 2), T


def _pinched(
    opened: np.ndarray,
    end: np.ndarray,
    T: np.ndarray,
    body: Body,
    rng: np.random.Generator,
    fingers: int,
) -> np.ndarray:
    """Close some fingers, then the thumb; the idle fingers bend a little or much."""
    beyond = end.copy()
    beyond[:12:3, 0] += 14
    active = (0, 1, 3, 2)[:fingers]
    angles = close(opened, beyond, T, body, active, stages=1)
    angles = close(angles, beyond, T, body, active, stages=2)
    further = end.copy()
    further[12, 0], further[13, 0], further[14, 0] = 44, 40, 30
    closer = close(angles, end, T, body, (THUMB,), stages=1)
    angles = close(closer, further, T, body, (THUMB,), stages=2)
    if bone_gaps(poses.rotvec_of(angles)[None], T, body)[0, 13:].min() > TOUCH:
        angles = oppose(angles, T, body)
    idle = tuple(k for k in _FOUR if k not in active)
    bent = rng.uniform(0.2, 1.0)
    loose = (1 - bent) * poses.named("relaxed") + bent * poses.named("half fist")
    return close(angles, poses.clamp_angles(loose), T, body, idle) if idle else angles


def _reaching() -> np.ndarray:
    """The hand that opens before it pinches."""
    angles = poses.named("spread")
    angles[:12:3, 1] *= 0.4
    angles[1:12:3, 0], angles[2:12:3, 0] = 20, 10
    angles[12:] = ((4, 12, 8), (0, 0, 0), (2, 0, 0))
    return angles


def _out_of_the_hand(place: np.ndarray, grip: np.ndarray) -> np.ndarray:
    """The direction across the grip that leads away from the knuckles."""
    outwards = place - np.array([-70.0, 0.0, 5.0])
    outwards = outwards - (outwards @ grip) * grip
    return outwards / np.linalg.norm(outwards)


def _lateral(body: Body, rng: np.random.Generator) -> Held:
    """A key: between the thumb's pad and the side of the bent index finger."""
    angles = poses.named("lateral")
    angles[:12, 0] += np.repeat(rng.normal(0, 3, 4), 3)
    frame = _frame(angles, "index", 1)
    chain = self_contact.chains(poses.rotvec_of(angles)[None])[0, 0] - anatomy.WRIST
    side, along = frame[:, 0], _turn(frame[:, 0], rng.normal(0, 12)) @ frame[:, 2]
    R = _laid(body, side, along)
    place = chain[1] + 0.6 * (chain[2] - chain[1]) + 25 * side
    place = place + np.clip(body.reach(R.T @ along) - 14, 0, 60) * along
    opened = angles.copy()
    opened[12:] = ((-4, 4, 0), (0, 0, 0), (0, 0, 0))
    T = approach(opened, _rigid(R, place), body, side, bones=(1, 2, 3))
    closed = angles.copy()
    closed[12:] = ((44, -8, 4), (24, 0, 0), (24, 0, 0))
    return close(opened, closed, T, body, (THUMB,)), T


def _palm(body: Body, rng: np.random.Generator) -> Held:
    """The flat hand on top of something."""
    opened = _opened(float(rng.uniform(0, 0.6)), rng)
    opened[:12:3, 0] = -10
    R = _turn(_UP, rng.uniform(0, 360))
    place = np.array([-72 + rng.normal(0, 6), -30 - body.size[1] / 2, rng.normal(0, 6)])
    T = approach(opened, _rigid(R, place), body, _DOWN)
    closed = opened.copy()
    closed[:12:3, 0], closed[1:12:3, 0], closed[2:12:3, 0] = 30, 12, 6
    closed[12:] = ((10, 14, 6), (6, 0, 0), (10, 0, 0))
    angles = close(opened, closed, T, body, _FOUR)
    return close(angles, closed, T, body, (THUMB,), stages=1), T


def _finger(body: Body, rng: np.random.Generator) -> Held:
    """A fingertip on top of something: a button, a screen, a lid.

    The more of the hand would hit a large body first, the steeper the finger comes down on it.
    """
    loose, jitter = poses.named("relaxed"), rng.normal(0, 1, 3)
    curled = poses.named("point")
    share, around = rng.uniform(0, 0.6), rng.uniform(0, 360)
    angles, T = curled, np.eye(4)
    for steep in (0.0, 0.35, 0.7, 1.0):
        angles = curled + (1 - steep) * share * (loose - curled)
        angles[:3, 0] = np.array([24, 22, 12]) + steep * np.array([46, -16, -8])
        angles[:3, 0] += [5, 5, 3] * jitter
        T = _under_the_tip(angles, body, 0.6 + 0.4 * steep, around)
        if bone_gaps(poses.rotvec_of(angles)[None], T, body)[0, 3] < TOUCH:
            break
    return angles, T


def _under_the_tip(angles: np.ndarray, body: Body, steep: float, around: float) -> np.ndarray:
    """Lay the body's top (+y) on the pad (`steep` 0) or the very tip (1) of the index finger."""
    frame = _frame(angles, "index", 2)
    side = frame[:, 0]
    outwards = steep * frame[:, 2] - np.sqrt(1 - steep**2) * frame[:, 1]
    R = np.stack([side, -outwards, np.cross(side, -outwards)], axis=1) @ _turn(_UP, around)
    pad = skin(poses.rotvec_of(angles)[None])[0, pads()[0]]
    T = _rigid(R, pad + outwards * (body.size[1] / 2 + 30))
    return approach(angles, T, body, outwards)


def _hook(body: Body, rng: np.random.Generator) -> Held:
    """Fingers around a handle without thumb or palm."""
    opened = poses.named("flat")
    opened[:12:3, 0], opened[1:12:3, 0] = 6, 14
    opened[12:] = poses.named("relaxed")[12:]
    R = _laid(body, _UP, _turn(_UP, rng.normal(-6, 5)) @ _ROW)
    thick = body.reach(R.T @ _UP)
    place = np.array([-112 - 0.2 * min(thick, 30), -45 - thick, -2.0])
    T = approach(opened, _rigid(R, place), body, _DOWN)
    closed = poses.named("hook")
    closed[1:12:3, 0], closed[2:12:3, 0] = 102, 70
    closed[12:] = opened[12:]
    return close(opened, closed, T, body, _FOUR), T


def _frame(angles: np.ndarray, finger: str, segment: int) -> np.ndarray:
    """Columns flexion axis, back, bone of a posed segment."""
    turns = rotvec_to_rotmat(poses.rotvec_of(angles))
    first = anatomy.first_joint(finger) - 1
    turned = np.eye(3)
    for joint in range(segment + 1):
        turned = turned @ turns[first + joint]
    return turned @ anatomy.finger_frame(finger)


def _laid(body: Body, short: np.ndarray, long: np.ndarray) -> np.ndarray:
    """A rotation that lays the body's shortest and longest axes along two orthogonal directions."""
    first, second, third = body.axes()
    R = np.zeros((3, 3))
    R[:, first], R[:, third] = short, long
    R[:, second] = np.cross(long, short)
    if np.linalg.det(R) < 0:
        R[:, second] *= -1
    return R


def _turn(axis: np.ndarray, degrees: float) -> np.ndarray:
    return rotvec_to_rotmat(np.deg2rad(degrees) * np.asarray(axis, float))


def _rigid(R: np.ndarray, t: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    return T


_RECIPES: dict[str, Callable[[Body, np.random.Generator], Held]] = {
    "NP-Palm": _palm,
    "NP-Fin": _finger,
    "Pow-Pris": _power_prismatic,
    "Pre-Pris": _precision_prismatic,
    "Pow-Circ": _power_circular,
    "Pre-Circ": _precision_circular,
    "Later": _lateral,
    "Other": _hook,
}
