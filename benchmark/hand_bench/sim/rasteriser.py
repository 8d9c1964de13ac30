"""A triangle z-buffer in numba: which triangle each pixel shows, how deep, and where within it.

Conventions
-----------
Camera space: millimetres, x right, y down, z forward. Triangles run counter-clockwise seen from
outside; the others are culled. Pixels: (0, 0) is the centre of the top-left pixel.

Triangles are tested in homogeneous coordinates (Olano and Greer, "Triangle scan conversion using 2D
homogeneous coordinates", 1997): nothing has to be clipped at the near plane, and the edge functions
divided by their sum are the perspective-correct weights. Two triangles compute the edge they share
as exact negatives of each other, so it crosses each row at the same number for both, and a pixel on
it belongs to both: there are no cracks. Of equally deep triangles the first one wins.

Lens distortion moves the projected vertices; edges between them stay straight.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from hand_bench.array_types import Float

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")

#: Nothing nearer than this is shown (mm).
NEAR = 10.0
NO_FACE = -1
#: Seen from the optical axis, the angle beyond which distortion is never evaluated.
_STEEPEST = np.tan(np.deg2rad(85))
#: Pixels this near to an edge are on it: divisions are rounded.
_SLACK = 1e-9


class Fragments(NamedTuple):
    """What each pixel shows: 1 / z (0 where nothing is), the triangle, its first two weights."""

    inverse_depth: np.ndarray
    face: np.ndarray
    first: np.ndarray
    second: np.ndarray


def rasterise(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: np.ndarray,
    K: Float[np.ndarray, "3 3"],
    width: int,
    height: int,
    distortion: Float[np.ndarray, " 8"] | None = None,
) -> Fragments:
    """Return what each pixel shows of triangles (faces, 3) between vertices in camera space, mm."""
    fragments = Fragments(
        np.zeros((height, width), np.float32),
        np.full((height, width), NO_FACE, np.int32),
        np.zeros((height, width), np.float32),
        np.zeros((height, width), np.float32),
    )
    lens, reach = lens_of(distortion)
    projected = homogeneous(np.ascontiguousarray(vertices), np.asarray(K, np.float64), lens, reach)
    _fill(projected, np.ascontiguousarray(faces), *fragments)
    return fragments


def lens_of(distortion: np.ndarray | None) -> tuple[np.ndarray, float]:
    """Return the coefficients and the radius (tangent) up to which the lens is one to one."""
    if distortion is None:
        return np.zeros(0), np.inf
    lens = np.asarray(distortion, np.float64)
    radius = np.linspace(0, _STEEPEST, 4096)
    image = radius * _radial(lens, radius**2)
    folded = np.flatnonzero(~(np.diff(image) > 0))
    return lens, float(radius[folded[0]] if len(folded) else radius[-1])


@compiled
def _radial(lens, r2):
    """Return the factor of OpenCV's rational model for squared radii."""
    above = 1 + r2 * (lens[0] + r2 * (lens[1] + r2 * lens[4]))
    return above / (1 + r2 * (lens[5] + r2 * (lens[6] + r2 * lens[7])))


