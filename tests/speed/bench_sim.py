"""Pictures of HandSim per CPU-second: `python tests/speed/bench_sim.py`.

One process, CPU time of all its threads, machine code already compiled. A scene is two hands (the
shipped model, skinned anew for every frame), an object and a background; each row is the best of
three passes over the same frames. Nothing is asserted: the table says whether the target is met.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from hand_bench.hand_model import MM, rotvec_to_rotmat
from hand_bench.sim import hand
from hand_bench.sim.objects import OBJECTS
from hand_bench.sim.render import BACKGROUNDS, hand_window, random_look, render, visible_fraction
from hand_bench.sim.scene import WORKSPACE, Look, Mesh, View
from hand_bench.sim.skinning import skinners

REPEATS = 3
PIXELS = 256
BETAS = np.zeros(10)
#: Pictures per CPU-second, everything but JPEG included.
TARGET = 300


class Scenes:
    """Frames of two hands about an object, each with a camera and a look of its own."""

    def __init__(self, frames: int, seed: int = 0):
        self.frames = frames
        self.rng = np.random.default_rng(seed)
        self.rotvec = self.rng.normal(0, 0.2, (frames, 2, 16, 3))
        self.rotvec[:, 0, 0] += [0, -np.pi / 2, 0]
        self.rotvec[:, 1, 0] += [0, np.pi / 2, 0]
        self.translation = WORKSPACE + self.rng.normal(0, 15, (frames, 2, 3))
        self.translation[:, :, 0] += [-60, 60]
        sleeve = np.array([0.2, 0.3, 0.5])
        self.person = replace(hand.sample_subject(self.rng, "person"), sleeve=sleeve)
        self.views = [self._view(k) for k in range(frames)]
        self.kinds = [BACKGROUNDS[k % len(BACKGROUNDS)] for k in range(frames)]
        self.looks = [random_look(self.rng, kind) for kind in self.kinds]

    def _view(
        self, number: int, width: int = 1920, height: int = 1080, focal: float = 1100
    ) -> View:
        """Look at the workspace from somewhere before and above it."""
        eye = WORKSPACE + self.rng.uniform([-300, 150, 250], [300, 400, 500])
        ahead = (WORKSPACE - eye) / np.linalg.norm(WORKSPACE - eye)
        right = np.cross(ahead, [0, 1, 0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.column_stack([right, np.cross(ahead, right), ahead, eye])
        K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        return View(f"camera{number % 8}", width, height, K, pose)

    def hands(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Skin both hands in all frames: vertices and joints, right and left."""
        vertices, joints = [], []
        for side, skinner in enumerate(skinners()):
            pose, place = self.rotvec[:, side], self.translation[:, side]
            vertices.append(skinner.vertices(pose, BETAS, place))
            joints.append(
                skinner.model.joints(
                    rotvec=pose, betas=BETAS, translation=place, flat_hand_mean=True
                )
            )
        return vertices, joints

    @cached_property
    def still(self) -> list[Mesh]:
        """What of the hands' meshes does not move: triangles, colours, parts."""
        models = zip(hand.models(), ("right", "left"), strict=True)
        return [hand.hand_mesh(m, MM * m.v_template, self.person, side) for m, side in models]

    def meshes(self, vertices: list[np.ndarray], frame: int) -> list[Mesh]:
        """Return the meshes of a frame: both hands and a carton."""
        pose = np.eye(4)
        pose[:3, 3] = WORKSPACE - [0, 30, 0]
        made = [replace(self.still[side], vertices=vertices[side][frame]) for side in range(2)]
        return [*made, OBJECTS["milk"].mesh(pose)]

    def forearms(self, frame: int) -> list[Mesh]:
        """Return both forearms with their sleeves, made anew."""
        made = []
        for side, name in enumerate(("right", "left")):
            R = rotvec_to_rotmat(self.rotvec[frame, side, 0])
            wrist = self.translation[frame, side] + hand.models()[side].root(BETAS)
            made += hand.forearm_mesh(wrist, R, self.person, name)
        return made

    def pictures(
        self, *, forearms: bool = False, change: Callable[[Look], Look] = lambda look: look
    ) -> list[np.ndarray]:
        """Render every frame, all included: skinning, window, picture, what is visible."""
        vertices, joints = self.hands()
        images = []
        for k in range(self.frames):
            both = np.concatenate([joints[0][k], joints[1][k]])
            window = hand_window(self.views[k], both, 0.2, PIXELS)
            arms = self.forearms(k) if forearms else []
            meshes = [*self.meshes(vertices, k), *arms]
            picture = render(meshes, window, change(self.looks[k]))
            for side in range(2):
                visible_fraction(picture, joints[side][k], window, side + 1)
            images.append(picture.image)
        return images


def rate(work: Callable[[], object], count: int) -> float:
    """Return how many of `count` things are made per CPU-second."""
    work()
    best = np.inf
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return count / best


def encode(images: list[np.ndarray]) -> int:
    """Compress pictures as JPEG and return how many bytes that makes."""
    total = 0
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=90)
        total += stream.tell()
    return total


def rows(frames: int) -> list[tuple[str, float, str]]:
    """Measure everything: what, how many a CPU-second, remark."""
    scenes = Scenes(frames)
    vertices, joints = scenes.hands()
    images = scenes.pictures()
    faces = sum(len(mesh.faces) for mesh in scenes.meshes(vertices, 0))
    whole = rate(scenes.pictures, frames)
    jpeg = rate(lambda: encode(images), frames)
    met = "yes" if whole >= TARGET else "NO"
    made = [
        (f"all included, {PIXELS} px, {faces:,} triangles", whole, f">= {TARGET}: {met}"),
        ("  JPEG encoding alone", jpeg, f"{encode(images) / frames / 1024:.1f} kB each"),
        ("  with JPEG encoding", 1 / (1 / whole + 1 / jpeg), ""),
        ("  skinning of both hands alone", rate(scenes.hands, frames), ""),
        ("  with forearms and sleeves", rate(lambda: scenes.pictures(forearms=True), frames), ""),
    ]
    for kind in BACKGROUNDS:
        same = {"background": f"{kind}#1", "blur": 0.5}
        made.append(
            (
                f"  all included, one room: {kind}",
                rate(
                    lambda same=same: scenes.pictures(change=lambda x: replace(x, **same)), frames
                ),
                "",
            )
        )
    few = range(min(frames, 8))
    meshes = [scenes.meshes(vertices, k) for k in few]
    full = rate(
        lambda: [render(meshes[k], scenes.views[k], scenes.looks[k]) for k in few], len(few)
    )
    made.append(("render only, whole frames of 1920 x 1080", full, ""))
    lens = np.array([-0.2, 0.05, 0.001, -0.001, 0.0, 0.0, 0.0, 0.0])
    both = [np.concatenate([joints[0][k], joints[1][k]]) for k in few]
    bent = [hand_window(replace(scenes.views[k], distortion=lens), both[k]) for k in few]
    lensed = rate(lambda: [render(meshes[k], bent[k], scenes.looks[k]) for k in few], len(few))
    made.append((f"render only, {PIXELS} px, distorted lens", lensed, ""))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=120, help="pictures in a pass")
    frames = parser.parse_args().frames
    table = Table("what", "per CPU-second", "remark", title="HandSim")
    for what, per_second, remark in rows(frames):
        table.add_row(what, f"{per_second:,.0f}", remark)
    Console().print(table)


if __name__ == "__main__":
    main()
