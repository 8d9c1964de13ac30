"""What `rescore` says: a line for each submission, a summary, and the table for the changelog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hand_bench import files
from hand_bench.errors import HandBenchError, Problem
from hand_bench.tracks import find_track
from hand_leaderboard.submissions import changes
from hand_leaderboard.submissions.fetching import Network
from hand_leaderboard.submissions.folder import RESULT, WITHDRAWN, folders
from hand_leaderboard.submissions.rescoring import (
    BROKEN,
    CHANGED,
    LACKING,
    SAME,
    SCORED,
    Job,
    Outcome,
    Progress,
    Report,
    rescore,
)


def rescore_all(
    root: Path,
    *,
    say: Report,
    tracks: Sequence[str] | None = None,
    only_missing: bool = False,
    workers: int = 1,
    annotations: str | None = None,
    mirror: str = "",
    dry_run: bool = False,
    again: bool = False,
    network: Network | None = None,
) -> tuple[list[Outcome], list[Problem]]:
    """Score folders again; return what became of each, and what lies where no folder should."""
    wanted = [find_track(name).name for name in tracks or ()]
    strays: list[Problem] = []
    paths = [p for p in folders(root, strays) if not wanted or p.parent.name in wanted]
    paths = [p for p in paths if not (p / WITHDRAWN).exists()]
    if only_missing:
        paths = [p for p in paths if not (p / RESULT).exists()]
    options = {"annotations": annotations, "mirror": mirror, "dry_run": dry_run}
    # Of several processes each scores with one thread; the result does not depend on it.
    threads = 1 if workers > 1 else None
    jobs = [Job(str(p), threads=threads, **options) for p in paths]  # type: ignore[arg-type]
    progress = Progress(root, options | {"tracks": wanted, "only_missing": only_missing})
    if again:
        progress.forget()
    return rescore(jobs, progress, say, workers=workers, network=network), strays


def line(outcome: Outcome) -> str:
    """Return one line: slug, what became of it, its primary, and the largest change."""
    if outcome.after is None:
        return f"{outcome.slug}: {outcome.status}"
    from hand_bench.results import Result

    try:
        score = Result.from_json(outcome.after).primary
        said = f"{outcome.slug}: {outcome.status}, {score.metric} {score.subset} {score.text()}"
    except HandBenchError:
        said = f"{outcome.slug}: {outcome.status}"
    found = outcome.changes
    if found:
        said += f"; {len(found)} numbers changed, most {found[0].text()}"
    return said


def summary(outcomes: Sequence[Outcome], strays: Sequence[Problem]) -> str:
    """Return how many submissions became what."""
    counts = Counter(outcome.status for outcome in outcomes)
    parts = [
        f"{counts[kind]} {kind}"
        for kind in (SCORED, SAME, CHANGED, LACKING, BROKEN)
        if counts[kind]
    ]
    silent = sum(outcome.silent for outcome in outcomes)
    parts += [f"{silent} moved without a reason"] if silent else []
    parts += [f"{len(strays)} strange files"] if strays else []
    return f"{len(outcomes)} submissions: {', '.join(parts) or 'nothing to do'}"


def complaints(outcomes: Sequence[Outcome], strays: Sequence[Problem]) -> list[str]:
    """Return everything that somebody has to look at, each with its place."""
    found = [str(problem) for problem in strays]
    for outcome in outcomes:
        if outcome.after is None:
            found.append(f"{outcome.status}: {outcome.slug}\n{outcome.problem}")
        elif outcome.silent:
            moved = "; ".join(change.text() for change in outcome.changes[:5])
            found.append(
                f"{outcome.slug}: {len(outcome.changes)} numbers moved though predictions, "
                f"annotations and metric versions are the same: {moved}"
            )
    return found


def write_table(outcomes: Sequence[Outcome], path: Path) -> bool:
    """Write the before/after table where a metric has a new version; say whether it was."""
    rows = [(o.slug, *o.results) for o in outcomes if o.results is not None and o.bump]
    if not rows:
        return False
    with files.replacing(path) as temporary:
        temporary.write_text(changes.table(rows), "utf-8")
    return True


def to_json(outcomes: Sequence[Outcome], strays: Sequence[Problem]) -> dict[str, Any]:
    """Return plain values: what became of each submission, and what changed."""
    return {
        "submissions": [
            {
                "slug": outcome.slug,
                "status": outcome.status,
                "silent": outcome.silent,
                "problem": outcome.problem,
                "changes": [_change(c) for c in outcome.changes],
            }
            for outcome in outcomes
        ],
        "strays": [str(problem) for problem in strays],
    }


def _change(change: changes.Change) -> dict[str, Any]:
    before, after = (None if s is None else s.value for s in (change.before, change.after))
    names = {"metric": change.metric, "subset": change.subset, "protocol": change.protocol}
    return names | {"before": before, "after": after, "versions": list(change.versions)}
