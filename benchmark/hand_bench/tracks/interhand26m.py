"""InterHand2.6M: the official scorer, mmpose's, and the tracks.

Sources: official `evaluate` (facts/interhand26m.md 2.3, 2.4); mmpose's InterHandMetric (2.6).
"""

from __future__ import annotations

from dataclasses import replace

from hand_bench.protocols import (
    Measure,
    Protocol,
    joint_macro,
    pooled,
    ratio_of,
    recommended,
)
from hand_bench.tracks.track import Primary, Subset, Track

_SINGLE_INTERACTING = ("SH", "IH", "all")
_ANNOTATORS = ("H", "H-SH", "H-IH", "M", "M-SH", "M-IH")
_EVERY = (*_SINGLE_INTERACTING, *_ANNOTATORS)

_OFFICIAL_MPJPE = Measure(
    "MPJPE",
    "mm",
    False,
    "align:wrist|joints:21+wrist|mean:joint,sample",
    joint_macro,
    lambda view: view.total("found_hands"),
    "error",
    unanswered="unanswered",
)
_POOLED_MPJPE = Measure(
    "MPJPE",
    "mm",
    False,
    "align:wrist|joints:21+wrist|mean:pooled",
    pooled,
    lambda view: view.total("found_hands"),
    "error",
    unanswered="unanswered",
)
_MRRPE = Measure(
    "MRRPE",
    "mm",
    False,
    "root:wrist|mean:sample",
    ratio_of("mrrpe", "mrrpe_count"),
    lambda view: view["mrrpe_count"],
    "error",
    unanswered="mrrpe_unanswered",
)


def presence(ties: str, field: str) -> Measure:
    """Return the share of images whose hands are both right; `ties` says what a score of 0.5 is."""
    return Measure(
        "handedness accuracy",
        "",
        True,
        f"both hands|threshold:0.5|ties:{ties}",
        ratio_of(field, "presence_checked"),
        lambda view: view["presence_checked"],
        "absent",
    )


OFFICIAL = Protocol(
    "official",
    "facebookresearch/InterHand2.6M, data/InterHand2.6M/dataset.py: evaluate",
    (
        (_OFFICIAL_MPJPE, _EVERY),
        (_MRRPE, ("all", "H", "M")),
        (presence("wrong", "presence_right"), ("all", "H", "M")),
    ),
)
MMPOSE = Protocol(
    "mmpose",
    "open-mmlab/mmpose, mmpose/evaluation/metrics/hand_metric.py: InterHandMetric",
    (
        (_POOLED_MPJPE, _SINGLE_INTERACTING),
        (_MRRPE, ("all",)),
        (presence("absent", "presence_right_absent_ties"), ("all",)),
    ),
)
_SINGLE, _INTERACTING = ("right", "left"), ("interacting",)
_INTERHAND_SUBSETS = (
    Subset("SH", "single hand in the sequence", {"hand_type": _SINGLE}),
    Subset("IH", "interacting hands", {"hand_type": _INTERACTING}),
    Subset("all", "every sample", {}),
    Subset("H", "human-annotated", {"annotator": ("human",)}),
    Subset("H-SH", "human-annotated, single hand", {"annotator": ("human",), "hand_type": _SINGLE}),
    Subset(
        "H-IH", "human-annotated, interacting", {"annotator": ("human",), "hand_type": _INTERACTING}
    ),
    Subset("M", "machine-annotated", {"annotator": ("machine",)}),
    Subset(
        "M-SH", "machine-annotated, single hand", {"annotator": ("machine",), "hand_type": _SINGLE}
    ),
    Subset(
        "M-IH",
        "machine-annotated, interacting",
        {"annotator": ("machine",), "hand_type": _INTERACTING},
    ),
)

INTERHAND26M = Track(
    name="interhand26m",
    title="InterHand2.6M test (H+M), v1.0, 5 fps",
    dataset="interhand26m",
    split="test",
    predicts="both hands, 21 joints each, camera space, mm; whether each hand is present",
    counted="in_view",
    strata=("hand_type", "annotator"),
    subsets=_INTERHAND_SUBSETS,
    protocols=(OFFICIAL, MMPOSE, recommended(_EVERY, _SINGLE_INTERACTING)),
    primary=Primary("AUC(0-50)", "recommended", "all"),
    inputs={
        "boxes": ("standard", "rootnet", "own", "none"),
        "root_depth": ("own", "rootnet", "gt", "none"),
    },
    truth="public",
    source="Moon et al., InterHand2.6M, ECCV 2020; official evaluate",
    licence="CC-BY-NC 4.0 (data)",
    obtain="download annotations v1.0 (5 fps) from the dataset's homepage, unpack so that "
    "ROOT holds "
    "annotations/test/InterHand2.6M_test_*.json, then: hand-bench data prepare interhand26m ROOT",
    samples=849_160,
    split_rule="the images of InterHand2.6M_test_data.json",
    counts="849,160 images: 488,968 single hand, 360,192 interacting; 121,573 human-annotated",
)

INTERHAND26M_VAL = replace(
    INTERHAND26M,
    name="interhand26m-val",
    title="InterHand2.6M val (M), v1.0, 5 fps: one unseen subject, range of motion only",
    split="val",
    subsets=tuple(s for s in _INTERHAND_SUBSETS if s.name in ("SH", "IH", "all")),
    obtain=INTERHAND26M.obtain.replace("test", "val"),
    samples=380_125,
    split_rule="the images of InterHand2.6M_val_data.json",
    counts="380,125 images: 234,183 single hand, 145,942 interacting",
)

DEMO = replace(
    INTERHAND26M,
    name="demo",
    title="A jointed skeleton in InterHand2.6M's official file layout (for trying readers)",
    dataset="demo",
    source="hand-bench: a jointed skeleton in motion; says nothing about real data",
    licence="Apache-2.0",
    obtain="`hand_bench.skeleton_world.write_interhand26m` writes the files, then: hand-bench data "
    "prepare demo ROOT",
    samples=None,
    split_rule="made on this machine",
    counts="12,096 images unless made otherwise",
)
