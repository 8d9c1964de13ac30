"""JSON: everything that a table holds, under names that stay."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hand_bench.results import rounded
from hand_leaderboard.board.tables import Group, Row, Table

FORMAT = "hand-bench table 1"


def table_data(table: Table) -> dict[str, Any]:
    """Return a table as plain values: shares are shares, intervals are pairs, absent is null."""
    return rounded(
        {
            "format": FORMAT,
            "name": table.name,
            "track": table.track,
            "suite": table.suite,
            "protocol": table.protocol,
            "title": table.title,
            "source": table.source,
            "procedural": table.procedural,
            "columns": [dict(vars(column)) for column in table.columns],
            "groups": [_group(group) for group in table.groups],
            "reported": [_row(row) for row in table.reported],
        }
    )


def json_text(table: Table) -> str:
    """Return a table as JSON, a row in each line; not escaped for HTML."""
    data = table_data(table)
    groups = [
        _object({**group, "rows": _Text(_lines(map(_json, group["rows"])))})
        for group in data["groups"]
    ]
    listed = {
        "groups": _Text(_lines(groups)),
        "reported": _Text(_lines(map(_json, data["reported"]))),
    }
    return _object({**data, **listed}, between=",\n") + "\n"


class _Text(str):
    """A text that is JSON already."""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _object(values: dict[str, Any], between: str = ", ") -> str:
    parts = (f"{_json(k)}: {v if isinstance(v, _Text) else _json(v)}" for k, v in values.items())
    return f"{{{between.join(parts)}}}"


def _lines(items: Iterable[str]) -> str:
    text = ",\n".join(items)
    return f"[\n{text}\n]" if text else "[]"


def _group(group: Group) -> dict[str, Any]:
    plain = {k: v for k, v in vars(group).items() if k != "rows"}
    return {**plain, "rows": [_row(row) for row in group.rows]}


def _row(row: Row) -> dict[str, Any]:
    plain = dict(vars(row))
    cells = {key: _given(vars(cell)) for key, cell in plain.pop("cells").items()}
    plain["paper"] = _given(vars(row.paper)) if row.paper else None
    return {**_given(plain), "rank": row.rank, "cells": cells}


def _given(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is empty; a value of None stays: the number is known not to be there."""
    return {k: v for k, v in plain.items() if k == "value" or v not in (None, "", (), [])}
