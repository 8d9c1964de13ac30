"""What every text format shows: the columns that have numbers, and rows in sections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hand_leaderboard.board.tables import MEANINGS, REPORTED, Column, Row, Table


@dataclass(frozen=True)
class Section:
    """Rows that stand under one heading: a rank group, or what papers report.

    Attributes
    ----------
    heading
        "re-scored; boxes: standard, root depth: own".
    rows
        In the order of the table.
    ranked
        Whether the best numbers may be marked: rows of one rank group.
    """

    heading: str
    rows: tuple[Row, ...]
    ranked: bool


def sections(table: Table) -> Iterator[Section]:
    """Return the groups of a table, then its reported rows."""
    for group in table.groups:
        yield Section("; ".join(filter(None, (group.kind, group.label))), group.rows, True)
    if table.reported:
        yield Section(f"{REPORTED}: {MEANINGS[REPORTED]}", table.reported, False)


def shown_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns in which some row has a number."""
    used = {key for row in table.rows for key, cell in row.cells.items() if cell.value is not None}
    return tuple(column for column in table.columns if column.key in used)


def best_texts(rows: Sequence[Row], column: Column) -> set[str]:
    """Return the printed text of the best number among ranked rows; {} where fewer than two."""
    cells = [row.cells[column.key] for row in rows if row.rank and column.key in row.cells]
    known = [(cell.value, cell.text) for cell in cells if cell.value is not None]
    if len(known) < 2:
        return set()
    choose = max if column.higher_is_better else min
    return {choose(known)[1]}


def heading(column: Column) -> str:
    """Return a column's label with its unit: "MPJPE (mm)"."""
    return f"{column.label} ({column.shown_unit})"


def one_line(text: str) -> str:
    """Return a text without line breaks, tabs and other control characters."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def rank_text(row: Row) -> str:
    """Return "2 (1–3)", "2" without an interval, "" where a row is not ranked."""
    if row.rank is None:
        return ""
    if row.rank_interval is None:
        return str(row.rank)
    low, high = row.rank_interval
    return f"{row.rank} ({low}–{high})" if low < high else str(row.rank)


def caption(table: Table) -> str:
    """Return one line about a table: title, protocol, and whether the data is made."""
    made = "; procedural data, says nothing about real data" if table.procedural else ""
    return f"{table.title}: protocol {table.protocol} ({table.source}){made}"
