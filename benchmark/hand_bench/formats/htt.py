"""HTT's outputs as plain NPZ (facts/htt-h2o-fpha.md 3): its release writes curves only.

htt, pose tracks
    ``joints`` (frames, 42, 3), left hand then right hand (H2O), or (frames, 21, 3), right hand
    (FPHA); metres, camera frame, OpenPose order. The frames are named by ``image`` (paths), by
    ``sequence`` and ``frame``, or by ``sample_id``.
htt, action tracks
    ``scores`` (clips, classes): the softmax of every clip of 128 tokens, and ``sample_id`` or
    ``sequence`` (clips,): the video it belongs to. Scores of a video are the sum over its clips
    (3.6), the highest wins, the first of equals.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.columns import printable
from hand_bench.formats.faults import Faults, checked_hand
from hand_bench.formats.npz import load_all, write_all
from hand_bench.formats.rows import Rows, from_hands, gather, no_place
from hand_bench.formats.samples import Samples
from hand_bench.tracks import Track

MM = 1000.0
#: How far the sum of a clip's probabilities may be from 1.
SUM = 1e-3


def read(path: Path, track: Track, annotations: Any) -> Rows:
    """Read joints of frames, or probabilities of clips."""
    arrays, faults = load_all(path), Faults(path.name)
    samples = Samples(track, annotations)
    if track.kind == "action":
        return _read_clips(path, track, arrays, samples, faults)
    joints = _array(arrays, "joints", 3, faults)
    sides = _sides(track)
    if joints.shape[1:] != (21 * len(sides), 3):
        what = f"joints has shape {joints.shape}, not (frames, {21 * len(sides)}, 3)"
        cause = "" if len(sides) == 2 else "FPHA annotates the right hand only."
        faults.add("HB112", what, cause=cause)
        faults.raise_any()
    positions = _places(arrays, len(joints), samples, faults, "frames")
    hands: dict[int, dict[str, Any]] = {}
    for row, position in enumerate(positions):
        if position < 0:
            continue
        where = samples.ids[position]
        if position in hands:
            faults.add("HB106", "frames that occur more than once", where)
        parts = joints[row].astype(np.float64).reshape(len(sides), 21, 3) * MM
        hands[position] = {
            f"{side}_joints": checked_hand(part, f"{where}, {side}", faults)
            for side, part in zip(sides, parts, strict=True)
        }
    faults.raise_any()
    return from_hands(path.name, track, samples, hands)


def _sides(track: Track) -> tuple[str, ...]:
    """The hands of a track in HTT's order."""
    return ("right",) if track.dataset.removeprefix("handsim-") == "fpha" else ("left", "right")


def _array(arrays: dict[str, np.ndarray], name: str, axes: int, faults: Faults) -> np.ndarray:
    """Return an array of floating-point numbers; anything else is raised at once."""
    shown = printable(", ".join(arrays)) or "nothing"
    if name not in arrays:
        faults.add("HB110", f"lacks {name}; it has {shown}")
    elif arrays[name].dtype.kind != "f":
        faults.add("HB111", f"{name} holds {arrays[name].dtype}, not floating-point numbers")
    elif arrays[name].ndim != axes:
        faults.add("HB112", f"{name} has shape {arrays[name].shape}, not {axes} axes")
    faults.raise_any()
    return arrays[name]


def _places(
    arrays: dict[str, np.ndarray], count: int, samples: Samples, faults: Faults, what: str
) -> list[int]:
    """The sample of every row, by image, by sequence and frame, or by id; -1 where it is noted."""
    names = [n for n in ("sample_id", "image", "sequence") if n in arrays]
    if not names:
        faults.add("HB110", f"lacks names of its {what}: sample_id, image, or sequence and frame")
        faults.raise_any()
    texts = arrays[names[0]]
    frame = arrays.get("frame") if names[0] == "sequence" else None
    for array, kinds in ((texts, "U"), (frame, "iu")):
        if array is not None and (array.shape != (count,) or array.dtype.kind not in kinds):
            shown = f"{names[0]} or frame is {array.dtype} {array.shape}, not one for each row"
            faults.add("HB112", shown)
            faults.raise_any()
    index = {sample: k for k, sample in enumerate(samples.ids)}
    sequences = _unique_sequences(samples)
    found = []
    for row in range(count):
        text = str(texts[row])
        if names[0] == "image":
            at = samples.of_image(text)
        elif frame is not None:
            at = samples.by_frame.get((text, int(frame[row])), -1)
        else:
            at = index.get(text, sequences.get(text, -1) if names[0] == "sequence" else -1)
        if at < 0:
            kind = "are too short to tell samples apart" if at == -2 else "the track does not have"
            faults.add("HB105", f"{what} that {kind}", text)
        found.append(at)
    return found


