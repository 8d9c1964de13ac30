"""Mergeable sums: everything that any score of a pose track is made of.

One row of sums per group; a group is (cell, cluster): the cell holds the values of the strata
columns, the cluster is the unit of resampling. Scores are ratios of sums of rows, so shards are
scored apart and merged exactly, subsets are unions of cells and a bootstrap is one product of
matrices. Hands are stored right first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hand_bench.array_types import Bool, Float, Int

if TYPE_CHECKING:
    from hand_bench.rules import Rule

Cell = tuple[str, ...]
#: Levels of a hand score, evenly spaced in logits from -LOGIT_RANGE to LOGIT_RANGE.
SCORE_LEVELS, LOGIT_RANGE = 256, 12.0

#: Sums of one hand side; B stands for the number of histogram bins.
SIDE_FIELDS: tuple[tuple[str, int | str], ...] = (
    ("error", 21),  # sum of wrist-aligned distances of each joint, mm
    ("count", 21),  # how many there are
    ("pa_error", 21),  # the same after Procrustes
    ("pa_count", 21),
    ("histogram", "B"),  # wrist-aligned distances of the joints other than the wrist
    ("pa_histogram", "B"),
    ("true_hands", 1),  # annotated hands with a wrist and another joint
    ("found_hands", 1),  # of these, how many are answered
    ("unanswered", 1),  # hands with a wrist that are not answered
    ("hand_error", 1),  # sum over found hands of their mean distance, wrist left out
    ("pa_hand_error", 1),
    ("pa_hands", 1),
    ("missed_joints", 1),  # joints other than the wrist, of hands that are not answered
    ("pa_missed_joints", 1),
    ("absolute", 1),  # sum over found hands of their mean unaligned distance
    ("acceleration", 1),  # sum over joints, m/s^2
    ("acceleration_count", 1),
)
#: Sums of a sample.
SAMPLE_FIELDS: tuple[tuple[str, int], ...] = (
    ("samples", 1),
    ("mrrpe", 1),
    ("mrrpe_count", 1),
    ("mrrpe_unanswered", 1),
    ("presence_checked", 1),
    ("presence_right", 1),  # both hands right, a score of 0.5 is wrong
    ("presence_right_absent_ties", 1),  # the same, 0.5 counts as absent
    ("scores", 2 * 2 * SCORE_LEVELS),  # side, truth (absent, present), level
)

#: Sums of one hand side over its mesh, beside those above where poses are scored.
MESH_FIELDS = (
    "mesh_error",  # sum over found hands of the mean distance of their vertices, mm
    "mesh_hands",  # how many there are
    "mesh_lacking",  # found hands with a true mesh whose answer has none
)

_SIDE_NAMES = {name for name, _ in SIDE_FIELDS}


@dataclass(frozen=True)
class SumsLayout:
    """Where each field lies in a row of sums.

    Parameters
    ----------
    edges
        Histogram edges (mm) of the fields of `recommended`.
    rules
        Rules whose sums are kept too.
    pose
        Whether the fields of `recommended` are there (3D poses).
    classes
        Number of classes of an action track: a confusion matrix is kept.
    """

    edges: tuple[float, ...]
    rules: tuple[Rule, ...] = ()
    pose: bool = True
    classes: int = 0
    slices: Mapping[str, tuple[slice, tuple[int, ...]]] = field(init=False, compare=False)
    sided: frozenset[str] = field(init=False, compare=False)
    side_width: int = field(init=False)
    rules_start: int = field(init=False)
    width: int = field(init=False)

    def __post_init__(self) -> None:
        slices: dict[str, tuple[slice, tuple[int, ...]]] = {}
        start = 0
        for name, size in SIDE_FIELDS if self.pose else ():
            size = self.bins if isinstance(size, str) else size
            slices[name] = (slice(start, start + size), (size,) if size > 1 else ())
            start += size
        sided, side_width = set(slices), start
        start *= 2
        for name, size in SAMPLE_FIELDS if self.pose else ():
            slices[name] = (slice(start, start + size), (size,) if size > 1 else ())
            start += size
        rules_start = start
        for name, of_side, shape in self._more_fields():
            shape = (2, *shape) if of_side else shape
            size = math.prod(shape)
            slices[name] = (slice(start, start + size), shape)
            sided |= {name} if of_side else set()
            start += size
        known = {
            "slices": slices,
            "sided": frozenset(sided),
            "side_width": side_width,
            "rules_start": rules_start,
            "width": start,
        }
        for name, value in known.items():
            object.__setattr__(self, name, value)

    def _more_fields(self) -> list[tuple[str, bool, tuple[int, ...]]]:
        """Name, whether there is one for each side, and shape, of what else there is."""
        more = [item for rule in self.rules for item in rule.fields()]
        more += [(name, True, ()) for name in MESH_FIELDS if self.pose]
        if self.classes:
            more += [("confusion", False, (self.classes, self.classes)), ("clips", False, ())]
        return more

    @property
    def bins(self) -> int:
        """Number of histogram bins: one up to each edge, one beyond the last."""
        return len(self.edges) + 1

    @property
    def edge_array(self) -> np.ndarray:
        """The edges as an array."""
        return np.array(self.edges)


@dataclass(frozen=True)
class SumsView:
    """Named access to rows of sums with any leading axes: ``view["error"]`` is (..., 2, 21)."""

    values: Float[np.ndarray, "*batch width"]
    layout: SumsLayout

    def __getitem__(self, name: str) -> np.ndarray:
        where, shape = self.layout.slices[name]
        if self.layout.pose and name in _SIDE_NAMES:
            sides = self.values[..., : 2 * self.layout.side_width]
            both = sides.reshape(*sides.shape[:-1], 2, self.layout.side_width)[..., where]
            return both if shape else both[..., 0]
        values = self.values[..., where]
        return values.reshape(values.shape[:-1] + shape)

    def total(self, name: str) -> np.ndarray:
        """Return a field summed over both hands (as it is, where it has no sides)."""
        values = self[name]
        if name not in self.layout.sided:
            return values
        return values.sum(axis=self.leading)

    @property
    def leading(self) -> int:
        """Number of leading axes."""
        return self.values.ndim - 1


#: Rows of sums that are allocated at a time.
CHUNK = 256


@dataclass
class Sums:
    """Sums per group, growing as groups appear."""

    layout: SumsLayout
    rows: dict[tuple[Cell, str], int] = field(default_factory=dict)
    chunks: list[Float[np.ndarray, "rows width"]] = field(default_factory=list)

    def add(
        self, keys: Iterable[tuple[Cell, str]], values: Iterable[Float[np.ndarray, " width"]]
    ) -> None:
        """Add rows of sums to their groups, in the order given."""
        for key, row in zip(keys, values, strict=True):
            at = self.rows.setdefault(key, len(self.rows))
            if at >= CHUNK * len(self.chunks):
                self.chunks.append(np.zeros((CHUNK, self.layout.width)))
            self[at] += row

    def __getitem__(self, row: int) -> Float[np.ndarray, " width"]:
        return self.chunks[row // CHUNK][row % CHUNK]

    def __setitem__(self, row: int, values: Float[np.ndarray, " width"]) -> None:
        self.chunks[row // CHUNK][row % CHUNK] = values

    def merge(self, other: Sums) -> None:
        """Add another shard's sums; shards merged in the same order give the same bytes."""
        if other.layout != self.layout:
            raise ValueError("sums of another layout cannot be merged")
        self.add(other.rows, (other[row] for row in other.rows.values()))

    def clusters(self, chosen: Callable[[Cell], bool]) -> ClusterView:
        """Return the sums of each cluster over the chosen cells."""
        pairs = [(cluster, row) for (cell, cluster), row in self.rows.items() if chosen(cell)]
        names = sorted({cluster for cluster, _ in pairs})
        at = {name: k for k, name in enumerate(names)}
        return ClusterView(self, names, [(at[cluster], row) for cluster, row in pairs])


