"""Files of the bring-your-own layout of several views: rigs and hands (docs/bring-your-own.md).

A rig is `rig.json`, or one of AssemblyHands' own calibration files per sequence. Hands are a table
with one row per hand and instant, or a file of the form of AssemblyHands' joint_3d.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ijson
import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from hand_bench.calibration import (
    OPENCV,
    WORLD,
    Camera,
    bare_name,
    invert_pose,
    read_calib_txt,
    read_nimble,
    rigid_pose,
)
from hand_bench.errors import DatasetError, Problem
from hand_bench.joint_sets import HAND_SIDES, permutation
from hand_bench.readers.assemblyhands_json import Progress, in_order, read_truth
from hand_bench.readers.json_stream import reading

TABLES = ("annotations.parquet", "annotations.csv", "annotations.json")
#: Where the rig of one sequence may be; the first that is there is read.
RIGS = (
    "rigs/{sequence}.json",
    "rigs/{sequence}/calib.txt",
    "videos/exo_videos_rectified/{sequence}/calib.txt",
    "nimble_json_calib/{sequence}.json",
    "calib/nimble_json_calib/{sequence}.json",
)
IMAGES = "images/{camera}/{sequence}/{frame}.jpg"
#: Wrist to middle MCP of a hand: 70 to 110 mm in adults; outside of these bounds the unit is wrong.
PALM = (40.0, 160.0)
_SETTINGS = {"joint_set", "images", "frame_rate", "frame_step", "release", "licence"}
_POSES = ("T_world_from_camera", "T_camera_from_world")
_CAMERA_KEYS = {"name", "width", "height", "K", "distortion", *_POSES}


@dataclass(frozen=True)
class Rig:
    """Cameras of one sequence; those that move have poses per frame instead of a pose."""

    cameras: tuple[Camera, ...]
    #: camera -> (frames in order, T_world_from_camera [n, 4, 4]).
    moving: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    #: Cameras without a pose in the world: a headset's own files.
    left_out: tuple[str, ...] = ()

    def poses(self, camera: Camera, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the frames have a pose, and these poses."""
        if camera.name not in self.moving:
            return np.arange(len(frame)), np.tile(camera.T_world_from_camera, (len(frame), 1, 1))
        frames, poses = self.moving[camera.name]
        at = np.minimum(np.searchsorted(frames, frame), len(frames) - 1)
        found = np.flatnonzero(frames[at] == frame)
        return found, poses[at[found]]


@dataclass
class Hands:
    """Hands of one sequence in the world (mm, OpenPose order), frames in order."""

    frame: np.ndarray
    #: Which hands have a row, and which of them hold joints: [n, 2].
    asked: np.ndarray
    known: np.ndarray
    joints: np.ndarray
    valid: np.ndarray


@dataclass
class Layout:
    """A folder in this layout: the table, the rig for all sequences and what it says besides."""

    folder: Path
    table: Path
    rig: dict[str, Any]

    @property
    def rig_path(self) -> Path | None:
        """The path of rig.json, if it is there."""
        path = self.folder / "rig.json"
        return path if path.is_file() else None


def find_layout(root: Path, split: str) -> Layout:
    """Find the table under ROOT/<split> or ROOT, and read rig.json.

    Raises
    ------
    DatasetError
        HB202 with every place that was looked at, HB203 for a rig.json of another form.
    """
    tried = [folder / name for folder in (root / split, root) for name in TABLES]
    table = next((path for path in tried if path.is_file()), None)
    if table is None:
        raise DatasetError(
            Problem(
                "HB202",
                str(root),
                f"holds no annotations of several views for {split!r}.",
                cause=f"Looked for {', '.join(map(str, tried))}.",
                fix="The layout is described in benchmark/docs/bring-your-own.md.",
            )
        )
    layout = Layout(table.parent, table, {})
    if layout.rig_path is not None:
        layout.rig = _rig_json(layout.rig_path)
    return layout


def _rig_json(path: Path) -> dict[str, Any]:
    with reading(path):
        content = json.loads(path.read_text("utf-8"))
        unknown = sorted(set(content.keys()) - _SETTINGS - {"cameras"})
        if unknown:
            raise ValueError(f"unknown keys {', '.join(unknown)}")
        pattern = content.get("images", IMAGES)
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise ValueError(f"images {pattern!r} leads out of the folder")
        return content


