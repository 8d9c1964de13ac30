"""Predictions with meshes: MPVPE by hand, what it does not touch, what is refused and noted."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.official.mano import make_hand, write_npz
from hand_bench import Evaluator, SubmissionError, evaluate, read_predictions, write_predictions
from hand_bench import annotations as annotations_module
from hand_bench.formats.conversion import convert as convert_file
from hand_bench.geometry import camera_to_world
from hand_bench.hand_model import rotmat_to_rotvec, rotvec_to_rotmat
from hand_bench.joint_sets import HAND_SIDES, convert
from hand_bench.meshes import Meshes, Parameters
from hand_bench.sim.hand import models
from hand_bench.validation import validate

ROWS = 24
TRACK = "handsim-arctic-ego"


def parameters(seed: int = 0) -> dict[str, np.ndarray]:
    """MANO's parameters of hands before a camera."""
    rng = np.random.default_rng(seed)
    place = rng.normal([0, 0, 600], 60, (2, ROWS, 3))
    parts = (rng.normal(0, 0.4, (2, ROWS, 48)), rng.normal(0, 0.5, (2, ROWS, 10)), place)
    mano = np.concatenate(parts, axis=2).astype(np.float32)
    return {f"{side}_mano": mano[k] for k, side in enumerate(HAND_SIDES)}


def joints_of(mano: dict[str, np.ndarray], of=None) -> dict[str, np.ndarray]:
    """The joints of both hands."""
    made = {}
    for side, model in zip(HAND_SIDES, of or models(), strict=True):
        values = mano[f"{side}_mano"].astype(float)
        joints = model.joints(rotvec=values[:, :48].reshape(-1, 16, 3), betas=values[:, 48:58],
                              translation=values[:, 58:], flat_hand_mean=True)  # fmt: skip
        made[f"{side}_joints"] = convert(joints, "mano21", "openpose21").astype(np.float32)
    return made


@pytest.fixture(scope="module")
def truth() -> dict:
    mano = parameters()
    return {"sample_id": [f"val/s/{k:03d}" for k in range(ROWS)], **mano, **joints_of(mano)}


@pytest.fixture
def write(tmp_path, truth):
    """Write annotations of the rows, with parameters or without."""

    def put(*, meshes: bool = True):
        every = np.ones((ROWS, 21), bool)
        pose = np.tile(np.eye(4), (ROWS, 1, 1))
        pose[:, :3, :3] = rotvec_to_rotmat(np.random.default_rng(5).normal(0, 1, (ROWS, 3)))
        columns = {
            **{n: v for n, v in truth.items() if meshes or not n.endswith("_mano")},
            **{f"{s}_{n}": every for s in HAND_SIDES for n in ("valid", "in_view")},
            "sequence": [f"s{k // 4}" for k in range(ROWS)],
            "action": ["grab"] * ROWS,
            "hand_type": ["interacting"] * ROWS,
            "hand_type_valid": np.ones(ROWS, bool),
            "T_world_from_camera": pose,
        }
        annotations_module.write(tmp_path / "annotations.parquet", columns)
        return tmp_path / "annotations.parquet"

    return put


@pytest.fixture
def score(write):
    def run(preds, **options):
        return evaluate(preds, track=TRACK, annotations=write(), resamples=0, **options)

    return run


def rows_of(result) -> list[tuple]:
    return [(s.metric, s.subset, s.protocol, s.value, s.signature) for s in result]


def test_vertices_are_seen_from_the_wrist_whatever_the_translation(truth):
    meshes = Meshes.of("handsim-arctic")
    moved = truth["left_mano"] + np.where(np.arange(61) >= 58, 40, 0).astype(np.float32)
    found = meshes.vertices(1, truth["left_mano"])
    values = truth["left_mano"].astype(float)
    posed = models()[1].vertices(rotvec=values[:, :48].reshape(-1, 16, 3), betas=values[:, 48:58],
                                 translation=values[:, 58:], flat_hand_mean=True)  # fmt: skip
    assert np.allclose(found, posed - truth["left_joints"][:, :1], atol=1e-3)
    assert np.array_equal(found, meshes.vertices(1, moved))


def test_the_truth_has_no_error_and_a_translation_is_none(score, truth):
    moved = {n: v + 30 * (np.arange(61) >= 58) for n, v in truth.items() if n.endswith("_mano")}
    for preds in (truth, truth | moved):
        found = score(preds)
        assert [s.value for s in found if s.metric == "MPVPE"] == [0, 0, 0]
        assert found.score("MPVPE").n == 2 * ROWS


