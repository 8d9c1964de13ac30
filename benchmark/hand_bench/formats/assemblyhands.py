"""AssemblyHands' two challenge files (facts/assemblyhands.md 1.7, 7).

assemblyhands2023
    HANDS2023: ``{"annotations": {sequence: {frame: {"world_coord": 42 x 3}}}}``, world frame, mm,
    right hand 0..20 and left hand 21..41 from tip to base, wrist last. A hand without a box is
    zeros, the template is filled with -1: zeros, -1 and 1 as a whole are no hand. JSON, or a zip
    around it (the path ends in .zip).
assemblyhands2024
    ECCV2024: ``{"info": ..., "annotations": {"HMC_a+HMC_b": {sequence: {camera: {frame:
    21 x 3}}}}}``, camera frame, mm, wrist first (OpenPose order), filled with ones. One hand per
    image: in an image of two hands the form does not say which one it is, so `hand_side` does.
    Frame keys are written without leading zeros, as the challenge's own script does, and read
    either way; the name of the file inside a zip is hand-bench's. The pairs that are written are
    those of the challenge whose both cameras have the instant; the challenge's own template is not
    in the annotations, so its count is compared, not its entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.errors import Problem, SubmissionError
from hand_bench.formats import json_files
from hand_bench.formats.faults import BLANKS, Faults, hand, numbers
from hand_bench.formats.json_files import objects, plain
from hand_bench.formats.rows import Gathered, Rows, count_lost_hands, from_hands, gather, no_place
from hand_bench.formats.samples import Samples, frame_number
from hand_bench.joint_sets import HAND_SIDES, convert
from hand_bench.tracks import Track

MEMBER_2023 = "assemblyhands_test_joint_3d_iccv23_pred.json"
MEMBER_2024 = "assemblyhands_test_joint_3d_eccv24_pred.json"
#: The dual-camera pairs of the challenge, and how many entries its template has in all.
PAIRS = (
    ("HMC_84346135", "HMC_84355350"),
    ("HMC_21176875", "HMC_21179183"),
    ("HMC_84347414", "HMC_84358933"),
    ("HMC_84347414", "HMC_84355350"),
    ("HMC_84346135", "HMC_84358933"),
    ("HMC_21176623", "HMC_21110305"),
    ("HMC_84346135", "HMC_84347414"),
    ("HMC_21176623", "HMC_21179183"),
    ("HMC_21176875", "HMC_21110305"),
    ("HMC_84355350", "HMC_84358933"),
    ("HMC_21110305", "HMC_21179183"),
    ("HMC_21176875", "HMC_21176623"),
)
ENTRIES_2024 = 85_498
#: Two pairs give the same image's hand: by how much they may differ, mm.
SAME = 1e-3


def _annotations_of(path: Path, member: str) -> dict[str, Any]:
    content = objects(json_files.read(path, member), path.name, "the whole file")
    if "annotations" not in content:
        shown = ", ".join(sorted(content)[:4]) or "none"
        raise json_files.damaged(path, f'has no key "annotations"; its keys are: {shown}')
    return objects(content["annotations"], path.name, '"annotations"')


def read_2023(path: Path, track: Track, annotations: Any) -> Rows:
    """Read a HANDS2023 file."""
    samples, faults = Samples(track, annotations), Faults(path.name)
    hands: dict[int, dict[str, Any]] = {}
    blank = 0
    for sequence, frames in _annotations_of(path, MEMBER_2023).items():
        for key, entry in objects(frames, path.name, f"the frames of {sequence}").items():
            where = f"{sequence}, frame {key}"
            position = samples.by_frame.get((sequence, frame_number(key)))
            if position is None:
                faults.add("HB105", "frames that the track does not have", where)
            elif position in hands:
                faults.add("HB106", "frames that occur more than once, padded and not", where)
            elif not isinstance(entry, dict) or "world_coord" not in entry:
                faults.add("HB110", 'frames without "world_coord"', where)
            else:
                hands[position] = _both_hands(entry["world_coord"], where, faults)
                blank += sum(joints is None for joints in hands[position].values())
    faults.raise_any()
    notes = [f"{blank:,} hands are blank (0, -1 or 1 as a whole): null."] if blank else []
    return from_hands(path.name, track, samples, hands, notes=notes)


def _both_hands(value: Any, where: str, faults: Faults) -> dict[str, Any]:
    joints = numbers(value, (42, 3), where, faults)
    if joints is None:
        return {}
    found = {}
    for k, side in enumerate(HAND_SIDES):
        part = joints[21 * k : 21 * k + 21].tolist()
        one = hand(part, f"{where}, {side}", faults, blanks=BLANKS)
        found[f"{side}_joints"] = (
            None if one is None else convert(one, "assemblyhands21", "openpose21")
        )
    return found


def write_2023(rows: Rows, path: Path, track: Track, annotations: Any) -> None:
    """Write a HANDS2023 file: every instant of the track."""
    samples = Samples(track, annotations)
    rows.lose("right_joints", "left_joints")
    gathered = gather(rows, samples, track, ("right_joints", "left_joints"))
    count_lost_hands(rows, gathered, samples, "written as zeros, which the server scores")
    both = np.concatenate(
        [convert(gathered.hand(side), "openpose21", "assemblyhands21") for side in HAND_SIDES],
        axis=1,
    )
    content: dict[str, dict[str, Any]] = {}
    for k, (sequence, frame) in enumerate(zip(samples.sequence, samples.frame, strict=True)):
        entry = {"world_coord": plain(np.nan_to_num(both[k]), 6)}
        content.setdefault(str(sequence), {})[f"{frame:06d}"] = entry
    json_files.write(path, {"annotations": content}, MEMBER_2023)


def read_2024(path: Path, track: Track, annotations: Any, hand_side: str | None = None) -> Rows:
    """Read an ECCV2024 file; `hand_side` says which hand is meant in images of two."""
    samples, faults = Samples(track, annotations), Faults(path.name)
    views = {(s, _camera(c), f): k for (s, c, f), k in samples.by_view.items()}
    found: dict[int, np.ndarray | None] = {}
    seen: set[tuple[str, int]] = set()
    for pair, camera, sequence, key, value in _entries(path):
        where = f"{pair}, {sequence}, {camera}, frame {key}"
        position = views.get((sequence, _camera(camera), frame_number(key)))
        if position is None:
            faults.add("HB105", "images that the track does not have", where)
            continue
        if (pair, position) in seen:
            faults.add("HB106", "images that occur more than once in a pair", where)
        seen.add((pair, position))
        joints = hand(value, where, faults, blanks=BLANKS)
        before = found.get(position)
        if joints is None or before is None:
            found[position] = before if joints is None else joints
        elif np.abs(joints - before).max() > SAME:
            faults.add("HB106", "images whose answer differs from pair to pair", where)
    hands = {k: _on_its_side(k, j, samples, hand_side, faults) for k, j in found.items()}
    faults.raise_any()
    blank = sum(joints is None for joints in found.values())
    notes = [f"{blank:,} images are blank (0, -1 or 1 as a whole): null."] if blank else []
    return from_hands(path.name, track, samples, hands, notes=notes)


def _entries(path: Path) -> Iterator[tuple[str, str, str, str, Any]]:
    for pair, sequences in _annotations_of(path, MEMBER_2024).items():
        for sequence, cameras in objects(sequences, path.name, f"the sequences of {pair}").items():
            of = f"the cameras of {pair}, {sequence}"
            for camera, frames in objects(cameras, path.name, of).items():
                known = objects(frames, path.name, f"the frames of {pair}, {sequence}, {camera}")
                for key, value in known.items():
                    yield pair, camera, sequence, key, value


def _camera(name: str | None) -> str:
    """A camera's number, with or without `HMC_` and `_mono10bit`."""
    return (name or "").removeprefix("HMC_").removesuffix("_mono10bit")