def find_rig(layout: Layout, sequence: str) -> tuple[Rig, list[Path]]:
    """Read the rig of a sequence: a file of its own, or the cameras of rig.json.

    Raises
    ------
    DatasetError
        HB202 where there is none, HB203 for a file of another form, HB204 for a camera twice.
    """
    own = [layout.folder / place.format(sequence=sequence) for place in RIGS]
    for path in own:
        if path.is_file():
            return read_rig(path, sequence), [path]
    if "cameras" in layout.rig and layout.rig_path is not None:
        return _cameras(layout.rig, layout.rig_path, sequence), [layout.rig_path]
    raise DatasetError(
        Problem(
            "HB202",
            str(layout.folder),
            f"holds no cameras of {sequence}.",
            cause=f"Looked for {', '.join(map(str, [layout.folder / 'rig.json', *own]))}.",
            fix="The layout is described in benchmark/docs/bring-your-own.md.",
        )
    )


def read_rig(path: Path, sequence: str) -> Rig:
    """Read one file of cameras: rig.json's form, calib.txt, or the toolkit's JSON.

    Raises
    ------
    DatasetError
        HB202 where there is no such file, HB203 for one of another form, HB204 for a camera twice.
    """
    if not path.is_file():
        what = "there is no such calibration file."
        raise DatasetError(Problem("HB202", str(path), what))
    if path.suffix == ".txt":
        return Rig(tuple(read_calib_txt(path)))
    with reading(path):
        content = json.loads(path.read_text("utf-8"))
    if isinstance(content, dict):
        return _cameras(_rig_json(path), path, sequence)
    cameras = read_nimble(path)
    here = tuple(c for c in cameras if c.parent == WORLD and c.model == OPENCV)
    return Rig(here, left_out=tuple(c.name for c in cameras if c not in here))


def _cameras(content: dict[str, Any], path: Path, sequence: str) -> Rig:
    cameras, moving = [], {}
    with reading(path):
        for item in content["cameras"]:
            where = f"{path}, camera {item['name']}"
            unknown = sorted(set(item) - _CAMERA_KEYS)
            if unknown:
                raise ValueError(f"camera {item['name']} has unknown keys {', '.join(unknown)}")
            pose, frames = _pose(item, sequence, where)
            camera = Camera(
                str(item["name"]),
                OPENCV,
                np.array(item["K"], np.float64).reshape(3, 3),
                np.array(item.get("distortion") or [0] * 8, np.float64).reshape(8),
                np.eye(4) if pose is None else pose,
                width=int(item["width"]),
                height=int(item["height"]),
            )
            cameras.append(camera)
            if frames is not None:
                moving[camera.name] = frames
    names = [bare_name(camera.name) for camera in cameras]
    if len(set(names)) < len(names):
        raise DatasetError(Problem("HB204", str(path), "lists a camera more than once."))
    return Rig(tuple(cameras), moving)


def _pose(item: dict[str, Any], sequence: str, where: str):
    """The pose of a camera that stands, or the poses by frame of one that moves."""
    given = [key for key in _POSES if key in item]
    if len(given) != 1:
        raise ValueError(f"camera {item['name']} needs exactly one of {' and '.join(_POSES)}")
    value = item[given[0]]
    if isinstance(value, dict):
        value = value.get(sequence, {})
    turn = invert_pose if given[0] == "T_camera_from_world" else np.array
    if not isinstance(value, dict):
        return turn(rigid_pose(np.array(value, np.float64), where)), None
    order = in_order(list(value), where)
    if not len(order):
        return None, (np.array([-1]), np.eye(4)[None])  # no pose in this sequence
    poses = turn(rigid_pose(np.array(list(value.values()), np.float64), where))
    return None, (np.array([int(frame) for frame in value])[order], poses[order])


def read_hands(layout: Layout, progress: Progress) -> dict[str, Hands]:
    """Read the hands of every sequence.

    Raises
    ------
    DatasetError
        HB203 for a table of another form or another unit, HB204 for a hand given twice.
    """
    if is_joint_3d(layout.table):
        hands = _from_truth(layout, progress)
    else:
        hands = _from_rows(layout, progress)
    _check_size(layout.table, hands)
    return hands


def is_joint_3d(table: Path) -> bool:
    """Whether a table is an object in AssemblyHands' form, not a list of rows."""
    if table.suffix != ".json":
        return False
    with table.open("rb") as stream:
        return stream.read(64).lstrip()[:1] == b"{"


def _order(layout: Layout, default: str) -> np.ndarray:
    return permutation(str(layout.rig.get("joint_set", default)), "openpose21")


