"""What the 2D keypoint network does with data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hand_baselines.instants import Views, views_of
from hand_baselines.keypoints2d.predict import answers
from hand_baselines.tasks import Task
from hand_baselines.view_task import READ, fits, training_set

#: Views of the samples that networks are measured with.
EXAMPLE = 8


def fed(batch: Mapping[str, Tensor]) -> tuple[Views]:
    """Return what the network is called with."""
    return (views_of(dict(batch)),)


def example(config: Any, count: int) -> tuple[Views]:
    """Return random views of so many hands, to measure a network with."""
    shape, size = (count, EXAMPLE), config.input_size
    pose = torch.eye(3, 4).expand(*shape, 3, 4).clone()
    pose[..., 2, 3] = 900.0
    affine = torch.eye(2, 3) + torch.tensor([[0.0, 0, 1], [0, 0, 1]]) * (size / 2)
    return (
        Views(
            torch.rand(*shape, 3, size, size),
            torch.ones(shape, dtype=torch.bool),
            pose,
            torch.eye(3).expand(*shape, 3, 3) * 300.0,
            torch.zeros(*shape, 8),
            affine.expand(*shape, 2, 3),
        ),
    )


KEYPOINTS = Task(
    training_set,
    answers,
    fits,
    READ,
    fed,
    ("triangulation", "views"),
    example=example,
    sample="hand",
)
