"""The models as values: what each is made of, how its crops are cut, how it is trained and read."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from hand_baselines.augmentation import INTERNET, ROOTNET, VIEWED, Ranges
from hand_baselines.crops import integer_square_box
from hand_baselines.samples import Crops
from hand_bench.errors import BaselineError, Problem, unknown_name
from hand_bench.geometry import square_box

if TYPE_CHECKING:
    from hand_baselines.tasks import Task

Box = Callable[[np.ndarray], np.ndarray]
#: (network, its output, the batch, facts, depths of the wrists or None) -> predictions' columns.
Answer = Callable[..., dict[str, np.ndarray]]


@dataclass(frozen=True)
class Model:
    """One model.

    A network has `config`, `targets(batch)`, `losses(output, targets)` (a named tuple of terms with
    their `total`) and `decode(output, batch)`.

    Attributes
    ----------
    name, title
        "internet", and one line about it.
    package
        Its module; classes and presets are looked up there when they are needed.
    network, config
        Names of its classes.
    box
        Config -> the square box of a box; none: it looks at no crops.
    ranges
        How far random views go in training.
    clipped
        Whether boxes are clipped to the picture before they are made square.
    options
        Preset -> options of training that differ from the defaults.
    inputs
        What a prediction declares that it was given.
    facts
        What its answers need besides the weights: names in `runs.FACTS`.
    kind
        What it does with data: the name of a `Task`, "module:VALUE".
    home
        The package of its classes, where that is another model's.
    chosen_by
        Metric by which the best weights are chosen; none: the one that ranks the track.
    """

    name: str
    title: str
    package: str
    network: str
    config: str
    box: Callable[[Any], Box] | None = None
    ranges: Ranges | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("boxes:standard", "root_depth:none")
    clipped: bool = False
    facts: tuple[str, ...] = ("root_depth",)
    kind: str = "hand_baselines.crop_task:CROPS"
    chosen_by: str | None = None
    home: str = ""

    def task(self) -> Task:
        """Return what it does with data."""
        module, _, value = self.kind.partition(":")
        return getattr(importlib.import_module(module), value)

    def network_class(self) -> type[nn.Module]:
        """Return the class of its network."""
        return getattr(importlib.import_module(f"{self.home or self.package}.model"), self.network)

    def config_class(self) -> type:
        """Return the class of its configuration."""
        return getattr(importlib.import_module(f"{self.home or self.package}.config"), self.config)

    def preset(self, name: str) -> Any:
        """Return a configuration by name; HB301 for an unknown one."""
        return importlib.import_module(f"{self.package}.config").preset(name)

    def presets(self) -> list[str]:
        """Return the names of its configurations."""
        return list(importlib.import_module(f"{self.package}.config").PRESETS)

    def answer(self) -> Answer:
        """Return what turns its output into columns of predictions."""
        return importlib.import_module(f"{self.package}.predict").answer

    def crops(self, config: Any, augmentation: float | None = None) -> Crops:
        """Return how crops are cut for a configuration.

        With `augmentation` views are random; it is a factor on shifts, scales and turns. HB302
        where the model looks at no crops.
        """
        ranges = self.ranges
        if augmentation is None:
            ranges = None
        elif ranges is not None:
            names = ("shift", "scale", "turn")
            ranges = replace(ranges, **{n: augmentation * getattr(ranges, n) for n in names})
        return Crops(self.square(config), config.input_size, ranges, self.clipped)

    def square(self, config: Any) -> Box:
        """Return the square box of a box; HB302 where the model looks at no crops."""
        if self.box is None:
            raise BaselineError(Problem("HB302", self.name, "looks at no crops."))
        return self.box(config)


def _square(config: Any) -> Box:
    return partial(square_box, expansion=config.expansion)


def _whole_pixels(config: Any) -> Box:
    return partial(integer_square_box, expansion=config.expansion, smallest=config.smallest_crop)


#: InterNet's official schedule: Adam, a tenth after epochs 15 and 17 of 20.
_PAPER = {
    "epochs": 20.0,
    "batch": 16,
    "learning_rate": 1e-4,
    "schedule": "steps",
    "drops": (0.75, 0.85),
}
#: What 20 minutes on a processor have time for: some epochs of small steps.
_SMALL = {
    "minutes": 20.0,
    "batch": 16,
    "learning_rate": 1e-3,
    "head_rate": 10.0,
    "schedule": "cosine",
    "warmup": 100,
    "augmentation": 0.3,
}
#: HTT's: Adam, halved after epochs 15 and 30 of 45.
_HTT_PAPER = {
    "epochs": 45.0,
    "batch": 2,
    "learning_rate": 3e-5,
    "schedule": "steps",
    "drops": (1 / 3, 2 / 3),
    "fall": 0.5,
    "warmup": 0,
}
#: Its outputs are of the order of one: ten times the rate for the last layers throws hands about by
#: half a picture in every step, and nothing is learned.
_HTT_SMALL = {
    "minutes": 40.0,
    "batch": 4,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "warmup": 50,
    "augmentation": 0.3,
    "evaluate_every": 200,
}
#: Learnable triangulation's: a tenth of the rate for the encoder.
_VOLUMES = {"batch": 5, "learning_rate": 1e-4, "head_rate": 10.0}
#: Samples of eight views: few of them fill a step.
_VIEWS = {"batch": 4, "learning_rate": 1e-3, "schedule": "cosine", "warmup": 100}
#: Assembly101's schedule of MS-G3D: 50 epochs, a tenth after the 30th and the 40th.
_VERBS_PAPER = {
    "batch": 16,
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "weight_decay": 5e-4,
    "schedule": "steps",
    "drops": (0.6, 0.8),
    "warmup": 0,
}
_VERBS_SMALL = {
    "batch": 16,
    "learning_rate": 2e-3,
    "weight_decay": 1e-4,
    "schedule": "cosine",
    "warmup": 50,
    "workers": 0,
}
#: WildHands': Adam without a schedule, 100 epochs.
_WILD_PAPER = {"epochs": 100.0, "batch": 144, "learning_rate": 1e-5, "drops": (), "warmup": 0}
_WILD_PAPER |= {"clip": 150.0}
_WILD_SMALL = {
    "steps": 2000,
    "batch": 16,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "warmup": 100,
    "clip": 20.0,
    "augmentation": 0.5,
}


def _of_the_wild(
    name: str, title: str, network: str = "WildHands", config: str = "WildHands", home: str = ""
) -> Model:
    return Model(
        name,
        title,
        f"hand_baselines.{name}",
        network,
        f"{config}Config",
        options={"paper": _WILD_PAPER, "small": _WILD_SMALL},
        facts=(),
        kind="hand_baselines.mano_task:MANO",
        home=home,
    )


_WILD = "hand_baselines.wildhands"
#: CenterNet's: Adam, a tenth after epochs 90 and 120 of 140.
_DETECTOR_PAPER = {
    "epochs": 140.0,
    "batch": 32,
    "learning_rate": 1.25e-4,
    "schedule": "steps",
    "drops": (90 / 140, 120 / 140),
    "warmup": 0,
}
_DETECTOR_SMALL = {
    "minutes": 20.0,
    "batch": 16,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "warmup": 100,
}


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "internet",
            "InterNet: both hands from one crop (Moon et al., ECCV 2020)",
            "hand_baselines.internet",
            "InterNet",
            "InterNetConfig",
            _square,
            INTERNET,
            {"paper": _PAPER, "small": _SMALL},
        ),
        Model(
            "svegonet",
            "SVEgoNet: one egocentric grey picture (Ohkawa et al., CVPR 2023)",
            "hand_baselines.svegonet",
            "SVEgoNet",
            "SVEgoNetConfig",
            _whole_pixels,
            INTERNET,
            {"paper": _PAPER, "small": _SMALL},
        ),
        Model(
            "rootnet",
            "RootNet: how far the wrists are from the camera (Moon et al., ICCV 2019)",
            "hand_baselines.rootnet",
            "RootNet",
            "RootNetConfig",
            _square,
            ROOTNET,
            {"paper": _PAPER, "small": {**_SMALL, "augmentation": 1.0}},
            inputs=("boxes:standard", "root_depth:own"),
            clipped=True,
            facts=("mean_pose",),
            chosen_by="MRRPE",
        ),
        Model(
            "keypoints2d",
            "2D + Triangulation: the joints of a hand in every view, then in the world",
            "hand_baselines.keypoints2d",
            "KeypointNet",
            "KeypointsConfig",
            _square,
            VIEWED,
            {"paper": _PAPER, "small": _VIEWS},
            facts=(),
            kind="hand_baselines.keypoints2d.task:KEYPOINTS",
        ),
        Model(
            "mvexonet",
            "MVExoNet: a hand in the world from any number of views (Ohkawa et al., CVPR 2023)",
            "hand_baselines.mvexonet",
            "MVExoNet",
            "MVExoNetConfig",
            _square,
            VIEWED,
            {"paper": _VOLUMES, "small": _VIEWS},
            facts=(),
            kind="hand_baselines.mvexonet.task:MULTIVIEW",
        ),
        Model(
            "backbone",
            "Backbone: a ResNet that regresses joints, for other models to start from",
            "hand_baselines.backbone",
            "Regressor",
            "BackboneConfig",
            _square,
            INTERNET,
            {"small": {**_SMALL, "batch": 32}},
        ),
        Model(
            "htt",
            "HTT: hand poses and the action of an egocentric video (Wen et al., CVPR 2023)",
            "hand_baselines.htt",
            "HTT",
            "HTTConfig",
            options={
                **dict.fromkeys(("paper", "paper-fpha"), _HTT_PAPER),
                **dict.fromkeys(("small", "small-fpha"), _HTT_SMALL),
            },
            facts=(),
            kind="hand_baselines.htt.task:CLIPS",
        ),
        _of_the_wild(
            "wildhands",
            "WildHands: both hands from a picture and crops, told where these are (ECCV 2024)",
        ),
        _of_the_wild(
            "handnet", "HandNet: both hands from crops (Prakash et al., ECCV 2024)", home=_WILD
        ),
        _of_the_wild(
            "arcticnet", "ArcticNet-SF: both hands from the picture (Fan et al., 2023)", home=_WILD
        ),
        _of_the_wild(
            "handoccnet",
            "HandOccNet: hidden parts by what is seen, with KPE (Park et al., CVPR 2022)",
            "HandOccNetHands",
            "HandOccNet",
        ),
        _of_the_wild(
            "hamer",
            "HaMeR: a vision transformer, with KPE (Pavlakos et al., CVPR 2024)",
            "HaMeRHands",
            "HaMeR",
        ),
        Model(
            "detector",
            "Detector: the boxes of the right and the left hand (as Zhou et al., 2019)",
            "hand_baselines.detector",
            "Detector",
            "DetectorConfig",
            options={"paper": _DETECTOR_PAPER, "small": _DETECTOR_SMALL},
            facts=(),
            kind="hand_baselines.detector.task:DETECTION",
        ),
        Model(
            "msg3d",
            "MS-G3D: the verb of a clip from its hand poses (Liu et al., CVPR 2020)",
            "hand_baselines.msg3d",
            "MSG3D",
            "MSG3DConfig",
            options={"paper": _VERBS_PAPER, "small": _VERBS_SMALL},
            inputs=("poses:gt",),
            facts=(),
            kind="hand_baselines.msg3d.task:CLIPS",
        ),
    )
}


def find_model(name: str) -> Model:
    """Return a model by name.

    Raises
    ------
    BaselineError
        HB301 with the nearest name otherwise.
    """
    if name not in MODELS:
        raise BaselineError(unknown_name("model", name, list(MODELS)))
    return MODELS[name]
