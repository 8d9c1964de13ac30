"""Reading a board: submissions, published numbers and suites become tables."""

from __future__ import annotations

from pathlib import Path

from hand_leaderboard.board.tables import Board


def read_board(submissions_root: str | Path) -> Board:
    """Read all submissions and make every table.

    Parameters
    ----------
    submissions_root
        The folder `submissions/`; one that does not exist has no submissions.

    Raises
    ------
    HandBenchError
        With the problems of all submissions, HB160 for each that has no row.
    """
    raise NotImplementedError
