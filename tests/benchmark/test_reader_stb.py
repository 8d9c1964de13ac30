"""The reader of STB: own release and repackaged, cameras, joint order, damaged files."""

import json
import sys

import numpy as np
import pytest

from benchmark.official import stb as official
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.errors import DatasetError, HandBenchError
from hand_bench.geometry import project
from hand_bench.joint_sets import convert

JSON = "data/STB/data/STB_test.json"


def read(split: str = "test") -> dict[str, np.ndarray]:
    opened = Annotations.open(data.folder("stb", split) / "annotations.parquet")
    (batch,) = opened.batches(SCHEMA.names)
    given = {f"{n} given": batch.given(n) for n in SCHEMA.names}
    ids = np.array(batch.sample_id.to_pylist())
    return {n: batch[n] for n in SCHEMA.names if n != "sample_id"} | given | {"sample_id": ids}


def prepare(root, split: str = "test") -> dict:
    return data.prepare("stb", root, split=split)[split]


def part(rows, sequence: str, camera: str) -> np.ndarray:
    return np.flatnonzero((rows["sequence"] == sequence) & (rows["camera"] == camera))


def test_joints_are_the_labels_with_the_palm_first_and_the_thumb_next(tmp_path, home):
    written = official.write(tmp_path)
    prepare(tmp_path)
    rows = read()
    for (sequence, kind), labels in written.items():
        if kind == "BB":
            found = rows["left_joints"][part(rows, sequence, "BB_left")]
            assert np.allclose(found[:, 0], labels[:, 0], atol=1e-3)
            assert np.allclose(found[:, 1:5], labels[:, 17:21], atol=1e-3)
            assert np.allclose(found[:, 17:21], labels[:, 1:5], atol=1e-3)
    assert not rows["right_joints given"].any()
    assert not rows["right_valid"].any() and rows["left_valid"].all()
    assert (rows["hand_type"] == "left").all() and rows["hand_type_valid"].all()


def test_the_right_camera_is_one_baseline_to_the_right(tmp_path, home):
    official.write(tmp_path)
    prepare(tmp_path)
    rows = read()
    left, right = (part(rows, "B1Random", f"BB_{side}") for side in ("left", "right"))
    offset = rows["left_joints"][left] - rows["left_joints"][right]
    assert np.allclose(offset, [120.054, 0, 0], atol=1e-3)
    assert np.array_equal(rows["K"][left], rows["K"][right])
    assert rows["K"][left[0]].tolist() == [
        [822.79041, 0, 318.47345],
        [0, 822.79041, 250.31296],
        [0, 0, 1],
    ]


def test_sk_labels_are_brought_from_the_depth_to_the_colour_camera(tmp_path, home):
    written = official.write(tmp_path)
    from scipy.spatial.transform import Rotation

    prepare(tmp_path, "sk-test")
    rows = read("sk-test")
    chosen = part(rows, "B1Counting", "SK_color")
    colour = convert(rows["left_joints"][chosen].astype(float), "palm21", "stb21")
    turn = Rotation.from_rotvec([0.00531, -0.01196, 0.00301]).as_matrix()
    depth = colour @ turn.T + [-24.0381, -0.4563, -1.2326]  # X_depth = Rod(r) X_color + T
    assert np.allclose(depth, written["B1Counting", "SK"], atol=1e-3)
    assert rows["K"][chosen[0]][[0, 1], [0, 1]].tolist() == [607.92271, 607.88192]


def test_rows_have_readable_ids_and_images_and_no_time(tmp_path, home):
    official.write(tmp_path, instants=3)
    prepare(tmp_path)
    rows = read()
    assert rows["sample_id"][:4].tolist() == [
        "test/B1Counting/BB_left/0000",
        "test/B1Counting/BB_left/0001",
        "test/B1Counting/BB_left/0002",
        "test/B1Counting/BB_right/0000",
    ]
    assert rows["image"][-1] == "images/B1Random/BB_right_2.png"
    keys = list(zip(rows["sequence"], rows["camera"], rows["frame"], strict=True))
    assert keys == sorted(keys) and len(keys) == 2 * 2 * 3
    assert (rows["width"] == 640).all() and (rows["height"] == 480).all()
    for column in ("time", "interval", "subject", "T_world_from_camera"):
        assert not rows[f"{column} given"].any()


def test_boxes_are_tight_and_joints_outside_the_image_are_not_in_view(tmp_path, home):
    official.write(tmp_path)
    prepare(tmp_path)
    rows = read()
    pixels = project(rows["left_joints"].astype(float), rows["K"])
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    tight, box = rows["left_bbox"], rows["bbox"]
    assert np.allclose(tight, np.concatenate([low, high - low], axis=1), atol=1e-2)
    assert np.allclose(box[:, 2:], 1.2 * tight[:, 2:], rtol=1e-5)
    assert np.allclose(box[:, :2] + box[:, 2:] / 2, tight[:, :2] + tight[:, 2:] / 2, atol=1e-2)
    inside = ((pixels >= 0) & (pixels < [640, 480])).all(axis=-1)
    assert np.array_equal(rows["left_in_view"], inside)
    leaving = part(rows, "B1Counting", "BB_left")[2]
    assert 0 < inside[leaving].sum() < 21


