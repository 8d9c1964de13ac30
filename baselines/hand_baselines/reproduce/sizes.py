"""How large tables and claims are made."""

from __future__ import annotations

from hand_baselines.reproduce.trainings import Size

#: Steps of the size `claim`: each training takes some minutes of two processor cores.
STEPS = {
    "internet": 900,
    "rootnet": 800,
    "svegonet": 800,
    "keypoints2d": 900,
    "mvexonet": 350,
    "htt": 60,
    "msg3d": 300,
    **dict.fromkeys(("wildhands", "handnet", "arcticnet", "handoccnet", "hamer"), 600),
}
#: "claim" chooses no weights by validation: the last ones are taken.
SIZES = {
    "claim": Size("small", "backbone-small", {"precision": "bf16", "validated": 0}, STEPS),
    "small": Size("small", "backbone-small", {"precision": "bf16"}),
    "paper": Size("paper", "timm/resnet50.tv_in1k", staged=False),
}
