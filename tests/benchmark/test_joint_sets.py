"""Joint sets: names, parents, conversions both ways."""

import numpy as np
import pytest

from hand_bench.errors import TrackError
from hand_bench.joint_sets import JOINT_SETS, OPENPOSE, convert, permutation, swap_hands

SAME_JOINTS = [name for name, s in JOINT_SETS.items() if set(s.joints) == set(OPENPOSE.joints)]


@pytest.mark.parametrize("name", JOINT_SETS)
def test_every_set_has_21_joints_one_root_and_parents_nearer_to_the_wrist(name):
    chosen = JOINT_SETS[name]
    assert len(set(chosen.joints)) == 21
    assert list(chosen.parents).count(-1) == 1
    for parent, child in chosen.bones:
        inner = chosen.joints[parent]
        assert inner in ("wrist", "palm") or int(inner[-1]) == int(chosen.joints[child][-1]) - 1


@pytest.mark.parametrize("source", SAME_JOINTS)
@pytest.mark.parametrize("target", SAME_JOINTS)
def test_conversions_move_every_joint_to_its_name_and_back(source, target):
    joints = np.random.default_rng(0).normal(size=(3, 21, 3))
    there = convert(joints, source, target)
    for k, name in enumerate(JOINT_SETS[target].joints):
        at = JOINT_SETS[source].joints.index(name)
        assert np.array_equal(there[:, k], joints[:, at])
    assert np.array_equal(convert(there, target, source), joints)


def test_orders_are_those_of_the_official_sources():
    # AssemblyHands toolkit JMAP_INTERHAND_TO_PANOPTIC; WildHands assembly_dataset.py (to MANO).
    panoptic = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]
    mano = [20, 7, 6, 5, 11, 10, 9, 19, 18, 17, 15, 14, 13, 3, 2, 1, 0, 4, 8, 12, 16]
    assert permutation("interhand21", "openpose21").tolist() == panoptic
    assert permutation("assemblyhands21", "openpose21").tolist() == panoptic
    assert permutation("assemblyhands21", "mano21").tolist() == mano


def test_mano_has_the_pinky_before_the_ring_finger():
    order = JOINT_SETS["mano21"].joints
    assert order[7] == "pinky1" and order[10] == "ring1"


def test_a_set_with_another_joint_is_not_converted_silently():
    with pytest.raises(TrackError, match=r"HB301 stb21 has no wrist, so it is no permutation"):
        permutation("stb21", "openpose21")


def test_an_unknown_set_names_the_nearest_one():
    with pytest.raises(TrackError, match=r"Did you mean 'openpose21'\?"):
        permutation("openpose", "mano21")


def test_swapping_hands_twice_gives_the_same_array():
    both = np.arange(42 * 3.0).reshape(1, 42, 3)
    assert np.array_equal(swap_hands(both)[:, :21], both[:, 21:])
    assert np.array_equal(swap_hands(swap_hands(both)), both)
