"""What most questions need of every run, derived from the files and never the truth. Pure.

Many runs find the same: a state is kept once, and each run names it. Two indexes of the same files are equal,
in whatever order the files came.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from hokusai_probe.history.runs import Run, State
from hokusai_probe.model import Frozen, Trigger, Utc

INDEX_VERSION: Literal[2] = 2


class Seen(Protocol):
    """What a question asks of a run: when it was, and how the platform was found. A Run is one."""

    @property
    def started_at(self) -> datetime:
        """When it started, UTC."""

    @property
    def trigger(self) -> Trigger:
        """What started it."""

    @property
    def expected_interval_s(self) -> float | None:
        """Seconds until the next one was expected, None where none was."""

    @property
    def interrupted(self) -> str | None:
        """The signal that cut it short, None where none did."""

    @property
    def state(self) -> State:
        """What was found."""


@dataclass(frozen=True, slots=True)
class Point:
    """A run as the index knows it. ``place``: its file, relative to the history's folder."""

    place: str
    started_at: datetime
    trigger: Trigger
    expected_interval_s: float | None
    state: State
    interrupted: str | None = None


class Row(Frozen):
    """One run of an index; ``state`` is a key of the index's states. ``percent``: the overall score."""

    started_at: Utc
    place: str
    trigger: Trigger = "manual"
    expected_interval_s: float | None = None
    interrupted: str | None = None
    percent: float | None = None
    state: str


class Index(Frozen):
    """All runs of one target, the earliest first."""

    index_version: Literal[2] = INDEX_VERSION
    target: str
    states: Mapping[str, State] = Field(default_factory=dict)
    rows: tuple[Row, ...] = ()

    @property
    def places(self) -> frozenset[str]:
        """The files that it is made of."""
        return frozenset(row.place for row in self.rows)

    def points(self) -> tuple[Point, ...]:
        """The runs, the earliest first, as questions want them."""
        return tuple(
            Point(
                r.place, r.started_at, r.trigger, r.expected_interval_s, self.states[r.state], r.interrupted
            )
            for r in self.rows
        )

    def changed(self, *, added: Iterable[tuple[str, Run]] = (), gone: Iterable[str] = ()) -> Index:
        """The index with these files, by place, and without those. What it knows is not added twice."""
        left = frozenset(gone)
        rows = [row for row in self.rows if row.place not in left]
        known = {row.place for row in rows}
        states = dict(self.states)
        for place, run in added:
            if place in known:
                continue
            known.add(place)
            key = key_of(run.state)
            states.setdefault(key, run.state)
            insort(rows, _row(place, run, key), key=_order)
        used = {row.state for row in rows}
        return Index(
            target=self.target,
            states={key: states[key] for key in sorted(used)},
            rows=tuple(rows),
        )


def _row(place: str, run: Run, state: str) -> Row:
    return Row(
        started_at=run.started_at,
        place=place,
        trigger=run.trigger,
        expected_interval_s=run.expected_interval_s,
        interrupted=run.interrupted,
        percent=run.score.overall.percent,
        state=state,
    )


def _order(row: Row) -> tuple[datetime, str]:
    return row.started_at, row.place


def key_of(state: State) -> str:
    """A name for a state that equal ones share."""
    return hashlib.sha256(state.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:16]
