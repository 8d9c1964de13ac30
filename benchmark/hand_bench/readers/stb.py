"""Reader of the Stereo Tracking Benchmark (STB): its own release, and InterNet's repackaging.

Facts followed here (facts/interhand26m.md 1.10). Own release: `labels/<sequence>_{BB,SK}.mat` with
`handPara` 3 x 21 x 1500 in mm, frames counted from 0 as in `images/<sequence>/BB_left_0.png`. _BB
labels are in the left Bumblebee camera, X_right = X - 120.054 mm along x; _SK labels are in the
depth camera, X_color = Rod(r)^T (X - T). One person, left hands only. Test: B1Counting and
B1Random, train: B2 to B6, each sequence 1,500 instants; the usual test is the 6,000 images of
BB_left and BB_right: the tables `train` and `test`. The images of SK_color are the tables
`sk-train` and `sk-test`.

Joint 0 is the centre of the palm, not the wrist: the joints are in the order of ``palm21``, which
is no permutation of ``openpose21``. All joints are annotated; in view means inside the image. The
frame rate is not known: neither time nor interval is given.

The repackaged files (`STB_{train,test}.json`) are read as `internet_json` says. Which cameras they
hold, and whether their joint 0 is the palm or a shifted wrist, is not documented.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.annotations import write
from hand_bench.array_types import Float
from hand_bench.errors import DatasetError, HandBenchError, Problem
from hand_bench.joint_sets import permutation
from hand_bench.readers.internet_json import (
    Hands,
    Progress,
    below,
    find_file,
    inside,
    one_hand_columns,
    read_hands,
)

SEQUENCES = {
    "test": ("B1Counting", "B1Random"),
    "train": tuple(f"B{k}{kind}" for k in range(2, 7) for kind in ("Counting", "Random")),
}
OWN, REPACKAGED = "STB, own release", "STB, repackaged for InterNet"
INSTANTS = 1_500
SIZE = (640, 480)
CAMERAS = ("BB_left", "BB_right", "SK_color")
K_BB = np.array([[822.79041, 0, 318.47345], [0, 822.79041, 250.31296], [0, 0, 1]])
K_SK = np.array([[607.92271, 0, 314.78337], [0, 607.88192, 236.42484], [0, 0, 1]])
BASELINE = np.array([120.054, 0, 0])
#: From the colour to the depth camera of SK: rotation vector and translation (mm).
SK_ROTVEC = np.array([0.00531, -0.01196, 0.00301])
SK_TRANSLATION = np.array([-24.0381, -0.4563, -1.2326])
OFFICIAL_ORDER = permutation("stb21", "palm21")
_CAMERA, _FRAME = re.compile("|".join(CAMERAS)), re.compile(r"(\d+)\.\w+$")


@dataclass(frozen=True)
class Labels:
    """The label files of a split that are there, in the order of the sequences."""

    folder: Path
    #: (sequence, "BB" or "SK") -> file.
    paths: dict[tuple[str, str], Path]

    @property
    def files(self) -> list[str]:
        """What decides the result: the files, and the folder, which changes when one is added."""
        return [*map(str, self.paths.values()), str(self.folder)]


def prepare(root: str | Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
    """Write the canonical annotations of a table; return what the manifest says of it.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204.
    HandBenchError
        HB401 where the own release is to be read and scipy is not installed.
    """
    root, kind = Path(root), "SK" if split.startswith("sk-") else "BB"
    split = split.removeprefix("sk-")
    repackaged, tried = find_file(root, "STB", [f"STB_{split}.json"])
    if kind == "SK":  # which cameras a repackaged file holds is not known
        repackaged = None
    labels = find_labels(root, split, kind)
    if labels is not None:
        columns, notes = _own_columns(root, split, labels, progress), _lacking(split, labels)
        files, release = labels.files, OWN
        if repackaged is not None:
            notes.append(f"{repackaged.name} is there too and was not read.")
    elif repackaged is not None:
        hands = read_hands(repackaged, "stb21", progress)
        columns = _repackaged_columns(root, split, hands)
        notes = [*hands.notes, *_doubts(hands, columns["camera"])]
        files, release = hands.files, REPACKAGED
    else:
        raise DatasetError(_nothing(root, split, kind, tried))
    write(path, columns)
    return _summary(split, kind, columns, files, release, notes)


def find_labels(root: Path, split: str, kind: str) -> Labels | None:
    """Find label files of a split and a device ("BB", "SK") in ROOT or its folders `labels`."""
    for folder in (root / "labels", root / "STB" / "labels", root):
        wanted = {(s, kind): folder / f"{s}_{kind}.mat" for s in SEQUENCES[split]}
        paths = {key: file for key, file in wanted.items() if file.is_file()}
        if paths:
            return Labels(folder, paths)
    return None


def read_labels(path: Path) -> Float[np.ndarray, "instants 21 3"]:
    """Read `handPara` of a label file: mm, camera frame, STB's own joint order.

    Raises
    ------
    DatasetError
        HB203 where the file is damaged or holds something else.
    HandBenchError
        HB401 where scipy is not installed.
    """
    try:
        import scipy.io
    except ImportError as error:
        what = "MATLAB files need scipy, which is not installed."
        fix = "pip install 'hand-bench[mat]'"
        raise HandBenchError(Problem("HB401", str(path), what, fix=fix)) from error
    try:
        found = scipy.io.loadmat(path, variable_names=["handPara"])["handPara"]
        values = np.asarray(found, np.float64)
    except Exception as error:  # a damaged file raises almost anything
        what = f"cannot be read as a MATLAB file with handPara ({type(error).__name__}: {error})."
        raise DatasetError(_damaged(path, what)) from error
    if values.ndim != 3 or values.shape[:2] != (3, 21):
        what = f"handPara has shape {values.shape}, expected (3, 21, {INSTANTS})."
        raise DatasetError(_damaged(path, what))
    bad = ~np.isfinite(values).all(axis=(0, 1))
    if bad.any():
        what = f"handPara has NaN or infinity in {bad.sum()} instants, first {bad.argmax()}."
        raise DatasetError(_damaged(path, what))
    return np.ascontiguousarray(values.transpose(2, 1, 0))


def in_camera(
    joints: Float[np.ndarray, "instants 21 3"], camera: str
) -> Float[np.ndarray, "instants 21 3"]:
    """Bring labels (_BB or _SK, as belongs to the camera) into the frame of a colour camera."""
    if camera == "BB_left":
        return joints
    if camera == "BB_right":
        return joints - BASELINE
    return (joints - SK_TRANSLATION) @ _rotation(SK_ROTVEC)


def _rotation(rotvec: np.ndarray) -> np.ndarray:
    """Rotation matrix of a rotation vector (Rodrigues)."""
    angle = np.linalg.norm(rotvec)
    x, y, z = rotvec / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _own_columns(root: Path, split: str, labels: Labels, progress: Progress) -> dict[str, Any]:
    """Columns of all cameras whose labels are there; sorted, as the files are."""
    parts = []
    for k, ((sequence, kind), file) in enumerate(labels.paths.items()):
        progress("reading labels", k, len(labels.paths))
        joints = read_labels(file)[:, OFFICIAL_ORDER]
        cameras = [camera for camera in CAMERAS if camera.startswith(kind)]
        parts += [(sequence, camera, in_camera(joints, camera)) for camera in cameras]
    progress("reading labels", len(labels.paths), len(labels.paths))
    places = [(s, c, f) for s, c, joints in parts for f in range(len(joints))]
    sequence, camera, frame = (list(column) for column in zip(*places, strict=True))
    joints = np.concatenate([joints for _, _, joints in parts])
    K = np.array([K_BB if c.startswith("BB") else K_SK for c in camera])
    size = np.tile(SIZE, (len(places), 1))
    base = below(root, root if labels.folder == root else labels.folder.parent)
    valid = np.ones((len(places), 21), bool)
    seen = inside(joints, K, size)
    return one_hand_columns(["left"] * len(places), joints, valid, seen, K) | {
        "sample_id": [f"{split}/{s}/{c}/{f:04d}" for s, c, f in places],
        "sequence": sequence,
        "camera": camera,
        "frame": frame,
        "image": [f"{base}images/{s}/{c}_{f}.png" for s, c, f in places],
        "width": size[:, 0],
        "height": size[:, 1],
    }


def _lacking(split: str, labels: Labels) -> list[str]:
    """Note the label files that are not there."""
    (kind,) = {kind for _, kind in labels.paths}
    lacking = [f"{s}_{kind}.mat" for s in SEQUENCES[split] if (s, kind) not in labels.paths]
    return [f"Not there: {', '.join(lacking)}."] if lacking else []


def _repackaged_columns(root: Path, split: str, hands: Hands) -> dict[str, Any]:
    """Columns of a repackaged file, sorted by sequence, camera and frame."""
    places = [_place(s, name) for s, name in zip(hands.sequence, hands.file_name, strict=True)]
    order = sorted(range(len(places)), key=lambda k: _key(places[k]))
    places = [places[k] for k in order]
    _check_places(hands.path, split, places)
    base = below(root, hands.path.parent)
    hand = one_hand_columns(
        [hands.side[k] for k in order],
        hands.joints[order],
        hands.valid[order],
        hands.in_view[order],
        hands.K[order],
    )
    return hand | {
        "sample_id": [_sample_id(split, place) for place in places],
        "annotation_id": hands.annotation_id[order],
        "sequence": [place.sequence for place in places],
        "camera": [place.camera for place in places],
        "frame": [place.frame for place in places],
        "image": [f"{base}{place.image}" for place in places],
        "width": hands.size[order, 0],
        "height": hands.size[order, 1],
        "bbox": hands.bbox[order],
    }


@dataclass(frozen=True)
class _Place:
    """Where an image of a repackaged file belongs; None for what its name does not say."""

    sequence: str
    camera: str | None
    frame: int | None
    image: str


def _place(sequence: str, file_name: str) -> _Place:
    camera, frame = _CAMERA.search(file_name), _FRAME.search(file_name)
    return _Place(
        sequence or Path(file_name).parent.name,
        camera and camera.group(),
        int(frame.group(1)) if frame else None,
        f"images/{sequence}/{file_name}" if sequence else f"images/{file_name}",
    )


def _key(place: _Place) -> tuple[str, str, int, str]:
    frame = -1 if place.frame is None else place.frame
    return place.sequence, place.camera or "", frame, place.image


def _sample_id(split: str, place: _Place) -> str:
    """The id of the own release, or one of the file's name where that does not say the camera."""
    if place.camera is None or place.frame is None:
        return f"{split}/{place.sequence}/{Path(place.image).stem}"
    return f"{split}/{place.sequence}/{place.camera}/{place.frame:04d}"


