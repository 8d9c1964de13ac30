"""The canonical Parquet file ("hand-bench"), the middle of every conversion.

Reading brings it to the track's own units and joint order. Rows per crop, 2.5D rows and another
frame need the track's cameras: `hand-bench diagnose --fix` writes such files anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hand_bench import files, predictions
from hand_bench.actions import read_labels
from hand_bench.arrow import numbers
from hand_bench.checks import merge, problems_of
from hand_bench.columns import decode_floats, describe, floats_type, list_size, not_null
from hand_bench.declaration import Declaration
from hand_bench.errors import Problem, SubmissionError
from hand_bench.formats import rows as rows_module
from hand_bench.formats.rows import Block, Rows, merged, record_batch
from hand_bench.joint_sets import HAND_SIDES, permutation
from hand_bench.layouts import Finding, Hand
from hand_bench.predictions import open_for_track
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track

#: Columns that tracks do not ask for; they are kept where they are there.
_CARRIED = ("right_joints_2d", "left_joints_2d", "right_mano", "left_mano")


def read(path: Path, track: Track, _annotations: Any) -> Rows:
    """Read a canonical file, or any layout that `evaluate` reads without a camera."""
    source = open_for_track(path, track)
    if source.declared.track not in (None, track.name):
        raise _refused(source, f"is for track {source.declared.track}, not {track.name}.")
    if track.kind == "action":
        return _read_clips(source, track)
    if source.layout.kind != "samples" or source.layout.image_space:
        raise _refused(source, "holds one row per crop or 2.5D rows.", track)
    if source.declared.frame != track.frame:
        what = f"is in the frame {source.declared.frame!r}, {track.name} in {track.frame!r}."
        raise _refused(source, what)
    extra = _carried(source)
    columns = (*_own_columns(source), *extra)
    blocks = merged(_blocks(source, track, columns, extra))
    return Rows(source.name, columns, blocks, _declared(source, track))


def _declared(source: PredictionSource, track: Track) -> Declaration:
    """What the rows are: the track's own, with what the file says of its method."""
    own = rows_module.declaration(track, source.declared.method)
    return replace(own, inputs=source.declared.inputs, notes=source.declared.notes)


def _own_columns(source: PredictionSource) -> list[str]:
    layout = source.layout
    hand = "joints_2d" if layout.planar else "joints"
    names = [f"{side}_{hand}" for side in HAND_SIDES]
    return names + [c for c in ("right_score", "left_score", "left_root") if c in layout.columns]


def _carried(source: PredictionSource) -> tuple[str, ...]:
    """The further canonical columns of a file; HB111 for one of another type."""
    own = _own_columns(source)
    found = [c for c in _CARRIED if c in source.schema.names and c not in own]
    for name in found:
        inner, size = list_size(source.schema.field(name).type)
        if not pa.types.is_floating(inner) or size not in (None, rows_module.WIDTHS[name]):
            what = f"column {name!r} holds {describe(source.schema.field(name).type)}, not lists "
            what += f"of {rows_module.WIDTHS[name]} numbers."
            raise SubmissionError(Problem("HB111", source.name, what))
    return tuple(found)


def _blocks(
    source: PredictionSource, track: Track, columns: tuple[str, ...], extra: tuple[str, ...]
) -> Iterator[Block]:
    order = permutation(source.declared.joint_set, track.joint_set)
    scale = np.float32(source.declared.scale)
    findings: dict[tuple[str, str], Finding] = {}
    start = 0
    for table in source.tables(list(dict.fromkeys([*source.layout.columns, *extra]))):
        block = source.decode(table, start)
        for finding in block.findings:
            merge(findings, finding)
        values: dict[str, np.ndarray] = {}
        for side, hand in zip(HAND_SIDES, block.hands, strict=True):
            values |= _hand(side, hand, order, scale, source.layout.planar)
        if block.left_root is not None:
            values["left_root"] = block.left_root * scale
        for name in extra:
            numbers_of, found, _ = decode_floats(table.column(name), rows_module.WIDTHS[name])
            values[name] = np.where(found[:, None], numbers_of, np.float32("nan"))
        yield Block(block.ids, {name: values[name] for name in columns})
        start += len(block)
    if findings:
        raise SubmissionError(problems_of(findings.values(), source.name))


def _hand(
    side: str, hand: Hand, order: np.ndarray, scale: np.float32, planar: bool
) -> dict[str, np.ndarray]:
    joints = hand.joints[:, order, :2] if planar else hand.joints[:, order] * scale
    flat = joints.reshape(len(joints), -1)
    name = f"{side}_joints_2d" if planar else f"{side}_joints"
    values = {name: np.where(hand.found[:, None], flat, np.float32("nan"))}
    if hand.score is not None:
        values[f"{side}_score"] = hand.score[:, None]
    return values


def _read_clips(source: PredictionSource, track: Track) -> Rows:
    problems = read_labels(source, track)[1]
    if problems:
        raise SubmissionError(problems)
    columns = tuple(c for c in ("label", "scores") if c in source.layout.columns)

    def blocks() -> Iterator[Block]:
        for table in source.tables():
            values = {}
            if "label" in columns:
                given = not_null(table.column("label"))
                label = numbers(table.column("label").cast(pa.int64()), null=0)
                values["label"] = np.where(given, label, np.nan)[:, None].astype(np.float32)
            if "scores" in columns:
                scores, given, _ = decode_floats(table.column("scores"), len(track.classes))
                values["scores"] = np.where(given[:, None], scores, np.float32("nan"))
            yield Block(source.decode(table, 0).ids, values)

    return Rows(source.name, columns, merged(blocks()), _declared(source, track))


def write(rows: Rows, path: Path, track: Track, _annotations: Any) -> None:
    """Write the canonical file: compact, and quick to score; its metadata says what it holds."""
    schema = pa.schema([_field(name, track) for name in ("sample_id", *_ordered(rows.columns))])
    schema = schema.with_metadata(rows.declared.metadata())
    with files.replacing(path) as temporary, predictions.writer(temporary, schema) as parquet:
        for block in rows.checked(track):
            parquet.write_batch(record_batch(block, schema), rows_module.BLOCK)


def _ordered(columns: tuple[str, ...]) -> list[str]:
    return [name for name in rows_module.WIDTHS if name in columns]


def _field(name: str, track: Track) -> pa.Field:
    if name in predictions.SCHEMA.names:
        return predictions.SCHEMA.field(name)
    if name == "label":
        return pa.field(name, pa.int32())
    return pa.field(name, floats_type(rows_module.width(name, track)))


def _refused(source: PredictionSource, what: str, track: Track | None = None) -> SubmissionError:
    fix = ""
    if track is not None:
        fix = f"`hand-bench diagnose {source.name} --track {track.name} --fix OUT` writes it anew."
    return SubmissionError(Problem("HB113", source.name, what, fix=fix))
