"""Which samples are asked for: all of a track's, those of some sequences, or the first few."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench.annotations import Annotations
from hand_bench.arrow import numbers
from hand_bench.errors import Problem, TrackError
from hand_bench.pairing import Selection

#: With fewer sequences, blocks of ten seconds are resampled instead.
MIN_SEQUENCES = 20


def few_sequences(selection: Selection) -> bool:
    """Whether there are too few sequences to resample them."""
    known = selection.annotations.manifest.get("counts", {}).get("sequences")
    if known is None or selection.rows is not None:
        column = selection.annotations.table(["sequence"]).column("sequence").combine_chunks()
        if selection.rows is not None:
            column = column.filter(pa.array(selection.rows))
        known = len(pc.unique(column))
    return known < MIN_SEQUENCES


def select(
    annotations: Annotations, sequences: Sequence[str], limit: int | None
) -> tuple[Selection, list[str]]:
    """Choose the expected samples; the reasons why a result is partial come with them.

    Raises
    ------
    TrackError
        HB302 where no sample is left.
    """
    manifest = annotations.manifest
    partial = [] if manifest.get("complete", True) else ["the annotations are a partial copy"]
    if not sequences and limit is None:
        return Selection(annotations), partial
    rows = np.ones(annotations.rows, bool)
    if sequences:
        column = annotations.table(["sequence"]).column("sequence").combine_chunks()
        names = column.dictionary.to_pylist()
        chosen = np.array([any(_matches(name, p) for p in sequences) for name in names])
        rows = chosen[numbers(column.indices)]
        partial.append(f"sequences {', '.join(sequences)}")
        if not rows.any():
            near = ", ".join(names[:3])
            raise TrackError(
                Problem(
                    "HB302",
                    "",
                    f"no sequence matches {', '.join(sequences)}.",
                    fix=f"Sequences are called {near}, ...; patterns with * work.",
                )
            )
    if limit is not None:
        if limit < 1:
            raise TrackError(Problem("HB302", "", f"--limit {limit} leaves no sample."))
        rows &= np.cumsum(rows) <= limit
        partial.append(f"the first {limit:,} samples")
    return Selection(annotations, rows), partial


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern) or name.rsplit("/", 1)[-1] == pattern
