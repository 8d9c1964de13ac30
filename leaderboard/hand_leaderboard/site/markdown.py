"""The few marks of the project's own documents, as HTML: headings, lists, tables, code, links.

For files of this project alone. Everything is escaped first; links lead to addresses of the web.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


def to_html(text: str, *, level: int = 2) -> Markup:
    """Return a document as HTML; its first heading, the title, is left out.

    Parameters
    ----------
    text
        Markdown.
    level
        Of the headings that are written "##".
    """
    from markupsafe import Markup

    lines = text.splitlines()
    if lines and lines[0].startswith("# "):
        lines = lines[1:]
    return Markup("\n".join(_blocks(lines, level)))


def _blocks(lines: list[str], level: int) -> Iterator[str]:
    for kind, run in groupby(_joined(lines), key=_kind):
        block = list(run)
        if kind == "heading":
            for line in block:
                depth = len(line) - len(line.lstrip("#")) + level - 2
                yield f"<h{depth}>{_inline(line.lstrip('#').strip())}</h{depth}>"
        elif kind == "table":
            yield from _table(block)
        elif kind == "list":
            items = "".join(f"<li>{_inline(line[2:])}</li>" for line in block)
            yield f"<ul>{items}</ul>"
        elif kind == "text":
            for line in block:
                yield f"<p>{_inline(line)}</p>"


def _joined(lines: list[str]) -> Iterator[str]:
    """Put the lines of a paragraph or of an item together."""
    held = ""
    for line in lines:
        new = not line.strip() or line[0] in "#|*-"
        if new and held:
            yield held
            held = ""
        if not line.strip():
            yield ""
        elif line[0] in "#|":
            yield line
        else:
            held = f"{held} {line.strip()}".strip()
    if held:
        yield held


def _kind(line: str) -> str:
    if not line:
        return "nothing"
    starts = {"#": "heading", "|": "table"}
    return "list" if line[:2] in ("* ", "- ") else starts.get(line[0], "text")


def _table(block: list[str]) -> Iterator[str]:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block]
    head = "".join(f'<th scope="col">{_inline(c)}</th>' for c in rows[0])
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
    yield f'<table class="rows text"><thead><tr>{head}</tr></thead><tbody>'
    for row in rows[2:]:
        yield "<tr>" + "".join(f"<td>{_inline(c)}</td>" for c in row) + "</tr>"
    yield "</tbody></table></div>"


def _inline(text: str) -> str:
    """Escape, then mark code, strong words and links; nothing is marked inside code."""
    from markupsafe import escape

    parts = str(escape(text)).split("`")
    for k, piece in enumerate(parts):
        if k % 2:
            parts[k] = f"<code>{piece}</code>"
        else:
            piece = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", piece)
            linked = r'<a href="\2" rel="noopener">\1</a>'
            piece = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", linked, piece)
            parts[k] = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", piece)
    return "".join(parts)
