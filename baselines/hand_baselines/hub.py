"""Weights from the Hugging Face Hub: downloaded once, checked by SHA-256, kept in its cache.

A repository is a folder of weights. ``config.json`` comes first: it says that the repository is one
of this project's, and the SHA-256 of the files with tensors. What does not agree with it is removed
from the cache, so the next download fetches it again; nothing broken stays.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hand_baselines import tensors
from hand_baselines.hub_errors import damaged, explained, no_weights, require_hub
from hand_baselines.weights import CONFIG, read_config
from hand_bench import files
from hand_bench.errors import BaselineError, Problem

#: The owner of the project's repositories on the Hub; `publish --org` writes to another.
ORGANISATION = "hand-bench"
PREDICTIONS = "predictions.parquet"
#: What a repository has beside the configuration and the tensors; predictions are not downloaded.
ABOUT = ("README.md", "record.json", "result.json", "floors.json", "others.json", "log.csv")
#: Seconds after which a part of a download that no process writes to is removed.
STALE = 3600.0
_REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)


def repo_of(name: str) -> str:
    """Return ORG/NAME of NAME (the project's own) or ORG/NAME.

    Raises
    ------
    BaselineError
        HB301 for what cannot be the name of a repository.
    """
    if not _REPO.fullmatch(name):
        what = f"{name!r} is no name on the Hub."
        fix = f"Give NAME (for {ORGANISATION}/NAME) or ORG/NAME."
        raise BaselineError(Problem("HB301", "", what, fix=fix))
    return name if "/" in name else f"{ORGANISATION}/{name}"


def is_repo(name: str) -> bool:
    """Whether a name is ORG/NAME of the Hub, and no path into a folder that is there."""
    if "/" not in name or not _REPO.fullmatch(name):
        return False
    return name.startswith(f"{ORGANISATION}/") or not Path(name).parent.exists()


def get(
    name: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    cache: str | Path | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> Path:
    """Download weights, or find them in the cache; return their folder.

    Parameters
    ----------
    name
        NAME (of `ORGANISATION`) or ORG/NAME.
    revision
        Branch, tag or commit; default: the newest of ``main``.
    offline
        Only what is in the cache; so does the environment's HF_HUB_OFFLINE=1.
    cache
        Folder of the cache; default: the Hub's own (HF_HOME).
    token, endpoint
        As in `huggingface_hub`; default: of the login, and of the environment.

    Raises
    ------
    BaselineError
        HB401 without huggingface_hub; HB402 for a full disk or another kind of repository; HB403
        without network; HB404 where repository, revision or permission are missing; HB405 for
        damaged files, which are removed.
    """
    require_hub()
    repo = repo_of(name)
    options: dict[str, Any] = {"cache_dir": cache, "token": token, "endpoint": endpoint}
    options["local_files_only"] = offline
    with explained(repo, revision, endpoint, cache):
        folder = _snapshot(repo, revision, [CONFIG], options)
        names = list(_sealed(repo, folder))
        folder = _snapshot(repo, folder.name, [CONFIG, *names, *ABOUT], options)
        verify(repo, folder)
        _remove_stale(folder.parents[1] / "blobs")
    return folder


def cached(
    name: str, *, revision: str | None = None, cache: str | Path | None = None
) -> Path | None:
    """Return the folder of weights in the cache, whole and checked; None otherwise. No network."""
    if not _REPO.fullmatch(name):
        return None
    try:
        return get(name, revision=revision, offline=True, cache=cache)
    except BaselineError:
        return None


def verify(repo: str, folder: Path) -> None:
    """Compare the files of a folder with the SHA-256 in its configuration.

    Raises
    ------
    BaselineError
        HB405 for damaged files; they have been removed then. HB402 where files contradict each
        other as they were published.
    """
    sealed = _sealed(repo, folder)
    broken = [name for name, digest in sealed.items() if not _is(folder / name, digest)]
    if broken:
        _remove(folder, broken)
        raise damaged(repo, broken)
    try:
        fits = set(tensors.names(folder)) == set(sealed)
    except ValueError:
        fits = False
    if not fits:
        raise no_weights(repo, f"{CONFIG} has the SHA-256 of other files than those of its tensors")


def _snapshot(
    repo: str, revision: str | None, wanted: Sequence[str], options: dict[str, Any]
) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(repo, revision=revision, allow_patterns=list(wanted), **options))


def _sealed(repo: str, folder: Path) -> dict[str, str]:
    """Return file -> SHA-256 as the configuration says."""
    try:
        sealed = read_config(folder).get("sha256")
    except (KeyError, FileNotFoundError) as error:
        raise no_weights(repo, f"no {CONFIG} of this project") from error
    except ValueError as error:
        _remove(folder, [CONFIG])
        raise damaged(repo, [CONFIG]) from error
    if not isinstance(sealed, dict) or not all(map(tensors.is_weights_file, sealed)) or not sealed:
        raise no_weights(repo, f"no SHA-256 of weights in {CONFIG}")
    return sealed


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and files.sha256(path) == digest


def _remove(folder: Path, names: Sequence[str]) -> None:
    """Remove files from the cache: the names, and the bytes that they point to."""
    for name in names:
        (folder / name).resolve().unlink(missing_ok=True)
        (folder / name).unlink(missing_ok=True)


def _remove_stale(blobs: Path) -> None:
    """Remove what downloads that were killed have left; parts that grow are young."""
    for path in blobs.glob("*.incomplete"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()
