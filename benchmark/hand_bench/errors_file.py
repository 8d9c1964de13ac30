"""The errors file: one row per sample, for worst samples, comparisons and own analyses.

3D poses: the errors of `recommended`, mm. 2D poses: those of the track's `recommended` rules, in
pixels of the frame that they measure in. Clips: the true class, the answer and whether it is right
(`clip_answers` makes these rows).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.blocks import BlockSums
from hand_bench.columns import encode_floats, floats_type
from hand_bench.engine_numpy import histogram_bin
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.metrics import auc
from hand_bench.rules import Rule, rule_sums
from hand_bench.tracks import Track
from hand_bench.version import __version__

FORMAT = "hand-bench errors 1"
#: Thresholds of the AUC that a hand contributes, mm.
THRESHOLDS = np.arange(51.0)

_SIDE = (
    ("true", pa.bool_()),  # the hand is annotated, its wrist and another joint count
    ("found", pa.bool_()),
    ("joints", pa.int32()),  # joints other than the wrist that count
    ("mpjpe", pa.float32()),  # mean over them of the wrist-aligned distance, mm
    ("pa_mpjpe", pa.float32()),
    ("auc", pa.float32()),  # AUC(0-50) over them; 0 for a true hand that is not answered
    ("mepe", pa.float32()),  # mean unaligned distance, wrist included
    (
        "errors",
        floats_type(21),
    ),  # wrist-aligned distance of each joint, NaN where it does not count
)
_PLANAR_SIDE = (
    ("true", pa.bool_()),  # enough joints of the hand count
    ("found", pa.bool_()),
    ("joints", pa.int32()),  # joints that count
    ("l2", pa.float32()),  # mean over them of the distance, px
    ("pck", pa.float32()),  # share of them within the threshold; 0 for a hand not answered
    ("errors", floats_type(21)),  # distance of each joint, px, NaN where it does not count
)
_CLIP = (
    ("truth", pa.int32()),
    ("answer", pa.int32()),
    ("right", pa.bool_()),
)


def schema(track: Track) -> pa.Schema:
    """Return the columns of a track's errors file."""
    text = pa.dictionary(pa.int32(), pa.string())
    fields = [pa.field("sample_id", pa.string()), pa.field("cluster", text)]
    fields += [pa.field(name, text) for name in track.strata]
    if track.kind == "action":
        fields += [pa.field(name, kind) for name, kind in _CLIP]
    else:
        of_side = _PLANAR_SIDE if track.kind == "pose-2d" else _SIDE
        fields += [
            pa.field(f"{side}_{name}", kind) for side in HAND_SIDES for name, kind in of_side
        ]
    if track.kind == "pose":
        fields.append(pa.field("mrrpe", pa.float32()))
    metadata = {"format": FORMAT, "track": track.name, "hand_bench_version": __version__}
    return pa.schema(fields, metadata=metadata)


@contextlib.contextmanager
def writing(path: str | Path | None, track: Track) -> Iterator[Callable[[BlockSums], None]]:
    """Give a function that takes finished blocks; with no path it does nothing."""
    if path is None:
        yield lambda done: None
        return
    with (
        files.replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema(track), compression="zstd") as writer,
    ):
        yield lambda done: writer.write_batch(rows(done, track))


def rows(done: BlockSums, track: Track) -> pa.RecordBatch:
    """Return the rows of a block that was summed with its errors."""
    block = done.block
    cells = [block.groups[g] for g in range(len(block.groups))]
    columns: list[pa.Array] = [block.ids, _texts([cluster for _, cluster in cells], block.group)]
    columns += [
        _texts([cell[k] for cell, _ in cells], block.group) for k in range(len(track.strata))
    ]
    if track.kind == "pose-2d":
        columns += _planar_columns(done, track)
    else:
        columns += _pose_columns(done)
    return pa.RecordBatch.from_arrays(columns, schema=schema(track))


def _pose_columns(done: BlockSums) -> list[pa.Array]:
    assert done.errors is not None
    columns: list[pa.Array] = []
    for side, errors in zip(done.block.sides, done.errors, strict=True):
        counts = side.counts & side.counts[:, :1]
        others = counts[:, 1:]  # a wrist that is aligned has no error
        joints = others.sum(axis=1)
        true = joints > 0
        found = side.found & true
        wrist = errors.wrist[:, 1:]
        columns += [
            pa.array(true),
            pa.array(found),
            pa.array(joints.astype(np.int32)),
            _optional(_mean(wrist, others), found),
            _optional(_mean(errors.procrustes[:, 1:], others), found),
            _optional(_hand_auc(wrist, others, found), true),
            _optional(_mean(errors.absolute, others.any(axis=1)[:, None] & counts), found),
            encode_floats(errors.wrist, ~found),
        ]
    columns.append(_optional(done.mrrpe, ~np.isnan(done.mrrpe)))
    return columns


def planar_rules(track: Track) -> tuple[Rule, Rule]:
    """Return the rules of a 2D track's `recommended`: of its distance, and of its share (PCK)."""
    distance, *_ = (r for r in track.protocol("recommended").rules if not r.relative)
    share, *_ = (r for r in track.protocol("recommended").rules if r.relative)
    return distance, share


def _planar_columns(done: BlockSums, track: Track) -> list[pa.Array]:
    """The sums of the track's rules with every row as a group of its own."""
    n = len(done.block)
    alone = replace(done.block, group=np.arange(n), groups=[((), "")] * n)
    distance, share = planar_rules(track)
    sums = rule_sums(distance, alone) | rule_sums(share, alone)
    columns: list[pa.Array] = []
    for k in range(2):
        hands, unanswered, mean, count, missed, error = (
            sums[f"{distance.name}.{name}"][:, k]
            for name in ("hands", "unanswered", "hand_error", "count", "missed_joints", "error")
        )
        found = hands > 0
        true = found | (unanswered > 0)
        joints = (count + missed).sum(axis=1)
        within = sums[f"{share.name}.histogram"][:, k, :, 0].sum(axis=1)
        errors = np.where(count > 0, error, np.nan).astype(np.float32)
        columns += [
            pa.array(true),
            pa.array(found),
            pa.array(joints.astype(np.int32)),
            _optional(mean, found),
            _optional(within / np.maximum(joints, 1), true),
            encode_floats(errors, ~found),
        ]
    return columns


def _hand_auc(errors: np.ndarray, valid: np.ndarray, found: np.ndarray) -> np.ndarray:
    """AUC of each hand's own PCK curve over 0 to 50 mm, the same steps as the track's."""
    bins = histogram_bin(np.where(valid & found[:, None], errors, np.inf), THRESHOLDS)
    flat = np.arange(len(bins))[:, None] * (len(THRESHOLDS) + 1) + bins
    counts = np.bincount(flat[valid], minlength=len(bins) * (len(THRESHOLDS) + 1))
    within = np.cumsum(counts.reshape(len(bins), -1), axis=1)[:, :-1]
    return auc(within / np.maximum(valid.sum(axis=1), 1)[:, None], THRESHOLDS)


def _mean(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    count = valid.sum(axis=1)
    return np.where(valid, values, 0.0).sum(axis=1) / np.maximum(count, 1)


def _optional(values: np.ndarray, keep: np.ndarray) -> pa.Array:
    keep = keep & ~np.isnan(values)
    return pa.array(values.astype(np.float32), mask=~keep)


def _texts(names: list[str], codes: np.ndarray) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32)), pa.array(names, pa.string())
    )
