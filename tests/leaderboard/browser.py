"""A real browser for tests: Debian's chromium, which asks nobody for anything."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--no-first-run")  # fmt: skip


def find() -> str | None:
    """Where a chromium is."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def started() -> Iterator[Any]:
    """Start the browser; skips where there is none."""
    where = find()
    if where is None:
        pytest.skip("no chromium on this machine: `apt-get install chromium` installs Debian's")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=where, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


@dataclass
class Visit:
    """A page of a site in a tab of its own, and what went wrong there."""

    page: Any
    base: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        """Open a page of the site (with its state after "#"); return the tab."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}/{path}")
        return self.page

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        url = request.url.split("#")[0]
        if not url.startswith((f"{self.base}/", "data:", "about:", "blob:")):
            self.complaints.append(f"asked for {url}")


@contextlib.contextmanager
def visiting(running: Any, site: Path, base: str = "", **options: Any) -> Iterator[Visit]:
    """Open a tab of a site, in its folder or at `base`; nothing outside it may be asked for."""
    context = running.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    visit = Visit(context.new_page(), base or site.resolve().as_uri())
    visit.page.set_default_timeout(15_000)
    visit.page.on("console", visit._said)
    visit.page.on("pageerror", lambda error: visit.complaints.append(f"error: {error}"))
    context.on("request", visit._asked)
    try:
        yield visit
        assert visit.complaints == []
    finally:
        context.close()
