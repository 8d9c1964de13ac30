"""A network that looks at rows of annotations: its outputs, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hand_baselines.feeding import batches_on, placed
from hand_baselines.models import Model
from hand_baselines.pictures import Pictures
from hand_baselines.samples import Crops, HandCrops
from hand_bench.annotations import AnnotationBatch


@dataclass(frozen=True)
class Network:
    """A network on its device, and how it is fed.

    Attributes
    ----------
    module, crops, device
        The network in evaluation mode, how its crops are cut, where it is.
    batch, workers
        Samples at once, and processes that read pictures.
    """

    module: nn.Module
    crops: Crops
    device: torch.device
    batch: int = 32
    workers: int = 0

    @classmethod
    def of(
        cls,
        network: nn.Module,
        model: Model,
        device: str | None = None,
        batch: int = 32,
        workers: int = 0,
    ) -> Network:
        """Put a network of a model on a device; default: the best one."""
        module, place = placed(network, device)
        return cls(module, model.crops(network.config), place, batch, workers)


@torch.no_grad()
def outputs(
    network: Network, rows: AnnotationBatch, pictures: Pictures
) -> Iterator[tuple[Any, dict[str, Tensor]]]:
    """Give the outputs for rows, and their batches of crops, in order."""
    data = HandCrops(rows.table, pictures, network.crops, labels=False)
    for batch in batches_on(network.device, data, network.batch, network.workers):
        yield network.module(*picture(batch)), batch


def picture(batch: Mapping[str, Tensor]) -> tuple[Tensor]:
    """Return what networks of one crop are called with: pictures, laid out by pixels."""
    return (batch["image"].contiguous(memory_format=torch.channels_last),)
