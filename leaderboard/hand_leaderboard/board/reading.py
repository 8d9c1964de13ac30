"""Reading a board: submissions, published numbers and suites become tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hand_bench.errors import Problem, SubmissionError, TrackError, unknown_name
from hand_bench.reported import Reported
from hand_bench.suites import SUITES
from hand_bench.tracks import DEMO, Track, find_track, track_names
from hand_leaderboard.board.columns import first, reported_columns, scored_columns
from hand_leaderboard.board.digests import digest, prepare
from hand_leaderboard.board.reported_rows import reported_by_protocol, reported_rows
from hand_leaderboard.board.scored_rows import Digests, result_columns, scored_groups
from hand_leaderboard.board.suite_tables import suite_table
from hand_leaderboard.board.tables import Board, Table
from hand_leaderboard.submissions.folder import Submission, read_submissions
from hand_leaderboard.worlds import is_procedural


def read_board(
    submissions_root: str | Path | None, *, track: str | None = None, workers: int = 1
) -> Board:
    """Read all submissions and make every table.

    Parameters
    ----------
    submissions_root
        The folder `submissions/`; None reads no submissions: published numbers alone.
    track
        Make the tables of this track alone, and those of every suite that has it. The folders of
        all submissions are read and checked all the same.
    workers
        Processes that read sums where there are many submissions.

    Raises
    ------
    SubmissionError
        With the problems of all submissions, HB150 for each that has no row.
    TrackError
        HB301 for an unknown track.
    """
    found = read_submissions(submissions_root) if submissions_root is not None else []
    wanted = [find_track(track).name] if track else _track_names(found)
    prepare([s for name in wanted for s in _of(found, name)], workers=workers)
    tracks = {name: track_tables(find_track(name), _of(found, name)) for name in wanted}
    suites = {
        suite.name: suite_table(suite, [s for s in found if s.withdrawn is None])
        for suite in SUITES.values()
        if track is None or track in suite.tracks
    }
    board = Board(tracks, suites, tuple(found))
    require_rows(board, [s for s in found if s.track.name in tracks])
    return board


def _track_names(found: Sequence[Submission]) -> list[str]:
    """Every track; the one for trying readers only where something was submitted to it."""
    used = {s.track.name for s in found}
    return [name for name in track_names() if name != DEMO.name or name in used]


def _of(found: Sequence[Submission], track: str) -> list[Submission]:
    return [s for s in found if s.track.name == track and s.withdrawn is None and s.result]


def track_tables(track: Track, submissions: Sequence[Submission]) -> tuple[Table, ...]:
    """Make a track's tables, that of its primary protocol first.

    Parameters
    ----------
    track
        The track; it has a table for each protocol, and for each that only papers use.
    submissions
        Of the track, with a result, not withdrawn.
    """
    digests = {s.slug: d for s in submissions if (d := digest(s)) is not None}
    published = reported_by_protocol(track.name)
    own = sorted(track.protocols, key=lambda p: p.name != track.primary.protocol)
    tables = [
        _scored_table(track, p.name, p.source, submissions, published.pop(p.name, []), digests)
        for p in own
    ]
    tables += [_published_table(track, name, rows) for name, rows in published.items()]
    return tuple(tables)


def _scored_table(
    track: Track,
    protocol: str,
    source: str,
    submissions: Sequence[Submission],
    published: Sequence[Reported],
    digests: Digests,
) -> Table:
    columns = scored_columns(track, protocol)
    columns += result_columns(columns, [s.result for s in submissions if s.result])
    columns += reported_columns(columns, published)
    return Table(
        name=f"{track.name}-{protocol}",
        track=track.name,
        protocol=protocol,
        title=track.title,
        source=source,
        columns=tuple(columns),
        groups=scored_groups(track, protocol, submissions, columns, digests),
        reported=reported_rows(track, published, columns),
        procedural=is_procedural(track),
        main=protocol == track.primary.protocol,
    )


def _published_table(track: Track, protocol: str, published: Sequence[Reported]) -> Table:
    """Return the table of a protocol that only papers use."""
    columns = first(reported_columns([], published))
    papers = dict.fromkeys(r.paper for r in published)
    return Table(
        name=f"{track.name}-{protocol}",
        track=track.name,
        protocol=protocol,
        title=track.title,
        source=f"as {', '.join(papers)} print it; not computed here",
        columns=tuple(columns),
        groups=(),
        reported=reported_rows(track, published, columns),
        procedural=is_procedural(track),
    )


def require_rows(board: Board, submissions: Sequence[Submission]) -> None:
    """Raise for every submission that was not withdrawn and has no row in its track's main table.

    Raises
    ------
    SubmissionError
        HB150 with each of them.
    """
    shown = {row.submission for name in board.tracks for row in board.main_table(name).scored}
    lacking = [s for s in submissions if s.withdrawn is None and s.slug not in shown]
    if lacking:
        raise SubmissionError([_no_row(submission) for submission in lacking])


def _no_row(submission: Submission) -> Problem:
    what = "has no row on the board"
    if submission.result is None:
        return Problem(
            "HB150",
            str(submission.path),
            f"{what}: it was never scored.",
            fix=f"`hand-bench rescore --track {submission.track.name} --only-missing`; or withdraw "
            "it: `hand-bench submit withdraw`.",
        )
    primary = submission.track.primary
    return Problem(
        "HB150",
        str(submission.path),
        f"{what}: its result has no {primary.metric} under {primary.protocol}.",
        fix=f"`hand-bench rescore --track {submission.track.name}`",
    )


def find_tables(board: Board, name: str) -> tuple[Table, ...]:
    """Return the tables of a track or suite.

    Raises
    ------
    TrackError
        HB301 with the nearest names.
    """
    if name in board.tracks:
        return board.tracks[name]
    if name in board.suites:
        return (board.suites[name],)
    raise TrackError(unknown_name("track or suite", name, [*board.tracks, *board.suites]))
