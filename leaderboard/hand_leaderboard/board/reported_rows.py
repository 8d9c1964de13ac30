"""Rows of papers: one for each row that a paper prints under a protocol of a track."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hand_bench import zero_shot
from hand_bench.errors import HandBenchError
from hand_bench.reported import Reported, reported
from hand_bench.tracks import Track
from hand_leaderboard.board.columns import column_key, full_inputs, slug, unique
from hand_leaderboard.board.tables import REPORTED, Cell, Column, Paper, Row

_Key = tuple[str, ...]


def reported_by_protocol(track: str) -> dict[str, list[Reported]]:
    """Return what papers print for a track by the name of the protocol, in the papers' order."""
    found: dict[str, list[Reported]] = {}
    for r in reported(track):
        found.setdefault(r.protocol, []).append(r)
    return found


def reported_rows(
    track: Track, numbers: Sequence[Reported], columns: Sequence[Column]
) -> tuple[Row, ...]:
    """Make the rows of one protocol, the best by the first column first, rows without it last.

    A paper's row becomes several where its columns differ in training data or inputs, or print the
    same number twice.
    """
    groups: dict[_Key, dict[str, Reported]] = {}
    for r in numbers:
        own = column_key(r.metric, r.subset)
        key = (r.paper, r.table, r.row, r.method, r.training, *r.trained_on, "|", *r.inputs)
        if own in groups.get(key, {}):
            key = (*key, "|", r.column)
        groups.setdefault(key, {})[own] = r
    units = {column.key: column.unit for column in columns}
    slugs = unique(
        slug(f"{r.paper} {r.table} {r.row}")
        for r in (next(iter(g.values())) for g in groups.values())
    )
    rows = [
        _row(track, name, group, units) for name, group in zip(slugs, groups.values(), strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: _order(row, columns)))


def _order(row: Row, columns: Sequence[Column]) -> list[tuple[bool, float]]:
    """Best first by the primary column, among rows without that number by the next, and so on."""
    key = []
    for column in columns:
        cell = row.cells.get(column.key)
        if cell is None or cell.value is None:
            key.append((True, 0.0))
        else:
            key.append((False, -cell.value if column.higher_is_better else cell.value))
    return key


def _row(track: Track, name: str, group: Mapping[str, Reported], units: Mapping[str, str]) -> Row:
    any_cell = next(iter(group.values()))
    notes = list(dict.fromkeys(r.note for r in group.values()))
    common = notes[0] if len(notes) == 1 else ""
    inputs = full_inputs(track, any_cell.inputs)
    verdict, why = _zero_shot(any_cell.trained_on, track)
    return Row(
        kind=REPORTED,
        method=any_cell.method,
        slug=name,
        cells={key: _cell(r, units[key], common) for key, r in group.items()},
        source=f"{any_cell.paper}, {any_cell.table}, row {any_cell.row}",
        authors=any_cell.paper,
        date=str(any_cell.year),
        paper=paper_of(any_cell),
        inputs=any_cell.inputs,
        group=slug(" ".join((REPORTED, *inputs))),
        training=any_cell.trained_on,
        training_text=any_cell.training or ", ".join(any_cell.trained_on),
        zero_shot=verdict,
        zero_shot_why=why,
        note=common,
        verified=all(r.verified for r in group.values()),
    )


def _cell(r: Reported, unit: str, common: str) -> Cell:
    """Return a number in the unit of its column, with as many digits as the paper prints."""
    value = r.number / 100 if (r.unit, unit) == ("%", "") else r.number
    shown = 100 * value if unit == "" else value
    digits = r.decimals if unit or r.unit == "%" else max(0, r.decimals - 2)
    return Cell(
        value=float(f"{value:.9g}"),
        text=f"{shown:.{digits}f}",
        unit=unit,
        note="" if r.note == common else r.note,
        printed=r.printed,
        corrected=r.corrected is not None,
        verified=r.verified,
    )


def _zero_shot(trained_on: tuple[str, ...], track: Track) -> tuple[str, str]:
    try:
        found = zero_shot.status(trained_on, track)
    except HandBenchError as error:
        return zero_shot.UNDECLARED, error.problems[0].what
    return found.verdict, found.why


def paper_of(r: Reported) -> Paper:
    """Return what a reported number is cited by."""
    return Paper(r.title, source_url(r.source), name=r.paper, year=r.year, venue=r.venue)


def source_url(source: str) -> str:
    """Return the address of what a published file names as its source; "" where it names none."""
    paper = re.match(r"arXiv (\d{4}\.\d{4,5})", source)
    if paper:
        return f"https://arxiv.org/abs/{paper[1]}"
    if re.match(r"[a-z0-9-]+(\.[a-z0-9-]+)+/", source):
        return f"https://{source.split(';')[0].split(',')[0].strip()}"
    repository = re.match(r"([\w.-]+/[\w.-]+)", source)
    return f"https://github.com/{repository[1]}" if repository else ""
