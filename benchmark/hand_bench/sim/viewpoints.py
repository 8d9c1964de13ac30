"""Where a camera stands, where it looks, and what of the world falls into its image.

World and camera conventions are those of `hand_bench.sim.scene`; millimetres, radians, pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hand_bench.array_types import Bool, Float
from hand_bench.calibration import OPENCV, Camera
from hand_bench.geometry import project, world_to_camera
from hand_bench.sim.scene import View

Point = Sequence[float] | np.ndarray


def look_at(
    position: Point, target: Point, up: Point = (0.0, 1.0, 0.0), roll: float = 0.0
) -> Float[np.ndarray, "4 4"]:
    """Return the pose (parent from camera) of a camera at `position` that looks at `target`.

    The top of its image points along `up` as far as that is possible; `roll` (radians) then turns
    the camera clockwise, as seen from behind it.

    Raises
    ------
    ValueError
        The camera looks along `up`, or `target` is where it stands.
    """
    position = np.asarray(position, float)
    forward = np.asarray(target, float) - position
    right = np.cross(forward, np.asarray(up, float))
    if np.linalg.norm(right) <= 1e-9 * np.linalg.norm(forward) * np.linalg.norm(up):
        raise ValueError(f"a camera at {position} that looks along {forward} has no way up: {up}")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
    pose[:3, 3] = position
    return pose


def pinhole(focal: float, centre: Point) -> Float[np.ndarray, "3 3"]:
    """Return K of square pixels."""
    return np.array([[focal, 0.0, centre[0]], [0.0, focal, centre[1]], [0.0, 0.0, 1.0]])


def in_view(
    view: View, points: Float[np.ndarray, "*batch points 3"]
) -> Bool[np.ndarray, "*batch points"]:
    """Whether world points are before the camera and inside its image; nothing hides them."""
    inside = world_to_camera(points, view.T_world_from_camera)
    if view.distortion is not None:
        lens = Camera(view.name, OPENCV, view.K, view.distortion, view.T_world_from_camera)
        return _inside(view, lens.project(inside)) & lens.sees(inside)
    return _inside(view, project(inside, view.K)) & (inside[..., 2] > 0)


def share_in_view(view: View, points: Float[np.ndarray, "*batch points 3"]) -> float:
    """Return the share (0 to 1) of world points that `in_view` finds in the image."""
    return float(in_view(view, points).mean())


def _inside(view: View, uv: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        inside = (uv >= -0.5) & (uv < np.array([view.width, view.height]) - 0.5)
    return np.asarray(inside.all(axis=-1))
