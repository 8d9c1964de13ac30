"""Prediction: weights and a track give a predictions file, in bounded memory, resumable.

The annotations are read in parts of `PART` samples; of each part only what a method may look at
(`samples.INPUTS`). A finished part is a file in ``OUT.parts``, which also says from which weights
and annotations it comes; a run that was killed goes on behind the last one. At the end the parts
become one file, and their folder is removed.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from hand_baselines.crop_task import CROPS
from hand_baselines.pictures import Pictures
from hand_baselines.root_depths import NetworkDepths, root_depths
from hand_baselines.rootnet.output_file import write_records
from hand_baselines.samples import INPUTS, picture_root
from hand_baselines.tasks import given_options
from hand_baselines.weights import Loaded, load_weights
from hand_bench import files
from hand_bench.annotations import Annotations
from hand_bench.data import open_annotations, quiet
from hand_bench.declaration import PIXELS, Declaration
from hand_bench.errors import BaselineError, Problem
from hand_bench.evaluator import evaluate
from hand_bench.predictions import clips_table, predictions_table, write_table, writer
from hand_bench.results import Result
from hand_bench.tracks import Track, find_track

Progress = Callable[[str, int, int], None]
LeftRoot = Literal["relative", "absolute"]
#: Samples of a part.
PART = 8192


def predict(
    loaded: Loaded,
    track: str | Track,
    out: str | Path,
    *,
    annotations: str | Path | Annotations | None = None,
    images: str | Path | None = None,
    batch: int = 32,
    workers: int = 1,
    device: str | None = None,
    part: int = PART,
    progress: Progress = quiet,
    **options: Any,
) -> int:
    """Write the predictions of a track; return how many samples it has.

    Parameters
    ----------
    loaded
        What predicts.
    track
        What is asked for.
    out
        File to write; it appears only when it is complete.
    annotations, images
        Prepared annotations and the folder of pictures; default: where they were prepared.
    batch, workers
        Samples at once, and processes that read pictures.
    device
        "cpu", "cuda", ...; default: the best one.
    part
        Samples of a part.
    progress
        Called with (what, done, total).
    options
        Those of the model's task, e.g. `crop_task.answers`.

    Raises
    ------
    BaselineError
        HB302 where the track asks for something else, or options do not fit.
    DatasetError
        HB201 where annotations are not prepared, HB202 where pictures are missing.
    """
    track, out, task = find_track(track), Path(out), loaded.model.task()
    task.require(track)
    options = given_options(loaded.model.name, options, task.options)
    files.require_writable(out)
    opened = annotations
    if not isinstance(opened, Annotations):
        opened = open_annotations(track, annotations)
    fed = {"device": device, "batch": batch, "workers": workers}
    answers = task.answers(loaded, opened, images, **options, **fed)
    folder = out.with_name(out.name + ".parts")
    origin = {"weights": loaded.sha256, "annotations": opened.sha256, "part": part}
    _open_parts(folder, origin | dict(answers.origin))
    paths, done = [], 0
    for number, rows in enumerate(opened.batches(task.read, part)):
        paths.append(folder / f"{number:06d}.parquet")
        if not paths[-1].is_file():
            columns = answers.columns(
                rows, lambda n, at=done: progress("predicting", at + n, opened.rows)
            )
            write_table(paths[-1], answers_table(track, rows.sample_id.to_pylist(), columns))
        done += len(rows)
        progress("predicting", done, opened.rows)
    _join(paths, out, declaration(track, answers.inputs, loaded.name))
    shutil.rmtree(folder)
    return done


def score(preds: Any, track: Track, **options: Any) -> Result:
    """Score predictions of baselines; `options` are those of `evaluate`.

    Poses are taken for millimetres however small hands are: untrained networks say strange sizes.
    """
    units = {"units": "mm"} if track.kind == "pose" else {}
    return evaluate(preds, track=track, **units, **options)


def answers_table(track: Track, ids: list[str], columns: Mapping[str, Any]) -> pa.Table:
    """Return the predictions of a track as their table: poses, or labels of clips."""
    if track.kind == "action":
        return clips_table(ids, **columns)
    return predictions_table(ids, **columns)


def declaration(track: Track, inputs: tuple[str, ...], method: str) -> Declaration:
    """Return what predictions of baselines declare."""
    if track.kind == "action":
        return Declaration(track.name, inputs=inputs, method=method)
    units = PIXELS if track.kind == "pose-2d" else "mm"
    return Declaration(track.name, units, "openpose21", track.frame, inputs, method)


def write_roots(
    where: str | Path,
    track: str | Track,
    out: str | Path,
    *,
    annotations: str | Path | None = None,
    images: str | Path | None = None,
    batch: int = 32,
    workers: int = 1,
    device: str | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> int:
    """Write the depths of a RootNet in the official form; return how many samples there are.

    The arguments are those of `predict`, without options; `where` are the RootNet's weights.

    Raises
    ------
    BaselineError
        HB302 where options are given, or `where` is a result file already.
    """
    given_options("a result file", options)
    track = find_track(track)
    CROPS.require(track)
    opened = open_annotations(track, annotations)
    found = root_depths(where, device=device, batch=batch, workers=workers)
    if not isinstance(found, NetworkDepths):
        what = "is a result file already."
        raise BaselineError(Problem("HB302", str(where), what, fix="Name weights of a rootnet."))
    pictures, records = Pictures(picture_root(opened, images)), []
    for rows in opened.batches(INPUTS, 32 * batch):
        records += found.records(rows, pictures)
        progress("measuring depths", len(records), opened.rows)
    write_records(out, records)
    return len(records)


def _open_parts(folder: Path, origin: Mapping[str, Any]) -> None:
    """Keep finished parts only if they come from the same weights, rows, depths and part size."""
    source = folder / "source.json"
    try:
        same = json.loads(source.read_text("utf-8")) == origin
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        files.write_json(source, origin)


def _join(paths: list[Path], out: Path, declared: Declaration) -> None:
    schema = pq.read_schema(paths[0]).with_metadata(declared.metadata())
    with files.replacing(out) as temporary, writer(temporary, schema) as joined:
        for path in paths:
            joined.write_table(
                pq.read_table(path, partitioning=None).replace_schema_metadata(schema.metadata)
            )


def main(name: str, arguments: list[str] | None = None) -> None:
    """Run a prediction from the command line of a bare host (``python -m ...predict``)."""
    import sys

    from hand_bench.errors import HandBenchError

    parser = argparse.ArgumentParser(f"python -m hand_baselines.{name}.predict")
    parser.add_argument("weights", help="folder with model.safetensors and config.json, or a name")
    parser.add_argument("--track", required=True)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--annotations", type=Path, help="default: the prepared ones")
    parser.add_argument("--images", type=Path, help="folder of pictures")
    parser.add_argument("--root-depth", help="weights of a rootnet, or its result file (.json)")
    parser.add_argument("--left-root", choices=("relative", "absolute"))
    parser.add_argument("--start", help="2D network, or predictions, that a mvexonet starts from")
    parser.add_argument("--rounds", type=int, help="how often a mvexonet looks")
    parser.add_argument("--triangulation", choices=("ransac", "algebraic"))
    parser.add_argument("--views", type=int, help="how many views a keypoints2d looks at")
    parser.add_argument("--poses", type=Path, help="predictions that clips are answered from")
    parser.add_argument("--meshes", action="store_true", default=None, help="MANO parameters too")
    parser.add_argument("--boxes", help="file of boxes of hands, or weights of a detector")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device")
    given = vars(parser.parse_args(arguments))
    loaded, track, out = given.pop("weights"), given.pop("track"), given.pop("output")
    try:
        rows = predict(load_weights(loaded), track, out, **given)
    except HandBenchError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{out}: {rows:,} samples\n")
