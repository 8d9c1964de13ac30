"""Layouts of predictions files: which columns hold the hands, and how a batch is decoded.

`hand_bench.predictions` describes the layouts for users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench.array_types import Bool, Float
from hand_bench.arrow import numbers
from hand_bench.columns import (
    decode_floats,
    decode_scalars,
    describe,
    is_bytes,
    is_text,
    list_size,
    not_null,
    printable,
    strings,
    text_at,
)
from hand_bench.errors import Problem
from hand_bench.joint_sets import HAND_SIDES

#: Columns of the samples layout that may be there or not.
OPTIONAL = ("right_score", "left_score", "left_root", "right_mano", "left_mano")
#: Values per row of the columns that hold lists, by the last part of their names.
WIDTHS = {"joints": 63, "2d": 42, "uv": 42, "depth": 21, "left_root": 3, "mano": 61}
#: What a list of another length probably is.
LIKELY = {
    20: "Is the wrist lacking?",
    21: "One number per joint?",
    40: "Is the wrist lacking?",
    42: "2D joints, without depth?",
    48: "Rotations without shape and translation?",
    58: "Is the translation lacking?",
    60: "Is the wrist lacking?",
    126: "Both hands in one list?",
    2334: "Mesh vertices?",
}


@dataclass
class Hand:
    """One side's answers in a block: joints; in 2.5D (u, v, relative depth); in 2D (u, v, 0).

    `mano` is NaN where a hand has no mesh, None where the file has none at all.
    """

    joints: Float[np.ndarray, "rows 21 3"]
    found: Bool[np.ndarray, " rows"]
    score: Float[np.ndarray, " rows"] | None = None
    root_depth: Float[np.ndarray, " rows"] | None = None
    mano: Float[np.ndarray, "rows 61"] | None = None


@dataclass
class Finding:
    """Something wrong with the values of a column: how often, where first, and what is there."""

    code: str
    column: str
    count: int
    where: str
    shown: str = ""


@dataclass
class PredictionBlock:
    """Consecutive rows of a predictions file.

    `findings` are rows that could not be decoded; their hands come as not found.
    """

    ids: pa.Array
    right: Hand
    left: Hand
    left_root: Float[np.ndarray, "rows 3"] | None = None
    relative_root_depth: Float[np.ndarray, " rows"] | None = None
    findings: list[Finding] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def hands(self) -> tuple[Hand, Hand]:
        """The two hands, right first."""
        return self.right, self.left


class Columns:
    """Columns of a batch by name, decoded; rows that cannot be used are collected as findings."""

    def __init__(self, table: pa.RecordBatch, start: int):
        self.table, self.start = table, start
        self.findings: list[Finding] = []
        self.ids = strings(table.column("sample_id"))
        if self.ids.null_count:
            self.note("HB107", "sample_id", ~not_null(self.ids))

    def given(self, column: str) -> np.ndarray:
        """Return which rows of a column are not null."""
        return not_null(self.table.column(column))

    def floats(self, column: str, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return lists as an array (rows, width), and which rows hold a list that can be used."""
        values, found, faults = decode_floats(self.table.column(column), width)
        for fault in faults:
            where = place(self.ids, fault.row, self.start)
            self.findings.append(Finding(fault.code, column, fault.count, where, fault.shown))
        return values, found

    def scalars(self, column: str) -> np.ndarray | None:
        """Return numbers, NaN where null; None where there is no such column."""
        if column not in self.table.schema.names:
            return None
        values, found = decode_scalars(self.table.column(column))
        return values if found.all() else np.where(found, values, np.float32("nan"))

    def depths(self, column: str) -> np.ndarray | None:
        """Return numbers as `scalars`; NaN and infinities are findings (HB123) and come as NaN."""
        values = self.scalars(column)
        if values is None or np.isfinite(values).all():
            return values
        self.note("HB123", column, ~np.isfinite(values) & self.given(column))
        return np.where(np.isfinite(values), values, np.float32("nan"))

    def note(self, code: str, column: str, bad: np.ndarray, shown: Sequence | None = None) -> None:
        """Collect a finding about the rows that are `bad`; `shown` holds what each row has."""
        count = int(np.count_nonzero(bad))
        if count:
            row = int(bad.argmax())
            text = "" if shown is None else repr(shown[row])
            where = place(self.ids, row, self.start)
            self.findings.append(Finding(code, column, count, where, text))


