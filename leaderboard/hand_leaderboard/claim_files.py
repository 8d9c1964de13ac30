"""Reading the papers' claims and tables: the files of `hand-bench reproduce`.

A folder holds `claims.json` (every claim and table, as `hand-bench reproduce ls --json` prints
them), `CLAIM.json` for each claim that has run, beside it perhaps `CLAIM.md` with an explanation,
and a file for each table that has run. They are read as data: the models are not needed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hand_bench.errors import HandBenchError, Problem, unknown_name
from hand_leaderboard.claims import (
    VERDICTS,
    Cell,
    Claim,
    Claims,
    Difference,
    Finding,
    Judged,
    PaperTable,
    Run,
)

#: The list of all claims and tables.
LIST = "claims.json"

T = TypeVar("T")


def read_claims(folder: Path) -> Claims | None:
    """Read the files of a folder; None where it has no JSON file, or is not there.

    Raises
    ------
    HandBenchError
        With the problems of all files: HB146 for one that `hand-bench reproduce` did not write,
        HB301 for a claim or table that the list does not have.
    """
    paths = sorted(path for path in folder.glob("*.json") if path.name != LIST)
    if not paths and not (folder / LIST).is_file():
        return None
    claims, tables = _read(folder / LIST, _listed)
    problems: list[Problem] = []
    judged: dict[str, Judged] = {}
    made: list[PaperTable] = []
    for path in paths:
        try:
            found = _read(path, _result)
            if isinstance(found, PaperTable):
                _require_known(path, "table", found.name, list(tables))
                _require_own_name(path, f"{found.name}-{found.run.size}")
                made.append(found)
            else:
                name, result = found
                _require_known(path, "claim", name, list(claims))
                _require_own_name(path, name)
                judged[name] = replace(result, explanation=_explanation(path))
        except HandBenchError as error:
            problems += error.problems
    if problems:
        raise HandBenchError(problems)
    order = list(tables)
    made.sort(key=lambda table: order.index(table.name))
    return Claims(tuple(replace(c, judged=judged.get(c.name)) for c in claims.values()),
                  tuple(made))  # fmt: skip


def _read(path: Path, build: Callable[[Any, str], T]) -> T:
    """Read a JSON file; HB146 where it is lacking, damaged or of another form."""
    try:
        text = path.read_text("utf-8")
        return build(json.loads(text, parse_constant=_refuse), text)
    except FileNotFoundError:
        what = "is lacking: it lists every claim."
    except (OSError, ValueError, RecursionError) as error:
        what = f"is not what `hand-bench reproduce` writes: {error}."
    command = f"ls --json > {path}" if path.name == LIST else f"NAME -o {path}"
    raise HandBenchError(
        Problem("HB146", str(path), what, fix=f"`hand-bench reproduce {command}` writes it.")
    )


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _explanation(path: Path) -> str:
    beside = path.with_suffix(".md")
    return beside.read_text("utf-8") if beside.is_file() else ""


def _require_known(path: Path, kind: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise HandBenchError(replace(unknown_name(kind, name, known), where=str(path)))


def _require_own_name(path: Path, name: str) -> None:
    """Require one file for each claim, and table and size: two would be two verdicts."""
    if path.stem != name:
        raise HandBenchError(
            Problem("HB146", str(path), f"holds {name}.",
                    fix=f"Its place is {path.with_name(name)}.json: one result for each.")
        )  # fmt: skip


# From plain values; ValueError where something is lacking or of another kind ----------------------

_KINDS = {str: "a text", float: "a number", int: "a whole number", bool: "true or false",
          list: "a list", dict: "an object"}  # fmt: skip


def _get(values: Any, key: str, kind: type[T]) -> T:
    value = values.get(key) if isinstance(values, dict) else None
    return _as(value, kind, key)


def _as(value: Any, kind: type[T], key: str) -> T:
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or isinstance(value, bool) != (kind is bool):
        raise ValueError(f"{key!r} is lacking, or is not {_KINDS[kind]}")
    if kind is float and not math.isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{key!r} is not finite")
    return value  # type: ignore[return-value]


def _all(values: Any, key: str, kind: type[T]) -> tuple[T, ...]:
    return tuple(_as(value, kind, key) for value in _get(values, key, list))


def _word(text: str) -> str:
    """Return a name that is fit for files and anchors."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", text):
        raise ValueError(f"{text!r} is no name")
    return text


