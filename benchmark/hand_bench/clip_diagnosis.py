"""Diagnosis of the answers of an action track: how classes are counted, and the order of clips.

Each hypothesis is measured by the share of clips that are right. A fix is likely if it is the best
of its group, lowers the share of wrong clips by at least 25 %, and turns so many more clips right
than wrong that chance is ruled out (by more than three standard deviations of the difference).
At least 20 clips are needed.

How classes are counted can be written (`--fix`). An order of clips is reported, never applied: the
file says which id it means.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hand_bench import fixing, pairing
from hand_bench.annotations import Annotations
from hand_bench.array_types import Bool, Float, Int
from hand_bench.arrow import numbers
from hand_bench.columns import decode_floats, encode_floats, list_size
from hand_bench.conventions import SHARE
from hand_bench.diagnosis import FEWEST
from hand_bench.diagnosis_words import conclusions, left_out
from hand_bench.errors import Problem, SubmissionError
from hand_bench.predictions import open_for_track, write_table
from hand_bench.results import nine_digits
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track

#: What a row without an answer holds.
NONE = -1
#: Standard deviations that a difference must exceed.
DEVIATIONS = 3.0

WORDS = {
    "classes": {
        "from 1": "labels count from 1",
        "background first": "scores begin with a background class",
        "background last": "scores end with a background class",
    },
    "order": {
        "one early": "answers come one clip too early (each row holds the next row's)",
        "one late": "answers come one clip too late (each row holds the row's before)",
        "track": "answers are in the track's order, whatever their ids say",
        "text": "answers are in the order of ids sorted as text, whatever their ids say",
    },
}
_LEFT_OUT = {
    "unanswered": "rows have no answer, or one that is no class",
    "contradictions": "rows have a label that is not the highest score",
    "missing": "clips of the track are missing",
    "extra": "ids are not in the track",
    "duplicate": "ids occur more than once",
}


@dataclass(frozen=True)
class ClipFinding:
    """One hypothesis with the share of right clips before and after its fix; None if undefined.

    `gain` is the share by which the share of wrong clips falls.
    """

    group: str
    name: str
    text: str
    accuracy_before: float | None
    accuracy_after: float | None
    gain: float
    clips: int
    likely: bool


@dataclass(frozen=True)
class ClipDiagnosis:
    """All findings, and the chain of discrete fixes with the accuracy before and after it."""

    findings: list[ClipFinding]
    chain: list[str]
    accuracy_before: float | None
    accuracy_after: float | None
    counts: dict[str, int]
    summary: str

    @property
    def likely(self) -> list[str]:
        """Names of the likely findings."""
        return [finding.name for finding in self.findings if finding.likely]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, ready for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class RawClips:
    """The rows of a file as they are: labels (None where there are none) and scores of any width.

    `position` is the row's clip in the track's order, `truth` its class (-1 where there is none);
    `text_order` are the rows in the order of their ids sorted as text.
    """

    label: Int[np.ndarray, " rows"] | None
    scores: Float[np.ndarray, "rows classes"] | None
    scored: Bool[np.ndarray, " rows"]
    truth: Int[np.ndarray, " rows"]
    position: Int[np.ndarray, " rows"]
    text_order: Int[np.ndarray, " rows"]

    @property
    def answer(self) -> Int[np.ndarray, " rows"]:
        """What each row answers, as the file counts: its label, else the highest score."""
        won = self.winner
        return won if self.label is None else np.where(self.label == NONE, won, self.label)

    @property
    def winner(self) -> Int[np.ndarray, " rows"]:
        """The number of the highest score, `NONE` where there is none."""
        if self.scores is None:
            return np.full(len(self.truth), NONE)
        return np.where(self.scored, self.scores.argmax(axis=1), NONE)


def diagnose_clips(
    preds: Any, track: Track, annotations: Annotations, *, fix: str | Path | None
) -> ClipDiagnosis:
    """Find out what is wrong with the answers of an action track; see `diagnosis.diagnose`."""
    source = open_for_track(preds, track)
    position, coverage = pairing.join(pairing.Selection(annotations), source)
    clips = _read(source, track, annotations, position)
    counts = {
        "rows": source.rows,
        "missing": coverage.missing,
        "extra": coverage.extra,
        "duplicate": coverage.duplicate,
    }
    result, way = _explain(clips, source, track, counts)
    if fix is not None:
        _write_fixed(Path(fix), clips, source, track, result.chain, way)
    return result


def _read(
    source: PredictionSource, track: Track, annotations: Annotations, position: np.ndarray
) -> RawClips:
    known = annotations.table(["label"]).column(0)
    truth = numbers(known, null=NONE).astype(np.int64)
    ids = source.ids()
    columns = set(source.layout.columns)
    label = scores = None
    scored = np.zeros(source.rows, bool)
    if "label" in columns:
        label = np.concatenate([_labels(t.column("label"), source) for t in source.tables()])
    if "scores" in columns:
        width = _width(source, len(track.classes))
        parts = [decode_floats(t.column("scores"), width) for t in source.tables()]
        scores, given = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        scored = given & np.isfinite(scores).all(axis=1)
    return RawClips(
        label,
        scores,
        scored,
        np.where(position >= 0, truth[position], NONE),
        position,
        np.argsort(np.array(ids.to_pylist(), str), kind="stable"),
    )


def _labels(column: pa.Array, source: PredictionSource) -> np.ndarray:
    if not (pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise SubmissionError(
            Problem(
                "HB111",
                source.name,
                "column 'label' does not hold whole numbers.",
                cause="Names of classes, or scores?",
                fix="A label is the number of the class in `hand-bench tracks show TRACK`, from 0.",
            )
        )
    return numbers(column.cast(pa.int64()), null=NONE)


def _width(source: PredictionSource, classes: int) -> int:
    """How many scores most rows have."""
    size = list_size(source.schema.field("scores").type)[1]
    if size is not None:
        return size
    lengths = [
        len(row)
        for t in source.tables()
        for row in t.column("scores").to_pylist()
        if row is not None
    ]
    return int(np.bincount(lengths).argmax()) if lengths else classes


def _explain(
    clips: RawClips, source: PredictionSource, track: Track, counts: dict[str, int]
) -> tuple[ClipDiagnosis, str]:
    classes = len(track.classes)
    ways = ["as they are", *_ways(clips, classes)]
    plain = _counted(clips, "as they are", classes)
    best = max(ways, key=lambda way: _accuracy(_right(_counted(clips, way, classes), clips)) or 0.0)
    if not _likely(_right(plain, clips), _right(_counted(clips, best, classes), clips)):
        best = "as they are"
    final = _counted(clips, best, classes)
    findings = [
        _finding("classes", way, plain, _counted(clips, way, classes), clips, way == best)
        for way in ways[1:]
    ]
    orders = [
        _finding("order", name, final, moved, clips, None) for name, moved in _orders(final, clips)
    ]
    strongest = max(orders, key=lambda f: (f.likely, f.gain), default=None)
    findings += [replace(f, likely=f.likely and f is strongest) for f in orders]
    chain = [] if best == "as they are" else [f"classes: {best}"]
    counts |= {
        "clips_measured": int((clips.truth != NONE).sum()),
        "unanswered": int((final == NONE).sum()),
        "contradictions": _contradictions(clips, first=int(best == "from 1")),
    }
    before, after = (_accuracy(_right(answer, clips)) for answer in (plain, final))
    result = ClipDiagnosis(findings, chain, before, after, counts, "")
    return replace(result, summary=_summary(source.name, result)), best


def _ways(clips: RawClips, classes: int) -> Iterator[str]:
    """Which other ways of counting the file's columns allow."""
    if clips.label is not None:
        yield "from 1"
    if clips.scores is not None and clips.scores.shape[1] == classes + 1:
        yield from ("background first", "background last")


