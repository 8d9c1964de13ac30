"""Reader of H2O (two hands manipulating objects): frames of the head-mounted camera, and clips.

Tables: ``pose-SPLIT``, one row per frame of the official pose list, and ``action-SPLIT``, one row
per segment of the official action list; train, val, test.

Facts followed here (facts/htt-h2o-fpha.md): the lists are read from the user's copy, never shipped
(1.2, 6.2); only the ego camera cam4 is asked, 30 fps (1.1, 1.5); ``hand_pose`` is metres in the
camera's own frame, x right, y down, z forward, OpenPose order, left hand first, each with a flag
(1.3); ``hand_pose_mano`` is 62 numbers per hand, not the 59 of the readme, without PCA and mean
pose (1.3); ``cam_pose`` is camera to world (1.3); intrinsics are those of ``cam_intrinsics.txt``,
and where that is not there the numbers that every program uses for all subjects (1.3);
``start_act`` and ``end_act`` are inclusive, ids count from 1, the public test list has no labels
(1.5, 1.6); five train frames are in a segment but not in the pose list (1.5).

What the rows mean. A hand with flag 0 keeps its joints, because HTT scores both hands of every
frame and reads no flags (6.1), but none of them is valid or in view; it has no box and no MANO
parameters. The same holds for a hand with flag 1 and nothing but zeros. In view: valid and
projected into the image. ``action`` of a frame is that of its segment, null for test. `label` is
the official action id - 1 (HTT's id); background never occurs. A frame in which neither hand has
its flag has no ``hand_type``. Names of actions, verbs and objects: `h2o_actions`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.annotations import intervals, write
from hand_bench.array_types import Bool, Float, Int
from hand_bench.classes import H2O_OBJECTS
from hand_bench.errors import DatasetError, Problem
from hand_bench.readers.h2o_actions import (
    action_names,
    prepare_actions,
    read_segments,
    segment_of,
)
from hand_bench.readers.h2o_files import (
    RATE,
    Frames,
    Progress,
    Tree,
    find_list,
    frame_paths,
    is_official,
    list_notes,
    read_frames,
    read_numbers,
    read_pose_list,
)
from hand_bench.readers.projected import seen

#: fx, fy, cx, cy, width, height of the ego camera where cam_intrinsics.txt is not there: facts 1.3.
EGO_CAMERA = (636.6593017578125, 636.251953125, 635.283881879317, 366.8740353496978, 1280.0, 720.0)

#: Official numbers: facts 1.5.
COUNTS: dict[str, dict[str, dict[str, int]]] = {
    "pose": {
        "train": {"samples": 55_742, "sequences": 114, "subjects": 3},
        "val": {"samples": 11_638, "sequences": 24, "subjects": 1},
        "test": {"samples": 23_391, "sequences": 46, "subjects": 1},
    },
    "action": {
        "train": {"samples": 569, "frames": 55_747, "sequences": 114, "subjects": 3},
        "val": {"samples": 122, "frames": 11_638, "sequences": 24, "subjects": 1},
        "test": {"samples": 242, "frames": 23_391, "sequences": 46, "subjects": 1},
    },
}


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write a table (``pose-test``, ``action-val``, ...); return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202 where a list or the hand poses are not there, HB203, HB204.
    """
    kind, name = split.split("-")
    write_table = _prepare_poses if kind == "pose" else prepare_actions
    used, counts, notes = write_table(Path(root), name, path, progress)
    return _summary(used, counts, COUNTS[kind][name], notes)


def _prepare_poses(
    root: Path, split: str, path: Path, progress: Progress
) -> tuple[list[Path], dict[str, int], list[str]]:
    listed = find_list(root, f"pose_{split}")
    notes = list_notes(listed)
    frames, tree = read_pose_list(listed, split), Tree(root)
    columns = _frame_columns(frames, split)
    columns |= _images(tree, frames, notes)
    columns["action"], used = _actions_of(root, split, frames, notes)
    found, counts = _annotated(tree, frames, listed, notes, progress)
    write(path, columns | found)
    counts = {
        "samples": len(frames),
        "sequences": len(frames.sequences),
        "subjects": len(set(columns["subject"])),
    } | counts
    return [listed, *used, *_witnesses(tree, frames)], counts, notes + tree.notes()


