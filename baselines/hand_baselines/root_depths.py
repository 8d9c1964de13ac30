"""Where the depths of the wrists come from: a RootNet's weights, or an official result file.

A source gives the depths (rows, 2) in mm, right wrist first, of rows of annotations. A result file
is joined by the dataset's own annotation ids (InterHand2.6M); tables without them number their rows
from 0, as `write_roots` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hand_baselines.answering import Network, outputs
from hand_baselines.crops import invert
from hand_baselines.pictures import Pictures
from hand_baselines.rootnet.output_file import RootRecord, read_records
from hand_baselines.weights import load_weights
from hand_bench import files
from hand_bench.annotations import AnnotationBatch
from hand_bench.errors import BaselineError, Problem


class RootDepths(Protocol):
    """Gives depths of wrists."""

    @property
    def source(self) -> str:
        """What they come from; another text where the depths could be others."""
        ...

    def __call__(self, rows: AnnotationBatch, pictures: Pictures) -> np.ndarray:
        """Return depths (rows, 2), mm."""
        ...


@dataclass(frozen=True)
class FileDepths:
    """Depths of a result file."""

    path: Path
    records: Mapping[int, RootRecord]
    source: str

    @classmethod
    def read(cls, path: str | Path) -> FileDepths:
        """Read a result file; HB402 where it is damaged."""
        return cls(Path(path), read_records(path), files.sha256(Path(path)))

    def __call__(self, rows: AnnotationBatch, pictures: Pictures) -> np.ndarray:
        """Look the rows up.

        Raises
        ------
        BaselineError
            HB402 where the file lacks some of them.
        """
        ids = annotation_ids(rows)
        lacking = [int(i) for i in ids if int(i) not in self.records]
        if lacking:
            what = f"lacks {len(lacking):,} of {len(ids):,} samples, e.g. annotation {lacking[0]}."
            cause = "A file of another split or frame rate?"
            raise BaselineError(Problem("HB402", str(self.path), what, cause=cause))
        return np.array([self.records[int(i)].abs_depth for i in ids])


@dataclass(frozen=True)
class NetworkDepths:
    """Depths by a RootNet."""

    network: Network
    source: str

    def __call__(self, rows: AnnotationBatch, pictures: Pictures) -> np.ndarray:
        """Look at the pictures."""
        return np.concatenate([depth for depth, _ in self._found(rows, pictures)])

    def records(self, rows: AnnotationBatch, pictures: Pictures) -> list[RootRecord]:
        """Return what a result file holds of the rows; nothing is known of `root_valid`."""
        ids, records = annotation_ids(rows), []
        for depth, box in self._found(rows, pictures):
            for (right, left), (x, y, w, h) in zip(depth.tolist(), box.tolist(), strict=True):
                records.append(RootRecord(int(ids[len(records)]), (x, y, w, h), (right, left)))
        return records

    def _found(
        self, rows: AnnotationBatch, pictures: Pictures
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give depths and square boxes of each batch."""
        for output, batch in outputs(self.network, rows, pictures):
            decoded = self.network.module.decode(output, batch)  # pyright: ignore
            size = self.network.crops.size
            yield decoded.depth.double().cpu().numpy(), _boxes(batch["affine"], size)


def root_depths(where: str | Path, **options: object) -> RootDepths:
    """Open a source: a ``.json`` result file, or weights of a RootNet by path or name.

    `options` are those of `answering.Network`.

    Raises
    ------
    BaselineError
        HB301 for an unknown name, HB402 where files are damaged or of another model.
    """
    if str(where).endswith(".json"):
        return FileDepths.read(where)
    loaded = load_weights(where)
    if loaded.model.name != "rootnet":
        what = f"holds weights of {loaded.model.name}, which gives no depths."
        raise BaselineError(Problem("HB402", str(where), what, fix="Give those of a rootnet."))
    network = Network.of(loaded.network, loaded.model, **options)  # pyright: ignore
    return NetworkDepths(network, loaded.sha256)


def annotation_ids(rows: AnnotationBatch) -> np.ndarray:
    """Return the dataset's own ids (rows,), or the rows' numbers in the table where it has none."""
    numbers = rows.start + np.arange(len(rows))
    return np.where(rows.given("annotation_id"), rows["annotation_id"], numbers)


def _boxes(affine: Tensor, size: int) -> np.ndarray:
    """Square boxes (batch, 4) in the pictures of crops that are not turned."""
    back = invert(affine.double())
    corner, side = back[..., 2], back[:, 0, :1] * size
    return torch.cat([corner, side, side], dim=-1).cpu().numpy()
