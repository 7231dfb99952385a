"""A line over time as SVG, with gaps where nobody knows. Pure.

Written by hand: one line, two axes and four labels are sixty lines of code, while the well-kept plot
libraries weigh more than all our own dependencies, draw text as outlines that no reader can read out,
and set colours that know nothing of light and dark. What is drawn here is tested point by point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from hokusai_probe import text
from hokusai_probe.reports.layout import moment
from hokusai_probe.reports.trend import Point, Series

_WIDE, _HIGH, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 180, 84, 12, 12, 28
_MOST = (1, 2, 5)  # a scale ends at one of these times a power of ten

Spot = tuple[float, float]


def svg(series: Series, name: str) -> str:
    """The series as an SVG element; ``name`` (letters, digits, hyphens) makes its ids its own on the page.

    Without a known value it is a sentence that says so.
    """
    points = sorted(series.points, key=lambda p: p.at)
    if not any(p.value is not None for p in points):
        return f"<p>{text.html(series.name)}: nothing is known yet.</p>"
    scale = _Scale(points, top(series))
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDE} {_HIGH}" role="img" '
        f'aria-labelledby="{name}-title {name}-words" xmlns="http://www.w3.org/2000/svg">\n'
        f'<title id="{name}-title">{text.xml(series.name)}</title>\n'
        f'<desc id="{name}-words">{text.xml(describe(series))}</desc>\n'
        f"{scale.axes(series.unit)}\n{scale.gaps()}\n{scale.lines()}\n</svg>"
    )


def describe(series: Series) -> str:
    """The series as a sentence for who cannot see the line."""
    points = sorted(series.points, key=lambda p: p.at)
    known = [p.value for p in points if p.value is not None]
    if not known:
        return "Nothing is known yet."
    unknown = len(points) - len(known)
    return (
        f"{moment(points[0].at)} to {moment(points[-1].at)}: lowest {known_as(min(known), series.unit)}, "
        f"highest {known_as(max(known), series.unit)}, last {known_as(known[-1], series.unit)}; "
        f"{unknown} of {len(points)} unknown."
    )


def known_as(value: float, unit: str) -> str:
    """A value with its unit, at most two decimals."""
    return f"{round(value, 2):g} {unit}" if value < 1e6 else f"{value:.3g} {unit}"


def top(series: Series) -> float:
    """Where the scale ends: 100 for percent, else the next 1, 2 or 5 times a power of ten."""
    most = max((p.value for p in series.points if p.value is not None), default=0.0)
    if series.unit == "%" and most <= 100:
        return 100.0
    power = 1.0
    while power * 10 <= most:
        power *= 10
    return next((power * m for m in _MOST if power * m >= most), power * 10)


class _Scale:
    """Where a point is on the picture."""

    def __init__(self, points: Sequence[Point], most: float) -> None:
        self._points = points
        self._most = most
        self._first, self._last = points[0].at, points[-1].at

    def _x(self, at: datetime) -> float:
        seconds = (self._last - self._first).total_seconds()
        part = (at - self._first).total_seconds() / seconds if seconds else 0.5
        return round(_LEFT + part * (_WIDE - _LEFT - _RIGHT), 1)

    def _y(self, value: float) -> float:
        return round(_HIGH - _BOTTOM - value / self._most * (_HIGH - _TOP - _BOTTOM), 1)

    def axes(self, unit: str) -> str:
        """The frame with its four labels."""
        low, high, right = self._y(0), self._y(self._most), _WIDE - _RIGHT
        return (
            f'<path class="axis" d="M{_LEFT} {high}V{low}H{right}"/>'
            f'<text class="y" x="{_LEFT - 6}" y="{high + 5}">{known_as(self._most, unit)}</text>'
            f'<text class="y" x="{_LEFT - 6}" y="{low}">{known_as(0, unit)}</text>'
            f'<text x="{_LEFT}" y="{_HIGH - 8}">{moment(self._first)}</text>'
            f'<text class="y" x="{right}" y="{_HIGH - 8}">{moment(self._last)}</text>'
        )

    def gaps(self) -> str:
        """A shade from the last known point before a gap to the first one after it."""
        return "".join(
            f'<rect class="gap" x="{self._x(start)}" y="{_TOP}" '
            f'width="{round(max(self._x(end) - self._x(start), 2), 1)}" height="{_HIGH - _TOP - _BOTTOM}"/>'
            for start, end in _gaps(self._points)
        )

    def lines(self) -> str:
        """A line through each run of known points; a lonely one is a dot."""
        return "".join(_stroke(run) for run in self._runs())

    def _runs(self) -> Iterable[list[Spot]]:
        run: list[Spot] = []
        for point in self._points:
            if point.value is not None:
                run.append((self._x(point.at), self._y(point.value)))
            elif run:
                yield run
                run = []
        if run:
            yield run


def _stroke(run: Sequence[Spot]) -> str:
    if len(run) == 1:
        return f'<circle class="value" cx="{run[0][0]}" cy="{run[0][1]}" r="3"/>'
    return f'<polyline class="line" points="{" ".join(f"{x},{y}" for x, y in run)}"/>'


def _gaps(points: Sequence[Point]) -> Iterable[tuple[datetime, datetime]]:
    """From the point before each run of unknown ones to the point after it."""
    start: datetime | None = None
    for before, point in zip([points[0], *points], points, strict=False):
        if point.value is None and start is None:
            start = before.at
        elif point.value is not None and start is not None:
            yield start, point.at
            start = None
    if start is not None:
        yield start, points[-1].at
