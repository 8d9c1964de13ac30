"""CSV: every row with its kind and group, numbers as they are stored, no formulas."""

from __future__ import annotations

from collections.abc import Sequence

from hand_leaderboard.board.exports.sections import one_line, shown_columns
from hand_leaderboard.board.tables import Cell, Row, Table

_FIRST = ("kind", "group", "rank", "rank low", "rank high", "tie group", "method", "slug")
_LAST = (
    "coverage", "inputs", "training", "zero-shot", "authors", "date", "paper", "paper url", "code",
    "source", "note",
)  # fmt: skip
#: What spreadsheets take for the beginning of a formula.
_FORMULA = tuple("=+-@＝＋－＠")


def csv_text(table: Table) -> str:
    """Return a table as CSV (UTF-8, comma, newline); shares are shares (0.87).

    A text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    columns = shown_columns(table)
    heads = [*_FIRST]
    for column in columns:
        heads += [f"{column.key} ({column.unit or 'share'})"]
        heads += [f"{column.key} low", f"{column.key} high"]
    lines = [_line([*heads, *_LAST])]
    for row in table.rows:
        numbers = [v for column in columns for v in _numbers(row.cells.get(column.key))]
        lines.append(_line([*_first(row), *numbers, *_last(row)]))
    return "".join(lines)


def safe_text(text: str) -> str:
    """Return a text in one line that no spreadsheet runs."""
    line = one_line(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def _line(values: Sequence[str | float | None]) -> str:
    """Return one line: texts between quotation marks, numbers as they are, nothing for None."""
    return ",".join(map(_field, values)) + "\n"


def _field(value: str | float | None) -> str:
    if isinstance(value, str):
        return '"' + safe_text(value).replace('"', '""') + '"'
    return "" if value is None else f"{value:.9g}"


def _first(row: Row) -> list[str | float | None]:
    low, high = row.rank_interval or (None, None)
    return [row.kind, row.group, row.rank, low, high, row.ties, row.method, row.slug]


def _last(row: Row) -> list[str | float | None]:
    paper = row.paper
    return [
        row.coverage,
        ", ".join(row.inputs),
        row.training_text,
        row.zero_shot,
        row.authors,
        row.date,
        paper.title if paper else "",
        paper.url if paper else "",
        row.code,
        row.source,
        row.note,
    ]


def _numbers(cell: Cell | None) -> list[float | None]:
    if cell is None or cell.value is None:
        return [None, None, None]
    return [cell.value, *(cell.ci95 or (None, None))]
