"""What a file of 2D poses may mean, and its errors under each meaning.

The canonical form is pixels of the image. Numbers may also lie in the square frame of 224 pixels
that networks are fed with (the image with its longer side scaled to 224, centred), run from 0 to 1
over width and height, or count from the corner of the hand's own box.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from hand_bench.annotations import AnnotationBatch
from hand_bench.array_types import Bool, Float, Int
from hand_bench.checks import FARTHEST
from hand_bench.convention_search import changes, combinations
from hand_bench.conventions import SEARCHED, SHARE, other_orders
from hand_bench.joint_sets import HAND_SIDES, JOINT_SETS, permutation
from hand_bench.results import nine_digits
from hand_bench.rules import LETTERBOX

#: A likely fix lowers the error by more than so many pixels of the frame that is measured in.
LEAST = 1.0
#: Errors of a hand count at most so much (px) when fixes are compared.
LIMIT = 224.0

WORDS = {
    "hands": {"exchanged": "right and left hands are exchanged"},
    "axes": {"yx": "x and y are exchanged"},
    "mirror": {"image": "x is counted from the right side of the image (a flipped image)"},
    "frame": {
        "letterbox224": "joints are in the letterbox frame of 224 pixels",
        "normalised": "joints run from 0 to 1 over width and height",
        "box": "joints are counted from the corner of the hand's box",
    },
}


@dataclass(frozen=True)
class PlanarConvention:
    """What the numbers of a file mean; the defaults are the canonical form."""

    joint_set: str = "openpose21"
    hands: str = "as named"
    axes: str = "xy"
    frame: str = "image"
    mirror: str = "no"

    def sided(self, values: np.ndarray) -> np.ndarray:
        """Put the right hand first: the second axis of `values` is the hand side."""
        return values[:, ::-1] if self.hands == "exchanged" else values

    def convert(
        self,
        joints: Float[np.ndarray, "rows 2 21 2"],
        size: Float[np.ndarray, "rows 2"],
        corner: Float[np.ndarray, "rows 2 2"],
        joint_set: str,
    ) -> Float[np.ndarray, "rows 2 21 2"]:
        """Return pixels of the image in the order of `joint_set`.

        `size` is width and height of the image, `corner` where the box of each hand begins; what
        is not known is NaN, and so is what is made from it.
        """
        joints = self.sided(joints)[..., permutation(self.joint_set, joint_set), :]
        joints = joints.astype(np.float64)
        if self.axes == "yx":
            joints = joints[..., ::-1]
        whole = size[:, None, None]
        if self.frame == "letterbox224":
            scale = whole.max(axis=-1, keepdims=True) / LETTERBOX
            joints = (joints - LETTERBOX / 2) * scale + whole / 2
        elif self.frame == "normalised":
            joints = joints * whole
        elif self.frame == "box":
            joints = joints + corner[:, :, None]
        if self.mirror == "image":
            u = whole[..., 0] - 1 - joints[..., 0]
            joints = np.stack([u, joints[..., 1]], axis=-1)
        return joints


@dataclass(frozen=True)
class PlanarSample:
    """Paired rows: the file's own numbers, the truth, and what belongs to the images.

    `scale` turns pixels of the image into those of the frame that the track measures in.
    """

    rows: Int[np.ndarray, " rows"]
    joints: Float[np.ndarray, "rows 2 21 2"]
    found: Bool[np.ndarray, "rows 2"]
    gt: Float[np.ndarray, "rows 2 21 2"]
    counts: Bool[np.ndarray, "rows 2 21"]
    size: Float[np.ndarray, "rows 2"]
    corner: Float[np.ndarray, "rows 2 2"]
    scale: Float[np.ndarray, " rows"]
    joint_set: str

    def part(self, keep: np.ndarray) -> PlanarSample:
        """Return some of the rows."""
        arrays = (f.name for f in fields(self) if f.name != "joint_set")
        return PlanarSample(*(getattr(self, name)[keep] for name in arrays), self.joint_set)

    def pred(self, convention: PlanarConvention) -> Float[np.ndarray, "rows 2 21 2"]:
        """Return pixels of the image, if the file means this."""
        return convention.convert(self.joints, self.size, self.corner, self.joint_set)

    def errors(self, convention: PlanarConvention) -> Float[np.ndarray, "rows 2 21"]:
        """Measure every joint under a convention."""
        return self.distances(self.pred(convention), convention)

    def distances(
        self, pred: Float[np.ndarray, "rows 2 21 2"], convention: PlanarConvention
    ) -> Float[np.ndarray, "rows 2 21"]:
        """Distances in px; NaN where there is no answer or where a joint does not count."""
        found = convention.sided(self.found) & np.isfinite(pred).all(axis=(2, 3))
        found &= np.abs(np.where(found[..., None, None], pred, 0)).max(axis=(2, 3)) <= FARTHEST
        distance = np.linalg.norm(pred - self.gt, axis=-1) * self.scale[:, None, None]
        return np.where(self.counts & found[..., None], distance, np.nan)


def mean_error(errors: Float[np.ndarray, "rows 2 21"]) -> float | None:
    """Mean over the joints that are measured, as the track's L2 error; None without any."""
    kept = errors[~np.isnan(errors)]
    return nine_digits(kept.mean()) if kept.size else None


