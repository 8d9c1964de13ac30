"""AssemblyHands' official tree, small, seeded and licence-free (facts/assemblyhands.md 1, 3.2).

Jointed skeletons in motion before four headset cameras that move. What is ugly in the real files
is here: both parities of frame numbers, gaps, images that are not in order, fewer images in some
cameras, null boxes, zeros in joint_valid, 42 and 42x1 forms, a frame without joint_valid, camera
names with and without suffix, missing camera poses, keys that nobody asked for.
"""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hand_bench.geometry import project
from hand_bench.skeleton_world import CENTRE, SkeletonWorld

SIZE = (636, 480)
HEADSETS = (
    ("84346135", "84347414", "84355350", "84358933"),
    ("21176875", "21176623", "21110305", "21179183"),
)
SEQUENCES = {
    "train": (
        "nusar-2021_action_both_9014-a23_9014_user_id_2021-02-02_142800",
        "nusar-2021_action_both_9015-b05b_9015_user_id_2021-02-02_161800",
    ),
    "val": (
        "nusar-2021_action_both_9012-c07c_9012_user_id_2021-02-01_164345",
        "nusar-2021_action_both_9081-c11b_9081_user_id_2021-02-12_161433",
    ),
    "test": (
        "nusar-2021_action_both_9021-c10a_9021_user_id_2021-02-23_100458",
        "nusar-2021_action_both_9034-c08b_9034_user_id_2021-02-04_161726",
    ),
}
FIRST_FRAMES = (520, 6667)
#: One image (sequence 0, camera 0) of this position in time has no camera pose.
WITHOUT_POSE = 3


@dataclass(frozen=True)
class Recording:
    """One sequence: frames, joints in the world (official order) and its four cameras."""

    name: str
    frames: np.ndarray
    joints: np.ndarray
    cameras: tuple[str, ...]
    K: np.ndarray
    #: Camera from world, [frames, cameras, 3, 4].
    extrinsics: np.ndarray


