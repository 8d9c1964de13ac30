"""Commands about tables: `hand-bench leaderboard ls` and `table`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from hand_bench.cli import console

if TYPE_CHECKING:
    from hand_leaderboard.board.tables import Table

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
        shown_columns,
    )

    console.write(one_line(caption(table)))
    if table.is_empty:
        console.write("no rows yet")
    columns = shown_columns(table)
    for section in sections(table):
        used = [c for c in columns if any(c.key in row.cells for row in section.rows)]
        heads = [heading(column) for column in used]
        place = "#" if section.ranked else "source"
        shown = console.table(section.heading, place, "method", *heads, right=tuple(heads))
        for row in section.rows:
            first = rank_text(row) or "–" if section.ranked else row.source
            cells = [row.cells.get(column.key) for column in used]
            numbers = [
                "" if c is None else f"{c.text} ±{c.half_width}" if intervals and c.ci95 else c.text
                for c in cells
            ]
            shown.add_row(_plain(first), _plain(row.method), *numbers)
        console.out().print(shown)


def _plain(text: str) -> str:
    """Return a text that a terminal prints as it is: no markup, no control characters."""
    from rich.markup import escape

    from hand_leaderboard.board.exports.sections import one_line

    return escape(one_line(text))
