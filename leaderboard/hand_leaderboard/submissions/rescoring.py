"""Scoring everything again: each submission for itself, in any number of processes, resumable.

One broken submission never stops the others: each ends in an `Outcome`, also where its process
died. What was done is written down under the data folder after each one, so that an interrupted
run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import hand_bench
from hand_bench import files
from hand_bench.errors import HandBenchError, Problem
from hand_bench.results import Result
from hand_bench.tracks import find_track
from hand_leaderboard.submissions import fetching, placing, scoring, truth
from hand_leaderboard.submissions.changes import Change, changes, is_bump, is_silent
from hand_leaderboard.submissions.folder import SCORED as STORED
from hand_leaderboard.submissions.folder import Submission, read_submission
from hand_leaderboard.submissions.meta import PREDICTIONS

SCORED, SAME, CHANGED, BROKEN = "scored", "same", "changed", "broken"
#: Nobody named annotations, and none are prepared on this machine.
LACKING = "without annotations here"


@dataclass(frozen=True)
class Job:
    """What is scored again, and how; plain values, so that another process can take it.

    `mirror` is a Hub dataset in which predictions were mirrored; `dry_run` writes nothing.
    """

    path: str
    annotations: str | None = None
    mirror: str = ""
    threads: int | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one submission; `before` and `after` are results as plain data."""

    slug: str
    status: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    problem: str = ""

    @property
    def results(self) -> tuple[Result, Result] | None:
        """The result before and after, None where there are not both."""
        if self.before is None or self.after is None:
            return None
        return Result.from_json(self.before), Result.from_json(self.after)

    @property
    def changes(self) -> list[Change]:
        """What is different now."""
        return changes(*self.results) if self.results else []

    @property
    def silent(self) -> bool:
        """Whether numbers moved without a reason that is stored: a defect of the scorer."""
        return self.results is not None and is_silent(*self.results, self.changes)

    @property
    def bump(self) -> bool:
        """Whether a metric has a new version."""
        return is_bump(self.changes)

    @property
    def well(self) -> bool:
        """Whether nobody has to look at it."""
        return self.status != BROKEN and not self.silent


_NO_TRUTH = ("HB201", "HB209")


def rescore_one(job: Job, network: fetching.Network | None = None) -> Outcome:
    """Score one submission again; what goes wrong is in the outcome, never raised."""
    path = Path(job.path)
    slug = f"{path.parent.name}/{path.name}"
    try:
        submission = read_submission(path)
        before = submission.result
        with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
            annotations = truth.open_truth(submission.track, job.annotations)
            preds = predictions_of(submission, mirror=job.mirror, network=network)
            after = scoring.score(
                preds, submission.track, submission.meta, Path(folder),
                annotations=annotations,
                workers=job.threads,
            )  # fmt: skip
            found = changes(before, after) if before is not None else []
            if not job.dry_run and (before is None or not _same_files(submission, Path(folder))):
                placing.rewrite(submission, Path(folder))
    except HandBenchError as error:
        lacking = job.annotations is None and all(p.code in _NO_TRUTH for p in error.problems)
        return Outcome(slug, LACKING if lacking else BROKEN, problem=str(error))
    except Exception as error:
        return Outcome(slug, BROKEN, problem=f"{slug}: {type(error).__name__}: {error}")
    status = SCORED if before is None else CHANGED if found else SAME
    return Outcome(slug, status, before.to_json() if before else None, after.to_json())


def _same_files(submission: Submission, folder: Path) -> bool:
    """Whether the stored files hold what was just made (tables may be packed in another way)."""
    return all(_same_file(submission.path / name, folder / name) for name in STORED)


def _same_file(old: Path, new: Path) -> bool:
    if not (old.exists() and new.exists()):
        return old.exists() == new.exists()
    if old.suffix != ".parquet":
        return old.read_bytes() == new.read_bytes()
    try:
        return tables_alike(pq.read_table(old), pq.read_table(new))
    except (pa.ArrowException, OSError, ValueError):
        return False


def tables_alike(a: pa.Table, b: pa.Table) -> bool:
    """Whether two tables say the same: numbers to what processors differ by, the rest exactly."""
    if not a.schema.equals(b.schema, check_metadata=True) or len(a) != len(b):
        return False
    return all(_columns_alike(x, y) for x, y in zip(a.columns, b.columns, strict=True))


def _columns_alike(a: pa.ChunkedArray, b: pa.ChunkedArray) -> bool:
    a, b = a.combine_chunks(), b.combine_chunks()
    if not a.is_valid().equals(b.is_valid()):
        return False
    if pa.types.is_list(a.type) or pa.types.is_fixed_size_list(a.type):
        a, b = a.flatten(), b.flatten()
    if not pa.types.is_floating(a.type) or len(a) != len(b):
        return a.equals(b)
    values = (one.to_numpy(zero_copy_only=False) for one in (a, b))
    return bool(np.allclose(*values, rtol=1e-5, atol=1e-4, equal_nan=True))


