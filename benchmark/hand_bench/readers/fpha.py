"""Reader of FPHA (first-person hand action): frames and videos of the 1:1 action split.

Tables: ``pose-SPLIT``, one row per frame, and ``action-SPLIT``, one row per video; train, test.

Facts followed here (facts/htt-h2o-fpha.md): both tables use the 1:1 action split, because HTT and
the methods it compares with do so for poses too (2.7, 2.8); the split is read from the user's
copy, never shipped (6.2); a video has as many frames as ``Subjects_info`` says (2.6, 3.1);
``skeleton.txt`` has millimetres of the depth camera's frame, which is the world here, in the order
of the joint set ``fpha21`` (2.2); X_c = R X_w + t brings them to the colour camera, which has no
distortion (2.3); only the right hand is annotated (2.1); labels of the split are 0-based, those
of ``action_object_info.txt`` 1-based (2.5, 6.1); three videos are in neither half (2.7).

What the rows mean. All 21 joints of a frame with a skeleton row are valid; in view: projected into
the image. A video whose skeleton file is empty has null joints; a file that has rows, but not for
every frame, is an error. ``image``, ``width``, ``height`` and ``K`` are those of ``Video_files``;
where only the 480x270 copies are there (``Video_files_480``), they are of those.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.annotations import intervals, write
from hand_bench.array_types import Bool, Float, Int
from hand_bench.classes import FPHA_ACTIONS
from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import camera_pose, world_to_camera
from hand_bench.joint_sets import convert
from hand_bench.readers.fpha_files import (
    OBJECTS_FILE,
    SPLIT_FILE,
    VIDEO_FOLDERS,
    Progress,
    find_skeletons,
    info_files,
    is_known,
    raise_contradictions,
    read_lengths,
    read_objects,
    read_skeleton,
    read_split,
    split_notes,
)
from hand_bench.readers.projected import seen

RATE = 30.0
#: Videos of each half; frames of both, which the dataset's paper gives: facts 2.1, 2.7.
VIDEOS = {"train": 600, "test": 575}
ALL_FRAMES = 105_459
#: Colour camera, 1920x1080: facts 2.3.
K_COLOUR = np.array([[1395.749023, 0, 935.732544], [0, 1395.749268, 540.681030], [0, 0, 1]])
#: From the depth camera's frame (the world) to the colour camera's, mm: facts 2.3.
_ROTATION = np.array(
    [
        [0.999988496304, -0.00468848412856, 0.000982563360594],
        [0.00469115935266, 0.999985218048, -0.00273845880292],
        [-0.000969709653873, 0.00274303671904, 0.99999576807],
    ]
)
_TRANSLATION = np.array([25.7, 1.22, 3.902])
T_WORLD_FROM_CAMERA = camera_pose(_ROTATION, -_ROTATION.T @ _TRANSLATION)


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write a table (``pose-test``, ``action-train``, ...); return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204.
    """
    root = Path(root)
    kind, half = split.split("-")
    halves = read_split(root / SPLIT_FILE)
    used = [root / SPLIT_FILE]
    notes = split_notes(used[0])
    lengths = _lengths(root, halves, used, notes)
    videos = sorted(halves[half])
    objects = _objects(root, used, notes)
    table = _Videos(half, videos, np.array([lengths[v] for v in videos]), objects)
    counts = {"sequences": len(videos), "subjects": len({v.split("/")[0] for v in videos})}
    if kind == "pose":
        counts |= _write_poses(root, table, path, used, notes, progress)
    else:
        write(path, _video_columns(table))
        counts |= {"samples": len(videos), "frames": int(table.length.sum())}
    return _summary(used, counts, {"sequences": VIDEOS[half]}, notes)


def _summary(
    used: list[Path], counts: dict[str, int], expected: dict[str, int], notes: list[str]
) -> dict[str, Any]:
    complete = all(counts[name] == number for name, number in expected.items())
    return {
        "release": "1:1 action split" if is_known(used[0]) else "unknown (another split file)",
        "complete": complete,
        "files": [str(path) for path in used],
        "counts": counts,
        "expected": expected,
        "notes": notes,
        "unit": "mm",
        "pixel_origin": "not stated by the source; K as its readme gives it",
        "licence": "FPHA's terms: academic research only; no redistribution",
    }


