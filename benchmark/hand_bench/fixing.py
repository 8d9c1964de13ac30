"""The fixed file of a diagnosis: discrete conventions put right, nothing else touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench import files, pairing
from hand_bench.alignment import NO_EXTENT, spread
from hand_bench.annotations import ARRAYS, BATCH, AnnotationBatch, Annotations
from hand_bench.arrow import numbers
from hand_bench.checks import FARTHEST
from hand_bench.columns import decode_bytes, encode_floats
from hand_bench.conventions import Convention
from hand_bench.joint_sets import HAND_SIDES, JOINT_SETS, OPENPOSE
from hand_bench.layouts import PredictionBlock
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
    """Stream the file into its canonical form: mm, OpenPose order, sides and axes put right."""
    source, columns = reading.source, reading.source.layout.columns
    notes = f"hand-bench diagnose --fix: {'; '.join(fixes)}" if fixes else ""
    notes = ". ".join(text for text in (source.declared.notes, notes) if text)
    declared = replace(
        source.declared,
        track=reading.track.name,
        units="mm",
        notes=notes,
        joint_set=OPENPOSE.name,
        frame=final.frame,
    )
    names = ["sample_id", "right_joints", "left_joints"]
    names += ["right_score", "left_score"] if any(c.endswith("score") for c in columns) else []
    names += ["left_root"] if {"left_root", "relative_root_depth"} & set(columns) else []
    schema = pa.schema([SCHEMA.field(name) for name in names])
    schema = schema.with_metadata(declared.metadata() | {"fixes": json.dumps(list(fixes))})
    with files.replacing(path) as temporary, writer(temporary, schema) as parquet:
        for block, K in _all_rows(reading, annotations):
            parquet.write_batch(_canonical(reading, block, K, final, schema))


def _all_rows(
    reading: RawReading, annotations: Annotations
) -> Iterator[tuple[PredictionBlock, Any]]:
    """Every row of the file (crops merged), with the cameras where 2.5D needs them."""
    source, crops = reading.source, reading.source.layout.kind == "crops"
    ids = source.ids()
    unique = pc.unique(ids) if crops else ids
    blocks = _looked_at(reading)
    if crops:
        place = numbers(pc.index_in(ids, value_set=unique))
        pairs = pairing.reordered(_FileIds(unique), [], source, reading, place)
        blocks = (pred for _, pred in pairs)
    if not reading.image_space:
        yield from ((block, None) for block in blocks)
        return
    row = numbers(pc.index_in(unique, value_set=annotations.ids()), null=-1)
    cameras = decode_bytes(annotations.table(["K"]).column(0).combine_chunks(), *ARRAYS["K"])
    start = 0
    for block in blocks:
        at = row[start : start + len(block)]
        for hand in block.hands:
            hand.found = hand.found & (at >= 0)
        start += len(block)
        yield block, np.where((at >= 0)[:, None, None], cameras[at], np.eye(3))


def _looked_at(reading: RawReading) -> Iterator[PredictionBlock]:
    for start, block in reading.source.blocks():
        reading.look(start, block)
        yield block


def _canonical(
    reading: RawReading, block: PredictionBlock, K: Any, final: Convention, schema: pa.Schema
) -> pa.RecordBatch:
    joints = final.convert(reading.joints(block, K))
    found = final.sided(found_hands(block)) & (np.abs(joints).max(axis=(-1, -2)) <= FARTHEST)
    found &= spread(joints, np.ones(joints.shape[:-1], bool)) >= NO_EXTENT
    columns: dict[str, pa.Array] = {"sample_id": block.ids}
    hands = block.hands[::-1] if final.hands == "exchanged" else block.hands
    for k, (side, hand) in enumerate(zip(HAND_SIDES, hands, strict=True)):
        columns[f"{side}_joints"] = encode_floats(joints[:, k].reshape(-1, 63), ~found[:, k])
        columns[f"{side}_score"] = (
            pa.array(hand.score, pa.float32(), from_pandas=True)
            if hand.score is not None
            else pa.nulls(len(block), pa.float32())
        )
    if "left_root" in schema.names:
        columns["left_root"] = _left_root(block, K, final)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _left_root(block: PredictionBlock, K: Any, final: Convention) -> pa.Array:
    """Left wrist seen from the right one, in the file's frame, mm."""
    values = block.left_root
    if values is None:
        wrist = JOINT_SETS[final.joint_set].joints.index("wrist")
        right, left = block.hands
        depth = np.asarray(right.root_depth) + np.asarray(block.relative_root_depth)
        beside = lift(left, K, depth)
        values = (beside - lift(right, K, right.root_depth))[:, wrist]
        values = np.where((right.found & left.found)[:, None], values, np.nan)
    values = values * final.scale * (-1 if final.hands == "exchanged" else 1)
    absent = ~np.isfinite(values).all(axis=1)
    return encode_floats(np.where(absent[:, None], 0, values).astype(np.float32), absent)
