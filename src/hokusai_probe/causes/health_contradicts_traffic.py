"""The gateway's health endpoints say something else than the traffic through it shows."""

from collections.abc import Iterator

from hokusai_probe.answers import said
from hokusai_probe.causes._words import answered, previous_revision
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.health_against_traffic import HealthAgainstTrafficFacts
from hokusai_probe.probes.health_bodies import STATUS_PATHS, HealthBodiesFacts, fails_by_itself


@cause(
    component="gateway",
    priority="medium",
    effort="hours",
    look_alikes={
        "circuit-breaker-open": "there the gateway's own search of MLflow works; only the breaker is open",
        "mlflow-down": "there health endpoints and traffic agree",
        "gateway-mlflow-url-wrong": "there health endpoints and traffic fail alike",
        "gateway-event-loop-blocked": "there every path is slow at once, health included",
    },
    source="INC-30, INC-47; L-04, L-16",
)
def health_contradicts_traffic(
    both: HealthAgainstTrafficFacts | None,
    bodies: HealthBodiesFacts,
    ecs: EcsServicesFacts | None,
    target: Target,
) -> Iterator[Case]:
    """The gateway's health endpoints say that all is well and traffic fails, or the reverse.

    ``/api/health/mlflow`` is 503 while requests through the proxy succeed: the check has a client of its own,
    with another address or other TLS settings. Or ``/ready`` is 200 with ``ready: false`` in its body, or
    ``/health/status`` and ``/health?detailed=true`` are always 500 ``Internal server error``.
    """
    remedy = _remedy(ecs)
    if both is not None and not (both.unwell and "health-uses-other-tls" in target.accept.behaviours):
        yield _disagreeing(both, bodies, remedy)
    if "ready-200-when-not" not in target.accept.behaviours:
        yield _ready(bodies, remedy)
    if "health-status-500" not in target.accept.behaviours:
        yield _status(bodies, remedy)


def _disagreeing(both: HealthAgainstTrafficFacts, bodies: HealthBodiesFacts, remedy: Remedy) -> Case:
    """The gateway reaches MLflow in one way and not in the other, both tried twice."""
    good_news = bool(both.well)
    seen = (*both.unwell, *both.well)
    kind = "unwell" if both.unwell else "well"
    way = "out of reach" if both.unwell else "well"
    traffics = "works" if both.unwell else f"is answered {said(both.search)}"
    return Case(
        subject="gateway",
        breaks=("gateway-to-mlflow",) if good_news else ("mlflow-health",),
        claims=(
            claim(
                f"{seen[0].path if seen else 'a health endpoint'} says that MLflow is {way}, and searching "
                f"through the gateway {traffics}",
                _holds(both),
                by=HealthAgainstTrafficFacts,
                fact=f"{kind}[0].path" if seen else "",
                value=seen[0].path if seen else None,
                telling=True,
            ),
            *_behind_breaker(both, bodies),
        ),
        remedy=remedy,
    )


def _behind_breaker(both: HealthAgainstTrafficFacts, bodies: HealthBodiesFacts) -> Iterator[Claim]:
    """An open breaker says nothing of MLflow: what opens it again and again may be the health check alone."""
    if not both.well and not both.unwell and bodies.breaker_open() and bodies.experiments:
        yield claim(
            "the gateway's own search works while its circuit breaker is open",
            holds=True,
            by=HealthBodiesFacts,
            fact="experiments",
            value=bodies.experiments,
        )


def _holds(both: HealthAgainstTrafficFacts) -> bool | None:
    """Good news alone counts only where two endpoints agree on it: one might look at something else."""
    found = both.disagrees()
    return None if found and len(both.well) == 1 else found


def _ready(bodies: HealthBodiesFacts, remedy: Remedy) -> Case:
    answer = bodies.answers.get("/ready")
    said_ready = answer is not None and answer.status == 200
    return Case(
        subject="gateway",
        breaks=("gateway/readiness",),
        claims=(
            claim(
                "/ready is 200 while its body says that the gateway is not ready",
                None if answer is None or bodies.ready is None else said_ready and not bodies.ready,
                by=HealthBodiesFacts,
                fact="ready",
                value=bodies.ready,
                telling=True,
            ),
        ),
        remedy=remedy,
    )


def _status(bodies: HealthBodiesFacts, remedy: Remedy) -> Case:
    failing = [path for path in STATUS_PATHS if fails_by_itself(bodies, path)]
    answer = bodies.answers.get(failing[0] if failing else STATUS_PATHS[0])
    return Case(
        subject="gateway",
        breaks=("gateway/health-status",),
        claims=(
            answered(
                f"{' and '.join(failing) or STATUS_PATHS[0]} end in an error while /health does not",
                None if answer is None else bool(failing),
                answer,
                f"answers.{failing[0] if failing else STATUS_PATHS[0]}",
                by=HealthBodiesFacts,
                telling=True,
            ),
        ),
        remedy=remedy,
    )


def _remedy(ecs: EcsServicesFacts | None) -> Remedy:
    return Remedy(
        kind="outside-aws",
        summary="Have the gateway's health endpoints look at MLflow with the client and the settings that "
        "the proxy uses, and let the status code say what the body says.",
        rollback=previous_revision(ecs, "gateway"),
        also_touches="Load balancers and monitors that read these endpoints will see outages that they "
        "missed: look at their thresholds first.",
        verify="hokusai-probe verify health-contradicts-traffic",
    )
