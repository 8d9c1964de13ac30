"""SVEgoNet as released: InterNet on grey crops of a head-mounted camera.

The network, its targets, losses and decoding are InterNet's. Which hands are in the crop (left,
right or both) is told by InterNet's two independent sigmoids. What differs is the input: a grey
picture, repeated to three channels, and the crop rule.

Source: Ohkawa et al., AssemblyHands, CVPR 2023, section 4; facebookresearch/assemblyhands-toolkit,
src/main, src/common/nets (facts/assemblyhands.md 4.1).
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hand_baselines.crops import integer_square_box
from hand_baselines.internet.model import InterNet, InterNetOutput
from hand_baselines.svegonet.config import SVEgoNetConfig


class SVEgoNet(InterNet):
    """The network; `PRESETS["paper"]` has 47,305,474 parameters."""

    config: SVEgoNetConfig

    def __init__(self, config: SVEgoNetConfig):
        super().__init__(config)

    def forward(self, images: Tensor) -> InterNetOutput:
        """Return heatmaps, relative root depth and presence, as `InterNet.forward`.

        `images` are crops (batch, 1 or 3, input_size, input_size), bytes or floats in 0 to 1; one
        channel is repeated to three.
        """
        return super().forward(images.expand(-1, 3, -1, -1))


def crop_box(bbox: np.ndarray, config: SVEgoNetConfig) -> np.ndarray:
    """Return the square of whole pixels (..., 4) that is cropped for boxes (..., 4)."""
    return integer_square_box(bbox, config.expansion, config.smallest_crop)
