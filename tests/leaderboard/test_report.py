"""The HTML page: it holds what it should, loads nothing, and trusts no text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from hand_bench import data
from hand_bench.errors import SubmissionError
from hand_bench.predictions import write_predictions
from hand_bench.results import Result
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m
from hand_bench.tracks import TRACKS
from hand_leaderboard.report import HandErrors, report, report_command

WORLD = SkeletonWorld(captures=2, sequences=4, cameras=2, frames=5, seed=7)
METHOD = "<script>alert('method')</script> $x$"
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Collects tags, addresses and text, and checks that tags are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.addresses, self.ids, self.text, self.open = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.open += [] if tag in VOID else [tag]
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """A folder with a prepared track (home/) and predictions for it."""
    folder = tmp_path_factory.mktemp("report")
    write_interhand26m(folder / "official", WORLD, images="all")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(folder / "home"))
        data.prepare("demo", folder / "official", split="test")
        annotations = data.open_annotations(TRACKS["demo"])
    batch = next(annotations.batches(["sample_id", "right_joints", "left_joints"]))
    rng = np.random.default_rng(0)
    joints = {}
    for side in ("right", "left"):
        spread = rng.gamma(2, 4, (len(batch), 1, 1))
        values = batch[f"{side}_joints"] + spread * rng.normal(size=(len(batch), 21, 3))
        joints[side] = np.where(batch.present(side)[:, None, None], values, np.nan)
    joints["right"][::9] = np.nan
    write_predictions(folder / "preds.parquet", batch.sample_id.to_pylist(), joints["right"],
                      joints["left"], track="demo", method=METHOD)  # fmt: skip
    return folder


@pytest.fixture
def home(demo, monkeypatch) -> Path:
    monkeypatch.setenv("HAND_BENCH_HOME", str(demo / "home"))
    return demo


@pytest.fixture(scope="module")
def made(demo) -> tuple[Result, str]:
    """The scores and the text of the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(demo / "home"))
        result = report(demo / "preds.parquet", track="demo", out=demo / "page.html")
    return result, (demo / "page.html").read_text("utf-8")


def test_the_page_is_well_formed_and_every_id_is_unique(made):
    page = Page(made[1])
    assert not page.open
    assert len(page.ids) == len(set(page.ids))


def test_nothing_is_loaded_from_elsewhere(made):
    page = Page(made[1])
    assert page.addresses
    assert all(a.startswith(("data:image/", "#")) for a in page.addresses)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"@import|url\((?!#)", made[1])


def test_references_inside_the_page_point_to_something(made):
    page = Page(made[1])
    inner = {a[1:] for a in page.addresses if a.startswith("#")}
    assert inner | set(re.findall(r"url\(#([^)]+)\)", made[1])) <= set(page.ids)


def test_the_name_of_a_method_is_text(made):
    assert METHOD in "".join(Page(made[1]).text)
    assert "<script" not in made[1]


def test_every_score_is_on_the_page_with_its_signature(made):
    result, page = made
    text = " ".join(Page(page).text)
    assert len(result.scores) > 50
    for score in result.scores:
        assert score.signature in text
        assert score.text() in text
    assert f"95 % interval {result.primary.interval_text()}" in text
    assert result.predictions["sha256"] in text


def test_notes_and_inputs_are_on_the_page(made):
    result, page = made
    text = " ".join(Page(page).text)
    assert result.notes
    assert all(note in text for note in result.notes)
    assert "not declared" in text


def test_the_page_has_its_plots_and_twelve_worst_samples(made):
    page = Page(made[1])
    assert page.tags.count("svg") == 3 + 12
    assert page.tags.count("img") == 12
    text = " ".join(page.text)
    for words in ("PCK curves", "Joints and fingers", "Subsets", "Worst sequences", "PA-AUC(0-50)"):
        assert words in text


def test_plots_take_the_colour_of_the_pages_text(made):
    assert "currentColor" in made[1]
    assert "#262626" not in made[1]


def test_the_same_file_gives_the_same_page(home, made):
    report(home / "preds.parquet", track="demo", out=home / "again.html", workers=1)
    assert (home / "again.html").read_text("utf-8") == made[1]


def test_a_partial_result_says_so(home, tmp_path):
    report(home / "preds.parquet", track="demo", out=tmp_path / "a.html", limit=20)
    assert "Partial result:</b> the first 20 samples" in (tmp_path / "a.html").read_text("utf-8")


def test_no_page_is_written_for_a_file_that_cannot_be_scored(home, tmp_path):
    with pytest.raises(SubmissionError, match="HB101"):
        report(tmp_path / "none.parquet", track="demo", out=tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


def test_the_command_prints_the_path_of_the_page(home, tmp_path, capsys):
    out = tmp_path / "page.html"
    report_command(home / "preds.parquet", track="demo", output=out)
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    assert out.read_text("utf-8").startswith("<!doctype html>")


def hand_errors() -> HandErrors:
    """Two clusters of two samples; the left hands are not annotated."""
    import pyarrow as pa

    right = {"true": [True] * 4, "found": [True, True, True, False],
             "mpjpe": [1.0, 3.0, 10.0, None], "pa_mpjpe": [1.0, 2.0, 4.0, None]}  # fmt: skip
    left = {"true": [False] * 4, "found": [False] * 4, "mpjpe": [None] * 4, "pa_mpjpe": [None] * 4}
    table = {"sample_id": list("abcd"), "cluster": pa.array(list("xxyy")).dictionary_encode()}
    for side, columns in (("right", right), ("left", left)):
        for name, values in columns.items():
            kind = pa.bool_() if name in ("true", "found") else pa.float32()
            table[f"{side}_{name}"] = pa.array(values, kind)
    return HandErrors(pa.table(table))


def test_a_hand_that_was_not_answered_is_never_within_an_error():
    shares = hand_errors().shares(np.array([0.0, 3.0, 1000.0]))
    np.testing.assert_allclose(shares["wrist-aligned (MPJPE)"], [0, 0.5, 0.75])
    np.testing.assert_allclose(shares["Procrustes (PA-MPJPE)"], [0, 0.5, 0.75])


def test_worst_clusters_come_first_with_their_counts():
    assert hand_errors().clusters() == [
        {"name": "y", "mean": 10.0, "hands": 1, "missed": 1},
        {"name": "x", "mean": 2.0, "hands": 2, "missed": 0},
    ]


def test_worst_samples_are_spread_over_clusters():
    assert hand_errors().worst_samples() == ["c", "b", "a"]
    assert hand_errors().worst_samples(per_cluster=1) == ["c", "b"]
    assert hand_errors().worst_samples(count=1) == ["c"]
