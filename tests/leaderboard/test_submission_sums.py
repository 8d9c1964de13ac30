"""Stored sums: every number of `recommended`, its interval and paired differences follow."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hand_bench import bootstrap, compare
from hand_bench.errors import SubmissionError, TrackError
from hand_bench.evaluator import Evaluator
from hand_bench.predictions import open_for_track
from hand_leaderboard.submissions.sums import Sums, significant, write_sums
from leaderboard import submitted


@pytest.fixture(params=submitted.PUBLIC)
def scored(request, tmp_path, home):
    return submitted.place(tmp_path / "submissions", submitted.prepare(request.param, home))


def test_every_number_and_interval_of_recommended_follows(scored):
    sums, seen = Sums.read(scored.sums), 0
    for score in scored.result:
        if score.protocol != "recommended":
            continue
        measure = sums.measure(score.metric)
        value = sums.value(measure, score.subset)
        assert score.value == pytest.approx(value, rel=1e-8, nan_ok=True) or score.value is None
        if score.ci95:
            counts = bootstrap.resample_counts(len(sums.clusters(score.subset)), 1000, 0)
            resampled = sums.resampled(measure, score.subset, counts)
            assert bootstrap.interval(resampled) == pytest.approx(score.ci95, rel=1e-7)
            seen += 1
    assert seen >= 2


def test_a_field_is_an_array_of_clusters(tmp_path, home):
    one = submitted.place(tmp_path / "s", submitted.prepare("assemblyhands", home))
    sums = Sums.read(one.sums)
    clusters = sums.clusters()
    assert list(clusters) == sorted(clusters) and len(clusters) == 6
    assert sums.field("error").shape == (6, 2, 21)
    assert sums.field("samples").sum() == one.result.coverage["expected"]
    joints = one.result.details["all"]["per_joint"]["right"]
    error, count = (sums.field(n).sum(axis=0)[0] for n in ("error", "count"))
    assert error / count == pytest.approx(list(joints.values()))


def test_a_paired_difference_is_that_of_the_predictions(tmp_path, home):
    prepared = submitted.prepare("assemblyhands", home, frames=10)
    a, b = (submitted.place(tmp_path / "s", prepared, n, noise=x) for n, x in (("a", 3), ("b", 9)))
    one, two = Sums.read(a.sums), Sums.read(b.sums)
    assert one.clusters() == two.clusters()
    counts = bootstrap.resample_counts(len(one.clusters()), 2000, 0)
    measure = one.measure("AUC(0-50)")
    drawn = two.resampled(measure, "all", counts) - one.resampled(measure, "all", counts)
    exact = compare(a.predictions, b.predictions, track="assemblyhands", resamples=2000)
    direct = next(d for d in exact.differences if (d.metric, d.subset) == ("AUC(0-50)", "all"))
    assert two.value(measure) - one.value(measure) == pytest.approx(direct.difference, abs=1e-6)
    assert bootstrap.interval(drawn) == pytest.approx(direct.ci95, abs=1e-6)


def test_rows_are_written_in_one_order_whoever_adds_them(tmp_path, home):
    prepared = submitted.prepare("assemblyhands", home)
    preds = prepared.predictions(tmp_path / "p.parquet")
    machine = Evaluator("assemblyhands")
    machine.score_file(open_for_track(preds, prepared.track))
    write_sums(tmp_path / "one.parquet", machine.sums, prepared.track)
    machine.sums.rows = dict(reversed(machine.sums.rows.items()))
    write_sums(tmp_path / "two.parquet", machine.sums, prepared.track)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_unknown_metrics_are_named(tmp_path, home):
    one = submitted.place(tmp_path / "s", submitted.prepare("assemblyhands", home))
    with pytest.raises(TrackError, match=r"HB301 .*'AUC'"):
        Sums.read(one.sums).measure("AUC")


def damaged(path, how) -> None:
    table = pq.read_table(path)
    if how == "bytes":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "format":
        pq.write_table(table.replace_schema_metadata({}), path)
    elif how == "version":
        known = dict(table.schema.metadata) | {b"track_version": b"7"}
        pq.write_table(table.replace_schema_metadata(known), path)
    elif how == "fields":
        pq.write_table(table.drop_columns(["sum error"]), path)
    elif how == "nan":
        at = table.schema.get_field_index("sum error")
        width = table.schema.field(at).type.list_size
        bad = pa.FixedSizeListArray.from_arrays(
            pa.array(np.full(len(table) * width, np.nan)), width
        )
        pq.write_table(table.set_column(at, table.schema.field(at), bad), path)
    elif how == "twice":
        pq.write_table(pa.concat_tables([table, table]), path)
    elif how == "text":
        path.write_text("sums")


@pytest.mark.parametrize("how", ["bytes", "format", "version", "fields", "nan", "twice", "text"])
def test_files_that_are_no_sums_are_refused(tmp_path, home, how):
    one = submitted.place(tmp_path / "s", submitted.prepare("assemblyhands", home))
    damaged(one.sums, how)
    with pytest.raises(SubmissionError, match=r"HB146 .*sums.parquet: is not a file of sums"):
        Sums.read(one.path / "sums.parquet")


def test_rounding_keeps_counts_and_the_sign():
    values = np.array([0.0, 1234567890123.0, 123.456789, -123.456789, 1e-30])
    assert significant(values, 4).tolist() == [0, 1234567890123, 123.5, -123.5, 1e-30]
