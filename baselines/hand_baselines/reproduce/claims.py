"""The papers' comparative claims, as experiments on HandSim.

A claim says what a paper found, and predicts for one or several comparisons which method is
better. Each is measured on the same samples, in pairs, with an interval over clusters and seeds
(`effects`).

Verdicts, of HandSim alone (they judge neither the paper nor real data):

- "consistent": every method that should be better clearly is, and none that should be no worse
  clearly is;
- "inconsistent": at least one is clearly worse;
- "undecided": neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hand_baselines.reproduce.effects import Effect, effect
from hand_baselines.reproduce.trainings import Answers, Size, Workshop
from hand_bench.errors import BaselineError, unknown_name
from hand_bench.results import rounded

CONSISTENT, INCONSISTENT, UNDECIDED = "consistent", "inconsistent", "undecided"


@dataclass(frozen=True)
class Prediction:
    """That B is better than A, or no worse.

    Attributes
    ----------
    name
        What is compared, in words: "WildHands against HandNet, MRRPE on H2O".
    a, b
        Answers to the same track, of the seed 0 and the preset `small`.
    metric, subset
        A mean of `recommended` (`hand_bench.compare`).
    predicted
        "better", or "no worse".
    """

    name: str
    a: Answers
    b: Answers
    metric: str
    subset: str = "all"
    predicted: Literal["better", "no worse"] = "better"

    def outcome(self, found: Effect) -> str:
        """Return what an effect says of it: one of the verdicts."""
        if found.better == "A":
            return INCONSISTENT
        if found.better == "B" or (self.predicted == "no worse" and found.better == "tie"):
            return CONSISTENT
        return UNDECIDED


@dataclass(frozen=True)
class Claim:
    """A paper's claim.

    Attributes
    ----------
    name
        "WH-2".
    paper, where
        Paper, and table or figure.
    says
        What the paper says, with its numbers.
    predictions
        What should follow on HandSim; all of them.
    sizes
        By name.
    notes
        What differs from the paper's experiment.
    """

    name: str
    paper: str
    where: str
    says: str
    predictions: tuple[Prediction, ...]
    sizes: Mapping[str, Size]
    notes: str = ""

    def size(self, name: str) -> Size:
        """Return a size by name; HB301 where there is none."""
        if name not in self.sizes:
            raise BaselineError(unknown_name(f"size of {self.name}", name, list(self.sizes)))
        return self.sizes[name]


@dataclass(frozen=True)
class Finding:
    """What was measured of a prediction."""

    name: str
    predicted: str
    outcome: str
    effect: Effect
    track: str


@dataclass(frozen=True)
class Judged:
    """A claim with its findings and its verdict.

    Attributes
    ----------
    trainings
        Name -> what the record of the training says.
    """

    claim: str
    paper: str
    where: str
    says: str
    notes: str
    size: str
    seeds: int
    verdict: str
    findings: list[Finding]
    trainings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, nine significant digits."""
        return rounded(asdict(self))


def verdict(outcomes: Sequence[str]) -> str:
    """Return the verdict of a claim from those of its predictions.

    >>> verdict(["consistent", "undecided"]), verdict(["consistent", "inconsistent"])
    ('undecided', 'inconsistent')
    """
    if INCONSISTENT in outcomes:
        return INCONSISTENT
    return UNDECIDED if UNDECIDED in outcomes else CONSISTENT


def judge(claim: Claim, workshop: Workshop, *, size: str = "claim", seeds: int = 3) -> Judged:
    """Train, answer and score what a claim needs, and compare.

    Parameters
    ----------
    claim
        Which one.
    workshop
        Where trainings are kept: claims and tables share them.
    size
        One of the claim's sizes.
    seeds
        How often everything is trained, with seeds from 0 on.

    Raises
    ------
    BaselineError
        HB301 for an unknown size.
    DatasetError
        HB201 where data is not prepared.
    """
    sized, findings = claim.size(size), []
    trainings: dict[str, dict[str, Any]] = {}
    for one in claim.predictions:
        sides = [
            [workshop.scored(sized.of(answers, seed)) for seed in range(seeds)]
            for answers in (one.a, one.b)
        ]
        files = [[run.errors for run in runs] for runs in sides]
        found = effect(*files, one.a.track, one.metric, one.subset)
        outcome = one.outcome(found)
        findings.append(Finding(one.name, one.predicted, outcome, found, one.a.track))
        trainings |= {run.training: run.about() for runs in sides for run in runs}
    said = verdict([finding.outcome for finding in findings])
    about = claim.name, claim.paper, claim.where, claim.says, claim.notes
    return Judged(*about, size, seeds, said, findings, trainings)
