"""ARCTIC, hands only: MPJPE and MRRPE of the official scorer with its validity product.

Facts: facts/wildhands.md 1.2 (protocols, splits), 1.5 (validity: both the hand and the object must
be in view), 1.6 (metrics). The reader stores that product as the joints' validity.
"""

from __future__ import annotations

from dataclasses import replace

from hand_bench.measures import mean_error, mrrpe
from hand_bench.protocols import Protocol, recommended
from hand_bench.rules import Rule
from hand_bench.tracks.track import Primary, Subset, Track

_EVERY = ("all", "right", "left")
_SUBSETS = (
    Subset("all", "every image", {}),
    Subset("right", "right hands", {}, "right"),
    Subset("left", "left hands", {}, "left"),
    Subset("grab", "sequences in which the object is grabbed", {"action": ("grab",)}),
    Subset("use", "sequences in which the object is used", {"action": ("use",)}),
)
_RULE = Rule("arctic", "valid")
OFFICIAL = Protocol(
    "official",
    "zc-alexfan/arctic, src/utils/eval_modules.py: mpjpe/ra/h, mrrpe/r/l",
    (
        (mean_error(_RULE, mean="image"), tuple(s.name for s in _SUBSETS)),
        (mrrpe(_RULE), ("all", "grab", "use")),
    ),
)

ARCTIC_EGO = Track(
    name="arctic-ego",
    title="ARCTIC val, egocentric (protocol p2), hands only",
    dataset="arctic",
    split="val",
    predicts="both hands, 21 joints each, undistorted egocentric camera space, mm",
    counted="valid",
    strata=("action",),
    subsets=_SUBSETS,
    protocols=(OFFICIAL, recommended(_EVERY, without=("hand AP",))),
    primary=Primary("AUC(0-50)", "recommended", "all"),
    inputs={"boxes": ("standard", "own", "none"), "K": ("gt", "own", "none")},
    truth="public",
    source="Fan et al., ARCTIC, CVPR 2023; protocol_p2.json",
    licence="ARCTIC licence: non-commercial research, no redistribution",
    obtain="register at the dataset's site, download splits_json, and splits (or processed_seqs, "
    "or raw_seqs with meta and the MANO files of your own licence), then: hand-bench data prepare "
    "arctic ROOT",
    prepared="ego-val",
    split_rule="the sequences of protocol_p2.json (val: subject s05), first and last 10 frames "
    "dropped",
    counts="34 sequences of s05 (counted in the official file list); images counted when prepared",
)
ARCTIC_EGO_TEST = replace(
    ARCTIC_EGO,
    name="arctic-ego-test",
    title="ARCTIC test, egocentric (protocol p2), hands only",
    split="test",
    truth="hidden",
    obtain="ARCTIC's evaluation server scores it (`hand-bench convert` writes its zip)",
    prepared="ego-test",
    split_rule="the sequences of protocol_p2.json (test: subject s03)",
    counts="38 sequences of s03",
)
ARCTIC_ALLO = replace(
    ARCTIC_EGO,
    name="arctic-allo",
    title="ARCTIC val, allocentric (protocol p1, views 1 to 8), hands only",
    predicts="both hands, 21 joints each, camera space of each view, mm",
    source="Fan et al., ARCTIC, CVPR 2023; protocol_p1.json",
    prepared="allo-val",
    split_rule="the sequences of protocol_p1.json, views 1 to 8",
)

TRACKS = (ARCTIC_EGO, ARCTIC_EGO_TEST, ARCTIC_ALLO)
