"""The samples of a track by what official files call them: sequence, camera, frame, image, id."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench.array_types import Int
from hand_bench.arrow import numbers
from hand_bench.data import open_annotations
from hand_bench.tracks import Track

#: Which hands (right, left) a sample asks, by its hand_type; where that is not known, both.
_ASKED = {"right": (True, False), "left": (False, True)}
_AMBIGUOUS = -2


class Samples:
    """Ids and places of all samples of a track, in the order of its annotations.

    Raises
    ------
    DatasetError
        HB201 where the annotations are not there.
    """

    def __init__(self, track: Track, annotations: str | Path | None):
        self.track, self._opened = track, open_annotations(track, annotations)
        self._ids = self._opened.ids()
        self.ids: list[str] = self._ids.to_pylist()

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: pa.Array) -> Int[np.ndarray, " rows"]:
        """The position of each id, -1 for one that is not a sample of the track."""
        found = pc.index_in(ids, value_set=self._value_set, skip_nulls=True)
        return numbers(found, null=-1).astype(np.int64)

    @cached_property
    def _value_set(self) -> pa.Array:
        return self._ids.combine_chunks()

    def _texts(self, name: str) -> list[str | None]:
        return self._opened.table([name]).column(name).to_pylist()

    @cached_property
    def sequence(self) -> list[str | None]:
        """The sequence of every sample."""
        return self._texts("sequence")

    @cached_property
    def camera(self) -> list[str | None]:
        """The camera of every sample, None where it has several."""
        return self._texts("camera")

    @cached_property
    def image(self) -> list[str | None]:
        """The image of every sample."""
        return self._texts("image")

    @cached_property
    def frame(self) -> list[int | None]:
        """The frame number of every sample."""
        return self._texts("frame")  # type: ignore[return-value]

    @cached_property
    def annotation_id(self) -> list[int | None]:
        """The official number of every sample."""
        return self._texts("annotation_id")  # type: ignore[return-value]

    @cached_property
    def hand_type(self) -> list[str | None]:
        """Which hands every sample asks: "right", "left", "interacting" or None."""
        return self._texts("hand_type")

    @cached_property
    def asked(self) -> np.ndarray:
        """Which hands (right, left) are asked; both where the annotations do not say."""
        pairs = [_ASKED.get(kind or "", (kind is not None,) * 2) for kind in self.hand_type]
        if all(kind is None for kind in self.hand_type):
            pairs = [(True, True)] * len(pairs)
        return np.array(pairs, bool).reshape(-1, 2)

    @cached_property
    def by_frame(self) -> dict[tuple[str | None, int | None], int]:
        """Positions by sequence and frame."""
        places = zip(self.sequence, self.frame, strict=True)
        return {place: k for k, place in enumerate(places)}

    @cached_property
    def by_view(self) -> dict[tuple[str | None, str | None, int | None], int]:
        """Positions by sequence, camera and frame."""
        places = zip(self.sequence, self.camera, self.frame, strict=True)
        return {place: k for k, place in enumerate(places)}

    @cached_property
    def _by_image(self) -> tuple[dict[tuple[str, ...], int], list[int]]:
        """Positions by endings of the images' paths, and how many parts tell each image apart.

        What tells an image apart begins with its sequence. Endings of several are ambiguous.
        """
        known: dict[tuple[str, ...], int] = {}
        needed = []
        for k, (image, sequence) in enumerate(zip(self.image, self.sequence, strict=True)):
            parts = _parts(image or "")
            needed.append(_parts_from(parts, tuple((sequence or "").split("/"))))
            for count in range(1, needed[-1] + 1):
                ending = parts[-count:]
                known[ending] = _AMBIGUOUS if known.get(ending, k) != k else k
        return known, needed

    def of_image(self, path: str) -> int:
        """The position of an image; roots may differ, from the sequence on the path must agree.

        -1 where there is none, -2 where the given path is too short to tell images apart.
        """
        known, needed = self._by_image
        parts = _parts(path)
        for start in range(len(parts)):
            found = known.get(parts[start:])
            if found == _AMBIGUOUS:
                return _AMBIGUOUS if start == 0 else -1
            if found is not None:
                return found if start == 0 or len(parts) - start >= needed[found] else -1
        return -1

    def missing_note(self, answered: int) -> list[str]:
        """Say how many samples have no answer in a file; nothing where all have one."""
        lacking = len(self) - answered
        if not lacking:
            return []
        return [
            f"{lacking:,} of {len(self):,} samples of {self.track.name} are not in the file and "
            "have no row; `evaluate` will say so (HB104)."
        ]


def frame_number(text: str) -> int | None:
    """Return the number of a frame key, padded or not; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def _parts(path: str) -> tuple[str, ...]:
    pure = PurePosixPath(path.replace("\\", "/"))
    parts = tuple(part for part in pure.parts if part not in ("/", ".", ".."))
    return (*parts[:-1], pure.stem) if parts else ()


def _parts_from(parts: tuple[str, ...], sequence: tuple[str, ...]) -> int:
    """How many parts a path has from its sequence on; the last two where it does not name it."""
    for start in range(len(parts) - len(sequence), -1, -1):
        if parts[start : start + len(sequence)] == sequence:
            return len(parts) - start
    return min(2, len(parts))
