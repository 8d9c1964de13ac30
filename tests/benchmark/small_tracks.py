"""Small annotations for a track of each kind, seeded, with the truth to make predictions from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand_bench import write_predictions
from hand_bench.annotations import VIEWS, write
from hand_bench.geometry import project, world_to_camera
from hand_bench.joint_sets import HAND_SIDES, convert, palm_from_wrist
from hand_bench.predictions import write_clips
from hand_bench.skeleton_world import SkeletonWorld
from hand_bench.tracks import Track, find_track

K = np.array([[900.0, 0, 320], [0, 900, 240], [0, 0, 1]])
WIDTH, HEIGHT = 640, 480
#: Pixels from the joints to the sides of a hand's box.
MARGIN = 10
_HAND_TYPES = np.array(["", "right", "left", "interacting"])


@dataclass(frozen=True)
class SmallTrack:
    """A table of a pose track, and its truth: joints (rows, 2, 21, 3 or 2), which are annotated."""

    track: Track
    annotations: Path
    sample_id: list[str]
    joints: np.ndarray
    present: np.ndarray

    def noisy(self, size: float = 4.0, seed: int = 1) -> np.ndarray:
        """The true joints with noise, in the unit of the track."""
        return self.joints + np.random.default_rng(seed).normal(0, size, self.joints.shape)

    def write(self, path: Path, joints: np.ndarray, present=None, **options) -> Path:
        """Write predictions; hands that are not present are null."""
        present = self.present if present is None else present
        joints = np.where(present[..., None, None], joints, np.nan)
        planar = "_2d" if self.track.kind == "pose-2d" else ""
        hands = {f"{side}_joints{planar}": joints[:, k] for k, side in enumerate(HAND_SIDES)}
        write_predictions(path, self.sample_id, **hands, track=self.track.name, **options)
        return path


@dataclass(frozen=True)
class SmallClips:
    """A table of an action track, and the class of each clip."""

    track: Track
    annotations: Path
    sample_id: list[str]
    label: np.ndarray

    def answers(self, right: float = 0.7, seed: int = 1) -> np.ndarray:
        """Class numbers of which about the share `right` is right; others are the next class."""
        rng = np.random.default_rng(seed)
        wrong = rng.random(len(self.label)) >= right
        classes = len(self.track.classes)
        return np.where(wrong, (self.label + rng.integers(1, 3, len(wrong))) % classes, self.label)

    def scores(self, label: np.ndarray, more: int = 0, seed: int = 2) -> np.ndarray:
        """Scores of every class (and of `more` in front) that `label` wins."""
        classes = len(self.track.classes) + more
        scores = np.random.default_rng(seed).random((len(label), classes)).astype(np.float32)
        scores[np.arange(len(label)), label + more] += 2
        return scores

    def write(self, path: Path, **answers) -> Path:
        """Write predictions: `label`, `scores`, or both."""
        write_clips(path, self.sample_id, track=self.track.name, **answers)
        return path


def moving_hands(sequences: int, frames: int, seed: int = 0) -> np.ndarray:
    """Two hands in front of a camera (rows, 2, 21, 3), mm, OpenPose order, rows by sequence."""
    world = SkeletonWorld(
        captures=1, sequences=sequences, frames=frames + 4, seed=seed, hand_types=("interacting",)
    )
    parts = [world.joints(take)[:frames] for take in world.takes()]
    both = np.concatenate(parts).reshape(-1, 2, 21, 3)
    return convert(both, "interhand21", "openpose21")


def world_track(
    folder: Path, name: str = "assemblyhands-annotation", *, sequences: int = 6, frames: int = 8,
    views: bool = True, truth: bool = True, images: bool = False,
) -> SmallTrack:  # fmt: skip
    """Write a track in the world frame with two views of every instant (`images`: of the second).

    The frame numbers of all sequences begin at 0; some instants have one hand only.
    """
    joints = moving_hands(sequences, frames).astype(np.float32)
    rows = _rows(name, sequences, frames)
    present = np.ones((len(joints), 2), bool)
    present[::5, 1] = False
    columns = rows | _truth(joints, present & truth) | {"hand_type": _hand_types(present)}
    columns["hand_type_valid"] = np.ones(len(joints), bool)
    write(folder / "annotations.parquet", columns)
    if views:
        write(folder / VIEWS, _views(folder, rows, images))
    return _pose(folder, name, rows, joints, present)


def camera_track(
    folder: Path, name: str = "assemblyhands", *, sides: tuple[str, ...] = HAND_SIDES,
    sequences: int = 6, frames: int = 8, with_k: bool = True, truth: bool = True,
) -> SmallTrack:  # fmt: skip
    """Write a track of single images in camera space without world, time and pictures."""
    track = find_track(name)
    joints = moving_hands(sequences, frames)
    if track.joint_set == "palm21":
        joints = palm_from_wrist(joints, "middle-mcp-2.2")
    joints = joints.astype(np.float32)
    rows = _rows(name, sequences, frames)
    present = np.repeat([[side in sides for side in HAND_SIDES]], len(joints), axis=0)
    columns = rows | _truth(joints, present & truth)
    columns |= {"hand_type": _hand_types(present), "camera": ["front"] * len(joints)}
    columns["action"] = [("grab", "use")[k % 2] for k in range(len(joints))]
    if with_k:
        columns |= _camera(len(joints))
    write(folder / "annotations.parquet", columns)
    return _pose(folder, name, rows, joints, present)


def planar_track(
    folder: Path, *, sequences: int = 6, frames: int = 8, images: bool = False
) -> SmallTrack:
    """Write Epic-HandKps: 2D joints in pixels, boxes, and one hand of every fourth image."""
    joints = project(moving_hands(sequences, frames), K).astype(np.float32)
    rows = _rows("epic-handkps", sequences, frames)
    n = len(joints)
    present = np.ones((n, 2), bool)
    present[::4, 0] = False
    columns = rows | _camera(n) | {"hand_type": _hand_types(present)}
    columns["hand_type_valid"] = np.zeros(n, bool)
    seen = np.random.default_rng(0).random((n, 2, 21)) > 0.15
    for k, side in enumerate(HAND_SIDES):
        low, high = joints[:, k].min(axis=1) - MARGIN, joints[:, k].max(axis=1) + MARGIN
        columns[f"{side}_joints_2d"] = joints[:, k], ~present[:, k]
        columns[f"{side}_valid"] = np.zeros((n, 21), bool)
        columns[f"{side}_in_view"] = seen[:, k] & present[:, k : k + 1]
        columns[f"{side}_bbox"] = np.concatenate([low, high - low], axis=1), ~present[:, k]
    if images:
        columns["image"] = [f"{k}.png" for k in range(n)]
        _write_picture(folder / "0.png")
    write(folder / "annotations.parquet", columns)
    return _pose(folder, "epic-handkps", rows, joints, present)


def clip_track(
    folder: Path, name: str = "h2o-action-val", *, clips: int = 120, sequences: int = 8,
    truth: bool = True,
) -> SmallClips:  # fmt: skip
    """Write an action track whose classes come in turn; their names are the column `action`."""
    track = find_track(name)
    label = np.random.default_rng(3).permutation(np.arange(clips) % len(track.classes))
    sequence = np.sort(np.arange(clips) % sequences)
    start = np.arange(clips) * 40
    columns = {
        "sample_id": [f"{track.split}/{k + 1}" for k in range(clips)],
        "sequence": [f"s{k}" for k in sequence],
        "frame": start,
        "end_frame": start + 30,
        "action": [track.classes[k] for k in label],
        "label": label if truth else None,
    }
    write(folder / "annotations.parquet", columns)
    return SmallClips(track, folder / "annotations.parquet", columns["sample_id"], label)


def of_track(folder: Path, name: str) -> SmallTrack | SmallClips:
    """Write a small table of any track."""
    track = find_track(name)
    if track.kind == "action":
        return clip_track(folder, name)
    if track.kind == "pose-2d":
        return planar_track(folder, frames=4)
    make = world_track if track.frame == "world" else camera_track
    return make(folder, name, frames=4)


def good_file(made: SmallTrack | SmallClips, path: Path) -> Path:
    """Write predictions in which nothing is wrong but some noise."""
    if isinstance(made, SmallClips):
        return made.write(path, label=made.answers())
    return made.write(path, made.noisy(3))


def _rows(name: str, sequences: int, frames: int) -> dict:
    split = find_track(name).split
    sequence = np.repeat(np.arange(sequences), frames)
    frame = np.tile(np.arange(frames), sequences)
    return {
        "sample_id": [f"{split}/s{s}/{f:04d}" for s, f in zip(sequence, frame, strict=True)],
        "sequence": [f"s{s}" for s in sequence],
        "frame": frame,
    }


def _truth(joints: np.ndarray, present: np.ndarray) -> dict:
    columns = {}
    for k, side in enumerate(HAND_SIDES):
        marks = np.repeat(present[:, k : k + 1], 21, axis=1)
        columns[f"{side}_joints"] = joints[:, k], ~present[:, k]
        columns[f"{side}_valid"] = columns[f"{side}_in_view"] = marks
        columns[f"{side}_bbox"] = np.full((len(joints), 4), 100.0), ~present[:, k]
    return columns


def _hand_types(present: np.ndarray) -> list[str]:
    return _HAND_TYPES[present @ [1, 2]].tolist()


def _camera(rows: int) -> dict:
    return {
        "width": np.full(rows, WIDTH),
        "height": np.full(rows, HEIGHT),
        "K": np.broadcast_to(K, (rows, 3, 3)),
    }


def _views(folder: Path, rows: dict, images: bool) -> dict:
    """One row for each of two cameras and each instant: from the front, and from the right."""
    turn = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
    poses = np.stack([np.eye(4), np.eye(4)])
    poses[1, :3, :3] = turn.T
    poses[1, :3, 3] = np.array([0, 0, 1050]) - turn.T @ [0, 0, 1050]
    n = len(rows["sample_id"])
    columns = {name: list(rows[name]) * 2 for name in ("sequence", "frame")}
    columns["sample_id"] = [f"{camera}/{name}" for camera in "ab" for name in rows["sample_id"]]
    columns["camera"] = ["front"] * n + ["side"] * n
    columns["T_world_from_camera"] = np.repeat(poses, n, axis=0)
    if images:
        columns["image"] = [None] * n + ["side.png"] * n
        _write_picture(folder / "side.png")
    return columns | _camera(2 * n)


def side_view(joints: np.ndarray) -> np.ndarray:
    """Pixels of world points in the second view of `world_track`."""
    turn = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
    pose = np.eye(4)
    pose[:3, :3] = turn.T
    pose[:3, 3] = np.array([0, 0, 1050]) - turn.T @ [0, 0, 1050]
    return project(world_to_camera(joints, pose), K)


def _write_picture(path: Path) -> None:
    from PIL import Image

    shade = np.linspace(40, 120, WIDTH, dtype=np.uint8)
    Image.fromarray(np.tile(shade, (HEIGHT, 1))).save(path)


def _pose(folder: Path, name: str, rows: dict, joints, present) -> SmallTrack:
    track, path = find_track(name), folder / "annotations.parquet"
    return SmallTrack(track, path, rows["sample_id"], joints, present)
