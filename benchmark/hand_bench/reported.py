"""Reported numbers: what papers print, as data, shown beside computed scores and never mixed in.

`published/` holds one JSON file per paper, shaped as the paper's tables: columns, and rows of
values as printed (None for a dash). What a cell says is merged from the levels file, table,
column, row, cell; a later level overrides an earlier one, except that `note`, `training` and
`trained_on` are joined. An error in print keeps its value; what it should be is `corrected`.

Sources: each row names its paper, table, row and column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from hand_bench.results import Score

_JOINED: dict[str, Any] = {"note": "; ", "training": " ", "trained_on": []}
_STRUCTURE = ("columns", "columns_of", "rows", "defaults", "tables", "values", "cells")


@dataclass(frozen=True)
class Reported:
    """One number that a paper prints.

    `printed` is the number with its digits, `value` the same as a number in `unit` ("%" where the
    paper prints percent, "" for shares). `trained_on` names datasets with their split, `inputs`
    what the method was given ("name:value"); both are empty where the source is silent.
    """

    paper: str
    year: int
    venue: str
    title: str
    source: str
    table: str
    row: str
    column: str
    track: str
    method: str
    metric: str
    protocol: str
    value: float
    printed: str
    unit: str
    higher_is_better: bool
    subset: str = "all"
    training: str = ""
    trained_on: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    note: str = ""
    verified: bool = True
    corrected: float | None = None

    @property
    def number(self) -> float:
        """The value to compare by: corrected where there is an error in print."""
        return self.value if self.corrected is None else self.corrected

    @property
    def group(self) -> tuple[str, str, str]:
        """Protocol, metric and subset: only rows that share them are ranked together."""
        return self.protocol, self.metric, self.subset

    @property
    def rank_key(self) -> float:
        """What sorts the best first."""
        return -self.number if self.higher_is_better else self.number

    @property
    def decimals(self) -> int:
        """How many decimals the paper prints."""
        return len(self.printed.partition(".")[2])

    def text(self) -> str:
        """Return the value as printed, marked where it is wrong or unverified."""
        unit = " %" if self.unit == "%" else ""
        mark = f" (printed {self.printed})" if self.corrected is not None else ""
        mark += "" if self.verified else " (unverified)"
        return f"{self.number:.{self.decimals}f}{unit}{mark}"

    def lead(self, value: float, unit: str) -> float:
        """Return by how much this is better than a value, at the printed digits; 0 where level."""
        factor = {("", "%"): 100.0, ("%", ""): 0.01}.get((unit, self.unit), 1.0)
        gap = self.number - round(value * factor, self.decimals)
        return round(gap if self.higher_is_better else -gap, self.decimals)


def reported(
    track: str, *, protocol: str | None = None, metric: str | None = None, subset: str | None = None
) -> list[Reported]:
    """Return what papers report for a track, best first within each protocol, metric and subset.

    Groups come in the order of the files. A track without reported numbers gives an empty list.
    """
    asked = {"track": track, "protocol": protocol, "metric": metric, "subset": subset}
    wanted = {name: value for name, value in asked.items() if value is not None}
    rows = [r for r in _every_row() if all(getattr(r, k) == v for k, v in wanted.items())]
    groups = list(dict.fromkeys(r.group for r in rows))
    return sorted(rows, key=lambda r: (groups.index(r.group), r.rank_key))


def as_rows(track: str) -> list[dict[str, str]]:
    """Return the reported numbers of a track as text, one dictionary for each row of a table."""
    plain = ("protocol", "metric", "subset", "method", "training", "note")
    return [
        {name: getattr(r, name) for name in plain}
        | {"value": r.text(), "paper": f"{r.paper}, {r.table}", "inputs": ", ".join(r.inputs)}
        for r in reported(track)
    ]


def standing(score: Score, track: str) -> str | None:
    """Say where a score would stand among reported rows of its metric, subset and protocol.

    A model that a paper prints in several tables counts once; unverified rows do not count. Values
    are compared at the printed digits. Returns None where there is nothing to compare.
    """
    if score.value is None:
        return None
    found = reported(track, protocol=score.protocol, metric=score.metric, subset=score.subset)
    models = {(r.paper, r.method, r.number): r for r in found if r.verified}
    leads = [(r, r.lead(score.value, score.unit)) for r in models.values()]
    if not leads:
        return None
    better = [r for r, lead in leads if lead > 0]
    level = [r for r, lead in leads if lead == 0]
    worse = [r for r, lead in leads if lead < 0]
    parts = [
        *(f"behind {_named(r)}" for r in better[-1:]),
        *([f"level with {' and '.join(map(_named, level))}"] if level else []),
        *(f"before {_named(r)}" for r in worse[:1]),
    ]
    place = f"would stand {_ordinal(len(better) + 1)} beside {len(leads)} reported"
    return f"{place}: {', '.join(parts)}{_caution(score, [r for r, _ in leads])}"


def _named(row: Reported) -> str:
    return f"{row.method} {row.text()}"


def _caution(score: Score, rows: list[Reported]) -> str:
    """Say which inputs of the reported rows are not those of the score's signature."""
    parts = [part for part in score.signature.split("|") if ":" in part]
    given = dict(part.split(":", 1) for part in parts)
    given["root_depth"] = given.get("depth", "undeclared")
    used = {item: item.split(":", 1) for row in rows for item in row.inputs}
    other = [
        f"{item} (here {given.get(name, 'undeclared')})"
        for item, (name, value) in used.items()
        if given.get(name) != value
    ]
    return f"; careful: reported rows used {', '.join(other)}" if other else ""


def _ordinal(n: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{'th' if n % 100 in (11, 12, 13) else ending}"


@cache
def _every_row() -> tuple[Reported, ...]:
    folder = resources.files("hand_bench") / "published"
    papers = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return tuple(row for f in papers for row in _rows_of(f.read_text("utf-8")))


def _rows_of(text: str) -> Iterator[Reported]:
    """Read one paper; numbers stay text, so that their printed digits survive."""
    paper = json.loads(text, parse_float=str)
    tables = {table["table"]: table for table in paper["tables"]}
    for table in tables.values():
        columns = tables[table.get("columns_of", table["table"])]["columns"]
        for row in table["rows"]:
            for column, printed in zip(columns, row["values"], strict=True):
                if printed is not None:
                    cell = row.get("cells", {}).get(column["column"], {})
                    levels = (paper, paper["defaults"], table, table.get("defaults", {}))
                    yield _reported(printed, *levels, column, row, cell)


def _reported(printed: str, *levels: dict[str, Any]) -> Reported:
    merged: dict[str, Any] = {}
    for level in levels:
        for key, value in level.items():
            if key in _JOINED and key in merged:
                merged[key] = merged[key] + _JOINED[key] + value
            elif key not in _STRUCTURE:
                merged[key] = value
    for key in ("trained_on", "inputs"):
        merged[key] = tuple(merged.get(key, ()))
    if "corrected" in merged:
        merged["corrected"] = float(merged["corrected"])
    return Reported(**merged, printed=printed, value=float(printed))
