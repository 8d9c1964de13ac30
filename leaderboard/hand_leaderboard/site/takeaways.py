"""What people take away: exports of tables, badges, the feed; made by the board's functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hand_leaderboard.board import Board, Table
from hand_leaderboard.board.exports import FORMATS
from hand_leaderboard.board.exports.badges import badge as badge_svg
from hand_leaderboard.board.exports.feed import atom
from hand_leaderboard.site.folders import SiteFolder
from hand_leaderboard.site.pages import page_of
from hand_leaderboard.site.submission_pages import row_of
from hand_leaderboard.site.track_pages import Exports

if TYPE_CHECKING:
    from hand_leaderboard.submissions.folder import Submission

#: How formats are called where they are linked.
LABELS = {"csv": "CSV", "json": "JSON", "latex": "LaTeX", "markdown": "Markdown",
          "bibtex": "BibTeX"}  # fmt: skip


def exports(board: Board, folder: SiteFolder) -> Exports:
    """Write the exports of all tables; return a function that gives those of one: label, path."""
    made = {table.name: _write(table, folder) for table in board.tables if not table.is_empty}
    return lambda table: made.get(table.name, [])


def _write(table: Table, folder: SiteFolder) -> list[tuple[str, str]]:
    links = []
    for name, (text_of, ending) in FORMATS.items():
        text = text_of(table)
        if text.strip():
            path = f"exports/{table.name}{ending}"
            folder.write(path, text)
            links.append((LABELS[name], path))
    return links


def badge(board: Board, submission: Submission, folder: SiteFolder) -> str:
    """Write a submission's badge; return its path, "" for one that was withdrawn."""
    table = board.main_table(submission.track.name)
    found = row_of(table, submission)
    if found is None:
        return ""
    path = f"badges/{submission.slug}.svg"
    folder.write(path, badge_svg(table, found[0]))
    return path


def feed(board: Board, folder: SiteFolder, base_url: str = "") -> None:
    """Write the Atom feed of new rows; its links need to know where the site will be."""
    folder.write("feed.xml", atom(board, base_url=base_url, page_of=page_of))
