"""Predictions: one Parquet row per sample, and every other layout that people write.

Layouts
-------
samples
    ``sample_id``, ``right_joints``, ``left_joints`` (63 numbers, millimetres; null = no such
    hand), optional ``right_score``, ``left_score`` (probability that the hand is present),
    ``left_root`` (left wrist seen from the right wrist), ``right_mano``, ``left_mano`` (61 numbers,
    the hand's mesh, see `meshes`; always radians and millimetres). Lists may be nested 21 x 3 or be
    spread over columns ``right_joints_0`` ... ``right_joints_62``.
crops
    One row per hand: ``sample_id``, ``hand_side``, ``joints``, optional ``score``.
2.5D
    In either layout, ``uv`` (42 numbers, pixels of the image), ``depth`` (21, millimetres from the
    hand's wrist) and ``root_depth`` (the wrist's Z) instead of ``joints``; in the samples layout
    with the prefix ``right_`` / ``left_``. Optional ``relative_root_depth`` (Z of the left wrist
    minus Z of the right one), which gives ``left_root`` as InterNet's scorer does.

The file's metadata says what the numbers mean; what it does not say is the track's default:
``track``, ``units`` (mm, cm, m), ``joint_set``, ``frame`` (camera, world, root-relative),
``inputs`` (what the method was given beyond the image), ``method``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.array_types import Float
from hand_bench.columns import encode_floats, floats_type
from hand_bench.declaration import PIXELS, Declaration, override
from hand_bench.errors import Problem, SubmissionError
from hand_bench.sources import PredictionSource

if TYPE_CHECKING:
    import datasets
    import pandas as pd

    from hand_bench.tracks import Track

SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        ("right_joints", floats_type(63)),
        ("left_joints", floats_type(63)),
        ("right_score", pa.float32()),
        ("left_score", pa.float32()),
        ("left_root", floats_type(3)),
        ("right_joints_2d", floats_type(42)),
        ("left_joints_2d", floats_type(42)),
        ("right_mano", floats_type(61)),
        ("left_mano", floats_type(61)),
    ]
)
#: Columns of a template, by what a track asks for.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "pose": ("sample_id", "right_joints", "left_joints", "right_score", "left_score"),
    "pose-2d": ("sample_id", "right_joints_2d", "left_joints_2d"),
}


@dataclass(frozen=True)
class Predictions:
    """A predictions file in memory. Hands that are not there are NaN in the arrays."""

    sample_id: np.ndarray
    right_joints: Float[np.ndarray, "samples 21 3"]
    left_joints: Float[np.ndarray, "samples 21 3"]
    right_score: Float[np.ndarray, " samples"] | None
    left_score: Float[np.ndarray, " samples"] | None
    left_root: Float[np.ndarray, "samples 3"] | None
    declared: Declaration
    right_mano: Float[np.ndarray, "samples 61"] | None = None
    left_mano: Float[np.ndarray, "samples 61"] | None = None

    def to_table(self) -> pa.Table:
        """Return the canonical Arrow table, metadata included."""
        return predictions_table(
            self.sample_id,
            self.right_joints,
            self.left_joints,
            right_score=self.right_score,
            left_score=self.left_score,
            left_root=self.left_root,
            right_mano=self.right_mano,
            left_mano=self.left_mano,
            declared=self.declared,
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame with one list column per hand; `evaluate` takes it back."""
        return self.to_table().to_pandas()

    def to_dataset(self) -> datasets.Dataset:
        """Return a Hugging Face dataset; `evaluate` takes it back."""
        import datasets

        return datasets.Dataset(datasets.table.InMemoryTable(self.to_table()))


def open_for_track(
    preds: Any,
    track: Track,
    *,
    units: str | None = None,
    joint_set: str | None = None,
    frame: str | None = None,
) -> PredictionSource:
    """Open predictions of a track; what neither the file nor the user says is the track's own.

    Raises
    ------
    SubmissionError
        As `open_predictions`.
    TrackError
        HB301 for an unknown unit, joint set or frame.
    """
    source = open_predictions(preds, track.kind)
    stated = override(source.declared, units=units, joint_set=joint_set, frame=frame)
    own = PIXELS if track.kind == "pose-2d" else "mm"
    source.declared = stated.resolved(own, track.joint_set, track.frame)
    return source


