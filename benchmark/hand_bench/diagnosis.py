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

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench import files, pairing
from hand_bench.alignment import NO_EXTENT, spread
from hand_bench.annotations import ARRAYS, BATCH, AnnotationBatch, Annotations
from hand_bench.array_types import Bool, Float, Int
from hand_bench.checks import FARTHEST, ValueChecks
from hand_bench.columns import decode_bytes, encode_floats, not_null
from hand_bench.data import open_annotations, quiet
from hand_bench.declaration import UNITS
from hand_bench.evaluator import override
from hand_bench.geometry import back_project, world_to_camera
from hand_bench.joint_sets import HAND_SIDES, JOINT_SETS, OPENPOSE, permutation
from hand_bench.layouts import Hand, PredictionBlock
from hand_bench.metrics import joint_errors, root_valid, wrist_aligned_errors
from hand_bench.predictions import SCHEMA, open_predictions, writer
from hand_bench.results import nine_digits
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track, find_track

#: A likely fix lowers the error by this share and by more than so many millimetres.
SHARE, LEAST = 0.25, 2.0
#: Errors of a hand count at most so much (wrist-aligned, unaligned; mm) when fixes are compared.
LIMITS = (250.0, 2000.0)
#: An offset or a shift is likely only where it was measured on so many hands.
FEWEST = 20
#: Rows on which all combinations are measured; length of the runs of neighbouring frames.
SEARCHED, RUN = 80, 10
SHIFTS = (-2, -1, 1, 2)

_CAMERA_SIGNS = {"x": (-1, 1, 1), "y": (1, -1, 1), "z": (1, 1, -1), "yz": (1, -1, -1)}
_WORDS = {
    "units": {"mm": "joints are in millimetres", "cm": "joints are in centimetres",
              "m": "joints are in metres"},
    "hands": {"exchanged": "right and left hands are exchanged"},
    "mirror": {"right": "right hands are mirrored", "left": "left hands are mirrored",
               "both": "both hands are mirrored"},
    "axes": {"x": "x is negated (a flipped image)", "y": "y points up", "z": "z points backwards",
             "yz": "y up and z backwards (OpenGL camera)",
             "relative z": "depth relative to the wrist is negated"},
    "frame": {"world": "joints are in the world frame", "camera": "joints are in the camera frame"},
}  # fmt: skip


_LEFT_OUT = {
    "nan_hands": "hands hold NaN or infinite values",
    "unusable_hands": "hands lie beyond 100 m or behind the camera",
    "missing": "samples of the track are missing",
    "extra": "ids are not in the track",
    "duplicate": "ids occur more than once",
}


