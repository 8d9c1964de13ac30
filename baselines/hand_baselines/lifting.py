"""From 2.5D to camera space and back, and between weak and full perspective, in torch.

Conventions
-----------
Camera frame: x right, y down, z forward; millimetres, except the weak-perspective functions, which
keep the unit of what they are given. 2.5D is pixels (u, v) and the depth relative to the wrist of
the same hand. Intrinsics (..., 3, 3) may have any upper 2x2 part, so turned crops work too; with
the usual ones `project` and `back_project` equal `hand_bench.geometry`'s.

Weak perspective: (s, tx, ty) with ``normalised = s (X + tx)``, where normalised pixels go from -1
to 1 over a picture of `size` pixels.

Sources: InterHand2.6M, common/utils/transforms.py and data/InterHand2.6M/dataset.py (facts 2.2,
2.4); WildHands, src/models/hands_light (facts/wildhands.md 5.3 and 9).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hand_bench.joint_sets import OPENPOSE

WRIST = OPENPOSE.root
#: Smaller weak-perspective scales are taken for this one.
SMALLEST_SCALE = 0.1
_TINY = 1e-9


def project(points: Tensor, K: Tensor) -> Tensor:
    """Project camera points (..., n, 3) with K (..., 3, 3) to pixels (..., n, 2)."""
    ratio = points[..., :2] / points[..., 2:]
    return ratio @ K[..., :2, :2].mT + K[..., None, :2, 2]


def back_project(joints_2d: Tensor, depth: Tensor, K: Tensor) -> Tensor:
    """Return the camera points (..., n, 3) at pixels (..., n, 2) and depths Z (..., n)."""
    ray = (joints_2d - K[..., None, :2, 2]) @ torch.linalg.inv(K[..., :2, :2]).mT
    return torch.cat([ray * depth[..., None], depth[..., None]], dim=-1)


def to_2d_and_depth(joints: Tensor, K: Tensor, root: int = WRIST) -> tuple[Tensor, Tensor, Tensor]:
    """Split camera joints of hands into 2.5D and the depth of the root.

    | tensor | shape |
    |---|---|
    | joints | (..., hands, joints, 3), mm |
    | K | (..., 3, 3), one camera for all hands of a picture |
    | first result | (..., hands, joints, 2), px |
    | second result | (..., hands, joints), depth relative to the root, mm |
    | third result | (..., hands), depth of the root, mm |
    """
    depth = joints[..., 2]
    root_depth = depth[..., root]
    return project(joints, K[..., None, :, :]), depth - root_depth[..., None], root_depth


def lift_hands(joints_2d: Tensor, relative_depth: Tensor, root_depth: Tensor, K: Tensor) -> Tensor:
    """Lift the hands of pictures to camera space: the inverse of `to_2d_and_depth`.

    | tensor | shape |
    |---|---|
    | joints_2d | (..., hands, joints, 2), px |
    | relative_depth | (..., hands, joints), mm from the hand's root |
    | root_depth | (..., hands), mm: RootNet's, or the true one |
    | K | (..., 3, 3) |
    | result | (..., hands, joints, 3), mm |
    """
    depth = relative_depth + root_depth[..., None]
    return back_project(joints_2d, depth, K[..., None, :, :])


def left_root(
    joints_2d: Tensor,
    relative_depth: Tensor,
    right_root_depth: Tensor,
    relative_root_depth: Tensor,
    K: Tensor,
    root: int = WRIST,
) -> Tensor:
    """Return the left wrist relative to the right wrist (..., 3), mm, as MRRPE takes it.

    The left wrist is lifted at the depth of the right one plus the predicted difference
    `relative_root_depth` (...,); its own root depth is not used (official `evaluate`, facts 2.4).
    The other arguments are those of `lift_hands`, right hand first.
    """
    roots = torch.stack([right_root_depth, right_root_depth + relative_root_depth], dim=-1)
    lifted = lift_hands(joints_2d, relative_depth, roots, K)[..., root, :]
    return lifted[..., 1, :] - lifted[..., 0, :]


def paper_root_depths(root_depth: Tensor, relative_root_depth: Tensor, present: Tensor) -> Tensor:
    """Return the root depths (..., 2) that the InterNet paper lifts with (section 4.4).

    The left hand's is the right one plus the relative depth where the right hand is there
    (probability of at least 0.5), else its own. The official scorer always takes its own.
    """
    right, left = root_depth.unbind(-1)
    left = torch.where(present[..., 0] < 0.5, left, right + relative_root_depth)
    return torch.stack([right, left], dim=-1)


def weak_to_full(camera: Tensor, focal: Tensor, size: float = 224.0) -> Tensor:
    """Return the translation (..., 3) of a weak-perspective camera (..., 3) = (s, tx, ty).

    ``tz = 2 f / (size s)`` with the focal length (...,) in pixels of the picture of `size` pixels;
    scales below 0.1 are taken for 0.1.
    """
    scale = camera[..., 0].clamp_min(SMALLEST_SCALE)
    depth = 2 * focal / (size * scale + _TINY)
    return torch.stack([camera[..., 1], camera[..., 2], depth], dim=-1)


def full_to_weak(translation: Tensor, focal: Tensor, size: float = 224.0) -> Tensor:
    """Return the weak-perspective camera (s, tx, ty) of a translation (..., 3)."""
    scale = 2 * focal / (size * translation[..., 2] + _TINY)
    return torch.stack([scale, translation[..., 0], translation[..., 1]], dim=-1)


def project_weak(points: Tensor, camera: Tensor, size: float = 224.0) -> Tensor:
    """Project points (..., n, 3) by a weak-perspective camera (..., 3) to pixels (..., n, 2).

    Depth has no effect: pixels are ``size / 2 (1 + s (X + tx))``. For a point whose depth is that
    of the translation it equals the full perspective with the principal point ``size / 2``.
    """
    scale, shift = camera[..., None, :1], camera[..., None, 1:]
    return size / 2 * (1 + scale * (points[..., :2] + shift))


def crop_to_picture(
    camera: Tensor, centre: Tensor, side: Tensor, focal: Tensor, principal: Tensor
) -> Tensor:
    """Return the translation (..., 3) in the picture of a weak camera that belongs to a crop.

    | tensor | shape |
    |---|---|
    | camera | (..., 3): s, tx, ty in a square crop |
    | centre, side | (..., 2) and (...,): the crop in the picture, px |
    | focal, principal | (...,) and (..., 2): the picture's intrinsics, px |

    The crop's optical axis passes through its centre, not through the picture's: its offset is
    ``2 (centre - principal) / (s side)`` (the usual conversion of crop-based methods such as
    HaMeR).
    """
    scale = camera[..., 0].clamp_min(SMALLEST_SCALE)
    extent = scale * side + _TINY
    offset = 2 * (centre - principal) / extent[..., None]
    depth = 2 * focal / extent
    return torch.cat([camera[..., 1:] + offset, depth[..., None]], dim=-1)
