"""Drawings of hands and of scores, with matplotlib (the `plot` extra), for reports and papers.

Conventions
-----------
Joints are in OpenPose order; 3D is the camera frame (x right, y down, z forward, mm), 2D is pixels.
3D axes show x to the right, depth into the picture and -y upwards, seen from beside the camera.
Figures use the object-oriented API and the Agg canvas: nothing is global, nothing opens a window.
What is neither truth nor a finger is drawn in `INK`, so that a page can replace that one colour.

The finger colours are Paul Tol's "bright" set, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hand_bench import files
from hand_bench.array_types import Bool, Float, Int
from hand_bench.errors import HandBenchError, Problem, TrackError, unknown_name
from hand_bench.joint_sets import FINGERS, HAND_SIDES, OPENPOSE
from hand_bench.metrics import auc

Layout = Literal["constrained"] | None

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D

    from hand_bench.results import Result

FINGER_COLOURS = dict(
    zip(FINGERS, ("#ee6677", "#ccbb44", "#228833", "#4477aa", "#aa3377"), strict=True)
)
#: Text and frames; lines of the grid; the truth, where it is not drawn over a picture.
INK, GRID, TRUTH = "#262626", "#80808040", "#8c8c8c"
#: Cells of a confusion matrix.
RIGHT, WRONG = "#4477aa", "#ee6677"
LINE_COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa3377", "#ccbb44", "#66ccee")
LINE_STYLES = ("-", "--", "-.", ":")
SUFFIXES = (".png", ".svg", ".pdf")

#: A stretched right hand seen from its back, (21, 2) in mm with y upwards: where the joints of
#: `per_joint_plot` are drawn, each with room for a number.
_FLAT_HAND = np.array(
    [
        *[(4, 0), (-28, 20), (-56, 44), (-79, 68), (-99, 92)],
        *[(-31, 91), (-38, 128), (-42, 153), (-46, 178)],
        *[(-3, 96), (-3, 137), (-3, 163), (-3, 188)],
        *[(25, 90), (31, 129), (35, 154), (39, 179)],
        *[(51, 77), (65, 106), (75, 128), (85, 150)],
    ],
    float,
)


def new_figure(width: float, height: float, *, layout: Layout = "constrained") -> Figure:
    """Return an empty figure of a size in inches, on the Agg canvas.

    Raises
    ------
    HandBenchError
        HB401 where matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise HandBenchError(
            Problem("HB401", "drawing", "matplotlib is not installed.",
                    fix="pip install 'hand-bench[plot]'")
        ) from error  # fmt: skip
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as .png, .svg or .pdf; the same figure gives the same bytes.

    Raises
    ------
    HandBenchError
        HB402 for another suffix, or where the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise HandBenchError(
            Problem("HB402", str(path), f"pictures are not written as {kind or 'no suffix'!r}.",
                    fix=f"Use {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
        )  # fmt: skip
    import matplotlib

    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind)
    with files.replacing(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "hand-bench"}):
        figure.savefig(temporary, format=kind[1:], dpi=150, metadata=undated)
    return path


def draw_hand_2d(
    axes: Axes,
    joints_2d: Float[np.ndarray, "21 2"],
    *,
    valid: Bool[np.ndarray, 21] | None = None,
    colour: str | None = None,
    width: float = 2.0,
    outline: str | None = None,
    **style: Any,
) -> list[Any]:
    """Draw one hand as five lines from the wrist, a dot on every joint; return them, thumb first.

    Parameters
    ----------
    joints_2d
        Pixels. The axes should have y downwards, as `draw_picture` sets them.
    valid
        Joints to draw; a line is broken where one is left out.
    colour
        One colour for all fingers; default: a colour for each.
    width
        Of the lines, in points.
    outline
        Colour around the lines, so that they can be seen on any picture.
    style
        Anything else that `Axes.plot` takes.
    """
    points = np.asarray(joints_2d, float)
    return _draw_fingers(axes, points, valid, colour, width, outline, style)


