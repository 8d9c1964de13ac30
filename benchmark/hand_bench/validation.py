"""Validation: everything that can be checked of a predictions file without the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from hand_bench import pairing
from hand_bench.annotations import Annotations
from hand_bench.checks import ValueChecks
from hand_bench.data import open_annotations
from hand_bench.errors import SubmissionError
from hand_bench.evaluator import declaration_problems, override
from hand_bench.predictions import open_predictions
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track, find_track


@dataclass(frozen=True)
class Validation:
    """A file that fits its track: what it holds, and remarks that are no errors."""

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

    listed: pa.Array

    @property
    def rows(self) -> int:
        """Number of ids."""
        return len(self.listed)

    def ids(self) -> pa.Array:
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
        Template file (or any file with a sample_id column) to take the ids from instead.
    units, joint_set, frame
        What the file means, where it does not declare it.

    Raises
    ------
    SubmissionError
        With every problem that was found.
    """
    known = find_track(track)
    expected: Annotations | IdList = (
        IdList(PredictionSource(Path(ids), Path(ids).name).ids())
        if ids is not None
        else open_annotations(known, annotations)
    )
    source = open_predictions(preds)
    source.declared = override(source.declared, units=units, joint_set=joint_set, frame=frame)
    problems = declaration_problems(source, known)
    _, coverage = pairing.join(pairing.Selection(expected), source)  # type: ignore[arg-type]
    problems += pairing.coverage_problems(coverage, source.name, known.name)
    checks = ValueChecks(
        source.name,
        source.declared,
        known.hand_length,
        source.layout.image_space,
        units is not None,
    )
    for start, block in source.blocks():
        checks.look(start, block)
    problems += checks.problems()
    if problems:
        raise SubmissionError(sorted(problems, key=lambda problem: problem.code))
    return Validation(
        known.name,
        source.rows,
        "2.5D " * source.layout.image_space + source.layout.kind,
        checks.answered,
        checks.median_length(),
        coverage.counts(),
        {k: v for k, v in source.declared.metadata().items() if k != "hand_bench_version"},
        _notes(source),
    )


def _notes(source: PredictionSource) -> list[str]:
    notes = []
    for column in source.layout.columns[1:]:
        kind = source.schema.field(column).type
        if "double" in str(kind):
            notes.append(
                f"column {column!r} is {kind}: read as 32-bit floats "
                "(written as those, the file has half the size)"
            )
    if not source.declared.inputs:
        notes.append(
            "no inputs are declared: the signature will say boxes and depth are undeclared"
        )
    return notes[:4]
