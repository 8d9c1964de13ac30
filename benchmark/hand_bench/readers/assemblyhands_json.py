"""AssemblyHands' official JSON files as arrays, parsed as streams.

The facts followed are listed in `hand_bench.readers.assemblyhands`. One image or one sequence is
parsed at a time; what is kept are a few numbers per image and the joints of every instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ijson
import numpy as np
import pyarrow as pa

from hand_bench.calibration import bare_name, rigid_pose
from hand_bench.errors import DatasetError, Problem
from hand_bench.readers.json_stream import Growing, items, reading

Progress = Callable[[str, int, int], None]
#: A box with exchanged corners is odd; more than this share of them is another format.
_INVERTED_BOXES = 0.01


@dataclass
class Images:
    """Numbers per annotation of ego_data; texts are codes into lists; NaN boxes are null."""

    annotation_id: np.ndarray
    sequence: np.ndarray
    camera: np.ndarray
    frame: np.ndarray
    size: np.ndarray
    #: x0, y0, x1, y1 of the right and of the left hand: [n, 2, 4].
    corners: np.ndarray
    #: joint_valid of this view in the official order, [n, 42], and whether the file has it.
    in_view: np.ndarray
    in_view_given: np.ndarray
    sequences: list[str]
    cameras: list[str]
    file_name: pa.Array
    #: Images that no annotation points to.
    without_annotation: int

    def __len__(self) -> int:
        return len(self.annotation_id)

    @property
    def asked(self) -> np.ndarray:
        """Which hands have a box: [n, 2]."""
        return ~np.isnan(self.corners[..., 0])

    @property
    def inverted(self) -> np.ndarray:
        """Which of the boxes that are there have their second corner before the first."""
        boxes = self.corners[self.asked]
        return np.any(boxes[:, 2:] < boxes[:, :2], axis=1)

    def of_sequence(self, name: str) -> np.ndarray:
        """Positions of a sequence's images, sorted by camera and frame."""
        rows = np.flatnonzero(self.sequence == self.sequences.index(name))
        rank = np.argsort(np.argsort(np.array(self.cameras)))
        return rows[np.lexsort((self.frame[rows], rank[self.camera[rows]]))]


def read_images(path: Path, progress: Progress) -> Images:
    """Read ego_data as a stream: images first, then annotations, joined by image_id.

    Raises
    ------
    DatasetError
        HB203 for JSON of another form, HB204 where annotations and images do not match.
    """
    with reading(path):
        images = _read_images(path, progress)
    _check_boxes(images, path)
    _check_once(images, path)
    return images


def _read_images(path: Path, progress: Progress) -> Images:
    sequences, cameras = {}, {}
    ids, numbers, names = Growing(np.int64, 1), Growing(np.int64, 5), []
    for item in items(path, "images", progress):
        ids.add((item["id"],))
        numbers.add(
            (
                sequences.setdefault(str(item["seq_name"]), len(sequences)),
                cameras.setdefault("HMC_" + bare_name(str(item["camera"])), len(cameras)),
                int(item["frame_idx"]),
                item["width"],
                item["height"],
            )
        )
        names.append(str(item["file_name"]))
    names = pa.array(names, pa.string())
    image_ids, image = ids.array()[:, 0], numbers.array()
    order = np.argsort(image_ids, kind="stable")
    ranked = image_ids[order]
    if not ranked.size:
        raise ValueError("it lists no images")
    aid, image_of = Growing(np.int64, 1), Growing(np.int64, 1)
    corners, valid, given = Growing(np.float64, 8), Growing(np.bool_, 42), Growing(np.bool_, 1)
    for item in items(path, "annotations", progress):
        aid.add((item["id"],))
        image_of.add((item["image_id"],))
        corners.add([v for side in ("right", "left") for v in _corners(item["bbox"].get(side))])
        view = item.get("joint_valid")
        valid.add(_bits(view) if view else [False] * 42)
        given.add((bool(view),))
    if not image_of.array().size:
        raise ValueError("it lists no annotations")
    row = _positions(image_of.array()[:, 0], ranked, order, aid.array()[:, 0], path)
    return Images(
        aid.array()[:, 0],
        *(image[row, k] for k in range(3)),
        image[row, 3:],
        corners.array().reshape(-1, 2, 4),
        valid.array(),
        given.array()[:, 0],
        list(sequences),
        list(cameras),
        names.take(pa.array(row)),
        len(image) - len(np.unique(row)),
    )


