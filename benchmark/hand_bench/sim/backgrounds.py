"""What is behind hands and objects: rooms drawn pixel by pixel along the rays, from a number.

A room is fixed in the world, so all views of it agree: a table plane at y = 0, floor, ceiling and
four walls, each of some material (paint, wood, cloth, tiles, stone) and more or less covered with
coloured patches; or, for "studio" and "plain", something infinitely far. Colours are linear.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hand_bench.sim.noise import CLOUDS, GRAIN, bits, sample, scramble, tiles
from hand_bench.sim.rasteriser import compiled, undistort
from hand_bench.sim.shadows import sunlit

KINDS = ("plain", "studio", "table", "office", "kitchen", "clutter")
_PLAIN, _STUDIO = 0, 1
_PAINT, _WOOD, _CLOTH, _TILES, _STONE = range(5)
#: Surfaces of a room: the table, the floor, the ceiling, walls across x and across z.
_SURFACES = 7
_TABLE, _FLOOR, _CEILING, _WALL = 0, 1, 2, 3
#: Columns of a surface: material, size of its pattern (mm), contrast, share and size of patches.
_MATERIAL, _PATTERN, _CONTRAST, _DENSITY, _PATCH = range(5)
_PALETTE = 12
#: Smallest and largest `Room.size`.
_SIZES = np.array([[500, 350, 2200, 2200, 700, 1500], [1000, 700, 3500, 3500, 780, 2200.0]])
#: Share of a room's surfaces that has patches.
_CLUTTER = {"plain": 0, "studio": 0, "table": 0.15, "office": 0.4, "kitchen": 0.3, "clutter": 0.85}
_WARM = np.array([1.0, 0.1, -1.0])
#: Every so many pixels a ray is followed; between them colours are interpolated (out of focus).
_STEP = 3


class Room(NamedTuple):
    """One background: what `paint` needs to know."""

    kind: int
    key: np.uint64
    #: Half the size of table and room along x and z, depth of the floor, height of the ceiling.
    size: np.ndarray
    surfaces: np.ndarray
    #: Two colours of each surface, and those of the patches.
    colours: np.ndarray
    palette: np.ndarray


def room(kind: str, number: int) -> Room:
    """Return the room of a kind (one of KINDS) and number.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"background {kind!r} is none of {', '.join(KINDS)}")
    rng = np.random.default_rng([KINDS.index(kind), number])
    low, high = _SIZES
    size = low + (high - low) * rng.random(6)
    if kind == "table":
        size[:2] = 2e3
    # All draws at once: a room is made for nearly every picture.
    surfaces, colours = rng.random((5, _SURFACES)), rng.random((9, _SURFACES))
    return Room(
        KINDS.index(kind),
        rng.integers(0, 2**63, dtype=np.uint64),
        size,
        _surfaces(kind, surfaces),
        _linear(_colours(kind, colours)),
        _linear(_patches(rng.random((5, _PALETTE)))),
    )


def _surfaces(kind: str, draws: np.ndarray) -> np.ndarray:
    """Choose materials and patches of the seven surfaces by draws (5, surfaces) of 0 to 1."""
    made = np.zeros((_SURFACES, 5))
    made[:, _PATTERN] = 40 + 80 * draws[0]
    made[:, _CONTRAST] = 0.1 + 0.3 * draws[1]
    made[:, _DENSITY] = _CLUTTER[kind] * (0.5 + 0.5 * draws[2])
    made[:, _PATCH] = 250 + 350 * draws[3]
    made[_FLOOR, _PATTERN] *= 3
    made[_CEILING, _DENSITY] = 0
    made[_TABLE, _DENSITY] *= 0.6
    made[_TABLE, _PATCH] *= 0.45
    tops = (_PAINT, _WOOD, _WOOD, _CLOTH, _STONE)
    if kind == "kitchen":
        made[_WALL:, _MATERIAL] = _TILES
        made[_WALL:, _PATTERN] = 90 + 110 * draws[0, _WALL]
        tops = (_STONE, _STONE, _WOOD, _PAINT)
    made[_TABLE, _MATERIAL] = tops[int(len(tops) * draws[4, _TABLE])]
    made[_FLOOR, _MATERIAL] = (_WOOD, _TILES, _CLOTH)[int(3 * draws[4, _FLOOR])]
    return made


