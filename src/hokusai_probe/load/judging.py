"""What a recorded load says: percentiles, errors, and what of it fails. Pure, so it can be said again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from hokusai_probe.load.plan import Kind, Stage
from hokusai_probe.load.ramping import of_stage
from hokusai_probe.load.record import CUT_SHORT, NEVER_SENT, LoadReport, Sample, needed, percentile
from hokusai_probe.load.stopping import beyond, limit_s
from hokusai_probe.model import Frozen

MOST_ERRORS = 0.01
MOST_MISSED = 0.05
OWN_LATENESS_S = 0.1
"""When a twentieth of what we send is later than this, the times say more of this machine."""

Status = Literal["pass", "fail", "trouble", "cannot-tell"]
ExitCode = Literal[0, 1, 3, 130, 143]


class Finding(Frozen):
    """One thing that was judged, how it stands, and the sentence. ``trouble`` is our own."""

    slug: str
    status: Status
    sentence: str


class Times(Frozen):
    """Latencies in milliseconds from the intended start, errors at their deadline; None: too few samples.

    ``samples`` counts all of them, ``errors`` those that were not answered as they should be.
    """

    samples: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    highest_ms: float | None


class AtRate(Frozen):
    """One stage: its rate in starts a second, and what was seen of it. ``held`` None: nobody can tell."""

    rate: float
    planned: int
    missed: int
    times: Times
    held: bool | None


class Judgement(Frozen):
    """Everything that a record says. ``answered_per_s`` counts good answers over the whole load.

    ``missed``: starts that found no place when they were due, ``never_sent`` those of them that never found
    one, ``cut_short`` what was under way when it was stopped. ``own_lateness_ms``: within which 95 of 100 of
    the others were sent. ``held_rate``: of a ramp, the last rate that held.
    """

    findings: tuple[Finding, ...]
    kinds: Mapping[Kind, Times]
    everything: Times
    stages: tuple[AtRate, ...]
    errors: Mapping[str, int]
    answered_per_s: float
    missed: int
    never_sent: int
    cut_short: int
    own_lateness_ms: float | None
    held_rate: float | None
    exit_code: ExitCode


def judge(report: LoadReport) -> Judgement:
    """What a record says. Of what was cut short nothing is counted but how much that was."""
    counted = [one for one in report.samples if one.failure != CUT_SHORT]
    stages = tuple(_at_rate(report, n, stage) for n, stage in enumerate(report.plan.stages))
    findings = tuple(_findings(report, counted, stages))
    return Judgement(
        findings=findings,
        kinds={kind: _times(report, (s for s in counted if s.kind == kind)) for kind in report.plan.mix},
        everything=_times(report, counted),
        stages=stages,
        errors=dict(sorted(Counter(f"{s.kind}: {s.error}" for s in counted if s.error).items())),
        answered_per_s=_answered_per_s(report, counted),
        missed=sum(s.missed for s in counted),
        never_sent=sum(s.failure == NEVER_SENT for s in counted),
        cut_short=len(report.samples) - len(counted),
        own_lateness_ms=_ms(_own_lateness_s(counted)),
        held_rate=_held_rate(stages),
        exit_code=_exit_code(report, findings),
    )


# --- numbers ----------------------------------------------------------------------------------------


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _answered_per_s(report: LoadReport, counted: Iterable[Sample]) -> float:
    """Durations are recorded to the millisecond: one below that is none."""
    answered = sum(one.ok for one in counted)
    return round(answered / report.duration_s, 3) if report.duration_s >= 0.001 else 0.0


def _times(report: LoadReport, samples: Iterable[Sample]) -> Times:
    found = list(samples)
    seconds = [one.latency_s(report.deadline_s) for one in found]

    def at(share: float) -> float | None:
        return _ms(percentile(seconds, share)) if len(seconds) >= needed(share) else None

    return Times(
        samples=len(found),
        errors=sum(one.error is not None for one in found),
        p50_ms=at(0.50),
        p95_ms=at(0.95),
        p99_ms=at(0.99),
        highest_ms=_ms(max(seconds, default=None)),
    )


def _own_lateness_s(samples: Iterable[Sample]) -> float | None:
    late = (one.own_lateness_s for one in samples)
    return percentile((seconds for seconds in late if seconds is not None), 0.95)


def _at_rate(report: LoadReport, number: int, stage: Stage) -> AtRate:
    found = of_stage(report.samples, number)
    return AtRate(
        rate=stage.rate,
        planned=report.plan.starts_in(stage),
        missed=sum(one.missed for one in found),
        times=_times(report, found),
        held=_held(report, found, stage),
    )


def _held(report: LoadReport, found: Sequence[Sample], stage: Stage) -> bool | None:
    """Whether a stage was carried out whole and its p95 stayed within what it may be."""
    times = beyond(found, report.deadline_s, report.slo_p95_ms, report.baseline_s)
    if times is not None and len(found) < report.plan.starts_in(stage):
        return False if report.rule == "saturated" else None
    return None if times is None or len(found) < needed(0.95) else times <= 1


def _held_rate(stages: Iterable[AtRate]) -> float | None:
    """The last rate that held before the first one that did not."""
    last = None
    for stage in stages:
        if not stage.held:
            break
        last = stage.rate
    return last


# --- judging ----------------------------------------------------------------------------------------


def _findings(report: LoadReport, counted: Sequence[Sample], stages: Sequence[AtRate]) -> Iterator[Finding]:
    yield _carried_out(report)
    late = _own_lateness_s(counted)
    if report.outcome == "finished":
        slow = late is not None and late > OWN_LATENESS_S
        yield from _of_ourselves(late, slow=slow)
        of_platform = _of_ramp(report, stages) if report.plan.ramp else _of_load(report, counted)
        yield from (_doubted(one) if slow and one.slug in _TIMED else one for one in of_platform)
    yield _left(report)


def _carried_out(report: LoadReport) -> Finding:
    slug = "load-was-carried-out"
    if report.outcome == "finished":
        how = "until the platform had enough" if report.rule == "saturated" else "as planned"
        return Finding(slug=slug, status="pass", sentence=f"the load was carried out {how}")
    return Finding(slug=slug, status="trouble", sentence=f"{report.outcome}: {report.reason}")


_OF_PLATFORM = frozenset(
    {"errors-are-rare", "p95-is-within-the-objective", "starts-find-a-place", "a-rate-holds"}
)
_TIMED = frozenset({"p95-is-within-the-objective", "starts-find-a-place", "a-rate-holds"})


def _doubted(finding: Finding) -> Finding:
    because = f"this machine was late itself, so it is not known whether: {finding.sentence}"
    return finding.model_copy(update={"status": "cannot-tell", "sentence": because})


def _of_ourselves(late: float | None, *, slow: bool) -> Iterator[Finding]:
    if late is None:
        return
    said = f"95 of 100 starts left this machine within {late * 1000:.0f} ms of when they were due"
    yield Finding(slug="we-kept-the-pace", status="trouble" if slow else "pass", sentence=said)


def _few_enough(slug: str, count: int, samples: int, most: float, words: str) -> Finding:
    """Whether no more than a share of the starts are so; of no starts nobody can tell."""
    if not samples:
        return Finding(slug=slug, status="cannot-tell", sentence="no start was measured")
    status: Status = "fail" if count > most * samples else "pass"
    sentence = f"{count} of {samples} starts {words} (at most {most * 100:g} % may)"
    return Finding(slug=slug, status=status, sentence=sentence)


def _of_load(report: LoadReport, counted: Sequence[Sample]) -> Iterator[Finding]:
    errors = sum(one.error is not None for one in counted)
    missed = sum(one.missed for one in counted)
    yield _few_enough("errors-are-rare", errors, len(counted), MOST_ERRORS, "ended in an error")
    yield _objective(report, counted)
    waited = f"had to wait until one of {report.plan.at_once} was done"
    yield _few_enough("starts-find-a-place", missed, len(counted), MOST_MISSED, waited)


def _objective(report: LoadReport, counted: Sequence[Sample]) -> Finding:
    """Each sample against what its kind may take; so kinds of different length make one p95."""
    slug = "p95-is-within-the-objective"
    times = beyond(counted, report.deadline_s, report.slo_p95_ms, report.baseline_s)
    if report.slo_p95_ms is None:
        return Finding(slug=slug, status="cannot-tell", sentence="the target has no [slo] p95_ms")
    if times is None or len(counted) < needed(0.95):
        few = f"n too small: {len(counted)} samples, a p95 needs {needed(0.95)}"
        return Finding(slug=slug, status="cannot-tell", sentence=few)
    said = f"the p95 is {times:.2f} times what {report.slo_p95_ms:g} ms a request allow"
    return Finding(slug=slug, status="fail" if times > 1 else "pass", sentence=said)


def _of_ramp(report: LoadReport, stages: Sequence[AtRate]) -> Iterator[Finding]:
    held = _held_rate(stages)
    first = stages[0].rate
    if held is None:
        few = stages[0].held is None
        said = f"{'nobody can tell whether' if few else 'not even'} {first:g} starts a second held"
        yield Finding(slug="a-rate-holds", status="cannot-tell" if few else "fail", sentence=said)
        return
    broke = f"; {report.reason}" if report.rule == "saturated" else ", the highest that was tried"
    yield Finding(slug="a-rate-holds", status="pass", sentence=f"{held:g} starts a second held{broke}")


def _left(report: LoadReport) -> Finding:
    slug = "nothing-is-left"
    named = [*report.left, *(f"not removed: {e.kind} {e.name}" for e in report.created if e.removed is False)]
    if named:
        return Finding(slug=slug, status="trouble", sentence="; ".join(named))
    many = len(report.created)
    said = f"all {many} things that it created are gone again" if many else "nothing was created"
    return Finding(slug=slug, status="pass", sentence=said)


def _exit_code(report: LoadReport, findings: Sequence[Finding]) -> ExitCode:
    """1 fails, 3 our own trouble, or nothing said of the platform; an aborted load is 3 whatever it saw."""
    statuses = {finding.status for finding in findings}
    of_platform = {finding.status for finding in findings if finding.slug in _OF_PLATFORM}
    if report.outcome == "interrupted":
        return 143 if report.reason == "SIGTERM" else 130
    if report.outcome == "aborted":
        return 3
    if "fail" in statuses:
        return 1
    return 0 if "trouble" not in statuses and "pass" in of_platform else 3


def allowed_ms(report: LoadReport, kind: Kind) -> float:
    """How long an operation of a kind may take, in milliseconds."""
    return limit_s(kind, report.slo_p95_ms, report.baseline_s) * 1000
