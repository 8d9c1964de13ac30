"""What models do with data: how a kind of model is trained, and how it answers a track.

A `Task` is a value of functions; `models.Model.task` names one. The loop of training and the
prediction in parts know nothing else of crops, clips or views.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
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


def one_crop(config: Any, count: int) -> tuple[Tensor]:
    """Return random crops."""
    return (torch.rand(count, 3, config.input_size, config.input_size),)


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
    options
        Names of options that `answers` takes besides.
    example
        (config, count) -> random samples as networks are called with them, to measure them.
    sample
        What a training sample is, in words.
    measured
        What `example` counts, where it is something else.
    validated
        (answers, rows) -> (value by which weights are chosen, larger is better; what the log of a
        training shows besides), where that is not the harness's score of a track.
    instead
        What to do with a kind of model that answers no track.
    """

    training_set: Callable[..., TrainingSet]
    answers: Callable[..., Answers]
    fits: Callable[[Track], bool]
    read: tuple[str, ...]
    fed: Callable[[Mapping[str, Tensor]], tuple[Any, ...]]
    options: tuple[str, ...] = ()
    example: Callable[[Any, int], tuple[Any, ...]] = one_crop
    sample: str = "picture"
    measured: str = ""
    validated: Callable[[Any, AnnotationBatch], tuple[float, dict[str, float]]] | None = None
    instead: str = ""

    def require(self, track: Track) -> None:
        """Raise HB302 where a track asks for something else."""
        if not self.fits(track):
            what = f"asks for something else than this model answers: {track.predicts}."
            raise BaselineError(Problem("HB302", track.name, what, fix=self.instead))


def given_options(
    taker: str, options: Mapping[str, Any], known: Collection[str] = ()
) -> dict[str, Any]:
    """Return the options that were given; HB302 for one that `taker` does not know."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in known:
            flag = "--" + name.replace("_", "-")
            raise BaselineError(Problem("HB302", flag, f"is nothing that {taker} takes."))
    return given
