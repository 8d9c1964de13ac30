"""Counter-based random numbers and tileable noise, for numba: a value depends on its place only."""

from __future__ import annotations

import functools

import numpy as np

from hand_bench.sim.rasteriser import compiled

#: Texels of a noise tile along each side (a power of two), and how many tiles there are.
TILE = 256
CLOUDS, GRAIN = 0, 1
#: Where a run of `normals` may start, and the longest run.
RUNS, LONGEST = 1 << 16, 1 << 14
_A, _B, _C = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
_27, _30, _31 = np.uint64(27), np.uint64(30), np.uint64(31)


@compiled
def scramble(key, counter):
    """Return 64 random bits for a key and a counter (SplitMix64's step and finaliser)."""
    z = key + (np.uint64(counter) + np.uint64(1)) * _A
    z = (z ^ (z >> _30)) * _B
    z = (z ^ (z >> _27)) * _C
    return z ^ (z >> _31)


@compiled
def bits(value, first, count):
    """Return some bits of 64 as a number from 0 to 1 (exclusive)."""
    kept = (value >> np.uint64(first)) & np.uint64((1 << count) - 1)
    return np.int64(kept) * (1.0 / (1 << count))


@functools.cache
def tiles() -> np.ndarray:
    """Return the noise tiles (2, TILE, TILE), 0 to 1: clouds of all sizes, and grain."""
    made = np.stack([_octaves((4, 8, 16, 32, 64)), _octaves((32, 64, 128))])
    made.flags.writeable = False
    return made


def _octaves(cells: tuple[int, ...]) -> np.ndarray:
    """Sum smooth periodic noise of some fineness, each octave weaker, scaled to 0 to 1."""
    rng = np.random.default_rng(cells[0])
    total = np.zeros((TILE, TILE))
    for k, count in enumerate(cells):
        knots = rng.random((count, count))
        place = np.arange(TILE) * count / TILE
        index = place.astype(int)
        t = place - index
        t = t * t * (3 - 2 * t)
        rows = knots[index] + t[:, None] * (knots[(index + 1) % count] - knots[index])
        total += 0.6**k * (rows[:, index] + t * (rows[:, (index + 1) % count] - rows[:, index]))
    total -= total.min()
    return (total / total.max()).astype(np.float32)


@functools.cache
def normals() -> np.ndarray:
    """Return 2^16 normal numbers, to be read in runs from a random place (and 2^14 more)."""
    made = np.random.default_rng(0).standard_normal(RUNS + LONGEST, np.float32)
    made.flags.writeable = False
    return made


@compiled
def sample(noise, layer, x, y):
    """Return the value of a noise tile between texels; it repeats for ever."""
    fx, fy = np.floor(x), np.floor(y)
    s, t = x - fx, y - fy
    j, i = np.uint32(int(fx) & (TILE - 1)), np.uint32(int(fy) & (TILE - 1))
    j1, i1 = np.uint32((j + 1) & (TILE - 1)), np.uint32((i + 1) & (TILE - 1))
    above = noise[layer, i, j] + s * (noise[layer, i, j1] - noise[layer, i, j])
    below = noise[layer, i1, j] + s * (noise[layer, i1, j1] - noise[layer, i1, j])
    return above + t * (below - above)
