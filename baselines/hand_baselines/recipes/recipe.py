"""Recipes: what shipped weights are trained on, in which stages, and what they are scored on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hand_baselines.shipping import Trial
from hand_baselines.tensors import Store


@dataclass(frozen=True)
class Stage:
    """One training; the layers that fit start from the stage before, where there is one.

    Attributes
    ----------
    steps
        How long it is trained, as the shipped weights were; None: as long as the preset says.
    options
        Of training, where they differ from the preset's (`training_options.Options`).
    config
        What differs from the preset's configuration: "window=1".
    share
        Of the recipe's minutes, where it is trained by time.
    validated
        Validation samples while training; 0: the last weights are taken.
    """

    steps: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    config: tuple[str, ...] = ()
    share: float = 1.0
    validated: int = 512


@dataclass(frozen=True)
class Recipe:
    """How weights are made.

    Attributes
    ----------
    name
        Of the weights: "internet-small".
    model, preset
        What is trained.
    data
        Tracks, or datasets, that are trained on; the first one validates.
    stages
        One after the other.
    tracks
        What the weights are scored on, as `shipping.ship` takes it; the first one decides.
    backbone
        What the first stage's backbone starts from; None: random.
    store
        How numbers are stored (see `tensors`).
    with_predictions
        Whether the predictions lie beside the weights: not where these are a part of other models.
    writing
        Minutes that predictions and scores may take: a guess, kept back from a deadline.
    replaces
        Shipped weights that it is compared with.
    """

    name: str
    model: str
    data: tuple[str, ...]
    stages: tuple[Stage, ...]
    tracks: tuple[str, ...]
    preset: str = "small"
    backbone: str | None = "backbone-small"
    store: Store = "half"
    with_predictions: bool = True
    writing: float = 1.5
    replaces: str = ""

    @property
    def against(self) -> str:
        """Name of the shipped weights that it is compared with."""
        return self.replaces or self.name

    def trials(self) -> list[Trial]:
        """Return what the weights are scored on; HB301, HB302 as `Trial.read`."""
        return [Trial.read(text) for text in self.tracks]

    def uses(self) -> set[str]:
        """Return the names of other weights that it needs."""
        needed = {trial.weights for trial in self.trials()}
        needed |= {str(trial.options.get(name, "")) for name in ("root_depth", "start")
                   for trial in self.trials()}  # fmt: skip
        return (needed | {self.backbone or ""}) - {""}

    def of_paper(self) -> Recipe:
        """Return the same with the preset `paper`: from random weights, in one stage."""
        stage = Stage(None, {"precision": "bf16", "save_every": 2000})
        name = f"{self.name.removesuffix('-small')}-paper"
        own = {"preset": "paper", "backbone": None, "stages": (stage,), "replaces": self.name}
        return replace(self, name=name, writing=2 * self.writing, **own)

    def commands(self, folder: str = "runs") -> Iterator[str]:
        """Give the commands of which it is made, for `folder`."""
        before = run = ""
        for number, stage in enumerate(self.stages, 1):
            last = number == len(self.stages)
            run = f"{folder}/{self.name}" + ("" if last else f"-{number}")
            words = ["hand-bench baselines train", self.model]
            words += [f"--data {name}" for name in self.data]
            words += [f"--preset {self.preset}"] * (self.preset != "small")
            words += [f"--initial-weights {before}"] if before else self._start()
            words += [f"--config {change}" for change in stage.config]
            words += [f"--steps {stage.steps}"] * (stage.steps is not None)
            words += [f"--{k.replace('_', '-')} {v}" for k, v in stage.options.items()]
            words += [f"--validated {stage.validated} -o {run}"]
            yield " ".join(words)
            before = f"{run}/best"
        words = ["hand-bench baselines ship", run, self.name]
        words += [f"--track '{text}'" for text in self.tracks]
        words += [f"--store {self.store}"] * (self.store != "half")
        words += [f"--predictions {self.name}/predictions.parquet"] * self.with_predictions
        yield " ".join(words)

    def _start(self) -> list[str]:
        return [] if self.backbone is None else [f"--backbone-weights {self.backbone}"]
