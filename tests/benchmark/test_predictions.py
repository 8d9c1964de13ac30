"""Reading and writing predictions: round trips, every storage form, refused arrays."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hand_bench import SubmissionError, read_predictions, write_predictions

RNG = np.random.default_rng(0)
IDS = [f"test/Capture0/seq/cam1/{k}" for k in range(40)]
RIGHT = RNG.normal([0, 0, 900], 60, (40, 21, 3)).astype(np.float32)
LEFT = np.where((np.arange(40) % 3 == 0)[:, None, None], np.nan, RIGHT + 100).astype(np.float32)
ABSENT = np.isnan(LEFT).any(axis=(1, 2))


def stored(column: pa.Array) -> pa.Table:
    right = pa.FixedSizeListArray.from_arrays(pa.array(RIGHT.ravel()), 63)
    return pa.table({"sample_id": IDS, "right_joints": right, "left_joints": column})


def optional(values: np.ndarray) -> list:
    return [None if gone else v.tolist() for gone, v in zip(ABSENT, values, strict=True)]


FLAT = optional(LEFT.reshape(40, 63))
NESTED = optional(LEFT)
FORMS = {
    "list of float": pa.array(FLAT, pa.list_(pa.float32())),
    "large list of double": pa.array(FLAT, pa.large_list(pa.float64())),
    "nested lists of double": pa.array(NESTED),
    "fixed-size list": pa.array(FLAT, pa.list_(pa.float32(), 63)),
    "fixed-size list of double": pa.array(FLAT, pa.list_(pa.float64(), 63)),
    "nested fixed-size lists": pa.array(NESTED, pa.list_(pa.list_(pa.float32(), 3), 21)),
    "list of fixed-size lists": pa.array(NESTED, pa.list_(pa.list_(pa.float32(), 3))),
    "raw bytes": pa.array(
        [None if g else v.tobytes() for g, v in zip(ABSENT, LEFT, strict=True)], pa.binary(252)
    ),
}


def test_writing_takes_one_call_and_reads_back_the_same(tmp_path):
    write_predictions(tmp_path / "p.parquet", IDS, RIGHT, LEFT, track="demo", method="mine")
    found = read_predictions(tmp_path / "p.parquet")
    assert found.sample_id.tolist() == IDS
    assert np.array_equal(found.right_joints, RIGHT)
    assert np.array_equal(found.left_joints, LEFT, equal_nan=True)
    assert (found.declared.track, found.declared.method) == ("demo", "mine")


def test_scores_and_the_left_root_are_kept(tmp_path):
    score, root = RNG.random(40).astype(np.float32), RIGHT[:, 0]
    write_predictions(tmp_path / "p.parquet", IDS, RIGHT, right_score=score, left_root=root)
    found = read_predictions(tmp_path / "p.parquet")
    assert np.array_equal(found.right_score, score) and found.left_score is None
    assert np.array_equal(found.left_root, root)
    assert np.isnan(found.left_joints).all()


def test_the_file_has_the_canonical_types(tmp_path):
    write_predictions(tmp_path / "p.parquet", IDS, RIGHT, LEFT)
    schema = pq.read_schema(tmp_path / "p.parquet")
    assert str(schema.field("left_joints").type) == "fixed_size_list<element: float not null>[63]"
    assert pq.read_table(tmp_path / "p.parquet").column("left_joints").null_count == ABSENT.sum()


@pytest.mark.parametrize("form", FORMS)
def test_every_way_of_storing_joints_is_read(form, tmp_path):
    pq.write_table(stored(FORMS[form]), tmp_path / "p.parquet")
    found = read_predictions(tmp_path / "p.parquet")
    assert np.array_equal(found.left_joints, LEFT, equal_nan=True)


@pytest.mark.parametrize("form", FORMS)
def test_slices_of_a_column_are_read_at_their_offset(form):
    found = read_predictions(stored(FORMS[form]).slice(7, 20))
    assert np.array_equal(found.left_joints, LEFT[7:27], equal_nan=True)
    assert np.array_equal(found.right_joints, RIGHT[7:27])


def test_joints_may_be_spread_over_columns():
    columns = {
        f"{s}_joints_{k}": v.reshape(40, 63)[:, k]
        for s, v in (("right", RIGHT), ("left", LEFT))
        for k in range(63)
    }
    found = read_predictions(pa.table({"sample_id": IDS, **columns}))
    assert np.array_equal(found.left_joints, LEFT, equal_nan=True)


def test_a_data_frame_goes_there_and_back():
    written = read_predictions({"sample_id": IDS, "right_joints": RIGHT, "left_joints": LEFT})
    found = read_predictions(written.to_pandas())
    assert np.array_equal(found.left_joints, LEFT, equal_nan=True)


def test_a_data_frame_with_arrays_of_21_by_3_is_read():
    import pandas as pd

    frame = pd.DataFrame({"sample_id": IDS, "right_joints": list(RIGHT.astype(float))})
    frame["left_joints"] = [None if gone else v for gone, v in zip(ABSENT, LEFT, strict=True)]
    assert np.array_equal(read_predictions(frame).left_joints, LEFT, equal_nan=True)


def test_a_hugging_face_dataset_goes_there_and_back():
    written = read_predictions({"sample_id": IDS, "right_joints": RIGHT, "left_joints": LEFT})
    found = read_predictions(written.to_dataset())
    assert np.array_equal(found.left_joints, LEFT, equal_nan=True)


def test_arrays_of_another_shape_are_refused(tmp_path):
    with pytest.raises(
        SubmissionError, match=r"HB112 right_joints: shape \(40, 20, 3\) for 40 samples"
    ):
        write_predictions(tmp_path / "p.parquet", IDS, RIGHT[:, :20])
    assert not list(tmp_path.iterdir())


def test_a_hand_that_is_partly_nan_is_refused(tmp_path):
    broken = RIGHT.copy()
    broken[3, 5, 1] = np.inf
    with pytest.raises(SubmissionError, match=r"HB123 right_joints, row 3 \(test/.*/3\): 1 of 63"):
        write_predictions(tmp_path / "p.parquet", IDS, broken)


def test_an_unknown_declaration_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SubmissionError, match="HB113"):
        write_predictions(tmp_path / "p.parquet", IDS, RIGHT, units="inch")
    assert not list(tmp_path.iterdir())
