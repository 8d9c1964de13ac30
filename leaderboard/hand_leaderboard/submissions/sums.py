"""Sums of a submission: one row per cluster and cell of strata, stored as Parquet.

Every number of the track's `recommended` protocol is a reduction of these rows, in any subset, with
its clustered interval; two submissions with the same clusters are compared by resampling both in
the same way. Where the truth is hidden the rows are coarser (`withheld`).

::

    sums = Sums.read(submission.sums)
    measure = sums.measure("AUC(0-50)")
    counts = bootstrap.resample_counts(len(sums.clusters("all")), 1000, seed=0)
    sums.value(measure, "all"), sums.resampled(measure, "all", counts)
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hand_bench import bootstrap, files
from hand_bench import sums as core
from hand_bench.array_types import Float
from hand_bench.errors import Problem, SubmissionError, TrackError, unknown_name
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.protocols import Measure
from hand_bench.tracks import Track, find_track
from hand_bench.version import __version__

FORMAT = "hand-bench sums 1"
_TEXT = pa.dictionary(pa.int32(), pa.string())


def layout_of(track: Track) -> core.SumsLayout:
    """Return where the fields of `recommended` lie in a row."""
    rules = tuple(track.protocol("recommended").rules)
    return core.SumsLayout(track.edges, rules, track.kind == "pose", len(track.classes))


def schema(track: Track) -> pa.Schema:
    """Return the columns: cluster, strata, and a list of numbers for each field."""
    layout = layout_of(track)
    fields = [pa.field("cluster", _TEXT), *(pa.field(name, _TEXT) for name in track.strata)]
    fields += [pa.field(f"sum {n}", pa.list_(pa.float64(), w)) for n, w in _widths(layout).items()]
    metadata = {
        "format": FORMAT,
        "track": track.name,
        "track_version": str(track.version),
        "hand_bench_version": __version__,
    }
    return pa.schema(fields, metadata=metadata)


@cache
def _widths(layout: core.SumsLayout) -> dict[str, int]:
    """Numbers of each field, both hands together."""
    row = core.SumsView(np.zeros(layout.width), layout)
    return {name: row[name].size for name in layout.slices}


def write_sums(path: str | Path, sums: core.Sums, track: Track, *, reduced: str = "") -> None:
    """Write the sums of an evaluator, rows by cluster and cell; nine significant digits.

    Parameters
    ----------
    path
        The file; it appears only when it is complete.
    sums
        `Evaluator.sums`, or those that `withheld` made coarser.
    track
        Their track.
    reduced
        In words, what was left out of them.
    """
    layout = layout_of(track)
    keys = sorted(sums.rows, key=lambda key: (key[1], key[0]))
    arrays: list[pa.Array] = [_texts([cluster for _, cluster in keys])]
    arrays += [_texts([cell[k] for cell, _ in keys]) for k in range(len(track.strata))]
    for name, width in _widths(layout).items():
        values = np.zeros((len(keys), width))
        for at, key in enumerate(keys):
            row = core.SumsView(sums[sums.rows[key]], sums.layout)
            values[at] = row[name].ravel()
        flat = pa.array(significant(values, 9).ravel())
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, width))
    described = schema(track)
    if reduced:
        described = described.with_metadata({**(described.metadata or {}), "reduced": reduced})
    with files.replacing(path) as temporary:
        pq.write_table(
            pa.Table.from_arrays(arrays, schema=described), temporary, compression="zstd",
            compression_level=9, write_statistics=False,
        )  # fmt: skip


def _texts(names: list[str]) -> pa.Array:
    return pa.array(names, pa.string()).dictionary_encode().cast(_TEXT)


def significant(values: np.ndarray, digits: int) -> np.ndarray:
    """Round to a number of significant digits; whole numbers below 2**53 stay as they are."""
    size = np.abs(values)
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log10(np.where(size > 0, size, 1.0)))
    scale = 10.0 ** (digits - 1 - exponent)
    rounded = np.round(values * scale) / scale
    return np.where((values == np.round(values)) | (size == 0), values, rounded)


@dataclass(frozen=True)
class Sums:
    """Stored sums: arrays per cluster, values and resampled values of measures.

    Parameters
    ----------
    track
        Whose sums they are.
    rows
        The sums by (cell, cluster), as the evaluator keeps them.
    reduced
        What was left out; empty where nothing was.
    """

    track: Track
    rows: core.Sums
    reduced: str = ""

    @classmethod
    def read(
        cls, path: str | Path, track: Track | None = None, *, without: Container[str] = ()
    ) -> Sums:
        """Read a file that `write_sums` wrote.

        Parameters
        ----------
        path
            The file.
        track
            Of the submission; default: what the file names.
        without
            Fields that are not read and stay zero; "scores" are most of a file.

        Raises
        ------
        SubmissionError
            HB146 where it is another kind of file, damaged, or of another version of the track.
        """
        path = Path(path)
        try:
            # One thread and no file system layer: boards read thousands of small files.
            file = pq.ParquetFile(pa.BufferReader(path.read_bytes()))
            stored = file.schema_arrow
            kept = [name for name in stored.names if _field(name) not in without]
            table = file.read(columns=kept, use_threads=False)
            known = {k.decode(): v.decode() for k, v in (stored.metadata or {}).items()}
            if known.get("format") != FORMAT:
                raise ValueError("another format")
            track = track or find_track(known.get("track", ""))
            wanted = schema(track)
            if known.get("track_version") != str(track.version) or known["track"] != track.name:
                raise ValueError(f"of {known['track']} v{known.get('track_version')}")
            if stored.names != wanted.names or stored.types != wanted.types:
                raise ValueError("of other fields")
            return cls(track, _rows(table, track), known.get("reduced", ""))
        except (pa.ArrowException, OSError, ValueError, KeyError, TrackError) as error:
            reason = str(error).splitlines()[0][:120]
            raise SubmissionError(
                Problem("HB146", str(path), f"is not a file of sums that is read here: {reason}.",
                        fix="`hand-bench rescore` writes it.")
            ) from None  # fmt: skip

    @cached_property
    def cells(self) -> tuple[core.Cell, ...]:
        """The cells of strata that occur, in order."""
        return tuple(sorted({cell for cell, _ in self.rows.rows}))

    def view(self, subset: str = "all") -> core.ClusterView:
        """Return the sums of every cluster of a subset, read by field: (clusters, 2?, ...)."""
        chosen = self.track.subset(subset)
        return self.rows.clusters(lambda cell: chosen.contains(cell, self.track.strata))

    def clusters(self, subset: str = "all") -> tuple[str, ...]:
        """Return the names of a subset's clusters, in the order of its arrays."""
        return tuple(self.view(subset).names)

    def field(self, name: str, subset: str = "all") -> np.ndarray:
        """Return one field of a subset, (clusters, 2?, ...); both hands, right first."""
        return self.view(subset)[name]

    def measures(self) -> tuple[Measure, ...]:
        """The measures of `recommended` that these sums can give."""
        found = [m for m, _ in self.track.protocol("recommended").measures]
        if self.reduced and self.track.kind == "action":
            found = [m for m in found if m.metric == "accuracy"]
        return tuple(found)

    def measure(self, metric: str) -> Measure:
        """Return a measure by the name of its metric; HB301 with the nearest one otherwise."""
        known = {m.metric: m for m in self.measures()}
        if metric not in known:
            raise TrackError(unknown_name(f"metric of {self.track.name}", metric, list(known)))
        return known[metric]

    def value(self, measure: Measure, subset: str = "all") -> float:
        """Reduce a subset to a measure's value; NaN where there is nothing."""
        return float(measure.value(self._sided(self.view(subset).whole(), subset)))

    def resampled(
        self, measure: Measure, subset: str, counts: Float[np.ndarray, "resamples clusters"]
    ) -> Float[np.ndarray, " resamples"]:
        """Return a measure's value in every resample of the subset's clusters.

        The same `counts` for two submissions of the same clusters give a paired comparison.
        """
        drawn = bootstrap.Resampled(self.view(subset), counts)
        return np.asarray(measure.value(self._sided(drawn, subset)))

    def _sided(self, view, subset: str):
        side = self.track.subset(subset).side
        return core.OneSide(view, HAND_SIDES.index(side)) if side else view


