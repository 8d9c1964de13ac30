"""What a new scoring changed: number by number, and as a table for the changelog."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hand_bench.results import Result, Score, format_value

#: Relative difference up to which two stored numbers (nine digits) are the same.
SAME = 2e-8
_Key = tuple[str, str, str]


@dataclass(frozen=True)
class Change:
    """One number before and after; None where it is not there."""

    metric: str
    subset: str
    protocol: str
    before: Score | None
    after: Score | None

    @property
    def amount(self) -> float:
        """After minus before; infinite where one of them has no value."""
        values = [None if s is None else s.value for s in (self.before, self.after)]
        if values[0] is None or values[1] is None:
            return math.inf
        return values[1] - values[0]

    @property
    def share(self) -> float:
        """The amount as a share of the larger value, to compare metrics of different units."""
        values = [abs(s.value or 0.0) for s in (self.before, self.after) if s is not None]
        largest = max(values, default=0.0)
        return abs(self.amount) / largest if largest else math.inf

    @property
    def versions(self) -> tuple[str, str]:
        """Version of the metric before and after, the end of the signature ("v1")."""
        return _version(self.before), _version(self.after)

    def text(self) -> str:
        """Return "MPJPE all (recommended) 12.30 to 12.41 mm"."""
        unit = (self.after or self.before).unit  # type: ignore[union-attr]
        name = f"{self.metric} {self.subset} ({self.protocol})"
        before, after = (_value(s) for s in (self.before, self.after))
        if before == after:
            before, after = (_value(s, exactly=True) for s in (self.before, self.after))
        return f"{name} {before} to {after} {unit}".rstrip()


def _version(score: Score | None) -> str:
    return "" if score is None else score.signature.rpartition("|")[2]


def _value(score: Score | None, *, exactly: bool = False) -> str:
    if score is None:
        return "none"
    if exactly and score.value is not None:
        return repr(score.value)
    return format_value(score.value, score.unit)


def changes(before: Result, after: Result) -> list[Change]:
    """Return what differs in value, interval, number or signature; the largest first."""
    old, new = _by_key(before), _by_key(after)
    found = [
        Change(*key, old.get(key), new.get(key))
        for key in {**old, **new}
        if not _same(old.get(key), new.get(key))
    ]
    return sorted(found, key=lambda c: (-c.share, c.protocol, c.metric, c.subset))


def _by_key(result: Result) -> dict[_Key, Score]:
    return {(s.metric, s.subset, s.protocol): s for s in result.scores}


def _same(before: Score | None, after: Score | None) -> bool:
    if before is None or after is None:
        return False
    pairs = [(before.value, after.value)]
    if before.ci95 and after.ci95:
        pairs += zip(before.ci95, after.ci95, strict=True)
    same = bool(before.ci95) == bool(after.ci95) and before.n == after.n
    return same and before.signature == after.signature and all(_close(*p) for p in pairs)


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=SAME, abs_tol=1e-12)


def is_bump(found: Sequence[Change]) -> bool:
    """Whether a number changed together with the version of its metric."""
    return any(before != after and before and after for before, after in _versions(found))


def _versions(found: Sequence[Change]) -> list[tuple[str, str]]:
    return [change.versions for change in found]


def is_silent(before: Result, after: Result, found: Sequence[Change]) -> bool:
    """Whether numbers moved though bytes, truth and metric versions are the same."""
    same_bytes = before.predictions.get("sha256") == after.predictions.get("sha256")
    same_truth = before.annotations == after.annotations
    moved = [c for c in found if c.versions[0] == c.versions[1]]
    return same_bytes and same_truth and bool(moved)


def table(rows: Sequence[tuple[str, Result, Result]]) -> str:
    """Return the before/after table for the changelog, in Markdown.

    Parameters
    ----------
    rows
        Slug, result before and result after of every submission that was scored again.
    """
    lines = []
    for track in sorted({slug.partition("/")[0] for slug, _, _ in rows}):
        inside = [row for row in rows if row[0].partition("/")[0] == track]
        bumped = [
            (slug, change)
            for slug, before, after in sorted(inside, key=lambda row: row[0])
            for change in changes(before, after)
            if change.versions[0] != change.versions[1]
        ]
        if not bumped:
            continue
        lines += [f"### {track}", "", "| submission | number | version | before | after | change |",
                  "|---|---|---|---:|---:|---:|"]  # fmt: skip
        lines += [_line(slug, change) for slug, change in bumped]
        lines.append("")
    return "\n".join(lines)


def _line(slug: str, change: Change) -> str:
    score = change.after or change.before
    assert score is not None
    versions = " to ".join(v or "none" for v in change.versions)
    moved = (
        "n/a"
        if math.isinf(change.amount)
        else f"{'+' * (change.amount >= 0)}" + (f"{format_value(change.amount, score.unit)}")
    )
    unit = f", {score.unit}" if score.unit else ", %"
    return (
        f"| {slug.partition('/')[2]} | {change.metric} {change.subset} ({change.protocol}{unit}) "
        f"| {versions} | {_value(change.before)} | {_value(change.after)} | {moved} |"
    )
