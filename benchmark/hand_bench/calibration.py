"""Calibrated cameras with lenses: the models and files of the AssemblyHands rig.

Conventions
-----------
Millimetres; camera frame x right, y down, z forward; pixel (0, 0) is the centre of the top-left
pixel (facts/assemblyhands.md 1.6). A camera's pose is ``T_parent_from_camera``. The parent is
"world" for cameras that stand; a headset's own frame ("cx3-01", "cx3-02") for the egocentric
cameras of the toolkit's JSON files, whose matrix is *not* a pose in the world (1.6b): give such a
camera the pose of a frame with `Camera.in_world`.

Lens models
-----------
``opencv``: k1, k2, p1, p2, k3, k4, k5, k6 (rational; all zero is a pinhole).
``ovfisheye62``: k1, ..., k6, p1, p2, a polynomial of the angle from the optical axis.

Files: ``nimble_json_calib/<sequence>.json`` (12 original cameras; `MountingLocation` is unreliable
and not read, the lens model tells them apart) and ``calib.txt`` (rectified exocentric cameras,
pinhole, image size not stated).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

from hand_bench.array_types import Bool, Float
from hand_bench.errors import DatasetError, Problem, unknown_name
from hand_bench.geometry import world_to_camera

WORLD = "world"
OPENCV, FISHEYE = "opencv", "ovfisheye62"
#: Names of the lens models in the toolkit's files.
_NIMBLE_MODELS = {"OpenCV": OPENCV, "OVFishEye62": FISHEYE}
_NIMBLE_COEFFICIENTS = {
    OPENCV: ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    FISHEYE: ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2"),
}
#: Coefficients that a model of those files does not use; they are stored as 0.
_NIMBLE_UNUSED = {OPENCV: ("k4", "k5", "k6", "p3", "p4"), FISHEYE: ("p3", "p4")}
#: Lines of a camera in calib.txt: name, K (3), distortion (1, not used), [R|t] (3).
_CALIB_LINES = 8


@dataclass(frozen=True)
class Camera:
    """One calibrated camera: lens, image size (None where the file does not say) and pose."""

    name: str
    model: str
    K: np.ndarray
    coefficients: np.ndarray
    T_parent_from_camera: np.ndarray
    parent: str = WORLD
    width: int | None = None
    height: int | None = None

    @property
    def T_world_from_camera(self) -> np.ndarray:
        """The pose in the world; ValueError for a camera whose pose is relative to a headset."""
        if self.parent != WORLD:
            raise ValueError(
                f"the pose of {self.name} is relative to {self.parent}, not to the world: "
                "give it the pose of a frame with in_world()"
            )
        return self.T_parent_from_camera

    def in_world(self, T_world_from_camera: np.ndarray) -> Camera:
        """Return the same camera with a pose in the world (of one frame of a moving headset)."""
        return replace(self, T_parent_from_camera=T_world_from_camera, parent=WORLD)

    def project(
        self, joints: Float[np.ndarray, "*batch points 3"]
    ) -> Float[np.ndarray, "*batch points 2"]:
        """Project camera points to pixels of the original, distorted image."""
        lens = project_opencv if self.model == OPENCV else project_fisheye
        return lens(joints, self.K, self.coefficients)

    def project_world(
        self, joints: Float[np.ndarray, "*batch points 3"]
    ) -> Float[np.ndarray, "*batch points 2"]:
        """Project world points to pixels of the original, distorted image."""
        return self.project(world_to_camera(joints, self.T_world_from_camera))

    def sees(
        self, joints: Float[np.ndarray, "*batch points 3"]
    ) -> Bool[np.ndarray, "*batch points"]:
        """Whether camera points are in front, where the lens model holds, and inside the image.

        Without an image size the last condition is left out.
        """
        across = np.linalg.norm(joints[..., :2], axis=-1)
        angle = np.arctan2(across, joints[..., 2])
        if self.model == OPENCV:
            seen = (joints[..., 2] > 0) & (np.tan(angle) < self.reach)
        else:
            seen = angle < self.reach
        if self.width is None or self.height is None:
            return seen
        uv = self.project(joints)
        with np.errstate(invalid="ignore"):
            inside = (uv >= -0.5) & (uv < np.array([self.width, self.height]) - 0.5)
        return seen & inside.all(axis=-1)

    @cached_property
    def reach(self) -> float:
        """Where the radial polynomial stops growing: tan of the angle (opencv), or the angle.

        Beyond it the model folds points back into the image.
        """
        t = Polynomial([0, 1])  # the squared radius
        k = self.coefficients
        if self.model == OPENCV:
            up, down = Polynomial([1, k[0], k[1], k[4]]), Polynomial([1, *k[5:8]])
            growth = up * down + 2 * t * (up.deriv() * down - up * down.deriv())
        else:
            up = Polynomial([1, *k[:6]])
            growth = up + 2 * t * up.deriv()
        roots = growth.trim().roots()
        turns = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
        limit = np.inf if self.model == OPENCV else np.pi
        return float(min(np.sqrt(turns.min(initial=np.inf)), limit))


def project_opencv(
    joints: Float[np.ndarray, "*batch points 3"],
    K: Float[np.ndarray, "*cameras 3 3"],
    distortion: Float[np.ndarray, "*cameras 8"],
) -> Float[np.ndarray, "*batch points 2"]:
    """Project camera points with OpenCV's rational model; cameras broadcast against the batch.

    Points on the camera plane give infinities or NaN; points behind the camera are not marked.
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = np.moveaxis(distortion, -1, 0)[..., None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x, y = joints[..., 0] / joints[..., 2], joints[..., 1] / joints[..., 2]
        t = x * x + y * y
        radial = (1 + t * (k1 + t * (k2 + t * k3))) / (1 + t * (k4 + t * (k5 + t * k6)))
        return _to_pixels(
            x * radial + 2 * p1 * x * y + p2 * (t + 2 * x * x),
            y * radial + 2 * p2 * x * y + p1 * (t + 2 * y * y),
            K,
        )


def project_fisheye(
    joints: Float[np.ndarray, "*batch points 3"],
    K: Float[np.ndarray, "*cameras 3 3"],
    coefficients: Float[np.ndarray, "*cameras 8"],
) -> Float[np.ndarray, "*batch points 2"]:
    """Project camera points with OVFishEye62 (facts/assemblyhands.md 1.6b).

    The roles of p1 and p2 are exchanged against OpenCV, and they apply after the radial part.
    """
    *radial, p1, p2 = np.moveaxis(coefficients, -1, 0)[..., None]
    across = np.linalg.norm(joints[..., :2], axis=-1)
    angle = np.arctan2(across, joints[..., 2])
    growth = np.ones_like(angle)
    for power, k in enumerate(radial, start=1):
        growth = growth + k * angle ** (2 * power)
    # Straight ahead the direction across is 0/0; the angle is 0 as well, so any number will do.
    scale = angle * growth / np.where(across > 0, across, 1.0)
    x, y = joints[..., 0] * scale, joints[..., 1] * scale
    s = x * x + y * y
    return _to_pixels(
        x + 2 * p2 * x * y + p1 * (s + 2 * x * x), y + 2 * p1 * x * y + p2 * (s + 2 * y * y), K
    )


def _to_pixels(x: np.ndarray, y: np.ndarray, K: np.ndarray) -> np.ndarray:
    u = K[..., 0, 0, None] * x + K[..., 0, 1, None] * y + K[..., 0, 2, None]
    return np.stack([u, K[..., 1, 1, None] * y + K[..., 1, 2, None]], axis=-1)


def invert_pose(pose: Float[np.ndarray, "*batch 4 4"]) -> Float[np.ndarray, "*batch 4 4"]:
    """Return the inverse of rigid transforms: world-from-camera for camera-from-world."""
    inverse = np.zeros_like(pose)
    R = np.swapaxes(pose[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = R
    inverse[..., :3, 3] = -(R @ pose[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1
    return inverse


def rigid_pose(
    matrix: Float[np.ndarray, "*batch rows 4"], where: str
) -> Float[np.ndarray, "*batch 4 4"]:
    """Complete [R|t] (3x4, or 4x4 already) to 4x4 and check that R is a rotation.

    Raises
    ------
    DatasetError
        HB203 for numbers that are not finite or no rotation (a reflection, a scale, transposed
        columns).
    """
    pose = np.zeros((*matrix.shape[:-2], 4, 4))
    pose[..., 3, 3] = 1
    pose[..., : matrix.shape[-2], :] = matrix
    R = pose[..., :3, :3]
    off = np.abs(R @ np.swapaxes(R, -1, -2) - np.eye(3)).max(initial=0)
    rigid = np.isfinite(pose).all() and off < 1e-3 and (np.linalg.det(R) > 0).all()
    if not (rigid and (pose[..., 3, :] == [0, 0, 0, 1]).all()):
        raise DatasetError(
            Problem(
                "HB203",
                where,
                "holds a camera pose that is no rotation and translation.",
                cause=f"R R^T differs from the identity by up to {off:.2g}; a row of another "
                "matrix, a scale or a reflection?",
            )
        )
    return pose


def bare_name(name: str) -> str:
    """Return a camera's serial number: `HMC_84358933_mono10bit` is 84358933, `C10095_rgb` C10095.

    The files write the same camera with and without these affixes (facts/assemblyhands.md 7.4).
    """
    return name.removeprefix("HMC_").removesuffix("_mono10bit").removesuffix("_rgb")


def find_camera(cameras: Sequence[Camera], name: str) -> Camera:
    """Return a camera by name, with or without prefix and suffix.

    Raises
    ------
    DatasetError
        HB208 where there is none; never another camera.
    """
    found = [camera for camera in cameras if bare_name(camera.name) == bare_name(name)]
    if not found:
        known = [camera.name for camera in cameras]
        raise DatasetError(unknown_name("camera", name, known, "HB208"))
    return found[0]


def read_nimble(path: str | Path) -> list[Camera]:
    """Read `nimble_json_calib/<sequence>.json`: the original cameras of one recording.

    Raises
    ------
    DatasetError
        HB203 for a file of another form, HB204 where a camera is listed twice.
    """
    path = Path(path)
    with _parsing(path):
        items = json.loads(path.read_text("utf-8"))
        if not isinstance(items, list):
            raise TypeError("not a list of cameras")
        cameras = [_nimble_camera(item, path) for item in items]
    return _unique(cameras, path)


def _nimble_camera(item: dict[str, Any], path: Path) -> Camera:
    known = item["Camera"]
    if known["DistortionModel"] not in _NIMBLE_MODELS:
        raise ValueError(f"DistortionModel {known['DistortionModel']!r}")
    model = _NIMBLE_MODELS[known["DistortionModel"]]
    unused = [name for name in _NIMBLE_UNUSED[model] if known.get(name, 0) != 0]
    if unused:
        raise ValueError(f"{known['SerialNo']} uses {', '.join(unused)}")
    K = np.array([[known["fx"], 0, known["cx"]], [0, known["fy"], known["cy"]], [0, 0, 1]], float)
    view = np.array(known["ModelViewMatrix"], float).reshape(4, 4)
    return Camera(
        str(known["SerialNo"]),
        model,
        K,
        np.array([known[name] for name in _NIMBLE_COEFFICIENTS[model]], float),
        invert_pose(rigid_pose(view, f"{path}, camera {known['SerialNo']}")),
        WORLD if model == OPENCV else str(item.get("ParentName", "headset")),
        int(known["ImageSizeX"]),
        int(known["ImageSizeY"]),
    )


def read_calib_txt(path: str | Path) -> list[Camera]:
    """Read `calib.txt`: the rectified exocentric cameras of one sequence (pinhole, no size).

    Raises
    ------
    DatasetError
        HB203 for a file of another form, HB204 where a camera is listed twice.
    """
    path = Path(path)
    with _parsing(path):
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
        if not lines or len(lines) % _CALIB_LINES:
            raise ValueError(f"{len(lines)} lines, not {_CALIB_LINES} for each camera")
        blocks = [lines[k : k + _CALIB_LINES] for k in range(0, len(lines), _CALIB_LINES)]
        cameras = [_text_camera(block, path) for block in blocks]
    return _unique(cameras, path)


def _text_camera(lines: list[str], path: Path) -> Camera:
    name, K, view = lines[0].strip(), _matrix(lines[1:4], 3), _matrix(lines[5:8], 4)
    pose = invert_pose(rigid_pose(view, f"{path}, camera {name}"))
    return Camera(name, OPENCV, K, np.zeros(8), pose)


def _matrix(lines: list[str], width: int) -> np.ndarray:
    return np.array([line.split() for line in lines], float).reshape(3, width)


def _unique(cameras: list[Camera], path: Path) -> list[Camera]:
    names = [bare_name(camera.name) for camera in cameras]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DatasetError(
            Problem("HB204", str(path), f"lists camera {', '.join(twice)} more than once.")
        )
    return cameras


@contextlib.contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Turn what a file of another form raises into HB203."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DatasetError(
            Problem(
                "HB203",
                str(path),
                f"is not a calibration file as documented: {type(error).__name__} {error}.",
                cause="A file of another release, or one that was cut off?",
            )
        ) from error
