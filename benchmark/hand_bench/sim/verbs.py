"""Verbs: which program does each, how long it takes, and which two are one program's two ways.

Pairs such as "pick up" and "put down" are one program, the second played backwards, so no single
frame tells them apart. Lengths follow the recordings: Assembly101's segments, H2O's lists
(facts/assemblyhands.md section 3, facts/htt-h2o-fpha.md 1.5), cut to 1 to 8 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from hand_bench.errors import TrackError, unknown_name
from hand_bench.sim import programs
from hand_bench.sim.stage import AWAY, HELD, MOUTH, TOGETHER, WORK
from hand_bench.sim.stage import X as ACROSS


@dataclass(frozen=True)
class Verb:
    """How a verb is done: program, seconds (median and spread of the logarithm), direction."""

    program: programs.Program
    seconds: float
    spread: float = 0.3
    backwards: bool = False


def _v(program: programs.Program, seconds: float, *, backwards: bool = False, **options) -> Verb:
    return Verb(partial(program, **options), seconds, backwards=backwards)


def _pair(
    forth: str, back: str, program: programs.Program, seconds: float, **options
) -> dict[str, Verb]:
    """Two verbs of which one is the other backwards."""
    return {
        forth: _v(program, seconds, **options),
        back: _v(program, seconds, backwards=True, **options),
    }


VERBS: dict[str, Verb] = {
    **_pair("pick up", "put down", programs.lift, 1.4),
    **_pair("grab", "place", programs.lift, 1.8),
    **_pair("take out", "put in", programs.lift, 3.2, straight_up=110.0, turned=10.0),
    **_pair("position", "remove", programs.fit, 2.6),
    **_pair("screw", "unscrew", programs.screw, 5.0),
    **_pair("open", "close", programs.uncap, 3.3),
    **_pair("unfold", "fold", programs.unfold, 3.0),
    **_pair("give", "receive", programs.lift, 2.2, to=AWAY, turned=10.0),
    "take": _v(programs.lift, 2.2, straight_up=40.0),
    "pull open": _v(programs.uncap, 2.6, swing=0.35, pull=25.0),
    "pour": _v(programs.tilt, 4.4),
    "drink": _v(programs.tilt, 3.6, angle=42.0, axis=ACROSS, at=MOUTH),
    "toast": _v(programs.tilt, 3.0, angle=16.0, axis=ACROSS, at=AWAY + np.array([0, 70.0, 20])),
    "sprinkle": _v(programs.tilt, 3.6, angle=125.0, shake=13.0, rate=2.6),
    "put": _v(programs.tilt, 3.4, angle=60.0, axis=ACROSS, at=WORK + np.array([0, 60.0, 0])),
    "scoop": _v(programs.tilt, 3.2, angle=-35.0, axis=ACROSS, at=WORK, shake=14.0, rate=0.9),
    "apply": _v(programs.rub, 6.0, path="line", size=28.0, rate=1.0, at=HELD, lean=50.0),
    "wash": _v(programs.rub, 3.8, path="circle", size=38.0, rate=1.1, lean=5.0),
    "clean": _v(programs.rub, 3.8, path="circle", size=16.0, rate=1.5, at=TOGETHER, second=True),
    "scratch": _v(programs.rub, 3.4, path="line", size=38.0, rate=2.0, lean=8.0),
    "stir": _v(programs.rub, 4.2, path="circle", size=24.0, rate=1.5, lean=6.0),
    "write": _v(programs.rub, 4.6, path="script", size=7.0, rate=2.4, lean=8.0),
    "prick": _v(programs.rub, 3.2, path="poke", size=45.0, rate=1.3, lean=5.0),
    "cut": _v(programs.rub, 3.6, path="line", size=30.0, rate=1.6, lean=10.0),
    "light": _v(programs.rub, 2.8, path="line", size=34.0, rate=1.4, lean=20.0),
    "charge": _v(programs.rub, 3.0, path="poke", size=30.0, rate=0.8, at=TOGETHER, lean=30.0),
    "squeeze": _v(programs.squeeze, 3.8),
    "crumple": _v(programs.squeeze, 3.2, rate=1.5, give=0.4, dip=5.0),
    "spray": _v(programs.squeeze, 3.0, rate=1.6, give=0.12, dip=8.0),
    "read": _v(programs.read, 6.2),
    "tear": _v(programs.unfold, 2.6, arc=25.0, times=2, spread=70.0, up=110.0),
    "leaf": _v(programs.unfold, 4.0, arc=75.0, times=3, spread=6.0, up=20.0),
    "flip": _v(programs.tilt, 2.8, angle=170.0, at=WORK + np.array([0, 60.0, 0]), back=False),
    "press": _v(programs.press, 3.6),
    "handle": _v(programs.handle, 5.0),
    "handshake": _v(programs.greet, 2.4, shakes=2.4),
    "high five": _v(programs.greet, 1.7),
}
#: Where the object decides how the verb is done.
_WITH: dict[tuple[str, str], Verb] = {
    ("unfold", "glasses"): _v(programs.unfold, 3.0, arc=95.0, times=2, up=90.0),
    ("take out", "letter"): _v(programs.lift, 3.0, straight_up=90.0),
    ("read", "letter"): _v(programs.read, 4.4),
    ("use", "ketchup"): VERBS["squeeze"],
    ("use", "phone"): _v(programs.press, 4.0, held=True),
    ("use", "capsulemachine"): _v(programs.press, 3.2, count=3),
    ("use", "espressomachine"): _v(programs.press, 3.4, count=3),
    ("use", "microwave"): _v(programs.press, 3.4, count=4),
    ("use", "scissors"): _v(programs.squeeze, 3.6, rate=1.3, give=0.35, dip=0.0),
    ("use", "mixer"): VERBS["stir"],
    ("press", "phone"): _v(programs.press, 4.0, held=True),
}
_OTHER_USE = _v(programs.unfold, 3.6, arc=75.0, times=2, up=15.0)


def find(verb: str, object_name: str = "") -> Verb:
    """Return how a verb is done with an object.

    Raises
    ------
    TrackError
        HB301 for a verb that is not known.
    """
    if (verb, object_name) in _WITH:
        return _WITH[verb, object_name]
    if verb == "use":
        return _OTHER_USE
    if verb not in VERBS:
        raise TrackError(unknown_name("verb", verb, [*VERBS, "use"]))
    return VERBS[verb]
