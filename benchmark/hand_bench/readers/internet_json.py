"""STB and RHD as repackaged for InterNet and mmpose: COCO-style JSON, one hand per annotation.

Facts followed here (facts/interhand26m.md 1.10, 1.11, 1.4): `images` have `cam_param`, annotations
are joined to them by `image_id`. InterNet's files hold `joint_cam` (mm) and `joint_valid`, mmpose's
`joint_cam` and `keypoints` (u, v, visible). The root is joint 0. The order of the other joints is
said by `skeleton.txt` beside the file (`name index parent`, the tree tells base from tip); where it
is not there or has other words, the order of the original release is taken and a note says so.
Either way the bases of the fingers must lie nearer to the root than the tips. `bbox` is the tight
box of the valid projected joints, 1.2 times as wide and high (1.4; checked on real RHD files).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench.array_types import Bool, Float, Int
from hand_bench.errors import DatasetError, Problem
from hand_bench.geometry import project
from hand_bench.joint_sets import FINGERS, HAND_SIDES, OPENPOSE, joint_set
from hand_bench.readers.json_stream import items, reading

BOX_SCALE = 1.2
#: What the fingers are called in a skeleton file -> what they are called here.
FINGER_WORDS = {finger: finger for finger in FINGERS} | {"little": "pinky", "pinkie": "pinky"}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Hands:
    """The hands of a file, one a row; joints in mm, root first, then in OpenPose order."""

    path: Path
    annotation_id: Int[np.ndarray, " hands"]
    file_name: list[str]
    #: `seq_name`, empty where images have none.
    sequence: list[str]
    size: Int[np.ndarray, "hands 2"]
    K: Float[np.ndarray, "hands 3 3"]
    bbox: Float[np.ndarray, "hands 4"]
    side: list[str]
    joints: Float[np.ndarray, "hands 21 3"]
    valid: Bool[np.ndarray, "hands 21"]
    #: Valid and seen: as the file says (mmpose), else whether the joint is inside the image.
    in_view: Bool[np.ndarray, "hands 21"]
    #: Whether the file says which joints are visible instead of which are valid (mmpose's form).
    says_visible: bool
    skeleton: Path | None
    #: The word of the skeleton file for joint 0.
    root_name: str | None
    notes: list[str]

    @property
    def files(self) -> list[str]:
        """The files that decide the result."""
        return [str(path) for path in (self.path, self.skeleton) if path is not None]


def find_file(root: Path, dataset: str, names: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Find a repackaged file below ROOT; return it (or None) and every place that was looked at."""
    folders = ("", "data", f"{dataset}/data", f"data/{dataset}/data")
    places = [root / folder / name for folder in folders for name in names]
    return next((p for p in places if p.is_file()), None), [str(p) for p in places]


def below(root: Path, folder: Path) -> str:
    """Return a folder as the beginning of a path relative to the root: "" or "data/STB/"."""
    relative = folder.relative_to(root).as_posix()
    return "" if relative == "." else f"{relative}/"


def read_hands(path: Path, original: str, progress: Progress) -> Hands:
    """Read a repackaged file as a stream.

    Parameters
    ----------
    path
        The JSON file; `skeleton.txt` is looked for beside it.
    original
        The joint set that is taken where no skeleton file tells the order.
    progress
        Called with (what, bytes read, bytes).

    Raises
    ------
    DatasetError
        HB203 for another form, HB204 for ids without an image or a joint order that cannot be.
    """
    notes: list[str] = []
    skeleton = path.with_name("skeleton.txt")
    found = skeleton.is_file()
    names, root_name = _joint_names(skeleton) if found else (None, None)
    if names is None:
        names = joint_set(original).joints[1:]
        notes.append(_order_note(skeleton, found, original))
    with reading(path):
        images = _read_images(path, progress)
        rows = [_hand(item, images, path) for item in items(path, "annotations", progress)]
    if not rows:
        raise DatasetError(Problem("HB203", str(path), "holds no annotations."))
    hands = _stack(path, rows, names)
    _check_order(path, hands["joints"], hands["valid"], found)
    return Hands(
        path=path,
        **hands,
        skeleton=skeleton if found else None,
        root_name=root_name,
        notes=notes,
    )