def test_it_is_the_mean_over_vertices_then_over_hands(score, truth):
    other = parameters(seed=1)
    found = score(truth | other)
    meshes, means = Meshes.of("handsim-arctic"), []
    for k, side in enumerate(HAND_SIDES):
        pred = meshes.vertices(k, other[f"{side}_mano"])
        gt = meshes.vertices(k, truth[f"{side}_mano"])
        means.append(np.linalg.norm(pred - gt, axis=2).mean(axis=1))
        one = found.score("MPVPE", side)
        assert one.value == pytest.approx(means[k].mean()) and one.n == ROWS
    whole = found.score("MPVPE")
    assert whole.value == pytest.approx(np.mean(means)) and whole.unit == "mm"
    assert "align:wrist|vertices:handsim|mean:hand" in whole.signature


def test_nothing_else_changes(score, truth):
    bent = np.float32(3) * (np.arange(21) % 2)[:, None]
    preds = {n: v + bent if n.endswith("joints") else v for n, v in truth.items()}
    without = score({n: v for n, v in preds.items() if not n.endswith("_mano")})
    found = score(preds)
    assert [row for row in rows_of(found) if row[0] != "MPVPE"] == rows_of(without)
    assert len(found.scores) == len(without.scores) + 3
    assert found.details == without.details and found.notes == without.notes


def test_order_workers_engines_and_batches_do_not_matter(score, write, truth, tmp_path):
    preds = truth | parameters(seed=1)
    expected = rows_of(score(preds))
    order = np.random.default_rng(0).permutation(ROWS)
    shuffled = {n: np.asarray(v)[order] for n, v in preds.items()}
    assert rows_of(score(shuffled)) == rows_of(score(preds, workers=3)) == expected
    evaluator = Evaluator(TRACK, write(), resamples=0)
    for start in (0, 8, 16):
        evaluator.update({n: v[start : start + 8] for n, v in shuffled.items()})
    found = {row[:3]: row[3] for row in rows_of(evaluator.scores())}
    assert found["MPVPE", "all", "recommended"] == pytest.approx(
        {row[:3]: row[3] for row in expected}["MPVPE", "all", "recommended"]
    )


def test_shards_are_merged_and_must_be_alike(write, truth):
    preds, path = truth | parameters(seed=1), write()
    halves = [{n: v[part] for n, v in preds.items()} for part in (slice(0, 12), slice(12, None))]
    one, other = (Evaluator(TRACK, path, resamples=0).update(half) for half in halves)
    whole = evaluate(preds, track=TRACK, annotations=path, resamples=0)
    assert one.merge(other).scores().score("MPVPE").value == whole.score("MPVPE").value
    bare = {n: v for n, v in halves[1].items() if not n.endswith("_mano")}
    with pytest.raises(SubmissionError, match=r"HB113 .*has no MANO parameters, batches before it"):
        Evaluator(TRACK, path).update(halves[0]).update(bare)
    with pytest.raises(SubmissionError, match=r"HB113 .*batches before it have none"):
        Evaluator(TRACK, path).update(bare).merge(Evaluator(TRACK, path).update(halves[0]))


def test_meshes_in_the_world_frame_are_turned_into_the_cameras(write, truth, score):
    path = write()
    (batch,) = annotations_module.Annotations.open(path).batches(["T_world_from_camera"])
    pose = batch["T_world_from_camera"]
    other = parameters(seed=1)
    preds = {"sample_id": truth["sample_id"]}
    for side in HAND_SIDES:
        joints, mano = truth[f"{side}_joints"].astype(float), other[f"{side}_mano"].copy()
        turned = pose[:, :3, :3] @ rotvec_to_rotmat(mano[:, :3])
        mano[:, :3] = rotmat_to_rotvec(turned)
        preds |= {f"{side}_joints": camera_to_world(joints, pose), f"{side}_mano": mano}
    found = evaluate(preds, track=TRACK, annotations=path, frame="world", resamples=0)
    expected = score(truth | other).score("MPVPE").value
    assert found.score("MPVPE").value == pytest.approx(expected, rel=1e-5)


def test_hands_without_a_mesh_cannot_be_left_out(score, truth):
    some = np.where(np.arange(ROWS)[:, None] % 3 == 0, np.nan, truth["right_mano"])
    found = score(truth | {"right_mano": some})
    assert found.score("MPVPE").value is None and found.score("MPVPE", "left").value == 0
    assert found.score("MPVPE").note == "8 answered hands have no MANO parameters"
    assert any("recommended MPVPE all" in note for note in found.notes)
    absent = np.where((np.arange(ROWS) % 3 == 0)[:, None, None], np.nan, truth["right_joints"])
    fewer = score(truth | {"right_mano": some, "right_joints": absent})
    assert fewer.score("MPVPE").value == 0 and fewer.score("MPVPE").n == 40


