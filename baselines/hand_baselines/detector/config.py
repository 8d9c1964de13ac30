"""What a detector is made of: `PRESETS["paper"]` and "small"."""

from __future__ import annotations

from dataclasses import dataclass

from hand_baselines.presets import SMALL_DEPTH, SMALL_WIDTH, find_preset
from hand_baselines.resnet import STRIDE


@dataclass(frozen=True)
class DetectorConfig:
    """Sizes of a detector, and what its losses are weighed by.

    Attributes
    ----------
    depth, width
        The ResNet, and by what its channels are multiplied.
    input_size
        Pixels of the side of the square that the whole picture is put in, with bars.
    features, hidden
        Channels of the pyramid, and of the heads.
    overlap
        A box of the true size whose corner is moved by three deviations of a target's Gaussian
        still overlaps with the true box by this much (intersection over union).
    size_weight, offset_weight
        Of the losses of sizes and of offsets; that of the heatmaps has weight 1.
    """

    depth: int = 50
    width: float = 1.0
    input_size: int = 512
    features: int = 256
    hidden: int = 256
    overlap: float = 0.7
    size_weight: float = 1.0
    offset_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.input_size % STRIDE:
            raise ValueError(f"{self.input_size} pixels are no multiple of {STRIDE}")
        if not 0 < self.overlap < 1:
            raise ValueError(f"an overlap of {self.overlap} is not between 0 and 1")


PRESETS = {
    "paper": DetectorConfig(),
    "small": DetectorConfig(SMALL_DEPTH, SMALL_WIDTH, input_size=256, features=64, hidden=64),
}


def preset(name: str) -> DetectorConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "the detector", name)
