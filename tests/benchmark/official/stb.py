"""Licence-free trees in the layouts of STB: its own release, and InterNet's repackaging.

Ugly cases: a hand that leaves the image, images and annotations in different orders with ids that
do not start at 0, joints that are not valid, no SK labels.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from hand_bench.joint_sets import JOINT_SETS, convert, palm_from_wrist
from hand_bench.skeleton_world import BENT, STRETCHED, SkeletonWorld, pose_hand

SEQUENCES = {
    "test": ["B1Counting", "B1Random"],
    "train": [f"B{k}{kind}" for k in range(2, 7) for kind in ("Counting", "Random")],
}
FOCAL, CENTRE = [822.79041, 822.79041], [318.47345, 250.31296]


def posed_hands(rng: np.random.Generator, count: int, side: str) -> np.ndarray:
    """Hands in OpenPose order, mm, camera frame, about 600 mm away (count, 21, 3)."""
    amount = rng.uniform(0, 1, (count, 5, 3))
    flexion = np.radians(STRETCHED + amount * (BENT - STRETCHED))
    fan = np.radians(rng.uniform(-5, 5, (count, 5)))
    hands = pose_hand(flexion, fan, SkeletonWorld().bones(0))
    away = [1 if side == "right" else -1, -1, -1] * hands + [0, 60, 600]
    return convert(away + rng.normal(0, 15, (count, 1, 3)), "interhand21", "openpose21")


def labels(rng: np.random.Generator, count: int) -> np.ndarray:
    """Left hands as STB has them: palm centre, then little finger to thumb (count, 21, 3)."""
    hands = palm_from_wrist(posed_hands(rng, count, "left"), "middle-mcp-2.2")
    if count > 2:
        hands[2] += [-230, 0, 0]
    return convert(hands, "palm21", "stb21")


def write(
    root: Path,
    split: str = "test",
    *,
    instants: int = 6,
    kinds: tuple[str, ...] = ("BB", "SK"),
    folder: str = "labels",
    seed: int = 0,
) -> dict[tuple[str, str], np.ndarray]:
    """Write the label files of a split; return the joints of each in STB's order."""
    rng, written = np.random.default_rng(seed), {}
    for sequence in SEQUENCES[split]:
        for kind in kinds:
            written[sequence, kind] = labels(rng, instants)
            values = written[sequence, kind].transpose(2, 1, 0)
            save(root / folder / f"{sequence}_{kind}.mat", values)
    return written


def save(path: Path, values: np.ndarray, name: str = "handPara") -> None:
    """Write a label file; skips the test where scipy is not installed."""
    matlab = pytest.importorskip("scipy.io", reason="STB's labels are MATLAB files: need scipy")
    path.parent.mkdir(parents=True, exist_ok=True)
    matlab.savemat(path, {name: values})


def write_repackaged(
    root: Path,
    split: str = "test",
    *,
    instants: int = 6,
    folder: str = "data/STB/data",
    order: str = "stb21",
    skeleton: bool = True,
    seed: int = 0,
) -> dict:
    """Write the repackaged file of the left camera: the hands of `write` with the same seed."""
    rng, images, annotations = np.random.default_rng(seed), [], []
    for sequence in SEQUENCES[split]:
        hands = convert(labels(rng, instants), "stb21", "palm21")
        labels(rng, instants)  # those of SK
        for frame, joints in enumerate(hands):
            images.append(image(f"BB_left_{frame}.png", (640, 480), FOCAL, CENTRE))
            images[-1] |= {"id": 7 * len(images), "seq_name": sequence}
            ordered = joints[indices("palm21", order)]
            annotations.append(annotation(ordered, "left", FOCAL, CENTRE))
            annotations[-1] |= {"id": 1000 + len(images), "image_id": images[-1]["id"]}
    annotations[1]["joint_valid"][3] = 0
    content = {"images": images, "annotations": annotations[::-1]}
    save_json(root / folder / f"STB_{split}.json", content)
    if skeleton:
        write_skeleton(root / folder / "skeleton.txt", order)
    return content


def indices(source: str, target: str) -> list[int]:
    """Where the joints of a set are in another; the root, whatever it is, stays first."""
    have, want = JOINT_SETS[source].joints, JOINT_SETS[target].joints
    return [0, *(have.index(joint) for joint in want[1:])]


def image(name: str, size: tuple[int, int], focal: list[float], princpt: list[float]) -> dict:
    """An image of a repackaged file, without its id."""
    camera = {"focal": focal, "princpt": princpt}
    return {"file_name": name, "width": size[0], "height": size[1], "cam_param": camera}


def annotation(joints: np.ndarray, side: str, focal: list[float], princpt: list[float]) -> dict:
    """An annotation in InterNet's form, without its ids; the box is 1.2 times the tight one."""
    pixels = joints[:, :2] / joints[:, 2:] * focal + princpt
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return {
        "bbox": [*((low + high) / 2 - 0.6 * (high - low)), *(1.2 * (high - low))],
        "hand_type": side,
        "joint_img": pixels.tolist(),
        "joint_cam": joints.tolist(),
        "joint_valid": [1] * 21,
    }


def write_skeleton(path: Path, order: str) -> None:
    """Write skeleton.txt: the left hand first, each joint with the index of its parent."""
    joint_set, lines = JOINT_SETS[order], ["# joint_name joint_id joint_parent_id"]
    for hand, first in (("l", 0), ("r", 21)):
        for k, (name, parent) in enumerate(zip(joint_set.joints, joint_set.parents, strict=True)):
            lines.append(f"{hand}_{name} {first + k} {parent if parent < 0 else first + parent}")
    path.write_text("\n".join(lines) + "\n")


def save_json(path: Path, content: dict) -> None:
    """Write a repackaged file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
