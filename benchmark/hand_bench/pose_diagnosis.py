"""Diagnosis of 3D poses: units, joint order, hand sides, mirroring, axes, frame.

Method
------
A file's `Convention` (units, joint order, hand sides, mirroring, axes, frame) turns its numbers
into the canonical form. Every combination is measured on a few hands; of the best one, only the
changes stay that earn their place on the whole sample. A finding is measured by itself: ``before``
has every other likely fix applied but not this one, ``after`` has this one too.

A fix is likely if it is the best of its group and lowers the MPJPE of the hands that it changes
by at least 25 % and by more than 2 mm; or the MEPE, where MPJPE stays as it is (for an offset or
a shift, where MPJPE does not rise; these need 20 hands). In this comparison a hand counts at most
250 mm (MEPE: 2 m), and so much where only one of the two files answers it.

Discrete conventions can be written (`--fix`); offsets and frame shifts are reported, never applied.
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
from hand_bench.arrow import not_null
from hand_bench.convention_search import order_changes, prune
from hand_bench.conventions import (
    Convention,
    HandErrors,
    Sample,
    gain,
    hand_errors,
    mean_error,
    options_of,
    score,
    search,
    text,
)
from hand_bench.diagnosis import FEWEST, chosen
from hand_bench.diagnosis_words import conclusions, left_out, no_hand
from hand_bench.errors import SubmissionError
from hand_bench.joint_sets import HAND_SIDES, JOINT_SETS, palm_from_wrist
from hand_bench.raw import RawReading, found_hands
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track
from hand_bench.validation import declaration_problems

SHIFTS = (-2, -1, 1, 2)
#: How the palm centre is guessed from a wrist.
PALM_RULE = "middle-mcp-2.2"

_LEFT_OUT = {
    "nan_hands": "hands hold NaN or infinite values",
    "unusable_hands": "hands lie beyond 100 m or behind the camera",
    "missing": "samples of the track are missing",
    "extra": "ids are not in the track",
    "duplicate": "ids occur more than once",
}


@dataclass(frozen=True)
class Finding:
    """One hypothesis with the error (mm) before and after its fix; None where undefined.

    `gain` is the share by which the error of the changed hands falls.
    """

    group: str
    name: str
    text: str
    mpjpe_before: float | None
    mpjpe_after: float | None
    mepe_before: float | None
    mepe_after: float | None
    gain: float
    hands: int
    likely: bool


@dataclass(frozen=True)
class Diagnosis:
    """All findings, and the chain of discrete fixes with the error (mm) before and after it."""

    findings: list[Finding]
    chain: list[str]
    mpjpe_before: float | None
    mpjpe_after: float | None
    mepe_before: float | None
    mepe_after: float | None
    counts: dict[str, int]
    summary: str

    @property
    def likely(self) -> list[str]:
        """Names of the likely findings."""
        return [finding.name for finding in self.findings if finding.likely]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, ready for `json.dumps`."""
        return asdict(self)


def diagnose_pose(
    source: PredictionSource,
    track: Track,
    annotations: Annotations,
    *,
    fix: str | Path | None,
    max_samples: int,
    progress: Callable[[str, int, int], None],
) -> Diagnosis:
    """Find out which convention of a file of 3D poses is wrong; see `diagnosis.diagnose`."""
    _require_reach(source, track)
    position, coverage = pairing.join(pairing.Selection(annotations), source)
    reading = RawReading(source, track, progress)
    sample = _gather(reading, track, annotations, position, max_samples)
    if unreadable := reading.checks.form_problems():
        raise SubmissionError(unreadable)
    result, final = _explain(sample, source, track, reading.counts(coverage))
    if fix is not None:
        fixes = [*result.chain, *(["NaN hands: null"] if result.counts["nan_hands"] else [])]
        again = RawReading(source, track, progress)
        fixing.write_fixed(Path(fix), again, annotations, fixes, final)
    return result


def _require_reach(source: PredictionSource, track: Track) -> None:
    """Refuse what only a camera could turn into a world with several of them (HB113)."""
    if track.frame != "world":
        return
    if source.layout.image_space or source.declared.frame == "camera":
        raise SubmissionError(declaration_problems(source, track))


