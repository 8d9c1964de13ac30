"""Plain forms without an official owner: NPZ, CSV and JSON with one row per sample.

All hold millimetres in the track's own joint order and frame (probabilities, classes and pixels as
they are), under the canonical names: ``sample_id``, ``right_joints``, ``left_joints``,
``right_score``, ``left_score``, ``left_root``, ``right_joints_2d``, ``left_joints_2d``,
``right_mano``, ``left_mano``; clips have ``label`` and ``scores``.

npz
    Arrays: ``sample_id`` (n,) texts, joints (n, 21, 3), scores (n,) or (n, classes); NaN where a
    hand is not there. Read and written in pieces.
csv
    Columns ``sample_id``, ``right_joints_0`` ... ``right_joints_62`` and so on; empty (or NaN)
    where a hand is not there. Read and written in pieces.
json
    ``{sample_id: {"right": 21 x 3 or null, "left": ..., "right_score": ...}}`` or a list of such
    records with ``sample_id``; ``right_joints`` is read like ``right``. In memory as a whole.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from hand_bench import files
from hand_bench.columns import printable
from hand_bench.errors import Problem, SubmissionError
from hand_bench.formats import archives, json_files
from hand_bench.formats.faults import Faults, numbers
from hand_bench.formats.npz import Npz, write_header
from hand_bench.formats.rows import BLOCK, WIDTHS, Block, Rows, declaration, from_arrays, merged
from hand_bench.formats.rows import width as width_of
from hand_bench.tracks import Track

_CLIPS = ("label", "scores")
#: Shapes of a row in the arrays of an NPZ file and in JSON.
_SHAPES = {63: (21, 3), 42: (21, 2), 1: ()}
_NULLS = ["", "NaN", "nan", "NAN", "null", "None", "NA"]
#: Names of columns in JSON records that are shorter than the canonical ones.
_SHORT = {"right_joints": "right", "left_joints": "left"}


def known_columns(track: Track) -> dict[str, int]:
    """The canonical columns that a track may have, and how many numbers a row of each has."""
    clips = track.kind == "action"
    return {c: width_of(c, track) for c in WIDTHS if (c in _CLIPS) == clips}


def _shape(width: int) -> tuple[int, ...]:
    return _SHAPES.get(width, (width,))


def _needed(name: str, found: tuple[str, ...], track: Track, shown: str) -> None:
    """Raise HB110 for a file without anything that answers the track."""
    wanted = {
        "action": _CLIPS,
        "pose-2d": ("right_joints_2d", "left_joints_2d"),
        "pose": ("right_joints", "left_joints"),
    }[track.kind]
    if not set(wanted) & set(found):
        raise SubmissionError(
            Problem(
                "HB110",
                name,
                f"lacks {' or '.join(wanted)}. It has: {printable(shown) or 'nothing'}.",
                cause="Another file, or an export under other names?",
            )
        )


def read_npz(path: Path, track: Track, _annotations: Any) -> Rows:
    """Read the plain NPZ form in pieces."""
    source = Npz(path)
    known = known_columns(track)
    columns = tuple(c for c in known if c in source)
    _needed(path.name, columns, track, ", ".join(source.shapes))
    faults = Faults(path.name)
    if "sample_id" not in source:
        faults.add("HB110", "lacks sample_id")
        faults.raise_any()
    ids = source.shapes["sample_id"]
    if len(ids) != 1 or source.dtypes["sample_id"].kind not in "US":
        faults.add("HB111", f"sample_id is {source.dtypes['sample_id']} {ids}, not (rows,) texts")
    for name in columns:
        shape, kind = source.shapes[name], source.dtypes[name].kind
        if kind not in "fiu":
            faults.add("HB111", f"{name} holds {source.dtypes[name]}, not numbers")
        accepted = {(*ids[:1], *_shape(known[name])), (*ids[:1], known[name])}
        if shape not in accepted:
            expected = (*ids[:1], *_shape(known[name]))
            faults.add("HB112", f"{name} has shape {shape}, not {expected}")
    if not faults and not ids[0]:
        faults.add("HB103", "has no rows")
    faults.raise_any()

    def blocks() -> Iterator[Block]:
        streams = [source.pieces(name, BLOCK) for name in ("sample_id", *columns)]
        for texts, *arrays in zip(*streams, strict=True):
            values = {
                name: array.astype(np.float32).reshape(len(texts), -1)
                for name, array in zip(columns, arrays, strict=True)
            }
            yield Block(_ids(texts, path.name), values)

    ignored = [name for name in source.shapes if name not in (*columns, "sample_id")]
    notes = [f"not read: {', '.join(map(printable, ignored))}."] if ignored else []
    return Rows(path.name, columns, blocks(), declaration(track), notes)


def _ids(texts: np.ndarray, name: str) -> pa.Array:
    try:
        if texts.dtype.kind == "S":
            texts = np.char.decode(texts, "utf-8")
        return pa.array(texts.tolist(), pa.string())
    except UnicodeError as error:
        raise json_files.damaged(name, "has ids that are no texts") from error


def write_npz(rows: Rows, path: Path, track: Track, _annotations: Any) -> None:
    """Write the plain NPZ form; columns wait in temporary files, so memory stays bounded."""
    names, total = [c for c in WIDTHS if c in rows.columns], 0
    ids: list[pa.Array] = []
    with files.replacing(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        parts = {name: (Path(folder) / name).open("wb+") for name in names}
        try:
            for block in rows.checked(track):
                ids.append(block.ids)
                total += len(block)
                for name in names:
                    parts[name].write(np.ascontiguousarray(block.values[name], "<f4").data)
            with zipfile.ZipFile(temporary, "w") as archive:
                _write_ids(archive, ids, total)
                for name in names:
                    shape = (total, *_shape(width_of(name, track)))
                    _write_part(archive, name, shape, parts[name])
        finally:
            for part in parts.values():
                part.close()


def _write_ids(archive: zipfile.ZipFile, ids: list[pa.Array], total: int) -> None:
    longest = max(len(text) for part in ids for text in part.to_pylist())
    dtype = np.dtype(f"<U{max(longest, 1)}")
    with archive.open(archives.entry("sample_id.npy"), "w", force_zip64=True) as stream:
        write_header(stream, dtype, (total,))  # type: ignore[arg-type]
        for part in ids:
            stream.write(np.array(part.to_pylist(), dtype).tobytes())


def _write_part(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], part: Any) -> None:
    part.seek(0)
    with archive.open(archives.entry(f"{name}.npy"), "w", force_zip64=True) as stream:
        write_header(stream, np.dtype("<f4"), shape)  # type: ignore[arg-type]
        while data := part.read(1 << 22):
            stream.write(data)


def read_csv(path: Path, track: Track, _annotations: Any) -> Rows:
    """Read the plain CSV form in pieces."""
    archives.require_file(path)
    known, name = known_columns(track), path.name
    with _opened_csv(path, {}) as reader:
        header = reader.schema.names
    wide = {f"{c}_{k}": c for c, w in known.items() if w > 1 for k in range(w)}
    single = [c for c, w in known.items() if w == 1]
    columns = tuple(c for c in known if c in header or f"{c}_0" in header)
    _needed(name, columns, track, ", ".join(header[:8]))
    faults = Faults(name)
    lacking = [h for h, c in wide.items() if c in columns and h not in header]
    for column in ["sample_id"] * ("sample_id" not in header) + lacking:
        faults.add("HB110", "columns are lacking", column)
    for column in sorted({h for h in header if header.count(h) > 1}):
        faults.add("HB110", "columns that occur more than once", column)
    faults.raise_any()
    used = [h for h in header if wide.get(h) in columns or h in single]
    types = {"sample_id": pa.string(), **{h: pa.float32() for h in used}}

    def blocks() -> Iterator[Block]:
        try:
            with _opened_csv(path, types, ["sample_id", *used]) as reader:
                yield from (_csv_block(batch, columns, known) for batch in reader)
        except pa.ArrowInvalid as error:
            raise _bad_csv(name, error) from error

    ignored = len(header) - len(used) - 1
    notes = [f"not read: {ignored:,} further columns."] if ignored else []
    return Rows(name, columns, merged(blocks()), declaration(track), notes)


def _csv_block(batch: pa.RecordBatch, columns: tuple[str, ...], known: dict[str, int]) -> Block:
    values = {}
    for column in columns:
        w = known[column]
        parts = [column] if w == 1 else [f"{column}_{k}" for k in range(w)]
        arrays = [batch.column(part).to_numpy(zero_copy_only=False) for part in parts]
        values[column] = np.stack(arrays, axis=1).astype(np.float32, copy=False)
    return Block(batch.column("sample_id"), values)


def _opened_csv(path: Path, types: Mapping[str, pa.DataType], wanted: list[str] | None = None):
    try:
        return arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=1 << 23),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict(types),
                null_values=_NULLS,
                strings_can_be_null=False,
                include_columns=wanted or [],
            ),
        )
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise _bad_csv(path.name, error) from error


def _bad_csv(name: str, error: Exception) -> SubmissionError:
    text = printable((str(error).splitlines() or [""])[0])
    code = "HB111" if "onversion error" in text else "HB130"
    what = "holds something that is no number" if code == "HB111" else "cannot be read as CSV"
    fix = "Numbers are written with a point; a hand that is not there is empty."
    return SubmissionError(Problem(code, name, f"{what} ({text}).", fix=fix))


def write_csv(rows: Rows, path: Path, track: Track, _annotations: Any) -> None:
    """Write the plain CSV form; a hand that is not there is empty."""
    names = [c for c in WIDTHS if c in rows.columns]
    fields = [pa.field("sample_id", pa.string())]
    for name in names:
        count = width_of(name, track)
        kind = pa.int32() if name == "label" else pa.float32()
        parts = [name] if count == 1 else [f"{name}_{k}" for k in range(count)]
        fields += [pa.field(part, kind) for part in parts]
    schema = pa.schema(fields)
    with files.replacing(path) as temporary, arrow_csv.CSVWriter(temporary, schema) as writer:
        for block in rows.checked(track):
            arrays = [block.ids]
            for name in names:
                absent = np.isnan(block.values[name]).all(axis=1)
                columns = np.ascontiguousarray(np.where(absent[:, None], 0, block.values[name]).T)
                kind = pa.int32() if name == "label" else pa.float32()
                arrays += [pa.array(c, mask=absent).cast(kind) for c in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def read_json(path: Path, track: Track, _annotations: Any) -> Rows:
    """Read the plain JSON form, an object by sample id or a list of records."""
    content, known, faults = json_files.read(path), known_columns(track), Faults(path.name)
    records = _records(content, path.name, faults)
    faults.raise_any()
    used = {key for _, record in records for key in record}
    columns = tuple(c for c in known if c in used or _SHORT.get(c) in used)
    if records:
        _needed(path.name, columns, track, ", ".join(sorted(used)))
    values = {c: np.full((len(records), known[c]), np.nan, np.float32) for c in columns}
    for row, (sample, record) in enumerate(records):
        for column in columns:
            value = record.get(column, record.get(_SHORT.get(column, ""), None))
            if value is None or value == []:
                continue
            shape = _shape(known[column])
            found = numbers(value, shape, f"{sample}, {column}", faults)
            if found is not None:
                values[column][row] = found.ravel()
    faults.raise_any()
    ignored = sorted(used - set(columns) - {_SHORT.get(c, c) for c in columns} - {"sample_id"})
    notes = [f"not read: {', '.join(map(printable, ignored[:8]))}."] if ignored else []
    return from_arrays(path.name, track, [s for s, _ in records], values, notes=notes)


def _records(content: Any, name: str, faults: Faults) -> list[tuple[str, dict[str, Any]]]:
    """Pairs of sample id and record, from either form."""
    if isinstance(content, dict):
        pairs: list[tuple[Any, Any]] = list(content.items())
    elif isinstance(content, list):
        pairs = [(r.get("sample_id") if isinstance(r, dict) else None, r) for r in content]
    else:
        raise json_files.damaged(name, "is neither an object by sample id nor a list of records")
    for k, (sample, record) in enumerate(pairs):
        if not isinstance(record, dict):
            faults.add("HB130", "records that are no objects", str(sample or k))
        elif not isinstance(sample, str):
            faults.add("HB110", "records without a sample_id", f"record {k:,}")
    return pairs


def write_json(rows: Rows, path: Path, track: Track, _annotations: Any) -> None:
    """Write the plain JSON form: an object by sample id."""
    content: dict[str, dict[str, Any]] = {}
    faults = Faults(rows.name)
    for block in rows.checked(track):
        for row, sample in enumerate(block.ids.to_pylist()):
            if sample in content:
                faults.add("HB106", "samples that have more than one row", str(sample))
            content[sample] = {
                _SHORT.get(c, c): _json_value(c, block.values[c][row])
                for c in WIDTHS
                if c in rows.columns
            }
    faults.raise_any()
    json_files.write(path, content)


def _json_value(column: str, values: np.ndarray) -> Any:
    if np.isnan(values).all():
        return None
    if column == "label":
        return int(values[0])
    shaped = values.reshape(_shape(len(values)))
    return json_files.plain(shaped, 6)
