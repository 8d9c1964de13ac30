"""What annotations are made from: pictures by camera, their calibration, boxes, 2D points.

Conventions
-----------
The pictures of a camera lie in one folder; its name, or NAME in ``NAME=FOLDER``, is the camera's,
with or without the affixes of AssemblyHands (`calibration.bare_name`). The last number in a file's
name is its frame, and the same frame is the same instant in all cameras.

A calibration is one of: a file of the forms of bring-your-own.md (``rig.json``, AssemblyHands'
``calib.txt`` or the toolkit's JSON), or a canonical table of views (``views.parquet``).

A table of boxes or points (Parquet or CSV) has one row per camera, frame and hand: ``camera``,
``frame``, ``hand_side``; then ``bbox`` (x, y, w, h), or ``joints_2d`` (21 x 2, OpenPose order) and
perhaps ``confidence`` (21). In CSV the numbers have columns of their own: ``bbox_0`` and so on.
All are pixels of the pictures as they are; pixel (0, 0) is the centre of the first one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from hand_baselines.instants import LEAST, VIEWS
from hand_bench.annotations import FORMAT, AnnotationBatch, encode
from hand_bench.calibration import Camera, bare_name, find_camera
from hand_bench.errors import BaselineError, DatasetError, Problem
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.readers.multiview_files import Rig, read_rig

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
#: Relative difference between the two scales of a picture beyond which it was not only resized.
STRETCH = 0.01


def read_table(path: Path) -> pa.RecordBatch:
    """Read a canonical table of views as a calibration.

    Raises
    ------
    DatasetError
        HB202 where there is none, HB206 where it is another table.
    """
    if not path.is_file():
        raise DatasetError(Problem("HB202", str(path), "there is no such calibration file."))
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError):
        table = pa.table({})
    if (table.schema.metadata or {}).get(b"format") != FORMAT.encode():
        what, fix = "is no canonical table of views.", "`data prepare` writes views.parquet."
        raise DatasetError(Problem("HB206", str(path), what, fix=fix))
    table = table.select(VIEWS)
    for name in ("K", "T_world_from_camera"):
        table = table.filter(table[name].is_valid())
    if not len(table):
        what = "no row has a camera with a pose."
        raise DatasetError(Problem("HB202", str(path), what))
    return table.combine_chunks().to_batches()[0]


def read_cameras(path: Path, sequence: str) -> Rig:
    """Read a calibration file (see `multiview_files.read_rig`); lenses must be OpenCV's."""
    rig = read_rig(path, sequence)
    if not rig.cameras:
        what = "holds no camera with a pose in the world."
        cause = f"Headset cameras are left out: {', '.join(rig.left_out)}." if rig.left_out else ""
        raise DatasetError(Problem("HB202", str(path), what, cause=cause))
    return rig


def rig_camera(rig: Rig, name: str, where: Path) -> Camera:
    """Return a camera of a rig by name.

    Raises
    ------
    DatasetError
        HB208 where the rig has no such camera, or only its place on a headset.
    """
    if bare_name(name) in {bare_name(other) for other in rig.left_out}:
        what = f"has no pose in the world for {name}: it is a headset's camera."
        fix = "Leave this view out, or give its poses by frame in rig.json."
        raise DatasetError(Problem("HB208", str(where), what, fix=fix))
    return find_camera(rig.cameras, name)


def find_pictures(views: Sequence[str], *, missing: bool = False) -> dict[str, dict[int, Path]]:
    """Return camera -> frame -> picture of folders.

    Parameters
    ----------
    views
        FOLDER or NAME=FOLDER, at least two.
    missing
        Whether views may lack at some instants; else every view has every frame.

    Raises
    ------
    DatasetError
        HB202 for a folder without pictures, HB204 where views or frames are not the same instants.
    BaselineError
        HB302 for fewer than two views.
    """
    found: dict[str, dict[int, Path]] = {}
    for view in views:
        name, _, folder = view.rpartition("=")
        place = Path(folder)
        camera = name or place.resolve().name
        if camera in found:
            raise DatasetError(Problem("HB204", view, f"is a second view of {camera}."))
        found[camera] = _frames(place)
    if len(found) < LEAST:
        what = f"one view says nothing about depth: {LEAST} are needed at least."
        raise BaselineError(Problem("HB302", "VIEWS", what, fix="Name a folder for each camera."))
    _require_synchronised(found, missing)
    return found


