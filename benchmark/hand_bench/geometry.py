"""Cameras: world, camera and image coordinates.

Conventions
-----------
Camera frame: x right, y down, z forward, millimetres. ``T_world_from_camera`` (4x4) maps camera
points to world points. Pixels are what the source gives them; K is the usual 3x3 matrix. No
distortion here: the datasets that have any publish rectified data or are undistorted on reading.
Source: InterHand2.6M official transforms (facts 1.5).
"""

from __future__ import annotations

import numpy as np

from hand_bench.array_types import Float


def world_to_camera(
    joints: Float[np.ndarray, "*batch points 3"],
    T_world_from_camera: Float[np.ndarray, "*cameras 4 4"],
) -> Float[np.ndarray, "*batch points 3"]:
    """Bring world points into the camera frame. Cameras broadcast against the batch axes."""
    R, origin = T_world_from_camera[..., :3, :3], T_world_from_camera[..., None, :3, 3]
    return (joints - origin) @ R


def camera_to_world(
    joints: Float[np.ndarray, "*batch points 3"],
    T_world_from_camera: Float[np.ndarray, "*cameras 4 4"],
) -> Float[np.ndarray, "*batch points 3"]:
    """Bring camera points into the world frame."""
    R, origin = T_world_from_camera[..., :3, :3], T_world_from_camera[..., None, :3, 3]
    return joints @ np.swapaxes(R, -1, -2) + origin


def camera_pose(
    rotation: Float[np.ndarray, "3 3"], position: Float[np.ndarray, 3]
) -> Float[np.ndarray, "4 4"]:
    """Return T_world_from_camera for InterHand2.6M's ``X_C = R (X_W - position)``."""
    T_world_from_camera = np.eye(4)
    T_world_from_camera[:3, :3] = np.asarray(rotation).T
    T_world_from_camera[:3, 3] = position
    return T_world_from_camera


def project(
    joints: Float[np.ndarray, "*batch points 3"], K: Float[np.ndarray, "*cameras 3 3"]
) -> Float[np.ndarray, "*batch points 2"]:
    """Project camera points (mm) to pixels; points on the camera plane give infinities."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = joints[..., :2] / joints[..., 2:]
    focal = np.stack([K[..., 0, 0], K[..., 1, 1]], axis=-1)
    centre = np.stack([K[..., 0, 2], K[..., 1, 2]], axis=-1)
    return ratio * focal[..., None, :] + centre[..., None, :]


def back_project(
    joints_2d: Float[np.ndarray, "*batch points 2"],
    depth: Float[np.ndarray, "*batch points"],
    K: Float[np.ndarray, "*cameras 3 3"],
) -> Float[np.ndarray, "*batch points 3"]:
    """Return the camera points (mm) seen at pixels `joints_2d` at depth Z (mm)."""
    focal = np.stack([K[..., 0, 0], K[..., 1, 1]], axis=-1)
    centre = np.stack([K[..., 0, 2], K[..., 1, 2]], axis=-1)
    ray = (joints_2d - centre[..., None, :]) / focal[..., None, :]
    return np.concatenate([ray * depth[..., None], depth[..., None]], axis=-1)


def square_box(
    bbox: Float[np.ndarray, "*batch 4"], expansion: float = 1.25
) -> Float[np.ndarray, "*batch 4"]:
    """Return the square crop box (x, y, side, side) around boxes (x, y, w, h).

    The side is `expansion` times the longer side, the centre stays, nothing is clipped to the
    image: InterNet's ``process_bbox`` (facts 1.4).
    """
    side = expansion * np.maximum(bbox[..., 2], bbox[..., 3])
    corner = bbox[..., :2] + bbox[..., 2:] / 2 - side[..., None] / 2
    return np.concatenate([corner, side[..., None], side[..., None]], axis=-1)