def place(ids: pa.Array, row: int, start: int) -> str:
    """Say where a row of a block is: its number in the file and its sample."""
    sample = f" ({text_at(ids, row)})" if ids[row].is_valid else ""
    return f"row {start + row:,}{sample}"


@dataclass(frozen=True)
class Layout:
    """How a file holds its hands (or clips); `columns` are the ones that are read."""

    kind: str
    columns: tuple[str, ...]
    image_space: bool = False
    spread: bool = False
    planar: bool = False

    @property
    def has_meshes(self) -> bool:
        """Whether hands may come with MANO's parameters."""
        return any(column.endswith("_mano") for column in self.columns)

    def decode(self, columns: Columns) -> PredictionBlock:
        """Decode a batch of this layout."""
        if self.kind == "crops":
            hands = self._crops(columns)
        else:
            hands = tuple(self._hand(columns, f"{side}_") for side in HAND_SIDES)
            for side, hand in zip(HAND_SIDES, hands, strict=True):
                if f"{side}_mano" in self.columns:
                    values, found = columns.floats(f"{side}_mano", 61)
                    whole = np.where(found[:, None], values, np.float32("nan"))
                    hand.mano = values if found.all() else whole
        block = PredictionBlock(columns.ids, *hands, findings=columns.findings)
        if "left_root" in self.columns:
            values, found = columns.floats("left_root", 3)
            block.left_root = values if found.all() else np.where(found[:, None], values, np.nan)
        block.relative_root_depth = columns.depths("relative_root_depth")
        return block

    def _crops(self, columns: Columns) -> tuple[Hand, Hand]:
        """Give each row to the hand that it names; the other one is not found in that row."""
        hand = self._hand(columns, "")
        sides = strings(columns.table.column("hand_side"))
        mine = [numbers(pc.equal(sides, side), null=False) for side in HAND_SIDES]
        unknown = ~(mine[0] | mine[1])
        if unknown.any():
            first = int(unknown.argmax())
            columns.note("HB114", "hand_side", unknown, {first: text_at(sides, first)})
        right, left = (replace(hand, found=hand.found & m) for m in mine)
        if hand.score is not None:
            right.score, left.score = (np.where(m, hand.score, np.float32("nan")) for m in mine)
        return right, left

    def _hand(self, columns: Columns, prefix: str) -> Hand:
        score = columns.scalars(f"{prefix}score")
        if self.image_space:
            return self._image_hand(columns, prefix, score)
        if self.spread:
            values = [columns.scalars(f"{prefix}joints_{k}") for k in range(63)]
            flat = np.stack(values, axis=1)
            found = ~np.isnan(flat).all(axis=1)
            return Hand(flat.reshape(-1, 21, 3), found, score)
        if self.planar:
            return self._planar_hand(columns, f"{prefix}joints_2d", score)
        if f"{prefix}joints" not in self.columns:
            n = columns.table.num_rows
            return Hand(np.zeros((n, 21, 3), np.float32), np.zeros(n, bool), score)
        flat, found = columns.floats(f"{prefix}joints", 63)
        return Hand(flat.reshape(-1, 21, 3), found, score)

    def _planar_hand(self, columns: Columns, name: str, score: np.ndarray | None) -> Hand:
        n = columns.table.num_rows
        joints, found = np.zeros((n, 21, 3), np.float32), np.zeros(n, bool)
        if name in self.columns:
            flat, found = columns.floats(name, 42)
            joints[..., :2] = flat.reshape(-1, 21, 2)
        return Hand(joints, found, score)

    def _image_hand(self, columns: Columns, prefix: str, score: np.ndarray | None) -> Hand:
        uv, has_uv = columns.floats(f"{prefix}uv", 42)
        depth, has_depth = columns.floats(f"{prefix}depth", 21)
        root_depth = columns.depths(f"{prefix}root_depth")
        given = [columns.given(f"{prefix}{part}") for part in ("uv", "depth", "root_depth")]
        # A root depth alone is no answer: some methods give it for every sample.
        partly = (given[0] | given[1]) & ~np.logical_and.reduce(given)
        columns.note("HB115", prefix.rstrip("_"), partly)
        joints = np.concatenate([uv.reshape(-1, 21, 2), depth[..., None]], axis=-1)
        found = has_uv & has_depth & np.isfinite(root_depth)
        return Hand(joints, found, score, root_depth)


