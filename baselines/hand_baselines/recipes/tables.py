"""Which tables of HandSim's worlds recipes need, and at which size they are made.

What is trained on has the size that is asked for. What is scored on has at most the size `small`:
these are the tables of the board, so that new weights meet the same test as those that are shipped.
People of different splits differ in all sizes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hand_baselines.floor_answers import fitted_to, floor_names
from hand_baselines.recipes.recipe import Recipe
from hand_baselines.tables import table_name, training_place
from hand_bench import files
from hand_bench.sim.making import make
from hand_bench.sim.worlds import SOURCES, Source
from hand_bench.tracks import find_track

Progress = Callable[[str, int, int], None]
#: The size of the board's worlds, in which shipped weights are scored.
BOARD = "small"


@dataclass(frozen=True)
class World:
    """Some tables of a world, of one size."""

    source: Source
    size: str
    tables: frozenset[str]

    @property
    def folder(self) -> Path:
        """Where it is made: what `hand-bench sim make` makes at size `small` is found there."""
        name = self.source.name
        return files.home() / (name if self.size == BOARD else f"{name}-{self.size}")

    def make(self, workers: int | None, progress: Progress) -> Path:
        """Make and prepare what is not there yet; raises as `sim.making.make`."""
        given = {"size": self.size, "tables": self.tables, "workers": workers}
        return make(self.source.name, out=self.folder, progress=progress, **given)


def worlds_of(recipes: Iterable[Recipe], size: str, *, validated: bool) -> list[World]:
    """Return what has to be made for recipes.

    Parameters
    ----------
    recipes
        What is trained and scored.
    size
        Of what is trained on: "mini", "small" or "full".
    validated
        Whether weights are chosen on validation tables while they are trained.

    Raises
    ------
    TrackError, BaselineError
        HB301, HB302 for data without a training table.
    """
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    recipes = list(recipes)
    data = {training_place(name) for recipe in recipes for name in recipe.data}
    trained = {each for place in data for each in _with_siblings(*place)}
    held = {each for recipe in recipes for each in _held(recipe, validated)} - trained
    for places, chosen in ((trained, size), (held, size if size == "mini" else BOARD)):
        for source, table in places:
            found[source, chosen].add(table)
    return [World(SOURCES[s], z, frozenset(tables)) for (s, z), tables in sorted(found.items())]


def _held(recipe: Recipe, validated: bool) -> Iterator[tuple[str, str]]:
    """Give the tables that are scored on, those that floors are fitted to, and for validation."""
    for trial in recipe.trials():
        yield from _with_siblings(trial.track.dataset, trial.track.table)
        if floor_names(trial.track):
            fitted = fitted_to(trial.track)
            yield from _with_siblings(fitted.dataset, table_name(fitted, "train"))
    first = find_track(recipe.data[0])
    if validated and "val" in SOURCES[first.dataset].splits:
        yield from _with_siblings(first.dataset, table_name(first, "val"))


def _with_siblings(dataset: str, table: str) -> Iterator[tuple[str, str]]:
    """Give a table, and the others that share its pictures: clips need poses, poses actions."""
    source = SOURCES[dataset]
    prefix, split = source.place(table)
    for other in source.tables:
        if source.pictured(other) == source.pictured(prefix):
            yield dataset, f"{other}-{split}" if other else split
