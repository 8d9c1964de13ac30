"""The repository's own submissions: every folder is well formed, every stored score is right."""

import os
from pathlib import Path

import pytest

from hand_bench.errors import DatasetError
from hand_bench.results import Result
from hand_bench.sums import Sums as Rows
from hand_leaderboard.submissions import hidden, truth
from hand_leaderboard.submissions.changes import changes
from hand_leaderboard.submissions.folder import folders, read_submissions, survey
from hand_leaderboard.submissions.rescoring import Job, rescore_one
from hand_leaderboard.submissions.sums import Sums

ROOT = Path(__file__).resolve().parents[2] / "submissions"
FOUND, _ = survey(ROOT)
SCORED = [s for s in FOUND if s.result is not None and s.withdrawn is None]
#: No test reads the data folder of whoever runs it, unless it is named here.
ANNOTATIONS = os.environ.get("HAND_BENCH_TEST_ANNOTATIONS", "")
SLUGS = [s.slug for s in SCORED]


def test_every_folder_is_well_formed():
    strays = []
    paths = list(folders(ROOT, strays))
    assert not strays
    assert [s.path for s in read_submissions(ROOT)] == paths


@pytest.mark.parametrize("one", SCORED, ids=SLUGS)
def test_stored_sums_give_the_stored_numbers(one):
    sums = Sums.read(one.sums)
    assert sums.track == one.track and isinstance(sums.rows, Rows)
    known = {m.metric for m in sums.measures()}
    checked = 0
    for score in one.result:
        if score.protocol != "recommended" or score.metric not in known or score.value is None:
            continue
        if hidden.is_hidden(one.track):
            continue  # rounded on purpose
        value = sums.value(sums.measure(score.metric), score.subset)
        assert value == pytest.approx(score.value, rel=1e-7), (score.metric, score.subset)
        checked += 1
    assert checked or hidden.is_hidden(one.track)


@pytest.mark.parametrize("one", SCORED, ids=SLUGS)
def test_stored_scores_are_what_is_computed_where_the_annotations_are(one):
    if not ANNOTATIONS:
        pytest.skip("HAND_BENCH_TEST_ANNOTATIONS does not name a folder of prepared annotations")
    try:
        annotations = truth.open_truth(one.track, ANNOTATIONS)
    except DatasetError:
        pytest.skip(f"{one.track.dataset} is not prepared there")
    if one.predictions is None:
        pytest.skip("its predictions are at a URL")
    if annotations.manifest.get("release") != one.result.annotations["release"]:
        pytest.skip("prepared in another size")
    outcome = rescore_one(Job(str(one.path), ANNOTATIONS, dry_run=True))
    assert outcome.after is not None, outcome.problem
    assert changes(one.result, Result.from_json(outcome.after)) == []
