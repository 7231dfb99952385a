"""What the gateway's health endpoints answer, made by hand: a well gateway, with some answers changed."""

from collections.abc import Mapping

from _facts import SEARCH, answer, api_facts, refusal

from hokusai_probe.http import Answer
from hokusai_probe.probes.health_against_traffic import HealthAgainstTrafficFacts, views_of
from hokusai_probe.probes.health_bodies import RESET, HealthBodiesFacts, said_by
from hokusai_probe.probes.mlflow_api import is_search_result

NOW = "2025-08-05T09:27:17.123456+00:00"
DATE = {"date": "Tue, 05 Aug 2025 09:27:17 GMT"}
OPEN = "circuit breaker is open"


def overview(**services: str) -> Answer:
    """The gateway's /health."""
    said = {"mlflow": "healthy", "redis": "healthy", "postgres": "healthy", "external_api": "healthy"}
    body = {"status": "healthy", "services": said | services, "timestamp": NOW}
    return answer(body=body, path="/health", headers=DATE)


def ready(flag: bool, status: int = 200) -> Answer:
    """The gateway's /ready."""
    return answer(status, {"ready": flag, "can_serve_traffic": flag, "checks": []}, path="/ready")


def breaker(
    state: str = "CLOSED", *, error: str | None = None, failed: str | None = None, status: int = 200
) -> Answer:
    """The gateway's /health/mlflow."""
    body = {
        "circuit_breaker_state": state,
        "last_failure_time": failed,
        "connected": error is None,
        "error": error,
        "timestamp": NOW,
    }
    return answer(status, body, path="/health/mlflow", headers=DATE)


def mlflow_checks(connectivity: str | None = None, experiments: str | None = None) -> Answer:
    """The gateway's /api/health/mlflow; None is well, a text an error. A refusal has it under detail."""
    errors = {"connectivity": connectivity, "experiments_api": experiments, "artifacts_api": None}
    checks = {n: {"status": "unhealthy" if e else "healthy", "error": e} for n, e in errors.items()}
    body = {"checks": checks, "status": "unhealthy" if any(errors.values()) else "healthy"}
    if any(errors.values()):
        return refusal(503, body, path="/api/health/mlflow")
    return answer(body=body, path="/api/health/mlflow")


ALIVE = answer(body={"alive": True}, path="/live")
WELL: Mapping[str, Answer] = {
    "/health": overview(),
    "/ready": ready(True),
    "/live": ALIVE,
    "/health/mlflow": breaker(),
    "/api/health/mlflow": mlflow_checks(),
    "/health/status": overview(),
    "/health?detailed=true": overview(),
}
CLOSED_RESET = refusal(401, "API key required", path=RESET)
OPEN_RESET = refusal(405, "Method Not Allowed", path=RESET, headers={"allow": "POST"})
ERROR = refusal(500, "Internal server error", path="/health/status")
CANNOT = refusal(502, "Failed to connect to MLflow server at http://x:5000", path=SEARCH)


def bodies(
    changed: Mapping[str, Answer] | None = None,
    first: Mapping[str, Answer] | None = None,
    reset: Answer | None = CLOSED_RESET,
) -> HealthBodiesFacts:
    """The facts of a well gateway, some answers changed."""
    return said_by({**WELL, **(changed or {})}, first=first, reset=reset)


def both(
    facts: HealthBodiesFacts, search: Answer | None = None, again: Answer | None = None
) -> HealthAgainstTrafficFacts:
    """Health and traffic side by side."""
    well, unwell = views_of(facts)
    first = search or api_facts().search
    works = tuple(is_search_result(a) for a in (first, again) if a is not None)
    return HealthAgainstTrafficFacts(well=well, unwell=unwell, search=first, again=again, works=works)
