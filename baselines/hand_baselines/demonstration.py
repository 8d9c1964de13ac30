"""A model on one picture: the hands that it finds, drawn over the picture and in 3D.

A picture from anywhere has no annotations. Its camera is what the user says; else a pinhole camera
is assumed that sees 60 degrees along the longer side, as a telephone does: then shapes are right,
and depths and sizes as wrong as that guess. Its boxes are what the user says; else the whole
picture is one. The numbers are in the camera frame, millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_baselines.crop_task import CROPS
from hand_baselines.pictures import Pictures
from hand_baselines.tasks import given_options
from hand_baselines.weights import Loaded
from hand_bench import drawing
from hand_bench.annotations import AnnotationBatch, Annotations, encode
from hand_bench.errors import BaselineError, Problem
from hand_bench.geometry import project
from hand_bench.joint_sets import HAND_SIDES

#: The angle that an unknown camera sees along the longer side of its picture, degrees.
ASSUMED_VIEW = 60.0
#: From this probability on a hand is taken to be there.
THERE = 0.5
BOX_COLOURS = ("#ffffff", "#66ccee", "#ccbb44", "#ee6677")


@dataclass(frozen=True)
class Found:
    """What a model says about one box of a picture; right hand first.

    Attributes
    ----------
    box
        x, y, w, h, px.
    joints
        (2, 21, 3), mm, camera frame.
    scores
        (2,), probability that the hand is there; 1 where the model does not say.
    """

    box: np.ndarray
    joints: np.ndarray
    scores: np.ndarray

    def line(self) -> str:
        """Return a sentence: how probable each hand is, and how far away those that are there."""
        hands = []
        for side, score, joints in zip(HAND_SIDES, self.scores, self.joints, strict=True):
            away = f", wrist {joints[0, 2] / 10:.0f} cm away" if score >= THERE else ""
            hands.append(f"{side} hand {score:.0%}{away}")
        return "; ".join(hands)


def look(
    loaded: Loaded,
    image: str | Path,
    *,
    camera: Sequence[float] | None = None,
    boxes: Sequence[Sequence[float]] = (),
    **options: Any,
) -> list[Found]:
    """Let a model look at a picture.

    Parameters
    ----------
    camera
        fx, fy, cx, cy of the picture, px.
    boxes
        x, y, w, h, px, around the hands to look at, both hands of a person in one.
    options
        Of the model's task (`crop_task.answers`): `root_depth`.

    Raises
    ------
    DatasetError
        HB202 where there is no such picture, HB203 where it is damaged.
    BaselineError
        HB302 where the camera or a box is none.
    """
    path = Path(image).resolve()
    pictures = Pictures("/")
    height, width = pictures.read(str(path)).shape[:2]
    K = _intrinsics(camera, width, height)
    wanted = np.array([_box(box) for box in boxes] or [[0, 0, width, height]], float)
    count = len(wanted)
    columns = {
        "sample_id": [f"{path.name}#{k}" for k in range(count)],
        "image": [str(path)] * count,
        "width": np.full(count, width),
        "height": np.full(count, height),
        "K": np.broadcast_to(K, (count, 3, 3)),
        "bbox": wanted,
    }
    task = loaded.model.task()
    if task is not CROPS:
        what = "looks at more than one picture."
        raise BaselineError(Problem("HB302", loaded.model.name, what))
    rows = AnnotationBatch(0, encode(columns))
    known = given_options(loaded.model.name, options, task.options)
    said = task.answers(loaded, Annotations(path, {}), "/", **known).columns(rows)
    joints = np.stack([said[f"{side}_joints"] for side in HAND_SIDES], axis=1)
    sure = np.ones(count)
    scores = np.stack([said.get(f"{side}_score", sure) for side in HAND_SIDES], axis=1)
    return [Found(*one) for one in zip(wanted, joints, scores, strict=True)]


def draw(
    image: str | Path, found: Sequence[Found], *, camera: Sequence[float] | None = None
) -> Any:
    """Return a figure: hands that are probably there over the picture, and in 3D.

    Raises
    ------
    HandBenchError
        HB401 where matplotlib is not installed.
    """
    picture = Pictures("/").read(str(Path(image).resolve()))
    height, width = picture.shape[:2]
    K = _intrinsics(camera, width, height)
    side = float(np.clip(4.8 * width / height, 3.0, 7.5))
    figure = drawing.new_figure(side + 4.4, 5.4)
    grid = figure.add_gridspec(1, 2, width_ratios=(side, 4.4))
    flat, space = figure.add_subplot(grid[0]), figure.add_subplot(grid[1], projection="3d")
    drawing.draw_picture(flat, picture, (width, height))
    shown = []
    for number, one in enumerate(found):
        _draw_box(flat, one.box, BOX_COLOURS[number % len(BOX_COLOURS)])
        for joints, score in zip(one.joints, one.scores, strict=True):
            if score >= THERE:
                spots = project(joints[None].astype(float), K[None])[0]
                drawing.draw_hand_2d(flat, spots, width=1.8, outline="#00000080")
                drawing.draw_hand_3d(space, joints)
                shown.append(joints)
    if shown:
        drawing.frame_hands(space, np.concatenate(shown))
    else:
        space.set_axis_off()
    lines = [one.line() for one in found]
    if not shown:
        lines.insert(0, "no hand is probably there")
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=9, color=drawing.INK)
    return figure


def _draw_box(axes: Any, box: np.ndarray, colour: str) -> None:
    x, y, w, h = box
    corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]])
    axes.plot(*corners.T, color=colour, lw=1, ls="--")


def _intrinsics(camera: Sequence[float] | None, width: int, height: int) -> np.ndarray:
    if camera is None:
        focal = max(width, height) / 2 / np.tan(np.deg2rad(ASSUMED_VIEW / 2))
        camera = (focal, focal, (width - 1) / 2, (height - 1) / 2)
    if len(camera) != 4 or not np.isfinite(camera).all() or min(camera[:2]) <= 0:
        what = f"{_text(camera)} is no camera."
        fix = "`--camera fx,fy,cx,cy`, in pixels of the picture, e.g. 1200,1200,640,360."
        raise BaselineError(Problem("HB302", "--camera", what, fix=fix))
    fx, fy, cx, cy = camera
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def _box(box: Sequence[float]) -> Sequence[float]:
    if len(box) != 4 or not np.isfinite(box).all() or min(box[2:]) <= 0:
        fix = "`--boxes x,y,w,h`, in pixels, e.g. 40,60,200,180."
        raise BaselineError(Problem("HB302", "--boxes", f"{_text(box)} is no box.", fix=fix))
    return box


def _text(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
