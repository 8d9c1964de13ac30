"""The fixed file of a diagnosis: discrete conventions put right, nothing else touched.

Poses are streamed, 3D and 2D; a file of clips is a short table.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hand_bench import files, pairing
from hand_bench.alignment import NO_EXTENT, spread
from hand_bench.annotations import ARRAYS, BATCH, AnnotationBatch, Annotations
from hand_bench.arrow import numbers
from hand_bench.checks import FARTHEST
from hand_bench.columns import decode_bytes, encode_floats
from hand_bench.conventions import Convention
from hand_bench.declaration import PIXELS, Declaration
from hand_bench.joint_sets import HAND_SIDES, JOINT_SETS
from hand_bench.layouts import PredictionBlock
from hand_bench.planar_conventions import PlanarConvention, box_corners, image_sizes
from hand_bench.predictions import SCHEMA, writer
from hand_bench.raw import RawReading, found_hands, lift


class _FileIds(pairing.Selection):
    """The ids of the file itself, in their order: merges crops that the track does not know too."""

    def __init__(self, ids: pa.Array):
        self._ids = ids

    @property
    def size(self) -> int:
        return len(self._ids)

    def batches(self, columns: list[str]) -> Iterator[AnnotationBatch]:
        for start in range(0, len(self._ids), BATCH):
            ids = self._ids.slice(start, BATCH)
            yield AnnotationBatch(start, pa.record_batch([ids], names=["sample_id"]))


def write_fixed(
    path: Path,
    reading: RawReading,
    annotations: Annotations,
    fixes: Sequence[str],
    final: Convention,
) -> None:
    """Stream the file into its canonical form: mm, the track's order, sides and axes put right."""
    source, columns = reading.source, reading.source.layout.columns
    declared = replace(
        noted(source.declared, fixes),
        track=reading.track.name,
        units="mm",
        joint_set=reading.track.joint_set,
        frame=final.frame,
    )
    names = ["sample_id", "right_joints", "left_joints"]
    names += ["right_score", "left_score"] if any(c.endswith("score") for c in columns) else []
    names += ["left_root"] if {"left_root", "relative_root_depth"} & set(columns) else []
    with _open(path, names, declared, fixes) as parquet:
        for block, K in _all_rows(reading, annotations):
            parquet.write_batch(_canonical(reading, block, K, final, parquet.schema))


def write_fixed_planar(
    path: Path,
    reading: RawReading,
    annotations: Annotations,
    fixes: Sequence[str],
    final: PlanarConvention,
) -> None:
    """Stream 2D poses into pixels of the image; null where an image or a box is not known."""
    source, columns = reading.source, reading.source.layout.columns
    declared = replace(
        noted(source.declared, fixes),
        track=reading.track.name,
        units=PIXELS,
        joint_set=reading.track.joint_set,
    )
    names = ["sample_id", "right_joints_2d", "left_joints_2d"]
    names += ["right_score", "left_score"] if any(c.endswith("score") for c in columns) else []
    size, corner = _images(annotations)
    with _open(path, names, declared, fixes) as parquet:
        for block, row in _with_rows(reading, annotations):
            batch = _canonical_2d(reading, block, size[row], corner[row], final, parquet.schema)
            parquet.write_batch(batch)


def noted(declared: Declaration, fixes: Sequence[str]) -> Declaration:
    """Add what was fixed to the notes of a declaration."""
    notes = f"hand-bench diagnose --fix: {'; '.join(fixes)}" if fixes else ""
    return replace(declared, notes=". ".join(text for text in (declared.notes, notes) if text))


@contextlib.contextmanager
def _open(
    path: Path, names: Sequence[str], declared: Declaration, fixes: Sequence[str]
) -> Iterator[pq.ParquetWriter]:
    """Open the fixed file; it appears when it is complete."""
    schema = pa.schema([SCHEMA.field(name) for name in names])
    schema = schema.with_metadata(declared.metadata() | {"fixes": json.dumps(list(fixes))})
    with files.replacing(path) as temporary, writer(temporary, schema) as parquet:
        yield parquet


def _images(annotations: Annotations) -> tuple[np.ndarray, np.ndarray]:
    """Size of each image and corners of its hands' boxes; a last row for ids that are unknown."""
    boxes = [f"{side}_bbox" for side in HAND_SIDES]
    sizes, corners = [], []
    for batch in annotations.batches(["width", "height", *boxes]):
        sizes.append(image_sizes(batch))
        corners.append(box_corners(batch))
    return (
        np.concatenate([*sizes, np.full((1, 2), np.nan)]),
        np.concatenate([*corners, np.full((1, 2, 2), np.nan)]),
    )


