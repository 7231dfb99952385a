"""What a load test is to send, and when: all of it is known before the first request. Pure.

Starts come at a constant rate whatever becomes of the ones before (an open model). Who waits for an answer
before asking again (a closed loop) asks least while the platform stands still, and so hardly sees it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field

from hokusai_probe.config import ConfigError
from hokusai_probe.model import Frozen, LoadCaps

Kind = Literal["search", "models", "health", "registration", "upload", "download"]

REQUESTS: Mapping[Kind, int] = {
    "search": 1,
    "models": 1,
    "health": 1,
    "registration": 9,
    "upload": 1,
    "download": 1,
}
"""How many requests one start of a kind sends at most, one after the other."""
QUIET: Mapping[Kind, int] = {
    "search": 5,
    "models": 5,
    "health": 5,
    "registration": 1,
    "upload": 3,
    "download": 5,
}
"""How many operations of a kind are carried out one after the other before the load, for what is usual."""
CREATING: frozenset[Kind] = frozenset({"registration", "upload", "download"})
"""Kinds that need something of ours on the platform, which is removed again."""
READS: Mapping[Kind, int] = {"search": 2, "models": 1, "health": 1}
CAPS = LoadCaps()
"""What no configuration can raise."""
RAMP = (0.25, 0.5, 0.75, 1.0)
STARTS_A_STAGE = 60
"""Of a ramp: the fewest of which a p95 can be said (59), and one more."""


Count = Annotated[int, Field(gt=0, le=1_000_000)]
Amount = Annotated[float, Field(ge=1e-6, le=1e12, allow_inf_nan=False)]
"""Far beyond every cap on both sides, so that no sum, product or quotient of two of them overflows."""


class Stage(Frozen):
    """``rate`` starts a second for ``seconds``."""

    rate: Amount
    seconds: Amount


class Plan(Frozen):
    """A load: what is sent in which proportion (``mix``), how often, and how much of it at once.

    ``burst`` starts come at the same moment, at the same rate on average. ``at_once``: operations under way;
    a start that finds no place is late. ``artifact_bytes``: the size of what is stored and fetched. ``ramp``:
    a stage is begun only where the one before it held.
    """

    mix: Mapping[Kind, Count] = Field(default=READS, min_length=1)
    stages: tuple[Stage, ...] = Field(default=(Stage(rate=5, seconds=20),), min_length=1, max_length=100)
    burst: Count = 1
    at_once: Count = CAPS.at_once
    artifact_bytes: Annotated[int, Field(gt=0, le=CAPS.bytes)] = 16 * 1024
    ramp: bool = False

    @classmethod
    def ramping(cls, rate: float, mix: Mapping[Kind, int] = READS, at_once: int = CAPS.at_once) -> Self:
        """A ramp up to a rate, in four stages of sixty starts each: enough for a p95 of every stage."""
        rates = [Stage(rate=rate * part, seconds=1).rate for part in RAMP]  # refused before it divides
        stages = [Stage(rate=each, seconds=STARTS_A_STAGE / each) for each in rates]
        return cls(mix=mix, stages=tuple(stages), at_once=at_once, ramp=True)

    @property
    def seconds(self) -> float:
        """How long starts come."""
        return sum(stage.seconds for stage in self.stages)

    def starts_in(self, stage: Stage) -> int:
        """How many starts a stage has: whole bursts, and one at least."""
        bursts = math.floor(stage.rate * stage.seconds / self.burst + 1e-6)
        return max(bursts, 1) * self.burst

    @property
    def creates(self) -> bool:
        """Whether anything is created on the platform."""
        return bool(CREATING & set(self.mix))


USUAL = Plan()


class Start(NamedTuple):
    """One start: seconds after the load's begin, of what, and in which stage (from 0)."""

    at_s: float
    kind: Kind
    stage: int


def schedule(plan: Plan) -> tuple[Start, ...]:
    """Every start of a plan, in order. Kinds take turns by their weights, as evenly as that goes."""
    turns = _turns(plan.mix)
    return tuple(Start(at_s, next(turns), stage) for stage, at_s in _moments(plan))


def _moments(plan: Plan) -> Iterator[tuple[int, float]]:
    begun = 0.0
    for number, stage in enumerate(plan.stages):
        for i in range(plan.starts_in(stage)):
            yield number, begun + (i - i % plan.burst) / stage.rate
        begun += stage.seconds


def _turns(mix: Mapping[Kind, int]) -> Iterator[Kind]:
    """Kinds without end: each time the one that is furthest behind its share."""
    total, credit = sum(mix.values()), dict.fromkeys(mix, 0)
    while True:
        for kind, weight in mix.items():
            credit[kind] += weight
        chosen = max(credit, key=lambda kind: credit[kind])
        credit[chosen] -= total
        yield chosen


def requests_of(starts: tuple[Start, ...]) -> int:
    """How many requests these starts send at most."""
    return sum(REQUESTS[start.kind] for start in starts)


def uploads_of(plan: Plan, starts: tuple[Start, ...]) -> int:
    """How many artifacts are stored: by these starts, by the quiet ones before, and the one to fetch."""
    seed = bool({"upload", "download"} & set(plan.mix))
    return _moves("upload", plan, starts) + seed


def sent_bytes(plan: Plan, starts: tuple[Start, ...]) -> int:
    """How many bytes of artifacts these starts and what comes before them move, in both directions."""
    return (uploads_of(plan, starts) + _moves("download", plan, starts)) * plan.artifact_bytes


def _moves(kind: Kind, plan: Plan, starts: tuple[Start, ...]) -> int:
    quiet = QUIET[kind] if kind in plan.mix else 0
    return quiet + sum(start.kind == kind for start in starts)


def caps_for(wanted: LoadCaps) -> LoadCaps:
    """What a target allows, never more than :data:`CAPS`, however it was made."""
    names = LoadCaps.model_fields
    return LoadCaps(**{name: min(getattr(wanted, name), getattr(CAPS, name)) for name in names})


def refuse_excess(plan: Plan, caps: LoadCaps) -> None:
    """Raise ConfigError, saying the cap, for a plan that goes beyond one."""
    for name, planned, cap in _planned(plan, caps):
        if planned > cap + 1e-6:
            whose = "that this tool ever sends" if cap == getattr(CAPS, name) else "that the target allows"
            msg = f"the load would come to {planned:g} {_WORDS[name]}, more than the {cap:g} {whose}"
            msg += f" ([load] {name})"
            raise ConfigError(msg)
    if plan.burst > plan.at_once:
        msg = f"{plan.burst} starts at the same moment are more than the {plan.at_once} at once"
        raise ConfigError(msg)


_WORDS = {
    "requests_per_s": "requests a second",
    "seconds": "seconds",
    "requests": "requests",
    "at_once": "at once",
    "bytes": "bytes of artifacts",
}


def _planned(plan: Plan, caps: LoadCaps) -> Iterator[tuple[str, float, float]]:
    """What is capped, how much of it is planned, and the cap; the schedule only of what is not endless."""
    each = sum(REQUESTS[kind] * weight for kind, weight in plan.mix.items()) / sum(plan.mix.values())
    rates = (max(stage.rate, plan.starts_in(stage) / stage.seconds) for stage in plan.stages)
    yield "requests_per_s", max(rates) * each, caps.requests_per_s
    yield "seconds", plan.seconds, caps.seconds
    yield "at_once", plan.at_once, caps.at_once
    starts = schedule(plan)
    yield "requests", requests_of(starts), caps.requests
    yield "bytes", sent_bytes(plan, starts), caps.bytes
