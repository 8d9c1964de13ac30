"""The rows of AssemblyHands: images of one sequence as canonical columns.

The facts followed are listed in `hand_bench.readers.assemblyhands`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from hand_bench.annotations import intervals
from hand_bench.calibration import invert_pose
from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import world_to_camera
from hand_bench.joint_sets import HAND_SIDES, permutation
from hand_bench.readers.assemblyhands_files import Files
from hand_bench.readers.assemblyhands_json import (
    Calibration,
    Progress,
    Truth,
    read_calibration,
    read_images,
    read_truth,
)

FRAME_NUMBERS_PER_SECOND = 60.0
FRAME_STEP = 2
OFFICIAL_ORDER = permutation("assemblyhands21", "openpose21")
#: By the number 1 * right + 2 * left of the hands that are asked.
HAND_TYPES = np.array([None, "right", "left", "interacting"], object)


def subject(sequence: str) -> str | None:
    """Return the subject of `nusar-2021_action_both_9014-a23_9014_user_id_...`: 9014."""
    found = re.search(r"_both_(\d+)-", sequence)
    return found[1] if found else None


class Source:
    """The files of one split, read; gives the rows of one sequence at a time and counts them."""

    def __init__(self, files: Files, progress: Progress):
        self.files = files
        self.images = read_images(files.ego_data, progress)
        self.calibration = read_calibration(files.ego_calib, progress)
        self.truth = read_truth(files.joint_3d, progress) if files.joint_3d else None
        self.counts: Counter[str] = Counter()

    def truth_of(self, sequence: str, frame: np.ndarray) -> tuple[Truth, np.ndarray]:
        """The truth of a sequence and the position of each frame in it."""
        if self.truth is None:
            blank = np.zeros((1, 42, 3), np.float32)
            lacking = Truth(frame[:1], blank, np.zeros((1, 42), bool), np.ones((1, 2), bool))
            return lacking, np.zeros(len(frame), int)
        found = self.truth.get(sequence)
        at = np.full(len(frame), -1) if found is None else find(found.frame, frame)
        if found is None or (at < 0).any():
            raise _lacks_frames(self.files, sequence, frame[at < 0])
        return found, at

    def rows(self, sequence: str) -> np.ndarray:
        """Positions of a sequence's images that have a camera pose, by camera and frame."""
        rows = self.images.of_sequence(sequence)
        at = self._pose_positions(sequence, rows)
        self.counts["images without a camera pose"] += int((at < 0).sum())
        return rows[at >= 0]

    def _pose_positions(self, sequence: str, rows: np.ndarray) -> np.ndarray:
        calibration = self._calibration(sequence)
        at = np.full(len(rows), -1)
        for camera in np.unique(self.images.camera[rows]):
            here = self.images.camera[rows] == camera
            frames = calibration.poses.get(self.images.cameras[camera])
            if frames is not None:
                at[here] = find(frames[0], self.images.frame[rows[here]])
        return at

    def cameras(self, sequence: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """K and camera-from-world transforms of rows that have a pose."""
        calibration, at = self._calibration(sequence), self._pose_positions(sequence, rows)
        K, poses = np.empty((len(rows), 3, 3)), np.empty((len(rows), 4, 4))
        for camera in np.unique(self.images.camera[rows]):
            here, name = self.images.camera[rows] == camera, self.images.cameras[camera]
            if name not in calibration.K:
                raise _lacks_camera(self.files, sequence, name)
            K[here], poses[here] = calibration.K[name], calibration.poses[name][1][at[here]]
        return K, poses

    def _calibration(self, sequence: str) -> Calibration:
        if sequence not in self.calibration:
            raise _lacks_camera(self.files, sequence, "camera at all")
        return self.calibration[sequence]

    def columns(self, sequence: str, rows: np.ndarray) -> dict[str, Any]:
        """The canonical columns of images of one sequence, joints in the camera frame."""
        images, frame = self.images, self.images.frame[rows]
        camera = [images.cameras[k] for k in images.camera[rows]]
        K, T_camera_from_world = self.cameras(sequence, rows)
        pose = invert_pose(T_camera_from_world)
        truth, at = self.truth_of(sequence, frame)
        asked = images.asked[rows]
        absent = ~asked | truth.placeholder[at]
        joints = world_to_camera(truth.joints[at].astype(np.float64), pose)
        in_view, given = images.in_view[rows], images.in_view_given[rows]
        self._count(asked, absent)
        columns = {
            "sample_id": [
                f"{self.files.split}/{sequence}/{c}/{f:06d}"
                for c, f in zip(camera, frame, strict=True)
            ],
            "annotation_id": images.annotation_id[rows],
            "sequence": [sequence] * len(rows),
            "subject": [subject(sequence)] * len(rows),
            "camera": camera,
            "frame": frame,
            "time": frame / FRAME_NUMBERS_PER_SECOND,
            "interval": even_intervals(images.camera[rows], frame),
            "image": [
                f"images/{name}" for name in images.file_name.take(pa.array(rows)).to_pylist()
            ],
            "width": images.size[rows, 0],
            "height": images.size[rows, 1],
            "K": K,
            "T_world_from_camera": pose,
            "bbox": (_boxes(_union(images.corners[rows])), ~asked.any(axis=1)),
            "hand_type": HAND_TYPES[asked @ [1, 2]],
            "hand_type_valid": asked.any(axis=1),
        }
        for k, side in enumerate(HAND_SIDES):
            part, there = slice(21 * k, 21 * k + 21), asked[:, k]
            seen = (in_view[:, part] & there[:, None])[:, OFFICIAL_ORDER]
            columns[f"{side}_bbox"] = _boxes(images.corners[rows, k]), ~there
            columns[f"{side}_joints"] = joints[:, part][:, OFFICIAL_ORDER], absent[:, k]
            columns[f"{side}_valid"] = valid_joints(truth, at, k, there)
            columns[f"{side}_in_view"] = seen, ~given
        return columns

    def _count(self, asked: np.ndarray, absent: np.ndarray) -> None:
        both = asked.all(axis=1)
        self.counts["interacting"] += int(both.sum())
        for k, side in enumerate(HAND_SIDES):
            self.counts[side] += int((asked[:, k] & ~both).sum())
        self.counts["images without a hand"] += int((~asked.any(axis=1)).sum())
        self.counts["hands"] += int(asked.sum())
        self.counts["hands withheld"] += int((asked & absent).sum())

    def notes(self) -> list[str]:
        """What a reader of the numbers should know."""
        notes = [*self.files.notes]
        if self.files.joint_3d is None:
            notes.append("There is no joint_3d file: the truth is withheld, joints are null.")
        elif self.counts["hands withheld"]:
            notes.append(
                f"{self.counts['hands withheld']:,} hands in images have all joints at one point "
                f"in {self.files.joint_3d.name}: the truth is withheld, these joints are null."
            )
        if not self.images.in_view_given.all():
            lacking = int((~self.images.in_view_given).sum())
            notes.append(f"{lacking:,} annotations have no joint_valid: what is in view is null.")
        if self.images.inverted.any():
            notes.append(
                f"{int(self.images.inverted.sum()):,} boxes have their second corner before the "
                "first; they are kept as they are."
            )
        return notes


def valid_joints(truth: Truth, at: np.ndarray, k: int, asked: np.ndarray) -> np.ndarray:
    """Return which joints of hand `k` are valid in 3D, this project's order; none if not asked."""
    return (truth.valid[at, 21 * k : 21 * k + 21] & asked[:, None])[:, OFFICIAL_ORDER]


def even_intervals(camera: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Return the column ``interval``: the official 30 Hz is every second frame number."""
    return intervals([camera], frame, FRAME_STEP, FRAME_NUMBERS_PER_SECOND / FRAME_STEP)


def _boxes(corners: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1))


def _union(corners: np.ndarray) -> np.ndarray:
    """The box around both hands' boxes, of those that are there (fmin ignores NaN)."""
    low = np.fmin(corners[:, 0, :2], corners[:, 1, :2])
    return np.concatenate([low, np.fmax(corners[:, 0, 2:], corners[:, 1, 2:])], axis=1)


def find(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the position of each wanted number among ordered ones, -1 where it is not there."""
    if not len(ordered):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.where(ordered[at] == wanted, at, -1)


def _lacks_frames(files: Files, sequence: str, frames: np.ndarray) -> DatasetError:
    return DatasetError(
        Problem(
            "HB204",
            str(files.joint_3d),
            f"has no {sequence}, frame {frames[0]:06d}, which is asked for ({len(frames):,} like "
            "it in this sequence).",
            cause="Files of two releases mixed?",
        )
    )


def _lacks_camera(files: Files, sequence: str, name: str) -> DatasetError:
    what = f"has no {name} for {sequence}, which {files.ego_data.name} lists."
    cause = "Files of two releases mixed?"
    return DatasetError(Problem("HB204", str(files.ego_calib), what, cause=cause))
