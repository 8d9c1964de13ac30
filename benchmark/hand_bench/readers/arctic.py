"""Reader of ARCTIC: egocentric (protocol p2, view 0) and allocentric (p1, views 1 to 8) tables.

Facts followed here (facts/wildhands.md): which sequences a split holds is what
splits_json/protocol_*.json lists (1.2); annotation row = stem - `ioi_offset` of the subject (1.3);
frames are the split file's `imgnames`, else stems 00010 to the eleventh from the end (1.2); joints
are metres, MANO order with tips, camera frame (0.1, 0.2); a hand counts where the hand and the
object are in view, judged officially from the distorted view, and then with all its 21 joints
(1.5); one K for a sequence's egocentric view (1.4).

View 0: joints are in undistorted space, as ARCTIC scores them; the images are distorted, so
`*_bbox` bound the distorted points, and `distortion` leads from one to the other (1.4).

Images: `width`, `height`, `K` and boxes are those of cropped_images (view 0: scaled by 0.3; other
views: 1.5 times the official box, resized to 1000 x 1000; 1.1) unless only images/ is there.
ARCTIC's own loader shifts by no half pixel and crops at unrounded places; so does this.

Sources, in this order: processed_seqs/ if it has every sequence of the split, splits/*.npy, part of
processed_seqs/, and raw_seqs/ with MANO's files. With raw_seqs the object's visibility, which is a
part of the official validity, is not known, nor are the allocentric crops. The test split has no
truth: images, K, distortion and boxes only (1.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hand_bench.annotations import ROW_GROUP, encode, intervals, writing
from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import project, world_to_camera
from hand_bench.hand_model import HandModel, to_camera
from hand_bench.joint_sets import HAND_SIDES, permutation
from hand_bench.readers.arctic_files import (
    EDGE,
    EGO_VIEW,
    Recording,
    Source,
    Table,
    contradiction,
    find_models,
    find_source,
    load_models,
    recordings,
    subject_facts,
)

RATE = 30.0
EGO_SCALE, CROP, CROP_SIDE = 0.3, 1.5, 1000
#: The egocentric image within which a point is in view (facts 1.5).
EGO_LIMITS = np.array([2800.0, 2000.0])
SEQUENCES = 339
#: Millimetres by which MANO may miss the dataset's own joints (float32, metres).
TOLERANCE = 1.0
OFFICIAL_ORDER = permutation("mano21", "openpose21")


@dataclass
class _Counts:
    samples: int = 0
    right: int = 0
    left: int = 0
    withheld: int = 0
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def prepare(root: str | Path, split: str, path: Path, progress: Any) -> dict[str, Any]:
    """Write the canonical annotations of a table; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204.
    """
    source = find_source(Path(root), Table(split))
    model_files = _model_files(source)
    models = load_models(model_files)
    cropped = _cropped(source)
    counts = _Counts()
    with writing(path) as writer:
        pending: list[pa.RecordBatch] = []
        for recording in recordings(source):
            posed = _posed(source, recording, models) if source.kind == "raw" else recording
            if models and source.kind != "raw" and not counts.names:
                models = _agreeing(posed, models, counts)
            batch = _rows(source, posed, models, cropped, counts)
            pending += [batch] if batch is not None else []
            if sum(map(len, pending)) >= ROW_GROUP:
                _flush(writer, pending)
            progress("writing annotations", len(counts.names), len(source.listed))
        _flush(writer, pending)
    return _summary(source, counts, list(model_files.values()), cropped, bool(models))


def _flush(writer: Any, pending: list[pa.RecordBatch]) -> None:
    if pending:
        table = pa.Table.from_batches(pending)
        writer.write_table(table, row_group_size=len(table))
        pending.clear()


def _model_files(source: Source) -> dict[str, Path]:
    """MANO's files; nothing where they are not there and not needed."""
    try:
        return find_models(source.root)
    except DatasetError as error:
        if source.kind != "raw":
            return {}
        needed = Problem(
            "HB202",
            str(source.base),
            f"has only raw_seqs for {source.table.name}: parameters, no joints.",
            cause="Joints come from them with MANO's hand model, which is not here.",
            fix="Get splits/ by ARCTIC's bash/download_splits.sh (exact), or MANO:",
        )
        raise DatasetError([needed, *error.problems]) from error


