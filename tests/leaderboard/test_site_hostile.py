"""Hostile submissions: what people write stays text, in every field and on every page."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hand_leaderboard.board import read_board
from hand_leaderboard.site import build, pages, write_site
from leaderboard import browser, many_submissions
from leaderboard.many_submissions import HOSTILE
from leaderboard.test_site_build import Page

TRACK, SIM = "egoexo4d-hand", "handsim-egoexo4d-hand"


@pytest.fixture(scope="module")
def hostile_site(small_site, tmp_path_factory) -> Path:
    """A site of submissions whose every text is hostile, also what the scorer copies from data."""
    folder = tmp_path_factory.mktemp("hostile")
    root = folder / "submissions"
    for track in (TRACK, SIM, "h2o-action-val"):
        work = folder / track
        work.mkdir()
        names = many_submissions.write_track(
            root, small_site.tracks[track], 3, work=work, hostile=True
        )
        for name in names:
            poison(root / track / name)
    return build(root, folder / "site")


def poison(folder: Path) -> None:
    """Put hostile texts where a scorer would copy them from data or notes."""
    path = folder / "result.json"
    stored = json.loads(path.read_text("utf-8"))
    stored["notes"] = [HOSTILE]
    stored["intervals"] = stored["hand_bench_version"] = HOSTILE
    stored["annotations"]["release"] = HOSTILE
    for score in stored["scores"]:
        score["note"] = HOSTILE
        score["signature"] += HOSTILE
    if "classes" in stored["details"]:
        stored["details"]["classes"][0] = HOSTILE
    path.write_text(json.dumps(stored), "utf-8")
    samples = folder / "samples.json"
    if samples.is_file():
        some = json.loads(samples.read_text("utf-8"))
        for one in some:
            one["id"] = one["label"] = HOSTILE
            one["lines"] = [HOSTILE]
        samples.write_text(json.dumps(some), "utf-8")


def test_nothing_that_people_write_becomes_a_tag_or_an_attribute(hostile_site):
    seen = []
    for path in sorted(hostile_site.rglob("*.html")):
        text = path.read_text("utf-8")
        page = Page(text)
        for tag, attributes in page.tags:
            assert not [name for name in attributes if name.startswith("on")], path
            assert (
                tag != "script" or "src" in attributes or attributes["type"] == "application/json"
            )
            assert tag != "img" or attributes["src"].startswith("../")
        assert "<script>" not in text and "<img src=x" not in text, path
        if HOSTILE in "".join(page.text):  # as it was written: neither run, nor computed
            seen.append(path)
    assert len([p for p in seen if p.parts[-3] == "submissions"]) == 9


def test_data_files_hold_no_end_of_a_script_and_are_one_call(hostile_site):
    files = sorted((hostile_site / "data").rglob("*.js"))
    assert len(files) > 9
    for path in files:
        text = path.read_text("utf-8")
        assert not set("<>&\u2028\u2029") & set(text)
        call = re.fullmatch(r"HandBench\.give\((.*)\);\n", text, re.S)
        name, value = json.loads(f"[{call[1]}]")
        assert name == path.relative_to(hostile_site).as_posix() and isinstance(value, dict)


def test_a_browser_runs_nothing_of_it_and_shows_it_as_text(hostile_site):
    with browser.started() as running, browser.visiting(running, hostile_site) as visit:
        for path in sorted(
            p.relative_to(hostile_site).as_posix() for p in hostile_site.rglob("*.html")
        ):
            tab = visit.open(path)
            if path.startswith("compare/"):
                tab.wait_for_selector("[data-ready]")
                tab.locator("#metric").select_option(index=0)
            for mark in tab.locator("svg [tabindex]").all()[:3]:
                mark.focus()
            assert tab.evaluate("window.hacked") is None, path
        tab = visit.open(f"tracks/{TRACK}.html")
        assert "<script>window.hacked=1" in tab.locator("tr[data-row] th").first.inner_text()
        tab.locator("#recommended-q").fill("<script>")
        assert tab.locator("[data-board=recommended] .count").inner_text() == "3 rows"
        tab.locator("[data-curves] polyline").first.wait_for()
        assert "<script>" in tab.locator("[data-curves] .key").inner_text()
        tab = visit.open(f"submissions/{SIM}/ambernet-0.html")
        assert "onerror=window.hacked" in tab.locator(".view figcaption").first.inner_text()


def test_exports_badges_and_feed_of_it_are_well_formed(hostile_site):
    from xml.etree import ElementTree

    feed = ElementTree.fromstring((hostile_site / "feed.xml").read_text("utf-8"))
    assert len(feed.findall("{http://www.w3.org/2005/Atom}entry")) == 9
    for path in hostile_site.rglob("*.svg"):
        tree = ElementTree.fromstring(path.read_text("utf-8"))
        assert not [e for e in tree.iter() if e.tag.endswith("script")]
    stored = json.loads((hostile_site / f"exports/{TRACK}-recommended.json").read_text("utf-8"))
    assert "window.hacked" in json.dumps(stored)


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "JavaScript:alert(1)", " https://example.org", "data:text/html,x",
     "file:///etc/passwd", "//example.org", "https://a\"onclick=x", "https://user:pw@example.org/",
     "https://", "", None],
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_no_link(address):
    assert pages.web_address(address) == ""


def test_an_address_that_slipped_through_is_text(small_site, tmp_path):
    board = read_board(small_site.root)
    bad = "javascript:alert(document.domain)"
    submissions = tuple(
        replace(
            s, meta=replace(s.meta, code=bad, paper=s.meta.paper and replace(s.meta.paper, url=bad))
        )
        for s in board.submissions
    )

    def poisoned(row):
        return replace(row, code=bad, paper=row.paper and replace(row.paper, url=bad))

    def regrouped(table):
        groups = (replace(g, rows=tuple(map(poisoned, g.rows))) for g in table.groups)
        return replace(table, groups=tuple(groups))

    tracks = {name: tuple(map(regrouped, tables)) for name, tables in board.tracks.items()}
    site = write_site(replace(board, tracks=tracks, submissions=submissions), tmp_path / "site")
    for path in site.rglob("*.html"):
        hrefs = [a.get("href") or "" for _, a in Page(path.read_text("utf-8")).tags]
        assert not [h for h in hrefs if h.lower().startswith(("javascript", "data:"))]
    page = (site / f"submissions/{TRACK}/birchpose-1.html").read_text("utf-8")
    assert bad in page


@pytest.mark.parametrize(
    "change",
    [{"hands": [{"side": "right", "gt": [[1, 2, "x"]] * 21, "pred": None}]}, {"id": 7},
     {"hands": [{"side": "right", "gt": [None] * 20, "pred": None}]}, {"more": 1},
     {"hands": [{"side": "right", "gt": [[1e999, 0, 0]] * 21, "pred": None}]}],
)  # fmt: skip
def test_samples_that_no_scorer_wrote_fail_the_build(small_site, tmp_path, change):
    from hand_bench.errors import HandBenchError

    root = shutil.copytree(small_site.root, tmp_path / "submissions")
    path = root / SIM / small_site.names[SIM][0] / "samples.json"
    some = json.loads(path.read_text("utf-8"))
    some[0] |= change
    path.write_text(json.dumps(some), "utf-8")
    with pytest.raises(
        HandBenchError, match=r"HB146 .*samples.json: is not what the scorer writes"
    ):
        build(root, tmp_path / "site")
    assert not (tmp_path / "site").exists()