@dataclass(frozen=True)
class Convention:
    """What a file's numbers mean; the defaults are the canonical form."""

    units: str = "mm"
    joint_set: str = "openpose21"
    hands: str = "as named"
    mirror: str = "no"
    axes: str = "as they are"
    frame: str = "camera"

    def sided(self, values: np.ndarray) -> np.ndarray:
        """Put the right hand first: the second axis of `values` is the hand side."""
        return values[:, ::-1] if self.hands == "exchanged" else values

    def convert(self, joints: Float[np.ndarray, "rows 2 21 3"]) -> Float[np.ndarray, "rows 2 21 3"]:
        """Return millimetres in OpenPose order, sides and axes put right, in the file's frame."""
        joints = self.sided(joints)[..., permutation(self.joint_set, OPENPOSE.name), :]
        joints = joints * self.scale
        signs = np.ones((2, 1, 3))
        signs[[self.mirror in (side, "both") for side in HAND_SIDES], :, 0] = -1
        if self.axes == "relative z":
            signs[..., 2] = -1
        if (signs < 0).any():
            joints = joints[..., :1, :] + (joints - joints[..., :1, :]) * signs
        return joints

    @property
    def scale(self) -> Float[np.ndarray, 3]:
        """Factor of each coordinate: the unit, and the sign of a camera axis."""
        return UNITS[self.units] * np.array(_CAMERA_SIGNS.get(self.axes, (1, 1, 1)), np.float64)

    def changes(self, other: Convention) -> list[str]:
        """Names of the groups in which two conventions differ."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]


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


class _Errors(NamedTuple):
    """Mean error of each hand (mm), NaN where there is no answer or no truth."""

    wrist: Float[np.ndarray, "rows 2"]
    absolute: Float[np.ndarray, "rows 2"]


@dataclass(frozen=True)
class _Sample:
    """Paired rows: positions in the annotations, the file's own numbers, and the truth."""

    rows: Int[np.ndarray, rows]
    track: Int[np.ndarray, rows]
    joints: Float[np.ndarray, "rows 2 21 3"]
    found: Bool[np.ndarray, "rows 2"]
    gt: Float[np.ndarray, "rows 2 21 3"]
    valid: Bool[np.ndarray, "rows 2 21"]
    pose: Float[np.ndarray, "rows 4 4"]

    def part(self, keep: np.ndarray) -> _Sample:
        return _Sample(*(getattr(self, f.name)[keep] for f in fields(self)))

    def pred(self, convention: Convention) -> np.ndarray:
        joints = convention.convert(self.joints)
        if convention.frame == "world":
            return world_to_camera(joints, self.pose[:, None])
        return joints

    def errors(self, convention: Convention) -> _Errors:
        found = convention.sided(self.found)
        return _hand_errors(self.pred(convention), self.gt, self.valid, found)


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
        HB101 to HB113, HB125 for a file that cannot be read.
    """
    track = find_track(track)
    if not isinstance(annotations, Annotations):
        annotations = open_annotations(track, annotations)
    source = open_predictions(preds)
    source.declared = override(source.declared, units=units, joint_set=joint_set, frame=frame)
    position, coverage = pairing.join(pairing.Selection(annotations), source)
    reading = _Reading(source, track, progress)
    sample = _gather(reading, track, annotations, position, max_samples)
    result, final = _explain(sample, source, reading.counts(coverage))
    if fix is not None:
        _write_fixed(Path(fix), _Reading(source, track, progress), annotations, result, final)
    return result


class _Reading:
    """Looks at the values while a file streams by; used as the checks of `pairing.reordered`.

    Judges values in the file's own unit whatever is declared, and leaves the scores alone.
    """

    def __init__(self, source: PredictionSource, track: Track, progress):
        self.source, self.track, self.progress = source, track, progress
        self.image_space = source.layout.image_space
        self.checks = ValueChecks(source.name, replace(source.declared, units="mm"),
                                  track.hand_length, self.image_space)  # fmt: skip

    def look(self, start: int, block: PredictionBlock) -> None:
        scores = [hand.score for hand in block.hands]
        with np.errstate(invalid="ignore"):
            self.checks.look(start, block)
        for hand, score in zip(block.hands, scores, strict=True):
            hand.score = score
        self.progress("reading", start + len(block), self.source.rows)

    def count(self, *codes: str) -> int:
        found = self.checks.findings.items()
        return sum(f.count for (code, where), f in found if code in codes and where in HAND_SIDES)

    def counts(self, coverage: pairing.Coverage) -> dict[str, int]:
        return {
            "rows": self.source.rows,
            "nan_hands": self.count("HB123"),
            "collapsed_hands": self.count("HB122"),
            "unusable_hands": self.count("HB121", "HB126"),
            "missing": coverage.missing,
            "extra": coverage.extra,
            "duplicate": coverage.duplicate,
        }

    def joints(self, block: PredictionBlock, K: np.ndarray | None) -> np.ndarray:
        """Camera points in the file's unit and order (rows, 2, 21, 3); 0 for absent hands."""
        hands = [hand.joints if K is None else _lift(hand, K) for hand in block.hands]
        return np.where(_found(block)[..., None, None], np.stack(hands, axis=1), np.float32(0))