def draw_hand_3d(
    axes: Axes3D,
    joints: Float[np.ndarray, "21 3"],
    *,
    valid: Bool[np.ndarray, 21] | None = None,
    colour: str | None = None,
    width: float = 2.0,
    **style: Any,
) -> list[Any]:
    """Draw one hand (camera frame, mm) on 3D axes; parameters as `draw_hand_2d`.

    `frame_hands` then sets equal scales and the view.
    """
    return _draw_fingers(axes, _upright(joints), valid, colour, width, None, style)


def _draw_fingers(axes, points, valid, colour, width, outline, style) -> list[Any]:
    if valid is not None:
        points = np.where(np.asarray(valid)[:, None], points, np.nan)
    style = {"marker": "o", "markersize": 1.9 * width, "markeredgewidth": 0} | style
    if outline is not None:
        from matplotlib.patheffects import withStroke

        style["path_effects"] = [withStroke(linewidth=width + 1.4, foreground=outline)]
    style |= {"linewidth": width, "solid_capstyle": "round", "solid_joinstyle": "round"}
    lines = []
    for finger in FINGERS:
        chain = points[[OPENPOSE.root, *OPENPOSE.finger(finger)]]
        dots = slice(bool(lines), None)  # one dot on the wrist, not five
        style |= {"color": colour or FINGER_COLOURS[finger], "markevery": dots}
        lines += axes.plot(*chain.T, **style)
    return lines


def _upright(joints: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    """Camera frame to the axes of a 3D plot: right, into the picture, up."""
    joints = np.asarray(joints, float)
    return np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], axis=-1)


