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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import torch

from hand_baselines.answering import Network, outputs
from hand_baselines.models import Model
from hand_baselines.pictures import Pictures
from hand_baselines.root_depths import NetworkDepths, RootDepths, root_depths
from hand_baselines.rootnet.output_file import write_records
from hand_baselines.samples import INPUTS, picture_root
from hand_baselines.weights import Loaded, load_weights
from hand_bench import files
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.data import open_annotations, quiet
from hand_bench.declaration import Declaration
from hand_bench.errors import BaselineError, Problem
from hand_bench.predictions import predictions_table, write_table, writer
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
    root_depth: str | Path | None = None,
    left_root: LeftRoot = "relative",
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
    root_depth
        A RootNet's weights, or its result file: at these depths hands are lifted (`root_depths`).
        Default: at the mean depth of the training wrists.
    left_root
        Whether the left wrist is put at the predicted difference of depths ("relative"), or at the
        difference of the wrists' own depths ("absolute").
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
        HB302 where the track asks for something else, or no depths are given for "absolute".
    DatasetError
        HB201 where annotations are not prepared, HB202 where pictures are missing.
    """
    track, out = find_track(track), Path(out)
    _require_hands_of_one_camera(track)
    if left_root == "absolute" and root_depth is None:
        what = "the difference of absolute depths needs depths."
        raise BaselineError(Problem("HB302", "--left-root absolute", what, fix="`--root-depth`."))
    if root_depth is not None and "root_depth" not in loaded.model.facts:
        what = "measures depths itself and takes none from elsewhere."
        raise BaselineError(
            Problem("HB302", loaded.model.name, what, fix="Leave out --root-depth.")
        )
    files.require_writable(out)
    opened = annotations
    if not isinstance(opened, Annotations):
        opened = open_annotations(track, annotations)
    fed = {"device": device, "batch": batch, "workers": workers}
    roots = None if root_depth is None else root_depths(root_depth, **fed)
    network = Network.of(loaded.network, loaded.model, **fed)
    run = Answering(network, loaded.model, loaded.facts, roots, left_root)
    pictures = Pictures(picture_root(opened, images))
    folder = out.with_name(out.name + ".parts")
    origin = {"weights": loaded.sha256, "annotations": opened.sha256, "part": part}
    if roots is not None:
        origin |= {"roots": roots.source, "left_root": left_root}
    _open_parts(folder, origin)
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
    inputs = loaded.model.inputs if roots is None else ("boxes:standard", "root_depth:own")
    _join(paths, out, Declaration(track.name, "mm", "openpose21", "camera", inputs, loaded.name))
    shutil.rmtree(folder)
    return done


@dataclass(frozen=True)
class Answering:
    """A network that answers rows of annotations.

    Attributes
    ----------
    network
        What looks at the pictures.
    model, facts
        How its outputs are read, and what that needs besides.
    roots
        Where the depths of the wrists come from; none: from the facts.
    left
        "relative" or "absolute": see `internet.predict.answer`.
    """

    network: Network
    model: Model
    facts: Mapping[str, Any]
    roots: RootDepths | None = None
    left: LeftRoot = "relative"

    def columns(
        self, rows: AnnotationBatch, pictures: Pictures, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return columns of predictions for rows, in their order."""
        depths = None if self.roots is None else torch.from_numpy(self.roots(rows, pictures))
        # Only models that take depths from elsewhere have a choice of the left wrist's.
        options = {} if depths is None else {"left": self.left}
        answer, parts, done = self.model.answer(), [], 0
        for output, batch in outputs(self.network, rows, pictures):
            end = done + len(batch["image"])
            depth = None if depths is None else depths[done:end]
            module = self.network.module
            parts.append(answer(module, output, batch, self.facts, depth, **options))
            done = end
            if seen is not None:
                seen(done)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


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
) -> int:
    """Write the depths of a RootNet in the official form; return how many samples there are.

    The arguments are those of `predict`; `where` are the RootNet's weights.
    """
    track = find_track(track)
    _require_hands_of_one_camera(track)
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


def _require_hands_of_one_camera(track: Track) -> None:
    if track.kind != "pose" or track.several_views or track.frame != "camera":
        what = f"asks for something else than hands in one camera's frame ({track.predicts})."
        raise BaselineError(Problem("HB302", track.name, what))


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
    parser.add_argument("--left-root", choices=("relative", "absolute"), default="relative")
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
