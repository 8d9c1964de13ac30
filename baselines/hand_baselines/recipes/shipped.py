"""The recipes of the shipped weights.

Steps, batches and rates are those of the records in ``baselines/weights``. Two things differ from
how these were made: InterNet, SVEgoNet and the first RootNet started from the backbone before it
was stored in half precision; and the first two stages of `htt-small` were run when `augmentation`
was a factor on shifts alone (colours varied by the paper's ranges in both, shifts by the paper's in
the first and by 0.3 of it in the second). The card of `msg3d-small` also has poses with noise.
"""

from __future__ import annotations

from dataclasses import replace

from hand_baselines.recipes.recipe import Recipe, Stage
from hand_bench.errors import BaselineError, Problem, unknown_name

_HAND, _EGO = "handsim-interhand26m", "handsim-assemblyhands"
_VIEWS, _DESKTOP = "handsim-assemblyhands-annotation", "handsim-desktop-activities"
_H2O, _EXO, _ARCTIC = "handsim-h2o-pose", "handsim-egoexo4d-hand", "handsim-arctic-ego"
#: In 3D, then with masks and grasps: never on H2O or Ego-Exo4D.
_WILD = (_ARCTIC, _EGO, "handsim-epic-handkps", "handsim-ego4d")
_BF16 = {"precision": "bf16"}

#: In the order in which a bare GPU host should make them: what gains most first.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "internet-small",
            "internet",
            (_HAND,),
            (Stage(5000, {"batch": 16, **_BF16}),),
            (_HAND, f"{_HAND} root_depth=rootnet-small"),
        ),
        Recipe(
            "rootnet-small",
            "rootnet",
            (_HAND,),
            (Stage(2000, {"batch": 32, **_BF16}),),
            (_HAND,),
            store="byte",
            with_predictions=False,
        ),
        Recipe(
            "wildhands-small",
            "wildhands",
            _WILD,
            (Stage(2000, _BF16),),
            (
                _H2O,
                f"{_H2O} weights=handnet-small",
                _EXO,
                f"{_EXO} weights=handnet-small",
                _ARCTIC,
            ),
            store="byte",
            writing=2.5,
        ),
        Recipe(
            "handnet-small",
            "handnet",
            _WILD,
            (Stage(2000, _BF16),),
            (_H2O, _EXO, _ARCTIC),
            store="byte",
            writing=2.0,
        ),
        Recipe(
            "svegonet-small",
            "svegonet",
            (_EGO,),
            (Stage(4000, {"batch": 16, **_BF16}),),
            (_EGO, f"{_EGO} root_depth=rootnet-ego-small"),
        ),
        Recipe(
            "rootnet-ego-small",
            "rootnet",
            (_EGO,),
            (Stage(1300, {"batch": 32, **_BF16}),),
            (_EGO,),
            store="byte",
            with_predictions=False,
        ),
        Recipe(
            "htt-small",
            "htt",
            (_H2O,),
            (
                Stage(
                    1500,
                    {"batch": 32, "augmentation": 1.0, **_BF16},
                    ("window=1", "clip=1"),
                    share=0.4,
                    validated=256,
                ),
                Stage(
                    700,
                    {"learning_rate": 0.0005, "augmentation": 1.0, **_BF16},
                    share=0.3,
                    validated=256,
                ),
                Stage(600, {"learning_rate": 0.0005, **_BF16}, share=0.3, validated=256),
            ),
            (_H2O, "handsim-h2o-action"),
        ),
        Recipe(
            "keypoints2d-small",
            "keypoints2d",
            (_VIEWS,),
            (Stage(4000, _BF16, validated=32),),
            tuple(
                f"{track}{how}"
                for track in (_VIEWS, _DESKTOP)
                for how in ("", " triangulation=algebraic")
            ),
            writing=2.0,
        ),
        Recipe(
            "mvexonet-small",
            "mvexonet",
            (_VIEWS,),
            (
                Stage(3000, _BF16, share=0.4, validated=32),
                Stage(4000, {"learning_rate": 0.0007, **_BF16}, share=0.6, validated=32),
            ),
            tuple(
                f"{track} {how}"
                for track in (_VIEWS, _DESKTOP)
                for how in (
                    "start=keypoints2d-small",
                    "start=keypoints2d-small rounds=2",
                    "start=keypoints2d-small rounds=1",
                    "weights=keypoints2d-small",
                )
            ),
            writing=2.5,
        ),
        Recipe(
            "msg3d-small",
            "msg3d",
            ("handsim-assemblyhands-verbs",),
            (Stage(600),),
            ("handsim-assemblyhands-verbs",),
            backbone=None,
        ),
        Recipe(
            "backbone-small",
            "backbone",
            (_HAND, _EGO),
            (Stage(6223, {"batch": 32, **_BF16}),),
            (_HAND,),
            backbone=None,
            with_predictions=False,
        ),
    )
}


def find_recipe(name: str, *, paper: bool = False, backbone: str | None = None) -> Recipe:
    """Return a recipe by the name of its weights.

    Parameters
    ----------
    name
        Of shipped weights.
    paper
        The model's preset `paper` in place of the small one, from random weights.
    backbone
        What the backbone starts from instead (see `backbone.weights.start_from`).

    Raises
    ------
    BaselineError
        HB301 for an unknown name, HB302 where the model has no preset `paper`.
    """
    if name not in RECIPES:
        raise BaselineError(unknown_name("recipe", name, list(RECIPES)))
    found = RECIPES[name]
    if paper:
        from hand_baselines.models import find_model

        if "paper" not in find_model(found.model).presets():
            raise BaselineError(Problem("HB302", name, "has no preset `paper`."))
        found = found.of_paper()
    return found if backbone is None else replace(found, backbone=backbone)
