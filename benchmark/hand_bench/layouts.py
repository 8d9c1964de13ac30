"""Layouts of predictions files: which columns hold the hands, and how a batch is decoded.

`hand_bench.predictions` describes the layouts for users.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from hand_bench.array_types import Bool, Float
from hand_bench.columns import (
    ColumnError,
    decode_floats,
    decode_scalars,
    is_text,
    not_null,
    strings,
)
from hand_bench.errors import Problem, SubmissionError
from hand_bench.joint_sets import HAND_SIDES

#: Columns of the samples layout that may be there or not.
OPTIONAL = ("right_score", "left_score", "left_root")


@dataclass
class Hand:
    """One side's answers in a block of rows: joints or, in 2.5D, (u, v, relative depth)."""

    joints: Float[np.ndarray, "rows 21 3"]
    found: Bool[np.ndarray, rows]
    score: Float[np.ndarray, rows] | None = None
    root_depth: Float[np.ndarray, rows] | None = None


@dataclass
class PredictionBlock:
    """Consecutive rows of a predictions file."""

    ids: pa.Array
    right: Hand
    left: Hand
    left_root: Float[np.ndarray, "rows 3"] | None = None
    relative_root_depth: Float[np.ndarray, rows] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def hands(self) -> tuple[Hand, Hand]:
        """The two hands, right first."""
        return self.right, self.left


class Columns:
    """Columns of a batch by name, decoded; problems name file, column, row and sample."""

    def __init__(self, table: pa.RecordBatch, name: str, start: int):
        self.table, self.name, self.start = table, name, start

    def ids(self) -> pa.Array:
        column = strings(self.table.column("sample_id"))
        if column.null_count:
            row = self.start + int((~not_null(column)).argmax())
            raise SubmissionError(
                Problem(
                    "HB107",
                    self.name,
                    f"{column.null_count:,} ids are null, e.g. row {row:,}.",
                    fix="Every row needs the sample_id it answers.",
                )
            )
        return column

    def floats(self, column: str, width: int) -> tuple[np.ndarray, np.ndarray]:
        return self._decoded(column, lambda values: decode_floats(values, width), width)

    def scalars(self, column: str) -> np.ndarray | None:
        if column not in self.table.schema.names:
            return None
        values, found = self._decoded(column, decode_scalars, 1)
        return values if found.all() else np.where(found, values, np.float32("nan"))

    def _decoded(self, column: str, decode, width: int):
        try:
            return decode(self.table.column(column))
        except ColumnError as error:
            raise SubmissionError(self._problem(column, error, width)) from error

    def _problem(self, column: str, error: ColumnError, width: int) -> Problem:
        where = f"{self.name}: column {column!r}"
        if error.row is not None:
            sample = strings(self.table.column("sample_id"))[error.row].as_py()
            where += f", row {self.start + error.row:,} ({sample})"
        expected = f"{width} floating-point numbers" if width > 1 else "a floating-point number"
        fix = f"Expected {expected}; `hand-bench template` writes a file of the right form."
        if error.code == "HB125":
            fix = "A hand that is not there is a null row, not nulls inside its list."
        return Problem(error.code, where, f"{error}.", fix=fix)


@dataclass(frozen=True)
class Layout:
    """How a file holds its hands; `columns` are the ones that are read."""

    kind: str
    columns: tuple[str, ...]
    image_space: bool = False
    spread: bool = False

    def decode(self, columns: Columns) -> PredictionBlock:
        """Decode a batch of this layout."""
        if self.kind == "crops":
            return self._decode_crops(columns)
        hands = [self._hand(columns, f"{side}_") for side in HAND_SIDES]
        block = PredictionBlock(columns.ids(), *hands)
        if "left_root" in self.columns:
            values, found = columns.floats("left_root", 3)
            block.left_root = values if found.all() else np.where(found[:, None], values, np.nan)
        block.relative_root_depth = columns.scalars("relative_root_depth")
        return block

    def _decode_crops(self, columns: Columns) -> PredictionBlock:
        hand = self._hand(columns, "")
        side = strings(columns.table.column("hand_side")).to_numpy(zero_copy_only=False)
        unknown = ~np.isin(side, HAND_SIDES)
        if unknown.any():
            row = int(unknown.argmax())
            raise SubmissionError(
                Problem(
                    "HB111",
                    f"{columns.name}: column 'hand_side', row {columns.start + row:,}",
                    f"is {side[row]!r}.",
                    fix="Write 'right' or 'left'.",
                )
            )
        right, left = (replace(hand, found=hand.found & (side == name)) for name in HAND_SIDES)
        if hand.score is not None:
            right.score, left.score = (
                np.where(side == name, hand.score, np.float32("nan")) for name in HAND_SIDES
            )
        block = PredictionBlock(columns.ids(), right, left)
        block.relative_root_depth = columns.scalars("relative_root_depth")
        return block

    def _hand(self, columns: Columns, prefix: str) -> Hand:
        score = columns.scalars(f"{prefix}score")
        if self.image_space:
            uv, found = columns.floats(f"{prefix}uv", 42)
            depth, has_depth = columns.floats(f"{prefix}depth", 21)
            root_depth = columns.scalars(f"{prefix}root_depth")
            found = found & has_depth & ~np.isnan(root_depth)
            joints = np.concatenate([uv.reshape(-1, 21, 2), depth[..., None]], axis=-1)
            return Hand(joints, found, score, root_depth)
        if self.spread:
            values = [columns.scalars(f"{prefix}joints_{k}") for k in range(63)]
            flat = np.stack(values, axis=1)
            found = ~np.isnan(flat).all(axis=1)
            return Hand(flat.reshape(-1, 21, 3), found, score)
        if f"{prefix}joints" not in self.columns:
            n = columns.table.num_rows
            return Hand(np.zeros((n, 21, 3), np.float32), np.zeros(n, bool), score)
        flat, found = columns.floats(f"{prefix}joints", 63)
        return Hand(flat.reshape(-1, 21, 3), found, score)