def _unique_sequences(samples: Samples) -> dict[str | None, int]:
    """Positions of samples that are alone in their sequence (FPHA's videos)."""
    found: dict[str | None, int] = {}
    for k, sequence in enumerate(samples.sequence):
        found[sequence] = -1 if sequence in found else k
    return found


def _read_clips(
    path: Path,
    track: Track,
    arrays: dict[str, np.ndarray],
    samples: Samples,
    faults: Faults,
) -> Rows:
    scores = _array(arrays, "scores", 2, faults)
    classes = len(track.classes)
    if scores.shape[1] != classes:
        what = f"scores has {scores.shape[1]} classes, {track.name} has {classes}"
        cause = "With a class for the background?" if scores.shape[1] == classes + 1 else ""
        faults.add("HB112", what, cause=cause)
        faults.raise_any()
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        row = int((~np.isfinite(scores)).any(axis=1).argmax())
        faults.add("HB123", "scores hold NaN or infinite values", f"row {row:,}")
        faults.raise_any()
    wrong = (scores < 0).any(axis=1) | (np.abs(scores.sum(axis=1) - 1) > SUM)
    for row in np.flatnonzero(wrong):
        what = "clips whose scores are no probabilities"
        fix = "Save the softmax: it is what is summed over the clips of a video."
        faults.add("HB124", what, f"row {row:,} sums to {scores[row].sum():.4g}", fix=fix)
    positions = _places(arrays, len(scores), samples, faults, "clips")
    faults.raise_any()
    sums: dict[int, dict[str, Any]] = {}
    for row, position in enumerate(positions):
        entry = sums.setdefault(position, {"scores": np.zeros(classes)})
        entry["scores"] = entry["scores"] + scores[row]
    notes = [f"{len(scores):,} clips of {len(sums):,} videos: scores are summed for each video."]
    return from_hands(path.name, track, samples, sums, notes=notes, columns=("scores",))


def write(rows: Rows, path: Path, track: Track, annotations: Any) -> None:
    """Write joints in HTT's order with their images, or one clip of probabilities per video."""
    samples = Samples(track, annotations)
    if track.kind == "action":
        _write_clips(rows, path, track, samples)
        return
    rows.lose("right_joints", "left_joints")
    sides = _sides(track)
    gathered = gather(rows, samples, track, ("right_joints", "left_joints"), whole=False)
    other = int(gathered.found("left")[gathered.answered].sum()) if len(sides) == 1 else 0
    if other:
        rows.notes.append(f"{other:,} left hands are not written: the track has the right one.")
    at = np.flatnonzero(gathered.answered)
    both = np.concatenate([gathered.hand(side)[at] for side in sides], axis=1)
    image = [samples.image[k] for k in at]
    arrays = {"joints": both.astype(np.float64) / MM}
    arrays["sample_id"] = np.array([samples.ids[k] for k in at], np.str_)
    if all(image):
        arrays["image"] = np.array(image, np.str_)
    write_all(path, arrays)


def _write_clips(rows: Rows, path: Path, track: Track, samples: Samples) -> None:
    gathered = gather(rows, samples, track, ("label", "scores"), whole=False)
    at = np.flatnonzero(gathered.answered)
    label, scores = gathered.values["label"][at, 0], gathered.values["scores"][at].astype(float)
    bare = np.isnan(scores).any(axis=1)
    if (scores[~bare] < 0).any() or (scores[~bare].sum(axis=1) <= 0).any():
        what = "has scores that are no probabilities: some are negative, or all are 0."
        raise no_place(rows, what, "Write the softmax of what your model gives.")
    if bare.any():
        scores[bare] = np.eye(len(track.classes))[label[bare].astype(int)]
        rows.notes.append(f"{int(bare.sum()):,} clips have a label only: 1 for it, 0 for others.")
    total = scores.sum(axis=1, keepdims=True)
    if (np.abs(total - 1) > SUM).any():
        rows.notes.append("scores are divided by their sum, so that they are probabilities.")
    ids = np.array([samples.ids[k] for k in at], np.str_)
    write_all(path, {"scores": scores / total, "sample_id": ids})