@dataclass(frozen=True)
class _Videos:
    """The videos of a half, sorted; lengths in frames, and the object's name of every action."""

    half: str
    names: list[str]
    length: Int[np.ndarray, " videos"]
    objects: dict[str, str]

    @property
    def subject(self) -> list[str]:
        return [name.split("/")[0] for name in self.names]

    @property
    def action(self) -> list[str]:
        return [name.split("/")[1] for name in self.names]

    @property
    def thing(self) -> list[str | None]:
        return [self.objects.get(action) for action in self.action]


def _lengths(
    root: Path, halves: dict[str, dict[str, int]], used: list[Path], notes: list[str]
) -> dict[str, int]:
    """The number of frames of every video; HB204 where the split has a video without one."""
    every = [video for videos in halves.values() for video in videos]
    lengths: dict[str, int] = {}
    for path in info_files(root, every):
        of_subject, said = read_lengths(path)
        lengths |= of_subject
        notes += said
        used.append(path)
    lacking = [video for video in every if video not in lengths]
    if lacking:
        what = f"lists {len(lacking):,} videos that Subjects_info does not, e.g. {lacking[0]}."
        raise DatasetError(Problem("HB204", str(root / SPLIT_FILE), what))
    total = sum(lengths[video] for video in every)
    if len(every) == sum(VIDEOS.values()) and total != ALL_FRAMES:
        notes.append(f"both halves have {total:,} frames; the paper says {ALL_FRAMES:,}.")
    return lengths


def _objects(root: Path, used: list[Path], notes: list[str]) -> dict[str, str]:
    path = root / OBJECTS_FILE
    if not path.is_file():
        notes.append(f"{OBJECTS_FILE} was not found: no object is named.")
        return {}
    used.append(path)
    return read_objects(path)


def _write_poses(
    root: Path, videos: _Videos, path: Path, used: list[Path], notes: list[str], progress: Progress
) -> dict[str, int]:
    """Write the table of frames; return its counts."""
    world, given = _skeletons(root, videos, used, notes, progress)
    joints = world_to_camera(convert(world, "fpha21", "openpose21"), T_WORLD_FROM_CAMERA)
    columns = _frame_columns(videos)
    image, size, K = _images(root, videos, notes, progress)
    rows = len(given)
    valid = np.repeat(given[:, None], 21, axis=1)
    in_view, bbox, boxless = seen(joints, valid, K, np.tile(size, (rows, 1)))
    found = {
        "image": image,
        "width": np.full(rows, size[0]),
        "height": np.full(rows, size[1]),
        "K": np.broadcast_to(K, (rows, 3, 3)),
        "T_world_from_camera": np.broadcast_to(T_WORLD_FROM_CAMERA, (rows, 4, 4)),
        "right_joints": (joints, ~given),
        "right_valid": valid,
        "right_in_view": in_view,
        "right_bbox": (bbox, boxless),
    }
    write(path, columns | found)
    return {"samples": rows, "frames without joints": int((~given).sum())}


def _skeletons(
    root: Path, videos: _Videos, used: list[Path], notes: list[str], progress: Progress
) -> tuple[Float[np.ndarray, "rows 21 3"], Bool[np.ndarray, " rows"]]:
    """Joints of all frames (mm, world, native order), and which frames have some."""
    paths, said = find_skeletons(root, videos.names)
    notes += said
    used += {v.split("/")[0]: paths[v] for v in reversed(videos.names)}.values()
    joints = np.zeros((int(videos.length.sum()), 21, 3))
    given = np.zeros(len(joints), bool)
    rows, start = [], 0
    for k, (name, length) in enumerate(zip(videos.names, videos.length.tolist(), strict=True)):
        found = read_skeleton(paths[name])
        rows.append(len(found))
        found = found[:length]
        joints[start : start + len(found)] = found
        given[start : start + len(found)] = True
        start += length
        progress("skeletons", k + 1, len(videos.names))
    _compare_lengths(root, videos, np.array(rows), notes)
    return joints, given


