"""How annotations go wrong: models of the noise of labels, after how the datasets were labelled.

Each model takes true joints of a clip (frames, 2, 21, 3) in mm, world, and returns joints and which
of them are valid; what is not valid is NaN. `ANNOTATORS` lists them:

``exact``      the truth.
``manual``     people, once a second, every instant by itself; worse where few cameras see a joint.
``people``     the same without the rhythm: any instant is labelled.
``machine``    InterHand2.6M's machine annotation, every frame: 2.78 mm on average
               (facts/interhand26m.md 1.7), slowly drifting; rarely two neighbouring fingers are
               exchanged for some frames.
``annotator``  MVExoNet: 4.2 mm on average (facts/assemblyhands.md 5), with heavier tails.
``tracker``    a tracker on egocentric grey cameras, like UmeTrack (27.55 mm; 32.91 mm
               wrist-relative, facts/assemblyhands.md 5): depth is wrong, the more so away from the
               middle of the image; where the hand is hidden the track freezes, then it is lost.

These means are published, that of ``manual`` is assumed (2.5 mm), as is how errors are spread over
joints and time. Labels of a clip depend on its seed, never on other clips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hand_bench.array_types import Bool, Float
from hand_bench.joint_sets import JointSet, joint_set
from hand_bench.sim.scene import RATE, View
from hand_bench.sim.sightlines import sightlines

#: Mean errors (mm) that the models aim at.
MANUAL_MM, MACHINE_MM, ANNOTATOR_MM = 2.5, 2.78, 4.2
#: Mean length of a normal 3-vector with unit spread.
_MEAN_LENGTH = np.sqrt(8 / np.pi)
#: Spread of a joint's error by its place on the finger: wrist, then base to tip.
_BY_PLACE = (1.0, 0.75, 0.9, 1.05, 1.3)
#: A joint that no camera sees is so many times worse; the usual share of cameras that do not see a
#: joint, measured with `sightlines` on bare hands before AssemblyHands' exo cameras: there the mean
#: errors hold, and behind objects labels are worse.
_HIDDEN_FACTOR, _USUALLY_HIDDEN = 3.0, 0.25
#: Fingers that are taken for each other, and the distance (mm) over which that happens.
_NEIGHBOURS = (("index", "middle"), ("middle", "ring"), ("ring", "pinky"))
_CONFUSED = 12.0

Views = Sequence[Sequence[View]]


@dataclass(frozen=True)
class Labels:
    """Annotated joints (mm, world) of a clip; joints that are not valid are NaN."""

    joints: Float[np.ndarray, "frames 2 21 3"]
    valid: Bool[np.ndarray, "frames 2 21"]


@dataclass(frozen=True)
class Scene:
    """What an annotator has before it: true joints, who is there, what the cameras see."""

    joints: Float[np.ndarray, "frames 2 21 3"]
    views: Views | None
    order: JointSet
    #: In the image, and not hidden: (frames, cameras, 2, 21). None without cameras.
    inside: Bool[np.ndarray, "frames cameras 2 21"] | None
    seen: Bool[np.ndarray, "frames cameras 2 21"] | None

    @property
    def hidden(self) -> Float[np.ndarray, "frames 2 21"]:
        """Share of the cameras that do not see a joint."""
        if self.seen is None:
            return np.full(self.joints.shape[:3], _USUALLY_HIDDEN)
        return 1.0 - self.seen.mean(axis=1)

    @property
    def there(self) -> Bool[np.ndarray, "frames 2 21"]:
        """Joints of hands that are there."""
        return np.asarray(np.isfinite(self.joints).all(axis=-1))


def annotate(
    kind: str,
    joints: Float[np.ndarray, "frames 2 21 3"],
    seed: int | np.random.Generator,
    *,
    views: Views | None = None,
    seen: Bool[np.ndarray, "frames cameras 2 21"] | None = None,
    present: tuple[bool, bool] = (True, True),
    order: str = "mano21",
) -> Labels:
    """Label a clip.

    Parameters
    ----------
    kind
        A name of `ANNOTATORS`.
    joints
        True joints, mm, world.
    seed
        Seed, or a generator to draw from.
    views
        The cameras of every frame. "tracker" needs egocentric ones and looks at no others.
    seen
        Whether each camera sees each joint, where a renderer knows; else it is guessed from
        `views`. Without either, as many joints are hidden as usual.
    present
        Which hands are there; the others are not valid.
    order
        Joint set of `joints`.

    Raises
    ------
    ValueError
        Unknown kind, or "tracker" without egocentric cameras.
    """
    if kind not in ANNOTATORS:
        raise ValueError(f"no annotator {kind!r}: there are {', '.join(ANNOTATORS)}")
    joints = np.where(np.array(present)[:, None, None], joints, np.nan)
    inside = None
    if kind == "tracker":
        views, seen = _worn(views, seen)
    if views is not None and kind != "exact":
        inside, guess = sightlines(joints, views, joint_set(order))
        seen = guess if seen is None else seen
    scene = Scene(joints, views, joint_set(order), inside, seen)
    found, valid = ANNOTATORS[kind](scene, np.random.default_rng(seed))
    valid = valid & scene.there
    return Labels(np.where(valid[..., None], found, np.nan), valid)


def _worn(views: Views | None, seen: np.ndarray | None) -> tuple[Views, np.ndarray | None]:
    """The egocentric cameras alone."""
    worn = [k for k, view in enumerate(views[0]) if view.ego] if views else []
    if views is None or not worn:
        raise ValueError("a tracker needs the egocentric cameras of every frame: give `views`")
    chosen = [[at_frame[k] for k in worn] for at_frame in views]
    return chosen, None if seen is None else seen[:, worn]


def _exact(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return scene.joints, scene.there


def _manual(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    frames = len(scene.joints)
    start = int(rng.integers(min(int(RATE), frames)))
    valid = np.zeros(scene.joints.shape[:3], bool)
    valid[start :: int(RATE)] = True
    if scene.seen is not None:
        # Two cameras make a point; where nobody sees it, the annotators leave it out.
        valid &= scene.seen.sum(axis=1) >= min(2, scene.seen.shape[1])
    return scene.joints + MANUAL_MM * _spread(scene) * _normal(rng, scene), valid


def _people(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    found, _ = _manual(scene, rng)
    return found, scene.there


def _machine(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    error = _drifting(rng, scene, seconds=0.25, always=0.3)
    found = scene.joints + 0.98 * MACHINE_MM * _spread(scene) * error
    return _exchange_fingers(found, scene, rng, per_second=0.03), scene.there


def _annotator(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    error = _drifting(rng, scene, seconds=0.12, always=0.2)
    # Some moments go badly as a whole: a log-normal factor of mean 1.
    bad = np.exp(0.5 * drift(rng, (len(error), 2, 1, 1), 0.3) - 0.125)
    found = scene.joints + 0.98 * ANNOTATOR_MM * _spread(scene) * bad * error
    return _exchange_fingers(found, scene, rng, per_second=0.05), scene.there


# ---- the tracker ---------------------------------------------------------------------------------

#: Spread of errors (mm): of the wrist, and of each finger joint against the one before it; across
#: the line of sight, and along it in the middle of the image.
_WRIST_ACROSS, _WRIST_ALONG, _BONE_ACROSS, _BONE_ALONG = 5.0, 9.0, 7.5, 11.5
#: Depth is so many times worse 45 degrees away from the middle; more at larger angles, up to 60.
_AWAY = 2.2
#: Seconds: until a hidden hand is given up, until a lost one is found again; how long errors last.
_HELD, _FOUND, _LASTS = 0.5, 0.2, 0.6
#: So many joints must be seen; a hand that is half hidden is lost so often (per second).
_NEEDED, _LOSSES = 9, 0.3


def _tracker(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    found = scene.joints + _tracker_error(scene, rng)
    return _lose_track(found, scene, rng)


def _tracker_error(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Errors along and across the line of sight of the best camera, summed up along fingers."""
    ray, angle = _best_view(scene)
    away = 1 + (_AWAY - 1) * np.minimum(angle / np.radians(45), 60 / 45) ** 2
    shape = scene.joints.shape
    across, along = drift(rng, shape, _LASTS), drift(rng, (*shape[:3], 1), _LASTS)
    along *= away[:, :, None, None]
    root = np.arange(21) == scene.order.root
    steps = np.where(root, _WRIST_ACROSS, _BONE_ACROSS)[:, None] * across
    depth = np.where(root, _WRIST_ALONG, _BONE_ALONG)[:, None] * along
    return _summed(steps + depth * ray[:, :, None], scene.order)