def _from_truth(layout: Layout, progress: Progress) -> dict[str, Hands]:
    order, found = _order(layout, "assemblyhands21"), {}
    for name, truth in read_truth(layout.table, progress).items():
        n = len(truth.frame)
        joints = truth.joints.reshape(n, 2, 21, 3)[:, :, order]
        valid = truth.valid.reshape(n, 2, 21)[:, :, order]
        known = ~truth.placeholder
        found[name] = Hands(truth.frame, np.ones((n, 2), bool), known, joints, valid)
    return found


def _from_rows(layout: Layout, progress: Progress) -> dict[str, Hands]:
    order = _order(layout, "openpose21")
    rows: dict[str, dict[tuple[int, int], tuple[np.ndarray | None, np.ndarray]]] = {}
    with reading(layout.table):
        for k, row in enumerate(_rows(layout.table)):
            if k % 4096 == 0:
                progress(f"reading {layout.table.name}", 0, 1)
            side = HAND_SIDES.index(row["hand_side"])
            here = rows.setdefault(str(row["sequence"]), {})
            key = int(row["frame"]), side
            if key in here:
                raise _twice(layout.table, row)
            here[key] = _hand(row)
        if not rows:
            raise ValueError("it has no rows")
    progress(f"reading {layout.table.name}", 1, 1)
    return {name: _gather(here, order) for name, here in rows.items()}


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    if table.suffix == ".json":
        with table.open("rb") as stream:
            yield from ijson.items(stream, "item", use_float=True)
        return
    if table.suffix == ".csv":
        options = pcsv.ConvertOptions(column_types={"sequence": pa.string()})
        batches = pcsv.read_csv(table, convert_options=options).to_batches(4096)
    else:
        batches = pq.ParquetFile(table).iter_batches(4096, use_threads=False)
    for batch in batches:
        yield from batch.to_pylist()


def _hand(row: dict[str, Any]) -> tuple[np.ndarray | None, np.ndarray]:
    """Joints (None where they are withheld) and which of them are valid; one row."""
    values = _numbers(row, "joints", 63)
    given = None if values is None else np.array(values, np.float64).reshape(21, 3)
    if given is None or not np.isfinite(given).any():
        return None, np.zeros(21, bool)
    mask = _numbers(row, "valid", 21)
    valid = np.ones(21, bool) if mask is None else np.array(mask, np.float64).reshape(21) > 0
    finite = np.isfinite(given).all(axis=1)
    return np.where(finite[:, None], given, 0), valid & finite


def _numbers(row: dict[str, Any], name: str, count: int) -> Any:
    """A list in one column, or numbers in columns of their own; None where there are none."""
    if name in row:
        return row[name]
    if f"{name}_0" in row:
        return [row[f"{name}_{k}"] for k in range(count)]
    if name == "joints":
        raise KeyError("joints")
    return None


def _gather(rows: dict[tuple[int, int], tuple[np.ndarray | None, np.ndarray]], order) -> Hands:
    frames = np.unique([frame for frame, _ in rows])
    n = len(frames)
    hands = Hands(
        frames,
        np.zeros((n, 2), bool),
        np.zeros((n, 2), bool),
        np.zeros((n, 2, 21, 3), np.float32),
        np.zeros((n, 2, 21), bool),
    )
    for (frame, side), (joints, valid) in rows.items():
        at = np.searchsorted(frames, frame)
        hands.asked[at, side] = True
        if joints is not None:
            hands.known[at, side] = True
            hands.joints[at, side], hands.valid[at, side] = joints[order], valid[order]
    return hands


def _twice(table: Path, row: dict[str, Any]) -> DatasetError:
    what = f"{row['hand_side']} hand of {row['sequence']}, frame {row['frame']}, is given twice."
    return DatasetError(Problem("HB204", str(table), what))


def _check_size(table: Path, hands: dict[str, Hands]) -> None:
    """Raise HB203 where palms do not have the size of palms: another unit or order of joints."""
    palms = []
    for found in hands.values():
        both = found.known & found.valid[..., 0] & found.valid[..., 9]
        palms.append(np.linalg.norm(found.joints[both][:, 9] - found.joints[both][:, 0], axis=-1))
    lengths = np.concatenate(palms)
    if len(lengths) and not PALM[0] <= np.median(lengths) <= PALM[1]:
        raise DatasetError(
            Problem(
                "HB203",
                str(table),
                f"the median distance from the wrist to the middle MCP is {np.median(lengths):.3g}"
                " mm; hands measure 70 to 110 mm.",
                cause="Joints in metres, or in another order than joint_set says?",
                fix="Joints are millimetres in the world frame; `joint_set` in rig.json names "
                "their order.",
            )
        )
