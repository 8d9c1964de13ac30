"""The site in a real browser: what readers do, without a request that leaves the folder."""

from __future__ import annotations

import re
from threading import Thread

import pytest

from hand_bench.comparison import compare
from hand_leaderboard.site.commands import server
from leaderboard import browser

TRACK = "egoexo4d-hand"
PAGE = f"tracks/{TRACK}.html"
SIM = "handsim-egoexo4d-hand"


@pytest.fixture(scope="module")
def chromium():
    with browser.started() as running:
        yield running


@pytest.fixture
def visit(chromium, small_site):
    with browser.visiting(chromium, small_site.site) as tab:
        yield tab


def methods(tab, board="recommended") -> list[list[str]]:
    """Names of the visible rows of a table, by group."""
    return tab.evaluate(
        """board => [...document.querySelectorAll(`[data-board=${board}] tbody`)]
            .map(body => [...body.querySelectorAll("tr[data-row]")]
                .filter(row => row.checkVisibility()).map(row => row.dataset.row))
            .filter(rows => rows.length)""",
        board,
    )


def test_a_click_sorts_inside_groups_and_the_address_remembers_it(visit):
    tab = visit.open(PAGE)
    before = methods(tab)
    head = tab.locator("[data-board=recommended] th[data-c=method]")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert methods(tab) == [sorted(group) for group in before]
    assert tab.url.endswith("#recommended.sort=method.up")
    head.get_by_role("button").click()
    assert methods(tab) == [sorted(group, reverse=True) for group in before]
    head.get_by_role("button").click()
    assert methods(tab) == before and "#" not in tab.url


def test_a_number_sorts_its_better_end_first(visit):
    tab = visit.open(PAGE)
    for key, sign in (("mpjpe", 1), ("auc-0-50", -1)):
        tab.locator(f"[data-board=recommended] th[data-c={key}] button").click()
        for body in tab.locator("[data-board=recommended] tbody").all():
            at = tab.locator(f"[data-board=recommended] th[data-c={key}]").evaluate(
                "e => e.cellIndex"
            )
            texts = [row.locator(f"xpath=./*[{at + 1}]").inner_text()
                     for row in body.locator("tr[data-row]").all()]  # fmt: skip
            numbers = [float(text.split()[0]) for text in texts]
            assert numbers == sorted(numbers, key=lambda v: sign * v)


def test_search_hides_what_does_not_fit_and_says_how_many_are_left(visit, small_site):
    tab = visit.open(PAGE)
    tab.locator("#recommended-q").fill("BIRCHpose")
    assert methods(tab) == [["birchpose-1"]]
    assert tab.locator("[data-board=recommended] .count").inner_text() == "1 of 9 rows"
    assert len(methods(tab, "official")) > 1  # each table has a search of its own
    tab.locator("#recommended-q").fill("")
    assert sum(map(len, methods(tab))) == len(small_site.names[TRACK])


def test_a_filter_keeps_one_status(visit):
    tab = visit.open(PAGE)
    tab.locator("#recommended-zero-shot").select_option("in-domain")
    shown = [name for group in methods(tab) for name in group]
    tags = tab.locator("[data-board=recommended] tr[data-row]:visible .tag").all_inner_texts()
    assert shown and set(tags) == {"in-domain"} and len(shown) < 9


def test_columns_are_chosen_and_stay_chosen(visit):
    tab = visit.open(PAGE)
    mrrpe = tab.locator("[data-board=recommended] th[data-c=mrrpe]")
    assert not mrrpe.is_visible()
    tab.locator("[data-board=recommended] .columns summary").click()
    tab.get_by_label("MRRPE", exact=True).first.check()
    tab.get_by_label("Training data").first.uncheck()
    assert mrrpe.is_visible()
    assert not tab.locator("[data-board=recommended] th[data-c=training]").is_visible()
    tab.reload()
    assert mrrpe.is_visible()
    assert not tab.locator("[data-board=recommended] th[data-c=training]").is_visible()


