"""Made tables as text: for a terminal, and as Markdown beside the JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hand_baselines.reproduce.tables import Made
from hand_bench import files
from hand_bench.cli import console


def show(made: Made) -> None:
    """Print a table with its intervals and the paper's numbers, and the differences."""
    console.write(f"{made.table} ({made.paper}): {made.title}; size {made.size}, {_seeds(made)}")
    columns = tuple(made.columns)
    table = console.table("", "", *columns, right=columns)
    for label, cells in made.rows.items():
        table.add_row(label, *(cell.text() if cell else "-" for cell in cells))
        if any(cell and cell.printed for cell in cells):
            table.add_row("  the paper's", *((cell and cell.printed) or "-" for cell in cells))
    console.out().print(table)
    if made.differences:
        table = console.table("", "less is better", *columns, right=columns)
        for name, effects in made.differences.items():
            shown = [effects[c].text() if c in effects else "-" for c in columns]
            table.add_row(name, *shown)
        console.out().print(table)


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


def save(made: Made, path: Path) -> tuple[Path, Path]:
    """Write a table as JSON and, beside it, as Markdown; return both paths."""
    path = path.with_suffix(".json")
    files.write_json(path, made.to_json())
    beside = path.with_suffix(".md")
    with files.replacing(beside) as temporary:
        temporary.write_text(markdown(made), "utf-8")
    return path, beside


def _effect(effect: Any) -> str:
    if effect is None:
        return "-"
    return f"**{effect.text()}**" if effect.clear else effect.text()


def _seeds(made: Made) -> str:
    return "1 seed" if made.seeds == 1 else f"{made.seeds} seeds"


def _header(names: list[str]) -> list[str]:
    return [_line(names), "|" + "---|" * len(names)]


def _line(parts: list[str]) -> str:
    return f"| {' | '.join(parts)} |"
