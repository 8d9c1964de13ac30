"""Diagnosis of 2D poses: sides, joint order, exchanged or mirrored axes, another frame.

The method is that of `pose_diagnosis`: a fix is likely if it is the best of its group and lowers
the mean error of the hands that it changes by at least 25 % and by more than 1 px. A hand counts
at most 224 px, and so much where only one of the two files answers it. Errors are those of the
track's `recommended` protocol, in pixels of the frame that it measures in.

A constant offset is reported, never applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench import fixing, pairing
from hand_bench.annotations import Annotations
from hand_bench.convention_search import order_changes, prune
from hand_bench.diagnosis import FEWEST, chosen
from hand_bench.diagnosis_words import conclusions, left_out, no_hand
from hand_bench.errors import SubmissionError
from hand_bench.errors_file import planar_rules
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.planar_conventions import (
    PlanarConvention,
    PlanarSample,
    box_corners,
    cost,
    gain,
    image_sizes,
    mean_error,
    measured,
    options_of,
    search,
    text,
)
from hand_bench.raw import RawReading, found_hands
from hand_bench.rules import LETTERBOX, masks_of
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track

_LEFT_OUT = {
    "nan_hands": "hands hold NaN or infinite values",
    "unusable_hands": "hands lie beyond 100,000 px",
    "missing": "samples of the track are missing",
    "extra": "ids are not in the track",
    "duplicate": "ids occur more than once",
}


@dataclass(frozen=True)
class PlanarFinding:
    """One hypothesis with the error (px) before and after its fix; None where undefined."""

    group: str
    name: str
    text: str
    l2_before: float | None
    l2_after: float | None
    gain: float
    hands: int
    likely: bool


@dataclass(frozen=True)
class PlanarDiagnosis:
    """All findings, and the chain of discrete fixes with the error (px) before and after it."""

    findings: list[PlanarFinding]
    chain: list[str]
    l2_before: float | None
    l2_after: float | None
    counts: dict[str, int]
    summary: str

    @property
    def likely(self) -> list[str]:
        """Names of the likely findings."""
        return [finding.name for finding in self.findings if finding.likely]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, ready for `json.dumps`."""
        return asdict(self)


def diagnose_planar(
    source: PredictionSource,
    track: Track,
    annotations: Annotations,
    *,
    fix: str | Path | None,
    max_samples: int,
    progress: Callable[[str, int, int], None],
) -> PlanarDiagnosis:
    """Find out which convention of a file of 2D poses is wrong; see `diagnosis.diagnose`."""
    position, coverage = pairing.join(pairing.Selection(annotations), source)
    reading = RawReading(source, track, progress)
    sample = _gather(reading, track, annotations, position, max_samples)
    if unreadable := reading.checks.form_problems():
        raise SubmissionError(unreadable)
    result, final = _explain(sample, source, reading.counts(coverage))
    if fix is not None:
        again = RawReading(source, track, progress)
        fixing.write_fixed_planar(Path(fix), again, annotations, result.chain, final)
    return result


def _gather(
    reading: RawReading, track: Track, annotations: Annotations, position, most
) -> PlanarSample:
    """Read the whole file once and keep the rows of the sample, paired with the truth."""
    rows, _, selection, local = chosen(annotations, position, most)
    n = len(rows)
    rule, _ = planar_rules(track)
    sample = PlanarSample(
        rows,
        np.zeros((n, 2, 21, 2), np.float32),
        np.zeros((n, 2), bool),
        np.zeros((n, 2, 21, 2), np.float32),
        np.zeros((n, 2, 21), bool),
        np.full((n, 2), np.nan),
        np.full((n, 2, 2), np.nan),
        np.ones(n),
        track.joint_set,
    )
    kinds = ("joints_2d", "bbox", *(c.split("_", 1)[1] for c in rule.columns if "_" in c))
    columns = [f"{side}_{kind}" for side in HAND_SIDES for kind in dict.fromkeys(kinds)]
    for truth, pred in pairing.reordered(
        selection, [*columns, "width", "height"], reading.source, reading, local
    ):
        at = slice(truth.start, truth.start + len(truth))
        sample.joints[at] = reading.joints(pred, None)[..., :2]
        sample.found[at] = found_hands(pred)
        sample.size[at] = image_sizes(truth)
        sample.corner[at] = box_corners(truth)
        for k, side in enumerate(HAND_SIDES):
            given = truth.given(f"{side}_joints_2d")
            counts = masks_of(side, truth, (rule.counts,), given)[rule.counts]
            sample.counts[at, k] = counts & (counts.sum(axis=1) >= rule.least)[:, None]
            sample.gt[at, k] = np.where(given[:, None, None], truth[f"{side}_joints_2d"], 0)
    if rule.frame:
        sample.scale[:] = LETTERBOX / sample.size.max(axis=1)
    return sample