def find_layout(schema: pa.Schema, name: str) -> Layout:
    """Recognise a file's layout from its columns.

    Raises
    ------
    SubmissionError
        HB110 for lacking columns, HB111 for ids or joints of a type that cannot be read.
    """
    names = set(schema.names)
    problems = []
    if "sample_id" not in names:
        problems.append(_lacking(name, "sample_id", schema))
    elif not is_text(schema.field("sample_id").type):
        problems.append(
            Problem(
                "HB111",
                f"{name}: column 'sample_id'",
                f"type {schema.field('sample_id').type}.",
                fix="Ids are texts, as `hand-bench template` writes them.",
            )
        )
    optional = [c for c in OPTIONAL if c in names]
    if "hand_side" in names:
        layout = _crops_layout(names, name, schema, problems)
    elif names & {"right_joints", "left_joints"}:
        layout = Layout("samples", (*_have(names, "right_joints", "left_joints"), *optional))
    elif "right_joints_0" in names or "left_joints_0" in names:
        layout = _spread_layout(names, name, schema, problems, optional)
    elif names & {"right_uv", "left_uv"}:
        layout = _image_layout(names, name, schema, problems, optional)
    else:
        problems.append(_lacking(name, "right_joints and left_joints", schema))
        layout = Layout("samples", ())
    problems += _wrong_types(schema, layout, name)
    if problems:
        raise SubmissionError(problems)
    return replace(layout, columns=("sample_id", *layout.columns))


def _crops_layout(names, name, schema, problems) -> Layout:
    image_space = "uv" in names
    needed = ("uv", "depth", "root_depth") if image_space else ("joints",)
    problems += [_lacking(name, column, schema) for column in needed if column not in names]
    optional = _have(names, "score", "relative_root_depth")
    return Layout("crops", ("hand_side", *_have(names, *needed), *optional), image_space)


def _spread_layout(names, name, schema, problems, optional) -> Layout:
    needed = [f"{side}_joints_{k}" for side in HAND_SIDES for k in range(63)]
    lacking = [column for column in needed if column not in names]
    if lacking:
        problems.append(_lacking(name, f"{lacking[0]} and {len(lacking) - 1} more", schema))
        return Layout("samples", ())
    return Layout("samples", (*needed, *optional), spread=True)


def _image_layout(names, name, schema, problems, optional) -> Layout:
    needed = [f"{side}_{kind}" for side in HAND_SIDES for kind in ("uv", "depth", "root_depth")]
    problems += [_lacking(name, column, schema) for column in needed if column not in names]
    columns = (*_have(names, *needed, "relative_root_depth"), *optional)
    return Layout("samples", columns, image_space=True)


def _have(names: set[str], *wanted: str) -> tuple[str, ...]:
    return tuple(column for column in wanted if column in names)


def _wrong_types(schema: pa.Schema, layout: Layout, name: str) -> list[Problem]:
    """Check the type of every column that is read: texts, integers and pickled objects are not."""
    problems = []
    for column in layout.columns:
        kind = schema.field(column).type
        if column == "hand_side":
            wrong = not is_text(kind)
        else:
            inner = kind
            while pa.types.is_nested(inner) and not pa.types.is_struct(inner):
                inner = inner.value_type
            raw = pa.types.is_fixed_size_binary(inner)
            scalar = column.endswith(("score", "root_depth")) or re.search(r"_\d+$", column)
            integer = scalar and pa.types.is_integer(inner)
            wrong = not (pa.types.is_floating(inner) or raw or integer or pa.types.is_null(inner))
        if wrong:
            problems.append(
                Problem(
                    "HB111",
                    f"{name}: column {column!r}",
                    f"type {kind}.",
                    cause="Joints are written as floating-point numbers, not rounded or as text.",
                    fix="`hand_bench.write_predictions` writes the right types.",
                )
            )
    return problems


def _lacking(name: str, column: str, schema: pa.Schema) -> Problem:
    shown = ", ".join(schema.names[:8]) + (", ..." if len(schema.names) > 8 else "")
    return Problem(
        "HB110",
        name,
        f"has no column {column}. It has: {shown or 'none'}.",
        cause="Another file, or an export under other names?",
        fix="`hand-bench template --track TRACK -o FILE` shows the columns.",
    )
