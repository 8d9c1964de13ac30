"""The reader of Ego-Exo4D hand pose: layouts, withheld truth, and every pitfall of the files."""

import json

import numpy as np
import pytest

from benchmark.official import egoexo4d as official
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.errors import DatasetError
from hand_bench.geometry import project

NAME = "ego_pose_gt_anno_val_public.json"
UID = "0099226c-9bec-44aa-ba43-2b90eb7b8379"


def prepare(root, split="val"):
    """Prepare a split; return its manifest and its rows as one batch."""
    manifest = data.prepare("egoexo4d", root, split=split)[split]
    opened = Annotations.open(data.folder("egoexo4d", split) / "annotations.parquet")
    (batch,) = opened.batches(SCHEMA.names)
    return manifest, batch


def one_frame(number=404, **hands):
    """A file with one frame; hands not given are absent."""
    frame = official.absent("right") | official.absent("left") | hands
    metadata = {"take_uid": UID, "take_name": "iiith_cooking_50_2", "frame_number": number}
    return {UID: {str(number): frame | {"metadata": metadata}}}


def line(**changes):
    """A right hand whose joint k is at (0.01 k, 0.02, 0.4) metres."""
    joints = [[0.01 * k, 0.02, 0.4] for k in range(21)]
    hand = {
        "right_hand_3d": joints,
        "right_hand_2d": [[0, 0]] * 21,
        "right_hand_bbox": [100.5, 90.0, 160.0, 200.25],
        "right_hand_valid_3d": [True] * 21,
    }
    return hand | changes


def write_frame(root, **hands):
    return official.save(root / NAME, one_frame(**hands))


def test_a_frame_comes_out_in_millimetres_with_its_camera_box_and_image(tmp_path, home):
    write_frame(tmp_path, **line())
    _, rows = prepare(tmp_path)
    assert rows.sample_id.to_pylist() == [f"val/{UID}/000404"]
    assert np.allclose(rows["right_joints"][0], [[10 * k, 20, 400] for k in range(21)])
    assert rows["right_valid"][0].all() and rows["right_in_view"][0].all()
    assert rows["right_bbox"][0].tolist() == [100.5, 90.0, 59.5, 110.25]
    assert rows["K"][0].tolist() == official.K.tolist()
    assert rows["image"][0] == "image/undistorted/val/iiith_cooking_50_2/000404.jpg"
    assert (rows["width"][0], rows["height"][0], rows["frame"][0]) == (512, 512, 404)
    assert rows["time"][0] == pytest.approx(404 / 30)
    assert (rows["sequence"][0], rows["camera"][0]) == (UID, "aria_214-1")
    assert (rows["hand_type"][0], rows["annotator"][0]) == ("right", "human")
    assert not rows["hand_type_valid"][0] and rows["subject"][0] is None


def test_an_absent_hand_is_null(tmp_path, home):
    write_frame(tmp_path, **line())
    _, rows = prepare(tmp_path)
    for column in ("joints", "valid", "in_view", "bbox"):
        assert rows.given(f"right_{column}")[0] and not rows.given(f"left_{column}")[0]


def test_a_missing_joint_is_a_bare_nan_that_becomes_zero_and_not_valid(tmp_path, home):
    flags = [k not in (7, 12) for k in range(21)]
    joints = line()["right_hand_3d"]
    joints[7] = [np.nan] * 3
    path = write_frame(tmp_path, **line(right_hand_3d=joints, right_hand_valid_3d=flags))
    assert "[NaN, NaN, NaN]" in path.read_text()
    manifest, rows = prepare(tmp_path)
    assert rows["right_joints"][0, 7].tolist() == [0, 0, 0]
    assert rows["right_joints"][0, 12] == pytest.approx([120, 20, 400])
    assert rows["right_valid"][0].tolist() == rows["right_in_view"][0].tolist() == flags
    assert manifest["counts"]["valid joints"] == 19


def test_the_wrist_is_kept_although_its_flag_is_false(tmp_path, home):
    write_frame(tmp_path, **line(right_hand_valid_3d=[False] + [True] * 20))
    manifest, rows = prepare(tmp_path)
    assert rows["right_joints"][0, 0] == pytest.approx([0, 20, 400])
    assert rows["right_valid"][0].tolist() == [False] + [True] * 20
    assert manifest["counts"]["hands whose wrist is not valid"] == 1


