"""When a rising load is more than the platform holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hokusai_probe.load.plan import Kind, Plan
from hokusai_probe.load.record import CUT_SHORT, Sample
from hokusai_probe.load.stopping import Trip, beyond

SIGNS = frozenset({"errors", "latency"})
"""Rules that end any load, and are what a ramp goes on until; a 429 and server errors in a row are not."""


def saturated(
    trip: Trip | None,
    done: Sequence[Sample],
    plan: Plan,
    baseline_s: Mapping[Kind, Sequence[float]],
    *,
    deadline_s: float,
    slo_p95_ms: float | None,
) -> Trip | None:
    """Why a ramp ends now: at its aim, for another reason, or, None, not yet."""
    rate = plan.stages[done[-1].stage].rate
    if trip is not None:
        found = Trip(rule="saturated", reason=f"at {rate:g} starts a second: {trip.reason}")
        return found if trip.rule in SIGNS else trip
    stage = of_stage(done, done[-1].stage)
    if len(stage) < plan.starts_in(plan.stages[done[-1].stage]):
        return None
    times = beyond(stage, deadline_s, slo_p95_ms, baseline_s)
    if times is None or times <= 1:
        return None
    return Trip(
        rule="saturated", reason=f"at {rate:g} starts a second the p95 is {times:.1f} times what it may be"
    )


def of_stage(samples: Sequence[Sample], stage: int) -> list[Sample]:
    """The samples of one stage, less those that were cut short."""
    return [one for one in samples if one.stage == stage and one.failure != CUT_SHORT]
