"""The errors of hands that a page is made of: columns of an errors file, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from hand_bench.array_types import Bool, Float, Int
from hand_bench.columns import decode_floats
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track

#: By kind of track: name of an error on the page -> its column; the first one ranks hands.
MEASURES: dict[str, dict[str, str]] = {
    "pose": {"MPJPE": "mpjpe", "PA-MPJPE": "pa_mpjpe"},
    "pose-2d": {"L2 error 2D": "l2"},
}
_LONG = {"MPJPE": "wrist-aligned (MPJPE)", "PA-MPJPE": "Procrustes (PA-MPJPE)"}


class HandErrors:
    """One row per sample, right hand first; `errors` are means over a hand's joints (mm or px)."""

    def __init__(self, table: Any, measures: Mapping[str, str] = MEASURES["pose"]):
        cluster = table.column("cluster").combine_chunks()
        self.sample_id = table.column("sample_id")
        self.cluster: Int[np.ndarray, " samples"] = cluster.indices.to_numpy()
        self.names: list[str] = cluster.dictionary.to_pylist()

        def both(kind: str) -> np.ndarray:
            columns = [table.column(f"{side}_{kind}").to_numpy() for side in HAND_SIDES]
            return np.stack(columns, axis=1)

        self.true: Bool[np.ndarray, "samples 2"] = both("true").astype(bool)
        self.found: Bool[np.ndarray, "samples 2"] = both("found").astype(bool)
        self.errors: dict[str, Float[np.ndarray, "samples 2"]] = {
            name: both(column).astype(float) for name, column in measures.items()
        }

    @classmethod
    def read(cls, path: Path, track: Track) -> HandErrors:
        """Read an errors file that `evaluate` wrote."""
        measures = MEASURES[track.kind]
        kinds = ("true", "found", *measures.values())
        columns = [f"{side}_{kind}" for side in HAND_SIDES for kind in kinds]
        table = pq.ParquetFile(path).read(["sample_id", "cluster", *columns], use_threads=False)
        return cls(table.unify_dictionaries(), measures)

    @property
    def main(self) -> Float[np.ndarray, "samples 2"]:
        """The error by which hands are ranked."""
        return next(iter(self.errors.values()))

    @property
    def sides(self) -> list[str]:
        """The hand sides that any sample has."""
        return [s for s, there in zip(HAND_SIDES, self.true.any(axis=0), strict=True) if there]

    def shares(
        self, lengths: Float[np.ndarray, " points"]
    ) -> dict[str, Float[np.ndarray, " points"]]:
        """Share of the true hands with at most an error; a hand not answered has none."""
        hands = max(int(self.true.sum()), 1)
        ranked = {_LONG.get(n, n): np.sort(v[self.found]) for n, v in self.errors.items()}
        return {n: np.searchsorted(v, lengths, side="right") / hands for n, v in ranked.items()}

    def quantiles(self) -> list[tuple[str, list[float]]]:
        """Median, 90 %, 99 % and highest error of the found hands: (name, one value each)."""
        if not self.found.any():
            return []
        steps = {"median": 0.5, "90 %": 0.9, "99 %": 0.99, "worst": 1.0}
        columns = [
            np.nanquantile(values[self.found], list(steps.values())).tolist()
            for values in self.errors.values()
        ]
        return [(name, [column[k] for column in columns]) for k, name in enumerate(steps)]

    def clusters(self, count: int = 10) -> list[dict[str, Any]]:
        """Sequences (or time blocks) with the highest mean error over their found hands."""
        size = len(self.names)
        found = np.bincount(self.cluster, self.found.sum(axis=1), size)
        missed = np.bincount(self.cluster, (self.true & ~self.found).sum(axis=1), size)
        missed = missed.astype(int).tolist()
        total = np.bincount(self.cluster, np.where(self.found, self.main, 0).sum(axis=1), size)
        mean = np.divide(total, found, out=np.full(size, -1.0), where=found > 0)
        return [
            {"name": self.names[k], "mean": mean[k], "hands": int(found[k]), "missed": missed[k]}
            for k in np.argsort(-mean, kind="stable")[:count]
            if found[k]
        ]

    def worst_samples(self, count: int = 12, per_cluster: int = 2) -> list[str]:
        """Ids of the samples with the worst hand, at most `per_cluster` of one cluster."""
        worst = np.where(self.found, self.main, -1.0).max(axis=1)
        chosen: list[str] = []
        taken = np.zeros(len(self.names), int)
        for row in np.argsort(-worst, kind="stable"):
            if len(chosen) == count or worst[row] < 0:
                break
            if taken[self.cluster[row]] < per_cluster:
                taken[self.cluster[row]] += 1
                chosen.append(self.sample_id[int(row)].as_py())
        return chosen


class JointErrors:
    """The distances of 2D joints (px), NaN where not measured, and how many count in each hand."""

    def __init__(self, path: Path):
        kinds = ("errors", "joints", "true")
        columns = [f"{side}_{kind}" for side in HAND_SIDES for kind in kinds]
        table = pq.read_table(path, columns=columns).combine_chunks()
        errors, joints = [], []
        for side in HAND_SIDES:
            values, found, _ = decode_floats(table.column(f"{side}_errors").combine_chunks(), 21)
            errors.append(np.where(found[:, None], values, np.nan))
            true = table.column(f"{side}_true").to_numpy()
            joints.append(np.where(true, table.column(f"{side}_joints").to_numpy(), 0))
        self.errors: Float[np.ndarray, "samples 2 21"] = np.stack(errors, axis=1)
        self.joints: Int[np.ndarray, "samples 2"] = np.stack(joints, axis=1)

    def shares(
        self, lengths: Float[np.ndarray, " points"], side: str = ""
    ) -> Float[np.ndarray, " points"]:
        """Share of the joints that count within a distance, of both hands or of one side."""
        keep = [k for k, name in enumerate(HAND_SIDES) if side in ("", name)]
        errors = self.errors[:, keep]
        ranked = np.sort(errors[~np.isnan(errors)])
        return np.searchsorted(ranked, lengths, side="right") / max(self.joints[:, keep].sum(), 1)

    def means(self) -> dict[str, Float[np.ndarray, 21]]:
        """Mean distance of each joint of each hand side, NaN where it has none."""
        known = ~np.isnan(self.errors)
        count = known.sum(axis=0)
        total = np.where(known, self.errors, 0.0).sum(axis=0)
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return dict(zip(HAND_SIDES, mean, strict=True))

    def mean_of(self, joints: list[int], side: str = "") -> float | None:
        """Mean distance of some joints, of both hands or of one side; None without any."""
        keep = [k for k, name in enumerate(HAND_SIDES) if side in ("", name)]
        values = self.errors[:, keep][..., joints]
        values = values[~np.isnan(values)]
        return float(values.mean()) if values.size else None
