"""Commands about HandSim's worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hand_bench.cli import console

Output = Annotated[Path, Parameter(name=["--output", "-o"])]


def sim_ls(*, json: bool = False) -> None:
    """List the worlds.

    Parameters
    ----------
    json
        One JSON object instead of a table.
    """
    from hand_bench.sim.making import estimate
    from hand_bench.sim.worlds import SIZES, WORLDS

    if json:
        rows = {name: {"source": s.name, "like": s.like} for name, s in WORLDS.items()}
        console.write_json(rows)
        return
    table = console.table("", "world", "pictures (small)", "MB", right=("pictures (small)", "MB"))
    for name, source in WORLDS.items():
        pictures, megabytes = estimate(source, SIZES[1])
        table.add_row(name, f"{pictures:,}", f"{megabytes:,.0f}")
    console.out().print(table)


def sim_show(world: str, /, *, json: bool = False) -> None:
    """Describe one world: rig, motion, labels, tables, sizes.

    Parameters
    ----------
    world
        Name of the world.
    json
        One JSON object instead of text.
    """
    from hand_bench.sim.making import estimate
    from hand_bench.sim.worlds import SIZES, VERSION, find_world

    source = find_world(world)
    facts = {
        "name": world,
        "looks like": source.like,
        "version": VERSION,
        "shared by": source.name,
        "cameras": source.rig + (", worn ones for single images" if source.worn else ""),
        "motion": source.motion,
        "hands": source.hands,
        "backgrounds": ", ".join(source.backgrounds),
        "pictures": f"{source.pixels} px, "
        + ("whole frames" if source.whole else "windows around the hands")
        + (", grey" if source.grey else ""),
        "labels in train": "masks and grasps only"
        if source.planar
        else ", ".join(f"{who}: {how}" for who, how in source.labels.items()),
        "tables": ", ".join(source.table_names),
    }
    sizes = {}
    for size in SIZES:
        pictures, megabytes = estimate(source, size)
        sizes[size] = f"about {pictures:,} pictures, {megabytes:,.0f} MB"
    if json:
        console.write_json(facts | {"sizes": sizes})
        return
    for key, value in (*facts.items(), *((f"size {s}", text) for s, text in sizes.items())):
        console.write(f"{key:18} {value}")


def sim_make(
    world: str,
    /,
    *,
    size: str = "small",
    seed: int = 0,
    workers: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> None:
    """Make a world: pictures with labels, and annotations that are scorable at once.

    Parameters
    ----------
    world
        Name of the world.
    size
        mini, small or full.
    seed
        Another seed gives other people, places and motions.
    workers
        Processes; default: one for each core.
    output
        Folder; default: the data folder.
    """
    from hand_bench.sim.making import estimate, make
    from hand_bench.sim.worlds import SIZES, find_world

    source = find_world(world)
    if size in SIZES:
        pictures, megabytes = estimate(source, size)
        console.note(f"about {pictures:,} pictures, {megabytes:,.0f} MB")
    with console.progress_bar() as progress:
        folder = make(world, size=size, seed=seed, workers=workers, out=output, progress=progress)
    console.write(f"{world}: {folder}")
    console.note(f"`datasets.load_dataset('parquet', data_dir='{folder}/data')` opens it")


def sim_preview(world: str, /, *, output: Output = Path("sheet.png"), seed: int = 0) -> None:
    """Draw a sheet of pictures of a world, with joints on every second one.

    Parameters
    ----------
    world
        Name of the world.
    output
        Picture to write: .png or .jpg.
    seed
        As in `sim make`.
    """
    from hand_bench.sim.preview import preview

    console.write(str(preview(world, output, seed=seed)))


def sim_export_hand(*, output: Output, side: str = "right") -> None:
    """Write HandSim's hand in MANO's file layout.

    Parameters
    ----------
    output
        File to write: .npz or .pkl.
    side
        right or left.
    """
    from hand_bench.sim.hand import export

    export(output, side)
    console.write(str(output))