def _gather(reading: RawReading, track: Track, annotations: Annotations, position, most) -> Sample:
    """Read the whole file once and keep the rows of the sample, paired with the truth."""
    rows, recording, selection, local = chosen(annotations, position, most)
    n = len(rows)
    sample = Sample(
        rows,
        recording,
        np.zeros((n, 2, 21, 3), np.float32),
        np.zeros((n, 2), bool),
        np.zeros((n, 2, 21, 3), np.float32),
        np.zeros((n, 2, 21), bool),
        np.full((n, 4, 4), np.nan),
        track.joint_set,
    )
    columns = [f"{side}_{kind}" for side in HAND_SIDES for kind in ("joints", track.counted)]
    columns += ["T_world_from_camera", *(["K"] if reading.image_space else [])]
    for truth, pred in pairing.reordered(selection, columns, reading.source, reading, local):
        at = slice(truth.start, truth.start + len(truth))
        sample.joints[at] = reading.joints(pred, truth["K"] if reading.image_space else None)
        sample.found[at] = found_hands(pred)
        for k, side in enumerate(HAND_SIDES):
            valid = truth[f"{side}_{track.counted}"] & truth.present(side)[:, None]
            sample.valid[at, k] = valid
            sample.gt[at, k] = np.where(valid[..., None], truth[f"{side}_joints"], 0)
        known = not_null(truth.table.column("T_world_from_camera"))[:, None, None]
        sample.pose[at] = np.where(known, truth["T_world_from_camera"], np.nan)
    if track.frame == "world":
        sample.pose[:] = np.eye(4)
    return sample


def _explain(
    sample: Sample, source: PredictionSource, track: Track, counts: dict[str, int]
) -> tuple[Diagnosis, Convention]:
    errors = cache(sample.errors)
    stated = source.declared
    declared = Convention(stated.units, stated.joint_set, frame=stated.frame)
    origin = None if declared.frame == "root-relative" else _origin_joint(sample)
    absolute = origin is None and declared.frame != "root-relative"
    options = options_of(
        sample,
        declared,
        image_space=source.layout.image_space,
        absolute=absolute,
        frame=track.frame,
    )
    final = prune(
        search(sample, declared, options),
        declared,
        lambda without, found: gain(errors(without), errors(found), absolute)[1],
    )
    findings = []
    for group, (first, *others) in options.items():
        base = replace(final, **{group: first})
        for option in others:
            after = replace(base, **{group: option})
            findings.append(
                _finding(
                    group,
                    option,
                    text(group, option, track.frame),
                    errors(base),
                    errors(after),
                    absolute,
                    likely=after == final,
                )
            )
    chain = order_changes(declared, final, lambda c: score(errors(c)))
    findings.append(_root_relative(errors(final), final, origin, declared))
    if origin is not None:
        chain.append("frame: root-relative")
    moved, final_errors = sample.pred(final), errors(final)
    if absolute:
        findings.append(_offset(sample, moved, final, final_errors, track.frame))
    findings += _shifts(sample, moved, final, absolute)
    if "palm" in JOINT_SETS[track.joint_set].joints:
        findings.append(_wrist_for_palm(sample, moved, final, final_errors, absolute))
    number = counts["collapsed_hands"]
    said = f"{number:,} hands have all joints at one point (zeros for null)"
    findings.append(
        _finding("collapsed", "hands", said, final_errors, final_errors, absolute, number > 0)
    )
    if number:
        chain.append("collapsed: hands")
    before = errors(declared)
    counts |= {"rows_measured": len(sample.rows), "hands_measured": _hands(final_errors)}
    known = declared.frame != "root-relative"
    result = Diagnosis(
        findings,
        chain,
        mean_error(before.wrist),
        mean_error(final_errors.wrist),
        mean_error(before.absolute) if known else None,
        mean_error(final_errors.absolute) if absolute else None,
        counts,
        "",
    )
    if origin is not None:
        final = replace(final, frame="root-relative")
    return replace(result, summary=_summary(source.name, result)), final


def _hands(errors: HandErrors) -> int:
    return int(np.count_nonzero(~np.isnan(errors.wrist)))


def _finding(
    group: str,
    option: str,
    said: str,
    before: HandErrors,
    after: HandErrors,
    absolute: bool,
    likely: bool | None = None,
) -> Finding:
    share, rule = gain(before, after, absolute, *([1.0] if likely is None else []))
    if likely is None:
        likely = rule and _hands(after) >= FEWEST
    mepe = [mean_error(e.absolute) if absolute else None for e in (before, after)]
    return Finding(
        group,
        f"{group}: {option}",
        said,
        mean_error(before.wrist),
        mean_error(after.wrist),
        *mepe,
        gain=round(share, 4),
        hands=_hands(after),
        likely=likely,
    )


