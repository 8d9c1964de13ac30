"""What a repository on the Hub should hold: its paths -> files, or bytes made for it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from hand_baselines import tensors
from hand_baselines.cards import TAGS, TASK, front_matter, plain_card
from hand_baselines.hub import ABOUT, PREDICTIONS
from hand_baselines.weights import CONFIG, load_weights, sealed
from hand_bench import files, shards
from hand_bench.errors import BaselineError, DatasetError, Problem
from hand_bench.readers.handsim import find_shards
from hand_bench.sim.worlds import Source

Files = dict[str, Path | bytes]
#: Where this is, all files of the Space come from here, and old ones may be removed.
SITE_MARK = ".hand-bench"
_SHARD = re.compile(r"(?:(?P<table>.+)-)?(?P<split>[^-]+)-\d{5}-of-\d{5}\.parquet")


def weights_files(folder: Path, predictions: Path | None = None) -> Files:
    """Return what belongs to weights: tensors, sealed configuration, card, record, log, scores.

    `predictions` is a file of their answers; default: ``predictions.parquet`` beside them.

    Raises
    ------
    BaselineError
        HB302 for predictions that are not those of ``result.json``, HB402 for damaged weights.
    """
    loaded = load_weights(folder)
    there: Files = {name: folder / name for name in tensors.names(folder)}
    there[CONFIG] = (json.dumps(sealed(folder), indent=2, ensure_ascii=False) + "\n").encode()
    if not (folder / "README.md").is_file():
        there["README.md"] = plain_card(folder.name, loaded.model.name, loaded.model.title).encode()
    there |= {name: folder / name for name in ABOUT if (folder / name).is_file()}
    answers = predictions or folder / PREDICTIONS
    if predictions is not None or answers.is_file():
        _require_scored(folder, answers)
        there[PREDICTIONS] = answers
    return there


def _require_scored(folder: Path, answers: Path) -> None:
    """Published predictions are those that the published scores are of."""
    if not answers.is_file():
        raise BaselineError(Problem("HB402", str(answers), "does not exist."))
    result = folder / "result.json"
    if not result.is_file():
        return
    expected = json.loads(result.read_text("utf-8"))["predictions"].get("sha256")
    if expected and files.sha256(answers) != expected:
        what = f"is not the file that {result} scores (SHA-256)."
        fix = "Predict and score again, or leave the predictions out."
        raise BaselineError(Problem("HB302", str(answers), what, fix=fix))


def world_files(folder: Path, source: Source, repo: str) -> Files:
    """Return what belongs to a world: its shards, and a card that names the repository.

    Raises
    ------
    DatasetError
        HB202, HB203 where the world is not whole.
    """
    paths = [
        path
        for prefix, kind in source.tables.items()
        if kind != "clips"
        for split in source.splits
        for path in find_shards(folder, prefix, split)
    ]
    card = world_card(source, paths, repo)
    return {"README.md": card.encode(), **{f"data/{path.name}": path for path in paths}}


def world_card(source: Source, paths: list[Path], repo: str) -> str:
    """Return a dataset card: how it is opened, how it is made, its licence."""
    about = shards.about(paths[0])
    tables: dict[str, dict[str, int]] = {}
    for path in paths:
        found = _SHARD.fullmatch(path.name)
        assert found is not None, path
        rows = tables.setdefault(found["table"] or "default", {})
        rows[found["split"]] = rows.get(found["split"], 0) + pq.read_metadata(path).num_rows
    made = f"hand-bench sim make {source.name} --size {about['size']} --seed {about['seed']}"
    return "\n".join(
        [
            *front_matter(_world_metadata(source.name, tables)),
            *(f"# {source.name}", ""),
            f"HandSim's procedural look-alike of {source.like}: drawn hands with exact labels. It "
            "has no picture, recording or label of that dataset, and scores on it say nothing "
            "about real pictures.",
            *("", "| table | split | pictures |", "|---|---|---|"),
            *(f"| {t} | {s} | {n:,} |" for t, splits in tables.items() for s, n in splits.items()),
            "",
            f"HandSim {about['version']}, size {about['size']}, seed {about['seed']}; the same "
            f"pictures come from `{made}`. Licence: Apache-2.0, pictures and labels.",
            "",
            "```",
            f"hf download {repo} --repo-type dataset --local-dir {source.name}",
            f"hand-bench data prepare {source.name} {source.name}",
            "```",
            "",
        ]
    )


def _world_metadata(name: str, tables: Mapping[str, Mapping[str, int]]) -> dict[str, object]:
    pictures = sum(sum(splits.values()) for splits in tables.values())
    edges = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K"}
    size = next((text for edge, text in edges.items() if pictures < edge), "100K<n<1M")
    configs = []
    for table, splits in tables.items():
        prefix = "" if table == "default" else f"{table}-"
        data = [{"split": s, "path": f"data/{prefix}{s}-*-of-*.parquet"} for s in splits]
        configs.append({"config_name": table, "data_files": data})
    return {
        "license": "apache-2.0",
        "pretty_name": name,
        "task_categories": [TASK],
        "size_categories": [size],
        "tags": [*TAGS, "synthetic"],
        "configs": configs,
    }


def site_files(folder: Path) -> Files:
    """Return a built site as a static Space.

    Raises
    ------
    DatasetError
        HB202 where it has no ``index.html``.
    """
    if not (folder / "index.html").is_file():
        fix = "Give the folder of a built site."
        raise DatasetError(Problem("HB202", str(folder), "has no index.html.", fix=fix))
    metadata = {"title": "hand-bench", "sdk": "static", "app_file": "index.html"}
    card = "\n".join([*front_matter(metadata), "The board of hand-bench.", ""])
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    there: Files = {path.relative_to(folder).as_posix(): path for path in paths}
    return {**there, "README.md": card.encode(), SITE_MARK: b"Sent by `hand-bench publish`.\n"}
