"""Checks of the values in a predictions file: everything wrong is counted, with a first example."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from hand_bench.declaration import UNITS, Declaration
from hand_bench.errors import Problem
from hand_bench.joint_sets import HAND_SIDES, joint_set
from hand_bench.layouts import Hand, PredictionBlock

#: No joint lies farther than this from a camera (mm); larger values are noise or overflow.
FARTHEST = 1e5
#: A median hand this many times too long or too short is in another unit.
SIZE_FACTOR = 4.0
#: Hands measured per block for the median length.
MEASURED = 64


@dataclass
class Finding:
    """How often something was found and where first."""

    count: int
    where: str


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
        for side, hand in zip(HAND_SIDES, block.hands, strict=True):
            self._look_at_hand(start, block.ids, side, hand)
        if block.left_root is not None:
            bad = np.isinf(block.left_root).any(axis=1)
            self._note("HB123", "left_root", bad, start, block.ids)

    def problems(self) -> list[Problem]:
        """Everything that was found, in the order of the codes."""
        found = [
            _PROBLEMS[code](self.name, column, f) for (code, column), f in self.findings.items()
        ]
        found += self._size_problem()
        if not self.answered and not found:
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

    def median_length(self) -> float:
        """Median distance from wrist to middle fingertip of the hands that were measured."""
        return float(np.median(np.concatenate(self.lengths))) if self.lengths else float("nan")

    def _look_at_hand(self, start: int, ids: pa.Array, side: str, hand: Hand) -> None:
        joints = hand.joints
        limit = FARTHEST / (1.0 if self.image_space else UNITS[self.declared.units])
        if joints.size and not max(joints.max(), -joints.min()) <= limit:
            bad = ~np.isfinite(joints).all(axis=(1, 2)) & hand.found
            self._note("HB123", side, bad, start, ids)
            with np.errstate(invalid="ignore"):
                huge = (np.abs(joints).max(axis=(1, 2)) > limit) & hand.found & ~bad
            self._note("HB121", side, huge, start, ids)
            hand.found = hand.found & ~bad & ~huge
        flat = hand.found & (joints[:, 0] == joints[:, 9]).all(axis=1)
        if flat.any():
            flat &= (joints == joints[:, :1]).all(axis=(1, 2))
            self._note("HB122", side, flat, start, ids)
            hand.found = hand.found & ~flat
        self._look_at_score(start, ids, side, hand)
        if self.image_space and hand.root_depth is not None:
            behind = hand.found & ~(hand.root_depth > 0)
            self._note("HB126", side, behind, start, ids)
            hand.found = hand.found & ~behind
        self.answered += int(np.count_nonzero(hand.found))
        if not self.image_space:
            self._measure(hand)

    def _look_at_score(self, start: int, ids: pa.Array, side: str, hand: Hand) -> None:
        if hand.score is None:
            return
        with np.errstate(invalid="ignore"):
            outside = (hand.score < 0) | (hand.score > 1) | np.isinf(hand.score)
        self._note("HB124", f"{side}_score", outside, start, ids)
        if outside.any():
            hand.score = np.clip(hand.score, 0, 1)

    def _measure(self, hand: Hand) -> None:
        rows = np.flatnonzero(hand.found)
        if rows.size:
            rows = rows[:: max(1, rows.size // MEASURED)]
            order = joint_set(self.declared.joint_set).joints
            wrist = order.index("wrist") if "wrist" in order else 0
            tip = order.index("middle4")
            bone = hand.joints[rows, tip] - hand.joints[rows, wrist]
            self.lengths.append(np.linalg.norm(bone.astype(np.float64), axis=1))

    def _note(self, code: str, column: str, bad: np.ndarray, start: int, ids: pa.Array) -> None:
        count = int(np.count_nonzero(bad))
        if not count:
            return
        if (code, column) in self.findings:
            self.findings[code, column].count += count
        else:
            row = int(bad.argmax())
            where = f"row {start + row:,} ({ids[row].as_py()})"
            self.findings[code, column] = Finding(count, where)

    def _size_problem(self) -> list[Problem]:
        if self.trust_units or not self.lengths:
            return []
        found = self.median_length()
        shown = found * UNITS[self.declared.units]
        if 1 / SIZE_FACTOR <= shown / self.hand_length <= SIZE_FACTOR:
            return []
        return [
            Problem(
                "HB120",
                self.name,
                f"median hand length is {found:.3g} {self.declared.units}; hands of this track "
                f"measure about {self.hand_length:.0f} mm.",
                cause=_likely_unit(found, self.hand_length),
                fix="`hand-bench diagnose` measures the error under each unit; "
                "`--units` states the unit by hand.",
            )
        ]


def _likely_unit(found: float, expected: float) -> str:
    for unit, factor in UNITS.items():
        if 0.5 <= found * factor / expected <= 2:
            names = {"m": "metres", "cm": "centimetres", "mm": "millimetres"}
            return f"Were the joints given in {names[unit]}? Then add `--units {unit}`."
    return "No usual unit explains this: a normalised skeleton, or untrained output?"


def _problem(code: str, what: str, cause: str, fix: str):
    def build(name: str, column: str, finding: Finding) -> Problem:
        place = column if "_" in column else f"{column} hand"
        return Problem(
            code, name, f"{finding.count:,} {place}{what}, first at {finding.where}.", cause, fix
        )

    return build


_PROBLEMS = {
    "HB121": _problem(
        "HB121",
        f" values are beyond {FARTHEST / 1000:.0f} m",
        "Pixels, an overflow, or another column?",
        "Joints are in the camera frame.",
    ),
    "HB122": _problem(
        "HB122",
        " predictions have all 21 joints at one point",
        "An absent hand written as zeros?",
        "Write null where the method sees no hand (`hand-bench diagnose --fix` does).",
    ),
    "HB123": _problem(
        "HB123",
        " predictions hold NaN or infinite values",
        "A division by zero in the network or in lifting?",
        "A hand that is not there is null as a whole.",
    ),
    "HB124": _problem(
        "HB124",
        " values lie outside 0 to 1",
        "Logits instead of probabilities?",
        "Apply a sigmoid before writing.",
    ),
    "HB126": _problem(
        "HB126",
        " root depths are not positive",
        "Depth relative to something else?",
        "root_depth is the wrist's Z in the camera frame, mm.",
    ),
}
