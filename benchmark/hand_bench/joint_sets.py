"""Joint sets: which 21 joints a hand has, in which order, and how one order becomes another.

Conventions
-----------
A joint is named by finger and position counted from the wrist: ``thumb1`` (CMC), ``thumb2``
(MCP), ``thumb3`` (IP), ``thumb4`` (tip); ``index1`` (MCP) to ``index4`` (tip); ``wrist``.
Sets that hold the same names are permutations of each other. A set with another joint (a palm
centre, a fingertip on another vertex) has names of its own and is never converted silently.
``wrist_from_palm`` and ``palm_from_wrist`` guess the one from the other by a rule that the caller
names; errors under different rules cannot be compared.

Sources: InterHand2.6M skeleton.txt; AssemblyHands toolkit; MANO's joint order with the tips of
thumb, index, middle, ring, pinky appended; FPHA readme; hand3d (RHD, STB); the palm rules as they
are collected in facts/interhand26m.md 1.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hand_bench.array_types import Float, Int
from hand_bench.errors import Problem, TrackError, unknown_name

FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@dataclass(frozen=True)
class JointSet:
    """A named order of the joints of one hand."""

    name: str
    joints: tuple[str, ...]
    source: str

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Index of each joint's parent in this set, -1 for the root."""
        return tuple(self._parent(joint) for joint in self.joints)

    @cached_property
    def root(self) -> int:
        """Index of the wrist (or of the palm centre where there is no wrist)."""
        return self.parents.index(-1)

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """Pairs (parent, child) to draw."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    def finger(self, name: str) -> tuple[int, ...]:
        """Return the indices of a finger's joints, in this set's order."""
        return tuple(i for i, joint in enumerate(self.joints) if joint.startswith(name))

    def _parent(self, joint: str) -> int:
        if joint in ("wrist", "palm"):
            return -1
        finger, position = joint.rstrip("0123456789"), int(joint[-1])
        inner = f"{finger}{position - 1}"
        if inner in self.joints:
            return self.joints.index(inner)
        return self.joints.index("wrist" if "wrist" in self.joints else "palm")


def _chains(fingers: tuple[str, ...], positions: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"{finger}{position}" for finger in fingers for position in positions)


_OUTWARD, _INWARD = (1, 2, 3, 4), (4, 3, 2, 1)
_FPHA_JOINTS = tuple(f"{finger}{k}" for finger in FINGERS for k in (2, 3, 4))

JOINT_SETS: dict[str, JointSet] = {
    joint_set.name: joint_set
    for joint_set in (
        JointSet("openpose21", ("wrist", *_chains(FINGERS, _OUTWARD)), "OpenPose, H2O, Ego-Exo4D"),
        JointSet("interhand21", (*_chains(FINGERS, _INWARD), "wrist"), "InterHand2.6M"),
        JointSet("assemblyhands21", (*_chains(FINGERS, _INWARD), "wrist"), "AssemblyHands"),
        JointSet(
            "mano21",
            (
                "wrist",
                *_chains(("index", "middle", "pinky", "ring", "thumb"), (1, 2, 3)),
                *(f"{finger}4" for finger in FINGERS),
            ),
            "MANO (smplx), tips appended; ARCTIC",
        ),
        JointSet("fpha21", ("wrist", *(f"{finger}1" for finger in FINGERS), *_FPHA_JOINTS), "FPHA"),
        JointSet("rhd21", ("wrist", *_chains(FINGERS, _INWARD)), "RHD"),
        JointSet(
            "stb21", ("palm", *_chains(FINGERS[::-1], _OUTWARD)), "STB: palm centre, no wrist"
        ),
        JointSet("palm21", ("palm", *_chains(FINGERS, _OUTWARD)), "STB, fingers as in OpenPose"),
    )
}

OPENPOSE = JOINT_SETS["openpose21"]

#: Approximate rules between palm centre and wrist: the wrist is where the line from the knuckles
#: (their mean) through the palm centre ends, at so many times the distance of the palm centre.
PALM_RULES: dict[str, tuple[tuple[str, ...], float]] = {
    "ring-mcp-2": (("ring1",), 2.0),
    "middle-mcp-2.2": (("middle1",), 2.2),
    "mean-mcp-2.25": (("index1", "middle1", "ring1", "pinky1"), 2.25),
}

#: Slots of the two hands in a 42-joint array of this project: right first.
HAND_SIDES = ("right", "left")


def joint_set(name: str) -> JointSet:
    """Return a joint set by name.

    Raises
    ------
    TrackError
        HB301 where the name is unknown.
    """
    if name not in JOINT_SETS:
        raise TrackError(unknown_name("joint set", name, list(JOINT_SETS)))
    return JOINT_SETS[name]


def permutation(source: str, target: str) -> Int[np.ndarray, " joints"]:
    """Return `order` such that ``joints[..., order, :]`` turns set `source` into set `target`.

    Raises
    ------
    TrackError
        HB301 where a name is unknown or the sets do not hold the same joints.
    """
    have, want = joint_set(source), joint_set(target)
    lacking = [joint for joint in want.joints if joint not in have.joints]
    if lacking:
        raise TrackError(
            Problem(
                "HB301",
                "",
                f"{source} has no {', '.join(lacking)}, so it is no permutation of {target}.",
                cause=f"{have.source} and {want.source} annotate different points of the hand.",
                fix="Use an approximate conversion by its own name, and declare it.",
            )
        )
    return np.array([have.joints.index(joint) for joint in want.joints])


def convert(
    joints: Float[np.ndarray, "*batch joints xyz"], source: str, target: str
) -> Float[np.ndarray, "*batch joints xyz"]:
    """Reorder the joints of one hand from `source` to `target` (exact permutations only)."""
    return joints[..., permutation(source, target), :]


def wrist_from_palm(
    joints: Float[np.ndarray, "*batch 21 xyz"], rule: str
) -> Float[np.ndarray, "*batch 21 xyz"]:
    """Replace the palm centre of ``palm21`` by a guessed wrist: the result is in ``openpose21``.

    Approximate: ``wrist = K + factor (palm - K)`` with the knuckles K and the factor of
    `PALM_RULES` (hand3d and S2DHand; facts/interhand26m.md 1.10).

    Raises
    ------
    TrackError
        HB301 where the rule is unknown.
    """
    knuckle, factor = _palm_rule(joints, rule)
    return _with_root(joints, knuckle + factor * (joints[..., 0, :] - knuckle))


def palm_from_wrist(
    joints: Float[np.ndarray, "*batch 21 xyz"], rule: str
) -> Float[np.ndarray, "*batch 21 xyz"]:
    """Replace the wrist of ``openpose21`` by a guessed palm centre: the inverse of the same rule.

    Raises
    ------
    TrackError
        HB301 where the rule is unknown.
    """
    knuckle, factor = _palm_rule(joints, rule)
    return _with_root(joints, knuckle + (joints[..., 0, :] - knuckle) / factor)


def _palm_rule(joints: np.ndarray, rule: str) -> tuple[np.ndarray, float]:
    """Return the mean of the rule's knuckles, and its factor."""
    if rule not in PALM_RULES:
        raise TrackError(unknown_name("rule between palm and wrist", rule, list(PALM_RULES)))
    names, factor = PALM_RULES[rule]
    return joints[..., [OPENPOSE.joints.index(name) for name in names], :].mean(axis=-2), factor


def _with_root(joints: np.ndarray, root: np.ndarray) -> np.ndarray:
    return np.concatenate([root[..., None, :], joints[..., 1:, :]], axis=-2)


def swap_hands(
    both: Float[np.ndarray, "*batch 42 xyz"],
) -> Float[np.ndarray, "*batch 42 xyz"]:
    """Exchange the right (0..20) and the left (21..41) hand of a 42-joint array."""
    return np.concatenate([both[..., 21:, :], both[..., :21, :]], axis=-2)