@compiled
def distort(lens, x, y):
    """Return where the lens puts the normalised point (x, y); without coefficients as it is."""
    if len(lens) == 0:
        return x, y
    p1, p2 = lens[2], lens[3]
    r2 = x * x + y * y
    factor = _radial(lens, r2)
    return (
        x * factor + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * factor + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


@compiled
def undistort(lens, x, y):
    """Return the normalised point that the lens puts at (x, y), by fixed-point iteration."""
    if len(lens) == 0:
        return x, y
    a, b = x, y
    for _ in range(12):
        c, d = distort(lens, a, b)
        a, b = a + 0.8 * (x - c), b + 0.8 * (y - d)
    return a, b


@compiled
def moved(vertices, R, T):
    """Return R X + T for every vertex X."""
    out = np.empty((len(vertices), 3))
    for i in range(len(vertices)):
        for k in range(3):
            out[i, k] = (
                R[k, 0] * vertices[i, 0]
                + R[k, 1] * vertices[i, 1]
                + R[k, 2] * vertices[i, 2]
                + T[k]
            )
    return out


@compiled
def homogeneous(vertices, K, lens, reach):
    """Return (u z, v z, z) of each vertex; NaN where the lens has no image of it."""
    out = np.empty((len(vertices), 3))
    for i in range(len(vertices)):
        x, y, z = float(vertices[i, 0]), float(vertices[i, 1]), float(vertices[i, 2])
        if len(lens) > 0:
            if z < NEAR or x * x + y * y > (reach * z) ** 2:
                z = np.nan
            else:
                x, y = distort(lens, x / z, y / z)
                x, y = x * z, y * z
        out[i, 0] = K[0, 0] * x + K[0, 1] * y + K[0, 2] * z
        out[i, 1] = K[1, 0] * x + K[1, 1] * y + K[1, 2] * z
        out[i, 2] = z
    return out


@compiled
def _fill(q, faces, inverse_depth, face, first, second):
    """Draw every triangle that faces the camera."""
    height, width = face.shape
    nearest = np.float32(1 / NEAR)
    flat = np.empty((len(q), 2))
    for i in range(len(q)):
        flat[i, 0], flat[i, 1] = q[i, 0] / q[i, 2], q[i, 1] / q[i, 2]
    for k in range(len(faces)):
        i, j, m = faces[k, 0], faces[k, 1], faces[k, 2]
        x0, y0, z0 = q[i, 0], q[i, 1], q[i, 2]
        x1, y1, z1 = q[j, 0], q[j, 1], q[j, 2]
        x2, y2, z2 = q[m, 0], q[m, 1], q[m, 2]
        # Edge functions (x, y, 1) . (q_j x q_k), and the volume that they add up to times depth.
        ax, ay, az = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
        volume = x0 * ax + y0 * ay + z0 * az
        if not volume < 0:
            continue
        if z0 >= NEAR and z1 >= NEAR and z2 >= NEAR:
            u0, u1, u2 = flat[i, 0], flat[j, 0], flat[m, 0]
            v0, v1, v2 = flat[i, 1], flat[j, 1], flat[m, 1]
            low_u, high_u = min(u0, u1, u2), max(u0, u1, u2)
            low_v, high_v = min(v0, v1, v2), max(v0, v1, v2)
        else:
            low_u, high_u, low_v, high_v = _extent(q, i, j, m)
        low_u, high_u = max(low_u - _SLACK, 0.0), min(high_u + _SLACK, width - 1.0)
        low_v, high_v = max(low_v - _SLACK, 0.0), min(high_v + _SLACK, height - 1.0)
        if not (low_u <= high_u and low_v <= high_v):
            continue
        bx, by, bz = y2 * z0 - z2 * y0, z2 * x0 - x2 * z0, x2 * y0 - y2 * x0
        cx, cy, cz = y0 * z1 - z0 * y1, z0 * x1 - x0 * z1, x0 * y1 - y0 * x1
        wx, wy, wz = (ax + bx + cx) / volume, (ay + by + cy) / volume, (az + bz + cz) / volume
        # Where edges cross rows; the triangles on both sides of an edge compute the same number.
        a_cut, b_cut, c_cut = -1 / ax, -1 / bx, -1 / cx
        for v in range(int(np.ceil(low_v)), int(high_v) + 1):
            a_row, b_row, c_row = ay * v + az, by * v + bz, cy * v + cz
            start, end = low_u, high_u
            start, end = _cut(ax, a_row, a_cut, start, end)
            start, end = _cut(bx, b_row, b_cut, start, end)
            start, end = _cut(cx, c_row, c_cut, start, end)
            w_row = wy * v + wz
            for u in range(int(np.ceil(start - _SLACK)), int(np.floor(end + _SLACK)) + 1):
                w = np.float32(wx * u + w_row)
                if w > inverse_depth[v, u] and w <= nearest:
                    inverse_depth[v, u] = w
                    face[v, u] = k
                    ea, eb, ec = ax * u + a_row, bx * u + b_row, cx * u + c_row
                    part = 1 / (ea + eb + ec)
                    first[v, u] = ea * part
                    second[v, u] = eb * part


@compiled
def _cut(slope, offset, cut, start, end):
    """Return the part of a row in which an edge function slope u + offset is not positive."""
    if slope > 0:
        return start, min(end, offset * cut)
    if slope < 0:
        return max(start, offset * cut), end
    if offset > 0:
        return 1.0, 0.0
    return start, end


@compiled
def _extent(q, a, b, c):
    """Return the bounds (columns, rows) of the part of a triangle before the near plane."""
    low_u, high_u, low_v, high_v = np.inf, -np.inf, np.inf, -np.inf
    for k in range(3):
        p = a if k == 0 else (b if k == 1 else c)
        n = b if k == 0 else (c if k == 1 else a)
        if q[p, 2] >= NEAR:
            u, v = q[p, 0] / q[p, 2], q[p, 1] / q[p, 2]
            low_u, high_u = min(low_u, u), max(high_u, u)
            low_v, high_v = min(low_v, v), max(high_v, v)
        if (q[p, 2] >= NEAR) != (q[n, 2] >= NEAR):
            t = (NEAR - q[p, 2]) / (q[n, 2] - q[p, 2])
            u = (q[p, 0] + t * (q[n, 0] - q[p, 0])) / NEAR
            v = (q[p, 1] + t * (q[n, 1] - q[p, 1])) / NEAR
            low_u, high_u = min(low_u, u), max(high_u, u)
            low_v, high_v = min(low_v, v), max(high_v, v)
    return low_u, high_u, low_v, high_v
