"""What is published of scores against a hidden truth: less than could be solved for the truth.

Whoever knows a prediction and its exact error learns something of the truth. So where the truth is
not public

* nothing of a single sample is written, and no sum of fewer than `LEAST` hands or clips: sequences
  with fewer are put together, by the truth alone, so that all submissions have the same clusters;
* a submission that answers only a few hands of a sequence is refused: its sums would be theirs;
* distances have `DIGITS` significant digits and scores those that are printed, so that the change
  of one answer among hundreds drowns;
* levels of presence scores and confusion matrices, which name single samples to whoever gives each
  a value of its own, are left out, and with them average precision and class-mean accuracy in
  comparisons;
* a team may submit `MOST` times in `DAYS` days to one track.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hand_bench import sums as core
from hand_bench.errors import Problem, SubmissionError
from hand_bench.results import Result, Score
from hand_bench.tracks import Track
from hand_leaderboard.submissions.folder import Submission
from hand_leaderboard.submissions.meta import Meta
from hand_leaderboard.submissions.sums import layout_of, significant

#: Fewest hands (or clips) that a published sum is made of.
LEAST = 30
DIGITS = 4
#: Submissions of a team to one track, in so many days.
MOST, DAYS = 3, 30
OTHERS = "others"
REDUCED = (
    f"hidden truth: sequences of fewer than {LEAST} are put together, distances have {DIGITS} "
    "digits, no levels of presence scores, no confusion matrix"
)
_WITHHELD = f"withheld: fewer than {LEAST}"
#: Sums that are made of so many things: a few of them are left out.
_COUNTED = {
    "error": "count",
    "pa_error": "pa_count",
    "pa_hand_error": "pa_hands",
    "acceleration": "acceleration_count",
    "mrrpe": "mrrpe_count",
    "mesh_error": "mesh_hands",
}


def is_hidden(track: Track) -> bool:
    """Whether single samples of a track's truth must not become known."""
    return track.truth != "public"


def withheld(sums: core.Sums, track: Track, where: str) -> core.Sums:
    """Return coarser sums of `recommended` that may be published.

    Raises
    ------
    SubmissionError
        HB148 where few of many hands are answered, so that their errors could be read off.
    """
    made = core.Sums(layout_of(track))
    for cell in sorted({cell for cell, _ in sums.rows}):
        rows = {
            cluster: _recommended(sums, row, made.layout)
            for (other, cluster), row in sorted(sums.rows.items())
            if other == cell
        }
        rows = _put_together(rows, made.layout)
        _refuse_few_answers(rows, made.layout, where)
        for cluster, values in rows.items():
            made.add([(cell, cluster)], [_coarse(values, made.layout)])
    return made


def _recommended(sums: core.Sums, row: int, layout: core.SumsLayout) -> np.ndarray:
    """Keep the fields of `recommended` of a row of all sums."""
    values = np.zeros(layout.width)
    whole = core.SumsView(sums[row], sums.layout)
    numbered = core.SumsView(np.arange(layout.width, dtype=np.float64), layout)
    for name in layout.slices:
        values[numbered[name].ravel().astype(np.int64)] = whole[name].ravel()
    return values


def _asked(values: np.ndarray, layout: core.SumsLayout) -> list[float]:
    """Of how many things a row is made, by the truth: samples, hands of each side, or clips."""
    view = core.SumsView(values, layout)
    if layout.classes:
        return [float(view["clips"])]
    if layout.pose:
        return [float(view["samples"]), *view["true_hands"].tolist()]
    rule = layout.rules[0].name
    return (view[f"{rule}.hands"] + view[f"{rule}.unanswered"]).tolist()


def _is_small(values: np.ndarray, layout: core.SumsLayout) -> bool:
    return any(0 < count < LEAST for count in _asked(values, layout))


def _put_together(rows: dict[str, np.ndarray], layout: core.SumsLayout) -> dict[str, np.ndarray]:
    """Join clusters of a cell that are too small; a cell that stays too small is left out."""
    kept = {name: v for name, v in rows.items() if not _is_small(v, layout)}
    small = [v for name, v in rows.items() if name not in kept]
    if not small:
        return kept
    others = np.sum(small, axis=0)
    for name in sorted(kept):
        if not _is_small(others, layout):
            break
        others = others + kept.pop(name)
    return kept if _is_small(others, layout) else kept | {OTHERS: others}


