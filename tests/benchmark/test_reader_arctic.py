"""The reader of ARCTIC: every source of its annotations, and every pitfall of the files."""

import json
import shutil

import numpy as np
import pytest

from benchmark.official import arctic as official
from benchmark.official.mano import make_hand, write_npz
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.errors import DatasetError
from hand_bench.geometry import project
from hand_bench.hand_model import HandModel
from hand_bench.joint_sets import convert

WORLD = official.World()
IMAGES = WORLD.frames - 20
TABLES = list(data.DATASETS["arctic"].splits)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The whole dataset with split files, once."""
    root = tmp_path_factory.mktemp("arctic")
    official.write_meta(root, WORLD)
    official.write_splits(root, WORLD)
    return root


@pytest.fixture
def tree(written, tmp_path, home, monkeypatch):
    monkeypatch.delenv("HAND_BENCH_MANO", raising=False)
    shutil.copytree(written, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def no_mano(home, monkeypatch):
    monkeypatch.delenv("HAND_BENCH_MANO", raising=False)


def write_models(folder):
    for side, hand in official.hands().items():
        write_npz(folder / f"MANO_{side.upper()}.npz", hand)


def prepare(root, table):
    return data.prepare("arctic", root, split=table)[table]


def read(table):
    annotations = Annotations.open(data.folder("arctic", table) / "annotations.parquet")
    batches = list(annotations.batches(SCHEMA.names))
    columns = {n: np.concatenate([b[n] for b in batches]) for n in SCHEMA.names if n != "sample_id"}
    columns["sample_id"] = np.array(annotations.ids().to_pylist())
    for name in ("joints", "bbox", "mano", "valid"):
        for side in ("right", "left"):
            given = np.concatenate([b.given(f"{side}_{name}") for b in batches])
            columns[f"{side}_{name}_given"] = given
    return columns


def without(root, *keys):
    """Remove the files of a table's other sources."""
    for key in keys:
        shutil.rmtree(root / key)


def edit_split(root, name, change):
    path = root / f"splits/{name}.npy"
    content = np.load(path, allow_pickle=True).item()
    change(content)
    official.save(path, content)


def row_of(rows, sample_id):
    return int(np.flatnonzero(rows["sample_id"] == sample_id)[0])


def test_joints_are_those_of_the_file_in_millimetres_and_openpose_order(tree):
    prepare(tree, "ego-val")
    rows = read("ego-val")
    for name in WORLD.val:
        cam = official.sequence(WORLD, name)["cam_coord"]
        for stem in range(10, 10 + IMAGES):
            row = row_of(rows, f"val/{name}/0/{stem:05d}")
            for side in ("right", "left"):
                joints = cam[f"joints.{side}"][stem - WORLD.offset, 0] * 1000
                expected = convert(joints, "mano21", "openpose21")
                assert np.allclose(rows[f"{side}_joints"][row], expected, atol=1e-3)


def test_rows_are_named_sorted_and_dated(tree):
    prepare(tree, "allo-val")
    rows = read("allo-val")
    assert len(rows["sample_id"]) == len(WORLD.val) * 8 * IMAGES
    assert rows["sample_id"][0] == "val/s05/box_use_01/1/00010"
    keys = list(zip(rows["sequence"], rows["camera"], rows["frame"], strict=True))
    assert keys == sorted(keys)
    first = slice(0, IMAGES)
    assert rows["frame"][first].tolist() == [10, 11, 12, 13, 14]
    assert np.allclose(rows["time"][first], np.arange(10, 15) / 30)
    assert np.isnan(rows["interval"][:2]).all() and np.allclose(rows["interval"][2:5], 1 / 30)
    assert np.isnan(rows["interval"][5:7]).all()
    assert set(rows["camera"]) == set("12345678")
    assert set(rows["object"]) == {"box", "ketchup"} and set(rows["action"]) == {"use", "grab"}
    assert set(rows["hand_type"]) == {"interacting"} and not rows["hand_type_valid"].any()
    assert set(rows["subject"]) == {"s05"}
    assert rows["image"][0] == "cropped_images/s05/box_use_01/1/00010.jpg"


