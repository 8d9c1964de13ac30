"""Commands about suites: several tracks in one table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hand_bench.cli import console


def suites_ls(*, json: bool = False) -> None:
    """List the suites.

    Parameters
    ----------
    json
        One JSON object instead of a table.
    """
    from hand_bench.suites import SUITES

    if json:
        console.write_json({s.name: asdict(s) for s in SUITES.values()})
        return
    table = console.table("", "suite", "what", "tracks")
    for suite in SUITES.values():
        table.add_row(suite.name, suite.title, ", ".join(suite.tracks))
    console.out().print(table)


def suites_show(suite: str, /, *methods: Path, json: bool = False) -> None:
    """Print a suite's table: your results, and apart from them what papers report.

    Parameters
    ----------
    suite
        Name of the suite.
    methods
        Result files of `evaluate -o`, or one folder for each method (results, submission.yaml).
    json
        One JSON object instead of tables.
    """
    from hand_bench import suites

    found = suites.find_suite(suite)
    own = suites.computed(found, methods)
    printed = suites.printed(found)
    if json:
        rows = {"computed": [vars(r) for r in own], "reported": [vars(r) for r in printed]}
        console.write_json({"suite": asdict(found), **rows})
        return
    labels = [f"{c.label} ({c.unit})" for c in found.columns]
    for title, rows in (("computed", own), ("reported in papers, not computed here", printed)):
        if not rows:
            continue
        columns = ["method", *labels, "mean rank"]
        table = console.table(f"\n{title}", *columns, right=tuple(columns[1:]))
        for row in rows:
            table.add_row(*suites.cells(found, row))
        console.out().print(table)
    if any(row.verdicts for row in own):
        console.note("note: * the method was trained on this dataset or its corpus: not ranked.")
    if any(row.partial for row in own):
        console.note("note: † a partial result: not ranked.")
    console.note("note: ranks compare methods of one table on the first column of each track.")
