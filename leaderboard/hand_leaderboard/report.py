"""One file of predictions as one HTML page: scores, curves, joints, strata and the worst samples.

The page stands alone: style, plots and pictures are inside it, and it asks for nothing else. It
follows the reader's light or dark mode and prints on white.
"""

from __future__ import annotations

import base64
import io
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
import numpy as np
import pyarrow.parquet as pq

from hand_bench import drawing, files
from hand_bench.annotations import Annotations
from hand_bench.array_types import Bool, Float, Int
from hand_bench.cli.score import Reading
from hand_bench.data import open_annotations, quiet
from hand_bench.errors import HandBenchError, Problem
from hand_bench.evaluator import evaluate
from hand_bench.geometry import project
from hand_bench.joint_sets import FINGERS, HAND_SIDES
from hand_bench.metrics import auc
from hand_bench.predictions import open_predictions
from hand_bench.results import Result, Score
from hand_bench.show import Sample, draw_sample_2d, draw_sample_3d, read_samples
from hand_bench.tracks import Track, find_track

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup
    from matplotlib.figure import Figure

#: Samples on the page, and how many of them may be neighbours from one sequence.
WORST, PER_CLUSTER = 12, 2
MAIN_SUBSETS = ("all", "SH", "IH")


def report(
    preds: Any,
    *,
    track: str | Track,
    out: str | Path,
    annotations: str | Path | Annotations | None = None,
    units: str | None = None,
    joint_set: str | None = None,
    frame: str | None = None,
    sequences: Sequence[str] = (),
    limit: int | None = None,
    allow_missing: bool = False,
    workers: int | None = None,
    progress: Callable[[str, int, int], None] = quiet,
) -> Result:
    """Score predictions and write the HTML page; return the scores.

    Parameters
    ----------
    preds, track, annotations, units, joint_set, frame, sequences, limit, allow_missing
        As in `hand_bench.evaluate`.
    out
        The page; it appears only when it is complete.
    workers
        Threads that score.
    progress
        Called with (what, done, total).

    Raises
    ------
    HandBenchError
        HB401 where matplotlib or jinja2 is not installed, HB402 where `out` cannot be written, and
        what `hand_bench.evaluate` raises.
    """
    template = _template()
    drawing.new_figure(1, 1)  # says what is not installed before minutes are spent on scoring
    track = find_track(track)
    if not isinstance(annotations, Annotations):
        annotations = open_annotations(track, annotations)
    source = open_predictions(preds)
    with tempfile.TemporaryDirectory(prefix="hand-bench-") as folder:
        path = Path(folder) / "errors.parquet"
        result = evaluate(
            source, track=track, annotations=annotations, units=units, joint_set=joint_set,
            frame=frame, sequences=sequences, limit=limit, allow_missing=allow_missing,
            errors=path, workers=workers, progress=progress,
        )  # fmt: skip
        hands = HandErrors.read(path)
    worst = read_samples(source, annotations, track, hands.worst_samples())
    cards = []
    for k, sample in enumerate(worst):
        cards.append(_card(sample, k))
        progress("drawing", k + 1, len(worst))
    tables = [_score_table(result, p.name, p.source) for p in track.protocols]
    page = template.render(
        track=track,
        result=result,
        name=Path(result.predictions["path"] or "predictions").name,
        tables=sorted(tables, key=lambda table: table["name"] != track.primary.protocol),
        subsets=_subset_rows(result, track),
        fingers=_finger_rows(result),
        finger_names=FINGERS,
        finger_colours=drawing.FINGER_COLOURS,
        plots=_plots(result, hands),
        quantiles=hands.quantiles(),
        clusters=hands.clusters(),
        worst=cards,
        per_cluster=PER_CLUSTER,
    )
    with files.replacing(out) as temporary:
        temporary.write_text(page, "utf-8")
    return result


def report_command(
    preds: Path,
    /,
    *,
    track: str,
    output: Annotated[Path, cyclopts.Parameter(name=["--output", "-o"])] = Path("report.html"),
    reading: Reading | None = None,
    workers: int | None = None,
) -> None:
    """Write an HTML page about a predictions file: scores, curves, joints, worst samples.

    Parameters
    ----------
    preds
        Predictions (Parquet).
    track
        Name of the track.
    output
        The page to write; one file that needs nothing else.
    workers
        Threads that score.
    """
    from hand_bench.cli.console import progress_bar, write

    with progress_bar() as progress:
        options = (reading or Reading()).options()
        report(preds, track=track, out=output, workers=workers, progress=progress, **options)
    write(str(output))


