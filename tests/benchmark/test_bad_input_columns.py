# ruff: noqa: E501, F811 (whole messages; fixtures of the other file)
"""Columns of predictions files: what is refused with which message, and what is read all the same."""

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.test_bad_input import (  # noqa: F401
    LISTS,
    changed,
    command,
    put,
    refused,
    scores,
    table,
    tiny,
)
from hand_bench.data import open_annotations
from hand_bench.tracks import DEMO

FLOAT = pa.float32()


def as_type(table: pa.Table, kind: pa.DataType, convert=lambda hand: hand) -> pa.Table:
    """Store the joints of both hands in another type."""
    for name in ("right_joints", "left_joints"):
        hands = [hand and convert(hand) for hand in table[name].to_pylist()]
        table = put(table, name, pa.array(hands, kind))
    return table


def nested(hand: list) -> list:
    return np.reshape(hand, (21, 3)).tolist()


def spread(table: pa.Table) -> pa.Table:
    """One column per number, as pandas users write them."""
    columns = {"sample_id": table["sample_id"]}
    for name in ("right_joints", "left_joints"):
        hands = [hand or [None] * 63 for hand in table[name].to_pylist()]
        columns |= {f"{name}_{k}": pa.array([h[k] for h in hands], FLOAT) for k in range(63)}
    return pa.table(columns)


def crops(table: pa.Table) -> pa.Table:
    """One row per hand."""
    rows = [
        (name, side, hand)
        for side in ("right", "left")
        for name, hand in zip(
            table["sample_id"].to_pylist(), table[f"{side}_joints"].to_pylist(), strict=True
        )
        if hand
    ]
    ids, sides, hands = ([row[k] for row in rows] for k in range(3))
    return pa.table({"sample_id": ids, "hand_side": sides, "joints": pa.array(hands, LISTS)})


def image_space(table: pa.Table) -> pa.Table:
    """2.5D rows: some pixels, and depths as in the joints."""
    columns = {"sample_id": table["sample_id"]}
    for side in ("right", "left"):
        hands = table[f"{side}_joints"].to_pylist()
        z = [hand and np.array(hand[2::3]) for hand in hands]
        uv = [hand and [v for k, v in enumerate(hand) if k % 3 < 2] for hand in hands]
        depth = [None if d is None else d - d[0] for d in z]
        columns[f"{side}_uv"] = pa.array(uv, pa.list_(FLOAT, 42))
        columns[f"{side}_depth"] = pa.array(depth, pa.list_(FLOAT, 21))
        columns[f"{side}_root_depth"] = pa.array([None if d is None else d[0] for d in z], FLOAT)
    return pa.table(columns)


# --- columns that are lacking ---------------------------------------------------------------------


def test_columns_of_another_file(refused):
    other = pa.table({"image": ["a.jpg"], "keypoints": [[1.0, 2.0]]})
    message = """\
HB110 preds.parquet: lacks columns 'sample_id', 'right_joints' and 'left_joints'. It has: image, keypoints.
      Another file, or an export under other names?
      `hand-bench template --track TRACK -o FILE` writes a file with the right columns.
"""
    assert refused(other) == message


def test_a_misspelt_side(refused, table):
    names = ["left_joint" if name == "left_joints" else name for name in table.column_names]
    message = """\
HB110 preds.parquet: lacks column 'left_joints'. It has: sample_id, right_joints, left_joint, right_score, left_score.
      Another file, or an export under other names?
      `hand-bench template --track TRACK -o FILE` writes a file with the right columns.
"""
    assert refused(table.rename_columns(names)) == message


def test_a_method_for_one_side_may_leave_out_the_other(scores, table):
    nulls = put(table, "left_joints", pa.nulls(len(table), LISTS))
    assert scores(table.drop_columns(["left_joints"])) == scores(nulls)


def test_a_column_that_is_there_twice(refused, table):
    message = """\
HB110 preds.parquet: has more than one column 'sample_id'.
      Keep one of them.
"""
    assert refused(table.append_column("sample_id", table["sample_id"])) == message


