"""The bring-your-own layout of several views: every form of table and rig, real rigs, pitfalls."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.official import multiview as official
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.calibration import read_nimble
from hand_bench.errors import DatasetError

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "real" / "assemblyhands" / "calib"
FORMS = ("parquet", "csv", "json", "joint_3d")


def read(annotations: Annotations) -> dict[str, np.ndarray]:
    batches = list(annotations.batches(SCHEMA.names))
    names = ("right_joints", "left_joints", "right_bbox", "left_bbox", "bbox", "width", "time")
    columns = {n: np.concatenate([b[n] for b in batches]) for n in SCHEMA.names if n != "sample_id"}
    columns |= {f"{n} given": np.concatenate([b.given(n) for b in batches]) for n in names}
    return columns | {"sample_id": np.concatenate([b["sample_id"] for b in batches])}


def prepare(root, dataset="desktop-activities", split="test"):
    manifest = data.prepare(dataset, root, split=split)[split]
    opened = Annotations.open(data.folder(dataset, split) / "annotations.parquet")
    return manifest, read(opened), read(opened.views())


@pytest.fixture
def tree(tmp_path, home):
    official.write_multiview(tmp_path)
    return tmp_path


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_table_gives_the_joints_in_the_world(tmp_path, home, form):
    made = official.write_multiview(tmp_path, form)
    _, rows, _ = prepare(tmp_path)
    assert rows["sample_id"][[0, 5]].tolist() == ["test/desk-1/000000", "test/desk-2/000101"]
    assert len(rows["sample_id"]) == 10
    for row, (k, f) in enumerate((k, f) for k in range(2) for f in range(5)):
        for s, side in enumerate(("right", "left")):
            there = form == "joint_3d" or not (k == 1 and s == 1 and f >= 3)
            assert rows[f"{side}_joints given"][row] == there
            if there:
                assert np.allclose(rows[f"{side}_joints"][row], made[k].joints[f, s], atol=1e-3)
                valid = [j != 8 or form == "joint_3d" for j in range(21)]
                assert rows[f"{side}_valid"][row].tolist() == valid
        assert rows["frame"][row] == made[k].frames[f]
        assert rows["time"][row] == pytest.approx(made[k].frames[f] / 60)
    types = ["interacting"] * 8 + (["interacting"] if form == "joint_3d" else ["right"]) * 2
    assert rows["hand_type"].tolist() == types


def test_views_hold_every_camera_with_lens_and_pose(tree):
    _, rows, views = prepare(tree)
    assert len(views["sample_id"]) == 3 * len(rows["sample_id"])
    keys = list(zip(views["sequence"], views["camera"], views["frame"], strict=True))
    assert keys == sorted(keys)
    row = views["sample_id"].tolist().index("test/desk-2/C10115_rgb/000101")
    assert np.allclose(views["K"][row], official.K(1))
    assert np.allclose(views["distortion"][row], official.LENS)
    assert np.allclose(
        np.linalg.inv(views["T_world_from_camera"][row]), official.camera_from_world(1)
    )
    assert (views["width"][row], views["height"][row]) == official.SIZE
    assert np.isnan(views["interval"][:2]).all() and views["interval"][2] == pytest.approx(1 / 30)


def plain_uv(camera: int, points: np.ndarray) -> np.ndarray:
    """Pixels of world points in a camera of the fixture, written out."""
    view, K = official.camera_from_world(camera), official.K(camera)
    k1, k2, p1, p2, k3 = official.LENS[:5]
    pixels = []
    for point in points:
        X, Y, Z = view[:3, :3] @ point + view[:3, 3]
        x, y = X / Z, Y / Z
        r2 = x * x + y * y
        g = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        u, v = x * g + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * g + 2 * p2 * x * y
        pixels.append((K[0, 0] * u + K[0, 2], K[1, 1] * (v + p1 * (r2 + 2 * y * y)) + K[1, 2]))
    return np.array(pixels)


def test_boxes_are_tight_around_the_valid_joints_and_enlarged(tree):
    _, _, views = prepare(tree)
    valid = np.arange(21) != 8
    for camera, serial in enumerate(official.SERIALS):
        row = views["sample_id"].tolist().index(f"test/desk-1/{serial}/000004")
        hands = official.takes()[0].joints[2]
        corners = []
        for s, side in enumerate(("right", "left")):
            uv = plain_uv(camera, hands[s][valid])
            low, high = uv.min(axis=0), uv.max(axis=0)
            size, centre = 1.2 * (high - low), (low + high) / 2
            assert np.allclose(views[f"{side}_bbox"][row], [*(centre - size / 2), *size], atol=0.01)
            corners.append((centre - size / 2, centre + size / 2))
        low, high = np.min([c[0] for c in corners], 0), np.max([c[1] for c in corners], 0)
        assert np.allclose(views["bbox"][row], [*low, *(high - low)], atol=0.02)


def test_a_hand_that_is_not_asked_or_not_seen_has_no_box(tree):
    edit(tree / "rig.json", lambda r: r["cameras"][0].update(width=20, height=20))
    _, _, views = prepare(tree)
    narrow = views["camera"] == official.SERIALS[0]
    assert not views["right_bbox given"][narrow].any() and not views["bbox given"][narrow].any()
    assert views["right_bbox given"][~narrow].all()
    gone = (views["sequence"] == "desk-2") & (views["frame"] >= 107)
    assert not views["left_bbox given"][gone].any() and views["bbox given"][gone & ~narrow].all()


def test_a_camera_that_moves_has_a_pose_for_every_frame(tmp_path, home):
    official.write_multiview(tmp_path, moving=1)
    manifest, _, views = prepare(tmp_path)
    assert manifest["counts"]["views without a camera pose"] == 2
    assert manifest["counts"]["views"] == 28
    here = (views["sequence"] == "desk-1") & (views["camera"] == official.SERIALS[1])
    assert views["frame"][here].tolist() == [2, 4, 6, 8]
    view = official.camera_from_world(1)
    view[2, 3] += 30.0
    assert np.allclose(np.linalg.inv(views["T_world_from_camera"][here][2]), view)


def test_withheld_truth_leaves_ids_and_cameras(tree):
    official.write_table(tree, official.takes(), withheld=True)
    manifest, rows, views = prepare(tree)
    assert manifest["counts"]["hands withheld"] == manifest["counts"]["hands"] == 18
    assert not (rows["right_joints given"] | rows["left_joints given"]).any()
    assert set(rows["hand_type"]) == {"interacting", "right"}
    assert not views["bbox given"].any() and len(views["sample_id"]) == 30


def test_a_csv_cell_that_is_empty_is_a_joint_that_is_not_annotated(tmp_path, home):
    official.write_multiview(tmp_path, "csv")
    path = tmp_path / "annotations.csv"
    head, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    cells[3 + 3 * 4] = ""
    path.write_text("\n".join([head, ",".join(cells), *rest, ""]))
    _, rows, _ = prepare(tmp_path)
    row = rows["sample_id"].tolist().index(f"test/{cells[0]}/{int(cells[1]):06d}")
    assert rows[f"{cells[2]}_joints given"][row]
    assert np.flatnonzero(~rows[f"{cells[2]}_valid"][row]).tolist() == [4, 8]


def test_another_order_of_joints_is_declared_in_the_rig(tree):
    expected = prepare(tree)[1]
    path = official.write_table(tree, official.takes(), "json")
    (tree / "annotations.parquet").unlink()
    order = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]

    def reorder(rows):
        for row in rows:
            for name, width in (("joints", 3), ("valid", 1)):
                values = np.array(row[name]).reshape(21, width)
                changed = np.empty_like(values)
                changed[order] = values
                row[name] = changed.ravel().tolist() if name == "valid" else changed.tolist()

    edit(path, reorder)
    edit(tree / "rig.json", lambda r: r.update(joint_set="assemblyhands21"))
    found = prepare(tree)[1]
    assert np.allclose(found["left_joints"], expected["left_joints"], atol=1e-3)
    assert np.array_equal(found["left_valid"], expected["left_valid"])


def test_images_that_are_there_are_named(tree):
    folder = tree / "images" / "C10095_rgb" / "desk-1"
    folder.mkdir(parents=True)
    (folder / "000002.jpg").touch()
    manifest, _, views = prepare(tree)
    row = views["sample_id"].tolist().index("test/desk-1/C10095_rgb/000002")
    assert views["image"][row] == "images/C10095_rgb/desk-1/000002.jpg"
    assert manifest["counts"]["views without an image"] == 29
    edit(tree / "rig.json", lambda r: r.update(images="png/{sequence}-{frame}-{camera}.png"))
    (tree / "png").mkdir()
    (tree / "png/desk-2-000101-C10118_rgb.png").touch()
    _, _, views = prepare(tree)
    assert [v for v in views["image"] if v] == ["png/desk-2-000101-C10118_rgb.png"]


def test_without_a_frame_rate_there_is_no_time(tree):
    edit(tree / "rig.json", lambda r: r.pop("frame_rate"))
    _, rows, _ = prepare(tree)
    assert not rows["time given"].any() and np.isnan(rows["interval"]).all()


@pytest.mark.parametrize("place", ["rigs", "nimble_json_calib", "calib/nimble_json_calib"])
def test_the_toolkits_calibration_is_a_rig_without_the_headset(tree, place):
    expected = prepare(tree)[2]
    (tree / "rig.json").unlink()
    (tree / place).mkdir(parents=True)
    for name in official.SEQUENCES:
        (tree / place / f"{name}.json").write_text(json.dumps(official.nimble()))
    manifest, _, views = prepare(tree)
    for name in ("sample_id", "K", "distortion", "bbox"):
        assert np.array_equal(views[name], expected[name]), name
    assert np.allclose(views["T_world_from_camera"], expected["T_world_from_camera"])
    assert manifest["notes"][0].startswith("2 headset cameras were left out")


def test_calib_txt_is_a_rig_of_pinholes_without_image_size(tree):
    edit(tree / "rig.json", lambda r: r.pop("cameras"))
    for name in official.SEQUENCES:
        folder = tree / "videos" / "exo_videos_rectified" / name
        folder.mkdir(parents=True)
        (folder / "calib.txt").write_text(official.calib_txt())
    _, rows, views = prepare(tree)
    assert not views["width given"].any() and not views["distortion"].any()
    assert views["right_bbox given"].all() and rows["time given"].all()


def test_official_counts_and_what_the_folder_says_of_itself(tree):
    manifest, _, _ = prepare(tree)
    assert (manifest["release"], manifest["licence"]) == ("desk 1", "CC0")
    (warning,) = data.count_warnings(manifest)
    assert "10 samples, not 1,105; 2 sequences, not 3; 3 cameras, not 12" in warning.what


def test_the_annotation_test_of_assemblyhands_is_this_layout(tmp_path, home):
    official.write_multiview(tmp_path / "annotation-test", "joint_3d")
    (tmp_path / "annotations").mkdir()  # AssemblyHands' own files may lie beside it
    manifest, rows, _ = prepare(tmp_path, "assemblyhands", "annotation-test")
    assert rows["sample_id"][0] == "annotation-test/desk-1/000000"
    assert manifest["expected"] == {"sequences": 8, "cameras": 8} and not manifest["complete"]


def test_real_rigs_see_hands_above_the_table(tmp_path, home):
    if not REAL.is_dir():
        pytest.skip("the three real calibration files (shared/real) are not beside the repository")
    paths = sorted(REAL.glob("*.json"))
    (tmp_path / "rigs").mkdir()
    made = official.takes(around=(50, 200, 80))
    for path, take in zip(paths, made, strict=False):
        (tmp_path / "rigs" / f"{take.name}.json").write_text(path.read_text())
    official.write_table(tmp_path, made)
    manifest, _, views = prepare(tmp_path, "assemblyhands", "annotation-test")
    assert manifest["counts"]["cameras"] == 8 and manifest["counts"]["views"] == 80
    assert "8 headset cameras were left out" in manifest["notes"][0]
    assert views["right_bbox given"].all()
    cameras = {camera.name: camera for camera in read_nimble(paths[0])}
    for row in np.flatnonzero(views["sequence"] == "desk-1")[::7]:
        camera = cameras[views["camera"][row]]
        assert np.array_equal(views["K"][row], camera.K)
        f = made[0].frames.tolist().index(views["frame"][row])
        uv = camera.project_world(made[0].joints[f, 0])
        x, y, w, h = views["right_bbox"][row]
        assert ((uv > [x, y]) & (uv < [x + w, y + h])).all()


def rig(change):
    return lambda root: edit(root / "rig.json", change)


def camera(change):
    return rig(lambda r: change(r["cameras"][1]))


def table(change):
    def rewrite(root):
        path = official.write_table(root, official.takes(), "json")
        (root / "annotations.parquet").unlink()
        edit(path, change)

    return rewrite


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda r: (r / "annotations.parquet").unlink(), "HB202 .*no annotations of several views"),
        (lambda r: (r / "rig.json").unlink(), r"HB202 .*no cameras of desk-1[\s\S]*bring-your-own"),
        (lambda r: (r / "annotations.parquet").write_bytes(b"PAR1"), "HB203 .*Arrow"),
        (lambda r: (r / "rig.json").write_text("{"), "HB203 .*rig.json"),
        (rig(lambda r: r.update(camera=[])), "HB203 .*unknown keys camera"),
        (rig(lambda r: r.update(images="../{frame}.jpg")), "HB203 .*leads out of the folder"),
        (camera(lambda c: c.pop("width")), "HB203 .*KeyError 'width'"),
        (camera(lambda c: c.update(pose=[])), "HB203 .*C10115_rgb has unknown keys pose"),
        (camera(lambda c: c.pop("T_world_from_camera")), "HB203 .*needs exactly one of"),
        (camera(lambda c: c.update(distortion=[0.1] * 5)), "HB203 .*cannot reshape"),
        (camera(lambda c: c.update(name="C10095")), "HB204 .*lists a camera more than once"),
        (camera(lambda c: c.update(T_world_from_camera=[[1, 0, 0, 0]] * 3)), "HB203 .*no rotation"),
        (table(lambda t: t.append(t[0])), "HB204 .*hand of desk-.*is given twice"),
        (table(lambda t: t[0].update(hand_side="r")), "HB203 .*ValueError"),
        (table(lambda t: t[0].pop("frame")), "HB203 .*KeyError 'frame'"),
        (table(lambda t: t[0].pop("joints")), "HB203 .*KeyError 'joints'"),
        (table(lambda t: t[0]["joints"].pop()), "HB203 .*cannot reshape"),
        (table(lambda t: t.clear()), "HB203 .*no rows"),
        (
            table(lambda t: [r.update(joints=[v / 1000 for v in r["joints"]]) for r in t]),
            r"HB203 .*wrist to the middle MCP is 0.0\d+ mm[\s\S]*in metres",
        ),
    ],
)
def test_damaged_folders_are_named(tree, break_it, message):
    break_it(tree)
    with pytest.raises(DatasetError, match=message):
        data.prepare("desktop-activities", tree, split="test")


def test_the_example_of_the_page_is_a_folder_that_can_be_prepared(tmp_path, home):
    page = (ROOT / "benchmark/docs/bring-your-own.md").read_text("utf-8")
    block = page.split("```json\n")[1].split("```")[0]
    made = official.takes()
    (tmp_path / "rig.json").write_text(block)
    official.write_table(tmp_path, made)
    manifest, rows, views = prepare(tmp_path)
    assert manifest["counts"]["cameras"] == 3 and len(rows["sample_id"]) == 10
    assert set(views["camera"]) == {"front", "left", "head"}
