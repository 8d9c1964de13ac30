"""Which actions the look-alike of each dataset has: label name, verb, object.

H2O's and FPHA's sets are in the order of `hand_bench.classes`. The labels of AssemblyHands' set are
its six verbs; the other sets have no labels that are scored.
"""

from __future__ import annotations

from typing import NamedTuple

from hand_bench import classes
from hand_bench.sim.objects import fpha_object


class Action(NamedTuple):
    """An action of a set: its label's name, and what `actions.perform` takes."""

    name: str
    verb: str
    object: str


#: The verbs of AssemblyHands, in the order of its track's classes.
VERBS = ("pick up", "put down", "position", "remove", "screw", "unscrew")
_LOOSE = (
    *("cabin", "wheel", "roof", "screw", "screwdriver", "chassis", "base", "bumper", "bucket"),
    *("arm", "axle", "ladder"),
)
_FITTED = ("cabin", "wheel", "roof", "bumper", "bucket", "arm", "ladder", "base")
_SCREWED = ("screw", "wheel", "screwdriver", "screw")
_TOYS_OF = {
    **dict.fromkeys(("pick up", "put down"), _LOOSE),
    **dict.fromkeys(("position", "remove"), _FITTED),
    **dict.fromkeys(("screw", "unscrew"), _SCREWED),
}
#: Six verbs with toy parts, the verbs in turn, so that any run of them has all six.
ASSEMBLY_VERBS = tuple(
    Action(verb, verb, _TOYS_OF[verb][k % len(_TOYS_OF[verb])])
    for k in range(len(_LOOSE))
    for verb in VERBS
)

H2O_ACTIONS = tuple(Action(name, *name.rsplit(" ", 1)) for name in classes.H2O_ACTIONS)

#: FPHA's verbs where the label's first word does not say enough.
_FPHA_VERBS = {
    "scoop_spoon": "scoop",
    "put_sugar": "put",
    "open_soda_can": "pull open",
    "use_flash": "spray",
    "squeeze_paper": "crumple",
    "open_letter": "unfold",
    "take_letter_from_enveloppe": "take out",
    "open_wallet": "unfold",
    "handshake": "handshake",
    "high_five": "high five",
    "flip_pages": "leaf",
    "use_calculator": "press",
}


def _fpha(name: str) -> Action:
    return Action(name, _FPHA_VERBS.get(name, name.split("_")[0]), fpha_object(name))


FPHA_ACTIONS = tuple(_fpha(name) for name in classes.FPHA_ACTIONS)

_ARCTIC_OBJECTS = (
    *("box", "capsulemachine", "espressomachine", "ketchup", "laptop", "microwave", "mixer"),
    *("notebook", "phone", "scissors", "waffleiron"),
)
#: ARCTIC's sequences: each object held and turned about ("grab"), and used as it is meant.
ARCTIC = tuple(
    Action(f"{thing} {verb}", "handle" if verb == "grab" else "use", thing)
    for thing in _ARCTIC_OBJECTS
    for verb in ("grab", "use")
)

#: What people do in kitchens and on desks.
DAILY = tuple(
    Action(f"{verb} {thing}", verb, thing)
    for verb, things in {
        "pick up": ("mug", "spoon", "salt", "phone", "sponge"),
        "put down": ("mug", "milk", "peanut_butter", "fork", "notebook"),
        "take out": ("milk", "tea_bag", "chips"),
        "put in": ("cocoa", "spoon", "espresso"),
        "open": ("milk", "peanut_butter", "juice_bottle", "ketchup"),
        "close": ("milk", "peanut_butter", "liquid_soap"),
        "pour": ("milk", "juice_bottle", "mug"),
        "drink": ("mug", "soda_can"),
        "stir": ("spoon", "fork"),
        "scoop": ("spoon",),
        "sprinkle": ("salt",),
        "wash": ("sponge", "mug"),
        "clean": ("glasses", "mug"),
        "cut": ("fork", "scissors"),
        "squeeze": ("ketchup", "sponge", "liquid_soap"),
        "spray": ("spray",),
        "write": ("pen",),
        "read": ("book", "letter"),
        "leaf": ("book", "notebook"),
        "press": ("calculator", "phone"),
        "unfold": ("letter", "wallet"),
        "handle": ("box", "espresso", "bucket"),
    }.items()
    for thing in things
)
