"""Reader of Rendered Hand Pose (RHD, also RHP): its own release, and the repackaged JSON files.

Facts followed here (facts/interhand26m.md 1.11). Own release: `{training,evaluation}/` with
`anno_<split>.pickle`, a dict number -> `uv_vis` 42 x 3 (px, visible), `xyz` 42 x 3 in metres,
camera frame, `K`; left hand first, fingers from tip to base (``rhd21``); images are 320 x 320.
Every image has both hands annotated, but one is evaluated: the one with more pixels in `mask/` (2
to 17 left, 18 and above right; left only if strictly more). Only that hand is given here,
`hand_type` says which; the joints of the other one are null. Without masks the hand with more
visible joints is taken (right where they are equal), and the table is not complete.

`*_valid`: all joints, the data are synthetic. `*_in_view`: visible by `uv_vis`. Every image is a
render of its own, so each is a sequence of its own; there is no time. The repackaged files
(`RHD_<split>.json` of InterNet, `annotations/rhd_{train,test}.json` of mmpose) are read as
`internet_json` says; how their hand was chosen is not documented.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench import unpickle
from hand_bench.annotations import write
from hand_bench.array_types import Bool, Float, Int
from hand_bench.errors import DatasetError, HandBenchError, Problem
from hand_bench.joint_sets import permutation
from hand_bench.readers.internet_json import (
    Hands,
    Progress,
    below,
    find_file,
    one_hand_columns,
    read_hands,
)

#: Official numbers of images, and mmpose's name of the split.
IMAGES = {"training": 41_258, "evaluation": 2_728}
MMPOSE_NAMES = {"training": "train", "evaluation": "test"}
OWN, REPACKAGED = "RHD, own release", "RHD, repackaged"
SIZE = 320
LEFT_LABELS, FIRST_RIGHT_LABEL = (2, 17), 18
OFFICIAL_ORDER = permutation("rhd21", "openpose21")
_NUMBER = re.compile(r"(\d+)\.\w+$")


@dataclass(frozen=True)
class Scenes:
    """The annotations of a split; both hands, the left one first, in RHD's own joint order."""

    number: Int[np.ndarray, " images"]
    visible: Bool[np.ndarray, "images 42"]
    #: Camera frame, mm.
    joints: Float[np.ndarray, "images 42 3"]
    K: Float[np.ndarray, "images 3 3"]

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True)
class Origin:
    """What was read: goes into the manifest."""

    release: str
    files: list[str]
    notes: list[str]
    #: Masks that were read; None where the release has none.
    masks: int | None = None


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations of a split; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204.
    HandBenchError
        HB401 where masks are to be read and Pillow is not installed.
    """
    root = Path(root)
    folders = [base / split for base in (root, root / "RHD_published_v2")]
    own = next((f for f in folders if (f / f"anno_{split}.pickle").is_file()), None)
    names = [f"RHD_{split}.json", f"annotations/rhd_{MMPOSE_NAMES[split]}.json"]
    repackaged, tried = find_file(root, "RHD", names)
    if own is not None:
        columns, origin = _own(root, own, split, progress)
        if repackaged is not None:
            origin.notes.append(f"{repackaged.name} is there too and was not read.")
    elif repackaged is not None:
        columns, origin = _repackaged(root, repackaged, split, progress)
    else:
        raise DatasetError(_nothing(root, split, folders, tried))
    write(path, columns)
    return _summary(split, columns, origin)


def read_scenes(path: Path) -> Scenes:
    """Read an annotation pickle (without running anything in it).

    Raises
    ------
    DatasetError
        HB203 where the file is damaged or holds something else.
    """
    found = unpickle.load(path)  # the restricted reader: nothing is executed
    if not isinstance(found, dict) or not found or not all(isinstance(n, int) for n in found):
        what = f"holds a {type(found).__name__}, expected a dict of image numbers."
        raise DatasetError(_damaged(path, what))
    arrays = {}
    for name, shape in (("uv_vis", (42, 3)), ("xyz", (42, 3)), ("K", (3, 3))):
        values = []
        for number in sorted(found):
            values.append(_array(path, number, found[number], name, shape))
        arrays[name] = np.stack(values)
    return Scenes(
        np.array(sorted(found), np.int64),
        arrays["uv_vis"][:, :, 2] > 0,
        arrays["xyz"] * 1000,
        arrays["K"],
    )


def _array(path: Path, number: int, scene: Any, name: str, shape: tuple[int, int]) -> np.ndarray:
    """One array of one image, checked."""
    try:
        value = np.asarray(scene[name], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        what = f"image {number} has no usable {name} ({type(error).__name__} {error})."
        raise DatasetError(_damaged(path, what)) from error
    if value.shape != shape or not np.isfinite(value).all():
        what = f"{name} of image {number} has shape {value.shape} or NaN, expected finite {shape}."
        raise DatasetError(_damaged(path, what))
    return value


def hand_pixels(path: Path) -> tuple[int, int]:
    """Return how many pixels of a mask are (left, right) hand.

    Raises
    ------
    DatasetError
        HB203 where it is no mask of an image of RHD.
    HandBenchError
        HB401 where Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        what, fix = "masks need Pillow, which is not installed.", "pip install 'hand-bench[plot]'"
        raise HandBenchError(Problem("HB401", str(path), what, fix=fix)) from error
    try:
        with Image.open(path) as picture:
            labels = np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise DatasetError(_damaged(path, f"is no readable image ({error}).")) from error
    if labels.shape != (SIZE, SIZE):
        what = f"has shape {labels.shape}, expected one label for each of {SIZE} x {SIZE} pixels."
        raise DatasetError(_damaged(path, what))
    low, high = LEFT_LABELS
    left = (labels >= low) & (labels <= high)
    return int(left.sum()), int((labels >= FIRST_RIGHT_LABEL).sum())


