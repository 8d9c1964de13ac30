"""Reader of the bring-your-own layout of several calibrated views (docs/bring-your-own.md).

Tables: `annotation-test` of assemblyhands and `test` of desktop-activities: the manual annotations
of the paper are not public (facts/assemblyhands.md 1.9, 2.2), so who has such data, or data of
one's own, brings it in this layout.

One row per instant, joints in the world (mm, OpenPose order); views.parquet holds one row per
camera and instant: K, `distortion` (OpenCV's rational model), pose, image and the boxes of the
hands. A hand is asked where the table has a row for it; without joints its truth is withheld
(null). `*_valid` is the table's. A box is the tight box of the valid joints that the camera sees,
enlarged 1.2 times; null below three such joints. Pixel (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.annotations import ROW_GROUP, VIEWS, encode, intervals, writing
from hand_bench.calibration import Camera
from hand_bench.geometry import world_to_camera
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.readers.assemblyhands_json import Progress
from hand_bench.readers.multiview_files import (
    IMAGES,
    Hands,
    Layout,
    Rig,
    find_layout,
    find_rig,
    is_joint_3d,
    read_hands,
)

#: Official numbers of the paper's test sets (facts 1.9, 2.2).
EXPECTED: dict[str, dict[str, int]] = {
    "annotation-test": {"sequences": 8, "cameras": 8},
    "test": {"samples": 1105, "sequences": 3, "cameras": 12},
}
COUNTED = (
    *("samples", "sequences", "cameras", "hands", "hands withheld", "views"),
    *("views without a camera pose", "views without an image"),
)
ENLARGED = 1.2
MIN_SEEN = 3
#: Frame numbers per second of files in AssemblyHands' form (facts 1.4).
ASSEMBLYHANDS_RATE = 60.0
_HAND_TYPES = np.array([None, "right", "left", "interacting"], object)


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations and views of a folder in this layout.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204.
    """
    layout = find_layout(Path(root), split)
    hands = read_hands(layout, progress)
    counts: Counter[str] = Counter()
    read, names, left_out = {layout.table: None}, set(), set()
    with writing(path) as writer, writing(path.with_name(VIEWS)) as views:
        for k, sequence in enumerate(sorted(hands)):
            rig, sources = find_rig(layout, sequence)
            columns = _instants(layout, split, sequence, hands[sequence], counts)
            writer.write_batch(encode(columns), row_group_size=ROW_GROUP)
            for camera in sorted(rig.cameras, key=lambda camera: camera.name):
                seen = _views(layout, split, sequence, hands[sequence], rig, camera, counts)
                views.write_batch(encode(seen), row_group_size=ROW_GROUP)
            names |= {camera.name for camera in rig.cameras}
            left_out |= set(rig.left_out)
            read |= dict.fromkeys(sources)
            progress("writing annotations", k + 1, len(hands))
    counts["sequences"], counts["cameras"] = len(hands), len(names)
    if layout.rig_path is not None:
        read[layout.rig_path] = None
    return _summary(layout, split, counts, list(read), left_out)


def _instants(
    layout: Layout, split: str, sequence: str, hands: Hands, counts: Counter[str]
) -> dict[str, Any]:
    """The canonical columns of the instants of one sequence."""
    frame, n = hands.frame, len(hands.frame)
    counts["samples"] += n
    counts["hands"] += int(hands.asked.sum())
    counts["hands withheld"] += int((hands.asked & ~hands.known).sum())
    columns = {
        "sample_id": [f"{split}/{sequence}/{f:06d}" for f in frame],
        "sequence": [sequence] * n,
        "frame": frame,
        **_times(layout, frame),
        "hand_type": _HAND_TYPES[hands.asked @ [1, 2]],
        "hand_type_valid": np.ones(n, bool),
    }
    for k, side in enumerate(HAND_SIDES):
        columns[f"{side}_joints"] = hands.joints[:, k], ~hands.known[:, k]
        columns[f"{side}_valid"] = hands.valid[:, k]
    return columns


def _times(layout: Layout, frame: np.ndarray) -> dict[str, np.ndarray]:
    """Time and interval, where it is known how many frame numbers a second has."""
    default = ASSEMBLYHANDS_RATE if is_joint_3d(layout.table) else None
    rate = layout.rig.get("frame_rate", default)
    if not rate:
        return {}
    step = layout.rig.get("frame_step") or _usual_step(frame)
    even = intervals([], frame, step, float(rate) / step)
    return {"time": frame / float(rate), "interval": even}