def find_layout(schema: pa.Schema, name: str, kind: str = "pose") -> tuple[Layout, list[Problem]]:
    """Recognise a file's layout from its columns; problems (HB110, HB111, HB112) come with it.

    `kind` is what the track asks for: "pose", "pose-2d" or "action".
    """
    names = set(schema.names)
    if kind == "pose":
        layout, needed = _pose_layout(names)
    elif kind == "pose-2d":
        layout, needed = _planar_layout(names)
    else:
        given = _have(names, "label", "scores")
        layout, needed = Layout("clips", given), given or ("label",)
    layout = replace(layout, columns=(*_have(names, "sample_id"), *layout.columns))
    lacking = [column for column in ("sample_id", *needed) if column not in names]
    problems = [_lacking(name, lacking, schema)] if lacking else []
    twice = [c for c in layout.columns if schema.names.count(c) > 1]
    if twice:
        problems.append(
            Problem(
                "HB110", name, f"has more than one column {twice[0]!r}.", fix="Keep one of them."
            )
        )
        return layout, problems
    if kind == "action":
        return layout, problems
    return layout, problems + _wrong_types(schema, layout, name)


def _planar_layout(names: set[str]) -> tuple[Layout, tuple[str, ...]]:
    if "hand_side" in names:
        columns = ("hand_side", *_have(names, "joints_2d", "score"))
        return Layout("crops", columns, planar=True), ("joints_2d",)
    needed = ("right_joints_2d", "left_joints_2d")
    given = _have(names, *needed)
    columns = (*given, *_have(names, "right_score", "left_score"))
    return Layout("samples", columns, planar=True), () if given else needed


def _pose_layout(names: set[str]) -> tuple[Layout, tuple[str, ...]]:
    optional = _have(names, *OPTIONAL)
    lists = _have(names, "right_joints", "left_joints")
    if "hand_side" in names:
        layout, needed = _crops_layout(names)
    elif lists:
        needed = tuple(c for c in ("right_joints", "left_joints") if _meant(c, names))
        layout = Layout("samples", (*lists, *optional))
    elif names & {"right_joints_0", "left_joints_0"}:
        needed = tuple(f"{side}_joints_{k}" for side in HAND_SIDES for k in range(63))
        layout = Layout("samples", (*_have(names, *needed), *optional), spread=True)
    elif names & {"right_uv", "left_uv"}:
        needed = tuple(f"{side}_{k}" for side in HAND_SIDES for k in ("uv", "depth", "root_depth"))
        columns = (*_have(names, *needed, "relative_root_depth"), *optional)
        layout = Layout("samples", columns, image_space=True)
    else:
        needed = ("right_joints", "left_joints")
        layout = Layout("samples", optional)
    return layout, needed


def _crops_layout(names: set[str]) -> tuple[Layout, tuple[str, ...]]:
    image_space = "uv" in names
    needed = ("uv", "depth", "root_depth") if image_space else ("joints",)
    columns = ("hand_side", *_have(names, *needed, "score", "relative_root_depth"))
    return Layout("crops", columns, image_space), needed


