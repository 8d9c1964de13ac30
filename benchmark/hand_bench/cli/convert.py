"""The command `hand-bench convert`: official prediction formats, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from hand_bench.cli import console

app = App(
    name="convert",
    help="Convert predictions to and from official formats.",
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)


@app.default
def convert(
    source: Path,
    target: Path,
    /,
    *,
    track: str,
    from_format: Annotated[str | None, Parameter(name="--from")] = None,
    to_format: Annotated[str | None, Parameter(name="--to")] = None,
    annotations: Path | None = None,
    hand_side: str | None = None,
    json: bool = False,
) -> None:
    """Convert predictions to and from official formats.

    Parameters
    ----------
    source
        File to read.
    target
        File to write.
    track
        Name of the track that the predictions answer.
    from_format
        Format of the file to read; guessed from the file where only one fits.
    to_format
        Format of the file to write; `hand-bench convert ls` lists them. By default plain npz, csv
        or json where the file's name ends so, else hand-bench's own.
    annotations
        Annotations file instead of the prepared one.
    hand_side
        "right" or "left": the hand of two that a form with room for one holds.
    json
        One JSON object instead of text.
    """
    from dataclasses import asdict

    from hand_bench.formats import conversion

    plain = target.suffix.lower().lstrip(".")
    if to_format is None:
        to_format = plain if plain in ("npz", "csv", "json") else "hand-bench"
    done = conversion.convert(
        source,
        target,
        track=track,
        from_format=from_format,
        to_format=to_format,
        annotations=annotations,
        hand_side=hand_side,
    )
    if from_format is None:
        console.note(f"note: {source} is taken to be in the format {done.source} (--from).")
    for note in done.notes:
        console.note(f"note: {note}")
    if json:
        console.write_json({"path": str(target), **asdict(done)})
        return
    console.write(f"{target}: {done.rows:,} rows of {track}, from {done.source} to {done.target}")


@app.command(name="ls")
def convert_ls(*, json: bool = False) -> None:
    """List the formats, their tracks and what a round trip loses.

    Parameters
    ----------
    json
        One JSON object instead of a table.
    """
    from hand_bench.formats import FORMATS

    if json:
        shown = {
            known.name: {
                "about": known.about,
                "lost": known.lost,
                "tracks": list(known.tracks),
                "kinds": list(known.kinds),
                "suffixes": list(known.suffixes),
            }
            for known in FORMATS.values()
        }
        console.write_json(shown)
        return
    table = console.table("", "format", "what", "tracks", "a round trip loses")
    for known in FORMATS.values():
        tracks = ", ".join(known.tracks) or f"every {known.frame} {' or '.join(known.kinds)} track"
        table.add_row(known.name, known.about, tracks, known.lost)
    console.out().print(table)
