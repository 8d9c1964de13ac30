"""A track's page: its facts, one table per protocol, curves of chosen rows, progress over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hand_bench.tracks import Track, find_track
from hand_leaderboard.board import Board, Row, Table
from hand_leaderboard.board.interactive import progress
from hand_leaderboard.site import pages
from hand_leaderboard.site.table_sections import section

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


def page(
    board: Board, track: Track, *, exports: Exports, compare: str, data: Mapping[str, str]
) -> str:
    """Return a track's page.

    Parameters
    ----------
    exports
        Gives label and path of every export of a table.
    compare
        Path of its compare page, "" where fewer than two can be compared.
    data
        Data files of its submissions by row slug.
    """
    tables = board.tracks[track.name]
    sections = [section(t, pick=t.main and bool(data), exports=exports(t)) for t in tables]
    path, main = path_of(track.name), tables[0]
    unit = "px" if track.kind == "pose-2d" else "mm"
    return pages.render(
        "track.html.j2",
        path,
        track=track,
        procedural=main.procedural,
        truth=TRUTH[track.truth],
        sections=[s for s in sections if s.main or s.scored_count or s.reported],
        compare=compare,
        curves=bool(data) and track.kind != "action",
        unit=unit,
        figures=figures(main, data, unit, track.primary.metric),
        scripts=("table", "plot", "track"),
    )


def figures(table: Table, data: Mapping[str, str], unit: str, metric: str) -> dict:
    """Return what the scripts of a page draw: data files of rows, names, progress over time."""
    ranked = [row for row in table.scored if row.rank is not None]
    primary = table.primary
    return {
        "rows": {row.slug: {"name": row.method, "data": data.get(row.slug)} for row in table.scored},
        "first": [row.slug for row in ranked if row.slug in data][:4],
        "root": "../",
        "unit": unit,
        "progress": progress(table) if primary else [],
        "metric": metric,
        "percent": bool(primary and not primary.unit),
    }


def find(name: str) -> Track:
    """Return a track of the board."""
    return find_track(name)


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