def one_hand_columns(
    side: Sequence[str],
    joints: Float[np.ndarray, "rows 21 3"],
    valid: Bool[np.ndarray, "rows 21"],
    in_view: Bool[np.ndarray, "rows 21"],
    K: Float[np.ndarray, "rows 3 3"],
) -> dict[str, Any]:
    """Canonical columns of rows that have one hand each: hand type, camera, joints and boxes.

    The box of a hand is tight around its valid projected joints and may leave the image; `bbox` is
    1.2 times as wide and high, as in the repackaged files.
    """
    sides = np.asarray(side)
    tight, boxless = tight_box(joints, valid, K)
    columns: dict[str, Any] = {
        "K": K,
        "bbox": (_grown(tight), boxless),
        "hand_type": sides.tolist(),
        "hand_type_valid": np.ones(len(sides), bool),
    }
    for name in HAND_SIDES:
        other = sides != name
        columns[f"{name}_joints"] = joints, other
        columns[f"{name}_valid"] = valid & ~other[:, None]
        columns[f"{name}_in_view"] = in_view & ~other[:, None]
        columns[f"{name}_bbox"] = tight, other | boxless
    return columns


def inside(
    joints: Float[np.ndarray, "rows 21 3"],
    K: Float[np.ndarray, "rows 3 3"],
    size: Int[np.ndarray, "rows 2"],
) -> Bool[np.ndarray, "rows 21"]:
    """Whether joints are in front of the camera and inside the image (width, height)."""
    pixels = project(joints, K)
    within = (pixels >= 0) & (pixels < size[:, None])
    return within.all(axis=-1) & (joints[..., 2] > 0)


def tight_box(
    joints: Float[np.ndarray, "rows 21 3"],
    valid: Bool[np.ndarray, "rows 21"],
    K: Float[np.ndarray, "rows 3 3"],
) -> tuple[Float[np.ndarray, "rows 4"], Bool[np.ndarray, " rows"]]:
    """Return the box of the valid joints in front of the camera, and which rows have none."""
    counts = (valid & (joints[..., 2] > 0))[..., None]
    pixels = project(joints, K)
    none = np.asarray(~counts.any(axis=(1, 2)))
    low = np.where(counts, pixels, np.inf).min(axis=1)
    high = np.where(counts, pixels, -np.inf).max(axis=1)
    low[none], high[none] = 0, 0
    return np.concatenate([low, high - low], axis=1), none


def _grown(box: np.ndarray) -> np.ndarray:
    corner = box[:, :2] + (1 - BOX_SCALE) / 2 * box[:, 2:]
    return np.concatenate([corner, BOX_SCALE * box[:, 2:]], axis=1)


def _joint_names(path: Path) -> tuple[tuple[str, ...] | None, str | None]:
    """Names of joints 1 to 20 of the first hand by finger and depth in the tree; its root's word.

    None where the file has other words or another tree.
    """
    lines = [line.split() for line in path.read_text("utf-8", "replace").splitlines()]
    lines = [line for line in lines if len(line) == 3 and not line[0].startswith("#")]
    try:
        tree = {int(index): (name.lower(), int(parent)) for name, index, parent in lines}
        names = tuple(_finger_name(tree, joint) for joint in range(1, 21))
        root_name, above = tree[0]
    except (KeyError, ValueError):
        return None, None
    whole = above == -1 and sorted(names) == sorted(OPENPOSE.joints[1:])
    return (names, root_name) if whole else (None, None)


def _finger_name(tree: dict[int, tuple[str, int]], joint: int) -> str:
    """Name a joint by its finger's word and by how many steps below the root it is."""
    word = next((word for word in FINGER_WORDS if word in tree[joint][0]), "")
    steps = 0
    while joint != 0 and steps < 5:
        joint, steps = tree[joint][1], steps + 1
    return f"{FINGER_WORDS[word]}{steps}"


def _order_note(skeleton: Path, found: bool, original: str) -> str:
    why = "does not name the fingers in known words" if found else "is not there"
    return (
        f"{skeleton.name} {why}: the joint order of the original release ({original}) is assumed."
    )