def draw_picture(axes: Axes, picture: np.ndarray | None, size: tuple[int, int]) -> None:
    """Show a picture (height, width, 3), or grey of `size` (width, height), in pixel coordinates.

    The centre of the first pixel is (0, 0).
    """
    width, height = size
    if picture is None:
        picture = np.full((1, 1, 3), 70, np.uint8)
    # The extent and not the array's shape, so that a picture of another resolution still fits.
    edges = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(picture, extent=edges, interpolation="antialiased")
    axes.set(xlim=edges[:2], ylim=edges[2:], xticks=[], yticks=[], aspect="equal")
    axes.autoscale(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def frame_hands(
    axes: Axes3D,
    joints: Float[np.ndarray, "points 3"],
    *,
    elevation: float = 14,
    azimuth: float = -62,
    bare: bool = False,
    depth: str = "depth (z)",
) -> None:
    """Fit 3D axes around camera points (mm): one scale on all axes, seen from beside the camera.

    `bare` leaves out panes, ticks and labels; `depth` names the axis into the picture, which is
    just "z" where there is no camera. Points that are not finite are ignored.
    """
    points = _upright(joints)
    points = points[np.isfinite(points).all(axis=-1)]
    if not len(points):
        points = np.zeros((1, 3))
    low, high = points.min(axis=0), points.max(axis=0)
    reach = np.maximum((high - low) / 2 * 1.06, 30.0)
    middle = (low + high) / 2
    for name, centre, half in zip("xyz", middle, reach, strict=True):
        getattr(axes, f"set_{name}lim")(centre - half, centre + half)
    axes.set_box_aspect(reach, zoom=1.2 if bare else 0.85)
    axes.set_proj_type("ortho")
    axes.view_init(elevation, azimuth)
    if bare:
        axes.set_axis_off()
        return
    axes.set_xlabel("x, mm", labelpad=0)
    axes.set_ylabel(f"{depth}, mm", labelpad=3)
    axes.set_zlabel("y, mm", labelpad=0)
    for name in "xyz":
        axis: Any = getattr(axes, f"{name}axis")
        getattr(axes, f"set_{name}ticks")(_round_ticks(*getattr(axes, f"get_{name}lim")()))
        axis.set_pane_color((0.5, 0.5, 0.5, 0.06))
        axis.label.set(color=INK, fontsize=8)
        axis.set_tick_params(labelsize=7, labelcolor=INK, pad=1 if name == "z" else -2)
        axis.line.set_color(GRID)
        axis._axinfo["grid"] |= {"color": GRID, "linewidth": 0.6}
    axes.zaxis.set_major_formatter(lambda value, _: f"{0 - value:g}".replace("-", "\N{MINUS SIGN}"))


def _round_ticks(low: float, high: float) -> Float[np.ndarray, " ticks"]:
    """Multiples of 50 mm (or of more, so that there are at most four)."""
    step = 50.0
    while (high - low) / step > 3:
        step *= 2
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def pck_plot(results: Mapping[str, Result], subset: str = "all") -> Figure:
    """Draw the PCK curves of one or more results, wrist-aligned, with the AUC in the legend.

    Parameters
    ----------
    results
        Results by the name to print.
    subset
        "all", "SH" or "IH": a subset whose curve the results hold.

    Raises
    ------
    TrackError
        HB301 where a result holds no curve of the subset.
    """
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()
    curves, thresholds = {}, np.zeros(0)
    for name, result in results.items():
        thresholds = np.array(result.details["pck_thresholds"], float)
        values = curve(result, subset)
        curves[f"{name}  AUC {100 * auc(values, thresholds):.1f}"] = values
    draw_shares(axes, thresholds, curves)
    track = next(iter(results.values())).track["name"] if results else ""
    axes.set(xlabel="threshold on the wrist-aligned error, mm", ylabel="joints within it (PCK), %")
    axes.set_title(f"{track}, {subset}", color=INK, fontsize=11, loc="left", parse_math=False)
    return figure


def curve(result: Result, subset: str, kind: str = "pck") -> Float[np.ndarray, " thresholds"]:
    """Return a PCK curve of a result, as shares; `kind` is "pck" or "pa_pck" (Procrustes).

    Raises
    ------
    TrackError
        HB301 where the result holds no curve of the subset.
    """
    known = [name for name, value in result.details.items() if isinstance(value, dict)]
    if subset not in known:
        raise TrackError(unknown_name("subset with a PCK curve", subset, known))
    return np.array(result.details[subset][kind], float)


def draw_shares(
    axes: Axes,
    lengths: Float[np.ndarray, " points"],
    curves: Mapping[str, Float[np.ndarray, " points"]],
) -> None:
    """Draw shares (0 to 1, shown as percent) against lengths, one line for each name."""
    for k, (name, shares) in enumerate(curves.items()):
        turn, colour = divmod(k, len(LINE_COLOURS))
        style: dict[str, Any] = {
            "color": LINE_COLOURS[colour],
            "linestyle": LINE_STYLES[turn % len(LINE_STYLES)],
        }
        # A legend leaves out names that begin with an underscore.
        label = f"\N{ZERO WIDTH SPACE}{name}" if name.startswith("_") else name
        axes.plot(lengths, 100 * np.asarray(shares, float), linewidth=1.8, label=label, **style)
    if len(lengths):
        axes.set_xlim(lengths[0], lengths[-1])
    axes.set_ylim(0, 100)
    tidy(axes)
    if curves:
        box = axes.legend(loc="lower right", fontsize=8, frameon=False, labelcolor=INK)
        for text in box.get_texts():
            text.set_parse_math(False)


def tidy(axes: Axes) -> None:
    """Give 2D axes of a plot their quiet look: two spines, a faint grid, ink for every text."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=9)


def draw_confusion(
    axes: Axes, confusion: Int[np.ndarray, "n n"], classes: Sequence[str], size: float = 9.0
) -> None:
    """Draw a confusion matrix: true classes in rows, answers in columns, counts in cells.

    A cell is as strong as its share of the row; `size` is that of the texts, points.
    """
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    n = max(len(classes), 1)
    for (row, column), count in np.ndenumerate(confusion):
        if not count:
            continue
        strength = count / confusion[row].sum()
        colour = to_rgba(RIGHT if row == column else WRONG, 0.12 + 0.88 * strength)
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, linewidth=0))
        axes.text(column, row, f"{count}", ha="center", va="center_baseline", fontsize=size,
                  color="#ffffff" if strength > 0.55 else INK)  # fmt: skip
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.5)
    axes.tick_params(which="both", length=0, colors=INK, labelsize=size)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    axes.set_xlabel("answer", color=INK, fontsize=9)
    axes.set_ylabel("true class", color=INK, fontsize=9)


def per_joint_plot(
    result: Result,
    subset: str = "all",
    *,
    procrustes: bool = False,
    sides: Sequence[str] = HAND_SIDES,
) -> Figure:
    """Draw both hands from their backs with the mean error (mm) of each joint in its place.

    Wrist-aligned errors, so the wrist itself is 0; `procrustes` shows the aligned ones. `sides`
    leaves out a hand that the track does not have.

    Raises
    ------
    TrackError
        HB301 where the result holds no details of the subset.
    """
    curve(result, subset)
    means = result.details[subset]["per_joint_procrustes" if procrustes else "per_joint"]
    rows = {side: np.array(list(means[side].values()), float) for side in sides}
    label = "mean error after Procrustes, mm" if procrustes else "mean wrist-aligned error, mm"
    return joint_means_plot(rows, label)


def joint_means_plot(rows: Mapping[str, Float[np.ndarray, 21]], label: str) -> Figure:
    """Draw hands from their backs with a number at each joint; NaN is a dash.

    `rows` holds the numbers of each hand side, `label` says what they are.
    """
    shown = {side: rows[side] for side in ("left", "right") if side in rows}
    known = np.concatenate([np.zeros(0), *shown.values()])
    highest = np.nanmax(known) if np.isfinite(known).any() else 1.0
    figure = new_figure(0.6 + 4.0 * max(len(shown), 1), 4.3)
    dots: Any = None
    for k, (side, errors) in enumerate(shown.items()):
        axes = figure.add_subplot(1, len(shown), k + 1)
        spots = _FLAT_HAND * ([1, 1] if side == "right" else [-1, 1])
        dots = _draw_flat_hand(axes, spots, errors, max(highest, 1e-9))
        axes.set_title(f"{side} hand", color=INK, fontsize=10)
    bar = figure.colorbar(dots, ax=figure.axes, shrink=0.7, pad=0.01, aspect=24)
    bar.set_label(label, color=INK, fontsize=9)
    bar.ax.tick_params(colors=INK, labelsize=8)
    bar.outline.set_visible(False)
    return figure


def _draw_flat_hand(axes: Axes, spots: np.ndarray, errors: np.ndarray, highest: float):
    from matplotlib import colormaps

    colours = colormaps["YlOrRd"].with_extremes(bad="#dddddd")
    for parent, child in OPENPOSE.bones:
        axes.plot(*spots[[parent, child]].T, color=TRUTH, linewidth=3, alpha=0.5, zorder=1)
    dots = axes.scatter(*spots.T, s=500, c=errors, cmap=colours, vmin=0, vmax=highest, zorder=2,
                        edgecolors=INK, linewidths=0.5, plotnonfinite=True)  # fmt: skip
    for (x, y), error in zip(spots, errors, strict=True):
        text = f"{error:.1f}" if np.isfinite(error) else "\N{EN DASH}"
        light = np.isfinite(error) and error > 0.62 * highest
        axes.text(x, y, text, ha="center", va="center_baseline", fontsize=7.5, zorder=3,
                  color="#ffffff" if light else "#111111")  # fmt: skip
    axes.set(xlim=(-118, 118), ylim=(-18, 206), aspect="equal")
    axes.set_axis_off()
    return dots
