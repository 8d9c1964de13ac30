"""Results: scores with intervals, coverage and hashes; as JSON and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hand_bench import files
from hand_bench.errors import TrackError, unknown_name
from hand_bench.version import __version__


@dataclass(frozen=True)
class Score:
    """One number: what it is, over what, made how, how sure.

    `n` counts what was averaged over: hands, samples or joints, as the metric says. `value` is
    None where there is nothing to average or the protocol does not allow it; `note` says why.
    """

    metric: str
    subset: str
    protocol: str
    value: float | None
    unit: str
    ci95: tuple[float, float] | None
    n: int
    signature: str
    higher_is_better: bool
    note: str = ""

    def text(self) -> str:
        """Return the value as printed: percent for shares, two decimals for lengths."""
        return format_value(self.value, self.unit)

    def interval_text(self) -> str:
        """Return the 95 % interval as printed, empty where there is none."""
        if self.ci95 is None:
            return ""
        low, high = (format_value(v, self.unit) for v in self.ci95)
        return f"{low} to {high}"


def format_value(value: float | None, unit: str) -> str:
    """Print a value: shares as percent, lengths with two decimals."""
    if value is None:
        return "n/a"
    return f"{100 * value:.2f}" if unit == "" else f"{value:.2f}"


@dataclass(frozen=True)
class Result:
    """What one evaluation gives; the same object from Python and from the command line."""

    track: dict[str, Any]
    predictions: dict[str, Any]
    annotations: dict[str, Any]
    coverage: dict[str, int]
    scores: list[Score]
    details: dict[str, Any] = field(default_factory=dict)
    partial: str = ""
    intervals: str = ""
    notes: list[str] = field(default_factory=list)
    hand_bench_version: str = __version__

    def __iter__(self) -> Iterator[Score]:
        return iter(self.scores)

    def score(self, metric: str, subset: str = "all", protocol: str = "recommended") -> Score:
        """Return one score.

        Raises
        ------
        TrackError
            HB301 with the nearest names where there is no such score.
        """
        for score in self.scores:
            if (score.metric, score.subset, score.protocol) == (metric, subset, protocol):
                return score
        known = [f"{s.metric} {s.subset} {s.protocol}" for s in self.scores]
        raise TrackError(unknown_name("score", f"{metric} {subset} {protocol}", known))

    @property
    def primary(self) -> Score:
        """The score that ranks the track."""
        chosen = self.track["primary"]
        return self.score(chosen["metric"], chosen["subset"], chosen["protocol"])

    def to_json(self) -> dict[str, Any]:
        """Return plain data, ready for `json.dumps`; numbers have nine significant digits."""
        return rounded(asdict(self))

    def save(self, path: str | Path) -> None:
        """Write the result as JSON, all or nothing."""
        files.write_json(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a result that `save` wrote."""
        return cls.from_json(json.loads(Path(path).read_text("utf-8")))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Result:
        """Return the result that `to_json` described."""
        scores = [
            Score(**(s | {"ci95": tuple(s["ci95"]) if s["ci95"] else None})) for s in data["scores"]
        ]
        return cls(**(data | {"scores": scores}))

    def __str__(self) -> str:
        lines = [f"{self.track['name']} v{self.track['version']}"]
        for s in self.scores:
            lines.append(
                f"{s.protocol:12} {s.metric:20} {s.subset:5} {s.text():>9} {s.unit:5}"
                f" [{s.interval_text()}]"
            )
        return "\n".join(lines)


def nine_digits(value: float) -> float | None:
    """Round to nine significant digits: enough for parity, the same bytes on every machine."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def rounded(value: Any) -> Any:
    """Round every number of plain data to nine significant digits."""
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return nine_digits(value)
    if isinstance(value, dict):
        return {str(k): rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value]
