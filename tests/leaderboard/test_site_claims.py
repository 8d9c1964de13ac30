"""The page of the papers' claims: what is read, printed and drawn, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="pip install 'hand-bench[leaderboard]'")

from hand_bench.cli import main
from hand_bench.errors import HandBenchError
from hand_leaderboard.claim_files import read_claims
from hand_leaderboard.claims import VERDICTS
from hand_leaderboard.site import build, charts, claims_page
from leaderboard import browser
from leaderboard import reproduced_claims as made
from leaderboard.many_submissions import HOSTILE
from leaderboard.test_site_build import Page, parsed

REPRODUCED = Path(__file__).resolve().parents[2] / "baselines" / "reproduced"


@pytest.fixture
def folder(tmp_path) -> Path:
    return made.write_all(tmp_path / "baselines" / "reproduced")


@pytest.fixture
def groups(tmp_path):
    """Read findings as those of a claim, and group them; their tracks have no pages."""

    def grouped(*findings):
        made.write(tmp_path, "claims", made.listing(A_1=[]))
        made.write(tmp_path, "A-1", made.claim("A-1", "undecided", *findings))
        return claims_page.groups(read_claims(tmp_path).claims[0].judged.findings, ())

    return grouped


def test_claims_are_read_in_the_order_of_the_list(folder):
    known = read_claims(folder)
    assert [(c.name, c.verdict) for c in known.claims] == [
        ("A-1", "consistent"), ("A-2", "inconsistent"), ("B-1", "not run")
    ]  # fmt: skip
    assert [table.name for table in known.tables] == ["t1"]
    assert claims_page.summary(known) == "2 of 3 claims have run: 1 consistent, 1 inconsistent"
    assert known.claims[1].judged.explanation.startswith("# A-2")


def test_without_files_there_are_no_claims(tmp_path):
    assert read_claims(tmp_path / "nowhere") is None
    (tmp_path / "README.md").write_text("Nothing yet.", "utf-8")
    assert read_claims(tmp_path) is None


def test_a_list_alone_says_that_nothing_has_run(tmp_path):
    made.write(tmp_path, "claims", made.listing(A_1=["one"], A_2=["two"]))
    known = read_claims(tmp_path)
    assert claims_page.summary(known) == "0 of 2 claims have run"
    text = claims_page.page(known, ())
    assert len(re.findall("</svg>not run<", text)) == 2 and "Tables of papers" not in text


def test_a_claim_that_grew_says_which_comparisons_are_lacking(folder):
    made.write(folder, "claims", made.listing(A_1=["new against old", "other"], A_2=["x", "y"]))
    known = read_claims(folder)
    assert [claim.lacking for claim in known.claims] == [("other",), ()]
    text = claims_page.page(known, ())
    assert text.count("The claim has changed since it was run. Not in this result: other.") == 1


def test_the_page_has_every_claim_and_sections_of_those_that_have_run(folder):
    page = Page(claims_page.page(read_claims(folder), {made.TRACK}))
    text = " ".join(" ".join(page.text).split())
    assert {"A-1", "A-2", "t1-small"} <= set(page.ids) and "B-1" not in page.ids
    assert "new against old" in text and "B-1 P 2024, Table 3 Finding 3." in text
    assert "At size claim depth is a guess." in text and "Other views ." in text
    links = {a.get("href") for tag, a in page.tags if tag == "a"}
    assert {f"tracks/{made.TRACK}.html", "exports/claims/A-2.json", "#A-2"} <= links
    assert not any("handsim-nowhere" in link for link in links)


def test_a_verdict_is_a_word_and_a_mark_beside_its_colour(folder):
    text = claims_page.page(read_claims(folder), ())
    marks = {}
    for word in (*VERDICTS, "not run"):
        found = re.search(rf'outcome (\w+)"><svg[^>]*><path d="([^"]+)"/></svg>{word}<', text)
        marks[word] = found.groups()
    assert len(set(marks.values())) == 4 and len({path for _, path in marks.values()}) == 4


def test_comparisons_of_one_unit_and_direction_share_a_scale(groups):
    one, other, share = groups(
        made.finding("a"), made.finding("b", found=made.effect(unit="px")),
        made.finding("c", found=made.effect(unit="", higher=True, a=0.2)),
        made.finding("d"),
    )  # fmt: skip
    assert [row.finding.name for row in one.rows] == ["a", "d"]
    assert [g.points for g in (one, other, share)] == ["mm", "px", "percentage points"]
    assert [g.higher_is_better for g in (one, other, share)] == [False, False, True]


def test_a_difference_is_drawn_with_its_interval_its_seeds_and_zero(groups):
    (group,) = groups(made.finding("a", found=made.effect((-4.0, -6.0), (-10.0, -2.0))))
    (row,) = group.rows
    scale = charts.Scale(-10.6, 0.6, 0, 100)
    assert (row.span.low, row.span.value, row.span.high) == (scale(-10), scale(-5), scale(-2))
    assert row.dots == (scale(-4), scale(-6)) and group.zero == scale(0)
    assert [text for _, text in group.ticks] == ["−10", "−7.5", "−5", "−2.5", "0"]
    assert row.interval == "−10.0 to −2.0" and row.seeds == ("−4.0", "−6.0")


def test_one_seed_has_no_dots_of_its_own_and_few_clusters_no_line(groups):
    (group,) = groups(made.finding("a", found=made.effect((-4.0,), None)))
    (row,) = group.rows
    assert row.dots == () and row.seeds == () and row.interval == ""
    assert row.span.low is None and row.span.value > 0


def test_shares_are_percent_and_their_differences_points(groups):
    (group,) = groups(
        made.finding("a", found=made.effect((0.031,), (-0.0104, 0.072), a=0.5, unit=""))
    )
    (row,) = group.rows
    assert (row.a, row.b, row.difference) == ("50.00", "53.10", "+3.10")
    assert row.interval == "−1.04 to +7.20" and group.unit == "%"


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [(-12.34, "mm", 1, "−12.3"), (0.004, "mm", 2, "0.00"), (-0.004, "mm", 2, "0.00"),
     (0.5, "", 1, "+50.0"), (2, "px", 2, "+2.00")],
)  # fmt: skip
def test_differences_have_a_sign_unless_they_are_zero(value, unit, digits, text):
    assert claims_page.signed(value, unit, digits) == text


def test_large_differences_need_fewer_decimals():
    assert claims_page.digits_of([-0.3, 9.9]) == 2 and claims_page.digits_of([-12.0, 0.1]) == 1


def test_ticks_are_round_and_inside_the_scale():
    found = charts.ticks(charts.Scale(-80, 30, 0, 100))
    assert [value for _, value in found] == [-75, -50, -25, 0, 25]
    assert all(0 <= at <= 100 for at, _ in found)


def test_a_table_has_intervals_dashes_and_what_the_paper_prints_apart(folder):
    shown = claims_page.table_section(read_claims(folder).tables[0])
    assert shown["heads"] == [("H2O", "mm"), ("Actions", "%")]
    assert shown["rows"] == {"Old": [("40.00", "38.00 to 42.00"), ("50.00", "")],
                             "New": [("35.00", ""), None]}  # fmt: skip
    assert shown["printed"]["Old"] == ["31.5", None]
    assert shown["differences"]["New less Old"][1] is None
    assert shown["differences"]["New less Old"][0]["sure"] is True


def test_what_files_say_stays_text(folder):
    hostile = made.finding(HOSTILE, found=made.effect(metric=HOSTILE, subset=HOSTILE))
    result = made.claim("A-1", "consistent", hostile, notes=HOSTILE, trainings={HOSTILE: {}})
    made.write(folder, "A-1", result)
    (folder / "A-1.md").write_text(HOSTILE, "utf-8")
    page = Page(claims_page.page(read_claims(folder), {made.TRACK}))
    assert "img" not in {tag for tag, _ in page.tags}
    assert page.text.count(HOSTILE) >= 3  # in the comparison, the notes, the explanation
    assert not [n for _, a in page.tags for n in a if n.startswith("on") or n == "style"]
    assert all(a.get("src", "").startswith("assets/") for tag, a in page.tags if tag == "script")


# What is refused ---------------------------------------------------------------------------------


def refused(folder: Path) -> str:
    with pytest.raises(HandBenchError) as caught:
        read_claims(folder)
    return str(caught.value)


def test_all_damaged_files_are_named_at_once(folder):
    (folder / "A-1.json").write_text('{"claim": "A-1"', "utf-8")
    made.write(folder, "A-2", made.claim("A-2", "proven"))
    text = refused(folder)
    assert (
        text.count("HB146") == 2 and "A-1.json: is not what `hand-bench reproduce` writes" in text
    )
    assert "'verdict' is 'proven', none of consistent, inconsistent, undecided" in text


def test_an_unknown_claim_or_table_is_refused_with_the_known_ones(folder):
    made.write(folder, "A-9", made.claim("A-9", "consistent"))
    made.write(folder, "t9", made.table("t9"))
    text = refused(folder)
    assert re.search(r"HB301 .*A-9\.json: there is no claim 'A-9'", text)
    assert "Known: A-1, A-2, B-1." in text and "there is no table 't9'" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: [], "'findings' is lacking, or is not a list"),
        (lambda plain: plain | {"seeds": True}, "'seeds' is lacking, or is not a whole number"),
        (lambda plain: plain | {"seeds": float("nan")}, "NaN is no number"),
        (lambda plain: plain | {"size": "../x"}, "'../x' is no name"),
        (lambda plain: plain | {"findings": [made.finding("a", found={"metric": "MPJPE"})]},
         "'subset' is lacking"),
        (lambda plain: plain | {"findings": [made.finding("a", found=made.effect(ci95=(1, 2, 3)))]},
         "too many values"),
        (lambda plain: made.table(rows={}), "'rows' is empty"),
        (lambda plain: made.table(columns=["H2O"]), "does not have a cell for each column"),
    ],
)  # fmt: skip
def test_a_result_of_another_form_is_refused(folder, change, said):
    made.write(folder, "A-1", change(made.claim("A-1", "consistent", made.finding("a"))))
    text = refused(folder)
    assert "HB146" in text and said in text and "`hand-bench reproduce NAME -o " in text


def test_a_claim_has_one_result_in_a_file_of_its_name(folder):
    (folder / "A-1-again.json").write_bytes((folder / "A-1.json").read_bytes())
    assert "A-1-again.json: holds A-1." in refused(folder)


def test_results_without_the_list_of_claims_are_refused(folder):
    (folder / "claims.json").unlink()
    text = refused(folder)
    assert "claims.json: is lacking" in text and "reproduce ls --json > " in text


def test_a_folder_that_is_named_must_be_there(tmp_path, capsys):
    (tmp_path / "submissions").mkdir()
    with pytest.raises(HandBenchError, match=r"HB402 .*nowhere: is no folder"):
        build(tmp_path / "submissions", tmp_path / "site", reproduced=tmp_path / "nowhere")
    assert not (tmp_path / "site").exists()


# In the site -------------------------------------------------------------------------------------


def test_every_page_leads_to_the_claims_and_results_lie_beside(small_site):
    for path in small_site.site.rglob("*.html"):
        root = "../" * (len(path.relative_to(small_site.site).parts) - 1)
        links = [a.get("href") for tag, a in parsed(path).tags if tag == "a"]
        assert f"{root}claims.html" in links, path
    home = (small_site.site / "index.html").read_text("utf-8")
    assert "2 of 3 claims have run" in home.partition('<section class="world"')[2]
    copied = small_site.site / "exports/claims/A-2.json"
    source = small_site.root.parent / "baselines/reproduced/A-2.json"
    assert copied.read_bytes() == source.read_bytes()


def test_a_site_without_results_has_no_page_of_claims(tmp_path):
    (tmp_path / "submissions").mkdir()
    site = build(tmp_path / "submissions", tmp_path / "site")
    assert not (site / "claims.html").exists()
    assert not [p for p in site.rglob("*.html") if "claims.html" in p.read_text("utf-8")]


def test_the_command_takes_another_folder(tmp_path, capsys):
    (tmp_path / "submissions").mkdir()
    other = made.write_all(tmp_path / "elsewhere")
    where = ["-o", str(tmp_path / "site"), "--root", str(tmp_path / "submissions")]
    main(["leaderboard", "build", *where, "--reproduced", str(other)])
    assert (tmp_path / "site" / "claims.html").is_file()


def test_the_repositorys_own_results_can_be_shown():
    known = read_claims(REPRODUCED)
    page = Page(claims_page.page(known, ()))
    assert len(page.ids) == len(set(page.ids))
    assert {claim.name for claim in known.judged} <= set(page.ids)
    unexplained = [p for p in REPRODUCED.glob("*-[0-9].md") if p.stem not in page.ids]
    assert not unexplained  # an explanation without a result


def test_the_page_fits_phones_and_draws_what_it_should(small_site):
    with browser.started() as running, browser.visiting(running, small_site.site) as visit:
        tab = visit.open("claims.html")
        plots = tab.locator("#A-1 tr:not(.scale) svg.effect")
        assert plots.count() == 1 and plots.locator(".seed").count() == 2
        for width in (320, 390, 1280):
            tab.set_viewport_size({"width": width, "height": 900})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            marks = (plots.locator(mark).bounding_box() for mark in ("circle:not(.seed)", ".zero"))
            dot, zero = (mark["x"] for mark in marks)
            assert dot < zero  # lower is better, so B is better left of zero
