"""Clips of six verbs in AssemblyHands' sequences, from the segments of Assembly101.

Facts followed here (facts/assemblyhands.md): the six verbs, without "attempt to ..." and "position
screw on" (3.1, 3.2); segments come per view at 30 fps (`video` is `sequence/view.mp4`) or once at
60 fps with zero-padded numbers (`video` is the bare sequence), and frame 60 = 2 frame 30 + 1 (3.2);
a recording's segments are in whichever CSV lists it, so all of them are read and the split is
AssemblyHands' own (1.9, 3.2); verbs go by name, their numbers are checked against actions.csv.

One row per segment: `frame` to `end_frame` are 60-fps frame numbers (AssemblyHands annotates every
second one, of either parity), `label` the verb's place in VERBS, `action` the verb, `object` the
noun. Segments may overlap in time: each hand has its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from hand_bench.annotations import write
from hand_bench.errors import DatasetError, Problem
from hand_bench.readers.assemblyhands_files import find_newest
from hand_bench.readers.assemblyhands_json import (
    Progress,
    read_frames,
    read_sequence_names,
)
from hand_bench.readers.assemblyhands_rows import FRAME_NUMBERS_PER_SECOND, subject
from hand_bench.readers.json_stream import reading

#: The classes: `label` is the place in this list.
VERBS = ("pick up", "put down", "position", "remove", "screw", "unscrew")
PARTS = ("train", "validation", "test")
_BASES = (".", "assembly101", "assembly101-annotations", "MS-G3D-action-recognition")
FOLDERS = tuple(
    f"{base}/{name}".removeprefix("./").removesuffix("/.")
    for name in ("fine-grained-annotations", "CSVs", ".")
    for base in _BASES
)
_COLUMNS = ("video", "start_frame", "end_frame", "verb_id", "verb_cls", "noun_cls")
_PREFIX = "nusar-2021_action_both_"
#: The public split (facts 1.9), for where AssemblyHands itself is not at hand.
_SPLITS: dict[str, tuple[str, ...]] = {
    "train": (
        "9014-a23_9014_user_id_2021-02-02_142800",
        "9015-b05b_9015_user_id_2021-02-02_161800",
        "9026-c12b_9026_user_id_2021-02-03_171236",
        "9034-c08b_9034_user_id_2021-02-23_175357",
        "9041-c07c_9041_user_id_2021-02-05_104114",
        "9051-c10a_9051_user_id_2021-02-22_120421",
        "9053-c08b_9053_user_id_2021-02-08_140757",
        "9054-c01a_9054_user_id_2021-02-08_160424",
        "9062-a21_9062_user_id_2021-02-09_151231",
        "9071-c14a_9071_user_id_2021-02-11_092353",
        "9072-c10a_9072_user_id_2021-02-11_112415",
        "9075-c08b_9075_user_id_2021-02-12_101609",
        "9076-c13d_9076_user_id_2021-02-12_115510",
        "9085-c10a_9085_user_id_2021-02-22_174720",
    ),
    "val": (
        "9012-c07c_9012_user_id_2021-02-01_164345",
        "9081-c11b_9081_user_id_2021-02-12_161433",
    ),
    "test": (
        "9021-c10a_9021_user_id_2021-02-23_100458",
        "9034-c08b_9034_user_id_2021-02-04_161726",
        "9061-c13d_9061_user_id_2021-02-09_143830",
        "9074-a29_9074_user_id_2021-02-11_154856",
    ),
}
#: Segments of the six verbs in the recordings of Assembly101's validation.csv (facts 3.2).
_SEGMENTS = {"train": ("9014-a23", 148), "test": ("9021-c10a", 162)}


class Segment(NamedTuple):
    """One segment of a recording, 60-fps frame numbers."""

    sequence: str
    start: int
    end: int
    label: int
    noun: str


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the clips of `verbs-train`, `verbs-val` or `verbs-test`.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204.
    """
    root, part = Path(root), split.removeprefix("verbs-")
    tables, actions = find_tables(root)
    sequences, annotated, source = _sequences(root, part, progress)
    numbers = _verb_numbers(actions) if actions else {}
    segments: set[Segment] = set()
    notes: list[str] = []
    for k, table in enumerate(tables):
        progress(f"reading {table.name}", k, len(tables))
        segments |= _read_segments(table, sequences, numbers, notes)
    clips = sorted(segments)
    if not clips:
        raise _no_segments(tables, part, sequences)
    write(path, _columns(split, clips))
    progress("reading segments", len(tables), len(tables))
    read = [*tables, *([actions] if actions else []), *([source] if source else [])]
    if source is None:
        notes.append("Which sequences belong to the split is the public list of the toolkit.")
    return _summary(part, clips, sequences, annotated, read, tables, notes)


