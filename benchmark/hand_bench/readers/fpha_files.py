"""FPHA's official files as arrays: the action split, the videos' lengths, objects, skeletons.

The facts followed are listed in `hand_bench.readers.fpha`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from hand_bench import files
from hand_bench.array_types import Float
from hand_bench.classes import FPHA_ACTIONS
from hand_bench.errors import DatasetError, Problem

Progress = Callable[[str, int, int], None]

SPLIT_FILE = "data_split_action_recognition.txt"
SPLIT_SHA256 = "8580f0c767904bdbe8ad639dea1af3942010b9f2de7b6afa523784c2114d07f2"
OBJECTS_FILE = "action_object_info.txt"
SKELETON_FOLDERS = ("Hand_pose_annotation_v1", "Hand_pose_annotation_v1_1")
#: Folders of the images with their width and height; K of the small ones is a quarter (facts 2.3).
VIDEO_FOLDERS = {"Video_files": (1920, 1080), "Video_files_480": (480, 270)}

_SPLIT_HEADER = re.compile(r"(Training|Test) (\d+)")
_SPLIT_ROW = re.compile(r"(Subject_\d+/(\w+)/\d+) (\d+)")
_INFO_ROW = re.compile(r"(\w+)\s+(\d+)\s+(\d+)")
_SHOWN = 10


def damaged(path: Path, what: str) -> DatasetError:
    """Build the error of a file that has another form than documented (HB203)."""
    cause = "A file of another dataset, or one that was cut off?"
    return DatasetError(Problem("HB203", str(path), what, cause=cause))


def absent(root: Path, what: str, looked_for: Iterable[Path]) -> DatasetError:
    """Build the error of official files that are not there (HB202)."""
    looked = ", ".join(str(path) for path in looked_for)
    fix = "ROOT is the folder that holds Subjects_info/ and Hand_pose_annotation_v1/."
    return DatasetError(Problem("HB202", str(root), what, cause=f"Looked for {looked}.", fix=fix))


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise damaged(path, "is not plain text.") from error


def read_split(path: Path) -> dict[str, dict[str, int]]:
    """Read the 1:1 action split: "train" and "test" -> video -> label (0-based).

    Raises
    ------
    DatasetError
        HB202, HB203 for a line of another form, HB204 for headers, labels and videos that
        contradict each other.
    """
    if not path.is_file():
        raise absent(path.parent, f"holds no {SPLIT_FILE}.", [path])
    halves: dict[str, dict[str, int]] = {}
    announced: dict[str, int] = {}
    current: dict[str, int] | None = None
    problems: list[str] = []
    seen: set[str] = set()
    for k, line in enumerate(_lines(path), 1):
        if header := _SPLIT_HEADER.fullmatch(line):
            half = "train" if header[1] == "Training" else "test"
            current = halves.setdefault(half, {})
            announced[half] = int(header[2])
        elif (row := _SPLIT_ROW.fullmatch(line)) and current is not None:
            current[row[1]] = int(row[3])
            problems += _row_problems(k, row, seen)
        else:
            raise damaged(path, f"line {k} is {line[:60]!r}, not 'Subject_1/action/1 0'.")
    if set(halves) != {"train", "test"}:
        raise damaged(path, "has not both parts, 'Training 600' and 'Test 575'.")
    problems += [
        f"announces {announced[half]:,} {half} videos and lists {len(videos):,}."
        for half, videos in halves.items()
        if announced[half] != len(videos)
    ]
    raise_contradictions(path, problems)
    return halves


def _row_problems(k: int, row: re.Match[str], seen: set[str]) -> list[str]:
    """What is wrong with the row of a video: its label, or that it is not the first."""
    video, action, label = row[1], row[2], int(row[3])
    problems = []
    if action not in FPHA_ACTIONS:
        problems.append(f"line {k}: there is no action {action!r}.")
    elif FPHA_ACTIONS.index(action) != label:
        official = FPHA_ACTIONS.index(action)
        problems.append(f"line {k}: {video} has label {label}; {action} is {official}.")
    if video in seen:
        problems.append(f"line {k}: {video} is listed twice.")
    seen.add(video)
    return problems


def raise_contradictions(path: Path, problems: list[str]) -> None:
    """Raise HB204 with the first problems of a file or folder, if there are any."""
    if problems:
        more = f"{len(problems) - _SHOWN:,} more like these."
        shown = problems[:_SHOWN] + [more] * (len(problems) > _SHOWN)
        raise DatasetError([Problem("HB204", str(path), text) for text in shown])


def is_known(path: Path) -> bool:
    """Whether the split file is the known one, by the hash of a third party's copy."""
    return files.sha256(path) == SPLIT_SHA256


def split_notes(path: Path) -> list[str]:
    """Say how the split file differs from the known one."""
    if is_known(path):
        return []
    digest = files.sha256(path)
    return [f"{path.name} has SHA-256 {digest}; the copy that is known has {SPLIT_SHA256}."]


