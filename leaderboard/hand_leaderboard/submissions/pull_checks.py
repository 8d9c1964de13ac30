"""What is checked of a pull request before anybody looks at it: files, names, history, ids."""

from __future__ import annotations

import datetime
import shutil
import tempfile
from pathlib import Path

from hand_bench.errors import HandBenchError, Problem, SubmissionError
from hand_bench.tracks import TRACKS
from hand_leaderboard.submissions import hidden, rescoring, scoring, truth
from hand_leaderboard.submissions.fetching import Network
from hand_leaderboard.submissions.folder import Submission, read_submission, survey
from hand_leaderboard.submissions.pulls import Changes, Repository

#: Days that the date of a submission to a hidden truth may be away from today.
DATE_SLACK = 3


def check_pull(
    repository: Repository, base: str, head: str, *, today: str, ids: Path | None = None,
    trusted: bool = False, fetch: bool = False, network: Network | None = None,
) -> tuple[list[Submission], list[Problem]]:  # fmt: skip
    """Return what a pull request submits, and everything that is wrong with it."""
    found = repository.changes(base, head)
    if not found.folders:
        return [], []
    problems = [] if trusted else _other_files(found)
    checked: list[Submission] = []
    with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
        old, new = Path(folder) / "base", Path(folder) / "head"
        board = survey(_written(repository, base, old))[0] if _needs_board(found) else []
        for track, name in found.folders:
            try:
                path = repository.write_folder(head, track, name, new)
                before = _read_before(repository, base, track, name, Path(folder) / "before")
                if path is None:
                    problems += [] if trusted else [_removed(f"{track}/{name}")]
                    continue
                submission = read_submission(path)
                if not trusted:
                    problems += _about_versions(before, submission)
                    problems += _about_hidden(submission, board, today)
                _check_ids(submission, ids, fetch, network)
                checked.append(submission)
            except HandBenchError as error:
                problems += error.problems
    return checked, [_without(folder, p) for p in problems]


def _without(folder: str, problem: Problem) -> Problem:
    """Leave the temporary folder out of what is said."""
    texts = (problem.where, problem.what)
    for part in ("head", "before", "base"):
        texts = tuple(t.replace(f"{folder}/{part}/", "submissions/") for t in texts)
    return Problem(problem.code, *texts, problem.cause, problem.fix)  # type: ignore[misc]


def _other_files(found: Changes) -> list[Problem]:
    if not found.others:
        return []
    what = f"also changes {len(found.others)} other files, e.g. {ascii(found.others[0])[:120]}."
    return [
        Problem("HB142", "pull request", what,
                fix="A pull request with a submission changes nothing else.")
    ]  # fmt: skip


def _removed(slug: str) -> Problem:
    fix = "`hand-bench submit withdraw` leaves a trace."
    return Problem("HB147", slug, "is removed.", fix=fix)


def _needs_board(found: Changes) -> bool:
    return any(t in TRACKS and hidden.is_hidden(TRACKS[t]) for t, _ in found.folders)


def _written(repository: Repository, commit: str, root: Path) -> Path:
    """Write all submissions of a commit that can be written."""
    root.mkdir()
    for track, name in repository.folders(commit):
        try:
            repository.write_folder(commit, track, name, root)
        except SubmissionError:
            shutil.rmtree(root / track / name, ignore_errors=True)
    return root


def _read_before(
    repository: Repository, base: str, track: str, name: str, root: Path
) -> Submission | None:
    path = repository.write_folder(base, track, name, root)
    return None if path is None else read_submission(path)


def _about_versions(before: Submission | None, after: Submission) -> list[Problem]:
    """A newer version keeps those before it, and is of the same people."""
    if before is None:
        new_history = Problem("HB142", after.slug, "brings a history, though it is new.")
        return [new_history] if after.history else []
    problems = []
    old = {version.number: version.meta for version in before.history}
    new = {version.number: version.meta for version in after.history}
    changed = after.meta != before.meta or (after.withdrawn is None) != (before.withdrawn is None)
    if changed and after.withdrawn is None:
        old[max(old, default=0) + 1] = before.meta
    if new != old:
        problems.append(
            Problem("HB142", after.slug, "does not keep the versions before it as they were.",
                    fix="`hand-bench submit` moves them to history/.")
        )  # fmt: skip
    if after.withdrawn is not None and after.meta != before.meta:
        problems.append(Problem("HB142", after.slug, "is withdrawn and changed at once."))
    if not hidden.people(before.meta) & hidden.people(after.meta):
        problems.append(
            Problem("HB142", after.slug, "supersedes a submission of other people.",
                    cause=f"It is of {before.meta.people[:80]!r}.",
                    fix="Give yours another name: `--name`.")
        )  # fmt: skip
    return problems


def _about_hidden(submission: Submission, board: list[Submission], today: str) -> list[Problem]:
    """How often a team submits to a hidden truth, by dates that are believed within a few days."""
    if not hidden.is_hidden(submission.track) or submission.withdrawn is not None:
        return []
    days = datetime.date.fromisoformat(submission.meta.date) - datetime.date.fromisoformat(today)
    if abs(days.days) > DATE_SLACK:
        what = f"is dated {submission.meta.date}; today is {today}."
        return [Problem("HB145", submission.slug, what, fix="Give the day of the submission.")]
    return hidden.limit_problem(submission.meta, submission.track, submission.name, board)


def _check_ids(
    submission: Submission, ids: Path | None, fetch: bool, network: Network | None
) -> None:
    """Compare the predictions' ids with a published list, or with annotations that are here."""
    if submission.withdrawn is not None or (submission.predictions is None and not fetch):
        return
    listed = ids / f"{submission.track.name}.parquet" if ids is not None else None
    known = listed if listed is not None and listed.is_file() else None
    scoring.check_predictions(
        rescoring.predictions_of(submission, network=network), submission.track, submission.meta,
        annotations=None if known else truth.find_truth(submission.track), ids=known,
    )  # fmt: skip
