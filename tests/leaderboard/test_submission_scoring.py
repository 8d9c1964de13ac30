"""Scoring a submission: what is declared, small files that unpack into huge ones, errors files."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hand_bench import evaluate, write_predictions
from hand_bench.errors import SubmissionError
from hand_leaderboard.submissions import scoring
from hand_leaderboard.submissions.folder import MOST
from hand_leaderboard.submissions.truth import open_truth
from leaderboard import submitted

TRACK = "assemblyhands"


@pytest.fixture
def prepared(home):
    return submitted.prepare(TRACK, home)


def scored(preds, prepared, tmp_path, **fields):
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    meta = submitted.describe(preds, prepared.track, **fields)
    truth = open_truth(prepared.track)
    return scoring.score(preds, prepared.track, meta, out, annotations=truth)


@pytest.mark.parametrize("name", submitted.PUBLIC)
def test_scores_are_those_of_evaluate_with_the_declared_inputs(name, home, tmp_path):
    prepared = submitted.prepare(name, home)
    preds = prepared.predictions(tmp_path / "p.parquet")
    found, plain = scored(preds, prepared, tmp_path), evaluate(preds, track=name)
    assert [s.value for s in found] == [s.value for s in plain]
    assert [s.ci95 for s in found] == [s.ci95 for s in plain]
    assert "undeclared" not in found.primary.signature
    assert found.predictions["sha256"] == plain.predictions["sha256"]
    assert found.predictions["path"] is None and found.predictions["method"] == "Method A"
    seen = {"samples.json"} if name.startswith("handsim-") else set()
    scored_files = {"result.json", "sums.parquet", "errors.parquet"} | seen
    assert {p.name for p in (tmp_path / "out").iterdir()} == scored_files
    samples = found.coverage["found"]
    assert pq.read_metadata(tmp_path / "out" / "errors.parquet").num_rows == samples


def test_a_file_that_declares_other_inputs_is_refused(prepared, tmp_path):
    preds = prepared.made.write(
        tmp_path / "p.parquet", prepared.made.noisy(3), inputs=["boxes:own"]
    )
    with pytest.raises(SubmissionError, match=r"HB113 .*declares the inputs boxes:own"):
        scored(preds, prepared, tmp_path)
    assert scored(preds, prepared, tmp_path, inputs=["boxes:own", "root_depth:own", "K:gt"])


def test_missing_samples_are_an_error_unless_they_are_declared(prepared, tmp_path):
    ids, hands = prepared.made.sample_id[:-4], prepared.made.noisy(3)[:-4]
    preds = tmp_path / "p.parquet"
    write_predictions(preds, ids, hands[:, 0], hands[:, 1], track=TRACK)
    with pytest.raises(SubmissionError, match=r"HB104"):
        scored(preds, prepared, tmp_path)
    result = scored(preds, prepared, tmp_path, incomplete=True)
    assert result.coverage["missing"] == 4 and result.partial


def bomb(path, how, ids) -> None:
    """Write a small file that claims, or would unpack to, far too much."""
    if how == "rows":  # ten million rows in a few kilobytes
        column = pa.array([ids[0]]).dictionary_encode()
        column = column.take(pa.array(np.zeros(10_000_000, np.int32)))
        pq.write_table(pa.table({"sample_id": column.cast(pa.string()), "right_joints": pa.nulls(
            10_000_000, pa.list_(pa.float32(), 63))}), path, compression="zstd")  # fmt: skip
    elif how == "values":
        rows = pa.array([[0.0] * 3_000_000] + [[0.0] * 63] * (len(ids) - 1), pa.list_(pa.float32()))
        pq.write_table(pa.table({"sample_id": ids, "right_joints": rows}), path, compression="zstd")
    elif how == "bytes":
        names = ["x" * 40_000_000, *ids[1:]]
        pq.write_table(pa.table({"sample_id": names, "right_joints": [[0.0] * 63] * len(ids)}),
                       path, compression="zstd", use_dictionary=False)  # fmt: skip


@pytest.mark.parametrize("how", ["rows", "values", "bytes"])
def test_small_files_that_unpack_into_huge_ones_are_refused_unread(how, prepared, tmp_path):
    preds = tmp_path / "p.parquet"
    bomb(preds, how, prepared.made.sample_id)
    assert preds.stat().st_size < 1_000_000
    with pytest.raises(SubmissionError, match=r"HB105 p.parquet: (claims|unpacks to) "):
        scored(preds, prepared, tmp_path)


def test_bytes_that_are_no_table_are_refused(prepared, tmp_path):
    preds = tmp_path / "p.parquet"
    preds.write_bytes(b"\x80\x04cos\nsystem\n(S'touch /tmp/x'\ntR.")
    with pytest.raises(SubmissionError, match=r"HB102"):
        scored(preds, prepared, tmp_path)


def test_a_large_errors_file_loses_its_joints_first_then_itself(prepared, tmp_path, monkeypatch):
    preds = prepared.predictions(tmp_path / "p.parquet")
    scored(preds, prepared, tmp_path)
    errors = tmp_path / "out" / "errors.parquet"
    full = pq.read_table(errors)
    monkeypatch.setitem(MOST, "errors.parquet", errors.stat().st_size - 1)
    scoring.keep_small(errors)
    slim = pq.read_table(errors)
    assert set(full.column_names) - set(slim.column_names) == {"right_errors", "left_errors"}
    assert slim.equals(full.select(slim.column_names)) and slim.schema.metadata[b"format"]
    monkeypatch.setitem(MOST, "errors.parquet", 100)
    scoring.keep_small(errors)
    assert not list((tmp_path / "out").glob("*errors*"))


def test_errors_of_more_rows_than_could_be_kept_are_not_made(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "_MOST_ROWS", 20)
    scored(prepared.predictions(tmp_path / "p.parquet"), prepared, tmp_path)
    assert not list((tmp_path / "out").glob("*errors*"))


def test_check_of_predictions_without_annotations_looks_at_the_form(prepared, tmp_path):
    preds = prepared.predictions(tmp_path / "p.parquet")
    meta = submitted.describe(preds, TRACK)
    options = {"annotations": None, "ids": None}
    assert scoring.check_predictions(preds, prepared.track, meta, **options).rows == 48 // 2
    table = pq.read_table(preds)
    pq.write_table(pa.concat_tables([table, table]), tmp_path / "twice.parquet")
    with pytest.raises(SubmissionError, match=r"HB106"):
        scoring.check_predictions(tmp_path / "twice.parquet", prepared.track, meta, **options)
    other = replace(meta, incomplete=True)
    pq.write_table(table.slice(3), tmp_path / "few.parquet")
    truth = open_truth(prepared.track)
    with pytest.raises(SubmissionError, match=r"HB104"):
        scoring.check_predictions(tmp_path / "few.parquet", prepared.track, meta,
                                  annotations=truth, ids=None)  # fmt: skip
    few = scoring.check_predictions(tmp_path / "few.parquet", prepared.track, other,
                                    annotations=truth, ids=None)  # fmt: skip
    assert few.rows == len(table) - 3


def test_hands_of_an_unlikely_size_are_scored_only_where_they_are_meant(prepared, tmp_path):
    preds = prepared.made.write(tmp_path / "p.parquet", prepared.made.noisy(3) / 1000)
    with pytest.raises(SubmissionError, match=r"HB120"):
        scored(preds, prepared, tmp_path)
    assert scored(preds, prepared, tmp_path, units="mm").primary.value < 0.5
