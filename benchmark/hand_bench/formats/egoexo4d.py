"""Ego-Exo4D's submission (EvalAI 2249; facts/wildhands.md 2.2, 2.5).

``{take: {frame: {"left_hand_3d": 21 x 3 or [], "right_hand_3d": 21 x 3 or []}}}``, metres, camera
frame, OpenPose order. Every frame has both keys; bare NaN tokens are read, and a hand that is NaN
as a whole is absent. The official evaluator stops at a hand that is asked and not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hand_bench.formats import json_files
from hand_bench.formats.faults import Faults, hand
from hand_bench.formats.json_files import objects, plain
from hand_bench.formats.rows import Rows, count_lost_hands, from_hands, gather
from hand_bench.formats.samples import Samples, frame_number
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track

MM = 1000.0


def read(path: Path, track: Track, annotations: Any) -> Rows:
    """Read a submission."""
    samples, faults = Samples(track, annotations), Faults(path.name)
    takes = objects(json_files.read(path), path.name, "the whole file")
    hands: dict[int, dict[str, Any]] = {}
    for take, frames in takes.items():
        for key, entry in objects(frames, path.name, f"the frames of {take}").items():
            where = f"{take}, frame {key}"
            position = samples.by_frame.get((take, frame_number(key)))
            if position is None:
                faults.add("HB105", "frames that the track does not have", where)
            elif position in hands:
                faults.add("HB106", "frames that occur more than once, padded and not", where)
            else:
                entry = objects(entry, path.name, f"the hands of {where}")
                hands[position] = {s: _hand(entry, s, where, faults) for s in HAND_SIDES}
    faults.raise_any()
    hands = {k: {f"{s}_joints": j for s, j in both.items()} for k, both in hands.items()}
    return from_hands(path.name, track, samples, hands)


def _hand(entry: dict[str, Any], side: str, where: str, faults: Faults) -> Any:
    key = f"{side}_hand_3d"
    if key not in entry:
        faults.add("HB110", f'frames without "{key}"', where, fix="A hand that is absent is [].")
        return None
    return hand(entry[key], f"{where}, {key}", faults, scale=MM)


def write(rows: Rows, path: Path, track: Track, annotations: Any) -> None:
    """Write a submission: every frame of the track, both keys."""
    samples = Samples(track, annotations)
    rows.lose("right_joints", "left_joints")
    gathered = gather(rows, samples, track, ("right_joints", "left_joints"))
    count_lost_hands(rows, gathered, samples, "written as [], at which the evaluator stops")
    joints = {side: gathered.hand(side).astype(float) / MM for side in HAND_SIDES}
    found = {side: gathered.found(side) for side in HAND_SIDES}
    content: dict[str, dict[str, Any]] = {}
    for k, (take, frame) in enumerate(zip(samples.sequence, samples.frame, strict=True)):
        content.setdefault(str(take), {})[str(frame)] = {
            f"{side}_hand_3d": plain(joints[side][k], 9) if found[side][k] else []
            for side in ("left", "right")
        }
    json_files.write(path, content)
