"""Names of the classes of H2O and FPHA, in the order of their official ids.

Sources: H2O's readme (facts/htt-h2o-fpha.md 1.4); FPHA's split file and readme (2.5).
"""

from __future__ import annotations

#: By official id; 0 is the background.
H2O_OBJECTS = (
    *("background", "book", "espresso", "lotion", "spray", "milk", "cocoa", "chips"),
    "cappuccino",
)
H2O_VERBS = (
    *("background", "grab", "place", "open", "close", "pour", "take out", "put in", "apply"),
    *("read", "spray", "squeeze"),
)
_OBJECTS_OF_VERB = {
    "grab": H2O_OBJECTS[1:],
    "place": H2O_OBJECTS[1:],
    "open": ("lotion", "milk", "chips"),
    "close": ("lotion", "milk", "chips"),
    "pour": ("milk",),
    "take out": ("espresso", "cocoa", "chips", "cappuccino"),
    "put in": ("espresso", "cocoa", "cappuccino"),
    "apply": ("lotion", "spray"),
    "read": ("book", "espresso"),
    "spray": ("spray",),
    "squeeze": ("lotion",),
}
#: By label (official id - 1): "grab book" to "squeeze lotion".
H2O_ACTIONS = tuple(
    f"{verb} {thing}" for verb, things in _OBJECTS_OF_VERB.items() for thing in things
)
#: By label (the split file's, from 0).
FPHA_ACTIONS = (
    *("open_juice_bottle", "close_juice_bottle", "pour_juice_bottle", "open_peanut_butter"),
    *("close_peanut_butter", "prick", "sprinkle", "scoop_spoon", "put_sugar", "stir", "open_milk"),
    *("close_milk", "pour_milk", "drink_mug", "put_tea_bag", "put_salt", "open_liquid_soap"),
    *("close_liquid_soap", "pour_liquid_soap", "wash_sponge", "flip_sponge", "scratch_sponge"),
    *("squeeze_sponge", "open_soda_can", "use_flash", "write", "tear_paper", "squeeze_paper"),
    *("open_letter", "take_letter_from_enveloppe", "read_letter", "flip_pages"),
    *("use_calculator", "light_candle", "charge_cell_phone", "unfold_glasses", "clean_glasses"),
    *("open_wallet", "give_coin", "receive_coin", "give_card", "pour_wine", "toast_wine"),
    *("handshake", "high_five"),
)
