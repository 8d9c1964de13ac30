"""Folders in the bring-your-own layout of several views (docs/bring-your-own.md), small and seeded.

Two sequences of jointed hands before cameras with lenses; the second has frames without a left
hand. Every form of table and of rig can be written.
"""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench.joint_sets import convert
from hand_bench.skeleton_world import CENTRE, SkeletonWorld

SEQUENCES = ("desk-1", "desk-2")
SERIALS = ("C10095_rgb", "C10115_rgb", "C10118_rgb")
LENS = (-0.13, 0.12, 1e-4, -2e-4, -0.02, 0.0, 0.0, 0.0)
SIZE = (1920, 1080)


@dataclass(frozen=True)
class Take:
    """One sequence: frames, joints in the world [n, right and left, 21, 3], OpenPose order."""

    name: str
    frames: np.ndarray
    joints: np.ndarray


def takes(frames: int = 5, seed: int = 0, around=CENTRE) -> list[Take]:
    """The sequences; the hands move near the point `around` (mm)."""
    world = SkeletonWorld(captures=1, sequences=2, hand_types=("interacting",), seed=seed)
    made = []
    for k, name in enumerate(SEQUENCES):
        numbers = 100 * k + 2 * np.arange(frames) + k
        take = replace(world.takes()[k], frames=2 * np.arange(frames))
        joints = world.joints(take).reshape(frames, 2, 21, 3) - CENTRE + np.asarray(around)
        made.append(Take(name, numbers, convert(joints, "interhand21", "openpose21")))
    return made


def camera_from_world(k: int) -> np.ndarray:
    """The pose of camera k: 900 mm from the hands, around them, [4, 4]."""
    angle = np.radians(-60 + 60 * k)
    z = np.array([np.sin(angle), 0.3, np.cos(angle)])
    z /= np.linalg.norm(z)
    x = np.cross([0, 1, 0], z)
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = [x, np.cross(z, x), z]
    pose[:3, 3] = -pose[:3, :3] @ (CENTRE - 900 * z)
    return pose


def K(k: int = 0) -> np.ndarray:
    """The intrinsics of camera k."""
    return np.array([[1246.0 + k, 0, 952], [0, 1247.0, 521], [0, 0, 1]])


def rig(cameras: int = 3, *, moving: int | None = None, frames: int = 5) -> dict:
    """Return rig.json; camera `moving` has a pose for every frame but the first one."""
    listed = []
    for k in range(cameras):
        item = {"name": SERIALS[k], "width": SIZE[0], "height": SIZE[1], "K": K(k).tolist()}
        item["distortion"] = list(LENS)
        view = camera_from_world(k)
        if k == moving:
            shift = np.eye(4)
            poses = {}
            for take in takes(frames):
                poses[take.name] = {}
                for f, frame in enumerate(take.frames[1:], start=1):
                    shift[2, 3] = 10.0 * f
                    poses[take.name][f"{frame:06d}"] = (shift @ view)[:3].tolist()
            item["T_camera_from_world"] = poses
        elif k % 2:
            item["T_world_from_camera"] = np.linalg.inv(view).tolist()
        else:
            item["T_camera_from_world"] = view[:3].tolist()
        listed.append(item)
    return {"frame_rate": 60, "release": "desk 1", "licence": "CC0", "cameras": listed}


def nimble() -> list[dict]:
    """Return a calibration in the toolkit's form: cameras that stand and two of a headset."""
    items = [_nimble(k, SERIALS[k], "OpenCV") for k in range(3)]
    items += [_nimble(k, f"8435535{k}_mono10bit", "OVFishEye62") for k in range(2)]
    for item in items[3:]:
        item |= {"Type": "CX3", "ParentName": "cx3-02"}
    return items


def _nimble(k: int, serial: str, model: str) -> dict:
    lens = dict.fromkeys((*(f"k{i}" for i in range(1, 7)), *(f"p{i}" for i in range(1, 5))), 0.0)
    lens |= dict(zip(("k1", "k2", "p1", "p2", "k3"), LENS[:5], strict=True))
    camera = {
        "DistortionModel": model,
        "SerialNo": serial,
        "ImageSizeX": SIZE[0],
        "ImageSizeY": SIZE[1],
        "ModelViewMatrix": camera_from_world(k).tolist(),
        "fx": K(k)[0, 0],
        "fy": K(k)[1, 1],
        "cx": K(k)[0, 2],
        "cy": K(k)[1, 2],
        **lens,
    }
    # The real files call most headset cameras exocentric: this must not matter.
    return {"Camera": camera, "MountingLocation": "Exocentric", "Type": "OptiTrack Color Camera"}


def calib_txt() -> str:
    """Return calib.txt: 8 lines for each camera, with blank lines between them."""
    blocks = []
    for k, serial in enumerate(SERIALS):
        lines = [serial, *(" ".join(map(repr, row)) for row in K(k).tolist()), "0 0 0 0 0"]
        lines += [" ".join(map(repr, row)) for row in camera_from_world(k)[:3].tolist()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def rows(made: list[Take], *, withheld: bool = False) -> list[dict]:
    """One row per hand; joint 8 of every hand is not valid, the last left hands are not there."""
    listed = []
    for k, take in enumerate(made):
        for f, frame in enumerate(take.frames):
            for s, side in enumerate(("right", "left")):
                if k == 1 and s == 1 and f >= len(take.frames) - 2:
                    continue
                joints = None if withheld else take.joints[f, s].ravel().tolist()
                row = {"sequence": take.name, "frame": int(frame), "hand_side": side}
                listed.append(row | {"joints": joints, "valid": [j != 8 for j in range(21)]})
    return listed[::-1]


def write_table(folder: Path, made: list[Take], form: str = "parquet", **options) -> Path:
    """Write annotations.parquet, .csv or .json ("joint_3d": AssemblyHands' own form)."""
    folder.mkdir(parents=True, exist_ok=True)
    if form == "joint_3d":
        path = folder / "annotations.json"
        path.write_text(json.dumps({"annotations": {t.name: _joint_3d(t) for t in made}}))
        return path
    path, listed = folder / f"annotations.{form}", rows(made, **options)
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(listed), path)
    elif form == "json":
        path.write_text(json.dumps(listed))
    else:
        _write_csv(path, listed)
    return path


def _write_csv(path: Path, listed: list[dict]) -> None:
    keys = ("sequence", "frame", "hand_side")
    flat = [
        {key: row[key] for key in keys}
        | {f"joints_{j}": v for j, v in enumerate(row["joints"] or [""] * 63)}
        | {f"valid_{j}": int(v) for j, v in enumerate(row["valid"])}
        for row in listed
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)


def _joint_3d(take: Take) -> dict:
    found = {}
    for frame, hands in zip(take.frames, take.joints, strict=True):
        official = convert(hands, "openpose21", "assemblyhands21").reshape(42, 3)
        found[f"{frame:06d}"] = {"world_coord": official.tolist()}
    return found


def write_multiview(
    root: Path, form: str = "parquet", *, frames: int = 5, moving: int | None = None
) -> list[Take]:
    """Write a whole folder with rig.json."""
    made = takes(frames)
    write_table(root, made, form)
    (root / "rig.json").write_text(json.dumps(rig(moving=moving, frames=frames)))
    return made
