"""What a motion program plays with (`Stage`) and what it makes (`Script`).

A script is the track of the object, and for each hand that takes part when it is near, when it is
closed, and how it moves about the object; who holds how is decided later (`grips`). World axes, mm,
seconds; written for a right-handed person with the right hand first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hand_bench.array_types import Float
from hand_bench.sim.trajectories import about, ramp, rotations_through, sway, through

X, Y, Z = 0, 1, 2
RIGHT, LEFT = 0, 1
#: Where things are, mm: held up, worked on, put together, read, brought to the mouth.
HELD = np.array([60.0, 190.0, 0.0])
WORK = np.array([30.0, 110.0, -30.0])
TOGETHER = np.array([0.0, 140.0, 0.0])
READING = np.array([0.0, 210.0, 30.0])
MOUTH = np.array([30.0, 330.0, 130.0])
AWAY = np.array([40.0, 170.0, -150.0])
#: Shortest time in which a hand reaches for something, s.
QUICKEST = 0.45
#: How steep a tool stands, degrees.
STANDING = 68.0


@dataclass(frozen=True)
class Stage:
    """What a program plays with.

    `time` runs from 0 to `seconds`, a little unevenly; `height` is that of the resting object's
    middle above the table, `tool` half the length of a tool that lies (0 for other things), `wide`
    whether there is room for two hands beside each other, `large` whether it takes two;
    `hands` says which hands are there; `extent` and `rate` are the person's; `shift` moves every
    place; `sense` is -1 where the clip is mirrored afterwards.
    """

    rng: np.random.Generator
    time: Float[np.ndarray, " frames"]
    seconds: float
    height: float
    hands: tuple[bool, bool]
    extent: float = 1.0
    rate: float = 1.0
    shift: Float[np.ndarray, " 3"] = field(default_factory=lambda: np.zeros(3))
    tool: float = 0.0
    wide: bool = False
    large: bool = False
    sense: float = 1.0

    @property
    def both(self) -> bool:
        """Whether two hands are there."""
        return all(self.hands)

    def split(self, *shares: float) -> np.ndarray:
        """Cut the time into parts, about as long as asked: times of the cuts, from 0."""
        parts = np.array(shares) * self.rng.uniform(0.85, 1.15, len(shares))
        return np.concatenate([[0.0], np.cumsum(parts) / parts.sum() * self.seconds])

    def near(self, place: np.ndarray, spread: float = 25.0) -> np.ndarray:
        """A place near the one given."""
        return place + self.shift + self.rng.uniform(-spread, spread, 3) * [1.0, 0.5, 1.0]

    def table(self, side: int = RIGHT) -> np.ndarray:
        """A place on the table before a hand."""
        across, along = self.rng.uniform([30, -110], [130, 30])
        return np.array([across * (1 - 2 * side), self.height, along]) + self.shift * [1, 0, 1]

    def tilt(self, degrees: float) -> np.ndarray:
        """A rotation by about so much, to any side."""
        x, y, z = np.deg2rad(self.rng.normal(0, degrees, 3))
        return about(Y, y) @ about(X, x) @ about(Z, z)

    def wander(self, amount: float) -> np.ndarray:
        """Slow movement of about so many mm, (frames, 3)."""
        return amount * sway(self.rng, self.time, 3, fastest=0.9)

    def turns(self, keys: list[np.ndarray], times: Iterable[float]) -> np.ndarray:
        """Rotations through keys, at rest in each."""
        return rotations_through(np.stack(keys), np.array([*times]), self.time)

    def places(self, keys: list[np.ndarray], times: Iterable[float]) -> np.ndarray:
        """Places through keys, at rest in each."""
        return through(np.stack(keys), np.array([*times]), self.time)

    def taking(self, side: int, reach: float, grip: float, **more) -> Touch:
        """A hand that reaches until `reach`, has gripped at `grip`, and keeps hold."""
        early = self.rng.uniform(0.0, 0.35) * reach
        near = ramp(self.time, min(-early, reach - QUICKEST), reach)
        return Touch(side, near, ramp(self.time, 0.75 * reach, grip), **more)

    def other_hand(self, chance: float = 0.4) -> tuple[str, str]:
        """What the left hand does that takes no part."""
        return ("rest", "support" if self.rng.random() < chance else "rest")


@dataclass(frozen=True)
class Touch:
    """A hand's part: how near (0 idle, 1 at the object) and how closed it is, in each frame.

    `part` is one of `parts.ways_to_hold`: "whole", "body", "low", "top", "side"; `moves` is what
    the hand does relative to the object's resting attitude, about its middle; `loose` opens the
    fingers while they hold.
    """

    side: int
    near: Float[np.ndarray, " frames"]
    closed: Float[np.ndarray, " frames"]
    part: str = "whole"
    moves: Float[np.ndarray, "frames 4 4"] | None = None
    loose: Float[np.ndarray, " frames"] | None = None
    #: A pose of `poses` instead of a grasp: a finger that points.
    pose: str = ""


@dataclass(frozen=True)
class Script:
    """Turn and place of the object, what touches it, and what hands do that do not.

    `idle`: "rest" on the table, "support" beside the work, "greet" (with `meets` as its track).
    """

    turn: Float[np.ndarray, "frames 3 3"]
    place: Float[np.ndarray, "frames 3"]
    touches: tuple[Touch, ...]
    idle: tuple[str, str] = ("rest", "rest")
    meets: Float[np.ndarray, " frames"] | None = None
    cycles: int = 1
    #: Where hands support that do.
    bench: Float[np.ndarray, " 3"] = field(default_factory=lambda: np.array([0.0, 95.0, 20.0]))
    #: How far (0 to 1) a tool that lies stands on its tip.
    stands: Float[np.ndarray, " frames"] | None = None

    @property
    def stood(self) -> Float[np.ndarray, "frames 3 3"]:
        """Turn of the object in its own frame: a lying tool's +x end comes up."""
        share = np.zeros(len(self.place)) if self.stands is None else self.stands
        return about(Z, np.deg2rad(STANDING) * share)