def open_predictions(preds: Any, kind: str = "pose") -> PredictionSource:
    """Open whatever holds predictions: a path, an Arrow table, a DataFrame, a Dataset, arrays.

    `kind` is what they should hold: "pose", "pose-2d" or "action".

    Raises
    ------
    SubmissionError
        As `PredictionSource`, and HB111 for an object of another kind.
    """
    if isinstance(preds, PredictionSource):
        return preds
    if isinstance(preds, str | Path):
        path = Path(preds)
        return PredictionSource(path, path.name, kind)
    if isinstance(preds, Predictions):
        preds = preds.to_table()
    if isinstance(preds, pa.Table):
        return PredictionSource(preds, "predictions", kind)
    found = f"{type(preds).__module__}.{type(preds).__qualname__}"
    if found.startswith("pandas."):
        return PredictionSource(_from_pandas(preds), "DataFrame", kind)
    if found.startswith("datasets."):
        return PredictionSource(preds.with_format("arrow")[:], "Dataset", kind)
    if isinstance(preds, Mapping):
        build = clips_table if kind == "action" else predictions_table
        return PredictionSource(build(**preds), "arrays", kind)
    raise SubmissionError(
        Problem(
            "HB111",
            "predictions",
            f"are a {found}.",
            fix="Give a path, a DataFrame, a Dataset, an Arrow table, or a dict of arrays "
            "(sample_id, right_joints, left_joints, ...).",
        )
    )


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    """Arrow cannot take multi-dimensional arrays in cells: flatten them first."""
    frame = frame.copy()
    for column in frame.columns:
        values = frame[column]
        if values.dtype == object and any(isinstance(v, np.ndarray) and v.ndim > 1 for v in values):
            frame[column] = [None if _absent(v) else np.asarray(v).ravel() for v in values]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    attributes = {str(k): str(v) for k, v in frame.attrs.items()}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **attributes})


def _listed(inputs: str | Sequence[str]) -> tuple[str, ...]:
    return (inputs,) if isinstance(inputs, str) else tuple(inputs)


def _absent(cell: Any) -> bool:
    """Whether a cell says that there is no hand: None, or the NaN that a merge leaves."""
    return cell is None or (isinstance(cell, float) and cell != cell)


def read_predictions(preds: Any) -> Predictions:
    """Read predictions of the samples layout into arrays (everything in memory).

    Hands that are not there come as NaN. Values are as written: see `declared` for units, joint
    set and frame; scoring converts, this does not.

    Raises
    ------
    SubmissionError
        With every problem of the file's form.
    """
    source = open_predictions(preds)
    if source.layout.kind != "samples" or source.layout.image_space:
        raise SubmissionError(
            Problem(
                "HB110",
                source.name,
                "holds one row per crop or 2.5D rows.",
                cause="These are merged and lifted with the track's cameras.",
                fix="`hand_bench.evaluate` and `hand-bench diagnose --fix` read them.",
            )
        )
    ids, hands, scores, roots, meshes = [], ([], []), ([], []), [], ([], [])
    for _, block in source.blocks():
        ids.append(block.ids)
        roots.append(block.left_root)
        for side, hand in enumerate(block.hands):
            hands[side].append(np.where(hand.found[:, None, None], hand.joints, np.float32("nan")))
            scores[side].append(hand.score)
            meshes[side].append(hand.mano)

    def joined(parts: list) -> np.ndarray | None:
        return None if parts[0] is None else np.concatenate(parts)

    return Predictions(
        pa.concat_arrays(ids).to_numpy(zero_copy_only=False),
        np.concatenate(hands[0]),
        np.concatenate(hands[1]),
        joined(scores[0]),
        joined(scores[1]),
        joined(roots),
        source.declared,
        joined(meshes[0]),
        joined(meshes[1]),
    )


