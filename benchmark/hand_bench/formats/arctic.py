"""ARCTIC's submission zip: MANO's parameters of every frame (facts/wildhands.md 1.7).

``pose_p2_test/eval/<sid>_<sequence>_<view>/preds/*.pt`` with rotation matrices (mean pose not
included, flat_hand_mean=False), shape and translation in metres; ``meta_info/
meta_info.imgname.pt`` names the images, whose last four parts are the sample. Without it frames go
by position, as the server does it.

Reading poses the hands with the user's MANO files (`hand_model.find_mano`; the left shape space as
it comes, which is ARCTIC's) and keeps the parameters as ``right_mano``, ``left_mano``. Writing
needs those columns: joints alone cannot be turned into parameters here. The server never finishes
without the object's files, so zeros are written for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.formats import tensors
from hand_bench.formats.archives import Archive, is_zip, write_zip
from hand_bench.formats.faults import Faults
from hand_bench.formats.json_files import damaged
from hand_bench.formats.rows import Gathered, Rows, from_hands, gather, no_place
from hand_bench.formats.samples import Samples
from hand_bench.hand_model import HandModel, find_mano, rotmat_to_rotvec, rotvec_to_rotmat
from hand_bench.joint_sets import HAND_SIDES, convert
from hand_bench.tracks import Track

MM = 1000.0
TASKS = {
    "arctic-ego-test": "pose_p2_test",
    "arctic-ego": "pose_p2_val",
    "arctic-allo": "pose_p1_val",
}
_FILE = re.compile(r"^(?:.*/)?eval/([^/]+)/(preds|meta_info)/([^/]+)\.pt$")
_SHAPES = {"pose": (16, 3, 3), "beta": (10,), "cam_t": (3,)}
_OBJECT = {"cam_t": (3,), "radian": (), "rot": (3,)}
_IMAGES = "meta_info.imgname"
_COLUMNS = tuple(f"{side}_{kind}" for kind in ("joints", "mano") for side in HAND_SIDES)
#: How far a matrix may be from a rotation.
ROTATION = 1e-3


def read(path: Path, track: Track, annotations: Any) -> Rows:
    """Read a submission; joints come from the user's MANO files."""
    if not is_zip(path):
        raise damaged(path, "is no zip archive")
    samples, faults = Samples(track, annotations), Faults(path.name)
    folders, notes = _folders(samples), []
    mano: dict[int, dict[str, np.ndarray]] = {}
    with Archive(path) as archive:
        members = _members(archive, path)
        for folder in members:
            if folder not in folders:
                faults.add("HB105", "folders that are no sequence of the track", folder)
                continue
            content = {
                kind: tensors.loads(archive.read(name), f"{path.name}/{name}")
                for kind, name in members[folder].items()
                if "object" not in kind
            }
            _read_folder(folder, content, folders[folder], samples, mano, faults, notes)
    faults.raise_any()
    return from_hands(path.name, track, samples, _posed(mano), notes=notes, columns=_COLUMNS)


def _members(archive: Archive, path: Path) -> dict[str, dict[str, str]]:
    """The files of every sequence's folder by what they hold."""
    found: dict[str, dict[str, str]] = {}
    for name in archive.names:
        match = _FILE.match(name)
        if match:
            found.setdefault(match[1], {})[match[3]] = name
    if not found:
        raise damaged(path, "has no eval/<sid>_<sequence>_<view>/preds/*.pt inside")
    return found


def _folders(samples: Samples) -> dict[str, np.ndarray]:
    """Positions of the samples of each folder of the form, by image."""
    found: dict[str, list[int]] = {}
    for k, (sequence, camera) in enumerate(zip(samples.sequence, samples.camera, strict=True)):
        found.setdefault(f"{str(sequence).replace('/', '_')}_{camera}", []).append(k)
    frame = np.array(samples.frame)
    return {name: np.array(rows)[np.argsort(frame[rows])] for name, rows in found.items()}


