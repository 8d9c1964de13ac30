"""A track's page: its facts, one table per protocol, curves of chosen rows, progress over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hand_bench.tracks import Track
from hand_leaderboard.board import Board, Row, Table
from hand_leaderboard.board.interactive import progress
from hand_leaderboard.site import pages
from hand_leaderboard.site.folders import LARGEST_PAGE
from hand_leaderboard.site.table_sections import Section, section

#: Label and path of every export of a table.
Exports = Callable[[Table], Sequence[tuple[str, str]]]
TRUTH = {
    "public": "public: anybody can score, errors of single samples are published",
    "hidden": "hidden: the owner of the annotations scores, only sums are published",
    "absent": "not distributed: bring your own annotations",
}


def path_of(track: str) -> str:
    """Where a track's page lies."""
    return f"tracks/{track}.html"


def track_pages(
    board: Board, track: Track, *, exports: Exports, compare: str, data: Mapping[str, str],
    largest: int = LARGEST_PAGE,
) -> dict[str, str]:  # fmt: skip
    """Return a track's page by its path; where it would be too large, tables have their own.

    Parameters
    ----------
    exports
        Gives label and path of every export of a table.
    compare
        Path of its compare page, "" where fewer than two can be compared.
    data
        Data files of its submissions by row slug.
    largest
        Bytes of a page.
    """
    tables = board.tracks[track.name]
    every = [section(t, pick=t.main and bool(data), exports=exports(t)) for t in tables]
    shown = [s for s in every if s.main or s.scored_count or s.reported]
    given = {"track": track, "procedural": tables[0].procedural}
    text = _page(track, shown, tables[0], {}, given, compare, data)
    if len(text.encode()) <= largest:
        return {path_of(track.name): text}
    apart = {s.key: f"tracks/{track.name}/{s.key}.html" for s in shown if not s.main}
    found = {path_of(track.name): _page(track, shown, tables[0], apart, given, compare, data)}
    for s in (s for s in shown if s.key in apart):
        path = apart[s.key]
        found[path] = pages.render("protocol.html.j2", path, section=s, scripts=("table",), **given)
    return found


def _page(
    track: Track, shown: Sequence[Section], main: Table, apart: Mapping[str, str],
    given: Mapping[str, Any], compare: str, data: Mapping[str, str],
) -> str:  # fmt: skip
    unit = "px" if track.kind == "pose-2d" else "mm"
    return pages.render(
        "track.html.j2",
        path_of(track.name),
        truth=TRUTH[track.truth],
        sections=shown,
        apart=apart,
        compare=compare,
        curves=bool(data) and track.kind != "action",
        unit=unit,
        figures=figures(main, data, unit, track.primary.metric),
        scripts=("table", "plot", "track"),
        **given,
    )


def figures(table: Table, data: Mapping[str, str], unit: str, metric: str) -> dict:
    """Return what the scripts of a page draw: data files of rows, names, progress over time."""
    ranked = [row for row in table.scored if row.rank is not None]
    primary = table.primary
    return {
        "rows": {
            row.slug: {"name": row.method, "data": data.get(row.slug)} for row in table.scored
        },
        "first": [row.slug for row in ranked if row.slug in data][:4],
        "root": "../",
        "unit": unit,
        "progress": progress(table) if primary else [],
        "metric": metric,
        "percent": bool(primary and not primary.unit),
    }


def best_reported(table: Table) -> tuple[Row, str] | None:
    """Return the best reported row of a table by its primary column, and the column's key."""
    primary = table.primary
    if primary is None:
        return None
    rows = [r for r in table.reported if r.verified and r.cells.get(primary.key) is not None]
    rows = [r for r in rows if r.cells[primary.key].value is not None]
    if not rows:
        return None
    sign = -1 if primary.higher_is_better else 1
    return min(rows, key=lambda r: sign * (r.cells[primary.key].value or 0.0)), primary.key
