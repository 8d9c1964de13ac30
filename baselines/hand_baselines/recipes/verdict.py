"""Whether new weights are better than those that are shipped: compared hand by hand."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hand_baselines.models import find_model
from hand_baselines.prediction import predict
from hand_baselines.recipes.recipe import Recipe
from hand_baselines.weights import CONFIG, SHIPPED, kept_result, load_weights
from hand_bench import files
from hand_bench.comparison import Comparison, compare
from hand_bench.data import open_annotations
from hand_bench.results import rounded
from hand_bench.tracks import Track

VERDICT = "verdict.json"
PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class Verdict:
    """What a comparison with shipped weights says.

    Attributes
    ----------
    name, against, track
        The new weights, the shipped ones, and on what they were compared.
    metric
        What decides, over all hands.
    old, new, difference, ci95
        Values, new minus old, and its 95 % interval; None where there is nothing to compare with.
    better
        Whether the new weights are better, with the whole interval on their side.
    comparison
        Everything that was compared.
    shipped
        SHA-256 of the weights that it was compared with.
    """

    name: str
    against: str
    track: str
    metric: str = ""
    old: float | None = None
    new: float | None = None
    difference: float | None = None
    ci95: tuple[float, float] | None = None
    better: bool = False
    comparison: Mapping[str, Any] | None = None
    shipped: str = ""

    @property
    def line(self) -> str:
        """The verdict in one line."""
        if self.comparison is None:
            return f"{self.name}: there is no {self.against} to compare with"
        interval = "no interval"
        if self.ci95 is not None:
            interval = "{:+.4g} to {:+.4g}".format(*self.ci95)
        end = "better, replace" if self.better else "not better, keep"
        return (
            f"{self.name} against {self.against} on {self.track}: {self.metric} {self.new:.4g} "
            f"against {self.old:.4g}, {self.difference:+.4g} ({interval}): {end}"
        )

    def save(self, path: Path) -> None:
        """Write it as JSON, with nine significant digits."""
        files.write_json(path, {**rounded(asdict(self)), "line": self.line})


def shipped_hash(recipe: Recipe, shipped: Path = SHIPPED) -> str:
    """Return the SHA-256 of the weights that a recipe is compared with; "": there are none."""
    folder = shipped / recipe.against
    return load_weights(folder).sha256 if (folder / CONFIG).is_file() else ""


def judge(recipe: Recipe, preds: Path, *, workers: int = 1, shipped: Path = SHIPPED) -> Verdict:
    """Compare predictions of the recipe's first track with those of the shipped weights.

    What decides is what ranks the track, or the model's own measure (`models.Model.chosen_by`).

    Parameters
    ----------
    preds
        Of the new weights.
    workers
        Processes that read pictures.
    shipped
        Folder of the weights that are compared with.

    Raises
    ------
    BaselineError, DatasetError, SubmissionError
        As `predict` and `compare`.
    """
    trial, folder = recipe.trials()[0], shipped / recipe.against
    track = trial.track
    if not (known := shipped_hash(recipe, shipped)):
        return Verdict(recipe.name, recipe.against, track.name)
    units = {"units": "mm"} if track.kind == "pose" else {}
    with tempfile.TemporaryDirectory() as place:
        before = Path(place) / f"{recipe.against}.parquet"
        if _are_of(folder, track):
            shutil.copyfile(folder / PREDICTIONS, before)
        else:
            options: dict[str, Any] = dict(trial.options)
            predict(load_weights(folder), track, before, workers=workers, **options)
        compared = compare(before, preds, track=track, **units)
    return replace(_decided(recipe, track, compared), shipped=known)


def _are_of(folder: Path, track: Track) -> bool:
    """Whether the predictions beside weights are of just these annotations of the track."""
    result = kept_result(folder, track.name)
    here = open_annotations(track, None).sha256
    return result is not None and result.annotations.get("sha256") == here


def _decided(recipe: Recipe, track: Track, compared: Comparison) -> Verdict:
    of_all = {d.metric: d for d in compared.differences if d.subset == "all"}
    metric = find_model(recipe.model).chosen_by or track.primary.metric
    found = of_all.get(metric) or of_all[metric := track.primary.metric]
    values = found.a, found.b, found.difference, found.ci95
    about = compared.to_json()
    return Verdict(
        recipe.name, recipe.against, track.name, metric, *values, found.better == "B", about
    )
