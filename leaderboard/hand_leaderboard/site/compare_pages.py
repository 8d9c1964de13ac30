"""A track's compare page and its data files: sums by sequence, from which a browser compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hand_bench.tracks import Track
from hand_leaderboard.board import Board
from hand_leaderboard.board.interactive import TrackData, sums_data, worst_samples
from hand_leaderboard.site import hand_drawing, pages

if TYPE_CHECKING:
    from hand_leaderboard.submissions.folder import Submission


def path_of(track: str) -> str:
    """Where a track's compare page lies."""
    return f"compare/{track}.html"


def shared_path(track: str) -> str:
    """Where the data file lies that all submissions of a track share."""
    return f"data/{track}.js"


def data_path(submission: Submission) -> str:
    """Where a submission's data file lies."""
    return f"data/{submission.slug}.js"


def data_of(submission: Submission, shared: TrackData) -> dict[str, Any] | None:
    """Return what a browser needs of one submission; None where it cannot be paired."""
    sums = sums_data(submission, shared)
    if sums is None:
        return None
    return {**sums, "method": submission.meta.method, "worst": worst_samples(submission)}


def page(board: Board, track: Track, compared: Mapping[str, Submission]) -> str:
    """Return a track's compare page; `compared` are its submissions by path of their data file."""
    table = board.main_table(track.name)
    options = [
        {"name": s.name, "method": s.meta.method, "people": s.meta.people, "data": path,
         "kind": "reproduced" if s.meta.kind == "baseline" else "re-scored",
         "page": f"submissions/{s.slug}.html"}
        for path, s in compared.items()
    ]  # fmt: skip
    return pages.render(
        "compare.html.j2",
        path_of(track.name),
        track=track,
        procedural=table.procedural,
        options=options,
        places=[[hand_drawing.place(side, k) for k in range(21)] for side in ("right", "left")],
        setting={
            "track": track.name,
            "shared": shared_path(track.name),
            "unit": "px" if track.kind == "pose-2d" else "mm",
            "options": options,
        },
        scripts=("plot", "statistics", "compare"),
    )
