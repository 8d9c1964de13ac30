"""MS-G3D on HandSim: training that goes on after a kill, predictions, and `hand-bench verbs`."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

import hand_bench
from hand_baselines import training
from hand_baselines.backbone.weights import start_from
from hand_baselines.models import find_model
from hand_baselines.msg3d import config as presets
from hand_baselines.msg3d import evaluation, task
from hand_baselines.msg3d.commands import verbs
from hand_baselines.msg3d.evaluation import VerbReport, VerbScores, evaluate_poses
from hand_baselines.poses import clip_poses
from hand_baselines.prediction import predict
from hand_baselines.tables import open_table
from hand_baselines.tasks import given_options
from hand_baselines.timing import measure
from hand_baselines.training import Job, train
from hand_baselines.training_options import Options
from hand_baselines.training_step import make_optimizer
from hand_baselines.weights import load_weights, save_weights
from hand_bench.annotations import Annotations, write
from hand_bench.errors import BaselineError, HandBenchError, SubmissionError
from hand_bench.geometry import world_to_camera
from hand_bench.tracks import find_track
from hand_bench.tracks.assemblyhands import VERBS

TRACK, POSES = "handsim-assemblyhands-verbs", "handsim-assemblyhands"
MODEL = find_model("msg3d")
TINY = presets.MSG3DConfig(
    channels=(6, 6, 6),
    gcn_scales=2,
    g3d_scales=2,
    windows=(3,),
    frames=8,
    rate=10.0,
    origin="first",
    unit=100.0,
    varied="all",
)
OPTIONS = Options(steps=5, batch=2, workers=0, save_every=2, log_every=2, evaluate_every=3)


class Killed(BaseException):
    """What nobody catches."""


#: Verbs of the clips of a recording: `val` has four of the first, and one of the others.
LABELS = {"train": [0, 1, 2, 3, 4, 5], "val": [0, 1, 2, 3, 4, 5, 0, 0, 0]}
#: Frames from one picture to the next, of a clip, and from one clip to the next, at 30 a second.
STEP, LENGTH, PITCH = 6, 30, 50


def write_tables(home: Path, split: str) -> None:
    """Write a recording of clips as tables of pictures (two cameras) and of clips, no pictures.

    The left hand moves, in a direction of its own for each verb.
    """
    labels = LABELS[split]
    shape = np.zeros((21, 3))
    shape[1:, 0] = np.repeat([-40, -20, 0, 20, 40], 4)
    shape[1:, 1] = np.tile([80, 120, 145, 170], 5)
    rows: dict[str, list] = {name: [] for name in _ROWS}
    for clip, label in enumerate(labels):
        along = np.eye(6)[label, :3] - np.eye(6)[label, 3:]
        for frame in clip * PITCH + np.arange(0, LENGTH, STEP):
            world = np.stack([shape, shape + [300, 0, 0] + (frame % PITCH) * 3 * along])
            for camera in range(2):
                pose = np.eye(4)
                pose[:3, 3] = 100 * camera, 0, -500
                seen = world_to_camera(world, pose)
                name = f"{split}/a/c{camera}/{frame:06d}"
                values = name, "a", f"c{camera}", frame, frame / 30, pose.ravel(), *seen
                for column, value in zip(_ROWS, values, strict=True):
                    rows[column].append(value)
    for side in ("right", "left"):
        rows[f"{side}_joints"] = np.reshape(rows[f"{side}_joints"], (-1, 63))
        rows[f"{side}_valid"] = np.ones((len(rows["frame"]), 21), bool)
    rows["T_world_from_camera"] = np.array(rows["T_world_from_camera"])
    start = PITCH * np.arange(len(labels))
    clips = {
        "sample_id": [f"verbs-{split}/a/{k:06d}" for k in start],
        "sequence": ["a"] * len(labels),
        "frame": start,
        "end_frame": start + LENGTH,
        "time": start / 30,
        "action": [VERBS[label] for label in labels],
        "label": labels,
    }
    for table, columns in ((split, rows), (f"verbs-{split}", clips)):
        folder = home / POSES / table
        folder.mkdir(parents=True)
        write(folder / "annotations.parquet", columns)
        manifest = {"dataset": POSES, "split": table, "root": str(home)}
        (folder / "manifest.json").write_text(json.dumps(manifest))


_ROWS = ("sample_id", "sequence", "camera", "frame", "time", "T_world_from_camera",
         "right_joints", "left_joints")  # fmt: skip


@pytest.fixture(scope="module")
def _clips_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("clips")
    for split in LABELS:
        write_tables(home, split)
    return home


@pytest.fixture
def clips_world(_clips_home, monkeypatch) -> Path:
    """The data folder with HandSim's look-alike of AssemblyHands, and a preset "tiny"."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(_clips_home))
    monkeypatch.setitem(presets.PRESETS, "tiny", TINY)
    return _clips_home