def predictions_table(
    sample_id: Sequence[str] | np.ndarray,
    right_joints: Float[np.ndarray, "samples 21 3"] | None = None,
    left_joints: Float[np.ndarray, "samples 21 3"] | None = None,
    *,
    right_score: Sequence[float] | np.ndarray | None = None,
    left_score: Sequence[float] | np.ndarray | None = None,
    left_root: Float[np.ndarray, "samples 3"] | None = None,
    right_joints_2d: Float[np.ndarray, "samples 21 2"] | None = None,
    left_joints_2d: Float[np.ndarray, "samples 21 2"] | None = None,
    right_mano: Float[np.ndarray, "samples 61"] | None = None,
    left_mano: Float[np.ndarray, "samples 61"] | None = None,
    declared: Declaration | None = None,
) -> pa.Table:
    """Build the canonical table from arrays; a hand that is all NaN becomes null.

    Where 2D joints are given, 3D joints are left out unless they are given too.

    Raises
    ------
    SubmissionError
        HB112 for other shapes, HB123 for a hand that is partly NaN or infinite.
    """
    ids = pa.array(sample_id, pa.string())
    columns: dict[str, pa.Array] = {"sample_id": ids}
    shapes = {
        "right_joints": (right_joints, 63),
        "left_joints": (left_joints, 63),
        "left_root": (left_root, 3),
        "right_joints_2d": (right_joints_2d, 42),
        "left_joints_2d": (left_joints_2d, 42),
        "right_mano": (right_mano, 61),
        "left_mano": (left_mano, 61),
    }
    planar = right_joints_2d is not None or left_joints_2d is not None
    for name, (values, width) in shapes.items():
        if values is not None:
            columns[name] = _float_column(name, values, width, ids)
        elif width == 63 and not planar:
            columns[name] = pa.nulls(len(ids), floats_type(63))
    for name, score in (("right_score", right_score), ("left_score", left_score)):
        if score is not None:
            columns[name] = pa.array(np.asarray(score, np.float32), from_pandas=True)
    schema = pa.schema([SCHEMA.field(name) for name in SCHEMA.names if name in columns])
    metadata = (declared or Declaration()).metadata()
    return pa.table([columns[n] for n in schema.names], schema=schema.with_metadata(metadata))


_SHAPES = {63: "21, 3", 42: "21, 2"}


def _float_column(name: str, values: Any, width: int, ids: pa.Array) -> pa.Array:
    array = np.asarray(values, np.float32)
    if array.size != len(ids) * width:
        raise SubmissionError(
            Problem(
                "HB112",
                name,
                f"shape {array.shape} for {len(ids):,} samples.",
                fix=f"Expected ({len(ids)}, {_SHAPES.get(width, width)}).",
            )
        )
    array = array.reshape(len(ids), width)
    bad = ~np.isfinite(array)
    absent = np.isnan(array).all(axis=1)
    partly = bad.any(axis=1) & ~absent
    if partly.any():
        row = int(partly.argmax())
        raise SubmissionError(
            Problem(
                "HB123",
                f"{name}, row {row:,} ({ids[row].as_py()})",
                f"{int(bad[row].sum())} of {width} values are NaN or infinite.",
                fix="A hand that is not there is NaN (or null) as a whole.",
            )
        )
    return encode_floats(np.where(absent[:, None], np.float32(0), array), absent)


def write_predictions(
    path: str | Path,
    sample_id: Sequence[str] | np.ndarray,
    right_joints: Float[np.ndarray, "samples 21 3"] | None = None,
    left_joints: Float[np.ndarray, "samples 21 3"] | None = None,
    *,
    right_score: Sequence[float] | np.ndarray | None = None,
    left_score: Sequence[float] | np.ndarray | None = None,
    left_root: Float[np.ndarray, "samples 3"] | None = None,
    right_joints_2d: Float[np.ndarray, "samples 21 2"] | None = None,
    left_joints_2d: Float[np.ndarray, "samples 21 2"] | None = None,
    right_mano: Float[np.ndarray, "samples 61"] | None = None,
    left_mano: Float[np.ndarray, "samples 61"] | None = None,
    track: str | None = None,
    units: str = "",
    joint_set: str = "",
    frame: str = "",
    inputs: str | Sequence[str] = (),
    method: str = "",
) -> None:
    """Write a predictions file in one call.

    Parameters
    ----------
    path
        File to write; it appears only when it is complete.
    sample_id
        Ids as in the track's template, any order.
    right_joints, left_joints
        (samples, 21, 3) in `units`, joints in the order of `joint_set`; a hand that is not there
        is all NaN.
    right_score, left_score
        Probability that the hand is present.
    left_root
        Left wrist relative to the right wrist, for methods that predict it separately.
    right_joints_2d, left_joints_2d
        (samples, 21, 2) in pixels of the image, for tracks that ask for 2D joints.
    right_mano, left_mano
        (samples, 61): rotation vectors of the wrist (3) and of 15 joints (45), shape (10),
        translation (3, mm whatever `units`), in the frame of the joints and as the annotations of
        the dataset have them (`hand_bench.meshes`); all NaN where there is no mesh.
    track, units, joint_set, frame, inputs, method
        What the numbers mean; stored in the file, converted on scoring. What is not given is the
        track's own (mm, OpenPose order and the camera frame on most).

    Raises
    ------
    SubmissionError
        HB112 for other shapes, HB113 for an unknown declaration, HB123 for NaN in a hand.
    """
    declared = Declaration(track, units, joint_set, frame, _listed(inputs), method)
    table = predictions_table(
        sample_id,
        right_joints,
        left_joints,
        right_score=right_score,
        left_score=left_score,
        left_root=left_root,
        right_joints_2d=right_joints_2d,
        left_joints_2d=left_joints_2d,
        right_mano=right_mano,
        left_mano=left_mano,
        declared=declared,
    )
    planar = right_joints_2d is not None or left_joints_2d is not None
    Declaration.read(table.schema.metadata, str(path), "pose-2d" if planar else "pose")
    write_table(path, table)