def _left_by_mask(
    folder: Path, scenes: Scenes, progress: Progress
) -> tuple[Bool[np.ndarray, " images"], int]:
    """Whether the left hand is evaluated, per image; and how many images show neither hand."""
    files = [folder / f"{number:05d}.png" for number in scenes.number]
    lacking = [file for file in files if not file.is_file()]
    if lacking:
        what = f"lacks {len(lacking):,} of {len(files):,} masks, e.g. {lacking[0].name}."
        cause = "An archive that was unpacked in part?"
        raise DatasetError(Problem("HB202", str(folder), what, cause=cause))
    pixels = np.zeros((len(files), 2), np.int64)
    for k, file in enumerate(files):
        pixels[k] = hand_pixels(file)
        if k % 256 == 0:
            progress("reading masks", k, len(files))
    progress("reading masks", len(files), len(files))
    return pixels[:, 0] > pixels[:, 1], int((pixels == 0).all(axis=1).sum())


def _own(root: Path, folder: Path, split: str, progress: Progress) -> tuple[dict[str, Any], Origin]:
    """Columns of the own release, and where they come from."""
    pickle, masks = folder / f"anno_{split}.pickle", folder / "mask"
    progress("reading annotations", 0, 1)
    scenes = read_scenes(pickle)
    progress("reading annotations", 1, 1)
    notes = ["Both hands are annotated; the one that is not evaluated is left out."]
    if masks.is_dir():
        left, neither = _left_by_mask(masks, scenes, progress)
        if neither:
            notes.append(f"{neither:,} masks show no hand: their right hand is taken.")
    else:
        left = scenes.visible[:, :21].sum(axis=1) > scenes.visible[:, 21:].sum(axis=1)
        notes.append("mask/ is not there: the evaluated hand is the one with more visible joints.")
    columns = _own_columns(split, scenes, left, below(root, folder))
    # The folder changes when masks are added: then the table is to be prepared again.
    files = [str(pickle), str(masks if masks.is_dir() else folder)]
    return columns, Origin(OWN, files, notes, len(scenes) if masks.is_dir() else 0)


def _own_columns(
    split: str, scenes: Scenes, left: Bool[np.ndarray, " images"], base: str
) -> dict[str, Any]:
    slots = np.where(left, 0, 21)[:, None] + OFFICIAL_ORDER
    rows = np.arange(len(scenes))[:, None]
    side = np.where(left, "left", "right").tolist()
    joints, visible = scenes.joints[rows, slots], scenes.visible[rows, slots]
    names = [f"{number:05d}" for number in scenes.number]
    size = np.full(len(scenes), SIZE)
    hand = one_hand_columns(side, joints, np.ones_like(visible), visible, scenes.K)
    return hand | {
        "sample_id": [f"{split}/{name}" for name in names],
        "sequence": names,
        "frame": scenes.number,
        "image": [f"{base}color/{name}.png" for name in names],
        "width": size,
        "height": size,
    }


