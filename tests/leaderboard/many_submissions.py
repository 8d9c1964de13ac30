"""Folders of submissions for tests, as the scorer leaves them: sums and scores of small tables.

A few methods are really scored on a small table of the track; the others take some sequences of one
and some of another, so that hundreds of different methods cost little. `hostile` texts are in every
field that people write.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmark import small_tracks
from benchmark.small_tracks import SmallClips, SmallTrack
from hand_bench import files, pairing, scoring
from hand_bench.evaluator import Evaluator
from hand_bench.predictions import open_for_track
from hand_bench.results import Result
from hand_bench.sums import Sums
from hand_bench.tracks import Track
from hand_leaderboard.submissions.few_samples import write_few_samples
from hand_leaderboard.submissions.meta import Meta, Paper, PredictionsFile
from hand_leaderboard.submissions.sums import write_sums
from hand_leaderboard.worlds import is_procedural

#: Enough for intervals that look like intervals.
RESAMPLES = 100
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>'\"&{{7*7}}"
_WORDS = ("Amber", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Heath", "Isle", "Juniper",
          "Kelp", "Larch")  # fmt: skip
_ENDS = ("Net", "Pose", "Former", "Lift", "Field", "Track", "Mesh", "Grid")
_PEOPLE = ("First author, second author", "First author and eleven others who are not named here",
           "Team Example", "Laboratory for Examples")  # fmt: skip
_BACKBONES = ("ResNet-50", "ViT-H", "ResNet-18", "HRNet-W48", "")


@dataclass(frozen=True)
class Scored:
    """What the scorer made of one method."""

    result: Result
    sums: Sums
    errors: Path | None
    predictions: Path
    samples: Path | None = None


def scored(made: SmallTrack | SmallClips, folder: Path, methods: int = 3) -> list[Scored]:
    """Score methods of different quality on a small table."""
    found = []
    for k in range(methods):
        path = folder / f"method-{k}.parquet"
        if isinstance(made, SmallClips):
            made.write(path, label=made.answers(0.9 - 0.15 * k, seed=k))
        else:
            made.write(path, _habit(made, 6 + 5 * k, seed=k), inputs=[])
        machine = _scorer(made)
        errors = folder / f"errors-{k}.parquet"
        source = open_for_track(path, made.track)
        if isinstance(made, SmallClips):
            machine.score_file(source)
            errors = None
        else:
            machine.score_file(source, errors=errors)
        samples = None
        if made.track.kind == "pose" and is_procedural(made.track):
            samples = folder / f"samples-{k}.json"
            write_few_samples(samples, source, machine.annotations, made.track, errors)
        found.append(Scored(machine.scores("all"), machine.sums, errors, path, samples))
    return found


def _scorer(made: SmallTrack | SmallClips):
    if isinstance(made, SmallClips):
        from hand_bench.actions import ClipEvaluator

        return ClipEvaluator(made.track, made.annotations, resamples=RESAMPLES)
    return Evaluator(made.track, made.annotations, resamples=RESAMPLES)


def _habit(made: SmallTrack, size: float, seed: int) -> np.ndarray:
    """Errors as networks make them: larger at the tips, alike in a sequence."""
    rng = np.random.default_rng(seed)
    reach = np.concatenate([[0.2], np.tile([0.4, 0.6, 0.8, 1.0], 5)])[:, None]
    sequences = [name.split("/")[1] for name in made.sample_id]
    _, code = np.unique(sequences, return_inverse=True)
    dims = made.joints.shape[-1]
    habit = rng.normal(0, size * 0.8, (code.max() + 1, 2, 21, dims))[code]
    jitter = rng.normal(0, size * 0.5, made.joints.shape)
    return made.joints + (habit + jitter) * reach


def write_track(
    root: Path, made: SmallTrack | SmallClips, count: int, *, seed: int = 0, hostile: bool = False,
    work: Path,
) -> list[str]:  # fmt: skip
    """Write `count` submissions to a track under `root`; return their names."""
    known = scored(made, work)
    rng = np.random.default_rng(seed)
    names = []
    for k in range(count):
        title = f"{_WORDS[k % 12]}{_ENDS[(k // 12 + k) % 8]}" + (
            f" {k // 96 + 1}" if k >= 96 else ""
        )
        name = f"{title.lower().replace(' ', '-')}-{k}"
        method = known[k] if k < len(known) else _mixed(made, known, rng)
        write_submission(root, made.track, name, method, _meta(title, k, made.track, rng, hostile))
        names.append(name)
    return names


def _mixed(made: SmallTrack | SmallClips, known: Sequence[Scored], rng) -> Scored:
    """Another method: every sequence is answered as one of the known methods does."""
    rows = list(known[0].sums.rows)
    clusters = sorted({cluster for _, cluster in rows})
    share = rng.random()
    better = [0, 1] if len(known) == 2 else [int(rng.integers(0, 2)), 2]
    source = {c: known[better[int(rng.random() < share)]] for c in clusters}
    sums = Sums(known[0].sums.layout)
    sums.add(rows, (source[key[1]].sums[source[key[1]].sums.rows[key]] for key in rows))
    machine = _scorer(made)
    machine.coverage = pairing.Coverage(len(made.sample_id), len(made.sample_id))
    base = known[0].result
    evaluator = SimpleNamespace(
        track=made.track, declared=machine.declared, annotations=machine.annotations, sums=sums,
        predictions={k: v for k, v in base.predictions.items() if k in ("path", "sha256", "rows")},
        coverage=machine.coverage, partial=[], notes=[],
        resamples=RESAMPLES, seed=0, time_blocks=machine.time_blocks, allow_missing=False,
        meshes=None,
    )  # fmt: skip
    return replace(known[better[0]], result=scoring.result(evaluator, "all"), sums=sums)


def _meta(title: str, k: int, track: Track, rng, hostile: bool) -> Meta:
    day = datetime.date(2023, 2, 1) + datetime.timedelta(days=int(rng.integers(0, 1000)))
    inputs = tuple(
        f"{name}:{values[int(rng.random() < 0.25) % len(values)]}"
        for name, values in track.inputs.items()
    )
    training = [(track.dataset,), (f"{track.dataset}", "freihand"), ("arctic",), ()][k % 4]
    bad = HOSTILE if hostile else ""
    return Meta(
        method=(title + bad)[:80],
        date=day.isoformat(),
        predictions=PredictionsFile(sha256="0" * 64, size=1000, url="https://example.org/p.parquet"),
        licence="CC-BY-4.0" + bad,
        description=f"A method that a test made up.{bad}\nIt says nothing about any real one.",
        authors=((_PEOPLE[k % 4] + bad)[:100],),
        paper=Paper(f"{title}: a paper that is not there{bad}", "https://example.org/paper",
                    "@inproceedings{x, title={Nothing" + bad + "}}") if k % 3 != 2 else None,
        code="https://example.org/code" if k % 2 else "",
        training=training,
        inputs=inputs,
        backbone=_BACKBONES[k % 5] + bad,
        parameters=int(rng.integers(2, 700)) * 1_000_000,
        hardware="1 GPU, 2 days" + bad,
        external_data=(("pictures of hands" + bad),) if k % 5 == 0 else (),
        kind="baseline" if k % 7 == 6 else "method",
        weights=("example-small",) if k % 7 == 6 else (),
    )  # fmt: skip


def write_submission(root: Path, track: Track, name: str, method: Scored, meta: Meta) -> Path:
    """Write one folder as the scorer leaves it."""
    folder = root / track.name / name
    folder.mkdir(parents=True)
    digest = files.sha256(method.predictions)
    size = method.predictions.stat().st_size
    url = meta.predictions.url
    replace(meta, predictions=PredictionsFile(digest, size, url=url)).write(
        folder / "submission.yaml"
    )
    stored = replace(
        method.result,
        predictions=method.result.predictions
        | {"path": None, "sha256": digest, "inputs": list(meta.inputs), "method": meta.method},
    )
    stored.save(folder / "result.json")
    write_sums(folder / "sums.parquet", method.sums, track)
    if method.errors is not None and track.truth == "public":
        (folder / "errors.parquet").write_bytes(method.errors.read_bytes())
    if method.samples is not None:
        (folder / "samples.json").write_bytes(method.samples.read_bytes())
    return folder


def of_track(folder: Path, name: str, **options) -> SmallTrack | SmallClips:
    """Write a small table of any track, with enough sequences for intervals."""
    from hand_bench.tracks import find_track

    track = find_track(name)
    if track.kind == "action":
        return small_tracks.clip_track(folder, name, clips=90, sequences=24)
    if track.kind == "pose-2d":
        return small_tracks.planar_track(folder, sequences=24, frames=3)
    make = small_tracks.world_track if track.frame == "world" else small_tracks.camera_track
    return make(folder, name, sequences=24, frames=3)