def clips_table(
    sample_id: Sequence[str] | np.ndarray,
    label: Sequence[int] | np.ndarray | None = None,
    scores: Float[np.ndarray, "clips classes"] | None = None,
    *,
    declared: Declaration | None = None,
) -> pa.Table:
    """Build the canonical table of an action track: a class number (from 0), scores, or both."""
    columns: dict[str, pa.Array] = {"sample_id": pa.array(sample_id, pa.string())}
    if label is not None:
        columns["label"] = pa.array(np.asarray(label), pa.int32())
    if scores is not None:
        values = np.asarray(scores, np.float32)
        columns["scores"] = encode_floats(values.reshape(len(columns["sample_id"]), -1))
    return pa.table(columns).replace_schema_metadata((declared or Declaration()).metadata())


def write_clips(
    path: str | Path,
    sample_id: Sequence[str] | np.ndarray,
    label: Sequence[int] | np.ndarray | None = None,
    scores: Float[np.ndarray, "clips classes"] | None = None,
    *,
    track: str | None = None,
    inputs: str | Sequence[str] = (),
    method: str = "",
) -> None:
    """Write a predictions file of an action track in one call.

    Parameters
    ----------
    path, track, inputs, method
        As in `write_predictions`.
    sample_id
        Ids as in the track's template, any order.
    label
        Number of the class in the track's list, from 0.
    scores
        (clips, classes): probabilities or logits; the highest wins, the first of equals.
    """
    declared = Declaration(track, inputs=_listed(inputs), method=method)
    write_table(path, clips_table(sample_id, label, scores, declared=declared))


def write_table(path: str | Path, table: pa.Table) -> None:
    """Write a canonical predictions table: compact, and quick to read again."""
    with files.replacing(path) as temporary, writer(temporary, table.schema) as parquet:
        parquet.write_table(table)


def compact(path: str | Path, step: float = 1 / 16) -> None:
    """Write a canonical predictions file again, for keeping: joints are rounded to a `step`.

    The default is a sixteenth of a millimetre (or pixel), a power of two, so that half of the bytes
    say nothing and compress away: such a file is about half as large.
    """
    table = pq.read_table(path, partitioning=None)
    for k, field in enumerate(table.schema):
        if field.name.endswith(("_joints", "_joints_2d")):
            column = table.column(k).combine_chunks()
            flat = column.values  # of rows without a hand too: what is there is never read
            values = np.round(flat.to_numpy(zero_copy_only=False) / step) * step
            kept = pa.FixedSizeListArray.from_arrays(
                pa.array(values.astype(np.float32), from_pandas=False),
                type=field.type,
                mask=column.is_null() if column.null_count else None,
            )
            table = table.set_column(k, field, kept)
    with files.replacing(path) as temporary, writer(temporary, table.schema, 19) as parquet:
        parquet.write_table(table)


def writer(path: Path, schema: pa.Schema, level: int = 1) -> pq.ParquetWriter:
    """Open a Parquet writer with settings that suit joints: byte-stream split, no dictionary."""
    split = [f"{f.name}.list.element" for f in schema if pa.types.is_fixed_size_list(f.type)]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=False,
        use_byte_stream_split=split,
        write_statistics=False,
    )
