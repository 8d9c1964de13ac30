"""The reader of RHD: the evaluated hand, masks, visibility, both forms of the repackaged file."""

import pickle
import sys

import numpy as np
import pytest
from PIL import Image

from benchmark.official import rhd as official
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.errors import DatasetError, HandBenchError
from hand_bench.geometry import project
from hand_bench.readers import rhd

#: RHD's own order of a hand in OpenPose order: wrist, then every finger from base to tip.
ORDER = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
PICKLE = "evaluation/anno_evaluation.pickle"


def read(split: str = "evaluation") -> dict[str, np.ndarray]:
    opened = Annotations.open(data.folder("rhd", split) / "annotations.parquet")
    (batch,) = opened.batches(SCHEMA.names)
    given = {f"{n} given": batch.given(n) for n in SCHEMA.names}
    ids = np.array(batch.sample_id.to_pylist())
    return {n: batch[n] for n in SCHEMA.names if n != "sample_id"} | given | {"sample_id": ids}


def prepare(root, split: str = "evaluation") -> dict:
    return data.prepare("rhd", root, split=split)[split]


def test_the_hand_with_more_pixels_is_given_and_a_tie_is_right(tmp_path, home):
    official.write(tmp_path)
    prepare(tmp_path)
    rows = read()
    assert rows["hand_type"].tolist() == official.DOMINANT
    for side in ("right", "left"):
        chosen = np.array([kind == side for kind in official.DOMINANT])
        assert np.array_equal(rows[f"{side}_joints given"], chosen)
        assert np.array_equal(rows[f"{side}_bbox given"], chosen)
        assert np.array_equal(rows[f"{side}_valid"].all(axis=1), chosen)
        assert not rows[f"{side}_in_view"][~chosen].any()


def test_joints_are_millimetres_from_wrist_to_tips_and_visible_ones_are_in_view(tmp_path, home):
    written = official.write(tmp_path)
    prepare(tmp_path)
    rows = read()
    for k, (scene, side) in enumerate(zip(written.values(), official.DOMINANT, strict=True)):
        hand = np.array(ORDER) + (0 if side == "left" else 21)
        assert np.allclose(rows[f"{side}_joints"][k], scene["xyz"][hand] * 1000, atol=1e-3)
        assert np.array_equal(rows[f"{side}_in_view"][k], scene["uv_vis"][hand, 2] > 0)
        assert np.array_equal(rows["K"][k], scene["K"])
        bone = np.linalg.norm(rows[f"{side}_joints"][k, 9] - rows[f"{side}_joints"][k, 0])
        assert 60 < bone < 120
    assert 0 < rows["right_in_view"][1].sum() < 21  # half outside the image


def test_boxes_are_around_all_projected_joints_of_the_hand(tmp_path, home):
    official.write(tmp_path)
    prepare(tmp_path)
    rows = read()
    for k, side in enumerate(official.DOMINANT):
        pixels = project(rows[f"{side}_joints"][k].astype(float), rows["K"][k])
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        assert np.allclose(rows[f"{side}_bbox"][k], [*low, *(high - low)], atol=1e-2)
        grown = [*((low + high) / 2 - 0.6 * (high - low)), *(1.2 * (high - low))]
        assert np.allclose(rows["bbox"][k], grown, atol=1e-2)


def test_every_image_is_a_sequence_of_its_own(tmp_path, home):
    official.write(tmp_path)
    manifest = prepare(tmp_path)
    rows = read()
    assert rows["sample_id"].tolist() == [f"evaluation/{3 * k:05d}" for k in range(5)]
    assert rows["sequence"].tolist() == ["00000", "00003", "00006", "00009", "00012"]
    assert rows["frame"].tolist() == [0, 3, 6, 9, 12]
    assert rows["image"][4] == "evaluation/color/00012.png"
    assert (rows["width"] == 320).all() and (rows["height"] == 320).all()
    for column in ("time", "interval", "camera", "subject", "T_world_from_camera"):
        assert not rows[f"{column} given"].any()
    assert "1 masks show no hand: their right hand is taken." in manifest["notes"]


def test_the_official_number_of_images_is_complete(tmp_path, home, monkeypatch):
    assert rhd.IMAGES == {"training": 41_258, "evaluation": 2_728}
    official.write(tmp_path)
    manifest = prepare(tmp_path)
    (warning,) = data.count_warnings(manifest)
    assert "5 images, not 2,728" in str(warning) and not manifest["complete"]
    monkeypatch.setitem(rhd.IMAGES, "evaluation", 5)
    manifest = data.prepare("rhd", tmp_path, split="evaluation", again=True)["evaluation"]
    assert manifest["complete"] and data.count_warnings(manifest) == []
    assert manifest["counts"] == {
        "samples": 5, "sequences": 5, "images": 5, "right hands": 3, "left hands": 2, "masks": 5,
    }  # fmt: skip