class HandErrors:
    """The columns of an errors file that the page needs: one row per sample, right hand first."""

    def __init__(self, table: Any):
        cluster = table.column("cluster").combine_chunks()
        self.sample_id = table.column("sample_id")
        self.cluster: Int[np.ndarray, " samples"] = cluster.indices.to_numpy()
        self.names: list[str] = cluster.dictionary.to_pylist()

        def both(kind: str) -> np.ndarray:
            columns = [table.column(f"{side}_{kind}").to_numpy() for side in HAND_SIDES]
            return np.stack(columns, axis=1)

        self.true: Bool[np.ndarray, "samples 2"] = both("true").astype(bool)
        self.found: Bool[np.ndarray, "samples 2"] = both("found").astype(bool)
        self.mpjpe: Float[np.ndarray, "samples 2"] = both("mpjpe").astype(float)
        self.pa_mpjpe: Float[np.ndarray, "samples 2"] = both("pa_mpjpe").astype(float)

    @classmethod
    def read(cls, path: Path) -> HandErrors:
        """Read an errors file that `evaluate` wrote."""
        kinds = ("true", "found", "mpjpe", "pa_mpjpe")
        columns = [f"{side}_{kind}" for side in HAND_SIDES for kind in kinds]
        table = pq.read_table(path, columns=["sample_id", "cluster", *columns])
        return cls(table.unify_dictionaries())

    def shares(
        self, lengths: Float[np.ndarray, " points"]
    ) -> dict[str, Float[np.ndarray, " points"]]:
        """Share of the true hands with at most an error (mm); a hand not answered has none."""
        hands = max(int(self.true.sum()), 1)
        errors = {"wrist-aligned (MPJPE)": self.mpjpe, "Procrustes (PA-MPJPE)": self.pa_mpjpe}
        ranked = {name: np.sort(values[self.found]) for name, values in errors.items()}
        return {n: np.searchsorted(v, lengths, side="right") / hands for n, v in ranked.items()}

    def quantiles(self) -> list[tuple[str, float, float]]:
        """Median, 90 %, 99 % and highest error of the found hands: (name, MPJPE, PA-MPJPE)."""
        if not self.found.any():
            return []
        steps = {"median": 0.5, "90 %": 0.9, "99 %": 0.99, "worst": 1.0}
        columns = [
            np.nanquantile(values[self.found], list(steps.values()))
            for values in (self.mpjpe, self.pa_mpjpe)
        ]
        return list(zip(steps, *(column.tolist() for column in columns), strict=True))

    def clusters(self, count: int = 10) -> list[dict[str, Any]]:
        """Sequences (or time blocks) with the highest mean error over their found hands."""
        size = len(self.names)
        found = np.bincount(self.cluster, self.found.sum(axis=1), size)
        missed = np.bincount(self.cluster, (self.true & ~self.found).sum(axis=1), size)
        missed = missed.astype(int).tolist()
        total = np.bincount(self.cluster, np.where(self.found, self.mpjpe, 0).sum(axis=1), size)
        mean = np.divide(total, found, out=np.full(size, -1.0), where=found > 0)
        return [
            {"name": self.names[k], "mean": mean[k], "hands": int(found[k]), "missed": missed[k]}
            for k in np.argsort(-mean, kind="stable")[:count]
            if found[k]
        ]

    def worst_samples(self, count: int = WORST, per_cluster: int = PER_CLUSTER) -> list[str]:
        """Ids of the samples with the worst hand, at most `per_cluster` of one cluster."""
        worst = np.where(self.found, self.mpjpe, -1.0).max(axis=1)
        chosen: list[str] = []
        taken = np.zeros(len(self.names), int)
        for row in np.argsort(-worst, kind="stable"):
            if len(chosen) == count or worst[row] < 0:
                break
            if taken[self.cluster[row]] < per_cluster:
                taken[self.cluster[row]] += 1
                chosen.append(self.sample_id[int(row)].as_py())
        return chosen


def _template() -> Template:
    try:
        import jinja2
    except ImportError as error:
        raise HandBenchError(
            Problem("HB401", "report", "jinja2 is not installed.",
                    fix="pip install 'hand-bench[leaderboard]'")
        ) from error  # fmt: skip
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _score_table(result: Result, protocol: str, source: str) -> dict[str, Any]:
    """One protocol's scores as a table: a row for each metric, a column for each subset."""
    scores = [s for s in result.scores if s.protocol == protocol]
    subsets = list(dict.fromkeys(s.subset for s in scores))
    subsets.sort(key=lambda name: name != "all")
    rows: dict[str, dict[str, Score]] = {}
    for score in scores:
        rows.setdefault(score.metric, {})[score.subset] = score
    return {"name": protocol, "source": source, "subsets": subsets, "rows": rows, "scores": scores}


def _subset_rows(result: Result, track: Track) -> dict[str, Any]:
    """Return the recommended scores that every subset has, with what each subset means."""
    scores = [s for s in result.scores if s.protocol == "recommended"]
    by_subset: dict[str, dict[str, Score]] = {}
    for score in scores:
        by_subset.setdefault(score.subset, {})[score.metric] = score
    by_subset = dict(sorted(by_subset.items(), key=lambda item: item[0] != "all"))
    meanings = {s.name: s.meaning for s in track.subsets}
    shown = [m for m in dict.fromkeys(s.metric for s in scores)
             if all(m in row for row in by_subset.values())]  # fmt: skip
    rows = [
        {"name": name, "meaning": meanings.get(name, ""), "scores": [row[m] for m in shown]}
        for name, row in by_subset.items()
    ]
    for k in range(len(shown)):
        highest = max((row["scores"][k].value or 0.0 for row in rows), default=0.0) or 1.0
        for row in rows:
            row.setdefault("bars", []).append(100 * (row["scores"][k].value or 0.0) / highest)
    return {"metrics": shown, "rows": rows}


