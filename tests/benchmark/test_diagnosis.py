"""Diagnosis: every wrong convention is found, and nothing is found that is not there."""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hand_bench import data
from hand_bench.data import open_annotations
from hand_bench.diagnosis import diagnose, spread_rows
from hand_bench.errors import SubmissionError
from hand_bench.evaluator import evaluate
from hand_bench.geometry import camera_to_world, project
from hand_bench.joint_sets import HAND_SIDES, convert, permutation
from hand_bench.predictions import read_predictions, write_predictions
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m
from hand_bench.tracks import DEMO

WORLD = SkeletonWorld(captures=2, sequences=4, cameras=2, frames=10, seed=3)


@dataclass
class Truth:
    """What the made-up predictions start from; absent hands are zeros."""

    sample_id: np.ndarray
    joints: np.ndarray
    present: np.ndarray
    pose: np.ndarray
    K: np.ndarray


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("diagnosis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(root / "home"))
        write_interhand26m(root / "official", WORLD)
        data.prepare("demo", root / "official", split="test")
    return root / "home"


@pytest.fixture(autouse=True)
def prepared(home, monkeypatch):
    monkeypatch.setenv("HAND_BENCH_HOME", str(home))


@pytest.fixture
def truth(prepared) -> Truth:
    names = ["sample_id", "right_joints", "left_joints", "T_world_from_camera", "K"]
    (batch,) = open_annotations(DEMO).batches(names)
    present = np.stack([batch.present(side) for side in HAND_SIDES], axis=1)
    joints = np.stack([batch[f"{side}_joints"] for side in HAND_SIDES], axis=1)
    joints = np.where(present[..., None, None], joints, 0).astype(np.float64)
    ids = np.array(batch.sample_id.to_pylist())
    return Truth(ids, joints, present, batch["T_world_from_camera"], batch["K"])


def noisy(truth: Truth, size: float = 5.0) -> np.ndarray:
    return truth.joints + np.random.default_rng(1).normal(0, size, truth.joints.shape)


def about_wrist(joints: np.ndarray, signs: tuple) -> np.ndarray:
    return joints[..., :1, :] + (joints - joints[..., :1, :]) * np.array(signs)


def write(path, truth: Truth, joints: np.ndarray, present=None, **options):
    """Write predictions, NaN where no hand is present."""
    present = truth.present if present is None else present
    joints = np.where(present[..., None, None], joints, np.nan)
    write_predictions(path, truth.sample_id, joints[:, 0], joints[:, 1], **options)
    return path


def mirrored(sides: tuple[int, ...]):
    def broken(joints, truth):
        joints = joints.copy()
        for side in sides:
            joints[:, side] = about_wrist(joints[:, side], (-1, 1, 1))
        return joints

    return broken


def in_world(joints, truth):
    return camera_to_world(joints, truth.pose[:, None])


BROKEN = {
    "units: m": lambda joints, _: joints / 1000,
    "units: cm": lambda joints, _: joints / 10,
    "joint_set: interhand21": lambda joints, _: convert(joints, "openpose21", "interhand21"),
    "joint_set: mano21": lambda joints, _: convert(joints, "openpose21", "mano21"),
    "joint_set: fpha21": lambda joints, _: convert(joints, "openpose21", "fpha21"),
    "joint_set: rhd21": lambda joints, _: convert(joints, "openpose21", "rhd21"),
    "mirror: right": mirrored((0,)),
    "mirror: left": mirrored((1,)),
    "mirror: both": mirrored((0, 1)),
    "axes: x": lambda joints, _: joints * [-1, 1, 1],
    "axes: y": lambda joints, _: joints * [1, -1, 1],
    "axes: z": lambda joints, _: joints * [1, 1, -1],
    "axes: yz": lambda joints, _: joints * [1, -1, -1],
    "axes: relative z": lambda joints, _: about_wrist(joints, (1, 1, -1)),
    "frame: world": in_world,
    "frame: root-relative": lambda joints, _: joints - joints[..., :1, :],
}


@pytest.mark.parametrize("noise", [0.0, 5.0, 12.0, 25.0])
def test_a_file_without_a_wrong_convention_has_no_likely_finding(tmp_path, truth, noise):
    found = diagnose(write(tmp_path / "p.parquet", truth, noisy(truth, noise)), track="demo")
    assert found.likely == [] and found.chain == []
    assert found.mpjpe_before == found.mpjpe_after
    assert "No wrong convention" in found.summary


def test_a_hand_of_the_same_mean_pose_everywhere_has_no_likely_finding(tmp_path, truth):
    relative = truth.joints - truth.joints[..., :1, :]
    mean = np.stack([relative[truth.present[:, k], k].mean(axis=0) for k in (0, 1)])
    path = write(tmp_path / "p.parquet", truth, truth.joints[..., :1, :] + mean)
    assert diagnose(path, track="demo").likely == []


@pytest.mark.parametrize("name", BROKEN)
def test_each_wrong_convention_is_found_and_only_it(tmp_path, truth, name):
    path = write(tmp_path / "p.parquet", truth, BROKEN[name](noisy(truth), truth))
    found = diagnose(path, track="demo")
    assert found.likely == found.chain == [name]
    assert found.mpjpe_after < 15
    assert name == "frame: root-relative" or found.mepe_after < 15


@pytest.mark.parametrize("name", BROKEN)
def test_the_fixed_file_evaluates_to_the_error_that_was_promised(tmp_path, truth, name):
    path = write(tmp_path / "p.parquet", truth, BROKEN[name](noisy(truth), truth))
    found = diagnose(path, track="demo", fix=tmp_path / "fixed.parquet")
    result = evaluate(tmp_path / "fixed.parquet", track="demo", resamples=0)
    assert result.score("MPJPE").value == pytest.approx(found.mpjpe_after, abs=1e-3)
    assert result.score("MEPE").value == pytest.approx(found.mepe_after, abs=1e-3)
    assert diagnose(tmp_path / "fixed.parquet", track="demo").likely == []
    assert name in json.loads(pq.read_schema(tmp_path / "fixed.parquet").metadata[b"fixes"])


def test_a_file_left_as_it_was_has_the_error_that_evaluate_gives(tmp_path, truth):
    path = write(tmp_path / "p.parquet", truth, noisy(truth) * [1, -1, -1])
    found, result = diagnose(path, track="demo"), evaluate(path, track="demo", resamples=0)
    assert result.score("MPJPE").value == pytest.approx(found.mpjpe_before, abs=1e-3)
    assert result.score("MEPE").value == pytest.approx(found.mepe_before, abs=1e-3)


def test_exchanged_hands_are_found_and_put_back_with_scores_and_left_root(tmp_path, truth):
    joints, path = noisy(truth), tmp_path / "p.parquet"
    write(path, truth, joints[:, ::-1], truth.present[:, ::-1],
          right_score=truth.present[:, 1] * 0.9, left_score=truth.present[:, 0] * 0.9,
          left_root=joints[:, 0, 0] - joints[:, 1, 0])  # fmt: skip
    found = diagnose(path, track="demo", fix=tmp_path / "fixed.parquet")
    assert found.likely == found.chain == ["hands: exchanged"]
    fixed = read_predictions(tmp_path / "fixed.parquet")
    np.testing.assert_allclose(fixed.right_score, truth.present[:, 0] * 0.9, rtol=1e-6)
    np.testing.assert_allclose(fixed.left_root, joints[:, 1, 0] - joints[:, 0, 0], rtol=1e-5)
    result = evaluate(tmp_path / "fixed.parquet", track="demo", resamples=0)
    assert result.score("MPJPE").value == pytest.approx(found.mpjpe_after, abs=1e-3)


def test_exchanged_hands_are_found_where_both_are_always_predicted(tmp_path, truth):
    joints = noisy(truth)
    absent = ~truth.present
    joints[absent] = about_wrist(joints[:, ::-1], (-1, 1, 1))[absent]
    everywhere = np.ones_like(truth.present)
    path = write(tmp_path / "good.parquet", truth, joints, everywhere)
    assert diagnose(path, track="demo").likely == []
    path = write(tmp_path / "p.parquet", truth, joints[:, ::-1], everywhere)
    assert diagnose(path, track="demo").likely == ["hands: exchanged"]


@pytest.mark.parametrize(
    "names",
    [
        ("joint_set: interhand21", "units: m"),
        ("axes: yz", "units: m"),
        ("mirror: left", "axes: yz"),
        ("axes: y", "joint_set: mano21", "units: m"),
        ("frame: world", "units: m"),
        ("frame: world", "mirror: left", "joint_set: interhand21", "units: cm"),
        ("frame: root-relative", "joint_set: interhand21", "units: m"),
    ],
)
def test_combinations_are_found_and_fixed(tmp_path, truth, names):
    joints = noisy(truth)
    for name in names:
        joints = BROKEN[name](joints, truth)
    path = write(tmp_path / "p.parquet", truth, joints)
    found = diagnose(path, track="demo", fix=tmp_path / "fixed.parquet")
    assert sorted(found.chain) == sorted(found.likely) == sorted(names)
    result = evaluate(tmp_path / "fixed.parquet", track="demo", resamples=0)
    assert result.score("MPJPE").value == pytest.approx(found.mpjpe_after, abs=1e-3)
    assert found.mpjpe_after < 15


def test_a_wrong_declaration_is_found_too(tmp_path, truth):
    path = write(tmp_path / "p.parquet", truth, noisy(truth), units="m", joint_set="mano21")
    found = diagnose(path, track="demo")
    assert sorted(found.chain) == ["joint_set: openpose21", "units: mm"]
    assert diagnose(path, track="demo", units="mm").chain == ["joint_set: openpose21"]
    path = write(tmp_path / "p.parquet", truth, noisy(truth), frame="world")
    assert diagnose(path, track="demo").likely == ["frame: camera"]


def test_declared_conventions_are_not_found(tmp_path, truth):
    joints = in_world(noisy(truth), truth)[..., permutation("openpose21", "mano21"), :] / 1000
    path = write(
        tmp_path / "p.parquet", truth, joints, units="m", joint_set="mano21", frame="world"
    )
    assert diagnose(path, track="demo").likely == []
    joints = noisy(truth) - truth.joints[..., :1, :]
    path = write(tmp_path / "p.parquet", truth, joints, frame="root-relative")
    found = diagnose(path, track="demo")
    assert found.likely == [] and found.mepe_before is None


def test_a_root_offset_is_reported_and_never_applied(tmp_path, truth):
    path = write(tmp_path / "p.parquet", truth, noisy(truth) + np.array([10, -20, 60]))
    found = diagnose(path, track="demo", fix=tmp_path / "fixed.parquet")
    assert found.likely == ["offset: constant"] and found.chain == []
    (offset,) = (f for f in found.findings if f.likely)
    assert offset.mepe_before > 60 > 15 > offset.mepe_after
    assert found.mepe_after == found.mepe_before
    before, after = (pq.read_table(p)["right_joints"] for p in (path, tmp_path / "fixed.parquet"))
    assert before.equals(after)


@pytest.mark.parametrize("shift", [-2, -1, 1, 2])
def test_a_frame_shift_is_reported_and_never_applied(tmp_path, truth, shift):
    path = write(tmp_path / "p.parquet", truth, np.roll(noisy(truth, 2), shift, axis=0),
                 np.roll(truth.present, shift, axis=0))  # fmt: skip
    found = diagnose(path, track="demo", fix=tmp_path / "fixed.parquet")
    assert found.likely == [f"shift: {shift:+d}"] and found.chain == []
    before, after = (pq.read_table(p)["right_joints"] for p in (path, tmp_path / "fixed.parquet"))
    assert before.equals(after)


def test_hands_written_as_zeros_become_null(tmp_path, truth):
    joints = np.where(truth.present[..., None, None], noisy(truth), 0)
    path = write(tmp_path / "p.parquet", truth, joints, np.ones_like(truth.present))
    found = diagnose(path, track="demo", fix=tmp_path / "fixed.parquet")
    assert found.likely == found.chain == ["collapsed: hands"]
    assert found.counts["collapsed_hands"] == np.sum(~truth.present)
    result = evaluate(tmp_path / "fixed.parquet", track="demo", resamples=0)
    assert result.score("MPJPE").value == pytest.approx(found.mpjpe_after, abs=1e-3)


def test_nan_hands_are_counted_and_left_out(tmp_path, truth):
    table = pq.read_table(write(tmp_path / "p.parquet", truth, noisy(truth)))
    hands = table["right_joints"].to_pylist()
    broken = [k for k, hand in enumerate(hands) if hand][:5]
    for k in broken:
        hands[k] = [float("nan"), float("inf"), *hands[k][2:]]
    table = table.set_column(1, "right_joints", pa.array(hands, pa.list_(pa.float32())))
    found = diagnose(table, track="demo", fix=tmp_path / "fixed.parquet")
    assert found.likely == [] and found.counts["nan_hands"] == len(broken)
    assert "5 hands hold NaN" in found.summary
    fixed = read_predictions(tmp_path / "fixed.parquet")
    assert np.isnan(fixed.right_joints[broken]).all() and "NaN hands" in fixed.declared.notes
    evaluate(tmp_path / "fixed.parquet", track="demo", resamples=0)


def test_missing_extra_and_repeated_ids_are_counted_and_kept(tmp_path, truth):
    path = write(tmp_path / "p.parquet", truth, noisy(truth) / 1000)
    table = pq.read_table(path)[::-1].slice(7)
    other = table.slice(0, 3).set_column(0, table.schema.field(0), [pa.array(["x", "y", "z"])])
    table = pa.concat_tables([table, other, table.slice(0, 2)])
    found = diagnose(table, track="demo", fix=tmp_path / "fixed.parquet")
    assert found.likely == ["units: m"]
    assert [found.counts[k] for k in ("missing", "extra", "duplicate")] == [7, 3, 2]
    fixed = pq.read_table(tmp_path / "fixed.parquet")
    assert fixed["sample_id"].equals(table["sample_id"])


def test_nothing_to_measure_is_said(tmp_path, truth):
    joints = noisy(truth)
    truth.sample_id = np.array([f"other/{k}" for k in range(len(joints))])
    found = diagnose(write(tmp_path / "p.parquet", truth, joints), track="demo")
    assert found.likely == [] and found.mpjpe_before is None
    assert "no hand could be measured" in found.summary
    path = write(tmp_path / "p.parquet", truth, joints, np.zeros_like(truth.present))
    assert diagnose(path, track="demo", fix=tmp_path / "fixed.parquet").likely == []


def test_unreadable_files_are_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "p.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(SubmissionError, match="HB102"):
        diagnose(tmp_path / "p.parquet", track="demo", fix=tmp_path / "fixed.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


def test_lists_of_another_length_are_refused(tmp_path, truth):
    table = pq.read_table(write(tmp_path / "p.parquet", truth, noisy(truth)))
    hands = [hand and hand[:60] for hand in table["right_joints"].to_pylist()]
    table = table.set_column(1, "right_joints", pa.array(hands, pa.list_(pa.float32())))
    with pytest.raises(SubmissionError, match="HB112"):
        diagnose(table, track="demo", fix=tmp_path / "fixed.parquet")
    assert not (tmp_path / "fixed.parquet").exists()


def crops(truth: Truth, joints: np.ndarray) -> dict:
    row, side = np.nonzero(truth.present)
    order = np.random.default_rng(0).permutation(len(row))
    row, side = row[order], side[order]
    return {
        "sample_id": truth.sample_id[row],
        "hand_side": np.array(HAND_SIDES)[side],
        "joints": list(joints[row, side].reshape(-1, 63).astype(np.float32)),
        "score": np.where(side == 0, 0.75, 0.5).astype(np.float32),
    }


def test_rows_per_crop_are_merged_and_fixed(tmp_path, truth):
    columns = crops(truth, noisy(truth) / 1000)
    columns["sample_id"][:2] = "elsewhere"
    columns["hand_side"][:2] = HAND_SIDES
    columns["hand_side"] = pa.array(columns["hand_side"]).dictionary_encode()
    found = diagnose(pa.table(columns), track="demo", fix=tmp_path / "fixed.parquet")
    assert found.likely == ["units: m"] and found.counts["extra"] == 2
    fixed = read_predictions(tmp_path / "fixed.parquet")
    assert set(fixed.sample_id) == set(columns["sample_id"])
    assert np.isfinite(fixed.left_joints[fixed.sample_id == "elsewhere"]).all()
    known = fixed.sample_id != "elsewhere"
    assert set(fixed.right_score[known & ~np.isnan(fixed.right_score)]) == {0.75}


def test_image_space_rows_are_lifted_and_fixed(tmp_path, truth):
    """Depth is measured towards the camera here."""
    joints = noisy(truth)
    uv = project(joints, truth.K[:, None])
    depth = joints[..., 0, 2:] - joints[..., 2]
    columns = crops(truth, joints)
    row = np.array([list(truth.sample_id).index(i) for i in columns["sample_id"]])
    side = (columns["hand_side"] == "left").astype(int)
    del columns["joints"]
    columns |= {
        "uv": list(uv[row, side].reshape(-1, 42).astype(np.float32)),
        "depth": list(depth[row, side].astype(np.float32)),
        "root_depth": joints[row, side, 0, 2].astype(np.float32),
    }
    found = diagnose(pa.table(columns), track="demo", fix=tmp_path / "fixed.parquet")
    assert found.likely == ["axes: relative z"] and found.mpjpe_after < 15
    result = evaluate(tmp_path / "fixed.parquet", track="demo", resamples=0, allow_missing=True)
    assert result.score("MPJPE").value == pytest.approx(found.mpjpe_after, abs=1e-3)


def test_the_relative_depth_of_the_roots_becomes_left_root(tmp_path, truth):
    joints = noisy(truth)
    uv = project(joints, truth.K[:, None]).astype(np.float32)
    columns = {"sample_id": truth.sample_id}
    for k, side in enumerate(HAND_SIDES):
        root = joints[:, k, 0, 2] - 5 * k
        depth = (joints[:, k, :, 2] - root[:, None]).astype(np.float32)
        for kind, values in (("uv", uv[:, k].reshape(-1, 42)), ("depth", depth)):
            here = zip(values, truth.present[:, k], strict=True)
            columns[f"{side}_{kind}"] = pa.array([v if p else None for v, p in here])
        columns[f"{side}_root_depth"] = pa.array(root, pa.float32(), mask=~truth.present[:, k])
    apart = joints[:, 1, 0, 2] - joints[:, 0, 0, 2]
    columns["relative_root_depth"] = apart.astype(np.float32)
    table = pa.table(columns)
    assert diagnose(table, track="demo", fix=tmp_path / "fixed.parquet").likely == []
    given, fixed = (
        evaluate(p, track="demo", resamples=0) for p in (table, tmp_path / "fixed.parquet")
    )
    for metric in ("MPJPE", "MEPE", "MRRPE"):
        assert fixed.score(metric).value == pytest.approx(given.score(metric).value, abs=1e-3)


def test_a_sample_is_enough(tmp_path, truth):
    path = write(tmp_path / "p.parquet", truth, noisy(truth) / 1000)
    found = diagnose(path, track="demo", max_samples=60, fix=tmp_path / "fixed.parquet")
    assert found.likely == ["units: m"] and found.counts["rows_measured"] <= 60
    assert len(read_predictions(tmp_path / "fixed.parquet").sample_id) == len(truth.sample_id)


def test_sampled_rows_are_runs_in_every_sequence():
    sequence = np.repeat([0, 1, 2], [5000, 40, 700])
    rows = spread_rows(sequence, np.arange(5740), 200)
    assert len(rows) <= 200 and set(sequence[rows]) == {0, 1, 2}
    assert (np.diff(rows) == 1).mean() > 0.85
    assert np.array_equal(spread_rows(sequence, np.arange(5740), 5740), np.arange(5740))
    assert len(spread_rows(sequence, np.arange(5740), 1)) == 1


def test_the_same_file_gives_the_same_json(tmp_path, truth):
    path = write(tmp_path / "p.parquet", truth, noisy(truth) / 1000)
    once, again = (json.dumps(diagnose(path, track="demo").to_json()) for _ in range(2))
    assert once == again
    assert {"findings", "chain", "counts", "summary"} < set(json.loads(once))
