"""Tables of papers, made again: rows are trainings, columns are tracks.

A cell is scored by the protocol of the paper's own numbers, with the clustered interval of the
evaluator; of several seeds it is their mean, and the interval is wider by what the seeds differ.
What the paper prints stands beside it: other data, other sizes, not to be compared in millimetres.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hand_baselines.reproduce.effects import Effect, effect, seeds_add
from hand_baselines.reproduce.trainings import Answers, Scored, Size, Training, Workshop
from hand_bench.errors import BaselineError, unknown_name
from hand_bench.reported import reported
from hand_bench.results import format_value, rounded


@dataclass(frozen=True)
class Column:
    """A number of every row.

    Attributes
    ----------
    name
        As the paper's table has it (`hand_bench.published`).
    label
        As it is printed here.
    track, metric, protocol, subset
        Which number.
    compared
        Metric of `recommended` by which rows are compared in pairs.
    """

    name: str
    label: str
    track: str
    metric: str
    protocol: str
    compared: str
    subset: str = "all"


@dataclass(frozen=True)
class Row:
    """A method.

    Attributes
    ----------
    name
        As the paper's table has it.
    label
        As it is printed here.
    training
        Column -> what is trained for it (with the seed 0, of the preset `small`); None: a dash.
    """

    name: str
    label: str
    training: Callable[[Column], Training | None]


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper.

    Attributes
    ----------
    name
        What it is asked for by: "wildhands-table1".
    paper, table
        As `hand_bench.published` has them.
    title
        What it shows.
    columns, rows
        In order.
    pairs
        Names of rows (A, B) that are compared: B less A.
    sizes
        By name.
    notes
        What differs from the paper.
    """

    name: str
    paper: str
    table: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    pairs: tuple[tuple[str, str], ...]
    sizes: Mapping[str, Size]
    notes: str = ""

    def row(self, name: str) -> Row:
        """Return a row by its name or label; HB301 where there is none."""
        for row in self.rows:
            if name.lower() in (row.name.lower(), row.label.lower()):
                return row
        raise BaselineError(unknown_name(f"row of {self.name}", name, [r.name for r in self.rows]))

    def size(self, name: str) -> Size:
        """Return a size by name; HB301 where there is none."""
        if name not in self.sizes:
            raise BaselineError(unknown_name(f"size of {self.name}", name, list(self.sizes)))
        return self.sizes[name]

    def answers(self, row: Row, column: Column, size: Size, seed: int = 0) -> Answers | None:
        """Return what a cell is made of; None for a dash."""
        wanted = row.training(column)
        if wanted is None:
            return None
        return size.of(Answers(wanted, column.track), seed)

    def printed(self, row: Row, column: Column) -> str | None:
        """Return what the paper prints there."""
        real = column.track.removeprefix("handsim-")
        wanted = self.paper, self.table, row.name, column.name
        for one in (*reported(real), *reported(f"{real}-val")):
            if (one.paper, one.table, one.row, one.column) == wanted:
                return one.text()
        return None


@dataclass(frozen=True)
class Cell:
    """A number: mean over the seeds, its interval, each seed's, and what the paper prints."""

    column: str
    value: float
    unit: str
    ci95: tuple[float, float] | None
    seeds: list[float]
    n: int
    signature: str
    trainings: list[str]
    printed: str | None

    def text(self) -> str:
        """Return "31.08 (29.11 to 33.20)"."""
        shown = format_value(self.value, self.unit)
        if self.ci95 is None:
            return shown
        low, high = (format_value(end, self.unit) for end in self.ci95)
        return f"{shown} ({low} to {high})"


@dataclass(frozen=True)
class Made:
    """A table, or some of its rows, with its numbers.

    Attributes
    ----------
    table, paper, title, notes, size, seeds
        What was made, and how.
    columns
        Labels.
    rows
        Label -> cells; None: a dash.
    differences
        "B less A" -> column -> the effect, of the pairs that were made.
    trainings
        Name -> what the training's record says.
    """

    table: str
    paper: str
    title: str
    notes: str
    size: str
    seeds: int
    columns: list[str]
    rows: dict[str, list[Cell | None]]
    differences: dict[str, dict[str, Effect]]
    trainings: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, nine significant digits."""
        return rounded(asdict(self))


def make(
    table: PaperTable,
    workshop: Workshop,
    *,
    size: str = "small",
    seeds: int = 1,
    rows: Sequence[str] = (),
) -> Made:
    """Train, answer and score what a table needs.

    Parameters
    ----------
    table
        Which one.
    workshop
        Where trainings are kept: what is there is not made again.
    size
        One of the table's sizes.
    seeds
        How often everything is trained, with seeds from 0 on.
    rows
        Names of rows; default: all.

    Raises
    ------
    BaselineError
        HB301 for an unknown size or row.
    DatasetError
        HB201 where data is not prepared.
    """
    chosen = [table.row(name) for name in rows] or list(table.rows)
    sized, found = table.size(size), {}
    for row in chosen:
        for column in table.columns:
            wanted = [table.answers(row, column, sized, seed) for seed in range(seeds)]
            found[row.name, column.name] = [workshop.scored(a) for a in wanted if a is not None]
    cells = {
        row.label: [_cell(table, row, c, found[row.name, c.name]) for c in table.columns]
        for row in chosen
    }
    return Made(
        table.name,
        f"{table.paper}, {table.table}",
        table.title,
        table.notes,
        size,
        seeds,
        [column.label for column in table.columns],
        cells,
        _differences(table, chosen, found),
        {run.training: run.about() for runs in found.values() for run in runs},
    )


def _cell(table: PaperTable, row: Row, column: Column, runs: Sequence[Scored]) -> Cell | None:
    if not runs:
        return None
    scores = [run.result.score(column.metric, column.subset, column.protocol) for run in runs]
    values = [score.value for score in scores if score.value is not None]
    ends = [score.ci95 for score in scores if score.ci95 is not None]
    interval = seeds_add(values, ends)
    first = scores[0]
    return Cell(
        column.label,
        float(np.mean(values)),
        first.unit,
        interval,
        values,
        first.n,
        first.signature,
        [run.training for run in runs],
        table.printed(row, column),
    )


def _differences(
    table: PaperTable, rows: Sequence[Row], found: Mapping[tuple[str, str], list[Scored]]
) -> dict[str, dict[str, Effect]]:
    labels = {row.name: row.label for row in rows}
    made: dict[str, dict[str, Effect]] = {}
    for a, b in table.pairs:
        if a not in labels or b not in labels:
            continue
        for column in table.columns:
            sides = found[a, column.name], found[b, column.name]
            if all(sides):
                errors = [[run.errors for run in runs] for runs in sides]
                about = (column.track, column.compared, column.subset)
                name = f"{labels[b]} less {labels[a]}"
                made.setdefault(name, {})[column.label] = effect(*errors, *about)
    return made
