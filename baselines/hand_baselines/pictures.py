"""Pictures and masks of a dataset by their place: a row of a shard, or a file.

A place is what the annotations' columns ``image`` and ``mask`` hold, relative to the dataset's
root: ``data/train-00000-of-00008.parquet#17`` is row 17 of a shard, anything else is a file.
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

from hand_bench.array_types import Bool, Float, Int
from hand_bench.errors import DatasetError, Problem
from hand_bench.sim.scene import OBJECT_PART, PARTS_OF_HAND

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
        return self._decoded(place, "image")

    def read_parts(self, place: str) -> Int[np.ndarray, "height width"]:
        """Return a mask of parts, uint8; `hand_bench.annotations` says what the numbers mean.

        Raises
        ------
        DatasetError
            HB202 where there is no such mask, HB203 where it is damaged or a picture of colours.
        """
        return self._decoded(place, "mask")

    def read_hands(self, place: str) -> Bool[np.ndarray, "2 height width"]:
        """Return which pixels of a mask show the right hand and which the left one.

        See `hands_of`; raises as `read_parts`.
        """
        return hands_of(self.read_parts(place))

    def _decoded(self, place: str, column: str) -> np.ndarray:
        from PIL import Image

        if self._owner != os.getpid():
            self._forget()
        name, row = split_place(place)
        noun = "picture" if column == "image" else column
        try:
            source = self.root / name if row is None else self._compressed(name, row, column)
            with Image.open(source) as picture:
                if column == "image":
                    return np.asarray(picture.convert("RGB"))
                if picture.mode not in ("L", "P"):
                    raise OSError(f"its pixels are {picture.mode}, not numbers of parts")
                return np.asarray(picture)
        except (FileNotFoundError, IndexError, KeyError) as error:
            raise _problem("HB202", self.root / place, f"there is no such {noun}.") from error
        except (OSError, pa.ArrowException, Image.DecompressionBombError) as error:
            raise _problem("HB203", self.root / place, f"cannot be read ({error}).") from error

    def _compressed(self, name: str, row: int, column: str) -> io.BytesIO:
        shard, starts = self._open(name)
        group = int(np.searchsorted(starts, row, side="right")) - 1
        key = (name, group, column)
        if key not in self._groups:
            self._groups[key] = _read_group(shard, group, column)
            self._held += self._groups[key].nbytes
            while self._held > self.memory and len(self._groups) > 1:
                self._held -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(key)
        return io.BytesIO(self._groups[key][row - int(starts[group])].as_py())

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
        self._groups: OrderedDict[tuple[str, int, str], pa.Array] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root, "memory": self.memory}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(**state)


def hands_of(parts: Int[np.ndarray, "height width"]) -> Bool[np.ndarray, "2 height width"]:
    """Return which pixels of a mask of parts show the right hand and which the left one.

    Hands end at the wrist: forearms and sleeves belong to neither. What something hides is not
    shown.
    """
    # 0 wraps around: of unsigned numbers only a hand's own are less than the number of its parts.
    first = parts.astype(np.uint8) - np.uint8(1)
    return np.stack([first < PARTS_OF_HAND, first - np.uint8(PARTS_OF_HAND) < PARTS_OF_HAND])


def touched_outlines(parts: Int[np.ndarray, "height width"]) -> Float[np.ndarray, " 2"]:
    """Return how much of each hand's outline touches an object or the other hand, right first.

    The share of the pixels beside the hand that show one of these; NaN where the hand is not
    shown. What covers a part of a hand touches its outline, so a hand with (nearly) 0 is
    unoccluded; one that holds something may be. Of 425 hands in HandSim's egocentric worlds 27 %
    have at most 0.05, and 95 % of these show at least 0.9 of their silhouette.
    """
    hands = hands_of(parts)
    others = hands[::-1] | (parts == OBJECT_PART)
    shares = np.full(2, np.nan)
    for side, (hand, other) in enumerate(zip(hands, others, strict=True)):
        beside = np.zeros_like(hand)
        beside[1:] |= hand[:-1]
        beside[:-1] |= hand[1:]
        beside[:, 1:] |= hand[:, :-1]
        beside[:, :-1] |= hand[:, 1:]
        beside &= ~hand
        if beside.any():
            shares[side] = np.count_nonzero(beside & other) / np.count_nonzero(beside)
    return shares


def split_place(place: str) -> tuple[str, int | None]:
    """Return the file and the row of a place; the row is None where it is a picture file."""
    name, _, row = place.rpartition("#")
    return (name, int(row)) if name and row.isdigit() else (place, None)


def _read_group(shard: pq.ParquetFile, group: int, column: str) -> pa.Array:
    table = shard.read_row_group(group, columns=[f"{column}.bytes"], use_threads=False)
    return table.column(column).combine_chunks().field("bytes")


def _problem(code: str, place: Path, what: str) -> DatasetError:
    fix = "`hand-bench sim make WORLD` makes a world's pictures; `--images` names another folder."
    return DatasetError(Problem(code, str(place), what, fix=fix))
