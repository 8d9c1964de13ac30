"""The log of a training: means of losses, ``log.csv``, ``log.json`` and ``loss.png``."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hand_bench import files
from hand_bench.errors import BaselineError, Problem


class Window:
    """Sums of the losses since the last row of the log, on their device: no waiting."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, terms: Any, norm: Tensor | float) -> None:
        """Add the terms of a step."""
        values = {"loss": terms.total, **terms._asdict(), "gradient": torch.as_tensor(norm)}
        for name, value in values.items():
            value = value.detach().double()
            self.sums[name] = self.sums[name].to(value) + value if name in self.sums else value
        self.count += 1

    def row(self, out: Path) -> dict[str, float]:
        """Return the means and start again.

        Raises
        ------
        BaselineError
            HB402 where the loss is not finite.
        """
        means = {name: float(value) / self.count for name, value in self.sums.items()}
        if not math.isfinite(means["loss"]):
            what = "the loss is not finite any more."
            fix = "A lower --learning-rate, or another --precision; the last saved state is whole."
            raise BaselineError(Problem("HB402", str(out), what, fix=fix))
        self.sums, self.count = {}, 0
        return means

    def saved(self) -> dict[str, Any]:
        """Return plain values, exactly."""
        return {"count": self.count, "sums": {k: float(v) for k, v in self.sums.items()}}

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> Window:
        """Return the window that `saved` described."""
        made = cls()
        made.count = values["count"]
        made.sums = {k: torch.tensor(v, dtype=torch.float64) for k, v in values["sums"].items()}
        return made


class Log:
    """Rows of a run, in ``log.csv`` and ``log.json``; those after `step` are dropped first."""

    def __init__(self, out: Path, step: int):
        self.json, self.csv = out / "log.json", out / "log.csv"
        self.rows = [row for row in read_log(out) if row["step"] <= step]
        out.mkdir(parents=True, exist_ok=True)
        with files.replacing(self.json) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows), "utf-8")
        self._write_csv()

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        row = {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}
        new = set(row) - set(self._columns())
        self.rows.append(row)
        with self.json.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        if new:
            self._write_csv()
        else:
            with self.csv.open("a", encoding="utf-8", newline="") as stream:
                csv.DictWriter(stream, self._columns(), lineterminator="\n").writerow(row)

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def _write_csv(self) -> None:
        with (
            files.replacing(self.csv) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.DictWriter(stream, self._columns(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def read_log(out: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a run's log; a last line that was cut off is left out."""
    path = Path(out) / "log.json"
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def plot(out: str | Path, rows: list[dict[str, Any]]) -> Path | None:
    """Draw the losses of a log as ``loss.png``; None where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    losses = [row for row in rows if "loss" in row]
    scores = [row for row in rows if "score" in row]
    leave_out = {"step", "seconds", "learning_rate", "epoch", "gradient"}
    names = [n for n in losses[0] if n not in leave_out] if losses else []
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name in names:
        axes.plot([r["step"] for r in losses], [r[name] for r in losses], label=name, lw=1)
    axes.set(xlabel="step", ylabel="loss", yscale="log" if losses else "linear")
    if scores:
        other = axes.twinx()
        x, y = [r["step"] for r in scores], [r["score"] for r in scores]
        other.plot(x, y, "k.--", label="validation score")
        other.set(ylabel="validation score")
    if names:
        figure.legend(loc="outside upper center", ncols=len(names) + 1)
    path = Path(out) / "loss.png"
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
    return path
