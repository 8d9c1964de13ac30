"""Large JSON files as streams, and numbers that grow while they are read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ijson
import numpy as np

from hand_bench.errors import DatasetError, Problem

Progress = Callable[[str, int, int], None]


def items(path: Path, key: str, progress: Progress) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list of the file's top object, one at a time."""
    total, what = path.stat().st_size, f"{path.name}: {key}"
    with path.open("rb") as stream:
        for k, item in enumerate(ijson.items(stream, f"{key}.item", use_float=True)):
            if k % 4096 == 0:
                progress(what, stream.tell(), total)
            yield item
    progress(what, total, total)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged or unexpected file raises into HB203."""
    try:
        yield
    except ijson.JSONError as error:
        what = f"is not valid JSON: {str(error).splitlines()[0]}"
        cause = "A download or an unpacking that was cut off?"
        raise DatasetError(Problem("HB203", str(path), what, cause=cause)) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"has another form than documented: {type(error).__name__} {error}."
        cause = "A file of another dataset or release?"
        raise DatasetError(Problem("HB203", str(path), what, cause=cause)) from error


class Growing:
    """Rows of numbers collected into chunks."""

    def __init__(self, dtype: Any, width: int):
        self.dtype, self.width = dtype, width
        self.chunks: list[np.ndarray] = []
        self.rows: list[Any] = []

    def add(self, row: Any) -> None:
        """Append a row; ValueError for a row of another length."""
        if len(row) != self.width:
            raise ValueError(f"{len(row)} numbers, not {self.width}: {row!r:.60}")
        self.rows.append(row)
        if len(self.rows) == 65_536:
            self._close()

    def _close(self) -> None:
        if self.rows:
            self.chunks.append(np.array(self.rows, self.dtype).reshape(-1, self.width))
            self.rows = []

    def array(self) -> np.ndarray:
        """Return all rows."""
        self._close()
        return np.concatenate([np.zeros((0, self.width), self.dtype), *self.chunks])
