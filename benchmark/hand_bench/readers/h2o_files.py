"""H2O's official files as arrays: split lists, folders of an unpacked tree, per-frame text files.

The facts followed are listed in `hand_bench.readers.h2o`. A list is read whole; the ~90,000 small
text files of a tree are read and parsed in chunks by a few threads, so that slow disks are waited
for together.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from hand_bench import files
from hand_bench.array_types import Bool, Float, Int
from hand_bench.errors import DatasetError, Problem

Progress = Callable[[str, int, int], None]
#: Frames per second: facts/htt-h2o-fpha.md section 1.1.
RATE = 30.0

SCENES = ("h1", "h2", "k1", "k2", "o1", "o2")
#: Which (subject, scene) belong to a split: facts/htt-h2o-fpha.md section 1.5.
SPLIT_SCENES: dict[str, frozenset[tuple[str, str]]] = {
    "train": frozenset(
        [(f"subject{k}", scene) for k in (1, 2) for scene in SCENES]
        + [("subject3", scene) for scene in ("h1", "h2", "k1")]
    ),
    "val": frozenset(("subject3", scene) for scene in ("k2", "o1", "o2")),
    "test": frozenset(("subject4", scene) for scene in SCENES),
}
#: SHA-256 of the official lists: facts 1.5.
SHA256 = {
    "action_train": "2c42babd45a84e0393f17c96014411458e195ef811cd0ba3d4d3f979ede8194e",
    "action_val": "dd46746d1c23181b66fbcbbb9867b6a219bcfd6eb2635682b7612e90a5c04f69",
    "action_test": "e717e26459d44552d7898b18a577aa8e154a81f5f4aa8b0f9e7b33e1b3415a9c",
    "pose_train": "907e49fb71f76b539f9d7e35027d4d272d3c0ef560d649dda7176f1db7c85e78",
    "pose_val": "5a7aa63426dc975c28bf2e511e72ffc41f02348f3fceddee39b0405292cd64f4",
    "pose_test": "e100bb7fbd1dd3dbeed85dfcceaa72ccfc424c983584cf2bfd39ac1857def748",
}
#: Where the lists are: label_split.zip, the official repository, or ROOT itself (facts 1.2).
LIST_FOLDERS = ("label_split", "action_labels", "pose_lists", ".")
#: Where a subject's scenes are, in the order of preference; {0} is e.g. subject4 (facts 1.2).
SUBJECT_FOLDERS = ("{0}", "{0}_*/{0}", "{0}_*", "*/{0}")
#: Folders of per-frame files under cam4, with every spelling that occurs (facts 1.2).
SPELLINGS = {
    "hand_pose": ("hand_pose",),
    "hand_pose_mano": ("hand_pose_mano", "hand_pose_MANO"),
    "cam_pose": ("cam_pose",),
    "obj_pose": ("obj_pose",),
    "rgb": ("rgb",),
}
_POSE_LINE = re.compile(r"(subject\d+/\w+/\d+)/cam4/rgb/(\d{6})\.png")
_CHUNK, _THREADS = 256, 4


@dataclass(frozen=True)
class Frames:
    """Frames of the ego camera, sorted by sequence and number; `code` counts the sequences."""

    sequences: list[str]
    code: Int[np.ndarray, " frames"]
    number: Int[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.number)

    def rows(self, code: int) -> slice:
        """Return the rows of a sequence."""
        start, stop = np.searchsorted(self.code, [code, code + 1])
        return slice(int(start), int(stop))

    def name(self, row: int, kind: str = "rgb", ending: str = "png") -> str:
        """Return the file of a row below a subject's parent folder."""
        return f"{self.sequences[self.code[row]]}/cam4/{kind}/{self.number[row]:06d}.{ending}"


def find_list(root: Path, name: str) -> Path:
    """Find a split list such as ``pose_test``.

    Raises
    ------
    DatasetError
        HB202 with every place that was looked at, HB204 where two places hold different lists.
    """
    places = [root / folder / f"{name}.txt" for folder in LIST_FOLDERS]
    found = [path for path in places if path.is_file()]
    if not found:
        raise DatasetError(
            Problem(
                "HB202",
                str(root),
                f"holds no list {name}.txt.",
                cause=f"Looked for {', '.join(str(path) for path in places)}.",
                fix="It is in label_split.zip of the dataset and in its official repository.",
            )
        )
    for other in found[1:]:
        if other.read_bytes() != found[0].read_bytes():
            raise DatasetError(
                Problem(
                    "HB204",
                    str(other),
                    f"differs from {found[0]}.",
                    fix="Keep the one that is meant.",
                )
            )
    return found[0]


