"""H2O and FPHA: HTT's scorer, H2O's benchmark, WildHands' zero-shot numbers.

Facts: facts/htt-h2o-fpha.md 1.5 (splits of H2O), 2.7 (FPHA's 1:1 split), 3 (HTT's evaluation).
HTT scores both hands of every frame and reads no flag, so `htt` and `official` do too.
"""

from __future__ import annotations

from dataclasses import replace

from hand_bench.classes import FPHA_ACTIONS, H2O_ACTIONS
from hand_bench.measures import accuracy, area, class_mean_accuracy, mean_error
from hand_bench.protocols import Measure, Protocol, recommended
from hand_bench.rules import Rule
from hand_bench.tracks.assemblyhands import wildhands
from hand_bench.tracks.track import Primary, Subset, Track

_LEFT_RIGHT = ("left", "right")
_SIDES = (
    Subset("all", "every sample", {}),
    Subset("right", "right hands", {}, "right"),
    Subset("left", "left hands", {}, "left"),
)
_EVERY = ("all", "right", "left")


def _steps(last: float) -> tuple[float, ...]:
    """Return HTT's thresholds: from 0 mm in steps of 2.5 mm, both ends included."""
    return tuple(2.5 * k for k in range(round(last / 2.5) + 1))


def _htt(last: float) -> tuple[Measure, ...]:
    """Return HTT's four numbers; `last` is where the camera-space curve ends, in mm."""
    camera = Rule("htt", "annotated", "none", edges=_steps(last))
    wrist = Rule("htt_ra", "annotated", "wrist", wrist=False, edges=_steps(50))
    return (
        mean_error(camera, mean="joint21", metric="MEPE"),
        area(camera, 0, last, metric=f"AUC(0-{last:g})", mean="joint21"),
        mean_error(wrist, mean="joint21", metric="MEPE-RA"),
        area(wrist, 0, 50, metric="AUC-RA(0-50)", mean="joint21"),
    )


_HTT_SOURCE = "fylwen/HTT, netscripts/position_evaluator.py (Wen et al., CVPR 2023)"
_H2O_HTT = Protocol("htt", _HTT_SOURCE, tuple((m, _LEFT_RIGHT) for m in _htt(90)))
_H2O_OFFICIAL = Protocol(
    "official",
    "H2O's hand pose benchmark, as quoted by HTT: mean end-point error of each hand, camera space",
    ((_htt(90)[0], _LEFT_RIGHT),),
)
_OBTAIN = (
    "register at the dataset's site, unpack subject*_v1_1 (or subject*_pose_v1_1) and "
    "label_split.zip under ROOT, then: hand-bench data prepare h2o ROOT"
)

H2O_POSE = Track(
    name="h2o-pose",
    title="H2O test, egocentric camera (cam4)",
    dataset="h2o",
    split="test",
    predicts="both hands, 21 joints each, space of cam4, mm",
    counted="valid",
    strata=(),
    subsets=_SIDES,
    protocols=(_H2O_OFFICIAL, _H2O_HTT, recommended(_EVERY, without=("hand AP",))),
    primary=Primary("AUC(0-50)", "recommended", "all"),
    inputs={
        "boxes": ("none", "gt", "own"),
        "K": ("gt", "own", "none"),
        "objects": ("none", "gt"),
    },
    truth="public",
    source="Kwon et al., H2O, ICCV 2021; label_split/pose_test.txt",
    licence="registration at the dataset's site; its terms are not in the repository",
    obtain=_OBTAIN,
    prepared="pose-test",
    split_rule="the frames of pose_test.txt: subject 4",
    counts="23,391 frames (the union of the 242 action segments)",
    samples=23_391,
)
H2O_POSE_VAL = replace(
    H2O_POSE,
    name="h2o-pose-val",
    title="H2O val, egocentric camera (cam4)",
    split="val",
    protocols=(
        _H2O_OFFICIAL,
        _H2O_HTT,
        wildhands("valid"),
        recommended(_EVERY, without=("hand AP",)),
    ),
    source="Kwon et al., H2O, ICCV 2021; label_split/pose_val.txt",
    prepared="pose-val",
    split_rule="the frames of pose_val.txt: subject 3, scenes k2, o1, o2 (WildHands' own list of "
    "29K images was not released)",
    counts="11,638 frames",
    samples=11_638,
)


