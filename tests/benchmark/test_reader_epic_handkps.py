"""The reader of Epic-HandKps: joint order, visibility, detected boxes, ids, damaged pickles."""

import pickle

import numpy as np
import pytest

from benchmark.official import epic_handkps as official
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.errors import DatasetError
from hand_bench.joint_sets import JOINT_SETS, OPENPOSE

IMAGE = "./data/visor/P04_04/P04_04_frame_0000001234.jpg"
POINTS = [[10.5 * k, 5.25 * k] for k in range(21)]
HAND = {"joints": POINTS, "joints_valid": [1] * 21, "bbox": [0, 0, 900, 1080]}


def prepare(root, table="test"):
    """Prepare a table; return its manifest and its rows as one batch."""
    manifest = data.prepare("epic-handkps", root, split=table)[table]
    opened = Annotations.open(data.folder("epic-handkps", table) / "annotations.parquet")
    (batch,) = opened.batches(SCHEMA.names)
    return manifest, batch


def write_labels(root, labels):
    return official.save(root / "hands_5000.pkl", labels)


def write_boxes(root, **boxes):
    empty = {f"{side}_{key}": None for side in ("right", "left") for key in ("bbox", "grasp")}
    return official.save(root / official.DETECTIONS, {IMAGE: empty | boxes})


def test_a_hand_comes_out_in_openpose_order_with_the_assumed_camera(tmp_path, home):
    flags = [k != 3 for k in range(21)]
    write_labels(tmp_path, {IMAGE: {"left": HAND | {"joints_valid": flags}}})
    _, rows = prepare(tmp_path)
    # Stored order: thumb tip to base, index, middle, ring, pinky, wrist (facts 0.1).
    stored = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]
    assert rows["left_joints_2d"][0].tolist() == [POINTS[k] for k in stored]
    assert rows["left_in_view"][0].tolist() == [flags[k] for k in stored]
    assert rows["left_in_view"][0].tolist().index(False) == OPENPOSE.joints.index("thumb1")
    assert rows["K"][0].tolist() == [[1000, 0, 960], [0, 1000, 540], [0, 0, 1]]
    assert (rows["width"][0], rows["height"][0]) == (1920, 1080)
    assert rows.sample_id.to_pylist() == ["test/P04_04_frame_0000001234"]
    assert (rows["sequence"][0], rows["subject"][0], rows["frame"][0]) == ("P04_04", "P04", 1234)
    assert rows["image"][0] == "data/visor/P04_04/P04_04_frame_0000001234.jpg"
    assert (rows["hand_type"][0], rows["annotator"][0]) == ("left", "human")
    assert not rows["hand_type_valid"][0] and np.isnan(rows["time"][0])


def test_the_camera_is_that_of_the_letterbox():
    from hand_bench.readers.epic_handkps import K

    small = 224 / 1920 * (K - [[0, 0, 0], [0, 0, 540 - 960], [0, 0, 0]])
    assert np.allclose(small[:2], [[116.666667, 0, 112], [0, 116.666667, 112]])


def test_both_hands_are_stored_in_the_order_of_the_right_hand(tmp_path, home):
    write_labels(tmp_path, {IMAGE: {"right": HAND, "left": HAND}})
    _, rows = prepare(tmp_path)
    assert np.array_equal(rows["right_joints_2d"], rows["left_joints_2d"])
    wrist = JOINT_SETS["assemblyhands21"].joints.index("wrist")
    assert rows["left_joints_2d"][0, 0].tolist() == POINTS[wrist]
    assert rows["hand_type"][0] == "interacting"


def test_there_is_no_3d_and_a_hand_without_a_label_is_null(tmp_path, home):
    write_labels(tmp_path, {IMAGE: {"right": HAND}})
    _, rows = prepare(tmp_path)
    assert not rows.present("right")[0] and not rows["right_valid"][0].any()
    assert rows.given("right_valid")[0] and rows["right_in_view"][0].all()
    for column in ("joints", "joints_2d", "valid", "in_view", "bbox"):
        assert not rows.given(f"left_{column}")[0]


