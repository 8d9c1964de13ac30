"""What HandSim's hand looks like: skin, nails, paler palms, redder fingertips; forearm and sleeve.

Colours are linear shares of red, green and blue, 0 to 1. Regions are found once on the right hand
at rest; the left hand has the same vertices.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hand_bench.array_types import Float, Int
from hand_bench.hand_model import MM
from hand_bench.sim import anatomy
from hand_bench.sim.anatomy import FINGERS

#: Displayed colours from pale to dark, between which people's skin lies (set by eye).
TONES = np.array(
    [[0.93, 0.76, 0.67], [0.88, 0.68, 0.56], [0.78, 0.56, 0.43], [0.62, 0.42, 0.30],
     [0.45, 0.29, 0.20], [0.32, 0.20, 0.14]]
)  # fmt: skip
#: Rings of the forearm and points of each, its length, mm, and how far the sleeve is from it.
RINGS, POINTS, LENGTH, LOOSE = 11, 20, 190.0, 4.0
#: Half breadth and half depth of the forearm at the wrist and at its far end, mm.
_WRIST, _FAR = np.array([27.0, 18.8]), np.array([38.0, 34.0])


@cache
def regions() -> Float[np.ndarray, "vertices 4"]:
    """Return how much each vertex of the hand belongs to nail, palm side, crease and red places."""
    from hand_bench.sim.hand import models

    model = models()[0]
    vertices, skeleton = model.v_template * MM, anatomy.skeleton()
    found = np.zeros((len(vertices), 4))
    bone = model.weights.argmax(axis=1)
    frames = np.concatenate([np.eye(3)[[2, 1, 0]].T[None], anatomy.joint_frames()])
    outwards = _normals(vertices, model.faces)
    facing = np.einsum("vi,vi->v", outwards, frames[bone][:, :, 1])
    facing[bone == 13] = outwards[bone == 13] @ np.array([0.2, 0.95, 0.2])
    towards = _step(anatomy.WRIST[0] - vertices[:, 0], -18.0, 12.0)
    found[:, 1] = _step(-facing, -0.1, 0.5) * towards
    for k, finger in enumerate(FINGERS):
        chain, frame = skeleton.chain(finger), anatomy.finger_frame(finger)
        mine = np.isin(bone, anatomy.first_joint(finger) + np.arange(3))
        for segment in (1, 2):
            along = np.abs((vertices - chain[segment]) @ frame[:, 2])
            near = mine * _step(-along, -4.5, -1.0)
            found[:, 2] = np.maximum(found[:, 2], near * found[:, 1])
            found[:, 3] = np.maximum(found[:, 3], 0.6 * near * (1 - found[:, 1]))
        last = bone == anatomy.first_joint(finger) + 2
        share = (vertices - chain[2]) @ frame[:, 2] / np.linalg.norm(chain[3] - chain[2])
        side = np.abs((vertices - chain[2]) @ frame[:, 0]) / skeleton.radii[k, 3]
        nail = _step(share, 0.32, 0.5) * _step(-side, -0.95, -0.6) * _step(facing, 0.3, 0.6)
        found[:, 0] = np.maximum(found[:, 0], last * nail)
        found[:, 3] = np.maximum(found[:, 3], 0.7 * last * _step(share, 0.5, 1.0))
    return found


def hand_colours(
    tone: Float[np.ndarray, 3], rng: np.random.Generator | None = None
) -> Float[np.ndarray, "vertices 3"]:
    """Return the colour of each vertex of a hand; `rng` adds faint blotches."""
    nail, palm, crease, red = (column[:, None] for column in regions().T)
    tone = np.asarray(tone, float)
    dark = 1 - tone.mean()
    # Palms hardly tan: the darker the skin, the larger the difference.
    pale = tone + (0.15 + 0.45 * dark) * palm * (np.array([0.86, 0.66, 0.56]) - tone).clip(0)
    colours = pale * (1 - 0.18 * crease)
    colours = colours * (1 - red * np.array([0.0, 0.09, 0.08]))
    nails = 0.55 * tone + 0.45 * np.array([0.93, 0.74, 0.70])
    colours = colours + nail * (nails - colours)
    if rng is not None:
        colours = colours * (1 + rng.normal(0, 0.012, (len(colours), 1)))
    return np.clip(colours, 0, 1)


def forearm(
    wrist: Float[np.ndarray, 3],
    R: Float[np.ndarray, "3 3"],
    side: str,
    *,
    scale: float = 1.0,
    towards: np.ndarray | None = None,
    loose: float = 0.0,
    start: float = 6.0,
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Return a closed tapered tube that goes on from the wrist.

    Parameters
    ----------
    wrist, R
        The wrist joint (mm) and the hand's rotation.
    side
        "right" or "left".
    scale
        Of its girth.
    towards
        Where the elbow lies from the wrist; by default straight on from the hand. The tube bends
        within its first third, as a wrist does.
    loose
        How much wider it is (a sleeve), mm.
    start
        Where it begins, mm behind the wrist joint; it ends at `LENGTH`.
    """
    straight = R @ np.array([1.0 if side == "right" else -1.0, 0.0, 0.0])
    end = straight if towards is None else np.asarray(towards, float) / np.linalg.norm(towards)
    gone = start + (LENGTH - start) * np.linspace(0, 1, RINGS) ** 1.2
    centres, ways = _middle_line(straight, end, gone)
    centres = wrist + centres
    across = np.cross(ways, R[:, 1])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    backs = np.cross(across, ways)
    sizes = (_WRIST + _step(gone, 0.0, LENGTH)[:, None] * (_FAR - _WRIST)) * scale + loose
    if not loose:
        # Begins inside the hand and comes out of it where the hand ends.
        sizes *= 0.8 + 0.2 * _step(gone, 6.0, 20.0)[:, None]
    angles = np.arange(POINTS) * 2 * np.pi / POINTS
    rings = (
        centres[:, None]
        + (sizes[:, :1] * np.cos(angles))[..., None] * across[:, None]
        + (sizes[:, 1:] * np.sin(angles))[..., None] * backs[:, None]
    )
    return np.concatenate([rings.reshape(-1, 3), centres[[0, -1]]]), _tube_faces()


def _middle_line(
    straight: np.ndarray, end: np.ndarray, gone: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Places and directions of a line that turns from one direction to another, by its length."""
    fine = np.arange(0.0, LENGTH + 1)
    ways = straight + _step(fine, 0.0, 0.35 * LENGTH)[:, None] * (end - straight)
    ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-6)
    places = np.cumsum(ways, axis=0) - ways[0]
    line = [np.stack([np.interp(gone, fine, column) for column in rows.T], 1)
            for rows in (places, ways)]  # fmt: skip
    return line[0], line[1] / np.linalg.norm(line[1], axis=1, keepdims=True)


@cache
def _tube_faces() -> np.ndarray:
    """Triangles of the tube and its two lids, outward-facing."""
    here = np.arange(POINTS)
    after = (here + 1) % POINTS
    faces = []
    for ring in range(RINGS - 1):
        a, b = ring * POINTS + here, ring * POINTS + after
        faces += [np.stack([a, b, b + POINTS], 1), np.stack([a, b + POINTS, a + POINTS], 1)]
    first, last = RINGS * POINTS, (RINGS - 1) * POINTS
    faces.append(np.stack([after, here, np.full(POINTS, first)], 1))
    faces.append(np.stack([last + here, last + after, np.full(POINTS, first + 1)], 1))
    return np.concatenate(faces)[:, ::-1]


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = vertices[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, faces[:, k], flat)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth step from 0 at `low` to 1 at `high`."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
