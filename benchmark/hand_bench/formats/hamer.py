"""HaMeR's outputs and those of models like it (facts/wildhands.md 5.7, conventions 0.1).

One record per crop: ``image`` (path) or ``sample_id``, ``is_right`` (1 or 0), ``pred_keypoints_3d``
(21 x 3, metres, OpenPose order, the origin is MANO's), and where the hand is: ``pred_cam_t_full``
(3, metres), or ``pred_cam`` (3) with ``box_center`` (2), ``box_size``, ``img_size`` (2: W, H) and
optionally ``scaled_focal_length``. Optional ``score``. NPZ or .pt: arrays over all records; JSON
(or .pt): a list of records, or an object of lists.

Left hands come from mirrored crops: where ``is_right`` is 0 the x of the keypoints and of
``pred_cam``'s translation are negated, as the demo does; ``pred_cam_t_full`` is taken as it is. The
demo's formula: b = box_size, f = scaled_focal_length or 5000 / 256 max(W, H): tz = 2 f / (b s),
tx += 2 (cx - W/2) / (b s), ty likewise. Without the real focal length the place in space is only
the demo's. A crop without keypoints (null, or NaN) says that the image has no such hand. Of several
crops of one side the one of the highest score stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.array_types import Float
from hand_bench.columns import printable
from hand_bench.errors import SubmissionError
from hand_bench.formats import archives, json_files, tensors
from hand_bench.formats.faults import Faults, hand, numbers
from hand_bench.formats.json_files import damaged, plain
from hand_bench.formats.npz import load_all, write_all
from hand_bench.formats.rows import Rows, from_hands, gather
from hand_bench.formats.samples import Samples
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track

MM = 1000.0
#: The demo's focal length, for an image that is this wide.
FOCAL, IMAGE_SIZE = 5000.0, 256.0
_NAMES = ("image", "sample_id")
_FULL = "pred_cam_t_full"
_CROP = ("pred_cam", "box_center", "box_size", "img_size")
_FOCAL = "scaled_focal_length"
_KNOWN = (*_NAMES, "is_right", "pred_keypoints_3d", _FULL, *_CROP, _FOCAL, "score")


def full_translation(
    camera: Float[np.ndarray, " 3"],
    center: Float[np.ndarray, " 2"],
    box: float,
    size: Float[np.ndarray, " 2"],
    focal: float | None = None,
) -> Float[np.ndarray, " 3"]:
    """Return where a crop's weak-perspective camera (s, tx, ty) is in the full image, metres."""
    f = FOCAL / IMAGE_SIZE * float(max(size)) if focal is None else focal
    span = box * camera[0] + 1e-9
    moved = camera[1:] + 2 * (center - size / 2) / span
    return np.array([*moved, 2 * f / span])


def read(path: Path, track: Track, annotations: Any) -> Rows:
    """Read records of crops and merge them to samples."""
    records = _records(path)
    samples, faults = Samples(track, annotations), Faults(path.name)
    index = {sample: k for k, sample in enumerate(samples.ids)}
    hands: dict[int, dict[str, Any]] = {}
    best: dict[tuple[int, str], float | None] = {}
    dropped = assumed = 0
    for row, record in enumerate(records):
        where = f"record {row:,}"
        position = _position(record, where, index, samples, faults)
        side = _side(record.get("is_right"), where, faults)
        joints = hand(record.get("pred_keypoints_3d"), where, faults)
        if position is None:
            continue
        hands.setdefault(position, {})
        if side is None or joints is None:
            continue
        place = _place(record, side, where, faults)
        assumed += _FULL not in record and record.get(_FOCAL) is None
        score = _score(record.get("score"), where, faults)
        if place is None:
            continue
        if (position, side) in best:
            dropped += 1
            other = best[position, side]
            if score is None or other is None or score == other:
                what = f"several crops of one {side} hand, and no scores that differ"
                faults.add("HB106", what, samples.ids[position])
                continue
            if score < other:
                continue
        best[position, side] = score
        sign = [1 if side == "right" else -1, 1, 1]
        hands[position][f"{side}_joints"] = (joints * sign + place) * MM
        hands[position][f"{side}_score"] = score
    faults.raise_any()
    notes = [f"{dropped:,} crops gave way to one of a higher score."] if dropped else []
    if assumed:
        notes.append(
            f"{assumed:,} hands are placed with the demo's focal length, 5000 / 256 max(W, H): "
            "absolute positions mean little (MEPE, MRRPE)."
        )
    columns = [f"{side}_joints" for side in HAND_SIDES]
    if any(score is not None for score in best.values()):
        columns += [f"{side}_score" for side in HAND_SIDES]
    return from_hands(path.name, track, samples, hands, notes=notes, columns=columns)