@dataclass(frozen=True)
class ClusterView:
    """Sums of clusters, read by field like a `SumsView`; a table of one field at a time is made."""

    sums: Sums
    names: list[str]
    pairs: list[tuple[int, int]]

    @property
    def layout(self) -> SumsLayout:
        """Where each field lies in a row of sums."""
        return self.sums.layout

    def __getitem__(self, name: str) -> np.ndarray:
        shape = SumsView(np.zeros(self.layout.width), self.layout)[name].shape
        out = np.zeros((len(self.names), *shape))
        pairs = np.array(self.pairs, np.int64).reshape(-1, 2)
        for k, chunk in enumerate(self.sums.chunks):
            cluster, row = pairs[pairs[:, 1] // CHUNK == k].T
            np.add.at(out, cluster, SumsView(chunk, self.layout)[name][row % CHUNK])
        return out

    def total(self, name: str) -> np.ndarray:
        """Return a field summed over both hands (as it is, where it has no sides)."""
        values = self[name]
        return values.sum(axis=1) if name in self.layout.sided else values

    @property
    def leading(self) -> int:
        """Number of leading axes: the clusters."""
        return 1

    def whole(self) -> SumsView:
        """Return the sums over all clusters."""
        total = np.zeros(self.layout.width)
        for _, row in sorted(self.pairs):
            total += self.sums[row]
        return SumsView(total, self.layout)


class OneSide:
    """The sums of one hand side of any view: the other side's are zero."""

    def __init__(self, view: Any, side: int):
        self.view, self.layout, self.leading = view, view.layout, view.leading
        self.keep = np.arange(2) == side

    def __getitem__(self, name: str) -> np.ndarray:
        values = self.view[name]
        if name not in self.layout.sided:
            return values
        return values * self.keep.reshape(-1, *[1] * (values.ndim - self.leading - 1))

    def total(self, name: str) -> np.ndarray:
        """Return a field of this side (as it is, where it has no sides)."""
        values = self[name]
        return values.sum(axis=self.leading) if name in self.layout.sided else values


def sample_sums(
    layout: SumsLayout,
    *,
    mrrpe_error: Float[np.ndarray, " rows"],
    mrrpe_asked: Bool[np.ndarray, " rows"],
    mrrpe_found: Bool[np.ndarray, " rows"],
    scores: Float[np.ndarray, "rows 2"],
    present: Bool[np.ndarray, "rows 2"],
    presence_known: Bool[np.ndarray, " rows"],
    group: Int[np.ndarray, " rows"],
    groups: int,
) -> Float[np.ndarray, "groups sample_width"]:
    """Sum the fields of samples: MRRPE, hand presence and the score levels."""
    first = 2 * layout.side_width
    out = np.zeros((groups, layout.rules_start - first))

    def put(name: str, values: np.ndarray) -> None:
        where = layout.slices[name][0]
        out[:, where.start - first] = np.bincount(group, values, groups)

    counted = mrrpe_asked & mrrpe_found
    right = presence_known & ((scores > 0.5) == present).all(axis=1)
    put("samples", np.ones(len(group)))
    put("mrrpe", np.where(counted, mrrpe_error, 0.0))
    put("mrrpe_count", counted)
    put("mrrpe_unanswered", mrrpe_asked & ~mrrpe_found)
    put("presence_checked", presence_known)
    put("presence_right", right & (scores != 0.5).all(axis=1))
    put("presence_right_absent_ties", right)
    level = score_level(scores)
    slot = ((np.arange(2) * 2 + present) * SCORE_LEVELS + level)[presence_known]
    where = layout.slices["scores"][0]
    size = where.stop - where.start
    flat = (group[presence_known, None] * size + slot).ravel()
    out[:, where.start - first :] = np.bincount(flat, minlength=groups * size).reshape(groups, size)
    return out


def score_level(scores: Float[np.ndarray, "*batch"]) -> Int[np.ndarray, "*batch"]:
    """Return the level of each probability, evenly spaced in logits (256 levels keep the order)."""
    limit = 1 / (1 + np.exp(LOGIT_RANGE))
    safe = np.clip(scores.astype(np.float64), limit, 1 - limit)
    logit = np.log(safe / (1 - safe))
    step = 2 * LOGIT_RANGE / SCORE_LEVELS
    return np.clip((logit + LOGIT_RANGE) / step, 0, SCORE_LEVELS - 1).astype(np.int64)
