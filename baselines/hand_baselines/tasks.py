"""What models do with data: how a kind of model is trained, and how it answers a track.

A `Task` is a value of functions; `models.Model.task` names one. The loop of training and the
prediction in parts know nothing else of crops, clips or views.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from hand_baselines.samples import Order
from hand_bench.annotations import AnnotationBatch
from hand_bench.errors import BaselineError, Problem
from hand_bench.tracks import Track


class TrainingSet(NamedTuple):
    """What a model is trained on.

    | field | meaning |
    |---|---|
    | data | samples by (epoch, number): tensors by name |
    | order | of the samples in every epoch |
    | facts | what the answers need of the training data (`weights.Loaded.facts`) |
    """

    data: Dataset
    order: Order
    facts: dict[str, Any]


class Answers(Protocol):
    """A network with its weights, ready for the rows of a table."""

    @property
    def origin(self) -> Mapping[str, Any]:
        """What the answers depend on besides the weights; plain values."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the predictions declare that they were given."""
        ...

    def columns(
        self, rows: AnnotationBatch, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return columns of predictions of rows, in their order; `seen` is called with counts."""
        ...


@dataclass(frozen=True)
class Task:
    """What a kind of model does with data.

    Attributes
    ----------
    training_set
        (model, config, opened training tables, images, hands=, annotators=, augmentation=, seed=)
        -> `TrainingSet`.
    answers
        (loaded, opened, images, batch=, workers=, device=, and its own `options`) -> `Answers`.
    fits
        Whether a track asks for what it answers.
    read
        Columns of annotations that answers are made from.
    fed
        Batch -> what the network is called with.
    example
        (config, number of samples) -> what the network is called with, for timing.
    options
        Names of options that `answers` takes besides.
    sample
        What a sample is, in words.
    """

    training_set: Callable[..., TrainingSet]
    answers: Callable[..., Answers]
    fits: Callable[[Track], bool]
    read: tuple[str, ...]
    fed: Callable[[Mapping[str, Tensor]], tuple[Tensor, ...]]
    example: Callable[[Any, int], tuple[Tensor, ...]]
    options: tuple[str, ...] = ()
    sample: str = "picture"

    def require(self, track: Track) -> None:
        """Raise HB302 where a track asks for something else."""
        if not self.fits(track):
            what = f"asks for something else than this model answers: {track.predicts}."
            raise BaselineError(Problem("HB302", track.name, what))

    def known(self, model: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that were given; HB302 for one that the task does not have."""
        given = {name: value for name, value in options.items() if value is not None}
        for name in given:
            if name not in self.options:
                flag = "--" + name.replace("_", "-")
                raise BaselineError(Problem("HB302", flag, f"is nothing that {model} takes."))
        return given
