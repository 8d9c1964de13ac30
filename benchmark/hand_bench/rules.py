"""Rules: how the errors of one protocol are made, where it differs from `recommended`.

A rule says which joints count, how a hand is aligned and which hands are left out. Its sums are
kept beside those of `recommended` under names of their own ("toolkit.error"), so that every
protocol is a reduction of sums that can be merged, resampled and cut into subsets.

Joints that count (`counts`)
    "in_view"    annotated and seen from this view
    "valid"      annotated in 3D
    "annotated"  all 21 of every hand that is annotated, whatever its flags
    "boxed"      all 21 of every hand that has a box
    "seen boxed" "in_view" joints of hands that have a box

Alignment (`align`)
    "none"        as they are
    "wrist"       both wrists to the origin, whether the wrist counts or not
    "first"       the first joint that counts to the origin (Ego-Exo4D in WildHands), in the order
                  of MANO's joints: the wrist if it counts
    "similarity"  Procrustes with scale over the joints that count, without reflection
    "bone"        wrist to wrist, then the prediction is scaled so that one bone is as long as the
                  true one (hand3d; AssemblyHands-S2D); no rotation

In two dimensions (`frame`) the third coordinate is zero; "letterbox224" measures in the frame that
WildHands feeds its networks: the image with its longer side scaled to 224 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hand_bench.alignment import NO_EXTENT, procrustes_align
from hand_bench.array_types import Bool, Float
from hand_bench.engine_numpy import histogram_bin
from hand_bench.joint_sets import HAND_SIDES, permutation

if TYPE_CHECKING:
    from hand_bench.blocks import Block

#: Index of the middle finger's first joint in OpenPose order.
MIDDLE_MCP = 9
#: Side of WildHands' square network frame, pixels.
LETTERBOX = 224.0
_COLUMNS = {
    "in_view": ("in_view",),
    "valid": ("valid",),
    "boxed": ("bbox",),
    "seen boxed": ("in_view", "bbox"),
}
_MANO_ORDER = permutation("openpose21", "mano21")


@dataclass(frozen=True)
class Rule:
    """How a protocol turns a pair of hands into distances of joints (mm, or px in 2D).

    Parameters
    ----------
    name
        Prefix of its sums; unique in a track.
    counts, align, frame
        See the module.
    needs_wrist
        A hand counts only if its wrist does.
    least
        Joints that must count, or the hand is left out.
    wrist
        Whether the wrist is among the joints that are measured.
    edges
        Thresholds of its histograms, ascending, in the unit of its distances.
    bone
        The bone (two joints) of "bone".
    palm
        Put the middle of wrist and middle MCP in the place of the wrist first (hand3d).
    quantised
        Truncate true 2D points to whole pixels plus one, as WildHands' loader does.
    relative
        Divide by the longer side of the box around the hand's true joints that count.
    """

    name: str
    counts: str = "in_view"
    align: str = "wrist"
    needs_wrist: bool = False
    least: int = 1
    wrist: bool = True
    edges: tuple[float, ...] = ()
    bone: tuple[int, int] = (0, MIDDLE_MCP)
    palm: bool = False
    frame: str = ""
    quantised: bool = False
    relative: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The annotation columns that it needs besides the joints."""
        kinds = _COLUMNS.get(self.counts, ())
        named = (f"{side}_{kind}" for kind in kinds for side in HAND_SIDES)
        return (*named, *(("width", "height") if self.frame else ()))

    @property
    def signature(self) -> str:
        """What the numbers made by it must be compared by."""
        align = self.align if self.align != "bone" else f"bone:{self.bone[0]}-{self.bone[1]}"
        parts = [
            f"align:{align}" + ("+palm" if self.palm else ""),
            f"joints:{20 + self.wrist}" if not self.frame else "joints:21",
            f"counts:{self.counts}" + (f">={self.least}" if self.least > 1 else ""),
        ]
        if self.frame:
            parts.append(f"frame:{self.frame}" + ("+quantised truth" if self.quantised else ""))
        if self.relative:
            parts.append("unit:hand box")
        return "|".join(parts)

    def fields(self) -> tuple[tuple[str, bool, tuple[int, ...]], ...]:
        """Name, whether there is one for each hand side, and shape of its sums."""
        bins = len(self.edges) + 1
        own = [
            ("error", True, (21,)),  # sum of distances of each joint
            ("count", True, (21,)),
            ("hand_error", True, ()),  # sum over hands of their mean distance
            ("hands", True, ()),  # hands that count and are answered
            ("unanswered", True, ()),  # hands that count and are not answered
            ("missed_joints", True, (21,)),  # their joints
            ("image_error", False, ()),  # sum over images of the mean over their hands
            ("images", False, ()),
            ("mrrpe", False, ()),
            ("mrrpe_count", False, ()),
            ("mrrpe_unanswered", False, ()),
        ]
        if self.edges:
            own.append(("histogram", True, (21, bins)))
        return tuple((f"{self.name}.{name}", sided, shape) for name, sided, shape in own)


