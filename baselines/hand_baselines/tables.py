"""Training tables of a track's dataset, and the facts that a model's answers need of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from hand_bench import files
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.data import DATASETS, find_dataset
from hand_bench.data import folder as data_folder
from hand_bench.errors import BaselineError, Problem
from hand_bench.joint_sets import HAND_SIDES, OPENPOSE
from hand_bench.tracks import TRACKS, Track, find_track


def open_table(track: Track, split: str) -> Annotations:
    """Open the prepared table of another split of a track's dataset ("train" or "val").

    Raises
    ------
    BaselineError
        HB302 where the dataset has none.
    DatasetError
        HB201 where it is not prepared.
    """
    return Annotations.open(
        data_folder(track.dataset, table_name(track, split)) / "annotations.parquet"
    )


def table_name(track: Track, split: str) -> str:
    """Return the prepared table of another split of a track's dataset ("train" or "val").

    Raises
    ------
    BaselineError
        HB302 where the dataset has none.
    """
    known = find_dataset(track.dataset).splits
    prefix = track.table.removesuffix(track.table.rsplit("-", 1)[-1])
    names = ("train", "training") if split == "train" else (split,)
    for name in (*(prefix + n for n in names), *names):
        if name in known:
            return name
    raise BaselineError(Problem("HB302", track.dataset, f"has no table for {split!r}."))


def training_table(name: str) -> Annotations:
    """Open the prepared training table of a track's dataset, or of a dataset by its own name.

    Raises
    ------
    TrackError
        HB301 where neither a track nor a dataset has that name.
    BaselineError, DatasetError
        As `open_table`.
    """
    return Annotations.open(data_folder(*training_place(name)) / "annotations.parquet")


def training_place(name: str) -> tuple[str, str]:
    """Return the dataset and the name of the table that `training_table` opens.

    Raises
    ------
    TrackError, BaselineError
        HB301, HB302 as `training_table`.
    """
    if name in TRACKS or name not in DATASETS:
        track = find_track(name)
        return track.dataset, table_name(track, "train")
    for split in ("train", "training"):
        if split in DATASETS[name].splits:
            return name, split
    raise BaselineError(Problem("HB302", name, "has no table for 'train'."))


def mean_root_depth(table: Any) -> list[float]:
    """Return the mean depth of the training wrists of each side, mm; of both where one lacks."""
    depths = [wrists[:, 2] for wrists, _ in _hands(table)]
    both = np.concatenate(depths)
    return [round(float((d if len(d) else both).mean()), 3) for d in depths]


def mean_pose(table: Any) -> list[list[list[float]]]:
    """Return the mean wrist-relative joints (2, 21, 3) of the training hands, mm.

    A side without any is the other one, mirrored.
    """
    poses = []
    for wrists, joints in _hands(table):
        relative = joints - wrists[:, None]
        whole = np.isfinite(relative).all(axis=(1, 2))
        poses.append(relative[whole].mean(axis=0) if whole.any() else None)
    mirror = np.array([-1.0, 1.0, 1.0])
    right, left = poses
    if right is None and left is None:
        raise BaselineError(Problem("HB302", "training", "no hand has all 21 joints in 3D."))
    both = [right if right is not None else left * mirror, left]
    both[1] = left if left is not None else right * mirror
    return np.round(np.array(both), 3).tolist()


#: What a model's answers may need of its training data: name -> how it is computed.
FACTS: dict[str, Callable[[Any], Any]] = {"root_depth": mean_root_depth, "mean_pose": mean_pose}


def _hands(table: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each side the wrists (hands, 3) that are annotated, and joints (hands, 21, 3) or NaN.

    Raises
    ------
    BaselineError
        HB302 where no wrist is annotated.
    """
    batch, hands = AnnotationBatch(0, table), []
    for side in HAND_SIDES:
        there = batch.given(f"{side}_joints") & batch.given(f"{side}_valid")
        joints = batch[f"{side}_joints"][there].astype(float)
        valid = batch[f"{side}_valid"][there].astype(bool)
        joints = np.where(valid[..., None], joints, np.nan)
        wrists = joints[:, OPENPOSE.root]
        known = np.isfinite(wrists).all(axis=1)
        hands.append((wrists[known], joints[known]))
    if not any(len(wrists) for wrists, _ in hands):
        raise BaselineError(Problem("HB302", "training", "no wrist is annotated in 3D."))
    return hands


def evenly(opened: Annotations, count: int, path: Path) -> Annotations:
    """Write a table with at most so many samples, taken evenly; the same whenever it is made."""
    with pq.ParquetFile(opened.path) as source:
        table = source.read(use_threads=False)
    step = max(1, -(-len(table) // count))
    with files.replacing(path) as temporary:
        pq.write_table(table.take(np.arange(0, len(table), step)), temporary)
    return Annotations.open(path)
