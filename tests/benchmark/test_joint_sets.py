"""Joint sets: names, parents, conversions both ways."""

import numpy as np
import pytest

from hand_bench.errors import TrackError
from hand_bench.joint_sets import (
    JOINT_SETS,
    OPENPOSE,
    PALM_RULES,
    convert,
    palm_from_wrist,
    permutation,
    swap_hands,
    wrist_from_palm,
)

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


def test_stb_becomes_palm21_by_turning_the_order_of_its_fingers():
    order = permutation("stb21", "palm21").tolist()
    assert order == [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]
    assert JOINT_SETS["palm21"].joints[1:] == OPENPOSE.joints[1:]
    assert JOINT_SETS["palm21"].parents == OPENPOSE.parents
    with pytest.raises(TrackError, match="HB301 palm21 has no wrist"):
        permutation("palm21", "openpose21")


@pytest.mark.parametrize(
    ("rule", "wrist"),
    [
        # Palm at y = 40; knuckles (index, middle, ring, pinky) at y = 90, 100, 80, 70.
        ("ring-mcp-2", (-20, 0, 0)),  # (20, 80) + 2 ((0, 40) - (20, 80))
        ("middle-mcp-2.2", (0, -32, 0)),  # (0, 100) + 2.2 ((0, 40) - (0, 100))
        ("mean-mcp-2.25", (-12.5, -16.25, 0)),  # (10, 85) + 2.25 ((0, 40) - (10, 85))
    ],
)
def test_a_wrist_is_guessed_from_the_palm_by_the_rule_of_the_given_name(rule, wrist):
    joints = np.zeros((2, 21, 3))
    joints[:, [0, 5, 9, 13, 17], 1] = [40, 90, 100, 80, 70]
    joints[:, [5, 13, 17], 0] = [-20, 20, 40]
    made = wrist_from_palm(joints, rule)
    assert np.allclose(made[:, 0], wrist)
    assert np.array_equal(made[:, 1:], joints[:, 1:])


@pytest.mark.parametrize("rule", PALM_RULES)
def test_palm_and_wrist_rules_undo_each_other(rule):
    joints = np.random.default_rng(0).normal(size=(4, 21, 3))
    assert np.allclose(palm_from_wrist(wrist_from_palm(joints, rule), rule), joints)
    assert np.allclose(wrist_from_palm(palm_from_wrist(joints, rule), rule), joints)


def test_an_unknown_palm_rule_names_the_known_ones():
    with pytest.raises(TrackError, match=r"HB301 there is no rule .* 'ring-mcp'(.|\n)*ring-mcp-2,"):
        wrist_from_palm(np.zeros((21, 3)), "ring-mcp")


def test_an_unknown_set_names_the_nearest_one():
    with pytest.raises(TrackError, match=r"Did you mean 'openpose21'\?"):
        permutation("openpose", "mano21")


def test_swapping_hands_twice_gives_the_same_array():
    both = np.arange(42 * 3.0).reshape(1, 42, 3)
    assert np.array_equal(swap_hands(both)[:, :21], both[:, 21:])
    assert np.array_equal(swap_hands(swap_hands(both)), both)
