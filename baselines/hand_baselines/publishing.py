"""Sending to the Hub: one folder of weights, or, the owner's one command, everything.

What a repository holds is compared with what it should hold, by the Hub's own hashes, and only what
differs is sent; so there is no state to keep, and an interrupted command is given again.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from hand_baselines import tensors
from hand_baselines.hub import PREDICTIONS, repo_of
from hand_baselines.hub_errors import explained, require_hub
from hand_baselines.staging import SITE_MARK, Files, site_files, weights_files, world_files
from hand_baselines.weights import SHIPPED, find_weights, shipped
from hand_bench import files, shards
from hand_bench.errors import HandBenchError, Problem
from hand_bench.sim.worlds import WORLDS, Source, find_world
from hand_bench.version import __version__

Kind = Literal["model", "dataset", "space"]
#: Bytes after which a commit is made: what is committed need not be sent again.
COMMIT = 256 * 10**6
BOARD = "leaderboard"


@dataclass(frozen=True)
class Sent:
    """What became of one repository.

    Attributes
    ----------
    kind, repo
        Where.
    sent, there
        Bytes of files that were sent (in a dry run: would be), and names that were there already.
    note
        What else has to be said, e.g. why it was left out.
    problem
        Why it failed.
    """

    kind: Kind
    repo: str
    sent: dict[str, int] = field(default_factory=dict)
    there: tuple[str, ...] = ()
    note: str = ""
    problem: Problem | None = None

    def line(self) -> str:
        """Return it as one line."""
        parts = [f"failed: {self.problem.what}"] if self.problem else []
        if self.sent or self.there:
            parts.append(f"{len(self.sent)} files, {sum(self.sent.values()) / 1e6:,.1f} MB")
        if self.there:
            parts.append(f"{len(self.there)} already there")
        return f"{self.kind:8} {self.repo}: {'; '.join(filter(None, [*parts, self.note]))}"


@dataclass(frozen=True)
class Destination:
    """Where and how is sent: see `push`."""

    private: bool = False
    revision: str | None = None
    dry_run: bool = False
    token: str | bool | None = None
    endpoint: str | None = None


def push(
    weights: str | Path,
    repo: str,
    *,
    predictions: str | Path | None = None,
    private: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> Sent:
    """Send weights with configuration, card, record, log, scores and their predictions.

    Parameters
    ----------
    weights
        Folder, or name of shipped ones.
    repo
        ORG/NAME; it is made where there is none.
    predictions
        The file that ``result.json`` scores; default: ``predictions.parquet`` in the folder.
    private
        Whether a new repository is private.
    revision
        Branch; default: ``main``.
    dry_run
        Only say what would be sent: no network.
    token, endpoint
        As in `huggingface_hub`; default: of the login, and of the environment.

    Raises
    ------
    BaselineError
        HB302, HB402 for weights and predictions that do not fit; HB401, HB403, HB404 of the Hub.
    """
    folder = find_weights(weights)
    there = weights_files(folder, Path(predictions) if predictions else None)
    to = Destination(private, revision, dry_run, token, endpoint)
    return send("model", repo_of(repo), there, to)


def publish(
    org: str,
    *,
    worlds: Sequence[str] | None = None,
    size: str | None = None,
    site: str | Path | None = None,
    predictions: str | Path | None = None,
    to: Destination | None = None,
) -> Iterator[Sent]:
    """Send the repository's weights, HandSim's worlds and the board; yield what became of each.

    What fails does not stop the others.

    Parameters
    ----------
    org
        Whose repositories they become.
    worlds, size
        Worlds; default: all that are made in the data folder, or those of this size.
    site
        Folder of the built board; without it the board is left out.
    predictions
        Folder with ``NAME.parquet``: the predictions of the weights that ``result.json`` scores.
    to
        How.
    """
    to, sources = to or Destination(), _worlds(worlds)
    for name in shipped():
        answers = _answers(name, predictions)
        note = "" if answers else "without predictions: --predictions DIR has none"
        yield _tried(
            "model", f"{org}/{name}", partial(weights_files, SHIPPED / name, answers), to, note
        )
    for source in sources:
        folder, repo = files.home() / source.name, f"{org}/{source.name}"
        other = _other_size(folder, size)
        if other:
            yield Sent("dataset", repo, note=f"left out: its size is {other}")
        else:
            yield _tried("dataset", repo, partial(world_files, folder, source, repo), to)
    if site is None:
        yield Sent("space", f"{org}/{BOARD}", note="left out: --site DIR gives a built board")
    else:
        yield _tried("space", f"{org}/{BOARD}", partial(site_files, Path(site)), to)


def send(kind: Kind, repo: str, there: Files, to: Destination) -> Sent:
    """Make a repository hold these files; what is there with the same bytes is not sent."""
    sizes = {name: _size(content) for name, content in there.items()}
    if to.dry_run:
        return Sent(kind, repo, sizes, note="dry run: nothing was sent")
    require_hub()
    from huggingface_hub import HfApi

    api = HfApi(endpoint=to.endpoint, token=to.token)
    with explained(repo, to.revision, to.endpoint), _no_hint_about_parquet():
        if not api.repo_exists(repo, repo_type=kind):
            sdk = "static" if kind == "space" else None
            private = True if to.private else None
            api.create_repo(repo, repo_type=kind, private=private, space_sdk=sdk)
        if to.revision:
            api.create_branch(repo, repo_type=kind, branch=to.revision, exist_ok=True)
        hashes = _hashes(api, kind, repo, to.revision)
        changed = [name for name in there if not _same(there[name], hashes.get(name))]
        for operations in _commits(there, changed, _stale(kind, there, hashes)):
            message = f"hand-bench {__version__}"
            api.create_commit(
                repo, operations, commit_message=message, repo_type=kind, revision=to.revision
            )
    kept = tuple(name for name in there if name not in changed)
    return Sent(kind, repo, {name: sizes[name] for name in changed}, kept)


def _commits(there: Files, changed: list[str], stale: list[str]) -> Iterator[list[Any]]:
    """Operations in parts of about `COMMIT` bytes, in order: tensors before their hashes.

    What is no longer wanted goes with the last.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    batch: list[Any] = []
    filled = 0
    for name in changed:
        if batch and filled + _size(there[name]) > COMMIT:
            yield batch
            batch, filled = [], 0
        batch.append(CommitOperationAdd(name, there[name]))
        filled += _size(there[name])
    batch += [CommitOperationDelete(name) for name in stale]
    if batch:
        yield batch


