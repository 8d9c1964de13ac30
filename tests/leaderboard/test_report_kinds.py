"""HTML pages of every kind of track: what they show, in which unit, and that they stand alone."""

import re

import numpy as np
import pytest

from benchmark import small_tracks
from hand_leaderboard.clip_sections import class_rows, confused_pairs, confusion_figure
from hand_leaderboard.report import report
from leaderboard.test_report import Page


def page_of(made, folder, **answers):
    """Write predictions and their page; return result, text and page."""
    path = folder / "p.parquet"
    made.write(path, **answers) if answers else made.write(path, made.noisy(6))
    out = folder / "page.html"
    result = report(path, track=made.track, annotations=made.annotations, out=out)
    page = Page(out.read_text("utf-8"))
    assert not page.open and len(page.ids) == len(set(page.ids))
    assert all(a.startswith(("data:image/", "#")) for a in page.addresses)
    return result, " ".join(" ".join(page.text).split()), page


def test_a_page_of_a_world_shows_views_and_the_tracks_own_subsets(tmp_path):
    made = small_tracks.world_track(tmp_path, images=True)
    result, text, page = page_of(made, tmp_path)
    assert page.tags.count("img") == 12 and page.tags.count("svg") == 3 + 12
    assert "Distances in mm, shares in percent." in text
    for side in ("right", "left"):
        auc = result.score("AUC(0-50)", side).text()
        assert f"{side} AUC {float(auc):.1f}" in text
    assert f"{made.present.sum()} of {made.present.sum()} true hands" in text


def test_a_page_of_a_world_without_views_is_in_3d_only(tmp_path):
    _, text, page = page_of(small_tracks.world_track(tmp_path, views=False), tmp_path)
    assert page.tags.count("img") == 0 and page.tags.count("svg") == 3 + 2 * 12
    assert "from the side and from above" in text


@pytest.mark.parametrize(
    ("name", "side", "other", "root"),
    [("fpha-pose", "right", "left", "wrists"), ("stb", "left", "right", "palms")],
)
def test_a_page_of_one_hand_has_no_columns_of_the_other(tmp_path, name, side, other, root):
    _, text, _ = page_of(small_tracks.camera_track(tmp_path, name, sides=(side,)), tmp_path)
    assert f"{side} hand" in text and f"{other} hand" not in text
    assert f"Mean error after the {root} are aligned" in text


def test_a_page_of_2d_poses_is_in_pixels(tmp_path):
    made = small_tracks.planar_track(tmp_path, images=True)
    result, text, page = page_of(made, tmp_path)
    assert "Distances in px of the letterbox224 frame, shares in percent." in text
    assert "L2 curves" in text and "MPJPE" not in text and "PCK curves" not in text
    assert not re.search(r"\bmm\b", text)
    assert page.tags.count("img") == 12 and page.tags.count("svg") == 3
    assert f"{made.present.sum()} of {made.present.sum()} true hands" in text
    found = re.search(r"mean error, px.*? all ((?:[\d.]+ ?){7})", text)
    thumb_to_left = [float(v) for v in found[1].split()]
    assert thumb_to_left[5] == pytest.approx(result.score("L2 error 2D", "right").value, abs=0.06)


@pytest.mark.parametrize("name", ["fpha-action", "assemblyhands-verbs"])
def test_a_page_of_clips_shows_what_is_confused(tmp_path, name):
    made = small_tracks.clip_track(tmp_path, name, clips=180)
    result, text, page = page_of(made, tmp_path, label=made.answers())
    assert page.tags.count("svg") == 1 and page.tags.count("img") == 0
    for words in ("Confusion matrix", "Classes", "most confused", "Worst sequences"):
        assert words in text
    for label in made.track.classes:
        assert label.replace("_", " ") in text
    assert "Shares in percent." in text and "180 whose class is known" in text
    assert result.primary.text() in text


def test_a_partial_page_of_clips_says_so(tmp_path):
    made = small_tracks.clip_track(tmp_path)
    path = made.write(tmp_path / "p.parquet", label=made.answers())
    out = tmp_path / "a.html"
    report(path, track=made.track, annotations=made.annotations, out=out, limit=30)
    text = out.read_text("utf-8")
    assert "Partial result:</b> the first 30 samples" in text and "30 whose class" in text


CONFUSION = np.array([[3, 1, 0, 0], [4, 4, 0, 2], [0, 0, 0, 0], [0, 0, 0, 5]])
NAMES = ["a", "b", "never", "d"]


def test_classes_come_with_the_lowest_accuracy_first():
    assert class_rows(CONFUSION, NAMES) == [
        {"name": "b", "accuracy": 0.4, "clips": 10, "taken": "a (4)"},
        {"name": "a", "accuracy": 0.75, "clips": 4, "taken": "b (1)"},
        {"name": "d", "accuracy": 1.0, "clips": 5, "taken": ""},
    ]


def test_pairs_come_with_the_most_confused_first():
    pairs = confused_pairs(CONFUSION, NAMES)
    assert [(p["true"], p["answer"], p["clips"]) for p in pairs] == [
        ("b", "a", 4),
        ("b", "d", 2),
        ("a", "b", 1),
    ]
    assert pairs[0]["share"] == 0.4


def test_the_matrix_leaves_out_what_neither_occurs_nor_is_answered():
    (axes,) = confusion_figure(CONFUSION, NAMES).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "d"]
    assert sorted(int(t.get_text()) for t in axes.texts) == [1, 2, 3, 4, 4, 5]
    assert len(axes.patches) == 6


def test_45_classes_have_a_row_each():
    figure = confusion_figure(np.eye(45, dtype=int) * 13, [f"class {k}" for k in range(45)])
    (axes,) = figure.axes
    size = axes.get_position().height * figure.get_figheight() / 45
    assert size * 72 > axes.texts[0].get_fontsize() * 1.5
    assert len(axes.get_yticklabels()) == 45
