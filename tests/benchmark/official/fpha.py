"""Writes trees in FPHA's official layout (facts/htt-h2o-fpha.md sections 2.1 to 2.7), made up.

The ugly cases are there: irregular spaces in Subjects_info, a video that is in neither half, a
skeleton file that is empty if asked, a split in another order than the names.
"""

from pathlib import Path

import numpy as np

from hand_bench.classes import FPHA_ACTIONS

#: (video, half or None) in the order of the split file.
VIDEOS = (
    ("Subject_2/write/2", "train"),
    ("Subject_1/open_juice_bottle/2", "train"),
    ("Subject_2/flip_sponge/2", None),
    ("Subject_2/write/1", "test"),
    ("Subject_1/open_juice_bottle/1", "test"),
    ("Subject_1/high_five/3", "test"),
)


def write_fpha(
    root: Path,
    *,
    frames: int = 5,
    skeletons: str = "Hand_pose_annotation_v1",
    images: str | None = "Video_files",
    empty: tuple[str, ...] = (),
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Write a tree; return the joints (frames, 21, 3) of every video as its file has them.

    The k-th video has `frames` + k frames; `empty` videos have an empty skeleton file.
    """
    rng = np.random.default_rng(seed)
    truth = {}
    for k, (video, _) in enumerate(VIDEOS):
        centre = rng.normal([0, 0, 400], [60, 40, 30])
        truth[video] = centre + rng.normal(0, 25, (frames + k, 21, 3))
        write_skeleton(root / skeletons / video, truth[video][: 0 if video in empty else None])
        if images:
            colour = root / images / video / "color"
            colour.mkdir(parents=True, exist_ok=True)
            for number in range(frames + k):
                (colour / f"color_{number:04d}.jpeg").touch()
    _write_split(root)
    _write_info(root, {video: len(joints) for video, joints in truth.items()})
    _write_objects(root)
    return truth


def write_skeleton(folder: Path, joints: np.ndarray) -> None:
    """Write a video's skeleton.txt: frame number and 63 numbers per row."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        " ".join([str(t), *(repr(v) for v in row.ravel().tolist())]) for t, row in enumerate(joints)
    ]
    (folder / "skeleton.txt").write_text("".join(f"{row}\n" for row in rows))


def _write_split(root: Path) -> None:
    lines = []
    for half, title in (("train", "Training"), ("test", "Test")):
        videos = [video for video, h in VIDEOS if h == half]
        labels = [FPHA_ACTIONS.index(video.split("/")[1]) for video in videos]
        lines.append(f"{title} {len(videos)}")
        lines += [f"{video} {label}" for video, label in zip(videos, labels, strict=True)]
    (root / "data_split_action_recognition.txt").write_text("\n".join(lines) + "\n")


def _write_info(root: Path, lengths: dict[str, int]) -> None:
    (root / "Subjects_info").mkdir(exist_ok=True)
    for subject in sorted({video.split("/")[0] for video in lengths}):
        rows = {v: n for v, n in lengths.items() if v.startswith(f"{subject}/")}
        lines = [f"Number of videos: {len(rows)}", f"Number of frames: {sum(rows.values())}"]
        lines.append("name_action num_instance num_frames")
        for k, (video, number) in enumerate(rows.items()):
            _, action, instance = video.split("/")
            lines.append(f"{action}{' ' * (1 + 3 * k)}{instance}   {number} ")
        (root / "Subjects_info" / f"{subject}_info.txt").write_text("\n".join(lines) + "\n")


def _write_objects(root: Path) -> None:
    lines = ["index  action  object  object_pose  scenario"]
    for k, action in enumerate(FPHA_ACTIONS, 1):
        thing = action.split("_", 1)[-1]
        lines.append(f"{k}  {action} {thing}   no  office")
    (root / "action_object_info.txt").write_text("\n".join(lines) + "\n")
