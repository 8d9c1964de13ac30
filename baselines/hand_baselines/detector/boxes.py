"""Files of boxes: one box of each hand for every sample of a track, from any detector.

One Parquet table:

| column | type | meaning |
|---|---|---|
| sample_id | text | the track's ids, in any order |
| right_bbox, left_bbox | 4 numbers, or null | x, y, w, h, px of the picture; null: no such hand |
| right_score, left_score | number, or null | how sure the detector is; may be left out |

Pixels are those of the picture in the size that the annotations give (``width`` and ``height`` of
``hand-bench template --inputs``): that of the stored picture, unless it was stored smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.columns import (
    decode_floats,
    decode_scalars,
    describe,
    encode_bytes,
    encode_floats,
    floats_type,
    is_text,
    list_size,
    strings,
)
from hand_bench.errors import BaselineError, Problem
from hand_bench.joint_sets import HAND_SIDES

#: What is read and what has to be there.
BOXES = tuple(f"{side}_bbox" for side in HAND_SIDES)
SCORES = tuple(f"{side}_score" for side in HAND_SIDES)
SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        *((name, floats_type(4)) for name in BOXES),
        *((name, pa.float32()) for name in SCORES),
    ]
)


@dataclass(frozen=True)
class BoxSet:
    """Boxes of samples.

    Attributes
    ----------
    ids
        Of the n samples.
    boxes
        (n, 2, 4), float32, right hand first: x, y, w, h, px; NaN where there is none.
    scores
        (n, 2), float32; NaN where there is none.
    source
        What they are from: the SHA-256 of the file.
    """

    ids: pa.Array
    boxes: np.ndarray
    scores: np.ndarray
    source: str = ""

    def of(self, rows: AnnotationBatch) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes (rows, 2, 4) and scores (rows, 2) of rows of annotations.

        Raises
        ------
        BaselineError
            HB104 where samples have none.
        """
        at = pc.index_in(rows.sample_id, value_set=self.ids)
        if at.null_count:
            lacking = rows.sample_id.filter(at.is_null())
            raise BaselineError(_missing("boxes", lacking, len(rows)))
        places = at.to_numpy(zero_copy_only=False)
        return self.boxes[places], self.scores[places]

    def sure(self, least: float) -> BoxSet:
        """Return the set without boxes whose score is smaller; their scores stay."""
        with np.errstate(invalid="ignore"):
            kept = self.scores >= least
        boxes = np.where(kept[..., None], self.boxes, np.float32(np.nan))
        return BoxSet(self.ids, boxes, self.scores, self.source)


def with_boxes(rows: AnnotationBatch, boxes: np.ndarray) -> AnnotationBatch:
    """Return rows of annotations with other boxes (rows, 2, 4) of their hands, NaN for none."""
    table = rows.table
    for k, name in enumerate(BOXES):
        values = np.ascontiguousarray(boxes[:, k], np.float32)
        column = encode_bytes(values, np.isnan(values).any(axis=1))
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return AnnotationBatch(rows.start, table)


def write_boxes(path: str | Path, found: BoxSet) -> None:
    """Write a file of boxes; it appears only when it is complete."""
    columns: list[pa.Array] = [found.ids.cast(pa.string())]
    for k in range(2):
        boxes = found.boxes[:, k]
        columns.append(encode_floats(np.nan_to_num(boxes), np.isnan(boxes).any(axis=1)))
    for k in range(2):
        columns.append(pa.array(found.scores[:, k], pa.float32(), from_pandas=True))
    with files.replacing(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), temporary)


def read_boxes(path: str | Path, opened: Annotations | None = None) -> BoxSet:
    """Read a file of boxes.

    Parameters
    ----------
    opened
        Annotations that it is for: it has to have exactly their samples.

    Raises
    ------
    BaselineError
        All that is wrong with it: HB402 no Parquet; HB110 columns lack; HB111, HB112, HB125 columns
        hold something else; HB106, HB107 ids are repeated or null; HB105, HB104 ids are unknown or
        missing; HB123 numbers that are none; HB302 boxes without area.
    """
    path = Path(path)
    try:
        with pq.ParquetFile(path) as source:
            table = source.read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        what = f"cannot be read ({type(error).__name__})."
        fix = "`hand-bench baselines detect NAME --track T -o FILE` writes one."
        raise BaselineError(Problem("HB402", str(path), what, fix=fix)) from error
    _raise(_layout_problems(path, table.schema))
    ids = strings(table["sample_id"].combine_chunks())
    problems = _id_problems(path, ids, opened)
    boxes, scores = np.zeros((len(ids), 2, 4), np.float32), np.ones((len(ids), 2), np.float32)
    for k, (box, score) in enumerate(zip(BOXES, SCORES, strict=True)):
        boxes[:, k], wrong = _boxes(path, box, table[box].combine_chunks(), ids)
        problems += wrong
        if score in table.schema.names:
            values, given = decode_scalars(table[score].combine_chunks())
            scores[:, k] = np.where(given, values, np.nan)
        else:
            scores[:, k] = np.where(np.isnan(boxes[:, k, 0]), np.nan, 1)
    _raise(problems)
    return BoxSet(ids, boxes, scores, files.sha256(path))


