"""The comment under a pull request: score, interval, and the rows that are nearest.

Nothing that a stranger wrote stands in it but in indented blocks of code, where Markdown, HTML and
mentions are only characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hand_bench.results import Result, Score
from hand_leaderboard.submissions.folder import Submission

#: Rows above and below.
NEAR = 2
#: GitHub refuses longer comments.
LONGEST = 60_000


@dataclass(frozen=True)
class Scored:
    """What became of one submission of a pull request."""

    slug: str
    inputs: tuple[str, ...]
    result: Result | None
    problem: str = ""


@dataclass(frozen=True)
class _Row:
    slug: str
    score: Score
    own: bool = False


def comment(scored: Sequence[Scored], board: Iterable[Submission], commit: str) -> str:
    """Return the Markdown of a comment about everything that a pull request submits."""
    there = list(board)
    parts = [_about(one, there) for one in scored]
    parts.append(f"Scored at {commit[:12]}. A new commit has to be scored again.")
    text = "\n\n".join(parts)
    return text if len(text) <= LONGEST else text[:LONGEST] + "\n\n(cut)"


def _about(one: Scored, board: Sequence[Submission]) -> str:
    head = f"### {one.slug}"
    if one.result is None:
        lines = one.problem.replace("\r", " ").split("\n")
        return "\n".join([head, "", "Not scored:", "", *(f"    {line}" for line in lines)])
    score, coverage = one.result.primary, one.result.coverage
    said = (
        f"{score.metric} ({score.protocol}, {score.subset}): **{score.text()}**"
        + (f", 95 % interval {score.interval_text()}" if score.ci95 else "")
        + f"; {coverage['found']:,} of {coverage['expected']:,} samples answered. "
        + f"Inputs: {', '.join(one.inputs) or 'none'}."
    )
    if coverage["found"] < coverage["expected"]:
        return f"{head}\n\n{said}\n\nIt is listed, but not ranked: samples are left out."
    rows = _nearest(one, score, board)
    return f"{head}\n\n{said}\n\n{_table(rows)}"


def _nearest(one: Scored, score: Score, board: Sequence[Submission]) -> tuple[list[_Row], int, int]:
    """Rows of the same inputs around a score, its place by value, and how many there are."""
    track = one.slug.partition("/")[0]
    rows = [_Row(one.slug, score, own=True)]
    for other in board:
        if other.track.name != track or other.slug == one.slug or other.result is None:
            continue
        coverage = other.result.coverage
        complete = coverage["found"] == coverage["expected"]
        alike = set(other.meta.inputs) == set(one.inputs) and other.withdrawn is None
        if complete and alike and other.result.primary.value is not None:
            rows.append(_Row(other.slug, other.result.primary))
    sign = -1 if score.higher_is_better else 1
    rows.sort(key=lambda row: (sign * (row.score.value or 0.0), row.slug))
    at = next(k for k, row in enumerate(rows) if row.own)
    return rows[max(0, at - NEAR) : at + NEAR + 1], at + 1, len(rows)


def _table(found: tuple[list[_Row], int, int]) -> str:
    rows, place, count = found
    if count == 1:
        return "It is the first of its inputs on this track."
    metric = rows[0].score.metric
    lines = [f"| submission | {metric} | 95 % interval |", "|---|---:|---|"]
    for row in rows:
        name = row.slug.partition("/")[2]
        shown = f"**{name}**" if row.own else name
        lines.append(f"| {shown} | {row.score.text()} | {row.score.interval_text()} |")
    told = (f"By value it is {place} of {count} with the same inputs; ranks with ties are on the "
            "board.")  # fmt: skip
    return "\n".join([*lines, "", told])