def _found(block: PredictionBlock) -> Bool[np.ndarray, "rows 2"]:
    return np.stack([hand.found for hand in block.hands], axis=1)


def _lift(hand: Hand, K: np.ndarray, depth: np.ndarray | None = None) -> np.ndarray:
    """Camera points of a 2.5D hand in the file's unit of depth."""
    root = hand.root_depth if depth is None else depth
    z = hand.joints[..., 2].astype(np.float64) + root[:, None]
    return back_project(hand.joints[..., :2].astype(np.float64), z, K).astype(np.float32)


# --- the sample -----------------------------------------------------------------------------------


def _gather(reading: _Reading, track: Track, annotations: Annotations, position, most) -> _Sample:
    """Read the whole file once and keep the rows of the sample, paired with the truth."""
    table = annotations.table(["sequence", "camera"])
    sequence, camera = (table.column(c).combine_chunks().indices.to_numpy() for c in (0, 1))
    there = np.unique(position[position >= 0])
    rows = spread_rows(sequence[there], there, most)
    local, chosen = np.full(annotations.rows, -1), np.zeros(annotations.rows, bool)
    local[rows], chosen[rows] = np.arange(len(rows)), True
    local = np.where(position >= 0, local[position], -1)
    n = len(rows)
    sample = _Sample(
        rows, sequence[rows].astype(np.int64) * (int(camera.max()) + 1) + camera[rows],
        np.zeros((n, 2, 21, 3), np.float32), np.zeros((n, 2), bool),
        np.zeros((n, 2, 21, 3), np.float32), np.zeros((n, 2, 21), bool), np.zeros((n, 4, 4)),
    )  # fmt: skip
    columns = [f"{side}_{kind}" for side in HAND_SIDES for kind in ("joints", track.counted)]
    columns += ["T_world_from_camera", *(["K"] if reading.image_space else [])]
    selection = pairing.Selection(annotations, chosen)
    for truth, pred in pairing.reordered(selection, columns, reading.source, reading, local):
        at = slice(truth.start, truth.start + len(truth))
        sample.joints[at] = reading.joints(pred, truth["K"] if reading.image_space else None)
        sample.found[at] = _found(pred)
        for k, side in enumerate(HAND_SIDES):
            valid = truth[f"{side}_{track.counted}"] & truth.present(side)[:, None]
            sample.valid[at, k] = valid
            sample.gt[at, k] = np.where(valid[..., None], truth[f"{side}_joints"], 0)
        known = not_null(truth.table.column("T_world_from_camera"))[:, None, None]
        sample.pose[at] = np.where(known, truth["T_world_from_camera"], np.nan)
    return sample


def spread_rows(
    sequence: Int[np.ndarray, rows], rows: Int[np.ndarray, rows], most: int
) -> Int[np.ndarray, chosen]:
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


# --- measuring ------------------------------------------------------------------------------------


def _hand_errors(pred, gt, valid, found) -> _Errors:
    near = np.abs(pred).reshape(*found.shape, 63).max(axis=-1, initial=0.0) <= FARTHEST
    valid = root_valid(valid) & (found & near)[..., None]
    others = valid & (np.arange(21) > 0)
    keep = others.any(axis=-1)

    def mean(errors: np.ndarray, which: np.ndarray) -> np.ndarray:
        total = np.where(which, errors, 0.0).sum(axis=-1)
        return np.where(keep, total / np.maximum(which.sum(axis=-1), 1), np.nan)

    return _Errors(
        mean(wrist_aligned_errors(pred, gt), others), mean(joint_errors(pred, gt), valid)
    )


def _mean(values: np.ndarray) -> float | None:
    kept = values[~np.isnan(values)]
    return nine_digits(kept.mean()) if kept.size else None


def _limited(errors: _Errors) -> _Errors:
    pairs = zip(errors, LIMITS, strict=True)
    return _Errors(*(np.minimum(np.where(np.isnan(e), limit, e), limit) for e, limit in pairs))


