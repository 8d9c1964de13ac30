"""Folders of submissions: what may be in them, and what they say.

``submissions/<track>/<name>/`` holds plain files that are known by name. Anything else, and every
symbolic link, is a problem; nothing is followed, imported or run.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

from hand_bench import files
from hand_bench.errors import HandBenchError, Problem, SubmissionError, TrackError
from hand_bench.results import Result
from hand_bench.tracks import Track, find_track
from hand_leaderboard.submissions.meta import BESIDE, PREDICTIONS, Meta
from hand_leaderboard.submissions.names import require_name
from hand_leaderboard.submissions.safe_yaml import MOST_BYTES, read_yaml
from hand_leaderboard.submissions.texts import odd_character
from hand_leaderboard.worlds import is_procedural

META, RESULT, SUMS, ERRORS = "submission.yaml", "result.json", "sums.parquet", "errors.parquet"
SAMPLES = "samples.json"
WITHDRAWN, HISTORY = "withdrawn.yaml", "history"
#: What only the scorer writes.
SCORED = (RESULT, SUMS, ERRORS, SAMPLES)
#: The largest size of every file that may be there, bytes.
MOST = {
    META: MOST_BYTES,
    WITHDRAWN: MOST_BYTES,
    RESULT: 5_000_000,
    SUMS: 50_000_000,
    ERRORS: BESIDE,
    SAMPLES: 200_000,
    PREDICTIONS: BESIDE,
}
_OF_HISTORY = (META, RESULT, WITHDRAWN)
#: Characters of the reason why a submission is withdrawn.
LONGEST_REASON = 1_000
#: Beside the folders of tracks.
_OF_ROOT = ("README.md", ".gitattributes")


@dataclass(frozen=True)
class Withdrawn:
    """When and why a submission was taken back."""

    date: str
    reason: str


@dataclass(frozen=True)
class Version:
    """An earlier version, which a newer one superseded."""

    number: int
    meta: Meta
    result: Result | None
    withdrawn: Withdrawn | None = None


@dataclass(frozen=True)
class Submission:
    """One folder: what people wrote, what the scorer wrote, and what was there before."""

    track: Track
    name: str
    path: Path
    meta: Meta
    result: Result | None = None
    withdrawn: Withdrawn | None = None
    history: tuple[Version, ...] = ()

    @property
    def slug(self) -> str:
        """Its place under `submissions/`, also in URLs."""
        return f"{self.track.name}/{self.name}"

    @property
    def sums(self) -> Path | None:
        """Its sums, None where it is not scored."""
        return _if_there(self.path / SUMS)

    @property
    def errors(self) -> Path | None:
        """Its errors of every sample, None where they are not kept."""
        return _if_there(self.path / ERRORS)

    @property
    def samples(self) -> Path | None:
        """A few samples of a procedural world in 3D, None where none are kept."""
        return _if_there(self.path / SAMPLES)

    @property
    def predictions(self) -> Path | None:
        """Its predictions, None where they are at a URL or gone."""
        return _if_there(self.path / PREDICTIONS)


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def read_submissions(root: str | Path) -> list[Submission]:
    """Read and check every folder under a root, by track and name.

    Raises
    ------
    SubmissionError
        With the problems of all folders.
    """
    found, problems = survey(root)
    if problems:
        raise SubmissionError(problems)
    return found


def survey(root: str | Path) -> tuple[list[Submission], list[Problem]]:
    """Read every folder under a root: the good ones, and what is wrong with the others."""
    root = Path(root)
    found: list[Submission] = []
    problems: list[Problem] = []
    for path in folders(root, problems):
        try:
            found.append(read_submission(path))
        except HandBenchError as error:
            problems += error.problems
    return found, problems + _unlike_annotations(found)


def folders(root: Path, problems: list[Problem]) -> Iterator[Path]:
    """Give every submission's folder in order; add what is neither to `problems`."""
    if not root.is_dir() or root.is_symlink():
        problems.append(Problem("HB142", str(root), "is not a folder of submissions."))
        return
    for track in sorted(root.iterdir()):
        if track.is_symlink() or not track.is_dir():
            if track.is_symlink() or track.name not in _OF_ROOT:
                problems.append(_stray(track, "only folders of tracks belong here"))
            continue
        for path in sorted(track.iterdir()):
            if path.is_symlink() or not path.is_dir():
                problems.append(_stray(path, "only folders of submissions belong here"))
            else:
                yield path


