"""MS-G3D: multi-scale graph convolutions in space, and in windows of space and time.

Source: Liu et al., Disentangling and Unifying Graph Convolutions for Skeleton-Based Action
Recognition, CVPR 2020, with the settings of Assembly101's code (facts/assemblyhands.md 3.5). What
differs is listed in this folder's README.

Inside, features are (clips x hands, channels, frames, joints): both hands go through the same
layers as two clips do, or are one graph of 42 joints (`MSG3DConfig.graph`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.msg3d.config import BRANCHES, MSG3DConfig
from hand_baselines.msg3d.graph import hand_adjacency, scales, windowed
from hand_baselines.pretrained import Pretrained

#: Dilations of the temporal convolutions; the two other branches are a maximum and a plain one.
_DILATIONS = (1, 2, 3, 4)
HANDS = 2


class VerbLosses(NamedTuple):
    """The one term of the loss."""

    entropy: Tensor

    @property
    def total(self) -> Tensor:
        """Return the loss."""
        return self.entropy


class MSG3D(nn.Module, Pretrained):
    """The network; `PRESETS["paper"]` has 3,053,973 parameters."""

    #: Layers that may learn faster (`training_options.Options.head_rate`).
    HEADS = ("classifier",)

    def __init__(self, config: MSG3DConfig):
        super().__init__()
        self.config = config
        adjacent = hand_adjacency(joined=config.graph == "joined")
        self.normalise = nn.BatchNorm1d(HANDS * 21 * 3)
        widths = (3, *config.channels)
        self.blocks = nn.Sequential(
            *(Block(*widths[k : k + 2], adjacent, config, first=k == 0) for k in range(3))
        )
        self.classifier = nn.Linear(widths[-1], config.classes)

    def forward(self, joints: Tensor) -> Tensor:
        """Return logits (clips, classes) of joints (clips, frames, 2, 21, 3), right hand first.

        Units and origin are those of the configuration; a hand that is not there is zeros.
        """
        clips, frames = joints.shape[:2]
        flat = self.normalise(joints.reshape(clips, frames, -1).transpose(1, 2))
        graphs = flat.reshape(clips, HANDS, 21, 3, frames).permute(0, 1, 3, 4, 2)
        if self.config.graph == "joined":
            features = graphs.permute(0, 2, 3, 1, 4).reshape(clips, 3, frames, HANDS * 21)
        else:
            features = graphs.reshape(clips * HANDS, 3, frames, 21)
        pooled = self.blocks(features).mean(dim=(2, 3))
        return self.classifier(pooled.reshape(clips, -1, pooled.shape[-1]).mean(dim=1))

    def targets(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the classes (clips,) of a batch."""
        return batch["label"]

    def losses(self, output: Tensor, targets: Tensor) -> VerbLosses:
        """Return the mean cross-entropy."""
        return VerbLosses(functional.cross_entropy(output.float(), targets))


class Block(nn.Module):
    """One block: the spatial pathway and the windows are added, then time is convolved.

    The first block keeps the frames, the others halve them.
    """

    def __init__(
        self, inner: int, outer: int, adjacent: np.ndarray, config: MSG3DConfig, *, first: bool
    ):
        super().__init__()
        stride = 1 if first else 2
        # The first block has its full width at once, the others where time is convolved.
        width = outer if first else inner
        self.spatial = nn.Sequential(
            ScaledGraph(inner, width, scales(adjacent, config.gcn_scales)),
            MultiScaleTime(width, outer, stride),
            MultiScaleTime(outer, outer, activated=False),
        )
        self.windows = nn.ModuleList(
            Window(inner, width, outer, adjacent, config.g3d_scales, frames, stride)
            for frames in config.windows
        )
        self.time = MultiScaleTime(outer, outer)

    def forward(self, features: Tensor) -> Tensor:
        """Return (clips, outer, frames / stride, joints)."""
        both = self.spatial(features)
        for window in self.windows:
            both = both + window(features)
        return self.time(functional.relu(both))


