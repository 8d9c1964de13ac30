"""Placing, superseding, withdrawing: all or nothing, and nothing outside the folder."""

from pathlib import Path

import pytest

from hand_bench.errors import HandBenchError, SubmissionError
from hand_leaderboard.submissions import placing
from hand_leaderboard.submissions.folder import Withdrawn, read_submission
from leaderboard import submitted


@pytest.fixture
def root(tmp_path):
    return tmp_path / "submissions"


@pytest.fixture
def prepared(home):
    return submitted.prepare("assemblyhands", home)


def test_a_second_submission_supersedes_the_first_and_keeps_it(root, prepared):
    first = submitted.place(root, prepared, noise=9.0, description="old")
    second = submitted.place(root, prepared, noise=3.0, description="new")
    third = submitted.place(root, prepared, noise=1.0, description="newest")
    assert [v.number for v in third.history] == [1, 2]
    assert [v.meta for v in third.history] == [first.meta, second.meta]
    assert [v.result for v in third.history] == [first.result, second.result]
    kept = submitted.contents(third.path / "history")
    assert set(kept) == {
        f"{k}/{name}" for k in (1, 2) for name in ("submission.yaml", "result.json")
    }
    assert third.result.primary.value > second.result.primary.value > first.result.primary.value


def test_withdrawing_keeps_a_trace_and_no_scores(root, prepared):
    one = submitted.place(root, prepared)
    gone = placing.withdraw(root, prepared.track, "a", Withdrawn("2026-02-03", "A bug: no joint"))
    assert set(submitted.contents(one.path)) == {"submission.yaml", "withdrawn.yaml"}
    assert gone.withdrawn.reason == "A bug: no joint" and gone.meta == one.meta
    with pytest.raises(SubmissionError, match=r"HB147 .*was withdrawn on 2026-02-03"):
        placing.withdraw(root, prepared.track, "a", Withdrawn("2026-02-04", "again"))
    again = submitted.place(root, prepared)
    assert again.withdrawn is None and again.history[0].withdrawn == gone.withdrawn


def test_what_does_not_exist_cannot_be_withdrawn(root, prepared):
    submitted.place(root, prepared, "abc")
    with pytest.raises(SubmissionError, match=r"HB147 .*does not exist.\n +There are: abc"):
        placing.withdraw(root, prepared.track, "ab", Withdrawn("2026-02-03", "x"))


@pytest.mark.parametrize("reason", ["", "x" * 1_001, "a\x1b[2Jb", "turned \u202e"])
def test_a_reason_is_a_short_text(root, prepared, reason):
    one = submitted.place(root, prepared)
    before = submitted.contents(root)
    with pytest.raises(SubmissionError, match=r"HB140 .*is not a day and a reason"):
        placing.withdraw(root, prepared.track, "a", Withdrawn("2026-02-03", reason))
    assert submitted.contents(root) == before
    placing.write_withdrawn(one.path / "withdrawn.yaml", Withdrawn("2026-02-03", reason))
    with pytest.raises(SubmissionError, match=r"HB140"):
        read_submission(one.path)


@pytest.mark.parametrize("name", ["../../outside", "..", "/tmp/outside", "a/b", "con"])
def test_no_name_leads_outside(root, prepared, name):
    with pytest.raises(SubmissionError, match=r"HB141"):
        placing.place_of(root, prepared.track, name)
    with pytest.raises(SubmissionError, match=r"HB141"):
        placing.withdraw(root, prepared.track, name, Withdrawn("2026-02-03", "x"))
    assert not root.exists()


@pytest.mark.parametrize("where", ["assemblyhands", "assemblyhands/a"])
def test_nothing_is_written_through_a_link(root, prepared, tmp_path, where):
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / where).parent.mkdir(parents=True)
    (root / where).symlink_to(outside)
    with pytest.raises(SubmissionError, match=r"HB142 .*symbolic link"):
        submitted.place(root, prepared)
    assert not list(outside.iterdir())


def test_a_failure_leaves_what_was_there(root, prepared):
    one = submitted.place(root, prepared)
    before = submitted.contents(root)
    with pytest.raises(ZeroDivisionError), placing.making(one.path) as made:
        (made / "submission.yaml").write_text("half")
        raise ZeroDivisionError
    assert submitted.contents(root) == before and len(list(one.path.parent.iterdir())) == 1


def test_a_failed_swap_puts_the_old_folder_back(root, prepared, monkeypatch):
    one = submitted.place(root, prepared)
    before, rename = submitted.contents(root), Path.rename

    def broken(self, target):
        if self.name.startswith(".a-") and not self.name.endswith("-old"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(HandBenchError, match=r"HB402 .*No space left"), placing.making(one.path):
        pass
    assert submitted.contents(root) == before and len(list(one.path.parent.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_named(prepared, tmp_path):
    (tmp_path / "file").write_text("x")
    meta = submitted.Meta.of(submitted.plain(prepared.track))
    with pytest.raises(HandBenchError, match=r"HB402"):
        placing.place(tmp_path / "file" / "submissions", prepared.track, "a", meta, None, None)


def test_new_scores_change_nothing_else(root, prepared, tmp_path):
    submitted.place(root, prepared, noise=9.0)
    one = submitted.place(root, prepared)
    before = submitted.contents(one.path)
    (tmp_path / "scored").mkdir()
    for name in ("result.json", "sums.parquet"):
        (tmp_path / "scored" / name).write_bytes(before[name])
    done = placing.rewrite(one, tmp_path / "scored")
    assert submitted.contents(done.path) == {
        k: v for k, v in before.items() if k != "errors.parquet"
    }
    assert read_submission(done.path).history
