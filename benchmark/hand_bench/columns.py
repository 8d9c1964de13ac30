"""Arrow columns to NumPy arrays and back, for every way in which people store joints.

`decode_floats` reads lists, fixed-size lists (nested or flat), raw bytes, 32-bit or other floats;
the common case is a view of Arrow's own buffer. Nothing here knows about hands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench import arrow
from hand_bench.array_types import Bool, Float


@dataclass(frozen=True)
class Fault:
    """Rows of a column that cannot be used: why (a code), how many, the first, what it holds."""

    code: str
    count: int
    row: int
    shown: str = ""


def decode_floats(
    column: pa.Array, width: int
) -> tuple[Float[np.ndarray, "rows width"], Bool[np.ndarray, " rows"], list[Fault]]:
    """Return the values (rows, width) as float32, which rows hold them, and what is wrong.

    Rows that are null or wrong (HB112 another number of values, HB125 nulls inside the list) hold
    zeros or whatever the buffer holds; use the mask. The column's type must be one that
    `list_size` accepts: floats in lists, or raw bytes.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    found = not_null(column)
    if pa.types.is_null(column.type):
        return np.zeros((len(column), width), np.float32), found, []
    if pa.types.is_fixed_size_binary(column.type):
        return decode_bytes(column, np.float32, (width,)), found, []
    if list_size(column.type)[1] == width:
        return _dense(column, width, found)
    return _ragged(column, width, found)


