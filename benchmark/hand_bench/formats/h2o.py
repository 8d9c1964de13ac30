"""H2O's two challenge files (facts/htt-h2o-fpha.md 1.7).

h2o-actions
    ``action_labels.json`` (in ``answer.zip``): ``"modality"`` and, for every clip, the id of the
    official list as a text with its action, 1 to 36. ``label`` here is that number - 1. 0 is the
    background, which is no class of the track: it is refused, not guessed.
h2o-poses
    ``hand_poses.json``. Its inner form was never published; this one is hand-bench's own and NOT
    the official schema: ``{"modality": text, "subject4/h1/0": {"000123": 126 numbers}}``, the left
    hand's 21 x 3 then the right one's, metres, cam4's frame, OpenPose order. The path may end in
    ``/cam4``. There are always two hands, as H2O scores both: one that is absent has no place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.formats import json_files
from hand_bench.formats.faults import Faults, checked_hand, numbers
from hand_bench.formats.json_files import objects, plain
from hand_bench.formats.rows import Rows, from_hands, gather, no_place
from hand_bench.formats.samples import Samples, frame_number
from hand_bench.tracks import Track

MM = 1000.0
MODALITY = "modality"
POSES, ACTIONS = "hand_poses.json", "action_labels.json"
#: The order of the hands in H2O's files.
_SIDES = ("left", "right")


def _content(path: Path, member: str) -> tuple[str, dict[str, Any]]:
    """The modality and everything else."""
    content = objects(json_files.read(path, member), path.name, "the whole file")
    modality = content.pop(MODALITY, "")
    if not isinstance(modality, str):
        kind = type(modality).__name__
        raise json_files.damaged(path, f'has {kind} as "{MODALITY}"; it is a text')
    return modality, content


def _modality(rows: Rows) -> str:
    return rows.declared.method or ", ".join(rows.declared.inputs) or "not stated"


def read_poses(path: Path, track: Track, annotations: Any) -> Rows:
    """Read hand poses in hand-bench's own form (not the official schema)."""
    samples, faults = Samples(track, annotations), Faults(path.name)
    modality, content = _content(path, POSES)
    hands: dict[int, dict[str, Any]] = {}
    for sequence, frames in content.items():
        for key, value in objects(frames, path.name, f"the frames of {sequence}").items():
            where = f"{sequence}, frame {key}"
            place = (sequence.removesuffix("/cam4"), frame_number(key))
            position = samples.by_frame.get(place)
            if position is None:
                faults.add("HB105", "frames that the track does not have", where)
            elif position in hands:
                faults.add("HB106", "frames that occur more than once, padded and not", where)
            else:
                hands[position] = _both_hands(value, where, faults)
    faults.raise_any()
    notes = [f"{path.name} is read in hand-bench's own form: the official schema is not public."]
    return from_hands(path.name, track, samples, hands, notes=notes, method=modality)


def _both_hands(value: Any, where: str, faults: Faults) -> dict[str, Any]:
    joints = numbers(value, (126,), where, faults)
    if joints is None:
        return {}
    found = {}
    for side, part in zip(_SIDES, joints.reshape(2, 21, 3) * MM, strict=True):
        found[f"{side}_joints"] = checked_hand(part, f"{where}, {side}", faults)
    return found


def write_poses(rows: Rows, path: Path, track: Track, annotations: Any) -> None:
    """Write hand poses in hand-bench's own form (not the official schema)."""
    samples = Samples(track, annotations)
    rows.lose("right_joints", "left_joints")
    gathered = gather(rows, samples, track, ("right_joints", "left_joints"))
    for side in _SIDES:
        lacking = ~gathered.found(side)
        if lacking.any():
            example = samples.ids[int(lacking.argmax())]
            raise no_place(
                rows,
                f"{int(lacking.sum()):,} {side} hands are null, e.g. of {example}; the form has "
                "126 numbers for every frame.",
                "H2O scores both hands of every frame: predict them all.",
            )
    both = np.concatenate([gathered.hand(side) for side in _SIDES], axis=1).astype(float) / MM
    content: dict[str, Any] = {MODALITY: _modality(rows)}
    for k, (sequence, frame) in enumerate(zip(samples.sequence, samples.frame, strict=True)):
        content.setdefault(str(sequence), {})[f"{frame:06d}"] = plain(both[k].ravel(), 9)
    rows.notes.append(
        f"{path.name} is in hand-bench's own form: the official schema of hand_poses.json is not "
        "public."
    )
    json_files.write(path, content, POSES)


def read_actions(path: Path, track: Track, annotations: Any) -> Rows:
    """Read actions of clips."""
    samples, faults = Samples(track, annotations), Faults(path.name)
    modality, content = _content(path, ACTIONS)
    position_of = {n: k for k, n in enumerate(samples.annotation_id) if n is not None}
    clips: dict[int, dict[str, Any]] = {}
    for key, value in content.items():
        number = frame_number(key)
        position = None if number is None else position_of.get(number)
        if position is None:
            faults.add("HB105", "keys that are no clip of the track", key)
        elif position in clips:
            faults.add("HB106", "clips that occur more than once, padded and not", key)
        else:
            clips[position] = {"label": _label(value, key, track, faults)}
    faults.raise_any()
    return from_hands(path.name, track, samples, clips, columns=("label",), method=modality)


def _label(value: Any, key: str, track: Track, faults: Faults) -> int | None:
    classes, where = len(track.classes), f"clip {key} has {value!r}"
    if not isinstance(value, int) or isinstance(value, bool):
        faults.add("HB111", f"actions that are no whole number from 1 to {classes}", where)
    elif value == 0:
        faults.add(
            "HB128",
            "actions that are 0, the background",
            where,
            cause="The argmax of a network with a background class, or class numbers from 0?",
            fix=f"Background is no class here: answer 1 to {classes}, e.g. the best of the others.",
        )
    elif not 1 <= value <= classes:
        faults.add("HB128", f"actions outside 1 to {classes}", where)
    else:
        return value - 1
    return None


def write_actions(rows: Rows, path: Path, track: Track, annotations: Any) -> None:
    """Write actions of clips: the label, or the first of the highest scores."""
    samples = Samples(track, annotations)
    rows.lose("label", "scores")
    gathered = gather(rows, samples, track, ("label", "scores"))
    label, scores = gathered.values["label"][:, 0], gathered.values["scores"]
    if "scores" in rows.columns:
        rows.notes.append("not written, the form has one action for each clip: scores.")
    scored = ~np.isnan(scores).any(axis=1)
    winner = np.where(scored, np.argmax(np.nan_to_num(scores, nan=-np.inf), axis=1), -1)
    final = np.where(np.isnan(label), winner, np.nan_to_num(label)).astype(int)
    if (final < 0).any():
        example = samples.ids[int((final < 0).argmax())]
        what = f"{int((final < 0).sum()):,} clips have no label, e.g. {example}."
        raise no_place(rows, what, "Every clip needs one of the track's classes.")
    if None in samples.annotation_id:
        what = "cannot be named: the annotations have no official ids (annotation_id)."
        raise no_place(rows, what, "`hand-bench data prepare h2o ROOT` writes them.")
    order = np.argsort(np.array(samples.annotation_id), kind="stable")
    content: dict[str, Any] = {MODALITY: _modality(rows)}
    content |= {str(samples.annotation_id[k]): int(final[k]) + 1 for k in order}
    json_files.write(path, content, ACTIONS)
