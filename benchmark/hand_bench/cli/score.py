"""Commands that look at predictions: evaluate, compare, diagnose, validate, show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from hand_bench.cli import console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hand_bench.comparison import Difference
    from hand_bench.results import Result, Score

Output = Annotated[Path, Parameter(name=["--output", "-o"])]


@Parameter(name="*")
@dataclass(frozen=True)
class Reading:
    """How a file is read, where it does not say so itself.

    Parameters
    ----------
    annotations
        Annotations file instead of the prepared one.
    units
        mm, cm or m.
    joint_set
        openpose21, interhand21, mano21, ...
    frame
        camera, world or root-relative.
    """

    annotations: Path | None = None
    units: str | None = None
    joint_set: str | None = None
    frame: str | None = None

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the library's functions."""
        return dict(vars(self))


def evaluate(
    preds: Path,
    /,
    *,
    track: str,
    protocol: str = "all",
    reading: Reading | None = None,
    sequences: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    limit: int | None = None,
    allow_missing: bool = False,
    json: bool = False,
    output: Output | None = None,
    errors: Path | None = None,
    workers: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    engine: Literal["auto", "numpy", "numba"] = "auto",
) -> None:
    """Score a predictions file on a track.

    Parameters
    ----------
    preds
        Predictions (Parquet).
    track
        Name of the track: `hand-bench tracks ls`.
    protocol
        One protocol, or all.
    sequences
        Only these sequences (names or patterns); the result is marked partial.
    limit
        Only the first samples; the result is marked partial.
    allow_missing
        Score what is there when samples are missing; the result is marked partial.
    json
        Print one JSON object.
    output
        Also write the result as JSON to this file.
    errors
        Also write the errors of every sample to this Parquet file.
    workers
        Threads that compute; the result does not depend on it.
    resamples
        Of the clustered bootstrap.
    seed
        Of the clustered bootstrap.
    engine
        numpy, numba, or auto (numba for large files).
    """
    from hand_bench.evaluator import evaluate as score
    from hand_bench.files import require_writable

    require_writable(output, errors)
    with console.progress_bar() as progress:
        result = score(
            preds,
            track=track,
            protocol=protocol,
            sequences=sequences or (),
            limit=limit,
            allow_missing=allow_missing,
            errors=errors,
            workers=workers,
            resamples=resamples,
            seed=seed,
            engine=engine,
            progress=progress,
            **(reading or Reading()).options(),
        )
    if output is not None:
        result.save(output)
    if json:
        console.write_json(result.to_json())
    else:
        print_result(result)
        _say_written(output, errors)


def print_result(result: Result) -> None:
    """Print a result as one table per protocol, subsets as columns, and what belongs beside it."""
    track, coverage = result.track, result.coverage
    screen = console.out()
    screen.print(
        f"[bold]{track['name']}[/] v{track['version']}, {coverage['found']:,} of "
        f"{coverage['expected']:,} samples, annotations {result.annotations['release']}"
    )
    if result.partial:
        screen.print(f"[bold yellow]PARTIAL[/]: {result.partial}; not comparable with full scores")
    for protocol in dict.fromkeys(s.protocol for s in result.scores):
        screen.print(_protocol_table(result, protocol))
    primary = (
        result.primary if any(s.protocol == track["primary"]["protocol"] for s in result) else None
    )
    if primary is not None and primary.value is not None:
        screen.print(
            f"ranked by {primary.metric} {primary.subset}: [bold]{primary.text()}[/]"
            + (f" (95 % interval {primary.interval_text()})" if primary.ci95 else "")
        )
    _say_standing(result)
    said = units_text(result.scores)
    screen.print(f"intervals: {result.intervals}; {said}", style="dim")
    for text in result.notes:
        console.note(f"note: {text}")


