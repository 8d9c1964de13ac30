"""The page of the papers' claims: verdicts on HandSim, differences with intervals, tables."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hand_bench.results import format_value
from hand_leaderboard.board import Cell
from hand_leaderboard.claims import VERDICTS, Claim, Claims, Difference, Finding, PaperTable, Run
from hand_leaderboard.site import charts, markdown, pages
from hand_leaderboard.site.folders import SiteFolder

#: Where the page lies.
PATH = "claims.html"
#: From this value on one decimal is enough.
LARGE = 10.0


@dataclass(frozen=True)
class Row:
    """One comparison, as it is printed and drawn.

    Attributes
    ----------
    metric
        With its subset: "MPJPE IH".
    page
        Page of its track, "" where the site has none.
    span, dots
        Percents of the plot's width: the mean with its interval, and each seed where there are
        several.
    """

    finding: Finding
    metric: str
    page: str
    a: str
    b: str
    difference: str
    interval: str
    seeds: tuple[str, ...]
    span: charts.Span | None
    dots: tuple[float, ...]


@dataclass(frozen=True)
class Group:
    """Comparisons of a claim that have one unit and direction, on one scale.

    Attributes
    ----------
    unit, points
        Of values, and of differences.
    zero, ticks
        Percents of the plot's width, and what is written there.
    """

    unit: str
    points: str
    higher_is_better: bool
    rows: tuple[Row, ...]
    zero: float
    ticks: tuple[tuple[float, str], ...]


def page(known: Claims, tracks: Container[str]) -> str:
    """Return the page of all claims and of the tables that have run; `tracks` have pages."""
    return pages.render(
        "claims.html.j2",
        PATH,
        summary=summary(known),
        claims=known.claims,
        sections=[section(claim, tracks) for claim in known.judged],
        tables=[table_section(table) for table in known.tables],
    )


def summary(known: Claims) -> str:
    """Return "2 of 17 claims have run: 1 consistent, 1 inconsistent"."""
    run, total = len(known.judged), len(known.claims)
    found = ", ".join(f"{count} {name}" for name in VERDICTS if (count := known.count(name)))
    return f"{run} of {total} claims have run{f': {found}' if found else ''}"


def write_results(known: Claims, folder: SiteFolder) -> None:
    """Write the results as they are, for whoever wants to go on with the numbers."""
    for claim in known.judged:
        if claim.judged:
            folder.write(result_path(claim.name), claim.judged.run.text)
    for table in known.tables:
        folder.write(result_path(table_id(table)), table.run.text)


def result_path(name: str) -> str:
    """Where the result of a claim or table lies."""
    return f"exports/claims/{name}.json"


def table_id(table: PaperTable) -> str:
    """Return a name that a table has at one size."""
    return f"{table.name}-{table.run.size}"


def section(claim: Claim, tracks: Container[str]) -> dict[str, Any]:
    """Return what the page shows of a claim that has run."""
    judged = claim.judged
    assert judged is not None
    return {
        "claim": claim,
        "how": judged.run.how,
        "notes": markdown.to_html(judged.run.notes),
        "groups": groups(judged.findings, tracks),
        "explanation": markdown.to_html(judged.explanation, level=4),
        "trainings": list(trainings(judged.run)),
        "result": result_path(claim.name),
    }


def trainings(run: Run) -> Iterator[dict[str, Any]]:
    """Return what is known of each training; "" for what its record does not say."""
    for name, one in run.trainings.items():
        data = one.get("data")
        yield {
            "name": name,
            "data": ", ".join(map(str, data)) if isinstance(data, list) else "",
            "commit": str(one.get("commit") or "")[:12],
        } | {key: one.get(key, "") for key in ("model", "preset", "seed", "steps", "minutes")}


# Differences -------------------------------------------------------------------------------------


def groups(findings: Iterable[Finding], tracks: Container[str]) -> list[Group]:
    """Return findings by unit and direction, each with a scale of its own."""
    found: dict[tuple[str, bool], list[Finding]] = {}
    for one in findings:
        found.setdefault((one.effect.unit, one.effect.higher_is_better), []).append(one)
    return [_group(key, rows, tracks) for key, rows in found.items()]


def _group(key: tuple[str, bool], findings: Sequence[Finding], tracks: Container[str]) -> Group:
    unit, higher = key
    drawn = [value for one in findings for value in _drawn(one.effect)]
    scale, factor = charts.zero_scale(drawn), _factor(unit)
    shown = charts.Scale(factor * scale.low, factor * scale.high, scale.start, scale.end)
    digits = digits_of(factor * value for value in drawn)
    return Group(
        unit or "%",
        unit or "percentage points",
        higher,
        tuple(_row(one, scale, digits, tracks) for one in findings),
        scale(0.0),
        tuple((at, _tick(value)) for at, value in charts.ticks(shown)),
    )


def _drawn(effect: Difference) -> Iterator[float]:
    """All values of a difference that have a place in its plot."""
    yield effect.difference
    yield from effect.ci95 or ()
    yield from effect.seeds


def _row(finding: Finding, scale: charts.Scale, digits: int, tracks: Container[str]) -> Row:
    effect = finding.effect
    several = effect.seeds if len(effect.seeds) > 1 else ()
    return Row(
        finding,
        effect.metric if effect.subset == "all" else f"{effect.metric} {effect.subset}",
        f"tracks/{finding.track}.html" if finding.track in tracks else "",
        f"{_factor(effect.unit) * effect.a:.{digits}f}",
        f"{_factor(effect.unit) * effect.b:.{digits}f}",
        signed(effect.difference, effect.unit, digits),
        interval(effect, digits),
        tuple(signed(value, effect.unit, digits) for value in several),
        charts.span(Cell(effect.difference, "", effect.unit, effect.ci95), scale),
        tuple(scale(value) for value in several),
    )


def interval(effect: Difference, digits: int) -> str:
    """Return "−12.3 to +4.5"; "" where there is no interval."""
    return " to ".join(signed(end, effect.unit, digits) for end in effect.ci95 or ())


def digits_of(values: Iterable[float]) -> int:
    """Return how many decimals differences need: one where some are large, else two."""
    return 1 if max(map(abs, values), default=0.0) >= LARGE else 2


def signed(value: float, unit: str, digits: int) -> str:
    """Print a difference with its sign; shares in percentage points; zero has no sign."""
    text = f"{_factor(unit) * value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def _tick(value: float) -> str:
    return f"{round(value, 9):g}".replace("-", "−")


def _factor(unit: str) -> float:
    return 1.0 if unit else 100.0


# Tables ------------------------------------------------------------------------------------------


def table_section(table: PaperTable) -> dict[str, Any]:
    """Return what the page shows of a table that has run."""
    printed = {
        label: [cell.printed if cell else None for cell in cells]
        for label, cells in table.rows.items()
    }
    return {
        "id": table_id(table),
        "table": table,
        "how": table.run.how,
        "notes": markdown.to_html(table.run.notes),
        "heads": list(zip(table.columns, _units(table), strict=True)),
        "rows": {label: [_texts(c) for c in cells] for label, cells in table.rows.items()},
        "printed": printed if any(map(any, printed.values())) else {},
        "differences": {
            name: [_paired(found.get(column)) for column in table.columns]
            for name, found in table.differences.items()
        },
        "trainings": list(trainings(table.run)),
        "result": result_path(table_id(table)),
    }


def _units(table: PaperTable) -> Iterator[str]:
    """The unit of each column; "" where no row has a number."""
    for cells in zip(*table.rows.values(), strict=True):
        known = [cell.unit or "%" for cell in cells if cell]
        yield known[0] if known else ""


def _texts(cell: Any) -> tuple[str, str] | None:
    """A value and its interval as printed; None for a dash."""
    if cell is None:
        return None
    ends = " to ".join(format_value(end, cell.unit) for end in cell.ci95 or ())
    return format_value(cell.value, cell.unit), ends


def _paired(effect: Difference | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    text = signed(effect.difference, effect.unit, 2)
    return {"text": text, "interval": interval(effect, 2), "sure": effect.clear}
