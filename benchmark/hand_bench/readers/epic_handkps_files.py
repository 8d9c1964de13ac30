"""Epic-HandKps' pickles as arrays: where they are, labels, detected boxes and file names.

The facts followed are listed in `hand_bench.readers.epic_handkps`. Pickles are read without running
anything that they name (`hand_bench.unpickle`).
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hand_bench import unpickle
from hand_bench.array_types import Bool
from hand_bench.errors import DatasetError, Problem
from hand_bench.joint_sets import permutation

FILES = {"val": "hands_250.pkl", "test": "hands_5000.pkl"}
DETECTIONS = "grasp_visor_val.pkl"
SIDES = ("right", "left")
OFFICIAL_ORDER = permutation("assemblyhands21", "openpose21")
_FRAME = re.compile(r"((P\d+)_\d+)_frame_(\d+)")


def find_file(root: Path, split: str) -> Path:
    """Find the pickle of a table under ROOT/epic_hands or ROOT.

    Raises
    ------
    DatasetError
        HB202 with the places that were looked at.
    """
    name = FILES[split]
    places = [root / "epic_hands" / name, root / name]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DatasetError(
            Problem(
                "HB202",
                str(root),
                f"holds no {name}.",
                cause=f"Looked for {' and '.join(map(str, places))}.",
                fix="It is in the folder epic_hands of the labels that the WildHands repository "
                f"(ap229997/hands) points to; {DETECTIONS}, the detected boxes, belongs beside it.",
            )
        )
    return found


def load(path: Path) -> dict[str, Any]:
    """Read a pickle of the form {image path: {...}}.

    Raises
    ------
    DatasetError
        HB203 for another form, or a pickle that would run code.
    """
    content = unpickle.load(path)  # the restricted reader: nothing is executed
    if not isinstance(content, dict):
        raise DatasetError(damaged(path, "", f"it holds a {type(content).__name__}, not a dict"))
    bad = next((key for key in content if not isinstance(key, str)), None)
    if bad is not None:
        raise DatasetError(damaged(path, "", f"its key {bad!r} is no image path"))
    wrong = next((key for key, value in content.items() if not isinstance(value, dict)), None)
    if wrong is not None:
        found = type(content[wrong]).__name__
        raise DatasetError(damaged(path, wrong, f"it is a {found}, not a dict of hands"))
    return content


def labelled_image(hands: dict[str, Any]) -> bool:
    """Whether an image has a label of a hand."""
    return any(hands.get(side) is not None for side in SIDES)


def file_name(image: str) -> str:
    """The name of an image without folders and extension."""
    return PurePosixPath(image).stem


def parse_name(path: Path, image: str) -> tuple[str, str, int]:
    """The video, the participant and the frame number that a file name tells.

    Raises
    ------
    DatasetError
        HB203 for a name of another form.
    """
    found = _FRAME.search(file_name(image))
    if found is None:
        raise DatasetError(damaged(path, image, "its name is not PXX_XX_frame_NUMBER"))
    return found[1], found[2], int(found[3])


class Hands:
    """One side of all images, in OpenPose order."""

    def __init__(self, rows: int):
        self.joints_2d = np.zeros((rows, 21, 2), np.float32)
        self.visible = np.zeros((rows, 21), bool)
        self.labelled = np.zeros(rows, bool)
        self.bbox = np.zeros((rows, 4), np.float32)
        self.detected = np.zeros(rows, bool)
        #: Visible joints whose position is not finite: they count as not visible.
        self.lost = 0

    def read(self, row: int, hand: dict[str, Any] | None, path: Path, where: str) -> None:
        """Put a label into its row; None is a hand without a label. HB203 for another form."""
        if hand is None:
            return
        try:
            joints = np.asarray(hand["joints"], np.float64)
            flags = np.asarray(hand["joints_valid"], np.float64)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DatasetError(damaged(path, where, f"{type(error).__name__} {error}")) from error
        if joints.shape != (21, 2):
            raise DatasetError(damaged(path, where, f"joints have shape {joints.shape}"))
        if flags.shape != (21,) or not np.isin(flags, (0, 1)).all():
            raise DatasetError(damaged(path, where, f"joints_valid is {flags.tolist()}"))
        finite = np.isfinite(joints).all(axis=1)
        visible = flags.astype(bool)
        self.lost += int((visible & ~finite).sum())
        self.joints_2d[row] = np.where(finite[:, None], joints, 0)[OFFICIAL_ORDER]
        self.visible[row] = (visible & finite)[OFFICIAL_ORDER]
        self.labelled[row] = True

    def detect(self, row: int, boxes: dict[str, Any], side: str, path: Path, image: str) -> None:
        """Put a detected box into its row; None is a hand that was not detected. HB203."""
        box = boxes.get(f"{side}_bbox")
        if box is None:
            return
        try:
            corners = np.array([float(number) for number in box if not isinstance(box, str)])
        except (TypeError, ValueError):
            corners = np.zeros(0)
        if corners.shape != (4,) or not np.isfinite(corners).all():
            raise DatasetError(damaged(path, image, f"{side}_bbox is {box!r}, not four numbers"))
        extent = corners[2:] - corners[:2]
        if (extent < 0).any():
            raise DatasetError(
                damaged(path, image, f"{side}_bbox {box!r} ends before it begins (x0, y0, x1, y1)")
            )
        self.bbox[row], self.detected[row] = [*corners[:2], *extent], True

    def scored(self, fewest: int) -> Bool[np.ndarray, " rows"]:
        """Which hands have a detected box and at least so many visible joints."""
        return self.detected & (self.visible.sum(axis=1) >= fewest)


def read_hands(
    source: Path,
    labels: dict[str, Any],
    boxes: dict[str, Any] | None,
    images: list[str],
    side: str,
) -> Hands:
    """Read one side of some images; detected boxes only of hands that are labelled.

    Raises
    ------
    DatasetError
        HB203 for a label or a box of another form.
    """
    hands, boxes_file = Hands(len(images)), source.with_name(DETECTIONS)
    for row, image in enumerate(images):
        hands.read(row, labels[image].get(side), source, f"{image}, {side} hand")
        if boxes is not None and hands.labelled[row] and image in boxes:
            hands.detect(row, boxes[image], side, boxes_file, image)
    return hands


def damaged(path: Path, where: str, what: str) -> Problem:
    """Build the problem of a file of another form."""
    return Problem(
        "HB203",
        str(path),
        f"{where}{': ' if where else ''}has another form than documented: {what}.",
        cause="A file of another dataset or release, or a damaged copy?",
    )


def strangers(boxes: Path, labels: Path, wanted: str, found: str) -> Problem:
    """Build the problem of boxes and labels that have no image in common."""
    return Problem(
        "HB204",
        str(boxes),
        f"has none of the images of {labels.name} (which has {wanted}, here is {found}).",
        cause="Images are matched by their path as it is stored: files of two releases?",
        fix="Take both files from the same folder epic_hands, or move this one away.",
    )
