"""Folders of submissions: what they may hold, and what their files say of each other."""

import json
import os
from dataclasses import replace

import pytest

from hand_bench.errors import HandBenchError, SubmissionError
from hand_leaderboard.submissions import folder, placing
from hand_leaderboard.submissions.checking import check
from hand_leaderboard.submissions.folder import Withdrawn, read_submission, read_submissions, survey
from leaderboard import submitted


@pytest.fixture
def root(tmp_path, home):
    """A root with one scored submission, assemblyhands/a."""
    root = tmp_path / "submissions"
    submitted.place(root, submitted.prepare("assemblyhands", home))
    (root / "README.md").write_text("words")
    return root


@pytest.fixture
def path(root):
    return root / "assemblyhands" / "a"


def said(root) -> str:
    return "\n".join(map(str, survey(root)[1]))


def test_a_folder_that_is_fine_is_read(root, path):
    (one,) = read_submissions(root)
    assert (one.slug, one.track.name, one.path) == ("assemblyhands/a", "assemblyhands", path)
    assert one.result.primary.value > 0.8 and one.withdrawn is None and one.history == ()
    assert one.sums == path / "sums.parquet" and one.errors == path / "errors.parquet"
    assert one.predictions == path / "predictions.parquet"
    assert one.result.predictions["path"] is None
    assert str(root.parent) not in (path / "result.json").read_text()


def test_a_root_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SubmissionError, match=r"HB142 .*nowhere: is not a folder"):
        read_submissions(tmp_path / "nowhere")


def test_the_problems_of_all_folders_come_together(root, path):
    for name in ("bad name", "con"):
        (root / "assemblyhands" / name).mkdir()
        (root / "assemblyhands" / name / "submission.yaml").write_text("a: 1")
    (root / "nonsense" / "x").mkdir(parents=True)
    (root / "nonsense" / "x" / "submission.yaml").write_text("a: 1")
    (root / "run.sh").write_text("rm -rf /")
    (root / "assemblyhands" / "notes.txt").write_text("words")
    problems = said(root)
    for part in ("'bad name' cannot be", "'con' cannot be", "no track 'nonsense'", "run.sh",
                 "notes.txt"):  # fmt: skip
        assert part in problems
    assert [s.slug for s in survey(root)[0]] == ["assemblyhands/a"]


LINKS = ("submission.yaml", "result.json", "sums.parquet", "predictions.parquet", "history")


@pytest.mark.parametrize("name", LINKS)
def test_links_in_a_folder_are_refused_and_not_followed(root, path, name, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("method: secret")
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(secret)
    assert f"{name}: is a symbolic link: links are not followed" in said(root)
    assert "secret'" not in said(root)


def test_links_to_folders_are_refused(root, path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (root / "assemblyhands" / "b").symlink_to(path)
    (root / "stb").symlink_to(tmp_path / "elsewhere")
    assert said(root).count("HB142") == 2
    (tmp_path / "linked").symlink_to(root)
    with pytest.raises(SubmissionError, match=r"HB142"):
        read_submissions(tmp_path / "linked")
    with pytest.raises(SubmissionError, match=r"HB142"):
        read_submission(root / "assemblyhands" / "b")


def test_a_link_to_the_folder_of_a_track_is_refused(root, path, tmp_path):
    moved = tmp_path / "moved"
    path.parent.rename(moved)
    path.parent.symlink_to(moved)
    with pytest.raises(SubmissionError, match=r"HB142 .*a track's folder is a folder"):
        read_submission(path)


@pytest.mark.parametrize("name", ["run.py", "conftest.py", ".hidden", "submission.yml", "a\x1bb"])
def test_files_that_do_not_belong_are_refused(root, path, name):
    (path / name).write_text("import os")
    assert "does not belong here" in said(root) and "\x1b" not in said(root)


def test_pipes_are_refused_without_waiting(root, path):
    (path / "result.json").unlink()
    os.mkfifo(path / "result.json")
    assert "result.json: does not belong here" in said(root)


@pytest.mark.parametrize("name", ["result.json", "predictions.parquet", "submission.yaml"])
def test_files_that_are_too_large_are_refused_unread(root, path, name):
    with (path / name).open("wb") as stream:
        stream.truncate(10**12)
    assert f"{name}: has 1,000,000,000,000 bytes" in said(root)


def test_predictions_that_were_swapped_are_noticed(root, path):
    data = bytearray((path / "predictions.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "predictions.parquet").write_bytes(bytes(data))
    assert "HB144" in said(root) and "replaced after it was described" in said(root)


def test_predictions_that_lack_are_noticed(root, path):
    (path / "predictions.parquet").unlink()
    assert "HB144" in said(root) and "is not there" in said(root)


def change(path, **parts) -> None:
    stored = json.loads(path.read_text())
    for name, value in parts.items():
        stored[name] = stored[name] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(stored))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"predictions": {"sha256": "b" * 64}}, "HB144 .*scores other bytes"),
        ({"track": {"version": 99}}, "HB146 .*is of track assemblyhands v99"),
        ({"track": {"name": "stb"}}, "HB146 .*is of track stb"),
        ({"scores": []}, "HB146 .*not what the scorer writes"),
        ({"scores": [{"metric": "AUC"}]}, "HB146"),
        ({"extra": 1}, "HB146"),
        ({"annotations": 5}, "HB146"),
    ],
)
def test_a_result_that_was_edited_is_noticed(root, path, parts, message):
    change(path / "result.json", **parts)
    with pytest.raises(SubmissionError, match=message):
        read_submissions(root)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, "1e999", '{"scores": NaN}'])
