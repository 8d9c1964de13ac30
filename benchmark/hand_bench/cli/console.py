"""What the command line prints: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Progress = Callable[[str, int, int], None]


def out() -> Console:
    """Return the console of results. Not a terminal: wide, so that tables are not cut."""
    return _console(sys.stdout)


def err() -> Console:
    """Return the console of everything else."""
    return _console(sys.stderr)


def _console(stream: Any) -> Console:
    from rich.console import Console

    width = None if stream.isatty() else 160
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def write(text: str) -> None:
    """Write a line of a result, as it is."""
    sys.stdout.write(text + "\n")


def write_json(value: Any) -> None:
    """Write one JSON object on stdout."""
    write(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Write a remark on stderr."""
    sys.stderr.write(text + "\n")


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table in the project's style; columns in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    made.show_edge = False
    for column in columns:
        number = column in right
        made.add_column(column, justify="right" if number else "left", no_wrap=number)
    return made


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a callable (what, done, total) that draws bars on stderr, or nothing off a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=err(), transient=True) as shown:
        tasks: dict[str, bars.TaskID] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done, total=total)

        yield update
