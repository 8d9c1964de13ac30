"""Pickles as data: nothing runs, and what NumPy, SciPy and chumpy wrote is read without them."""

import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

from benchmark.official.mano import Ch, Select, python2_pickle, sparse
from hand_bench import unpickle
from hand_bench.errors import DatasetError
from hand_bench.unpickle import load, load_npy, loads

ARRAY = np.arange(12.0).reshape(3, 4)


class Runs:
    """Calls something when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, "echo ran"),
        (subprocess.run, ["true"]),
        (eval, "1"),
        (exec, "1"),
        (getattr, ARRAY, "shape"),
        (__import__, "os"),
        (open, "/dev/null"),
        (np.load, "x.npy"),
        (np.fromfile, "x"),
        (pickle.loads, b"N."),
    ],
    ids=lambda call: call[0].__name__,
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_whatever_would_run_code_is_refused(tmp_path, call, protocol):
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps({"x": Runs(*call)}, protocol))
    with pytest.raises(DatasetError, match=r"HB203 .*is not allowed"):
        load(path)
    np.save(tmp_path / "bad.npy", np.array({"x": Runs(*call)}, object), allow_pickle=True)
    for keep in (None, lambda _: True):
        with pytest.raises(DatasetError, match=r"HB203 .*is not allowed"):
            load_npy(tmp_path / "bad.npy", keep=keep)


@pytest.mark.parametrize("module", ["os", "numpy.f2py.os", "builtins", "numpy.core.multiarray"])
def test_names_are_compared_whole(module):
    for name in ("system", "eval", "__builtins__", "_reconstruct.__self__"):
        with pytest.raises(DatasetError, match="is not allowed"):
            loads(b"\x80\x04\x8c%c%s\x8c%c%s\x93." % (len(module), module.encode(), len(name),
                                                    name.encode()), "x")  # fmt: skip


def test_old_style_objects_are_made_for_stand_ins_only():
    with pytest.raises(DatasetError, match="class dict is not allowed"):
        loads(b"ccopy_reg\n_reconstructor\n(c__builtin__\ndict\nc__builtin__\nobject\nNtR.", "x")


def test_a_pickle_cannot_change_the_functions_it_names():
    # BUILD with a slot state sets attributes of whatever is on the stack.
    before = unpickle._latin1.__defaults__
    state = b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__Ns\x86b."
    loads(state, "x")
    assert unpickle._latin1.__defaults__ == before


def by_numpy_1(data: bytes) -> bytes:
    """The same pickle with the module names of NumPy 1, which may be preceded by their length."""
    for part in (b"multiarray", b"numeric"):
        new, old = b"numpy._core." + part, b"numpy.core." + part
        data = data.replace(bytes([len(new)]) + new, bytes([len(old)]) + old).replace(new, old)
    if data[2:3] == pickle.FRAME:
        data = data[:3] + struct.pack("<Q", len(data) - 11) + data[11:]
    return data


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("old", [False, True], ids=["numpy 2", "numpy 1"])
def test_arrays_of_every_protocol_and_numpy_are_read(protocol, old):
    value = {"a": ARRAY, "f": ARRAY.T, "i": np.int32(3), "t": np.array(["x", "yz"]), "n": [1, "b"]}
    data = pickle.dumps(value, protocol)
    data = by_numpy_1(data) if old else data
    read = loads(data, "x")
    for name in ("a", "f", "i", "t"):
        assert np.array_equal(read[name], value[name]), name
        assert read[name].dtype == value[name].dtype
    assert read["n"] == value["n"]


@pytest.mark.parametrize("protocol", [1, 2])
def test_what_python_2_wrote_is_read(protocol):
    value = {"a": ARRAY, "u": np.arange(3, dtype=np.uint32), "s": "lbs", "big": ARRAY.astype(">f4")}
    read = loads(python2_pickle(value, protocol), "x")
    assert np.array_equal(read["a"], ARRAY) and np.array_equal(read["u"], [0, 1, 2])
    assert np.array_equal(read["big"], ARRAY) and read["s"] == "lbs"


@pytest.mark.parametrize("protocol", [1, 2])
def test_chumpy_arrays_are_their_values(protocol):
    whole = Ch({"x": ARRAY, "_dirty_vars": set(), "_itr": None})
    value = {
        "plain": whole,
        "some": Select({"a": whole, "idxs": np.array([5, 0]), "preferred_shape": (2, 1)}),
        "flat": Select({"a": ARRAY, "idxs": np.array([1, 2])}),
    }
    read = loads(python2_pickle(value, protocol), "x")
    assert np.array_equal(read["plain"].array, ARRAY)
    assert np.array_equal(read["some"].array, [[5], [0]])
    assert np.array_equal(read["flat"].array, [1, 2])


def test_a_chumpy_expression_without_a_value_says_so():
    with pytest.raises(KeyError):
        _ = loads(python2_pickle(Ch({"b": 1})), "x").array


@pytest.mark.parametrize("protocol", [1, 2])
def test_sparse_matrices_are_read_without_scipy(protocol):
    dense = np.random.default_rng(0).normal(size=(5, 7)) * (np.arange(7) % 3 == 0)
    assert np.array_equal(loads(python2_pickle(sparse(dense), protocol), "x").toarray(), dense)


@pytest.mark.parametrize("kind", sorted(unpickle._SPARSE))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_scipys_own_pickles_are_read(kind, protocol):
    scipy_sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    dense = np.random.default_rng(0).normal(size=(5, 7)) * (np.arange(5)[:, None] % 2 == 0)
    matrix = getattr(scipy_sparse, kind)(dense)
    assert np.array_equal(loads(pickle.dumps(matrix, protocol), "x").toarray(), dense)


def test_entries_given_twice_are_summed():
    matrix = unpickle._Coo()
    matrix.__setstate__({"shape": (2, 2), "row": [0, 0], "col": [1, 1], "data": [1.0, 2.0]})
    assert matrix.toarray().tolist() == [[0, 3], [0, 0]]


def test_npy_files_of_numbers_and_of_objects_are_read(tmp_path):
    np.save(tmp_path / "a.npy", ARRAY)
    np.save(tmp_path / "b.npy", np.array({"x": ARRAY}, object), allow_pickle=True)
    np.save(tmp_path / "c.npy", np.array([{"x": 1}, None], object), allow_pickle=True)
    assert np.array_equal(load_npy(tmp_path / "a.npy"), ARRAY)
    assert np.array_equal(load_npy(tmp_path / "b.npy")["x"], ARRAY)
    assert load_npy(tmp_path / "c.npy").tolist() == [{"x": 1}, None]


def nested(size: int) -> dict:
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=size) for name in ("kept", "passed", "other")}
    return {
        "names": ["a/b", "kept", "passed"],
        "data": {"s01/x": {"cam": dict(arrays), "one": {"passed": rng.normal(size=size)}},
                 "s01/y": {"cam": {"kept": rng.normal(size=size)}}},
        "number": 3,
    }  # fmt: skip


def save_objects(path, value, protocol):
    header = np.lib.format.header_data_from_array_1_0(np.array(None, object))
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        pickle.dump(np.array(value, object), stream, protocol)


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("size", [3, 50_000])
def test_arrays_that_are_not_kept_are_passed_over(tmp_path, protocol, size):
    value = nested(size)
    save_objects(tmp_path / "x.npy", value, protocol)
    read = load_npy(tmp_path / "x.npy", keep=lambda key: key == "kept")
    cam = value["data"]["s01/x"]["cam"]
    assert np.array_equal(read["data"]["s01/x"]["cam"]["kept"], cam["kept"])
    assert np.array_equal(read["data"]["s01/y"]["cam"]["kept"],
                          value["data"]["s01/y"]["cam"]["kept"])  # fmt: skip
    assert read["data"]["s01/x"]["cam"]["passed"] is None
    assert read["data"]["s01/x"]["cam"]["other"] is None
    assert read["data"]["s01/x"]["one"]["passed"] is None
    assert read["names"] == value["names"] and read["number"] == 3


def test_keeping_everything_reads_what_the_plain_reader_reads(tmp_path):
    save_objects(tmp_path / "x.npy", nested(500), 4)
    one, two = load_npy(tmp_path / "x.npy"), load_npy(tmp_path / "x.npy", keep=lambda _: True)
    assert one["names"] == two["names"]
    for name, array in one["data"]["s01/x"]["cam"].items():
        assert np.array_equal(array, two["data"]["s01/x"]["cam"][name])


def test_passing_over_needs_little_memory(tmp_path):
    import tracemalloc

    save_objects(tmp_path / "x.npy", nested(1_000_000), 4)
    tracemalloc.start()
    load_npy(tmp_path / "x.npy", keep=lambda key: key == "nothing")
    assert tracemalloc.get_traced_memory()[1] < 6e6  # of 40 MB
    tracemalloc.stop()


@pytest.mark.parametrize("keep", [None, lambda key: key == "kept"])
@pytest.mark.parametrize("left", [5, 40, 300, 30_000, -1])
def test_a_file_that_ends_early_is_damaged(tmp_path, left, keep):
    save_objects(tmp_path / "x.npy", nested(9_000), 4)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:left])
    with pytest.raises(DatasetError, match=r"HB203 .*cannot be read as plain data"):
        load_npy(tmp_path / "x.npy", keep=keep)


def test_a_missing_file_is_named(tmp_path):
    for read in (load, load_npy):
        with pytest.raises(DatasetError, match=r"HB202 .*none\.x: cannot be opened"):
            read(tmp_path / "none.x")