def decode_scalars(
    column: pa.Array,
) -> tuple[Float[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """Return a column of numbers as float32 with the mask of rows that are not null."""
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        column = column.cast(pa.int64()).cast(pa.float32(), safe=False)
    return _float32(column), not_null(column)


def decode_bytes(column: pa.Array, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """View a fixed-size binary column as an array (rows, *shape); null rows hold anything."""
    buffer = column.buffers()[1]
    size = column.type.byte_width
    if buffer is None:
        return np.zeros((len(column), *shape), dtype)
    flat = np.frombuffer(buffer, np.uint8, len(column) * size, column.offset * size)
    return flat.view(dtype).reshape(len(column), *shape)


def encode_bytes(values: np.ndarray, absent: Bool[np.ndarray, " rows"] | None = None) -> pa.Array:
    """Store the rows of an array as fixed-size binary; `absent` rows become null."""
    values = np.ascontiguousarray(values)
    size = values.dtype.itemsize * int(np.prod(values.shape[1:]))
    validity, nulls = None, 0
    if absent is not None and absent.any():
        validity = pa.py_buffer(np.packbits(~absent, bitorder="little"))
        nulls = int(absent.sum())
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(size), len(values), [validity, pa.py_buffer(values)], nulls
    )


def encode_floats(
    values: Float[np.ndarray, "rows width"], absent: Bool[np.ndarray, " rows"] | None = None
) -> pa.Array:
    """Store rows as a fixed-size list of float32 that is never null inside."""
    width = values.shape[1]
    flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
    mask = pa.array(absent) if absent is not None else None
    return pa.FixedSizeListArray.from_arrays(flat, type=floats_type(width), mask=mask)


def floats_type(width: int) -> pa.DataType:
    """Return the type of a canonical list column: fixed size, float32, items not null."""
    return pa.list_(pa.field("element", pa.float32(), nullable=False), width)


def not_null(column: pa.Array | pa.ChunkedArray) -> Bool[np.ndarray, " rows"]:
    """Return which rows are not null, also of a column that holds nothing but nulls."""
    if isinstance(column, pa.ChunkedArray):
        return np.concatenate([np.zeros(0, bool), *(not_null(c) for c in column.chunks)])
    if pa.types.is_null(column.type):
        return np.zeros(len(column), bool)
    return arrow.not_null(column)


def strings(column: pa.Array) -> pa.Array:
    """Return an id column as plain strings, whatever dictionary or width it was stored with."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if column.type == pa.string() else column.cast(pa.string())


def text_at(column: pa.Array, row: int) -> str:
    """Return one text of a column for a message; bytes that are no text are escaped."""
    raw = column[row].as_buffer()
    return "null" if raw is None else printable(raw.to_pybytes().decode(errors="backslashreplace"))


def printable(text: str) -> str:
    """Return a text from a file for a message: control characters escaped, long ones cut."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:200])
    return text if len(text) <= 120 else text[:117] + "..."


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold ids."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a column of this type holds raw bytes."""
    fixed = pa.types.is_fixed_size_binary(kind)
    return fixed or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def list_size(kind: pa.DataType) -> tuple[pa.DataType, int | None]:
    """Return the innermost type of lists, and how many values a row has (None: it varies).

    Raw bytes count as 32-bit floats.
    """
    size: int | None = 1
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width % 4 == 0:
        return pa.float32(), kind.byte_width // 4
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_fixed_size_list(kind):
            size = None if size is None else size * kind.list_size
            kind = kind.value_type
        elif _is_list(kind):
            size, kind = None, kind.value_type
        else:
            return kind, size


def describe(kind: pa.DataType) -> str:
    """Say in plain words what a column of this type holds."""
    inner, size = list_size(kind)
    if inner != kind:
        many = "" if size is None else f"{size:,} "
        return f"lists of {many}{describe(inner)}"
    words = {
        "texts": is_text(kind),
        "whole numbers": pa.types.is_integer(kind),
        "floating-point numbers": pa.types.is_floating(kind),
        "decimal numbers": pa.types.is_decimal(kind),
        "true or false": pa.types.is_boolean(kind),
        "dates or times": pa.types.is_temporal(kind),
        "bytes": is_bytes(kind),
        "records": pa.types.is_struct(kind) or pa.types.is_map(kind),
        "nothing but nulls": pa.types.is_null(kind),
    }
    return next((word for word, is_it in words.items() if is_it), f"values of type {kind}")


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _float32(values: pa.Array) -> np.ndarray:
    if not pa.types.is_float32(values.type):
        values = values.cast(pa.float32(), safe=False)
    buffer = values.buffers()[1]
    if buffer is None or not len(values):
        return np.zeros(len(values), np.float32)
    return np.frombuffer(buffer, np.float32, len(values), values.offset * 4)


_Decoded = tuple[np.ndarray, np.ndarray, list[Fault]]


def _dense(column: pa.Array, width: int, found: np.ndarray) -> _Decoded:
    """Decode fixed-size lists of any depth; without nulls inside, a view of Arrow's buffer."""
    values, per_row, holes = column, 1, np.zeros(len(column), bool)
    while pa.types.is_fixed_size_list(values.type):
        size = values.type.list_size
        values = values.values.slice(values.offset * size, len(values) * size)
        per_row *= size
        if values.null_count:
            # Below a null row, nulls are only its padding.
            holes |= ~not_null(values).reshape(-1, per_row).all(axis=1) & found
    faults = _fault("HB125", holes)
    return _float32(values).reshape(-1, width), found & ~holes if faults else found, faults


def _ragged(column: pa.Array, width: int, found: np.ndarray) -> _Decoded:
    """Decode lists of varying length, of any depth, into a dense array."""
    values, lengths, holes = _unnest(column if found.all() else column.filter(pa.array(found)))
    wrong = (lengths != width) & ~holes
    faults = []
    if holes.any() or wrong.any():
        rows = np.flatnonzero(found)
        shown = f"{lengths[wrong.argmax()]:,} values, not {width}"
        faults = [*_fault("HB112", wrong, rows, shown), *_fault("HB125", holes, rows)]
        found = found.copy()
        found[rows[holes | wrong]] = False
        values = _unnest(column.filter(pa.array(found)))[0]
    dense = np.zeros((len(column), width), np.float32)
    dense[found] = _float32(values).reshape(-1, width)
    return dense, found, faults


def _unnest(column: pa.Array) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Return the innermost values, how many each row has, and which rows have nulls inside."""
    values, lengths, holes = column, np.ones(len(column), np.int64), np.zeros(len(column), bool)
    while True:
        stops = np.concatenate([[0], np.cumsum(lengths)])
        if values is not column and values.null_count:
            nulls = np.concatenate([[0], np.cumsum(~not_null(values))])
            holes |= np.diff(nulls[stops]) > 0
        if not (_is_list(values.type) or pa.types.is_fixed_size_list(values.type)):
            return values, lengths, holes
        sizes = arrow.numbers(pc.list_value_length(values), null=0)
        lengths = np.diff(np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])[stops])
        values = values.flatten()


def _fault(
    code: str, bad: np.ndarray, rows: np.ndarray | None = None, shown: str = ""
) -> list[Fault]:
    """Count the rows that are `bad`; `rows` are their numbers, if they are not consecutive."""
    count = int(np.count_nonzero(bad))
    if not count:
        return []
    first = int(bad.argmax())
    return [Fault(code, count, first if rows is None else int(rows[first]), shown)]
