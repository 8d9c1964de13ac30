"""Instants that several calibrated cameras see, as samples of one hand in all its views.

Conventions
-----------
A table of views has one row per camera and instant (`annotations.VIEWS`); sequence and frame say
which rows are one instant. Views without picture, camera or pose are left out. The world is that of
the table, millimetres.

Networks see one hand at a time, and always a right one: the pictures of a left hand are mirrored,
and its world with them (x becomes -x). `mirrored` goes both ways.

A view of a hand is a square crop. Its geometry is kept in parts, so that a point of the world goes
into the crop exactly, whatever the lens: ``affine(lens(K, pose(point)))``. A mirror or turn of the
world is in `pose`, a mirror, shift or turn of the crop in `affine`.

A hand's box in a view is the tight box of its joints that the camera sees, `ENLARGED` times as
large; there is none below three such joints. That is how the boxes of prepared tables are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hand_baselines.augmentation import Ranges, random_affine, random_colour
from hand_baselines.crops import compose, crop_affine, flip_affine
from hand_baselines.pictures import Pictures, split_place
from hand_baselines.samples import Order
from hand_baselines.warping import warp_image
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.calibration import invert_pose, project_opencv
from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import world_to_camera
from hand_bench.joint_sets import HAND_SIDES, OPENPOSE

#: What is read of a table of views.
VIEWS = (
    *("sequence", "frame", "camera", "image", "width", "height"),
    *("K", "distortion", "T_world_from_camera", "right_bbox", "left_bbox"),
)
#: A box over the extent of its joints, and how many of them it needs: `readers.multiview`'s, whose
#: module needs libraries that a bare training host does not have.
ENLARGED, MIN_SEEN = 1.2, 3
#: A hand is found from at least so many views.
LEAST = 2
#: The third MCP, around which volumes are.
MIDDLE = OPENPOSE.joints.index("middle1")

Key = tuple[str, int]


class Views(NamedTuple):
    """A batch of hands in their views; those that are not there are zeros.

    | field | shape | meaning |
    |---|---|---|
    | image | (batch, views, 3, size, size) | crops, bytes |
    | there | (batch, views) | bool |
    | pose | (batch, views, 3, 4) | camera from the hand's world, mm |
    | K, lens | (batch, views, 3, 3), (batch, views, 8) | of the picture |
    | affine | (batch, views, 2, 3) | picture to crop |
    """

    image: Tensor
    there: Tensor
    pose: Tensor
    K: Tensor
    lens: Tensor
    affine: Tensor


@dataclass(frozen=True)
class Instant:
    """The views of one instant.

    Attributes
    ----------
    images
        Pictures (height, width, 3), bytes.
    cameras
        Their names.
    K, lens, T_world_from_camera
        (views, 3, 3), (views, 8), (views, 4, 4); K is that of the picture as it is.
    boxes
        (views, 2, 4), x, y, w, h of the right and the left hand, px; NaN where there is none.
    """

    images: Sequence[np.ndarray]
    cameras: tuple[str, ...]
    K: np.ndarray
    lens: np.ndarray
    T_world_from_camera: np.ndarray
    boxes: np.ndarray

    def project(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where world joints (n, 3) are in the pictures (views, n, 2), and if they are.

        A joint is in the picture where it is in front of the camera and inside the border.
        """
        local = world_to_camera(np.asarray(joints, float), self.T_world_from_camera)
        points = project_opencv(local, self.K, self.lens)
        size = np.array([image.shape[1::-1] for image in self.images]).reshape(-1, 1, 2)
        with np.errstate(invalid="ignore"):
            inside = ((points >= -0.5) & (points < size - 0.5)).all(axis=-1)
        return points, inside & (local[..., 2] > 0)

    def boxes_around(self, joints: np.ndarray) -> np.ndarray:
        """Return the boxes (views, 4) of a hand with these joints (n, 3), NaN for unknown ones."""
        points, seen = self.project(joints)
        low = np.where(seen[..., None], points, np.inf).min(axis=1)
        high = np.where(seen[..., None], points, -np.inf).max(axis=1)
        enough = (seen.sum(axis=1) >= MIN_SEEN)[:, None]
        low, high = np.where(enough, low, np.nan), np.where(enough, high, np.nan)
        size = np.maximum(high - low, 1.0) * ENLARGED
        return np.concatenate([(low + high - size) / 2, size], axis=1)


