"""The papers' claims and tables, run again on HandSim, as values (`claim_files` reads them)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What can be said of a comparison, and of a claim.
VERDICTS = ("consistent", "inconsistent", "undecided")


@dataclass(frozen=True)
class Difference:
    """B less A: means over the seeds, the 95 % interval, the difference of each seed.

    Attributes
    ----------
    unit
        "mm", "px", "" (a share).
    ci95
        By resampled clusters and seeds; None with too few clusters.
    n
        Hands or samples that both answer.
    """

    metric: str
    subset: str
    a: float
    b: float
    difference: float
    unit: str
    higher_is_better: bool
    ci95: tuple[float, float] | None
    seeds: tuple[float, ...]
    clusters: int
    n: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.ci95 is not None and (self.ci95[0] > 0 or self.ci95[1] < 0)


@dataclass(frozen=True)
class Finding:
    """One comparison of a claim: "B against A", what was predicted of B, and what was found."""

    name: str
    predicted: str
    outcome: str
    track: str
    effect: Difference


@dataclass(frozen=True)
class Run:
    """How a claim or a table was run.

    Attributes
    ----------
    trainings
        Name -> what its record says, as far as it does.
    text
        The file as it is.
    """

    size: str
    seeds: int
    notes: str
    trainings: Mapping[str, Mapping[str, Any]]
    text: str

    @property
    def how(self) -> str:
        """Return "size claim, 3 seeds"."""
        return f"size {self.size}, {self.seeds} seed{'s' if self.seeds != 1 else ''}"


@dataclass(frozen=True)
class Judged:
    """A claim's verdict and findings; the explanation is Markdown, or ""."""

    run: Run
    verdict: str
    findings: tuple[Finding, ...]
    explanation: str = ""


@dataclass(frozen=True)
class Claim:
    """A paper's claim, and what was found where it has run."""

    name: str
    paper: str
    says: str
    predictions: tuple[str, ...]
    judged: Judged | None = None

    @property
    def verdict(self) -> str:
        """The verdict, or "not run"."""
        return self.judged.verdict if self.judged else "not run"

    @property
    def lacking(self) -> tuple[str, ...]:
        """Comparisons that the claim has and its result, of an earlier form, has not."""
        found = {one.name for one in self.judged.findings} if self.judged else set()
        return tuple(name for name in self.predictions if name not in found)


@dataclass(frozen=True)
class Cell:
    """A number of a table: mean over the seeds, its 95 % interval, and what the paper prints."""

    value: float
    unit: str
    ci95: tuple[float, float] | None
    printed: str | None


@dataclass(frozen=True)
class PaperTable:
    """A paper's table, run again at one size.

    Attributes
    ----------
    rows
        Label -> cells, None for a dash.
    differences
        "B less A" -> column -> the paired difference.
    """

    name: str
    paper: str
    title: str
    run: Run
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Cell | None, ...]]
    differences: Mapping[str, Mapping[str, Difference]]


@dataclass(frozen=True)
class Claims:
    """All claims in the order of the list, and the tables that have run."""

    claims: tuple[Claim, ...]
    tables: tuple[PaperTable, ...]

    def count(self, verdict: str) -> int:
        """Return how many claims have a verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)

    @property
    def judged(self) -> tuple[Claim, ...]:
        """Claims that have run."""
        return tuple(claim for claim in self.claims if claim.judged)
