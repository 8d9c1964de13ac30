"""Folders of submissions to small tracks, scored by the core's evaluators."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.small_tracks import SmallClips, SmallTrack, of_track
from hand_bench import files
from hand_bench.actions import ClipEvaluator
from hand_bench.evaluator import Evaluator
from hand_bench.predictions import open_for_track
from hand_bench.tracks import find_track
from hand_leaderboard.submissions import folder
from hand_leaderboard.submissions.meta import Meta, PredictionsFile
from hand_leaderboard.submissions.sums import write_sums

Made = SmallTrack | SmallClips


@dataclass(frozen=True)
class BoardWorld:
    """A folder of submissions, and the small tracks that they are scored on."""

    root: Path
    home: Path

    def track(self, name: str) -> Made:
        """The small annotations of a track, made once."""
        place = self.home / name
        place.mkdir(parents=True, exist_ok=True)
        return of_track(place, name)

    def noisy(
        self, track: str, name: str, size: float = 3.0, *, seed: int = 1, incomplete: int = 0,
        errors: bool = False, **meta: Any,
    ) -> Path:  # fmt: skip
        """Add a submission: the truth with noise (poses), or a share of right answers (clips)."""
        made = self.track(track)
        path = self.home / f"{track}-{name}.parquet"
        if isinstance(made, SmallClips):
            made.write(path, label=made.answers(size, seed))
        else:
            made.write(path, made.noisy(size, seed))
        return self.add(made, name, path, incomplete=incomplete, errors=errors, **meta)

    def add(
        self, made: Made, name: str, preds: Path, *, incomplete: int = 0, errors: bool = False,
        **meta: Any,
    ) -> Path:  # fmt: skip
        """Score predictions and write the folder; the first `incomplete` samples are left out."""
        place = self.root / made.track.name / name
        place.mkdir(parents=True, exist_ok=True)
        if incomplete:
            import pyarrow.parquet as pq

            pq.write_table(pq.read_table(preds).slice(incomplete), preds)
        about = described(made, preds, **{"incomplete": bool(incomplete), **meta})
        about.write(place / folder.META)
        shutil.copyfile(preds, place / "predictions.parquet")
        kind = ClipEvaluator if isinstance(made, SmallClips) else Evaluator
        machine = kind(made.track, made.annotations, allow_missing=bool(incomplete), resamples=200)
        options = {"errors": place / folder.ERRORS if errors else None}
        source = open_for_track(preds, made.track)
        machine.score_file(source, **({} if isinstance(made, SmallClips) else options))
        machine.scores().save(place / folder.RESULT)
        write_sums(place / folder.SUMS, machine.sums, made.track)
        return place


def described(made: Made, preds: Path, **meta: Any) -> Meta:
    """What is said of a submission unless the test says otherwise."""
    standard = tuple(f"{name}:{values[0]}" for name, values in made.track.inputs.items())
    plain = {
        "method": "A method",
        "team": "A team",
        "date": "2026-01-31",
        "licence": "CC-BY-4.0",
        "description": "What it does.",
        "inputs": standard,
        "predictions": PredictionsFile(
            files.sha256(preds), preds.stat().st_size, file="predictions.parquet"
        ),
    }
    if "authors" in meta:
        del plain["team"]
    return Meta(**{**plain, **meta})


def standard_inputs(track: str, **other: str) -> tuple[str, ...]:
    """A track's standard inputs, some of them with another value."""
    values = {name: allowed[0] for name, allowed in find_track(track).inputs.items()} | other
    return tuple(f"{name}:{value}" for name, value in values.items())


def per_cluster(rows: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Totals and weights of rows by cluster, each cluster of the weight 1."""
    totals = np.array(rows, np.float64)
    return totals, np.ones_like(totals)
