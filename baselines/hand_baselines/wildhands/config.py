"""What WildHands and its nearest relatives are made of; presets of `wildhands`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hand_baselines.kpe import ENCODINGS
from hand_baselines.mano_config import SMALL, ManoConfig
from hand_baselines.presets import SMALL_DEPTH, SMALL_INPUT, SMALL_WIDTH, find_preset


@dataclass(frozen=True)
class WildHandsConfig(ManoConfig):
    """Sizes and conventions besides `ManoConfig`'s; the defaults are the released WildHands'.

    Attributes
    ----------
    depth, width
        The ResNets, and by what their channels are multiplied.
    one_trunk
        Whether picture and crops go through the same ResNet.
    branches
        "both" (WildHands), "crops" (HandNet: the picture is not looked at for poses), or "picture"
        (ArcticNet-SF: there are no crops).
    encoding
        What is said of where a crop is (`kpe.ENCODINGS`).
    correction
        What happens to the root's rotation and the crop: "none", "rotation" (perspective
        correction) or "pcl" (perspective crop layers, Yu et al., CVPR 2020).
    channels, padding
        Of the convolutions on the crops' feature map (1x1, 3x3, 3x3), and the padding of the last
        two.
    hidden
        Length of the vector that the heads look at.
    head, iterations, dropout
        Hidden layer of the HMR heads, how often they correct themselves, and their dropout.
    grasp, grasp_global
        Hidden layers of the grasp head, and whether it is told the picture's features.
    normalised
        Whether colours are less ImageNet's mean and over its deviation.
    initialisation
        Of the layers behind the ResNets, which have no normalisation: "torch" (its default, as
        released), or "kaiming" (normal, for ReLU).
    """

    depth: int = 50
    width: float = 1.0
    one_trunk: bool = False
    branches: Literal["both", "crops", "picture"] = "both"
    encoding: str = "sparse"
    correction: Literal["none", "rotation", "pcl"] = "none"
    channels: tuple[int, int, int] = (1024, 512, 256)
    padding: tuple[int, int] = (0, 0)
    hidden: int = 2048
    head: int = 1024
    iterations: int = 3
    dropout: float = 0.5
    grasp: tuple[int, ...] = (1024, 512, 128)
    grasp_global: bool = True
    normalised: bool = True
    initialisation: Literal["torch", "kaiming"] = "torch"

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding {self.encoding!r} is none of {', '.join(ENCODINGS)}")

    @property
    def looks_at_crops(self) -> bool:
        """Whether it is given boxes of hands."""
        return self.branches != "picture"


_PAPER = WildHandsConfig()
_SMALL = WildHandsConfig(
    depth=SMALL_DEPTH,
    width=SMALL_WIDTH,
    one_trunk=True,
    input_size=SMALL_INPUT,
    channels=(128, 96, 64),
    padding=(1, 0),
    hidden=256,
    head=256,
    dropout=0.1,
    grasp=(128, 64),
    normalised=False,
    initialisation="kaiming",
    **SMALL,
)
PRESETS = {"paper": _PAPER, "small": _SMALL}


def without_crops(config: WildHandsConfig) -> WildHandsConfig:
    """Return ArcticNet-SF's configuration of the same size."""
    return replace(config, branches="picture", encoding="none", grasp_global=False)


def without_encoding(config: WildHandsConfig) -> WildHandsConfig:
    """Return HandNet's configuration of the same size."""
    return replace(config, branches="crops", encoding="none", grasp_global=False)


def preset(name: str) -> WildHandsConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "WildHands", name)
