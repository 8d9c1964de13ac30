"""Motion programs: what hands and an object do in an action, before it is known who holds how.

A program turns a `Stage` into a `Script`. Several programs are made to be played backwards as well.
Every draw comes from the stage's generator in a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hand_bench.sim.stage import (
    AWAY,
    HELD,
    LEFT,
    READING,
    RIGHT,
    STANDING,
    TOGETHER,
    WORK,
    Script,
    Stage,
    Touch,
    X,
    Y,
    Z,
)
from hand_bench.sim.trajectories import about, bump, ramp, rigid, sway, through

Program = Callable[..., Script]
#: How far fingers open between two turns of a cap or screw.
_LET_GO = 0.55


def lift(
    stage: Stage,
    *,
    to: np.ndarray = HELD,
    straight_up: float = 0.0,
    turned: float = 14.0,
) -> Script:
    """Reach, grip, lift, hold. Backwards: lower, let go, withdraw.

    `straight_up`: out of a container first, so many mm.
    """
    reach, grip, out, up, _ = stage.split(0.36, 0.1, 0.18 if straight_up else 0.01, 0.4, 0.14)[1:]
    start, end = stage.table(), stage.near(to, 35.0)
    large = stage.both and stage.large
    if large or straight_up:
        start[X] *= 0.4
    over = start + np.array([0, straight_up * stage.extent, 0])
    place = stage.places([start, start, over, end, end], [0, grip, out, up, stage.seconds + 0.1])
    place += ramp(stage.time, grip, up)[:, None] * stage.wander(6.0)
    level = np.eye(3)
    turn = stage.turns([level, level, stage.tilt(turned)], [grip - 1, out, up])
    touches = [stage.taking(RIGHT, reach, grip)]
    second = stage.taking(LEFT, reach, grip)
    if large:
        touches.append(second)
    return Script(turn, place, tuple(touches), stage.other_hand())


def fit(stage: Stage) -> Script:
    """Bring a part that is held to the thing in the other hand, search, seat it, let go.

    Backwards: take hold of it, work it loose, take it away.
    """
    carry, search, seat, go, _ = stage.split(0.28, 0.32, 0.12, 0.1, 0.22)[1:]
    end = stage.near(TOGETHER, 20.0)
    before = end + np.array([stage.rng.uniform(-5, 15), stage.rng.uniform(22, 45), 0])
    keys = [stage.near(HELD, 40.0), before, before, end, end]
    place = stage.places(keys, [-0.1, carry, search, seat, stage.seconds + 1])
    busy = bump(stage.time, (0.6 * carry, carry), (search, seat))
    place += busy[:, None] * stage.wander(7.0) * stage.extent
    level, first = np.eye(3), stage.tilt(22)
    turn = stage.turns([first, stage.tilt(8), level, level], [-0.1, carry, seat, stage.seconds + 1])
    rock = 0.16 * sway(stage.rng, stage.time, 2, fastest=0.6) * busy[:, None]
    turn = turn @ about(X, rock[:, 0]) @ about(Z, rock[:, 1])
    gone = ramp(stage.time, go, stage.seconds + 0.25)
    closed = 1 - ramp(stage.time, seat, go)
    touches = (Touch(RIGHT, 1 - gone, closed),)
    return Script(turn, place, touches, ("rest", "support"), bench=end)


def _cycles(
    stage: Stage, start: float, stop: float, period: float, swing: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Grip, turn, let go, return, again: angles of object and hand, how closed, and how often."""
    period = period / stage.rate
    count = max(2, round((stop - start) / period))
    period = (stop - start) / count
    item, hand = np.zeros_like(stage.time), np.zeros_like(stage.time)
    closed = np.ones_like(stage.time)
    for k in range(count):
        at = start + k * period
        step = swing * ramp(stage.time, at, at + 0.5 * period)
        item, hand = item + step, hand + step
        if k < count - 1:
            back = (at + 0.56 * period, at + 0.94 * period)
            hand = hand - swing * ramp(stage.time, *back)
            release = (at + 0.5 * period, at + 0.7 * period)
            grip = (at + 0.8 * period, at + period)
            closed = closed - _LET_GO * bump(stage.time, release, grip)
    return item, hand - swing / 2, closed, count


