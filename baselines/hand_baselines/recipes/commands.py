"""The command `hand-bench baselines make`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from hand_bench.cli import console


def baselines_make(
    *names: str,
    output: Annotated[Path, Parameter(name=["--output", "-o", "--out"])] = Path("runs/made"),
    work: Path = Path("runs/recipes"),
    size: str = "small",
    preset: Literal["small", "paper"] = "small",
    backbone: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    deadline: float | None = None,
    device: Literal["", "cuda", "cpu"] = "",
    precision: Literal["no", "fp16", "bf16"] | None = None,
    batch_factor: int = 1,
    workers: int | None = None,
    threads: int = 0,
    show: bool = False,
) -> None:
    """Make shipped weights again: world, training, predictions, scores, card, verdict.

    The same command goes on with what was interrupted. The last line of each says whether the new
    weights are better than those that are shipped.

    Parameters
    ----------
    names
        Of shipped weights; without any, they are listed.
    output
        Where the archives go: NAME.zip, of at most 16 MiB, or several; and summary.json.
    work
        Where everything is made.
    size
        Of the worlds that are trained on: mini, small or full. What is scored on is at most small.
    preset
        The model's preset; paper starts from random weights.
    backbone
        What the backbone starts from instead: weights, a .safetensors file, or timm/NAME.
    minutes
        Of each one's training; default: the recipe's steps.
    steps
        Of every stage, for a trial.
    deadline
        Minutes after which all has to be written: trainings are shortened.
    device
        What must be there (the best device is always taken): cuda or cpu.
    precision
        Of the trainings; default: the recipe's.
    batch_factor
        Samples of a step, as a multiple of the recipe's.
    workers, threads
        Processes that render and read pictures (default: the cores), and threads that compute.
    show
        Only print the commands of which each recipe is made; default: of all.
    """
    from hand_baselines.recipes.plan import Clock, Host
    from hand_baselines.recipes.runner import Workshop, make_recipes, require_device
    from hand_baselines.recipes.shipped import RECIPES, find_recipe

    chosen = [
        find_recipe(name, paper=preset == "paper", backbone=backbone)
        for name in names or (RECIPES if show else ())
    ]
    if show or not chosen:
        for recipe in chosen:
            console.write("\n".join(recipe.commands()))
        if not chosen:
            console.write("\n".join(RECIPES))
        return
    require_device(device)
    limits = minutes, steps, Clock(deadline), Host(precision, batch_factor, workers, threads)
    with console.progress_bar() as progress:
        shop = Workshop(output, work, size, *limits, progress=progress, say=console.note)
        made = make_recipes(chosen, shop)
    sys.exit(0 if made else 1)
