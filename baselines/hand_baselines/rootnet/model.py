"""RootNet: where the wrists are in a crop, and how far from the camera.

A pinhole camera that sees ``real_size`` millimetres on the side of the crop is k millimetres away;
the network says by what factor gamma the wrist is nearer or farther: ``Z = gamma k``. So the depth
follows the focal length and the size of the box, and the network learns only what they leave open.

Source: Moon et al., Camera distance-aware top-down approach, ICCV 2019;
mks0601/3DMPPE_ROOTNET_RELEASE, main/model.py (facts/interhand26m.md 3.7). The version for hands was
never in a repository: two roots are this project's reading of its result files (see the README).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hand_baselines.crops import apply, as_float, invert
from hand_baselines.heads import Upsampler, initialise, pooled, soft_argmax_2d
from hand_baselines.pretrained import Pretrained
from hand_baselines.resnet import ResNet
from hand_baselines.rootnet.config import RootNetConfig
from hand_bench.joint_sets import OPENPOSE

#: Mean and deviation of ImageNet's colours, for pixels in 0 to 1.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class RootNetOutput(NamedTuple):
    """What the network says about a batch.

    | field | shape | meaning |
    |---|---|---|
    | roots_2d | (batch, roots, 2) | x, y in bins of the crop |
    | gamma | (batch, roots) | depth over k |
    """

    roots_2d: Tensor
    gamma: Tensor


class RootNetTargets(NamedTuple):
    """What the outputs should be: bins (batch, roots, 2), depth in mm and whether it is known."""

    roots_2d: Tensor
    depth: Tensor
    k: Tensor
    valid: Tensor
    depth_known: Tensor


class RootNetLosses(NamedTuple):
    """The terms of the loss, a third of bins and a third of millimetres; it is their sum."""

    place: Tensor
    depth: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.place + self.depth


class DecodedRoots(NamedTuple):
    """Wrists in the picture: pixels (batch, roots, 2) and depth (batch, roots) in mm."""

    roots_2d: Tensor
    depth: Tensor


class RootNet(nn.Module, Pretrained):
    """The network; `PRESETS["body"]` has 33,997,634 parameters, the released model's number."""

    mean: Tensor
    deviation: Tensor
    #: Layers that learn faster (`training_options.Options.head_rate`).
    HEADS = ("place", "gamma")

    def __init__(self, config: RootNetConfig):
        super().__init__()
        self.config = config
        self.backbone = ResNet(config.depth, width=config.width)
        channels = self.backbone.out_channels
        self.upsampler = Upsampler(channels, config.hidden)
        self.place = nn.Conv2d(config.hidden, config.roots, 1)
        # The official 1x1 convolution on pooled features is a fully connected layer.
        self.gamma = nn.Linear(channels, config.roots)
        for module in (self.upsampler, self.place):
            initialise(module)
        nn.init.normal_(self.gamma.weight, std=0.001)
        nn.init.zeros_(self.gamma.bias)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> RootNetOutput:
        """Return where the roots are, and their gammas.

        `images` are crops (batch, 3, input_size, input_size), bytes or floats in 0 to 1;
        ImageNet's mean and deviation are applied here.
        """
        features = self.backbone((as_float(images) - self.mean) / self.deviation)
        maps = self.place(self.upsampler(features))
        return RootNetOutput(soft_argmax_2d(maps), self.gamma(pooled(features)))

    def targets(self, batch: Mapping[str, Tensor]) -> RootNetTargets:
        """Return the targets of a batch of crops (stacked `augmentation.HandSample` fields)."""
        wrist = OPENPOSE.root
        pixels = batch["joints_2d"][:, :, wrist]
        inside = ((pixels >= 0) & (pixels < self.config.input_size)).all(dim=-1)
        bins = pixels * (self.config.bins / self.config.input_size)
        valid = batch["in_view"][:, :, wrist].bool() & inside
        depth = batch["joints"][:, :, wrist, 2]
        known = batch["valid"][:, :, wrist].bool()
        return RootNetTargets(
            torch.where(valid[..., None], bins, 0.0),
            torch.where(valid & known, depth, 0.0),
            self.k(batch["K"]),
            valid,
            known,
        )

    def losses(self, output: RootNetOutput, targets: RootNetTargets) -> RootNetLosses:
        """Return the terms of the loss (see the function `losses`)."""
        return losses(output, targets)

    def k(self, K: Tensor) -> Tensor:
        """Return k, mm, (batch,) from the intrinsics (batch, 3, 3) of the crops."""
        return depth_scale(K, float(self.config.input_size), self.config.real_size)

    def decode(self, output: RootNetOutput, batch: Mapping[str, Tensor]) -> DecodedRoots:
        """Return the wrists in pixels of the source pictures, and their depths in mm."""
        pixels = output.roots_2d.float() * (self.config.input_size / self.config.bins)
        depth = output.gamma.float() * self.k(batch["K"])[:, None]
        affine = batch["affine"]
        return DecodedRoots(apply(invert(affine), pixels.to(affine.dtype)), depth)


def depth_scale(K: Tensor, side: Tensor | float, real_size: float = 300.0) -> Tensor:
    """Return RootNet's k, mm: ``sqrt(real_size^2 fx fy / side^2)``.

    It is the same in the picture (its K and the side of the square box in it, px) and in the crop
    (the crop's K and size). ``fx fy`` is taken as the determinant of K's upper 2x2 part, which a
    turned crop keeps.
    """
    return real_size * torch.linalg.det(K[..., :2, :2]).abs().sqrt() / side


def losses(output: RootNetOutput, targets: RootNetTargets) -> RootNetLosses:
    """Return the terms: together the mean over pictures and roots of ``(|dx| + |dy| + |dZ|) / 3``.

    x and y are in bins, Z in millimetres. A root that is not seen inside the crop counts as zero in
    the mean, and so does a depth that is not known.
    """
    place = (output.roots_2d.float() - targets.roots_2d).abs().sum(dim=-1)
    depth = (output.gamma.float() * targets.k[:, None] - targets.depth).abs() * targets.depth_known
    return RootNetLosses((place / 3 * targets.valid).mean(), (depth / 3 * targets.valid).mean())
