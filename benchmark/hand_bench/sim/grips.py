"""How hands hold what a program moves: grasps tried from all sides, and the easiest one taken.

A grasp is a finger pose and where the object is in the hand (`grasps`). An object that looks the
same from several sides can be held from each of them, and it may stand on the table turned any way.
Of all these, the holds are taken that leave the forearms pointing back to the person, the palms not
turned outwards, hands above the table, on their own sides, and apart from each other, for as long
as the program holds on. What a person prefers among equals is theirs (their style), not the
action's.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from hand_bench.array_types import Float
from hand_bench.joint_sets import OPENPOSE, convert
from hand_bench.sim import anatomy, grasp_table, parts, poses
from hand_bench.sim.grasp_table import VARIANTS
from hand_bench.sim.hand import models
from hand_bench.sim.motion import CLEARANCE, FOREARM, orient
from hand_bench.sim.objects import Object
from hand_bench.sim.parts import Part
from hand_bench.sim.scene import GRASPS, Subject
from hand_bench.sim.stage import Script, Touch
from hand_bench.sim.trajectories import MIRROR, about, inverse, mirrored, rigid

YAWS = 16
#: Frames at which a hold is judged.
_LOOKS = 4
#: Of two hands: turns and offers that are tried, joints that are compared, and their distance, mm.
_TRIED_YAWS, _TRIED, _ROOM = 4, 16, 28.0
_COARSE = [0, 2, 4, 5, 6, 8, 9, 12, 16, 17, 20]
_TOUCHING = GRASPS.index("NP-Fin")
_INDEX_TIP, _MIDDLE = OPENPOSE.joints.index("index4"), OPENPOSE.joints.index("middle1")


@dataclass(frozen=True)
class Hold:
    """One hand's hold: where the wrist is in the object, its fingers, its class of `GRASPS`.

    `angles` are a right hand's (degrees), `wide` those of the hand that comes near.
    """

    touch: Touch
    T_object_from_wrist: Float[np.ndarray, "4 4"]
    angles: Float[np.ndarray, "15 3"]
    wide: Float[np.ndarray, "15 3"]
    grasp: int
    #: Middle of the part that is held, in the object.
    middle: Float[np.ndarray, " 3"]


@dataclass(frozen=True)
class _Offers:
    """Ways for one hand: wrist in the object (offers, 4, 4), joints in the wrist's frame."""

    T_object_from_wrist: np.ndarray
    angles: np.ndarray
    joints: np.ndarray
    grasp: np.ndarray
    liking: np.ndarray
    middle: np.ndarray


def choose(
    rng: np.random.Generator, subject: Subject, script: Script, thing: Object
) -> tuple[Float[np.ndarray, "3 3"], tuple[Hold, ...]]:
    """Choose how the object is turned about the vertical, and how each touch holds it.

    Parameters
    ----------
    rng
        Drawn from in a fixed order.
    subject
        Whose hands, and whose habits.
    script
        What moves how.
    thing
        The object.

    Returns
    -------
    tuple
        The object's turn, and one hold for each touch.
    """
    yaws = about(1, np.linspace(0, 2 * np.pi, YAWS, endpoint=False))
    offers = []
    for touch in script.touches:
        known = parts.ways_to_hold(thing, touch.part, touch.side)
        offer = _pointing if touch.pose else _offers
        offers.append(_joined([offer(rng, subject, touch, part) for part in known]))
    pairs = list(zip(script.touches, offers, strict=True))
    rated = [_rate(script, touch, offer, yaws) for touch, offer in pairs]
    yaw, chosen = _best(script, rated, offers, yaws)
    holds = []
    for (touch, offer), k in zip(pairs, chosen, strict=True):
        angles = offer.angles[k]
        wide = angles if touch.pose else _opened(angles)
        T = offer.T_object_from_wrist[k]
        holds.append(Hold(touch, T, angles, wide, int(offer.grasp[k]), offer.middle[k]))
    return yaws[yaw], tuple(holds)


def _joined(offers: list[_Offers]) -> _Offers:
    """The offers of several parts together."""
    names = [field.name for field in fields(_Offers)]
    return _Offers(*(np.concatenate([getattr(o, name) for o in offers]) for name in names))


