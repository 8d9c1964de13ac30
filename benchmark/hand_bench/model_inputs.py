"""What a method may look at, and the empty file that it fills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import files, predictions
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.columns import encode_floats, floats_type
from hand_bench.data import open_annotations
from hand_bench.declaration import Declaration
from hand_bench.geometry import square_box
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track, find_track

_PLAIN = ["sample_id", "sequence", "camera", "frame", "end_frame", "image", "width", "height"]
_LISTS = {"K": 9, "distortion": 8, "bbox": 4, "right_bbox": 4, "left_bbox": 4}
_COLUMNS = [*_PLAIN, *_LISTS, "right_joints", "left_joints", "right_valid", "left_valid"]

SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        ("sequence", pa.string()),
        ("camera", pa.string()),  # null where a sample has several views
        ("frame", pa.int64()),
        ("end_frame", pa.int64()),  # last frame of a clip
        ("image", pa.string()),  # relative to the dataset's root
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("K", floats_type(9)),  # 3 x 3, row by row, pixels of the image
        ("distortion", floats_type(8)),  # OpenCV's k1, k2, p1, p2, k3, k4, k5, k6
        ("bbox", floats_type(4)),  # the dataset's own box: x, y, width, height
        ("right_bbox", floats_type(4)),  # the same of one hand
        ("left_bbox", floats_type(4)),
        ("box", floats_type(4)),  # the standard box: square, 1.25 times the longer side of bbox
        ("right_root_depth", pa.float32()),  # true Z of the wrist, mm: declare root_depth:gt
        ("left_root_depth", pa.float32()),
    ]
)


def inputs(
    track: str | Track, *, annotations: str | Path | None = None, limit: int | None = None
) -> pa.Table:
    """Return what a method may be given for each sample, in the order of the template.

    The image's path, size and K are free to use. `box` is the track's standard box set; using it
    is declared as ``boxes:standard``. The root depths are true ones; using them is declared as
    ``root_depth:gt``. What is declared decides which numbers a score is compared with.

    Raises
    ------
    DatasetError
        HB201 where the annotations are not prepared.
    """
    known = find_track(track)
    opened = open_annotations(known, annotations)
    parts, rows = [], 0
    for part in _batches(opened, known):
        parts.append(part)
        rows += part.num_rows
        if limit is not None and rows >= limit:
            break
    table = pa.Table.from_batches(parts, SCHEMA)
    return table if limit is None else table.slice(0, limit)


def template(
    track: str | Track,
    path: str | Path,
    *,
    annotations: str | Path | None = None,
    with_inputs: bool = False,
) -> int:
    """Write every id that a track asks for, with empty predictions; return how many.

    Parameters
    ----------
    track, annotations
        As `inputs`.
    path
        Parquet file to write; its layout is the fastest to score.
    with_inputs
        Also write the columns of `inputs` (they are ignored on scoring).

    Raises
    ------
    DatasetError
        HB201 where the annotations are not prepared.
    """
    known = find_track(track)
    opened = open_annotations(known, annotations)
    if known.kind == "action":
        scores = pa.field("scores", floats_type(len(known.classes)))
        fields = [predictions.SCHEMA.field("sample_id"), pa.field("label", pa.int32()), scores]
    else:
        fields = [predictions.SCHEMA.field(n) for n in predictions.TEMPLATES[known.kind]]
    extra = list(SCHEMA)[1:] if with_inputs else []
    schema = pa.schema(fields + extra, metadata=Declaration(track=known.name).metadata())
    rows = 0
    with files.replacing(path) as temporary, predictions.writer(temporary, schema) as writer:
        source = _batches(opened, known) if with_inputs else _ids(opened)
        for part in source:
            empty = [pa.nulls(part.num_rows, f.type) for f in fields[1:]]
            arrays = [part.column(0), *empty, *(part.column(f.name) for f in extra)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema), 65_536)
            rows += part.num_rows
    return rows


def _ids(opened: Annotations) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(opened.path) as source:
        yield from source.iter_batches(65_536, columns=["sample_id"])


def _batches(opened: Annotations, track: Track) -> Iterator[pa.RecordBatch]:
    for batch in opened.batches(_COLUMNS):
        yield _input_columns(batch, depths=track.frame == "camera")


def _input_columns(batch: AnnotationBatch, *, depths: bool = True) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {
        name: encode_floats(batch[name].reshape(len(batch), width), ~batch.given(name))
        for name, width in _LISTS.items()
    }
    boxes = square_box(batch["bbox"].astype(np.float64))
    columns["box"] = encode_floats(boxes, ~batch.given("bbox"))
    for side in HAND_SIDES:
        depth = batch[f"{side}_joints"][:, 0, 2]
        known = batch.present(side) & batch[f"{side}_valid"][:, 0] & depths
        columns[f"{side}_root_depth"] = pa.array(depth, mask=~known)
    for name in _PLAIN:
        column = batch.table.column(name)
        coded = pa.types.is_dictionary(column.type)
        columns[name] = column.dictionary_decode() if coded else column
    return pa.RecordBatch.from_arrays([columns[f.name] for f in SCHEMA], schema=SCHEMA)


def views(track: str | Track, *, annotations: str | Path | None = None) -> pa.Table:
    """Return the single views of a track of several views: one row per image, as `inputs`.

    Sequence and frame join them to the samples; every view has its K, distortion and boxes, and
    ``T_world_from_camera`` (16 numbers, row by row).

    Raises
    ------
    DatasetError
        HB201 where the annotations are not prepared, or the track has one view for each sample.
    """
    opened = open_annotations(find_track(track), annotations).views()
    pose = SCHEMA.append(pa.field("T_world_from_camera", floats_type(16)))
    parts = []
    for batch in opened.batches([*_COLUMNS, "T_world_from_camera"]):
        own = _input_columns(batch)
        given = batch.given("T_world_from_camera")
        values = encode_floats(batch["T_world_from_camera"].reshape(len(batch), 16), ~given)
        parts.append(pa.RecordBatch.from_arrays([*own.columns, values], schema=pose))
    return pa.Table.from_batches(parts, pose)