def test_an_address_restores_sort_search_filter_columns_and_rows(visit):
    state = ("#recommended.sort=date.down&recommended.q=e&recommended.zero-shot=in-domain"
             "&recommended.cols=mrrpe&rows=amberform birchpose-1")  # fmt: skip
    tab = visit.open(PAGE + state)
    assert tab.locator("#recommended-q").input_value() == "e"
    assert tab.locator("#recommended-zero-shot").input_value() == "in-domain"
    head = tab.locator("[data-board=recommended] th[data-c=date]")
    assert head.get_attribute("aria-sort") == "descending"
    assert tab.locator("[data-board=recommended] th[data-c=mrrpe]").is_visible()
    ticked = tab.locator("[data-board=recommended] td.pick input:checked")
    assert ticked.evaluate_all("boxes => boxes.map(b => b.closest('tr').dataset.row)") == [
        "birchpose-1"
    ]
    tab.evaluate("location.hash = 'recommended.q=cedar'")
    assert methods(tab) == [["cedarformer-2"]]


def test_an_address_of_nonsense_changes_nothing(visit):
    plain = methods(visit.open(PAGE))
    tab = visit.open(
        PAGE + "#recommended.sort=__proto__.up&recommended.zero-shot=x&rows=%3Cb%3E&=&a"
    )
    assert methods(tab) == plain


def test_chosen_rows_have_curves_and_two_can_be_compared(visit):
    tab = visit.open(PAGE)
    chart = tab.locator("[data-curves]")
    chart.locator("polyline").first.wait_for()
    first = chart.locator("polyline").count()
    tab.get_by_label("Choose HeathGrid").check()
    chart.get_by_text("HeathGrid").wait_for()
    assert chart.locator("polyline").count() == first + 1
    assert "heathgrid-7" in tab.url
    link = tab.get_by_text("Compare the first two")
    link.click()
    tab.wait_for_selector("[data-ready]")
    assert tab.locator("#verdict").inner_text()


def test_progress_over_time_has_a_point_for_every_ranked_row(visit, small_site):
    tab = visit.open(PAGE)
    assert tab.locator("[data-progress] circle").count() == len(small_site.names[TRACK])
    mark = tab.locator("[data-progress] circle").first
    mark.focus()
    assert re.search(r"\d\d\.\d\d %, 20\d\d-\d\d-\d\d", tab.locator(".tip").inner_text())


def compared(tab) -> dict[str, list[str]]:
    """The table of differences as text, by metric."""
    tab.wait_for_selector("[data-ready]")
    rows = tab.locator("#differences tbody tr").all()
    return {
        row.locator("th").evaluate("e => e.firstChild.textContent").strip(): [
            cell.evaluate("e => e.firstChild ? e.firstChild.textContent : ''")
            for cell in row.locator("td").all()
        ]
        for row in rows
    }


def test_the_browser_compares_as_the_command_does(visit, small_site):
    made, work = small_site.tracks[TRACK], small_site.work / TRACK
    asked = compare(work / "method-0.parquet", work / "method-1.parquet", track=made.track,
                    annotations=made.annotations, resamples=4000)  # fmt: skip
    a, b, *_ = small_site.names[TRACK]
    tab = visit.open(f"compare/{TRACK}.html#a={a}&b={b}")
    shown = compared(tab)
    known = {d.metric: d for d in asked.differences if d.subset == "all"}
    assert set(shown) == set(known) >= {"AUC(0-50)", "MPJPE", "PA-MPJPE", "MRRPE"}
    for metric, (one, two, difference, p, better) in shown.items():
        wanted, factor = known[metric], 1 if known[metric].unit else 100
        sign = "+" if wanted.difference > 0 else "−"
        assert one == f"{factor * wanted.a:.2f}" and two == f"{factor * wanted.b:.2f}"
        assert difference == f"{sign}{abs(factor * wanted.difference):.2f}"
        assert {"A": "A", "B": "B", "tie": "cannot be told apart"}[wanted.better] == better
        assert float(p.removeprefix("< ")) == pytest.approx(wanted.p, abs=0.02)


