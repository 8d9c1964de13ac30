"""Making a world: shards in parallel, resumed where a run stopped, and its annotations."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hand_bench import data, files, shards
from hand_bench.annotations import VIEWS
from hand_bench.data import quiet
from hand_bench.errors import HandBenchError, Problem, TrackError, unknown_name
from hand_bench.sim.worlds import SIZES, VERSION, Source, find_world

#: Recordings that share a shard, so that a shard takes seconds to minutes.
PICTURES_PER_SHARD = 1_500
#: What a stored picture takes with its labels, by its longer side (bytes).
BYTES_PER_PICTURE = 0.35


@dataclass(frozen=True)
class Job:
    """One shard: which recordings of a table's split it holds."""

    world: str
    size: str
    seed: int
    prefix: str
    split: str
    number: int
    total: int
    recordings: tuple[tuple[int, int], ...]

    @property
    def file(self) -> str:
        """Name of the file in the world's folder."""
        stem = f"{self.prefix}-{self.split}" if self.prefix else self.split
        return f"data/{stem}-{self.number:05d}-of-{self.total:05d}.parquet"

    @property
    def about(self) -> dict[str, str]:
        """What the shard is made from."""
        return {
            "world": self.world,
            "version": str(VERSION),
            "size": self.size,
            "seed": str(self.seed),
            "table": f"{self.prefix} {self.split} {self.number} of {self.total}",
        }


def make(
    world: str,
    *,
    size: str = "small",
    seed: int = 0,
    tables: Collection[str] = (),
    workers: int | None = None,
    out: str | Path | None = None,
    progress: Callable[[str, int, int], None] = quiet,
) -> Path:
    """Make a world: pictures as shards, and annotations that are scorable at once.

    Shards that are there already, made from the same, are left as they are.

    Parameters
    ----------
    world
        Name of a world.
    size
        "mini", "small" or "full".
    seed
        Another seed gives other people, places and motions.
    tables
        Which tables are made and prepared ("train", "pose-train"); default: all. Others of the same
        size and seed that are there stay. Tables of images and of clips share their pictures.
    workers
        Processes; the bytes do not depend on it.
    out
        Folder; default: the data folder's place for the world.
    progress
        Called with (what, done, total).

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TrackError
        HB301 for an unknown world, size or table.
    HandBenchError
        HB401 without the extra `sim`, HB402 where there is not enough room.
    """
    source = find_world(world)
    if size not in SIZES:
        raise TrackError(unknown_name("size", size, SIZES))
    if seed < 0:
        raise TrackError(Problem("HB301", "", f"seed {seed} is negative.", fix="Give 0 or more."))
    for table in set(tables).difference(source.table_names):
        raise TrackError(unknown_name(f"table of {source.name}", table, source.table_names))
    _require_sim()
    folder = Path(out) if out is not None else files.home() / source.name
    wanted = _of_tables(source, jobs(source, size, seed), tables)
    todo = [job for job in wanted if shards_differ(folder, job)]
    _require_room(folder, source, size, len(todo))
    total = len(wanted)
    done = total - len(todo)
    _require_own_folder(folder, source)
    lost = [*(job.file for job in todo), *(p.name for p in _others(folder, source, size, seed))]
    _forget_annotations(folder, source, {_stem(name) for name in lost})
    progress("making shards", done, total)
    for _ in _run(todo, folder, workers):
        done += 1
        progress("making shards", done, total)
    for path in _others(folder, source, size, seed):
        path.unlink()
    for table in source.table_names:
        if not tables or table in tables:
            data.prepare(source.name, folder, split=table, progress=progress)
    return folder


