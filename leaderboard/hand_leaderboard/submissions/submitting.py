"""From a predictions file and a description to a checked, scored and placed folder."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hand_bench import files
from hand_bench.annotations import Annotations
from hand_bench.data import quiet
from hand_bench.errors import DatasetError, Problem, SubmissionError
from hand_bench.results import Result
from hand_bench.tracks import Track, find_track
from hand_leaderboard.submissions import hidden, placing, scoring, truth
from hand_leaderboard.submissions.folder import Submission, read_submission, survey
from hand_leaderboard.submissions.meta import BESIDE, PREDICTIONS, Meta
from hand_leaderboard.submissions.names import name_of, require_name
from hand_leaderboard.submissions.safe_yaml import read_yaml


@dataclass(frozen=True)
class Submitted:
    """What `submit` did: where it is (None: a dry run), its scores if any, and remarks."""

    track: Track
    name: str
    meta: Meta
    path: Path
    placed: Submission | None
    result: Result | None
    supersedes: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def slug(self) -> str:
        """Its place under `submissions/`."""
        return f"{self.track.name}/{self.name}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "track": self.track.name,
            "name": self.name,
            "path": str(self.path),
            "placed": self.placed is not None,
            "supersedes": self.supersedes,
            "predictions": self.meta.to_plain()["predictions"],
            "primary": None if self.result is None else self.result.to_json()["track"]["primary"]
            | {"value": self.result.primary.value, "ci95": self.result.primary.ci95},
            "notes": self.notes,
        }  # fmt: skip


def submit(
    preds: str | Path,
    *,
    track: str | Track,
    meta: str | Path,
    root: str | Path = "submissions",
    name: str | None = None,
    annotations: str | None = None,
    ids: str | Path | None = None,
    dry_run: bool = False,
    workers: int | None = None,
    progress: scoring.Progress = quiet,
) -> Submitted:
    """Check predictions and their description, score them where the truth is, place the folder.

    Parameters
    ----------
    preds
        Predictions (Parquet).
    track
        The track.
    meta
        The `submission.yaml`; size and hash of the predictions are filled in where they lack.
    root
        Folder of all submissions.
    name
        Name of the folder; default: made from the method's name.
    annotations
        File, folder or Hub dataset with the truth; default: the prepared annotations.
    ids
        Template or list of hashed ids, where the dataset is not prepared.
    dry_run
        Check and score, but write nothing.
    workers, progress
        As `hand_bench.evaluate`.

    Raises
    ------
    SubmissionError
        With every problem of the description, or of the predictions.
    """
    preds, root, track = Path(preds), Path(root), find_track(track)
    described = describe(preds, Path(meta), track)
    name = require_name(name or name_of(described.method), str(meta))
    path = placing.place_of(root, track, name)
    notes: list[str] = []
    found = truth.find_truth(track, annotations)
    if found is None and ids is None:
        notes.append(
            f"{track.dataset} is not prepared here: ids are not compared with the track's "
            "(`--ids TEMPLATE` compares them), and nothing is scored."
        )
    checked = scoring.check_predictions(
        preds, track, described, annotations=found, ids=Path(ids) if ids is not None else None
    )
    notes += [note for note in checked.notes if not note.startswith("no inputs are declared")]
    before = _refuse_too_many(root, track, name, described)
    with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
        result = _score(preds, track, described, Path(folder), found, workers, progress, notes)
        placed = None
        if not dry_run:
            beside = preds if described.predictions.file else None
            scored = Path(folder) if result is not None else None
            placed = placing.place(root, track, name, described, beside, scored)
    return Submitted(track, name, described, path, placed, result, before, notes)


def _refuse_too_many(root: Path, track: Track, name: str, meta: Meta) -> int:
    """Raise HB145 where a team submits too often; return how many versions were there before."""
    there = survey(root)[0] if hidden.is_hidden(track) and root.is_dir() else []
    problems = hidden.limit_problem(meta, track, name, there)
    if problems:
        raise SubmissionError(problems)
    path = placing.place_of(root, track, name)
    return 1 + len(read_submission(path).history) if path.exists() else 0


def _score(
    preds: Path, track: Track, meta: Meta, folder: Path, found: Annotations | None,
    workers: int | None, progress: scoring.Progress, notes: list[str],
) -> Result | None:  # fmt: skip
    if found is None:
        return None
    try:
        return scoring.score(
            preds, track, meta, folder, annotations=found, workers=workers, progress=progress
        )
    except DatasetError as error:
        if all(p.code == "HB209" for p in error.problems):
            notes.append(f"the truth of {track.name} is withheld: its owner scores it.")
            return None
        raise


def describe(preds: Path, meta: Path, track: Track) -> Meta:
    """Read a description and fill in size and hash of the predictions where they lack.

    Raises
    ------
    SubmissionError
        HB101 without the file, HB144 where the description is of another file, and what is wrong
        with the description.
    """
    if not preds.is_file():
        raise SubmissionError(Problem("HB101", str(preds), "does not exist, or is no file."))
    stored = read_yaml(meta)
    if isinstance(stored, Mapping):
        stored = {**stored, "predictions": bytes_of(preds, stored.get("predictions"), str(meta))}
    described = Meta.of(stored, str(meta))
    problems = described.check_for(track, str(meta))
    if problems:
        raise SubmissionError(problems)
    return described


def bytes_of(preds: Path, said: Any, where: str) -> Any:
    """Return the field `predictions` of a description with size and hash of a file."""
    given = dict(said) if isinstance(said, Mapping) else {} if said is None else None
    if given is None:
        return said
    found = {"sha256": files.sha256(preds), "size": preds.stat().st_size}
    if not given.get("url") and not given.get("weights"):
        given.setdefault("file", PREDICTIONS)
        if found["size"] > BESIDE:
            raise SubmissionError(
                Problem(
                    "HB140", where,
                    f"{preds.name} has {found['size']:,} bytes; up to {BESIDE:,} may lie beside "
                    "the description.",
                    fix="Upload it, e.g. to a Hub dataset or a release, and give its address: "
                    "`predictions: {url: https://...}`.",
                )
            )  # fmt: skip
    wrong = [k for k in found if k in given and given[k] != found[k]]
    if wrong:
        raise SubmissionError(
            Problem(
                "HB144", where, f"{' and '.join(wrong)} of predictions are not those of {preds}.",
                cause="Is the description of another file, or an older one?",
                fix="Leave them out: `hand-bench submit` fills them in.",
            )
        )  # fmt: skip
    return {**given, **found}


def next_steps(done: Submitted) -> list[str]:
    """Return the commands that send a placed folder to the project."""
    branch = f"submission-{done.track.name}-{done.name}"
    lines = [
        f"git switch -c {branch}",
        f"git add --all {done.path}",
        f'git commit -m "Submission: {done.slug}"',
        f"git push -u origin {branch}",
        "then open a pull request from that branch",
    ]
    if done.meta.predictions.url:
        lines.append(f"and keep {done.meta.predictions.url} as it is: its bytes are compared")
    return lines
