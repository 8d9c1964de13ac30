"""The command `hand-bench reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from hand_bench.cli import console

app = App(
    name="reproduce",
    help="Make the papers' tables again on HandSim: train, answer, score.",
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)


@app.default
def reproduce(
    name: str,
    /,
    *,
    size: str = "small",
    seeds: int = 1,
    row: tuple[str, ...] = (),
    work: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    threads: int | None = None,
    workers: int | None = None,
    batch: int = 32,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Make a table: what it needs is trained, answered and scored, once, and kept.

    Parameters
    ----------
    name
        Name of the table: hand-bench reproduce ls.
    size
        claim (minutes for each training), small, or paper.
    seeds
        How often everything is trained.
    row
        Only this row; again for more.
    work
        Where trainings and answers are kept; an interrupted table goes on. Default: "reproduce" in
        the folder of prepared datasets.
    output
        File of the table to write: .json, and .md beside it.
    threads, workers
        Of training on a processor, and processes that read pictures.
    batch, device
        Of predictions.
    json
        One JSON object instead of a table.
    """
    from hand_baselines.reproduce import rendering
    from hand_baselines.reproduce.tables import make
    from hand_baselines.reproduce.trainings import Workshop
    from hand_baselines.reproduce.wildhands import TABLES
    from hand_bench import files
    from hand_bench.errors import BaselineError, unknown_name

    if name not in TABLES:
        raise BaselineError(unknown_name("table", name, list(TABLES)))
    files.require_writable(output)
    given = {"threads": threads, "workers": workers}
    machine: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    with console.progress_bar() as progress:
        workshop = Workshop(
            work or files.home() / "reproduce",
            machine,
            batch=batch,
            device=device,
            progress=progress,
            say=console.note,
        )
        made = make(TABLES[name], workshop, size=size, seeds=seeds, rows=row)
    if json:
        console.write_json(made.to_json())
    else:
        rendering.show(made)
    if output is not None:
        for path in rendering.save(made, output):
            console.note(str(path))


@app.command(name="ls")
def reproduce_ls(*, json: bool = False) -> None:
    """List the tables, their sizes and rows.

    Parameters
    ----------
    json
        One JSON object instead of a table.
    """
    from hand_baselines.reproduce.wildhands import TABLES

    if json:
        console.write_json(
            {
                name: {
                    "paper": f"{table.paper}, {table.table}",
                    "title": table.title,
                    "rows": [row.label for row in table.rows],
                    "sizes": list(table.sizes),
                }
                for name, table in TABLES.items()
            }
        )
        return
    shown = console.table("", "name", "paper", "what it shows", "rows")
    for name, table in TABLES.items():
        rows = ", ".join(row.label for row in table.rows)
        shown.add_row(name, f"{table.paper}, {table.table}", table.title, rows)
    console.out().print(shown)