@pytest.mark.parametrize("table", ["ego-val", "allo-val"])
def test_a_hand_counts_where_hand_and_object_are_in_view(tree, table):
    prepare(tree, table)
    rows = read(table)
    seen = set()
    for k, sample_id in enumerate(rows["sample_id"]):
        _, subject, sequence, view, stem = sample_id.split("/")
        cam = official.sequence(WORLD, f"{subject}/{sequence}")["cam_coord"]
        at = int(stem) - WORLD.offset, int(view)
        for side in ("right", "left"):
            flags = cam[f"{side}_valid"][at], cam["is_valid"][at]
            seen.add(flags)
            assert (rows[f"{side}_valid"][k] == (flags == (1, 1))).all()
            assert (rows[f"{side}_in_view"][k] == (flags == (1, 1))).all()
            assert rows[f"{side}_joints_given"][k]
    assert seen == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_intrinsics_and_boxes_of_the_egocentric_view_are_those_of_the_small_image(tree):
    prepare(tree, "ego-val")
    rows = read("ego-val")
    assert set(rows["width"]) == {840} and set(rows["height"]) == {600}
    expected = official.EGO_K * [[0.3], [0.3], [1]]
    assert np.allclose(rows["K"], expected)
    assert np.allclose(rows["distortion"], official.DISTORTION)
    assert np.allclose(rows["bbox"], [0, -120, 840, 840], atol=1e-3)
    flat = official.sequence(WORLD, "s05/box_use_01")["2d"]["joints.right"]
    for stem in range(10, 15):
        row = row_of(rows, f"val/s05/box_use_01/0/{stem:05d}")
        points = flat[stem - WORLD.offset, 9] * 0.3  # the distorted points lie on the image
        low, high = np.clip(points.min(0), 0, (840, 600)), np.clip(points.max(0), 0, (840, 600))
        if rows["right_bbox_given"][row]:
            assert np.allclose(rows["right_bbox"][row], [*low, *(high - low)], atol=1e-2)
        else:
            assert (high <= low).any()


def test_joints_project_into_the_crops_of_the_other_views(tree):
    prepare(tree, "allo-val")
    rows = read("allo-val")
    assert set(rows["width"]) == {1000} and set(rows["height"]) == {1000}
    assert np.allclose(rows["bbox"], [500 - 1000 / 3, 500 - 1000 / 3, 2000 / 3, 2000 / 3], atol=0.1)
    content = official.sequence(WORLD, "s05/box_use_01")
    for view in (1, 8):
        row = row_of(rows, f"val/s05/box_use_01/{view}/00012")
        at = 12 - WORLD.offset
        cx, cy, scale = content["bbox"][at, view]
        full = content["2d"]["joints.left"][at, view]
        side = 1.5 * 200 * scale
        expected = (full - [cx - side / 2, cy - side / 2]) * 1000 / side
        found = project(rows["left_joints"][row].astype(float), rows["K"][row])
        assert np.allclose(found, convert(expected, "mano21", "openpose21"), atol=0.05)


def test_only_full_images_on_disk_give_the_full_images_cameras(tree):
    (tree / "images").mkdir()
    notes = prepare(tree, "ego-val")["notes"] + prepare(tree, "allo-val")["notes"]
    assert notes.count("Width, height, K and boxes are those of images.") == 2
    ego, others = read("ego-val"), read("allo-val")
    assert np.allclose(ego["K"], official.EGO_K) and set(ego["width"]) == {2800}
    first = others["camera"] == "1"
    assert set(others["width"][first]) == {2000} and set(others["height"][first]) == {2800}
    assert np.allclose(others["K"][first][0], official.misc(WORLD)["s05"]["intris_mat"][0])
    assert ego["image"][0] == "images/s05/box_use_01/0/00010.jpg"
    (tree / "cropped_images").mkdir()
    data.prepare("arctic", tree, split="ego-val", again=True)
    assert set(read("ego-val")["width"]) == {840}


def test_poses_of_the_cameras_lead_back_to_one_world(tree):
    for table in ("ego-val", "allo-val"):
        prepare(tree, table)
    rows = {table: read(table) for table in ("ego-val", "allo-val")}
    worlds = []
    for table, view in (("ego-val", 0), ("allo-val", 1), ("allo-val", 8)):
        row = row_of(rows[table], f"val/s05/box_use_01/{view}/00011")
        pose = rows[table]["T_world_from_camera"][row]
        worlds.append(rows[table]["right_joints"][row] @ pose[:3, :3].T + pose[:3, 3])
    assert np.allclose(worlds[0], worlds[1], atol=0.01)
    assert np.allclose(worlds[0], worlds[2], atol=0.01)


@pytest.mark.parametrize("place", ["data/arctic_data/data", "arctic_data/data", "data", ""])
def test_the_data_folder_is_found_below_the_root(written, tmp_path, no_mano, place):
    root = tmp_path / "root"
    shutil.copytree(written, root / place)
    prepare(root, "ego-val")
    prefix = f"{place}/" if place else ""
    assert read("ego-val")["image"][0] == f"{prefix}cropped_images/s05/box_use_01/0/00010.jpg"


