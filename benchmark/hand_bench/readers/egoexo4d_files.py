"""Ego-Exo4D's prepared hand annotations as arrays: where they are, and parsing them take by take.

The facts followed are listed in `hand_bench.readers.egoexo4d`. The files hold bare NaN tokens,
which streaming JSON parsers refuse; so the standard parser is given one take at a time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from hand_bench.array_types import Bool, Float, Int
from hand_bench.errors import DatasetError, Problem

CHUNK = 1 << 22
_GUIDE = (
    "The official script (EGO4D/ego-exo4d-egopose, handpose/data_preparation: `python3 main.py "
    "--steps gt_anno --ego4d_data_dir RAW --gt_output_dir ROOT`) writes "
    "ROOT/annotation/manual/ego_pose_gt_anno_{train,val}_public.json; the test boxes are its own "
    "ego_pose_gt_anno_test_public.json, to be put in the same folder."
)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Found:
    """The prepared file of a split, and what its place says of it."""

    path: Path
    annotator: str
    #: The annotator is not said by the folder.
    assumed: bool
    #: Where image/ is, relative to the root: "" or "gt_output/".
    images: str
    #: The automatic annotations that stand beside manual ones.
    automatic: Path | None

    @property
    def public(self) -> bool:
        """Whether the name is that of a public file."""
        return self.path.stem.endswith("_public")

    @property
    def all(self) -> list[Path]:
        """Every file that is read."""
        return [self.path, *([self.automatic] if self.automatic is not None else [])]


def find_files(root: Path, split: str) -> Found:
    """Find the prepared file of a split: manual before automatic, private before public.

    Raises
    ------
    DatasetError
        HB202 with every place that was looked at, and how the official script is called.
    """
    names = [f"ego_pose_gt_anno_{split}_public.json"]
    if split == "test":
        names.insert(0, "ego_pose_gt_anno_test_private.json")
    manual = _first([*_folders(root, "manual"), root, root / "gt_output"], names)
    auto = _first(_folders(root, "auto"), names)
    chosen = manual or auto
    if chosen is None:
        raise DatasetError(_not_found(root, split, names))
    machine = chosen.parent.name == "auto"
    return Found(
        chosen,
        "machine" if machine else "human",
        assumed=chosen.parent.name not in ("manual", "auto"),
        images="gt_output/" if root / "gt_output" in chosen.parents else "",
        automatic=auto if not machine else None,
    )


def _folders(root: Path, kind: str) -> list[Path]:
    return [root / "annotation" / kind, root / "gt_output" / "annotation" / kind, root / kind]


def _first(folders: list[Path], names: list[str]) -> Path | None:
    paths = [folder / name for folder in folders for name in names]
    return next((path for path in paths if path.is_file()), None)


def _not_found(root: Path, split: str, names: list[str]) -> Problem:
    raw = root / "annotations" / "ego_pose" / split / "hand"
    places = (
        "annotation/manual, gt_output/annotation/manual, manual, ., gt_output, and auto likewise"
    )
    return Problem(
        "HB202",
        str(root),
        f"holds no {' or '.join(names)} (looked in {places}).",
        cause=f"{raw} holds the raw annotations, which have to be prepared first."
        if raw.is_dir()
        else "ROOT is the --gt_output_dir of the official script, or the folder of the files.",
        fix=_GUIDE,
    )


@dataclass
class Hands:
    """One side of some frames; joints in mm, NaN where they are missing."""

    joints: Float[np.ndarray, "rows 21 3"]
    valid: Bool[np.ndarray, "rows 21"]
    annotated: Bool[np.ndarray, " rows"]
    bbox: Float[np.ndarray, "rows 4"]
    boxed: Bool[np.ndarray, " rows"]

    @classmethod
    def empty(cls, rows: int) -> Hands:
        """No hand in any of some frames."""
        return cls(
            np.full((rows, 21, 3), np.nan, np.float32),
            np.zeros((rows, 21), bool),
            np.zeros(rows, bool),
            np.zeros((rows, 4), np.float32),
            np.zeros(rows, bool),
        )

    @classmethod
    def joined(cls, parts: list[Hands]) -> Hands:
        """Put the frames of several one after another."""
        return cls(*(np.concatenate(columns) for columns in zip(*map(_values, parts), strict=True)))

    @property
    def asked(self) -> Bool[np.ndarray, " rows"]:
        """Whether the hand is to be predicted: it has joints, or a box (joints withheld)."""
        return self.annotated | self.boxed

    def only(self, rows: np.ndarray) -> Hands:
        """Some of the frames."""
        return Hands(*(column[rows] for column in _values(self)))


def _values(hands: Hands) -> tuple[np.ndarray, ...]:
    return hands.joints, hands.valid, hands.annotated, hands.bbox, hands.boxed


@dataclass
class Take:
    """One take: its frames, sorted, and both hands in them."""

    uid: str
    name: str
    frame: Int[np.ndarray, " rows"]
    hands: dict[str, Hands]

    @property
    def asked(self) -> Bool[np.ndarray, " rows"]:
        """Which frames ask for a hand."""
        return self.hands["right"].asked | self.hands["left"].asked

    def only(self, rows: np.ndarray) -> Take:
        """The take with some of its frames."""
        hands = {side: hands.only(rows) for side, hands in self.hands.items()}
        return Take(self.uid, self.name, self.frame[rows], hands)


def read_takes(path: Path, progress: Progress) -> list[Take]:
    """Read a prepared file, one take after another.

    Raises
    ------
    DatasetError
        HB203 for a damaged file or another form, HB204 where its parts contradict each other.
    """
    takes, seen = [], set()
    with reading(path):
        for uid, frames in stream_items(path, progress):
            if uid in seen:
                raise ValueError(f"take {uid} occurs twice")
            seen.add(uid)
            takes.append(_take(path, uid, frames))
    return takes


def count_frames(path: Path, progress: Progress) -> int:
    """Number of frames of a prepared file."""
    with reading(path):
        return sum(len(frames) for _, frames in stream_items(path, progress))


def stream_items(path: Path, progress: Progress) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the keys and values of a JSON file that is one object of objects; NaN is a number.

    Raises
    ------
    json.JSONDecodeError
        Where the file is cut off or damaged.
    ValueError
        Where it has another form, or a key occurs twice in an object.
    """
    total, first = path.stat().st_size, True
    with path.open(encoding="utf-8") as stream:
        text = _more(stream, "").lstrip()
        if not text.startswith("{"):
            raise ValueError("it does not begin with an object")
        text = text[1:]
        while True:
            key, value, text = _next_item(stream, text, first)
            if key is None:
                break
            if not isinstance(value, dict):
                raise ValueError(f"{key!r} holds {str(value)[:40]!r}, not an object")
            first = False
            yield key, value
            progress(f"reading {path.name}", stream.buffer.tell(), total)
        rest = text + stream.read()
        if rest.strip():
            raise json.JSONDecodeError("Extra data", rest, 0)


