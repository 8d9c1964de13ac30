"""Drawings: every joint is where it should be, every curve and name is there, files are files."""

import builtins

import numpy as np
import pytest
from matplotlib.colors import to_hex

from hand_bench import drawing
from hand_bench.errors import HandBenchError, TrackError
from hand_bench.joint_sets import FINGERS, OPENPOSE
from hand_bench.results import Result

HAND = np.random.default_rng(0).normal([0, 0, 1000], 40, (21, 3))


def axes_3d():
    return drawing.new_figure(3, 3).add_subplot(projection="3d")


def made_result(level: float = 0.5) -> Result:
    """A result whose PCK is `level` everywhere, and whose joint k has error k (left: none)."""
    per_joint = {
        "right": {name: float(k) for k, name in enumerate(OPENPOSE.joints)},
        "left": dict.fromkeys(OPENPOSE.joints),
    }
    details = {
        "pck_thresholds": [float(t) for t in range(51)],
        "all": {"pck": [level] * 51, "pa_pck": [1.0] * 51, "per_joint": per_joint,
                "per_joint_procrustes": per_joint},
    }  # fmt: skip
    return Result({"name": "demo"}, {}, {}, {}, [], details)


def test_a_hand_is_five_lines_from_the_wrist_in_five_colours():
    axes = drawing.new_figure(3, 3).add_subplot()
    lines = drawing.draw_hand_2d(axes, HAND[:, :2])
    assert [to_hex(line.get_color()) for line in lines] == list(drawing.FINGER_COLOURS.values())
    for line, finger in zip(lines, FINGERS, strict=True):
        np.testing.assert_array_equal(
            line.get_xydata(), HAND[[0, *OPENPOSE.finger(finger)], :2], strict=True
        )


def test_joints_that_are_not_valid_are_not_drawn():
    axes = drawing.new_figure(3, 3).add_subplot()
    valid = np.arange(21) != OPENPOSE.joints.index("ring2")
    lines = drawing.draw_hand_2d(axes, HAND[:, :2], valid=valid, colour="#000000")
    drawn = np.stack([np.isfinite(line.get_xydata()).all(axis=1) for line in lines])
    assert drawn.sum() == 24
    assert not drawn[FINGERS.index("ring"), 2]


def test_the_wrist_has_one_dot():
    lines = drawing.draw_hand_2d(drawing.new_figure(3, 3).add_subplot(), HAND[:, :2])
    assert [line.get_markevery().start for line in lines] == [False, True, True, True, True]


def test_3d_axes_show_x_right_depth_inwards_and_y_downwards():
    axes = axes_3d()
    (thumb, *_) = drawing.draw_hand_3d(axes, HAND)
    x, y, z = (np.asarray(v) for v in thumb.get_data_3d())
    chain = HAND[[0, *OPENPOSE.finger("thumb")]]
    np.testing.assert_array_equal(np.stack([x, y, z], axis=1), chain[:, [0, 2, 1]] * [1, 1, -1])


def test_3d_axes_have_one_scale_and_hold_every_finite_point():
    axes = axes_3d()
    drawing.frame_hands(axes, np.concatenate([HAND, [[np.nan, 0, 0]]]))
    limits = np.array([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()])
    length = np.diff(limits, axis=1)[:, 0]
    np.testing.assert_allclose(length / axes._box_aspect, length[0] / axes._box_aspect[0])
    low, high = HAND.min(axis=0), HAND.max(axis=0)
    assert (limits[:2, 0] <= low[[0, 2]]).all() and (limits[:2, 1] >= high[[0, 2]]).all()
    assert limits[2, 0] <= -high[1] and limits[2, 1] >= -low[1]


def test_heights_of_3d_axes_are_labelled_in_the_camera_frame():
    axes = axes_3d()
    drawing.frame_hands(axes, HAND)
    assert axes.zaxis.get_major_formatter()(-50.0) == "50"
    assert axes.zaxis.get_major_formatter()(0.0) == "0"


def test_pck_plot_has_a_line_and_an_auc_for_every_result():
    figure = drawing.pck_plot({"good": made_result(0.75), "$bad": made_result(0.25)})
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [
        "good  AUC 75.0",
        "$bad  AUC 25.0",
    ]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 75)
    assert axes.get_xlim() == (0, 50)


def test_a_name_that_begins_with_an_underscore_stays_in_the_legend():
    (axes,) = drawing.pck_plot({"_mine": made_result()}).axes
    assert "_mine" in axes.get_legend().get_texts()[0].get_text()


def test_pck_plot_names_the_subsets_that_it_knows():
    with pytest.raises(TrackError, match=r"HB301.*'IH'.*\n.*Known: all"):
        drawing.pck_plot({"a": made_result()}, subset="IH")


def test_per_joint_plot_prints_the_error_of_every_joint():
    figure = drawing.per_joint_plot(made_result())
    left, right, bar = figure.axes
    assert [left.get_title(), right.get_title()] == ["left hand", "right hand"]
    assert [t.get_text() for t in right.texts] == [f"{k}.0" for k in range(21)]
    assert {t.get_text() for t in left.texts} == {"–"}
    assert bar.get_ylabel() == "mean wrist-aligned error, mm"


def test_hands_are_seen_from_their_backs_thumbs_inwards():
    left, right, _ = drawing.per_joint_plot(made_result()).axes
    tips = [axes.collections[0].get_offsets()[[4, 20], 0] for axes in (left, right)]
    assert tips[0][0] > tips[0][1] and tips[1][0] < tips[1][1]


@pytest.mark.parametrize(
    "suffix, first", [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_files_have_the_form_of_their_suffix_and_the_same_bytes_again(tmp_path, suffix, first):
    written = [
        drawing.save(drawing.per_joint_plot(made_result()), tmp_path / f"{k}{suffix}").read_bytes()
        for k in range(2)
    ]
    assert written[0].startswith(first)
    assert written[0] == written[1]


def test_an_unknown_suffix_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(HandBenchError, match=r"HB402.*'.xyz'.\n.*\.png, \.svg or \.pdf"):
        drawing.save(drawing.new_figure(1, 1), tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    real_import = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(HandBenchError, match=r"HB401.*\n.*pip install 'hand-bench\[plot\]'"):
        drawing.new_figure(1, 1)


def test_drawing_leaves_matplotlibs_settings_as_they_were(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    drawing.save(drawing.pck_plot({"a": made_result()}), tmp_path / "a.svg")
    assert dict(matplotlib.rcParams) == before
