"""What many runs say together under one key: confirmed or not, ruled out or not, calm or not. Pure.

A run speaks for an issue when it found what belongs to its key, and against it when everything that the issue
was ever about was seen to be well. All else, which is most of what can go wrong in a run, is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from hokusai_probe.history.index import Seen
from hokusai_probe.history.questions import FLAPS, WITHIN, Outage
from hokusai_probe.history.runs import State
from hokusai_probe.issues.known import About
from hokusai_probe.issues.needs import Telling
from hokusai_probe.issues.signs import Reader, Signs, is_bad, is_well
from hokusai_probe.model import Component, IssueSettings, Verdict

LOOKED_BACK = timedelta(days=14)
"""How far back runs are asked, unless an open issue is older."""
WHATEVER_IT_WAS = 2
"""How many times ``confirm_runs`` confirm a component of which each run found something else broken."""


@dataclass(slots=True)
class Standing:
    """How it stands under one key after the runs that were told of, in order.

    ``now``: what the last run that counts said. ``seen``: how often at most the same was seen in a row.
    ``goods``: how many runs in a row said that all is well. ``turned``: when it turned bad last, and
    ``well_before`` when it was last well before that. ``causes`` with what suffered and ``checks``:
    what it was ever about. ``confirmed``: whether an issue is due, unless it is ``over``; ``anew``:
    whether what came after it turned bad last would do alone.
    """

    settings: IssueSettings
    now: Literal["good", "bad", "unknown"] = "unknown"
    confirmed: bool = False
    anew: bool = False
    goods: int = 0
    bad_runs: int = 0
    first_bad: datetime | None = None
    last_bad: datetime | None = None
    last_good: datetime | None = None
    good_before: datetime | None = None
    first_good: datetime | None = None
    causes: dict[str, frozenset[str]] = field(default_factory=dict)
    checks: frozenset[str] = frozenset()
    turned: datetime | None = None
    well_before: datetime | None = None
    _marks: dict[str, int] = field(default_factory=dict)
    _turns: dict[str, tuple[datetime, ...]] = field(default_factory=dict)
    _in_a_row: int = 0
    _well: dict[int, tuple[State, bool]] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """In how many runs the same was seen, without one between that found it well."""
        return max(self._marks.values(), default=0)

    @property
    def over(self) -> bool:
        """Whether as many runs as it takes, one after the other, found that all is well."""
        return self.goods >= self.settings.close_runs

    def flaps(self, now: datetime) -> bool:
        """Whether the same turned bad so often within a day that it comes and goes."""
        return any(len(_lately(turns, now)) >= FLAPS for turns in self._turns.values())

    def is_calm(self, now: datetime) -> bool:
        """Whether nothing turned bad for a day."""
        return not any(_lately(turns, now) for turns in self._turns.values())

    def outage(self) -> Outage | None:
        """The time that is or was bad, None where no run found anything."""
        if self.first_bad is None or self.last_bad is None:
            return None
        return Outage(
            good_before=self.good_before,
            first_bad=self.first_bad,
            last_bad=self.last_bad,
            good_after=self.first_good,
            bad_runs=self.bad_runs,
        )

    # --- what a run says ------------------------------------------------------------------------------

    def bad(self, run: Seen, signs: Signs, earlier: Iterable[Seen]) -> None:
        """A run that found what belongs here; ``earlier``: the runs before it, the latest first."""
        if self.over or self.first_bad is None:
            self._begin(run.started_at, _last_well(earlier, signs))
        if self.goods or not self.bad_runs:
            self.anew = False
            self.turned, self.well_before = run.started_at, self.last_good or self.good_before
        self.now, self.goods, self.first_good = "bad", 0, None
        self.last_bad = run.started_at
        self.bad_runs += 1
        self._in_a_row += 1
        for cause, suffering in signs.causes.items():
            self.causes[cause] = self.causes.get(cause, frozenset()) | suffering
        self.checks |= signs.checks
        self._well.clear()
        for mark in signs.marks - self._marks.keys():
            self._turns[mark] = (*_lately(self._turns.get(mark, ()), run.started_at), run.started_at)
        self._marks = {**self._unless_well(run.state), **{m: self._marks.get(m, 0) + 1 for m in signs.marks}}
        self.anew = self.anew or self._is_enough(run, signs)
        self.confirmed = self.confirmed or self.anew

    def other(self, run: Seen) -> None:
        """A run that found nothing that belongs here: all is well, or nothing can be told."""
        if not self._is_well(run.state):
            self.now, self._marks = "unknown", self._unless_well(run.state)
            return
        self.first_good = self.first_good if self.goods else run.started_at
        self.now, self.last_good = "good", run.started_at
        self.goods += 1
        self._in_a_row = 0
        self._marks.clear()

    def _is_well(self, state: State) -> bool:
        if id(state) not in self._well:
            self._well[id(state)] = state, is_well(state, self.causes, self.checks)
        return self._well[id(state)][1]

    def _begin(self, now: datetime, good_before: datetime | None) -> None:
        self.first_bad, self.good_before = now, good_before
        self.bad_runs, self.confirmed = 0, False
        self.causes, self.checks = {}, frozenset()
        self._marks, self._in_a_row = {}, 0

    def _unless_well(self, state: State) -> dict[str, int]:
        gone = {*state.checks.get("pass", ()), *state.denied}
        return {mark: count for mark, count in self._marks.items() if mark not in gone}

    def _is_enough(self, run: Seen, signs: Signs) -> bool:
        needed = self.settings.confirm_runs
        return (
            self.seen >= needed
            or self._in_a_row >= WHATEVER_IT_WAS * needed
            or (run.trigger == "deploy" and signs.sure)
            or self.flaps(run.started_at)
        )


def _lately(turns: Iterable[datetime], now: datetime) -> tuple[datetime, ...]:
    return tuple(turn for turn in turns if turn > now - WITHIN)


def standings(runs: Sequence[Seen], telling: Telling, verdicts: Mapping[str, Verdict]) -> dict[str, Standing]:
    """How it stands under each key of which a run found anything. ``runs`` are those that count, in order.

    ``verdicts``: what is known of the checks, by slug: the component that they are of, and what they test.
    """
    reader = Reader(telling, verdicts)
    found: dict[str, Standing] = {}
    for number, run in enumerate(runs):
        signs = reader.signs(run.state)
        for key, these in signs.items():
            standing = found.setdefault(key, Standing(telling.target.issues))
            standing.bad(run, these, (runs[n] for n in range(number - 1, -1, -1)))
        for key, standing in found.items():
            if key not in signs:
                standing.other(run)
    return found


def _last_well(runs: Iterable[Seen], signs: Signs) -> datetime | None:
    """When a run last spoke against all of these, None where none did."""
    return next((r.started_at for r in runs if is_well(r.state, signs.causes, signs.checks)), None)


def well_in_a_row(runs: Sequence[Seen], about: About) -> int:
    """How many of the last runs found all of this well, without one between that found any of it bad.

    A run that cannot tell is passed over.
    """
    found = 0
    for run in reversed(runs):
        if is_well(run.state, about.causes, about.checks):
            found += 1
        elif is_bad(run.state, about.causes, about.checks):
            break
    return found


def is_down(runs: Sequence[Seen], component: Component, times: int) -> bool:
    """Whether the last ``times`` runs that can tell all found that a component does not serve."""
    served = (run.state.components.get(component, "unknown") for run in reversed(runs))
    told = tuple(islice((s for s in served if s != "unknown"), times))
    return len(told) == times and set(told) == {"down"}
