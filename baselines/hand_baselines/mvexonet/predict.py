"""Predict with an MVExoNet: ``python -m hand_baselines.mvexonet.predict --help``.

R1 looks at crops around the boxes that are given, in a volume around the third MCP of
2D + Triangulation (`start`), or, without a 2D network, around the point where the middles of the
boxes meet. R2, R3, ... look again, with the same weights: new crops around the projected joints of
the round before, and the volume around its third MCP (AssemblyHands, section 3.2). `start` may be a
file of predictions, whoever made them: then the first round is already one after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hand_baselines.feeding import placed
from hand_baselines.instants import MIDDLE, Cut, Key, mirrored, stack, views_of
from hand_baselines.keypoints2d.predict import Detector, Method, Points, measured, triangulated
from hand_baselines.poses import Poses, table_poses
from hand_baselines.triangulation import projections, ransac, triangulate, undistort
from hand_baselines.view_task import Asked, Found, ViewAnswers, cut_of, nothing, view_answers
from hand_baselines.weights import Loaded, load_weights
from hand_bench.annotations import Annotations
from hand_bench.errors import BaselineError, Problem
from hand_bench.predictions import open_predictions

#: Rounds of a prediction: R1, R2, R3.
ROUNDS = 3
#: Hands and roots (n, 3), mm, to joints (n, 21, 3), mm, and confidences (n, 21).
Look = Callable[[Sequence[Asked], np.ndarray], tuple[np.ndarray, np.ndarray]]


def refine(
    look: Look, hands: Sequence[Asked], roots: np.ndarray, rounds: int = ROUNDS
) -> tuple[np.ndarray, np.ndarray]:
    """Look several times, each round where the one before found the hands.

    A hand that leaves all but one picture on the way keeps the answer of the last round that saw
    it.

    Parameters
    ----------
    look
        One round.
    hands, roots
        With their first boxes, and the middles of their first volumes (n, 3), mm.
    rounds
        1 looks once.
    """
    joints, confidence = look(hands, roots)
    for _ in range(rounds - 1):
        moved = [
            hand._replace(boxes=hand.instant.boxes_around(found))
            for hand, found in zip(hands, joints, strict=True)
        ]
        kept = [k for k, hand in enumerate(moved) if hand.seen]
        if kept:
            found = look([moved[k] for k in kept], joints[kept, MIDDLE])
            joints[kept], confidence[kept] = found
    return joints, confidence


def box_root(hand: Asked) -> np.ndarray:
    """Return the point (3,), mm, where the middles of a hand's boxes meet."""
    instant = hand.instant
    middles = (hand.boxes[:, :2] + hand.boxes[:, 2:] / 2)[:, None]
    points = undistort(middles, instant.K, instant.lens)
    return triangulate(points, projections(instant.K, instant.T_world_from_camera))[0]