def _origin_joint(sample: Sample) -> int | None:
    """Find the joint (file's order) that is at the origin in 99 % of the hands, if there is one."""
    hands = np.abs(sample.joints[sample.found]).max(axis=-1, initial=0.0)
    share = (hands < 1e-3).mean(axis=0) if len(hands) else np.zeros(21)
    return int(share.argmax()) if share.max() >= 0.99 else None


def _root_relative(
    errors: HandErrors, final: Convention, origin: int | None, declared: Convention
) -> Finding:
    said = "joints are relative to a root joint: unaligned errors mean nothing"
    if origin is not None:
        name = JOINT_SETS[final.joint_set].joints[origin]
        said = f"every hand has its {name} at the origin: unaligned errors mean nothing"
    finding = _finding("frame", "root-relative", said, errors, errors, True, origin is not None)
    declared_so = declared.frame == "root-relative"
    return replace(
        finding, mepe_before=None if declared_so else finding.mepe_before, mepe_after=None
    )


def _offset(
    sample: Sample, pred: np.ndarray, final: Convention, before: HandErrors, frame: str
) -> Finding:
    """Measure the constant vector between predicted and true wrists (or palms)."""
    answered = ~np.isnan(before.absolute)
    offset = np.zeros(3)
    if answered.any():
        offset = np.median((pred - sample.gt)[answered][:, 0], axis=0)
    after = hand_errors(pred - offset, sample.gt, sample.valid, final.sided(sample.found))
    x, y, z = (f"{v:.1f}" for v in np.round(offset, 1) + 0.0)
    root = JOINT_SETS[sample.joint_set].joints[0]
    said = f"{root}s are off by ({x}, {y}, {z}) mm in the {frame} frame"
    return _finding("offset", "constant", said, before, after, True)


def _wrist_for_palm(
    sample: Sample, pred: np.ndarray, final: Convention, before: HandErrors, absolute: bool
) -> Finding:
    """Measure whether the first joint is a wrist: a palm is guessed from it, never written."""
    moved = palm_from_wrist(pred, PALM_RULE)
    after = hand_errors(moved, sample.gt, sample.valid, final.sided(sample.found))
    said = "the first joint is the wrist, not the palm centre"
    return _finding("root", "wrist", said, before, after, absolute)


def _shifts(sample: Sample, pred: np.ndarray, final: Convention, absolute: bool) -> list[Finding]:
    """Measure whether the prediction of a neighbouring frame of the same track fits better."""
    findings = []
    found, at = final.sided(sample.found), np.arange(len(sample.rows))
    for shift in SHIFTS:
        here = at[max(0, -shift) : len(at) - max(0, shift)]
        there = here + shift
        near = sample.rows[there] - sample.rows[here] == shift
        near &= sample.track[there] == sample.track[here]
        here, there = here[near], there[near]
        both = found[here] & found[there]
        before, after = (
            hand_errors(pred[rows], sample.gt[here], sample.valid[here], both)
            for rows in (here, there)
        )
        late = "late" if shift > 0 else "early"
        said = f"predictions come {abs(shift)} frame{'s' * (abs(shift) > 1)} too {late}"
        findings.append(_finding("shift", f"{shift:+d}", said, before, after, absolute))
    best = max(findings, key=lambda f: (f.likely, f.gain))
    return [replace(f, likely=f.likely and f is best) for f in findings]


def _summary(name: str, d: Diagnosis) -> str:
    """Say it in one paragraph of plain words."""
    counts = d.counts
    said = [no_hand(name)]
    if counts["hands_measured"]:
        over = f"over {counts['hands_measured']:,} hands in {counts['rows_measured']:,} rows"
        if d.mpjpe_before is None:
            over = f"as it is, in {counts['rows_measured']:,} rows"
        said = [
            f"{name}: {_numbers(d.mpjpe_before, d.mepe_before)} {over}.",
            *conclusions(d.findings, d.chain, _numbers(d.mpjpe_after, d.mepe_after)),
        ]
    return " ".join([*said, *left_out(counts, _LEFT_OUT)])


def _numbers(mpjpe: float | None, mepe: float | None) -> str:
    shown = [
        f"{name} {value:.1f} mm"
        for name, value in (("MPJPE", mpjpe), ("MEPE", mepe))
        if value is not None
    ]
    return ", ".join(shown) or "no error can be measured"
