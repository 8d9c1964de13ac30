"""Prediction: a track's file from weights, in parts that survive a kill."""

# ruff: noqa: E402 (what follows the check needs torch)

import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

import hand_bench
from hand_baselines.crop_task import undo_lens
from hand_baselines.internet import predict as reading
from hand_baselines.internet.model import InterNetOutput
from hand_baselines.internet.targets import network_to_openpose
from hand_baselines.lifting import project
from hand_baselines.models import find_model
from hand_baselines.pictures import Pictures
from hand_baselines.prediction import predict
from hand_baselines.samples import HandCrops, picture_root, read_table
from hand_baselines.weights import load_weights, save_weights
from hand_bench.annotations import AnnotationBatch, Annotations, encode
from hand_bench.calibration import project_opencv
from hand_bench.errors import BaselineError, DatasetError
from hand_bench.geometry import back_project

TRACK = "handsim-interhand26m"
MODEL = find_model("internet")


@pytest.fixture
def loaded(tiny_preset, mini_world, tmp_path):
    torch.manual_seed(0)
    network = MODEL.network_class()(tiny_preset)
    save_weights(tmp_path / "tiny", MODEL, "tiny", network, {"root_depth": [1000.0, 1000.0]})
    return load_weights(tmp_path / "tiny")


@pytest.fixture
def test_table(mini_world) -> Annotations:
    return Annotations.open(mini_world / f"{TRACK}/test/annotations.parquet")


def answer(loaded, out, **options) -> bytes:
    rows = predict(loaded, TRACK, out, workers=0, **options)
    assert rows == pq.read_metadata(out).num_rows
    return out.read_bytes()


def test_a_track_is_answered_in_its_order_and_scored(loaded, test_table, tmp_path):
    out = tmp_path / "preds.parquet"
    answer(loaded, out)
    preds = hand_bench.read_predictions(out)
    assert preds.sample_id.tolist() == test_table.ids().to_pylist()
    assert preds.declared.inputs == ("boxes:standard", "root_depth:none")
    assert preds.declared.method == "tiny" and preds.left_root is not None
    wrist = preds.right_joints[:, 0, 2]
    assert np.abs(wrist - 1000).max() <= 200  # the depth range of the heatmaps
    result = hand_bench.evaluate(out, track=TRACK, units="mm", resamples=0)
    assert not result.partial and result.score("MPJPE").value > 0
    assert not (tmp_path / "preds.parquet.parts").exists()


def test_parts_and_batches_change_nothing(loaded, tmp_path):
    answer(loaded, tmp_path / "a")
    answer(loaded, tmp_path / "b", part=50, batch=11)
    whole, parts = (hand_bench.read_predictions(tmp_path / name) for name in "ab")
    assert np.array_equal(whole.sample_id, parts.sample_id)
    assert np.allclose(whole.right_joints, parts.right_joints, atol=0.01)


def test_a_killed_prediction_goes_on_behind_the_last_part(loaded, tmp_path, monkeypatch):
    whole = answer(loaded, tmp_path / "whole.parquet", part=40)
    out, seen = tmp_path / "preds.parquet", []

    def stop(_what: str, done: int, _total: int) -> None:
        if done > 90:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer(loaded, out, part=40, progress=stop)
    assert not out.exists()
    parts = sorted((tmp_path / "preds.parquet.parts").glob("0*.parquet"))
    assert len(parts) == 2
    read = Pictures.read
    monkeypatch.setattr(Pictures, "read", lambda self, at: seen.append(at) or read(self, at))
    assert answer(loaded, out, part=40) == whole
    assert len(seen) == pq.read_metadata(out).num_rows - 80


SCRIPT = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from hand_baselines.prediction import predict
from hand_baselines.weights import load_weights
def progress(what, done, total):
    if done > 90:
        os.kill(os.getpid(), signal.SIGKILL)