def _gain(
    before: _Errors, after: _Errors, absolute: bool, unmoved: float = 0.005
) -> tuple[float, bool]:
    """Return the share by which the error of the changed hands falls, and if the rule is met.

    MEPE decides only where MPJPE falls by no more than the share `unmoved` (and hardly rises).
    """
    changed = np.zeros(before.wrist.shape, bool)
    for b, a in zip(before, after, strict=True):
        changed |= ~np.isclose(b, a, rtol=0, atol=1e-6, equal_nan=True)
    if not changed.any():
        return 0.0, False
    shares, enough = [], []
    for b, a in zip(_limited(before), _limited(after), strict=True):
        b, a = float(b[changed].mean()), float(a[changed].mean())
        shares.append((b - a) / b if b > 0 else 0.0)
        enough.append(shares[-1] >= SHARE and b - a > LEAST)
    if not enough[0] and absolute and enough[1] and -0.005 < shares[0] < unmoved:
        return shares[1], True
    return shares[0], enough[0]


def _score(errors: _Errors, changes: int = 0) -> float:
    """Return what the search minimises: MPJPE; MEPE and the number of changes break ties."""
    wrist, absolute = (float(e.mean()) for e in _limited(errors))
    return wrist + 0.002 * absolute + 0.05 * changes


# --- the search -----------------------------------------------------------------------------------


def _options(declared: Convention, image_space: bool, absolute: bool) -> dict[str, tuple]:
    """Every value of every group, the declared one first."""
    orders = {s.joints: s.name for s in reversed(JOINT_SETS.values())
              if sorted(s.joints) == sorted(OPENPOSE.joints)}  # fmt: skip
    orders.pop(JOINT_SETS[declared.joint_set].joints, None)
    axes = ("relative z",) if image_space else tuple(_WORDS["axes"])
    frames = [f for f in _WORDS["frame"] if f != declared.frame and absolute and not image_space]
    return {
        "units": (declared.units, *(u for u in UNITS if u != declared.units)),
        "joint_set": (declared.joint_set, *reversed(orders.values())),
        "hands": (declared.hands, *_WORDS["hands"]),
        "mirror": (declared.mirror, *_WORDS["mirror"]),
        "axes": (declared.axes, *axes),
        "frame": (declared.frame, *frames),
    }


def _search(sample: _Sample, declared: Convention, options: dict[str, tuple]) -> Convention:
    """Find the best of all combinations on a few hands; of other units only the one that fits."""
    useful = np.flatnonzero(sample.found.any(axis=1) & sample.valid.any(axis=(1, 2)))
    if not useful.size:
        return declared
    few = sample.part(
        useful[np.linspace(0, len(useful) - 1, min(len(useful), SEARCHED)).astype(int)]
    )
    sizes = spread(few.joints[few.found], np.ones((int(few.found.sum()), 21), bool))
    full = few.valid.all(axis=-1)
    size = np.median(spread(few.gt[full], few.valid[full])) if full.any() else 60.0
    ratio = np.log(size / max(float(np.median(sizes)), 1e-12))
    unit = min(UNITS, key=lambda u: abs(np.log(UNITS[u]) - ratio))
    few_options = options | {"units": tuple(dict.fromkeys((declared.units, unit)))}
    states = [Convention(**dict(zip(options, values, strict=True)))
              for values in itertools.product(*few_options.values())]  # fmt: skip
    return min(states, key=lambda s: _score(few.errors(s), len(s.changes(declared))))


def _prune(errors, found: Convention, declared: Convention, absolute: bool) -> Convention:
    """Take back every change that does not earn its place on the whole sample."""
    for group in found.changes(declared):
        without = replace(found, **{group: getattr(declared, group)})
        if not _gain(errors(without), errors(found), absolute)[1]:
            return _prune(errors, without, declared, absolute)
    return found


