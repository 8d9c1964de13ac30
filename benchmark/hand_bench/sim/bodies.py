"""Simple bodies that a hand can hold, by their signed distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hand_bench.array_types import Float

#: Round bodies stand along y.
ROUND = ("cylinder", "handle", "button")
FLAT = ("box", "plate", "card")
PRIMITIVES = ("sphere", *ROUND, *FLAT)


@dataclass(frozen=True)
class Body:
    """A primitive of three extents (x, y, z), mm, centred in its frame."""

    primitive: str
    size: Float[np.ndarray, " 3"]

    def distance(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch"]:
        """Return the signed distance of points in the body's frame, mm (negative inside)."""
        half = self.size / 2
        if self.primitive == "sphere":
            return np.linalg.norm(points, axis=-1) - half.min()
        if self.primitive in ROUND:
            around = np.hypot(points[..., 0], points[..., 2]) - min(half[0], half[2])
            beyond = np.stack([around, np.abs(points[..., 1]) - half[1]], axis=-1)
        else:
            beyond = np.abs(points) - half
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        return outside + np.minimum(beyond.max(axis=-1), 0)

    def axes(self) -> tuple[int, int, int]:
        """The body's axes from its shortest to its longest; the last of a round one is its own."""
        if self.primitive in ROUND:
            return (0, 2, 1)
        short, middle, long = np.argsort(self.size, kind="stable")
        return int(short), int(middle), int(long)

    def reach(self, direction: np.ndarray) -> float:
        """Half of the body's extent along a direction of its frame, mm."""
        half = self.size / 2
        if self.primitive == "sphere":
            return float(half.min())
        if self.primitive in ROUND:
            around = min(half[0], half[2]) * np.hypot(direction[0], direction[2])
            return float(around + half[1] * abs(direction[1]))
        return float(np.abs(direction) @ half)
