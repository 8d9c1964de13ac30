"""What HandSim's parts hand to each other: clips, cameras, meshes, pictures.

Conventions
-----------
World: millimetres, y up, the table is the plane y = 0. The person sits behind +z and faces -z, so
their right is +x; the hands work around `WORKSPACE`. Cameras: x right, y down, z forward;
``T_world_from_camera`` is a rigid 4 x 4. Right hand first, left hand second. Pixels: (0, 0) is the
centre of the top-left pixel. 30 frames per second.

A hand's pose is MANO's: 16 rotation vectors (wrist in the world, then index, middle, pinky, ring,
thumb, three joints each, from the palm outwards), 10 shape coefficients, a translation (mm) that is
added to the model's output; the left hand has a model of its own, the mirror image of the right.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hand_bench.array_types import Float, Int

#: Frames per second of every clip.
RATE = 30.0
#: Where the hands work (mm, world): the middle of a table before a sitting person.
WORKSPACE = np.array([0.0, 150.0, 0.0])
#: Grasp classes of Hands23 as WildHands numbers them; 8 is "no grasp".
GRASPS = (
    *("NP-Palm", "NP-Fin", "Pow-Pris", "Pre-Pris", "Pow-Circ", "Pre-Circ", "Later", "Other"),
    "none",
)
NO_GRASP = 8
#: Instance labels of a picture; objects count from OBJECT.
BACKGROUND, RIGHT_HAND, LEFT_HAND, OBJECT = 0, 1, 2, 3
#: Part labels: 1 to 16 are the bones of the right hand in MANO's order, 17 to 32 the left hand's.
PARTS_OF_HAND = 16
FOREARM_PART, OBJECT_PART = 33, 34


@dataclass(frozen=True)
class Subject:
    """A person: hand shape (MANO-layout coefficients), skin, sleeves, style of moving."""

    name: str
    betas: Float[np.ndarray, 10]
    skin: Float[np.ndarray, 3]
    sleeve: Float[np.ndarray, 3] | None
    #: Seeds what differs between people in how they move.
    style: int


@dataclass(frozen=True)
class Clip:
    """Motion of two hands and at most one object over some frames.

    Hands that are not `present` hold anything. `grasp` is a number of `GRASPS` for each frame and
    hand; `phase` says how far the action is (0 to 1; a cyclic verb runs through several cycles).
    """

    subject: Subject
    present: tuple[bool, bool]
    rotvec: Float[np.ndarray, "frames 2 16 3"]
    translation: Float[np.ndarray, "frames 2 3"]
    grasp: Int[np.ndarray, "frames 2"]
    phase: Float[np.ndarray, " frames"]
    verb: str = ""
    object: str = ""
    object_size: float = 1.0
    object_pose: Float[np.ndarray, "frames 4 4"] | None = None

    def __len__(self) -> int:
        return len(self.rotvec)


@dataclass(frozen=True)
class View:
    """One camera at one instant."""

    name: str
    width: int
    height: int
    K: Float[np.ndarray, "3 3"]
    T_world_from_camera: Float[np.ndarray, "4 4"]
    grey: bool = False
    ego: bool = False
    #: k1, k2, p1, p2, k3, k4, k5, k6 of OpenCV's rational model, where pictures are not rectified.
    distortion: Float[np.ndarray, 8] | None = None

    def window(self, left: float, top: float, side: float, pixels: int) -> View:
        """Return the camera of a square window of this one, scaled to `pixels`."""
        scale = pixels / side
        K = self.K.copy()
        K[0, 2] -= left
        K[1, 2] -= top
        K[:2] *= scale
        # (0, 0) is the centre of a pixel: what was -0.5 stays -0.5.
        K[:2, 2] += 0.5 * scale - 0.5
        return View(self.name, pixels, pixels, K, self.T_world_from_camera, self.grey, self.ego)

    def resized(self, longer: int) -> View:
        """Return the camera of the whole picture, scaled so that its longer side is `longer`."""
        scale = longer / max(self.width, self.height)
        K = self.K.copy()
        K[:2] *= scale
        K[:2, 2] += 0.5 * scale - 0.5
        width, height = round(self.width * scale), round(self.height * scale)
        return replace(self, width=width, height=height, K=K)


@dataclass(frozen=True)
class Mesh:
    """Triangles with a colour for each vertex and a part label for each triangle (mm, world)."""

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    colours: Float[np.ndarray, "vertices 3"]
    parts: Int[np.ndarray, " faces"]
    instance: int


@dataclass(frozen=True)
class Picture:
    """A rendered view: colour, depth (mm, 0 where nothing is), instance and part of each pixel."""

    image: Int[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "height width"]
    instance: Int[np.ndarray, "height width"]
    part: Int[np.ndarray, "height width"]


@dataclass(frozen=True)
class Look:
    """What a picture looks like besides its geometry; drawn for each frame from a seed."""

    seed: int
    #: Direction towards the light (world), its strength, and that of the light from everywhere.
    light: Float[np.ndarray, 3] = field(default_factory=lambda: np.array([0.3, 0.9, 0.3]))
    strength: float = 0.8
    ambient: float = 0.35
    #: Standard deviation of pixel noise (0 to 255), blur (pixels), and the kind of background.
    noise: float = 4.0
    blur: float = 0.0
    background: str = "clutter"
