"""The other side of the comparison: one sample after the other, as the official scorer works.

Written from the description of InterHand2.6M's loading and `evaluate`: JSON is loaded whole, every
image becomes a dictionary; predictions come as heatmap coordinates, are warped back to the image
joint by joint and lifted with the hands' root depths; errors are kept in a list per joint and
averaged in the end. `plain_interhand26m` of the tests is a slower second opinion on the numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HEATMAP, CROP, DEPTH_MM = 64, 256, 400.0
HANDS = ((slice(0, 21), 20), (slice(21, 42), 41))


@dataclass
class Outputs:
    """What the network gives, one row per sample in the order of the files."""

    joints: np.ndarray  # (n, 42, 3), heatmap units
    relative_root: np.ndarray  # (n,), mm
    hand_type: np.ndarray  # (n, 2), probabilities
    inv_trans: np.ndarray  # (n, 2, 3), crop to image


def load_samples(root: str | Path, split: str) -> list[dict]:
    """Read the annotation files of a split, sample by sample."""
    stem = Path(root) / "annotations" / split / f"InterHand2.6M_{split}"
    data, cameras, joints = (
        json.loads(Path(f"{stem}_{part}.json").read_text())
        for part in ("data", "camera", "joint_3d")
    )
    images = {image["id"]: image for image in data["images"]}
    samples = []
    for annotation in data["annotations"]:
        image = images[annotation["image_id"]]
        capture, camera = cameras[str(image["capture"])], image["camera"]
        position = np.array(capture["campos"][camera], np.float32)
        rotation = np.array(capture["camrot"][camera], np.float32)
        world = joints[str(image["capture"])][str(image["frame_idx"])]["world_coord"]
        gt = np.dot(rotation, np.array(world, np.float32).T - position.reshape(3, 1)).T
        focal = np.array(capture["focal"][camera], np.float32)
        principal = np.array(capture["princpt"][camera], np.float32)
        valid = np.array(annotation["joint_valid"], np.float32).reshape(42)
        valid[:21] *= valid[20]
        valid[21:] *= valid[41]
        samples.append(
            {
                "gt": gt,
                "gt_2d": gt[:, :2] / (gt[:, 2:] + 1e-8) * focal + principal,
                "root_depth": (gt[20, 2], gt[41, 2]),
                "valid": valid,
                "focal": focal,
                "principal": principal,
                "bbox": np.array(annotation["bbox"], np.float32),
                "hand_type": annotation["hand_type"],
                "hand_type_valid": annotation["hand_type_valid"],
            }
        )
    return samples


def official_scores(samples: list[dict], outputs: Outputs) -> dict:
    """MPJPE of SH, IH and all, MRRPE and handedness accuracy."""
    stores = {"SH": [[] for _ in range(42)], "IH": [[] for _ in range(42)]}
    relative, right = [], []
    for n, sample in enumerate(samples):
        gt, valid, hand_type = sample["gt"].copy(), sample["valid"], sample["hand_type"]
        image = _image_coordinates(outputs.joints[n], outputs.inv_trans[n])
        if hand_type == "interacting" and valid[20] and valid[41]:
            roots = image[[20, 41]].copy()
            roots[:, 2] += sample["root_depth"][0]
            roots[1, 2] += outputs.relative_root[n]
            roots = _back_project(roots, sample)
            relative.append(float(np.sqrt(np.sum((roots[1] - roots[0] - (gt[41] - gt[20])) ** 2))))
        for (hand, _), depth in zip(HANDS, sample["root_depth"], strict=True):
            image[hand, 2] += depth
        pred = _back_project(image, sample)
        for hand, wrist in HANDS:
            pred[hand] = pred[hand] - pred[wrist, None]
            gt[hand] = gt[hand] - gt[wrist, None]
        error = np.sqrt(np.sum((pred - gt) ** 2, 1))
        store = stores["IH" if hand_type == "interacting" else "SH"]
        for joint in range(42):
            if valid[joint]:
                store[joint].append(error[joint])
        if sample["hand_type_valid"]:
            said = tuple(bool(p > 0.5) for p in outputs.hand_type[n])
            right.append(said == (hand_type != "left", hand_type != "right"))
    stores["all"] = [a + b for a, b in zip(stores["SH"], stores["IH"], strict=True)]
    means = {
        name: float(np.mean([np.mean(np.stack(errors)) for errors in store]))
        for name, store in stores.items()
    }
    return {"mpjpe": means, "mrrpe": float(np.mean(relative)), "handedness": float(np.mean(right))}


def make_outputs(samples: list[dict], noise_mm: float = 12.0) -> tuple[Outputs, np.ndarray]:
    """Noisy truth as a network would give it, and the joints (n, 42, 3) that it stands for."""
    generator = np.random.default_rng(0)
    n = len(samples)
    gt = np.stack([sample["gt"] for sample in samples]).astype(np.float64)
    pred = gt + generator.normal(0, noise_mm, gt.shape)
    camera = {k: np.stack([s[k] for s in samples])[:, None] for k in ("focal", "principal")}
    side = np.array([max(sample["bbox"][2:]) for sample in samples]) * 1.25
    corner = np.stack([s["bbox"][:2] + s["bbox"][2:] / 2 for s in samples]) - side[:, None] / 2
    uv = pred[..., :2] / pred[..., 2:] * camera["focal"] + camera["principal"]
    crop = (uv - corner[:, None]) / (side / CROP)[:, None, None]
    depth = pred[..., 2] - np.repeat([s["root_depth"] for s in samples], 21, axis=1)
    joints = np.concatenate(
        [crop * HEATMAP / CROP, ((depth / DEPTH_MM + 0.5) * HEATMAP)[..., None]], axis=-1
    )
    inv_trans = np.zeros((n, 2, 3))
    inv_trans[:, 0, 0] = inv_trans[:, 1, 1] = side / CROP
    inv_trans[:, :, 2] = corner
    relative = np.array([s["root_depth"][1] - s["root_depth"][0] for s in samples])
    return Outputs(joints, relative, generator.uniform(0, 1, (n, 2)), inv_trans), pred


def _image_coordinates(joints: np.ndarray, inv_trans: np.ndarray) -> np.ndarray:
    """Pixels and depths from the wrist (mm) of heatmap coordinates, one joint after the other."""
    image = joints.copy()
    image[:, :2] = image[:, :2] / HEATMAP * CROP
    for joint in range(42):
        image[joint, :2] = np.dot(inv_trans, np.array([image[joint, 0], image[joint, 1], 1.0]))
    image[:, 2] = (image[:, 2] / HEATMAP * 2 - 1) * (DEPTH_MM / 2)
    return image


def _back_project(image: np.ndarray, sample: dict) -> np.ndarray:
    xy = (image[:, :2] - sample["principal"]) / sample["focal"] * image[:, 2:]
    return np.concatenate([xy, image[:, 2:]], axis=1)
