"""The reader of AssemblyHands: images and instants, every version of the files, every pitfall."""

import json
import shutil

import numpy as np
import pytest

from benchmark.official import assemblyhands as official
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.errors import DatasetError
from hand_bench.geometry import camera_to_world, project
from hand_bench.joint_sets import convert

VAL = "annotations/val/assemblyhands_val"
CHALLENGE = "annotations/test-iccv2023/assemblyhands_test"
HANDS = (("right", slice(0, 21)), ("left", slice(21, 42)))


def read(annotations: Annotations) -> dict[str, np.ndarray]:
    batches = list(annotations.batches(SCHEMA.names))
    columns = {n: np.concatenate([b[n] for b in batches]) for n in SCHEMA.names if n != "sample_id"}
    for side, _ in HANDS:
        columns[f"{side}_given"] = np.concatenate([b.present(side) for b in batches])
        columns[f"{side}_boxed"] = np.concatenate([b.given(f"{side}_bbox") for b in batches])
        columns[f"{side}_seen"] = np.concatenate([b.given(f"{side}_in_view") for b in batches])
    columns["boxed"] = np.concatenate([b.given("bbox") for b in batches])
    return columns | {"sample_id": np.concatenate([b["sample_id"] for b in batches])}


def opened(table: str) -> Annotations:
    return Annotations.open(data.folder("assemblyhands", table) / "annotations.parquet")


def prepare(root, table: str = "val") -> tuple[dict, dict[str, np.ndarray]]:
    return data.prepare("assemblyhands", root, split=table)[table], read(opened(table))


@pytest.fixture
def tree(tmp_path, home):
    official.write_split(tmp_path, "val")
    return tmp_path


@pytest.fixture
def challenge(tmp_path, home):
    official.write_hands2023(tmp_path)
    return tmp_path


def row_of(rows, sample_id: str) -> int:
    return rows["sample_id"].tolist().index(sample_id)


def every_image(root, recordings, split="val"):
    """Yield (sample_id, recording, frame position, camera position, annotation), read plainly."""
    content = json.loads((root / f"{VAL}_ego_data_v1-1.json").read_text())
    images = {image["id"]: image for image in content["images"]}
    for annotation in content["annotations"]:
        image = images[annotation["image_id"]]
        r = next(r for r in recordings if r.name == image["seq_name"])
        f = r.frames.tolist().index(image["frame_idx"])
        c = r.cameras.index(image["camera"].removeprefix("HMC_"))
        yield f"{split}/{r.name}/{image['camera']}/{image['frame_idx']:06d}", r, f, c, annotation


def test_joints_masks_and_boxes_are_those_of_a_plain_reading(tree):
    _, rows = prepare(tree)
    made, checked = official.recordings("val"), 0
    for sample_id, r, f, c, annotation in every_image(tree, made):
        if sample_id not in rows["sample_id"]:
            continue
        row, checked = row_of(rows, sample_id), checked + 1
        true = official.camera_joints(r, f, c)
        view = np.array(annotation["joint_valid"]).reshape(42, 1).astype(bool)
        valid = np.array([j != 8 + f or f == 2 for j in range(42)])[:, None]
        for side, part in HANDS:
            box = annotation["bbox"][side]
            assert rows[f"{side}_given"][row] == rows[f"{side}_boxed"][row] == (box is not None)
            if box is None:
                assert not (rows[f"{side}_valid"][row] | rows[f"{side}_in_view"][row]).any()
                continue
            joints = convert(true[part], "assemblyhands21", "openpose21")
            assert np.allclose(rows[f"{side}_joints"][row], joints, atol=1e-3)
            seen = convert(view[part], "assemblyhands21", "openpose21")[:, 0]
            assert np.array_equal(rows[f"{side}_in_view"][row], seen)
            known = convert(valid[part], "assemblyhands21", "openpose21")[:, 0]
            assert np.array_equal(rows[f"{side}_valid"][row], known)
            corner = [*box[:2], box[2] - box[0], box[3] - box[1]]
            assert np.allclose(rows[f"{side}_bbox"][row], corner, atol=1e-3)
    assert checked == len(rows["sample_id"]) == 45