def _next_item(stream: TextIO, text: str, first: bool) -> tuple[str | None, Any, str]:
    """Parse the next key and value, reading on until they are whole; key None at the end."""
    while True:
        try:
            return _parse_item(text, first)
        except json.JSONDecodeError:
            longer = _more(stream, text)
            if len(longer) == len(text):
                raise
            text = longer


def _parse_item(text: str, first: bool) -> tuple[str | None, Any, str]:
    at = _skip(text, 0)
    if text[at : at + 1] == "}":
        return None, None, text[at + 1 :]
    if not first:
        at = _expect(text, at, ",")
    key, at = _DECODER.raw_decode(text, at)
    if not isinstance(key, str):
        raise json.JSONDecodeError("Expecting a name in quotes", text, at)
    value, at = _DECODER.raw_decode(text, _expect(text, at, ":"))
    return key, value, text[at:]


def _skip(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _expect(text: str, at: int, mark: str) -> int:
    """Position after a mark and the blanks around it."""
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"Expecting {mark!r}", text, at)
    return _skip(text, at + 1)


def _more(stream: TextIO, text: str) -> str:
    """The text with at least as much again, so that long takes are not parsed too often."""
    return text + stream.read(max(CHUNK, len(text)))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(k for k in keys if keys.count(k) > 1)!r} occurs twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


