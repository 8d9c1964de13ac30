"""How long a recipe is trained on which machine, decided once and kept in its folder.

A deadline shrinks the minutes of trainings, so these are not the same when an interrupted recipe
goes on: ``plan.json`` holds what was decided at first.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hand_baselines.models import find_model
from hand_baselines.recipes.recipe import Recipe, Stage
from hand_bench import files
from hand_bench.errors import BaselineError, Problem

PLAN = "plan.json"
#: Minutes below which a training is not begun.
LEAST = 0.25
#: Samples of a step at most at size `mini`, which has few of them.
MINI_BATCH = 4


@dataclass(frozen=True)
class Host:
    """What a machine is used for.

    Attributes
    ----------
    precision
        Of trainings; None: the recipe's.
    batch_factor
        Samples of a step, as a multiple of the recipe's.
    workers
        Processes that render, and read pictures; None: one for each core but one.
    threads
        Of torch on a processor; 0: torch's own choice.
    """

    precision: Literal["no", "fp16", "bf16"] | None = None
    batch_factor: int = 1
    workers: int | None = None
    threads: int = 0

    @property
    def processes(self) -> int:
        """How many processes read pictures."""
        return self.workers or max(1, (os.cpu_count() or 1) - 1)


@dataclass(frozen=True)
class Clock:
    """When everything has to be written.

    Attributes
    ----------
    deadline
        Minutes from the start; None: there is none.
    started
        In seconds of `time.monotonic`.
    """

    deadline: float | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def minutes(self) -> float:
        """Minutes since the start."""
        return (time.monotonic() - self.started) / 60

    def training(self, asked: float | None, recipes: Sequence[Recipe]) -> float | None:
        """Return the minutes in which the first of some recipes is trained; None: no such limit.

        What is left until the deadline is shared out evenly; a recipe's predictions, scores and
        files have `Recipe.writing` of its part.

        Raises
        ------
        BaselineError
            HB406 where less than `LEAST` minutes are left.
        """
        if self.deadline is None:
            return asked
        part = (self.deadline - self.minutes) / len(recipes) - recipes[0].writing
        if part < LEAST:
            what = f"{max(part, 0):.1f} of {self.deadline:g} minutes are left for its training."
            fix = "Give a later --deadline, fewer names, or a smaller --size."
            raise BaselineError(Problem("HB406", recipes[0].name, what, fix=fix))
        return part if asked is None else min(asked, part)


def stage_options(
    recipe: Recipe,
    stage: Stage,
    host: Host,
    *,
    size: str,
    minutes: float | None,
    steps: int | None,
) -> dict[str, Any]:
    """Return the options of a stage's training, and its validation samples.

    By time no weights are chosen: validations have no fixed length, and with a rate that falls to
    zero the last weights are hardly ever worse.

    Parameters
    ----------
    size
        Of what is trained on.
    minutes
        Of the whole recipe, of which the stage has its share; None: it ends by steps.
    steps
        In place of the stage's.
    """
    usual = find_model(recipe.model).options.get(recipe.preset, {})
    options: dict[str, Any] = {**stage.options, "threads": host.threads}
    options["batch"] = host.batch_factor * options.get("batch", usual.get("batch", 16))
    if size == "mini":
        options["batch"] = min(options["batch"], MINI_BATCH)
    if usual.get("workers") != 0:
        options["workers"] = host.processes
    if host.precision is not None:
        options["precision"] = host.precision
    if minutes is not None:
        share = stage.share / sum(one.share for one in recipe.stages)
        return options | {"minutes": round(minutes * share, 3), "validated": 0}
    if steps or stage.steps:
        options["steps"] = steps or stage.steps
    return options | {"validated": stage.validated}


def kept_plan(
    place: Path, recipe: Recipe, size: str, host: Host, steps: int | None
) -> list[dict[str, Any]] | None:
    """Return the options of the stages that were decided before; None where nothing was.

    Raises
    ------
    BaselineError
        HB402 where the folder holds another recipe, or the same in another way.
    """
    try:
        kept = json.loads((place / PLAN).read_text("utf-8"))
    except FileNotFoundError:
        return None
    if kept["made"] != _made(recipe, size, host, steps):
        what = "holds another recipe, or one of another size, precision, batch or length."
        fix = "Give another --work, or remove this folder."
        raise BaselineError(Problem("HB402", str(place), what, fix=fix))
    return kept["stages"]


def keep_plan(
    place: Path,
    recipe: Recipe,
    size: str,
    host: Host,
    steps: int | None,
    stages: Sequence[dict[str, Any]],
) -> None:
    """Write down the options of the stages."""
    made = _made(recipe, size, host, steps)
    files.write_json(place / PLAN, {"made": made, "stages": list(stages)})


def _made(recipe: Recipe, size: str, host: Host, steps: int | None) -> dict[str, Any]:
    """Return what tells a recipe's weights from others, as JSON has it."""
    how = {"size": size, "precision": host.precision, "batch_factor": host.batch_factor}
    return json.loads(json.dumps({**asdict(recipe), **how, "steps": steps}))