def _cropped(source: Source) -> bool:
    """Whether image columns describe cropped_images (the default) or images."""
    if source.kind == "raw" and source.table.views != (EGO_VIEW,):
        return False
    return (source.base / "cropped_images").is_dir() or not (source.base / "images").is_dir()


def _posed(source: Source, recording: Recording, models: Mapping[str, HandModel]) -> Recording:
    """Fill in what raw_seqs does not have: joints, pixels, and hands in view (facts 1.5)."""
    assert recording.mano is not None and recording.camera_from_world is not None
    pose = np.linalg.inv(recording.camera_from_world)
    recording.joints, recording.joints_2d, recording.valid = {}, {}, {}
    for side in HAND_SIDES:
        values = recording.mano[side]
        joints = models[side].joints(
            rotvec=np.concatenate([values["rot"], values["pose"]], axis=1).reshape(-1, 16, 3),
            betas=values["shape"],
            translation=values["trans"],
            flat_hand_mean=False,
        )
        joints = world_to_camera(joints[:, None], pose)
        seen = joints
        if recording.distortion is not None:
            seen = _distorted(joints, recording.distortion[:, None, None])
        pixels = project(seen, recording.K)
        limits = EGO_LIMITS
        if source.table.views != (EGO_VIEW,):
            sizes = np.asarray(subject_facts(source, recording.name)["image_size"], float)
            limits = sizes[list(source.table.views)][:, None]
        with np.errstate(invalid="ignore"):
            inside = ((pixels >= 1) & (pixels <= limits)).all(axis=-1)
        recording.joints[side], recording.joints_2d[side] = joints, pixels
        recording.valid[side] = inside[..., 0] & (inside.sum(axis=-1) >= 3)
    return recording


