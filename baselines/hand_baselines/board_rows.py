"""Rows that a board starts with: predictions and descriptions of the floors and shipped weights.

A row is a folder ``<track>/<name>/`` with ``predictions.parquet`` and ``submission.yaml``, which
`hand-bench submit` scores and places: the floors as methods (re-scored), weights as baselines
(reproduced). Predictions that lie beside weights are taken if they are those that ``result.json``
scores; others are made.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hand_baselines.cards import OTHERS_FILE, OWN
from hand_baselines.floor_answers import fitted_to, floor_answers, floor_names
from hand_baselines.floors import FLOOR_NAMES
from hand_baselines.hub import PREDICTIONS
from hand_baselines.weights import SHIPPED, find_weights, kept_result, load_weights, shipped
from hand_bench import files
from hand_bench.data import open_annotations
from hand_bench.errors import BaselineError, DatasetError, Problem
from hand_bench.lineage import HANDSIM
from hand_bench.predictions import clips_table, compact, predictions_table, write_table
from hand_bench.results import Result
from hand_bench.tracks import Track, find_track, track_names

META, RECORD, RESULT = "submission.yaml", "record.json", "result.json"
TEAM, LICENCE = "hand-bench", "Apache-2.0"
_FLOORS = {
    "zero": "every joint of a hand at one place, where hands are on average",
    "mean-pose": "the mean training hand, where in the box and how far away hands are on average",
    "nearest-box": "the training hand whose box is the most similar, as it is",
    "most-frequent": "the class that is the most frequent in training",
}
#: What a floor is given, by name of the input: the first of these that the track knows.
_GIVEN_TO_FLOORS = {
    "boxes": ("standard", "gt", "detected"),
    "K": ("gt", "assumed"),
}
#: Weights that find the wrists' depths alone: whose joints stand there on the board.
_JOINTS = {"rootnet-small": "internet-small", "rootnet-ego-small": "svegonet-small"}
#: What is not declared was not used.
_NOT_USED = ("none", "own")


@dataclass(frozen=True)
class BoardRow:
    """A floor or shipped weights on a track.

    Attributes
    ----------
    name, track
        What answers, and to what.
    depths
        Shipped weights that say how far away its wrists are; empty: it knows that itself.
    """

    name: str
    track: Track
    depths: str = ""

    @property
    def slug(self) -> str:
        """The place of its folder: "handsim-stb/floor-mean-pose"."""
        floor = "floor-" if self.name in FLOOR_NAMES else ""
        depths = f"-with-{self.depths}" if self.depths else ""
        return f"{self.track.name}/{floor}{self.name}{depths}"


def board_rows(name: str = "", track: str = "") -> list[BoardRow]:
    """Return every row of HandSim's prepared tracks, or those of a name or track.

    Raises
    ------
    BaselineError
        HB301 for an unknown name, HB302 where there is no such row.
    TrackError
        HB301 for an unknown track.
    """
    wanted = find_track(track).name if track else ""
    if name and name not in FLOOR_NAMES:
        find_weights(name)
    rows = [
        row
        for row in _every_row()
        if name in ("", row.name, row.depths) and wanted in ("", row.track.name)
    ]
    if not rows and name and wanted and name not in FLOOR_NAMES:
        return [BoardRow(name, find_track(wanted))]
    if not rows:
        raise BaselineError(
            Problem("HB302", name or wanted or "HandSim", "no prepared track has such a row.",
                    fix="`hand-bench sim make TRACK` makes a track; rows are the floors "
                    f"({', '.join(FLOOR_NAMES)}) and {', '.join(shipped())}.")
        )  # fmt: skip
    return rows


def _every_row() -> Iterator[BoardRow]:
    tracks = [find_track(n) for n in track_names() if n.startswith(f"{HANDSIM}-")]
    prepared = [track for track in tracks if _is_prepared(track)]
    names = {track.name for track in prepared}
    for track in (t for t in prepared if floor_names(t) and fitted_to(t).name in names):
        yield from (BoardRow(name, track) for name in floor_names(track))
    for name in shipped():
        folder = SHIPPED / name
        own = Result.load(folder / RESULT).track["name"] if (folder / RESULT).is_file() else ""
        if name in _JOINTS and own in names:
            yield BoardRow(_JOINTS[name], find_track(own), depths=name)
        if not (folder / PREDICTIONS).is_file():
            continue  # a part of other models: backbones, depths of wrists
        for track in dict.fromkeys((own, *_other_tracks(folder))):
            if track in names:
                yield BoardRow(name, find_track(track))


def _is_prepared(track: Track) -> bool:
    try:
        open_annotations(track, None)
    except DatasetError:
        return False
    return True


def _other_tracks(folder: Path) -> list[str]:
    """Return the other tracks that weights were scored on as they are."""
    path = folder / OTHERS_FILE
    if not path.is_file():
        return []
    return [t for t, columns in json.loads(path.read_text("utf-8")).items() if OWN in columns]


def write_row(row: BoardRow, root: str | Path, *, date: str = "", **options: Any) -> Path:
    """Write predictions and description of a row; return its folder.

    Parameters
    ----------
    row
        What predicts, and on which track.
    root
        Where ``<track>/<name>/`` is made.
    date
        Of the submission, YYYY-MM-DD; default: today.
    options
        Of the prediction, as `prediction.predict`; with none, predictions beside weights are taken.

    Raises
    ------
    BaselineError, DatasetError
        As `prediction.predict`.
    """
    folder = Path(root) / row.slug
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PREDICTIONS
    if row.name in FLOOR_NAMES:
        inputs, about = _write_floor(row, path)
    else:
        inputs, about = _write_weights(row, path, options)
    described = {
        "method": about.pop("method"),
        "team": TEAM,
        "date": date or datetime.date.today().isoformat(),
        "licence": LICENCE,
        **{name: value for name, value in about.items() if name != "place"},
        "inputs": _every_input(row.track, inputs),
        "predictions": {
            **about.get("place", {"file": PREDICTIONS}),
            "sha256": files.sha256(path),
            "size": path.stat().st_size,
        },
    }
    with files.replacing(folder / META) as temporary:
        temporary.write_text(_yaml(described), "utf-8")
    return folder


def _write_floor(row: BoardRow, path: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    from hand_baselines.prediction import declaration

    track = row.track
    inputs = tuple(
        f"{name}:{next(v for v in wanted if v in track.inputs[name])}"
        for name, wanted in _GIVEN_TO_FLOORS.items()
        if set(wanted) & set(track.inputs.get(name, ()))
    )
    columns = dict(floor_answers(track, [row.name])[row.name])
    # A floor's joints are those of the annotations that it was fitted to.
    declared = replace(
        declaration(track, inputs, f"floor {row.name}"),
        joint_set="" if track.kind == "action" else track.joint_set,
    )
    table = clips_table if track.kind == "action" else predictions_table
    write_table(path, table(columns.pop("sample_id"), **columns, declared=declared))
    # A hand of the zero floor is micrometres large, so that it can be aligned.
    compact(path, 2**-13 if row.name == "zero" else 1 / 16)
    fitted = fitted_to(track)
    split = fitted.table.removesuffix(fitted.table.rsplit("-", 1)[-1]) + "train"
    said = _FLOORS[row.name]
    return inputs, {
        "method": f"Floor: {row.name.replace('-', ' ')}",
        "description": f"A floor that looks at no picture: {said}. What does not beat it has "
        "learned nothing from pictures.",
        "training": [f"{fitted.dataset}/{split}"],
        # A hand without extent is no hand in metres.
        **({"units": "mm"} if row.name == "zero" and track.kind == "pose" else {}),
    }


def _write_weights(
    row: BoardRow, path: Path, options: Mapping[str, Any]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    from hand_baselines.prediction import predict

    folder = find_weights(row.name)
    loaded = load_weights(row.name)
    kept = folder / PREDICTIONS
    place = {}
    if row.depths:
        options = {"root_depth": row.depths, **options}
    if not options and _is_scored(folder, row.track):
        shutil.copyfile(kept, path)
        place = {"place": {"weights": loaded.name}}
    else:
        predict(loaded, row.track, path, **options)
        compact(path)
    parts = [loaded, *([load_weights(row.depths)] if row.depths else [])]
    records = [json.loads((find_weights(one.name) / RECORD).read_text("utf-8")) for one in parts]
    minutes = sum(record["minutes"] for record in records)
    return _declared(path, row.track), {
        "method": " with ".join(one.name for one in parts),
        "description": f"{'. '.join(one.model.title for one in parts)}. The preset {loaded.preset},"
        " trained on procedural data by this project: it is not the paper's model, and says nothing"
        " about real data.",
        "training": list(dict.fromkeys(name for record in records for name in _training(record))),
        "parameters": sum(record["parameters"] for record in records),
        "hardware": f"{records[0]['device']}, {minutes:g} minutes",
        "kind": "baseline",
        "weights": [one.name for one in parts],
        **place,
    }


def _is_scored(folder: Path, track: Track) -> bool:
    """Whether the predictions beside weights are those that ``result.json`` scores on a track."""
    return kept_result(folder, track.name) is not None


def _declared(path: Path, track: Track) -> tuple[str, ...]:
    from hand_bench.predictions import open_for_track

    return open_for_track(path, track).declared.inputs


def _training(record: Mapping[str, Any]) -> list[str]:
    """Return what weights and the backbone that they start from were trained on."""
    parts = [record["data"], *record["data"].get("also", ())]
    if str(record.get("initial_weights", "")).startswith("backbone"):
        backbone = SHIPPED / "backbone-small" / RECORD
        if backbone.is_file():
            data = json.loads(backbone.read_text("utf-8"))["data"]
            parts += [data, *data.get("also", ())]
    return list(dict.fromkeys(f"{part['dataset']}/{part['split']}" for part in parts))


def _every_input(track: Track, declared: tuple[str, ...]) -> list[str]:
    """Return a value for every input of a track: what is not declared was not used.

    Intrinsics are the exception: hands are lifted and placed with them, whoever declares it or not.
    """
    given = {"K": track.inputs["K"][0]} if "K" in track.inputs else {}
    given |= dict(item.split(":", 1) for item in declared)
    out = []
    for name, values in track.inputs.items():
        unused = next((v for v in _NOT_USED if v in values), values[0])
        out.append(f"{name}:{given.get(name, unused)}")
    return out


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
