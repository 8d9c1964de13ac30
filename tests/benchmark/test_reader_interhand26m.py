"""The reader of InterHand2.6M: both layouts, the real sample, and every pitfall of the files."""

import json
import shutil

import numpy as np
import pytest

from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.data import open_annotations
from hand_bench.errors import DatasetError
from hand_bench.geometry import project
from hand_bench.joint_sets import convert
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m
from hand_bench.tracks import DEMO, INTERHAND26M

SMALL = SkeletonWorld(captures=2, sequences=4, cameras=2, frames=6, human_captures=1)
TEST = "annotations/test/InterHand2.6M_test"


def read(annotations: Annotations) -> dict[str, np.ndarray]:
    batches = list(annotations.batches(SCHEMA.names))
    columns = {n: np.concatenate([b[n] for b in batches]) for n in SCHEMA.names if n != "sample_id"}
    return columns | {"sample_id": np.concatenate([b["sample_id"] for b in batches])}


@pytest.fixture
def tree(tmp_path, home):
    write_interhand26m(tmp_path, SMALL)
    return tmp_path


def edit(root, kind, change):
    path = root / f"{TEST}_{kind}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_real_sample_has_the_wrists_of_the_facts(interhand26m_sample, home):
    # facts 6.1: annotation id -> wrist in the camera (mm) and in the image (px).
    expected = {
        326750: ("right", (-94.0814, -15.1116, 1111.0215), (48.9899, 241.6697)),
        286291: ("left", (59.1861, -3.9529, 1079.6545), (266.0069, 235.7734)),
        680801: ("left", (11.0214, -36.2064, 1071.4779), (200.3372, 200.6349)),
        471953: ("right", (-86.7311, 4.9583, 1159.8293), (175.5276, 180.9457)),
    }
    data.prepare("interhand26m", interhand26m_sample)
    rows = read(open_annotations(INTERHAND26M))
    for annotation, (side, camera, pixel) in expected.items():
        row = int(np.flatnonzero(rows["annotation_id"] == annotation)[0])
        wrist = rows[f"{side}_joints"][row, :1].astype(float)
        assert np.allclose(wrist[0], camera, atol=2e-4)
        assert np.allclose(project(wrist, rows["K"][row])[0], pixel, atol=1e-4)


def test_placeholders_of_absent_hands_come_out_as_null(interhand26m_sample, home):
    data.prepare("interhand26m", interhand26m_sample)
    opened = open_annotations(INTERHAND26M)
    for batch in opened.batches(SCHEMA.names):
        present = {s: batch.present(s) for s in ("right", "left")}
        types = [str(t) for t in batch["hand_type"]]
        assert present["right"].tolist() == [t != "left" for t in types]
        assert present["left"].tolist() == [t != "right" for t in types]


def test_a_partial_copy_prepares_with_a_warning(interhand26m_sample, home):
    manifest = data.prepare("interhand26m", interhand26m_sample)["test"]
    (warning,) = data.count_warnings(manifest)
    assert str(warning) == (
        "HB205 interhand26m test: is not the official release: 2 single hand, not 488,968; "
        "2 interacting, not 360,192.\n"
        "      A partial copy, another release (another frame rate?) or missing archives.\n"
        "      Scores on it are marked partial and cannot be compared with published ones."
    )


def test_joints_are_those_of_an_independent_reader(world):
    rows = read(open_annotations(DEMO))
    row_of = {sample_id: k for k, sample_id in enumerate(rows["sample_id"])}
    assert len(row_of) == len(world.samples)
    for sample in world.samples[::7]:
        row = row_of[sample["sample_id"]]
        for side, part in (("right", slice(0, 21)), ("left", slice(21, 42))):
            counts = rows[f"{side}_in_view"][row] & rows[f"{side}_in_view"][row, :1]
            wanted = sample["joint_valid"][part].astype(bool)[:, None]
            assert np.array_equal(counts, convert(wanted, "interhand21", "openpose21")[:, 0])
            joints = convert(sample["joint_cam"][part], "interhand21", "openpose21")
            assert np.allclose(rows[f"{side}_joints"][row][counts], joints[counts], atol=1e-4)
        assert rows["annotation_id"][row] == sample["annotation_id"]


def test_rows_are_sorted_by_sequence_camera_and_frame_with_even_intervals(world):
    rows = read(open_annotations(DEMO))
    keys = list(zip(rows["sequence"], rows["camera"], rows["frame"], strict=True))
    assert keys == sorted(keys)
    even = ~np.isnan(rows["interval"])
    assert np.allclose(rows["interval"][even], 0.2)
    for row in np.flatnonzero(even)[::50]:
        assert keys[row][:2] == keys[row - 2][:2]
        assert keys[row][2] - keys[row - 1][2] == keys[row - 1][2] - keys[row - 2][2] == 6
    assert 0.5 < even.mean() < 0.95


def test_both_layouts_give_the_same_annotations(tmp_path, home):
    found = {}
    for layout in ("v1.0", "v0.0"):
        write_interhand26m(tmp_path / layout, SMALL, layout=layout)
        data.prepare("demo", tmp_path / layout, split="test")
        found[layout] = read(open_annotations(DEMO))
    for name in SCHEMA.names:
        values = [found[layout][name] for layout in ("v1.0", "v0.0")]
        if values[0].dtype == object or values[0].dtype.kind in "US":
            assert (values[0] == values[1]).all(), name
        else:
            assert np.array_equal(*values, equal_nan=values[0].dtype.kind == "f"), name


