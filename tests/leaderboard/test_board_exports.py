"""Exports: what they hold, that they read back, and that hostile texts stay texts."""

import csv
import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from hand_bench.errors import TrackError
from hand_bench.tracks import find_track
from hand_leaderboard.board import Board, Cell, Column, Group, Paper, Row, Table, read_board
from hand_leaderboard.board.exports import FORMATS, bibtex, csv_text, json_text, latex, markdown
from hand_leaderboard.board.exports.badges import badge, badge_text
from hand_leaderboard.board.exports.bibtex import citation_keys, entry_of, parsed
from hand_leaderboard.board.exports.feed import atom
from hand_leaderboard.board.exports.hub import eval_results, eval_yaml
from hand_leaderboard.board.exports.markdown import link

AUC = Column("auc-0-50", "AUC(0-50)", "AUC(0-50)", "recommended", "all", "", True, primary=True)
MPJPE = Column("mpjpe", "MPJPE", "MPJPE", "recommended", "all", "mm", False)
EMPTY = Column("mrrpe", "MRRPE", "MRRPE", "recommended", "all", "mm", False)
HOSTILE = [
    "<script>alert('x')</script>",
    "=HYPERLINK(\"http://x.example\",\"y\")",
    "\t=1+1",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "a|b\n\n# head\n| x |",
    r"\input{/etc/passwd} \immediate\write18{id} ^^5cinput $x_1$ 50% & #1 ~ {a} \\",
    "]]> &amp; \"quoted\" 'single' `tick` [a](javascript:alert(1))",
    "name\r\nBcc: x\x00\x1b[31m\u202e",
]  # fmt: skip
_GROUP = "re-scored-boxes-standard"


def row(slug: str, rank: int | None, auc: float, mpjpe: float, **other) -> Row:
    cells = {
        "auc-0-50": Cell(auc, f"{100 * auc:.2f}", "", (auc - 0.01, auc + 0.01), 10, "AUC|v1"),
        "mpjpe": Cell(mpjpe, f"{mpjpe:.2f}", "mm"),
    }
    plain = {
        "kind": "re-scored", "method": slug, "group": _GROUP, "date": "2026-01-31", "rank": rank,
        "rank_interval": rank and (rank, rank), "ties": rank, "submission": f"stb/{slug}",
        "authors": "A team", "coverage": 1.0, "inputs": ("boxes:standard",),
    }  # fmt: skip
    return Row(slug=slug, cells=cells, **{**plain, **other})


def table_of(rows, reported=(), **other) -> Table:
    group = Group(_GROUP, "re-scored", ("boxes:standard",), "boxes: standard", tuple(rows))
    plain = {
        "name": "stb-recommended", "track": "stb", "protocol": "recommended", "title": "STB",
        "source": "hand-bench", "procedural": False, "main": True,
    }  # fmt: skip
    groups = (group,) if rows else ()
    return Table(
        columns=(AUC, MPJPE, EMPTY), groups=groups, reported=reported, **{**plain, **other}
    )


PAPER = Row(
    kind="reported", method="InterNet", slug="moon", source="Moon et al. 2020, Table 3, row SH",
    cells={"mpjpe": Cell(12.16, "12.16", "mm", printed="12.16")}, authors="Moon et al. 2020",
    date="2020", paper=Paper("InterHand2.6M", "https://arxiv.org/abs/2008.09309",
                             name="Moon et al. 2020", year=2020, venue="ECCV"),
)  # fmt: skip
FIRST, SECOND = row("first", 1, 0.871, 9.0), row("second", 2, 0.8, 8.5)
TABLE = table_of([FIRST, SECOND], (PAPER,))


def hostile_table(text: str) -> Table:
    """A table in which a stranger wrote the same text into every field."""
    paper = Paper(text, "https://x.example/a", text)
    strange = row(
        "strange", 1, 0.9, 5.0, method=text, authors=text, author_list=(text,), paper=paper,
        training_text=text, training=(text,), description=text, note=text, backbone=text,
        hardware=text, licence=text, code="https://x.example/b",
    )  # fmt: skip
    return table_of([strange, SECOND])


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_table_gives_the_same_bytes(name):
    make = FORMATS[name][0]
    assert make(TABLE) == make(replace(TABLE))
    assert make(table_of([])) == make(table_of([]))