def _colours(kind: str, draws: np.ndarray) -> np.ndarray:
    """Choose two colours (surfaces, 2, 3): greys and browns, now and then something gaudier."""
    grey = 0.15 + 0.75 * draws[0]
    warm = (0.2 * draws[1] - 0.04)[:, None] * _WARM
    gaudy = np.where(draws[2] < 0.3, 0.22, 0.04)
    made = grey[:, None] + warm + gaudy[:, None] * (2 * draws[3:6].T - 1)
    made = made[:, None] + 0.4 * draws[6:8].T[:, :, None] - 0.2
    made[_WALL + 1 :] = made[_WALL]
    if kind == "studio":
        made[0] = 0.04 + 0.21 * draws[8, 0]
    return made


def _patches(draws: np.ndarray) -> np.ndarray:
    """Choose the colours of patches: any brightness, few of them saturated."""
    grey, pure = 0.05 + 0.9 * draws[0], draws[1] ** 2
    return grey[:, None] + pure[:, None] * (1.2 * draws[2:].T - 0.6)


def _linear(colour: np.ndarray) -> np.ndarray:
    """Return linear light of displayed colours (0 to 1)."""
    return (np.minimum(np.maximum(colour, 0.03), 0.95) ** 2).astype(np.float32)


def paint(image, inverse_depth, rays, origin, lamp, lens, place: Room, shadow) -> None:
    """Paint a room into the pixels of `image` (linear) that show nothing.

    Parameters
    ----------
    image, inverse_depth
        Colours (height, width, 3), written where the second is 0.
    rays
        (2, 3, 3): from pixels to directions in the camera (z = 1), and from there to the world.
    origin
        The camera's place, mm.
    lamp
        Light: direction (3), strength, strength from everywhere.
    lens
        Distortion, as `rasteriser.lens_of` returns it.
    shadow
        A `shadows.ShadowMap`.
    """
    _paint(image, inverse_depth, rays, origin, lamp, lens, tiles(), *place, *shadow)


@compiled
def _paint(
    image, inverse_depth, rays, origin, lamp, lens, noise,
    kind, key, size, surfaces, colours, palette, depth, frame, corner, texel,
):  # fmt: skip
    height, width = inverse_depth.shape
    shade = np.empty(_SURFACES)
    for k in range(_SURFACES):
        shade[k] = _brightness(k, lamp)
    rows, columns = (height + 1) // _STEP + 1, (width + 1) // _STEP + 1
    coarse = np.zeros((rows, columns, 3), np.float32)
    turn, spacing = rays[1], _STEP * rays[0, 0, 0]
    for i in range(rows):
        for j in range(columns):
            if not _open(inverse_depth, _STEP * i, _STEP * j):
                continue
            a, b = _direction(rays[0], lens, _STEP * j, _STEP * i)
            x = turn[0, 0] * a + turn[0, 1] * b + turn[0, 2]
            y = turn[1, 0] * a + turn[1, 1] * b + turn[1, 2]
            z = turn[2, 0] * a + turn[2, 1] * b + turn[2, 2]
            if kind in (_PLAIN, _STUDIO):
                red, green, blue = _far(kind, key, x, y, z, colours, palette, noise)
                light = 1.0
            else:
                surface, s, t, grain = _hit(origin, x, y, z, size)
                grain *= spacing
                light = shade[surface]
                if surface == _TABLE:
                    sun = sunlit(depth, frame, corner, texel, s, 0.0, t)
                    light -= (1 - sun) * lamp[3] * max(lamp[1], 0.0)
                red, green, blue = _surface(
                    key, surface, s, t, grain, surfaces, colours, palette, noise
                )
            coarse[i, j, 0], coarse[i, j, 1], coarse[i, j, 2] = (
                red * light,
                green * light,
                blue * light,
            )
    _spread(image, inverse_depth, coarse)


@compiled
def _open(inverse_depth, v, u):
    """Whether a pixel, or one that is interpolated from it, shows nothing."""
    height, width = inverse_depth.shape
    for i in range(max(v - _STEP + 1, 0), min(v + _STEP, height)):
        for j in range(max(u - _STEP + 1, 0), min(u + _STEP, width)):
            if inverse_depth[i, j] == 0:
                return True
    return False


