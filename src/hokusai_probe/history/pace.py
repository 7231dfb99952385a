"""How fast each part of the way is, against the objective and against the runs before. Pure.

One run has a few samples of each part, and a few samples say nothing of a percentile: the largest of them is
beyond the 95th percentile with 95 % confidence from 59 on, beyond the 99th from 299 on. So percentiles are of
many runs, and below these numbers nothing is said.

Whether a part has become slower is asked of the runs' medians with a cumulative sum (Page, "Continuous
inspection schemes", 1954), of which each run may add only so much (Lucas and Crosier, "Robust CUSUM", 1982):
however bad one minute was, no single run and no three in a row make a regression. Middle and spread are the
median and the median absolute deviation of the earlier runs, which outliers among them hardly move.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Literal

from hokusai_probe.history.latency import GROWTH, Histogram, Phases, all_phases
from hokusai_probe.history.parts import PARTS
from hokusai_probe.history.runs import Run
from hokusai_probe.model import Frozen

RUNS = 100
"""The latest runs that are judged: four days of hourly ones, and the file of each is read."""
NEEDED = {0.50: 1, 0.95: 59, 0.99: 299}
"""Samples from which a percentile is said: 1 - share ** n is 0.95 or more."""
CONFIDENCE = 0.99
LATE_RUNS = 3
"""Runs that must have late answers before the objective is missed: one bad minute is in one run."""

EARLIER, SPAN, NEWEST = 24, timedelta(hours=23), 24
"""A baseline has so many runs at least, over a day less an hour; of more, none of the newest."""
CLIP, ALLOWED, ALARM = 3.0, 1.25, 12.0
"""In spreads: what one run counts at most, what is taken off each, and the sum that makes a regression."""
COMPARED = ("connect", "first byte")
"""The phases that are compared, the network's and the platform's: each more is one more that may be false."""
LATEST, EFFECT, LEAST_MS = 5, 1.25, 5.0
"""The median of the latest runs must be so many times the baseline's, and so many milliseconds more."""

Status = Literal["pass", "fail", "cannot-tell"]
At = tuple[datetime, float]
"""When a run was, and the median of its samples in milliseconds."""


class Said(Frozen):
    """A judgement with its reason, as a check has it. ``since``: the first run of a rise that was found."""

    status: Status
    reason: str
    since: datetime | None = None


class Pace(Frozen):
    """One part of the way over ``runs`` runs: the samples of all, and what they say."""

    runs: int
    phases: Phases
    objective: Said
    baseline: Said


def paces(runs: Sequence[Run], objective_ms: float | None) -> dict[str, Pace]:
    """Each part that any of these runs, the earliest first, has samples of."""
    names = [name for name in PARTS if any(name in run.parts for run in runs)]
    return {name: _pace(name, [run for run in runs if name in run.parts], objective_ms) for name in names}


def _pace(name: str, runs: Sequence[Run], objective_ms: float | None) -> Pace:
    found = [run.parts[name] for run in runs]
    return Pace(
        runs=len(runs),
        phases=all_phases(found),
        objective=against_objective([one.total for one in found], objective_ms),
        baseline=_against_baseline(runs, name),
    )


# --- percentiles ----------------------------------------------------------------------------------------


def too_few(answers: int, share: float) -> str:
    """Why a percentile is not said of so many samples; empty where it is."""
    return f"n too small ({answers} of {NEEDED[share]})" if answers < NEEDED[share] else ""


def against_objective(found: Sequence[Histogram], objective_ms: float | None) -> Said:
    """Whether 95 of 100 answers came in time, from the samples of each run.

    Missed only where more were late than chance allows for at 95 of 100 (binomial, 1 in 100), and not all of
    them in two runs. Buckets that the objective divides count neither as late nor as in time.
    """
    total = [n for one in found for n in one.buckets.items()]
    answers = sum(count for _, count in total)
    if objective_ms is None:
        return Said(status="cannot-tell", reason="the target has no objective: [slo] p95_ms")
    if too_few(answers, 0.95):
        return Said(status="cannot-tell", reason=too_few(answers, 0.95))
    late = [_late(one, objective_ms) for one in found]
    perhaps = sum(count for bucket, count in total if GROWTH**bucket > objective_ms)
    said = f"{sum(late)} of {answers} took longer than {objective_ms:g} ms"
    if sum(map(bool, late)) >= LATE_RUNS and _chance(sum(late), answers) <= 1 - CONFIDENCE:
        return Said(status="fail", reason=said)
    if perhaps <= 0.05 * answers:
        return Said(status="pass", reason=said)
    return Said(status="cannot-tell", reason=f"{said}, which is too near, or of too few runs")


