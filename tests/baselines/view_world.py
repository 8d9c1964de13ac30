"""A small recording of HandSim's hands by calibrated cameras: pictures with a dot on every joint.

It takes the place of HandSim's look-alike of AssemblyHands' annotation tables, whose pictures take
minutes. The cameras have AssemblyHands' lens, and the calibration is also written in the toolkit's
form (facts/assemblyhands.md 1.6b).
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from hand_bench import annotations
from hand_bench.calibration import Camera, invert_pose
from hand_bench.joint_sets import HAND_SIDES, permutation
from hand_bench.readers.multiview import hand_boxes
from hand_bench.sim.hand import models
from hand_bench.sim.viewpoints import look_at

WORLD = "handsim-assemblyhands"
TRACK = "handsim-assemblyhands-annotation"
NAMES = ("C10095_rgb", "C10115_rgb", "C10118_rgb", "C10119_rgb", "C10379_rgb")
PLACES = ((500, 600, 500), (70, 1100, 50), (650, 150, 90), (500, 600, -300), (-40, 50, -800))
SIZE = (192, 108)
LENS = np.array([-0.127, 0.122, 3e-4, 3e-4, -0.018, 0, 0, 0])
FRAMES = (4, 6, 8, 10)
SEQUENCE = "desk"


def cameras() -> list[Camera]:
    """Five cameras around the origin, a tenth of the real rig's pixels."""
    K = np.array([[160.0, 0, 95.8], [0, 160.0, 52.3], [0, 0, 1]])
    return [
        Camera(name, "opencv", K, LENS, look_at(place, (0, 0, 0)), "world", *SIZE)
        for name, place in zip(NAMES, PLACES, strict=True)
    ]


def hands(split: str) -> np.ndarray:
    """Joints (frames, 2, 21, 3) in the world, mm, OpenPose order: HandSim's hands, bent anew."""
    rng = np.random.default_rng(len(split))
    order = permutation("mano21", "openpose21")
    sides = []
    for k, model in enumerate(models()):
        rotvec = rng.normal(0, 0.2, (len(FRAMES), 16, 3))
        joints = model.joints(rotvec=rotvec, betas=np.zeros(10), flat_hand_mean=False)[:, order]
        middle = np.array([70.0 if k else -70.0, 10, 0]) + rng.normal(0, 10, (len(FRAMES), 3))
        sides.append(joints - joints[:, 9:10] + middle[:, None])
    return np.stack(sides, axis=1)


def write_pictures(root: Path, split: str, joints: np.ndarray) -> None:
    """Write ``images/SPLIT/CAMERA/FRAME.png`` below the root."""
    for camera in cameras():
        folder = root / "images" / split / camera.name
        folder.mkdir(parents=True, exist_ok=True)
        for frame, instant in zip(FRAMES, joints, strict=True):
            picture = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            for k, (u, v) in enumerate(camera.project_world(instant.reshape(-1, 3))):
                if 1 <= u < SIZE[0] - 1 and 1 <= v < SIZE[1] - 1:
                    picture[round(v), round(u)] = (255, 12 * (k % 21), 255 * (k // 21))
            Image.fromarray(picture).save(folder / f"{frame:06d}.png")


def write_world(home: Path) -> None:
    """Write the annotation tables of the world into a data folder."""
    for split in ("train", "val", "test"):
        joints = hands(split)
        write_pictures(home / WORLD, split, joints)
        folder = home / WORLD / f"annotation-{split}"
        annotations.write(folder / "annotations.parquet", _instants(split, joints))
        annotations.write(folder / "views.parquet", _views(split, joints))
        about = {"dataset": WORLD, "split": f"annotation-{split}", "root": str(home / WORLD)}
        (folder / "manifest.json").write_text(json.dumps(about), "utf-8")


def _instants(split: str, joints: np.ndarray) -> dict:
    n = len(FRAMES)
    sides = {f"{side}_joints": joints[:, k] for k, side in enumerate(HAND_SIDES)}
    return {
        "sample_id": [f"annotation-{split}/{SEQUENCE}/{frame:06d}" for frame in FRAMES],
        "sequence": [SEQUENCE] * n,
        "frame": np.array(FRAMES),
        "hand_type": ["interacting"] * n,
        "hand_type_valid": [True] * n,
        "annotator": ["machine"] * n,
        **sides,
        **{f"{side}_valid": np.ones((n, 21), bool) for side in HAND_SIDES},
    }


def _views(split: str, joints: np.ndarray) -> dict:
    rows = [(camera, k) for camera in cameras() for k in range(len(FRAMES))]
    n = len(rows)
    boxes = np.stack([boxes_of(camera, joints[k]) for camera, k in rows])
    return {
        "sample_id": [f"{split}/{camera.name}/{FRAMES[k]:06d}" for camera, k in rows],
        "sequence": [SEQUENCE] * n,
        "camera": [camera.name for camera, _ in rows],
        "frame": np.array([FRAMES[k] for _, k in rows]),
        "image": [f"images/{split}/{c.name}/{FRAMES[k]:06d}.png" for c, k in rows],
        "width": [SIZE[0]] * n,
        "height": [SIZE[1]] * n,
        "K": np.stack([camera.K for camera, _ in rows]),
        "distortion": np.stack([camera.coefficients for camera, _ in rows]),
        "T_world_from_camera": np.stack([camera.T_parent_from_camera for camera, _ in rows]),
        **{
            f"{side}_bbox": (np.nan_to_num(boxes[:, k]), np.isnan(boxes[:, k, 0]))
            for k, side in enumerate(HAND_SIDES)
        },
    }


def boxes_of(camera: Camera, joints: np.ndarray) -> np.ndarray:
    """Boxes (2, 4) of both hands in a camera, by the reader's rule."""
    inverse = invert_pose(camera.T_world_from_camera)
    local = joints @ inverse[:3, :3].T + inverse[:3, 3]
    return hand_boxes(camera, local[None], np.ones((1, 2, 21), bool))[0]


def write_nimble(path: Path, *, ego: str | None = "21110305_mono10bit") -> Path:
    """Write the rig in the toolkit's JSON form, with one headset camera (left out of the world)."""
    items = [_item(camera) for camera in cameras()]
    if ego is not None:
        lens = dict(items[0]["Camera"], SerialNo=ego, DistortionModel="OVFishEye62")
        items.append({"Camera": lens, "Type": "CX3", "ParentName": "cx3-01"})
    path.write_text(json.dumps(items), "utf-8")
    return path


def _item(camera: Camera) -> dict:
    names = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    return {
        "Camera": {
            "DistortionModel": "OpenCV",
            "ImageSizeX": SIZE[0],
            "ImageSizeY": SIZE[1],
            "ModelViewMatrix": invert_pose(camera.T_world_from_camera).tolist(),
            "SerialNo": camera.name,
            **dict(zip(names, camera.coefficients.tolist(), strict=True)),
            "p3": 0.0,
            "p4": 0.0,
            "fx": camera.K[0, 0],
            "fy": camera.K[1, 1],
            "cx": camera.K[0, 2],
            "cy": camera.K[1, 2],
        },
        "MountingLocation": "Exocentric",
        "Type": "OptiTrack Color Camera",
    }
