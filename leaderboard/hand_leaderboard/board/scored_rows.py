"""Rows of submissions, and the groups that they are ranked in."""

from __future__ import annotations

from collections.abc import Sequence
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
    from hand_leaderboard.board.cluster_parts import ClusterParts
    from hand_leaderboard.submissions.folder import Submission

#: By slug of a submission ("track/name"): what every cluster adds to the track's primary number.
Parts = dict[str, "ClusterParts | None"]


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
    parts: Parts,
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
    parts
        What the clusters add to the primary number of the track, for its own protocol. Under other
        protocols rows are ordered by value; sums are stored for `recommended` alone.
    """
    keys = {column.key for column in columns}
    grouped: dict[str, list[Row]] = {}
    for submission in submissions:
        row = scored_row(submission, protocol, keys)
        grouped.setdefault(row.group, []).append(row)
    judged = protocol == track.primary.protocol
    groups = [
        _group(track, rows, columns[0], parts if judged else None) for rows in grouped.values()
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


def _group(track: Track, rows: Sequence[Row], primary: Column, parts: Parts | None) -> Group:
    """Rank the rows of one group."""
    ranked = [row for row in rows if not row.note and _value(row, primary) is not None]
    slugs = {row.slug for row in ranked}
    paired, others = (ranked, []) if parts is None else _paired(ranked, parts)
    places, method = _standings(paired, primary, parts)
    done = [
        replace(row, rank=s.rank, rank_interval=s.interval, ties=s.ties)
        for row, s in zip(paired, places, strict=True)
    ]
    done.sort(key=lambda row: (row.rank, row.slug))
    lacking = f"has no {primary.label}: listed, not ranked"
    listed = [row if row.note else replace(row, note=lacking) for row in rows]
    listed = [row for row in listed if row.slug not in slugs]
    listed.sort(key=lambda row: row.slug)
    inputs = rows[0].inputs
    return Group(
        key=rows[0].group,
        kind=rows[0].kind,
        inputs=inputs,
        label=inputs_label(inputs),
        rows=(*done, *others, *listed),
        standard=is_standard(inputs, track.inputs),
        method=method,
    )


def _value(row: Row, column: Column) -> float | None:
    cell = row.cells.get(column.key)
    return cell.value if cell else None


def _paired(rows: Sequence[Row], parts: Parts) -> tuple[list[Row], list[Row]]:
    """Part the rows whose clusters are those of most from the others, which get a note."""
    known = {row.slug: parts.get(row.submission) for row in rows}
    names = [p.clusters for p in known.values() if p is not None]
    if not names:
        return list(rows), []
    most = max(sorted(set(names)), key=names.count)
    paired = [row for row in rows if (p := known[row.slug]) is not None and p.clusters == most]
    note = "its sums are of other clusters than those of most: listed, not ranked"
    slugs = {row.slug for row in paired}
    others = [replace(row, note=note) for row in rows if row.slug not in slugs]
    return paired, sorted(others, key=lambda row: row.slug)


def _standings(
    rows: Sequence[Row], primary: Column, parts: Parts | None
) -> tuple[list[Standing], str]:
    """Rank rows by the primary column; say how that was judged."""
    values = np.array([_value(row, primary) for row in rows], np.float64)
    options = {"higher_is_better": primary.higher_is_better}
    if parts is None:
        return standings(values, None, **options), "ordered by value; differences are not judged"
    found = [parts.get(row.submission) for row in rows]
    if not rows or any(p is None for p in found):
        return standings(values, None, **options), "ordered by value; no sums to judge differences"
    known = [p for p in found if p is not None]
    totals, weights = (np.stack([getattr(p, n) for p in known]) for n in ("totals", "weights"))
    clear = clear_differences(totals, weights)
    count = len(known[0].clusters)
    if clear is None:
        few = f"ordered by value; {count} clusters are too few to judge differences"
        return standings(values, None, **options), few
    pairs = len(rows) * (len(rows) - 1) // 2
    method = (
        f"paired over {count:,} clusters: randomisation test, Holm over {pairs:,} "
        f"{'pair' if pairs == 1 else 'pairs'} at 5 %, and 95 % intervals of differences"
    )
    return standings(values, clear, **options), method
