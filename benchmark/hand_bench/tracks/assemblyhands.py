"""AssemblyHands and Desktop Activities: the toolkit's scorer, the paper's, challenges, WildHands'.

Facts: facts/assemblyhands.md 1.9 (splits), 2 (evaluation), 3 (verbs). What no source states is an
assumption and says so: the mask of the paper's numbers and the range of its PCK-AUC (2.2: at most
22 mm follows from its Table 2; 20 mm is assumed).
"""

from __future__ import annotations

from dataclasses import replace

from hand_bench.measures import accuracy, area, class_mean_accuracy, mean_error, mrrpe
from hand_bench.protocols import Protocol, recommended
from hand_bench.rules import Rule
from hand_bench.tracks.track import Primary, Subset, Track

_LICENCE = "CC-BY-NC 4.0 (data)"
_SIDES = (
    Subset("all", "every sample", {}),
    Subset("right", "right hands", {}, "right"),
    Subset("left", "left hands", {}, "left"),
)
_EVERY = ("all", "right", "left")
#: Thresholds of PCK-AUC: 0 to 20 mm in 101 points.
_PCK_EDGES = tuple(round(0.2 * k, 1) for k in range(101))

TOOLKIT = Protocol(
    "toolkit",
    "facebookresearch/assemblyhands-toolkit, src/dataset/AssemblyHands-Ego/dataset.py: evaluate",
    ((mean_error(Rule("toolkit", "seen boxed", least=10), mean="joint"), ("all",)),),
)
_PAPER = Rule("paper", edges=_PCK_EDGES)
PAPER = Protocol(
    "paper",
    "Ohkawa et al., AssemblyHands, CVPR 2023, Table 4: wrist-relative; the mask and the range of "
    "PCK-AUC (0 to 20 mm) are assumed",
    (
        (mean_error(_PAPER, mean="pooled"), _EVERY),
        (area(_PAPER, 0, 20, metric="PCK-AUC", unit="%"), _EVERY),
    ),
)


def wildhands(counts: str) -> Protocol:
    """Return WildHands' zero-shot scorer of both hands; `counts` says which hands are valid."""
    plain, turned = Rule("wildhands", counts), Rule("wildhands_pa", counts, "similarity")
    return Protocol(
        "wildhands",
        "ap229997/hands, src/utils/eval_modules.py (Prakash et al., WildHands, ECCV 2024)",
        (
            (mean_error(plain, mean="image"), _EVERY),
            (mrrpe(plain), ("all",)),
            (mean_error(turned, mean="image", metric="PA-MPJPE"), ("all",)),
            (
                mean_error(turned, mean="image, zeros", metric="PA-MPJPE as released"),
                ("all",),
            ),
        ),
    )


_HANDS2023 = Rule("hands2023", "valid", needs_wrist=True)
HANDS2023 = Protocol(
    "hands2023",
    "HANDS2023 challenge (ut-vision/HANDS2023-AssemblyHands): wrist-relative in the world frame; "
    "the server's formula was never published",
    (
        (mean_error(_HANDS2023, mean="pooled"), _EVERY),
        (
            mean_error(
                Rule("hands2023_world", "valid", "none", needs_wrist=True),
                mean="pooled",
                metric="MPJPE world",
            ),
            _EVERY,
        ),
    ),
)
_ANNOTATOR = Rule("annotator", "valid", "none", edges=_PCK_EDGES)
ANNOTATOR = Protocol(
    "paper",
    "Ohkawa et al., AssemblyHands, CVPR 2023, Tables 2 and 3: in the world frame (assumed: the "
    "alignment is not stated); PCK-AUC over 0 to 20 mm (assumed)",
    (
        (mean_error(_ANNOTATOR, mean="pooled"), _EVERY),
        (area(_ANNOTATOR, 0, 20, metric="PCK-AUC", unit="%"), _EVERY),
        (
            mean_error(Rule("annotator_wrist", "valid"), mean="pooled", metric="MPJPE wrist"),
            _EVERY,
        ),
    ),
)

