"""The table of claims, from the files of their results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hand_baselines.reproduce.effects import Effect
from hand_baselines.reproduce.papers import CLAIMS

#: Results that are kept in the repository: one file for each claim or table.
RESULTS = Path(__file__).resolve().parents[2] / "reproduced"


def read(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Return the results of claims in a folder, in the order of `CLAIMS`."""
    found = {}
    for name in CLAIMS:
        path = folder / f"{name}.json"
        if path.is_file():
            found[name] = json.loads(path.read_text("utf-8"))
    return found


def table(folder: Path = RESULTS) -> str:
    """Return all claims in Markdown: what was measured, and the verdict; or that it did not run."""
    lines = ["| claim | the paper says | on HandSim, B less A | verdict |", "|---|---|---|---|"]
    judged = read(folder)
    for name, claim in CLAIMS.items():
        says = f"{claim.says} ({claim.paper}, {claim.where})"
        if name not in judged:
            lines.append(f"| {name} | {says} | | not run |")
            continue
        made = judged[name]
        effects = "<br>".join(_finding(one) for one in made["findings"])
        seeds = "1 seed" if made["seeds"] == 1 else f"{made['seeds']} seeds"
        how = f"**{made['verdict']}** ({made['size']}, {seeds})"
        if (folder / f"{name}.md").is_file() and folder == RESULTS:
            how += f", [explained](baselines/reproduced/{name}.md)"
        lines.append(f"| {name} | {says} | {effects} | {how} |")
    return "\n".join(lines)


def _finding(found: Mapping[str, Any]) -> str:
    effect = Effect(**found["effect"])
    unit = effect.unit or "points"
    metric = "" if found["name"].endswith(effect.metric) else f"{effect.metric} "
    return f"{found['name']}: {metric}{effect.text()} {unit}"