def _position(
    record: Mapping[str, Any], where: str, index: dict[str, int], samples: Samples, faults: Faults
) -> int | None:
    name = next((record[key] for key in _NAMES if record.get(key) is not None), None)
    if not isinstance(name, str):
        faults.add("HB110", "records without image or sample_id", where)
        return None
    found = index.get(name, -1)
    if found < 0 and record.get("image") is not None:
        found = samples.of_image(name)
    if found == -2:
        what = "image names that are too short to tell images apart"
        faults.add("HB105", what, f"{where}, {name}", fix="Give the path from the sequence on.")
    elif found < 0:
        faults.add("HB105", "images that the track does not have", f"{where}, {name}")
    return found if found >= 0 else None


def _side(value: Any, where: str, faults: Faults) -> str | None:
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    if isinstance(value, bool | int | float | np.generic) and value in (0, 1):
        return "right" if value == 1 else "left"
    faults.add("HB114", "is_right that is neither 1 nor 0", f"{where}: {printable(repr(value))}")
    return None


def _score(value: Any, where: str, faults: Faults) -> float | None:
    if value is None:
        return None
    found = _numbers(value, (), f"{where}, score", faults)
    if found is not None and np.isnan(found):
        return None
    if found is not None and not 0 <= found <= 1:
        faults.add("HB124", "scores outside 0 to 1", where)
    return None if found is None else float(found)


def _place(record: Mapping[str, Any], side: str, where: str, faults: Faults) -> np.ndarray | None:
    """Where the hand's origin is in the camera's space, metres."""
    if record.get(_FULL) is not None:
        return _finite(record[_FULL], (3,), f"{where}, {_FULL}", faults)
    lacking = [key for key in _CROP if record.get(key) is None]
    if lacking:
        what = f"records without {_FULL}, and without {' and '.join(lacking)}"
        faults.add("HB110", what, where)
        return None
    shapes = ((3,), (2,), (), (2,))
    values = [
        _finite(record[key], shape, f"{where}, {key}", faults)
        for key, shape in zip(_CROP, shapes, strict=True)
    ]
    focal = record.get(_FOCAL)
    if focal is not None:
        focal = _finite(focal, (), f"{where}, {_FOCAL}", faults)
    if any(value is None for value in values):
        return None
    camera, center, box, size = values
    assert camera is not None and center is not None and size is not None and box is not None
    if camera[0] <= 0 or box <= 0:
        faults.add("HB126", "crops whose scale or box_size is not positive", where)
        return None
    camera = camera * [1, 1 if side == "right" else -1, 1]
    return full_translation(
        camera, center, float(box), size, None if focal is None else float(focal)
    )


def _numbers(value: Any, shape: tuple[int, ...], where: str, faults: Faults) -> np.ndarray | None:
    """As `numbers`; a single number may stand in a list of one."""
    if shape == () and np.shape(value) == (1,):
        value = value[0]
    return numbers(value, shape, where, faults)


def _finite(value: Any, shape: tuple[int, ...], where: str, faults: Faults) -> np.ndarray | None:
    found = _numbers(value, shape, where, faults)
    if found is not None and not np.isfinite(found).all():
        faults.add("HB123", "numbers that are NaN or infinite", where)
        return None
    return found


