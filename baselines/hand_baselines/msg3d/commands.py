"""The command `hand-bench verbs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hand_bench.cli import console

if TYPE_CHECKING:
    from hand_baselines.msg3d.evaluation import VerbReport


def verbs(
    *,
    poses: Path,
    track: str = "assemblyhands-verbs",
    classifier: tuple[str, ...] = ("msg3d-small",),
    annotations: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: bool = False,
) -> None:
    """Score hand poses by the verbs that a classifier finds in them (AssemblyHands, Table 5).

    Parameters
    ----------
    poses
        Predictions of a pose track of the same data.
    track
        Whose clips are named.
    classifier
        Weights of MS-G3D by folder or name; again for more. Those that were trained on the true
        poses give the protocol "truth-classifier" and the upper bound, those that were trained on a
        method's poses (`hand-bench baselines train msg3d --poses`) "own-classifier".
    annotations
        Prepared clips; default: the track's.
    output
        Picture of the confusion matrices to write: .png, .svg or .pdf.
    json
        One JSON object instead of a table.
    """
    from hand_baselines.msg3d.evaluation import confusion_picture, evaluate_poses
    from hand_baselines.weights import load_weights
    from hand_bench import drawing

    loaded = [load_weights(name) for name in classifier]
    report = evaluate_poses(poses, track, loaded, annotations=annotations)
    if output is not None:
        drawing.save(confusion_picture(report), output)
    if json:
        console.write_json(report.to_json())
        return
    _show(report)
    if output is not None:
        console.write(str(output))


def _show(report: VerbReport) -> None:
    """Print a table: verbs and averages in rows, the upper bound and the classifiers in columns."""
    columns = report.columns
    names = [f"{own.poses}\n{own.protocol}\n{own.classifier}" for own in columns]
    table = console.table("accuracy, %", "verb", "segments", *names, right=("segments", *names))
    for verb, first in columns[0].verbs.items():
        table.add_row(verb, str(first.n), *(own.verbs[verb].text() for own in columns))
    for average, first in columns[0].averages.items():
        cells = (own.averages[average] for own in columns)
        table.add_row(average, str(first.n), *(f"{s.text()} [{s.interval_text()}]" for s in cells))
    for average in columns[0].averages:
        shares = [report.relative(own)[average] for own in columns]
        table.add_row(
            f"relative, {average}", "", *("n/a" if s is None else f"{100 * s:.1f}" for s in shares)
        )
    console.out().print(table)