def _repackaged(
    root: Path, path: Path, split: str, progress: Progress
) -> tuple[dict[str, Any], Origin]:
    """Columns of a repackaged file, sorted by image, and where they come from."""
    hands = read_hands(path, "rhd21", progress)
    number = np.array([_number(path, name) for name in hands.file_name], np.int64)
    order = np.lexsort((np.array(hands.side), number))
    hands_of = Counter(number.tolist())
    _check_unique(path, number, hands.side)
    side, names = [hands.side[k] for k in order], [hands.file_name[k] for k in order]
    number = number[order]
    base = below(root, path.parent.parent if path.parent.name == "annotations" else path.parent)
    hand = one_hand_columns(
        side, hands.joints[order], hands.valid[order], hands.in_view[order], hands.K[order]
    )
    columns = hand | {
        "sample_id": [
            f"{split}/{n:05d}" + (f"/{s}" if hands_of[n] > 1 else "")
            for n, s in zip(number.tolist(), side, strict=True)
        ],
        "annotation_id": hands.annotation_id[order],
        "sequence": [f"{n:05d}" for n in number],
        "frame": number,
        "image": [base + (n if "/" in n else f"{split}/color/{n}") for n in names],
        "width": hands.size[order, 0],
        "height": hands.size[order, 1],
        "bbox": hands.bbox[order],
    }
    return columns, Origin(REPACKAGED, hands.files, [*hands.notes, *_doubts(hands, hands_of)])


def _number(path: Path, file_name: str) -> int:
    """Return the image's number, by which the own release calls it."""
    found = _NUMBER.search(file_name)
    if found is None:
        raise DatasetError(_damaged(path, f"image {file_name!r} has no number in its name."))
    return int(found.group(1))


def _check_unique(path: Path, number: np.ndarray, side: list[str]) -> None:
    """Refuse a hand that is annotated twice."""
    counts = Counter(zip(number.tolist(), side, strict=True))
    twice = [hand for hand, count in counts.items() if count > 1]
    if twice:
        image, which = twice[0]
        what = f"annotates {len(twice)} hands twice, e.g. the {which} hand of image {image}."
        raise DatasetError(Problem("HB204", str(path), what))


def _doubts(hands: Hands, hands_of: Counter[int]) -> list[str]:
    """Say what is not known of a repackaged file."""
    notes = ["How the hand was chosen where an image shows two is not documented."]
    both = sum(count > 1 for count in hands_of.values())
    if both:
        notes.append(
            f"{both:,} images have both hands annotated: one row each, the side in its id."
        )
    if hands.says_visible:
        notes.append("All joints count as annotated: the file says only which are visible.")
    return notes


def _summary(split: str, columns: dict[str, Any], origin: Origin) -> dict[str, Any]:
    images = len(set(columns["sequence"]))
    sides = Counter(columns["hand_type"])
    counts = {
        "samples": len(columns["sample_id"]),
        "sequences": images,
        "images": images,
        "right hands": sides["right"],
        "left hands": sides["left"],
    }
    expected = {"images": IMAGES[split]}
    if origin.masks is not None:
        counts["masks"] = origin.masks
        expected["masks"] = IMAGES[split]
    return {
        "release": origin.release,
        "complete": all(counts[name] == number for name, number in expected.items()),
        "files": origin.files,
        "counts": counts,
        "expected": expected,
        "notes": ["Every image is a render of its own: a sequence each, no time.", *origin.notes],
        "unit": "mm",
        "pixel_origin": "not documented",
        "licence": "research use only (see the dataset's page)",
    }


def _damaged(path: Path, what: str) -> Problem:
    return Problem("HB203", str(path), what, cause="A damaged copy, or another file?")


def _nothing(root: Path, split: str, folders: list[Path], tried: list[str]) -> Problem:
    own = [str(folder / f"anno_{split}.pickle") for folder in folders]
    return Problem(
        "HB202",
        str(root),
        f"holds no annotations of split {split!r}.",
        cause=f"Looked for {', '.join([*own, *tried])}.",
        fix="ROOT is the folder that holds training/ and evaluation/ (RHD_published_v2), or the "
        "folder of a repackaged release.",
    )