def _summed(steps: np.ndarray, order: JointSet) -> np.ndarray:
    """Add to each joint's own error that of the joints between it and the wrist."""
    total = np.zeros_like(steps)
    for joint in range(21):
        at = joint
        while at >= 0:
            total[:, :, joint] += steps[:, :, at]
            at = order.parents[at]
    return total


def _best_view(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Direction (frames, 2, 3) and angle from the axis of the camera that sees a hand best."""
    assert scene.views is not None and scene.seen is not None
    poses = np.array([[v.T_world_from_camera for v in at_frame] for at_frame in scene.views])
    middle = scene.joints.mean(axis=2)
    ray = middle[:, None] - poses[:, :, None, :3, 3]
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    angle = np.arccos(np.clip((ray * poses[:, :, None, :3, 2]).sum(-1), -1, 1))
    # Cameras that see enough of the hand first, then the one that has it nearest the middle.
    rank = angle + np.pi * (scene.seen.sum(axis=-1) < _NEEDED)
    best = rank.argmin(axis=1)[:, None]
    chosen = np.take_along_axis(ray, best[..., None], axis=1)[:, 0]
    return chosen, np.take_along_axis(angle, best, axis=1)[:, 0]


def _lose_track(
    found: np.ndarray, scene: Scene, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Freeze hands that are not seen well; after a while they are missing."""
    assert scene.seen is not None
    enough = (scene.seen.sum(axis=-1) >= _NEEDED).any(axis=1)
    hidden = 1 - scene.seen.any(axis=1).mean(axis=-1)
    enough &= rng.random(enough.shape) >= _LOSSES * 2 * hidden / RATE
    found, valid = found.copy(), np.ones(scene.joints.shape[:3], bool)
    for hand in range(2):
        frozen_for = _frozen(enough[:, hand])
        for frame in np.flatnonzero(frozen_for):
            found[frame, hand] = found[max(frame - frozen_for[frame], 0), hand]
        valid[:, hand] = (frozen_for <= _HELD * RATE)[:, None]
    return found, valid


def _frozen(enough: np.ndarray) -> np.ndarray:
    """For how many frames a hand has not been tracked; very many before it is first found."""
    frozen_for = np.zeros(len(enough), int)
    tracked, seen_for, lost_for = bool(enough[0]), 0, 10**6
    for frame, seen in enumerate(enough):
        seen_for = seen_for + 1 if seen else 0
        tracked = seen_for > (0 if tracked else _FOUND * RATE)
        lost_for = 0 if tracked else lost_for + 1
        frozen_for[frame] = lost_for
    return frozen_for


# ---- parts of several models ---------------------------------------------------------------------


def drift(
    rng: np.random.Generator, shape: tuple[int, ...], seconds: float
) -> Float[np.ndarray, "frames ..."]:
    """Return normal noise of unit spread that is forgotten within about so many seconds.

    The first axis is time; the correlation over dt seconds is exp(-dt / seconds).
    """
    keep = np.exp(-1 / (RATE * seconds))
    noise = rng.normal(size=shape)
    noise[1:] *= np.sqrt(1 - keep**2)
    for frame in range(1, shape[0]):
        noise[frame] += keep * noise[frame - 1]
    return noise


def _normal(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Normal vectors whose mean length is 1."""
    return rng.normal(size=scene.joints.shape) / _MEAN_LENGTH


def _drifting(
    rng: np.random.Generator, scene: Scene, *, seconds: float, always: float
) -> np.ndarray:
    """Drifting vectors of mean length 1; the share `always` of their variance never changes."""
    shape = scene.joints.shape
    fixed = rng.normal(size=(1, *shape[1:]))
    moving = drift(rng, shape, seconds)
    return (np.sqrt(always) * fixed + np.sqrt(1 - always) * moving) / _MEAN_LENGTH


def _spread(scene: Scene) -> np.ndarray:
    """How much worse than average each joint is, (frames, 2, 21, 1): mean 1 in usual scenes."""
    place = np.array([_BY_PLACE[_place(name)] for name in scene.order.joints])
    worse = 1 + (_HIDDEN_FACTOR - 1) * scene.hidden
    usual = 1 + (_HIDDEN_FACTOR - 1) * _USUALLY_HIDDEN
    return (place / place.mean() * worse / usual)[..., None]


def _place(name: str) -> int:
    """Place of a joint on its finger: 0 is the wrist, 4 the tip."""
    return int(name[-1]) if name[-1].isdigit() else 0


def _exchange_fingers(
    found: np.ndarray, scene: Scene, rng: np.random.Generator, *, per_second: float
) -> np.ndarray:
    """Exchange two neighbouring fingers, knuckles aside, for 0.1 to 0.4 s now and then."""
    found = found.copy()
    frames = len(found)
    for hand in range(2):
        for start in np.flatnonzero(rng.random(frames) < per_second / RATE):
            end = start + int(rng.integers(3, 13))
            pairs = [[_outer(scene.order, finger) for finger in pair] for pair in _NEIGHBOURS]
            gaps = [_gap(scene.joints[start, hand], *pair) for pair in pairs]
            chance = np.exp(-np.array(gaps) / _CONFUSED)
            drawn = rng.random()
            if not np.isfinite(chance).all():
                continue
            one, other = pairs[int(np.searchsorted(chance.cumsum() / chance.sum(), drawn))]
            found[start:end, hand, one + other] = found[start:end, hand, other + one]
    return found


def _outer(order: JointSet, finger: str) -> list[int]:
    return [order.joints.index(f"{finger}{k}") for k in (2, 3, 4)]


def _gap(joints: np.ndarray, one: list[int], other: list[int]) -> float:
    return float(np.linalg.norm(joints[one] - joints[other], axis=-1).mean())


Annotator = Callable[[Scene, np.random.Generator], tuple[np.ndarray, np.ndarray]]
#: Every annotator by name.
ANNOTATORS: dict[str, Annotator] = {
    "exact": _exact,
    "manual": _manual,
    "people": _people,
    "machine": _machine,
    "annotator": _annotator,
    "tracker": _tracker,
}
