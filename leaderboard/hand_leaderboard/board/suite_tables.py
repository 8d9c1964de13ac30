"""Tables of suites: methods over several tracks, with their mean rank.

Who is ranked with whom is `hand_bench.suites`'s business: methods that are zero-shot on a track (or
silent) and answer all of it. A method is the submissions of one name, kind and authors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hand_bench import suites, zero_shot
from hand_bench.reported import reported
from hand_bench.results import format_value
from hand_bench.suites import Suite
from hand_bench.tracks import find_track
from hand_leaderboard.board.columns import slug, unique
from hand_leaderboard.board.reported_rows import paper_of
from hand_leaderboard.board.scored_rows import cell_of, scored_row, verdict_of, why_not_ranked
from hand_leaderboard.board.tables import KINDS, REPORTED, Cell, Column, Group, Row, Table
from hand_leaderboard.worlds import is_procedural

if TYPE_CHECKING:
    from hand_leaderboard.submissions.folder import Submission

MEAN_RANK = "mean-rank"
_METHOD = "mean of the places on each track among methods that are zero-shot there"


def suite_table(suite: Suite, submissions: Sequence[Submission]) -> Table:
    """Make the table of a suite from scored submissions and published numbers."""
    return Table(
        name=suite.name,
        track="",
        protocol=suite.columns[0].protocol,
        title=suite.title,
        source=suite.source,
        columns=_columns(suite),
        groups=_groups(suite, submissions),
        reported=_reported(suite),
        procedural=all(is_procedural(find_track(track)) for track in suite.tracks),
        suite=suite.name,
    )


def _columns(suite: Suite) -> tuple[Column, ...]:
    mean = Column(MEAN_RANK, "mean rank", "mean rank", "", "all", "place", False, primary=True)
    numbers = (
        Column(slug(c.label), c.label, c.metric, c.protocol, c.subset, c.unit, False, track=c.track)
        for c in suite.columns
    )
    return mean, *numbers


def _groups(suite: Suite, submissions: Sequence[Submission]) -> tuple[Group, ...]:
    found: dict[tuple[str, str, str], list[Submission]] = {}
    for s in sorted(submissions, key=lambda s: (s.name, s.track.name)):
        if s.result is not None and s.track.name in suite.tracks:
            found.setdefault((s.meta.kind, s.name, s.meta.people), []).append(s)
    methods = [_method(suite, own) for own in found.values()]
    groups = []
    for kind in (k for k in KINDS if k != REPORTED):
        of_kind = [(row, plain) for row, plain in methods if row.kind == kind]
        if of_kind:
            groups.append(_group(suite, kind, of_kind))
    return tuple(groups)


def _method(suite: Suite, own: Sequence[Submission]) -> tuple[Row, suites.Row]:
    """Return one method as a row of the board, and as `hand_bench.suites` ranks it."""
    plain = suites.Row(own[0].name)
    cells: dict[str, Cell] = {}
    for submission in own:
        track, result = submission.track.name, submission.result
        assert result is not None
        plain.verdicts[track] = verdict_of(submission)[0]
        if why_not_ranked(result):
            plain.partial[track] = result.partial or "incomplete"
        for column in (c for c in suite.columns if c.track == track):
            wanted = (column.metric, column.subset, column.protocol)
            score = next(
                (s for s in result.scores if (s.metric, s.subset, s.protocol) == wanted), None
            )
            if score is None:
                continue
            cells[slug(column.label)] = replace(
                cell_of(score), note=_note(plain, track, score.note)
            )
            if score.value is not None:
                plain.values[column.label] = score.value
    row = scored_row(own[0], suite.columns[0].protocol, set())
    return replace(row, cells=cells, group=row.kind, zero_shot="", zero_shot_why="", note=""), plain


def _note(plain: suites.Row, track: str, note: str) -> str:
    """Say why a number is not ranked, beside what its score says."""
    verdict = plain.verdicts[track]
    reasons = [note, plain.partial.get(track, "")]
    if verdict in (zero_shot.IN_DOMAIN, zero_shot.SAME_CORPUS):
        reasons.append(f"not zero-shot ({verdict})")
    return "; ".join(reason for reason in reasons if reason)


def _group(suite: Suite, kind, methods: Sequence[tuple[Row, suites.Row]]) -> Group:
    rows = {id(plain): row for row, plain in methods}
    slugs = dict(zip(rows, unique(row.slug for row in rows.values()), strict=True))
    ranked = suites.rank(suite, [plain for _, plain in methods])
    means = [plain.mean_rank for plain in ranked if plain.mean_rank is not None]
    done = [
        replace(
            rows[id(plain)],
            slug=slugs[id(plain)],
            cells={**rows[id(plain)].cells, **_mean_rank(plain)},
            rank=_place(plain, means),
            note="" if plain.mean_rank is not None else "lacks a ranked number on some track",
        )
        for plain in ranked
    ]
    return Group(kind, kind, (), "", tuple(done), method=_METHOD)


def _place(plain: suites.Row, means: Sequence[float]) -> int | None:
    if plain.mean_rank is None:
        return None
    return 1 + sum(mean < plain.mean_rank for mean in means)


def _mean_rank(plain: suites.Row) -> dict[str, Cell]:
    value = plain.mean_rank
    return {} if value is None else {MEAN_RANK: Cell(value, f"{value:.2f}", "place")}


def _reported(suite: Suite) -> tuple[Row, ...]:
    """Return what papers print, models of several tables once, as `hand_bench.suites` reads it."""
    printed = suites.printed(suite)
    numbers = [
        r
        for c in suite.columns
        for r in reported(c.track, protocol=c.protocol, metric=c.metric, subset=c.subset)
    ]
    papers = {r.method: r for r in numbers}
    units = {c.label: c.unit for c in suite.columns}
    rows = []
    for name, plain in zip(unique(slug(p.method) for p in printed), printed, strict=True):
        method, _, table = plain.method.rpartition(", Table")
        paper = papers[method]
        cells = {
            slug(label): Cell(value, format_value(value, units[label]), units[label])
            for label, value in plain.values.items()
        }
        rows.append(
            Row(
                kind=REPORTED,
                method=method,
                slug=name,
                cells={**cells, **_mean_rank(plain)},
                source=f"{paper.paper}, Table{table}",
                authors=paper.paper,
                date=str(paper.year),
                paper=paper_of(paper),
                group=REPORTED,
            )
        )
    return tuple(rows)
