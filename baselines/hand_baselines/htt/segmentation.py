"""How a video becomes clips and windows, and clips decide on its action (facts 3.5, 3.6, 4.8).

Conventions
-----------
A video is given by the frame numbers of its frames, counted from its first one, ascending. With a
spacing of 2 and clips of T frames it is cut into blocks of 2 T frame numbers, and each block into
the clip of its even and the clip of its odd numbers. So every frame is in exactly one clip, and
in exactly one window of it. A video that holds only every second frame (HandSim at 15 Hz) has
only the even clips. Frames that lack are left out; those behind them move up.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from hand_bench.array_types import Float, Int


def clips(numbers: Int[np.ndarray, " frames"], length: int, spacing: int = 2) -> list[np.ndarray]:
    """Return the clips of a video to answer: places of their frames in `numbers`, ascending.

    `length` is the most frames that a clip has.
    """
    block = length * spacing
    keys = (numbers // block) * spacing + numbers % block % spacing
    order = np.argsort(keys, kind="stable")
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    return np.split(order, cuts)


def windows(clip: Int[np.ndarray, " frames"], size: int) -> list[np.ndarray]:
    """Return the windows of a clip, one after the other; the last one may be shorter."""
    return [clip[start : start + size] for start in range(0, len(clip), size)]


def training_starts(
    numbers: Int[np.ndarray, " frames"], length: int, spacing: int = 2, offsets: int = 16
) -> Int[np.ndarray, " starts"]:
    """Return at which frames training clips start: places in `numbers`.

    These are the first ``spacing * offsets`` frame numbers of every block, where they exist.
    """
    return np.flatnonzero(numbers % (length * spacing) < spacing * offsets)


def clip_from(
    numbers: Int[np.ndarray, " frames"], start: int, length: int, spacing: int = 2
) -> Int[np.ndarray, " clip"]:
    """Return the training clip that starts at a place: places of its frames, ascending.

    It goes on, across blocks, until it is full or the video ends.
    """
    away = numbers - numbers[start]
    inside = (away >= 0) & (away < length * spacing) & (away % spacing == 0)
    return np.flatnonzero(inside)


def vote(
    probabilities: Float[np.ndarray, "clips classes"], how: Literal["soft", "hard"]
) -> Float[np.ndarray, " classes"]:
    """Return the shares of a video's actions, from those of its clips; every clip weighs the same.

    "soft" is the mean of the probabilities (the released code sums them), "hard" the share of
    clips whose best action it is (the paper). The first of equals wins.
    """
    if how == "soft":
        return probabilities.mean(axis=0)
    best = probabilities.argmax(axis=1)
    return np.bincount(best, minlength=probabilities.shape[1]) / len(best)
