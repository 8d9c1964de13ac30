"""Depths of wrists for other models: by a RootNet, or from its official result file."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

import hand_bench
from hand_baselines.models import find_model
from hand_baselines.prediction import predict, write_roots
from hand_baselines.root_depths import annotation_ids
from hand_baselines.rootnet.config import RootNetConfig
from hand_baselines.rootnet.output_file import RootRecord, read_records, write_records
from hand_baselines.samples import INPUTS
from hand_baselines.weights import load_weights, save_weights
from hand_bench.annotations import Annotations
from hand_bench.errors import BaselineError
from hand_bench.geometry import square_box

TRACK = "handsim-interhand26m"
TINY = RootNetConfig(18, 0.125, input_size=32, bins=8, hidden=8)


@pytest.fixture
def weights(mini_world, tiny_preset, tmp_path):
    """Folders of a tiny InterNet and a tiny RootNet that puts wrists at about k."""
    torch.manual_seed(0)
    internet, rootnet = find_model("internet"), find_model("rootnet")
    network = internet.network_class()(tiny_preset)
    save_weights(tmp_path / "hands", internet, "tiny", network, {"root_depth": [900.0, 900.0]})
    roots = rootnet.network_class()(TINY)
    torch.nn.init.ones_(roots.gamma.bias)
    pose = np.random.default_rng(0).normal(0, 30, (2, 21, 3)) * (np.arange(21) > 0)[:, None]
    save_weights(tmp_path / "roots", rootnet, "tiny", roots, {"mean_pose": pose.tolist()})
    return tmp_path


@pytest.fixture
def test_table(mini_world) -> Annotations:
    return Annotations.open(mini_world / f"{TRACK}/test/annotations.parquet")


def answered(weights, name="hands", **options):
    out = weights / "preds.parquet"
    predict(load_weights(weights / name), TRACK, out, workers=0, **options)
    return hand_bench.read_predictions(out)


def test_hands_are_lifted_at_the_depths_of_the_result_file(weights, test_table):
    depths = 500 + np.arange(test_table.rows)[:, None] * [1.0, 2.0]
    box = (0.0, 0.0, 9.0, 9.0)
    records = [RootRecord(k, box, (right, left)) for k, (right, left) in enumerate(depths.tolist())]
    write_records(weights / "roots.json", records)
    preds = answered(weights, root_depth=weights / "roots.json", part=40)
    assert preds.declared.inputs == ("boxes:standard", "root_depth:own")
    plain = answered(weights)
    for side, column in (("right", 0), ("left", 1)):
        given = getattr(preds, f"{side}_joints")[:, 0, 2]
        mean = getattr(plain, f"{side}_joints")[:, 0, 2]
        assert np.allclose(given - mean, depths[:, column] - 900, atol=0.01)


def test_the_left_wrist_is_put_at_the_relative_or_the_absolute_depth(weights, test_table):
    records = [RootRecord(k, (0.0, 0, 9, 9), (800.0, 950.0)) for k in range(test_table.rows)]
    write_records(weights / "roots.json", records)
    options = {"root_depth": weights / "roots.json"}
    absolute = answered(weights, left_root="absolute", **options).left_root[:, 2]
    relative = answered(weights, **options).left_root[:, 2]
    both = answered(weights, **options)
    # What the heatmaps say of the wrists' own relative depth is added in both.
    residual = (both.left_joints - both.right_joints)[:, 0, 2] - 150
    assert np.allclose(absolute - residual, 150, atol=0.01)
    assert not np.allclose(relative, absolute, atol=1)


def test_a_rootnet_gives_the_depths_of_its_result_file(weights, test_table):
    rows = write_roots(weights / "roots", TRACK, weights / "roots.json", batch=7, workers=0)
    records = read_records(weights / "roots.json")
    assert rows == len(records) == test_table.rows
    by_network = answered(weights, root_depth=weights / "roots")
    by_file = answered(weights, root_depth=weights / "roots.json")
    assert np.allclose(by_network.right_joints, by_file.right_joints, atol=0.1)
    row = next(test_table.batches(INPUTS, 5))
    _, _, w, h = records[3].bbox
    clipped = row["bbox"][3]
    assert w == h and w <= square_box(clipped)[2] + 1e-3
    assert 200 < records[3].abs_depth[0] < 5000


def test_a_rootnet_answers_with_the_mean_pose_at_its_wrists(weights):
    preds = answered(weights, "roots")
    pose = load_weights(weights / "roots").facts["mean_pose"]
    relative = preds.right_joints - preds.right_joints[:, :1]
    assert np.allclose(relative, pose[0], atol=0.01)
    apart = preds.left_joints[:, 0] - preds.right_joints[:, 0]
    assert np.allclose(apart, preds.left_root, atol=0.01)
    result = hand_bench.evaluate(weights / "preds.parquet", track=TRACK, units="mm", resamples=0)
    assert result.score("MRRPE", protocol="official").value > 0


def test_rows_without_ids_of_the_dataset_are_numbered(test_table):
    numbers = np.concatenate([annotation_ids(rows) for rows in test_table.batches(INPUTS, 37)])
    assert np.array_equal(numbers, np.arange(test_table.rows))


def test_what_gives_no_depths_is_refused(weights, test_table):
    write_records(weights / "few.json", [RootRecord(0, (0.0, 0, 9, 9), (800.0, 800.0))])
    lacking = f"lacks {test_table.rows - 1:,} of {test_table.rows:,} samples, e.g. annotation 1"
    for where, what in (
        ("few.json", f"HB402.*{lacking}"),
        ("hands", "HB402.*weights of internet, which gives no depths"),
        ("nothing", "HB301"),
    ):
        with pytest.raises(BaselineError, match=what):
            answered(weights, root_depth=weights / where)
    with pytest.raises(BaselineError, match=r"HB302.*absolute depths needs depths"):
        answered(weights, left_root="absolute")
    with pytest.raises(BaselineError, match=r"HB302.*takes none from elsewhere"):
        answered(weights, "roots", root_depth=weights / "roots")
    with pytest.raises(BaselineError, match=r"HB302.*result file already"):
        write_roots(weights / "few.json", TRACK, weights / "out.json")


def test_parts_with_other_depths_are_not_used(weights, test_table):
    parts = weights / "preds.parquet.parts"

    def stop(_what, done, _total):
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answered(weights, part=20, progress=stop)
    assert list(parts.glob("0*.parquet"))
    preds = answered(weights, part=20, root_depth=weights / "roots")
    whole = answered(weights, root_depth=weights / "roots")
    assert np.allclose(preds.right_joints, whole.right_joints, atol=0.01)
    assert pq.read_metadata(weights / "preds.parquet").num_rows == test_table.rows