def _positions(wanted: np.ndarray, ranked: np.ndarray, order, annotation, path: Path) -> np.ndarray:
    """Position of each annotation's image; every image once at most."""
    twice = ranked[1:][ranked[1:] == ranked[:-1]]
    if twice.size:
        what = f"{twice.size} image ids occur twice, e.g. {twice[0]}."
        raise DatasetError(Problem("HB204", str(path), what))
    at = np.minimum(np.searchsorted(ranked, wanted), len(ranked) - 1)
    lost = np.flatnonzero(ranked[at] != wanted)
    if lost.size:
        what = (
            f"annotation {annotation[lost[0]]} points to image {wanted[lost[0]]}, which is not "
            "in the file."
        )
        raise DatasetError(Problem("HB204", str(path), what))
    return order[at]


def _corners(box: list[float] | None) -> list[float]:
    if box and len(box) != 4:
        raise ValueError(f"a bbox of {len(box)} numbers: {box!r:.60}")
    return box or [np.nan] * 4


def _bits(view: list[Any]) -> list[bool]:
    """joint_valid is 42 numbers or 42 lists of one number (1.2)."""
    if len(view) != 42:
        raise ValueError(f"a joint_valid of {len(view)} numbers")
    return [bool(v[0] if isinstance(v, list) else v) for v in view]


def _check_boxes(images: Images, path: Path) -> None:
    boxes, inverted = images.corners[images.asked], images.inverted
    if inverted.sum() > _INVERTED_BOXES * len(boxes):
        raise DatasetError(
            Problem(
                "HB203",
                str(path),
                f"{int(inverted.sum()):,} of {len(boxes):,} boxes have their second corner before "
                f"the first, e.g. {boxes[inverted.argmax()].tolist()}.",
                cause="Boxes of AssemblyHands are [x0, y0, x1, y1]; were they changed to "
                "[x, y, width, height]?",
            )
        )


