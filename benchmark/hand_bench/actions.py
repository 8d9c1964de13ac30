"""Action tracks: one row per clip, a class number or scores of every class.

A clip is answered by ``label`` (the number of the class in the track's list, from 0), by
``scores`` (one number for each class, the highest wins, the first of equals), or by both, which
must agree. The sums are a confusion matrix per (cell, cluster), so accuracy, class-mean accuracy
and their intervals are reductions of sums like everywhere else.

Sources: H2O's challenge (accuracy over clips); HTT's evaluator, whose "recall_rate_mean" is the
share of all videos, not a mean over classes (facts/htt-h2o-fpha.md 3.6); AssemblyHands, Table 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hand_bench import pairing, scoring
from hand_bench.annotations import Annotations
from hand_bench.arrow import numbers
from hand_bench.columns import decode_floats, describe, list_size, not_null
from hand_bench.data import open_annotations, quiet
from hand_bench.declaration import Declaration
from hand_bench.errors import Problem, SubmissionError
from hand_bench.predictions import open_for_track, write_table
from hand_bench.results import Result
from hand_bench.selection import few_sequences, select
from hand_bench.sources import PredictionSource
from hand_bench.sums import Cell, Sums
from hand_bench.tracks import Track, find_track
from hand_bench.validation import declaration_problems

#: What a clip without an answer holds.
UNANSWERED = -1


class ClipEvaluator:
    """Scores the clips of an action track; whole files, batches of a training loop, or shards."""

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
    ):
        self.track = find_track(track)
        if not isinstance(annotations, Annotations):
            annotations = open_annotations(self.track, annotations)
        self.annotations = annotations
        self.selection, self.partial = select(annotations, sequences, limit)
        self.allow_missing, self.resamples, self.seed = allow_missing, resamples, seed
        self.sums = Sums(self.track.layout)
        self.declared = Declaration()
        self.coverage = pairing.Coverage(self.selection.size, 0)
        self.predictions: dict[str, Any] = {"path": None, "sha256": None, "rows": 0}
        self.notes: list[str] = []
        self.time_blocks = few_sequences(self.selection)
        self.given = np.zeros(self.selection.size, bool)

    def score_file(self, source: PredictionSource) -> None:
        """Add a whole file.

        Raises
        ------
        SubmissionError
            With every problem of the file.
        """
        label, problems = read_labels(source, self.track)
        problems += declaration_problems(source, self.track)
        position, self.coverage = pairing.join(self.selection, source)
        problems += pairing.coverage_problems(self.coverage, source.name, self.track.name)
        if self.allow_missing:
            problems = [p for p in problems if p.code != "HB104"]
        if problems:
            raise SubmissionError(sorted(problems, key=lambda problem: problem.code))
        self._add(position, label)
        self.declared = source.declared
        self.predictions = {
            "path": str(source.path) if source.path else None,
            "sha256": source.sha256,
            "rows": source.rows,
        }

    def update(self, preds: Any) -> ClipEvaluator:
        """Add a batch of clips, rows in any order; each clip once.

        Raises
        ------
        SubmissionError
            HB105 for unknown ids, HB106 for a clip that was given before, HB1xx as `evaluate`.
        """
        source = open_for_track(preds, self.track)
        label, problems = read_labels(source, self.track)
        problems += declaration_problems(source, self.track)
        position, coverage = pairing.join(self.selection, source)
        problems += [
            p
            for p in pairing.coverage_problems(coverage, source.name, self.track.name)
            if p.code != "HB104"
        ]
        again = self.given[position[position >= 0]]
        if again.any():
            what = f"{int(again.sum()):,} clips were given before."
            problems.append(Problem("HB106", source.name, what))
        if problems:
            raise SubmissionError(sorted(problems, key=lambda problem: problem.code))
        self._add(position, label)
        self.declared = source.declared
        self.predictions["rows"] += source.rows
        found = int(self.given.sum())
        size = self.selection.size
        self.coverage = pairing.Coverage(size, found, missing=size - found)
        return self

    def merge(self, other: ClipEvaluator) -> ClipEvaluator:
        """Add another evaluator's shard of the same track; shards must not share clips.

        Raises
        ------
        SubmissionError
            HB106 where both shards answer a clip.
        """
        both = int((self.given & other.given).sum())
        if both:
            raise SubmissionError(
                Problem("HB106", "shards", f"answer {both:,} of the same samples.")
            )
        self.given |= other.given
        self.sums.merge(other.sums)
        if other.predictions["rows"]:
            self.declared = other.declared
        self.predictions["rows"] += other.predictions["rows"]
        found, size = int(self.given.sum()), self.selection.size
        self.coverage = pairing.Coverage(size, found, missing=size - found)
        return self

    def scores(self, protocol: str = "all") -> Result:
        """Reduce the sums to scores with intervals."""
        return scoring.result(self, protocol)

    def _add(self, position: np.ndarray, label: np.ndarray) -> None:
        """Sum the clips that a batch answers."""
        answer = np.full(self.selection.size, UNANSWERED)
        known = position >= 0
        answer[position[known]] = label[known]
        self.given[position[known]] = True
        layout = self.sums.layout
        for at, truth, cell, cluster in self._clips():
            if answer[at] == UNANSWERED:
                continue
            row = np.zeros(layout.width)
            row[layout.slices["clips"][0]] = 1
            row[layout.slices["confusion"][0].start + truth * layout.classes + answer[at]] = 1
            self.sums.add([(cell, cluster)], [row])

    def _clips(self) -> Iterator[tuple[int, int, Cell, str]]:
        """Position, true class, cell and cluster of the clips whose class is known."""
        columns = ["sample_id", "label", "sequence", "time", *self.track.strata]
        for batch in self.selection.batches(list(dict.fromkeys(columns))):
            known = batch.given("label")
            strata = [batch[name] for name in self.track.strata]
            seconds = np.nan_to_num(batch["time"].astype(np.float64)) // 10 * 10
            for k in np.flatnonzero(known):
                cluster = str(batch["sequence"][k])
                if self.time_blocks:
                    cluster = f"{cluster} {int(seconds[k])}s"
                cell = tuple("unknown" if s[k] is None else str(s[k]) for s in strata)
                yield batch.start + int(k), int(batch["label"][k]), cell, cluster


def read_labels(source: PredictionSource, track: Track) -> tuple[np.ndarray, list[Problem]]:
    """Return the class of each row (-1 where it is null) and what is wrong with the values.

    Problems are HB111 and HB112 for the form, HB123 for scores that are not finite, HB128 for
    classes that the track does not have or labels that contradict the scores.
    """
    classes = len(track.classes)
    labels, winners, problems = [], [], []
    columns = set(source.layout.columns)
    start = 0
    for table in source.tables():
        if "label" in columns:
            labels.append(_labels(table.column("label"), source, problems))
        if "scores" in columns:
            winners.append(_winners(table, start, classes, source, problems))
        start += table.num_rows
    named = np.concatenate(labels) if labels else None
    won = np.concatenate(winners) if winners else None
    final = won if named is None else named
    assert final is not None
    ids = source.ids()
    if named is not None:
        wrong = (named != UNANSWERED) & ((named < 0) | (named >= classes))
        if wrong.any():
            problems.append(_unknown_class(source, track, ids, named, wrong))
            final = np.where(wrong, UNANSWERED, final)
        if won is not None:
            differ = (named != won) & (named != UNANSWERED) & (won != UNANSWERED) & ~wrong
            if differ.any():
                problems.append(_contradiction(source, ids, named, won, differ))
    if (final == UNANSWERED).any() and not problems:
        problems.append(_no_answer(source, ids, final))
    return final, _first_of_each(problems)


def _first_of_each(problems: list[Problem]) -> list[Problem]:
    """Keep one problem of each code and place; batches repeat them."""
    return list({(p.code, p.where, p.what.split(",")[0]): p for p in reversed(problems)}.values())


def _labels(column: pa.Array, source: PredictionSource, problems: list[Problem]) -> np.ndarray:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_null(kind)):
        problems.append(
            Problem(
                "HB111",
                source.name,
                f"column 'label' holds {describe(kind)}, not whole numbers.",
                cause="Names of classes, or scores?",
                fix="A label is the number of the class in `hand-bench tracks show TRACK`, from 0.",
            )
        )
        return np.full(len(column), UNANSWERED)
    if pa.types.is_null(kind):
        return np.full(len(column), UNANSWERED)
    values = numbers(column.cast(pa.int64()), null=UNANSWERED)
    # A negative class is an error, not the mark of a row without an answer.
    return np.where((values < 0) & not_null(column), np.iinfo(np.int32).max, values)


def _winners(
    table: pa.RecordBatch, start: int, classes: int, source: PredictionSource, problems
) -> np.ndarray:
    column = table.column("scores")
    inner, size = list_size(column.type)
    if pa.types.is_null(column.type):
        return np.full(len(column), UNANSWERED)
    if not pa.types.is_floating(inner) or (size is not None and size != classes):
        what = f"lists of {size}" if size not in (None, classes) else describe(column.type)
        problems.append(
            Problem(
                "HB112" if size not in (None, classes) else "HB111",
                source.name,
                f"column 'scores' holds {what}, not lists of {classes} numbers.",
                cause="A background class that this track does not have?" if size == classes + 1
                else "",
                fix="One score for each class of `hand-bench tracks show TRACK`, in its order.",
            )
        )  # fmt: skip
        return np.full(len(column), UNANSWERED)
    values, found, faults = decode_floats(column, classes)
    for fault in faults:
        what = (
            f"{fault.count:,} lists of 'scores' cannot be used, e.g. in row {start + fault.row:,}."
        )
        problems.append(Problem(fault.code, source.name, what))
    odd = found & ~np.isfinite(values).all(axis=1)
    if odd.any():
        row = start + int(odd.argmax())
        what = f"{int(odd.sum()):,} rows of 'scores' hold NaN or infinity, e.g. row {row:,}."
        problems.append(Problem("HB123", source.name, what, "A softmax that overflowed?"))
    return np.where(found & ~odd, values.argmax(axis=1), UNANSWERED)


def _unknown_class(source, track: Track, ids, named, wrong) -> Problem:
    row = int(wrong.argmax())
    seen = named[~(named == UNANSWERED)]
    shown = "a negative number" if named[row] == np.iinfo(np.int32).max else f"{named[row]}"
    last = len(track.classes) - 1
    ones = seen.min() >= 1 and seen.max() == last + 1
    return Problem(
        "HB128",
        source.name,
        f"{int(wrong.sum()):,} labels are no class of {track.name}, e.g. {shown} in row {row:,} "
        f"({ids[row].as_py()}); classes are 0 ({track.classes[0]}) to {last} "
        f"({track.classes[-1]}).",
        cause="Labels that count from 1, as the official files do?" if ones else "",
        fix="Subtract 1, or convert the official file with `hand-bench convert`." if ones
        else f"`hand-bench tracks show {track.name}` lists the classes.",
    )  # fmt: skip


def _contradiction(source, ids, named, won, differ) -> Problem:
    row = int(differ.argmax())
    return Problem(
        "HB128",
        source.name,
        f"{int(differ.sum()):,} labels are not the class with the highest score, e.g. in row "
        f"{row:,} ({ids[row].as_py()}): label {named[row]}, highest score {won[row]}.",
        cause="Rows of one column in another order?",
        fix="Keep one of the columns `label` and `scores`.",
    )


def _no_answer(source, ids, final) -> Problem:
    lacking = final == UNANSWERED
    row = int(lacking.argmax())
    if lacking.all():
        return Problem(
            "HB127",
            source.name,
            "no row answers its clip.",
            cause="Is this the template, before predictions were filled in?",
            fix="Fill `label` (class number from 0) or `scores`.",
        )
    return Problem(
        "HB128",
        source.name,
        f"{int(lacking.sum()):,} clips have no answer, e.g. row {row:,} ({ids[row].as_py()}).",
        fix="Every clip needs a label or scores; a clip always shows one of the classes.",
    )


def evaluate_clips(
    preds: Any,
    track: Track,
    *,
    protocol: str = "all",
    errors: str | Path | None = None,
    progress: Callable[[str, int, int], None] = quiet,
    **options: Any,
) -> Result:
    """Score predictions of an action track; see `hand_bench.evaluate`."""
    machine = ClipEvaluator(track, **options)
    scoring.require_truth(machine)
    if protocol != "all":
        track.protocol(protocol)
    source = open_for_track(preds, track)
    machine.score_file(source)
    if errors is not None:
        from hand_bench.clip_answers import clip_errors

        asked, missing = machine.selection, machine.allow_missing
        rows = clip_errors(source, track, machine.annotations, asked, allow_missing=missing)
        write_table(errors, rows)
    progress("scoring", machine.selection.size, machine.selection.size)
    return machine.scores(protocol)
