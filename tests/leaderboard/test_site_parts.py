"""Pieces of the site worked by hand: scales, colours, drawings, documents, samples in 3D."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark import small_tracks
from hand_bench.errors import SubmissionError
from hand_bench.evaluator import Evaluator
from hand_bench.predictions import open_for_track
from hand_leaderboard.board import Cell
from hand_leaderboard.site import charts, colours, hand_drawing, markdown, pages
from hand_leaderboard.submissions.few_samples import choose, read_few_samples, write_few_samples


def test_a_scale_goes_from_end_to_end():
    scale = charts.Scale(0, 50, 100, 200)
    assert [scale(v) for v in (0, 25, 50)] == [100, 150, 200]
    assert scale.clipped(80) == 200 and scale.clipped(-1) == 100


def test_a_row_far_off_does_not_squeeze_the_others():
    cells = [Cell(v, "", "") for v in (0.80, 0.81, 0.82, 0.83, 0.05)]
    scale = charts.forest_scale(cells)
    assert scale(0.83) - scale(0.80) > 15
    assert (
        charts.span(cells[-1], scale).value == charts.FOREST_MARGIN + scale(scale.low) - scale.start
    )


def test_an_interval_is_drawn_around_its_value():
    cells = [Cell(10.0, "", "mm", (8.0, 13.0)), Cell(20.0, "", "mm")]
    scale = charts.forest_scale(cells)
    first, second = (charts.span(cell, scale) for cell in cells)
    assert first.low < first.value < first.high < second.value
    assert second.low is None and charts.span(None, scale) is None
    assert charts.forest_scale([]) is None


def test_curves_go_from_the_lower_left_to_the_upper_right():
    chart = charts.curves([0, 25, 50], {"a": [0, 0.5, 1], "none": [None, None, None]})
    (curve,) = chart.curves
    points = [tuple(map(float, p.split(","))) for p in curve.points.split()]
    assert points == [(chart.left, chart.bottom), (276, 136), (chart.right, chart.top)]
    assert [text for _, text in chart.xs] == ["0", "10", "20", "30", "40", "50"]
    assert charts.curves([0, 1], {}) is None


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 1), (0.03, 0.1), (1, 1), (7.2, 8), (13, 15), (99, 100), (101, 150)]
)
def test_the_end_of_a_scale_is_round_and_not_below(largest, top):
    assert colours.nice_top(largest) == pytest.approx(top)


def test_colours_run_from_the_first_to_the_last_and_ink_can_be_read():
    assert colours.at(0) == colours.ERRORS[0] and colours.at(1) == colours.ERRORS[-1]
    assert colours.at(-3) == colours.at(0) and colours.at(9) == colours.at(1)
    for share in np.linspace(0, 1, 41):
        colour = colours.at(float(share))
        assert contrast(colour, colours.ink_on(colour)) > 4.3


def contrast(one: str, other: str) -> float:
    def light(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return np.dot(linear, (0.2126, 0.7152, 0.0722)) + 0.05

    values = sorted((light(one), light(other)))
    return values[1] / values[0]


def test_a_left_hand_is_the_mirror_image_and_an_aligned_wrist_is_left_out():
    errors = {"right": [0.0, *range(1, 21)], "left": [0.0, *range(1, 21)]}
    (left, right), top = hand_drawing.hands(errors, "mm")
    assert (left.side, right.side, top) == ("left", "right", 20)
    assert len(right.discs) == 20 and len(right.bones) == 20
    for a, b in zip(left.discs, right.discs, strict=True):
        assert a.x == hand_drawing.WIDTH - b.x and a.y == b.y and a.text == b.text
    assert right.discs[0].title == "right thumb1: 1.0 mm" and right.discs[-1].text == "20"


def test_a_hand_that_nobody_measured_is_not_drawn():
    drawn, _ = hand_drawing.hands({"right": [1.0] * 21, "left": [None] * 21}, "px")
    assert [hand.side for hand in drawn] == ["right"] and len(drawn[0].discs) == 21


def test_documents_become_headings_tables_lists_and_code_and_nothing_else():
    text = (
        "# Title\n\nTwo lines\nof **one** `a|b <i>`.\n\n## Next\n\n* one\n  more\n* two\n\n"
        "| a | b |\n|---|---|\n| `x` | [here](https://example.org) [there](other.md) |\n"
    )
    made = str(markdown.to_html(text, level=3))
    assert "Title" not in made and "<h3>Next</h3>" in made
    assert "<p>Two lines of <strong>one</strong> <code>a|b &lt;i&gt;</code>.</p>" in made
    assert "<ul><li>one more</li><li>two</li></ul>" in made
    assert '<td><a href="https://example.org" rel="noopener">here</a> there</td>' in made


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100"), (0.99999, "99.99"), (0.5, "50"), (0.1234, "12.34"), (0, "0")]
)
def test_a_share_that_is_not_all_is_never_printed_as_all(share, text):
    assert pages.percent(share) == text


def test_texts_are_cut_at_words():
    assert pages.shortened("one two three", 9) == "one two…"
    assert pages.shortened("x" * 30, 9) == "x" * 9 + "…"
    assert pages.shortened("short", 9) == "short"


def test_json_in_a_script_holds_nothing_that_ends_it():
    value = {"a": "</script><!--&\u2028", "b": [1.5, None]}
    text = pages.plain_json(value)
    assert not set("<>&\u2028") & set(text) and json.loads(text) == value
    with pytest.raises(ValueError, match="JSON compliant"):
        pages.plain_json(float("nan"))


@pytest.mark.parametrize("name", ["handsim-egoexo4d-hand", "handsim-assemblyhands-annotation"])
def test_a_few_samples_are_easy_median_hard_and_worst(tmp_path, name):
    make = small_tracks.world_track if "annotation" in name else small_tracks.camera_track
    made = make(tmp_path, name)
    joints = made.joints.copy()
    joints[:, :, 1:] += np.arange(len(joints))[:, None, None, None] / 2  # worse from row to row
    path = made.write(tmp_path / "p.parquet", joints)
    machine = Evaluator(made.track, made.annotations, resamples=0)
    source = open_for_track(path, made.track)
    machine.score_file(source, errors=tmp_path / "errors.parquet")
    out = tmp_path / "samples.json"
    write_few_samples(out, source, machine.annotations, made.track, tmp_path / "errors.parquet")
    samples = read_few_samples(out)
    assert [s["label"] for s in samples] == ["an easy one", "median", "a hard one", "the worst"]
    rows = [made.sample_id.index(s["id"]) for s in samples]
    assert rows == [round(q * (len(joints) - 1)) for q in (0.1, 0.5, 0.9, 1.0)]
    hand = samples[-1]["hands"][0]
    gt, pred = np.array(hand["gt"]), np.array(hand["pred"])
    np.testing.assert_allclose(gt[0], pred[0], atol=0.11)  # wrists are aligned
    lengths = np.linalg.norm(pred - gt, axis=1)[1:]
    np.testing.assert_allclose(lengths, rows[-1] / 2 * 3**0.5, atol=0.3)
    assert "right hand: MPJPE" in samples[-1]["lines"][0]


def test_no_samples_where_nothing_is_found_or_no_file(tmp_path):
    nothing = np.zeros((3, 2), bool)
    hands = SimpleNamespace(found=nothing, main=np.full((3, 2), np.nan), sample_id=[])
    assert choose(hands, 3) == {} and read_few_samples(None) == []
    out = tmp_path / "samples.json"
    out.write_text("[", "utf-8")
    with pytest.raises(SubmissionError, match="HB146"):
        read_few_samples(out)
