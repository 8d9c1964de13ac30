"""Pages about the board itself: metrics, signatures, protocols, parity; and how to submit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import hand_bench
from hand_bench.tracks import Track
from hand_leaderboard.board.tables import MEANINGS
from hand_leaderboard.site import definitions, markdown, pages

#: Documents of the core that are shown whole: file, heading.
DOCUMENTS = (("metrics.md", "Protocols in words"), ("parity.md", "Parity with official scorers"))


def about(tracks: Iterable[Track]) -> str:
    """Return the page about metrics, signatures, protocols and parity."""
    known = list(tracks)
    return pages.render(
        "about.html.j2",
        "about.html",
        kinds=MEANINGS,
        metrics=metrics(known),
        parts=signature_parts(known),
        protocols=protocols(known),
        documents=[
            (name.removesuffix(".md"), title, markdown.to_html(text, level=3))
            for name, title in DOCUMENTS
            if (text := document(name))
        ],
    )


def metrics(tracks: Iterable[Track]) -> list[dict[str, Any]]:
    """Return every metric that some track prints, with its meaning and protocols."""
    found: dict[str, dict[str, Any]] = {}
    for track in tracks:
        for protocol in track.protocols:
            for measure, _ in protocol.measures:
                entry = found.setdefault(
                    measure.metric,
                    {"name": measure.metric, "unit": measure.unit or "%", "protocols": {},
                     "higher": measure.higher_is_better,
                     "meaning": definitions.metric(measure.metric)},
                )  # fmt: skip
                entry["protocols"][protocol.name] = None
    return [entry | {"protocols": list(entry["protocols"])} for entry in found.values()]


def signature_parts(tracks: Iterable[Track]) -> list[tuple[str, str]]:
    """Return the parts that signatures are made of, with what they say."""
    parts: dict[str, None] = {}
    for track in tracks:
        for protocol in track.protocols:
            for measure, _ in protocol.measures:
                parts |= dict.fromkeys([*measure.rule.split("|"), f"missing:{measure.missing}"])
    return [(text, meaning) for text in sorted(parts) if (meaning := definitions.part(text))]


def protocols(tracks: Iterable[Track]) -> list[dict[str, Any]]:
    """Return every protocol by name and source, with its tracks and the rules of its numbers."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for track in tracks:
        for protocol in track.protocols:
            entry = found.setdefault(
                (protocol.name, protocol.source),
                {"name": protocol.name, "source": protocol.source, "tracks": [], "rules": {}},
            )
            entry["tracks"].append(track)
            for measure, _ in protocol.measures:
                rule = "|".join((measure.metric, measure.rule, f"missing:{measure.missing}"))
                entry["rules"][rule] = None
    ordered = sorted(found.values(), key=lambda e: (e["name"] != "recommended", e["name"]))
    return [e | {"rules": list(e["rules"])} for e in ordered]


def document(name: str) -> str:
    """Return a document of the core; "" where it was installed without."""
    packaged = resources.files("hand_bench") / "docs" / name
    if packaged.is_file():
        return packaged.read_text("utf-8")
    beside = Path(hand_bench.__file__).parents[1] / "docs" / name
    return beside.read_text("utf-8") if beside.is_file() else ""


def submit(tracks: Iterable[Track]) -> str:
    """Return the page that says how to submit: commands, fields, inputs of every track."""
    return pages.render("submit.html.j2", "submit.html", fields=fields(), tracks=list(tracks))


def fields() -> list[dict[str, Any]]:
    """Return the fields of `submission.yaml`, from its schema; inner ones as "paper.title"."""
    stored = resources.files("hand_leaderboard.submissions") / "submission.schema.json"
    return list(_fields(json.loads(stored.read_text("utf-8")), ""))


_KINDS = {"array": "list", "object": "fields", "integer": "number", "boolean": "true or false"}


def _fields(schema: dict[str, Any], prefix: str) -> Iterable[dict[str, Any]]:
    needed = schema.get("required", [])
    for name, value in schema.get("properties", {}).items():
        yield {
            "name": f"{prefix}{name}",
            "needed": name in needed,
            "kind": _KINDS.get(value.get("type"), "text"),
            "meaning": value.get("description", ""),
        }
        yield from _fields(value, f"{prefix}{name}.")
