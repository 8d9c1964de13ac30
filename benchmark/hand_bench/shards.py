"""Shards: HandSim's pictures and labels as Parquet that `datasets.load_dataset` opens.

A shard is one Parquet file with one row per picture: the JPEG, the mask of parts (PNG), camera and
labels. Its schema carries the features of Hugging Face datasets, so that pictures come decoded. Row
groups are small: one picture is read without the others. ``data/<table>-00000-of-00004.parquet#17``
names a picture from outside: the row in the file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.columns import encode_floats, floats_type
from hand_bench.errors import DatasetError, Problem
from hand_bench.version import __version__

FORMAT = "hand-bench handsim shard 1"
#: Pictures of a row group.
GROUP = 64
_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
#: Columns that hold a fixed number of float32, by their width.
LISTS = {
    "K": 9,
    "T_world_from_camera": 16,
    "bbox": 4,
    **{
        f"{side}_{name}": width
        for side in ("right", "left")
        for name, width in (
            ("bbox", 4),
            ("joints", 63),
            ("label_joints", 63),
            ("joints_2d", 42),
            ("visible", 21),
            ("mano", 61),
        )
    },
    "object_pose": 16,
}
_TEXTS = ("sample_id", "sequence", "subject", "camera", "hand_type", "annotator", "object", "verb",
          "action")  # fmt: skip
_NUMBERS = {
    "frame": pa.int64(),
    "time": pa.float64(),
    "width": pa.int32(),
    "height": pa.int32(),
    "clip": pa.int32(),
    "clip_start": pa.int64(),
    "clip_end": pa.int64(),
    "label": pa.int32(),
    "right_grasp": pa.int8(),
    "left_grasp": pa.int8(),
}
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("image", _PICTURE),
        ("mask", _PICTURE),
        *((name, pa.string()) for name in _TEXTS[1:]),
        *_NUMBERS.items(),
        *((name, floats_type(width)) for name, width in LISTS.items()),
    ]
)
_FEATURES = {"info": {"features": {"image": {"_type": "Image"}, "mask": {"_type": "Image"}}}}


def write(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, str]) -> None:
    """Write a shard; it appears only when it is complete.

    Parameters
    ----------
    path
        The file.
    rows
        One mapping for each picture; what is not given is null. Lists are arrays of any shape.
    about
        What the shard was made from; stored, and compared before it is made again.
    """
    metadata = {
        "format": FORMAT,
        "hand_bench_version": __version__,
        "huggingface": json.dumps(_FEATURES),
        **about,
    }
    arrays = [_column(name, SCHEMA.field(name).type, rows) for name in SCHEMA.names]
    table = pa.Table.from_arrays(arrays, schema=SCHEMA.with_metadata(metadata))
    with files.replacing(path) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=GROUP,
            compression={n: "none" if n in ("image", "mask") else "zstd" for n in SCHEMA.names},
            write_statistics=False,
        )


def _column(name: str, kind: pa.DataType, rows: Sequence[Mapping[str, Any]]) -> pa.Array:
    values = [row.get(name) for row in rows]
    if name not in LISTS:
        return pa.array(values, kind)
    absent = np.array([value is None for value in values])
    width = LISTS[name]
    empty = np.zeros(width, np.float32)
    flat = [empty if v is None else np.asarray(v, np.float32).reshape(width) for v in values]
    return encode_floats(np.stack(flat) if flat else np.zeros((0, width), np.float32), absent)


def about(path: Path) -> dict[str, str]:
    """Return what a shard says it was made from; empty where it is damaged or absent."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError):
        return {}
    return {k.decode(): v.decode(errors="replace") for k, v in metadata.items()}


def jpeg(image: np.ndarray, quality: int = 90) -> dict[str, Any]:
    """Compress a picture (height, width, 3) as the image column stores it."""
    return {"bytes": _compressed(image, "JPEG", quality=quality), "path": None}


def png(mask: np.ndarray) -> dict[str, Any]:
    """Compress a mask of labels (height, width) without loss."""
    return {"bytes": _compressed(mask.astype(np.uint8), "PNG", compress_level=1), "path": None}


def _compressed(pixels: np.ndarray, form: str, **options: Any) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


def is_there(image: Path | None) -> bool:
    """Whether a picture is on this machine: a file, or a row of a shard ("FILE#17")."""
    if image is None:
        return False
    name, _, row = str(image).rpartition("#")
    return Path(name if row.isdigit() and name else image).is_file()


def load_picture(image: Path | None) -> np.ndarray | None:
    """Return a picture (height, width, 3), None where it is not on this machine.

    It is a file, or a row of a shard ("FILE#17").
    """
    from PIL import Image

    name, _, row = str(image or "").rpartition("#")
    try:
        if row.isdigit() and name:
            return read_picture(Path(name), int(row))
        with Image.open(image or "") as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, DatasetError, Image.DecompressionBombError):
        return None


def read_picture(path: Path, row: int, column: str = "image") -> np.ndarray:
    """Read one picture of a shard as an array.

    Raises
    ------
    DatasetError
        HB202 where there is no such shard or row.
    """
    from PIL import Image

    try:
        with pq.ParquetFile(path) as shard:
            group, start = 0, 0
            while start + shard.metadata.row_group(group).num_rows <= row:
                start += shard.metadata.row_group(group).num_rows
                group += 1
            cell = shard.read_row_group(group, columns=[column]).column(column)[row - start]
    except (pa.ArrowException, OSError, IndexError) as error:
        raise DatasetError(
            Problem("HB202", f"{path}#{row}", "there is no such picture.",
                    fix="`hand-bench sim make WORLD` makes a world's pictures.")
        ) from error  # fmt: skip
    return np.asarray(Image.open(io.BytesIO(cell.as_py()["bytes"])))
