"""The skin of HandSim's hand as an implicit surface, and its first, fine mesh.

A field is negative inside: rounded cones around the bones (flattened towards the back of the hand),
pads, the ball of the thumb and of the little finger, webs, blended smoothly within the palm and
within each finger; a finger is blended with the palm, never with another finger. Millimetres.
The mesh comes from naive surface nets (one vertex per cell that the surface crosses).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hand_bench.array_types import Float, Int
from hand_bench.sim import anatomy
from hand_bench.sim.anatomy import Skeleton

PALM = "palm"
#: Blending of a finger with the palm, and of the cut at the wrist, mm.
FINGER_BLEND, CUT_BLEND = 5.0, 5.0
#: Where the hand ends, mm from the wrist towards the elbow.
CUT = 20.0
_BACK = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Cone:
    """A rounded cone: two balls and what is between them, flattened along `back`."""

    group: str
    bone: int
    start: Float[np.ndarray, 3]
    end: Float[np.ndarray, 3]
    radii: tuple[float, float]
    back: Float[np.ndarray, 3]
    #: Depth over breadth.
    depth: float
    blend: float

    def distance(self, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, " points"]:
        """Roughly the signed distance to the surface, mm."""
        stretch = np.eye(3) + (1 / self.depth - 1) * np.outer(self.back, self.back)
        axis = stretch @ (self.end - self.start)
        offset = (points - self.start) @ stretch
        along = np.clip(offset @ axis / max(axis @ axis, 1e-9), 0, 1)
        away = np.linalg.norm(offset - along[:, None] * axis, axis=1)
        return away - (self.radii[0] + along * (self.radii[1] - self.radii[0]))


def cones(skeleton: Skeleton) -> list[Cone]:
    """Return everything that the skin is stretched over."""
    shapes = [*_metacarpals(skeleton), *_palm_flesh(skeleton), *_webs(skeleton)]
    for finger in anatomy.FINGERS:
        shapes += _finger(skeleton, finger)
    return shapes


def field(shapes: list[Cone], points: np.ndarray, *, cut: float = CUT) -> Float[np.ndarray, " n"]:
    """Evaluate the hand's field at points (n, 3): negative inside, about millimetres."""
    palm = _group(shapes, PALM, points)
    whole = palm
    for finger in anatomy.FINGERS:
        one = _group(shapes, finger, points)
        whole = np.minimum(whole, smooth_min(palm, one, FINGER_BLEND))
    behind = points[:, 0] - (anatomy.WRIST[0] + cut)
    return -smooth_min(-whole, -behind, CUT_BLEND)


def smooth_min(left: np.ndarray, right: np.ndarray, blend: float) -> np.ndarray:
    """The smaller of two fields, rounded where they differ by less than `blend`."""
    near = np.maximum(blend - np.abs(left - right), 0) / blend
    return np.minimum(left, right) - near**2 * blend / 4


def gradient(shapes: list[Cone], points: np.ndarray, step: float = 0.05) -> np.ndarray:
    """Return the field's slope at points (n, 3), by central differences."""
    moved = (points + step * np.stack([np.eye(3), -np.eye(3)])[:, :, None]).reshape(-1, 3)
    values = field(shapes, moved).reshape(2, 3, len(points))
    return ((values[0] - values[1]) / (2 * step)).T


def project(shapes: list[Cone], points: np.ndarray, rounds: int = 4) -> np.ndarray:
    """Move points (n, 3) along the slope until they lie on the surface."""
    for _ in range(rounds):
        slope = gradient(shapes, points)
        size = np.maximum((slope**2).sum(axis=1), 0.05)
        points = points - np.clip(field(shapes, points) / size, -2, 2)[:, None] * slope
    return points


