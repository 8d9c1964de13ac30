"""A whole run: from a track's training data to weights that the harness has scored.

The training table is that of the track's dataset; while training, the network is scored by the
harness on at most `VALIDATED` samples of the validation table (evenly taken), and the best and the
last weights are kept. At the end the best weights answer the track itself, and the file is scored:
predict, save, score.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hand_baselines.backbone.weights import start_from
from hand_baselines.models import Model, find_model
from hand_baselines.prediction import answers_table, declaration, predict
from hand_baselines.prediction import score as score_predictions
from hand_baselines.presets import changed
from hand_baselines.samples import (
    Hands,
)
from hand_baselines.tables import evenly, open_table, training_table
from hand_baselines.tasks import given_options
from hand_baselines.training import RECORD, Job, train
from hand_baselines.training_options import Options
from hand_baselines.training_step import make_accelerator
from hand_baselines.weights import Loaded, load_weights, take_weights
from hand_bench.annotations import Annotations
from hand_bench.data import DATASETS
from hand_bench.results import Result
from hand_bench.tracks import TRACKS, Track, find_track

ENDS = ("steps", "minutes", "epochs")
#: At most so many validation samples are predicted while training.
VALIDATED = 512


def run(
    model: Model,
    data: str | Sequence[str],
    preset: str,
    out: str | Path,
    *,
    images: str | Path | None = None,
    hands: Hands = "all",
    annotators: tuple[str, ...] = (),
    poses: str | Path | None = None,
    backbone_weights: str | Path | None = None,
    initial_weights: str | Path | None = None,
    validated: int = VALIDATED,
    score: bool = True,
    config: Sequence[str] = (),
    **options: Any,
) -> Result | None:
    """Train on a track's training data, and score the best weights on the track.

    Parameters
    ----------
    model, preset
        What is trained.
    data
        Name of the track; or of several, which are trained on together: the first one is that on
        which weights are chosen and scored. Others may be datasets without a track; with such a one
        at first the last weights are taken, and nothing is scored.
    out
        Folder of the run; a run that was killed goes on.
    images
        Folder of pictures; default: where the dataset was prepared.
    hands, annotators
        What of the training table is used (see `samples.read_table`).
    poses
        Predictions of the training pictures, which models of clips are trained on in place of the
        truth; such a run is not scored, for the track's own pictures need other predictions.
    backbone_weights
        What the backbone starts from (see `backbone.weights.start_from`); default: random.
    initial_weights
        What all layers that fit start from (see `weights.take_weights`); default: random.
    validated
        Validation samples while training; 0: none, the last weights are the best.
    score
        Whether the track is predicted and scored at the end; a model that answers no track is not.
    config
        What differs from the preset's configuration: "window=1" (see `presets.changed`).
    options
        Of training, where they differ from the preset's (`training_options.Options`).

    Raises
    ------
    DatasetError
        HB201 where annotations are not prepared, HB202 where pictures are missing.
    BaselineError
        HB301, HB302, HB402: see `training.train`.
    """
    out, names = Path(out), [data] if isinstance(data, str) else list(data)
    track = find_track(names[0]) if names[0] in TRACKS or names[0] not in DATASETS else None
    chosen = Options(**{**_usual(model, preset, options), **options})
    opened = [training_table(name) for name in names]
    torch.manual_seed(chosen.seed)
    network = model.network_class()(changed(model.preset(preset), config))
    initial = "random" if backbone_weights is None else start_from(network, backbone_weights)
    if initial_weights is not None:
        initial = take_weights(network, initial_weights)
    task = model.task()
    chosen_data: dict[str, Any] = {"hands": hands, "annotators": annotators}
    chosen_data |= given_options(model.name, {"poses": poses}, task.options)
    varied: dict[str, Any] = {"augmentation": chosen.augmentation, "seed": chosen.seed}
    data_set = task.training_set(model, network.config, opened, images, **chosen_data, **varied)
    facts = data_set.facts
    samples = len(data_set.data)  # pyright: ignore
    job = Job(
        model,
        preset,
        network,
        data_set.data,
        data_set.order,
        facts,
        _about(opened, samples, hands, annotators),
        initial,
        _validation(model, track, facts, images, validated, out) if validated and track else None,
    )
    accelerator = make_accelerator(chosen)
    train(job, out, chosen, accelerator=accelerator)
    unscored = poses is not None or task.validated is not None
    if track is None or not score or unscored or not accelerator.is_main_process:
        return None
    return score_run(track, out, images=images, workers=chosen.workers)


def score_run(
    track: Track, out: Path, *, images: str | Path | None = None, workers: int = 1
) -> Result:
    """Predict a track with the best weights of a run (the last without validation), and score."""
    loaded = replace(load_weights(chosen_weights(out)), name=out.name)
    path = out / "predictions.parquet"
    predict(loaded, track, path, images=images, workers=workers)
    result = score_predictions(path, track)
    result.save(out / "result.json")
    return result


def _usual(model: Model, preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preset's options; without its end where another one is given."""
    usual = dict(model.options.get(preset, {}))
    if any(given.get(end) is not None for end in ENDS):
        usual = {name: value for name, value in usual.items() if name not in ENDS}
    return usual


