"""Training: one loop for all models, that goes on after a kill as if nothing had happened.

Conventions
-----------
A step is one batch. What a step does depends on the seed and its number alone: the order of samples
and their random views (`samples.Order`, `samples.HandCrops`), the random numbers of the network,
the learning rate. So a run that was killed and continues from its last saved state gives the same
weights, bit for bit on the same machine with the same number of threads and processes.

``state.pt`` holds weights, optimiser, counters and the open window of the log; it is replaced
atomically every `save_every` steps, before and after every evaluation and at the end. Rows of the
log beyond the saved state are dropped when a run continues.

With `minutes` the number of steps is set after `MEASURED` steps, from their throughput, corrected
after a quarter of them, and saved at once. A run that is killed before that measures again.

Files of a run: ``state.pt``, ``log.csv``, ``log.json`` (one object a line), ``loss.png`` (where
matplotlib is installed), ``record.json``, ``last/`` and ``best/`` (weights).
"""

from __future__ import annotations

import gc
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from hand_baselines.memory import keep_memory
from hand_baselines.models import Model
from hand_baselines.provenance import commit, device_name
from hand_baselines.resnet import parameter_count
from hand_baselines.samples import Order
from hand_baselines.training_log import Log, Window, plot
from hand_baselines.training_options import Options
from hand_baselines.training_step import Step, make_accelerator
from hand_baselines.weights import save_weights
from hand_bench import files
from hand_bench.errors import BaselineError, Problem
from hand_bench.version import __version__

Progress = Callable[[str, int, int], None]
STATE, RECORD = "state.pt", "record.json"
#: Throughput is measured over these steps; the first of them warm up.
MEASURED, WARMING = 40, 8


@dataclass
class Job:
    """What is trained on what.

    Attributes
    ----------
    model, preset, network
        The network with its first weights.
    data, order
        Samples with labels (`tasks.TrainingSet`), and their order.
    facts
        What the weights need besides (see `weights`).
    about
        What the record says of the data.
    initial_weights
        What the record says of the first weights.
    evaluate
        Scores the network: (its value, larger is better; what to print).
    """

    model: Model
    preset: str
    network: nn.Module
    data: Dataset
    order: Order
    facts: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    initial_weights: str = "random"
    evaluate: Callable[[nn.Module], tuple[float, dict[str, float]]] | None = None


@dataclass
class State:
    """Where a run is; all of it is saved."""

    step: int = 0
    total: int | None = None
    seconds: float = 0.0
    waited: float = 0.0
    images_seconds: float = 0.0
    evaluated: int = 0
    best: float = -math.inf
    best_step: int = 0
    resumed: int = 0