def _witnesses(tree: Tree, frames: Frames) -> list[Path]:
    """The first hand_pose file of each subject: by them a later run notices another release."""
    first = {s.split("/")[0]: code for code, s in reversed(list(enumerate(frames.sequences)))}
    paths, _ = frame_paths(tree, frames, "hand_pose")
    found = [paths[frames.rows(code).start] for code in sorted(first.values())]
    return [path for path in found if path is not None]


def _summary(
    used: list[Path], counts: dict[str, int], expected: dict[str, int], notes: list[str]
) -> dict[str, Any]:
    complete = all(counts[name] == number for name, number in expected.items())
    return {
        "release": "official split lists" if is_official(used[0]) else "unknown (another list)",
        "complete": complete,
        "files": [str(path) for path in used],
        "counts": counts,
        "expected": expected,
        "notes": notes,
        "unit": "mm",
        "pixel_origin": "not stated by the source; K as its files give it",
        "licence": "H2O's terms of registration; no redistribution",
    }


def _frame_columns(frames: Frames, split: str) -> dict[str, Any]:
    sequence = [frames.sequences[k] for k in frames.code]
    return {
        "sample_id": [
            f"{split}/{s}/cam4/{n:06d}" for s, n in zip(sequence, frames.number, strict=True)
        ],
        "sequence": sequence,
        "subject": [s.split("/")[0] for s in sequence],
        "camera": ["cam4"] * len(frames),
        "frame": frames.number,
        "time": frames.number / RATE,
        "interval": intervals([frames.code], frames.number, 1, RATE),
    }


def _images(tree: Tree, frames: Frames, notes: list[str]) -> dict[str, Any]:
    """The images' paths as they are on disk; where none are there, where they would be."""
    paths, there = frame_paths(tree, frames, "rgb", "png")
    if not there.all():
        notes.append(f"images are not there for {(~there).sum():,} of {len(frames):,} frames.")
    image = [
        frames.name(row) if path is None else path.relative_to(tree.root).as_posix()
        for row, path in enumerate(paths)
    ]
    return {"image": image}


def _actions_of(
    root: Path, split: str, frames: Frames, notes: list[str]
) -> tuple[list[str | None], list[Path]]:
    """The name of the action of every frame, and the lists that say so; never for test."""
    nothing: list[str | None] = [None] * len(frames)
    if split == "test":
        return nothing, []
    try:
        listed = find_list(root, f"action_{split}")
    except DatasetError as error:
        if error.problems[0].code != "HB202":
            raise
        notes.append(f"action_{split}.txt was not found: the frames' actions stay empty.")
        return nothing, []
    segments = read_segments(listed, split)
    at = segment_of(frames, segments)
    if (at < 0).any():
        notes.append(f"{(at < 0).sum():,} listed frames are in no segment of {listed.name}.")
    names = action_names(segments)
    return [names[k] if k >= 0 else None for k in at], [listed]


def _annotated(
    tree: Tree, frames: Frames, listed: Path, notes: list[str], progress: Progress
) -> tuple[dict[str, Any], dict[str, int]]:
    """The columns of the annotation files, and counts of what they hold."""
    paths, there = frame_paths(tree, frames, "hand_pose")
    _check_all_there(tree, frames, listed, there)
    poses = read_frames(paths, there, 128, "hand_pose", progress).reshape(-1, 2, 64)[:, ::-1]
    K, size = _cameras(tree, frames, notes)
    pose, posed = _camera_poses(tree, frames, progress)
    columns = {
        "width": size[:, 0],
        "height": size[:, 1],
        "K": K,
        "T_world_from_camera": (pose, ~posed),
        "object": _objects(tree, frames, notes, progress),
    }
    flags = _flags(poses[:, :, 0], paths, "hand_pose")
    columns |= _hand_type(flags)
    counts = {
        "hands with flag 0": int((~flags).sum()),
        "frames with both hands": int(flags.all(axis=1).sum()),
        "frames without a camera pose": int((~posed).sum()),
    }
    mano = _mano(tree, frames, progress)
    for k, side in enumerate(("right", "left")):
        hand = _hand(poses[:, k, 1:], flags[:, k], K, size, paths, notes, side)
        columns |= {f"{side}_{name}": value for name, value in hand.items()}
        parameters, given = mano[:, k], flags[:, k] & ~np.isnan(mano[:, k]).any(axis=1)
        columns[f"{side}_mano"] = parameters, ~given
        counts[f"{side} hands with MANO parameters"] = int(given.sum())
    return columns, counts


