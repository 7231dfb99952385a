"""An ECS service that is told to run no task."""

from collections.abc import Iterator

from hokusai_probe.causes._symptoms import nobody_serves
from hokusai_probe.causes._words import (
    cluster,
    one_line,
    readiness,
    ready,
    service_name,
    update_service,
    wait_for,
    whose,
)
from hokusai_probe.declare import Case, cause, claim
from hokusai_probe.model import Remedy
from hokusai_probe.probes.ecs_services import EcsServicesFacts
from hokusai_probe.probes.hosts import HostsFacts
from hokusai_probe.probes.key_validation import KeyValidationFacts
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.public_paths import PublicPathsFacts
from hokusai_probe.topology import SERVICES

WHO_DID_IT = (
    "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=UpdateService "
    "--max-results 20"
)


@cause(
    component="ecs",
    priority="critical",
    effort="minutes",
    entails=("target-group-empty", "auth-service-down", "gateway-down", "mlflow-down"),
    look_alikes={
        "ecs-service-missing": "there ECS has no such service",
        "ecs-service-short-of-tasks": "there tasks are wanted and do not run",
        "target-group-empty": "there tasks run and none is registered",
    },
    source="AWS: UpdateService, desiredCount; HTTP 503, no registered targets",
)
def ecs_service_scaled_to_zero(
    hosts: HostsFacts,
    api: MlflowApiFacts | None,
    paths: PublicPathsFacts | None,
    validation: KeyValidationFacts | None,
    ecs: EcsServicesFacts | None,
) -> Iterator[Case]:
    """Nobody wants a task of the service: its desired count is 0.

    ECS takes the tasks out of the target group, and the load balancer answers 503 by itself. Events end in
    ``has reached a steady state``: for ECS all is well.
    """
    for service in () if hosts.bare else SERVICES:
        one = ecs.services.get(service) if ecs else None
        if one is not None and one.gone:
            continue
        yield Case(
            subject=service,
            breaks=(f"ecs.{service}",),
            claims=(
                nobody_serves(hosts, api, paths, validation, service),
                claim(
                    f"{whose(service)} ECS service is told to run no task",
                    None if one is None else one.desired == 0,
                    by=EcsServicesFacts,
                    fact=f"services.{service}.desired" if one else "",
                    value=one.desired if one else None,
                    telling=True,
                    aws_cli=one_line(
                        f"aws ecs describe-services {cluster(ecs)} --services {service_name(ecs, service)} "
                        "--query 'services[].[desiredCount,runningCount]'"
                    ),
                ),
            ),
            remedy=_remedy(ecs, service),
        )


def _remedy(ecs: EcsServicesFacts | None, service: str) -> Remedy:
    start = update_service(ecs, service, "--desired-count 1")
    return Remedy(
        kind=readiness(start),
        summary=f"Tell ECS to run a task of {whose(service)} service again; more, if it had more before.",
        before=(WHO_DID_IT,),
        aws_cli=ready(start),
        terraform='# resource "aws_ecs_service"\ndesired_count = 1\n',
        after=(wait_for(ecs, service),),
        rollback=one_line(update_service(ecs, service, "--desired-count 0")),
        also_touches="A scaling policy or schedule that set the count to 0 may do so again.",
        verify="hokusai-probe verify ecs-service-scaled-to-zero",
    )
