"""RootNet's official result file: a JSON list with the box and the two root depths of each crop.

One record: ``{"annot_id": 326750, "bbox": [x, y, w, h], "abs_depth": [right, left],
"root_valid": [1.0, 0.0]}``. Depths are millimetres and given for both hands even where a hand is
absent. ``bbox`` is already the square that was cropped: it is not to be expanded again. The files
for STB and RHD hold one depth for all joints. Source: InterHand2.6M's ``rootnet_output`` files as
its dataset.py reads them (facts/interhand26m.md 1.9).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hand_bench import files
from hand_bench.errors import BaselineError, Problem

_KEYS = ("annot_id", "bbox", "abs_depth")


@dataclass(frozen=True)
class RootRecord:
    """The wrists of one annotation, right hand first.

    Attributes
    ----------
    annot_id
        The annotation's id in InterHand2.6M's files.
    bbox
        x, y, w, h of the square crop, px.
    abs_depth
        Depth of the right and of the left wrist, mm.
    root_valid
        Whether the true wrists are annotated (no scorer reads it).
    """

    annot_id: int
    bbox: tuple[float, float, float, float]
    abs_depth: tuple[float, float]
    root_valid: tuple[bool, bool] = (True, True)


def write_records(path: str | Path, records: Iterable[RootRecord]) -> None:
    """Write records in the official form; the file appears only when it is complete."""
    rows = [
        {
            "annot_id": record.annot_id,
            "bbox": list(record.bbox),
            "abs_depth": list(record.abs_depth),
            "root_valid": [float(valid) for valid in record.root_valid],
        }
        for record in records
    ]
    with files.replacing(Path(path)) as temporary:
        Path(temporary).write_text(json.dumps(rows), "utf-8")


def read_records(path: str | Path) -> dict[int, RootRecord]:
    """Read a result file by annotation id; a single depth (STB, RHD) is taken for both hands.

    Raises
    ------
    BaselineError
        HB402 where the file cannot be read, is in another form or names an annotation twice.
    """
    try:
        rows = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, f"cannot be read as JSON ({error}).") from error
    if not isinstance(rows, list):
        raise _unreadable(path, f"holds a {type(rows).__name__}, not a list of records.")
    records: dict[int, RootRecord] = {}
    for number, row in enumerate(rows):
        record = _record(path, number, row)
        if record.annot_id in records:
            raise _unreadable(path, f"names annotation {record.annot_id} twice.")
        records[record.annot_id] = record
    return records


def _record(path: str | Path, number: int, row: Any) -> RootRecord:
    lacking = [key for key in _KEYS if not isinstance(row, Mapping) or key not in row]
    if lacking:
        raise _unreadable(path, f"has no {', '.join(lacking)} in record {number}.")
    try:
        x, y, w, h = (float(value) for value in row["bbox"])
        right, left = (float(depth) for depth in _pair(row["abs_depth"]))
        valid = [bool(flag) for flag in _pair(row.get("root_valid", [1.0, 1.0]))]
        identity = int(row["annot_id"])
    except (TypeError, ValueError) as error:
        raise _unreadable(path, f"has something else in record {number} ({error}).") from error
    return RootRecord(identity, (x, y, w, h), (right, left), (valid[0], valid[1]))


def _pair(value: Any) -> list[Any]:
    pair = list(value) if isinstance(value, list) else [value, value]
    if len(pair) != 2:
        raise ValueError(f"{len(pair)} values where two belong")
    return pair


def _unreadable(path: str | Path, what: str) -> BaselineError:
    return BaselineError(
        Problem(
            "HB402",
            str(path),
            what,
            cause="Not a result file of RootNet, or a damaged copy.",
            fix="The official files are lists of annot_id, bbox, abs_depth and root_valid.",
        )
    )
