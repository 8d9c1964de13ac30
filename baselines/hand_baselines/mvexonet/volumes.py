"""Volumes: from the feature maps of several views to one volume of features, and back to joints.

Conventions
-----------
A volume is a cube of `side` mm with `bins` points along each axis of the world: the first one at
``centre - side / 2``, the last one at ``centre + side / 2``, ``side / (bins - 1)`` from the next.
The axes of a tensor are (z, y, x), a place in it is (x, y, z) in points.

Views are crops of pictures (`instants.Views`): world points go through the pose into the camera,
through the lens into the picture, and from there into the crop. What is behind a camera, or outside
its crop, has features of zero.

Source: Iskakov et al., Learnable triangulation of human pose, ICCV 2019, section 3.2: unprojection,
and "softmax" aggregation: in every point and channel the views are weighed by the softmax, over the
views, of the features themselves (facts/assemblyhands.md 4.3).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from hand_baselines.crops import apply
from hand_baselines.instants import Views

#: Nearer than this in front of a camera, or behind it, nothing is seen, mm.
NEAR = 10.0


def grid(centre: Tensor, side: float, bins: int) -> Tensor:
    """Return the points of volumes: centres (batch, 3), mm, to (batch, bins^3, 3), x fastest."""
    line = torch.linspace(-side / 2, side / 2, bins, device=centre.device, dtype=centre.dtype)
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    return centre[:, None] + torch.stack([x, y, z], dim=-1).flatten(0, 2)


def to_bins(joints: Tensor, centre: Tensor, side: float, bins: int) -> Tensor:
    """Return the places of joints (batch, joints, 3), mm, in volumes around centres (batch, 3)."""
    return (joints - centre[:, None] + side / 2) * ((bins - 1) / side)


def from_bins(places: Tensor, centre: Tensor, side: float, bins: int) -> Tensor:
    """Return the joints in the world, mm, of places in volumes: the inverse of `to_bins`."""
    return places * (side / (bins - 1)) - side / 2 + centre[:, None]


def project(points: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """Return where world points are in the crops of the views.

    | tensor | shape |
    |---|---|
    | points | (batch, points, 3), mm |
    | result | pixels (batch, views, points, 2), depths (batch, views, points) in mm |

    Pixels of points that are behind a camera, or at it, are those of another place.
    """
    seen = points[:, None] @ views.pose[..., :3].mT + views.pose[..., None, :, 3]
    depth = seen[..., 2]
    rays = seen[..., :2] / depth.clamp_min(NEAR)[..., None]
    pixels = apply(views.K[..., :2, :], through_lens(rays, views.lens))
    return apply(views.affine, pixels), depth


def through_lens(rays: Tensor, lens: Tensor) -> Tensor:
    """Bend rays (..., points, 2) at depth 1 by OpenCV's rational model (..., 8)."""
    k1, k2, p1, p2, k3, k4, k5, k6 = lens[..., None, :].unbind(-1)
    x, y = rays.unbind(-1)
    t = x * x + y * y
    radial = (1 + t * (k1 + t * (k2 + t * k3))) / (1 + t * (k4 + t * (k5 + t * k6)))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (t + 2 * x * x)
    bent_y = y * radial + 2 * p2 * x * y + p1 * (t + 2 * y * y)
    return torch.stack([bent_x, bent_y], dim=-1)


def unproject(features: Tensor, points: Tensor, views: Views) -> Tensor:
    """Return the features of every view at world points.

    | tensor | shape |
    |---|---|
    | features | (batch, views, channels, h, w), of crops |
    | points | (batch, points, 3), mm |
    | result | (batch, views, channels, points) |
    """
    pixels, depth = project(points, views)
    size = views.image.shape[-1]
    height, width = features.shape[-2:]
    scale = pixels.new_tensor([width / size, height / size])
    # From feature coordinates to grid_sample's, where the outer edges are -1 and 1.
    places = (2 * pixels * scale + 1) / pixels.new_tensor([width, height]) - 1
    places = places.clamp(-9, 9).where(depth[..., None] > NEAR, -9.0)
    sampled = functional.grid_sample(
        features.flatten(0, 1), places.flatten(0, 1)[:, None].to(features), align_corners=False
    )
    return sampled[:, :, 0].unflatten(0, features.shape[:2])


def aggregate(sampled: Tensor, there: Tensor) -> Tensor:
    """Return one set of features from those of the views, weighed by their own softmax.

    | tensor | shape |
    |---|---|
    | sampled | (batch, views, channels, points) |
    | there | (batch, views), which views there are: at least one of each sample |
    | result | (batch, channels, points) |
    """
    scores = sampled.masked_fill(~there[..., None, None], -torch.inf)
    return (scores.softmax(dim=1) * sampled).sum(dim=1)