@pytest.fixture
def weights(clips_world, tmp_path) -> Path:
    """A tiny classifier with random weights that was trained on the truth, so to speak."""
    torch.manual_seed(0)
    truth = {"poses": [{"source": "truth", "sha256": ""}], "frequency": [1, 2, 3, 4, 5, 6]}
    save_weights(tmp_path / "tiny", MODEL, "tiny", MODEL.network_class()(TINY), truth)
    return tmp_path / "tiny"


@pytest.fixture
def preds(clips_world, tmp_path) -> Path:
    """Poses of the track's pictures: the truth, 30 mm away from itself."""
    opened = Annotations.open(clips_world / POSES / "val/annotations.parquet")
    batch = next(opened.batches(["sample_id", "right_joints", "left_joints"]))
    hands = {}
    for side in ("right", "left"):
        there = batch.present(side)[:, None, None]
        hands[f"{side}_joints"] = np.where(there, batch[f"{side}_joints"] + 30, np.nan)
    path, ids = tmp_path / "preds.parquet", batch.sample_id.to_pylist()
    hand_bench.write_predictions(path, ids, **hands, track=POSES, method="shifted")
    return path


def make_job(preset: str = "tiny", **changes) -> Job:
    config = MODEL.preset(preset)
    opened = open_table(find_track(TRACK), "train")
    torch.manual_seed(0)
    network = MODEL.network_class()(config)
    found = task.training_set(MODEL, config, [opened], **changes)
    return Job(MODEL, preset, network, found.data, found.order, found.facts)


def weights_of(out: Path) -> dict:
    return torch.load(out / "state.pt", weights_only=True)["network"]


def test_a_kill_changes_nothing(clips_world, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "plot", lambda *_: None)
    train(make_job(), tmp_path / "whole", OPTIONS)

    def kill(step: int) -> None:
        if step == 3:
            raise Killed

    with pytest.raises(Killed):
        train(make_job(), tmp_path / "killed", OPTIONS, after_step=kill)
    assert train(make_job(), tmp_path / "killed", OPTIONS)["resumed"] == 1
    whole, killed = weights_of(tmp_path / "whole"), weights_of(tmp_path / "killed")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    with pytest.raises(BaselineError, match=r"HB402 .*another model, data or options"):
        other = make_job()
        other.facts["poses"][0]["sha256"] = "of other poses"
        train(other, tmp_path / "killed", OPTIONS)


def test_two_steps_of_the_paper(clips_world, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "plot", lambda *_: None)
    given = dict(MODEL.options["paper"]) | {"steps": 2, "batch": 1, "workers": 0}
    record = train(make_job("paper"), tmp_path, Options(**given))
    assert record["steps"] == 2 and record["parameters"] == 3_053_973
    assert record["options"]["optimizer"] == "sgd"
    assert load_weights(tmp_path / "last").facts["frequency"] == [1, 1, 1, 1, 1, 1]


