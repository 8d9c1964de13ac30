"""How somebody who wears cameras moves: sway, fixations, saccades, glances aside.

The frame of the head (or of the chest, for a camera worn there): x right, y down, z forward, origin
between the eyes. Any frame can be asked for at once: the motion is a sum of slow waves and of
fixations that are drawn one by one from (seed, number of the fixation). All numbers are
assumptions, chosen for a look that is plausible: heads turn at up to about 150 degrees a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hand_bench.array_types import Float
from hand_bench.sim.scene import RATE, WORKSPACE
from hand_bench.sim.viewpoints import look_at

#: Seconds between fixations; each begins somewhere in the first part of its own period.
PERIOD, LATEST = 1.6, 0.4
#: A movement to a new fixation lasts so long (s), plus so much for each mm between the two.
SHORTEST, PER_MM = 0.3, 0.001
#: Waves of the sway: how many for each coordinate, and their frequencies (Hz).
WAVES, SLOWEST, FASTEST = 3, 0.08, 0.6
#: Sway of the head's direction (radians: yaw, pitch, roll) where the position's is 9 mm.
NOD = np.radians([1.0, 0.8, 1.5])


@dataclass(frozen=True)
class Wearer:
    """A way to stand and to look around.

    Attributes
    ----------
    position
        Where the eyes (or the mount on the body) are on average, mm, world.
    pitch_share
        How much of the way down to the hands the head turns; the eyes do the rest.
    wander
        Spread (mm) of the points that the person looks at around the work.
    glances
        Share of fixations that leave the work.
    sway
        Spread (mm) of the position.
    """

    position: tuple[float, float, float] = (0.0, 480.0, 400.0)
    pitch_share: float = 0.7
    wander: float = 45.0
    glances: float = 0.08
    sway: float = 9.0

    def motion(
        self, seed: int, style: int = 0, focus: Float[np.ndarray, " 3"] = WORKSPACE
    ) -> Motion:
        """Return the motion of one clip; `style` is what is this person's own (height, habits)."""
        person = np.random.default_rng([style, 1])
        height, depth, share, lively = person.normal(size=4).clip(-2, 2)
        rng = np.random.default_rng([seed, 2])
        amplitude = rng.normal(size=(WAVES, 6)).clip(-2, 2) / np.sqrt(WAVES)
        scale = self.sway * np.array([1.0, 1.0, 1.0, *NOD / 9.0])
        return Motion(
            seed=seed,
            wearer=self,
            position=np.add(self.position, (0.0, 22.0 * height, 18.0 * depth)),
            focus=np.asarray(focus, float),
            pitch_share=float(np.clip(self.pitch_share + 0.05 * share, 0.0, 1.0)),
            wander=self.wander * float(np.exp(0.2 * lively)),
            amplitude=amplitude * scale,
            frequency=rng.uniform(SLOWEST, FASTEST, (WAVES, 6)),
            start=rng.uniform(0, 2 * np.pi, (WAVES, 6)),
        )


@dataclass(frozen=True)
class Motion:
    """The motion of a wearer during one clip."""

    seed: int
    wearer: Wearer
    position: Float[np.ndarray, " 3"]
    focus: Float[np.ndarray, " 3"]
    pitch_share: float
    wander: float
    amplitude: Float[np.ndarray, "waves 6"]
    frequency: Float[np.ndarray, "waves 6"]
    start: Float[np.ndarray, "waves 6"]

    def pose(self, frame: float) -> Float[np.ndarray, "4 4"]:
        """Return T_world_from_head at a frame, which need not be whole."""
        time = frame / RATE
        waves = self.amplitude * np.sin(2 * np.pi * self.frequency * time + self.start)
        shift, (yaw_sway, pitch_sway, roll) = waves[:, :3].sum(0), waves[:, 3:].sum(0)
        position = self.position + shift
        x, y, z = self.gaze(time) - position
        yaw = np.arctan2(x, -z) + yaw_sway
        pitch = self.pitch_share * np.arctan2(y, np.hypot(x, z)) + pitch_sway
        ahead = [np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)]
        return look_at(position, position + ahead, roll=float(roll))

    def gaze(self, time: float) -> Float[np.ndarray, " 3"]:
        """Return the point (mm, world) that the person looks at."""
        number = int(time // PERIOD)
        before, after = self._fixation(number - 1), self._fixation(number)
        rest = time - number * PERIOD - after[3] * LATEST * PERIOD
        duration = SHORTEST + PER_MM * np.linalg.norm(after[:3] - before[:3])
        done = np.clip(rest / duration, 0.0, 1.0)
        # Least jerk: what arms and heads do between two rests.
        smooth = done**3 * (10 - 15 * done + 6 * done**2)
        return self.focus + before[:3] + smooth * (after[:3] - before[:3])

    def _fixation(self, number: int) -> np.ndarray:
        """Where fixation `number` is from the focus (mm), and when it begins (0 to 1)."""
        rng = np.random.default_rng([self.seed, 3, number + 1])
        near = rng.normal(size=3).clip(-2, 2) * self.wander * [1.2, 0.5, 0.8]
        aside = np.array([rng.choice([-1, 1]) * rng.uniform(180, 320), 0.0, rng.uniform(-120, 60)])
        away = rng.random() < self.wearer.glances
        return np.append(aside if away else near, rng.random())
