"""Epic-HandKps: 2D keypoints, measured in WildHands' 224-pixel frame.

Facts: facts/wildhands.md 0.3 (the frame), 3.1 (which hands: more than 3 visible joints in the
code, "at least 3" in the paper), 3.2 (true points are truncated to pixels plus one).
The released evaluation takes detected boxes, so hands without one are left out of `wildhands`.
`recommended` measures every such hand against the exact points.
"""

from __future__ import annotations

from hand_bench.measures import mean_error, recall, share_within
from hand_bench.protocols import Protocol
from hand_bench.rules import Rule
from hand_bench.tracks.track import Primary, Subset, Track

_EVERY = ("all", "right", "left")
_FRAME = "letterbox224"
_LEAST = 4
_WILDHANDS = Rule("wildhands", "seen boxed", "none", least=_LEAST, frame=_FRAME, quantised=True)
WILDHANDS = Protocol(
    "wildhands",
    "ap229997/hands, src/utils/eval_modules.py: pix_err (Prakash et al., WildHands, ECCV 2024)",
    ((mean_error(_WILDHANDS, mean="pooled", metric="L2 error 2D", unit="px"), _EVERY),),
)
_EXACT = Rule("exact", align="none", least=_LEAST, frame=_FRAME)
_SHARE = Rule("box", align="none", least=_LEAST, frame=_FRAME, relative=True, edges=(0.2,))
RECOMMENDED_2D = Protocol(
    "recommended",
    "hand-bench: the same rule on every 2D track",
    (
        (share_within(_SHARE, 0.2, metric="PCK@0.2", missing="fail"), _EVERY),
        (
            mean_error(_EXACT, mean="pooled", metric="L2 error 2D", unit="px", missing="found"),
            _EVERY,
        ),
        (recall(_EXACT), _EVERY),
    ),
)

EPIC_HANDKPS = Track(
    name="epic-handkps",
    title="Epic-HandKps: 2D keypoints on EPIC-KITCHENS (VISOR val)",
    dataset="epic-handkps",
    split="test",
    predicts="both hands, 21 joints each in 2D, pixels of the 1920x1080 image",
    counted="in_view",
    strata=(),
    subsets=(
        Subset("all", "every hand", {}),
        Subset("right", "right hands", {}, "right"),
        Subset("left", "left hands", {}, "left"),
    ),
    protocols=(WILDHANDS, RECOMMENDED_2D),
    primary=Primary("PCK@0.2", "recommended", "all"),
    inputs={"boxes": ("detected", "own", "none"), "K": ("assumed", "own", "none")},
    truth="public",
    source="Prakash et al., WildHands, ECCV 2024; hands_5000.pkl",
    licence="annotations: see ap229997/hands (CC BY-NC 4.0); images: EPIC-KITCHENS VISOR, CC BY-NC "
    "4.0",
    obtain="download epic_hands/ as ap229997/hands says, so that ROOT holds "
    "epic_hands/hands_5000.pkl (and grasp_visor_val.pkl for the boxes), then: hand-bench data "
    "prepare epic-handkps ROOT",
    split_rule="the images of hands_5000.pkl; hands with more than 3 visible joints",
    counts="4,724 hands (2,697 right, 2,027 left) in the paper; images counted when prepared",
    edges=(),
    kind="pose-2d",
    hand_length=0.0,
)

TRACKS = (EPIC_HANDKPS,)
