"""Model cards: what a folder of weights is, from its record and the scores of the harness."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hand_baselines import tensors
from hand_baselines.floors import FLOOR_NAMES, MOST_FREQUENT
from hand_bench import files
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.results import Result, Score

#: What a card shows, where a result has it: (protocol, metric).
SHOWN = (
    ("paper", "MPJPE"),
    ("paper", "PCK-AUC"),
    ("official", "MEPE"),
    ("htt", "MEPE"),
    ("htt", "MEPE-RA"),
    ("official", "MPJPE"),
    ("official", "MRRPE"),
    ("official", "handedness accuracy"),
    ("toolkit", "MPJPE"),
    ("wildhands", "MPJPE"),
    ("wildhands", "MRRPE"),
    ("wildhands", "L2 error 2D"),
    ("recommended", "AUC(0-50)"),
    ("recommended", "MPJPE"),
    ("recommended", "PA-MPJPE"),
    ("recommended", "MRRPE"),
    ("recommended", "hand AP"),
    ("recommended", "hand recall"),
    ("recommended", "accuracy"),
    ("recommended", "class-mean accuracy"),
)
SUBSETS = ("all", "SH", "IH")
#: Metrics that papers give for each hand.
_EACH_HAND = ("MEPE", "MEPE-RA")
#: What the Hub files the models and worlds under.
TASK, LIBRARY, TAGS = "keypoint-detection", "hand-bench", ("hand-pose-estimation", "3d-hand-pose")
#: Beside weights: the floors' results on the same track; and all other results, by track and
#: by the column of the card.
FLOORS_FILE, OTHERS_FILE = "floors.json", "others.json"
#: The column of the weights themselves.
OWN = "this model"
#: Track -> column -> result.
Results = Mapping[str, Mapping[str, Result]]


def card(
    name: str,
    record: Mapping[str, Any],
    result: Result,
    *,
    size: int,
    floors: Mapping[str, Result] | None = None,
    others: Results | None = None,
    title: str = "",
    notes: str = "",
    flags: str = "",
) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    name, title
        Name of the folder, and what the model is.
    record
        Of the training (`training.train`).
    result
        Scores of the harness.
    size
        Bytes of the weights.
    floors
        Scores of predictors that look at no picture, for comparison (`floors.FLOORS`).
    others
        More results: on this track in columns beside, on others in tables of their own.
    notes
        What else has to be said.
    flags
        What the command line of a prediction has besides: "--root-depth rootnet-small".
    """
    data, options = record["data"], record["options"]
    tables = _tables(result, floors or {}, others or {})
    own = [columns[OWN] for columns in tables.values() if OWN in columns]
    sample = _sample(record)
    lines = [
        *front_matter(model_metadata(name, record, *own)),
        *(f"# {name}", "", title, ""),
        f"Trained for {record['minutes']:g} minutes ({record['steps']:,} steps, "
        f"{record['epochs']:.2f} epochs) on {_device(record)}, on {_procedural(data, sample)}. "
        f"Initial weights: {record['initial_weights']}; no ImageNet weights, no real pictures. "
        "It shows that the training, prediction and scoring work; it is no state of the art and "
        "says nothing about real pictures.",
        "",
        "| | |",
        "|---|---|",
        f"| model, preset | {record['model']}, `{record['preset']}` |",
        f"| parameters | {record['parameters']:,}; {_stored(record, size)} |",
        f"| training data | {_tables_of(data)}, {data['samples']:,} {sample}s "
        f"({data.get('release', 'unknown release')}) |",
        f"| annotations | sha256 `{data['sha256'][:16]}...` |",
        f"| device | {_device(record)}, precision {record['precision']} |",
        f"| time | {record['minutes']:g} minutes, {record['images_per_second']:g} {sample}s/s |",
        f"| optimisation | {options.get('optimizer', 'adam').capitalize()}, "
        f"batch {options['batch']}, rate {options['learning_rate']:g}, "
        f"{options['schedule']}{_pose_loss(record)}, seed {options['seed']} |",
        "| commit | see `record.json` |",
        "| all options, versions, data hash | `record.json`; losses: `log.csv` |",
        "",
    ]
    for track, columns in tables.items():
        lines += [f"## Scores on `{track}`", "", *_scores(columns, record, flags), ""]
    lines += [
        *((notes, "") if notes else ()),
        "## Use",
        "",
        "```",
        f"hand-bench baselines predict {name} --track {result.track['name']}{_and(flags)} "
        "-o preds.parquet",
        f"hand-bench evaluate preds.parquet --track {result.track['name']}",
        "```",
        "",
    ]
    return "\n".join(lines)


def _stored(record: Mapping[str, Any], size: int) -> str:
    """Say how large the file is and, by how many bytes each number has, how it is stored."""
    half = size / record["parameters"] > 1.5
    how = "in half precision" if half else "as bytes with a factor for each channel"
    return f"{size / 2**20:.1f} MiB {how}"