@dataclass(frozen=True)
class Looker:
    """An MVExoNet on its device; one round of it."""

    module: nn.Module
    cut: Cut
    device: torch.device

    @torch.no_grad()
    def __call__(self, hands: Sequence[Asked], roots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return joints in the world, mm, and confidences."""
        cut = [self.cut.views(hand.instant, hand.side, hand.boxes) for hand in hands]
        pairs = list(zip(roots, hands, strict=True))
        centres = np.stack([mirrored(root, hand.side) for root, hand in pairs])
        batch = stack(cut) | {"centre": torch.from_numpy(centres.astype(np.float32))}
        batch = {name: value.to(self.device) for name, value in batch.items()}
        output = self.module(views_of(batch), batch["centre"])
        found = self.module.decode(output, batch)  # pyright: ignore
        joints = found.joints.double().cpu().numpy()
        turned = [mirrored(one, hand.side) for one, hand in zip(joints, hands, strict=True)]
        return np.stack(turned), found.confidence.double().cpu().numpy()


@dataclass(frozen=True)
class MultiView:
    """Finds hands by an MVExoNet.

    Attributes
    ----------
    look
        One round.
    start
        The 2D network that says where the volumes are, and against whose points the answers are
        measured; None: the boxes say it, and nothing is measured.
    rounds, triangulation
        See `refine`, and `keypoints2d.predict.Method`.
    """

    look: Look
    start: Detector | None = None
    rounds: int = ROUNDS
    triangulation: Method = "ransac"

    def __call__(self, hands: Sequence[Asked]) -> list[Found]:
        """Return every hand; one that too few views see is NaN."""
        seen = [hand for hand in hands if hand.seen]
        found = iter(self._found(seen) if seen else ())
        return [next(found) if hand.seen else nothing() for hand in hands]

    def _found(self, hands: Sequence[Asked]) -> list[Found]:
        points = self.start(hands) if self.start else [None] * len(hands)
        pairs = list(zip(hands, points, strict=True))
        roots = np.stack([self._root(hand, seen) for hand, seen in pairs])
        joints, confidence = refine(self.look, hands, roots, self.rounds)
        parts = zip(pairs, joints, confidence, strict=True)
        return [_measured(*pair, one, sure) for pair, one, sure in parts]

    def _root(self, hand: Asked, points: Points | None) -> np.ndarray:
        if hand.before is not None:
            return hand.before[MIDDLE]
        if points is not None:
            root = triangulated(hand.instant, points, self.triangulation).joints[MIDDLE]
            if np.isfinite(root).all():
                return root
        return box_root(hand)


def _measured(hand: Asked, points: Points | None, joints: np.ndarray, sure: np.ndarray) -> Found:
    """Return a hand with what the 2D points that agree with each other say of it."""
    if points is None:
        count = np.isfinite(hand.boxes).all(axis=1).sum()
        return nothing()._replace(joints=joints, confidence=sure, views=np.full(21, count))
    P = projections(hand.instant.K, hand.instant.T_world_from_camera)
    used = ransac(points.joints_2d, P, points.confidence).used
    return measured(joints, used, points, P)._replace(confidence=sure)


def answers(
    loaded: Loaded,
    opened: Annotations,
    images: str | Path | None = None,
    *,
    start: str | Path | None = None,
    rounds: int = ROUNDS,
    triangulation: Method = "ransac",
    device: str | None = None,
    **fed: Any,
) -> ViewAnswers:
    """Make weights ready for a table (see `view_task.view_answers`).

    Parameters
    ----------
    start
        Weights of a 2D network (keypoints2d), by folder or name, or a file of predictions that are
        refined; None: boxes say where hands are.
    rounds, triangulation
        See `MultiView`.

    Raises
    ------
    BaselineError
        HB302 where `start` is another model, of another dataset or relative to wrists, or there is
        no round.
    SubmissionError
        As `hand_bench.evaluate`, for predictions.
    """
    origin: dict[str, Any] = {"rounds": rounds, "triangulation": triangulation}
    if start is not None and Path(start).is_file():
        poses = table_poses(start, opened)
        if poses.from_wrists:
            what = "says where joints are from their wrists; where the hands are is needed."
            raise BaselineError(Problem("HB302", f"--start {start}", what))
        find, _ = finder(loaded, None, rounds, triangulation, device)
        before, declared = by_instant(poses), open_predictions(start).declared.inputs
        origin |= {"start": poses.sha256}
        given = tuple(item for item in declared if not item.startswith("views:"))
        return view_answers(find, origin, opened, images, before=before, given=given, **fed)
    find, source = finder(loaded, start, rounds, triangulation, device)
    return view_answers(find, origin | {"start": source}, opened, images, **fed)


def finder(
    loaded: Loaded,
    start: str | Path | None,
    rounds: int,
    triangulation: Method,
    device: str | None = None,
) -> tuple[MultiView, str | None]:
    """Return what finds hands, and the hash of the 2D network's weights; see `answers`."""
    if rounds < 1:
        raise BaselineError(Problem("HB302", f"--rounds {rounds}", "at least one is needed."))
    network, place = placed(loaded.network, device)
    look = Looker(network, cut_of(loaded.model, loaded.network.config), place)
    if start is None:
        return MultiView(look, None, rounds), None
    first = load_weights(start)
    if first.model.name != "keypoints2d":
        what = f"holds weights of {first.model.name}, not of the 2D network."
        fix = "Train one: `hand-bench baselines train keypoints2d`."
        raise BaselineError(Problem("HB302", f"--start {start}", what, fix=fix))
    return MultiView(look, Detector.of(first, device), rounds, triangulation), first.sha256


def by_instant(poses: Poses) -> dict[Key, np.ndarray]:
    """Return joints (2, 21, 3), mm, world, of every instant by sequence and frame."""
    return {
        (sequence, int(frame)): joints.astype(float)
        for sequence, known in poses.recordings.items()
        for frame, joints in zip(known.frame, known.joints, strict=True)
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of an MVExoNet from the command line."""
    from hand_baselines.prediction import main as predict

    predict("mvexonet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