def _read_images(path: Path, progress: Progress) -> dict[int, dict[str, Any]]:
    images: dict[int, dict[str, Any]] = {}
    for item in items(path, "images", progress):
        if item["id"] in images:
            raise DatasetError(Problem("HB204", str(path), f"has image id {item['id']} twice."))
        camera, K = item["cam_param"], np.eye(3)
        K[[0, 1], [0, 1]] = camera["focal"]
        K[:2, 2] = camera["princpt"]
        images[item["id"]] = {
            "file_name": str(item["file_name"]),
            "sequence": str(item.get("seq_name", "")),
            "size": (item["width"], item["height"]),
            "K": K,
        }
    return images


def _hand(item: dict[str, Any], images: dict[int, dict[str, Any]], path: Path) -> dict[str, Any]:
    """One annotation with its image's fields; `seen` is None where the file does not say it."""
    if item["image_id"] not in images:
        what = f"annotation {item['id']} points to image {item['image_id']}, which is not there."
        raise DatasetError(Problem("HB204", str(path), what))
    if item["hand_type"] not in HAND_SIDES:
        what = f"annotation {item['id']} has hand_type {item['hand_type']!r}, not right or left."
        raise DatasetError(Problem("HB203", str(path), what))
    seen = None
    if "joint_valid" in item:
        valid = np.array(item["joint_valid"], np.float32).reshape(21) > 0
    else:
        seen = np.array(item["keypoints"], np.float32).reshape(21, 3)[:, 2] > 0
        valid = np.ones(21, bool)
    return images[item["image_id"]] | {
        "annotation_id": item["id"],
        "side": item["hand_type"],
        "joints": np.array(item["joint_cam"], np.float64).reshape(21, 3),
        "bbox": np.array(item["bbox"], np.float64).reshape(4),
        "valid": valid,
        "seen": seen,
    }


def _stack(path: Path, rows: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """Turn rows into arrays in OpenPose order (the root stays where it is)."""
    order = [0, *(1 + names.index(name) for name in OPENPOSE.joints[1:])]
    stacked = {name: np.stack([row[name] for row in rows]) for name in ("K", "joints", "bbox")}
    stacked["valid"] = np.stack([row["valid"] for row in rows])[:, order]
    stacked["joints"] = stacked["joints"][:, order]
    for name in ("annotation_id", "size"):
        stacked[name] = np.array([row[name] for row in rows], np.int64)
    texts = {name: [row[name] for row in rows] for name in ("file_name", "sequence", "side")}
    if len({row["seen"] is None for row in rows}) > 1:
        what = "has joint_valid in some annotations and only keypoints in others."
        raise DatasetError(Problem("HB204", str(path), what))
    says_visible = rows[0]["seen"] is not None
    if says_visible:
        seen = np.stack([row["seen"] for row in rows])[:, order]
    else:
        seen = inside(stacked["joints"], stacked["K"], stacked["size"])
    in_view = stacked["valid"] & seen
    return {**stacked, **texts, "in_view": in_view, "says_visible": says_visible}


def _check_order(path: Path, joints: np.ndarray, valid: np.ndarray, told: bool) -> None:
    """Refuse an order in which the fingers' bases are farther from the root than their tips."""
    apart = np.linalg.norm(joints[:, 1:] - joints[:, :1], axis=-1)
    longer = apart[:, [7, 11, 15, 19]] - apart[:, [4, 8, 12, 16]]
    known = valid[:, [8, 12, 16, 20]] & valid[:, [5, 9, 13, 17]] & valid[:, :1]
    if known.any() and longer[known].mean() < 0:
        source = "skeleton.txt" if told else "the original release"
        raise DatasetError(
            Problem(
                "HB204",
                str(path),
                f"in the joint order of {source} the fingertips are {-longer[known].mean():.0f} mm "
                "nearer to the root than the bases of the fingers.",
                cause="Joints in another order (tip to base)?",
                fix="Put the skeleton.txt of the same release beside the file.",
            )
        )