def _read_folder(
    folder: str,
    content: dict[str, Any],
    expected: np.ndarray,
    samples: Samples,
    mano: dict[int, dict[str, np.ndarray]],
    faults: Faults,
    notes: list[str],
) -> None:
    """Add the parameters of one sequence; what is wrong is noted."""
    arrays = {}
    for side in HAND_SIDES:
        for kind, shape in _SHAPES.items():
            name = f"pred.mano.{kind}.{side[0]}"
            found = _checked(content.get(name), shape, f"{folder}, {name}", faults)
            if found is not None:
                arrays[side, kind] = found
    if len(arrays) < 6:
        return
    lengths = {len(array) for array in arrays.values()}
    positions = _positions(folder, content, expected, min(lengths), samples, faults, notes)
    if len(lengths) > 1 or (positions is not None and len(positions) not in lengths):
        shown = ", ".join(map(str, sorted(lengths)))
        faults.add("HB112", "tensors of different lengths", f"{folder}: {shown} frames")
        return
    if positions is None:
        return
    for side in HAND_SIDES:
        values = np.concatenate(
            [
                rotmat_to_rotvec(arrays[side, "pose"]).reshape(-1, 48),
                arrays[side, "beta"],
                arrays[side, "cam_t"] * MM,
            ],
            axis=1,
        )
        for row, position in enumerate(positions):
            if position >= 0:
                mano.setdefault(int(position), {})[side] = values[row]


def _checked(value: Any, shape: tuple[int, ...], where: str, faults: Faults) -> np.ndarray | None:
    if value is None:
        faults.add("HB104", "files that are lacking", f"{where}.pt")
    elif not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        faults.add("HB111", "files that hold no tensor of floating-point numbers", where)
    elif value.shape[1:] != shape or value.ndim == 0:
        faults.add(
            "HB112", "tensors of another shape", f"{where} is {value.shape}, not (N, *{shape})"
        )
    elif not np.isfinite(value).all():
        faults.add("HB123", "tensors that hold NaN or infinite values", where)
    elif shape == (16, 3, 3) and not _rotations(value):
        faults.add("HB121", "matrices that are no rotations", where)
    else:
        return value.astype(np.float64)
    return None


def _rotations(matrices: np.ndarray) -> bool:
    m = matrices.astype(np.float64)
    exact = ROTATION if matrices.dtype != np.float16 else 10 * ROTATION
    close = np.abs(m @ np.swapaxes(m, -1, -2) - np.eye(3)).max(initial=0) <= exact
    return bool(close and (np.linalg.det(m) > 0).all())


def _positions(
    folder: str,
    content: dict[str, Any],
    expected: np.ndarray,
    length: int,
    samples: Samples,
    faults: Faults,
    notes: list[str],
) -> np.ndarray | None:
    """The sample of each frame of a folder, -1 for frames past the end; by name or by position."""
    names = content.get(_IMAGES)
    if names is None:
        if length < len(expected):
            what = "fewer frames than the track, and no image names"
            faults.add("HB104", what, f"{folder} has {length:,} of {len(expected):,}")
            return None
        how = "by position, as the server does"
        notes.append(f"{folder} has no {_IMAGES}.pt: its frames are taken {how}.")
        if length > len(expected):
            notes.append(f"{folder}: {length - len(expected):,} frames past the end are left out.")
        return np.concatenate([expected, np.full(length - len(expected), -1)])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        faults.add("HB111", f"files {_IMAGES}.pt that hold no list of texts", folder)
        return None
    place = {_key(samples, k): k for k in expected}
    found = np.array([place.get(_last_four(name), -1) for name in names], int)
    for row in np.flatnonzero(found < 0):
        faults.add("HB105", "images that the track does not have", f"{folder}: {names[row]}")
    if len(set(found.tolist())) < len(found):
        faults.add("HB106", "folders that name an image more than once", folder)
    return found


def _key(samples: Samples, k: int) -> tuple[str, int | None]:
    return f"{samples.sequence[k]}/{samples.camera[k]}", samples.frame[k]