def _records(path: Path) -> list[Mapping[str, Any]]:
    """The records of a file, whichever of the forms it has."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        content: Any = load_all(path)
    elif suffix == ".pt":
        content = tensors.loads(archives.read_bytes(path), path.name)
    else:
        content = json_files.read(path)
    if isinstance(content, list):
        wrong = next((k for k, record in enumerate(content) if not isinstance(record, dict)), None)
        if wrong is not None:
            raise damaged(path, f"has a record {wrong:,} that is no object")
        return content
    if not isinstance(content, dict):
        raise damaged(path, "holds neither a list of records nor arrays over them")
    return _transposed(content, path)


def _transposed(content: dict[str, Any], path: Path) -> list[Mapping[str, Any]]:
    """Records from arrays over all of them."""
    columns = {name: content[name] for name in _KNOWN if name in content}
    lacking = [name for name in ("is_right", "pred_keypoints_3d") if name not in columns]
    if lacking:
        shown = printable(", ".join(map(str, content)))
        raise _form(path, "HB110", f"lacks {' and '.join(lacking)}; it has {shown}")
    lengths = {}
    for name, values in columns.items():
        if not isinstance(values, list) and np.ndim(values) == 0:
            raise _form(path, "HB112", f"{name} is one value, not one for each record")
        lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {count:,}" for name, count in lengths.items())
        raise _form(path, "HB112", f"has arrays of different lengths: {shown}")
    for name in _NAMES:
        if isinstance(columns.get(name), np.ndarray):
            columns[name] = [str(text) for text in columns[name]]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _form(path: Path, code: str, what: str) -> SubmissionError:
    faults = Faults(path.name)
    faults.add(code, what)
    try:
        faults.raise_any()
    except SubmissionError as error:
        return error
    raise AssertionError


def write(rows: Rows, path: Path, track: Track, annotations: Any) -> None:
    """Write one record per hand, the origin at the wrist; NPZ, .pt or JSON by the path's ending.

    A sample without a hand is a record without keypoints.
    """
    samples = Samples(track, annotations)
    columns = [f"{side}_{kind}" for side in HAND_SIDES for kind in ("joints", "score")]
    rows.lose(*columns)
    gathered = gather(rows, samples, track, columns, whole=False)
    arrays: dict[str, list] = {name: [] for name in ("sample_id", "image", "is_right")}
    arrays |= {"pred_keypoints_3d": [], _FULL: [], "score": []}
    for k in np.flatnonzero(gathered.answered):
        found = [side for side in HAND_SIDES if gathered.found(side)[k]] or [""]
        for side in found:
            _add(arrays, samples, k, side, gathered)
    rows.notes.append("the origin of the keypoints is the wrist, not MANO's: their sum is exact.")
    scored = any(name.endswith("score") for name in rows.columns)
    _write_arrays(path, arrays, scored)


def _add(arrays: dict[str, list], samples: Samples, k: int, side: str, gathered: Any) -> None:
    keypoints, wrist, score = np.full((21, 3), np.nan), np.zeros(3), np.nan
    if side:
        joints = gathered.hand(side)[k].astype(np.float64) / MM
        wrist = joints[0]
        keypoints = (joints - wrist) * [1 if side == "right" else -1, 1, 1]
        score = float(gathered.values[f"{side}_score"][k, 0])
    arrays["sample_id"].append(samples.ids[k])
    arrays["image"].append(samples.image[k] or "")
    arrays["is_right"].append(int(side != "left"))
    arrays["pred_keypoints_3d"].append(keypoints)
    arrays[_FULL].append(wrist)
    arrays["score"].append(score)


def _write_arrays(path: Path, lists: dict[str, list], scored: bool) -> None:
    if not all(lists["image"]):
        del lists["image"]
    if not scored:
        del lists["score"]
    if path.suffix.lower() == ".json":
        json_files.write(path, [_plain(dict(zip(lists, row, strict=True))) for row in zip(
            *lists.values(), strict=True)])  # fmt: skip
        return
    arrays = {name: np.array(values) for name, values in lists.items()}
    if path.suffix.lower() != ".pt":
        write_all(path, arrays)
        return
    from hand_bench import files

    mixed = {n: a.tolist() if a.dtype.kind == "U" else a for n, a in arrays.items()}
    with files.replacing(path) as temporary:
        temporary.write_bytes(tensors.dumps(mixed))


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record as JSON has it: null for what is NaN."""
    keypoints = record["pred_keypoints_3d"]
    absent = bool(np.isnan(keypoints).any())
    record["pred_keypoints_3d"] = None if absent else plain(keypoints, 9)
    record[_FULL] = plain(record[_FULL], 9)
    if "score" in record and np.isnan(record["score"]):
        record["score"] = None
    return record