def _chain(errors, declared: Convention, final: Convention) -> list[str]:
    """Order the changes so that each is the best next one."""
    now, names, left = declared, [], final.changes(declared)
    while left:
        steps = {group: replace(now, **{group: getattr(final, group)}) for group in left}
        group = left[0]
        if len(left) > 1:
            group = min(left, key=lambda g: _score(errors(steps[g])))
        now = steps[group]
        left.remove(group)
        names.append(f"{group}: {getattr(final, group)}")
    return names


# --- findings -------------------------------------------------------------------------------------


def _explain(
    sample: _Sample, source: PredictionSource, counts: dict[str, int]
) -> tuple[Diagnosis, Convention]:
    errors = cache(sample.errors)
    stated = source.declared
    declared = Convention(stated.units, stated.joint_set, frame=stated.frame)
    origin = None if declared.frame == "root-relative" else _origin_joint(sample)
    absolute = origin is None and declared.frame != "root-relative"
    options = _options(declared, source.layout.image_space, absolute)
    final = _prune(errors, _search(sample, declared, options), declared, absolute)
    findings = []
    for group, (first, *others) in options.items():
        base = replace(final, **{group: first})
        for option in others:
            after = replace(base, **{group: option})
            findings.append(
                _finding(group, option, _text(group, option), errors(base), errors(after),
                         absolute, likely=after == final)
            )  # fmt: skip
    chain = _chain(errors, declared, final)
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
        findings, chain, _mean(before.wrist), _mean(final_errors.wrist),
        _mean(before.absolute) if known else None,
        _mean(final_errors.absolute) if absolute else None, counts, "",
    )  # fmt: skip
    if origin is not None:
        final = replace(final, frame="root-relative")
    return replace(result, summary=_summary(source.name, result)), final


def _hands(errors: _Errors) -> int:
    return int(np.count_nonzero(~np.isnan(errors.wrist)))


def _finding(
    group: str, option: str, text: str, before: _Errors, after: _Errors, absolute: bool,
    likely: bool | None = None,
) -> Finding:  # fmt: skip
    gain, rule = _gain(before, after, absolute, *([1.0] if likely is None else []))
    if likely is None:
        likely = rule and _hands(after) >= FEWEST
    mepe = [_mean(e.absolute) if absolute else None for e in (before, after)]
    return Finding(
        group, f"{group}: {option}", text, _mean(before.wrist), _mean(after.wrist), *mepe,
        gain=round(gain, 4), hands=_hands(after), likely=likely,
    )  # fmt: skip


def _text(group: str, option: str) -> str:
    if group != "joint_set":
        return _WORDS[group][option]
    same = [s.name for s in JOINT_SETS.values() if s.joints == JOINT_SETS[option].joints]
    return f"joint order is {' or '.join(same)}"


def _origin_joint(sample: _Sample) -> int | None:
    """Find the joint (file's order) that is at the origin in 99 % of the hands, if there is one."""
    hands = np.abs(sample.joints[sample.found]).max(axis=-1, initial=0.0)
    share = (hands < 1e-3).mean(axis=0) if len(hands) else np.zeros(21)
    return int(share.argmax()) if share.max() >= 0.99 else None


def _root_relative(
    errors: _Errors, final: Convention, origin: int | None, declared: Convention
) -> Finding:
    text = "joints are relative to a root joint: unaligned errors mean nothing"
    if origin is not None:
        name = JOINT_SETS[final.joint_set].joints[origin]
        text = f"every hand has its {name} at the origin: unaligned errors mean nothing"
    finding = _finding("frame", "root-relative", text, errors, errors, True, origin is not None)
    declared_so = declared.frame == "root-relative"
    return replace(finding, mepe_before=None if declared_so else finding.mepe_before,
                   mepe_after=None)  # fmt: skip


