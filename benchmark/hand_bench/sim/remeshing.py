"""Fewer, rounder triangles: edge collapses, flips and relaxation on a closed mesh.

Used when the hand's file is built, not at run time. Every step keeps the mesh a closed manifold:
an edge is collapsed only if its ends share exactly two neighbours, and never where a triangle would
turn over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from hand_bench.array_types import Float, Int


class TriangleMesh:
    """A closed triangle mesh that can be edited."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        self.places = np.array(vertices, float)
        self.faces: dict[int, tuple[int, int, int]] = {
            k: (int(a), int(b), int(c)) for k, (a, b, c) in enumerate(faces)
        }
        self.around: dict[int, set[int]] = defaultdict(set)
        for k, face in self.faces.items():
            for vertex in face:
                self.around[vertex].add(k)

    def edges(self) -> Int[np.ndarray, "edges 2"]:
        """Every edge once, smaller vertex first, sorted."""
        return edges_of(np.array(list(self.faces.values())))

    def neighbours(self, vertex: int) -> set[int]:
        """The vertices that share an edge with this one."""
        return {v for face in self.around[vertex] for v in self.faces[face]} - {vertex}

    def collapse(self, keep: int, drop: int, place: np.ndarray, longest: float) -> bool:
        """Merge one vertex into another at `place`; False where that would harm the mesh."""
        ring = self.neighbours(keep), self.neighbours(drop)
        common = ring[0] & ring[1]
        if len(common) != 2 or min(len(self.around[v]) for v in common) < 5:
            return False
        others = list((ring[0] | ring[1]) - {keep, drop})
        if np.linalg.norm(self.places[others] - place, axis=1).max() > longest:
            return False
        dying = self.around[keep] & self.around[drop]
        changed = (self.around[keep] | self.around[drop]) - dying
        if any(self._turns(face, (keep, drop), place) for face in changed):
            return False
        for face in dying:
            self._remove(face)
        for face in list(self.around[drop]):
            corners = self.faces[face]
            self._remove(face)
            self._add(face, tuple(keep if v == drop else v for v in corners))
        self.places[keep] = place
        return True

    def flip(self, a: int, b: int) -> None:
        """Turn an edge to the other diagonal where that evens out the vertices' valences."""
        shared = list(self.around[a] & self.around[b])
        if len(shared) != 2:
            return
        first, second = (self._turned_to(face, a, b) for face in shared)
        (left, c), (right, d) = (first, second) if first[0] else (second, first)
        if not left or right or d in self.neighbours(c):
            return
        valence = [len(self.around[v]) for v in (a, b, c, d)]
        change = np.array([-1, -1, 1, 1])
        gain = np.sum((np.array(valence) - 6) ** 2) - np.sum((np.array(valence) + change - 6) ** 2)
        new = (a, d, c), (d, b, c)
        if gain <= 0 or min(valence[:2]) < 4 or not self._fits(new, shared):
            return
        for face in shared:
            self._remove(face)
        for face, corners in zip(shared, new, strict=True):
            self._add(face, corners)

    def relax(self, project: Callable[[np.ndarray], np.ndarray], amount: float = 0.6) -> None:
        """Move vertices towards the middle of their neighbours and back to the surface."""
        used = np.array(sorted(v for v in self.around if self.around[v]))
        edges = self.edges()
        both = np.concatenate([edges, edges[:, ::-1]])
        total, count = np.zeros_like(self.places), np.zeros(len(self.places))
        np.add.at(total, both[:, 0], self.places[both[:, 1]])
        np.add.at(count, both[:, 0], 1)
        middle = total[used] / count[used][:, None]
        moved = self.places[used] + amount * (middle - self.places[used])
        self.places[used] = project(moved)

    def arrays(self) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
        """Vertices that are used, and faces, renumbered."""
        faces = np.array(list(self.faces.values()))
        used, renumbered = np.unique(faces, return_inverse=True)
        return self.places[used], renumbered.reshape(-1, 3)

    def _turned_to(self, face: int, a: int, b: int) -> tuple[bool, int]:
        """Whether a face runs from a to b, and its third corner."""
        corners = self.faces[face]
        k = corners.index(a)
        ahead = corners[(k + 1) % 3] == b
        return ahead, corners[(k + 2) % 3] if ahead else corners[(k + 1) % 3]

    def _fits(self, new: tuple[tuple[int, int, int], ...], old: list[int]) -> bool:
        before = sum(_normal(self.places[list(self.faces[face])]) for face in old)
        return all(_cosine(_normal(self.places[list(corners)]), before) > 0.6 for corners in new)

    def _turns(self, face: int, moved: tuple[int, int], place: np.ndarray) -> bool:
        corners = self.faces[face]
        before = self.places[list(corners)]
        after = np.array([place if v in moved else self.places[v] for v in corners])
        return _cosine(_normal(before), _normal(after)) < 0.5

    def _remove(self, face: int) -> None:
        for vertex in self.faces.pop(face):
            self.around[vertex].discard(face)

    def _add(self, face: int, corners: tuple[int, ...]) -> None:
        self.faces[face] = (corners[0], corners[1], corners[2])
        for vertex in corners:
            self.around[vertex].add(face)


def remesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    spacing: Callable[[np.ndarray], np.ndarray],
    project: Callable[[np.ndarray], np.ndarray],
    rounds: int = 8,
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Coarsen a fine closed mesh until its edges are about `spacing(places)` long, mm."""
    mesh = TriangleMesh(vertices, faces)
    for k in range(rounds):
        _collapse_short(mesh, spacing, min(1.0, 0.45 + 0.1 * k))
        for a, b in mesh.edges():
            mesh.flip(int(a), int(b))
        mesh.relax(project)
    for _ in range(10):
        for a, b in mesh.edges():
            mesh.flip(int(a), int(b))
        mesh.relax(project)
    return mesh.arrays()


def edges_of(faces: np.ndarray) -> Int[np.ndarray, "edges 2"]:
    """Every edge of a mesh once, smaller vertex first, sorted."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def is_closed(faces: np.ndarray) -> bool:
    """Whether every edge belongs to two faces that run along it in opposite directions."""
    ahead = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    once = len(np.unique(ahead, axis=0)) == len(ahead)
    return once and 2 * len(edges_of(faces)) == len(ahead)


def _collapse_short(
    mesh: TriangleMesh, spacing: Callable[[np.ndarray], np.ndarray], share: float
) -> None:
    """Collapse edges shorter than a share of the spacing, the shortest first."""
    for _ in range(6):
        edges = mesh.edges()
        middles = mesh.places[edges].mean(axis=1)
        wanted = spacing(middles)
        ratio = np.linalg.norm(mesh.places[edges[:, 0]] - mesh.places[edges[:, 1]], axis=1) / wanted
        short = np.flatnonzero(ratio < 0.8 * share)
        touched: set[int] = set()
        for k in short[np.argsort(ratio[short], kind="stable")]:
            a, b = (int(v) for v in edges[k])
            free = a not in touched and b not in touched
            if free and mesh.collapse(a, b, middles[k], 1.5 * wanted[k]):
                touched |= mesh.neighbours(a)
        if not touched:
            return


def _normal(corners: np.ndarray) -> np.ndarray:
    return np.cross(corners[1] - corners[0], corners[2] - corners[0])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-12))
