"""Scores equal an independent plain-loop scorer, written from the facts, to 1e-6 relative."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark import plain_interhand26m as plain
from benchmark.conftest import as_arrays, as_float32
from hand_bench import data, evaluate
from hand_bench.joint_sets import convert

SUBSETS = ("SH", "IH", "all")
RECOMMENDED = {
    "MPJPE": "mpjpe",
    "PA-MPJPE": "pa_mpjpe",
    "MEPE": "mepe",
    "AUC(0-50)": "auc",
    "PA-AUC(0-50)": "pa_auc",
    "hand recall": "hand_recall",
    "acceleration error": "acceleration",
}


def close(expected):
    return pytest.approx(expected, rel=1e-6)


@pytest.fixture(scope="module", params=["numpy", "numba"])
def scored(request, prepared):
    predictions = as_float32(prepared.predictions(seed=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(prepared.home))
        result = evaluate(as_arrays(predictions), track="demo", resamples=0, engine=request.param)
    return prepared.samples, predictions, result


def test_the_world_has_every_hand_type_invalid_joints_and_whole_hands_missing(scored):
    samples, _, _ = scored
    assert {s["hand_type"] for s in samples} == {"right", "left", "interacting"}
    valid = np.stack([s["joint_valid"] for s in samples]).astype(bool)
    both = np.array([s["hand_type"] == "interacting" for s in samples])
    assert 0.5 < valid.mean() < 0.99
    assert (~valid[both][:, :21].any(axis=1)).any()


@pytest.mark.parametrize("protocol", ["official", "mmpose"])
def test_the_named_protocols_equal_the_plain_loop(scored, protocol):
    samples, predictions, result = scored
    expected = getattr(plain, protocol)(samples, predictions)
    for subset in SUBSETS:
        found = result.score("MPJPE", subset, protocol).value
        assert found == close(expected["mpjpe"][subset])
    assert result.score("MRRPE", "all", protocol).value == close(expected["mrrpe"])
    accuracy = result.score("handedness accuracy", "all", protocol).value
    assert accuracy == close(expected["handedness"])


@pytest.mark.parametrize("subset", SUBSETS)
def test_the_recommended_protocol_equals_the_plain_loop(scored, subset):
    samples, predictions, result = scored
    expected = plain.recommended(samples, predictions)[subset]
    for metric, key in RECOMMENDED.items():
        # An error on a threshold's very edge may fall to either side of it: one joint in 40,000.
        tolerance = 1e-5 if "AUC" in metric else 1e-6
        value = result.score(metric, subset).value
        assert value == pytest.approx(expected[key], rel=tolerance), metric
    assert result.score("PCK@20", subset).value == pytest.approx(expected["pck"][20], abs=1e-4)


def test_mrrpe_and_average_precision_equal_the_plain_loop(scored):
    samples, predictions, result = scored
    expected = plain.recommended(samples, predictions)["all"]
    assert result.score("MRRPE").value == close(expected["mrrpe"])
    # The evaluator keeps 256 levels of scores, the loop all of them.
    assert result.score("hand AP").value == pytest.approx(expected["ap"], abs=2e-3)


def test_per_joint_errors_equal_the_plain_loop(scored):
    samples, predictions, result = scored
    expected = plain.official(samples, predictions)["per_joint"]
    for subset in SUBSETS:
        for side, first in (("right", 0), ("left", 21)):
            official = np.array(expected[subset][first : first + 21])[:, None]
            wanted = convert(official, "interhand21", "openpose21")[:, 0]
            found = list(result.details[subset]["per_joint"][side].values())
            assert found == close(wanted.tolist())


def test_missed_hands_take_the_official_number_away_and_count_as_failures(world):
    predictions = as_float32(world.predictions(seed=2, missed=0.1))
    result = evaluate(as_arrays(predictions), track="demo", resamples=0)
    assert plain.official(world.samples, predictions)["mpjpe"]["all"] is None
    assert result.score("MPJPE", "all", "official").value is None
    assert any("which this scorer does not allow" in note for note in result.notes)
    expected = plain.recommended(world.samples, predictions)
    for subset in SUBSETS:
        for metric in ("AUC(0-50)", "MPJPE", "hand recall", "PA-AUC(0-50)"):
            value = result.score(metric, subset).value
            assert value == pytest.approx(expected[subset][RECOMMENDED[metric]], rel=1e-5)


def test_mmpose_counts_a_tie_as_absent_and_the_official_scorer_as_wrong(world):
    predictions = as_float32(world.predictions(seed=3))
    for sample in world.samples:
        predictions[sample["sample_id"]] |= {"right_score": 0.5, "left_score": 0.9}
    result = evaluate(as_arrays(predictions), track="demo", resamples=0)
    for protocol in ("official", "mmpose"):
        expected = getattr(plain, protocol)(world.samples, predictions)["handedness"]
        assert result.score("handedness accuracy", "all", protocol).value == close(expected)
    assert result.score("handedness accuracy", "all", "official").value == 0


GOLDEN = {
    # facts 6.2: official SH, IH, all; pooled (mmpose) SH, IH, all; MRRPE; handedness accuracy
    "V1-A": ((5.72926, 7.01332, 6.58530), (5.72926, 7.01332, 6.58530), 17.04394, 0.75),
    "V1-B": ((6.73558, 7.81238, 7.45345), (6.73558, 7.81238, 7.45345), 17.97865, 0.75),
    "V2-A": ((5.72926, 6.41323, 6.14791), (5.72926, 6.59726, 6.23631), 17.01722, 2 / 3),
    "V2-B": ((6.73558, 6.67907, 6.80938), (6.73558, 6.89307, 6.82758), 18.23976, 2 / 3),
}


def edited_copy(sample: Path, folder: Path) -> Path:
    """Variant V2 of facts 6.2: some joints, one wrist and one hand type made invalid."""
    shutil.copytree(sample / "annotations", folder / "annotations", copy_function=shutil.copyfile)
    path = folder / "annotations" / "test" / "InterHand2.6M_test_data.json"
    content = json.loads(path.read_text())
    annotations = {a["id"]: a for a in content["annotations"]}
    for joint in (4, 5, 6, 7):
        annotations[326750]["joint_valid"][joint] = [0]
    annotations[286291]["joint_valid"][41] = [0]
    annotations[471953]["hand_type_valid"] = 0
    path.unlink()
    path.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_values_on_the_real_sample(interhand26m_sample, home, tmp_path, case):
    official, pooled, mrrpe, handedness = GOLDEN[case]
    # The golden predictions are made from the unedited annotations.
    samples = plain.load_samples(interhand26m_sample, "test")
    arrays = as_arrays(plain.golden_predictions(samples, case[-1]))
    v2 = case.startswith("V2")
    root = edited_copy(interhand26m_sample, tmp_path) if v2 else interhand26m_sample
    data.prepare("interhand26m", root, split="test")
    result = evaluate(arrays, track="interhand26m", units="mm")
    for protocol, values in (("official", official), ("mmpose", pooled)):
        found = [result.score("MPJPE", s, protocol).value for s in SUBSETS]
        assert found == pytest.approx(values, abs=1e-4)
        assert result.score("MRRPE", "all", protocol).value == pytest.approx(mrrpe, abs=1e-4)
        accuracy = result.score("handedness accuracy", "all", protocol).value
        assert accuracy == pytest.approx(handedness)
    assert result.partial == "the annotations are a partial copy"
