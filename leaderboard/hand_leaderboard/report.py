"""One file of predictions as one HTML page: scores, curves, joints, strata and the worst samples.

Pages of action tracks have a confusion matrix instead (`clip_sections`); those of poses are made
of `pose_sections`.

The page stands alone: style, plots and pictures are inside it, and it asks for nothing else. It
follows the reader's light or dark mode and prints on white.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts

from hand_bench import drawing, files
from hand_bench.annotations import Annotations
from hand_bench.cli.score import Reading, units_text
from hand_bench.data import open_annotations, quiet
from hand_bench.errors import HandBenchError, Problem
from hand_bench.evaluator import evaluate
from hand_bench.predictions import open_predictions
from hand_bench.results import Result, Score
from hand_bench.samples import read_samples
from hand_bench.selection import select
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track, find_track
from hand_leaderboard import clip_sections, pose_sections
from hand_leaderboard.hand_errors import HandErrors
from hand_leaderboard.page_figures import card

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["HandErrors", "report", "report_command"]


def report(
    preds: Any,
    *,
    track: str | Track,
    out: str | Path,
    annotations: str | Path | Annotations | None = None,
    units: str | None = None,
    joint_set: str | None = None,
    frame: str | None = None,
    sequences: Sequence[str] = (),
    limit: int | None = None,
    allow_missing: bool = False,
    workers: int | None = None,
    progress: Callable[[str, int, int], None] = quiet,
) -> Result:
    """Score predictions and write the HTML page; return the scores.

    Parameters
    ----------
    preds, track, annotations, units, joint_set, frame, sequences, limit, allow_missing
        As in `hand_bench.evaluate`.
    out
        The page; it appears only when it is complete.
    workers
        Threads that score.
    progress
        Called with (what, done, total).

    Raises
    ------
    HandBenchError
        HB401 where matplotlib or jinja2 is not installed, HB402 where `out` cannot be written, and
        what `hand_bench.evaluate` raises.
    """
    template = _template()
    drawing.new_figure(1, 1)  # says what is not installed before minutes are spent on scoring
    track = find_track(track)
    if not isinstance(annotations, Annotations):
        annotations = open_annotations(track, annotations)
    source = open_predictions(preds, track.kind)
    options = {"sequences": sequences, "limit": limit, "allow_missing": allow_missing}
    scoring = {"units": units, "joint_set": joint_set, "frame": frame, "workers": workers}
    make = _clip_page if track.kind == "action" else _pose_page
    result, own = make(source, track, annotations, options, scoring, progress)
    tables = [_score_table(result, p.name, p.source) for p in track.protocols]
    page = template.render(
        track=track,
        result=result,
        name=Path(result.predictions["path"] or "predictions").name,
        units=units_text(result.scores),
        tables=sorted(tables, key=lambda table: table["name"] != track.primary.protocol),
        subsets=_subset_rows(result, track),
        **own,
    )
    with files.replacing(out) as temporary:
        temporary.write_text(page, "utf-8")
    return result


def _pose_page(
    source: PredictionSource,
    track: Track,
    annotations: Annotations,
    options: dict[str, Any],
    scoring: dict[str, Any],
    progress: Callable[[str, int, int], None],
) -> tuple[Result, dict[str, Any]]:
    """Score poses, and draw what their page shows."""
    with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
        path = Path(folder) / "errors.parquet"
        result = evaluate(source, track=track, annotations=annotations, errors=path,
                          progress=progress, **options, **scoring)  # fmt: skip
        hands = HandErrors.read(path, track)
        own = pose_sections.sections(result, track, hands, path)
    chosen = hands.worst_samples(pose_sections.WORST, pose_sections.PER_CLUSTER)
    worst = read_samples(source, annotations, track, chosen)
    cards = []
    for k, sample in enumerate(worst):
        cards.append(card(sample, k))
        progress("drawing", k + 1, len(worst))
    if not any(shown["picture"] for shown in cards):
        own["words"]["cards"] = own["words"]["cards_3d"]
    return result, own | {"worst": cards}


def _clip_page(
    source: PredictionSource,
    track: Track,
    annotations: Annotations,
    options: dict[str, Any],
    scoring: dict[str, Any],
    progress: Callable[[str, int, int], None],
) -> tuple[Result, dict[str, Any]]:
    """Score clips, and draw what their page shows."""
    from hand_bench.clip_answers import clip_errors

    result = evaluate(
        source, track=track, annotations=annotations, progress=progress, **options, **scoring
    )
    selection, _ = select(annotations, options["sequences"], options["limit"])
    clips = clip_errors(
        source, track, annotations, selection, allow_missing=options["allow_missing"]
    )
    return result, clip_sections.sections(result, clips)


def report_command(
    preds: Path,
    /,
    *,
    track: str,
    output: Annotated[Path, cyclopts.Parameter(name=["--output", "-o"])] = Path("report.html"),
    reading: Reading | None = None,
    workers: int | None = None,
) -> None:
    """Write an HTML page about a predictions file: scores, curves, joints, worst samples.

    Parameters
    ----------
    preds
        Predictions (Parquet).
    track
        Name of the track.
    output
        The page to write; one file that needs nothing else.
    workers
        Threads that score.
    """
    from hand_bench.cli.console import progress_bar, write

    with progress_bar() as progress:
        options = (reading or Reading()).options()
        report(preds, track=track, out=output, workers=workers, progress=progress, **options)
    write(str(output))


def _template() -> Template:
    try:
        import jinja2
    except ImportError as error:
        raise HandBenchError(
            Problem("HB401", "report", "jinja2 is not installed.",
                    fix="pip install 'hand-bench[leaderboard]'")
        ) from error  # fmt: skip
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _score_table(result: Result, protocol: str, source: str) -> dict[str, Any]:
    """One protocol's scores as a table: a row for each metric, a column for each subset."""
    scores = [s for s in result.scores if s.protocol == protocol]
    subsets = list(dict.fromkeys(s.subset for s in scores))
    subsets.sort(key=lambda name: name != "all")
    rows: dict[str, dict[str, Score]] = {}
    for score in scores:
        rows.setdefault(score.metric, {})[score.subset] = score
    return {"name": protocol, "source": source, "subsets": subsets, "rows": rows, "scores": scores}


def _subset_rows(result: Result, track: Track) -> dict[str, Any]:
    """Return the recommended scores that every subset has, with what each subset means."""
    scores = [s for s in result.scores if s.protocol == "recommended"]
    by_subset: dict[str, dict[str, Score]] = {}
    for score in scores:
        by_subset.setdefault(score.subset, {})[score.metric] = score
    by_subset = dict(sorted(by_subset.items(), key=lambda item: item[0] != "all"))
    meanings = {s.name: s.meaning for s in track.subsets}
    shown = [m for m in dict.fromkeys(s.metric for s in scores)
             if all(m in row for row in by_subset.values())]  # fmt: skip
    rows = [
        {"name": name, "meaning": meanings.get(name, ""), "scores": [row[m] for m in shown]}
        for name, row in by_subset.items()
        if any(row[m].value is not None for m in shown)
    ]
    for k in range(len(shown)):
        highest = max((row["scores"][k].value or 0.0 for row in rows), default=0.0) or 1.0
        for row in rows:
            row.setdefault("bars", []).append(100 * (row["scores"][k].value or 0.0) / highest)
    return {"metrics": shown, "rows": rows}
