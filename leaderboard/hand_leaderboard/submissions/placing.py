"""Placing, superseding and withdrawing: folders are made beside their place and then renamed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from hand_bench.errors import HandBenchError, Problem, SubmissionError
from hand_bench.files import replacing
from hand_bench.tracks import Track
from hand_leaderboard.submissions.folder import (
    HISTORY,
    META,
    RESULT,
    SCORED,
    WITHDRAWN,
    Submission,
    Withdrawn,
    read_submission,
    withdrawn_of,
)
from hand_leaderboard.submissions.meta import PREDICTIONS, Meta
from hand_leaderboard.submissions.names import require_name


def place_of(root: Path, track: Track, name: str) -> Path:
    """Return a submission's folder; nothing on the way to it may be a link.

    Raises
    ------
    SubmissionError
        HB141 for an unsafe name, HB142 for a link.
    """
    path = root / track.name / require_name(name)
    for part in (path, path.parent):
        if part.is_symlink() or (part.exists() and not part.is_dir()):
            raise SubmissionError(
                Problem("HB142", str(part), "is not a folder, or a symbolic link to one.")
            )
    return path


@contextlib.contextmanager
def making(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` that takes its place if the block succeeds.

    Raises
    ------
    HandBenchError
        HB402 where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        yield made
        made.chmod(0o755)
        _swap(made, path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _swap(made: Path, path: Path) -> None:
    """Put a finished folder in the place of another one; the other one comes back on failure."""
    if not path.exists():
        made.rename(path)
        return
    old = made.with_name(f"{made.name}-old")
    path.rename(old)
    try:
        made.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


def _not_written(path: Path, error: OSError) -> HandBenchError:
    return HandBenchError(
        Problem("HB402", str(path), f"cannot be written: {error.strerror or error}.")
    )


def place(
    root: Path, track: Track, name: str, meta: Meta, preds: Path | None, scored: Path | None
) -> Submission:
    """Write a submission's folder; an earlier version becomes the last of its history.

    Parameters
    ----------
    root, track, name
        Where: ``root/<track>/<name>``.
    meta
        What people wrote.
    preds
        The predictions, where they lie beside it.
    scored
        A folder with what the scorer wrote; None where it was not scored.

    Raises
    ------
    SubmissionError
        HB141, HB142, and what is wrong with the version that is there.
    """
    path = place_of(root, track, name)
    before = read_submission(path) if path.exists() else None
    with making(path) as made:
        if before is not None:
            keep_history(before, made)
        meta.write(made / META)
        if preds is not None:
            shutil.copyfile(preds, made / PREDICTIONS)
        copy_scored(scored, made)
    return read_submission(path)


def keep_history(before: Submission, made: Path) -> None:
    """Copy a superseded version, and those before it, into a new folder."""
    old = before.path / HISTORY
    if old.is_dir():
        shutil.copytree(old, made / HISTORY)
    number = max((version.number for version in before.history), default=0) + 1
    folder = made / HISTORY / str(number)
    folder.mkdir(parents=True)
    for name in (META, RESULT, WITHDRAWN):
        if (before.path / name).is_file():
            shutil.copyfile(before.path / name, folder / name)


def copy_scored(scored: Path | None, made: Path) -> None:
    """Copy what the scorer wrote, where it wrote something."""
    if scored is None:
        return
    for name in SCORED:
        if (scored / name).is_file():
            shutil.copyfile(scored / name, made / name)


def rewrite(before: Submission, scored: Path) -> Submission:
    """Put new scores into a folder; everything else stays, nothing becomes history."""
    with making(before.path) as made:
        if (before.path / HISTORY).is_dir():
            shutil.copytree(before.path / HISTORY, made / HISTORY)
        for name in (META, PREDICTIONS):
            if (before.path / name).is_file():
                shutil.copyfile(before.path / name, made / name)
        copy_scored(scored, made)
    return read_submission(before.path)


def withdraw(root: Path, track: Track, name: str, why: Withdrawn) -> Submission:
    """Take a submission back: what was written stays, scores and predictions go.

    Raises
    ------
    SubmissionError
        HB147 where there is none, or it is withdrawn already.
    """
    path = place_of(root, track, name)
    withdrawn_of(asdict(why), path / WITHDRAWN)
    if not path.is_dir():
        known = sorted(p.name for p in path.parent.glob("*")) if path.parent.is_dir() else []
        fix = f"There are: {', '.join(known)}." if known else ""
        raise SubmissionError(Problem("HB147", f"{track.name}/{name}", "does not exist.", fix=fix))
    before = read_submission(path)
    if before.withdrawn is not None:
        what = f"was withdrawn on {before.withdrawn.date}."
        raise SubmissionError(Problem("HB147", before.slug, what))
    with making(path) as made:
        if (path / HISTORY).is_dir():
            shutil.copytree(path / HISTORY, made / HISTORY)
        shutil.copyfile(path / META, made / META)
        write_withdrawn(made / WITHDRAWN, why)
    return read_submission(path)


def write_withdrawn(path: Path, why: Withdrawn) -> None:
    """Write `withdrawn.yaml`."""
    import yaml

    with replacing(path) as temporary:
        text = yaml.safe_dump(asdict(why), sort_keys=False, allow_unicode=True)
        temporary.write_text(text, "utf-8")
