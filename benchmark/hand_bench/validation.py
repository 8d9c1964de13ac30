"""Validation: everything that can be checked of a predictions file without the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import pairing
from hand_bench.annotations import Annotations
from hand_bench.checks import ValueChecks
from hand_bench.columns import list_size
from hand_bench.data import open_annotations
from hand_bench.errors import Problem, SubmissionError
from hand_bench.hashed_ids import HashedIds, is_hashed
from hand_bench.model_inputs import SCHEMA as INPUTS
from hand_bench.predictions import open_for_track
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track, find_track


@dataclass(frozen=True)
class Validation:
    """A file that fits its track: what it holds, and remarks that are no errors.

    `hands` are the answered hands, or clips of an action track.
    """

    track: str
    rows: int
    layout: str
    hands: int
    median_hand_length: float
    coverage: dict[str, int]
    declared: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return dict(vars(self))


@dataclass(frozen=True)
class IdList:
    """The ids of a track from a template file: all that validation needs."""

    listed: pa.ChunkedArray

    @property
    def rows(self) -> int:
        """Number of ids."""
        return len(self.listed)

    def ids(self) -> pa.ChunkedArray:
        """The ids in order."""
        return self.listed


def validate(
    preds: Any,
    *,
    track: str | Track,
    annotations: str | Path | None = None,
    ids: str | Path | None = None,
    units: str | None = None,
    joint_set: str | None = None,
    frame: str | None = None,
) -> Validation:
    """Check the form of predictions: columns, types, ids, values, declaration. No truth is read.

    Parameters
    ----------
    preds
        As `evaluate`.
    track
        Name of the track, or a track.
    annotations
        Annotations file for the ids; default: the prepared ones.
    ids
        Template file (or any file with a sample_id column), or a list of hashed ids that an owner
        published (`data prepare --export-ids`), to take the ids from instead.
    units, joint_set, frame
        What the file means, where it does not declare it.

    Raises
    ------
    SubmissionError
        With every problem that was found.
    """
    known = find_track(track)
    source = open_for_track(preds, known, units=units, joint_set=joint_set, frame=frame)
    coverage = _coverage(source, known, annotations, ids)
    problems = file_problems(source, known, coverage)
    if known.kind == "action":
        from hand_bench.actions import read_labels

        label, wrong = read_labels(source, known)
        _refuse(problems + wrong)
        return _validation(source, known, int((label >= 0).sum()), float("nan"), coverage)
    checks = ValueChecks(
        source.name,
        source.declared,
        known.hand_length,
        source.layout.image_space,
        units is not None,
    )
    checks.look_at_all(source.blocks())
    problems += checks.problems()
    _refuse(problems)
    return _validation(source, known, checks.answered, checks.median_length(), coverage)


def _coverage(
    source: PredictionSource, track: Track, annotations: str | Path | None, ids: str | Path | None
) -> pairing.Coverage:
    if ids is not None and is_hashed(ids):
        return HashedIds(ids).coverage(source)
    expected: Annotations | IdList
    if ids is not None:
        expected = IdList(_ids_of(Path(ids)))
    else:
        expected = open_annotations(track, annotations)
    return pairing.join(pairing.Selection(expected), source)[1]  # type: ignore[arg-type]


def _ids_of(path: Path) -> pa.ChunkedArray:
    """Read the ids of any file that has them: a template of any kind, or a plain list."""
    try:
        column = pq.read_table(path, columns=["sample_id"]).column("sample_id")
    except (pa.ArrowException, OSError, KeyError) as error:
        raise SubmissionError(
            Problem(
                "HB102",
                str(path),
                f"has no ids that can be read ({type(error).__name__}).",
                fix="Give a template, or a list of hashed ids.",
            )
        ) from error
    return column.cast(pa.string())


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise SubmissionError(sorted(problems, key=lambda problem: problem.code))


def _validation(
    source: PredictionSource, track: Track, answered: int, length: float, coverage: pairing.Coverage
) -> Validation:
    declared = source.declared.metadata()
    return Validation(
        track.name,
        source.rows,
        "2.5D " * source.layout.image_space + source.layout.kind,
        answered,
        length,
        coverage.counts(),
        {k: v for k, v in declared.items() if k != "hand_bench_version"},
        _notes(source),
    )


def file_problems(
    source: PredictionSource, track: Track, coverage: pairing.Coverage
) -> list[Problem]:
    """Return what is wrong with a file's declaration and ids (its values are `ValueChecks`')."""
    ids = pairing.coverage_problems(coverage, source.name, track.name)
    return declaration_problems(source, track) + ids


def declaration_problems(source: PredictionSource, track: Track) -> list[Problem]:
    """Compare what a file declares with the track: its name, and the inputs' vocabulary."""
    declared = source.declared
    problems = []
    if track.frame == "world" and source.layout.image_space:
        problems.append(
            Problem(
                "HB113",
                source.name,
                "holds 2.5D rows (uv and depth).",
                cause=f"A sample of {track.name} has several cameras.",
                fix="Give joints in the world frame.",
            )
        )
    if track.frame == "world" and declared.frame == "camera":
        problems.append(
            Problem(
                "HB113",
                source.name,
                "declares the camera frame.",
                cause=f"A sample of {track.name} has several cameras.",
                fix="Give joints in the world frame (`--frame world` where the file says it "
                "wrongly), or wrist-relative ones (`--frame root-relative`).",
            )
        )
    if declared.track and declared.track != track.name:
        problems.append(
            Problem(
                "HB113",
                source.name,
                f"was written for track {declared.track!r}, not {track.name!r}.",
                cause="Another track's file?",
                fix=f"`--track {declared.track}`, or write it again with track={track.name!r}.",
            )
        )
    for item in declared.inputs:
        name, _, value = item.partition(":")
        if name not in track.inputs or value not in track.inputs[name]:
            known = [f"{n}:{v}" for n, values in track.inputs.items() for v in values]
            problems.append(
                Problem(
                    "HB113",
                    source.name,
                    f"declares the input {item!r}.",
                    fix=f"Known for {track.name}: {', '.join(known)}.",
                )
            )
    return problems


def _notes(source: PredictionSource) -> list[str]:
    notes = []
    wide = [c for c in source.layout.columns[1:] if pa.types.is_float64(_inner(source, c))]
    if wide:
        more = f" and {len(wide) - 1} more" if len(wide) > 1 else ""
        notes.append(
            f"column {wide[0]!r}{more} hold 64-bit numbers: read as 32-bit ones "
            "(written as those, the file has half the size)"
        )
    known = {*source.layout.columns, *INPUTS.names}
    unread = [c for c in source.schema.names if c not in known and not c.startswith("__")]
    if unread:
        notes.append(f"columns that are not read: {', '.join(unread[:5])}")
    if not source.declared.inputs:
        notes.append(
            "no inputs are declared: the signature will say boxes and depth are undeclared"
        )
    return notes


def _inner(source: PredictionSource, column: str) -> pa.DataType:
    return list_size(source.schema.field(column).type)[0]
