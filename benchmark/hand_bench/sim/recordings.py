"""Recordings: one person before one rig, clip after clip, as every world draws them.

Everything is drawn from the place of a recording (seed, version, source, split, person, number),
never from what was drawn before, so any of it can be made alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hand_bench.sim import action_sets, actions, motion
from hand_bench.sim.hand import sample_subject
from hand_bench.sim.placement import HEAD
from hand_bench.sim.rigs import RIGS, Placement
from hand_bench.sim.scene import RATE, Clip, Subject, View
from hand_bench.sim.worlds import VERSION, Amount, Source

#: Frames of rest between two clips of a recording.
REST = 15
#: Frames of a clip of free motion.
FREE_FRAMES = 150
#: Hands of the recordings of free motion, in turn: as often single as in InterHand2.6M.
_HANDS = ("interacting", "right", "left", "interacting", "right", "left", "right")


@dataclass(frozen=True)
class Instant:
    """One moment of a recording: its clip, the frame in it, and the number in the recording."""

    clip: int
    frame: int
    number: int


@dataclass(frozen=True)
class Recording:
    """A recording of a source; `person` and `number` count from 0."""

    source: Source
    split: str
    person: int
    number: int
    seed: int
    amount: Amount

    @property
    def subject_name(self) -> str:
        """Name of the person: no two splits share one."""
        return f"{self.split}{self.person:03d}"

    @property
    def sequence(self) -> str:
        """Name of the recording."""
        return f"{self.subject_name}/{self.number:02d}"

    def rng(self, *more: int | str) -> np.random.Generator:
        """Return a generator for one purpose of this recording."""
        return np.random.default_rng([*_person(self), self.number + 1, *map(_code, more)])

    @cached_property
    def subject(self) -> Subject:
        """The person: the same in all recordings of theirs."""
        return sample_subject(np.random.default_rng(_person(self)), self.subject_name)

    @cached_property
    def placement(self) -> Placement:
        """Where its cameras stand, and how its head moves."""
        return RIGS[self.source.rig].place(self.rng("rig"), subject=self.subject)

    @property
    def annotator(self) -> str:
        """Who labelled it: annotators take turns."""
        names = tuple(self.source.labels)
        return names[(self.person + self.number) % len(names)]

    @property
    def background(self) -> str:
        """Kind of background, the same for the whole recording."""
        kinds = self.source.backgrounds
        return kinds[int(self.rng("background").integers(len(kinds)))]

    def action(self, clip: int) -> tuple[int, action_sets.Action] | None:
        """Return the number of the class and the action of a clip; None in free motion."""
        if self.source.motion == "range of motion":
            return None
        known = ACTIONS[self.source.motion]
        # Every person performs the actions in an order of their own, each as often as the others.
        first = (self.person * 31 + self.number) * self.amount.clips + clip
        cycle, place = divmod(first, len(known))
        order = np.random.default_rng([*_person(self)[:3], cycle]).permutation(len(known))
        chosen = known[int(order[place])]
        names = list(dict.fromkeys(action.name for action in known))
        return names.index(chosen.name), chosen

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        """Its clips, one after the other."""
        return tuple(self._clip(k) for k in range(self.amount.clips))

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Number of each clip's first frame in the recording."""
        lengths = [0, *(len(clip) + REST for clip in self.clips)]
        return tuple(int(start) for start in np.cumsum(lengths)[:-1])

    def instants(self) -> list[Instant]:
        """The moments that are drawn, in time order."""
        found = []
        for k, (clip, start) in enumerate(zip(self.clips, self.starts, strict=True)):
            frames = np.arange(0, len(clip), self.source.step)
            if self.amount.frames and len(frames) > self.amount.frames:
                spare = len(frames) - self.amount.frames
                first = int(self.rng("instants", k).integers(spare + 1))
                frames = frames[first : first + self.amount.frames]
            found += [Instant(k, int(frame), start + int(frame)) for frame in frames]
        return found

    def _clip(self, k: int) -> Clip:
        rng = self.rng("clip", k)
        found, hands = self.action(k), self.source.hands
        if found is not None:
            action = found[1]
            alone = None if hands == "both" else hands
            return actions.perform(rng, self.subject, action.verb, action.object, hands=alone)
        if hands == "both":
            hands = _HANDS[(self.person * 3 + self.number) % len(_HANDS)]
        frames = int(rng.integers(FREE_FRAMES // 2, FREE_FRAMES))
        return motion.range_of_motion(rng, self.subject, hands=hands, frames=frames)

    def clip_range(self, k: int) -> tuple[int, int]:
        """First and last frame number of a clip in the recording, both included."""
        return self.starts[k], self.starts[k] + len(self.clips[k]) - 1

    def views(self, instant: Instant, kind: str = "images") -> list[View]:
        """Return the cameras that see an instant: all of the rig, or some drawn for each clip.

        For a table of "views" these are the standing ones, all of them.
        """
        if kind == "views":
            return self.placement.views(instant.number, ego=False)
        return [self.placement.view(instant.number, k) for k in self._cameras(instant.clip)]

    def _cameras(self, clip: int) -> list[int]:
        """Numbers of the cameras of a clip's single images."""
        cameras = self.placement.cameras
        known = [k for k, c in enumerate(cameras) if c.mount == HEAD or not self.source.worn]
        if not self.amount.views or self.amount.views >= len(known):
            return known
        rng = self.rng("views", clip)
        return sorted(rng.choice(known, self.amount.views, replace=False).tolist())


def recordings(source: Source, split: str, size: str, seed: int = 0) -> Iterator[Recording]:
    """Return the recordings of a split, person after person."""
    amount = source.amounts[size][split]
    for person in range(amount.subjects):
        for number in range(amount.recordings):
            yield Recording(source, split, person, number, seed, amount)


ACTIONS: dict[str, tuple[action_sets.Action, ...]] = {
    "assembly verbs": action_sets.ASSEMBLY_VERBS,
    "h2o": action_sets.H2O_ACTIONS,
    "fpha": action_sets.FPHA_ACTIONS,
    "arctic": action_sets.ARCTIC,
    "daily": action_sets.DAILY,
}


def seconds(instant: Instant) -> float:
    """Time of an instant in its recording."""
    return instant.number / RATE


def _person(recording: Recording) -> list[int]:
    split = _code(recording.split)
    return [recording.seed, VERSION * 1000 + _code(recording.source.name) % 1000, split,
            recording.person + 1]  # fmt: skip


def _code(value: int | str) -> Any:
    """Number of a name: the same on every machine, unlike `hash`."""
    return value if isinstance(value, int) else zlib.crc32(value.encode())
