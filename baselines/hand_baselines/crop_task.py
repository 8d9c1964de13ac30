"""Models that look at one crop of one picture: InterNet, RootNet, SVEgoNet, backbones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hand_baselines.answering import Network, outputs, picture
from hand_baselines.models import Model
from hand_baselines.pictures import Pictures
from hand_baselines.root_depths import RootDepths, root_depths
from hand_baselines.samples import (
    INPUTS,
    HandCrops,
    Hands,
    Order,
    join_tables,
    picture_root,
    read_table,
)
from hand_baselines.tables import FACTS
from hand_baselines.tasks import Task, TrainingSet
from hand_baselines.triangulation import undistort
from hand_baselines.weights import Loaded
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import BaselineError, Problem
from hand_bench.geometry import back_project, project
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track

LeftRoot = Literal["relative", "absolute"]


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
    """Return random crops of training tables, with their labels (see `samples.read_table`)."""
    tables = [read_table(part, hands=hands, annotators=annotators) for part in opened]
    table, root = join_tables(tables, [picture_root(part, images) for part in opened])
    data = HandCrops(table, Pictures(root), model.crops(config, augmentation), seed=seed)
    facts = {name: FACTS[name](table) for name in model.facts}
    return TrainingSet(data, Order.of(table, seed), facts)


@dataclass(frozen=True)
class CropAnswers:
    """A network that answers rows of annotations.

    Attributes
    ----------
    network, pictures
        What looks, and at what.
    model, facts
        How its outputs are read, and what that needs besides.
    roots
        Where the depths of the wrists come from; none: from the facts.
    left
        "relative" or "absolute": see `internet.predict.answer`.
    """

    network: Network
    pictures: Pictures
    model: Model
    facts: Mapping[str, Any]
    roots: RootDepths | None = None
    left: LeftRoot = "relative"

    @property
    def origin(self) -> Mapping[str, Any]:
        """What the answers depend on besides the weights."""
        return {} if self.roots is None else {"roots": self.roots.source, "left_root": self.left}

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the predictions declare that they were given."""
        return self.model.inputs if self.roots is None else ("boxes:standard", "root_depth:own")

    def columns(
        self, rows: AnnotationBatch, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return columns of predictions for rows, in their order."""
        depths = None if self.roots is None else torch.from_numpy(self.roots(rows, self.pictures))
        # Only models that take depths from elsewhere have a choice of the left wrist's.
        options = {} if depths is None else {"left": self.left}
        answer, parts, done = self.model.answer(), [], 0
        for output, batch in outputs(self.network, rows, self.pictures):
            end = done + len(batch["image"])
            depth = None if depths is None else depths[done:end]
            module = self.network.module
            parts.append(answer(module, output, batch, self.facts, depth, **options))
            done = end
            if seen is not None:
                seen(done)
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return undo_lens(found, rows)


def undo_lens(columns: Mapping[str, np.ndarray], rows: AnnotationBatch) -> dict[str, np.ndarray]:
    """Move joints onto the rays of lenses; networks lift pixels as if there were none.

    Depths stay. Rows without ``distortion`` and joints beyond the lens's field stay as they are.
    """
    bent = rows.given("distortion") & rows.given("K")
    bent[bent] = rows["distortion"][bent].any(axis=1)
    moved = dict(columns)
    if not bent.any():
        return moved
    K, lens = rows["K"][bent].astype(float), rows["distortion"][bent].astype(float)

    def straight(points: np.ndarray) -> np.ndarray:
        pixels = undistort(project(points, K), K, lens)
        kept = np.where(np.isfinite(pixels), pixels, project(points, K))
        return back_project(kept, points[..., 2], K)

    wrist = columns["right_joints"][bent, :1].astype(float)
    if "left_root" in columns:
        apart = straight(wrist + columns["left_root"][bent, None]) - straight(wrist)
        moved["left_root"] = columns["left_root"].copy()
        moved["left_root"][bent] = apart[:, 0]
    for side in HAND_SIDES:
        moved[f"{side}_joints"] = columns[f"{side}_joints"].copy()
        moved[f"{side}_joints"][bent] = straight(columns[f"{side}_joints"][bent].astype(float))
    return moved


def answers(
    loaded: Loaded,
    opened: Annotations,
    images: str | Path | None = None,
    *,
    root_depth: str | Path | None = None,
    left_root: LeftRoot = "relative",
    **fed: Any,
) -> CropAnswers:
    """Make weights ready for a table.

    Parameters
    ----------
    root_depth
        A RootNet's weights, or its result file: at these depths hands are lifted (`root_depths`).
        Default: at the mean depth of the training wrists.
    left_root
        Whether the left wrist is put at the predicted difference of depths ("relative"), or at the
        difference of the wrists' own depths ("absolute").
    fed
        batch, workers and device: see `answering.Network`.

    Raises
    ------
    BaselineError
        HB302 where no depths are given for "absolute", or the model takes none.
    """
    if left_root == "absolute" and root_depth is None:
        what = "the difference of absolute depths needs depths."
        raise BaselineError(Problem("HB302", "--left-root absolute", what, fix="`--root-depth`."))
    if root_depth is not None and "root_depth" not in loaded.model.facts:
        what = "measures depths itself and takes none from elsewhere."
        fix = "Leave out --root-depth."
        raise BaselineError(Problem("HB302", loaded.model.name, what, fix=fix))
    roots = None if root_depth is None else root_depths(root_depth, **fed)
    network = Network.of(loaded.network, loaded.model, **fed)
    pictures = Pictures(picture_root(opened, images))
    return CropAnswers(network, pictures, loaded.model, loaded.facts, roots, left_root)


def fits(track: Track) -> bool:
    """Whether a track asks for hands in the frame of one camera."""
    return track.kind == "pose" and not track.several_views and track.frame == "camera"


CROPS = Task(training_set, answers, fits, INPUTS, picture, ("root_depth", "left_root"))
