"""The Hugging Face Hub: pull requests with submissions, mirrored predictions, gated truth.

Everything goes through `huggingface_hub`, imported only here and only when it is needed; it takes
the token of this machine, which is never read or printed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hand_bench.errors import HandBenchError, Problem


def require_hub() -> Any:
    """Return huggingface_hub; HB401 where it is not installed."""
    try:
        import huggingface_hub
    except ImportError as error:
        what, fix = "huggingface_hub is not installed.", "pip install 'hand-bench[hub]'"
        raise HandBenchError(Problem("HB401", "Hub", what, fix=fix)) from error
    return huggingface_hub


@contextlib.contextmanager
def explained(repo: str) -> Iterator[None]:
    """Turn errors of the Hub and of the network into problems with a code."""
    hub = require_hub()
    try:
        yield
    except HandBenchError:
        raise
    except (hub.errors.HfHubHTTPError, hub.errors.LocalEntryNotFoundError, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403, 404):
            raise HandBenchError(
                Problem(
                    "HB404", repo, f"cannot be used (HTTP {status}).",
                    cause="No such dataset, or the token has no right to it.",
                    fix="`hf auth login`, or set HF_TOKEN to a token that may.",
                )
            ) from error  # fmt: skip
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        fix = "Give the command again."
        raise HandBenchError(Problem("HB403", repo, f"{reason}.", fix=fix)) from error


def dataset_folder(repo: str, pattern: str) -> Path:
    """Return a folder with the files of a dataset that match a pattern, downloaded once."""
    hub = require_hub()
    with explained(repo):
        return Path(hub.snapshot_download(repo, repo_type="dataset", allow_patterns=[pattern]))


def open_pull_request(repo: str, folder: Path, place: str, title: str, text: str) -> str:
    """Send a folder to a dataset as a pull request, in place of what is there; return its URL."""
    hub = require_hub()
    with explained(repo):
        api = hub.HfApi()
        sent = {f"{place}/{inside}": path for inside, path in _files(folder)}
        made = [hub.CommitOperationAdd(path_in_repo=p, path_or_fileobj=f) for p, f in sent.items()]
        there = api.list_repo_files(repo, repo_type="dataset")
        gone = [p for p in there if p.startswith(f"{place}/") and p not in sent]
        made += [hub.CommitOperationDelete(path_in_repo=p) for p in gone]
        done = api.create_commit(
            repo, made, commit_message=title, commit_description=text, repo_type="dataset",
            create_pr=True,
        )  # fmt: skip
    return str(done.pr_url or done.commit_url)


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Return every file under a folder with its place in it."""
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink()]
    return [(p.relative_to(folder).as_posix(), p) for p in paths]


def upload(repo: str, sent: Mapping[str, Path], title: str) -> list[str]:
    """Send files to a dataset, place -> file; return the places that were not there before."""
    hub = require_hub()
    api = hub.HfApi()
    with explained(repo):
        lacking = [p for p in sent if not api.file_exists(repo, p, repo_type="dataset")]
        if lacking:
            made = [
                hub.CommitOperationAdd(path_in_repo=place, path_or_fileobj=sent[place])
                for place in lacking
            ]
            api.create_commit(repo, made, commit_message=title, repo_type="dataset")
    return lacking
