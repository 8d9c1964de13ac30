"""Licence-free pickles in the form of Epic-HandKps, ugly cases included.

Missing hands, images without any hand, flags as integers or booleans, lists and arrays, boxes that
are None or texts, joints outside the image, hands without a visible joint, images that only one of
the two files knows.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {"val": "hands_250.pkl", "test": "hands_5000.pkl"}
DETECTIONS = "grasp_visor_val.pkl"
VIDEOS = ("P04_04", "P01_107", "P22_117")


def write(
    root: Path,
    table: str = "test",
    *,
    images: int = 16,
    folder: str = "epic_hands",
    prefix: str = "./data/visor",
    detections: bool = True,
    protocol: int = 4,
    seed: int = 0,
) -> tuple[dict, dict]:
    """Write both pickles; return what they hold: labels and detected boxes."""
    labels = make_labels(images, prefix, seed)
    boxes = make_detections(labels, seed)
    save(root / folder / NAMES[table], labels, protocol)
    if detections:
        save(root / folder / DETECTIONS, boxes, protocol)
    return labels, boxes


def save(path: Path, content: Any, protocol: int = 4) -> Path:
    """Write a pickle of some protocol."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def make_labels(images: int, prefix: str, seed: int = 0) -> dict:
    """Labels of some images, in no order; the seventh of each eight has no hand at all."""
    rng = np.random.default_rng(seed)
    labels = {}
    for k in rng.permutation(images).tolist():
        video = VIDEOS[k % len(VIDEOS)]
        image = f"{prefix}/{video}/{video}_frame_{1234 + 17 * k:010d}.jpg"
        sides = {1: ("right",), 2: ("left",), 6: ()}.get(k % 8, ("right", "left"))
        labels[image] = {side: _hand(rng, k) for side in sides}
    return labels


def _hand(rng: np.random.Generator, k: int) -> dict:
    """One label; its form depends on the number of the image."""
    joints = rng.uniform([200, 150], [1600, 850]) + rng.normal(0, 60, (21, 2))
    valid = rng.random(21) < 0.7
    if k % 8 == 3:
        joints[:4] += [1900.5, -1100.25]
    if k % 8 in (4, 5):
        valid[:] = False
        valid[: 3 * (k % 2)] = True
    bbox = [float(v) for v in (*joints.min(axis=0) - 90, *joints.max(axis=0) + 400)]
    if k % 2:
        flags: Any = [int(v) for v in valid] if k % 4 == 1 else [bool(v) for v in valid]
        return {"joints": joints.tolist(), "joints_valid": flags, "bbox": None}
    stored: Any = valid.astype(int) if k % 4 == 0 else valid
    return {"joints": list(joints), "joints_valid": stored, "bbox": np.array(bbox)}


def make_detections(labels: dict, seed: int = 0) -> dict:
    """Detected boxes of VISOR val: most labelled images, and one that nobody labelled."""
    rng = np.random.default_rng(seed + 1)
    boxes: dict = {"elsewhere/P30_05_frame_0000000001.jpg": _detection(None, None)}
    for k, image in enumerate(sorted(labels)):
        if k % 7 != 3:
            corners = [_corners(rng), _corners(rng)]
            boxes[image] = _detection(
                [f"{v:.2f}" for v in corners[0]] if k % 3 else None,
                np.array(corners[1]) if k % 2 else corners[1],
            )
    return boxes


def _corners(rng: np.random.Generator) -> list[float]:
    x, y = rng.uniform(0, [1500, 700])
    return [x, y, x + 200.5, y + 180.25]


def _detection(right: Any, left: Any) -> dict:
    grasps = [None if box is None else "Pow-Pris" for box in (right, left)]
    return {
        "right_bbox": right,
        "left_bbox": left,
        "right_grasp": grasps[0],
        "left_grasp": grasps[1],
    }


def write_of_official_size(root: Path, fewest: int) -> None:
    """Write a test set whose scored hands are the paper's if `fewest` visible joints are enough."""
    labels, boxes = {}, {}
    for k in range(2_800):
        image = f"P01_01/P01_01_frame_{k:010d}.jpg"
        seen = {"right": fewest if k < 2_697 else fewest - 1, "left": fewest if k < 2_027 else 0}
        labels[image] = {
            side: {
                "joints": [[9.0, 9.0]] * 21,
                "joints_valid": [1] * n + [0] * (21 - n),
                "bbox": None,
            }
            for side, n in seen.items()
        }
        boxes[image] = _detection([1, 2, 3, 4], [1, 2, 3, 4])
    save(root / NAMES["test"], labels)
    save(root / DETECTIONS, boxes)
