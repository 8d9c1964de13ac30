"""Canonical annotations: one Parquet table per split, and a manifest beside it.

Conventions
-----------
One row per sample: an image, an instant seen by several cameras, or a clip. Joints are millimetres
in the camera frame (in the world frame for tracks of several views), in the track's joint order,
float32 [21, 3] as raw bytes (ten times faster to read than lists), null where the hand is not
annotated or its truth is withheld. ``*_valid``: annotated in 3D. ``*_in_view``: annotated and seen
from this view. ``*_joints_2d`` are pixels of the image as the source gives them, only where the
source has no 3D. Boxes are x, y, width, height in pixels, ``*_bbox`` one per hand. K (3x3) and
``T_world_from_camera`` (4x4) are float64, ``distortion`` is k1, k2, p1, p2, k3, k4, k5, k6
(OpenCV's rational model). ``*_mano``: rotation vectors of the wrist (3) and of 15 joints (45,
without the mean pose), shape (10), translation (3, mm), in the frame of the joints; whether a model
adds its mean pose is the dataset's (`meshes`: for ARCTIC yes, for H2O and HandSim no).
``*_visible``: how much of each joint's neighbourhood the picture shows, 0 to 1, 0 outside of it.
``mask`` is the place of a picture of parts that covers the same pixels as ``image``: 0 background,
1 to 16 the bones of the right hand in MANO's order, 17 to 32 those of the left hand, 33 forearms
and sleeves of both, 34 objects. It is modal: a pixel belongs to what is nearest, so parts that
something hides are not in it. ``*_grasp`` is a class of Hands23 as WildHands numbers them
(facts/wildhands.md section 7.1): 0 NP-Palm, 1 NP-Fin, 2 Pow-Pris, 3 Pre-Pris, 4 Pow-Circ,
5 Pre-Circ, 6 Later, 7 Other, 8 no grasp; null where it is not known.
A clip's class is ``label`` (its number in the track's classes), its frames are ``frame`` to
``end_frame``, both included.

Rows are sorted by sequence, camera and frame, so that neighbours in time are neighbours in the
file. ``interval``: seconds between this row and the row before, if this row and the two before it
are evenly spaced at the dataset's own rate, else null. Where one sample has several views,
``views.parquet`` beside the annotations has the same columns, one row per view; sequence and frame
join them.

A reader gives batches of columns (a dict of arrays); this module knows the types. A column that a
dataset does not have is null.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.arrow import not_null, numbers
from hand_bench.columns import decode_bytes, encode_bytes
from hand_bench.errors import DatasetError, Problem
from hand_bench.version import __version__

_FORM = "hand-bench annotations"
FORMAT = f"{_FORM} 3"
VIEWS = "views.parquet"
ROW_GROUP = 65_536
BATCH = 8_192

_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        ("annotation_id", pa.int64()),
        ("sequence", _TEXT),
        ("subject", _TEXT),
        ("camera", _TEXT),
        ("frame", pa.int64()),
        ("end_frame", pa.int64()),
        ("time", pa.float64()),
        ("interval", pa.float32()),
        ("image", pa.string()),
        ("mask", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("K", pa.binary(72)),
        ("distortion", pa.binary(64)),
        ("T_world_from_camera", pa.binary(128)),
        ("bbox", pa.binary(16)),
        ("right_bbox", pa.binary(16)),
        ("left_bbox", pa.binary(16)),
        ("right_joints", pa.binary(252)),
        ("left_joints", pa.binary(252)),
        ("right_joints_2d", pa.binary(168)),
        ("left_joints_2d", pa.binary(168)),
        ("right_valid", pa.binary(21)),
        ("left_valid", pa.binary(21)),
        ("right_in_view", pa.binary(21)),
        ("left_in_view", pa.binary(21)),
        ("right_visible", pa.binary(84)),
        ("left_visible", pa.binary(84)),
        ("right_grasp", pa.int8()),
        ("left_grasp", pa.int8()),
        ("right_mano", pa.binary(244)),
        ("left_mano", pa.binary(244)),
        ("hand_type", _TEXT),
        ("hand_type_valid", pa.bool_()),
        ("annotator", _TEXT),
        ("object", _TEXT),
        ("action", _TEXT),
        ("label", pa.int32()),
    ]
)
#: How raw bytes are read back: column -> (type, shape of a row).
ARRAYS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "K": (np.float64, (3, 3)),
    "distortion": (np.float64, (8,)),
    "T_world_from_camera": (np.float64, (4, 4)),
    "bbox": (np.float32, (4,)),
    **{
        f"{side}_{kind}": (np.float32, shape)
        for side in ("right", "left")
        for kind, shape in (
            ("bbox", (4,)),
            ("joints", (21, 3)),
            ("joints_2d", (21, 2)),
            ("mano", (61,)),
            ("visible", (21,)),
        )
    },
    **{
        f"{side}_{kind}": (np.bool_, (21,))
        for side in ("right", "left")
        for kind in ("valid", "in_view")
    },
}
_REPEATING = [
    "sequence",
    "subject",
    "camera",
    "K",
    "T_world_from_camera",
    "hand_type",
    "annotator",
    "object",
    "action",
    "distortion",
    "right_valid",
    "left_valid",
    "right_in_view",
    "left_in_view",
    "width",
    "height",
]


@dataclass
class AnnotationBatch:
    """Consecutive rows of the annotations; `start` is the position of the first one."""

    start: int
    table: pa.RecordBatch
    _cache: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def sample_id(self) -> pa.Array:
        """The ids, as an Arrow array of strings."""
        return self.table.column("sample_id")

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column as an array; texts as object arrays.

        Null numbers are NaN, null grasps -1, other null whole numbers 0.
        """
        if name not in self._cache:
            column = self.table.column(name)
            if name in ARRAYS:
                value = decode_bytes(column, *ARRAYS[name])
            elif SCHEMA.field(name).type in (_TEXT, pa.string()):
                value = np.array(column.to_pylist(), object)
            else:
                value = numbers(column, null=_null_of(name, column.type))
            self._cache[name] = value
        return self._cache[name]

    def given(self, name: str) -> np.ndarray:
        """Whether a column holds a value, per row."""
        return not_null(self.table.column(name))

    def present(self, side: str) -> np.ndarray:
        """Whether the hand is annotated at all, per row."""
        return self.given(f"{side}_joints")

    def visible_share(self, side: str) -> np.ndarray:
        """Return the mean visibility of a hand's joints, 0 to 1, per row; NaN where it is unknown.

        Joints behind the hand's own fingers or palm are hidden too: a hand that nothing else covers
        has about two thirds.
        """
        share = self[f"{side}_visible"].mean(axis=1, dtype=np.float64)
        return np.where(self.given(f"{side}_visible"), share, np.nan)

    def slice(self, offset: int, length: int) -> AnnotationBatch:
        """Return a part of the batch, without a copy."""
        return AnnotationBatch(self.start + offset, self.table.slice(offset, length))


