"""Checks named folders, or everything under a root."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hand_bench.errors import HandBenchError, Problem
from hand_leaderboard.submissions.folder import Submission, read_submission, survey


def check(paths: Sequence[Path], root: Path) -> tuple[list[Submission], list[Problem]]:
    """Read the folders that paths lie in (all under `root` where there are none).

    A path is a folder of a submission, a file in one, or a folder of all submissions.
    """
    if not paths:
        return survey(root)
    found: list[Submission] = []
    problems: list[Problem] = []
    for path in dict.fromkeys(_folder_of(path, root) for path in paths):
        if path is None:
            continue
        if not path.exists():
            problems.append(Problem("HB142", str(path), "does not exist."))
        elif _holds_tracks(path):
            more, wrong = survey(path)
            found += more
            problems += wrong
        else:
            try:
                found.append(read_submission(path))
            except HandBenchError as error:
                problems += error.problems
    return found, problems


def _folder_of(path: Path, root: Path) -> Path | None:
    """Return the submission's folder of a path; None for files of the root, such as README.md."""
    try:
        inside = path.absolute().relative_to(root.absolute())
    except ValueError:
        return path if path.is_dir() or not path.exists() else path.parent
    if len(inside.parts) == 0:
        return path
    if len(inside.parts) == 1:
        return None if inside.name in ("README.md", ".gitattributes") else path
    return root / inside.parts[0] / inside.parts[1]


def _holds_tracks(path: Path) -> bool:
    """Whether a folder holds folders of tracks, and is not a submission itself."""
    return not (path / "submission.yaml").exists() and any(
        (child / "submission.yaml").exists() for child in path.glob("*/*")
    )
