"""Timing of networks: parameters, operations, latency and throughput, peak memory.

A pass is a forward pass without gradients on random pictures; nothing is read. Latency is the
median of `PASSES` passes after `WARM` that do not count. Operations are those that torch counts
(matrix products and convolutions, two for each multiply-add). Peak memory is the device's where it
is a GPU; on a processor it is the most that the process ever held, weights and libraries included.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from hand_baselines.models import Model
from hand_baselines.provenance import device_name
from hand_baselines.resnet import parameter_count
from hand_baselines.tables import open_table
from hand_bench.tracks import find_track

PASSES, WARM = 5, 2
BATCHES = 40
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def measure_loading(
    model: Model,
    preset: str,
    track: str,
    workers: Sequence[int] = (1,),
    *,
    batch: int | None = None,
) -> list[dict[str, Any]]:
    """Measure how fast a track's training pictures become random samples, without any network.

    To be compared with the samples/s of a training step: with too few workers a device waits.
    Every row is `BATCHES` batches after the first one of each worker.
    """
    opened = open_table(find_track(track), "train")
    data, order, _ = model.task().training_set(model, model.preset(preset), [opened])
    size = batch or model.options.get(preset, {}).get("batch", 16)
    rows = []
    for count in workers:
        batches = order.batches(size, 0, sys.maxsize)
        ready = iter(DataLoader(data, batch_sampler=batches, num_workers=count))  # pyright: ignore
        for _ in range(max(count, 1)):
            next(ready)
        start = time.perf_counter()
        for _ in range(BATCHES):
            next(ready)
        seconds = time.perf_counter() - start
        rows.append({"workers": count, "samples_per_second": round(BATCHES * size / seconds, 1)})
        del ready
    return rows


@torch.no_grad()
def measure(
    model: Model,
    preset: str,
    batches: Sequence[int] = (1, 16),
    precisions: Sequence[str] = ("fp32",),
    *,
    threads: int = 0,
    device: str | None = None,
) -> dict[str, Any]:
    """Measure a network with random weights.

    Parameters
    ----------
    model, preset
        What is measured.
    batches, precisions
        Every pair gives a row; fp16 and bf16 by automatic casting.
    threads, device
        Of a processor (0: as it is), and what computes.
    """
    from torch.utils.flop_counter import FlopCounterMode

    if threads:
        torch.set_num_threads(threads)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    network = model.network_class()(model.preset(preset)).to(place).eval()
    example = model.task().example

    def samples(count: int) -> tuple[Any, ...]:
        return _moved(example(model.preset(preset), count), place)

    with FlopCounterMode(display=False) as counter:
        network(*samples(1))
    rows = []
    for precision in precisions:
        for size in batches:
            seconds = _median(network, samples(size), place, PRECISIONS[precision])
            rows.append(
                {
                    "precision": precision,
                    "batch": size,
                    "ms": round(1000 * seconds, 3),
                    "images_per_second": round(size / seconds, 2),
                    "peak_mb": _peak(place),
                }
            )
    return {
        "parameters": parameter_count(network),
        "gflops": round(counter.get_total_flops() / 1e9, 3),
        "device": device_name(place),
        "rows": rows,
    }


def _moved(values: Any, place: torch.device) -> Any:
    """Bring tensors, also those inside of tuples, to a device."""
    if isinstance(values, torch.Tensor):
        return values.to(place)
    parts = [_moved(value, place) for value in values]
    return type(values)(*parts) if hasattr(values, "_fields") else tuple(parts)


def _median(
    network: torch.nn.Module, samples: tuple[Any, ...], place: torch.device, kind: torch.dtype
) -> float:
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    times = []
    for _ in range(WARM + PASSES):
        start = time.perf_counter()
        with torch.autocast(place.type, kind, enabled=kind != torch.float32):
            network(*samples)
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM:])


def _peak(place: torch.device) -> float | None:
    if place.type == "cuda":
        return torch.cuda.max_memory_allocated(place) / 1e6
    if sys.platform == "win32":
        return None
    import resource

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held / 1e6 if sys.platform == "darwin" else held / 1e3