def _offset(sample: _Sample, pred: np.ndarray, final: Convention, before: _Errors) -> Finding:
    """Measure the constant vector between predicted and true wrists."""
    answered = ~np.isnan(before.absolute)
    offset = np.zeros(3)
    if answered.any():
        offset = np.median((pred - sample.gt)[answered][:, 0], axis=0)
    after = _hand_errors(pred - offset, sample.gt, sample.valid, final.sided(sample.found))
    x, y, z = (f"{v:.1f}" for v in offset)
    text = f"wrists are off by ({x}, {y}, {z}) mm in the camera frame"
    return _finding("offset", "constant", text, before, after, True)


def _shifts(sample: _Sample, pred: np.ndarray, final: Convention, absolute: bool) -> list[Finding]:
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
        before, after = (_hand_errors(pred[rows], sample.gt[here], sample.valid[here], both)
                         for rows in (here, there))  # fmt: skip
        late = "late" if shift > 0 else "early"
        text = f"predictions come {abs(shift)} frame{'s' * (abs(shift) > 1)} too {late}"
        findings.append(_finding("shift", f"{shift:+d}", text, before, after, absolute))
    best = max(findings, key=lambda f: (f.likely, f.gain))
    return [replace(f, likely=f.likely and f is best) for f in findings]


def _summary(name: str, d: Diagnosis) -> str:
    """Say it in one paragraph of plain words."""
    counts = d.counts
    said = [f"{name}: {_numbers(d.mpjpe_before, d.mepe_before)} over {counts['hands_measured']:,} "
            f"hands in {counts['rows_measured']:,} rows."]  # fmt: skip
    fixed = [f.text for f in d.findings if f.likely and f.name in d.chain]
    seen = [f.text for f in d.findings if f.likely and f.name not in d.chain]
    if fixed:
        said.append(f"Likely: {'; '.join(fixed)}. With that put right (`--fix OUT` writes it): "
                    f"{_numbers(d.mpjpe_after, d.mepe_after)}.")  # fmt: skip
    if seen:
        said.append(f"Also seen, never applied: {'; '.join(seen)}.")
    if not counts["hands_measured"]:
        said = [f"{name}: no hand could be measured: no row has a usable hand of a sample of the "
                "track where that hand is annotated."]  # fmt: skip
    elif not fixed and not seen:
        said.append("No wrong convention explains the error.")
    left_out = [f"{counts[key]:,} {what}" for key, what in _LEFT_OUT.items() if counts[key]]
    if left_out:
        said.append(f"Left out: {', '.join(left_out)}.")
    return " ".join(said)


def _numbers(mpjpe: float | None, mepe: float | None) -> str:
    shown = [f"{name} {value:.1f} mm" for name, value in (("MPJPE", mpjpe), ("MEPE", mepe))
             if value is not None]  # fmt: skip
    return ", ".join(shown) or "no error can be measured"


# --- the fixed file -------------------------------------------------------------------------------


class _FileIds(pairing.Selection):
    """The ids of the file itself, in their order: merges crops that the track does not know too."""

    def __init__(self, ids: pa.Array):
        self._ids = ids

    @property
    def size(self) -> int:
        return len(self._ids)

    def batches(self, columns: list[str]) -> Iterator[AnnotationBatch]:
        for start in range(0, len(self._ids), BATCH):
            ids = self._ids.slice(start, BATCH)
            yield AnnotationBatch(start, pa.record_batch([ids], names=["sample_id"]))


