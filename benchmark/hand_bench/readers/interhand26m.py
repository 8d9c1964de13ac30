"""Reader of InterHand2.6M's official annotation files, v1.0 and v0.0 layouts.

Facts followed here (facts/interhand26m.md): ids restart in every split, so the split is part of a
sample's id (1.2); annotations are joined to images by `image_id` (1.3); X_C = R (X_W - c) (1.5);
the joints that count are data.json's `joint_valid` (annotated and inside the image), those of
joint_3d.json say only "annotated" (1.3, 1.8); joints of a hand that was not annotated hold the
placeholder [1, 1, 1] and are masked (1.3); the box is one per image (1.4); H and M are told apart
by the list of human-annotated ids (v1.0) or by the folders (v0.0) (1.1, 1.3); counts (1.7).

Memory: the JSON files are parsed as streams; what is kept are a few numbers per image.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import numpy as np
import pyarrow as pa

from hand_bench import annotations
from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import camera_pose, world_to_camera
from hand_bench.joint_sets import permutation

SPLITS = ("train", "val", "test")
HAND_TYPES = ("right", "left", "interacting")
#: Official numbers of images (single hand, interacting), 5 fps: facts 1.7.
COUNTS: dict[tuple[str, str], tuple[int, int]] = {
    ("v1.0 5 fps", "train"): (687_548, 673_514),
    ("v1.0 5 fps", "val"): (234_183, 145_942),
    ("v1.0 5 fps", "test"): (488_968, 360_192),
    ("v0.0", "train"): (371_800, 366_802),
    ("v0.0", "val"): (113_370, 70_917),
    ("v0.0", "test"): (197_992, 154_905),
}
#: Official numbers of human-annotated images of v1.0 (train, test).
HUMAN_COUNTS = {"train": 528_482, "test": 121_573}
OFFICIAL_ORDER = permutation("interhand21", "openpose21")
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
        raise DatasetError(Problem("HB208", "interhand26m", f"there is no split {split!r}.",
                                   fix=f"Known: {', '.join(SPLITS)}."))  # fmt: skip
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
                raise DatasetError(Problem("HB202", str(folder), f"lacks {', '.join(lacking)}.",
                                           cause="An archive that was unpacked in part?"))  # fmt: skip
            return Files(layout, *paths, **_annotator_files(base, split, layout, folder))
        tried.append(str(paths[0]))
    raise DatasetError(
        Problem("HB202", str(root), f"holds no annotations of split {split!r}.",
                cause=f"Looked for {' and '.join(tried)}.",
                fix="ROOT is the folder that holds annotations/ (and images/), as the dataset's "
                "archives unpack.")
    )  # fmt: skip


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
    with _reading(path):
        return _read_images(path, progress)


def _read_images(path: Path, progress: Progress) -> Images:
    texts = {kind: _Texts() for kind in ("sequence", "camera", "subject")}
    ids, numbers, names = _Growing(np.int64, 1), _Growing(np.int64, 7), _TextColumn()
    for item in _items(path, "images.item", progress, "images"):
        ids.add((item["id"],))
        numbers.add((int(item["capture"]), texts["sequence"](item["seq_name"]), texts["camera"](item["camera"]),
                     texts["subject"](item["subject"]), int(item["frame_idx"]), item["width"],
                     item["height"]))  # fmt: skip
        names.add(item["file_name"])
    image_ids, image = ids.array()[:, 0], numbers.array()
    order = np.argsort(image_ids, kind="stable")
    ranked = image_ids[order]
    _check_unique(ranked, path)
    aid, row, bbox = _Growing(np.int64, 1), _Growing(np.int64, 1), _Growing(np.float32, 4)
    valid, kind = _Growing(np.bool_, 42), _Growing(np.int8, 2)
    for item in _items(path, "annotations.item", progress, "annotations"):
        at = np.searchsorted(ranked, item["image_id"])
        if at == len(ranked) or ranked[at] != item["image_id"]:
            raise DatasetError(Problem("HB204", str(path), f"annotation {item['id']} points to image "
                                       f"{item['image_id']}, which is not in the file."))  # fmt: skip
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


def _items(path: Path, prefix: str, progress: Progress, what: str) -> Iterator[dict[str, Any]]:
    total = path.stat().st_size
    with path.open("rb") as stream:
        for k, item in enumerate(ijson.items(stream, prefix, use_float=True)):
            if k % 4096 == 0:
                progress(f"{path.name}: {what}", stream.tell(), total)
            yield item
        progress(f"{path.name}: {what}", total, total)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a damaged or unexpected file raises into HB203."""
    try:
        yield
    except ijson.JSONError as error:
        raise DatasetError(
            Problem(
                "HB203",
                str(path),
                f"is not valid JSON: {str(error).splitlines()[0]}",
                cause="A download or an unpacking that was cut off?",
            )
        ) from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DatasetError(
            Problem(
                "HB203",
                str(path),
                f"has another form than documented: {type(error).__name__} {error}.",
                cause="A file of another dataset or release?",
            )
        ) from error


