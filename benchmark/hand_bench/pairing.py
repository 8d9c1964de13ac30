"""Pairing of predictions with annotations by sample id, as a stream in bounded memory.

Files in the template's order are compared block by block. Any other order is found by one join of
the ids; rows then go to one bucket file per 32,768 samples, and each bucket is ordered in memory.
Rows per crop are merged on the way: both hands of a sample end up in one row.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench.annotations import BATCH, AnnotationBatch, Annotations
from hand_bench.arrow import numbers
from hand_bench.checks import ValueChecks
from hand_bench.columns import not_null, strings, text_at
from hand_bench.errors import Problem
from hand_bench.layouts import Hand, PredictionBlock
from hand_bench.sources import PredictionSource

BUCKET = 32_768
#: Ids that are joined at a time, at least.
JOINED = 262_144


class OutOfOrder(Exception):
    """The file's ids are not the expected ones in their order; the slower way is needed."""


class Pair(NamedTuple):
    """The same rows of the annotations and of the predictions."""

    truth: AnnotationBatch
    pred: PredictionBlock


@dataclass
class Coverage:
    """Which of the expected samples a file answers; examples are ids."""

    expected: int
    found: int
    missing: int = 0
    extra: int = 0
    duplicate: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)
    absent_sequences: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the counts for the result file."""
        return {k: getattr(self, k) for k in ("expected", "found", "missing", "extra", "duplicate")}


class Selection:
    """The expected samples: all of them, or those of some sequences, or the first few."""

    def __init__(self, annotations: Annotations, rows: np.ndarray | None = None):
        self.annotations, self.rows = annotations, rows

    @property
    def size(self) -> int:
        """Number of expected samples."""
        return self.annotations.rows if self.rows is None else int(np.count_nonzero(self.rows))

    def batches(self, columns: list[str]) -> Iterator[AnnotationBatch]:
        """Stream the expected samples; `start` counts expected samples."""
        start = 0
        for batch in self.annotations.batches(columns, wanted=self.rows):
            if self.rows is not None:
                keep = self.rows[batch.start : batch.start + len(batch)]
                if not keep.any():
                    continue
                batch = AnnotationBatch(start, self._chosen(batch, keep))
            yield batch
            start += len(batch)

    def _chosen(self, batch: AnnotationBatch, keep: np.ndarray) -> pa.RecordBatch:
        """Keep the chosen rows; an interval stays only where both rows before are chosen too."""
        table = batch.table
        if "interval" in table.schema.names:
            assert self.rows is not None
            rows = np.concatenate([np.zeros(2, bool), self.rows])
            at = np.arange(batch.start, batch.start + len(batch))
            alone = ~(rows[at] & rows[at + 1])
            column = table.schema.get_field_index("interval")
            whole = pc.if_else(pa.array(alone), None, table.column(column))
            table = table.set_column(column, table.schema.field(column), whole)
        return table.filter(pa.array(keep))

    def ids(self) -> pa.ChunkedArray:
        """Ids of the expected samples, in order."""
        ids = self.annotations.ids()
        return ids if self.rows is None else ids.filter(pa.array(self.rows))


def in_order(
    selection: Selection, columns: list[str], source: PredictionSource, checks: ValueChecks
) -> Iterator[Pair]:
    """Pair a file whose rows are the expected samples in their order.

    Raises
    ------
    OutOfOrder
        As soon as an id differs; nothing that came before may be used then.
    """
    if source.layout.kind == "crops" or source.rows != selection.size:
        raise OutOfOrder
    tables = _Rechunked(source.tables())
    for truth in selection.batches(["sample_id", *columns]):
        block = source.decode(tables.take(len(truth)), truth.start)
        if not block.ids.equals(truth.sample_id):
            raise OutOfOrder
        checks.look(truth.start, block)
        yield Pair(truth, block)


class _Rechunked:
    """Cuts a stream of record batches into pieces of the lengths that are asked for."""

    def __init__(self, tables: Iterator[pa.RecordBatch]):
        self.tables, self.rest = tables, []

    def take(self, rows: int) -> pa.RecordBatch:
        have = sum(t.num_rows for t in self.rest)
        while have < rows:
            table = next(self.tables, None)
            if table is None:
                raise OutOfOrder
            self.rest.append(table)
            have += table.num_rows
        pieces, need = [], rows
        while need:
            first = self.rest.pop(0)
            pieces.append(first.slice(0, need))
            if first.num_rows > need:
                self.rest.insert(0, first.slice(need))
            need -= pieces[-1].num_rows
        if len(pieces) == 1:
            return pieces[0]
        return pa.Table.from_batches(pieces).combine_chunks().to_batches()[0]


def join(selection: Selection, source: PredictionSource) -> tuple[np.ndarray, Coverage]:
    """Find every row's expected sample: its position, or -1 for a row that is not expected.

    Rows whose id is null are in no count: they are findings of their blocks (HB107).
    """
    ids = source.ids()
    expected = selection.ids()
    position = _positions(ids, expected)
    known = position >= 0
    key = position
    if source.layout.kind == "crops":
        side = np.concatenate([_side_codes(t.column(0)) for t in source.tables(["hand_side"])])
        # Rows of an unknown side repeat nothing: they are findings of their blocks (HB114).
        key = np.where(known & (side >= 0), position * 2 + side, -1)
    per_key = np.bincount(key[key >= 0], minlength=0)
    seen = np.zeros(len(expected), bool)
    seen[position[known]] = True
    extra = ~known & not_null(ids)
    if selection.rows is not None and extra.any():
        others = ids.filter(pa.array(extra))
        extra[extra] = _positions(others, selection.annotations.ids()) < 0
    coverage = Coverage(
        expected=len(expected),
        found=int(seen.sum()),
        missing=int((~seen).sum()),
        extra=int(extra.sum()),
        duplicate=int((per_key > 1).sum()),
    )
    _add_examples(coverage, ids, expected, seen, extra, key, per_key)
    return position, coverage


def _positions(ids: pa.Array | pa.ChunkedArray, expected: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Where each id stands among the expected ones, or -1.

    The expected ids are looked up in up to four parts: the table that joins them is what takes
    most memory of a shuffled file.
    """
    position = np.full(len(ids), -1)
    size = max(JOINED, -(-len(expected) // 4))
    for start in range(0, len(expected), size):
        found = numbers(pc.index_in(ids, value_set=expected.slice(start, size)), null=-1)
        position = np.where(found >= 0, found.astype(np.int64) + start, position)
    return position


def _side_codes(column: pa.Array) -> np.ndarray:
    """0 for right, 1 for left, -1 for anything else."""
    return _positions(strings(column), pa.array(["right", "left"]))


def _add_examples(coverage, ids, expected, seen, extra, key, per_key) -> None:
    if coverage.missing:
        missing = expected.filter(pa.array(~seen))
        coverage.examples["missing"] = missing[:3].to_pylist()
        whole = _sequences(expected)
        coverage.absent_sequences = sorted(
            set(whole) - set(_sequences(expected.filter(pa.array(seen))))
        )
    if coverage.extra:
        coverage.examples["extra"] = [text_at(ids, int(extra.argmax()))]
    if coverage.duplicate:
        first, again = np.flatnonzero(key == int(np.argmax(per_key > 1)))[:2]
        coverage.examples["duplicate"] = [
            f"{text_at(ids, int(first))} in rows {first:,} and {again:,}"
        ]


def _sequences(ids: pa.ChunkedArray) -> list[str]:
    """Return the folders of the ids: everything before the last two parts (camera and frame)."""
    return pc.unique(pc.replace_substring_regex(ids, r"(/[^/]+){1,2}$", "")).to_pylist()


def reordered(
    selection: Selection,
    columns: list[str],
    source: PredictionSource,
    checks: ValueChecks,
    position: np.ndarray,
) -> Iterator[Pair]:
    """Pair rows of any order, or rows per crop; samples without a row come as not answered."""
    with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
        buckets = _Buckets(Path(folder), selection.size)
        for start, block in source.blocks():
            checks.look(start, block)
            buckets.put(position[start : start + len(block)], block)
        buckets.close()
        ordered: PredictionBlock | None = None
        loaded = -1
        for truth in selection.batches(["sample_id", *columns]):
            for piece in _cut_at_buckets(truth):
                bucket = piece.start // BUCKET
                if bucket != loaded:
                    ordered, loaded = buckets.load(bucket), bucket
                assert ordered is not None
                first = piece.start - bucket * BUCKET
                yield Pair(piece, rows_of(ordered, first, len(piece), piece.sample_id))


def _cut_at_buckets(truth: AnnotationBatch) -> Iterator[AnnotationBatch]:
    done = 0
    while done < len(truth):
        room = BUCKET - (truth.start + done) % BUCKET
        length = min(room, len(truth) - done, BATCH)
        yield truth.slice(done, length)
        done += length


class _Buckets:
    """Rows on disk, one file per 32,768 samples; NumPy arrays one after the other."""

    def __init__(self, folder: Path, size: int):
        self.size = size
        count = -(-size // BUCKET)
        self.files = [(folder / str(k)).open("wb+") for k in range(count)]

    def put(self, position: np.ndarray, block: PredictionBlock) -> None:
        arrays = arrays_of(block)
        bucket = np.where(position >= 0, position // BUCKET, -1)
        for k in np.unique(bucket[bucket >= 0]):
            rows = np.flatnonzero(bucket == k)
            stream = self.files[k]
            np.save(stream, np.array(list(arrays)), allow_pickle=False)
            np.save(stream, position[rows] - k * BUCKET, allow_pickle=False)
            for values in arrays.values():
                np.save(stream, values[rows], allow_pickle=False)

    def close(self) -> None:
        for stream in self.files:
            stream.flush()

    def load(self, bucket: int) -> PredictionBlock:
        block = empty_block(min(BUCKET, self.size - bucket * BUCKET))
        stream = self.files[bucket]
        end = stream.tell()
        stream.seek(0)
        while stream.tell() < end:
            names = np.load(stream, allow_pickle=False).tolist()
            at = np.load(stream, allow_pickle=False)
            place(block, at, {name: np.load(stream, allow_pickle=False) for name in names})
        stream.close()
        return block


def empty_block(rows: int) -> PredictionBlock:
    """Return rows that answer nothing yet."""
    hands = (Hand(np.zeros((rows, 21, 3), np.float32), np.zeros(rows, bool)) for _ in range(2))
    return PredictionBlock(pa.nulls(0, pa.string()), *hands)


def arrays_of(block: PredictionBlock) -> dict[str, np.ndarray]:
    """Return the arrays of a block by name, without those that are not given."""
    named = {"left_root": block.left_root, "relative_root_depth": block.relative_root_depth}
    for side, hand in zip(("right", "left"), block.hands, strict=True):
        for part in ("joints", "found", "score", "root_depth", "mano"):
            named[f"{side}_{part}"] = getattr(hand, part)
    return {name: values for name, values in named.items() if values is not None}


def place(block: PredictionBlock, at: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
    """Put rows at their place; of a row per crop only its own side is taken."""
    rows = len(block.right.found)
    for side, hand in zip(("right", "left"), block.hands, strict=True):
        mine = arrays[f"{side}_found"]
        hand.found[at[mine]] = True
        hand.joints[at[mine]] = arrays[f"{side}_joints"][mine]
        for part in ("score", "root_depth", "mano"):
            values = arrays.get(f"{side}_{part}")
            if values is not None:
                if getattr(hand, part) is None:
                    setattr(hand, part, np.full((rows, *values.shape[1:]), np.nan, np.float32))
                given = ~np.isnan(values.reshape(len(values), -1)).any(axis=1)
                getattr(hand, part)[at[given]] = values[given]
    for part, shape in (("left_root", (rows, 3)), ("relative_root_depth", (rows,))):
        values = arrays.get(part)
        if values is not None:
            if getattr(block, part) is None:
                setattr(block, part, np.full(shape, np.nan, np.float32))
            given = ~np.isnan(values.reshape(len(values), -1)).any(axis=1)
            getattr(block, part)[at[given]] = values[given]


def rows_of(block: PredictionBlock, start: int, length: int, ids: pa.Array) -> PredictionBlock:
    """Return consecutive rows of a block, under other ids."""

    def cut(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[start : start + length]

    hands = [
        Hand(*(cut(getattr(h, p)) for p in ("joints", "found", "score", "root_depth", "mano")))  # type: ignore[arg-type]
        for h in block.hands
    ]
    return PredictionBlock(ids, *hands, cut(block.left_root), cut(block.relative_root_depth))


def coverage_problems(coverage: Coverage, name: str, track: str) -> list[Problem]:
    """Turn missing, extra and repeated ids into problems."""
    template = f"`hand-bench template --track {track} -o FILE` writes every id that is asked for"
    examples = {kind: ", ".join(ids) for kind, ids in coverage.examples.items()}
    problems = []
    if coverage.missing:
        verb = "is" if coverage.missing == 1 else "are"
        what = f"{coverage.missing:,} of {coverage.expected:,} samples {verb} missing"
        what += f", e.g. {coverage.examples['missing'][0]}."
        fix = f"{template}; `hand-bench evaluate --allow-missing` scores the rest."
        problems.append(Problem("HB104", name, what, _why_missing(coverage), fix))
    if coverage.extra:
        noun = "id is" if coverage.extra == 1 else "ids are"
        what = f"{coverage.extra:,} {noun} not in track {track}, e.g. {examples['extra']}."
        cause = "A file of another track, split or release?"
        if coverage.found:
            cause = "Samples of another split, or ids that were edited?"
        problems.append(Problem("HB105", name, what, cause, f"{template}."))
    if coverage.duplicate:
        noun = "sample occurs" if coverage.duplicate == 1 else "samples occur"
        what = f"{coverage.duplicate:,} {noun} more than once, e.g. {examples['duplicate']}."
        cause = "Overlapping shards, or a sampler that pads the last batch?"
        fix = "Keep one row per sample (or per sample and hand_side)."
        problems.append(Problem("HB106", name, what, cause, fix))
    return problems


def _why_missing(coverage: Coverage) -> str:
    absent = coverage.absent_sequences
    if not coverage.found:
        return "No sample of the track is there."
    if not absent:
        return "Samples that failed and were dropped?"
    many = f"1 sequence is absent entirely, {absent[0]}"
    if len(absent) > 1:
        many = f"{len(absent):,} sequences are absent entirely, e.g. {absent[0]}"
    return f"{many}: a filter before prediction?"
