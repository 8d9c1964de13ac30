"""What makes a mesh a hand model: skinning weights, shape directions, joint regressor.

Used when the hand's file is built. Millimetres.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hand_bench.array_types import Float, Int
from hand_bench.hand_model import rotvec_to_rotmat
from hand_bench.sim import anatomy, surface
from hand_bench.sim.anatomy import Skeleton
from hand_bench.sim.remeshing import edges_of

#: Rounds of smoothing of the weights over the mesh, and bones that may move one vertex.
SMOOTHING, BONES = 4, 4
#: Vertices around a joint that its place is computed from.
REGRESSED = 160
#: Flexions at which the bent skin is looked at, degrees; the largest correction, and how far from
#: the joint it fades (gone at twice that), mm.
BENT, BULGE, REACH = (45.0, 90.0), 3.5, 12.0


def skinning_weights(
    vertices: np.ndarray, faces: np.ndarray, skeleton: Skeleton
) -> Float[np.ndarray, "vertices 16"]:
    """Return each vertex's share in the 16 bones: nearest bone, smoothed over the mesh."""
    weights = smoothed(faces, np.eye(16)[nearest_bone(vertices, skeleton)], SMOOTHING)
    least = np.sort(weights, axis=1)[:, [-BONES]]
    weights = np.where((weights >= least) & (weights > 0.01), weights, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def nearest_bone(vertices: np.ndarray, skeleton: Skeleton) -> Int[np.ndarray, " vertices"]:
    """Return the bone that each vertex belongs to most."""
    distances = [_palm_distance(vertices, skeleton)]
    segments = [np.zeros(len(vertices), int)]
    for finger in anatomy.FINGERS:
        chain, radii = skeleton.chain(finger), skeleton.radii[anatomy.FINGERS.index(finger)]
        bone = anatomy.finger_frame(finger)[:, 2]
        along = (vertices - chain[0]) @ bone
        reach = np.linalg.norm(chain - chain[0], axis=1)
        segment = np.clip(np.searchsorted(reach[:3], along) - 1, 0, 2)
        away = np.linalg.norm(
            vertices - chain[0] - np.clip(along, 0, reach[3])[:, None] * bone, axis=1
        )
        away = away - np.interp(along, reach, radii)
        # Fingers begin at the knuckle's plane; the thumb's metacarpal competes with the palm.
        behind = (along < 0) if finger != "thumb" else np.zeros(len(along), bool)
        before = (segment > 0) & (away < 12) if finger == "thumb" else ~behind
        distances.append(np.where(behind, 1e3, np.where(before, away - 1e3, away)))
        segments.append(anatomy.first_joint(finger) + segment)
    nearest = np.argmin(np.array(distances), axis=0)
    return np.array(segments)[nearest, np.arange(len(vertices))]


def shape_directions(
    vertices: np.ndarray, weights: np.ndarray, tips: np.ndarray
) -> Float[np.ndarray, "vertices 3 10"]:
    """Return how each shape coefficient moves the vertices, mm for one unit."""
    directions = np.zeros((len(vertices), 3, anatomy.BETAS))
    for k in range(anatomy.BETAS):
        ends = []
        for sign in (1, -1):
            skeleton = anatomy.skeleton(sign * np.eye(anatomy.BETAS)[k])
            moved = stretch(vertices, weights, skeleton)
            moved = surface.project(surface.cones(skeleton), moved)
            moved[tips] = skeleton.tips
            ends.append(moved)
        directions[:, :, k] = (ends[0] - ends[1]) / 2
    return directions


def stretch(
    vertices: np.ndarray, weights: np.ndarray, skeleton: Skeleton
) -> Float[np.ndarray, "vertices 3"]:
    """Bring vertices of the mean hand to another skeleton: bones grow along and across."""
    mean = anatomy.skeleton()
    palm = np.diag([skeleton.palm[0], skeleton.palm[2], skeleton.palm[1]])
    moved = weights[:, :1] * (anatomy.WRIST + (vertices - anatomy.WRIST) @ palm)
    for k, finger in enumerate(anatomy.FINGERS):
        bone = anatomy.finger_frame(finger)[:, 2]
        old, new = mean.chain(finger), skeleton.chain(finger)
        girth = skeleton.radii[k, 0] / mean.radii[k, 0]
        for segment in range(3):
            joint = anatomy.first_joint(finger) + segment
            length = np.linalg.norm(new[segment + 1] - new[segment])
            length /= np.linalg.norm(old[segment + 1] - old[segment])
            grown = girth * np.eye(3) + (length - girth) * np.outer(bone, bone)
            place = new[segment] + (vertices - old[segment]) @ grown
            moved += weights[:, [joint]] * place
    return moved


def pose_directions(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray
) -> Float[np.ndarray, "vertices 3 135"]:
    """Return what bending adds to blended skin: knuckles and pads keep their girth, mm.

    The implicit surface is bent too (its bones turn); what the skin lacks to it at two angles of
    flexion becomes a term in the sine and one in one minus the cosine, both linear in the elements
    of the joint's rotation matrix. The joints next to the palm have none.
    """
    shapes = surface.cones(anatomy.skeleton())
    directions = np.zeros((len(vertices), 3, 15, 9))
    for joint in range(1, 16):
        if joint % 3 == 1:
            continue
        axis = anatomy.joint_frames()[joint - 1][:, 0]
        angles = np.deg2rad(BENT)
        lacks = [_lack(vertices, faces, weights, shapes, joint, angle * axis) for angle in angles]
        terms = np.stack([np.sin(angles), 1 - np.cos(angles)], axis=1)
        both = np.tensordot(np.linalg.inv(terms), np.array(lacks), axes=1)
        cross = np.cross(np.eye(3), -axis)
        for term, matrix in zip(both, (cross, cross @ cross), strict=True):
            share = matrix.ravel() / (matrix**2).sum()
            directions[:, :, joint - 1] += term[..., None] * share
    return directions.reshape(len(vertices), 3, 135)


def _lack(
    vertices: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    shapes: list[surface.Cone],
    joint: int,
    rotvec: np.ndarray,
) -> np.ndarray:
    """How far blended skin is from the bent surface, in the frame of the flat hand."""
    R, place = rotvec_to_rotmat(rotvec), anatomy.skeleton().joints[joint]
    last = 3 * ((joint - 1) // 3) + 3
    moved = weights[:, joint : last + 1].sum(axis=1)[:, None]
    blended = np.eye(3) + moved[..., None] * (R - np.eye(3))
    posed = place + (blended @ (vertices - place)[..., None])[..., 0]
    bent = [shape if not joint <= shape.bone <= last else _turned(shape, R, place)
            for shape in shapes]  # fmt: skip
    lack = surface.project(bent, posed) - posed
    size = np.linalg.norm(lack, axis=1, keepdims=True)
    lack = lack * np.minimum(1, BULGE / np.maximum(size, 1e-9))
    away = np.linalg.norm(vertices - place, axis=1, keepdims=True)
    lack = smoothed(faces, lack * np.clip(2 - away / REACH, 0, 1), 3)
    return np.linalg.solve(blended, lack[..., None])[..., 0]


def _turned(shape: surface.Cone, R: np.ndarray, place: np.ndarray) -> surface.Cone:
    start, end = (place + R @ (point - place) for point in (shape.start, shape.end))
    return replace(shape, start=start, end=end, back=R @ shape.back)


def smoothed(faces: np.ndarray, values: np.ndarray, rounds: int) -> np.ndarray:
    """Average values of vertices (vertices, n) half and half with their neighbours'."""
    edges = edges_of(faces)
    both = np.concatenate([edges, edges[:, ::-1]])
    count = np.bincount(both[:, 0], minlength=len(values))[:, None]
    for _ in range(rounds):
        total = np.zeros_like(values)
        np.add.at(total, both[:, 0], values[both[:, 1]])
        values = 0.5 * values + 0.5 * total / count
    return values


def joint_regressor(
    vertices: np.ndarray, directions: np.ndarray
) -> Float[np.ndarray, "16 vertices"]:
    """Return weights of vertices that give every joint exactly, at every shape.

    The smallest weights (near vertices cost less) that meet the joint's place and its change with
    each shape coefficient.
    """
    mean = anatomy.skeleton().joints
    units = np.eye(anatomy.BETAS)
    change = np.stack([anatomy.skeleton(unit).joints - mean for unit in units], axis=-1)
    regressor = np.zeros((16, len(vertices)))
    for joint in range(16):
        away = np.linalg.norm(vertices - mean[joint], axis=1)
        near = np.sort(np.argsort(away, kind="stable")[:REGRESSED])
        cheap = 1 / (away[near] + 5) ** 2
        rows = [np.ones((1, len(near))), (vertices[near] - mean[joint]).T]
        rows += [directions[near, :, k].T for k in range(anatomy.BETAS)]
        wanted = np.concatenate([[1, 0, 0, 0], change[joint].T.ravel()])
        matrix = np.concatenate(rows)
        regressor[joint, near] = cheap * (
            matrix.T @ np.linalg.lstsq((matrix * cheap) @ matrix.T, wanted, rcond=1e-13)[0]
        )
    return regressor


def _palm_distance(vertices: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Distance to the palm's rays less their thickness."""
    best = np.full(len(vertices), 1e3)
    for finger, radial in (("index", 10), ("middle", 3), ("ring", -6), ("pinky", -13)):
        start = anatomy.WRIST + anatomy.in_palm(-20, radial, 0)
        ray = skeleton.chain(finger)[0] - start
        along = np.clip((vertices - start) @ ray / (ray @ ray), 0, 1)
        best = np.minimum(
            best, np.linalg.norm(vertices - start - along[:, None] * ray, axis=1) - 13
        )
    return best
