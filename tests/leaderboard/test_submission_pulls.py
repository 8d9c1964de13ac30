"""Pull requests: read as data, checked without secrets, scored by the base, then settled."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hand_bench.errors import HandBenchError, SubmissionError
from hand_leaderboard.submissions import automation, comments, placing
from hand_leaderboard.submissions.folder import Withdrawn, read_submission, read_submissions
from hand_leaderboard.submissions.pull_checks import check_pull
from hand_leaderboard.submissions.pulls import Repository
from leaderboard import submitted

TRACK = "assemblyhands"
TODAY = "2026-01-06"


class Clone:
    """A repository with a working tree, and what its branches are."""

    def __init__(self, path: Path):
        self.path, self.root = path, path / "submissions"
        self.root.mkdir(parents=True)
        (self.root / "README.md").write_text("words\n")
        self.git("init", "-q", "-b", "main")
        self.base = self.commit("base")

    def git(self, *arguments: str) -> str:
        who = [
            "-c",
            "user.name=n",
            "-c",
            "user.email=n@example.org",
            "-c",
            "core.hooksPath=/dev/null",
        ]
        done = subprocess.run(["git", "-C", str(self.path), *who, *arguments], check=True,
                              capture_output=True, text=True)  # fmt: skip
        return done.stdout.strip()

    def commit(self, text: str) -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", text)
        return self.git("rev-parse", "HEAD")

    def check(self, head: str, **options):
        found = check_pull(Repository(self.path), self.base, head, today=TODAY, **options)
        return [s.slug for s in found[0]], "\n".join(map(str, found[1]))


@pytest.fixture
def prepared(home):
    return submitted.prepare(TRACK, home)


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path / "clone")


def test_a_pull_request_that_is_fine_passes(clone, prepared):
    submitted.place(clone.root, prepared)
    assert clone.check(clone.commit("new")) == ([f"{TRACK}/a"], "")


def test_a_pull_request_without_submissions_is_nobodys_business(clone):
    (clone.path / "code.py").write_text("x")
    assert clone.check(clone.commit("code")) == ([], "")


def test_a_submission_changes_nothing_else_unless_a_maintainer_opened_it(clone, prepared):
    submitted.place(clone.root, prepared)
    (clone.path / "conftest.py").write_text("import os")
    head = clone.commit("new")
    assert (
        "HB142 pull request: also changes 1 other files, e.g. 'conftest.py'" in clone.check(head)[1]
    )
    assert clone.check(head, trusted=True) == ([f"{TRACK}/a"], "")


def test_what_the_base_has_meanwhile_is_not_the_pull_requests(clone, prepared):
    submitted.place(clone.root, prepared)
    head = clone.commit("new")
    clone.git("switch", "-q", "-c", "other", clone.base)
    (clone.path / "more.py").write_text("x")
    clone.base = clone.commit("meanwhile")
    assert clone.check(head) == ([f"{TRACK}/a"], "")


def hostile(path: Path, what: str, tmp_path: Path) -> None:
    """Add something to a submission that does not belong there."""
    if what == "link":
        (path / "predictions.parquet").unlink()
        (path / "predictions.parquet").symlink_to("/etc/passwd")
    elif what == "link to a folder":
        (path / "history").symlink_to("../../../../../../etc")
    elif what == "code":
        (path / "setup.py").write_text("raise SystemExit")
    elif what == "attributes":
        (path / ".gitattributes").write_text("* filter=evil")
    elif what == "deep":
        (path / "history" / "1" / "more").mkdir(parents=True)
        (path / "history" / "1" / "more" / "submission.yaml").write_text("a: 1")
    elif what == "large":
        (path / "predictions.parquet").write_bytes(os.urandom(5_000_001))
    elif what == "name":
        path.rename(path.with_name("A b"))
    elif what == "track":
        (path.parents[1] / "nonsense").mkdir()
        path.rename(path.parents[1] / "nonsense" / "a")
    elif what == "bomb":
        (path / "submission.yaml").write_text("a: &a [x]\nb: [*a, *a]")


@pytest.mark.parametrize(
    ("what", "said"),
    [("link", "is a symbolic link"), ("link to a folder", "is a symbolic link"),
     ("code", "setup.py: does not belong"), ("attributes", "does not belong"),
     ("deep", "does not belong"), ("large", "has 5,000,001 bytes"), ("name", "HB141"),
     ("track", "HB301"), ("bomb", "HB140")],
)  # fmt: skip
def test_hostile_folders_are_refused_and_never_written(clone, prepared, tmp_path, what, said):
    one = submitted.place(clone.root, prepared)
    hostile(one.path, what, tmp_path)
    head = clone.commit("hostile")
    clone.git("switch", "-q", "--detach", clone.base)
    before = submitted.contents(clone.path / "submissions")
    slugs, problems = clone.check(head)
    assert slugs == [] and said in problems
    assert submitted.contents(clone.path / "submissions") == before
    out = tmp_path / "out"
    scored = automation.score_pull(Repository(clone.path), clone.base, head, out)
    assert [s.result for s in scored] == [None] and not list(out.rglob("*.json"))


def test_a_submodule_is_refused(clone, prepared):
    one = submitted.place(clone.root, prepared)
    clone.git("add", "--all")
    where = f"160000,{clone.base},{one.path.relative_to(clone.path)}/history"
    clone.git("update-index", "--add", "--cacheinfo", where)
    clone.git("commit", "-q", "-m", "submodule")
    assert "is a submodule" in clone.check(clone.git("rev-parse", "HEAD"))[1]


def test_only_full_hashes_are_handed_to_git(clone):
    for name in ("main", "--output=/tmp/x", "HEAD", "a" * 39, f"{clone.base}\n"):
        with pytest.raises(HandBenchError, match=r"no full commit hash"):
            Repository(clone.path).changes(clone.base, name)
    with pytest.raises(HandBenchError, match=r"HB402"):
        Repository(clone.path).changes(clone.base, "0" * 40)


def test_a_newer_version_keeps_the_older_ones(clone, prepared):
    one = submitted.place(clone.root, prepared, noise=8.0)
    clone.base = clone.commit("first")
    submitted.place(clone.root, prepared, description="better")
    good = clone.commit("second")
    assert clone.check(good) == ([f"{TRACK}/a"], "")
    shutil.rmtree(one.path / "history")
    assert "does not keep the versions before it" in clone.check(clone.commit("forgot"))[1]
    clone.git("reset", "-q", "--hard", good)
    old = one.path / "history" / "1" / "submission.yaml"
    old.write_text(old.read_text().replace("Looks at hands", "Was bad"))
    assert "does not keep the versions before it" in clone.check(clone.commit("rewrote"))[1]


def test_another_team_cannot_supersede(clone, prepared):
    submitted.place(clone.root, prepared)
    clone.base = clone.commit("first")
    submitted.place(clone.root, prepared, team="team two")
    head = clone.commit("mine now")
    assert "supersedes a submission of other people" in clone.check(head)[1]
    assert clone.check(head, trusted=True)[1] == ""


def test_a_new_submission_brings_no_history(clone, prepared):
    submitted.place(clone.root, prepared)
    submitted.place(clone.root, prepared, description="again")
    assert "brings a history, though it is new" in clone.check(clone.commit("new"))[1]


def test_a_submission_is_withdrawn_not_removed(clone, prepared):
    one = submitted.place(clone.root, prepared)
    clone.base = clone.commit("first")
    placing.withdraw(clone.root, prepared.track, "a", Withdrawn("2026-02-03", "a bug"))
    assert clone.check(clone.commit("withdrawn")) == ([f"{TRACK}/a"], "")
    shutil.rmtree(one.path)
    head = clone.commit("removed")
    assert "HB147 assemblyhands/a: is removed" in clone.check(head)[1]
    assert clone.check(head, trusted=True)[1] == ""


def test_ids_are_compared_with_a_published_list(clone, prepared, tmp_path, home):
    submitted.place(clone.root, prepared)
    head = clone.commit("new")
    (tmp_path / "ids").mkdir()
    other = submitted.prepare("stb", tmp_path / "else", frames=3)
    other.predictions(tmp_path / "ids" / f"{TRACK}.parquet")
    assert "HB105" in clone.check(head, ids=tmp_path / "ids")[1]
    prepared.predictions(tmp_path / "ids" / f"{TRACK}.parquet")
    assert clone.check(head, ids=tmp_path / "ids")[1] == ""


def test_a_hidden_truth_wants_todays_date_and_few_submissions(clone):
    def add(name, date):
        path = clone.root / "arctic-ego-test" / name
        path.mkdir(parents=True)
        meta = submitted.Meta.of(submitted.plain("arctic-ego-test", date=date))
        meta.write(path / "submission.yaml")

    add("late", "2025-06-01")
    assert "HB145" in clone.check(clone.commit("old date"))[1]
    shutil.rmtree(clone.root / "arctic-ego-test")
    for name in "abc":
        add(name, "2026-01-02")
    clone.base = clone.commit("three")
    add("d", TODAY)
    assert "would be submission 4 of 'team one' within 30 days" in clone.check(clone.commit("4"))[1]


def test_scores_stand_in_the_comment_with_the_nearest_rows(clone, prepared, tmp_path):
    for k, name in enumerate(("m1", "m2", "m3", "m4", "m5", "m6")):
        submitted.place(clone.root, prepared, name, noise=2.0 + 2 * k)
    other = ["boxes:own", "root_depth:own", "K:gt"]
    submitted.place(clone.root, prepared, "own-boxes", noise=1.0, inputs=other)
    placing.withdraw(clone.root, prepared.track, "m6", Withdrawn("2026-02-03", "x"))
    clone.base = clone.commit("board")
    new = submitted.place(clone.root, prepared, "mine", noise=5.0)
    for name in ("result.json", "sums.parquet", "errors.parquet"):
        (new.path / name).unlink()
    head = clone.commit("new")
    clone.git("switch", "-q", "--detach", clone.base)
    repository, out = Repository(clone.path), tmp_path / "out"
    scored = automation.score_pull(repository, clone.base, head, out)
    text = comments.comment(scored, read_submissions(clone.root), head)
    assert new.result.primary.text() in text and new.result.primary.interval_text() in text
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows == ["submission", "m1", "m2", "**mine**", "m3", "m4"]
    assert "By value it is 3 of 6 with the same inputs" in text and head[:12] in text
    kept = submitted.contents(out / "scored")
    assert set(kept) == {
        f"{TRACK}/mine/{n}" for n in ("result.json", "sums.parquet", "errors.parquet")
    }


def test_a_result_that_was_made_up_fails(clone, prepared, tmp_path):
    one = submitted.place(clone.root, prepared)
    good = clone.commit("honest")
    repository = Repository(clone.path)
    (found,) = automation.score_pull(repository, clone.base, good, tmp_path / "out")
    assert found.result == one.result
    text = (one.path / "result.json").read_text()
    value = f'"value": {one.result.primary.value}'
    assert value in text
    (one.path / "result.json").write_text(text.replace(value, '"value": 0.999'))
    (found,) = automation.score_pull(repository, clone.base, clone.commit("lie"), tmp_path / "out2")
    assert found.result is None and "HB146" in found.problem and "numbers differ" in found.problem


def test_one_broken_submission_does_not_stop_the_others(clone, prepared, tmp_path):
    for name in "abc":
        submitted.place(clone.root, prepared, name)
    (clone.root / TRACK / "b" / "submission.yaml").write_text("method: <script>alert(1)</script>\n")
    scored = automation.score_pull(
        Repository(clone.path), clone.base, clone.commit("3"), tmp_path / "o"
    )
    assert [s.result is None for s in scored] == [False, True, False]
    text = comments.comment(scored, [], "f" * 40)
    broken = text.split("### assemblyhands/b")[1].split("###")[0]
    assert all(
        line.startswith("    ") for line in broken.splitlines() if "HB1" in line or "<" in line
    )


def test_nothing_of_a_stranger_is_markup_in_a_comment():
    words = "@everyone\n\n<img src=x onerror=alert(1)>\n```\n# head\r[a](javascript:alert(1))"
    text = comments.comment([comments.Scored("t/n", (), None, words)], [], "f" * 40)
    for line in text.splitlines():
        if any(part in line for part in ("@", "<", "`", "javascript", "# head")):
            assert line.startswith("    ")
    long = comments.comment([comments.Scored("t/n", (), None, "x" * 10**6)], [], "f" * 40)
    assert len(long) < 65_000
    assert automation._shown("a/<b>@c`|\n") == "a/?b??c???"


def test_settling_a_merge_writes_scores_and_mirrors(clone, prepared, monkeypatch, capsys):
    one = submitted.place(clone.root, prepared)
    submitted.place(clone.root, prepared, "bad")
    (clone.root / TRACK / "bad" / "predictions.parquet").write_bytes(b"swapped")
    for name in ("result.json", "sums.parquet", "errors.parquet"):
        (one.path / name).unlink()
    head = clone.commit("merge")
    sent = {}

    def upload(repo, files, title):
        sent[repo] = {place: Path(path).read_bytes() for place, path in files.items()}
        return list(files)

    monkeypatch.setattr(automation.hub, "upload", upload)
    problems = automation.settle_merge(Repository(clone.path), clone.base, head, clone.root,
                                       mirror="org/mirror")  # fmt: skip
    assert [p.where for p in problems] == [f"{TRACK}/bad"] and "HB144" in str(problems[0])
    assert read_submission(one.path).result == one.result
    place = f"{TRACK}/a/{one.meta.predictions.sha256}.parquet"
    assert sent == {"org/mirror": {place: (one.path / "predictions.parquet").read_bytes()}}
    assert f"mirrored {place}" in capsys.readouterr().out


def test_the_commands_exit_1_where_something_is_wrong(
    clone, prepared, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(clone.path)
    submitted.place(clone.root, prepared)
    head = clone.commit("new")
    options = ["--base", clone.base, "--head", head]
    automation.main(["check", *options, "--today", TODAY])
    assert capsys.readouterr().out == f"{TRACK}/a: fine\n1 submissions checked\n"
    automation.main(["score", *options, "--out", str(tmp_path / "o")])
    assert (tmp_path / "o" / "comment.md").read_text() in capsys.readouterr().out
    automation.main(["tracks"])
    automation.main(["tracks", "--prefix", "handsim-"])
    assert capsys.readouterr().out == f"{TRACK}\n"
    automation.main(["settle", *options])
    (clone.root / TRACK / "a" / "x.py").write_text("")
    options = ["--base", clone.base, "--head", clone.commit("bad")]
    for command in (["check", *options], ["score", *options, "--out", str(tmp_path / "o")],
                    ["settle", *options]):  # fmt: skip
        with pytest.raises(SystemExit, match=r"1"):
            automation.main(command)


def test_names_of_folders_come_from_the_tree(clone, prepared):
    for name in "ab":
        submitted.place(clone.root, prepared, name)
    found = Repository(clone.path).folders(clone.commit("two"))
    assert found == [(TRACK, "a"), (TRACK, "b")]
    with pytest.raises(SubmissionError, match=r"HB141"):
        Repository(clone.path).write_folder(clone.base, "..", "a", clone.path / "x")