def test_keypoints_are_the_projection_of_the_joints(tree):
    _, rows = prepare(tree)
    for sample_id, _, _, _, annotation in every_image(tree, official.recordings("val")):
        if sample_id in rows["sample_id"] and annotation["bbox"]["right"]:
            row = row_of(rows, sample_id)
            uv = project(rows["right_joints"][row].astype(float), rows["K"][row])
            given = np.array(annotation["keypoints"])[:21, :2]
            assert np.allclose(
                uv, convert(given, "assemblyhands21", "openpose21"), rtol=1e-5, atol=2e-3
            )


def test_the_wrist_of_one_image_by_hand(tree):
    _, rows = prepare(tree)
    joints = json.loads((tree / f"{VAL}_joint_3d_v1-1.json").read_text())["annotations"]
    calib = json.loads((tree / f"{VAL}_ego_calib_v1-1.json").read_text())["calibration"]
    name = official.SEQUENCES["val"][1]
    view = np.array(calib[name]["extrinsics"]["006667"]["HMC_21110305_mono10bit"])
    x, y, z = joints[name]["006667"]["world_coord"][41]  # the left wrist
    expected = view[:, 0] * x + view[:, 1] * y + view[:, 2] * z + view[:, 3]
    row = row_of(rows, f"val/{name}/HMC_21110305/006667")
    assert np.allclose(rows["left_joints"][row, 0], expected, atol=1e-3)
    pose = rows["T_world_from_camera"][row]
    back = camera_to_world(rows["left_joints"][row, :1].astype(float), pose)
    assert np.allclose(back[0], (x, y, z), atol=1e-3)


def test_rows_say_where_they_come_from(tree):
    _, rows = prepare(tree)
    name = official.SEQUENCES["val"][0]
    row = row_of(rows, f"val/{name}/HMC_84347414/000520")
    found = {key: rows[key][row] for key in ("sequence", "subject", "camera", "frame", "image")}
    assert found == {
        "sequence": name,
        "subject": "9012",
        "camera": "HMC_84347414",
        "frame": 520,
        "image": f"images/ego_images_rectified/val/{name}/HMC_84347414_mono10bit/000520.jpg",
    }
    assert (rows["width"][row], rows["height"][row]) == (636, 480)
    assert rows["time"][row] == pytest.approx(520 / 60)


def test_hand_types_and_the_box_around_both_follow_the_boxes(tree):
    _, rows = prepare(tree)
    name = official.SEQUENCES["val"][0]
    types = {c: rows["hand_type"][row_of(rows, f"val/{name}/HMC_{c}/000520")]
             for c in official.HEADSETS[0]}  # fmt: skip
    assert list(types.values()) == ["interacting", "interacting", "left", "right"]
    row = row_of(rows, f"val/{name}/HMC_84346135/000520")
    both = np.stack([rows["right_bbox"][row], rows["left_bbox"][row]])
    ends = (both[:, :2] + both[:, 2:]).max(axis=0)
    assert np.allclose(rows["bbox"][row, :2], both[:, :2].min(axis=0))
    assert np.allclose(rows["bbox"][row, :2] + rows["bbox"][row, 2:], ends)
    row = row_of(rows, f"val/{name}/HMC_84355350/000520")
    assert np.array_equal(rows["bbox"][row], rows["left_bbox"][row])


def test_rows_are_sorted_and_gaps_have_no_interval(tree):
    _, rows = prepare(tree)
    keys = list(zip(rows["sequence"], rows["camera"], rows["frame"], strict=True))
    assert keys == sorted(keys)
    here = (rows["sequence"] == official.SEQUENCES["val"][1]) & (rows["camera"] == "HMC_21110305")
    assert rows["frame"][here].tolist() == [6667, 6669, 6671, 6677, 6679, 6681]
    assert np.isnan(rows["interval"][here]).tolist() == [True, True, False, True, True, False]
    assert np.allclose(rows["interval"][here][[2, 5]], 1 / 30)


def test_images_without_a_camera_pose_are_left_out_and_counted(tree):
    manifest, rows = prepare(tree)
    name, frame = official.SEQUENCES["val"][0], 520 + 2 * official.WITHOUT_POSE + 4
    assert manifest["counts"]["images without a camera pose"] == 1
    assert (manifest["counts"]["images"], manifest["counts"]["samples"]) == (46, 45)
    assert f"val/{name}/HMC_84347414/{frame:06d}" in rows["sample_id"]
    assert f"val/{name}/HMC_84346135/{frame:06d}" not in rows["sample_id"]


