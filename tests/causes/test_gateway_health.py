"""What is wrong with the gateway's health endpoints is named, and told from what is wrong behind them."""

from collections.abc import Mapping

import pytest
from _evidence import unfounded
from _facts import TARGET, answer, api_facts, outside, path_facts, refusal
from _gateway_health import CANNOT, DATE, ERROR, OPEN, OPEN_RESET, bodies, both, breaker, mlflow_checks, ready

from hokusai_probe.declare import Catalogue
from hokusai_probe.diagnose import diagnose
from hokusai_probe.engine import judge
from hokusai_probe.http import Answer
from hokusai_probe.model import Accept, Diagnosis, Facts, Observation
from hokusai_probe.probes.health_bodies import HealthBodiesFacts

WHEN = "2025-08-05T09:27:17Z"
FOUND = api_facts().search
STUCK = {
    "/health/mlflow": breaker("OPEN", error=OPEN, status=503),
    "/api/health/mlflow": mlflow_checks(OPEN),
}
OTHER_TLS = {"/health/mlflow": breaker(error="Tls"), "/api/health/mlflow": mlflow_checks("Tls", "Tls")}
OPENED_BY_OTHER_TLS = {
    "/health/mlflow": breaker("OPEN", error=OPEN, failed="2025-08-05T09:27:16+00:00", status=503),
    "/api/health/mlflow": mlflow_checks(OPEN, "Tls"),
}
STALE = answer(body={"status": "healthy", "timestamp": "2025-08-05T08:00:00+00:00"}, headers=DATE)


def named(
    real: Catalogue, facts: Mapping[str, Facts], *accepted: str
) -> tuple[list[Diagnosis], set[str], set[str]]:
    """Present diagnoses, undecided causes and causes that are ruled out, on these facts."""
    seen = [
        Observation(probe=f.probe, started_at=WHEN, duration_s=0.1, status="seen", facts=f)
        for f in facts.values()
    ]
    target = TARGET.model_copy(update={"accept": Accept(behaviours=accepted)})
    verdicts = judge(real, seen, target, frozenset(real.checks))
    found = diagnose(real, seen, verdicts, target).diagnoses
    assert unfounded(found, facts.values()) == []
    by = {status: {d.cause for d in found if d.status == status} for status in ("undecided", "ruled_out")}
    return [d for d in found if d.status == "present"], by["undecided"], by["ruled_out"]


def seen(health: HealthBodiesFacts, search: Answer = FOUND, again: Answer | None = None) -> dict[str, Facts]:
    """A platform whose gateway says this of itself."""
    api = api_facts(None if search is FOUND else search)
    return outside(health=health, agreement=both(health, search, again), mlflow_api=api)


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (seen(bodies(STUCK)), "circuit-breaker-open"),
        (seen(bodies(OTHER_TLS), FOUND, FOUND), "health-contradicts-traffic"),
        (seen(bodies(OPENED_BY_OTHER_TLS), FOUND, FOUND), "health-contradicts-traffic"),
        (seen(bodies({"/ready": ready(False)})), "health-contradicts-traffic"),
        (
            seen(bodies({"/health/status": ERROR}, first={"/health/status": ERROR})),
            "health-contradicts-traffic",
        ),
        (seen(bodies(), CANNOT, CANNOT), "health-contradicts-traffic"),
        (seen(bodies(reset=OPEN_RESET)), "breaker-reset-without-key"),
        (seen(bodies({"/health": STALE})), "health-answer-stale"),
    ],
)
def test_each_defect_is_named_from_outside_alone(
    real: Catalogue, facts: Mapping[str, Facts], cause: str
) -> None:
    """With no look through AWS the one cause is present, and acts in the gateway."""
    present, undecided, _ = named(real, facts)

    assert [(d.cause, d.component, d.certainty) for d in present] == [(cause, "gateway", "confirmed")]
    assert undecided == set()


def test_a_well_gateway_rules_all_of_it_out(real: Catalogue) -> None:
    """What was looked at and is well is denied."""
    present, undecided, ruled_out = named(real, seen(bodies()))

    assert (present, undecided) == ([], set())
    assert ruled_out >= {
        "circuit-breaker-open",
        "health-contradicts-traffic",
        "breaker-reset-without-key",
        "health-answer-stale",
    }


def test_an_open_breaker_before_a_dead_mlflow_is_no_cause(real: Catalogue) -> None:
    """Where requests fail as well the breaker does its work."""
    refused = {"/health/mlflow": breaker("OPEN", error=OPEN, status=503)}
    present, undecided, ruled_out = named(real, seen(bodies(refused), CANNOT))

    assert "circuit-breaker-open" in ruled_out
    assert "circuit-breaker-open" not in {d.cause for d in present} | undecided


@pytest.mark.parametrize(
    "refused",
    [
        refusal(401, "Invalid or expired API key"),
        refusal(503, "Authentication service error"),
        refusal(503, "Authentication service unavailable"),
    ],
    ids=lambda answer: answer.body,
)
def test_a_stuck_breaker_is_seen_where_our_key_is_not_let_in(real: Catalogue, refused: Answer) -> None:
    """The gateway's own search, which needs no key, says that MLflow is well, whatever auth does."""
    paths = {"public_paths": path_facts(public=[STUCK["/api/health/mlflow"]])}
    present, undecided, _ = named(real, seen(bodies(STUCK), refused) | paths)

    assert "circuit-breaker-open" in {d.cause for d in present}
    assert not {"mlflow-down", "mlflow-scheme-mismatch"} & ({d.cause for d in present} | undecided)


def test_a_breaker_that_opened_a_moment_ago_is_not_blamed(real: Catalogue) -> None:
    """MLflow may just have come back: that is open, not proven."""
    lately = {
        "/health/mlflow": breaker("OPEN", error=OPEN, failed="2025-08-05T09:27:07+00:00", status=503),
        "/api/health/mlflow": mlflow_checks(OPEN),
    }
    present, undecided, _ = named(real, seen(bodies(lately)))

    assert (present, "circuit-breaker-open" in undecided) == ([], True)


@pytest.mark.parametrize(
    ("health", "behaviour"),
    [
        (bodies({"/ready": ready(False)}), "ready-200-when-not"),
        (bodies({"/health/status": ERROR}, first={"/health/status": ERROR}), "health-status-500"),
        (bodies(reset=OPEN_RESET), "breaker-reset-open"),
    ],
)
def test_what_the_target_accepts_is_no_cause(
    real: Catalogue, health: HealthBodiesFacts, behaviour: str
) -> None:
    """Neither present nor undecided."""
    present, undecided, _ = named(real, seen(health), behaviour)

    assert (present, undecided) == ([], set())


def test_the_remedies_are_said_with_the_variable_of_the_key(real: Catalogue) -> None:
    """The reset is a command to paste, and the key in it is a variable."""
    (found,), _, _ = named(real, seen(bodies(STUCK)))

    assert found.remedy is not None
    key = '-H "Authorization: Bearer $HOKUSAI_API_KEY"'
    url = "https://registry.hokus.ai/health/mlflow/reset"
    assert found.remedy.after == (f"curl -sS -X POST {key} {url}",)
