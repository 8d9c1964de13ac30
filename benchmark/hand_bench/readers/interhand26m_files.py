"""InterHand2.6M's official JSON files as arrays: where they are, and streaming them.

The facts followed are listed in `hand_bench.readers.interhand26m`. The files are parsed as
streams; what is kept are a few numbers per image and the joints of every instant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import numpy as np
import pyarrow as pa

from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import camera_pose
from hand_bench.readers.json_stream import Growing, items, reading

SPLITS = ("train", "val", "test")
HAND_TYPES = ("right", "left", "interacting")
Progress = Callable[[str, int, int], None]


@dataclass
class Files:
    """The official files of one split, in either layout."""

    layout: str
    data: Path
    camera: Path
    joint_3d: Path
    human_ids: Path | None = None
    human_data: Path | None = None
    machine_data: Path | None = None

    @property
    def all(self) -> list[Path]:
        """Every file that decides the result."""
        chosen = (
            self.data,
            self.camera,
            self.joint_3d,
            self.human_ids,
            self.human_data,
            self.machine_data,
        )
        return [path for path in chosen if path is not None]


def find_files(root: str | Path, split: str) -> Files:
    """Find the official files of a split under ROOT or ROOT/annotations.

    Raises
    ------
    DatasetError
        HB208 for an unknown split, HB202 with every place that was looked at.
    """
    if split not in SPLITS:
        raise DatasetError(
            Problem(
                "HB208",
                "interhand26m",
                f"there is no split {split!r}.",
                fix=f"Known: {', '.join(SPLITS)}.",
            )
        )
    root = Path(root)
    base = root / "annotations" if (root / "annotations").is_dir() else root
    tried = []
    for layout, folder in (
        ("v1.0", base / split),
        ("v0.0", base / "all"),
        ("v0.0", base / "machine_annot"),
    ):
        stem = f"InterHand2.6M_{split}"
        paths = [folder / f"{stem}_{kind}.json" for kind in ("data", "camera", "joint_3d")]
        if folder.name == "machine_annot" and split != "val":
            continue
        if paths[0].is_file():
            lacking = [str(path) for path in paths if not path.is_file()]
            if lacking:
                raise DatasetError(
                    Problem(
                        "HB202",
                        str(folder),
                        f"lacks {', '.join(lacking)}.",
                        cause="An archive that was unpacked in part?",
                    )
                )
            return Files(layout, *paths, **_annotator_files(base, split, layout, folder))
        tried.append(str(paths[0]))
    raise DatasetError(
        Problem(
            "HB202",
            str(root),
            f"holds no annotations of split {split!r}.",
            cause=f"Looked for {' and '.join(tried)}.",
            fix="ROOT is the folder that holds annotations/ (and images/), as the dataset's "
            "archives unpack.",
        )
    )


def _annotator_files(base: Path, split: str, layout: str, folder: Path) -> dict[str, Path | None]:
    if layout == "v1.0":
        places = [base, base / split, base.parent]
        listed = [p / f"aid_human_annot_{split}.txt" for p in places]
        return {"human_ids": next((p for p in listed if p.is_file()), None)}
    if folder.name == "machine_annot":
        return {}
    both = {
        kind: base / f"{kind}_annot" / f"InterHand2.6M_{split}_data.json"
        for kind in ("human", "machine")
    }
    return {f"{kind}_data": path if path.is_file() else None for kind, path in both.items()}


@dataclass
class Images:
    """Per-image numbers of data.json, in its order; texts are codes into lists."""

    annotation_id: np.ndarray
    capture: np.ndarray
    sequence: np.ndarray
    camera: np.ndarray
    subject: np.ndarray
    frame: np.ndarray
    size: np.ndarray
    bbox: np.ndarray
    in_view: np.ndarray
    hand_type: np.ndarray
    hand_type_valid: np.ndarray
    names: dict[str, list[str]]
    #: Parts of file_name that cannot be rebuilt from the other fields, by row.
    image: pa.Array

    def __len__(self) -> int:
        return len(self.annotation_id)


@dataclass
class _Texts:
    """Numbers texts in order of appearance."""

    codes: dict[str, int] = field(default_factory=dict)

    def __call__(self, text: Any) -> int:
        return self.codes.setdefault(str(text), len(self.codes))


def read_images(path: Path, progress: Progress) -> Images:
    """Read data.json as a stream: images first, then annotations, joined by image_id.

    Raises
    ------
    DatasetError
        HB203 for JSON of another form, HB204 where annotations and images do not match.
    """
    with reading(path):
        return _read_images(path, progress)


def _read_images(path: Path, progress: Progress) -> Images:
    texts = {kind: _Texts() for kind in ("sequence", "camera", "subject")}
    ids, numbers, names = Growing(np.int64, 1), Growing(np.int64, 7), _TextColumn()
    for item in items(path, "images", progress):
        ids.add((item["id"],))
        numbers.add(
            (
                int(item["capture"]),
                texts["sequence"](item["seq_name"]),
                texts["camera"](item["camera"]),
                texts["subject"](item["subject"]),
                int(item["frame_idx"]),
                item["width"],
                item["height"],
            )
        )
        names.add(item["file_name"])
    image_ids, image = ids.array()[:, 0], numbers.array()
    order = np.argsort(image_ids, kind="stable")
    ranked = image_ids[order]
    _check_unique(ranked, path)
    aid, row, bbox = Growing(np.int64, 1), Growing(np.int64, 1), Growing(np.float32, 4)
    valid, kind = Growing(np.bool_, 42), Growing(np.int8, 2)
    for item in items(path, "annotations", progress):
        at = np.searchsorted(ranked, item["image_id"])
        if at == len(ranked) or ranked[at] != item["image_id"]:
            raise DatasetError(
                Problem(
                    "HB204",
                    str(path),
                    f"annotation {item['id']} points to image "
                    f"{item['image_id']}, which is not in the file.",
                )
            )
        aid.add((item["id"],))
        row.add((order[at],))
        bbox.add(item["bbox"])
        valid.add([bool(v[0] if isinstance(v, list) else v) for v in item["joint_valid"]])
        kind.add((_hand_type(item["hand_type"], path), int(item["hand_type_valid"])))
    rows, kinds = row.array()[:, 0], kind.array()
    return Images(
        aid.array()[:, 0],
        *(image[rows, k] for k in range(5)),
        image[rows, 5:],
        bbox.array(),
        valid.array(),
        kinds[:, 0],
        kinds[:, 1].astype(bool),
        {name: list(table.codes) for name, table in texts.items()},
        names.array().take(pa.array(rows)),
    )


def _hand_type(text: str, path: Path) -> int:
    if text not in HAND_TYPES:
        raise DatasetError(
            Problem("HB203", str(path), f"hand_type {text!r} is not one of {HAND_TYPES}.")
        )
    return HAND_TYPES.index(text)


def _check_unique(ranked: np.ndarray, path: Path) -> None:
    twice = np.flatnonzero(ranked[1:] == ranked[:-1])
    if twice.size:
        raise DatasetError(
            Problem(
                "HB204", str(path), f"{twice.size} image ids occur twice, e.g. {ranked[twice[0]]}."
            )
        )
    if not ranked.size:
        raise DatasetError(Problem("HB203", str(path), "lists no images."))


class _TextColumn:
    """Texts collected into Arrow chunks, so that they take their own bytes and no more."""

    def __init__(self) -> None:
        self.chunks: list[pa.Array] = []
        self.rows: list[str] = []

    def add(self, text: str) -> None:
        self.rows.append(text)
        if len(self.rows) == 65_536:
            self._close()

    def _close(self) -> None:
        self.chunks.append(pa.array(self.rows, pa.string()))
        self.rows = []

    def array(self) -> pa.Array:
        self._close()
        return pa.concat_arrays(self.chunks)


@dataclass
class World:
    """3D joints per instant (capture, frame), official order, float32 mm."""

    row: dict[tuple[int, int], int]
    joints: np.ndarray
    annotated: np.ndarray


def read_world(path: Path, progress: Progress) -> World:
    """Read joint_3d.json as a stream; both forms, with and without `world_coord` (facts 1.1)."""
    row: dict[tuple[int, int], int] = {}
    joints, annotated = Growing(np.float32, 126), Growing(np.bool_, 42)
    total = path.stat().st_size
    with reading(path), path.open("rb") as stream:
        for capture, frame, value in _frames(stream):
            progress(path.name, stream.tell(), total)
            is_dict = isinstance(value, dict)
            coordinates = np.asarray(value["world_coord"] if is_dict else value, np.float32)
            row[int(capture), int(frame)] = len(row)
            joints.add(coordinates.reshape(126))
            if is_dict and "joint_valid" in value:
                annotated.add(np.asarray(value["joint_valid"], bool).reshape(42))
            else:
                annotated.add(~(coordinates.reshape(42, 3) == 1).all(axis=1))
    return World(row, joints.array().reshape(-1, 42, 3), annotated.array())


def _frames(stream: BinaryIO) -> Iterator[tuple[str, str, Any]]:
    """Yield (capture, frame, value) one frame at a time."""
    keys: list[str] = []
    builder, depth = None, 0
    for _, event, value in ijson.parse(stream, use_float=True):
        step = (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))
        if builder is not None:
            builder.event(event, value)
            depth += step
            if depth == 0:
                yield keys[0], keys.pop(), builder.value
                builder = None
        elif event == "map_key":
            keys.append(value)
        elif len(keys) == 2:
            if step != 1:
                raise ValueError(f"frame {keys[1]} of capture {keys[0]} holds {value!r}")
            builder, depth = ijson.ObjectBuilder(), 1
            builder.event(event, value)
        elif event == "end_map" and keys:
            keys.pop()


def read_cameras(path: Path) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
    """Read K and T_world_from_camera of every (capture, camera); the file is small."""
    cameras = {}
    with reading(path):
        for capture, views in json.loads(path.read_text("utf-8")).items():
            for name, position in views["campos"].items():
                K = np.eye(3)
                K[0, 0], K[1, 1] = views["focal"][name]
                K[:2, 2] = views["princpt"][name]
                rotation = np.asarray(views["camrot"][name], np.float64)
                pose = camera_pose(rotation, np.asarray(position, np.float64))
                cameras[int(capture), name] = K, pose
    return cameras


def human_annotated(
    files: Files, annotation_id: np.ndarray, progress: Progress
) -> np.ndarray | None:
    """Whether each annotation is human (H); None where nothing tells."""
    if files.human_ids is not None:
        listed = np.loadtxt(files.human_ids, np.int64, ndmin=1)
        return np.isin(annotation_id, listed)
    if files.data.parent.name == "machine_annot" or files.data.parent.name == "val":
        return np.zeros(len(annotation_id), bool)
    if files.human_data is not None:
        ids = Growing(np.int64, 1)
        for item in items(files.human_data, "annotations", progress):
            ids.add((item["id"],))
        return np.isin(annotation_id, ids.array()[:, 0])
    return None
