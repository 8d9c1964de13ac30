"""Pictures of a scene: meshes before a background as a camera sees them, and what is visible.

`render` is a pure function of its arguments: every random field comes from `Look.seed` by counter,
so a picture is the same bytes alone, after others, or in threads.

The background of a `Look` is one of `BACKGROUNDS`, or one with a number, "office#17": then room,
light colours and the cameras' sensors come from the number, and pictures with other seeds differ
only in their noise. That is how the frames and views of a sequence share a place.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hand_bench.array_types import Float
from hand_bench.sim import backgrounds, shading, shadows
from hand_bench.sim.rasteriser import (
    NEAR,
    NO_FACE,
    compiled,
    homogeneous,
    lens_of,
    moved,
    rasterise,
)
from hand_bench.sim.scene import Look, Mesh, Picture, View

BACKGROUNDS = backgrounds.KINDS
#: A joint is inside the hand: skin so much nearer than it (mm) is still the skin that covers it.
SKIN = 25.0
#: Radius around a joint that is looked at (mm).
_AROUND = 4.0


def render(meshes: Sequence[Mesh], view: View, look: Look) -> Picture:
    """Return the picture of meshes (closed surfaces, world, mm; colours 0 to 1) from a camera.

    Depth is in mm along the optical axis and 0 where the background is, which belongs to no
    instance. Meshes are seen from outside only, where their triangles run counter-clockwise.
    """
    scene = _Scene(meshes)
    R, origin = view.T_world_from_camera[:3, :3], view.T_world_from_camera[:3, 3]
    R, origin = np.ascontiguousarray(R, np.float64), np.ascontiguousarray(origin, np.float64)
    camera_space = moved(scene.vertices, np.ascontiguousarray(R.T), -(R.T @ origin))
    fragments = rasterise(
        camera_space, scene.faces, view.K, view.width, view.height, view.distortion
    )
    kind, number = _place(look)
    towards = np.asarray(look.light, np.float64) / np.linalg.norm(look.light)
    lamp = np.array([*towards, look.strength, look.ambient])
    shadow, seen_by_lamp = shadows.cast(scene.vertices, scene.faces, towards)
    normals = shadows.vertex_normals(scene.vertices, scene.faces)
    lit = shading.light_vertices(
        scene.vertices, normals, scene.colours, origin.astype(np.float32), lamp.astype(np.float32)
    )
    image = np.empty((view.height, view.width, 3), np.float32)
    strength = np.float32(look.strength)
    shading.shade(image, fragments, scene.faces, lit, seen_by_lamp, strength, shadow.depth)
    inverse = np.linalg.inv(np.asarray(view.K, np.float64))
    rays, lens = np.stack([inverse, R]), lens_of(view.distortion)[0]
    room = _room(kind, number)
    backgrounds.paint(image, fragments.inverse_depth, rays, origin, lamp, lens, room, shadow)
    pixels = shading.develop(
        image, inverse, _sensor(view.name, number), look.seed, look.noise, look.blur, view.grey
    )
    return Picture(pixels, *_resolve(*fragments[:2], scene.instances, scene.parts))


def visible_fraction(
    picture: Picture, joints: Float[np.ndarray, "joints 3"], view: View, instance: int
) -> Float[np.ndarray, " joints"]:
    """Return how much of each joint (world, mm) a picture shows, 0 to 1.

    Of the pixels around a joint (4 mm, at least 3 x 3), the share of those that show the hand
    `instance` no more than `SKIN` before the joint. Pixels that show nothing, or what lies
    behind the joint, do not count: nothing is hidden there. 0 outside of the picture.
    """
    pixels, depth = project(joints, view)
    radius = np.clip(_AROUND * view.K[0, 0] / np.maximum(depth, NEAR), 1, 24)
    return _visible(picture.depth, picture.instance, pixels, depth, radius, instance)


def project(
    points: Float[np.ndarray, "points 3"], view: View
) -> tuple[Float[np.ndarray, "points 2"], Float[np.ndarray, " points"]]:
    """Return pixel coordinates and depths (mm) of points (world, mm); NaN where there is none."""
    T = np.asarray(view.T_world_from_camera, np.float64)
    inside = (np.asarray(points, np.float64) - T[:3, 3]) @ T[:3, :3]
    q = homogeneous(inside, np.asarray(view.K, np.float64), *lens_of(view.distortion))
    seen = np.where(q[:, 2:] >= NEAR, q[:, 2:], np.nan)
    return q[:, :2] / seen, inside[:, 2]


def hand_window(
    view: View, points: Float[np.ndarray, "points 3"], margin: float = 0.25, pixels: int = 256
) -> View:
    """Return the camera of a square window around points (world, mm), such as joints of hands.

    The window is the square about their box, larger by `margin` of its side on each side; it may
    reach over the edges of the picture. A distorted view gives a distorted window.

    Raises
    ------
    ValueError
        If no point is before the camera.
    """
    places = project(points, view)[0]
    places = places[np.isfinite(places).all(axis=1)]
    if len(places) == 0:
        raise ValueError(f"no point is before the camera {view.name!r}")
    low, high = places.min(axis=0), places.max(axis=0)
    side = max(float((high - low).max()), 8.0) * (1 + 2 * margin)
    # A window's corner is the middle of its first pixel.
    left, top = (low + high) / 2 - side / 2 + 0.5
    return replace(view.window(left, top, side, pixels), distortion=view.distortion)


def random_look(rng: np.random.Generator, kind: str = "clutter") -> Look:
    """Draw light, noise, blur and a numbered background of a kind; the light comes from above.

    For the other frames of a sequence `dataclasses.replace(look, seed=...)` keeps the place.
    """
    turn, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 0.95)
    flat = np.sqrt(1 - height**2)
    return Look(
        seed=int(rng.integers(2**31)),
        light=np.array([flat * np.cos(turn), height, flat * np.sin(turn)]),
        strength=float(rng.uniform(0.5, 1.0)),
        ambient=float(rng.uniform(0.25, 0.5)),
        noise=float(rng.uniform(1.0, 7.0)),
        blur=float(max(0.0, rng.uniform(-0.4, 1.0))),
        background=f"{kind}#{int(rng.integers(2**31))}",
    )


class _Scene:
    """All meshes as one: their arrays, and the instance and part of each triangle."""

    def __init__(self, meshes: Sequence[Mesh]):
        starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        self.vertices = _joined([mesh.vertices for mesh in meshes], 3, np.float32)
        self.colours = _joined([mesh.colours for mesh in meshes], 3, np.float32)
        moved_faces = [m.faces + start for m, start in zip(meshes, starts, strict=False)]
        self.faces = _joined(moved_faces, 3, np.int32)
        self.parts = _joined([mesh.parts[:, None] for mesh in meshes], 1, np.uint8)[:, 0]
        counts = [len(mesh.faces) for mesh in meshes]
        labels = np.array([mesh.instance for mesh in meshes], np.uint8)
        self.instances = np.repeat(labels, counts)


def _joined(arrays: list[np.ndarray], columns: int, dtype: type) -> np.ndarray:
    if not arrays:
        return np.zeros((0, columns), dtype)
    return np.concatenate(arrays, dtype=dtype, casting="unsafe")


def _place(look: Look) -> tuple[str, int]:
    """Split the background into its kind and number; without one, the seed is its number."""
    kind, _, number = look.background.partition("#")
    return kind, int(number) if number else look.seed & (2**63 - 1)


_room = functools.lru_cache(64)(backgrounds.room)


@functools.lru_cache(256)
def _sensor(view: str, number: int) -> shading.Sensor:
    """Return the sensor that a camera of this name has in a place."""
    return shading.sensor(np.random.default_rng([zlib.crc32(view.encode()), number]))


@compiled
def _resolve(inverse_depth, face, instances, parts):
    """Return depth (mm), instance and part of each pixel."""
    depth = np.zeros(face.shape, np.float32)
    instance, part = np.zeros(face.shape, np.uint8), np.zeros(face.shape, np.uint8)
    for v in range(face.shape[0]):
        for u in range(face.shape[1]):
            k = face[v, u]
            if k != NO_FACE:
                depth[v, u] = 1 / inverse_depth[v, u]
                instance[v, u], part[v, u] = instances[k], parts[k]
    return depth, instance, part


@compiled
def _visible(depth, instance, pixels, joint_depth, radius, wanted):
    """Return the share of seen pixels among the seen and the covered ones, for each joint."""
    height, width = depth.shape
    out = np.zeros(len(pixels))
    for j in range(len(pixels)):
        x, y = pixels[j, 0], pixels[j, 1]
        if not (x >= -0.5 and y >= -0.5 and x < width - 0.5 and y < height - 0.5):
            continue
        centre_x, centre_y, reach = int(np.rint(x)), int(np.rint(y)), int(radius[j])
        seen, covered = 0, 0
        for v in range(max(centre_y - reach, 0), min(centre_y + reach, height - 1) + 1):
            for u in range(max(centre_x - reach, 0), min(centre_x + reach, width - 1) + 1):
                d = depth[v, u]
                if d <= 0:
                    continue
                if instance[v, u] == wanted and abs(joint_depth[j] - d) <= SKIN:
                    seen += 1
                elif d < joint_depth[j]:
                    covered += 1
        if seen > 0:
            out[j] = seen / (seen + covered)
    return out
