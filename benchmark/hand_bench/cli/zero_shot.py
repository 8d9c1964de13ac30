"""The command that says whether a submission is zero-shot."""

from __future__ import annotations

from pathlib import Path

from hand_bench.cli import console


def zero_shot(submission: Path, /, *, track: str, json: bool = False) -> None:
    """Say whether a submission is zero-shot on a track, and why.

    Parameters
    ----------
    submission
        A submission.yaml with its `training:` lines.
    track
        Name of a track, or dataset/split.
    json
        Print one JSON object.
    """
    from hand_bench.zero_shot import zero_shot as judge

    found = judge(submission, track)
    if json:
        console.write_json(found.to_json())
    else:
        console.write(found.text())
