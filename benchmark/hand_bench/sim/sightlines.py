"""Which joints a camera sees: a quick geometric guess, for models of annotation noise.

Bones are rows of balls; a joint is hidden where a ball lies across the line to the camera, well
before the joint. No picture is rendered and objects hide nothing: where a renderer's visible
fractions are at hand, use those.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hand_bench.array_types import Bool
from hand_bench.joint_sets import JointSet
from hand_bench.sim.scene import View
from hand_bench.sim.viewpoints import in_view

#: Radius of the balls (mm) along fingers and along the palm; how far before the joint they count.
FINGER, PALM, MARGIN = 8.0, 12.0, 6.0
#: Where on a bone its balls are.
_ALONG = np.array([0.1, 0.37, 0.63, 0.9])


def sightlines(
    joints: np.ndarray, views: Sequence[Sequence[View]], joint_set: JointSet
) -> tuple[Bool[np.ndarray, "frames cameras 2 21"], Bool[np.ndarray, "frames cameras 2 21"]]:
    """Return (in the image, and not hidden) for every joint.

    Parameters
    ----------
    joints
        True joints (frames, 2, 21, 3), mm, world; NaN where a hand is absent.
    views
        The cameras of every frame.
    joint_set
        The order of the joints.
    """
    inside = np.array(
        [
            [in_view(view, hands.reshape(42, 3)).reshape(2, 21) for view in at_frame]
            for hands, at_frame in zip(joints, views, strict=True)
        ]
    )
    clear = np.empty_like(inside)
    for frame, (hands, at_frame) in enumerate(zip(joints, views, strict=True)):
        balls, radius = _balls(hands, joint_set)
        centres = np.array([view.T_world_from_camera[:3, 3] for view in at_frame])
        clear[frame] = ~_hidden(hands.reshape(42, 3), centres, balls, radius).reshape(-1, 2, 21)
    return inside, inside & clear


def _balls(hands: np.ndarray, joint_set: JointSet) -> tuple[np.ndarray, np.ndarray]:
    """Centres (balls, 3) and radii of both hands' balls."""
    parent, child = np.array(joint_set.bones).T
    start, end = hands[:, parent, None], hands[:, child, None]
    centres = (start + _ALONG[:, None] * (end - start)).reshape(-1, 3)
    of_bone = np.where(parent == joint_set.root, PALM, FINGER)
    return centres, np.tile(np.repeat(of_bone, len(_ALONG)), 2)


def _hidden(
    joints: np.ndarray, centres: np.ndarray, balls: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """Whether a ball lies across the line from each camera to each joint: (cameras, joints)."""
    ray = joints - centres[:, None]
    depth = np.linalg.norm(ray, axis=-1, keepdims=True)
    to_ball = balls - centres[:, None]
    along = ray / depth @ to_ball.transpose(0, 2, 1)
    across = (to_ball**2).sum(-1)[:, None] - along**2
    # A hand that is absent is NaN: it hides nothing.
    with np.errstate(invalid="ignore"):
        between = (across < radius**2) & (along < depth - radius - MARGIN) & (along > 0)
    return between.any(axis=-1)
