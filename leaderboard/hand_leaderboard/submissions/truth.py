"""Where the truth of a track is: prepared, in a private folder, or in a gated Hub dataset."""

from __future__ import annotations

import re
from pathlib import Path

from hand_bench.annotations import Annotations
from hand_bench.data import open_annotations
from hand_bench.errors import DatasetError, Problem
from hand_bench.tracks import Track
from hand_leaderboard.submissions import hub

_FILE = "annotations.parquet"
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def open_truth(track: Track, where: str | None = None) -> Annotations:
    """Open a track's annotations.

    Parameters
    ----------
    track
        The track.
    where
        A file; a folder that holds ``<dataset>/<table>/annotations.parquet`` as the data folder
        does; ORG/REPO, a dataset of the Hub of the same form, which is read with the token of this
        machine; default: what is prepared here.

    Raises
    ------
    DatasetError
        HB201 where there are none, HB206 for another kind of file.
    HandBenchError
        HB401, HB403, HB404 of the Hub.
    """
    if where is None:
        return open_annotations(track)
    path = Path(where).expanduser()
    if path.is_file():
        return Annotations.open(path)
    inside = Path(track.dataset, track.table)
    if path.is_dir():
        found = path / inside / _FILE
        if not found.is_file():
            what = f"holds no {inside / _FILE}."
            fix = "`hand-bench data prepare` with HAND_BENCH_HOME set to that folder writes it."
            raise DatasetError(Problem("HB201", str(path), what, fix=fix))
        return Annotations.open(found)
    if _REPO.fullmatch(where):
        folder = hub.dataset_folder(where, f"{inside.as_posix()}/*")
        found = folder / inside / _FILE
        if not found.is_file():
            raise DatasetError(Problem("HB201", where, f"holds no {(inside / _FILE).as_posix()}."))
        return Annotations.open(found)
    raise DatasetError(
        Problem("HB201", where, "is neither a file, nor a folder, nor a Hub dataset (ORG/REPO).")
    )


def find_truth(track: Track, where: str | None = None) -> Annotations | None:
    """Open a track's annotations; None where nothing was named and nothing is prepared."""
    try:
        return open_truth(track, where)
    except DatasetError as error:
        if where is not None or any(p.code != "HB201" for p in error.problems):
            raise
        return None
