"""What an InterNet is made of: `PRESETS["paper"]` and `PRESETS["small"]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hand_baselines.presets import SMALL_DEPTH, SMALL_INPUT, SMALL_WIDTH, find_preset


@dataclass(frozen=True)
class InterNetConfig:
    """Sizes and conventions of an InterNet; the defaults are the paper's.

    Attributes
    ----------
    depth, width
        The ResNet, and by what its channels are multiplied.
    input_size
        Pixels of the square crop's side.
    bins
        Bins of a heatmap in each axis: a quarter of the input's pixels.
    hidden
        Channels of the deconvolutions.
    branch_hidden
        Width of the fully connected layers of the depth and presence branches.
    root_bins
        Bins of the 1D heatmap of the relative root depth.
    depth_range
        Millimetres that the depth bins span, centred on the wrist.
    root_range
        Millimetres that the bins of the relative root depth span, centred on 0.
    sigma
        Width of the target heatmaps, bins.
    joint_set
        Order of the 21 joints of a hand inside the network; outside it is always OpenPose's.
    expansion
        Side of the square crop over the longer side of the box.
    pose_loss
        "heatmap": the papers', squares of heatmaps; or "integral": the distance of the heatmaps'
        expected places (softmax) to the true ones, in bins (Sun et al., Integral human pose
        regression, ECCV 2018), with the relative depth of the wrists at a tenth. Squares of
        heatmaps with peaks of 255 need thousands of steps before anything is seen in them;
        expected places learn from the first on.
    decoding
        How volumes are read: "argmax", the official one; "refined", finer than a bin
        (`heads.refined_argmax_3d`); or "expected" (`heads.soft_argmax_3d`), for volumes that were
        trained by expectation.
    wrist_in_view
        Whether a hand is trained on only where its wrist is seen (InterHand2.6M's rule); else the
        wrist need only be annotated.
    """

    depth: int = 50
    width: float = 1.0
    input_size: int = 256
    bins: int = 64
    hidden: int = 256
    branch_hidden: int = 512
    root_bins: int = 64
    depth_range: float = 400.0
    root_range: float = 400.0
    sigma: float = 2.5
    joint_set: str = "interhand21"
    expansion: float = 1.25
    pose_loss: Literal["heatmap", "integral"] = "heatmap"
    decoding: Literal["argmax", "refined", "expected"] = "argmax"
    wrist_in_view: bool = True

    def __post_init__(self) -> None:
        if self.bins * 4 != self.input_size:
            raise ValueError(
                f"{self.bins} bins do not fit {self.input_size} pixels: the network's heatmaps "
                "are a quarter of its input"
            )


#: What `small` presets differ in.
SMALL: dict[str, Any] = {
    "depth": SMALL_DEPTH,
    "width": SMALL_WIDTH,
    "input_size": SMALL_INPUT,
    "bins": 32,
    "hidden": 64,
    "branch_hidden": 128,
    "sigma": 1.25,
    "pose_loss": "integral",
    "decoding": "expected",
}
PRESETS = {"paper": InterNetConfig(), "small": InterNetConfig(**SMALL)}


def preset(name: str) -> InterNetConfig:
    """Return a preset by name; HB301 where there is no such preset."""
    return find_preset(PRESETS, "InterNet", name)
