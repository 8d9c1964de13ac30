"""Models that look at the views of an instant: 2D + Triangulation, MVExoNet.

They are trained on hands of one table of several views, and answer tracks whose answers are in the
world. A hand is asked for where at least `instants.LEAST` views have a box of it; another one is
answered by "no such hand".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_baselines.instants import (
    LEAST,
    Cut,
    HandViews,
    Instant,
    Instants,
    Key,
    in_order,
    keys_of,
    read_views,
)
from hand_baselines.models import Model
from hand_baselines.pictures import Pictures
from hand_baselines.samples import Hands, chosen_rows, picture_root
from hand_baselines.tasks import TrainingSet
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import BaselineError, DatasetError, Problem
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track

#: What answers are made from, of the table of instants.
READ = ("sample_id", "sequence", "frame")
_LABELS = (
    *("sequence", "frame", "hand_type", "annotator"),
    *(f"{side}_{what}" for side in HAND_SIDES for what in ("joints", "valid")),
)
#: Views that tracks have names for; another number is "some".
_RIGS = (8, 12)
#: Boxes are the table's.
_BOXES = ("boxes:gt",)


class Asked(NamedTuple):
    """A hand that is asked for: where it is seen, which it is, its boxes (views, 4) or NaN.

    `before` are the joints (21, 3), mm, of an answer that is refined; None: there is none.
    """

    instant: Instant
    side: str
    boxes: np.ndarray
    before: np.ndarray | None = None

    @property
    def seen(self) -> bool:
        """Whether enough views have a box of it."""
        return int(np.isfinite(self.boxes).all(axis=1).sum()) >= LEAST


class Found(NamedTuple):
    """A hand in the world.

    | field | shape | meaning |
    |---|---|---|
    | joints | (21, 3) | mm; NaN where not found |
    | confidence | (21,) | 0 to 1 |
    | error | (21,) | mean reprojection error of the used views, px; NaN without 2D points |
    | views | (21,) | how many views were used |
    """

    joints: np.ndarray
    confidence: np.ndarray
    error: np.ndarray
    views: np.ndarray


#: Finds hands; one answer for each, in their order.
Finder = Callable[[Sequence[Asked]], list[Found]]


def nothing() -> Found:
    """Return the answer for a hand that was not found."""
    return Found(np.full((21, 3), np.nan), np.zeros(21), np.full(21, np.nan), np.zeros(21, int))


def cut_of(model: Model, config: Any) -> Cut:
    """Return how a model's crops are cut."""
    return Cut(model.square(config), config.input_size)


def training_set(
    model: Model,
    config: Any,
    opened: Sequence[Annotations],
    images: str | Path | None = None,
    *,
    hands: Hands = "all",
    annotators: Sequence[str] = (),
    augmentation: float = 1.0,
    seed: int = 0,
) -> TrainingSet:
    """Return random views of the hands of a training table.

    Raises
    ------
    BaselineError
        HB302 for several tables.
    DatasetError
        HB202 where no hand is left.
    """
    if len(opened) > 1:
        what = "models of several views are trained on one table."
        raise BaselineError(Problem("HB302", "--data", what, fix="Give one track."))
    table = chosen_rows(opened[0].table(_LABELS), hands, annotators)
    pictures = Pictures(picture_root(opened[0], images))
    instants = Instants(read_views(opened[0]), pictures, keys_of(table))
    asked, joints, valid = _hands(table, instants)
    if not asked:
        what = f"no hand of this table has boxes in {LEAST} views."
        raise DatasetError(Problem("HB202", str(opened[0].path), what))
    ranges = model.crops(config, augmentation).ranges
    varied = config.variation()
    varied = varied if ranges is None else replace(varied, ranges=ranges)
    data = HandViews(instants, asked, joints, valid, cut_of(model, config), varied, seed)
    return TrainingSet(data, instants.order([number for number, _ in asked], seed), {})


def _hands(
    table: pa.Table, instants: Instants
) -> tuple[list[tuple[int, str]], np.ndarray, np.ndarray]:
    """Return which hands can be trained on, and their joints."""
    batch = AnnotationBatch(0, table.combine_chunks().to_batches()[0]) if len(table) else None
    asked, joints, valid = [], [], []
    for side in HAND_SIDES if batch is not None else ():
        assert batch is not None
        boxed = pc.is_valid(instants.views.column(f"{side}_bbox")).to_numpy(zero_copy_only=False)
        there = batch.present(side) & batch[f"{side}_valid"].astype(bool).any(axis=1)
        for k in np.flatnonzero(there):
            if boxed[instants.rows[k]].sum() >= LEAST:
                asked.append((int(k), side))
                joints.append(batch[f"{side}_joints"][k].astype(float))
                valid.append(batch[f"{side}_valid"][k].astype(bool))
    return asked, np.array(joints), np.array(valid)


