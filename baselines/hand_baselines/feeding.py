"""Batches on their way to the device that computes.

CUDA devices copy from pinned memory while the next thing is prepared; on a processor nothing moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


def batches_on(
    device: torch.device, data: Dataset, batch: int, workers: int = 0
) -> Iterator[dict[str, Tensor]]:
    """Give samples in their order, `batch` at a time, on a device; `workers` processes read."""
    pinned = device.type == "cuda"
    for loaded in DataLoader(data, batch, num_workers=workers, pin_memory=pinned):
        yield moved(loaded, device)


def moved(loaded: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return a batch on a device; to CUDA nobody waits for the copy."""
    aside = device.type == "cuda"
    return {name: value.to(device, non_blocking=aside) for name, value in loaded.items()}