def rule_sums(rule: Rule, block: Block) -> dict[str, np.ndarray]:
    """Return the sums of a rule over the groups of a block: name -> (groups, 2?, *shape)."""
    group, groups = block.group, len(block.groups)
    sides = [_measure(rule, block, k) for k in range(2)]
    sums: dict[str, np.ndarray] = {}

    def put(name: str, values: list[np.ndarray] | np.ndarray) -> None:
        """Add rows up within their groups; a list holds the right and the left hand."""
        stacked = np.stack(values, axis=1) if isinstance(values, list) else values
        flat = stacked.reshape(len(group), -1).astype(np.float64)
        total = np.zeros((groups, flat.shape[1]))
        np.add.at(total, group, flat)
        sums[f"{rule.name}.{name}"] = total.reshape(groups, *stacked.shape[1:])

    hand = [s.distances.sum(axis=1) / np.maximum(s.measured.sum(axis=1), 1) for s in sides]
    put("error", [s.distances for s in sides])
    put("count", [s.measured for s in sides])
    put("hand_error", hand)
    put("hands", [s.answered for s in sides])
    put("unanswered", [s.asked & ~s.answered for s in sides])
    put("missed_joints", [s.counts & ~s.answered[:, None] for s in sides])
    both = np.stack([s.answered for s in sides], axis=1).sum(axis=1)
    put("image_error", (hand[0] + hand[1]) / np.maximum(both, 1))
    put("images", both > 0)
    _add_mrrpe(put, block, sides)
    if rule.edges:
        sums[f"{rule.name}.histogram"] = np.stack(
            [_histograms(rule, s, group, groups) for s in sides], axis=1
        )
    return sums


@dataclass(frozen=True)
class _Measured:
    """One hand side under a rule; distances are 0 where they do not count."""

    asked: Bool[np.ndarray, " rows"]
    answered: Bool[np.ndarray, " rows"]
    counts: Bool[np.ndarray, "rows 21"]
    measured: Bool[np.ndarray, "rows 21"]
    distances: Float[np.ndarray, "rows 21"]


def _measure(rule: Rule, block: Block, k: int) -> _Measured:
    side = block.sides[k]
    counts = side.masks[rule.counts]
    pred, gt = side.pred.astype(np.float64), side.gt.astype(np.float64)
    if rule.frame:
        pred, gt = _letterboxed(rule, block, pred, gt)
    if rule.palm:
        pred, gt = _with_palm(pred), _with_palm(gt)
        counts = np.concatenate([counts[:, :1] | counts[:, [MIDDLE_MCP]], counts[:, 1:]], axis=1)
    rooted = counts[:, 0] | (not rule.needs_wrist)
    if not rule.wrist:
        counts = counts & (np.arange(21) > 0)
    least = max(rule.least, 3) if rule.align == "similarity" else rule.least
    asked = rooted & (counts.sum(axis=1) >= least)
    counts = counts & asked[:, None]
    answered = asked & side.found
    measured = counts & answered[:, None]
    distances = np.linalg.norm(_aligned(rule, pred, gt, counts, answered) - gt, axis=2)
    if rule.relative:
        distances /= _box_size(gt, counts)[:, None]
    return _Measured(asked, answered, counts, measured, np.where(measured, distances, 0.0))


