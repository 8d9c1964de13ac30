"""Feature maps at a quarter of the picture: an encoder, and a path that brings its stages together.

An encoder has `stages(images)`, its feature maps at strides 4, 8, 16 and 32, and `channels`, how
many each of them has. The pyramid takes them from coarse to fine: each stage through a 1x1
convolution, plus the coarser sum, twice as large (Lin et al., Feature pyramid networks, CVPR 2017).

A feature at (x, y) is centred on the input pixel (4 x, 4 y).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.resnet import ResNet
from hand_bench.errors import BaselineError, Problem

#: Input pixels from one feature to the next.
STRIDE = 4
#: Names of EfficientNets -> channels, layers: what their sizes are multiplied by (Tan and Le 2019).
EFFICIENTNETS = {"efficientnet-b0": (1.0, 1.0), "efficientnet-b3": (1.2, 1.4)}


class EfficientNet(nn.Module):
    """An EfficientNet of transformers, without its classifier; parameters have its names there.

    Raises
    ------
    BaselineError
        HB401 where transformers is not installed.
    """

    def __init__(self, name: str):
        super().__init__()
        try:
            from transformers import (  # pyright: ignore[reportMissingImports]
                EfficientNetConfig,
                EfficientNetModel,
            )
        except ImportError as error:
            fix = "pip install transformers; the preset small needs none."
            what = "EfficientNet is taken from transformers, which is not installed."
            raise BaselineError(Problem("HB401", name, what, fix=fix)) from error
        width, depth = EFFICIENTNETS[name]
        config = EfficientNetConfig(
            width_coefficient=width, depth_coefficient=depth, hidden_dim=int(1280 * width)
        )
        self.network = EfficientNetModel(config)
        stages = self.network.encoder.blocks
        wide = [int(block.projection.project_conv.out_channels) for block in stages]
        strides = [block.depthwise_conv.depthwise_conv.stride[0] for block in stages]
        # The last block before each halving; the first stage is at stride 2 and is left out.
        ends = [k - 1 for k, stride in enumerate(strides) if stride == 2][1:]
        self.ends = tuple(end + 1 for end in ends)  # the first hidden state is the stem's
        self.channels: tuple[int, ...] = (*(wide[end] for end in ends), int(config.hidden_dim))

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps at strides 4, 8, 16 and 32."""
        found = self.network(images, output_hidden_states=True)
        return (*(found.hidden_states[end] for end in self.ends), found.last_hidden_state)

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Load weights by transformers' names, with or without their prefix and classifier.

        Raises
        ------
        BaselineError
            HB402 where names or shapes differ.
        """
        names = {k.removeprefix("network.").removeprefix("efficientnet."): k for k in state}
        kept = {n: state[k] for n, k in names.items() if not n.startswith("classifier.")}
        try:
            self.network.load_state_dict(kept)
        except RuntimeError as error:
            said = str(error).replace("\n", " ")
            raise BaselineError(Problem("HB402", "backbone weights", said)) from error


class Pyramid(nn.Module):
    """From the stages of an encoder to one feature map at a quarter of the picture."""

    def __init__(self, channels: tuple[int, ...], features: int):
        super().__init__()
        self.sides = nn.ModuleList(nn.Conv2d(count, features, 1) for count in channels)
        self.smooth = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1, bias=False),
            nn.BatchNorm2d(features),
            nn.ReLU(inplace=True),
        )

    def forward(self, stages: tuple[Tensor, ...]) -> Tensor:
        """Map stages (batch, channels, h, w), fine to coarse, to (batch, features, h, w)."""
        whole = self.sides[-1](stages[-1])
        for side, stage in zip(self.sides[-2::-1], stages[-2::-1], strict=True):
            whole = side(stage) + functional.interpolate(whole, stage.shape[-2:])
        return self.smooth(whole)


def make_encoder(name: str, width: float = 1.0) -> tuple[nn.Module, tuple[int, ...]]:
    """Return an encoder and the channels of its stages.

    `name` is "efficientnet-b0" or another of `EFFICIENTNETS`, or "resnet-18" with `width`.
    """
    if name in EFFICIENTNETS:
        network = EfficientNet(name)
        return network, network.channels
    network = ResNet(int(name.removeprefix("resnet-")), width=width)
    last = network.out_channels
    return network, (last // 8, last // 4, last // 2, last)
