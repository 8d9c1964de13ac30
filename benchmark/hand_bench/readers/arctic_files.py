"""ARCTIC's official files as arrays: where they are, and reading one sequence after the other.

The facts followed are listed in `hand_bench.readers.arctic`. Every source gives the same
`Recording`: millimetres, the joints in MANO's order, pixels of the full image.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench import unpickle
from hand_bench.errors import DatasetError, Problem
from hand_bench.hand_model import MM, HandModel, find_mano
from hand_bench.joint_sets import HAND_SIDES

EGO_VIEW, DISTORTED_EGO = 0, 9
#: Where the data folder lies below the folder that the user names; the last is the script's.
BASES = ("", "data/arctic_data/data", "arctic_data/data", "data", "unpack/arctic_data/data")
BODY_MODELS = tuple(f"{where}body_models/mano" for where in ("", "data/", "unpack/"))
#: First and last stems are left out, since their images may be black (facts 1.2).
EDGE = 10
_PARAMETERS = ("rot", "pose", "trans", "shape")
#: The arrays that are read; the rest of a file (bodies, objects, meshes) is passed over.
_WANTED = {
    *("joints.right", "joints.left", "is_valid", "right_valid", "left_valid", "bbox"),
    *(f"{name}_{side}" for name in _PARAMETERS for side in "rl"),
    *("world2ego", "K_ego", "dist"),
}


@dataclass(frozen=True)
class Table:
    """One table of the dataset: a protocol's views and one of its splits (facts 1.2)."""

    name: str

    @property
    def split(self) -> str:
        """train, val or test."""
        return self.name.split("-")[1]

    @property
    def protocol(self) -> str:
        """p1 (allocentric) or p2 (egocentric)."""
        return "p2" if self.name.startswith("ego") else "p1"

    @property
    def views(self) -> tuple[int, ...]:
        """The views that are asked: 0, or 1 to 8."""
        return (EGO_VIEW,) if self.protocol == "p2" else tuple(range(1, 9))


@dataclass(frozen=True)
class Source:
    """The official files of one table."""

    table: Table
    root: Path
    base: Path
    protocol_file: Path
    listed: tuple[str, ...]
    total: int
    misc: Mapping[str, Any]
    kind: str
    split_file: Path | None = None
    sequence_files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """What decides the result: with many sequences, their folders and the first ones."""
        single = [self.protocol_file, self.base / "meta/misc.json"]
        if self.split_file is not None:
            return [*single, self.split_file]
        folders = sorted({path.parent for path in self.sequence_files.values()})
        return [*single, *folders, *sorted(self.sequence_files.values())[:30]]


@dataclass
class Recording:
    """One sequence: what is annotated in every frame and view that the table asks for."""

    name: str
    K: np.ndarray
    distortion: np.ndarray | None
    #: (frames, views, 4, 4), X_camera = R X_world + T; none where not known.
    camera_from_world: np.ndarray | None
    #: (frames, views, 3): centre and side / 200 of the official box; none where not known.
    bbox: np.ndarray | None = None
    #: (frames, views, 21, 3) by hand side, camera frame; none where the truth is withheld.
    joints: dict[str, np.ndarray] | None = None
    #: (frames, views, 21, 2) by hand side, pixels of the image as it is (view 0: distorted).
    joints_2d: dict[str, np.ndarray] | None = None
    #: (frames, views) by hand side: the hand and the object are in view.
    valid: dict[str, np.ndarray] | None = None
    #: World parameters by hand side: rot, pose, trans (mm), shape; none where not known.
    mano: dict[str, dict[str, np.ndarray]] | None = None
    #: Stems by view; none: all but the first and last ten.
    stems: dict[int, np.ndarray] | None = None

    @property
    def frames(self) -> int:
        """Number of annotated frames."""
        return len(self.K)


def find_source(root: Path, table: Table) -> Source:
    """Find the files of a table: single sequences where all are there, else the split's file.

    Raises
    ------
    DatasetError
        HB202 with every place that was looked at, HB203, HB204.
    """
    base, protocol_file = _base(root, table)
    listed, total = _listed(protocol_file, table)
    misc = _json(base / "meta/misc.json")
    common = {"table": table, "root": root, "base": base, "protocol_file": protocol_file}
    common |= {"listed": listed, "total": total, "misc": misc}
    folders = (base / "processed_seqs", root / "outputs/processed/seqs")
    processed = _existing(listed, folders, ".npy")
    stem = f"splits/{table.protocol}_{table.split}.npy"
    split_file = next((p for p in (base / stem, root / "outputs" / stem) if p.is_file()), None)
    raw = _existing(listed, (base / "raw_seqs",), ".mano.npy")
    if split_file is not None and len(processed) < len(listed):
        return Source(**common, kind="splits", split_file=split_file)
    if processed:
        return Source(**common, kind="processed", sequence_files=processed)
    if raw:
        return Source(**common, kind="raw", sequence_files=raw)
    tried = [base / stem, *(f / f"{listed[0]}.npy" for f in folders)]
    raise DatasetError(
        Problem(
            "HB202",
            str(root),
            f"holds no sequence of {table.name}, though {protocol_file} lists {len(listed)}.",
            cause=f"Looked for {', '.join(map(str, tried))} and "
            f"{base / 'raw_seqs' / listed[0]}.mano.npy.",
            fix="ARCTIC's script bash/download_splits.sh gets splits/, as its docs/data/README.md "
            "says.",
        )
    )