class Instants(Dataset):
    """Instants by their number, with their pictures.

    Parameters
    ----------
    views
        Rows of views (`read_views`).
    pictures
        Where their pictures are.
    keys
        Sequence and frame of every instant.
    """

    def __init__(self, views: pa.RecordBatch, pictures: Pictures, keys: Sequence[Key]):
        self.views, self.pictures, self.keys = views, pictures, list(keys)
        self.rows = _rows_of(views, self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Instant:
        rows = self.rows[index]
        batch = AnnotationBatch(0, self.views.take(pa.array(rows, pa.int64())))
        images = [self.pictures.read(place) for place in batch["image"]]
        sizes = np.array([image.shape[1::-1] for image in images], float).reshape(-1, 2)
        given = np.stack([batch["width"], batch["height"]], axis=1).astype(float)
        # Boxes and K are those of the annotated size.
        scale = np.where(given > 0, sizes / np.maximum(given, 1), 1.0)
        stretch = np.concatenate([scale, np.ones((len(rows), 1))], axis=1)
        lens = np.where(batch.given("distortion")[:, None], batch["distortion"], 0.0)
        boxes = [
            np.where(batch.given(f"{side}_bbox")[:, None], batch[f"{side}_bbox"], np.nan)
            for side in HAND_SIDES
        ]
        return Instant(
            images,
            tuple(batch["camera"]),
            stretch[:, :, None] * batch["K"],
            lens,
            batch["T_world_from_camera"],
            np.stack(boxes, axis=1) * np.tile(scale, 2)[:, None],
        )

    def places(self) -> list[str]:
        """Return the place of each instant's first picture ("" where it has none)."""
        first = [rows[0] if len(rows) else None for rows in self.rows]
        column = self.views.column("image")
        return ["" if row is None else column[int(row)].as_py() for row in first]

    def order(self, numbers: Sequence[int], seed: int = 0) -> Order:
        """Return the order of samples that are at the instants `numbers` (see `Order`)."""
        places = self.places()
        found = [split_place(places[number]) for number in numbers]
        sharded = all(row is not None for _, row in found)
        keys = sorted(range(len(found)), key=found.__getitem__) if sharded else range(len(found))
        return Order(np.asarray(keys, np.int64), sharded, seed)


def read_views(annotations: Annotations) -> pa.RecordBatch:
    """Read the views of a prepared table that have a picture, a camera and a pose.

    Raises
    ------
    DatasetError
        HB201 where it has no table of views, HB202 where none has them.
    """
    opened = annotations.views()
    table = opened.table(VIEWS)
    for name in ("image", "K", "T_world_from_camera"):
        table = table.filter(table[name].is_valid())
    if not len(table):
        what = "no view has a picture, a camera and a pose."
        raise DatasetError(Problem("HB202", str(opened.path), what))
    return table.combine_chunks().to_batches()[0]


def keys_of(table: pa.RecordBatch | pa.Table) -> list[Key]:
    """Return sequence and frame of rows."""
    columns = (table.column(name).to_pylist() for name in ("sequence", "frame"))
    return [(str(sequence), int(frame)) for sequence, frame in zip(*columns, strict=True)]


def _rows_of(views: pa.RecordBatch, keys: Sequence[Key]) -> list[np.ndarray]:
    """Rows of the views of each instant, by the camera's name."""
    found: dict[Key, list[tuple[str, int]]] = {key: [] for key in keys}
    cameras = views.column("camera").to_pylist()
    for row, key in enumerate(keys_of(views)):
        if key in found:
            found[key].append((str(cameras[row]), row))
    return [np.array([row for _, row in sorted(found[key])], np.int64) for key in keys]


def mirrored(joints: np.ndarray, side: str) -> np.ndarray:
    """Return points (..., 3) of a left hand's world in that of the networks, or back."""
    return joints * np.array([-1.0, 1.0, 1.0]) if side == "left" else joints


@dataclass(frozen=True)
class Variation:
    """How much samples vary in training.

    Attributes
    ----------
    ranges
        Of crops and colours; mirrors are not among them.
    noise
        Largest shift of the root along each axis, mm.
    turn
        Largest turn of the world about any axis, degrees.
    dropped
        At most so many views are left out; `LEAST` always stay.
    """

    ranges: Ranges = field(default_factory=lambda: Ranges(flip_probability=0.0))
    noise: float = 0.0
    turn: float = 0.0
    dropped: int = 0


@dataclass(frozen=True)
class Cut:
    """How the crops of a hand are cut: the square of a box, and the crop's side in pixels."""

    square: Callable[[np.ndarray], np.ndarray]
    size: int

    def views(self, instant: Instant, side: str, boxes: np.ndarray) -> dict[str, np.ndarray]:
        """Return the views (fields of `Views`, without batch) of a hand with boxes (views, 4)."""
        kept = np.flatnonzero(np.isfinite(boxes).all(axis=1))
        affines = [crop_affine(self.square(boxes[k]), self.size) for k in kept]
        return self._views(instant, side, kept, affines, np.eye(3))

    def random_views(
        self,
        instant: Instant,
        side: str,
        boxes: np.ndarray,
        varied: Variation,
        turn: np.ndarray,
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """Return random views; `turn` (3, 3) is the rotation of the hand's world."""
        kept = np.flatnonzero(np.isfinite(boxes).all(axis=1))
        dropped = rng.integers(varied.dropped + 1)
        count = max(len(kept) - int(dropped), min(LEAST, len(kept)))
        kept = np.sort(rng.permutation(kept)[:count])
        affines = [
            random_affine(
                self.square(boxes[k]), instant.images[k].shape[1], self.size, varied.ranges, rng
            )
            for k in kept
        ]
        found = self._views(instant, side, kept, affines, turn)
        for image in found["image"]:
            coloured = random_colour(np.moveaxis(image, 0, 2), varied.ranges.colour, rng)
            image[:] = np.moveaxis(coloured, 2, 0)
        return found

    def _views(
        self,
        instant: Instant,
        side: str,
        kept: np.ndarray,
        affines: Sequence[np.ndarray],
        turn: np.ndarray,
    ) -> dict[str, np.ndarray]:
        affine = np.array(affines, float).reshape(-1, 2, 3)
        if side == "left":
            affine = compose(flip_affine(self.size), affine)
        pose = invert_pose(instant.T_world_from_camera[kept])[:, :3].copy()
        # The networks' world: mirrored for left hands, then turned.
        pose[:, :, :3] = mirrored(pose[:, :, :3], side) @ turn.T
        images = np.zeros((len(kept), 3, self.size, self.size), np.uint8)
        for image, k, map_ in zip(images, kept, affine, strict=True):
            warped = warp_image(instant.images[k], map_, (self.size, self.size))
            image[:] = np.moveaxis(np.clip(np.rint(warped), 0, 255), 2, 0)
        return {
            "image": images,
            "there": np.ones(len(kept), bool),
            "pose": pose.astype(np.float32),
            "K": instant.K[kept].astype(np.float32),
            "lens": instant.lens[kept].astype(np.float32),
            "affine": affine.astype(np.float32),
        }


def padded(views: dict[str, np.ndarray], count: int) -> dict[str, Tensor]:
    """Return views as tensors, with empty ones up to a count."""
    tensors = {}
    for name, value in views.items():
        whole = np.zeros((count, *value.shape[1:]), value.dtype)
        whole[: len(value)] = value
        tensors[name] = torch.from_numpy(whole)
    return tensors


def stack(views: Sequence[dict[str, np.ndarray]]) -> dict[str, Tensor]:
    """Return the views of several hands as one batch."""
    count = max(len(one["there"]) for one in views)
    parts = [padded(one, count) for one in views]
    return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}


def views_of(batch: dict[str, Tensor]) -> Views:
    """Return the views of a batch by names."""
    return Views(*(batch[name] for name in Views._fields))


class HandViews(Dataset):
    """Random views of hands whose joints are known, by (epoch, number), for training.

    | tensor | shape | meaning |
    |---|---|---|
    | fields of `Views` | | `most` views; see there |
    | joints | (21, 3) | mm, the hand's world, turned and mirrored with it; 0 where not valid |
    | valid | (21,) | |
    | centre | (3,) | the third MCP with noise: middle of the volume |

    Parameters
    ----------
    instants
        What is seen.
    hands
        Number of the instant and side of every sample.
    joints, valid
        (samples, 21, 3), mm, the table's world, and (samples, 21).
    cut, varied, seed
        How the views are made.
    """

    def __init__(
        self,
        instants: Instants,
        hands: Sequence[tuple[int, str]],
        joints: np.ndarray,
        valid: np.ndarray,
        cut: Cut,
        varied: Variation,
        seed: int = 0,
    ):
        self.instants, self.hands, self.seed = instants, list(hands), seed
        self.joints, self.valid = joints, valid
        self.cut, self.varied = cut, varied
        self.most = max(len(rows) for rows in instants.rows)

    def __len__(self) -> int:
        return len(self.hands)

    def __getitem__(self, place: int | tuple[int, int]) -> dict[str, Tensor]:
        epoch, index = place if isinstance(place, tuple) else (0, place)
        rng = np.random.default_rng([self.seed, epoch, index])
        number, side = self.hands[index]
        instant, valid = self.instants[number], self.valid[index]
        joints = np.where(valid[:, None], self.joints[index], np.nan)
        turn = random_turn(self.varied.turn, rng)
        shift = rng.uniform(-self.varied.noise, self.varied.noise, 3)
        boxes = instant.boxes[:, HAND_SIDES.index(side)]
        views = self.cut.random_views(instant, side, boxes, self.varied, turn, rng)
        joints = mirrored(joints, side) @ turn.T
        centre = joints[MIDDLE] if valid[MIDDLE] else np.nanmean(joints, axis=0)
        return {
            **padded(views, self.most),
            "joints": torch.from_numpy(np.nan_to_num(joints).astype(np.float32)),
            "valid": torch.from_numpy(valid),
            "centre": torch.from_numpy((centre + shift).astype(np.float32)),
        }


def random_turn(degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Return a rotation (3, 3) by up to so many degrees about an axis in any direction."""
    axis = rng.standard_normal(3)
    x, y, z = axis / np.linalg.norm(axis)
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def in_order(instants: Instants, workers: int = 0) -> Iterator[Instant]:
    """Give all instants in their order, read by so many processes."""
    yield from DataLoader(instants, batch_size=None, num_workers=workers, collate_fn=_as_it_is)


def _as_it_is(instant: Instant) -> Instant:
    return instant
