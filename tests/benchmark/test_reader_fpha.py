"""The reader of FPHA: values by hand, both spellings of folders, contradictions, damaged files."""

import shutil

import numpy as np
import pytest

from benchmark.official.fpha import VIDEOS, write_fpha, write_skeleton
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.classes import FPHA_ACTIONS
from hand_bench.errors import DatasetError
from hand_bench.geometry import camera_to_world, project
from hand_bench.joint_sets import permutation

SPLIT = "data_split_action_recognition.txt"
VIDEO = "Subject_1/open_juice_bottle/1"
#: facts 2.2 and 2.3, written down a second time.
ORDER = [0, 1, 6, 7, 8, 2, 9, 10, 11, 3, 12, 13, 14, 4, 15, 16, 17, 5, 18, 19, 20]
R = np.array(
    [
        [0.999988496304, -0.00468848412856, 0.000982563360594],
        [0.00469115935266, 0.999985218048, -0.00273845880292],
        [-0.000969709653873, 0.00274303671904, 0.99999576807],
    ]
)
T = np.array([25.7, 1.22, 3.902])


@pytest.fixture
def tree(tmp_path, home):
    root = tmp_path / "fpha"
    root.mkdir()
    write_fpha(root)
    return root


def prepare(root, table):
    manifest = data.prepare("fpha", root, split=table)[table]
    opened = Annotations.open(data.folder("fpha", table) / "annotations.parquet")
    (batch,) = opened.batches(SCHEMA.names)
    return manifest, batch


def row_of(batch, sample_id):
    return batch.sample_id.to_pylist().index(sample_id)


def test_the_permutation_is_that_of_the_facts():
    assert permutation("fpha21", "openpose21").tolist() == ORDER


def test_joints_are_in_the_colour_cameras_frame(tmp_path, home):
    truth = write_fpha(tmp_path)[VIDEO]
    _, batch = prepare(tmp_path, "pose-test")
    for frame, world in enumerate(truth):
        row = row_of(batch, f"test/{VIDEO}/{frame:04d}")
        joints = batch["right_joints"][row].astype(float)
        assert np.allclose(joints, world[ORDER] @ R.T + T, atol=1e-4)
        back = camera_to_world(joints, batch["T_world_from_camera"][row])
        assert np.allclose(back, world[ORDER], atol=1e-4)
    assert not batch.given("left_joints").any()


def test_a_point_projects_where_the_readmes_numbers_say(tmp_path, home):
    write_fpha(tmp_path)
    joints = np.tile([10.0, -20.0, 400.0], (9, 21, 1))
    joints[:, 1] = 0, 0, -400  # behind the camera
    joints[:, 2] = 400, 0, 400  # right of the image
    write_skeleton(tmp_path / "Hand_pose_annotation_v1" / VIDEO, joints)
    _, batch = prepare(tmp_path, "pose-test")
    row = row_of(batch, f"test/{VIDEO}/0000")
    x, y, z = R @ [10, -20, 400] + T
    pixel = 935.732544 + 1395.749023 * x / z, 540.681030 + 1395.749268 * y / z
    found = project(batch["right_joints"][row].astype(float), batch["K"][row])
    assert np.allclose(found[0], pixel, atol=1e-3)
    assert batch["right_valid"][row].all()
    assert np.flatnonzero(~batch["right_in_view"][row]).tolist() == [1, 5]  # thumb1, index1


def test_the_other_columns_of_a_frame(tree):
    _, batch = prepare(tree, "pose-test")
    row = row_of(batch, f"test/{VIDEO}/0003")
    names = ("sequence", "subject", "camera", "frame", "image", "width", "height")
    assert [batch[name][row] for name in names] == [
        VIDEO,
        "Subject_1",
        "color",
        3,
        f"Video_files/{VIDEO}/color/color_0003.jpeg",
        1920,
        1080,
    ]
    assert batch["time"][row] == pytest.approx(0.1)
    assert batch["interval"][row] == pytest.approx(1 / 30)
    assert (batch["action"][row], batch["object"][row]) == ("open_juice_bottle", "juice_bottle")
    assert batch["hand_type"][row] == "right" and batch["hand_type_valid"][row]
    assert not batch.given("label").any()
    uv = project(batch["right_joints"][row].astype(float), batch["K"][row])
    box = np.concatenate([uv.min(axis=0), np.ptp(uv, axis=0)])
    assert np.allclose(batch["right_bbox"][row], box, atol=1e-2)


def test_videos_are_as_long_as_subjects_info_says(tree):
    manifest, batch = prepare(tree, "pose-test")
    keys = list(zip(batch["sequence"], batch["frame"], strict=True))
    assert keys == sorted(keys)
    lengths = {video: 5 + k for k, (video, half) in enumerate(VIDEOS) if half == "test"}
    assert {s: sum(t == s for t, _ in keys) for s in lengths} == lengths
    assert manifest["counts"] == {
        "sequences": 3,
        "subjects": 2,
        "samples": 27,
        "frames without joints": 0,
    }
    assert np.isnan(batch["interval"]).sum() == 2 * 3