def find_models(root: Path) -> dict[str, Path]:
    """Return MANO's files: of ARCTIC's own folder, or where `find_mano` looks.

    Raises
    ------
    DatasetError
        HB202 where they are in none of them.
    """
    for folder in BODY_MODELS:
        with contextlib.suppress(DatasetError):
            return {side: find_mano(side, root / folder) for side in HAND_SIDES}
    return {side: find_mano(side) for side in HAND_SIDES}


def load_models(paths: Mapping[str, Path]) -> dict[str, HandModel]:
    """Read the two hands; the left one as it is, as ARCTIC was fitted (facts 1.8)."""
    return {side: HandModel.load(path, fix_left=False) for side, path in paths.items()}


def recordings(source: Source) -> Iterator[Recording]:
    """Read the sequences that are there, by name. Raw ones have parameters, but no joints."""
    if source.kind == "splits":
        yield from _of_split(source)
        return
    for name in sorted(source.sequence_files):
        path = source.sequence_files[name]
        if source.kind == "raw":
            yield _raw(source, name, path)
        else:
            yield _recording(source, name, _content(path), path)


def subject_facts(source: Source, name: str) -> Mapping[str, Any]:
    """Return the entry of meta/misc.json of a sequence's subject.

    Raises
    ------
    DatasetError
        HB204 where it is not there or lacks something.
    """
    subject = name.split("/")[0]
    facts = source.misc.get(subject, {})
    lacking = {"ioi_offset", "image_size", "intris_mat", "world2cam"} - set(facts)
    if lacking:
        raise contradiction(
            source.base / "meta/misc.json",
            f"has no {', '.join(sorted(lacking))} of subject {subject}, who has {name}.",
        )
    return facts