def test_counts_of_the_manifest(tree):
    manifest, rows = prepare(tree)
    counts = manifest["counts"]
    assert (counts["sequences"], counts["cameras"]) == (2, 8)
    for kind in ("right", "left", "interacting"):
        assert counts[kind] == (rows["hand_type"] == kind).sum() > 0
    assert counts["hands"] == counts["right"] + counts["left"] + 2 * counts["interacting"]
    assert counts["hands withheld"] == counts["images without a hand"] == 0
    assert manifest["release"] == "v1-1" and manifest["complete"] and manifest["expected"] == {}
    assert any("rounded" in note for note in manifest["notes"])
    assert [item["path"].rsplit("_", 2)[-2] for item in manifest["files"]] == [
        "data",
        "calib",
        "3d",
    ]


def test_a_partial_test_split_is_not_the_official_one(tmp_path, home):
    official.write_split(tmp_path, "test")
    manifest, _ = prepare(tmp_path, "test")
    (warning,) = data.count_warnings(manifest)
    assert warning.what.startswith("is not the official release: 46 images, not 61,725")


def test_names_with_and_without_suffix_are_the_same_camera(tree):
    expected = prepare(tree)[1]
    official.edit(tree / f"{VAL}_ego_data_v1-1.json", lambda d: [
        i.update(camera=i["camera"] + "_mono10bit") for i in d["images"]])  # fmt: skip

    def shorten(calib):
        for value in calib["calibration"].values():
            for frame in value["extrinsics"].values():
                for camera in list(frame):
                    frame[camera.removesuffix("_mono10bit")] = frame.pop(camera)

    official.edit(tree / f"{VAL}_ego_calib_v1-1.json", shorten)
    found = prepare(tree)[1]
    assert (found["sample_id"] == expected["sample_id"]).all()
    assert np.array_equal(found["right_joints"], expected["right_joints"])


def test_root_may_be_the_annotations_folder_itself(tree):
    expected = prepare(tree)[0]["sha256"]
    assert prepare(tree / "annotations")[0]["sha256"] == expected


def test_the_order_of_the_files_does_not_matter(tree):
    expected = prepare(tree)[0]["sha256"]
    official.edit(tree / f"{VAL}_ego_data_v1-1.json", lambda d: d["annotations"].reverse())
    official.edit(tree / f"{VAL}_ego_data_v1-1.json", lambda d: d["images"].sort(key=str))
    assert prepare(tree)[0]["sha256"] == expected


def test_of_several_versions_the_newest_is_read_and_the_others_are_named(tree):
    official.write_split(tree, "val", version="v1-10", frames=4)
    manifest, rows = prepare(tree)
    assert manifest["release"] == "v1-10" and len(rows["sample_id"]) < 45
    assert manifest["notes"][0] == (
        "val/assemblyhands_val_ego_data_v1-10.json was read, not "
        "val/assemblyhands_val_ego_data_v1-1.json."
    )


def test_without_joint_3d_the_truth_is_withheld_but_ids_boxes_and_cameras_are_there(challenge):
    manifest, rows = prepare(challenge, "test")
    assert manifest["release"] == "iccv23-v1-3"
    assert manifest["counts"]["hands withheld"] == manifest["counts"]["hands"] > 0
    assert "There is no joint_3d file: the truth is withheld, joints are null." in manifest["notes"]
    assert not (rows["right_given"] | rows["left_given"]).any()
    assert not (rows["right_valid"] | rows["left_valid"]).any()
    assert rows["right_boxed"].sum() + rows["left_boxed"].sum() == manifest["counts"]["hands"]
    assert np.allclose(rows["K"][0], official.recordings("test")[0].K)


def test_constant_poses_are_withheld_truth(tmp_path, home):
    official.write_s2d(tmp_path)
    manifest, rows = prepare(tmp_path, "test")
    assert manifest["counts"]["hands withheld"] == manifest["counts"]["hands"] > 0
    assert "all joints at one point in assemblyhands_test_joint_3d" in " ".join(manifest["notes"])
    assert not (rows["right_given"] | rows["left_given"]).any()


def test_a_calibration_in_another_folder_of_the_split_is_used_with_a_note(challenge):
    official.write_split(challenge, "test")
    (challenge / f"{CHALLENGE}_calib_iccv23-v1-3.json").unlink()
    manifest, rows = prepare(challenge, "test")
    assert manifest["release"] == "iccv23-v1-3" and len(rows["sample_id"]) == 45
    assert any("test-iccv2023 holds no calibration" in note for note in manifest["notes"])