@pytest.mark.parametrize(
    "box",
    [[100, 50, 300.5, 250], ["100", "50.0", "300.5", "250"], np.array([100, 50, 300.5, 250])],
)
def test_the_box_is_the_detected_one_and_not_that_of_the_arm(tmp_path, home, box):
    write_labels(tmp_path, {IMAGE: {"right": HAND, "left": HAND}})
    write_boxes(tmp_path, right_bbox=box, right_grasp="Pow-Pris")
    _, rows = prepare(tmp_path)
    assert rows["right_bbox"][0].tolist() == [100, 50, 200.5, 200]
    assert not rows.given("left_bbox")[0] and not rows.given("bbox")[0]


def test_a_detected_box_of_a_hand_that_is_not_labelled_is_left_out(tmp_path, home):
    write_labels(tmp_path, {IMAGE: {"right": HAND}})
    write_boxes(tmp_path, left_bbox=[1, 2, 3, 4])
    assert not prepare(tmp_path)[1].given("left_bbox")[0]


@pytest.mark.parametrize("protocol", [2, 4])
def test_every_labelled_hand_is_kept_as_it_is(tmp_path, home, protocol):
    labels, boxes = official.write(tmp_path, images=24, protocol=protocol)
    manifest, rows = prepare(tmp_path)
    stored = {image.removeprefix("./"): hands for image, hands in labels.items() if hands}
    assert sorted(rows["image"]) == sorted(stored)
    for row, image in enumerate(rows["image"]):
        for side in ("right", "left"):
            hand = stored[image].get(side)
            assert rows.given(f"{side}_joints_2d")[row] == (hand is not None)
            if hand is not None:
                visible = np.array(hand["joints_valid"], bool)
                assert rows[f"{side}_in_view"][row].sum() == visible.sum()
                mean = np.mean(hand["joints"], axis=0)
                assert rows[f"{side}_joints_2d"][row].mean(axis=0) == pytest.approx(mean)
                box = boxes.get(f"./{image}", {}).get(f"{side}_bbox")
                assert rows.given(f"{side}_bbox")[row] == (box is not None)
    counts = manifest["counts"]
    assert counts["samples"] == len(stored) == 21 and counts["images"] == 24
    assert counts["images with detections"] == len(set(labels) & set(boxes)) == 21
    assert counts["hands without a visible joint"] == 6
    assert counts["visible joints outside the image"] > 0
    assert any("3 images have no entry" in note for note in manifest["notes"])


def test_hands_are_counted_by_both_rules_of_visible_joints(tmp_path, home):
    labels = {}
    for k, seen in enumerate((0, 2, 3, 4, 21)):
        flags = [j < seen for j in range(21)]
        labels[f"P01_01_frame_{k:010d}.jpg"] = {"right": HAND | {"joints_valid": flags}}
    write_labels(tmp_path, labels)
    box = {"right_bbox": [1, 2, 3, 4], "left_bbox": None}
    official.save(tmp_path / official.DETECTIONS, dict.fromkeys(list(labels)[:4], box))
    counts = prepare(tmp_path)[0]["counts"]
    assert [counts[f"hands with {k} or more visible joints"] for k in (3, 4)] == [3, 2]
    with_box = [f"hands with {k} or more visible joints and a detected box" for k in (3, 4)]
    assert [counts[name] for name in with_box] == [2, 1]
    assert counts["hands"] == 5 and counts["scored hands"] == 1


def test_rows_are_sorted_by_video_and_frame(tmp_path, home):
    labels, _ = official.write(tmp_path)
    _, rows = prepare(tmp_path)
    keys = list(zip(rows["sequence"], rows["frame"], strict=True))
    assert keys == sorted(keys) and len(keys) == 14
    assert list(labels) != sorted(labels)
    assert set(rows["sequence"]) == {"P04_04", "P01_107", "P22_117"}


