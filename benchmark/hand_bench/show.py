"""One sample as a picture: truth and prediction over the image, and in 3D, with its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench import drawing, engine_numpy, errors_file, pairing
from hand_bench.annotations import Annotations
from hand_bench.array_types import Bool, Float
from hand_bench.blocks import Canonical, sum_block
from hand_bench.checks import ValueChecks
from hand_bench.columns import strings
from hand_bench.data import open_annotations
from hand_bench.errors import Problem, SubmissionError
from hand_bench.geometry import project
from hand_bench.joint_sets import HAND_SIDES
from hand_bench.predictions import open_for_track
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track, find_track
from hand_bench.validation import declaration_problems

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D


@dataclass(frozen=True)
class SampleHand:
    """One side of a sample, camera frame, mm, OpenPose order; errors are None where undefined."""

    side: str
    gt: Float[np.ndarray, "21 3"]
    annotated: Bool[np.ndarray, 21]
    pred: Float[np.ndarray, "21 3"]
    found: bool
    mpjpe: float | None
    pa_mpjpe: float | None
    mepe: float | None

    @property
    def true(self) -> bool:
        """Whether the hand is annotated at all."""
        return bool(self.annotated.any())

    @property
    def at_true_wrist(self) -> Float[np.ndarray, "21 3"]:
        """The prediction, moved so that its wrist is the true one (where that is annotated)."""
        return self.pred - self.pred[:1] + self.gt[:1] if self.annotated[0] else self.pred

    def text(self) -> str:
        """Return the errors in one line."""
        if not self.true:
            return f"{self.side} hand: not annotated" + (", but predicted" if self.found else "")
        if not self.found:
            return f"{self.side} hand: no prediction"
        errors = {"MPJPE": self.mpjpe, "PA-MPJPE": self.pa_mpjpe, "MEPE": self.mepe}
        parts = [f"{name} {value:.1f}" for name, value in errors.items() if value is not None]
        return f"{self.side} hand: {', '.join(parts)} mm" if parts else f"{self.side} hand: n/a"


@dataclass(frozen=True)
class Sample:
    """Truth and prediction of one sample, with its camera and where its picture should be."""

    sample_id: str
    hands: tuple[SampleHand, SampleHand]
    K: Float[np.ndarray, "3 3"]
    size: tuple[int, int]
    image: Path | None
    root_relative: bool

    def picture(self) -> np.ndarray | None:
        """Return the picture (height, width, 3), None where it is not on this machine."""
        from PIL import Image

        try:
            with Image.open(self.image or "") as picture:
                return np.asarray(picture.convert("RGB"))
        except (OSError, Image.DecompressionBombError):
            return None


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
    was predicted (what MEPE measures).

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
    HandBenchError
        HB401 without matplotlib, HB402 where `out` cannot be written.
    """
    track = find_track(track)
    if not isinstance(annotations, Annotations):
        annotations = open_annotations(track, annotations)
    source = open_for_track(preds, track, units=units, joint_set=joint_set, frame=frame)
    (found,) = read_samples(source, annotations, track, [sample], trust_units=units is not None)
    return drawing.save(sample_figure(found, track.name), out)


def read_samples(
    source: PredictionSource,
    annotations: Annotations,
    track: Track,
    ids: Sequence[str],
    *,
    trust_units: bool = True,
) -> list[Sample]:
    """Read a few samples from predictions of any layout, in the order of `ids`.

    Raises
    ------
    DatasetError
        HB208 for an unknown sample.
    SubmissionError
        HB104 for samples without a row, HB113 for another track's file, and what is wrong with
        the values of these rows.
    """
    source = open_for_track(source, track)
    problems = declaration_problems(source, track)
    if problems:
        raise SubmissionError(problems)
    rows = np.zeros(annotations.rows, bool)
    rows[[annotations.find(name, ["sample_id"]).start for name in ids]] = True
    selection = pairing.Selection(annotations, rows)
    few = _rows_of(source, ids, track)
    canonical = Canonical(track, few.declared, few.layout.image_space, time_blocks=False)
    extra = ["image", "width", "height", "K", *(f"{s}_valid" for s in HAND_SIDES)]
    columns = list(dict.fromkeys([*canonical.columns, *extra]))
    checks = ValueChecks(
        source.name, few.declared, track.hand_length, few.layout.image_space, trust_units
    )
    position, _ = pairing.join(selection, few)
    samples = [
        sample
        for pair in pairing.reordered(selection, columns, few, checks, position)
        for sample in _samples(pair, canonical, annotations)
    ]
    # Answering "no hand" (HB127) is an answer, and its picture can be drawn.
    problems = [p for p in checks.problems() if p.code != "HB127"]
    if problems:
        raise SubmissionError(problems)
    by_id = {sample.sample_id: sample for sample in samples}
    return [by_id[name] for name in ids]


def _rows_of(source: PredictionSource, ids: Sequence[str], track: Track) -> PredictionSource:
    """Read the rows that answer some samples into memory; HB104 for a sample without one."""
    wanted = pa.array(ids, pa.string())
    parts = []
    for table in source.tables():
        keep = pc.is_in(strings(table.column("sample_id")), value_set=wanted)
        if pc.any(keep).as_py():
            parts.append(table.filter(keep))
    found = {name for part in parts for name in strings(part.column("sample_id")).to_pylist()}
    lacking = [name for name in ids if name not in found]
    if lacking:
        raise SubmissionError(
            Problem(
                "HB104",
                source.name,
                f"has no row for sample {lacking[0]}.",
                cause="A sample that failed and was dropped, or another split's file?",
                fix=f"`hand-bench validate FILE --track {track.name}` counts what is missing.",
            )
        )
    few = PredictionSource(pa.Table.from_batches(parts), source.name, source.kind)
    few.declared = source.declared
    return few