def test_separate_columns_of_which_some_are_lacking(refused, table):
    some = spread(table).drop_columns([f"left_joints_{k}" for k in range(60, 63)])
    message = """\
HB110 preds.parquet: lacks columns 'left_joints_60', 'left_joints_61' and 'left_joints_62'. It has: sample_id, right_joints_0, right_joints_1, right_joints_2, right_joints_3, right_joints_4, ....
      Another file, or an export under other names?
      `hand-bench template --track TRACK -o FILE` writes a file with the right columns.
"""
    assert refused(some) == message


def test_separate_columns_without_one_side(refused, table):
    some = spread(table).drop_columns([f"left_joints_{k}" for k in range(63)])
    message = """\
HB110 preds.parquet: lacks 63 columns (e.g. 'left_joints_0'). It has: sample_id, right_joints_0, right_joints_1, right_joints_2, right_joints_3, right_joints_4, ....
      Another file, or an export under other names?
      `hand-bench template --track TRACK -o FILE` writes a file with the right columns.
"""
    assert refused(some) == message


def test_2_5d_without_depths(refused, table):
    lacking = image_space(table).drop_columns(["right_depth", "left_depth", "left_root_depth"])
    message = """\
HB110 preds.parquet: lacks columns 'right_depth', 'left_depth' and 'left_root_depth'. It has: sample_id, right_uv, right_root_depth, left_uv.
      Another file, or an export under other names?
      `hand-bench template --track TRACK -o FILE` writes a file with the right columns.
"""
    assert refused(lacking) == message


# --- types and sizes of whole columns -------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "convert", "message"),
    [
        (pa.list_(pa.int32(), 63), np.rint, """\
HB111 preds.parquet: columns 'right_joints' and 'left_joints' hold lists of 63 whole numbers, not floating-point numbers.
      Joints that were rounded, or pixels?
      `hand_bench.write_predictions` writes the right types.
"""),
        (pa.list_(pa.string()), lambda hand: [str(v) for v in hand], """\
HB111 preds.parquet: columns 'right_joints' and 'left_joints' hold lists of texts, not floating-point numbers.
      Numbers that were written as text?
      `hand_bench.write_predictions` writes the right types.
"""),
        (pa.string(), str, """\
HB111 preds.parquet: columns 'right_joints' and 'left_joints' hold texts, not floating-point numbers.
      Numbers that were written as text?
      `hand_bench.write_predictions` writes the right types.
"""),
        (pa.binary(), lambda hand: np.float32(hand).tobytes(), """\
HB111 preds.parquet: columns 'right_joints' and 'left_joints' hold bytes, not floating-point numbers.
      Pickled arrays? They are never loaded.
      `hand_bench.write_predictions` writes the right types.
"""),
        (pa.binary(250), lambda hand: bytes(250), """\
HB111 preds.parquet: columns 'right_joints' and 'left_joints' hold bytes, not floating-point numbers.
      Pickled arrays? They are never loaded.
      `hand_bench.write_predictions` writes the right types.
"""),
        (pa.struct({"x": FLOAT}), lambda hand: {"x": hand[0]}, """\
HB111 preds.parquet: columns 'right_joints' and 'left_joints' hold records, not floating-point numbers.
      `hand_bench.write_predictions` writes the right types.
"""),
        (pa.list_(pa.decimal128(9, 3)), lambda hand: [Decimal(f"{v:.3f}") for v in hand], """\
HB111 preds.parquet: columns 'right_joints' and 'left_joints' hold lists of decimal numbers, not floating-point numbers.
      `hand_bench.write_predictions` writes the right types.
"""),
        (pa.list_(FLOAT, 60), lambda hand: hand[3:], """\
HB112 preds.parquet: columns 'right_joints' and 'left_joints' hold lists of 60 values, not lists of 63.
      Is the wrist lacking?
      `hand_bench.write_predictions` takes arrays (samples, 21, 3) and writes the right lists.
"""),
        (pa.list_(FLOAT, 126), lambda hand: hand * 2, """\
HB112 preds.parquet: columns 'right_joints' and 'left_joints' hold lists of 126 values, not lists of 63.
      Both hands in one list?
      `hand_bench.write_predictions` takes arrays (samples, 21, 3) and writes the right lists.
"""),
        (pa.list_(pa.list_(FLOAT, 2), 21), lambda hand: np.reshape(hand, (21, 3))[:, :2].tolist(), """\
HB112 preds.parquet: columns 'right_joints' and 'left_joints' hold lists of 42 values, not lists of 63.
      2D joints, without depth?
      `hand_bench.write_predictions` takes arrays (samples, 21, 3) and writes the right lists.
"""),
        (pa.float64(), lambda hand: hand[0], """\
HB112 preds.parquet: columns 'right_joints' and 'left_joints' hold single numbers, not lists of 63.
      `hand_bench.write_predictions` takes arrays (samples, 21, 3) and writes the right lists.
"""),
        (pa.binary(240), lambda hand: np.float32(hand[3:]).tobytes(), """\
HB112 preds.parquet: columns 'right_joints' and 'left_joints' hold lists of 60 values, not lists of 63.
      Is the wrist lacking?
      `hand_bench.write_predictions` takes arrays (samples, 21, 3) and writes the right lists.
"""),
    ],
    ids=["integers", "lists of texts", "texts", "bytes", "odd bytes", "records", "decimals", "no wrist",
         "both hands", "2D", "single numbers", "short bytes"],
)  # fmt: skip
def test_joints_of_another_type_or_size(refused, table, kind, convert, message):
    assert refused(as_type(table, kind, convert)) == message