def _counted(clips: RawClips, way: str, classes: int) -> np.ndarray:
    """Return the class of each row under a way of counting, `NONE` where that is no class."""
    answer = clips.answer
    if way == "from 1":
        answer = np.where(clips.answer > 0, clips.answer - 1, NONE)
    elif way.startswith("background"):
        assert clips.scores is not None
        first = way == "background first"
        own = clips.scores[:, 1:] if first else clips.scores[:, :-1]
        answer = np.where(clips.scored, own.argmax(axis=1), NONE)
    return np.where((answer >= 0) & (answer < classes), answer, NONE)


def _orders(answer: np.ndarray, clips: RawClips) -> Iterator[tuple[str, np.ndarray]]:
    """Answers under each hypothesis about the order of the clips."""
    yield "one early", np.concatenate([[NONE], answer[:-1]])
    yield "one late", np.concatenate([answer[1:], [NONE]])
    known = clips.position >= 0
    if not known.all() or len(np.unique(clips.position)) < len(answer):
        return
    for name, order in (("track", np.argsort(clips.position)), ("text", clips.text_order)):
        if not (order == np.arange(len(order))).all():
            moved = np.empty_like(answer)
            moved[order] = answer
            yield name, moved


def _right(answer: np.ndarray, clips: RawClips) -> np.ndarray:
    """Which clips of known class are right."""
    known = clips.truth != NONE
    return answer[known] == clips.truth[known]