def jobs(source: Source, size: str, seed: int = 0) -> list[Job]:
    """Return the shards of a world; recordings are shared out evenly."""
    made = []
    for prefix, kind in source.tables.items():
        if kind == "clips":
            continue
        for split in source.splits:
            amount = source.amounts[size][split]
            places = [(p, n) for p in range(amount.subjects) for n in range(amount.recordings)]
            pictures = pictures_of(source, kind, size, split)
            total = max(1, min(len(places), round(pictures / PICTURES_PER_SHARD)))
            for k in range(total):
                part = places[k * len(places) // total : (k + 1) * len(places) // total]
                made.append(Job(source.name, size, seed, prefix, split, k, total, tuple(part)))
    return made


def _of_tables(source: Source, made: list[Job], tables: Collection[str]) -> list[Job]:
    """Keep the shards that some tables need: their own, and those of images for clips."""
    if not tables:
        return made
    needed = {(source.pictured(table), split) for table, split in map(source.place, tables)}
    return [job for job in made if (job.prefix, job.split) in needed]


def pictures_of(source: Source, kind: str, size: str, split: str) -> int:
    """Return about how many pictures a table's split has."""
    amount = source.amounts[size][split]
    frames = amount.frames or 100 // source.step
    views = 0 if kind == "views" else amount.views
    views = views or _VIEWS.get(source.rig, 1)
    return amount.subjects * amount.recordings * amount.clips * frames * views


#: Cameras of rigs that are asked as a whole.
_VIEWS = {"assembly": 8, "desktop": 12, "stb": 2}


def estimate(source: Source, size: str) -> tuple[int, float]:
    """Return about how many pictures a world has and how many megabytes they take."""
    pictures = sum(
        pictures_of(source, kind, size, split)
        for kind in source.tables.values()
        if kind != "clips"
        for split in source.splits
    )
    shape = source.pixels**2 * (0.6 if source.whole else 1.0)
    return pictures, pictures * shape * BYTES_PER_PICTURE / 1e6


def estimate_tables(source: Source, size: str, tables: Collection[str]) -> int:
    """Return about how many pictures some tables of a world have."""
    kinds = source.tables
    places = {(source.pictured(p), split) for p, split in map(source.place, tables)}
    return sum(pictures_of(source, kinds[prefix], size, split) for prefix, split in places)


def shards_differ(folder: Path, job: Job) -> bool:
    """Whether a shard must be made: it is not there, or was made from something else."""
    known = shards.about(folder / job.file)
    return any(known.get(name) != value for name, value in job.about.items())


def _run(todo: list[Job], folder: Path, workers: int | None) -> Iterator[str]:
    workers = workers or os.cpu_count() or 1
    if workers == 1 or len(todo) <= 1:
        for job in todo:
            yield make_shard(job, folder)
        return
    with ProcessPoolExecutor(min(workers, len(todo)), get_context("spawn")) as pool:
        for done in as_completed([pool.submit(make_shard, job, folder) for job in todo]):
            yield done.result()


def make_shard(job: Job, folder: Path) -> str:
    """Make one shard; return its name."""
    from hand_bench.sim.pictures import rows_of
    from hand_bench.sim.recordings import Recording

    source = find_world(job.world)
    amount = source.amounts[job.size][job.split]
    rows: list[dict[str, Any]] = []
    for person, number in job.recordings:
        recording = Recording(source, job.split, person, number, job.seed, amount)
        rows += rows_of(recording, source.tables[job.prefix], job.prefix)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    shards.write(folder / job.file, rows, job.about)
    return job.file


def _require_own_folder(folder: Path, source: Source) -> None:
    """Refuse a folder in which another world lies: files of the same names would be replaced."""
    for path in (folder / "data").glob("*.parquet"):
        other = shards.about(path).get("world", source.name)
        if other != source.name:
            fix = f"Give a folder for each world, e.g. -o {folder / source.name}."
            raise HandBenchError(
                Problem("HB402", str(folder), f"holds the world {other}.", fix=fix)
            )


def _forget_annotations(folder: Path, source: Source, lost: Collection[str]) -> None:
    """Remove annotations of pictures that are about to be replaced: they would not fit them.

    `lost` are the tables of pictures, by the stems of their shards.
    """
    for manifest in data.prepared():
        if manifest["dataset"] == source.name and Path(manifest["root"]) == folder.resolve():
            table, split = source.place(manifest["split"])
            pictured = source.pictured(table)
            if (f"{pictured}-{split}" if pictured else split) not in lost:
                continue
            where = data.folder(source.name, manifest["split"])
            for name in ("annotations.parquet", VIEWS):
                (where / name).unlink(missing_ok=True)


def _others(folder: Path, source: Source, size: str, seed: int) -> list[Path]:
    """Return the shards of another size or seed in the folder: they would mix."""
    wanted = {job.file for job in jobs(source, size, seed)}
    there = (folder / "data").glob("*.parquet")
    others = [path for path in there if f"data/{path.name}" not in wanted]
    return [path for path in others if shards.about(path).get("world") == source.name]


def _stem(name: str) -> str:
    """Return which table a shard is of: "data/pose-train-00000-of-00003.parquet", "pose-train"."""
    return name.rsplit("/", 1)[-1].rsplit("-", 3)[0]


def _require_room(folder: Path, source: Source, size: str, left: int) -> None:
    pictures, megabytes = estimate(source, size)
    needed = megabytes * left / max(1, len(jobs(source, size)))
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free / 1e6
    if needed * 1.2 > free:
        raise HandBenchError(
            Problem(
                "HB402",
                str(folder),
                f"about {needed:,.0f} MB are needed for {pictures:,} pictures, {free:,.0f} MB are "
                "free.",
                fix="Give another folder with -o, or a smaller --size.",
            )
        )


def _require_sim() -> None:
    try:
        import numba  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        what = f"{error.name} is not installed."
        raise HandBenchError(
            Problem("HB401", "sim", what, fix="pip install 'hand-bench[sim]'")
        ) from error