ASSEMBLYHANDS = Track(
    name="assemblyhands",
    title="AssemblyHands val, single egocentric images, wrist-relative",
    dataset="assemblyhands",
    split="val",
    predicts="both hands, 21 joints each, camera space of the rectified image, mm",
    counted="valid",
    strata=("camera",),
    subsets=_SIDES,
    protocols=(TOOLKIT, PAPER, wildhands("boxed"), recommended(_EVERY)),
    primary=Primary("AUC(0-50)", "recommended", "all"),
    inputs={
        "boxes": ("standard", "own", "none"),
        "root_depth": ("own", "gt", "none"),
        "K": ("gt", "own", "none"),
    },
    truth="public",
    source="Ohkawa et al., AssemblyHands, CVPR 2023; assemblyhands-toolkit, v1-1",
    licence=_LICENCE,
    obtain="download the annotations v1-1 as assemblyhands-toolkit says, so that ROOT holds "
    "annotations/val/assemblyhands_val_*_v1-1.json, then: hand-bench data prepare assemblyhands "
    "ROOT",
    split_rule="the released val split of the toolkit: 2 sequences (not the paper's Eval-A)",
    counts="about 32,000 images (printed rounded in WildHands; not verified on the files)",
)
ASSEMBLYHANDS_TEST = replace(
    ASSEMBLYHANDS,
    name="assemblyhands-test",
    title="AssemblyHands test, single egocentric images",
    split="test",
    truth="hidden",
    obtain="the images and boxes of the HANDS2023 challenge (v1-3); the truth was never released",
    split_rule="the released test split: 4 sequences",
    counts="61,725 images (HANDS2023)",
    samples=61_725,
)
ASSEMBLYHANDS_TWO_HAND = replace(
    ASSEMBLYHANDS_TEST,
    name="assemblyhands-two-hand",
    title="AssemblyHands test, HANDS2023 form: 42 joints in the world frame, views merged",
    predicts="both hands, 21 joints each, world frame, mm; one answer for the views of an instant",
    prepared="two-hand-test",
    frame="world",
    strata=(),
    several_views=True,
    protocols=(HANDS2023, recommended(_EVERY, without=("hand AP",))),
    inputs={"boxes": ("standard", "own", "none"), "root_depth": ("own", "gt", "none")},
    split_rule="the frames of the challenge's prediction template",
    counts="25,885 instants of 61,725 images (HANDS2023)",
    samples=25_885,
)
ASSEMBLYHANDS_ANNOTATION = replace(
    ASSEMBLYHANDS_TWO_HAND,
    name="assemblyhands-annotation",
    title="AssemblyHands, annotators: 8 exocentric views, world frame",
    split="manual-test",
    prepared="annotation-test",
    truth="absent",
    predicts="both hands, 21 joints each, world frame, mm; one answer for all views",
    protocols=(ANNOTATOR, recommended(_EVERY, without=("hand AP",))),
    inputs={"views": ("exo8", "ego", "some"), "boxes": ("own", "gt")},
    obtain="the manual annotations are not public: bring your own, in the form of "
    "benchmark/docs/bring-your-own.md",
    split_rule="the paper's manual test set: 8 sequences at 1 Hz",
    counts="not public",
    samples=None,
)
DESKTOP_ACTIVITIES = replace(
    ASSEMBLYHANDS_ANNOTATION,
    name="desktop-activities",
    title="Desktop Activities (Aria): annotators on 12 unseen exocentric cameras",
    dataset="desktop-activities",
    split="test",
    prepared="",
    inputs={"views": ("exo12", "some"), "boxes": ("own", "gt")},
    source="Ohkawa et al., AssemblyHands, CVPR 2023, Table 3; Aria Pilot Dataset",
    licence="Aria Pilot Dataset licence; the annotations were not released",
    split_rule="3 sequences of the Aria Pilot Dataset",
    counts="1,105 manually annotated instants (paper)",
)

VERBS = ("pick up", "put down", "position", "remove", "screw", "unscrew")
_VERB_SUBSETS = (
    Subset("all", "every segment", {}),
    *(Subset(verb, f"segments of {verb!r}", {"action": (verb,)}) for verb in VERBS),
)
ASSEMBLYHANDS_VERBS = replace(
    ASSEMBLYHANDS,
    name="assemblyhands-verbs",
    title="AssemblyHands, six verbs from hand poses",
    predicts="the verb of a segment: " + ", ".join(VERBS),
    kind="action",
    classes=VERBS,
    prepared="verbs-val",
    strata=("action",),
    subsets=_VERB_SUBSETS,
    protocols=(
        Protocol(
            "paper",
            "Ohkawa et al., AssemblyHands, CVPR 2023, Table 5: 'Avg.' is the share of all segments",
            ((accuracy(), tuple(s.name for s in _VERB_SUBSETS)),),
        ),
        Protocol(
            "recommended",
            "hand-bench: the same rule on every action track",
            ((accuracy(), ("all",)), (class_mean_accuracy(), ("all",))),
        ),
    ),
    primary=Primary("accuracy", "recommended", "all"),
    inputs={"poses": ("own", "gt"), "views": ("ego", "exo", "none")},
    source="Ohkawa et al., AssemblyHands, CVPR 2023, Section 5; segments of Assembly101",
    licence="CC-BY-NC 4.0 (data of AssemblyHands and of Assembly101)",
    obtain="AssemblyHands' annotations as for the track assemblyhands, and Assembly101's "
    "fine-grained CSV files (train, validation, test) under ROOT, then: hand-bench data prepare "
    "assemblyhands ROOT --split verbs-val",
    split_rule="Assembly101's segments of the six verbs in AssemblyHands' val sequences",
    counts="about 150 segments for each sequence; counted when prepared",
)

TRACKS = (
    ASSEMBLYHANDS,
    ASSEMBLYHANDS_TEST,
    ASSEMBLYHANDS_TWO_HAND,
    ASSEMBLYHANDS_ANNOTATION,
    ASSEMBLYHANDS_VERBS,
    DESKTOP_ACTIVITIES,
)
