"""The gateway's circuit breaker stays open although MLflow is well."""

from collections.abc import Iterator
from shlex import quote

from hokusai_probe.answers import responder, said
from hokusai_probe.causes._words import answered, previous_revision
from hokusai_probe.declare import Case, Claim, cause, claim
from hokusai_probe.http import Answer
from hokusai_probe.model import Remedy, Target
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.health_bodies import RESET, HealthBodiesFacts
from hokusai_probe.probes.key_validation import no_verdict
from hokusai_probe.probes.mlflow_api import MlflowApiFacts

RECOVERY_S = 60.0  # how long the platform's breaker rests before it tries again (contract 6)


@cause(
    component="gateway",
    priority="medium",
    effort="minutes",
    look_alikes={
        "mlflow-down": "there requests through the gateway fail as well",
        "health-contradicts-traffic": "there the gateway's own look at MLflow fails, with the breaker closed "
        "or opened a moment ago",
    },
    source="contract 6; L-05, L-18",
)
def circuit_breaker_open(
    bodies: HealthBodiesFacts, api: MlflowApiFacts, ecs: EcsServicesFacts | None, target: Target
) -> Iterator[Case]:
    """The gateway's circuit breaker for MLflow is open while MLflow is well.

    ``/health/mlflow`` says ``circuit_breaker_state: OPEN`` (503), or 500 ``UNKNOWN`` ``Object of type
    datetime is not JSON serializable``; other health endpoints repeat ``circuit breaker is open``. The proxy
    does not ask the breaker, so requests succeed, and monitors see an outage that there is not.
    """
    answer = bodies.answers.get("/health/mlflow")
    yield Case(
        subject="gateway",
        breaks=("mlflow-health",),
        claims=(
            answered(
                f"/health/mlflow shows an open circuit breaker: {bodies.breaker or 'state not said'}",
                bodies.breaker_open(),
                answer,
                "answers./health/mlflow",
                by=HealthBodiesFacts,
            ),
            _well(bodies, api),
            _stuck(bodies, api),
        ),
        remedy=_remedy(ecs, target),
    )


def _well(bodies: HealthBodiesFacts, api: MlflowApiFacts) -> Claim:
    """That MLflow is well: it answers a search of ours or, where our key is refused, the gateway's own."""
    refuted = _refuted(api.search)
    if bodies.experiments and not api.works and refuted is None:
        text = "MLflow answers the gateway's own search"
        return claim(
            text, bodies.experiments, by=HealthBodiesFacts, fact="experiments", value=bodies.experiments
        )
    return answered(
        f"MLflow answers through the gateway: {said(api.search)}",
        True if api.works else refuted,
        api.search,
        "search",
        by=MlflowApiFacts,
    )


def _refuted(search: Answer) -> bool | None:
    """No where the gateway itself did not get an answer of MLflow; hidden where it was not that far.

    An outage of auth is answered 503, too, before MLflow is asked.
    """
    asked = (search.status or 0) >= 500 and responder(search) == "gateway" and no_verdict(search) is None
    return False if asked else None


def _stuck(bodies: HealthBodiesFacts, api: MlflowApiFacts) -> Claim:
    """That the breaker alone is at fault: the gateway's own search works, and nothing failed lately."""
    alone = bodies.experiments and not any(not v.well and not v.by_breaker for v in bodies.views)
    lately = bodies.breaker_rested_s is not None and bodies.breaker_rested_s < RECOVERY_S
    proven = bool(bodies.breaker_open() and alone and not lately)
    return claim(
        "the gateway's own search of MLflow works, and no failure of late keeps the breaker open",
        False if bodies.experiments is False and api.works else (True if proven else None),
        by=HealthBodiesFacts,
        fact="experiments",
        value=bodies.experiments,
        telling=True,
    )


def _remedy(ecs: EcsServicesFacts | None, target: Target) -> Remedy:
    url = quote(target.hosts.registry.rstrip("/") + RESET)
    return Remedy(
        kind="outside-aws",
        summary="Reset the circuit breaker of each gateway task, by hand or by replacing the tasks. If it "
        "does not close by itself after a rest, its half-open state is broken: mend that in the gateway.",
        before=(f"curl -sS {url.removesuffix('/reset')}",),
        after=(f'curl -sS -X POST -H "Authorization: Bearer ${target.key.env}" {url}',),
        rollback=previous_revision(ecs, "gateway"),
        also_touches="The breaker is one per task: with several tasks the reset meets one of them.",
        verify="hokusai-probe verify circuit-breaker-open",
    )
