"""Suites: several tracks in one table, with a mean rank over them.

`wildhands-zero-shot` is the evaluation of Prakash et al. (ECCV 2024, Section 4.2): one model, never
trained on the dataset that it is tested on, on four egocentric datasets. A method's rank on a track
is its place by the track's first column among the methods that have that number and are zero-shot
there (places of equals are shared); the mean rank is printed for methods that have all of them.
Numbers that a paper reports stand in a table of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hand_bench import zero_shot
from hand_bench.errors import HandBenchError, Problem, TrackError, unknown_name
from hand_bench.reported import reported
from hand_bench.results import format_value


@dataclass(frozen=True)
class Column:
    """One number of a suite's table; lower is better."""

    label: str
    track: str
    metric: str
    protocol: str
    unit: str
    subset: str = "all"


@dataclass(frozen=True)
class Suite:
    """Tracks that are reported together; the first column of each track ranks it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    source: str

    @property
    def tracks(self) -> tuple[str, ...]:
        """Its tracks, in order."""
        return tuple(dict.fromkeys(column.track for column in self.columns))

    @property
    def ranking(self) -> tuple[Column, ...]:
        """The column of each track that ranks."""
        return tuple(next(c for c in self.columns if c.track == t) for t in self.tracks)


def _wildhands(label: str, track: str, metric: str, unit: str = "mm") -> Column:
    return Column(label, track, metric, "wildhands", unit)


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "wildhands-zero-shot",
            "Zero-shot on four egocentric datasets",
            (
                _wildhands("H2O MPJPE", "h2o-pose-val", "MPJPE"),
                _wildhands("H2O MRRPE", "h2o-pose-val", "MRRPE"),
                _wildhands("Assembly MPJPE", "assemblyhands", "MPJPE"),
                _wildhands("Assembly MRRPE", "assemblyhands", "MRRPE"),
                _wildhands("Ego-Exo4D MPJPE", "egoexo4d-hand", "MPJPE"),
                _wildhands("Epic-HandKps L2", "epic-handkps", "L2 error 2D", "px"),
            ),
            "Prakash et al., 3D Hand Pose Estimation in Everyday Egocentric Images, ECCV 2024",
        ),
    )
}


@dataclass
class Row:
    """One method: its numbers by column label, and on which tracks it is not zero-shot."""

    method: str
    values: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    partial: dict[str, str] = field(default_factory=dict)
    mean_rank: float | None = None

    def ranked_on(self, column: Column) -> bool:
        """Whether the method takes part in a column's ranking."""
        verdict = self.verdicts.get(column.track, zero_shot.UNDECLARED)
        excluded = verdict in (zero_shot.IN_DOMAIN, zero_shot.SAME_CORPUS)
        return column.label in self.values and not excluded and column.track not in self.partial


def find_suite(name: str) -> Suite:
    """Return a suite by name; HB301 with the nearest one otherwise."""
    if name not in SUITES:
        raise TrackError(unknown_name("suite", name, list(SUITES)))
    return SUITES[name]


def computed(suite: Suite, methods: Iterable[str | Path]) -> list[Row]:
    """Make the table of methods from results that `evaluate -o` wrote.

    Parameters
    ----------
    suite
        The suite.
    methods
        Result files (grouped by the method that they name), or one folder for each method with
        result files and, for its zero-shot verdicts, a submission.yaml.

    Raises
    ------
    HandBenchError
        HB402 for files that cannot be read or are no results, HB106 for two results of one method
        on one track.
    """
    rows: dict[str, Row] = {}
    for path in map(Path, methods):
        if path.is_dir():
            row = rows.setdefault(path.name, Row(path.name))
            submission = path / "submission.yaml"
            if submission.is_file():
                for track in suite.tracks:
                    row.verdicts[track] = zero_shot.zero_shot(submission, track).verdict
            for file in sorted(path.glob("*.json")):
                _add(suite, row, _read(file), file)
        else:
            result = _read(path)
            name = result["predictions"].get("method") or path.stem
            _add(suite, rows.setdefault(name, Row(name)), result, path)
    return rank(suite, list(rows.values()))