def test_folders_do_not_decide_the_order(tmp_path, home):
    images = [
        "a/P04_04_frame_0000000002.jpg",
        "b/P04_04_frame_0000000001.jpg",
        "c/P01_01_frame_7.jpg",
    ]
    write_labels(tmp_path, {image: {"right": HAND} for image in images})
    assert prepare(tmp_path)[1]["frame"].tolist() == [7, 1, 2]


@pytest.mark.parametrize("prefix", [".", "visor/val", "/data/someone/visor", "./a/../b"])
def test_ids_do_not_depend_on_where_the_images_lie(tmp_path, home, prefix):
    official.write(tmp_path, prefix=prefix)
    _, rows = prepare(tmp_path)
    ids = rows.sample_id.to_pylist()
    assert "test/P04_04_frame_0000001234" in ids
    assert all(sample_id.count("/") == 1 for sample_id in ids)
    assert not any(image.startswith(("/", "./")) for image in rows["image"])
    if prefix.startswith("/"):
        assert "P04_04/P04_04_frame_0000001234.jpg" in rows["image"]


def test_ids_hold_folders_where_file_names_are_not_unique(tmp_path, home):
    name = "P01_01_frame_0000000001.jpg"
    write_labels(tmp_path, {f"/x/{k}/b/{name}": {"right": HAND} for k in (1, 2)})
    manifest, rows = prepare(tmp_path)
    stem = name.removesuffix(".jpg")
    assert rows.sample_id.to_pylist() == [f"test/{k}/b/{stem}" for k in (1, 2)]
    assert any("file names are not unique" in note for note in manifest["notes"])


def test_other_keys_of_an_image_are_ignored_and_noted(tmp_path, home):
    write_labels(tmp_path, {IMAGE: {"right": HAND, "left": None, "Left": HAND}})
    manifest, rows = prepare(tmp_path)
    assert manifest["counts"]["keys of images other than right and left"] == 1
    assert manifest["counts"]["hands"] == 1 and rows["hand_type"][0] == "right"
    assert any("other than right and left are ignored" in note for note in manifest["notes"])


def test_a_visible_joint_without_a_position_is_noted(tmp_path, home):
    joints = [[np.nan, 3.0], *POINTS[1:]]
    write_labels(tmp_path, {IMAGE: {"right": HAND | {"joints": joints}}})
    manifest, rows = prepare(tmp_path)
    tip = OPENPOSE.joints.index("thumb4")
    assert rows["right_in_view"][0].tolist() == [k != tip for k in range(21)]
    assert rows["right_joints_2d"][0, tip].tolist() == [0, 0]
    assert manifest["counts"]["visible joints without a position"] == 1


@pytest.mark.parametrize("fewest", [3, 4])
def test_the_official_counts_are_met_by_either_rule(tmp_path, home, fewest):
    official.write_of_official_size(tmp_path, fewest)
    manifest, _ = prepare(tmp_path)
    assert manifest["complete"] and manifest["fewest_visible_joints"] == fewest
    assert manifest["counts"]["scored hands"] == 4724
    assert any(f"with {fewest} or more visible joints" in note for note in manifest["notes"])


def test_without_detections_the_counts_cannot_be_verified(tmp_path, home):
    official.write(tmp_path, detections=False)
    manifest, rows = prepare(tmp_path)
    assert not manifest["complete"] and data.count_warnings(manifest)
    assert not rows.given("right_bbox").any() and not rows.given("left_bbox").any()
    assert manifest["counts"]["scored hands"] is None
    assert any("grasp_visor_val.pkl was not found" in note for note in manifest["notes"])


@pytest.mark.parametrize("folder", ["epic_hands", "."])
def test_the_validation_set_is_a_table_of_its_own(tmp_path, home, folder):
    official.write(tmp_path, "val", folder=folder, detections=False)
    manifest, rows = prepare(tmp_path, "val")
    assert "val/P04_04_frame_0000001234" in rows.sample_id.to_pylist()
    assert manifest["complete"] and manifest["expected"] == {}
    assert any("unverified" in note for note in manifest["notes"])
    assert set(data.prepare("epic-handkps", tmp_path)) == {"val"}


