"""A small site that the tests of this folder look at."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmark.small_tracks import SmallClips, SmallTrack
from leaderboard import many_submissions, reproduced_claims


@dataclass(frozen=True)
class SmallSite:
    """A built site, the submissions that it shows, and the tables that they were scored on."""

    site: Path
    root: Path
    work: Path
    tracks: dict[str, SmallTrack | SmallClips]
    names: dict[str, list[str]]


#: Track -> number of submissions: real and procedural, 3D, 2D and clips.
TRACKS = {
    "egoexo4d-hand": 9,
    "handsim-egoexo4d-hand": 3,
    "epic-handkps": 3,
    "h2o-action-val": 3,
    "egoexo4d-hand-test": 2,
}


@pytest.fixture(scope="session")
def small_site(tmp_path_factory) -> SmallSite:
    pytest.importorskip("jinja2", reason="pip install 'hand-bench[leaderboard]'")
    from hand_leaderboard.site import build

    folder = tmp_path_factory.mktemp("board")
    root, tracks, names = folder / "submissions", {}, {}
    for name, count in TRACKS.items():
        work = folder / "work" / name
        work.mkdir(parents=True)
        tracks[name] = many_submissions.of_track(work, name)
        names[name] = many_submissions.write_track(root, tracks[name], count, work=work)
    reproduced_claims.write_all(folder / "baselines" / "reproduced")
    site = build(root, folder / "site")
    return SmallSite(site, root, folder / "work", tracks, names)
