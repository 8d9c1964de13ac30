"""Prepared datasets on this machine: prepare, list, verify, open."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hand_bench import files, plugins
from hand_bench.annotations import FORMAT, Annotations, form_of
from hand_bench.errors import DatasetError, Problem, unknown_name
from hand_bench.sim.worlds import SOURCES
from hand_bench.tracks import Track
from hand_bench.version import __version__

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Dataset:
    """A dataset with a reader: `prepare(root, split, path, progress)` writes a split's table.

    `splits` names the tables that the reader can write: the dataset's splits, and where a split is
    asked in several ways (poses and clips, images and instants) one name for each.
    """

    name: str
    splits: tuple[str, ...]
    reader: str
    #: Whether the official counts apply (not for look-alikes such as the demo).
    official_counts: bool = True

    def prepare(self, root: Path, split: str, path: Path, progress: Progress) -> dict[str, Any]:
        """Run the reader; imported only now, because reading JSON needs more than scoring."""
        import importlib

        return importlib.import_module(self.reader).prepare(root, split, path, progress)


_READERS = "hand_bench.readers"
DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset("interhand26m", ("train", "val", "test"), f"{_READERS}.interhand26m"),
        Dataset(
            "assemblyhands",
            (
                *("train", "val", "test", "two-hand-test", "annotation-test"),
                *("verbs-train", "verbs-val", "verbs-test"),
            ),
            f"{_READERS}.assemblyhands",
        ),
        Dataset("desktop-activities", ("test",), f"{_READERS}.multiview"),
        Dataset(
            "h2o",
            tuple(f"{kind}-{s}" for kind in ("pose", "action") for s in ("train", "val", "test")),
            f"{_READERS}.h2o",
        ),
        Dataset(
            "fpha",
            tuple(f"{kind}-{split}" for kind in ("pose", "action") for split in ("train", "test")),
            f"{_READERS}.fpha",
        ),
        Dataset(
            "arctic",
            tuple(f"{view}-{s}" for view in ("ego", "allo") for s in ("train", "val", "test")),
            f"{_READERS}.arctic",
        ),
        Dataset("egoexo4d", ("train", "val", "test"), f"{_READERS}.egoexo4d"),
        Dataset("epic-handkps", ("val", "test"), f"{_READERS}.epic_handkps"),
        Dataset("stb", ("train", "test", "sk-train", "sk-test"), f"{_READERS}.stb"),
        Dataset("rhd", ("training", "evaluation"), f"{_READERS}.rhd"),
        Dataset("demo", ("test",), f"{_READERS}.interhand26m", official_counts=False),
        *(Dataset(s.name, s.table_names, f"{_READERS}.handsim") for s in SOURCES.values()),
    )
}


def find_dataset(name: str) -> Dataset:
    """Return a dataset by name; HB208 with the nearest one otherwise."""
    if name in DATASETS:
        return DATASETS[name]
    found = plugins.find(plugins.DATASETS, name, Dataset)
    if found is None:
        known = [*DATASETS, *plugins.names(plugins.DATASETS)]
        raise DatasetError(unknown_name("dataset", name, known, "HB208"))
    return found


def folder(dataset: str, split: str) -> Path:
    """Return where a prepared split lives."""
    return files.home() / dataset / split


def quiet(_what: str, _done: int, _total: int) -> None:
    """Report nothing: the default of every `progress` argument."""


def prepare(
    dataset: str,
    root: str | Path,
    *,
    split: str | None = None,
    progress: Progress = quiet,
    again: bool = False,
) -> dict[str, dict[str, Any]]:
    """Turn official files into canonical annotations under the data folder.

    Splits whose official files have not changed since they were prepared are left as they are, so
    a run that was interrupted goes on with the split where it stopped.

    Parameters
    ----------
    dataset, root
        Name, and the folder with the official files.
    split
        One split; default: every split that is there.
    progress
        Called with (what, done, total).
    again
        Prepare even where nothing changed.

    Returns
    -------
    dict
        The manifest of each split, with "skipped" where it was up to date.

    Raises
    ------
    DatasetError
        HB202, HB203, HB204, HB208.
    """
    known = find_dataset(dataset)
    if split is not None and split not in known.splits:
        raise DatasetError(unknown_name(f"split of {dataset}", split, known.splits, "HB208"))
    root = Path(root).expanduser().resolve()
    if not root.is_dir():
        raise DatasetError(Problem("HB202", str(root), "is not a folder."))
    done: dict[str, dict[str, Any]] = {}
    lacking: DatasetError | None = None
    for name in [split] if split else known.splits:
        try:
            done[name] = _prepare_split(known, root, name, progress, again)
        except DatasetError as error:
            if split is not None or error.problems[0].code != "HB202":
                raise
            lacking = error
    if not done and lacking is not None:
        raise lacking
    return done


def _prepare_split(
    dataset: Dataset, root: Path, split: str, progress: Progress, again: bool
) -> dict[str, Any]:
    target = folder(dataset.name, split)
    old = _manifest(target)
    path = target / "annotations.parquet"
    current = form_of(path) == FORMAT
    if old and current and not again and old.get("root") == str(root) and _unchanged(old):
        return old | {"skipped": True}
    summary = dataset.prepare(root, split, path, progress)
    if not dataset.official_counts:
        summary |= {"complete": True, "release": f"hand-bench {__version__}", "expected": {}}
    manifest = {
        "dataset": dataset.name,
        "split": split,
        "root": str(root),
        **summary,
        "files": [_stamp(Path(name)) for name in summary["files"]],
        "sha256": files.sha256(path),
        "hand_bench_version": __version__,
    }
    files.write_json(target / "manifest.json", manifest)
    return manifest


def _stamp(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"path": str(path), "bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def _unchanged(manifest: dict[str, Any]) -> bool:
    if manifest.get("hand_bench_version") != __version__:
        return False
    try:
        return all(_stamp(Path(item["path"])) == item for item in manifest["files"])
    except OSError:
        return False


def _manifest(target: Path) -> dict[str, Any] | None:
    path = target / "manifest.json"
    if not path.is_file() or not (target / "annotations.parquet").is_file():
        return None
    return json.loads(path.read_text("utf-8"))


def count_warnings(manifest: dict[str, Any]) -> list[Problem]:
    """Say which counts are not the official ones (HB205)."""
    if manifest.get("complete", True):
        return []
    counts, expected = manifest["counts"], manifest["expected"]
    differ = [
        f"{counts.get(name, 0) or 0:,} {name}, not {number:,}"
        for name, number in expected.items()
        if number is not None and counts.get(name) != number
    ]
    return [
        Problem(
            "HB205",
            f"{manifest['dataset']} {manifest['split']}",
            f"is not the official release: {'; '.join(differ) or 'its counts are not known'}.",
            cause="A partial copy, another release (another frame rate?) or missing archives.",
            fix="Scores on it are marked partial and cannot be compared with published ones.",
        )
    ]


def prepared() -> list[dict[str, Any]]:
    """Return the manifests of everything that is prepared on this machine."""
    found = [_manifest(path.parent) for path in sorted(files.home().glob("*/*/manifest.json"))]
    return [manifest for manifest in found if manifest]


def verify(dataset: str, *, progress: Progress = quiet) -> list[dict[str, Any]]:
    """Compare every prepared split of a dataset with its manifest.

    Raises
    ------
    DatasetError
        HB201 where nothing is prepared, HB207 where a file changed.
    """
    find_dataset(dataset)
    manifests = [m for m in prepared() if m["dataset"] == dataset]
    if not manifests:
        raise DatasetError(not_prepared(dataset, "ROOT"))
    problems = []
    for k, manifest in enumerate(manifests):
        path = folder(dataset, manifest["split"]) / "annotations.parquet"
        found = files.sha256(path)
        if found != manifest["sha256"]:
            problems.append(
                Problem(
                    "HB207",
                    str(path),
                    f"has hash {found[:12]}..., its manifest says {manifest['sha256'][:12]}....",
                    fix=f"`hand-bench data prepare {dataset} {manifest['root']} --again`",
                )
            )
        progress("verifying", k + 1, len(manifests))
    if problems:
        raise DatasetError(problems)
    return manifests


def open_annotations(track: Track, path: str | Path | None = None) -> Annotations:
    """Open a track's annotations: a given file, or the prepared ones.

    Raises
    ------
    DatasetError
        HB201 with the command that prepares them, HB206 for another kind of file.
    """
    if path is not None:
        return Annotations.open(path)
    default = folder(track.dataset, track.table) / "annotations.parquet"
    if not default.is_file():
        raise DatasetError(not_prepared(track.dataset, "ROOT", track))
    return Annotations.open(default)


def not_prepared(dataset: str, root: str, track: Track | None = None) -> Problem:
    """Build the problem of a dataset that is not prepared."""
    where = f"{dataset} {track.table}" if track else dataset
    return Problem(
        "HB201",
        where,
        f"is not prepared under {files.home()}.",
        cause=f"To get it: {track.obtain}." if track else "",
        fix=f"`hand-bench data prepare {dataset} {root}` or `--annotations FILE`.",
    )
