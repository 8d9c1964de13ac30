"""From a run to a folder of weights as it is shipped: scored, beside the floors, with its card."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hand_baselines.cards import FLOORS_FILE, OTHERS_FILE, OWN, shareable, write_card
from hand_baselines.floor_answers import floor_answers
from hand_baselines.prediction import predict, score
from hand_baselines.runs import chosen_weights
from hand_baselines.tasks import given_options
from hand_baselines.training import RECORD
from hand_baselines.weights import load_weights, save_weights, seal
from hand_bench import files
from hand_bench.errors import BaselineError, Problem
from hand_bench.results import Result
from hand_bench.tracks import Track, find_track


@dataclass(frozen=True)
class Trial:
    """Weights on a track.

    Attributes
    ----------
    track
        What they are scored on.
    options
        What the prediction is given besides: "root_depth", "start", "rounds", ...
    weights
        Other weights to compare with, by folder or name; empty: those that are shipped.
    """

    track: Track
    options: Mapping[str, str | int]
    weights: str = ""

    @classmethod
    def read(cls, text: str) -> Trial:
        """Read "TRACK NAME=VALUE ...".

        Raises
        ------
        TrackError
            HB301 for an unknown track.
        BaselineError
            HB302 for a part that is no NAME=VALUE.
        """
        name, *parts = text.split()
        options: dict[str, str | int] = {}
        for part in parts:
            option, equals, value = part.partition("=")
            if not equals or not value:
                fix = "For example: --track 'handsim-interhand26m root_depth=rootnet-small'."
                raise BaselineError(Problem("HB302", f"--track {part}", "no NAME=VALUE.", fix=fix))
            options[option.replace("-", "_")] = int(value) if value.isdigit() else value
        return cls(find_track(name), options, str(options.pop("weights", "")))

    def flags(self, besides: Mapping[str, str | int] | None = None) -> str:
        """Return the options as a command line has them, files by their names alone."""
        given = {k: v for k, v in self.options.items() if (besides or {}).get(k) != v}
        return " ".join(f"--{k.replace('_', '-')} {_short(v)}" for k, v in given.items())

    def column(self, main: Trial) -> str:
        """Return what a card calls it, beside the trial `main`."""
        if self.weights:
            return " ".join(part for part in (Path(self.weights).name, self.flags()) if part)
        return self.flags(main.options) or OWN


def ship(
    run: str | Path,
    folder: str | Path,
    tracks: Sequence[str],
    *,
    workers: int = 1,
    notes: str = "",
    predictions: str | Path | None = None,
) -> Result:
    """Make a folder of weights out of a run: half precision, record, log, scores, card.

    The scores are those of the weights as they are shipped, beside the floors' on the same track.

    Parameters
    ----------
    run, folder
        Folder of the run, and of the weights; its name is theirs.
    tracks
        What they are scored on, the first one first: each "TRACK NAME=VALUE ..." (see `Trial`).
    workers
        Processes that read pictures.
    notes
        What else the card has to say.
    predictions
        Where the predictions of the first track are kept; default: they are not.

    Returns
    -------
    Result
        On the first track.

    Raises
    ------
    BaselineError
        HB302 where a track asks for something else, or options do not fit.
    """
    run, folder = Path(run), Path(folder)
    trials = [Trial.read(text) for text in tracks]
    main, best = trials[0], load_weights(chosen_weights(run))
    for trial in trials:
        model = load_weights(trial.weights).model if trial.weights else best.model
        model.task().require(trial.track)
        given_options(model.name, trial.options, model.task().options)
    save_weights(folder, best.model, best.preset, best.network, best.facts, half=True)
    seal(folder)
    for name in (RECORD, "log.csv"):
        with files.replacing(folder / name) as temporary:
            shutil.copyfile(run / name, temporary)
    result = _scored(folder, main, workers, predictions)
    result.save(folder / "result.json")
    if floors := floor_results(main.track):
        _save(folder / FLOORS_FILE, _plain(floors))
    others: dict[str, dict[str, Result]] = defaultdict(dict)
    for trial in trials[1:]:
        others[trial.track.name][trial.column(main)] = _scored(folder, trial, workers)
    for name, columns in others.items():
        if name != main.track.name:
            columns.update(floor_results(find_track(name)))
    if others:
        _save(folder / OTHERS_FILE, {name: _plain(more) for name, more in others.items()})
    write_card(folder, title=f"{best.model.title}.", notes=notes, flags=main.flags())
    return result


def _scored(
    folder: Path, trial: Trial, workers: int, predictions: str | Path | None = None
) -> Result:
    """Predict and score, without places of files; predictions are kept where a file is given."""
    loaded = load_weights(trial.weights or folder)
    with tempfile.TemporaryDirectory() as place:
        path = Path(predictions or Path(place) / f"{loaded.name}.parquet")
        options: dict[str, Any] = dict(trial.options)
        predict(loaded, trial.track, path, workers=workers, **options)
        return shareable(score(path, trial.track))


def _plain(results: Mapping[str, Result]) -> dict[str, Any]:
    return {name: shareable(result).to_json() for name, result in results.items()}


def _save(path: Path, found: Mapping[str, Any]) -> None:
    """Write on one line: these are many numbers that nobody reads in the file."""
    with files.replacing(path) as temporary:
        temporary.write_text(json.dumps(found), "utf-8")


def _short(value: str | int) -> str:
    text = str(value)
    return Path(text).name if Path(text).exists() else text


def floor_results(track: Track) -> dict[str, Result]:
    """Score the floors on a track, fitted to its dataset's training table."""
    return {name: score(preds, track) for name, preds in floor_answers(track).items()}
