"""The runner: worlds, trainings, predictions, scores, card, verdict and archives of recipes.

Files::

    OUT/summary.json                 what became of every recipe
    OUT/internet-small.zip           its folder of weights, and the logs of its stages
    WORK/internet-small/plan.json    what was decided (`plan`)
                        stages/1/    runs (`runs.run`)
                        internet-small/  the folder of weights, as it is shipped

The same call goes on with what was interrupted, and leaves what is finished as it is. Each recipe
is in OUT as soon as it is made.
"""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hand_baselines import runs
from hand_baselines.models import find_model
from hand_baselines.recipes.packing import pack
from hand_baselines.recipes.plan import Clock, Host, keep_plan, kept_plan, stage_options
from hand_baselines.recipes.recipe import Recipe, Stage
from hand_baselines.recipes.tables import worlds_of
from hand_baselines.recipes.verdict import PREDICTIONS, VERDICT, judge, shipped_hash
from hand_baselines.shipping import ship
from hand_baselines.training import RECORD
from hand_bench import files
from hand_bench.data import quiet
from hand_bench.errors import BaselineError, HandBenchError, Problem
from hand_bench.sim.making import estimate_tables

Progress = Callable[[str, int, int], None]
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Workshop:
    """Where and how recipes are made.

    Attributes
    ----------
    out, work
        Where the archives go, and where everything is made.
    size
        Of the worlds that are trained on.
    minutes
        Of each recipe's trainings; None: by the recipe's steps, or as a deadline allows.
    steps
        Of every stage, in place of the recipe's: for a trial.
    clock
        When everything has to be written.
    host
        How the machine is used.
    progress
        Called with (what, done, total).
    say
        Called with a line before something long begins, and with every verdict.
    """

    out: Path
    work: Path
    size: str = "small"
    minutes: float | None = None
    steps: int | None = None
    clock: Clock = field(default_factory=Clock)
    host: Host = field(default_factory=Host)
    progress: Progress = quiet
    say: Callable[[str], None] = lambda line: None

    @property
    def timed(self) -> bool:
        """Whether trainings end by time."""
        return self.steps is None and (self.minutes, self.clock.deadline) != (None, None)


def make_recipes(recipes: Sequence[Recipe], shop: Workshop) -> bool:
    """Make the worlds, then one recipe after the other; return whether all were made.

    What stops one recipe is said, noted in ``OUT/summary.json``, and does not stop the others.

    Raises
    ------
    HandBenchError
        As `sim.making.make` where a world cannot be made; HB402 where OUT cannot be written to,
        HB406 where a deadline leaves no time to begin.
    """
    files.require_writable(shop.out / SUMMARY, shop.work / SUMMARY)
    if todo := [recipe for recipe in recipes if not _is_finished(recipe, shop)]:
        shop.clock.training(shop.minutes, todo)
        make_worlds(todo, shop)
    summary = shop.out / SUMMARY
    said: dict[str, Any] = {}
    before = files.read_json(summary) if summary.is_file() else {}
    for number, recipe in enumerate(recipes):
        try:
            said[recipe.name] = _made(recipe, recipes[number:], shop)
        except Exception as error:  # one that fails must not cost the others their time
            if not isinstance(error, HandBenchError):
                shop.say(traceback.format_exc())
            shop.say(str(error))
            said[recipe.name] = {"made": False, "reason": f"{type(error).__name__}: {error}"}
        minutes = {"minutes": round(shop.clock.minutes, 2)}
        files.write_json(summary, before | minutes | said)
    return all(one["made"] for one in said.values())


def make_worlds(recipes: Sequence[Recipe], shop: Workshop) -> None:
    """Make and prepare the tables that recipes need; raises as `sim.making.make`."""
    for world in worlds_of(recipes, shop.size, validated=not shop.timed):
        pictures = estimate_tables(world.source, world.size, world.tables)
        tables = ", ".join(sorted(world.tables))
        shop.say(f"{world.source.name}, {world.size}: {tables}; about {pictures:,} pictures")
        world.make(shop.host.workers, shop.progress)