def test_a_valid_joint_without_a_position_is_not_valid_and_is_noted(tmp_path, home):
    joints = line()["right_hand_3d"]
    joints[5] = [0.1, np.nan, 0.3]
    write_frame(tmp_path, **line(right_hand_3d=joints))
    manifest, rows = prepare(tmp_path)
    assert rows["right_valid"][0].tolist() == [k != 5 for k in range(21)]
    assert manifest["counts"]["valid joints without a position"] == 1
    assert any("without a finite position" in note for note in manifest["notes"])


def test_every_hand_of_a_larger_file_is_there_once(tmp_path, home):
    content = official.write(tmp_path, takes=4, frames=9)
    manifest, rows = prepare(tmp_path)
    hands = dict.fromkeys(official.SIDES, 0)
    for k, sample_id in enumerate(rows.sample_id.to_pylist()):
        _, uid, number = sample_id.split("/")
        frame = content[uid][str(int(number))]
        for side in official.SIDES:
            joints = np.array(frame[f"{side}_hand_3d"]) * 1000
            assert rows.present(side)[k] == bool(joints.size)
            if joints.size:
                hands[side] += 1
                known = np.isfinite(joints).all(axis=1)
                assert np.allclose(rows[f"{side}_joints"][k][known], joints[known])
                assert rows[f"{side}_valid"][k].tolist() == frame[f"{side}_hand_valid_3d"]
    counts = manifest["counts"]
    assert (counts["takes"], counts["samples"]) == (4, 36)
    assert [counts["right hands"], counts["left hands"]] == list(hands.values())
    assert manifest["complete"] and any("unverified" in note for note in manifest["notes"])


def test_joints_project_to_the_labels_of_the_undistorted_view(tmp_path, home):
    content = official.write(tmp_path, takes=1, frames=1)
    _, rows = prepare(tmp_path)
    ((frame,),) = [list(frames.values()) for frames in content.values()]
    pixels = project(rows["left_joints"][:1].astype(float), rows["K"][:1])
    assert np.allclose(pixels[0], frame["left_hand_2d"], atol=1e-3)


def test_rows_are_sorted_whatever_the_order_of_the_file(tmp_path, home):
    content = official.write(tmp_path)
    _, rows = prepare(tmp_path)
    keys = list(zip(rows["sequence"], rows["frame"], strict=True))
    assert keys == sorted(keys)
    stored = [(uid, int(number)) for uid, frames in content.items() for number in frames]
    assert keys != stored and sorted(stored) == keys


def test_intervals_follow_the_usual_distance_of_frames(tmp_path, home):
    frames = {}
    for number in (30, 33, 36, 39, 60, 63):
        frames |= one_frame(number, **line())[UID]
    official.save(tmp_path / NAME, {UID: frames})
    manifest, rows = prepare(tmp_path)
    assert manifest["frame_step"] == 3
    given = [None, None, 0.1, 0.1, None, None]
    assert np.allclose(rows["interval"], np.array(given, float), equal_nan=True)


def test_the_public_test_file_asks_for_hands_whose_joints_are_withheld(tmp_path, home):
    content = official.write(tmp_path, "test", takes=1, frames=4)
    manifest, rows = prepare(tmp_path, "test")
    assert sorted(rows["hand_type"]) == ["interacting", "interacting", "left", "right"]
    for k, number in enumerate(rows["frame"]):
        frame = next(iter(content.values()))[str(number)]
        for side in official.SIDES:
            assert not rows.present(side)[k] and not rows.given(f"{side}_valid")[k]
            assert rows.given(f"{side}_bbox")[k] == bool(frame[f"{side}_hand_bbox"])
    counts = manifest["counts"]
    assert counts["hands"] == counts["hands withheld"] == 6 and counts["valid joints"] == 0
    assert not manifest["complete"] and data.count_warnings(manifest)


def test_an_owner_of_the_private_test_file_has_the_truth(tmp_path, home):
    official.write(tmp_path, "test")
    official.write(tmp_path, "test", private=True)
    manifest, rows = prepare(tmp_path, "test")
    assert manifest["counts"]["hands withheld"] == 0
    assert rows.present("right").any()
    assert manifest["files"][0]["path"].endswith("ego_pose_gt_anno_test_private.json")


