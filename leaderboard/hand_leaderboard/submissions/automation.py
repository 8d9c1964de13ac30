"""What the workflows of the repository run: `python -m hand_leaderboard.submissions.automation`.

Each command reads a pull request's files from git's objects as data (`pulls`), and works with the
code of the commit that it is installed from: the base, never the pull request.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
from pathlib import Path

from cyclopts import App, Parameter

from hand_bench import files
from hand_bench.cli import console
from hand_bench.errors import HandBenchError, Problem, SubmissionError
from hand_leaderboard.submissions import comments, hub, rescoring, scoring, truth
from hand_leaderboard.submissions.changes import changes
from hand_leaderboard.submissions.fetching import Network
from hand_leaderboard.submissions.folder import (
    Submission,
    read_submission,
    read_submissions,
    survey,
)
from hand_leaderboard.submissions.pull_checks import check_pull
from hand_leaderboard.submissions.pulls import Repository

app = App(
    name="automation",
    help="Check, score and settle the submissions of a pull request.",
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)
REPORT, COMMENT = "scored", "comment.md"


@app.command
def check(
    *, base: str, head: str, repository: Path = Path(), ids: Path | None = None,
    trusted: bool = False, fetch: bool = False, today: str | None = None,
) -> None:  # fmt: skip
    """Check the schema, the files and the ids of what a pull request submits. Needs no secret.

    Parameters
    ----------
    base
        Full hash of the commit that the pull request goes to.
    head
        Full hash of its last commit.
    repository
        A clone that has both.
    ids
        Folder with TRACK.parquet, templates or lists of hashed ids.
    trusted
        Whether a maintainer opened it, who may change other files and remove folders too.
    fetch
        Also download predictions that are at a URL, and check their ids.
    today
        YYYY-MM-DD, for trying.
    """
    checked, problems = check_pull(
        Repository(repository), base, head, ids=ids, trusted=trusted, fetch=fetch,
        today=today or datetime.date.today().isoformat(),
    )  # fmt: skip
    if problems:
        raise SubmissionError(problems)
    for submission in checked:
        console.write(f"{submission.slug}: fine")
    console.write(f"{len(checked)} submissions checked")


@app.command
def score(
    *, base: str, head: str, out: Path, repository: Path = Path(),
    root: Path = Path("submissions"), annotations: str | None = None,
) -> None:  # fmt: skip
    """Score what a pull request submits, as data; write the scores and the comment.

    Parameters
    ----------
    base
        Full hash of the commit that the pull request goes to.
    head
        Full hash of the commit that a maintainer labelled.
    out
        Folder for the scored files and comment.md.
    repository
        A clone that has both.
    root
        The submissions of the base, for the nearest rows.
    annotations
        File, folder or Hub dataset with the truth.
    """
    scored = score_pull(Repository(repository), base, head, out, annotations=annotations)
    text = comments.comment(scored, survey(root)[0], head)
    with files.replacing(out / COMMENT) as temporary:
        temporary.write_text(text, "utf-8")
    console.write(text)
    if any(one.result is None for one in scored):
        sys.exit(1)


def score_pull(
    repository: Repository, base: str, head: str, out: Path, *, annotations: str | None = None,
    network: Network | None = None,
) -> list[comments.Scored]:  # fmt: skip
    """Score every submission of a pull request; one that is broken does not stop the others."""
    scored = []
    for track, name in repository.changes(base, head).folders:
        slug = f"{track}/{name}"
        with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
            try:
                path = repository.write_folder(head, track, name, Path(folder))
                if path is None:
                    continue
                submission = read_submission(path)
                if submission.withdrawn is None:
                    place = out / REPORT / submission.slug
                    scored.append(_score_one(submission, place, annotations, network))
            except Exception as error:
                known = isinstance(error, HandBenchError)
                said = str(error) if known else f"{type(error).__name__}: {error}"
                said = said.replace(f"{folder}/", "submissions/")
                scored.append(comments.Scored(_shown(slug), (), None, said))
    return scored


def _shown(slug: str) -> str:
    """Return a slug that is safe in Markdown, whatever a stranger called a folder."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-/") else "?" for c in slug)[:160]


def _score_one(
    submission: Submission, place: Path, annotations: str | None, network: Network | None
) -> comments.Scored:
    place.mkdir(parents=True, exist_ok=True)
    preds = rescoring.predictions_of(submission, network=network)
    found = truth.open_truth(submission.track, annotations)
    meta = submission.meta
    result = scoring.score(preds, submission.track, meta, place, annotations=found)
    if submission.result is not None:
        differ = changes(submission.result, result)
        if differ:
            raise SubmissionError(
                Problem(
                    "HB146", f"{submission.slug}/result.json",
                    f"is not what the scorer gives here: {len(differ)} numbers differ, most "
                    f"{differ[0].text()}.",
                    cause="Scored against other annotations, by another version, or by hand?",
                    fix="Remove result.json, sums.parquet and errors.parquet: they are written "
                    "here.",
                )
            )  # fmt: skip
    return comments.Scored(submission.slug, meta.inputs, result)


@app.command
def settle(
    *, base: str, head: str, repository: Path = Path(), root: Path = Path("submissions"),
    annotations: str | None = None, mirror: str = "",
) -> None:  # fmt: skip
    """After a merge: write the scores of what came in, and mirror its predictions.

    Parameters
    ----------
    base
        Full hash of the commit before the merge.
    head
        Full hash of the merge.
    repository
        A clone that has both.
    root
        The submissions of the merge, where scores are written.
    annotations
        File, folder or Hub dataset with the truth.
    mirror
        Hub dataset (ORG/REPO) that keeps predictions.
    """
    broken = settle_merge(Repository(repository), base, head, root, annotations=annotations,
                          mirror=mirror)  # fmt: skip
    if broken:
        raise SubmissionError(broken)


def settle_merge(
    repository: Repository, base: str, head: str, root: Path, *, annotations: str | None = None,
    mirror: str = "", network: Network | None = None,
) -> list[Problem]:  # fmt: skip
    """Score and mirror what a merge brought; return what is wrong with any of it."""
    problems: list[Problem] = []
    sent: dict[str, Path] = {}
    for track, name in repository.changes(base, head).folders:
        path = root / track / name
        if not path.is_dir() or (path / "withdrawn.yaml").exists():
            continue
        outcome = rescoring.rescore_one(rescoring.Job(str(path), annotations), network)
        console.write(f"{outcome.slug}: {outcome.status}")
        if outcome.after is None:
            problems.append(Problem("HB146", outcome.slug, f"is not scored: {outcome.problem}"))
            continue
        submission = read_submission(path)
        place = rescoring.mirror_place(submission)
        sent[place] = rescoring.predictions_of(submission, network=network)
    if mirror and sent:
        for place in hub.upload(mirror, sent, f"Predictions of {len(sent)} submissions"):
            console.write(f"mirrored {place}")
    return problems


@app.command
def tracks(*, root: Path = Path("submissions"), prefix: str = "") -> None:
    """Print the tracks that have submissions, one a line.

    Parameters
    ----------
    root
        Folder of all submissions.
    prefix
        Only names that begin so, e.g. handsim-.
    """
    found = {s.track.name for s in read_submissions(root) if s.withdrawn is None}
    for name in sorted(found):
        if name.startswith(prefix):
            console.write(name)


def main(arguments: list[str] | None = None) -> None:
    """Run a command: exit code 0 fine, 1 something is wrong with the pull request."""
    try:
        app(sys.argv[1:] if arguments is None else arguments)
    except HandBenchError as error:
        console.note(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