def _hand_type(text: str, path: Path) -> int:
    if text not in HAND_TYPES:
        raise DatasetError(
            Problem("HB203", str(path), f"hand_type {text!r} is not one of {HAND_TYPES}.")
        )
    return HAND_TYPES.index(text)


def _check_unique(ranked: np.ndarray, path: Path) -> None:
    twice = np.flatnonzero(ranked[1:] == ranked[:-1])
    if twice.size:
        raise DatasetError(Problem("HB204", str(path), f"{twice.size} image ids occur twice, e.g. "
                                   f"{ranked[twice[0]]}."))  # fmt: skip
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


class _Growing:
    """Rows of numbers collected into chunks."""

    def __init__(self, dtype: Any, width: int):
        self.dtype, self.width = dtype, width
        self.chunks: list[np.ndarray] = []
        self.rows: list[Any] = []

    def add(self, row: Any) -> None:
        self.rows.append(row)
        if len(self.rows) == 65_536:
            self._close()

    def _close(self) -> None:
        if self.rows:
            self.chunks.append(np.array(self.rows, self.dtype).reshape(-1, self.width))
            self.rows = []

    def array(self) -> np.ndarray:
        self._close()
        return np.concatenate([np.zeros((0, self.width), self.dtype), *self.chunks])


@dataclass
class World:
    """3D joints per instant (capture, frame), official order, float32 mm."""

    row: dict[tuple[int, int], int]
    joints: np.ndarray
    annotated: np.ndarray


def read_world(path: Path, progress: Progress) -> World:
    """Read joint_3d.json as a stream; both forms, with and without `world_coord` (facts 1.1)."""
    row: dict[tuple[int, int], int] = {}
    joints, annotated = _Growing(np.float32, 126), _Growing(np.bool_, 42)
    total = path.stat().st_size
    with _reading(path), path.open("rb") as stream:
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
    with _reading(path):
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
        ids = _Growing(np.int64, 1)
        for item in _items(files.human_data, "annotations.item", progress, "human ids"):
            ids.add((item["id"],))
        return np.isin(annotation_id, ids.array()[:, 0])
    return None


