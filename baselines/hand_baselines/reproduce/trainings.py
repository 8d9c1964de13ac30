"""Trainings and their answers, each made once and kept.

A `Training` is a value: what is trained, on what, how. A `Workshop` is a folder in which every
training has a place that is named after the value and the data, so that tables and claims that
share a training share its weights, and whatever was interrupted goes on where it stopped::

    WORKSHOP/wildhands-3f9a0c1d2e4b/training.json      the value
                                    run/               of `runs.run`
                                    TRACK[-OPTIONS].parquet, .errors.parquet, .json

Nothing here knows whether code has changed since: after a change of how models train or answer,
take another folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hand_baselines import runs
from hand_baselines.models import find_model
from hand_baselines.prediction import predict, score
from hand_baselines.tables import training_table
from hand_baselines.training import RECORD
from hand_baselines.weights import find_weights, load_weights
from hand_bench import files
from hand_bench.data import open_annotations, quiet
from hand_bench.results import Result
from hand_bench.tracks import find_track

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Training:
    """What is trained, and how; arguments of `runs.run`.

    Attributes
    ----------
    model, data, preset, config
        As `runs.run` takes them.
    hands
        What of the training tables is used.
    annotators
        Whose labels; empty: everybody's.
    backbone
        What the backbone starts from; None: random.
    initial
        A training from whose weights every layer starts that fits, instead of `backbone`: an easier
        task before this one.
    options
        Of training, where they differ from the preset's and the size's.
    seed
        Of everything that is drawn.
    """

    model: str
    data: tuple[str, ...]
    preset: str = "small"
    config: tuple[str, ...] = ()
    hands: str = "all"
    annotators: tuple[str, ...] = ()
    backbone: str | None = "backbone-small"
    initial: Training | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def key(self) -> str:
        """Return what tells it from other trainings: twelve digits of a SHA-256.

        The annotations that are trained on and the weights that it starts from belong to it.

        Raises
        ------
        DatasetError
            HB201 where training data is not prepared.
        BaselineError
            HB301 where there is no such model, preset or backbone.
        """
        usual = find_model(self.model).options.get(self.preset, {})
        told = asdict(self) | {"options": {**usual, **self.options}}
        if self.initial is None:
            del told["initial"]
        else:
            told["initial"] = self.initial.key()
        told["tables"] = [training_table(name).sha256 for name in self.data]
        if self.backbone is not None and not self.backbone.startswith("timm/"):
            told["backbone"] = load_weights(find_weights(self.backbone)).sha256
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Answers:
    """What a training answers to a track.

    `options` are those of the model's prediction; where one names weights or a file of predictions,
    it may be another `Training`, or `Answers`.
    """

    training: Training
    track: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What its files are called."""
        told = {k: _told(v) for k, v in sorted(self.options.items())}
        return "-".join([self.track, *(f"{k}={v}" for k, v in told.items())])

    def changed(self, change: Callable[[Training], Training]) -> Answers:
        """Return the same of other trainings, those of the options among them."""
        options = {
            name: change(value)
            if isinstance(value, Training)
            else (value.changed(change) if isinstance(value, Answers) else value)
            for name, value in self.options.items()
        }
        return Answers(change(self.training), self.track, options)


def _told(value: Any) -> str:
    """What a file's name says of an option."""
    if isinstance(value, Training):
        return f"{value.model}-{value.key()}"
    if not isinstance(value, Answers):
        return str(value)
    return f"{_told(value.training)}-{hashlib.sha256(value.name.encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class Size:
    """How large trainings are made.

    Attributes
    ----------
    preset
        Of all models.
    backbone
        What they start from.
    options
        Of training, where they differ from the preset's.
    steps
        By model, where they differ from the preset's.
    staged
        Whether trainings start from their `initial` ones; else from the backbone alone.
    """

    preset: str
    backbone: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, int] | None = None
    staged: bool = True

    def of(self, answers: Answers, seed: int = 0) -> Answers:
        """Return answers of this size and with this seed."""
        return answers.changed(lambda training: self.sized(training, seed))

    def sized(self, training: Training, seed: int = 0) -> Training:
        """Return a training of this size and with this seed."""
        options = dict(self.options)
        steps = (self.steps or {}).get(training.model)
        if steps is not None:
            options |= {"steps": steps}
        initial = training.initial
        return replace(
            training,
            preset=self.preset,
            backbone=training.backbone and self.backbone,
            initial=self.sized(initial, seed) if initial and self.staged else None,
            options={**options, **training.options},
            seed=seed,
        )


