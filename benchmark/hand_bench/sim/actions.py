"""Actions: a verb performed with an object by a person, and the rest between two of them.

A verb (`verbs`) has a program (`programs`), which is played with a stage and gives a script; hands
then find how to hold what it moves (`grips`). What differs between people (pace, extent, places,
preferred grasps, which hand) comes from `Subject.style`, the rest from the generator.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hand_bench.array_types import Float
from hand_bench.errors import TrackError, unknown_name
from hand_bench.sim import grips, parts, poses
from hand_bench.sim.motion import above_table, free_clip, keep_off, orient, wrists
from hand_bench.sim.objects import OBJECTS, Object
from hand_bench.sim.scene import NO_GRASP, RATE, Clip, Subject
from hand_bench.sim.stage import Script, Stage
from hand_bench.sim.trajectories import MIRROR, minimum_jerk, mirrored, mix, rigid, slerp, sway
from hand_bench.sim.verbs import find

SHORTEST, LONGEST = 1.0, 8.0
#: How far a hand is from the object before it closes, and when it comes, mm.
_OFF, _COMING = 10.0, 45.0
#: How far from its place a hand may be and still hold the object, mm.
_HELD_WITHIN = 25.0
#: How wide a thing is that has room for two hands, mm.
_WIDE = 105.0


@dataclass(frozen=True)
class _Style:
    """How a person moves."""

    pace: float
    extent: float
    rate: float
    shift: Float[np.ndarray, " 3"]
    #: How often an action of one hand is done with the left one.
    lefty: float
    #: Where the idle hands are (mm, 2 x 3) and how their forearms point.
    idle: Float[np.ndarray, "2 3"]
    lean: Float[np.ndarray, " 3"]


def _style(subject: Subject) -> _Style:
    rng = np.random.default_rng([subject.style, 7])
    return _Style(
        pace=float(rng.uniform(0.82, 1.22)),
        extent=float(rng.uniform(0.8, 1.2)),
        rate=float(rng.uniform(0.85, 1.2)),
        shift=rng.uniform([-25, -10, -25], [25, 20, 25]),
        lefty=0.75 if rng.random() < 0.1 else float(rng.uniform(0.05, 0.25)),
        idle=rng.uniform([150, 70, 40], [200, 95, 90], (2, 3)),
        lean=rng.normal(0, [0.12, 0.06, 0.05]),
    )


def perform(
    rng: np.random.Generator,
    subject: Subject,
    verb: str,
    object_name: str,
    *,
    hands: str | None = None,
) -> Clip:
    """Perform an action.

    Parameters
    ----------
    rng
        Drawn from in a fixed order: the same state, subject and action give the same clip.
    subject
        Who does it.
    verb
        One of `verbs.VERBS`, or "use".
    object_name
        One of `objects.OBJECTS`, or empty for a verb without an object.
    hands
        "right" or "left": only that hand is there. None: both are.

    Raises
    ------
    TrackError
        HB301 for a verb or an object that is not known.
    ValueError
        For other hands.
    """
    if hands not in (None, "right", "left"):
        raise ValueError(f"hands {hands!r} is neither right nor left nor None")
    how, style = find(verb, object_name), _style(subject)
    thing = _thing(object_name)
    seconds = how.seconds * np.exp(rng.normal(0, how.spread)) * style.pace
    frames = int(np.clip(seconds, max(SHORTEST, 0.65 * how.seconds), LONGEST) * RATE)
    left = rng.random() < style.lefty
    alone = hands is not None
    left = hands == "left" if alone else left
    stage = _stage(rng, style, frames, thing, alone=alone, mirrored=left)
    script = how.program(stage)
    turn, holds = grips.choose(rng, subject, script, thing) if thing else (np.eye(3), ())
    clip = _compose(rng, subject, style, stage, script, turn, holds)
    clip = replace(clip, verb=verb, object=object_name if thing else "")
    if left:
        clip = _mirror(clip, thing)
    if how.backwards:
        clip = _reverse(clip)
    return above_table(clip)


def _thing(name: str) -> Object | None:
    if not name:
        return None
    if name not in OBJECTS:
        raise TrackError(unknown_name("object", name, list(OBJECTS)))
    return OBJECTS[name]


def _stage(
    rng: np.random.Generator,
    style: _Style,
    frames: int,
    thing: Object | None,
    *,
    alone: bool,
    mirrored: bool,
) -> Stage:
    """Set the stage; its time runs a little unevenly, as people do."""
    share = np.linspace(0, 1, frames)
    hurry, doubt = rng.uniform([-0.09, -0.03], [0.09, 0.03])
    share = share + hurry * np.sin(np.pi * share) + doubt * np.sin(2 * np.pi * share)
    seconds = (frames - 1) / RATE
    lies = thing is not None and thing.handle is not None and abs(thing.handle.axis[0]) > 0.9
    return Stage(
        rng=rng,
        time=share * seconds,
        seconds=seconds,
        height=thing.height / 2 if thing else 0.0,
        hands=(True, not alone),
        extent=style.extent,
        rate=style.rate,
        shift=style.shift,
        tool=thing.dimensions[0] / 2
        if thing and lies and thing.dimensions[0] > thing.height
        else 0.0,
        wide=thing is not None and max(thing.dimensions[::2]) > _WIDE,
        large=thing is not None and parts.is_large(thing),
        sense=-1.0 if mirrored else 1.0,
    )


def rest(
    rng: np.random.Generator, subject: Subject, frames: int, from_clip: Clip | None = None
) -> Clip:
    """Return idle hands; they come from where `from_clip` left them, the object is gone."""
    style = _style(subject)
    time = np.arange(frames) / RATE
    stage = Stage(rng, time, float(time[-1]), 0.0, (True, True))
    level = np.repeat(np.eye(3)[None], frames, axis=0)
    script = Script(level, np.zeros((frames, 3)), ())
    wrist, angles = _idle(rng, style, stage, script)
    present = (True, True)
    if from_clip is not None:
        present = from_clip.present
        share = minimum_jerk((1 + np.arange(frames)) / min(frames, 25))
        last = wrists(from_clip)[-1]
        fingers = from_clip.rotvec[-1, :, 1:].copy()
        fingers[1] = poses.mirror(fingers[1])
        start = poses.angles_of(fingers)
        for side in range(2):
            if present[side]:
                wrist[:, side] = mix(np.repeat(last[side][None], frames, 0), wrist[:, side], share)
        angles = start + share[:, None, None, None] * (angles - start)
    clip = free_clip(subject, present, wrist, angles)
    return above_table(replace(clip, verb="rest"))


def _idle(
    rng: np.random.Generator, style: _Style, stage: Stage, script: Script
) -> tuple[np.ndarray, np.ndarray]:
    """Wrists (frames, 2, 4, 4) and finger angles (frames, 2, 15, 3) of hands that do nothing."""
    frames = len(stage.time)
    wrist, angles = np.zeros((frames, 2, 4, 4)), np.zeros((frames, 2, 15, 3))
    for side in range(2):
        sways = sway(rng, stage.time, 6, fastest=1.4)
        kind, away = script.idle[side], rng.normal(0, 12, 3)
        forearm, turn, flexion, pose, palm = _ATTITUDES[kind]
        bends = 0.06 * sways[:, 3:] + [turn, flexion, 0.05] + rng.normal(0, [0.15, 0.08, 0.05])
        R = orient(forearm + style.lean + 0 * sways[:, :3], bends[:, 0], bends[:, 1], bends[:, 2])
        if kind == "rest":
            at = style.idle[side] + away * [1, 0.5, 1] + 4 * sways[:, :3]
        else:
            # Where the fingers are, not the wrist; of the work, as a right hand sees it.
            centre = script.place if script.meets is not None else script.bench[None]
            centre = centre * ([-1, 1, 1] if side else [1, 1, 1])
            at = centre + np.array(palm) + 0.5 * away + 2 * sways[:, :3] - R @ [-85.0, -22.0, 0.0]
        if script.meets is not None and side == 0:
            R, at = _reached(style, script, R, at)
        T = rigid(R, at)
        wrist[:, side] = mirrored(T) if side else T
        share = rng.uniform(0.0, 0.35)
        shape = (1 - share) * poses.named(pose) + share * poses.named("half fist")
        angles[:, side] = shape
        angles[:, side, :, poses.FLEXION] += 3 * sways[:, :1]
    return wrist, angles


#: Idle hands: forearm, turn, flexion, finger pose, and where the fingers are beside the work.
_ATTITUDES: dict[str, tuple[np.ndarray, float, float, str, tuple[float, float, float]]] = {
    "rest": (np.array([0.35, -0.05, 0.93]), -0.25, 0.05, "relaxed", (0.0, 0.0, 0.0)),
    "support": (np.array([0.75, -0.2, 0.6]), -1.1, 0.1, "cup", (62.0, -25.0, 14.0)),
    "handshake": (np.array([0.2, -0.2, 0.95]), -1.5, 0.0, "tabletop", (0.0, 0.0, 0.0)),
    "high five": (np.array([0.15, -0.85, 0.5]), -0.1, -0.2, "spread", (0.0, 0.0, 0.0)),
}


def _reached(
    style: _Style, script: Script, R: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a greeting hand from its rest to the greeting, as far as it has come."""
    forearm, turn, flexion, _, _ = _ATTITUDES["rest"]
    start = orient(forearm + style.lean, np.array(turn), np.array(flexion), np.array(0.0))
    meets = script.meets
    assert meets is not None
    return slerp(np.repeat(start[None], len(R), axis=0), R, meets), at