def _refuse_few_answers(rows: dict[str, np.ndarray], layout: core.SumsLayout, where: str) -> None:
    if not layout.pose:
        return
    few = [
        name
        for name, values in rows.items()
        if any(0 < n < LEAST for n in core.SumsView(values, layout)["found_hands"])
    ]
    if few:
        raise SubmissionError(
            Problem(
                "HB148", where,
                f"answers fewer than {LEAST} of the hands of a side in {len(few)} sequences: its "
                "sums there would be errors of single samples, and the truth is hidden.",
                fix="Answer the other hands too, or no hand of such a sequence.",
            )
        )  # fmt: skip


def _coarse(values: np.ndarray, layout: core.SumsLayout) -> np.ndarray:
    """Leave out what few things made, and what names single ones; round the rest."""
    values = values.copy()
    numbered = core.SumsView(np.arange(layout.width, dtype=np.float64), layout)

    def at(name: str) -> np.ndarray:
        return numbered[name].astype(np.int64)

    for name, count in _COUNTED.items():
        if name in layout.slices:
            few = values[at(count)] < LEAST
            values[at(name)] = np.where(few, 0.0, values[at(name)])
            values[at(count)] = np.where(few, 0.0, values[at(count)])
    if layout.pose:
        values[at("scores").ravel()] = 0.0
    if layout.classes:
        matrix = values[at("confusion")]
        right = np.trace(matrix)
        values[at("confusion").ravel()] = 0.0
        values[at("confusion")[0, :2]] = right, matrix.sum() - right
    return significant(values, DIGITS)


def published(result: Result) -> Result:
    """Return what may be published: printed digits, no details of few hands, no confusion."""
    details = {
        name: part
        for name, part in result.details.items()
        if name not in ("classes", "confusion") and not _of_few(part)
    }
    return replace(result, scores=[_printed(s) for s in result.scores],
                   details=_rounded(details))  # fmt: skip


def _of_few(part: object) -> bool:
    hands = part.get("hands", {}) if isinstance(part, dict) else {}
    return bool(hands) and hands["found"] < LEAST


def _printed(score: Score) -> Score:
    if 0 < score.n < LEAST:
        return replace(score, value=None, ci95=None, note=_WITHHELD)
    digits = 4 if score.unit == "" else 2
    interval = score.ci95 and (round(score.ci95[0], digits), round(score.ci95[1], digits))
    value = None if score.value is None else round(score.value, digits)
    return replace(score, value=value, ci95=interval)


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list | tuple) else value


def limit_problem(
    meta: Meta, track: Track, name: str, others: Iterable[Submission]
) -> list[Problem]:
    """Say whether a team has submitted too often to a hidden track (HB145).

    Counted are the folders of people that share a name with `meta` (or have the same folder name),
    their earlier versions and what they withdrew, by their dates.
    """
    if not is_hidden(track):
        return []
    first = datetime.date.fromisoformat(meta.date) - datetime.timedelta(days=DAYS - 1)
    dates: list[str] = []
    for one in others:
        versions = [one.meta, *(v.meta for v in one.history)]
        if one.track.name == track.name:
            dates += [v.date for v in versions if one.name == name or people(v) & people(meta)]
    recent = [d for d in dates if first.isoformat() <= d <= meta.date]
    if len(recent) < MOST:
        return []
    again = datetime.date.fromisoformat(sorted(recent)[-MOST]) + datetime.timedelta(days=DAYS)
    return [
        Problem(
            "HB145", f"{track.name}/{name}",
            f"would be submission {len(recent) + 1} of {meta.people[:80]!r} within {DAYS} days; "
            f"{MOST} are allowed where the truth is hidden.",
            cause="Many scores of one truth can be solved for it.",
            fix=f"Submit again on {again.isoformat()} or later.",
        )
    ]  # fmt: skip


def people(meta: Meta) -> set[str]:
    """Return the names of who submits, written in one way."""
    names = (*meta.authors, meta.team) if meta.team else meta.authors
    return {" ".join(name.casefold().split()) for name in names}
