"""Which tracks are on real data: numbers on procedural worlds are never mixed with those."""

from __future__ import annotations

from hand_bench.lineage import HANDSIM
from hand_bench.tracks import Track

#: Datasets that a procedure makes, beside HandSim's.
_OTHERS = ("demo",)


def is_procedural(track: Track) -> bool:
    """Whether a track's data is made by a procedure, so that it says nothing about real data."""
    dataset = track.dataset
    return dataset == HANDSIM or dataset.startswith(f"{HANDSIM}-") or dataset in _OTHERS
