"""What diagnoses of every kind say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def conclusions(findings: Sequence[Any], chain: Sequence[str], after: str) -> list[str]:
    """Say which findings are likely; `after` is the result with those of the chain put right."""
    fixed = [f.text for f in findings if f.likely and f.name in chain]
    seen = [f.text for f in findings if f.likely and f.name not in chain]
    said = []
    if fixed:
        said.append(
            f"Likely: {'; '.join(fixed)}. With that put right (`--fix OUT` writes it): {after}."
        )
    if seen:
        said.append(f"Also seen, never applied: {'; '.join(seen)}.")
    return said or ["No wrong convention explains the error."]


def left_out(counts: Mapping[str, int], words: Mapping[str, str]) -> list[str]:
    """Say what could not be used: the counts that are not 0."""
    parts = [f"{counts[key]:,} {what}" for key, what in words.items() if counts[key]]
    return [f"Left out: {', '.join(parts)}."] if parts else []


def no_hand(name: str) -> str:
    """Say that there is nothing to measure."""
    return (
        f"{name}: no hand could be measured: no row has a usable hand of a sample of the track "
        "where that hand is annotated."
    )
