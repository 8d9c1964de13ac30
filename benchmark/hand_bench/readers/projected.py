"""What a hand looks like in its image: joints in view and the tight box, from 3D joints and K.

For datasets that publish neither; both are defined here, not by the source.
"""

from __future__ import annotations

import numpy as np

from hand_bench.array_types import Bool, Float, Int
from hand_bench.geometry import project


def seen(
    joints: Float[np.ndarray, "rows 21 3"],
    valid: Bool[np.ndarray, "rows 21"],
    K: Float[np.ndarray, "*rows 3 3"],
    size: Int[np.ndarray, "rows 2"],
) -> tuple[Bool[np.ndarray, "rows 21"], Float[np.ndarray, "rows 4"], Bool[np.ndarray, " rows"]]:
    """Return which joints are in the image, the tight box of a hand, and which rows have no box.

    The box (x, y, w, h) is that of the valid joints in front of the camera, clipped to the image.
    Pixel coordinates from 0 to below the width and height are in the image.
    """
    pixels, edge = project(joints, K), size[:, None].astype(np.float64)
    front = valid & (joints[..., 2] > 0)
    in_view = front & ((pixels >= 0) & (pixels < edge)).all(axis=-1)
    lowest = np.where(front[..., None], pixels, np.inf).min(axis=1).clip(0, size)
    highest = np.where(front[..., None], pixels, -np.inf).max(axis=1).clip(0, size)
    bbox = np.concatenate([lowest, highest - lowest], axis=1)
    return in_view, bbox, np.any(bbox[:, 2:] <= 0, axis=1)
