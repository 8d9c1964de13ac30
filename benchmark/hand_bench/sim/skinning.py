"""Linear blend skinning for pictures: what `HandModel.vertices` gives, four times as fast.

32-bit, one shape for many poses, only the bones that move a vertex: right to 0.01 mm, which is
enough to be looked at. A hand is the same bytes alone and among others. Joints and scores are
computed with `HandModel` itself.
"""

from __future__ import annotations

import functools

import numpy as np

from hand_bench.array_types import Float
from hand_bench.hand_model import JOINTS, MM, HandModel, rotvec_to_rotmat
from hand_bench.sim.rasteriser import compiled


class Skinner:
    """A hand model laid out for posing many hands."""

    def __init__(self, model: HandModel):
        self.model = model
        # Row by row what each element of the 15 rotations does to all vertices.
        self.correctives = np.ascontiguousarray(
            MM * model.posedirs.reshape(-1, 135).T.astype(np.float32)
        )
        bones = int((model.weights > 0).sum(axis=1).max())
        order = np.argsort(-model.weights, axis=1, kind="stable")[:, :bones]
        self.bones = np.ascontiguousarray(order.astype(np.int32))
        weights = np.take_along_axis(model.weights, order, axis=1)
        self.weights = np.ascontiguousarray(weights.astype(np.float32))

    def vertices(
        self,
        rotvec: Float[np.ndarray, "hands 16 3"],
        betas: Float[np.ndarray, " betas"],
        translation: Float[np.ndarray, "hands 3"],
    ) -> Float[np.ndarray, "hands vertices 3"]:
        """Return the vertices (mm) of hands of one shape; zero is the flat hand."""
        rotations = rotvec_to_rotmat(rotvec)
        shaped = MM * (self.model.v_template + self.model.shapedirs @ betas)
        rest = self.model.J_regressor @ shaped
        moves = _bone_moves(rotations, rest, translation, self.model.parents)
        bent = (rotations[:, 1:] - np.eye(3)).reshape(-1, 135).astype(np.float32)
        points = _corrected(shaped.astype(np.float32).reshape(-1), bent, self.correctives)
        points = points.reshape(len(bent), -1, 3)
        _blend(points, moves, self.bones, self.weights)
        return points


def _bone_moves(
    rotations: np.ndarray, rest: np.ndarray, translation: np.ndarray, parents: tuple[int, ...]
) -> np.ndarray:
    """How each bone moves a point at rest, R and T: (hands, 16, 3, 4), 32-bit."""
    moves = np.empty((len(rotations), JOINTS, 3, 4))
    for joint, parent in enumerate(parents):
        if parent < 0:
            turn, place = rotations[:, joint], rest[joint] + translation
        else:
            above, offset = moves[:, parent, :, :3], moves[:, parent, :, 3]
            turn, place = above @ rotations[:, joint], above @ rest[joint] + offset
        moves[:, joint, :, :3] = turn
        moves[:, joint, :, 3] = place - turn @ rest[joint]
    return moves.astype(np.float32)


@compiled
def _corrected(shaped, bent, correctives):
    """Add pose correctives to a template, for each hand; a matrix product in a fixed order."""
    out = np.empty((len(bent), len(shaped)), np.float32)
    for n in range(len(bent)):
        row = out[n]
        row[:] = shaped
        for k in range(len(correctives)):
            amount, corrective = bent[n, k], correctives[k]
            for i in range(len(row)):
                row[i] += amount * corrective[i]
    return out


@compiled
def _blend(points, moves, bones, weights):
    """Move points (hands, vertices, 3) by the weighed moves of their bones, in place."""
    blended = np.empty(12, np.float32)
    for n in range(len(points)):
        flat = moves[n].reshape(-1)
        for i in range(points.shape[1]):
            blended[:] = 0
            for k in range(bones.shape[1]):
                weight, start = weights[i, k], 12 * bones[i, k]
                if weight == 0:
                    break
                for m in range(12):
                    blended[m] += weight * flat[start + m]
            x, y, z = points[n, i, 0], points[n, i, 1], points[n, i, 2]
            for c in range(3):
                a, b, d, t = (
                    blended[4 * c],
                    blended[4 * c + 1],
                    blended[4 * c + 2],
                    blended[4 * c + 3],
                )
                points[n, i, c] = a * x + b * y + d * z + t


@functools.cache
def skinners() -> tuple[Skinner, Skinner]:
    """Return skinners of HandSim's right and left hand."""
    from hand_bench.sim.hand import models

    right, left = models()
    return Skinner(right), Skinner(left)
