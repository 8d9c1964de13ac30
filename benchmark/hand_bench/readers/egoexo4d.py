"""Reader of Ego-Exo4D hand pose: the annotation files that the official script prepares.

Facts followed here (facts/wildhands.md): the prepared files, their names and their form (2.2);
bare NaN tokens stand for missing joints, an empty list for a hand that is absent or not evaluated
(2.2); joints are metres in the frame of the Aria RGB camera, OpenPose order (0.1, 0.2, 2.2); a
joint counts where ``valid_3d`` says so, the wrist's position is kept even where its own flag is
False, because wrist-relative scores need it (2.2); boxes are corners, here x, y, width, height,
those of the test split are loose and noisy (2.2); images are the undistorted 512 x 512 view with a
focal length of 150 px, principal point from ``camera_intrinsics`` (2.1, 2.3); landscape
orientation (2.3); the size of the test split (2.4). Joints of the public test file are withheld: a
box asks for a hand.

What comes out: a row per take and frame, ``<split>/<take_uid>/<frame, six digits>``. ``*_valid`` is
valid_3d and finite, ``*_in_view`` the same (valid_3d implies it), joints that are missing are
zeros and not valid. Frames that ask for no hand are left out and counted.

Memory: the JSON is parsed take by take. A file of 210 MB with 54,000 frames takes 370 MB at most
(about 5 kB a frame); parsing it whole would take 910 MB.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.annotations import intervals, write
from hand_bench.array_types import Float
from hand_bench.errors import DatasetError, Problem
from hand_bench.files import sha256
from hand_bench.readers.egoexo4d_files import (
    Found,
    Hands,
    Progress,
    Take,
    count_frames,
    find_files,
    read_takes,
    reading,
)

SIDES = ("right", "left")
SIZE = 512
RATE = 30.0
#: K of the undistorted view where no camera_intrinsics are there (facts/wildhands.md 2.3).
ASSUMED_K = np.array([[150.0, 0, 255.5], [0, 150.0, 255.5], [0, 0, 1]])
ASSUMED_CAMERA = "aria_214-1"
#: Official numbers of the test split (facts 2.4). Those of train and val are not published.
TEST_COUNTS = {
    "takes": 86,
    "samples": 5_832,
    "hands": 8_772,
    "right hands": 3_828,
    "left hands": 4_944,
}
TEST_SHA256 = "a962865de3ff9edc50df68dab00c385a96da9cb5cf009a32e62a3fffdaa569fb"


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations of a split; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204.
    """
    root = Path(root)
    found = find_files(root, split)
    takes = sorted(read_takes(found.path, progress), key=lambda take: take.uid)
    asked = [take.only(take.asked) for take in takes if take.asked.any()]
    if not asked:
        raise DatasetError(
            Problem(
                "HB203", str(found.path), "asks for no hand.", cause="An empty or partial file?"
            )
        )
    cameras = Cameras(root, split)
    step = usual_step(asked)
    write(path, _columns(asked, split, found, cameras, step, progress))
    return _summary(takes, asked, split, found, cameras, step, progress)


def usual_step(takes: list[Take]) -> int:
    """The most frequent distance of a take's consecutive frames; the smaller of equals."""
    steps = np.concatenate([np.diff(take.frame) for take in takes])
    if not steps.size:
        return 1
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


class Cameras:
    """K and name of the Aria camera of each take, from camera_pose files (facts 2.1) or assumed."""

    def __init__(self, root: Path, split: str):
        folder = root / "annotations" / "ego_pose" / split / "camera_pose"
        self._folder = folder if folder.is_dir() else None
        #: How many takes were asked for that have no file.
        self.assumed = 0

    @property
    def folders(self) -> list[Path]:
        """The folder that is read, if there is one."""
        return [self._folder] if self._folder is not None else []

    def view(self, uid: str) -> tuple[str, Float[np.ndarray, "3 3"]]:
        """Return the name of a take's camera and its K.

        Raises
        ------
        DatasetError
            HB203 for a damaged file, HB204 where several Aria cameras differ.
        """
        path = self._folder / f"{uid}.json" if self._folder is not None else None
        if path is None or not path.is_file():
            self.assumed += 1
            return ASSUMED_CAMERA, ASSUMED_K
        with reading(path):
            content = json.loads(path.read_text("utf-8"))
            found = {
                name: view for name, view in content.items() if name.lower().startswith("aria")
            }
            Ks = [np.array(view["camera_intrinsics"], np.float64) for view in found.values()]
            if not Ks or any(K.shape != (3, 3) or not np.isfinite(K).all() for K in Ks):
                raise ValueError("it has no camera aria* with camera_intrinsics 3 x 3")
        if any(not np.array_equal(K, Ks[0]) for K in Ks):
            raise DatasetError(
                Problem("HB204", str(path), f"has Aria cameras that differ: {', '.join(found)}.")
            )
        return (f"{next(iter(found))}_214-1" if len(found) == 1 else ASSUMED_CAMERA), Ks[0]