def test_detections_of_other_images_do_no_harm_to_the_validation_set(tmp_path, home):
    official.write(tmp_path, "val", folder=".", detections=False)
    official.save(tmp_path / official.DETECTIONS, {"other.jpg": {"right_bbox": None}})
    assert prepare(tmp_path, "val")[0]["counts"]["images with detections"] == 0


def test_missing_files_are_named(tmp_path, home):
    with pytest.raises(DatasetError, match=r"HB202 .*holds no hands_5000\.pkl") as error:
        prepare(tmp_path)
    assert "epic_hands/hands_5000.pkl" in str(error.value) and "WildHands" in str(error.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "HB203 .*holds a list, not a dict"),
        ({3: {}}, "HB203 .*its key 3 is no image path"),
        ({IMAGE: [1]}, "HB203 .*P04_04.*is a list, not a dict of hands"),
        ({IMAGE: {}}, "HB203 .*labels no hand"),
        ({IMAGE: {"Right": HAND}}, "HB203 .*labels no hand"),
        ({"cat.jpg": {"right": HAND}}, "HB203 .*cat.jpg: .*not PXX_XX_frame_NUMBER"),
        ({IMAGE: {"right": {"joints": POINTS}}}, "HB203 .*right hand: .*KeyError 'joints_valid'"),
        ({IMAGE: {"left": HAND | {"joints": POINTS[:20]}}}, r"HB203 .*left hand: .*\(20, 2\)"),
        ({IMAGE: {"left": HAND | {"joints": [[1], *POINTS[1:]]}}}, "HB203 .*ValueError"),
        ({IMAGE: {"left": HAND | {"joints_valid": [2] * 21}}}, r"HB203 .*joints_valid is \[2"),
        ({IMAGE: {"left": HAND | {"joints_valid": [1] * 42}}}, r"HB203 .*joints_valid is \[1"),
        (
            {IMAGE: {"right": HAND}, IMAGE.removeprefix("./"): {"right": HAND}},
            "HB204 .*P04_04_frame_0000001234 occurs twice",
        ),
    ],
)
def test_damaged_labels_are_named(tmp_path, home, labels, message):
    write_labels(tmp_path, labels)
    with pytest.raises(DatasetError, match=message):
        prepare(tmp_path)
    assert not (data.folder("epic-handkps", "test") / "annotations.parquet").exists()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([1, 2, 3], "HB203 .*right_bbox is .*not four numbers"),
        (["1", "2", "3", "x"], "HB203 .*right_bbox is .*not four numbers"),
        ([1, 2, 3, float("nan")], "HB203 .*not four numbers"),
        ("1234", "HB203 .*right_bbox is '1234', not four numbers"),
        (5, "HB203 .*right_bbox is 5, not four numbers"),
        ([9, 2, 3, 4], "HB203 .*ends before it begins"),
    ],
)
def test_damaged_boxes_are_named(tmp_path, home, box, message):
    write_labels(tmp_path, {IMAGE: {"right": HAND}})
    write_boxes(tmp_path, right_bbox=box)
    with pytest.raises(DatasetError, match=message):
        prepare(tmp_path)


def test_detections_of_other_images_contradict_the_test_set(tmp_path, home):
    write_labels(tmp_path, {IMAGE: {"right": HAND}})
    official.save(tmp_path / official.DETECTIONS, {IMAGE.removeprefix("./"): {}})
    with pytest.raises(DatasetError, match=r"HB204 .*has none of the images of hands_5000\.pkl"):
        prepare(tmp_path)


class Executes:
    """Unpickling this would run code."""

    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path, home):
    path = write_labels(tmp_path, {IMAGE: Executes()})
    with pytest.raises(DatasetError, match=r"HB203 .*builtins\.exec is not allowed"):
        prepare(tmp_path)
    path.write_bytes(pickle.dumps({IMAGE: {"right": HAND}})[:-30])
    with pytest.raises(DatasetError, match=r"HB203 .*cannot be read as plain data"):
        prepare(tmp_path)