class ScaledGraph(nn.Module):
    """Graph convolution over all scales at once.

    Every scale is the graph's own adjacency plus one that is learned, which starts near nothing.
    """

    adjacent: Tensor

    def __init__(self, inner: int, outer: int, adjacent: np.ndarray):
        super().__init__()
        self.count = len(adjacent) // adjacent.shape[1]
        fixed = torch.from_numpy(adjacent.astype(np.float32))
        self.register_buffer("adjacent", fixed, persistent=False)
        self.learned = nn.Parameter(torch.empty_like(fixed).uniform_(-1e-6, 1e-6))
        self.mix = pointwise(inner * self.count, outer, activated=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return (clips, outer, frames, joints)."""
        return self.mix(aggregate(features, self.adjacent + self.learned))


def aggregate(features: Tensor, adjacent: Tensor) -> Tensor:
    """Sum the features of every joint's neighbours, for all scales.

    Parameters
    ----------
    features
        (clips, channels, frames, joints).
    adjacent
        (scales joints, joints): the weight of a joint (column) for another one (row).

    Returns
    -------
    Tensor
        (clips, scales channels, frames, joints), the channels of one scale after the other.
    """
    clips, channels, frames, joints = features.shape
    gathered = features @ adjacent.T
    by_scale = gathered.reshape(clips, channels, frames, -1, joints).permute(0, 3, 1, 2, 4)
    return by_scale.reshape(clips, -1, frames, joints)


class Window(nn.Module):
    """G3D: graph convolution over the joints of several frames, which then become one again."""

    def __init__(
        self,
        inner: int,
        width: int,
        outer: int,
        adjacent: np.ndarray,
        count: int,
        frames: int,
        stride: int,
    ):
        super().__init__()
        self.frames, self.stride = frames, stride
        self.graph = ScaledGraph(inner, width, scales(windowed(adjacent, frames), count))
        self.collapse = pointwise(width * frames, outer, activated=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (clips, outer, frames / stride, joints)."""
        joints = features.shape[-1]
        mixed = self.graph(unfold(features, self.frames, self.stride))
        frames = mixed.unflatten(3, (self.frames, joints)).transpose(2, 3)
        return self.collapse(frames.flatten(1, 2))


def unfold(features: Tensor, frames: int, stride: int) -> Tensor:
    """Put the frames around every `stride`-th one side by side, with zeros beyond the ends.

    (clips, channels, frames, joints) becomes (clips, channels, frames / stride, window joints).
    """
    margin = (frames - 1) // 2
    windows = functional.pad(features, (0, 0, margin, margin)).unfold(2, frames, stride)
    return windows.transpose(3, 4).flatten(3)


class MultiScaleTime(nn.Module):
    """Temporal convolutions of several dilations side by side, with a shortcut."""

    def __init__(self, inner: int, outer: int, stride: int = 1, *, activated: bool = True):
        super().__init__()
        part = outer // BRANCHES
        dilated = [
            nn.Sequential(pointwise(inner, part, activated=True), _timewise(part, stride, dilation))
            for dilation in _DILATIONS
        ]
        largest = nn.Sequential(
            pointwise(inner, part, activated=True),
            nn.MaxPool2d((3, 1), (stride, 1), (1, 0)),
            nn.BatchNorm2d(part),
        )
        plain = pointwise(inner, part, stride, activated=False)
        self.branches = nn.ModuleList([*dilated, largest, plain])
        same = inner == outer and stride == 1
        self.shortcut = nn.Identity() if same else pointwise(inner, outer, stride, activated=False)
        self.activation = nn.ReLU() if activated else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Return (clips, outer, frames / stride, joints)."""
        side_by_side = torch.cat([branch(features) for branch in self.branches], dim=1)
        return self.activation(side_by_side + self.shortcut(features))


def pointwise(inner: int, outer: int, stride: int = 1, *, activated: bool) -> nn.Sequential:
    """Return a 1x1 convolution of every `stride`-th frame with its normalisation."""
    layers = [nn.Conv2d(inner, outer, 1, (stride, 1)), nn.BatchNorm2d(outer)]
    return nn.Sequential(*layers, *([nn.ReLU()] if activated else []))


def _timewise(width: int, stride: int, dilation: int) -> nn.Sequential:
    convolution = nn.Conv2d(
        width, width, (3, 1), (stride, 1), padding=(dilation, 0), dilation=(dilation, 1)
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(width))