def test_annotations_without_parameters_give_a_note_and_no_number(write, truth):
    found = evaluate(truth, track=TRACK, annotations=write(meshes=False), resamples=0)
    assert "MPVPE" not in {s.metric for s in found}
    assert "no answered hand has MANO parameters in the annotations" in found.notes[0]


def test_without_the_licensed_files_there_is_a_note(write, truth, tmp_path, monkeypatch):
    monkeypatch.setenv("HAND_BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HAND_BENCH_MANO", raising=False)
    found = evaluate(truth, track="arctic-ego", annotations=write(), resamples=0)
    assert "MPVPE" not in {s.metric for s in found}
    assert "MANO's licensed files are not on this machine" in found.notes[0]
    for name, side in zip(("MANO_RIGHT", "MANO_LEFT"), HAND_SIDES, strict=True):
        write_npz(tmp_path / "home" / "mano" / f"{name}.npz", make_hand(778, side=side))
    other = truth | parameters(seed=1)
    found = evaluate(other, track="arctic-ego", annotations=write(), resamples=0).score("MPVPE")
    meshes = Meshes.of("arctic")
    assert not meshes.flat_hand_mean and "vertices:mano" in found.signature
    errors = [
        meshes.errors(k, Parameters(other[f"{s}_mano"], truth[f"{s}_mano"]))
        for k, s in enumerate(HAND_SIDES)
    ]
    assert found.value == pytest.approx(np.mean(errors))


def test_parameters_are_written_kept_and_read(truth, tmp_path, write):
    right = np.where(np.arange(ROWS)[:, None] == 3, np.nan, truth["right_mano"])
    write_predictions(tmp_path / "p.parquet", **truth | {"right_mano": right}, track=TRACK)
    schema = pq.read_schema(tmp_path / "p.parquet")
    assert str(schema.field("left_mano").type) == "fixed_size_list<element: float not null>[61]"
    read = read_predictions(tmp_path / "p.parquet")
    assert np.array_equal(read.right_mano, right.astype(np.float32), equal_nan=True)
    assert np.array_equal(read_predictions(read.to_table()).left_mano, truth["left_mano"])
    note = validate(tmp_path / "p.parquet", track=TRACK, annotations=write()).notes
    assert not any("not read" in text for text in note)
    options = {"track": TRACK, "annotations": write()}
    convert_file(tmp_path / "p.parquet", tmp_path / "p.npz", to_format="npz", **options)
    convert_file(tmp_path / "p.npz", tmp_path / "q.parquet", **options)
    assert np.array_equal(
        read_predictions(tmp_path / "q.parquet").right_mano, read.right_mano, equal_nan=True
    )


def test_bad_parameters_are_refused(truth, tmp_path, write):
    with pytest.raises(SubmissionError, match=r"HB112 .*right_mano"):
        write_predictions(tmp_path / "p.parquet", **truth | {"right_mano": np.zeros((ROWS, 58))})
    broken = truth["left_mano"].copy()
    broken[5, 7] = np.nan
    with pytest.raises(SubmissionError, match=r"HB123 .*left_mano, row 5 .*1 of 61 values"):
        write_predictions(tmp_path / "p.parquet", **truth | {"left_mano": broken})
    write_predictions(tmp_path / "p.parquet", **truth, track=TRACK)
    table, path = pq.read_table(tmp_path / "p.parquet"), write()
    at = table.schema.get_field_index("left_mano")
    for values, expected in (
        (broken, r"HB123 .*1 value of left_mano holds NaN or infinity.*1 of 61 numbers"),
        (truth["left_mano"] * 1e6, r"HB121 .*24 values of left_mano lie beyond"),
        (truth["left_mano"][:, :58], r"HB112 .*column 'left_mano' .*58 values, not lists of 61"),
    ):
        column = pa.array(values.tolist(), pa.list_(pa.float32(), values.shape[1]))
        with pytest.raises(SubmissionError, match=expected):
            validate(table.set_column(at, "left_mano", column), track=TRACK, annotations=path)
        with pytest.raises(SubmissionError, match=expected):
            evaluate(table.set_column(at, "left_mano", column), track=TRACK, annotations=path)