def test_the_optimiser_is_the_one_that_is_asked_for():
    network = MODEL.network_class()(TINY)
    options = Options(steps=1, optimizer="sgd", learning_rate=0.05, weight_decay=5e-4)
    (group, _) = make_optimizer(network, options).param_groups
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.05, 0.9, True)
    assert group["weight_decay"] == 5e-4
    assert isinstance(make_optimizer(network, Options(steps=1)), torch.optim.Adam)


def test_a_track_is_answered_and_the_scorer_takes_it(weights, tmp_path):
    out = tmp_path / "answers.parquet"
    assert predict(load_weights(weights), TRACK, out) == 9
    assert np.allclose(scores_of(out).sum(axis=1), 1)
    result = hand_bench.evaluate(out, track=TRACK, resamples=0)
    assert not result.partial and result.score("accuracy").n == 9
    metadata = pq.read_schema(out).metadata
    assert json.loads(metadata[b"inputs"]) == ["poses:gt"]


def scores_of(path: Path) -> np.ndarray:
    return np.array(pq.read_table(path)["scores"].to_pylist())


def test_answers_come_from_the_poses_that_are_given(weights, preds, tmp_path):
    loaded, read = load_weights(weights), hand_bench.read_predictions(preds)
    grown = replace(read, right_joints=1.5 * read.right_joints, left_joints=1.5 * read.left_joints)
    for name, poses in (("truth", None), ("shifted", preds), ("grown", grown.to_table())):
        predict(loaded, TRACK, tmp_path / name, poses=poses)
    truth, shifted, larger = (scores_of(tmp_path / name) for name in ("truth", "shifted", "grown"))
    # Cameras here do not turn: a shift is one of the world, which origin "first" does not see.
    assert np.allclose(truth, shifted, atol=1e-5) and not np.allclose(truth, larger, atol=1e-5)
    assert json.loads(pq.read_schema(tmp_path / "grown").metadata[b"inputs"]) == ["poses:own"]


def test_the_truth_as_predictions_is_the_truth(preds, clips_world):
    clips = open_table(find_track(TRACK), "val")
    truth, own = clip_poses(clips), clip_poses(clips, preds)
    assert (truth.source, own.source) == ("truth", "shifted")
    for name, recording in truth.recordings.items():
        away = np.linalg.norm(own.recordings[name].joints - recording.joints, axis=-1)
        assert np.array_equal(recording.frame, own.recordings[name].frame)
        assert np.nanmax(away) < 30 * np.sqrt(3) + 0.1  # the mean over cameras is not farther


def test_a_clip_without_poses_is_answered_by_the_training_clips(weights, monkeypatch, clips_world):
    opened = open_table(find_track(TRACK), "val")
    found = task.answers(load_weights(weights), opened)
    empty = replace(found, poses=replace(found.poses, recordings={}))
    scores = empty.columns(next(opened.batches(task.COLUMNS)))["scores"]
    assert np.allclose(scores, np.arange(1, 7) / 21)


def test_poses_that_do_not_fit_are_refused(weights, preds, clips_world, tmp_path):
    loaded = load_weights(weights)
    table = pq.read_table(preds)
    pq.write_table(table.slice(1), tmp_path / "short.parquet")
    with pytest.raises(SubmissionError, match="HB104"):
        evaluate_poses(tmp_path / "short.parquet", TRACK, [loaded])
    other = table.replace_schema_metadata({"track": "handsim-h2o-pose"})
    with pytest.raises(BaselineError, match=r"HB302 predictions: is a file of handsim-h2o-pose"):
        evaluate_poses(other, TRACK, [loaded])
    relative = table.replace_schema_metadata({"frame": "root-relative"})
    with pytest.raises(BaselineError, match=r"HB302 .*relative to their wrists"):
        evaluate_poses(relative, TRACK, [loaded])
    with pytest.raises(BaselineError, match=r"HB302 handsim-h2o-action"):
        predict(loaded, "handsim-h2o-action", tmp_path / "no.parquet")
    with pytest.raises(BaselineError, match=r"HB302 --poses: is nothing that internet takes"):
        given_options("internet", {"poses": preds}, find_model("internet").task().options)
    with pytest.raises(BaselineError, match=r"HB302 msg3d: takes whole tables"):
        make_job(hands="single")


