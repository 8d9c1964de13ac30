"""A predictions file or table as a stream of decoded blocks, in bounded memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.checks import merge, problems_of
from hand_bench.columns import strings
from hand_bench.declaration import Declaration
from hand_bench.errors import Problem, SubmissionError
from hand_bench.layouts import Columns, Finding, PredictionBlock, find_layout

BATCH = 8_192
#: What Arrow raises for a damaged file (a UnicodeDecodeError for the names of its columns).
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)


class PredictionSource:
    """A predictions file or table: its layout, its declaration and its rows as a stream.

    Raises
    ------
    SubmissionError
        On opening: HB101 or HB102, or HB103, HB110, HB111, HB112 and HB113 all at once.
    """

    def __init__(self, source: Path | pa.Table, name: str, kind: str = "pose"):
        self.name, self.kind = name, kind
        self._table = source if isinstance(source, pa.Table) else None
        self.path = None if isinstance(source, pa.Table) else source
        if isinstance(source, pa.Table):
            self.schema = source.schema
        else:
            self._footer, self.schema = _read_footer(source, name)
        self.layout, problems = find_layout(self.schema, name, kind)
        try:
            self.declared = Declaration.read(self.schema.metadata, name, kind)
        except SubmissionError as error:
            problems += error.problems
        if self.rows == 0:
            problems.append(
                Problem(
                    "HB103",
                    name,
                    "has no rows.",
                    cause="An export that was interrupted, or a filter that kept nothing?",
                    fix="`hand-bench template --track TRACK -o FILE` writes a row per sample.",
                )
            )
        if problems:
            raise SubmissionError(sorted(problems, key=lambda problem: problem.code))

    @property
    def rows(self) -> int:
        """Number of rows of the file (hands, in the crops layout)."""
        return self._table.num_rows if self._table is not None else self._footer.num_rows

    @property
    def sha256(self) -> str | None:
        """Hash of the file, None for data that is in memory."""
        return files.sha256(self.path) if self.path else None

    def tables(
        self, columns: Sequence[str] | None = None, size: int = BATCH
    ) -> Iterator[pa.RecordBatch]:
        """Stream the file's own columns in bounded memory (one row group of any size too)."""
        wanted = list(columns) if columns is not None else list(self.layout.columns)
        if self._table is not None:
            yield from self._table.select(wanted).to_batches(max_chunksize=size)
            return
        done = 0
        try:
            with pq.ParquetFile(
                self.path, metadata=self._footer, pre_buffer=False, buffer_size=1 << 20,
                page_checksum_verification=True,
            ) as parquet:  # fmt: skip
                for table in parquet.iter_batches(size, columns=wanted, use_threads=False):
                    yield table
                    done += table.num_rows
        except _DAMAGE as error:
            raise SubmissionError(self._damaged(done, error)) from error
        if done != self.rows:
            raise SubmissionError(self._damaged(done))

    def _damaged(self, done: int, error: Exception | None = None) -> Problem:
        if isinstance(error, NotImplementedError):  # pyarrow, of an encoding it cannot read
            cause, fix = _first_line(error), "`hand_bench.write_predictions` writes a plain file."
        else:
            cause = "Bytes that were lost or overwritten when it was copied?"
            fix = "Copy it again, and compare both copies with `sha256sum`."
        what = f"is damaged: reading stops after {done:,} of its {self.rows:,} rows."
        return Problem("HB102", self.name, what, cause, fix)

    def decode(self, table: pa.RecordBatch, start: int) -> PredictionBlock:
        """Turn rows of the file's own layout into a block; `start` is the first row's number.

        Rows that cannot be decoded (HB107, HB112, HB114, HB115, HB125) are in its `findings`.
        """
        return self.layout.decode(Columns(table, start))

    def blocks(self) -> Iterator[tuple[int, PredictionBlock]]:
        """Stream decoded rows with the number of the first row of each block.

        Raises
        ------
        SubmissionError
            At the end, with all findings that no `ValueChecks` took over from their block.
        """
        start = 0
        left: dict[tuple[str, str], Finding] = {}
        for table in self.tables():
            block = self.decode(table, start)
            yield start, block
            for finding in block.findings:
                merge(left, finding)
            start += table.num_rows
        if left:
            raise SubmissionError(problems_of(left.values(), self.name))

    def ids(self) -> pa.ChunkedArray:
        """All ids in the order of the file, as plain strings."""
        chunks = [strings(t.column(0)) for t in self.tables(["sample_id"])]
        return pa.chunked_array(chunks, pa.string())


