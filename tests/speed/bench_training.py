"""Training on this machine, as ratios of one run: `python tests/speed/bench_training.py`.

Each row compares a plain form with the one that is used:

* the warp of a picture: NumPy's four gathers, and compiled;
* the expected bins of volumes and their gradient: softmax and sums by autograd, and by hand;
* a whole step of InterNet `small`, batch 16: float32 in the default layout with plain expected
  bins, and what `train` does.

The last column but one is measured after `memory.keep_memory`, as `train` calls it, and is what the
ratio is of. Best of some passes; nothing is asserted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from hand_baselines.crops import crop_affine, invert
from hand_baselines.heads import soft_argmax_3d
from hand_baselines.internet import model as internet
from hand_baselines.internet.config import PRESETS
from hand_baselines.internet.targets import InterNetTargets
from hand_baselines.memory import keep_memory
from hand_baselines.resnet import channels_last
from hand_baselines.warping import warp_image

PASSES = 5


def plain_warp(image: np.ndarray, affine: np.ndarray, side: int) -> np.ndarray:
    """The bilinear warp by NumPy's gathers."""
    inverse = invert(affine)
    x, y = np.arange(side), np.arange(side)[:, None]
    u, v = (line[0] * x + line[1] * y + line[2] for line in inverse)
    left, top = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    right, bottom = (u - left).astype(np.float32), (v - top).astype(np.float32)
    height, width = image.shape[:2]
    result = np.zeros((side, side, 3), np.float32)
    for du, horizontal in ((0, 1 - right), (1, right)):
        for dv, vertical in ((0, 1 - bottom), (1, bottom)):
            s, t = left + du, top + dv
            inside = (s >= 0) & (s < width) & (t >= 0) & (t < height)
            pixels = image[np.clip(t, 0, height - 1), np.clip(s, 0, width - 1)]
            weight = (horizontal * vertical)[..., None]
            result += weight * np.where(inside[..., None], pixels, 0)
    return result


def plain_expected_bins(volumes: torch.Tensor) -> torch.Tensor:
    """Expected bins by softmax and sums, differentiated by autograd."""
    shares = volumes.float().flatten(-3).softmax(dim=-1).view(volumes.shape)
    sums = (shares.sum((-3, -2)), shares.sum((-3, -1)), shares.sum((-2, -1)))
    return torch.stack([(s * torch.arange(s.shape[-1])).sum(-1) for s in sums], dim=-1)


def best(what: Callable[[], object]) -> float:
    """Return the fewest seconds of some passes."""
    times = []
    for _ in range(PASSES + 2):
        start = time.perf_counter()
        what()
        times.append(time.perf_counter() - start)
    return min(times[2:])


def expected_bins(read: Callable, volumes: torch.Tensor) -> Callable[[], None]:
    """Make a pass: read volumes, and back."""

    def once() -> None:
        volumes.grad = None
        read(volumes).sum().backward()

    return once


def step(*, fast: bool, precision: torch.dtype | None, batch: int = 16) -> Callable[[], None]:
    """Make a training step of InterNet `small` on random crops."""
    torch.manual_seed(0)
    network = internet.InterNet(PRESETS["small"]).train()
    images = torch.randint(0, 256, (batch, 3, 128, 128), dtype=torch.uint8)
    if fast:
        network = channels_last(network)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    known = torch.ones(batch, dtype=torch.bool)
    targets = InterNetTargets(
        torch.rand(batch, 42, 3) * 32,
        torch.ones(batch, 42, dtype=torch.bool),
        torch.rand(batch) * 64,
        known,
        torch.ones(batch, 2),
        known,
    )

    def once() -> None:
        internet.soft_argmax_3d = soft_argmax_3d if fast else plain_expected_bins
        with torch.autocast("cpu", precision, enabled=precision is not None):
            output = network(images)
        loss = network.losses(output, targets).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return once


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    image = np.random.default_rng(0).integers(0, 256, (334, 512, 3), dtype=np.uint8)
    affine = crop_affine(np.array([100.0, 50, 200, 200]), 128, 0.3)
    volumes = torch.randn(16, 42, 32, 32, 32, requires_grad=True)
    half = volumes.detach().bfloat16().requires_grad_()
    pairs = (
        (
            "warp of a picture to 128 px",
            lambda: plain_warp(image, affine, 128),
            lambda: warp_image(image, affine, (128, 128)),
        ),
        (
            "expected bins, 16 pictures, float32",
            expected_bins(plain_expected_bins, volumes),
            expected_bins(soft_argmax_3d, volumes),
        ),
        (
            "expected bins, 16 pictures, bfloat16",
            expected_bins(plain_expected_bins, half),
            expected_bins(soft_argmax_3d, half),
        ),
        (
            "step of InterNet small, float32",
            step(fast=False, precision=None),
            step(fast=True, precision=None),
        ),
        (
            "the same, float32 against bfloat16",
            step(fast=False, precision=None),
            step(fast=True, precision=torch.bfloat16),
        ),
    )
    console = Console()
    console.print(f"{torch.get_num_threads()} threads")
    plain_times = {name: best(plain) for name, plain, _ in pairs}
    used_times = {name: best(used) for name, _, used in pairs}
    console.print("memory kept:", keep_memory())
    kept_times = {name: best(used) for name, _, used in pairs}
    table = Table("what", "plain, ms", "used, ms", "memory kept, ms", "times faster")
    for name, plain in plain_times.items():
        times = (plain, used_times[name], kept_times[name])
        ratio = f"{plain / kept_times[name]:.2f}"
        table.add_row(name, *(f"{1e3 * each:.2f}" for each in times), ratio)
    console.print(table)


if __name__ == "__main__":
    main()
