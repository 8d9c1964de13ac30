"""The search of `silhouette_pairs`, compiled for a processor. One call is for one picture."""

from __future__ import annotations

import numba
import numpy as np

TINY = 1e-12


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mark_inside(points, corners, low, extent, inside):
    """Mark the pixels inside of faces.

    | array | shape |
    |---|---|
    | points | (v, 2), px |
    | corners | (f, 3), rows of `points` |
    | low, extent | (f, 2): the first pixel of a face's box; its columns and rows |
    | inside | (height, width), bool, written to |
    """
    for face in range(len(corners)):
        outline = _outline(points, corners[face])
        for y in range(low[face, 1], low[face, 1] + extent[face, 1]):
            for x in range(low[face, 0], low[face, 0] + extent[face, 0]):
                if not inside[y, x]:
                    inside[y, x] = _nearest(outline, x, y)[3]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def nearby_pairs(points, corners, low, extent, sigma, reach, full, covered):
    """Find the pixels in or near faces, and the nearest points on the faces' edges.

    | array | shape |
    |---|---|
    | points, corners | as in `mark_inside` |
    | low, extent | the boxes with `reach` around |
    | covered | (height, width), bool; pixels that reach `full` are added |
    | results | (n,) each: pixel, start, end, share, sign, as in `silhouette_pairs.Pairs` |
    """
    most = 0
    for face in range(len(corners)):
        most += extent[face, 0] * extent[face, 1]
    pixels, edges = np.empty(most, np.int64), np.empty((most, 2), np.int64)
    shares, signs = np.empty(most, points.dtype), np.empty(most, points.dtype)
    load = np.zeros(covered.shape)
    found = 0
    for face in range(len(corners)):
        outline = _outline(points, corners[face])
        for y in range(low[face, 1], low[face, 1] + extent[face, 1]):
            for x in range(low[face, 0], low[face, 0] + extent[face, 0]):
                if covered[y, x]:
                    continue
                edge, share, square, inside = _nearest(outline, x, y)
                if not inside and square > reach * reach:
                    continue
                sign = 1 if inside else -1
                load[y, x] += _softplus(sign * square / sigma)
                covered[y, x] = load[y, x] > full
                pixels[found], shares[found], signs[found] = y * covered.shape[1] + x, share, sign
                edges[found, 0] = corners[face, edge]
                edges[found, 1] = corners[face, (edge + 1) % 3]
                found += 1
    kept = 0
    flat = covered.ravel()
    for pair in range(found):
        if not flat[pixels[pair]]:
            pixels[kept], edges[kept] = pixels[pair], edges[pair]
            shares[kept], signs[kept] = shares[pair], signs[pair]
            kept += 1
    return pixels[:kept], edges[:kept, 0], edges[:kept, 1], shares[:kept], signs[:kept]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _outline(points, corners):
    """Return the edges of a face: of each start x, y, extent x, y, and 1 / length^2."""
    a, b, c = points[corners[0]], points[corners[1]], points[corners[2]]
    return _edge(a, b), _edge(b, c), _edge(c, a)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _edge(start, end):
    x, y = end[0] - start[0], end[1] - start[1]
    return start[0], start[1], x, y, 1 / max(x * x + y * y, TINY)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _nearest(outline, x, y):
    """Return the edge nearest to a pixel, where on it, the squared distance, and inside or not."""
    share, square, first = _to_edge(outline[0], x, y)
    share_b, square_b, second = _to_edge(outline[1], x, y)
    share_c, square_c, third = _to_edge(outline[2], x, y)
    inside = first >= 0 and second >= 0 and third >= 0
    inside = inside or (first <= 0 and second <= 0 and third <= 0)
    edge = 0
    if square_b < square:
        edge, share, square = 1, share_b, square_b
    if square_c < square:
        edge, share, square = 2, share_c, square_c
    return edge, share, square, inside


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _to_edge(edge, x, y):
    """Return where on an edge a pixel's nearest point is, the squared distance, and the side."""
    start_x, start_y, du, dv, inverse = edge
    u, v = x - start_x, y - start_y
    share = (u * du + v * dv) * inverse
    share = 0.0 if share < 0 else 1.0 if share > 1 else share
    return share, (u - share * du) ** 2 + (v - share * dv) ** 2, du * v - dv * u


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _softplus(value):
    """Return ln(1 + e^value)."""
    return max(value, 0.0) + np.log1p(np.exp(-abs(value)))
