"""Clips of an action track beside their truth: one row per clip, in the form of the errors file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hand_bench import errors_file, pairing
from hand_bench.actions import UNANSWERED, read_labels
from hand_bench.annotations import Annotations
from hand_bench.array_types import Int
from hand_bench.errors import SubmissionError
from hand_bench.selection import few_sequences
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track


def clip_errors(
    source: PredictionSource,
    track: Track,
    annotations: Annotations,
    selection: pairing.Selection | None = None,
    *,
    allow_missing: bool = False,
) -> pa.Table:
    """Return truth and answer of the clips that are answered and whose class is known.

    Raises
    ------
    SubmissionError
        With every problem of the file, as `evaluate`.
    """
    selection = selection or pairing.Selection(annotations)
    label, problems = read_labels(source, track)
    position, coverage = pairing.join(selection, source)
    problems += pairing.coverage_problems(coverage, source.name, track.name)
    if allow_missing:
        problems = [p for p in problems if p.code != "HB104"]
    if problems:
        raise SubmissionError(sorted(problems, key=lambda problem: problem.code))
    answer = np.full(selection.size, UNANSWERED)
    answer[position[position >= 0]] = label[position >= 0]
    return paired(answer, track, selection)


def paired(answer: Int[np.ndarray, " clips"], track: Track, selection: pairing.Selection):
    """Put answers (class numbers, -1 for none) beside the truth of a selection's clips."""
    time_blocks = few_sequences(selection)
    columns = dict.fromkeys(["sample_id", "label", "sequence", "time", *track.strata])
    batches = []
    for batch in selection.batches(list(columns)):
        own = answer[batch.start : batch.start + len(batch)]
        cluster = [str(name) for name in batch["sequence"]]
        if time_blocks:
            start = np.nan_to_num(batch["time"].astype(np.float64)) // 10 * 10
            cluster = [f"{c} {int(s)}s" for c, s in zip(cluster, start, strict=True)]
        strata = (["unknown" if v is None else str(v) for v in batch[c]] for c in track.strata)
        truth = np.asarray(batch["label"], np.int32)
        arrays = [
            batch.sample_id,
            *(pa.array(texts, pa.string()).dictionary_encode() for texts in (cluster, *strata)),
            pa.array(truth),
            pa.array(own.astype(np.int32)),
            pa.array(own == truth),
        ]
        rows = pa.RecordBatch.from_arrays(arrays, schema=errors_file.schema(track))
        batches.append(rows.filter(pa.array(batch.given("label") & (own != UNANSWERED))))
    return pa.Table.from_batches(batches, schema=errors_file.schema(track))
