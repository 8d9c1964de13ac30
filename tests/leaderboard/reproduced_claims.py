"""Results of claims and tables as `hand-bench reproduce` writes them, with numbers of the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TRACK = "handsim-egoexo4d-hand"


def effect(
    seeds=(-4.0, -6.0), ci95=(-7.5, -2.5), *, a=40.0, unit="mm", metric="MPJPE", subset="all",
    higher=False,
) -> dict[str, Any]:  # fmt: skip
    """B less A."""
    mean = sum(seeds) / len(seeds)
    return {
        "metric": metric, "subset": subset, "a": a, "b": a + mean, "difference": mean,
        "unit": unit, "higher_is_better": higher, "ci95": ci95 and list(ci95),
        "seeds": list(seeds), "clusters": 29, "n": 7376,
    }  # fmt: skip


def finding(name: str, outcome: str = "consistent", found: Any = None, **other) -> dict[str, Any]:
    """One comparison."""
    plain = {"name": name, "predicted": "better", "outcome": outcome, "track": TRACK}
    return plain | {"effect": found or effect()} | other


def claim(name: str, verdict: str, *findings: dict[str, Any], **other) -> dict[str, Any]:
    """The result of a claim."""
    training = {"model": "m", "preset": "small", "data": ["handsim-arctic"], "steps": 600,
                "minutes": 3.5, "seed": 0, "commit": "0123456789abcdef"}  # fmt: skip
    return {
        "claim": name, "paper": "P 2024", "where": "Table 1", "says": "", "notes": "",
        "size": "claim", "seeds": 2, "verdict": verdict, "findings": list(findings),
        "trainings": {"m-0123": training},
    } | other  # fmt: skip


def cell(value: float, unit="mm", ci95=None, printed=None) -> dict[str, Any]:
    """One number of a table."""
    return {"column": "", "value": value, "unit": unit, "ci95": ci95, "seeds": [value], "n": 9,
            "signature": "", "trainings": [], "printed": printed}  # fmt: skip


def table(name: str = "t1", **other) -> dict[str, Any]:
    """A table with two rows, one of them with a dash."""
    rows = {
        "Old": [cell(40.0, ci95=[38.0, 42.0], printed="31.5"), cell(0.5, "")],
        "New": [cell(35.0), None],
    }
    return {
        "table": name, "paper": "P 2024, Table 1", "title": "Crops", "notes": "Under `wildhands`.",
        "size": "small", "seeds": 1, "columns": ["H2O", "Actions"], "rows": rows,
        "differences": {"New less Old": {"H2O": effect((-5.0,))}}, "trainings": {},
    } | other  # fmt: skip


def listing(**predictions: list[str]) -> dict[str, Any]:
    """The list of claims and tables: names of comparisons by claim ("A_1" is "A-1")."""
    claims = {
        name.replace("_", "-"): {"paper": f"P 2024, Table {k}", "says": f"Finding {k}.",
                                 "predictions": names, "sizes": ["claim"]}
        for k, names in enumerate(predictions.values(), 1)
        for name in [list(predictions)[k - 1]]
    }  # fmt: skip
    return {"tables": {"t1": {"paper": "P", "title": "Crops", "rows": []}}, "claims": claims}


def write(folder: Path, name: str, plain: Any) -> Path:
    """Write one file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(plain), "utf-8")
    return path


def write_all(folder: Path) -> Path:
    """Write three claims, two of which have run, and a table."""
    write(folder, "claims", listing(A_1=["new against old"], A_2=["x", "y", "z"], B_1=["later"]))
    write(folder, "A-1", claim("A-1", "consistent", finding("new against old")))
    shares = effect((0.04, 0.02), (-0.01, 0.07), a=0.5, unit="", metric="accuracy", higher=True)
    worse = effect((1.5, 0.5), (0.25, 1.75), subset="IH")
    few = effect((0.3, -0.1), None)
    write(folder, "A-2", claim("A-2", "inconsistent", finding("x", "inconsistent", worse),
                               finding("y", "undecided", few),
                               finding("z", "undecided", shares, track="handsim-nowhere"),
                               notes="Other `views`."))  # fmt: skip
    (folder / "A-2.md").write_text("# A-2\n\nAt size `claim` **depth** is a guess.\n", "utf-8")
    write(folder, "t1-small", table())
    return folder
