"""HandOccNet: features of a crop, split into seen and hidden, brought together, and read.

Source: Park et al., HandOccNet, CVPR 2022; as a member of the WildHands family (Prakash et al.,
ECCV 2024, Table 2) it sees left and right crops alike and says a camera (facts/wildhands.md 5.7).
What differs from them is listed in this folder's README.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.handoccnet.config import HandOccNetConfig
from hand_baselines.handoccnet.regressor import Regressor
from hand_baselines.handoccnet.transformers import Enhancing, Injecting
from hand_baselines.heads import initialise
from hand_baselines.mano_models import CropModel
from hand_baselines.parameters import (
    Colours,
    EncodingLayers,
    ParameterHead,
    Parameters,
    check_crops,
)
from hand_baselines.resnet import ResNet


class HandOccNet(nn.Module):
    """The network of one crop; `paper` has 38,810,406 parameters, 38,723,878 without KPE."""

    def __init__(self, config: HandOccNetConfig):
        super().__init__()
        self.config = config
        self.colours = Colours() if config.normalised else nn.Identity()
        self.backbone = ResNet(config.depth, width=config.width)
        if config.leaky:
            _make_leaky(self.backbone)
        self.pyramid = _Pyramid(self.backbone.out_channels, config.channels)
        self.gate = _SpatialGate()
        self.encoding = EncodingLayers(config.channels) if config.kpe else None
        self.injecting = Injecting(config)
        self.enhancing = Enhancing(config)
        self.regressor = Regressor(config)
        self.head = ParameterHead(
            self.regressor.out_features, identity=config.identity, camera=config.camera
        )
        self._initialise()

    def forward(self, crops: Tensor, encoding: Tensor | None = None) -> Parameters:
        """Return what the hands of crops are.

        | tensor | shape |
        |---|---|
        | crops | (n, 3, input_size, input_size), floats in 0 to 1, left hands not mirrored |
        | encoding | (n, 80) where there is KPE, else None |

        Raises
        ------
        ValueError
            See `parameters.check_crops`.
        """
        check_crops(crops, encoding, size=self.config.input_size, kpe=self.config.kpe)
        colours = self.colours(crops).contiguous(memory_format=torch.channels_last)
        features = self.pyramid(self.backbone.stages(colours))
        seen = self.gate(features)
        told = self._told(encoding)
        features = self.injecting((1 - seen) * features, seen * features, told)
        features = self.enhancing(features, told)
        return self.head(self.regressor(features if told is None else features + told))

    def _told(self, encoding: Tensor | None) -> Tensor | None:
        """Return one vector for all places of a map: (n, channels, 1, 1)."""
        if self.encoding is None or encoding is None:
            return None
        return self.encoding(encoding)[..., None, None]

    def _initialise(self) -> None:
        if self.config.initialisation == "released":
            for module in (self.injecting, self.enhancing, self.regressor, self.head):
                initialise(module)
            return
        # The sum over all keys would close or open a gate for good.
        for name, parameter in self.injecting.named_parameters():
            if ".gate_" in name:
                nn.init.normal_(parameter, std=0.001)


class HandOccNetHands(CropModel):
    """Both hands of a picture, by a HandOccNet that looks at each crop."""

    network_class = HandOccNet

    @property
    def backbone(self) -> nn.Module:
        """Return the ResNet, where weights of a backbone go."""
        return self.network.backbone  # pyright: ignore


class _Pyramid(nn.Module):
    """From the stages of a ResNet to one map of an eighth of the crop (facts/wildhands.md 5.7)."""

    def __init__(self, last: int, channels: int):
        super().__init__()
        stages = (last // 8, last // 4, last // 2, last)
        self.sides = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in stages)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, stages: tuple[Tensor, ...]) -> Tensor:
        """Map stages at strides 4 to 32 to (n, channels, side, side) at stride 8."""
        whole = self.sides[-1](stages[-1])
        for side, stage in zip(self.sides[-2::-1], stages[-2::-1], strict=True):
            larger = functional.interpolate(
                whole, stage.shape[-2:], mode="bilinear", align_corners=False
            )
            whole = side(stage) + larger
        return functional.avg_pool2d(self.smooth(whole), 2)


class _SpatialGate(nn.Module):
    """How much of each place is seen: (n, channels, h, w) to (n, 1, h, w) in 0 to 1."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, features: Tensor) -> Tensor:
        both = torch.cat([features.amax(1, keepdim=True), features.mean(1, keepdim=True)], dim=1)
        return self.norm(self.convolution(both)).sigmoid()


def _make_leaky(backbone: ResNet) -> None:
    """Replace all ReLUs of a ResNet, which has no parameters in them."""
    for module in list(backbone.modules()):
        if isinstance(getattr(module, "relu", None), nn.ReLU):
            module.relu = nn.LeakyReLU(inplace=True)
