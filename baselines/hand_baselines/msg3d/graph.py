"""The hand as a graph, and its disentangled scales.

Conventions
-----------
Joints are in OpenPose order (wrist, then thumb to little finger, base to tip); right hand first
where there are two. Edges have no direction: the five fingers from the wrist on, and the palm
between the bases of neighbouring fingers, 24 edges, as Assembly101's graph has them without its
palm joint (facts/assemblyhands.md 3.5). The longest way is 8 edges, from one fingertip to another.

Source: Liu et al., Disentangling and Unifying Graph Convolutions for Skeleton-Based Action
Recognition, CVPR 2020, sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hand_bench.array_types import Float
from hand_bench.joint_sets import OPENPOSE

JOINTS = 21
#: Bases of the fingers, thumb first: neighbours are joined across the palm.
_BASES = (1, 5, 9, 13, 17)
HAND_EDGES: tuple[tuple[int, int], ...] = (
    *OPENPOSE.bones,
    *pairwise(_BASES),
)


def hand_adjacency(*, joined: bool = False) -> Float[np.ndarray, "joints joints"]:
    """Return the adjacency of one hand (21 joints), or of both, `joined` at the wrists (42)."""
    if not joined:
        return adjacency(HAND_EDGES, JOINTS)
    left = [(a + JOINTS, b + JOINTS) for a, b in HAND_EDGES]
    return adjacency([*HAND_EDGES, *left, (0, JOINTS)], 2 * JOINTS)


def adjacency(edges: Sequence[tuple[int, int]], joints: int) -> Float[np.ndarray, "joints joints"]:
    """Return the symmetric adjacency of a graph, 0 on its diagonal."""
    found = np.zeros((joints, joints))
    for a, b in edges:
        found[a, b] = found[b, a] = 1
    return found


def windowed(
    adjacent: Float[np.ndarray, "joints joints"], window: int
) -> Float[np.ndarray, "nodes nodes"]:
    """Return the adjacency of a window of frames: a joint is joined to itself and its neighbours.

    In every frame of the window; nodes are numbered frame by frame.
    """
    own = adjacent + np.eye(len(adjacent))
    return np.tile(own, (window, window))


def exactly(
    adjacent: Float[np.ndarray, "joints joints"], steps: int
) -> Float[np.ndarray, "joints joints"]:
    """Return which joints are exactly so many steps apart, every joint being joined to itself.

    Beyond the longest way of the graph only the joints themselves are left.
    """
    itself = np.eye(len(adjacent))
    if steps == 0:
        return itself
    farther, nearer = _within(adjacent, steps), _within(adjacent, steps - 1)
    return (farther & ~nearer) + itself


def scales(
    adjacent: Float[np.ndarray, "joints joints"], count: int
) -> Float[np.ndarray, "rows joints"]:
    """Return the normalised scales 0 to count - 1 below one another: (count joints, joints).

    Each is D^(-1/2) A D^(-1/2); D is never zero, for every joint is joined to itself.
    """
    return np.concatenate([_normalised(exactly(adjacent, k)) for k in range(count)])


def _within(adjacent: np.ndarray, steps: int) -> np.ndarray:
    """Which joints are at most so many steps apart."""
    # Sums of 0 and 1 only: powers of large graphs would overflow.
    own, reached = adjacent + np.eye(len(adjacent)) > 0, np.eye(len(adjacent), dtype=bool)
    for _ in range(steps):
        reached = reached.astype(float) @ own > 0
    return reached


def _normalised(adjacent: np.ndarray) -> np.ndarray:
    root = adjacent.sum(axis=1) ** -0.5
    return root[:, None] * adjacent * root