@dataclass(frozen=True)
class Annotations:
    """An annotations file that is open for streaming, and its manifest."""

    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Annotations:
        """Open an annotations file written by `data prepare`.

        Raises
        ------
        DatasetError
            HB201 where it does not exist, HB206 where it is something else.
        """
        path = Path(path)
        if not path.is_file():
            raise DatasetError(
                Problem(
                    "HB201",
                    str(path),
                    "there is no such annotations file.",
                    fix="`hand-bench data prepare DATASET ROOT` writes it.",
                )
            )
        form = form_of(path)
        if form != FORMAT:
            raise DatasetError(_other_form(path, form))
        manifest = path.with_name("manifest.json")
        known = json.loads(manifest.read_text("utf-8")) if manifest.is_file() else {}
        return cls(path, known)

    @property
    def rows(self) -> int:
        """Number of samples."""
        return pq.read_metadata(self.path).num_rows

    @property
    def sha256(self) -> str:
        """Hash of the file: from the manifest, or computed where there is none."""
        return self.manifest.get("sha256") or files.sha256(self.path)

    def batches(
        self, columns: Sequence[str], size: int = BATCH, *, wanted: np.ndarray | None = None
    ) -> Iterator[AnnotationBatch]:
        """Stream rows in order, in bounded memory. Text columns come dictionary-coded.

        `wanted` (a boolean for each row) leaves out row groups without any wanted row.
        """
        texts = [name for name in columns if SCHEMA.field(name).type == _TEXT]
        with pq.ParquetFile(
            self.path, pre_buffer=False, buffer_size=1 << 20, read_dictionary=texts
        ) as source:
            start = 0
            for group in range(source.num_row_groups):
                end = start + source.metadata.row_group(group).num_rows
                if wanted is None or wanted[start:end].any():
                    for table in source.iter_batches(
                        size, row_groups=[group], columns=list(columns), use_threads=False
                    ):
                        yield AnnotationBatch(start, table)
                        start += table.num_rows
                start = end

    def views(self) -> Annotations:
        """Open the table of single views of a track of several views.

        Raises
        ------
        DatasetError
            HB201 where there is none.
        """
        return Annotations(Annotations.open(self.path.with_name(VIEWS)).path, {})

    def ids(self) -> pa.ChunkedArray:
        """All sample ids, in order."""
        return self.table(["sample_id"]).column("sample_id")

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Read whole columns (for light ones: texts, frames, boxes)."""
        texts = [name for name in columns if SCHEMA.field(name).type == _TEXT]
        # Not pq.read_table: that imports pandas where it is installed.
        with pq.ParquetFile(self.path, read_dictionary=texts) as source:
            return source.read(list(columns), use_threads=False)

    def find(self, sample_id: str, columns: Sequence[str]) -> AnnotationBatch:
        """Return one sample's row.

        Raises
        ------
        DatasetError
            HB208 where there is no such sample; the nearest ids are named.
        """
        for batch in self.batches(columns if "sample_id" in columns else ["sample_id", *columns]):
            at = pc.index(batch.sample_id, pa.scalar(sample_id)).as_py()
            if at >= 0:
                return batch.slice(at, 1)
        near = self._nearest(sample_id)
        raise DatasetError(
            Problem(
                "HB208",
                str(self.path),
                f"there is no sample {sample_id!r}.",
                fix=f"The nearest ids are {near}.",
            )
        )

    def _nearest(self, sample_id: str) -> str:
        """Some ids that share the longest beginning with an unknown one."""
        ids = self.ids()
        parts = sample_id.split("/")
        for length in range(len(parts), -1, -1):
            alike = ids.filter(pc.starts_with(ids, "/".join(parts[:length])))
            if len(alike):
                return ", ".join(alike[:3].to_pylist())
        return "none"


def form_of(path: Path) -> str:
    """Return the form that an annotations file says it has; empty for any other file."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return ""
    return metadata.get(b"format", b"").decode("utf-8", "replace")


