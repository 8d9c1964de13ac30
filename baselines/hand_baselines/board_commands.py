"""The command `hand-bench baselines submit`: rows that a board starts with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hand_baselines.commands import DEFAULT, Looking
from hand_bench.cli import console

if TYPE_CHECKING:
    from hand_baselines.board_rows import BoardRow


def baselines_submit(
    name: str = "",
    /,
    *,
    track: str = "",
    root: Path = Path("runs/board-rows"),
    date: str = "",
    list_only: bool = False,
    again: bool = False,
    looking: Looking = DEFAULT,
) -> None:
    """Write predictions and submission.yaml of floors and shipped weights, for `hand-bench submit`.

    What is there already is left alone, so an interrupted command goes on.

    Parameters
    ----------
    name
        Floor (zero, mean-pose, nearest-box, most-frequent), or weights by folder or name. Default:
        all floors and shipped weights.
    track
        Name of the track; default: every prepared track of HandSim that has such a row.
    root
        Folder in which <track>/<name>/ is made.
    date
        Date of the rows, YYYY-MM-DD; default: today.
    list_only
        Only print which rows there are.
    again
        Write over what is there.
    """
    from hand_baselines.board_rows import META, board_rows, write_row

    options = _options(looking)
    for row in board_rows(name, track):
        place = root / row.slug
        if not list_only and (again or not (place / META).is_file()):
            write_row(row, root, date=date, **options)
        console.write(_next(row, place))


def _next(row: BoardRow, place: Path) -> str:
    """Return the command that scores and places a row."""
    return (
        f"hand-bench submit {place / 'predictions.parquet'} --track {row.track.name} "
        f"--meta {place / 'submission.yaml'} --name {place.name}"
    )


def _options(looking: Looking) -> dict[str, object]:
    """Return the options that differ from the default ones."""
    return {k: v for k, v in vars(looking).items() if v != getattr(DEFAULT, k)}