def _explain(
    sample: PlanarSample, source: PredictionSource, counts: dict[str, int]
) -> tuple[PlanarDiagnosis, PlanarConvention]:
    errors = cache(sample.errors)
    declared = PlanarConvention(source.declared.joint_set)
    options = options_of(sample, declared)
    final = prune(
        search(sample, declared, options),
        declared,
        lambda without, found: gain(errors(without), errors(found))[1],
    )
    findings = []
    for group, (first, *others) in options.items():
        base = replace(final, **{group: first})
        for option in others:
            after = replace(base, **{group: option})
            said, likely = text(group, option), after == final
            findings.append(_finding(group, option, said, errors(base), errors(after), likely))
    chain = order_changes(declared, final, lambda c: cost(errors(c)))
    findings.append(_offset(sample, final))
    number = counts["collapsed_hands"]
    said = f"{number:,} hands have all joints at one point (zeros for null)"
    same = errors(final)
    findings.append(_finding("collapsed", "hands", said, same, same, number > 0))
    if number:
        chain.append("collapsed: hands")
    counts |= {"rows_measured": len(sample.rows), "hands_measured": measured(errors(final))}
    result = PlanarDiagnosis(
        findings, chain, mean_error(errors(declared)), mean_error(errors(final)), counts, ""
    )
    return replace(result, summary=_summary(source.name, result)), final


def _finding(
    group: str, option: str, said: str, before: np.ndarray, after: np.ndarray, likely: bool
) -> PlanarFinding:
    return PlanarFinding(
        group,
        f"{group}: {option}",
        said,
        mean_error(before),
        mean_error(after),
        round(gain(before, after)[0], 4),
        measured(after),
        likely,
    )


def _offset(sample: PlanarSample, final: PlanarConvention) -> PlanarFinding:
    """Measure the constant vector between predicted and true joints."""
    pred, before = sample.pred(final), sample.errors(final)
    answered = ~np.isnan(before)
    offset = np.zeros(2)
    if answered.any():
        offset = np.median((pred - sample.gt)[answered], axis=0)
    after = sample.distances(pred - offset, final)
    x, y = (f"{v:.1f}" for v in np.round(offset, 1) + 0.0)
    said = f"joints are off by ({x}, {y}) pixels of the image"
    likely = gain(before, after)[1] and measured(after) >= FEWEST
    return _finding("offset", "constant", said, before, after, likely)


def _summary(name: str, d: PlanarDiagnosis) -> str:
    """Say it in one paragraph of plain words."""
    counts = d.counts
    said = [no_hand(name)]
    if counts["hands_measured"]:
        over = f"over {counts['hands_measured']:,} hands in {counts['rows_measured']:,} rows"
        if d.l2_before is None:
            over = f"as it is, in {counts['rows_measured']:,} rows"
        said = [
            f"{name}: {_number(d.l2_before)} {over}.",
            *conclusions(d.findings, d.chain, _number(d.l2_after)),
        ]
    return " ".join([*said, *left_out(counts, _LEFT_OUT)])


def _number(l2: float | None) -> str:
    return "no error can be measured" if l2 is None else f"L2 error 2D {l2:.1f} px"
