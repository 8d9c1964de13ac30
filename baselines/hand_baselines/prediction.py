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
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn
from torch.utils.data import DataLoader

from hand_baselines.models import Model
from hand_baselines.pictures import Pictures
from hand_baselines.samples import INPUTS, HandCrops, picture_root
from hand_baselines.weights import Loaded, load_weights
from hand_bench import files
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.data import open_annotations, quiet
from hand_bench.declaration import Declaration
from hand_bench.errors import BaselineError, Problem
from hand_bench.predictions import predictions_table, write_table, writer
from hand_bench.tracks import Track, find_track

Progress = Callable[[str, int, int], None]
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
) -> int:
    """Write the predictions of a track; return how many samples it has.

    Parameters
    ----------
    loaded
        What predicts.
    track
        Pose track with one view for each sample.
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

    Raises
    ------
    BaselineError
        HB302 where the track asks for something else.
    DatasetError
        HB201 where annotations are not prepared, HB202 where pictures are missing.
    """
    track, out = find_track(track), Path(out)
    if track.kind != "pose" or track.several_views or track.frame != "camera":
        what = f"asks for something else than hands in one camera's frame ({track.predicts})."
        raise BaselineError(Problem("HB302", track.name, what))
    files.require_writable(out)
    opened = annotations
    if not isinstance(opened, Annotations):
        opened = open_annotations(track, annotations)
    run = Answering(loaded.network, loaded.model, loaded.facts, device, batch, workers)
    pictures = Pictures(picture_root(opened, images))
    folder = out.with_name(out.name + ".parts")
    _open_parts(folder, loaded, opened, part)
    total, done = opened.rows, 0
    paths = []
    for number, rows in enumerate(opened.batches(INPUTS, part)):
        paths.append(folder / f"{number:06d}.parquet")
        if not paths[-1].is_file():
            columns = run.columns(
                rows, pictures, lambda n, at=done: progress("predicting", at + n, total)
            )
            write_table(paths[-1], predictions_table(rows.sample_id.to_pylist(), **columns))
        done += len(rows)
        progress("predicting", done, total)
    declared = Declaration(
        track.name, "mm", "openpose21", "camera", loaded.model.inputs, loaded.name
    )
    _join(paths, out, declared)
    shutil.rmtree(folder)
    return done


class Answering:
    """A network that answers rows of annotations."""

    def __init__(
        self,
        network: nn.Module,
        model: Model,
        facts: Mapping[str, Any],
        device: str | None = None,
        batch: int = 32,
        workers: int = 0,
    ):
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network = network.to(self.device).eval()
        self.crops = model.crops(network.config)
        self.answer, self.facts = model.answer(), facts
        self.batch, self.workers = batch, workers

    @torch.no_grad()
    def columns(
        self, rows: AnnotationBatch, pictures: Pictures, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return columns of predictions for rows, in their order."""
        data = HandCrops(rows.table, pictures, self.crops, labels=False)
        parts = []
        for batch in DataLoader(data, self.batch, num_workers=self.workers):
            batch = {name: value.to(self.device) for name, value in batch.items()}
            output = self.network(batch["image"])
            parts.append(self.answer(self.network, output, batch, self.facts))
            if seen is not None:
                seen(min(len(parts) * self.batch, len(data)))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _open_parts(folder: Path, loaded: Loaded, opened: Annotations, part: int) -> None:
    """Keep finished parts only if they come from the same weights, rows and size of parts."""
    about = {"weights": loaded.sha256, "annotations": opened.sha256, "part": part}
    source = folder / "source.json"
    try:
        same = json.loads(source.read_text("utf-8")) == about
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        files.write_json(source, about)


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
