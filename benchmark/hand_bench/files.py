"""Files: where prepared data lives, writing without half-written results, hashes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hand_bench.errors import HandBenchError, Problem


def home() -> Path:
    """Return the folder of prepared datasets: $HAND_BENCH_HOME, or the platform's data folder."""
    chosen = os.environ.get("HAND_BENCH_HOME")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("hand-bench", appauthor=False))


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that becomes `path` only if the block succeeds.

    Raises
    ------
    HandBenchError
        HB402 where the folder cannot be written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix or ".tmp"
        )
    except OSError as error:
        raise _not_writable(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise _not_writable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(*paths: str | Path | None) -> None:
    """Raise HB402 now for a place that could not be written to after long work."""
    for path in paths:
        if path is not None:
            folder = next(p for p in Path(path).parents if p.exists())
            if not folder.is_dir():
                raise _not_writable(Path(path), NotADirectoryError(0, f"{folder} is a file"))
            if not os.access(folder, os.W_OK):
                raise _not_writable(
                    Path(path), PermissionError(0, f"no right to write in {folder}")
                )
            if Path(path).is_dir():
                raise _not_writable(Path(path), IsADirectoryError(0, "it is a folder"))


def _not_writable(path: Path, error: OSError) -> HandBenchError:
    reason = error.strerror or str(error)
    return HandBenchError(
        Problem("HB402", str(path), f"cannot be written: {reason}.", fix="Give another place.")
    )


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as readable JSON, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: str | Path) -> Any:
    """Read what `write_json` wrote; OSError or ValueError where there is no such thing."""
    return json.loads(Path(path).read_text("utf-8"))


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