def is_official(path: Path) -> bool:
    """Whether a list is the official one of its name, by its hash."""
    return files.sha256(path) == SHA256[path.stem]


def list_notes(path: Path) -> list[str]:
    """Say whether a list is not the official one, by its hash.

    Raises
    ------
    DatasetError
        HB204 where it is the official list of another split.
    """
    if is_official(path):
        return []
    digest = files.sha256(path)
    for name, official in SHA256.items():
        if digest == official:
            raise DatasetError(_swapped(path, f"is the official {name}.txt by its hash."))
    return [
        f"{path.name} has SHA-256 {digest}, the official one {SHA256[path.stem]}: "
        "another release, edited, or other line endings."
    ]


def _swapped(path: Path, what: str) -> Problem:
    return Problem(
        "HB204",
        str(path),
        what,
        cause="The links of the official README's pose section are swapped (train, test, val).",
        fix="Save every list under its own name.",
    )


def read_pose_list(path: Path, split: str) -> Frames:
    """Read a pose list, sorted by sequence and frame.

    Raises
    ------
    DatasetError
        HB203 for a line of another form, HB204 for frames that are listed twice or belong to
        another split.
    """
    found: dict[str, list[int]] = {}
    for k, line in enumerate(read_lines(path), 1):
        match = _POSE_LINE.fullmatch(line)
        if match is None:
            raise damaged(
                path, f"line {k} is {line[:60]!r}, not subjectX/h1/0/cam4/rgb/000000.png."
            )
        found.setdefault(match[1], []).append(int(match[2]))
    if not found:
        raise damaged(path, "lists no frames.")
    check_split(path, split, found)
    sequences = sorted(found)
    number = [np.array(found[name]) for name in sequences]
    frames = Frames(
        sequences,
        np.repeat(np.arange(len(sequences)), [len(n) for n in number]),
        np.concatenate([np.sort(n) for n in number]),
    )
    twice = np.flatnonzero((np.diff(frames.number) == 0) & (np.diff(frames.code) == 0))
    if twice.size:
        what = f"lists {twice.size:,} frames twice, e.g. {frames.name(int(twice[0]))}."
        raise DatasetError(Problem("HB204", str(path), what))
    return frames


def check_split(path: Path, split: str, sequences: Iterable[str]) -> None:
    """Raise HB204 where a list holds sequences of another split."""
    foreign = [s for s in sequences if tuple(s.split("/")[:2]) not in SPLIT_SCENES[split]]
    if foreign:
        what = f"lists {len(foreign)} sequences that are not of split {split}, e.g. {foreign[0]}."
        raise DatasetError(_swapped(path, what))


def read_lines(path: Path) -> list[str]:
    """Read a list without the empty lines at its end; HB203 for what is no text."""
    try:
        lines = [line.strip() for line in path.read_text("ascii").splitlines()]
    except UnicodeDecodeError as error:
        raise damaged(path, "is not plain text.") from error
    while lines and not lines[-1]:
        lines.pop()
    return lines


def damaged(path: Path, what: str) -> DatasetError:
    """Build the error of a file that has another form than documented (HB203)."""
    cause = "A file of another dataset, or one that was cut off?"
    return DatasetError(Problem("HB203", str(path), what, cause=cause))


