"""Pictures of a recording with everything that is known about them: the rows of a shard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hand_bench import shards
from hand_bench.hand_model import rotvec_to_rotmat, to_camera
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.sim import label_noise, motion
from hand_bench.sim.hand import forearm_mesh, hand_mesh, models
from hand_bench.sim.objects import OBJECTS
from hand_bench.sim.recordings import Instant, Recording, seconds
from hand_bench.sim.render import hand_window, project, random_look, render, visible_fraction
from hand_bench.sim.scene import LEFT_HAND, RIGHT_HAND, Clip, Look, Mesh, Picture, View
from hand_bench.sim.skinning import skinners

#: A camera sees a hand when so many joints of it are in its frame.
ENOUGH = 8
#: Margin around the hands of a window, as a share of their box.
MARGIN = 0.3
_INSTANCES = (RIGHT_HAND, LEFT_HAND)
#: Index of the middle finger's first joint.
_MIDDLE_MCP = 9


@dataclass(frozen=True)
class Moment:
    """One instant: joints and labels in the world, and the surfaces that cameras see."""

    recording: Recording
    instant: Instant
    clip: Clip
    joints: np.ndarray
    labels: np.ndarray | None
    meshes: list[Mesh]


@dataclass(frozen=True)
class Shot:
    """One picture of a moment, and which hands the camera sees (right, left)."""

    moment: Moment
    view: View
    picture: Picture
    seen: tuple[bool, bool]


def rows_of(recording: Recording, kind: str, prefix: str) -> list[dict[str, Any]]:
    """Return the rows of a recording for a table of "images" or of "views"."""
    return [row(shot, prefix) for moment in moments(recording) for shot in shots(moment, kind)]


def moments(recording: Recording, instants: list[Instant] | None = None) -> Iterator[Moment]:
    """Return what happens at the instants that are drawn (or at some of them), in time order."""
    by_clip: dict[int, list[Instant]] = {}
    for instant in recording.instants() if instants is None else instants:
        by_clip.setdefault(instant.clip, []).append(instant)
    for k, here in by_clip.items():
        clip = recording.clips[k]
        joints = motion.joints(clip)
        labels = _labels(recording, k, clip, joints)
        meshes = _meshes(clip, [instant.frame for instant in here], joints)
        for instant, surfaces in zip(here, meshes, strict=True):
            own = None if labels is None else labels[instant.frame]
            yield Moment(recording, instant, clip, joints[instant.frame], own, surfaces)


def shots(moment: Moment, kind: str) -> Iterator[Shot]:
    """Photograph a moment by every camera that is asked; cameras that see no hand are left out.

    Videos (whole clips) keep every frame.
    """
    recording, instant = moment.recording, moment.instant
    look = _look(recording)
    video = recording.amount.frames == 0
    for view in recording.views(instant, kind):
        inside = [_in_frame(moment, view, side) for side in range(2)]
        seen = [points.sum() >= ENOUGH for points in inside]
        if not (any(seen) or video or kind == "views"):
            continue
        stored = _stored(recording, view, moment, inside)
        if stored is None:
            continue
        seed = int(recording.rng("picture", instant.number, view.name).integers(2**31))
        picture = render(moment.meshes, stored, replace(look, seed=seed))
        # Joints of a world with several views and of a video are known, whatever one frame shows.
        known = kind == "views" or video
        yield Shot(moment, stored, picture, (known or bool(seen[0]), known or bool(seen[1])))


def row(shot: Shot, prefix: str) -> dict[str, Any]:
    """Return what a shard stores of a picture."""
    moment, view = shot.moment, shot.view
    recording, instant, clip = moment.recording, moment.instant, moment.clip
    source = recording.source
    table = f"{prefix}-{recording.split}" if prefix else recording.split
    start, end = recording.clip_range(instant.clip)
    action = recording.action(instant.clip)
    hands = {side: _hand(shot, k) for k, side in enumerate(HAND_SIDES) if _asked(shot, k)}
    boxes = [h["bbox"] for h in hands.values() if h["bbox"] is not None]
    made: dict[str, Any] = {
        "sample_id": f"{table}/{recording.sequence}/{view.name}/{instant.number:06d}",
        "image": shards.jpeg(shot.picture.image),
        "mask": shards.png(shot.picture.part),
        "sequence": recording.sequence,
        "subject": recording.subject_name,
        "camera": view.name,
        "frame": instant.number,
        "time": seconds(instant),
        "width": view.width,
        "height": view.height,
        "K": view.K,
        "T_world_from_camera": view.T_world_from_camera,
        "hand_type": "interacting" if len(hands) == 2 else next(iter(hands), None),
        "annotator": recording.annotator,
        "object": clip.object or None,
        "verb": clip.verb or None,
        "action": action[1].name if action else None,
        "label": action[0] if action else None,
        "clip": instant.clip,
        "clip_start": start,
        "clip_end": end,
        "bbox": _union(boxes),
    }
    if clip.object_pose is not None:
        made["object_pose"] = clip.object_pose[instant.frame]
    for side, values in hands.items():
        made |= {f"{side}_{name}": value for name, value in values.items()}
    if source.planar and recording.split == "train":
        made |= {f"{side}_joints_2d": None for side in HAND_SIDES}
    return made


# ---- hands ---------------------------------------------------------------------------------------


def _asked(shot: Shot, side: int) -> bool:
    """Whether a hand is part of the truth of a picture."""
    moment = shot.moment
    if not (moment.clip.present[side] and shot.seen[side]):
        return False
    if moment.recording.source.dominant:
        pixels = [int((shot.picture.instance == i).sum()) for i in _INSTANCES]
        return side == (1 if pixels[1] > pixels[0] else 0)
    return True


def _hand(shot: Shot, side: int) -> dict[str, Any]:
    """Return everything that is known of one hand in a picture."""
    moment, view, source = shot.moment, shot.view, shot.moment.recording.source
    world = moment.joints[side]
    pixels, depth = project(world, view)
    inside = _inside(pixels, depth, view)
    made: dict[str, Any] = {
        "bbox": _box(pixels[inside], view) if inside.sum() >= 3 else None,
        "visible": visible_fraction(shot.picture, world, view, _INSTANCES[side]),
        "grasp": int(moment.clip.grasp[moment.instant.frame, side]),
    }
    if source.planar:
        return made | {"joints_2d": np.where(np.isfinite(pixels), pixels, 0.0)}
    made["joints"] = _in_camera(_rooted(world, source.palm), view)
    made["mano"] = _mano(moment, side, view)
    if moment.labels is not None and np.isfinite(moment.labels[side]).all():
        made["label_joints"] = _in_camera(_rooted(moment.labels[side], source.palm), view)
    return made


def _mano(moment: Moment, side: int, view: View) -> np.ndarray:
    """MANO's parameters in the camera frame: 48 pose, 10 shape, 3 translation (mm)."""
    clip, frame = moment.clip, moment.instant.frame
    model, betas = models()[side], clip.subject.betas
    pose = clip.rotvec[frame, side]
    inverse = np.linalg.inv(view.T_world_from_camera)
    turned, moved = to_camera(
        pose[0], clip.translation[frame, side], inverse[:3, :3], inverse[:3, 3], model.root(betas)
    )
    return np.concatenate([turned.ravel(), pose[1:].ravel(), betas, moved.ravel()])


