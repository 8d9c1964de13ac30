"""Single samples for pictures: truth, prediction, errors, and the view they are drawn over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hand_bench import engine_numpy, errors_file, pairing
from hand_bench.annotations import Annotations
from hand_bench.array_types import Bool, Float
from hand_bench.blocks import Canonical, sum_block
from hand_bench.camera_views import VIEW_COLUMNS, View, view_of_row, views_of_samples
from hand_bench.checks import ValueChecks
from hand_bench.columns import strings
from hand_bench.errors import Problem, SubmissionError
from hand_bench.joint_sets import HAND_SIDES, JOINT_SETS
from hand_bench.predictions import open_for_track
from hand_bench.sources import PredictionSource
from hand_bench.tracks import Track
from hand_bench.validation import declaration_problems

#: Column of the errors file -> name as printed, unit.
_ERRORS = {
    "pose": {"mpjpe": ("MPJPE", "mm"), "pa_mpjpe": ("PA-MPJPE", "mm"), "mepe": ("MEPE", "mm")},
    "pose-2d": {"l2": ("L2 error 2D", "px"), "pck": ("PCK@0.2", "")},
}


@dataclass(frozen=True)
class SampleHand:
    """One side of a sample in the track's frame and joint order: mm, or px in 2D (z is 0).

    `errors` are values by their column in the errors file, None where undefined.
    """

    side: str
    gt: Float[np.ndarray, "21 3"]
    annotated: Bool[np.ndarray, 21]
    pred: Float[np.ndarray, "21 3"]
    found: bool
    errors: dict[str, float | None]
    withheld: bool = False

    @property
    def true(self) -> bool:
        """Whether the hand is annotated at all."""
        return bool(self.annotated.any())

    @property
    def mpjpe(self) -> float | None:
        """Mean wrist-aligned distance, mm."""
        return self.errors["mpjpe"]

    @property
    def pa_mpjpe(self) -> float | None:
        """Mean distance after Procrustes alignment, mm."""
        return self.errors["pa_mpjpe"]

    @property
    def mepe(self) -> float | None:
        """Mean unaligned distance, mm; None for root-relative predictions."""
        return self.errors["mepe"]

    @property
    def at_true_wrist(self) -> Float[np.ndarray, "21 3"]:
        """The prediction, moved so that its root is the true one (where that is annotated)."""
        return self.pred - self.pred[:1] + self.gt[:1] if self.annotated[0] else self.pred

    def text(self) -> str:
        """Return the errors in one line."""
        if self.withheld:
            return f"{self.side} hand: {'' if self.found else 'not '}predicted, truth withheld"
        if not self.true:
            return f"{self.side} hand: not annotated" + (", but predicted" if self.found else "")
        if not self.found:
            return f"{self.side} hand: no prediction"
        words = _ERRORS["pose-2d" if "l2" in self.errors else "pose"]
        known = [(*words[name], v) for name, v in self.errors.items() if v is not None]
        if not known:
            return f"{self.side} hand: n/a"
        parts = []
        for unit, values in groupby(known, key=lambda item: item[1]):
            digits = [f"{name} {_shown(value, unit)}" for name, _, value in values]
            parts.append(f"{', '.join(digits)} {unit or '%'}")
        return f"{self.side} hand: {', '.join(parts)}"


def _shown(value: float, unit: str) -> str:
    return f"{100 * value:.0f}" if unit == "" else f"{value:.1f}"


@dataclass(frozen=True)
class Sample:
    """Truth and prediction of one sample, and the view of it that is drawn (None: in 3D only)."""

    sample_id: str
    hands: tuple[SampleHand, SampleHand]
    view: View | None
    track: Track
    root_relative: bool

    @property
    def planar(self) -> bool:
        """Whether joints are pixels of the image."""
        return self.track.kind == "pose-2d"

    @property
    def root(self) -> str:
        """What the first joint is: "wrist" or "palm"."""
        return JOINT_SETS[self.track.joint_set].joints[0]

    @property
    def known(self) -> bool:
        """Whether any hand is annotated."""
        return any(hand.true for hand in self.hands)

    @property
    def image(self) -> Path | None:
        """Where the picture should be."""
        return self.view.image if self.view else None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.view.size if self.view else (640, 480)

    @property
    def over_image(self) -> bool:
        """Whether it is known where joints are in the picture."""
        return self.view is not None and (self.planar or self.view.K is not None)

    @property
    def drawn_over(self) -> bool:
        """Whether there is a picture, or a plain ground with joints on it, to show."""
        return self.over_image or self.picture() is not None

    def picture(self) -> np.ndarray | None:
        """Return the picture (height, width, 3), None where it is not on this machine."""
        return self.view.picture() if self.view else None

    def spots(self, joints: Float[np.ndarray, "21 3"]) -> Float[np.ndarray, "21 2"]:
        """Where joints of the track's frame are in the picture, in pixels."""
        assert self.view is not None
        return joints[:, :2] if self.planar else self.view.project(joints)

    def turned(self, joints: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        """Joints as they are drawn in 3D: along the axes of the view, where it has a pose."""
        return self.view.turned(joints) if self.view else joints


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
    extra = [*VIEW_COLUMNS, *(f"{s}_valid" for s in HAND_SIDES)]
    columns = list(dict.fromkeys([*canonical.columns, *extra]))
    checks = ValueChecks(
        source.name, few.declared, track.hand_length, few.layout.image_space, trust_units
    )
    position, _ = pairing.join(selection, few)
    views = views_of_samples(annotations, rows) if track.several_views else None
    samples = [
        sample
        for pair in pairing.reordered(selection, columns, few, checks, position)
        for sample in _samples(pair, canonical, annotations, views)
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


def _samples(
    pair: pairing.Pair,
    canonical: Canonical,
    annotations: Annotations,
    views: dict[tuple[str, int], View] | None,
) -> list[Sample]:
    """Convert pairs, and measure them exactly as the errors file does."""
    track, truth = canonical.track, pair.truth
    relative = canonical.declared.frame == "root-relative"
    block = canonical.block(pair)
    done = sum_block(block, track.layout, engine_numpy, want_errors=True)
    measured = errors_file.rows(done, track).to_pylist()
    root = annotations.manifest.get("root") or annotations.path.parent
    samples = []
    for row, error in enumerate(measured):
        hands = []
        for name, side in zip(HAND_SIDES, block.sides, strict=True):
            annotated = side.counts[row]
            if track.kind == "pose":
                annotated = (truth[f"{name}_valid"][row] | annotated) & truth.present(name)[row]
            errors = {kind: error[f"{name}_{kind}"] for kind in _ERRORS[track.kind]}
            if relative:
                errors["mepe"] = None
            gt, pred = side.gt[row].astype(float), side.pred[row].astype(float)
            hands.append(SampleHand(name, gt, annotated, pred, bool(side.found[row]), errors))
        if track.truth != "public" and not any(hand.true for hand in hands):
            hands = [replace(hand, withheld=True) for hand in hands]
        if views is None:
            view = view_of_row(truth, row, Path(root))
        else:
            view = views.get((str(truth["sequence"][row]), int(truth["frame"][row])))
        samples.append(Sample(error["sample_id"], tuple(hands), view, track, relative))
    return samples