def surface_nets(
    shapes: list[Cone], cell: float
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Mesh the surface with cells of so many millimetres: closed, outward-facing triangles."""
    ends = np.concatenate([[shape.start, shape.end] for shape in shapes])
    low = ends.min(axis=0) - 25
    sides = [np.arange(a, b, cell) for a, b in zip(low, ends.max(axis=0) + 25, strict=True)]
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)
    values = field(shapes, grid.reshape(-1, 3)).reshape(grid.shape[:3])
    places, number = _net_vertices(values)
    return low + cell * places, _net_faces(values < 0, number)


def _net_vertices(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the crossings of each cell's edges (in cells), and each cell's vertex or -1."""
    cells = tuple(size - 1 for size in values.shape)
    total, count = np.zeros((*cells, 3)), np.zeros(cells)
    for axis in range(3):
        for first in range(2):
            for second in range(2):
                start = np.insert(np.array([first, second]), axis, 0)
                a = _corner(values, start, cells)
                b = _corner(values, start + np.eye(3, dtype=int)[axis], cells)
                crossed = (a < 0) != (b < 0)
                place = np.broadcast_to(start.astype(float), total.shape).copy()
                place[..., axis] = np.divide(a, a - b, out=np.zeros_like(a), where=crossed)
                total += place * crossed[..., None]
                count += crossed
    used = count > 0
    number = np.where(used, np.cumsum(used).reshape(cells) - 1, -1)
    return np.argwhere(used) + total[used] / count[used][:, None], number


def _corner(values: np.ndarray, start: np.ndarray, cells: tuple[int, ...]) -> np.ndarray:
    x, y, z = (slice(int(a), int(a) + size) for a, size in zip(start, cells, strict=True))
    return values[x, y, z]


def _net_faces(inside: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Two triangles around every grid edge that the surface crosses."""
    faces = []
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        ahead = np.roll(inside, -1, axis)
        edges = np.argwhere(inside != ahead)
        edges = edges[(edges[:, one] > 0) & (edges[:, two] > 0)]
        back_one, back_two = np.eye(3, dtype=int)[one], np.eye(3, dtype=int)[two]
        ring = (edges - back_one - back_two, edges - back_two, edges, edges - back_one)
        quad = np.stack([number[tuple(corner.T)] for corner in ring], axis=1)
        leaving = inside[tuple(edges.T)]
        quad[~leaving] = quad[~leaving][:, ::-1]
        faces += [quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]]
    return np.concatenate(faces)


def _group(shapes: list[Cone], group: str, points: np.ndarray) -> np.ndarray:
    value = np.full(len(points), 1e3)
    for shape in shapes:
        if shape.group == group:
            value = smooth_min(value, shape.distance(points), shape.blend)
    return value


def _finger(skeleton: Skeleton, finger: str) -> list[Cone]:
    """Three segments with their pads; the last ends in a ball whose pole is the tip."""
    chain, radii = skeleton.chain(finger), skeleton.radii[anatomy.FINGERS.index(finger)].copy()
    frame, depth = anatomy.finger_frame(finger), anatomy.FLATNESS[finger]
    back, bone = frame[:, 1], frame[:, 2]
    ends = chain.copy()
    ends[3] -= radii[3] * bone
    first, made = anatomy.first_joint(finger), []
    for k in range(3):
        segment = Cone(finger, first + k, ends[k], ends[k + 1], (radii[k], radii[k + 1]), back,
                       depth, 3.0)  # fmt: skip
        made.append(segment)
        if (finger, k) != ("thumb", 0):
            made.append(_pad(segment, k))
    return made


def _pad(segment: Cone, k: int) -> Cone:
    """The soft side of a segment, between its creases."""
    axis = segment.end - segment.start
    size = 0.80 * (segment.radii[0] + segment.radii[1]) / 2
    start, end = segment.start + 0.35 * axis, segment.start + (0.75 if k < 2 else 0.9) * axis
    lower = -(2.2 if k < 2 else 1.8) * segment.back
    return replace(segment, start=start + lower, end=end + lower, radii=(size, size * 0.96),
                   depth=0.95, blend=4.0)  # fmt: skip


def _metacarpals(skeleton: Skeleton) -> list[Cone]:
    """The palm's four rays with their knuckles, and the wrist."""
    place = _Palm(skeleton)
    thick = skeleton.palm[2]
    made = [
        Cone(PALM, 0, place.at(-30, 0, -1), place.at(14, 0, -1),
             (27 * skeleton.palm[1], 28 * skeleton.palm[1]),
             _BACK, 0.70 * thick / skeleton.palm[1], 12.0)
    ]  # fmt: skip
    carpal = {"index": 10.0, "middle": 3.0, "ring": -6.0, "pinky": -13.0}
    for finger, radial in carpal.items():
        knuckle = skeleton.chain(finger)[0]
        girth = skeleton.radii[anatomy.FINGERS.index(finger), 0]
        start, end = place.at(22, radial, -2), knuckle - 2.5 * _BACK
        made.append(Cone(PALM, 0, start, end, (13.0 * thick, girth * 1.04), _BACK, 0.95, 10.0))
        top = knuckle + 3.0 * _BACK
        bump = 0.72 * girth
        made.append(
            Cone(PALM, 0, top, top - 6 * place.towards, (bump, 0.8 * bump), _BACK, 0.9, 6.0)
        )
    return made


def _palm_flesh(skeleton: Skeleton) -> list[Cone]:
    """Balls of the thumb and of the little finger, the pad below the knuckles, the first web."""
    place, thick = _Palm(skeleton), skeleton.palm[2]
    thumb, index = skeleton.chain("thumb"), skeleton.chain("index")
    pinky, middle = skeleton.chain("pinky")[0], skeleton.chain("middle")[0]
    ray = thumb[1] - thumb[0]
    low = thumb[0] + 0.1 * ray + place.vector(0, -4, -5)
    made = [
        Cone(PALM, 13, low, thumb[0] + 0.8 * ray + place.vector(0, -3, -1),
             (14.5 * thick, 11.5 * thick), _BACK, 1.0, 12.0),
        Cone(PALM, 0, place.at(16, -15, -9 * thick), place.at(56, -29, -9 * thick),
             (13 * thick, 10 * thick), _BACK, 1.0, 10.0),
        Cone(PALM, 0, index[0] + place.vector(-6, -2, -8 * thick),
             middle + place.vector(-4, 0, -8 * thick), (9 * thick, 9 * thick), _BACK, 0.9, 10.0),
        Cone(PALM, 0, middle + place.vector(-4, 0, -8 * thick),
             pinky + place.vector(-2, 2, -6 * thick), (9 * thick, 8 * thick), _BACK, 0.9, 10.0),
    ]  # fmt: skip
    base = place.at(24, 10, -3)
    for outer, inner, size in ((0.55, 0.4, 9.0), (0.75, 0.55, 7.5), (0.92, 0.7, 5.5)):
        start, end = thumb[0] + outer * ray, base + inner * (index[0] - base)
        made.append(Cone(PALM, 0, start, end, (size, size), _BACK, 0.85, 12.0))
    return made


def _webs(skeleton: Skeleton) -> list[Cone]:
    """The skin between neighbouring fingers."""
    order = ("index", "middle", "ring", "pinky")
    made = []
    for one, two in pairwise(order):
        first, second = skeleton.chain(one), skeleton.chain(two)
        start, end = (chain[0] + 0.36 * (chain[1] - chain[0]) for chain in (first, second))
        low = -2.0 * _BACK
        made.append(Cone(PALM, 0, start + low, end + low, (6.0, 6.0), _BACK, 0.9, 7.0))
    return made


class _Palm:
    """Places in the palm by (towards the fingers, to the thumb, to the back), scaled."""

    def __init__(self, skeleton: Skeleton):
        self.scale = skeleton.palm
        self.towards = anatomy.in_palm(1, 0, 0)

    def vector(self, towards: float, radial: float, dorsal: float) -> np.ndarray:
        return anatomy.in_palm(*(np.array([towards, radial, dorsal]) * self.scale))

    def at(self, towards: float, radial: float, dorsal: float) -> np.ndarray:
        return anatomy.WRIST + self.vector(towards, radial, dorsal)
