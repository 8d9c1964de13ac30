"""Heads that say a hand's MANO parameters from a vector of features, and how it grasps.

Source: Kanazawa et al., End-to-end recovery of human shape and pose, CVPR 2018, in the form of
ArcticNet-SF and WildHands (facts/wildhands.md 5.3): a shared trunk with one linear map for each
parameter, that corrects its own answer several times.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hand_baselines.hand_layer import JOINTS, rotation_6d_to_rotmat
from hand_baselines.parameters import BETAS, Parameters

#: Grasps that are told apart (facts/wildhands.md 7.1); the last one is none.
GRASPS = 9
#: Values of the state: 6D rotations by rows, camera, shape.
_POSE, _CAMERA = 6 * JOINTS, 3
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class Fitted(NamedTuple):
    """What an HMR head says of n hands: the `Parameters`, and the camera (n, 3) it began with."""

    parameters: Parameters
    first_camera: Tensor


class HMRHead(nn.Module):
    """Rotations, shape and camera, corrected a few times.

    Parameters
    ----------
    features
        Length of the vectors that are read.
    hidden, iterations, dropout
        Of the trunk, how often it corrects, and its dropout.
    """

    start: Tensor

    def __init__(self, features: int, hidden: int, iterations: int, dropout: float):
        super().__init__()
        self.iterations = iterations
        between = max(hidden // 2, 1)
        self.camera = nn.Sequential(
            *(nn.Linear(features, between), nn.ReLU(), nn.Linear(between, between), nn.ReLU()),
            nn.Linear(between, _CAMERA),
        )
        self.trunk = nn.Sequential(
            *(nn.Linear(features + _POSE + _CAMERA + BETAS, hidden), nn.ReLU()),
            *(nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout)),
        )
        self.corrections = nn.ModuleDict(
            {
                name: nn.Linear(hidden, length)
                for name, length in (("pose", _POSE), ("camera", _CAMERA), ("shape", BETAS))
            }
        )
        for layer in self.corrections.values():
            nn.init.xavier_uniform_(layer.weight, gain=0.01)  # pyright: ignore
        self.register_buffer("start", torch.tensor(_IDENTITY * JOINTS), persistent=False)

    def forward(self, features: Tensor) -> Fitted:
        """Read features (n, features); the results are in single precision at least."""
        kind = torch.promote_types(features.dtype, torch.float32)
        first = self.camera(features).to(kind)
        pose = self.start.to(kind).expand(len(features), -1)
        state = {"pose": pose, "camera": first, "shape": first.new_zeros(len(features), BETAS)}
        for _ in range(self.iterations):
            told = torch.cat([features, *(part.to(features) for part in state.values())], dim=1)
            found = self.trunk(told)
            state = {k: v + self.corrections[k](found).to(kind) for k, v in state.items()}
        rotations = rotation_6d_to_rotmat(state["pose"].unflatten(1, (JOINTS, 6)))
        return Fitted(Parameters(rotations, state["shape"], state["camera"]), first)


class GraspHead(nn.Sequential):
    """How a hand grasps: logits (n, 9) of its shape, rotations and perhaps more features.

    Parameters
    ----------
    features
        Length of the vectors that are told besides; 0: none.
    hidden
        Of the layers between.
    """

    def __init__(self, features: int, hidden: tuple[int, ...]):
        sizes = (BETAS + 9 * JOINTS + features, *hidden)
        layers: list[nn.Module] = []
        for size, after in pairwise(sizes):
            layers += [nn.Linear(size, after), nn.ReLU()]
        super().__init__(*layers, nn.Linear(sizes[-1], GRASPS))

    def read(self, parameters: Parameters, *features: Tensor) -> Tensor:
        """Return the logits for parameters of n hands, and features (n, features)."""
        return self(torch.cat([parameters.betas, parameters.rotations.flatten(1), *features], 1))
