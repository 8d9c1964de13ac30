"""SVG badges: "hand-bench | handsim-stb: #1, AUC(0-50) 0.87"."""

from __future__ import annotations

from xml.sax.saxutils import escape

from hand_leaderboard.board.exports.sections import one_line
from hand_leaderboard.board.tables import Row, Table

#: Widths of characters in an 11 pixel sans-serif face, tenths of a pixel; others are 68.
_NARROW = dict.fromkeys("iIjl.,:;|!'` ", 35) | dict.fromkeys("frt()[]-", 45)
_WIDE = dict.fromkeys("mwMW%@", 105) | dict.fromkeys("ABCDEGHKNOPQRUVXYZ", 80)
_WIDTHS = _NARROW | _WIDE
_LEFT = "hand-bench"
#: Dark enough for white letters (contrast 4.5 and more).
_GREY, _BLUE, _BROWN = "#444c56", "#0b61a4", "#7a4b00"


def badge(table: Table, row: Row) -> str:
    """Return the badge of a row of a track's table: its rank and primary number.

    HandSim's badges have another colour. A rank that others may share has its interval beside it.
    """
    return badge_svg(badge_text(table, row), _BROWN if table.procedural else _BLUE)


def badge_text(table: Table, row: Row) -> str:
    """Return what a badge says: "handsim-stb: #1, AUC(0-50) 0.87"."""
    name = table.track or table.suite
    column = table.primary
    cell = row.cells.get(column.key) if column else None
    parts = [_place(row)]
    if column and cell and cell.value is not None:
        unit = f" {column.unit}" if column.unit and column.unit != "place" else ""
        parts.append(f"{column.label} {cell.value:.2f}{unit}")
    return f"{name}: {', '.join(parts)}"


def _place(row: Row) -> str:
    if row.rank is None:
        return row.kind if row.source else "not ranked"
    low, high = row.rank_interval or (row.rank, row.rank)
    return f"#{row.rank}" if low == high else f"#{row.rank} ({low}–{high})"


def badge_svg(text: str, colour: str) -> str:
    """Return a badge with any text; the width of its letters is fixed, so that none is cut."""
    message = escape(one_line(text), {'"': "&quot;"})
    left, right = _width(_LEFT), _width(one_line(text))
    total = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" '
        f'aria-label="{_LEFT}: {message}">\n'
        f"<title>{_LEFT}: {message}</title>\n"
        f'<rect width="{total}" height="20" rx="3" fill="{_GREY}"/>\n'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z" '
        f'fill="{colour}"/>\n'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">\n'
        f'<text x="6" y="14" textLength="{left - 12}">{_LEFT}</text>\n'
        f'<text x="{left + 6}" y="14" textLength="{right - 12}">{message}</text>\n'
        "</g>\n</svg>\n"
    )


def _width(text: str) -> int:
    return 12 + round(sum(_WIDTHS.get(character, 68) for character in text) / 10)
