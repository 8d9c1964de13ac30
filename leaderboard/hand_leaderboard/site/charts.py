"""Small charts as numbers for templates: intervals in a row, curves, bars. No text is made here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hand_leaderboard.board import Cell
from hand_leaderboard.site.colours import nice_top

#: Pixels of an interval's chart in a row.
FOREST_WIDTH, FOREST_MARGIN = 116, 6
#: Pixels of a chart of curves: the plot and what its labels need.
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 520, 300, 46, 40, 12, 14


@dataclass(frozen=True)
class Span:
    """An interval in a row: pixels from its low to its high end, and of the value."""

    low: float | None
    value: float
    high: float | None


@dataclass(frozen=True)
class Scale:
    """A linear scale from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value, to a tenth."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def clipped(self, value: float) -> float:
        """Return the pixel of a value, at most at the ends of the scale."""
        return self(min(max(value, self.low), self.high))


def forest_scale(cells: Iterable[Cell]) -> Scale | None:
    """Return one scale for the intervals of all rows of a table; None where there is no value.

    A few rows that are far off (a floor beside trained methods) do not squeeze the others: the
    scale ends at three times the spread of the middle half; what is beyond sits at the edge.
    """
    known = [(c.value, c.ci95 or (c.value, c.value)) for c in cells if c.value is not None]
    values = sorted(value for value, _ in known)
    if not values:
        return None
    quarter, half, three = (values[int(q * (len(values) - 1))] for q in (0.25, 0.5, 0.75))
    spread = 3 * max(three - quarter, 0.02 * abs(half), 1e-9)
    low, high = max(values[0], quarter - spread), min(values[-1], three + spread)
    inside = [interval for value, interval in known if low <= value <= high]
    low, high = min(low, *(a for a, _ in inside)), max(high, *(b for _, b in inside))
    margin = 0.08 * ((high - low) or abs(high) or 1.0)
    return Scale(low - margin, high + margin, FOREST_MARGIN, FOREST_WIDTH - FOREST_MARGIN)


def span(cell: Cell | None, scale: Scale | None) -> Span | None:
    """Return the pixels of one row's interval."""
    if cell is None or cell.value is None or scale is None:
        return None
    low, high = cell.ci95 or (None, None)
    return Span(
        None if low is None else scale.clipped(low),
        scale.clipped(cell.value),
        None if high is None else scale.clipped(high),
    )


def zero_scale(values: Iterable[float]) -> Scale:
    """Return a scale, in percent of a plot's width, that holds zero and all values."""
    known = [0.0, *values]
    low, high = min(known), max(known)
    margin = 0.06 * ((high - low) or 1.0)
    return Scale(low - margin, high + margin, 0, 100)


def ticks(scale: Scale, about: int = 5) -> tuple[tuple[float, float], ...]:
    """Return round values inside a scale, zero among them if it is: pixel, value."""
    step = nice_top((scale.high - scale.low) / about)
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    return tuple((scale(k * step), k * step) for k in range(first, last + 1))


@dataclass(frozen=True)
class Curve:
    """One line: points as SVG wants them, its name, and which colour of the palette it has."""

    name: str
    points: str
    number: int


@dataclass(frozen=True)
class Curves:
    """A chart of shares (0 to 1) over lengths."""

    curves: tuple[Curve, ...]
    xs: tuple[tuple[float, str], ...]
    ys: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM
    top: int = TOP
    right: int = WIDTH - RIGHT


def curves(at: Sequence[float], shares: dict[str, Sequence[float | None]]) -> Curves | None:
    """Return the chart of named curves over the same lengths; None where there is nothing."""
    known = {name: ys for name, ys in shares.items() if ys and any(y is not None for y in ys)}
    if not known or len(at) < 2:
        return None
    x = Scale(at[0], at[-1], LEFT, WIDTH - RIGHT)
    y = Scale(0, 1, HEIGHT - BOTTOM, TOP)
    step = nice_top((at[-1] - at[0]) / 5)
    ticks = [at[0] + k * step for k in range(int((at[-1] - at[0]) / step + 1e-9) + 1)]
    across = [f"{x(a):g}" for a in at]
    return Curves(
        tuple(
            Curve(name, " ".join(f"{a},{y(b):g}" for a, b in zip(across, ys, strict=True)
                                 if b is not None), number)
            for number, (name, ys) in enumerate(known.items())
        ),
        tuple((x(t), f"{t:g}") for t in ticks),
        tuple((y(k / 5), f"{20 * k}") for k in range(6)),
    )  # fmt: skip