def test_intervals_in_the_browser_are_those_of_the_command_but_for_the_draws(visit, small_site):
    made, work = small_site.tracks[TRACK], small_site.work / TRACK
    asked = compare(work / "method-0.parquet", work / "method-2.parquet", track=made.track,
                    annotations=made.annotations, resamples=4000)  # fmt: skip
    a, _, b, *_ = small_site.names[TRACK]
    tab = visit.open(f"compare/{TRACK}.html")
    found = tab.evaluate(
        """async ([track, a, b]) => {
            const [one, two] = await Promise.all([a, b].map(name =>
                HandBench.load(`data/${track}/${name}.js`, `../data/${track}/${name}.js`)));
            return Object.fromEntries(Object.keys(one.ratios).map(key => [key,
                HandBench.statistics.paired(one.ratios[key].all, two.ratios[key].all)]));
        }""",
        [TRACK, a, b],
    )
    wanted = {d.metric: d for d in asked.differences if d.subset == "all"}
    for metric, key in (("AUC(0-50)", "auc-0-50"), ("MPJPE", "mpjpe"), ("PA-MPJPE", "pa-mpjpe")):
        d, own = wanted[metric], found[key]
        assert own["a"] == pytest.approx(d.a, rel=2e-6) and own["b"] == pytest.approx(d.b, rel=2e-6)
        low, high = d.ci95
        assert (own["low"], own["high"]) == pytest.approx((low, high), abs=0.06 * (high - low))


def test_the_same_draws_come_again(visit, small_site):
    a, b, *_ = small_site.names[TRACK]
    seen = set()
    for _ in range(2):
        tab = visit.open(f"compare/{TRACK}.html#a={a}&b={b}")
        compared(tab)
        seen.add(tab.locator("#compare").inner_text())
    assert len(seen) == 1


def test_comparing_shows_strata_sequences_joints_and_worst_samples(visit, small_site):
    a, b, *_ = small_site.names[TRACK]
    tab = visit.open(f"compare/{TRACK}.html#a={a}&b={b}")
    compared(tab)
    subsets = tab.locator("#strata text.name").all_text_contents()
    assert subsets == ["all", *(s for s in subsets if s != "all")] and len(subsets) > 1
    assert tab.locator("#scatter circle").count() == 24
    assert tab.locator("#joints figure").count() == 2
    assert tab.locator("#worst tbody tr").count() == 24
    tab.locator("#metric").select_option("mpjpe")
    assert "MPJPE" in tab.locator("#strata svg").get_attribute("aria-label")
    assert "metric=mpjpe" in tab.url


def test_exchanging_the_two_changes_signs(visit, small_site):
    a, b, *_ = small_site.names[TRACK]
    tab = visit.open(f"compare/{TRACK}.html#a={a}&b={b}")
    before = compared(tab)
    tab.get_by_label("Exchange A and B").click()
    tab.wait_for_selector(f"[data-ready='{b} {a}']")
    after = compared(tab)
    swapped = str.maketrans({"+": "−", "−": "+"})
    assert after["MPJPE"][:3] == [
        before["MPJPE"][1],
        before["MPJPE"][0],
        before["MPJPE"][2].translate(swapped),
    ]


def test_one_and_the_same_is_said_so(visit, small_site):
    name = small_site.names[TRACK][0]
    tab = visit.open(f"compare/{TRACK}.html#a={name}&b={name}")
    compared(tab)
    assert "The same submission twice" in tab.locator("#verdict").inner_text()


def test_clips_and_2d_poses_are_compared_too(visit, small_site):
    for track, metric in (("h2o-action-val", "accuracy"), ("epic-handkps", "PCK@0.2")):
        shown = compared(visit.open(f"compare/{track}.html"))
        assert metric in shown


def test_every_format_of_a_table_can_be_downloaded(chromium, small_site):
    # A browser shows a text of a folder instead of saving it, so this one is served.
    with server(small_site.site, 0) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{running.server_address[1]}"
        with browser.visiting(chromium, small_site.site, base=base) as tab:
            page = tab.open(PAGE)
            for label in ("CSV", "JSON", "LaTeX", "Markdown", "BibTeX"):
                with page.expect_download() as download:
                    page.locator("#recommended .exports").get_by_text(label, exact=True).click()
                assert "CedarFormer" in download.value.path().read_text("utf-8")
        running.shutdown()


