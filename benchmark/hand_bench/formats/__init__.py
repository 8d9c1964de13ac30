"""Official prediction formats, both ways; the canonical Parquet file is in the middle.

A format is a value of `FORMATS`; its module is imported when it reads or writes. What one reads,
any other can write, if both fit the track.
"""

from __future__ import annotations

from hand_bench.errors import TrackError, unknown_name
from hand_bench.formats.format import Format

__all__ = ["FORMATS", "Format", "find_format"]

_EVERY = ("pose", "pose-2d", "action")
_H2O_POSE, _H2O_ACTION = ("h2o-pose", "h2o-pose-val"), ("h2o-action", "h2o-action-val")

FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        Format(
            "hand-bench",
            "the canonical Parquet file, one row per sample",
            "nothing",
            (".parquet",),
            "canonical",
            kinds=_EVERY,
        ),
        Format(
            "assemblyhands2023",
            "HANDS2023 challenge: JSON (or a zip around it), 42 joints in the world frame, mm",
            "scores; a hand that is null is zeros, and blank hands are null",
            (".json", ".zip"),
            "assemblyhands:2023",
            tracks=("assemblyhands-two-hand",),
        ),
        Format(
            "assemblyhands2024",
            "ECCV2024 S2D challenge: JSON by pairs of cameras, 21 joints in the camera frame, mm",
            "scores, the second hand of an image (--hand-side), images in no pair of cameras",
            (".json", ".zip"),
            "assemblyhands:2024",
            tracks=("assemblyhands", "assemblyhands-test"),
            options=("hand_side",),
        ),
        Format(
            "h2o-poses",
            "H2O's hand_poses.json in hand-bench's own form: NOT the official inner schema",
            "scores; both hands of every frame are needed",
            (".json", ".zip"),
            "h2o:poses",
            tracks=_H2O_POSE,
        ),
        Format(
            "h2o-actions",
            "H2O's action_labels.json (or answer.zip): actions 1 to 36 by the id of the clip",
            "scores of the classes",
            (".json", ".zip"),
            "h2o:actions",
            tracks=_H2O_ACTION,
        ),
        Format(
            "egoexo4d",
            "Ego-Exo4D's EvalAI submission: JSON by take and frame, metres",
            "scores",
            (".json",),
            "egoexo4d",
            tracks=("egoexo4d-hand", "egoexo4d-hand-test"),
        ),
        Format(
            "arctic",
            "ARCTIC's server: zip of .pt tensors with MANO's parameters (needs MANO's files)",
            "scores; joints without right_mano and left_mano cannot be written; float32: 0.001 mm",
            (".zip",),
            "arctic",
            tracks=("arctic-ego-test", "arctic-ego", "arctic-allo"),
        ),
        Format(
            "htt",
            "HTT's outputs: NPZ of joints (left then right, metres) or of clips' probabilities",
            "scores of hands; labels become probabilities",
            (".npz",),
            "htt",
            tracks=(*_H2O_POSE, *_H2O_ACTION, "fpha-pose", "fpha-action"),
        ),
        Format(
            "hamer",
            "HaMeR's outputs, one record per crop: NPZ, JSON or .pt, metres",
            "left_root; the origin of the keypoints becomes the wrist",
            (".npz", ".json", ".pt"),
            "hamer",
            frame="camera",
        ),
        Format(
            "npz",
            "plain NPZ: sample_id, right_joints, left_joints, ...; mm",
            "inputs and method",
            (".npz",),
            "plain:npz",
            kinds=_EVERY,
        ),
        Format(
            "csv",
            "plain CSV: sample_id, right_joints_0 ... left_joints_62, ...; mm",
            "inputs and method",
            (".csv",),
            "plain:csv",
            kinds=_EVERY,
        ),
        Format(
            "json",
            "plain JSON: records by sample_id with right, left, ...; mm",
            "inputs and method",
            (".json", ".zip"),
            "plain:json",
            kinds=_EVERY,
        ),
    )
}


def find_format(name: str) -> Format:
    """Return a format by name.

    Raises
    ------
    TrackError
        HB301 with the nearest and all known names.
    """
    if name not in FORMATS:
        raise TrackError(unknown_name("format", name, list(FORMATS)))
    return FORMATS[name]
