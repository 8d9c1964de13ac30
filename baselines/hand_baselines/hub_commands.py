"""The commands that talk to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from hand_bench.cli import console


def baselines_get(name: str, /, *, revision: str | None = None, offline: bool = False) -> None:
    """Download weights once, check them, and print their folder.

    Parameters
    ----------
    name
        NAME of this project's, or ORG/NAME.
    revision
        Branch, tag or commit; default: the newest.
    offline
        Only look in the cache.
    """
    from hand_baselines.hub import get

    console.write(str(get(name, revision=revision, offline=offline)))


def baselines_push(
    name: str,
    /,
    *,
    repo: str,
    predictions: Path | None = None,
    private: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
) -> None:
    """Send weights with card, record, log, scores and predictions; what is there is not sent.

    Parameters
    ----------
    name
        Folder of weights, or name of shipped ones.
    repo
        ORG/NAME; it is made where there is none.
    predictions
        The predictions file that result.json scores; default: predictions.parquet in the folder.
    private
        Whether a new repository is private.
    revision
        Branch; default: main.
    dry_run
        Only list what would be sent.
    """
    from hand_baselines.publishing import push

    done = push(
        name, repo, predictions=predictions, private=private, revision=revision, dry_run=dry_run
    )
    for path, size in done.sent.items():
        console.write(f"{size:>13,}  {path}")
    console.write(done.line())


def publish(
    *,
    org: str,
    world: tuple[str, ...] | None = None,
    size: str | None = None,
    site: Path | None = None,
    predictions: Path | None = None,
    private: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Send the shipped weights, HandSim's worlds and the board to the Hub; run it again to go on.

    What is there already is not sent. What fails does not stop the rest; the exit code is 1 then.

    Parameters
    ----------
    org
        Whose repositories they become.
    world
        Worlds to send; default: all that are made in the data folder.
    size
        Only worlds that were made in this size.
    site
        Folder of the built board; without it the board is left out.
    predictions
        Folder with NAME.parquet for weights NAME: the files that their result.json scores.
    private
        Whether new repositories are private.
    dry_run
        Only say what would be sent: no network.
    json
        One JSON object instead of lines.
    """
    from dataclasses import asdict

    from hand_baselines import publishing
    from hand_bench.errors import BaselineError

    to = publishing.Destination(private=private, dry_run=dry_run)
    done = []
    for sent in publishing.publish(
        org, worlds=world, size=size, site=site, predictions=predictions, to=to
    ):
        done.append(sent)
        if not json:
            console.write(sent.line())
    if json:
        console.write_json([asdict(sent) for sent in done])
    problems = [sent.problem for sent in done if sent.problem is not None]
    if problems:
        raise BaselineError(problems)
