"""Zip archives of unknown origin: checked before anything is read, never unpacked to disk."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from hand_bench import files
from hand_bench.columns import printable
from hand_bench.errors import Problem, SubmissionError

#: What an archive may hold at most: files, bytes once unpacked, and bytes of one file.
MEMBERS = 200_000
TOTAL = 16 << 30
MEMBER = 8 << 30
#: What is unpacked into memory as a whole at most; larger files are read in pieces.
WHOLE = 2 << 30
#: What zipfile raises for damage; NotImplementedError and RuntimeError are its words for a kind of
#: compression it lacks, and for encrypted files.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError,
           ValueError, MemoryError)  # fmt: skip


def require_file(path: Path) -> None:
    """Raise HB101 unless the path is a file that can be opened."""
    if path.is_file():
        return
    what = "is a folder, not a file." if path.is_dir() else "does not exist."
    raise SubmissionError(Problem("HB101", str(path), what))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file; HB101 where that cannot be done."""
    require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"cannot be opened ({error.strerror})."
        raise SubmissionError(Problem("HB101", str(path), what)) from error


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip does; HB101 where it cannot be opened."""
    require_file(path)
    try:
        with path.open("rb") as stream:
            return stream.read(2) == b"PK"
    except OSError as error:
        what = f"cannot be opened ({error.strerror})."
        raise SubmissionError(Problem("HB101", str(path), what)) from error


class Archive:
    """An open zip whose names and sizes have been checked.

    Raises
    ------
    SubmissionError
        HB130 where it is damaged; HB131 for too many or too large files, encrypted ones, links,
        names that lead outside or that repeat.
    """

    def __init__(self, source: Path | bytes, name: str = ""):
        self.name = name or (source.name if isinstance(source, Path) else "archive")
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        try:
            self._zip = zipfile.ZipFile(stream)
        except _DAMAGE as error:
            raise self._damaged("is no zip archive, or its end is missing", error) from error
        try:
            self._check(self._zip.infolist())
        except SubmissionError:
            self._zip.close()
            raise
        self.names = [i.filename for i in self._zip.infolist() if not i.is_dir()]

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """Return a file's bytes; HB130 where they are damaged, HB131 where they are too many."""
        try:
            size = self._zip.getinfo(name).file_size
            if size > WHOLE:
                shown = printable(name)
                raise self._unsafe(f"unpacks {shown!r} to {size:,} bytes; at most {WHOLE:,} fit")
            return self._zip.read(name)
        except _DAMAGE as error:
            raise self._damaged(f"has a damaged file {printable(name)}", error) from error

    def open(self, name: str) -> BinaryIO:
        """Open a file of the archive as a stream."""
        try:
            return self._zip.open(name)  # type: ignore[return-value]
        except _DAMAGE as error:
            raise self._damaged(f"has a damaged file {printable(name)}", error) from error

    def _check(self, members: list[zipfile.ZipInfo]) -> None:
        total = sum(member.file_size for member in members)
        if len(members) > MEMBERS:
            raise self._unsafe(f"holds {len(members):,} files; at most {MEMBERS:,} are read")
        if total > TOTAL:
            raise self._unsafe(f"unpacks to {total:,} bytes; at most {TOTAL:,} are read")
        seen: set[str] = set()
        for member in members:
            fault = _fault(member)
            if fault is None and member.filename in seen:
                fault = "occurs twice"
            if fault is not None:
                raise self._unsafe(f"has a file {printable(member.orig_filename)!r} that {fault}")
            seen.add(member.filename)

    def _unsafe(self, what: str) -> SubmissionError:
        fix = "Pack the files again, with plain relative names."
        return SubmissionError(Problem("HB131", self.name, f"{what}.", fix=fix))

    def _damaged(self, what: str, error: BaseException) -> SubmissionError:
        detail = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        fix = "Copy it again, and compare both copies with `sha256sum`."
        return SubmissionError(Problem("HB130", self.name, f"{what} ({detail}).", fix=fix))


def _fault(member: zipfile.ZipInfo) -> str | None:
    """Say what is unsafe about a file of an archive."""
    name = member.orig_filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name:
        return "leads outside"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.file_size > MEMBER:
        return f"unpacks to {member.file_size:,} bytes (at most {MEMBER:,})"
    return None


def entry(name: str) -> zipfile.ZipInfo:
    """Return the header of a file to write: no time, no owner, so that bytes repeat."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    info.create_system = 3
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def pack(members: Iterable[tuple[str, bytes]], *, compressed: bool = True) -> bytes:
    """Return a small zip as bytes, the same for the same content."""
    stream = io.BytesIO()
    _pack(stream, members, compressed)
    return stream.getvalue()


def write_zip(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a zip of (name, bytes) pairs, all or nothing; the same bytes for the same content."""
    with files.replacing(path) as temporary, temporary.open("wb") as stream:
        _pack(stream, members, True)


def _pack(stream: BinaryIO, members: Iterable[tuple[str, bytes]], compressed: bool) -> None:
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members:
            info = entry(name)
            if not compressed:
                info.compress_type = zipfile.ZIP_STORED
            archive.writestr(info, data)
