"""What a detector does with data: it is trained on tables with boxes, and finds boxes in them.

It answers no track: its boxes are files for other models (`boxes`, `predict.detect`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import nn

from hand_baselines.answering import picture
from hand_baselines.detector.boxes import BOXES, SCORES
from hand_baselines.detector.data import (
    GIVEN,
    PRESENCE,
    VARIED,
    WholePictures,
    known_sides,
    true_boxes,
)
from hand_baselines.detector.measures import BoxMeasures, measure
from hand_baselines.feeding import batches_on, placed
from hand_baselines.models import Model
from hand_baselines.pictures import Pictures
from hand_baselines.samples import Hands, Order, chosen_rows, join_tables, picture_root
from hand_baselines.tasks import Task, TrainingSet
from hand_baselines.weights import Loaded
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import DatasetError, Problem
from hand_bench.tracks import Track

READ = ("sample_id", *GIVEN, *PRESENCE)


def training_set(
    model: Model,
    config: Any,
    opened: Sequence[Annotations],
    images: str | Path | None = None,
    *,
    hands: Hands = "all",
    annotators: Sequence[str] = (),
    augmentation: float = 1.0,
    seed: int = 0,
) -> TrainingSet:
    """Return random views of whole pictures, with the boxes of their hands.

    Pictures of which nothing is known about any hand are left out. `augmentation` is a factor on
    shifts and scales.

    Raises
    ------
    DatasetError
        HB202 where no picture with a box is left.
    """
    tables, roots = [], []
    for part in opened:
        rows = chosen_rows(part.table([*GIVEN, *PRESENCE, "annotator"]), hands, annotators)
        rows = rows.filter(pc.is_valid(rows["image"]))
        if len(rows):
            batch = rows.combine_chunks().to_batches()[0]
            tables.append(batch.filter(pa.array(known_sides(AnnotationBatch(0, batch)).any(1))))
            roots.append(picture_root(part, images))
    if not any(np.isfinite(true_boxes(AnnotationBatch(0, table))).any() for table in tables):
        what = "has no pictures with boxes of hands."
        raise DatasetError(Problem("HB202", str(opened[0].path), what))
    table, root = join_tables(tables, roots)
    shift, scale = (augmentation * value for value in (VARIED.shift, VARIED.scale))
    ranges = replace(VARIED, shift=shift, scale=min(scale, 0.9))
    data = WholePictures(table, Pictures(root), config.input_size, ranges, seed=seed)
    return TrainingSet(data, Order.of(table, seed), {})


@dataclass(frozen=True)
class Detections:
    """A network that finds boxes in the pictures of rows of annotations.

    Attributes
    ----------
    network, device
        In evaluation mode, and where it is.
    pictures
        Of the rows.
    batch, workers
        Pictures at once, and processes that read them.
    """

    network: nn.Module
    device: torch.device
    pictures: Pictures
    batch: int = 32
    workers: int = 0

    @property
    def origin(self) -> Mapping[str, Any]:
        """What the boxes depend on besides the weights."""
        return {}

    @property
    def inputs(self) -> tuple[str, ...]:
        """Nothing but pictures is looked at."""
        return ("boxes:none",)

    @torch.no_grad()
    def found(
        self, rows: AnnotationBatch, seen: Callable[[int], None] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the best box of each side (rows, 2, 4), px, and its score (rows, 2), float32."""
        size = self.network.config.input_size  # pyright: ignore
        data = WholePictures(rows.table, self.pictures, size)
        boxes, scores, done = [np.zeros((0, 2, 4), np.float32)], [np.zeros((0, 2), np.float32)], 0
        for batch in batches_on(self.device, data, self.batch, self.workers):
            said = self.network.decode(self.network(*picture(batch)), batch)  # pyright: ignore
            boxes.append(said.boxes.float().cpu().numpy())
            scores.append(said.scores.float().cpu().numpy())
            done += len(batch["image"])
            if seen is not None:
                seen(done)
        return np.concatenate(boxes), np.concatenate(scores)

    def columns(
        self, rows: AnnotationBatch, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return columns of a file of boxes for rows, in their order."""
        boxes, scores = self.found(rows, seen)
        named = {name: boxes[:, k] for k, name in enumerate(BOXES)}
        return named | {name: scores[:, k] for k, name in enumerate(SCORES)}

    def measured(self, rows: AnnotationBatch) -> BoxMeasures:
        """Measure its boxes on rows with true ones."""
        return measure(true_boxes(rows), known_sides(rows), *self.found(rows))


def answers(
    loaded: Loaded,
    opened: Annotations,
    images: str | Path | None = None,
    *,
    batch: int = 32,
    workers: int = 0,
    device: str | None = None,
) -> Detections:
    """Make weights ready for the pictures of a table."""
    network, place = placed(loaded.network, device)
    return Detections(network, place, Pictures(picture_root(opened, images)), batch, workers)


def validated(found: Detections, rows: AnnotationBatch) -> tuple[float, dict[str, float]]:
    """Return AP50 on rows, by which weights are chosen, and what the log shows besides."""
    measures = found.measured(rows)
    shown = {"recall": measures.recall, "mean IoU": measures.mean_iou}
    return measures.ap50, {name: value for name, value in shown.items() if value == value}


def fits(_track: Track) -> bool:
    """Return False: boxes answer no track."""
    return False


DETECTION = Task(
    training_set,
    answers,
    fits,
    READ,
    picture,
    validated=validated,
    instead="`hand-bench baselines detect` finds boxes; `predict --boxes` takes them.",
)