def test_the_official_counts_make_the_test_split_complete(tmp_path, home):
    official.write_test_of_official_size(tmp_path)
    manifest, rows = prepare(tmp_path, "test")
    counts = manifest["counts"]
    assert (counts["takes"], len(rows), counts["hands"]) == (86, 5832, 8772)
    assert (counts["right hands"], counts["left hands"]) == (3828, 4944)
    assert manifest["complete"] and not data.count_warnings(manifest)
    assert any("SHA-256 differs" in note for note in manifest["notes"])


@pytest.mark.parametrize("layout", ["output", "gt_output", "flat"])
def test_every_layout_gives_the_same_rows(tmp_path, home, layout):
    content = official.write(tmp_path, layout=layout)
    manifest, rows = prepare(tmp_path)
    prefix = "gt_output/" if layout == "gt_output" else ""
    assert len(rows) == sum(map(len, content.values()))
    assert all(image.startswith(f"{prefix}image/undistorted/val/") for image in rows["image"])
    assumed = any("annotator is taken to be human" in note for note in manifest["notes"])
    assert assumed == (layout == "flat")


def test_automatic_annotations_beside_manual_ones_are_counted_and_not_mixed(tmp_path, home):
    manual = official.write(tmp_path, takes=2, frames=5)
    official.write(tmp_path, takes=3, frames=7, kind="auto", seed=1)
    manifest, rows = prepare(tmp_path)
    assert set(rows["sequence"]) == set(manual) and set(rows["annotator"]) == {"human"}
    assert manifest["counts"]["automatic frames (not used)"] == 21
    assert any("they are not used" in note for note in manifest["notes"])


@pytest.mark.parametrize("root", [".", "annotation/auto"])
def test_automatic_annotations_alone_are_used_and_called_so(tmp_path, home, root):
    official.write(tmp_path, kind="auto")
    manifest, rows = prepare(tmp_path / root)
    assert set(rows["annotator"]) == {"machine"} and manifest["annotator"] == "machine"
    assert any("only automatic annotations" in note for note in manifest["notes"])


def test_camera_files_give_K_and_the_name_of_the_camera(tmp_path, home):
    content = official.write(tmp_path, takes=2)
    known, _ = content
    K = [[150, 0, 256.25], [0, 151, 254.5], [0, 0, 1]]
    official.write_camera_pose(tmp_path, "val", known, np.array(K))
    manifest, rows = prepare(tmp_path)
    at = rows["sequence"] == known
    assert (rows["K"][at] == K).all() and set(rows["camera"][at]) == {"aria01_214-1"}
    assert (rows["K"][~at] == official.K).all() and set(rows["camera"][~at]) == {"aria_214-1"}
    assert any("K of 1 takes is assumed" in note for note in manifest["notes"])
    assert any(item["path"].endswith("val/camera_pose") for item in manifest["files"])


def test_frames_without_a_hand_are_left_out_and_counted(tmp_path, home):
    frames = one_frame(3, **line())[UID] | one_frame(6)[UID]
    official.save(tmp_path / NAME, {UID: frames})
    manifest, rows = prepare(tmp_path)
    assert rows["frame"].tolist() == [3]
    assert manifest["counts"]["frames without a hand"] == 1


def test_the_orientation_is_recorded(tmp_path, home):
    official.write(tmp_path)
    manifest, _ = prepare(tmp_path)
    assert manifest["orientation"] == "landscape"
    assert any("--portrait_view" in note for note in manifest["notes"])


@pytest.mark.parametrize("chunk", [1, 100, 5000])
def test_takes_are_parsed_the_same_wherever_the_file_is_cut(tmp_path, home, monkeypatch, chunk):
    from hand_bench.readers import egoexo4d_files

    content = official.write(tmp_path, takes=3, frames=2)
    whole = prepare(tmp_path)[0]["sha256"]
    path = official.folder(tmp_path, "output") / NAME
    path.write_text(json.dumps(content, indent=1) + "\n")
    monkeypatch.setattr(egoexo4d_files, "CHUNK", chunk)
    assert prepare(tmp_path)[0]["sha256"] == whole


