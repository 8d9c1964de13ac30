"""What models of both hands' MANO parameters do with data: WildHands and its family.

They are trained on tables of pictures with whatever labels these have, and answer tracks of one
camera: joints in its frame, or in the picture where the track asks for 2D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from torch import Tensor

from hand_baselines.crop_task import undo_lens
from hand_baselines.crops import apply, invert
from hand_baselines.detector.boxes import with_boxes
from hand_baselines.detector.predict import Boxes, boxes_of
from hand_baselines.feeding import batches_on, placed
from hand_baselines.lifting import project
from hand_baselines.mano_data import (
    GIVEN,
    LABELS,
    SIDE,
    UPRIGHT,
    Cut,
    HandPictures,
    Labels,
    Part,
    Ranges,
    batch_views,
    turned,
)
from hand_baselines.mano_losses import as_mano
from hand_baselines.models import Model
from hand_baselines.pictures import Pictures
from hand_baselines.samples import Hands, Order, chosen_rows, picture_root
from hand_baselines.tasks import Task, TrainingSet
from hand_baselines.weights import Loaded
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import BaselineError, DatasetError, Problem
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.meshes import MEAN_ADDED
from hand_bench.tracks import TRACKS, Track

#: Columns that answers are made from.
READ = ("sample_id", *GIVEN)


def cut_of(config: Any) -> Cut:
    """Return how a configuration's pictures and crops are cut."""
    return Cut(config.input_size, config.expansion, config.source == "letterbox")


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
    """Return random views of the pictures of all tables, with the labels that each has.

    A picture of any table is as likely as one of another. `augmentation` is a factor on shifts and
    turns.

    Raises
    ------
    BaselineError
        HB302 where one folder of pictures is given for several tables.
    DatasetError
        HB202 where no picture is left.
    """
    if images is not None and len(opened) > 1:
        what = "names one folder, but there are several tables."
        raise BaselineError(Problem("HB302", "--images", what))
    parts = []
    for table in opened:
        rows = chosen_rows(table.table([*GIVEN, *LABELS, "annotator"]), hands, annotators)
        rows = rows.filter(pc.is_valid(rows["image"]))
        if len(rows):
            batch = rows.combine_chunks().to_batches()[0]
            pictures = Pictures(picture_root(table, images))
            parts.append(Part.of(batch, pictures, table.manifest.get("dataset")))
    if not parts:
        raise DatasetError(Problem("HB202", str(opened[0].path), "no picture is left to train on."))
    usual = Ranges()
    turn, shift = (augmentation * value for value in (usual.turn, usual.shift))
    ranges = replace(usual, turn=turn, shift=shift)
    labels = Labels(config.mask_size, config.auxiliary)
    data = HandPictures(parts, cut_of(config), ranges, labels=labels, seed=seed)
    orders = [Order.of(part.rows, seed) for part in parts]
    neighbours = [
        order.neighbours + start for order, start in zip(orders, data.starts, strict=False)
    ]
    order = Order(np.concatenate(neighbours), all(one.sharded for one in orders), seed)
    return TrainingSet(data, order, {})


