"""The reader of H2O: values by hand, every layout of a tree, damaged files, the real lists."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.official.h2o import CAMERA, SEQUENCES, write_h2o, write_numbers
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.classes import H2O_ACTIONS, H2O_OBJECTS, H2O_VERBS
from hand_bench.errors import DatasetError
from hand_bench.geometry import camera_to_world
from hand_bench.readers.h2o_actions import ACTION_VERB

LISTS = Path(__file__).resolve().parents[3] / "shared/real/h2o/label_split"
CAM4 = "subject4/h1/0/cam4"


@pytest.fixture
def tree(tmp_path, home):
    root = tmp_path / "h2o"
    write_h2o(root)
    return root


def prepare(root, table):
    manifest = data.prepare("h2o", root, split=table)[table]
    opened = Annotations.open(data.folder("h2o", table) / "annotations.parquet")
    (batch,) = opened.batches(SCHEMA.names)
    return manifest, batch


def row_of(batch, sample_id):
    return batch.sample_id.to_pylist().index(sample_id)


def test_joints_are_millimetres_of_the_cameras_frame_right_hand_first(tmp_path, home):
    truth = write_h2o(tmp_path)["subject4/h1/0/000003"]
    _, batch = prepare(tmp_path, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000003")
    for side, k in (("left", 0), ("right", 1)):
        assert np.allclose(batch[f"{side}_joints"][row].ravel(), 1000 * truth.hands[k, 1:])
        assert batch[f"{side}_valid"][row].all() and batch[f"{side}_in_view"][row].all()
    assert batch["right_joints"][row, :, 0].mean() > 0 > batch["left_joints"][row, :, 0].mean()


def test_the_other_columns_of_a_frame(tree):
    _, batch = prepare(tree, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000003")
    found = {
        name: batch[name][row]
        for name in ("sequence", "subject", "camera", "frame", "image", "width", "height")
    }
    assert found == {
        "sequence": "subject4/h1/0",
        "subject": "subject4",
        "camera": "cam4",
        "frame": 3,
        "image": f"{CAM4}/rgb/000003.png",
        "width": 1280,
        "height": 720,
    }
    assert batch["time"][row] == pytest.approx(0.1)
    assert batch["interval"][row] == pytest.approx(1 / 30)
    assert (batch["object"][row], batch["hand_type"][row]) == ("lotion", "interacting")
    fx, fy, cx, cy = CAMERA[:4]
    assert np.array_equal(batch["K"][row], [[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def test_the_camera_pose_maps_camera_to_world_in_millimetres(tmp_path, home):
    truth = write_h2o(tmp_path)["subject4/h1/0/000004"]
    _, batch = prepare(tmp_path, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000004")
    metres = truth.hands[1, 1:].reshape(21, 3)
    world = metres @ truth.pose[:3, :3].T + truth.pose[:3, 3]
    joints = batch["right_joints"][row].astype(float)
    assert np.allclose(camera_to_world(joints, batch["T_world_from_camera"][row]), 1000 * world)


@pytest.mark.parametrize("spelling", ["hand_pose_mano", "hand_pose_MANO"])
def test_mano_has_62_numbers_per_hand(tmp_path, home, spelling):
    truth = write_h2o(tmp_path, mano=spelling)["subject4/h1/0/000003"]
    manifest, batch = prepare(tmp_path, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000003")
    for side, k in (("left", 0), ("right", 1)):
        mano = batch[f"{side}_mano"][row]
        assert np.allclose(mano[:58], truth.mano[k, 4:])  # rotations and shape
        assert np.allclose(mano[58:], 1000 * truth.mano[k, 1:4])  # translation, mm
    assert manifest["counts"]["right hands with MANO parameters"] == len(batch)
    assert 0 < manifest["counts"]["left hands with MANO parameters"] < len(batch)


def test_a_hand_with_flag_0_keeps_its_joints_but_none_is_valid(tmp_path, home):
    truth = write_h2o(tmp_path)["subject4/h1/0/000002"]
    manifest, batch = prepare(tmp_path, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000002")
    assert truth.hands[0, 0] == 0
    assert np.allclose(batch["left_joints"][row].ravel(), 1000 * truth.hands[0, 1:])
    assert not batch["left_valid"][row].any() and not batch["left_in_view"][row].any()
    assert not batch.given("left_bbox")[row] and not batch.given("left_mano")[row]
    assert batch["hand_type"][row] == "right" and batch["hand_type_valid"][row]
    assert manifest["counts"]["hands with flag 0"] == (~batch["left_valid"]).all(axis=1).sum() == 4


def test_a_frame_without_any_flag_has_no_hand_type(tree):
    write_numbers(tree / CAM4 / "hand_pose/000003.txt", np.zeros(128))
    _, batch = prepare(tree, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000003")
    assert batch["hand_type"][row] is None and not batch["hand_type_valid"][row]
    assert batch.present("right")[row] and (batch["right_joints"][row] == 0).all()


def test_zeros_under_flag_1_are_not_valid_and_are_told(tree):
    write_numbers(tree / CAM4 / "hand_pose/000003.txt", np.tile(np.eye(1, 64), 2))
    manifest, batch = prepare(tree, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000003")
    assert not batch["right_valid"][row].any() and batch["hand_type"][row] == "interacting"
    assert any("1 right hands have flag 1 and nothing but zeros" in n for n in manifest["notes"])


def test_numbers_of_a_hand_with_flag_0_may_be_anything(tree):
    values = np.where(np.arange(128) < 64, np.nan, 0.4)
    values[[0, 64]] = 0, 1
    write_numbers(tree / CAM4 / "hand_pose/000003.txt", values)
    manifest, batch = prepare(tree, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000003")
    assert not batch.present("left")[row] and batch.present("right")[row]
    assert "1 left hands with flag 0 hold no finite numbers: null." in manifest["notes"]


def test_in_view_and_boxes_stop_at_the_edge_of_the_image(tree):
    hands = np.tile([0.0, 0.0, 0.5], 42).reshape(2, 21, 3)
    hands[1, 0] = -0.1, -0.1, 0.5
    hands[1, 1] = -0.6, 0.0, 0.5  # left of the image
    hands[1, 2] = 0.1, 0.1, -0.5  # behind the camera
    flagged = np.concatenate([np.ones((2, 1)), hands.reshape(2, 63)], axis=1)
    write_numbers(tree / CAM4 / "hand_pose/000003.txt", flagged)
    _, batch = prepare(tree, "pose-test")
    row = row_of(batch, "test/subject4/h1/0/cam4/000003")
    assert batch["right_valid"][row].all()
    assert np.flatnonzero(~batch["right_in_view"][row]).tolist() == [1, 2]
    _, fy, cx, cy = CAMERA[:4]
    top = -0.2 * fy + cy
    assert np.allclose(batch["right_bbox"][row], [0, top, cx, cy - top])
    assert not batch.given("left_bbox")[row]  # a point is no box


def test_rows_are_sorted_and_intervals_stop_at_gaps(tree):
    _, batch = prepare(tree, "pose-test")
    keys = list(zip(batch["sequence"], batch["frame"], strict=True))
    assert keys == sorted(keys) and len(set(batch["sequence"])) == 2
    first = [f for s, f in keys if s == "subject4/h1/0"]
    assert first == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert np.flatnonzero(np.isnan(batch["interval"][:10])).tolist() == [0, 1, 5, 6]


@pytest.mark.parametrize("table", ["train", "val", "test"])
def test_a_frames_action_is_that_of_its_segment_but_not_in_test(tree, table):
    _, frames = prepare(tree, f"pose-{table}")
    _, clips = prepare(tree, f"action-{table}")
    if table == "test":
        assert not frames.given("action").any() and not clips.given("action").any()
        assert not clips.given("label").any() and not clips.given("object").any()
        return
    for sequence, frame, action in zip(
        frames["sequence"], frames["frame"], frames["action"], strict=True
    ):
        (k,) = np.flatnonzero(
            (clips["sequence"] == sequence)
            & (clips["frame"] <= frame)
            & (frame <= clips["end_frame"])
        )
        assert action == clips["action"][k] == H2O_ACTIONS[clips["label"][k]]


def test_clips_have_inclusive_frames_and_official_ids(tree):
    manifest, batch = prepare(tree, "action-test")
    assert batch.sample_id.to_pylist() == [
        "test/subject4/h1/0/000001-000005",
        "test/subject4/h1/0/000007-000011",
        "test/subject4/k2/3/000001-000005",
        "test/subject4/k2/3/000007-000011",
    ]
    assert batch["annotation_id"].tolist() == [3, 4, 1, 2]  # the list has k2 first
    assert manifest["counts"]["frames"] == 20 and manifest["counts"]["labels withheld"] == 4
    assert not manifest["complete"] and manifest["expected"]["samples"] == 242


def test_a_list_with_private_labels_gives_them(tmp_path, home):
    write_h2o(tmp_path, labels=True)
    manifest, batch = prepare(tmp_path, "action-test")
    rows = (tmp_path / "label_split/action_test.txt").read_text().splitlines()[1:]
    official = {int(row.split()[0]): int(row.split()[2]) for row in rows}
    assert (batch["label"] + 1).tolist() == [official[k] for k in batch["annotation_id"]]
    assert manifest["counts"]["labels withheld"] == 0


def test_the_train_frame_that_only_the_segment_has_is_not_asked(tree):
    manifest, frames = prepare(tree, "pose-train")
    _, clips = prepare(tree, "action-train")
    inside = (clips["end_frame"] - clips["frame"] + 1).sum()
    assert manifest["counts"]["samples"] == len(frames) == inside - len(SEQUENCES["train"])


@pytest.mark.parametrize(
    "folder", ["{0}", "{0}_ego", "{0}_pose_v1_1/{0}", "{0}_v1_1", "annotations/{0}"]
)
def test_every_way_to_unpack_is_found(tmp_path, home, folder):
    write_h2o(tmp_path, folder=folder)
    _, batch = prepare(tmp_path, "pose-test")
    assert batch["image"][0] == f"{folder.format('subject4')}/h1/0/cam4/rgb/000001.png"
    assert (tmp_path / batch["image"][0]).is_file()


def test_images_may_be_in_another_archive_than_annotations(tmp_path, home):
    write_h2o(tmp_path, folder="{0}_pose_v1_1/{0}", kinds=("hand_pose", "cam_pose"))
    write_h2o(tmp_path, folder="{0}_ego", kinds=("rgb",))
    manifest, batch = prepare(tmp_path, "pose-test")
    assert batch["image"][0] == "subject4_ego/h1/0/cam4/rgb/000001.png"
    assert not any("images" in note for note in manifest["notes"])


def test_annotations_that_are_there_twice_are_told(tmp_path, home):
    write_h2o(tmp_path)
    write_h2o(tmp_path, folder="{0}_ego_v1_1/{0}", seed=1)
    manifest, batch = prepare(tmp_path, "pose-test")
    assert batch["image"][0].startswith("subject4/")
    assert any(
        n.startswith("hand_pose of 2 sequences is in more than one") for n in manifest["notes"]
    )


@pytest.mark.parametrize(
    "lists",
    [{"pose": "pose_lists", "action": "action_labels"}, {"pose": ".", "action": "."}],
)
def test_lists_are_found_where_each_source_puts_them(tmp_path, home, lists):
    write_h2o(tmp_path, lists=lists)
    manifest = data.prepare("h2o", tmp_path)
    assert set(manifest) == {f"{k}-{s}" for k in ("pose", "action") for s in SEQUENCES}
    assert all("SHA-256" in m["notes"][0] and not m["complete"] for m in manifest.values())


def test_what_is_not_there_is_null_and_told(tmp_path, home):
    write_h2o(tmp_path, kinds=("hand_pose",))
    (tmp_path / CAM4 / "cam_intrinsics.txt").unlink()
    write_numbers(
        tmp_path / "subject4/k2/3/cam4/cam_intrinsics.txt",
        np.array([600, 600, 640, 360, 1280, 720]),
    )
    manifest, batch = prepare(tmp_path, "pose-test")
    for name in ("T_world_from_camera", "right_mano", "left_mano", "object"):
        assert not batch.given(name).any()
    notes = " ".join(manifest["notes"])
    assert "images are not there for 20 of 20 frames" in notes
    assert "cam_intrinsics.txt is not there for 1 sequences, e.g. subject4/h1/0" in notes
    assert "cam_intrinsics.txt differs from the usual K in 1 sequences" in notes
    assert "obj_pose is not there for 20 frames" in notes
    assert batch["K"][0, 0, 0] == CAMERA[0] and batch["K"][-1, 0, 0] == 600
    assert manifest["counts"]["frames without a camera pose"] == 20


def test_clips_need_nothing_but_the_lists(tree):
    for subject in tree.glob("subject*"):
        shutil.rmtree(subject)
    assert set(data.prepare("h2o", tree)) == {"action-train", "action-val", "action-test"}
    with pytest.raises(DatasetError, match=r"HB202 .*no hand poses of pose_test\.txt") as error:
        data.prepare("h2o", tree, split="pose-test")
    assert "subject4_pose_v1_1/subject4" in str(error.value)


def test_label_files_that_say_otherwise_are_told(tree):
    write_numbers(tree / "subject3/o1/1/cam4/action_label/000001.txt", np.array([0]))
    manifest, _ = prepare(tree, "action-val")
    assert "action_label says another action than the list in 1 segments" in manifest["notes"][-1]


def test_another_release_of_the_hand_poses_is_noticed(tree):
    data.prepare("h2o", tree, split="pose-test")
    assert data.prepare("h2o", tree, split="pose-test")["pose-test"]["skipped"]
    write_numbers(tree / CAM4 / "hand_pose/000001.txt", np.full(128, 1))
    assert "skipped" not in data.prepare("h2o", tree, split="pose-test")["pose-test"]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def numbers(root, kind, values):
    write_numbers(root / CAM4 / kind / "000003.txt", np.asarray(values, float))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda r: (r / "label_split/pose_test.txt").unlink(),
            r"HB202 .*holds no list pose_test\.txt[\s\S]*label_split[\s\S]*pose_lists",
        ),
        (
            lambda r: (r / CAM4 / "hand_pose/000003.txt").unlink(),
            r"HB204 .*hand_pose files of 1 of them, in 1 sequences.*000003\.txt",
        ),
        (
            lambda r: (r / "pose_test.txt").write_text("other\n"),
            r"HB204 .*pose_test\.txt: differs from .*label_split",
        ),
        (
            lambda r: shutil.copy(
                r / "label_split/pose_train.txt", r / "label_split/pose_test.txt"
            ),
            r"HB204 .*2 sequences that are not of split test[\s\S]*swapped",
        ),
        (
            lambda r: edit(r / "label_split/pose_test.txt", "cam4/rgb", "cam2/rgb"),
            "HB203 .*line 1 is 'subject4/k2/3/cam2",
        ),
        (
            lambda r: edit(
                r / "label_split/pose_test.txt", "0/cam4/rgb/000003", "0/cam4/rgb/000002"
            ),
            r"HB204 .*lists 1 frames twice, e\.g\. subject4/h1/0/cam4/rgb/000002\.png",
        ),
        (
            lambda r: (r / "label_split/pose_test.txt").write_bytes(b"\xff\xfe"),
            "HB203 .*is not plain text",
        ),
        (lambda r: (r / "label_split/pose_test.txt").write_text("\n"), "HB203 .*lists no frames"),
        (
            lambda r: numbers(r, "hand_pose", np.ones(127)),
            r"HB203 .*000003\.txt: holds 127 numbers",
        ),
        (
            lambda r: edit(r / CAM4 / "hand_pose/000003.txt", "1  ", "one  "),
            r"HB203 .*000003\.txt: holds b'one', which is no number",
        ),
        (lambda r: numbers(r, "hand_pose", [2] * 128), "HB203 .*flags other than 0 and 1, e.g. 2"),
        (
            lambda r: numbers(r, "hand_pose", [1] * 127 + [np.nan]),
            "HB203 .*right hand with flag 1 and numbers that are not finite",
        ),
        (lambda r: numbers(r, "hand_pose_mano", [1] * 118), "HB203 .*holds 118 numbers, not 124"),
        (lambda r: numbers(r, "hand_pose_mano", [3] * 124), "HB203 .*hand_pose_mano flags other"),
        (lambda r: numbers(r, "cam_pose", np.ones(16)), "HB203 .*is no camera pose"),
        (lambda r: numbers(r, "obj_pose", [9] * 64), "HB203 .*has object id 9; ids are 0 to 8"),
        (
            lambda r: write_numbers(r / CAM4 / "cam_intrinsics.txt", np.zeros(6)),
            "HB203 .*cam_intrinsics.txt: holds .*, not fx fy cx cy width height",
        ),
    ],
)
def test_damaged_pose_files_are_named(tree, break_it, message):
    break_it(tree)
    with pytest.raises(DatasetError, match=message):
        data.prepare("h2o", tree, split="pose-test")
    assert not (data.folder("h2o", "pose-test") / "annotations.parquet").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id path action_label", "number path action_label", "HB203 .*names of columns"),
        ("1 subject3", "1 s3", "HB203 .*line 2 is '1 s3/o1/1"),
        ("\n2 subject3", "\n3 subject3", r"HB204 .*1 ids do not run from 1 .*line 3"),
        (" 1 5 0 11", " 5 1 0 11", "HB204 .*1 segments end before they start"),
        (" 7 11 0 11", " 7 12 0 11", "HB204 .*1 segments are not inside their sequence"),
        (" 1 5 0 11", " 1 7 0 11", "HB204 .*1 segments overlap the one before, .*line 3"),
        (" 7 11 0 11", " 7 11 0 15", "HB204 .*another length than the rows before"),
        ("subject3/o1/1", "subject3/h1/1", "HB204 .*1 sequences that are not of split val"),
    ],
)
def test_damaged_action_lists_are_named(tree, old, new, message):
    edit(tree / "label_split/action_val.txt", old, new)
    with pytest.raises(DatasetError, match=message):
        data.prepare("h2o", tree, split="action-val")


def test_labels_outside_the_classes_are_named(tree):
    path = tree / "label_split/action_val.txt"
    label = path.read_text().splitlines()[1].split()[2]
    edit(path, f"1 subject3/o1/1 {label}", "1 subject3/o1/1 37")
    with pytest.raises(DatasetError, match=r"HB204 .*1 labels are not in 1\.\.36"):
        data.prepare("h2o", tree, split="action-val")


def test_numbers_that_only_c_writes_are_read(tree):
    path = tree / CAM4 / "hand_pose/000003.txt"
    values = path.read_text().split()
    path.write_text(" ".join(["+1", "+0.25", *values[2:]]))
    _, batch = prepare(tree, "pose-test")
    assert batch["left_joints"][row_of(batch, "test/subject4/h1/0/cam4/000003"), 0, 0] == 250


def test_the_class_names_are_those_of_the_facts():
    assert len(H2O_ACTIONS) == 36 and len(H2O_VERBS) == 12 and len(H2O_OBJECTS) == 9
    some = {1: "grab book", 17: "open lotion", 23: "pour milk", 24: "take out espresso"}
    some |= {30: "put in cappuccino", 32: "apply spray", 34: "read espresso", 36: "squeeze lotion"}
    assert {k: H2O_ACTIONS[k - 1] for k in some} == some
    verbs = [ACTION_VERB[name] for name in H2O_ACTIONS]
    spans = [
        (1, 8),
        (2, 8),
        (3, 3),
        (4, 3),
        (5, 1),
        (6, 4),
        (7, 3),
        (8, 2),
        (9, 2),
        (10, 1),
        (11, 1),
    ]
    assert verbs == [verb for verb, times in spans for _ in range(times)]


@pytest.fixture
def real_lists(tmp_path, home):
    if not LISTS.is_dir():
        pytest.skip("H2O's real lists (shared/real/h2o) are not beside the repository")
    shutil.copytree(LISTS, tmp_path / "h2o/label_split")
    return tmp_path / "h2o"


def test_the_real_action_lists_have_the_official_counts(real_lists):
    for split in ("train", "val", "test"):
        manifest, _ = prepare(real_lists, f"action-{split}")
        assert manifest["complete"] and manifest["notes"] == []
        assert manifest["release"] == "official split lists"


def test_the_real_action_lists_have_the_segments_of_the_facts(real_lists):
    found = {}
    for split in ("train", "val", "test"):
        _, batch = prepare(real_lists, f"action-{split}")
        scenes = [s.rsplit("/", 1)[0] for s in batch["sequence"]]
        names, counts = np.unique(scenes, return_counts=True)
        found |= {(split, name): int(n) for name, n in zip(names, counts, strict=True)}
        if split == "train":
            assert np.bincount(batch["label"]).tolist() == [int(n) for n in TRAIN_CLASSES.split()]
        elif split == "val":
            expected = np.full(36, 3)
            expected[[2, 3, 10, 11]], expected[[23, 27]] = 6, 4
            assert np.bincount(batch["label"]).tolist() == expected.tolist()
    expected = {}
    for line in SCENES.splitlines():
        split, subject, *pairs = line.split()
        for scene, n in zip(pairs[::2], pairs[1::2], strict=True):
            expected[split, f"{subject}/{scene}"] = int(n)
    assert found == expected


TRAIN_CLASSES = (
    "14 17 24 24 16 15 15 17 14 17 24 25 18 17 16 18 12 15 "
    "14 12 15 14 15 13 16 14 15 13 16 15 12 13 14 15 13 12"
)
SCENES = """train subject1 h1 40 h2 40 k1 40 k2 32 o1 40 o2 38
train subject2 h1 39 h2 34 k1 34 k2 35 o1 44 o2 36
train subject3 h1 38 h2 39 k1 40
val subject3 k2 40 o1 42 o2 40
test subject4 h1 40 h2 41 k1 37 k2 41 o1 45 o2 38"""


def test_the_real_pose_lists_are_the_frames_of_the_segments(real_lists):
    from hand_bench.readers.h2o_actions import read_segments, segment_of
    from hand_bench.readers.h2o_files import find_list, list_notes, read_pose_list

    for split, rows in (("train", 55_742), ("val", 11_638), ("test", 23_391)):
        path = find_list(real_lists, f"pose_{split}")
        assert list_notes(path) == []
        frames = read_pose_list(path, split)
        segments = read_segments(find_list(real_lists, f"action_{split}"), split)
        assert len(frames) == rows and (segment_of(frames, segments) >= 0).all()


def test_real_lists_under_swapped_names_are_noticed(real_lists):
    lists = real_lists / "label_split"
    shutil.copy(lists / "pose_val.txt", lists / "pose_train.txt")
    with pytest.raises(
        DatasetError, match=r"HB204 .*pose_train\.txt: is the official pose_val\.txt"
    ):
        data.prepare("h2o", real_lists, split="pose-train")
