"""Licence-free trees in the layouts of RHD: its own release, and the repackaged JSON files.

Ugly cases: masks with as many left as right pixels, masks without hands, joints that are not
visible, a hand that leaves the image, numbers with gaps.
"""

import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.official.stb import annotation, image, indices, posed_hands, save_json

SIZE = 320
#: Pixels of the left and the right hand in the masks, in turn; the evaluated hand.
PIXELS = [(40, 10), (10, 40), (25, 25), (0, 0), (26, 25)]
DOMINANT = ["left", "right", "right", "right", "left"]


def scenes(count: int, seed: int = 0) -> dict[int, dict[str, np.ndarray]]:
    """Annotations of images: left hand first, metres, fingers from tip to base."""
    rng, made = np.random.default_rng(seed), {}
    for k in range(count):
        hands = [posed_hands(rng, 1, side)[0] for side in ("left", "right")]
        joints = np.concatenate([hand[indices("openpose21", "rhd21")] for hand in hands])
        joints[:21] += [-60, 0, 0]
        joints[21:] += [250 if k == 1 else 60, 0, 0]
        K = np.array([[290.0 + k, 0, 160], [0, 290.0 + k, 160], [0, 0, 1]], np.float32)
        uv = joints[:, :2] / joints[:, 2:] * K[0, 0] + 160
        visible = ((uv >= 0) & (uv < SIZE)).all(axis=1) & (rng.random(42) > 0.2)
        made[3 * k] = {
            "uv_vis": np.concatenate([uv, visible[:, None]], axis=1).astype(np.float32),
            "xyz": (joints / 1000).astype(np.float32),
            "K": K,
        }
    return made


def write(
    root: Path, split: str = "evaluation", *, images: int = 5, masks: bool = True, seed: int = 0
) -> dict[int, dict[str, np.ndarray]]:
    """Write the own release of a split and return its annotations."""
    content = scenes(images, seed)
    save(root / split / f"anno_{split}.pickle", content)
    if masks:
        write_masks(root / split / "mask", content)
    return content


def save(path: Path, content: object) -> None:
    """Write an annotation file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


def write_masks(folder: Path, numbers: dict) -> None:
    """Write the masks: background 0, a person 1, labels 2 and 17 left, 18 and 33 right."""
    folder.mkdir(parents=True)
    for k, number in enumerate(numbers):
        left, right = PIXELS[k % len(PIXELS)]
        labels = np.zeros((SIZE, SIZE), np.uint8)
        labels[:100] = 1
        labels[200, :left] = np.arange(left) % 2 * 15 + 2
        labels[201, :right] = np.arange(right) % 2 * 15 + 18
        Image.fromarray(labels).save(folder / f"{number:05d}.png")


def write_repackaged(
    root: Path,
    split: str = "evaluation",
    *,
    images: int = 5,
    form: str = "internet",
    folder: str = "data/RHD/data",
    seed: int = 0,
) -> dict:
    """Write InterNet's or mmpose's file: the dominant hands of `write` with the same seed."""
    content: dict[str, list[dict]] = {"images": [], "annotations": []}
    for k, (number, scene) in enumerate(scenes(images, seed).items()):
        side = DOMINANT[k % len(DOMINANT)]
        hand = slice(0, 21) if side == "left" else slice(21, 42)
        focal, centre = [float(scene["K"][0, 0])] * 2, [160.0, 160.0]
        joints = scene["xyz"][hand].astype(float) * 1000
        content["images"].append(image(f"{number:05d}.png", (SIZE, SIZE), focal, centre))
        content["images"][-1]["id"] = number
        made = annotation(joints, side, focal, centre) | {"id": number, "image_id": number}
        if form == "mmpose":
            made = {key: made[key] for key in ("id", "image_id", "bbox", "hand_type", "joint_cam")}
            made["keypoints"] = scene["uv_vis"][hand].tolist()
            made |= {"category_id": 1, "iscrowd": 0, "area": made["bbox"][2] * made["bbox"][3]}
        content["annotations"].append(made)
    save_json(root / folder / name(split, form), content)
    return content


def name(split: str, form: str) -> str:
    """What a repackaged file is called."""
    if form == "mmpose":
        return f"annotations/rhd_{'train' if split == 'training' else 'test'}.json"
    return f"RHD_{split}.json"
