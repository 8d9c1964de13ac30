"""Grasps of HandSim's objects, worked out once: closing fingers takes a tenth of a second each.

`grasp` looks into `data/grasps.npz`, which `write` makes, and closes the fingers itself for what is
not there. Every body has `VARIANTS` of every class. The file must be made anew when the hand or the
grasps change; a test says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from hand_bench.array_types import Float
from hand_bench.sim import grasps

FILE = Path(__file__).parent / "data" / "grasps.npz"
VARIANTS = 3

Key = tuple[str, str, tuple[float, float, float], int]


def grasp(
    name: str, primitive: str, size: tuple[float, float, float], variant: int
) -> tuple[Float[np.ndarray, "15 3"], Float[np.ndarray, "4 4"]]:
    """Return finger rotation vectors and ``T_hand_from_object``, as `grasps.grasp_pose`."""
    key = (name, primitive, size, variant)
    row = _rows().get(_text(key))
    if row is None:
        return _closed(key)
    fingers, T = _arrays()
    return fingers[row].astype(float), T[row].astype(float)


def close(key: Key) -> tuple[Float[np.ndarray, "15 3"], Float[np.ndarray, "4 4"]]:
    """Close the fingers: what the table holds."""
    name, primitive, size, variant = key
    # The same few ways for all classes, so that bodies of like sizes are held alike.
    return grasps.grasp_pose(name, primitive, size, np.random.default_rng(variant))


@lru_cache(4096)
def _closed(key: Key) -> tuple[np.ndarray, np.ndarray]:
    return close(key)


def write(keys: Iterable[Key], path: Path = FILE) -> int:
    """Make the table anew; takes about 0.15 s a row. Returns the number of rows."""
    known = sorted(set(keys))
    made = [close(key) for key in known]
    np.savez_compressed(
        path,
        keys=np.array([_text(key) for key in known]),
        fingers=np.stack([fingers for fingers, _ in made]).astype(np.float32),
        T_hand_from_object=np.stack([T for _, T in made]).astype(np.float32),
    )
    _arrays.cache_clear()
    _rows.cache_clear()
    return len(known)


def rows() -> list[str]:
    """Return what the table holds, as text."""
    return list(_rows())


def _text(key: Key) -> str:
    name, primitive, size, variant = key
    return f"{name} {primitive} {'x'.join(f'{side:g}' for side in size)} {variant}"


@cache
def _rows() -> dict[str, int]:
    if not FILE.exists():
        return {}
    with np.load(FILE, allow_pickle=False) as archive:
        return {str(key): row for row, key in enumerate(archive["keys"])}


@cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    with np.load(FILE, allow_pickle=False) as archive:
        return archive["fingers"], archive["T_hand_from_object"]