def recordings(split: str, frames: int = 6, seed: int = 0) -> list[Recording]:
    """The sequences of a split; the second one begins at an odd frame number."""
    world = SkeletonWorld(captures=1, sequences=2, hand_types=("interacting",), seed=seed)
    made = []
    for k, name in enumerate(SEQUENCES[split]):
        numbers = FIRST_FRAMES[k] + 2 * np.arange(frames)
        numbers[frames // 2 :] += 4  # a gap: frames without hands were removed
        take = replace(world.takes(split)[k], frames=(numbers - numbers[0]) // 2)
        rng = np.random.default_rng([seed, k, len(split)])
        K = np.array([[133.7, 0, 318.0 + k], [0, 133.9, 238.0], [0, 0, 1]])
        extrinsics = np.stack([[_pose(rng, c) for c in range(4)] for _ in range(frames)])
        made.append(Recording(name, numbers, world.joints(take), HEADSETS[k], K, extrinsics))
    return made


def _pose(rng: np.random.Generator, camera: int) -> np.ndarray:
    """A headset camera about 450 mm before the hands, [R|t], world to camera."""
    offset = np.array([60 * (camera % 2) - 30, -80 - 60 * (camera // 2), -450])
    position = CENTRE + offset + rng.normal(0, 15, 3)
    z = CENTRE + rng.normal(0, 20, 3) - position
    z /= np.linalg.norm(z)
    x = np.cross([0, 1, 0], z)
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    return np.concatenate([R, -R @ position[:, None]], axis=1)


def write_split(
    root: Path,
    split: str = "val",
    *,
    frames: int = 6,
    seed: int = 0,
    folder: str | None = None,
    version: str = "v1-1",
    truth: str = "public",
) -> list[Recording]:
    """Write annotations/<folder>; `truth` is "public", "absent" (no joint_3d) or "constant"."""
    made = recordings(split, frames, seed)
    target = root / "annotations" / (folder or split)
    target.mkdir(parents=True, exist_ok=True)
    stem = f"{target}/assemblyhands_{split}"
    _dump(f"{stem}_ego_data_{version}.json", _ego_data(made, split, seed))
    _dump(f"{stem}_ego_calib_{version}.json", {"calibration": {r.name: _calib(r) for r in made}})
    if truth != "absent":
        joints = {r.name: _joint_3d(r, truth == "constant") for r in made}
        _dump(f"{stem}_joint_3d_{version}.json", {"info": {"by": "x"}, "annotations": joints})
    (root / "annotations" / "skeleton.txt").write_text("# joint_name joint_id parent_id\n")
    return made


def _ego_data(made: list[Recording], split: str, seed: int) -> dict:
    images, annotations = [], []
    for r in made:
        for f, frame in enumerate(r.frames):
            for c, serial in enumerate(r.cameras):
                if (c, f) == (1, 1):  # fewer images in this camera
                    continue
                number = 1000 + len(images)
                name = f"{r.name}/HMC_{serial}_mono10bit/{frame:06d}.jpg"
                images.append(
                    {
                        "id": number,
                        "file_name": f"ego_images_rectified/{split}/{name}",
                        "width": SIZE[0],
                        "height": SIZE[1],
                        "camera": f"HMC_{serial}",
                        "seq_name": r.name,
                        "frame_idx": int(frame),
                        "license": 1,
                    }
                )
                annotations.append(_annotation(r, f, c, number))
    rng = np.random.default_rng([seed, 99])
    return {
        "info": {"version": 1},
        "images": [images[k] for k in rng.permutation(len(images))],
        "annotations": [annotations[k] for k in rng.permutation(len(annotations))],
        "categories": [{"id": 1, "name": "hand"}],
    }


def _annotation(r: Recording, f: int, c: int, number: int) -> dict:
    R, t = r.extrinsics[f, c][:, :3], r.extrinsics[f, c][:, 3]
    uv = project(r.joints[f] @ R.T + t, r.K)
    seen = (uv >= 0).all(1) & (uv < SIZE).all(1)
    seen[[3, 25]] &= c != 1  # joints that another thing hides
    boxes = {}
    for side, part in (("right", slice(0, 21)), ("left", slice(21, 42))):
        boxes[side] = [*np.round(uv[part].min(0), 2), *np.round(uv[part].max(0), 2)]
    if c == 3:  # the left hand is never in this view
        boxes["left"], seen[21:] = None, False
    if (c, f) == (2, 0):
        boxes["right"] = None  # its joint_valid stays: the other hand's bits do not matter
    valid = [int(v) for v in seen]
    return {
        "id": number + 5000,
        "image_id": number,
        "bbox": boxes,
        "joint_valid": valid if number % 2 else [[v] for v in valid],
        "keypoints": np.concatenate([uv, np.ones((42, 1))], 1).round(3).tolist(),
        "frame_id": f"{r.frames[f]:06d}",
        "iscrowd": 0,
    }


def _calib(r: Recording) -> dict:
    names = [f"HMC_{serial}_mono10bit" for serial in r.cameras]
    extrinsics = {
        f"{frame:06d}": {n: r.extrinsics[f, c].tolist() for c, n in enumerate(names)}
        for f, frame in enumerate(r.frames)
    }
    if r.frames[0] == FIRST_FRAMES[0]:
        del extrinsics[f"{r.frames[WITHOUT_POSE]:06d}"][names[0]]
    extrinsics[f"{r.frames[-1] + 2:06d}"] = {}
    return {"intrinsics": {n: r.K.tolist() for n in names}, "extrinsics": extrinsics}


def _joint_3d(r: Recording, constant: bool) -> dict:
    found = {}
    for f, frame in enumerate(r.frames):
        valid = [int(j != 8 + f) for j in range(42)]  # one joint each frame is not valid in 3D
        joints = np.ones((42, 3)) if constant else r.joints[f]
        entry = {"world_coord": joints.tolist(), "joint_valid": valid}
        if f % 2:
            entry["joint_valid"] = [[v] for v in valid]
        if f == 2:
            del entry["joint_valid"]
        found[f"{frame:06d}"] = entry
    return found


def write_hands2023(root: Path, *, frames: int = 6, private: bool = False) -> list[Recording]:
    """Write the HANDS2023 challenge: no joint_3d (unless `private`), abs_depth, a template."""
    folder, version = "test-iccv2023", "iccv23-v1-3"
    truth = "public" if private else "absent"
    made = write_split(root, "test", frames=frames, folder=folder, version=version, truth=truth)
    stem = f"{root}/annotations/{folder}/assemblyhands_test"
    # The challenge's calibration does not have the toolkit's name.
    Path(f"{stem}_ego_calib_{version}.json").rename(f"{stem}_calib_{version}.json")
    depth = {r.name: {f"{f:06d}": {"right": 400.0, "left": 410.0} for f in r.frames} for r in made}
    _dump(f"{stem}_abs_depth_{version}.json", depth)
    template = root / "annotations" / folder / "template"
    template.mkdir()
    asked = {
        r.name: {f"{f:06d}": {"world_coord": [[-1] * 3] * 42} for f in r.frames[1:]} for r in made
    }
    _dump(
        f"{template}/assemblyhands_test_joint_3d_{version}_pred_template.json",
        {"annotations": asked, "info": {}},
    )
    return made


def write_s2d(root: Path) -> list[Recording]:
    """Write the ECCV 2024 challenge's files: every pose is a constant 1."""
    return write_split(root, "test", folder="test_HANDS2024", truth="constant")


#: Segments of every recording (60-fps start and end, verb, noun): two of them at one time.
SEGMENTS = (
    (169, 223, "pick up", "screwdriver"),
    (169, 223, "clap", "hand"),
    (223, 343, "unscrew", "wheel"),
    (343, 401, "pick up", "wheel"),
    (343, 401, "pick up", "roof"),
    (401, 501, "attempt to screw", "roof"),
    (401, 503, "position screw on", "roof"),
    (503, 521, "put down", "roof"),
    (521, 601, "screw", "wheel"),
    (523, 603, "remove", "wheel"),
    (525, 605, "position", "wheel"),
)
VERBS = {"pick up": 0, "put down": 1, "unscrew": 4, "position": 5, "screw": 6, "remove": 7}
VERBS |= {"position screw on": 8, "clap": 18, "attempt to screw": 22}
NOUNS = ("screwdriver", "hand", "wheel", "roof")


def write_verbs(folder: Path, name: str, sequences: tuple[str, ...], *, fps: int = 60) -> None:
    """Write train, validation or test.csv of Assembly101, in either form."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_segment(s, view, segment, fps) for s in sequences for segment in SEGMENTS
            for view in (("C10095_rgb", "HMC_1") if fps == 30 else ("",))]  # fmt: skip
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for k, row in enumerate(rows):
            row["id"] = k if fps == 30 else f"{k:07d}"
            writer.writerow(row)


def _segment(sequence: str, view: str, segment: tuple, fps: int) -> dict:
    start, end, verb, noun = segment
    numbers = {
        "start_frame": (start, 9),
        "end_frame": (end, 9),
        "action_id": (7, 4),
        "verb_id": (VERBS[verb], 4),
        "noun_id": (NOUNS.index(noun), 4),
    }
    if fps == 30:
        shown = {k: (v - 1) // 2 if "frame" in k else v for k, (v, _) in numbers.items()}
    else:
        shown = {k: f"{v:0{digits}d}" for k, (v, digits) in numbers.items()}
    texts = {"action_cls": f"{verb} {noun}", "verb_cls": verb, "noun_cls": noun}
    texts |= {"toy_id": "a23", "toy_name": "car", "is_shared": 0}
    more = {"is_RGB": int(view.startswith("C"))} if fps == 30 else {}
    video = f"{sequence}/{view}.mp4" if fps == 30 else sequence
    return {"id": 0, "video": video, **shown, **texts, **more}


def write_actions(folder: Path) -> None:
    """Write actions.csv: the verbs and their numbers."""
    rows = [f"{k},{k},{v},0,{name} x,{name},x" for k, (name, v) in enumerate(VERBS.items())]
    head = "id,action_id,verb_id,noun_id,action_cls,verb_cls,noun_cls"
    (folder / "actions.csv").write_text("\n".join([head, *rows, ""]))


def camera_joints(r: Recording, f: int, c: int) -> np.ndarray:
    """True joints of an instant in a camera, official order: X_C = R X_W + t, one at a time."""
    return np.stack([r.extrinsics[f, c] @ [*joint, 1.0] for joint in r.joints[f]])


def edit(path: Path, change) -> None:
    """Change a JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _dump(path: str, content: object) -> None:
    Path(path).write_text(json.dumps(content))
