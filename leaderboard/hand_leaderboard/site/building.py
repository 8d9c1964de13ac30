"""Building the site: every page, data file, export and asset, written to a folder at once.

The same board gives the same bytes: nothing of the clock, the machine or the order of a set is in
them. Pages work from `file://` and ask nobody for anything.
"""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hand_bench.data import quiet
from hand_bench.errors import HandBenchError, Problem
from hand_bench.tracks import find_track
from hand_bench.version import __version__
from hand_leaderboard.board import Board, read_board
from hand_leaderboard.board.interactive import track_data
from hand_leaderboard.board.reading import require_rows
from hand_leaderboard.claim_files import read_claims
from hand_leaderboard.claims import Claims
from hand_leaderboard.site import (
    about_pages,
    assets,
    claims_page,
    compare_pages,
    home_page,
    pages,
    submission_pages,
    suite_pages,
    takeaways,
    track_pages,
)
from hand_leaderboard.site.folders import SiteFolder, new_folder
from hand_leaderboard.site.pages import data_script
from hand_leaderboard.submissions.few_samples import read_few_samples

if TYPE_CHECKING:
    from hand_leaderboard.submissions.folder import Submission

#: Beside the folder of submissions.
REPRODUCED = Path("baselines/reproduced")
Progress = Callable[[str, int, int], None]


def build(
    root: str | Path, out: str | Path, *, base_url: str = "", reproduced: str | Path | None = None,
    progress: Progress = quiet,
) -> Path:  # fmt: skip
    """Read all submissions and write the site; an older site at `out` is replaced as a whole.

    Parameters
    ----------
    root
        The folder `submissions/`.
    out
        Where the site goes: a new or empty folder, or one that holds a site.
    base_url
        Where it will be on the web, for the links of the feed; nothing else needs it.
    reproduced
        The folder of what `hand-bench reproduce` wrote; default: `baselines/reproduced` beside
        `root`, if it is there. Without one there is no page of claims.

    Raises
    ------
    HandBenchError
        With the problems of all submissions; HB150 for each that has no row; HB146 and HB301 for
        results of claims that are damaged or unknown; HB402 where `out` holds something else or
        cannot be written, or where there is no folder `reproduced`.
    """
    with _without_collections():
        progress("read submissions", 0, 1)
        board = read_board(root)
        progress("read submissions", 1, 1)
        claims = _claims(Path(root), reproduced)
        return write_site(board, out, claims=claims, base_url=base_url, progress=progress)


def _claims(root: Path, reproduced: str | Path | None) -> Claims | None:
    """Read the claims of the folder that was given, else of the one beside the submissions."""
    if reproduced is None:
        return read_claims(root.parent / REPRODUCED)
    if not Path(reproduced).is_dir():
        raise HandBenchError(Problem("HB402", str(reproduced), "is no folder."))
    return read_claims(Path(reproduced))


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Pause the search for reference cycles: millions of values are made, and nearly all stay."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def write_site(
    board: Board, out: str | Path, *, claims: Claims | None = None, base_url: str = "",
    progress: Progress = quiet,
) -> Path:  # fmt: skip
    """Write the site of a board, with a page of claims where there are some; raises as `build`."""
    require_rows(board, board.submissions)
    pages.environment()
    links = [(claims_page.PATH, "Claims")] if claims else []
    with new_folder(Path(out)) as folder, pages.linking(*links):
        assets.write(folder)
        folder.write("index.html", home_page.page(board, claims))
        if claims:
            folder.write(claims_page.PATH, claims_page.page(claims, board.tracks))
            claims_page.write_results(claims, folder)
        tracks = [find_track(name) for name in board.tracks]
        folder.write("about.html", about_pages.about(tracks))
        folder.write("submit.html", about_pages.submit(tracks))
        folder.write("suites.html", suite_pages.index(board))
        exports = takeaways.exports(board, folder)
        for table in board.suites.values():
            folder.write(suite_pages.path_of(table.suite), suite_pages.page(table, exports=exports))
        for k, name in enumerate(board.tracks):
            progress("write tracks", k, len(board.tracks))
            _write_track(board, name, folder, exports)
        progress("write tracks", len(board.tracks), len(board.tracks))
        takeaways.feed(board, folder, base_url)
        folder.write("site.json", _description(board, claims))
    return Path(out)


def _write_track(board: Board, name: str, folder: SiteFolder, exports: track_pages.Exports) -> None:
    """Write a track's page, its compare page and data files, and the pages of its submissions."""
    track = find_track(name)
    own = [s for s in board.submissions if s.track.name == name]
    known = _write_data(own, name, folder)
    compared = {compare_pages.data_path(s): s for s in own if s.name in known}
    several = len(known) > 1
    data = {s.name: path for path, s in compared.items()}
    compare = compare_pages.path_of(name) if several else ""
    made = track_pages.track_pages(board, track, exports=exports, compare=compare, data=data)
    for path, text in made.items():
        folder.write(path, text)
    if several:
        folder.write(compare, compare_pages.page(board, track, compared))
    for submission in own:
        badge = takeaways.badge(board, submission, folder)
        page = submission_pages.page(
            board, submission, data=known.get(submission.name), badge=badge,
            compare=compare if submission.name in data else "",
            samples=read_few_samples(submission.samples),
        )  # fmt: skip
        folder.write(submission_pages.path_of(submission), page)


def _write_data(own: list[Submission], track: str, folder: SiteFolder) -> dict[str, dict[str, Any]]:
    """Write the data files of what can be compared; return what they hold by name."""
    scored = [s for s in own if s.result is not None and s.withdrawn is None]
    shared = track_data(scored)
    if shared is None:
        return {}
    known: dict[str, dict[str, Any]] = {}
    for submission in scored:
        value = compare_pages.data_of(submission, shared)
        if value is not None:
            path = compare_pages.data_path(submission)
            folder.write(path, data_script(path, value))
            known[submission.name] = value
    path = compare_pages.shared_path(track)
    folder.write(path, data_script(path, shared))
    return known


def _description(board: Board, claims: Claims | None) -> str:
    """Say in a file what the folder is, so that a later build may replace it."""
    about = {
        "made_by": "hand-bench leaderboard build",
        "hand_bench_version": __version__,
        "tracks": len(board.tracks),
        "submissions": len(board.submissions),
        "claims": len(claims.claims) if claims else 0,
    }
    return json.dumps(about, indent=2) + "\n"
