"""When a load must end early, from the samples so far. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hokusai_probe.load.plan import REQUESTS, Kind
from hokusai_probe.load.record import Rule, Sample, needed, percentile, usual_s
from hokusai_probe.model import Frozen

WINDOW, MOST_ERRORS = 20, 0.10
"""More than this share of errors among so many last ones ends a load: from the third error on."""
IN_A_ROW = 3
BLOW_UP = 5.0
SLOW_ONES = 3
"""So many among the last 59 that took too long are more than a twentieth of them."""
QUIET_S = 0.02
"""A quiet answer counts as this long at least: five times two milliseconds would be noise."""


class Trip(Frozen):
    """Which rule ends the load, and the sentence that says so."""

    rule: Rule
    reason: str


def tripped(
    done: Sequence[Sample], baseline_s: Mapping[Kind, Sequence[float]], deadline_s: float
) -> Trip | None:
    """The first rule that holds after the newest of the samples, in the order in which they ended."""
    if done[-1].status == 429:
        return Trip(rule="429", reason="the platform said 429: it limits how often it is asked")
    last = done[-IN_A_ROW:]
    if len(last) == IN_A_ROW and all((one.status or 0) >= 500 for one in last):
        codes = ", ".join(str(one.status) for one in last)
        return Trip(rule="5xx", reason=f"{IN_A_ROW} server errors in a row: {codes}")
    return _too_many_errors(done[-WINDOW:]) or _blown_up(done[-needed(0.95) :], baseline_s, deadline_s)


def _too_many_errors(last: Sequence[Sample]) -> Trip | None:
    """Whether more than a tenth of twenty are errors, whatever those of them that are to come will be."""
    errors = [one.error for one in last if one.error]
    if len(errors) <= MOST_ERRORS * WINDOW:
        return None
    kinds = ", ".join(dict.fromkeys(errors))
    return Trip(rule="errors", reason=f"{len(errors)} errors among the last {len(last)} answers: {kinds}")


def _blown_up(
    last: Sequence[Sample], baseline_s: Mapping[Kind, Sequence[float]], deadline_s: float
) -> Trip | None:
    """Whether the p95 of 59 is beyond five times what was usual before; each against its own kind.

    By nearest rank three of 59 decide it, so the third one ends a load however few there were before it.
    What we were late ourselves is left out: it does no harm to the platform.
    """
    times = (_times_usual(one, baseline_s, deadline_s) for one in last)
    slow = sorted((found for found in times if found > BLOW_UP), reverse=True)
    if len(slow) < SLOW_ONES:
        return None
    return Trip(
        rule="latency",
        reason=f"{len(slow)} of the last {len(last)} answers took {slow[-1]:.1f} times what quiet ones did, "
        f"or longer (more than {BLOW_UP:g} times is too long)",
    )


def _times_usual(one: Sample, baseline_s: Mapping[Kind, Sequence[float]], deadline_s: float) -> float:
    seconds = one.latency_s(deadline_s) - (one.own_lateness_s or 0.0)
    return seconds / max(usual_s(baseline_s, one.kind), QUIET_S)


def limit_s(kind: Kind, slo_p95_ms: float | None, baseline_s: Mapping[Kind, Sequence[float]]) -> float:
    """How long an operation of a kind may take, in seconds: the objective for each of its requests.

    Without an objective five times what was usual before.
    """
    if slo_p95_ms is not None:
        return REQUESTS[kind] * slo_p95_ms / 1000
    return BLOW_UP * max(usual_s(baseline_s, kind), QUIET_S)


def beyond(
    samples: Sequence[Sample],
    deadline_s: float,
    slo_p95_ms: float | None,
    baseline_s: Mapping[Kind, Sequence[float]],
) -> float | None:
    """The p95 of samples as a multiple of what they may take: above 1 they did not hold. None of none."""
    parts = (one.latency_s(deadline_s) / limit_s(one.kind, slo_p95_ms, baseline_s) for one in samples)
    return percentile(parts, 0.95)
