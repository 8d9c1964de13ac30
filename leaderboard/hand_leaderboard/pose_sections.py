"""What a page says about poses: curves, joints and fingers, errors of hands, worst samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hand_bench import drawing
from hand_bench.array_types import Float
from hand_bench.comparison import main_subsets
from hand_bench.joint_sets import FINGERS, JOINT_SETS, OPENPOSE
from hand_bench.metrics import auc
from hand_bench.results import Result
from hand_bench.tracks import Track
from hand_leaderboard.hand_errors import HandErrors, JointErrors
from hand_leaderboard.page_figures import inline

if TYPE_CHECKING:
    from markupsafe import Markup

#: Samples on the page, and how many of them may be neighbours from one sequence.
WORST, PER_CLUSTER = 12, 2


def sections(result: Result, track: Track, hands: HandErrors, path: Path) -> dict[str, Any]:
    """Return what the template needs beside scores and samples; `path` is the errors file."""
    if track.kind == "pose-2d":
        joints = JointErrors(path)
        plots, fingers = _planar_plots(track, hands, joints), _planar_fingers(hands, joints)
    else:
        plots, fingers = _pose_plots(result, track, hands), _pose_fingers(result, track, hands)
    return {
        "words": _words(track),
        "answered": {"found": int(hands.found.sum()), "true": int(hands.true.sum())},
        "fingers": fingers,
        "finger_names": FINGERS,
        "finger_colours": drawing.FINGER_COLOURS,
        "sides": hands.sides,
        "plots": plots,
        "measures": list(hands.errors),
        "quantiles": hands.quantiles(),
        "clusters": hands.clusters(),
        "per_cluster": PER_CLUSTER,
    }


def _words(track: Track) -> dict[str, str]:
    """What differs between kinds of tracks in the sentences of the page."""
    root = JOINT_SETS[track.joint_set].joints[0]
    if track.kind == "pose-2d":
        return {
            "unit": "px",
            "curves": "L2 curves",
            "joints": "Mean distance, seen from the back of the hand.",
            "worst": "L2 error 2D",
            "cards": "Over the image, around the hands:",
            "cards_3d": "",
        }
    return {
        "unit": "mm",
        "curves": "PCK curves",
        "joints": f"Mean error after the {root}s are aligned, seen from the back of the hand.",
        "worst": f"MPJPE, {root}s aligned",
        "cards": f"Over the image, and in 3D with {root}s aligned:",
        "cards_3d": f"In 3D with {root}s aligned, from the side and from above:",
    }


def _pose_plots(result: Result, track: Track, hands: HandErrors) -> dict[str, Markup]:
    thresholds = np.array(result.details["pck_thresholds"], float)
    known = _in_details(result, track)
    root = JOINT_SETS[track.joint_set].joints[0]
    pck = drawing.new_figure(9.6, 3.5)
    for k, (kind, title) in enumerate((("pck", f"{root}s aligned"), ("pa_pck", "Procrustes"))):
        axes = pck.add_subplot(1, 2, k + 1)
        found = {name: drawing.curve(result, name, kind) for name in known}
        curves = {f"{n}  AUC {100 * auc(v, thresholds):.1f}": v for n, v in found.items()}
        drawing.draw_shares(axes, thresholds, curves)
        axes.set(xlabel="threshold, mm", ylabel="joints within it, %" if k == 0 else "")
        axes.set_title(title, color=drawing.INK, fontsize=10, loc="left")
    plots = {"pck": inline(pck, "pck", "PCK curves"), "distribution": _distribution(hands, "mm")}
    if "all" in known:
        joints = drawing.per_joint_plot(result, sides=hands.sides)
        plots["joints"] = inline(joints, "joints", "mean error of each joint")
    return plots


def _planar_plots(track: Track, hands: HandErrors, joints: JointErrors) -> dict[str, Markup]:
    lengths = np.linspace(0, _round_up(joints.errors[~np.isnan(joints.errors)], least=10), 241)
    chosen = [s for s in main_subsets(track) if not s.where and s.side in ("", *hands.sides)]
    figure = drawing.new_figure(6.4, 3.5)
    axes = figure.add_subplot()
    drawing.draw_shares(axes, lengths, {s.name: joints.shares(lengths, s.side) for s in chosen})
    axes.set(xlabel="threshold, px", ylabel="joints within it, %")
    means = {side: row for side, row in joints.means().items() if side in hands.sides}
    return {
        "pck": inline(figure, "pck", "L2 curves"),
        "distribution": _distribution(hands, "px"),
        "joints": inline(
            drawing.joint_means_plot(means, "mean distance, px"), "joints", "mean of each joint"
        ),
    }


def _distribution(hands: HandErrors, unit: str) -> Markup:
    least = 20 if unit == "mm" else 10
    lengths = np.linspace(0, _round_up(hands.main[hands.found], least), 241)
    figure = drawing.new_figure(6.4, 3.3)
    axes = figure.add_subplot()
    drawing.draw_shares(axes, lengths, hands.shares(lengths))
    axes.set(xlabel=f"mean error of a hand, {unit}", ylabel="true hands with at most this, %")
    return inline(figure, "distribution", "errors of hands, cumulative")


def _round_up(errors: Float[np.ndarray, " hands"], least: float) -> float:
    """Return a round length that nearly all errors stay below, between `least` and 200."""
    highest = np.quantile(errors, 0.995) if errors.size else 50.0
    return float(np.clip(np.ceil(highest / 10) * 10, least, 200))


def _in_details(result: Result, track: Track) -> list[str]:
    """The main subsets that the result has details of and hands in, all first."""
    found = result.details
    names = [s.name for s in main_subsets(track) if found.get(s.name, {"hands": {"true": 0}})]
    names = [name for name in names if name in found and found[name]["hands"]["true"]]
    return sorted(names, key=lambda name: name != "all")


def _pose_fingers(result: Result, track: Track, hands: HandErrors) -> list[dict[str, Any]]:
    """Return the mean wrist-aligned error of each finger and hand side, for the main subsets."""
    rows = []
    for name in _in_details(result, track):
        found = result.details[name]
        fingers = [found["per_finger"][finger] for finger in FINGERS]
        sides = [found["per_side"][side] for side in hands.sides]
        rows.append({"subset": name, "values": fingers + sides, "hands": found["hands"]})
    return rows


def _planar_fingers(hands: HandErrors, joints: JointErrors) -> list[dict[str, Any]]:
    fingers = [joints.mean_of(list(OPENPOSE.finger(finger))) for finger in FINGERS]
    sides = [joints.mean_of(list(range(21)), side) for side in hands.sides]
    counted = {"found": int(hands.found.sum()), "true": int(hands.true.sum())}
    return [{"subset": "all", "values": fingers + sides, "hands": counted}]
