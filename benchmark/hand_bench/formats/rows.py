"""Predictions on their way from one format to another: blocks of canonical columns.

Every column is float32, NaN where a row has no such value: millimetres, the track's joint order
and frame (``*_joints``, ``left_root``), pixels (``*_joints_2d``), probabilities (``*_score``,
``scores``), the number of a class (``label``), MANO's parameters as annotations have them
(``*_mano``: 3 + 45 rotation, without the mean pose, 10 shape, 3 translation in mm).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from hand_bench.array_types import Bool
from hand_bench.columns import encode_floats, text_at
from hand_bench.declaration import PIXELS, Declaration
from hand_bench.errors import Problem, SubmissionError
from hand_bench.formats.faults import Faults
from hand_bench.formats.samples import Samples
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track

#: Rows of a block: as many as a row group of the canonical file.
BLOCK = 65_536
#: Canonical columns and how many numbers a row of each has; `scores` has one for each class.
WIDTHS = {
    "right_joints": 63,
    "left_joints": 63,
    "right_score": 1,
    "left_score": 1,
    "left_root": 3,
    "right_joints_2d": 42,
    "left_joints_2d": 42,
    "right_mano": 61,
    "left_mano": 61,
    "label": 1,
    "scores": 0,
}


@dataclass(frozen=True)
class Block:
    """Consecutive rows: ids, and for each column an array (rows, width)."""

    ids: pa.Array
    values: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class Rows:
    """A stream of blocks, each with the same columns; `name` is how messages call their file."""

    name: str
    columns: tuple[str, ...]
    blocks: Iterator[Block]
    declared: Declaration
    notes: list[str] = field(default_factory=list)

    def checked(self, track: Track) -> Iterator[Block]:
        """Stream the blocks and look at every value; blocks with unknown classes are held back.

        Raises
        ------
        SubmissionError
            At the end: HB103 where there are no rows, HB107 ids that are null, HB123 values that
            are NaN in a part of a row, HB128 labels that are no class of the track.
        """
        faults, start = Faults(self.name), 0
        for block in self.blocks:
            if block.ids.null_count:
                faults.add("HB107", "ids that are null", f"from row {start:,} on")
            for name, values in block.values.items():
                _check(name, values, block.ids, start, faults)
            if "label" not in block.values or _are_classes(block, start, track, faults):
                yield block
            start += len(block)
        if not start:
            faults.add("HB103", "has no rows")
        faults.raise_any()

    def lose(self, *kept: str, why: str = "has no place for them") -> None:
        """Note which columns a format does not keep."""
        lost = [name for name in self.columns if name not in kept]
        if lost:
            self.notes.append(f"not written, the format {why}: {', '.join(lost)}.")


def _check(name: str, values: np.ndarray, ids: pa.Array, start: int, faults: Faults) -> None:
    bad = ~np.isfinite(values)
    partly = bad.any(axis=1) & ~np.isnan(values).all(axis=1)
    for row in np.flatnonzero(partly):
        faults.add(
            "HB123",
            f"{name} holds NaN or infinite values",
            f"row {start + row:,} ({text_at(ids, int(row))}), {int(bad[row].sum())} of "
            f"{values.shape[1]}",
            fix="What is not there is NaN (or null) as a whole.",
        )


def _are_classes(block: Block, start: int, track: Track, faults: Faults) -> bool:
    label = block.values["label"][:, 0]
    wrong = ~np.isnan(label) & ~np.isin(label, np.arange(len(track.classes)))
    for row in np.flatnonzero(wrong):
        what = f"labels that are no class of {track.name} (0 to {len(track.classes) - 1})"
        where = f"row {start + row:,} ({text_at(block.ids, int(row))}) has {label[row]:g}"
        faults.add("HB128", what, where)
    return not wrong.any()


def width(name: str, track: Track) -> int:
    """How many numbers a row of a canonical column has."""
    return WIDTHS[name] or len(track.classes)


def declaration(track: Track, method: str = "") -> Declaration:
    """What canonical rows of a track are: its own units, order and frame, spelled out."""
    if track.kind == "action":
        return Declaration(track.name, method=method)
    units = PIXELS if track.kind == "pose-2d" else "mm"
    return Declaration(track.name, units, track.joint_set, track.frame, method=method)


def from_arrays(
    name: str,
    track: Track,
    ids: Sequence[str],
    values: Mapping[str, np.ndarray],
    *,
    notes: Sequence[str] = (),
    method: str = "",
) -> Rows:
    """Return rows that are in memory; arrays of any shape (rows, ...).

    Raises
    ------
    SubmissionError
        HB103 where there are none.
    """
    if not len(ids):
        faults = Faults(name)
        faults.add("HB103", "has no answer for any sample of the track")
        faults.raise_any()
    flat = {
        key: np.asarray(array, np.float32).reshape(len(ids), -1) for key, array in values.items()
    }
    column = pa.array(ids, pa.string())

    def blocks() -> Iterator[Block]:
        for start in range(0, len(column), BLOCK):
            part = slice(start, start + BLOCK)
            yield Block(column[part], {key: array[part] for key, array in flat.items()})

    return Rows(name, tuple(flat), blocks(), declaration(track, method), list(notes))


def from_hands(
    name: str,
    track: Track,
    samples: Samples,
    hands: Mapping[int, Mapping[str, Any]],
    *,
    notes: Sequence[str] = (),
    columns: Sequence[str] = ("right_joints", "left_joints"),
    method: str = "",
) -> Rows:
    """Return rows in the order of the annotations.

    `hands` holds for each answered sample's position its values by column; what is lacking or None
    is absent. Samples without an answer have no row, and are counted in the notes.
    """
    positions = sorted(hands)
    values = {c: np.full((len(positions), width(c, track)), np.nan, np.float32) for c in columns}
    for row, position in enumerate(positions):
        for column, value in hands[position].items():
            if value is not None:
                values[column][row] = np.ravel(value)
    ids = [samples.ids[position] for position in positions]
    notes = [*notes, *samples.missing_note(len(ids))]
    return from_arrays(name, track, ids, values, notes=notes, method=method)


def merged(blocks: Iterable[Block], size: int = BLOCK) -> Iterator[Block]:
    """Join small blocks into blocks of at least `size` rows (the last one may be smaller)."""
    parts: list[Block] = []
    for block in blocks:
        parts.append(block)
        if sum(map(len, parts)) >= size:
            yield _joined(parts)
            parts = []
    if parts:
        yield _joined(parts)


def _joined(parts: list[Block]) -> Block:
    if len(parts) == 1:
        return parts[0]
    values = {
        name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values
    }
    return Block(pa.concat_arrays([part.ids for part in parts]), values)


@dataclass(frozen=True)
class Gathered:
    """Predictions in the order of the annotations; `answered` says which samples have a row."""

    values: dict[str, np.ndarray]
    answered: Bool[np.ndarray, " samples"]

    def hand(self, side: str) -> np.ndarray:
        """The joints of a side (samples, 21, 3), NaN where the hand is not there."""
        return self.values[f"{side}_joints"].reshape(-1, 21, 3)

    def found(self, side: str) -> np.ndarray:
        """Which samples have the hand of a side."""
        return np.asarray(~np.isnan(self.values[f"{side}_joints"]).any(axis=1))


def gather(
    rows: Rows, samples: Samples, track: Track, columns: Sequence[str], *, whole: bool = True
) -> Gathered:
    """Read all rows into the order of the annotations; columns that are lacking are NaN.

    Raises
    ------
    SubmissionError
        HB105 for ids that the annotations do not have, HB106 for repeated ones; with `whole` HB104
        for samples without a row; HB107, HB123.
    """
    size = len(samples.ids)
    values = {c: np.full((size, width(c, track)), np.nan, np.float32) for c in columns}
    answered, faults = np.zeros(size, bool), Faults(rows.name)
    for block in rows.checked(track):
        position = samples.positions(block.ids)
        for row in np.flatnonzero(position < 0):
            faults.add(
                "HB105", f"ids that are not in track {track.name}", text_at(block.ids, int(row))
            )
        known = position[position >= 0]
        again = answered[known] | _repeats(known)
        for at in known[again]:
            faults.add("HB106", "samples that have more than one row", samples.ids[at])
        answered[known] = True
        for name in set(columns) & set(block.values):
            values[name][known] = block.values[name][position >= 0]
    if whole and not answered.all():
        faults.add(
            "HB104",
            f"{int((~answered).sum()):,} of {size:,} samples of track {track.name} have no row",
            samples.ids[int((~answered).argmax())],
            fix="The format needs every one; `hand-bench template` writes a row for each.",
        )
    faults.raise_any()
    return Gathered(values, answered)


def _repeats(values: np.ndarray) -> np.ndarray:
    """Which values occurred before."""
    first = np.unique(values, return_index=True)[1]
    repeated = np.ones(len(values), bool)
    repeated[first] = False
    return repeated


def record_batch(block: Block, schema: pa.Schema) -> pa.RecordBatch:
    """Encode a block with the canonical types of `schema`."""
    arrays: list[pa.Array] = [block.ids]
    for item in list(schema)[1:]:
        values = block.values[item.name]
        absent = np.isnan(values).all(axis=1)
        if pa.types.is_fixed_size_list(item.type):
            arrays.append(encode_floats(np.where(absent[:, None], np.float32(0), values), absent))
        else:
            whole = np.where(absent, 0, values[:, 0])
            arrays.append(pa.array(whole, mask=absent).cast(item.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def no_place(rows: Rows, what: str, fix: str, cause: str = "") -> SubmissionError:
    """Build the error of predictions that a format cannot hold (HB133)."""
    return SubmissionError(Problem("HB133", rows.name, what, cause, fix))


def count_lost_hands(rows: Rows, gathered: Gathered, samples: Samples, meaning: str) -> None:
    """Note how many hands that are asked have no answer, and what the format writes for them."""
    for k, side in enumerate(HAND_SIDES):
        lacking = int((samples.asked[:, k] & ~gathered.found(side)).sum())
        if lacking:
            rows.notes.append(f"{lacking:,} {side} hands that are asked have no answer: {meaning}.")