def _hashes(api: Any, kind: Kind, repo: str, revision: str | None) -> dict[str, str]:
    """File -> the Hub's hash: SHA-256 of large files, git's SHA-1 of the others."""
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(repo, repo_type=kind, revision=revision, recursive=True)
    entries = [entry for entry in tree if isinstance(entry, RepoFile)]
    return {e.path: e.lfs.sha256 if e.lfs else e.blob_id for e in entries}


def _same(content: Path | bytes, digest: str | None) -> bool:
    large = digest is not None and len(digest) == 64
    if large and isinstance(content, Path):
        return files.sha256(content) == digest
    data = content.read_bytes() if isinstance(content, Path) else content
    if large:
        return hashlib.sha256(data).hexdigest() == digest
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == digest


def _size(content: Path | bytes) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _stale(kind: Kind, there: Files, hashes: Iterable[str]) -> list[str]:
    """Files in a repository that came from here and are no longer wanted; never those of others."""
    gone = [name for name in hashes if name not in there]
    if kind == "model":
        return [name for name in gone if tensors.is_weights_file(name) or name == PREDICTIONS]
    if kind == "dataset":
        return [name for name in gone if name.startswith("data/")]
    return [name for name in gone if name != ".gitattributes"] if SITE_MARK in hashes else []


@contextlib.contextmanager
def _no_hint_about_parquet() -> Iterator[None]:
    """Predictions are meant to be beside their weights; huggingface_hub warns of tables there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
        yield


def _tried(
    kind: Kind, repo: str, staged: Callable[[], Files], to: Destination, note: str = ""
) -> Sent:
    try:
        done = send(kind, repo, staged(), to)
    except HandBenchError as error:
        return Sent(kind, repo, problem=error.problems[0])
    except Exception as error:  # whatever it is, the other parts go on
        return Sent(kind, repo, problem=Problem("HB402", repo, f"{type(error).__name__}: {error}"))
    notes = "; ".join(filter(None, [done.note, note]))
    return Sent(kind, repo, done.sent, done.there, notes)


def _answers(name: str, predictions: str | Path | None) -> Path | None:
    path = SHIPPED / name / PREDICTIONS
    if predictions is not None:
        path = Path(predictions) / f"{name}.parquet"
    return path if path.is_file() else None


def _worlds(names: Sequence[str] | None) -> Iterable[Source]:
    """Sources of worlds by name; default: those of which shards are in the data folder."""
    if names is not None:
        return {find_world(name).name: find_world(name) for name in names}.values()
    known = {source.name: source for source in WORLDS.values()}
    return [
        s for n, s in sorted(known.items()) if any((files.home() / n / "data").glob("*.parquet"))
    ]


def _other_size(folder: Path, size: str | None) -> str:
    """Return the size of a made world where another one is asked for."""
    first = min((folder / "data").glob("*.parquet"), default=None)
    found = shards.about(first).get("size", "") if first is not None else ""
    return found if size is not None and found != size else ""