def find_tables(root: Path) -> tuple[list[Path], Path | None]:
    """Find train, validation and test.csv, and actions.csv, each in the first folder that has it.

    Raises
    ------
    DatasetError
        HB202 with every place that was looked at.
    """
    folders = [root / folder for folder in FOLDERS]
    places = [[folder / f"{name}.csv" for folder in folders] for name in (*PARTS, "actions")]
    found = [next((path for path in paths if path.is_file()), None) for paths in places]
    tables = [path for path in found[:-1] if path is not None]
    if not tables:
        raise DatasetError(
            Problem(
                "HB202",
                str(root),
                "holds none of Assembly101's train.csv, validation.csv and test.csv.",
                cause=f"Looked in {', '.join(map(str, folders))}.",
                fix="Put Assembly101's fine-grained-annotations/ (or CSVs/) beside annotations/.",
            )
        )
    return tables, found[-1]


def _sequences(
    root: Path, part: str, progress: Progress
) -> tuple[tuple[str, ...], dict[str, np.ndarray], Path | None]:
    """The split's sequences, their annotated frames where joint_3d is there, and the file read."""
    joints = find_newest(root, part, "joint_3d")
    if joints is not None:
        frames = read_frames(joints, progress)
        return tuple(sorted(frames)), frames, joints
    images = find_newest(root, part, "ego_data")
    if images is not None:
        return tuple(read_sequence_names(images, progress)), {}, images
    return tuple(_PREFIX + name for name in _SPLITS[part]), {}, None


def _verb_numbers(path: Path) -> dict[str, int]:
    """Numbers of the six verbs in actions.csv."""
    with reading(path):
        table = _read_csv(path, ("verb_id", "verb_cls"))
        pairs = set(zip(*(table[n].to_pylist() for n in ("verb_cls", "verb_id")), strict=True))
        return {verb: int(number) for verb, number in pairs if verb in VERBS}


def _read_csv(path: Path, columns: Iterable[str]) -> pa.Table:
    """Read columns as texts, with nulls for a column that is not there."""
    options = pcsv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        include_columns=list(columns),
        include_missing_columns=True,
        strings_can_be_null=False,
    )
    return pcsv.read_csv(path, convert_options=options)


def _read_segments(
    path: Path, sequences: tuple[str, ...], numbers: dict[str, int], notes: list[str]
) -> set[Segment]:
    """Segments of some sequences and the six verbs; views of one segment become one."""
    with reading(path):
        table = _read_csv(path, _COLUMNS)
        if table["verb_cls"].null_count == len(table):
            notes.append(f"{path.name} has no verb_cls (an early release): not read.")
            return set()
        missing = [name for name in _COLUMNS if table[name].null_count]
        if missing:
            raise KeyError(", ".join(missing))
        video = pc.dictionary_encode(table["video"]).combine_chunks()
        videos = video.dictionary.to_pylist()
        here = [k for k, name in enumerate(videos) if name.split("/")[0] in sequences]
        chosen = pc.and_(
            pc.is_in(video.indices, pa.array(here, pa.int32())),
            pc.is_in(table["verb_cls"], pa.array(VERBS)),
        )
        rows = table.filter(chosen).to_pylist()
        _check_numbers(path, rows, numbers)
        return {_segment(row) for row in rows}


