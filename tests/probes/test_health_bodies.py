"""What is read in the gateway's health bodies, and how their checks judge it."""

import pytest
from _facts import TARGET, answer, api_facts, bad_gateway, hosts_facts, refusal
from _gateway_health import (
    CANNOT,
    DATE,
    ERROR,
    OPEN,
    OPEN_RESET,
    bodies,
    both,
    breaker,
    mlflow_checks,
    overview,
    ready,
)

from hokusai_probe.declare import Catalogue
from hokusai_probe.engine import judge
from hokusai_probe.http import Answer
from hokusai_probe.model import Accept, Facts, Observation
from hokusai_probe.probes.health_bodies import HealthBodiesFacts, View, said_by

WHEN = "2025-08-05T09:27:17Z"
FOUND = api_facts().search
UNKNOWN = {"circuit_breaker_state": "UNKNOWN", "error": "Object of type datetime is not JSON serializable"}
PASS = ("pass", "")


def told(
    real: Catalogue, check: str, facts: Facts, *accepted: str, beside: Facts | None = None
) -> tuple[str, str]:
    """Status (or the skip's kind) and reason of one check's verdict."""
    seen = [
        Observation(probe=one.probe, started_at=WHEN, duration_s=0.1, status="seen", facts=one)
        for one in (facts, beside)
        if one is not None
    ]
    target = TARGET.model_copy(update={"accept": Accept(behaviours=accepted)})
    (found,) = judge(real, seen, target, frozenset({check}))
    return found.skip_kind or found.status, found.reason


def test_a_well_gateway_passes_every_check(real: Catalogue) -> None:
    """Nothing is wrong where all say that all is well."""
    facts = bodies()
    checks = [c.slug for c in real.checks_of(facts.probe)]

    assert {check: told(real, check, facts) for check in checks} == dict.fromkeys(checks, PASS)


def test_what_the_bodies_say() -> None:
    """Flags, words, settings and the breaker's rest are read as they stand."""
    details = {"host": "db", "port": 5432}
    lost = {"name": "database", "passed": False, "error": "no", "connection_details": details}
    facts = bodies({
        "/health": overview(redis="unhealthy"),
        "/ready": answer(503, {"ready": False, "can_serve_traffic": False, "checks": [lost]}, path="/ready"),
        "/health/mlflow": breaker("OPEN", error=OPEN, failed="2025-08-05T09:26:47.123456", status=503),
        "/api/health/mlflow": mlflow_checks(OPEN, "HTTP 500"),
    })  # fmt: skip

    assert facts.services["redis"] == "unhealthy"
    assert (facts.ready, facts.serves, facts.database_error) == (False, False, "no")
    assert facts.database_settings == {"host": "db", "port": "5432"}
    assert (facts.breaker, facts.breaker_connected, facts.breaker_rested_s) == ("OPEN", False, 30.0)
    assert facts.experiments is False
    assert facts.views == tuple(
        View(path=path, well=False, error=OPEN, by_breaker=True)
        for path in ("/health/mlflow", "/api/health/mlflow")
    )


def test_the_last_word_on_mlflow_counts() -> None:
    """Unless it is the breaker's: then the first one is what is known of MLflow itself."""
    path = "/health/mlflow"
    recovered = bodies(first={path: breaker(error="Tls")})
    opened = bodies({path: breaker("OPEN", error=OPEN, status=503)}, first={path: breaker(error="Tls")})

    assert [facts.views[0].error for facts in (recovered, opened)] == ["", "Tls"]


def test_what_somebody_else_answers_says_nothing() -> None:
    """A page of the load balancer is no word of the gateway's."""
    facts = said_by(dict.fromkeys(("/health", "/ready", "/health/mlflow"), bad_gateway()))

    assert facts == HealthBodiesFacts(answers=facts.answers)


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        (breaker("OPEN", error=OPEN, status=503), ("fail", "the circuit breaker is OPEN")),
        (
            answer(500, UNKNOWN, path="/health/mlflow"),
            ("fail", "the circuit breaker is open (500: its state cannot be written)"),
        ),
        (breaker("HALF_OPEN"), ("cannot-tell", "the circuit breaker is half open: it is trying again")),
        (
            refusal(401, "API key required"),
            ("cannot-tell", "/health/mlflow: 401 from the gateway ('API key required')"),
        ),
    ],
)
def test_the_breaker(real: Catalogue, answered: Answer, says: tuple[str, str]) -> None:
    """Open fails, also where it cannot say so; trying again and refusals settle nothing."""
    assert told(real, "breaker-is-closed", bodies({"/health/mlflow": answered})) == says


