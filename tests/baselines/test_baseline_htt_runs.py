"""HTT trains, goes on after a kill, answers poses and actions, and its files are scored."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

import hand_bench
from hand_baselines import timing, training
from hand_baselines.commands import app
from hand_baselines.htt.predict import main as predict_main
from hand_baselines.htt.segmentation import clips, vote
from hand_baselines.htt.task import answers
from hand_baselines.htt.train import main as train_main
from hand_baselines.models import find_model
from hand_baselines.pictures import Pictures
from hand_baselines.prediction import predict
from hand_baselines.shipping import ship
from hand_baselines.tables import open_table
from hand_baselines.training import Job, train
from hand_baselines.training_options import Options
from hand_baselines.weights import Loaded, load_weights, save_weights
from hand_bench.data import open_annotations
from hand_bench.errors import BaselineError, DatasetError
from hand_bench.results import Result
from hand_bench.tracks import find_track

MODEL = find_model("htt")
POSES, ACTIONS = "handsim-h2o-pose", "handsim-h2o-action"


def loaded(preset: str) -> Loaded:
    torch.manual_seed(0)
    network = MODEL.network_class()(MODEL.preset(preset)).eval()
    return Loaded("tiny", MODEL, preset, network, {}, "sha")


@pytest.fixture
def tiny(tiny_htt, mini_clips) -> Loaded:
    return loaded("tiny")


def answer(held: Loaded, track: str, out, **options):
    rows = predict(held, track, out, workers=0, **options)
    assert rows == open_annotations(find_track(track), options.get("annotations")).rows
    return hand_bench.read_predictions(out)


@pytest.mark.parametrize(("track", "sides"), [(POSES, 2), ("handsim-fpha-pose", 1)])
def test_poses_are_answered_and_scored(tiny_htt, mini_clips, tmp_path, track, sides):
    out = tmp_path / "preds.parquet"
    preds = answer(loaded("tiny" if sides == 2 else "tiny-fpha"), track, out)
    assert preds.sample_id.tolist() == open_annotations(find_track(track)).ids().to_pylist()
    assert preds.declared.inputs == ("boxes:none", "K:gt")
    assert np.isfinite(preds.right_joints).all()
    assert np.isfinite(preds.left_joints).all() == (sides == 2)
    result = hand_bench.evaluate(out, track=track, units="mm", resamples=0)
    subset = "left" if sides == 2 else "all"
    assert not result.partial and result.score("MEPE", subset, "htt").value > 0


@pytest.mark.parametrize(
    ("track", "preset"), [(ACTIONS, "tiny"), ("handsim-fpha-action", "tiny-fpha")]
)
def test_actions_are_answered_and_scored(tiny_htt, mini_clips, tmp_path, track, preset):
    out = tmp_path / "preds.parquet"
    assert predict(loaded(preset), track, out, workers=0) == 4
    table = pq.read_table(out)
    scores = np.array(table["scores"].to_pylist())
    assert scores.shape == (4, len(find_track(track).classes))
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    result = hand_bench.evaluate(out, track=track, resamples=0)
    assert not result.partial and 0 <= result.score("accuracy").value <= 100


def test_every_picture_is_read_once(tiny, tmp_path, monkeypatch):
    seen, read = [], Pictures.read
    monkeypatch.setattr(Pictures, "read", lambda self, at: seen.append(at) or read(self, at))
    for track in (POSES, ACTIONS):
        predict(tiny, track, tmp_path / track, workers=0, batch=7)
        assert len(seen) == len(set(seen)) == 177
        seen.clear()


def test_parts_batches_and_workers_change_nothing(tiny, tmp_path):
    whole = answer(tiny, POSES, tmp_path / "a")
    parts = answer(tiny, POSES, tmp_path / "b", part=50, batch=11)
    assert np.allclose(whole.left_joints, parts.left_joints, atol=0.01)
    one, two = (tmp_path / name for name in ("c", "d"))
    predict(tiny, ACTIONS, one, workers=0)
    predict(tiny, ACTIONS, two, workers=1, part=3, batch=5)
    scores = [np.array(pq.read_table(path)["scores"].to_pylist()) for path in (one, two)]
    assert np.allclose(*scores, atol=1e-5)


def test_some_frames_are_answered_as_all_are(tiny):
    opened = open_annotations(find_track(POSES))
    rows = next(opened.batches(MODEL.task().read))
    made = answers(tiny, opened)
    whole = made.columns(rows)["right_joints"]
    chosen = np.array([150, 3, 80])
    table = rows.table.take(pa.array(chosen))
    part = made.columns(type(rows)(0, table))["right_joints"]
    assert np.allclose(whole[chosen], part, atol=0.01)


def test_a_video_is_looked_at_clip_by_clip(tiny):
    opened = open_annotations(find_track(ACTIONS))
    made = answers(tiny, opened)
    rows = next(opened.batches(MODEL.task().read))
    found = made.columns(rows)["scores"]
    frames = pq.read_table(made.frames.path, columns=["image"])["image"].to_pylist()
    # The first video has 53 frames, 15 a second: clips of 16, 16, 16 and 5.
    chances = []
    for clip in clips(np.arange(0, 106, 2), 16):
        images = np.stack([_picture(made, frames[row]) for row in clip])
        valid = torch.ones(1, len(clip)) > 0
        with torch.no_grad():
            action = tiny.network(torch.from_numpy(images)[None], valid).action
        chances.append(action[0].softmax(dim=0).numpy())
    assert [len(clip) for clip in clips(np.arange(0, 106, 2), 16)] == [16, 16, 16, 5]
    assert np.allclose(found[0], vote(np.stack(chances), "soft"), atol=1e-5)


def _picture(made, place: str) -> np.ndarray:
    from hand_baselines.htt.views import resized

    return np.moveaxis(resized(made.pictures.read(place), (64, 36)), 2, 0)


def test_predictions_do_not_depend_on_the_truth(tiny, tmp_path):
    test = open_annotations(find_track(POSES))
    table = pq.read_table(test.path)
    for name in ("right_joints", "left_joints", "right_valid", "left_valid", "action", "object"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.nulls(len(table), table[name].type))
    pq.write_table(table, tmp_path / "blind.parquet")
    seeing = answer(tiny, POSES, tmp_path / "a")
    given = {"annotations": tmp_path / "blind.parquet", "images": test.manifest["root"]}
    blind = answer(tiny, POSES, tmp_path / "b", **given)
    assert np.array_equal(seeing.right_joints, blind.right_joints)


def test_what_cannot_be_answered_is_named(tiny, tmp_path, monkeypatch):
    for track in ("handsim-interhand26m", "handsim-assemblyhands-verbs"):
        with pytest.raises(BaselineError, match=f"HB302 {track}"):
            predict(tiny, track, tmp_path / "p")
    with pytest.raises(BaselineError, match="HB302 handsim-fpha"):
        predict(tiny, "handsim-fpha-pose", tmp_path / "p")
    with pytest.raises(BaselineError, match="--root-depth"):
        predict(tiny, POSES, tmp_path / "p", root_depth="rootnet-small")
    clips = pq.read_table(open_annotations(find_track(ACTIONS)).path)
    at = clips.schema.get_field_index("sequence")
    other = pa.array(["nowhere"] * len(clips)).dictionary_encode()
    moved = clips.set_column(at, clips.schema.field(at), other.cast(clips.schema.field(at).type))
    folder = tmp_path / "action-test"
    folder.mkdir()
    pq.write_table(moved, folder / "annotations.parquet")
    (tmp_path / "pose-test").symlink_to(open_annotations(find_track(POSES)).path.parent)
    with pytest.raises(DatasetError, match="has no frames of 4 clips"):
        predict(tiny, ACTIONS, tmp_path / "p", annotations=folder / "annotations.parquet")


STEPS = 5
OPTIONS = Options(
    steps=STEPS, batch=2, warmup=2, workers=0, save_every=2, log_every=2, evaluate_every=3
)


class Killed(BaseException):
    """What nobody catches."""


def go(out, kill: int = 0) -> dict:
    """Train a tiny network, perhaps until it is killed; return its weights."""
    config = MODEL.preset("tiny")
    torch.manual_seed(0)
    network = MODEL.network_class()(config)
    opened = [open_table(find_track(ACTIONS), "train")]
    data, order, facts = MODEL.task().training_set(MODEL, config, opened)

    def after(step: int) -> None:
        if step == kill:
            raise Killed

    train(Job(MODEL, "tiny", network, data, order, facts), out, OPTIONS, after_step=after)
    return torch.load(out / "state.pt", weights_only=True)["network"]


def test_a_kill_changes_nothing(mini_clips, tiny_htt, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "plot", lambda *_: None)
    whole = go(tmp_path / "whole")
    for step in (1, 4):
        with pytest.raises(Killed):
            go(tmp_path / str(step), kill=step)
        again = go(tmp_path / str(step))
        assert all(torch.equal(whole[name], again[name]) for name in whole), step


def test_train_choose_and_score_on_actions_and_poses(mini_clips, tiny_htt, tmp_path, capsys):
    given = ["train", "htt", "--preset", "tiny", "--steps", 2, "--batch", 2, "--workers", 0]
    given += ["--validated", 8, "--config", "window=1"]
    for track, metric in ((ACTIONS, "accuracy"), (POSES, "MEPE")):
        out = tmp_path / track
        app([str(g) for g in [*given, "--data", track, "-o", out]])
        assert metric in capsys.readouterr().out
        record = json.loads((out / "record.json").read_text())
        assert record["config"]["window"] == 1 and record["best_validation_score"] is not None
        assert load_weights(out / "best").network.config == replace(tiny_htt, window=1)


def test_bare_hosts_train_and_predict(mini_clips, tiny_htt, tmp_path, capsys):
    given = ["--data", "handsim-fpha-pose", "--preset", "tiny-fpha", "--steps", "1", "--batch", "2"]
    given += ["--workers", "0", "--no-score", "--config", "window=2", "clip=8"]
    train_main([*given, "-o", str(tmp_path)])
    assert load_weights(tmp_path / "last").network.config.clip == 8
    out = tmp_path / "p.parquet"
    where = [str(tmp_path / "last"), "--track", "handsim-fpha-action", "-o", str(out)]
    predict_main([*where, "--workers", "0"])
    assert capsys.readouterr().out.endswith(f"{out}: 4 samples\n")


def test_weights_keep_their_configuration(tiny, tmp_path):
    save_weights(tmp_path, MODEL, "tiny", tiny.network, {})
    assert load_weights(tmp_path).network.config == tiny.network.config


def test_bench_measures_clips_and_their_loading(mini_clips, tiny_htt, capsys, monkeypatch):
    monkeypatch.setattr(timing, "BATCHES", 1)
    given = ["bench", "htt", "--preset", "tiny", "--batch", "20", "--data", ACTIONS]
    app([*given, "--workers", "0", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["batch"] == 20 and found["loading"][0]["samples_per_second"] > 0


@pytest.mark.parametrize(
    ("preset", "sides"), [("tiny", ("right", "left")), ("tiny-fpha", ("right",))]
)
def test_a_run_is_shipped_with_poses_actions_and_their_floors(
    tiny_htt, mini_clips, tmp_path, preset, sides
):
    world = "handsim-fpha" if len(sides) == 1 else "handsim-h2o"
    run, folder = tmp_path / "run", tmp_path / "htt-tiny"
    given = ["--data", f"{world}-pose", "--preset", preset, "--steps", "1", "--batch", "2"]
    train_main([*given, "--workers", "0", "--validated", "0", "--no-score", "-o", str(run)])
    tracks = [f"{world}-pose", f"{world}-action", f"{world}-pose weights={run}/last"]
    ship(run, folder, tracks, workers=0)
    text = (folder / "README.md").read_text()
    assert "| this model | last | zero | mean-pose | nearest-box |" in text
    assert "| this model | most-frequent |" in text and "clips of" in text
    subset = "left" if len(sides) == 2 else "all"
    assert f"| htt | MEPE, mm | {subset} |" in text
    others = json.loads((folder / "others.json").read_text())
    assert set(others) == {f"{world}-pose", f"{world}-action"}
    own = Result.from_json(others[f"{world}-action"]["this model"])
    assert own.score("accuracy").text() in text
    labels = np.array(
        pq.read_table(open_table(find_track(f"{world}-action"), "train").path)["label"]
    )
    floor = Result.from_json(others[f"{world}-action"]["most-frequent"])
    truth = np.array(open_annotations(find_track(f"{world}-action")).table(["label"])["label"])
    expected = (truth == np.bincount(labels).argmax()).mean()
    assert floor.score("accuracy").value == pytest.approx(expected)