def test_a_full_test_split_has_the_official_counts(tmp_path, home):
    official.write(tmp_path, instants=1500)
    manifest = prepare(tmp_path)
    assert manifest["complete"] and data.count_warnings(manifest) == []
    assert manifest["counts"] == {
        "samples": 6000,
        "sequences": 2,
        "instants": 3000,
        "BB_left images": 3000,
        "BB_right images": 3000,
        "SK_color images": 0,
    }
    assert prepare(tmp_path, "sk-test")["counts"]["SK_color images"] == 3000


def test_train_has_the_other_five_backgrounds(tmp_path, home):
    official.write(tmp_path, "train", instants=2)
    done = data.prepare("stb", tmp_path)
    assert list(done) == ["train", "sk-train"]  # test is not there
    rows = read("train")
    assert sorted(set(rows["sequence"])) == official.SEQUENCES["train"]
    assert done["train"]["expected"] == {"instants": 15_000, "samples": 30_000}
    assert not done["train"]["complete"]


def test_sk_labels_are_not_needed_and_a_note_says_what_is_not_there(tmp_path, home):
    official.write(tmp_path, instants=2, kinds=("BB",))
    (tmp_path / "labels/B1Random_BB.mat").unlink()
    assert "Not there: B1Random_BB.mat." in prepare(tmp_path)["notes"]
    with pytest.raises(DatasetError, match=r"HB202 (.|\n)*B1Counting_SK.mat"):
        prepare(tmp_path, "sk-test")


def test_a_sequence_that_is_added_later_is_read(tmp_path, home):
    official.write(tmp_path, instants=2)
    kept = (tmp_path / "labels/B1Random_BB.mat").rename(tmp_path / "aside.mat")
    assert prepare(tmp_path)["counts"]["samples"] == 4
    kept.rename(tmp_path / "labels/B1Random_BB.mat")
    again = prepare(tmp_path)
    assert "skipped" not in again and again["counts"]["samples"] == 8
    assert prepare(tmp_path)["skipped"]


@pytest.mark.parametrize(("folder", "base"), [("STB/labels", "STB/"), (".", "")])
def test_labels_are_found_in_other_folders(tmp_path, home, folder, base):
    official.write(tmp_path, instants=1, folder=folder)
    prepare(tmp_path)
    assert read()["image"][0] == f"{base}images/B1Counting/BB_left_0.png"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: official.save(p, np.ones((3, 20, 5))), r"shape \(3, 20, 5\), expected \(3, 21"),
        (lambda p: official.save(p, np.ones((3, 21, 5)), "other"), "with handPara .KeyError"),
        (lambda p: p.write_bytes(p.read_bytes()[:300]), "cannot be read as a MATLAB file"),
        (lambda p: p.write_bytes(b"not a MATLAB file" * 20), "cannot be read as a MATLAB file"),
        (
            lambda p: official.save(p, np.full((3, 21, 5), [1, 1, np.nan, 1, 1])),
            "NaN or infinity in 1 instants, first 2",
        ),
    ],
)
def test_a_damaged_label_file_is_named(tmp_path, home, change, message):
    official.write(tmp_path)
    change(tmp_path / "labels/B1Random_BB.mat")
    with pytest.raises(DatasetError, match=rf"HB203 .*B1Random_BB.mat: (.|\n)*{message}"):
        prepare(tmp_path)


def test_without_scipy_the_message_says_what_to_install(tmp_path, home, monkeypatch):
    official.write(tmp_path, instants=1)
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(HandBenchError, match=r"HB401 .*need scipy(.|\n)*hand-bench\[mat\]"):
        prepare(tmp_path)


def test_an_empty_folder_is_answered_with_the_places(tmp_path, home):
    with pytest.raises(DatasetError, match=r"HB202 (.|\n)*B1Counting_BB.mat(.|\n)*STB_test.json"):
        prepare(tmp_path)


def test_the_repackaged_file_gives_the_same_rows_as_the_own_release(tmp_path, home):
    official.write(tmp_path / "own")
    official.write_repackaged(tmp_path / "again")
    prepare(tmp_path / "own")
    own = read()
    manifest = prepare(tmp_path / "again")
    rows = read()
    shared = np.flatnonzero(own["camera"] == "BB_left")
    assert rows["sample_id"].tolist() == own["sample_id"][shared].tolist()
    for name in ("left_joints", "bbox", "K", "frame", "width", "height", "hand_type"):
        values = rows[name], own[name][shared]
        if values[0].dtype == object:
            assert (values[0] == values[1]).all()
        else:
            assert np.allclose(*values, atol=2e-3), name
    assert rows["image"][0] == "data/STB/data/images/B1Counting/BB_left_0.png"
    assert manifest["counts"]["instants"] == 12 and not manifest["complete"]
    assert any("palm centre or a shifted wrist" in note for note in manifest["notes"])