@dataclass
class Tree:
    """An unpacked tree: where the folders of a sequence are, whatever the archives were called."""

    root: Path
    #: Kind of folder -> sequences that are in more than one place.
    twice: dict[str, set[str]] = field(default_factory=dict)
    bases: dict[str, list[Path]] = field(default_factory=dict)

    def subject_folders(self, subject: str) -> list[Path]:
        """Return the folders that hold scenes of a subject, the preferred one first."""
        if subject not in self.bases:
            patterns = (pattern.format(subject) for pattern in SUBJECT_FOLDERS)
            found = itertools.chain(*(sorted(self.root.glob(pattern)) for pattern in patterns))
            self.bases[subject] = [
                path for path in dict.fromkeys(found) if any((path / s).is_dir() for s in SCENES)
            ]
        return self.bases[subject]

    def camera_folders(self, sequence: str) -> list[Path]:
        """Return the folders cam4 of a sequence, the preferred one first."""
        subject, rest = sequence.split("/", 1)
        places = [base / rest / "cam4" for base in self.subject_folders(subject)]
        return [path for path in places if path.is_dir()]

    def folder(self, sequence: str, kind: str) -> Path | None:
        """Return the folder of a kind of per-frame files, None where there is none."""
        found = [
            next(path for name in SPELLINGS[kind] if (path := camera / name).is_dir())
            for camera in self.camera_folders(sequence)
            if any((camera / name).is_dir() for name in SPELLINGS[kind])
        ]
        if len(found) > 1:
            self.twice.setdefault(kind, set()).add(sequence)
        return found[0] if found else None

    def notes(self) -> list[str]:
        """Say which folders are there more than once."""
        return [
            f"{kind} of {len(names)} sequences is in more than one place, e.g. {min(names)}: "
            f"taken from {self.folder(min(names), kind)}."
            for kind, names in sorted(self.twice.items())
        ]


def frame_paths(
    tree: Tree, frames: Frames, kind: str, ending: str = "txt"
) -> tuple[list[Path | None], Bool[np.ndarray, " frames"]]:
    """Return the file of every frame, and whether it is there (its folder is listed once)."""
    paths: list[Path | None] = []
    there = np.zeros(len(frames), bool)
    for code, sequence in enumerate(frames.sequences):
        rows = frames.rows(code)
        names = [f"{number:06d}.{ending}" for number in frames.number[rows]]
        folder = tree.folder(sequence, kind)
        listed = {entry.name for entry in os.scandir(folder)} if folder else set()
        there[rows] = [name in listed for name in names]
        paths += [folder / name if folder else None for name in names]
    return paths, there


def read_frames(
    paths: Sequence[Path | None],
    there: Bool[np.ndarray, " frames"],
    width: int,
    what: str,
    progress: Progress,
) -> Float[np.ndarray, "frames width"]:
    """Read one line of `width` numbers per frame; NaN where a file is not there.

    Raises
    ------
    DatasetError
        HB203 for a file with another number of numbers, or with something else.
    """
    values = np.full((len(paths), width), np.nan)
    rows = np.flatnonzero(there)
    chunks = [rows[k : k + _CHUNK] for k in range(0, len(rows), _CHUNK)]
    progress(what, 0, len(rows))
    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda chunk: _parse([paths[k] for k in chunk], width), chunks)
        try:
            for chunk, numbers in zip(chunks, found, strict=True):
                values[chunk] = numbers
                done += len(chunk)
                progress(what, done, len(rows))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return values


def read_numbers(path: Path, width: int) -> Float[np.ndarray, " width"]:
    """Read a file of one line of `width` numbers; HB203 for anything else."""
    return _parse([path], width)[0]


def _parse(paths: Sequence[Path], width: int) -> np.ndarray:
    rows = [path.read_bytes().split() for path in paths]
    for path, row in zip(paths, rows, strict=True):
        if len(row) != width:
            raise damaged(path, f"holds {len(row)} numbers, not {width}.")
    tokens = list(itertools.chain.from_iterable(rows))
    try:
        # Twice as fast as NumPy, and threads run it side by side; it does not know "-nan" or "+1".
        numbers = pa.array(tokens, pa.binary()).cast(pa.string()).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        numbers = _parse_slowly(paths, rows)
    return numbers.reshape(-1, width)


def _parse_slowly(paths: Sequence[Path], rows: Sequence[list[bytes]]) -> np.ndarray:
    """Parse what Arrow does not know, or say in which file the first text is that is no number."""
    for path, row in zip(paths, rows, strict=True):
        bad = next((token for token in row if not _is_number(token)), None)
        if bad is not None:
            raise damaged(path, f"holds {bad[:40]!r}, which is no number.")
    return np.array([[float(token) for token in row] for row in rows])


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True
