"""Files that the Hugging Face Hub reads: a benchmark's `eval.yaml`, a model's `.eval_results/`.

Source: huggingface/hub-docs, docs/hub/eval-results.md at 064c754 ("work in progress"): a dataset
that is a benchmark has `eval.yaml` with name, description, evaluation_framework (any identifier)
and tasks (id, config, split); a model has `.eval_results/NAME.yaml`, a list of dataset (id,
task_id), value, date, source (url, name) and notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hand_bench.errors import Problem, TrackError
from hand_bench.tracks import Track
from hand_leaderboard.board.exports.sections import one_line
from hand_leaderboard.board.tables import Row, Table

FRAMEWORK = "hand-bench"


def eval_yaml(name: str, tracks: Sequence[Track]) -> str:
    """Return the `eval.yaml` of a benchmark dataset: one task for each track on it.

    Parameters
    ----------
    name
        Of the benchmark, as printed.
    tracks
        Those that are evaluated on the dataset; their protocols and primary numbers are described.
    """
    lines = [
        f"{t.name}: {t.title}; ranked by {t.primary.metric} of {t.primary.subset}, protocol "
        f"{t.primary.protocol}."
        for t in tracks
    ]
    described = "3D hand pose estimation, scored by hand-bench. " + " ".join(lines)
    tasks = [{"id": t.name, "config": t.table.removesuffix(f"-{t.split}") if t.prepared else
              "default", "split": t.split} for t in tracks]  # fmt: skip
    return _yaml(
        {
            "name": name,
            "description": described,
            "evaluation_framework": FRAMEWORK,
            "tasks": tasks,
        }
    )


def eval_results(table: Table, row: Row, *, dataset: str, url: str = "") -> str:
    """Return what a model repository puts into `.eval_results/<track>.yaml` for a scored row.

    Parameters
    ----------
    table, row
        A track's main table, and a row that was scored here.
    dataset
        ORG/NAME of the benchmark dataset.
    url
        Page of the submission, where the site is public.

    Raises
    ------
    TrackError
        HB302 for a row without the primary number, and for reported rows: they are not ours.
    """
    column = table.primary
    cell = row.cells.get(column.key) if column else None
    if column is None or cell is None or cell.value is None or not row.submission:
        what = f"{row.slug} has no {column.label if column else 'number'} that was scored here."
        raise TrackError(Problem("HB302", table.name, what))
    notes = [f"{column.label} ({column.unit or 'share'}), protocol {column.protocol}", row.kind]
    if cell.ci95:
        notes.append("95 % interval {:.9g} to {:.9g}".format(*cell.ci95))
    notes.append(cell.signature)
    entry: dict[str, Any] = {
        "dataset": {"id": dataset, "task_id": table.track},
        "value": cell.value,
        "date": row.date,
    }
    if url:
        entry["source"] = {"url": url, "name": "hand-bench"}
    entry["evaluation_framework"] = FRAMEWORK
    entry["notes"] = one_line("; ".join(filter(None, notes)))
    return _yaml([entry])


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
