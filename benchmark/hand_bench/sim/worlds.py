"""Worlds: the look-alikes of the real datasets, as values.

A source is one look-alike dataset; its tables share recordings as the real one's do (poses and
clips, single images and instants of several views). A recording is drawn from its place alone
(seed, version, split, subject, number), so a smaller size is a part of a larger one, and frame i is
the same whoever makes it. Subjects of the splits are different people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hand_bench.errors import TrackError, unknown_name

#: Changes whenever the same seed gives other data.
VERSION = 1
SIZES = ("mini", "small", "full")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Amount:
    """How much of a split is made.

    `frames` follow one another, `step` apart, somewhere in each clip (0: the whole clip); `views`
    are the cameras of each clip (0: all of the rig).
    """

    subjects: int
    recordings: int
    clips: int
    frames: int = 0
    views: int = 0


@dataclass(frozen=True, eq=False)
class Source:
    """One look-alike dataset.

    Parameters
    ----------
    name, like
        "handsim-h2o", and the dataset that it looks like.
    rig, worn
        Name of its cameras in `rigs`; whether single images come from the worn ones alone.
    motion
        "range of motion", or a set of actions.
    backgrounds, grey
        What is behind the hands, and whether pictures are grey.
    pixels, whole
        Longer side of the stored pictures: whole frames, or square windows around the hands.
    tables
        Table prefix -> what its rows are: "images", "views" (instants of several views) or "clips".
    labels
        Annotator -> noise model of the labels in train; the others are exact.
    step
        Frames of the motion (30 Hz) from one drawn instant to the next.
    hands
        "both", or the one hand that is there.
    palm
        Joint 0 is the centre of the palm.
    dominant
        Only the hand with more pixels is annotated.
    planar
        Truth is 2D; train has masks and grasps only.
    """

    name: str
    like: str
    rig: str
    motion: str
    amounts: Mapping[str, Mapping[str, Amount]]
    worn: bool = False
    backgrounds: tuple[str, ...] = ("clutter",)
    grey: bool = False
    pixels: int = 256
    whole: bool = False
    tables: Mapping[str, str] = field(default_factory=lambda: {"": "images"})
    labels: Mapping[str, str] = field(default_factory=lambda: {"machine": "exact"})
    step: int = 6
    hands: str = "both"
    palm: bool = False
    dominant: bool = False
    planar: bool = False

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are made."""
        return tuple(self.amounts["small"])

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the prepared tables: "train", or "pose-train"."""
        return tuple(f"{p}-{s}" if p else s for p in self.tables for s in self.splits)

    def place(self, table: str) -> tuple[str, str]:
        """Return the prefix and the split of a prepared table: "pose-train" is "pose", "train"."""
        prefix, _, split = table.rpartition("-")
        return prefix, split

    def pictured(self, prefix: str) -> str:
        """Return the prefix of the table whose pictures a table has: of clips that of images."""
        if self.tables[prefix] != "clips":
            return prefix
        return next(p for p, kind in self.tables.items() if kind == "images")


def _amounts(**splits: tuple[Amount, Amount, Amount]) -> dict[str, dict[str, Amount]]:
    """Return split -> (mini, small, full) as size -> split -> amount."""
    return {
        size: {split: amounts[k] for split, amounts in splits.items()}
        for k, size in enumerate(SIZES)
    }


_A = Amount
SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "handsim-interhand26m",
            "interhand26m",
            "dome80",
            "range of motion",
            _amounts(
                train=(_A(2, 3, 2, 4, 2), _A(16, 6, 4, 16, 2), _A(60, 12, 6, 20, 3)),
                val=(_A(1, 3, 1, 4, 2), _A(2, 6, 3, 16, 2), _A(6, 9, 4, 20, 3)),
                test=(_A(4, 6, 1, 5, 2), _A(4, 6, 4, 16, 2), _A(12, 9, 4, 20, 3)),
            ),
            backgrounds=("studio",),
            labels={"human": "people", "machine": "machine"},
        ),
        Source(
            "handsim-assemblyhands",
            "assemblyhands",
            "assembly",
            "assembly verbs",
            _amounts(
                train=(_A(1, 1, 6, 2, 4), _A(14, 2, 12, 8, 4), _A(40, 4, 24, 20, 4)),
                val=(_A(1, 2, 6, 2, 4), _A(2, 3, 12, 8, 4), _A(6, 4, 24, 12, 4)),
                test=(_A(1, 1, 6, 2, 4), _A(4, 2, 12, 8, 4), _A(8, 4, 24, 12, 4)),
            ),
            worn=True,
            backgrounds=("table", "office"),
            grey=True,
            tables={"": "images", "verbs": "clips", "annotation": "views"},
            labels={"machine": "annotator"},
        ),
        Source(
            "handsim-assemblyhands-manual",
            "assemblyhands",
            "assembly",
            "assembly verbs",
            _amounts(train=(_A(1, 1, 6, 2, 4), _A(12, 1, 12, 2, 4), _A(20, 2, 24, 4, 4))),
            worn=True,
            backgrounds=("table", "office"),
            grey=True,
            labels={"human": "people"},
            step=30,
        ),
        Source(
            "handsim-desktop-activities",
            "desktop-activities",
            "desktop",
            "daily",
            _amounts(test=(_A(1, 1, 3, 2), _A(3, 1, 8, 6), _A(6, 2, 20, 10))),
            backgrounds=("office",),
            tables={"": "views"},
        ),
        Source(
            "handsim-h2o",
            "h2o",
            "h2o",
            "h2o",
            _amounts(
                train=(_A(1, 1, 3), _A(3, 2, 36), _A(12, 6, 36)),
                val=(_A(1, 1, 2), _A(1, 1, 36), _A(3, 2, 36)),
                test=(_A(1, 2, 2), _A(1, 2, 36), _A(4, 4, 36)),
            ),
            worn=True,
            backgrounds=("table", "kitchen", "office"),
            pixels=240,
            whole=True,
            tables={"pose": "images", "action": "clips"},
            step=2,
        ),
        Source(
            "handsim-fpha",
            "fpha",
            "fpha",
            "fpha",
            _amounts(
                train=(_A(1, 1, 3), _A(3, 1, 45), _A(12, 4, 45)),
                test=(_A(1, 2, 2), _A(1, 1, 45), _A(6, 2, 45)),
            ),
            backgrounds=("kitchen", "office"),
            pixels=240,
            whole=True,
            tables={"pose": "images", "action": "clips"},
            step=2,
            hands="right",
        ),
        Source(
            "handsim-arctic",
            "arctic",
            "arctic-ego",
            "arctic",
            _amounts(
                train=(_A(1, 1, 6, 6), _A(8, 4, 22, 10), _A(16, 12, 22, 24)),
                val=(_A(1, 1, 4, 6), _A(1, 3, 22, 10), _A(2, 6, 22, 24)),
            ),
            backgrounds=("studio", "table"),
            pixels=336,
            whole=True,
            tables={"ego": "images"},
        ),
        Source(
            "handsim-epic-handkps",
            "epic-handkps",
            "epic",
            "daily",
            _amounts(
                train=(_A(1, 1, 6, 6), _A(12, 4, 16, 6), _A(40, 8, 24, 10)),
                val=(_A(1, 1, 2, 4), _A(2, 2, 10, 6), _A(4, 2, 16, 8)),
                test=(_A(2, 2, 3, 4), _A(5, 5, 10, 6), _A(12, 6, 16, 8)),
            ),
            backgrounds=("kitchen",),
            pixels=384,
            whole=True,
            planar=True,
        ),
        Source(
            "handsim-ego4d",
            "ego4d",
            "ego4d",
            "daily",
            _amounts(train=(_A(1, 1, 6, 6), _A(16, 3, 16, 6), _A(60, 6, 24, 10))),
            backgrounds=("kitchen", "office", "clutter"),
            pixels=384,
            whole=True,
            planar=True,
        ),
        Source(
            "handsim-egoexo4d",
            "egoexo4d",
            "egoexo",
            "daily",
            _amounts(
                train=(_A(1, 1, 4, 4), _A(6, 3, 12, 6), _A(20, 6, 24, 10)),
                val=(_A(2, 3, 2, 4), _A(5, 5, 10, 6), _A(10, 6, 16, 8)),
            ),
            backgrounds=("kitchen", "office", "clutter"),
            pixels=256,
            whole=True,
        ),
        Source(
            "handsim-stb",
            "stb",
            "stb",
            "range of motion",
            _amounts(
                train=(_A(1, 2, 2, 8), _A(2, 10, 4, 16), _A(6, 20, 6, 24)),
                test=(_A(1, 2, 2, 8), _A(1, 6, 4, 16), _A(2, 12, 4, 24)),
            ),
            backgrounds=("clutter", "office"),
            hands="left",
            palm=True,
        ),
        Source(
            "handsim-rhd",
            "rhd",
            "rhd",
            "range of motion",
            _amounts(
                training=(_A(2, 4, 2, 4), _A(16, 16, 4, 4), _A(60, 40, 6, 4)),
                evaluation=(_A(2, 4, 2, 2), _A(4, 14, 4, 3), _A(8, 30, 4, 3)),
            ),
            backgrounds=("clutter", "kitchen", "office"),
            step=20,
            dominant=True,
        ),
    )
}

#: The real tracks that have a look-alike: real track -> (source, prepared table's prefix, split).
SIBLINGS: dict[str, tuple[str, str, str]] = {
    "interhand26m": ("handsim-interhand26m", "", "test"),
    "assemblyhands": ("handsim-assemblyhands", "", "val"),
    "assemblyhands-annotation": ("handsim-assemblyhands", "annotation", "test"),
    "assemblyhands-verbs": ("handsim-assemblyhands", "verbs", "val"),
    "desktop-activities": ("handsim-desktop-activities", "", "test"),
    "h2o-pose": ("handsim-h2o", "pose", "test"),
    "h2o-action": ("handsim-h2o", "action", "test"),
    "fpha-pose": ("handsim-fpha", "pose", "test"),
    "fpha-action": ("handsim-fpha", "action", "test"),
    "arctic-ego": ("handsim-arctic", "ego", "val"),
    "epic-handkps": ("handsim-epic-handkps", "", "test"),
    "egoexo4d-hand": ("handsim-egoexo4d", "", "val"),
    "stb": ("handsim-stb", "", "test"),
    "rhd": ("handsim-rhd", "", "evaluation"),
}
#: Every world by name: the siblings of tracks, and what is there for training alone.
WORLDS: dict[str, Source] = {
    **{f"handsim-{real}": SOURCES[source] for real, (source, _, _) in SIBLINGS.items()},
    **{name: SOURCES[name] for name in ("handsim-ego4d", "handsim-assemblyhands-manual")},
}


def find_world(name: str) -> Source:
    """Return the source of a world (a track's sibling, or a source by its own name).

    Raises
    ------
    TrackError
        HB301 with the nearest and all known names.
    """
    found = WORLDS.get(name) or SOURCES.get(name)
    if found is None:
        raise TrackError(unknown_name("world", name, list(WORLDS)))
    return found
