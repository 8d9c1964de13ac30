"""Speed and memory of scoring, as ratios of one run: `python tests/speed/bench_evaluate.py`.

Whole processes are measured, interpreter start included, on a generated test split of official
size (see `workload`). Times are medians of three processes, one for ten times the rows; memory is
the peak of resident pages. Nothing is asserted: the table says which targets are met.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from measure import Run, child, process
from rich.console import Console
from rich.table import Table
from workload import TIMES, Workload, cache_folder, scaled_world, small_world

REPEATS = 3
SUBSET_IMAGES = 20_000
SMALL_IMAGES = 10_000
HEADINGS = ("what", "measured", "ratio", "target", "met")


@dataclass(frozen=True)
class Line:
    """One line of the table; `limit` is the largest ratio allowed, or the smallest if negative."""

    bench: str
    what: str
    measured: str
    ratio: float | None = None
    limit: float | None = None
    unit: str = "x"
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none or nothing was measured."""
        if self.ratio is None or self.limit is None:
            return None
        return self.ratio <= self.limit if self.limit > 0 else self.ratio >= -self.limit

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the columns of HEADINGS."""
        sign = "<=" if (self.limit or 0) > 0 else ">="
        target = f"{sign} {abs(self.limit):g}{self.unit}" if self.limit else self.note or "-"
        ratio = "-" if self.ratio is None else f"{self.ratio:.3g}{self.unit}"
        if self.unit == " MB" and self.ratio is not None:
            ratio = "-"
        met = {True: "yes", False: "NO", None: ""}[self.met]
        return self.what, self.measured, ratio, target, met


class Bench:
    """The benches; what several of them need is measured once."""

    def __init__(self, scale: float):
        self.scale = scale
        self.work = Workload(cache_folder() / f"scale-{scale:g}", scaled_world(scale))
        self.rows = sum(map(sum, self.work.world.capture_images or ()))

    def _make(self, what: str) -> None:
        child("make", self.work.home, folder=str(self.work.folder), what=what, scale=self.scale)

    def _file(self, layout: str) -> str:
        self._make(layout)
        return str(self.work.folder / f"{layout}.parquet")

    def _evaluate(self, layout: str = "default", repeats: int = REPEATS, **options) -> Run:
        path = self._file(layout)
        return child("evaluate", self.work.home, repeats, path=path, **options)

    @cached_property
    def read(self) -> Run:
        """Only reading the predictions: what scoring is compared with."""
        return child("read", self.work.home, REPEATS, path=self._file("default"))

    @cached_property
    def numba(self) -> Run:
        """Scoring with the compiled engine, its machine code already in the cache."""
        self._evaluate(repeats=1, engine="numba")
        return self._evaluate(engine="numba")

    @cached_property
    def numpy(self) -> Run:
        """Scoring with NumPy alone, in the default number of workers."""
        return self._evaluate(engine="numpy")

    # --- what is measured ---------------------------------------------------------------------

    def prepare(self) -> Iterator[Line]:
        """Official files to canonical annotations."""
        self._make("official")
        run = child("prepare", self.work.home, root=str(self.work.root))
        size = sum(p.stat().st_size for p in self.work.root.rglob("*.json")) / 2**20
        yield Line(
            "prepare", f"data prepare, {self.rows:,} images, {size:.0f} MB of JSON", _text(run)
        )

    def evaluate(self) -> Iterator[Line]:
        """Whole evaluation against reading the predictions."""
        read = self.read.seconds
        yield Line("evaluate", f"only read the predictions, {self.rows:,} rows", _text(self.read))
        yield Line("evaluate", "evaluate, numba", _text(self.numba), self.numba.seconds / read, 3.3)
        yield Line("evaluate", "evaluate, NumPy", _text(self.numpy), self.numpy.seconds / read, 7.0)
        for workers in (1, 2):
            run = self._evaluate(engine="numpy", workers=workers)
            what = f"evaluate, NumPy, {workers} worker{'s' * (workers > 1)}"
            yield Line("evaluate", what, _text(run), run.seconds / read)
        for name, run in (("numba", self.numba), ("NumPy", self.numpy)):
            peak = f"{run.megabytes:.0f} MB"
            yield Line("evaluate", f"peak memory, {name}", peak, run.megabytes, 400, " MB")

    def official(self) -> Iterator[Line]:
        """The official scorer's per-sample loop on a subset, scaled to all rows."""
        world = small_world(SUBSET_IMAGES)
        subset = Workload(cache_folder() / "subset", world)
        options = {"folder": str(subset.folder), "images": SUBSET_IMAGES}
        child("make", subset.home, what="official", **options)
        for name, what, targets in (
            ("official", "official's loop", (200, 80)),
            ("plain", "joint-by-joint loop of the tests", (None, None)),
        ):
            answer = child(name, subset.home, root=str(subset.root)).answer or {}
            scaled = answer["seconds"] * self.rows / answer["rows"]
            measured = f"{answer['seconds']:.1f} s for {answer['rows']:,}, {scaled:.0f} s for all"
            yield Line("official", f"{what} with JSON loading", measured)
            for engine, run, target in zip(
                ("numba", "NumPy"), (self.numba, self.numpy), targets, strict=True
            ):
                limit = -target if target else None
                text = f"{run.seconds:.2f} s"
                yield Line(
                    "official", f"faster than {what}: {engine}", text, scaled / run.seconds, limit
                )

    def layouts(self) -> Iterator[Line]:
        """The same predictions written otherwise, against the default layout (numba)."""
        base = self.numba
        for layout, limit in (("one-row-group", 1.2), ("shuffled", 3.0), ("template", None)):
            run = self._evaluate(layout, engine="numba")
            yield Line(
                "layouts", f"evaluate, {layout}", _text(run), run.seconds / base.seconds, limit
            )
            if layout == "shuffled":
                peak = f"{run.megabytes:.0f} MB"
                yield Line("layouts", "peak memory, shuffled", peak, run.megabytes, 500, " MB")

    def growth(self) -> Iterator[Line]:
        """Ten times the rows (numba and NumPy, one process each)."""
        self._file("default")
        folder = self.work.repeated
        try:
            self._make("repeated")
            for engine, base in (("numba", self.numba), ("numpy", self.numpy)):
                run = child(
                    "evaluate",
                    self.work.home,
                    path=str(folder / "default.parquet"),
                    annotations=str(folder / "annotations.parquet"),
                    engine=engine,
                )
                what = f"{TIMES} times the rows ({TIMES * self.rows:,}), {engine}"
                yield Line("growth", f"{what}: time", _text(run), run.seconds / base.seconds, 10.5)
                yield Line(
                    "growth",
                    f"{what}: memory",
                    f"{run.megabytes:.0f} MB",
                    run.megabytes / base.megabytes,
                    1.2,
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def procrustes(self) -> Iterator[Line]:
        """Hands aligned per second, against a loop over hands with NumPy's SVD."""
        rates = child("procrustes", self.work.home).answer or {}
        loop, numpy, numba = rates["loop"], rates["numpy"], rates["numba"]
        yield Line("procrustes", "PA-MPJPE, loop of SVDs", f"{loop:,.0f} hands/s")
        yield Line(
            "procrustes", "PA-MPJPE, NumPy procrustes_align", f"{numpy:,.0f} hands/s", numpy / loop
        )
        if numba is None:
            yield Line("procrustes", "PA-MPJPE, numba kernel", "numba is not installed", None, -150)
        else:
            yield Line(
                "procrustes", "PA-MPJPE, numba kernel", f"{numba:,.0f} hands/s", numba / loop, -150
            )

    def small(self) -> Iterator[Line]:
        """A small file against its imports, and `--help` against importing NumPy."""
        small = Workload(cache_folder() / "small", small_world(SMALL_IMAGES))
        folder = str(small.folder)
        child("make", small.home, folder=folder, what="default", images=SMALL_IMAGES)
        imports = child("imports", small.home, 7)
        path = str(small.folder / "default.parquet")
        run = child("evaluate", small.home, 7, path=path)
        yield Line("small", "only the imports of evaluate", _text(imports))
        what = f"evaluate, {SMALL_IMAGES:,} rows"
        yield Line("small", what, _text(run), run.seconds / imports.seconds, 1.7)
        numpy = process([sys.executable, "-c", "import numpy"], 7)
        command = Path(sys.executable).with_name("hand-bench")
        try:
            run = process([str(command), "--help"], 7)
        except (OSError, RuntimeError) as error:
            reason = str(error).splitlines()[-1][:60]
            yield Line("small", "hand-bench --help", f"skipped: {reason}", None, 2.5)
            return
        yield Line("small", "python -c 'import numpy'", f"{numpy.seconds:.3f} s")
        yield Line(
            "small", "hand-bench --help", f"{run.seconds:.3f} s", run.seconds / numpy.seconds, 2.5
        )


BENCHES: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "prepare": Bench.prepare,
    "evaluate": Bench.evaluate,
    "official": Bench.official,
    "layouts": Bench.layouts,
    "growth": Bench.growth,
    "procrustes": Bench.procrustes,
    "small": Bench.small,
}