def _accuracy(right: np.ndarray) -> float | None:
    return nine_digits(right.mean()) if right.size else None


def _likely(before: np.ndarray, after: np.ndarray) -> bool:
    better, worse = int((after & ~before).sum()), int((before & ~after).sum())
    enough = better - worse >= SHARE * np.count_nonzero(~before)
    sure = better - worse > DEVIATIONS * np.sqrt(better + worse)
    return bool(len(before) >= FEWEST and enough and sure)


def _finding(
    group: str, option: str, before: np.ndarray, after: np.ndarray, clips: RawClips, likely
) -> ClipFinding:
    old, new = _right(before, clips), _right(after, clips)
    wrong = [float(np.count_nonzero(~right)) for right in (old, new)]
    return ClipFinding(
        group,
        f"{group}: {option}",
        WORDS[group][option],
        _accuracy(old),
        _accuracy(new),
        round((wrong[0] - wrong[1]) / wrong[0], 4) if wrong[0] else 0.0,
        len(old),
        _likely(old, new) if likely is None else likely,
    )


def _contradictions(clips: RawClips, first: int) -> int:
    """Count rows whose label, counted from `first`, is not the highest score."""
    if clips.label is None or clips.scores is None:
        return 0
    both = (clips.label != NONE) & clips.scored
    return int((both & (clips.label - first != clips.winner)).sum())


def _write_fixed(
    path: Path, clips: RawClips, source: PredictionSource, track: Track, fixes: list[str], way: str
) -> None:
    """Write the file again with classes counted as the track does; odd answers become null."""
    classes = len(track.classes)
    answer = _counted(clips, way, classes)
    columns: dict[str, pa.Array] = {"sample_id": source.ids().combine_chunks()}
    if clips.label is not None or clips.scores is None:
        columns["label"] = pa.array(answer.astype(np.int32), mask=answer == NONE)
    if clips.scores is not None:
        first = 1 if way == "background first" else 0
        own = clips.scores[:, first : first + classes]
        if own.shape[1] == classes:
            absent = ~clips.scored
            columns["scores"] = encode_floats(np.where(absent[:, None], 0, own), absent)
        else:
            columns["label"] = pa.array(answer.astype(np.int32), mask=answer == NONE)
    declared = replace(fixing.noted(source.declared, fixes), track=track.name)
    metadata = declared.metadata() | {"fixes": json.dumps(fixes)}
    write_table(path, pa.table(columns).replace_schema_metadata(metadata))


def _summary(name: str, d: ClipDiagnosis) -> str:
    """Say it in one paragraph of plain words."""
    if not d.counts["clips_measured"]:
        said = [f"{name}: no clip could be measured: no row answers a clip whose class is known."]
    else:
        said = [
            f"{name}: {_number(d.accuracy_before)} over {d.counts['clips_measured']:,} clips.",
            *conclusions(d.findings, d.chain, _number(d.accuracy_after)),
        ]
    return " ".join([*said, *left_out(d.counts, _LEFT_OUT)])


def _number(accuracy: float | None) -> str:
    return "no accuracy" if accuracy is None else f"accuracy {100 * accuracy:.1f} %"