def info_files(root: Path, videos: Iterable[str]) -> list[Path]:
    """Return the file with the lengths of each subject's videos; HB202 where one is not there."""
    subjects = sorted({video.split("/")[0] for video in videos})
    paths = [root / "Subjects_info" / f"{subject}_info.txt" for subject in subjects]
    if not all(path.is_file() for path in paths):
        lacking = [path for path in paths if not path.is_file()]
        raise absent(root, f"lacks {len(lacking)} files of Subjects_info.", lacking)
    return paths


def read_lengths(path: Path) -> tuple[dict[str, int], list[str]]:
    """Read the number of frames of each video of a subject, and what its header says otherwise.

    Raises
    ------
    DatasetError
        HB203 for a row of another form, HB204 for a video with two lengths.
    """
    subject = path.name.removesuffix("_info.txt")
    lines = _lines(path)
    lengths: dict[str, int] = {}
    for k, line in enumerate(lines[3:], 4):
        row = _INFO_ROW.fullmatch(line)
        if row is None or int(row[3]) < 1:
            raise damaged(path, f"row {k} is {line[:60]!r}, not 'name_action num_instance frames'.")
        video, frames = f"{subject}/{row[1]}/{row[2]}", int(row[3])
        if lengths.setdefault(video, frames) != frames:
            what = f"gives {video} {lengths[video]} and {frames} frames."
            raise DatasetError(Problem("HB204", str(path), what))
    if not lengths:
        raise damaged(path, "lists no videos after its three header lines.")
    return lengths, _header_notes(path, lines[:2], lengths)


def _header_notes(path: Path, header: list[str], lengths: dict[str, int]) -> list[str]:
    notes = []
    totals = {"videos": len(lengths), "frames": sum(lengths.values())}
    for line, (what, total) in zip(header, totals.items(), strict=True):
        announced = line.rsplit(":", 1)[-1].strip()
        if announced != str(total):
            notes.append(f"{path.name} says {line!r}; its rows have {total:,} {what}.")
    return notes


def read_objects(path: Path) -> dict[str, str]:
    """Read the object's name of every action.

    Raises
    ------
    DatasetError
        HB203 for a row without five fields, HB204 for other actions or indices than the known.
    """
    objects: dict[str, str] = {}
    problems = []
    for k, line in enumerate(_lines(path)[1:]):
        row = line.split()
        if len(row) != 5 or not row[0].isdecimal():
            raise damaged(path, f"row {k + 1} is {line[:60]!r}, not index, action, object, 2 more.")
        if k >= len(FPHA_ACTIONS) or (int(row[0]), row[1]) != (k + 1, FPHA_ACTIONS[k]):
            wanted = f"{k + 1} {FPHA_ACTIONS[k]}" if k < len(FPHA_ACTIONS) else "no more rows"
            problems.append(f"row {k + 1} is {row[0]} {row[1]}, not {wanted}.")
        objects[row[1]] = row[2]
    if len(objects) < len(FPHA_ACTIONS) and not problems:
        problems.append(f"has {len(objects)} actions, not {len(FPHA_ACTIONS)}.")
    raise_contradictions(path, problems)
    return objects


def find_skeletons(root: Path, videos: Iterable[str]) -> tuple[dict[str, Path], list[str]]:
    """Return the skeleton file of every video, and a note where there are two folders of them.

    Raises
    ------
    DatasetError
        HB202 where there is none at all, HB204 with the videos that lack one.
    """
    folders = [root / name for name in SKELETON_FOLDERS]
    there = [folder for folder in folders if folder.is_dir()]
    base = there[0] if there else folders[0]
    paths = {video: base / video / "skeleton.txt" for video in videos}
    lacking = [video for video, path in paths.items() if not path.is_file()]
    if len(lacking) == len(paths):
        raise absent(root, "holds no skeletons of this table.", folders)
    raise_contradictions(base, [f"{video}/skeleton.txt is not there." for video in lacking])
    twice = f"skeletons are in {' and '.join(f.name for f in there)}: taken from {base.name}."
    return paths, [twice] if len(there) > 1 else []


def read_skeleton(path: Path) -> Float[np.ndarray, "frames 21 3"]:
    """Read a video's joints: mm of the depth camera's frame, the dataset's own order.

    An empty file gives no frames.

    Raises
    ------
    DatasetError
        HB203 where rows are not a frame number, counted from 0, and 63 finite numbers.
    """
    tokens = path.read_bytes().split()
    try:
        values = np.array(tokens, np.float64)
    except ValueError as error:
        raise damaged(path, f"holds something else than numbers: {error}.") from error
    if len(values) % 64:
        raise damaged(path, f"holds {len(values):,} numbers, not rows of 64.")
    rows = values.reshape(-1, 64)
    wrong = rows[:, 0] != np.arange(len(rows))
    if wrong.any():
        row = int(wrong.argmax())
        raise damaged(path, f"row {row} is of frame {rows[row, 0]:g}.")
    if not np.isfinite(rows).all():
        raise damaged(path, "holds numbers that are not finite.")
    return rows[:, 1:].reshape(-1, 21, 3)