def test_csv_has_kinds_numbers_and_intervals():
    first, second, paper = read_csv(csv_text(TABLE))
    assert (first["kind"], first["rank"], first["auc-0-50 (share)"]) == ("re-scored", "1", "0.871")
    assert (first["auc-0-50 low"], first["auc-0-50 high"]) == ("0.861", "0.881")
    assert (paper["kind"], paper["mpjpe (mm)"], paper["rank"]) == ("reported", "12.16", "")
    assert paper["source"] == "Moon et al. 2020, Table 3, row SH"
    assert second["coverage"] == "1" and "mrrpe (mm)" not in second


def test_json_holds_the_whole_table():
    found = json.loads(json_text(TABLE))
    assert found["format"] == "hand-bench table 1"
    assert [column["key"] for column in found["columns"]] == ["auc-0-50", "mpjpe", "mrrpe"]
    best, _ = found["groups"][0]["rows"]
    assert best["cells"]["auc-0-50"]["value"] == 0.871 and best["rank_interval"] == [1, 1]
    assert found["reported"][0]["cells"]["mpjpe"]["printed"] == "12.16"
    assert found["reported"][0]["rank"] is None


def test_latex_is_a_booktabs_table_with_the_best_in_bold():
    text = latex(TABLE)
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"1 & first & \textbf{87.10} & 9.00 \\" in text
    assert r"2 & second & 80.00 & \textbf{8.50} \\" in text
    assert r" & InterNet (Moon et al. 2020, Table 3, row SH) & -- & 12.16 \\" in text
    assert r"AUC(0-50) (\%) $\uparrow$ & MPJPE (mm) $\downarrow$ \\" in text
    assert r"\emph{re-scored; boxes: standard}" in text
    assert r"\textbf{87.10} {\scriptsize $\pm$\,1.00}" in latex(TABLE, intervals=True)
    assert r"first~\cite{stb-first}" in latex(TABLE, cite=True)


def test_only_ranked_rows_of_one_group_are_bold():
    listed = row("listed", None, 0.99, 1.0)
    text = latex(table_of([FIRST, SECOND, listed]))
    assert " & listed & 99.00 & 1.00" in text and r"\textbf{87.10}" in text
    assert r"\textbf" not in latex(table_of([FIRST, listed]))  # nothing to be better than


def test_equal_printed_numbers_are_bold_together():
    text = latex(table_of([row("a", 1, 0.87101, 9.0), row("b", 2, 0.87102, 9.0)]))
    assert text.count(r"\textbf{87.10}") == 2 and text.count(r"\textbf{9.00}") == 2


def test_markdown_has_a_table_for_each_group():
    text = markdown(TABLE)
    assert "| # | method | AUC(0-50) (%) | MPJPE (mm) | training | links |" in text
    assert "| 1 | first | **87.10** ±1.00 | 9.00 |" in text
    assert "**reported: printed in a paper, not scored here**" in text
    assert "[paper](https://arxiv.org/abs/2008.09309)" in text
    assert "±" not in markdown(TABLE, intervals=False)


def test_bibtex_has_an_entry_for_everything_in_a_table():
    text = bibtex(TABLE)
    assert re.findall(r"@misc\{(.+),", text) == ["moon-2020", "stb-first", "stb-second"]
    assert "author = {Moon and others}," in text and "howpublished = {ECCV}," in text
    assert citation_keys(TABLE) == {
        "first": "stb-first", "second": "stb-second", "moon": "moon-2020"
    }  # fmt: skip


def test_rows_of_one_paper_share_an_entry_and_others_get_a_letter():
    other = replace(PAPER, slug="other", paper=replace(PAPER.paper, title="Another paper"))
    table = table_of([], (PAPER, replace(PAPER, slug="again"), other))
    assert sorted(citation_keys(table).values()) == ["moon-2020", "moon-2020", "moon-2020b"]
    assert bibtex(table).count("@misc") == 2


GOOD_BIBTEX = r"""@InProceedings{doe2026hands,
  title = {Hands of {\"U}ber-{CNN}s, 50% better & faster},
  author = "Doe, Jane and M{\'e}ndez, Ana", year = 2026, month = jun,
  url = {https://x.example/a_b%20c},
}"""