def test_without_masks_the_hand_with_more_visible_joints_is_taken(tmp_path, home, monkeypatch):
    monkeypatch.setitem(rhd.IMAGES, "evaluation", 5)
    written = official.write(tmp_path, masks=False)
    manifest = prepare(tmp_path)
    visible = [scene["uv_vis"][:, 2].reshape(2, 21).sum(axis=1) for scene in written.values()]
    assert read()["hand_type"].tolist() == ["left" if a > b else "right" for a, b in visible]
    assert not manifest["complete"]
    assert "0 masks, not 5" in str(data.count_warnings(manifest)[0])
    assert any("mask/ is not there" in note for note in manifest["notes"])


def test_masks_that_are_added_later_are_read(tmp_path, home):
    written = official.write(tmp_path, masks=False)
    prepare(tmp_path)
    assert prepare(tmp_path)["skipped"]
    official.write_masks(tmp_path / "evaluation/mask", written)
    assert prepare(tmp_path)["counts"]["masks"] == 5
    assert read()["hand_type"].tolist() == official.DOMINANT


def test_both_splits_are_found_in_the_folder_of_the_archive(tmp_path, home):
    for split in ("training", "evaluation"):
        official.write(tmp_path / "RHD_published_v2", split, images=2)
    assert list(data.prepare("rhd", tmp_path)) == ["training", "evaluation"]
    assert read("training")["image"][0] == "RHD_published_v2/training/color/00000.png"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[3].pop("uv_vis"), "image 3 has no usable uv_vis .KeyError"),
        (lambda c: c[6].update(xyz=np.zeros((21, 3))), r"xyz of image 6 has shape \(21, 3\)"),
        (lambda c: c[0]["K"].__setitem__((0, 0), np.nan), "K of image 0 has shape"),
        (lambda c: c.update({9: [1, 2]}), "image 9 has no usable uv_vis .TypeError"),
        (lambda c: c.update({"a": 0}), "holds a dict, expected a dict of image numbers"),
        (lambda c: c.clear(), "holds a dict, expected a dict of image numbers"),
    ],
)
def test_a_damaged_annotation_file_is_named(tmp_path, home, change, message):
    content = official.write(tmp_path)
    change(content)
    official.save(tmp_path / PICKLE, content)
    with pytest.raises(DatasetError, match=rf"HB203 .*anno_evaluation.pickle: {message}"):
        prepare(tmp_path)


class _Harmful:
    def __reduce__(self):
        return print, ("this must not run",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path, home, capsys):
    official.write(tmp_path)
    (tmp_path / PICKLE).write_bytes(pickle.dumps({0: _Harmful()}))
    with pytest.raises(DatasetError, match=r"HB203 .*is not allowed"):
        prepare(tmp_path)
    assert capsys.readouterr().out == ""


def test_a_pickle_that_was_cut_off_is_refused(tmp_path, home):
    official.write(tmp_path)
    (tmp_path / PICKLE).write_bytes((tmp_path / PICKLE).read_bytes()[:-200])
    with pytest.raises(DatasetError, match=r"HB203 .*cannot be read as plain data"):
        prepare(tmp_path)


def test_masks_that_are_missing_or_no_masks_are_refused(tmp_path, home):
    official.write(tmp_path)
    mask = tmp_path / "evaluation/mask/00006.png"
    Image.new("RGB", (320, 320)).save(mask)
    with pytest.raises(DatasetError, match=r"HB203 .*00006.png: has shape \(320, 320, 3\)"):
        prepare(tmp_path)
    mask.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"HB203 .*00006.png: is no readable image"):
        prepare(tmp_path)
    mask.unlink()
    with pytest.raises(DatasetError, match=r"HB202 .*lacks 1 of 5 masks, e.g. 00006.png"):
        prepare(tmp_path)


