"""Heads on a feature map: 3D heatmaps by deconvolution, a depth by a 1D heatmap, hand presence.

Conventions
-----------
A heatmap volume has the axes (depth, height, width); a place in it is (x, y, z) in bins, where an
integer is the centre of a bin. The peak of a target is 255 and its width sigma = 2.5 bins.

Source: InterNet (Moon et al., ECCV 2020; facebookresearch/InterHand2.6M, main/model.py,
common/nets/module.py), which SVEgoNet (facebookresearch/assemblyhands-toolkit) and RootNet
(mks0601/3DMPPE_ROOTNET_RELEASE) share.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

PEAK = 255.0
SIGMA = 2.5
#: Channels of the papers' deconvolutions.
HIDDEN = 256


class Upsampler(nn.Sequential):
    """Blocks of a 4x4 deconvolution of stride 2, batch normalisation and ReLU.

    Maps (batch, in_channels, h, w) to (batch, hidden, 2^blocks h, 2^blocks w).
    """

    def __init__(self, in_channels: int, hidden: int = HIDDEN, blocks: int = 3):
        layers: list[nn.Module] = []
        for block in range(blocks):
            channels = in_channels if block == 0 else hidden
            layers += [
                nn.ConvTranspose2d(channels, hidden, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class PoseHead(nn.Module):
    """3D heatmaps of the joints of one hand.

    The channels of the last convolution are joint * bins + depth bin, as in the official code.
    """

    def __init__(self, in_channels: int, joints: int, bins: int, hidden: int = HIDDEN):
        super().__init__()
        self.joints, self.bins = joints, bins
        self.upsampler = Upsampler(in_channels, hidden)
        self.convolution = nn.Conv2d(hidden, joints * bins, 1)
        initialise(self)

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, channels, h, w) to (batch, joints, bins, 8 h, 8 w)."""
        # Volumes are read along their voxels: laid out by pixels they would have to be copied.
        flat = self.convolution(self.upsampler(features).contiguous())
        return flat.unflatten(1, (self.joints, self.bins))


class DepthBranch(nn.Module):
    """A depth as the expectation of a 1D heatmap, from pooled features."""

    def __init__(self, in_channels: int, bins: int, hidden: int = 512):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, bins)
        )
        initialise(self)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map (batch, channels) to a depth in bins, (batch,)."""
        return soft_argmax_1d(self.layers(pooled))


class PresenceBranch(nn.Module):
    """Whether the right and the left hand are in the picture: two logits, from pooled features."""

    def __init__(self, in_channels: int, hidden: int = 512):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 2)
        )
        initialise(self)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map (batch, channels) to logits (batch, 2), right hand first."""
        return self.layers(pooled)


def initialise(module: nn.Module) -> None:
    """Draw new layers as the official code does.

    Convolutions N(0, 0.001) with bias 0, fully connected layers N(0, 0.01) with bias 0, batch
    normalisation 1 and 0.
    """
    for layer in module.modules():
        if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.001)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def pooled(features: Tensor) -> Tensor:
    """Return the mean over the map: (batch, channels, h, w) to (batch, channels)."""
    return features.mean(dim=(2, 3))


def gaussian_heatmaps(
    centres: Tensor, size: tuple[int, int, int], sigma: float = SIGMA, peak: float = PEAK
) -> Tensor:
    """Return target volumes, made on the device of `centres`.

    A Gaussian is the product of its three profiles, so only ``depth + height + width``
    exponentials are computed for each joint.

    | tensor | shape |
    |---|---|
    | centres | (..., 3): x, y, z in bins, not rounded |
    | result | (..., depth, height, width): ``peak exp(-|bin - centre|^2 / (2 sigma^2))`` |
    """
    line, plane = _gaussians(centres, size, sigma)
    return peak * line * plane


def heatmap_errors(
    volumes: Tensor, centres: Tensor, sigma: float = SIGMA, peak: float = PEAK
) -> Tensor:
    """Return the mean squared difference of volumes to the targets of `gaussian_heatmaps`.

    The same as ``(volumes - gaussian_heatmaps(centres, ...)).square().mean(dim=(-3, -2, -1))``, but
    of the intermediate volumes only the difference exists and is kept for the gradient: half the
    memory and time of a loss that is bound by both.

    | tensor | shape |
    |---|---|
    | volumes | (..., depth, height, width) |
    | centres | (..., 3): x, y, z in bins; no gradient |
    | result | (...) |
    """
    depth, height, width = volumes.shape[-3:]
    line, plane = _gaussians(centres.to(volumes.dtype), (depth, height, width), sigma)
    return _SquaredErrors.apply(volumes, line, plane, peak)


class _ExpectedBin(torch.autograd.Function):
    """Expected bins from the profiles of the shares, and their gradient in one pass.

    Volumes are read and written as seldom as can be, in their own precision: what a loss on them
    costs is memory traffic. Sums are in single precision at least; in half precision the shares do
    not quite sum to one, so profiles are divided by their sum.
    """

    @staticmethod
    def forward(ctx: Any, volumes: Tensor) -> Tensor:
        shares = volumes.flatten(-3).softmax(dim=-1).view(volumes.shape)
        kind = torch.promote_types(volumes.dtype, torch.float32)
        plane, z = shares.sum(dim=-3, dtype=kind), shares.sum(dim=(-2, -1), dtype=kind)
        total = z.sum(dim=-1, keepdim=True)
        profiles = (plane.sum(dim=-2), plane.sum(dim=-1), z)
        expected = torch.stack([(p * _bins(p)).sum(dim=-1) for p in profiles], dim=-1) / total
        ctx.save_for_backward(shares, expected, total)
        return expected

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        shares, expected, total = ctx.saved_tensors
        slope = gradients[0] / total
        x, y, z = (
            slope[..., k, None] * (_bins(expected, count) - expected[..., k, None])
            for k, count in enumerate(shares.shape[-3:][::-1])
        )
        plane = (y[..., :, None] + x[..., None, :]).to(shares.dtype)
        along = plane[..., None, :, :] + z[..., :, None, None].to(shares.dtype)
        return along.mul_(shares)


