"""Networks in the two forms that `bench_networks` compares, each in a process of its own.

* `Used`: a training step is the one that `train` takes (`training_step.Step`); a network answers
  as `predict` prepares it.
* `Plain`: the loop that one writes first. float32, the default layout of memory, parameter by
  parameter through Adam, and the C library hands out memory as it likes.

The network, its loss and its batch are the same in both: the operators written by hand are
compared with plain ones in `bench_training` and `bench_silhouette`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from itertools import count, cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from hand_baselines.feeding import moved, placed
from hand_baselines.models import Model, find_model
from hand_baselines.runs import ENDS
from hand_baselines.tables import training_table
from hand_baselines.tasks import TrainingSet
from hand_baselines.training_options import Options
from hand_baselines.training_step import Step, make_accelerator

_WILD = ("wildhands", "handnet", "arcticnet", "handoccnet", "hamer", "detector")
#: The track on whose training pictures each model is measured.
DATA = {
    **dict.fromkeys(("internet", "rootnet", "backbone"), "handsim-interhand26m"),
    "svegonet": "handsim-assemblyhands",
    **dict.fromkeys(("keypoints2d", "mvexonet"), "handsim-assemblyhands-annotation"),
    "msg3d": "handsim-assemblyhands-verbs",
    "htt": "handsim-h2o-pose",
    **dict.fromkeys(_WILD, "handsim-arctic-ego"),
}
#: Models that answer in the default layout.
BY_CHANNELS = ("msg3d",)
#: Batches that are read to measure how fast they are; one before them does not count.
READ = 2
#: The plain step and the used one go the same small way.
RATE = 1e-6


@dataclass(frozen=True)
class Setting:
    """What is measured, and on what.

    Attributes
    ----------
    preset
        Of all models.
    device
        "cpu" or "cuda".
    precision
        Of the used step: "no" (float32), "bf16" or "fp16".
    threads
        Of torch on a processor; 0: torch's own choice.
    cpu_time
        Whether seconds are the processor's: those of other programs do not count.
    """

    preset: str
    device: str
    precision: str
    threads: int = 0
    cpu_time: bool = False

    @property
    def place(self) -> torch.device:
        """The device."""
        return torch.device(self.device)


@dataclass(frozen=True)
class Subject:
    """A model with its preset, options of training, data and one batch."""

    model: Model
    options: Options
    network: nn.Module
    data: TrainingSet

    @classmethod
    def of(cls, name: str, setting: Setting) -> Subject:
        """Open a model's training data and draw its first weights, always the same."""
        model = find_model(name)
        usual = dict(model.options.get(setting.preset, {}))
        kept = {option: value for option, value in usual.items() if option not in ENDS}
        kept |= {"steps": 1, "precision": setting.precision, "learning_rate": RATE}
        options = Options(**kept)
        torch.manual_seed(0)
        network = model.network_class()(model.preset(setting.preset))
        opened = [training_table(DATA[name])]
        varied: dict[str, Any] = {"augmentation": options.augmentation, "seed": 0}
        data = model.task().training_set(model, network.config, opened, **varied)
        return cls(model, options, network, data)

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Give batches of random samples, made in this process; few samples come round again."""
        samples = cycle((0, number) for number in self.data.order.epoch(0).tolist())
        batches = (list(islice(samples, self.options.batch)) for _ in count())
        return iter(DataLoader(self.data.data, batch_sampler=batches))  # pyright: ignore

    @cached_property
    def batch(self) -> dict[str, Tensor]:
        """The first batch of a training."""
        return next(self.batches())


class Used:
    """A network as `train` and `predict` run it."""

    def __init__(self, subject: Subject, setting: Setting):
        self.subject, self.setting, self.device = subject, setting, setting.place
        # A copy: the accelerator casts what it prepares, and `predict` casts nothing.
        by_pixels = subject.model.name not in BY_CHANNELS
        self.network, _ = placed(deepcopy(subject.network), setting.device, by_pixels=by_pixels)
        accelerator = make_accelerator(subject.options, cpu=self.device.type == "cpu")
        self.step = Step.of(subject.network, subject.options, accelerator, subject.model.task().fed)

    def train(self) -> dict[str, float]:
        """Take a step; return its parts in seconds."""
        clock = Clock(self.setting)
        terms = self.step.forward(self.subject.batch)
        clock.stop("forward")
        self.step.backward(terms)
        clock.stop("backward")
        self.step.update()
        clock.stop("optimiser")
        return clock.seconds

    def infer(self) -> dict[str, float]:
        """Look at the batch once."""
        return look(self.network, self.subject, self.setting)


class Plain:
    """The same network in a plain loop."""

    def __init__(self, subject: Subject, setting: Setting):
        self.subject, self.setting, self.device = subject, setting, setting.place
        self.network: Any = subject.network.to(self.device)
        options, weights = subject.options, self.network.parameters()
        plain: dict[str, Any] = {"weight_decay": options.weight_decay, "foreach": False}
        if options.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(weights, RATE, 0.9, nesterov=True, **plain)
        else:
            self.optimizer = torch.optim.Adam(weights, RATE, **plain)

    def train(self) -> dict[str, float]:
        """Take a step; return its seconds."""
        self.network.train()
        clock = Clock(self.setting)
        with default_layout():
            batch = moved(self.subject.batch, self.device)
            output = self.network(*self.subject.model.task().fed(batch))
            loss = self.network.losses(output, self.network.targets(batch)).total
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        clock.stop("step")
        return clock.seconds

    def infer(self) -> dict[str, float]:
        """Look at the batch once."""
        with default_layout():
            return look(self.network.eval(), self.subject, self.setting)


class Clock:
    """Seconds of the parts of something that a device does."""

    def __init__(self, setting: Setting):
        self.setting, self.seconds = setting, dict[str, float]()
        self.last = self._now()

    def stop(self, part: str) -> None:
        """End a part, and begin the next one."""
        now = self._now()
        self.seconds[part], self.last = now - self.last, now

    def _now(self) -> float:
        if self.setting.device == "cuda":
            torch.cuda.synchronize()
        return time.process_time() if self.setting.cpu_time else time.perf_counter()


@torch.no_grad()
def look(network: nn.Module, subject: Subject, setting: Setting) -> dict[str, float]:
    """Measure a forward pass without gradients, in float32 as `predict` makes it."""
    clock = Clock(setting)
    network(*subject.model.task().fed(moved(subject.batch, setting.place)))
    clock.stop("forward")
    return clock.seconds


@contextmanager
def default_layout() -> Iterator[None]:
    """Leave pictures laid out by channels where networks ask for them by pixels."""
    contiguous = Tensor.contiguous
    with mock.patch.object(Tensor, "contiguous", lambda self, **_: contiguous(self)):
        yield


def seconds_per_batch(subject: Subject, setting: Setting) -> float:
    """Measure how long one process takes for a batch of random samples."""
    batches = subject.batches()
    next(batches)
    clock = Clock(setting)
    for _ in range(READ):
        next(batches)
    clock.stop("batches")
    return clock.seconds["batches"] / READ


def serve(pipe: Connection, plain: bool, setting: Setting, home: Path) -> None:
    """Answer what `bench_networks.Worker` asks, until nobody asks any more."""
    os.environ["HAND_BENCH_HOME"] = str(home)
    if setting.threads:
        torch.set_num_threads(setting.threads)
    held = Held(plain, setting)
    with suppress(EOFError, BrokenPipeError):
        while True:
            what, arguments = pipe.recv()
            pipe.send(answer(held, what, arguments))


def answer(held: Held, what: str, arguments: tuple[Any, ...]) -> Mapping[str, Any] | str:
    """Return what a form answers, or what went wrong in words."""
    try:
        return getattr(held, what)(*arguments)
    except Exception as error:  # whatever a model raises is shown in its row
        return f"{type(error).__name__}: {error}"


class Held:
    """One form of one network after another: what a process is asked for."""

    def __init__(self, plain: bool, setting: Setting):
        self.kind = Plain if plain else Used
        self.setting = setting
        self.form: Plain | Used | None = None

    def open(self, name: str) -> Mapping[str, Any]:
        """Take a model in hand, in place of the last one; say how it is trained."""
        self.form = None
        subject = Subject.of(name, self.setting)
        self.form = self.kind(subject, self.setting)
        return {"batch": subject.options.batch, "sample": subject.model.task().sample,
                "workers": subject.options.workers, "data": DATA[name],
                "precision": subject.options.precision}  # fmt: skip

    def read(self) -> dict[str, float]:
        """Measure how long a batch takes."""
        assert self.form is not None
        return {"data": seconds_per_batch(self.form.subject, self.setting)}

    def train(self) -> dict[str, float]:
        """Measure a training step."""
        assert self.form is not None
        return self.form.train()

    def infer(self) -> dict[str, float]:
        """Measure a forward pass."""
        assert self.form is not None
        return self.form.infer()