def screw(stage: Stage) -> Script:
    """Turn a part in, clockwise from above, with a new grip for every turn. Backwards: unscrew."""
    early, late = stage.rng.uniform(0.25, 0.45, 2)
    swing = -stage.sense * stage.extent * stage.rng.uniform(0.9, 1.35)
    period = stage.rng.uniform(1.0, 1.3)
    start, stop = early + 0.15, stage.seconds - late - 0.15
    item, hand, closed, count = _cycles(stage, start, stop, period, swing)
    middle = stage.near(TOGETHER + np.array([0, stage.tool - 20, 0]), 20.0)
    place = np.repeat(middle[None], len(item), axis=0)
    place[:, Y] -= 1.2 * np.abs(item / swing)
    place += stage.wander(2.0)
    moves = rigid(about(Y, hand - item), np.zeros(3))
    near = bump(stage.time, (-0.3, early), (stage.seconds - late, stage.seconds + 0.35))
    grip = bump(stage.time, (0.7 * early, start), (stop, stop + 0.15))
    lean = stage.tilt(9)
    touch = Touch(RIGHT, near, np.minimum(closed, grip), moves=moves)
    stands = np.full(len(item), 90.0 / STANDING) if stage.tool else None
    turn = lean @ about(Y, item)
    idle = ("rest", "support")
    low = place.mean(axis=0) - np.array([0.0, stage.tool, 0.0])
    return Script(turn, place, (touch,), idle, cycles=count, stands=stands, bench=low)


def uncap(stage: Stage, *, swing: float = 1.0, pull: float = 45.0) -> Script:
    """Hold with the left hand, turn the cap off with the right one, take it away. Backwards: close.

    `swing` is the turn of one grip (radians); 0 pulls a lid up.
    """
    hold, meet, off, gone, _ = stage.split(0.18, 0.14, 0.45, 0.15, 0.08)[1:]
    start = stage.table() * [0.2, 1, 1]
    end = stage.near(TOGETHER, 20.0)
    end[Y] = max(end[Y], stage.height + 25)
    if not stage.both:
        end = start
    place = stage.places([start, start, end, end], [-1, 0.9 * hold, meet, stage.seconds + 1])
    place += ramp(stage.time, hold, meet)[:, None] * stage.wander(3.0) * stage.both
    early = meet + 0.1 * (off - meet)
    swing = stage.sense * swing * stage.extent
    _, hand, closed, count = _cycles(stage, early, off, 1.05, swing)
    away = ramp(stage.time, off, gone)
    lift_off = away[:, None] * [0.45 * pull, pull, 0.2 * pull]
    moves = rigid(about(Y, hand), lift_off)
    near = ramp(stage.time, 0.3 * hold, meet) - 0.6 * ramp(stage.time, gone, stage.seconds + 0.4)
    closed = np.minimum(closed, ramp(stage.time, 0.95 * meet, early))
    touches = [Touch(RIGHT, near, closed, "top", moves)]
    holding = stage.taking(LEFT, 0.7 * hold, 0.9 * hold, part="low")
    if stage.both:
        touches.append(holding)
    lean = stage.tilt(8) if stage.both else np.eye(3)
    turn = stage.turns([np.eye(3), np.eye(3), lean], [-1, hold, meet + 0.2])
    return Script(turn, place, tuple(touches), cycles=count)


