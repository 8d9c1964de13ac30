"""The siblings of the real tracks in HandSim: the same form and protocols on a procedural world."""

from __future__ import annotations

from dataclasses import replace

from hand_bench.sim.worlds import SIBLINGS, VERSION
from hand_bench.tracks.track import Track

_PLANAR = "both hands, 21 joints each in 2D, pixels of the picture (its size is in the inputs)"
_STRATA = {"hand_type", "annotator", "action"}


def sibling(real: Track) -> Track:
    """Return the look-alike of a real track; everything that is scored stays the same."""
    source, prefix, split = SIBLINGS[real.name]
    name = f"handsim-{real.name}"
    return replace(
        real,
        name=name,
        title=f"HandSim's look-alike of {real.name}",
        dataset=source,
        split=split,
        prepared=f"{prefix}-{split}" if prefix else split,
        truth="public",
        source=f"HandSim, version {VERSION}: procedural hands; says nothing about real data",
        licence="Apache-2.0",
        predicts=_PLANAR if real.kind == "pose-2d" else real.predicts,
        obtain=f"hand-bench sim make {name}",
        split_rule=f"made from the seed: people of {split} are in no other split",
        counts="as many as its size (mini, small, full) makes",
        samples=None,
        strata=tuple(s for s in real.strata if s in _STRATA),
        subsets=tuple(s for s in real.subsets if set(s.where) <= _STRATA),
    )
