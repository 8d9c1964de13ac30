"""What an MS-G3D is made of and fed with: `PRESETS["paper"]` and `PRESETS["small"]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hand_baselines.presets import find_preset

#: Branches of the multi-scale temporal convolution; its channels are shared out among them.
BRANCHES = 6


@dataclass(frozen=True)
class MSG3DConfig:
    """Sizes of an MS-G3D and the form of its clips; the defaults are the paper's.

    Attributes
    ----------
    classes
        Verbs that are told apart.
    channels
        Of the three blocks; each a multiple of `BRANCHES`.
    gcn_scales, g3d_scales
        Scales of the spatial and of the spatio-temporal graph convolutions, the joint itself
        included.
    windows
        Frames of the spatio-temporal windows; odd.
    graph
        "apart": each hand is a graph of 21 joints, both go through the same layers and are averaged
        (Assembly101's code); "joined": one graph of 42 joints with an edge between the wrists.
    frames, rate
        Length of a clip and its poses a second. Assembly101's 200 frames at 60 Hz become 100 at
        the 30 Hz of AssemblyHands: the same time.
    context
        Seconds before and after a segment that are looked at too (25 frames at 60 Hz).
    origin
        Where joints are seen from: "world"; "first": from between the wrists of the first frame; or
        "wrists": each hand from its own wrist, which needs no absolute poses.
    unit
        Millimetres of one unit of the input.
    cyclic
        Classes (by number) that are seen as often as the largest one in training, and varied.
    varied
        Which clips are varied in training: "cyclic" or "all".
    turn, scale, speed
        How far: degrees about the world's y axis, share of the size, factor of the speed.
    """

    classes: int = 6
    channels: tuple[int, int, int] = (96, 192, 384)
    gcn_scales: int = 13
    g3d_scales: int = 6
    windows: tuple[int, ...] = (3, 5)
    graph: Literal["apart", "joined"] = "apart"
    frames: int = 100
    rate: float = 30.0
    context: float = 25 / 60
    origin: Literal["world", "first", "wrists"] = "world"
    unit: float = 1.0
    cyclic: tuple[int, ...] = (4, 5)
    varied: Literal["cyclic", "all"] = "cyclic"
    turn: float = 15.0
    scale: float = 0.1
    speed: float = 4 / 3

    def __post_init__(self) -> None:
        if any(width % BRANCHES for width in self.channels):
            raise ValueError(f"channels {self.channels} are not multiples of {BRANCHES}")
        if any(window % 2 == 0 for window in self.windows):
            raise ValueError(f"windows {self.windows} are not odd")


PRESETS = {
    "paper": MSG3DConfig(),
    # Nine scales reach from any joint of a hand to any other one.
    "small": MSG3DConfig(
        channels=(24, 48, 96),
        gcn_scales=9,
        g3d_scales=4,
        windows=(3,),
        frames=32,
        rate=10.0,
        origin="first",
        unit=100.0,
        varied="all",
    ),
}


def preset(name: str) -> MSG3DConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "MS-G3D", name)
