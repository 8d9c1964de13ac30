"""The built site as files: the same bytes again, nothing lost, no dead link, nothing from outside."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from hand_bench.cli import main
from hand_bench.errors import HandBenchError
from hand_bench.tracks import TRACKS, find_track
from hand_leaderboard.board import read_board
from hand_leaderboard.site import (
    about_pages,
    build,
    definitions,
    home_page,
    track_pages,
    write_site,
)
from hand_leaderboard.site.commands import server
from hand_leaderboard.site.folders import LARGEST_PAGE, SiteFolder, large_pages

VOID = {"meta", "img", "br", "link", "input", "col", "hr"}


class Page(HTMLParser):
    """What a page consists of: tags with attributes, ids, text; tags must be closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.ids, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert not [tag for tag in self.open if tag not in ("p", "li")]

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        self.open += [] if tag in VOID else [tag]

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@cache
def parsed(path: Path) -> Page:
    return Page(path.read_text("utf-8"))


def all_files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def html(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_two_builds_are_byte_equal(small_site, tmp_path):
    again = build(small_site.root, tmp_path / "again")
    assert all_files(again) == all_files(small_site.site)


def test_every_submission_has_a_row_a_page_and_a_badge(small_site):
    for track, names in small_site.names.items():
        page = (small_site.site / f"tracks/{track}.html").read_text("utf-8")
        for name in names:
            assert f'data-row="{name}"' in page
            assert f'href="../submissions/{track}/{name}.html"' in page
            assert (small_site.site / f"submissions/{track}/{name}.html").is_file()
            assert (small_site.site / f"badges/{track}/{name}.svg").is_file()


def test_every_link_leads_somewhere(small_site):
    site = small_site.site
    for path in html(site):
        for tag, attributes in parsed(path).tags:
            for name in ("href", "src"):
                address = attributes.get(name)
                if address is None or address.startswith(("https://", "data:")):
                    continue
                place, _, anchor = address.partition("#")
                target = (path.parent / unquote(place)).resolve() if place else path
                assert target.is_file(), (path, tag, address)
                if anchor and "=" not in anchor and target.suffix == ".html":
                    assert anchor in parsed(target).ids, (path, address)


def test_no_page_has_code_or_style_of_its_own_or_loads_from_outside(small_site):
    for path in html(small_site.site):
        tags = parsed(path).tags
        policy = next(a["content"] for t, a in tags if a.get("http-equiv") == "Content-Security-Policy")
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy and "http" not in policy
        for tag, attributes in tags:
            assert tag not in ("style", "iframe", "object", "form", "base")
            assert not [n for n in attributes if n.startswith("on") or n == "style"]
            if tag == "script":
                assert attributes.get("type") == "application/json" or attributes["src"]
            if tag in ("script", "link", "img"):
                assert not (attributes.get("src") or attributes.get("href") or "").startswith("http")
            if tag == "a" and attributes.get("href", "").startswith("http"):
                assert "noopener" in attributes["rel"]


def test_ids_are_unique_and_pages_small(small_site):
    for path in html(small_site.site):
        ids = parsed(path).ids
        assert len(ids) == len(set(ids)), path
        assert path.stat().st_size < LARGEST_PAGE


def test_nothing_of_this_machine_is_in_the_site(small_site):
    for name, data in all_files(small_site.site).items():
        assert str(small_site.root).encode() not in data, name
        assert b"/tmp/" not in data and b"/root/" not in data, name


def test_real_data_and_handsim_never_share_a_table(small_site):
    text = (small_site.site / "index.html").read_text("utf-8")
    real, _, world = text.partition('<section class="world"')
    assert "tracks/egoexo4d-hand.html" in real and "handsim-" not in real
    assert "tracks/handsim-egoexo4d-hand.html" in world
    assert not re.findall(r'tracks/(?!handsim-)[a-z0-9-]+\.html', world)
    page = (small_site.site / "tracks/handsim-egoexo4d-hand.html").read_text("utf-8")
    assert "say nothing about real data" in page


def test_the_three_kinds_of_rows_stand_in_groups_of_their_own(small_site):
    board = read_board(small_site.root)
    page = (small_site.site / "tracks/egoexo4d-hand.html").read_text("utf-8")
    for body in re.findall(r"<tbody data-group=.*?</tbody>", page, re.S):
        kinds = re.findall(r'class="tag (rescored|reproduced|reported)"', body)
        assert len(kinds) == 1
    reported = [row for t in board.tracks["egoexo4d-hand"] for row in t.reported]
    assert reported and all(row.source.replace("'", "&#39;") in page for row in reported)
    scored = re.sub(r'<div class="board" data-board="[\w-]+-reported">.*?</table>', "", page, flags=re.S)
    assert not [row for row in reported if f'data-row="{row.slug}"' in scored]


def test_an_older_site_is_replaced_and_nothing_else_is(small_site, tmp_path):
    out = shutil.copytree(small_site.site, tmp_path / "site")
    (out / "submissions/old.html").write_text("old", "utf-8")
    build(small_site.root, out)
    assert all_files(out) == all_files(small_site.site)
    other = tmp_path / "home"
    other.mkdir()
    (other / "thesis.tex").write_text("years", "utf-8")
    with pytest.raises(HandBenchError, match="HB402.*holds something else than a site"):
        build(small_site.root, other)
    assert (other / "thesis.tex").read_text("utf-8") == "years"
    assert {p.name for p in tmp_path.iterdir()} == {"site", "home"}


def test_a_submission_without_a_row_fails_the_build_and_leaves_the_site(small_site, tmp_path):
    root = shutil.copytree(small_site.root, tmp_path / "submissions")
    lost = root / "egoexo4d-hand" / small_site.names["egoexo4d-hand"][0]
    for name in ("result.json", "sums.parquet", "errors.parquet"):
        (lost / name).unlink()
    out = shutil.copytree(small_site.site, tmp_path / "site")
    with pytest.raises(HandBenchError, match=r"HB150 .*ambernet-0.*has no row on the board"):
        build(root, out)
    assert all_files(out) == all_files(small_site.site)


def test_a_board_that_lost_a_row_is_refused_too(small_site, tmp_path):
    board = read_board(small_site.root)
    tables = board.tracks["epic-handkps"]
    empty = tuple(replace(table, groups=()) for table in tables)
    broken = replace(board, tracks={**board.tracks, "epic-handkps": empty})
    with pytest.raises(HandBenchError, match="HB150"):
        write_site(broken, tmp_path / "site")
    assert not list(tmp_path.iterdir())


def test_a_withdrawn_submission_keeps_a_page_that_says_why(small_site, tmp_path):
    root = shutil.copytree(small_site.root, tmp_path / "submissions")
    gone = root / "epic-handkps" / small_site.names["epic-handkps"][1]
    for name in ("result.json", "sums.parquet", "errors.parquet"):
        (gone / name).unlink()
    (gone / "withdrawn.yaml").write_text("date: '2025-05-05'\nreason: A <b>bug</b>.\n", "utf-8")
    site = build(root, tmp_path / "site")
    page = (site / f"submissions/epic-handkps/{gone.name}.html").read_text("utf-8")
    assert "Withdrawn on 2025-05-05." in page and "A &lt;b&gt;bug&lt;/b&gt;." in page
    assert gone.name not in (site / "tracks/epic-handkps.html").read_text("utf-8")
    assert not (site / f"data/epic-handkps/{gone.name}.js").exists()


def test_a_hidden_truth_gives_no_samples_away(small_site):
    for name in small_site.names["egoexo4d-hand-test"]:
        script = (small_site.site / f"data/egoexo4d-hand-test/{name}.js").read_text("utf-8")
        assert json.loads(script[script.index(",") + 1 : -3])["worst"] == []
        page = (small_site.site / f"submissions/egoexo4d-hand-test/{name}.html").read_text("utf-8")
        assert "Worst samples" not in page and "In 3D" not in page


def test_a_board_without_submissions_is_a_site_too(tmp_path):
    (tmp_path / "submissions").mkdir()
    site = build(tmp_path / "submissions", tmp_path / "site")
    assert "nobody yet" in (site / "index.html").read_text("utf-8")
    page = (site / "tracks/interhand26m.html").read_text("utf-8")
    assert "No scored submission yet" in page and "Moon et al. 2020, Table" in page
    assert not (site / "compare").exists()


@pytest.mark.parametrize("track", ["egoexo4d-hand", "h2o-action-val"])
def test_pages_of_200_submissions_stay_small(small_site, track):
    board = read_board(small_site.root)
    times = -(-200 // len(small_site.names[track]))
    tables = [replace(t, groups=tuple(many(g, times) for g in t.groups)) for t in board.tracks[track]]
    grown = replace(board, tracks={**board.tracks, track: tuple(tables)})
    rows = [row for group in tables[0].groups for row in group.rows]
    assert len(rows) >= 200
    options = {"exports": lambda table: [], "compare": "", "data": {r.slug: "x" for r in rows}}
    found = track_pages.track_pages(grown, find_track(track), **options)
    assert found[f"tracks/{track}.html"].count("data-row=") >= 200
    assert max(len(text.encode()) for text in found.values()) < LARGEST_PAGE
    assert len(home_page.page(grown).encode()) < LARGEST_PAGE


def many(group, times: int):
    """The same group with each row many times."""
    rows = (replace(row, slug=f"{row.slug}-{k}") for row in group.rows for k in range(times))
    return replace(group, rows=tuple(rows))


def test_tables_of_a_page_that_would_be_too_large_have_pages_of_their_own(small_site):
    board, track = read_board(small_site.root), find_track("egoexo4d-hand")
    options = {"exports": lambda table: [], "compare": "", "data": {}, "largest": 60_000}
    found = track_pages.track_pages(board, track, **options)
    assert set(found) == {"tracks/egoexo4d-hand.html"} | {
        f"tracks/egoexo4d-hand/{p.name}.html" for p in track.protocols if p.name != "recommended"
    }
    first = Page(found["tracks/egoexo4d-hand.html"])
    links = {a.get("href") for t, a in first.tags if t == "a"}
    assert {f"../{path}" for path in found if path.count("/") == 2} <= links
    own = found["tracks/egoexo4d-hand/official.html"]
    assert own.count('data-row="ambernet-0"') == 1 and 'src="../../assets/table.js"' in own


def test_a_name_that_leads_out_of_the_site_is_refused(tmp_path):
    folder = SiteFolder(tmp_path / "site")
    for name in ("../x.html", "a/../../x.html", "a\\b.html"):
        with pytest.raises(ValueError, match="no place in a site"):
            folder.write(name, "x")
    assert not list(tmp_path.iterdir())


def test_large_pages_are_found(tmp_path):
    folder = SiteFolder(tmp_path)
    folder.write("a.html", "x" * LARGEST_PAGE)
    folder.write("b/c.html", "x" * (LARGEST_PAGE + 1))
    assert large_pages(tmp_path) == [tmp_path / "b/c.html"]


def test_every_metric_and_part_of_a_signature_has_a_sentence():
    measures = [m for t in TRACKS.values() for p in t.protocols for m, _ in p.measures]
    assert all(definitions.metric(m.metric) for m in measures)
    silent = {part for m in measures for part in m.rule.split("|") if not definitions.part(part)}
    assert silent == {"both hands", "true hands answered"}
    with pytest.raises(KeyError):
        definitions.metric("MPJPE of toes")


def test_the_about_page_has_every_protocol_and_the_documents_of_the_core(small_site):
    text = (small_site.site / "about.html").read_text("utf-8")
    for track in TRACKS.values():
        assert all(f"<b>{p.name}</b>" in text for p in track.protocols)
    assert "plain 1e-6; run 1e-10" in text  # the table of parities
    assert about_pages.document("nothing.md") == ""


def test_every_field_of_a_submission_is_described():
    fields = {field["name"]: field for field in about_pages.fields()}
    assert {"method", "training", "paper.title", "predictions.sha256"} <= set(fields)
    assert fields["method"]["needed"] and not fields["backbone"]["needed"]
    assert all(field["meaning"] for field in fields.values())


def test_the_command_prints_the_first_page(small_site, tmp_path, capsys):
    main(["leaderboard", "build", "-o", str(tmp_path / "site"), "--root", str(small_site.root)])
    assert capsys.readouterr().out == f"{tmp_path / 'site' / 'index.html'}\n"
    assert all_files(tmp_path / "site") == all_files(small_site.site)


def test_a_port_that_is_taken_is_said_so(small_site):
    with server(small_site.site, 0) as running:
        port = running.server_address[1]
        with pytest.raises(HandBenchError, match=f"HB402 port {port}"):
            server(small_site.site, port)
