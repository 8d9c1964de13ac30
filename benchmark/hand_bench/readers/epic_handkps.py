"""Reader of Epic-HandKps: 2D joints of hands in EPIC-KITCHENS VISOR frames, from two pickles.

Facts followed here (facts/wildhands.md): ``hands_5000.pkl`` is the evaluation set,
``hands_250.pkl`` another set for validation during training (3.1); joints are pixels of the
1920 x 1080 frame in AssemblyHands' order for both hands, 21 flags say which are visible (0.1, 3.1);
the box of a hand there covers the arm and is not for cropping, so it is not stored (3.1);
``grasp_visor_val.pkl`` holds detected boxes, corners that may be texts, or None, and these are what
``*_bbox`` holds (3.1); no camera is known: focal length 1000 px and the centre (960, 540) are
assumed (3.2); the paper's 4,724 hands are those with enough visible joints and a detected box,
where "enough" is 3 in the paper and more than 3 in the released code (3.1).

What comes out: a row per image with a labelled hand. ``*_joints_2d`` are as stored, also outside
the image; ``*_in_view`` is the visible flag; there is no 3D, so ``*_joints`` is null and
``*_valid`` False throughout. Every labelled hand is kept, whatever its number of visible joints:
protocols decide which count. Images without a detection entry are kept, too (the released code
leaves them out).

Ids are ``<table>/<path>``: the last parts of the stored path that tell all images of the file
apart (one part, the file name, as VISOR's names are unique), without the extension. So they do not
depend on where somebody's images lie.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hand_bench.annotations import write
from hand_bench.errors import DatasetError, Problem
from hand_bench.readers.epic_handkps_files import (
    DETECTIONS,
    SIDES,
    Hands,
    damaged,
    file_name,
    find_file,
    labelled_image,
    load,
    parse_name,
    read_hands,
    strangers,
)

WIDTH, HEIGHT = 1920, 1080
#: Assumed camera (facts 3.2); in the 224 px letterbox it is f = 116.6667, centre 112.
K = np.array([[1000.0, 0, WIDTH / 2], [0, 1000.0, HEIGHT / 2], [0, 0, 1]])
#: Hands of the test set that the paper scores (facts 3.1).
TEST_COUNTS = {"scored hands": 4_724, "scored right hands": 2_697, "scored left hands": 2_027}
Progress = Callable[[str, int, int], None]


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations of a table; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204.
    """
    source = find_file(Path(root), split)
    labels = load(source)
    boxes_file = source.with_name(DETECTIONS)
    boxes = load(boxes_file) if boxes_file.is_file() else None
    images = [image for image in labels if labelled_image(labels[image])]
    if not images:
        raise DatasetError(damaged(source, "", "it labels no hand"))
    if boxes is not None and split == "test" and not boxes.keys() & set(images):
        raise DatasetError(strangers(boxes_file, source, images[0], next(iter(boxes), "nothing")))
    names = dict(zip(images, sample_ids(images, split, source), strict=True))
    frames = {image: parse_name(source, image) for image in images}
    images.sort(key=lambda image: (frames[image][0], frames[image][2], names[image]))
    hands = {}
    for side in SIDES:
        hands[side] = read_hands(source, labels, boxes, images, side)
        progress(f"reading {side} hands", len(images), len(images))
    rows = [frames[image] for image in images]
    write(path, _columns([names[image] for image in images], image_paths(images), rows, hands))
    return _summary(split, source, labels, boxes, rows, hands)


