"""Whether a method was trained on what it is evaluated on, and how that is known.

Conventions
-----------
Four verdicts, the first that applies:

- "undeclared": nothing is said about the training data;
- "in-domain": the evaluated dataset itself was trained on, any split of it, alone or in a mix;
- "same corpus": a dataset was trained on that shares recordings or a corpus with the evaluated one,
  whatever was used of it (2D masks count as much as 3D poses);
- "zero-shot": none of these.

The rule of WildHands stands beside it, as the paper writes it: a model is zero-shot when it was
"not trained on the evaluation dataset" (Sec. 4.2), where EPIC is one name for EPIC-KITCHENS, VISOR
and Epic-HandKps (the column of Epic-HandKps is trained on D - EPIC, Table 1). It says nothing of
corpora, so it is the laxer one: Assembly101 is another dataset than AssemblyHands under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hand_bench import lineage
from hand_bench.errors import HandBenchError, Problem, SubmissionError, TrackError, unknown_name
from hand_bench.lineage import TrainingData
from hand_bench.tracks import TRACKS, Track

ZERO_SHOT, SAME_CORPUS, IN_DOMAIN = "zero-shot", "same corpus", "in-domain"
UNDECLARED = "undeclared"
#: The other outcome of the rule of WildHands, which knows no corpora.
NOT_ZERO_SHOT = "not zero-shot"
#: From the best to the worst that one dataset of several can make of it.
ORDER = (ZERO_SHOT, SAME_CORPUS, IN_DOMAIN)


@dataclass(frozen=True)
class ZeroShot:
    """The verdict on one method and one evaluated split, with the reason in plain words.

    `wildhands` is the verdict under the rule of WildHands; `notes` are doubts about the sources.
    """

    evaluated: str
    verdict: str
    why: str
    wildhands: str
    notes: tuple[str, ...] = ()

    @property
    def rules_differ(self) -> bool:
        """Whether one rule calls it zero-shot and the other does not."""
        return (self.verdict == ZERO_SHOT) != (self.wildhands == ZERO_SHOT)

    def text(self) -> str:
        """Return the verdict as a few lines; WildHands' only where it differs."""
        lines = [f"{self.evaluated}: {self.verdict}", self.why]
        if self.rules_differ:
            lines.append(
                f"under the rule of WildHands (not trained on the dataset): {self.wildhands}"
            )
        lines += [f"note: {note}" for note in self.notes]
        return "\n      ".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; "rules" holds both verdicts by the rule's name."""
        return {
            "evaluated": self.evaluated,
            "verdict": self.verdict,
            "why": self.why,
            "rules": {"hand-bench": self.verdict, "wildhands": self.wildhands},
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Use:
    """One dataset that was trained on, the mix that brought it in, and what it makes of it."""

    data: TrainingData
    mix: str | None
    verdict: str
    path: str

    def text(self) -> str:
        """Return "visor/train (masks, grasp)", with the mix where it came in one."""
        return f"{self.data} in {self.mix}" if self.mix else str(self.data)


def status(training: Sequence[str] | None, evaluated: str | Track) -> ZeroShot:
    """Say whether an evaluation is zero-shot.

    Parameters
    ----------
    training
        Declared lines such as "arctic/train" or "visor/train: masks, grasp"; None or empty where
        nothing is declared.
    evaluated
        A track, its name, or "dataset/split" (also for datasets without a track).

    Raises
    ------
    SubmissionError
        HB113 with every declared name that is unknown.
    TrackError
        HB301 for an unknown track or dataset.
    """
    target = find_evaluated(evaluated)
    if not training:
        return ZeroShot(str(target), UNDECLARED, "no training data is declared", UNDECLARED)
    declared = lineage.parse_all(training)
    uses = [_use(data, mix, target) for data, mix in _expand(declared)]
    seen = any(_seen_by_wildhands_rule(use.data.dataset, target.dataset) for use in uses)
    return ZeroShot(
        str(target),
        max((use.verdict for use in uses), key=ORDER.index),
        _why(uses, declared, target),
        NOT_ZERO_SHOT if seen else ZERO_SHOT,
        _notes(declared),
    )


def find_evaluated(evaluated: str | Track) -> TrainingData:
    """Return dataset and split of a track, a track's name, or "dataset/split".

    Raises
    ------
    TrackError
        HB301 with the nearest names.
    """
    track = TRACKS.get(evaluated) if isinstance(evaluated, str) else evaluated
    if track is not None:
        return _dataset_of(track)
    name, _, split = str(evaluated).strip().lower().partition("/")
    found = lineage.find(name)
    if found is None:
        known = dict.fromkeys([*TRACKS, *lineage.load().datasets])
        raise TrackError(unknown_name("track or dataset", name, list(known)))
    splits = [s.name for s in found.splits]
    if split and splits and split not in splits:
        raise TrackError(unknown_name(f"split of {name}", split, splits))
    return TrainingData(name, split or None)


def _dataset_of(track: Track) -> TrainingData:
    if lineage.find(track.dataset) is None:
        fix = "Its corpus and splits belong into `lineage.json`."
        what = f"the lineage of its dataset {track.dataset!r} is not known."
        raise TrackError(Problem("HB301", track.name, what, fix=fix))
    return TrainingData(track.dataset, track.split)


def _expand(declared: Sequence[TrainingData]) -> list[tuple[TrainingData, str | None]]:
    """Replace every mix by its parts, each with the mix's name."""
    mixes = lineage.load().mixes
    return [
        pair
        for data in declared
        for pair in (
            [(part, data.dataset) for part in lineage.parts_of(data.dataset)]
            if data.dataset in mixes
            else [(data, None)]
        )
    ]


def _use(data: TrainingData, mix: str | None, target: TrainingData) -> Use:
    if data.dataset == target.dataset:
        return Use(data, mix, IN_DOMAIN, _same_dataset(data, target))
    path = lineage.shared_recordings(data.dataset, target.dataset)
    return Use(data, mix, SAME_CORPUS if path else ZERO_SHOT, path)


def _same_dataset(data: TrainingData, target: TrainingData) -> str:
    """Say how the trained and the evaluated split of one dataset are separated."""
    if data.split == target.split or None in (data.split, target.split):
        return f"{target} is what is evaluated"
    known = lineage.require(data.dataset).separation(data.split, target.split)
    how = f": {known.text()}" if known else ""
    doubt = "" if known is None or known.verified else " (unverified)"
    return f"{target} is evaluated, another split of the same dataset{how}{doubt}"


def _seen_by_wildhands_rule(trained: str, evaluated: str) -> bool:
    """Whether WildHands would say that the evaluated dataset was trained on.

    It was, if the datasets are one, or have one name in the paper; or if the trained one holds
    images of the evaluated one (HInt annotates images of EPIC).
    """
    name = lineage.require(evaluated).wildhands_name
    made_from = [lineage.require(a) for a in lineage.ancestors(trained)]
    return any(d.name == evaluated or (name and d.wildhands_name == name) for d in made_from)


def _why(uses: Sequence[Use], declared: Sequence[TrainingData], target: TrainingData) -> str:
    related = [use for use in uses if use.path]
    if related:
        return "; ".join(f"trained on {use.text()}; {use.path}" for use in related)
    names = ", ".join(_with_parts(data) for data in declared)
    none = "which shares no corpus" if len(uses) == 1 else "none of which shares a corpus"
    return f"trained on {names}, {none} with {target.dataset}"


def _with_parts(data: TrainingData) -> str:
    """Return a declared line, a mix with its parts in brackets."""
    if data.dataset not in lineage.load().mixes:
        return str(data)
    return f"{data} [{', '.join(str(part) for part in lineage.parts_of(data.dataset))}]"


def _notes(declared: Sequence[TrainingData]) -> tuple[str, ...]:
    mixes = lineage.load().mixes
    found = [mixes[d.dataset] for d in declared if d.dataset in mixes]
    return tuple(f"{mix.name}: {mix.note}" for mix in found if mix.note)


def zero_shot(submission: str | Path | Sequence[str] | None, track: str | Track) -> ZeroShot:
    """Say whether a submission is zero-shot: a file's path, or its declared lines.

    Raises
    ------
    HandBenchError
        As `read_submission` and `status`; problems of a file name the file.
    """
    if not isinstance(submission, (str, Path)):
        return status(submission, track)
    training = read_submission(submission)
    try:
        return status(training, track)
    except SubmissionError as error:
        where = str(submission)
        raise SubmissionError([replace(p, where=where) for p in error.problems]) from None


def read_submission(path: str | Path) -> list[str] | None:
    """Read the declared training data of a `submission.yaml`; None where it declares none.

    YAML reads the line `- visor/train: masks, grasp` as a mapping; it is put together again.

    Raises
    ------
    HandBenchError
        HB401 without PyYAML, HB402 where the file cannot be read, HB113 where `training` is not a
        list of lines.
    """
    try:
        import yaml
    except ImportError:
        fix = "`pip install pyyaml`"
        raise HandBenchError(Problem("HB401", str(path), "YAML needs PyYAML.", fix=fix)) from None
    try:
        stored = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise SubmissionError(Problem("HB402", str(path), f"cannot be read: {reason}.")) from None
    if not isinstance(stored, Mapping):
        raise SubmissionError(
            Problem("HB113", str(path), "is not a YAML mapping of names to values.")
        )
    declared = stored.get("training")
    return None if declared is None else training_lines(declared, str(path))


def training_lines(declared: object, where: str) -> list[str]:
    """Return the lines of a YAML value: texts, and mappings of a name to what was used of it."""
    rows = declared if isinstance(declared, list) else [declared]
    lines: list[str] = []
    for row in rows:
        pairs = row.items() if isinstance(row, Mapping) else [(row, None)]
        for name, labels in pairs:
            line = _line(name, labels)
            if line is None:
                fix = "One line per dataset, e.g. `- visor/train: masks, grasp`."
                what = f"training names {str(row)[:80]!r}, which is not a line of text."
                raise SubmissionError(Problem("HB113", where, what, fix=fix))
            lines.append(line)
    return lines


def _line(name: object, labels: object) -> str | None:
    """Return "name: labels" as one text, None for anything else than texts."""
    used = labels if isinstance(labels, list) else [] if labels is None else [labels]
    if not isinstance(name, str) or not all(isinstance(label, str) for label in used):
        return None
    return f"{name}: {', '.join(used)}" if used else name
