"""The claims of the founding papers as values (see `claims`).

Sources: Moon et al., InterHand2.6M, ECCV 2020; Ohkawa et al., AssemblyHands, CVPR 2023; Wen et al.,
HTT, CVPR 2023; Prakash et al., WildHands, ECCV 2024; tables and numbers as in facts/*.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hand_baselines.reproduce.claims import Claim, Prediction
from hand_baselines.reproduce.sizes import SIZES
from hand_baselines.reproduce.tables import PaperTable
from hand_baselines.reproduce.trainings import Answers, Training
from hand_baselines.reproduce.wildhands import GIVEN, TABLES, TRAINED_ON

INTERHAND, H2O, ACTIONS = "handsim-interhand26m", "handsim-h2o-pose", "handsim-h2o-action"
RIG, DESKTOP = "handsim-assemblyhands-annotation", "handsim-desktop-activities"
EGO, VERBS = "handsim-assemblyhands", "handsim-assemblyhands-verbs"
#: Recordings that people labelled, once a second: Train-M.
MANUAL = "handsim-assemblyhands-manual"

PAPERS = {
    "IH": "Moon et al. 2020",
    "AH": "Ohkawa et al. 2023",
    "HT": "Wen et al. 2023",
    "WH": "Prakash et al. 2024",
}


def _claim(name: str, where: str, says: str, *predictions: Prediction, notes: str = "") -> Claim:
    return Claim(name, PAPERS[name.partition("-")[0]], where, says, predictions, SIZES, notes)


# InterHand2.6M ----------------------------------------------------------------------------------


def _internet(options: Mapping[str, Any] | None = None, **changes: Any) -> Answers:
    return Answers(Training("internet", (INTERHAND,), **changes), INTERHAND, options or {})


_ROOTNET = Training("rootnet", (INTERHAND,))
_LABELS = {kind: _internet(annotators=(kind,)) for kind in ("human", "machine")}


# AssemblyHands ----------------------------------------------------------------------------------


#: The volumes' network starts from the 2D network, as learnable triangulation's does.
_KEYPOINTS = Training("keypoints2d", (RIG,))
_VOLUMES = Training("mvexonet", (RIG,), initial=_KEYPOINTS)


def _rounds(track: str) -> list[Answers]:
    """2D + Triangulation, R1, R2, R3: each starts from the one before."""
    first = Answers(_VOLUMES, track, {"start": _KEYPOINTS, "rounds": 1})
    second = Answers(_VOLUMES, track, {"start": first, "rounds": 1})
    third = Answers(_VOLUMES, track, {"start": second, "rounds": 1})
    return [Answers(_KEYPOINTS, track), first, second, third]


_NAMES = ("2D + Triangulation", "R1", "R2", "R3")


def _chain(track: str) -> list[Prediction]:
    made = _rounds(track)
    return [
        Prediction(f"{_NAMES[k + 1]} against {_NAMES[k]}", made[k], made[k + 1], "MPJPE")
        for k in range(3)
    ]


#: Train-M, Train-A, Train-M+A.
_TRAIN = {
    name: Answers(Training("svegonet", data), EGO)
    for name, data in {"M": (MANUAL,), "A": (EGO,), "M+A": (EGO, MANUAL)}.items()
}


def _verbs(poses: Answers | None) -> Answers:
    """Verbs of some poses (None: the true ones), by the classifier of true poses."""
    return Answers(
        Training("msg3d", (VERBS,), backbone=None), VERBS, {"poses": poses} if poses else {}
    )


# HTT --------------------------------------------------------------------------------------------

#: Clips of few videos teach small networks nothing without single frames of many before them.
_FRAMES = Training(
    "htt",
    (H2O,),
    config=("window=1", "clip=1"),
    options={"batch": 32, "augmentation": 1.0, "steps": 1200},
)


def _htt(track: str, *config: str) -> Answers:
    return Answers(Training("htt", (H2O,), config=config, initial=_FRAMES), track)


# WildHands --------------------------------------------------------------------------------------


def _pairs(table: PaperTable, *pairs: tuple[str, str], only: str = "") -> list[Prediction]:
    """Every column of a table for rows (A, B); `only` those whose metric it is."""
    made = []
    for a, b in pairs:
        for column in table.columns:
            trained = table.row(a).training(column), table.row(b).training(column)
            if None in trained or only not in ("", column.metric):
                continue
            answers = [Answers(one, column.track) for one in trained if one is not None]
            name = f"{table.row(b).label} against {table.row(a).label}, {column.label}"
            made.append(Prediction(name, *answers, column.compared))
    return made


_T = [TABLES[f"wildhands-table{k}"] for k in range(1, 7)]

CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for claim in (
        _claim(
            "IH-1",
            "Table 3",
            "Training with interacting hands cuts IH MPJPE from 51.19 to 16.02 mm and does not hurt"
            " SH (13.08 to 12.16).",
            Prediction(
                "All against single hands alone, IH",
                _internet(hands="single"),
                _internet(),
                "MPJPE",
                "IH",
            ),
            Prediction(
                "All against single hands alone, SH",
                _internet(hands="single"),
                _internet(),
                "MPJPE",
                "SH",
                "no worse",
            ),
        ),
        _claim(
            "IH-2",
            "Section 6.2",
            "The relative depth of the left wrist gives an MRRPE of 32.57 mm, two absolute depths"
            " 92.14.",
            Prediction(
                "Relative against two absolute depths",
                _internet({"root_depth": _ROOTNET, "left_root": "absolute"}),
                _internet({"root_depth": _ROOTNET}),
                "MRRPE",
            ),
        ),
        _claim(
            "IH-3",
            "Figure 4",
            "The error of triangulation falls with the number of views and levels off (2.78 mm with"
            " all).",
            *(
                Prediction(
                    f"{more} views against {fewer}",
                    Answers(_KEYPOINTS, RIG, {"views": fewer}),
                    Answers(_KEYPOINTS, RIG, {"views": more}),
                    "MPJPE",
                )
                for fewer, more in ((2, 3), (3, 5), (5, 8))
            ),
            notes="On the look-alike of AssemblyHands' rig of 8 cameras; views are drawn for each"
            " hand. That it levels off is seen in the sizes of the effects.",
        ),
        _claim(
            "IH-4",
            "Table 4",
            "Human and machine annotation together (12.16, 16.02 mm on SH, IH) beat human (12.58,"
            " 17.16) and machine annotation (12.43, 17.79).",
            *(
                Prediction(f"Both against {kind}", one, _internet(), "MPJPE")
                for kind, one in _LABELS.items()
            ),
        ),
        _claim(
            "AH-1",
            "Table 2",
            "2D + Triangulation 7.97 mm, R1 5.42, R2 4.30, R3 4.20.",
            *_chain(RIG),
        ),
        _claim(
            "AH-2",
            "Table 3",
            "On a rig never seen: 2D + Triangulation 49.21 mm, R1 21.20, R2 14.57, R3 13.38.",
            *_chain(DESKTOP),
        ),
        _claim(
            "AH-3",
            "Table 4",
            "Train-M+A has the lowest MPJPE on each evaluation set: 23.46, 21.84, 21.92 mm; Train-M"
            " 24.38, 28.58, 28.35; Train-A 25.18, 22.29, 22.45.",
            *(
                Prediction(f"M+A against {name}", _TRAIN[name], _TRAIN["M+A"], "MPJPE")
                for name in ("M", "A")
            ),
            notes="One evaluation set: labels of HandSim's evaluation tables are exact.",
        ),
        _claim(
            "AH-4",
            "Table 5",
            "Verbs from poses of 32.91 mm (UmeTrack) 50.3 %, from SVEgoNet's of 21.92 mm 54.7 %,"
            " from the annotated ones 60.0 %.",
            Prediction(
                "SVEgoNet's poses (M+A) against those of M",
                _verbs(_TRAIN["M"]),
                _verbs(_TRAIN["M+A"]),
                "accuracy",
            ),
            Prediction(
                "True poses against SVEgoNet's (M+A)",
                _verbs(_TRAIN["M+A"]),
                _verbs(None),
                "accuracy",
            ),
            notes="SVEgoNet trained on Train-M alone is in UmeTrack's place. One classifier, of"
            " true poses.",
        ),
        _claim(
            "HT-1",
            "Table 4",
            "In camera space windows of 16 frames beat single frames and windows of 128: H2O, MEPE"
            " left, right, 35.02, 35.63 mm; t = 1 40.12, 40.62; t = 128 36.41, 39.36.",
            *(
                Prediction(
                    f"t = 16 against t = {window}",
                    _htt(H2O, f"window={window}"),
                    _htt(H2O, "window=16"),
                    "MEPE",
                )
                for window in (1, 128)
            ),
        ),
        _claim(
            "HT-2",
            "Table 5",
            "Actions are told better from longer clips: H2O 74.38, 79.34, 78.51, 86.36 % with"
            " T = 16, 32, 64, 128.",
            *(
                Prediction(
                    f"T = 128 against T = {length}",
                    _htt(ACTIONS, "window=16", f"clip={length}"),
                    _htt(ACTIONS, "window=16"),
                    "accuracy",
                )
                for length in (16, 32, 64)
            ),
        ),
        _claim(
            "HT-3",
            "Table 5",
            "The cascade tells actions better than two parallel blocks: H2O 86.36, 80.17 %.",
            Prediction(
                "Cascade against parallel",
                _htt(ACTIONS, "cascade=false"),
                _htt(ACTIONS, "window=16"),
                "accuracy",
            ),
        ),
        _claim(
            "HT-4",
            "Table 5",
            "The action block does best with features, poses and objects together: H2O 86.36 %;"
            " without objects 82.65, poses 85.12, features 75.21.",
            *(
                Prediction(
                    f"All against {told.replace(',', ' and ')}",
                    _htt(ACTIONS, f"action_inputs={told}"),
                    _htt(ACTIONS, "window=16"),
                    "accuracy",
                )
                for told in ("feature,pose", "feature,object", "pose,object")
            ),
        ),
        _claim(
            "WH-1",
            "Table 1",
            "Crops beat full images: HandNet has an MPJPE of 38.06, 109.88 and 89.72 mm on H2O,"
            " AssemblyHands and Ego-Exo4D, ArcticNet-SF 83.84, 110.76 and 114.24.",
            *_pairs(_T[0], ("ArcticNet-SF", "HandNet"), only="MPJPE"),
            notes=TRAINED_ON,
        ),
        _claim(
            "WH-2",
            "Table 1",
            "KPE halves the MRRPE on cameras never seen: 49.49 instead of 141.06 mm on H2O, 164.90"
            " instead of 317.49 on AssemblyHands.",
            *_pairs(_T[0], ("HandNet", "WildHands"), only="MRRPE"),
            notes=TRAINED_ON,
        ),
        _claim(
            "WH-3",
            "Table 2",
            "KPE helps transformers too, in every column.",
            *_pairs(_T[1], *_T[1].pairs),
            notes=TRAINED_ON,
        ),
        _claim(
            "WH-4",
            "Table 3",
            "Masks and grasps of pictures without 3D labels improve zero-shot poses, masks more.",
            *_pairs(
                _T[2],
                *(
                    (a, b)
                    for a, b in _T[2].pairs
                    if b in ("+ EPIC grasp + EPIC mask", "+ Ego4D grasp + Ego4D mask")
                ),
                ("+ EPIC grasp", "+ EPIC mask"),
                ("+ Ego4D grasp", "+ Ego4D mask"),
            ),
            notes=GIVEN,
        ),
        _claim(
            "WH-5",
            "Table 4",
            "KPE beats CamConv, perspective correction and perspective crop layers in MRRPE.",
            *_pairs(_T[3], *_T[3].pairs, only="MRRPE"),
            notes=TRAINED_ON,
        ),
        _claim(
            "WH-6",
            "Table 5",
            "Sparse KPE is the best variant.",
            *_pairs(_T[4], *_T[4].pairs),
            notes=TRAINED_ON,
        ),
        _claim(
            "WH-7",
            "Table 6",
            "More training sets are better.",
            *_pairs(_T[5], *_T[5].pairs),
            notes=GIVEN,
        ),
    )
}
