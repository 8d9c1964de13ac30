"""Makes what the benches measure on: a split of official size and predictions in several layouts.

Everything lies in one folder and is made once; nothing of it is anybody's data. Predictions are
the truth plus noise of 12 mm. In the layouts of pyarrow's defaults both hands are always there,
with the other hand's joints in place of an absent hand; in the template's layout it is null.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hand_bench import annotations, data, files
from hand_bench.annotations import Annotations
from hand_bench.columns import encode_floats, strings
from hand_bench.predictions import writer as template_writer
from hand_bench.skeleton_world import SkeletonWorld, official_size_world, write_interhand26m

NOISE_MM = 12.0
ROW_GROUP = 65_536
TIMES = 10
LAYOUTS = ("default", "template", "one-row-group", "shuffled")
_TRUTH = ["sample_id", "right_joints", "left_joints", "hand_type"]
_PLAIN = pa.schema(
    [
        ("sample_id", pa.string()),
        ("right_joints", pa.list_(pa.float32(), 63)),
        ("left_joints", pa.list_(pa.float32(), 63)),
        ("right_score", pa.float32()),
        ("left_score", pa.float32()),
    ]
)


def cache_folder() -> Path:
    """Where made data stays from run to run: $HAND_BENCH_BENCH or a temporary folder."""
    chosen = os.environ.get("HAND_BENCH_BENCH")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / "hand-bench-speed"


def scaled_world(scale: float) -> SkeletonWorld:
    """The world of official size, or one with a share of its images in every capture."""
    world = official_size_world()
    if scale == 1.0 or world.capture_images is None:
        return world
    counts = tuple(
        (round(single * scale), round(both * scale)) for single, both in world.capture_images
    )
    return replace(world, capture_images=counts)


def small_world(images: int) -> SkeletonWorld:
    """A world with so many images in one machine-annotated and one human-annotated capture."""
    part = images // 4
    return SkeletonWorld(
        captures=2, cameras=20, frames=36, capture_images=((part, part), (part, images - 3 * part))
    )


@dataclass(frozen=True)
class Workload:
    """A world's official files, its prepared split and predictions on it, made when asked for."""

    folder: Path
    world: SkeletonWorld

    @property
    def root(self) -> Path:
        """Folder of the official files."""
        return self.folder / "official"

    @property
    def home(self) -> Path:
        """Folder of the prepared data, for HAND_BENCH_HOME."""
        return self.folder / "home"

    @property
    def annotations(self) -> Path:
        """The prepared annotations."""
        return self.home / "interhand26m" / "test" / "annotations.parquet"

    def make_official(self) -> None:
        """Write the official files, unless they are there."""
        done = self.folder / "official-is-complete"
        if not done.exists():
            shutil.rmtree(self.root, ignore_errors=True)
            write_interhand26m(self.root, self.world)
            done.touch()

    def make_prepared(self) -> None:
        """Prepare the split, unless it is there and unchanged."""
        self.make_official()
        before = os.environ.get("HAND_BENCH_HOME")
        os.environ["HAND_BENCH_HOME"] = str(self.home)
        try:
            data.prepare("interhand26m", self.root, split="test")
        finally:
            del os.environ["HAND_BENCH_HOME"]
            if before is not None:
                os.environ["HAND_BENCH_HOME"] = before

    def predictions(self, layout: str) -> Path:
        """Return a predictions file of a layout (see LAYOUTS); it is made if it is not there."""
        path = self.folder / f"{layout}.parquet"
        truth = Annotations.open(self.annotations)
        made_of = f"{path.name}.of"
        if not path.exists() or (self.folder / made_of).read_text() != truth.sha256:
            _WRITERS[layout](path, truth)
            (self.folder / made_of).write_text(truth.sha256)
        return path

    @property
    def repeated(self) -> Path:
        """Folder of the annotations and predictions (default layout) of ten times the rows."""
        return self.folder / "repeated"

    def make_repeated(self) -> None:
        """Write both files of ten times the rows; whoever asks for them deletes them."""
        truth = Annotations.open(self.annotations)
        _repeat_annotations(self.repeated, truth)
        _repeat_predictions(self.repeated / "default.parquet", self.predictions("default"))


# --- predictions ------------------------------------------------------------------------------


def _noisy(truth: Annotations) -> Iterator[tuple[pa.Array, list[np.ndarray], np.ndarray]]:
    """Ids, joints of both hands and which hands are there, in the order of the annotations."""
    generator = np.random.default_rng(0)
    for batch in truth.batches(_TRUTH, ROW_GROUP):
        there = np.stack([batch.present(side) for side in ("right", "left")], axis=1)
        gt = [batch[f"{side}_joints"].reshape(-1, 63) for side in ("right", "left")]
        noise = NOISE_MM * generator.standard_normal((2, len(batch), 63), np.float32)
        hands = [
            np.where(there[:, k, None], gt[k], gt[1 - k] + np.float32(40)) + noise[k]
            for k in range(2)
        ]
        yield strings(batch.sample_id), hands, there


