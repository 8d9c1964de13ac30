"""Writes trees in H2O's official layout (facts/htt-h2o-fpha.md sections 1.2, 1.3 and 1.5), made up.

The ugly cases are there: double and trailing spaces, a hand with flag 0 that still has numbers, a
frame without an object, a train frame that is in a segment but not in the pose list (and has no
files), lists in another order than the sequences' names, six columns in the test list.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

SEQUENCES = {
    "train": ("subject3/k1/2", "subject1/h1/0"),
    "val": ("subject3/o1/1",),
    "test": ("subject4/k2/3", "subject4/h1/0"),
}
CAMERA = (636.6593017578125, 636.251953125, 635.283881879317, 366.8740353496978, 1280, 720)
KINDS = ("hand_pose", "hand_pose_mano", "cam_pose", "obj_pose", "action_label", "rgb")


@dataclass
class Frame:
    """What the files of a frame hold: metres, left hand first, as in the files."""

    hands: np.ndarray  # (2, 64): flag, 21 x 3
    mano: np.ndarray  # (2, 62): flag, translation, rotations, shape
    pose: np.ndarray  # (4, 4) camera to world
    thing: np.ndarray  # (64,): id, 21 x 3


def write_h2o(
    root: Path,
    *,
    frames: int = 12,
    folder: str = "{0}",
    lists: dict[str, str] | None = None,
    kinds: tuple[str, ...] = KINDS,
    mano: str = "hand_pose_mano",
    labels: bool = False,
    seed: int = 0,
) -> dict[str, Frame]:
    """Write lists and annotation files; return the truth by "subject4/h1/0/000002".

    `folder` is where a subject's scenes are, e.g. "{0}_pose_v1_1/{0}"; `lists` maps "pose" and
    "action" to their folders; `labels` adds the private seventh column to the test list.
    """
    rng = np.random.default_rng(seed)
    places = lists or {"pose": "label_split", "action": "label_split"}
    truth = {}
    for split, sequences in SEQUENCES.items():
        segments = [s for sequence in sequences for s in _segments(sequence, frames, rng)]
        write_lists(root, split, segments, frames, places, labels)
        for sequence in sequences:
            subject, rest = sequence.split("/", 1)
            camera = root / folder.format(subject) / rest / "cam4"
            for number in range(frames - (split == "train")):
                frame = _frame(rng, number)
                truth[f"{sequence}/{number:06d}"] = frame
                _write_frame(camera, number, frame, kinds, mano)
            _write_labels(camera, [s for s in segments if s[0] == sequence], kinds)
            (camera / "cam_intrinsics.txt").write_text(" ".join(map(str, CAMERA)) + " \n")
    return truth


def _segments(sequence: str, frames: int, rng: np.random.Generator) -> list[tuple]:
    """(sequence, official label, first, last frame): two, with a gap between them."""
    middle = frames // 2
    spans = ((1, middle - 1), (middle + 1, frames - 1))
    return [(sequence, int(rng.integers(1, 37)), *span) for span in spans]


def write_lists(
    root: Path, split: str, segments: list[tuple], frames: int, places: dict, labels: bool = False
) -> None:
    """Write action and pose list of a split: the pose list is the union of the segments."""
    for place in places.values():
        (root / place).mkdir(parents=True, exist_ok=True)
    named = split != "test" or labels
    header = "id path action_label start_act end_act start_frame end_frame"
    rows = [header if named else header.replace(" action_label", "")]
    listed = []
    for k, (sequence, label, start, end) in enumerate(segments, 1):
        middle = f"{label} " if named else ""
        rows.append(f"{k} {sequence} {middle}{start} {end} 0 {frames - 1}")
        # In train the last frame of a sequence is not listed and has no files.
        stop = end - (split == "train" and end == frames - 1)
        listed += [f"{sequence}/cam4/rgb/{n:06d}.png" for n in range(start, stop + 1)]
    if split != "test":
        listed.sort()
    (root / places["action"] / f"action_{split}.txt").write_text("\n".join(rows) + "\n")
    (root / places["pose"] / f"pose_{split}.txt").write_text("\n".join(listed) + "\n")


def _frame(rng: np.random.Generator, number: int) -> Frame:
    hands, mano = np.ones((2, 64)), rng.normal(0, 0.3, (2, 62))
    for side, centre in enumerate((-0.1, 0.1)):
        hands[side, 1:] = rng.normal([centre, 0.02, 0.4], 0.03, (21, 3)).ravel()
    mano[:, 0] = 1
    if number % 5 == 2:
        hands[0, 0] = mano[0, 0] = 0
    thing = np.concatenate([[number % 9], rng.normal(0, 0.1, 63)])
    return Frame(hands, mano, _pose(rng), thing)


def _pose(rng: np.random.Generator) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    pose[:3, 3] = rng.normal(size=3)
    return pose


def _write_frame(camera: Path, number: int, frame: Frame, kinds: tuple, mano: str) -> None:
    values = {
        "hand_pose": frame.hands,
        "hand_pose_mano": frame.mano,
        "cam_pose": frame.pose,
        "obj_pose": frame.thing,
    }
    for kind in values.keys() & set(kinds):
        folder = camera / (mano if kind == "hand_pose_mano" else kind)
        write_numbers(folder / f"{number:06d}.txt", values[kind], ugly=number % 2 == 1)
    if "rgb" in kinds:
        (camera / "rgb").mkdir(parents=True, exist_ok=True)
        (camera / "rgb" / f"{number:06d}.png").touch()


def write_numbers(path: Path, values: np.ndarray, *, ugly: bool = False) -> None:
    """Write one line of numbers, with double and trailing spaces if `ugly`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [f"{v:g}" if float(v).is_integer() else repr(v) for v in np.ravel(values).tolist()]
    path.write_text(("  " if ugly else " ").join(texts) + (" \n" if ugly else ""))


def _write_labels(camera: Path, segments: list[tuple], kinds: tuple) -> None:
    if "action_label" in kinds and not camera.match("subject4*/**"):
        for _, label, start, end in segments:
            for number in range(start, end + 1):
                write_numbers(camera / "action_label" / f"{number:06d}.txt", np.array([label]))