def test_a_clip_is_a_whole_video(tree):
    manifest, batch = prepare(tree, "action-test")
    assert batch.sample_id.to_pylist() == [
        "test/Subject_1/high_five/3",
        "test/Subject_1/open_juice_bottle/1",
        "test/Subject_2/write/1",
    ]
    assert batch["frame"].tolist() == [0, 0, 0] and batch["end_frame"].tolist() == [9, 8, 7]
    assert batch["label"].tolist() == [44, 0, 25]
    assert batch["action"].tolist() == ["high_five", "open_juice_bottle", "write"]
    assert batch["object"].tolist() == ["five", "juice_bottle", "write"]
    assert manifest["counts"]["frames"] == 27


def test_a_part_of_the_dataset_is_not_complete_and_an_unknown_split_is_told(tree):
    manifests = data.prepare("fpha", tree)
    assert set(manifests) == {"pose-train", "pose-test", "action-train", "action-test"}
    for table, manifest in manifests.items():
        assert not manifest["complete"] and "SHA-256" in manifest["notes"][0]
        assert manifest["expected"]["sequences"] == (575 if "test" in table else 600)


@pytest.mark.parametrize("folder", ["Hand_pose_annotation_v1", "Hand_pose_annotation_v1_1"])
def test_both_names_of_the_skeletons_folder_are_found(tmp_path, home, folder):
    write_fpha(tmp_path, skeletons=folder)
    manifest, _ = prepare(tmp_path, "pose-train")
    assert manifest["counts"]["samples"] == 11


def test_two_folders_of_skeletons_are_told(tree):
    shutil.copytree(tree / "Hand_pose_annotation_v1", tree / "Hand_pose_annotation_v1_1")
    manifest, _ = prepare(tree, "pose-train")
    assert manifest["notes"][-1].endswith("taken from Hand_pose_annotation_v1.")


def test_the_small_images_have_their_own_camera(tmp_path, home):
    full, small = tmp_path / "full", tmp_path / "small"
    for root, images in ((full, "Video_files"), (small, "Video_files_480")):
        root.mkdir()
        write_fpha(root, images=images)
    _, a = prepare(full, "pose-test")
    manifest, b = prepare(small, "pose-test")
    assert b["image"][0].startswith("Video_files_480/Subject_1/high_five/3/color/color_0000.jpeg")
    assert (b["width"][0], b["height"][0]) == (480, 270)
    assert np.allclose(
        b["K"][0][[0, 1, 0, 1], [0, 1, 2, 2]], [348.93725575, 348.937317, 233.933136, 135.1702575]
    )
    assert np.allclose(b["right_bbox"], a["right_bbox"] / 4, atol=1e-3)
    assert any("480x270" in note for note in manifest["notes"])


def test_images_that_are_not_there_are_told(tmp_path, home):
    write_fpha(tmp_path, images=None)
    manifest, batch = prepare(tmp_path, "pose-test")
    assert batch["image"][0].startswith("Video_files/") and batch["width"][0] == 1920
    assert "images are not there for 27 of 27 frames." in manifest["notes"]


def test_an_empty_skeleton_file_gives_null_joints(tmp_path, home):
    write_fpha(tmp_path, empty=(VIDEO,))
    manifest, batch = prepare(tmp_path, "pose-test")
    lacking = batch["sequence"] == VIDEO
    assert np.array_equal(~batch.present("right"), lacking)
    assert not batch["right_valid"][lacking].any() and not batch.given("right_bbox")[lacking].any()
    assert manifest["counts"]["frames without joints"] == lacking.sum() == 9


def test_skeleton_rows_beyond_the_video_are_left_out_and_told(tree):
    write_skeleton(tree / "Hand_pose_annotation_v1" / VIDEO, np.full((20, 21, 3), 300.0))
    manifest, batch = prepare(tree, "pose-test")
    assert (batch["sequence"] == VIDEO).sum() == 9
    assert "has rows beyond the last frame" in manifest["notes"][-1]


def test_without_object_names_there_are_none(tree):
    (tree / "action_object_info.txt").unlink()
    manifest, batch = prepare(tree, "action-test")
    assert not batch.given("object").any() and batch.given("action").all()
    assert any("action_object_info.txt was not found" in note for note in manifest["notes"])


def test_a_header_of_subjects_info_that_is_off_is_told(tree):
    edit(tree / "Subjects_info/Subject_1_info.txt", "videos: 3", "videos: 4")
    manifest, _ = prepare(tree, "action-test")
    said = "Subject_1_info.txt says 'Number of videos: 4'; its rows have 3 videos."
    assert said in manifest["notes"]


