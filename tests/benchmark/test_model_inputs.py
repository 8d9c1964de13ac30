"""What a method may look at, and the template."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark import plain_interhand26m as plain
from hand_bench import data, inputs, template, validate
from hand_bench.data import open_annotations
from hand_bench.errors import SubmissionError
from hand_bench.predictions import read_predictions
from hand_bench.tracks import DEMO


def test_the_template_asks_for_every_id_in_order_and_is_not_a_submission(world, tmp_path):
    rows = template("demo", tmp_path / "t.parquet")
    ids = pq.read_table(tmp_path / "t.parquet").column("sample_id").to_pylist()
    assert ids == open_annotations(DEMO).ids().to_pylist() and rows == len(ids)
    with pytest.raises(SubmissionError, match=r"HB127 t\.parquet: every hand of every row is null"):
        validate(tmp_path / "t.parquet", track="demo")


def test_inputs_hold_the_image_the_camera_and_the_standard_box(interhand26m_sample, home):
    data.prepare("interhand26m", interhand26m_sample)
    table = inputs("interhand26m")
    rows = {r["sample_id"].split("/")[1]: r for r in table.to_pylist()}
    row = rows["Capture3"]  # annotation 326750 of facts 6.1
    assert row["image"].endswith("image69148.jpg") and (row["width"], row["height"]) == (334, 512)
    assert np.allclose(row["box"], [10.43616, 120.62540, 231.32233, 231.32233], atol=1e-3)
    assert np.allclose(np.reshape(row["K"], (3, 3))[[0, 1], [0, 1]], [1261.52917, 1261.68457])
    assert row["right_root_depth"] == pytest.approx(1111.0215, abs=1e-3)
    assert rows["Capture7"]["right_root_depth"] is None


def test_a_template_with_inputs_can_be_filled_and_scored(world, tmp_path):
    template("demo", tmp_path / "t.parquet", with_inputs=True)
    table = pq.read_table(tmp_path / "t.parquet")
    assert {"K", "box", "image", "right_root_depth"} <= set(table.column_names)
    assert read_predictions(table).sample_id.tolist() == table.column("sample_id").to_pylist()


def test_ids_can_come_from_a_template_where_nothing_is_prepared(world, tmp_path, monkeypatch):
    from benchmark.conftest import as_arrays

    template("demo", tmp_path / "t.parquet")
    monkeypatch.setenv("HAND_BENCH_HOME", str(tmp_path / "empty"))
    found = validate(as_arrays(world.predictions()), track="demo", ids=tmp_path / "t.parquet")
    assert found.coverage["found"] == len(world.samples) == found.rows


def test_limited_inputs_are_the_first_ones(world):
    assert (
        inputs("demo", limit=5).column("sample_id").to_pylist()
        == (inputs("demo").column("sample_id").to_pylist()[:5])
    )


def test_boxes_follow_the_official_rule_on_every_sample(world):
    boxes = dict(
        zip(*(inputs("demo").column(c).to_pylist() for c in ("sample_id", "box")), strict=True)
    )
    for sample in plain.load_samples(world.root, "test")[::40]:
        x, y, w, h = sample["bbox"]
        side = 1.25 * max(w, h)
        expected = [x + w / 2 - side / 2, y + h / 2 - side / 2, side, side]
        assert np.allclose(boxes[sample["sample_id"]], expected, atol=1e-2)
