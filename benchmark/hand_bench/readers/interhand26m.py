"""Reader of InterHand2.6M's official annotation files, v1.0 and v0.0 layouts.

Facts followed here (facts/interhand26m.md): ids restart in every split, so the split is part of a
sample's id (1.2); annotations are joined to images by `image_id` (1.3); X_C = R (X_W - c) (1.5);
the joints that count are data.json's `joint_valid` (annotated and inside the image), those of
joint_3d.json say only "annotated" (1.3, 1.8); joints of a hand that was not annotated hold the
placeholder [1, 1, 1] and are masked (1.3); the box is one per image (1.4); H and M are told apart
by the list of human-annotated ids (v1.0) or by the folders (v0.0) (1.1, 1.3); counts (1.7).

Memory: the JSON files are parsed as streams; what is kept are a few numbers per image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hand_bench.annotations import ROW_GROUP, encode, writing
from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import world_to_camera
from hand_bench.joint_sets import permutation
from hand_bench.readers.interhand26m_files import (
    HAND_TYPES,
    Files,
    Images,
    Progress,
    World,
    find_files,
    human_annotated,
    read_cameras,
    read_images,
    read_world,
)

#: Official numbers of images (single hand, interacting), 5 fps: facts 1.7.
COUNTS: dict[tuple[str, str], tuple[int, int]] = {
    ("v1.0 5 fps", "train"): (687_548, 673_514),
    ("v1.0 5 fps", "val"): (234_183, 145_942),
    ("v1.0 5 fps", "test"): (488_968, 360_192),
    ("v0.0", "train"): (371_800, 366_802),
    ("v0.0", "val"): (113_370, 70_917),
    ("v0.0", "test"): (197_992, 154_905),
}
#: Official numbers of human-annotated images of v1.0 (train, test).
HUMAN_COUNTS = {"train": 528_482, "test": 121_573}
OFFICIAL_ORDER = permutation("interhand21", "openpose21")


def frame_steps(images: Images) -> dict[int, int]:
    """The usual distance of consecutive frames of a camera, per capture (facts 1.2: it varies)."""
    order = np.lexsort((images.frame, images.camera, images.sequence, images.capture))
    keys = np.stack([images.capture, images.sequence, images.camera])[:, order]
    same = (keys[:, 1:] == keys[:, :-1]).all(axis=0)
    step = np.diff(images.frame[order])
    steps = {}
    for capture in np.unique(images.capture):
        inside = step[same & (keys[0, 1:] == capture) & (step > 0)]
        if inside.size:
            values, counts = np.unique(inside, return_counts=True)
            steps[int(capture)] = int(values[counts.argmax()])
    return steps


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations of a split; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204, HB208.
    """
    files = find_files(root, split)
    cameras = read_cameras(files.camera)
    images = read_images(files.data, progress)
    world = read_world(files.joint_3d, progress)
    human = human_annotated(files, images.annotation_id, progress)
    order = np.lexsort(
        (
            images.frame,
            _rank(images.names["camera"])[images.camera],
            _rank(images.names["sequence"])[images.sequence],
            images.capture,
        )
    )
    steps = frame_steps(images)
    with writing(path) as writer:
        carry = np.zeros((0, 4), np.int64)
        for start in range(0, len(order), ROW_GROUP):
            rows = order[start : start + ROW_GROUP]
            columns, carry = _columns(
                files, split, images, world, cameras, human, steps, rows, carry
            )
            writer.write_batch(encode(columns), row_group_size=ROW_GROUP)
            progress("writing annotations", start + len(rows), len(order))
    return _summary(files, split, images, human, steps)


def _rank(names: list[str]) -> np.ndarray:
    """Position of each name in alphabetical order."""
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(np.array(names))] = np.arange(len(names))
    return rank