def _tables(
    result: Result, floors: Mapping[str, Result], others: Results
) -> dict[str, dict[str, Result]]:
    """Return the columns of every track, the card's own track first, floors last."""
    track = result.track["name"]
    found = {track: {OWN: result, **others.get(track, {}), **floors}}
    return found | {name: dict(more) for name, more in others.items() if name != track}


def _scores(columns: Mapping[str, Result], record: Mapping[str, Any], flags: str) -> list[str]:
    """Return what is said of one track: what was given, the table, what is better than floors."""
    first = next(iter(columns.values()))
    given = first.predictions.get("inputs", [])
    floors = {name: result for name, result in columns.items() if name in FLOOR_NAMES}
    declared = ", ".join(given) or _inputs(record)
    files_read = f"`result.json`{f', `{OTHERS_FILE}`' if len(columns) > 1 else ''}"
    lines = [
        f"By the harness ({files_read}); intervals: {first.intervals or 'none'}. "
        f"Given to the model: {declared}{f' (`{flags}`)' if flags else ''}.{_depths(given, flags)}",
        "",
        *_table(columns),
    ]
    if floors and OWN in columns:
        lines += ["", _about_floors(floors, given), "", *_verdict(columns[OWN], floors)]
    return lines


def _about_floors(floors: Mapping[str, Result], given: Sequence[str]) -> str:
    if MOST_FREQUENT in floors:
        return f"`{MOST_FREQUENT}` answers with how frequent the classes are in training."
    boxes = "which the model is not given" if "boxes:none" in given else "the same as the model"
    return f"The floors look at boxes only (`hand_baselines/floors.py`), {boxes}."


def plain_card(name: str, model: str, title: str) -> str:
    """Return a card of a few lines: for weights that are saved without record and scores."""
    use = f"`hand-bench baselines predict {name} --track TRACK -o preds.parquet`"
    return "\n".join(
        [*front_matter(plain_metadata(model)), f"# {name}", "", f"{title}.", "", use, ""]
    )


def model_metadata(name: str, record: Mapping[str, Any], *results: Result) -> dict[str, Any]:
    """Return what the Hub reads of a card: kind, data, and the scores as its ``model-index``."""
    trained_on = record["data"]["dataset"]
    published = {"datasets": [_dataset_id(trained_on)]} if _is_published(trained_on) else {}
    return {
        **plain_metadata(record["model"]),
        **published,
        "model-index": [{"name": name, "results": [_evaluation(one) for one in results]}],
    }


def plain_metadata(model: str) -> dict[str, Any]:
    """Return what the Hub reads of a card of weights without record and scores."""
    return {
        "license": "apache-2.0",
        "library_name": LIBRARY,
        "pipeline_tag": TASK,
        "tags": [*TAGS, model],
    }


def front_matter(metadata: Mapping[str, Any]) -> list[str]:
    """Return metadata as the lines of YAML that a card begins with."""
    return ["---", *_yaml(metadata), "---"]


def _yaml(value: Any, indent: str = "") -> list[str]:
    """Mappings, lists and scalars as YAML; PyYAML is not on every host that trains."""
    lines = []
    pairs = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for key, item in pairs:
        start = f"{indent}- " if key is None else f"{indent}{key}:"
        if not isinstance(item, (Mapping, list, tuple)):
            lines.append(f"{start.rstrip()} {json.dumps(item, ensure_ascii=False)}")
        elif key is None:
            first, *others = _yaml(item, indent + "  ")
            lines += [start + first.lstrip(), *others]
        else:
            lines += [start, *_yaml(item, indent + ("  " if isinstance(item, Mapping) else ""))]
    return lines


def _evaluation(result: Result) -> dict[str, Any]:
    """Return the shown scores in the form of the Hub's ``model-index``."""
    track = result.track
    metrics = [
        {
            "type": score.metric.lower().replace(" ", "-"),
            "name": f"{score.metric} {score.subset} ({protocol}), {score.unit or '%'}",
            "value": float(score.text().replace(",", "")),
        }
        for protocol, metric, subset in _shown(result)
        if (score := _find(result, protocol, metric, subset))
    ]
    data = {"type": _dataset_id(track["dataset"]), "name": track["name"], "split": track["split"]}
    task = {"type": TASK, "name": "3D hand pose estimation"}
    return {"task": task, "dataset": data, "metrics": metrics}


def _is_published(dataset: str) -> bool:
    """The project publishes HandSim's worlds; other datasets go by their names."""
    return dataset.startswith("handsim")


def _dataset_id(dataset: str) -> str:
    from hand_baselines.hub import ORGANISATION

    return f"{ORGANISATION}/{dataset}" if _is_published(dataset) else dataset


def shareable(result: Result) -> Result:
    """Return a result without the places of files on the machine that made it."""

    def names(part: Mapping[str, Any]) -> dict[str, Any]:
        return {k: Path(v).name if k == "path" and v else v for k, v in part.items()}

    return replace(
        result,
        predictions=names(result.predictions),
        annotations=names(result.annotations),
    )


