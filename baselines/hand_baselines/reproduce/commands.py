"""The command `hand-bench reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from hand_bench.cli import console

app = App(
    name="reproduce",
    help="Run the papers' tables and claims again on HandSim: train, answer, score, compare.",
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)


@app.default
@app.command(name="run")
def reproduce(
    name: str,
    /,
    *,
    size: str | None = None,
    seeds: int | None = None,
    row: tuple[str, ...] = (),
    work: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    threads: int | None = None,
    workers: int | None = None,
    batch: int = 32,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Run a table or a claim: what it needs is trained, answered and scored, once, and kept.

    Parameters
    ----------
    name
        Table or claim: hand-bench reproduce ls.
    size
        claim (minutes for each training), small, or paper; default: small for tables, claim for
        claims.
    seeds
        How often everything is trained; default: 1 for tables, 3 for claims.
    row
        Of a table, only this row; again for more.
    work
        Where trainings and answers are kept; what was interrupted goes on. Default: "reproduce" in
        the folder of prepared datasets.
    output
        File of the result to write: .json, and of a table beside it .md and .png.
    threads, workers
        Of training on a processor, and processes that read pictures.
    batch, device
        Of predictions.
    json
        One JSON object instead of a table.
    """
    from hand_baselines.reproduce import rendering
    from hand_baselines.reproduce.claims import judge
    from hand_baselines.reproduce.papers import CLAIMS
    from hand_baselines.reproduce.tables import make
    from hand_baselines.reproduce.trainings import Workshop
    from hand_baselines.reproduce.wildhands import TABLES
    from hand_bench import files
    from hand_bench.errors import BaselineError, unknown_name

    if name not in TABLES and name not in CLAIMS:
        raise BaselineError(unknown_name("table or claim", name, [*TABLES, *CLAIMS]))
    files.require_writable(output)
    given = {"threads": threads, "workers": workers}
    machine: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    asked: dict[str, Any] = {"size": size, "seeds": seeds}
    asked = {k: v for k, v in asked.items() if v is not None}
    with console.progress_bar() as progress:
        workshop = Workshop(
            work or files.home() / "reproduce",
            machine,
            batch=batch,
            device=device,
            progress=progress,
            say=console.note,
        )
        if name in TABLES:
            made = make(TABLES[name], workshop, rows=row, **asked)
        else:
            made = judge(CLAIMS[name], workshop, **asked)
    if json:
        console.write_json(made.to_json())
    else:
        rendering.show(made)
    if output is not None:
        for path in rendering.save(made, output):
            console.note(str(path))


@app.command(name="ls")
def reproduce_ls(*, json: bool = False) -> None:
    """List the tables and the claims.

    Parameters
    ----------
    json
        One JSON object instead of tables.
    """
    from hand_baselines.reproduce.papers import CLAIMS
    from hand_baselines.reproduce.wildhands import TABLES

    if json:
        tables = {
            name: {
                "paper": f"{table.paper}, {table.table}",
                "title": table.title,
                "rows": [row.label for row in table.rows],
                "sizes": list(table.sizes),
            }
            for name, table in TABLES.items()
        }
        claims = {
            name: {
                "paper": f"{claim.paper}, {claim.where}",
                "says": claim.says,
                "predictions": [one.name for one in claim.predictions],
                "sizes": list(claim.sizes),
            }
            for name, claim in CLAIMS.items()
        }
        console.write_json({"tables": tables, "claims": claims})
        return
    shown = console.table("", "table", "paper", "what it shows", "rows")
    for name, table in TABLES.items():
        rows = ", ".join(row.label for row in table.rows)
        shown.add_row(name, f"{table.paper}, {table.table}", table.title, rows)
    console.out().print(shown)
    shown = console.table(
        "", "claim", "paper", "what it says", "comparisons", right=("comparisons",)
    )
    for name, claim in CLAIMS.items():
        where = f"{claim.paper}, {claim.where}"
        shown.add_row(name, where, claim.says, str(len(claim.predictions)))
    console.out().print(shown)


@app.command(name="report")
def reproduce_report(
    folder: Path | None = None, /, *, write: tuple[Path, ...] = (), json: bool = False
) -> None:
    """Print the table of claims from the files of their results.

    Parameters
    ----------
    folder
        With CLAIM.json as `run -o` writes them; default: those of the repository.
    write
        Text to put the table into, between <!-- claims --> and <!-- /claims -->; again for more.
    json
        The results as one JSON object.
    """
    from hand_baselines.overview import put
    from hand_baselines.reproduce import reporting

    folder = folder or reporting.RESULTS
    if json:
        console.write_json(reporting.read(folder))
        return
    text = reporting.table(folder)
    for path in write:
        put(path, "claims", text)
        console.note(str(path))
    if not write:
        console.write(text)