def printed(suite: Suite) -> list[Row]:
    """Make the table of numbers that papers report.

    A model that several tables print with the same numbers is one row, so that it counts once.
    """
    rows: dict[tuple[str, str, str], Row] = {}
    for column in suite.columns:
        known = reported(
            column.track, protocol=column.protocol, metric=column.metric, subset=column.subset
        )
        for item in known:
            key = item.method, item.table, item.row
            rows.setdefault(key, Row(item.method)).values[column.label] = item.number
    merged: list[tuple[Row, list[str]]] = []
    for (_, table, _), row in sorted(rows.items(), key=lambda item: item[0]):
        for known, tables in merged:
            if known.method == row.method and _agree(known, row):
                known.values |= row.values
                tables.append(table)
                break
        else:
            merged.append((row, [table]))
    for row, tables in merged:
        numbers = [table.removeprefix("Table ") for table in dict.fromkeys(tables)]
        row.method = f"{row.method}, Table{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
    return rank(suite, [row for row, _ in merged])


def _agree(one: Row, other: Row) -> bool:
    shared = set(one.values) & set(other.values)
    return bool(shared) and all(one.values[c] == other.values[c] for c in shared)


def rank(suite: Suite, rows: list[Row]) -> list[Row]:
    """Fill in the mean ranks; the best first, methods without one last."""
    places: dict[int, list[float]] = {id(row): [] for row in rows}
    for column in suite.ranking:
        taking = [row for row in rows if row.ranked_on(column)]
        for row in taking:
            own = row.values[column.label]
            better = sum(other.values[column.label] < own for other in taking)
            equal = sum(other.values[column.label] == own for other in taking)
            places[id(row)].append(better + (equal + 1) / 2)
    for row in rows:
        found = places[id(row)]
        if len(found) == len(suite.ranking):
            row.mean_rank = sum(found) / len(found)
    return sorted(rows, key=lambda row: (row.mean_rank is None, row.mean_rank or 0.0))


def cells(suite: Suite, row: Row) -> list[str]:
    """Return a row as text: "*" marks a track on which the method is not zero-shot."""
    texts = [row.method]
    for column in suite.columns:
        value = row.values.get(column.label)
        mark = "" if value is None or row.verdicts.get(column.track) is None else "*"
        if row.verdicts.get(column.track) in (zero_shot.ZERO_SHOT, zero_shot.UNDECLARED):
            mark = ""
        if column.track in row.partial and value is not None:
            mark += "†"
        texts.append("–" if value is None else format_value(value, column.unit) + mark)
    texts.append("–" if row.mean_rank is None else f"{row.mean_rank:.2f}")
    return texts


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text("utf-8"))
        if not isinstance(result, dict) or not {"track", "scores", "predictions"} <= set(result):
            raise ValueError("it has no track, scores and predictions")
        return result
    except (OSError, ValueError, RecursionError) as error:
        raise HandBenchError(
            Problem(
                "HB402",
                str(path),
                f"is not a result that can be read ({error}).",
                fix="`hand-bench evaluate PREDS --track T -o result.json` writes one.",
            )
        ) from error


def _add(suite: Suite, row: Row, result: dict[str, Any], path: Path) -> None:
    """Take a result's numbers into the row of its method."""
    track = result["track"]["name"]
    for column in (c for c in suite.columns if c.track == track):
        if column.label in row.values:
            raise HandBenchError(
                Problem(
                    "HB106",
                    str(path),
                    f"is a second result of {row.method!r} on {track}.",
                    fix="Give one result for each method and track (`method` is declared in the "
                    "predictions file), or one folder for each method.",
                )
            )
        score = _score(result["scores"], column)
        if score is not None and score["value"] is not None:
            row.values[column.label] = score["value"]
            if score.get("ci95"):
                low, high = score["ci95"]
                row.intervals[column.label] = (low, high)
    if result.get("partial"):
        row.partial[track] = result["partial"]


def _score(scores: Sequence[dict[str, Any]], column: Column) -> dict[str, Any] | None:
    wanted = (column.metric, column.subset, column.protocol)
    found = (s for s in scores if (s["metric"], s["subset"], s["protocol"]) == wanted)
    return next(found, None)
