"""Prometheus text exposition of a run, for a textfile collector or a push gateway. Pure.

Names and units follow Prometheus's own habits: seconds, ratios from 0 to 1, a series for each state of a
check so that an alert on ``status="fail"`` never waits for a series to appear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hokusai_probe import text
from hokusai_probe.model import Report, Verdict
from hokusai_probe.reports import answer

_LABEL_CHARACTERS = 200
_STATES = ("pass", "fail", "error", "blocked", "skip")
_REGISTRATION: tuple[answer.Registration, ...] = ("yes", "no", "not-tried", "cannot-tell")

Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    help: str
    samples: tuple[Sample, ...]


def render(report: Report) -> str:
    """The run's metrics as gauges, all labelled with the target, ending in a newline.

    A score of which nothing was judged has no series. Where cleaning makes two names one, the higher
    value stands, so that no series is there twice.
    """
    metrics = (*_run(report), *_results(report), *_causes(report))
    return "".join(_written(m, report.target) for m in metrics if m.samples)


def _written(metric: _Metric, target: str) -> str:
    name = f"hokusai_probe_{metric.name}"
    series: dict[str, float] = {}
    for labels, value in metric.samples:
        key = _labels({"target": target, **labels})
        series[key] = max(value, series.get(key, value))
    lines = [f"{name}{key} {value:.17g}\n" for key, value in series.items()]
    return "".join([f"# HELP {name} {metric.help}\n# TYPE {name} gauge\n", *lines])


def _labels(given: Mapping[str, str]) -> str:
    pairs = (f'{k}="{text.prometheus(_line(v))}"' for k, v in given.items())
    return "{" + ",".join(pairs) + "}"


def _line(said: str) -> str:
    return text.clean(text.one_line(said), _LABEL_CHARACTERS)


def _run(report: Report) -> Iterator[_Metric]:
    started = report.started_at.timestamp()
    registration = answer.registration(report)
    yield _one("build_info", "The version that made the run; always 1.", 1, version=report.tool_version)
    yield _one("last_run_timestamp_seconds", "When the run started, in seconds since 1970 (UTC).", started)
    yield _one("last_run_duration_seconds", "How long the run took.", report.duration_s)
    yield _one("requests_sent", "Requests that the run sent to the platform.", report.requests_sent)
    yield _one("interrupted", "1 when a signal cut the run short.", report.interrupted is not None)
    answers: list[Sample] = [({"answer": a}, float(a == registration)) for a in _REGISTRATION]
    yield _Metric("registration", "Can a third party register a model; 1 for the answer.", (*answers,))


def _one(name: str, said: str, value: float, **labels: str) -> _Metric:
    return _Metric(name, said, ((labels, float(value)),))


def _results(report: Report) -> Iterator[_Metric]:
    states = tuple(sample for v in report.verdicts for sample in _states(v))
    yield _Metric("check_status", "What became of a check, 1 for the state that it is in.", states)
    ratios: list[Sample] = [
        ({"area": area}, count.percent / 100)
        for area, count in report.score.areas.items()
        if count.percent is not None
    ]
    yield _Metric("score_ratio", "Part of an area's checks that pass, from 0 to 1.", (*ratios,))
    overall = report.score.overall.percent
    if overall is not None:
        yield _one("overall_score_ratio", "Part of all checks that pass, from 0 to 1.", overall / 100)


def _states(verdict: Verdict) -> Iterable[Sample]:
    state = "blocked" if verdict.skip_kind == "blocked" else verdict.status
    labels = {"area": verdict.area, "component": verdict.component, "check": verdict.check}
    return [({**labels, "status": s}, float(s == state)) for s in _STATES]


def _causes(report: Report) -> Iterator[_Metric]:
    present = [
        ({"cause": d.cause, "component": d.component}, float(d.status == "present")) for d in report.diagnoses
    ]
    undecided = [
        ({"cause": d.cause, "component": d.component}, float(d.status == "undecided"))
        for d in report.diagnoses
    ]
    yield _Metric("cause_present", "1 while a cause is there, 0 when it is not or is open.", (*present,))
    yield _Metric("cause_undecided", "1 while a cause fits and no look has settled it.", (*undecided,))
    yield _one(
        "unexplained_checks", "Failing or blocked checks that no known cause fits.", len(report.unexplained)
    )
    yield _one("own_errors", "Troubles of the probe itself.", len(answer.troubles(report)))
