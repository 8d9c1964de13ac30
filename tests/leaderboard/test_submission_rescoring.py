"""Scoring again: what changed, going on after an interruption, and broken ones."""

import dataclasses
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hand_bench import protocols
from hand_bench.cli import main
from hand_bench.results import Result
from hand_leaderboard.submissions import changes, placing, rescoring, scoring
from hand_leaderboard.submissions.folder import Withdrawn, read_submission
from hand_leaderboard.submissions.rescoring import BROKEN, CHANGED, LACKING, SAME, SCORED, Job
from leaderboard import submitted
from leaderboard.test_submission_fetching import site as server  # noqa: F401
from leaderboard.test_submission_fetching import wanted

TRACK = "assemblyhands"


@pytest.fixture
def root(tmp_path, home, monkeypatch):
    """Three scored submissions of one track, seen from the folder above them."""
    monkeypatch.chdir(tmp_path)
    prepared = submitted.prepare(TRACK, home)
    for k, name in enumerate("abc"):
        submitted.place(tmp_path / "submissions", prepared, name, noise=2.0 + k)
    return tmp_path / "submissions"


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        main(["rescore", *arguments])
        code = 0
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def alike(a: bytes, b: bytes) -> bool:
    """Whether two files say the same: errors of samples may differ in their last bits."""
    if a == b or not (a.startswith(b"PAR1") and b.startswith(b"PAR1")):
        return a == b
    return rescoring.tables_alike(*(pq.read_table(pa.BufferReader(one)) for one in (a, b)))


def edit_result(path, change) -> None:
    """Change a stored result by hand."""
    stored = json.loads((path / "result.json").read_text())
    change(stored)
    (path / "result.json").write_text(json.dumps(stored))


def test_what_is_right_stays_byte_for_byte(root, capsys):
    before = submitted.contents(root)
    code, out, err = run(capsys)
    assert (code, err) == (0, "") and out.endswith("3 submissions: 3 same\n")
    assert submitted.contents(root) == before


def test_a_number_that_moved_is_reported_with_its_amount_and_put_right(root, capsys):
    right = (root / TRACK / "b" / "result.json").read_bytes()

    def worse(stored):
        score = next(s for s in stored["scores"] if s["metric"] == "MPJPE"
                     and (s["protocol"], s["subset"]) == ("recommended", "all"))  # fmt: skip
        score["value"] += 1.25

    edit_result(root / TRACK / "b", worse)
    code, out, err = run(capsys)
    assert code == 1 and "b: changed, AUC(0-50)" in out and "1 numbers changed" in out
    assert "2 same, 1 changed, 1 moved without a reason" in out
    assert "MPJPE all (recommended)" in err and "metric versions are the same" in err
    assert (root / TRACK / "b" / "result.json").read_bytes() == right
    assert run(capsys)[0] == 0


def test_a_dry_run_only_compares(root, capsys):
    edit_result(root / TRACK / "a", lambda s: s["scores"][0].update(n=7))
    before = submitted.contents(root)
    assert run(capsys, "--dry-run")[0] == 1
    assert submitted.contents(root) == before


def test_only_missing_scores_what_has_no_result(root, capsys):
    before = submitted.contents(root)
    for name in ("result.json", "sums.parquet", "errors.parquet"):
        (root / TRACK / "b" / name).unlink()
    edit_result(root / TRACK / "a", lambda s: s["scores"][0].update(n=7))
    code, out, _ = run(capsys, "--only-missing")
    assert code == 0 and out.startswith(f"{TRACK}/b: scored, AUC(0-50) all ")
    assert out.endswith("1 submissions: 1 scored\n")
    after = submitted.contents(root)
    assert {k for k in before if not alike(before[k], after[k])} == {f"{TRACK}/a/result.json"}
    assert run(capsys, "--only-missing")[1] == "0 submissions: nothing to do\n"


def test_a_broken_one_stops_nobody_and_is_listed(root, capsys):
    (root / TRACK / "a" / "submission.yaml").write_text("method: [")
    data = (root / TRACK / "b" / "predictions.parquet").read_bytes()
    (root / TRACK / "b" / "predictions.parquet").write_bytes(data[:-1] + b"x")
    (root / TRACK / "d").mkdir()
    (root / "stray.txt").write_text("")
    code, out, err = run(capsys)
    assert code == 1
    assert "4 submissions: 1 same, 3 broken, 1 strange files" in out
    for part in ("HB140", "HB144", "has no submission.yaml", "stray.txt"):
        assert part in err
    code, out, _ = run(capsys, "--json")
    told = {row["slug"]: row["status"] for row in json.loads(out)["submissions"]}
    assert code == 1 and told[f"{TRACK}/c"] == SAME and told[f"{TRACK}/d"] == BROKEN


