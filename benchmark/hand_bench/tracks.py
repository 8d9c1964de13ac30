"""Tracks: one leaderboard table each, as values.

A published track never changes: a change is a new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hand_bench import plugins
from hand_bench.errors import TrackError, unknown_name
from hand_bench.protocols import INTERHAND_MMPOSE, INTERHAND_OFFICIAL, RECOMMENDED, Protocol
from hand_bench.sums import Cell, SumsLayout


@dataclass(frozen=True)
class Subset:
    """A part of the samples: for each strata column that is named, the values that belong."""

    name: str
    meaning: str
    where: Mapping[str, tuple[str, ...]]

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

    `counted` is the annotations column of joints that count ("in_view" or "valid"). `strata` are
    the columns that subsets are made of. `inputs` names what a method may be given beyond the
    image, with the values that can be declared; the standard value is the first.
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

    @property
    def layout(self) -> SumsLayout:
        """The sums that this track's scores are made of."""
        return SumsLayout(self.edges)

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


_SINGLE, _INTERACTING = ("right", "left"), ("interacting",)
_INTERHAND_SUBSETS = (
    Subset("SH", "single hand in the sequence", {"hand_type": _SINGLE}),
    Subset("IH", "interacting hands", {"hand_type": _INTERACTING}),
    Subset("all", "every sample", {}),
    Subset("H", "human-annotated", {"annotator": ("human",)}),
    Subset("H-SH", "human-annotated, single hand", {"annotator": ("human",), "hand_type": _SINGLE}),
    Subset(
        "H-IH", "human-annotated, interacting", {"annotator": ("human",), "hand_type": _INTERACTING}
    ),
    Subset("M", "machine-annotated", {"annotator": ("machine",)}),
    Subset(
        "M-SH", "machine-annotated, single hand", {"annotator": ("machine",), "hand_type": _SINGLE}
    ),
    Subset(
        "M-IH",
        "machine-annotated, interacting",
        {"annotator": ("machine",), "hand_type": _INTERACTING},
    ),
)

INTERHAND26M = Track(
    name="interhand26m",
    title="InterHand2.6M test (H+M), v1.0, 5 fps",
    dataset="interhand26m",
    split="test",
    predicts="both hands, 21 joints each, camera space, mm; whether each hand is present",
    counted="in_view",
    strata=("hand_type", "annotator"),
    subsets=_INTERHAND_SUBSETS,
    protocols=(INTERHAND_OFFICIAL, INTERHAND_MMPOSE, RECOMMENDED),
    primary=Primary("AUC(0-50)", "recommended", "all"),
    inputs={
        "boxes": ("standard", "rootnet", "own", "none"),
        "root_depth": ("own", "rootnet", "gt", "none"),
    },
    truth="public",
    source="Moon et al., InterHand2.6M, ECCV 2020; official evaluate",
    licence="CC-BY-NC 4.0 (data)",
    obtain="download annotations v1.0 (5 fps) from the dataset's homepage, unpack so that "
    "ROOT holds "
    "annotations/test/InterHand2.6M_test_*.json, then: hand-bench data prepare interhand26m ROOT",
    samples=849_160,
)

INTERHAND26M_VAL = replace(
    INTERHAND26M,
    name="interhand26m-val",
    title="InterHand2.6M val (M), v1.0, 5 fps: one unseen subject, range of motion only",
    split="val",
    subsets=tuple(s for s in _INTERHAND_SUBSETS if s.name in ("SH", "IH", "all")),
    obtain=INTERHAND26M.obtain.replace("test", "val"),
    samples=380_125,
)

DEMO = replace(
    INTERHAND26M,
    name="demo",
    title="Skeleton world in the layout of InterHand2.6M (licence-free, made by `hand-bench demo`)",
    dataset="demo",
    source="hand-bench: a jointed skeleton in motion; says nothing about real data",
    licence="Apache-2.0",
    obtain="hand-bench demo",
    samples=None,
)

TRACKS: dict[str, Track] = {track.name: track for track in (INTERHAND26M, INTERHAND26M_VAL, DEMO)}


def find_track(track: str | Track) -> Track:
    """Return a track by name: one of this package, or one that another package offers.

    Raises
    ------
    TrackError
        HB301 with the nearest and all known names.
    """
    if isinstance(track, Track):
        return track
    if track in TRACKS:
        return TRACKS[track]
    found = plugins.find(plugins.TRACKS, track, Track)
    if found is None:
        raise TrackError(unknown_name("track", track, track_names()))
    return found


def track_names() -> list[str]:
    """Return the names of all tracks, those of other packages last."""
    return list(dict.fromkeys([*TRACKS, *plugins.names(plugins.TRACKS)]))
