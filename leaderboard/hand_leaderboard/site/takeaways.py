"""What people take away: exports of every table, badges, the feed; made by the board's functions."""

from __future__ import annotations

from hand_leaderboard.board import Board, Table
from hand_leaderboard.site.folders import SiteFolder
from hand_leaderboard.site.track_pages import Exports


def exports(board: Board, folder: SiteFolder) -> Exports:
    """Write the exports of all tables; return a function that gives those of one."""
    made: dict[str, list[tuple[str, str]]] = {}
    return lambda table: made.get(table.name, [])


def badge(board: Board, submission, folder: SiteFolder) -> str:
    """Write a submission's badge; return its path, "" without a rank or number."""
    return ""


def feed(board: Board, folder: SiteFolder) -> None:
    """Write the Atom feed of new rows."""