def allo_cameras(source: Source, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return K and X_camera = R X_world + T (mm) of views 1 to 8."""
    facts = subject_facts(source, name)
    where = source.base / "meta/misc.json"
    K = shaped(facts["intris_mat"], (8, 3, 3), where, name, "intris_mat")
    pose = shaped(facts["world2cam"], (8, 4, 4), where, name, "world2cam")
    return K, _in_mm(pose, where, name, "world2cam")


def shaped(
    value: Any,
    shape: tuple[int | None, ...],
    path: Path,
    name: str,
    key: str,
    *,
    finite: bool = True,
) -> np.ndarray:
    """Return numbers of a shape (None: any length), or raise HB203 naming the place."""
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        array = np.zeros(0)
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        found = f"shape {array.shape}" if value is not None else "nothing"
        raise damaged(path, f"has {found} as {key} of {name}, expected {shape}.")
    if finite and not np.isfinite(array).all():
        raise damaged(path, f"has NaN or infinite values in {key} of {name}.")
    return array


def damaged(path: Path, what: str) -> DatasetError:
    """Build HB203 of a file."""
    fix = "Copy it again from ARCTIC's own archive."
    return DatasetError(Problem("HB203", str(path), what, cause="A damaged copy?", fix=fix))


def contradiction(path: Path, what: str) -> DatasetError:
    """Build HB204 of a file."""
    cause = "Files of two releases mixed, or one that was edited?"
    return DatasetError(Problem("HB204", str(path), what, cause=cause))


def _base(root: Path, table: Table) -> tuple[Path, Path]:
    tried = [root / base / f"splits_json/protocol_{table.protocol}.json" for base in BASES]
    for path in tried:
        if path.is_file():
            return path.parent.parent, path
    raise DatasetError(
        Problem(
            "HB202",
            str(root),
            f"holds no splits_json/protocol_{table.protocol}.json, which says what {table.name} "
            "consists of.",
            cause=f"Looked for {', '.join(map(str, tried))}.",
            fix="ARCTIC's script bash/download_misc.sh gets splits_json/ and meta/.",
        )
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        fix = "ARCTIC's script bash/download_misc.sh gets splits_json/ and meta/."
        raise DatasetError(Problem("HB202", str(path), "is not there.", fix=fix)) from error
    except (ValueError, OSError) as error:
        raise damaged(path, f"is not valid JSON ({error}).") from error


def _listed(path: Path, table: Table) -> tuple[tuple[str, ...], int]:
    """Return the sequences of a split, sorted, and the number in all (facts 1.2)."""
    content = _json(path)
    splits = ("train", "val", "test")
    if not isinstance(content, dict) or not set(splits) <= set(content):
        raise damaged(path, f"has not the keys {', '.join(splits)}.")
    lists = {split: list(content[split]) for split in splits}
    if not all(isinstance(n, str) and n.count("/") == 1 for names in lists.values() for n in names):
        raise damaged(path, "lists something else than names of the form s01/box_grab_01.")
    held_out = lists["val"] + lists["test"]
    if len(held_out) != len(set(held_out)):
        raise contradiction(path, "lists a sequence twice in val and test.")
    lists["train"] = [name for name in lists["train"] if name not in set(held_out)]
    if len(lists["train"]) != len(set(lists["train"])):
        raise contradiction(path, "lists a sequence twice in train.")
    if not lists[table.split]:
        raise contradiction(path, f"lists no sequence of {table.split}.")
    return tuple(sorted(lists[table.split])), sum(map(len, lists.values()))


def _existing(names: tuple[str, ...], folders: tuple[Path, ...], suffix: str) -> dict[str, Path]:
    found = {}
    for name in names:
        paths = (folder / f"{name}{suffix}" for folder in folders)
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            found[name] = path
    return found


def _content(
    path: Path, keep: Callable[[str], bool] | None = _WANTED.__contains__
) -> dict[str, Any]:
    content = unpickle.load_npy(path, keep=keep)
    if not isinstance(content, dict):
        raise damaged(path, f"holds a {type(content).__name__}, not a dict of arrays.")
    return content


def _of_split(source: Source) -> Iterator[Recording]:
    path = source.split_file
    assert path is not None
    content = _content(path)
    data, names = content.get("data_dict"), content.get("imgnames")
    if not isinstance(data, dict) or names is None:
        raise damaged(path, "has not the keys data_dict and imgnames.")
    unknown = sorted(set(data) - set(source.listed))
    if unknown:
        raise contradiction(
            path,
            f"holds {len(unknown)} sequences that {source.protocol_file.name} does not list in "
            f"{source.table.split}, e.g. {unknown[0]}.",
        )
    stems = _stems(path, names, data, source.table)
    content.clear()
    for name in sorted(data):
        if name in stems:
            recording = _recording(source, name, data[name], path)
            recording.stems = stems[name]
            yield recording
        data[name] = None  # what was written needs no memory any more


def _stems(
    path: Path, names: Any, data: Mapping[str, Any], table: Table
) -> dict[str, dict[int, np.ndarray]]:
    """Stems by sequence and view; only the last four parts of a name count (facts 1.3)."""
    found: dict[str, dict[int, list[int]]] = {}
    for text in names:
        try:
            subject, sequence, view, file = str(text).rsplit("/", 4)[-4:]
            by_view = found.setdefault(f"{subject}/{sequence}", {})
            by_view.setdefault(int(view), []).append(int(file.split(".")[0]))
        except ValueError as error:
            raise damaged(path, f"has the image name {text!r}.") from error
    for name, by_view in found.items():
        if name not in data:
            raise contradiction(path, f"names images of {name}, which its data_dict has not.")
        if not set(by_view) <= set(table.views):
            other = min(set(by_view) - set(table.views))
            raise contradiction(path, f"names images of view {other} of {name} in {table.name}.")
        if any(len(stems) != len(set(stems)) for stems in by_view.values()):
            raise contradiction(path, f"names an image of {name} twice.")
    return {
        name: {view: np.sort(np.array(stems)) for view, stems in by_view.items()}
        for name, by_view in found.items()
    }


def _recording(source: Source, name: str, content: Any, path: Path) -> Recording:
    """Check and take the arrays of one sequence (facts 1.3)."""
    parts = {key: content.get(key) for key in ("cam_coord", "2d", "params")}
    views = list(source.table.views)
    bbox = shaped(content.get("bbox"), (None, 9, 3), path, name, "bbox")
    frames, params = len(bbox), parts["params"] or {}
    recording = Recording(name, *_cameras(source, name, params, path, frames), bbox=bbox[:, views])
    if parts["cam_coord"] is None and source.table.split == "test":
        return recording
    cam, flat = parts["cam_coord"] or {}, parts["2d"] or {}
    overlay = [DISTORTED_EGO if view == EGO_VIEW else view for view in views]
    keys = {side: f"joints.{side}" for side in HAND_SIDES}
    recording.joints = {
        side: shaped(cam.get(key), (frames, 10, 21, 3), path, name, f"cam_coord {key}")[:, views]
        * MM
        for side, key in keys.items()
    }
    # Distorted points far outside the image may overflow: they only make boxes, which skip them.
    recording.joints_2d = {
        side: shaped(flat.get(key), (frames, 10, 21, 2), path, name, f"2d {key}", finite=False)[
            :, overlay
        ]
        for side, key in keys.items()
    }
    flags = {
        key: shaped(cam.get(key), (frames, 9), path, name, f"cam_coord {key}")[:, views]
        for key in ("is_valid", "right_valid", "left_valid")
    }
    if any(not np.isin(flag, (0, 1)).all() for flag in flags.values()):
        raise damaged(path, f"has validity flags of {name} other than 0 and 1.")
    recording.valid = {
        side: (flags[f"{side}_valid"] == 1) & (flags["is_valid"] == 1) for side in HAND_SIDES
    }
    recording.mano = _parameters(params, path, name, frames)
    return recording


def _cameras(
    source: Source, name: str, params: Mapping[str, Any], path: Path, frames: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """K (frames, views, 3, 3), distortion of view 0, and the poses where they are known."""
    if source.table.views != (EGO_VIEW,):
        K, pose = allo_cameras(source, name)
        every = (frames, len(K))
        return np.broadcast_to(K, (*every, 3, 3)), None, np.broadcast_to(pose, (*every, 4, 4))
    # Repeated for every frame in the files; the official documentation says once (facts 1.3).
    values = {key: np.asarray(params.get(key)) for key in ("K_ego", "dist")}
    if values["K_ego"].ndim == 2:
        values["K_ego"] = np.broadcast_to(values["K_ego"], (frames, 3, 3))
    if values["dist"].ndim == 1:
        values["dist"] = np.broadcast_to(values["dist"], (frames, 8))
    K = shaped(values["K_ego"], (frames, 3, 3), path, name, "params K_ego")
    distortion = shaped(values["dist"], (frames, 8), path, name, "params dist")
    pose = params.get("world2ego")
    if pose is not None:
        pose = shaped(pose, (frames, 4, 4), path, name, "params world2ego")
        pose = _in_mm(pose, path, name, "params world2ego")[:, None]
    return K[:, None], distortion, pose


def _in_mm(pose: np.ndarray, path: Path, name: str, key: str) -> np.ndarray:
    """Turn poses of metres into millimetres; HB203 where they are no poses."""
    R = pose[:, :3, :3]
    if np.abs(R @ R.swapaxes(1, 2) - np.eye(3)).max() > 0.01 or (np.linalg.det(R) < 0).any():
        raise damaged(path, f"has {key} of {name} that is no rotation and translation.")
    pose = np.array(pose, float)
    pose[:, :3, 3] *= MM
    return pose


def _parameters(
    params: Mapping[str, Any], path: Path, name: str, frames: int
) -> dict[str, dict[str, np.ndarray]] | None:
    sizes = {"rot": 3, "pose": 45, "trans": 3, "shape": 10}
    if any(params.get(f"{key}_{side}") is None for key in sizes for side in "rl"):
        return None
    found = {
        side: {
            key: shaped(params[f"{key}_{side[0]}"], (frames, n), path, name, f"{key}_{side[0]}")
            for key, n in sizes.items()
        }
        for side in HAND_SIDES
    }
    for values in found.values():
        values["trans"] = values["trans"] * MM
    return found


def _raw(source: Source, name: str, path: Path) -> Recording:
    """Take the parameters and cameras of raw_seqs (facts 1.3): no joints, no boxes, no flags."""
    content = _content(path, keep=None)
    frames = len(shaped(content.get("right", {}).get("rot"), (None, 3), path, name, "right rot"))
    params: dict[str, Any] = {}
    for side in HAND_SIDES:
        values = dict(content.get(side) or {})
        if np.ndim(values.get("shape")) == 1:
            values["shape"] = np.broadcast_to(values["shape"], (frames, 10))
        params |= {f"{key}_{side[0]}": values.get(key) for key in _PARAMETERS}
    if source.table.views == (EGO_VIEW,):
        params |= _raw_ego(path.with_name(path.name.replace(".mano.", ".egocam.dist.")), name)
    cameras = _cameras(source, name, params, path, frames)
    mano = _parameters(params, path, name, frames)
    if mano is None:
        raise damaged(path, f"lacks parameters of {name}.")
    return Recording(name, *cameras, mano=mano)


def _raw_ego(path: Path, name: str) -> dict[str, Any]:
    content = _content(path, keep=None)
    R = shaped(content.get("R_k_cam_np"), (None, 3, 3), path, name, "R_k_cam_np")
    pose = np.broadcast_to(np.eye(4), (len(R), 4, 4)).copy()
    pose[:, :3, :3] = R
    pose[:, :3, 3:] = shaped(content.get("T_k_cam_np"), (len(R), 3, 1), path, name, "T_k_cam_np")
    found = {"K_ego": content.get("intrinsics"), "dist": content.get("dist8")}
    return found | {"world2ego": pose}