def _write_fixed(
    path: Path, reading: _Reading, annotations: Annotations, result: Diagnosis, final: Convention
) -> None:
    """Stream the file into its canonical form: mm, OpenPose order, sides and axes put right."""
    source, columns = reading.source, reading.source.layout.columns
    fixes = [*result.chain, *(["NaN hands: null"] if result.counts["nan_hands"] else [])]
    notes = f"hand-bench diagnose --fix: {'; '.join(fixes)}" if fixes else ""
    notes = ". ".join(text for text in (source.declared.notes, notes) if text)
    declared = replace(source.declared, track=reading.track.name, units="mm", notes=notes,
                       joint_set=OPENPOSE.name, frame=final.frame)  # fmt: skip
    names = ["sample_id", "right_joints", "left_joints"]
    names += ["right_score", "left_score"] if any(c.endswith("score") for c in columns) else []
    names += ["left_root"] if {"left_root", "relative_root_depth"} & set(columns) else []
    schema = pa.schema([SCHEMA.field(name) for name in names])
    schema = schema.with_metadata(declared.metadata() | {"fixes": json.dumps(fixes)})
    with files.replacing(path) as temporary, writer(temporary, schema) as parquet:
        for block, K in _all_rows(reading, annotations):
            parquet.write_batch(_canonical(reading, block, K, final, schema))


def _all_rows(reading: _Reading, annotations: Annotations) -> Iterator[tuple[PredictionBlock, Any]]:
    """Every row of the file (crops merged), with the cameras where 2.5D needs them."""
    source, crops = reading.source, reading.source.layout.kind == "crops"
    ids = source.ids()
    unique = pc.unique(ids) if crops else ids
    blocks = _looked_at(reading)
    if crops:
        place = pc.index_in(ids, value_set=unique).to_numpy()
        pairs = pairing.reordered(_FileIds(unique), [], source, reading, place)
        blocks = (pred for _, pred in pairs)
    if reading.image_space:
        row = pc.index_in(unique, value_set=annotations.ids()).fill_null(-1).to_numpy()
        cameras = decode_bytes(annotations.table(["K"]).column(0).combine_chunks(), *ARRAYS["K"])
    start = 0
    for block in blocks:
        K = None
        if reading.image_space:
            at = row[start : start + len(block)]
            K = np.where((at >= 0)[:, None, None], cameras[at], np.eye(3))
            for hand in block.hands:
                hand.found = hand.found & (at >= 0)
        start += len(block)
        yield block, K


def _looked_at(reading: _Reading) -> Iterator[PredictionBlock]:
    for start, block in reading.source.blocks():
        reading.look(start, block)
        yield block


def _canonical(
    reading: _Reading, block: PredictionBlock, K: Any, final: Convention, schema: pa.Schema
) -> pa.RecordBatch:
    joints = final.convert(reading.joints(block, K))
    found = final.sided(_found(block)) & (np.abs(joints).max(axis=(-1, -2)) <= FARTHEST)
    found &= spread(joints, np.ones(joints.shape[:-1], bool)) >= NO_EXTENT
    columns: dict[str, pa.Array] = {"sample_id": block.ids}
    hands = block.hands[::-1] if final.hands == "exchanged" else block.hands
    for k, (side, hand) in enumerate(zip(HAND_SIDES, hands, strict=True)):
        columns[f"{side}_joints"] = encode_floats(joints[:, k].reshape(-1, 63), ~found[:, k])
        columns[f"{side}_score"] = pa.array(hand.score, pa.float32(), from_pandas=True) \
            if hand.score is not None else pa.nulls(len(block), pa.float32())  # fmt: skip
    if "left_root" in schema.names:
        columns["left_root"] = _left_root(block, K, final)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _left_root(block: PredictionBlock, K: Any, final: Convention) -> pa.Array:
    """Left wrist seen from the right one, in the file's frame, mm."""
    values = block.left_root
    if values is None:
        wrist = JOINT_SETS[final.joint_set].joints.index("wrist")
        right, left = block.hands
        beside = _lift(left, K, right.root_depth + block.relative_root_depth)
        values = (beside - _lift(right, K))[:, wrist]
        values = np.where((right.found & left.found)[:, None], values, np.nan)
    values = values * final.scale * (-1 if final.hands == "exchanged" else 1)
    absent = ~np.isfinite(values).all(axis=1)
    return encode_floats(np.where(absent[:, None], 0, values).astype(np.float32), absent)