def test_whole_numbers_in_separate_columns(refused, table):
    flat = spread(table)
    numbers = [flat["sample_id"], *(c.cast(pa.int64(), safe=False) for c in flat.columns[1:])]
    message = """\
HB111 preds.parquet: 126 columns (e.g. 'right_joints_0') hold whole numbers, not floating-point numbers.
      Joints that were rounded, or pixels?
      `hand_bench.write_predictions` writes the right types.
"""
    assert refused(pa.table(numbers, flat.column_names)) == message


def test_ids_that_are_numbers(refused, table):
    message = """\
HB111 preds.parquet: column 'sample_id' holds whole numbers.
      Row numbers instead of ids?
      `hand-bench template --track TRACK -o FILE` writes the ids, which are texts.
"""
    assert refused(put(table, "sample_id", pa.array(range(len(table))))) == message


def test_scores_that_are_texts(refused, table):
    message = """\
HB111 preds.parquet: column 'left_score' holds texts, not floating-point numbers.
      Numbers that were written as text?
      `hand_bench.write_predictions` writes the right types.
"""
    assert refused(put(table, "left_score", pa.array(["0.5"] * len(table)))) == message


# --- single rows ----------------------------------------------------------------------------------


def test_lists_of_varying_length(refused, table):
    hands = table["right_joints"].to_pylist()
    hands[1], hands[4], hands[5] = hands[1][:-3], [], hands[5] + [0.0]
    message = """\
HB112 preds.parquet: 3 lists of right_joints have the wrong length, e.g. in row 1 (test/Capture0/0000_fist/cam400012/311): 60 values, not 63.
      `hand_bench.write_predictions` writes lists of the right length.
"""
    assert refused(put(table, "right_joints", pa.array(hands, pa.list_(FLOAT)))) == message


def test_nested_lists_with_a_joint_too_few(refused, table):
    hands = [hand and nested(hand) for hand in table["left_joints"].to_pylist()]
    hands[12] = hands[12][:20]
    column = pa.array(hands, pa.list_(pa.list_(FLOAT)))
    message = """\
HB112 preds.parquet: 1 list of left_joints has the wrong length, in row 12 (test/Capture0/0001_fist/cam400012/431): 60 values, not 63.
      `hand_bench.write_predictions` writes lists of the right length.
"""
    assert refused(put(table, "left_joints", column)) == message