@pytest.mark.parametrize("table", ["ego-val", "allo-val"])
def test_single_sequences_give_what_the_split_file_gives(tree, table):
    prepare(tree, table)
    of_split = read(table)
    official.write_processed(tree, WORLD, WORLD.val)
    without(tree, "splits")
    manifest = prepare(tree, table)
    assert manifest["release"].endswith("(processed)") and manifest["complete"]
    found = read(table)
    for name, values in of_split.items():
        equal = values.dtype.kind == "f"
        assert np.array_equal(found[name], values, equal_nan=equal), name


def test_single_sequences_come_first_only_if_all_are_there(tree):
    official.write_processed(tree, WORLD, WORLD.val[:1])
    assert prepare(tree, "ego-val")["release"].endswith("(splits)")
    official.write_processed(tree, WORLD, WORLD.val)
    data.prepare("arctic", tree, split="ego-val", again=True)
    assert data.prepared()[0]["release"].endswith("(processed)")


def test_a_partial_copy_is_prepared_and_says_what_is_absent(tree):
    without(tree, "splits")
    official.write_processed(tree, WORLD, WORLD.val[:1])
    manifest = prepare(tree, "ego-val")
    assert not manifest["complete"]
    assert manifest["counts"]["sequences"] == 1 and manifest["expected"]["sequences"] == 2
    assert (
        "1 of the 2 listed sequences are not there: s05/ketchup_grab_02_retake."
        in (manifest["notes"])
    )
    assert "1 sequences, not 2" in str(data.count_warnings(manifest)[0])
    official.write_processed(tree, WORLD, WORLD.val)
    assert prepare(tree, "ego-val")["complete"]  # the new file is noticed


@pytest.mark.parametrize("table", ["ego-val", "allo-val"])
def test_raw_sequences_give_the_joints_by_the_hand_model(tree, home, table):
    prepare(tree, table)
    of_split = read(table)
    without(tree, "splits")
    official.write_raw(tree, WORLD, WORLD.val)
    write_models(home / "mano")
    manifest = prepare(tree, table)
    found = read(table)
    assert np.array_equal(found["sample_id"], of_split["sample_id"])
    for side in ("right", "left"):
        joints = found[f"{side}_joints"], of_split[f"{side}_joints"]
        assert np.allclose(*joints, atol=1e-2)
        assert found[f"{side}_valid"].sum() >= of_split[f"{side}_valid"].sum()
    assert not manifest["complete"]
    assert any("is_valid is unknown: official MPJPE will differ" in n for n in manifest["notes"])
    if table == "ego-val":
        assert np.allclose(found["right_bbox"], of_split["right_bbox"], atol=0.01)
        expected = [
            official.sequence(WORLD, name)["cam_coord"]["right_valid"][stem - WORLD.offset, 0] == 1
            for name in WORLD.val for stem in range(10, 15)
        ]  # fmt: skip
        assert found["right_valid"][:, 0].tolist() == expected
    else:
        assert found["image"][0] == "images/s05/box_use_01/1/00010.jpg"
        assert set(found["width"]) == {2000, 2800}


def test_raw_sequences_without_the_hand_model_say_what_is_lacking(tree):
    without(tree, "splits")
    official.write_raw(tree, WORLD, WORLD.val)
    with pytest.raises(DatasetError, match=r"HB202 .*has only raw_seqs for ego-val") as error:
        prepare(tree, "ego-val")
    assert "https://mano.is.tue.mpg.de" in str(error.value)


def test_parameters_are_brought_into_the_camera_where_mano_is_there(tree, home):
    prepare(tree, "allo-val")
    assert not read("allo-val")["right_mano_given"].any()
    write_models(tree / "body_models/mano")
    manifest = data.prepare("arctic", tree, split="allo-val", again=True)["allo-val"]
    assert not any("MANO" in note for note in manifest["notes"])
    rows = read("allo-val")
    for side in ("right", "left"):
        model = HandModel.load(tree / f"body_models/mano/MANO_{side.upper()}.npz")
        mano = rows[f"{side}_mano"].astype(float)
        joints = model.joints(rotvec=mano[:, :48].reshape(-1, 16, 3), betas=mano[:, 48:58],
                              translation=mano[:, 58:], flat_hand_mean=False)  # fmt: skip
        expected = convert(rows[f"{side}_joints"], "openpose21", "mano21")
        assert np.allclose(joints, expected, atol=0.02)


