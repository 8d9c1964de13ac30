"""Hands in MANO's file layout without anything of MANO: made up, seeded, in the original's pickles.

`write_pickle` imitates what the licensed file is: a Python 2 pickle in which `shapedirs` is a
chumpy selection and `J_regressor` a SciPy matrix, written without either package. `plain_hand`
poses a hand by plain loops, to compare with.
"""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np

PARENTS = [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]
#: First joints of index, middle, pinky, ring, thumb, and the order of tips: thumb first.
CHAINS = {"thumb": 13, "index": 1, "middle": 4, "ring": 10, "pinky": 7}
MANO_TIPS = [744, 320, 443, 554, 671]
ROOT = np.array([0.09, 0.006, 0.004])


def skeleton(side: str = "right") -> tuple[np.ndarray, np.ndarray]:
    """16 joints and 5 tips (thumb, index, middle, ring, pinky) of a flat hand, metres."""
    towards = {"thumb": 50, "index": 12, "middle": 0, "ring": -12, "pinky": -24}
    joints, tips = np.zeros((16, 3)), np.zeros((5, 3))
    joints[0] = ROOT
    for tip, (finger, first) in enumerate(CHAINS.items()):
        angle = np.deg2rad(towards[finger])
        ahead = np.array([-np.cos(angle), 0.05, np.sin(angle)])
        for k, reach in enumerate(
            (0.085, 0.12, 0.145) if finger != "thumb" else (0.03, 0.06, 0.09)
        ):
            joints[first + k] = joints[0] + reach * ahead
        tips[tip] = joints[first + 2] + 0.025 * ahead
    if side == "left":
        joints, tips = joints * [-1, 1, 1], tips * [-1, 1, 1]
    return joints, tips


def make_hand(vertices: int = 60, *, side: str = "right", seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of a made-up hand with MANO's keys; with 778 vertices its tips are MANO's."""
    rng = np.random.default_rng(seed)
    joints, tips = skeleton(side)
    nearest = np.arange(vertices) % 16
    template = joints[nearest] + rng.normal(0, 0.008, (vertices, 3))
    ids = MANO_TIPS if vertices == 778 else [vertices - 1 - k for k in range(5)]
    template[ids] = tips
    nearest[ids] = [first + 2 for first in CHAINS.values()]
    weights = np.zeros((vertices, 16))
    weights[np.arange(vertices), nearest] = 0.8
    weights[np.arange(vertices), np.maximum(np.array(PARENTS)[nearest], 0)] += 0.2
    regressor = rng.uniform(0.1, 1, (16, vertices)) * (nearest == np.arange(16)[:, None])
    hand = {
        "v_template": template,
        "shapedirs": rng.normal(0, 0.002, (vertices, 3, 10)),
        "posedirs": rng.normal(0, 0.0005, (vertices, 3, 135)),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "weights": weights,
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], list(range(16))], np.uint32),
        "f": rng.integers(0, vertices, (2 * vertices, 3)).astype(np.uint32),
        "hands_mean": rng.normal(0, 0.2, 45),
        "hands_components": np.eye(45),
    }
    return hand if vertices == 778 else hand | {"tips": np.array(ids)}


def write_npz(path: Path, hand: dict[str, np.ndarray]) -> Path:
    """Write a hand as .npz, all arrays dense."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **hand)
    return path


def write_pickle(path: Path, hand: dict[str, np.ndarray], *, protocol: int = 2) -> Path:
    """Write a hand as MANO's own pickles are: Python 2, chumpy, SciPy (`protocol` 1 or 2)."""
    wide = np.zeros((*hand["shapedirs"].shape[:2], 20))
    wide[..., :10] = hand["shapedirs"]
    picked = np.arange(wide.size).reshape(wide.shape)[..., :10]
    content: dict[str, Any] = dict(hand)
    content["shapedirs"] = Select(
        {"a": Ch({"x": wide, "_dirty_vars": set(), "_itr": None}), "idxs": picked.ravel(),
         "preferred_shape": picked.shape, "_make_dense": False}
    )  # fmt: skip
    content["posedirs"] = Ch({"x": hand["posedirs"], "_itr": None})
    content["J_regressor"] = sparse(hand["J_regressor"])
    content |= {"bs_style": "lbs", "bs_type": "lrotmin"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(python2_pickle(content, protocol))
    return path


class _Stated:
    """An object that is nothing but its attributes."""

    def __init__(self, state: dict[str, Any]):
        self.__dict__.update(state)


class Ch(_Stated):
    """chumpy.ch.Ch: a value."""


class Select(_Stated):
    """chumpy.reordering.Select: places of another value."""


class Csc(_Stated):
    """scipy.sparse.csc.csc_matrix."""


def sparse(dense: np.ndarray) -> Csc:
    """Return a matrix in compressed columns, as SciPy keeps it."""
    columns, rows = np.nonzero(dense.T)
    pointers = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=0))]).astype(np.int32)
    return Csc(
        {"_shape": dense.shape, "maxprint": 50, "data": dense[rows, columns],
         "indices": rows.astype(np.int32), "indptr": pointers}
    )  # fmt: skip


