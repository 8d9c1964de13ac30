"""Reader of HandSim's shards: canonical annotations of every table of a world.

A table of images has one row per picture, a table of clips one per clip of the recordings, a table
of views one per instant (world frame) with its pictures in ``views.parquet``. In train the joints
are the labels of the annotator that is named, with that annotator's noise; elsewhere they are
exact. In view: inside the picture; for 2D worlds also visible. STB's look-alike has the palm as
joint 0, RHD's annotates the hand with more pixels, EPIC's and Ego4D's have 2D joints and no 3D, and
in train no joints at all: only masks, grasps and what of each hand is visible. Pictures have their
masks of parts in all worlds; a hand that is not annotated has no grasp.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import shards
from hand_bench.annotations import VIEWS, intervals, write
from hand_bench.columns import decode_floats
from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import project
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.sim.worlds import SOURCES, Source

Progress = Any
#: A joint is visible when at least this share of its neighbourhood is.
VISIBLE = 0.5
_TEXTS = ("sequence", "subject", "camera", "hand_type", "annotator", "object", "action")


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations of a table; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202 where its shards are not there, HB203 where some of them are missing or damaged.
    """
    root = Path(root)
    source, prefix, base = _table(root, split)
    kind = source.tables[prefix]
    images = next((p for p, k in source.tables.items() if k == "images"), prefix)
    files = find_shards(root, prefix if kind != "clips" else images, base)
    rows = _read(files, progress)
    if kind == "clips":
        columns = _clips(rows, split)
    elif kind == "views":
        write(path.with_name(VIEWS), _images(root, source, rows))
        columns = _instants(source, rows, split)
    else:
        columns = _images(root, source, rows)
    write(path, columns)
    return _summary(source, files, rows, columns)


def find_shards(root: Path, prefix: str, split: str) -> list[Path]:
    """Return the shards of a table in order.

    Raises
    ------
    DatasetError
        HB202 where there are none, HB203 where one is missing.
    """
    stem = f"{prefix}-{split}" if prefix else split
    found = sorted((root / "data").glob(f"{stem}-?????-of-?????.parquet"))
    if not found:
        raise DatasetError(
            Problem("HB202", str(root), f"holds no shards data/{stem}-*.parquet.",
                    fix="`hand-bench sim make WORLD` makes them.")
        )  # fmt: skip
    total = int(found[0].stem.rsplit("-", 1)[-1])
    if len(found) != total or any(not p.stem.endswith(f"-of-{total:05d}") for p in found):
        what = f"{len(found)} of {total} shards of {stem} are there."
        fix = "`hand-bench sim make WORLD` goes on where it stopped."
        raise DatasetError(Problem("HB203", str(root), what, "An interrupted run?", fix))
    _require_one_run(root, found)
    return found


def _require_one_run(root: Path, paths: list[Path]) -> None:
    """Refuse shards of different worlds, versions, sizes or seeds: labels would not fit (HB203)."""
    names = ("world", "version", "size", "seed")
    runs = {tuple(shards.about(path).get(name, "") for name in names) for path in paths}
    if len(runs) > 1:
        shown = " and ".join(" ".join(run) for run in sorted(runs)[:2])
        what = f"holds shards of different runs: {shown}."
        fix = "`hand-bench sim make WORLD` with the size and seed that you want puts it right."
        raise DatasetError(Problem("HB203", str(root), what, "An interrupted run?", fix))


def _table(root: Path, table: str) -> tuple[Source, str, str]:
    """Find out which world lies under a folder, and split a table's name into prefix and split."""
    for path in sorted((root / "data").glob("*.parquet")):
        source = SOURCES.get(shards.about(path).get("world", ""))
        if source is None:
            continue
        for prefix in sorted(source.tables, key=len, reverse=True):
            base = table.removeprefix(f"{prefix}-") if prefix else table
            if base in source.splits and (not prefix or table != base):
                return source, prefix, base
    raise DatasetError(
        Problem("HB202", str(root), f"holds no shards of a HandSim world with a table {table!r}.",
                fix="`hand-bench sim make WORLD` makes them.")
    )  # fmt: skip


