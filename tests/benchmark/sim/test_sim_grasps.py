"""Grasps: fingers that touch what they hold and do not go through it."""

import numpy as np
import pytest

from hand_bench.sim import poses, self_contact
from hand_bench.sim.bodies import PRIMITIVES, Body
from hand_bench.sim.closure import PRESSED
from hand_bench.sim.grasps import gaps, grasp_pose
from hand_bench.sim.scene import GRASPS

TOUCH, DEEP = 3.0, 3.0
CASES = [
    ("NP-Palm", "box", (120, 40, 120)),
    ("NP-Palm", "plate", (200, 10, 150)),
    ("NP-Fin", "button", (20, 12, 20)),
    ("NP-Fin", "box", (80, 10, 150)),
    ("Pow-Pris", "cylinder", (30, 130, 30)),
    ("Pow-Pris", "cylinder", (65, 120, 65)),
    ("Pow-Pris", "box", (150, 60, 25)),
    ("Pre-Pris", "handle", (10, 140, 10)),
    ("Pre-Pris", "handle", (25, 120, 25)),
    ("Pre-Pris", "box", (40, 30, 60)),
    ("Pre-Pris", "card", (85, 2, 54)),
    ("Pow-Circ", "sphere", (70, 70, 70)),
    ("Pow-Circ", "cylinder", (80, 30, 80)),
    ("Pre-Circ", "sphere", (40, 40, 40)),
    ("Pre-Circ", "cylinder", (70, 20, 70)),
    ("Pre-Circ", "button", (30, 15, 30)),
    ("Later", "card", (70, 3, 40)),
    ("Later", "plate", (8, 60, 25)),
    ("Other", "handle", (20, 100, 20)),
    ("Other", "cylinder", (30, 120, 30)),
]
GRIPS = ("Pow-Pris", "Pre-Pris", "Pow-Circ", "Pre-Circ")
HELD = {
    (*case, seed): grasp_pose(*case, np.random.default_rng(seed))
    for case in CASES
    for seed in (0, 1)
}


def away(case):
    """Distance of the skin of each bone from the body."""
    _, primitive, size, _ = case
    return gaps(*HELD[case], primitive, size)


def contact_directions(case):
    """Unit vectors from the body's middle to the nearest points of thumb and fingers."""
    from hand_bench.sim.closure import in_object, skin
    from hand_bench.sim.hand import models

    rotvec, T = HELD[case]
    body = Body(case[1], np.array(case[2], float))
    points = in_object(skin(rotvec[None])[0], T)
    bone = models()[0].weights.argmax(axis=1)
    distance = body.distance(points)
    found = []
    for mine in (bone >= 14, (bone >= 1) & (bone <= 12)):
        near = points[mine][distance[mine] < TOUCH]
        step = 0.01 * np.eye(3)
        slope = [body.distance(near + e) - body.distance(near - e) for e in step]
        found.append(np.stack(slope, axis=1) / 0.02)
    return found


@pytest.mark.parametrize("case", HELD, ids=str)
def test_grasps_touch_without_going_through(case):
    found = away(case)
    assert found.min() > -DEEP
    assert found.min() < TOUCH
    assert poses.within_limits(HELD[case][0][None]).all()
    assert self_contact.overlap(HELD[case][0][None])[0] <= 2 * poses.OVERLAP


@pytest.mark.parametrize("case", [c for c in HELD if c[0] in GRIPS], ids=str)
def test_grips_have_contacts_on_opposite_sides(case):
    found = away(case)
    assert found[13:].min() < TOUCH
    assert found[1:13].min() < TOUCH
    thumb, fingers = contact_directions(case)
    palm = case[0].startswith("Pow") and found[0] < TOUCH
    assert palm or (thumb @ fingers.T).min() < -0.3


@pytest.mark.parametrize("case", [c for c in HELD if c[0] in ("NP-Palm", *GRIPS[::2])], ids=str)
def test_palm_touches_in_power_grasps_and_flat_hands(case):
    found = away(case)
    assert min(found[0], found[13], *found[1:13:3]) < TOUCH


@pytest.mark.parametrize("case", [c for c in HELD if c[0] == "NP-Fin"], ids=str)
def test_one_finger_touches(case):
    found = away(case)
    assert found[3] < TOUCH
    assert np.delete(found, 3).min() > -PRESSED - 0.1


@pytest.mark.parametrize("case", [c for c in HELD if c[0] == "Later"], ids=str)
def test_a_key_lies_between_thumb_and_the_side_of_the_index(case):
    found = away(case)
    assert found[13:].min() < TOUCH and found[1:4].min() < TOUCH


@pytest.mark.parametrize("case", [c for c in HELD if c[0] == "Other"], ids=str)
def test_a_hook_does_without_thumb_and_palm(case):
    found = away(case)
    assert found[1:13].min() < TOUCH and min(found[0], found[13:].min()) > TOUCH


def test_every_class_has_a_case():
    assert {case[0] for case in CASES} == set(GRASPS[:8])


def test_a_grasp_depends_on_the_generator_alone():
    once, again = (grasp_pose(*CASES[4], np.random.default_rng(0)) for _ in range(2))
    np.testing.assert_array_equal(once[0], again[0])
    np.testing.assert_array_equal(once[1], again[1])
    other = grasp_pose(*CASES[4], np.random.default_rng(1))
    assert not np.array_equal(other[1], once[1])


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_distance_of_a_body_is_right_along_its_axes(primitive):
    body = Body(primitive, np.array([20.0, 20.0, 20.0]))
    points = np.array([[0.0, 0, 0], [10, 0, 0], [0, 15, 0], [0, 0, -12]])
    np.testing.assert_allclose(body.distance(points), [-10, 0, 5, 2], atol=1e-9)
    assert body.reach(np.array([0.0, 1, 0])) == 10


def test_poses_hold_the_transform_rigid():
    for _, T in HELD.values():
        np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(T[:3, :3]) > 0


def test_unknown_grasps_and_primitives_are_refused():
    with pytest.raises(ValueError, match="none of NP-Palm"):
        grasp_pose("none", "box", 20, np.random.default_rng(0))
    with pytest.raises(ValueError, match="none of sphere"):
        grasp_pose("Other", "torus", 20, np.random.default_rng(0))
