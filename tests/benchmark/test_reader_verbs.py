"""The reader of verb clips: both forms of Assembly101's CSVs, the real ones, and every pitfall."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmark.official import assemblyhands as official
from hand_bench import data
from hand_bench.annotations import SCHEMA, Annotations
from hand_bench.errors import DatasetError
from hand_bench.readers.assemblyhands_verbs import VERBS

REAL = Path(__file__).resolve().parents[3] / "shared" / "real" / "assembly101"
FIRST, SECOND = official.SEQUENCES["val"]


def prepare(root, split: str = "verbs-val") -> tuple[dict, dict[str, np.ndarray]]:
    manifest = data.prepare("assemblyhands", root, split=split)[split]
    path = data.folder("assemblyhands", split) / "annotations.parquet"
    batches = list(Annotations.open(path).batches(SCHEMA.names))
    columns = {n: np.concatenate([b[n] for b in batches]) for n in SCHEMA.names if n != "sample_id"}
    return manifest, columns | {"sample_id": np.concatenate([b.sample_id for b in batches])}


@pytest.fixture
def tree(tmp_path, home):
    official.write_verbs(tmp_path / "CSVs", "train", (FIRST, "nusar-2021_action_both_other"))
    official.write_verbs(tmp_path / "CSVs", "test", (SECOND,))
    official.write_actions(tmp_path / "CSVs")
    return tmp_path


def test_rows_are_the_segments_of_the_six_verbs(tree):
    _, rows = prepare(tree)
    here = rows["sequence"] == FIRST
    keys = ("frame", "end_frame", "action", "object", "label")
    assert list(zip(*(rows[key][here] for key in keys), strict=True)) == [
        (169, 223, "pick up", "screwdriver", 0),
        (223, 343, "unscrew", "wheel", 5),
        (343, 401, "pick up", "roof", 0),
        (343, 401, "pick up", "wheel", 0),
        (503, 521, "put down", "roof", 1),
        (521, 601, "screw", "wheel", 4),
        (523, 603, "remove", "wheel", 3),
        (525, 605, "position", "wheel", 2),
    ]
    assert set(rows["sequence"]) == {FIRST, SECOND}
    assert set(rows["subject"]) == {"9012", "9081"}
    assert rows["time"][here][0] == pytest.approx(169 / 60)


def test_ids_are_unique_where_two_segments_coincide(tree):
    _, rows = prepare(tree)
    ids = rows["sample_id"].tolist()
    assert len(set(ids)) == len(ids) == 16
    assert ids[0] == f"verbs-val/{FIRST}/000169-000223/pick-up"
    assert ids[2:4] == [f"verbs-val/{FIRST}/000343-000401/pick-up{end}" for end in ("", "-2")]


def test_both_forms_of_the_segments_give_the_same_rows(tree, tmp_path):
    per_view = tmp_path / "views" / "assembly101-annotations" / "fine-grained-annotations"
    official.write_verbs(per_view, "validation", (FIRST, SECOND), fps=30)
    expected = prepare(tree)[0]["sha256"]
    assert prepare(tmp_path / "views")[0]["sha256"] == expected


@pytest.mark.parametrize(
    "folder",
    ["", "CSVs", "assembly101", "fine-grained-annotations", "assembly101/CSVs",
     "assembly101-annotations/fine-grained-annotations", "MS-G3D-action-recognition/CSVs"],
)  # fmt: skip
def test_the_usual_folders_are_found(tmp_path, home, folder):
    official.write_verbs(tmp_path / folder, "train", (FIRST,))
    assert prepare(tmp_path)[0]["counts"]["samples"] == 8


def test_counts_and_what_is_not_there(tree):
    manifest, _ = prepare(tree)
    assert manifest["counts"] == {
        "samples": 16,
        "sequences": 2,
        "pick up": 6,
        "put down": 2,
        "position": 2,
        "remove": 2,
        "screw": 2,
        "unscrew": 2,
    }
    assert manifest["expected"] == {"sequences": 2} and manifest["complete"]
    assert any("public list of the toolkit" in note for note in manifest["notes"])
    (tree / "CSVs/test.csv").unlink()
    manifest, _ = prepare(tree)
    assert not manifest["complete"]
    assert f"train.csv: no segment of {SECOND}." in manifest["notes"]


def test_the_split_of_assemblyhands_files_counts_where_they_are_there(tree):
    official.write_split(tree, "val")
    manifest, _ = prepare(tree)
    assert not any("public list" in note for note in manifest["notes"])
    assert manifest["files"][-1]["path"].endswith("joint_3d_v1-1.json")
    # The first recording is annotated from 520 to 534 only, the second one far later.
    assert manifest["counts"]["segments without an annotated frame"] == 4 + 8


def test_without_joint_3d_ego_data_says_which_sequences_belong_to_the_split(tmp_path, home):
    official.write_hands2023(tmp_path)
    official.write_verbs(tmp_path / "assembly101", "validation", official.SEQUENCES["test"])
    manifest, _ = prepare(tmp_path, "verbs-test")
    assert manifest["counts"]["sequences"] == 2 and "ego_data" in manifest["files"][-1]["path"]


def test_a_table_without_labels_is_not_read(tree):
    path = tree / "CSVs" / "test.csv"
    lines = [",".join(line.split(",")[:4]) for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
    manifest, rows = prepare(tree)
    assert set(rows["sequence"]) == {FIRST}
    assert "test.csv has no verb_cls (an early release): not read." in manifest["notes"]


def rewrite(name: str, old: str, new: str):
    def change(root):
        path = root / "CSVs" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda r: [p.unlink() for p in r.rglob("*.csv")], "HB202 .*holds none of Assembly101's"),
        (rewrite("actions.csv", "0,0,0,0,pick up", "0,0,3,0,pick up"),
         "HB204 .*verb 'pick up' has number 0, and 3 in actions.csv"),
        (rewrite("train.csv", "0001,0003,put down", "0002,0003,put down"),
         "HB204 .*verb 'put down' has number 2, and 1 in actions.csv"),
        (rewrite("train.csv", "start_frame", "begin"), "HB203 .*KeyError 'start_frame'"),
        (rewrite("train.csv", "000000169", "000000x69"), "HB203 .*ValueError .*x69"),
        (rewrite("train.csv", "000000169", "000000999"), "HB203 .*a segment from 999 to 223"),
        (rewrite("train.csv", "id,video", "id,video,more"), "HB203 .*Arrow"),
        (lambda r: [p.unlink() for p in r.rglob("t*.csv")]
         and official.write_verbs(r / "CSVs", "train", ("other",)),
         "HB202 .*hold no segment of AssemblyHands' 2 val sequences"),
    ],
)  # fmt: skip
def test_damaged_segments_are_named(tree, break_it, message):
    break_it(tree)
    with pytest.raises(DatasetError, match=message):
        data.prepare("assemblyhands", tree, split="verbs-val")


@pytest.mark.parametrize(
    ("split", "short", "counts"),
    [
        ("verbs-train", "9014-a23", (49, 40, 14, 10, 20, 15)),
        ("verbs-test", "9021-c10a", (55, 49, 15, 13, 17, 13)),
    ],
)
def test_the_real_segments_have_the_counts_of_the_facts(home, split, short, counts):
    if not REAL.is_dir():
        pytest.skip("Assembly101's validation.csv (shared/real) is not beside the repository")
    manifest, rows = prepare(REAL, split)
    assert tuple(manifest["counts"][verb] for verb in VERBS) == counts
    assert manifest["counts"][f"segments of {short}"] == sum(counts)
    assert manifest["expected"][f"segments of {short}"] == sum(counts)
    assert manifest["counts"]["sequences"] == 1 and not manifest["complete"]
    assert all(f"_{short}_" in sequence for sequence in rows["sequence"])
    with (REAL / "validation.csv").open() as file:
        segments = [row for row in csv.DictReader(file) if f"_{short}_" in row["video"]]
    wanted = [
        (int(r["start_frame"]), int(r["end_frame"]), r["verb_cls"], r["noun_cls"])
        for r in segments
        if r["verb_cls"] in VERBS
    ]
    keys = ("frame", "end_frame", "action", "object")
    assert sorted(zip(*(rows[key] for key in keys), strict=True)) == sorted(wanted)
