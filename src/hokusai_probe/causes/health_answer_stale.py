"""What answers the health endpoints is remembered, not looked up."""

from collections.abc import Iterator

from hokusai_probe.causes._words import answered, previous_revision
from hokusai_probe.declare import Case, cause
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.health_bodies import STALE, HealthBodiesFacts, ages_of
from hokusai_probe.probes.hosts import HostsFacts

PATHS = ("/health", "/health/mlflow")


@cause(
    component="gateway",
    priority="medium",
    effort="hours",
    look_alikes={
        "clock-skewed": "there our own clock is off; here the body and the Date header of one answer differ",
        "health-contradicts-traffic": "there the answer is of now and wrong",
    },
    source="contract 5",
)
def health_answer_stale(
    bodies: HealthBodiesFacts, hosts: HostsFacts | None, ecs: EcsServicesFacts | None
) -> Iterator[Case]:
    """A health body is older than its answer: a cache remembers it, or the check behind it has stopped.

    The ``timestamp`` of ``/health`` or ``/health/mlflow`` lags behind the ``Date`` header of the same answer.
    Whatever such a body says was true once; a monitor that reads it misses outages.
    """
    ages = ages_of(bodies, hosts)
    old = [path for path, age in ages.items() if age > STALE]
    path = old[0] if old else PATHS[0]
    yield Case(
        subject="gateway",
        breaks=("gateway/health-age",),
        claims=(
            answered(
                f"the body of {path} was made {ages.get(path)} before the answer that carries it",
                bool(old) if ages else None,
                bodies.answers.get(path),
                f"answers.{path}",
                by=HealthBodiesFacts,
                telling=True,
            ),
        ),
        remedy=Remedy(
            kind="outside-aws",
            summary=f"Find what remembers {path} (a CDN, a proxy, a result kept in the gateway) and have it "
            "answered anew each time, with Cache-Control: no-store.",
            rollback=previous_revision(ecs, "gateway"),
            also_touches="Each health check then costs the gateway a look at what it depends on.",
            verify="hokusai-probe verify health-answer-stale",
        ),
    )