def _columns(
    takes: list[Take], split: str, found: Found, cameras: Cameras, step: int, progress: Progress
) -> dict[str, Any]:
    """The canonical columns of all rows; takes and their frames come sorted."""
    rows = [len(take.frame) for take in takes]
    frame = np.concatenate([take.frame for take in takes])
    views = []
    for k, take in enumerate(takes):
        views.append(cameras.view(take.uid))
        progress("reading cameras", k + 1, len(takes))
    hands = {side: Hands.joined([take.hands[side] for take in takes]) for side in SIDES}
    sequence = _repeated([take.uid for take in takes], rows)
    name = _repeated([take.name for take in takes], rows)
    return {
        "sample_id": [f"{split}/{s}/{f:06d}" for s, f in zip(sequence, frame, strict=True)],
        "sequence": sequence,
        "camera": _repeated([camera for camera, _ in views], rows),
        "frame": frame,
        "time": frame / RATE,
        "interval": intervals([sequence], frame, step, RATE / step),
        "image": [
            f"{found.images}image/undistorted/{split}/{n}/{f:06d}.jpg"
            for n, f in zip(name, frame, strict=True)
        ],
        "width": np.full(len(frame), SIZE),
        "height": np.full(len(frame), SIZE),
        "K": np.repeat([K for _, K in views], rows, axis=0),
        "hand_type": _hand_types(hands),
        "hand_type_valid": np.zeros(len(frame), bool),
        "annotator": [found.annotator] * len(frame),
        **{key: value for side in SIDES for key, value in _hand_columns(side, hands[side])},
    }


def _repeated(texts: list[str], rows: list[int]) -> list[str]:
    return [text for text, count in zip(texts, rows, strict=True) for _ in range(count)]


def _hand_columns(side: str, hands: Hands) -> list[tuple[str, Any]]:
    """The columns of one side; null where there are no joints, or no box."""
    missing = ~np.isfinite(hands.joints).all(axis=2)
    joints = np.where(missing[..., None], 0, hands.joints)
    valid = hands.valid & ~missing
    return [
        (f"{side}_joints", (joints, ~hands.annotated)),
        (f"{side}_valid", (valid, ~hands.annotated)),
        (f"{side}_in_view", (valid, ~hands.annotated)),
        (f"{side}_bbox", (hands.bbox, ~hands.boxed)),
    ]


def _hand_types(hands: dict[str, Hands]) -> list[str]:
    right, left = (hands[side].asked for side in SIDES)
    return np.where(right & left, "interacting", np.where(right, "right", "left")).tolist()


def _summary(
    takes: list[Take],
    asked: list[Take],
    split: str,
    found: Found,
    cameras: Cameras,
    step: int,
    progress: Progress,
) -> dict[str, Any]:
    counts = _counts(takes, asked)
    if found.automatic is not None:
        counts["automatic frames (not used)"] = count_frames(found.automatic, progress)
    expected = dict(TEST_COUNTS) if split == "test" else {}
    return {
        "release": f"prepared {'manual' if found.annotator == 'human' else 'auto'} annotations",
        "complete": all(counts[name] == number for name, number in expected.items()),
        "files": [str(path) for path in (*found.all, *cameras.folders)],
        "counts": counts,
        "expected": expected,
        "notes": _notes(counts, split, found, cameras),
        "annotator": found.annotator,
        "orientation": "landscape",
        "frame_step": step,
        "unit": "mm",
        "pixel_origin": "centre of the top-left pixel",
        "licence": "Ego-Exo4D licence agreement (no redistribution)",
    }


def _counts(takes: list[Take], asked: list[Take]) -> dict[str, int]:
    hands = {side: Hands.joined([take.hands[side] for take in asked]) for side in SIDES}
    both = Hands.joined(list(hands.values()))
    finite = np.isfinite(both.joints).all(axis=2)
    samples = sum(len(take.frame) for take in asked)
    return {
        "samples": samples,
        "sequences": len(asked),
        "takes": len(asked),
        "hands": int(both.asked.sum()),
        "right hands": int(hands["right"].asked.sum()),
        "left hands": int(hands["left"].asked.sum()),
        "hands withheld": int((both.asked & ~both.annotated).sum()),
        "hands without a box": int((both.annotated & ~both.boxed).sum()),
        "hands whose wrist is not valid": int((both.annotated & ~both.valid[:, 0]).sum()),
        "valid joints": int((both.valid & finite).sum()),
        "valid joints without a position": int((both.valid & ~finite).sum()),
        "frames without a hand": sum(len(take.frame) for take in takes) - samples,
    }


def _notes(counts: dict[str, int], split: str, found: Found, cameras: Cameras) -> list[str]:
    notes = [
        "orientation landscape is assumed: files written with --portrait_view have turned joints, "
        "boxes and images, and look the same here."
    ]
    if split != "test":
        notes.append("no official counts of this split are published: its size is unverified.")
    elif found.public and sha256(found.path) != TEST_SHA256:
        notes.append(f"{found.path.name} is not the released file byte for byte (SHA-256 differs).")
    if found.assumed:
        notes.append("the annotator is taken to be human: the file is not in manual/ or auto/.")
    if found.automatic is not None:
        notes.append(f"{found.automatic} holds automatic annotations; they are not used.")
    if found.annotator == "machine":
        notes.append("only automatic annotations were found; the benchmark's truth is manual.")
    if cameras.assumed:
        notes.append(
            f"K of {cameras.assumed:,} takes is assumed (focal length 150 px, centre 255.5): "
            f"annotations/ego_pose/{split}/camera_pose has no file of them."
        )
    if counts["valid joints without a position"]:
        notes.append("valid joints without a finite position count as not valid.")
    if counts["frames without a hand"]:
        notes.append("frames that ask for no hand are left out.")
    return notes
