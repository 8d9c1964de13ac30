"""A licence-free tree in the layout of Ego-Exo4D's prepared hand annotations, ugly cases included.

Bare NaN tokens, empty lists, wrists that are kept although their flag is False, joints that have a
position but do not count, takes and frames in no order, hands without neighbours.
"""

import json
import uuid
from pathlib import Path

import numpy as np

K = np.array([[150.0, 0, 255.5], [0, 150.0, 255.5], [0, 0, 1]])
SIDES = ("right", "left")
#: Takes, and frames with both hands, the right one only, the left one only of the released test.
TEST_SIZE = 86, 2_940, 888, 2_004


def folder(root: Path, layout: str, kind: str = "manual") -> Path:
    """Where a layout has its files: the script's output, its usual folder, or just the files."""
    return {
        "output": root / "annotation" / kind,
        "gt_output": root / "gt_output" / "annotation" / kind,
        "flat": root,
    }[layout]


def write(
    root: Path,
    split: str = "val",
    *,
    takes: int = 3,
    frames: int = 8,
    layout: str = "output",
    kind: str = "manual",
    private: bool = False,
    seed: int = 0,
) -> dict:
    """Write the file of a split and return what it holds; the public test file has no joints."""
    content = annotations(takes, frames, seed)
    if split == "test" and not private:
        content = without_truth(content)
    name = f"ego_pose_gt_anno_{split}_{'private' if private else 'public'}.json"
    save(folder(root, layout, kind) / name, content)
    return content


def save(path: Path, content: dict) -> Path:
    """Write a value as JSON; NaN becomes the bare token, as in the official files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def annotations(takes: int, frames: int, seed: int = 0) -> dict:
    """Annotations with truth: frames with both hands, one hand, missing and flagged joints."""
    rng = np.random.default_rng(seed)
    content = {}
    for take in range(takes):
        uid = str(uuid.UUID(bytes=rng.bytes(16)))
        numbers = 300 + 3 * np.cumsum(rng.choice([1, 1, 1, 2], frames))
        content[uid] = {
            str(number): _frame(rng, k, uid, f"unit_cooking_{take}_2", int(number))
            for k, number in rng.permutation(list(enumerate(numbers))).tolist()
        }
    return content


def _frame(rng: np.random.Generator, k: int, uid: str, name: str, number: int) -> dict:
    present = {"right": k % 4 != 2, "left": k % 4 != 1}
    frame = {}
    for side in SIDES:
        frame |= hand(rng, side, ugly=k % 4 == 3) if present[side] else absent(side)
    metadata = {"take_uid": uid, "take_name": name, "frame_number": number}
    return frame | {"metadata": metadata}


def hand(rng: np.random.Generator, side: str, *, ugly: bool = False) -> dict:
    """One hand in front of the camera; an ugly one has missing joints and a flagged wrist."""
    joints = np.cumsum(rng.normal(0, 0.01, (21, 3)), axis=0) + rng.normal([0, 0, 0.4], 0.03)
    projected = joints[:, :2] / joints[:, 2:] * 150 + 255.5
    valid = np.ones(21, bool)
    if ugly:
        valid[[0, 7, 8, 12]] = False
        joints[[7, 8]], projected[[7, 8]] = np.nan, np.nan
    corners = projected[valid].min(axis=0) - 20, projected[valid].max(axis=0) + 20
    return {
        f"{side}_hand_3d": joints.tolist(),
        f"{side}_hand_2d": projected.tolist(),
        f"{side}_hand_bbox": np.clip(np.concatenate(corners), 0, 511).tolist(),
        f"{side}_hand_valid_3d": valid.tolist(),
    }


def absent(side: str) -> dict:
    """A hand that is not there: four empty lists."""
    return {f"{side}_hand_{key}": [] for key in ("3d", "2d", "bbox", "valid_3d")}


def without_truth(content: dict) -> dict:
    """What the public test file keeps: boxes and metadata."""
    kept = ("right_hand_bbox", "left_hand_bbox", "metadata")
    return {
        uid: {number: {key: frame[key] for key in kept} for number, frame in frames.items()}
        for uid, frames in content.items()
    }


def write_test_of_official_size(root: Path) -> Path:
    """Write a public test file with as many takes, frames and hands as the released one."""
    takes, both, right, left = TEST_SIZE
    kinds = [(1, 1)] * both + [(1, 0)] * right + [(0, 1)] * left
    content: dict = {f"take-{k:02d}": {} for k in range(takes)}
    for number, present in enumerate(kinds):
        uid = f"take-{number % takes:02d}"
        content[uid][str(number)] = {
            "right_hand_bbox": [10.5, 20.0, 60.0, 90.0] if present[0] else [],
            "left_hand_bbox": [310.0, 20.0, 360.0, 90.25] if present[1] else [],
            "metadata": {"take_uid": uid, "take_name": uid, "frame_number": number},
        }
    return save(root / "ego_pose_gt_anno_test_public.json", content)


def write_camera_pose(
    root: Path, split: str, uid: str, K: np.ndarray, name: str = "aria01"
) -> Path:
    """Write the raw annotations' camera file of a take: the Aria camera and an outside one."""
    path = root / "annotations" / "ego_pose" / split / "camera_pose" / f"{uid}.json"
    cameras = {
        "metadata": {"take_uid": uid},
        name: {
            "camera_intrinsics": np.asarray(K).tolist(),
            "camera_extrinsics": {"300": np.eye(4)[:3].tolist()},
        },
        "cam01": {"camera_intrinsics": (2 * np.eye(3)).tolist(), "camera_extrinsics": {}},
    }
    return save(path, cameras)