def write_card(folder: str | Path, *, title: str = "", notes: str = "", flags: str = "") -> Path:
    """Write the card of a folder with weights, ``record.json`` and ``result.json``.

    The floors are those of ``floors.json``, the other results those of ``others.json``, where these
    are there.
    """
    folder = Path(folder)
    record = json.loads((folder / "record.json").read_text("utf-8"))
    result = Result.load(folder / "result.json")
    size = sum((folder / name).stat().st_size for name in tensors.names(folder))
    path = folder / "README.md"
    with files.replacing(path) as temporary:
        text = card(
            folder.name,
            record,
            result,
            size=size,
            floors=read_floors(folder),
            others=_read_others(folder),
            title=title,
            notes=notes,
            flags=flags,
        )
        temporary.write_text(text, "utf-8")
    return path


def read_floors(folder: Path) -> dict[str, Result]:
    """Return the floors' results that lie beside weights; none where there is no such file."""
    path = folder / FLOORS_FILE
    if not path.is_file():
        return {}
    return {k: Result.from_json(v) for k, v in json.loads(path.read_text("utf-8")).items()}


def _read_others(folder: Path) -> dict[str, dict[str, Result]]:
    path = folder / OTHERS_FILE
    if not path.is_file():
        return {}
    found = json.loads(path.read_text("utf-8"))
    return {t: {k: Result.from_json(v) for k, v in more.items()} for t, more in found.items()}


def _shown(result: Result) -> list[tuple[str, str, str]]:
    """Return protocol, metric and subset of what a card shows of a result."""
    return [
        (protocol, metric, subset)
        for protocol, metric in SHOWN
        for subset in ((*HAND_SIDES, "all") if metric in _EACH_HAND else SUBSETS)
        if (own := _find(result, protocol, metric, subset)) and own.value is not None
    ]


def _table(columns: Mapping[str, Result]) -> list[str]:
    titles = ["protocol", "metric", "subset", *columns]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for protocol, metric, subset in _shown(next(iter(columns.values()))):
        found = [_find(result, protocol, metric, subset) for result in columns.values()]
        unit = next((score.unit for score in found if score), "") or "%"
        cells = [protocol, f"{metric}, {unit}", subset, *map(_cell, found)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _verdict(result: Result, floors: Mapping[str, Result]) -> list[str]:
    """Say what is better than every floor with intervals apart, and what is not."""
    better, others = [], []
    for protocol, metric, subset in _shown(result):
        own = result.score(metric, subset, protocol)
        against = [_find(floor, protocol, metric, subset) for floor in floors.values()]
        apart = all(_apart(own, floor) for floor in against if floor is not None)
        (better if apart else others).append(f"{metric} {subset} ({protocol})")
    return [
        f"Better than every floor, intervals apart: {', '.join(better) or 'nothing'}.",
        "",
        f"Not so: {', '.join(others) or 'nothing'}.",
    ]


def _apart(own: Score, floor: Score) -> bool:
    if own.ci95 is None or floor.ci95 is None:
        return False
    if own.higher_is_better:
        return own.ci95[0] > floor.ci95[1]
    return own.ci95[1] < floor.ci95[0]


def _cell(score: Score | None) -> str:
    if score is None or score.value is None:
        return ""
    interval = score.interval_text()
    return f"{score.text()} ({interval})" if interval else score.text()


def _find(result: Result, protocol: str, metric: str, subset: str) -> Score | None:
    key = (protocol, metric, subset)
    return next((s for s in result if (s.protocol, s.metric, s.subset) == key), None)


def _device(record: Mapping[str, Any]) -> str:
    device, count = record["device"], record["devices"]
    return f"{count} x {device}" if count > 1 else device


def _sample(record: Mapping[str, Any]) -> str:
    """Return what one training sample of a model is."""
    from hand_baselines.models import find_model

    return find_model(record["model"]).task().sample


def _procedural(data: Mapping[str, Any], sample: str) -> str:
    what = f"{'procedural ' if _is_published(str(data['dataset'])) else ''}{sample}s"
    return f"{data['samples']:,} {what} of {_tables_of(data)}"


def _tables_of(data: Mapping[str, Any]) -> str:
    """Name every table that was trained on."""
    parts = [f"{part['dataset']} ({part['split']})" for part in (data, *data.get("also", ()))]
    return ", ".join(parts)


def _pose_loss(record: Mapping[str, Any]) -> str:
    chosen = record["config"].get("pose_loss")
    return f", pose loss `{chosen}`" if chosen else ""


def _depths(given: Sequence[str], flags: str) -> str:
    """Say where the depths of wrists come from, where they are not measured."""
    if "root_depth:none" not in given or "--root-depth" in flags:
        return ""
    return (
        " Without a measured depth both wrists are put at the mean depth of the training wrists; "
        "wrist-relative errors contain what that does to sizes."
    )


def _and(flags: str) -> str:
    return f" {flags}" if flags else ""


def _inputs(record: Mapping[str, Any]) -> str:
    return "the standard boxes"
