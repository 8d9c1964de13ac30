"""Reader of AssemblyHands' official files: images, instants of two hands, clips of verbs.

Tables: `train`, `val`, `test` (one row per egocentric image); `two-hand-test` (HANDS2023: one row
per instant in the world frame, its images in views.parquet); `annotation-test` (several views of
one's own, `readers/multiview.py`); `verbs-train`, `verbs-val`, `verbs-test`
(`readers/assemblyhands_verbs.py`).

Facts followed here (facts/assemblyhands.md): millimetres, rectified pinhole images, frame numbers
at 60 fps of which every second one is annotated, both parities (1, 1.4); an annotation is joined to
its image by `image_id`, boxes are corners, one per hand or null (1.2); X_C = R X_W + t, the pose
changes with every frame and may be missing (1.3); joints tip to base, wrist last, right hand first
(1.5); camera names come with and without `_mono10bit` (1.2, 1.3).

What counts: `*_valid` is joint_3d's `joint_valid` (valid in 3D, ones where it is absent; 1.4),
`*_in_view` is ego_data's `joint_valid` (seen from this view; 1.2). A hand without a box is not
asked: its joints are null and its masks False; which hands have a box is `hand_type`. A hand whose
joints lie at one point is a placeholder for withheld truth (1.7): null, its masks as they are.
Without joint_3d no truth is known: `*_valid` is False.

Memory: one image or one sequence is parsed at a time; what is kept are a few numbers per image.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.annotations import ROW_GROUP, VIEWS, encode, writing
from hand_bench.errors import DatasetError, Problem, unknown_name
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.readers.assemblyhands_files import SPLITS, Files, find_files, find_template
from hand_bench.readers.assemblyhands_json import Images, Progress, read_frames
from hand_bench.readers.assemblyhands_rows import (
    FRAME_NUMBERS_PER_SECOND,
    HAND_TYPES,
    OFFICIAL_ORDER,
    Source,
    even_intervals,
    find,
    subject,
    valid_joints,
)

TEST_IMAGES = 61_725
#: Frames that HANDS2023 asks for, by the beginning of the sequence's name (facts 1.7).
TWO_HAND_FRAMES = {
    "9034-c08b": ("nusar-2021_action_both_9034-c08b_9034_user_id_2021-02-04_161726", 8309),
    "9021-c10a": ("nusar-2021_action_both_9021-c10a_9021_user_id_2021-02-23_100458", 7461),
    "9061-c13d": ("nusar-2021_action_both_9061-c13d_9061_user_id_2021-02-09_143830", 3192),
    "9074-a29": ("nusar-2021_action_both_9074-a29_9074_user_id_2021-02-11_154856", 6923),
}
_SPLITS_NOTE = "The public val and test splits differ from those of the paper (toolkit issue 17)."
_COUNT_NOTES = {
    "train": "Only a rounded number of images is published (more than 360K): it is not checked.",
    "val": "Only a rounded number of images is published (32K): it is not checked.",
}


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations of a table; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204, HB208.
    """
    if split in SPLITS:
        return _prepare_images(root, split, path, progress)
    if split == "two-hand-test":
        return _prepare_instants(root, split, path, progress)
    if split == "annotation-test":
        from hand_bench.readers import multiview

        return multiview.prepare(root, split, path, progress)
    if split.startswith("verbs-"):
        from hand_bench.readers import assemblyhands_verbs

        return assemblyhands_verbs.prepare(root, split, path, progress)
    raise DatasetError(unknown_name("table of assemblyhands", split, SPLITS, "HB208"))


