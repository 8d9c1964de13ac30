"""Predictions that come in batches, collected until they are worth a pass over the annotations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from hand_bench.checks import ValueChecks
from hand_bench.columns import not_null
from hand_bench.errors import Problem, SubmissionError
from hand_bench.layouts import PredictionBlock
from hand_bench.pairing import (
    Coverage,
    Pair,
    Selection,
    arrays_of,
    empty_block,
    place,
    rows_of,
)
from hand_bench.sources import PredictionSource


class Collected:
    """Batches of a training loop: which samples were given, and the rows not scored yet."""

    def __init__(self, selection: Selection):
        self.selection = selection
        self.waiting: list[tuple[np.ndarray, PredictionBlock]] = []
        self.given = np.zeros((selection.size, 2), bool)  # right, left
        self.half: list[tuple[np.ndarray, PredictionBlock]] = []  # wait for the other hand's crop
        self.scored = np.zeros(selection.size, bool)
        self._position: dict[str, int] | None = None

    def __bool__(self) -> bool:
        return bool(self.waiting or self.half)

    @property
    def rows(self) -> int:
        """Number of rows that wait."""
        return sum(len(block) for _, block in self.waiting)

    def add(self, source: PredictionSource, checks: ValueChecks) -> None:
        """Take a batch.

        Raises
        ------
        SubmissionError
            With every problem of the batch; nothing of it is taken then.
        """
        blocks, problems = [], []
        for start, block in source.blocks():
            checks.look(start, block)
            blocks.append((self._positions(block), block))
        known = np.concatenate([at for at, _ in blocks])
        asked = np.concatenate([not_null(block.ids) for _, block in blocks])
        unknown = np.flatnonzero((known < 0) & asked)
        if unknown.size:
            example = source.ids()[int(unknown[0])].as_py()
            problems.append(
                Problem(
                    "HB105",
                    source.name,
                    f"{unknown.size:,} ids are not among the track's samples, e.g. {example}.",
                )
            )
        keys = np.concatenate([_answers(source, at, block) for at, block in blocks])
        unique, times = np.unique(keys, return_counts=True)
        again = (times > 1) | self.given.ravel()[unique]
        repeated = len(np.unique(unique[again] // 2))
        if repeated:
            problems.append(
                Problem(
                    "HB106",
                    source.name,
                    f"{repeated:,} sample{'s were' if repeated > 1 else ' was'} given before.",
                    cause="A sampler that pads the last batch?",
                )
            )
        late = int(self.scored[np.unique(unique[~again] // 2)].sum())
        if late:
            problems.append(
                Problem(
                    "HB106",
                    source.name,
                    f"{late:,} samples were scored with one hand: the other comes too late.",
                    cause="Scores asked for before all crops were given?",
                    fix="Ask for scores when every crop has been given.",
                )
            )
        problems += checks.problems(may_be_empty=True)
        if problems:
            raise SubmissionError(sorted(problems, key=lambda problem: problem.code))
        self.given.ravel()[unique] = True
        self.waiting += blocks

    def take(self, columns: list[str], *, halves: bool = True) -> Iterator[Pair]:
        """Give the waiting rows, paired with the annotations, and forget them.

        Without `halves`, samples of which one hand's crop was given keep waiting for the other.
        """
        parts, self.waiting, self.half = self.waiting + self.half, [], []
        chosen = []
        for at, block in parts:
            whole = np.ones(len(at), bool) if halves else self.given[at].all(axis=1)
            if not whole.all():
                self.half.append((at[~whole], _some_rows(block, ~whole)))
            if whole.any():
                chosen.append((at[whole], block if whole.all() else _some_rows(block, whole)))
        if not chosen:
            return
        position = np.unique(np.concatenate([at for at, _ in chosen]))
        self.scored[position] = True
        gathered = empty_block(len(position))
        for at, block in chosen:
            place(gathered, np.searchsorted(position, at), arrays_of(block))
        rows = np.zeros(self.selection.annotations.rows, bool)
        inside = self.selection.rows
        rows[position if inside is None else np.flatnonzero(inside)[position]] = True
        for truth in Selection(self.selection.annotations, rows).batches(["sample_id", *columns]):
            yield Pair(truth, rows_of(gathered, truth.start, len(truth), truth.sample_id))

    def coverage(self) -> Coverage:
        """Return how many of the samples were given."""
        found, size = int(np.count_nonzero(self.given.any(axis=1))), self.selection.size
        return Coverage(size, found, missing=size - found)

    def merge(self, other: Collected) -> None:
        """Add what another shard was given; HB106 where both were given a sample."""
        both = int((self.given & other.given).any(axis=1).sum())
        if both:
            raise SubmissionError(
                Problem("HB106", "shards", f"answer {both:,} of the same samples.")
            )
        self.given |= other.given

    def _positions(self, block: PredictionBlock) -> np.ndarray:
        if self._position is None:
            self._position = {name: k for k, name in enumerate(self.selection.ids().to_pylist())}
        return np.array([self._position.get(name, -1) for name in block.ids.to_pylist()], np.int64)


def _answers(source: PredictionSource, at: np.ndarray, block: PredictionBlock) -> np.ndarray:
    """Number the answers of rows, 2 * position + side: both sides, or that of a crop."""
    keys = []
    for side, hand in enumerate(block.hands):
        rows = at[hand.found] if source.layout.kind == "crops" else at
        keys.append(2 * rows[rows >= 0] + side)
    return np.concatenate(keys)


def _some_rows(block: PredictionBlock, keep: np.ndarray) -> PredictionBlock:
    """Return some rows of a block."""
    count = int(keep.sum())
    some = empty_block(count)
    place(some, np.arange(count), {name: v[keep] for name, v in arrays_of(block).items()})
    return replace(some, ids=pa.nulls(count, pa.string()))
