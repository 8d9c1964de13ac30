"""Objects: closed, small, as large as they say; every action has its object."""

import numpy as np
import pytest

from hand_bench.classes import FPHA_ACTIONS, H2O_ACTIONS
from hand_bench.sim.objects import (
    ARCTIC_OBJECT_NAMES,
    FPHA_OBJECT_NAMES,
    H2O_OBJECT_NAMES,
    OBJECTS,
    PRIMITIVES,
    TOY_NAMES,
    fpha_object,
)
from hand_bench.sim.scene import OBJECT, OBJECT_PART

#: Handles, spouts, strings and cables stick out of the body.
STICKS_OUT = {"spray", "mug", "tea_bag", "cell_charger", "waffleiron", "microwave"} | {
    "capsulemachine",
    "espressomachine",
}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_closed_and_small(name):
    mesh = OBJECTS[name].mesh(np.eye(4))
    assert len(mesh.faces) < 600
    assert mesh.instance == OBJECT
    assert (mesh.parts == OBJECT_PART).all()
    assert (mesh.colours >= 0).all()
    assert (mesh.colours <= 1).all()
    corners = mesh.vertices[mesh.faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # The areas of a closed surface cancel out, and they point outwards.
    np.testing.assert_allclose(area.sum(axis=0) / np.abs(area).sum(), 0, atol=1e-9)
    assert np.einsum("fi,fi->", corners[:, 0], area) > 0


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_as_large_as_it_says(name):
    thing = OBJECTS[name]
    assert thing.primitive in PRIMITIVES
    extent = np.ptp(thing.mesh(np.eye(4)).vertices, axis=0)
    assert (extent > 0.7 * np.array(thing.dimensions) - 1).all()
    if name not in STICKS_OUT:
        np.testing.assert_allclose(extent, thing.dimensions, atol=8, rtol=0.25)


def test_lists_name_known_objects():
    assert len(H2O_OBJECT_NAMES) == 8
    assert len(FPHA_OBJECT_NAMES) == 26
    assert len(ARCTIC_OBJECT_NAMES) == 11
    named = {*H2O_OBJECT_NAMES, *FPHA_OBJECT_NAMES, *ARCTIC_OBJECT_NAMES, *TOY_NAMES} - {"hand"}
    assert named == set(OBJECTS)


def test_every_action_has_its_object():
    assert {action.split()[-1] for action in H2O_ACTIONS} == set(H2O_OBJECT_NAMES)
    assert fpha_object("stir") == "spoon"
    assert fpha_object("read_letter") == "paper"
    assert fpha_object("flip_pages") == "book"
    assert fpha_object("give_card") == "card"
    assert fpha_object("high_five") == ""
    assert {fpha_object(action) for action in FPHA_ACTIONS} - {""} <= set(OBJECTS)


def test_pose_scale_and_seed():
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    pose[:3, 3] = [10, 20, 30]
    thing = OBJECTS["mug"]
    plain, moved = thing.mesh(np.eye(4)), thing.mesh(pose, scale=0.5, seed=1)
    expected = 0.5 * plain.vertices @ pose[:3, :3].T + [10, 20, 30]
    np.testing.assert_allclose(moved.vertices, expected)
    assert (plain.colours != moved.colours).any()
    np.testing.assert_array_equal(thing.mesh(pose, seed=1).colours, moved.colours)


def test_axes_of_grasping():
    assert OBJECTS["cocoa"].axis == 1
    assert OBJECTS["pen"].axis == 0
    assert OBJECTS["book"].axis == 2
    handle = OBJECTS["mug"].handle
    assert handle is not None
    assert handle.centre[0] > OBJECTS["mug"].dimensions[0] / 2
