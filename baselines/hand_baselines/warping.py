"""The bilinear warp of one picture on a processor, compiled: what data loading spends its time on.

Conventions as in `crops`; `crops.warp` gives equal values for batches on any device.
"""

from __future__ import annotations

import numba
import numpy as np

from hand_baselines.crops import invert


def warp_image(image: np.ndarray, affine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Warp one picture (height, width, channels) to `size` (height, width), as float32.

    `affine` (2, 3) maps the picture to the result. Beyond the picture everything is zero.
    """
    result = np.empty((*size, image.shape[2]), np.float32)
    _warp(np.ascontiguousarray(image), invert(np.asarray(affine, float)), result)
    return result


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _warp(image, inverse, result):
    rows, columns, channels = result.shape
    for y in range(rows):
        for x in range(columns):
            u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
            v = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
            left, top = np.floor(u), np.floor(v)
            right, bottom = np.float32(u - left), np.float32(v - top)
            for channel in range(channels):
                upper = _pixel(image, left, top, channel) * (1 - right)
                upper += _pixel(image, left + 1, top, channel) * right
                lower = _pixel(image, left, top + 1, channel) * (1 - right)
                lower += _pixel(image, left + 1, top + 1, channel) * right
                result[y, x, channel] = upper * (1 - bottom) + lower * bottom


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pixel(image, u, v, channel):
    """Return a pixel at whole coordinates as float32, zero outside the picture."""
    if u < 0 or v < 0 or u >= image.shape[1] or v >= image.shape[0]:
        return np.float32(0)
    return np.float32(image[int(v), int(u), channel])
