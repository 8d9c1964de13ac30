"""The evaluator: the same numbers whatever the layout, the order, the shards and the workers."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.conftest import as_arrays, as_float32
from hand_bench import Evaluator, Result, SubmissionError, TrackError, evaluate, write_predictions
from hand_bench.data import open_annotations
from hand_bench.declaration import Declaration
from hand_bench.geometry import camera_to_world, project
from hand_bench.joint_sets import convert
from hand_bench.predictions import open_predictions, predictions_table, read_predictions
from hand_bench.tracks import DEMO


@pytest.fixture
def arrays(world) -> dict:
    """Predictions in the order of the template."""
    order = open_annotations(DEMO).ids().to_pylist()
    predictions = as_float32(world.predictions(seed=4))
    return as_arrays({sample_id: predictions[sample_id] for sample_id in order})


@pytest.fixture
def expected(arrays) -> Result:
    return evaluate(arrays, track="demo", resamples=50)


def values(result: Result) -> dict:
    return {(s.metric, s.subset, s.protocol): s.value for s in result}


def same(found: Result, expected: Result, rel: float = 1e-9) -> bool:
    wanted = values(expected)
    return values(found) == {
        k: v if v is None else pytest.approx(v, rel=rel) for k, v in wanted.items()
    }


def shuffled(arrays: dict) -> dict:
    order = np.random.default_rng(0).permutation(len(arrays["sample_id"]))
    return {k: np.asarray(v)[order] for k, v in arrays.items()}


def test_any_order_of_rows_gives_the_same_bytes(arrays, expected):
    found = evaluate(shuffled(arrays), track="demo", resamples=50)
    assert found.to_json()["scores"] == expected.to_json()["scores"]


def test_any_number_of_workers_gives_the_same_bytes(arrays, tmp_path, monkeypatch):
    from hand_bench import annotations, pairing

    monkeypatch.setattr(annotations.Annotations.batches, "__defaults__", (100,))
    write_predictions(tmp_path / "p.parquet", **arrays)
    found = [
        evaluate(tmp_path / "p.parquet", track="demo", workers=w, resamples=50) for w in (1, 2, 5)
    ]
    assert pairing.BATCH != 100
    assert len({json.dumps(f.to_json()) for f in found}) == 1


def test_blocks_of_any_length_give_the_same_scores_acceleration_included(
    arrays, expected, monkeypatch
):
    from hand_bench import annotations

    monkeypatch.setattr(annotations.Annotations.batches, "__defaults__", (37,))
    assert same(evaluate(arrays, track="demo", resamples=50), expected)


def test_both_engines_give_the_same_scores(arrays):
    numpy, numba = (
        evaluate(arrays, track="demo", engine=e, resamples=50) for e in ("numpy", "numba")
    )
    assert same(numba, numpy, rel=1e-8)


@pytest.mark.parametrize("row_group", [7, 500, 10**6])
def test_row_groups_of_any_size_give_the_same_scores(arrays, expected, tmp_path, row_group):
    write_predictions(tmp_path / "p.parquet", **arrays)
    table = pq.read_table(tmp_path / "p.parquet")
    pq.write_table(table, tmp_path / "q.parquet", row_group_size=row_group)
    assert same(evaluate(tmp_path / "q.parquet", track="demo", resamples=50), expected)


def test_a_data_frame_and_a_dataset_give_the_same_scores(arrays, expected):
    held = read_predictions(arrays)
    for form in (held.to_pandas(), held.to_dataset(), held, held.to_table()):
        assert same(evaluate(form, track="demo", resamples=50), expected)


@pytest.mark.parametrize(("units", "factor"), [("m", 0.001), ("cm", 0.1)])
def test_other_units_are_converted_when_declared_or_stated(
    arrays, expected, tmp_path, units, factor
):
    for key in ("right_joints", "left_joints", "left_root"):
        arrays[key] = arrays[key] * factor
    write_predictions(tmp_path / "p.parquet", **arrays, units=units)
    assert same(evaluate(tmp_path / "p.parquet", track="demo", resamples=50), expected, rel=1e-4)
    assert same(evaluate(arrays, track="demo", units=units, resamples=50), expected, rel=1e-4)


def test_another_joint_order_is_converted(arrays, expected, tmp_path):
    for side in ("right", "left"):
        arrays[f"{side}_joints"] = convert(arrays[f"{side}_joints"], "openpose21", "mano21")
    write_predictions(tmp_path / "p.parquet", **arrays, joint_set="mano21")
    assert same(evaluate(tmp_path / "p.parquet", track="demo", resamples=50), expected)


def test_world_coordinates_are_brought_into_the_camera(arrays, expected, tmp_path):
    batch = next(open_annotations(DEMO).batches(["T_world_from_camera"], size=10**6))
    pose = batch["T_world_from_camera"]
    for side in ("right", "left"):
        arrays[f"{side}_joints"] = camera_to_world(arrays[f"{side}_joints"].astype(float), pose)
    arrays["left_root"] = np.einsum("nij,nj->ni", pose[:, :3, :3], arrays["left_root"])
    write_predictions(tmp_path / "p.parquet", **arrays, frame="world")
    assert same(evaluate(tmp_path / "p.parquet", track="demo", resamples=50), expected, rel=1e-4)


def test_root_relative_predictions_have_no_absolute_numbers(arrays, expected, tmp_path):
    for side in ("right", "left"):
        arrays[f"{side}_joints"] = arrays[f"{side}_joints"] - arrays[f"{side}_joints"][:, :1]
    write_predictions(tmp_path / "p.parquet", **arrays, frame="root-relative")
    found = evaluate(tmp_path / "p.parquet", track="demo", resamples=50)
    assert found.score("MEPE").value is None
    assert found.score("MPJPE").value == pytest.approx(expected.score("MPJPE").value, rel=1e-5)
    assert found.score("MRRPE").value == pytest.approx(expected.score("MRRPE").value, rel=1e-5)


def crops(arrays: dict, **columns) -> pa.Table:
    ids = np.array(arrays["sample_id"])
    rows: dict[str, list] = {"sample_id": [], "hand_side": [], "joints": [], "score": []}
    for side in ("left", "right"):
        keep = ~np.isnan(arrays[f"{side}_joints"]).any(axis=(1, 2))
        rows["sample_id"] += ids[keep].tolist()
        rows["hand_side"] += [side] * int(keep.sum())
        rows["joints"] += list(arrays[f"{side}_joints"][keep].reshape(-1, 63))
        rows["score"] += arrays[f"{side}_score"][keep].tolist()
    return pa.table(rows)


def test_rows_per_crop_are_merged(arrays, expected):
    found = evaluate(crops(arrays), track="demo", resamples=50)
    for subset in ("SH", "IH", "all"):
        for metric in ("MPJPE", "PA-MPJPE", "AUC(0-50)", "acceleration error", "MEPE"):
            assert found.score(metric, subset).value == expected.score(metric, subset).value
    assert found.coverage["missing"] == 0


def test_2_5d_rows_are_lifted_as_the_official_scorer_does(arrays, expected):
    batch = next(open_annotations(DEMO).batches(["K"], size=10**6))
    table: dict = {"sample_id": arrays["sample_id"]}
    for side in ("right", "left"):
        joints = arrays[f"{side}_joints"].astype(float)
        gone = np.isnan(joints).any(axis=(1, 2))
        uv = project(np.where(gone[:, None, None], 1.0, joints), batch["K"]).reshape(-1, 42)
        columns = {
            "uv": uv,
            "depth": joints[..., 2] - joints[:, :1, 2],
            "root_depth": joints[:, 0, 2],
        }
        for name, v in columns.items():
            table[f"{side}_{name}"] = [
                None if g else x for g, x in zip(gone, v.tolist(), strict=True)
            ]
    delta = arrays["left_joints"][:, 0, 2] - arrays["right_joints"][:, 0, 2] + 12.0
    table["relative_root_depth"] = [None if np.isnan(d) else d for d in delta]
    found = evaluate(pa.table(table), track="demo", resamples=50)
    for metric in ("MPJPE", "PA-MPJPE", "MEPE"):
        wanted = expected.score(metric).value
        assert found.score(metric).value == pytest.approx(wanted, rel=1e-4)
    # The relative root depth is 12 mm off: MRRPE takes it, MPJPE does not see it.
    assert found.score("MRRPE").value > 12


def test_shards_scored_apart_merge_to_the_same_scores(arrays, expected):
    half = len(arrays["sample_id"]) // 2
    first, second = (Evaluator("demo", resamples=50) for _ in range(2))
    for k, evaluator in enumerate((first, second)):
        part = slice(k * half, None if k else half)
        evaluator.update({key: v[part] for key, v in arrays.items()})
    merged = first.merge(second).scores()
    for metric in ("MPJPE", "PA-MPJPE", "AUC(0-50)", "MRRPE", "hand AP"):
        assert merged.score(metric).value == pytest.approx(expected.score(metric).value, rel=1e-9)
    assert merged.coverage["missing"] == 0


def test_a_training_loop_updates_in_batches_of_any_order(arrays, expected):
    evaluator = Evaluator("demo", resamples=50)
    mixed = shuffled(arrays)
    for start in range(0, len(mixed["sample_id"]), 200):
        evaluator.update({k: v[start : start + 200] for k, v in mixed.items()})
    found = evaluator.scores()
    assert found.score("MPJPE").value == pytest.approx(expected.score("MPJPE").value, rel=1e-9)
    assert found.partial == ""


def test_acceleration_of_batches_counts_only_neighbouring_rows(arrays, expected):
    """Batches collected together give every triple; scattered rows alone give no wrong one."""
    together, apart = Evaluator("demo", resamples=0), Evaluator("demo", resamples=0)
    for start in range(3):
        scattered = {k: np.asarray(v)[start::3] for k, v in arrays.items()}
        together.update(scattered)
        assert apart.update(scattered).scores().score("acceleration error").n == 0
    wanted = expected.score("acceleration error")
    found = together.scores().score("acceleration error")
    assert (found.value, found.n) == (pytest.approx(wanted.value, rel=1e-9), wanted.n)


def test_crops_of_one_sample_may_come_in_two_batches(arrays, expected):
    table, evaluator = crops(arrays), Evaluator("demo", resamples=0)
    half = len(table) // 2
    evaluator.update(table.slice(0, half)).update(table.slice(half))
    assert evaluator.scores().score("MPJPE").value == expected.score("MPJPE").value
    with pytest.raises(SubmissionError, match="HB106 predictions: 1 sample was given before"):
        evaluator.update(table.slice(0, 1))


def test_a_sample_given_twice_to_an_evaluator_is_refused(arrays):
    evaluator = Evaluator("demo")
    batch = {k: v[:5] for k, v in arrays.items()}
    evaluator.update(batch)
    with pytest.raises(SubmissionError, match="HB106 arrays: 5 samples were given before"):
        evaluator.update(batch)


def test_some_sequences_or_the_first_samples_are_marked_partial(arrays):
    some = evaluate(arrays, track="demo", sequences=["Capture1/*"], resamples=50)
    assert some.partial == "sequences Capture1/*"
    assert 0 < some.coverage["expected"] < len(arrays["sample_id"])
    first = evaluate(arrays, track="demo", limit=10, resamples=50)
    assert first.partial == "the first 10 samples" and first.coverage["expected"] == 10


def test_a_selection_without_samples_is_an_error(arrays):
    with pytest.raises(TrackError, match="HB302 no sequence matches nothing"):
        evaluate(arrays, track="demo", sequences=["nothing"])


def test_missing_samples_can_be_allowed_and_then_fail_every_threshold(arrays, expected):
    part = {k: v[:-100] for k, v in arrays.items()}
    found = evaluate(part, track="demo", allow_missing=True, resamples=50)
    assert found.partial == "100 samples have no prediction"
    assert found.coverage["missing"] == 100
    assert found.score("AUC(0-50)").value < expected.score("AUC(0-50)").value
    assert found.score("hand recall").value < 1
    assert found.score("MPJPE", "all", "official").value is not None


def test_one_protocol_alone_gives_the_same_numbers(arrays, expected):
    found = evaluate(arrays, track="demo", protocol="official", resamples=50)
    assert {s.protocol for s in found} == {"official"}
    assert found.score("MPJPE", "IH", "official") == expected.score("MPJPE", "IH", "official")
    with pytest.raises(TrackError, match=r"HB301 there is no protocol of demo 'mmpos'"):
        evaluate(arrays, track="demo", protocol="mmpos")


def test_signatures_name_what_numbers_must_share(arrays, tmp_path):
    write_predictions(tmp_path / "p.parquet", **arrays, inputs=["boxes:standard", "root_depth:gt"])
    found = evaluate(tmp_path / "p.parquet", track="demo", resamples=0)
    assert found.score("MPJPE", "IH", "official").signature == (
        "MPJPE|align:wrist|joints:21+wrist|mean:joint,sample|subset:IH|boxes:standard|depth:gt"
        "|missing:error|v1"
    )
    assert len({s.signature for s in found if s.metric == "MPJPE" and s.subset == "IH"}) == 3


def test_intervals_contain_the_value_and_shrink_with_less_noise(world):
    wide, narrow = (
        evaluate(as_arrays(world.predictions(seed=6, noise=n)), track="demo").score("MPJPE")
        for n in (30.0, 3.0)
    )
    for score in (wide, narrow):
        assert score.ci95[0] < score.value < score.ci95[1]
    assert narrow.ci95[1] - narrow.ci95[0] < wide.ci95[1] - wide.ci95[0]


def test_the_errors_file_repeats_the_scores(arrays, expected, tmp_path):
    evaluate(arrays, track="demo", errors=tmp_path / "e.parquet", resamples=0)
    table = pq.read_table(tmp_path / "e.parquet")
    for column, metric in (("mpjpe", "MPJPE"), ("pa_mpjpe", "PA-MPJPE"), ("mepe", "MEPE")):
        both = np.concatenate([table.column(f"{s}_{column}").to_numpy() for s in ("right", "left")])
        assert np.nanmean(both.astype(float)) == pytest.approx(
            expected.score(metric).value, rel=1e-6
        )
    weights = np.concatenate([table.column(f"{s}_joints").to_numpy() for s in ("right", "left")])
    auc = np.concatenate([table.column(f"{s}_auc").to_numpy() for s in ("right", "left")])
    found = np.nansum(auc * weights) / weights.sum()
    assert found == pytest.approx(expected.score("AUC(0-50)").value, rel=1e-6)


def test_a_result_saved_and_loaded_is_the_same(expected, tmp_path):
    expected.save(tmp_path / "r.json")
    assert Result.load(tmp_path / "r.json").to_json() == expected.to_json()
    keys = {"track", "predictions", "annotations", "coverage", "scores", "hand_bench_version"}
    assert keys <= set(expected.to_json())


def test_perfect_predictions_score_perfectly(world):
    found = evaluate(as_arrays(world.predictions(noise=0.0)), track="demo", resamples=0)
    assert found.score("MPJPE", "all", "official").value < 1e-4
    assert found.score("PA-MPJPE").value < 1e-4
    assert found.score("AUC(0-50)").value > 0.989  # 32-bit truth: some joints miss threshold 0


def test_another_tracks_file_is_refused(arrays, tmp_path):
    write_predictions(tmp_path / "p.parquet", **arrays, track="interhand26m")
    with pytest.raises(
        SubmissionError, match=r"HB113 p\.parquet: was written for track 'interhand26m'"
    ):
        evaluate(tmp_path / "p.parquet", track="demo")


def test_crops_that_come_far_apart_score_as_when_they_come_together(world, monkeypatch):
    arrays = as_arrays(as_float32(world.predictions(seed=4)))
    rows = []
    for side in ("right", "left"):
        for k, name in enumerate(arrays["sample_id"]):
            joints = arrays[f"{side}_joints"][k]
            if not np.isnan(joints).any():
                rows.append((name, side, joints.ravel()))

    def crops(part):
        ids, sides, joints = zip(*part, strict=True)
        return pa.table({"sample_id": list(ids), "hand_side": list(sides), "joints": list(joints)})

    together = Evaluator(DEMO, resamples=0).update(crops(rows)).scores()
    monkeypatch.setattr("hand_bench.evaluator.COLLECTED", 64)
    apart = Evaluator(DEMO, resamples=0)
    for start in range(0, len(rows), 50):  # all right hands come before all left ones
        apart.update(crops(rows[start : start + 50]))
    found = apart.scores()
    for one, other in zip(together, found, strict=True):
        if one.metric != "acceleration error":  # neighbours must come together
            assert (one.metric, one.value) == (other.metric, pytest.approx(other.value, rel=1e-9))


def test_evaluators_of_different_methods_or_selections_do_not_merge(world):
    arrays = as_arrays(as_float32(world.predictions(seed=4)))
    half, rest = ({n: v[part] for n, v in arrays.items()} for part in (slice(40), slice(40, 80)))
    relative = predictions_table(**rest, declared=Declaration(frame="root-relative"))
    one = Evaluator(DEMO, resamples=0).update(half)
    with pytest.raises(SubmissionError, match=r"HB113 .*declares frame 'root-relative'"):
        Evaluator(DEMO, resamples=0).update(half).update(relative)
    with pytest.raises(SubmissionError, match="HB113 shards: are of different tracks or select"):
        one.merge(Evaluator(DEMO, limit=10))
    before = one.scores().primary.value
    assert one.merge(Evaluator(DEMO)).scores().primary.value == before


def test_an_evaluator_with_a_whole_file_is_not_merged(world, tmp_path):
    path = tmp_path / "preds.parquet"
    write_predictions(path, **as_arrays(as_float32(world.predictions())), track="demo")
    whole = Evaluator(DEMO, resamples=0)
    whole.score_file(open_predictions(path))
    with pytest.raises(SubmissionError, match="HB113 shards: hold a whole file"):
        whole.merge(Evaluator(DEMO))
