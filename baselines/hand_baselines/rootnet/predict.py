"""Predict with a RootNet: ``python -m hand_baselines.rootnet.predict --help``.

Its own answer to a pose track is the mean training pose at the two wrists it finds, so its wrists
are scored by the harness (MRRPE). Its depths serve other models (`root_depths`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hand_baselines.crops import apply
from hand_baselines.lifting import back_project


def answer(
    network: nn.Module,
    output: Any,
    batch: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    root_depth: Tensor | None = None,
) -> dict[str, np.ndarray]:
    """Return columns of `hand_bench.write_predictions` for a batch of crops.

    `facts["mean_pose"]` are wrist-relative joints (2, 21, 3), mm. `left_root` is the difference of
    the two wrists. Whether a hand is there is not said.
    """
    found = network.decode(output, batch)  # pyright: ignore
    pixels = apply(batch["affine"].double(), found.roots_2d.double())
    wrists = back_project(pixels, found.depth.double(), batch["K"].double())
    pose = torch.as_tensor(facts["mean_pose"], dtype=torch.float64, device=wrists.device)
    joints = (wrists[:, :, None] + pose).float().cpu().numpy()
    return {
        "right_joints": joints[:, 0],
        "left_joints": joints[:, 1],
        "left_root": (wrists[:, 1] - wrists[:, 0]).float().cpu().numpy(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of a RootNet from the command line."""
    from hand_baselines.prediction import main as predict

    predict("rootnet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
