"""What a RootNet is made of: `PRESETS["paper"]` (hands), "small", and "body" as it was released."""

from __future__ import annotations

from dataclasses import dataclass

from hand_baselines.presets import SMALL_DEPTH, SMALL_INPUT, SMALL_WIDTH, find_preset


@dataclass(frozen=True)
class RootNetConfig:
    """Sizes of a RootNet; the defaults are those for hands.

    Attributes
    ----------
    depth, width
        The ResNet, and by what its channels are multiplied.
    input_size
        Pixels of the square crop's side.
    bins
        Bins of a root's 2D heatmap in each axis: a quarter of the input's pixels.
    hidden
        Channels of the deconvolutions.
    roots
        How many roots a crop has: the right and the left wrist, or one.
    real_size
        Side of the square that a crop is assumed to show, mm: 300 for hands, 2000 for bodies.
    expansion
        Side of the square crop over the longer side of the box, which is clipped to the picture.
    """

    depth: int = 50
    width: float = 1.0
    input_size: int = 256
    bins: int = 64
    hidden: int = 256
    roots: int = 2
    real_size: float = 300.0
    expansion: float = 1.25

    def __post_init__(self) -> None:
        if self.bins * 4 != self.input_size:
            raise ValueError(
                f"{self.bins} bins do not fit {self.input_size} pixels: the network's heatmaps "
                "are a quarter of its input"
            )


PRESETS = {
    "paper": RootNetConfig(),
    "small": RootNetConfig(
        depth=SMALL_DEPTH, width=SMALL_WIDTH, input_size=SMALL_INPUT, bins=32, hidden=64
    ),
    "body": RootNetConfig(roots=1, real_size=2000.0),
}


def preset(name: str) -> RootNetConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "RootNet", name)
