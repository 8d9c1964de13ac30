"""Meshes: vertices of hands from MANO's parameters, and how far predicted ones are from true ones.

Conventions
-----------
A mesh is 61 numbers: rotation vectors of the wrist (3) and of 15 joints (45), shape (10),
translation (3, mm), in the frame of the joints. Which pose is zero is the dataset's: the flat hand
(H2O, HandSim), or the model's mean pose, which is added (ARCTIC, `MEAN_ADDED`). Predictions follow
the annotations of their track.

The model is HandSim's own for its tracks, else the licensed MANO files as they come
(`hand_model.find_mano`); predicted and true parameters go through the same one. Vertices are seen
from the wrist, the model's root joint, so translations do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hand_bench.array_types import Float
from hand_bench.hand_model import HandModel, find_mano
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.metrics import joint_errors

#: Datasets whose rotations are those that are added to the model's mean pose.
MEAN_ADDED = frozenset({"arctic"})
#: Hands that are posed at a time.
_CHUNK = 256


class Parameters(NamedTuple):
    """MANO's parameters of one hand side of a block; NaN where a hand has none."""

    pred: Float[np.ndarray, "rows 61"]
    gt: Float[np.ndarray, "rows 61"]
    #: The rotation that brings predicted vertices into the truth's frame, where that is another.
    R: Float[np.ndarray, "rows 3 3"] | None = None


@dataclass(frozen=True)
class Meshes:
    """The hand models of a dataset: right and left, what to call them, and which pose is zero."""

    models: tuple[HandModel, HandModel]
    name: str
    flat_hand_mean: bool

    @classmethod
    def of(cls, dataset: str) -> Meshes:
        """Return the hand models of a dataset.

        Raises
        ------
        DatasetError
            HB202 where MANO's files are needed and not there, HB203 where they are damaged.
        """
        if dataset.startswith("handsim-"):
            from hand_bench.sim.hand import models

            return cls(models(), "handsim", flat_hand_mean=True)
        right, left = (HandModel.load(find_mano(side)) for side in HAND_SIDES)
        return cls((right, left), "mano", dataset not in MEAN_ADDED)

    def vertices(
        self, side: int, parameters: Float[np.ndarray, "hands 61"]
    ) -> Float[np.ndarray, "hands vertices 3"]:
        """Return the vertices of hands of one side (0 right, 1 left) as seen from the wrist, mm."""
        model, values = self.models[side], np.asarray(parameters, np.float64)
        betas = values[:, 48:58]
        posed = model.vertices(
            rotvec=values[:, :48].reshape(-1, 16, 3),
            betas=betas,
            flat_hand_mean=self.flat_hand_mean,
        )
        return posed - model.root(betas)[:, None]

    def errors(self, side: int, hands: Parameters) -> Float[np.ndarray, " rows"]:
        """Return each hand's mean distance of vertices, mm; NaN where one of the two is not given.

        Parameters
        ----------
        side
            0 right, 1 left.
        hands
            Predicted and true parameters.
        """
        out = np.full(len(hands.pred), np.nan)
        given = ~np.isnan(hands.pred).any(axis=1) & ~np.isnan(hands.gt).any(axis=1)
        rows = np.flatnonzero(given)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            pred = self.vertices(side, hands.pred[part])
            if hands.R is not None:
                pred = np.einsum("nij,nvj->nvi", hands.R[part], pred)
            gt = self.vertices(side, hands.gt[part])
            out[part] = joint_errors(pred, gt).mean(axis=1)
        return out
