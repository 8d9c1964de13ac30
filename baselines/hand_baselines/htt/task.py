"""Models that look at clips of a video and answer poses of frames and actions of videos: HTT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from hand_baselines.feeding import batches_on, placed
from hand_baselines.htt.config import HTTConfig
from hand_baselines.htt.data import Frames, TrainingClips, training_clips
from hand_baselines.htt.model import HTT, fed
from hand_baselines.htt.recordings import (
    Recordings,
    Video,
    frames_and_clips,
    one_batch,
    whole,
)
from hand_baselines.htt.segmentation import clips, vote, windows
from hand_baselines.htt.views import Ranges
from hand_baselines.models import Model
from hand_baselines.pictures import Pictures
from hand_baselines.samples import INPUTS, Order, picture_root, read_table
from hand_baselines.tasks import Task, TrainingSet
from hand_baselines.weights import Loaded
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import BaselineError, DatasetError, Problem
from hand_bench.tracks import Track

#: Of rows that are answered; frames and clips have all of them.
READ = ("sample_id", "sequence", "frame", "end_frame")
_CLIPS = ("sequence", "frame", "end_frame")


def training_set(
    model: Model,
    config: HTTConfig,
    opened: Sequence[Annotations],
    images: str | Path | None = None,
    *,
    hands: str = "all",
    annotators: Sequence[str] = (),
    augmentation: float = 1.0,
    seed: int = 0,
) -> TrainingSet:
    """Return random clips of training videos with poses, objects and actions.

    A dataset's table of poses and its table of actions lead to the same clips. Of the variations
    (`views.Ranges`) `augmentation` is a factor on all.

    Raises
    ------
    BaselineError
        HB302 where samples are left out by `hands` or `annotators` (a clip is a whole), or for
        videos of another taxonomy.
    DatasetError
        HB201 where only one of the two tables is prepared.
    """
    if hands != "all" or annotators:
        what = "leaves out samples; clips are trained on as a whole."
        raise BaselineError(Problem("HB302", "--hands or --annotators", what))
    parts = {}
    for table in opened:
        require_taxonomy(config, table)
        frames, videos = frames_and_clips(table)
        if videos is None:
            what = "lies beside no table of clips: nothing says what is done."
            fix = "`hand-bench data prepare` writes both: action-SPLIT and pose-SPLIT."
            raise DatasetError(Problem("HB201", str(frames.path), what, fix=fix))
        if frames.path.resolve() not in parts:
            pictures = Pictures(picture_root(frames, images))
            found = training_clips(frames, videos, config)
            parts[frames.path.resolve()] = read_table(frames), pictures, found
    data = TrainingClips(list(parts.values()), config, Ranges().times(augmentation), seed)
    return TrainingSet(data, Order(np.arange(len(data)), False, seed), {})


def require_taxonomy(config: HTTConfig, table: Annotations) -> None:
    """Raise HB302 where a table is of a dataset with other hands and actions."""
    dataset = table.manifest.get("dataset")
    if dataset is not None and dataset.removeprefix("handsim-") != config.taxonomy:
        what = f"has other hands and actions than {config.taxonomy}, which this network is for."
        fix = "The presets paper and small are for H2O, paper-fpha and small-fpha for FPHA."
        raise BaselineError(Problem("HB302", str(dataset), what, fix=fix))


@dataclass(frozen=True)
class ClipAnswers:
    """A network that answers frames by their poses, or videos by their actions.

    Attributes
    ----------
    network, device
        In evaluation mode, and where it is.
    frames, clips
        The table of frames, and that of clips; `acting`: clips are what is asked for.
    pictures
        Of the frames.
    batch, workers
        Pictures at once, and processes that read them.
    """

    network: HTT
    device: torch.device
    frames: Annotations
    clips: Annotations | None
    acting: bool
    pictures: Pictures
    batch: int = 32
    workers: int = 0

    @property
    def origin(self) -> Mapping[str, Any]:
        """What the answers depend on besides the weights: the other table."""
        other = self.frames if self.acting else self.clips
        return {"beside": None if other is None else other.sha256}

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the predictions declare that they were given."""
        return ("objects:none", "poses:own") if self.acting else ("boxes:none", "K:gt")

    def columns(
        self, rows: AnnotationBatch, seen: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Return poses or actions of rows, in their order."""
        return (self._actions if self.acting else self._poses)(rows, seen or _quiet)

    @torch.no_grad()
    def _poses(self, rows: AnnotationBatch, seen: Callable[[int], None]) -> dict[str, np.ndarray]:
        """Every window with a frame that is asked for is looked at once."""
        asked = self._places(rows)
        parts = [part for part in self._windows() if (asked[part] >= 0).any()]
        hands, done = self.network.config.shows.hands, 0
        joints = np.full((len(rows), len(hands), 21, 3), np.nan, np.float32)
        for part, (features, K) in zip(parts, self._features(parts), strict=True):
            valid = torch.ones(1, len(part), dtype=torch.bool, device=self.device)
            poses = self.network.poses(features[None], valid)
            found = self.network.decode(poses, {"K": K[None]})[0]
            found = found.unflatten(1, (len(hands), 21)).cpu().numpy()
            wanted = asked[part] >= 0
            joints[asked[part][wanted]] = found[wanted]
            done += int(wanted.sum())
            seen(done)
        return {f"{side}_joints": joints[:, k] for k, side in enumerate(hands)}

    @torch.no_grad()
    def _actions(self, rows: AnnotationBatch, seen: Callable[[int], None]) -> dict[str, np.ndarray]:
        """Clip by clip; the clips of a video vote."""
        videos = Recordings(self.frames).of(rows)
        cut = [self._cut(video) for video in videos]
        lacking = [k for k, parts in enumerate(cut) if not parts]
        if lacking:
            example = rows.sample_id[lacking[0]].as_py()
            what = f"has no frames of {len(lacking)} clips, e.g. {example}."
            raise DatasetError(Problem("HB202", str(self.frames.path), what))
        found = self._features([part for parts in cut for part in parts])
        scores = []
        for parts in cut:
            chances = [self._chances(next(found)[0]) for _ in parts]
            scores.append(vote(np.stack(chances), self.network.config.voting))
            seen(len(scores))
        return {"scores": np.stack(scores).astype(np.float32)}

    def _chances(self, features: Tensor) -> np.ndarray:
        """Return the probabilities of a clip's actions, from the tokens of its frames."""
        valid = torch.ones(1, len(features), dtype=torch.bool, device=self.device)
        logits = self.network.look(features[None], valid).action[0]
        return logits.double().softmax(dim=0).cpu().numpy()

    def _cut(self, video: Video) -> list[np.ndarray]:
        """Return the rows of each clip of a video."""
        if not len(video.rows):
            return []
        config = self.network.config
        return [video.rows[c] for c in clips(video.numbers, config.clip, config.spacing)]

    def _windows(self) -> list[np.ndarray]:
        """Return the rows of each window of all videos: every frame is in one of them."""
        known = None if self.clips is None else whole(self.clips, _CLIPS)
        videos = Recordings(self.frames).videos(known)
        size = self.network.config.window
        return [
            part for video in videos for clip in self._cut(video) for part in windows(clip, size)
        ]

    def _places(self, rows: AnnotationBatch) -> np.ndarray:
        """Return for each frame of the table the row that asks for it, -1 for none."""
        ids = self.frames.ids().combine_chunks()
        found = pc.index_in(rows.sample_id, value_set=ids)
        if found.null_count:
            example = rows.sample_id.filter(pc.is_null(found))[0].as_py()
            what = f"has no frame {example!r}."
            raise DatasetError(Problem("HB208", str(self.frames.path), what))
        places = np.full(len(ids), -1)
        places[found.to_numpy()] = np.arange(len(rows))
        return places

    def _features(self, groups: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the tokens (frames, tokens) and K (frames, 3, 3) of groups of rows, in order.

        Every picture is read and looked at once, `batch` at a time, across groups.
        """
        rows = np.concatenate([*groups, np.zeros(0, np.int64)]).astype(np.int64)
        data = Frames(self._table, rows, self.pictures, self.network.config)
        tokens, K = torch.zeros(0, device=self.device), torch.zeros(0, device=self.device)
        loaded = batches_on(self.device, data, self.batch, self.workers)
        for group in groups:
            while len(tokens) < len(group):
                batch = next(loaded)
                found = self.network.features(batch["image"])
                tokens = found if not len(tokens) else torch.cat([tokens, found])
                K = batch["K"] if not len(K) else torch.cat([K, batch["K"]])
            yield tokens[: len(group)], K[: len(group)]
            tokens, K = tokens[len(group) :], K[len(group) :]

    @property
    def _table(self) -> pa.RecordBatch:
        return one_batch(self.frames.table(INPUTS))


def answers(
    loaded: Loaded,
    opened: Annotations,
    images: str | Path | None = None,
    *,
    batch: int = 32,
    workers: int = 0,
    device: str | None = None,
) -> ClipAnswers:
    """Make weights ready for a table of frames or of clips.

    Raises
    ------
    BaselineError
        HB302 for videos of another taxonomy.
    DatasetError
        HB201 where the frames of clips are not prepared.
    """
    network = loaded.network
    assert isinstance(network, HTT)
    require_taxonomy(network.config, opened)
    frames, videos = frames_and_clips(opened)
    module, place = placed(network, device)
    assert isinstance(module, HTT)
    pictures = Pictures(picture_root(frames, images))
    acting = opened is videos
    return ClipAnswers(module, place, frames, videos, acting, pictures, batch, workers)


def fits(track: Track) -> bool:
    """Whether a track asks for the poses or the actions of videos in one view."""
    kind = {"pose": "pose-", "action": "action-"}.get(track.kind)
    return kind is not None and track.table.startswith(kind) and not track.several_views


def example(config: HTTConfig, frames: int) -> tuple[Tensor, Tensor]:
    """Return random pictures in as few clips as they fill: what `fed` gives."""
    width, height = config.picture_size
    count = -(-frames // config.clip)
    length = min(frames, config.clip)
    valid = torch.arange(count * length).view(count, length) < frames
    return torch.rand(count, length, 3, height, width), valid


def _quiet(_done: int) -> None:
    """Report nothing."""


CLIPS = Task(
    training_set, answers, fits, READ, fed, example=example, sample="clip", measured="picture"
)
