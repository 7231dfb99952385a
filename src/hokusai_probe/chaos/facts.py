"""What was seen of one experiment. All times are seconds since it began, by a monotonic clock."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hokusai_probe.chaos.experiment import Experiment, UserKind
from hokusai_probe.model import Frozen

ThingKind = Literal["run", "model version", "artifact"]


class Event(Frozen):
    """Something that was done, or noticed."""

    at_s: float
    what: str


class Used(Frozen):
    """One thing that a user tried. ``at_s``: its intended start; ``took_s``: from then; ``said``: why not."""

    kind: UserKind
    at_s: float
    took_s: float
    worked: bool
    said: str = ""


class Sighting(Frozen):
    """One repetition of the looks: which checks failed, and which causes were named or left open."""

    began_s: float
    ended_s: float
    failing: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()


class Kept(Frozen):
    """Something that the platform acknowledged, and what became of it.

    ``fate``: it is there unchanged, the platform says that it is not (or it is another), or nobody could say.
    """

    kind: ThingKind
    name: str
    acknowledged_s: float
    fate: Literal["kept", "lost", "unknown"]
    said: str = ""


class BreakerSeen(Frozen):
    """One answer of ``/health/mlflow``: what the gateway says of its breaker, None where it says nothing."""

    at_s: float
    status: int | None
    state: str | None = None
    failures: int | None = None


class BreakerSettings(Frozen):
    """The breaker as the platform's configuration has it, in platform seconds, and where that stands."""

    failures: int
    recovery_s: float
    source: str


class LimitSeen(Frozen):
    """How one route took many requests.

    ``sent`` in ``seconds``; ``taken`` of them were not refused, or not 429. ``refused``: whether a 429 came.
    ``retry_after``: its header. ``let_in_s``: from the first request until one was taken again; None: not.
    """

    method: str
    path: str
    sent: int
    taken: int
    refused: bool
    seconds: float
    retry_after: str | None = None
    let_in_s: float | None = None


class Recorded(Frozen):
    """All that was seen of one experiment.

    ``skipped``, ``not_started``: why it did not begin. ``trouble``: what of the method could not be carried
    out. ``rollback_errors``: what of the rollback. The three times: None where it did not come so far.
    ``interrupted``: the signal. ``time_scale``: platform seconds in a second here.
    """

    experiment: Experiment
    seed: int = 0
    time_scale: float = 1.0
    skipped: str | None = None
    not_started: tuple[str, ...] = ()
    trouble: str | None = None
    interrupted: str | None = None
    fault_began_s: float | None = None
    rollback_began_s: float | None = None
    rollback_ended_s: float | None = None
    ended_s: float = 0.0
    rollback_errors: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    used: tuple[Used, ...] = ()
    kept: tuple[Kept, ...] = ()
    breaker: tuple[BreakerSeen, ...] = ()
    breaker_settings: BreakerSettings | None = None
    limits: tuple[LimitSeen, ...] = Field(default=())
