"""What the networks of all models that say MANO parameters share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hand_baselines import mano_losses
from hand_baselines.crops import as_float
from hand_baselines.kpe import sparse
from hand_baselines.mano_losses import HandLayers, HandLosses, Hands, HandsOutput, HandsTargets
from hand_baselines.parameters import Parameters
from hand_baselines.pretrained import Pretrained


class ManoModel(nn.Module, Pretrained):
    """The hands' layers, targets, losses and answers; `forward` gives a `HandsOutput`."""

    config: Any

    def __init__(self, config: Any):
        super().__init__()
        self.config = config
        self.layers = HandLayers.of(config.hand)

    def targets(self, batch: Mapping[str, Tensor]) -> HandsTargets:
        """Return the targets of a batch (see `mano_losses.targets`)."""
        return mano_losses.targets(batch, self.layers)

    def losses(self, output: HandsOutput, targets: HandsTargets) -> HandLosses:
        """Return the terms of the loss, weighted (see `mano_losses.losses`)."""
        config = self.config
        how = {"norm": config.norm, "sigma": config.mask_sigma}
        return mano_losses.losses(output, targets, self.layers, config.loss_weights, **how)

    def decode(self, output: HandsOutput, K: Tensor, *, meshes: bool = False) -> Hands:
        """Return hands in camera space, mm; K (batch, 3, 3) is the letterbox's."""
        return mano_losses.decode(output, K, self.layers, meshes=meshes)


class CropModel(ManoModel):
    """Both hands, each by the same network from its crop alone; left ones are not mirrored.

    A subclass names its `network_class`: crops (n, 3, size, size) and encodings (n, 80) or None ->
    `Parameters`.
    """

    HEADS = ("network.head",)
    network_class: ClassVar[Callable[[Any], nn.Module]]

    def __init__(self, config: Any):
        super().__init__(config)
        self.network = type(self).network_class(config)

    def forward(self, picture: Tensor, crops: Tensor, boxes: Tensor, K: Tensor) -> HandsOutput:
        """Return both hands; the arguments are those of `wildhands.model.WildHands`."""
        flat = as_float(crops.transpose(0, 1).flatten(0, 1))
        told = None
        if self.config.kpe:
            told = sparse(boxes.transpose(0, 1).flatten(0, 1), K.repeat(2, 1, 1)).to(flat)
        said: Parameters = self.network(flat, told)
        return HandsOutput(*(torch.stack(part.chunk(2), dim=1) for part in said))
