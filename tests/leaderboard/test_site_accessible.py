"""Accessibility of every kind of page, as axe-core sees it (data/axe-core, MPL-2.0, unmodified)."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaderboard import browser

AXE = Path(__file__).with_name("data") / "axe-core" / "axe.min.js"
PAGES = (
    "index.html", "about.html", "submit.html", "suites.html", "suites/wildhands-zero-shot.html",
    "tracks/egoexo4d-hand.html", "tracks/handsim-egoexo4d-hand.html", "tracks/rhd.html",
    "submissions/egoexo4d-hand/ambernet-0.html", "submissions/h2o-action-val/ambernet-0.html",
    "submissions/handsim-egoexo4d-hand/ambernet-0.html", "compare/egoexo4d-hand.html",
    "claims.html",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium():
    with browser.started() as running:
        yield running


def findings(tab, *rules: str) -> list[str]:
    """What axe calls serious or critical on a page (by some rules), with the first of each."""
    options = {"preload": False, "resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    tab.evaluate(AXE.read_text("utf-8"))
    found = tab.evaluate("async options => (await axe.run(document, options)).violations", options)
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]} {v['nodes'][0]['failureSummary'][:300]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_kind_of_page(chromium, small_site, scheme):
    found = {}
    with browser.visiting(chromium, small_site.site, color_scheme=scheme) as visit:
        for path in PAGES:
            tab = visit.open(path)
            if path.startswith("compare/"):
                tab.wait_for_selector("[data-ready]")
            if path.startswith("tracks/egoexo"):
                tab.locator("[data-curves] polyline").first.wait_for()
            found[path] = findings(tab, *(["color-contrast"] if scheme == "dark" else []))
    assert {path: what for path, what in found.items() if what} == {}


def test_axe_would_find_something(chromium, small_site, tmp_path):
    page = '<html lang="en"><title>x</title><main><h1>x</h1><img src="x.svg"><input></main>'
    (tmp_path / "bad.html").write_text(page, "utf-8")
    (tmp_path / "x.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', "utf-8")
    with browser.visiting(chromium, tmp_path) as visit:
        assert {f.split(":")[0] for f in findings(visit.open("bad.html"))} == {"image-alt", "label"}


def test_axe_is_here_as_it_was_published():
    assert AXE.read_text("utf-8").startswith("/*! axe v4.14.1\n * Copyright (c) 2015")
    assert "Mozilla Public License" in AXE.with_name("LICENSE").read_text("utf-8")