def _action_protocols(name: str, source: str) -> tuple[Protocol, Protocol]:
    return (
        Protocol(name, source, ((accuracy(), ("all",)),)),
        Protocol(
            "recommended",
            "hand-bench: the same rule on every action track",
            ((accuracy(), ("all",)), (class_mean_accuracy(), ("all",))),
        ),
    )


H2O_ACTION_VAL = replace(
    H2O_POSE_VAL,
    name="h2o-action-val",
    title="H2O val, 36 actions",
    predicts="the action of a clip: one of 36 verb and object pairs",
    kind="action",
    classes=H2O_ACTIONS,
    strata=(),
    subsets=(Subset("all", "every clip", {}),),
    protocols=_action_protocols(
        "official", "H2O's action benchmark: share of clips; background is no class"
    ),
    primary=Primary("accuracy", "recommended", "all"),
    inputs={"objects": ("none", "gt"), "poses": ("own", "gt")},
    source="Kwon et al., H2O, ICCV 2021; label_split/action_val.txt",
    prepared="action-val",
    split_rule="the segments of action_val.txt",
    counts="122 clips, 11,638 frames",
    samples=122,
)
H2O_ACTION = replace(
    H2O_ACTION_VAL,
    name="h2o-action",
    title="H2O test, 36 actions",
    split="test",
    truth="hidden",
    source="Kwon et al., H2O, ICCV 2021; label_split/action_test.txt (without labels)",
    obtain="the challenge server scored it (CodaLab 4820); its labels are not public",
    prepared="action-test",
    split_rule="the segments of action_test.txt",
    counts="242 clips, 23,391 frames",
    samples=242,
)

FPHA_POSE = replace(
    H2O_POSE,
    name="fpha-pose",
    title="FPHA test of the 1:1 action split, right hand, colour camera",
    dataset="fpha",
    predicts="the right hand, 21 joints, space of the colour camera, mm",
    subsets=(Subset("all", "every frame", {}),),
    protocols=(
        Protocol("htt", _HTT_SOURCE, tuple((m, ("all",)) for m in _htt(80))),
        recommended(without=("MRRPE", "hand AP")),
    ),
    inputs={"boxes": ("none", "gt", "own"), "K": ("gt", "own", "none")},
    source="Garcia-Hernando et al., FPHA, CVPR 2018; HTT's protocol (1:1 action split)",
    licence="academic research only; no redistribution in any form",
    obtain="accept the terms at the dataset's site, unpack Hand_pose_annotation_v1, Subjects_info, "
    "data_split_action_recognition.txt and action_object_info.txt under ROOT, then: hand-bench "
    "data prepare fpha ROOT",
    prepared="pose-test",
    split_rule="every frame of the 575 test videos of the 1:1 action split",
    counts="575 videos; the number of frames is not in the sources",
    samples=None,
)
FPHA_ACTION = replace(
    FPHA_POSE,
    name="fpha-action",
    title="FPHA test of the 1:1 split, 45 actions",
    predicts="the action of a video: one of 45",
    kind="action",
    classes=FPHA_ACTIONS,
    subsets=(Subset("all", "every video", {}),),
    protocols=_action_protocols(
        "htt", "fylwen/HTT, netscripts/classification_evaluator.py: share of videos"
    ),
    primary=Primary("accuracy", "recommended", "all"),
    inputs={"objects": ("none", "gt"), "poses": ("own", "gt")},
    prepared="action-test",
    split_rule="the test half of data_split_action_recognition.txt",
    counts="575 videos",
    samples=575,
)

TRACKS = (H2O_POSE, H2O_POSE_VAL, H2O_ACTION, H2O_ACTION_VAL, FPHA_POSE, FPHA_ACTION)
