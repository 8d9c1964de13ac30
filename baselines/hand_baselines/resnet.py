"""ResNet-18, -34 and -50 without the classifier, in plain torch.

Parameters have torchvision's names (``conv1``, ``bn1``, ``layer1.0.conv1``, ...,
``layer2.0.downsample.0``), so weights that were trained elsewhere load by name. The stride of a
bottleneck is in its 3x3 convolution, as in torchvision (often called v1.5).

Source: He et al., Deep residual learning, CVPR 2016; initialisation as torchvision's (Kaiming
normal, fan out).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hand_bench.errors import BaselineError, Problem, unknown_name

#: Depth -> (bottleneck?, blocks of the four stages).
DEPTHS: dict[int, tuple[bool, tuple[int, int, int, int]]] = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
}
#: The last feature map is this many times smaller than the image.
STRIDE = 32


class ResNet(nn.Module):
    """A residual network that returns feature maps.

    Parameters
    ----------
    depth
        18, 34 or 50.
    width
        Multiplies the number of channels of every layer: 0.5 halves ResNet-18's 64 to 512.
    in_channels
        3 for colour, 1 for grey pictures.

    Raises
    ------
    BaselineError
        HB301 for another depth.
    """

    def __init__(self, depth: int, *, width: float = 1.0, in_channels: int = 3):
        super().__init__()
        if depth not in DEPTHS:
            raise BaselineError(unknown_name("ResNet", str(depth), [str(d) for d in DEPTHS]))
        bottleneck, blocks = DEPTHS[depth]
        block = Bottleneck if bottleneck else BasicBlock
        self.inplanes = _scaled(64, width)
        self.conv1 = nn.Conv2d(in_channels, self.inplanes, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._stage(block, _scaled(64, width), blocks[0], stride=1)
        self.layer2 = self._stage(block, _scaled(128, width), blocks[1], stride=2)
        self.layer3 = self._stage(block, _scaled(256, width), blocks[2], stride=2)
        self.layer4 = self._stage(block, _scaled(512, width), blocks[3], stride=2)
        self.out_channels = self.inplanes
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the last feature map.

        | tensor | shape |
        |---|---|
        | images | (batch, in_channels, height, width) |
        | result | (batch, out_channels, height / 32, width / 32) |
        """
        return self.stages(images)[-1]

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the feature maps of the four stages: strides 4, 8, 16 and 32."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        first = self.layer1(features)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Load weights by torchvision's names; a classifier (``fc``) in them is left out.

        Weights of a colour network fit a grey one: the sum of the three input channels sees a grey
        picture as the colour network sees three equal channels.

        Raises
        ------
        BaselineError
            HB402 where names or shapes differ.
        """
        kept = {name: value for name, value in state.items() if not name.startswith("fc.")}
        first = kept.get("conv1.weight")
        if first is not None and first.shape[1] == 3 and self.conv1.in_channels == 1:
            kept["conv1.weight"] = first.sum(dim=1, keepdim=True)
        try:
            self.load_state_dict(kept)
        except RuntimeError as error:
            raise BaselineError(_unfitting(error)) from error

    def _stage(
        self, block: type[BasicBlock] | type[Bottleneck], planes: int, count: int, *, stride: int
    ) -> nn.Sequential:
        first = block(self.inplanes, planes, stride)
        self.inplanes = planes * block.expansion
        others = (block(self.inplanes, planes, 1) for _ in range(count - 1))
        return nn.Sequential(first, *others)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _shortcut(inplanes, planes * self.expansion, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, inplanes, h, w) to (batch, planes, h / stride, w / stride)."""
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.bn2(self.conv2(inner))
        return self.relu(inner + _kept(self.downsample, features))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolution, and a shortcut."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inplanes, planes * self.expansion, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, inplanes, h, w) to (batch, 4 planes, h / stride, w / stride)."""
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        return self.relu(inner + _kept(self.downsample, features))


def channels_last(network: nn.Module) -> nn.Module:
    """Lay a network's 2D convolutions out by pixels, in which they are faster; returns the same."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    return network


def parameter_count(module: nn.Module) -> int:
    """Number of trainable values of a module."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _shortcut(inplanes: int, planes: int, stride: int) -> nn.Sequential | None:
    """A 1x1 convolution where the shortcut changes shape, else nothing (and no parameters)."""
    if stride == 1 and inplanes == planes:
        return None
    return nn.Sequential(
        nn.Conv2d(inplanes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes)
    )


def _kept(shortcut: nn.Sequential | None, features: Tensor) -> Tensor:
    return features if shortcut is None else shortcut(features)


def _scaled(channels: int, width: float) -> int:
    scaled = channels * width
    if scaled != int(scaled) or scaled < 1:
        raise ValueError(f"width {width} gives {scaled} channels, not a whole number")
    return int(scaled)


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _unfitting(error: RuntimeError) -> Problem:
    return Problem(
        "HB402",
        "backbone weights",
        str(error).replace("\n", " "),
        cause="Weights of another depth, width or naming.",
        fix="Use weights with torchvision's parameter names, of the depth and width of the preset.",
    )
