"""Model cards: what a folder of weights is, from its record and the scores of the harness."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hand_baselines import tensors
from hand_bench import files
from hand_bench.results import Result, Score

#: What a card shows, where a result has it: (protocol, metric).
SHOWN = (
    ("official", "MPJPE"),
    ("official", "MRRPE"),
    ("official", "handedness accuracy"),
    ("toolkit", "MPJPE"),
    ("wildhands", "MRRPE"),
    ("recommended", "AUC(0-50)"),
    ("recommended", "MPJPE"),
    ("recommended", "PA-MPJPE"),
    ("recommended", "hand AP"),
    ("recommended", "hand recall"),
)
SUBSETS = ("all", "SH", "IH")
#: What the Hub files the models and worlds under.
TASK, LIBRARY, TAGS = "keypoint-detection", "hand-bench", ("hand-pose-estimation", "3d-hand-pose")
#: Beside weights: the floors' results on the same track.
FLOORS_FILE = "floors.json"
_FLOORS = (
    "The floors look at boxes only (`hand_baselines/floors.py`), at the same ones as the model.",
    "",
)


def card(
    name: str,
    record: Mapping[str, Any],
    result: Result,
    *,
    size: int,
    floors: Mapping[str, Result] | None = None,
    title: str = "",
    notes: str = "",
    root_depth: str | None = None,
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
        Scores of predictors that look at boxes only, for comparison (`floors.FLOORS`).
    notes
        What else has to be said.
    root_depth
        The RootNet that gave the depths of wrists.
    """
    data, options = record["data"], record["options"]
    track = result.track["name"]
    depths = f" --root-depth {root_depth}" if root_depth else ""
    lines = [
        *front_matter(model_metadata(name, record, result)),
        *(f"# {name}", "", title, ""),
        f"Trained for {record['minutes']:g} minutes ({record['steps']:,} steps, "
        f"{record['epochs']:.2f} epochs) on {_device(record)}, on {_procedural(data)}. "
        f"Initial weights: {record['initial_weights']}; no ImageNet weights, no real pictures. "
        "It shows that the training, prediction and scoring work; it is no state of the art and "
        "says nothing about real pictures.",
        "",
        "| | |",
        "|---|---|",
        f"| model, preset | {record['model']}, `{record['preset']}` |",
        f"| parameters | {record['parameters']:,}; {size / 2**20:.1f} MiB in half precision |",
        f"| training data | {data['dataset']}, {data['split']}, {data['samples']:,} pictures "
        f"({data.get('release', 'unknown release')}) |",
        f"| annotations | sha256 `{data['sha256'][:16]}...` |",
        f"| device | {_device(record)}, precision {record['precision']} |",
        f"| time | {record['minutes']:g} minutes, {record['images_per_second']:g} pictures/s |",
        f"| optimisation | Adam, batch {options['batch']}, rate {options['learning_rate']:g}, "
        f"{options['schedule']}{_pose_loss(record)}, seed {options['seed']} |",
        "| commit | see `record.json` |",
        "| all options, versions, data hash | `record.json`; losses: `log.csv` |",
        "",
        f"## Scores on `{track}`",
        "",
        "By the harness (`result.json`), 95 % intervals by a bootstrap over sequences. "
        f"Given to the model: {', '.join(result.predictions.get('inputs', [])) or _inputs(record)}."
        + _depths(result, root_depth),
        "",
        *_table(result, floors or {}),
        "",
        *(_FLOORS if floors else ()),
        *(_verdict(result, floors) if floors else ()),
        *((notes, "") if notes else ()),
        "## Use",
        "",
        "```",
        f"hand-bench baselines predict {name} --track {track}{depths} -o preds.parquet",
        f"hand-bench evaluate preds.parquet --track {track}",
        "```",
        "",
    ]
    return "\n".join(lines)


def plain_card(name: str, model: str, title: str) -> str:
    """Return a card of a few lines: for weights that are saved without record and scores."""
    use = f"`hand-bench baselines predict {name} --track TRACK -o preds.parquet`"
    return "\n".join(
        [*front_matter(plain_metadata(model)), f"# {name}", "", f"{title}.", "", use, ""]
    )


def model_metadata(name: str, record: Mapping[str, Any], result: Result) -> dict[str, Any]:
    """Return what the Hub reads of a card: kind, data, and the scores as its ``model-index``."""
    trained_on = record["data"]["dataset"]
    published = {"datasets": [_dataset_id(trained_on)]} if _is_published(trained_on) else {}
    return {
        **plain_metadata(record["model"]),
        **published,
        "model-index": [{"name": name, "results": [_evaluation(result)]}],
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
        for protocol, metric in SHOWN
        for subset in SUBSETS
        if (score := _find(result, protocol, metric, subset)) and score.value is not None
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


def write_card(
    folder: str | Path, *, title: str = "", notes: str = "", root_depth: str | None = None
) -> Path:
    """Write the card of a folder with weights, ``record.json`` and ``result.json``.

    The floors are those of ``floors.json``, where it is there.
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
            title=title,
            notes=notes,
            root_depth=root_depth,
        )
        temporary.write_text(text, "utf-8")
    return path


def read_floors(folder: Path) -> dict[str, Result]:
    """Return the floors' results that lie beside weights; none where there is no such file."""
    path = folder / FLOORS_FILE
    if not path.is_file():
        return {}
    return {k: Result.from_json(v) for k, v in json.loads(path.read_text("utf-8")).items()}


def _table(result: Result, floors: Mapping[str, Result]) -> list[str]:
    columns = ["protocol", "metric", "subset", "this model", *floors]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for protocol, metric in SHOWN:
        for subset in SUBSETS:
            own = _find(result, protocol, metric, subset)
            if own is None or own.value is None:
                continue
            others = [_find(floor, protocol, metric, subset) for floor in floors.values()]
            unit = own.unit or "%"
            cells = [protocol, f"{metric}, {unit}", subset, *map(_cell, (own, *others))]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def _verdict(result: Result, floors: Mapping[str, Result]) -> list[str]:
    """Say what is better than every floor with intervals apart, and what is not."""
    better, others = [], []
    for protocol, metric in SHOWN:
        for subset in SUBSETS:
            own = _find(result, protocol, metric, subset)
            if own is None or own.value is None:
                continue
            against = [_find(floor, protocol, metric, subset) for floor in floors.values()]
            apart = all(_apart(own, floor) for floor in against if floor is not None)
            (better if apart else others).append(f"{metric} {subset} ({protocol})")
    return [
        f"Better than every floor, intervals apart: {', '.join(better) or 'nothing'}.",
        "",
        f"Not so: {', '.join(others) or 'nothing'}.",
        "",
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


def _procedural(data: Mapping[str, Any]) -> str:
    what = "procedural pictures" if str(data["dataset"]).startswith("handsim") else "pictures"
    return f"{data['samples']:,} {what} of {data['dataset']} ({data['split']})"


def _pose_loss(record: Mapping[str, Any]) -> str:
    chosen = record["config"].get("pose_loss")
    return f", pose loss `{chosen}`" if chosen else ""


def _depths(result: Result, root_depth: str | None) -> str:
    """Say where the depths of wrists come from."""
    if root_depth:
        return f" The depths of the wrists are those of `{root_depth}`."
    if "root_depth:none" not in result.predictions.get("inputs", []):
        return ""
    return (
        " Without a measured depth both wrists are put at the mean depth of the training wrists; "
        "wrist-relative errors contain what that does to sizes."
    )


def _inputs(record: Mapping[str, Any]) -> str:
    return "the standard boxes"