def _opened(angles: np.ndarray) -> np.ndarray:
    """The hand that is about to take hold: fingers less bent, thumb away."""
    wide = 0.45 * angles + 0.55 * poses.named("spread")
    wide[12, poses.ABDUCTION] = angles[12, poses.ABDUCTION] + 6
    return poses.clamp_angles(wide)


def _offers(rng: np.random.Generator, subject: Subject, touch: Touch, part: Part) -> _Offers:
    """Every way that a touch may take hold of a part."""
    habits = np.random.default_rng([subject.style, *map(int, part.size)])
    own, other = (part.grasps[int(source.integers(len(part.grasps)))] for source in (habits, rng))
    name = own if rng.random() < 0.75 else other
    found = [grasp_table.grasp(name, part.primitive, part.size, k) for k in range(VARIANTS)]
    angles = poses.angles_of(np.stack([fingers for fingers, _ in found]))
    in_hand = np.stack([T for _, T in found])
    # Grasps are those of the mean hand; a longer one holds things farther from the wrist.
    in_hand[:, :3, 3] *= _size(subject)
    in_part = mirrored(inverse(in_hand)) if touch.side else inverse(in_hand)
    around = parts.symmetries(part.primitive)
    ways = part.T_object_from_part @ around[:, None] @ in_part
    count, jitter = len(around), rng.normal(0, [1.5, 0.4, 0.0], (15, 3))
    return _Offers(
        T_object_from_wrist=ways.reshape(-1, 4, 4),
        angles=np.tile(angles + jitter, (count, 1, 1)),
        joints=np.tile(_joints_in_wrist(subject, touch.side, angles), (count, 1, 1)),
        grasp=np.full(VARIANTS * count, GRASPS.index(name)),
        liking=habits.normal(0, 0.25, VARIANTS * count) + rng.normal(0, 0.1, VARIANTS * count),
        middle=np.tile(part.T_object_from_part[:3, 3], (VARIANTS * count, 1)),
    )


def _size(subject: Subject) -> float:
    """How long a person's palm is, in palms of the mean hand."""
    palm = _joints_in_wrist(subject, 0, np.zeros((1, 15, 3)))[0, _MIDDLE]
    return float(np.linalg.norm(palm) / np.linalg.norm(anatomy.in_palm(*anatomy.BASES["middle"])))


def _pointing(rng: np.random.Generator, subject: Subject, touch: Touch, part: Part) -> _Offers:
    """A finger that points at the part from above, from several directions."""
    angles = poses.named(touch.pose)[None]
    points = _joints_in_wrist(subject, touch.side, angles)
    lean = rng.uniform(-0.25, 0.25)
    forearm = np.array([[x, 0.55, 0.8] for x in (0.1, 0.35, 0.6)])
    R = orient(forearm, np.full(3, -0.45 + lean), np.full(3, 0.05), np.full(3, 0.1))
    if touch.side:
        R = MIRROR @ R @ MIRROR
    ways = rigid(R, -(R @ points[0, _INDEX_TIP])) @ np.eye(4)
    ways[:, :3, 3] += part.T_object_from_part[:3, 3]
    return _Offers(
        T_object_from_wrist=ways,
        angles=angles.repeat(3, 0),
        joints=points.repeat(3, 0),
        grasp=np.full(3, _TOUCHING),
        liking=rng.normal(0, 0.1, 3),
        middle=np.tile(part.T_object_from_part[:3, 3], (3, 1)),
    )


def _joints_in_wrist(subject: Subject, side: int, angles: np.ndarray) -> np.ndarray:
    """Joints (n, 21, 3) of a hand with these finger angles, in its wrist frame."""
    model = models()[side]
    fingers = poses.rotvec_of(angles)
    rotvec = np.concatenate([np.zeros((len(angles), 1, 3)), fingers], axis=1)
    rotvec = poses.mirror(rotvec) if side else rotvec
    posed = model.joints(rotvec=rotvec, betas=subject.betas, flat_hand_mean=True)
    return convert(posed - model.root(subject.betas), "mano21", "openpose21")