def test_annotations_without_joint_valid_have_no_view_mask(challenge):
    official.edit(challenge / f"{CHALLENGE}_ego_data_iccv23-v1-3.json", lambda d: [
        a.pop("joint_valid") for a in d["annotations"]])  # fmt: skip
    manifest, rows = prepare(challenge, "test")
    assert not rows["right_seen"].any()
    assert any("46 annotations have no joint_valid" in note for note in manifest["notes"])


def test_an_image_without_any_box_asks_for_no_hand(tree):
    official.edit(tree / f"{VAL}_ego_data_v1-1.json", lambda d: [
        a.update(bbox={"right": None, "left": None}) for a in d["annotations"]])  # fmt: skip
    manifest, rows = prepare(tree)
    assert manifest["counts"]["images without a hand"] == 45 and manifest["counts"]["hands"] == 0
    assert all(kind is None for kind in rows["hand_type"]) and not rows["boxed"].any()
    assert not rows["hand_type_valid"].any()


def test_the_template_says_which_instants_are_asked(challenge):
    manifest, rows = prepare(challenge, "two-hand-test")
    wanted = [
        f"two-hand-test/{r.name}/{f:06d}" for r in official.recordings("test") for f in r.frames[1:]
    ]
    assert rows["sample_id"].tolist() == sorted(wanted)
    assert manifest["counts"]["samples"] == 10 and manifest["counts"]["hands withheld"] == 20
    assert manifest["files"][-1]["path"].endswith("_pred_template.json")
    assert set(rows["hand_type"]) == {"interacting"}
    assert not (rows["right_given"] | rows["left_given"]).any()


def test_official_counts_of_the_two_hand_test_are_asked_for(challenge):
    manifest, _ = prepare(challenge, "two-hand-test")
    (warning,) = data.count_warnings(manifest)
    for part in (
        "10 samples, not 25,885",
        "46 images, not 61,725",
        "5 frames of 9034-c08b, not 8,309",
        "5 frames of 9021-c10a, not 7,461",
        "0 frames of 9061-c13d, not 3,192",
        "0 frames of 9074-a29, not 6,923",
    ):
        assert part in warning.what


def test_a_private_joint_3d_gives_the_truth_of_instants_in_the_world(tmp_path, home):
    made = official.write_hands2023(tmp_path, private=True)
    manifest, rows = prepare(tmp_path, "two-hand-test")
    assert manifest["counts"]["hands withheld"] == 0
    for r in made:
        for f, frame in enumerate(r.frames[1:], start=1):
            row = row_of(rows, f"two-hand-test/{r.name}/{frame:06d}")
            for side, part in HANDS:
                joints = convert(r.joints[f][part], "assemblyhands21", "openpose21")
                assert np.allclose(rows[f"{side}_joints"][row], joints, atol=1e-3)
                assert rows[f"{side}_valid"][row].sum() >= 20


def test_views_of_instants_are_the_rows_of_the_images(challenge):
    _, images = prepare(challenge, "test")
    prepare(challenge, "two-hand-test")
    views = read(opened("two-hand-test").views())
    instants = read(opened("two-hand-test"))
    asked = set(zip(instants["sequence"], instants["frame"], strict=True))
    assert set(zip(views["sequence"], views["frame"], strict=True)) == asked
    for k, sample_id in enumerate(views["sample_id"]):
        row = row_of(images, sample_id)
        for name in ("camera", "K", "T_world_from_camera", "right_bbox", "image"):
            assert np.array_equal(views[name][k], images[name][row]), name
    assert len(views["sample_id"]) == 37


def test_a_hand_of_an_instant_is_asked_where_some_view_has_a_box(challenge):
    def no_left(content):
        images = {image["id"]: image for image in content["images"]}
        for a in content["annotations"]:
            if images[a["image_id"]]["frame_idx"] == 522:
                a["bbox"]["left"] = None

    official.edit(challenge / f"{CHALLENGE}_ego_data_iccv23-v1-3.json", no_left)
    _, rows = prepare(challenge, "two-hand-test")
    kinds = dict(zip(rows["frame"], rows["hand_type"], strict=True))
    assert kinds[522] == "right" and kinds[524] == "interacting"


def test_without_a_template_every_instant_is_asked(challenge):
    shutil.rmtree(challenge / "annotations/test-iccv2023/template")
    manifest, rows = prepare(challenge, "two-hand-test")
    assert len(rows["sample_id"]) == 12
    assert any("no prediction template" in note for note in manifest["notes"])