def test_another_hand_model_is_not_used(tree, home):
    for side in ("RIGHT", "LEFT"):
        write_npz(home / f"mano/MANO_{side}.npz", make_hand(seed=9))
    manifest = prepare(tree, "ego-val")
    assert any("misses the joints of s05/box_use_01 by" in note for note in manifest["notes"])
    assert not read("ego-val")["right_mano_given"].any()


@pytest.mark.parametrize("table", ["ego-test", "allo-test"])
def test_the_test_split_has_images_but_no_truth(tree, table):
    manifest = prepare(tree, table)
    rows = read(table)
    count = IMAGES * (1 if table == "ego-test" else 8)
    assert manifest["counts"] == {"samples": count, "sequences": 1, "hands withheld": 2 * count}
    assert rows["sample_id"][0].startswith("test/s03/laptop_use_01/")
    for side in ("right", "left"):
        for kind in ("joints", "bbox", "valid", "mano"):
            assert not rows[f"{side}_{kind}_given"].any()
    assert (rows["bbox"][:, 2] > 0).all() and (rows["K"][:, 0, 0] > 0).all()
    assert np.allclose(rows["distortion"][0], official.DISTORTION) == (table == "ego-test")


def test_every_table_is_prepared_at_once_and_counted(tree):
    done = data.prepare("arctic", tree)
    assert list(done) == TABLES
    assert all(manifest["complete"] for manifest in done.values())
    assert done["ego-train"]["counts"]["samples"] == 2 * IMAGES
    assert data.prepare("arctic", tree)["ego-val"]["skipped"]
    rows = read("ego-val")
    counts = done["ego-val"]["counts"]
    assert counts["valid right hands"] == rows["right_valid"][:, 0].sum() > 0
    assert counts["valid left hands"] == rows["left_valid"][:, 0].sum()


def test_tables_without_files_are_skipped(tree):
    for protocol in ("p1", "p2"):
        (tree / f"splits/{protocol}_test.npy").unlink()
        (tree / f"splits/{protocol}_train.npy").unlink()
    assert list(data.prepare("arctic", tree)) == ["ego-val", "allo-val"]


def test_train_is_what_is_listed_less_val_and_test(tree):
    path = tree / "splits_json/protocol_p2.json"
    lists = json.loads(path.read_text())
    lists["train"] += lists["val"] + lists["test"]
    path.write_text(json.dumps(lists))
    assert prepare(tree, "ego-train")["counts"]["sequences"] == 2


def test_frames_are_those_of_the_image_names(tree):
    def drop(content):
        names = content["imgnames"]
        content["imgnames"] = [
            n.replace("./arctic_data", "/somewhere/else") for n in names if "00012" not in n
        ]

    edit_split(tree, "p2_val", drop)
    prepare(tree, "ego-val")
    rows = read("ego-val")
    assert rows["frame"][:4].tolist() == [10, 11, 13, 14]
    assert np.isnan(rows["interval"][:4]).all()


def test_intrinsics_given_once_serve_all_frames(tree):
    prepare(tree, "ego-val")
    before = read("ego-val")

    def once(content):
        for sequence in content["data_dict"].values():
            for key in ("K_ego", "dist"):
                sequence["params"][key] = sequence["params"][key][0]

    edit_split(tree, "p2_val", once)
    prepare(tree, "ego-val")
    after = read("ego-val")
    assert np.array_equal(before["K"], after["K"])
    assert np.array_equal(before["distortion"], after["distortion"])


def test_hands_behind_the_camera_have_no_box(tree):
    def behind(content):
        content["data_dict"]["s05/box_use_01"]["cam_coord"]["joints.right"][:, 0, 5, 2] = -0.1

    edit_split(tree, "p2_val", behind)
    prepare(tree, "ego-val")
    assert not read("ego-val")["right_bbox_given"][:IMAGES].any()