def test_the_authors_own_bibtex_is_kept_where_it_is_safe():
    entry = parsed(GOOD_BIBTEX)
    assert (entry.type, entry.key) == ("inproceedings", "doe2026hands")
    assert entry.fields == {
        "title": r"Hands of {\"U}ber-{CNN}s, 50\% better \& faster",
        "author": r"Doe, Jane and M{\'e}ndez, Ana",
        "year": "2026",
        "month": "jun",
        "url": "https://x.example/a_b%20c",
    }
    assert parsed(entry.text()) == entry


@pytest.mark.parametrize(
    "text",
    [
        r"@misc{a, title = {\input{/etc/passwd}}}",
        r"@misc{a, title = {\csname input\endcsname}}",
        "@misc{a, title = {^^5cinput{/etc/passwd}}}",
        r"@misc{a, title = {\^^5cinput}}",
        "@misc{a, title = {x}} @misc{b, title = {y}}",
        "@misc{a, title = {x}}\n\\write18{id}",
        "@preamble{a, title = {x}}",
        "@string{a, title = {x}}",
        "@misc{a, title = {x} # \\input}",
        r"@misc{a, title = {x\}, note = {y}}",
        "@misc{a, title = {x{}",
        "@misc{a, title = {$x}}",
        "@misc{a{b, title = {x}}",
        "@misc{a, url = {https://x.example/}\\input{y}}}",
        "@misc{a,}",
        "plain text",
        "@misc{a, title = {" + "x" * 5000 + "}}",
    ],
)
def test_bibtex_that_does_more_than_print_is_made_anew(text):
    assert parsed(text) is None
    entry = entry_of(row("safe", 1, 0.9, 5.0, paper=Paper("Title", "", text)))
    assert (entry.key, entry.fields["title"]) == ("stb-safe", "{Title}")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_spreadsheet_runs_a_hostile_text(text):
    found = read_csv(csv_text(hostile_table(text)))
    assert len(found) == 2
    for value in found[0].values():
        assert not value.startswith(("=", "+", "@", "-", "\t")) and "\n" not in value
        assert value.isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_prints_a_hostile_text(text):
    made = latex(hostile_table(text), cite=True)
    line = next(line for line in made.splitlines() if line.startswith("1 & "))
    commands = set(re.findall(r"\\([A-Za-z]+)", line))
    assert commands <= {
        "textbackslash", "textbraceleft", "textbraceright", "textasciitilde", "textless", "char",
        "textgreater", "textbar", "textquotedbl", "textasciigrave", "textasciicircum", "textbf",
        "cite",
    }  # fmt: skip
    assert len(re.findall(r"(?<!\\)&", line)) == 3  # the cells of four columns
    assert not re.search(r"(?<!\\)[%#$_]|\^", line) and line.endswith(r" \\")
    bare = re.sub(r"\\.", "", line)
    assert bare.count("{") == bare.count("}")


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_prints_a_hostile_text(text):
    lines = markdown(hostile_table(text)).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 4  # head, rule and two rows: no line is added
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 7 for line in rows)
    made = "\n".join(lines)
    assert not re.search(r"<|(?<!\\)`|javascript:[^ ]*\)$", made)
    assert not re.search(r"(?<!\\)\]\((?!https://)", made)


@pytest.mark.parametrize("text", HOSTILE)
def test_bibtex_of_a_hostile_text_is_one_clean_entry(text):
    made = bibtex(hostile_table(text))
    entries = re.findall(r"^@misc\{([a-z-]+),$", made, re.MULTILINE)
    assert entries == ["stb-second", "stb-strange"] and made.count("@") == 2
    assert made.count("{") == made.count("}")
    assert not re.search(r"\\(input|immediate|write)|\^\^|\^", made)


@pytest.mark.parametrize("text", HOSTILE)
def test_svg_and_atom_of_a_hostile_text_are_well_formed(text):
    table = hostile_table(text)
    made = replace(table, track=text)
    svg = ElementTree.fromstring(badge(made, next(made.rows)))
    assert {element.tag.rpartition("}")[2] for element in svg.iter()} == {
        "svg", "title", "rect", "path", "g", "text"
    }  # fmt: skip
    feed = ElementTree.fromstring(atom(Board({"stb": (table,)}, {}, ())))
    tags = {element.tag.rpartition("}")[2] for element in feed.iter()}
    assert "script" not in tags and "entry" in tags