def _one_of_verdicts(values: Any, key: str) -> str:
    verdict = _get(values, key, str)
    if verdict not in VERDICTS:
        raise ValueError(f"{key!r} is {verdict!r}, none of {', '.join(VERDICTS)}")
    return verdict


def _listed(plain: Any, _: str) -> tuple[dict[str, Claim], dict[str, str]]:
    """Return claims by name, and titles of tables by name."""
    claims = {
        _word(name): Claim(name, _get(one, "paper", str), _get(one, "says", str),
                           _all(one, "predictions", str))
        for name, one in _get(plain, "claims", dict).items()
    }  # fmt: skip
    tables = _get(plain, "tables", dict)
    return claims, {_word(name): _get(one, "title", str) for name, one in tables.items()}


def _result(plain: Any, text: str) -> tuple[str, Judged] | PaperTable:
    if isinstance(plain, dict) and "table" in plain:
        return _table(plain, text)
    findings = tuple(_finding(one) for one in _get(plain, "findings", list))
    verdict = _one_of_verdicts(plain, "verdict")
    return _get(plain, "claim", str), Judged(_run(plain, text), verdict, findings)


def _run(plain: Any, text: str) -> Run:
    trainings = {name: _as(one, dict, name) for name, one in _get(plain, "trainings", dict).items()}
    size, seeds = _word(_get(plain, "size", str)), _get(plain, "seeds", int)
    return Run(size, seeds, _get(plain, "notes", str), trainings, text)


def _finding(plain: Any) -> Finding:
    return Finding(
        _get(plain, "name", str),
        _get(plain, "predicted", str),
        _one_of_verdicts(plain, "outcome"),
        _get(plain, "track", str),
        _difference(_get(plain, "effect", dict)),
    )


def _difference(plain: Any) -> Difference:
    return Difference(
        _get(plain, "metric", str),
        _get(plain, "subset", str),
        _get(plain, "a", float),
        _get(plain, "b", float),
        _get(plain, "difference", float),
        _get(plain, "unit", str),
        _get(plain, "higher_is_better", bool),
        _interval(plain),
        _all(plain, "seeds", float),
        _get(plain, "clusters", int),
        _get(plain, "n", int),
    )


def _interval(plain: Mapping[str, Any]) -> tuple[float, float] | None:
    if plain.get("ci95") is None:
        return None
    low, high = _all(plain, "ci95", float)
    return low, high


def _table(plain: Any, text: str) -> PaperTable:
    columns = _all(plain, "columns", str)
    if not _get(plain, "rows", dict):
        raise ValueError("'rows' is empty")
    rows = {label: tuple(_cells(label, cells, len(columns)))
            for label, cells in _get(plain, "rows", dict).items()}  # fmt: skip
    differences = {
        name: {column: _difference(one) for column, one in _as(found, dict, name).items()}
        for name, found in _get(plain, "differences", dict).items()
    }
    name, paper, title = (_get(plain, key, str) for key in ("table", "paper", "title"))
    return PaperTable(name, paper, title, _run(plain, text), columns, rows, differences)


def _cells(label: str, cells: Any, count: int) -> Iterator[Cell | None]:
    if len(_as(cells, list, label)) != count:
        raise ValueError(f"the row {label!r} does not have a cell for each column")
    for cell in cells:
        yield None if cell is None else _cell(cell)


def _cell(plain: Any) -> Cell:
    value, unit = _get(plain, "value", float), _get(plain, "unit", str)
    printed = None if plain.get("printed") is None else _get(plain, "printed", str)
    return Cell(value, unit, _interval(plain), printed)
