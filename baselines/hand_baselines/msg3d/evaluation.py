"""How good hand poses are for recognising verbs: AssemblyHands' Table 5 for any submission.

Protocols
---------
truth-classifier
    A classifier that was trained on the true poses names the verbs of a method's poses: what these
    lose of what was there.
own-classifier
    A classifier that was trained on the method's own poses of the training pictures: what can be
    learned from them, their habits included. The paper's Table 5 is read like this
    (facts/assemblyhands.md 3.1); both are given a name, since the paper does not say.

In both, "relative" is the share of the upper bound: the truth-classifier on the true poses. "All
segments" is the share of all segments that are named rightly, which the paper's "Avg." must be;
"mean of verbs" is the mean of the six verbs' shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hand_baselines.msg3d.task import answers
from hand_baselines.poses import TRUTH
from hand_baselines.prediction import answers_table, declaration, score
from hand_baselines.weights import Loaded
from hand_bench import drawing
from hand_bench.annotations import Annotations
from hand_bench.data import open_annotations
from hand_bench.errors import BaselineError, Problem
from hand_bench.results import Result, Score
from hand_bench.tracks import Track, find_track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROTOCOLS = ("truth-classifier", "own-classifier")
ALL, MEAN = "all segments", "mean of verbs"
#: Inches of a cell of the picture, and of what is beside the cells.
_CELL, _EDGE = 0.55, 1.3


@dataclass(frozen=True)
class VerbScores:
    """How many verbs a classifier names rightly.

    Attributes
    ----------
    protocol, classifier, trained_on
        Which of `PROTOCOLS`; the name of the weights, and the source of their training poses.
    poses
        Whose poses are tested.
    result
        The scorer's.
    """

    protocol: str
    classifier: str
    trained_on: str
    poses: str
    result: Result

    @property
    def verbs(self) -> dict[str, Score]:
        """Accuracy of each verb."""
        return {name: self.result.score("accuracy", name, "paper") for name in self.classes}

    @property
    def averages(self) -> dict[str, Score]:
        """Both averages: of all segments, and of the verbs."""
        return {
            ALL: self.result.score("accuracy"),
            MEAN: self.result.score("class-mean accuracy"),
        }

    @property
    def classes(self) -> list[str]:
        """Names of the verbs."""
        return self.result.details["classes"]

    @property
    def confusion(self) -> np.ndarray:
        """Counts (verbs, verbs): true ones in rows, answers in columns."""
        return np.array(self.result.details["confusion"], int)


@dataclass(frozen=True)
class VerbReport:
    """What a method's poses are worth, and the upper bound (None without a truth-classifier)."""

    upper: VerbScores | None
    rows: list[VerbScores]

    def relative(self, row: VerbScores) -> dict[str, float | None]:
        """Return both averages as shares of the upper bound's; None where there is none."""
        if self.upper is None:
            return dict.fromkeys(row.averages)
        shares: dict[str, float | None] = {}
        for name, bound in self.upper.averages.items():
            own = row.averages[name].value
            shares[name] = own / bound.value if own is not None and bound.value else None
        return shares

    @property
    def columns(self) -> list[VerbScores]:
        """The upper bound, where there is one, and the rows."""
        return [*([self.upper] if self.upper else []), *self.rows]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: shares with 95 % intervals, counts, the confusion matrices."""
        upper = None if self.upper is None else _plain(self.upper)
        rows = [_plain(row) | {"relative": self.relative(row)} for row in self.rows]
        return {"upper_bound": upper, "rows": rows}


def evaluate_poses(
    preds: str | Path | Any,
    track: str | Track,
    classifiers: Sequence[Loaded],
    *,
    annotations: str | Path | Annotations | None = None,
    resamples: int = 1000,
) -> VerbReport:
    """Name the verbs of a track's clips from a method's poses, with each classifier.

    Parameters
    ----------
    preds
        Predictions of a pose track of the same data.
    track
        Whose clips are named.
    classifiers
        Weights of MS-G3D; what they were trained on decides the protocol.
    annotations
        Prepared clips; default: the track's.
    resamples
        Of the intervals.

    Raises
    ------
    BaselineError
        HB302 where weights are of another model or the track asks for something else.
    SubmissionError
        As `hand_bench.evaluate`, for the poses.
    """
    track = find_track(track)
    if not isinstance(annotations, Annotations):
        annotations = open_annotations(track, annotations)
    upper, rows = None, []
    for loaded in classifiers:
        _require_classifier(loaded)
        loaded.model.task().require(track)
        rows.append(_score(loaded, track, annotations, preds, resamples))
        if upper is None and trained_on(loaded) == TRUTH:
            upper = _score(loaded, track, annotations, None, resamples)
    return VerbReport(upper, rows)


def trained_on(loaded: Loaded) -> str:
    """Return whose poses a classifier was trained on: "truth", or methods."""
    return ", ".join(dict.fromkeys(own["source"] for own in loaded.facts["poses"]))


def confusion_picture(report: VerbReport) -> Figure:
    """Draw the confusion matrices of a report side by side, the upper bound first."""
    columns = report.columns
    side = _CELL * len(columns[0].classes) + _EDGE
    figure = drawing.new_figure(side * len(columns), side + 0.5)
    for k, own in enumerate(columns):
        axes = figure.add_subplot(1, len(columns), k + 1)
        drawing.draw_confusion(axes, own.confusion, own.classes)
        share = own.averages[ALL].text()
        title = f"poses: {own.poses}\n{own.protocol}: {share} % of all segments"
        axes.set_title(title, color=drawing.INK, fontsize=9).set_parse_math(False)
    return figure


def _score(
    loaded: Loaded, track: Track, annotations: Annotations, preds: Any, resamples: int
) -> VerbScores:
    """Answer the clips from poses (the truth where there are none given), and score."""
    ready = answers(loaded, annotations, poses=preds)
    columns: list[Mapping[str, np.ndarray]] = []
    ids: list[str] = []
    for rows in annotations.batches(loaded.model.task().read):
        ids += rows.sample_id.to_pylist()
        columns.append(ready.columns(rows))
    whole = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    declared = declaration(track, ready.inputs, loaded.name).metadata()
    table = answers_table(track, ids, whole).replace_schema_metadata(declared)
    result = score(table, track, annotations=annotations, resamples=resamples)
    source = trained_on(loaded)
    protocol = PROTOCOLS[0] if source == TRUTH else PROTOCOLS[1]
    return VerbScores(protocol, loaded.name, source, ready.poses.source, result)


def _require_classifier(loaded: Loaded) -> None:
    if "poses" not in loaded.facts:
        what = f"is a {loaded.model.name}, which names no verbs."
        fix = "`hand-bench baselines train msg3d --data TRACK` makes a classifier."
        raise BaselineError(Problem("HB302", loaded.name, what, fix=fix))


def _plain(own: VerbScores) -> dict[str, Any]:
    scores = {**own.verbs, **own.averages}
    return {
        "protocol": own.protocol,
        "classifier": own.classifier,
        "trained_on": own.trained_on,
        "poses": own.poses,
        "accuracy": {n: {"value": s.value, "ci95": s.ci95, "n": s.n} for n, s in scores.items()},
        "confusion": own.confusion.tolist(),
    }
