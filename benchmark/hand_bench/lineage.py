"""Where datasets come from: corpora, splits, and what the training mixes of models contain.

The facts are data (`lineage.json`), each with its source and `verified: false` where the source
could not confirm it. A dataset that is made from another one's recordings has it as parent; the
dataset at the top of the line is the corpus. HandSim's look-alikes (`handsim-<real track>`) are
not listed: all of them come from `handsim`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from hand_bench.errors import Problem, SubmissionError, unknown_name

#: Prefix of the procedural look-alikes of real tracks; they share the corpus of that name.
HANDSIM = "handsim"


@dataclass(frozen=True)
class Fact:
    """What every statement of the lineage carries."""

    source: str
    verified: bool = True


@dataclass(frozen=True, kw_only=True)
class Parent(Fact):
    """A dataset, and where known the split of it, that another one is made from."""

    name: str
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class Split(Fact):
    """One split of a dataset."""

    name: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Separation(Fact):
    """What two splits share: "shared", "disjoint", or None where no source says."""

    between: tuple[str, str]
    subjects: str | None = None
    recordings: str | None = None

    def text(self) -> str:
        """Return one phrase: "subjects disjoint, recordings disjoint"."""
        known = {"subjects": self.subjects, "recordings": self.recordings}
        return ", ".join(f"{what} {how}" for what, how in known.items() if how)


@dataclass(frozen=True, kw_only=True)
class DatasetLineage(Fact):
    """A dataset, its parents and splits; `wildhands_name` is what WildHands calls it, if it does.

    Where `splits` is empty no source lists them, and any split may be declared.
    """

    name: str
    title: str
    parents: tuple[Parent, ...] = ()
    splits: tuple[Split, ...] = ()
    separations: tuple[Separation, ...] = ()
    wildhands_name: str | None = None

    def separation(self, one: str | None, other: str | None) -> Separation | None:
        """Return what is known about two splits, in either order."""
        return next((s for s in self.separations if set(s.between) == {one, other}), None)


@dataclass(frozen=True)
class TrainingData:
    """One line of a declaration: a dataset (or mix), its split, and what was used of it."""

    dataset: str
    split: str | None = None
    labels: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = f"{self.dataset}/{self.split}" if self.split else self.dataset
        return f"{name} ({', '.join(self.labels)})" if self.labels else name


@dataclass(frozen=True, kw_only=True)
class Part(Fact):
    """One dataset of a mix."""

    training: TrainingData


@dataclass(frozen=True, kw_only=True)
class Mix(Fact):
    """The training data of a published model under one name; `note` says where sources differ."""

    name: str
    title: str
    parts: tuple[Part, ...]
    note: str = ""


@dataclass(frozen=True)
class Lineage:
    """All datasets and mixes by name."""

    datasets: Mapping[str, DatasetLineage]
    mixes: Mapping[str, Mix]


@cache
def load() -> Lineage:
    """Read the lineage that is shipped with the package."""
    text = resources.files("hand_bench").joinpath("lineage.json").read_text("utf-8")
    stored = json.loads(text)
    return Lineage(
        {name: _dataset(name, entry) for name, entry in stored["datasets"].items()},
        {name: _mix(name, entry) for name, entry in stored["mixes"].items()},
    )


def _dataset(name: str, entry: dict[str, Any]) -> DatasetLineage:
    separations = [
        Separation(**{**row, "between": tuple(row["between"])})
        for row in entry.get("separations", ())
    ]
    lists = {
        "parents": tuple(Parent(**row) for row in entry.get("parents", ())),
        "splits": tuple(Split(**row) for row in entry.get("splits", ())),
        "separations": tuple(separations),
    }
    return DatasetLineage(name=name, **{**entry, **lists})


def _mix(name: str, entry: dict[str, Any]) -> Mix:
    parts = [Part(**{**row, "training": _split_up(row["training"])}) for row in entry["parts"]]
    return Mix(name=name, **{**entry, "parts": tuple(parts)})


def known_names() -> tuple[str, ...]:
    """Return every name that a declaration may use: datasets, then mixes."""
    return (*load().datasets, *load().mixes)


def find(name: str) -> DatasetLineage | None:
    """Return a dataset by name, None where there is none (a mix is not a dataset)."""
    known = load().datasets
    sibling = name.removeprefix(f"{HANDSIM}-")
    if sibling != name and any(f"{sibling}-".startswith(f"{real}-") for real in known):
        root = known[HANDSIM]
        parents = (Parent(root.source, name=HANDSIM),)
        return DatasetLineage(
            root.source, name=name, title=f"HandSim for {sibling}", parents=parents
        )
    return known.get(name)


def require(name: str) -> DatasetLineage:
    """Return a dataset by name.

    Raises
    ------
    SubmissionError
        HB113 with the nearest and all known names.
    """
    found = find(name)
    if found is None:
        raise SubmissionError(_unknown(name))
    return found


def lines_of(name: str) -> list[tuple[Parent, ...]]:
    """Return every way up from a dataset, shortest first; the first is the dataset itself, ()."""
    ways: list[tuple[Parent, ...]] = [()]
    for way in ways:
        top = require(way[-1].name if way else name)
        ways.extend((*way, parent) for parent in top.parents)
    return ways


def ancestors(name: str) -> tuple[str, ...]:
    """Return the datasets that a dataset is made from, nearest first, itself included."""
    names = [way[-1].name if way else name for way in lines_of(name)]
    return tuple(dict.fromkeys(names))


def corpus_of(name: str) -> tuple[str, ...]:
    """Return the corpora that a dataset's recordings come from: its ancestors without parents."""
    return tuple(a for a in ancestors(name) if not require(a).parents)


