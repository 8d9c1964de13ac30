"""What a predictions file may mean, and the search for what it does mean.

The rule for a likely fix and the method are described in `hand_bench.pose_diagnosis`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from hand_bench.alignment import spread
from hand_bench.array_types import Bool, Float, Int
from hand_bench.checks import FARTHEST
from hand_bench.convention_search import changes, combinations
from hand_bench.declaration import UNITS
from hand_bench.geometry import world_to_camera
from hand_bench.joint_sets import HAND_SIDES, JOINT_SETS, permutation
from hand_bench.metrics import joint_errors, root_valid, wrist_aligned_errors
from hand_bench.results import nine_digits

#: A likely fix lowers the error by this share and by more than so many millimetres.
SHARE, LEAST = 0.25, 2.0
#: Errors of a hand count at most so much (wrist-aligned, unaligned; mm) when fixes are compared.
LIMITS = (250.0, 2000.0)
#: Rows on which all combinations are measured.
SEARCHED = 80

_CAMERA_SIGNS = {"x": (-1, 1, 1), "y": (1, -1, 1), "z": (1, 1, -1), "yz": (1, -1, -1)}
WORDS = {
    "units": {
        "mm": "joints are in millimetres",
        "cm": "joints are in centimetres",
        "m": "joints are in metres",
    },
    "hands": {"exchanged": "right and left hands are exchanged"},
    "mirror": {
        "right": "right hands are mirrored",
        "left": "left hands are mirrored",
        "both": "both hands are mirrored",
    },
    "axes": {
        "x": "x is negated (a flipped image)",
        "y": "y points up",
        "z": "z points backwards",
        "yz": "y up and z backwards (OpenGL camera)",
        "relative z": "depth relative to the wrist is negated",
    },
    "frame": {"world": "joints are in the world frame", "camera": "joints are in the camera frame"},
}
#: The same signs where there is no camera.
_WORLD_AXES = {
    "x": "x is negated",
    "y": "y is negated",
    "z": "z is negated",
    "yz": "y and z are negated",
}


@dataclass(frozen=True)
class Convention:
    """What a file's numbers mean; the defaults are the canonical form of most tracks."""

    units: str = "mm"
    joint_set: str = "openpose21"
    hands: str = "as named"
    mirror: str = "no"
    axes: str = "as they are"
    frame: str = "camera"

    def sided(self, values: np.ndarray) -> np.ndarray:
        """Put the right hand first: the second axis of `values` is the hand side."""
        return values[:, ::-1] if self.hands == "exchanged" else values

    def convert(
        self, joints: Float[np.ndarray, "rows 2 21 3"], joint_set: str
    ) -> Float[np.ndarray, "rows 2 21 3"]:
        """Return millimetres in the order of `joint_set`, sides and axes put right, same frame."""
        joints = self.sided(joints)[..., permutation(self.joint_set, joint_set), :]
        joints = joints * self.scale
        signs = np.ones((2, 1, 3))
        signs[[self.mirror in (side, "both") for side in HAND_SIDES], :, 0] = -1
        if self.axes == "relative z":
            signs[..., 2] = -1
        if (signs < 0).any():
            joints = joints[..., :1, :] + (joints - joints[..., :1, :]) * signs
        return joints

    @property
    def scale(self) -> Float[np.ndarray, 3]:
        """Factor of each coordinate: the unit, and the sign of a camera axis."""
        return UNITS[self.units] * np.array(_CAMERA_SIGNS.get(self.axes, (1, 1, 1)), np.float64)


class HandErrors(NamedTuple):
    """Mean error of each hand (mm), NaN where there is no answer or no truth."""

    wrist: Float[np.ndarray, "rows 2"]
    absolute: Float[np.ndarray, "rows 2"]


@dataclass(frozen=True)
class Sample:
    """Paired rows: positions in the annotations, the file's own numbers, and the truth.

    `pose` leads from the world to the frame of the truth (NaN where it is not known): the camera's
    on most tracks. `joint_set` is the order of the truth.
    """

    rows: Int[np.ndarray, " rows"]
    track: Int[np.ndarray, " rows"]
    joints: Float[np.ndarray, "rows 2 21 3"]
    found: Bool[np.ndarray, "rows 2"]
    gt: Float[np.ndarray, "rows 2 21 3"]
    valid: Bool[np.ndarray, "rows 2 21"]
    pose: Float[np.ndarray, "rows 4 4"]
    joint_set: str

    def part(self, keep: np.ndarray) -> Sample:
        """Return some of the rows."""
        arrays = (f.name for f in fields(self) if f.name != "joint_set")
        return Sample(*(getattr(self, name)[keep] for name in arrays), self.joint_set)

    @property
    def known_pose(self) -> bool:
        """Whether the pose of any row is known."""
        return bool(np.isfinite(self.pose).all(axis=(1, 2)).any())

    @property
    def sides(self) -> list[str]:
        """The hand sides that are annotated in any row."""
        there = self.valid.any(axis=(0, 2))
        return [side for side, known in zip(HAND_SIDES, there, strict=True) if known]

    def pred(self, convention: Convention) -> np.ndarray:
        """Return the joints (rows, 2, 21, 3) in the frame of the truth, mm, if this is meant."""
        joints = convention.convert(self.joints, self.joint_set)
        if convention.frame == "world":
            return world_to_camera(joints, self.pose[:, None])
        return joints

    def errors(self, convention: Convention) -> HandErrors:
        """Measure every hand under a convention."""
        found = convention.sided(self.found)
        return hand_errors(self.pred(convention), self.gt, self.valid, found)


