"""Rigs of cameras as values, and the views that they give in a recording.

A rig is a table of cameras that stand in the world, are worn on a head, or are anywhere anew for
each picture ("roaming"). A *recording* is one setting-up of the rig: its cameras stand a little
elsewhere each time, and all clips of a recording share that. Worn cameras move with a `Wearer`.
Everything follows from integer seeds, and any frame of any camera can be
asked for in any order.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hand_bench.array_types import Float
from hand_bench.hand_model import rotvec_to_rotmat
from hand_bench.sim.scene import WORKSPACE, Subject, View
from hand_bench.sim.viewpoints import look_at, pinhole
from hand_bench.sim.wearer import Motion, Wearer

WORLD, HEAD, ROAMING = "world", "head", "roaming"


@dataclass(frozen=True)
class RigCamera:
    """One camera of a rig; its pose is relative to what it is mounted on (world or head)."""

    name: str
    width: int
    height: int
    K: Float[np.ndarray, "3 3"]
    T_mount_from_camera: Float[np.ndarray, "4 4"]
    mount: str = WORLD
    grey: bool = False
    #: The lens, where a real rig's is known: OpenCV's k1, k2, p1, p2, k3, k4, k5, k6.
    distortion: Float[np.ndarray, " 8"] | None = None

    def view(self, T_world_from_mount: Float[np.ndarray, "4 4"]) -> View:
        """Return the camera with its mount at a place in the world."""
        pose = T_world_from_mount @ self.T_mount_from_camera
        ego, lens = self.mount == HEAD, self.distortion
        return View(self.name, self.width, self.height, self.K, pose, self.grey, ego, lens)


@dataclass(frozen=True)
class Jitter:
    """How recordings differ: spreads of normal draws that are cut at 2 spreads.

    `shift` (mm) and `turn` (radians) move all cameras together, standing ones along the table and
    about the vertical through the workspace, worn ones in every direction about the head's origin.
    `place` (mm) and `aim` (radians) are each camera's own; `focal` is a share of the focal length,
    `centre` a distance of the principal point (px).
    """

    shift: float = 0.0
    turn: float = 0.0
    place: float = 0.0
    aim: float = 0.0
    focal: float = 0.0
    centre: float = 0.0


STILL = Jitter()


@dataclass(frozen=True)
class Rig:
    """A named set of cameras, and how its recordings differ."""

    name: str
    #: What is taken from the facts about the real rig, and what is assumed.
    about: str
    cameras: tuple[RigCamera, ...]
    jitter: Jitter = STILL
    #: How worn cameras sit differently in each recording, and who wears them.
    worn: Jitter = STILL
    wearer: Wearer | None = None
    #: So many of the cameras are there in a recording; None: all of them.
    choose: int | None = None

    def place(
        self,
        seed: int | np.random.Generator,
        *,
        subject: Subject | None = None,
        focus: Float[np.ndarray, " 3"] = WORKSPACE,
        distorted: bool = False,
    ) -> Placement:
        """Set the rig up for a recording.

        Parameters
        ----------
        seed
            The recording. A generator gives one number, whatever the rig.
        subject
            Who wears the cameras: tall or small, calm or lively.
        focus
            What the wearer looks at, and roaming cameras point to (mm, world).
        distorted
            Keep the lens of the cameras that have one: pictures are then not rectified.
        """
        if isinstance(seed, np.random.Generator):
            seed = int(seed.integers(2**62))
        cameras = self._placed(_generator(self.name, seed))
        if not distorted:
            cameras = tuple(replace(camera, distortion=None) for camera in cameras)
        style = 0 if subject is None else subject.style
        placement = Placement(self, seed, cameras, style, np.asarray(focus, float), 0, None)
        return placement.clip(0)

    def _placed(self, rng: np.random.Generator) -> tuple[RigCamera, ...]:
        """The cameras as they stand in one recording."""
        together = {
            WORLD: _about(WORKSPACE, _draw(rng, self.jitter.turn, 3) * [0, 1, 0])
            @ _shifted(_draw(rng, self.jitter.shift, 3) * [1, 0, 1]),
            HEAD: _about(np.zeros(3), _draw(rng, self.worn.turn, 3))
            @ _shifted(_draw(rng, self.worn.shift, 3)),
            ROAMING: np.eye(4),
        }
        there = [
            _moved(camera, together[camera.mount], self._jitter(camera), rng)
            for camera in self.cameras
        ]
        if self.choose is None:
            return tuple(there)
        chosen = rng.permutation(len(there))[: self.choose]
        return tuple(there[index] for index in sorted(chosen))

    def _jitter(self, camera: RigCamera) -> Jitter:
        return self.worn if camera.mount == HEAD else self.jitter


@dataclass(frozen=True)
class Placement:
    """A rig as it is set up for a recording; `view` gives any camera at any frame.

    Frames count from the start of the recording, so its clips may follow one another in time; or
    each clip counts from 0 and moves in a way of its own, with `clip`.
    """

    rig: Rig
    seed: int
    cameras: tuple[RigCamera, ...]
    style: int
    focus: Float[np.ndarray, " 3"]
    clip_seed: int
    motion: Motion | None

    def clip(self, seed: int) -> Placement:
        """Return the same cameras with another motion of the head (and other roaming places)."""
        motion = None
        if self.rig.wearer is not None:
            own = int(_generator(self.rig.name, self.seed, seed, 1).integers(2**62))
            motion = self.rig.wearer.motion(own, self.style, self.focus)
        return replace(self, clip_seed=seed, motion=motion)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the cameras, in order."""
        return tuple(camera.name for camera in self.cameras)

    def view(self, frame: int, camera: int | str) -> View:
        """Return one camera, by number or name, at one frame.

        Raises
        ------
        ValueError
            There is no camera of that name.
        """
        number = self.names.index(camera) if isinstance(camera, str) else camera
        return self._views(frame, [number])[0]

    def views(self, frame: int, *, ego: bool | None = None) -> list[View]:
        """Return all cameras at one frame, or only those that are worn (or are not)."""
        wanted = [
            number
            for number, camera in enumerate(self.cameras)
            if ego is None or (camera.mount == HEAD) == ego
        ]
        return self._views(frame, wanted)

    def clip_views(
        self, frames: int | Iterable[int], *, ego: bool | None = None
    ) -> list[list[View]]:
        """Return `views` of each of some frames (a number: that many from the first)."""
        wanted = range(frames) if isinstance(frames, int) else frames
        return [self.views(frame, ego=ego) for frame in wanted]

    def head(self, frame: float) -> Float[np.ndarray, "4 4"]:
        """Return T_world_from_head at a frame.

        Raises
        ------
        ValueError
            Nobody wears a camera of this rig.
        """
        if self.motion is None:
            raise ValueError(f"nobody wears a camera of rig {self.rig.name}")
        return self.motion.pose(frame)

    def _views(self, frame: int, numbers: list[int]) -> list[View]:
        """Some cameras; where the head is, is found out once for all."""
        chosen = [self.cameras[number] for number in numbers]
        worn = any(camera.mount == HEAD for camera in chosen)
        mounts = {WORLD: np.eye(4), HEAD: self.head(frame) if worn else np.eye(4)}
        return [
            self._roaming(camera, frame, number)
            if camera.mount == ROAMING
            else camera.view(mounts[camera.mount])
            for camera, number in zip(chosen, numbers, strict=True)
        ]

    def _roaming(self, camera: RigCamera, frame: int, number: int) -> View:
        """Place a camera anywhere around the focus: above the table, 0.4 to 0.9 m away."""
        rng = _generator(self.rig.name, self.seed, self.clip_seed, 2, frame, number)
        around, above = rng.uniform(-np.pi, np.pi), np.arcsin(rng.uniform(-0.1, 0.95))
        towards = [np.sin(around) * np.cos(above), np.sin(above), np.cos(around) * np.cos(above)]
        place = self.focus + rng.uniform(400, 900) * np.array(towards)
        place[1] = max(place[1], 20.0)
        target = self.focus + _draw(rng, 30.0, 3)
        pose = look_at(place, target, roll=float(_draw(rng, np.radians(12), 1)[0]))
        focal = camera.K[0, 0] * rng.uniform(0.9, 1.1)
        return replace(camera, K=pinhole(focal, camera.K[:2, 2])).view(pose)