def _meant(column: str, names: set[str]) -> bool:
    """Whether a file that may leave out a side has its joints under another name."""
    side = column.split("_")[0]
    others = [n.lower() for n in names if n != column]
    return any(side in n and "joint" in n and "2d" not in n for n in others)


def _have(names: set[str], *wanted: str) -> tuple[str, ...]:
    return tuple(column for column in wanted if column in names)


def _wrong_types(schema: pa.Schema, layout: Layout, name: str) -> list[Problem]:
    """Check the type of every column that is read; columns with the same fault are one problem."""
    wrong: dict[tuple[str, ...], list[str]] = {}
    for column in layout.columns:
        fault = _type_fault(column, schema.field(column).type)
        if fault is not None:
            wrong.setdefault(fault, []).append(column)
    return [
        Problem(code, name, f"{_listed('column', columns)} {_hold(columns)} {what}", cause, fix)
        for (code, what, cause, fix), columns in wrong.items()
    ]


def _type_fault(column: str, kind: pa.DataType) -> tuple[str, str, str, str] | None:
    """Return code, text, cause and fix of a type that cannot hold what the column should."""
    inner, size = list_size(kind)
    if column in ("sample_id", "hand_side"):
        if is_text(kind):
            return None
        fix = "`hand-bench template --track TRACK -o FILE` writes the ids, which are texts."
        if column == "hand_side":
            return "HB111", f"{describe(kind)}.", "", "Write 'right' or 'left'."
        cause = "Row numbers instead of ids?" if pa.types.is_integer(kind) else ""
        return "HB111", f"{describe(kind)}.", cause, fix
    width = WIDTHS.get(column if column in WIDTHS else column.rsplit("_", 1)[-1])
    if width is None or column.endswith("root_depth"):
        whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        if pa.types.is_floating(kind) or pa.types.is_null(kind):
            return None
        if whole and not column.rsplit("_", 1)[-1].isdigit():
            return None
        return "HB111", f"{describe(kind)}, not floating-point numbers.", *_type_advice(inner)
    if not (pa.types.is_floating(inner) or pa.types.is_null(inner)):
        return "HB111", f"{describe(kind)}, not floating-point numbers.", *_type_advice(inner)
    if size in (None, width) or pa.types.is_null(kind):
        return None
    held = f"lists of {size:,} values" if size != 1 else "single numbers"
    fix = "`hand_bench.write_predictions` takes arrays (samples, 21, 3) and writes the right lists."
    return "HB112", f"{held}, not lists of {width}.", LIKELY.get(size, ""), fix


def _type_advice(inner: pa.DataType) -> tuple[str, str]:
    cause = ""
    if pa.types.is_integer(inner):
        cause = "Joints that were rounded, or pixels?"
    elif is_text(inner):
        cause = "Numbers that were written as text?"
    elif is_bytes(inner):
        cause = "Pickled arrays? They are never loaded."
    return cause, "`hand_bench.write_predictions` writes the right types."


def _lacking(name: str, lacking: list[str], schema: pa.Schema) -> Problem:
    shown = ", ".join([printable(n) for n in schema.names[:6]] + ["..."] * (len(schema.names) > 6))
    return Problem(
        "HB110",
        name,
        f"lacks {_listed('column', lacking)}. It has: {shown or 'no columns'}.",
        cause="Another file, or an export under other names?",
        fix="`hand-bench template --track TRACK -o FILE` writes a file with the right columns.",
    )


def _listed(noun: str, names: list[str]) -> str:
    """Name a few things, or count many: "columns 'a' and 'b'", "126 columns (e.g. 'a')"."""
    quoted = [repr(n) for n in names]
    if len(names) == 1:
        return f"{noun} {quoted[0]}"
    if len(names) > 7:
        return f"{len(names)} {noun}s (e.g. {quoted[0]})"
    return f"{noun}s {', '.join(quoted[:-1])} and {quoted[-1]}"


def _hold(names: list[str]) -> str:
    return "holds" if len(names) == 1 else "hold"
