"""Python pickles and object arrays from untrusted folders, read without executing anything.

Several datasets (ARCTIC, Epic-HandKps, RHD) and MANO come as pickles. A pickle can name any
callable; here only plain containers and the constructors of NumPy's arrays are found, everything
else is refused. Chumpy arrays (MANO's) and SciPy's sparse matrices become stand-ins that hold their
state, so neither package is needed.

`load_npy(..., keep=...)` reads only some of the arrays of a large file: the bytes of the others
pass by in small pieces and are never held.
"""

from __future__ import annotations

import io
import pickle
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from hand_bench.errors import DatasetError, Problem

_CORE = ("numpy.core", "numpy._core")
_PIECE = 1 << 20


class Chumpy:
    """What is left of a chumpy object: its attributes; `array` is its value."""

    def __init__(self, *_arguments: Any):
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {"x": state}

    @property
    def array(self) -> np.ndarray:
        """The value of a plain chumpy array.

        Raises
        ------
        KeyError
            For an expression whose value was not stored.
        """
        if "x" in self.state:
            return np.asarray(self.state["x"])
        # A selection of another array: chumpy.reordering.Select keeps `a` and flat `idxs`.
        whole = self.state["a"]
        whole = whole.array if isinstance(whole, Chumpy) else np.asarray(whole)
        picked = whole.ravel()[np.asarray(self.state["idxs"])]
        return picked.reshape(self.state.get("preferred_shape", picked.shape))


class Sparse:
    """What is left of a SciPy sparse matrix: its attributes; `toarray()` is the whole matrix."""

    def __init__(self, *_arguments: Any):
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state

    def toarray(self) -> np.ndarray:
        """Return the matrix with its zeros; entries given twice are summed, as SciPy does.

        Raises
        ------
        KeyError
            Where the state is not that of one of the formats known here.
        """
        shape = tuple(self.state["_shape"] if "_shape" in self.state else self.state["shape"])
        data = np.asarray(self.state["data"])
        dense = np.zeros(shape, data.dtype)
        np.add.at(dense, self._places(), data)
        return dense

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of every entry."""
        raise KeyError("format")


class _Csr(Sparse):
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        pointers = np.asarray(self.state["indptr"])
        return np.repeat(np.arange(len(pointers) - 1), np.diff(pointers)), self.state["indices"]


class _Csc(_Csr):
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        columns, rows = super()._places()
        return rows, columns


class _Coo(Sparse):
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        if "coords" in self.state:  # SciPy 1.13 and later
            return tuple(self.state["coords"])
        return self.state["row"], self.state["col"]


_SPARSE = {"csr_matrix": _Csr, "csc_matrix": _Csc, "coo_matrix": _Coo}
_SPARSE |= {name.replace("matrix", "array"): kind for name, kind in _SPARSE.items()}
_PLAIN = (dict, list, tuple, set, frozenset, bytes, bytearray, complex, slice, object)


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for `_codecs.encode`, by which old pickles store bytes."""
    return text.encode("latin1" if encoding != "utf-8" else encoding)


def _reconstructor(kind: type, _base: type, _state: Any) -> Any:
    """Stand in for `copyreg._reconstructor`, by which old pickles make objects."""
    if not issubclass(kind, Chumpy | Sparse):
        raise pickle.UnpicklingError(f"an object of class {kind.__name__} is not allowed")
    return kind()


def _allowed(module: str, name: str) -> Any:
    for core in _CORE:
        if module == f"{core}.multiarray" and name in ("_reconstruct", "scalar"):
            return getattr(np._core.multiarray, name)
        if module == f"{core}.numeric" and name == "_frombuffer":
            return np._core.numeric._frombuffer  # type: ignore[attr-defined]
    if module == "numpy" and name in ("ndarray", "dtype"):
        return getattr(np, name)
    if module.startswith("numpy") and name.endswith("DType") and module.endswith("dtypes"):
        return getattr(np.dtypes, name)
    if module.startswith("scipy.sparse"):
        return _SPARSE.get(name)
    if module.split(".")[0] == "chumpy":
        return Chumpy
    if module in ("builtins", "__builtin__"):
        return next((kind for kind in _PLAIN if kind.__name__ == name), None)
    return {
        ("_codecs", "encode"): _latin1,
        ("copyreg", "_reconstructor"): _reconstructor,
        ("copy_reg", "_reconstructor"): _reconstructor,
        ("collections", "OrderedDict"): OrderedDict,
    }.get((module, name))