def _read(paths: list[Path], progress: Progress) -> pa.Table:
    """Read all columns but the pictures, with the place of every row; sorted as files are."""
    columns = [n for n in shards.SCHEMA.names if n not in ("image", "mask")]
    parts = []
    for k, path in enumerate(paths):
        try:
            part = pq.read_table(path, columns=columns)
        except (pa.ArrowException, OSError) as error:
            what = f"cannot be read ({type(error).__name__})."
            raise DatasetError(Problem("HB203", str(path), what)) from error
        place = [f"data/{path.name}#{row}" for row in range(len(part))]
        parts.append(part.append_column("place", pa.array(place)))
        progress("reading shards", k + 1, len(paths))
    table = pa.concat_tables(p.replace_schema_metadata(None) for p in parts)
    keys = [("sequence", "ascending"), ("camera", "ascending"), ("frame", "ascending")]
    return table.sort_by(keys)


def _floats(rows: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Values (rows, width) of a list column, and which rows are absent."""
    column = rows.column(name).combine_chunks()
    values, found, _ = decode_floats(column, shards.LISTS[name])
    return values, ~found


def _images(root: Path, source: Source, rows: pa.Table) -> dict[str, Any]:
    columns: dict[str, Any] = {name: rows.column(name).to_pylist() for name in _TEXTS}
    columns |= {n: rows.column(n).to_numpy() for n in ("frame", "time", "width", "height")}
    columns["sample_id"] = rows.column("sample_id").to_pylist()
    columns["image"] = columns["mask"] = rows.column("place").to_pylist()
    columns["hand_type_valid"] = np.ones(len(rows), bool)
    for name in ("K", "T_world_from_camera", "bbox", "right_bbox", "left_bbox"):
        columns[name] = _floats(rows, name)
    K = columns["K"][0].reshape(-1, 3, 3).astype(np.float64)
    size = np.stack([columns["width"], columns["height"]], axis=1)
    for side in HAND_SIDES:
        columns |= _hand(source, rows, side, K, size)
    columns["interval"] = intervals(
        (columns["sequence"], columns["camera"]), columns["frame"], source.step, 30 / source.step
    )
    return columns


def _hand(source: Source, rows: pa.Table, side: str, K, size) -> dict[str, Any]:
    """Columns of one hand side: labels where there are any, else the exact joints."""
    joints, absent = _labelled(source, rows, side)
    visible, unseen = _floats(rows, f"{side}_visible")
    columns: dict[str, Any] = {
        f"{side}_visible": (visible, unseen),
        f"{side}_grasp": rows.column(f"{side}_grasp").to_pylist(),
    }
    if source.planar:
        flat, missing = _floats(rows, f"{side}_joints_2d")
        return columns | {
            f"{side}_joints_2d": (flat, missing),
            f"{side}_in_view": (visible >= VISIBLE) & ~missing[:, None],
            f"{side}_valid": np.zeros((len(rows), 21), bool),
        }
    pixels = project(joints.astype(np.float64), K)
    front = joints[..., 2] > 0
    inside = front & ((pixels >= -0.5) & (pixels < size[:, None] - 0.5)).all(axis=-1)
    present = ~absent[:, None]
    return columns | {
        f"{side}_joints": (joints, absent),
        f"{side}_valid": np.ones((len(rows), 21), bool) & present,
        f"{side}_in_view": inside & present,
        f"{side}_mano": _floats(rows, f"{side}_mano"),
    }


def _labelled(source: Source, rows: pa.Table, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Joints (rows, 21, 3) and which hands have none: labels where there are any, else exact.

    In train a hand that its annotator left out is not annotated; it is never the exact one.
    """
    exact, absent = _floats(rows, f"{side}_joints")
    labels, unlabelled = _floats(rows, f"{side}_label_joints")
    noisy = np.zeros(len(rows), bool)
    if rows.column("sample_id")[0].as_py().split("/")[0].endswith(("train", "training")):
        models = [source.labels.get(a or "", "exact") for a in rows.column("annotator").to_pylist()]
        noisy = np.array([model != "exact" for model in models])
    joints = np.where(unlabelled[:, None], exact, labels).reshape(-1, 21, 3)
    return joints, absent | (noisy & unlabelled)


def _clips(rows: pa.Table, table: str) -> dict[str, Any]:
    """One row per clip: the first picture of each tells the rest."""
    keys = zip(rows.column("sequence").to_pylist(), rows.column("clip").to_pylist(), strict=True)
    first: dict[tuple[str, int], int] = {}
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    part = rows.take(sorted(first.values()))
    start, end = (part.column(n).to_numpy() for n in ("clip_start", "clip_end"))
    sequence = part.column("sequence").to_pylist()
    order = sorted(range(len(part)), key=lambda k: (sequence[k], start[k]))
    part = part.take(order)
    start, end = start[order], end[order]
    sequence = [sequence[k] for k in order]
    return {
        "sample_id": [
            f"{table}/{s}/{a:06d}-{b:06d}" for s, a, b in zip(sequence, start, end, strict=True)
        ],
        "sequence": sequence,
        "subject": part.column("subject").to_pylist(),
        "frame": start,
        "end_frame": end,
        "time": start / 30.0,
        "action": part.column("action").to_pylist(),
        "object": part.column("object").to_pylist(),
        "label": part.column("label").to_numpy(),
    }


def _instants(source: Source, rows: pa.Table, table: str) -> dict[str, Any]:
    """One row per instant, joints in the world frame."""
    keys = list(
        zip(rows.column("sequence").to_pylist(), rows.column("frame").to_pylist(), strict=True)
    )
    first: dict[tuple[str, int], int] = {}
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    at = np.array([first[key] for key in sorted(first)])
    part = rows.take(at)
    pose = _floats(part, "T_world_from_camera")[0].reshape(-1, 4, 4).astype(np.float64)
    frame = part.column("frame").to_numpy()
    columns: dict[str, Any] = {
        name: part.column(name).to_pylist() for name in _TEXTS if name != "camera"
    }
    for side in HAND_SIDES:
        joints, absent = _labelled(source, part, side)
        world = np.einsum("nij,nkj->nki", pose[:, :3, :3], joints) + pose[:, None, :3, 3]
        present = np.repeat(~absent[:, None], 21, axis=1)
        columns |= {
            f"{side}_joints": (world, absent),
            f"{side}_valid": present,
            f"{side}_in_view": present,
        }
    sequence = columns["sequence"]
    return columns | {
        "sample_id": [f"{table}/{s}/{f:06d}" for s, f in zip(sequence, frame, strict=True)],
        "frame": frame,
        "time": frame / 30.0,
        "interval": intervals((sequence,), frame, source.step, 30 / source.step),
        "hand_type_valid": np.ones(len(part), bool),
    }


def _summary(source: Source, files: list[Path], rows: pa.Table, columns) -> dict[str, Any]:
    known = shards.about(files[0])
    people = len(set(columns["subject"]))
    counts = {
        "samples": len(columns["sample_id"]),
        "sequences": len(set(columns["sequence"])),
        "subjects": people,
        "pictures": len(rows),
    }
    for kind in ("interacting", "right", "left"):
        counts[f"{kind} hands"] = columns.get("hand_type", []).count(kind)
    return {
        "release": f"HandSim {known.get('version')}, size {known.get('size')}, "
        f"seed {known.get('seed')}",
        "complete": True,
        "files": [str(path) for path in files],
        "counts": counts,
        "expected": {},
        "notes": [],
        "unit": "mm",
        "pixel_origin": "centre of the top-left pixel",
        "licence": "Apache-2.0",
    }
