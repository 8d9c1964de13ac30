"""From one format to another, and which format a file is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hand_bench import files
from hand_bench.errors import Problem, SubmissionError
from hand_bench.formats import FORMATS, archives, find_format, json_files
from hand_bench.formats.format import Format
from hand_bench.formats.npz import Npz
from hand_bench.formats.rows import Block
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.tracks import Track, find_track

CANONICAL = "hand-bench"


@dataclass(frozen=True)
class Conversion:
    """What a conversion did: the formats, how many rows, and remarks on what was lost."""

    source: str
    target: str
    rows: int
    notes: tuple[str, ...]


def convert(
    source: str | Path,
    target: str | Path,
    *,
    track: str | Track,
    from_format: str | None = None,
    to_format: str = CANONICAL,
    annotations: str | Path | None = None,
    hand_side: str | None = None,
) -> Conversion:
    """Convert a predictions file from one format to another.

    Parameters
    ----------
    source, target
        File to read, file to write; it appears only when it is complete.
    track
        Track that the predictions answer.
    from_format, to_format
        Names of `FORMATS`; the first is guessed from the file where it is not given.
    annotations
        Annotations file instead of the prepared one.
    hand_side
        "right" or "left": the hand of two that a form with room for one holds.

    Raises
    ------
    SubmissionError
        With every problem of the file; HB133 where it has no place in the other format.
    TrackError
        HB301 for an unknown track or format.
    DatasetError
        HB201 where annotations are needed and not prepared.
    """
    known, path, out = find_track(track), Path(source), Path(target)
    writer = find_format(to_format)
    archives.require_file(path)
    files.require_writable(out)
    reader = find_format(from_format) if from_format else guess(path, known)
    _require_option(hand_side, reader, writer)
    rows = reader.read(path, known, annotations, **_options(reader, hand_side))
    counted = _Counted(rows.blocks)
    rows.blocks = iter(counted)
    writer.write(rows, out, known, annotations, **_options(writer, hand_side))
    declared = rows.declared
    if writer.name != CANONICAL and (declared.inputs or declared.notes):
        rows.notes.append("what the file declares (inputs, notes) has no place in the format.")
    return Conversion(reader.name, writer.name, counted.rows, tuple(dict.fromkeys(rows.notes)))


class _Counted:
    """Counts the rows of blocks that pass by."""

    def __init__(self, blocks: Iterator[Block]):
        self.blocks, self.rows = blocks, 0

    def __iter__(self) -> Iterator[Block]:
        for block in self.blocks:
            self.rows += len(block)
            yield block


def _options(known: Format, hand_side: str | None) -> dict[str, Any]:
    return {"hand_side": hand_side} if "hand_side" in known.options else {}


def _require_option(hand_side: str | None, *formats: Format) -> None:
    if hand_side is None:
        return
    if hand_side not in HAND_SIDES:
        what = f"hand side {hand_side!r} is neither right nor left."
        raise SubmissionError(Problem("HB114", "--hand-side", what))
    if not any("hand_side" in known.options for known in formats):
        names = " and ".join(known.name for known in formats)
        what = f"has no meaning for {names}: they have both hands."
        raise SubmissionError(Problem("HB113", "--hand-side", what))


def guess(path: Path, track: Track) -> Format:
    """Say which format of a track a file is in, by its ending and what it holds.

    Raises
    ------
    SubmissionError
        HB130 where several are possible, or none.
    """
    archives.require_file(path)
    suffix = path.suffix.lower()
    fitting = [f for f in FORMATS.values() if f.fits(track) and suffix in f.suffixes]
    found = [f for f in fitting if f.name in _content(path, suffix, track)]
    if len(found) == 1 and len(fitting) > 1:
        return found[0]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(f.name for f in found or fitting) or "none of this ending"
    raise SubmissionError(
        Problem(
            "HB130",
            path.name,
            f"could be in several formats of {track.name}, or in none: {shown}.",
            fix="Say which one with --from; `hand-bench convert ls` lists them.",
        )
    )


def _content(path: Path, suffix: str, track: Track) -> set[str]:
    """Names of the formats that a file's content looks like."""
    if suffix == ".npz":
        return _npz_content(Npz(path), track)
    if suffix == ".zip":
        with archives.Archive(path) as archive:
            if any("/preds/" in name for name in archive.names):
                return {"arctic"}
    if suffix in (".json", ".zip"):
        return _json_content(json_files.read(path))
    return set()


def _npz_content(archive: Npz, track: Track) -> set[str]:
    if "pred_keypoints_3d" in archive:
        return {"hamer"}
    if track.kind == "action":
        # Probabilities of clips and of videos look alike unless labels are there.
        return {"npz"} if "label" in archive else {"npz", "htt"}
    plain = any(f"{side}_joints{kind}" in archive for side in HAND_SIDES for kind in ("", "_2d"))
    return {"npz"} if plain else {"htt"} if "joints" in archive else set()


def _json_content(content: Any) -> set[str]:
    if isinstance(content, list):
        first = content[0] if content and isinstance(content[0], dict) else {}
        return {"hamer"} if "pred_keypoints_3d" in first else {"json"}
    if not isinstance(content, dict):
        return set()
    if isinstance(content.get("annotations"), dict):
        paired = any("+" in name for name in content["annotations"])
        return {"assemblyhands2024"} if paired else {"assemblyhands2023"}
    if "pred_keypoints_3d" in content:
        return {"hamer"}
    values = [value for name, value in content.items() if name != "modality"]
    if values and all(isinstance(value, int) for value in values):
        return {"h2o-actions"}
    first = next((v for v in values if isinstance(v, dict)), {})
    inner = next(iter(first.values()), None)
    if isinstance(inner, dict) and {"left_hand_3d", "right_hand_3d"} & set(inner):
        return {"egoexo4d"}
    if "modality" in content or (isinstance(inner, list) and all(k.isdecimal() for k in first)):
        return {"h2o-poses"}
    return {"json"}