def test_every_split_that_is_there_is_prepared(tmp_path, home):
    for split in ("train", "val", "test"):
        official.write(tmp_path, split, takes=1)
    assert set(data.prepare("egoexo4d", tmp_path)) == {"train", "val", "test"}
    (tmp_path / "annotation/manual/ego_pose_gt_anno_train_public.json").unlink()
    assert set(data.prepare("egoexo4d", tmp_path, again=True)) == {"val", "test"}


def test_without_prepared_files_the_official_script_is_named(tmp_path, home):
    with pytest.raises(DatasetError, match=r"HB202 .*ego_pose_gt_anno_val_public\.json") as error:
        prepare(tmp_path)
    assert "--steps gt_anno" in str(error.value) and "annotation/manual" in str(error.value)
    (tmp_path / "annotations/ego_pose/val/hand/annotation").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"HB202 [\s\S]*raw annotations, which have to be"):
        prepare(tmp_path)


def edited(**metadata):
    content = one_frame(**line())
    content[UID]["404"]["metadata"] |= metadata
    return json.dumps(content)


FRAME = json.dumps(one_frame(**line()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FRAME[:-40], "HB203 .* is not valid JSON"),
        (FRAME + "}", "HB203 .* is not valid JSON: Extra data"),
        ("", "HB203 .* does not begin with an object"),
        ("[]", "HB203 .* does not begin with an object"),
        ("{}", "HB203 .* asks for no hand"),
        (FRAME[:-1] + ",}", "HB203 .* is not valid JSON"),
        (f'{{"{UID}": 3}}', "HB203 .* holds '3', not an object"),
        (f"{FRAME[:-1]}, {FRAME[1:]}", f"HB203 .* take {UID} occurs twice"),
        (f"{FRAME[:-2]}, {FRAME[42:]}", "HB203 .* '404' occurs twice"),
        (FRAME.replace('"metadata"', '"meta"'), "HB203 .* frame 404: .*KeyError 'metadata'"),
        (edited(frame_number=405), "HB204 .* frame 404: its metadata say .* frame 405"),
        (edited(take_uid="x"), "HB204 .* its metadata say take x"),
        (
            json.dumps(one_frame(**line(right_hand_3d=[[0, 0, 1]] * 20))),
            r"HB203 .* right_hand_3d has shape \(20, 3\)",
        ),
        (
            json.dumps(one_frame(**line(right_hand_3d=[[np.nan] * 3] + [[0, 0, 1]] * 20))),
            "HB203 .* right_hand_3d has no wrist",
        ),
        (json.dumps(one_frame(**line(right_hand_3d=[]))), "HB203 .*_bbox is given, but"),
        (json.dumps(one_frame(**line(right_hand_valid_3d=[]))), "HB203 .* is not 21 booleans"),
        (json.dumps(one_frame(**line(right_hand_valid_3d=[2] * 21))), "HB203 .* not 21 booleans"),
        (json.dumps(one_frame(**line(right_hand_bbox=[1, 2, 3]))), "HB203 .* not four numbers"),
        (json.dumps(one_frame(**line(right_hand_bbox=[9, 0, 3, 5]))), "HB203 .* ends before it"),
    ],
)
def test_damaged_files_are_named(tmp_path, home, text, message):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(DatasetError, match=message):
        prepare(tmp_path)
    assert not (data.folder("egoexo4d", "val") / "annotations.parquet").exists()


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ({"cam01": {"camera_intrinsics": np.eye(3).tolist()}}, "HB203 .* has no camera aria"),
        ({"aria01": {}}, "HB203 .*KeyError 'camera_intrinsics'"),
        (
            {f"aria0{k}": {"camera_intrinsics": (k * np.eye(3)).tolist()} for k in (1, 2)},
            "HB204 .* Aria cameras that differ: aria01, aria02",
        ),
    ],
)
def test_damaged_camera_files_are_named(tmp_path, home, cameras, message):
    (uid,) = official.write(tmp_path, takes=1)
    path = official.write_camera_pose(tmp_path, "val", uid, official.K)
    official.save(path, cameras)
    with pytest.raises(DatasetError, match=message):
        prepare(tmp_path)
