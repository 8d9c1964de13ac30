"""The workflows: thin, with the least rights, and no stranger's text or code in them."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from hand_bench import cli
from hand_leaderboard.submissions import automation

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
OURS = ("submission", "score", "board", "weekly")


def workflow(name: str) -> dict:
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text("utf-8"))


def triggers(name: str) -> dict:
    return workflow(name)[True]  # YAML 1.1 reads the name "on" as true


def steps(name: str):
    for job, content in workflow(name)["jobs"].items():
        for step in content["steps"]:
            yield job, step


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda p: p.stem)
def test_no_expression_is_put_into_a_script(path):
    """An expression in `run` is pasted into a shell; values come through the environment."""
    for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("name", OURS)
def test_rights_are_named_and_small(name):
    found = workflow(name)
    assert found["permissions"] in ({}, {"contents": "read"})
    allowed = {"contents": "read", "pull-requests": "write", "pages": "write", "id-token": "write"}
    for job, content in found["jobs"].items():
        for right, how in content.get("permissions", {}).items():
            assert how == allowed[right] or (job, right) == ("settle", "contents")


def test_a_pull_request_is_checked_without_secrets():
    text = (FOLDER / "submission.yml").read_text("utf-8")
    assert set(triggers("submission")) == {"pull_request"} and "secrets." not in text
    assert "persist-credentials: false" in text


def test_scoring_waits_for_a_label_and_never_checks_out_the_pull_request():
    assert set(triggers("score")) == {"pull_request_target"}
    found = workflow("score")
    assert found["jobs"]["score"]["if"].endswith("github.event.label.name == 'score'")
    for job, step in steps("score"):
        if str(step.get("uses", "")).startswith("actions/checkout"):
            assert step["with"]["ref"] in (
                "${{ github.event.pull_request.base.sha }}",
                "${{ github.event.repository.default_branch }}",
            ), job
        assert not re.search(r"git (checkout|switch|merge|worktree)", step.get("run", ""))
    assert found["jobs"]["settle"]["if"].endswith("github.event.pull_request.merged")
    assert "synchronize" in found["jobs"]["unlabel"]["if"]


def test_only_what_reads_the_truth_sees_the_token():
    for name in OURS:
        for job, step in steps(name):
            if "secrets." in str(step):
                assert (name, job) in (("score", "score"), ("score", "settle"))
                assert workflow(name)["jobs"][job]["environment"] == "scoring"


def test_the_job_that_comments_runs_no_code_of_the_repository():
    for job, step in steps("score"):
        if job in ("comment", "unlabel"):
            assert "checkout" not in str(step) and "python" not in str(step)


def commands(name: str):
    """Every command line of a workflow that is one of ours."""
    for _, step in steps(name):
        script = step.get("run", "").replace("\\\n", " ")
        for line in re.split(r"[\n;]|\$\(|\)\"|&&", script):
            words = shlex.split(line.strip(), comments=True) if line.count('"') % 2 == 0 else []
            while words and words[0] in ("if", "then", "do", "else"):
                words.pop(0)
            if words[:3] == ["python", "-m", "hand_leaderboard.submissions.automation"]:
                yield automation.app, words[3:]
            elif words[:1] == ["hand-bench"]:
                app = cli.build()
                cli.add_outer(app)
                yield app, words[1:]


def parsed(app, words: list[str]) -> None:
    """Parse a command line without running it; variables of the shell stand for themselves."""
    values = {"$BASE": "a" * 40, "$HEAD": "b" * 40, "$TRUSTED": "--trusted", "$track": "stb",
              "$tracks": "stb", "$ANNOTATIONS": "o/r", "$MIRROR": "o/r",
              "$MERGE": "c" * 40}  # fmt: skip
    app.parse_args([values.get(w, w) for w in words], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_a_workflow_exists_with_its_options(name):
    seen = 0
    for app, words in commands(name):
        parsed(app, words)
        seen += 1
    assert seen >= {"submission": 1, "score": 2, "board": 2, "weekly": 3}[name]


def test_an_unknown_option_of_a_workflow_would_be_noticed():
    with pytest.raises(Exception, match="nonsense"):
        parsed(automation.app, ["check", "--base", "a", "--head", "b", "--nonsense", "1"])


def test_pre_commit_checks_submissions():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert hooks[0]["entry"] == "hand-bench submit check"
    assert re.match(hooks[0]["files"], "submissions/stb/a/submission.yaml")