def _read_footer(path: Path, name: str) -> tuple[pq.FileMetaData, pa.Schema]:
    _require_file(path)
    try:
        footer = pq.read_metadata(path)
        return footer, footer.schema.to_arrow_schema()
    except _DAMAGE as error:
        what, fix = _guess_content(path)
        raise SubmissionError(
            Problem("HB102", name, f"is not a readable Parquet file: {what}.", fix=fix)
        ) from error


def _require_file(path: Path) -> None:
    if path.is_dir():
        what, fix = "is a folder, not a file.", "Give the Parquet file inside it."
        parts = sorted(p.name for p in path.glob("*.parquet"))
        if len(parts) > 1:
            what = f"is a folder with {len(parts):,} Parquet files, e.g. {parts[0]}."
            fix = "`pandas.read_parquet(FOLDER).to_parquet(FILE)` joins them."
        raise SubmissionError(Problem("HB101", str(path), what, fix=fix))
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "not a regular file")  # opening a pipe would wait for ever
        with path.open("rb"):
            return
    except (OSError, ValueError) as error:
        what, fix = f"cannot be opened ({getattr(error, 'strerror', error)}).", ""
        if isinstance(error, FileNotFoundError):
            what = "does not exist."
            fix = "`hand-bench template --track TRACK -o FILE` writes a file to fill in."
        raise SubmissionError(Problem("HB101", str(path), what, fix=fix)) from error


#: How files of other kinds begin, and what turns them into predictions.
_SIGNATURES = (
    (b"PK", "a ZIP or NPZ archive", "numpy.load"),
    (b"\x93NUMPY", "a NumPy array", "numpy.load"),
    (b"\x89HDF", "an HDF5 file", ""),
    (b"ARROW1", "an Arrow (Feather) file", "pyarrow.feather.read_table"),
    (b"\x1f\x8b", "a gzip archive", ""),
    *((b"\x80" + bytes([v]), "a Python pickle (never loaded here)", "") for v in range(2, 6)),
)  # fmt: skip


def _guess_content(path: Path) -> tuple[str, str]:
    """Say what a file that is no Parquet file looks like, and what to do with it."""
    fix = "`hand_bench.write_predictions` or `pandas.DataFrame.to_parquet` writes one."
    with path.open("rb") as stream:
        head = stream.read(512)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 4))
        tail = stream.read()
    if size == 0:
        return "it is empty (0 bytes)", "Was it written to its end? " + fix
    if head.startswith(b"PAR1"):
        fix = "Copy it again, and compare both copies with `sha256sum`."
        if tail == b"PAR1":
            return f"it begins and ends as one, but its footer is damaged ({size:,} bytes)", fix
        return f"it begins as one, but its end is missing ({size:,} bytes)", fix
    for start, kind, reader in _SIGNATURES:
        if head.startswith(start):
            return f"it is {kind}", f"Read it with `{reader}`; " * bool(reader) + fix
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return f"it begins with the bytes {head[:4].hex(' ')}", fix
    first = (text.splitlines() or [""])[0]
    if text.lstrip().startswith(("{", "[")):
        return f"it looks like JSON, beginning with {first[:40]!r}", fix
    if "," in first:
        fix = "`pandas.read_csv(CSV).to_parquet(FILE)` converts it (joints in columns " \
              "right_joints_0 to right_joints_62, and the same for left)."  # fmt: skip
        return f"it looks like CSV, beginning with {first[:40]!r}", fix
    return f"it looks like text, beginning with {first[:40]!r}", fix


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
