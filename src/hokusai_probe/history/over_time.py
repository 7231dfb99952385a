"""What a page shows over time, from the runs of one target. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from hokusai_probe.history import questions
from hokusai_probe.history.index import Seen
from hokusai_probe.history.latency import Histogram, added
from hokusai_probe.history.runs import Run
from hokusai_probe.model import Component
from hokusai_probe.reports.trend import Point, Series, Spell, Trend

DAYS = 30
"""How far the page looks back."""
LATEST = 200
"""Runs whose times of answers it shows."""


def trend_of(points: Sequence[Seen], latest: Sequence[Run]) -> Trend:
    """Availability by day and component, latency by run and host, and when each cause was there.

    ``points``: all runs, ``latest``: those whose files were read for their times; both the earliest first. A
    day of which nothing is known is a gap.
    """
    if not points:
        return Trend()
    return Trend(
        availability=tuple(_availability(points)),
        latency=tuple(_latency(latest)),
        causes={slug: _spells(points, slug) for slug in sorted(_causes(points))},
    )


def _availability(points: Sequence[Seen]) -> Iterator[Series]:
    for component in sorted({c for p in points for c in p.state.components}):
        yield Series(name=component, unit="%", points=tuple(_by_day(points, component)))


def _by_day(points: Sequence[Seen], component: Component) -> Iterator[Point]:
    end, subject = points[-1].started_at, questions.served(component)
    for start in _days(max(points[0].started_at, end - timedelta(days=DAYS)), end):
        until = min(start + timedelta(days=1), end)
        found = questions.availability(_around(points, start, until), subject, start, until)
        yield Point(at=start, value=found.percent)


def _around(points: Sequence[Seen], start: datetime, end: datetime) -> Sequence[Seen]:
    """The runs of a window and the ones next to it, which say what was so at its edges."""
    first = bisect_left(points, start, key=lambda p: p.started_at)
    last = bisect_right(points, end, key=lambda p: p.started_at)
    return points[max(first - 1, 0) : last + 1]


def _days(start: datetime, end: datetime) -> Iterator[datetime]:
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= end:
        yield day
        day += timedelta(days=1)


def _latency(runs: Sequence[Run]) -> Iterator[Series]:
    """The time within which 95 of 100 answers of a host came, by run."""
    hosts = sorted({_host(endpoint) for run in runs for endpoint in run.latency})
    for host in hosts:
        points = (Point(at=run.started_at, value=_of_host(run, host).quantile_ms(0.95)) for run in runs)
        yield Series(name=f"{host}, p95", unit="ms", points=tuple(points))


def _host(endpoint: str) -> str:
    """The host of an endpoint: its second word."""
    return endpoint.split(" ")[1]


def _of_host(run: Run, host: str) -> Histogram:
    return added(h for endpoint, h in run.latency.items() if _host(endpoint) == host)


def _causes(points: Iterable[Seen]) -> set[str]:
    return {c.cause for p in points for c in p.state.present()}


def _spells(points: Sequence[Seen], slug: str) -> tuple[Spell, ...]:
    found = questions.outages(points, questions.cause(slug, points))
    return tuple(
        Spell(
            first=o.first_bad,
            last=None if o.good_after is None else o.last_bad,
            last_good=o.good_before,
        )
        for o in found
    )