def _samples(pair: pairing.Pair, canonical: Canonical, annotations: Annotations) -> list[Sample]:
    """Convert pairs, and measure them exactly as the errors file does."""
    track, truth = canonical.track, pair.truth
    relative = canonical.declared.frame == "root-relative"
    block = canonical.block(pair)
    done = sum_block(block, track.layout, engine_numpy, want_errors=True)
    errors = errors_file.rows(done, track).to_pylist()
    root = annotations.manifest.get("root")
    samples = []
    for row, error in enumerate(errors):
        hands = []
        for name, side in zip(HAND_SIDES, block.sides, strict=True):
            annotated = truth[f"{name}_valid"][row] | side.counts[row]
            annotated = annotated & truth.present(name)[row]
            scores = [error[f"{name}_{kind}"] for kind in ("mpjpe", "pa_mpjpe", "mepe")]
            scores[2] = None if relative else scores[2]
            gt, pred = side.gt[row].astype(float), side.pred[row].astype(float)
            hands.append(SampleHand(name, gt, annotated, pred, bool(side.found[row]), *scores))
        image = truth["image"][row]
        samples.append(
            Sample(
                error["sample_id"],
                tuple(hands),
                truth["K"][row],
                (int(truth["width"][row]), int(truth["height"][row])),
                Path(root) / image if root and image else None,
                relative,
            )
        )
    return samples


def sample_figure(sample: Sample, track: str = "") -> Figure:
    """Draw a sample as `show` does: over the image, wrists aligned in 3D, in camera space."""
    # The image gets what its shape needs at the height of the views in 3D.
    width = float(np.clip(4.4 * sample.size[0] / sample.size[1], 2.9, 6.4))
    figure = drawing.new_figure(width + 8.0, 5.6)
    grid = figure.add_gridspec(1, 3, width_ratios=(width, 4.0, 4.0))
    axes = figure.add_subplot(grid[0])
    picture = sample.picture()
    draw_sample_2d(axes, sample, picture)
    if picture is None:
        place = f":\n{sample.image.name}" if sample.image else ""
        axes.text(0.5, 0.03, f"the picture is not on this machine{place}", color="#ffffff",
                  fontsize=8, ha="center", transform=axes.transAxes, in_layout=False,
                  parse_math=False)  # fmt: skip
    names = ["wrists aligned (MPJPE)", "in camera space (MEPE)"]
    if sample.root_relative:
        names[1] = "root-relative: no place in camera space"
    for column, name in enumerate(names):
        axes_3d = figure.add_subplot(grid[column + 1], projection="3d")
        draw_sample_3d(axes_3d, sample, absolute=column == 1)
        axes_3d.set_title(name, color=drawing.INK, fontsize=9, y=0.97)
    lines = [sample.sample_id + (f"  ({track})" if track else "")]
    lines += [hand.text() for hand in sample.hands]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10, color=drawing.INK,
                    linespacing=1.4, parse_math=False)  # fmt: skip
    _add_key(figure)
    return figure


def draw_sample_2d(axes: Axes, sample: Sample, picture: np.ndarray | None) -> None:
    """Draw truth (white) and prediction (finger colours) over the picture, in its pixels.

    A root-relative prediction is drawn at its true wrist.
    """
    drawing.draw_picture(axes, picture, sample.size)
    for hand in sample.hands:
        if hand.true:
            spots = project(hand.gt, sample.K)
            drawing.draw_hand_2d(axes, spots, valid=hand.annotated, colour="#ffffff", width=2.6,
                                 outline="#000000a0", alpha=0.95)  # fmt: skip
    for hand in sample.hands:
        if hand.found and (hand.annotated[0] or not sample.root_relative):
            joints = hand.at_true_wrist if sample.root_relative else hand.pred
            drawing.draw_hand_2d(axes, project(joints, sample.K), width=1.6, outline="#00000070")


def draw_sample_3d(axes: Axes3D, sample: Sample, *, absolute: bool, bare: bool = False) -> None:
    """Draw truth (grey) and prediction in 3D: where it is, or each hand at its true wrist."""
    points = [hand.gt[hand.annotated] for hand in sample.hands]
    for hand in sample.hands:
        if hand.true:
            drawing.draw_hand_3d(
                axes, hand.gt, valid=hand.annotated, colour=drawing.TRUTH, width=2.6, alpha=0.6
            )
        if hand.found and not (absolute and sample.root_relative):
            joints = hand.pred if absolute else hand.at_true_wrist
            drawing.draw_hand_3d(axes, joints, width=1.5)
            points.append(_without_strays(joints))
    drawing.frame_hands(axes, np.concatenate(points), bare=bare)


def _without_strays(joints: Float[np.ndarray, "21 3"]) -> Float[np.ndarray, "kept 3"]:
    """Leave out joints far from their hand, so that the view is not made for one wild joint."""
    distance = np.linalg.norm(joints - np.median(joints, axis=0), axis=1)
    return joints[distance <= 50 + 4 * np.median(distance)]


def _add_key(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    keys = {"truth (white over the image)": (drawing.TRUTH, 2.6)}
    keys |= {f"predicted {n}": (colour, 1.6) for n, colour in drawing.FINGER_COLOURS.items()}
    handles = [
        Line2D([], [], color=colour, linewidth=width, marker="o", markersize=4, label=label)
        for label, (colour, width) in keys.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=8, frameon=False,
                  labelcolor=drawing.INK)  # fmt: skip
