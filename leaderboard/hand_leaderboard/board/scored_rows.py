"""Rows of submissions, and the groups that they are ranked in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hand_bench import zero_shot
from hand_bench.errors import HandBenchError
from hand_bench.results import Result, Score
from hand_bench.tracks import Track
from hand_leaderboard.board.columns import (
    column_key,
    column_label,
    full_inputs,
    inputs_label,
    is_standard,
    slug,
)
from hand_leaderboard.board.ranks import Standing, clear_differences, standings
from hand_leaderboard.board.tables import (
    KINDS,
    RE_SCORED,
    REPRODUCED,
    Cell,
    Column,
    Group,
    Paper,
    Row,
)

if TYPE_CHECKING:
    from hand_leaderboard.board.digests import ClusterParts, Digest
    from hand_leaderboard.submissions.folder import Submission

#: By slug of a submission ("track/name").
Digests = Mapping[str, "Digest"]


def result_columns(known: Sequence[Column], results: Sequence[Result]) -> list[Column]:
    """Return columns for numbers that only some results have (MPVPE, where there are meshes)."""
    keys = {column.key for column in known}
    protocol = known[0].protocol if known else ""
    extra: dict[str, Column] = {}
    for result in results:
        for s in (s for s in result.scores if s.protocol == protocol):
            key = column_key(s.metric, s.subset)
            if key not in keys and key not in extra:
                label = column_label(s.metric, s.subset)
                extra[key] = Column(
                    key, label, s.metric, protocol, s.subset, s.unit, s.higher_is_better
                )
    return list(extra.values())


def scored_groups(
    track: Track,
    protocol: str,
    submissions: Sequence[Submission],
    columns: Sequence[Column],
    digests: Digests,
) -> tuple[Group, ...]:
    """Make the rows of one protocol, and rank each group.

    Parameters
    ----------
    track, protocol
        Which table.
    submissions
        Of the track, with a result, not withdrawn.
    columns
        Of the table, the primary one first.
    digests
        Of the submissions, for the track's own protocol. Under other protocols rows are ordered by
        value: sums are stored for `recommended` alone.
    """
    keys = {column.key for column in columns}
    grouped: dict[str, list[Row]] = {}
    for submission in submissions:
        row = scored_row(submission, protocol, keys)
        grouped.setdefault(row.group, []).append(row)
    judged = protocol == track.primary.protocol
    groups = [
        _group(track, rows, columns[0], digests if judged else None) for rows in grouped.values()
    ]
    return tuple(
        sorted(groups, key=lambda g: (KINDS.index(g.kind), not g.standard, -len(g.rows), g.key))
    )


def scored_row(submission: Submission, protocol: str, keys: set[str]) -> Row:
    """Return one submission's row, not ranked yet."""
    meta, result = submission.meta, submission.result
    assert result is not None
    kind = REPRODUCED if meta.kind == "baseline" else RE_SCORED
    inputs = full_inputs(submission.track, meta.inputs)
    verdict, why = verdict_of(submission)
    found = [s for s in result.scores if s.protocol == protocol]
    cells = {column_key(s.metric, s.subset): cell_of(s) for s in found}
    paper = meta.paper
    return Row(
        kind=kind,
        method=meta.method,
        slug=submission.name,
        submission=submission.slug,
        cells={key: cell for key, cell in cells.items() if key in keys},
        authors=meta.people,
        author_list=meta.authors,
        date=meta.date,
        paper=Paper(paper.title, paper.url, paper.bibtex) if paper else None,
        code=meta.code,
        inputs=inputs,
        group=slug(" ".join((kind, *inputs))),
        training=meta.training,
        training_text=", ".join(meta.training) or "none",
        zero_shot=verdict,
        zero_shot_why=why,
        coverage=coverage(result),
        description=meta.description,
        backbone=meta.backbone,
        parameters=meta.parameters,
        hardware=meta.hardware,
        licence=meta.licence,
        note=why_not_ranked(result),
    )


def cell_of(score: Score) -> Cell:
    """Return a score as a cell."""
    return Cell(
        score.value,
        score.text(),
        score.unit,
        score.ci95,
        score.n,
        score.signature,
        score.note,
    )


def coverage(result: Result) -> float:
    """Share of the samples that are answered."""
    return result.coverage["found"] / result.coverage["expected"]


