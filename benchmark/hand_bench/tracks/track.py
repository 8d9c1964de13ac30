"""What a track is: one leaderboard table as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hand_bench.errors import TrackError, unknown_name
from hand_bench.protocols import Protocol
from hand_bench.rules import Rule
from hand_bench.sums import Cell, SumsLayout


@dataclass(frozen=True)
class Subset:
    """A part of the samples: for each strata column that is named, the values that belong.

    `side` keeps one hand of every sample: "right" or "left".
    """

    name: str
    meaning: str
    where: Mapping[str, tuple[str, ...]]
    side: str = ""

    def contains(self, cell: Cell, strata: tuple[str, ...]) -> bool:
        """Whether samples with these values of the strata columns belong to the subset."""
        values = dict(zip(strata, cell, strict=True))
        return all(values[column] in allowed for column, allowed in self.where.items())


@dataclass(frozen=True)
class Primary:
    """The number that ranks a track."""

    metric: str
    protocol: str
    subset: str


@dataclass(frozen=True)
class Track:
    """One table: dataset and split, what is predicted, how it is scored, what ranks it.

    Parameters
    ----------
    counted
        What counts in `recommended`: "in_view" or "valid" joints (see `rules`).
    strata, subsets
        Columns that subsets are made of, and the subsets.
    inputs
        What a method may be given beyond the image, with the values that can be declared; the
        standard value is the first.
    truth
        "public", "hidden" (an owner scores), or "absent" (bring your own annotations).
    prepared
        Name of the prepared table, where a split has several.
    split_rule, counts
        How the split is made, and how many samples of what kind it has, in words.
    kind
        "pose" (3D), "pose-2d" or "action".
    frame, joint_set
        What predictions are in unless they say otherwise.
    classes
        Names of the classes of an action track.
    several_views
        Whether a sample is an instant seen by several cameras (`views.parquet`).
    """

    name: str
    title: str
    dataset: str
    split: str
    predicts: str
    counted: str
    strata: tuple[str, ...]
    subsets: tuple[Subset, ...]
    protocols: tuple[Protocol, ...]
    primary: Primary
    inputs: Mapping[str, tuple[str, ...]]
    truth: str
    source: str
    licence: str
    obtain: str
    samples: int | None = None
    version: int = 1
    edges: tuple[float, ...] = tuple(float(t) for t in range(51))
    hand_length: float = 180.0
    prepared: str = ""
    split_rule: str = ""
    counts: str = ""
    kind: str = "pose"
    frame: str = "camera"
    joint_set: str = "openpose21"
    classes: tuple[str, ...] = ()
    several_views: bool = False

    @property
    def table(self) -> str:
        """Name of its prepared table of annotations."""
        return self.prepared or self.split

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of all protocols."""
        return tuple(dict.fromkeys(rule for p in self.protocols for rule in p.rules))

    @property
    def layout(self) -> SumsLayout:
        """The sums that this track's scores are made of."""
        return SumsLayout(self.edges, self.rules, self.kind == "pose", len(self.classes))

    def protocol(self, name: str) -> Protocol:
        """Return a protocol by name; HB301 with the nearest one otherwise."""
        known = {p.name: p for p in self.protocols}
        if name not in known:
            raise TrackError(unknown_name(f"protocol of {self.name}", name, [*known, "all"]))
        return known[name]

    def subset(self, name: str) -> Subset:
        """Return a subset by name; HB301 with the nearest one otherwise."""
        known = {s.name: s for s in self.subsets}
        if name not in known:
            raise TrackError(unknown_name(f"subset of {self.name}", name, list(known)))
        return known[name]