def counted(confusion) -> VerbScores:
    """Scores of answers with a confusion matrix of the six verbs, made by the scorer."""
    from hand_bench.actions import ClipEvaluator

    opened = open_table(find_track(TRACK), "val")
    machine = ClipEvaluator(TRACK, opened, resamples=0)
    batch = next(opened.batches(["sample_id", "label"]))
    answer, left = [], np.array(confusion)
    for truth in batch["label"]:
        answer.append(int(left[truth].argmax()))
        left[truth, answer[-1]] -= 1
    machine.update({"sample_id": batch.sample_id.to_pylist(), "label": answer})
    return VerbScores("truth-classifier", "c", "truth", "p", machine.scores())


def test_both_averages_and_what_is_relative_by_hand(clips_world):
    right = np.diag([4, 1, 1, 1, 1, 1])
    wrong = right.copy()
    wrong[0, :2] = 1, 3  # three of four "pick up" are called "put down"
    upper, row = counted(right), counted(wrong)
    assert np.array_equal(row.confusion, wrong) and row.classes == list(VERBS)
    values = {name: score.value for name, score in row.averages.items()}
    # 6 of 9 segments; 25 % of one verb and all of the five others.
    assert values == pytest.approx({"all segments": 6 / 9, "mean of verbs": 5.25 / 6})
    assert row.verbs["pick up"].value == 0.25 and row.verbs["screw"].value == 1
    assert VerbReport(upper, [row]).relative(row) == pytest.approx(values)
    doubled = VerbReport(row, [upper]).relative(upper)
    assert doubled == pytest.approx({"all segments": 9 / 6, "mean of verbs": 6 / 5.25})
    assert VerbReport(None, [row]).relative(row)["all segments"] is None


def test_the_command_prints_both_protocols_and_draws(weights, preds, tmp_path, capsys):
    own = load_weights(weights)
    facts = {**own.facts, "poses": [{"source": "shifted", "sha256": ""}]}
    save_weights(tmp_path / "own", MODEL, "tiny", own.network, facts)
    picture, both = tmp_path / "verbs.png", (str(weights), str(tmp_path / "own"))
    verbs(poses=preds, track=TRACK, classifier=both, output=picture)
    said = capsys.readouterr().out
    for name in (*VERBS, "all segments", "mean of verbs", *evaluation.PROTOCOLS):
        assert name.split()[0] in said, name
    assert picture.stat().st_size > 10_000
    verbs(poses=preds, track=TRACK, classifier=both[1:], json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["upper_bound"] is None
    (row,) = report["rows"]
    assert row["protocol"] == "own-classifier" and row["trained_on"] == "shifted"
    assert np.sum(row["confusion"]) == row["accuracy"]["all segments"]["n"] == 9


def test_weights_of_another_model_are_no_classifier(clips_world, weights, preds):
    loaded = replace(load_weights(weights), facts={"root_depth": [1.0, 1.0]}, name="internet-small")
    with pytest.raises(HandBenchError, match=r"HB302 internet-small: .* names no verbs"):
        evaluate_poses(preds, TRACK, [loaded])


def test_the_command_is_registered():
    import tomllib

    from hand_bench import cli

    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8")
    points = tomllib.loads(text)["project"]["entry-points"]["hand_bench.commands"]
    assert points["verbs"] == "hand_baselines.msg3d.commands:verbs"
    assert cli.OUTER["verbs"][0] == "baselines"


def test_what_is_for_pictures_is_refused():
    with pytest.raises(BaselineError, match=r"HB302 msg3d: looks at no crops"):
        MODEL.crops(TINY)
    with pytest.raises(BaselineError, match=r"HB302 --backbone-weights: are for models"):
        start_from(MODEL.network_class()(TINY), "backbone-small")


def test_bench_measures_clips(clips_world):
    found = measure(MODEL, "tiny", [2], threads=1)
    assert found["gflops"] > 0 and found["rows"][0]["ms"] > 0