def read_submission(path: str | Path) -> Submission:
    """Read and check one folder, which lies in the folder of its track.

    Raises
    ------
    SubmissionError
        HB113, HB140 to HB146 with everything that is wrong.
    TrackError
        HB301 where the folder above is not named after a track.
    """
    path = Path(path)
    problems = list(_strangers(path))
    if problems:
        raise SubmissionError(problems)
    name = require_name(path.name, str(path))
    track = _track_of(path)
    meta = Meta.read(path / META)
    problems += meta.check_for(track, str(path / META))
    withdrawn = read_withdrawn(path / WITHDRAWN)
    result = read_result(path / RESULT)
    submission = Submission(track, name, path, meta, result, withdrawn, _history(path))
    problems += _disagreements(submission)
    if problems:
        raise SubmissionError(problems)
    return submission


def _track_of(path: Path) -> Track:
    try:
        return find_track(path.resolve().parent.name)
    except TrackError as error:
        raise TrackError([replace(p, where=str(path)) for p in error.problems]) from None


def read_result(path: Path) -> Result | None:
    """Read a stored result, None where there is none.

    Raises
    ------
    SubmissionError
        HB146 where it is not what the scorer writes.
    """
    if not path.is_file():
        return None
    try:
        plain = json.loads(path.read_text("utf-8"), parse_constant=_finite, parse_float=_finite)
        stored = Result.from_json(plain)
        _ = stored.primary, stored.coverage["expected"], stored.predictions["sha256"]
        _ = stored.annotations["release"]
        for score in stored.scores:
            if not all(isinstance(getattr(score, name), kind) for name, kind in _SCORE.items()):
                raise TypeError("a score of another form")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError,
            HandBenchError) as error:  # fmt: skip
        what = f"is not what the scorer writes ({type(error).__name__})."
        fix = "`hand-bench rescore` writes it; nobody else does."
        raise SubmissionError(Problem("HB146", str(path), what, fix=fix)) from None
    return stored


#: What a score holds; `value` and `ci95` are floats or None, as JSON's whole numbers are too.
_SCORE: dict[str, Any] = {
    "metric": str, "subset": str, "protocol": str, "unit": str, "signature": str, "note": str,
    "n": int, "higher_is_better": bool, "value": (int, float, NoneType),
    "ci95": (tuple, NoneType),
}  # fmt: skip


def _finite(text: str) -> float:
    """Read a number; ValueError for NaN and infinities, which no score is."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    return value


def read_withdrawn(path: Path) -> Withdrawn | None:
    """Read `withdrawn.yaml`, None where there is none."""
    if not path.is_file():
        return None
    return withdrawn_of(read_yaml(path), path)


def withdrawn_of(stored: Any, path: Path) -> Withdrawn:
    """Check what `withdrawn.yaml` holds.

    Raises
    ------
    SubmissionError
        HB140 for anything but a day and a reason.
    """
    texts = isinstance(stored, dict) and all(isinstance(v, str) for v in stored.values())
    if (
        not texts
        or set(stored) != {"date", "reason"}
        or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", stored["date"])
        or not 0 < len(stored["reason"]) <= LONGEST_REASON
        or odd_character(stored["reason"], lines=True)
    ):
        what = f"is not a day and a reason of 1 to {LONGEST_REASON:,} characters."
        fix = "`hand-bench submit withdraw` writes it."
        raise SubmissionError(Problem("HB140", str(path), what, fix=fix))
    return Withdrawn(stored["date"], stored["reason"])


def _history(path: Path) -> tuple[Version, ...]:
    folder = path / HISTORY
    if not folder.is_dir():
        return ()
    versions = []
    for old in sorted(folder.iterdir(), key=lambda p: int(p.name)):
        meta, result = Meta.read(old / META), read_result(old / RESULT)
        versions.append(Version(int(old.name), meta, result, read_withdrawn(old / WITHDRAWN)))
    return tuple(versions)


def _strangers(path: Path) -> Iterator[Problem]:
    """What has no place in a submission's folder, found without following or opening anything."""
    if path.is_symlink() or not path.is_dir():
        yield _stray(path, "a submission is a folder")
        return
    if path.parent.is_symlink():
        yield _stray(path.parent, "a track's folder is a folder")
        return
    yield from _unknown_files(path, MOST)
    if not os.path.lexists(path / META):
        yield Problem("HB142", str(path), f"has no {META}.",
                      fix="`hand-bench submit init` writes one.")  # fmt: skip
    history = path / HISTORY
    if history.is_dir() and not history.is_symlink():
        for old in sorted(history.iterdir()):
            if old.is_symlink() or not old.is_dir() or not _is_number(old.name):
                yield _stray(old, "history holds folders 1, 2, ...")
            else:
                yield from _unknown_files(old, {name: MOST[name] for name in _OF_HISTORY})
                if not (old / META).is_file():
                    yield Problem("HB142", str(old), f"has no {META}.")


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 6 and not name.startswith("0")


