"""`submit init`: the questions that `submission.yaml` answers."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from hand_bench.errors import HandBenchError, Problem, SubmissionError
from hand_bench.tracks import Track
from hand_leaderboard.submissions.meta import schema

#: Fields that are asked for, in order; those that hold lists are answered with commas.
ASKED = ("method", "team", "authors", "licence", "description", "paper", "code", "training",
         "inputs", "backbone", "parameters", "hardware", "external_data")  # fmt: skip
NEEDED = ("method", "licence", "description")
_LISTS = ("authors", "training", "external_data")
#: Lines of training data hold commas of their own.
_SEPARATOR = {"training": ";"}

Ask = Callable[[str], str]


def answers(given: Mapping[str, Any], track: Track, ask: Ask | None) -> dict[str, Any]:
    """Return the plain values of a description.

    Parameters
    ----------
    given
        Fields that flags answered; None stands for no answer.
    track
        Whose inputs are asked for.
    ask
        Puts a question and returns the answer; None: nobody is there to ask.

    Raises
    ------
    SubmissionError
        HB140 with the flags that lack where nobody can be asked.
    """
    known: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if ask is not None:
        for name in ASKED:
            if name == "authors" and known.get("team"):
                continue
            if name not in known:
                found = _inputs(track, ask) if name == "inputs" else _asked(name, ask)
                if found is not None:
                    known[name] = found
    lacking = [name for name in NEEDED if not known.get(name)]
    lacking += [] if known.get("team") or known.get("authors") else ["team (or --author)"]
    if lacking:
        flags = ", ".join(f"--{name}" for name in lacking)
        raise SubmissionError(
            Problem("HB140", "submission.yaml", f"lacks {flags}.",
                    fix="Give them as options, or call it in a terminal: it asks then.")
        )  # fmt: skip
    known.setdefault("date", datetime.date.today().isoformat())
    known.setdefault("training", [])
    known.setdefault("inputs", [])
    return {name: known[name] for name in schema()["properties"] if name in known}


def _asked(name: str, ask: Ask) -> Any:
    described = schema()["properties"][name]["description"]
    if name == "paper":
        title = ask("paper: its title (empty: none)").strip()
        url = ask("paper: its address (http or https)").strip() if title else ""
        return None if not title else {"title": title, **({"url": url} if url else {})}
    separator = _SEPARATOR.get(name, ",")
    several = f" Several: separated by {separator!r}." if name in _LISTS else ""
    while True:
        text = ask(f"{name}: {described}{several}").strip()
        if text or name not in NEEDED:
            break
    if not text:
        return None
    if name in _LISTS:
        return [part.strip() for part in text.split(separator) if part.strip()]
    return _number(text) if name == "parameters" else text


def _inputs(track: Track, ask: Ask) -> list[str]:
    """Ask for each input of the track until the answer is one of its values."""
    found = []
    for name, values in track.inputs.items():
        text = ""
        while text not in values:
            text = ask(f"inputs, {name}: {' / '.join(values)}").strip() or values[0]
        found.append(f"{name}:{text}")
    return found


def _number(text: str) -> int | str:
    """Read "2,377,562", "2.4M" or "630e6"; what is no number is refused by the schema."""
    plain = text.replace(",", "").replace(" ", "")
    factor = {"k": 1e3, "m": 1e6, "b": 1e9}.get(plain[-1:].lower(), 1)
    try:
        return round(float(plain.rstrip("kKmMbB")) * factor)
    except (ValueError, OverflowError):
        return text


def terminal(question: str) -> str:
    """Ask on the terminal."""
    try:
        return input(f"{question}\n> ")
    except EOFError as error:
        what = "the questions were not answered to the end."
        raise HandBenchError(Problem("HB140", "submission.yaml", what)) from error