def test_clips_need_no_skeletons(tree):
    shutil.rmtree(tree / "Hand_pose_annotation_v1")
    assert set(data.prepare("fpha", tree)) == {"action-train", "action-test"}
    with pytest.raises(DatasetError, match=r"HB202 .*no skeletons[\s\S]*annotation_v1_1"):
        data.prepare("fpha", tree, split="pose-test")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def skeleton(root):
    return root / "Hand_pose_annotation_v1" / VIDEO / "skeleton.txt"


def reshape_rows(root, rows, numbers=64):
    path = skeleton(root)
    lines = path.read_text().splitlines()[:rows]
    path.write_text("\n".join(" ".join(line.split()[:numbers]) for line in lines) + "\n")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda r: (r / SPLIT).unlink(), r"HB202 .*holds no data_split_action"),
        (lambda r: edit(r / SPLIT, "Training 2\n", ""), "HB203 .*line 1 is 'Subject_2/write/2 25'"),
        (lambda r: edit(r / SPLIT, "Test 3", "Test"), "HB203 .*line 4 is 'Test'"),
        (lambda r: (r / SPLIT).write_text("Training 0\n"), "HB203 .*has not both parts"),
        (
            lambda r: edit(r / SPLIT, "Test 3", "Test 4"),
            "HB204 .*announces 4 test videos and lists 3",
        ),
        (
            lambda r: edit(r / SPLIT, f"{VIDEO} 0", f"{VIDEO} 1"),
            r"HB204 .*line 6: .* label 1; .* is 0",
        ),
        (
            lambda r: edit(r / SPLIT, "write/1", "draw/1"),
            "HB204 .*line 5: there is no action 'draw'",
        ),
        (
            lambda r: edit(r / SPLIT, "write/1", "write/2"),
            "HB204 .*line 5: .*write/2 is listed twice",
        ),
        (
            lambda r: edit(r / SPLIT, "write/1", "write/7"),
            "HB204 .*1 videos that Subjects_info does",
        ),
        (
            lambda r: (r / "Subjects_info/Subject_2_info.txt").unlink(),
            "HB202 .*lacks 1 files of Subjects_info[\\s\\S]*Subject_2_info",
        ),
        (
            lambda r: edit(r / "Subjects_info/Subject_2_info.txt", "write", "write it"),
            "HB203 .*row 4 is 'write it 2",
        ),
        (
            lambda r: edit(
                r / "Subjects_info/Subject_1_info.txt",
                "high_five",
                "open_juice_bottle 1 3\nhigh_five",
            ),
            "HB204 .*gives Subject_1/open_juice_bottle/1 9 and 3 frames",
        ),
        (
            lambda r: edit(r / "action_object_info.txt", "2  close", "3  close"),
            "HB204 .*row 2 is 3 close",
        ),
        (
            lambda r: edit(r / "action_object_info.txt", " office", ""),
            "HB203 .*row 1 is '1  open_juice",
        ),
        (
            lambda r: edit(r / "action_object_info.txt", "45  high_five five   no  office\n", ""),
            "HB204 .*has 44 actions, not 45",
        ),
        (lambda r: skeleton(r).unlink(), r"HB204 .*open_juice_bottle/1/skeleton\.txt is not there"),
        (lambda r: reshape_rows(r, 8), r"HB204 .*bottle/1: 9 frames, but 8 rows"),
        (lambda r: reshape_rows(r, 9, 63), "HB203 .*holds 567 numbers, not rows of 64"),
        (lambda r: edit(skeleton(r), "\n1 ", "\n2 "), "HB203 .*row 1 is of frame 2"),
        (lambda r: edit(skeleton(r), "\n1 ", "\none "), "HB203 .*something else than numbers"),
        (
            lambda r: write_skeleton(skeleton(r).parent, np.full((9, 21, 3), np.nan)),
            "HB203 .*not finite",
        ),
        (lambda r: (r / SPLIT).write_bytes(b"\xff\xfe\xff"), "HB203 .*is not plain text"),
    ],
)
def test_damaged_files_and_contradictions_are_named(tree, break_it, message):
    break_it(tree)
    with pytest.raises(DatasetError, match=message):
        data.prepare("fpha", tree, split="pose-test")
    assert not (data.folder("fpha", "pose-test") / "annotations.parquet").exists()


def test_all_contradictions_of_a_file_are_shown_at_once(tree):
    edit(tree / SPLIT, "write/1 25", "write/1 24")
    edit(tree / SPLIT, f"{VIDEO} 0", f"{VIDEO} 1")
    with pytest.raises(DatasetError) as error:
        data.prepare("fpha", tree, split="action-test")
    assert [p.code for p in error.value.problems] == ["HB204", "HB204"]


def test_the_class_names_are_those_of_the_facts():
    some = {0: "open_juice_bottle", 9: "stir", 13: "drink_mug", 25: "write", 33: "light_candle"}
    some |= {20: "flip_sponge", 29: "take_letter_from_enveloppe", 40: "give_card", 44: "high_five"}
    assert len(set(FPHA_ACTIONS)) == 45
    assert {k: FPHA_ACTIONS[k] for k in some} == some
