"""Networks on the device that computes, and batches on their way to it.

CUDA devices copy from pinned memory while the next thing is prepared; on a processor nothing moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from hand_baselines.memory import keep_memory
from hand_baselines.resnet import channels_last


def placed(
    network: nn.Module, device: str | None = None, *, by_pixels: bool = True
) -> tuple[nn.Module, torch.device]:
    """Put a network on a device (default: the best one), ready to answer; return both.

    `by_pixels`: its convolutions are laid out so (`resnet.channels_last`).
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if place.type == "cpu":
        keep_memory()
    network = network.to(place).eval()
    return channels_last(network) if by_pixels else network, place


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