def test_a_result_that_is_something_else_is_refused(root, path, text):
    (path / "result.json").write_text(text)
    with pytest.raises(HandBenchError, match=r"HB146 .*result.json"):
        read_submissions(root)


def test_a_result_comes_with_its_sums(root, path):
    (path / "sums.parquet").unlink()
    assert "has no sums.parquet beside" in said(root)
    (path / "result.json").unlink()
    assert said(root) == ""


def test_errors_of_samples_of_a_hidden_truth_are_refused(root, path):
    hidden = root / "arctic-ego-test" / "a"
    hidden.mkdir(parents=True)
    submitted.Meta.of(submitted.plain("arctic-ego-test")).write(hidden / "submission.yaml")
    assert said(root) == ""
    (hidden / "errors.parquet").write_bytes((path / "errors.parquet").read_bytes())
    assert "HB146" in said(root) and "single samples of a hidden truth" in said(root)


def test_samples_of_a_real_truth_are_refused(root, path):
    (path / "samples.json").write_text("[]")
    assert "HB146" in said(root) and "samples of a real dataset's truth" in said(root)


def test_what_is_withdrawn_keeps_no_scores(root, path):
    placing.write_withdrawn(path / "withdrawn.yaml", Withdrawn("2026-02-03", "a bug"))
    assert said(root).count("HB147") == 4
    for name in (*folder.SCORED, "predictions.parquet"):
        (path / name).unlink(missing_ok=True)
    assert read_submission(path).withdrawn == Withdrawn("2026-02-03", "a bug")


def test_results_against_two_sets_of_annotations_are_refused(root, path):
    one = read_submission(path)
    other = root / "assemblyhands" / "b"
    with placing.making(other) as made:
        for name, data in submitted.contents(path).items():
            (made / name).write_bytes(data)
        against = one.result.annotations | {"release": "another"}
        replace(one.result, annotations=against).save(made / "result.json")
    assert "annotations that differ" in said(root) and "another" in said(root)


def test_history_is_only_folders_with_numbers(root, path):
    (path / "history" / "1").mkdir(parents=True)
    (path / "history" / "x").mkdir()
    (path / "history" / "2").symlink_to(path)
    problems = said(root)
    assert "1: has no submission.yaml" in problems and problems.count("folders 1, 2, ...") == 2


def test_a_check_takes_folders_and_files(root, path):
    for one in (path, path / "submission.yaml", root, root / "assemblyhands" / "a" / "result.json"):
        found, problems = check([one], root)
        assert [s.slug for s in found] == ["assemblyhands/a"] and not problems
    assert check([root / "README.md"], root) == ([], [])
    assert check([root / "assemblyhands" / "gone" / "submission.yaml"], root)[1]
    (path / "x.sh").write_text("")
    assert check([path / "submission.yaml"], root)[1]
