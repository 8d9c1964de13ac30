"""Where AssemblyHands' official files are, in which version (facts/assemblyhands.md 1.1, 1.7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hand_bench.errors import DatasetError, Problem

SPLITS = ("train", "val", "test")
#: Folders that users keep the test files in: the release, then those of the challenges (1.1).
FOLDERS = {"test": ("test", "test-iccv2023", "test-eccv2024", "test_HANDS2024")}
_VERSION = re.compile(r"v(\d+)-(\d+)$")


@dataclass(frozen=True)
class Files:
    """The official files of one split: one version, one folder."""

    split: str
    ego_data: Path
    ego_calib: Path
    joint_3d: Path | None
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.ego_data.parent

    @property
    def release(self) -> str:
        """The version as the file's name says it: "v1-1", "iccv23-v1-3"."""
        return _tag(self.ego_data) or "unknown"

    @property
    def all(self) -> list[Path]:
        """Every file that decides the result."""
        return [p for p in (self.ego_data, self.ego_calib, self.joint_3d) if p is not None]


def find_files(root: str | Path, split: str) -> Files:
    """Find the files of a split under ROOT/annotations or ROOT; of several versions the newest.

    Raises
    ------
    DatasetError
        HB202 with every place that was looked at.
    """
    folders = _folders(Path(root), split)
    found = [p for folder in folders for p in _named(folder, split, "ego_data")]
    if not found:
        raise DatasetError(
            Problem(
                "HB202",
                str(root),
                f"holds no annotations of split {split!r}.",
                cause="Looked for "
                f"{' and '.join(str(f / f'assemblyhands_{split}_ego_data*.json') for f in folders)}"
                ".",
                fix="ROOT is the folder that holds annotations/ (and images/), as the README of "
                "the toolkit shows it.",
            )
        )
    newest = max(found, key=_version)  # of equal ones the first
    places = (newest.parent, *(folder for folder in folders if folder != newest.parent))
    kinds = [(folder, kind) for folder in places for kind in ("ego_calib", "*calib")]
    calib = next((paths for place in kinds if (paths := _named(place[0], split, place[1]))), [])
    if not calib:
        raise DatasetError(
            Problem(
                "HB202",
                str(newest.parent),
                f"lacks assemblyhands_{split}_ego_calib_{_tag(newest)}.json.",
                cause="An archive that was unpacked in part?",
            )
        )
    joints = _named(newest.parent, split, "joint_3d")
    chosen = _like(newest, calib)
    notes = _version_notes(newest, found)
    if chosen.parent != newest.parent:
        notes.append(f"{newest.parent.name} holds no calibration; that of {chosen} was read.")
    return Files(split, newest, chosen, _like(newest, joints) if joints else None, tuple(notes))


def find_newest(root: str | Path, split: str, kind: str) -> Path | None:
    """Find the newest file of one kind ("joint_3d", "ego_data") of a split; None without any."""
    folders = _folders(Path(root), split)
    found = [path for folder in folders for path in _named(folder, split, kind)]
    return max(found, key=_version) if found else None


def find_template(root: str | Path, files: Files) -> Path | None:
    """Find a challenge's prediction template beside the files or under ROOT (1.7)."""
    root = Path(root)
    places = (files.folder, root / "annotations", root)
    for folder in (p for place in places for p in (place, place / "template")):
        found = sorted(folder.glob("*pred_template*.json"))
        if found:
            return found[0]
    return None


def _folders(root: Path, split: str) -> list[Path]:
    base = root / "annotations" if (root / "annotations").is_dir() else root
    return [base / name for name in FOLDERS.get(split, (split,))]


def _named(folder: Path, split: str, kind: str) -> list[Path]:
    """Files of a kind; a submission that lies beside them is none of them."""
    paths = sorted(folder.glob(f"assemblyhands_{split}_{kind}*.json"))
    return [path for path in paths if "_pred" not in path.stem]


def _tag(path: Path) -> str:
    return re.split(r"_(?:ego_data|ego_calib|joint_3d|calib)_?", path.stem)[-1]


def _version(path: Path) -> tuple[int, int]:
    found = _VERSION.search(path.stem)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _like(chosen: Path, paths: list[Path]) -> Path:
    """Return the file of the same version, else the newest."""
    same = [path for path in paths if _tag(path) == _tag(chosen)]
    return same[0] if same else max(paths, key=_version)


def _version_notes(newest: Path, found: list[Path]) -> list[str]:
    others = [f"{path.parent.name}/{path.name}" for path in found if path != newest]
    if not others:
        return []
    return [f"{newest.parent.name}/{newest.name} was read, not {', '.join(others)}."]
