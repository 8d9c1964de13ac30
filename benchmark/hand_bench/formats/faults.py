"""What is wrong with a file: every kind of problem once, with its number and first example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hand_bench.array_types import Float
from hand_bench.columns import printable
from hand_bench.errors import Problem, SubmissionError

#: Numbers that are no answer: what templates are filled with before prediction.
BLANKS = (0.0, -1.0, 1.0)


@dataclass
class _Fault:
    example: str
    cause: str
    fix: str
    count: int = 1


class Faults:
    """Collects the problems of one file; `name` is how messages call it."""

    def __init__(self, name: str):
        self.name = name
        self._found: dict[tuple[str, str], _Fault] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, code: str, what: str, example: str = "", cause: str = "", fix: str = "") -> None:
        """Note a problem; those of the same code and text are counted together."""
        known = self._found.get((code, what))
        if known is None:
            self._found[code, what] = _Fault(printable(example), cause, fix)
        else:
            known.count += 1

    def raise_any(self) -> None:
        """Raise SubmissionError with everything that was noted, if there is anything."""
        if self._found:
            raise SubmissionError(
                Problem(code, self.name, _text(what, fault), fault.cause, fault.fix)
                for (code, what), fault in sorted(self._found.items())
            )


def _text(what: str, fault: _Fault) -> str:
    more = f" ({fault.count - 1:,} more like it)" if fault.count > 1 else ""
    return f"{what}: {fault.example}{more}." if fault.example else f"{what}{more}."


def numbers(value: Any, shape: tuple[int, ...], where: str, faults: Faults) -> np.ndarray | None:
    """Return nested lists as an array of exactly this shape; None where that is noted as a fault.

    HB111 for texts, truth values or nulls in place of numbers, HB112 for another shape.
    """
    try:
        found = np.array(value)
    except (ValueError, OverflowError, RecursionError):
        faults.add("HB112", f"lists of different lengths, not {_shown(shape)} numbers", where)
        return None
    if found.shape != shape:
        faults.add("HB112", f"not {_shown(shape)} numbers", f"{where} is {_shown(found.shape)}")
        return None
    if found.dtype.kind not in "fiu":
        kind = {"U": "texts", "b": "true or false"}.get(found.dtype.kind, "nulls or other values")
        faults.add("HB111", f"{kind} where numbers should be", where)
        return None
    return found.astype(np.float64)


def hand(
    value: Any,
    where: str,
    faults: Faults,
    *,
    blanks: tuple[float, ...] = (),
    scale: float = 1.0,
) -> Float[np.ndarray, "21 3"] | None:
    """Return a hand's 21 x 3 numbers times `scale`; None for a hand that is not there.

    Not there: null, an empty list, NaN as a whole, or one of `blanks` as a whole. HB122 for joints
    at one point, HB123 for NaN in a part of the hand, and as `numbers`.
    """
    if value is None or (isinstance(value, list) and not value):
        return None
    joints = numbers(value, (21, 3), where, faults)
    return None if joints is None else checked_hand(joints * scale, where, faults, blanks=blanks)


def checked_hand(
    joints: Float[np.ndarray, "21 3"],
    where: str,
    faults: Faults,
    *,
    blanks: tuple[float, ...] = (),
) -> Float[np.ndarray, "21 3"] | None:
    """Return the hand, or None where it is not there or wrong; as `hand`."""
    finite = np.isfinite(joints)
    if not finite.all():
        if not np.isnan(joints).all():
            what = "numbers that are NaN or infinite"
            faults.add(
                "HB123",
                what,
                f"{where}, {int((~finite).sum())} of 63",
                fix="A hand that is not there is absent as a whole.",
            )
        return None
    if any((joints == blank).all() for blank in blanks):
        return None
    if (joints == joints[0]).all():
        faults.add(
            "HB122",
            "a hand has all its joints at one point",
            where,
            cause="Zeros for a hand that was not predicted?",
        )
        return None
    return joints


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape) or "one value"