def test_human_and_machine_subsets_come_from_the_id_list(tree):
    manifest = data.prepare("demo", tree, split="test")["test"]
    listed = np.loadtxt(tree / "annotations/aid_human_annot_test.txt", int)
    rows = read(open_annotations(DEMO))
    assert manifest["counts"]["human-annotated"] == len(listed) > 0
    assert set(rows["annotation_id"][rows["annotator"] == "human"]) == set(listed)


def test_without_the_id_list_the_annotator_is_unknown(tree):
    (tree / "annotations/aid_human_annot_test.txt").unlink()
    assert data.prepare("demo", tree, split="test")["test"]["counts"]["human-annotated"] is None


def test_ids_contain_the_split_because_captures_restart(tmp_path, home):
    write_interhand26m(tmp_path, SMALL, split="val")
    write_interhand26m(tmp_path, SMALL, split="test")
    done = data.prepare("interhand26m", tmp_path)
    assert set(done) == {"val", "test"}
    ids = [
        Annotations.open(data.folder("interhand26m", s) / "annotations.parquet").ids()[0].as_py()
        for s in ("val", "test")
    ]
    assert ids[0].startswith("val/Capture0/") and ids[1].startswith("test/Capture0/")


def test_preparing_again_skips_what_has_not_changed_and_notices_what_has(tree):
    assert "skipped" not in data.prepare("demo", tree, split="test")["test"]
    assert data.prepare("demo", tree, split="test")["test"]["skipped"]
    edit(tree, "data", lambda d: d["annotations"].pop())
    again = data.prepare("demo", tree, split="test")["test"]
    assert "skipped" not in again


def test_an_interrupted_run_leaves_nothing_half_written(tree, monkeypatch):
    from hand_bench.readers import interhand26m

    monkeypatch.setattr(
        interhand26m, "_summary", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    data_folder = data.folder("demo", "test")
    with pytest.raises(KeyboardInterrupt):
        data.prepare("demo", tree, split="test")
    assert not (data_folder / "manifest.json").exists()
    assert data.prepared() == []


def test_annotations_join_by_image_id_not_by_position(tree):
    edit(tree, "data", lambda d: d["annotations"].reverse())
    shuffled = data.prepare("demo", tree, split="test")["test"]["sha256"]
    edit(tree, "data", lambda d: d["annotations"].reverse())
    assert data.prepare("demo", tree, split="test", again=True)["test"]["sha256"] == shuffled


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda r: (r / f"{TEST}_camera.json").unlink(), r"HB202 .* lacks .*test_camera\.json"),
        (
            lambda r: (r / f"{TEST}_data.json").write_text('{"images": [{"id": 1'),
            "HB203 .* not valid JSON",
        ),
        (
            lambda r: edit(r, "data", lambda d: d["images"][0].pop("camera")),
            "HB203 .*KeyError 'camera'",
        ),
        (lambda r: edit(r, "data", lambda d: d["images"].pop()), "HB204 .*points to image"),
        (
            lambda r: edit(r, "data", lambda d: d["images"].append(d["images"][0])),
            "HB204 .*occur twice",
        ),
        (
            lambda r: edit(r, "camera", lambda d: d.pop("1")),
            "HB204 .*has no camera .* of capture 1",
        ),
        (lambda r: edit(r, "joint_3d", lambda d: d.pop("1")), "HB204 .*has no capture 1, frame"),
        (lambda r: edit(r, "joint_3d", lambda d: d["1"].update({"5": 3})), "HB203 "),
        (
            lambda r: edit(r, "data", lambda d: d["annotations"][0].update(hand_type="both")),
            "HB203 .*hand_type 'both'",
        ),
        (
            lambda r: shutil.rmtree(r / "annotations/test"),
            "HB202 .*holds no annotations of split 'test'",
        ),
    ],
)
def test_damaged_official_files_are_named(tree, break_it, message):
    break_it(tree)
    with pytest.raises(DatasetError, match=message):
        data.prepare("demo", tree, split="test")
    assert not (data.folder("demo", "test") / "annotations.parquet").exists()


def test_verify_notices_a_changed_file(tree):
    data.prepare("demo", tree, split="test")
    assert data.verify("demo")[0]["split"] == "test"
    path = data.folder("demo", "test") / "annotations.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DatasetError, match=r"HB207 .*its manifest says"):
        data.verify("demo")


def test_unknown_datasets_and_splits_name_the_nearest(tmp_path, home):
    with pytest.raises(
        DatasetError, match=r"HB208 there is no dataset 'interhand'[\s\S]*interhand26m"
    ):
        data.prepare("interhand", tmp_path)
    with pytest.raises(DatasetError, match=r"HB208 there is no split of interhand26m 'tets'"):
        data.prepare("interhand26m", tmp_path, split="tets")


def test_a_track_that_is_not_prepared_says_how_to_get_it(home):
    with pytest.raises(DatasetError, match="HB201 interhand26m test: is not prepared") as error:
        open_annotations(INTERHAND26M)
    assert "hand-bench data prepare interhand26m ROOT" in str(error.value)


def test_an_unknown_sample_names_ids_with_the_same_beginning(world):
    opened = open_annotations(DEMO)
    known = opened.ids()[0].as_py()
    with pytest.raises(DatasetError, match=r"HB208 .*there is no sample") as error:
        opened.find(known + "7777", ["sample_id"])
    assert known.rsplit("/", 1)[0] in str(error.value)
    assert opened.find(known, ["sample_id", "K"])["K"].shape == (1, 3, 3)
