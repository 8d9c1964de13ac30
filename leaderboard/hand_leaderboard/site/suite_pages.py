"""Suites: several tracks in one table, with the mean rank of methods that were trained on none."""

from __future__ import annotations

from hand_bench.suites import SUITES
from hand_leaderboard.board import Board, Table
from hand_leaderboard.site import pages
from hand_leaderboard.site.table_sections import section
from hand_leaderboard.site.track_pages import Exports


def path_of(suite: str) -> str:
    """Where a suite's page lies."""
    return f"suites/{suite}.html"


def index(board: Board) -> str:
    """Return the list of suites."""
    suites = [
        {"path": path_of(name), "title": table.title, "source": table.source,
         "scored": len(list(table.scored)), "reported": len(table.reported)}
        for name, table in board.suites.items()
    ]  # fmt: skip
    return pages.render("suites.html.j2", "suites.html", suites=suites)


def page(table: Table, *, exports: Exports) -> str:
    """Return a suite's page."""
    suite = SUITES.get(table.suite)
    return pages.render(
        "suite.html.j2",
        path_of(table.suite),
        table=table,
        section=section(table, pick=False, exports=exports(table)),
        tracks=suite.tracks if suite else sorted({c.track for c in table.columns if c.track}),
        scripts=("table",),
    )