@pytest.mark.parametrize("text", HOSTILE)
def test_json_and_yaml_give_a_hostile_text_back(text):
    import yaml

    table = hostile_table(text)
    strange = next(table.rows)
    assert json.loads(json_text(table))["groups"][0]["rows"][0]["method"] == text
    signed = replace(strange.cells["auc-0-50"], signature=text)
    strange = replace(strange, cells={"auc-0-50": signed})
    (entry,) = yaml.safe_load(eval_results(table, strange, dataset="org/stb"))
    assert entry["value"] == 0.9 and set(entry) == {
        "dataset", "value", "date", "evaluation_framework", "notes"
    }  # fmt: skip


def test_only_http_addresses_become_links():
    assert link("a|b", "https://x.example/(a)|b") == r"[a\|b](https://x.example/%28a%29%7Cb)"
    assert link("x", "javascript:alert(1)") == "x"
    assert link("x", 'https://x.example/" onclick="a') == "x"


def test_badges_say_rank_and_primary_number():
    assert badge_text(TABLE, FIRST) == "stb: #1, AUC(0-50) 0.87"
    shared = replace(SECOND, rank_interval=(1, 3))
    assert badge_text(TABLE, shared) == "stb: #2 (1–3), AUC(0-50) 0.80"
    assert badge_text(TABLE, row("x", None, 0.5, 1.0)) == "stb: not ranked, AUC(0-50) 0.50"
    assert badge(replace(TABLE, procedural=True), FIRST) != badge(TABLE, FIRST)


def test_the_feed_has_the_newest_first_and_ids_that_stay():
    old = row("old", 3, 0.5, 30.0, date="2025-01-01")
    board = Board({"stb": (table_of([old, FIRST]),)}, {}, ())
    feed = ElementTree.fromstring(atom(board, base_url="https://board.example/"))
    space = {"a": "http://www.w3.org/2005/Atom"}
    titles = [entry.findtext("a:title", "", space) for entry in feed.findall("a:entry", space)]
    assert titles == ["first on stb", "old on stb"]
    assert feed.findtext("a:updated", "", space) == "2026-01-31T00:00:00Z"
    links = [e.get("href") for e in feed.iterfind(".//a:link", space)]
    assert links[1] == "https://board.example/stb/first/"
    ids = [e.text for e in feed.iterfind(".//a:id", space)]
    again = ElementTree.fromstring(atom(board))
    assert ids == [e.text for e in again.iterfind(".//a:id", space)] and len(set(ids)) == 3
    assert len(atom(board, limit=1)) < len(atom(board))


def test_the_hub_reads_its_files():
    import yaml
    from huggingface_hub import parse_eval_result_entries

    text = eval_results(TABLE, FIRST, dataset="org/stb", url="https://board.example/stb/first/")
    (entry,) = parse_eval_result_entries(yaml.safe_load(text))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("org/stb", "stb", 0.871)
    assert entry.source_url == "https://board.example/stb/first/" and entry.date == "2026-01-31"
    assert "95 % interval 0.861 to 0.881" in entry.notes
    found = yaml.safe_load(eval_yaml("HandSim", [find_track("handsim-stb")]))
    assert found["evaluation_framework"] == "hand-bench"
    assert [task["id"] for task in found["tasks"]] == ["handsim-stb"]


def test_numbers_of_papers_are_not_sent_to_the_hub():
    with pytest.raises(TrackError, match="HB302"):
        eval_results(TABLE, PAPER, dataset="org/stb")


def test_every_published_table_can_be_exported():
    tables = [table for table in read_board(None).tables if not table.is_empty]
    assert len(tables) > 20
    for table in tables:
        assert len(read_csv(csv_text(table))) == len(list(table.rows))
        assert len(json.loads(json_text(table))["reported"]) == len(table.reported)
        text = latex(table, cite=True)
        keys = set(re.findall(r"\\cite\{([^}]+)\}", text))
        assert keys == set(re.findall(r"^@misc\{(.+),$", bibtex(table), re.MULTILINE))
        assert markdown(table).count("\n| ") >= len(table.reported)
