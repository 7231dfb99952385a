"""What is kept of a report, and what a component is worth to who asks it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hokusai_probe.history.condense import REASON_CHARACTERS, run_of
from hokusai_probe.history.latency import Histogram
from hokusai_probe.history.runs import KeptCause, Run, State
from hokusai_probe.model import (
    Diagnosis,
    Hosts,
    Observation,
    RecordedFacts,
    Report,
    Target,
    Verdict,
)
from hokusai_probe.score import score

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://registry.example"
VITAL, ASIDE = "mlflow-api", "gateway/pace"
AREA = "proxy"


def verdict(check: str, status: str, *, component: str = "gateway", **more: Any) -> Verdict:
    """A verdict on a hop that registering rests on."""
    given: dict[str, Any] = {"title": "t", "area": AREA, "hop": VITAL, "probe": "p", "status": status}
    return Verdict.model_validate({"check": check, "component": component} | given | more)


def diagnosis(cause: str, status: str, **more: Any) -> Diagnosis:
    """A diagnosis of the load balancer."""
    given = {"component": "load-balancer", "because": "b", "priority": "high", "effort": "minutes"}
    return Diagnosis.model_validate({"cause": cause, "status": status} | given | more)


def report(verdicts: tuple[Verdict, ...], diagnoses: tuple[Diagnosis, ...] = (), **facts: Any) -> Report:
    """A report with these verdicts and diagnoses, and one look with these facts."""
    look = Observation(
        probe="p", started_at=NOW, duration_s=0.1, status="seen", facts=RecordedFacts.model_validate(facts)
    )
    return Report(
        target="t",
        configuration=Target(name="t", hosts=Hosts(registry=URL)),
        started_at=NOW,
        duration_s=1.5,
        tool_version="0.1.0",
        trigger="schedule",
        verified_sha="abc",
        expected_interval_s=3600.0,
        requests_sent=7,
        observations=(look,),
        verdicts=verdicts,
        diagnoses=diagnoses,
        unexplained=("z",),
        score=score(verdicts),
    )


def test_what_is_kept_of_a_run() -> None:
    """Slugs by outcome, causes without their prose, short reasons of what is wrong, and the scores."""
    blocked = verdict("c", "skip", skip_kind="blocked", reason="b did not pass")
    skipped = verdict("d", "skip", skip_kind="not-configured", reason="no [aws]")
    wrong = verdict("b", "fail", reason="502\n" + "x" * 200, blame="them")
    found = (
        diagnosis("x", "present", certainty="likely", subjects=("s",), explains=("c", "b")),
        diagnosis("y", "undecided"),
        diagnosis("z", "ruled_out"),
    )
    whole = report((blocked, skipped, wrong, verdict("a", "pass")), found)

    assert run_of(whole) == Run(
        schema_version=2,
        target="t",
        started_at=NOW,
        duration_s=1.5,
        trigger="schedule",
        tool_version="0.1.0",
        verified_sha="abc",
        expected_interval_s=3600.0,
        requests_sent=7,
        state=State(
            checks={"blocked": ("c",), "fail": ("b",), "not-configured": ("d",), "pass": ("a",)},
            causes=(
                KeptCause(
                    cause="x",
                    component="load-balancer",
                    subjects=("s",),
                    certainty="likely",
                    priority="high",
                    explains=("b", "c"),
                ),
                KeptCause(cause="y", component="load-balancer", undecided=True, priority="high"),
            ),
            denied=("z",),
            components={"gateway": "down", "load-balancer": "down"},
        ),
        reasons={"b": f"502 {'x' * (REASON_CHARACTERS - 5)}…", "c": "b did not pass"},
        unexplained=("z",),
        score=whole.score,
        objective_ms=1000.0,
    )


FAILS = verdict("a", "fail")
PASSES = verdict("b", "pass")


@pytest.mark.parametrize(
    ("verdicts", "service"),
    [
        ((PASSES,), "up"),
        ((PASSES, FAILS), "down"),
        ((PASSES, verdict("a", "fail", blame="them")), "down"),
        ((PASSES, verdict("a", "fail", hop="x/y", area="registration")), "down"),
        ((PASSES, verdict("a", "fail", hop=ASIDE)), "impaired"),
        ((PASSES, verdict("a", "fail", blame="you")), "unknown"),
        ((PASSES, verdict("a", "fail", blame="probe"), verdict("c", "fail", hop=ASIDE)), "unknown"),
        ((PASSES, verdict("a", "error")), "unknown"),
        ((PASSES, verdict("a", "skip", skip_kind="blocked")), "unknown"),
        ((verdict("a", "skip", skip_kind="blocked"), FAILS), "down"),
        ((PASSES, verdict("a", "skip", skip_kind="not-configured")), "up"),
        ((verdict("a", "skip", skip_kind="not-configured"),), None),
    ],
)
def test_how_a_component_served(verdicts: tuple[Verdict, ...], service: str | None) -> None:
    """Down when what users rest on fails for the platform's sake; unknown where that cannot be told."""
    assert run_of(report(verdicts)).state.components.get("gateway") == service


@pytest.mark.parametrize(("hop", "service"), [(VITAL, "down"), (ASIDE, "impaired")])
def test_who_must_act_is_as_bad_as_what_follows(hop: str, service: str) -> None:
    """A cause's component is down when the cause explains a failure that users rest on."""
    found = report((verdict("a", "fail", hop=hop),), (diagnosis("x", "present", explains=("a",)),))

    assert run_of(found).state.components["load-balancer"] == service


def answer(path: str, elapsed_s: float, **more: Any) -> dict[str, Any]:
    """An answer as facts hold it."""
    return {"method": "GET", "url": URL + path, "path": path, "status": 200, "elapsed_s": elapsed_s} | more


def test_latency_is_kept_by_endpoint() -> None:
    """Whole answers of the target's own hosts, each once; what differs from run to run is a star."""
    same = answer("/health", 0.2)
    found = report(
        (PASSES,),
        first=same,
        again={"x": [same, answer("/health", 0.4)]},
        cut=answer("/health", 3.0, failure={"kind": "timeout"}),
        refused=answer("/health", 0.1, status=401),
        foreign=answer("/health", 0.1, url="https://elsewhere.example/health"),
        odd={"elapsed_s": "soon", "url": 7},
        broken={"elapsed_s": 1.0, "url": "http://[x"},
        run=answer("/api/runs/0123456789abcdef/12/hkprobe-1", 0.1),
        artifact=answer("/api/2.0/mlflow-artifacts/artifacts/1/x/model.json", 0.1),
    )

    assert run_of(found).latency == {
        "GET registry /api/2.0/mlflow-artifacts/artifacts/* 200": Histogram.of([0.1]),
        "GET registry /api/runs/*/*/* 200": Histogram.of([0.1]),
        "GET registry /health 200": Histogram.of([0.2, 0.4]),
        "GET registry /health 401": Histogram.of([0.1]),
    }
