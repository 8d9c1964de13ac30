"""Small tracks, prepared, with predictions and descriptions that are fine."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark import small_tracks
from hand_bench import files
from hand_bench.tracks import Track, find_track
from hand_leaderboard.submissions import placing, scoring, truth
from hand_leaderboard.submissions.folder import Submission
from hand_leaderboard.submissions.meta import Meta

#: A track of every kind: single views, instants of several views, 2D, clips.
KINDS = ("assemblyhands", "assemblyhands-annotation", "epic-handkps", "h2o-action-val")
PUBLIC = ("assemblyhands", "handsim-assemblyhands-annotation", "epic-handkps", "h2o-action-val")


@dataclass(frozen=True)
class Prepared:
    """A small track in the data folder."""

    made: small_tracks.SmallTrack | small_tracks.SmallClips

    @property
    def track(self) -> Track:
        return self.made.track

    def predictions(self, path: Path, noise: float = 3.0, seed: int = 1) -> Path:
        """Write predictions; more noise is worse."""
        if isinstance(self.made, small_tracks.SmallClips):
            right = max(0.0, 1 - noise / 10)
            return self.made.write(path, label=self.made.answers(right, seed))
        return self.made.write(path, self.made.noisy(noise))


def prepare(name: str, home: Path, **options) -> Prepared:
    """Write a small table of a track where it would be prepared."""
    track = find_track(name)
    folder = home / track.dataset / track.table
    folder.mkdir(parents=True)
    if not options:
        return Prepared(small_tracks.of_track(folder, name))
    make = {"action": small_tracks.clip_track, "pose-2d": small_tracks.planar_track}.get(
        track.kind,
        small_tracks.world_track if track.frame == "world" else small_tracks.camera_track,
    )
    return Prepared(make(folder, name, **options))


def plain(track: str | Track, **fields) -> dict:
    """A description that is fine, as plain values; `None` leaves a field out."""
    track = find_track(track)
    described = {
        "method": "Method A",
        "team": "team one",
        "date": "2026-01-05",
        "licence": "CC-BY-4.0",
        "description": "Looks at hands.",
        "training": ["freihand"],
        "inputs": [f"{name}:{values[0]}" for name, values in track.inputs.items()],
        "predictions": {"url": "https://example.org/p.parquet", "sha256": "a" * 64, "size": 9},
        **fields,
    }
    return {k: v for k, v in described.items() if v is not None}


def describe(preds: Path, track: str | Track, **fields) -> Meta:
    """A description of a file that lies beside it."""
    known = {"file": preds.name, "sha256": files.sha256(preds), "size": preds.stat().st_size}
    return Meta.of(plain(track, predictions=known | {"file": "predictions.parquet"}, **fields))


def place(root: Path, prepared: Prepared, name: str = "a", *, noise: float = 3.0, **fields):
    """Score and place a submission without the command."""
    track = prepared.track
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        preds = prepared.predictions(work / "p.parquet", noise)
        meta = describe(preds, track, **{"method": f"Method {name}", **fields})
        scoring.score(preds, track, meta, work, annotations=truth.open_truth(track))
        return placing.place(root, track, name, meta, preds, work)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*")) if p.is_file()}  # fmt: skip


def random_hands(rows: int, seed: int = 0) -> np.ndarray:
    """Hands somewhere in front of the camera, mm."""
    return np.random.default_rng(seed).normal([0, 0, 600], 60, (rows, 21, 3)).astype(np.float32)


__all__ = ["KINDS", "PUBLIC", "Prepared", "Submission", "contents", "describe", "place", "plain",
           "prepare", "random_hands"]  # fmt: skip
