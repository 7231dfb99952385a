"""What was seen of one experiment. All times are seconds since it began, by a monotonic clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hokusai_probe.chaos.experiment import Experiment, UserKind
from hokusai_probe.model import Frozen

ThingKind = Literal["run", "model version", "artifact"]
Fate = Literal["kept", "lost", "torn", "unknown"]


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


class Uploaded(Frozen):
    """One large artifact that a user stored: when it was begun, and whether the platform acknowledged it."""

    mib: int
    at_s: float
    took_s: float
    worked: bool
    said: str = ""


class Sighting(Frozen):
    """One repetition of the looks: which checks failed, and which causes were named or left open.

    ``errors``: checks that nobody could judge, for a reason of our own. ``subjects``: what the causes were
    named of, such as the services whose tasks are missing.
    """

    began_s: float
    ended_s: float
    failing: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    subjects: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    undecided: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether everything was judged and nothing failed. What nobody could judge is not well."""
        return not self.failing and not self.errors


class Kept(Frozen):
    """Something that the platform acknowledged, and what became of it.

    ``fate``: it is there unchanged, the platform says that it is not (or it is another), or nobody could say.
    ``torn``: an artifact that was not acknowledged is there all the same, with other bytes than were sent.
    """

    kind: ThingKind
    name: str
    acknowledged_s: float | None
    fate: Fate
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
    ``waited``: whether that was waited for at all. ``passed_on``: what the gateway answered to a key that was
    refused so, with the Retry-After of it.
    """

    method: str
    path: str
    sent: int
    taken: int
    refused: bool
    seconds: float
    retry_after: str | None = None
    let_in_s: float | None = None
    waited: bool = True
    passed_on: str | None = None


class Recorded(Frozen):
    """All that was seen of one experiment.

    ``skipped``, ``not_started``: why it did not begin. ``trouble``: what of the method could not be carried
    out. ``rollback_errors``: what of the rollback. The three times: None where it did not come so far.
    ``interrupted``: the signal. ``time_scale``: platform seconds in a second here. ``counted``: how often
    faults that take each so-manieth request were matched, by the sandbox's own count.
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
    uploads: tuple[Uploaded, ...] = ()
    kept: tuple[Kept, ...] = ()
    breaker: tuple[BreakerSeen, ...] = ()
    breaker_settings: BreakerSettings | None = None
    limits: tuple[LimitSeen, ...] = Field(default=())
    counted: int | None = None
