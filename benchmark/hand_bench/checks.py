"""Checks of the values in a predictions file: everything wrong is counted, with a first example."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from hand_bench.declaration import UNITS, Declaration
from hand_bench.errors import Problem
from hand_bench.joint_sets import HAND_SIDES, joint_set
from hand_bench.layouts import Finding, Hand, PredictionBlock, place

#: No joint lies farther than this from a camera (mm); larger values are noise or overflow.
FARTHEST = 1e5
#: A median hand this many times too long or too short is in another unit.
SIZE_FACTOR = 4.0
#: Problems that say a value cannot be read, whatever it means.
FORM_CODES = ("HB107", "HB112", "HB114", "HB115", "HB125")
#: Hands measured per block for the median length.
MEASURED = 64


@dataclass
class ValueChecks:
    """Collects what is wrong with the values of one file while it streams by."""

    name: str
    declared: Declaration
    hand_length: float
    image_space: bool = False
    trust_units: bool = False
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    lengths: list[np.ndarray] = field(default_factory=list)
    answered: int = 0

    def look(self, start: int, block: PredictionBlock) -> None:
        """Check a block as it was read; hands that cannot be used are marked as not found."""
        while block.findings:
            self._add(block.findings.pop(0))
        for side, hand in zip(HAND_SIDES, block.hands, strict=True):
            self._look_at_hand(start, block.ids, side, hand)
        for column in ("left_root", "relative_root_depth"):
            values = getattr(block, column)
            if values is not None:
                bad = self._look_at_offset(
                    start, block.ids, column, values.reshape(len(values), -1)
                )
                if bad.any():
                    bad = bad.reshape(-1, *[1] * (values.ndim - 1))
                    setattr(block, column, np.where(bad, np.float32("nan"), values))

    def look_at_all(self, blocks: Iterable[tuple[int, PredictionBlock]]) -> None:
        """Check every block of a file."""
        for start, block in blocks:
            self.look(start, block)

    def problems(self, *, may_be_empty: bool = False) -> list[Problem]:
        """Everything that was found, in the order of the codes."""
        found = problems_of(self.findings.values(), self.name) + self._size_problem()
        if not self.answered and not found and not may_be_empty:
            found.append(
                Problem(
                    "HB127",
                    self.name,
                    "every hand of every row is null.",
                    cause="Is this the template, before predictions were filled in?",
                    fix="Fill right_joints and left_joints; a single absent hand may stay null.",
                )
            )
        return sorted(found, key=lambda problem: problem.code)

    def form_problems(self) -> list[Problem]:
        """Return what could not be read, whatever the numbers mean: null ids, odd lists."""
        form = [f for f in self.findings.values() if f.code in FORM_CODES]
        return problems_of(form, self.name)

    def median_length(self) -> float:
        """Median distance from wrist to middle fingertip of the hands that were measured."""
        if not self.lengths:
            return float("nan")
        return float(np.quantile(np.concatenate(self.lengths), 0.5))  # np.median imports numpy.ma

    def _look_at_hand(self, start: int, ids: pa.Array, side: str, hand: Hand) -> None:
        joints, limit = hand.joints, self._limit
        names = joint_set(self.declared.joint_set).joints
        huge = odd = np.zeros(len(hand.found), bool)
        if joints.size and not max(joints.max(), -joints.min()) <= limit:
            odd = ~np.isfinite(joints).all(axis=2)
            bad = odd.any(axis=1) & hand.found
            self._note("HB123", side, bad, start, ids, lambda row: _joint(joints, odd, names, row))
            with np.errstate(invalid="ignore"):
                far = (np.abs(joints) > limit).any(axis=2)
            huge = far.any(axis=1) & hand.found & ~bad
            self._note("HB121", side, huge, start, ids, lambda row: _joint(joints, far, names, row))
            hand.found = hand.found & ~bad
        flat = hand.found & (joints[:, 0] == joints[:, 9]).all(axis=1)
        if flat.any():
            flat &= (joints == joints[:, :1]).all(axis=(1, 2))
            self._note("HB122", side, flat & ~huge, start, ids, lambda row: _point(joints[row, 0]))
            hand.found = hand.found & ~flat
        # Hands that are out of reach still tell the unit.
        if not self.image_space and self.hand_length:
            self._measure(hand)
        hand.found = hand.found & ~huge
        if odd.any() or huge.any():
            # Whoever computes with all rows meets neither infinities nor overflow.
            hand.joints = np.where(hand.found[:, None, None], joints, np.float32(0))
        self._look_at_score(start, ids, side, hand)
        self._look_at_depth(start, ids, side, hand)
        self._look_at_mesh(start, ids, side, hand)
        self.answered += int(np.count_nonzero(hand.found))

    def _look_at_score(self, start: int, ids: pa.Array, side: str, hand: Hand) -> None:
        score = hand.score
        if score is None:
            return
        with np.errstate(invalid="ignore"):
            outside = (score < 0) | (score > 1)
        if outside.any():
            shown = lambda row: f"{score[row]:.4g}"  # noqa: E731
            self._note("HB124", f"{side}_score", outside, start, ids, shown)
            hand.score = np.clip(score, 0, 1)

    def _look_at_mesh(self, start: int, ids: pa.Array, side: str, hand: Hand) -> None:
        """MANO's parameters are radians, coefficients and millimetres; bad ones become NaN."""
        mano = hand.mano
        if mano is None:
            return
        column = f"{side}_mano"
        odd = ~np.isfinite(mano)
        partly = odd.any(axis=1) & ~np.isnan(mano).all(axis=1)
        with np.errstate(invalid="ignore"):
            far = (np.abs(mano) > FARTHEST).any(axis=1) & ~partly
        shown = lambda row: f"{int(odd[row].sum())} of 61 numbers"  # noqa: E731
        self._note("HB123", column, partly, start, ids, shown)
        largest = lambda row: f"{np.abs(mano[row]).max():.4g}"  # noqa: E731
        self._note("HB121", column, far, start, ids, largest)
        if (partly | far).any():
            hand.mano = np.where((partly | far)[:, None], np.float32("nan"), mano)

    def _look_at_depth(self, start: int, ids: pa.Array, side: str, hand: Hand) -> None:
        """2.5D: every joint must lie in front of the camera, or it cannot be lifted."""
        if not self.image_space or hand.root_depth is None:
            return
        column = f"{side}_root_depth"
        depth = hand.root_depth
        far = hand.found & (depth > self._limit)
        self._note("HB121", column, far, start, ids, lambda row: f"{depth[row]:.4g}")
        nearest = depth + hand.joints[:, :, 2].min(axis=1)
        behind = hand.found & ~far & (nearest <= 0)
        self._note("HB126", side, behind, start, ids, lambda row: f"Z = {nearest[row]:.4g}")
        hand.found = hand.found & ~far & ~behind

    def _look_at_offset(
        self, start: int, ids: pa.Array, column: str, values: np.ndarray
    ) -> np.ndarray:
        """Return bad rows of left_root or relative_root_depth; all NaN means not given."""
        with np.errstate(invalid="ignore"):
            far = (np.abs(values) > self._limit).any(axis=1)
        odd = (~np.isfinite(values)).any(axis=1) & ~np.isnan(values).all(axis=1)
        shown = lambda row: _point(values[row])  # noqa: E731
        self._note("HB123", column, odd, start, ids, shown)
        self._note("HB121", column, far & ~odd, start, ids, shown)
        return np.asarray(far | odd)

    @property
    def _limit(self) -> float:
        return FARTHEST / (1.0 if self.image_space else self.declared.scale)

    def _measure(self, hand: Hand) -> None:
        rows = np.flatnonzero(hand.found)
        if rows.size:
            rows = rows[:: max(1, rows.size // MEASURED)]
            order = joint_set(self.declared.joint_set).joints
            wrist = order.index("wrist") if "wrist" in order else 0
            tip = order.index("middle4")
            bone = hand.joints[rows, tip] - hand.joints[rows, wrist]
            self.lengths.append(np.linalg.norm(bone.astype(np.float64), axis=1))

    def _note(
        self, code: str, column: str, bad: np.ndarray, start: int, ids: pa.Array,
        shown: Callable[[int], str],
    ) -> None:  # fmt: skip
        count = int(np.count_nonzero(bad))
        if count:
            row = int(bad.argmax())
            self._add(Finding(code, column, count, place(ids, row, start), shown(row)))

    def _add(self, finding: Finding) -> None:
        merge(self.findings, finding)

    def _size_problem(self) -> list[Problem]:
        if self.trust_units or not self.lengths:
            return []
        found = self.median_length()
        shown = found * self.declared.scale
        if 1 / SIZE_FACTOR <= shown / self.hand_length <= SIZE_FACTOR:
            return []
        return [
            Problem(
                "HB120",
                self.name,
                f"median hand length is {_number(found)} {self.declared.units}; hands of this "
                f"track measure about {self.hand_length:.0f} mm.",
                cause=_likely_unit(found, self.hand_length),
                fix="`hand-bench diagnose FILE --track TRACK` measures the error under each unit.",
            )
        ]


def _likely_unit(found: float, expected: float) -> str:
    for unit, factor in UNITS.items():
        if 0.5 <= found * factor / expected <= 2:
            names = {"m": "metres", "cm": "centimetres", "mm": "millimetres"}
            return f"Were the joints given in {names[unit]}? Then add `--units {unit}`."
    return "No usual unit explains this: a normalised skeleton, or untrained output?"


def _joint(joints: np.ndarray, bad: np.ndarray, names: tuple[str, ...], row: int) -> str:
    """Show the first bad joint of a row, e.g. "middle4 at (nan, 3.1, 702)"."""
    joint = int(bad[row].argmax())
    return f"{names[joint]} at {_point(joints[row, joint])}"


def _point(values: np.ndarray) -> str:
    shown = ", ".join(f"{v:.4g}" for v in values)
    return f"({shown})" if len(values) > 1 else shown


def _number(value: float) -> str:
    if value < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if value < 1e9 else f"{value:.1e}"


def merge(findings: dict[tuple[str, str], Finding], new: Finding) -> None:
    """Add a finding to those of the rows before: counts add up, the first example stays."""
    key = new.code, new.column
    if key in findings:
        findings[key].count += new.count
    else:
        findings[key] = replace(new)


def problems_of(findings: Iterable[Finding], name: str) -> list[Problem]:
    """Say in words what was found in a file."""
    problems = []
    for found in sorted(findings, key=lambda f: f.code):
        noun, one, many, cause, fix = _TEXTS[found.code]
        side = found.column if found.column in HAND_SIDES else ""
        noun = f"{side} hand" if side else noun
        what = noun + "s" * (found.count != 1)
        if found.column not in (side, "sample_id"):
            what += f" of {found.column}"
        verb = one if found.count == 1 else many
        where = f"{'' if found.count == 1 else 'e.g. '}in {found.where}"
        shown = f": {found.shown}" if found.shown else ""
        text = f"{found.count:,} {what} {verb}, {where}{shown}."
        problems.append(Problem(found.code, name, text, cause, fix))
    return problems


_REACH = f"{FARTHEST / 1000:.0f} m (or {FARTHEST:,.0f} px)"
#: Noun, what one and what many of them do, the likely cause, and what to do.
_TEXTS = {
    "HB107": (
        "id",
        "is null",
        "are null",
        "",
        "`hand-bench template --track TRACK -o FILE` writes every id that is asked for.",
    ),
    "HB112": (
        "list",
        "has the wrong length",
        "have the wrong length",
        "",
        "`hand_bench.write_predictions` writes lists of the right length.",
    ),
    "HB114": (
        "value",
        "is neither 'right' nor 'left'",
        "are neither 'right' nor 'left'",
        "",
        "Write 'right' or 'left'.",
    ),
    "HB115": (
        "hand",
        "lacks its depth or root_depth (or has a depth alone)",
        "lack their depth or root_depth (or have a depth alone)",
        "",
        "uv, depth and root_depth belong together: give all three, or null for an absent hand.",
    ),
    "HB121": (
        "value",
        f"lies beyond {_REACH}",
        f"lie beyond {_REACH}",
        "Pixels, an overflow, another unit or another column?",
        "Joints are in the camera frame, in the unit that the file declares (mm by default).",
    ),
    "HB122": (
        "hand",
        "has all 21 joints at one point",
        "have all 21 joints at one point",
        "An absent hand written as zeros?",
        "Write null (NaN in `hand_bench.write_predictions`) where the method sees no hand.",
    ),
    "HB123": (
        "value",
        "holds NaN or infinity",
        "hold NaN or infinity",
        "A division by zero in the network or in lifting?",
        "A hand that is not there is null as a whole.",
    ),
    "HB124": (
        "value",
        "lies outside 0 to 1",
        "lie outside 0 to 1",
        "Logits instead of probabilities?",
        "Apply a sigmoid before writing.",
    ),
    "HB125": (
        "list",
        "has nulls inside",
        "have nulls inside",
        "",
        "A hand that is not there is a null row, not nulls inside its list.",
    ),
    "HB126": (
        "hand",
        "has a joint behind the camera",
        "have a joint behind the camera",
        "A depth relative to something else, or the wrong sign?",
        "root_depth is the wrist's Z in the camera frame, depth is relative to it, both in mm.",
    ),
}
