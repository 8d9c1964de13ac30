"""A whole run: from a track's training data to weights that the harness has scored.

The training table is that of the track's dataset; while training, the network is scored by the
harness on at most `VALIDATED` samples of the validation table (evenly taken), and the best and the
last weights are kept. At the end the best weights answer the track itself, and the file is scored:
predict, save, score.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn

from hand_baselines.cards import shareable, write_card
from hand_baselines.floors import COLUMNS, FLOORS, Views
from hand_baselines.models import Model, find_model
from hand_baselines.pictures import Pictures
from hand_baselines.prediction import Answering, predict
from hand_baselines.samples import INPUTS, HandCrops, Hands, Order, picture_root, read_table
from hand_baselines.training import RECORD, Job, Options, make_accelerator, train
from hand_baselines.weights import load_weights, save_weights, seal
from hand_bench import files
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.data import DATASETS, find_dataset, open_annotations
from hand_bench.data import folder as data_folder
from hand_bench.errors import BaselineError, Problem
from hand_bench.evaluator import evaluate
from hand_bench.joint_sets import HAND_SIDES, OPENPOSE
from hand_bench.results import Result
from hand_bench.tracks import Track, find_track

#: At most so many validation samples are predicted while training.
VALIDATED = 512


def run(
    model: Model,
    data: str,
    preset: str,
    out: str | Path,
    *,
    images: str | Path | None = None,
    hands: Hands = "all",
    annotators: tuple[str, ...] = (),
    validated: int = VALIDATED,
    score: bool = True,
    **options: Any,
) -> Result | None:
    """Train on a track's training data, and score the best weights on the track.

    Parameters
    ----------
    model, preset
        What is trained.
    data
        Name of the track.
    out
        Folder of the run; a run that was killed goes on.
    images
        Folder of pictures; default: where the dataset was prepared.
    hands, annotators
        What of the training table is used (see `samples.read_table`).
    validated
        Validation samples while training; 0: none, the last weights are the best.
    score
        Whether the track is predicted and scored at the end.
    options
        Of training, where they differ from the preset's (`training.Options`).

    Raises
    ------
    DatasetError
        HB201 where annotations are not prepared, HB202 where pictures are missing.
    BaselineError
        HB301, HB302, HB402: see `training.train`.
    """
    out, track = Path(out), find_track(data)
    chosen = Options(**{**model.options.get(preset, {}), **options})
    opened = open_table(track, "train")
    table = read_table(opened, hands=hands, annotators=annotators)
    torch.manual_seed(chosen.seed)
    network = model.network_class()(model.preset(preset))
    pictures = Pictures(picture_root(opened, images))
    facts: dict[str, Any] = {"root_depth": mean_root_depth(table)}
    if chosen.pose_loss == "integral":
        facts["reading"] = "expected"
    crops = model.crops(network.config, chosen.augmentation)
    job = Job(
        model,
        preset,
        network,
        HandCrops(table, pictures, crops, seed=chosen.seed),
        Order.of(table, chosen.seed),
        facts,
        _about(opened, table.num_rows, hands, annotators),
        _validation(model, track, facts, images, validated, out) if validated else None,
    )
    accelerator = make_accelerator(chosen)
    train(job, out, chosen, accelerator=accelerator)
    if not score or not accelerator.is_main_process:
        return None
    return score_run(track, out, images=images, workers=chosen.workers)


def score_run(
    track: Track, out: Path, *, images: str | Path | None = None, workers: int = 1
) -> Result:
    """Predict a track with the best weights of a run (the last without validation), and score."""
    loaded = replace(load_weights(_chosen(out)), name=out.name)
    path = out / "predictions.parquet"
    predict(loaded, track, path, images=images, workers=workers)
    result = evaluate(path, track=track, units="mm")
    result.save(out / "result.json")
    return result


def ship(
    run: str | Path, folder: str | Path, track: str, *, workers: int = 1, notes: str = ""
) -> Result:
    """Make a folder of weights out of a run: half precision, record, log, scores, card.

    The scores are those of the weights as they are shipped, beside the floors' on the same track;
    the predictions stay in the run's folder as ``NAME.parquet``, to be published beside them.
    `notes` go into the card.
    """
    run, folder, known = Path(run), Path(folder), find_track(track)
    best = load_weights(_chosen(run))
    save_weights(folder, best.model, best.preset, best.network, best.facts, half=True)
    seal(folder)
    for name in (RECORD, "log.csv"):
        with files.replacing(folder / name) as temporary:
            shutil.copyfile(run / name, temporary)
    path = run / f"{folder.name}.parquet"
    predict(load_weights(folder), known, path, workers=workers)
    result = shareable(evaluate(path, track=known, units="mm"))
    result.save(folder / "result.json")
    write_card(folder, floors=floor_results(known), title=f"{best.model.title}.", notes=notes)
    return result


def floor_results(track: Track) -> dict[str, Result]:
    """Score the floors on a track, fitted to its dataset's training table.

    Where the dataset has a box for each hand, they use it, and so know which hands are there.
    """
    rows = AnnotationBatch(0, _whole(open_annotations(track, None), ["sample_id", *COLUMNS]))
    fitted = Views.of(AnnotationBatch(0, _whole(open_table(track, "train"), COLUMNS)))
    asked, results = Views.of(rows), {}
    for name, fit in FLOORS.items():
        preds = {"sample_id": rows.sample_id.to_pylist(), **fit(fitted).predict(asked)}
        results[name] = evaluate(preds, track=track, units="mm")
    return results


def _whole(opened: Annotations, columns: Sequence[str]) -> Any:
    return opened.table(columns).combine_chunks().to_batches()[0]


def _chosen(run: Path) -> Path:
    return run / "best" if (run / "best").is_dir() else run / "last"


def open_table(track: Track, split: str) -> Annotations:
    """Open the prepared table of another split of a track's dataset ("train" or "val").

    Raises
    ------
    BaselineError
        HB302 where the dataset has none.
    DatasetError
        HB201 where it is not prepared.
    """
    known = find_dataset(track.dataset).splits
    prefix = track.table.removesuffix(track.table.rsplit("-", 1)[-1])
    names = ("train", "training") if split == "train" else (split,)
    for name in (*(prefix + n for n in names), *names):
        if name in known:
            return Annotations.open(data_folder(track.dataset, name) / "annotations.parquet")
    raise BaselineError(Problem("HB302", track.dataset, f"has no table for {split!r}."))


def mean_root_depth(table: Any) -> list[float]:
    """Return the mean depth of the training wrists of each side, mm; of both where one lacks."""
    batch = AnnotationBatch(0, table)
    depths = []
    for side in HAND_SIDES:
        there = batch.given(f"{side}_joints") & batch.given(f"{side}_valid")
        depth = batch[f"{side}_joints"][:, OPENPOSE.root, 2][there].astype(float)
        known = batch[f"{side}_valid"][:, OPENPOSE.root][there].astype(bool)
        depths.append(depth[known & np.isfinite(depth)])
    both = np.concatenate(depths)
    if not len(both):
        raise BaselineError(Problem("HB302", "training", "no wrist is annotated in 3D."))
    return [round(float((d if len(d) else both).mean()), 3) for d in depths]


def _about(
    opened: Annotations, samples: int, hands: str, annotators: tuple[str, ...]
) -> dict[str, Any]:
    """What the record says of the training data: no paths."""
    kept = ("dataset", "split", "release", "sha256", "licence")
    about = {key: opened.manifest[key] for key in kept if key in opened.manifest}
    about |= {"sha256": opened.sha256, "samples": samples, "hands": hands}
    return about | {"annotators": list(annotators)}


def _validation(
    model: Model,
    track: Track,
    facts: dict[str, Any],
    images: str | Path | None,
    validated: int,
    out: Path,
) -> Any:
    """Make the function that scores a network on validation samples; None where there are none."""
    splits = DATASETS[track.dataset].splits if track.dataset in DATASETS else ()
    prefix = track.table.removesuffix(track.table.rsplit("-", 1)[-1])
    # Where the track itself is the validation table, it must not choose the weights.
    if track.table == f"{prefix}val" or f"{prefix}val" not in splits:
        return None
    opened = open_table(track, "val")
    part = evenly(opened, validated, out / "validation.parquet")
    pictures = Pictures(picture_root(opened, images))
    name = track.primary

    def scored(network: nn.Module) -> tuple[float, dict[str, float]]:
        device = next(network.parameters()).device
        answering = Answering(network, model, facts, str(device))
        rows = next(part.batches(INPUTS, max(part.rows, 1)))
        columns = answering.columns(rows, pictures)
        preds = {"sample_id": rows.sample_id.to_pylist(), **columns}
        result = evaluate(preds, track=track, annotations=part, units="mm", resamples=0)
        value = result.score(name.metric, name.subset, name.protocol)
        mpjpe = result.score("MPJPE").value
        higher = value.value if value.value is not None else -np.inf
        return higher if value.higher_is_better else -higher, {"MPJPE": mpjpe or float("nan")}

    return scored


def evenly(opened: Annotations, count: int, path: Path) -> Annotations:
    """Write a table with at most so many samples, taken evenly; the same whenever it is made."""
    with pq.ParquetFile(opened.path) as source:
        table = source.read(use_threads=False)
    step = max(1, -(-len(table) // count))
    with files.replacing(path) as temporary:
        pq.write_table(table.take(np.arange(0, len(table), step)), temporary)
    return Annotations.open(path)


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given of the options of training."""
    names = {f.name for f in fields(Options)}
    return {k: v for k, v in given.items() if k in names and v is not None}


