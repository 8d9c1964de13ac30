"""Ego-Exo4D hand pose: the official evaluator, absolute and with its `--offset`, and WildHands'.

Facts: facts/wildhands.md 2.5 (official evaluation), 4.2 (WildHands on this dataset: which of its
variants the paper printed is unresolved; the root-aligned one is the definition here).
"""

from __future__ import annotations

from dataclasses import replace

from hand_bench.measures import mean_error
from hand_bench.protocols import Protocol, recommended
from hand_bench.rules import Rule
from hand_bench.tracks.track import Primary, Subset, Track

_EVERY = ("all", "right", "left")
_SIDES = (
    Subset("all", "every hand", {}),
    Subset("right", "right hands", {}, "right"),
    Subset("left", "left hands", {}, "left"),
)
_SOURCE = "EGO4D/ego-exo4d-egopose, handpose/evaluation/evaluate.py"
_PA = mean_error(Rule("pa", "valid", "similarity"), mean="hand", metric="PA-MPJPE")
OFFICIAL = Protocol(
    "official",
    f"{_SOURCE}: camera space, mean over hands",
    ((mean_error(Rule("absolute", "valid", "none"), mean="hand"), _EVERY), (_PA, _EVERY)),
)
OFFSET = Protocol(
    "offset",
    f"{_SOURCE} --offset: the true wrist is added to wrist-relative predictions",
    ((mean_error(Rule("offset", "valid", "wrist"), mean="hand"), _EVERY), (_PA, _EVERY)),
)
WILDHANDS = Protocol(
    "wildhands",
    "ap229997/hands, src/utils/eval_modules.py, root-aligned on the first joint that has a label; "
    "hands with more than 3 joints",
    ((mean_error(Rule("wildhands", "valid", "first", least=4), mean="image"), ("all",)),),
)

EGOEXO4D_HAND = Track(
    name="egoexo4d-hand",
    title="Ego-Exo4D hand pose val, egocentric (Aria), manual annotations",
    dataset="egoexo4d",
    split="val",
    predicts="both hands, 21 joints each, space of the Aria RGB camera (landscape), mm",
    counted="valid",
    strata=(),
    subsets=_SIDES,
    protocols=(OFFICIAL, OFFSET, WILDHANDS, recommended(_EVERY, without=("hand AP",))),
    primary=Primary("AUC(0-50)", "recommended", "all"),
    inputs={"boxes": ("gt", "own", "none"), "K": ("gt", "own", "none")},
    truth="public",
    source="Grauman et al., Ego-Exo4D, CVPR 2024; hand pose benchmark",
    licence="Ego-Exo4D licence agreement (no redistribution)",
    obtain="sign the licence, download the annotations and run the official preparation script, so "
    "that ROOT holds annotation/manual/ego_pose_gt_anno_val_public.json, then: hand-bench data "
    "prepare egoexo4d ROOT",
    split_rule="the takes of the official val file",
    counts="not stated by the sources; counted when prepared",
)
EGOEXO4D_HAND_TEST = replace(
    EGOEXO4D_HAND,
    name="egoexo4d-hand-test",
    title="Ego-Exo4D hand pose test, egocentric (Aria)",
    split="test",
    truth="hidden",
    protocols=(OFFICIAL, OFFSET, recommended(_EVERY, without=("hand AP",))),
    obtain="ego_pose_gt_anno_test_public.json has the boxes; EvalAI challenge 2249 scores",
    split_rule="the takes of the official test file",
    counts="86 takes, 5,832 frames, 8,772 hands (3,828 right, 4,944 left)",
    samples=5_832,
)

TRACKS = (EGOEXO4D_HAND, EGOEXO4D_HAND_TEST)