def chosen_weights(run: Path) -> Path:
    """Return the folder of a run's best weights; of the last ones where none were compared."""
    return run / "best" if (run / "best").is_dir() else run / "last"


def _about(
    opened: Sequence[Annotations], samples: int, hands: str, annotators: tuple[str, ...]
) -> dict[str, Any]:
    """What the record says of the training data: no paths."""
    kept = ("dataset", "split", "release", "sha256", "licence")
    parts = [
        {k: part.manifest[k] for k in kept if k in part.manifest} | {"sha256": part.sha256}
        for part in opened
    ]
    about = dict(parts[0])
    if len(parts) > 1:
        about["also"] = parts[1:]
    return about | {"samples": samples, "hands": hands, "annotators": list(annotators)}


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
    task = model.task()

    def scored(network: nn.Module) -> tuple[float, dict[str, float]]:
        device = str(next(network.parameters()).device)
        held = Loaded("", model, "", network, facts, "")
        answers = task.answers(held, opened, images, device=device)
        rows = next(part.batches(task.read, max(part.rows, 1)))
        if task.validated is not None:
            return task.validated(answers, rows)
        table = answers_table(track, rows.sample_id.to_pylist(), answers.columns(rows))
        declared = declaration(track, answers.inputs, "")
        preds = table.replace_schema_metadata(declared.metadata())
        result = score_predictions(preds, track, annotations=part, resamples=0)
        return _rank(result, model.chosen_by), _shown(result)

    return scored


def _rank(result: Result, metric: str | None) -> float:
    """Return what chooses weights, larger is better: a metric, else what ranks the track."""
    named = [score for score in result if score.metric == metric and score.subset == "all"]
    score = named[0] if named else result.primary
    if score.value is None:
        return -np.inf
    return score.value if score.higher_is_better else -score.value


def _shown(result: Result) -> dict[str, float]:
    """Return what the log of a training shows of a result."""
    values = {score.metric: score.value for score in result if score.subset == "all"}
    wanted = ("MPJPE", "MRRPE", "handedness accuracy", "accuracy")
    return {name: value for name in wanted if (value := values.get(name)) is not None}


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given of the options of training."""
    names = {f.name for f in fields(Options)}
    return {k: v for k, v in given.items() if k in names and v is not None}


def main(name: str, arguments: list[str] | None = None) -> None:
    """Train from the command line of a bare host (``python -m ...train``)."""
    from hand_bench.errors import HandBenchError

    parser = argparse.ArgumentParser(f"python -m hand_baselines.{name}.train")
    parser.add_argument("--data", required=True, nargs="+", help="tracks that are trained on")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--config", nargs="*", default=(), metavar="NAME=VALUE")
    parser.add_argument("-o", "--output", type=Path, help="folder; default: runs/MODEL-PRESET")
    parser.add_argument("--images", type=Path, help="folder of pictures")
    parser.add_argument("--hands", choices=("all", "single", "interacting"), default="all")
    parser.add_argument("--annotators", nargs="*", default=())
    parser.add_argument("--poses", type=Path, help="predictions of the training pictures")
    parser.add_argument("--backbone-weights", help="weights, a .safetensors file, or timm/NAME")
    parser.add_argument("--initial-weights", help="weights that the layers which fit start from")
    parser.add_argument("--validated", type=int, default=VALIDATED)
    parser.add_argument("--no-score", dest="score", action="store_false")
    for option, kind in _NUMBERS.items():
        parser.add_argument(f"--{option.replace('_', '-')}", type=kind)
    parser.add_argument("--schedule", choices=("steps", "cosine"))
    parser.add_argument("--optimizer", choices=("adam", "sgd"))
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"))
    given = vars(parser.parse_args(arguments))
    out = given["output"] or Path("runs") / f"{name}-{given['preset']}"
    kept = ("images", "hands", "poses", "backbone_weights", "initial_weights", "validated")
    kept += ("score", "config")
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
    **dict.fromkeys(("minutes", "epochs", "learning_rate", "head_rate"), float),
    **dict.fromkeys(("clip", "augmentation", "weight_decay"), float),
}