def main(name: str, arguments: list[str] | None = None) -> None:
    """Train from the command line of a bare host (``python -m ...train``)."""
    from hand_bench.errors import HandBenchError

    parser = argparse.ArgumentParser(f"python -m hand_baselines.{name}.train")
    parser.add_argument("--data", required=True, help="track whose training data is used")
    parser.add_argument("--preset", default="small")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the run")
    parser.add_argument("--images", type=Path, help="folder of pictures")
    parser.add_argument("--hands", choices=("all", "single", "interacting"), default="all")
    parser.add_argument("--annotators", nargs="*", default=())
    parser.add_argument("--validated", type=int, default=VALIDATED)
    parser.add_argument("--no-score", dest="score", action="store_false")
    for option, kind in _NUMBERS.items():
        parser.add_argument(f"--{option.replace('_', '-')}", type=kind)
    parser.add_argument("--schedule", choices=("steps", "cosine"))
    parser.add_argument("--pose-loss", choices=("heatmap", "integral"))
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"))
    given = vars(parser.parse_args(arguments))
    out = given["output"]
    kept = ("images", "hands", "validated", "score")
    try:
        result = run(
            find_model(name),
            given["data"],
            given["preset"],
            out,
            annotators=tuple(given["annotators"]),
            **{k: given[k] for k in kept},
            **options_of(given),
        )
    except HandBenchError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{result}\n" if result is not None else f"{out / RECORD}\n")


_NUMBERS: dict[str, type] = {
    **dict.fromkeys(("steps", "batch", "warmup", "workers", "threads", "seed"), int),
    **dict.fromkeys(("save_every", "log_every", "evaluate_every"), int),
    **dict.fromkeys(("minutes", "learning_rate", "head_rate", "clip", "augmentation"), float),
}