def train(
    job: Job,
    out: str | Path,
    options: Options,
    *,
    accelerator: Any = None,
    after_step: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Train, or go on with a run that was killed; return the record.

    Parameters
    ----------
    out
        Folder of the run.
    accelerator
        An `accelerate.Accelerator`; default: a new one of the options' precision.
    after_step
        Called with the number of steps done (tests kill the run here).

    Raises
    ------
    BaselineError
        HB402 where the folder holds another run, or the loss is not finite.
    """
    out = Path(out)
    accelerator = accelerator or make_accelerator(options)
    if options.threads:
        torch.set_num_threads(options.threads)
    if accelerator.device.type == "cpu":
        keep_memory()
    parts, chief = accelerator.num_processes, accelerator.is_main_process
    saved = _open_state(out, job, options, parts)
    per_epoch = job.order.steps_per_epoch(options.batch * parts)
    total = options.steps
    if options.epochs is not None:
        total = max(1, round(options.epochs * per_epoch))
    state, window = State(total=total), Window()
    code = commit()  # what runs, not what is checked out when it ends
    step = Step.of(job.network, options, accelerator, job.model.task().fed)
    plain, optimizer = step.plain, step.optimizer
    if saved is not None:
        state, window = _restore(saved, plain, optimizer, accelerator)
        state.resumed += 1
    log = Log(out, state.step) if chief else None
    due = options.evaluate_every or per_epoch

    def save() -> None:
        if chief:
            _save_state(out, job, options, parts, state, window, plain, optimizer, accelerator)

    def evaluate() -> None:
        if chief and job.evaluate is not None:
            save()
            scores = _evaluate(job, plain, out, state)
            log.write({"step": state.step, "seconds": state.seconds, **scores})  # pyright: ignore
        elif chief:
            save_weights(out / "last", job.model, job.preset, plain, job.facts, max_shard=None)
        state.evaluated = state.step
        save()
        accelerator.wait_for_everyone()

    batches = _loader(job, options, state.step, accelerator)
    with _progress(chief) as progress:
        while True:
            finished = state.total is not None and state.step >= state.total
            if state.evaluated < state.step and (finished or state.step % due == 0):
                evaluate()
            if finished:
                break
            start = time.perf_counter()
            rate = _set_rate(optimizer, options, state)
            torch.manual_seed(hash((options.seed, state.step, accelerator.process_index)))
            loaded = next(batches)
            state.waited += time.perf_counter() - start
            terms, norm = step(loaded)
            window.add(terms, norm)
            state.step += 1
            counted = _is_counted(options, state)
            if counted or state.step == WARMING:
                step.wait()
            state.seconds += time.perf_counter() - start
            if counted:
                state.total = _agreed(_steps_for(options, state))
                save()
            elif state.step == WARMING:
                state.images_seconds = state.seconds
            if state.step % options.log_every == 0:
                row = window.row(out)
                if log is not None:
                    row |= {"learning_rate": rate, "epoch": state.step / per_epoch}
                    log.write({"step": state.step, "seconds": state.seconds, **row})
            if state.step % options.save_every == 0:
                save()
            progress("training", state.step, state.total or 0)
            if after_step is not None:
                after_step(state.step)
    # Its processes end here: what is forked later must not inherit them.
    del batches
    gc.collect()
    if log is not None:
        plot(out, log.rows)
    record = _record(job, options, state, accelerator, per_epoch) | {"commit": code}
    if chief:
        files.write_json(out / RECORD, record)
    return record


def _set_rate(optimizer: Any, options: Options, state: State) -> float:
    rate = options.rate(state.step, state.total)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


def _is_counted(options: Options, state: State) -> bool:
    """Whether the number of steps is to be set now, from the minutes.

    Once it is known it is set again after a quarter: the first steps find batches ready, which
    many processes made while the first one was waited for.
    """
    if options.minutes is None:
        return False
    return state.step == (MEASURED if state.total is None else max(MEASURED, state.total // 4))


def _steps_for(options: Options, state: State) -> int:
    """Number of steps that fill the minutes, from the steps so far."""
    each = (state.seconds - state.images_seconds) / (state.step - WARMING)
    return max(
        state.step + 1, state.step + round(((options.minutes or 0) * 60 - state.seconds) / each)
    )


def _agreed(steps: int) -> int:
    """Return the number that the first process measured."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([steps])[0]


def _loader(job: Job, options: Options, start: int, accelerator: Any) -> Iterator[Any]:
    """Give the batches of the steps from `start` on, without end."""
    batches = job.order.batches(
        options.batch,
        start,
        sys.maxsize,
        part=accelerator.process_index,
        parts=accelerator.num_processes,
    )
    return iter(
        DataLoader(
            job.data,
            batch_sampler=batches,  # pyright: ignore
            num_workers=options.workers,
            pin_memory=accelerator.device.type == "cuda",
            prefetch_factor=4 if options.workers else None,
        )
    )


def _evaluate(job: Job, network: nn.Module, out: Path, state: State) -> dict[str, float]:
    assert job.evaluate is not None
    value, shown = job.evaluate(network.eval())
    network.train()
    save_weights(out / "last", job.model, job.preset, network, job.facts, max_shard=None)
    if value > state.best:
        state.best, state.best_step = value, state.step
        save_weights(out / "best", job.model, job.preset, network, job.facts, max_shard=None)
    return {"score": value, **shown}


def _fingerprint(job: Job, options: Options, parts: int) -> str:
    """What must be the same for a run to go on; how it is watched may differ."""
    free = ("workers", "threads", "save_every", "log_every", "evaluate_every")
    kept = {k: v for k, v in asdict(options).items() if k not in free}
    config = asdict(job.network.config)  # pyright: ignore
    about = [
        job.model.name,
        config,
        kept,
        parts,
        len(job.order.neighbours),
        job.about.get("sha256"),
    ]
    about.append(job.initial_weights)
    if "poses" in job.facts:
        about.append(job.facts["poses"])
    return json.dumps(about, sort_keys=True)


def _save_state(
    out: Path,
    job: Job,
    options: Options,
    parts: int,
    state: State,
    window: Window,
    network: nn.Module,
    optimizer: Any,
    accelerator: Any,
) -> None:
    scaler = accelerator.scaler
    whole = {
        "fingerprint": _fingerprint(job, options, parts),
        "state": asdict(state),
        "window": window.saved(),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
    }
    with files.replacing(out / STATE) as temporary:
        torch.save(whole, temporary)


def _open_state(out: Path, job: Job, options: Options, parts: int) -> dict[str, Any] | None:
    path = out / STATE
    if not path.is_file():
        return None
    try:
        # Only tensors and plain values are read: a state file runs no code.
        saved = torch.load(path, map_location="cpu", weights_only=True)
        found = saved["fingerprint"]
    except Exception as error:  # torch.load raises whatever the damage leads to
        raise _other_run(out, f"its {STATE} cannot be read ({type(error).__name__}).") from error
    if found != _fingerprint(job, options, parts):
        raise _other_run(out, "it holds a run of another model, data or options.")
    return saved


def _other_run(out: Path, what: str) -> BaselineError:
    fix = "Give another folder, or remove this one; the same options go on with a run."
    return BaselineError(Problem("HB402", str(out), what, fix=fix))


def _restore(
    saved: Mapping[str, Any], network: nn.Module, optimizer: Any, accelerator: Any
) -> tuple[State, Window]:
    network.load_state_dict(saved["network"])
    optimizer.load_state_dict(saved["optimizer"])
    if saved["scaler"] is not None and accelerator.scaler is not None:
        accelerator.scaler.load_state_dict(saved["scaler"])
    return State(**saved["state"]), Window.restored(saved["window"])


def _record(
    job: Job, options: Options, state: State, accelerator: Any, per_epoch: int
) -> dict[str, Any]:
    warm = WARMING if state.step > WARMING else 0
    measured, seconds = max(state.step - warm, 1), state.seconds
    if warm:
        seconds = max(state.seconds - state.images_seconds, 1e-9)
    images = measured * options.batch * accelerator.num_processes
    return {
        "model": job.model.name,
        "preset": job.preset,
        "config": asdict(job.network.config),  # pyright: ignore
        "parameters": parameter_count(job.network),
        "initial_weights": job.initial_weights,
        "data": dict(job.about),
        "options": asdict(options),
        "steps": state.step,
        "epochs": round(state.step / per_epoch, 3),
        "minutes": round(state.seconds / 60, 2),
        "images_per_second": round(images / seconds, 2),
        "share_of_time_waiting_for_pictures": round(state.waited / max(state.seconds, 1e-9), 3),
        "best_step": state.best_step,
        "best_validation_score": state.best if math.isfinite(state.best) else None,
        "resumed": state.resumed,
        "device": device_name(accelerator.device),
        "devices": accelerator.num_processes,
        "precision": options.precision,
        "versions": {
            "hand_bench": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def _progress(chief: bool) -> AbstractContextManager[Progress]:
    """Give bars on stderr at a terminal, where rich is installed; else nothing."""
    if chief and sys.stderr.isatty():
        try:
            from hand_bench.cli.console import progress_bar

            return progress_bar()
        except ImportError:
            pass
    return nullcontext(_silent)


def _silent(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""
