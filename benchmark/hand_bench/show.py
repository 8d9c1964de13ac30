"""One sample as a picture: truth and prediction over the image, and in 3D, with its errors.

3D poses are drawn over the image and in 3D; samples of several views over the first view whose
image is on this machine (or on a plain ground, as a view with a known camera sees them), and in 3D
along the axes of that view. 2D poses are drawn over the image, as a whole and close by.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hand_bench import drawing
from hand_bench.annotations import Annotations
from hand_bench.array_types import Float
from hand_bench.data import open_annotations
from hand_bench.errors import Problem, TrackError
from hand_bench.predictions import open_for_track
from hand_bench.samples import Sample, read_samples
from hand_bench.tracks import Track, find_track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D


def show(
    preds: Any,
    *,
    track: str | Track,
    sample: str,
    out: str | Path,
    annotations: str | Path | Annotations | None = None,
    units: str | None = None,
    joint_set: str | None = None,
    frame: str | None = None,
) -> Path:
    """Draw one sample: truth and prediction over the image, and in 3D; return the file's path.

    In 3D twice: every predicted hand moved to its true wrist (what MPJPE measures), and where it
    was predicted (what MEPE measures). Where the truth is withheld, the prediction alone.

    Parameters
    ----------
    preds
        As in `evaluate`, any layout.
    track, sample
        Name of the track, and a sample's id.
    out
        A .png, .svg or .pdf file.
    annotations
        Annotations file; default: the prepared ones.
    units, joint_set, frame
        What the file means, where it does not declare it (or declares it wrongly).

    Raises
    ------
    DatasetError
        HB208 for an unknown sample, HB201 where the annotations are not prepared.
    SubmissionError
        HB104 where the file does not answer the sample; HB1xx as `evaluate`, for this sample alone.
    TrackError
        HB302 for an action track.
    HandBenchError
        HB401 without matplotlib, HB402 where `out` cannot be written.
    """
    track = find_track(track)
    if track.kind == "action":
        raise TrackError(
            Problem(
                "HB302",
                track.name,
                "has clips and no poses: there is nothing to draw.",
                fix=f"`hand-bench report FILE --track {track.name}` draws its confusion matrix.",
            )
        )
    if not isinstance(annotations, Annotations):
        annotations = open_annotations(track, annotations)
    source = open_for_track(preds, track, units=units, joint_set=joint_set, frame=frame)
    (found,) = read_samples(source, annotations, track, [sample], trust_units=units is not None)
    return drawing.save(sample_figure(found, track.name), out)


def sample_figure(sample: Sample, track: str = "") -> Figure:
    """Draw a sample as `show` does: over the image, wrists aligned in 3D, in camera space."""
    figure = _planar_figure(sample) if sample.planar else _pose_figure(sample)
    lines = [sample.sample_id + (f"  ({track})" if track else "")]
    lines += [hand.text() for hand in sample.hands]
    if not sample.planar and not sample.drawn_over:
        what = "camera (K)" if sample.view else "view"
        lines.append(f"no {what} of this sample is known: in 3D only")
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10, color=drawing.INK,
                    linespacing=1.4, parse_math=False)  # fmt: skip
    _add_key(figure, truth=sample.known)
    return figure


def _pose_figure(sample: Sample) -> Figure:
    names = _space_names(sample)
    # The image gets what its shape needs at the height of the views in 3D.
    shape = sample.size[0] / sample.size[1]
    widths = [float(np.clip(4.4 * shape, 2.9, 6.4))] if sample.drawn_over else []
    widths += [4.0] * len(names)
    figure = drawing.new_figure(max(sum(widths), 7.0), 5.6)
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths)
    if sample.drawn_over:
        axes = figure.add_subplot(grid[0])
        _draw_view(axes, sample)
        if sample.view and sample.track.several_views:
            axes.set_title(f"camera {sample.view.camera} (its axes in 3D)", color=drawing.INK,
                           fontsize=9, parse_math=False)  # fmt: skip
    for k, (name, absolute) in enumerate(names.items()):
        axes_3d = figure.add_subplot(grid[len(widths) - len(names) + k], projection="3d")
        draw_sample_3d(axes_3d, sample, absolute=absolute)
        axes_3d.set_title(name, color=drawing.INK, fontsize=9, y=0.97)
    return figure


def _space_names(sample: Sample) -> dict[str, bool]:
    """Titles of the panels in 3D, and whether they show where hands were predicted."""
    if not sample.known:
        return {"as predicted": not sample.root_relative}
    space = "the world" if sample.track.frame == "world" else "camera space"
    last = f"in {space} (MEPE)"
    if sample.root_relative:
        last = f"root-relative: no place in {space}"
    return {f"{sample.root}s aligned (MPJPE)": False, last: True}


def _planar_figure(sample: Sample) -> Figure:
    """Draw the whole image, and the part of it where the hands are."""
    width = float(np.clip(4.4 * sample.size[0] / sample.size[1], 2.9, 7.8))
    figure = drawing.new_figure(width + 5.9, 5.6)
    grid = figure.add_gridspec(1, 2, width_ratios=(width, 5.9))
    whole, near = (figure.add_subplot(cell) for cell in grid)
    _draw_view(whole, sample)
    draw_sample_2d(near, sample, sample.picture())
    left, right, top, bottom = around_hands(sample)
    near.set(xlim=(left, right), ylim=(bottom, top), facecolor="#464646")
    whole.set_title("whole image", color=drawing.INK, fontsize=9)
    near.set_title("around the hands", color=drawing.INK, fontsize=9)
    return figure


def _draw_view(axes: Axes, sample: Sample) -> None:
    """Draw over the picture, and say what is lacking."""
    picture = sample.picture()
    draw_sample_2d(axes, sample, picture)
    said = []
    if not sample.over_image:
        said.append("the annotations have no camera (K): hands are drawn in 3D only")
    if picture is None:
        place = f":\n{sample.image.name}" if sample.image else ""
        said.append(f"the picture is not on this machine{place}")
    if said:
        axes.text(0.5, 0.03, "\n".join(said), color="#ffffff", fontsize=8, ha="center",
                  transform=axes.transAxes, in_layout=False, parse_math=False)  # fmt: skip


def draw_sample_2d(axes: Axes, sample: Sample, picture: np.ndarray | None) -> None:
    """Draw truth (white) and prediction (finger colours) over the picture, in its pixels.

    A root-relative prediction is drawn at its true wrist.
    """
    drawing.draw_picture(axes, picture, sample.size)
    if not sample.over_image:
        return
    for hand in sample.hands:
        if hand.true:
            drawing.draw_hand_2d(axes, sample.spots(hand.gt), valid=hand.annotated,
                                 colour="#ffffff", width=2.6, outline="#000000a0",
                                 alpha=0.95)  # fmt: skip
    for hand in sample.hands:
        if hand.found and (hand.annotated[0] or not sample.root_relative):
            joints = hand.at_true_wrist if sample.root_relative else hand.pred
            drawing.draw_hand_2d(axes, sample.spots(joints), width=1.6, outline="#00000070")


def draw_sample_3d(axes: Axes3D, sample: Sample, *, absolute: bool, bare: bool = False) -> None:
    """Draw truth (grey) and prediction in 3D: where it is, or each hand at its true wrist."""
    points = [sample.turned(hand.gt[hand.annotated]) for hand in sample.hands]
    for hand in sample.hands:
        if hand.true:
            drawing.draw_hand_3d(axes, sample.turned(hand.gt), valid=hand.annotated,
                                 colour=drawing.TRUTH, width=2.6, alpha=0.6)  # fmt: skip
        if hand.found and not (absolute and sample.root_relative):
            joints = sample.turned(hand.pred if absolute else hand.at_true_wrist)
            drawing.draw_hand_3d(axes, joints, width=1.5)
            points.append(_without_strays(joints))
    seen = sample.track.frame == "camera" or (sample.view is not None and sample.view.has_pose)
    depth = "depth (z)" if seen else "z"
    drawing.frame_hands(axes, np.concatenate(points), bare=bare, depth=depth)


def around_hands(sample: Sample, shape: float = 4 / 3) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of a window (pixels) around the hands.

    The true ones; the predicted ones where none is annotated. `shape` is its width / height.
    """
    spots = [np.zeros((0, 2))]
    if sample.over_image:
        chosen = [(h.gt, h.annotated) for h in sample.hands if h.true]
        if not chosen and not sample.root_relative:
            chosen = [(h.pred, np.ones(21, bool)) for h in sample.hands if h.found]
        spots += [sample.spots(joints)[keep] for joints, keep in chosen]
    points = np.concatenate(spots)
    corners = np.array([[0.0, 0.0], sample.size])
    points = np.clip(points[np.isfinite(points).all(axis=1)], *corners)
    low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else corners
    wide, tall = 1.35 * (high - low)
    half = max(wide / shape, tall, sample.size[1] / 6) / 2 * np.array([shape, 1])
    # Inside the picture where it is large enough, else in its middle.
    room = np.maximum(corners[1] - half, half)
    x, y = np.where(room > half, np.clip((low + high) / 2, half, room), corners[1] / 2)
    return x - half[0], x + half[0], y - half[1], y + half[1]


def _without_strays(joints: Float[np.ndarray, "21 3"]) -> Float[np.ndarray, "kept 3"]:
    """Leave out joints far from their hand, so that the view is not made for one wild joint."""
    distance = np.linalg.norm(joints - np.median(joints, axis=0), axis=1)
    return joints[distance <= 50 + 4 * np.median(distance)]


def _add_key(figure: Figure, truth: bool) -> None:
    from matplotlib.lines import Line2D

    keys = {"truth (white over the image)": (drawing.TRUTH, 2.6)} if truth else {}
    keys |= {f"predicted {n}": (colour, 1.6) for n, colour in drawing.FINGER_COLOURS.items()}
    handles = [
        Line2D([], [], color=colour, linewidth=width, marker="o", markersize=4, label=label)
        for label, (colour, width) in keys.items()
    ]
    columns = 6 if figure.get_figwidth() > 9.5 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8,
                  frameon=False, labelcolor=drawing.INK)  # fmt: skip