def _layout_problems(path: Path, schema: pa.Schema) -> list[Problem]:
    lacking = [name for name in ("sample_id", *BOXES) if name not in schema.names]
    if lacking:
        fix = f"A file of boxes has {', '.join(SCHEMA.names[:3])}; it may have the scores."
        return [Problem("HB110", str(path), f"has no column {', '.join(lacking)}.", fix=fix)]
    problems = []
    for name in ("sample_id", *BOXES, *(set(SCORES) & set(schema.names))):
        kind = schema.field(name).type
        inner, size = list_size(kind)
        number = pa.types.is_floating(inner) or pa.types.is_integer(inner)
        fits = is_text(kind) if name == "sample_id" else number and (name in BOXES or inner == kind)
        if pa.types.is_null(kind) and name != "sample_id":
            continue
        if not fits or (name in BOXES and size not in (4, None)):
            wanted = "texts" if name == "sample_id" else "4 numbers" if name in BOXES else "numbers"
            what = f"{name} holds {describe(kind)}, where {wanted} belong."
            problems.append(Problem("HB111", str(path), what))
    return problems


def _id_problems(path: Path, ids: pa.Array, opened: Annotations | None) -> list[Problem]:
    problems = []
    if ids.null_count:
        what = f"{ids.null_count:,} ids are null, the first one in row {_first(ids.is_null())}."
        problems.append(Problem("HB107", str(path), what))
    counts = ids.value_counts()
    again = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).drop_null()
    if len(again):
        what = f"{len(again):,} ids occur more than once, e.g. {again[0].as_py()}."
        problems.append(Problem("HB106", str(path), what))
    if opened is None:
        return problems
    wanted = opened.ids().combine_chunks()
    unknown = ids.filter(pc.invert(pc.is_in(ids, value_set=wanted))).drop_null()
    if len(unknown):
        what = f"{len(unknown):,} ids are unknown, e.g. {unknown[0].as_py()}."
        problems.append(
            Problem("HB105", str(path), what, cause="Boxes of another track, or of another split?")
        )
    missing = wanted.filter(pc.invert(pc.is_in(wanted, value_set=ids)))
    if len(missing):
        problems.append(_missing(str(path), missing, len(wanted)))
    return problems


def _missing(where: str, lacking: pa.Array, count: int) -> Problem:
    what = f"{len(lacking):,} of {count:,} samples have no row, e.g. {lacking[0].as_py()}."
    return Problem("HB104", where, what, fix="A sample without hands has a row with null boxes.")


def _boxes(
    path: Path, name: str, column: pa.Array, ids: pa.Array
) -> tuple[np.ndarray, list[Problem]]:
    """Boxes (rows, 4) of one hand, NaN where there is none, and what is wrong with them."""
    inner = list_size(column.type)[0]
    if pa.types.is_integer(inner):
        column = column.cast(pa.list_(pa.float64()))
    values, given, faults = decode_floats(column, 4)
    said = {"HB112": "do not have 4 numbers", "HB125": "have nulls inside"}
    problems = [
        Problem(f.code, str(path), f"{f.count:,} boxes of {name} {said[f.code]}, e.g. row {f.row}.")
        for f in faults
    ]
    if faults:
        return np.full((len(ids), 4), np.nan, np.float32), problems
    finite = np.isfinite(values).all(axis=1)
    broken = given & ~finite
    if broken.any():
        what = f"{broken.sum():,} boxes of {name} are not finite, e.g. {_id(ids, broken)}."
        fix = "Null stands for no such hand."
        problems.append(Problem("HB123", str(path), what, fix=fix))
    empty = given & finite
    empty[empty] = (values[empty][:, 2:] <= 0).any(axis=1)
    if empty.any():
        what = f"{empty.sum():,} boxes of {name} have no area, e.g. {_id(ids, empty)}."
        fix = "Boxes are x, y, width, height; null stands for no such hand."
        problems.append(Problem("HB302", str(path), what, fix=fix))
    return np.where(given[:, None], values, np.float32(np.nan)), problems


def _id(ids: pa.Array, chosen: np.ndarray) -> str:
    return str(ids[int(np.flatnonzero(chosen)[0])].as_py())


def _first(flags: pa.Array) -> int:
    return int(np.flatnonzero(flags.to_numpy(zero_copy_only=False))[0])


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise BaselineError(problems)