predict(load_weights(sys.argv[1]), sys.argv[2], sys.argv[3], workers=1, part=40, progress=progress)
"""


def test_a_process_that_is_killed_goes_on_with_the_same_file(loaded, tmp_path):
    whole = answer(loaded, tmp_path / "whole.parquet", part=40)
    out = tmp_path / "preds.parquet"
    given = [sys.executable, "-c", SCRIPT, str(tmp_path / "tiny"), TRACK, str(out)]
    assert subprocess.run(given, timeout=120).returncode == -signal.SIGKILL
    assert not out.exists()
    assert len(list((tmp_path / "preds.parquet.parts").glob("0*.parquet"))) == 2
    assert answer(loaded, out, part=40) == whole
    assert [path.name for path in tmp_path.glob("*preds*")] == ["preds.parquet"]


def test_parts_of_other_weights_are_not_used(loaded, tmp_path):
    out = tmp_path / "preds.parquet"
    parts = tmp_path / "preds.parquet.parts"
    parts.mkdir()
    (parts / "000000.parquet").write_bytes(b"of other weights")
    (parts / "source.json").write_text('{"weights": "other"}')
    answer(loaded, out)
    assert len(hand_bench.read_predictions(out).sample_id) > 0


def test_predictions_do_not_depend_on_the_truth(loaded, test_table, tmp_path):
    table = pq.read_table(test_table.path)
    for side in ("right", "left"):
        for what in ("joints", "valid", "in_view"):
            at = table.schema.get_field_index(f"{side}_{what}")
            empty = pa.nulls(len(table), table.schema.field(at).type)
            table = table.set_column(at, table.schema.field(at), empty)
    pq.write_table(table, tmp_path / "blind.parquet")
    images = picture_root(test_table)
    seeing = answer(loaded, tmp_path / "a.parquet")
    blind = answer(
        loaded, tmp_path / "b.parquet", annotations=tmp_path / "blind.parquet", images=images
    )
    assert seeing == blind


def perfect(network, batch) -> InterNetOutput:
    """What a network would say that knows the truth: narrow peaks at the targets."""
    targets = network.targets(batch)
    config = network.config
    bins = torch.arange(config.bins)
    volumes = 0
    for axis, shape in enumerate(((1, 1, -1), (1, -1, 1), (-1, 1, 1))):
        away = (bins - targets.joints[..., axis, None]) ** 2
        volumes = volumes - 2 * away.view(*targets.joints.shape[:2], *shape)
    return InterNetOutput(volumes, targets.root_depth, 20 * targets.present - 10)


@pytest.mark.parametrize("how", ["expected", "argmax"])
def test_a_perfect_output_is_read_as_the_truth(loaded, test_table, how):
    data = HandCrops(
        read_table(test_table, hands="interacting"),
        Pictures(picture_root(test_table)),
        MODEL.crops(loaded.network.config),
    )
    batch = torch.utils.data.default_collate([data[k] for k in range(0, 12, 2)])
    loaded.network.config = replace(loaded.network.config, decoding=how)
    output = perfect(loaded.network, batch)
    valid = loaded.network.targets(batch).joints_valid.unflatten(1, (2, 21))
    order = network_to_openpose(loaded.network.config)
    valid = valid[:, :, order].numpy()
    depth = batch["joints"][:, :, 0, 2]
    for k in range(len(depth)):  # at the true depths of the wrists
        one = {name: value[k : k + 1] for name, value in batch.items()}
        said = InterNetOutput(*(part[k : k + 1] for part in output))
        facts = {"root_depth": depth[k].tolist()}
        columns = reading.answer(loaded.network, said, one, facts)
        found = np.stack([columns["right_joints"][0], columns["left_joints"][0]])
        error = np.linalg.norm(found - one["joints"][0].numpy(), axis=-1)[valid[k]]
        # A bin is 4 of 32 crop pixels and 50 mm: only expectation is finer than that.
        assert error.max() < (25.0 if how == "expected" else 60.0)
        pixels = project(torch.tensor(found), one["K"]).numpy()
        near = np.abs(pixels - one["joints_2d"][0].numpy()).max(axis=-1)[valid[k]]
        assert near.max() < (1.5 if how == "expected" else 4.5)


def test_the_left_wrist_follows_the_relative_depth(loaded, test_table):
    data = HandCrops(
        read_table(test_table, hands="interacting"),
        Pictures(picture_root(test_table)),
        MODEL.crops(loaded.network.config),
    )
    loaded.network.config = replace(loaded.network.config, decoding="expected")
    batch = torch.utils.data.default_collate([data[k] for k in range(12)])
    targets = loaded.network.targets(batch)
    known = targets.root_depth_valid.numpy()
    depth = batch["joints"][:, :, 0, 2]
    facts = {"root_depth": [float(depth[0, 0])] * 2}
    columns = reading.answer(loaded.network, perfect(loaded.network, batch), batch, facts)
    true = (depth[:, 1] - depth[:, 0]).numpy()
    assert known.any() and np.allclose(columns["left_root"][known, 2], true[known], atol=15)


def test_lenses_are_undone_at_the_depths_that_were_said():
    rng = np.random.default_rng(0)
    K = np.tile([[600.0, 0, 320], [0, 610, 240], [0, 0, 1]], (3, 1, 1))
    lens = np.array([[-0.2, 0.05, 1e-3, -2e-3, 0, 0, 0, 0], [0] * 8, [0.1, 0, 0, 0, 0, 0, 0, 0]])
    true = rng.normal([0, 0, 600], 60, (3, 2, 21, 3))
    pixels = np.stack([project_opencv(true[k].reshape(-1, 3), K[k], lens[k]) for k in range(3)])
    said = back_project(pixels, true[..., 2].reshape(3, -1), K).reshape(true.shape)
    rows = encode(
        {"sample_id": list("abc"), "K": K, "distortion": (lens, np.array([False, True, False]))}
    )
    columns = {"right_joints": said[:, 0], "left_joints": said[:, 1]}
    columns["left_root"] = said[:, 1, 0] - said[:, 0, 0]
    found = undo_lens(columns, AnnotationBatch(0, rows))
    joints = np.stack([found["right_joints"], found["left_joints"]], axis=1)
    assert np.allclose(joints, true, atol=1e-3)
    assert np.allclose(found["left_root"], true[:, 1, 0] - true[:, 0, 0], atol=1e-3)
    assert np.abs(said - true)[[0, 2]].max() > 0.5
    assert np.array_equal(joints[1], said[1])


def test_only_one_camera_of_hands_is_answered(loaded, tmp_path):
    for track in ("handsim-h2o-action", "handsim-desktop-activities", "handsim-epic-handkps"):
        with pytest.raises(BaselineError, match=f"HB302 {track}"):
            predict(loaded, track, tmp_path / "p.parquet")


def test_pictures_that_are_not_there_are_named(loaded, tmp_path):
    with pytest.raises(DatasetError, match="HB202"):
        predict(loaded, TRACK, tmp_path / "p.parquet", images=tmp_path, workers=0)


def test_the_bare_entry_predicts_and_names_errors(loaded, tmp_path, capsys):
    out = tmp_path / "p.parquet"
    given = [str(tmp_path / "tiny"), "--track", TRACK, "-o", str(out), "--workers", "0"]
    reading.main(given)
    assert capsys.readouterr().out == f"{out}: {pq.read_metadata(out).num_rows} samples\n"
    with pytest.raises(SystemExit, match="HB301"):
        reading.main(["nothing", *given[1:]])