def _frames(folder: Path) -> dict[int, Path]:
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURES)
    if not paths:
        what = "holds no pictures." if folder.is_dir() else "there is no such folder."
        raise DatasetError(Problem("HB202", str(folder), what))
    frames: dict[int, Path] = {}
    for path in paths:
        numbers = re.findall(r"\d+", path.stem)
        if not numbers:
            raise DatasetError(Problem("HB203", str(path), "has no frame number in its name."))
        if int(numbers[-1]) in frames:
            raise DatasetError(Problem("HB204", str(path), "is a second picture of its frame."))
        frames[int(numbers[-1])] = path
    return frames


def _require_synchronised(found: dict[str, dict[int, Path]], missing: bool) -> None:
    every = sorted(set().union(*found.values()))
    counts = {frame: sum(frame in frames for frames in found.values()) for frame in every}
    if max(counts.values()) < LEAST:
        ends = ((name, min(frames), max(frames)) for name, frames in found.items())
        some = "; ".join(f"{name}: {first} to {last}" for name, first, last in ends)
        what = "no frame number occurs in two views."
        cause = f"The views are not synchronised, or number their frames apart ({some})."
        raise DatasetError(Problem("HB204", "VIEWS", what, cause=cause))
    fix = "Name the pictures by instant; `--missing` takes what at least two views have."
    problems = []
    for name, frames in found.items() if not missing else ():
        lacking = [frame for frame in every if frame not in frames]
        if lacking:
            what = f"lacks {len(lacking)} of {len(every)} instants, e.g. frame {lacking[0]}."
            problems.append(Problem("HB204", name, what, fix=fix))
    if problems:
        raise DatasetError(problems)


def views_table(
    pictures: dict[str, dict[int, Path]], rig: Rig, where: Path, sequence: str, boxes: Boxes
) -> pa.RecordBatch:
    """Return the canonical views of pictures with their cameras; all problems are raised at once.

    Raises
    ------
    DatasetError
        HB204 where pictures have another shape than the calibration says, HB208 for a camera that
        it does not know, or a frame without a pose.
    """
    parts, problems = [], []
    for name, frames in pictures.items():
        try:
            parts.append(_camera_views(rig_camera(rig, name, where), rig, name, frames, sequence))
        except DatasetError as error:
            problems += error.problems
    if problems:
        raise DatasetError(problems)
    columns: dict[str, Any] = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
    for side in HAND_SIDES:
        found = [
            boxes.get((bare_name(camera), int(frame), side), _whole(boxes, width, height))
            for camera, frame, width, height in zip(
                *(columns[k] for k in ("camera", "frame", "width", "height")), strict=True
            )
        ]
        values = np.array(found, float).reshape(-1, 4)
        columns[f"{side}_bbox"] = np.nan_to_num(values), np.isnan(values).any(axis=1)
    return encode(columns).select(VIEWS)


def _whole(boxes: Boxes, width: int, height: int) -> tuple[float, ...]:
    """Without any boxes, the whole picture."""
    return (np.nan,) * 4 if boxes else (0.0, 0.0, float(width), float(height))


def _camera_views(
    camera: Camera, rig: Rig, name: str, frames: dict[int, Path], sequence: str
) -> dict[str, np.ndarray]:
    numbers = np.array(sorted(frames))
    found, poses = rig.poses(camera, numbers)
    if len(found) < len(numbers):
        lacking = sorted(set(numbers.tolist()) - set(numbers[found].tolist()))
        what = f"has no pose for {len(lacking)} frames, e.g. {lacking[0]}."
        raise DatasetError(Problem("HB208", name, what))
    size = _require_size(camera, name, frames[int(numbers[0])])
    n = len(numbers)
    places = [str(frames[int(k)].resolve()) for k in numbers]
    return {
        "sample_id": np.array([f"{sequence}/{name}/{k:06d}" for k in numbers], object),
        "sequence": np.array([sequence] * n, object),
        "camera": np.array([name] * n, object),
        "frame": numbers,
        "image": np.array(places, object),
        "width": np.full(n, size[0]),
        "height": np.full(n, size[1]),
        "K": np.tile(camera.K, (n, 1, 1)),
        "distortion": np.tile(camera.coefficients, (n, 1)),
        "T_world_from_camera": poses,
    }


def _require_size(camera: Camera, name: str, picture: Path) -> tuple[int, int]:
    """Return the calibrated size; HB204 where a picture is not that, evenly resized."""
    from PIL import Image

    try:
        with Image.open(picture) as opened:
            width, height = opened.size
    except OSError as error:
        raise DatasetError(Problem("HB203", str(picture), f"cannot be read ({error}).")) from error
    if camera.width is None or camera.height is None:
        return width, height
    scales = width / camera.width, height / camera.height
    if abs(scales[0] / scales[1] - 1) > STRETCH:
        what = (
            f"{picture.name} has {width} x {height} pixels, but the calibration is of "
            f"{camera.width} x {camera.height}."
        )
        cause = "A calibration of another camera, or pictures that were cut or turned?"
        raise DatasetError(Problem("HB204", name, what, cause=cause))
    return camera.width, camera.height


