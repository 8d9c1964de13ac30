"""RootNet's official result file: written, read, and damaged (no torch)."""

import json

import pytest

from hand_baselines.rootnet.output_file import RootRecord, read_records, write_records
from hand_bench.errors import BaselineError


def test_records_are_written_and_read_in_the_official_form(tmp_path):
    record = RootRecord(326750, (10.5, 120.75, 230.0, 230.0), (1111.5, 1168.25), (True, False))
    write_records(tmp_path / "out.json", [record])
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {
            "annot_id": 326750,
            "bbox": [10.5, 120.75, 230.0, 230.0],
            "abs_depth": [1111.5, 1168.25],
            "root_valid": [1.0, 0.0],
        }
    ]
    assert read_records(tmp_path / "out.json") == {326750: record}


def test_the_single_depth_of_stb_and_rhd_serves_both_hands(tmp_path):
    path = tmp_path / "stb.json"
    path.write_text('[{"annot_id": "7", "bbox": [0, 0, 9, 9], "abs_depth": 640.5}]')
    assert read_records(path) == {7: RootRecord(7, (0.0, 0.0, 9.0, 9.0), (640.5, 640.5))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "holds a dict, not a list"),
        ('[{"annot_id": 1, "bbox": [0, 0, 1, 1]}]', "has no abs_depth in record 0"),
        ('[{"annot_id": 1, "bbox": [0, 1], "abs_depth": 5}]', "something else in record 0"),
        ('[{"annot_id": 1, "bbox": [0, 0, 1, 1], "abs_depth": [1, 2, 3]}]', "3 values where two"),
    ],
)
def test_damaged_result_files_are_named(tmp_path, text, message):
    (tmp_path / "out.json").write_text(text)
    with pytest.raises(BaselineError, match=message):
        read_records(tmp_path / "out.json")


def test_a_repeated_annotation_and_a_missing_file_are_errors(tmp_path):
    record = RootRecord(1, (0, 0, 1, 1), (1, 2))
    write_records(tmp_path / "out.json", [record, record])
    with pytest.raises(BaselineError, match="annotation 1 twice"):
        read_records(tmp_path / "out.json")
    with pytest.raises(BaselineError, match="HB402"):
        read_records(tmp_path / "none.json")
