"""Figures inside an HTML page: SVG in the ink of the page, photographs as data."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any

from hand_bench import drawing
from hand_bench.samples import Sample
from hand_bench.show import around_hands, draw_sample_2d, draw_sample_3d

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure


def inline(figure: Figure, name: str, label: str) -> Markup:
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


def card(sample: Sample, number: int) -> dict[str, Any]:
    """One sample: texts, its picture (empty where none can be drawn) and its views in 3D."""
    views = []
    if not sample.planar:
        angles = [14] if sample.drawn_over else [14, 70]
        views = [_view(sample, f"view{number}-{k}", angle) for k, angle in enumerate(angles)]
    return {
        "id": sample.sample_id,
        "lines": [hand.text() for hand in sample.hands if hand.true or hand.found],
        "picture": _photograph(sample, 5.6 if sample.planar else 2.8) if sample.drawn_over else "",
        "views": views,
    }


def _view(sample: Sample, name: str, elevation: float) -> Markup:
    figure = drawing.new_figure(2.8, 2.1, layout=None)
    axes: Any = figure.add_axes((0, 0, 1, 1), projection="3d")
    draw_sample_3d(axes, sample, absolute=False, bare=True)
    axes.view_init(elevation, -62)
    return inline(figure, name, f"truth and prediction in 3D, {sample.root}s aligned")


def _photograph(sample: Sample, width: float) -> str:
    """Draw truth and prediction over the picture, around the hands; a data URL."""
    figure = drawing.new_figure(width, 2.1, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_sample_2d(axes, sample, sample.picture())
    left, right, top, bottom = around_hands(sample, width / 2.1)
    axes.set(xlim=(left, right), ylim=(bottom, top), facecolor="#464646")
    stream = io.BytesIO()
    figure.savefig(stream, format="jpg", dpi=200, pil_kwargs={"quality": 80})
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
