"""What networks that look at one crop say of a hand: rotations, shape and camera; shared layers.

Conventions
-----------
Rotations are those of MANO's 16 joints in order ``mano21``, the global one first, in the camera
frame. The camera (s, tx, ty) is that of the full picture (facts/wildhands.md 5.3): the hand stands
at ``(tx, ty, 2 f / (side s))`` metres, with f the focal length in a square picture of ``side``
pixels; no conversion from crop to picture is needed.

An encoding says where in the field of view a crop is: 80 values for its centre and corners (sparse
KPE, facts/wildhands.md 5.2). A network either needs one or takes none.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from hand_baselines.hand_layer import JOINTS, rotation_6d_to_rotmat
from hand_baselines.rootnet.model import DEVIATION, MEAN

#: Values of a sparse encoding, and of a hand's shape.
ENCODING, BETAS = 80, 10


class Parameters(NamedTuple):
    """What a network says of n hands.

    | field | shape | meaning |
    |---|---|---|
    | rotations | (n, 16, 3, 3) | matrices, the global one first |
    | betas | (n, 10) | shape |
    | camera | (n, 3) | s, tx, ty in the full picture; tx and ty are metres |
    """

    rotations: Tensor
    betas: Tensor
    camera: Tensor


class ParameterHead(nn.Module):
    """Three linear maps: 6D rotations by their columns, shape, camera; added to where they start.

    Parameters
    ----------
    features
        Values that are read.
    identity
        Whether rotations start from none (with MANO's mean pose: the mean hand), or from nothing.
    camera
        Where s, tx, ty start.
    """

    start: Tensor

    def __init__(self, features: int, *, identity: bool, camera: tuple[float, ...]):
        super().__init__()
        self.pose = nn.Linear(features, 6 * JOINTS)
        self.shape = nn.Linear(features, BETAS)
        self.camera = nn.Linear(features, 3)
        six = [float(identity), 0.0, 0.0, 0.0, float(identity), 0.0]
        start = torch.tensor([*six * JOINTS, *camera])
        self.register_buffer("start", start, persistent=False)
        # The answers of a new network are close to the start (facts/wildhands.md 5.3).
        for linear in (self.pose, self.shape, self.camera):
            nn.init.xavier_uniform_(linear.weight, gain=0.01)
            nn.init.zeros_(linear.bias)

    def forward(self, features: Tensor) -> Parameters:
        """Read features (n, features); results are in single precision at least."""
        kind = torch.promote_types(features.dtype, torch.float32)
        six = self.pose(features).to(kind) + self.start[:-3]
        camera = self.camera(features).to(kind) + self.start[-3:]
        return Parameters(columns_to_rotmats(six), self.shape(features).to(kind), camera)


class EncodingLayers(nn.Sequential):
    """80 values to as many as a token has: two linear maps, each with a ReLU."""

    def __init__(self, tokens: int):
        layers = (nn.Linear(ENCODING, tokens), nn.ReLU(), nn.Linear(tokens, tokens), nn.ReLU())
        super().__init__(*layers)


class Colours(nn.Module):
    """Colours in 0 to 1, less ImageNet's mean and over its deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self):
        super().__init__()
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, height, width) to the same shape."""
        return (images - self.mean) / self.deviation


def columns_to_rotmats(six: Tensor) -> Tensor:
    """Return matrices (..., k, 3, 3) of 6D rotations (..., 6 k) by columns.

    The first three of six values become the first column, the others the second, as in HaMeR and
    HandOccNet; `rotation_6d_to_rotmat` makes rows of them.
    """
    return rotation_6d_to_rotmat(six.unflatten(-1, (-1, 6))).mT


def check_crops(crops: Tensor, encoding: Tensor | None, *, size: int, kpe: bool) -> None:
    """Check what a network is given.

    Raises
    ------
    ValueError
        For crops that are not (n, 3, size, size), for an encoding that is lacking or of another
        shape than (n, 80) where there is KPE, and for any where there is none.
    """
    if crops.shape[1:] != (3, size, size):
        raise ValueError(f"crops {tuple(crops.shape)} are not (n, 3, {size}, {size})")
    if encoding is None:
        if kpe:
            raise ValueError("this network has KPE (kpe=True) and needs an encoding (n, 80)")
        return
    if not kpe:
        raise ValueError("this network has no KPE (kpe=False) and takes no encoding")
    if encoding.shape != (len(crops), ENCODING):
        raise ValueError(f"encoding {tuple(encoding.shape)} is not ({len(crops)}, {ENCODING})")
