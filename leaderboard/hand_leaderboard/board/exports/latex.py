"""LaTeX: a tabular with booktabs, one part for each rank group."""

from __future__ import annotations

from hand_leaderboard.board.exports.bibtex import citation_keys
from hand_leaderboard.board.exports.sections import (
    best_texts,
    caption,
    one_line,
    rank_text,
    sections,
    shown_columns,
)
from hand_leaderboard.board.exports.tex_text import PLAIN, escaped
from hand_leaderboard.board.tables import Column, Row, Table

#: Signs that `escaped` replaces.
_KNOWN = {ord(sign): None for sign in "–±²"}


def latex(table: Table, *, intervals: bool = False, cite: bool = False) -> str:
    """Return a table as LaTeX for the packages booktabs, textcomp and fontenc (T1).

    Parameters
    ----------
    table
        Any table; the best number of a rank group, as printed, is bold.
    intervals
        Whether half of the 95 % interval stands beside every number.
    cite
        Whether methods are cited, by the keys of the BibTeX export of the same table.
    """
    columns = shown_columns(table)
    keys = citation_keys(table) if cite else {}
    lines = [*_comments(table), rf"\begin{{tabular}}{{rl{'r' * len(columns)}}}", r"\toprule"]
    lines.append(_line("", "method", *map(_head, columns)))
    for section in sections(table):
        lines.append(r"\midrule")
        wide = rf"\multicolumn{{{2 + len(columns)}}}{{l}}{{\emph{{{escaped(section.heading)}}}}}"
        lines.append(_line(wide))
        best = {c.key: best_texts(section.rows, c) if section.ranked else set() for c in columns}
        for row in section.rows:
            cited = rf"~\cite{{{keys[row.slug]}}}" if row.slug in keys else ""
            numbers = [_number(row, column, best[column.key], intervals) for column in columns]
            source = f" ({row.source})" if row.source else ""
            name = escaped(f"{row.method}{source}") + cited
            lines.append(_line(escaped(rank_text(row)), name, *numbers))
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _comments(table: Table) -> list[str]:
    """Say what the table is, and which TeX it needs."""
    lines = [f"% {one_line(caption(table))}", r"% \usepackage[T1]{fontenc}, {booktabs}"]
    texts = "".join(f"{row.method} {row.source}" for row in table.rows).translate(_KNOWN)
    if any(ord(character) > PLAIN for character in one_line(texts)):
        lines.append("% Letters of other scripts: XeLaTeX or LuaLaTeX with a font that has them.")
    return lines


def _line(*cells: str) -> str:
    return " & ".join(cells) + r" \\"


def _head(column: Column) -> str:
    arrow = r"$\uparrow$" if column.higher_is_better else r"$\downarrow$"
    return f"{escaped(column.label)} ({escaped(column.shown_unit)}) {arrow}"


def _number(row: Row, column: Column, best: set[str], intervals: bool) -> str:
    cell = row.cells.get(column.key)
    if cell is None or cell.value is None:
        return "--"
    text = escaped(cell.text)
    shown = rf"\textbf{{{text}}}" if row.rank and cell.text in best else text
    return (
        rf"{shown} {{\scriptsize $\pm$\,{cell.half_width}}}" if intervals and cell.ci95 else shown
    )
