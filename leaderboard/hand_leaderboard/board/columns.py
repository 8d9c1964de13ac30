"""Columns of a track's tables, and names that are fit for files, element ids and addresses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from hand_bench.reported import Reported
from hand_bench.tracks import Track
from hand_leaderboard.board.tables import Column

#: Inputs as they are shown.
_SHOWN = {"root_depth": "root depth", "hand_side": "hand side"}


@lru_cache(maxsize=4096)
def slug(text: str) -> str:
    """Return a text in lower case letters, digits and single hyphens; "x" where none is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "x"


def unique(names: Iterable[str]) -> list[str]:
    """Number the repetitions: "a", "a-2", "a-3"."""
    seen: dict[str, int] = {}
    taken, out = set(), []
    for name in names:
        chosen = name
        while chosen in taken:
            seen[name] = seen.get(name, 1) + 1
            chosen = f"{name}-{seen[name]}"
        taken.add(chosen)
        out.append(chosen)
    return out


def column_key(metric: str, subset: str) -> str:
    """Return the key of a number: "mpjpe", "mpjpe-ih"."""
    return slug(metric) if subset == "all" else f"{slug(metric)}-{slug(subset)}"


def column_label(metric: str, subset: str) -> str:
    """Return what stands in the head of a column: "MPJPE", "MPJPE IH"."""
    return metric if subset == "all" else f"{metric} {subset}"


def scored_columns(track: Track, protocol: str) -> list[Column]:
    """Return the columns that a protocol of a track gives, the one that orders it first.

    That is the track's primary number under its own protocol; under another the first measure,
    over every sample if it is printed for them.
    """
    columns = [
        Column(
            column_key(measure.metric, subset),
            column_label(measure.metric, subset),
            measure.metric,
            protocol,
            subset,
            measure.unit,
            measure.higher_is_better,
        )
        for measure, subsets in track.protocol(protocol).measures
        for subset in subsets
    ]
    chosen = track.primary
    if protocol == chosen.protocol:
        return first(columns, column_key(chosen.metric, chosen.subset))
    return first(columns)


def reported_columns(known: Sequence[Column], reported: Iterable[Reported]) -> list[Column]:
    """Return columns for the numbers that only papers print, in the order of the papers."""
    keys = {column.key for column in known}
    extra: dict[str, Column] = {}
    for r in reported:
        key = column_key(r.metric, r.subset)
        if key not in keys and key not in extra:
            label, unit = column_label(r.metric, r.subset), "" if r.unit == "%" else r.unit
            extra[key] = Column(
                key, label, r.metric, r.protocol, r.subset, unit, r.higher_is_better,
                only_reported=True,
            )  # fmt: skip
    return list(extra.values())


def first(columns: Sequence[Column], key: str = "") -> list[Column]:
    """Put the column that orders a table first, and mark it.

    Parameters
    ----------
    columns
        In the order of the protocol.
    key
        Of the column; "" takes the first metric, over every sample where it is printed for them.
    """
    if not columns:
        return []
    if not key:
        metric = columns[0].metric
        of_metric = [c for c in columns if c.metric == metric]
        key = next((c for c in of_metric if c.subset == "all"), of_metric[0]).key
    chosen = next(c for c in columns if c.key == key)
    return [replace(chosen, primary=True), *(c for c in columns if c.key != key)]


def full_inputs(track: Track, declared: Iterable[str]) -> tuple[str, ...]:
    """Return "name:value" for every input of a track, then for others that are declared.

    What is not declared is "undeclared". Of a name that is declared twice the last one counts.
    """
    given = dict(item.partition(":")[::2] for item in declared)
    asked = {name: given.get(name, "undeclared") for name in track.inputs}
    others = {name: given[name] for name in sorted(given) if name not in asked}
    return tuple(f"{name}:{value}" for name, value in (asked | others).items())


def is_standard(inputs: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether every input has the track's standard value and nothing else is declared."""
    pairs = (item.partition(":")[::2] for item in inputs)
    return all(name in known and value == known[name][0] for name, value in pairs)


def inputs_label(inputs: Iterable[str]) -> str:
    """Return inputs for captions: "boxes: standard, root depth: own"."""
    pairs = (item.partition(":")[::2] for item in inputs)
    return ", ".join(f"{_SHOWN.get(name, name)}: {value}" for name, value in pairs)