def _late(found: Histogram, objective_ms: float) -> int:
    """How many were late for certain: those in buckets that lie beyond the objective as a whole."""
    return sum(count for bucket, count in found.buckets.items() if GROWTH ** (bucket - 1) >= objective_ms)


def _chance(late: int, answers: int) -> float:
    """How likely at least so many are late where each is with 5 of 100."""
    logs = (
        math.lgamma(answers + 1) - math.lgamma(n + 1) - math.lgamma(answers - n + 1)
        + n * math.log(0.05) + (answers - n) * math.log(0.95)
        for n in range(late)
    )  # fmt: skip
    return max(0.0, 1 - sum(map(math.exp, logs)))


# --- against the runs before ----------------------------------------------------------------------------


def _against_baseline(runs: Sequence[Run], name: str) -> Said:
    """What is said of the phases that are slower, else of the first byte, which every answer has."""
    by_phase = {
        phase: list(_medians(runs, name, at))
        for at, (phase, _) in enumerate(Phases().named())
        if phase in COMPARED
    }
    found = {phase: against_baseline(series) for phase, series in by_phase.items()}
    wrong = {phase: said for phase, said in found.items() if said.status == "fail"}
    if not wrong:
        return found["first byte"]
    reason = "; ".join(f"{phase} {said.reason}" for phase, said in wrong.items())
    earliest = min(said.since for said in wrong.values() if said.since is not None)
    return Said(status="fail", reason=reason, since=earliest)


def _medians(runs: Iterable[Run], name: str, at: int) -> Iterable[At]:
    for run in runs:
        middle = run.parts[name].named()[at][1].quantile_ms(0.5)
        if middle is not None:
            yield run.started_at, middle


def against_baseline(series: Sequence[At]) -> Said:
    """Whether the latest runs are slower than those before them, from each run's median, the earliest first.

    ``since`` is the first run of the rise. Cannot be told before there are enough earlier runs, over a day:
    a night says nothing of noon.
    """
    earlier = series[: max(len(series) - NEWEST, min(len(series) - LATEST, EARLIER), 0)]
    why = _no_baseline(earlier)
    if why:
        return Said(status="cannot-tell", reason=why)
    logs = [math.log(value) for _, value in series]
    middle = median(logs[: len(earlier)])
    spread = max(1.4826 * median(abs(one - middle) for one in logs[: len(earlier)]), math.log(GROWTH))
    began = _risen([(one - middle) / spread for one in logs])
    before, now = math.exp(middle), median(value for _, value in series[-LATEST:])
    change = f"{before:.0f} ms, now {now:.0f} ms"
    if began is None or now < EFFECT * before or now - before < LEAST_MS:
        return Said(status="pass", reason=change)
    return Said(status="fail", reason=change, since=series[began][0])


def _no_baseline(earlier: Sequence[At]) -> str:
    if len(earlier) < EARLIER:
        return f"too few earlier runs ({len(earlier)} of {EARLIER})"
    span = earlier[-1][0] - earlier[0][0]
    hours = span / timedelta(hours=1)
    return f"the earlier runs are of {hours:.0f} h, and a day is needed" if span < SPAN else ""


def _risen(deviations: Sequence[float]) -> int | None:
    """Where the sum that stands too high at the end began to rise; None where it does not."""
    total, began = 0.0, 0
    for number, one in enumerate(deviations):
        began = number if total <= 0 else began
        total = min(max(total + min(one, CLIP) - ALLOWED, 0.0), 2 * ALARM)
    return began if total > ALARM else None
