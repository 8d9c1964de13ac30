"""Every model against a plain loop, as ratios of one run: `python tests/speed/bench_networks.py`.

For each model a training step and a forward pass are measured in two forms (`network_forms`), each
in a process of its own, turn by turn: the best of some passes of each. Both forms get the same
batch, of the size that the preset trains with, from a HandSim world of size `mini` that is made
once (`workload.cache_folder`). A second table says where the time of a training step goes. Nothing
is asserted; where a model cannot be measured, its error is printed and the exit status is 1.

Numbers of CUDA devices come from the same code; none has been measured yet.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from network_forms import DATA, Setting, serve
from rich.console import Console
from rich.table import Table
from workload import cache_folder

from hand_baselines.models import MODELS, find_model
from hand_baselines.provenance import device_name
from hand_baselines.tables import training_table
from hand_bench.errors import DatasetError, HandBenchError
from hand_bench.sim.making import make

PASSES = 3
#: Passes of a small network go on for so many seconds, but are no more than `MOST`.
SECONDS, MOST = 2.0, 20
#: Columns of the tables where they go into a file.
WIDTH = 120
LEGEND = """\
plain  float32, default layout, a loop over parameters in Adam, the C library's own memory
used   training: {precision}, laid out by pixels, parameters as `train` groups them{extra}
       inference: float32, laid out by pixels, as `predict` prepares a network
Both have the same network, loss and batch. A sample is what a step counts: a picture, a hand with
all its views, a clip. Data: HandSim, size mini. Seconds are those of {clock}.
Making a batch: by one process, % of a step. The preset's workers do that while a step is computed;
waiting is what it would take beyond that, from both measurements."""
EXTRA = {"cpu": ", freed memory kept", "cuda": ", fused Adam"}
PARTS = ("waiting", "forward", "backward", "optimiser")


class Failed(Exception):
    """A model that could not be measured."""


class Worker:
    """A process that holds one form of one network after another."""

    def __init__(self, plain: bool, setting: Setting, home: Path):
        spawning = get_context("spawn")
        self.pipe, other = spawning.Pipe()
        self.process = spawning.Process(target=serve, args=(other, plain, setting, home))
        self.process.start()
        other.close()

    def ask(self, what: str, *arguments: Any) -> Mapping[str, Any]:
        """Have something done (`network_forms.Held`); `Failed` where that is not possible."""
        try:
            self.pipe.send((what, arguments))
            answer = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise Failed("its process ended") from error
        if isinstance(answer, str):
            raise Failed(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.join()


class Pair:
    """Both forms, in their processes; new ones after a failure."""

    def __init__(self, setting: Setting, home: Path):
        self.made_of = setting, home
        self.workers: tuple[Worker, Worker] | None = None

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End both processes."""
        for worker in self.workers or ():
            worker.close()
        self.workers = None

    def measure(self, name: str, passes: int) -> Line:
        """Measure a model; a line with its error where that fails."""
        try:
            return self._measure(name, passes)
        except Failed as error:
            self.close()
            return Line(name, error=str(error))

    def _measure(self, name: str, passes: int) -> Line:
        if self.workers is None:
            self.workers = Worker(True, *self.made_of), Worker(False, *self.made_of)
        plain, used = self.workers
        plain.ask("open", name)
        about = used.ask("open", name)
        train = alternate(plain, used, "train", passes)
        infer = alternate(plain, used, "infer", passes)
        return Line(name, **about, read=used.ask("read")["data"], train=train, infer=infer)


@dataclass(frozen=True)
class Times:
    """Parts of the best pass of each form, in seconds."""

    plain: Mapping[str, float]
    used: Mapping[str, float]

    @property
    def seconds(self) -> tuple[float, float]:
        """Of the plain pass and the used one."""
        return sum(self.plain.values()), sum(self.used.values())

    @property
    def ratio(self) -> float:
        """How many times faster the used form is."""
        plain, used = self.seconds
        return plain / used


@dataclass(frozen=True)
class Line:
    """What was measured of a model, or why not.

    Attributes
    ----------
    batch, sample, data, precision, workers
        Samples of a batch and what a sample is; the track; of the training.
    read
        Seconds in which one process makes a batch.
    train, infer
        Of a training step and of a forward pass.
    """

    name: str
    batch: int = 0
    sample: str = ""
    data: str = ""
    precision: str = ""
    workers: int = 0
    read: float = 0.0
    train: Times | None = None
    infer: Times | None = None
    error: str = ""

    def speeds(self) -> Iterator[str]:
        """Give the cells of the table of throughput: samples/s and ratios."""
        for times in (self.train, self.infer):
            assert times is not None
            yield from (f"{self.batch / seconds:.3g}" for seconds in times.seconds)
            yield f"{times.ratio:.2f}"

    def shares(self) -> dict[str, float]:
        """Return the parts of a used training step, which add up to 1.

        Worker processes make batches while the device computes: a step waits for what is left over.
        """
        assert self.train is not None
        step = self.train.seconds[1]
        ahead = step if self.workers else 0.0
        parts = {"waiting": max(0.0, self.read / max(self.workers, 1) - ahead), **self.train.used}
        return {part: seconds / sum(parts.values()) for part, seconds in parts.items()}

    def numbers(self) -> dict[str, Any]:
        """Return all of it for a file."""
        if self.error:
            return {"name": self.name, "error": self.error}
        assert self.train is not None
        assert self.infer is not None
        ratios = {"train": self.train.ratio, "infer": self.infer.ratio}
        return asdict(self) | {"times_faster": ratios, "shares": self.shares()}


