"""Smooth normals, and a shadow map: how far towards the light the back of each thing reaches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hand_bench.sim.rasteriser import compiled, moved

#: Texels of a shadow map along each side.
SIZE = 96
#: What stands less than this before a surface casts no shadow on it (mm).
_BIAS = 2.0
_NOTHING = np.float32(-1e9)


class ShadowMap(NamedTuple):
    """Depth towards the light on a grid across it; `frame` has its axes (two across, one along)."""

    depth: np.ndarray
    frame: np.ndarray
    corner: np.ndarray
    texel: float


def cast(
    vertices: np.ndarray, faces: np.ndarray, light: np.ndarray
) -> tuple[ShadowMap, np.ndarray]:
    """Return the shadow map of closed meshes (world, mm) for a unit vector towards the light.

    Also the vertices as the light sees them: column and row of the map, and mm towards the light.
    """
    x, y, z = light
    flat = float(np.hypot(x, z))
    across = np.array([z, 0.0, -x]) / flat if flat > 1e-6 else np.array([1.0, 0.0, 0.0])
    ax, _, az = across
    frame = np.array([across, [y * az, z * ax - x * az, -y * ax], [x, y, z]])
    depth = np.full((SIZE, SIZE), _NOTHING, np.float32)
    if len(vertices) == 0:
        corner, texel = np.zeros(2, np.float32), np.float32(1)
        return ShadowMap(depth, frame.astype(np.float32), corner, texel), np.zeros(
            (0, 3), np.float32
        )
    turned, corner, texel = _fit(moved(vertices, frame, np.zeros(3)))
    _draw(turned, faces, depth)
    corner, texel = corner.astype(np.float32), np.float32(texel)
    return ShadowMap(depth, frame.astype(np.float32), corner, texel), turned


@compiled
def _fit(points):
    """Return points in texels of a map about them, its corner (mm) and the side of a texel."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for i in range(len(points)):
        for k in range(2):
            low[k], high[k] = min(low[k], points[i, k]), max(high[k], points[i, k])
    texel = max(high[0] - low[0], high[1] - low[1]) / (SIZE - 3) + 1e-3
    low -= texel
    out = np.empty(points.shape, np.float32)
    for i in range(len(points)):
        out[i, 0] = (points[i, 0] - low[0]) / texel
        out[i, 1] = (points[i, 1] - low[1]) / texel
        out[i, 2] = points[i, 2]
    return out, low, texel


@compiled
def _draw(p, faces, depth):
    """Keep for each texel the nearest to the light of the triangles that face away from it."""
    for k in range(len(faces)):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        x0, y0, z0 = p[a, 0], p[a, 1], p[a, 2]
        ux, uy, uz = p[b, 0] - x0, p[b, 1] - y0, p[b, 2] - z0
        vx, vy, vz = p[c, 0] - x0, p[c, 1] - y0, p[c, 2] - z0
        area = ux * vy - uy * vx
        if not area < 0:
            continue
        scale = np.float32(1) / area
        left, right = x0 + min(ux, vx, np.float32(0)), x0 + max(ux, vx, np.float32(0))
        top, bottom = y0 + min(uy, vy, np.float32(0)), y0 + max(uy, vy, np.float32(0))
        for i in range(int(np.ceil(top)), int(bottom) + 1):
            dy = np.float32(i) - y0
            for j in range(int(np.ceil(left)), int(right) + 1):
                dx = np.float32(j) - x0
                s, t = (dx * vy - dy * vx) * scale, (ux * dy - uy * dx) * scale
                if s >= 0 and t >= 0 and s + t <= 1:
                    z = z0 + s * uz + t * vz
                    if z > depth[i, j]:
                        depth[i, j] = z


@compiled
def sunlit(depth, frame, corner, texel, x, y, z):
    """Return the share of light that reaches a point of the world: 1 outside the map."""
    u = (frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z - corner[0]) / texel
    v = (frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z - corner[1]) / texel
    return share(depth, u, v, frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z)


@compiled
def share(depth, u, v, along):
    """Return the share of light at a column and row of the map, so far along towards the light."""
    if not (u >= 0 and v >= 0 and u < SIZE - 1 and v < SIZE - 1):
        return np.float32(1)
    limit = along + np.float32(_BIAS)
    i, j = int(v), int(u)
    s, t = v - np.float32(i), u - np.float32(j)
    # Written without branches: the edge of a shadow is anywhere.
    above = np.float32(depth[i, j] <= limit)
    above += t * (np.float32(depth[i, j + 1] <= limit) - above)
    below = np.float32(depth[i + 1, j] <= limit)
    below += t * (np.float32(depth[i + 1, j + 1] <= limit) - below)
    return above + s * (below - above)


@compiled
def vertex_normals(vertices, faces):
    """Return unit normals of vertices: the mean of their triangles', by area."""
    normals = np.zeros(vertices.shape, np.float32)
    for k in range(len(faces)):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        vx, vy, vz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            normals[i, 0] += x
            normals[i, 1] += y
            normals[i, 2] += z
    for i in range(len(normals)):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        length = np.sqrt(x * x + y * y + z * z) + np.float32(1e-12)
        normals[i, 0], normals[i, 1], normals[i, 2] = x / length, y / length, z / length
    return normals
