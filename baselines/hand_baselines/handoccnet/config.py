"""What a HandOccNet is made of: `PRESETS["paper"]` and `PRESETS["small"]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hand_baselines.mano_config import SMALL, ManoConfig
from hand_baselines.presets import SMALL_DEPTH, SMALL_INPUT, SMALL_WIDTH, find_preset


@dataclass(frozen=True)
class HandOccNetConfig(ManoConfig):
    """Sizes and conventions of a HandOccNet; the defaults are the paper's, with KPE.

    Attributes
    ----------
    depth, width
        The ResNet, and by what its channels are multiplied.
    leaky
        Whether the ResNet's activations are leaky, as released, or those it was trained with.
    input_size
        Pixels of the square crop's side; the transformers look at an eighth of it.
    normalised
        Whether ImageNet's mean and deviation are applied to colours.
    channels
        Of the feature maps; tokens have as many values.
    heads, blocks, mlp
        Of each of the two transformers: heads of attention, blocks, and how many times wider than
        a token the hidden layer is.
    joints
        Heatmaps of the regressor.
    halvings
        Levels of the hourglass, and halvings of the encoder after it.
    hidden
        Widths of the last fully connected layers.
    initialisation
        "released": convolutions N(0, 0.001) and fully connected layers N(0, 0.01) in transformers
        and regressor; or "torch", torch's own, with gates that start half open.
    identity, camera
        Where the answer starts: whether rotations start from none, and s, tx, ty.
    kpe
        Whether the network is told where in the field of view a crop is.
    """

    depth: int = 50
    width: float = 1.0
    leaky: bool = True
    input_size: int = 256
    normalised: bool = True
    channels: int = 256
    heads: int = 4
    blocks: int = 2
    mlp: int = 4
    joints: int = 21
    halvings: int = 4
    hidden: tuple[int, int] = (1024, 512)
    initialisation: Literal["released", "torch"] = "released"
    identity: bool = False
    camera: tuple[float, float, float] = (0.0, 0.0, 0.0)
    kpe: bool = True

    def __post_init__(self) -> None:
        if self.input_size % (8 << self.halvings) or self.input_size % 32:
            raise ValueError(f"{self.input_size} pixels cannot be halved {3 + self.halvings} times")
        if self.channels % self.heads or self.channels % 2:
            raise ValueError(f"{self.channels} channels fit no {self.heads} heads, or are odd")
        if self.initialisation not in ("released", "torch"):
            raise ValueError(f"initialisation {self.initialisation!r} is none of released, torch")

    @property
    def side(self) -> int:
        """Return the side of the map that the transformers look at."""
        return self.input_size // 8


PRESETS = {
    "paper": HandOccNetConfig(),
    "small": HandOccNetConfig(
        **SMALL,
        depth=SMALL_DEPTH,
        width=SMALL_WIDTH,
        leaky=False,
        input_size=SMALL_INPUT,
        normalised=False,
        channels=64,
        halvings=3,
        hidden=(256, 128),
        initialisation="torch",
        identity=True,
        camera=(3.0, 0.0, 0.0),
    ),
}


def preset(name: str) -> HandOccNetConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "HandOccNet", name)