def alternate(plain: Worker, used: Worker, what: str, passes: int) -> Times:
    """Let both forms do something in turn, after a pass of each that does not count."""
    found: list[tuple[Mapping[str, float], Mapping[str, float]]] = []
    total = 0.0
    while len(found) <= passes or (total < SECONDS and len(found) <= MOST):
        found.append((plain.ask(what), used.ask(what)))
        total += sum(map(_seconds, found[-1]))
    plains, useds = zip(*found[1:], strict=True)
    return Times(min(plains, key=_seconds), min(useds, key=_seconds))


def _seconds(parts: Mapping[str, float]) -> float:
    return sum(parts.values())


def make_worlds(names: Sequence[str], home: Path) -> None:
    """Make the worlds that models are measured on, where they are not there yet."""
    with _home(home):
        for track in sorted({DATA[name] for name in names if name in DATA}):
            try:
                training_table(track)
            except DatasetError:  # not there, or not all of it
                _say(f"making the world of {track}, size mini, in {home}")
                make(track, size="mini")


@contextmanager
def _home(home: Path) -> Iterator[None]:
    with mock.patch.dict("os.environ", HAND_BENCH_HOME=str(home)):
        yield


def measure(names: Sequence[str], setting: Setting, home: Path, passes: int) -> list[Line]:
    """Measure models one after another."""
    lines = []
    with Pair(setting, home) as pair:
        for number, name in enumerate(names):
            _say(f"{number + 1} of {len(names)}: {name}")
            lines.append(pair.measure(name, passes))
    return lines


def speed_table(lines: Sequence[Line]) -> Table:
    """Make the table of throughput."""
    kinds = [f"{what}, {form}" for what in ("train", "infer") for form in ("plain", "used")]
    table = Table("model", "batch", title="samples per second")
    for kind in kinds:
        table.add_column(kind, justify="right")
        if kind.endswith("used"):
            table.add_column("times faster", justify="right")
    for line in lines:
        if not line.error:
            batch = f"{line.batch} {line.sample}s"
            table.add_row(line.name, batch, *line.speeds())
    return table


def share_table(lines: Sequence[Line]) -> Table:
    """Make the table of where the time of a used training step goes."""
    title = "where the time of a training step goes, %"
    table = Table("model", "data", *PARTS, "making a batch", title=title)
    for line in lines:
        if line.train is not None:
            shares = line.shares()
            made = line.read / line.train.seconds[1]
            cells = [*(shares[part] for part in PARTS), made]
            table.add_row(line.name, line.data, *(f"{100 * cell:.0f}" for cell in cells))
    return table


def best_precision(device: str) -> str:
    """Return what the shipped weights were trained in, where a device computes with it."""
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    given = _parser().parse_args(arguments)
    device = given.device or ("cuda" if torch.cuda.is_available() else "cpu")
    precision = given.precision or best_precision(device)
    setting = Setting(given.preset, device, precision, given.threads, given.cpu_time)
    try:
        names = [find_model(name).name for name in given.models or MODELS]
    except HandBenchError as error:
        sys.exit(str(error))
    home = given.home or cache_folder() / "mini-worlds"
    make_worlds(names, home)
    lines = measure(names, setting, home, given.passes)
    _print(lines, setting)
    if given.json:
        numbers = {"setting": asdict(setting), "models": [line.numbers() for line in lines]}
        given.json.write_text(json.dumps(numbers, indent=1) + "\n", "utf-8")
    return int(any(line.error for line in lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the best one")
    help_ = "of the used training step; default: bf16 where the device computes with it"
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"), help=help_)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    help_ = "count seconds of the processor: for a busy machine, with --threads 1"
    parser.add_argument("--cpu-time", action="store_true", help=help_)
    parser.add_argument("--passes", type=int, default=PASSES, help="at least so many of each form")
    parser.add_argument("--home", type=Path, help="folder of HandSim's worlds, size mini")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers, too")
    return parser


def _print(lines: Sequence[Line], setting: Setting) -> None:
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
    place = device_name(setting.place)
    if setting.device == "cpu":
        place = f"a processor, threads: {setting.threads or torch.get_num_threads()}"
    console.print(f"preset {setting.preset} on {place}")
    console.print(speed_table(lines))
    console.print(share_table(lines))
    casts = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}[setting.precision]
    clock = "the processor" if setting.cpu_time else "the clock"
    legend = LEGEND.format(precision=casts, extra=EXTRA[setting.device], clock=clock)
    console.print(legend)
    for line in lines:
        if line.error:
            console.print(f"{line.name} could not be measured: {line.error}", soft_wrap=True)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