def units_text(scores: Iterable[Score | Difference]) -> str:
    """Say the units of scores: distances, and shares; the frame of pixels if it is not the image.

    A unit that only one metric has stands beside its name (`_label`).
    """
    units = {score.unit for score in scores}
    said = []
    if "mm" in units:
        said.append("distances in mm")
    if "px" in units:
        parts = [
            p for s in scores if s.unit == "px" for p in getattr(s, "signature", "").split("|")
        ]
        frame = next((p.split(":")[1].split("+")[0] for p in parts if p.startswith("frame:")), "")
        said.append("distances in px" + (f" of the {frame} frame" if frame else ""))
    if units & {"", "%"}:
        said.append("shares in percent")
    return ", ".join(said)


def _label(metric: str, unit: str) -> str:
    """Name a metric with its unit, where that is not said below the table."""
    return metric if unit in ("", "%", "mm", "px") else f"{metric} ({unit})"


def _say_standing(result: Result) -> None:
    """Say where scores would stand among reported ones; nothing for a partial result."""
    from hand_bench.reported import standing
    from hand_bench.tracks import find_track

    name = result.track["name"]
    simple = {s.name for s in find_track(name).subsets if len(s.where) < 2}
    for score in () if result.partial else result.scores:
        text = standing(score, name) if score.subset in simple else None
        if text:
            label = f"{score.metric} {score.subset} ({score.protocol})"
            console.out().print(f"reported, {label}: {text}", style="dim")


def _protocol_table(result: Result, protocol: str):
    """Make a table of metrics by subsets; subsets of subsets (H-SH) are in JSON and report."""
    from hand_bench.tracks import find_track

    simple = {s.name for s in find_track(result.track["name"]).subsets if len(s.where) < 2}
    chosen = [s for s in result.scores if s.protocol == protocol and s.subset in simple]
    # A subset without a sample has no column; one whose numbers are refused for a reason has.
    empty = {s.subset for s in chosen} - {s.subset for s in chosen if s.note != "no sample"}
    names = dict.fromkeys(s.subset for s in chosen)
    subsets = [name for name in names if name not in empty] or list(names)
    table = console.table(f"\n{protocol}", "metric", *subsets, right=tuple(subsets))
    for metric in dict.fromkeys(s.metric for s in chosen):
        row = {s.subset: s for s in chosen if s.metric == metric}
        table.add_row(
            _label(metric, next(iter(row.values())).unit),
            *(_cell(row.get(name)) for name in subsets),
        )
    return table


def _cell(score: Any) -> str:
    if score is None:
        return ""
    spread = ""
    if score.ci95 is not None and score.value is not None:
        from hand_bench.results import format_value

        half = (score.ci95[1] - score.ci95[0]) / 2
        spread = f" [dim]±{format_value(half, score.unit)}[/]"
    return score.text() + spread


def _say_written(*paths: Path | None) -> None:
    for path in paths:
        if path is not None:
            console.note(f"wrote {path}")


def validate(
    preds: Path,
    /,
    *,
    track: str,
    reading: Reading | None = None,
    ids: Path | None = None,
    json: bool = False,
) -> None:
    """Check the form of a predictions file: columns, ids, values. Needs no ground truth.

    Parameters
    ----------
    preds
        Predictions (Parquet).
    track
        Name of the track.
    ids
        Template to take the ids from, where the dataset is not prepared.
    json
        Print one JSON object.
    """
    from hand_bench.validation import validate as check

    result = check(preds, track=track, ids=ids, **(reading or Reading()).options())
    if json:
        console.write_json(result.to_json())
        return
    length = result.median_hand_length
    measured = f", median hand length {length:.0f}" if length == length else ""
    noun = "answered" if result.layout == "clips" else "hands"
    console.write(
        f"{preds.name}: fits track {result.track}: {result.rows:,} rows ({result.layout}), "
        f"{result.hands:,} {noun}{measured}"
    )
    for text in result.notes:
        console.note(f"note: {text}")


#: By kind of track, what a diagnosis measures: name as printed, field of a finding, unit.
_DIAGNOSED = {
    "pose": (("MPJPE", "mpjpe", "mm"), ("MEPE", "mepe", "mm")),
    "pose-2d": (("L2 error 2D", "l2", "px"),),
    "action": (("accuracy", "accuracy", ""),),
}


