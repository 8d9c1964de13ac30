"""Predictors that look at no picture: the floor of every board, in NumPy.

Conventions
-----------
Millimetres, camera frame, OpenPose order, right hand first, as everywhere. A floor is given what
models are given on that track: the box around all hands of a picture. Both hands are answered
always, and the score says how sure that is; a side that training never shows is answered by "no
such hand". With `per_hand` it is given each hand's own box, where
the dataset has them, as models are that take one hand at a time; then a hand with a box is there,
and one without is answered by "no such hand". A picture without any box is answered by "no hands".

* `MeanPose`: the mean wrist-relative pose of the training hands of that side, at their mean depth,
  where in the box they are on average (the middle, if the boxes fit).
* `zero_pose`: the same with the pose shrunk to a thousandth: every joint at one place. It is no
  single point, because Procrustes alignment of a point is undefined and scorers refuse it; and it
  is scored with `--units mm`, because hands of that size are otherwise taken for another unit.
* `NearestBox`: the training hand of that side whose box is the most similar, as it is.

Of clips: `class_frequencies`, how frequent every class is in training; the most frequent one wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from hand_bench.annotations import AnnotationBatch
from hand_bench.array_types import Bool, Float, Int
from hand_bench.geometry import back_project, project
from hand_bench.joint_sets import HAND_SIDES, OPENPOSE

#: Of the annotations, the columns that `Views.of` reads.
COLUMNS = [
    "K",
    "bbox",
    *(f"{side}_{what}" for side in HAND_SIDES for what in ("bbox", "joints", "valid")),
]
#: At most so many training hands are compared with; they are taken evenly.
COMPARED = 20_000
_BLOCK = 1024


@dataclass(frozen=True)
class Views:
    """Pictures by their boxes; the joints are the truth, needed only to fit.

    Attributes
    ----------
    K
        (n, 3, 3), intrinsics.
    box
        (n, 2, 4), x, y, w, h of the box to use for each hand, px; NaN: no such hand.
    own
        (n, 2), whether that box belongs to the hand alone.
    joints
        (n, 2, 21, 3), mm, NaN where not annotated.
    """

    K: Float[np.ndarray, "n 3 3"]
    box: Float[np.ndarray, "n 2 4"]
    own: Bool[np.ndarray, "n 2"]
    joints: Float[np.ndarray, "n 2 21 3"]

    @classmethod
    def of(cls, batch: AnnotationBatch, *, per_hand: bool = False) -> Views:
        """Read the columns `COLUMNS`; absent is NaN (rows that are null may hold anything)."""

        def known(name: str) -> np.ndarray:
            given = batch.given(name).reshape(-1, *[1] * (batch[name].ndim - 1))
            return np.where(given, batch[name].astype(float), np.nan)

        boxes = np.stack([known(f"{side}_bbox") for side in HAND_SIDES], axis=1)
        joints = np.stack([known(f"{side}_joints") for side in HAND_SIDES], axis=1)
        valid = np.stack([known(f"{side}_valid") == 1 for side in HAND_SIDES], axis=1)
        valid &= np.isfinite(joints).all(axis=-1)
        joints = np.where(valid[..., None], joints, np.nan)
        return cls.from_boxes(batch["K"], known("bbox"), boxes, joints, per_hand=per_hand)

    @classmethod
    def from_boxes(
        cls,
        K: Float[np.ndarray, "n 3 3"],
        bbox: Float[np.ndarray, "n 4"],
        hand_box: Float[np.ndarray, "n 2 4"],
        joints: Float[np.ndarray, "n 2 21 3"],
        *,
        per_hand: bool = False,
    ) -> Views:
        """Choose the boxes: the common one, else the hull of the hands'; or those of the hands.

        With `per_hand` the common one serves only pictures where no hand has a box. A box without
        area counts as none.
        """
        hand_box, bbox = _usable(hand_box), _usable(bbox)
        any_hand = np.isfinite(hand_box).all(axis=-1).any(axis=1)
        if per_hand:
            own = any_hand[:, None].repeat(2, axis=1)
            box = np.where(own[..., None], hand_box, bbox[:, None])
        else:
            own = np.zeros((len(bbox), 2), bool)
            common = np.where(np.isfinite(bbox), bbox, _hull(hand_box))
            box = common[:, None].repeat(2, axis=1)
        return cls(K.astype(float), box, own, joints.astype(float))

    @property
    def present(self) -> Bool[np.ndarray, "n 2"]:
        """Whether a hand is annotated at all."""
        return np.asarray(np.isfinite(self.joints).any(axis=(2, 3)))

    @property
    def angular_box(self) -> Float[np.ndarray, "n 2 4"]:
        """Boxes as a camera of focal length 1 sees them: middle x, y, width, height."""
        focal = np.stack([self.K[:, 0, 0], self.K[:, 1, 1]], axis=1)[:, None]
        centre = self.K[:, None, :2, 2]
        middle = self.box[..., :2] + self.box[..., 2:] / 2
        return np.concatenate([(middle - centre) / focal, self.box[..., 2:] / focal], axis=-1)


#: Columns as `hand_bench.write_predictions` takes them.
Columns = dict[str, np.ndarray]


class Floor(Protocol):
    """Anything that answers from boxes."""

    def predict(self, views: Views) -> Columns:
        """Return right_joints, left_joints, right_score and left_score."""
        ...


@dataclass(frozen=True)
class MeanPose:
    """The mean training hand of each side.

    Attributes
    ----------
    pose
        (2, 21, 3), mm, relative to the wrist.
    depth
        (2,), mm, of the wrist.
    place
        (2, 2), where in the box the middle of the hand is: 0 to 1 in x and y.
    frequency
        (2,), of the training pictures that show the hand.
    """

    pose: Float[np.ndarray, "2 21 3"]
    depth: Float[np.ndarray, " 2"]
    place: Float[np.ndarray, "2 2"]
    frequency: Float[np.ndarray, " 2"]

    @classmethod
    def fit(cls, views: Views) -> MeanPose:
        """Average the hands of training pictures; only whole hands count.

        Raises
        ------
        ValueError
            Where there is no whole hand.
        """
        whole = _whole_hands(views)
        wrist = views.joints[:, :, OPENPOSE.root]
        middle = project(views.joints.mean(axis=2), views.K)
        place = (middle - views.box[..., :2]) / views.box[..., 2:]
        relative = views.joints - wrist[:, :, None]
        hands = whole[..., None]
        return cls(
            _mean(relative, hands[..., None]),
            _mean(wrist[..., 2], whole),
            _mean(place, hands),
            views.present.mean(axis=0),
        )

    def predict(self, views: Views) -> Columns:
        """Place the mean hands into the boxes."""
        middle = views.box[..., :2] + self.place * views.box[..., 2:]
        inner = self.pose.mean(axis=1)
        depth = np.broadcast_to(self.depth + inner[:, 2], middle.shape[:2])
        wrist = back_project(middle, depth, views.K) - inner
        scores = np.broadcast_to(self.frequency, views.own.shape)
        return _columns(views, wrist[:, :, None] + self.pose, scores)


def zero_pose(views: Views) -> MeanPose:
    """Fit the floor that knows nothing of poses: all joints at one place, within 0.2 mm."""
    mean = MeanPose.fit(views)
    return replace(mean, pose=mean.pose / 1000)


@dataclass(frozen=True)
class NearestBox:
    """Training hands and their boxes.

    Attributes
    ----------
    boxes, joints
        For each side: (hands, 4) `Views.angular_box` and (hands, 21, 3), mm.
    picture_boxes, present
        (pictures, 2, 4) and (pictures, 2): boxes of whole pictures, and which hands they show.
    """

    boxes: tuple[np.ndarray, np.ndarray]
    joints: tuple[np.ndarray, np.ndarray]
    picture_boxes: Float[np.ndarray, "pictures 2 4"]
    present: Bool[np.ndarray, "pictures 2"]

    @classmethod
    def fit(cls, views: Views) -> NearestBox:
        """Keep training hands: whole ones, and at most `COMPARED` of each side.

        Raises
        ------
        ValueError
            Where there is no whole hand.
        """
        whole, boxes = _whole_hands(views), views.angular_box
        chosen = [_evenly(np.flatnonzero(whole[:, side])) for side in range(2)]
        pictures = _evenly(np.arange(len(boxes)))
        return cls(
            (boxes[chosen[0], 0], boxes[chosen[1], 1]),
            (views.joints[chosen[0], 0], views.joints[chosen[1], 1]),
            boxes[pictures],
            views.present[pictures],
        )

    def predict(self, views: Views) -> Columns:
        """Answer with the hands of the most similar boxes."""
        joints = np.full((len(views.K), 2, 21, 3), np.nan)
        scores = np.zeros(views.own.shape)
        for side in range(2):
            there = np.flatnonzero(np.isfinite(views.box[:, side]).all(axis=-1))
            if not len(self.boxes[side]):
                continue
            asked = views.angular_box[there, side]
            joints[there, side] = self.joints[side][_nearest(asked, self.boxes[side])]
            usable = np.flatnonzero(np.isfinite(self.picture_boxes[:, side]).all(axis=-1))
            similar = usable[_nearest(asked, self.picture_boxes[usable, side])]
            scores[there, side] = self.present[similar, side]
        return _columns(views, joints, scores)


#: Name -> how it is fitted to training pictures.
FLOORS: dict[str, Callable[[Views], Floor]] = {
    "zero": zero_pose,
    "mean-pose": MeanPose.fit,
    "nearest-box": NearestBox.fit,
}


#: The floor of tracks of clips.
MOST_FREQUENT = "most-frequent"
FLOOR_NAMES = (*FLOORS, MOST_FREQUENT)


def class_frequencies(labels: Int[np.ndarray, " clips"], classes: int) -> Float[np.ndarray, " c"]:
    """Return the share of every class among training clips; labels below 0 are not known.

    Raises
    ------
    ValueError
        Where no label is known.
    """
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    if not counts.sum():
        raise ValueError("no training clip has a label")
    return counts / counts.sum()


def _usable(boxes: np.ndarray) -> np.ndarray:
    """Boxes in float64, NaN where they have no area."""
    return np.where((boxes[..., 2:] > 0).all(axis=-1, keepdims=True), boxes.astype(float), np.nan)


def _hull(boxes: np.ndarray) -> np.ndarray:
    """Return the hull (n, 4) of the hands' boxes (n, 2, 4); NaN where there is none."""
    low = np.fmin(*np.moveaxis(boxes[..., :2], 1, 0))
    high = np.fmax(*np.moveaxis(boxes[..., :2] + boxes[..., 2:], 1, 0))
    return np.concatenate([low, high - low], axis=-1)


