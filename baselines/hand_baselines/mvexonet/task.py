"""What an MVExoNet does with data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hand_baselines.instants import Views, views_of
from hand_baselines.keypoints2d.task import example as views_example
from hand_baselines.mvexonet.predict import answers
from hand_baselines.tasks import Task
from hand_baselines.view_task import READ, fits, training_set


def fed(batch: Mapping[str, Tensor]) -> tuple[Views, Tensor]:
    """Return what the network is called with."""
    return views_of(dict(batch)), batch["centre"]


def example(config: Any, count: int) -> tuple[Views, Tensor]:
    """Return random views of so many hands, to measure a network with."""
    return *views_example(config, count), torch.zeros(count, 3)


MULTIVIEW = Task(
    training_set,
    answers,
    fits,
    READ,
    fed,
    ("start", "rounds", "triangulation"),
    example=example,
    sample="hand",
)