@compiled
def _spread(image, inverse_depth, coarse):
    """Fill the pixels that show nothing from the colours of a grid of every third pixel."""
    height, width = inverse_depth.shape
    line = np.empty((coarse.shape[1], 3), np.float32)
    for v in range(height):
        i = v // _STEP
        below = np.float32((v - i * _STEP) / _STEP)
        i1 = i + 1 if below > 0 else i
        for j in range(len(line)):
            for c in range(3):
                line[j, c] = coarse[i, j, c] + below * (coarse[i1, j, c] - coarse[i, j, c])
        for u in range(width):
            if inverse_depth[v, u] > 0:
                continue
            j = u // _STEP
            after = np.float32((u - j * _STEP) / _STEP)
            j1 = j + 1 if after > 0 else j
            for c in range(3):
                image[v, u, c] = line[j, c] + after * (line[j1, c] - line[j, c])


@compiled
def _direction(inverse, lens, u, v):
    """Return the direction (x, y, 1) in the camera that a pixel sees."""
    a = inverse[0, 0] * u + inverse[0, 1] * v + inverse[0, 2]
    b = inverse[1, 1] * v + inverse[1, 2]
    if len(lens) > 0:
        a, b = undistort(lens, a, b)
        # Where undoing the lens ran away: far off the axis.
        if not (abs(a) < 20 and abs(b) < 20):
            return 20.0, 0.0
    return a, b


@compiled
def _brightness(surface, lamp):
    """Return the light on a surface: from the lamp's direction, and from everywhere."""
    if surface in (_TABLE, _FLOOR):
        facing = lamp[1]
    elif surface == _CEILING:
        facing = 0.2
    else:
        side = lamp[0] if surface < _WALL + 2 else lamp[2]
        facing = side if (surface - _WALL) % 2 == 0 else -side
    return lamp[4] + lamp[3] * max(facing, 0.15)


@compiled
def _hit(origin, x, y, z, size):
    """Return the surface that a ray meets, where on it (two coordinates), and its depth."""
    if y < 0 and origin[1] > 0:
        t = -origin[1] / y
        px, pz = origin[0] + t * x, origin[2] + t * z
        if abs(px) < size[0] and abs(pz) < size[1]:
            return _TABLE, px, pz, t
    tx = ((size[2] if x > 0 else -size[2]) - origin[0]) / x if x != 0 else np.inf
    ty = ((size[5] if y > 0 else -size[4]) - origin[1]) / y if y != 0 else np.inf
    tz = ((size[3] if z > 0 else -size[3]) - origin[2]) / z if z != 0 else np.inf
    if ty <= tx and ty <= tz:
        return (_CEILING if y > 0 else _FLOOR), origin[0] + ty * x, origin[2] + ty * z, ty
    if tx <= tz:
        # The wall at +x faces -x: numbered so that even ones face the positive axis.
        return _WALL + (1 if x > 0 else 0), origin[2] + tx * z, origin[1] + tx * y, tx
    return _WALL + 2 + (1 if z > 0 else 0), origin[0] + tz * x, origin[1] + tz * y, tz


@compiled
def _surface(key, surface, s, t, grain, surfaces, colours, palette, noise):
    """Return the colour of a point of a surface: a patch, or its material."""
    patch, density = surfaces[surface, _PATCH], surfaces[surface, _DENSITY]
    across = 1 / patch
    for layer in range(2 if density > 0 else 0):
        a, b = s * across, t * across
        across *= 2.3
        i, j = np.floor(a), np.floor(b)
        cell = scramble(key, (int(i) & 4095) << 18 | (int(j) & 4095) << 6 | surface << 1 | layer)
        if bits(cell, 0, 8) < density:
            half_s, half_t = 0.12 + 0.38 * bits(cell, 8, 6), 0.12 + 0.38 * bits(cell, 14, 6)
            a = a - i - half_s - (1 - 2 * half_s) * bits(cell, 20, 6)
            b = b - j - half_t - (1 - 2 * half_t) * bits(cell, 26, 6)
            a, b = a / half_s, b / half_t
            inside = abs(a) < 1 and abs(b) < 1
            if bits(cell, 32, 2) < 0.3:
                inside = a * a + b * b < 1
            if inside:
                return _patch(cell, a, b, palette)
    return _material(surfaces, surface, key, s, t, grain, colours, noise)


@compiled
def _patch(cell, a, b, palette):
    """Return the colour inside a patch: plain, striped one way or the other, or shaded."""
    first = int(bits(cell, 34, 8) * _PALETTE)
    pattern = bits(cell, 42, 3)
    light = 1.0
    if pattern < 0.4:
        stripe = np.floor((a if pattern < 0.25 else b) * (2 + 6 * bits(cell, 45, 4)))
        if int(stripe) & 1:
            first = (first + 1 + int(3 * bits(cell, 49, 2))) % _PALETTE
    elif pattern < 0.7:
        light = 1 - 0.45 * (a * a + 0.3 * b)
    return palette[first, 0] * light, palette[first, 1] * light, palette[first, 2] * light


