"""The folder of a site: written beside its place, and put there when it is complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hand_bench.errors import HandBenchError, Problem

#: What every site holds, so that a folder with something else is never removed.
MARK = "site.json"
#: Browsers stay quick, and phones too.
LARGEST_PAGE = 1_000_000


@dataclass(frozen=True)
class SiteFolder:
    """A folder that is being filled."""

    path: Path

    def write(self, name: str, content: str | bytes) -> None:
        """Write one file; its name is a path below the folder and nothing else.

        Raises
        ------
        ValueError
            For a name that leads elsewhere: names come from tracks and submissions.
        """
        target = self.path.joinpath(*name.split("/"))
        if ".." in name.split("/") or not target.is_relative_to(self.path) or "\\" in name:
            raise ValueError(f"{name!r} is no place in a site")
        data = content.encode("utf-8") if isinstance(content, str) else content
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def large_pages(folder: Path) -> list[Path]:
    """Return the pages and data files of a site that are larger than a page should be."""
    return [
        path for path in sorted(folder.rglob("*"))
        if path.suffix in (".html", ".js") and path.stat().st_size > LARGEST_PAGE
    ]  # fmt: skip


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[SiteFolder]:
    """Give a folder to fill that takes the place of `out` only if the block succeeds.

    Raises
    ------
    HandBenchError
        HB402 where `out` holds anything but a site, or cannot be written.
    """
    if out.is_symlink() or (out.exists() and not is_replaceable(out)):
        raise HandBenchError(
            Problem("HB402", str(out), "holds something else than a site.",
                    fix="Give a new folder: `-o FOLDER`.")
        )  # fmt: skip
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
        try:
            yield SiteFolder(temporary)
            temporary.chmod(0o777 & ~_umask())
            _put(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise HandBenchError(
            Problem("HB402", str(out), f"cannot be written: {reason}.", fix="Give another place.")
        ) from error


def is_replaceable(out: Path) -> bool:
    """Whether a folder is empty, or holds a site that a build made."""
    return out.is_dir() and (not any(out.iterdir()) or (out / MARK).is_file())


def _put(temporary: Path, out: Path) -> None:
    """Exchange the old folder for the new one."""
    if not out.exists():
        temporary.replace(out)
        return
    old = temporary.with_name(f"{temporary.name}-old")
    out.replace(old)
    temporary.replace(out)
    shutil.rmtree(old)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