def tilt(
    stage: Stage,
    *,
    angle: float = 95.0,
    axis: int = Z,
    at: np.ndarray = HELD,
    shake: float = 0.0,
    rate: float = 3.0,
    back: bool = True,
) -> Script:
    """Take, bring somewhere, tip over (degrees, to the left or to the mouth), set upright again.

    `shake` moves it up and down by so many mm, `rate` times a second, while it is tipped.
    """
    parts = (0.14, 0.05, 0.17, 0.13, 0.4, 0.11) if shake else (0.17, 0.06, 0.22, 0.16, 0.25, 0.14)
    reach, grip, there, over, stay, up = stage.split(*parts)[1:]
    start, end = stage.table(), stage.near(at, 25.0)
    end[Y] = max(end[Y], stage.height + 60)
    keys = [start, start, end, end + stage.rng.uniform(-12, 12, 3), end]
    place = stage.places(keys, [-1, grip, there, over, up + 0.2])
    degrees = angle * stage.extent**0.5 * stage.rng.uniform(0.9, 1.08)
    tipped = ramp(stage.time, there, over) - (ramp(stage.time, stay, up) if back else 0)
    lean = (
        0.06 * sway(stage.rng, stage.time, 2, fastest=0.8) * ramp(stage.time, grip, there)[:, None]
    )
    turn = about(axis, np.deg2rad(degrees) * tipped) @ about(X, lean[:, 0]) @ about(Y, lean[:, 1])
    place += ramp(stage.time, grip, there)[:, None] * stage.wander(5.0)
    busy = bump(stage.time, (over - 0.2, over), (stay, stay + 0.2))
    count = max(1, round((stay - over) * rate * stage.rate)) if shake else 1
    wave = np.sin(2 * np.pi * count * (stage.time - over) / max(stay - over, 0.1))
    place[:, Y] += shake * stage.extent * busy * wave
    return Script(
        turn, place, (stage.taking(RIGHT, reach, grip),), stage.other_hand(), cycles=count
    )


def rub(
    stage: Stage,
    *,
    path: str,
    size: float,
    rate: float,
    at: np.ndarray = WORK,
    lean: float = 25.0,
    second: bool = False,
) -> Script:
    """Take a tool or cloth to the work and move it round and round, back and forth, or in and out.

    Parameters
    ----------
    path
        "circle", "line", "poke" (up and down), "script" (small loops that wander to the right).
    size, rate
        Radius in mm, and cycles a second.
    lean
        Degrees that the tool is inclined while it works.
    second
        Whether the left hand holds the object while the right one works on it; else it supports.
    """
    reach, grip, there, done, _ = stage.split(0.16, 0.06, 0.16, 0.54, 0.08)[1:]
    start, end = stage.table(), stage.near(at, 20.0)
    end[Y] = max(end[Y], stage.height + 15, 0.95 * stage.tool + 15)
    count = max(2, round((done - there) * rate * stage.rate))
    angle = 2 * np.pi * count * (stage.time - there) / (done - there)
    busy = bump(stage.time, (there - 0.15, there + 0.25), (done - 0.2, done + 0.15))
    loop = _loop(path, angle, stage) * size * stage.extent * busy[:, None]
    place = stage.places([start, start, end, end], [-1, grip, there, stage.seconds + 1])
    slope = np.deg2rad(lean * stage.rng.uniform(0.6, 1.3))
    attitude = about(X, -slope) @ about(Z, slope * stage.rng.uniform(-0.5, 0.2))
    turn = stage.turns([np.eye(3), np.eye(3), attitude], [-1, grip, there])
    if not second or not stage.both:
        touch, idle = stage.taking(RIGHT, reach, grip), stage.other_hand(0.8)
        stands = ramp(stage.time, grip, there) if stage.tool else None
        low = end - np.array([0.0, 0.7 * stage.tool, 0.0])
        return Script(turn, place + loop, (touch,), idle, cycles=count, stands=stands, bench=low)
    holding = stage.taking(LEFT, reach, grip)
    near, closed = ramp(stage.time, 0.3 * there, there), ramp(stage.time, grip, there)
    wiping = Touch(RIGHT, near, closed, "top", rigid(np.eye(3), loop))
    return Script(turn, place + stage.wander(3.0), (holding, wiping), cycles=count)


