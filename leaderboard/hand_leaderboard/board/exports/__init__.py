"""Tables in other formats. Every function returns text; the same table gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable

from hand_leaderboard.board.exports.bibtex import bibtex
from hand_leaderboard.board.exports.delimited import csv_text
from hand_leaderboard.board.exports.latex import latex
from hand_leaderboard.board.exports.markdown import markdown
from hand_leaderboard.board.exports.plain import json_text
from hand_leaderboard.board.tables import Table

#: By the name that `--format` takes: how the text is made, and the ending of its file.
FORMATS: dict[str, tuple[Callable[[Table], str], str]] = {
    "csv": (csv_text, ".csv"),
    "json": (json_text, ".json"),
    "latex": (latex, ".tex"),
    "markdown": (markdown, ".md"),
    "bibtex": (bibtex, ".bib"),
}

__all__ = ["FORMATS", "bibtex", "csv_text", "json_text", "latex", "markdown"]