@compiled
def _material(surfaces, surface, key, s, t, grain, colours, noise):
    """Return the colour of a material at a place on it."""
    kind, size = int(surfaces[surface, _MATERIAL]), surfaces[surface, _PATTERN]
    contrast = surfaces[surface, _CONTRAST]
    # Detail that is finer than the rays are apart (mm) fades.
    near = 1 / (1 + grain / 6)
    tone, mixed = 1.0, 0.0
    if kind == _PAINT:
        mixed = contrast * sample(noise, CLOUDS, s * 0.15 + 31 * surface, t * 0.15)
    elif kind == _WOOD:
        plank = np.floor(t / size)
        shift = bits(scramble(key, (int(plank) & 4095) << 3 | surface), 0, 12)
        mixed = sample(noise, CLOUDS, s * 0.06 + 256 * shift, t * 0.9)
        tone = 0.8 + 0.3 * shift
        if t - plank * size < max(1.5, grain):
            tone *= 1 - 0.6 * min(1.5 / grain, 1.0)
    elif kind == _CLOTH:
        square = int(np.floor(s / size)) + int(np.floor(t / size))
        mixed = contrast * (square & 1)
        tone = 1 + 0.5 * near * (sample(noise, GRAIN, s * 0.9, t * 0.9) - 0.5)
    elif kind == _TILES:
        i, j = np.floor(s / size), np.floor(t / size)
        cell = scramble(key, (int(i) & 4095) << 15 | (int(j) & 4095) << 3 | surface)
        tone = 0.85 + 0.3 * bits(cell, 0, 8)
        joint = max(4.0, grain)
        if s - i * size < joint or t - j * size < joint:
            mixed = 4.0 / joint
    else:
        speckle = sample(noise, GRAIN, s * 0.6, t * 0.6)
        mixed = 0.5 + near * (3 * speckle - 1.5)
        mixed = min(max(mixed, 0.0), 1.0)
    return (
        tone * (colours[surface, 0, 0] + mixed * (colours[surface, 1, 0] - colours[surface, 0, 0])),
        tone * (colours[surface, 0, 1] + mixed * (colours[surface, 1, 1] - colours[surface, 0, 1])),
        tone * (colours[surface, 0, 2] + mixed * (colours[surface, 1, 2] - colours[surface, 0, 2])),
    )


@compiled
def _far(kind, key, x, y, z, colours, palette, noise):
    """Return the colour in a direction, from the faces of a cube: panels, or soft clouds."""
    ax, ay, az = abs(x), abs(y), abs(z)
    if ax >= ay and ax >= az:
        side, a, b = (0 if x > 0 else 1), z / ax, y / ax
    elif ay >= az:
        side, a, b = (2 if y > 0 else 3), x / ay, z / ay
    else:
        side, a, b = (4 if z > 0 else 5), x / az, y / az
    if kind == _PLAIN:
        mixed = sample(noise, CLOUDS, 40 * a + 64 * side, 40 * b + 17)
        return (
            colours[0, 0, 0] + mixed * (colours[0, 1, 0] - colours[0, 0, 0]),
            colours[0, 0, 1] + mixed * (colours[0, 1, 1] - colours[0, 0, 1]),
            colours[0, 0, 2] + mixed * (colours[0, 1, 2] - colours[0, 0, 2]),
        )
    i, j = np.floor(a * 4), np.floor(b * 4)
    cell = scramble(key, (int(i) & 63) << 9 | (int(j) & 63) << 3 | side)
    p, q = abs(a * 4 - i - 0.5), abs(b * 4 - j - 0.5)
    if p < 0.42 and q < 0.42 and bits(cell, 0, 8) < 0.35:
        # Lamps hang above; below the same panels are dull.
        above = side == 2 or (side != 3 and j >= 0)
        light = 0.04 + bits(cell, 8, 8) * (1.0 if above else 0.12)
        warm = 0.7 + 0.3 * bits(cell, 16, 8)
        return light, light * (0.5 + 0.5 * warm), light * warm
    dark = 0.6 + 0.8 * sample(noise, CLOUDS, 20 * a + 64 * side, 20 * b)
    return dark * colours[0, 0, 0], dark * colours[0, 0, 1], dark * colours[0, 0, 2]