def _last_four(name: str) -> tuple[str, int | None]:
    """The last four parts of an image's path: sid/sequence/view, and the frame's number."""
    parts = name.replace("\\", "/").split("/")
    stem = parts[-1].rsplit(".", 1)[0]
    return "/".join(parts[-4:-1]), int(stem) if stem.isdecimal() and len(stem) < 10 else None


def _posed(mano: dict[int, dict[str, np.ndarray]]) -> dict[int, dict[str, Any]]:
    """Add the joints that MANO gives for the parameters."""
    order = sorted(mano)
    hands: dict[int, dict[str, Any]] = {k: {} for k in order}
    for side in HAND_SIDES:
        model = HandModel.load(find_mano(side))
        values = np.stack([mano[k][side] for k in order]) if order else np.zeros((0, 61))
        joints = model.joints(
            rotvec=values[:, :48].reshape(-1, 16, 3),
            betas=values[:, 48:58],
            translation=values[:, 58:],
            flat_hand_mean=False,
        )
        joints = convert(joints, "mano21", "openpose21")
        for row, k in enumerate(order):
            hands[k] |= {f"{side}_joints": joints[row], f"{side}_mano": values[row]}
    return hands


def write(rows: Rows, path: Path, track: Track, annotations: Any) -> None:
    """Write a submission from the columns right_mano and left_mano."""
    if not {"right_mano", "left_mano"} <= set(rows.columns):
        raise no_place(
            rows,
            "has no columns right_mano and left_mano.",
            "Write them beside the joints (61 numbers: rotation vectors 3 + 45 without the mean "
            "pose, shape 10, translation 3 in mm).",
            "ARCTIC's zip holds MANO's parameters; joints alone cannot be turned into them here.",
        )
    samples = Samples(track, annotations)
    rows.lose("right_mano", "left_mano", why="holds MANO's parameters, not what follows from them")
    gathered = gather(rows, samples, track, ("right_mano", "left_mano"))
    for side in HAND_SIDES:
        lacking = np.isnan(gathered.values[f"{side}_mano"]).any(axis=1)
        if lacking.any():
            example = samples.ids[int(lacking.argmax())]
            what = f"has no {side}_mano for {int(lacking.sum()):,} samples, e.g. {example}."
            raise no_place(rows, what, "The form has both hands of every frame: predict them all.")
    rows.notes.append("pred.object.* are zeros: the server needs these files, hands do not.")
    if track.truth != "hidden":
        rows.notes.append(f"the server scores pose_p2_test, not {TASKS[_task_of(track)]}.")
    write_zip(path, _files(gathered, samples, TASKS[_task_of(track)]))


def _task_of(track: Track) -> str:
    return track.name.removeprefix("handsim-")


def _files(gathered: Gathered, samples: Samples, task: str) -> Iterator[tuple[str, bytes]]:
    for folder, positions in sorted(_folders(samples).items()):
        place = f"{task}/eval/{folder}"
        names = [_image_name(samples, k) for k in positions]
        yield f"{place}/meta_info/{_IMAGES}.pt", tensors.dumps(names)
        for side in HAND_SIDES:
            values = gathered.values[f"{side}_mano"][positions].astype(np.float64)
            parts = {
                "pose": rotvec_to_rotmat(values[:, :48].reshape(-1, 16, 3)),
                "beta": values[:, 48:58],
                "cam_t": values[:, 58:] / MM,
            }
            for kind, array in parts.items():
                data = tensors.dumps(array.astype(np.float32))
                yield f"{place}/preds/pred.mano.{kind}.{side[0]}.pt", data
        for kind, shape in _OBJECT.items():
            data = tensors.dumps(np.zeros((len(positions), *shape), np.float32))
            yield f"{place}/preds/pred.object.{kind}.pt", data


def _image_name(samples: Samples, k: int) -> str:
    where = f"{samples.sequence[k]}/{samples.camera[k]}/{samples.frame[k]:05d}.jpg"
    return f"./data/arctic_data/data/cropped_images/{where}"
