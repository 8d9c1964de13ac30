"""The skeleton world: hands like human ones, and files like the official ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from hand_bench.geometry import camera_pose, project, world_to_camera
from hand_bench.skeleton_files import PARENTS, bounding_boxes
from hand_bench.skeleton_world import (
    SkeletonWorld,
    official_size_world,
    pose_hand,
    write_interhand26m,
)

WORLD = SkeletonWorld(captures=3, sequences=4, cameras=4, frames=12, human_captures=1)
CHILDREN = np.array([j for j in range(42) if PARENTS[j] >= 0])


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("interhand26m")
    write_interhand26m(root, WORLD)
    return root


def load(root: Path, kind: str, folder: str = "test"):
    return json.loads((root / f"annotations/{folder}/InterHand2.6M_test_{kind}.json").read_text())


def joined(root: Path, folder: str = "test") -> dict[int, tuple[dict, dict]]:
    data = load(root, "data", folder)
    images = {image["id"]: image for image in data["images"]}
    return {a["image_id"]: (images[a["image_id"]], a) for a in data["annotations"]}


def projected(camera: dict, name: str, world_coord: list) -> np.ndarray:
    pose = camera_pose(np.array(camera["camrot"][name]), np.array(camera["campos"][name]))
    K = np.diag([*camera["focal"][name], 1.0])
    K[:2, 2] = camera["princpt"][name]
    return project(world_to_camera(np.array(world_coord, float), pose), K)


def palmar_side(hand: np.ndarray) -> np.ndarray:
    """Thumb direction x finger direction: out of the palm of a right hand, into that of a left."""
    return np.cross(hand[..., 7, :] - hand[..., 19, :], hand[..., 11, :] - hand[..., 20, :])


def test_bones_keep_their_length_within_a_subject():
    world = SkeletonWorld(captures=2, subjects=1, sequences=8)
    lengths = []
    for take in world.takes():
        joints = world.joints(take)
        bones = joints[:, CHILDREN] - joints[:, np.array(PARENTS)[CHILDREN]]
        lengths.append(np.linalg.norm(bones, axis=-1))
    lengths = np.concatenate(lengths)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-3)
    np.testing.assert_allclose(lengths[:, :20], lengths[:, 20:], atol=1e-3)


@pytest.mark.parametrize("subject", range(0, 30, 3))
def test_hands_have_adult_sizes(subject):
    palm, bones = SkeletonWorld().bones(subject)
    knuckle = np.linalg.norm(palm[2])
    assert 80 < knuckle < 100
    assert 170 < knuckle + bones[2].sum() < 195


def test_left_is_the_mirror_image_of_right():
    world = SkeletonWorld(captures=2, sequences=12)
    for take in world.takes():
        joints = world.joints(take)
        for hand, sign in ((joints[:, :21], 1), (joints[:, 21:], -1)):
            tips, knuckles = hand[:, [4, 8, 12, 16]], hand[:, [7, 11, 15, 19]]
            bent = (tips - knuckles).mean(1)
            side = sign * np.sum(bent * palmar_side(hand), axis=-1)
            assert (side > 0).all(), (take.name, sign)


def test_fingers_bend_towards_the_palm_and_the_thumb_stays_on_its_side():
    bones = SkeletonWorld().bones(0)
    straight = pose_hand(np.zeros((1, 5, 3)), np.zeros((1, 5)), bones)[0]
    bent = pose_hand(np.full((1, 5, 3), 0.7), np.zeros((1, 5)), bones)[0]
    assert straight[0, 0] > straight[4, 0] > straight[16, 0]
    assert (bent[[0, 4, 8, 12, 16], 2] > straight[[0, 4, 8, 12, 16], 2] + 15).all()


def test_two_hands_are_close_and_move_smoothly():
    world = SkeletonWorld(captures=4, sequences=10)
    for take in world.takes():
        joints = world.joints(take)
        seconds = np.diff(take.frames)[:, None] / 30
        assert (np.linalg.norm(np.diff(joints, axis=0), axis=-1) / seconds < 1500).all()
        if take.hand_type == "interacting":
            right, left = (joints[:, [a, b]].mean(1) for a, b in ((20, 11), (41, 32)))
            distance = np.linalg.norm(right - left, axis=-1)
            assert distance.min() > 60 and distance.max() < 200


def test_most_joints_are_inside_the_image(tree):
    for hand_type, joints in (("right", 21), ("left", 21), ("interacting", 42)):
        shown = [a["joint_valid"] for _, a in joined(tree).values() if a["hand_type"] == hand_type]
        assert 0.9 < np.sum(shown) / (len(shown) * joints) < 1


def test_without_truncation_every_annotated_joint_is_valid(tmp_path):
    write_interhand26m(tmp_path, WORLD, truncation=False)
    joint_3d = load(tmp_path, "joint_3d")
    for image, annotation in joined(tmp_path).values():
        frame = joint_3d[str(image["capture"])][str(image["frame_idx"])]
        assert np.array_equal(annotation["joint_valid"], frame["joint_valid"])


def test_keys_and_types_are_the_official_ones(tree):
    data, joint_3d = load(tree, "data"), load(tree, "joint_3d")
    image, annotation = data["images"][0], data["annotations"][0]
    keys = "id file_name width height capture subject seq_name camera frame_idx"
    assert " ".join(image) == keys
    assert " ".join(annotation) == "id image_id bbox joint_valid hand_type hand_type_valid"
    folder = f"Capture{image['capture']}/{image['seq_name']}/cam{image['camera']}"
    assert image["file_name"] == f"{folder}/image{image['frame_idx']}.jpg"
    assert isinstance(image["camera"], str) and annotation["joint_valid"][0] in ([0], [1])
    frame = joint_3d[str(image["capture"])][str(image["frame_idx"])]
    assert " ".join(frame) == "world_coord joint_valid hand_type hand_type_valid seq"
    assert frame["joint_valid"][0][0] in (True, False) and len(frame["world_coord"]) == 42
    assert set(load(tree, "camera")["0"]) == {"campos", "camrot", "focal", "princpt"}
    skeleton = (tree / "annotations/skeleton.txt").read_text().splitlines()
    assert skeleton[1] == "r_thumb4 0 1" and skeleton[42] == "l_wrist 41 -1"


def test_only_the_join_by_image_id_fits_the_geometry(tree):
    data, cameras, joint_3d = (load(tree, kind) for kind in ("data", "camera", "joint_3d"))
    pairs = list(joined(tree).values())
    assert len(pairs) == len(data["images"]) == len(data["annotations"])
    assert all(image["id"] != annotation["id"] for image, annotation in pairs)
    for image, annotation in pairs:
        capture = str(image["capture"])
        frame = joint_3d[capture][str(image["frame_idx"])]
        joints_2d = projected(cameras[capture], image["camera"], frame["world_coord"])
        inside = ((joints_2d >= 0) & (joints_2d < [image["width"], image["height"]])).all(1)
        valid = np.array(annotation["joint_valid"])[:, 0] == 1
        assert np.array_equal(valid, inside & np.array(frame["joint_valid"])[:, 0])
        tight = joints_2d[valid]
        low, size = tight.min(0), np.ptp(tight, axis=0)
        box = [*(low - 0.1 * size), *(1.2 * size)]
        np.testing.assert_allclose(annotation["bbox"], box, atol=1e-4)


def test_a_box_is_a_fifth_larger_than_the_joints_and_zero_without_any():
    joints_2d = np.array([[[10.0, 20], [30, 60], [500, 500]]] * 2)
    boxes = bounding_boxes(joints_2d, np.array([[True, True, False], [False] * 3]))
    np.testing.assert_allclose(boxes, [[8, 16, 24, 48], [0, 0, 0, 0]])


def test_cameras_are_rotations_about_a_metre_from_the_hands(tree):
    cameras, joint_3d = load(tree, "camera")["0"], load(tree, "joint_3d")["0"]
    frame = next(f for f in joint_3d.values() if f["hand_type"] == "right")
    for name, rotation in cameras["camrot"].items():
        assert np.linalg.det(rotation) == pytest.approx(1)
        distance = np.subtract(frame["world_coord"][11], cameras["campos"][name])
        assert 800 < np.linalg.norm(distance) < 1300


def test_unannotated_joints_hold_the_placeholder(tree):
    hidden = 0
    for frames in load(tree, "joint_3d").values():
        for frame in frames.values():
            valid = np.array(frame["joint_valid"])[:, 0]
            assert (np.array(frame["world_coord"])[~valid] == 1).all()
            absent = {"right": slice(21, 42), "left": slice(0, 21)}.get(frame["hand_type"])
            if absent is None:
                hidden += not (valid[:21].any() and valid[21:].any())
                assert frame["hand_type_valid"] == (valid.sum() > 30)
            else:
                assert not valid[absent].any() and frame["hand_type_valid"]
    assert hidden > 0


def test_frames_are_unique_in_a_capture_and_some_are_missing(tree):
    takes = WORLD.takes()
    for capture in range(WORLD.captures):
        frames = np.concatenate([take.frames for take in takes if take.capture == capture])
        assert (np.diff(frames) > 0).all() and (np.diff(frames) % 6 == 0).mean() > 0.8
        assert len(load(tree, "joint_3d")[str(capture)]) == len(frames)
    assert sum(len(take.frames) for take in takes) < WORLD.captures * WORLD.sequences * WORLD.frames


def test_human_annotation_ids_are_those_of_the_human_captures(tree):
    ids = (tree / "annotations/aid_human_annot_test.txt").read_text().split()
    human = {a["id"] for image, a in joined(tree).values() if image["capture"] == 2}
    assert set(map(int, ids)) == human and len(ids) == len(human)


def test_both_layouts_hold_the_same_samples(tree, tmp_path):
    write_interhand26m(tmp_path, WORLD, layout="v0.0")
    assert joined(tree) == joined(tmp_path, "all")
    parts = joined(tmp_path, "human_annot") | joined(tmp_path, "machine_annot")
    assert parts == joined(tree)
    bare = load(tmp_path, "joint_3d", "all")
    for capture, frames in load(tree, "joint_3d").items():
        assert bare[capture] == {frame: entry["world_coord"] for frame, entry in frames.items()}


def test_validation_has_no_human_annotation(tmp_path):
    summary = write_interhand26m(tmp_path, WORLD, split="val", layout="v0.0")
    assert summary["human"] == 0
    assert [p.name for p in (tmp_path / "annotations").iterdir() if p.is_dir()] == ["machine_annot"]


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    pytest.importorskip("PIL")
    small = {"captures": 1, "sequences": 3, "cameras": 2, "frames": 3}
    trees = []
    for name, seed in (("once", 0), ("again", 0), ("other", 1)):
        root = tmp_path / name
        write_interhand26m(root, SkeletonWorld(**small, seed=seed), images="all")
        files = (path for path in root.rglob("*") if path.is_file())
        trees.append({path.relative_to(root): path.read_bytes() for path in files})
    once, again, other = trees
    assert once == again != other


def test_drawn_images_are_where_and_what_the_annotations_say(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    world = SkeletonWorld(captures=1, sequences=3, cameras=4, frames=11)
    summary = write_interhand26m(tmp_path, world, images="sparse")
    drawn = 0
    for image, _ in joined(tmp_path).values():
        path = tmp_path / "images/test" / image["file_name"]
        if path.exists():
            drawn += 1
            pixels = np.asarray(image_module.open(path))
            assert pixels.shape == (image["height"], image["width"], 3)
            grey = (pixels == pixels[..., :1]).all()
            assert grey == image["camera"].startswith("41")
    assert drawn == summary["drawn"] > 0


def test_the_summary_counts_what_was_written(tree):
    data, counts = load(tree, "data"), WORLD.counts()
    interacting = sum(a["hand_type"] == "interacting" for a in data["annotations"])
    assert (counts["images"], counts["IH"]) == (len(data["images"]), interacting)
    assert counts["SH"] + counts["IH"] == counts["images"]
    assert (counts["captures"], counts["sequences"], counts["subjects"]) == (3, 12, 3)


def test_official_size_is_exact_without_writing_anything():
    world = official_size_world()
    counts = world.counts("test")
    assert (counts["images"], counts["SH"], counts["IH"]) == (849_160, 488_968, 360_192)
    assert counts["captures"] == 8
    human = [take for take in world.takes("test") if take.human]
    assert sum(take.images for take in human) == 121_573
    assert sum(take.images for take in human if take.hand_type == "interacting") == 87_908


@pytest.mark.parametrize("option", ["split", "layout", "images"])
def test_unknown_options_name_the_known_ones(tmp_path, option):
    with pytest.raises(ValueError, match=f"{option} must be one of"):
        write_interhand26m(tmp_path, WORLD, **{option: "nonsense"})
    assert not list(tmp_path.iterdir())


def test_worlds_that_cannot_exist_are_refused():
    with pytest.raises(ValueError, match="hand_types"):
        SkeletonWorld(hand_types=("both",))
    with pytest.raises(ValueError, match="no hand type gives"):
        SkeletonWorld(captures=1, hand_types=("left",), capture_images=((5, 5),))
