"""From fragments to a photograph: light on the surfaces, then lens, sensor and development.

Light is linear: colours are squared on the way in, and a root brings them back. Light falls on
vertices; on pixels falls the shadow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hand_bench.sim.noise import LONGEST, RUNS, normals, scramble
from hand_bench.sim.rasteriser import compiled
from hand_bench.sim.shadows import share

#: How far light creeps round a surface (skin is translucent), and how strong highlights are.
_WRAP = np.float32(0.15)
_GLOSS = np.float32(0.10)
#: What is interpolated between vertices: linear colour, light from everywhere, cosine of the angle
#: to the lamp, highlight; then the place as the lamp sees it (see `shadows.cast`).
_AMBIENT, _FACING, _SHINE = 3, 4, 5


class Sensor(NamedTuple):
    """How a camera develops light: gains of red, green and blue, contrast, darkening of corners."""

    gain: np.ndarray
    contrast: float
    vignette: float


def sensor(rng: np.random.Generator) -> Sensor:
    """Draw a camera's development: exposure and white balance, contrast, vignette."""
    gain = rng.uniform(0.85, 1.2) * rng.uniform(0.93, 1.07, 3)
    return Sensor(gain, float(rng.uniform(-0.2, 0.2)), float(rng.uniform(0.0, 0.25)))


@compiled
def light_vertices(vertices, directions, colours, origin, lamp):
    """Return what is interpolated of each vertex (vertices, 6).

    `lamp`: direction towards the light (3), its strength, and that of the light from everywhere,
    which is stronger from above. All arrays are 32-bit.
    """
    one, tiny = np.float32(1), np.float32(1e-12)
    lx, ly, lz = lamp[0], lamp[1], lamp[2]
    out = np.empty((len(vertices), 6), np.float32)
    for i in range(len(vertices)):
        x, y, z = directions[i, 0], directions[i, 1], directions[i, 2]
        # Displayed colours are about the root of the light.
        for c in range(3):
            out[i, c] = colours[i, c] * colours[i, c]
        out[i, _AMBIENT] = lamp[4] * (np.float32(0.75) + np.float32(0.35) * y)
        out[i, _FACING] = x * lx + y * ly + z * lz
        vx, vy, vz = (
            origin[0] - vertices[i, 0],
            origin[1] - vertices[i, 1],
            origin[2] - vertices[i, 2],
        )
        scale = one / np.sqrt(vx * vx + vy * vy + vz * vz + tiny)
        hx, hy, hz = vx * scale + lx, vy * scale + ly, vz * scale + lz
        along = max(x * hx + y * hy + z * hz, np.float32(0))
        square = along * along / (hx * hx + hy * hy + hz * hz + tiny)
        square *= square
        square *= square
        out[i, _SHINE] = _GLOSS * square * square
    return out


@compiled
def shade(image, fragments, faces, lit, seen_by_lamp, strength, shadow):
    """Write the light that comes from each pixel's surface into `image` (height, width, 3)."""
    _, face, first, second = fragments
    height, width = face.shape
    around = np.float32(1) / (np.float32(1) + _WRAP)
    for v in range(height):
        for u in range(width):
            k = face[v, u]
            if k < 0:
                continue
            a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
            p, q = first[v, u], second[v, u]
            r = np.float32(1) - p - q
            facing = p * lit[a, _FACING] + q * lit[b, _FACING] + r * lit[c, _FACING] + _WRAP
            light = p * lit[a, _AMBIENT] + q * lit[b, _AMBIENT] + r * lit[c, _AMBIENT]
            gloss = np.float32(0)
            if facing > 0:
                column = p * seen_by_lamp[a, 0] + q * seen_by_lamp[b, 0] + r * seen_by_lamp[c, 0]
                row = p * seen_by_lamp[a, 1] + q * seen_by_lamp[b, 1] + r * seen_by_lamp[c, 1]
                along = p * seen_by_lamp[a, 2] + q * seen_by_lamp[b, 2] + r * seen_by_lamp[c, 2]
                sun = strength * share(shadow, column, row, along)
                light += sun * facing * around
                gloss = sun * (p * lit[a, _SHINE] + q * lit[b, _SHINE] + r * lit[c, _SHINE])
            for c3 in range(3):
                colour = p * lit[a, c3] + q * lit[b, c3] + r * lit[c, c3]
                image[v, u, c3] = light * colour + gloss


