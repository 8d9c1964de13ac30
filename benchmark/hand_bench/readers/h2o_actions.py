"""H2O's actions: their names, the official lists of segments, and the tables of clips.

The facts followed are listed in `hand_bench.readers.h2o`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.annotations import write
from hand_bench.array_types import Int
from hand_bench.classes import H2O_ACTIONS, H2O_VERBS
from hand_bench.errors import DatasetError, Problem
from hand_bench.readers.h2o_files import (
    RATE,
    Frames,
    Progress,
    Tree,
    check_split,
    damaged,
    find_list,
    list_notes,
    read_lines,
    read_numbers,
)

#: Official verb id of every action name.
ACTION_VERB = {action: H2O_VERBS.index(action.rsplit(" ", 1)[0]) for action in H2O_ACTIONS}

_ACTION_PATH = re.compile(r"subject\d+/\w+/\d+")
_ACTION_NUMBERS = ("id", "start_act", "end_act", "start_frame", "end_frame")


@dataclass(frozen=True)
class Segments:
    """An action list, in its order. `label` is the official id (1..36), None where withheld."""

    annotation_id: Int[np.ndarray, " segments"]
    sequence: list[str]
    label: Int[np.ndarray, " segments"] | None
    start: Int[np.ndarray, " segments"]
    end: Int[np.ndarray, " segments"]

    def __len__(self) -> int:
        return len(self.sequence)


def read_segments(path: Path, split: str) -> Segments:
    """Read an action list; columns go by their names in the header (six, or seven with labels).

    Raises
    ------
    DatasetError
        HB203 for another header or row, HB204 for rows that contradict each other.
    """
    lines = read_lines(path)
    header = lines[0].split() if lines else []
    if not {"path", *_ACTION_NUMBERS} <= set(header) <= {"path", "action_label", *_ACTION_NUMBERS}:
        raise damaged(
            path, f"begins with {' '.join(header)[:80]!r}, not with the names of columns."
        )
    rows = [line.split() for line in lines[1:]]
    for k, row in enumerate(rows, 2):
        whole = len(row) == len(header) and all(
            _ACTION_PATH.fullmatch(v) if name == "path" else v.isdecimal()
            for name, v in zip(header, row, strict=True)
        )
        if not whole:
            raise damaged(path, f"line {k} is {' '.join(row)[:60]!r}, not {' '.join(header)!r}.")
    if not rows:
        raise damaged(path, "lists no segments.")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    numbers = {name: np.array(v, np.int64) for name, v in columns.items() if name != "path"}
    sequence = list(columns["path"])
    _check_segments(path, sequence, numbers)
    check_split(path, split, sequence)
    return Segments(
        numbers["id"],
        sequence,
        numbers.get("action_label"),
        numbers["start_act"],
        numbers["end_act"],
    )


def _check_segments(path: Path, sequence: list[str], n: dict[str, np.ndarray]) -> None:
    """Raise what is wrong with an action list, all at once."""
    start, end = n["start_act"], n["end_act"]
    at = np.array(sequence)
    order = np.lexsort((start, at))
    same = at[order][1:] == at[order][:-1]
    overlap, extent = np.zeros((2, len(at)), bool)
    overlap[order[1:]] = same & (start[order][1:] <= end[order][:-1])
    for column in ("start_frame", "end_frame"):
        extent[order[1:]] |= same & (np.diff(n[column][order]) != 0)
    label = n.get("action_label", np.ones(len(at), np.int64))
    checks = {
        "ids do not run from 1 without a gap": n["id"] != np.arange(1, len(at) + 1),
        "segments end before they start": end < start,
        "segments are not inside their sequence": (start < n["start_frame"])
        | (end > n["end_frame"]),
        "segments overlap the one before": overlap,
        "rows give their sequence another length than the rows before": extent,
        "labels are not in 1..36": (label < 1) | (label > 36),
    }
    problems = [
        Problem("HB204", str(path), f"{bad.sum():,} {what}, e.g. in line {bad.argmax() + 2}.")
        for what, bad in checks.items()
        if bad.any()
    ]
    if problems:
        raise DatasetError(problems)


def segment_of(frames: Frames, segments: Segments) -> Int[np.ndarray, " frames"]:
    """Return the index of the segment that each frame is in, -1 where there is none."""
    found = np.full(len(frames), -1)
    of_sequence: dict[str, list[int]] = {}
    for k in np.argsort(segments.start, kind="stable"):
        of_sequence.setdefault(segments.sequence[k], []).append(int(k))
    for code, sequence in enumerate(frames.sequences):
        if sequence in of_sequence:
            rows, order = frames.rows(code), np.array(of_sequence[sequence])
            number = frames.number[rows]
            last = np.searchsorted(segments.start[order], number, side="right") - 1
            inside = (last >= 0) & (number <= segments.end[order[last]])
            found[rows] = np.where(inside, order[last], -1)
    return found


def action_names(segments: Segments) -> list[str | None]:
    """Return the name of every segment's action; None where labels are withheld."""
    if segments.label is None:
        return [None] * len(segments)
    return [H2O_ACTIONS[k - 1] for k in segments.label]


def prepare_actions(
    root: Path, split: str, path: Path, progress: Progress
) -> tuple[list[Path], dict[str, int], list[str]]:
    """Write a table of clips; return the files that were read, counts and notes."""
    listed = find_list(root, f"action_{split}")
    notes = list_notes(listed)
    segments = read_segments(listed, split)
    order = np.lexsort((segments.start, np.array(segments.sequence)))
    write(path, _segment_columns(segments, split, order))
    if split != "test":
        notes += _label_files(Tree(root), segments, progress)
    counts = {
        "samples": len(segments),
        "sequences": len(set(segments.sequence)),
        "subjects": len({s.split("/")[0] for s in segments.sequence}),
        "frames": int((segments.end - segments.start + 1).sum()),
        "labels withheld": len(segments) if segments.label is None else 0,
    }
    return [listed], counts, notes


def _segment_columns(segments: Segments, split: str, order: np.ndarray) -> dict[str, Any]:
    sequence = [segments.sequence[k] for k in order]
    start, end = segments.start[order], segments.end[order]
    action = [action_names(segments)[k] for k in order]
    label = segments.label
    return {
        "sample_id": [
            f"{split}/{s}/{a:06d}-{b:06d}" for s, a, b in zip(sequence, start, end, strict=True)
        ],
        "annotation_id": segments.annotation_id[order],
        "sequence": sequence,
        "subject": [s.split("/")[0] for s in sequence],
        "camera": ["cam4"] * len(order),
        "frame": start,
        "end_frame": end,
        "time": start / RATE,
        "object": [name and name.rsplit(" ", 1)[1] for name in action],
        "action": action,
        "label": None if label is None else label[order] - 1,
    }


def _label_files(tree: Tree, segments: Segments, progress: Progress) -> list[str]:
    """Compare the list's labels with the files action_label, where they are there (facts 1.5)."""
    other = []
    assert segments.label is not None
    for k, (sequence, start) in enumerate(zip(segments.sequence, segments.start, strict=True)):
        places = [c / "action_label" / f"{start:06d}.txt" for c in tree.camera_folders(sequence)]
        path = next((p for p in places if p.is_file()), None)
        if path is not None and read_numbers(path, 1)[0] != segments.label[k]:
            other.append(path)
        progress("action_label", k + 1, len(segments))
    if not other:
        return []
    return [
        f"action_label says another action than the list in {len(other)} segments, e.g. in "
        f"{other[0]}: the list was followed."
    ]