def _prepare_images(root, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    files = find_files(root, split)
    source = Source(files, progress)
    sequences, samples = sorted(source.images.sequences), 0
    with writing(path) as writer:
        for k, sequence in enumerate(sequences):
            rows = source.rows(sequence)
            if len(rows):
                batch = encode(source.columns(sequence, rows))
                writer.write_batch(batch, row_group_size=ROW_GROUP)
            samples += len(rows)
            progress("writing annotations", k + 1, len(sequences))
        _check_poses(files, samples)
    counts = {"samples": samples, **_image_counts(source)}
    expected = {"images": TEST_IMAGES} if split == "test" else {}
    notes = [*source.notes(), _SPLITS_NOTE, *([_COUNT_NOTES[split]] if not expected else [])]
    return _summary(files, files.all, counts, expected, notes)


def _prepare_instants(root, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    files = find_files(root, "test")
    source = Source(files, progress)
    template = find_template(root, files)
    frames = read_frames(template, progress) if template else _frames_of_images(source.images)
    counts = Counter({"samples": 0})
    with writing(path) as writer, writing(path.with_name(VIEWS)) as views:
        for k, sequence in enumerate(sorted(frames)):
            if sequence not in source.images.sequences:
                raise _lacks_sequence(template, files, sequence)
            columns = _instants(source, split, sequence, frames[sequence], counts)
            writer.write_batch(encode(columns), row_group_size=ROW_GROUP)
            rows = source.rows(sequence)
            rows = rows[np.isin(source.images.frame[rows], frames[sequence])]
            if len(rows):
                views.write_batch(encode(source.columns(sequence, rows)), row_group_size=ROW_GROUP)
            counts["views"] += len(rows)
            counts["samples"] += len(frames[sequence])
            progress("writing annotations", k + 1, len(frames))
        _check_poses(files, counts["views"])
    return _instants_summary(source, template, frames, counts)


def _frames_of_images(images: Images) -> dict[str, np.ndarray]:
    return {name: np.unique(images.frame[images.of_sequence(name)]) for name in images.sequences}


def _instants(
    source: Source, split: str, sequence: str, frame: np.ndarray, counts: Counter[str]
) -> dict[str, Any]:
    """The canonical columns of the instants of one sequence, joints in the world frame."""
    asked = _asked(source.images, sequence, frame)
    truth, at = source.truth_of(sequence, frame)
    absent = ~asked | truth.placeholder[at]
    counts["hands asked"] += int(asked.sum())
    counts["hands withheld"] += int((asked & absent).sum())
    counts["frames without a hand"] += int((~asked.any(axis=1)).sum())
    columns = {
        "sample_id": [f"{split}/{sequence}/{f:06d}" for f in frame],
        "sequence": [sequence] * len(frame),
        "subject": [subject(sequence)] * len(frame),
        "frame": frame,
        "time": frame / FRAME_NUMBERS_PER_SECOND,
        "interval": even_intervals(np.zeros(len(frame)), frame),
        "hand_type": HAND_TYPES[asked @ [1, 2]],
        "hand_type_valid": asked.any(axis=1),
    }
    for k, side in enumerate(HAND_SIDES):
        hand = truth.joints[at, 21 * k : 21 * k + 21][:, OFFICIAL_ORDER]
        columns[f"{side}_joints"] = hand, absent[:, k]
        columns[f"{side}_valid"] = valid_joints(truth, at, k, asked[:, k])
    return columns


def _asked(images: Images, sequence: str, frame: np.ndarray) -> np.ndarray:
    """Which hands of an instant have a box in one of its views: [n, 2]."""
    rows = images.of_sequence(sequence)
    at = find(frame, images.frame[rows])
    asked = np.zeros((len(frame), 2), bool)
    np.logical_or.at(asked, at[at >= 0], images.asked[rows[at >= 0]])
    return asked


def _lacks_sequence(template: Path | None, files: Files, sequence: str) -> DatasetError:
    return DatasetError(
        Problem(
            "HB204",
            str(template),
            f"asks for {sequence}, of which {files.ego_data} has no image.",
            cause="A template of another challenge or release?",
        )
    )


def _check_poses(files: Files, rows: int) -> None:
    if not rows:
        what = f"has no camera pose for any image of {files.ego_data.name}."
        cause = "Files of two releases mixed?"
        raise DatasetError(Problem("HB204", str(files.ego_calib), what, cause=cause))


def _image_counts(source: Source) -> dict[str, int]:
    names = ("right", "left", "interacting", "hands", "images without a hand", "hands withheld")
    return {
        "images": len(source.images),
        "sequences": len(source.images.sequences),
        "cameras": len(source.images.cameras),
        "images without a camera pose": source.counts["images without a camera pose"],
        "images without an annotation": source.images.without_annotation,
        **{name: source.counts[name] for name in names},
    }


def _instants_summary(source: Source, template: Path | None, frames, counts) -> dict[str, Any]:
    named = {
        f"frames of {short}": len(frames.get(name, ()))
        for short, (name, _) in TWO_HAND_FRAMES.items()
    }
    expected = {"samples": sum(n for _, n in TWO_HAND_FRAMES.values()), "images": TEST_IMAGES}
    expected |= {f"frames of {short}": n for short, (_, n) in TWO_HAND_FRAMES.items()}
    found = {
        **dict.fromkeys(("samples", "views", "hands asked", "hands withheld"), 0),
        **counts,
        "images": len(source.images),
        "sequences": len(frames),
        "images without a camera pose": source.counts["images without a camera pose"],
        **named,
    }
    notes = source.notes()
    if template is None:
        notes.append("There is no prediction template: every frame of ego_data is asked.")
    read = [*source.files.all, *([template] if template else [])]
    return _summary(source.files, read, found, expected, notes)


def _summary(files: Files, read, counts, expected, notes) -> dict[str, Any]:
    return {
        "release": files.release,
        "complete": all(counts.get(name) == number for name, number in expected.items()),
        "files": [str(path) for path in read],
        "counts": counts,
        "expected": expected,
        "notes": notes,
        "unit": "mm",
        "pixel_origin": "centre of the top-left pixel",
        "licence": "CC-BY-NC 4.0",
    }