def _with_rows(
    reading: RawReading, annotations: Annotations
) -> Iterator[tuple[PredictionBlock, np.ndarray]]:
    """Every row of the file (crops merged), with its row in the annotations, -1 if unknown."""
    unique, blocks = _merged(reading)
    row = numbers(pc.index_in(unique, value_set=annotations.ids()), null=-1)
    start = 0
    for block in blocks:
        yield block, row[start : start + len(block)]
        start += len(block)


def _all_rows(
    reading: RawReading, annotations: Annotations
) -> Iterator[tuple[PredictionBlock, Any]]:
    """Every row of the file (crops merged), with the cameras where 2.5D needs them."""
    if not reading.image_space:
        yield from ((block, None) for block in _merged(reading)[1])
        return
    cameras = decode_bytes(annotations.table(["K"]).column(0).combine_chunks(), *ARRAYS["K"])
    for block, at in _with_rows(reading, annotations):
        for hand in block.hands:
            hand.found = hand.found & (at >= 0)
        yield block, np.where((at >= 0)[:, None, None], cameras[at], np.eye(3))


def _merged(reading: RawReading) -> tuple[pa.ChunkedArray, Iterator[PredictionBlock]]:
    """The ids of the file and its rows; crops of a sample are one row."""
    source = reading.source
    ids = source.ids()
    if source.layout.kind != "crops":
        return ids, _looked_at(reading)
    unique = pc.unique(ids)
    place = numbers(pc.index_in(ids, value_set=unique))
    pairs = pairing.reordered(_FileIds(unique), [], source, reading, place)
    return unique, (pred for _, pred in pairs)


def _looked_at(reading: RawReading) -> Iterator[PredictionBlock]:
    for start, block in reading.source.blocks():
        reading.look(start, block)
        yield block


def _canonical(
    reading: RawReading, block: PredictionBlock, K: Any, final: Convention, schema: pa.Schema
) -> pa.RecordBatch:
    joints = final.convert(reading.joints(block, K), reading.track.joint_set)
    found = final.sided(found_hands(block)) & (np.abs(joints).max(axis=(-1, -2)) <= FARTHEST)
    found &= spread(joints, np.ones(joints.shape[:-1], bool)) >= NO_EXTENT
    columns: dict[str, pa.Array] = {"sample_id": block.ids, **_scores(block, final.hands)}
    for k, side in enumerate(HAND_SIDES):
        columns[f"{side}_joints"] = encode_floats(joints[:, k].reshape(-1, 63), ~found[:, k])
    if "left_root" in schema.names:
        columns["left_root"] = _left_root(block, K, final)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _canonical_2d(
    reading: RawReading,
    block: PredictionBlock,
    size: np.ndarray,
    corner: np.ndarray,
    final: PlanarConvention,
    schema: pa.Schema,
) -> pa.RecordBatch:
    raw = reading.joints(block, None)[..., :2]
    joints = final.convert(raw, size, corner, reading.track.joint_set)
    found = final.sided(found_hands(block)) & np.isfinite(joints).all(axis=(-1, -2))
    joints = np.where(found[..., None, None], joints, 0).astype(np.float32)
    found &= np.abs(joints).max(axis=(-1, -2)) <= FARTHEST
    columns: dict[str, pa.Array] = {"sample_id": block.ids, **_scores(block, final.hands)}
    for k, side in enumerate(HAND_SIDES):
        columns[f"{side}_joints_2d"] = encode_floats(joints[:, k].reshape(-1, 42), ~found[:, k])
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _scores(block: PredictionBlock, named: str) -> dict[str, pa.Array]:
    """The score columns, sides put right."""
    hands = block.hands[::-1] if named == "exchanged" else block.hands
    return {
        f"{side}_score": pa.nulls(len(block), pa.float32())
        if hand.score is None
        else pa.array(hand.score, pa.float32(), from_pandas=True)
        for side, hand in zip(HAND_SIDES, hands, strict=True)
    }


def _left_root(block: PredictionBlock, K: Any, final: Convention) -> pa.Array:
    """Left wrist seen from the right one, in the file's frame, mm."""
    values = block.left_root
    if values is None:
        wrist = JOINT_SETS[final.joint_set].root
        right, left = block.hands
        depth = np.asarray(right.root_depth) + np.asarray(block.relative_root_depth)
        beside = lift(left, K, depth)
        values = (beside - lift(right, K, right.root_depth))[:, wrist]
        values = np.where((right.found & left.found)[:, None], values, np.nan)
    values = values * final.scale * (-1 if final.hands == "exchanged" else 1)
    absent = ~np.isfinite(values).all(axis=1)
    return encode_floats(np.where(absent[:, None], 0, values).astype(np.float32), absent)
