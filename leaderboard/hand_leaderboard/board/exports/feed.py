"""The Atom feed of the newest submissions."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from hand_leaderboard.board.exports.badges import badge_text
from hand_leaderboard.board.exports.sections import one_line
from hand_leaderboard.board.tables import Board, Row, Table

#: When nothing was submitted yet.
_EMPTY = "1970-01-01T00:00:00Z"


def own_folder(row: Row) -> str:
    """Return the page of a row, below the address of the site: a folder of its own."""
    return f"{row.submission}/"


def atom(
    board: Board,
    *,
    base_url: str = "",
    limit: int = 50,
    page_of: Callable[[Row], str] = own_folder,
) -> str:
    """Return the feed, the newest first.

    Parameters
    ----------
    board
        The board.
    base_url
        Where the site is. Without it entries have no links.
    limit
        Entries at most.
    page_of
        Gives the page of a row, below `base_url`.
    """
    rows = [
        (table, row)
        for name in board.tracks
        for table in [board.main_table(name)]
        for row in table.scored
    ]
    rows.sort(key=lambda item: item[1].submission)
    rows.sort(key=lambda item: item[1].date, reverse=True)
    newest = _time(rows[0][1].date) if rows else _EMPTY
    base = base_url.rstrip("/")
    itself = f'<link rel="self" href={quoteattr(f"{base}/feed.xml")}/>\n' if base else ""
    entries = "".join(_entry(table, row, base, page_of(row)) for table, row in rows[:limit])
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<title>hand-bench: new submissions</title>\n<id>{_uuid('feed')}</id>\n"
        f"<updated>{newest}</updated>\n<author><name>hand-bench</name></author>\n{itself}"
        f"{entries}</feed>\n"
    )


def _entry(table: Table, row: Row, base: str, page: str) -> str:
    link = f"<link href={quoteattr(f'{base}/{page}')}/>\n" if base else ""
    return (
        f"<entry>\n<title>{_text(f'{row.method} on {table.track}')}</title>\n"
        f"<id>{_uuid(row.submission)}</id>\n<updated>{_time(row.date)}</updated>\n"
        f"<author><name>{_text(row.authors or 'unknown')}</name></author>\n{link}"
        f"<category term={quoteattr(row.kind)}/>\n"
        f'<summary type="text">{_text(f"{row.kind}; {badge_text(table, row)}")}</summary>\n'
        "</entry>\n"
    )


def _text(text: str) -> str:
    return escape(one_line(text))


def _time(date: str) -> str:
    return f"{date}T00:00:00Z"


def _uuid(name: str) -> str:
    """Return an id that stays the same wherever the site is."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'hand-bench submission {name}')}"
