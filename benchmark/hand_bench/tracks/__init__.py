"""Tracks: one leaderboard table each, as values.

A published track never changes: a change is a new version.
"""

from __future__ import annotations

from hand_bench import plugins
from hand_bench.errors import TrackError, unknown_name
from hand_bench.sim.worlds import SIBLINGS
from hand_bench.tracks import (
    arctic,
    assemblyhands,
    egoexo4d,
    epic_handkps,
    h2o_fpha,
    handsim,
    stb_rhd,
)
from hand_bench.tracks.interhand26m import DEMO, INTERHAND26M, INTERHAND26M_VAL
from hand_bench.tracks.track import Primary, Subset, Track

__all__ = [
    "DEMO",
    "INTERHAND26M",
    "INTERHAND26M_VAL",
    "TRACKS",
    "Primary",
    "Subset",
    "Track",
    "find_track",
    "track_names",
]

_REAL = (
    INTERHAND26M,
    INTERHAND26M_VAL,
    *assemblyhands.TRACKS,
    *h2o_fpha.TRACKS,
    *arctic.TRACKS,
    *egoexo4d.TRACKS,
    *epic_handkps.TRACKS,
    *stb_rhd.TRACKS,
)
_SIBLINGS = tuple(handsim.sibling(track) for track in _REAL if track.name in SIBLINGS)
TRACKS: dict[str, Track] = {track.name: track for track in (*_REAL, *_SIBLINGS, DEMO)}


def find_track(track: str | Track) -> Track:
    """Return a track by name: one of this package, or one that another package offers.

    Raises
    ------
    TrackError
        HB301 with the nearest and all known names.
    """
    if isinstance(track, Track):
        return track
    if track in TRACKS:
        return TRACKS[track]
    found = plugins.find(plugins.TRACKS, track, Track)
    if found is None:
        raise TrackError(unknown_name("track", track, track_names()))
    return found


def track_names() -> list[str]:
    """Return the names of all tracks, those of other packages last."""
    return list(dict.fromkeys([*TRACKS, *plugins.names(plugins.TRACKS)]))