def test_a_code_that_says_ready_over_a_body_that_does_not(real: Catalogue) -> None:
    """200 with ready false fails, 503 with it does not, and a target may accept it."""
    lenient = bodies({"/ready": ready(False)})
    said = "/ready is 200 and its body says ready: false"

    assert told(real, "ready-code-agrees-with-body", lenient) == ("fail", said)
    assert told(real, "ready-code-agrees-with-body", bodies({"/ready": ready(False, 503)})) == PASS
    assert told(real, "ready-code-agrees-with-body", lenient, "ready-200-when-not") == (
        "not-applicable",
        f"accepted by the target (ready-200-when-not): {said}",
    )


def test_the_long_forms_of_health(real: Catalogue) -> None:
    """An error counts when it stays, and when /health itself is not in error."""
    path = "/health/status"
    twice = bodies({path: ERROR}, first={path: ERROR})
    once = bodies({}, first={path: ERROR})
    all_of_it = bodies({path: ERROR, "/health": ERROR}, first={path: ERROR})

    says = "/health/status: 500 from the gateway ('Internal server error')"
    assert told(real, "health-status-answers", twice) == ("fail", says)
    assert [told(real, "health-status-answers", facts) for facts in (once, all_of_it)] == [PASS, PASS]


def test_the_reset_of_the_breaker(real: Catalogue) -> None:
    """405 without a key: only the verb was wrong. 404: there is none. Anybody else's answer says nothing."""
    check = "breaker-reset-needs-a-key"
    gone = bodies(reset=refusal(404, "Not Found"))

    assert told(real, check, bodies(reset=OPEN_RESET)) == (
        "fail",
        "/health/mlflow/reset can be called without a key",
    )
    assert told(real, check, gone) == ("not-applicable", "the gateway has no /health/mlflow/reset")
    assert told(real, check, bodies(reset=bad_gateway()))[0] == "cannot-tell"


@pytest.mark.parametrize(
    ("stamp", "status"),
    [
        ("2025-08-05T09:27:16.900000+00:00", "pass"),
        ("2025-08-05T09:27:17+00:00", "pass"),
        ("2025-08-05T11:27:16.900000", "cannot-tell"),  # local time, or of hours ago: nobody knows
        ("2025-08-05T08:57:17", "cannot-tell"),
        ("2025-08-05T09:17:17+00:00", "fail"),
        ("2025-08-05T09:21:17", "fail"),
        ("yesterday", "cannot-tell"),
    ],
)
def test_the_age_of_a_body(real: Catalogue, stamp: str, status: str) -> None:
    """The time in a body against the Date header of the same answer."""
    old = answer(body={"status": "healthy", "timestamp": stamp}, headers=DATE)
    facts = said_by({"/health": old})

    assert told(real, "health-bodies-are-fresh", facts)[0] == status


@pytest.mark.parametrize(
    ("earlier", "status"),
    [("2025-08-05T11:27:16.100000", "pass"), ("2025-08-05T11:27:16.900000", "cannot-tell")],
)
def test_a_body_that_moves_on_is_fresh(real: Catalogue, earlier: str, status: str) -> None:
    """A time without a zone says nothing of itself; that it is another one each time does."""
    stamps = ("2025-08-05T11:27:16.900000", earlier)
    last, first = (answer(body={"status": "healthy", "timestamp": s}, headers=DATE) for s in stamps)
    facts = said_by({"/health": last}, first={"/health": first})
    once, host = said_by({"/health": last}), hosts_facts(registry=first)

    assert told(real, "health-bodies-are-fresh", facts)[0] == status
    assert told(real, "health-bodies-are-fresh", once, beside=host)[0] == status


def test_health_against_traffic(real: Catalogue) -> None:
    """It fails where both say the opposite twice, and says nothing where one of them wavers."""
    check = "health-agrees-with-traffic"
    unwell = bodies(
        {"/health/mlflow": breaker(error="Tls"), "/api/health/mlflow": mlflow_checks("Tls", "Tls")}
    )
    late = bodies({"/health/mlflow": breaker(error="AnswerTimeout"), "/api/health/mlflow": ERROR})
    mixed = bodies({"/health/mlflow": breaker(error="Tls")})
    cases = {
        "agree": told(real, check, both(bodies()))[0],
        "health alone complains": told(real, check, both(unwell, FOUND, FOUND))[0],
        "traffic alone fails": told(real, check, both(bodies(), CANNOT, CANNOT))[0],
        "both say no": told(real, check, both(unwell, CANNOT))[0],
        "our key is refused": told(real, check, both(bodies(), refusal(401, "no")))[0],
        "traffic came back": told(real, check, both(bodies(), CANNOT, FOUND))[0],
        "health gave up sooner": told(real, check, both(late, FOUND, FOUND))[0],
        "health wavers": told(real, check, both(mixed, FOUND, FOUND))[0],
    }

    assert cases == {
        "agree": "pass",
        "health alone complains": "fail",
        "traffic alone fails": "fail",
        "both say no": "pass",
        "traffic came back": "cannot-tell",
        "our key is refused": "cannot-tell",
        "health gave up sooner": "cannot-tell",
        "health wavers": "cannot-tell",
    }