@dataclass(frozen=True)
class Scored:
    """Answers that were scored: the training's name and record, the result, and the files."""

    training: str
    record: Mapping[str, Any]
    result: Result
    predictions: Path
    errors: Path

    def about(self) -> dict[str, Any]:
        """Return what a table says of the training."""
        kept = ("model", "preset", "config", "parameters", "steps", "minutes", "device", "commit")
        kept += ("precision", "initial_weights", "images_per_second")
        about = {name: self.record[name] for name in kept if name in self.record}
        data = self.record["data"]
        names = [part["dataset"] for part in (data, *data.get("also", ()))]
        seed = self.record["options"]["seed"]
        return about | {"data": names, "samples": data["samples"], "seed": seed}


@dataclass(frozen=True)
class Workshop:
    """Where trainings and their answers are kept.

    Attributes
    ----------
    folder
        Of everything.
    machine
        Options that say how a machine trains, not what comes of it: "threads", "workers".
    batch, device
        Of predictions.
    progress
        Called with (what, done, total).
    say
        Called with a line before something long begins.
    """

    folder: Path
    machine: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 32
    device: str | None = None
    progress: Progress = quiet
    say: Callable[[str], None] = lambda line: None

    def place(self, training: Training) -> Path:
        """Return the folder of a training."""
        return self.folder / f"{training.model}-{training.key()}"

    def weights(self, training: Training) -> Path:
        """Train, where that was not done; return the folder of the weights."""
        place = self.place(training)
        run = place / "run"
        if not (run / RECORD).is_file():
            self.say(f"training {training.model} on {', '.join(training.data)}: {place.name}")
            files.write_json(place / "training.json", asdict(training))
            initial = training.initial and self.weights(training.initial)
            runs.run(
                find_model(training.model),
                training.data,
                training.preset,
                run,
                hands=training.hands,  # pyright: ignore
                annotators=training.annotators,
                backbone_weights=None if initial else training.backbone,
                initial_weights=initial,
                config=training.config,
                score=False,
                **{"seed": training.seed, **training.options, **self.machine},
            )
        return runs.chosen_weights(run)

    def scored(self, answers: Answers) -> Scored:
        """Answer and score, where that was not done.

        Raises
        ------
        DatasetError
            HB201 where annotations are not prepared.
        """
        weights, place = self.weights(answers.training), self.place(answers.training)
        track = find_track(answers.track)
        sha256 = open_annotations(track, None).sha256
        result, preds, errors = (
            place / f"{answers.name}{ending}" for ending in (".json", ".parquet", ".errors.parquet")
        )
        if result.is_file() and errors.is_file():
            found = Result.load(result)
            if found.annotations.get("sha256") == sha256:
                return Scored(place.name, self._record(place), found, preds, errors)
        self.say(f"answering {answers.name}: {place.name}")
        loaded = replace(load_weights(weights), name=place.name)
        fed = {"batch": self.batch, "device": self.device, "workers": self._workers}
        given = {name: self._made(value) for name, value in answers.options.items()}
        predict(loaded, track, preds, progress=self.progress, **fed, **given)
        found = score(preds, track, errors=errors)
        found.save(result)
        return Scored(place.name, self._record(place), found, preds, errors)

    def _made(self, value: Any) -> Any:
        """Return what an option names: a folder of weights, a file of predictions, or itself."""
        if isinstance(value, Training):
            return str(self.weights(value))
        if isinstance(value, Answers):
            return self.scored(value).predictions
        return value

    @property
    def _workers(self) -> int:
        return self.machine.get("workers") or 1

    def _record(self, place: Path) -> dict[str, Any]:
        return json.loads((place / "run" / RECORD).read_text("utf-8"))