def _field(column: str) -> str:
    return column.removeprefix("sum ") if column.startswith("sum ") else ""


def _rows(table: pa.Table, track: Track) -> core.Sums:
    layout = layout_of(track)
    found = core.Sums(layout)
    texts = [table.column(k).cast(pa.string()).to_pylist() for k in range(1 + len(track.strata))]
    keys = [(tuple(cell), cluster) for cluster, *cell in zip(*texts, strict=True)]
    if len(set(keys)) != len(keys):
        raise ValueError("with a row twice")
    values = np.zeros((len(keys), layout.width))
    view = _places(layout)
    for name, width in _widths(layout).items():
        if f"sum {name}" not in table.column_names:
            continue
        column = table.column(f"sum {name}").combine_chunks()
        flat = np.asarray(column.flatten(), np.float64)
        if flat.size != len(keys) * width or not np.isfinite(flat).all():
            raise ValueError(f"with lacking numbers in {name!r}")
        values[:, view[name]] = flat.reshape(len(keys), width)
    found.add(keys, values)
    return found


@cache
def _places(layout: core.SumsLayout) -> dict[str, np.ndarray]:
    """Position in a row of every number of a field, in the order of the stored list."""
    numbered = core.SumsView(np.arange(layout.width, dtype=np.float64), layout)
    return {name: numbered[name].ravel().astype(np.int64) for name in layout.slices}