def diagnose(
    preds: Path,
    /,
    *,
    track: str,
    reading: Reading | None = None,
    fix: Path | None = None,
    json: bool = False,
) -> None:
    """Find what is wrong with a file that scores badly: the score before and after each fix.

    Parameters
    ----------
    preds
        Predictions (Parquet).
    track
        Name of the track.
    fix
        Write a corrected file: units, joint order, sides, axes, frames, numbers of classes only.
    json
        Print one JSON object.
    """
    from hand_bench.diagnosis import diagnose as find
    from hand_bench.results import format_value
    from hand_bench.tracks import find_track

    with console.progress_bar() as progress:
        result = find(
            preds, track=track, fix=fix, progress=progress, **(reading or Reading()).options()
        )
    if json:
        console.write_json(result.to_json())
        return
    metrics = _DIAGNOSED[find_track(track).kind]
    columns = tuple(f"{name} {when}" for name, _, _ in metrics for when in ("before", "after"))
    table = console.table("", "group", "hypothesis", *columns, "likely", right=columns)
    for f in result.findings:
        numbers = (
            (getattr(f, f"{field}_{when}"), unit)
            for _, field, unit in metrics
            for when in ("before", "after")
        )
        cells = ("" if v is None or v != v else format_value(v, unit) for v, unit in numbers)
        style = "bold" if f.likely else "dim"
        table.add_row(f.group, f.text, *cells, "yes" if f.likely else "", style=style)
    console.out().print(table)
    console.write(result.summary)
    _say_written(fix)


def compare(
    a: Path,
    b: Path,
    /,
    *,
    track: str,
    annotations: Path | None = None,
    units: str | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    workers: int | None = None,
    json: bool = False,
) -> None:
    """Compare two methods on the samples both answer: paired differences, clustered intervals.

    Parameters
    ----------
    a
        Predictions or errors file of method A.
    b
        Predictions or errors file of method B.
    track
        Name of the track.
    annotations
        Annotations file instead of the prepared one.
    units
        mm, cm or m, where the files do not say so.
    resamples
        Of the bootstrap and of the randomisation test.
    seed
        Of both.
    workers
        Threads that compute.
    json
        Print one JSON object.
    """
    from hand_bench.comparison import compare as difference
    from hand_bench.results import format_value

    result = difference(
        a,
        b,
        track=track,
        annotations=annotations,
        units=units,
        resamples=resamples,
        seed=seed,
        workers=workers,
    )
    if json:
        console.write_json(result.to_json())
        return
    numbers = ("A", "B", "B - A", "95 % interval", "p", "n")
    table = console.table(
        f"A = {result.a}, B = {result.b}: {result.samples:,} common samples",
        "metric",
        "subset",
        *numbers,
        "better",
        right=numbers,
    )
    for d in result.differences:
        interval = " to ".join(format_value(v, d.unit) for v in d.ci95) if d.ci95 else ""
        table.add_row(
            _label(d.metric, d.unit),
            d.subset,
            format_value(d.a, d.unit),
            format_value(d.b, d.unit),
            format_value(d.difference, d.unit),
            interval,
            "" if d.p is None else f"{d.p:.4f}",
            f"{d.n:,}",
            d.better,
        )
    console.out().print(table)
    console.out().print(f"{result.intervals}; {units_text(result.differences)}", style="dim")
    if result.only_a or result.only_b:
        console.note(f"note: {result.only_a:,} samples only in A, {result.only_b:,} only in B")


def show(
    preds: Path, /, *, track: str, sample: str, output: Output, reading: Reading | None = None
) -> None:
    """Draw truth and prediction of one sample over its image (of one view), and in 3D.

    Parameters
    ----------
    preds
        Predictions (Parquet).
    track
        Name of the track.
    sample
        Id of the sample.
    output
        Picture to write (png, svg or pdf).
    """
    from hand_bench.show import show as draw

    draw(preds, track=track, sample=sample, out=output, **(reading or Reading()).options())
    console.write(str(output))
