"""Skinning for pictures against the hand model."""

import numpy as np
import pytest

from hand_bench.sim.skinning import skinners


@pytest.mark.parametrize("side", [0, 1])
def test_skinning_agrees_with_the_hand_model(side):
    skinner = skinners()[side]
    rng = np.random.default_rng(side)
    rotvec, translation = rng.normal(0, 0.6, (5, 16, 3)), rng.normal(0, 300, (5, 3))
    betas = rng.normal(0, 1, skinner.model.shapedirs.shape[2])
    expected = skinner.model.vertices(
        rotvec=rotvec, betas=betas, translation=translation, flat_hand_mean=True
    )
    posed = skinner.vertices(rotvec, betas, translation)
    np.testing.assert_allclose(posed, expected, atol=0.01)
    alone = skinner.vertices(rotvec[2:3], betas, translation[2:3])
    np.testing.assert_array_equal(alone[0], posed[2])
