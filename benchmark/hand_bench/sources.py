"""A predictions file or table as a stream of decoded blocks, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.columns import strings
from hand_bench.declaration import Declaration
from hand_bench.errors import Problem, SubmissionError
from hand_bench.layouts import Columns, PredictionBlock, find_layout

BATCH = 16_384


class PredictionSource:
    """A predictions file or table: its layout, its declaration and its rows as a stream.

    Raises
    ------
    SubmissionError
        On opening: HB101, HB102, HB103, HB110, HB111, HB112, HB113 (all at once).
    """

    def __init__(self, source: Path | pa.Table, name: str):
        self.name = name
        self._table = source if isinstance(source, pa.Table) else None
        self.path = None if isinstance(source, pa.Table) else source
        schema = self._open_schema()
        self.schema = schema
        self.layout = find_layout(schema, name)
        self.declared = Declaration.read(schema.metadata, name)

    @property
    def rows(self) -> int:
        """Number of rows of the file (hands, in the crops layout)."""
        return self._table.num_rows if self._table is not None else self._footer.num_rows

    @property
    def sha256(self) -> str | None:
        """Hash of the file, None for data that is in memory."""
        return files.sha256(self.path) if self.path else None

    def _open_schema(self) -> pa.Schema:
        if self._table is not None:
            schema, rows = self._table.schema, self._table.num_rows
        else:
            self._footer = _read_footer(self.path, self.name)
            schema, rows = self._footer.schema.to_arrow_schema(), self._footer.num_rows
        if rows == 0:
            raise SubmissionError(
                Problem(
                    "HB103",
                    self.name,
                    "has no rows.",
                    cause="An export that was interrupted, or a filter that kept nothing?",
                )
            )
        return schema

    def tables(
        self, columns: Sequence[str] | None = None, size: int = BATCH
    ) -> Iterator[pa.RecordBatch]:
        """Stream the file's own columns in bounded memory (one row group of any size too)."""
        wanted = list(columns) if columns is not None else list(self.layout.columns)
        try:
            if self._table is not None:
                yield from self._table.select(wanted).to_batches(max_chunksize=size)
                return
            with pq.ParquetFile(
                self.path, metadata=self._footer, pre_buffer=False, buffer_size=1 << 20
            ) as parquet:
                yield from parquet.iter_batches(size, columns=wanted, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise SubmissionError(
                Problem(
                    "HB102",
                    self.name,
                    f"cannot be read to its end: {_first_line(error)}",
                    cause="A file that was cut off or damaged while it was copied?",
                )
            ) from error

    def decode(self, table: pa.RecordBatch, start: int) -> PredictionBlock:
        """Turn rows of the file's own layout into a block; `start` is the first row's number.

        Raises
        ------
        SubmissionError
            HB107, HB111, HB112, HB125 with the row.
        """
        return self.layout.decode(Columns(table, self.name, start))

    def blocks(self) -> Iterator[tuple[int, PredictionBlock]]:
        """Stream decoded rows with the number of the first row of each block."""
        start = 0
        for table in self.tables():
            yield start, self.decode(table, start)
            start += table.num_rows

    def ids(self) -> pa.Array:
        """All ids in the order of the file, as plain strings."""
        chunks = [strings(t.column(0)) for t in self.tables(["sample_id"])]
        return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())


def _read_footer(path: Path, name: str) -> pq.FileMetaData:
    if not path.is_file():
        what = "is a folder, not a file." if path.is_dir() else "does not exist."
        fix = "Give the Parquet file inside it." if path.is_dir() else ""
        raise SubmissionError(Problem("HB101", name, what, fix=fix))
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise SubmissionError(
            Problem(
                "HB102",
                name,
                f"is not a readable Parquet file: {_guess_content(path)}.",
                fix="`hand_bench.write_predictions` or `DataFrame.to_parquet` writes one.",
            )
        ) from error


def _guess_content(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(512)
        stream.seek(0, 2)
        size = stream.tell()
        stream.seek(max(0, size - 4))
        tail = stream.read()
    if size == 0:
        return "it is empty (0 bytes)"
    if head.startswith(b"PAR1"):
        damaged = "its footer is damaged" if tail == b"PAR1" else "its end is missing"
        return f"it begins as Parquet but {damaged} ({size:,} bytes): truncated?"
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return "it is a Python pickle (never loaded here)"
    if head.startswith(b"PK"):
        return "it is a ZIP or NPZ archive"
    if head.startswith(b"\x93NUMPY"):
        return "it is a NumPy array"
    try:
        first = head.decode("utf-8").splitlines()[0]
    except (UnicodeDecodeError, IndexError):
        return f"it begins with the bytes {head[:4].hex(' ')}"
    kind = "JSON" if first.lstrip().startswith(("{", "[")) else "CSV" if "," in first else "text"
    return f"it looks like {kind}, beginning {first[:40]!r}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
