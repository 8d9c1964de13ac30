"""Predict with an InterNet: ``python -m hand_baselines.internet.predict --help``.

Both hands are always answered, with the probability that they are there as score; the scorer takes
a hand for absent below one half. Hands are lifted at the depths of a RootNet, where one is given,
else at the mean depth of training wrists. `left_root` is the left wrist seen from the right one, at
the predicted difference of depths, or at the difference of the two given depths.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hand_baselines.crops import apply
from hand_baselines.lifting import left_root, lift_hands


def answer(
    network: nn.Module,
    output: Any,
    batch: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    root_depth: Tensor | None = None,
    left: str = "relative",
) -> dict[str, np.ndarray]:
    """Return columns of `hand_bench.write_predictions` for a batch of crops.

    Parameters
    ----------
    facts
        ``root_depth``: the mean depths, mm, of the right and the left training wrist.
    root_depth
        (batch, 2), mm, at which the wrists are lifted; default: the mean ones.
    left
        Where the left wrist is, seen from the right one: at the "relative" depth that the network
        predicts, or at the difference of the "absolute" depths (the paper's ablation, 6.2).
    """
    found = network.decode(output, batch)  # pyright: ignore
    # Joints are decoded in the picture, but the batch holds the crop's intrinsics.
    points = apply(batch["affine"].double()[:, None], found.joints_2d.double())
    depth, K = found.relative_depth.double(), batch["K"].double()
    if root_depth is None:
        root_depth = torch.tensor(facts["root_depth"]).expand(len(points), 2)
    roots = root_depth.to(points)
    joints = lift_hands(points, depth, roots, K).float().cpu().numpy()
    between = found.relative_root_depth.to(points)
    if left == "absolute":
        between = roots[:, 1] - roots[:, 0]
    wrist = left_root(points, depth, roots[:, 0], between, K)
    scores = found.present.cpu().numpy()
    return {
        "right_joints": joints[:, 0],
        "left_joints": joints[:, 1],
        "right_score": scores[:, 0],
        "left_score": scores[:, 1],
        "left_root": wrist.float().cpu().numpy(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of an InterNet from the command line."""
    from hand_baselines.prediction import main as predict

    predict("internet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
