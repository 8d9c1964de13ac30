"""From a run to a folder of weights as it is shipped: scored, beside the floors, with its card."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hand_baselines.cards import FLOORS_FILE, shareable, write_card
from hand_baselines.floors import COLUMNS, FLOORS, Views
from hand_baselines.prediction import predict, score
from hand_baselines.runs import chosen_weights
from hand_baselines.tables import open_table
from hand_baselines.training import RECORD
from hand_baselines.weights import load_weights, save_weights, seal
from hand_bench import files
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.data import open_annotations
from hand_bench.errors import BaselineError, Problem
from hand_bench.results import Result
from hand_bench.tracks import Track, find_track


def ship(
    run: str | Path,
    folder: str | Path,
    track: str,
    *,
    root_depth: str | None = None,
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
    track
        What they are scored on.
    root_depth
        The RootNet that gives their depths, as shipped: "rootnet-small".
    workers
        Processes that read pictures.
    notes
        What else the card has to say.
    predictions
        Where the predictions that were scored are kept; default: they are not.

    Raises
    ------
    BaselineError
        HB302 for tracks of clips.
    """
    run, folder, known = Path(run), Path(folder), find_track(track)
    if known.kind == "action":
        what = "is a track of clips, for which cards and floors are not written yet."
        raise BaselineError(Problem("HB302", known.name, what))
    best = load_weights(chosen_weights(run))
    save_weights(folder, best.model, best.preset, best.network, best.facts, half=True)
    seal(folder)
    for name in (RECORD, "log.csv"):
        with files.replacing(folder / name) as temporary:
            shutil.copyfile(run / name, temporary)
    with tempfile.TemporaryDirectory() as place:
        path = Path(predictions or Path(place) / f"{folder.name}.parquet")
        predict(load_weights(folder), known, path, root_depth=root_depth, workers=workers)
        result = shareable(score(path, known))
    result.save(folder / "result.json")
    found = {name: shareable(floor).to_json() for name, floor in floor_results(known).items()}
    with files.replacing(folder / FLOORS_FILE) as temporary:
        temporary.write_text(json.dumps(found), "utf-8")
    write_card(folder, title=f"{best.model.title}.", notes=notes, root_depth=root_depth)
    return result


def floor_results(track: Track) -> dict[str, Result]:
    """Score the floors on a track, fitted to its dataset's training table.

    They look at one picture: a track of several views has none.
    """
    if track.several_views:
        return {}
    rows = AnnotationBatch(0, _whole(open_annotations(track, None), ["sample_id", *COLUMNS]))
    fitted = Views.of(AnnotationBatch(0, _whole(open_table(track, "train"), COLUMNS)))
    asked, results = Views.of(rows), {}
    for name, fit in FLOORS.items():
        preds = {"sample_id": rows.sample_id.to_pylist(), **fit(fitted).predict(asked)}
        results[name] = score(preds, track)
    return results


def _whole(opened: Annotations, columns: Sequence[str]) -> Any:
    return opened.table(columns).combine_chunks().to_batches()[0]