def test_joint_valid_of_the_repackaged_file_is_kept_in_the_new_order(tmp_path, home):
    official.write_repackaged(tmp_path)  # joint 3 of the second image: the third of the pinky
    prepare(tmp_path)
    rows = read()
    assert np.argwhere(~rows["left_valid"]).tolist() == [[1, 19]]
    assert not rows["left_in_view"][1, 19]


def test_the_skeleton_file_decides_the_joint_order(tmp_path, home):
    found = []
    for order in ("stb21", "rhd21"):
        official.write_repackaged(tmp_path / order, order=order)
        manifest = prepare(tmp_path / order)
        found.append(read()["left_joints"])
        root = "l_palm" if order == "stb21" else "l_wrist"
        assert any(f"skeleton.txt calls it {root}" in note for note in manifest["notes"])
    assert np.array_equal(*found)


@pytest.mark.parametrize("text", [None, "a 0 -1\nb 1 0\n", "\x00\x01", "l_thumb1 x y\n"])
def test_without_a_usable_skeleton_file_the_own_order_is_assumed_and_said(tmp_path, home, text):
    official.write_repackaged(tmp_path, skeleton=False)
    if text is not None:
        (tmp_path / "data/STB/data/skeleton.txt").write_text(text)
    manifest = prepare(tmp_path)
    assert any("(stb21) is assumed" in note for note in manifest["notes"])


def test_fingers_from_tip_to_base_are_not_taken_for_base_to_tip(tmp_path, home):
    official.write_repackaged(tmp_path, order="rhd21", skeleton=False)
    with pytest.raises(DatasetError, match=r"HB204 .*fingertips are \d+ mm nearer to the root"):
        prepare(tmp_path)


def test_names_that_do_not_say_the_camera_become_the_ids(tmp_path, home):
    content = official.write_repackaged(tmp_path)
    for k, image in enumerate(content["images"]):
        image["file_name"] = f"{k:05d}.png"
    official.save_json(tmp_path / JSON, content)
    manifest = prepare(tmp_path)
    rows = read()
    assert rows["sample_id"][0] == "test/B1Counting/00000"
    assert not rows["camera given"].any()
    assert "The names of 12 images do not say their camera." in manifest["notes"]


def _other_split(content):
    content["images"][0]["seq_name"] = "B2Counting"


def _twice(content):
    content["annotations"].append(content["annotations"][0])


def _no_image(content):
    content["annotations"][0]["image_id"] = 5


def _image_twice(content):
    content["images"].append(content["images"][0])


def _both_hands(content):
    content["annotations"][0]["hand_type"] = "interacting"


def _no_joints(content):
    del content["annotations"][0]["joint_cam"]


def _short(content):
    content["annotations"][0]["joint_cam"] = [[0, 0, 1]] * 20


def _empty(content):
    content["annotations"] = []


def _mixed_forms(content):
    del content["annotations"][0]["joint_valid"]
    content["annotations"][0]["keypoints"] = [[0, 0, 1]] * 21


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_split, "HB204 .*B2Counting, which belongs to the other split"),
        (_twice, "HB204 .*annotates 1 images twice, e.g. test/B1Random/BB_left/0005"),
        (_no_image, "HB204 .*points to image 5, which is not there"),
        (_image_twice, "HB204 .*has image id 7 twice"),
        (_both_hands, "HB203 .*hand_type 'interacting', not right or left"),
        (_no_joints, "HB203 .*KeyError 'joint_cam'"),
        (_short, "HB203 .*another form than documented: ValueError"),
        (_empty, "HB203 .*holds no annotations"),
        (_mixed_forms, "HB204 .*only keypoints in others"),
    ],
)
def test_a_repackaged_file_of_another_form_is_refused(tmp_path, home, change, message):
    content = official.write_repackaged(tmp_path)
    change(content)
    official.save_json(tmp_path / JSON, content)
    with pytest.raises(DatasetError, match=message):
        prepare(tmp_path)


def test_a_repackaged_file_that_was_cut_off_is_refused(tmp_path, home):
    content = official.write_repackaged(tmp_path)
    (tmp_path / JSON).write_text(json.dumps(content)[:-400])
    with pytest.raises(DatasetError, match=r"HB203 .*is not valid JSON"):
        prepare(tmp_path)


def test_the_own_release_goes_before_the_repackaged_one(tmp_path, home):
    official.write(tmp_path, instants=1)
    official.write_repackaged(tmp_path)
    manifest = prepare(tmp_path)
    assert manifest["release"] == "STB, own release"
    assert "STB_test.json is there too and was not read." in manifest["notes"]