def _check_places(path: Path, split: str, places: list[_Place]) -> None:
    """Refuse sequences of the other split, and an image with two annotations."""
    other = SEQUENCES["test" if split == "train" else "train"]
    strange = sorted({place.sequence for place in places} & set(other))
    if strange:
        what = f"holds {', '.join(strange)}, which belongs to the other split."
        raise DatasetError(Problem("HB204", str(path), what, cause="A file that was renamed?"))
    ids = Counter(_sample_id(split, place) for place in places)
    twice = [sample for sample, count in ids.items() if count > 1]
    if twice:
        what = f"annotates {len(twice)} images twice, e.g. {twice[0]}; STB shows one hand."
        raise DatasetError(Problem("HB204", str(path), what))


def _doubts(hands: Hands, camera: list[str | None]) -> list[str]:
    """Say what is not known of a repackaged file."""
    name = "" if hands.root_name is None else f" (skeleton.txt calls it {hands.root_name})"
    notes = [
        f"Whether joint 0 is the palm centre or a shifted wrist is not documented{name}: compare "
        "with scores on the own release only after checking.",
        "Which cameras the repackaged file holds is not documented: only its instants are counted.",
    ]
    unknown, right = camera.count(None), hands.side.count("right")
    if unknown:
        notes.append(f"The names of {unknown:,} images do not say their camera.")
    if right:
        notes.append(f"{right:,} annotations say right hand; the own release has left hands only.")
    return notes