def _unknown_files(folder: Path, allowed: dict[str, int]) -> Iterator[Problem]:
    for entry in sorted(folder.iterdir()):
        status = entry.lstat()
        if stat.S_ISLNK(status.st_mode):
            yield _stray(entry, "links are not followed", "is a symbolic link")
        elif stat.S_ISDIR(status.st_mode):
            if entry.name != HISTORY or folder.parent.name == HISTORY:
                yield _stray(entry, f"the only folder in a submission is {HISTORY}")
        elif not stat.S_ISREG(status.st_mode) or entry.name not in allowed:
            yield _stray(entry, f"only {', '.join(allowed)} belong here")
        elif status.st_size > allowed[entry.name]:
            what = f"has {status.st_size:,} bytes, at most {allowed[entry.name]:,} are allowed."
            yield Problem("HB142", str(entry), what)


def _stray(path: Path, why: str, what: str = "does not belong here") -> Problem:
    shown = str(path.parent / ascii(path.name)[1:-1][:80])
    return Problem("HB142", shown, f"{what}: {why}.", fix="Remove it.")


def _disagreements(submission: Submission) -> Iterator[Problem]:
    """What the files of one folder say of each other."""
    meta, result, path = submission.meta, submission.result, submission.path
    if submission.withdrawn is not None:
        for name in (*SCORED, PREDICTIONS):
            if (path / name).exists():
                yield Problem("HB147", str(path / name), "is there, though it is withdrawn.",
                              fix="`hand-bench submit withdraw` removes it.")  # fmt: skip
        return
    if meta.predictions.file:
        yield from _other_bytes(path / PREDICTIONS, meta)
    elif (path / PREDICTIONS).exists():
        yield Problem("HB140", str(path), "predictions are at a URL and beside it.",
                      fix="Keep one of them.")  # fmt: skip
    hidden = submission.track.truth != "public"
    if hidden and (path / ERRORS).exists():
        yield Problem("HB146", str(path / ERRORS), "errors of single samples of a hidden truth.",
                      cause="The truth can be solved from them.", fix="Remove it, also from the "
                      "history of the repository.")  # fmt: skip
    if (path / SAMPLES).exists() and not is_procedural(submission.track):
        yield Problem("HB146", str(path / SAMPLES), "holds samples of a real dataset's truth.",
                      cause="Only procedural worlds may be shown so.", fix="Remove it, also from "
                      "the history of the repository.")  # fmt: skip
    if (result is None) != (not (path / SUMS).exists()):
        lacking = RESULT if result is None else SUMS
        yield Problem("HB146", str(path), f"has no {lacking} beside the other one.",
                      fix="`hand-bench rescore` writes both.")  # fmt: skip
    if result is not None:
        yield from _other_result(submission, result)


def _other_bytes(path: Path, meta: Meta) -> Iterator[Problem]:
    said = meta.predictions
    if not path.is_file():
        yield Problem("HB144", str(path), "is not there, though submission.yaml names it.")
    elif path.stat().st_size != said.size or files.sha256(path) != said.sha256:
        yield Problem(
            "HB144", str(path), "is not the file that submission.yaml describes (size, SHA-256).",
            cause="Was it replaced after it was described?",
            fix="Submit it again: `hand-bench submit`.",
        )  # fmt: skip


def _other_result(submission: Submission, result: Result) -> Iterator[Problem]:
    track, where = submission.track, str(submission.path / RESULT)
    found = (result.track.get("name"), result.track.get("version"))
    if found != (track.name, track.version):
        yield Problem("HB146", where, f"is of track {found[0]} v{found[1]}, not {track.name} "
                      f"v{track.version}.", fix="`hand-bench rescore`")  # fmt: skip
    if result.predictions["sha256"] != submission.meta.predictions.sha256:
        yield Problem("HB144", where, "scores other bytes than submission.yaml names (SHA-256).",
                      fix="`hand-bench rescore`")  # fmt: skip


def _unlike_annotations(found: list[Submission]) -> list[Problem]:
    """Refuse to compare what was scored against two sets of annotations."""
    by_track: dict[str, dict[tuple[Any, ...], Submission]] = {}
    for one in found:
        if one.result is not None and one.withdrawn is None:
            against = one.result.annotations
            key = (against.get("release"), against.get("samples"))
            by_track.setdefault(one.track.name, {}).setdefault(key, one)
    return [
        Problem("HB146", track, "is scored against annotations that differ: "
                + "; ".join(f"{k[0]}, {k[1]:,} samples ({one.name})" for k, one in kinds.items())
                + ".", fix="`hand-bench rescore --track` with the annotations that are meant.")
        for track, kinds in by_track.items() if len(kinds) > 1
    ]  # fmt: skip