def why_not_ranked(result: Result) -> str:
    """Say why a result is listed only; "" where it can be ranked."""
    counts = result.coverage
    if counts["found"] < counts["expected"]:
        share = np.floor(1000 * coverage(result)) / 10  # 99.99 % is not printed as all
        return (
            f"answers {counts['found']:,} of {counts['expected']:,} samples "
            f"({share:.1f} %): listed, not ranked"
        )
    return f"partial ({result.partial}): listed, not ranked" if result.partial else ""


def verdict_of(submission: Submission) -> tuple[str, str]:
    """Return whether the submission is zero-shot on its track, and why."""
    try:
        found = zero_shot.status(submission.meta.training, submission.track)
    except HandBenchError as error:  # tracks of other packages may have no lineage
        return zero_shot.UNDECLARED, error.problems[0].what
    return found.verdict, found.why


def _group(track: Track, rows: Sequence[Row], primary: Column, digests: Digests | None) -> Group:
    """Rank the rows of one group."""
    lacking = f"has no {primary.label}: listed, not ranked"
    ranked = [row for row in rows if not row.note and _value(row, primary) is not None]
    listed = [
        row if row.note else replace(row, note=lacking)
        for row in rows
        if row.note or _value(row, primary) is None
    ]
    if digests is not None:
        ranked, others = _paired(ranked, primary, digests)
        listed += others
    places, method = _standings(ranked, primary, digests)
    done = [
        replace(row, rank=s.rank, rank_interval=s.interval, ties=s.ties)
        for row, s in zip(ranked, places, strict=True)
    ]
    inputs = rows[0].inputs
    return Group(
        key=rows[0].group,
        kind=rows[0].kind,
        inputs=inputs,
        label=inputs_label(inputs),
        rows=(
            *sorted(done, key=lambda row: (row.rank, row.slug)),
            *sorted(listed, key=lambda row: row.slug),
        ),
        standard=is_standard(inputs, track.inputs),
        method=method,
    )


def _value(row: Row, column: Column) -> float | None:
    cell = row.cells.get(column.key)
    return cell.value if cell else None


def _parts(row: Row, column: Column, digests: Digests) -> ClusterParts | None:
    """Return what every cluster adds to a row's primary number; None without sums."""
    known = digests.get(row.submission)
    return known.parts.get(column.metric, {}).get(column.subset) if known else None


def _paired(rows: Sequence[Row], primary: Column, digests: Digests) -> tuple[list[Row], list[Row]]:
    """Part the rows that have the clusters of most from the others, which get a note."""
    names = {
        row.slug: digests[row.submission].clusters
        for row in rows
        if _parts(row, primary, digests) is not None
    }
    if not names:
        return list(rows), []
    counts = Counter(names.values())
    most = max(sorted(counts), key=counts.__getitem__)
    note = "its sums are of other clusters than those of most: listed, not ranked"
    paired = [row for row in rows if names.get(row.slug) == most]
    others = [replace(row, note=note) for row in rows if names.get(row.slug) != most]
    return paired, others


def _standings(
    rows: Sequence[Row], primary: Column, digests: Digests | None
) -> tuple[list[Standing], str]:
    """Rank rows by the primary column; say how that was judged."""
    values = np.array([_value(row, primary) for row in rows], np.float64)
    higher = primary.higher_is_better
    parts = [_parts(row, primary, digests) for row in rows] if digests is not None else []
    known = [p for p in parts if p is not None]
    if not rows or len(known) < len(rows):
        said = "differences are not judged" if digests is None else "no sums to judge differences"
        return standings(values, None, higher_is_better=higher), f"ordered by value; {said}"
    clear = clear_differences(
        np.stack([p.totals for p in known]), np.stack([p.weights for p in known])
    )
    clusters = len(known[0].totals)
    if clear is None:
        few = f"ordered by value; {clusters} clusters are too few to judge differences"
        return standings(values, None, higher_is_better=higher), few
    pairs = len(rows) * (len(rows) - 1) // 2
    method = (
        f"paired over {clusters:,} clusters: randomisation test, Holm over {pairs:,} "
        f"{'pair' if pairs == 1 else 'pairs'} at 5 %, and 95 % intervals of differences"
    )
    return standings(values, clear, higher_is_better=higher), method