def _rooted(joints: np.ndarray, palm: bool) -> np.ndarray:
    if not palm:
        return joints
    return np.concatenate([(joints[:1] + joints[[_MIDDLE_MCP]]) / 2, joints[1:]])


def _in_camera(points: np.ndarray, view: View) -> np.ndarray:
    pose = view.T_world_from_camera
    return (points - pose[:3, 3]) @ pose[:3, :3]


def _inside(pixels: np.ndarray, depth: np.ndarray, view: View) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        within = (pixels >= -0.5) & (pixels < np.array([view.width, view.height]) - 0.5)
    return within.all(axis=1) & (depth > 0)


def _box(pixels: np.ndarray, view: View, enlarged: float = 1.2) -> np.ndarray:
    """x, y, width, height around points, enlarged about its middle and cut at the image."""
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    middle, half = (low + high) / 2, enlarged * np.maximum(high - low, 2.0) / 2
    edge = np.array([view.width, view.height]) - 0.5
    low, high = np.clip(middle - half, -0.5, edge), np.clip(middle + half, -0.5, edge)
    return np.concatenate([low, high - low])


def _union(boxes: list[np.ndarray]) -> np.ndarray | None:
    if not boxes:
        return None
    stacked = np.stack(boxes)
    low = stacked[:, :2].min(axis=0)
    high = (stacked[:, :2] + stacked[:, 2:]).max(axis=0)
    return np.concatenate([low, high - low])


# ---- scene ---------------------------------------------------------------------------------------


def _labels(recording: Recording, k: int, clip: Clip, joints: np.ndarray) -> np.ndarray | None:
    """Labels of an annotator for training; None where the truth itself is the label."""
    model = recording.source.labels[recording.annotator]
    if recording.split not in ("train", "training") or model == "exact":
        return None
    rng = recording.rng("labels", k)
    made = label_noise.annotate(model, joints, rng, present=clip.present, order="openpose21")
    return made.joints


def _meshes(clip: Clip, frames: list[int], joints: np.ndarray) -> list[list[Mesh]]:
    """Return the surfaces of each frame; what stays in a clip (triangles, colours) is made once."""
    found: list[list[Mesh]] = [[] for _ in frames]
    for side, name in enumerate(HAND_SIDES):
        if not clip.present[side]:
            continue
        model, turned = models()[side], clip.rotvec[frames, side]
        skin = hand_mesh(model, model.v_template, clip.subject, name)
        arms = forearm_mesh(np.zeros(3), np.eye(3), clip.subject, name)
        vertices = skinners()[side].vertices(
            turned, clip.subject.betas, clip.translation[frames, side]
        )
        wrists = rotvec_to_rotmat(turned[:, 0])
        for k, frame in enumerate(frames):
            found[k].append(replace(skin, vertices=vertices[k]))
            place = joints[frame, side, 0]
            found[k] += [replace(a, vertices=a.vertices @ wrists[k].T + place) for a in arms]
    if clip.object_pose is not None and clip.object in OBJECTS:
        thing = OBJECTS[clip.object]
        for k, frame in enumerate(frames):
            found[k].append(
                thing.mesh(clip.object_pose[frame], clip.object_size, clip.subject.style)
            )
    return found


def _look(recording: Recording) -> Look:
    return random_look(recording.rng("look"), recording.background)


def _in_frame(moment: Moment, view: View, side: int) -> np.ndarray:
    """Which joints of a hand are in the frame of a camera."""
    if not moment.clip.present[side]:
        return np.zeros(21, bool)
    return _inside(*project(moment.joints[side], view), view)


def _stored(
    recording: Recording, view: View, moment: Moment, inside: list[np.ndarray]
) -> View | None:
    """Return the camera of the stored picture; None where no joint is before the camera.

    A window is around the joints in the frame, or around the hands where none is.
    """
    source = recording.source
    if source.whole:
        return view.resized(source.pixels)
    points = np.concatenate([moment.joints[k][inside[k]] for k in range(2)])
    if not len(points):
        points = np.concatenate([moment.joints[k] for k in range(2) if moment.clip.present[k]])
    try:
        return hand_window(view, points, MARGIN, source.pixels)
    except ValueError:
        return None
