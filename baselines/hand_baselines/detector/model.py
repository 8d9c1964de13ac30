"""A detector of the right and of the left hand, each as one point with a size.

For each side there is a heatmap at a quarter of the resolution, whose peak is the middle of the
hand's box; at the peak the network says the size of the box, and how far the middle is from the
middle of the cell. A picture shows at most one hand of each side here, so that the best place of
each side is the answer, its height the score, and nothing has to be suppressed.

Conventions
-----------
Boxes are x, y, w, h in pixels of the square that the network looks at. The cell (i, j) is centred
on the pixel (4 i, 4 j). Offsets are in cells, -0.5 to 0.5; sizes are the logarithms of cells. The
right hand comes first, in columns x is before y.

Source: Zhou et al., Objects as points, 2019 (CenterNet): heatmaps with Gaussians, the focal loss
of Law and Deng, CornerNet, ECCV 2018. What differs is in the README.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_baselines.crops import apply, as_float, invert
from hand_baselines.detector.config import DetectorConfig
from hand_baselines.pretrained import Pretrained
from hand_baselines.pyramid import STRIDE, Pyramid, make_encoder

#: Mean and deviation of ImageNet's colours, for pixels in 0 to 1.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
#: The focal loss: how much places that are nearly right already, and those near a peak, count less.
FOCUS, NEARNESS = 2, 4
#: What a new network says everywhere: a hand with probability 0.1, of 16 cells.
FIRST_LOGIT, FIRST_SIZE = -2.19, 2.77


class DetectorOutput(NamedTuple):
    """What the network says about a batch; h and w are a quarter of the picture.

    | field | shape | meaning |
    |---|---|---|
    | heat | (batch, 2, h, w) | logits: the middle of this side's box |
    | size | (batch, 2, 2, h, w) | width and height, logarithms of cells |
    | offset | (batch, 2, 2, h, w) | from the cell to the middle, x and y, cells |
    """

    heat: Tensor
    size: Tensor
    offset: Tensor


class DetectorTargets(NamedTuple):
    """What the outputs should be.

    | field | shape | meaning |
    |---|---|---|
    | heat | (batch, 2, h, w) | 1 at the middle of a box, a Gaussian around it |
    | cell | (batch, 2) | number of the middle's cell in a flat map |
    | size, offset | (batch, 2, 2) | as in the outputs |
    | there | (batch, 2) | whether the hand is in the picture |
    | known | (batch, 2) | whether that is known |
    """

    heat: Tensor
    cell: Tensor
    size: Tensor
    offset: Tensor
    there: Tensor
    known: Tensor


class DetectorLosses(NamedTuple):
    """The terms of the loss, weighted; it is their sum."""

    heat: Tensor
    size: Tensor
    offset: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.heat + self.size + self.offset


class DetectedBoxes(NamedTuple):
    """The best box of each side in the source picture: (batch, 2, 4), px; scores (batch, 2)."""

    boxes: Tensor
    scores: Tensor


class Detector(nn.Module, Pretrained):
    """The network; `small` has 1,710,946 parameters, `paper` 26,265,162."""

    mean: Tensor
    deviation: Tensor
    #: Layers that learn faster (`training_options.Options.head_rate`).
    HEADS = ("heat", "box")

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = config
        self.backbone, channels = make_encoder(f"resnet-{config.depth}", config.width)
        self.pyramid = Pyramid(channels, config.features)
        self.heat = _head(config, 2, [FIRST_LOGIT, FIRST_LOGIT])
        self.box = _head(config, 8, [*[FIRST_SIZE] * 4, *[0.0] * 4])
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> DetectorOutput:
        """Return heatmaps, sizes and offsets.

        `images` are whole pictures (batch, 3, input_size, input_size), bytes or floats in 0 to 1;
        ImageNet's mean and deviation are applied here.
        """
        stages = self.backbone.stages((as_float(images) - self.mean) / self.deviation)
        features = self.pyramid(stages)
        size, offset = self.box(features).unflatten(1, (2, 2, 2)).unbind(1)
        return DetectorOutput(self.heat(features), size, offset)

    def targets(self, batch: Mapping[str, Tensor]) -> DetectorTargets:
        """Return the targets of a batch of views (see `data.WholePictures`)."""
        return targets(batch, self.config.input_size // STRIDE, self.config.overlap)

    def losses(self, output: DetectorOutput, targets: DetectorTargets) -> DetectorLosses:
        """Return the terms of the loss, weighted (see the function `losses`)."""
        terms, config = losses(output, targets), self.config
        return DetectorLosses(
            terms.heat, config.size_weight * terms.size, config.offset_weight * terms.offset
        )

    def decode(self, output: DetectorOutput, batch: Mapping[str, Tensor]) -> DetectedBoxes:
        """Return the best box of each side in pixels of the source pictures."""
        boxes, scores = best_boxes(output)
        affine = batch["affine"].double()
        low, high = boxes[..., :2], boxes[..., :2] + boxes[..., 2:]
        corners = apply(invert(affine)[:, None], torch.stack([low, high], dim=2).to(affine))
        start, end = corners.amin(dim=2), corners.amax(dim=2)
        return DetectedBoxes(torch.cat([start, end - start], dim=-1), scores)


def targets(batch: Mapping[str, Tensor], cells: int, overlap: float) -> DetectorTargets:
    """Return the targets of boxes on maps of `cells` x `cells`.

    | value of the batch | shape | meaning |
    |---|---|---|
    | boxes | (batch, 2, 4) | px of the view; anything where not `there` |
    | there, known | (batch, 2) | whether the hand is in it, and whether that is known |
    """
    there = batch["there"].bool()
    boxes = torch.where(there[..., None], batch["boxes"].float(), 1.0)
    extent = boxes[..., 2:].clamp_min(1e-3) / STRIDE
    middle = (boxes[..., :2] + boxes[..., 2:] / 2) / STRIDE
    cell = middle.round().clamp(0, cells - 1)
    deviation = (2 * corner_shift(extent, overlap) + 1) / 6
    steps = torch.arange(cells, device=boxes.device)
    away = (steps - cell[..., None]).square() / (2 * deviation.square()[..., None, None])
    near = torch.exp(-away)
    heat = near[..., 1, :, None] * near[..., 0, None, :] * there[..., None, None]
    column, row = cell.long().unbind(-1)
    return DetectorTargets(
        heat, row * cells + column, extent.log(), middle - cell, there, batch["known"].bool()
    )


def corner_shift(extent: Tensor, overlap: float) -> Tensor:
    """Return by how much a box (..., 2: w, h) may move along both axes and still overlap so much.

    The overlap (intersection over union) of a box with itself, moved by r along both axes, is
    ``i / (2 w h - i)`` with ``i = (w - r)(h - r)``; solved for r.
    """
    width, height = extent.unbind(-1)
    around, area = width + height, width * height
    lost = area * (1 - overlap) / (1 + overlap)
    return (around - (around.square() - 4 * lost).clamp_min(0).sqrt()) / 2


def losses(output: DetectorOutput, targets: DetectorTargets) -> DetectorLosses:
    """Return the terms of the loss, each divided by the number of hands in the batch.

    The focal loss of the heatmaps, over places of sides that are known; absolute differences of
    sizes (logarithms) and offsets (cells) at the true middles.
    """
    heat = output.heat.float()
    found = heat.sigmoid()
    missed, false = functional.logsigmoid(heat), functional.logsigmoid(-heat)
    peak = targets.heat == 1
    far = (1 - targets.heat) ** NEARNESS
    costs = torch.where(peak, -missed * (1 - found) ** FOCUS, -false * far * found**FOCUS)
    costs = costs * (targets.known | targets.there)[..., None, None]
    hands = targets.there.sum().clamp_min(1)
    there = targets.there[..., None]
    size = (_at(output.size, targets.cell) - targets.size).abs() * there
    offset = (_at(output.offset, targets.cell) - targets.offset).abs() * there
    return DetectorLosses(costs.sum() / hands, size.sum() / hands, offset.sum() / hands)


def best_boxes(output: DetectorOutput) -> tuple[Tensor, Tensor]:
    """Return the best box of each side (batch, 2, 4), px of the view, and its score (batch, 2)."""
    heat = output.heat.float()
    cells = heat.shape[-1]
    height, cell = heat.flatten(2).max(dim=-1)
    place = torch.stack([cell % cells, cell // cells], dim=-1)
    middle = (place + _at(output.offset, cell)) * STRIDE
    extent = _at(output.size, cell).exp() * STRIDE
    extent = extent.clamp_max(cells * STRIDE)
    return torch.cat([middle - extent / 2, extent], dim=-1), height.sigmoid()


def _at(maps: Tensor, cell: Tensor) -> Tensor:
    """Values of maps (batch, 2, 2, h, w) at cells (batch, 2): (batch, 2, 2)."""
    index = cell[..., None, None].expand(-1, -1, 2, 1)
    return maps.float().flatten(3).gather(3, index)[..., 0]


def _head(config: DetectorConfig, outputs: int, first: list[float]) -> nn.Sequential:
    """Two convolutions, of which the last one says `first` before anything is learned."""
    last = nn.Conv2d(config.hidden, outputs, 1)
    nn.init.normal_(last.weight, std=0.001)
    with torch.no_grad():
        last.bias.copy_(torch.tensor(first))  # pyright: ignore
    inner = nn.Conv2d(config.features, config.hidden, 3, padding=1)
    return nn.Sequential(inner, nn.ReLU(inplace=True), last)