def test_without_pillow_the_message_says_what_to_install(tmp_path, home, monkeypatch):
    official.write(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(HandBenchError, match=r"HB401 .*need Pillow(.|\n)*pip install"):
        prepare(tmp_path)


def test_an_empty_folder_is_answered_with_the_places(tmp_path, home):
    with pytest.raises(DatasetError, match=r"HB202 (.|\n)*anno_evaluation.pickle(.|\n)*RHD_eval"):
        prepare(tmp_path)


@pytest.mark.parametrize("form", ["internet", "mmpose"])
def test_repackaged_files_give_the_rows_of_the_own_release(tmp_path, home, form):
    official.write(tmp_path / "own")
    prepare(tmp_path / "own")
    own = read()
    official.write_repackaged(tmp_path / form, form=form)
    manifest = prepare(tmp_path / form)
    rows = read()
    assert rows["sample_id"].tolist() == own["sample_id"].tolist()
    assert rows["hand_type"].tolist() == own["hand_type"].tolist()
    for name in ("bbox", "K", "left_valid", "right_valid"):
        assert np.allclose(rows[name], own[name], atol=1e-2), name
    for side in ("right", "left"):
        there = own[f"{side}_joints given"]
        assert np.array_equal(rows[f"{side}_joints given"], there)
        assert np.allclose(rows[f"{side}_joints"][there], own[f"{side}_joints"][there], atol=1e-3)
    assert rows["image"][1] == "data/RHD/data/evaluation/color/00003.png"
    assert "masks" not in manifest["expected"]
    assert any("How the hand was chosen" in note for note in manifest["notes"])
    assert any("(rhd21) is assumed" in note for note in manifest["notes"])


def test_mmpose_says_which_joints_are_visible_and_internet_which_are_valid(tmp_path, home):
    written = official.write_repackaged(tmp_path / "mmpose", form="mmpose")
    prepare(tmp_path / "mmpose")
    seen = np.array([a["keypoints"] for a in written["annotations"]])[:, ORDER, 2] > 0
    rows = read()
    assert np.array_equal(rows["left_in_view"] | rows["right_in_view"], seen)
    written = official.write_repackaged(tmp_path / "internet")
    written["annotations"][0]["joint_valid"][4] = 0  # the thumb's base
    official.save_json(tmp_path / "internet/data/RHD/data/RHD_evaluation.json", written)
    prepare(tmp_path / "internet")
    rows = read()
    assert np.argwhere(~rows["left_valid"][[0, 4]]).tolist() == [[0, 1]]
    pixels = project(rows["left_joints"].astype(float), rows["K"])[0]
    inside = ((pixels >= 0) & (pixels < 320)).all(axis=1)
    inside[1] = False
    assert np.array_equal(rows["left_in_view"][0], inside)


def test_the_real_wrist_of_image_111_has_the_pixel_of_the_facts(tmp_path, home):
    # facts 1.11: (117.9, -118.2, 411.0) mm is at (245.77, 74.01) with focal 299, centre 160.
    joints = np.array([[117.9, -118.2, 411.0]] + [[90 + k, -60, 450] for k in range(20)])
    made = official.annotation(joints, "left", [299.0] * 2, [160.0] * 2)
    image = official.image("00111.png", (320, 320), [299.0] * 2, [160.0] * 2) | {"id": 111}
    content = {"images": [image], "annotations": [made | {"id": 111, "image_id": 111}]}
    official.save_json(tmp_path / "RHD_evaluation.json", content)
    prepare(tmp_path)
    rows = read()
    assert rows["sample_id"].tolist() == ["evaluation/00111"]
    pixel = project(rows["left_joints"].astype(float), rows["K"])[0, 0]
    assert np.allclose(pixel, (245.77, 74.01), atol=5e-3)


def test_an_image_with_both_hands_annotated_has_two_rows(tmp_path, home):
    content = official.write_repackaged(tmp_path)
    other = content["annotations"][0] | {"hand_type": "right", "id": 77}
    content["annotations"].append(other)
    path = tmp_path / "data/RHD/data/RHD_evaluation.json"
    official.save_json(path, content)
    manifest = prepare(tmp_path)
    ids = read()["sample_id"]
    assert ids[:3].tolist() == [
        "evaluation/00000/left",
        "evaluation/00000/right",
        "evaluation/00003",
    ]
    assert manifest["counts"]["samples"] == 6 and manifest["counts"]["images"] == 5
    assert any("1 images have both hands annotated" in note for note in manifest["notes"])
    content["annotations"].append(other | {"id": 78})
    official.save_json(path, content)
    with pytest.raises(DatasetError, match=r"HB204 .*twice, e.g. the right hand of image 0"):
        prepare(tmp_path)


def test_an_image_without_a_number_is_refused(tmp_path, home):
    content = official.write_repackaged(tmp_path)
    content["images"][0]["file_name"] = "first.png"
    official.save_json(tmp_path / "data/RHD/data/RHD_evaluation.json", content)
    with pytest.raises(DatasetError, match=r"HB203 .*'first.png' has no number in its name"):
        prepare(tmp_path)