def _on_its_side(
    position: int, joints: Any, samples: Samples, hand_side: str | None, faults: Faults
) -> dict[str, Any]:
    if joints is None:
        return {}
    asked = samples.asked[position]
    if asked.sum() == 1:
        side: str | None = HAND_SIDES[int(asked.argmax())]
    else:
        side = hand_side
    if side is None:
        faults.add(
            "HB114",
            "images of two hands, and the form does not say which one is meant",
            samples.ids[position],
            fix="`--hand-side right` or `--hand-side left` says it.",
        )
        return {}
    return {f"{side}_joints": joints}


def write_2024(
    rows: Rows, path: Path, track: Track, annotations: Any, hand_side: str | None = None
) -> None:
    """Write an ECCV2024 file: one hand per image; `hand_side` chooses where there are two."""
    samples = Samples(track, annotations)
    rows.lose("right_joints", "left_joints")
    gathered = gather(rows, samples, track, ("right_joints", "left_joints"))
    chosen = _chosen(rows, gathered, samples, hand_side)
    content: dict[str, Any] = {}
    total = 0
    for pair, position in _pairs(samples):
        cameras = content.setdefault(pair, {}).setdefault(str(samples.sequence[position]), {})
        frames = cameras.setdefault(f"HMC_{_camera(samples.camera[position])}", {})
        frames[str(samples.frame[position])] = plain(chosen[position], 6)
        total += 1
    if not total:
        what = "has no instant of two cameras of one pair of the challenge."
        raise SubmissionError(Problem("HB302", track.name, what))
    if total != ENTRIES_2024:
        rows.notes.append(
            f"{total:,} entries; the challenge's template has {ENTRIES_2024:,}: fill that one."
        )
    lost = len(samples) - len({position for _, position in _pairs(samples)})
    if lost:
        rows.notes.append(f"{lost:,} images are in no pair of cameras: not written.")
    value = {"info": {"description": "hand-bench"}, "annotations": content}
    json_files.write(path, value, MEMBER_2024)


