"""Clips of verbs as the network sees them: poses at an even rate, repeated to one length.

Conventions
-----------
A clip's poses are those of the instants from `context` before its segment to `context` after it.
They are read at the configuration's rate by linear interpolation between the instants at which a
joint is known, and held beyond the first and the last of these: at an instant of the data the value
is the data's. What is longer than the network's clip is cut at its end; what is shorter is repeated
from its beginning. A joint that is never known is zero.

Training varies clips (`config.MSG3DConfig.varied`): turned about the world's y axis and resized
about the first wrists, faster or slower; those of cyclic verbs also begin anywhere in their first
half. What is drawn depends on the seed, the epoch and the number of the sample alone.

Sources: Assembly101's Preprocess scripts (facts/assemblyhands.md 3.4) for context, repetition and
cut; the paper (section 5) says that cyclic verbs are augmented, not how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hand_baselines.msg3d.config import MSG3DConfig
from hand_baselines.poses import Poses, Recording
from hand_bench.annotations import AnnotationBatch
from hand_bench.array_types import Float, Int
from hand_bench.errors import BaselineError, Problem

#: Columns of annotations that clips are read from.
COLUMNS = ("sample_id", "sequence", "frame", "end_frame")
#: Fewer instants than these say nothing of a motion.
LEAST = 2


class Clip(NamedTuple):
    """The known poses of a clip: (instants,) seconds and (instants, 2, 21, 3) mm, world or NaN."""

    time: Float[np.ndarray, " instants"]
    joints: Float[np.ndarray, "instants 2 21 3"]

    @property
    def usable(self) -> bool:
        """Whether there are enough poses to see a motion."""
        return len(self.time) >= LEAST


@dataclass(frozen=True)
class Variation:
    """How a clip is seen: turned (radians), resized, faster, from a part of its length on."""

    turn: float = 0.0
    scale: float = 1.0
    speed: float = 1.0
    start: float = 0.0

    @classmethod
    def draw(
        cls, rng: np.random.Generator, config: MSG3DConfig, strength: float, *, cyclic: bool
    ) -> Variation:
        """Draw one; `strength` is a factor on how far all but the start goes."""
        turn, scale, speed, start = rng.uniform(-1, 1, 4)
        return cls(
            np.deg2rad(config.turn) * strength * turn,
            1 + config.scale * strength * scale,
            config.speed ** (strength * speed),
            (start + 1) / 4 if cyclic else 0.0,
        )


def read_clips(rows: AnnotationBatch, poses: Poses, config: MSG3DConfig) -> list[Clip]:
    """Find the poses of clips.

    Raises
    ------
    BaselineError
        HB302 where the poses are relative to wrists and the network needs absolute ones.
    """
    if poses.from_wrists and config.origin != "wrists":
        what = f"the poses of {poses.source} are relative to their wrists; this network needs to "
        what += "know where the hands are."
        fix = "Use a network with origin 'wrists', or poses in the frame of camera or world."
        raise BaselineError(Problem("HB302", "poses", what, fix=fix))
    margin = config.context * poses.frames_per_second
    nothing = Recording(np.zeros(0, int), np.zeros(0), np.zeros((0, 2, 21, 3), np.float32))
    clips = []
    for name, first, last in zip(rows["sequence"], rows["frame"], rows["end_frame"], strict=True):
        recording = poses.recordings.get(str(name), nothing)
        where = slice(
            np.searchsorted(recording.frame, first - margin),
            np.searchsorted(recording.frame, last + margin, side="right"),
        )
        clips.append(Clip(recording.time[where], recording.joints[where]))
    return clips


def as_input(
    clip: Clip, config: MSG3DConfig, variation: Variation | None = None
) -> Float[np.ndarray, "frames 2 21 3"]:
    """Return a usable clip as the network takes it (see the module)."""
    varied = variation or Variation()
    begin, end = clip.time[0], clip.time[-1]
    begin = begin + varied.start * (end - begin)
    step = varied.speed / config.rate
    count = min(int((end - begin) / step + 1e-6) + 1, config.frames)
    joints, known = resample(clip, begin + step * np.arange(count))
    centre = _centre(joints, known)
    seen = varied.scale * (joints - centre) @ _turned(varied.turn).T
    if config.origin == "world":
        seen = seen + centre
    elif config.origin == "wrists":
        seen = seen - seen[:, :, :1]
        known = known & known[:, :1]
    seen = np.where(known[..., None], seen, 0.0) / config.unit
    return seen[np.arange(config.frames) % count].astype(np.float32)


def resample(clip: Clip, times: Float[np.ndarray, " times"]) -> tuple[np.ndarray, np.ndarray]:
    """Return joints (times, 2, 21, 3) by linear interpolation, and which are ever known (2, 21).

    Beyond the first and the last known value of a joint these are held; a joint that is never known
    is zero.
    """
    flat = clip.joints.reshape(len(clip.time), 42, 3)
    known = np.isfinite(flat).all(axis=-1)
    joints = np.zeros((len(times), 42, 3))
    # Joints that are known at the same instants share their neighbours: mostly those of a hand.
    patterns, which = np.unique(known.T, axis=0, return_inverse=True)
    for k, pattern in enumerate(patterns):
        if pattern.any():
            alike = which.reshape(-1) == k
            joints[:, alike] = _between(clip.time[pattern], flat[pattern][:, alike], times)
    return joints.reshape(-1, 2, 21, 3), known.any(axis=0).reshape(2, 21)


def balanced(labels: Int[np.ndarray, " clips"], cyclic: Sequence[int]) -> np.ndarray:
    """Return numbers of clips: all once, those of cyclic classes as often as the largest class has.

    A class is repeated from its first clip on; classes without a clip stay without.
    """
    most = np.bincount(labels).max()
    own = [np.flatnonzero(labels == label) for label in cyclic]
    repeated = [np.resize(clips, most) for clips in own if len(clips)]
    once = np.flatnonzero(~np.isin(labels, cyclic))
    return np.sort(np.concatenate([once, *repeated]))


class VerbClips(Dataset):
    """Clips as tensors by number, or by (epoch, number): `joints` and `label`.

    Parameters
    ----------
    clips, labels
        Usable clips and their classes.
    config
        Of the network.
    strength
        Factor on how far clips are varied.
    seed
        Of what is drawn.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Int[np.ndarray, " clips"],
        config: MSG3DConfig,
        *,
        strength: float = 1.0,
        seed: int = 0,
    ):
        self.clips, self.labels, self.config = clips, labels, config
        self.strength, self.seed = strength, seed
        self.drawn = balanced(labels, config.cyclic)

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Tensor]:
        """Return a sample; the same clip differs from one of its numbers to the other."""
        epoch, number = place if isinstance(place, tuple) else (0, place)
        clip = int(self.drawn[number])
        label = int(self.labels[clip])
        cyclic, variation = label in self.config.cyclic, None
        if cyclic or self.config.varied == "all":
            rng = np.random.default_rng([self.seed, epoch, number])
            variation = Variation.draw(rng, self.config, self.strength, cyclic=cyclic)
        joints = as_input(self.clips[clip], self.config, variation)
        return {"joints": torch.from_numpy(joints), "label": torch.tensor(label)}


def _between(known: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values (instants, joints, 3) at other times, by linear interpolation."""
    if len(known) == 1:
        return np.broadcast_to(values, (len(times), *values.shape[1:]))
    after = np.searchsorted(known, times).clip(1, len(known) - 1)
    gap = known[after] - known[after - 1]
    share = ((times - known[after - 1]) / gap).clip(0, 1)[:, None, None]
    return (1 - share) * values[after - 1] + share * values[after]


def _centre(joints: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Between the wrists of the first frame; between all joints where no wrist is known."""
    wrists = joints[0, known[:, 0], 0]
    return (wrists if len(wrists) else joints[0, known]).mean(axis=0)


def _turned(angle: float) -> np.ndarray:
    """Rotation about y."""
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