def measured(errors: Float[np.ndarray, "rows 2 21"]) -> int:
    """Number of hands with a measured joint."""
    return int(np.count_nonzero(~np.isnan(errors).all(axis=-1)))


def _by_hand(errors: Float[np.ndarray, "rows 2 21"]) -> Float[np.ndarray, "rows 2"]:
    """Mean error of each hand, `LIMIT` at most and where it has none."""
    known = ~np.isnan(errors)
    total = np.where(known, errors, 0.0).sum(axis=-1)
    mean = np.divide(
        total, known.sum(axis=-1), out=np.full(total.shape, LIMIT), where=known.any(-1)
    )
    return np.minimum(mean, LIMIT)


def gain(
    before: Float[np.ndarray, "rows 2 21"], after: Float[np.ndarray, "rows 2 21"]
) -> tuple[float, bool]:
    """Return the share by which the error of the changed hands falls, and if that is likely."""
    changed = ~np.isclose(before, after, rtol=0, atol=1e-6, equal_nan=True).all(axis=-1)
    if not changed.any():
        return 0.0, False
    old, new = float(_by_hand(before)[changed].mean()), float(_by_hand(after)[changed].mean())
    share = (old - new) / old if old > 0 else 0.0
    return share, share >= SHARE and old - new > LEAST


def cost(errors: Float[np.ndarray, "rows 2 21"], changed: int = 0) -> float:
    """Return what the search minimises: the error; fewer changes break ties."""
    return float(_by_hand(errors).mean()) + 0.05 * changed


def options_of(sample: PlanarSample, declared: PlanarConvention) -> dict[str, tuple]:
    """Every value of every group that the sample can tell, the declared one first."""
    frames = dict(WORDS["frame"])
    if not np.isfinite(sample.size).any():
        frames = {"box": frames["box"]}
    if not np.isfinite(sample.corner).any():
        frames.pop("box")
    mirrors = WORDS["mirror"] if np.isfinite(sample.size).any() else {}
    return {
        "joint_set": (declared.joint_set, *other_orders(declared.joint_set)),
        "hands": (declared.hands, *WORDS["hands"]),
        "axes": (declared.axes, *WORDS["axes"]),
        "frame": (declared.frame, *frames),
        "mirror": (declared.mirror, *mirrors),
    }


def text(group: str, option: str) -> str:
    """Say a hypothesis in words."""
    if group != "joint_set":
        return WORDS[group][option]
    same = [s.name for s in JOINT_SETS.values() if s.joints == JOINT_SETS[option].joints]
    return f"joint order is {' or '.join(same)}"


def search(
    sample: PlanarSample, declared: PlanarConvention, options: dict[str, tuple]
) -> PlanarConvention:
    """Find the best of all combinations on a few hands."""
    useful = np.flatnonzero(sample.found.any(axis=1) & sample.counts.any(axis=(1, 2)))
    if not useful.size:
        return declared
    few = sample.part(
        useful[np.linspace(0, len(useful) - 1, min(len(useful), SEARCHED)).astype(int)]
    )
    return min(
        combinations(PlanarConvention, options),
        key=lambda c: cost(few.errors(c), len(changes(c, declared))),
    )


def image_sizes(truth: AnnotationBatch) -> np.ndarray:
    """Width and height of the images of a batch, NaN where they are not known."""
    size = np.stack([truth["width"], truth["height"]], axis=1).astype(np.float64)
    return np.where(size > 0, size, np.nan)


def box_corners(truth: AnnotationBatch) -> np.ndarray:
    """Where the boxes of right and left hand begin (rows, 2, 2), NaN where there is none."""
    corners = []
    for side in HAND_SIDES:
        given = truth.given(f"{side}_bbox")[:, None]
        corners.append(np.where(given, truth[f"{side}_bbox"][:, :2], np.nan))
    return np.stack(corners, axis=1)