def test_tables_whose_files_are_not_there_are_skipped(tree):
    assert set(data.prepare("assemblyhands", tree)) == {"val"}


def break_file(kind, change):
    return lambda root: official.edit(root / f"{VAL}_{kind}_v1-1.json", change)


def first(calib: dict) -> dict:
    return calib["calibration"][official.SEQUENCES["val"][0]]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda r: (r / f"{VAL}_ego_calib_v1-1.json").unlink(), r"HB202 .* lacks .*ego_calib_v1-1"),
        (lambda r: shutil.rmtree(r / "annotations/val"), r"HB202 .*no annotations of split 'val'"),
        (
            lambda r: (r / f"{VAL}_ego_data_v1-1.json").write_text('{"images": [{"id": 1'),
            "HB203 .* not valid JSON",
        ),
        (lambda r: (r / f"{VAL}_joint_3d_v1-1.json").write_text("{}"), "HB203 .*holds no sequence"),
        (lambda r: (r / f"{VAL}_ego_data_v1-1.json").write_text("{}"), "HB203 .*lists no images"),
        (break_file("ego_data", lambda d: d["images"][0].pop("camera")), "HB203 .*KeyError 'cam"),
        (
            break_file("ego_data", lambda d: d["annotations"][0]["joint_valid"].pop()),
            "HB203 .*a joint_valid of 41",
        ),
        (
            break_file("ego_data", lambda d: d["annotations"][0].update(bbox={"left": [1, 2, 3]})),
            "HB203 .*a bbox of 3 numbers",
        ),
        (
            break_file(
                "ego_data", lambda d: [a.update(bbox={"left": [300, 200, 50, 60]})
                                       for a in d["annotations"]]),
            "HB203 .*second corner before the first",
        ),
        (break_file("ego_data", lambda d: d["images"].pop()), "HB204 .*points to image"),
        (
            break_file("ego_data", lambda d: d["images"].append(d["images"][0])),
            "HB204 .*image ids occur twice",
        ),
        (
            break_file("ego_data", lambda d: d["annotations"].append(d["annotations"][0])),
            "HB204 .*1 images are annotated more than once",
        ),
        (
            break_file("ego_calib", lambda d: d["calibration"].pop(official.SEQUENCES["val"][0])),
            "HB204 .*has no camera at all for nusar.*9012",
        ),
        (
            break_file("ego_calib", lambda d: first(d)["intrinsics"].popitem()),
            "HB204 .*has no HMC_84358933 for",
        ),
        (
            break_file("ego_calib", lambda d: first(d)["extrinsics"].update({
                "520": first(d)["extrinsics"]["000520"]})),
            "HB204 .*frame 520 is given more than once",
        ),
        (
            break_file("ego_calib", lambda d: [v["extrinsics"].clear()
                                               for v in d["calibration"].values()]),
            "HB204 .*no camera pose for any image",
        ),
        (
            break_file("ego_calib", lambda d: first(d)["extrinsics"]["000520"].update(
                HMC_84346135_mono10bit=[[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]])),
            "HB203 .*no rotation and translation",
        ),
        (
            break_file("joint_3d", lambda d: d["annotations"][official.SEQUENCES["val"][1]].pop(
                "006669")),
            r"HB204 .*has no nusar.*9081.*frame 006669, which is asked for \(3 like",
        ),
        (
            break_file("joint_3d", lambda d: d["annotations"].pop(official.SEQUENCES["val"][1])),
            "HB204 .*has no nusar.*9081.*frame 006667",
        ),
    ],
)  # fmt: skip
def test_damaged_official_files_are_named(tree, break_it, message):
    break_it(tree)
    with pytest.raises(DatasetError, match=message):
        data.prepare("assemblyhands", tree, split="val")
    assert not (data.folder("assemblyhands", "val") / "annotations.parquet").exists()


def test_a_template_of_another_challenge_is_named(challenge):
    (template,) = challenge.glob("annotations/*/template/*.json")
    template.write_text(json.dumps({"annotations": {"HMC_1+HMC_2": {"seq": {}}}}))
    with pytest.raises(DatasetError, match=r"HB203 .*pred_template.*ValueError"):
        data.prepare("assemblyhands", challenge, split="two-hand-test")
    template.write_text(json.dumps({"annotations": {"other": {"000001": {}}}}))
    with pytest.raises(DatasetError, match=r"HB204 .*asks for other, of which"):
        data.prepare("assemblyhands", challenge, split="two-hand-test")
