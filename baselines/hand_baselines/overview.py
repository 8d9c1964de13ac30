"""The table of shipped weights: scores, best floors, sizes and speed, from the files beside them.

Texts that hold such a table have it between two comments, ``<!-- NAME -->`` and ``<!-- /NAME -->``;
`put` replaces what is between them, and a test keeps texts and files in step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hand_baselines import weights
from hand_baselines.cards import FLOORS_FILE
from hand_baselines.training import RECORD
from hand_bench import files
from hand_bench.errors import BaselineError, Problem, TrackError
from hand_bench.results import Result, Score

#: Beside the folders of weights: how fast the networks are, by model.
SPEED = "speed.json"
#: What a row shows, where the result has it: metric -> heading.
MEASURES = {
    "AUC(0-50)": "AUC(0-50), %",
    "MPJPE": "MPJPE, mm",
    "MRRPE": "MRRPE, mm",
    "accuracy": "accuracy, %",
}


def table(folder: Path | None = None) -> str:
    """Return the table of all weights of a folder (default: the repository's) in Markdown.

    Scores are those of `recommended` over all samples with 95 % intervals, in brackets below the
    best floor. Speed is one sample at a time, in single precision.
    """
    folder = folder or weights.SHIPPED
    speed = _speed(folder)
    names = sorted(path.parent.name for path in folder.glob("*/result.json"))
    heads = ["weights", "track", *MEASURES.values(), "parameters", "ms a sample"]
    lines = [_line(heads), "|" + "---|" * len(heads)]
    for name in names:
        record = json.loads((folder / name / RECORD).read_text("utf-8"))
        result = Result.load(folder / name / "result.json")
        floors = _floors(folder / name)
        cells = [_cell(result, floors, metric) for metric in MEASURES]
        fast = speed.get("models", {}).get(record["model"])
        shown = f"{fast['ms']:.1f}" if fast else ""
        own = [f"{record['parameters']:,}", shown]
        lines.append(_line([f"`{name}`", f"`{result.track['name']}`", *cells, *own]))
    if speed:
        lines += ["", f"Speed: {speed['device']}, presets `small`."]
    return "\n".join(lines)


def measure_speed(folder: Path | None = None, threads: int = 0) -> Path:
    """Measure the networks of all weights of a folder, and keep it beside them."""
    from hand_baselines.models import find_model
    from hand_baselines.timing import measure

    folder = folder or weights.SHIPPED
    made: dict[str, Any] = {}
    device = ""
    for path in sorted(folder.glob(f"*/{RECORD}")):
        record = json.loads(path.read_text("utf-8"))
        model = find_model(record["model"])
        if model.name in made:
            continue
        found = measure(model, record["preset"], (1,), threads=threads)
        device = found["device"]
        made[model.name] = {"ms": found["rows"][0]["ms"], "gflops": found["gflops"]}
    files.write_json(folder / SPEED, {"device": device, "models": made})
    return folder / SPEED


def put(path: Path, name: str, text: str) -> None:
    """Replace what a text has between the comments of a name.

    Raises
    ------
    BaselineError
        HB302 where it has no such comments.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = path.read_text("utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        fix = f"Put {start} and {end} where the table belongs."
        raise BaselineError(Problem("HB302", str(path), f"has no {start} ... {end}.", fix=fix))
    with files.replacing(path) as temporary:
        temporary.write_text(f"{before}{start}\n{text}\n{end}{after}", "utf-8")


def _cell(result: Result, floors: Sequence[Result], metric: str) -> str:
    score = _score(result, metric)
    if score is None or score.value is None:
        return ""
    others = [one.value for one in (_score(floor, metric) for floor in floors) if one is not None]
    known = [value for value in others if value is not None]
    text = f"{score.text()} ({score.interval_text()})" if score.ci95 else score.text()
    if not known:
        return text
    best = max(known) if score.higher_is_better else min(known)
    return f"{text}; floor {100 * best if score.unit == '' else best:.2f}"


def _score(result: Result, metric: str) -> Score | None:
    try:
        return result.score(metric)
    except TrackError:
        return None


def _floors(folder: Path) -> list[Result]:
    path = folder / FLOORS_FILE
    if not path.is_file():
        return []
    return [Result.from_json(one) for one in json.loads(path.read_text("utf-8")).values()]


def _speed(folder: Path) -> dict[str, Any]:
    path = folder / SPEED
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _line(parts: Sequence[str]) -> str:
    return f"| {' | '.join(parts)} |"
