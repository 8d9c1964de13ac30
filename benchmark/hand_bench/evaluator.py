"""The evaluator: predictions and annotations stream by, sums stay, scores come out.

`evaluate` scores a whole file; `Evaluator` is the same machine for training loops and for shards
that are scored apart and merged.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from hand_bench import engine_numpy, errors_file, pairing, scoring
from hand_bench.annotations import Annotations
from hand_bench.blocks import BlockSums, Canonical, sum_block
from hand_bench.checks import ValueChecks
from hand_bench.collected import Collected
from hand_bench.data import open_annotations, quiet
from hand_bench.declaration import Declaration
from hand_bench.errors import DatasetError, HandBenchError, Problem, SubmissionError
from hand_bench.layouts import Layout
from hand_bench.meshes import Meshes
from hand_bench.predictions import open_for_track
from hand_bench.results import Result
from hand_bench.selection import few_sequences, select
from hand_bench.sources import PredictionSource
from hand_bench.sums import Sums
from hand_bench.tracks import Track, find_track
from hand_bench.validation import declaration_problems, file_problems

#: From this many rows on, loading compiled code pays.
NUMBA_ROWS = 150_000
#: Rows of `update` that are collected before they are scored.
COLLECTED = 8_192

EngineName = Literal["auto", "numpy", "numba"]


def evaluate(
    preds: Any,
    *,
    track: str | Track,
    protocol: str = "all",
    annotations: str | Path | Annotations | None = None,
    sequences: Sequence[str] = (),
    limit: int | None = None,
    allow_missing: bool = False,
    units: str | None = None,
    joint_set: str | None = None,
    frame: str | None = None,
    errors: str | Path | None = None,
    workers: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    engine: EngineName = "auto",
    progress: Callable[[str, int, int], None] = quiet,
) -> Result:
    """Score predictions on a track.

    Parameters
    ----------
    preds
        A path, a DataFrame, a `datasets.Dataset`, an Arrow table, `Predictions`, or a dict of
        arrays (see `hand_bench.predictions` for the layouts).
    track
        Name of the track, or a track.
    protocol
        One protocol's scores, or "all".
    annotations
        Annotations file; default: the prepared ones.
    sequences
        Only samples whose sequence matches one of these names or patterns; the result is partial.
    limit
        Only the first samples; the result is partial.
    allow_missing
        Score what is there when samples are missing; the result is partial. Official numbers are
        then means over what was found; in `recommended` the missing hands fail every threshold.
    units, joint_set, frame
        What the file means, where it does not declare it (or declares it wrongly).
    errors
        Also write the errors of every sample to this Parquet file.
    workers
        Threads that compute (one more reads); the bytes of the result do not depend on it.
    resamples, seed
        Of the clustered bootstrap; 0 resamples give no intervals.
    engine
        "numpy", "numba", or "auto": numba for large files where it is installed.
    progress
        Called with (what, done, total) in samples.

    Raises
    ------
    SubmissionError
        With every problem of the file (HB1xx).
    DatasetError
        HB201 where the annotations are not prepared, HB206 where they are another kind of file.
    TrackError
        HB301 for unknown names, HB302 where nothing is selected.
    """
    known = find_track(track)
    options = {
        "annotations": annotations,
        "sequences": sequences,
        "limit": limit,
        "allow_missing": allow_missing,
        "resamples": resamples,
        "seed": seed,
    }
    if known.kind == "action":
        from hand_bench.actions import evaluate_clips

        return evaluate_clips(
            preds, known, protocol=protocol, errors=errors, progress=progress, **options
        )
    machine = Evaluator(known, engine=engine, **options)
    scoring.require_truth(machine)
    if protocol != "all":
        machine.track.protocol(protocol)
    source = open_for_track(preds, machine.track, units=units, joint_set=joint_set, frame=frame)
    machine.score_file(
        source, errors=errors, workers=workers, trust_units=units is not None, progress=progress
    )
    return machine.scores(protocol)


class Evaluator:
    """Scores predictions as they come: batches of a training loop, or shards merged later.

    Examples
    --------
    ::

        evaluator = Evaluator("interhand26m")
        for batch in loader:
            evaluator.update(dict(sample_id=ids, right_joints=right, left_joints=left))
        print(evaluator.scores().primary.value)
    """

    def __init__(
        self,
        track: str | Track,
        annotations: str | Path | Annotations | None = None,
        *,
        sequences: Sequence[str] = (),
        limit: int | None = None,
        allow_missing: bool = False,
        resamples: int = 1000,
        seed: int = 0,
        engine: EngineName = "auto",
    ):
        self.track = find_track(track)
        if not isinstance(annotations, Annotations):
            annotations = open_annotations(self.track, annotations)
        self.annotations = annotations
        self.selection, self.partial = select(self.annotations, sequences, limit)
        self.allow_missing = allow_missing
        self.resamples, self.seed = resamples, seed
        self.engine_name: EngineName = engine
        self.sums = Sums(self.track.layout)
        self.declared = Declaration().resolved("mm", self.track.joint_set, self.track.frame)
        self.coverage = pairing.Coverage(self.selection.size, 0)
        self.predictions: dict[str, Any] = {"path": None, "sha256": None, "rows": 0}
        self.notes: list[str] = []
        self.meshes: Meshes | None = None
        self.collected = Collected(self.selection)
        self._layout = Layout("samples", ())
        self.time_blocks = few_sequences(self.selection)

    # --- a whole file -------------------------------------------------------------------------

    def score_file(
        self,
        source: PredictionSource,
        *,
        errors: str | Path | None = None,
        workers: int | None = None,
        trust_units: bool = False,
        progress: Callable[[str, int, int], None] = quiet,
    ) -> None:
        """Add a whole file; see `evaluate`."""
        source = open_for_track(source, self.track)
        checks, canonical = self._checks(source, trust_units), self._canonical(source)
        with ThreadPoolExecutor(1) as side_job:
            digest = side_job.submit(lambda: source.sha256)
            try:
                pairs = pairing.in_order(self.selection, canonical.columns, source, checks)
                if declaration_problems(source, self.track):
                    raise pairing.OutOfOrder  # the slower way finds the other problems too
                self._run(pairs, canonical, errors, workers, progress, checks)
                self.coverage = pairing.Coverage(self.selection.size, self.selection.size)
            except pairing.OutOfOrder:
                self._score_reordered(source, errors, workers, trust_units, progress)
        pa.default_memory_pool().release_unused()
        self.declared = source.declared
        self.predictions = {
            "path": str(source.path) if source.path else None,
            "sha256": digest.result(),
            "rows": source.rows,
        }

    def _score_reordered(self, source, errors, workers, trust_units, progress) -> None:
        self.sums = Sums(self.track.layout)
        checks, canonical = self._checks(source, trust_units), self._canonical(source)
        position, self.coverage = pairing.join(self.selection, source)
        pa.default_memory_pool().release_unused()  # the ids, and the table that joined them
        problems = file_problems(source, self.track, self.coverage)
        if self.allow_missing:
            problems = [p for p in problems if p.code != "HB104"]
        if problems:
            checks.look_at_all(source.blocks())
            raise SubmissionError(sorted(problems + checks.problems(), key=lambda p: p.code))
        pairs = pairing.reordered(self.selection, canonical.columns, source, checks, position)
        self._run(pairs, canonical, errors, workers, progress, checks)

    def _run(
        self,
        pairs: Iterator[pairing.Pair],
        canonical: Canonical,
        errors,
        workers,
        progress,
        checks: ValueChecks,
    ) -> None:
        """Read in this thread, compute in `workers` others, add up in order."""
        engine = self._engine(self.selection.size)
        workers = workers or max(1, min(2, (os.cpu_count() or 2)))
        total = self.selection.size
        waiting: deque[Future[BlockSums]] = deque()
        with errors_file.writing(errors, self.track) as sink, ThreadPoolExecutor(workers) as pool:

            def add_next() -> None:
                done = waiting.popleft().result()
                self.sums.add(done.block.groups, done.values)
                sink(done)
                progress("scoring", done.block.start + len(done.block), total)

            try:
                for pair in pairs:
                    block = canonical.block(pair)
                    waiting.append(
                        pool.submit(sum_block, block, self.sums.layout, engine, errors is not None)
                    )
                    while len(waiting) > workers:
                        add_next()
                while waiting:
                    add_next()
            except BaseException:
                for future in waiting:
                    future.cancel()
                raise
            found = checks.problems()
            if found:
                raise SubmissionError(found)

    # --- batches and shards -------------------------------------------------------------------

    def update(self, preds: Any) -> Evaluator:
        """Add a batch of predictions, rows in any order; each sample once.

        Batches are collected until they are worth a pass over the annotations. The acceleration
        error needs three neighbouring rows in one such collection (8,192 rows, or all that came
        before `scores` was asked for); others do not count.

        Raises
        ------
        SubmissionError
            HB105 for unknown ids, HB106 for a sample that was given before, HB1xx as `evaluate`.
        """
        source = open_for_track(preds, self.track)
        problems = declaration_problems(source, self.track)
        if self.predictions["rows"]:
            problems += _differences(self.declared, source.declared, source.name)
            problems += _mesh_differences(self._layout, source.layout, source.name)
        if problems:
            raise SubmissionError(problems)
        if source.declared != self.declared and self.collected:
            self._score_collected()
        self.collected.add(source, self._checks(source, True))
        self.declared, self._layout = source.declared, source.layout
        self.predictions["rows"] += source.rows
        if self.collected.rows >= COLLECTED:
            self._score_collected(halves=False)
        return self

    def merge(self, other: Evaluator) -> Evaluator:
        """Add another evaluator's shard of the same track; shards must not share samples.

        Raises
        ------
        SubmissionError
            HB106 where both shards answer a sample, HB113 where they are in different frames, were
        given different inputs, or hold a whole file or another selection.
        """
        problems = _unlike(self, other)
        if self.predictions["rows"] and other.predictions["rows"]:
            problems += _differences(self.declared, other.declared, "shards")
            problems += _mesh_differences(self._layout, other._layout, "shards")
        if problems:
            raise SubmissionError(problems)
        self._score_collected()
        other._score_collected()
        self.collected.merge(other.collected)
        self.sums.merge(other.sums)
        if other.predictions["rows"]:
            self.declared, self._layout = other.declared, other._layout
            self.meshes = self.meshes or other.meshes
            self.notes += [note for note in other.notes if note not in self.notes]
        self.predictions["rows"] += other.predictions["rows"]
        self.coverage = self.collected.coverage()
        return self

    def scores(self, protocol: str = "all") -> Result:
        """Reduce the sums to scores with intervals; can be asked for at any time."""
        self._score_collected()
        return scoring.result(self, protocol)

    def _score_collected(self, *, halves: bool = True) -> None:
        if not self.collected:
            return
        canonical = self._canonical_of(self.declared, self._layout)
        engine = self._engine(self.selection.size)
        for pair in self.collected.take(canonical.columns, halves=halves):
            done = sum_block(canonical.block(pair), self.sums.layout, engine, False)
            self.sums.add(done.block.groups, done.values)
        self.coverage = self.collected.coverage()

    # --- shared -------------------------------------------------------------------------------

    def _checks(self, source: PredictionSource, trust_units: bool) -> ValueChecks:
        return ValueChecks(
            source.name,
            source.declared,
            self.track.hand_length,
            source.layout.image_space,
            trust_units,
        )

    def _canonical(self, source: PredictionSource) -> Canonical:
        return self._canonical_of(source.declared, source.layout)

    def _canonical_of(self, declared: Declaration, layout: Layout) -> Canonical:
        if layout.has_meshes and self.track.kind == "pose" and self.meshes is None:
            self._find_meshes()
        meshes = self.meshes if layout.has_meshes else None
        return Canonical(self.track, declared, layout.image_space, self.time_blocks, meshes)

    def _find_meshes(self) -> None:
        """Load the hand models; a note says what is lacking where there are none."""
        try:
            self.meshes = Meshes.of(self.track.dataset)
        except DatasetError as error:
            why = "MANO's licensed files are not on this machine (https://mano.is.tue.mpg.de)."
            if error.problems[0].code != "HB202":
                why = "MANO's files are damaged, or something else."
            note = f"{scoring.NO_MPVPE}: {why}"
            if note not in self.notes:
                self.notes.append(note)

    def _engine(self, rows: int) -> ModuleType:
        if self.engine_name == "numpy" or (self.engine_name == "auto" and rows < NUMBA_ROWS):
            return engine_numpy
        try:
            from hand_bench import engine_numba
        except ImportError as error:
            if self.engine_name == "auto":
                return engine_numpy
            raise HandBenchError(
                Problem(
                    "HB401",
                    "engine",
                    "numba is not installed.",
                    fix="pip install 'hand-bench[fast]'",
                )
            ) from error
        return engine_numba


def _differences(one: Declaration, other: Declaration, where: str) -> list[Problem]:
    """Say where two batches of one method cannot be of one method (HB113)."""
    return [
        Problem(
            "HB113",
            where,
            f"declares {what} {getattr(other, what)!r}, batches before it {getattr(one, what)!r}.",
            fix="One evaluator scores one method: use another one.",
        )
        for what in ("frame", "inputs")
        if getattr(one, what) != getattr(other, what)
    ]


def _mesh_differences(one: Layout, other: Layout, where: str) -> list[Problem]:
    """Refuse batches with meshes beside others without: hands could be left out (HB113)."""
    if one.has_meshes == other.has_meshes:
        return []
    what = "has no MANO parameters, batches before it have"
    if other.has_meshes:
        what = "has MANO parameters, batches before it have none"
    return [Problem("HB113", where, f"{what}.", fix="Give them in all batches, or in none.")]


def _unlike(one: Evaluator, other: Evaluator) -> list[Problem]:
    """Say why two evaluators cannot be merged (HB113)."""
    wrong = []
    if one.predictions["sha256"] or other.predictions["sha256"]:
        wrong.append("hold a whole file: only evaluators that were given batches are merged.")
    mine, theirs = (
        np.ones(e.selection.size, bool) if e.selection.rows is None else e.selection.rows
        for e in (one, other)
    )
    if one.track.name != other.track.name or not np.array_equal(mine, theirs):
        wrong.append("are of different tracks or selections.")
    return [Problem("HB113", "shards", what) for what in wrong]
