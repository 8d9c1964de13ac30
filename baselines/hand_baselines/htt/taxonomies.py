"""What a dataset's videos show: which hands, which actions, and the object of each action.

Sources: facts/htt-h2o-fpha.md 1.4 (H2O) and 2.5 (FPHA: the object's id is the order in which its
name first appears among the actions).
"""

from __future__ import annotations

from typing import NamedTuple

from hand_bench.classes import FPHA_ACTIONS, H2O_ACTIONS, H2O_OBJECTS

#: By FPHA's action, the id of its object: juice bottle (0), ..., hand (25).
_FPHA_OBJECTS = (
    *(0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4, 4, 5, 6, 7, 8, 8, 8, 9, 9, 9, 9, 10, 11, 12),
    *(13, 13, 14, 14, 13, 15, 16, 17, 18, 19, 19, 20, 21, 21, 22, 23, 24, 25, 25),
)


class Taxonomy(NamedTuple):
    """What is to be told apart.

    | field | meaning |
    |---|---|
    | hands | annotated hands, in the order of the network's joints |
    | actions | names of the actions, by label |
    | objects | number of objects |
    | object_of | the object of each action |
    """

    hands: tuple[str, ...]
    actions: tuple[str, ...]
    objects: int
    object_of: tuple[int, ...]

    @property
    def joints(self) -> int:
        """Joints of all hands."""
        return 21 * len(self.hands)


#: By the dataset; "handsim-h2o" is one of "h2o".
TAXONOMIES = {
    "h2o": Taxonomy(
        ("left", "right"),
        H2O_ACTIONS,
        len(H2O_OBJECTS) - 1,
        tuple(H2O_OBJECTS.index(name.rsplit(" ", 1)[1]) - 1 for name in H2O_ACTIONS),
    ),
    "fpha": Taxonomy(("right",), FPHA_ACTIONS, max(_FPHA_OBJECTS) + 1, _FPHA_OBJECTS),
}
