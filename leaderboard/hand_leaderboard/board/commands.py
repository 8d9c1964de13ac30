"""Commands about tables: `hand-bench leaderboard ls` and `table`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from hand_bench.cli import console

if TYPE_CHECKING:
    from hand_leaderboard.board.tables import Column, Row, Table

Format = Literal["text", "csv", "json", "latex", "markdown", "bibtex"]
#: Where submissions are unless another folder is given.
ROOT = Path("submissions")


def leaderboard_ls(*, root: Path | None = None, json: bool = False) -> None:
    """List the boards: rows of each kind, and who leads.

    Parameters
    ----------
    root
        Folder of submissions; default: `submissions` where it is, else published numbers alone.
    json
        One JSON object instead of a table.
    """
    from hand_leaderboard.board.reading import read_board
    from hand_leaderboard.board.tables import KINDS

    board = read_board(_root(root))
    listed = []
    for name, tables in [*board.tracks.items(), *((n, (t,)) for n, t in board.suites.items())]:
        counts = dict.fromkeys(KINDS, 0)
        for row in [*tables[0].scored, *(row for table in tables for row in table.reported)]:
            counts[row.kind] += 1
        best = [r.method for r in board.top_group(name)] if name in board.tracks else []
        listed.append(
            {"name": name, "procedural": tables[0].procedural, **counts, "top group": best}
        )
    if json:
        console.write_json({"boards": listed})
        return
    table = console.table("", "board", "data", *KINDS, "top group", right=KINDS)
    for one in listed:
        numbers = [str(one[kind] or "") for kind in KINDS]
        data = "procedural" if one["procedural"] else "real"
        table.add_row(one["name"], data, *numbers, _plain(", ".join(one["top group"])))
    console.out().print(table)


def leaderboard_table(
    name: str,
    /,
    *,
    format: Format = "text",
    protocol: str | None = None,
    root: Path | None = None,
    intervals: bool | None = None,
    cite: bool = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> None:
    """Print a track's or suite's table: text, CSV, JSON, LaTeX, Markdown or BibTeX.

    Parameters
    ----------
    name
        Track or suite.
    format
        How it is written.
    protocol
        Whose table; default: that which ranks the track, or the first one with rows.
    root
        Folder of submissions; default: `submissions` where it is, else published numbers alone.
    intervals
        Whether text, Markdown and LaTeX have 95 % intervals; default: all but LaTeX.
    cite
        Whether methods are cited in LaTeX, by the keys of `--format bibtex`.
    output
        File to write; default: it is printed.
    """
    from hand_bench.tracks import track_names
    from hand_leaderboard.board.exports import FORMATS, latex, markdown
    from hand_leaderboard.board.reading import find_tables, read_board

    board = read_board(_root(root), track=name if name in track_names() else None)
    table = _chosen(find_tables(board, name), protocol)
    if format == "text" and output is None:
        _print(table, intervals is not False)
        return
    if format == "latex":
        text = latex(table, intervals=bool(intervals), cite=cite)
    elif format in ("markdown", "text"):
        text = markdown(table, intervals=intervals is not False)
    else:
        text = FORMATS[format][0](table)
    if output is None:
        console.write(text.rstrip("\n"))
        return
    from hand_bench import files

    with files.replacing(output) as temporary:
        temporary.write_text(text, "utf-8")
    console.write(str(output))


def _root(given: Path | None) -> Path | None:
    if given is not None:
        return given
    if ROOT.is_dir():
        return ROOT
    console.note("There is no folder `submissions` here (`--root`): published numbers alone.")
    return None


def _chosen(tables: Sequence[Table], protocol: str | None) -> Table:
    """Return the table of a protocol; the first one with rows, and say which others there are."""
    from hand_bench.errors import TrackError, unknown_name

    if protocol is not None:
        known = {table.protocol: table for table in tables}
        if protocol not in known:
            name = tables[0].track or tables[0].suite
            raise TrackError(unknown_name(f"protocol of {name}", protocol, list(known)))
        return known[protocol]
    filled = [table for table in tables if not table.is_empty] or list(tables)
    others = [table.protocol for table in filled[1:]]
    if others:
        console.note(f"Protocol {filled[0].protocol}; `--protocol` gives {', '.join(others)} too.")
    return filled[0]


def _print(table: Table, intervals: bool) -> None:
    from hand_leaderboard.board.exports.sections import (
        caption,
        heading,
        one_line,
        rank_text,
        sections,
    )

    console.write(one_line(caption(table)))
    if table.is_empty:
        console.write("no rows yet")
    left_out = 0
    for section in sections(table):
        place = "#" if section.ranked else "source"
        places = [rank_text(r) or "–" if section.ranked else r.source for r in section.rows]
        names = [_plain(row.method) for row in section.rows]
        texts = _texts(table, section.rows, intervals)
        room = console.out().width - _width([place, *places]) - _width(["method", *names])
        shown = _fitting(texts, table.primary, room)
        left_out += len(texts) - len(shown)
        heads = [heading(column) for column in shown]
        made = console.table(section.heading, place, "method", *heads, right=tuple(heads))
        for k, (first, name) in enumerate(zip(places, names, strict=True)):
            made.add_row(_plain(first), name, *(texts[column][k] for column in shown))
        console.out().print(made)
    if left_out:
        console.note(f"{left_out} columns do not fit here; `--format csv` has all of them.")


def _texts(table: Table, rows: Sequence[Row], intervals: bool) -> dict[Column, list[str]]:
    """Return what stands in each column that has a number in these rows."""
    found = {}
    for column in table.columns:
        cells = [row.cells.get(column.key) for row in rows]
        if any(cell and cell.value is not None for cell in cells):
            found[column] = [
                "" if c is None else f"{c.text} ±{c.half_width}" if intervals and c.ci95 else c.text
                for c in cells
            ]
    return found


def _fitting(texts: dict[Column, list[str]], primary: Column | None, room: int) -> list[Column]:
    """Return columns that fit beside each other: what orders the table, then the fullest ones."""
    from hand_leaderboard.board.exports.sections import heading

    def worth(column: Column) -> tuple[bool, int, bool]:
        other = primary is not None and column.subset != primary.subset
        return column != primary, -sum(map(bool, texts[column])), other

    chosen = set()
    for column in sorted(texts, key=worth):
        width = _width([heading(column), *texts[column]])
        if width <= room:
            room -= width
            chosen.add(column)
    return [column for column in texts if column in chosen]


def _width(texts: Sequence[str]) -> int:
    """Return the width of a column with the space beside it."""
    return 3 + max(map(len, texts))


def _plain(text: str) -> str:
    """Return a text that a terminal prints as it is: no markup, no control characters."""
    from rich.markup import escape

    from hand_leaderboard.board.exports.sections import one_line

    return escape(one_line(text))
