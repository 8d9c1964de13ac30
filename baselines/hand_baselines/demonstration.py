"""A model on one picture: the hands that it finds, drawn over the picture and in 3D.

A picture from anywhere has no annotations. Its camera is what the user says; else a pinhole camera
is assumed that sees 60 degrees along the longer side, as a telephone does: then shapes are right,
and depths and sizes as wrong as that guess. Its boxes are what the user says, or what a detector
finds; else the whole picture is one. The numbers are in the camera frame, millimetres.

Models of two-hand crops look at each box by itself. Models of single hands (WildHands and its
family) look at the picture once, at the right and at the left hand in their boxes, and their meshes
are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_baselines.crop_task import CROPS
from hand_baselines.mano_task import MANO
from hand_baselines.pictures import Pictures
from hand_baselines.tasks import given_options
from hand_baselines.weights import Loaded
from hand_bench import drawing
from hand_bench.annotations import AnnotationBatch, Annotations, encode
from hand_bench.errors import BaselineError, Problem
from hand_bench.geometry import project
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.meshes import Meshes

#: The angle that an unknown camera sees along the longer side of its picture, degrees.
ASSUMED_VIEW = 60.0
#: From this probability on a hand is taken to be there.
THERE = 0.5
BOX_COLOURS = ("#ffffff", "#66ccee", "#ccbb44", "#ee6677")
#: Of right and left meshes, red, green, blue.
MESH_COLOURS = ((0.95, 0.75, 0.55), (0.6, 0.8, 0.95))


@dataclass(frozen=True)
class Found:
    """What a model says about one box of a picture; right hand first.

    Attributes
    ----------
    boxes
        (n, 4), x, y, w, h, px: what was looked at.
    joints
        (2, 21, 3), mm, camera frame.
    scores
        (2,), probability that the hand is there; 1 where the model does not say.
    meshes
        (2, 61), MANO's parameters, where the model says them; and whose hands they are of.
    """

    boxes: np.ndarray
    joints: np.ndarray
    scores: np.ndarray
    meshes: np.ndarray | None = None
    hand: str = "handsim"

    def line(self) -> str:
        """Return a sentence: how probable each hand is, and how far away those that are there."""
        hands = []
        for side, score, joints in zip(HAND_SIDES, self.scores, self.joints, strict=True):
            away = f", wrist {joints[0, 2] / 10:.0f} cm away" if score >= THERE else ""
            hands.append(f"{side} hand {score:.0%}{away}")
        return "; ".join(hands)


#: A box, and whose: "right", "left", or "" for both hands.
SidedBox = tuple[str, Sequence[float]]


def look(
    loaded: Loaded,
    image: str | Path,
    *,
    camera: Sequence[float] | None = None,
    boxes: Sequence[SidedBox] = (),
    detector: Loaded | None = None,
    **options: Any,
) -> list[Found]:
    """Let a model look at a picture.

    Parameters
    ----------
    camera
        fx, fy, cx, cy of the picture, px.
    boxes
        x, y, w, h, px, around the hands to look at. Models of two-hand crops take both hands of a
        person in one box, those of single hands one for each, or one for both.
    detector
        Finds the boxes in place of `boxes`, for models of single hands; where it finds none the
        result is empty.
    options
        Of the model's task (`crop_task.answers`): `root_depth`.

    Raises
    ------
    DatasetError
        HB202 where there is no such picture, HB203 where it is damaged.
    BaselineError
        HB302 where the camera or a box is none, or a box is for another kind of model.
    """
    path = Path(image).resolve()
    picture = Pictures("/").read(str(path))
    height, width = picture.shape[:2]
    task = loaded.model.task()
    known = given_options(loaded.model.name, options, task.options)
    given = [(_side(side), _box(box)) for side, box in boxes]
    if detector is not None:
        if task is not MANO:
            what = f"{loaded.model.name} looks at both hands in one box, and takes no detector."
            raise BaselineError(Problem("HB302", "--boxes", what, fix="x,y,w,h around both hands."))
        given = _detected(detector, picture)
        if not given:
            return []
    wanted = given or [("", (0, 0, width, height))]
    if task is MANO:
        groups = [_of_hands(wanted)]
        columns: dict[str, Any] = {
            f"{side}_bbox": np.array([group[k] for group in groups], float)
            for k, side in enumerate(HAND_SIDES)
        }
        known["meshes"] = True
    elif task is CROPS:
        if any(side for side, _ in wanted):
            what = f"{loaded.model.name} looks at both hands in one box."
            fix = "Leave right: and left: out."
            raise BaselineError(Problem("HB302", "--boxes", what, fix=fix))
        groups = [np.array([box], float) for _, box in wanted]
        columns = {"bbox": np.concatenate(groups)}
    else:
        what = "looks at more than one picture."
        raise BaselineError(Problem("HB302", loaded.model.name, what))
    count = len(groups)
    columns |= {
        "sample_id": [f"{path.name}#{k}" for k in range(count)],
        "image": [str(path)] * count,
        "width": np.full(count, width),
        "height": np.full(count, height),
        "K": np.broadcast_to(_intrinsics(camera, width, height), (count, 3, 3)),
    }
    rows = AnnotationBatch(0, encode(columns))
    opened = Annotations(path, {"dataset": ""})
    said = task.answers(loaded, opened, "/", **known).columns(rows)
    return [_found(said, k, group, loaded) for k, group in enumerate(groups)]


def _detected(detector: Loaded, picture: np.ndarray) -> list[SidedBox]:
    """Return the hands that a detector is sure enough of."""
    from hand_baselines.detector.measures import LEAST
    from hand_baselines.detector.predict import look_at

    boxes, scores = look_at(detector, picture)
    found = zip(HAND_SIDES, boxes, scores, strict=True)
    return [(side, box.tolist()) for side, box, score in found if score >= LEAST]


def _found(said: dict[str, np.ndarray], row: int, boxes: np.ndarray, loaded: Loaded) -> Found:
    joints = np.stack([said[f"{side}_joints"][row] for side in HAND_SIDES])
    there = np.isfinite(joints).all(axis=(1, 2)).astype(float)
    scores = [
        said[f"{side}_score"][row] if f"{side}_score" in said else there[k]
        for k, side in enumerate(HAND_SIDES)
    ]
    if "right_mano" not in said:
        return Found(boxes, joints, np.array(scores))
    meshes = np.stack([said[f"{side}_mano"][row] for side in HAND_SIDES])
    kept = np.unique(boxes[np.isfinite(boxes).all(axis=1)], axis=0)
    return Found(kept, joints, np.array(scores), meshes, loaded.network.config.hand)


def _of_hands(boxes: Sequence[SidedBox]) -> np.ndarray:
    """Return the boxes (2, 4) of the right and of the left hand, NaN where there is none."""
    found = np.full((2, 4), np.nan)
    for side, box in boxes:
        chosen = [HAND_SIDES.index(side)] if side else [0, 1]
        if np.isfinite(found[chosen]).any():
            what = f"there are several boxes for the {side or 'same'} hand."
            raise BaselineError(Problem("HB302", "--boxes", what, fix="Give one for each."))
        found[chosen] = box
    return found


def _side(text: str) -> str:
    if text and text not in HAND_SIDES:
        fix = "right:x,y,w,h or left:x,y,w,h."
        raise BaselineError(Problem("HB302", "--boxes", f"{text!r} is no hand.", fix=fix))
    return text


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
        for box in one.boxes:
            _draw_box(flat, box, BOX_COLOURS[number % len(BOX_COLOURS)])
        if one.meshes is not None:
            _draw_meshes(flat, one, K)
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


def _draw_meshes(axes: Any, found: Found, K: np.ndarray) -> None:
    """Draw hands over the picture: faces from far to near, brighter where they face the camera."""
    from matplotlib.collections import PolyCollection

    assert found.meshes is not None
    meshes = Meshes.of("handsim-" if found.hand == "handsim" else "arctic")
    for side, (parameters, joints) in enumerate(zip(found.meshes, found.joints, strict=True)):
        if not np.isfinite(parameters).all() or joints[:, 2].min() <= 0:
            continue
        vertices = meshes.vertices(side, parameters[None])[0] + joints[0]
        faces = vertices[meshes.models[side].faces]
        normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
        middle = faces.mean(axis=1)
        lit = -(normals * middle).sum(axis=1)
        lit /= np.linalg.norm(normals, axis=1) * np.linalg.norm(middle, axis=1) + 1e-12
        seen = np.flatnonzero(lit > 0)
        seen = seen[np.argsort(-middle[seen, 2])]
        spots = project(vertices[None], K[None])[0][meshes.models[side].faces[seen]]
        shade = (0.35 + 0.65 * lit[seen])[:, None] * np.array(MESH_COLOURS[side])
        colours = np.concatenate([shade, np.full((len(seen), 1), 0.75)], axis=1)
        axes.add_collection(PolyCollection(spots, facecolors=colours, edgecolors="none"))


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
