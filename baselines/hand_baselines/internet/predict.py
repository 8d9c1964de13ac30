"""Predict with an InterNet: ``python -m hand_baselines.internet.predict --help``.

Both hands are always answered, with the probability that they are there as score; the scorer takes
a hand for absent below one half. Without RootNet the depth of the wrists is not measured: a present
hand is lifted at the mean depth of training wrists. `left_root` is the left wrist seen from the
right one, at the predicted difference of depths.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hand_baselines.crops import apply
from hand_baselines.heads import soft_argmax_3d
from hand_baselines.internet.config import InterNetConfig
from hand_baselines.internet.targets import bins_to_depth, bins_to_pixels, network_to_openpose
from hand_baselines.lifting import left_root, lift_hands


def answer(
    network: nn.Module, output: Any, batch: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return columns of `hand_bench.write_predictions` for a batch of crops.

    `facts["root_depth"]` are the depths, mm, at which the right and the left wrist are lifted;
    ``facts["reading"] = "expected"`` says that heatmaps are read by expectation, as they were
    trained (`training.Options.pose_loss`), else they are read as the configuration says.
    """
    found = network.decode(output, batch)  # pyright: ignore
    # Joints are decoded in the picture, but the batch holds the crop's intrinsics.
    points = apply(batch["affine"].double()[:, None], found.joints_2d.double())
    depth, K = found.relative_depth.double(), batch["K"].double()
    if facts.get("reading") == "expected":
        points, depth = read_expected(network, output)
    roots = torch.tensor(facts["root_depth"], dtype=torch.float64, device=points.device)
    roots = roots.expand(len(points), 2)
    joints = lift_hands(points, depth, roots, K).float().cpu().numpy()
    wrist = left_root(points, depth, roots[:, 0], found.relative_root_depth.double(), K)
    scores = found.present.cpu().numpy()
    return {
        "right_joints": joints[:, 0],
        "left_joints": joints[:, 1],
        "right_score": scores[:, 0],
        "left_score": scores[:, 1],
        "left_root": wrist.float().cpu().numpy(),
    }


def read_expected(network: nn.Module, output: Any) -> tuple[Tensor, Tensor]:
    """Return the expected places in the crop (batch, 2, 21, 2), px, and depths (batch, 2, 21)."""
    config: InterNetConfig = network.config  # pyright: ignore
    bins = soft_argmax_3d(output.heatmaps.float()).unflatten(1, (2, -1)).double()
    bins = bins[:, :, network_to_openpose(config, bins.device)]
    return bins_to_pixels(bins[..., :2], config), bins_to_depth(bins[..., 2], config)


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of an InterNet from the command line."""
    from hand_baselines.prediction import main as predict

    predict("internet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