#: Camera (bare name), frame and side -> box x, y, w, h.
Boxes = dict[tuple[str, int, str], tuple[float, ...]]


def read_boxes(path: Path | None) -> Boxes:
    """Read a table of boxes; without one, none.

    Raises
    ------
    DatasetError
        HB202 where there is none, HB203 for another form.
    """
    boxes: Boxes = {}
    for row in _rows(path) if path is not None else ():
        boxes[_key(row, path)] = tuple(float(x) for x in _numbers(row, "bbox", 4, path))
    return boxes


def read_points(path: Path) -> dict[tuple[int, str], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Read a table of 2D points: (frame, side) -> camera's bare name -> points, confidences.

    Raises
    ------
    DatasetError
        HB202 where there is none, HB203 for another form, HB204 for a hand given twice.
    """
    found: dict[tuple[int, str], dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for row in _rows(path):
        camera, frame, side = _key(row, path)
        points = np.array(_numbers(row, "joints_2d", 42, path), float).reshape(21, 2)
        sure = np.ones(21)
        if "confidence" in row or "confidence_0" in row:
            sure = np.array(_numbers(row, "confidence", 21, path), float).reshape(21)
        views = found.setdefault((frame, side), {})
        if camera in views:
            what = f"gives the {side} hand of {camera} in frame {frame} more than once."
            raise DatasetError(Problem("HB204", str(path), what))
        views[camera] = points, sure
    if not found:
        raise DatasetError(Problem("HB203", str(path), "has no rows."))
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise DatasetError(Problem("HB202", str(path), "there is no such file."))
    try:
        if path.suffix == ".csv":
            options = pcsv.ConvertOptions(column_types={"camera": pa.string()})
            table = pcsv.read_csv(path, convert_options=options)
        else:
            table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise _form(path, str(error).splitlines()[0]) from error
    for batch in table.to_batches(4096):
        yield from batch.to_pylist()


def _key(row: dict[str, Any], path: Path | None) -> tuple[str, int, str]:
    try:
        side = HAND_SIDES[HAND_SIDES.index(row["hand_side"])]
        return bare_name(str(row["camera"])), int(row["frame"]), side
    except (KeyError, TypeError, ValueError) as error:
        raise _form(path, f"{type(error).__name__} {error}") from error


def _numbers(row: dict[str, Any], name: str, count: int, path: Path | None) -> list[float]:
    """A list in one column, or numbers in columns of their own; null is NaN."""
    try:
        values = row[name] if name in row else [row[f"{name}_{k}"] for k in range(count)]
        flat = np.array(values, float).ravel()
    except (KeyError, TypeError, ValueError) as error:
        raise _form(path, f"{type(error).__name__} {error}") from error
    if len(flat) != count:
        raise _form(path, f"{name} has {len(flat)} numbers, not {count}")
    return flat.tolist()


def _form(path: Path | None, said: str) -> DatasetError:
    fix = "Columns: camera, frame, hand_side, and bbox (4) or joints_2d (42), confidence (21)."
    return DatasetError(Problem("HB203", str(path), f"has another form: {said}.", fix=fix))


def cameras_at(
    calibration: Rig | pa.RecordBatch, names: Sequence[str], frame: int, where: Path
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return K, lens and T_world_from_camera of cameras (bare names) at a frame.

    Raises
    ------
    DatasetError
        HB208 for a camera that the calibration does not have at that frame.
    """
    found = {}
    for name in names:
        if isinstance(calibration, Rig):
            camera = rig_camera(calibration, name, where)
            at, poses = calibration.poses(camera, np.array([frame]))
            rows = [(camera.K, camera.coefficients, poses[0])] if len(at) else []
        else:
            rows = _table_cameras(calibration, name, frame)
        if not rows:
            what = f"has no camera {name} at frame {frame}."
            raise DatasetError(Problem("HB208", str(where), what))
        found[name] = rows[0]
    return found


def _table_cameras(table: pa.RecordBatch, name: str, frame: int) -> list[tuple[np.ndarray, ...]]:
    batch = AnnotationBatch(0, table)
    names = np.array([bare_name(str(camera)) for camera in batch["camera"]])
    rows = np.flatnonzero((names == name) & (batch["frame"] == frame))
    lens = np.where(batch.given("distortion")[:, None], batch["distortion"], 0.0)
    return [(batch["K"][k], lens[k], batch["T_world_from_camera"][k]) for k in rows]
