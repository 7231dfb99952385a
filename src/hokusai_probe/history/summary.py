"""All that a history says of one target up to a moment, as data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import Field

from hokusai_probe.history import questions
from hokusai_probe.history.index import Point
from hokusai_probe.history.latency import Histogram, Percentiles, added
from hokusai_probe.history.questions import Availability, Outage, Schedule
from hokusai_probe.history.runs import OldCount, Run
from hokusai_probe.model import Component, Frozen


class Scored(Frozen):
    """What a report of the former scripts counted, and when."""

    at: datetime
    old_count: Mapping[str, OldCount]


class Summary(Frozen):
    """One target up to its last run; ``start`` and ``end`` bound the window of what is counted over time.

    ``failing`` and ``present``: since when. ``recovered``: what is over of the causes that were present in
    the window. ``flapping``: checks and causes that turned bad three times within a day before the last run.
    """

    target: str
    runs: int
    first: datetime
    last: datetime
    start: datetime
    end: datetime
    present: Mapping[str, Outage] = Field(default_factory=dict)
    failing: Mapping[str, Outage] = Field(default_factory=dict)
    flapping: tuple[str, ...] = ()
    recovered: Mapping[str, tuple[Outage, ...]] = Field(default_factory=dict)
    components: Mapping[str, Availability] = Field(default_factory=dict)
    latency: Mapping[str, Percentiles] = Field(default_factory=dict)
    schedule: Schedule
    old_scores: tuple[Scored, ...] = ()


def summary(target: str, points: Sequence[Point], recent: Iterable[Run], window: timedelta) -> Summary:
    """The summary of all runs of a target, given in order and at least one.

    ``recent``: the runs of the window, which ends with the last run and begins no sooner than the first;
    their latencies are read. Whatever of
    them is a report of the former scripts is not: :func:`with_old_scores` adds those.
    """
    end = points[-1].started_at
    start = max(end - window, points[0].started_at)
    windowed = [p for p in points if p.started_at >= start]
    checks = {slug for p in windowed for slug in p.state.checks.get("fail", ())}
    causes = {c.cause for p in windowed for c in p.state.present()}
    about = {slug: questions.check(slug) for slug in sorted(checks)}
    of_causes = {slug: questions.cause(slug, points) for slug in sorted(causes)}
    both = {**about, **of_causes}
    over = {slug: questions.recoveries(points, subject) for slug, subject in of_causes.items()}
    return Summary(
        target=target,
        runs=len(points),
        first=points[0].started_at,
        last=end,
        start=start,
        end=end,
        present=_open(points, of_causes),
        failing=_open(points, about),
        flapping=tuple(slug for slug, subject in both.items() if questions.is_flapping(points, subject)),
        recovered={slug: found for slug, outages in over.items() if (found := _since(outages, start))},
        components=_components(points, start, end),
        latency=_latency(recent),
        schedule=questions.schedule(windowed),
    )


def with_old_scores(found: Summary, runs: Iterable[Run]) -> Summary:
    """The summary with the scores of the former scripts among these runs."""
    scored = (Scored(at=run.started_at, old_count=run.old_count) for run in runs if run.old_count)
    return found.model_copy(update={"old_scores": tuple(sorted(scored, key=lambda one: one.at))})


def _open(points: Sequence[Point], subjects: Mapping[str, questions.Subject]) -> dict[str, Outage]:
    found = {slug: questions.since(points, subject) for slug, subject in subjects.items()}
    return {slug: outage for slug, outage in found.items() if outage is not None}


def _since(found: Iterable[Outage], start: datetime) -> tuple[Outage, ...]:
    return tuple(o for o in found if o.last_bad >= start)


def _components(points: Sequence[Point], start: datetime, end: datetime) -> dict[str, Availability]:
    names: set[Component] = {name for p in points if p.started_at >= start for name in p.state.components}
    platform = sorted(names - {"client", "probe"})
    return {name: questions.availability(points, questions.served(name), start, end) for name in platform}


def _latency(runs: Iterable[Run]) -> dict[str, Percentiles]:
    by_endpoint: dict[str, Histogram] = {}
    for run in runs:
        for endpoint, times in run.latency.items():
            by_endpoint[endpoint] = added((by_endpoint.get(endpoint, Histogram()), times))
    found = {endpoint: by_endpoint[endpoint].percentiles() for endpoint in sorted(by_endpoint)}
    return {endpoint: percentiles for endpoint, percentiles in found.items() if percentiles is not None}
