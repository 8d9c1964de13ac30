"""Diagnosis of a predictions file that scores badly: which convention is wrong, by how much.

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
from hand_bench.array_types import Int
from hand_bench.arrow import not_null, numbers
from hand_bench.conventions import (
    WORDS,
    Convention,
    HandErrors,
    Sample,
    gain,
    hand_errors,
    mean_error,
    options_of,
    order_changes,
    prune,
    search,
)
from hand_bench.data import open_annotations, quiet
from hand_bench.errors import SubmissionError
from hand_bench.joint_sets import HAND_SIDES, JOINT_SETS
from hand_bench.predictions import open_for_track
from hand_bench.raw import RawReading, found_hands
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track, find_track

#: An offset or a shift is likely only where it was measured on so many hands.
FEWEST = 20
#: Length of the runs of neighbouring frames that are measured.
RUN = 10
SHIFTS = (-2, -1, 1, 2)

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


def diagnose(
    preds: Any,
    *,
    track: str | Track,
    annotations: str | Path | Annotations | None = None,
    fix: str | Path | None = None,
    max_samples: int = 20_000,
    units: str | None = None,
    joint_set: str | None = None,
    frame: str | None = None,
    progress: Callable[[str, int, int], None] = quiet,
) -> Diagnosis:
    """Find out which convention of a predictions file is wrong.

    Files that `evaluate` refuses for their values or ids are measured on what can be used.

    Parameters
    ----------
    preds, track, annotations, units, joint_set, frame
        As in `evaluate`.
    fix
        Write a file here with the likely discrete fixes applied: canonical layout, mm, OpenPose
        order, all ids; hands that cannot be used become null.
    max_samples
        Measure at most so many rows, in runs of neighbouring frames spread over all sequences.
    progress
        Called with (what, done, total) in rows.

    Raises
    ------
    SubmissionError
        HB101 to HB115, HB125 for a file that cannot be read; its values are only measured.
    """
    track = find_track(track)
    if not isinstance(annotations, Annotations):
        annotations = open_annotations(track, annotations)
    source = open_for_track(preds, track, units=units, joint_set=joint_set, frame=frame)
    position, coverage = pairing.join(pairing.Selection(annotations), source)
    reading = RawReading(source, track, progress)
    sample = _gather(reading, track, annotations, position, max_samples)
    if unreadable := reading.checks.form_problems():
        raise SubmissionError(unreadable)
    result, final = _explain(sample, source, reading.counts(coverage))
    if fix is not None:
        fixes = [*result.chain, *(["NaN hands: null"] if result.counts["nan_hands"] else [])]
        again = RawReading(source, track, progress)
        fixing.write_fixed(Path(fix), again, annotations, fixes, final)
    return result


def _gather(reading: RawReading, track: Track, annotations: Annotations, position, most) -> Sample:
    """Read the whole file once and keep the rows of the sample, paired with the truth."""
    table = annotations.table(["sequence", "camera"])
    sequence, camera = (numbers(table.column(c).combine_chunks().indices) for c in (0, 1))
    there = np.unique(position[position >= 0])
    rows = spread_rows(sequence[there], there, most)
    local, chosen = np.full(annotations.rows, -1), np.zeros(annotations.rows, bool)
    local[rows], chosen[rows] = np.arange(len(rows)), True
    local = np.where(position >= 0, local[position], -1)
    n = len(rows)
    sample = Sample(
        rows,
        sequence[rows].astype(np.int64) * (int(camera.max()) + 1) + camera[rows],
        np.zeros((n, 2, 21, 3), np.float32),
        np.zeros((n, 2), bool),
        np.zeros((n, 2, 21, 3), np.float32),
        np.zeros((n, 2, 21), bool),
        np.zeros((n, 4, 4)),
    )
    columns = [f"{side}_{kind}" for side in HAND_SIDES for kind in ("joints", track.counted)]
    columns += ["T_world_from_camera", *(["K"] if reading.image_space else [])]
    selection = pairing.Selection(annotations, chosen)
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
    return sample


def spread_rows(
    sequence: Int[np.ndarray, " rows"], rows: Int[np.ndarray, " rows"], most: int
) -> Int[np.ndarray, " chosen"]:
    """Choose at most `most` rows: runs of neighbours, evenly spread and in every sequence."""
    if len(rows) <= most:
        return rows
    run = min(RUN, most)
    count = most // run
    first = np.flatnonzero(np.diff(sequence, prepend=-1))
    first = first[:: -(-2 * len(first) // count)]
    even = np.linspace(0, len(rows) - run, max(0, count - len(first))).astype(np.int64)
    index = np.unique(np.union1d(first, even)[:, None] + np.arange(run))
    return rows[index[index < len(rows)]]


def _explain(
    sample: Sample, source: PredictionSource, counts: dict[str, int]
) -> tuple[Diagnosis, Convention]:
    errors = cache(sample.errors)
    stated = source.declared
    declared = Convention(stated.units, stated.joint_set, frame=stated.frame)
    origin = None if declared.frame == "root-relative" else _origin_joint(sample)
    absolute = origin is None and declared.frame != "root-relative"
    options = options_of(declared, source.layout.image_space, absolute)
    final = prune(errors, search(sample, declared, options), declared, absolute)
    findings = []
    for group, (first, *others) in options.items():
        base = replace(final, **{group: first})
        for option in others:
            after = replace(base, **{group: option})
            findings.append(
                _finding(
                    group,
                    option,
                    _text(group, option),
                    errors(base),
                    errors(after),
                    absolute,
                    likely=after == final,
                )
            )
    chain = order_changes(errors, declared, final)
    findings.append(_root_relative(errors(final), final, origin, declared))
    if origin is not None:
        chain.append("frame: root-relative")
    moved, final_errors = sample.pred(final), errors(final)
    if absolute:
        findings.append(_offset(sample, moved, final, final_errors))
    findings += _shifts(sample, moved, final, absolute)
    number = counts["collapsed_hands"]
    text = f"{number:,} hands have all joints at one point (zeros for null)"
    findings.append(
        _finding("collapsed", "hands", text, final_errors, final_errors, absolute, number > 0)
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
    text: str,
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
        text,
        mean_error(before.wrist),
        mean_error(after.wrist),
        *mepe,
        gain=round(share, 4),
        hands=_hands(after),
        likely=likely,
    )


def _text(group: str, option: str) -> str:
    if group != "joint_set":
        return WORDS[group][option]
    same = [s.name for s in JOINT_SETS.values() if s.joints == JOINT_SETS[option].joints]
    return f"joint order is {' or '.join(same)}"


def _origin_joint(sample: Sample) -> int | None:
    """Find the joint (file's order) that is at the origin in 99 % of the hands, if there is one."""
    hands = np.abs(sample.joints[sample.found]).max(axis=-1, initial=0.0)
    share = (hands < 1e-3).mean(axis=0) if len(hands) else np.zeros(21)
    return int(share.argmax()) if share.max() >= 0.99 else None


def _root_relative(
    errors: HandErrors, final: Convention, origin: int | None, declared: Convention
) -> Finding:
    text = "joints are relative to a root joint: unaligned errors mean nothing"
    if origin is not None:
        name = JOINT_SETS[final.joint_set].joints[origin]
        text = f"every hand has its {name} at the origin: unaligned errors mean nothing"
    finding = _finding("frame", "root-relative", text, errors, errors, True, origin is not None)
    declared_so = declared.frame == "root-relative"
    return replace(
        finding, mepe_before=None if declared_so else finding.mepe_before, mepe_after=None
    )


def _offset(sample: Sample, pred: np.ndarray, final: Convention, before: HandErrors) -> Finding:
    """Measure the constant vector between predicted and true wrists."""
    answered = ~np.isnan(before.absolute)
    offset = np.zeros(3)
    if answered.any():
        offset = np.median((pred - sample.gt)[answered][:, 0], axis=0)
    after = hand_errors(pred - offset, sample.gt, sample.valid, final.sided(sample.found))
    x, y, z = (f"{v:.1f}" for v in np.round(offset, 1) + 0.0)
    text = f"wrists are off by ({x}, {y}, {z}) mm in the camera frame"
    return _finding("offset", "constant", text, before, after, True)


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
        text = f"predictions come {abs(shift)} frame{'s' * (abs(shift) > 1)} too {late}"
        findings.append(_finding("shift", f"{shift:+d}", text, before, after, absolute))
    best = max(findings, key=lambda f: (f.likely, f.gain))
    return [replace(f, likely=f.likely and f is best) for f in findings]


def _summary(name: str, d: Diagnosis) -> str:
    """Say it in one paragraph of plain words."""
    counts = d.counts
    said = [
        f"{name}: {_numbers(d.mpjpe_before, d.mepe_before)} over {counts['hands_measured']:,} "
        f"hands in {counts['rows_measured']:,} rows."
    ]
    fixed = [f.text for f in d.findings if f.likely and f.name in d.chain]
    seen = [f.text for f in d.findings if f.likely and f.name not in d.chain]
    if fixed:
        said.append(
            f"Likely: {'; '.join(fixed)}. With that put right (`--fix OUT` writes it): "
            f"{_numbers(d.mpjpe_after, d.mepe_after)}."
        )
    if seen:
        said.append(f"Also seen, never applied: {'; '.join(seen)}.")
    if not counts["hands_measured"]:
        said = [
            f"{name}: no hand could be measured: no row has a usable hand of a sample of the "
            "track where that hand is annotated."
        ]
    elif not fixed and not seen:
        said.append("No wrong convention explains the error.")
    left_out = [f"{counts[key]:,} {what}" for key, what in _LEFT_OUT.items() if counts[key]]
    if left_out:
        said.append(f"Left out: {', '.join(left_out)}.")
    return " ".join(said)


def _numbers(mpjpe: float | None, mepe: float | None) -> str:
    shown = [
        f"{name} {value:.1f} mm"
        for name, value in (("MPJPE", mpjpe), ("MEPE", mepe))
        if value is not None
    ]
    return ", ".join(shown) or "no error can be measured"
