"""Markdown: one table for each rank group, and one for what papers report."""

from __future__ import annotations

import re

from hand_leaderboard.board.exports.sections import (
    Section,
    best_texts,
    caption,
    heading,
    one_line,
    rank_text,
    sections,
)
from hand_leaderboard.board.tables import Column, Row, Table

_MARKS = re.compile(r"([\\`*_{}\[\]|~$])")


def markdown(table: Table, *, intervals: bool = True) -> str:
    """Return a table as Markdown; the best number of a rank group is bold.

    Parameters
    ----------
    table
        Any table.
    intervals
        Whether half of the 95 % interval stands beside every number.
    """
    parts = [f"{escaped(caption(table))}\n"]
    for section in sections(table):
        parts.append(f"**{escaped(section.heading)}**\n")
        parts.append(_table(table, section, intervals))
    return "\n".join(parts)


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is: no markup, no HTML, no cell's end, no mention."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKS.sub(r"\\\1", line)
    return line.replace("://", ":&#8203;//").replace("@", "@&#8203;").replace("www.", "www&#8203;.")


def link(text: str, url: str) -> str:
    """Return a link; only http and https become one."""
    if not re.match(r"https?://", url) or re.search(r"[\s<>\"'`\\]", url):
        return escaped(text)
    safe = url.replace("(", "%28").replace(")", "%29").replace("|", "%7C")
    return f"[{escaped(text)}]({safe})"


def _table(table: Table, section: Section, intervals: bool) -> str:
    used = {k for row in section.rows for k, cell in row.cells.items() if cell.value is not None}
    columns = [column for column in table.columns if column.key in used]
    first = ["#", "method"] if section.ranked else ["method", "source"]
    heads = [*first, *(escaped(heading(column)) for column in columns), "training", "links"]
    rules = ["---"] * len(first) + ["---:"] * len(columns) + ["---", "---"]
    lines = [heads, rules]
    best = {c.key: best_texts(section.rows, c) if section.ranked else set() for c in columns}
    for row in section.rows:
        own = [escaped(rank_text(row) or "–"), escaped(row.method)]
        own = own if section.ranked else [own[1], escaped(row.source)]
        numbers = [_number(row, column, best[column.key], intervals) for column in columns]
        lines.append([*own, *numbers, escaped(row.training_text), _links(row)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(row: Row, column: Column, best: set[str], intervals: bool) -> str:
    cell = row.cells.get(column.key)
    if cell is None or cell.value is None:
        return ""
    shown = f"**{escaped(cell.text)}**" if row.rank and cell.text in best else escaped(cell.text)
    return f"{shown} ±{cell.half_width}" if intervals and cell.ci95 else shown


def _links(row: Row) -> str:
    found = []
    if row.paper and row.paper.url:
        found.append(link("paper", row.paper.url))
    if row.code:
        found.append(link("code", row.code))
    return ", ".join(found)
