"""What the 2D keypoint network is made of: `PRESETS["paper"]` and `PRESETS["small"]`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hand_baselines.instants import Variation
from hand_baselines.presets import SMALL_DEPTH, SMALL_INPUT, SMALL_WIDTH, find_preset


@dataclass(frozen=True)
class KeypointsConfig:
    """Sizes of the network. The paper does not name its detector: these are this project's.

    Attributes
    ----------
    encoder, width
        "efficientnet-b0" (from transformers) or "resnet-18", and by what its channels are
        multiplied.
    features
        Channels of the feature map.
    input_size
        Pixels of the square crop's side; a heatmap has a quarter of it.
    sigma
        Width of the target heatmaps, in their pixels.
    expansion
        Side of the square crop over the longer side of the box, which is itself 1.2 times as large
        as the hand's joints reach.
    """

    encoder: str = "efficientnet-b0"
    width: float = 1.0
    features: int = 128
    input_size: int = 256
    sigma: float = 2.0
    expansion: float = 1.1

    def variation(self) -> Variation:
        """Return what varies in training besides the crops: nothing."""
        return Variation()


PRESETS = {
    "paper": KeypointsConfig(),
    "small": replace(
        KeypointsConfig(),
        encoder=f"resnet-{SMALL_DEPTH}",
        width=SMALL_WIDTH,
        features=64,
        input_size=SMALL_INPUT,
        sigma=1.0,
    ),
}


def preset(name: str) -> KeypointsConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "keypoints2d", name)
