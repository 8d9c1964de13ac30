"""Tables and claims: for a terminal; tables as Markdown and a picture beside the JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hand_baselines.reproduce.claims import Judged
from hand_baselines.reproduce.effects import Effect
from hand_baselines.reproduce.tables import Made
from hand_bench import drawing, files
from hand_bench.cli import console
from hand_bench.errors import HandBenchError
from hand_bench.results import format_value


def show(made: Made | Judged) -> None:
    """Print a table or a claim with its intervals, and what the paper has."""
    if isinstance(made, Judged):
        _show_claim(made)
    else:
        _show_table(made)


def _show_claim(judged: Judged) -> None:
    console.write(f"{judged.claim} ({judged.paper}, {judged.where}): {judged.says}")
    table = console.table("", "comparison", "metric", "A", "B", "B less A", "predicted", "found")
    for one in judged.findings:
        found = one.effect
        values = (format_value(value, found.unit) for value in (found.a, found.b))
        subset = "" if found.subset == "all" else f" {found.subset}"
        about = f"{found.metric}{subset}, {found.unit or '%'}"
        table.add_row(one.name, about, *values, found.text(), f"B {one.predicted}", one.outcome)
    console.out().print(table)
    console.write(f"size {judged.size}, {_seeds(judged)}; on HandSim: {judged.verdict}")


def _show_table(made: Made) -> None:
    console.write(f"{made.table} ({made.paper}): {made.title}; size {made.size}, {_seeds(made)}")
    columns = tuple(made.columns)
    table = console.table("", "", *columns, right=columns)
    for label, cells in made.rows.items():
        shown = (_short(cell.value, cell.unit, cell.ci95) if cell else "-" for cell in cells)
        table.add_row(label, *shown)
        if any(cell and cell.printed for cell in cells):
            table.add_row("  the paper's", *((cell and cell.printed) or "-" for cell in cells))
    console.out().print(table)
    if made.differences:
        table = console.table("", "less is better", *columns, right=columns)
        for name, effects in made.differences.items():
            shown = [_difference(effects.get(c)) for c in columns]
            table.add_row(name, *shown)
        console.out().print(table)
    console.write("plus or minus: half of the 95 % interval; *: the interval excludes zero")


def _short(value: float, unit: str, ci95: tuple[float, float] | None, sign: str = "") -> str:
    factor = 1.0 if unit else 100.0
    text = f"{factor * value:{sign}.2f}"
    return text if ci95 is None else f"{text} ±{factor * (ci95[1] - ci95[0]) / 2:.2f}"


def _difference(effect: Effect | None) -> str:
    if effect is None:
        return "-"
    text = _short(effect.difference, effect.unit, effect.ci95, "+")
    return f"{text} {'*' if effect.clear else ' '}"


def markdown(made: Made) -> str:
    """Return the same as Markdown."""
    lines = [f"# {made.table}: {made.title}", "", f"{made.paper}. {made.notes}", ""]
    lines.append(f"Size `{made.size}`, {_seeds(made)}; 95 % intervals in brackets.")
    lines += ["", *_header(["", *made.columns])]
    for label, cells in made.rows.items():
        lines.append(_line([label, *(cell.text() if cell else "-" for cell in cells)]))
    if any(cell and cell.printed for cells in made.rows.values() for cell in cells):
        lines += [
            "",
            "What the paper prints (other data and sizes):",
            "",
            *_header(["", *made.columns]),
        ]
        for label, cells in made.rows.items():
            lines.append(_line([label, *((cell and cell.printed) or "-" for cell in cells)]))
    if made.differences:
        lines += ["", "Paired differences, hand by hand (`recommended`):", ""]
        lines += _header(["", *made.columns])
        for name, effects in made.differences.items():
            lines.append(_line([name, *(_effect(effects.get(c)) for c in made.columns)]))
    lines += [
        "",
        "| training | data | steps | minutes | device | commit |",
        "|---|---|---|---|---|---|",
    ]
    for name, about in made.trainings.items():
        data = ", ".join(about["data"])
        own = (about["steps"], about["minutes"], about["device"], (about.get("commit") or "")[:12])
        lines.append(_line([f"`{name}`", data, *map(str, own)]))
    return "\n".join(lines) + "\n"


def figure(made: Made) -> Any:
    """Return a figure: a panel for each column, a dot with its interval for each row.

    Raises
    ------
    HandBenchError
        HB401 where matplotlib is not installed.
    """
    count, rows = len(made.columns), list(made.rows)
    shown = drawing.new_figure(2.2 + 1.75 * count, 1.3 + 0.32 * len(rows))
    panels = shown.subplots(1, count, sharey=True, squeeze=False)[0]
    for k, (panel, label) in enumerate(zip(panels, made.columns, strict=True)):
        unit = ""
        for place, row in enumerate(rows):
            cell = made.rows[row][k]
            if cell is None:
                continue
            colour = drawing.LINE_COLOURS[place % len(drawing.LINE_COLOURS)]
            unit = cell.unit
            low, high = cell.ci95 or (cell.value, cell.value)
            panel.plot([low, high], [place, place], color=colour, lw=2.5, solid_capstyle="round")
            panel.plot(cell.value, place, "o", color=colour, ms=6)
        panel.set_title(label, fontsize=9, color=drawing.INK)
        panel.set_xlabel(unit, fontsize=8)
        panel.set_xlim(left=0)
        panel.set_yticks(range(len(rows)), rows, fontsize=9)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        drawing.tidy(panel)
    title = f"{made.title} ({made.paper}, on HandSim, size {made.size}); less is better"
    shown.suptitle(title, x=0.01, ha="left", fontsize=9, color=drawing.INK)
    return shown


def save(made: Made | Judged, path: Path) -> list[Path]:
    """Write JSON; beside a table's the same as Markdown and, with matplotlib, as a picture.

    Returns
    -------
    list
        What was written.
    """
    written = [path.with_suffix(".json"), path.with_suffix(".md")]
    files.write_json(written[0], made.to_json())
    if isinstance(made, Judged):
        return written[:1]
    with files.replacing(written[1]) as temporary:
        temporary.write_text(markdown(made), "utf-8")
    try:
        written.append(drawing.save(figure(made), path.with_suffix(".png")))
    except HandBenchError as error:
        if error.problems[0].code != "HB401":
            raise
    return written


def _effect(effect: Effect | None) -> str:
    if effect is None:
        return "-"
    return f"**{effect.text()}**" if effect.clear else effect.text()


def _seeds(made: Made | Judged) -> str:
    return "1 seed" if made.seeds == 1 else f"{made.seeds} seeds"


def _header(names: list[str]) -> list[str]:
    return [_line(names), "|" + "---|" * len(names)]


def _line(parts: list[str]) -> str:
    return f"| {' | '.join(parts)} |"
