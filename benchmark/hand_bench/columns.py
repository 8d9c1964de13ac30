"""Arrow columns to NumPy arrays and back, for every way in which people store joints.

`decode_floats` reads lists, fixed-size lists (nested or flat), raw bytes, 32-bit or other floats;
the common case is a view of Arrow's own buffer. Nothing here knows about hands.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench.array_types import Bool, Float


class ColumnError(ValueError):
    """A column cannot be decoded; `code` is the problem's stable code."""

    def __init__(self, code: str, what: str, row: int | None = None):
        super().__init__(what)
        self.code, self.row = code, row


def decode_floats(
    column: pa.Array, width: int
) -> tuple[Float[np.ndarray, "rows width"], Bool[np.ndarray, rows]]:
    """Return the values (rows, width) as float32 and which rows are not null.

    Null rows hold zeros or whatever the buffer holds; use the mask.

    Raises
    ------
    ColumnError
        HB111 wrong type, HB112 wrong number of values, HB125 nulls inside a list.
    """
    found = not_null(column)
    if pa.types.is_fixed_size_binary(column.type):
        return _raw_bytes(column, width), found
    values, per_row = column, 1
    while pa.types.is_fixed_size_list(values.type):
        size = values.type.list_size
        if values.offset or values.null_count:
            _forbid_inner_nulls(values, per_row)
        values, per_row = (
            values.values.slice(values.offset * size, len(values) * size),
            per_row * size,
        )
    if _is_list(values.type):
        return _ragged(column, values, width, found), found
    _require_float(values.type, column.type)
    if per_row != width:
        raise ColumnError("HB112", f"lists of {per_row} values", 0)
    _forbid_null_values(values, found, per_row)
    return _float32(values).reshape(-1, width), found


def decode_scalars(column: pa.Array) -> tuple[Float[np.ndarray, rows], Bool[np.ndarray, rows]]:
    """Return a column of numbers as float32 with the mask of rows that are not null."""
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        column = column.cast(pa.int64()).cast(pa.float32(), safe=False)
    _require_float(column.type, column.type)
    return _float32(column), not_null(column)


def decode_bytes(column: pa.Array, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """View a fixed-size binary column as an array (rows, *shape); null rows hold anything."""
    buffer = column.buffers()[1]
    size = column.type.byte_width
    if buffer is None:
        return np.zeros((len(column), *shape), dtype)
    flat = np.frombuffer(buffer, np.uint8, len(column) * size, column.offset * size)
    return flat.view(dtype).reshape(len(column), *shape)


def encode_bytes(values: np.ndarray, absent: Bool[np.ndarray, rows] | None = None) -> pa.Array:
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
    values: Float[np.ndarray, "rows width"], absent: Bool[np.ndarray, rows] | None = None
) -> pa.Array:
    """Store rows as a fixed-size list of float32 that is never null inside."""
    width = values.shape[1]
    flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
    mask = pa.array(absent) if absent is not None else None
    return pa.FixedSizeListArray.from_arrays(flat, type=floats_type(width), mask=mask)


def floats_type(width: int) -> pa.DataType:
    """Return the type of a canonical list column: fixed size, float32, items not null."""
    return pa.list_(pa.field("element", pa.float32(), nullable=False), width)


def not_null(column: pa.Array) -> Bool[np.ndarray, rows]:
    """Return which rows are not null."""
    if not column.null_count:
        return np.ones(len(column), bool)
    bits = np.frombuffer(column.buffers()[0], np.uint8)
    first = column.offset // 8
    last = (column.offset + len(column) + 7) // 8
    unpacked = np.unpackbits(bits[first:last], bitorder="little")
    start = column.offset - first * 8
    return unpacked[start : start + len(column)].astype(bool)


def strings(column: pa.Array) -> pa.Array:
    """Return an id column as plain strings, whatever dictionary or width it was stored with."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if column.type == pa.string() else column.cast(pa.string())


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold ids."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _require_float(kind: pa.DataType, shown: pa.DataType) -> None:
    if not pa.types.is_floating(kind):
        raise ColumnError("HB111", f"type {shown}")


def _float32(values: pa.Array) -> np.ndarray:
    if pa.types.is_float16(values.type) or not pa.types.is_float32(values.type):
        values = values.cast(pa.float32(), safe=False)
    buffer = values.buffers()[1]
    if buffer is None or not len(values):
        return np.zeros(len(values), np.float32)
    return np.frombuffer(buffer, np.float32, len(values), values.offset * 4)


def _raw_bytes(column: pa.Array, width: int) -> np.ndarray:
    if column.type.byte_width != width * 4:
        raise ColumnError("HB112", f"{column.type.byte_width} bytes, not {width * 4}", 0)
    return decode_bytes(column, np.float32, (width,))


def _ragged(column: pa.Array, lists: pa.Array, width: int, found: np.ndarray) -> np.ndarray:
    """Decode variable-length lists of one or two levels into a dense array."""
    dense = np.zeros((len(column), width), np.float32)
    present = column.filter(pa.array(found)) if column.null_count else column
    values = present
    lengths = np.ones(len(present), np.int64)
    while _is_list(values.type) or pa.types.is_fixed_size_list(values.type):
        if values is not present and values.null_count:
            raise ColumnError("HB125", "nulls inside a list of joints")
        sizes = pc.list_value_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
        ends = np.concatenate([[0], np.cumsum(sizes)])
        stops = np.concatenate([[0], np.cumsum(lengths)])
        lengths = np.diff(ends[stops])
        values = values.flatten()
    _require_float(values.type, column.type)
    wrong = np.flatnonzero(lengths != width)
    if wrong.size:
        row = int(np.flatnonzero(found)[wrong[0]])
        raise ColumnError(
            "HB112",
            f"{wrong.size:,} lists with another length, e.g. {lengths[wrong[0]]} values",
            row,
        )
    if values.null_count:
        bad = int(np.flatnonzero(~not_null(values))[0]) // width
        raise ColumnError("HB125", "nulls inside a list", int(np.flatnonzero(found)[bad]))
    dense[found] = _float32(values).reshape(-1, width)
    return dense


def _forbid_inner_nulls(values: pa.Array, per_row: int) -> None:
    if per_row > 1 and values.null_count:
        # A null joint inside a present hand; nulls below a null hand are only its padding.
        missing = ~not_null(values).reshape(-1, per_row)
        partly = missing.any(axis=1) & ~missing.all(axis=1)
        if partly.any():
            raise ColumnError("HB125", "nulls inside a list of joints", int(partly.argmax()))


def _forbid_null_values(values: pa.Array, found: np.ndarray, per_row: int) -> None:
    if not values.null_count:
        return
    missing = (~not_null(values)).reshape(-1, per_row).any(axis=1) & found
    if missing.any():
        raise ColumnError("HB125", f"nulls inside {missing.sum():,} lists", int(missing.argmax()))