def hand_errors(pred, gt, valid, found) -> HandErrors:
    """Mean wrist-aligned and unaligned error of each hand (rows, 2), mm, NaN where unanswered."""
    near = np.abs(pred).reshape(*found.shape, 63).max(axis=-1, initial=0.0) <= FARTHEST
    valid = root_valid(valid) & (found & near)[..., None]
    others = valid & (np.arange(21) > 0)
    keep = others.any(axis=-1)

    def mean(errors: np.ndarray, which: np.ndarray) -> np.ndarray:
        total = np.where(which, errors, 0.0).sum(axis=-1)
        return np.where(keep, total / np.maximum(which.sum(axis=-1), 1), np.nan)

    return HandErrors(
        mean(wrist_aligned_errors(pred, gt), others), mean(joint_errors(pred, gt), valid)
    )


def mean_error(values: np.ndarray) -> float | None:
    """Mean of what is not NaN; None where nothing is left."""
    kept = values[~np.isnan(values)]
    return nine_digits(kept.mean()) if kept.size else None


def _limited(errors: HandErrors) -> HandErrors:
    pairs = zip(errors, LIMITS, strict=True)
    return HandErrors(*(np.minimum(np.where(np.isnan(e), limit, e), limit) for e, limit in pairs))


def gain(
    before: HandErrors, after: HandErrors, absolute: bool, unmoved: float = 0.005
) -> tuple[float, bool]:
    """Return the share by which the error of the changed hands falls, and if the rule is met.

    MEPE decides only where MPJPE falls by no more than the share `unmoved` (and hardly rises).
    """
    changed = np.zeros(before.wrist.shape, bool)
    for b, a in zip(before, after, strict=True):
        changed |= ~np.isclose(b, a, rtol=0, atol=1e-6, equal_nan=True)
    if not changed.any():
        return 0.0, False
    shares, enough = [], []
    for b, a in zip(_limited(before), _limited(after), strict=True):
        b, a = float(b[changed].mean()), float(a[changed].mean())
        shares.append((b - a) / b if b > 0 else 0.0)
        enough.append(shares[-1] >= SHARE and b - a > LEAST)
    if not enough[0] and absolute and enough[1] and -0.005 < shares[0] < unmoved:
        return shares[1], True
    return shares[0], enough[0]


def score(errors: HandErrors, changes: int = 0) -> float:
    """Return what the search minimises: MPJPE; MEPE and the number of changes break ties."""
    wrist, absolute = (float(e.mean()) for e in _limited(errors))
    return wrist + 0.002 * absolute + 0.05 * changes


def options_of(
    sample: Sample, declared: Convention, *, image_space: bool, absolute: bool, frame: str
) -> dict[str, tuple]:
    """Every value of every group that makes sense, the declared one first.

    `frame` is the track's. There are no other frames where one of them cannot be reached: a
    world without a pose, or one camera of a track that has several.
    """
    axes = ("relative z",) if image_space else tuple(WORDS["axes"])
    if frame == "world":
        axes = tuple(_WORLD_AXES)
    frames = ["camera", *(["world"] if sample.known_pose else [])]
    if frame == "world" or image_space or not absolute:
        frames = []
    mirrors = tuple(WORDS["mirror"]) if len(sample.sides) == 2 else tuple(sample.sides)
    return {
        "units": (declared.units, *(u for u in UNITS if u != declared.units)),
        "joint_set": (declared.joint_set, *other_orders(declared.joint_set)),
        "hands": (declared.hands, *WORDS["hands"]),
        "mirror": (declared.mirror, *mirrors),
        "axes": (declared.axes, *axes),
        "frame": (declared.frame, *(f for f in frames if f != declared.frame)),
    }


def other_orders(joint_set: str) -> list[str]:
    """Joint sets that hold the same joints in other orders, one name for each order."""
    own = JOINT_SETS[joint_set].joints
    orders = {s.joints: s.name for s in reversed(JOINT_SETS.values())}
    return [
        name
        for joints, name in reversed(orders.items())
        if sorted(joints) == sorted(own) and joints != own
    ]


def text(group: str, option: str, frame: str) -> str:
    """Say a hypothesis in words; `frame` is the track's."""
    if group == "axes" and frame == "world":
        return _WORLD_AXES[option]
    if group != "joint_set":
        return WORDS[group][option]
    same = [s.name for s in JOINT_SETS.values() if s.joints == JOINT_SETS[option].joints]
    return f"joint order is {' or '.join(same)}"


def search(sample: Sample, declared: Convention, options: dict[str, tuple]) -> Convention:
    """Find the best of all combinations on a few hands; of other units only the one that fits."""
    useful = np.flatnonzero(sample.found.any(axis=1) & sample.valid.any(axis=(1, 2)))
    if not useful.size:
        return declared
    few = sample.part(
        useful[np.linspace(0, len(useful) - 1, min(len(useful), SEARCHED)).astype(int)]
    )
    sizes = spread(few.joints[few.found], np.ones((int(few.found.sum()), 21), bool))
    full = few.valid.all(axis=-1)
    size = np.median(spread(few.gt[full], few.valid[full])) if full.any() else 60.0
    ratio = np.log(size / max(float(np.median(sizes)), 1e-12))
    unit = min(UNITS, key=lambda u: abs(np.log(UNITS[u]) - ratio))
    few_options = options | {"units": tuple(dict.fromkeys((declared.units, unit)))}
    return min(
        combinations(Convention, few_options),
        key=lambda c: score(few.errors(c), len(changes(c, declared))),
    )
