"""The commands `hand-bench leaderboard build` and `serve`."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hand_bench.cli.console import note, progress_bar, write
from hand_bench.errors import HandBenchError, Problem
from hand_leaderboard.site.building import build
from hand_leaderboard.site.folders import LARGEST_PAGE, large_pages

ROOT = Path("submissions")
Out = Annotated[Path, Parameter(name=["--output", "-o"])]


def build_command(
    *, output: Out = Path("site"), root: Path = ROOT, base_url: str = "",
    reproduced: Path | None = None,
) -> None:  # fmt: skip
    """Write the site: static pages that work from a folder and ask nobody for anything.

    Parameters
    ----------
    output
        Where it goes; a site that is there already is replaced.
    root
        The folder of submissions.
    base_url
        Where the site will be on the web, for the links of its feed.
    reproduced
        The folder of claims and tables that `hand-bench reproduce` wrote; default:
        baselines/reproduced beside the submissions, if it is there.
    """
    with progress_bar() as progress:
        out = build(root, output, base_url=base_url, reproduced=reproduced, progress=progress)
    for path in large_pages(out):
        note(f"{path} has more than {LARGEST_PAGE:,} bytes: slow on phones.")
    write(str(out / "index.html"))


def serve(*, output: Out = Path("site"), root: Path = ROOT, port: int = 8000) -> None:
    """Write the site and show it on this machine (not on the network), until Ctrl-C.

    Parameters
    ----------
    output
        Where it goes; a site that is there already is replaced.
    root
        The folder of submissions.
    port
        Where it can be seen; 0 takes any that is free.
    """
    build_command(output=output, root=root)
    with server(output, port) as running:
        write(f"http://127.0.0.1:{running.server_address[1]}/")
        note("Ctrl-C ends it.")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            note("")


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of a folder that only this machine can reach.

    Raises
    ------
    HandBenchError
        HB402 where the port is taken.
    """
    handler = partial(Quiet, directory=str(folder))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise HandBenchError(
            Problem("HB402", f"port {port}", f"cannot be used: {error.strerror or error}.",
                    fix="`--port 0` takes any that is free.")
        ) from error  # fmt: skip


class Quiet(SimpleHTTPRequestHandler):
    """Gives files and writes no log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