def _check_once(images: Images, path: Path) -> None:
    keys = np.stack([images.sequence, images.camera, images.frame], axis=1)
    unique, first, count = np.unique(keys, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        row = first[(count > 1).argmax()]
        raise DatasetError(
            Problem(
                "HB204",
                str(path),
                f"{len(keys) - len(unique):,} images are annotated more than once, e.g. "
                f"{images.file_name[int(row)]}.",
                cause="Files of two releases joined?",
            )
        )


@dataclass
class Calibration:
    """Cameras of one sequence: K by camera, and per frame the pose of each camera."""

    K: dict[str, np.ndarray]
    #: camera -> (frames in order, camera-from-world transforms 4x4 of these frames).
    poses: dict[str, tuple[np.ndarray, np.ndarray]]


def read_calibration(path: Path, progress: Progress) -> dict[str, Calibration]:
    """Read ego_calib, one sequence at a time: X_camera = R X_world + t, mm (1.3).

    Raises
    ------
    DatasetError
        HB203 for JSON of another form or a matrix that is no pose, HB204 for a frame given twice.
    """
    cameras = {}
    with reading(path):
        for name, value in _sequences(path, "calibration", progress):
            K = {
                "HMC_" + bare_name(camera): np.array(matrix, np.float64).reshape(3, 3)
                for camera, matrix in value["intrinsics"].items()
            }
            poses = _poses(value["extrinsics"], f"{path}, {name}")
            cameras[name] = Calibration(K, poses)
    return cameras


def _poses(extrinsics: dict[str, Any], where: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found: dict[str, tuple[list[int], list[Any]]] = {}
    for frame in extrinsics:
        for camera, matrix in extrinsics[frame].items():
            if matrix is None:
                continue
            frames, matrices = found.setdefault("HMC_" + bare_name(camera), ([], []))
            frames.append(int(frame))
            matrices.append(matrix)
    poses = {}
    for camera, (frames, matrices) in found.items():
        order = in_order(frames, f"{where}, {camera}")
        views = np.array(matrices, np.float64).reshape(len(frames), -1, 4)[order]
        poses[camera] = np.array(frames)[order], rigid_pose(views, f"{where}, {camera}")
    return poses


@dataclass
class Truth:
    """3D joints of one sequence in the world, official order (mm), frames in order."""

    frame: np.ndarray
    joints: np.ndarray
    valid: np.ndarray
    #: Hands with all joints at one point: a placeholder for withheld truth (1.7), [n, 2].
    placeholder: np.ndarray


def read_truth(path: Path, progress: Progress) -> dict[str, Truth]:
    """Read joint_3d, one sequence at a time.

    Raises
    ------
    DatasetError
        HB203 for JSON of another form, HB204 for a frame given twice.
    """
    truth = {}
    with reading(path):
        for name, frames in _sequences(path, "annotations", progress):
            order = in_order(list(frames), f"{path}, {name}")
            values = list(frames.values())
            joints = np.array([v["world_coord"] for v in values], np.float64)
            joints = joints.reshape(len(values), 42, 3)[order]
            valid = np.array([_bits(v.get("joint_valid") or [1] * 42) for v in values], bool)
            valid = valid.reshape(len(values), 42)[order] & np.isfinite(joints).all(axis=-1)
            hands = joints.reshape(-1, 2, 21, 3)
            truth[name] = Truth(
                np.array([int(frame) for frame in frames])[order],
                np.nan_to_num(joints).astype(np.float32),
                valid,
                (hands == hands[:, :, :1]).all(axis=(2, 3)) | ~np.isfinite(hands).any(axis=(2, 3)),
            )
    return truth


def read_frames(path: Path, progress: Progress) -> dict[str, np.ndarray]:
    """Read only which frames a file of joint_3d's form holds, in order, by sequence.

    Raises
    ------
    DatasetError
        HB203 for JSON of another form, HB204 for a frame given twice.
    """
    found = {}
    with reading(path):
        for name, frames in _sequences(path, "annotations", progress):
            order = in_order(list(frames), f"{path}, {name}")
            found[name] = np.array([int(frame) for frame in frames], np.int64)[order]
    return found


def read_sequence_names(path: Path, progress: Progress) -> list[str]:
    """Read only which sequences an ego_data file holds, in order.

    Raises
    ------
    DatasetError
        HB203 for JSON of another form.
    """
    with reading(path):
        return sorted({str(item["seq_name"]) for item in items(path, "images", progress)})


def in_order(frames: list[Any], where: str) -> np.ndarray:
    """Return the order of frames by number; the same number twice ("554", "000554") is HB204."""
    numbers = np.array([int(frame) for frame in frames], np.int64)
    order = np.argsort(numbers, kind="stable")
    twice = np.flatnonzero(np.diff(numbers[order]) == 0)
    if twice.size:
        frame = numbers[order[twice[0]]]
        raise DatasetError(Problem("HB204", where, f"frame {frame} is given more than once."))
    return order


def _sequences(path: Path, key: str, progress: Progress) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (sequence, value), one sequence at a time."""
    total, some = path.stat().st_size, False
    with path.open("rb") as stream:
        for name, value in ijson.kvitems(stream, key, use_float=True):
            some = True
            progress(path.name, stream.tell(), total)
            yield name, value
    if not some:
        raise ValueError(f"{key!r} holds no sequences")