def _summary(
    split: str, kind: str, columns: dict[str, Any], files: list[str], release: str, notes: list[str]
) -> dict[str, Any]:
    instants = set(zip(columns["sequence"], columns["frame"], strict=True))
    counts = {
        "samples": len(columns["sample_id"]),
        "sequences": len(set(columns["sequence"])),
        "instants": sum(frame is not None for _, frame in instants),
        **{f"{name} images": columns["camera"].count(name) for name in CAMERAS},
    }
    number = INSTANTS * len(SEQUENCES[split])
    expected = {"instants": number}
    if release == OWN:
        expected["samples"] = number if kind == "SK" else 2 * number
    return {
        "release": release,
        "complete": all(counts[name] == wanted for name, wanted in expected.items()),
        "files": files,
        "counts": counts,
        "expected": expected,
        "notes": [
            "Joint 0 is the palm centre (joint set palm21), not the wrist.",
            "The frame rate is not documented: no time, no interval.",
            *notes,
        ],
        "unit": "mm",
        "pixel_origin": "not documented",
        "licence": "MIT (licence file of the dataset's repository)"
        if release == OWN
        else "CC-BY-NC 4.0 (InterHand2.6M); images as in the own release",
    }


def _damaged(path: Path, what: str) -> Problem:
    return Problem("HB203", str(path), what, cause="A damaged copy, or another file?")


def _nothing(root: Path, split: str, kind: str, tried: list[str]) -> Problem:
    first = f"{SEQUENCES[split][0]}_{kind}.mat"
    return Problem(
        "HB202",
        str(root),
        f"holds no annotations of split {split!r}.",
        cause=f"Looked for {first} and the like in labels/, STB/labels/ and ROOT itself, and for "
        f"{', '.join(tried)}.",
        fix="ROOT is the folder that holds labels/ and images/ (own release), or data/STB/ "
        "(repackaged for InterNet).",
    )
