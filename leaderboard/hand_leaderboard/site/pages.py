"""Pages: templates with every text escaped, addresses that were looked at, JSON for scripts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hand_bench.errors import HandBenchError, Problem
from hand_bench.version import __version__
from hand_leaderboard.board import Row
from hand_leaderboard.submissions.texts import url_fault

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

#: What the head of every page links to.
NAVIGATION = (
    ("index.html", "Tracks"),
    ("suites.html", "Suites"),
    ("about.html", "Metrics and protocols"),
    ("submit.html", "Submit"),
)
#: Links that only some sites have; they stand behind the suites.
_MORE: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("more", default=())
#: Authors of a row are cut in tables; their page has them all.
SHORT = 42


@contextlib.contextmanager
def linking(*more: tuple[str, str]) -> Iterator[None]:
    """Put more links (path, label) into the head of every page that the block makes."""
    token = _MORE.set(more)
    try:
        yield
    finally:
        _MORE.reset(token)


def render(template: str, path: str, **values: Any) -> str:
    """Return the text of a page that lies at `path` ("tracks/stb.html") of the site."""
    root = "../" * path.count("/")
    links = (*NAVIGATION[:2], *_MORE.get(), *NAVIGATION[2:])
    return (
        environment()
        .get_template(template)
        .render(
            root=root, here=path, navigation=links, version=__version__,
            **({"scripts": ()} | values),
        )
    )  # fmt: skip


@cache
def environment() -> Environment:
    """Return the templates' environment: everything is escaped, nothing undefined is printed."""
    try:
        import jinja2
    except ImportError as error:
        raise HandBenchError(
            Problem("HB401", "leaderboard build", "jinja2 is not installed.",
                    fix="pip install 'hand-bench[leaderboard]'")
        ) from error  # fmt: skip
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "web_address": web_address,
        "shortened": shortened,
        "percent": percent,
        "script_json": script_json,
        "page": page_of,
        "thousands": lambda value: f"{value:,}",
    }
    return made


def page_of(row: Row) -> str:
    """Return the page of a scored row, from the root of the site."""
    return f"submissions/{row.submission}.html"


def web_address(text: str | None) -> str:
    """Return an http or https address that can be a link; "" for anything else."""
    return text if text and not url_fault(text) else ""


def shortened(text: str, most: int = SHORT) -> str:
    """Cut a text at a word, with "…" where something is left out."""
    if len(text) <= most:
        return text
    kept = text[:most].rsplit(" ", 1)[0]
    return (kept if len(kept) > most // 2 else text[:most]).rstrip(" ,;") + "…"


def percent(share: float) -> str:
    """Print a share in percent: "100", "99.97"; what is not everything never becomes 100."""
    if share >= 1:
        return "100"
    return f"{min(100 * share, 99.99):.2f}".rstrip("0").rstrip(".")


def plain_json(value: Any) -> str:
    """Return compact JSON that is safe inside a script: no tag, comment or line can begin in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def script_json(value: Any) -> Markup:
    """Return JSON for an inert `<script type="application/json">`."""
    from markupsafe import Markup

    return Markup(plain_json(value))


def data_script(name: str, value: Any) -> str:
    """Return a data file: a script that gives one value under a name."""
    return f"HandBench.give({plain_json(name)},{plain_json(value)});\n"