def develop(image, inverse, camera: Sensor, seed: int, noise: float, blur: float, grey: bool):
    """Return the picture (height, width, 3), 0 to 255, of light (height, width, 3).

    Parameters
    ----------
    image
        Linear light.
    inverse
        From pixels to directions in the camera: corners darken with the angle.
    camera
        See `Sensor`.
    seed, noise
        Pixel noise and its standard deviation, of 255.
    blur
        Standard deviation, pixels.
    grey
        Three equal channels with one noise.
    """
    if blur > 0.05:
        image = _blurred(image, _kernel(blur))
    height, width, _ = image.shape
    across = inverse[0, 0] * np.arange(width) + inverse[0, 2]
    down = inverse[1, 1] * np.arange(height) + inverse[1, 2]
    columns = camera.gain / (1 + camera.vignette * across[:, None] ** 2)
    rows = 1 / (1 + camera.vignette * down**2)
    out = np.empty(image.shape, np.uint8)
    _expose(
        image.reshape(height, 3 * width),
        out.reshape(height, 3 * width),
        columns.reshape(-1).astype(np.float32),
        rows.astype(np.float32),
        np.float32(camera.contrast),
        np.uint64(seed & (2**64 - 1)),
        np.float32(noise),
        normals(),
        grey,
    )
    return out


def _kernel(blur: float) -> np.ndarray:
    """Half a Gaussian that sums to one: its centre and one side."""
    radius = int(np.ceil(2 * blur))
    side = np.exp(-0.5 * (np.arange(radius + 1) / blur) ** 2)
    return (side / (2 * side.sum() - side[0])).astype(np.float32)


@compiled
def _blurred(image, kernel):
    """Blur along columns and rows; the border repeats."""
    height, width, _ = image.shape
    flat = image.reshape(height, 3 * width)
    out = np.empty_like(flat)
    for v in range(height):
        source, row = flat[v] * kernel[0], out[v]
        for k in range(1, len(kernel)):
            _add(source, flat[max(v - k, 0)], flat[min(v + k, height - 1)], kernel[k])
        row[:] = source * kernel[0]
        for k in range(1, len(kernel)):
            left, right = min(k, width), max(width - k, min(k, width))
            if right > left:
                _add(row[3 * left : 3 * right], source, source[6 * k :], kernel[k])
            _blur_ends(source, row, kernel[k], k, 0, left)
            _blur_ends(source, row, kernel[k], k, right, width)
    return out.reshape(height, width, 3)


@compiled
def _add(row, before, after, weight):
    """Add two neighbours of every value, weighed."""
    for i in range(len(row)):
        row[i] += weight * (before[i] + after[i])


@compiled
def _blur_ends(source, row, weight, k, start, end):
    """Add the neighbours k pixels away to the pixels next to the border."""
    last = len(row) // 3 - 1
    for u in range(start, end):
        before, after = 3 * max(u - k, 0), 3 * min(u + k, last)
        for c in range(3):
            row[3 * u + c] += weight * (source[before + c] + source[after + c])


@compiled
def _expose(image, out, columns, rows, contrast, key, noise, table, grey):
    """Apply gain and vignette, response and noise, row by row, and round."""
    height, width = image.shape
    line = np.empty(width, np.float32)
    for v in range(height):
        start = scramble(key, v) & np.uint64(RUNS - 1)
        for i in range(width):
            line[i] = image[v, i] * columns[i] * rows[v]
        if grey:
            for u in range(width // 3):
                red, green, blue = line[3 * u], line[3 * u + 1], line[3 * u + 2]
                line[u] = np.float32(0.3) * red + np.float32(0.59) * green + np.float32(0.11) * blue
        used = width // 3 if grey else width
        for first in range(0, used, LONGEST):
            _respond(line[first:used], table[start:], contrast, noise)
        if grey:
            for u in range(width // 3):
                level = np.uint8(line[u])
                out[v, 3 * u], out[v, 3 * u + 1], out[v, 3 * u + 2] = level, level, level
        else:
            for i in range(width):
                out[v, i] = np.uint8(line[i])


@compiled
def _respond(line, draws, contrast, noise):
    """Turn light into levels of 0 to 255, to be cut off; the response is a root, bent a little."""
    zero, one, top = np.float32(0), np.float32(1), np.float32(255)
    for i in range(min(len(line), LONGEST)):
        root = np.sqrt(min(max(line[i], zero), one))
        level = top * root * (one + contrast * (one - root))
        level += noise * draws[i] + np.float32(0.5)
        line[i] = min(max(level, zero), top)