def _plain_batches(truth: Annotations) -> Iterator[pa.RecordBatch]:
    generator = np.random.default_rng(1)
    for ids, hands, there in _noisy(truth):
        scores = np.where(there, 0.75, 0.25) + generator.uniform(-0.2, 0.2, there.shape)
        lists = [
            pa.FixedSizeListArray.from_arrays(pa.array(hand.ravel()), type=_PLAIN.field(1).type)
            for hand in hands
        ]
        columns = [ids, *lists, *(pa.array(s.astype(np.float32)) for s in scores.T)]
        yield pa.RecordBatch.from_arrays(columns, schema=_PLAIN)


def _write_default(path: Path, truth: Annotations) -> None:
    """Pyarrow's own defaults: snappy, dictionaries, items that may be null."""
    with files.replacing(path) as temporary, pq.ParquetWriter(temporary, _PLAIN) as writer:
        for batch in _plain_batches(truth):
            writer.write_batch(batch)


def _write_one_row_group(path: Path, truth: Annotations) -> None:
    """The same rows and settings with one row group for all of them."""
    table = pa.Table.from_batches(_plain_batches(truth))
    with files.replacing(path) as temporary:
        pq.write_table(table, temporary, row_group_size=len(table))


def _write_shuffled(path: Path, truth: Annotations) -> None:
    """The same rows and settings in a random order."""
    table = pa.Table.from_batches(_plain_batches(truth))
    order = np.random.default_rng(2).permutation(len(table))
    with files.replacing(path) as temporary, pq.ParquetWriter(temporary, _PLAIN) as writer:
        for start in range(0, len(order), ROW_GROUP):
            writer.write_table(table.take(pa.array(order[start : start + ROW_GROUP])))


def _write_template(path: Path, truth: Annotations) -> None:
    """As the package writes them: absent hands are null, items never, byte-stream split."""
    writer = None
    with files.replacing(path) as temporary:
        for ids, hands, there in _noisy(truth):
            lists = [encode_floats(hand, ~there[:, k]) for k, hand in enumerate(hands)]
            names = ["sample_id", "right_joints", "left_joints"]
            batch = pa.RecordBatch.from_arrays([ids, *lists], names=names)
            writer = writer or template_writer(temporary, batch.schema)
            writer.write_batch(batch)
        assert writer is not None
        writer.close()


_WRITERS = {
    "default": _write_default,
    "template": _write_template,
    "one-row-group": _write_one_row_group,
    "shuffled": _write_shuffled,
}


# --- ten times the rows -----------------------------------------------------------------------


def _repeat_annotations(folder: Path, truth: Annotations) -> None:
    """Write the annotations ten times over, as other captures: other ids and other sequences."""
    path = folder / "annotations.parquet"
    texts = [f.name for f in annotations.SCHEMA if pa.types.is_dictionary(f.type)]
    with annotations.writing(path) as writer:
        for k in range(TIMES):
            source = pq.ParquetFile(truth.path, pre_buffer=False, read_dictionary=texts)
            for batch in source.iter_batches(ROW_GROUP, use_threads=False):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                columns["sample_id"] = _renamed(columns["sample_id"], k)
                sequence = columns["sequence"]
                columns["sequence"] = pa.DictionaryArray.from_arrays(
                    sequence.indices, _renamed(sequence.dictionary, k)
                )
                arrays = [columns[f.name] for f in annotations.SCHEMA]
                again = pa.RecordBatch.from_arrays(arrays, schema=annotations.SCHEMA)
                writer.write_batch(again, row_group_size=annotations.ROW_GROUP)
    counts = {name: n * TIMES for name, n in truth.manifest["counts"].items() if n is not None}
    manifest = {**truth.manifest, "counts": counts, "sha256": files.sha256(path)}
    files.write_json(folder / "manifest.json", manifest)


def _repeat_predictions(path: Path, once: Path) -> None:
    with pq.ParquetWriter(path, _PLAIN) as writer:
        for k in range(TIMES):
            source = pq.ParquetFile(once, pre_buffer=False)
            for batch in source.iter_batches(ROW_GROUP, use_threads=False):
                ids = _renamed(batch.column(0), k)
                columns = [ids, *batch.columns[1:]]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_PLAIN))


def _renamed(texts: pa.Array, k: int) -> pa.Array:
    """Put the repetition's number behind the first folder (or the capture) of each text."""
    return pc.replace_substring_regex(strings(texts), r"Capture(\d+)", rf"Capture\1-{k}")