_OFFICIAL = {Ch: "chumpy.ch\nCh", Select: "chumpy.reordering\nSelect",
             Csc: "scipy.sparse.csc\ncsc_matrix"}  # fmt: skip


class _Python2(pickle._Pickler):
    """Writes bytes as Python 2's texts, old module names, and classes that are not installed."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_text(self, obj: bytes | str) -> None:
        text = obj.encode("latin1") if isinstance(obj, str) else obj
        self.write(pickle.BINSTRING + struct.pack("<i", len(text)) + text)
        self.memoize(obj)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj in _OFFICIAL:
            self.write(pickle.GLOBAL + _OFFICIAL[obj].encode() + b"\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch[bytes] = save_text
    dispatch[str] = save_text


def python2_pickle(value: Any, protocol: int = 2) -> bytes:
    """Pickle a value as Python 2 with NumPy 1 would have."""
    stream = io.BytesIO()
    _Python2(stream, protocol).dump(value)
    return stream.getvalue().replace(b"numpy._core.", b"numpy.core.")


def plain_rotation(vector: np.ndarray) -> np.ndarray:
    """A rotation matrix from its vector, by turning the three axes one by one."""
    angle = float(np.sqrt((vector**2).sum()))
    if angle == 0:
        return np.eye(3)
    axis = vector / angle
    turned = [
        e * np.cos(angle) + np.cross(axis, e) * np.sin(angle)
        + axis * (axis @ e) * (1 - np.cos(angle))
        for e in np.eye(3)
    ]  # fmt: skip
    return np.stack(turned, axis=1)


def plain_hand(
    hand: dict[str, np.ndarray],
    pose: np.ndarray,
    betas: np.ndarray,
    trans: np.ndarray,
    *,
    flat_hand_mean: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Pose one hand by plain loops over 4 x 4 matrices: 21 joints and all vertices, metres."""
    pose = pose.reshape(16, 3).copy()
    if not flat_hand_mean:
        pose[1:] += hand["hands_mean"].reshape(15, 3)
    R = [plain_rotation(vector) for vector in pose]
    shaped = hand["v_template"] + hand["shapedirs"] @ betas
    rest = hand["J_regressor"] @ shaped
    bent = np.concatenate([(R[k] - np.eye(3)).ravel() for k in range(1, 16)])
    shaped = shaped + hand["posedirs"] @ bent
    chain = []
    for k, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = R[k]
        local[:3, 3] = rest[k] - (rest[parent] if parent >= 0 else 0)
        chain.append(chain[parent] @ local if parent >= 0 else local)
    vertices = np.zeros_like(shaped)
    for v in range(len(shaped)):
        for k in np.flatnonzero(hand["weights"][v]):
            moved = chain[k] @ np.append(shaped[v] - rest[k], 1)
            vertices[v] += hand["weights"][v, k] * moved[:3]
    joints = np.array([chain[k][:3, 3] for k in range(16)])
    tips = vertices[hand.get("tips", MANO_TIPS)]
    return np.concatenate([joints, tips]) + trans, vertices + trans