@contextlib.contextmanager
def reading(path: Path, where: str = "") -> Iterator[None]:
    """Turn what a damaged or unexpected file raises into HB203."""
    try:
        yield
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        what = getattr(error, "msg", error)
        raise DatasetError(
            Problem(
                "HB203",
                str(path),
                f"is not valid JSON: {what}.",
                cause="A copy that was cut off, or a preparation that was interrupted?",
                fix="Let the official script write it again.",
            )
        ) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DatasetError(
            Problem(
                "HB203",
                str(path),
                f"{where}has another form than documented: {type(error).__name__} {error}.",
                cause="A file of another dataset or of another version of the script?",
            )
        ) from error


def _take(path: Path, uid: str, frames: dict[str, Any]) -> Take:
    """Turn the frames of a take into arrays, sorted by frame."""
    name, numbers = "", []
    hands = {side: Hands.empty(len(frames)) for side in ("right", "left")}
    order = sorted(frames, key=lambda key: (len(key), key))
    for row, key in enumerate(order):
        with reading(path, f"take {uid}, frame {key}: "):
            frame = frames[key]
            metadata = frame["metadata"]
            _check_metadata(path, uid, key, metadata, name)
            name = str(metadata["take_name"])
            numbers.append(int(key))
            for side in hands:
                _read_hand(frame, side, hands[side], row)
    return Take(uid, name, np.array(numbers, np.int64), hands)


def _check_metadata(path: Path, uid: str, key: str, metadata: dict[str, Any], name: str) -> None:
    """The key of a frame is its number, and all frames of a take have the take's names."""
    found = metadata["take_uid"], str(metadata["frame_number"]), str(metadata["take_name"])
    wanted = uid, key, name or found[2]
    if not key.isdecimal() or found != wanted:
        raise DatasetError(
            Problem(
                "HB204",
                str(path),
                f"take {uid}, frame {key}: its metadata say take {found[0]} ({found[2]}), "
                f"frame {found[1]}.",
                cause="A file that was edited or merged?",
            )
        )


def _read_hand(frame: dict[str, Any], side: str, hands: Hands, row: int) -> None:
    """Put one hand of a frame into its row.

    Raises
    ------
    ValueError
        For joints, flags or a box of another form, a box of a hand that is said to be absent, or
        joints without a wrist: the official script drops such hands, and a score relative to the
        wrist could not be made.
    """
    joints = frame.get(f"{side}_hand_3d")
    box = frame.get(f"{side}_hand_bbox")
    if box:
        hands.bbox[row], hands.boxed[row] = _box(box, side), True
        if joints is not None and not len(joints):
            raise ValueError(f"{side}_hand_bbox is given, but {side}_hand_3d is empty")
    if joints:
        values = np.array(joints, np.float64)
        if values.shape != (21, 3):
            raise ValueError(f"{side}_hand_3d has shape {values.shape}, not (21, 3)")
        if not np.isfinite(values[0]).all():
            raise ValueError(f"{side}_hand_3d has no wrist")
        hands.joints[row], hands.annotated[row] = values * 1000, True
        hands.valid[row] = _flags(frame[f"{side}_hand_valid_3d"], side)


def _box(box: list[float], side: str) -> np.ndarray:
    """Corners to x, y, width, height."""
    corners = np.array(box, np.float64)
    if corners.shape != (4,) or not np.isfinite(corners).all():
        raise ValueError(f"{side}_hand_bbox is {box}, not four numbers")
    extent = corners[2:] - corners[:2]
    if (extent < 0).any():
        raise ValueError(f"{side}_hand_bbox {box} ends before it begins (x1, y1, x2, y2)")
    return np.concatenate([corners[:2], extent])


def _flags(flags: list[bool], side: str) -> np.ndarray:
    if len(flags) != 21 or any(flag not in (0, 1) for flag in flags):
        raise ValueError(f"{side}_hand_valid_3d is not 21 booleans")
    return np.array(flags, bool)
