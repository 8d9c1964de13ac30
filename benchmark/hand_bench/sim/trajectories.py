"""Paths through time: minimum-jerk ramps, smooth noise, rotations and rigid poses between keys.

Time is whatever the caller counts in (seconds, or 0 to 1); rotations are matrices, rigid poses
4 x 4 matrices, angles radians. Minimum jerk (Flash and Hogan, J. Neurosci. 5(7), 1985) is how a
free hand goes from rest to rest: 10 s^3 - 15 s^4 + 6 s^5.
"""

from __future__ import annotations

import numpy as np

from hand_bench.array_types import Float
from hand_bench.hand_model import rotmat_to_rotvec, rotvec_to_rotmat

#: Changes the sign of x: the mirror plane between the two hands.
MIRROR = np.diag([-1.0, 1.0, 1.0])


def minimum_jerk(share: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Return how far a movement from rest to rest is (0 to 1) at a share of its time."""
    s = np.clip(share, 0.0, 1.0)
    return s**3 * (10 - 15 * s + 6 * s**2)


def ramp(time: np.ndarray, start: float, stop: float) -> Float[np.ndarray, "*any"]:
    """Rise from 0 at `start` to 1 at `stop`, with minimum jerk."""
    return minimum_jerk((time - start) / max(stop - start, 1e-9))


def bump(time: np.ndarray, rise: tuple[float, float], fall: tuple[float, float]) -> np.ndarray:
    """Rise to 1 during `rise`, stay, and return to 0 during `fall`."""
    return ramp(time, *rise) - ramp(time, *fall)


def through(
    values: Float[np.ndarray, "keys ..."], times: np.ndarray, time: np.ndarray
) -> Float[np.ndarray, "time ..."]:
    """Go through keys, at rest in each of them."""
    at, share = _between(times, time)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return values[at] + share * (values[at + 1] - values[at])


def _between(times: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The key before each instant, and how far the movement to the next one is."""
    at = np.clip(np.searchsorted(times, time, side="right") - 1, 0, len(times) - 2)
    return at, minimum_jerk((time - times[at]) / np.maximum(np.diff(times)[at], 1e-9))


def sway(
    rng: np.random.Generator, time: np.ndarray, *shape: int, fastest: float = 1.2
) -> Float[np.ndarray, "time ..."]:
    """Sum three sines with drawn periods (`fastest` seconds and slower), within -1 to 1."""
    period = fastest * rng.uniform([2.6, 1.7, 1.0], [5.0, 2.6, 1.7], (*shape, 3))
    angle = rng.uniform(0, 2 * np.pi, (*shape, 3))
    angle = 2 * np.pi * time.reshape(-1, *[1] * (len(shape) + 1)) / period + angle
    return np.sin(angle) @ np.array([0.55, 0.3, 0.15])


def slerp(
    first: Float[np.ndarray, "*batch 3 3"],
    second: Float[np.ndarray, "*batch 3 3"],
    share: np.ndarray,
) -> Float[np.ndarray, "*batch 3 3"]:
    """Turn from one rotation to another, the short way; rows in time order turn the same way."""
    turn = rotmat_to_rotvec(np.swapaxes(first, -1, -2) @ second)
    if turn.ndim == 2:
        turn = _same_way(turn)
    return first @ rotvec_to_rotmat(np.asarray(share)[..., None] * turn)


def _same_way(turn: np.ndarray) -> np.ndarray:
    """Rotation vectors in time order, of which none jumps to the other side of half a turn."""
    length = np.linalg.norm(turn, axis=-1)
    if length.max(initial=0.0) < 2.5:
        return turn
    turn = turn.copy()
    for k in range(1, len(turn)):
        angle = np.linalg.norm(turn[k])
        other = turn[k] * (1 - 2 * np.pi / max(angle, 1e-9))
        if np.sum((other - turn[k - 1]) ** 2) < np.sum((turn[k] - turn[k - 1]) ** 2):
            turn[k] = other
    return turn


def rotations_through(
    keys: Float[np.ndarray, "keys 3 3"], times: np.ndarray, time: np.ndarray
) -> Float[np.ndarray, "time 3 3"]:
    """Turn through keys with minimum jerk, at rest in each of them."""
    at, share = _between(times, time)
    turn = rotmat_to_rotvec(np.swapaxes(keys[:-1], -1, -2) @ keys[1:])
    return keys[at] @ rotvec_to_rotmat(share[:, None] * turn[at])


def about(axis: int, angle: Float[np.ndarray, "*any"] | float) -> Float[np.ndarray, "*any 3 3"]:
    """Rotations by `angle` about a coordinate axis."""
    angle = np.asarray(angle, float)
    return rotvec_to_rotmat(angle[..., None] * np.eye(3)[axis])


def rigid(
    rotation: Float[np.ndarray, "*batch 3 3"], place: Float[np.ndarray, "*others 3"]
) -> Float[np.ndarray, "*all 4 4"]:
    """Put rotations and places together."""
    batch = np.broadcast_shapes(rotation.shape[:-2], np.shape(place)[:-1])
    T = np.zeros((*batch, 4, 4))
    T[..., :3, :3] = rotation
    T[..., :3, 3] = place
    T[..., 3, 3] = 1
    return T


def inverse(T: Float[np.ndarray, "*batch 4 4"]) -> Float[np.ndarray, "*batch 4 4"]:
    """Invert rigid poses."""
    R = np.swapaxes(T[..., :3, :3], -1, -2)
    return rigid(R, -(R @ T[..., :3, 3, None])[..., 0])


def mix(
    first: Float[np.ndarray, "frames 4 4"],
    second: Float[np.ndarray, "frames 4 4"],
    share: Float[np.ndarray, " frames"],
) -> Float[np.ndarray, "frames 4 4"]:
    """Rigid poses between those of two tracks: 0 is the first, 1 is the second."""
    R = slerp(first[:, :3, :3], second[:, :3, :3], share)
    place = first[:, :3, 3] + share[:, None] * (second[:, :3, 3] - first[:, :3, 3])
    return rigid(R, place)


def mirrored(T: Float[np.ndarray, "*batch 4 4"]) -> Float[np.ndarray, "*batch 4 4"]:
    """Mirror rigid poses: what the other hand would do."""
    return rigid(MIRROR @ T[..., :3, :3] @ MIRROR, T[..., :3, 3] @ MIRROR)


def mirrored_rotvec(rotvec: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    """Mirror rotation vectors, as MANO's left hand wants those of the right one."""
    return rotvec * np.array([1.0, -1.0, -1.0])


def envelope(values: Float[np.ndarray, " frames"], reach: int) -> Float[np.ndarray, " frames"]:
    """Smooth curve that is nowhere below `values`: their highest nearby, then a soft mean."""
    window = 2 * reach + 1
    padded = np.pad(values, 2 * reach, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, window).max(-1)
    weight = np.hanning(window + 2)[1:-1]
    return np.lib.stride_tricks.sliding_window_view(highest, window) @ (weight / weight.sum())
