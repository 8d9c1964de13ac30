# ruff: noqa: E501 (whole messages)
"""Bad predictions files: whole messages, exit code 1, no traceback, nothing half-written."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hand_bench import data
from hand_bench.cli import main
from hand_bench.demo import read_truth
from hand_bench.predictions import predictions_table
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m
from hand_bench.tracks import DEMO

WORLD = SkeletonWorld(captures=1, sequences=4, cameras=2, frames=5)
LISTS = pa.list_(pa.float32(), 63)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A data folder with a prepared track of 40 samples in 4 sequences."""
    root, home = tmp_path_factory.mktemp("official"), tmp_path_factory.mktemp("home")
    write_interhand26m(root, WORLD, images="none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(home))
        data.prepare("demo", root, split="test")
    return home


@pytest.fixture
def table(tiny, tmp_path, monkeypatch) -> pa.Table:
    """Good predictions in order, null where there is no hand; the working folder is empty."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(tiny))
    monkeypatch.chdir(tmp_path)
    truth = read_truth(DEMO)
    noise = np.random.default_rng(0).normal(0, 5, truth.joints.shape)
    joints = np.where(truth.present[..., None, None], truth.joints + noise, np.nan)
    score = truth.present * 0.5 + 0.25
    return predictions_table(
        truth.sample_id, joints[:, 0], joints[:, 1], right_score=score[:, 0], left_score=score[:, 1]
    )


@pytest.fixture
def command(table, capsys) -> Callable:
    """Run a command in process; gives exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(list(arguments))
        except SystemExit as exit:
            code = exit.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(command) -> Callable:
    """What `evaluate` and `validate` say of a bad file: the same, and nothing else happens."""

    def run(preds: pa.Table | str, **storage) -> str:
        if isinstance(preds, pa.Table):
            pq.write_table(preds, "preds.parquet", **storage)
            preds = "preds.parquet"
        before = sorted(Path().rglob("*"))
        results = ["-o", "result.json", "--errors", "errors.parquet"]
        found = command("evaluate", preds, "--track", "demo", *results)
        assert found == command("validate", preds, "--track", "demo")
        assert found[:2] == (1, "")
        assert sorted(Path().rglob("*")) == before
        return found[2]

    return run


@pytest.fixture
def scores(command) -> Callable:
    """Scores of a file that is accepted, as JSON text."""

    def run(preds: pa.Table | str, *options: str, **storage) -> str:
        if isinstance(preds, pa.Table):
            pq.write_table(preds, "preds.parquet", **storage)
            preds = "preds.parquet"
        asked = ("--track", "demo", *options)
        assert command("validate", preds, *asked)[0] == 0
        code, out, err = command("evaluate", preds, *asked, "--json", "--resamples", "20")
        assert (code, err) == (0, "")
        return json.dumps(json.loads(out)["scores"])

    return run


def put(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    """Replace a column, or add it."""
    if name not in table.column_names:
        return table.append_column(name, column)
    return table.set_column(table.column_names.index(name), name, column)


def changed(table: pa.Table, name: str, row: int, index: int, value: float | None) -> pa.Table:
    """Change one number of one hand."""
    hands = table[name].to_pylist()
    hands[row][index] = value
    return put(table, name, pa.array(hands, LISTS))


def scaled(table: pa.Table, factor: float) -> pa.Table:
    """Give the joints in another unit."""
    for name in ("right_joints", "left_joints"):
        hands = [hand and [factor * v for v in hand] for hand in table[name].to_pylist()]
        table = put(table, name, pa.array(hands, LISTS))
    return table


def metadata(table: pa.Table, **declared: str) -> pa.Table:
    """Change what the file declares about itself."""
    known = {k.decode(): v for k, v in (table.schema.metadata or {}).items()}
    return table.replace_schema_metadata(known | declared)


# --- files that are no predictions files ----------------------------------------------------------


def test_a_file_that_does_not_exist(refused):
    message = """\
HB101 nowhere/preds.parquet: does not exist.
      `hand-bench template --track TRACK -o FILE` writes a file to fill in.
"""
    assert refused("nowhere/preds.parquet") == message


def test_a_folder(refused):
    Path("preds.parquet").mkdir()
    message = """\
HB101 preds.parquet: is a folder, not a file.
      Give the Parquet file inside it.
"""
    assert refused("preds.parquet") == message


def test_a_folder_of_shards(refused, table):
    Path("shards").mkdir()
    for k in range(3):
        pq.write_table(table, f"shards/part-{k}.parquet")
    message = """\
HB101 shards: is a folder with 3 Parquet files, e.g. part-0.parquet.
      `pandas.read_parquet(FOLDER).to_parquet(FILE)` joins them.
"""
    assert refused("shards") == message


def test_a_pipe_is_not_waited_for(refused):
    os.mkfifo("preds.parquet")
    message = """\
HB101 preds.parquet: cannot be opened (not a regular file).
"""
    assert refused("preds.parquet") == message


def test_an_empty_file(refused):
    Path("preds.parquet").write_bytes(b"")
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it is empty (0 bytes).
      Was it written to its end? `hand_bench.write_predictions` or `pandas.DataFrame.to_parquet` writes one.
"""
    assert refused("preds.parquet") == message


def test_a_file_that_was_cut_off(refused, table):
    pq.write_table(table, "preds.parquet", compression="none")
    whole = Path("preds.parquet").read_bytes()
    Path("preds.parquet").write_bytes(whole[: len(whole) // 2])
    found = refused("preds.parquet").replace(f"{len(whole) // 2:,}", "HALF")
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it begins as one, but its end is missing (HALF bytes).
      Copy it again, and compare both copies with `sha256sum`.
"""
    assert found == message


def test_a_file_whose_footer_was_overwritten(refused, table):
    pq.write_table(table, "preds.parquet", compression="none")
    whole = Path("preds.parquet").read_bytes()
    Path("preds.parquet").write_bytes(whole[:-1500] + bytes(1492) + whole[-8:])
    found = refused("preds.parquet").replace(f"{len(whole):,}", "SIZE")
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it begins and ends as one, but its footer is damaged (SIZE bytes).
      Copy it again, and compare both copies with `sha256sum`.
"""
    assert found == message


def test_a_file_whose_data_were_overwritten(refused, table):
    """The footer is whole: only reading the rows shows the damage."""
    pq.write_table(table, "preds.parquet", compression="zstd", use_dictionary=False)
    start = pq.read_metadata("preds.parquet").row_group(0).column(1).data_page_offset
    whole = bytearray(Path("preds.parquet").read_bytes())
    whole[start : start + 2000] = bytes(2000)
    Path("preds.parquet").write_bytes(whole)
    message = """\
HB102 preds.parquet: is damaged: reading stops after 0 of its 40 rows.
      Bytes that were lost or overwritten when it was copied?
      Copy it again, and compare both copies with `sha256sum`.
"""
    assert refused("preds.parquet") == message


def test_a_file_whose_later_rows_were_overwritten(refused, table):
    many = pa.concat_tables([table] * 500)
    pq.write_table(many, "preds.parquet", row_group_size=16_384)
    start = pq.read_metadata("preds.parquet").row_group(1).column(0).dictionary_page_offset
    whole = bytearray(Path("preds.parquet").read_bytes())
    whole[start : start + 500] = bytes(500)
    Path("preds.parquet").write_bytes(whole)
    message = """\
HB102 preds.parquet: is damaged: reading stops after 16,384 of its 20,000 rows.
      Bytes that were lost or overwritten when it was copied?
      Copy it again, and compare both copies with `sha256sum`.
"""
    assert refused("preds.parquet") == message


def test_overwritten_bytes_are_found_by_their_checksum(refused, table):
    """Without compression nothing but a checksum tells that a joint was changed."""
    storage = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(table, "preds.parquet", **storage)
    start = pq.read_metadata("preds.parquet").row_group(0).column(1).data_page_offset
    whole = bytearray(Path("preds.parquet").read_bytes())
    whole[start + 2000] ^= 1
    Path("preds.parquet").write_bytes(whole)
    message = """\
HB102 preds.parquet: is damaged: reading stops after 0 of its 40 rows.
      Bytes that were lost or overwritten when it was copied?
      Copy it again, and compare both copies with `sha256sum`.
"""
    assert refused("preds.parquet") == message


def test_ids_that_are_damaged_texts(refused, table):
    raw = [name.encode() for name in table["sample_id"].to_pylist()]
    raw[3] = b"test/\xff\xfe\x1b[31m" + b"x" * 300
    buffer = pa.array(raw, pa.binary()).view(pa.string())
    message = """\
HB104 preds.parquet: 1 of 40 samples is missing, e.g. test/Capture0/0000_fist/cam400012/323.
      Samples that failed and were dropped?
      `hand-bench template --track demo -o FILE` writes every id that is asked for; `hand-bench evaluate --allow-missing` scores the rest.
HB105 preds.parquet: 1 id is not in track demo, e.g. test/\\xff\\xfe\\x1b[31mxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx....
      Samples of another split, or ids that were edited?
      `hand-bench template --track demo -o FILE` writes every id that is asked for.
"""
    assert refused(put(table, "sample_id", buffer)) == message


def test_a_csv_file(refused):
    Path("preds.parquet").write_text("sample_id,right_joints_0,right_joints_1\na,1.5,2.5\n")
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it looks like CSV, beginning with 'sample_id,right_joints_0,right_joints_1'.
      `pandas.read_csv(CSV).to_parquet(FILE)` converts it (joints in columns right_joints_0 to right_joints_62, and the same for left).
"""
    assert refused("preds.parquet") == message


class Harmful:
    """Writes a file when it is unpickled."""

    def __reduce__(self):
        return Path.write_text, (Path("unpickled.txt"), "code of the file ran")


def test_a_pickle_is_named_and_never_loaded(refused):
    Path("preds.parquet").write_bytes(pickle.dumps({"sample_id": Harmful()}))
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it is a Python pickle (never loaded here).
      `hand_bench.write_predictions` or `pandas.DataFrame.to_parquet` writes one.
"""
    assert refused("preds.parquet") == message
    assert not Path("unpickled.txt").exists()
    pickle.loads(Path("preds.parquet").read_bytes())  # noqa: S301
    assert Path("unpickled.txt").exists()


def test_a_json_file(refused):
    Path("preds.parquet").write_text(json.dumps([{"sample_id": "a", "right_joints": [1, 2]}]))
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it looks like JSON, beginning with '[{"sample_id": "a", "right_joints": [1, '.
      `hand_bench.write_predictions` or `pandas.DataFrame.to_parquet` writes one.
"""
    assert refused("preds.parquet") == message


def test_an_npz_archive(refused):
    np.savez("preds.npz", right_joints=np.zeros((2, 21, 3)))
    Path("preds.npz").rename("preds.parquet")
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it is a ZIP or NPZ archive.
      Read it with `numpy.load`; `hand_bench.write_predictions` or `pandas.DataFrame.to_parquet` writes one.
"""
    assert refused("preds.parquet") == message


def test_a_numpy_array(refused):
    np.save("preds.npy", np.zeros((2, 21, 3)))
    Path("preds.npy").rename("preds.parquet")
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it is a NumPy array.
      Read it with `numpy.load`; `hand_bench.write_predictions` or `pandas.DataFrame.to_parquet` writes one.
"""
    assert refused("preds.parquet") == message


def test_a_text_file(refused):
    Path("preds.parquet").write_text("Zusammenfassung über alles\n" + "ü" * 600)
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it looks like text, beginning with 'Zusammenfassung über alles'.
      `hand_bench.write_predictions` or `pandas.DataFrame.to_parquet` writes one.
"""
    assert refused("preds.parquet") == message


def test_bytes_of_no_known_kind(refused):
    Path("preds.parquet").write_bytes(b"\xff\xd8\xff\xe0 a picture")
    message = """\
HB102 preds.parquet: is not a readable Parquet file: it begins with the bytes ff d8 ff e0.
      `hand_bench.write_predictions` or `pandas.DataFrame.to_parquet` writes one.
"""
    assert refused("preds.parquet") == message


def test_a_file_without_rows(refused, table):
    message = """\
HB103 preds.parquet: has no rows.
      An export that was interrupted, or a filter that kept nothing?
      `hand-bench template --track TRACK -o FILE` writes a row per sample.
"""
    assert refused(table.slice(0, 0)) == message


# --- ids ------------------------------------------------------------------------------------------


def test_missing_samples(refused, table):
    keep = np.arange(len(table)) % 10 > 0
    message = """\
HB104 preds.parquet: 4 of 40 samples are missing, e.g. test/Capture0/0000_fist/cam400012/305.
      Samples that failed and were dropped?
      `hand-bench template --track demo -o FILE` writes every id that is asked for; `hand-bench evaluate --allow-missing` scores the rest.
"""
    assert refused(table.filter(keep)) == message


def test_one_missing_sample(refused, table):
    message = """\
HB104 preds.parquet: 1 of 40 samples is missing, e.g. test/Capture0/0000_fist/cam400012/305.
      Samples that failed and were dropped?
      `hand-bench template --track demo -o FILE` writes every id that is asked for; `hand-bench evaluate --allow-missing` scores the rest.
"""
    assert refused(table.slice(1)) == message


def test_whole_sequences_that_are_missing(refused, table):
    single = [("_dh_" not in name) for name in table["sample_id"].to_pylist()]
    message = """\
HB104 preds.parquet: 20 of 40 samples are missing, e.g. test/Capture0/0002_dh_fist/cam400012/691.
      2 sequences are absent entirely, e.g. test/Capture0/0002_dh_fist: a filter before prediction?
      `hand-bench template --track demo -o FILE` writes every id that is asked for; `hand-bench evaluate --allow-missing` scores the rest.
"""
    assert refused(table.filter(pa.array(single))) == message


def test_extra_ids(refused, table):
    ids = pa.array([f"val/other/{k}" for k in range(4)])
    extra = put(table.slice(0, 4), "sample_id", ids)
    message = """\
HB105 preds.parquet: 4 ids are not in track demo, e.g. val/other/0.
      Samples of another split, or ids that were edited?
      `hand-bench template --track demo -o FILE` writes every id that is asked for.
"""
    assert refused(pa.concat_tables([table, extra], promote_options="permissive")) == message


def test_repeated_ids(refused, table):
    message = """\
HB106 preds.parquet: 2 samples occur more than once, e.g. test/Capture0/0000_fist/cam410029/305 in rows 5 and 40.
      Overlapping shards, or a sampler that pads the last batch?
      Keep one row per sample (or per sample and hand_side).
"""
    assert refused(pa.concat_tables([table, table.slice(5, 2)])) == message


def test_one_row_group_of_more_rows_than_a_batch(refused, table):
    many = pa.concat_tables([table] * 500)
    assert many.num_rows > 16_384
    message = """\
HB106 preds.parquet: 40 samples occur more than once, e.g. test/Capture0/0000_fist/cam400012/305 in rows 0 and 40.
      Overlapping shards, or a sampler that pads the last batch?
      Keep one row per sample (or per sample and hand_side).
"""
    assert refused(many, row_group_size=many.num_rows) == message


def test_ids_that_are_null(refused, table):
    ids = [None if k in (4, 9) else name for k, name in enumerate(table["sample_id"].to_pylist())]
    message = """\
HB104 preds.parquet: 2 of 40 samples are missing, e.g. test/Capture0/0000_fist/cam400012/329.
      Samples that failed and were dropped?
      `hand-bench template --track demo -o FILE` writes every id that is asked for; `hand-bench evaluate --allow-missing` scores the rest.
HB107 preds.parquet: 2 ids are null, e.g. in row 4.
      `hand-bench template --track TRACK -o FILE` writes every id that is asked for.
"""
    assert refused(put(table, "sample_id", pa.array(ids))) == message


def test_ids_of_another_dataset(refused, table):
    ids = pa.array([f"val/seq-9012/HMC_84346135/{k:06}" for k in range(len(table))])
    message = """\
HB104 preds.parquet: 40 of 40 samples are missing, e.g. test/Capture0/0000_fist/cam400012/305.
      No sample of the track is there.
      `hand-bench template --track demo -o FILE` writes every id that is asked for; `hand-bench evaluate --allow-missing` scores the rest.
HB105 preds.parquet: 40 ids are not in track demo, e.g. val/seq-9012/HMC_84346135/000000.
      A file of another track, split or release?
      `hand-bench template --track demo -o FILE` writes every id that is asked for.
"""
    assert refused(put(table, "sample_id", ids)) == message


# --- metadata -------------------------------------------------------------------------------------


def test_a_file_that_says_it_is_of_another_track(refused, table):
    found = refused(metadata(table, track="interhand26m"))
    message = """\
HB113 preds.parquet: was written for track 'interhand26m', not 'demo'.
      Another track's file?
      `--track interhand26m`, or write it again with track='demo'.
"""
    assert found == message


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"units": "feet"}, """\
HB113 preds.parquet: declares units 'feet'.
      Known: mm, cm, m. `hand_bench.write_predictions(..., units=...)` declares it.
"""),
        ({"frame": "opengl"}, """\
HB113 preds.parquet: declares frame 'opengl'.
      Known: camera, world, root-relative. `hand_bench.write_predictions(..., frame=...)` declares it.
"""),
        ({"joint_set": "smplx"}, """\
HB113 preds.parquet: declares joint_set 'smplx'.
      Known: openpose21, interhand21, assemblyhands21, mano21, fpha21, rhd21, stb21, palm21. `hand_bench.write_predictions(..., joint_set=...)` declares it.
"""),
        ({"inputs": "boxes:standard"}, """\
HB113 preds.parquet: declares inputs 'boxes:standard'.
      Inputs are a JSON list of texts, e.g. ["boxes:standard"]; `hand_bench.write_predictions(..., inputs=[...])` declares them.
"""),
        ({"inputs": '{"boxes": "standard"}'}, """\
HB113 preds.parquet: declares inputs '{"boxes": "standard"}'.
      Inputs are a JSON list of texts, e.g. ["boxes:standard"]; `hand_bench.write_predictions(..., inputs=[...])` declares them.
"""),
        ({"inputs": "[" * 5000}, """\
HB113 preds.parquet: declares inputs '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['.
      Inputs are a JSON list of texts, e.g. ["boxes:standard"]; `hand_bench.write_predictions(..., inputs=[...])` declares them.
"""),
        ({"inputs": '["crystal:ball"]'}, """\
HB113 preds.parquet: declares the input 'crystal:ball'.
      Known for demo: boxes:standard, boxes:rootnet, boxes:own, boxes:none, root_depth:own, root_depth:rootnet, root_depth:gt, root_depth:none.
"""),
    ],
    ids=["units", "frame", "joint set", "inputs", "a dict", "deep", "unknown input"],
)  # fmt: skip
def test_wrong_metadata(refused, table, declared, message):
    assert refused(metadata(table, **declared)) == message


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, """\
HB123 preds.parquet: 1 right hand holds NaN or infinity, in row 2 (test/Capture0/0000_fist/cam400012/317): middle4 at (15.5, -56.85, nan).
      A division by zero in the network or in lifting?
      A hand that is not there is null as a whole.
"""),
        (np.inf, """\
HB123 preds.parquet: 1 right hand holds NaN or infinity, in row 2 (test/Capture0/0000_fist/cam400012/317): middle4 at (15.5, -56.85, inf).
      A division by zero in the network or in lifting?
      A hand that is not there is null as a whole.
"""),
        (-np.inf, """\
HB123 preds.parquet: 1 right hand holds NaN or infinity, in row 2 (test/Capture0/0000_fist/cam400012/317): middle4 at (15.5, -56.85, -inf).
      A division by zero in the network or in lifting?
      A hand that is not there is null as a whole.
"""),
        (1e30, """\
HB121 preds.parquet: 1 right hand lies beyond 100 m (or 100,000 px), in row 2 (test/Capture0/0000_fist/cam400012/317): middle4 at (15.5, -56.85, 1e+30).
      Pixels, an overflow, another unit or another column?
      Joints are in the camera frame, in the unit that the file declares (mm by default).
"""),
        (1e6, """\
HB121 preds.parquet: 1 right hand lies beyond 100 m (or 100,000 px), in row 2 (test/Capture0/0000_fist/cam400012/317): middle4 at (15.5, -56.85, 1e+06).
      Pixels, an overflow, another unit or another column?
      Joints are in the camera frame, in the unit that the file declares (mm by default).
"""),
    ],
    ids=["nan", "inf", "-inf", "1e30", "1e6"],
)  # fmt: skip
def test_a_value_that_no_hand_has(refused, table, value, message):
    assert refused(changed(table, "right_joints", 2, 38, value)) == message


def test_several_values_are_counted_once_per_hand(refused, table):
    for row in (1, 2, 3):
        table = changed(table, "right_joints", row, 5, np.nan)
    message = """\
HB123 preds.parquet: 3 right hands hold NaN or infinity, e.g. in row 1 (test/Capture0/0000_fist/cam400012/311): thumb1 at (14.87, -2.36, nan).
      A division by zero in the network or in lifting?
      A hand that is not there is null as a whole.
"""
    assert refused(table) == message


def test_metres_for_millimetres(refused, table):
    message = """\
HB120 preds.parquet: median hand length is 0.122 mm; hands of this track measure about 180 mm.
      Were the joints given in metres? Then add `--units m`.
      `hand-bench diagnose FILE --track TRACK` measures the error under each unit.
"""
    assert refused(scaled(table, 0.001)) == message


def test_metres_for_millimetres_are_scored_with_the_option_that_is_named(scores, table):
    found, wanted = (json.loads(scores(*call)) for call in (
        (scaled(table, 0.001), "--units", "m"), (table,)))  # fmt: skip
    values = [[s["value"] for s in part if s["value"] is not None] for part in (found, wanted)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_centimetres_for_millimetres(refused, table):
    message = """\
HB120 preds.parquet: median hand length is 12.2 mm; hands of this track measure about 180 mm.
      Were the joints given in centimetres? Then add `--units cm`.
      `hand-bench diagnose FILE --track TRACK` measures the error under each unit.
"""
    assert refused(scaled(table, 0.1)) == message


def test_millimetres_declared_as_metres(refused, table):
    message = """\
HB120 preds.parquet: median hand length is 122 m; hands of this track measure about 180 mm.
      Were the joints given in millimetres? Then add `--units mm`.
      `hand-bench diagnose FILE --track TRACK` measures the error under each unit.
HB121 preds.parquet: 30 right hands lie beyond 100 m (or 100,000 px), e.g. in row 0 (test/Capture0/0000_fist/cam400012/305): wrist at (24.11, 16.94, 1046).
      Pixels, an overflow, another unit or another column?
      Joints are in the camera frame, in the unit that the file declares (mm by default).
HB121 preds.parquet: 28 left hands lie beyond 100 m (or 100,000 px), e.g. in row 10 (test/Capture0/0001_fist/cam400012/419): wrist at (21.05, 7.833, 1026).
      Pixels, an overflow, another unit or another column?
      Joints are in the camera frame, in the unit that the file declares (mm by default).
"""
    assert refused(metadata(table, units="m")) == message


def test_a_normalised_skeleton(refused, table):
    message = """\
HB120 preds.parquet: median hand length is 3.67 mm; hands of this track measure about 180 mm.
      No usual unit explains this: a normalised skeleton, or untrained output?
      `hand-bench diagnose FILE --track TRACK` measures the error under each unit.
"""
    assert refused(scaled(table, 0.03)) == message


def test_hands_at_one_point(refused, table):
    zeros = [[0.0] * 63 if hand is None else hand for hand in table["left_joints"].to_pylist()]
    message = """\
HB122 preds.parquet: 12 left hands have all 21 joints at one point, e.g. in row 0 (test/Capture0/0000_fist/cam400012/305): (0, 0, 0).
      An absent hand written as zeros?
      Write null (NaN in `hand_bench.write_predictions`) where the method sees no hand.
"""
    assert refused(put(table, "left_joints", pa.array(zeros, LISTS))) == message


def test_a_template_that_was_not_filled_in(refused, table):
    nulls = pa.nulls(len(table), LISTS)
    empty = put(put(table, "right_joints", nulls), "left_joints", nulls)
    message = """\
HB127 preds.parquet: every hand of every row is null.
      Is this the template, before predictions were filled in?
      Fill right_joints and left_joints; a single absent hand may stay null.
"""
    assert refused(empty) == message


def test_scores_that_are_no_probabilities(refused, table):
    logits = pa.array(np.linspace(-4, 4, len(table)), pa.float32())
    message = """\
HB124 preds.parquet: 35 values of right_score lie outside 0 to 1, e.g. in row 0 (test/Capture0/0000_fist/cam400012/305): -4.
      Logits instead of probabilities?
      Apply a sigmoid before writing.
"""
    assert refused(put(table, "right_score", logits)) == message


def test_a_score_that_is_infinite(refused, table):
    scores = np.full(len(table), 0.5)
    scores[7] = np.inf
    message = """\
HB124 preds.parquet: 1 value of left_score lies outside 0 to 1, in row 7 (test/Capture0/0000_fist/cam410029/317): inf.
      Logits instead of probabilities?
      Apply a sigmoid before writing.
"""
    assert refused(put(table, "left_score", pa.array(scores))) == message


def test_scores_that_are_nan_are_not_given(scores, table):
    rest = table["right_score"].to_pylist()
    given = pa.array([float("nan"), *rest[1:]], pa.float32())
    null = pa.array([None, *rest[1:]], pa.float32())
    found = [scores(put(table, "right_score", column)) for column in (given, null)]
    assert found[0] == found[1]


def test_a_left_root_that_is_not_finite_or_out_of_reach(refused, table):
    roots = np.full((len(table), 3), 50.0)
    roots[3, 1], roots[4, 2] = np.nan, 1e9
    column = pa.array(roots.tolist(), pa.list_(pa.float32(), 3))
    message = """\
HB121 preds.parquet: 1 value of left_root lies beyond 100 m (or 100,000 px), in row 4 (test/Capture0/0000_fist/cam400012/329): (50, 50, 1e+09).
      Pixels, an overflow, another unit or another column?
      Joints are in the camera frame, in the unit that the file declares (mm by default).
HB123 preds.parquet: 1 value of left_root holds NaN or infinity, in row 3 (test/Capture0/0000_fist/cam400012/323): (50, nan, 50).
      A division by zero in the network or in lifting?
      A hand that is not there is null as a whole.
"""
    assert refused(put(table, "left_root", column)) == message


# --- several problems, and the result's own files -------------------------------------------------


def test_all_problems_are_shown_at_once_and_sorted(refused, table):
    table = changed(changed(table, "right_joints", 2, 0, np.nan), "right_joints", 3, 9, 1e8)
    table = changed(changed(table, "left_joints", 12, 1, np.inf), "right_joints", 8, 1, np.nan)
    ids = [None, "unknown", *table["sample_id"].to_pylist()[2:]]
    table = put(table, "sample_id", pa.array(ids))
    table = put(table, "right_score", pa.array(np.full(len(table), 2.0)))
    hands = [*table["left_joints"].to_pylist()[:-1], [0.5] * 60]
    table = put(table, "left_joints", pa.array(hands, pa.list_(pa.float32())))
    message = """\
HB104 preds.parquet: 2 of 40 samples are missing, e.g. test/Capture0/0000_fist/cam400012/305.
      Samples that failed and were dropped?
      `hand-bench template --track demo -o FILE` writes every id that is asked for; `hand-bench evaluate --allow-missing` scores the rest.
HB105 preds.parquet: 1 id is not in track demo, e.g. unknown.
      Samples of another split, or ids that were edited?
      `hand-bench template --track demo -o FILE` writes every id that is asked for.
HB106 preds.parquet: 1 sample occurs more than once, e.g. test/Capture0/0002_dh_fist/cam400012/691 in rows 20 and 40.
      Overlapping shards, or a sampler that pads the last batch?
      Keep one row per sample (or per sample and hand_side).
HB107 preds.parquet: 1 id is null, in row 0.
      `hand-bench template --track TRACK -o FILE` writes every id that is asked for.
HB112 preds.parquet: 1 list of left_joints has the wrong length, in row 39 (test/Capture0/0003_dh_fist/cam410029/1044): 60 values, not 63.
      `hand_bench.write_predictions` writes lists of the right length.
HB121 preds.parquet: 1 right hand lies beyond 100 m (or 100,000 px), in row 3 (test/Capture0/0000_fist/cam400012/323): thumb3 at (1e+08, -79.72, 1122).
      Pixels, an overflow, another unit or another column?
      Joints are in the camera frame, in the unit that the file declares (mm by default).
HB123 preds.parquet: 2 right hands hold NaN or infinity, e.g. in row 2 (test/Capture0/0000_fist/cam400012/317): wrist at (nan, 10.37, 1066).
      A division by zero in the network or in lifting?
      A hand that is not there is null as a whole.
HB123 preds.parquet: 1 left hand holds NaN or infinity, in row 12 (test/Capture0/0001_fist/cam400012/431): wrist at (26.52, inf, 1031).
      A division by zero in the network or in lifting?
      A hand that is not there is null as a whole.
HB124 preds.parquet: 41 values of right_score lie outside 0 to 1, e.g. in row 0: 2.
      Logits instead of probabilities?
      Apply a sigmoid before writing.
"""
    assert refused(pa.concat_tables([table, table.slice(20, 1)])) == message


def test_every_problem_of_the_form_is_shown_at_once(refused, table):
    table = put(table, "right_joints", pa.array([[1] * 63] * len(table)))
    table = put(
        table, "left_joints", pa.array([[1.5] * 60] * len(table), pa.list_(pa.float32(), 60))
    )
    table = put(table, "right_score", pa.array(["high"] * len(table)))
    table = metadata(table.rename_columns(["id", *table.column_names[1:]]), units="inch")
    message = """\
HB103 preds.parquet: has no rows.
      An export that was interrupted, or a filter that kept nothing?
      `hand-bench template --track TRACK -o FILE` writes a row per sample.
HB110 preds.parquet: lacks column 'sample_id'. It has: id, right_joints, left_joints, right_score, left_score.
      Another file, or an export under other names?
      `hand-bench template --track TRACK -o FILE` writes a file with the right columns.
HB111 preds.parquet: column 'right_joints' holds lists of whole numbers, not floating-point numbers.
      Joints that were rounded, or pixels?
      `hand_bench.write_predictions` writes the right types.
HB111 preds.parquet: column 'right_score' holds texts, not floating-point numbers.
      Numbers that were written as text?
      `hand_bench.write_predictions` writes the right types.
HB112 preds.parquet: column 'left_joints' holds lists of 60 values, not lists of 63.
      Is the wrist lacking?
      `hand_bench.write_predictions` takes arrays (samples, 21, 3) and writes the right lists.
HB113 preds.parquet: declares units 'inch'.
      Known: mm, cm, m. `hand_bench.write_predictions(..., units=...)` declares it.
"""
    assert refused(table.slice(0, 0)) == message


def test_an_output_folder_that_cannot_be_written(command, table):
    Path("taken").write_text("a file, not a folder")
    pq.write_table(table, "preds.parquet")
    code, out, err = command(
        "evaluate", "preds.parquet", "--track", "demo", "--errors", "taken/e.parquet"
    )
    assert (code, out, err) == (
        1,
        "",
        """\
HB402 taken/e.parquet: cannot be written: taken is a file.
      Give another place.
""",
    )
    assert sorted(p.name for p in Path().iterdir()) == ["preds.parquet", "taken"]
