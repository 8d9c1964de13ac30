"""Weights, worlds and the board sent to the Hub: all of it, once, and again after a failure."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: .[baselines]")

import yaml
from huggingface_hub import constants
from huggingface_hub.repocard_data import DatasetCardData, ModelCardData

from baselines import hub_emulator
from hand_baselines import cards, hub, publishing, weights
from hand_baselines.commands import app
from hand_baselines.internet.model import InterNet
from hand_baselines.models import find_model
from hand_baselines.publishing import Destination, publish, push
from hand_baselines.staging import SITE_MARK
from hand_baselines.weights import load_weights, save_weights, shipped
from hand_bench import cli, files
from hand_bench.errors import BaselineError, DatasetError, TrackError
from hand_bench.results import Result

REPO = "someone/internet-tiny"
SHIPPED = Path(weights.SHIPPED)
#: huggingface_hub sends large files with an argument that its own client no longer recommends.
LIBRARY_WARNS = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
FACTS = {"root_depth": [1.0, 2.0], "reading": "expected"}


@pytest.fixture
def server():
    with hub_emulator.running() as running:
        yield running


@pytest.fixture
def network(tiny_preset):
    torch.manual_seed(0)
    return InterNet(tiny_preset)


@pytest.fixture
def folder(network, tmp_path) -> Path:
    """Weights without hashes, in several files, with all that belongs to shipped ones."""
    place = tmp_path / "internet-tiny"
    save_weights(place, find_model("internet"), "tiny", network, FACTS, max_shard=500_000)
    answers = place / "predictions.parquet"
    answers.write_bytes(b"answers")
    scored = {"predictions": {"sha256": files.sha256(answers)}}
    (place / "result.json").write_text(json.dumps(scored))
    for name in ("README.md", "record.json", "log.csv"):
        (place / name).write_text(f"{name}\n")
    return place


def to(server, **options) -> dict:
    return {"endpoint": server.endpoint, "token": "writer", **options}


def test_what_is_pushed_is_pulled(folder, server, tmp_path):
    done = push(folder, REPO, **to(server))
    there = {path.name for path in folder.iterdir()}
    assert set(server.repos["model", REPO].files) == set(done.sent) == there
    pulled = hub.get(REPO, cache=tmp_path / "cache", endpoint=server.endpoint)
    assert {path.name for path in pulled.iterdir()} == there - {"predictions.parquet"}
    loaded, source = load_weights(pulled), load_weights(folder)
    assert loaded.sha256 == source.sha256 and loaded.facts == FACTS
    assert "sha256" not in json.loads((folder / "config.json").read_text())


def test_what_is_there_is_not_sent_again(folder, server):
    first = push(folder, REPO, **to(server))
    asked = len(server.uploads())
    assert asked == len(first.sent)
    again = push(folder, REPO, **to(server))
    assert not again.sent and set(again.there) == set(first.sent)
    (folder / "README.md").write_text("a new card\n")
    assert set(push(folder, REPO, **to(server)).sent) == {"README.md"}
    assert server.uploads()[asked:] == ["README.md"]


def test_an_interrupted_push_goes_on_where_it_stopped(folder, server, monkeypatch):
    monkeypatch.setattr(publishing, "COMMIT", 1)
    from huggingface_hub import HfApi

    send, left = HfApi.create_commit, iter((True, True, False))

    def interrupted(*arguments, **options):
        if not next(left, False):
            raise KeyboardInterrupt
        return send(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(HfApi, "create_commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            push(folder, REPO, **to(server))
    done = push(folder, REPO, **to(server))
    assert len(done.there) == 2 and len(server.uploads()) == len(done.sent) + 2
    assert len(set(server.uploads())) == len(server.uploads())


@LIBRARY_WARNS
def test_large_files_go_apart_and_once(folder, server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    server.large_files = True
    push(folder, REPO, **to(server))
    there = server.repos["model", REPO].files
    assert there == {**there, **{p.name: p.read_bytes() for p in folder.glob("*.safetensors")}}
    assert len(server.stored) == 3  # two files of tensors, the predictions
    server.add("someone/again", {})
    push(folder, "someone/again", **to(server))
    assert [method for method, _ in server.log].count("PUT") == 3


@LIBRARY_WARNS
def test_a_large_file_that_is_refused_is_an_error_that_a_rerun_mends(folder, server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    server.large_files = server.refuse_large = True
    with pytest.raises(BaselineError, match=r"HB404 someone/internet-tiny: .*refuses"):
        push(folder, REPO, **to(server))
    assert server.repos["model", REPO].files == {}
    server.refuse_large = False
    assert len(push(folder, REPO, **to(server)).sent) == len(server.repos["model", REPO].files)


def test_files_of_another_cut_are_removed(folder, network, server):
    push(folder, REPO, **to(server))
    server.repos["model", REPO].files["NOTES.md"] = b"the owner's own\n"
    save_weights(folder, find_model("internet"), "tiny", network, FACTS)
    push(folder, REPO, **to(server))
    there = set(server.repos["model", REPO].files)
    assert {"model.safetensors", "NOTES.md"} <= there
    assert not any("-of-" in name or "index" in name for name in there)


def test_a_dry_run_touches_no_network(folder, server):
    done = push(folder, REPO, dry_run=True, **to(server))
    assert server.log == [] and done.sent["log.csv"] == 8
    assert "dry run" in done.line() and REPO in done.line()


def test_a_branch_and_a_private_repository(folder, server):
    push(folder, REPO, private=True, **to(server))
    main = server.repos["model", REPO].refs["main"]
    (folder / "README.md").write_text("on a branch\n")
    push(folder, REPO, revision="trial", **to(server))
    repo = server.repos["model", REPO]
    assert repo.private and repo.refs["main"] == main
    assert repo.commits[repo.refs["trial"]]["README.md"] == b"on a branch\n"


@pytest.mark.parametrize("token", [False, "reader"])
def test_without_the_right_to_write_nothing_is_sent(folder, server, token):
    server.add(REPO, {"README.md": b"theirs\n"})
    with pytest.raises(BaselineError, match=r"(?s)HB404 someone/internet-tiny: .*hf auth login"):
        push(folder, REPO, **to(server, token=token))
    assert server.uploads() == []


def test_without_network_a_push_says_so(folder, server):
    with pytest.raises(BaselineError, match=r"HB403 .*127.0.0.1:9 cannot be reached"):
        push(folder, REPO, **to(server, endpoint="http://127.0.0.1:9"))


def test_other_predictions_than_the_scored_ones_are_refused(folder, server, tmp_path):
    (folder / "predictions.parquet").write_bytes(b"others")
    with pytest.raises(BaselineError, match=r"HB302 .*is not the file that"):
        push(folder, REPO, **to(server))
    with pytest.raises(BaselineError, match=r"HB402 .*does not exist"):
        push(folder, REPO, predictions=tmp_path / "none.parquet", **to(server))
    assert server.log == []


def test_damaged_weights_are_not_sent(folder, server):
    path = folder / "model-00001-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BaselineError, match=r"HB402 .*holds no usable weights"):
        push(folder, REPO, **to(server))
    assert server.log == []


@pytest.fixture
def owner(mini_world, folder, tmp_path, monkeypatch):
    """What an owner has: two weights, one of them damaged; a world; a built board."""
    place = tmp_path / "shipped"
    shutil.copytree(folder, place / "internet-tiny")
    shutil.copytree(folder, place / "damaged")
    (place / "damaged/model.safetensors.index.json").write_text("{}")
    monkeypatch.setattr(publishing, "SHIPPED", place)
    monkeypatch.setattr(weights, "SHIPPED", place)
    (tmp_path / "site/tracks").mkdir(parents=True)
    (tmp_path / "site/index.html").write_text("<p>the board</p>")
    (tmp_path / "site/tracks/demo.html").write_text("<p>a track</p>")
    return tmp_path


def test_publish_sends_everything_and_goes_on_after_a_failure(owner, server):
    server.add("ours/internet-tiny", {})
    options = {"site": owner / "site", "to": Destination(**to(server))}
    done = {sent.repo: sent for sent in publish("ours", **options)}
    assert done["ours/damaged"].problem.code == "HB402"
    assert set(done) == {"ours/damaged", "ours/internet-tiny", "ours/handsim-interhand26m",
                         "ours/leaderboard"}  # fmt: skip
    assert "predictions.parquet" in done["ours/internet-tiny"].sent
    board = server.repos["space", "ours/leaderboard"].files
    assert set(board) == {"README.md", "index.html", "tracks/demo.html", SITE_MARK}
    assert b'sdk: "static"' in board["README.md"]
    received = len(server.uploads())
    again = list(publish("ours", **options))
    assert not any(sent.sent for sent in again) and len(server.uploads()) == received


def test_old_pages_of_the_board_are_removed_and_a_strangers_space_is_not_touched(tmp_path, server):
    (tmp_path / "index.html").write_text("<p>the board</p>")
    there, where = publishing.site_files(tmp_path), Destination(**to(server))
    for repo, mark in (("ours/leaderboard", {SITE_MARK: b""}), ("others/leaderboard", {})):
        server.add(repo, {"old.html": b"old", ".gitattributes": b"", **mark}, "space")
        publishing.send("space", repo, there, where)
    assert set(server.repos["space", "ours/leaderboard"].files) == {*there, ".gitattributes"}
    assert "old.html" in server.repos["space", "others/leaderboard"].files


def test_a_world_has_a_card_that_opens_its_tables(owner, server, mini_world):
    list(publish("ours", to=Destination(**to(server))))
    there = server.repos["dataset", "ours/handsim-interhand26m"].files
    made = mini_world / "handsim-interhand26m/data"
    assert {name for name in there if name.endswith(".parquet")} == {
        f"data/{path.name}" for path in made.iterdir()
    }
    text = there["README.md"].decode()
    metadata = yaml.safe_load(text.split("---")[1])
    splits = metadata["configs"][0]["data_files"]
    assert [part["split"] for part in splits] == ["train", "val", "test"]
    assert all(list(made.parent.glob(part["path"])) for part in splits)
    assert DatasetCardData(**metadata).license == "apache-2.0" and "size mini" in text


def test_what_is_left_out_is_said(owner, server):
    options = {"size": "small", "to": Destination(dry_run=True, **to(server))}
    notes = {sent.kind: sent.note for sent in publish("ours", **options)}
    assert notes["dataset"] == "left out: its size is mini"
    assert notes["space"].startswith("left out: --site")
    assert server.log == []


def test_a_world_that_is_not_made_is_a_failure_of_its_own(owner, server):
    options = {"worlds": ["handsim-stb"], "to": Destination(**to(server))}
    problems = [sent.problem for sent in publish("ours", **options) if sent.kind == "dataset"]
    assert problems[0].code == "HB202" and "sim make" in problems[0].fix


def test_an_unknown_world_is_refused_before_anything_is_sent(owner, server):
    with pytest.raises(TrackError, match="handsim-stb"):
        next(publish("ours", worlds=["handsim-stbb"], to=Destination(**to(server))))
    assert server.log == []


def test_a_site_without_a_first_page_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"HB202 .*has no index.html"):
        publishing.site_files(tmp_path)


@pytest.fixture
def command():
    """The command line with `publish`, as the entry point adds it."""
    from cyclopts import App

    line = App(result_action="return_value")
    line.command("hand_baselines.hub_commands:publish", name="publish")
    return lambda *arguments: line(["publish", *map(str, arguments)])


def test_publish_prints_a_line_for_each_part_and_fails_where_one_does(owner, command, capsys):
    with pytest.raises(BaselineError, match="HB402"):
        command("--org", "ours", "--dry-run", "--site", owner / "site")
    out = capsys.readouterr().out
    assert "model    ours/damaged: failed" in out
    assert "space    ours/leaderboard: 4 files" in out and "dry run" in out
    shutil.rmtree(owner / "shipped/damaged")
    command("--org", "ours", "--dry-run", "--json", "--world", "handsim-interhand26m")
    listed = json.loads(capsys.readouterr().out)
    assert [sent["kind"] for sent in listed] == ["model", "dataset", "space"]


def test_push_lists_its_files(owner, capsys):
    app(["push", "internet-tiny", "--repo", REPO, "--dry-run"])
    out = capsys.readouterr().out
    assert "            8  log.csv\n" in out and f"model    {REPO}: 9 files" in out


def test_get_prints_the_folder(capsys, monkeypatch):
    monkeypatch.setattr(hub, "get", lambda name, **options: f"{name} {options}")
    app(["get", "tiny", "--revision", "v1", "--offline"])
    assert capsys.readouterr().out == "tiny {'revision': 'v1', 'offline': True}\n"


def test_the_command_line_knows_publish():
    assert cli.OUTER["publish"][0] == "baselines"


@pytest.mark.parametrize("name", shipped())
def test_a_card_tells_the_hub_its_scores(name):
    record = json.loads((SHIPPED / name / "record.json").read_text())
    result = Result.load(SHIPPED / name / "result.json")
    text = cards.card(name, record, result, size=1)
    metadata = yaml.safe_load(text.split("---")[1])
    read = ModelCardData(**metadata)
    assert read.model_name == name and read.license == "apache-2.0"
    assert read.datasets == [f"{hub.ORGANISATION}/{record['data']['dataset']}"]
    values = {r.metric_name: r.metric_value for r in read.eval_results}
    score = result.primary
    named = f"{score.metric} {score.subset} ({score.protocol}), {score.unit or '%'}"
    assert values[named] == float(score.text())
    assert len(values) == len(read.eval_results) >= 2


def test_metadata_survives_yaml():
    value = {"a": "x: y", "list": ["1", 2, {"k": [1.5, None]}], "deep": {"m": {"n": True}}}
    assert yaml.safe_load("\n".join(cards.front_matter(value)).strip("-")) == value


def test_what_was_sent_is_plain_data():
    assert asdict(publishing.Sent("model", REPO))["problem"] is None
