"""A hidden truth: what is published of it, what cannot be solved from it, and how often."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from hand_bench import write_predictions
from hand_bench.errors import DatasetError, SubmissionError
from hand_bench.tracks import TRACKS, find_track
from hand_leaderboard.submissions import hidden
from hand_leaderboard.submissions.folder import read_submission
from hand_leaderboard.submissions.sums import Sums
from hand_leaderboard.submissions.truth import open_truth
from leaderboard import submitted

TRACK = "assemblyhands-test"


@pytest.fixture
def prepared(home):
    return submitted.prepare(TRACK, home, sequences=5, frames=40)


def test_only_sums_of_many_and_printed_digits_are_written(prepared, tmp_path):
    one = submitted.place(tmp_path / "s", prepared)
    assert sorted(p.name for p in one.path.iterdir()) == [
        "predictions.parquet", "result.json", "submission.yaml", "sums.parquet"
    ]  # fmt: skip
    text = (one.path / "result.json").read_text()
    assert not any(name in text for name in prepared.made.sample_id)
    sums = Sums.read(one.sums)
    assert "hidden truth" in sums.reduced and len(sums.clusters()) == 5
    assert sums.field("samples").min() >= hidden.LEAST
    errors = sums.field("error")
    assert (errors == [[[float(f"{v:.4g}") for v in s] for s in c] for c in errors]).all()
    assert sums.field("scores").sum() == 0
    for score in one.result:
        digits = 4 if score.unit == "" else 2
        assert score.value is None or score.value == round(score.value, digits)
    primary = sums.value(sums.measure("AUC(0-50)"))
    assert primary == pytest.approx(one.result.primary.value, abs=1e-4)


def test_small_sequences_are_put_together_by_the_truth_alone(home, tmp_path):
    prepared = submitted.prepare(TRACK, home, sequences=8, frames=10)
    good, bad = (submitted.place(tmp_path / "s", prepared, n, noise=x)
                 for n, x in (("a", 1.0), ("b", 40.0)))  # fmt: skip
    one, two = Sums.read(good.sums), Sums.read(bad.sums)
    assert one.clusters() == two.clusters() == (hidden.OTHERS,)
    assert one.field("samples").tolist() == [80]


def test_a_truth_too_small_for_any_sum_has_none(home, tmp_path):
    one = submitted.place(tmp_path / "s", submitted.prepare(TRACK, home, sequences=2, frames=10))
    assert Sums.read(one.sums).clusters() == ()
    assert one.result.primary.value is not None  # of 800 joints
    assert one.result.score("MPJPE").value is not None and not one.result.score("MPJPE").note
    assert one.result.score("MPJPE", "right").note == "withheld: fewer than 30"


def test_answering_one_hand_to_learn_its_error_is_refused(prepared, tmp_path):
    ids = prepared.made.sample_id
    lone = np.full((len(ids), 21, 3), np.nan, np.float32)
    lone[3] = submitted.random_hands(1)[0]
    path = tmp_path / "p.parquet"
    write_predictions(path, ids, lone, submitted.random_hands(len(ids)), track=TRACK)
    meta = submitted.describe(path, TRACK)
    (tmp_path / "out").mkdir()
    truth = open_truth(prepared.track)
    with pytest.raises(SubmissionError, match=r"HB148 .*fewer than 30 of the hands of a side"):
        submitted.scoring.score(path, prepared.track, meta, tmp_path / "out", annotations=truth)
    assert not (tmp_path / "out" / "result.json").exists()


def test_no_confusion_of_clips_gives_the_classes_away(home, tmp_path):
    prepared = submitted.prepare("h2o-action", home, clips=160, sequences=4)
    one = submitted.place(tmp_path / "s", prepared)
    assert one.result.details == {}
    sums = Sums.read(one.sums)
    confusion = sums.field("confusion")
    assert confusion[:, 1:].sum() == 0 and confusion[:, 0, 2:].sum() == 0
    assert [m.metric for m in sums.measures()] == ["accuracy"]
    accuracy = sums.value(sums.measure("accuracy"))
    assert accuracy == pytest.approx(one.result.primary.value, abs=1e-4)


def test_every_track_without_a_public_truth_counts_as_hidden():
    secret = {name for name, track in TRACKS.items() if hidden.is_hidden(track)}
    assert secret == {name for name, t in TRACKS.items() if t.truth in ("hidden", "absent")}
    assert {"arctic-ego-test", "h2o-action", "assemblyhands-annotation"} <= secret


def test_without_the_truth_it_says_who_has_it(home, tmp_path):
    prepared = submitted.prepare(TRACK, home, frames=10, truth=False)
    with pytest.raises(DatasetError, match=r"HB209"):
        submitted.place(tmp_path / "s", prepared)


def test_the_truth_may_lie_in_a_private_folder(prepared, home, tmp_path, monkeypatch):
    private = tmp_path / "private"
    home.rename(private)
    monkeypatch.setenv("HAND_BENCH_HOME", str(tmp_path / "another"))
    assert open_truth(prepared.track, str(private)).rows == 200
    file = private / "assemblyhands" / prepared.track.table / "annotations.parquet"
    assert open_truth(prepared.track, str(file)).rows == 200
    with pytest.raises(DatasetError, match=r"HB201 .*holds no h2o"):
        open_truth(find_track("h2o-pose"), str(private))
    with pytest.raises(DatasetError, match=r"HB201 nowhere"):
        open_truth(prepared.track, "nowhere")


def of(track: str, name: str, date: str, root, **fields):
    path = root / track / name
    path.mkdir(parents=True)
    submitted.Meta.of(submitted.plain(track, date=date, **fields)).write(path / "submission.yaml")
    return read_submission(path)


def test_a_team_may_submit_three_times_in_thirty_days(tmp_path):
    days = ("2026-03-01", "2026-03-05", "2026-03-20")
    there = [of(TRACK, f"m{k}", day, tmp_path) for k, day in enumerate(days)]
    track = find_track(TRACK)

    def problems(date: str, **fields):
        meta = submitted.Meta.of(submitted.plain(TRACK, date=date, **fields))
        return hidden.limit_problem(meta, track, "new", there)

    (found,) = problems("2026-03-30")
    assert found.code == "HB145" and "Submit again on 2026-03-31" in found.fix
    assert problems("2026-03-30", team=" Team  ONE ")  # the same, written in another way
    assert problems("2026-03-30", team=None, authors=["B", "team one"])
    assert not problems("2026-03-31") and not problems("2026-03-30", team="others")
    public = submitted.Meta.of(submitted.plain("assemblyhands", date="2026-03-30"))
    assert not hidden.limit_problem(public, find_track("assemblyhands"), "new", there)
    assert not hidden.limit_problem(public, find_track("h2o-action"), "new", there)


def test_results_of_few_are_withheld(prepared, tmp_path):
    one = submitted.place(tmp_path / "s", prepared)
    few = {**one.result.details["all"], "hands": {"true": 200, "found": 3}}
    shown = hidden.published(replace(one.result, details={"all": few, "pck_thresholds": [0.0]}))
    assert shown.details == {"pck_thresholds": [0.0]}
    assert json.dumps(shown.to_json())
    assert pq.read_schema(one.sums).metadata[b"reduced"]