@pytest.mark.parametrize("kind", [LISTS, pa.list_(FLOAT), pa.large_list(pa.float64())], ids=str)
def test_nulls_inside_a_list(refused, table, kind):
    holes = changed(changed(table, "right_joints", 2, 7, None), "right_joints", 5, 0, None)
    message = """\
HB125 preds.parquet: 2 lists of right_joints have nulls inside, e.g. in row 2 (test/Capture0/0000_fist/cam400012/317).
      A hand that is not there is a null row, not nulls inside its list.
"""
    assert refused(as_type(holes, kind)) == message


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.list_(FLOAT)),
        pa.list_(pa.list_(FLOAT, 3), 21),
        pa.list_(pa.list_(FLOAT, 3)),
        pa.list_(pa.list_(FLOAT), 21),
    ],
    ids=str,
)
def test_a_joint_that_is_null(refused, table, kind):
    hands = [hand and nested(hand) for hand in table["right_joints"].to_pylist()]
    hands[3][8] = None
    hands[5] = [None] * 21
    message = """\
HB125 preds.parquet: 2 lists of right_joints have nulls inside, e.g. in row 3 (test/Capture0/0000_fist/cam400012/323).
      A hand that is not there is a null row, not nulls inside its list.
"""
    assert refused(put(table, "right_joints", pa.array(hands, kind))) == message


def test_crops_of_an_unknown_side(refused, table):
    one_per_hand = crops(table)
    sides = one_per_hand["hand_side"].to_pylist()
    sides[2], sides[9], sides[11] = "R", "Left", None
    one_per_hand = put(one_per_hand, "hand_side", pa.array(sides))
    message = """\
HB114 preds.parquet: 3 values of hand_side are neither 'right' nor 'left', e.g. in row 2 (test/Capture0/0000_fist/cam400012/317): 'R'.
      Write 'right' or 'left'.
"""
    assert refused(one_per_hand) == message


def test_a_crop_that_is_there_twice(refused, table):
    one_per_hand = crops(table)
    message = """\
HB106 preds.parquet: 2 samples occur more than once, e.g. test/Capture0/0000_fist/cam400012/323 in rows 3 and 58.
      Overlapping shards, or a sampler that pads the last batch?
      Keep one row per sample (or per sample and hand_side).
"""
    assert refused(pa.concat_tables([one_per_hand, one_per_hand.slice(3, 2)])) == message


def test_2_5d_depths_that_cannot_be_lifted(refused, table):
    depths = table["right_joints"].to_pylist()
    rows = image_space(table)
    root = rows["right_root_depth"].to_pylist()
    root[0], root[1], root[2], root[3], root[4], root[5] = 0.0, -700.0, np.nan, np.inf, None, 1e6
    relative = rows["right_depth"].to_pylist()
    relative[6][4] = -depths[6][2] - 5000
    rows = put(rows, "right_root_depth", pa.array(root, FLOAT))
    rows = put(rows, "right_depth", pa.array(relative, pa.list_(FLOAT, 21)))
    message = """\
HB115 preds.parquet: 1 right hand lacks its depth or root_depth (or has a depth alone), in row 4 (test/Capture0/0000_fist/cam400012/329).
      uv, depth and root_depth belong together: give all three, or null for an absent hand.
HB121 preds.parquet: 1 value of right_root_depth lies beyond 100 m (or 100,000 px), in row 5 (test/Capture0/0000_fist/cam410029/305): 1e+06.
      Pixels, an overflow, another unit or another column?
      Joints are in the camera frame, in the unit that the file declares (mm by default).
HB123 preds.parquet: 2 values of right_root_depth hold NaN or infinity, e.g. in row 2 (test/Capture0/0000_fist/cam400012/317).
      A division by zero in the network or in lifting?
      A hand that is not there is null as a whole.
HB126 preds.parquet: 3 right hands have a joint behind the camera, e.g. in row 0 (test/Capture0/0000_fist/cam400012/305): Z = -6.862.
      A depth relative to something else, or the wrong sign?
      root_depth is the wrist's Z in the camera frame, depth is relative to it, both in mm.
"""
    assert refused(rows) == message


