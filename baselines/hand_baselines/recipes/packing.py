"""Archives of what was made: few files, none of them large.

A bare GPU host gives back few files of limited size, so everything of a recipe is one archive, or
as many as its weights need: ``unzip 'OUT/*.zip' -d baselines/weights`` makes the folder of them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from hand_bench import files

#: Bytes of an archive; what is larger by itself has one of its own.
MAX_ARCHIVE = 16 << 20
#: Bytes that a file's place in an archive takes.
_HEAD = 1024


def pack(
    name: str, members: Mapping[str, Path], out: Path, *, most: int = MAX_ARCHIVE
) -> list[Path]:
    """Write files into ``out/NAME.zip``, or NAME-1-of-N.zip and so on; return the archives.

    Parameters
    ----------
    name
        Of the folder in which all files are in the archives.
    members
        Path in that folder -> file.
    out
        Where the archives go. Those of the same name that were there before are removed.
    most
        Bytes of an archive.
    """
    lots = _lots(members, most)
    names = [f"{name}.zip"]
    if len(lots) > 1:
        names = [f"{name}-{k}-of-{len(lots)}.zip" for k in range(1, len(lots) + 1)]
    for old in (*out.glob(f"{name}.zip"), *out.glob(f"{name}-*-of-*.zip")):
        if old.name not in names:
            old.unlink()
    for archive, lot in zip(names, lots, strict=True):
        with files.replacing(out / archive) as temporary:
            _write(temporary, {f"{name}/{place}": members[place] for place in lot})
    return [out / archive for archive in names]


def _lots(members: Mapping[str, Path], most: int) -> list[list[str]]:
    """Share files out, the largest first, each into the first archive that has room."""
    sizes = {place: path.stat().st_size + _HEAD for place, path in members.items()}
    lots: list[list[str]] = []
    for place in sorted(sizes, key=lambda one: (-sizes[one], one)):
        fitting = (lot for lot in lots if sum(sizes[k] for k in lot) + sizes[place] <= most)
        lot = next(fitting, None)
        if lot is None:
            lots.append(lot := [])
        lot.append(place)
    return lots


def _write(path: Path, members: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, member in members.items():
            archive.write(member, place)