def _bins(like: Tensor, count: int | None = None) -> Tensor:
    """Return 0, 1, 2, ... on a tensor's device, as precise; default: as many as its last axis."""
    count = like.shape[-1] if count is None else count
    return torch.arange(count, device=like.device, dtype=like.dtype)


class _SquaredErrors(torch.autograd.Function):
    """Mean squares of ``volumes - peak line plane`` over the last three axes."""

    @staticmethod
    def forward(ctx: Any, volumes: Tensor, line: Tensor, plane: Tensor, peak: float) -> Tensor:
        difference = torch.addcmul(volumes, line, plane, value=-peak)
        ctx.save_for_backward(difference)
        flat = difference.flatten(-3)
        return torch.linalg.vecdot(flat, flat) / flat.shape[-1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (difference,) = ctx.saved_tensors
        factor = gradients[0] * (2 / difference.shape[-3:].numel())
        return difference * factor[..., None, None, None], None, None, None


def argmax_3d(volumes: Tensor) -> Tensor:
    """Return the bin of the maximum: (..., depth, height, width) to (..., 3), x, y, z.

    The order is the official one: the maximum over z, of these over y, of these over x; it matters
    only where values are equal.
    """
    over_z, best_z = volumes.max(dim=-3)
    over_zy, best_y = over_z.max(dim=-2)
    x = over_zy.argmax(dim=-1, keepdim=True)
    y = best_y.gather(-1, x)
    row = best_z.gather(-2, y[..., None].expand(*y.shape, best_z.shape[-1]))[..., 0, :]
    z = row.gather(-1, x)
    return torch.cat([x, y, z], dim=-1).to(volumes.dtype)


def soft_argmax_3d(volumes: Tensor) -> Tensor:
    """Return the expected bin under the softmax of all voxels: (..., d, h, w) to (..., 3).

    The result is in single precision where the volumes are in half; see `_ExpectedBin`.
    """
    return _ExpectedBin.apply(volumes)


def refined_argmax_3d(volumes: Tensor) -> Tensor:
    """Return the maximum between the bins: (..., depth, height, width) to (..., 3), x, y, z.

    A heatmap that is trained to be a Gaussian holds its centre finer than a bin. In each axis a
    parabola is laid through the logarithms of the three bins around the maximum, each summed over
    its 3x3 neighbours in the other two axes: exact for a Gaussian of any width. At the border of
    an axis, and where the maximum is not positive, the bin stays. No part of the papers.
    """
    peak = argmax_3d(volumes)
    sizes = peak.new_tensor(volumes.shape[-3:][::-1])
    cube = _neighbours(volumes, peak.long()).clamp_min(0)
    profiles = [cube.sum(dim=axes) for axes in ((-3, -2), (-3, -1), (-2, -1))]
    before, middle, after = torch.stack(profiles, dim=-2).clamp_min(1e-12).log().unbind(-1)
    curvature = 2 * middle - before - after
    shift = (after - before) / (2 * curvature).clamp_min(1e-12)
    positive = cube[..., 1, 1, 1, None] > 0
    usable = (peak > 0) & (peak < sizes - 1) & (curvature > 0) & positive
    return peak + torch.where(usable, shift.clamp(-0.5, 0.5), 0.0)


def soft_argmax_1d(logits: Tensor) -> Tensor:
    """Return the expected bin under the softmax: (..., bins) to (...)."""
    bins = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)
    return (logits.softmax(dim=-1) * bins).sum(dim=-1)


def soft_argmax_2d(maps: Tensor) -> Tensor:
    """Return the expected place under the softmax: (..., h, w) to (..., 2), x, y (RootNet)."""
    return soft_argmax_3d(maps[..., None, :, :])[..., :2]


def _gaussians(centres: Tensor, size: tuple[int, int, int], sigma: float) -> tuple[Tensor, Tensor]:
    """Profiles in z (..., depth, 1, 1) and in the plane (..., 1, height, width), peak 1."""
    depth, height, width = size
    x, y, z = (_profile(centres[..., k], n, sigma) for k, n in enumerate((width, height, depth)))
    plane = y[..., :, None] * x[..., None, :]
    return z[..., :, None, None], plane[..., None, :, :]


def _profile(centres: Tensor, count: int, sigma: float) -> Tensor:
    bins = torch.arange(count, device=centres.device, dtype=centres.dtype)
    return torch.exp(-((bins - centres[..., None]) ** 2) / (2 * sigma**2))


def _neighbours(volumes: Tensor, places: Tensor) -> Tensor:
    """Values around whole bins (..., 3), x, y, z: (..., 3, 3, 3); the border bins are repeated."""
    depth, height, width = volumes.shape[-3:]
    step = torch.arange(-1, 2, device=volumes.device)
    x, y, z = (
        (places[..., k, None] + step).clamp(0, count - 1)
        for k, count in enumerate((width, height, depth))
    )
    plane = (z[..., :, None] * height + y[..., None, :]) * width
    index = plane[..., None] + x[..., None, None, :]
    return volumes.flatten(-3).gather(-1, index.flatten(-3)).unflatten(-1, (3, 3, 3))
