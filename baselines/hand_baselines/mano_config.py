"""What the configurations of all models that say MANO parameters have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class ManoConfig:
    """How pictures are cut, whose hands are meant, and what is learned; WildHands' as released.

    Attributes
    ----------
    input_size
        Pixels of the side of the picture (a square, with bars) and of the crops.
    source
        What crops are cut from: the "letterbox" picture, as released, or the "original".
    expansion
        Side of a crop over the longer side of its box.
    hand
        Whose hands the layers are: "handsim", or the user's "mano".
    loss_weights, norm
        Of the terms of `mano_losses.HandLosses`, and of which differences they are.
    auxiliary
        What is learned from pictures without 3D labels (`mano_data.AUXILIARY`): Table 3.
    mask_size, mask_sigma
        Pixels of a mask's side, and the softness of the silhouettes, px^2 of it (`silhouette`).
    """

    input_size: int = 224
    source: Literal["letterbox", "original"] = "letterbox"
    expansion: float = 1.5
    hand: Literal["handsim", "mano"] = "handsim"
    loss_weights: tuple[float, ...] = (10.0, 0.001, 5.0, 5.0, 1.0, 1.0, 0.1, 10.0)
    norm: Literal["squared", "absolute"] = "squared"
    auxiliary: tuple[str, ...] = ("mask", "grasp")
    mask_size: int = 224
    mask_sigma: float = 1.2544

    @property
    def looks_at_crops(self) -> bool:
        """Whether it is given boxes of hands."""
        return True


#: What ``small`` presets have instead: sharp crops, and losses that show something in minutes.
SMALL: dict[str, Any] = {
    "source": "original",
    # Cameras learn by themselves; where their terms rule the steps, poses stay at their mean.
    "loss_weights": (10.0, 0.01, 100.0, 2.0, 1.0, 0.3, 0.1, 10.0),
    "norm": "absolute",
    "mask_size": 64,
    "mask_sigma": 0.1,
}