def shared_recordings(trained: str, evaluated: str) -> str:
    """Say through which dataset two datasets are related; "" where they are not."""
    up, down = lines_of(trained), lines_of(evaluated)
    pairs = [(a, b) for a in up for b in down if _top(a, trained) == _top(b, evaluated)]
    if not pairs:
        return ""
    a, b = min(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
    doubt = "" if all(parent.verified for parent in (*a, *b)) else " (unverified)"
    if a and b:
        return f"{trained} and {evaluated} both come from {_top(a, trained)}{doubt}"
    return f"{_chain(trained, a)}{_chain(evaluated, b)}{doubt}"


def _top(way: tuple[Parent, ...], start: str) -> str:
    return way[-1].name if way else start


def _chain(start: str, way: tuple[Parent, ...]) -> str:
    """Return "epic-handkps comes from visor/val, which comes from epic-kitchens"."""
    steps = [f"{parent.name}/{parent.split}" if parent.split else parent.name for parent in way]
    return f"{start} comes from {', which comes from '.join(steps)}" if steps else ""


def parts_of(mix: str) -> tuple[TrainingData, ...]:
    """Return the datasets of a mix.

    Raises
    ------
    SubmissionError
        HB113 for an unknown mix.
    """
    mixes = load().mixes
    if mix not in mixes:
        raise SubmissionError(unknown_name("training mix", mix, list(mixes), "HB113"))
    return tuple(part.training for part in mixes[mix].parts)


def parse_training(text: str) -> TrainingData:
    """Read one declared line: "arctic", "arctic/train" or "visor/train: masks, grasp".

    Upper and lower case of names are the same; what follows the colon is kept as written.

    Raises
    ------
    SubmissionError
        HB113 for a dataset, mix or split that is not known.
    """
    data = _split_up(text)
    problem = _problem(data, text)
    if problem:
        raise SubmissionError(problem)
    return data


def parse_all(texts: Iterable[str]) -> tuple[TrainingData, ...]:
    """Read every declared line; the problems of all lines are raised together."""
    data, problems = [], []
    for text in texts:
        try:
            data.append(parse_training(text))
        except SubmissionError as error:
            problems.extend(error.problems)
    if problems:
        raise SubmissionError(problems)
    return tuple(data)


def _split_up(text: str) -> TrainingData:
    """Take a line apart without looking its names up."""
    name, _, labels = text.partition(":")
    dataset, slash, split = name.strip().lower().partition("/")
    stripped = tuple(label.strip() for label in labels.split(",") if label.strip())
    return TrainingData(dataset.strip(), split.strip() if slash else None, stripped)


def _problem(data: TrainingData, text: str) -> Problem | None:
    """Say what is wrong with the names of a declared line, None where nothing is."""
    if data.dataset in load().mixes:
        if data.split is None:
            return None
        return Problem("HB113", "", f"{data.dataset} is a mix and has no split {data.split!r}.")
    found = find(data.dataset)
    if found is None:
        return _unknown(data.dataset or text)
    known = [split.name for split in found.splits]
    if data.split == "" or (data.split and known and data.split not in known):
        return unknown_name(f"split of {data.dataset}", data.split, known, "HB113")
    return None


def _unknown(name: str) -> Problem:
    return unknown_name("training dataset", name, known_names(), "HB113")
