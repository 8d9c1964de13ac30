"""The view that a sample is drawn over: its picture, and how points come into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.array_types import Float
from hand_bench.arrow import numbers
from hand_bench.calibration import project_opencv
from hand_bench.errors import DatasetError
from hand_bench.geometry import world_to_camera
from hand_bench.shards import is_there, load_picture

#: The annotation columns that a view is made of.
VIEW_COLUMNS = (
    *("sequence", "frame", "camera", "image", "width", "height"),
    *("K", "distortion", "T_world_from_camera"),
)


@dataclass(frozen=True)
class View:
    """One camera's view of a sample; what is not known is None.

    `T_world_from_camera` is given where the joints are in the world.
    """

    camera: str
    image: Path | None
    given_size: tuple[int, int] | None
    K: Float[np.ndarray, "3 3"] | None
    distortion: Float[np.ndarray, 8]
    T_world_from_camera: Float[np.ndarray, "4 4"] | None = None

    @property
    def has_pose(self) -> bool:
        """Whether it is known how the camera stands in the world of the joints."""
        return self.T_world_from_camera is not None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height: as annotated, of the picture, or such that K is in the middle."""
        if self.given_size:
            return self.given_size
        picture = self.picture()
        if picture is not None:
            return picture.shape[1], picture.shape[0]
        if self.K is not None:
            return max(round(2 * self.K[0, 2]), 1), max(round(2 * self.K[1, 2]), 1)
        return 640, 480

    def picture(self) -> np.ndarray | None:
        """Return the picture (height, width, 3), None where it is not on this machine."""
        return load_picture(self.image)

    def turned(self, joints: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        """Bring joints into the camera's frame (as they are where they are in it)."""
        if self.T_world_from_camera is None:
            return joints
        return world_to_camera(joints, self.T_world_from_camera)

    def project(self, joints: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 2"]:
        """Where joints are in the picture, lens distortion included."""
        assert self.K is not None
        return project_opencv(self.turned(joints), self.K, self.distortion)


def view_of_row(batch: AnnotationBatch, row: int, root: Path, *, world: bool = False) -> View:
    """Make the view of an image; in `world` its pose is used."""

    def value(name: str) -> np.ndarray | None:
        return batch[name][row] if batch.given(name)[row] else None

    image, lens = batch["image"][row], value("distortion")
    width, height = int(batch["width"][row]), int(batch["height"][row])
    return View(
        batch["camera"][row] or "",
        root / image if image else None,
        (width, height) if width > 0 and height > 0 else None,
        value("K"),
        np.zeros(8) if lens is None else lens,
        value("T_world_from_camera") if world else None,
    )


def views_of_samples(annotations: Annotations, rows: np.ndarray) -> dict[tuple[str, int], View]:
    """Choose a view of each sample that has one; keys are sequence and frame.

    The first whose picture is on this machine, else the first with K and pose. `rows` marks the
    samples. Without views.parquet there is none.
    """
    try:
        views = annotations.views()
    except DatasetError:
        return {}
    wanted = _instants(annotations, rows)
    keys = _keys(views)
    keep = np.array([key in wanted for key in keys], bool)
    root = Path(annotations.manifest.get("root") or annotations.path.parent)
    best: dict[tuple[str, int], tuple[int, View]] = {}
    for batch in views.batches(VIEW_COLUMNS, wanted=keep):
        for row in np.flatnonzero(keep[batch.start : batch.start + len(batch)]):
            view = view_of_row(batch, int(row), root, world=True)
            rank = _rank(view)
            key = keys[batch.start + int(row)]
            if rank and rank > best.get(key, (0, view))[0]:
                best[key] = rank, view
    return {key: view for key, (_, view) in best.items()}


def _rank(view: View) -> int:
    """2 with a picture, 1 with a camera alone; 0 for a view that cannot be drawn over."""
    if view.K is None or not view.has_pose:
        return 0
    return 2 if is_there(view.image) else 1


def _instants(annotations: Annotations, rows: np.ndarray) -> set[tuple[str, int]]:
    return {key for key, wanted in zip(_keys(annotations), rows, strict=True) if wanted}


def _keys(annotations: Annotations) -> list[tuple[str, int]]:
    table = annotations.table(["sequence", "frame"])
    frames = numbers(table.column("frame"), null=-1)
    names = table.column("sequence").to_pylist()
    return [(str(name), int(frame)) for name, frame in zip(names, frames, strict=True)]