def _distorted(joints: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Move camera points to where a lens shows them (OpenCV's rational model, facts 1.4)."""
    k1, k2, p1, p2, k3, k4, k5, k6 = np.moveaxis(distortion, -1, 0)
    with np.errstate(all="ignore"):
        x, y = joints[..., 0] / joints[..., 2], joints[..., 1] / joints[..., 2]
        r2 = x * x + y * y
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        moved_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        moved_y = y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)
        return np.stack([moved_x, moved_y, np.ones_like(x)], axis=-1) * joints[..., 2:]


def _agreeing(
    recording: Recording, models: dict[str, HandModel], counts: _Counts
) -> dict[str, HandModel]:
    """Keep the hand models only if they give the dataset's joints from its parameters."""
    if recording.joints is None or recording.mano is None or recording.camera_from_world is None:
        return models
    worst = 0.0
    row = np.arange(min(8, recording.frames))
    for side in HAND_SIDES:
        mano = _in_camera(recording, side, row, 0, models[side])
        found = models[side].joints(
            rotvec=mano[:, :48].reshape(-1, 16, 3),
            betas=mano[:, 48:58],
            translation=mano[:, 58:],
            flat_hand_mean=False,
        )
        worst = max(worst, float(np.abs(found - recording.joints[side][row, 0]).max()))
    if worst <= TOLERANCE:
        return models
    counts.notes.append(
        f"The hand model that was found misses the joints of {recording.name} by {worst:.1f} mm: "
        "not MANO v1.2 as it comes? right_mano and left_mano stay empty."
    )
    return {}


def _in_camera(
    recording: Recording, side: str, row: np.ndarray, view: int, model: HandModel
) -> np.ndarray:
    """MANO's parameters in a view's camera frame (rows, 61): rotation, pose, shape, translation."""
    assert recording.mano is not None and recording.camera_from_world is not None
    values = {key: value[row] for key, value in recording.mano[side].items()}
    pose = recording.camera_from_world[row, view]
    rot, trans = to_camera(
        values["rot"],
        values["trans"],
        pose[:, :3, :3],
        pose[:, :3, 3],
        model.root(values["shape"]),
    )
    return np.concatenate([rot, values["pose"], values["shape"], trans], axis=1)


def _rows(
    source: Source,
    recording: Recording,
    models: Mapping[str, HandModel],
    cropped: bool,
    counts: _Counts,
) -> pa.RecordBatch | None:
    """The rows of one sequence, view after view; none where it is too short for any."""
    parts = []
    for at, view in enumerate(source.table.views):
        stems = np.arange(EDGE, recording.frames - EDGE)
        if recording.stems is not None:
            stems = recording.stems.get(view, stems[:0])
        if len(stems):
            parts.append(_columns(source, recording, at, stems, models, cropped))
    if not parts:
        return None
    counts.names.append(recording.name)
    for part in parts:
        _count(recording, part, counts)
    return pa.Table.from_batches([encode(part) for part in parts]).combine_chunks().to_batches()[0]


def _count(recording: Recording, part: Mapping[str, Any], counts: _Counts) -> None:
    rows = len(part["sample_id"])
    counts.samples += rows
    if recording.joints is None:
        counts.withheld += 2 * rows
        return
    counts.right += int(part["right_valid"][:, 0].sum())
    counts.left += int(part["left_valid"][:, 0].sum())


def _columns(
    source: Source,
    recording: Recording,
    at: int,
    stems: np.ndarray,
    models: Mapping[str, HandModel],
    cropped: bool,
) -> dict[str, Any]:
    """The canonical columns of one sequence in one view."""
    table, view = source.table, source.table.views[at]
    facts = subject_facts(source, recording.name)
    row = stems - int(facts["ioi_offset"])
    if row.min() < 0 or row.max() >= recording.frames:
        bad = int(stems[(row < 0) | (row >= recording.frames)][0])
        raise contradiction(
            source.base / "meta/misc.json",
            f"has ioi_offset {facts['ioi_offset']}: image {bad:05d} of {recording.name} would be "
            f"annotation {bad - int(facts['ioi_offset'])} of {recording.frames}.",
        )
    subject, sequence = recording.name.split("/")
    words = sequence.split("_")
    scale, corner, size = _picture(recording, at, row, facts["image_size"][view], cropped)
    folder = "cropped_images" if cropped else "images"
    prefix = (source.base / folder).relative_to(source.root).as_posix()
    count, where = len(stems), f"{recording.name}/{view}"
    columns: dict[str, Any] = {
        "sample_id": [f"{table.split}/{where}/{stem:05d}" for stem in stems],
        "sequence": [recording.name] * count,
        "subject": [subject] * count,
        "camera": [str(view)] * count,
        "frame": stems,
        "time": stems / RATE,
        "interval": intervals([], stems, 1, RATE),
        "image": [f"{prefix}/{where}/{stem:05d}.jpg" for stem in stems],
        "width": np.full(count, size[0]),
        "height": np.full(count, size[1]),
        "K": _moved(recording.K[row, at], scale, corner),
        "hand_type": ["interacting"] * count,
        "hand_type_valid": np.zeros(count, bool),
        "object": [words[0]] * count,
        "action": [words[1]] * count,
    }
    if view == EGO_VIEW and recording.distortion is not None:
        columns["distortion"] = recording.distortion[row]
    if recording.camera_from_world is not None:
        columns["T_world_from_camera"] = np.linalg.inv(recording.camera_from_world[row, at])
    if recording.bbox is not None:
        side = 200 * recording.bbox[row, at, 2:]
        official = (recording.bbox[row, at, :2] - side / 2 - corner) * scale
        columns["bbox"] = np.concatenate([official, side * scale, side * scale], axis=1)
    if recording.joints is not None:
        columns |= _hands(recording, at, row, scale, corner, size)
        if models and recording.mano is not None and recording.camera_from_world is not None:
            for side in HAND_SIDES:
                columns[f"{side}_mano"] = _in_camera(recording, side, row, at, models[side])
    return columns


def _hands(
    recording: Recording,
    at: int,
    row: np.ndarray,
    scale: np.ndarray,
    corner: np.ndarray,
    size: np.ndarray,
) -> dict[str, Any]:
    """Joints, validity and boxes of both hands."""
    assert recording.joints and recording.joints_2d and recording.valid
    columns: dict[str, Any] = {}
    for side in HAND_SIDES:
        joints = recording.joints[side][row, at]
        columns[f"{side}_joints"] = joints[:, OFFICIAL_ORDER]
        whole = np.repeat(recording.valid[side][row, at, None], 21, axis=1)
        columns[f"{side}_valid"] = columns[f"{side}_in_view"] = whole
        pixels = (recording.joints_2d[side][row, at] - corner[:, None]) * scale[:, None]
        low = np.clip(pixels.min(axis=1), 0, size)
        high = np.clip(pixels.max(axis=1), 0, size)
        empty = ~(high > low).all(axis=1) | ~(joints[..., 2] > 0).all(axis=1)
        box = np.concatenate([low, high - low], axis=1)
        columns[f"{side}_bbox"] = np.where(empty[:, None], 0, box), empty
    return columns


def _picture(
    recording: Recording, at: int, row: np.ndarray, full: Any, cropped: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How pixels of the full image become those of the stored one: (p - corner) * scale; its size.

    `scale` is (rows, 1), `corner` (rows, 2).
    """
    size, still = np.asarray(full, int), np.zeros((len(row), 2))
    if not cropped:
        return np.ones((len(row), 1)), still, size
    if recording.distortion is not None:
        # Rounded first: 0.3 * 2800 is a little less than 840.
        return np.full((len(row), 1), EGO_SCALE), still, np.round(size * EGO_SCALE, 6).astype(int)
    assert recording.bbox is not None
    side = CROP * 200 * recording.bbox[row, at, 2:]
    return CROP_SIDE / side, recording.bbox[row, at, :2] - side / 2, np.full(2, CROP_SIDE)


def _moved(K: np.ndarray, scale: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """K of the stored image."""
    K = np.array(K, float)
    K[:, :2, 2] -= corner
    K[:, :2] *= scale[..., None]
    return K


def _summary(
    source: Source, counts: _Counts, models: list[Path], cropped: bool, posed: bool
) -> dict[str, Any]:
    raw = source.kind == "raw"
    numbers: dict[str, int] = {"samples": counts.samples, "sequences": len(counts.names)}
    expected: dict[str, int] = {"sequences": len(source.listed)}
    if counts.withheld:
        numbers["hands withheld"] = counts.withheld
    else:
        numbers |= {"valid right hands": counts.right, "valid left hands": counts.left}
    if raw:
        numbers["samples of known object visibility"] = 0
        expected["samples of known object visibility"] = counts.samples
    return {
        "release": f"ARCTIC, {source.table.protocol} ({source.kind})",
        "complete": all(numbers[name] == number for name, number in expected.items()),
        "files": [str(path) for path in [*source.files, *models]],
        "counts": numbers,
        "expected": expected,
        "notes": [*counts.notes, *_notes(source, counts, cropped, posed)],
        "unit": "mm",
        "pixel_origin": "as ARCTIC projects: x = K X / Z, cropped images without a half-pixel "
        "shift",
        "licence": "ARCTIC's own: non-commercial research, no redistribution",
    }


def _notes(source: Source, counts: _Counts, cropped: bool, posed: bool) -> list[str]:
    table = source.table
    notes = [
        f"Width, height, K and boxes are those of {'cropped_images' if cropped else 'images'}.",
        f"The protocol lists {len(source.listed)} sequences of {table.split}, {source.total} in "
        f"all; the release has {SEQUENCES}. Counts of frames are not published; a third party "
        "counts 267 sequences and 186,671 images in ego-train.",
    ]
    if table.views == (EGO_VIEW,):
        notes.append("Joints are in undistorted space, images and hand boxes are distorted.")
    if source.split_file is not None:
        held = source.split_file.stat().st_size / 1e9
        notes.append(
            f"{source.split_file.name} is one pickle of {held:.1f} GB, of which about a third "
            "is held in memory at the peak; processed_seqs/ is read one sequence at a time."
        )
    absent = [name for name in source.listed if name not in set(counts.names)]
    if absent:
        notes.append(
            f"{len(absent)} of the {len(source.listed)} listed sequences are not there: "
            f"{', '.join(absent[:5])}{', ...' if len(absent) > 5 else ''}."
        )
    if source.kind == "raw":
        notes.append(
            "is_valid is unknown: official MPJPE will differ. Joints were computed from raw_seqs; "
            "a hand counts where it is in the image, whether the object is there or not."
        )
    if not posed and not counts.withheld and not counts.notes:
        notes.append(
            "MANO's files were not found: right_mano and left_mano are empty. Where they are, "
            "`hand-bench data prepare arctic ROOT --again` fills them."
        )
    return notes