def _made(recipe: Recipe, left: Sequence[Recipe], shop: Workshop) -> dict[str, Any]:
    """Make a recipe, where that was not done, and pack it; return what the summary says."""
    place = shop.work / recipe.name
    folder = place / recipe.name
    options = kept_plan(place, recipe, shop.size, shop.host, shop.steps)
    if not _is_finished(recipe, shop):
        minutes = shop.clock.training(shop.minutes, [r for r in left if not _is_finished(r, shop)])
        if options is None:
            options = _planned(recipe, minutes, shop)
            keep_plan(place, recipe, shop.size, shop.host, shop.steps, options)
        trained = _train(recipe, options, place, shop)
        _finish(recipe, trained, folder, shop)
    verdict = files.read_json(folder / VERDICT)
    if verdict["shipped"] != shipped_hash(recipe):  # others have been shipped since
        verdict = _judged(recipe, folder, shop)
    archives = pack(recipe.name, _members(folder), shop.out)
    shop.say(verdict["line"])
    kept = {name: verdict[name] for name in ("better", "line")}
    return {"made": True, **kept, "archives": [path.name for path in archives]}


def _is_finished(recipe: Recipe, shop: Workshop) -> bool:
    return (shop.work / recipe.name / recipe.name / VERDICT).is_file()


def _planned(recipe: Recipe, minutes: float | None, shop: Workshop) -> list[dict[str, Any]]:
    given: dict[str, Any] = {"size": shop.size, "steps": shop.steps}
    given["minutes"] = minutes if shop.timed else None
    return [stage_options(recipe, stage, shop.host, **given) for stage in recipe.stages]


def _train(recipe: Recipe, options: Sequence[dict[str, Any]], place: Path, shop: Workshop) -> Path:
    """Train the stages that are not finished; return the folder of the last one's run."""
    before, run = None, place
    for number, (stage, given) in enumerate(zip(recipe.stages, options, strict=True), 1):
        run = place / "stages" / str(number)
        if not (run / RECORD).is_file():
            end = "{} minutes".format(given["minutes"]) if "minutes" in given else "steps"
            shop.say(f"{recipe.name}: stage {number} of {len(recipe.stages)}, {end}")
            _train_stage(recipe, stage, given, run, before)
        before = runs.chosen_weights(run)
    return run


def _train_stage(
    recipe: Recipe, stage: Stage, options: dict[str, Any], run: Path, before: Path | None
) -> None:
    start = {"backbone_weights": recipe.backbone} if before is None else {"initial_weights": before}
    runs.run(
        find_model(recipe.model),
        recipe.data,
        recipe.preset,
        run,
        config=stage.config,
        score=False,
        **start,  # pyright: ignore
        **options,
    )


def _finish(recipe: Recipe, run: Path, folder: Path, shop: Workshop) -> None:
    """Predict, score, write the folder of weights, and judge it."""
    shop.say(f"{recipe.name}: predictions and scores")
    preds = _predictions(recipe, folder)
    chosen = "The best weights on validation samples are taken."
    if runs.chosen_weights(run).name == "last":
        chosen = "The last weights are taken; none were compared."
    notes = (
        f"Made by `hand-bench baselines make {recipe.against}` with worlds of size {shop.size}; "
    )
    notes += f"`record.json` has how long and how. {chosen}"
    kept: dict[str, Any] = {"predictions": preds, "store": recipe.store, "notes": notes}
    ship(run, folder, recipe.tracks, workers=shop.host.processes, **kept)
    for number in range(1, len(recipe.stages)):
        _copy(folder.parent / "stages" / str(number), folder / "stages" / str(number))
    _judged(recipe, folder, shop)


def _predictions(recipe: Recipe, folder: Path) -> Path:
    return (folder if recipe.with_predictions else folder.parent) / PREDICTIONS


def _judged(recipe: Recipe, folder: Path, shop: Workshop) -> dict[str, Any]:
    """Compare with what is shipped, and keep the verdict."""
    judge(recipe, _predictions(recipe, folder), workers=shop.host.processes).save(folder / VERDICT)
    return files.read_json(folder / VERDICT)


def _copy(run: Path, folder: Path) -> None:
    """Keep the log and the record of a stage whose weights are not shipped."""
    for name in ("log.csv", RECORD):
        with files.replacing(folder / name) as temporary:
            shutil.copyfile(run / name, temporary)


def _members(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def require_device(kind: str) -> None:
    """Refuse a machine whose best device is of another kind than "cuda" or "cpu" (HB302)."""
    found = "cuda" if torch.cuda.is_available() else "cpu"
    if kind and kind != found:
        what = f"computes on {found} here: the best device that torch finds is taken."
        fix = "CUDA_VISIBLE_DEVICES= hides GPUs." if found == "cuda" else "Is torch one for CUDA?"
        raise BaselineError(Problem("HB302", f"--device {kind}", what, fix=fix))