def _pairs(samples: Samples) -> Iterator[tuple[str, int]]:
    """Every entry of the form: the name of a pair, and a sample that belongs to it."""
    by_camera: dict[str, dict[tuple[Any, Any], int]] = {}
    places = zip(samples.camera, samples.sequence, samples.frame, strict=True)
    for k, (camera, sequence, frame) in enumerate(places):
        by_camera.setdefault(_camera(camera), {})[sequence, frame] = k
    for one, other in PAIRS:
        first, second = (by_camera.get(_camera(name), {}) for name in (one, other))
        shared = [place for place in first if place in second]
        for view in (first, second):
            yield from ((f"{one}+{other}", view[place]) for place in shared)


def _chosen(rows: Rows, gathered: Gathered, samples: Samples, hand_side: str | None) -> np.ndarray:
    """The one hand of every image (samples, 21, 3); ones where there is none."""
    found = np.stack([gathered.found(side) for side in HAND_SIDES], axis=1)
    asked = samples.asked
    two = found.all(axis=1) & (asked.all(axis=1) | ~asked.any(axis=1))
    if two.any() and hand_side is None:
        raise no_place(
            rows,
            f"{int(two.sum()):,} images have two hands, e.g. {samples.ids[int(two.argmax())]}; "
            "the form has room for one.",
            "`--hand-side right` or `--hand-side left` says which one is kept.",
        )
    kept = np.where(asked.any(axis=1, keepdims=True), asked & found, found)
    if hand_side is not None:
        kept[kept.all(axis=1), 1 - HAND_SIDES.index(hand_side)] = False
    lost = found & ~kept
    if lost.any():
        rows.notes.append(
            f"{int(lost.sum()):,} hands are not written: the form has one hand per image"
            f"{', the ' + hand_side + ' one of two' if hand_side else ''}."
        )
    empty = int((~kept.any(axis=1)).sum())
    if empty:
        rows.notes.append(f"{empty:,} images without a hand are filled with ones.")
    right, left = gathered.hand("right"), gathered.hand("left")
    joints = np.where(kept[:, :1, None], right, left)
    return np.where(kept.any(axis=1)[:, None, None], joints, 1.0)