def _whole_hands(views: Views) -> np.ndarray:
    whole = np.asarray(np.isfinite(views.joints).all(axis=(2, 3)))
    whole &= np.isfinite(views.box).all(axis=-1)
    if not whole.any():
        raise ValueError("no training picture shows a hand with all 21 joints")
    return whole


def _mean(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is chosen; NaN where nothing is."""
    kept, count = np.where(chosen, values, 0.0), chosen.sum(axis=0)
    return np.where(count > 0, kept.sum(axis=0) / np.maximum(count, 1), np.nan)


def _evenly(indices: np.ndarray) -> np.ndarray:
    step = max(1, -(-len(indices) // COMPARED))
    return indices[::step]


def _nearest(asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """For each row of `asked` the row of `known` at the smallest distance; the first of equals."""
    squares = (known**2).sum(axis=1)
    best = np.empty(len(asked), np.int64)
    for start in range(0, len(asked), _BLOCK):
        block = slice(start, start + _BLOCK)
        best[block] = (squares - 2 * asked[block] @ known.T).argmin(axis=1)
    return best


def _columns(views: Views, joints: np.ndarray, scores: np.ndarray) -> Columns:
    """Columns of predictions; a hand without a box is not there, one with its own box is."""
    there = np.isfinite(views.box).all(axis=-1) & np.isfinite(joints).all(axis=(2, 3))
    joints = np.where(there[..., None, None], joints, np.nan).astype(np.float32)
    scores = np.where(views.own, 1.0, scores) * there
    return {
        "right_joints": joints[:, 0],
        "left_joints": joints[:, 1],
        "right_score": scores[:, 0].astype(np.float32),
        "left_score": scores[:, 1].astype(np.float32),
    }
