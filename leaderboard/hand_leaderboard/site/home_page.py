"""The first page: every track with its top group; HandSim apart from real data."""

from __future__ import annotations

from typing import Any

from hand_bench.tracks import Track, find_track
from hand_leaderboard.board import Board, Row, Table
from hand_leaderboard.claims import Claims
from hand_leaderboard.site import claims_page, pages
from hand_leaderboard.site.track_pages import best_reported, path_of

#: Members of a top group that are named; the others are counted.
NAMED = 3
KINDS = {"pose": "3D pose", "pose-2d": "2D pose", "action": "Actions from poses"}


def page(board: Board, claims: Claims | None = None) -> str:
    """Return the first page; `claims` that were run on HandSim are named there."""
    real = [_track(board, find_track(name)) for name in board.real]
    groups = [(KINDS[kind], [row for row in real if row["kind"] == kind]) for kind in KINDS]
    return pages.render(
        "home.html.j2",
        "index.html",
        counts=_counts(board),
        real=[(title, rows) for title, rows in groups if rows],
        procedural=[_track(board, find_track(name)) for name in board.procedural],
        suites=[_suite(name, table) for name, table in board.suites.items()],
        claims={"path": claims_page.PATH, "text": claims_page.summary(claims)} if claims else None,
    )


def _counts(board: Board) -> list[tuple[str, str]]:
    """Return numbers of real data alone, with their labels."""
    tables = [t for name in board.real for t in board.tracks[name]]
    methods = {row.submission for t in tables for row in t.scored}
    printed = sum(len(t.reported) for t in tables)
    protocols = {(t.track, t.protocol) for t in tables}
    return [
        (f"{len(board.real)}", "tracks on real data"),
        (f"{len(protocols)}", "protocols"),
        (f"{len(methods):,}", "scored submissions"),
        (f"{printed:,}", "rows reported in papers"),
    ]


def _suite(name: str, table: Table) -> dict[str, str]:
    rows = len(list(table.scored))
    text = f"{rows} scored, {len(table.reported)} reported"
    return {"path": f"suites/{name}.html", "title": table.title, "text": text}


def _track(board: Board, track: Track) -> dict[str, Any]:
    main = board.main_table(track.name)
    top, column = board.top_group(track.name), main.primary
    tables = board.tracks[track.name]
    return {
        "name": track.name,
        "title": track.title,
        "kind": track.kind,
        "path": path_of(track.name),
        "ranked_by": track.primary.metric,
        "protocol": track.primary.protocol,
        "top": [_entry(row, main) for row in top[:NAMED]] if column else [],
        "more": max(len(top) - NAMED, 0),
        "group": _group(main, top[0]) if top else "",
        "reported": _reported(tables),
        "scored": len(list(main.scored)),
        "printed": sum(len(t.reported) for t in tables),
    }


def _entry(row: Row, table: Table) -> dict[str, str]:
    assert table.primary is not None
    cell = row.cells[table.primary.key]
    interval = cell.interval_text.replace(" to ", "–")
    return {
        "method": row.method,
        "path": pages.page_of(row),
        "text": cell.text,
        "unit": table.primary.shown_unit,
        "interval": interval,
    }


def _group(table: Table, row: Row) -> str:
    group = next(g for g in table.groups if g.key == row.group and row in g.rows)
    return f"{group.kind}; {group.label}" if group.label else group.kind


def _reported(tables: tuple[Table, ...]) -> dict[str, str] | None:
    """Return the best reported row of the first table that has one."""
    for table in tables:
        found = best_reported(table)
        if found is not None and table.primary is not None:
            row, key = found
            return {
                "method": row.method,
                "text": row.cells[key].text,
                "unit": table.primary.shown_unit,
                "column": f"{table.protocol} {table.primary.label}",
                "source": row.source,
            }
    return None
