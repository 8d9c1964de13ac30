"""Hashed ids: what an owner may publish of a dataset whose ids must not be redistributed.

A hash is the first eight bytes of the SHA-256 of the sample id (UTF-8), as an unsigned
little-endian number. With such a list `validate` finds missing, extra and repeated ids where the
dataset is not; the ids themselves cannot be read from it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import files, pairing
from hand_bench.annotations import Annotations
from hand_bench.array_types import Int
from hand_bench.errors import Problem, SubmissionError
from hand_bench.sources import PredictionSource
from hand_bench.version import __version__

FORMAT = "hand-bench hashed ids 1"
COLUMN = "id_hash"


def hash_ids(ids: pa.Array | pa.ChunkedArray) -> Int[np.ndarray, " ids"]:
    """Return the 64-bit hash of each id; a null id has the hash of the empty text."""
    digest = hashlib.sha256
    raw = b"".join(digest((text or "").encode()).digest()[:8] for text in ids.to_pylist())
    return np.frombuffer(raw, "<u8")


def export(annotations: Annotations, path: str | Path) -> int:
    """Write the hashes of a table's ids, in its order; return how many there are."""
    hashes = hash_ids(annotations.ids())
    manifest = annotations.manifest
    about = {name: str(manifest.get(name, "")) for name in ("dataset", "split", "release")}
    metadata = {"format": FORMAT, "hand_bench_version": __version__, **about}
    table = pa.table({COLUMN: pa.array(hashes, pa.uint64())}).replace_schema_metadata(metadata)
    with files.replacing(path) as temporary:
        pq.write_table(table, temporary, compression="none", use_dictionary=False)
    return len(hashes)


def is_hashed(path: str | Path) -> bool:
    """Whether a file is such a list (False for anything that is no Parquet file)."""
    try:
        return COLUMN in pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return False


class HashedIds:
    """The ids of a track as hashes; takes the place of annotations in `pairing.Selection`."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            column = pq.read_table(path, columns=[COLUMN]).column(COLUMN)
        except (pa.ArrowException, OSError) as error:
            what = f"cannot be read as hashed ids ({type(error).__name__})."
            raise SubmissionError(Problem("HB102", str(path), what)) from error
        self._ids = pa.chunked_array([_texts(column.to_numpy())])

    @property
    def rows(self) -> int:
        """Number of ids."""
        return len(self._ids)

    def ids(self) -> pa.ChunkedArray:
        """The hashes in order, as texts."""
        return self._ids

    def coverage(self, source: PredictionSource) -> pairing.Coverage:
        """Compare a file's ids with the hashes."""
        named = source.ids()
        hashed = _HashedSource(source, pa.chunked_array([_texts(hash_ids(named))]))
        position, coverage = pairing.join(
            pairing.Selection(self),  # type: ignore[arg-type]
            hashed,  # type: ignore[arg-type]
        )
        coverage.absent_sequences = []
        if coverage.missing:
            text = coverage.examples["missing"][0]
            coverage.examples["missing"] = [f"the one whose hash is {text}"]
        if coverage.extra:
            coverage.examples["extra"] = [str(named[int((position < 0).argmax())])]
        return coverage


class _HashedSource:
    """A predictions file whose ids are seen as hashes."""

    def __init__(self, source: PredictionSource, ids: pa.ChunkedArray):
        self.layout, self.tables, self._ids = source.layout, source.tables, ids

    def ids(self) -> pa.ChunkedArray:
        return self._ids


def _texts(hashes: np.ndarray) -> pa.Array:
    return pa.array([f"{value:016x}" for value in hashes.tolist()], pa.string())
