"""2D + Triangulation: joints in every view, and from there in the world.

``python -m hand_baselines.keypoints2d.predict --help``
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from hand_baselines.crops import apply, invert
from hand_baselines.feeding import placed
from hand_baselines.instants import LEAST, Cut, Instant, stack, views_of
from hand_baselines.triangulation import (
    mean_errors,
    projections,
    ransac,
    reprojection_errors,
    triangulate,
    undistort,
)
from hand_baselines.view_task import Asked, Found, ViewAnswers, cut_of, nothing, view_answers
from hand_baselines.weights import Loaded
from hand_bench.annotations import Annotations
from hand_bench.errors import BaselineError, Problem

#: "ransac": the views that agree; "algebraic": all views, weighed by their confidence.
Method = Literal["ransac", "algebraic"]


class Points(NamedTuple):
    """A hand in all views of an instant.

    | field | shape | meaning |
    |---|---|---|
    | joints_2d | (views, 21, 2) | px of the pictures without lens distortion; NaN: not known |
    | confidence | (views, 21) | 0 to 1 |
    """

    joints_2d: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Detector:
    """A 2D network that looks at hands in all their views."""

    module: nn.Module
    cut: Cut
    device: torch.device

    @classmethod
    def of(cls, loaded: Loaded, device: str | None = None) -> Detector:
        """Put a network on a device; default: the best one."""
        network, place = placed(loaded.network, device)
        return cls(network, cut_of(loaded.model, loaded.network.config), place)

    @torch.no_grad()
    def __call__(self, hands: Sequence[Asked]) -> list[Points]:
        """Return the points of every hand."""
        cut = [self.cut.views(hand.instant, hand.side, hand.boxes) for hand in hands]
        batch = {name: value.to(self.device) for name, value in stack(cut).items()}
        found = self.module.decode(self.module(views_of(batch)), batch)  # pyright: ignore
        inverse = invert(batch["affine"].double() + _absent(batch["there"]))
        pixels = apply(inverse, found.points.double()).cpu().numpy()
        confidence = found.confidence.double().cpu().numpy()
        parts = zip(hands, pixels, confidence, strict=True)
        return [_points(hand, *part) for hand, *part in parts]


def _absent(there: torch.Tensor) -> torch.Tensor:
    """A map for views that are not there, so that all can be inverted."""
    return torch.eye(2, 3, device=there.device) * ~there[..., None, None]


def _points(hand: Asked, pixels: np.ndarray, confidence: np.ndarray) -> Points:
    """Points of the views that were looked at, in their places among all views."""
    instant, kept = hand.instant, np.flatnonzero(np.isfinite(hand.boxes).all(axis=1))
    points = np.full((len(hand.boxes), *pixels.shape[1:]), np.nan)
    sure = np.zeros(points.shape[:2])
    points[kept] = undistort(pixels[: len(kept)], instant.K[kept], instant.lens[kept])
    sure[kept] = confidence[: len(kept)]
    return Points(points, sure)


def triangulated(instant: Instant, points: Points, method: Method = "ransac") -> Found:
    """Return a hand in the world from its points; confidence is the mean of the used views."""
    P = projections(instant.K, instant.T_world_from_camera)
    if method == "ransac":
        joints, used = ransac(points.joints_2d, P, points.confidence)
    else:
        used = np.isfinite(points.joints_2d).all(axis=-1) & (points.confidence > 0)
        joints = triangulate(points.joints_2d, P, points.confidence)
    return measured(joints, used, points, P)


def measured(joints: np.ndarray, used: np.ndarray, points: Points, P: np.ndarray) -> Found:
    """Return joints with what the points of the used views (views, 21) say of them."""
    error = mean_errors(reprojection_errors(joints, points.joints_2d, P), used)
    count = used.sum(axis=0)
    confidence = (points.confidence * used).sum(axis=0) / np.maximum(count, 1)
    return Found(joints, confidence, error, count)


@dataclass(frozen=True)
class Triangulator:
    """Finds hands by their points in every view.

    Attributes
    ----------
    views
        In how many views each hand is looked at, drawn of those that have a box of it; None: all.
    """

    detector: Detector
    method: Method = "ransac"
    views: int | None = None

    def __call__(self, hands: Sequence[Asked]) -> list[Found]:
        """Return every hand; one that too few views see is NaN."""
        if self.views is not None:
            hands = [_drawn(hand, self.views) for hand in hands]
        seen = [hand for hand in hands if hand.seen]
        points = iter(self.detector(seen) if seen else ())
        return [
            triangulated(hand.instant, next(points), self.method) if hand.seen else nothing()
            for hand in hands
        ]


def _drawn(hand: Asked, count: int) -> Asked:
    """Keep the boxes of so many views; which ones follows from the boxes alone."""
    known = np.flatnonzero(np.isfinite(hand.boxes).all(axis=1))
    rng = np.random.default_rng(zlib.crc32(hand.boxes.tobytes()))
    kept = rng.permutation(known)[:count]
    boxes = np.full_like(hand.boxes, np.nan)
    boxes[kept] = hand.boxes[kept]
    return hand._replace(boxes=boxes)


def answers(
    loaded: Loaded,
    opened: Annotations,
    images: str | Path | None = None,
    *,
    triangulation: Method = "ransac",
    views: int | None = None,
    device: str | None = None,
    **fed: Any,
) -> ViewAnswers:
    """Make weights ready for a table (see `view_task.view_answers`).

    Raises
    ------
    BaselineError
        HB302 for fewer than two views.
    """
    if views is not None and views < LEAST:
        what = f"{views} view triangulates nothing."
        raise BaselineError(Problem("HB302", "--views", what, fix=f"{LEAST} or more."))
    find = Triangulator(Detector.of(loaded, device), triangulation, views)
    origin = {"triangulation": triangulation, "views": views}
    made = view_answers(find, origin, opened, images, **fed)
    return made if views is None else replace(made, some=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction from the command line."""
    from hand_baselines.prediction import main as predict

    predict("keypoints2d", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
