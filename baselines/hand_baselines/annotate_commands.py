"""The command `hand-bench annotate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from hand_bench.cli import console

Output = Annotated[Path, Parameter(name=["--output", "-o"])]

app = App(
    name="annotate",
    help="Label hands in 3D from calibrated views, and measure how well.",
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)


@app.default
def annotate(
    *views: str,
    rig: Path,
    output: Output = Path("annotations.parquet"),
    weights: str | None = None,
    start: str | None = None,
    points: Path | None = None,
    boxes: Path | None = None,
    sequence: str = "recording",
    missing: bool = False,
    rounds: int | None = None,
    triangulation: Literal["ransac", "algebraic"] | None = None,
    batch: int = 32,
    workers: int = 0,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Write 3D annotations of synchronised views, in the world of their calibration.

    Parameters
    ----------
    views
        A folder of pictures for each camera, named as the camera, or CAMERA=FOLDER; the last number
        in a picture's name is its frame. With a canonical table as calibration: the one folder that
        its pictures are relative to. With --points: none.
    rig
        Calibration: rig.json or calib.txt (benchmark/docs/bring-your-own.md), AssemblyHands' JSON,
        or a canonical table (views.parquet).
    output
        Annotations to write; `hand-bench data prepare` reads them back.
    weights
        Of a mvexonet or a keypoints2d, by folder or name.
    start
        Weights of the keypoints2d that a mvexonet starts from; reprojection is measured with it.
    points
        Table of 2D points of your own detector, in place of pictures and weights: camera, frame,
        hand_side, joints_2d, and perhaps confidence.
    boxes
        Table of boxes: camera, frame, hand_side, bbox. Default: whole pictures.
    sequence
        Name of the recording.
    missing
        Take instants that at least two views have; default: every view has to have all.
    rounds, triangulation, batch, workers, device
        As for `hand-bench baselines predict`.
    json
        What was found as JSON instead of lines.
    """
    from hand_bench import files
    from hand_bench.errors import BaselineError, Problem

    files.require_writable(output)
    if (points is None) == (weights is None):
        what, fix = "comes from weights or from 2D points.", "Give --weights or --points."
        raise BaselineError(Problem("HB302", "annotate", what, fix=fix))
    from hand_baselines import annotating

    if points is not None:
        found = annotating.annotate_points(points, rig, sequence=sequence)
    else:
        chosen: dict[str, Any] = {"start": start, "boxes": boxes, "sequence": sequence}
        chosen |= {"missing": missing, "rounds": rounds, "triangulation": triangulation}
        chosen |= {"batch": batch, "workers": workers, "device": device}
        found = annotating.annotate_pictures(views, rig, weights or "", **chosen)
    # Names, not places on this machine.
    about = {"weights": Path(weights or "").name, "start": Path(start or "").name}
    about |= {"rig": files.sha256(rig)}
    annotating.write_annotations(output, found, about)
    said = annotating.summary(found)
    if json:
        console.write_json(said)
        return
    for name, value in said.items():
        console.write(f"{name:32} {'not measured' if value is None else value}")
    console.write(str(output))


@app.command(name="curve")
def annotate_curve(
    weights: str,
    /,
    *,
    track: str,
    output: Annotated[tuple[Path, ...], Parameter(name=["--output", "-o"])] = (),
    draws: int = 100,
    triangulation: Literal["ransac", "algebraic"] = "ransac",
    limit: int | None = None,
    annotations: Path | None = None,
    images: Path | None = None,
    batch: int = 32,
    workers: int = 0,
    device: str | None = None,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Measure the error of 2D + Triangulation against the number of views.

    Parameters
    ----------
    weights
        Of a keypoints2d, by folder or name.
    track
        Track of several views whose truth is known.
    output
        Table (.csv, .json) or picture (.png, .svg, .pdf) to write; may be given again.
    draws
        Random choices of cameras for each number of views.
    triangulation
        From the views that agree, or from all by their confidence.
    limit
        At most so many instants, evenly taken.
    annotations, images
        Default: the prepared ones.
    batch, workers, device
        As for `hand-bench baselines predict`.
    seed
        Of the choices.
    json
        JSON instead of a table.
    """
    from dataclasses import asdict

    from hand_baselines import view_curve
    from hand_baselines.view_task import fits
    from hand_baselines.weights import load_weights
    from hand_bench import files
    from hand_bench.data import open_annotations
    from hand_bench.errors import BaselineError, Problem
    from hand_bench.tracks import find_track

    files.require_writable(*output)
    found = find_track(track)
    if not fits(found):
        raise BaselineError(Problem("HB302", track, "does not ask for hands of several views."))
    opened = open_annotations(found, annotations)
    fed: dict[str, Any] = {"batch": batch, "workers": workers, "device": device}
    seen = view_curve.look(load_weights(weights), opened, images, limit=limit, **fed)
    points = view_curve.curve(seen, draws=draws, method=triangulation, seed=seed)
    for path in output:
        view_curve.write(path, points)
    if json:
        console.write_json([asdict(point) for point in points])
        return
    numbers = ("views", "draws", "error, mm", "deviation, mm", "joints found")
    table = console.table("", *numbers, right=numbers)
    for p in points:
        cells = (f"{p.error:.2f}", f"{p.deviation:.2f}", f"{p.found:.1%}")
        table.add_row(str(p.views), str(p.draws), *cells)
    console.out().print(table)