def _columns(files, split, images: Images, world: World, cameras, human, steps, rows, carry):
    """The canonical columns of some rows; `carry` are the last two rows' track and frame."""
    instant = _instants(files, images, world, rows)
    K, pose = _camera_columns(files, images, cameras, rows)
    joints = world_to_camera(world.joints[instant].astype(np.float64), pose).astype(np.float32)
    in_view, annotated = images.in_view[rows], world.annotated[instant]
    names = images.names
    capture, frame = images.capture[rows], images.frame[rows]
    sequence = [
        f"Capture{c}/{names['sequence'][s]}"
        for c, s in zip(capture, images.sequence[rows], strict=True)
    ]
    camera = [names["camera"][k] for k in images.camera[rows]]
    step = np.array([steps.get(int(c), 0) for c in capture])
    rate = np.where(step == 0, np.nan, np.where(step <= 3, 30.0, 5.0))
    track = np.stack([capture, images.sequence[rows], images.camera[rows], frame], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        time = np.where(step > 0, frame / (step * rate), np.nan)
    columns = {
        "sample_id": [
            f"{split}/{s}/cam{c}/{f}" for s, c, f in zip(sequence, camera, frame, strict=True)
        ],
        "annotation_id": images.annotation_id[rows],
        "sequence": sequence,
        "subject": [names["subject"][k] for k in images.subject[rows]],
        "camera": camera,
        "frame": frame,
        "time": time,
        "interval": _intervals(track, carry, step, rate),
        "image": [
            f"images/{split}/{name}" for name in images.image.take(pa.array(rows)).to_pylist()
        ],
        "width": images.size[rows, 0],
        "height": images.size[rows, 1],
        "K": K,
        "T_world_from_camera": pose,
        "bbox": images.bbox[rows],
        "hand_type": [HAND_TYPES[k] for k in images.hand_type[rows]],
        "hand_type_valid": images.hand_type_valid[rows],
        "annotator": _annotators(human, rows),
    }
    for side, first in (("right", 0), ("left", 21)):
        part = slice(first, first + 21)
        known = annotated[:, part] | in_view[:, part]
        columns[f"{side}_joints"] = joints[:, part][:, OFFICIAL_ORDER], ~known.any(axis=1)
        columns[f"{side}_valid"] = annotated[:, part][:, OFFICIAL_ORDER]
        columns[f"{side}_in_view"] = in_view[:, part][:, OFFICIAL_ORDER]
    return columns, np.concatenate([carry, track])[-2:]


def _intervals(
    track: np.ndarray, carry: np.ndarray, step: np.ndarray, rate: np.ndarray
) -> np.ndarray:
    """Seconds to the row before, where this and the two rows before are evenly spaced; else NaN."""
    longer = np.concatenate([np.full((2 - len(carry), 4), -1), carry, track])
    same = (longer[2:, :3] == longer[1:-1, :3]).all(axis=1) & (
        longer[2:, :3] == longer[:-2, :3]
    ).all(axis=1)
    even = (longer[2:, 3] - longer[1:-1, 3] == step) & (longer[1:-1, 3] - longer[:-2, 3] == step)
    return np.where(same & even & (step > 0), 1 / rate, np.nan)


def _instants(files: Files, images: Images, world: World, rows: np.ndarray) -> np.ndarray:
    keys = zip(images.capture[rows].tolist(), images.frame[rows].tolist(), strict=True)
    found = np.array([world.row.get(key, -1) for key in keys])
    if (found < 0).any():
        bad = rows[int((found < 0).argmax())]
        raise DatasetError(
            Problem(
                "HB204",
                str(files.joint_3d),
                f"has no capture {images.capture[bad]}, frame {images.frame[bad]}, which "
                f"{files.data.name} asks for ({int((found < 0).sum()):,} like it in this part).",
                cause="Files of two releases mixed?",
            )
        )
    return found


def _camera_columns(files: Files, images: Images, cameras, rows) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.stack([images.capture[rows], images.camera[rows]], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    found = []
    for capture, camera in unique:
        key = int(capture), images.names["camera"][camera]
        if key not in cameras:
            raise DatasetError(
                Problem(
                    "HB204",
                    str(files.camera),
                    f"has no camera {key[1]} of capture {key[0]}.",
                    cause="Files of two releases mixed?",
                )
            )
        found.append(cameras[key])
    K = np.stack([K for K, _ in found])[inverse.ravel()]
    return K, np.stack([pose for _, pose in found])[inverse.ravel()]


def _annotators(human: np.ndarray | None, rows: np.ndarray) -> list[str | None]:
    if human is None:
        return [None] * len(rows)
    return ["human" if h else "machine" for h in human[rows]]


def _summary(files: Files, split: str, images: Images, human, steps) -> dict[str, Any]:
    interacting = int((images.hand_type == 2).sum())
    single = len(images) - interacting
    release = next(
        (
            name
            for (name, s), counts in COUNTS.items()
            if s == split and counts == (single, interacting)
        ),
        None,
    )
    expected = COUNTS["v0.0" if files.layout == "v0.0" else "v1.0 5 fps", split]
    sequences = len(np.unique(np.stack([images.capture, images.sequence]), axis=1).T)
    return {
        "release": release or f"unknown ({files.layout} layout)",
        "complete": release is not None,
        "files": [str(path) for path in files.all],
        "counts": {
            "samples": len(images),
            "single hand": single,
            "interacting": interacting,
            "human-annotated": None if human is None else int(human.sum()),
            "sequences": sequences,
            "captures": len(np.unique(images.capture)),
            "subjects": len(images.names["subject"]),
            "cameras": len(images.names["camera"]),
        },
        "expected": {
            "single hand": expected[0],
            "interacting": expected[1],
            "human-annotated": None if human is None else HUMAN_COUNTS.get(split),
        },
        "notes": []
        if human is not None or files.layout == "v0.0"
        else [f"aid_human_annot_{split}.txt was not found: the subsets H and M stay empty."],
        "frame_step": {str(capture): step for capture, step in steps.items()},
        "unit": "mm",
        "pixel_origin": "centre of the top-left pixel",
        "licence": "CC-BY-NC 4.0",
    }
