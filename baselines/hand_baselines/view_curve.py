"""The machine annotator's curve: error against the number of views that are triangulated.

The 2D network looks once at every view of every hand. Then, for each number of views, random
cameras are drawn again and again, the same ones for all hands, and the hands are triangulated from
them alone. A draw's error is the mean distance over valid joints, in the world. With all views
there is one draw. Joints that no two of the drawn cameras see are counted as not found.

Source: InterHand2.6M (Moon et al., ECCV 2020), Figure 4: 100 draws for each number of views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hand_baselines.triangulation import projections, ransac, triangulate
from hand_bench import files
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import BaselineError, Problem
from hand_bench.joint_sets import HAND_SIDES

if TYPE_CHECKING:
    from hand_baselines.view_task import Asked
    from hand_baselines.weights import Loaded

#: Draws for each number of views.
DRAWS = 100


@dataclass(frozen=True)
class Seen:
    """Hands in the views of a rig, with their truth.

    Attributes
    ----------
    points, confidence
        (hands, cameras, 21, 2), px without lens, NaN where not seen; (hands, cameras, 21).
    P
        (hands, cameras, 3, 4); anything where not seen.
    joints, valid
        (hands, 21, 3), mm, and (hands, 21).
    """

    points: np.ndarray
    confidence: np.ndarray
    P: np.ndarray
    joints: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Point:
    """One number of views: mean and standard deviation over the draws, mm; joints found."""

    views: int
    draws: int
    error: float
    deviation: float
    found: float


def curve(seen: Seen, *, draws: int = DRAWS, method: str = "ransac", seed: int = 0) -> list[Point]:
    """Return the error for two views, three, ... up to all.

    Raises
    ------
    BaselineError
        HB302 where there are fewer than two cameras.
    """
    cameras = seen.points.shape[1]
    if cameras < 2:
        raise BaselineError(Problem("HB302", "views", f"{cameras} camera triangulates nothing."))
    rng = np.random.default_rng(seed)
    return [_point(seen, count, draws, method, rng) for count in range(2, cameras + 1)]


def _point(seen: Seen, count: int, draws: int, method: str, rng: np.random.Generator) -> Point:
    cameras = seen.points.shape[1]
    errors, found = [], []
    for _ in range(1 if count == cameras else draws):
        drawn = np.sort(rng.permutation(cameras)[:count])
        parts = seen.points[:, drawn], seen.P[:, drawn], seen.confidence[:, drawn]
        joints = ransac(*parts).joints if method == "ransac" else triangulate(*parts)
        there = seen.valid & np.isfinite(joints).all(axis=-1)
        distances = np.linalg.norm(joints - seen.joints, axis=-1)
        errors.append(distances[there].mean() if there.any() else np.nan)
        found.append(there.sum() / max(int(seen.valid.sum()), 1))
    return Point(
        count,
        len(errors),
        float(np.nanmean(errors)) if np.isfinite(errors).any() else float("nan"),
        float(np.nanstd(errors)) if np.isfinite(errors).any() else float("nan"),
        float(np.mean(found)),
    )


def look(
    loaded: Loaded,
    opened: Annotations,
    images: str | Path | None = None,
    *,
    limit: int | None = None,
    batch: int = 32,
    workers: int = 0,
    device: str | None = None,
) -> Seen:
    """Let a 2D network look at all views of a table's hands whose truth is known.

    `limit` takes at most so many instants, evenly.

    Raises
    ------
    BaselineError
        HB302 for weights of another model, or where no hand is left.
    """
    from hand_baselines.instants import Instants, in_order, keys_of, read_views
    from hand_baselines.keypoints2d.predict import Detector
    from hand_baselines.pictures import Pictures
    from hand_baselines.samples import picture_root
    from hand_baselines.view_task import asked_hands

    if loaded.model.name != "keypoints2d":
        what = f"is a {loaded.model.name}: the curve is that of the 2D network (keypoints2d)."
        raise BaselineError(Problem("HB302", loaded.name, what))
    truth = opened.table(["sequence", "frame", *_TRUTH]).combine_chunks().to_batches()[0]
    kept = _evenly(len(truth), limit)
    rows = AnnotationBatch(0, truth.take(kept))
    views, detector = read_views(opened), Detector.of(loaded, device)
    instants = Instants(views, Pictures(picture_root(opened, images)), keys_of(rows.table))
    names = sorted(set(views.column("camera").to_pylist()))
    hands = [
        (number, hand)
        for number, hand in asked_hands(in_order(instants, workers))
        if rows.present(hand.side)[number]
    ]
    if not hands:
        raise BaselineError(Problem("HB302", str(opened.path), "no hand has truth and boxes."))
    return _seen(hands, rows, names, detector, max(1, batch // 8))


_TRUTH = tuple(f"{side}_{what}" for side in HAND_SIDES for what in ("joints", "valid"))


def _evenly(rows: int, limit: int | None) -> Any:
    import pyarrow as pa

    step = 1 if limit is None else max(1, -(-rows // limit))
    return pa.array(np.arange(0, rows, step))


def _seen(
    hands: Sequence[tuple[int, Asked]],
    rows: AnnotationBatch,
    names: Sequence[str],
    detector: Any,
    size: int,
) -> Seen:
    """Look at hands, a few at a time, and put their views in the order of the cameras."""
    shape = (len(hands), len(names))
    seen = Seen(
        np.full((*shape, 21, 2), np.nan),
        np.zeros((*shape, 21)),
        np.zeros((*shape, 3, 4)),
        np.stack([rows[f"{hand.side}_joints"][n].astype(float) for n, hand in hands]),
        np.stack([rows[f"{hand.side}_valid"][n].astype(bool) for n, hand in hands]),
    )
    for first in range(0, len(hands), size):
        part = [hand for _, hand in hands[first : first + size]]
        for k, (hand, points) in enumerate(zip(part, detector(part), strict=True), first):
            at = [names.index(name) for name in hand.instant.cameras]
            seen.points[k, at], seen.confidence[k, at] = points
            seen.P[k, at] = projections(hand.instant.K, hand.instant.T_world_from_camera)
    return seen


def write(path: str | Path, points: Sequence[Point]) -> None:
    """Write a curve as a table (.csv, .json), or as a picture (.png, .svg, .pdf).

    Raises
    ------
    BaselineError
        HB302 for another ending, HB401 for a picture where matplotlib is not installed.
    """
    path = Path(path)
    rows = [asdict(point) for point in points]
    if path.suffix == ".json":
        files.write_json(path, rows)
    elif path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(f"{v:.6g}" for v in r.values()) for r in rows)]
        with files.replacing(path) as temporary:
            temporary.write_text("\n".join(lines) + "\n", "utf-8")
    elif path.suffix in (".png", ".svg", ".pdf"):
        _plot(path, points)
    else:
        fix = "A table is .csv or .json, a picture .png, .svg or .pdf."
        raise BaselineError(Problem("HB302", str(path), "is no form of a curve.", fix=fix))


def _plot(path: Path, points: Sequence[Point]) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        fix = "pip install 'hand-bench[plot]'"
        what = "matplotlib is not installed."
        raise BaselineError(Problem("HB401", str(path), what, fix=fix)) from error
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    x, y = [p.views for p in points], [p.error for p in points]
    axes.errorbar(x, y, [p.deviation for p in points], fmt="o-", capsize=3)
    axes.set(xlabel="views", ylabel="mean error, mm", xticks=x)
    axes.set_ylim(bottom=0)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format=path.suffix[1:])
