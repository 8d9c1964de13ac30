"""What a page shows of one table: columns that have numbers, groups, charts of intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hand_leaderboard.board import Column, Group, Row, Table
from hand_leaderboard.site import charts

#: Numbers that a table opens with; the others are a click away.
OPEN_COLUMNS = 4


@dataclass(frozen=True)
class Section:
    """One protocol on a track's page.

    Attributes
    ----------
    key
        The protocol's name, fit for an element's id.
    columns, reported_columns
        Those with a number in a scored row, and in a reported row.
    full
        Whether training data and links have columns (in the table that ranks; others stay small).
    """

    table: Table
    key: str
    columns: tuple[Column, ...]
    reported_columns: tuple[Column, ...]
    exports: tuple[tuple[str, str], ...] = ()
    pick: bool = False
    full: bool = False
    scale: charts.Scale | None = None
    opened: frozenset[str] = field(default_factory=frozenset)
    reported_opened: frozenset[str] = field(default_factory=frozenset)
    forest_width: int = charts.FOREST_WIDTH

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return self.table.protocol

    @property
    def source(self) -> str:
        """Where the protocol is from."""
        return self.table.source

    @property
    def main(self) -> bool:
        """Whether it ranks the track."""
        return self.table.main

    @property
    def groups(self) -> tuple[Group, ...]:
        """Its rank groups that have rows."""
        return tuple(group for group in self.table.groups if group.rows)

    @property
    def reported(self) -> tuple[Row, ...]:
        """What papers print."""
        return self.table.reported

    @property
    def scored_count(self) -> int:
        """Number of scored rows."""
        return sum(len(group.rows) for group in self.groups)

    @property
    def caption(self) -> str:
        """What a screen reader says first about the table."""
        return f"{self.table.title}, protocol {self.protocol}"

    @property
    def width(self) -> int:
        """Number of columns of the scored table."""
        plot = self.table.primary in self.columns
        return 4 + len(self.columns) + plot + self.judged + 2 * self.full

    @property
    def judged(self) -> bool:
        """Whether rows say if they are zero-shot (in suites their numbers do)."""
        return any(row.zero_shot for row in self.table.scored)

    def off(self, column: Column) -> str:
        """Return the mark of a column that scripts hide at first; "" for the others."""
        return _mark(column, self.opened)

    def reported_off(self, column: Column) -> str:
        """Return the same of the table of reported rows."""
        return _mark(column, self.reported_opened)

    def span(self, row: Row) -> charts.Span | None:
        """Return the pixels of a row's interval of the primary number."""
        primary = self.table.primary
        return charts.span(row.cells.get(primary.key), self.scale) if primary else None


def section(table: Table, *, pick: bool, exports: Iterable[tuple[str, str]]) -> Section:
    """Look through a table once: which columns have numbers, and on which scale intervals stand."""
    scored, reported = list(table.scored), list(table.reported)
    columns, printed = _with_numbers(table, scored), _with_numbers(table, reported)
    primary = table.primary
    cells = [row.cells[primary.key] for row in scored if primary and primary.key in row.cells]
    return Section(
        table,
        table.protocol,
        columns,
        printed,
        tuple(exports),
        pick,
        table.main,
        charts.forest_scale(cells),
        _opened(columns),
        _opened(printed),
    )


def _with_numbers(table: Table, rows: list[Row]) -> tuple[Column, ...]:
    used = {key for row in rows for key in row.cells}
    return tuple(c for c in table.columns if c.key in used)


def _opened(columns: tuple[Column, ...]) -> frozenset[str]:
    """Columns to begin with: the primary one, then those over all samples, then the others."""
    ranked = sorted(columns, key=lambda c: (not c.primary, c.subset != "all"))
    return frozenset(c.key for c in ranked[:OPEN_COLUMNS])


def _mark(column: Column, opened: frozenset[str]) -> str:
    from markupsafe import Markup

    return "" if column.key in opened else Markup(" data-off")
