"""What a report may say of the time before its run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import Field

from hokusai_probe.history import questions
from hokusai_probe.history.compare import Comparison, compare
from hokusai_probe.history.index import Point, Seen
from hokusai_probe.history.pace import Pace
from hokusai_probe.history.questions import Availability, Outage
from hokusai_probe.history.runs import Run, State
from hokusai_probe.model import Component, Frozen

WINDOW = timedelta(days=7)
"""How far back availability is counted."""


class Past(Frozen):
    """What the runs before a run tell of it: empty where there was none.

    ``compared``: with the previous run. ``old``: with the newest scores of the former scripts, where such
    were imported and the previous run is not them. ``runs``: how many were before, the first at ``first``.
    ``causes`` and ``checks``: since when what is present and what fails is bad. ``flapping``: checks and
    causes that turned bad three times within the last day. ``served``: for how much of the last seven days
    each component served. ``changed``: the two runs between which what fails or is present last changed.
    ``explained``: the checks that each cause of an earlier run explained. ``paces``: how fast each part of
    the way was in the latest runs, this one included.
    """

    compared: Comparison | None = None
    old: Comparison | None = None
    runs: int = 0
    first: datetime | None = None
    causes: Mapping[str, Outage] = Field(default_factory=dict)
    checks: Mapping[str, Outage] = Field(default_factory=dict)
    flapping: tuple[str, ...] = ()
    served: Mapping[str, Availability] = Field(default_factory=dict)
    changed: tuple[datetime, datetime] | None = None
    explained: Mapping[str, frozenset[str]] = Field(default_factory=dict)
    paces: Mapping[str, Pace] = Field(default_factory=dict)


def past_of(points: Sequence[Point], run: Run, before: Run | None, old: Run | None = None) -> Past:
    """What is known of the time before a run, from the runs of its target.

    ``before`` is the previous one, ``old`` the newest that holds scores of the former scripts.
    """
    earlier = [p for p in points if p.started_at < run.started_at]
    judged = [p for p in earlier if p.state.checks]
    runs: tuple[Seen, ...] = (*earlier, run)
    causes = dict.fromkeys(c.cause for c in run.state.present())
    since = {slug: questions.since(runs, questions.cause(slug, runs)) for slug in causes}
    failing = {s: questions.since(runs, questions.check(s)) for s in run.state.checks.get("fail", ())}
    return Past(
        compared=compare(before, run) if before is not None else None,
        old=compare(old, run) if old is not None and old != before else None,
        runs=len(judged),
        first=judged[0].started_at if judged else None,
        causes={slug: outage for slug, outage in since.items() if outage is not None},
        checks={slug: outage for slug, outage in failing.items() if outage is not None},
        flapping=tuple(_flapping(runs)),
        served=dict(_served((*judged, run))),
        changed=_changed((*judged, run)),
        explained=explained(run.state for run in earlier),
    )


def explained(states: Iterable[State]) -> Mapping[str, frozenset[str]]:
    """The checks that each cause explained, present or open, in any of these states."""
    found: dict[str, set[str]] = {}
    for kept in (cause for state in states for cause in state.causes):
        found.setdefault(kept.cause, set()).update(kept.explains)
    return {slug: frozenset(checks) for slug, checks in found.items()}


def _flapping(runs: Sequence[Seen]) -> Iterator[str]:
    """What turned bad several times in the last day: asked of all runs, but only of what the day suggests."""
    lately = [r for r in runs if r.started_at >= runs[-1].started_at - questions.WITHIN]
    checks = {slug for r in lately for slug in r.state.checks.get("fail", ())}
    causes = {c.cause for r in lately for c in r.state.present()}
    of_causes = {slug: questions.cause(slug, runs) for slug in sorted(causes)}
    for slug, subject in {**{s: questions.check(s) for s in sorted(checks)}, **of_causes}.items():
        if questions.is_flapping(lately, subject) and questions.is_flapping(runs, subject):
            yield slug


def _served(runs: Sequence[Seen]) -> Iterator[tuple[Component, Availability]]:
    """Of the window up to the last run, which begins no sooner than the first."""
    end = runs[-1].started_at
    start = max(end - WINDOW, runs[0].started_at)
    first = next(n for n, r in enumerate(runs) if r.started_at >= start)
    windowed = runs[max(first - 1, 0) :]
    names: set[Component] = {name for r in windowed for name in r.state.components}
    for name in sorted(names - {"client", "probe"}) if start < end else ():
        yield name, questions.availability(windowed, questions.served(name), start, end)


def _changed(runs: Sequence[Seen]) -> tuple[datetime, datetime] | None:
    """The last two runs in a row that did not find the same; None where all did."""
    now = _found(runs[-1])
    for earlier, later in zip(runs[-2::-1], runs[:0:-1], strict=True):
        if _found(earlier) != now:
            return earlier.started_at, later.started_at
    return None


def _found(run: Seen) -> tuple[tuple[str, ...], frozenset[str]]:
    return run.state.checks.get("fail", ()), frozenset(c.cause for c in run.state.present())