# --- what is read all the same --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "convert"),
    [
        (pa.list_(FLOAT), list),
        (pa.large_list(FLOAT), list),
        (pa.list_(pa.float64()), list),
        (pa.list_(pa.float64(), 63), list),
        (pa.list_(pa.list_(FLOAT)), nested),
        (pa.list_(pa.list_(FLOAT, 3), 21), nested),
        (pa.list_(pa.list_(FLOAT), 21), nested),
        (pa.binary(252), lambda hand: np.float32(hand).tobytes()),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType) else "",
)
def test_lists_of_every_kind_give_the_same_scores(scores, table, kind, convert):
    assert scores(as_type(table, kind, convert)) == scores(table)


def test_tensors_give_the_same_scores(scores, table):
    kind = pa.fixed_shape_tensor(FLOAT, (21, 3))
    tensors = table
    for name in ("right_joints", "left_joints"):
        storage = table[name].combine_chunks().cast(kind.storage_type)
        tensors = put(tensors, name, pa.ExtensionArray.from_storage(kind, storage))
    assert scores(tensors) == scores(table)


def test_half_precision_is_read_as_it_is(scores, table):
    rounded = as_type(table, LISTS, lambda hand: np.float32(np.float16(hand)).tolist())
    assert scores(as_type(rounded, pa.list_(pa.float16(), 63), np.float16)) == scores(rounded)


def test_validation_says_that_double_precision_is_not_needed(command, table):
    pq.write_table(as_type(table, pa.list_(pa.float64(), 63)), "preds.parquet")
    code, _, err = command("validate", "preds.parquet", "--track", "demo")
    assert code == 0
    message = """\
note: column 'right_joints' and 1 more hold 64-bit numbers: read as 32-bit ones (written as those, the file has half the size)
note: no inputs are declared: the signature will say boxes and depth are undeclared
"""
    assert err == message


@pytest.mark.parametrize(
    "kind",
    [
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.uint16(), pa.large_string()),
    ],
    ids=str,
)
def test_ids_of_every_encoding_give_the_same_scores(scores, table, kind):
    ids = pa.array(table["sample_id"].to_pylist(), kind)
    assert scores(put(table, "sample_id", ids)) == scores(table)


def test_any_order_of_rows_gives_the_same_bytes(scores, table):
    order = np.random.default_rng(0).permutation(len(table))
    assert scores(table.take(order)) == scores(table)


def test_any_row_groups_give_the_same_bytes(scores, table):
    assert scores(table, row_group_size=7) == scores(table, row_group_size=len(table))


def test_separate_columns_give_the_same_scores(scores, table):
    plain = table.select(["sample_id", "right_joints", "left_joints"])
    assert scores(spread(plain)) == scores(plain)


def test_crops_give_the_same_scores(scores, table):
    plain = table.select(["sample_id", "right_joints", "left_joints"])
    one_per_hand = crops(plain)
    answered = pa.array(
        [name in one_per_hand["sample_id"].to_pylist() for name in plain["sample_id"].to_pylist()]
    )
    assert answered.true_count == len(plain)
    assert scores(one_per_hand) == scores(plain)


def test_one_row_group_of_many_good_rows(scores, table, tmp_path):
    """20,000 samples: more than are read at once."""
    truth = pq.read_table(open_annotations(DEMO).path)
    ids = pa.array(
        [f"{k:03}/{name}" for k in range(500) for name in table["sample_id"].to_pylist()]
    )
    pq.write_table(put(pa.concat_tables([truth] * 500), "sample_id", ids), "annotations.parquet")
    many = put(pa.concat_tables([table] * 500), "sample_id", ids)
    options = ("--annotations", "annotations.parquet")
    whole = scores(many, *options, row_group_size=len(many))
    assert whole == scores(many, *options, row_group_size=1000)
    assert json.loads(whole)[0]["value"] > 0
