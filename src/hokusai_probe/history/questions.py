"""What many runs say together: since when, how often, for how much of the time. Pure.

A run knows how things stood when it looked and at no other time. What lies between two runs is known only
when both found the same and the second came about when it was expected; the rest is unknown, neither good
nor bad. Runs are given in order, the earliest first, all of one target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from statistics import median
from typing import Literal

from hokusai_probe.history.index import Seen
from hokusai_probe.history.latency import Histogram, added
from hokusai_probe.history.runs import Run, State
from hokusai_probe.model import Component, Frozen

Standing = Literal["good", "bad", "unknown"]
Subject = Callable[[State], Standing]
"""What is asked about: how it stood in one run."""

REACH = 1.5
"""A run speaks for the time until the next one, if that comes within this many intervals."""
INTERVAL_S = 3600.0
"""The interval of runs that expect none, in seconds."""
FLAPS, WITHIN = 3, timedelta(hours=24)


# --- subjects -------------------------------------------------------------------------------------------


def check(slug: str) -> Subject:
    """A check: bad when it fails, good when it passes; skipped, blocked, broken or not there is unknown."""

    def standing(state: State) -> Standing:
        if slug in state.checks.get("fail", ()):
            return "bad"
        return "good" if slug in state.checks.get("pass", ()) else "unknown"

    return standing


def component(name: Component) -> Subject:
    """A component: bad when it is down or impaired, good when it is up."""

    def standing(state: State) -> Standing:
        found = state.components.get(name, "unknown")
        if found in {"down", "impaired"}:
            return "bad"
        return "good" if found == "up" else "unknown"

    return standing


def served(name: Component) -> Subject:
    """Whether a component served: bad when it is down; impaired is good enough."""

    def standing(state: State) -> Standing:
        found = state.components.get(name, "unknown")
        return {"down": "bad", "up": "good", "impaired": "good"}.get(found, "unknown")  # type: ignore[return-value]

    return standing


def cause(slug: str, runs: Iterable[Seen]) -> Subject:
    """A cause: bad when present; good when something speaks against it or all that it explained passes.

    What it explained is read from the ``runs`` in which it was present. Not named is not gone: that a run
    did not look, or left the cause undecided, is unknown.
    """
    kept = (c for run in runs for c in run.state.present() if c.cause == slug)
    explained = frozenset(check for c in kept for check in c.explains)

    def standing(state: State) -> Standing:
        found = {c.undecided for c in state.causes if c.cause == slug}
        if found:
            return "unknown" if found == {True} else "bad"
        passing = bool(explained) and explained <= set(state.checks.get("pass", ()))
        return "good" if passing or slug in state.denied else "unknown"

    return standing


# --- outages --------------------------------------------------------------------------------------------


class Outage(Frozen):
    """From the first run that found something bad to the last before one that found it good.

    It began after ``good_before`` (None: it was never seen good before) and not after ``first_bad``; it
    ended after ``last_bad`` and not after ``good_after`` (None: it has not been seen good since).
    ``bad_runs`` found it bad; ``unknown_runs`` between the first and the last of them could not tell.
    """

    good_before: datetime | None
    first_bad: datetime
    last_bad: datetime
    good_after: datetime | None = None
    bad_runs: int
    unknown_runs: int = 0

    @property
    def least_s(self) -> float:
        """Seconds that it lasted at least."""
        return (self.last_bad - self.first_bad).total_seconds()

    @property
    def most_s(self) -> float | None:
        """Seconds that it lasted at most; None when it is not over, or its beginning was not seen."""
        if self.good_before is None or self.good_after is None:
            return None
        return (self.good_after - self.good_before).total_seconds()


def outages(runs: Sequence[Seen], subject: Subject) -> tuple[Outage, ...]:
    """Every time that it was bad, the earliest first. A run that cannot tell begins and ends none."""
    known = [(run.started_at, subject(run.state), n) for n, run in enumerate(runs)]
    known = [one for one in known if one[1] != "unknown"]
    spells = [list(group) for _, group in groupby(known, key=lambda one: one[1])]
    return tuple(
        Outage(
            good_before=earlier[-1][0] if earlier else None,
            first_bad=spell[0][0],
            last_bad=spell[-1][0],
            good_after=later[0][0] if later else None,
            bad_runs=len(spell),
            unknown_runs=spell[-1][2] - spell[0][2] + 1 - len(spell),
        )
        for earlier, spell, later in zip([None, *spells], spells, [*spells[1:], None], strict=False)
        if spell[0][1] == "bad"
    )


def since(runs: Sequence[Seen], subject: Subject) -> Outage | None:
    """The outage that is not over, None where the last run that could tell found it good, or none could."""
    found = outages(runs, subject)
    return found[-1] if found and found[-1].good_after is None else None


def recoveries(runs: Sequence[Seen], subject: Subject) -> tuple[Outage, ...]:
    """The outages that are over; ``least_s`` and ``most_s`` bound the time that each recovery took."""
    return tuple(o for o in outages(runs, subject) if o.good_after is not None)


def is_flapping(
    runs: Sequence[Seen], subject: Subject, *, times: int = FLAPS, within: timedelta = WITHIN
) -> bool:
    """Whether it turned bad that many times in the time up to the last run."""
    if not runs:
        return False
    earliest = runs[-1].started_at - within
    return sum(o.first_bad >= earliest for o in outages(runs, subject)) >= times


# --- in a row -------------------------------------------------------------------------------------------


class Streak(Frozen):
    """Runs one after the other that found the same; ``missed`` of them were due and did not come."""

    standing: Standing
    first: datetime
    last: datetime
    runs: int
    missed: int = 0


def streaks(runs: Sequence[Seen], subject: Subject) -> tuple[Streak, ...]:
    """All runs in rows, the earliest first. A run that cannot tell, or never came, is in a row of unknown."""
    found = [(moment, subject(state) if state else "unknown", state is None) for moment, state in _due(runs)]
    rows = [(standing, list(group)) for standing, group in groupby(found, key=lambda one: one[1])]
    return tuple(
        Streak(
            standing=standing,
            first=row[0][0],
            last=row[-1][0],
            runs=sum(not missed for _, _, missed in row),
            missed=sum(missed for _, _, missed in row),
        )
        for standing, row in rows
    )


def in_a_row(runs: Sequence[Seen], subject: Subject) -> tuple[Standing, int]:
    """How it stands, and how many of the latest runs that could tell agree on that."""
    known = [standing for run in reversed(runs) if (standing := subject(run.state)) != "unknown"]
    if not known:
        return "unknown", 0
    return known[0], sum(1 for _ in next(groupby(known))[1])


def _due(runs: Sequence[Seen]) -> Iterator[tuple[datetime, State | None]]:
    """Every run with its state, and every one that was due with None."""
    for earlier, later in pairwise(runs):
        yield earlier.started_at, earlier.state
        interval = timedelta(seconds=earlier.expected_interval_s or INTERVAL_S)
        for number in range(_missed(earlier, later)):
            yield earlier.started_at + (number + 1) * interval, None
    for last in runs[-1:]:
        yield last.started_at, last.state


def _missed(earlier: Seen, later: Seen) -> int:
    """How many runs were due between two; none where none was expected."""
    if not earlier.expected_interval_s:
        return 0
    gap = (later.started_at - earlier.started_at).total_seconds()
    return max(math.ceil(gap / earlier.expected_interval_s - REACH), 0)


# --- availability ---------------------------------------------------------------------------------------


class Availability(Frozen):
    """Seconds of a window in which something was up, was down, and in which nobody knows."""

    up_s: float
    down_s: float
    unknown_s: float

    @property
    def percent(self) -> float | None:
        """Percent of the known time that it was up, two decimals; None where nothing is known."""
        known = self.up_s + self.down_s
        return round(100 * self.up_s / known, 2) if known else None


def availability(runs: Sequence[Seen], subject: Subject, start: datetime, end: datetime) -> Availability:
    """How long it was up and down from ``start`` to ``end``; together with the unknown, the whole window.

    The time between two runs counts only when both found the same and the second came in time.
    """
    up = down = timedelta()
    for earlier, later in pairwise(runs):
        span = min(later.started_at, end) - max(earlier.started_at, start)
        standing = _between(earlier, later, subject) if span > timedelta() else "unknown"
        up += span if standing == "good" else timedelta()
        down += span if standing == "bad" else timedelta()
    unknown = max(end - start, timedelta()) - up - down
    return Availability(
        up_s=up.total_seconds(), down_s=down.total_seconds(), unknown_s=unknown.total_seconds()
    )


def _between(earlier: Seen, later: Seen, subject: Subject) -> Standing:
    gap = (later.started_at - earlier.started_at).total_seconds()
    if gap > REACH * (earlier.expected_interval_s or INTERVAL_S):
        return "unknown"
    first = subject(earlier.state)
    return first if first == subject(later.state) else "unknown"


# --- time -----------------------------------------------------------------------------------------------


def latency(runs: Iterable[Run], start: datetime, end: datetime, endpoint: str | None = None) -> Histogram:
    """How long answers took in the runs of a window (its end excluded), of one endpoint or of all."""
    chosen = (run.latency for run in runs if start <= run.started_at < end)
    return added(h for found in chosen for name, h in found.items() if endpoint in {None, name})


class Schedule(Frozen):
    """How punctual scheduled runs are: seconds that they came later than due, and runs that never came."""

    runs: int
    missed: int
    median_lag_s: float | None = None
    longest_lag_s: float | None = None


def schedule(runs: Sequence[Seen]) -> Schedule:
    """Of the runs that a schedule started and that say when the next is due."""
    due = [run for run in runs if run.trigger == "schedule" and run.expected_interval_s]
    lags = [_lag_s(earlier, later) for earlier, later in pairwise(due)]
    return Schedule(
        runs=len(due),
        missed=sum(_missed(earlier, later) for earlier, later in pairwise(due)),
        median_lag_s=round(median(lags), 1) if lags else None,
        longest_lag_s=round(max(lags), 1) if lags else None,
    )


def _lag_s(earlier: Seen, later: Seen) -> float:
    """Seconds that a run came later than the last one that was due before it; negative when early."""
    interval = earlier.expected_interval_s or INTERVAL_S
    gap = (later.started_at - earlier.started_at).total_seconds()
    return gap - interval * (1 + _missed(earlier, later))
