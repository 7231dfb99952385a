"""What a load test recorded, and what a single sample says. Pure; everything else is judged from this."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hokusai_probe.load.plan import Kind, Plan
from hokusai_probe.looking import Entry
from hokusai_probe.model import Frozen, Utc

Outcome = Literal["finished", "aborted", "interrupted"]
Rule = Literal["not-ready", "429", "5xx", "errors", "latency", "saturated", "ours"]

CUT_SHORT = "cut-short"
"""The failure of a sample that was under way when the load was stopped: it says nothing of the platform."""
NEVER_SENT = "never-sent"
"""The failure of a start that found no place until the load was over."""
SCHEMA_VERSION: Literal["1.0"] = "1.0"
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Counted = Annotated[int, Field(ge=0)]
_ROUNDING_S = 0.001


class Sample(Frozen):
    """One start and what became of it. Seconds after the load's begin, on a clock that is never set.

    ``intended_s`` is when it should have been sent; ``sent_s`` None: it never was. ``missed``: there was no
    place for it then. ``status`` is the last answer's, or the first one's that was none of success.
    ``failure``: why there was no whole answer, in the words of the HTTP door, ``deadline``, or one of
    :data:`CUT_SHORT` and :data:`NEVER_SENT`.
    """

    intended_s: Seconds
    sent_s: Seconds | None
    ended_s: Seconds
    kind: Kind
    stage: Counted = 0
    status: int | None = None
    failure: str | None = None
    missed: bool = False

    @property
    def ok(self) -> bool:
        """Whether it was answered as it should be."""
        return self.failure is None and self.status is not None and 200 <= self.status < 300

    @property
    def error(self) -> str | None:
        """What went wrong, as errors are counted by; None: nothing."""
        if self.ok:
            return None
        return self.failure or f"status {self.status}"

    def latency_s(self, deadline_s: float) -> float:
        """Seconds from the intended start to the end; an error counts for its deadline at least."""
        taken = self.ended_s - self.intended_s
        return taken if self.ok else max(taken, deadline_s)

    @property
    def own_lateness_s(self) -> float | None:
        """Seconds by which we sent it late though there was a place; None where there was none."""
        return None if self.sent_s is None or self.missed else self.sent_s - self.intended_s


class LoadReport(Frozen):
    """One load test. ``duration_s`` is that of the load, without what came before and after it.

    ``baseline_s``: how long quiet answers took, by kind. ``deadline_s``: after which an operation is given
    up. ``rule``: which rule ended it early, ``reason`` the sentence. ``created``: what was made, and whether
    it is gone again; ``left``: sentences about what a look afterwards still found. ``started_at`` is UTC.
    A ValueError where a sample is none of the plan's, or ended before it was due.
    """

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    target: str
    host: str
    started_at: Utc
    tool_version: str
    plan: Plan
    deadline_s: Annotated[Seconds, Field(gt=0)]
    slo_p95_ms: Annotated[float, Field(ge=1e-6, le=1e9, allow_inf_nan=False)] | None
    outcome: Outcome
    rule: Rule | None = None
    reason: str = ""
    duration_s: Seconds = 0.0
    requests_sent: Counted = 0
    bytes_received: Counted = 0
    baseline_s: Mapping[Kind, tuple[Seconds, ...]] = Field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    created: tuple[Entry, ...] = ()
    left: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _of_its_plan(self) -> Self:
        for number, one in enumerate(self.samples):
            wrong = _unplanned(one, self.plan)
            if wrong is not None:
                msg = f"sample {number} {wrong}"
                raise ValueError(msg)
        return self

    def to_json(self) -> str:
        """The report as JSON text."""
        return self.model_dump_json(indent=1) + "\n"


def _unplanned(one: Sample, plan: Plan) -> str | None:
    """Why no load of this plan can have recorded it; None: it can."""
    if one.stage >= len(plan.stages):
        return f"is of stage {one.stage}, and the plan has {len(plan.stages)} (counted from 0)"
    if one.kind not in plan.mix:
        return f"is of kind {one.kind}, which is not in the mix"
    return "ended before it was due" if one.ended_s < one.intended_s - _ROUNDING_S else None


def needed(share: float) -> int:
    """How many samples a percentile needs: so many that the largest covers it with 95 % confidence.

    59 for 0.95, 299 for 0.99: the least n for which ``1 - share ** n`` is 0.95 or more.
    """
    return math.ceil(math.log(0.05) / math.log(share))


def percentile(values: Iterable[float], share: float) -> float | None:
    """By nearest rank: the smallest value that at least this share did not exceed; None of no values."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered) - 1e-9), 1) - 1] if ordered else None


def usual_s(baseline_s: Mapping[Kind, Sequence[float]], kind: Kind) -> float:
    """The median of the quiet answers of a kind, in seconds; of no answers 0."""
    return percentile(baseline_s.get(kind, ()), 0.5) or 0.0
