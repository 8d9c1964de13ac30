"""One family of errors, each problem with a stable code.

A problem says what was found where, what was expected, the likely cause and what to do. All
problems of a file are collected and raised together; the command line prints them and exits 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Every code with one sentence for the documentation (`hand-bench codes` prints the table).
CODES: dict[str, str] = {
    "HB101": "The predictions file does not exist or is a folder.",
    "HB102": "The file is not Parquet, or it is truncated.",
    "HB103": "The file has no rows.",
    "HB104": "Samples of the track are missing.",
    "HB105": "There are ids that the track does not know.",
    "HB106": "An id (or an id and hand side) occurs more than once.",
    "HB107": "An id is null.",
    "HB110": "A column that is needed is missing.",
    "HB111": "A column has a type that cannot hold what it should.",
    "HB112": "A list has the wrong number of values.",
    "HB113": "A declaration contradicts the track, or names something unknown.",
    "HB114": "A hand_side is neither right nor left.",
    "HB115": "A 2.5D hand has only a part of uv, depth and root_depth.",
    "HB120": "The hands have the wrong size: probably another unit.",
    "HB121": "Values are far outside anything a camera could see.",
    "HB122": "A hand has all its joints at one point.",
    "HB123": "A value is NaN or infinite.",
    "HB124": "A score is not a probability.",
    "HB125": "A list of joints has nulls inside.",
    "HB126": "A depth in front of the camera is not positive.",
    "HB127": "No row answers any hand.",
    "HB128": "A label is no class of the track, contradicts its scores, or is lacking.",
    "HB130": "A file of another format is damaged, or is not in the form that was named.",
    "HB131": "An archive is unsafe to read: too large, encrypted, or with names that lead outside.",
    "HB132": "A key of a JSON file occurs more than once.",
    "HB133": "Predictions have no place in the format that was asked for.",
    "HB140": "A submission's description is not in the form that is asked for.",
    "HB141": "The name of a submission is not safe for paths and URLs.",
    "HB142": "A submission's folder holds a link, or a file that does not belong there.",
    "HB143": "An address is not allowed, or what it names cannot be fetched.",
    "HB144": "Predictions are not the bytes that the submission describes.",
    "HB145": "A team has submitted too often in this period.",
    "HB146": "What the scorer stored is lacking, damaged, or of something else.",
    "HB147": "A submission is withdrawn, or cannot be.",
    "HB148": "The sums of a submission would give single samples of a hidden truth away.",
    "HB150": "A submission has no row on the board.",
    "HB201": "The dataset has not been prepared on this machine.",
    "HB202": "Official files are missing.",
    "HB203": "An official file is damaged or has another form than documented.",
    "HB204": "Official files contradict each other.",
    "HB205": "The counts differ from the official ones: a partial copy or another release.",
    "HB206": "The annotations file is not one that `hand-bench data prepare` wrote.",
    "HB207": "A prepared file changed after it was written.",
    "HB208": "No such dataset, split or sample.",
    "HB209": "The truth of this track is withheld by its owners.",
    "HB301": "No such track, protocol, metric or joint set.",
    "HB302": "The selection leaves no sample, or the command does not fit the track.",
    "HB401": "A command needs an extra that is not installed.",
    "HB402": "A file cannot be written or read.",
    "HB403": "The Hub cannot be reached, and what is asked for is not in its cache.",
    "HB404": "The Hub has no such repository or revision, or it needs a token.",
    "HB405": "A file from the Hub is not the one that was published.",
    "HB406": "A deadline leaves no time for a training.",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what was found and expected, why probably, and the fix."""

    code: str
    where: str
    what: str
    cause: str = ""
    fix: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"{self.code} is not in hand_bench.errors.CODES")

    def __str__(self) -> str:
        lines = [
            f"{self.code} {self.where}: {self.what}" if self.where else f"{self.code} {self.what}"
        ]
        lines += [f"      {line}" for line in (self.cause, self.fix) if line]
        return "\n".join(lines)


class HandBenchError(Exception):
    """Something a user can put right; carries every problem that was found."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SubmissionError(HandBenchError):
    """Predictions cannot be read or do not fit the track."""


class DatasetError(HandBenchError):
    """Official or prepared files are missing, damaged or contradict each other."""


class TrackError(HandBenchError):
    """An unknown track, protocol, subset or selection."""


class BaselineError(HandBenchError):
    """A baseline cannot be loaded, trained or run."""


def unknown_name(kind: str, name: str, known: Sequence[str], code: str = "HB301") -> Problem:
    """Build the problem of an unknown name: the nearest and all known ones are listed."""
    # What begins with or holds a short name is nearer than what is spelled alike.
    held = sorted((n for n in known if len(name) > 2 and name in n), key=len)
    near = held[:1] or difflib.get_close_matches(name, known, n=1)
    return Problem(
        code,
        "",
        f"there is no {kind} {name!r}.",
        cause=f"Did you mean {near[0]!r}?" if near else "",
        fix=f"Known: {', '.join(known)}." if known else "",
    )


def codes_table() -> str:
    """Return all codes as a Markdown table."""
    rows = [f"| {code} | {meaning} |" for code, meaning in CODES.items()]
    return "\n".join(["| code | meaning |", "|---|---|", *rows]) + "\n"