def _text(run: Run) -> str:
    return f"{run.seconds:.2f} s, {run.megabytes:.0f} MB"


def markdown(lines: list[Line]) -> str:
    """Return the table for the README."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(line.cells() for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def measured(name: str, bench: Bench) -> Iterator[Line]:
    """Give the lines of a bench; one that fails says so and the others go on."""
    try:
        yield from BENCHES[name](bench)
    except RuntimeError as error:
        yield Line(name, "failed", str(error).splitlines()[-1][:80])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows-scale", type=float, default=1.0, help="share of the official size")
    parser.add_argument("--only", choices=BENCHES, action="append", help="one bench (repeatable)")
    parser.add_argument("--json", type=Path, help="also write the lines to this file")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    given = parser.parse_args()
    console, bench, lines = Console(stderr=True), Bench(given.rows_scale), []
    for name in given.only or BENCHES:
        with console.status(f"measuring: {name} (data is kept in {cache_folder()})"):
            for line in measured(name, bench):
                console.print(" | ".join(line.cells()), highlight=False)
                lines.append(line)
    if given.markdown:
        print(markdown(lines))
    else:
        table = Table(*HEADINGS)
        for line in lines:
            table.add_row(*line.cells(), style={False: "red"}.get(line.met))
        Console().print(table)
    if given.json:
        rows = [asdict(line) | {"met": line.met} for line in lines]
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
