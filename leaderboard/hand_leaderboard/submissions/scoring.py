"""Scoring a submission: predictions in; `result.json`, `sums.parquet` and `errors.parquet` out.

Predictions are read as data: Parquet, never anything that runs. What a file says of its own size is
compared with what the track asks for before anything large is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import scoring, validation
from hand_bench.actions import ClipEvaluator
from hand_bench.annotations import Annotations
from hand_bench.clip_answers import clip_errors
from hand_bench.data import quiet
from hand_bench.errors import Problem, SubmissionError
from hand_bench.evaluator import Evaluator
from hand_bench.predictions import open_for_track, write_table
from hand_bench.results import Result
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track
from hand_leaderboard.submissions import hidden
from hand_leaderboard.submissions.few_samples import write_few_samples
from hand_leaderboard.submissions.folder import ERRORS, MOST, RESULT, SAMPLES, SUMS
from hand_leaderboard.submissions.meta import Meta
from hand_leaderboard.submissions.sums import write_sums
from hand_leaderboard.worlds import is_procedural

#: Rows per sample that any layout has (one per hand), with room for repeated ids to be reported.
_ROWS_PER_SAMPLE = 4
#: Numbers of one column and row: 63 joints, 61 parameters, scores of every class.
_NUMBERS_PER_ROW = 512
#: Rows of an errors file that could be kept: each takes ten bytes at least.
_MOST_ROWS = MOST[ERRORS] // 10
#: Bytes that a row can take when it is unpacked.
_BYTES_PER_ROW = 8_192

Progress = Callable[[str, int, int], None]


def score(
    preds: Path,
    track: Track,
    meta: Meta,
    out: Path,
    *,
    annotations: Annotations,
    workers: int | None = None,
    progress: Progress = quiet,
) -> Result:
    """Score predictions and write what only the scorer writes into the folder `out`.

    Parameters
    ----------
    preds, track, meta
        The file, its track, and what is said of it.
    out
        An existing folder.
    annotations
        The truth.
    workers, progress
        As `hand_bench.evaluate`.

    Raises
    ------
    SubmissionError
        With every problem of the file; HB148 where a hidden truth would be given away.
    DatasetError
        HB209 where the annotations hold no truth.
    """
    source = open_declared(preds, track, meta, annotations.rows)
    secret = hidden.is_hidden(track)
    errors = None if secret or annotations.rows > _MOST_ROWS else out / ERRORS
    if track.kind == "action":
        machine = ClipEvaluator(track, annotations, allow_missing=meta.incomplete)
        scoring.require_truth(machine)
        machine.score_file(source)
        if errors is not None:
            asked, missing = machine.selection, meta.incomplete
            table = clip_errors(source, track, annotations, asked, allow_missing=missing)
            write_table(errors, table)
    else:
        machine = Evaluator(track, annotations, allow_missing=meta.incomplete)
        scoring.require_truth(machine)
        trusted = _units(meta, track) is not None
        machine.score_file(
            source, errors=errors, workers=workers, trust_units=trusted, progress=progress
        )
    result = machine.scores()
    result = replace(result, predictions=result.predictions | {"path": None})
    sums, reduced = machine.sums, ""
    if secret:
        sums, reduced = hidden.withheld(machine.sums, track, source.name), hidden.REDUCED
        result = hidden.published(result)
    write_sums(out / SUMS, sums, track, reduced=reduced)
    result.save(out / RESULT)
    if errors is not None:
        if track.kind == "pose" and is_procedural(track):
            write_few_samples(out / SAMPLES, source, annotations, track, errors)
        keep_small(errors)
    return result


def open_declared(preds: Path, track: Track, meta: Meta, samples: int) -> PredictionSource:
    """Open predictions with the inputs and the name that `submission.yaml` gives them.

    Raises
    ------
    SubmissionError
        As `open_for_track`; HB113 where the file declares other inputs, HB105 where it claims more
        rows or values than the track's samples could need.
    """
    _refuse_bombs(preds, samples)
    source = open_for_track(preds, track, units=_units(meta, track))
    declared = source.declared
    other = [item for item in declared.inputs if item not in meta.inputs]
    if other:
        raise SubmissionError(
            Problem(
                "HB113", source.name,
                f"declares the inputs {', '.join(other)[:200]}, submission.yaml "
                f"{', '.join(meta.inputs) or 'none'}.",
                fix="Say in both what was used.",
            )
        )  # fmt: skip
    source.declared = replace(declared, inputs=meta.inputs, method=meta.method, notes="")
    return source


def _units(meta: Meta, track: Track) -> str | None:
    """Return the unit that is stated; 2D joints and clips have no other one."""
    return meta.units if meta.units and track.kind == "pose" else None


def _refuse_bombs(preds: Path, samples: int) -> None:
    """Refuse a small file that would unpack into a huge one, from its footer alone."""
    try:
        footer = pq.read_metadata(preds)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError):
        return  # opening it says what is wrong
    most = _ROWS_PER_SAMPLE * samples + 1_000
    groups = [footer.row_group(k) for k in range(footer.num_row_groups)]
    values = max((g.column(c).num_values for g in groups for c in range(g.num_columns)), default=0)
    unpacked = sum(
        g.column(c).total_uncompressed_size for g in groups for c in range(g.num_columns)
    )
    if footer.num_rows > most or sum(g.num_rows for g in groups) > most:
        what = f"claims {footer.num_rows:,} rows; the track has {samples:,} samples."
    elif values > _NUMBERS_PER_ROW * most:
        what = f"claims {values:,} values in one column."
    elif unpacked > _BYTES_PER_ROW * most:
        what = f"unpacks to {unpacked:,} bytes."
    else:
        return
    raise SubmissionError(Problem("HB105", preds.name, what, "Another track's file?"))


def keep_small(path: Path) -> None:
    """Leave the errors of single joints out of a large file, and no file where it stays large."""
    if path.stat().st_size <= MOST[ERRORS]:
        return
    with pq.ParquetFile(path) as source:
        names = [n for n in source.schema_arrow.names if not n.endswith("_errors")]
        slim = path.with_name(f".{path.name}")
        fields = [source.schema_arrow.field(n) for n in names]
        schema = pa.schema(fields, metadata=source.schema_arrow.metadata)
        with pq.ParquetWriter(slim, schema, compression="zstd", compression_level=9) as writer:
            for batch in source.iter_batches(65_536, columns=names):
                writer.write_batch(batch)
                if slim.stat().st_size > MOST[ERRORS]:
                    break
    small = slim.stat().st_size <= MOST[ERRORS] and pq.read_metadata(slim).num_rows == \
        pq.read_metadata(path).num_rows  # fmt: skip
    path.unlink()
    if small:
        slim.replace(path)
    else:
        slim.unlink()


def check_predictions(
    preds: Path, track: Track, meta: Meta, *, annotations: Annotations | None, ids: Path | None
) -> validation.Validation:
    """Check a file's form and ids; without annotations and ids its own ids are taken.

    Raises
    ------
    SubmissionError
        With every problem; missing samples are none where `incomplete` is declared.
    """
    rows = annotations.rows if annotations is not None else _rows_of(ids or preds)
    source = open_declared(preds, track, meta, rows)
    options = {"annotations": annotations.path} if annotations is not None else {}
    units = _units(meta, track)
    try:
        return validation.validate(source, track=track, ids=ids or (None if options else preds),
                                   units=units, **options)  # fmt: skip
    except SubmissionError as error:
        problems = [p for p in error.problems if not (meta.incomplete and p.code == "HB104")]
        if problems:
            raise SubmissionError(problems) from None
    return validation.validate(source, track=track, ids=preds, units=units)


def _rows_of(path: Path) -> int:
    try:
        return pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError):
        return 0