def _compose(
    rng: np.random.Generator,
    subject: Subject,
    style: _Style,
    stage: Stage,
    script: Script,
    turn: np.ndarray,
    holds: tuple[grips.Hold, ...],
) -> Clip:
    """Bring idle hands and holds together."""
    wrist, angles = _idle(rng, style, stage, script)
    grasp = np.full((len(wrist), 2), NO_GRASP)
    frame = rigid(script.turn, script.place)
    standing = rigid(turn @ script.stood, np.zeros(3))
    for hold in holds:
        side, touch = hold.touch.side, hold.touch
        near, closed = touch.near, touch.closed
        about_it = frame if touch.moves is None else frame @ touch.moves
        held = about_it @ standing @ hold.T_object_from_wrist
        # A hand comes along the back of the hand and the forearm, and from a little above.
        away = held[:, :3, :3] @ np.array([0.45 * (1 - 2 * side), 0.9, 0.0])
        held[:, :3, 3] += (_OFF * (1 - closed) + _COMING * (1 - near))[:, None] * away
        wrist[:, side] = mix(wrist[:, side], held, near)
        wrist[:, side, 1, 3] += (220 if touch.part == "top" else 60) * near * (1 - near)
        loose = 0.0 if touch.loose is None else touch.loose
        share = (closed * (1 - loose))[:, None, None]
        fingers = hold.wide + share * (hold.angles - hold.wide)
        angles[:, side] += near[:, None, None] * (fingers - angles[:, side])
        on = (closed > 0.999) & (near > 0.999)
        if touch.moves is not None:
            # A part that a rigid object does not have (a cap, a lid) is no hold once it is off.
            middle = standing @ np.append(hold.middle, 1.0)
            gone = (touch.moves @ middle[..., None])[..., 0] - middle
            on &= np.linalg.norm(gone, axis=1) < _HELD_WITHIN
        grasp[on, side] = hold.grasp
    clip = free_clip(subject, stage.hands, wrist, angles)
    idle = {0, 1} - {hold.touch.side for hold in holds}
    if stage.both and idle:
        clip = keep_off(clip, max(idle))
    elif stage.both:
        # Of two hands that take part, the right one goes around the other as it comes.
        clip = keep_off(clip, 0, 1 - min(holds, key=lambda h: h.touch.side).touch.near ** 6)
    done = stage.time / stage.seconds
    phase = np.where(np.arange(len(done)) == len(done) - 1, 1.0, done * script.cycles % 1.0)
    pose = frame @ standing if holds else None
    return replace(clip, grasp=grasp, phase=phase, object_pose=pose)


def _mirror(clip: Clip, thing: Object | None) -> Clip:
    """The same with the other hands. An object with a handle is its own mirror image in z."""
    own = np.diag([1.0, 1.0, -1.0]) if thing is not None and thing.handle else MIRROR
    pose = clip.object_pose
    if pose is not None:
        pose = rigid(MIRROR @ pose[:, :3, :3] @ own, pose[:, :3, 3] @ MIRROR)
    return replace(
        clip,
        present=clip.present[::-1],
        rotvec=poses.mirror(clip.rotvec[:, ::-1]),
        translation=clip.translation[:, ::-1] @ MIRROR,
        grasp=clip.grasp[:, ::-1].copy(),
        object_pose=pose,
    )


def _reverse(clip: Clip) -> Clip:
    """The same backwards; its phase still rises."""
    return replace(
        clip,
        rotvec=clip.rotvec[::-1].copy(),
        translation=clip.translation[::-1].copy(),
        grasp=clip.grasp[::-1].copy(),
        phase=1.0 - clip.phase[::-1],
        object_pose=None if clip.object_pose is None else clip.object_pose[::-1].copy(),
    )
