"""The commands submit, submit init, check and withdraw: what they print, write and refuse."""

import hashlib
import json

import pytest

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: .[hub]")
from huggingface_hub import constants

from baselines import hub_emulator
from hand_bench.cli import main
from hand_leaderboard.submissions import asking, hub
from hand_leaderboard.submissions.folder import read_submission, read_submissions
from hand_leaderboard.submissions.meta import Meta
from hand_leaderboard.submissions.truth import open_truth
from leaderboard import submitted

TRACK = "assemblyhands"


@pytest.fixture
def work(tmp_path, monkeypatch, home):
    """An empty working folder, with a prepared track and predictions p.parquet."""
    monkeypatch.chdir(tmp_path)
    submitted.prepare(TRACK, home).predictions(tmp_path / "p.parquet")
    return tmp_path


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    """Run the command line; return exit code, stdout and stderr."""
    capsys.readouterr()
    try:
        main([str(a) for a in arguments])
        code = 0
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def write_meta(work, track=TRACK, **fields):
    """Write a description without the bytes of predictions."""
    plain = submitted.plain(track, predictions=None, **fields)
    (work / "submission.yaml").write_text(json.dumps(plain))  # JSON is YAML


@pytest.mark.parametrize("name", submitted.PUBLIC)
def test_submit_checks_scores_and_places(name, tmp_path, home, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    submitted.prepare(name, home).predictions(tmp_path / "p.parquet")
    write_meta(tmp_path, name)
    code, out, _ = run(capsys, "submit", "p.parquet", "--track", name)
    (one,) = read_submissions("submissions")
    assert code == 0 and one.slug == f"{name}/method-a"
    primary = one.result.primary
    assert out.startswith(
        f"{one.slug}: {primary.metric} all {primary.text()} ({primary.interval_text()})"
    )
    assert f"git add --all submissions/{one.slug}" in out
    assert (
        one.meta.predictions.sha256
        == hashlib.sha256((tmp_path / "p.parquet").read_bytes()).hexdigest()
    )
    code, out, _ = run(capsys, "submit", "check")
    assert (code, out) == (0, "1 submissions are fine\n")


def test_a_dry_run_writes_nothing(work, capsys):
    write_meta(work)
    before = submitted.contents(work)
    code, out, _ = run(capsys, "submit", "p.parquet", "--track", TRACK, "--dry-run")
    assert code == 0 and "fits. Nothing was written; it would go to submissions/" in out
    assert submitted.contents(work) == before


def test_json_is_one_object(work, capsys):
    write_meta(work)
    _, out, _ = run(capsys, "submit", "p.parquet", "--track", TRACK, "--json", "--name", "b")
    told = json.loads(out)
    assert told["placed"] and told["name"] == "b" and told["primary"]["value"] > 0.5


def test_without_annotations_it_is_checked_and_placed_unscored(work, capsys, monkeypatch):
    write_meta(work)
    monkeypatch.setenv("HAND_BENCH_HOME", str(work / "nothing"))
    code, out, err = run(capsys, "submit", "p.parquet", "--track", TRACK)
    assert code == 0 and "is not prepared here" in err and "AUC" not in out
    (one,) = read_submissions("submissions")
    assert one.result is None and one.sums is None


def test_ids_can_come_from_a_template(work, capsys, monkeypatch):
    write_meta(work)
    run(capsys, "template", "--track", TRACK, "-o", "t.parquet")
    monkeypatch.setenv("HAND_BENCH_HOME", str(work / "nothing"))
    options = ("p.parquet", "--track", TRACK, "--dry-run", "--ids")
    code, _, err = run(capsys, "submit", *options, "t.parquet")
    assert code == 0 and err == ""
    other = submitted.prepare("stb", work / "other")
    other.predictions(work / "ids.parquet")
    code, _, err = run(capsys, "submit", *options, "ids.parquet")
    assert code == 1 and "HB105" in err


@pytest.mark.parametrize(
    ("fields", "options", "said"),
    [
        ({"method": "x" * 90}, (), "HB140"),
        ({"inputs": []}, (), "HB113 .*does not say what was used for: boxes, root_depth, K"),
        ({"training": ["nonsense"]}, (), "HB113"),
        ({"method": "手"}, (), "HB141"),
        ({}, ("--name", "../../x"), "HB141"),
        ({}, ("--track", "assemblyhand"), "HB301"),
        ({}, ("--meta", "nothing.yaml"), "HB402"),
        ({}, ("--annotations", "nothing"), "HB201"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(work, capsys, fields, options, said):
    import re

    write_meta(work, **fields)
    track = () if "--track" in options else ("--track", TRACK)
    code, out, err = run(capsys, "submit", "p.parquet", *track, *options)
    assert code == 1 and out == "" and re.search(said, err)
    assert not (work / "submissions").exists()


def test_predictions_that_are_not_there_are_named(work, capsys):
    write_meta(work)
    code, _, err = run(capsys, "submit", "q.parquet", "--track", TRACK)
    assert code == 1 and "HB101 q.parquet" in err


def test_a_description_of_other_bytes_is_refused(work, capsys):
    plain = submitted.plain(TRACK, predictions={"sha256": "0" * 64, "size": 5})
    (work / "submission.yaml").write_text(json.dumps(plain))
    code, _, err = run(capsys, "submit", "p.parquet", "--track", TRACK)
    assert code == 1 and "HB144" in err and "sha256 and size" in err


def test_large_predictions_need_an_address(work, capsys, monkeypatch):
    from hand_leaderboard.submissions import submitting

    write_meta(work)
    monkeypatch.setattr(submitting, "BESIDE", 1_000)
    code, _, err = run(capsys, "submit", "p.parquet", "--track", TRACK)
    assert code == 1 and "HB140" in err and "url: https://" in err
    plain = submitted.plain(TRACK, predictions={"url": "https://example.org/p.parquet"})
    (work / "submission.yaml").write_text(json.dumps(plain))
    code, out, _ = run(capsys, "submit", "p.parquet", "--track", TRACK)
    (one,) = read_submissions("submissions")
    assert code == 0 and one.predictions is None and one.result is not None
    assert one.meta.predictions.url == "https://example.org/p.parquet"
    assert "keep https://example.org/p.parquet as it is" in out


def test_withdraw_leaves_a_trace(work, capsys):
    write_meta(work)
    run(capsys, "submit", "p.parquet", "--track", TRACK)
    code, out, _ = run(capsys, "submit", "withdraw", TRACK, "method-a", "--reason", "<b>a bug</b>")
    assert (code, out) == (0, f"withdrawn: {TRACK}/method-a\n")
    assert read_submission("submissions/assemblyhands/method-a").withdrawn.reason == "<b>a bug</b>"
    assert run(capsys, "submit", "check")[1] == "1 submissions are fine, 1 withdrawn\n"
    _, _, err = run(capsys, "submit", "p.parquet", "--track", TRACK)
    assert "supersedes 1 earlier" in err
    assert run(capsys, "submit", "withdraw", TRACK, "b", "--reason", "x")[0] == 1


def test_check_says_what_is_wrong_and_exits_1(work, capsys):
    write_meta(work)
    run(capsys, "submit", "p.parquet", "--track", TRACK)
    (work / "submissions" / TRACK / "method-a" / "x.sh").write_text("")
    code, out, err = run(capsys, "submit", "check", "submissions/assemblyhands/method-a/x.sh")
    assert code == 1 and out == "" and "HB142" in err
    code, out, _ = run(capsys, "submit", "check", "--json")
    assert code == 1 and json.loads(out)["problems"][0]["code"] == "HB142"


FLAGS = ("--method", "M", "--team", "T", "--licence", "CC0", "--description", "a\n\nb")
INPUTS = ("--inputs", "boxes:standard", "root_depth:own", "K:gt")


def test_init_writes_what_options_say(work, capsys):
    more = ("--training", "arctic/train", "visor/train: masks, grasp", "--paper-title", "On hands",
            "--paper-url", "https://example.org", "--parameters", "25000000")  # fmt: skip
    code, _, _ = run(
        capsys, "submit", "init", "p.parquet", "--track", TRACK, *FLAGS, *INPUTS, *more
    )
    meta = Meta.read(work / "submission.yaml")
    assert code == 0 and meta.training == ("arctic/train", "visor/train: masks, grasp")
    assert meta.paper.title == "On hands" and meta.parameters == 25_000_000
    assert run(capsys, "submit", "p.parquet", "--track", TRACK)[0] == 0
    code, _, err = run(capsys, "submit", "init", "--track", TRACK, *FLAGS, *INPUTS)
    assert code == 1 and "is there already" in err
    assert run(capsys, "submit", "init", "--track", TRACK, *FLAGS, *INPUTS, "--force")[0] == 0
    assert "predictions" not in (work / "submission.yaml").read_text()
    assert run(capsys, "submit", "p.parquet", "--track", TRACK)[0] == 0


def test_init_without_a_terminal_names_the_options_that_lack(work, capsys):
    code, _, err = run(capsys, "submit", "init", "--track", TRACK, "--method", "M")
    assert code == 1 and "lacks --licence, --description, --team (or --author)" in err
    code, _, err = run(capsys, "submit", "init", "--track", TRACK, *FLAGS)
    assert code == 1 and "boxes:standard or boxes:own or boxes:none" in err
    assert not (work / "submission.yaml").exists()


def test_init_asks_for_everything_on_a_terminal(work, capsys, monkeypatch):
    answers = iter(["My method", "", "A. One, B. Two", "", "CC0", "It looks at hands.", "", "",
                    "arctic/train; visor/train: masks, grasp", "nonsense", "own", "", "gt",
                    "ResNet-50", "25.6M", "", ""])  # fmt: skip
    asked = []

    def answer(question):
        asked.append(question)
        return next(answers)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(asking, "terminal", answer)
    assert run(capsys, "submit", "init", "p.parquet", "--track", TRACK)[0] == 0
    meta = Meta.read(work / "submission.yaml")
    assert meta.authors == ("A. One", "B. Two") and meta.parameters == 25_600_000
    assert meta.inputs == ("boxes:own", "root_depth:own", "K:gt")
    assert meta.training == ("arctic/train", "visor/train: masks, grasp")
    assert not list(answers) and "licence: Licence of the predictions" in "".join(asked)


@pytest.fixture
def server(monkeypatch):
    with hub_emulator.running() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE",
            running.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        )  # fmt: skip
        monkeypatch.setenv("HF_TOKEN", "writer")
        running.add("org/board", {}, "dataset")
        yield running


def test_a_submission_becomes_a_pull_request_of_the_hub(work, capsys, server):
    write_meta(work)
    options = ("p.parquet", "--track", TRACK, "--hub", "org/board")
    code, out, _ = run(capsys, "submit", *options, "--dry-run")
    assert code == 0 and "and to the Hub dataset org/board" in out and not server.uploads()
    code, out, err = run(capsys, "submit", *options)
    assert code == 0, err
    assert "pull request: http" in out and "/discussions/1" in out
    sent = server.repos["dataset", "org/board"]
    names = {f"submissions/{TRACK}/method-a/{p.name}" for p in
             (work / "submissions" / TRACK / "method-a").iterdir()}  # fmt: skip
    assert set(sent.commits[sent.refs["refs/pr/1"]]) == names and not sent.files
    old = f"submissions/{TRACK}/method-a/errors.parquet.old"
    server.add("org/board", {old: b"x", "README.md": b"y"}, "dataset")
    write_meta(work, description="Another.")
    assert run(capsys, "submit", *options)[0] == 0
    now = set(sent.commits[sent.refs["refs/pr/2"]])
    assert old not in now and {"README.md", *names} < now  # what it superseded is history
    assert f"submissions/{TRACK}/method-a/history/1/result.json" in now


def test_a_hub_without_that_dataset_is_said(work, capsys, server):
    write_meta(work)
    code, _, err = run(capsys, "submit", "p.parquet", "--track", TRACK, "--hub", "org/nothing")
    assert code == 1 and "HB404 org/nothing" in err
    assert read_submissions("submissions")  # it is placed, and the command can be given again


def test_what_was_mirrored_is_not_sent_again(work, server):
    sent = {"assemblyhands/a/x.parquet": work / "p.parquet"}
    assert hub.upload("org/board", sent, "words") == list(sent)
    assert hub.upload("org/board", sent, "words") == []


def test_the_truth_may_lie_in_a_gated_dataset(work, server, tmp_path, monkeypatch, home):
    place = f"{TRACK}/val"
    files = {f"{place}/annotations.parquet": (home / place / "annotations.parquet").read_bytes()}
    server.add("org/truth", files, "dataset", gated=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    from hand_bench.tracks import find_track

    found = open_truth(find_track(TRACK), "org/truth")
    assert found.rows == 24 and str(tmp_path / "cache") in str(found.path)
