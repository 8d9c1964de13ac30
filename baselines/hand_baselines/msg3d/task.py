"""What MS-G3D does with data: it is trained on clips of verbs, and answers tracks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hand_baselines.feeding import placed
from hand_baselines.models import Model
from hand_baselines.msg3d.clips import COLUMNS, Clip, VerbClips, as_input, read_clips
from hand_baselines.msg3d.config import MSG3DConfig
from hand_baselines.poses import TRUTH, Poses, clip_poses
from hand_baselines.samples import Order
from hand_baselines.tasks import Task, TrainingSet
from hand_baselines.weights import Loaded
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import BaselineError, DatasetError, Problem
from hand_bench.tracks import Track
from hand_bench.tracks.assemblyhands import VERBS


def training_set(
    model: Model,
    config: MSG3DConfig,
    opened: Sequence[Annotations],
    _images: str | Path | None = None,
    *,
    hands: str = "all",
    annotators: Sequence[str] = (),
    augmentation: float = 1.0,
    seed: int = 0,
    poses: Any = None,
) -> TrainingSet:
    """Return the clips of training tables with their poses.

    Parameters
    ----------
    hands, annotators
        Choose pictures for other models; here nothing may be chosen.
    augmentation
        Factor on how far clips are varied.
    poses
        Predictions of the training pictures; default: the truth.

    Raises
    ------
    BaselineError
        HB302 where something is chosen, or one predictions file is given for several tables.
    DatasetError
        HB202 where no clip has poses.
    """
    if hands != "all" or annotators or (poses is not None and len(opened) > 1):
        what = "takes whole tables of clips, and predictions for one table at a time."
        raise BaselineError(Problem("HB302", model.name, what))
    sources = [clip_poses(table, poses) for table in opened]
    pairs = [pair for table, own in zip(opened, sources, strict=True)
             for pair in _labelled(table, own, config)]  # fmt: skip
    if not pairs:
        raise DatasetError(Problem("HB202", str(opened[0].path), "no clip has poses."))
    clips, labels = [clip for clip, _ in pairs], np.array([label for _, label in pairs])
    data = VerbClips(clips, labels, config, strength=augmentation, seed=seed)
    facts = {
        "poses": [{"source": own.source, "sha256": own.sha256} for own in sources],
        "frequency": np.bincount(labels, minlength=config.classes).tolist(),
    }
    return TrainingSet(data, Order(np.arange(len(data)), sharded=False, seed=seed), facts)


def _labelled(table: Annotations, poses: Poses, config: MSG3DConfig) -> Iterator[tuple[Clip, int]]:
    """Give the clips whose class is known and that have poses."""
    for rows in table.batches([*COLUMNS, "label"]):
        clips = read_clips(rows, poses, config)
        for clip, label, known in zip(clips, rows["label"], rows.given("label"), strict=True):
            if known and clip.usable:
                yield clip, int(label)


@dataclass(frozen=True)
class VerbAnswers:
    """A network that answers clips.

    Attributes
    ----------
    network, device
        In evaluation mode, and where it is.
    poses
        What it looks at.
    facts
        Of the weights: ``frequency`` answers clips without poses.
    batch
        Clips at once.
    """

    network: nn.Module
    device: torch.device
    poses: Poses
    facts: Mapping[str, Any]
    batch: int = 32

    @property
    def origin(self) -> Mapping[str, Any]:
        """What the answers depend on besides the weights."""
        return {"poses": self.poses.sha256}

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the predictions declare that they were given."""
        return ("poses:gt",) if self.poses.source == TRUTH else ("poses:own",)

    def columns(
        self, rows: AnnotationBatch, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the probability of every class, ``scores`` (clips, classes)."""
        config: Any = self.network.config
        clips = read_clips(rows, self.poses, config)
        frequency = np.array(self.facts["frequency"], np.float32)
        scores = np.tile(frequency / frequency.sum(), (len(clips), 1))
        usable = np.flatnonzero([clip.usable for clip in clips])
        for start in range(0, len(usable), self.batch):
            part = usable[start : start + self.batch]
            joints = np.stack([as_input(clips[k], config) for k in part])
            scores[part] = self._probabilities(torch.from_numpy(joints))
            if seen is not None:
                seen(int(part[-1]) + 1)
        return {"scores": scores}

    @torch.no_grad()
    def _probabilities(self, joints: Tensor) -> np.ndarray:
        return self.network(joints.to(self.device)).float().softmax(dim=1).cpu().numpy()


def answers(
    loaded: Loaded,
    opened: Annotations,
    _images: str | Path | None = None,
    *,
    poses: Any = None,
    batch: int = 32,
    workers: int = 0,
    device: str | None = None,
) -> VerbAnswers:
    """Make weights ready for a table of clips.

    Parameters
    ----------
    poses
        Predictions of a pose track of the same dataset; default: the truth.
    batch, device
        Clips at once, and what computes; `workers` are for pictures.

    Raises
    ------
    BaselineError, DatasetError, SubmissionError
        See `poses.clip_poses`.
    """
    network, place = placed(loaded.network, device, by_pixels=False)
    return VerbAnswers(network, place, clip_poses(opened, poses), loaded.facts, batch)


def fits(track: Track) -> bool:
    """Whether a track asks for the six verbs of a clip."""
    return track.kind == "action" and track.classes == VERBS


def joints(batch: Mapping[str, Tensor]) -> tuple[Tensor]:
    """Return what the network is called with."""
    return (batch["joints"],)


def example(config: MSG3DConfig, size: int) -> tuple[Tensor]:
    """Return so many clips without a motion, for timing."""
    return (torch.rand(size, config.frames, 2, 21, 3),)


CLIPS = Task(
    training_set, answers, fits, (*COLUMNS,), joints, ("poses",), example=example, sample="clip"
)
