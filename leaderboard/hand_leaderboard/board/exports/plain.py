"""JSON: everything that a table holds, under names that stay."""

from __future__ import annotations

import json
from dataclasses import asdict
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
            "columns": [asdict(column) for column in table.columns],
            "groups": [_group(group) for group in table.groups],
            "reported": [_row(row) for row in table.reported],
        }
    )


def json_text(table: Table) -> str:
    """Return a table as JSON; not escaped for HTML."""
    return json.dumps(table_data(table), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _group(group: Group) -> dict[str, Any]:
    plain = {k: v for k, v in vars(group).items() if k != "rows"}
    return {**plain, "rows": [_row(row) for row in group.rows]}


def _row(row: Row) -> dict[str, Any]:
    plain = asdict(row)
    cells = {key: _given(cell) for key, cell in plain.pop("cells").items()}
    plain["paper"] = _given(plain["paper"]) if plain["paper"] else None
    return {**_given(plain), "rank": row.rank, "cells": cells}


def _given(plain: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty; a value of None stays: the number is known not to be there."""
    return {k: v for k, v in plain.items() if k == "value" or v not in (None, "", (), [])}
