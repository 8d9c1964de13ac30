"""What can go wrong with the Hub, in words: what, where, the likely cause and the fix."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

from hand_bench.errors import BaselineError, Problem

_LOGIN = "`hf auth login`, or set HF_TOKEN to a token that may"


def require_hub() -> None:
    """Raise HB401 where huggingface_hub is not installed."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        what = "huggingface_hub is not installed."
        raise BaselineError(
            Problem("HB401", "Hub", what, fix="pip install 'hand-bench[baselines]'")
        ) from error


def damaged(repo: str, names: Sequence[str]) -> BaselineError:
    """Files that do not agree with the configuration, and are no longer in the cache."""
    return BaselineError(
        Problem(
            "HB405",
            repo,
            f"{', '.join(names)}: not the bytes that config.json says (SHA-256).",
            cause="Damaged on the way or on the disk? What was damaged is removed from the cache.",
            fix="Give the command again. Should it stay so, the repository itself is damaged.",
        )
    )


def no_weights(repo: str, why: str) -> BaselineError:
    """A repository of another kind."""
    return BaselineError(
        Problem(
            "HB402",
            repo,
            f"is no repository of hand-bench weights: {why}.",
            cause="Weights of another project, or pushed without `hand-bench baselines push`?",
        )
    )


@contextlib.contextmanager
def explained(
    repo: str,
    revision: str | None = None,
    endpoint: str | None = None,
    cache: str | Path | None = None,
) -> Iterator[None]:
    """Turn errors of huggingface_hub, the network and the disk into problems with a code."""
    try:
        yield
    except BaselineError:
        raise
    except Exception as error:
        first = _first(error)
        problem = _answered(first, repo, revision, endpoint) or _from_system(first, repo, cache)
        if problem is None:
            raise
        raise BaselineError(problem) from error


def _first(error: Exception) -> Exception:
    """What lies behind "not in the cache" and "error while uploading"."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    outer = (LocalEntryNotFoundError, RuntimeError)
    while isinstance(error, outer) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _answered(
    error: Exception, repo: str, revision: str | None, endpoint: str | None
) -> Problem | None:
    from huggingface_hub import constants
    from huggingface_hub import errors as hub

    host = endpoint or constants.ENDPOINT
    url = f"{host}/{repo}"
    if isinstance(error, hub.GatedRepoError):
        fix = f"Ask for access at {url}, then {_LOGIN} read it."
        return Problem("HB404", repo, "is gated: its owners decide who may have it.", fix=fix)
    if isinstance(error, hub.RepositoryNotFoundError):
        what = "there is no such repository, or it is private and no token was given that may."
        return Problem("HB404", repo, what, "A typing error, or not logged in?", f"{_LOGIN} read.")
    if isinstance(error, hub.RevisionNotFoundError):
        fix = f"Leave it out for the newest, or choose one of {url}/commits/main."
        return Problem("HB404", repo, f"has no branch, tag or commit {revision!r}.", fix=fix)
    if isinstance(error, (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled)):
        what = f"revision {revision!r} " if revision else ""
        fix = "Go online once (without --offline and HF_HUB_OFFLINE) and get it."
        return Problem(
            "HB403", repo, f"{what}is not in the cache, whole, and this is offline.", fix=fix
        )
    if isinstance(error, hub.HfHubHTTPError):
        return _refused(error, repo, host)
    if type(error).__module__.startswith("httpx"):
        what = f"{host} cannot be reached, or broke off ({_line(error)})."
        return Problem("HB403", repo, what, "No network, or a proxy?", "Give the command again.")
    return None


def _refused(error: Exception, repo: str, host: str) -> Problem:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        what = f"{host} refuses ({_line(error)})."
        return Problem("HB404", repo, what, "A token without this right?", f"{_LOGIN} do this.")
    what = f"{host} answers with an error ({_line(error)})."
    return Problem("HB403", repo, what, "An outage?", "Give the command again later.")


def _from_system(error: Exception, repo: str, cache: str | Path | None) -> Problem | None:
    from huggingface_hub import constants

    if not isinstance(error, OSError):
        return None
    where = str(error.filename or cache or constants.HF_HUB_CACHE)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = "Make room, or set HF_HOME to a folder on another disk; then give the command again."
        return Problem("HB402", where, f"the disk is full; {repo} is not complete.", fix=fix)
    if error.errno is not None:
        fix = "If this is the cache, set HF_HOME to a folder that can be written to."
        return Problem("HB402", where, f"cannot be used for {repo}: {error.strerror}.", fix=fix)
    if "onsistency check" in str(error):
        what = f"the download broke off ({_line(error)})."
        return Problem("HB403", repo, what, "A bad connection?", "Give the command again.")
    return None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
