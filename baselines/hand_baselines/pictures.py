"""Pictures of a dataset by their place: a row of a shard, or a file.

A place is what the annotations' column ``image`` holds, relative to the dataset's root:
``data/train-00000-of-00008.parquet#17`` is row 17 of a shard, anything else is a picture file.
Shards are read by row groups, whose compressed pictures stay in memory up to a limit, so neighbours
are read once. Every process has its own open files and its own memory.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench.errors import DatasetError, Problem

#: Bytes of compressed pictures that a process keeps.
MEMORY = 256 << 20


class Pictures:
    """Reads pictures; safe to hand to worker processes.

    Parameters
    ----------
    root
        Folder that places are relative to.
    memory
        Bytes of compressed pictures that are kept (the last row group always is).
    """

    def __init__(self, root: str | Path, memory: int = MEMORY):
        self.root, self.memory = Path(root), memory
        self._forget()

    def read(self, place: str) -> np.ndarray:
        """Return a picture (height, width, 3), uint8; a grey one has three equal channels.

        Raises
        ------
        DatasetError
            HB202 where there is no such picture, HB203 where it is damaged.
        """
        from PIL import Image

        if self._owner != os.getpid():
            self._forget()
        name, row = split_place(place)
        try:
            source = self.root / name if row is None else io.BytesIO(self._compressed(name, row))
            with Image.open(source) as picture:
                return np.asarray(picture.convert("RGB"))
        except (FileNotFoundError, IndexError) as error:
            raise _problem("HB202", self.root / place, "there is no such picture.") from error
        except (OSError, pa.ArrowException, Image.DecompressionBombError) as error:
            raise _problem("HB203", self.root / place, f"cannot be read ({error}).") from error

    def _compressed(self, name: str, row: int) -> bytes:
        shard, starts = self._open(name)
        group = int(np.searchsorted(starts, row, side="right")) - 1
        key = (name, group)
        if key not in self._groups:
            self._groups[key] = _read_group(shard, group)
            self._held += self._groups[key].nbytes
            while self._held > self.memory and len(self._groups) > 1:
                self._held -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(key)
        pictures = self._groups[key]
        return pictures[row - int(starts[group])].as_py()

    def _open(self, name: str) -> tuple[pq.ParquetFile, np.ndarray]:
        """Return a shard and at which row each of its row groups starts."""
        if name not in self._shards:
            shard = pq.ParquetFile(self.root / name)
            about = shard.metadata
            rows = [about.row_group(k).num_rows for k in range(about.num_row_groups)]
            self._shards[name] = shard, np.concatenate([[0], np.cumsum(rows)])[:-1]
        return self._shards[name]

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._held = 0
        self._shards: dict[str, tuple[pq.ParquetFile, np.ndarray]] = {}
        self._groups: OrderedDict[tuple[str, int], pa.Array] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root, "memory": self.memory}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(**state)


def split_place(place: str) -> tuple[str, int | None]:
    """Return the file and the row of a place; the row is None where it is a picture file."""
    name, _, row = place.rpartition("#")
    return (name, int(row)) if name and row.isdigit() else (place, None)


def _read_group(shard: pq.ParquetFile, group: int) -> pa.Array:
    table = shard.read_row_group(group, columns=["image.bytes"], use_threads=False)
    return table.column("image").combine_chunks().field("bytes")


def _problem(code: str, place: Path, what: str) -> DatasetError:
    fix = "`hand-bench sim make WORLD` makes a world's pictures; `--images` names another folder."
    return DatasetError(Problem(code, str(place), what, fix=fix))