def _compare_lengths(root: Path, videos: _Videos, rows: np.ndarray, notes: list[str]) -> None:
    """Raise HB204 for frames without a skeleton row; note empty files and rows beyond the end."""
    length, names = videos.length, videos.names
    short = np.flatnonzero((rows > 0) & (rows < length))
    raise_contradictions(
        root,
        [f"{names[k]}: {length[k]} frames, but {rows[k]} rows of skeleton.txt." for k in short],
    )
    empty, longer = np.flatnonzero(rows == 0), np.flatnonzero(rows > length)
    if empty.size:
        notes.append(f"skeleton.txt of {empty.size} videos is empty, e.g. {names[empty[0]]}.")
    if longer.size:
        notes.append(
            f"skeleton.txt of {longer.size} videos has rows beyond the last frame of Subjects_info,"
            f" e.g. {names[longer[0]]}: they were left out."
        )


def _frame_columns(videos: _Videos) -> dict[str, Any]:
    length, subject, action, thing = videos.length, videos.subject, videos.action, videos.thing
    code = np.repeat(np.arange(len(length)), length)
    frame = np.arange(len(code)) - np.repeat(np.cumsum(length) - length, length)
    sequence = [videos.names[k] for k in code]
    rows = len(code)
    return {
        "sample_id": [f"{videos.half}/{s}/{n:04d}" for s, n in zip(sequence, frame, strict=True)],
        "sequence": sequence,
        "subject": [subject[k] for k in code],
        "camera": ["color"] * rows,
        "frame": frame,
        "time": frame / RATE,
        "interval": intervals([code], frame, 1, RATE),
        "hand_type": ["right"] * rows,
        "hand_type_valid": np.ones(rows, bool),
        "action": [action[k] for k in code],
        "object": [thing[k] for k in code],
    }


def _images(
    root: Path, videos: _Videos, notes: list[str], progress: Progress
) -> tuple[list[str], Int[np.ndarray, " 2"], Float[np.ndarray, "3 3"]]:
    """Every frame's image as it is on disk, the images' size, and K for that size."""
    folder = next((name for name in VIDEO_FOLDERS if (root / name).is_dir()), "Video_files")
    size = np.array(VIDEO_FOLDERS[folder])
    K = np.diag([size[0] / 1920, size[1] / 1080, 1]) @ K_COLOUR
    if folder != "Video_files":
        notes.append(f"images, K and boxes are those of {folder}: {size[0]}x{size[1]}.")
    image: list[str] = []
    lacking = 0
    for k, (name, length) in enumerate(zip(videos.names, videos.length.tolist(), strict=True)):
        colour = root / folder / name / "color"
        there = {path.name for path in colour.iterdir()} if colour.is_dir() else set()
        names = [f"color_{number:04d}.jpeg" for number in range(length)]
        lacking += sum(name not in there for name in names)
        image += [f"{folder}/{name}/color/{file}" for file in names]
        progress("images", k + 1, len(videos.names))
    if lacking:
        notes.append(f"images are not there for {lacking:,} of {len(image):,} frames.")
    return image, size, K


def _video_columns(videos: _Videos) -> dict[str, Any]:
    rows = len(videos.names)
    return {
        "sample_id": [f"{videos.half}/{name}" for name in videos.names],
        "sequence": videos.names,
        "subject": videos.subject,
        "camera": ["color"] * rows,
        "frame": np.zeros(rows, np.int64),
        "end_frame": videos.length - 1,
        "time": np.zeros(rows),
        "hand_type": ["right"] * rows,
        "hand_type_valid": np.ones(rows, bool),
        "action": videos.action,
        "object": videos.thing,
        "label": [FPHA_ACTIONS.index(action) for action in videos.action],
    }