def sample_ids(images: list[str], split: str, source: Path) -> list[str]:
    """Return an id for each image: the fewest last parts of the paths that tell them apart.

    Raises
    ------
    DatasetError
        HB204 where two paths are the same image.
    """
    paths = [PurePosixPath(image) for image in images]
    parts = [(*(part for part in path.parts[:-1] if part != "/"), path.stem) for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        short = ["/".join(part[-length:]) for part in parts]
        if len(set(short)) == len(short):
            return [f"{split}/{name}" for name in short]
    whole = ["/".join(part) for part in parts]
    twice = next(name for name in whole if whole.count(name) > 1)
    raise DatasetError(Problem("HB204", str(source), f"image {twice} occurs twice."))


def image_paths(images: list[str]) -> list[str]:
    """Return relative paths: absolute ones without the folder that all of them share."""
    paths = [PurePosixPath(image) for image in images]
    folders = [str(path.parent) for path in paths if path.is_absolute()]
    shared = posixpath.commonpath(folders) if folders else ""
    return [str(path.relative_to(shared) if path.is_absolute() else path) for path in paths]


def _columns(
    ids: list[str],
    images: list[str],
    frames: list[tuple[str, str, int]],
    hands: dict[str, Hands],
) -> dict[str, Any]:
    rows = len(ids)
    columns: dict[str, Any] = {
        "sample_id": ids,
        "sequence": [video for video, _, _ in frames],
        "subject": [participant for _, participant, _ in frames],
        "frame": [number for _, _, number in frames],
        "image": images,
        "width": np.full(rows, WIDTH),
        "height": np.full(rows, HEIGHT),
        "K": np.broadcast_to(K, (rows, 3, 3)),
        "hand_type": _hand_types(hands),
        "hand_type_valid": np.zeros(rows, bool),
        "annotator": ["human"] * rows,
    }
    for side, one in hands.items():
        columns[f"{side}_joints_2d"] = one.joints_2d, ~one.labelled
        columns[f"{side}_valid"] = np.zeros((rows, 21), bool), ~one.labelled
        columns[f"{side}_in_view"] = one.visible, ~one.labelled
        columns[f"{side}_bbox"] = one.bbox, ~one.detected
    return columns


def _hand_types(hands: dict[str, Hands]) -> list[str]:
    right, left = (hands[side].labelled for side in SIDES)
    return np.where(right & left, "interacting", np.where(right, "right", "left")).tolist()


def _counts(
    labels: dict[str, Any],
    boxes: dict[str, Any] | None,
    frames: list[tuple[str, str, int]],
    hands: dict[str, Hands],
) -> dict[str, int | None]:
    labelled, visible = (
        np.concatenate([getattr(hands[side], name) for side in SIDES])
        for name in ("labelled", "visible")
    )
    joints = np.concatenate([hands[side].joints_2d for side in SIDES])
    outside = ((joints < 0) | (joints >= (WIDTH, HEIGHT))).any(axis=2)
    seen = visible.sum(axis=1)
    names = {file_name(image) for image in labels if labelled_image(labels[image])}
    return {
        "samples": len(frames),
        "sequences": len({video for video, _, _ in frames}),
        "subjects": len({participant for _, participant, _ in frames}),
        "images": len(labels),
        "images without a labelled hand": len(labels) - len(frames),
        "names that several images share": len(frames) - len(names),
        "keys of images other than right and left": sum(
            key not in SIDES for image in labels.values() for key in image
        ),
        "images with detections": None if boxes is None else len(set(labels) & set(boxes)),
        "hands": int(labelled.sum()),
        "right hands": int(hands["right"].labelled.sum()),
        "left hands": int(hands["left"].labelled.sum()),
        "visible joints": int(visible.sum()),
        "visible joints outside the image": int((visible & outside).sum()),
        "visible joints without a position": sum(hands[side].lost for side in SIDES),
        "hands without a visible joint": int((labelled & (seen == 0)).sum()),
        "hands with 3 or more visible joints": int((seen >= 3).sum()),
        "hands with 4 or more visible joints": int((seen >= 4).sum()),
        "hands with a detected box": _both(boxes, hands, 0),
        "hands with 3 or more visible joints and a detected box": _both(boxes, hands, 3),
        "hands with 4 or more visible joints and a detected box": _both(boxes, hands, 4),
    }


def _both(boxes: dict[str, Any] | None, hands: dict[str, Hands], fewest: int) -> int | None:
    return None if boxes is None else int(sum(hands[s].scored(fewest).sum() for s in SIDES))


def _scored(hands: dict[str, Hands], fewest: int) -> dict[str, int]:
    right, left = (int(hands[side].scored(fewest).sum()) for side in SIDES)
    return {
        "scored hands": right + left,
        "scored right hands": right,
        "scored left hands": left,
    }


def _summary(
    split: str,
    source: Path,
    labels: dict[str, Any],
    boxes: dict[str, Any] | None,
    frames: list[tuple[str, str, int]],
    hands: dict[str, Hands],
) -> dict[str, Any]:
    counts = _counts(labels, boxes, frames, hands)
    expected = dict(TEST_COUNTS) if split == "test" else {}
    # The released code counts hands of four visible joints on, the paper of three on: whichever
    # gives the official numbers, else the code's.
    rules = {fewest: _scored(hands, fewest) for fewest in (4, 3)}
    fewest = next((k for k, found in rules.items() if found == TEST_COUNTS), 4)
    if split == "test":
        counts |= rules[fewest] if boxes is not None else dict.fromkeys(TEST_COUNTS)
    return {
        "release": source.name,
        "complete": all(counts[name] == number for name, number in expected.items()),
        "files": [str(source), *([str(source.with_name(DETECTIONS))] if boxes is not None else [])],
        "counts": counts,
        "expected": expected,
        "notes": _notes(split, counts, boxes, fewest),
        "fewest_visible_joints": fewest if split == "test" and boxes is not None else None,
        "unit": "mm",
        "pixel_origin": "as annotated (not stated by the source)",
        "licence": "CC BY-NC 4.0 (VISOR's images, WildHands' labels)",
    }


def _notes(
    split: str, counts: dict[str, Any], boxes: dict[str, Any] | None, fewest: int
) -> list[str]:
    notes = ["K is assumed: focal length 1000 px, centre (960, 540)."]
    if split == "val":
        notes.append("no official counts of this set are published: its size is unverified.")
    elif boxes is None:
        notes.append(
            f"{DETECTIONS} was not found: there are no boxes, and the official counts, which are "
            "of hands with a detected box, cannot be verified."
        )
    else:
        notes.append(f"scored hands are those with {fewest} or more visible joints and a box.")
    if boxes is not None and counts["images with detections"] < counts["images"]:
        lacking = counts["images"] - counts["images with detections"]
        notes.append(
            f"{lacking:,} images have no entry in {DETECTIONS}; the released code leaves them out."
        )
    if counts["images without a labelled hand"]:
        notes.append("images without a labelled hand are left out.")
    if counts["visible joints without a position"]:
        notes.append("visible joints without a finite position count as not visible.")
    if counts["names that several images share"]:
        notes.append("file names are not unique: ids hold as many folders as tell them apart.")
    if counts["keys of images other than right and left"]:
        notes.append("keys of images other than right and left are ignored.")
    return notes
