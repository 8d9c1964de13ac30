"""Soft silhouettes on this machine, as ratios of one run: `python tests/speed/bench_silhouette.py`.

Each row renders HandSim's hand and goes back to its vertices, in one thread. At 64 px all pixels
and all faces are compared with the pairs near outlines; at 224 px, where the dense form takes tens
of gigabytes, the search for pairs by torch is compared with the compiled one. Best of some passes;
nothing is asserted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from unittest import mock

import torch
from rich.console import Console
from rich.table import Table

from hand_baselines import silhouette_pairs
from hand_baselines.hand_layer import HandLayer
from hand_baselines.silhouette import SIGMA, WILDHANDS_SIGMA, dense_silhouette, soft_silhouette
from hand_bench.sim.hand import models

PASSES = 6


def posed() -> tuple[torch.Tensor, torch.Tensor]:
    """Make vertices (1, v, 3), mm, of a hand that shows its palm, and the faces."""
    layer = HandLayer(models()[0])
    pose = torch.zeros(1, 16, 3)
    pose[0, 0] = torch.tensor([1.2, 0.3, 0.2])
    place = torch.tensor([[-20.0, 20, 450]])
    _, vertices = layer(rotvec=pose, betas=torch.zeros(10), translation=place, flat_hand_mean=False)
    return vertices, layer.faces


def camera(side: int) -> torch.Tensor:
    """Make intrinsics by which the hand is half as wide as a picture."""
    middle = (side - 1) / 2
    return torch.tensor([[1.5 * side, 0, middle], [0, 1.5 * side, middle], [0, 0, 1]])


def best(render: Callable, side: int, sigma: float, passes: int = PASSES) -> tuple[float, float]:
    """Return the fewest seconds forward and backward."""
    vertices, faces = posed()
    times = []
    for _ in range(passes):
        leaf = vertices.clone().requires_grad_()
        start = time.perf_counter()
        picture = render(leaf, faces, camera(side), (side, side), sigma=sigma)
        middle = time.perf_counter()
        picture.square().sum().backward()
        times.append((middle - start, time.perf_counter() - middle))
    forward, backward = zip(*times, strict=True)
    return min(forward), min(backward)


def searched_by_torch(*arguments, **options) -> torch.Tensor:
    """Render as where numba is not installed."""
    with mock.patch.object(silhouette_pairs, "compiled", None):
        return soft_silhouette(*arguments, **options)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    table = Table("what", "sigma, px^2", "plain, ms", "forward, ms", "backward, ms", "times faster")
    rows = (
        ("64 px, dense", dense_silhouette, 64, SIGMA),
        ("224 px, torch", searched_by_torch, 224, SIGMA),
        ("224 px, torch", searched_by_torch, 224, WILDHANDS_SIGMA),
    )
    for name, plain, side, sigma in rows:
        slow = sum(best(plain, side, sigma, 1))
        used = best(soft_silhouette, side, sigma)
        cells = (f"{1e3 * each:.1f}" for each in (slow, *used))
        table.add_row(name, f"{sigma:.2f}", *cells, f"{slow / sum(used):.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
