"""Reads the YAML of strangers: plain values only, bounded in size, depth and number.

The values are built here from the parser's events: no tag, anchor, alias, merge key or second
document is followed, so nothing is constructed and nothing grows. Scalars are those of YAML 1.2's
core schema: `no` and `2024-05-01` are texts; `null`, `true`, `12` and `1.5` are what they look
like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml import events

from hand_bench.errors import Problem, SubmissionError

#: A description of a method is a few kilobytes.
MOST_BYTES = 64 * 1024
MOST_DEPTH = 8
MOST_VALUES = 2_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,3})?")


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    SubmissionError
        HB402 where it cannot be read, HB140 for anything but plain values within the bounds.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}."
        raise SubmissionError(Problem("HB402", str(path), what)) from None
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes, where: str) -> Any:
    """Return the plain values of a YAML text; `where` names it in problems.

    Raises
    ------
    SubmissionError
        HB140 with the line.
    """
    if len(data) > MOST_BYTES:
        raise _refused(where, f"has more than {MOST_BYTES // 1024} KiB.")
    try:
        return _build(data.decode("utf-8"), where)
    except UnicodeDecodeError as error:
        raise _refused(where, f"is not UTF-8 text (byte {error.start:,}).") from None
    except yaml.YAMLError as error:
        raise _refused(where, _reason(error)) from None


@dataclass
class _Open:
    """A mapping or list that is not closed yet; `key` waits for its value."""

    value: dict[str, Any] | list[Any]
    key: str | None = field(default=None)


def _build(text: str, where: str) -> Any:
    stack: list[_Open] = []
    root: list[Any] = []
    values = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = f"line {event.start_mark.line + 1}" if event.start_mark else "it"
        if isinstance(event, events.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refused(where, f"{line} begins a second document.")
            continue
        if isinstance(event, events.AliasEvent) or getattr(event, "anchor", None):
            raise _refused(where, f"{line} has an anchor or alias (& or *).",
                           "Write the value again, or put it in quotes.")  # fmt: skip
        if getattr(event, "tag", None) and not _own_tag(event):
            fix = "Leave it out: plain texts, numbers and lists are all there is."
            raise _refused(where, f"{line} has a tag (!): {event.tag[:40]!r}.", fix)
        if isinstance(event, events.CollectionEndEvent):
            stack.pop()
            continue
        if not isinstance(event, events.NodeEvent):
            continue
        values += 1
        if values > MOST_VALUES:
            raise _refused(where, f"holds more than {MOST_VALUES:,} values.")
        value = _value(event)
        _put(stack, root, value, where, line)
        if isinstance(event, events.CollectionStartEvent):
            if len(stack) == MOST_DEPTH:
                raise _refused(where, f"{line} is nested more than {MOST_DEPTH} deep.")
            stack.append(_Open(value))
    return root[0] if root else None


def _own_tag(event: Any) -> bool:
    """Whether a tag is only what the parser says of a plain `!`-less value."""
    implicit = event.implicit
    return any(implicit) if isinstance(implicit, tuple) else bool(implicit)


def _value(event: Any) -> Any:
    if isinstance(event, events.MappingStartEvent):
        return {}
    if isinstance(event, events.SequenceStartEvent):
        return []
    text = event.value
    if event.style not in (None, ""):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _put(stack: list[_Open], root: list[Any], value: Any, where: str, line: str) -> None:
    """Add a value to the innermost open mapping or list."""
    if not stack:
        root.append(value)
        return
    top = stack[-1]
    if isinstance(top.value, list):
        top.value.append(value)
    elif top.key is not None:
        top.value[top.key] = value
        top.key = None
    elif not isinstance(value, str):
        raise _refused(where, f"{line} has a name that is not a text: {str(value)[:40]!r}.")
    elif value in top.value:
        raise _refused(where, f"{line} gives {value[:40]!r} a second time.")
    elif value == "<<":
        raise _refused(where, f"{line} merges another mapping (<<).")
    else:
        top.key = value


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    return f"is not YAML: {said}{f' in line {mark.line + 1}' if mark else ''}."


def _refused(where: str, what: str, fix: str = "") -> SubmissionError:
    return SubmissionError(Problem("HB140", where, what, fix=fix))
