"""NumPy archives of unknown origin, read without pickles and, where wanted, in pieces."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hand_bench import files
from hand_bench.formats import archives
from hand_bench.formats.json_files import damaged

_MAGIC = np.lib.format.MAGIC_PREFIX


class Npz:
    """The arrays of an .npz file: names and shapes are known at once, values when asked for.

    Raises
    ------
    SubmissionError
        HB130 where it is damaged or holds Python objects, HB131 where the archive is unsafe.
    """

    def __init__(self, path: Path):
        self.path = path
        if not archives.is_zip(path):
            raise damaged(path, "is no .npz archive")
        self._archive = archives.Archive(path)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, np.dtype] = {}
        for member in self._archive.names:
            name = member.removesuffix(".npy")
            with self._archive.open(member) as stream:
                self.shapes[name], _, self.dtypes[name] = self._header(stream, name)

    def __contains__(self, name: str) -> bool:
        return name in self.shapes

    def _header(self, stream: BinaryIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
        try:
            version = np.lib.format.read_magic(stream)
            old = version == (1, 0)
            read = np.lib.format.read_array_header_1_0 if old else (
                np.lib.format.read_array_header_2_0)  # fmt: skip
            shape, fortran, dtype = read(stream)
        except Exception as error:  # a damaged header raises almost anything
            raise damaged(self.path, f"has a damaged array {name!r}") from error
        if dtype.hasobject:
            raise damaged(
                self.path,
                f"has an array {name!r} of Python objects, which are pickles and never loaded",
                "Save numbers and texts: numpy.savez with arrays of one type.",
            )
        if dtype.fields is not None or dtype.subdtype is not None or any(n < 0 for n in shape):
            raise damaged(self.path, f"has an array {name!r} of type {dtype}, not plain numbers")
        return shape, fortran, dtype

    def load(self, name: str) -> np.ndarray:
        """Return a whole array."""
        data = self._archive.read(self._member(name))
        promised = int(np.prod(self.shapes[name], dtype=object)) * self.dtypes[name].itemsize
        if promised > len(data):
            raise damaged(self.path, f"has an array {name!r} that is cut off")
        try:
            return np.load(io.BytesIO(data), allow_pickle=False)
        except Exception as error:
            raise damaged(self.path, f"has a damaged array {name!r}") from error

    def pieces(self, name: str, rows: int) -> Iterator[np.ndarray]:
        """Stream an array in pieces of `rows` rows, in bounded memory."""
        with self._archive.open(self._member(name)) as stream:
            shape, fortran, dtype = self._header(stream, name)
            if fortran and len(shape) > 1:
                whole = self.load(name)
                yield from (whole[k : k + rows] for k in range(0, len(whole), rows))
                return
            total = shape[0] if shape else 0
            size = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
            for start in range(0, total, rows):
                count = min(rows, total - start)
                data = self._read(stream, count * size, name)
                yield np.frombuffer(data, dtype).reshape(count, *shape[1:])

    def _read(self, stream: BinaryIO, size: int, name: str) -> bytes:
        try:
            data = stream.read(size)
        except Exception as error:  # damaged deflate streams, wrong checksums
            raise damaged(self.path, f"has a damaged array {name!r}") from error
        if len(data) != size:
            raise damaged(self.path, f"has an array {name!r} that is cut off")
        return data

    def _member(self, name: str) -> str:
        return name if name in self._archive.names else f"{name}.npy"


def load_all(path: Path) -> dict[str, np.ndarray]:
    """Return every array of an .npz file."""
    archive = Npz(path)
    return {name: archive.load(name) for name in archive.shapes}


def write_all(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays that are in memory, all or nothing; the same bytes for the same content."""
    with files.replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            with archive.open(archives.entry(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def write_header(stream: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Write what comes before the values of an array."""
    description = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": description, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