def _usual_step(frame: np.ndarray) -> int:
    """The most common distance of consecutive frames."""
    steps, often = np.unique(np.diff(frame), return_counts=True)
    return int(steps[often.argmax()]) if len(steps) else 1


def _views(
    layout: Layout,
    split: str,
    sequence: str,
    hands: Hands,
    rig: Rig,
    camera: Camera,
    counts: Counter[str],
) -> dict[str, Any]:
    """The canonical columns of one camera's views of one sequence."""
    found, pose = rig.poses(camera, hands.frame)
    frame, n = hands.frame[found], len(found)
    counts["views"] += n
    counts["views without a camera pose"] += len(hands.frame) - n
    joints = world_to_camera(hands.joints[found].reshape(n, 42, 3).astype(np.float64), pose)
    counted = hands.valid[found] & hands.known[found][..., None]
    boxes = hand_boxes(camera, joints.reshape(n, 2, 21, 3), counted)
    lacking = np.isnan(boxes[..., 0])
    images = _images(layout, sequence, camera, frame)
    counts["views without an image"] += sum(image is None for image in images or ())
    return {
        "sample_id": [f"{split}/{sequence}/{camera.name}/{f:06d}" for f in frame],
        "sequence": [sequence] * n,
        "camera": [camera.name] * n,
        "frame": frame,
        **_times(layout, frame),
        "image": images,
        "width": None if camera.width is None else [camera.width] * n,
        "height": None if camera.height is None else [camera.height] * n,
        "K": np.tile(camera.K, (n, 1, 1)),
        "distortion": np.tile(camera.coefficients, (n, 1)),
        "T_world_from_camera": pose,
        "bbox": (np.nan_to_num(_union(boxes)), lacking.all(axis=1)),
        **{
            f"{side}_bbox": (np.nan_to_num(boxes[:, k]), lacking[:, k])
            for k, side in enumerate(HAND_SIDES)
        },
    }


def hand_boxes(camera: Camera, joints: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return boxes (x, y, w, h) of hands from camera joints [n, 2, 21, 3]; NaN where unseen.

    `counted` [n, 2, 21] are the joints to use; of them the camera must see at least three.
    """
    seen = counted & camera.sees(joints)
    uv = camera.project(joints)
    low = np.where(seen[..., None], uv, np.inf).min(axis=-2)
    high = np.where(seen[..., None], uv, -np.inf).max(axis=-2)
    enough = (seen.sum(axis=-1) >= MIN_SEEN)[..., None]
    size = np.where(enough, high - low, np.nan)
    with np.errstate(invalid="ignore"):
        centre = np.where(enough, (low + high) / 2, np.nan)
    return np.concatenate([centre - ENLARGED * size / 2, ENLARGED * size], axis=-1)


def _union(boxes: np.ndarray) -> np.ndarray:
    """The box around both hands' boxes, of those that are there (fmin ignores NaN)."""
    ends = boxes[..., :2] + boxes[..., 2:]
    low = np.fmin(boxes[:, 0, :2], boxes[:, 1, :2])
    return np.concatenate([low, np.fmax(ends[:, 0], ends[:, 1]) - low], axis=1)


def _images(
    layout: Layout, sequence: str, camera: Camera, frame: np.ndarray
) -> list[str | None] | None:
    """Paths of the images relative to the folder, None for one that is not there."""
    if "images" not in layout.rig and not (layout.folder / "images").is_dir():
        return None
    pattern = str(layout.rig.get("images", IMAGES))
    pattern = pattern.replace("{camera}", camera.name).replace("{sequence}", sequence)
    names = [pattern.replace("{frame}", f"{f:06d}") for f in frame]
    return [name if (layout.folder / name).is_file() else None for name in names]


def _summary(layout: Layout, split: str, counts, read: list[Path], left_out) -> dict[str, Any]:
    expected, notes = EXPECTED.get(split, {}), []
    if left_out:
        notes.append(
            f"{len(left_out)} headset cameras were left out, their poses in the world are not in "
            f"the calibration files: {', '.join(sorted(left_out))}."
        )
    if len(read) > 50:
        notes.append(f"{len(read)} files were read; the first 50 are watched for changes.")
    return {
        "release": str(layout.rig.get("release", "own data")),
        "complete": all(counts.get(name) == number for name, number in expected.items()),
        "files": [str(path) for path in read[:50]],
        "counts": {name: counts[name] for name in COUNTED},
        "expected": expected,
        "notes": notes,
        "unit": "mm",
        "pixel_origin": "centre of the top-left pixel",
        "licence": str(layout.rig.get("licence", "not stated")),
    }