def predictions_of(
    submission: Submission, *, mirror: str = "", network: fetching.Network | None = None
) -> Path:
    """Return a submission's predictions: beside it or its weights, or fetched and checked."""
    wanted = submission.meta.predictions
    if not wanted.url and submission.predictions is not None:
        return submission.predictions
    mirrors = (mirror_address(mirror, submission),) if mirror else ()
    return fetching.fetch(wanted, network=network, mirrors=mirrors)


def mirror_place(submission: Submission) -> str:
    """Return where a submission's predictions are in the dataset of mirrored ones."""
    return f"{submission.slug}/{submission.meta.predictions.sha256}.parquet"


def mirror_address(repo: str, submission: Submission) -> str:
    """Return the URL of mirrored predictions."""
    return f"https://huggingface.co/datasets/{repo}/resolve/main/{mirror_place(submission)}"


class Progress:
    """What a run has done, kept in a file until the run is complete."""

    def __init__(self, root: Path, run: dict[str, Any]):
        key = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
        self.path = files.home() / "rescore" / f"{key}.jsonl"
        self.run = run | {"code": _code()}
        rows = list(_lines(self.path))
        if not rows or rows[0] != self.run:
            rows = []
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.run) + "\n", "utf-8")
        self.done = {row["outcome"]["slug"]: row for row in rows[1:]}

    def outcome(self, job: Job) -> Outcome | None:
        """Return what a folder became in this run before; None where it has changed since."""
        path = Path(job.path)
        row = self.done.get(f"{path.parent.name}/{path.name}")
        if row is None or row["state"] != _state(job):
            return None
        return Outcome(**row["outcome"])

    def add(self, job: Job, outcome: Outcome) -> None:
        """Write down what a folder became; what could not be scored is tried again."""
        if outcome.after is not None:
            row = {"state": _state(job), "outcome": asdict(outcome)}
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")

    def forget(self) -> None:
        """Begin again."""
        self.done = {}
        self.path.write_text(json.dumps(self.run) + "\n", "utf-8")

    def finish(self) -> None:
        """Forget the run: it is complete."""
        self.path.unlink(missing_ok=True)


def _lines(path: Path) -> Iterator[Any]:
    """Read a file of JSON lines; a line that was cut off ends it."""
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def _code() -> str:
    """Hash of everything that scores: a run does not go on with other code."""
    digest = hashlib.sha256()
    for package in (Path(hand_bench.__file__).parent, Path(__file__).parent):
        for file in sorted(package.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _state(job: Job) -> str:
    """Hash of what decides a folder's scores, and of its scores."""
    path, digest = Path(job.path), hashlib.sha256()
    try:
        against = truth.open_truth(find_track(path.parent.name), job.annotations).path.stat()
        digest.update(f"{against.st_size} {against.st_mtime_ns}".encode())
    except HandBenchError:
        digest.update(b"none")
    for name in ("submission.yaml", "result.json", PREDICTIONS):
        file = path / name
        digest.update(file.read_bytes() if file.is_file() else b"\0")
    return digest.hexdigest()


def run(
    jobs: Sequence[Job], *, workers: int = 1, network: fetching.Network | None = None
) -> Iterator[tuple[Job, Outcome]]:
    """Score jobs in so many processes (1: in this one), and give each outcome as it is there."""
    if workers <= 1:
        yield from ((job, rescore_one(job, network)) for job in jobs)
        return
    left = list(jobs)
    together = True
    while left:
        # After a process died the rest runs one by one, so that it is known which one it was.
        some = left if together else left[:1]
        died = False
        for job, outcome in _in_pool(some, workers if together else 1):
            if outcome is None:
                died = True
                continue
            left.remove(job)
            yield job, outcome
        if died and not together:
            job = left.pop(0)
            path = Path(job.path)
            slug = f"{path.parent.name}/{path.name}"
            what = "its process died: too little memory, or a file that breaks a library."
            yield job, Outcome(slug, BROKEN, problem=str(Problem("HB102", slug, what)))
        together = together and not died


def _in_pool(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Outcome | None]]:
    """Give each job's outcome, None where its process or the pool died."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: dict[Future[Outcome], Job] = {pool.submit(rescore_one, job): job for job in jobs}
        for future in as_completed(waiting):
            try:
                yield waiting[future], future.result()
            except BrokenProcessPool:
                yield waiting[future], None


Report = Callable[[Outcome, bool], None]


def rescore(
    jobs: Sequence[Job], progress: Progress, report: Report, *, workers: int = 1,
    network: fetching.Network | None = None,
) -> list[Outcome]:  # fmt: skip
    """Score what this run has not scored yet; `report` gets each outcome, and if it is old."""
    outcomes = []
    fresh = []
    for job in jobs:
        before = progress.outcome(job)
        if before is None:
            fresh.append(job)
        else:
            report(before, True)
            outcomes.append(before)
    for job, outcome in run(fresh, workers=workers, network=network):
        progress.add(job, outcome)
        report(outcome, False)
        outcomes.append(outcome)
    if all(outcome.after is not None for outcome in outcomes):
        progress.finish()
    return sorted(outcomes, key=lambda outcome: outcome.slug)