def _generator(rig: str, *seeds: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(rig.encode()), *seeds])


def _draw(rng: np.random.Generator, spread: float, count: int) -> np.ndarray:
    return spread * rng.normal(size=count).clip(-2, 2)


def _shifted(shift: np.ndarray) -> np.ndarray:
    moved = np.eye(4)
    moved[:3, 3] = shift
    return moved


def _about(point: np.ndarray, rotvec: np.ndarray) -> np.ndarray:
    """A rotation about an axis through a point."""
    turned = np.eye(4)
    turned[:3, :3] = rotvec_to_rotmat(rotvec)
    turned[:3, 3] = point - turned[:3, :3] @ point
    return turned


def _moved(
    camera: RigCamera, together: np.ndarray, jitter: Jitter, rng: np.random.Generator
) -> RigCamera:
    """One camera of a recording: its draws are made in a fixed order, whatever they are for."""
    place, aim = _draw(rng, jitter.place, 3), _draw(rng, jitter.aim, 3)
    focal, centre = 1 + _draw(rng, jitter.focal, 1)[0], _draw(rng, jitter.centre, 2)
    K = camera.K * [[focal, 1, 1], [1, focal, 1], [1, 1, 1]]
    K[:2, 2] += centre
    pose = together @ camera.T_mount_from_camera @ _about(np.zeros(3), aim)
    pose[:3, 3] += place
    return replace(camera, K=K, T_mount_from_camera=pose)