def test_exports_of_a_folder_can_be_opened(visit):
    tab = visit.open(PAGE)
    link = tab.locator("#recommended .exports").get_by_text("Markdown", exact=True)
    path = link.evaluate("e => e.href")
    assert path.startswith("file://") and path.endswith(f"/exports/{TRACK}-recommended.md")
    link.click()
    tab.wait_for_url("**/exports/**")
    assert "AmberNet" in tab.locator("body").inner_text()


def test_without_scripts_there_is_a_whole_table(chromium, small_site):
    with browser.visiting(chromium, small_site.site, java_script_enabled=False) as plain:
        tab = plain.open(PAGE)
        rows = tab.locator("#recommended tr[data-row]")
        assert rows.count() == len(small_site.names[TRACK])
        assert tab.locator("#recommended th[data-c=mrrpe]").is_visible()
        assert not tab.locator(".tools").first.is_visible()
        assert not tab.locator("#theme").is_visible() and not tab.locator(".figures").is_visible()
        plain.open("submissions/egoexo4d-hand/ambernet-0.html")
        assert tab.locator(".hand").count() == 2 and tab.locator("svg.chart polyline").count() >= 1
        assert (
            "needs JavaScript"
            in plain.open(f"compare/{TRACK}.html").locator("noscript").inner_text()
        )


def luminance(tab, selector="body") -> float:
    text = tab.evaluate(
        "s => getComputedStyle(document.querySelector(s)).backgroundColor", selector
    )
    return sum(float(v) for v in re.findall(r"[\d.]+", text)[:3]) / 3


def test_dark_follows_the_system_and_the_button_which_is_remembered(chromium, small_site):
    with browser.visiting(chromium, small_site.site, color_scheme="dark") as dark:
        tab = dark.open(PAGE)
        assert luminance(tab) < 60
        tab.locator("#theme").click()
        assert luminance(tab) > 200
        assert luminance(dark.open("index.html")) > 200


@pytest.mark.parametrize(
    "path",
    ["index.html", PAGE, f"compare/{TRACK}.html", "about.html", "submit.html", "suites.html",
     "submissions/egoexo4d-hand/ambernet-0.html"],
)  # fmt: skip
def test_a_phone_scrolls_tables_and_not_the_page(chromium, small_site, path):
    with browser.visiting(
        chromium, small_site.site, viewport={"width": 390, "height": 844}
    ) as phone:
        tab = phone.open(path)
        width = tab.evaluate("document.documentElement.scrollWidth")
        assert width <= 390


def test_keys_alone_sort_open_columns_and_leave_them(visit):
    tab = visit.open(PAGE)
    tab.locator("[data-board=recommended] th[data-c=method] button").focus()
    tab.keyboard.press("Enter")
    assert "sort=method.up" in tab.url
    tab.locator("[data-board=recommended] .columns summary").focus()
    tab.keyboard.press("Enter")
    assert tab.locator("[data-board=recommended] .menu").is_visible()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Escape")
    assert not tab.locator("[data-board=recommended] .menu").is_visible()


def test_the_first_key_leads_to_the_content(visit):
    tab = visit.open("index.html")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"


def test_the_view_in_3d_turns_by_keys_and_pointer(visit):
    tab = visit.open(f"submissions/{SIM}/ambernet-0.html")
    canvas = tab.locator(".view canvas").first
    canvas.scroll_into_view_if_needed()
    picture = "e => e.toDataURL()"
    seen = [canvas.evaluate(picture)]
    assert int(canvas.get_attribute("data-drawn")) >= 40
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "+"):
        tab.keyboard.press(key)
        seen.append(canvas.evaluate(picture))
    box = canvas.bounding_box()
    tab.mouse.move(box["x"] + 80, box["y"] + 80)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 160, box["y"] + 90)
    tab.mouse.up()
    seen.append(canvas.evaluate(picture))
    assert len(set(seen)) == len(seen)


def test_every_page_opens_without_a_complaint(visit, small_site):
    pages = sorted(
        p.relative_to(small_site.site).as_posix() for p in small_site.site.rglob("*.html")
    )
    assert len(pages) > 60
    for path in pages:
        tab = visit.open(path)
        assert tab.title() and tab.locator("h1").count() == 1
    assert visit.complaints == []