@dataclass(frozen=True)
class ViewAnswers:
    """What finds hands, ready for the rows of a table.

    Attributes
    ----------
    find, origin
        What finds them, and what that depends on besides the weights.
    views, pictures
        Of the table.
    hands
        How many are found at once.
    workers
        Processes that read pictures.
    some
        Whether not all views are looked at.
    before
        Answers that are refined, by sequence and frame: joints (2, 21, 3), mm, NaN where there is
        none. A hand that cannot be refined keeps its answer. None: there are none.
    given
        What they declare besides views; answers of the table's boxes: these.
    """

    find: Finder
    origin: Mapping[str, Any]
    views: pa.RecordBatch
    pictures: Pictures
    hands: int = 4
    workers: int = 0
    some: bool = False
    before: Mapping[Key, np.ndarray] | None = None
    given: tuple[str, ...] = _BOXES

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """What the predictions declare: how many views, and what else was given."""
        count = len(set(self.views.column("camera").to_pylist()))
        whole = count in _RIGS and not self.some
        return (f"views:exo{count}" if whole else "views:some", *self.given)

    def columns(
        self, rows: AnnotationBatch, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return columns of predictions for rows, in their order; a lacking hand is NaN."""
        keys = keys_of(rows.table)
        nothing_known = np.full((2, 21, 3), np.nan)
        before = np.array([(self.before or {}).get(key, nothing_known) for key in keys])
        columns = {f"{side}_joints": before[:, k].copy() for k, side in enumerate(HAND_SIDES)}
        for row, side, found in self.found(keys):
            if np.isfinite(found.joints).all():
                columns[f"{side}_joints"][row] = found.joints
            if seen is not None:
                seen(row + 1)
        return {name: value.astype(np.float32) for name, value in columns.items()}

    def found(self, keys: Sequence[tuple[str, int]]) -> Iterator[tuple[int, str, Found]]:
        """Give the hands of instants: number of the instant, side, hand."""
        instants = Instants(self.views, self.pictures, keys)
        ready = in_order(instants, self.workers)
        asked = asked_hands(ready) if self.before is None else again(ready, keys, self.before)
        while part := list(islice(asked, self.hands)):
            answers = self.find([hand for _, hand in part])
            for (number, hand), answer in zip(part, answers, strict=True):
                yield number, hand.side, answer


def asked_hands(instants: Iterator[Instant]) -> Iterator[tuple[int, Asked]]:
    """Give the hands of instants that enough views have boxes of, with the instants' numbers."""
    for number, instant in enumerate(instants):
        for k, side in enumerate(HAND_SIDES):
            hand = Asked(instant, side, instant.boxes[:, k])
            if hand.seen:
                yield number, hand


def again(
    instants: Iterator[Instant], keys: Sequence[Key], before: Mapping[Key, np.ndarray]
) -> Iterator[tuple[int, Asked]]:
    """Give the hands that have an answer (`ViewAnswers.before`), with the boxes around it."""
    for number, instant in enumerate(instants):
        known = before.get(keys[number], ())
        for side, joints in zip(HAND_SIDES, known, strict=False):
            if np.isfinite(joints).all():
                hand = Asked(instant, side, instant.boxes_around(joints), joints)
                if hand.seen:
                    yield number, hand


def view_answers(
    find: Finder,
    origin: Mapping[str, Any],
    opened: Annotations,
    images: str | Path | None,
    *,
    before: Mapping[Key, np.ndarray] | None = None,
    given: tuple[str, ...] = _BOXES,
    batch: int = 32,
    workers: int = 0,
) -> ViewAnswers:
    """Make what finds hands ready for a table; `batch` counts crops, of about 8 views a hand."""
    read = read_views(opened), Pictures(picture_root(opened, images)), max(1, batch // 8)
    return ViewAnswers(find, origin, *read, workers, before=before, given=given)


def fits(track: Track) -> bool:
    """Whether a track asks for hands in the world that several views see."""
    return track.kind == "pose" and track.several_views and track.frame == "world"
