"""What a page says about clips: the confusion matrix, classes, confused pairs, worst sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hand_bench import drawing
from hand_bench.array_types import Int
from hand_bench.results import Result
from hand_leaderboard.page_figures import inline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Pairs of classes and sequences on the page, at most.
PAIRS, SEQUENCES = 15, 10
#: Inches of a cell by the number of classes: few classes get large ones.
_CELLS = ((10, 0.55), (20, 0.36), (1000, 0.2))


def sections(result: Result, clips: pa.Table) -> dict[str, Any]:
    """Return what the template needs; `clips` are the rows of `clip_answers`."""
    classes = [name.replace("_", " ") for name in result.details["classes"]]
    confusion = np.array(result.details["confusion"], int)
    figure = confusion_figure(confusion, classes)
    return {
        "confusion": inline(figure, "confusion", "confusion matrix"),
        "confusion_width": round(92 * figure.get_figwidth()),
        "answered": int(confusion.sum()),
        "classes": class_rows(confusion, classes),
        "pairs": confused_pairs(confusion, classes),
        "sequences": _sequences(clips),
    }


def confusion_figure(confusion: Int[np.ndarray, "n n"], classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: true classes in rows, answers in columns, counts in cells.

    A cell is as strong as its share of the row. Classes without a clip and never answered are
    left out.
    """
    used = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
    counts, names = confusion[np.ix_(used, used)], [classes[k] for k in used]
    n = max(len(used), 1)
    cell = next(size for most, size in _CELLS if n <= most)
    edge = 0.5 + 0.062 * max(map(len, names), default=0)
    figure = drawing.new_figure(n * cell + edge, n * cell + edge, layout=None)
    share = n * cell / (n * cell + edge)
    axes = figure.add_axes((1 - share, 1 - share, share - 0.01, share - 0.01))
    size = 7.0 if cell < 0.3 else 9.0
    drawing.draw_confusion(axes, counts, names, size)
    return figure


def class_rows(confusion: Int[np.ndarray, "n n"], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Accuracy of each class that occurs, the lowest first, and what it is most often taken for."""
    rows = []
    for k, name in enumerate(classes):
        clips = int(confusion[k].sum())
        if not clips:
            continue
        wrong = confusion[k].copy()
        wrong[k] = 0
        taken = f"{classes[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
        share = float(confusion[k, k] / clips)
        rows.append({"name": name, "accuracy": share, "clips": clips, "taken": taken})
    return sorted(rows, key=lambda row: row["accuracy"])


def confused_pairs(
    confusion: Int[np.ndarray, "n n"], classes: Sequence[str], most: int = PAIRS
) -> list[dict[str, Any]]:
    """The pairs (true class, answer) that occur most often, with their share of the true class."""
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = []
    for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
        count = int(wrong[row, column])
        if count:
            share = count / int(confusion[row].sum())
            pairs.append(
                {"true": classes[row], "answer": classes[column], "clips": count, "share": share}
            )
    return pairs


def _sequences(clips: pa.Table) -> list[dict[str, Any]]:
    """Sequences (or time blocks) with the lowest accuracy."""
    names = clips.column("cluster").cast(pa.string()).to_pylist()
    right = clips.column("right").to_numpy()
    found, code = np.unique(names, return_inverse=True)
    count = np.bincount(code, minlength=len(found))
    share = np.bincount(code, right, len(found)) / np.maximum(count, 1)
    return [
        {"name": str(found[k]), "accuracy": float(share[k]), "clips": int(count[k])}
        for k in np.argsort(share, kind="stable")[:SEQUENCES]
    ]