def first(content):
    return content["data_dict"]["s05/box_use_01"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("imgnames"), "HB203 .*has not the keys data_dict and imgnames"),
        (lambda c: first(c).pop("cam_coord"), "HB203 .*nothing as cam_coord joints.right of s05"),
        (lambda c: first(c)["cam_coord"].pop("is_valid"), "HB203 .*nothing as cam_coord is_valid"),
        (
            lambda c: first(c)["cam_coord"].update({"joints.left": np.zeros((25, 9, 21, 3))}),
            r"HB203 .*shape \(25, 9, 21, 3\) as cam_coord joints.left of s05/box_use_01",
        ),
        (
            lambda c: first(c)["cam_coord"]["joints.left"].fill(np.nan),
            "HB203 .*NaN or infinite values in cam_coord joints.left",
        ),
        (lambda c: first(c)["cam_coord"]["is_valid"].fill(2), "HB203 .*other than 0 and 1"),
        (
            lambda c: first(c)["params"]["world2ego"].fill(0),
            "HB203 .*params world2ego of s05/box_use_01 that is no rotation",
        ),
        (lambda c: first(c)["params"].pop("K_ego"), "HB203 .*params K_ego of s05/box_use_01"),
        (
            lambda c: c["data_dict"].update({"s09/box_use_01": first(c)}),
            "HB204 .*1 sequences that protocol_p2.json does not list in val, e.g. s09/box_use_01",
        ),
        (
            lambda c: c["data_dict"].pop("s05/box_use_01"),
            "HB204 .*names images of s05/box_use_01, which its data_dict has not",
        ),
        (lambda c: c["imgnames"].append(c["imgnames"][0]), "HB204 .*image of .* twice"),
        (
            lambda c: c["imgnames"].append("x/s05/box_use_01/4/00010.jpg"),
            "HB204 .*names images of view 4",
        ),
        (lambda c: c["imgnames"].append("nonsense.jpg"), "HB203 .*image name 'nonsense.jpg'"),
        (
            lambda c: c["imgnames"].append("x/s05/box_use_01/0/00099.jpg"),
            "HB204 .*ioi_offset 2: image 00099 of s05/box_use_01 would be annotation 97 of 25",
        ),
    ],
)
def test_damaged_split_files_are_named(tree, change, message):
    edit_split(tree, "p2_val", change)
    with pytest.raises(DatasetError, match=message):
        prepare(tree, "ego-val")
    assert not (data.folder("arctic", "ego-val") / "annotations.parquet").exists()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda r: shutil.rmtree(r / "splits"), "HB202 .*holds no sequence of ego-val"),
        (lambda r: shutil.rmtree(r / "splits_json"), "HB202 .*no splits_json/protocol_p2.json"),
        (lambda r: shutil.rmtree(r / "meta"), r"HB202 .*misc\.json: is not there"),
        (lambda r: (r / "meta/misc.json").write_text("{"), "HB203 .*misc.json.* not valid JSON"),
        (
            lambda r: official.write_json(r / "meta/misc.json", {"s01": {}}),
            "HB204 .*has no image_size, intris_mat, ioi_offset, world2cam of subject s05",
        ),
        (
            lambda r: official.write_json(r / "splits_json/protocol_p2.json", {"train": []}),
            "HB203 .*has not the keys train, val, test",
        ),
        (
            lambda r: official.write_json(
                r / "splits_json/protocol_p2.json",
                {"train": [], "val": ["s05/box_use_01"], "test": ["s05/box_use_01"]},
            ),
            "HB204 .*a sequence twice in val and test",
        ),
        (
            lambda r: (r / "splits/p2_val.npy").write_bytes(b"\x93NUMPY\x01\x00"),
            "HB203 .*p2_val.npy",
        ),
        (
            lambda r: official.save(r / "splits/p2_val.npy", [1, 2]),
            "HB203 .*not a dict of arrays",
        ),
    ],
)
def test_damaged_and_missing_files_are_named(tree, break_it, message):
    break_it(tree)
    with pytest.raises(DatasetError, match=message):
        prepare(tree, "ego-val")


def test_only_what_is_needed_of_a_large_file_is_read(tree, monkeypatch):
    from hand_bench import unpickle

    asked = []
    plain = unpickle.load_npy

    def spy(path, **options):
        content = plain(path, **options)
        asked.append(content["data_dict"]["s05/box_use_01"])
        return asked[-1] and content

    monkeypatch.setattr(unpickle, "load_npy", spy)
    prepare(tree, "ego-val")
    (content,) = asked
    assert content["cam_coord"]["kp3d"] is None and content["2d"]["joints.smplx"] is None
    assert content["cam_coord"]["joints.right"] is not None


@pytest.mark.parametrize("table", ["ego-val", "allo-val"])
def test_shapes_of_raw_sequences_may_be_given_per_frame(tree, home, table):
    without(tree, "splits")
    official.write_raw(tree, WORLD, WORLD.val)
    write_models(home / "mano")
    prepare(tree, table)
    before = read(table)
    path = tree / "raw_seqs/s05/box_use_01.mano.npy"
    content = np.load(path, allow_pickle=True).item()
    for side in content.values():
        side["shape"] = np.repeat(side["shape"][None], WORLD.frames, axis=0)
    official.save(path, content)
    data.prepare("arctic", tree, split=table, again=True)
    assert np.array_equal(before["right_joints"], read(table)["right_joints"])
