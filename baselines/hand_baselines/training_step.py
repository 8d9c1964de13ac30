"""One step of a training: a batch goes forward, the gradient back, and the optimiser on.

`training.train` takes these steps, and `tests/speed/bench_networks.py` measures the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hand_baselines.feeding import moved
from hand_baselines.resnet import channels_last
from hand_baselines.training_options import Options


@dataclass(frozen=True)
class Step:
    """What a step needs; calling it takes one.

    Attributes
    ----------
    network, optimizer
        As the accelerator prepared them.
    accelerator
        An `accelerate.Accelerator`: the device, and how its numbers are cast.
    fed
        Batch -> what the network is called with (`tasks.Task.fed`).
    clip
        Largest norm of the gradient; 0: as it is.
    """

    network: Any
    optimizer: Any
    accelerator: Any
    fed: Callable[[Mapping[str, Tensor]], tuple[Any, ...]]
    clip: float = 0.0

    @classmethod
    def of(
        cls,
        network: nn.Module,
        options: Options,
        accelerator: Any,
        fed: Callable[[Mapping[str, Tensor]], tuple[Any, ...]],
    ) -> Step:
        """Prepare a network for training."""
        fused = accelerator.device.type == "cuda"
        optimizer = make_optimizer(network, options, fused=fused)
        prepared = accelerator.prepare(channels_last(network.train()), optimizer)
        return cls(*prepared, accelerator, fed, options.clip)

    @property
    def plain(self) -> Any:
        """The network itself, without what the accelerator put around it."""
        return self.accelerator.unwrap_model(self.network)

    def __call__(self, loaded: Mapping[str, Tensor]) -> tuple[Any, Tensor | float]:
        """Take a step; return the terms of its loss, and the norm of the gradient."""
        terms = self.forward(loaded)
        self.backward(terms)
        return terms, self.update()

    def wait(self) -> None:
        """Wait until the device has done what it was told, to measure time."""
        if self.accelerator.device.type == "cuda":
            torch.cuda.synchronize(self.accelerator.device)

    def forward(self, loaded: Mapping[str, Tensor]) -> Any:
        """Return the terms of the loss of a batch."""
        batch = moved(loaded, self.accelerator.device)
        with self.accelerator.autocast():
            output = self.network(*self.fed(batch))
        return self.plain.losses(output, self.plain.targets(batch))

    def backward(self, terms: Any) -> None:
        """Compute the gradient of a loss."""
        self.optimizer.zero_grad()
        self.accelerator.backward(terms.total)

    def update(self) -> Tensor | float:
        """Change the weights; return the norm of the gradient."""
        parameters = self.network.parameters()
        norm = self.accelerator.clip_grad_norm_(parameters, self.clip or math.inf)
        self.optimizer.step()
        return norm


def make_accelerator(options: Options, *, cpu: bool = False) -> Any:
    """Return an accelerator of the options' precision on the best device, or on the processor.

    Accelerate keeps the first precision of a process; another training may have another one.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
    return Accelerator(mixed_precision=options.precision, cpu=cpu)


def make_optimizer(
    network: nn.Module, options: Options, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Return the optimiser of a network; `fused`: all weights are changed in one go (CUDA)."""
    groups = parameter_groups(network, options)
    decayed: dict[str, Any] = {"lr": options.learning_rate, "weight_decay": options.weight_decay}
    if fused:
        decayed["fused"] = True
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True, **decayed)
    return torch.optim.Adam(groups, **decayed)


def parameter_groups(network: nn.Module, options: Options) -> list[dict[str, Any]]:
    """Return the parameters by how fast they learn, relative to the common rate."""
    heads = tuple(f"{name}." for name in network.HEADS)  # pyright: ignore
    named = list(network.named_parameters())
    slow = [parameter for name, parameter in named if not name.startswith(heads)]
    fast = [parameter for name, parameter in named if name.startswith(heads)]
    return [{"params": slow, "factor": 1.0}, {"params": fast, "factor": options.head_rate}]
