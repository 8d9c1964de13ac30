"""What a format of predictions is, and what reads and writes it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hand_bench.errors import Problem, SubmissionError

if TYPE_CHECKING:
    from hand_bench.formats.rows import Rows
    from hand_bench.tracks import Track


@dataclass(frozen=True)
class Format:
    """A form in which predictions are stored or sent in.

    Parameters
    ----------
    about, lost
        One line each: what it is, and what a round trip through it loses.
    tracks
        Names of the tracks that it fits; none means every track of `kinds`.
    kinds
        Kinds of tracks: "pose", "pose-2d", "action".
    suffixes
        How such files end.
    where
        "module" or "module:suffix" of `hand_bench.formats`; `read` and `write` (with the suffix:
        `read_suffix`, `write_suffix`) are imported when they are needed.
    frame
        The frame that it is always in ("camera", "world"); empty: the track's own.
    options
        Names of options that its functions take.
    """

    name: str
    about: str
    lost: str
    suffixes: tuple[str, ...]
    where: str
    tracks: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("pose",)
    frame: str = ""
    options: tuple[str, ...] = ()

    def fits(self, track: Track) -> bool:
        """Whether predictions of a track can be in this format; look-alikes fit as their model."""
        if self.tracks:
            return track.name.removeprefix("handsim-") in self.tracks
        return track.kind in self.kinds and self.frame in ("", track.frame)

    def read(
        self, path: str | Path, track: Track, annotations: str | Path | None = None, **options: Any
    ) -> Rows:
        """Read a file as rows of canonical columns.

        Raises
        ------
        SubmissionError
            With every problem of the file; HB113 where the format does not fit the track.
        DatasetError
            HB201 where the track's annotations are needed and not prepared.
        """
        return self._function("read", track)(Path(path), track, annotations, **options)

    def write(
        self,
        rows: Rows,
        path: str | Path,
        track: Track,
        annotations: str | Path | None = None,
        **options: Any,
    ) -> None:
        """Write rows as a file of this format, all or nothing; what is lost joins the notes.

        Raises
        ------
        SubmissionError
            HB133 for predictions that have no place in this format, and as `read`.
        """
        self._function("write", track)(rows, Path(path), track, annotations, **options)

    def _function(self, what: str, track: Track) -> Any:
        if not self.fits(track):
            of = ", ".join(self.tracks) or f"{self.frame} {' or '.join(self.kinds)} tracks".strip()
            raise SubmissionError(
                Problem(
                    "HB113",
                    self.name,
                    f"is no format of track {track.name}; it is one of {of}.",
                    fix="`hand-bench convert ls` lists the formats and their tracks.",
                )
            )
        module, _, suffix = self.where.partition(":")
        found = import_module(f"hand_bench.formats.{module}")
        return getattr(found, f"{what}_{suffix}" if suffix else what)
