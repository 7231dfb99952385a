"""Two pictures of a load as SVG files: latency over time, and latency against rate. Pure.

Every sample is a dot, for what matters lies outside the middle. Colours follow light and dark by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hokusai_probe import text
from hokusai_probe.load.judging import Judgement
from hokusai_probe.load.record import CUT_SHORT, LoadReport
from hokusai_probe.reports.chart import known_as

_WIDE, _HIGH, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 240, 84, 24, 14, 44
_STEPS = (1, 2, 5, 10)
_STYLE = (
    "svg{background:#fff}text{font:12px sans-serif;fill:#222}.y{text-anchor:end}.axis{fill:none;stroke:#555}"
    ".limit{stroke:#b26a00;stroke-dasharray:6 4}.line{fill:none;stroke:#1a6fb5}"
    ".ok{fill:#1a6fb5}.missed{fill:#b26a00}.error{fill:#b3261e}"
    "@media(prefers-color-scheme:dark){svg{background:#1c1c1c}text{fill:#ddd}.axis{stroke:#999}"
    ".line{stroke:#6db3f2}.ok{fill:#6db3f2}.missed{fill:#ffb74d}.error{fill:#f2857d}.limit{stroke:#ffb74d}}"
)


@dataclass(frozen=True, slots=True)
class Dot:
    """A value at a place, and how it is drawn: ``ok``, ``missed`` or ``error``."""

    x: float
    y: float
    look: str = "ok"


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture shows. ``line``: places that are joined; ``limit``: a value that is marked."""

    title: str
    words: str
    x_label: str
    dots: Sequence[Dot]
    line: Sequence[Dot] = ()
    limit: float | None = None


def over_time(report: LoadReport) -> str:
    """Latency in ms of each start over the seconds of the load; errors stand at their deadline."""
    dots = [
        Dot(
            s.intended_s,
            s.latency_s(report.deadline_s) * 1000,
            "error" if s.error else "missed" if s.missed else "ok",
        )
        for s in report.samples
        if s.failure != CUT_SHORT
    ]
    words = f"{len(dots)} starts: blue answered, orange had to wait for a place, red an error."
    return svg(Picture("Latency over time", words, "s after the beginning", dots, (), report.slo_p95_ms))


def against_rate(report: LoadReport, judged: Judgement) -> str:
    """Latency in ms of each start over the rate of its stage, with a line through the p95 of the stages."""
    rates = [stage.rate for stage in report.plan.stages]
    dots = [
        Dot(rates[s.stage], s.latency_s(report.deadline_s) * 1000, "error" if s.error else "ok")
        for s in report.samples
        if s.failure != CUT_SHORT
    ]
    line = [Dot(s.rate, s.times.p95_ms) for s in judged.stages if s.times.p95_ms is not None]
    words = "Each start over the rate at which starts came; the line joins the p95 of each rate."
    return svg(Picture("Latency against rate", words, "starts a second", dots, line, report.slo_p95_ms))


def svg(shown: Picture) -> str:
    """The picture as a file of its own."""
    scale = _Scale.of(shown)
    parts = [*scale.axes(shown.x_label), *scale.drawn(shown)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" role="img" '
        f'aria-labelledby="title words">\n<title id="title">{text.xml(shown.title)}</title>\n'
        f'<desc id="words">{text.xml(shown.words)}</desc>\n<style>{_STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def top(most: float) -> float:
    """Where a scale ends: the next 1, 2 or 5 times a power of ten; of next to nothing 1."""
    power = 1.0
    while power * 10 < most:
        power *= 10
    while power > most > 1e-9:
        power /= 10
    return next(power * step for step in _STEPS if power * step >= most)


@dataclass(frozen=True, slots=True)
class _Scale:
    right: float
    high: float

    @classmethod
    def of(cls, shown: Picture) -> _Scale:
        spots = [*shown.dots, *shown.line]
        values = [dot.y for dot in spots]
        return cls(
            top(max((dot.x for dot in spots), default=1.0)), top(max((*values, shown.limit or 0.0, 1.0)))
        )

    def x(self, value: float) -> float:
        return round(_LEFT + value / self.right * (_WIDE - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(_HIGH - _BOTTOM - value / self.high * (_HIGH - _TOP - _BOTTOM), 1)

    def axes(self, label: str) -> Iterable[str]:
        low, high = self.y(0), self.y(self.high)
        yield f'<path class="axis" d="M{_LEFT} {high}V{low}H{_WIDE - _RIGHT}"/>'
        yield f'<text class="y" x="{_LEFT - 6}" y="{high + 5}">{known_as(self.high, "ms")}</text>'
        yield f'<text class="y" x="{_LEFT - 6}" y="{low}">0 ms</text>'
        yield f'<text x="{_LEFT}" y="{_HIGH - 24}">0</text>'
        yield f'<text class="y" x="{_WIDE - _RIGHT}" y="{_HIGH - 24}">{self.right:g}</text>'
        yield f'<text x="{_LEFT}" y="{_HIGH - 8}">{text.xml(label)}</text>'

    def drawn(self, shown: Picture) -> Iterable[str]:
        if shown.limit is not None:
            y = self.y(shown.limit)
            yield f'<path class="limit" d="M{_LEFT} {y}H{_WIDE - _RIGHT}"/>'
        for dot in shown.dots:
            yield f'<circle class="{dot.look}" cx="{self.x(dot.x)}" cy="{self.y(dot.y)}" r="2.5"/>'
        if len(shown.line) > 1:
            joined = " ".join(f"{self.x(dot.x)},{self.y(dot.y)}" for dot in shown.line)
            yield f'<polyline class="line" points="{joined}"/>'
