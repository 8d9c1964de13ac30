"""The commands `submit` and `rescore`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from hand_bench.cli import console

if TYPE_CHECKING:
    from hand_leaderboard.submissions.rescoring import Outcome
    from hand_leaderboard.submissions.submitting import Submitted

app = App(
    name="submit",
    help="Check predictions and their description, score them, and place the submission.",
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)
Several = Annotated[list[str] | None, Parameter(consume_multiple=True)]


@app.default
def submit(
    preds: Path,
    /,
    *,
    track: str,
    meta: Path = Path("submission.yaml"),
    root: Path = Path("submissions"),
    name: str | None = None,
    annotations: str | None = None,
    ids: Path | None = None,
    dry_run: bool = False,
    hub: str | None = None,
    workers: int | None = None,
    json: bool = False,
) -> None:
    """Check predictions and their description, score them, and place the submission.

    Parameters
    ----------
    preds
        Predictions (Parquet).
    track
        Name of the track.
    meta
        The description; `hand-bench submit init` writes it.
    root
        Folder of all submissions.
    name
        Name of the folder; default: made from the method's name.
    annotations
        File, folder or Hub dataset (ORG/REPO) with the truth; default: the prepared annotations.
    ids
        Template, or list of hashed ids, where the dataset is not prepared.
    dry_run
        Check and score, but write and send nothing.
    hub
        Send the folder to this Hub dataset (ORG/REPO) as a pull request.
    workers
        Threads that score.
    json
        Print one JSON object.
    """
    from hand_leaderboard.submissions import submitting
    from hand_leaderboard.submissions.hub import open_pull_request

    with console.progress_bar() as progress:
        done = submitting.submit(
            preds, track=track, meta=meta, root=root, name=name, annotations=annotations,
            ids=ids, dry_run=dry_run, workers=workers, progress=progress,
        )  # fmt: skip
    sent = ""
    if hub is not None and done.placed is not None:
        title, place = f"Submission: {done.slug}", f"submissions/{done.slug}"
        sent = open_pull_request(hub, done.path, place, title, done.meta.description)
    if json:
        console.write_json(done.to_json() | ({"pull_request": sent} if sent else {}))
    else:
        _say_submitted(done, hub, sent)


def _say_submitted(done: Submitted, hub: str | None, sent: str) -> None:
    from hand_leaderboard.submissions.submitting import next_steps

    if done.result is not None:
        score = done.result.primary
        interval = f" ({score.interval_text()})" if score.ci95 else ""
        console.write(f"{done.slug}: {score.metric} {score.subset} {score.text()}{interval}")
    for text in done.notes:
        console.note(f"note: {text}")
    if done.placed is None:
        where = f"{done.path}" + (f", and to the Hub dataset {hub}" if hub else "")
        console.write(f"{done.slug}: fits. Nothing was written; it would go to {where}")
        return
    if done.supersedes:
        console.note(f"note: supersedes {done.supersedes} earlier, kept in {done.path / 'history'}")
    console.write(f"wrote {done.path}")
    if sent:
        console.write(f"pull request: {sent}")
        return
    console.write("next:")
    for line in next_steps(done):
        console.write(f"  {line}")


@app.command
def init(
    preds: Path | None = None,
    /,
    *,
    track: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("submission.yaml"),
    method: str | None = None,
    author: Several = None,
    team: str | None = None,
    date: str | None = None,
    licence: str | None = None,
    description: str | None = None,
    paper_title: str | None = None,
    paper_url: str | None = None,
    code: str | None = None,
    training: Several = None,
    inputs: Several = None,
    backbone: str | None = None,
    parameters: int | None = None,
    hardware: str | None = None,
    external_data: Several = None,
    url: str | None = None,
    kind: str | None = None,
    weights: Several = None,
    incomplete: bool = False,
    force: bool = False,
) -> None:
    """Ask for everything about a method, and write submission.yaml.

    Parameters
    ----------
    preds
        Predictions whose size and hash are described; or give them to `submit`.
    track
        Name of the track.
    output
        The file to write.
    method
        Name of the method as it is printed. What an option answers is not asked.
    author
        Authors, in order.
    team
        Or the team.
    date
        YYYY-MM-DD; default: today.
    licence
        Of the predictions.
    description
        What the method does.
    paper_title
        Title of its paper.
    paper_url
        Where it can be read.
    code
        Where the code is.
    training
        Lines such as arctic/train or "visor/train: masks, grasp".
    inputs
        name:value for each input of the track.
    backbone
        The network that looks at the image.
    parameters
        Their number.
    hardware
        What it was trained on.
    external_data
        Data that the vocabulary of training data does not have.
    url
        Where the predictions can be downloaded (https); default: they lie beside the file.
    kind
        method, or baseline (of shipped weights).
    weights
        Names of the shipped weights of a baseline.
    incomplete
        Samples are left out: listed, not ranked.
    force
        Write over a file that is there.
    """
    from hand_bench.errors import HandBenchError, Problem
    from hand_bench.tracks import find_track
    from hand_leaderboard.submissions import asking
    from hand_leaderboard.submissions.meta import Meta
    from hand_leaderboard.submissions.submitting import bytes_of

    if output.exists() and not force:
        raise HandBenchError(
            Problem("HB402", str(output), "is there already.", fix="`--force` writes over it.")
        )
    known = find_track(track)
    paper = {"title": paper_title, "url": paper_url} if paper_title else None
    given = {
        "method": method, "authors": author, "team": team, "date": date, "licence": licence,
        "description": description, "code": code, "training": training, "inputs": inputs,
        "backbone": backbone, "parameters": parameters, "hardware": hardware,
        "external_data": external_data, "kind": kind, "weights": weights,
        "paper": paper and {k: v for k, v in paper.items() if v},
        "incomplete": True if incomplete else None,
    }  # fmt: skip
    plain = asking.answers(given, known, asking.terminal if sys.stdin.isatty() else None)
    place = {"url": url} if url else {}
    unknown = {"sha256": "0" * 64, "size": 1, **({} if url else {"file": "predictions.parquet"})}
    plain["predictions"] = (
        unknown | place if preds is None else bytes_of(preds, place or None, str(output))
    )
    described = Meta.of(plain, str(output))
    problems = described.check_for(known, str(output))
    if problems:
        raise HandBenchError(problems)
    if preds is not None:
        described.write(output)
    else:
        _write_without_bytes(described, output, place)
    console.write(f"wrote {output}")
    console.write(f"next: hand-bench submit PREDS --track {track} --meta {output}")


def _write_without_bytes(described: object, output: Path, place: dict[str, str]) -> None:
    """Write a description whose size and hash `submit` fills in."""
    from hand_bench.files import replacing
    from hand_leaderboard.submissions.meta import Meta, to_yaml

    assert isinstance(described, Meta)
    plain = described.to_plain()
    del plain["predictions"]
    if place:
        plain["predictions"] = place
    with replacing(output) as temporary:
        temporary.write_text(to_yaml(plain), "utf-8")


@app.command
def check(*paths: Path, root: Path = Path("submissions"), json: bool = False) -> None:
    """Check folders of submissions; all under the root where none are named.

    Parameters
    ----------
    paths
        Folders of submissions, or files in them.
    root
        Folder of all submissions.
    json
        Print one JSON object.
    """
    from hand_bench.errors import SubmissionError
    from hand_leaderboard.submissions.checking import check as look

    found, problems = look(paths, root)
    if json:
        told = [dict(vars(p)) for p in problems]
        console.write_json({"submissions": [s.slug for s in found], "problems": told})
        if problems:
            sys.exit(1)
        return
    if problems:
        raise SubmissionError(problems)
    gone = sum(s.withdrawn is not None for s in found)
    console.write(f"{len(found):,} submissions are fine" + (f", {gone} withdrawn" if gone else ""))


@app.command
def withdraw(track: str, name: str, /, *, reason: str, root: Path = Path("submissions")) -> None:
    """Take a submission back: scores and predictions go, description and reason stay.

    Parameters
    ----------
    track
        Name of the track.
    name
        Name of the submission.
    reason
        Why, for readers of the board.
    root
        Folder of all submissions.
    """
    import datetime

    from hand_bench.tracks import find_track
    from hand_leaderboard.submissions import placing
    from hand_leaderboard.submissions.folder import Withdrawn

    why = Withdrawn(datetime.date.today().isoformat(), reason)
    done = placing.withdraw(root, find_track(track), name, why)
    console.write(f"withdrawn: {done.slug}")
    console.note("note: predictions and scores are still in the repository's history")


def rescore(
    *,
    track: Several = None,
    root: Path = Path("submissions"),
    only_missing: bool = False,
    workers: int = 1,
    annotations: str | None = None,
    mirror: str = "",
    dry_run: bool = False,
    again: bool = False,
    table: Path = Path("score-changes.md"),
    json: bool = False,
) -> None:
    """Score every submission again, and say what changed; run it again to go on.

    Exit code 1 where a submission could not be scored, or a number moved without a reason (with
    --dry-run: where any number moved).

    Parameters
    ----------
    track
        Only these tracks.
    root
        Folder of all submissions.
    only_missing
        Only what has no result yet.
    workers
        Submissions at a time, each in a process.
    annotations
        File, folder or Hub dataset (ORG/REPO) with the truth; default: the prepared annotations.
    mirror
        Hub dataset (ORG/REPO) with mirrored predictions, for those whose URL fails.
    dry_run
        Compare, but write nothing of a submission.
    again
        Begin again, also where a run was interrupted.
    table
        Markdown table of what a new version of a metric changed; written only then.
    json
        Print one JSON object.
    """
    from hand_leaderboard.submissions import reporting

    def say(outcome: Outcome, old: bool) -> None:
        if not json:
            console.write(reporting.line(outcome) + " (done before)" * old)

    outcomes, problems = reporting.rescore_all(
        root, tracks=track, only_missing=only_missing, workers=workers, annotations=annotations,
        mirror=mirror, dry_run=dry_run, again=again, say=say,
    )  # fmt: skip
    written = reporting.write_table(outcomes, table)
    if json:
        console.write_json(reporting.to_json(outcomes, problems))
    else:
        console.write(reporting.summary(outcomes, problems))
        if written:
            console.write(f"wrote {table}: what new versions of metrics changed")
    for text in reporting.complaints(outcomes, problems):
        console.note(text)
    moved = dry_run and any(outcome.changes for outcome in outcomes)
    if problems or moved or not all(outcome.well for outcome in outcomes):
        sys.exit(1)
