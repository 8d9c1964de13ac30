"""What a predictions file declares about itself in its schema metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hand_bench.errors import Problem, SubmissionError, TrackError, unknown_name
from hand_bench.joint_sets import JOINT_SETS
from hand_bench.version import __version__

#: Factor that turns a unit into millimetres.
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
#: The unit of 2D joints.
PIXELS = "px"
FRAMES = ("camera", "world", "root-relative")


@dataclass(frozen=True)
class Declaration:
    """What a predictions file says about itself.

    An empty unit, joint set or frame is the track's own (`resolved`).
    """

    track: str | None = None
    units: str = ""
    joint_set: str = ""
    frame: str = ""
    inputs: tuple[str, ...] = ()
    method: str = ""
    notes: str = ""

    def metadata(self) -> dict[str, str]:
        """Return the key-value metadata that is stored in the file's schema."""
        known = {
            "track": self.track or "",
            "units": self.units,
            "joint_set": self.joint_set,
            "frame": self.frame,
            "inputs": json.dumps(list(self.inputs)),
            "method": self.method,
            "notes": self.notes,
        }
        return {k: v for k, v in known.items() if v} | {"hand_bench_version": __version__}

    @property
    def scale(self) -> float:
        """Factor that turns its numbers into millimetres (pixels stay pixels)."""
        return UNITS.get(self.units, 1.0)

    def resolved(self, units: str, joint_set: str, frame: str) -> Declaration:
        """Fill in what a track's numbers are where nothing is declared."""
        return replace(
            self,
            units=self.units or units,
            joint_set=self.joint_set or joint_set,
            frame=self.frame or frame,
        )

    @classmethod
    def read(
        cls, metadata: Mapping[bytes, bytes] | None, where: str, kind: str = "pose"
    ) -> Declaration:
        """Read the metadata of a schema; `kind` is what the track asks for.

        Raises
        ------
        SubmissionError
            HB113 with every value that is unknown.
        """
        text = {
            k.decode(errors="replace"): v.decode(errors="replace")
            for k, v in (metadata or {}).items()
        }
        units = (PIXELS,) if kind == "pose-2d" else tuple(UNITS)
        problems = [
            Problem(
                "HB113",
                where,
                f"declares {key} {text[key][:80]!r}.",
                fix=f"Known: {', '.join(known)}. `hand_bench.write_predictions(..., {key}=...)` "
                "declares it.",
            )
            for key, known in (("units", units), ("frame", FRAMES), ("joint_set", JOINT_SETS))
            if key in text and text[key] not in known
        ]
        inputs = _inputs(text.get("inputs", "[]"))
        if inputs is None:
            problems.append(
                Problem(
                    "HB113",
                    where,
                    f"declares inputs {text['inputs'][:80]!r}.",
                    fix='Inputs are a JSON list of texts, e.g. ["boxes:standard"]; '
                    "`hand_bench.write_predictions(..., inputs=[...])` declares them.",
                )
            )
        if problems:
            raise SubmissionError(problems)
        given = {
            k: text[k] for k in ("units", "joint_set", "frame", "method", "notes") if k in text
        }
        return cls(track=text.get("track") or None, inputs=inputs or (), **given)


def _inputs(text: str) -> tuple[str, ...] | None:
    """Read a JSON list of texts; None for anything else."""
    try:
        inputs = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(inputs, list) and all(isinstance(item, str) for item in inputs):
        return tuple(inputs)
    return None


def override(declared: Declaration, **given: str | None) -> Declaration:
    """Replace what a file declares by what the user states; HB301 for unknown values."""
    known = {"units": tuple(UNITS), "frame": FRAMES, "joint_set": tuple(JOINT_SETS)}
    for key, value in given.items():
        if value is None:
            continue
        if value not in known[key]:
            raise TrackError(unknown_name(key, value, known[key]))
    return replace(declared, **{k: v for k, v in given.items() if v is not None})