def _check_all_there(tree: Tree, frames: Frames, listed: Path, there: np.ndarray) -> None:
    lacking = np.flatnonzero(~there)
    if not lacking.size:
        return
    example = frames.name(int(lacking[0]), "hand_pose", "txt")
    if lacking.size == len(frames):
        subjects = sorted({s.split("/")[0] for s in frames.sequences})
        raise DatasetError(
            Problem(
                "HB202",
                str(tree.root),
                f"holds no hand poses of {listed.name}.",
                cause=f"Looked for files such as {example} in {', '.join(subjects)} and in "
                f"folders such as {subjects[0]}_ego and {subjects[0]}_pose_v1_1/{subjects[0]}.",
                fix="Unpack subjectN_pose_v1_1.tar.gz (annotations only) or a larger archive.",
            )
        )
    codes = np.unique(frames.code[lacking])
    raise DatasetError(
        Problem(
            "HB204",
            str(listed),
            f"lists {len(frames):,} frames; hand_pose files of {lacking.size:,} of them, in "
            f"{len(codes)} sequences, are not under {tree.root}, e.g. {example}.",
            cause="An archive that was unpacked in part, or a subject that is missing?",
        )
    )


def _flags(values: np.ndarray, paths: list[Path | None], kind: str) -> Bool[np.ndarray, "rows 2"]:
    """The flags of (right, left) as booleans; NaN (no file) is False, HB203 for another value."""
    wrong = ~np.isin(values, (0, 1)) & ~np.isnan(values)
    if wrong.any():
        row, hand = np.argwhere(wrong)[0]
        what = f"has {kind} flags other than 0 and 1, e.g. {values[row, hand]:g}"
        raise DatasetError(
            Problem(
                "HB203",
                str(paths[row]),
                f"{what} ({wrong.any(axis=1).sum():,} files like it).",
                cause="A file of another layout?",
            )
        )
    return values == 1


def _hand_type(flags: Bool[np.ndarray, "rows 2"]) -> dict[str, Any]:
    names = np.array([None, "right", "left", "interacting"], object)
    return {
        "hand_type": names[flags @ np.array([1, 2])].tolist(),
        "hand_type_valid": flags.any(axis=1),
    }


def _hand(
    metres: Float[np.ndarray, "rows 63"],
    flag: Bool[np.ndarray, " rows"],
    K: Float[np.ndarray, "rows 3 3"],
    size: Int[np.ndarray, "rows 2"],
    paths: list[Path | None],
    notes: list[str],
    side: str,
) -> dict[str, Any]:
    """The columns of one hand, from its 63 numbers and its flag."""
    finite = np.isfinite(metres).all(axis=1)
    if (flag & ~finite).any():
        bad = paths[int((flag & ~finite).argmax())]
        what = f"has a {side} hand with flag 1 and numbers that are not finite."
        raise DatasetError(Problem("HB203", str(bad), what))
    if not finite.all():
        notes.append(f"{(~finite).sum():,} {side} hands with flag 0 hold no finite numbers: null.")
    empty = flag & (metres == 0).all(axis=1)
    if empty.any():
        bad = paths[int(empty.argmax())]
        notes.append(
            f"{empty.sum():,} {side} hands have flag 1 and nothing but zeros, e.g. in {bad}: "
            "their joints are not valid."
        )
    valid = np.repeat((flag & ~empty)[:, None], 21, axis=1)
    joints = 1000 * metres.reshape(-1, 21, 3)
    in_view, bbox, boxless = seen(joints, valid, K, size)
    return {
        "joints": (joints, ~finite),
        "valid": valid,
        "in_view": in_view,
        "bbox": (bbox, boxless),
    }