def _looks(script: Script, touch: Touch) -> np.ndarray:
    """Frames at which a hold is judged: evenly among those that it lasts."""
    on = np.flatnonzero(np.minimum(touch.near, touch.closed) > 0.9)
    if not len(on):
        on = np.array([int(touch.near.argmax())])
    return on[np.linspace(0, len(on) - 1, _LOOKS).round().astype(int)]


def _rate(script: Script, touch: Touch, offer: _Offers, yaws: np.ndarray) -> np.ndarray:
    """How uneasy each offer is at each turn of the object, (yaws, offers)."""
    at = _looks(script, touch)
    frame = rigid(script.turn[at], script.place[at])
    if touch.moves is not None:
        frame = frame @ touch.moves[at]
    side = 1 - 2 * touch.side
    stood = rigid(script.stood[at], np.zeros(3))[:, None] @ offer.T_object_from_wrist
    ways = rigid(yaws, np.zeros(3))[:, None] @ stood[:, None]
    R = frame[:, None, None, :3, :3] @ ways[..., :3, :3]
    wrist = (frame[:, None, None, :3, :3] @ ways[..., :3, 3, None])[..., 0]
    height = np.einsum("kyoj,onj->kyon", R[..., 1, :], offer.joints).min(-1)
    height += wrist[..., 1] + frame[:, None, None, 1, 3]
    axis = FOREARM * [side, 1, 1]
    angle = np.arccos(np.clip(side * (R[..., :, 0] @ axis), -1, 1))
    outwards = -side * R[..., 0, 1]
    strain = (angle / 0.7) ** 2 + 3 * np.maximum(angle - 1.1, 0) ** 2
    strain += 3 * np.maximum(outwards - 0.4, 0) ** 2 + 1.5 * np.maximum(-R[..., 1, 1], 0) ** 2
    strain += 0.12 * np.maximum(CLEARANCE - height, 0)
    own_side = 1.0 if len(script.touches) == 1 else 3.0
    strain -= own_side * np.tanh(side * wrist[..., 0] / 60)
    return strain.mean(0) + 0.5 * strain.max(0) + offer.liking


def _best(
    script: Script, rated: list[np.ndarray], offers: list[_Offers], yaws: np.ndarray
) -> tuple[int, tuple[int, ...]]:
    """The turn and the offers with the least strain; of two hands, such as do not collide."""
    if not rated:
        return 0, ()
    if len(rated) == 1:
        yaw, k = np.unravel_index(int(rated[0].argmin()), rated[0].shape)
        return int(yaw), (int(k),)
    best, found = np.inf, (0, (0, 0))
    total = rated[0].min(1) + rated[1].min(1)
    for yaw in np.argsort(total, kind="stable")[:_TRIED_YAWS]:
        few = [np.argsort(r[yaw], kind="stable")[:_TRIED] for r in rated]
        points = [
            _points(script, touch, offer, yaws[yaw], those)
            for touch, offer, those in zip(script.touches, offers, few, strict=True)
        ]
        offset = points[0][:, :, None, :, None] - points[1][:, None, :, None]
        gap = np.sqrt(np.einsum("kabijx,kabijx->kabij", offset, offset).min(axis=(0, 3, 4)))
        cost = rated[0][yaw, few[0]][:, None] + rated[1][yaw, few[1]]
        cost = cost + 0.5 * np.maximum(_ROOM - gap, 0)
        i, j = np.unravel_index(int(cost.argmin()), cost.shape)
        if cost[i, j] < best:
            best, found = cost[i, j], (int(yaw), (int(few[0][i]), int(few[1][j])))
    return found


def _points(
    script: Script, touch: Touch, offer: _Offers, yaw: np.ndarray, few: np.ndarray
) -> np.ndarray:
    """Some joints of some offers about the object, at some frames: (looks, few, joints, 3)."""
    at = _looks(script, touch)[[0, 1, -1]]
    turn = rigid(yaw @ script.stood[at], np.zeros(3))
    turn = turn if touch.moves is None else touch.moves[at] @ turn
    T = turn[:, None] @ offer.T_object_from_wrist[few]
    R = np.swapaxes(T[..., :3, :3], -1, -2)
    return offer.joints[few][:, _COARSE] @ R + T[..., None, :3, 3]
