"""JSON of unknown origin: repeated keys, damage, endless nesting are problems, not crashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench import files
from hand_bench.errors import Problem, SubmissionError
from hand_bench.formats import archives


class _Repeated(Exception):
    """A key occurs twice in one object."""


def read(path: Path, name: str | None = None) -> Any:
    """Read a JSON file, or the one JSON file of a zip; bare NaN tokens are read as NaN.

    Raises
    ------
    SubmissionError
        HB101, HB130 (damaged, or not the one JSON file of its archive), HB131, HB132.
    """
    if archives.is_zip(path):
        with archives.Archive(path) as archive:
            members = [m for m in archive.names if m.lower().endswith(".json")]
            if len(members) > 1:
                members = [m for m in members if Path(m).name == name]
            if len(members) != 1:
                shown = ", ".join(archive.names[:3]) or "nothing"
                raise damaged(path, f"has no {name or '.json file'} inside; it holds {shown}")
            return loads(archive.read(members[0]), f"{path.name}/{members[0]}")
    return loads(archives.read_bytes(path), path.name)


def loads(data: bytes, where: str) -> Any:
    """Parse JSON; HB130 where it is damaged or nested too deeply, HB132 where a key repeats."""
    try:
        return json.loads(data, object_pairs_hook=_unique)
    except _Repeated as error:
        raise SubmissionError(
            Problem(
                "HB132",
                where,
                f"has the key {str(error)[:80]!r} twice in one object.",
                cause="Which of the two answers is meant cannot be known.",
                fix="Write every key once.",
            )
        ) from None
    except RecursionError:
        raise damaged(where, "is nested too deeply to be predictions") from None
    except (ValueError, MemoryError) as error:
        what = "is empty" if not data.strip() else f"is no JSON ({str(error)[:100]})"
        raise damaged(where, what) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise _Repeated(next(key for key, _ in pairs if key in seen or seen.add(key)))
    return found


def damaged(where: Path | str, what: str, fix: str = "") -> SubmissionError:
    """Build the error of a file that is damaged or of another form (HB130)."""
    name = where.name if isinstance(where, Path) else where
    fix = fix or "`hand-bench convert ls` lists the formats; --from names another one."
    return SubmissionError(Problem("HB130", name, f"{what}.", fix=fix))


def objects(value: Any, where: str, what: str) -> dict[str, Any]:
    """Return a JSON object as it is; HB130 for anything else, which `what` names."""
    if not isinstance(value, dict):
        raise damaged(where, f"has {type(value).__name__} where {what} should be")
    return value


def plain(joints: np.ndarray, decimals: int) -> list:
    """Return an array as nested lists of rounded numbers; the same bytes on every machine."""
    return (np.round(joints.astype(np.float64), decimals) + 0.0).tolist()


def write(path: Path, value: Any, member: str = "") -> None:
    """Write JSON; with `member`, and where the path ends in .zip, inside a zip. All or nothing."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = text.encode() + b"\n"
    if member and path.suffix.lower() == ".zip":
        archives.write_zip(path, {member: data}.items())
        return
    with files.replacing(path) as temporary:
        temporary.write_bytes(data)