def _cameras(
    tree: Tree, frames: Frames, notes: list[str]
) -> tuple[Float[np.ndarray, "rows 3 3"], Int[np.ndarray, "rows 2"]]:
    """K and the image size of every frame, one file per sequence."""
    values, lacking, other = [], [], []
    for sequence in frames.sequences:
        places = [c / "cam_intrinsics.txt" for c in tree.camera_folders(sequence)]
        path = next((p for p in places if p.is_file()), None)
        values.append(np.array(EGO_CAMERA) if path is None else _intrinsics(path))
        if path is None:
            lacking.append(sequence)
        elif not np.allclose(values[-1], EGO_CAMERA, rtol=0, atol=1e-3):
            other.append(path)
    if lacking:
        notes.append(
            f"cam_intrinsics.txt is not there for {len(lacking)} sequences, e.g. {lacking[0]}: "
            "their K is the one that is usual for all subjects."
        )
    if other:
        notes.append(
            f"cam_intrinsics.txt differs from the usual K in {len(other)} sequences, e.g. "
            f"{other[0]}: the file was followed."
        )
    camera = np.array(values)[frames.code]
    K = np.zeros((len(frames), 3, 3))
    K[:, [0, 1, 0, 1, 2], [0, 1, 2, 2, 2]] = np.insert(camera[:, :4], 4, 1, axis=1)
    return K, camera[:, 4:].astype(np.int64)


def _intrinsics(path: Path) -> np.ndarray:
    camera = read_numbers(path, 6)
    size = camera[4:]
    if not (np.isfinite(camera).all() and (camera > 0).all() and (size == size.round()).all()):
        what = f"holds {camera.tolist()}, not fx fy cx cy width height."
        raise DatasetError(Problem("HB203", str(path), what))
    return camera


def _camera_poses(
    tree: Tree, frames: Frames, progress: Progress
) -> tuple[Float[np.ndarray, "rows 4 4"], Bool[np.ndarray, " rows"]]:
    """T_world_from_camera in mm, and which frames have one."""
    paths, there = frame_paths(tree, frames, "cam_pose")
    pose = read_frames(paths, there, 16, "cam_pose", progress).reshape(-1, 4, 4)
    bad = there & ~(
        np.isclose(pose[:, 3], [0, 0, 0, 1]).all(axis=1) & np.isfinite(pose).all((1, 2))
    )
    if bad.any():
        row = int(bad.argmax())
        what = f"is no camera pose (4x4, last row 0 0 0 1); {bad.sum():,} files like it."
        raise DatasetError(Problem("HB203", str(paths[row]), what))
    pose[:, :3, 3] *= 1000
    return pose, there


def _objects(tree: Tree, frames: Frames, notes: list[str], progress: Progress) -> list[str | None]:
    """The object's name in every frame, from the id in obj_pose; None for background or no file."""
    paths, there = frame_paths(tree, frames, "obj_pose")
    number = read_frames(paths, there, 64, "obj_pose", progress)[:, 0]
    wrong = there & ~np.isin(number, np.arange(len(H2O_OBJECTS)))
    if wrong.any():
        row = int(wrong.argmax())
        what = f"has object id {number[row]:g}; ids are 0 to 8 ({wrong.sum():,} files like it)."
        raise DatasetError(Problem("HB203", str(paths[row]), what))
    if not there.all():
        notes.append(f"obj_pose is not there for {(~there).sum():,} frames: no object is named.")
    return [H2O_OBJECTS[int(k)] if k > 0 else None for k in np.where(there, number, 0)]


def _mano(tree: Tree, frames: Frames, progress: Progress) -> Float[np.ndarray, "rows 2 61"]:
    """MANO parameters of (right, left): rotations, shape, translation in mm; NaN where none."""
    paths, there = frame_paths(tree, frames, "hand_pose_mano")
    values = read_frames(paths, there, 124, "hand_pose_mano", progress).reshape(-1, 2, 62)[:, ::-1]
    flags = _flags(values[:, :, 0], paths, "hand_pose_mano")
    translation, rotations_and_shape = 1000 * values[:, :, 1:4], values[:, :, 4:]
    mano = np.concatenate([rotations_and_shape, translation], axis=2)
    return np.where(flags[:, :, None] & np.isfinite(mano), mano, np.nan)
