"""How a network is trained: the options of `training.train`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hand_bench.errors import BaselineError, Problem


@dataclass(frozen=True)
class Options:
    """How a network is trained.

    Attributes
    ----------
    steps, minutes, epochs
        When it ends; one of the three. Minutes do not count evaluations.
    batch
        Samples of a step, on each device.
    learning_rate, head_rate
        The optimiser's; the layers that a network names as its `HEADS` learn `head_rate` times
        faster. They start at 0.001 and have to reach the scale at which a softmax, or a peak of
        255, shows anything.
    augmentation
        Factor on the shifts, scales and turns of random views.
    optimizer, weight_decay
        "adam", or "sgd" with Nesterov's momentum of 0.9; and how much weights are drawn to zero.
    schedule
        "steps": times `fall` at each of `drops` (parts of the training); "cosine": falls to 0.
    warmup
        Steps over which the rate rises to its full value.
    clip
        Largest norm of the gradient; 0: as it is.
    precision
        "no" (float32), "fp16" or "bf16".
    workers
        Processes that read pictures; 0: none but the training one.
    threads
        Of torch on a processor; 0: torch's own choice.
    save_every, log_every
        Steps between saved states, and between rows of the log.
    evaluate_every
        Steps between evaluations; 0: after every epoch. There is always one at the end.
    seed
        Of everything that is drawn.
    """

    steps: int | None = None
    minutes: float | None = None
    epochs: float | None = None
    batch: int = 16
    learning_rate: float = 1e-4
    head_rate: float = 1.0
    augmentation: float = 1.0
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["steps", "cosine"] = "steps"
    drops: tuple[float, ...] = (0.75, 0.85)
    fall: float = 0.1
    warmup: int = 50
    clip: float = 0.0
    precision: Literal["no", "fp16", "bf16"] = "no"
    workers: int = 1
    threads: int = 0
    save_every: int = 200
    log_every: int = 20
    evaluate_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if sum(end is not None for end in (self.steps, self.minutes, self.epochs)) != 1:
            what = "ends by steps, by minutes or by epochs: give one of them."
            raise BaselineError(Problem("HB302", "training", what))

    def rate(self, step: int, total: int | None) -> float:
        """Return the learning rate of a step; `total` is not known before it is measured."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        part = step / total if total else 0.0
        if self.schedule == "cosine":
            return self.learning_rate * rise * (1 + math.cos(math.pi * part)) / 2
        return self.learning_rate * rise * self.fall ** sum(part >= drop for drop in self.drops)
