"""From a Report to what is kept of it. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from hokusai_probe import text, topology
from hokusai_probe.history import parts
from hokusai_probe.history.latency import Histogram
from hokusai_probe.history.runs import VERSION, KeptCause, Outcome, Run, Service, State
from hokusai_probe.model import Component, Diagnosis, Report, Verdict

REASON_CHARACTERS = 120
_VOLATILE = re.compile(r"\d+|.*[0-9a-f]{8}.*|hkprobe.*", re.IGNORECASE)
_ARTIFACT = re.compile(r"(?<=/mlflow-artifacts/artifacts/).+")


def run_of(report: Report) -> Run:
    """What is kept of a run. Give it a redacted report: reasons are cut here, and only here."""
    answers = parts.given(report)
    wrong = [v for v in report.verdicts if v.status in {"fail", "error"} or v.skip_kind == "blocked"]
    return Run(
        schema_version=VERSION,
        target=report.target,
        started_at=report.started_at,
        duration_s=report.duration_s,
        trigger=report.trigger,
        tool_version=report.tool_version,
        verified_sha=text.one_line(report.verified_sha) if report.verified_sha else None,
        expected_interval_s=report.expected_interval_s,
        interrupted=report.interrupted,
        requests_sent=report.requests_sent,
        state=state_of(report),
        reasons={v.check: _short(v.reason) for v in wrong},
        unexplained=tuple(sorted(report.unexplained)),
        score=report.score,
        latency=latency(answers),
        parts=parts.phases(answers),
        objective_ms=report.configuration.slo.p95_ms,
    )


def _short(reason: str) -> str:
    return text.clean(text.one_line(reason), REASON_CHARACTERS)


def state_of(report: Report) -> State:
    """How the platform was found, in an order that does not depend on the report's."""
    checks: defaultdict[Outcome, list[str]] = defaultdict(list)
    for verdict in report.verdicts:
        checks[_outcome(verdict)].append(verdict.check)
    kept = [_kept(d) for d in report.diagnoses if d.status != "ruled_out"]
    return State(
        checks={outcome: tuple(sorted(checks[outcome])) for outcome in sorted(checks)},
        causes=tuple(sorted(kept, key=lambda c: (c.cause, c.caused_by or ""))),
        denied=tuple(sorted({d.cause for d in report.diagnoses if d.status == "ruled_out"})),
        components=components(report),
    )


def _outcome(verdict: Verdict) -> Outcome:
    return verdict.status if verdict.status != "skip" else verdict.skip_kind or "skip"


def _kept(found: Diagnosis) -> KeptCause:
    return KeptCause(
        cause=found.cause,
        component=found.component,
        subjects=tuple(sorted(text.one_line(subject) for subject in found.subjects)),
        undecided=found.status == "undecided",
        certainty=found.certainty,
        caused_by=found.caused_by,
        priority=found.priority,
        explains=tuple(sorted(found.explains)),
    )


# --- components -----------------------------------------------------------------------------------------


def components(report: Report) -> dict[Component, Service]:
    """How each component served that a check judged or a present cause names."""
    named = {v.component for v in report.verdicts if v.status != "skip" or v.skip_kind == "blocked"}
    named |= {d.component for d in report.present()}
    return {component: _service(report, component) for component in sorted(named)}


def _service(report: Report, component: Component) -> Service:
    """Down as who asks sees it, so also where something before it is broken.

    What fails for the caller's sake, ours or the way's hides how the component is, as waiting does.
    """
    own = [v for v in report.verdicts if v.component == component]
    theirs = {v.check for v in report.verdicts if v.status == "fail" and v.blame in {None, "them"}}
    vital = {v.check for v in report.verdicts if v.check in theirs and _vital(v)}
    causes = [d for d in report.present() if d.component == component]
    if any(v.check in vital for v in own) or any(vital & set(d.explains) for d in causes):
        return "down"
    if any(_hides(v) and v.check not in theirs for v in own):
        return "unknown"
    if causes or any(v.check in theirs for v in own):
        return "impaired"
    return "up" if any(v.status == "pass" for v in own) else "unknown"


def _hides(verdict: Verdict) -> bool:
    return verdict.status in {"fail", "error"} or verdict.skip_kind == "blocked"


def _vital(verdict: Verdict) -> bool:
    """Whether registering a model rests on what this check tests."""
    return verdict.area == "registration" or verdict.hop in topology.foundations("artifacts")


# --- latency --------------------------------------------------------------------------------------------


def latency(answers: Iterable[parts.Given]) -> dict[str, Histogram]:
    """How long whole answers of the platform's hosts took. One answer that several looks read counts once."""
    taken: defaultdict[str, set[float]] = defaultdict(set)
    for host, answer in answers:
        elapsed = answer.get("elapsed_s")
        if isinstance(elapsed, int | float):
            taken[_endpoint(host, answer)].add(elapsed)
    return {endpoint: Histogram.of(taken[endpoint]) for endpoint in sorted(taken)}


def _endpoint(host: str, answer: Mapping[str, JsonValue]) -> str:
    """Method, host, path and status; what differs from run to run in a path is a star."""
    path = _ARTIFACT.sub("*", text.one_line(str(answer.get("path", "")).partition("?")[0]))
    steady = "/".join("*" if _VOLATILE.fullmatch(step) else step for step in path.split("/"))
    return f"{answer.get('method')} {host} {steady} {answer.get('status')}"
