"""Arrow columns of plain numbers as NumPy arrays.

Arrow's own `to_numpy` imports pandas where it is installed, which costs more than scoring a small
file; these read the buffers.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_TYPES = {
    pa.float32(): np.float32,
    pa.float64(): np.float64,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.int8(): np.int8,
    pa.int16(): np.int16,
}


def bits(buffer: pa.Buffer, offset: int, length: int) -> np.ndarray:
    """Unpack a bitmap (validity, or the values of a boolean column) into booleans."""
    packed = np.frombuffer(buffer, np.uint8)
    first, last = offset // 8, (offset + length + 7) // 8
    unpacked = np.unpackbits(packed[first:last], bitorder="little")
    start = offset - first * 8
    return unpacked[start : start + length].astype(bool)


def not_null(column: pa.Array) -> np.ndarray:
    """Return which rows are not null."""
    if not column.null_count:
        return np.ones(len(column), bool)
    return bits(column.buffers()[0], column.offset, len(column))


def numbers(column: pa.Array, null: float | int | bool = np.nan) -> np.ndarray:
    """Return a column of numbers or booleans; null rows hold `null`."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not len(column):
        return np.zeros(0, bool if pa.types.is_boolean(column.type) else _TYPES[column.type])
    buffer = column.buffers()[1]
    if pa.types.is_boolean(column.type):
        values = bits(buffer, column.offset, len(column))
    else:
        dtype = np.dtype(_TYPES[column.type])
        values = np.frombuffer(buffer, dtype, len(column), column.offset * dtype.itemsize)
    if column.null_count:
        values = np.where(not_null(column), values, values.dtype.type(null))
    return values