def _finger_rows(result: Result) -> list[dict[str, Any]]:
    """Return the mean wrist-aligned error of each finger and hand side, for the main subsets."""
    rows = []
    for name in MAIN_SUBSETS:
        found = result.details.get(name)
        if found:
            fingers = [found["per_finger"][finger] for finger in FINGERS]
            sides = [found["per_side"][side] for side in HAND_SIDES]
            rows.append({"subset": name, "values": fingers + sides, "hands": found["hands"]})
    return rows


def _plots(result: Result, hands: HandErrors) -> dict[str, Markup]:
    thresholds = np.array(result.details["pck_thresholds"], float)
    known = [name for name in MAIN_SUBSETS if name in result.details]
    pck = drawing.new_figure(9.6, 3.5)
    for k, (kind, title) in enumerate((("pck", "wrists aligned"), ("pa_pck", "Procrustes"))):
        axes = pck.add_subplot(1, 2, k + 1)
        found = {name: drawing.curve(result, name, kind) for name in known}
        curves = {f"{n}  AUC {100 * auc(v, thresholds):.1f}": v for n, v in found.items()}
        drawing.draw_shares(axes, thresholds, curves)
        axes.set(xlabel="threshold, mm", ylabel="joints within it, %" if k == 0 else "")
        axes.set_title(title, color=drawing.INK, fontsize=10, loc="left")
    lengths = np.linspace(0, _round_up(hands.mpjpe[hands.found]), 241)
    distribution = drawing.new_figure(6.4, 3.3)
    axes = distribution.add_subplot()
    drawing.draw_shares(axes, lengths, hands.shares(lengths))
    axes.set(xlabel="mean error of a hand, mm", ylabel="true hands with at most this, %")
    plots = {
        "pck": _inline(pck, "pck", "PCK curves"),
        "distribution": _inline(distribution, "distribution", "errors of hands, cumulative"),
    }
    if "all" in known:
        joints = drawing.per_joint_plot(result)
        plots["joints"] = _inline(joints, "joints", "mean error of each joint")
    return plots


def _round_up(errors: Float[np.ndarray, " hands"]) -> float:
    """Return a round length (mm) that nearly all errors stay below, between 20 and 200."""
    highest = np.quantile(errors, 0.995) if errors.size else 50.0
    return float(np.clip(np.ceil(highest / 10) * 10, 20, 200))


def _card(sample: Sample, number: int) -> dict[str, Any]:
    """One of the worst samples: texts, its picture and its view in 3D."""
    view = drawing.new_figure(2.8, 2.1, layout=None)
    axes: Any = view.add_axes((0, 0, 1, 1), projection="3d")
    draw_sample_3d(axes, sample, absolute=False, bare=True)
    return {
        "id": sample.sample_id,
        "lines": [hand.text() for hand in sample.hands if hand.true or hand.found],
        "picture": _photograph(sample),
        "view": _inline(view, f"view{number}", "truth and prediction in 3D, wrists aligned"),
    }


def _photograph(sample: Sample) -> str:
    """Draw truth and prediction over the picture, around the hands; a data URL."""
    figure = drawing.new_figure(2.8, 2.1, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_sample_2d(axes, sample, sample.picture())
    left, right, top, bottom = _around_hands(sample)
    axes.set(xlim=(left, right), ylim=(bottom, top), facecolor="#464646")
    stream = io.BytesIO()
    figure.savefig(stream, format="jpg", dpi=200, pil_kwargs={"quality": 80})
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _around_hands(sample: Sample, shape: float = 4 / 3) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of a 4:3 window (pixels) around the true hands."""
    spots = np.concatenate([project(h.gt, sample.K)[h.annotated] for h in sample.hands])
    corners = np.array([[0.0, 0.0], sample.size])
    spots = np.clip(spots[np.isfinite(spots).all(axis=1)], *corners)
    low, high = (spots.min(axis=0), spots.max(axis=0)) if len(spots) else corners
    wide, tall = 1.35 * (high - low)
    half = max(wide / shape, tall, sample.size[1] / 6) / 2 * np.array([shape, 1])
    # Inside the picture where it is large enough, else in its middle.
    room = np.maximum(corners[1] - half, half)
    x, y = np.where(room > half, np.clip((low + high) / 2, half, room), corners[1] / 2)
    return x - half[0], x + half[0], y - half[1], y + half[1]


def _inline(figure: Figure, name: str, label: str) -> Markup:
    """Turn a figure into an SVG element whose ink is the text colour of the page."""
    import matplotlib
    from markupsafe import Markup

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    svg = svg.replace(drawing.INK, "currentColor")
    # Ids must be unique on the page; matplotlib numbers them anew in each picture.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\1{name}-", svg)
    return Markup(svg)