def _segment(row: dict[str, str]) -> Segment:
    sequence, _, view = row["video"].partition("/")
    start, end = int(row["start_frame"]), int(row["end_frame"])
    if end < start:
        raise ValueError(f"a segment from {start} to {end} in {row['video']}")
    if view:
        start, end = 2 * start + 1, 2 * end + 1
    return Segment(sequence, start, end, VERBS.index(row["verb_cls"]), row["noun_cls"])


def _check_numbers(path: Path, rows: list[dict[str, str]], numbers: dict[str, int]) -> None:
    """Raise HB204 where one verb has two numbers, or another one than in actions.csv."""
    known = dict(numbers)
    for row in rows:
        verb, number = row["verb_cls"], int(row["verb_id"])
        if known.setdefault(verb, number) != number:
            where = "actions.csv" if verb in numbers else "another row"
            raise DatasetError(
                Problem(
                    "HB204",
                    str(path),
                    f"verb {verb!r} has number {number}, and {known[verb]} in {where}.",
                    cause="Files of two releases mixed?",
                )
            )


def _no_segments(tables: list[Path], part: str, sequences: tuple[str, ...]) -> DatasetError:
    return DatasetError(
        Problem(
            "HB202",
            ", ".join(map(str, tables)),
            f"hold no segment of AssemblyHands' {len(sequences)} {part} sequences.",
            cause="They are spread over Assembly101's train, validation and test.csv: "
            "are all three there?",
        )
    )


def _columns(split: str, clips: list[Segment]) -> dict[str, Any]:
    return {
        "sample_id": _ids(split, clips),
        "sequence": [clip.sequence for clip in clips],
        "subject": [subject(clip.sequence) for clip in clips],
        "frame": [clip.start for clip in clips],
        "end_frame": [clip.end for clip in clips],
        "time": [clip.start / FRAME_NUMBERS_PER_SECOND for clip in clips],
        "object": [clip.noun for clip in clips],
        "action": [VERBS[clip.label] for clip in clips],
        "label": [clip.label for clip in clips],
    }


def _ids(split: str, clips: list[Segment]) -> list[str]:
    """Ids of segments in order; of two at the same time with one verb, the second ends in -2."""
    seen: Counter[str] = Counter()
    ids = []
    for clip in clips:
        verb = VERBS[clip.label].replace(" ", "-")
        name = f"{split}/{clip.sequence}/{clip.start:06d}-{clip.end:06d}/{verb}"
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return ids


def _summary(part, clips, sequences, annotated, read, tables, notes) -> dict[str, Any]:
    verbs = Counter(VERBS[clip.label] for clip in clips)
    found = {clip.sequence for clip in clips}
    counts = {
        "samples": len(clips),
        "sequences": len(found),
        **{verb: verbs[verb] for verb in VERBS},
    }
    expected = {"sequences": len(_SPLITS[part])}
    if part in _SEGMENTS:
        short, number = _SEGMENTS[part]
        counts[f"segments of {short}"] = sum(f"_{short}_" in clip.sequence for clip in clips)
        expected[f"segments of {short}"] = number
    if annotated:
        counts["segments without an annotated frame"] = _unannotated(clips, annotated)
    lacking = [name for name in sequences if name not in found]
    if lacking:
        names = ", ".join(path.name for path in tables)
        notes.append(f"{names}: no segment of {', '.join(lacking)}.")
    notes.append("How many clips the paper used is not published: the total is not checked.")
    return {
        "release": "Assembly101 fine-grained segments",
        "complete": all(counts.get(name) == number for name, number in expected.items()),
        "files": [str(path) for path in read],
        "counts": counts,
        "expected": expected,
        "notes": notes,
        "unit": "mm",
        "pixel_origin": "centre of the top-left pixel",
        "licence": "CC-BY-NC 4.0",
    }


def _unannotated(clips: list[Segment], annotated: dict[str, np.ndarray]) -> int:
    """How many segments have no annotated frame between start and end."""
    lacking = 0
    for clip in clips:
        frames = annotated[clip.sequence]
        first, after = np.searchsorted(frames, [clip.start, clip.end + 1])
        lacking += int(first == after)
    return lacking