def _aligned(rule: Rule, pred, gt, counts, answered) -> np.ndarray:
    """Move (and scale, and turn) predictions onto the truth; rows not answered hold anything."""
    if rule.align == "none":
        return pred
    if rule.align == "similarity":
        moved = pred.copy()
        rows = np.flatnonzero(answered)
        if rows.size:
            moved[rows] = procrustes_align(pred[rows], gt[rows], counts[rows])
        return moved
    at = np.zeros(len(pred), int)
    if rule.align == "first":
        at = _MANO_ORDER[counts[:, _MANO_ORDER].argmax(axis=1)]
    rows = np.arange(len(pred))
    own = pred - pred[rows, at][:, None]
    if rule.align == "bone":
        a, b = rule.bone
        length = np.linalg.norm(pred[:, b] - pred[:, a], axis=1)
        true = np.linalg.norm(gt[:, b] - gt[:, a], axis=1)
        own = own * (true / np.where(length > NO_EXTENT, length, np.inf))[:, None, None]
    return own + gt[rows, at][:, None]


def _letterboxed(rule: Rule, block: Block, pred, gt) -> tuple[np.ndarray, np.ndarray]:
    """Map pixels of the image into the 224 frame (facts/wildhands.md 0.3, 3.2)."""
    assert block.image_size is not None
    scale = (LETTERBOX / block.image_size.max(axis=1))[:, None, None]
    centre = np.concatenate([block.image_size / 2, np.zeros((len(pred), 1))], axis=1)[:, None]
    middle = np.array([LETTERBOX / 2, LETTERBOX / 2, 0.0])
    pred, gt = ((points - centre) * scale + middle for points in (pred, gt))
    if rule.quantised:
        gt = np.trunc(gt) + np.array([1.0, 1.0, 0.0])
    return pred, gt


def _with_palm(joints: np.ndarray) -> np.ndarray:
    palm = (joints[:, :1] + joints[:, [MIDDLE_MCP]]) / 2
    return np.concatenate([palm, joints[:, 1:]], axis=1)


def _box_size(gt, counts) -> np.ndarray:
    """Return the longer side of the box around the joints that count; 1 where it has none."""
    keep = counts[..., None]
    high = np.where(keep, gt, -np.inf).max(axis=1, initial=-np.inf)
    low = np.where(keep, gt, np.inf).min(axis=1, initial=np.inf)
    size = (high - low).max(axis=1)
    return np.where(np.isfinite(size) & (size > 0), size, 1.0)


def _histograms(rule: Rule, side: _Measured, group, groups: int) -> np.ndarray:
    bins = len(rule.edges) + 1
    place = histogram_bin(side.distances, np.array(rule.edges))
    flat = (group[:, None] * 21 + np.arange(21)) * bins + place
    counted = np.bincount(flat[side.measured], minlength=groups * 21 * bins)
    return counted.reshape(groups, 21, bins).astype(np.float64)


def _add_mrrpe(put, block: Block, sides: list[_Measured]) -> None:
    """Error of the left wrist seen from the right one, where both hands count."""
    right, left = (side.gt[:, 0].astype(np.float64) for side in block.sides)
    error = np.linalg.norm(block.left_root - (left - right), axis=1)
    asked = sides[0].asked & sides[1].asked
    known = asked & block.sides[0].found & block.sides[1].found & ~np.isnan(error)
    put("mrrpe", np.where(known, error, 0.0))
    put("mrrpe_count", known)
    put("mrrpe_unanswered", asked & ~known)


def masks_of(
    side: str, truth, kinds: tuple[str, ...], present: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the joints of a side that count in each way; none of a hand without joints."""
    made = {}
    for kind in kinds:
        counted = np.repeat(present[:, None], 21, axis=1)
        for column in _COLUMNS.get(kind, ()):
            name = f"{side}_{column}"
            counted = counted & truth.given(name)[:, None]
            if column != "bbox":
                counted = counted & truth[name]
        made[kind] = counted
    return made