@dataclass(frozen=True)
class HandAnswers:
    """A network that answers rows of annotations.

    Attributes
    ----------
    network, device
        In evaluation mode, and where it is.
    pictures
        Of the rows.
    inputs
        What the predictions declare that they were given.
    planar
        Whether joints in the picture are asked for.
    meshes, mean_added
        Whether the hands' parameters are given as well, and in which form (`mano_data.Part`).
    turn
        By what pictures are turned upright, radians (`mano_data.UPRIGHT`).
    batch, workers
        Pictures at once, and processes that read them.
    boxes
        Where the boxes of hands come from; none: from the annotations.
    """

    network: Any
    device: torch.device
    pictures: Pictures
    inputs: tuple[str, ...] = ()
    planar: bool = False
    meshes: bool = False
    mean_added: bool = False
    turn: float = 0.0
    batch: int = 32
    workers: int = 0
    boxes: Boxes | None = None

    @property
    def origin(self) -> Mapping[str, Any]:
        """What the answers depend on besides the weights."""
        own = {} if self.boxes is None else {"boxes": self.boxes.source}
        return {"meshes": self.meshes, "turn": self.turn} | own

    @torch.no_grad()
    def columns(
        self, rows: AnnotationBatch, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return columns of predictions for rows, in their order; a hand without a box is NaN."""
        if self.boxes is not None:
            rows = with_boxes(rows, self.boxes(rows))
        part = Part(rows.table, self.pictures, turn=self.turn)
        data = HandPictures([part], cut_of(self.network.config))
        parts: dict[str, list[np.ndarray]] = {}
        done = 0
        for batch in batches_on(self.device, data, self.batch, self.workers):
            for name, value in self._batch(batch).items():
                parts.setdefault(name, []).append(value)
            done += len(batch["K"])
            if seen is not None:
                seen(done)
        found = {name: np.concatenate(values) for name, values in parts.items()}
        return found if self.planar else undo_lens(found, rows)

    def _batch(self, batch: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        output = self.network(*batch_views(batch))
        joints = self.network.decode(output, batch["K"]).joints
        motion = turned(self.turn)
        values, name = joints @ torch.from_numpy(motion).to(joints), "joints"
        if self.planar:
            points = project(joints.double(), batch["K"].double()[:, None])
            back = invert(batch["affine"].double())
            values, name = apply(back[:, None], points), "joints_2d"
        lacking = ~batch["there"][..., None, None]
        values = torch.where(lacking, torch.nan, values.float()).cpu().numpy()
        columns = {f"{side}_{name}": values[:, k] for k, side in enumerate(HAND_SIDES)}
        if self.meshes:
            how = {"mean_added": self.mean_added, "motion": motion}
            mano = as_mano(output, batch["K"], self.network.layers, **how)
            mano[~batch["there"].cpu().numpy()] = np.nan
            columns |= {f"{side}_mano": mano[:, k] for k, side in enumerate(HAND_SIDES)}
        return columns


def answers(
    loaded: Loaded,
    opened: Annotations,
    images: str | Path | None = None,
    *,
    meshes: bool = False,
    boxes: str | Path | None = None,
    batch: int = 32,
    workers: int = 0,
    device: str | None = None,
) -> HandAnswers:
    """Make weights ready for a table of pictures; where it has 2D joints alone, these are answered.

    Parameters
    ----------
    meshes
        Whether predictions carry the hands' parameters.
    boxes
        A file of boxes, or weights of a detector (see `detector.predict.boxes_of`); default: the
        boxes of the annotations.

    Raises
    ------
    BaselineError
        HB302 where the model looks at no crops; what is wrong with the boxes.
    """
    network, place = placed(loaded.network, device)
    pictures = Pictures(picture_root(opened, images))
    boxed, own = network.config.looks_at_crops, None  # pyright: ignore
    if boxes is not None:
        if not boxed:
            what = f"{loaded.model.name} looks at no crops and takes none."
            raise BaselineError(Problem("HB302", "--boxes", what, fix="Leave it out."))
        own = boxes_of(boxes, opened, images, batch=batch, workers=workers, device=device)
    dataset = opened.manifest.get("dataset")
    track = next((one for one in TRACKS.values() if one.dataset == dataset and fits(one)), None)
    inputs = _declared(track, boxed=boxed, own=own is not None) if track else ()
    planar = track is not None and track.kind == "pose-2d"
    turn = UPRIGHT.get(dataset or "", 0.0)
    asked = (inputs, planar, meshes, dataset in MEAN_ADDED, turn)
    return HandAnswers(network, place, pictures, *asked, batch, workers, own)


def _declared(track: Track, *, boxed: bool, own: bool) -> tuple[str, ...]:
    """Return what a method declares on a track that gets the annotations' intrinsics.

    It gets the annotations' boxes, its `own`, or is not `boxed` at all.
    """
    given = ("own",) if own else ("gt", "standard", "detected")
    wanted = {"boxes": given if boxed else ("none",)}
    wanted["K"] = ("gt", "assumed")
    return tuple(
        f"{name}:{value}"
        for name, values in wanted.items()
        for value in [next((v for v in values if v in track.inputs.get(name, ())), None)]
        if value is not None
    )


def fits(track: Track) -> bool:
    """Whether a track asks for hands in one camera's frame or in its picture."""
    return track.kind in ("pose", "pose-2d") and not track.several_views and track.frame == "camera"


def example(config: Any, count: int) -> tuple[Tensor, ...]:
    """Return random pictures, to measure a network with."""
    size = config.input_size
    boxes = torch.tensor([60.0, 60, 160, 160]).expand(count, 2, 4)
    K = torch.tensor([[150.0, 0, SIDE / 2], [0, 150, SIDE / 2], [0, 0, 1]]).expand(count, 3, 3)
    return torch.rand(count, 3, size, size), torch.rand(count, 2, 3, size, size), boxes, K


MANO = Task(training_set, answers, fits, READ, batch_views, ("meshes", "boxes"), example=example)