def _find(module: str, name: str) -> Any:
    found = _allowed(module, name)
    if found is None:
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
    if isinstance(found, types.FunctionType):
        # A pickle may set attributes of what it finds: let it be those of a throw-away.
        return lambda *arguments: found(*arguments)
    return found


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _find(module, name)


class _Passed:
    """Stands for bytes that were passed over."""


class _Selective(pickle._Unpickler):
    """The same in plain Python, which can look at the key before it reads an array's bytes.

    The key that leads to a value lies on the stack while the value is built: the last but one item
    below the last mark.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, stream: BinaryIO, keep: Callable[[str], bool], encoding: str):
        super().__init__(stream, encoding=encoding)
        self.keep = keep

    def find_class(self, module: str, name: str) -> Any:
        return _find(module, name)

    def _bytes(self, count_size: int) -> None:
        count = int.from_bytes(self.read(count_size), "little")
        outer = self.metastack[-1] if self.metastack else []
        key = outer[-2] if len(outer) > 1 else None
        if not isinstance(key, str) or not isinstance(outer[-1], np.ndarray) or self.keep(key):
            self.append(self.read(count))
            return
        while count:
            piece = min(count, _PIECE)
            if len(self.read(piece)) < piece:
                raise pickle.UnpicklingError("pickle data was truncated")
            count -= piece
        self.append(_Passed)

    def load_short_binbytes(self) -> None:
        self._bytes(1)

    def load_binbytes(self) -> None:
        self._bytes(4)

    def load_binbytes8(self) -> None:
        self._bytes(8)

    def load_build(self) -> None:
        state = self.stack[-1]
        if isinstance(state, tuple) and state and state[-1] is _Passed:
            self.stack.pop()
            self.stack[-1] = None
        else:
            super().load_build()

    dispatch[pickle.SHORT_BINBYTES[0]] = load_short_binbytes
    dispatch[pickle.BINBYTES[0]] = load_binbytes
    dispatch[pickle.BINBYTES8[0]] = load_binbytes8
    dispatch[pickle.BUILD[0]] = load_build


def load(path: str | Path, *, encoding: str = "latin1") -> Any:
    """Read a pickle of plain data and arrays.

    Raises
    ------
    DatasetError
        HB202 where there is no such file, HB203 where it is damaged or asks for anything else.
    """
    with _opened(path) as stream:
        return _read(stream, Path(path), encoding)


def load_npy(
    path: str | Path, *, encoding: str = "latin1", keep: Callable[[str], bool] | None = None
) -> Any:
    """Read a `.npy` file; an object array of one element gives that element (a dict, mostly).

    `keep` is asked with the key under which an array lies in its dict; where it says no, None
    stands in the array's place and its bytes are never held (in files of pickle protocol 3 and
    later: what NumPy writes under Python 3).

    Raises
    ------
    DatasetError
        As `load`.
    """
    path = Path(path)
    with _opened(path) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                read = np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
        except ValueError as error:
            raise DatasetError(_damaged(path, error)) from error
        if not dtype.hasobject:
            stream.seek(0)
            try:
                return np.load(stream, allow_pickle=False)
            except ValueError as error:
                raise DatasetError(_damaged(path, error)) from error
        value = _read(stream, path, encoding, keep)
    return value.item() if shape == () and isinstance(value, np.ndarray) else value


def loads(data: bytes, where: str | Path, *, encoding: str = "latin1") -> Any:
    """Read a pickle from memory; see `load`."""
    return _read(io.BytesIO(data), Path(where), encoding)


def _opened(path: str | Path) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise DatasetError(
            Problem("HB202", str(path), f"cannot be opened ({error.strerror}).")
        ) from error


def _read(
    stream: BinaryIO, path: Path, encoding: str, keep: Callable[[str], bool] | None = None
) -> Any:
    try:
        if keep is not None:
            return _Selective(stream, keep, encoding).load()
        return _Restricted(stream, encoding=encoding).load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise DatasetError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> Problem:
    return Problem(
        "HB203",
        str(path),
        f"cannot be read as plain data ({type(error).__name__}: {str(error)[:120]}).",
        cause="A damaged copy, or a pickle that would run code when loaded.",
        fix="Copy it again from the dataset's own archive.",
    )