def _loop(path: str, angle: np.ndarray, stage: Stage) -> np.ndarray:
    """One unit of the path that a tool follows, starting at the middle."""
    cos, sin, zero = np.cos(angle), np.sin(angle), 0 * angle
    if path == "circle":
        return np.stack([sin, zero, 1 - cos], axis=1) * (1.0, 1.0, 0.8)
    if path == "line":
        heading = stage.rng.uniform(-0.6, 0.6)
        return np.stack(
            [sin * np.sin(heading), 0.1 * (1 - np.cos(2 * angle)), sin * np.cos(heading)], 1
        )
    if path == "poke":
        return np.stack([zero, -0.5 * (1 - cos), 0.1 * sin], axis=1)
    along = angle / angle.max() * 8
    return np.stack([along + 0.6 * sin, zero, 0.7 * (1 - cos)], axis=1)


def squeeze(stage: Stage, *, rate: float = 0.9, give: float = 0.22, dip: float = 20.0) -> Script:
    """Take up, tip forward a little, press and let up again and again.

    `give`: how far the fingers open in between, as a share of the open hand.
    """
    reach, grip, there, done, _ = stage.split(0.2, 0.08, 0.2, 0.44, 0.08)[1:]
    start, end = stage.table(), stage.near(HELD, 30.0)
    end[Y] = max(end[Y], stage.height + 40)
    place = stage.places([start, start, end, end], [-1, grip, there, stage.seconds + 1])
    count = max(2, round((done - there) * rate * stage.rate))
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * count * (stage.time - there) / (done - there))
    busy = bump(stage.time, (there - 0.1, there + 0.2), (done - 0.2, done + 0.1))
    place += ramp(stage.time, grip, there)[:, None] * stage.wander(5.0)
    place[:, Y] -= 3 * busy * wave
    forward = about(X, -np.deg2rad(dip * stage.rng.uniform(0.6, 1.3)))
    turn = stage.turns([np.eye(3), np.eye(3), forward], [-1, grip, there])
    loose = give * stage.extent * busy * (1 - wave)
    touch = stage.taking(RIGHT, reach, grip, loose=loose)
    return Script(turn, place, (touch,), stage.other_hand(), cycles=count)


def read(stage: Stage) -> Script:
    """Take up, incline to the face, hold and look, with two hands where they are there."""
    reach, grip, there, _ = stage.split(0.13, 0.05, 0.17, 0.65)[1:]
    start, end = stage.table() * [0.3, 1, 1], stage.near(READING, 25.0)
    end[Y] = max(end[Y], stage.height + 60)
    place = stage.places([start, start, end, end], [-1, grip, there, stage.seconds + 1])
    place += ramp(stage.time, grip, there)[:, None] * stage.wander(12.0)
    face = about(X, np.deg2rad(stage.rng.uniform(25, 50)))
    turn = stage.turns([np.eye(3), np.eye(3), face], [-1, grip, there])
    look = ramp(stage.time, there, there + 0.5)[:, None] * sway(stage.rng, stage.time, 2)
    turn = turn @ about(X, 0.15 * look[:, 0]) @ about(Y, 0.25 * look[:, 1])
    touches = (stage.taking(RIGHT, reach, grip), stage.taking(LEFT, reach, grip, part="body"))
    return Script(turn, place, touches[: 1 + (stage.both and stage.wide)], stage.other_hand())


def unfold(
    stage: Stage, *, arc: float = 80.0, times: int = 1, up: float = 60.0, spread: float = 30.0
) -> Script:
    """Hold with one hand; the other takes an edge and swings it round (degrees) or off."""
    hold, meet, done, _ = stage.split(0.2, 0.14, 0.58, 0.08)[1:]
    start = stage.table() * [0.2, 1, 1]
    end = start + np.array([0, up * stage.both * stage.rng.uniform(0.8, 1.2), 0])
    place = stage.places([start, start, end, end], [-1, 0.9 * hold, meet, stage.seconds + 1])
    place += ramp(stage.time, hold, meet)[:, None] * stage.wander(3.0) * stage.both
    begin = meet + 0.08 * (done - meet)
    edges = np.linspace(begin, done, 2 * times)
    swing = sum((-1) ** k * ramp(stage.time, edges[k], edges[k + 1]) for k in range(2 * times - 1))
    angle = np.deg2rad(arc) * stage.extent * swing
    moves = rigid(about(Z, angle), np.asarray(swing)[:, None] * [spread, 0.3 * spread, 0])
    near = ramp(stage.time, 0.3 * hold, meet)
    working = Touch(RIGHT, near, ramp(stage.time, 0.9 * meet, begin), "side", moves)
    holding = stage.taking(LEFT, 0.7 * hold, 0.9 * hold)
    turn = np.repeat(np.eye(3)[None], len(stage.time), axis=0)
    return Script(turn, place, (working, holding)[: 1 + stage.both], cycles=times)