def frame_steps(images: Images) -> dict[int, int]:
    """The usual distance of consecutive frames of a camera, per capture (facts 1.2: it varies)."""
    order = np.lexsort((images.frame, images.camera, images.sequence, images.capture))
    keys = np.stack([images.capture, images.sequence, images.camera])[:, order]
    same = (keys[:, 1:] == keys[:, :-1]).all(axis=0)
    step = np.diff(images.frame[order])
    steps = {}
    for capture in np.unique(images.capture):
        inside = step[same & (keys[0, 1:] == capture) & (step > 0)]
        if inside.size:
            values, counts = np.unique(inside, return_counts=True)
            steps[int(capture)] = int(values[counts.argmax()])
    return steps


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations of a split; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204, HB208.
    """
    files = find_files(root, split)
    cameras = read_cameras(files.camera)
    images = read_images(files.data, progress)
    world = read_world(files.joint_3d, progress)
    human = human_annotated(files, images.annotation_id, progress)
    order = np.lexsort(
        (images.frame, _rank(images.names["camera"])[images.camera],
         _rank(images.names["sequence"])[images.sequence], images.capture)
    )  # fmt: skip
    steps = frame_steps(images)
    with annotations.writing(path) as writer:
        carry = np.zeros((0, 4), np.int64)
        for start in range(0, len(order), annotations.ROW_GROUP):
            rows = order[start : start + annotations.ROW_GROUP]
            columns, carry = _columns(
                files, split, images, world, cameras, human, steps, rows, carry
            )
            writer.write_batch(annotations.encode(columns), row_group_size=annotations.ROW_GROUP)
            progress("writing annotations", start + len(rows), len(order))
    return _summary(files, split, images, human, steps)


def _rank(names: list[str]) -> np.ndarray:
    """Position of each name in alphabetical order."""
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(np.array(names))] = np.arange(len(names))
    return rank


def _columns(files, split, images: Images, world: World, cameras, human, steps, rows, carry):
    """The canonical columns of some rows; `carry` are the last two rows' track and frame."""
    instant = _instants(files, images, world, rows)
    K, pose = _camera_columns(files, images, cameras, rows)
    joints = world_to_camera(world.joints[instant].astype(np.float64), pose).astype(np.float32)
    in_view, annotated = images.in_view[rows], world.annotated[instant]
    names = images.names
    capture, frame = images.capture[rows], images.frame[rows]
    sequence = [f"Capture{c}/{names['sequence'][s]}"
                for c, s in zip(capture, images.sequence[rows], strict=True)]  # fmt: skip
    camera = [names["camera"][k] for k in images.camera[rows]]
    step = np.array([steps.get(int(c), 0) for c in capture])
    rate = np.where(step == 0, np.nan, np.where(step <= 3, 30.0, 5.0))
    track = np.stack([capture, images.sequence[rows], images.camera[rows], frame], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        time = np.where(step > 0, frame / (step * rate), np.nan)
    columns = {
        "sample_id": [
            f"{split}/{s}/cam{c}/{f}" for s, c, f in zip(sequence, camera, frame, strict=True)
        ],
        "annotation_id": images.annotation_id[rows],
        "sequence": sequence,
        "subject": [names["subject"][k] for k in images.subject[rows]],
        "camera": camera,
        "frame": frame,
        "time": time,
        "interval": _intervals(track, carry, step, rate),
        "image": [
            f"images/{split}/{name}" for name in images.image.take(pa.array(rows)).to_pylist()
        ],
        "width": images.size[rows, 0],
        "height": images.size[rows, 1],
        "K": K,
        "T_world_from_camera": pose,
        "bbox": images.bbox[rows],
        "hand_type": [HAND_TYPES[k] for k in images.hand_type[rows]],
        "hand_type_valid": images.hand_type_valid[rows],
        "annotator": _annotators(human, rows),
    }
    for side, first in (("right", 0), ("left", 21)):
        part = slice(first, first + 21)
        known = annotated[:, part] | in_view[:, part]
        columns[f"{side}_joints"] = joints[:, part][:, OFFICIAL_ORDER], ~known.any(axis=1)
        columns[f"{side}_valid"] = annotated[:, part][:, OFFICIAL_ORDER]
        columns[f"{side}_in_view"] = in_view[:, part][:, OFFICIAL_ORDER]
    return columns, np.concatenate([carry, track])[-2:]


def _intervals(
    track: np.ndarray, carry: np.ndarray, step: np.ndarray, rate: np.ndarray
) -> np.ndarray:
    """Seconds to the row before, where this and the two rows before are evenly spaced; else NaN."""
    longer = np.concatenate([np.full((2 - len(carry), 4), -1), carry, track])
    same = (longer[2:, :3] == longer[1:-1, :3]).all(axis=1) & (
        longer[2:, :3] == longer[:-2, :3]
    ).all(axis=1)
    even = (longer[2:, 3] - longer[1:-1, 3] == step) & (longer[1:-1, 3] - longer[:-2, 3] == step)
    return np.where(same & even & (step > 0), 1 / rate, np.nan)


def _instants(files: Files, images: Images, world: World, rows: np.ndarray) -> np.ndarray:
    keys = zip(images.capture[rows].tolist(), images.frame[rows].tolist(), strict=True)
    found = np.array([world.row.get(key, -1) for key in keys])
    if (found < 0).any():
        bad = rows[int((found < 0).argmax())]
        raise DatasetError(
            Problem("HB204", str(files.joint_3d),
                    f"has no capture {images.capture[bad]}, frame {images.frame[bad]}, which "
                    f"{files.data.name} asks for ({int((found < 0).sum()):,} like it in this part).",
                    cause="Files of two releases mixed?")
        )  # fmt: skip
    return found


def _camera_columns(files: Files, images: Images, cameras, rows) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.stack([images.capture[rows], images.camera[rows]], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    found = []
    for capture, camera in unique:
        key = int(capture), images.names["camera"][camera]
        if key not in cameras:
            raise DatasetError(Problem("HB204", str(files.camera), f"has no camera {key[1]} of capture "
                                       f"{key[0]}.", cause="Files of two releases mixed?"))  # fmt: skip
        found.append(cameras[key])
    K = np.stack([K for K, _ in found])[inverse.ravel()]
    return K, np.stack([pose for _, pose in found])[inverse.ravel()]


def _annotators(human: np.ndarray | None, rows: np.ndarray) -> list[str | None]:
    if human is None:
        return [None] * len(rows)
    return ["human" if h else "machine" for h in human[rows]]


def _summary(files: Files, split: str, images: Images, human, steps) -> dict[str, Any]:
    interacting = int((images.hand_type == 2).sum())
    single = len(images) - interacting
    release = next(
        (
            name
            for (name, s), counts in COUNTS.items()
            if s == split and counts == (single, interacting)
        ),
        None,
    )
    expected = COUNTS["v0.0" if files.layout == "v0.0" else "v1.0 5 fps", split]
    sequences = len(np.unique(np.stack([images.capture, images.sequence]), axis=1).T)
    return {
        "release": release or f"unknown ({files.layout} layout)",
        "complete": release is not None,
        "files": [str(path) for path in files.all],
        "counts": {
            "images": len(images),
            "single": single,
            "interacting": interacting,
            "human": None if human is None else int(human.sum()),
            "sequences": sequences,
            "captures": len(np.unique(images.capture)),
            "subjects": len(images.names["subject"]),
            "cameras": len(images.names["camera"]),
        },
        "expected": {"single": expected[0], "interacting": expected[1],
                     "human": HUMAN_COUNTS.get(split)},
        "frame_step": {str(capture): step for capture, step in steps.items()},
        "unit": "mm",
        "pixel_origin": "centre of the top-left pixel",
        "licence": "CC-BY-NC 4.0",
    }  # fmt: skip