def test_what_is_withdrawn_is_left_alone(root, capsys):
    placing.withdraw(
        root, read_submission(root / TRACK / "a").track, "a", Withdrawn("2026-02-03", "x")
    )
    code, out, _ = run(capsys)
    assert code == 0 and out.endswith("2 submissions: 2 same\n")


def test_tracks_can_be_chosen(root, capsys):
    assert run(capsys, "--track", "stb")[1] == "0 submissions: nothing to do\n"
    assert run(capsys, "--track", TRACK, "stb")[1].endswith("3 submissions: 3 same\n")
    assert run(capsys, "--track", "nonsense")[0] == 1


def test_without_annotations_it_is_listed_and_not_broken(root, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HAND_BENCH_HOME", str(tmp_path / "nothing"))
    code, out, err = run(capsys)
    assert code == 0 and f"3 {LACKING}" in out and "HB201" in err
    code, _, err = run(capsys, "--annotations", str(tmp_path / "nowhere"))
    assert code == 1 and "HB201" in err  # what was named has to be there


def test_an_interrupted_run_goes_on_where_it_stopped(root, capsys, monkeypatch):
    score, scored = scoring.score, []

    def counted(preds, track, meta, *arguments, **options):
        if meta.method == "Method c" and "interrupt" in os.environ:
            raise KeyboardInterrupt
        scored.append(meta.method)
        return score(preds, track, meta, *arguments, **options)

    monkeypatch.setattr(scoring, "score", counted)
    monkeypatch.setenv("interrupt", "1")
    assert run(capsys)[0] == 130
    monkeypatch.delenv("interrupt")
    edit_result(root / TRACK / "b", lambda s: s["scores"][0].update(n=7))  # changed in between
    _, out, _ = run(capsys)
    assert scored == ["Method a", "Method b", "Method b", "Method c"]
    assert f"{TRACK}/a: same" in out and out.count("(done before)") == 1
    scored.clear()
    run(capsys)  # the run was complete: a new one begins
    assert len(scored) == 3


def test_a_run_does_not_go_on_with_other_code_or_another_truth(root, capsys, monkeypatch, home):
    (root / TRACK / "c" / "submission.yaml").write_text("method: [")
    assert run(capsys)[0] == 1
    truth = home / "assemblyhands" / "val" / "annotations.parquet"
    os.utime(truth, (1, 1))  # prepared again
    assert run(capsys)[1].count("(done before)") == 0
    assert run(capsys)[1].count("(done before)") == 2
    monkeypatch.setattr(rescoring, "_code", lambda: "changed")
    assert run(capsys)[1].count("(done before)") == 0


def test_what_was_done_is_done_again_when_asked(root, capsys, monkeypatch):
    (root / TRACK / "c" / "submission.yaml").write_text("method: [")
    assert run(capsys)[0] == 1
    assert run(capsys)[1].count("(done before)") == 2
    assert run(capsys, "--again")[1].count("(done before)") == 0


def test_several_processes_give_the_same_bytes(root, capsys):
    before = submitted.contents(root)
    for name in ("result.json", "sums.parquet", "errors.parquet"):
        (root / TRACK / "b" / name).unlink()
    code, out, _ = run(capsys, "--workers", "2")
    assert code == 0 and "2 same" in out and "1 scored" in out
    after = submitted.contents(root)
    assert set(after) == set(before) and all(alike(before[k], after[k]) for k in before)


class Deadly(Job):
    """A job whose process dies, as one without memory does."""

    def __reduce__(self):
        return _job, (dict(vars(self)),)


def _job(fields: dict) -> Job:
    if fields["path"].endswith("/b"):
        os._exit(9)
    return Job(**fields)


def test_a_process_that_dies_takes_nobody_with_it(root):
    jobs = [Deadly(str(root / TRACK / name)) for name in "abc"]
    found = {o.slug: o for _, o in rescoring.run(jobs, workers=2)}
    assert {slug: o.status for slug, o in found.items()} == {
        f"{TRACK}/a": SAME, f"{TRACK}/b": BROKEN, f"{TRACK}/c": SAME
    }  # fmt: skip
    assert "its process died" in found[f"{TRACK}/b"].problem


def test_an_unexpected_error_is_an_outcome_too(root, monkeypatch):
    monkeypatch.setattr(scoring, "score", lambda *a, **k: 1 / 0)
    outcome = rescoring.rescore_one(Job(str(root / TRACK / "a")))
    assert outcome.status == BROKEN and "ZeroDivisionError" in outcome.problem


def test_a_new_version_of_a_metric_writes_the_table(root, capsys, monkeypatch, tmp_path):
    signature = protocols.Measure.signature

    def bumped(self, subset, inputs):
        text = signature(self, subset, inputs)
        return text.removesuffix("v1") + "v2" if self.metric == "MPJPE" else text

    monkeypatch.setattr(protocols.Measure, "signature", bumped)
    edit_result(root / TRACK / "a", lambda s: [x.update(value=9.0) for x in s["scores"]
                                               if x["metric"] == "MPJPE"])  # fmt: skip
    code, out, err = run(capsys)
    assert (code, err) == (0, "") and "3 changed" in out and "wrote score-changes.md" in out
    table = (tmp_path / "score-changes.md").read_text()
    assert table.startswith(f"### {TRACK}\n\n| submission | number | version | before | after |")
    now = read_submission(root / TRACK / "a").result.score("MPJPE")
    row = next(x for x in table.splitlines() if x.startswith("| a | MPJPE all (recommended, mm)"))
    assert f"| v1 to v2 | 9.00 | {now.text()} | {now.value - 9:+.2f} |" in row
    assert "AUC" not in table and run(capsys)[0] == 0


def test_no_table_without_a_new_version(root, capsys, tmp_path):
    edit_result(root / TRACK / "a", lambda s: s["scores"][0].update(n=7))
    run(capsys)
    assert not (tmp_path / "score-changes.md").exists()


def test_changes_say_what_is_new_gone_and_different(root):
    result = read_submission(root / TRACK / "a").result
    first, second, *rest = result.scores
    assert changes.changes(result, result) == []
    noisy = dataclasses.replace(first, value=first.value * (1 + 1e-9))
    assert changes.changes(result, dataclasses.replace(result, scores=[noisy, second, *rest])) == []
    moved = dataclasses.replace(first, value=first.value + 0.5)
    found = changes.changes(result, dataclasses.replace(result, scores=[moved, *rest]))
    assert [(c.metric, c.after is None) for c in found] == [
        (second.metric, True), (first.metric, False)
    ]  # fmt: skip
    assert found[1].amount == pytest.approx(0.5) and "to none" in found[0].text()
    gone = dataclasses.replace(first, value=None, ci95=None)
    (found,) = changes.changes(result, dataclasses.replace(result, scores=[gone, second, *rest]))
    assert "n/a" in found.text()


def test_a_reason_is_other_bytes_other_truth_or_another_version(root):
    result = read_submission(root / TRACK / "a").result
    first, *rest = result.scores
    after = dataclasses.replace(result, scores=[dataclasses.replace(first, n=1), *rest])
    found = changes.changes(result, after)
    assert changes.is_silent(result, after, found)
    truth = result.annotations | {"sha256": "0"}
    assert not changes.is_silent(result, dataclasses.replace(after, annotations=truth), found)
    named = dataclasses.replace(first, n=1, signature=first.signature.replace("|v1", "|v2"))
    after = dataclasses.replace(result, scores=[named, *rest])
    found = changes.changes(result, after)
    assert changes.is_bump(found) and not changes.is_silent(result, after, found)


def test_predictions_at_an_address_are_fetched_for_scoring(root, server, home):  # noqa: F811
    one = read_submission(root / TRACK / "a")
    data = one.predictions.read_bytes()
    meta = dataclasses.replace(one.meta, predictions=wanted(data))
    with placing.making(one.path) as made:
        meta.write(made / "submission.yaml")
    server.answers["/p.parquet"] = (200, {}, data)
    outcome = rescoring.rescore_one(Job(str(one.path)), server.network())
    assert outcome.status == SCORED
    assert Result.from_json(outcome.after).primary == one.result.primary
    assert not (one.path / "predictions.parquet").exists()
    server.answers["/p.parquet"] = (200, {}, data[:-1] + b"x")  # swapped after review
    (home / "submitted").rename(home / "gone")
    outcome = rescoring.rescore_one(Job(str(one.path)), server.network())
    assert outcome.status == BROKEN and "HB144" in outcome.problem
    assert read_submission(one.path).result is not None


def test_a_mirror_helps_where_the_address_has_died(root, server, home):  # noqa: F811
    one = read_submission(root / TRACK / "a")
    data = one.predictions.read_bytes()
    meta = dataclasses.replace(one.meta, predictions=wanted(data))
    with placing.making(one.path) as made:
        meta.write(made / "submission.yaml")
    one = read_submission(one.path)
    place = "/datasets/org/mirror/resolve/main/" + rescoring.mirror_place(one)
    server.answers[place] = (200, {}, data)
    job = Job(str(one.path), mirror="org/mirror")
    assert rescoring.rescore_one(job, server.network()).status == SCORED
    assert CHANGED != SAME and server.hosts[-1] == "huggingface.co"