def press(stage: Stage, *, count: int = 5, spread: float = 18.0, held: bool = False) -> Script:
    """Press places on top with the finger that points; the left hand may hold the object."""
    come, begin, done, _ = stage.split(0.2, 0.08, 0.64, 0.08)[1:]
    count = max(2, round(count * stage.rate * stage.seconds / 3.5))
    start = stage.table() * [0.4, 1, 1]
    end = stage.near(TOGETHER, 20.0) if held and stage.both else start
    place = stage.places([start, start, end, end], [-1, 0.6 * come, begin, stage.seconds + 1])
    spots = stage.rng.uniform(-spread, spread, (count + 1, 3)) * [1, 0, 1] * stage.extent
    edges = np.linspace(begin, done, count + 1)
    at = through(spots, edges, stage.time)
    busy = bump(stage.time, (begin - 0.1, begin), (done, done + 0.1))
    at[:, Y] = 22 - 18 * busy * np.sin(np.pi * count * (stage.time - begin) / (done - begin)) ** 2
    near = ramp(stage.time, -0.1, begin) - ramp(stage.time, done, stage.seconds + 0.5)
    touch = Touch(RIGHT, near, np.ones_like(near), "top", rigid(np.eye(3), at), pose="point")
    holding = stage.taking(LEFT, 0.4 * come, 0.6 * come)
    touches = (touch, holding)[: 1 + (held and stage.both)]
    turn = np.repeat(np.eye(3)[None], len(near), axis=0)
    return Script(turn, place, touches, cycles=count)


def handle(stage: Stage) -> Script:
    """Lift with both hands and turn it about, to look at it from several sides."""
    reach, grip, up, *keys = stage.split(0.16, 0.06, 0.16, 0.2, 0.2, 0.2)[1:]
    start, end = stage.table() * [0.2, 1, 1], stage.near(TOGETHER + np.array([0, 30, 0]), 25.0)
    end[Y] = max(end[Y], stage.height + 60)
    place = stage.places([start, start, end, end], [-1, grip, up, stage.seconds + 1])
    place += ramp(stage.time, grip, up)[:, None] * stage.wander(14.0)
    tilts = [stage.tilt(20) for _ in range(4)]
    turn = stage.turns([np.eye(3), np.eye(3), *tilts], np.array([-1, grip, up, *keys]))
    touches = (stage.taking(RIGHT, reach, grip), stage.taking(LEFT, reach, grip, part="body"))
    return Script(turn, place, touches[: 1 + (stage.both and stage.wide)], stage.other_hand())


def greet(stage: Stage, *, shakes: float = 0.0) -> Script:
    """Bring the right hand to another person's: shake it (so often a second), or clap it."""
    out, done, _ = stage.split(0.36, 0.36, 0.28)[1:]
    count = max(1, round(shakes * stage.rate * (done - out)))
    away = stage.near(AWAY if shakes else AWAY + np.array([0, 90, 30]), 20.0)
    home = stage.near(np.array([130.0, 70.0, 90.0]), 20.0)
    there = bump(stage.time, (-0.1, out), (done, stage.seconds + 0.15))
    path = home + there[:, None] * (away - home)
    busy = bump(stage.time, (out - 0.1, out + 0.1), (done - 0.1, done + 0.1))
    wave = np.sin(2 * np.pi * count * (stage.time - out) / (done - out))
    path += busy[:, None] * wave[:, None] * ([0, 32, 0] if shakes else [0, 0, 6]) * stage.extent
    turn = np.repeat(np.eye(3)[None], len(stage.time), axis=0)
    idle = ("handshake" if shakes else "high five", "rest")
    return Script(turn, path, (), idle, meets=there, cycles=count)
