"""STB and RHD: InterNet's scorer and hand3d's, which are not comparable.

Facts: facts/interhand26m.md 1.10, 1.11 (formats, roots), 2.7 (InterNet), 2.8 (hand3d). STB's
first joint is the palm centre, not the wrist; RHD's palm in hand3d is the middle of the wrist and
the middle finger's first joint. Which joints count is each dataset's own visibility.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hand_bench.measures import area, mean_error
from hand_bench.protocols import Protocol, recommended
from hand_bench.rules import MIDDLE_MCP, Rule
from hand_bench.tracks.interhand26m import presence
from hand_bench.tracks.track import Primary, Subset, Track

#: hand3d's thresholds: 20 values from 0 to 50 mm.
HAND3D_EDGES = tuple(float(t) for t in np.linspace(0.0, 50.0, 20))
_ALL = ("all",)
#: One hand is asked, the frame rate is not known, and RHD shows hands that are not asked.
_WITHOUT = ("MRRPE", "acceleration error", "hand AP")


def _protocols(*, palm: bool, counts: str) -> tuple[Protocol, Protocol]:
    """Return both code lines.

    For hand3d, `palm` moves the root from the wrist to the palm, and `counts` are the joints that
    it takes as visible: STB's are all, whatever the image shows.
    """
    bone = (MIDDLE_MCP + 1, MIDDLE_MCP)
    hand3d = Rule("hand3d", counts, "bone", bone=bone, palm=palm, edges=HAND3D_EDGES)
    internet = Rule("interhand26m")
    return (
        Protocol(
            "interhand26m",
            "facebookresearch/InterHand2.6M, data/{STB,RHD}/dataset.py: evaluate (the paper says "
            "EPE)",
            (
                (mean_error(internet, mean="joint21"), _ALL),
                (presence("wrong", "presence_right"), _ALL),
            ),
        ),
        Protocol(
            "hand3d",
            "lmb-freiburg/hand3d, utils/general.py: EvalUtil; scaled by a true bone length",
            (
                (mean_error(hand3d, mean="joint21", metric="EPE"), _ALL),
                (area(hand3d, 0, 50, metric="AUC(0-50)", mean="joint21"), _ALL),
                (
                    area(
                        hand3d,
                        HAND3D_EDGES[8],
                        50,
                        metric="AUC(20-50)",
                        mean="joint21",
                        edges=HAND3D_EDGES[8:],
                    ),
                    _ALL,
                ),
            ),
        ),
    )


RHD = Track(
    name="rhd",
    title="RHD evaluation: one hand of each rendered image",
    dataset="rhd",
    split="evaluation",
    predicts="the hand with more pixels, 21 joints, camera space, mm; which hand it is",
    counted="in_view",
    strata=("hand_type",),
    subsets=(
        Subset("all", "every image", {}),
        Subset("right", "images whose hand is a right one", {"hand_type": ("right",)}),
        Subset("left", "images whose hand is a left one", {"hand_type": ("left",)}),
    ),
    protocols=(
        *_protocols(palm=True, counts="in_view"),
        recommended(("all", "right", "left"), without=_WITHOUT),
    ),
    primary=Primary("AUC(0-50)", "recommended", "all"),
    inputs={
        "boxes": ("gt", "own", "none"),
        "scale": ("own", "gt"),
        "hand_side": ("own", "gt"),
        "root_depth": ("own", "rootnet", "gt", "none"),
    },
    truth="public",
    source="Zimmermann and Brox, Learning to Estimate 3D Hand Pose, ICCV 2017",
    licence="research only (see the dataset's page)",
    obtain="download RHD v2 so that ROOT holds evaluation/anno_evaluation.pickle and "
    "evaluation/mask, or InterHand2.6M's repackaged RHD_evaluation.json, then: hand-bench data "
    "prepare rhd ROOT",
    split_rule="the evaluation folder",
    counts="2,728 images",
    samples=2_728,
)
STB = replace(
    RHD,
    name="stb",
    title="STB test: left hands before a stereo camera",
    dataset="stb",
    split="test",
    predicts="the left hand, 21 joints with the palm centre as root, camera space, mm",
    counted="valid",
    strata=(),
    joint_set="palm21",
    hand_length=140.0,
    subsets=(Subset("all", "every image", {}),),
    protocols=(
        *_protocols(palm=False, counts="valid"),
        recommended(without=_WITHOUT),
    ),
    source="Zhang et al., 3D Hand Pose Tracking and Estimation Using Stereo Matching, 2016",
    obtain="download STB so that ROOT holds labels/B1Counting_BB.mat, or InterHand2.6M's "
    "repackaged STB_test.json, then: hand-bench data prepare stb ROOT",
    split_rule="B1Counting and B1Random, both images of the Bumblebee camera",
    counts="6,000 images of 3,000 instants",
    samples=6_000,
)

TRACKS = (STB, RHD)