def _other_form(path: Path, form: str) -> Problem:
    """Build the problem of a file that is not of the form that is read here (HB206)."""
    if form.startswith(f"{_FORM} "):
        return Problem(
            "HB206",
            str(path),
            f"has the form {form!r}, this version reads {FORMAT!r}.",
            cause="Prepared by another version of hand-bench?",
            fix="`hand-bench data prepare DATASET ROOT` prepares it again.",
        )
    return Problem(
        "HB206",
        str(path),
        f"is not a file of the form {FORMAT!r}.",
        cause="Predictions, or a file of another version?",
        fix="`hand-bench data prepare DATASET ROOT` writes annotations.",
    )


def _null_of(name: str, kind: pa.DataType) -> float:
    """What stands for null in the array of a column of numbers."""
    if pa.types.is_floating(kind):
        return np.nan
    return -1 if name.endswith("_grasp") else 0


def encode(columns: Mapping[str, Any]) -> pa.RecordBatch:
    """Turn arrays of columns into a record batch of the canonical schema.

    Bytes columns take arrays (rows, *shape), or a pair (values, absent rows). Columns that are not
    given are null.

    Raises
    ------
    ValueError
        For a column that the schema does not have, or of another length.
    """
    unknown = set(columns) - set(SCHEMA.names)
    if unknown:
        raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")
    rows = len(columns["sample_id"])
    arrays = []
    for item in SCHEMA:
        value = columns.get(item.name)
        if value is None:
            arrays.append(_nulls(rows, item.type))
        elif item.name in ARRAYS:
            dtype, shape = ARRAYS[item.name]
            values, absent = value if isinstance(value, tuple) else (value, None)
            arrays.append(encode_bytes(np.asarray(values, dtype).reshape(rows, *shape), absent))
        elif item.type == _TEXT:
            arrays.append(pa.array(value, pa.string()).dictionary_encode())
        else:
            arrays.append(pa.array(value, item.type, from_pandas=True))
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _nulls(rows: int, kind: pa.DataType) -> pa.Array:
    if kind == _TEXT:
        return pa.array([None] * rows, pa.string()).dictionary_encode()
    return pa.nulls(rows, kind)


def write(path: str | Path, columns: Mapping[str, Any]) -> None:
    """Write a table that fits in memory; rows as they come, all or nothing."""
    whole = encode(columns)
    with writing(path) as writer:
        for start in range(0, len(whole), ROW_GROUP):
            writer.write_batch(whole.slice(start, ROW_GROUP), row_group_size=ROW_GROUP)


def intervals(
    tracks: Sequence[Sequence[Any] | np.ndarray], frame: np.ndarray, step: int, rate: float
) -> np.ndarray:
    """Return the column ``interval`` of rows that are sorted by sequence, camera and frame.

    Parameters
    ----------
    tracks
        Columns that tell recordings apart: rows that differ in one of them are no neighbours.
    frame
        Frame number of each row.
    step
        Distance of consecutive frame numbers.
    rate
        Frames that are there per second (frame numbers per second / step).
    """
    follows = np.diff(frame, prepend=frame[:1]) == step
    follows[:1] = False
    for column in tracks:
        values = np.unique(np.asarray(column), return_inverse=True)[1]
        follows[1:] &= values[1:] == values[:-1]
    twice = follows & np.concatenate([[False], follows[:-1]])
    return np.where(twice, 1 / rate, np.nan)


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[pq.ParquetWriter]:
    """Open a writer of record batches of the canonical schema; all or nothing."""
    schema = SCHEMA.with_metadata({"format": FORMAT, "hand_bench_version": __version__})
    with (
        files.replacing(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression={name: "none" if "joints" in name else "zstd" for name in SCHEMA.names},
            use_dictionary=_REPEATING,
            write_statistics=False,
        ) as writer,
    ):
        yield writer
